"""Async bytes -> reading: a few worker threads that own a reader each, and a bounded line of photos before them.

Everything but the reading itself happens on the event loop, so there is no lock. A photo that nobody waits for any more
leaves the line by being cancelled. A reader that died is replaced by itself; the photo that ended it is answered as one
that cannot be read, and not tried again. Pixels, names and what a face says are never logged.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Protocol, TypeVar

import structlog

from bot.errors import Busy, InternalError, NotReady, RateLimited, ReaderDied
from bot.metrics import Metrics
from bot.reader_process import ReadingFailed
from inference import Face2EmojiError, Reading, UnreadableImage

if TYPE_CHECKING:
    from inference import Box, EmojiMap, Masked

log = structlog.get_logger(__name__)
T = TypeVar("T")

FIRST_WAIT, LONGEST_WAIT = 1.0, 30.0
"""Seconds between tries to replace a reader that ends while it starts."""


class Reader(Protocol):
    """What this service needs of `inference.FaceReader`; all may raise `ReaderDied` instead."""

    @property
    def model(self) -> str:
        """The weights' version."""

    def read(self, data: bytes, /, *, main_only: bool, before: Sequence[Box]) -> Reading:
        """Read one photo; faster with `main_only`, or when it follows the faces `before` (see `FaceReader.read`)."""

    def mask(self, data: bytes, /, *, everyone: bool, emoji_map: EmojiMap | None) -> Masked:
        """Cover the faces of one photo with the emoji of a map, None for the reader's own."""

    def close(self) -> None:
        """Free the model."""


@dataclass(frozen=True, slots=True)
class _Worker:
    thread: ThreadPoolExecutor
    reader: Reader


class PhotoService:
    """Reads photos off the event loop.

    Args:
        load: makes one reader; called in each worker's thread, where that reader stays, once and after each death.
        workers: number of threads.
        queue_limit: photos that may wait while all readers are busy.
        timeout: seconds until a photo that has no answer is given up; a patient one only while it waits.
        metrics: where timings and outcomes go.
    """

    def __init__(
        self, load: Callable[[], Reader], *, workers: int, queue_limit: int, timeout: float, metrics: Metrics
    ) -> None:
        self._load = load
        self._threads = [ThreadPoolExecutor(1, thread_name_prefix=f"reader-{n}") for n in range(workers)]
        self._queue_limit = queue_limit
        self._timeout = timeout
        self._metrics = metrics
        self._idle: asyncio.Queue[_Worker] = asyncio.Queue()
        self._loaded = 0
        self._returning = 0
        self._replacements: set[asyncio.Task[None]] = set()
        self._waiting: Counter[str] = Counter()
        self._closing = asyncio.Event()
        self._hurried: set[asyncio.Timeout] = set()
        self._given_up = False
        self.model = ""
        """The weights' version, once a reader is loaded."""

    @property
    def ready(self) -> bool:
        """True from the first loaded reader until closing, unless all died and could not be replaced at once."""
        return self._loaded + self._returning > 0 and not self._closing.is_set()

    @property
    def workers(self) -> int:
        """So many photos are read at a time."""
        return len(self._threads)

    async def load(self) -> None:
        """Load all readers, one after another; photos are read from the first one on."""
        for thread in self._threads:
            await self._hire(thread)

    def not_ready(self) -> NotReady:
        """Return why no photo can be read, where none can."""
        return NotReady(NotReady.stopping if self._given_up or self._closing.is_set() else None)

    def check(self, address: str = "") -> None:
        """Say no before a photo is even received.

        Args:
            address: whose it is, for the share of one address, half of the line; empty: no such share.

        Raises:
            NotReady: no reader is loaded, or the service is closing.
            Busy: the line is full.
            RateLimited: its half of the line is.
        """
        if not self.ready or self._given_up:
            raise self.not_ready()
        if self._waiting.total() >= self._queue_limit:
            raise Busy
        if address and self._waiting[address] >= max(1, self._queue_limit // 2):
            raise RateLimited

    async def read(
        self,
        data: bytes,
        *,
        patient: bool = False,
        main_only: bool = False,
        before: Sequence[Box] = (),
        address: str = "",
    ) -> Reading:
        """Read one photo.

        Args:
            data: the encoded picture.
            patient: wait behind a full line too, as a job does whose number is bounded elsewhere.
            main_only: only the answer for the whole picture is asked for.
            before: where the faces were in the last picture of the same video, to follow them.
            address: see `check`.

        Raises:
            PhotoError: the photo's fault; UnreadableImage also when reading it ended the reader.
            NotReady, Busy, RateLimited: see `check`; Busy also when the answer takes longer than the time limit.
            InternalError: our fault; the worker lives on.
        """
        return await self._work(lambda reader: reader.read(data, main_only=main_only, before=before), patient, address)

    async def mask(
        self,
        data: bytes,
        *,
        patient: bool = False,
        everyone: bool = False,
        emoji_map: EmojiMap | None = None,
        address: str = "",
    ) -> Masked:
        """Cover the faces of one photo with their emoji.

        Args:
            data: the encoded picture.
            patient: as in `read`.
            everyone: cover what may be a face, too.
            emoji_map: chooses the emoji; None for the reader's own map.
            address: see `check`.

        Raises:
            Face2EmojiError: as in `read`.
        """
        return await self._work(
            lambda reader: reader.mask(data, everyone=everyone, emoji_map=emoji_map), patient, address
        )

    async def _work(self, work: Callable[[Reader], T], patient: bool, address: str) -> T:
        """Do something with one photo on the next free reader."""
        outcome = "dropped"
        try:
            if not (patient and self.ready):
                self.check(address)
            done = await self._work_in_time(work, patient, address)
            outcome = "read"
        except Face2EmojiError as error:
            outcome = error.code
            raise
        except TimeoutError:
            late = self.not_ready() if self._given_up else Busy()
            outcome = late.code
            raise late from None
        else:
            return done
        finally:
            self._metrics.photos.labels(outcome).inc()

    async def _work_in_time(self, work: Callable[[Reader], T], patient: bool, address: str) -> T:
        end = asyncio.get_running_loop().time() + self._timeout
        while True:
            async with self._until(end, patient):
                worker = await self._next_worker(address)
            try:
                # Tried again, a job's photo that hangs would hang again: it waits until its reader is killed for it.
                async with self._until(None if patient else end, patient):
                    return await self._work_on(worker, work)
            except ReaderDied as death:
                if self._closing.is_set():
                    raise self.not_ready() from death
                if death.by_photo:
                    raise UnreadableImage(death.of_photo) from death

    @asynccontextmanager
    async def _until(self, end: float | None, patient: bool) -> AsyncIterator[None]:
        async with asyncio.timeout_at(end) as timeout:
            if not patient:
                self._hurried.add(timeout)
            try:
                yield
            finally:
                self._hurried.discard(timeout)

    def give_up(self) -> None:
        """Answer all but the patient with NotReady, now and from now on: the server ends."""
        self._given_up = True
        for timeout in self._hurried:
            if not timeout.expired():
                timeout.reschedule(0)

    async def close(self) -> None:
        """Let photos under way finish, then free every reader in its own thread."""
        self._closing.set()
        await asyncio.gather(*self._replacements)
        for _ in range(self._loaded):
            worker = await self._idle.get()
            await asyncio.get_running_loop().run_in_executor(worker.thread, worker.reader.close)
        for thread in self._threads:
            thread.shutdown(wait=False)

    async def _next_worker(self, address: str) -> _Worker:
        self._waiting[address] += 1
        self._metrics.waiting.set(self._waiting.total())
        started = perf_counter()
        try:
            return await self._idle.get()
        finally:
            self._waiting[address] -= 1
            self._waiting += Counter()  # forgets who has none left
            self._metrics.waiting.set(self._waiting.total())
            self._metrics.wait_seconds.observe(perf_counter() - started)

    async def _work_on(self, worker: _Worker, work: Callable[[Reader], T]) -> T:
        future = asyncio.get_running_loop().run_in_executor(worker.thread, self._work_in_thread, worker.reader, work)
        future.add_done_callback(lambda done: self._free(worker, done))
        # A reading cannot be stopped half way: whoever gives up leaves, the worker finishes and is free again.
        return await asyncio.shield(future)

    def _free(self, worker: _Worker, done: asyncio.Future[T]) -> None:
        error = done.exception()  # looked at, so that asyncio does not report it once more when nobody waits for it
        if not isinstance(error, ReaderDied):
            self._idle.put_nowait(worker)
            return
        log.error("reader_died", cause=error.cause, by_photo=error.by_photo)
        self._metrics.reader_deaths.labels(error.cause).inc()
        if self._closing.is_set():
            self._idle.put_nowait(worker)
            return
        self._count(-1)
        self._returning += 1  # so that photos wait for the first try
        replacement = asyncio.create_task(self._replace(worker))
        self._replacements.add(replacement)
        replacement.add_done_callback(self._replacements.discard)

    async def _replace(self, dead: _Worker) -> None:
        """Load another reader, as often as it takes."""
        await asyncio.get_running_loop().run_in_executor(dead.thread, dead.reader.close)
        back = await self._try_to_hire(dead.thread)
        self._returning -= 1
        wait = FIRST_WAIT
        while not back and not self._closing.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), wait)
            wait = min(2 * wait, LONGEST_WAIT)
            back = await self._try_to_hire(dead.thread)

    async def _try_to_hire(self, thread: ThreadPoolExecutor) -> bool:
        if self._closing.is_set():
            return False
        try:
            await self._hire(thread)
        except Exception as error:
            log.error("reader_not_started", kind=type(error).__name__)
            return False
        return True

    async def _hire(self, thread: ThreadPoolExecutor) -> None:
        reader = await asyncio.get_running_loop().run_in_executor(thread, self._load)
        self.model = reader.model
        self._count(+1)
        self._idle.put_nowait(_Worker(thread, reader))

    def _count(self, change: int) -> None:
        self._loaded += change
        self._metrics.readers.set(self._loaded)

    def _work_in_thread(self, reader: Reader, work: Callable[[Reader], T]) -> T:
        started = perf_counter()
        try:
            return work(reader)
        except Face2EmojiError:
            raise
        except Exception as error:
            failed = error if isinstance(error, ReadingFailed) else ReadingFailed.of(error)
            log.error("photo_failed", kind=failed.kind, where=failed.where)
            raise InternalError from error
        finally:
            self._metrics.read_seconds.observe(perf_counter() - started)
