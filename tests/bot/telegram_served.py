"""The real bot in front of the small Telegram server, over real sockets."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from bot.photo_service import Reader
from tests.bot.running_bot import DAMAGED, HAPPY, NOBODY, SAD, RunningBot, WrittenReader
from tests.bot.served import wait_until
from tests.bot.telegram_server import Reacted, Sent, TelegramServer, Violation
from tests.bot.telegram_shapes import Json
from tests.bot.telegram_world import content_of, person

__all__ = ["DAMAGED", "HAPPY", "NOBODY", "SAD", "WrittenReader"]

StartTelegram = Callable[..., "TelegramBot"]


class TelegramBot(RunningBot):
    """A running bot, its people and groups; a context manager.

    Every person and group is new, so that tests may share a bot, and sees what is said, stored and fetched for it.
    """

    _numbers = itertools.count(1)

    def __init__(
        self, folder: Path, server: TelegramServer, load: Callable[[], Reader] | None = None, **settings: Any
    ) -> None:
        self.server = server
        token = {"telegram_bot_token": SecretStr(server.token), "telegram_base_url": server.url}
        super().__init__(folder, load, **{**token, **settings})

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
        wait_until(lambda: self.idle, 20)

    def said(self, chat: int) -> list[Sent]:
        return [sent for sent in self.server.sent if sent.chat_id == chat]

    def texts(self, chat: int) -> list[str]:
        return [sent.text for sent in self.said(chat)]

    def reacted(self, chat: int) -> list[Reacted]:
        return [reacted for reacted in self.server.reaction_log if reacted.chat_id == chat]

    def calls(self, method: str, chat: int) -> int:
        return sum(call.parameters.get("chat_id") == chat for call in self.server.calls_of(method))


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
