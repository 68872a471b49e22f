"""Workers on one PostgreSQL: one dies, one is stopped, some are cut off from the database. The others go on."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
import sqlalchemy as sa

from bot.jobs import BEAT_SECONDS, LEASE_SECONDS
from bot.store import open_database
from tests.bot.databases import NewDatabase
from tests.bot.worker_process import Release, Said, WorkerProcess
from tests.e2e.served import NO_DOT_ENV, bot_environment

pytestmark = pytest.mark.parametrize("new_database", ["postgresql"], indirect=True)

JOBS = 3
# A busy machine may need so long for anything.
PATIENCE = 60


class Cable:
    """A way to PostgreSQL's socket that can be cut: then nothing gets through, and no connection ends."""

    def __init__(self, database: str) -> None:
        url = sa.make_url(database)
        self._socket = f"{url.query['host']}/.s.PGSQL.{url.port or 5432}"
        self._whole = asyncio.Event()
        self._whole.set()
        self._loop = asyncio.new_event_loop()
        self._server = self._loop.run_until_complete(asyncio.start_server(self._connect, "127.0.0.1", 0))
        port = self._server.sockets[0].getsockname()[1]
        self.database = url.set(host="127.0.0.1", port=port, query={}).render_as_string(hide_password=False)
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def cut(self) -> None:
        self._loop.call_soon_threadsafe(self._whole.clear)

    def mend(self) -> None:
        self._loop.call_soon_threadsafe(self._whole.set)

    def close(self) -> None:
        async def end() -> None:
            self._server.close()
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_unix_connection(self._socket)
        try:
            await asyncio.gather(self._carry(reader, inner_writer), self._carry(inner_reader, writer))
        finally:
            writer.close()
            inner_writer.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                await self._whole.wait()
                writer.write(data)
                await writer.drain()
        writer.close()


class Workers:
    """Processes on one database, and what they have said so far."""

    def __init__(self) -> None:
        self.said: list[Said] = []
        self.processes: list[WorkerProcess] = []

    def start(self, name: str, database: str, *platforms: str, **settings: Any) -> WorkerProcess:
        worker = WorkerProcess(name, database, self.said, *(platforms or ("test",)), **settings)
        self.processes.append(worker)
        self.wait(lambda: Said(name, "ready") in self.said)
        return worker

    def wait(self, true: Callable[[], bool], seconds: float = PATIENCE) -> None:
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end, f"it did not happen in time: {self.said}"
            time.sleep(0.02)

    def events(self, what: str) -> Counter[str]:
        return Counter(said.event for said in list(self.said) if said.what == what)


@pytest.fixture
def database(new_database: NewDatabase) -> str:
    return new_database()


@pytest.fixture
def new_cable(database: str) -> Iterator[Callable[[], Cable]]:
    cables: list[Cable] = []

    def lay() -> Cable:
        cables.append(Cable(database))
        return cables[-1]

    yield lay
    for cable in cables:
        cable.close()


@pytest.fixture
def workers(new_cable: Callable[[], Cable]) -> Iterator[Workers]:
    workers = Workers()
    yield workers
    for worker in workers.processes:
        worker.close()


def test_others_take_over_and_nothing_is_lost_or_doubled(
    database: str, new_cable: Callable[[], Cable], workers: Workers
) -> None:
    cable = new_cable()
    stopped = workers.start("stopped", database)
    dead = workers.start("dead", database)
    cut_off = workers.start("cut-off", cable.database)
    survivor = workers.start("survivor", database)
    for worker in (stopped, dead, cut_off):
        worker.take_in("test", *(f"{worker.name}-{number}" for number in range(JOBS)))
    workers.wait(
        lambda: {said.worker for said in workers.said if said.what == "reads"} >= {"stopped", "dead", "cut-off"}
    )
    engine = open_database(database)
    held = engine.connect()
    held.execute(sa.text("SELECT * FROM dbos.workflow_status FOR UPDATE"))  # as one that stops in mid-transaction
    stopped.signal(signal.SIGSTOP)
    dead.signal(signal.SIGKILL)
    cable.cut()
    workers.wait(lambda: len(workers.events("answers")) == 3 * JOBS)
    stopped.signal(signal.SIGCONT)
    cable.mend()
    with suppress(sa.exc.DBAPIError):
        held.close()
    engine.dispose()
    # They go on where they were, and behind that stands what comes in now.
    for worker in (stopped, cut_off, survivor):
        worker.take_in("test", f"after-{worker.name}")
    workers.wait(lambda: len(workers.events("answers")) == 3 * JOBS + 3)
    assert [worker.end() for worker in (stopped, cut_off, survivor)] == [0, 0, 0]
    assert set(workers.events("answers").values()) == {1}


def test_nobody_is_taken_for_dead_because_the_database_was_away(
    database: str, new_cable: Callable[[], Cable], workers: Workers
) -> None:
    first, second = new_cable(), new_cable()
    answering = workers.start("answering", first.database, send_seconds=1)
    other = workers.start("other", second.database)
    answering.take_in("test", "event")
    workers.wait(lambda: bool(workers.events("answers")))
    first.cut()  # the platform has the answer, but that is not noted down yet
    second.cut()
    time.sleep(LEASE_SECONDS + BEAT_SECONDS)
    second.mend()
    time.sleep(2 * BEAT_SECONDS)
    first.mend()
    other.take_in("test", "later")
    workers.wait(lambda: len(workers.events("answers")) == 2)
    assert [answering.end(), other.end()] == [0, 0]
    assert set(workers.events("answers").values()) == {1}


def test_a_dead_worker_s_jobs_go_to_those_who_serve_their_platform(database: str, workers: Workers) -> None:
    rare, frequent = ({f"{kind}-{number}" for number in range(JOBS)} for kind in ("rare", "frequent"))
    dead = workers.start("dead", database, "rare", "frequent")
    workers.start("survivor", database, "frequent")
    dead.take_in("rare", *rare)
    dead.take_in("frequent", *frequent)
    workers.wait(lambda: rare | frequent <= workers.events("stores").keys())
    dead.signal(signal.SIGKILL)
    workers.wait(lambda: frequent <= workers.events("answers").keys())
    assert not rare <= workers.events("answers").keys()
    workers.start("new", database, "rare")
    workers.wait(lambda: rare <= workers.events("answers").keys())


def test_a_late_photo_of_an_album_is_answered_once_whoever_it_comes_to(database: str, workers: Workers) -> None:
    both = [workers.start(name, database, read_seconds=0) for name in ("one", "two")]
    photos = [f"album/{number}" for number in range(4)]
    both[0].take_in("test", photos[0])
    workers.wait(lambda: bool(workers.events("answers")))
    for worker in both:
        worker.take_in("test", *photos[:3])
    workers.wait(lambda: workers.events("reads").total() == 3)
    assert both[0].end() == 0
    both[1].take_in("test", *photos)
    workers.wait(lambda: workers.events("reads").total() == 4)
    assert both[1].end() == 0
    assert workers.events("reads") == Counter(photos)
    assert set(workers.events("answers").values()) == {1}


def test_an_album_is_masked_if_one_photo_wants_that_whoever_it_comes_to(database: str, workers: Workers) -> None:
    one, two = (workers.start(name, database) for name in ("one", "two"))
    one.take_in("test", "album/0", "other/0/mask")
    two.take_in("test", "album/1/mask", "other/1")
    workers.wait(lambda: workers.events("masks").total() == 4)
    workers.wait(lambda: workers.events("answers").total() == 2)
    assert [one.end(), two.end()] == [0, 0]
    assert workers.events("masks") == Counter(["album/0", "album/1/mask", "other/0/mask", "other/1"])
    assert workers.events("answers") == Counter(["album", "other"])
    assert not workers.events("reads")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_can_be_stopped_while_nobody_can_be_reached(database: str, number: signal.Signals) -> None:
    environment = bot_environment(
        TELEGRAM_BOT_TOKEN="123456789:AAF",
        TELEGRAM_BASE_URL="http://127.0.0.1:1",
        FACE2EMOJI_DATABASE_URL=database.replace("+psycopg", ""),
        FACE2EMOJI_LOG_FORMAT="json",
    )
    command = [sys.executable, "-m", "bot", "worker"]
    with subprocess.Popen(command, cwd=NO_DOT_ENV, env=environment, stderr=subprocess.PIPE, text=True) as worker:
        assert worker.stderr
        try:
            assert any("telegram_unreachable" in line for line in worker.stderr)
            worker.send_signal(number)
            assert worker.wait(PATIENCE) == 0
        finally:
            worker.kill()


@pytest.mark.parametrize("release", ["older", "newer"])
def test_jobs_of_another_release_are_answered(database: str, workers: Workers, release: Release) -> None:
    other = workers.start("other", database, release=release)
    other.take_in("test", "event")
    workers.wait(lambda: Said("other", "reads", "event") in workers.said)
    other.signal(signal.SIGKILL)
    workers.start("this", database)
    workers.wait(lambda: Said("this", "answers", "event") in workers.said)
