"""The real bot with real jobs and a real SQLite file, in a thread of its own; what chat platforms' tests build on.

Its reader reads what tests write: `b"happy:92 sad:55"` is a photo of two faces, left to right, and `b""` nobody's.
"""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
from pydantic import SecretStr

from bot.app import Bot, listen
from bot.photo_service import Reader
from bot.settings import Settings
from inference import (
    EXPRESSIONS,
    Box,
    Face2EmojiError,
    FaceReading,
    Reading,
    UnreadableImage,
    load_emoji_map,
)
from tests.bot.served import ObedientReader, wait_until

HAPPY, SAD, NOBODY, DAMAGED = b"happy:92", b"sad:90", b"nobody", b"damaged"


class WrittenReader(ObedientReader):
    """Finds the faces that are written in the photo, `expression:percent` or `expression:percent:width` each."""

    def __init__(self) -> None:
        super().__init__()
        self._map = load_emoji_map()

    def read(self, data: bytes, *, main_only: bool = False, before: Sequence[Box] = ()) -> Reading:
        super().read(data)
        if data == DAMAGED:
            raise UnreadableImage("the photo is damaged")
        written = [] if data == NOBODY else data.decode().split()
        faces = tuple(self._face(number, *word.split(":")) for number, word in enumerate(written))
        return self._map.apply(Reading(width=1280, height=960, faces=faces, emoji=None))

    def _face(self, number: int, expression: str, percent: str, width: str = "200") -> FaceReading:
        best, left = EXPRESSIONS.index(expression), 300 * number
        shares = (best + offset for offset in (1, 1, 1, 2, 2, 3))  # of what is left, three parts for the next one
        scores = dict.fromkeys(EXPRESSIONS, 0.0) | {expression: int(percent) / 100}
        for share in shares:
            scores[EXPRESSIONS[share % len(EXPRESSIONS)]] += (1 - int(percent) / 100) / 6
        box = Box(left, 0, left + int(width), int(width))
        return FaceReading(box, expression, scores[expression], scores, {}, self._map.no_face, rule="")


class RunningBot:
    """A running bot, seen from outside; a context manager.

    Args:
        folder: for its database.
        load: makes its reader; None for a `WrittenReader`.
        port: of its web server.
        settings: fields of `Settings`.
    """

    def __init__(
        self, folder: Path, load: Callable[[], Reader] | None = None, *, port: int = 0, **settings: Any
    ) -> None:
        self.reader = WrittenReader()
        self.database = folder / "jobs.db"
        self.lines: list[str] = []
        self.error: Face2EmojiError | None = None
        self._load = load or self.reader.load
        self._port = port
        self.platforms = [name for name in ("telegram", "slack") if f"{name}_bot_token" in settings]
        self._settings = {"database_url": SecretStr(f"sqlite:///{self.database}"), **settings}

    def __enter__(self) -> Self:
        self.start()
        wait_until(lambda: len(self.lines) > len(self.platforms) or not self.running, 60)
        assert self.running, self.error
        return self

    def start(self) -> None:
        sock = listen("127.0.0.1", self._port)
        self.url = f"http://127.0.0.1:{sock.getsockname()[1]}"
        self._bot = Bot(Settings.model_construct(**self._settings), self._load)
        self.http = httpx.Client(base_url=self.url, timeout=10)

        def run() -> None:
            try:
                asyncio.run(self._bot.run(sock, self.lines.append))
            except Face2EmojiError as error:
                self.error = error

        self._thread = threading.Thread(target=run, name="bot")
        self._thread.start()

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        self.http.close()
        self._bot.stop()
        self._thread.join(20)
        assert not self.running

    # What happens

    @property
    def idle(self) -> bool:
        """No job is left: what has not happened by then never will."""
        return not self.rows("status IN ('PENDING', 'ENQUEUED', 'DELAYED')")

    def metric(self, name: str, **labels: str) -> float:
        label = ",".join(f'{key}="{value}"' for key, value in sorted(labels.items()))
        wanted = f"{name}{{{label}}}" if labels else name
        for line in self.http.get("/metrics").text.splitlines():
            if line.rpartition(" ")[0] == wanted:
                return float(line.rpartition(" ")[2])
        return 0

    # What is stored

    def rows(self, where: str, table: str = "workflow_status") -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=30)) as connection:
            return connection.execute(f"SELECT * FROM {table} WHERE {where}").fetchall()

    @contextmanager
    def without(self, table: str) -> Iterator[None]:
        """A database that fails wherever this table is needed."""

        def rename(old: str, new: str) -> None:
            with closing(sqlite3.connect(self.database, timeout=30)) as connection:
                connection.execute(f"ALTER TABLE {old} RENAME TO {new}")
                connection.commit()

        rename(table, "away")
        try:
            yield
        finally:
            rename("away", table)

    def traces(self, *words: object) -> list[str]:
        """Name the tables in which a cell holds one of these words."""
        tables = [row[1] for row in self.rows("type = 'table'", "sqlite_master")]
        found = []
        for table in tables:
            cells = itertools.chain.from_iterable(self.rows("TRUE", f'"{table}"'))
            if any(str(word) in str(cell) for cell in cells for word in words):
                found.append(table)
        return found

    def bytes_hold(self, *words: object) -> bool:
        """Say whether the database's files hold one of these words, in rows or in what rows left behind."""
        files = [self.database, self.database.with_name("jobs.db-wal")]
        data = b"".join(file.read_bytes() for file in files if file.exists())
        return any(str(word).encode() in data for word in words)
