"""The real bot in front of the small Telegram server: real sockets, real jobs, a real SQLite file.

Its reader reads what tests write: `b"happy:92 sad:55"` is a photo of two faces, left to right, and `b""` nobody's.
"""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import pytest
from pydantic import SecretStr

from bot.__main__ import Bot, listen
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
    main_face,
)
from tests.bot.served import ObedientReader, wait_until
from tests.bot.telegram_server import Reacted, Sent, TelegramServer, Violation
from tests.bot.telegram_shapes import Json
from tests.bot.telegram_world import content_of, person

StartTelegram = Callable[..., "TelegramBot"]
HAPPY, SAD, NOBODY, DAMAGED = b"happy:92", b"sad:90", b"nobody", b"damaged"


class WrittenReader(ObedientReader):
    """Finds the faces that are written in the photo, `expression:percent` or `expression:percent:width` each."""

    def __init__(self) -> None:
        super().__init__()
        self._map = load_emoji_map()

    def read(self, data: bytes, *, main_only: bool = False) -> Reading:
        super().read(data)
        if data == DAMAGED:
            raise UnreadableImage("the photo is damaged")
        written = [] if data == NOBODY else data.decode().split()
        faces = tuple(self._face(number, *word.split(":")) for number, word in enumerate(written))
        main = main_face(faces)
        return Reading(width=1280, height=960, faces=faces, emoji=main.emoji if main else None)

    def _face(self, number: int, expression: str, percent: str, width: str = "200") -> FaceReading:
        best, left = EXPRESSIONS.index(expression), 300 * number
        shares = (best + offset for offset in (1, 1, 1, 2, 2, 3))  # of what is left, three parts for the next one
        scores = dict.fromkeys(EXPRESSIONS, 0.0) | {expression: int(percent) / 100}
        for share in shares:
            scores[EXPRESSIONS[share % len(EXPRESSIONS)]] += (1 - int(percent) / 100) / 6
        box = Box(left, 0, left + int(width), int(width))
        return FaceReading(box, expression, scores[expression], scores, (), self._map.choose(scores))


class TelegramBot:
    """A running bot, its people and groups; a context manager.

    Every person and group is new, so that tests may share a bot, and sees what is said, stored and fetched for it.
    """

    _numbers = itertools.count(1)

    def __init__(
        self, folder: Path, server: TelegramServer, load: Callable[[], Reader] | None = None, **settings: Any
    ) -> None:
        self.server = server
        self.reader = WrittenReader()
        self.database = folder / "jobs.db"
        self.lines: list[str] = []
        self.error: Face2EmojiError | None = None
        self._load = load or self.reader.load
        self._settings = {
            "telegram_bot_token": SecretStr(server.token),
            "telegram_base_url": server.url,
            "database_url": SecretStr(f"sqlite:///{self.database}"),
            **settings,
        }

    def __enter__(self) -> Self:
        self.start()
        wait_until(lambda: len(self.lines) == 2 or not self.running)
        assert self.running, self.error
        return self

    def start(self) -> None:
        sock = listen("127.0.0.1", 0)
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

    # People and groups

    def person(self, language: str | None = "en", **more: Any) -> Json:
        return person(5_550_000_000 + next(self._numbers), "Ada", language, **more)

    def group(self, *, auto: bool = False, **more: Any) -> int:
        """A supergroup, where an admin turned automatic reactions on."""
        group = -(1_005_550_000_000 + next(self._numbers))
        admin = self.person()
        self.server.chat(group, **{"members": {admin["id"]: "administrator"}, **more})
        if auto:
            self.ask(self.server.text("/auto on", group, admin))
            self.server.forget_records()
        return group

    # What happens

    def ask(self, update: Json | Iterable[Json]) -> list[Sent]:
        """Give updates to the bot, wait until all is done, and return what it said in their chat."""
        updates = [update] if isinstance(update, dict) else list(update)
        for number in [self.server.push(each) for each in updates]:
            self.settle(number)
        return self.said(_chat_of(updates[0]))

    def deliver(self, update: Json) -> int:
        """Give an update to the bot in a poll of its own, and return its id."""
        update_id = self.server.push(update)
        wait_until(lambda: update_id in self.server.confirmed, 20)
        return update_id

    def settle(self, update_id: int) -> None:
        """Wait until an update is confirmed and no job is left: what has not happened by then never will."""
        wait_until(lambda: update_id in self.server.confirmed, 20)
        wait_until(lambda: not self.rows("status IN ('PENDING', 'ENQUEUED', 'DELAYED')"), 20)

    def said(self, chat: int) -> list[Sent]:
        return [sent for sent in self.server.sent if sent.chat_id == chat]

    def texts(self, chat: int) -> list[str]:
        return [sent.text for sent in self.said(chat)]

    def reacted(self, chat: int) -> list[Reacted]:
        return [reacted for reacted in self.server.reaction_log if reacted.chat_id == chat]

    def calls(self, method: str, chat: int) -> int:
        return sum(call.parameters.get("chat_id") == chat for call in self.server.calls_of(method))

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


def _chat_of(update: Json) -> int:
    return int(content_of(update.get("callback_query", update))["chat"]["id"])


def labels(sent: Sent) -> list[str]:
    """What the buttons under a message say."""
    return [button["text"] for button in _buttons(sent.reply_markup)]


def data_of(markup: Json | None, label: str) -> str:
    """What comes back when the button with this in its label is pressed."""
    (data,) = [button["callback_data"] for button in _buttons(markup) if label in button["text"]]
    return str(data)


def _buttons(markup: Json | None) -> list[Json]:
    return [button for row in (markup or {"inline_keyboard": []})["inline_keyboard"] for button in row]


@pytest.fixture(scope="module")
def shared_bot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TelegramBot]:
    """A bot with default settings for all tests of a file; there can be only one bot in a process at a time."""
    with TelegramServer() as server, TelegramBot(tmp_path_factory.mktemp("telegram"), server) as bot:
        yield bot


@pytest.fixture
def telegram(shared_bot: TelegramBot) -> Iterator[TelegramBot]:
    """The shared bot; nothing that it sends may differ from what the Bot API documents."""
    shared_bot.reader.seen.clear()
    shared_bot.server.forget_records()
    yield shared_bot
    shared_bot.server.heal()
    assert shared_bot.server.violations == []


@pytest.fixture
def start_telegram(tmp_path: Path) -> Iterator[StartTelegram]:
    """Start a bot of the test's own, with other settings; not beside the shared one."""
    with ExitStack() as running:

        def start(server: TelegramServer, **settings: Any) -> TelegramBot:
            running.callback(lambda: _assert_none(server.violations))
            running.enter_context(server)
            return running.enter_context(TelegramBot(tmp_path, server, **settings))

        yield start


def _assert_none(violations: list[Violation]) -> None:
    assert violations == []
