"""Two such bots in one workspace: each answers people, and neither the other, whatever that one says."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest

from inference import Box, Reading
from tests.bot.running_bot import HAPPY, WrittenReader
from tests.bot.served import wait_until
from tests.bot.slack_served import SlackBot, header_of
from tests.bot.slack_server import SlackServer
from tests.bot.slack_world import ADA, APP, BOT_USER, EVE, EVENTS, GROUP_DM, ROBOT, SCOPES, Installation
from tests.e2e.served import NO_DOT_ENV, bot_environment

# So long nothing happens any more when nothing will: an answer takes a second at most.
QUIET = 1.5


class Optimist(WrittenReader):
    """Finds a happy face in every photo; the other bot has the real model."""

    def read(self, data: bytes, *, main_only: bool = False, before: Sequence[Box] = ()) -> Reading:
        return super().read(HAPPY)


@dataclass
class Pair:
    """A bot in this process and one in a process of its own, of two apps that are in the same channels."""

    server: SlackServer
    bot: SlackBot
    other: Installation
    portrait: bytes

    @property
    def names(self) -> str:
        return f"<@{BOT_USER}> <@{self.other.bot_user}>"

    def settle(self) -> None:
        """Wait until nothing happens any more; what goes on for ever fails here."""
        end = time.monotonic() + 20
        before, since = self._happened(), time.monotonic()
        while self.server.pending or time.monotonic() - since < QUIET:
            assert time.monotonic() < end, "it does not end"
            time.sleep(0.05)
            if self._happened() != before:
                before, since = self._happened(), time.monotonic()

    def _happened(self) -> tuple[int, int, int]:
        return len(self.server.sent), len(self.server.reactions), len(self.server.deliveries)

    def reactions(self) -> Counter[tuple[str, str]]:
        """How often each app reacted to each message."""
        return Counter((reacted.app, reacted.ts) for reacted in self.server.reactions)

    def said(self) -> Counter[tuple[str, str, str | None]]:
        """How often each app answered in each channel and thread with an emoji."""
        return Counter((sent.app, sent.channel, sent.thread_ts) for sent in self.server.sent if header_of(sent))


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, portrait: bytes) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("loops")
    with SlackServer(scopes=[*SCOPES, "reactions:read"]) as server:
        other = server.app("Second", scopes=[*SCOPES, "reactions:read"])
        for app in (APP, other.app.id):
            server.configure(app, events=[*EVENTS, "reaction_added"])  # more than we subscribe to
        environment = bot_environment(
            SLACK_BOT_TOKEN=other.token,
            SLACK_APP_TOKEN=other.app.app_token,
            SLACK_BASE_URL=server.url,
            FACE2EMOJI_DATABASE_URL=f"sqlite:///{folder / 'other.db'}",
            FACE2EMOJI_PORT="0",
            FACE2EMOJI_WORKERS="1",
            FACE2EMOJI_LOG_LEVEL="error",
        )
        with (
            subprocess.Popen(
                [sys.executable, "-m", "bot"], cwd=NO_DOT_ENV, env=environment, stdout=subprocess.DEVNULL
            ) as process,
            SlackBot(folder, server, Optimist().load) as bot,
        ):
            try:
                wait_until(lambda: server.sockets == 2, 60)
                yield Pair(server, bot, other, portrait)
            finally:
                process.terminate()
                assert process.wait(20) == 0
        assert server.violations == []


@pytest.mark.parametrize("is_legacy", [False, True])
def test_two_bots_answer_people_and_not_each_other(pair: Pair, is_legacy: bool) -> None:
    """Each switched on in the same places; a legacy app posts as nobody, as bots once did."""
    server, apps = pair.server, (APP, pair.other.app.id)
    server.configure(pair.other.app.id, is_legacy=is_legacy)
    channel = server.channel(members=[ADA, EVE]).id
    for place in (channel, GROUP_DM):
        for app in apps:
            server.command("/face2emoji", "on", place, app=app)
    pair.settle()
    server.forget_records()

    photos = [
        server.photo(pair.portrait, channel),
        server.photo(pair.portrait, GROUP_DM),
        server.photo(pair.portrait, channel, text=f"{pair.names} who is this?"),
    ]
    server.photo(pair.portrait, channel, ROBOT, pair.names)
    server.photo(pair.portrait, channel, pair.other.bot_user, pair.names)
    server.photo(pair.portrait, channel, pair.other.bot_user, pair.names, bot_id="")
    server.text(f"{pair.names} good morning", channel, ROBOT)
    direct = [server.dm(ADA, app) for app in apps]
    for dm in direct:
        server.photo(pair.portrait, dm)
        server.text(pair.names, dm)
    pair.settle()
    # Now that both have answered: in their threads, and about what they said.
    server.text(f"{pair.names} and now?", channel, EVE, thread_ts=photos[0]["ts"])
    server.text(f"{pair.names} thank you", channel, EVE, thread_ts=photos[2]["ts"])
    for app in apps:
        server.command("/face2emoji", "last", channel, app=app)
        server.shortcut("read_message", photos[0], EVE, app)
    pair.settle()

    assert pair.reactions() == {(app, photo["ts"]): 1 for photo in photos for app in apps}
    threads = {photos[0]["ts"]: 1, photos[2]["ts"]: 2}
    answers = {(app, channel, ts): number for ts, number in threads.items() for app in apps}
    answers |= {(app, dm, None): 1 for app, dm in zip(apps, direct, strict=True)}
    answers |= {(app, channel, None): 2 for app in apps}  # to the two who asked by command and by shortcut, alone
    assert pair.said() == answers
    explained = [sent for sent in server.sent if not header_of(sent)]
    assert sorted(sent.channel for sent in explained) == sorted(direct)
    assert server.failed == []
