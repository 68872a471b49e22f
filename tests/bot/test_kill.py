"""Kill -9 at random moments: no accepted selfie is lost, none is answered twice.

The real program with the real model as processes of their own, against the small Telegram server as another one.
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
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

import pytest

from tests.bot.databases import NewDatabase
from tests.bot.telegram_server import TelegramProcess
from tests.bot.telegram_world import ADA, TOKEN
from tests.e2e.served import NO_DOT_ENV, bot_environment

KILLS = 30
# Several, because the bot keeps to Telegram's 20 messages a minute in each.
GROUPS = [-1_001_000_000_000 - number for number in range(1, 11)]
# An answer that Telegram took this shortly before a kill may come again: nobody lived to note it down.
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


def programs(telegram: TelegramProcess, database: str) -> list[Program]:
    """The bot; on PostgreSQL also a worker beside it."""
    environment = bot_environment(
        TELEGRAM_BOT_TOKEN=TOKEN,
        TELEGRAM_BASE_URL=telegram.url,
        FACE2EMOJI_DATABASE_URL=database.replace("+psycopg", ""),
        FACE2EMOJI_PORT="0",
        FACE2EMOJI_WORKERS="1",
        FACE2EMOJI_LOG_LEVEL="error",
    )
    bot = Program("run", environment, "Telegram")
    return [bot] if database.startswith("sqlite") else [bot, Program("worker", environment, "worker is ready")]


def test_nothing_is_lost_or_doubled(
    new_database: NewDatabase, portrait: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    chance = random.Random(20)
    kills: list[float] = []
    selfies: set[tuple[int, int]] = set()
    with TelegramProcess("--read-all") as telegram:
        photo = telegram.control("add_photo", data=portrait)

        def send_selfie(chat: int) -> None:
            [update] = telegram.control("photo", photo=photo, chat=chat, user=ADA, push=True)
            selfies.add((chat, update["message"]["message_id"]))

        running = [program.start() for program in programs(telegram, new_database())]
        try:
            for program in running:
                program.wait()
            for group in GROUPS:
                telegram.control("chat", chat_id=group, type="supergroup", members={ADA: "creator"})
                telegram.control("text", text="/auto on", chat=group, user=ADA, push=True)
            wait_for(lambda: len(telegram.state("sent")["sent"]) == len(GROUPS))
            for number in range(KILLS):
                for _ in range(chance.randint(1, 3)):
                    send_selfie(ADA)
                    send_selfie(GROUPS[number % len(GROUPS)])
                # From the first instants of taking a selfie in to the end of its answer.
                time.sleep(chance.uniform(0, 0.6))
                victim = chance.choice(running)
                victim.kill()
                kills.append(time.time())
                victim.start().wait()
            wait_for(lambda: not unanswered(telegram, selfies), 120)
        finally:
            for program in running:
                program.kill()
        assert unanswered(telegram, selfies) == set()
        state = telegram.state("sent", "violations", "pending")
    assert (state["violations"], state["pending"]) == ([], [])
    mine = [sent for sent in state["sent"] if sent["chat_id"] == ADA]
    # The big emoji is a reply to its selfie; the details follow, and look the same for all.
    big = defaultdict(list)
    for sent in mine:
        if sent["reply_parameters"]:
            big[sent["reply_parameters"]["message_id"]].append(sent)
    details = [sent for sent in mine if not sent["reply_parameters"]]
    again = [sent for sent_for_one in big.values() for sent in sent_for_one[:-1]]
    assert all(is_instant(sent, kills) for sent in again)
    assert len(big) <= len(details) <= len(big) + sum(is_instant(sent, kills) for sent in details)
    doubled = len(again) + len(details) - len(big)
    with capsys.disabled():
        sys.stdout.write(f"\n{len(kills)} kills, {len(selfies)} selfies: none lost; {doubled} messages were taken ")
        sys.stdout.write("in the instant of a kill and came again\n")


def is_instant(sent: dict[str, Any], kills: list[float]) -> bool:
    """Tell whether a message was taken right before a kill."""
    return any(0 <= kill - sent["at"] <= INSTANT for kill in kills)


def unanswered(telegram: TelegramProcess, selfies: set[tuple[int, int]]) -> set[tuple[int, int]]:
    """Return the selfies that have neither both messages nor a reaction."""
    state = telegram.state("sent", "reactions")
    reacted = {(item["chat_id"], item["message_id"]) for item in state["reactions"]}
    mine = [sent for sent in state["sent"] if sent["chat_id"] == ADA]
    replied = {(ADA, sent["reply_parameters"]["message_id"]) for sent in mine if sent["reply_parameters"]}
    has_all_details = sum(not sent["reply_parameters"] for sent in mine) >= len(replied)
    return selfies - reacted - (replied if has_all_details else set())


def wait_for(true: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until it is so, and no longer than that."""
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.1)
