"""The durable job of every chat platform: fetch -> read -> answer, once for each event, whatever dies in between.

A platform's event becomes a `SelfieJob`, a few references and never pixels, and is stored before the platform is told
"received". DBOS Transact keeps it, in SQLite or PostgreSQL, and starts it again after a crash. Its id is made of the
event's, so an event that comes twice is the same job.

Each part of an answer (a big emoji, then the details) is one recorded step, so that a job which starts again goes on
behind the last part the platform took. What a face showed is recorded nowhere: after a crash the photo is read anew.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import secrets
import socket
import time
import traceback
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from contextvars import Context
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
import structlog
from dbos import DBOS, Serializer, SetWorkflowID
from dbos import error as dbos_error
from dbos._context import assert_current_dbos_context  # these two have no public name yet
from dbos._datasource import _still_owns
from filelock import FileLock, Timeout
from sqlalchemy.exc import SQLAlchemyError

from bot.errors import DatabaseUnavailable
from bot.memory import give_back
from bot.metrics import Metrics
from bot.post_reader import PostReader
from bot.selfie_job import (
    Channel,
    NotFetched,
    Refused,
    Result,
    SelfieJob,
    TryAgain,
    joined,
    photo_sent,
    whose,
)
from bot.store import WORKERS, sqlite_path, unavailable

T = TypeVar("T")

log = structlog.get_logger(__name__)

# One version for all releases: DBOS lets a process take up the jobs of its own version only, and ours must not wait for
# a program that is gone. In return a job's fields and steps may only grow in ways that jobs already stored survive.
JOB_VERSION = "1"
# So many at work keep a process from beginning further ones that it takes in; from each platform's queue it takes up as
# many. Most of their time is spent waiting for the platform.
AT_ONCE = 32
# A process whose last sign of life is older than this is dead to the others, and they take its jobs over: at the next
# beat and poll, so within the 20 seconds that docs/scaling.md promises.
BEAT_SECONDS = 2
LEASE_SECONDS = 15
# The photos of an album are separate events; the last one is known by the silence behind it.
ALBUM_SECONDS = 1.0
# A crash while a job is at work may be the job's own doing: after so many it is given up.
MOST_RECOVERIES = 10
# Stored with a job: which process took it in.
TAKEN_IN_BY = "taken_in_by"
FIRST_WAIT, LONGEST_WAIT = 0.5, 60.0
PURGE_SECONDS = 30.0
# A file that the platform has not given for so long hardly comes any more: whoever is answered in words is told so.
FETCH_SECONDS = 120.0
# So long a person who wants to be forgotten waits for jobs at work.
FORGET_SECONDS = 15.0
# A look at the database that takes longer is told of, though it may end well.
HUNG_SECONDS = 20.0


_JOBS = sa.table(
    "workflow_status",
    *map(sa.column, ("status", "name", "queue_name", "executor_id", "owner_xid", "started_at_epoch_ms")),
    schema="dbos",
)
"""DBOS's own table of jobs in PostgreSQL, as far as it says who is at work on them."""

Workflow = Callable[[dict[str, Any]], Coroutine[Any, Any, str]]

DATABASE_TROUBLE = (SQLAlchemyError, dbos_error.DBOSException, OSError)
"""What goes wrong when the database does; an event that could not be stored for it must come again."""


class _Json(Serializer):
    """What DBOS stores for us: readable, and unlike its default, a pickle, unable to run code."""

    def serialize(self, data: Any) -> str:
        return json.dumps(data, default=repr)

    def deserialize(self, serialized_data: str) -> Any:
        return json.loads(serialized_data)

    def name(self) -> str:
        return "json"


class Jobs:
    """Stores jobs and works on them. One in a process, because DBOS is.

    The photos of an album come as events of their own: one by one, in any order, again, and to any process. One job
    answers them:

    1. Make. All of the album's events name the same job; whichever comes first makes it. Of two at once, DBOS lets one.
    2. Add. Every event sends the job its photo and its wish, under a key of its own, so that it counts once however
       often it comes. So does the event that made the job, because of two at once only one photo is in it.
    3. Close. When nothing was sent for `ALBUM_SECONDS`, DBOS records that nothing, and the job is closed: whoever takes
       it over after a crash finds the same photos and wishes before that record. The strongest wish is the album's.
    4. The sender looks. Who has sent a photo looks for the record: a photo that was not received before it is late.
    5. The job looks. It sees what was sent while it closed, and was not received: its sender may have looked before the
       record was there. The one or the other sees it, or both, which is no harm.
    6. Late. A late photo goes the same way from 1 on, to the job named as the closed one with "-late" behind it. It is
       answered as strongly as those before it; if it wants more than they, they are answered so, too.

    Args:
        engine: the database, from `bot.store.open_database`.
        reader: fetches and reads.
        metrics: where outcomes go.
        max_age: seconds after which an answer is of no use any more.
        retention: seconds for which a finished job is remembered.
    """

    def __init__(
        self,
        engine: sa.Engine,
        reader: PostReader,
        metrics: Metrics,
        *,
        max_age: float,
        retention: float,
    ) -> None:
        self._engine = engine
        self._reader = reader
        self._metrics = metrics
        self._max_age = max_age
        self._retention = retention
        self._channels: dict[str, Channel] = {}
        self._in_trouble = self._in_vain = False
        self._started = False
        self._at_work: set[asyncio.Task[Any]] = set()
        self._process = secrets.token_hex(8)
        self._background: list[asyncio.Task[None]] = []
        self._signed = self._trusts_from = 0.0
        path = self._file = sqlite_path(engine)
        self._lock = FileLock(f"{path}.lock", thread_local=False) if path else None
        # A SQLite file belongs to one process, so the next one takes up what the last one left. On PostgreSQL
        # each process has a name of its own, and what it leaves is found by the others.
        self._worker = "only" if path else f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"

    @property
    def trouble(self) -> str | None:
        """Why nothing can be stored, if so; seen within half a minute on PostgreSQL, within a minute on SQLite."""
        return DatabaseUnavailable.away if self._in_trouble or self._in_vain else None

    def serve(self, channel: Channel) -> None:
        """Take jobs of this channel; to be called before `start`."""
        self._channels[channel.platform] = channel

    def claim(self) -> None:
        """Make the SQLite file this process's own, if it is not yet.

        Raises:
            DatabaseUnavailable: another process works on it.
        """
        if self._lock and not self._lock.is_locked:
            self._own(self._lock)

    async def start(self) -> None:
        """Begin to work, first on what an earlier process left.

        Raises:
            DatabaseUnavailable: it does not work, or another process works on the same SQLite file.
        """
        try:
            await self._start()
        except DATABASE_TROUBLE as error:
            raise unavailable(self._engine.url, error) from error

    async def _start(self) -> None:
        self.claim()
        if self._lock is None:
            await asyncio.to_thread(self._sign)  # before the first job, or the others would take it over
            self._signed = time.monotonic()
        self._started = True
        DBOS(
            config={
                "name": "face2emoji",
                "system_database_engine": self._engine,
                "application_version": JOB_VERSION,
                "executor_id": self._worker,
                "log_level": "ERROR",
                "serializer": _Json(),
            }
        )

        # A workflow and a queue for each platform: a process leaves alone what it has no token for.
        self._workflows = {platform: self._workflow(platform) for platform in self._channels}
        DBOS.listen_queues(list(self._channels))
        DBOS.launch()
        for platform in self._channels:
            await DBOS.register_queue_async(
                platform, worker_concurrency=AT_ONCE, polling_interval_sec=0.2, on_conflict="always_update"
            )
        self._every(PURGE_SECONDS, self.purge)
        if self._lock is None:
            self._every(BEAT_SECONDS, self._beat)

    def _workflow(self, platform: str) -> Workflow:
        async def answer(data: dict[str, Any]) -> str:  # one of its own: DBOS keeps the name at the function
            return await self._answer(data)

        return DBOS.workflow(name=platform, max_recovery_attempts=MOST_RECOVERIES)(answer)

    async def stop(self, seconds: int = 4) -> None:
        """Finish what is at work; what takes longer stays stored, for the next process or another worker."""
        if not self._started:
            if self._lock:
                self._lock.release()
            return
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)

        def leave() -> None:
            DBOS.destroy(workflow_completion_timeout_sec=seconds if self._at_work else 0, destroy_registry=True)
            if self._lock is None:
                with self._engine.begin() as connection:
                    connection.execute(sa.delete(WORKERS).where(WORKERS.c.worker == self._worker))
            else:
                self._lock.release()

        try:
            await asyncio.to_thread(leave)  # because the jobs it waits for need this loop
        except DATABASE_TROUBLE as error:  # the others will notice by themselves that we are gone
            log.warning("database_trouble", kind=type(error).__name__)
        for task in self._at_work:  # what it answered from now on would be noted down nowhere, and come again
            task.cancel()
        # DBOS gave the loop its own threads, and ended them.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())

    async def submit(self, job: SelfieJob) -> None:
        """Store a job, or add its photo to its album's; when this returns it is safe. One that is there stays so."""
        try:
            await self._take_in(job)
        except DATABASE_TROUBLE:
            self._in_vain = True  # until the next one is stored, or the next look at the database goes well
            raise
        self._in_vain = False

    async def _take_in(self, job: SelfieJob) -> None:
        if job.album and await self.join(job):
            return
        workflow = self._workflows[job.platform]
        job = replace(job, trace=secrets.token_hex(6))
        data = {**job.to_json(), TAKEN_IN_BY: self._process}
        with SetWorkflowID(job.id):
            if len(self._at_work) < AT_ONCE:
                await DBOS.start_workflow_async(workflow, data)  # here and now
            else:
                await DBOS.enqueue_workflow_async(job.platform, workflow, data)  # whoever is free first
        log.info("job_stored", platform=job.platform, job=job.trace)
        if job.album:
            await self._add_photo(job)

    async def join(self, job: SelfieJob) -> bool:
        """Add the photo of one more event to an album's job, if there is one; return whether there is."""
        if not await DBOS.get_workflow_status_async(job.id):
            return False
        await self._add_photo(job)
        return True

    async def _add_photo(self, job: SelfieJob) -> None:
        sent = photo_sent(job)
        await DBOS.send_async(job.id, sent, topic="photo", idempotency_key=f"{job.id}:{job.message}")
        steps = await DBOS.list_workflow_steps_async(job.id)
        received: list[Any] = [step["output"] for step in steps if step["function_name"] == "DBOS.recv"]
        if None not in received:
            return
        stored = await DBOS.get_workflow_status_async(job.id)
        if stored is None or stored.input is None:  # forgotten meanwhile
            return
        closed = joined(SelfieJob.from_json(stored.input["args"][0]), received[: received.index(None)])
        if sent["message"] not in (photo.message for photo in closed.photos):
            await self._take_in_late(closed, job)

    async def _take_in_late(self, closed: SelfieJob, job: SelfieJob) -> None:
        """Let a late photo be answered, and those of its closed album again if they were not as it wants them."""
        late = replace(joined(closed, [photo_sent(job)]), event=f"{closed.event}-late")
        wants_more = (late.reply, late.everyone) != (closed.reply, closed.everyone)
        for photo in job.photos + (closed.photos if wants_more else ()):
            await self._take_in(replace(late, message=str(photo.message), photos=(photo,)))

    async def forget(self, belongs: Callable[[str, str], bool], platform: str) -> int:
        """Erase the jobs of a sender or chat; those at work are waited for, up to 15 seconds.

        Args:
            belongs: told a job's sender and chat, says whether it is one of them.
            platform: the channel's name.

        Returns:
            How many are still at work, and therefore kept.
        """
        end = time.monotonic() + FORGET_SECONDS
        while True:
            jobs = await DBOS.list_workflows_async(
                workflow_id_prefix=f"{platform}:", load_input=False, load_output=False
            )
            ours = [job for job in jobs if belongs(*whose(job.workflow_id))]
            done = [job.workflow_id for job in ours if job.status not in ("PENDING", "ENQUEUED", "DELAYED")]
            await DBOS.delete_workflows_async(done)
            if len(done) == len(ours) or time.monotonic() > end:
                break
            await asyncio.sleep(0.5)
        await asyncio.to_thread(self._overwrite)
        return len(ours) - len(done)

    async def purge(self) -> None:
        """Erase finished jobs that are old enough, and those of a platform that is not set up any more.

        Raises:
            FileNotFoundError: the SQLite file is gone; what is open still takes what is written, for nothing.
        """
        if self._file and not self._file.is_file():
            raise FileNotFoundError
        before = _ago(max(self._retention, self._max_age))
        waiting = await DBOS.list_workflows_async(
            status=["PENDING", "ENQUEUED"], end_time=before, load_input=False, load_output=False
        )
        await DBOS.delete_workflows_async([job.workflow_id for job in waiting if job.name not in self._channels])
        before = _ago(self._retention)
        while True:
            jobs = await DBOS.list_workflows_async(
                completed_before=before, limit=500, load_input=False, load_output=False
            )
            if not jobs:
                break
            await DBOS.delete_workflows_async([job.workflow_id for job in jobs])
        await asyncio.to_thread(self._overwrite)
        await asyncio.to_thread(give_back)  # what a burst took

    # The job itself

    async def _answer(self, data: dict[str, Any]) -> str:
        """Answer one post; the returned outcome is all that is recorded of it."""
        job = SelfieJob.from_json(data)
        with structlog.contextvars.bound_contextvars(job=job.trace):
            # What this process did not take in itself may have been at work before somebody died. The stored word
            # counts: the event of such a job may come again, and to us, before it is taken up.
            return await self._answer_job(job, again=data.get(TAKEN_IN_BY) != self._process)

    async def _answer_job(self, job: SelfieJob, again: bool) -> str:
        late: asyncio.Task[None] | None = None
        if job.album:
            sent = []
            while (more := await _step(lambda: DBOS.recv_async("photo", timeout_seconds=ALBUM_SECONDS))) is not None:
                sent.append(more)
            job = joined(job, sent)
            late = asyncio.create_task(self._look_for_late(job))  # the answer must not wait for it
        task = asyncio.current_task()
        assert task  # noqa: S101 - DBOS runs each job as one
        self._at_work.add(task)
        try:
            channel = self._channels[job.platform]
            work = _Work(job, channel, self._reader, self._metrics, self._max_age, again=again)
            part = 0
            while (outcome := await self._record(work, part)) == "more":
                part += 1
            if late:
                await late
        finally:
            if late:
                late.cancel()
            self._at_work.discard(task)
        return outcome

    async def _look_for_late(self, job: SelfieJob) -> None:
        """Pass on photos that were sent while the job was being closed, for as long as an answer is of use."""

        async def look() -> None:
            for message in await asyncio.to_thread(self._not_received, job):
                sent = json.loads(message)
                photo = replace(job, message=str(sent["message"]), photos=(), reply="reaction", everyone=False)
                await self._add_photo(joined(photo, [sent]))

        def look_outside() -> asyncio.Task[None]:
            # Of DBOS's context, because a step here would shift the numbers of those that are recorded.
            return asyncio.create_task(look(), context=Context())

        with suppress(*DATABASE_TROUBLE):
            await _when_the_database_works(look_outside, DATABASE_TROUBLE, self._max_age)

    def _not_received(self, job: SelfieJob) -> Sequence[str]:
        """Return what was sent to a job and it did not take: DBOS has no word for that."""
        schema = "dbos" if self._lock is None else None
        sent = sa.table("notifications", *map(sa.column, ("destination_uuid", "consumed", "message")), schema=schema)
        left = sa.select(sent.c.message).where(sent.c.destination_uuid == job.id, sent.c.consumed.is_(sa.false()))
        with self._engine.connect() as connection:
            return connection.execute(left).scalars().all()

    async def _record(self, work: _Work, part: int) -> str:
        """Do one part and record it; if the database cannot take that now, the record waits for it, not the answer."""
        return await _step(lambda: DBOS.run_step_async({"name": "answer"}, work.answer_once, part))

    # Living and dying

    def _own(self, lock: FileLock) -> None:
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            place = Path(lock.lock_file).with_suffix("")
            raise DatabaseUnavailable(DatabaseUnavailable.taken.format(place=place)) from error

    def _every(self, seconds: float, work: Callable[[], Any]) -> None:
        def in_trouble(kind: str) -> None:
            self._in_trouble = True
            log.warning("database_trouble", kind=kind)

        async def forever() -> None:
            while True:
                await asyncio.sleep(seconds)
                task = asyncio.ensure_future(work())
                try:
                    if not (await asyncio.wait({task}, timeout=HUNG_SECONDS))[0]:
                        in_trouble("hangs")
                    await task
                    self._in_trouble = self._in_vain = False
                except Exception as error:
                    in_trouble(type(error).__name__)
                finally:
                    task.cancel()

        self._background.append(asyncio.create_task(forever()))

    async def _beat(self) -> None:
        """Show that we live, and let others' jobs be taken up who do not."""
        await asyncio.to_thread(self._sign)
        now = time.monotonic()
        if now - self._signed > LEASE_SECONDS / 2:
            # We were stopped, or the database was away: then those who live may not have come to sign yet.
            self._trusts_from = now + LEASE_SECONDS
        self._signed = now
        if now >= self._trusts_from and (number := await asyncio.to_thread(self._take_over)):
            log.warning("taking_over", jobs=number)

    def _sign(self) -> None:
        ours = WORKERS.c.worker == self._worker
        with self._engine.begin() as connection:  # the database's clock, for those of machines differ
            if not connection.execute(sa.update(WORKERS).where(ours).values(seen=sa.func.now())).rowcount:
                connection.execute(sa.insert(WORKERS).values(worker=self._worker, seen=sa.func.now()))

    def _take_over(self) -> int:
        """Put back the jobs that the dead were at work on; return how many.

        As DBOS does it for a list of the dead, but only what we can answer, and in one statement: between two, a new
        process could begin.
        """
        dead = WORKERS.c.seen <= sa.func.now() - sa.text(f"interval '{LEASE_SECONDS} seconds'")
        abandoned = (
            _JOBS.c.status == "PENDING",
            _JOBS.c.name.in_(self._channels),
            _JOBS.c.executor_id.not_in(sa.select(WORKERS.c.worker)),
        )
        back = {"status": "ENQUEUED", "queue_name": _JOBS.c.name, "owner_xid": None, "started_at_epoch_ms": None}
        with self._engine.begin() as connection:
            connection.execute(sa.delete(WORKERS).where(dead))
            return connection.execute(sa.update(_JOBS).where(*abandoned).values(back)).rowcount

    def _overwrite(self) -> None:
        """SQLite keeps deleted rows readable in its journal until that is emptied."""
        if self._lock is not None:
            with self._engine.connect() as connection:
                connection.execute(sa.text("PRAGMA wal_checkpoint(TRUNCATE)"))


async def _when_the_database_works(
    do: Callable[[], Awaitable[T]],
    trouble: type[Exception] | tuple[type[Exception], ...] = SQLAlchemyError,
    seconds: float = math.inf,
) -> T:
    """Do something as often as it takes; after so many seconds the trouble is raised."""
    wait = FIRST_WAIT
    end = time.monotonic() + seconds
    while True:
        try:
            return await do()
        except trouble as error:
            log.warning("database_trouble", kind=type(error).__name__)
            if time.monotonic() > end:
                raise
            await asyncio.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT)


async def _step(do: Callable[[], Awaitable[T]]) -> T:
    """Do what DBOS records of a job, as often as it takes until the database works."""
    context = assert_current_dbos_context()
    steps = context.function_id

    async def step() -> T:
        # Always the same step: who takes the job over finds records by number. This counter is DBOS's own, and has no
        # public name: DBOS adds 1 to it before each step, also before one that it then cannot record.
        context.function_id = steps
        return await do()

    return await _when_the_database_works(step)


def _ago(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - seconds))


class _Work:
    """A job in the hands of this process: what was read is kept here, in memory, between the parts of the answer."""

    def __init__(
        self,
        job: SelfieJob,
        channel: Channel,
        reader: PostReader,
        metrics: Metrics,
        max_age: float,
        *,
        again: bool,
    ) -> None:
        self._job = job
        self._channel = channel
        self._reader = reader
        self._metrics = metrics
        self._again = again
        self._result: Result | None = None
        self._unfetched_since: float | None = None
        self._done: dict[int, str] = {}
        # By the clock on the wall only once: if that is set, a job under way is neither old at once nor young for ever.
        self._until = time.monotonic() + max_age - (time.time() - job.posted)

    async def answer_once(self, part: int) -> str:
        """Do one part, unless that was done and only could not be recorded."""
        if part not in self._done:
            self._done[part] = await self._answer(part)
        return self._done[part]

    async def _answer(self, part: int) -> str:
        """Do one part, as often as it takes; return "more" or the job's outcome."""
        job = self._job
        wait = FIRST_WAIT
        while time.monotonic() <= self._until:
            try:
                async with nullcontext() if part else self._channel.working(job):
                    if self._result is None:
                        self._result = await self._read()
                    await self._check_owned()
                    again, self._again = self._again, True
                    if await self._channel.send(job, self._result, part, again=again):
                        self._again = False
                        return "more"
                self._metrics.answer_seconds.observe(max(0.0, time.time() - job.posted))
                return self._count("answered")
            except (TryAgain, SQLAlchemyError) as error:  # the platform's trouble, or the database's
                if part == 0 and self._unfetched_since is not None:
                    self._result = None  # where no word gets through either, the photo may yet come
                asked = max(wait, getattr(error, "after", 0))
                pause = max(0.0, min(asked, self._until - time.monotonic()))  # then it is too late anyhow
                self._metrics.retries.labels(job.platform).inc()
                kind = type(error.__cause__ or error).__name__
                log.info("job_tried_again", platform=job.platform, kind=kind, after=round(pause, 1))
                await asyncio.sleep(pause)
                wait = min(2 * wait, LONGEST_WAIT)
            except Refused as error:
                log.info("refused_by_platform", platform=job.platform, reason=error.reason)
                return self._count("refused")
            except Exception as error:
                # Kind and place only: a library's message may quote an address or the photo.
                where = [f"{Path(f.filename).name}:{f.lineno}" for f in traceback.extract_tb(error.__traceback__)]
                log.error("job_failed", platform=job.platform, kind=type(error).__name__, where=where)
                return self._count("failed")
        return self._count("expired")

    async def _read(self) -> Result:
        since, now = self._unfetched_since, time.monotonic()
        # Nobody waits for a reaction.
        patient = self._job.reply == "reaction" or since is None or now - since < FETCH_SECONDS
        try:
            result = await self._reader.read(self._job, self._channel, patient=patient)
        except NotFetched:
            self._unfetched_since = now if since is None else since
            raise
        if patient:
            self._unfetched_since = None
        return result

    async def _check_owned(self) -> None:
        """Leave the job to others if they took it over, because this process was stopped or cut off for a while.

        Without the database there is no telling, so then it waits.
        """
        if not await asyncio.to_thread(_still_owns, self._job.id):
            log.warning("job_taken_over", platform=self._job.platform)
            # DBOS ends the run at this and records nothing. It gets past the `except Exception` of `_answer` only
            # because it is a BaseException and no Exception: otherwise the job would be recorded as failed.
            raise dbos_error.DBOSWorkflowConflictIDError(self._job.id)

    def _count(self, outcome: str) -> str:
        self._metrics.jobs.labels(self._job.platform, outcome).inc()
        log.info("job_ended", platform=self._job.platform, outcome=outcome)
        return outcome
