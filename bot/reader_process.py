"""A reader in a process of its own, so that a crash or a hang in a native library costs one photo and not the bot.

Bytes go in and frozen results come out, over multiprocessing's own pipe. On Linux the children come from its fork
server, a process that has loaded ONNX Runtime with the weights, OpenCV and MediaPipe, and never used them: a child is
there in a third of a second, and all share what those hold. Spawned ones would take longer and more memory. The bot
itself cannot be forked, for it has threads; elsewhere than on Linux neither can what has imported these libraries.
Where the temporary folder has a long name the server cannot listen, and readers are spawned there, too.
"""

from __future__ import annotations

import atexit
import multiprocessing
import resource
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from bot.errors import ReaderDied
from inference import Box, EmojiMap, Face2EmojiError, Masked, PhotoLimits, Reading

if TYPE_CHECKING:
    from bot.photo_service import Reader

READ_SECONDS = 20.0
"""A photo that takes longer has its reader killed; the slowest of sound ones take two."""

MEMORY = 2**30
"""Bytes that a reader may take beside what it holds when it is loaded; the greediest of sound photos take 700 MB."""

# A child kills itself this much later than the bot would kill it: should nobody be left to do so.
_GRACE = 5
_CLOSE_SECONDS = 5
_SIGNALS = {signal.SIGINT, signal.SIGTERM}
_children: set[BaseProcess] = set()

# The fork server's socket lies in the temporary folder, and its address holds 107 characters.
_FORKS = sys.platform == "linux" and len(tempfile.gettempdir()) <= 70
_context = multiprocessing.get_context("forkserver") if _FORKS else multiprocessing.get_context("spawn")


def prepare() -> None:
    """Let the fork server begin with its imports, most of a second; without this the first reader does it."""
    if _FORKS:
        forkserver.set_forkserver_preload(["bot.reader_imports"])
        with _signals_left_to_us():
            forkserver.ensure_running()


def kill_readers() -> None:
    """Kill every reader, whatever it is at; may be called from any thread."""
    for process in list(_children):
        process.kill()


def load_face_reader(
    checkpoint: Path | None, emoji_map: Path | None, limits: PhotoLimits, device: str = "cpu"
) -> Reader:
    """Build a reader; see `inference.load_reader`. Called in the child only, because it imports MediaPipe."""
    from inference import load_reader

    return load_reader(checkpoint, emoji_map, limits, device=device)


class ReadingFailed(Exception):
    """A mistake of ours: its kind and the places it came through. Its words are left out, for they may quote the data.

    Attributes:
        kind: the error's type.
        where: from the outermost call to the innermost, ``file:line function`` each.
    """

    def __init__(self, kind: str, where: list[str]) -> None:
        super().__init__(kind, where)
        self.kind = kind
        self.where = where

    @classmethod
    def of(cls, error: Exception) -> ReadingFailed:
        """Describe an error."""
        frames = traceback.extract_tb(error.__traceback__)
        return cls(
            type(error).__name__, [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]
        )


class ReaderProcess:
    """A `bot.photo_service.Reader` whose work is done in a child process. For one thread at a time.

    Args:
        load: makes the reader, in the child; it is pickled, so it is a function of a module, or a partial of one.
        seconds: a photo that takes longer is given up, and the child killed.

    Raises:
        ReaderDied: the child ended while it loaded.
        Exception: what `load` raised.
    """

    def __init__(self, load: Callable[[], Reader], seconds: float = READ_SECONDS) -> None:
        self._seconds = seconds
        self._connection, theirs = _context.Pipe()
        self._process = _context.Process(target=_serve, args=(theirs, load, seconds), name="reader", daemon=True)
        prepare()
        with _signals_left_to_us():
            self._process.start()
        theirs.close()  # so that its end is seen here
        atexit.register(self._process.kill)  # whatever ends the bot, it does not wait for a photo
        _children.add(self._process)
        try:
            loaded = self._connection.recv()
        except (EOFError, OSError):
            self._process.join(_CLOSE_SECONDS)
            error = ReaderDied(_cause(self._process.exitcode), by_photo=False)
            self.close()
            raise error from None
        if isinstance(loaded, Exception):
            self.close()
            raise loaded
        self._model: str = loaded

    @property
    def model(self) -> str:
        """The weights' version."""
        return self._model

    @property
    def pid(self) -> int | None:
        """The child's process id."""
        return self._process.pid

    def read(self, data: bytes, *, main_only: bool = False, before: Sequence[Box] = ()) -> Reading:
        """Read one photo; see `inference.FaceReader.read`.

        Raises:
            Face2EmojiError: as there; ReaderDied: this photo, or something before it, ended the child.
            ReadingFailed: a mistake of ours.
        """
        return cast("Reading", self._ask("read", data, main_only=main_only, before=before))

    def mask(self, data: bytes, *, everyone: bool = False, emoji_map: EmojiMap | None = None) -> Masked:
        """Cover the faces of one photo; see `inference.FaceReader.mask`.

        Raises:
            Face2EmojiError, ReadingFailed: as in `read`.
        """
        return cast("Masked", self._ask("mask", data, everyone=everyone, emoji_map=emoji_map))

    def close(self) -> None:
        """End the child, which finishes what it is at."""
        self._connection.close()
        self._process.join(_CLOSE_SECONDS)
        self._process.kill()
        self._process.join()
        atexit.unregister(self._process.kill)
        _children.discard(self._process)

    def _ask(self, method: str, data: bytes, **options: object) -> object:
        if self._process.exitcode is not None:  # the system was short of memory, or an administrator killed it
            raise ReaderDied(_cause(self._process.exitcode), by_photo=False)
        started = time.monotonic()
        overdue = threading.Timer(self._seconds, self._process.kill)  # ends sending and receiving alike
        overdue.start()
        try:
            self._connection.send((method, data, options))
            answer, exhausted = self._connection.recv()
        except (EOFError, OSError):  # OSError also in the midst of an answer
            self._process.join(_CLOSE_SECONDS)
            late = time.monotonic() - started >= self._seconds
            raise ReaderDied("timeout" if late else _cause(self._process.exitcode), by_photo=True) from None
        finally:
            overdue.cancel()
        if exhausted:  # it ends by itself, and the next photo finds it so
            self._process.join(_CLOSE_SECONDS)
        if isinstance(answer, Exception):
            raise answer
        return answer


def _cause(exitcode: int | None) -> str:
    """Return how a process ended: a signal's name, or its status."""
    if exitcode is not None and exitcode < 0:
        return signal.Signals(-exitcode).name
    return f"status {exitcode}"


@contextmanager
def _signals_left_to_us() -> Iterator[None]:
    """Block, in whatever is started meanwhile, the signals that a terminal or a service manager sends to all of us.

    Children end when the bot does, with their photo finished.
    """
    resource_tracker.ensure_running()  # or it would be started below, and unblock them
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# In the child


def _serve(connection: Connection, load: Callable[[], Reader], seconds: float) -> None:
    """Answer photos until the bot hangs up or dies, which looks the same from here."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold a photo
    with suppress(OSError):  # Linux; a system short of memory takes a reader, and not the bot
        Path("/proc/self/oom_score_adj").write_text("500")
    try:
        reader = load()
    except Exception as error:
        connection.send(error)
        return
    _limit_memory()
    with suppress(EOFError, OSError):
        connection.send(reader.model)
        exhausted = False
        while not exhausted:
            request = connection.recv()
            signal.setitimer(signal.ITIMER_REAL, seconds + _GRACE)  # whose default is to kill, whatever code runs
            answer, exhausted = _answer(reader, *request)
            signal.setitimer(signal.ITIMER_REAL, 0)
            connection.send((answer, exhausted))
            del request, answer  # an idle reader holds no photo
    reader.close()


def _answer(reader: Reader, method: str, data: bytes, options: dict[str, Any]) -> tuple[object, bool]:
    """Return a result or an error, and whether a new reader is better than this one.

    It is where memory ran out, and after a mistake of ours, which may have been the graphics card's: that one, once
    failed, fails for as long as the process lives.
    """
    try:
        return getattr(reader, method)(data, **options), False
    except Face2EmojiError as error:
        return error, isinstance(error.__cause__, MemoryError)
    except Exception as error:
        return ReadingFailed.of(error), True


def _limit_memory() -> None:
    """Allow so much data beside what is there now: native libraries then fail instead of taking the whole machine."""
    with suppress(OSError):  # elsewhere than on Linux there is no such file, and no such limit
        lines = Path("/proc/self/status").read_text().splitlines()
        held = next(int(line.split()[1]) for line in lines if line.startswith("VmData:"))
        resource.setrlimit(resource.RLIMIT_DATA, (held * 1024 + MEMORY,) * 2)
