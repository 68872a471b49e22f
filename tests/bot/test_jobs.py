"""The durable job on both databases: real DBOS, and a platform that obeys the test. Kill -9 is in test_kill.py."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from contextvars import Context
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import sqlalchemy as sa
from dbos import DBOS
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

import bot.jobs
from bot.errors import DatabaseUnavailable, FileUnavailable
from bot.jobs import AT_ONCE, Jobs
from bot.metrics import Metrics
from bot.photo_service import PhotoService, Reader
from bot.post_reader import AHEAD, PostReader
from bot.reader_process import ReaderProcess
from bot.selfie_job import PhotoRef, Refused, Result, SelfieJob, TryAgain
from bot.store import Store, open_database
from inference import Reading, UnreadableImage, load_emoji_map
from tests.bot.databases import NewDatabase
from tests.bot.served import ObedientReader
from tests.bot.unruly_reader import UnrulyReader

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

# Letters that no random identifier has, so that finding one in the tables means that it is this one.
SENDER, OTHER_SENDER = "member-you", "member-two"


class Platform:
    """A channel whose calls the test decides on."""

    platform = "test"

    def __init__(self) -> None:
        self.parts = 1
        self.troubles: list[Exception] = []
        self.sent: list[tuple[str, int]] = []
        self.jobs: list[SelfieJob] = []
        self.results: list[Result] = []
        self.calls: list[float] = []
        self.tries: list[bool] = []
        self.fetched: list[str] = []
        self.missing: set[str] = set()
        self.hold = asyncio.Event()
        self.hold.set()
        self.holding_part = 0

    async def photos(self, job: SelfieJob) -> tuple[PhotoRef, ...]:
        return job.photos

    async def fetch(self, _job: SelfieJob, file: str) -> bytes:
        self.fetched.append(file)
        if file in self.missing:
            raise TryAgain from TimeoutError()
        return file.encode()

    def working(self, job: SelfieJob) -> AbstractAsyncContextManager[None]:
        return nullcontext()

    async def send(self, job: SelfieJob, result: Result, part: int, *, again: bool) -> bool:
        self.tries.append(again)
        self.calls.append(time.monotonic())
        if self.troubles:
            raise self.troubles.pop(0)
        if part == self.holding_part:
            await self.hold.wait()
        self.sent.append((job.event, part))
        self.jobs.append(job)
        self.results.append(result)
        return part + 1 < self.parts

    async def until(self, number: int, seconds: float = 20) -> None:
        """Wait for so many parts."""
        await wait_for(lambda: len(self.sent) >= number, seconds)


async def wait_for(true: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        await asyncio.sleep(0.01)


class World:
    """One process: jobs, their database, the reader."""

    def __init__(
        self,
        url: str,
        reader: ObedientReader,
        platform: Platform,
        load: Callable[[], Reader] | None = None,
        *,
        also: Sequence[Platform] = (),
        queue_limit: int = 1,
        **changes: float,
    ) -> None:
        self.engine = open_database(url)
        self.metrics = Metrics()
        self.reader = reader
        self.service = PhotoService(
            load or reader.load, workers=1, queue_limit=queue_limit, timeout=10, metrics=self.metrics
        )
        times = {"max_age": 900.0, "retention": 86400.0} | changes
        reader_of_posts = PostReader(self.service, Store(self.engine), load_emoji_map())
        self.jobs = Jobs(self.engine, reader_of_posts, self.metrics, **times)
        for each in (platform, *also):
            self.jobs.serve(each)

    async def start(self) -> Jobs:
        await self.service.load()
        await self.jobs.start()
        return self.jobs

    async def stop(self, seconds: int = 5) -> None:
        await self.jobs.stop(seconds)
        await self.service.close()
        self.engine.dispose()

    def ended(self, outcome: str) -> float:
        return float(self.metrics.jobs.labels("test", outcome)._value.get())

    def dump(self) -> str:
        """Everything in every table."""
        rows: list[Any] = []
        inspector = sa.inspect(self.engine)
        for schema in inspector.get_schema_names():
            if schema in ("information_schema", "pg_catalog"):
                continue
            for table in inspector.get_table_names(schema):
                name = sa.table(table, schema=schema)
                with self.engine.connect() as connection:
                    rows += connection.execute(sa.select(sa.text("*")).select_from(name)).all()
        return repr(rows)


Begin = Callable[..., Awaitable[World]]


@pytest.fixture
def platform() -> Platform:
    return Platform()


@pytest.fixture
async def begin(new_database: NewDatabase, reader: ObedientReader, platform: Platform) -> AsyncIterator[Begin]:
    """Start a process, always on the same database; one at a time."""
    url = new_database()
    running: list[World] = []

    async def start(platform: Platform = platform, **changes: Any) -> World:
        if running:
            await running.pop().stop(0)
        world = World(url, reader, platform, **changes)
        running.append(world)
        await world.start()
        return world

    yield start
    platform.hold.set()
    for world in running:
        await world.stop()


def is_written(folder: Path, what: bytes) -> bool:
    """Look into the bytes of SQLite's files, deleted rows included."""
    return any(what in path.read_bytes() for path in folder.glob("*.db*"))


def job(**changes: Any) -> SelfieJob:
    fresh = SelfieJob(
        platform="test",
        event=uuid4().hex,
        chat="-100777",
        message="5",
        sender=SENDER,
        posted=time.time(),
        photos=(PhotoRef("photo", ("small",)),),
    )
    return replace(fresh, **changes)


async def test_a_job_is_answered(begin: Begin, platform: Platform) -> None:
    world = await begin()
    one = job()
    await world.jobs.submit(one)
    await platform.until(1)
    assert platform.sent == [(one.event, 0)]
    assert platform.results[0].model == "0123abcd"
    await wait_for(lambda: world.ended("answered") == 1)


async def test_an_event_that_comes_again_is_the_same_job(begin: Begin, platform: Platform) -> None:
    world = await begin()
    one, other = job(), job()
    await asyncio.gather(*(world.jobs.submit(one) for _ in range(5)))
    await platform.until(1)
    await wait_for(lambda: world.ended("answered") == 1)
    await world.jobs.submit(one)
    world = await begin()
    await world.jobs.submit(one)
    await world.jobs.submit(other)
    await platform.until(2)
    assert platform.sent == [(one.event, 0), (other.event, 0)]


async def test_a_rush_is_answered_in_full_each_once(begin: Begin, platform: Platform) -> None:
    world = await begin()
    platform.hold.clear()
    rush = [job() for _ in range(4 * AT_ONCE)]
    for one in rush:
        await world.jobs.submit(one)
    await wait_for(lambda: len(platform.calls) >= AT_ONCE)
    await asyncio.sleep(1)
    assert len(platform.calls) < 3 * AT_ONCE  # those begun here, and as many from the queue
    platform.hold.set()
    await platform.until(len(rush), 60)
    assert sorted(platform.sent) == sorted((one.event, 0) for one in rush)


async def test_parts_that_were_sent_are_not_sent_again(begin: Begin, platform: Platform) -> None:
    platform.parts, platform.holding_part = 3, 1
    platform.hold.clear()
    world = await begin()
    one = job()
    await world.jobs.submit(one)
    await wait_for(lambda: len(platform.calls) == 2)
    platform.hold = asyncio.Event()  # the first process never gets further
    platform.hold.set()
    await begin()
    await platform.until(3)
    assert platform.sent == [(one.event, 0), (one.event, 1), (one.event, 2)]
    assert platform.fetched == ["small", "small"]  # what was read is kept nowhere: it is read anew


async def test_a_process_that_ends_leaves_its_answer_to_the_next(begin: Begin, platform: Platform) -> None:
    platform.hold.clear()
    world = await begin()
    await world.jobs.submit(job())
    await wait_for(lambda: bool(platform.calls))
    await begin()
    platform.hold.set()
    await platform.until(1)
    await asyncio.sleep(0.3)
    assert len(platform.sent) == 1


async def test_what_the_platform_asks_for_is_waited(begin: Begin, platform: Platform) -> None:
    world = await begin()
    platform.troubles = [TryAgain(1.5), TryAgain()]
    await world.jobs.submit(job())
    await platform.until(1)
    first, second, third = platform.calls
    assert second - first >= 1.5
    assert third - second >= 2 * bot.jobs.FIRST_WAIT
    assert platform.fetched == ["small"]


async def test_a_refusal_ends_the_job(begin: Begin, platform: Platform) -> None:
    world = await begin()
    platform.troubles = [Refused("Forbidden: bot was blocked by the user")]
    await world.jobs.submit(job())
    await wait_for(lambda: world.ended("refused") == 1)
    await world.jobs.submit(job())
    await platform.until(1)
    assert len(platform.calls) == 2


async def test_a_mistake_of_ours_ends_the_job_and_no_other(begin: Begin, platform: Platform) -> None:
    world = await begin()
    platform.troubles = [ZeroDivisionError()]
    await world.jobs.submit(job())
    await wait_for(lambda: world.ended("failed") == 1)
    await world.jobs.submit(job())
    await platform.until(1)


async def test_a_database_that_is_away_for_a_moment_costs_no_answer(begin: Begin, platform: Platform) -> None:
    world = await begin()
    platform.troubles = [sa.exc.OperationalError("SELECT", {}, OSError("connection reset"))]
    await world.jobs.submit(job())
    await platform.until(1)
    await wait_for(lambda: world.ended("answered") == 1)
    assert (len(platform.calls), world.ended("failed")) == (2, 0)


async def test_a_job_too_old_to_matter_is_dropped_and_counted(begin: Begin, platform: Platform) -> None:
    world = await begin(max_age=60)
    await world.jobs.submit(job(posted=time.time() - 61))
    await wait_for(lambda: world.ended("expired") == 1)
    assert (platform.calls, platform.fetched) == ([], [])


async def test_a_job_that_cannot_be_answered_is_not_tried_for_ever(begin: Begin, platform: Platform) -> None:
    world = await begin(max_age=3)
    platform.troubles = [TryAgain() for _ in range(100)]
    await world.jobs.submit(job())
    await wait_for(lambda: world.ended("expired") == 1)
    assert 1 <= len(platform.calls) <= 4


async def test_nobody_waits_longer_than_a_job_matters(begin: Begin, platform: Platform) -> None:
    world = await begin(max_age=2)
    platform.troubles = [TryAgain(3600)]
    await world.jobs.submit(job())
    await wait_for(lambda: world.ended("expired") == 1, 6)
    assert len(platform.calls) == 1


async def test_few_photos_wait_in_memory_and_the_page_finds_room(
    begin: Begin, platform: Platform, reader: ObedientReader
) -> None:
    world = await begin(queue_limit=AHEAD + 1)
    reader.may_read.clear()
    jobs = [job() for _ in range(AT_ONCE)]
    for one in jobs:
        await world.jobs.submit(one)
    await wait_for(lambda: len(platform.fetched) == 1 + AHEAD)
    await asyncio.sleep(0.5)
    assert len(platform.fetched) == 1 + AHEAD  # one is read, the others are next
    world.service.check()
    reader.may_read.set()
    await platform.until(len(jobs))


async def test_a_platform_whose_files_hang_holds_back_no_other(begin: Begin, platform: Platform) -> None:
    async def hang(_job: SelfieJob, _file: str) -> bytes:
        await asyncio.sleep(60)
        raise TryAgain

    elsewhere = Elsewhere()
    elsewhere.fetch = hang  # type: ignore[assignment, method-assign]
    world = await begin(also=[elsewhere])
    for _ in range(AHEAD + 2):
        await world.jobs.submit(job(platform="elsewhere"))
    await world.jobs.submit(job())
    await platform.until(1)


async def test_a_photo_that_the_platform_does_not_give_is_told_of_while_somebody_waits(
    begin: Begin, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bot.jobs, "FETCH_SECONDS", 1.0)
    platform.missing = {"lost"}
    photos = (PhotoRef("photo", ("here",)), PhotoRef("photo", ("lost",)))
    world = await begin(max_age=6)
    with capture_logs([merge_contextvars]) as logs:
        await world.jobs.submit(job(photos=photos))
        await world.jobs.submit(job(photos=photos, reply="reaction"))
        await wait_for(lambda: world.ended("answered") == world.ended("expired") == 1)
    (result,) = platform.results
    here, lost = (outcome.result for outcome in result.outcomes)
    assert isinstance(here, Reading)
    assert isinstance(lost, FileUnavailable)
    tried = [entry for entry in logs if entry["event"] == "job_tried_again"]
    assert {entry["kind"] for entry in tried} == {"TimeoutError"}
    assert {entry["job"] for entry in tried} == {entry["job"] for entry in logs if entry["event"] == "job_ended"}


async def test_a_photo_is_read_after_all_if_the_platform_comes_back(
    begin: Begin, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bot.jobs, "FETCH_SECONDS", 0.2)
    platform.missing = {"file"}
    platform.troubles = [TryAgain()]
    world = await begin()
    await world.jobs.submit(job(photos=(PhotoRef("photo", ("file",)),)))
    await wait_for(lambda: not platform.troubles)
    platform.missing = set()
    await platform.until(1)
    assert isinstance(platform.results[0].outcomes[0].result, Reading)


def album_photo(number: int, **changes: Any) -> SelfieJob:
    """What the event of one photo of an album asks for."""
    photo = PhotoRef("photo", (f"file{number}",), number)
    return job(event="album-7", message=str(number), album=True, photos=(photo,), **changes)


async def test_an_album_is_one_job(begin: Begin, platform: Platform) -> None:
    world = await begin()
    album = [album_photo(number) for number in range(3)]
    for one in [*album, *album]:
        await world.jobs.submit(one)
    await world.jobs.join(album_photo(9))
    await world.jobs.join(job(event="album-8", album=True))  # nobody asked about that one
    await platform.until(1)
    await asyncio.sleep(0.3)
    assert platform.sent == [("album-7", 0)]
    assert platform.fetched == ["file0", "file1", "file2", "file9"]


async def test_a_photo_that_comes_after_its_album_was_answered_is_answered_once(
    begin: Begin, platform: Platform
) -> None:
    world = await begin()
    album = [album_photo(number) for number in range(4)]
    await world.jobs.submit(album[0])
    await platform.until(1)
    await world.jobs.submit(album[1])
    await world.jobs.join(album[2])
    await platform.until(2)
    for _ in range(2):
        for one in album[:3]:
            await world.jobs.submit(one)
        await asyncio.sleep(1.5 * bot.jobs.ALBUM_SECONDS)
        world = await begin()
    await world.jobs.submit(album[3])
    await platform.until(3)
    assert platform.fetched == ["file0", "file1", "file2", "file3"]
    assert len({event for event, _ in platform.sent}) == 3


async def test_a_photo_that_comes_while_its_album_is_being_answered_is_answered_as_the_album_is(
    begin: Begin, platform: Platform
) -> None:
    world = await begin()
    platform.hold.clear()
    await world.jobs.submit(album_photo(0, reply="private"))
    await wait_for(lambda: len(platform.calls) == 1)
    await world.jobs.join(album_photo(1))
    await wait_for(lambda: len(platform.calls) == 2)
    platform.hold.set()
    await wait_for(lambda: world.ended("answered") == 2)
    await world.jobs.join(album_photo(1))
    await asyncio.sleep(1.5 * bot.jobs.ALBUM_SECONDS)
    assert platform.fetched == ["file0", "file1"]
    assert [(one.reply, one.message) for one in platform.jobs] == [("private", "0"), ("private", "1")]


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0), (2, 0, 1)])
async def test_an_album_is_answered_as_the_strongest_wish_of_its_photos_wants(
    begin: Begin, platform: Platform, order: tuple[int, ...]
) -> None:
    world = await begin()
    wishes: list[dict[str, Any]] = [{}, {"reply": "mask"}, {"reply": "reaction", "everyone": True}]
    platform.hold.clear()
    for number in order:
        await world.jobs.submit(album_photo(number, **wishes[number]))
    await wait_for(lambda: len(platform.calls) == 1)
    back = Platform()
    await begin(platform=back)  # died while it was at work
    await back.until(1)
    (one,) = back.jobs
    assert (one.reply, one.everyone, [photo.message for photo in one.photos]) == ("mask", True, [0, 1, 2])


async def test_a_wish_that_comes_late_counts_for_the_photos_that_were_answered_otherwise(
    begin: Begin, platform: Platform
) -> None:
    world = await begin()
    album = [album_photo(0), album_photo(1), album_photo(2, reply="mask"), album_photo(3)]
    for number, one in enumerate(album, 1):
        await world.jobs.submit(one)
        await platform.until(number)
    for one in album:
        await world.jobs.submit(one)
    await asyncio.sleep(1.5 * bot.jobs.ALBUM_SECONDS)
    answered = [(one.reply, [photo.message for photo in one.photos]) for one in platform.jobs]
    assert answered == [("message", [0]), ("message", [1]), ("mask", [0, 1, 2]), ("mask", [3])]


async def test_an_album_is_answered_though_the_database_never_says_what_came_late(
    begin: Begin, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[SelfieJob] = []

    def fail(_jobs: Jobs, one: SelfieJob) -> None:
        asked.append(one)
        raise sa.exc.DatabaseError("SELECT", None, psycopg.Error("permission denied"))

    monkeypatch.setattr(Jobs, "_not_received", fail)
    world = await begin(max_age=4)
    await world.jobs.submit(album_photo(0))
    await platform.until(1)
    await wait_for(lambda: "SUCCESS" in world.dump())
    assert 2 <= len(asked) <= 6


async def test_what_an_older_release_sent_to_an_album_is_answered_as_the_album_is(
    begin: Begin, platform: Platform
) -> None:
    world = await begin()
    one = album_photo(0, reply="mask")
    await world.jobs.submit(one)
    photo = {"kind": "photo", "files": ["file1"], "message": 1}
    await DBOS.send_async(one.id, photo, topic="photo")
    await platform.until(1)
    assert (platform.jobs[0].reply, len(platform.jobs[0].photos)) == ("mask", 2)


async def test_the_photo_that_began_an_album_is_not_late_when_it_comes_again(
    begin: Begin, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await begin()

    async def fail(*_arguments: object, **_named: object) -> None:
        raise OSError("as a crash would")

    with monkeypatch.context() as between:
        between.setattr(DBOS, "send_async", fail)
        with pytest.raises(OSError, match="as a crash would"):
            await world.jobs.submit(album_photo(0))
    await platform.until(1)
    await world.jobs.submit(album_photo(0))
    await asyncio.sleep(1.5 * bot.jobs.ALBUM_SECONDS)
    assert platform.fetched == ["file0"]


@pytest.mark.parametrize("new_database", ["postgresql"], indirect=True)
async def test_a_photo_that_comes_in_the_instant_in_which_its_album_is_closed_is_answered(
    begin: Begin, platform: Platform
) -> None:
    """Who brings it sees the job open, and the job sees it when it looks again, be the database in trouble then."""
    world = await begin()
    loop = asyncio.get_running_loop()
    late, troubles = [album_photo(1)], [psycopg.Error("the disk is full")]

    @sa.event.listens_for(world.engine, "before_cursor_execute")
    def meanwhile(_connection: object, _cursor: object, statement: str, values: Any, *_more: object) -> None:
        is_step = statement.startswith("INSERT") and "operation_outputs" in statement
        if late and is_step and "DBOS.recv" in str(values) and "'null'" in str(values):
            outside = Context()  # as another process would: no part of the job
            outside.run(asyncio.run_coroutine_threadsafe, world.jobs.submit(late.pop()), loop).result(10)
        elif troubles and statement.startswith("SELECT") and "notifications.message" in statement:
            raise sa.exc.DatabaseError(statement, None, troubles.pop())

    await world.jobs.submit(album_photo(0))
    await platform.until(2)
    assert (late, troubles) == ([], [])
    assert sorted(platform.fetched) == ["file0", "file1"]


async def test_the_larger_rendition_is_read_when_the_small_one_is_not_enough(begin: Begin, platform: Platform) -> None:
    world = await begin()
    await world.jobs.submit(job(photos=(PhotoRef("photo", ("small", "large")),)))
    await platform.until(1)
    assert platform.fetched == ["small", "large"]  # the reader of these tests finds no face


async def test_an_unreadable_photo_is_an_answer(begin: Begin, platform: Platform, reader: ObedientReader) -> None:
    world = await begin()
    reader.answers[b"small"] = UnreadableImage("damaged")
    await world.jobs.submit(job())
    await platform.until(1)
    assert isinstance(platform.results[0].outcomes[0].result, UnreadableImage)


@pytest.mark.parametrize("order", ["crash", "hang"])
async def test_a_photo_that_ends_its_reader_is_answered_and_not_read_again(
    begin: Begin, platform: Platform, order: str
) -> None:
    world = await begin(load=partial(ReaderProcess, UnrulyReader, 1.0))
    await world.jobs.submit(job(photos=(PhotoRef("photo", (order,)),)))
    await world.jobs.submit(job(photos=(PhotoRef("photo", ("sound",)),)))
    await platform.until(2)
    results = sorted((type(result.outcomes[0].result).__name__ for result in platform.results), key=len)
    assert results == ["Reading", "UnreadableImage"]
    assert platform.fetched.count(order) == 1
    assert world.metrics.retries.labels("test")._value.get() == 0


async def test_another_release_s_job_is_understood(begin: Begin, platform: Platform) -> None:
    world = await begin()
    one = job()
    stored = one.to_json() | {"colour": "a field of the future"}
    for missing in ("thread", "language", "reply", "album"):
        del stored[missing]
    assert SelfieJob.from_json(stored) == one
    assert DBOS.application_version == bot.jobs.JOB_VERSION  # the same for all, so that each takes up the other's
    assert world.ended("failed") == 0


async def test_tables_hold_references_and_nothing_of_the_face(begin: Begin, platform: Platform) -> None:
    world = await begin()
    await world.jobs.submit(job())
    await platform.until(1)
    await wait_for(lambda: "SUCCESS" in world.dump())
    dump = world.dump()
    assert "-100777" in dump
    assert SENDER in dump
    assert not any(word in dump for word in ("happy", "neutral", "faces", "confidence"))


async def test_nothing_remains_after_the_retention(begin: Begin, platform: Platform, tmp_path: Path) -> None:
    world = await begin()
    await world.jobs.submit(job())
    await world.jobs.submit(job(event="album-7", album=True))
    await platform.until(2)
    await wait_for(lambda: world.ended("answered") == 2)
    await world.jobs.purge()
    assert SENDER in world.dump()  # not yet
    world = await begin(retention=1)
    platform.hold.clear()
    await world.jobs.submit(job(sender=OTHER_SENDER))
    await asyncio.sleep(2.2)
    await world.jobs.purge()
    dump = world.dump()
    assert SENDER not in dump
    assert OTHER_SENDER in dump  # it is still at work
    assert not is_written(tmp_path, SENDER.encode())


class Elsewhere(Platform):
    """Another platform than that of the stored jobs."""

    platform = "elsewhere"


async def test_a_job_waits_for_a_process_that_serves_its_platform(
    begin: Begin, platform: Platform, reader: ObedientReader
) -> None:
    world = await begin()
    platform.hold.clear()
    await world.jobs.submit(job())
    await wait_for(lambda: bool(platform.calls))
    elsewhere, back = Elsewhere(), Platform()
    world = await begin(platform=elsewhere)  # died, and came back without the token
    await world.jobs.submit(job(platform="elsewhere"))
    await elsewhere.until(1)
    await begin(platform=back)
    await back.until(1)


async def test_what_nobody_serves_any_more_is_erased_in_the_end(begin: Begin, platform: Platform) -> None:
    world = await begin()
    platform.hold.clear()
    await world.jobs.submit(job())
    await wait_for(lambda: bool(platform.calls))
    world = await begin(platform=Elsewhere())
    await world.jobs.purge()
    assert SENDER in world.dump()  # not yet
    world = await begin(platform=Elsewhere(), retention=1, max_age=1)
    await asyncio.sleep(2.2)
    await world.jobs.purge()
    assert SENDER not in world.dump()


async def test_a_try_that_may_have_got_through_is_known_as_such(begin: Begin, platform: Platform) -> None:
    world = await begin()
    platform.troubles = [TryAgain()]
    platform.parts = 2
    await world.jobs.submit(job())
    await platform.until(2)
    assert platform.tries == [False, True, False]
    platform.hold.clear()
    await world.jobs.submit(job())
    await wait_for(lambda: len(platform.calls) == 4)
    back = Platform()
    await begin(platform=back)  # died while it was at work
    await back.until(1)
    assert back.tries == [True]


async def test_an_event_that_comes_again_after_a_crash_does_not_pass_for_new(begin: Begin, platform: Platform) -> None:
    """It may come before the job is taken up again, whose answer may have been given already."""
    world = await begin()
    platform.hold.clear()
    one = job()
    await world.jobs.submit(one)
    await wait_for(lambda: bool(platform.calls))
    back = Platform()
    world = await begin(platform=back)  # died while it was at work
    await world.jobs.submit(one)
    await back.until(1)
    assert back.tries == [True]


def fail_to_record(
    world: World, times: int, verb: str = "INSERT", table: str = "operation_outputs"
) -> Callable[[], int]:
    """Let the database refuse the record of so many answers; return how many of those refusals are left."""

    @sa.event.listens_for(world.engine, "before_cursor_execute")
    def fail(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        nonlocal times
        if times and statement.startswith(verb) and table in statement:
            times -= 1
            raise sa.exc.OperationalError(statement, None, psycopg.OperationalError("connection is bad"))

    return lambda: times


async def test_an_answer_that_could_not_be_recorded_is_recorded_later_and_not_given_again(
    begin: Begin, platform: Platform
) -> None:
    world = await begin()
    platform.parts = 2
    left = fail_to_record(world, 2)
    one = job()
    await world.jobs.submit(one)
    await wait_for(lambda: world.ended("answered") == 1)
    assert left() == 0
    assert platform.sent == [(one.event, 0), (one.event, 1)]


async def test_what_was_recorded_late_is_known_after_a_crash(begin: Begin, platform: Platform) -> None:
    world = await begin()
    platform.parts, platform.holding_part = 3, 1
    platform.hold.clear()
    left = fail_to_record(world, 2)
    one = job()
    await world.jobs.submit(one)
    await wait_for(lambda: len(platform.calls) == 2)
    assert left() == 0
    platform.hold = asyncio.Event()  # the first process never gets further
    platform.hold.set()
    await begin()
    await platform.until(3)
    assert platform.sent == [(one.event, 0), (one.event, 1), (one.event, 2)]


@pytest.mark.parametrize(("verb", "table"), [("INSERT", "operation_outputs"), ("UPDATE", "notifications")])
async def test_a_database_that_is_away_while_an_album_comes_costs_none_of_its_photos(
    begin: Begin, platform: Platform, verb: str, table: str
) -> None:
    world = await begin()
    platform.hold.clear()
    left = fail_to_record(world, 3, verb, table)
    for number in range(2):
        await world.jobs.submit(album_photo(number))
    await wait_for(lambda: len(platform.calls) == 1)
    assert left() == 0
    assert platform.fetched == ["file0", "file1"]
    back = Platform()
    await begin(platform=back)  # died while it was at work, and what it received late is known
    await back.until(1)
    assert (back.sent, back.fetched) == ([("album-7", 0)], ["file0", "file1"])


async def test_no_photo_found_is_an_answer(begin: Begin, platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(_job: SelfieJob) -> tuple[PhotoRef, ...]:
        raise FileUnavailable

    monkeypatch.setattr(platform, "photos", nothing)
    world = await begin()
    await world.jobs.submit(job(photos=()))
    await platform.until(1)
    assert isinstance(platform.results[0].outcomes[0].result, FileUnavailable)
    assert world.ended("answered") == 1


async def test_forgetting_waits_for_what_is_at_work(begin: Begin, platform: Platform, tmp_path: Path) -> None:
    world = await begin()
    await world.jobs.submit(job(sender=OTHER_SENDER))
    await world.jobs.submit(job(chat="-200"))
    await platform.until(2)
    platform.hold.clear()
    await world.jobs.submit(job())
    forgetting = asyncio.create_task(world.jobs.forget(lambda sender, _chat: sender == SENDER, "test"))
    await asyncio.sleep(0.3)
    assert not forgetting.done()
    platform.hold.set()
    await forgetting
    dump = world.dump()
    assert SENDER not in dump
    assert OTHER_SENDER in dump
    assert not is_written(tmp_path, SENDER.encode())


async def test_forgetting_tells_what_outlasts_it(
    begin: Begin, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bot.jobs, "FORGET_SECONDS", 0.2)
    world = await begin()
    platform.hold.clear()
    await world.jobs.submit(job())
    assert await world.jobs.forget(lambda sender, _chat: sender == SENDER, "test") == 1
    platform.hold.set()
    await wait_for(lambda: world.ended("answered") == 1)
    monkeypatch.undo()
    assert await world.jobs.forget(lambda sender, _chat: sender == SENDER, "test") == 0
    assert SENDER not in world.dump()


async def test_forgetting_knows_whose_a_job_is_whatever_its_platforms_ids_hold(
    begin: Begin, platform: Platform
) -> None:
    world = await begin()
    mine, theirs = job(sender="@me:home", chat="!room:home"), job(sender="@me", chat="home:!room:home")
    for each in (mine, theirs):
        await world.jobs.submit(each)
    await platform.until(2)
    await wait_for(lambda: world.ended("answered") == 2)
    asked: set[tuple[str, str]] = set()

    def belongs(sender: str, chat: str) -> bool:
        asked.add((sender, chat))
        return (sender, chat) == (mine.sender, mine.chat)

    assert await world.jobs.forget(belongs, "test") == 0
    assert asked == {(each.sender, each.chat) for each in (mine, theirs)}
    dump = world.dump()
    assert mine.event not in dump
    assert theirs.event in dump


@pytest.mark.parametrize(
    ("sender", "chat", "event"),
    [("42", "-100777", "album-9-late"), ("U1", "T1/C1", "1700000000.000100-mention"), ("", "-100777", "9")],
)
def test_jobs_that_an_older_release_stored_keep_their_name(sender: str, chat: str, event: str) -> None:
    assert job(sender=sender, chat=chat, event=event).id == f"test:{sender}:{chat}:{event}"


def test_two_jobs_never_share_a_name() -> None:
    places = [("a:b", "c"), ("a", "b:c"), ("a%3Ab", "c"), ("a%253Ab", "c"), ("", "a:b:c")]
    assert len({job(sender=sender, chat=chat, event="1").id for sender, chat in places}) == len(places)


async def test_a_sqlite_file_belongs_to_one_process(tmp_path: Path, reader: ObedientReader, platform: Platform) -> None:
    url = f"sqlite:///{tmp_path / 'bot.db'}"
    world = World(url, reader, platform)
    await world.start()
    second = World(url, reader, platform)
    with pytest.raises(DatabaseUnavailable, match=r"already works on .*bot\.db\. Stop it"):
        await second.jobs.start()
    await world.stop()
    second.engine.dispose()
