"""Kill -9 at random moments: no accepted selfie is lost, none is answered twice.

The real program with the real model as processes of their own, against the small servers of Telegram and Slack as
others. One bot serves both platforms.
"""

from __future__ import annotations

import queue
import random
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count, cycle
from typing import Literal, Protocol, Self

import pytest

from tests.bot.databases import NewDatabase
from tests.bot.slack_served import free_port
from tests.bot.slack_server import SlackProcess
from tests.bot.slack_world import ADA, APP_TOKEN, BOT_TOKEN, GENERAL, PRIVATE, SIGNING_SECRET
from tests.bot.telegram_server import TelegramProcess
from tests.bot.telegram_world import TOKEN
from tests.e2e.served import NO_DOT_ENV, bot_environment

KILLS = 20
# An answer that a platform took this shortly before a kill may come again: nobody lived to note it down.
INSTANT = 0.25


@dataclass
class Program:
    """``python -m bot``, which can be killed and started again."""

    command: str
    environment: dict[str, str]
    ready: str
    lines: queue.Queue[str] = field(default_factory=queue.Queue)

    def start(self) -> Self:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bot", self.command],
            cwd=NO_DOT_ENV,
            env=self.environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        threading.Thread(target=self._listen, args=(self.process,), daemon=True).start()
        return self

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout
        with suppress(ValueError):  # closed
            for line in process.stdout:
                self.lines.put(line)

    def wait(self) -> None:
        while self.ready not in self.lines.get(timeout=60):
            pass

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)
        assert self.process.stdout
        self.process.stdout.close()


@dataclass(frozen=True)
class Answer:
    """A part of what the bot owes for one selfie. In private there is one selfie in a chat, and no post is named."""

    chat: str
    part: Literal["reaction", "emoji", "words"]
    post: str = ""


class Platform(Protocol):
    """People on a chat platform, who send selfies."""

    variables: dict[str, str]
    """The bot's settings."""

    def switch_on(self) -> None:
        """Let the bot react in groups."""

    def send_selfies(self) -> list[Answer]:
        """Send a selfie in private and another one into a group; return what the bot owes for them."""

    def given(self) -> list[tuple[Answer, float]]:
        """Return all that the bot has answered, and when."""

    def trouble(self) -> list[object]:
        """Return what is still to be delivered, or was given up, and what the platform would not have taken."""


class OnTelegram:
    """The bot asks for updates."""

    def __init__(self, server: TelegramProcess, portrait: bytes) -> None:
        self._server = server
        self._photo = server.control("add_photo", data=portrait)
        self._people = count(5001)
        # Several, because the bot keeps to Telegram's 20 messages a minute in each.
        self._group_ids = [-1_001_000_000_000 - number for number in range(1, 11)]
        self._groups = cycle(self._group_ids)
        self.variables = {"TELEGRAM_BOT_TOKEN": TOKEN, "TELEGRAM_BASE_URL": server.url}

    def switch_on(self) -> None:
        admin = next(self._people)
        for group in self._group_ids:
            self._server.control("chat", chat_id=group, type="supergroup", members={admin: "creator"})
            self._server.control("text", text="/auto on", chat=group, user=admin, push=True)
        wait_for(lambda: len(self._server.state("sent")["sent"]) == len(self._group_ids))
        self._server.control("forget_records")

    def send_selfies(self) -> list[Answer]:
        user, group = next(self._people), next(self._groups)
        self._server.control("photo", photo=self._photo, user=user, push=True)
        [update] = self._server.control("photo", photo=self._photo, chat=group, user=user, push=True)
        reaction = Answer(str(group), "reaction", str(update["message"]["message_id"]))
        return [Answer(str(user), "emoji"), Answer(str(user), "words"), reaction]

    def given(self) -> list[tuple[Answer, float]]:
        state = self._server.state("sent", "reactions")
        reactions = [
            (Answer(str(item["chat_id"]), "reaction", str(item["message_id"])), 0.0) for item in state["reactions"]
        ]
        # The big emoji is a reply to its selfie; the words follow.
        return reactions + [
            (Answer(str(sent["chat_id"]), "emoji" if sent["reply_parameters"] else "words"), sent["at"])
            for sent in state["sent"]
        ]

    def trouble(self) -> list[object]:
        state = self._server.state("violations", "pending")
        return [*state["violations"], *state["pending"]]


class OnSlack:
    """Socket Mode, or HTTP to this port."""

    def __init__(self, server: SlackProcess, portrait: bytes, http_port: int | None) -> None:
        self._server = server
        self._portrait = portrait
        self._channels = cycle((GENERAL, PRIVATE))
        self.variables = {"SLACK_BOT_TOKEN": BOT_TOKEN, "SLACK_BASE_URL": server.url}
        if http_port is None:
            self.variables["SLACK_APP_TOKEN"] = APP_TOKEN
        else:
            self.variables["SLACK_SIGNING_SECRET"] = SIGNING_SECRET
            server.control("configure", request_url=f"http://127.0.0.1:{http_port}/slack/events")
        # Only what is not acknowledged comes again, until a bot is there to take it.
        server.control("configure", retries=[0.5] * 200)

    def switch_on(self) -> None:
        for channel in (GENERAL, PRIVATE):
            self._server.control("command", command="/face2emoji", text="on", channel=channel, user=ADA)
        wait_for(lambda: len({sent["channel"] for sent in self._server.state("sent")["sent"]}) == 2)
        self._server.control("forget_records")

    def send_selfies(self) -> list[Answer]:
        # A direct message says not what it answers, so each selfie has its own conversation.
        private = self._server.control("channel", kind="im", members=[ADA])["id"]
        self._server.control("photo", data=self._portrait, channel=private, user=ADA)
        post = self._server.control("photo", data=self._portrait, channel=next(self._channels), user=ADA)
        return [Answer(private, "words"), Answer(post["channel"], "reaction", post["ts"])]

    def given(self) -> list[tuple[Answer, float]]:
        state = self._server.state("sent", "reactions")
        reactions = [(Answer(item["channel"], "reaction", item["ts"]), item["at"]) for item in state["reactions"]]
        return reactions + [(Answer(sent["channel"], "words"), sent["at"]) for sent in state["sent"]]

    def trouble(self) -> list[object]:
        state = self._server.state("violations", "pending", "failed")
        return [*state["violations"], *state["pending"], *state["failed"]]


def programs(platforms: Iterable[Platform], database: str, port: int) -> list[Program]:
    """The bot; on PostgreSQL also a worker beside it."""
    variables = {name: value for platform in platforms for name, value in platform.variables.items()}
    environment = bot_environment(
        **variables,
        FACE2EMOJI_DATABASE_URL=database.replace("+psycopg", ""),
        FACE2EMOJI_PORT=str(port),
        FACE2EMOJI_WORKERS="1",
        FACE2EMOJI_LOG_LEVEL="error",
    )
    bot = Program("run", environment, "Slack:")  # the last to be connected
    return [bot] if database.startswith("sqlite") else [bot, Program("worker", environment, "worker is ready")]


def test_nothing_is_lost_or_doubled(
    new_database: NewDatabase, portrait: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    chance = random.Random(20)
    database, port = new_database(), free_port()
    kills: list[tuple[float, float]] = []
    owed: set[Answer] = set()
    with TelegramProcess("--read-all") as telegram, SlackProcess() as slack:
        http_port = None if database.startswith("sqlite") else port
        platforms: list[Platform] = [OnTelegram(telegram, portrait), OnSlack(slack, portrait, http_port)]

        def given() -> dict[Answer, list[float]]:
            times = defaultdict(list)
            for platform in platforms:
                for answer, at in platform.given():
                    times[answer].append(at)
            return times

        running = [program.start() for program in programs(platforms, database, port)]
        try:
            for program in running:
                program.wait()
            for platform in platforms:
                platform.switch_on()
            for _ in range(KILLS):
                for _ in range(chance.randint(1, 2)):
                    for platform in platforms:
                        owed.update(platform.send_selfies())
                # From the first instants of taking a selfie in to the end of its answer.
                time.sleep(chance.uniform(0, 0.6))
                victim = chance.choice(running)
                struck = time.time()
                victim.kill()
                kills.append((struck, time.time()))
                victim.start().wait()
            wait_for(lambda: owed <= given().keys(), 120)
        finally:
            for program in running:
                program.kill()
        answers = given()
        assert set(answers) == owed
        assert [trouble for platform in platforms for trouble in platform.trouble()] == []
    doubled = {answer: times[:-1] for answer, times in answers.items() if len(times) > 1}
    assert not [answer for answer in doubled if answer.part == "reaction"]
    late = {answer: times for answer, times in doubled.items() if not all(is_instant(at, kills) for at in times)}
    assert late == {}, kills
    with capsys.disabled():
        sys.stdout.write(f"\n{len(kills)} kills, {len(owed)} answers: none lost; {len(doubled)} were taken ")
        sys.stdout.write("in the instant of a kill and came again\n")


def is_instant(at: float, kills: list[tuple[float, float]]) -> bool:
    """Tell whether an answer was taken right before a kill, or while the process ended: that may take a while."""
    return any(struck - INSTANT <= at <= ended for struck, ended in kills)


def wait_for(true: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until it is so, and no longer than that."""
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.1)
