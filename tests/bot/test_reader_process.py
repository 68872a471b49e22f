"""Readers in processes of their own: what a crash, a hang or a bomb costs. Real children, really killed."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from structlog.testing import capture_logs

import bot.photo_service
from benchmarks.processes import family, is_alive
from bot.errors import InternalError, ReaderDied
from bot.metrics import Metrics
from bot.photo_service import PhotoService, Reader
from bot.reader_process import ReaderProcess, load_face_reader
from inference import (
    Box,
    CheckpointError,
    Face2EmojiError,
    ImageTooLarge,
    PhotoLimits,
    UnreadableImage,
    load_emoji_map,
    load_reader,
)
from tests.bot.served import READING
from tests.bot.unruly_reader import (
    ABORT,
    CRASH,
    CUT,
    DEVOUR,
    HANG,
    LEAVE,
    SLIP,
    UnrulyReader,
    fail_until,
    out_of_order,
)
from tests.inference.picture_files import encoded

SECONDS = 2.0
"""As the limit of a photo in these tests."""

unruly = partial(ReaderProcess, UnrulyReader, SECONDS)
real = partial(ReaderProcess, partial(load_face_reader, None, None, PhotoLimits()))


class Running:
    """A photo service, and the readers it had, dead ones included."""

    def __init__(self, load: Callable[[], ReaderProcess], workers: int = 1, timeout: float = 30) -> None:
        self.readers: list[ReaderProcess] = []
        self.metrics = Metrics()

        def hire() -> Reader:
            self.readers.append(load())
            return self.readers[-1]

        self.service = PhotoService(hire, workers=workers, queue_limit=9, timeout=timeout, metrics=self.metrics)

    def deaths(self, cause: str) -> float:
        return float(self.metrics.reader_deaths.labels(cause)._value.get())

    async def until_loaded(self, number: int) -> None:
        await until(lambda: self.metrics.readers._value.get() == number)


@asynccontextmanager
async def running(
    load: Callable[[], ReaderProcess] = unruly, workers: int = 1, patience: float = 30
) -> AsyncIterator[Running]:
    one = Running(load, workers, patience)
    await one.service.load()
    try:
        yield one
    finally:
        await one.service.close()
        pids = [reader.pid for reader in one.readers]
        assert not [pid for pid in pids if pid and is_alive(pid)]


async def until(true: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("order", "cause"),
    [(CRASH, "SIGSEGV"), (ABORT, "SIGABRT"), (LEAVE, "status 3"), (HANG, "timeout"), (CUT, "SIGKILL")],
)
async def test_a_photo_that_ends_its_reader_is_unreadable_and_the_reader_comes_back(order: bytes, cause: str) -> None:
    async with running() as one:
        with capture_logs() as logs, pytest.raises(UnreadableImage, match="would again") as raised:
            await one.service.read(order)
        assert raised.value.code == "unreadable_image"
        assert one.service.ready  # photos may wait for the next reader
        assert await one.service.read(b"photo") == READING
        assert logs == [{"event": "reader_died", "log_level": "error", "cause": cause, "by_photo": True}]
        assert one.deaths(cause) == 1
        assert len(one.readers) == 2
        await one.until_loaded(1)


async def test_the_photos_of_other_readers_go_on() -> None:
    async with running(workers=2) as one:
        slow = asyncio.create_task(one.service.read(b"slow"))
        await asyncio.sleep(0.1)
        for _ in range(2):
            with pytest.raises(UnreadableImage):
                await one.service.read(CRASH)
        assert await slow == READING
        await one.until_loaded(2)
        assert len(one.readers) == 4


async def test_who_leaves_a_hanging_photo_leaves_no_reader_behind() -> None:
    async with running(patience=0.5) as one:
        with pytest.raises(Face2EmojiError) as raised:
            await one.service.read(HANG)
        assert raised.value.code == "busy"
        await until(lambda: one.deaths("timeout") == 1)
        await one.until_loaded(1)
        assert await one.service.read(b"photo") == READING


async def test_a_job_s_photo_that_hangs_is_unreadable_and_not_tried_again() -> None:
    async with running(patience=0.5) as one:
        with pytest.raises(UnreadableImage):
            await one.service.read(HANG, patient=True)


async def test_a_bomb_is_refused_and_its_reader_replaced() -> None:
    async with running() as one:
        with pytest.raises(ImageTooLarge):
            await one.service.read(DEVOUR)
        assert await one.service.read(b"photo") == READING
        assert len(one.readers) == 2


async def test_a_reader_killed_while_idle_costs_no_photo() -> None:
    async with running() as one:
        os.kill(one.readers[0].pid or 0, signal.SIGKILL)
        await until(lambda: not is_alive(one.readers[0].pid or 0))
        with capture_logs() as logs:
            assert await one.service.read(b"photo") == READING
        assert [(log["cause"], log["by_photo"]) for log in logs] == [("SIGKILL", False)]


async def test_a_reader_killed_in_the_midst_of_a_large_photo(portrait: bytes) -> None:
    white = encoded_white(9000, 7000)
    async with running(real) as one:
        reading = asyncio.create_task(one.service.read(white))
        await asyncio.sleep(0.1)
        os.kill(one.readers[0].pid or 0, signal.SIGSEGV)
        with pytest.raises(UnreadableImage):
            await reading
        assert one.deaths("SIGSEGV") == 1
        assert (await one.service.read(portrait)).faces


def encoded_white(width: int, height: int) -> bytes:
    from PIL import Image

    return encoded(Image.new("RGB", (width, height), "white"), "PNG")


async def test_a_mistake_of_ours_is_told_by_its_place_and_costs_one_reader() -> None:
    async with running() as one:
        with capture_logs() as logs, pytest.raises(InternalError):
            await one.service.read(SLIP)
        assert [(log["event"], log["kind"]) for log in logs] == [("photo_failed", "ValueError")]
        assert logs[0]["where"][-1].startswith("unruly_reader.py:")
        assert "quote" not in str(logs)
        assert await one.service.read(b"photo") == READING
        assert len(one.readers) == 2


async def test_a_reader_that_ends_while_it_starts_is_tried_again_later_and_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bot.photo_service, "FIRST_WAIT", 0.2)
    flag = tmp_path / "flag"
    flag.touch()
    async with running(partial(ReaderProcess, partial(fail_until, flag), SECONDS)) as one:
        flag.unlink()
        with capture_logs() as logs:
            with pytest.raises(UnreadableImage):
                await one.service.read(CRASH)
            await until(lambda: len(logs) >= 4)
            assert not one.service.ready
            flag.touch()
            await until(lambda: one.service.ready)
        assert {log["event"] for log in logs[1:]} == {"reader_not_started"}
        assert len(logs) < 9
        assert await one.service.read(b"photo") == READING


async def test_closing_does_not_wait_for_a_reader_that_cannot_start(tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    flag.touch()
    async with running(partial(ReaderProcess, partial(fail_until, flag), SECONDS)) as one:
        flag.unlink()
        with pytest.raises(UnreadableImage):
            await one.service.read(CRASH)
        await until(lambda: not one.service.ready)
        closing = time.monotonic()
    assert time.monotonic() - closing < 10


def test_what_goes_wrong_while_loading_is_told_to_whoever_loads(tmp_path: Path) -> None:
    with pytest.raises(ReaderDied, match=r"SIGABRT.*doctor"):
        ReaderProcess(partial(fail_until, tmp_path / "none"), SECONDS)
    with pytest.raises(ImportError, match=r"libGL\.so\.1"):
        ReaderProcess(out_of_order, SECONDS)
    with pytest.raises(CheckpointError, match="no weights"):
        ReaderProcess(partial(load_face_reader, tmp_path / "none.safetensors", None, PhotoLimits()))


def test_a_child_reads_as_the_reader_does_in_this_process(portrait: bytes) -> None:
    here, there = load_reader(), real()
    emoji_map = load_emoji_map()
    try:
        assert there.model == here.model
        assert there.read(portrait) == here.read(portrait)
        assert there.read(portrait, main_only=True) == here.read(portrait, main_only=True)
        followed = [Box(170, 60, 280, 180)]
        assert there.read(portrait, before=followed) == here.read(portrait, before=followed)
        assert there.mask(portrait, everyone=True, emoji_map=emoji_map) == here.mask(
            portrait, everyone=True, emoji_map=emoji_map
        )
        with pytest.raises(UnreadableImage) as raised:
            there.read(portrait[:3000])
        assert "damaged" in raised.value.message
    finally:
        here.close()
        there.close()


def test_a_child_cannot_dump_its_memory_nor_take_all_of_it() -> None:
    reader = unruly()
    limits = Path(f"/proc/{reader.pid}/limits").read_text().splitlines()
    reader.close()
    core, data = (next(line.split() for line in limits if line.startswith(name)) for name in ("Max core", "Max data"))
    assert core[4:6] == ["0", "0"]
    assert 2**30 < int(data[3]) < 3 * 2**30


ORPHANS = """
import sys, threading
from functools import partial
from bot.reader_process import ReaderProcess
from tests.bot.unruly_reader import UnrulyReader
if __name__ == "__main__":
    readers = [ReaderProcess(UnrulyReader, 1) for _ in range(2)]
    threading.Thread(target=readers[0].read, args=(b"hang",)).start()
    print("ready", flush=True)
    threading.Event().wait()
"""


def test_no_child_outlives_a_bot_that_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "orphans.py"
    script.write_text(ORPHANS)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen([sys.executable, str(script)], env=environment, stdout=subprocess.PIPE, text=True) as bot:
        assert bot.stdout
        assert bot.stdout.readline() == "ready\n"
        children = list(family(bot.pid))[1:]
        bot.kill()
    assert len(children) >= 3  # the fork server, an idle reader and one that hangs with the interpreter's lock
    end = time.monotonic() + 20
    while any(is_alive(child) for child in children):
        assert time.monotonic() < end, "a child is still there"
        time.sleep(0.05)
