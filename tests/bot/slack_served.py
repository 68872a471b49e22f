"""The real bot in front of the small Slack server, over real sockets: by Socket Mode, or by signed HTTP."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import SecretStr

from bot.photo_service import Reader
from tests.bot.running_bot import RunningBot
from tests.bot.served import wait_until
from tests.bot.slack_server import Reacted, Sent, SlackServer, Viewed
from tests.bot.slack_world import ADA, APP_TOKEN, BOT_TOKEN, SIGNING_SECRET, TEAM

Transport = Literal["socket", "http"]
StartSlack = Callable[..., "SlackBot"]


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def settings_of(transport: Transport) -> dict[str, Any]:
    """Return what an app in one workspace needs."""
    over = {"socket": {"slack_app_token": APP_TOKEN}, "http": {"slack_signing_secret": SIGNING_SECRET}}[transport]
    return {name: SecretStr(value) for name, value in {"slack_bot_token": BOT_TOKEN, **over}.items()}


class SlackBot(RunningBot):
    """A running bot, its people and channels; a context manager.

    Every person and channel is new, so that tests may share a bot.
    """

    _numbers = itertools.count(1)

    def __init__(
        self,
        folder: Path,
        server: SlackServer,
        load: Callable[[], Reader] | None = None,
        *,
        transport: Transport = "socket",
        **settings: Any,
    ) -> None:
        self.server = server
        port = free_port()
        if transport == "http":
            server.configure(request_url=f"http://127.0.0.1:{port}/slack/events")
        needed = {"slack_base_url": server.url, **settings_of(transport)}
        super().__init__(folder, load, port=port, **{**needed, **settings})

    # People and channels

    def person(self, **more: Any) -> str:
        """Somebody new in the workspace; returns the user's id."""
        return self.server.person(**more).id

    def channel(self, *, auto: bool = False, **more: Any) -> str:
        """A new channel with the bot in it, where somebody switched it on; returns its id."""
        channel = self.server.channel(**more).id
        if auto:
            self.settle(self.server.command("/face2emoji", "on", channel))
            wait_until(lambda: bool(self.said(channel)))
            self.settle()  # what we say there is an event, too
            self.server.forget_records()
        return channel

    # What happens

    def settle(self, *_made: object) -> None:
        """Wait until all that was made is acknowledged and no job is left: what has not happened then never will."""
        wait_until(lambda: not self.server.pending, 20)
        wait_until(lambda: self.idle, 20)

    def post(self, data: bytes | list[bytes], channel: str, user: str = ADA, **more: Any) -> dict[str, Any]:
        """Post photos, wait until all is done, and return the message."""
        message = self.server.photo(data, channel, user, **more)
        self.settle()
        return message

    def said(self, channel: str) -> list[Sent]:
        """Return what was said there, to all or to one."""
        return [sent for sent in self.server.sent if sent.channel == channel]

    def reacted(self, message: dict[str, Any]) -> list[str]:
        """Return the names of our reactions to a message."""
        return [reacted.name for reacted in self.server.reactions if reacted.ts == message["ts"]]

    def wait_for_words(self, channel: str, number: int = 1) -> list[Sent]:
        """Wait for so many messages in a channel; commands answer after they are acknowledged."""
        wait_until(lambda: len(self.said(channel)) >= number, 20)
        return self.said(channel)

    def wait_for_view(self, user: str) -> Viewed:
        """Wait for a window or an App Home."""
        wait_until(lambda: any(viewed.user == user for viewed in self.server.views), 20)
        return [viewed for viewed in self.server.views if viewed.user == user][-1]


def words_of(sent: Sent) -> str:
    """What a message says outside its emoji line: its sections and small lines."""
    texts = []
    for block in sent.blocks or ():
        if block["type"] == "section":
            texts.append(block["text"]["text"])
        elif block["type"] == "context":
            texts += [element["text"] for element in block["elements"]]
    return "\n".join(texts) or sent.text


def header_of(sent: Sent) -> str:
    """The line of emoji above an answer."""
    return "".join(block["text"]["text"] for block in sent.blocks or () if block["type"] == "header")


def buttons_of(sent: Sent) -> dict[str, str]:
    """Label -> action_id of the buttons below a message."""
    actions = [block for block in sent.blocks or () if block["type"] == "actions"]
    return {element["text"]["text"]: element["action_id"] for block in actions for element in block["elements"]}


@pytest.fixture(scope="module")
def shared_slack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlackBot]:
    """A bot with default settings for all tests of a file; there can be only one bot in a process at a time."""
    with SlackServer() as server, SlackBot(tmp_path_factory.mktemp("slack"), server) as bot:
        yield bot


@pytest.fixture
def slack(shared_slack: SlackBot) -> Iterator[SlackBot]:
    """The shared bot; nothing that it sends may differ from what Slack documents."""
    shared_slack.reader.seen.clear()
    shared_slack.server.forget_records()
    yield shared_slack
    shared_slack.server.heal()
    assert shared_slack.server.violations == []


@pytest.fixture
def start_slack(tmp_path: Path) -> Iterator[StartSlack]:
    """Start a bot of the test's own, with other settings; not beside the shared one."""
    with ExitStack() as running:

        def start(server: SlackServer, **settings: Any) -> SlackBot:
            running.callback(lambda: _assert_none(server))
            running.enter_context(server)
            return running.enter_context(SlackBot(tmp_path, server, **settings))

        yield start


def _assert_none(server: SlackServer) -> None:
    assert server.violations == []


__all__ = ["ADA", "TEAM", "Reacted", "SlackBot", "shared_slack", "slack", "start_slack"]
