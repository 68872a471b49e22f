"""A worker as a process of its own, whose platform and reader say what they do. Events come by its standard input."""

from __future__ import annotations

import asyncio
import dataclasses
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from bot.jobs import Jobs
from bot.metrics import Metrics
from bot.photo_service import PhotoService
from bot.post_reader import PostReader
from bot.selfie_job import PhotoRef, Result, SelfieJob
from bot.store import Store, open_database
from inference import Box, EmojiMap, Masked, Reading, load_emoji_map

ROOT = Path(__file__).parents[2]

Release = Literal["this", "older", "newer"]


def say(*words: str) -> None:
    sys.stdout.write(" ".join(("said", *words)) + "\n")
    sys.stdout.flush()


class SayingReader:
    """Takes its time."""

    model = "0123abcd"

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def read(self, data: bytes, *, main_only: bool, before: Sequence[Box] = ()) -> Reading:
        say("reads", data.decode())
        time.sleep(self._seconds)
        return Reading(width=4, height=3, faces=(), emoji=None)

    def mask(self, data: bytes, *, everyone: bool, emoji_map: EmojiMap | None) -> Masked:
        say("masks", data.decode())
        return Masked(b"", Reading(width=4, height=3, faces=(), emoji=None))

    def close(self) -> None:
        pass


class SayingPlatform:
    """Has the answer long before it says so, as a platform far away."""

    def __init__(self, platform: str, seconds: float) -> None:
        self.platform = platform
        self._seconds = seconds

    async def photos(self, job: SelfieJob) -> tuple[PhotoRef, ...]:
        return job.photos

    async def fetch(self, _job: SelfieJob, file: str) -> bytes:
        return file.encode()

    def working(self, _job: SelfieJob) -> AbstractAsyncContextManager[None]:
        return nullcontext()

    async def send(self, job: SelfieJob, _result: Result, _part: int, *, again: bool) -> bool:
        say("answers", job.event)
        await asyncio.sleep(self._seconds)
        return False


@dataclass(frozen=True, slots=True)
class OtherJob(SelfieJob):
    """As another release stores it: without fields that are new, or with one of the future."""

    older: bool = False

    def to_json(self) -> dict[str, Any]:
        stored = {field.name: getattr(self, field.name) for field in dataclasses.fields(SelfieJob)}
        stored["photos"] = [dataclasses.asdict(photo) for photo in self.photos]
        if self.older:
            return {name: stored[name] for name in stored if name not in ("settings", "everyone", "private")}
        return stored | {"colour": "of the future"}


def job_of(platform: str, event: str, release: Release) -> SelfieJob:
    """Make the job of an event; "album/7" is that of the album's photo 7, and "album/7/mask" wants it masked."""
    name, is_album, message = event.partition("/")
    message, masks, _ = message.partition("/")
    photo = PhotoRef("photo", (event,), int(message or 5))
    job = SelfieJob(
        platform, name, "-100777", message or "5", "4242", time.time(), photos=(photo,), album=bool(is_album)
    )
    if masks:
        job = dataclasses.replace(job, reply="mask")
    values = {field.name: getattr(job, field.name) for field in dataclasses.fields(job)}
    return job if release == "this" else OtherJob(**values, older=release == "older")


async def work(database: str, release: Release, read_seconds: float, send_seconds: float, platforms: list[str]) -> None:
    metrics, engine = Metrics(), open_database(database)
    service = PhotoService(lambda: SayingReader(read_seconds), workers=1, queue_limit=99, timeout=60, metrics=metrics)
    jobs = Jobs(engine, PostReader(service, Store(engine), load_emoji_map()), metrics, max_age=900, retention=86400)
    for platform in platforms:
        jobs.serve(SayingPlatform(platform, send_seconds))
    await service.load()
    await jobs.start()
    say("ready")
    while line := await asyncio.to_thread(sys.stdin.readline):
        platform, event = line.split()
        await jobs.submit(job_of(platform, event, release))
        say("stores", event)
    await jobs.stop()
    await service.close()
    engine.dispose()


@dataclass(frozen=True)
class Said:
    """What a worker has done: got ready; stored, read or answered an event's job."""

    worker: str
    what: str
    event: str = ""


class WorkerProcess:
    """The process.

    Args:
        name: its name in what it says.
        database: the address of a PostgreSQL.
        said: what all workers say, in their order; it grows.
        platforms: those it serves.
        release: whose jobs it makes of the events.
        read_seconds, send_seconds: how long it takes to read, and, after it has answered, to know that.
    """

    def __init__(
        self,
        name: str,
        database: str,
        said: list[Said],
        *platforms: str,
        release: Release = "this",
        read_seconds: float = 1,
        send_seconds: float = 0,
    ) -> None:
        self.name = name
        settings = (database, release, str(read_seconds), str(send_seconds), *platforms)
        command = [sys.executable, "-m", "tests.bot.worker_process", *settings]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        assert self.process.stdin
        assert self.process.stdout
        self._input, self._output = self.process.stdin, self.process.stdout
        self._thread = threading.Thread(target=self._listen, args=(said,))
        self._thread.start()

    def take_in(self, platform: str, *events: str) -> None:
        """Let these events come in at this process."""
        for event in events:
            self._input.write(f"{platform} {event}\n")

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> int:
        """Let it finish; return its exit status."""
        self._input.close()
        return self.process.wait(30)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self._thread.join()
        self._input.close()
        self._output.close()

    def _listen(self, said: list[Said]) -> None:
        for line in self._output:
            if line.startswith("said "):  # the rest is the log
                said.append(Said(self.name, *line.split()[1:]))  # noqa: PERF401 - it is looked at while it grows


if __name__ == "__main__":
    database, release, read_seconds, send_seconds, *platforms = sys.argv[1:]
    asyncio.run(work(database, cast("Release", release), float(read_seconds), float(send_seconds), platforms))
