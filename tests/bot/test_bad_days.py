"""Bad days: the bot as a process of its own, and what people see of it. Nothing is lost, nothing comes twice."""

from __future__ import annotations

import itertools
import json
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx
import pytest

from tests.bot.databases import create_database
from tests.bot.running_bot import HAPPY
from tests.bot.served import wait_until
from tests.bot.slack_served import free_port
from tests.bot.slack_server import SlackServer
from tests.bot.slack_world import ADA, APP_TOKEN, BOT_TOKEN
from tests.bot.telegram_server import TelegramServer
from tests.e2e.served import NO_DOT_ENV, bot_environment

# More than `bot.settings` lets a photo be old.
HOUR = 3600
PEOPLE = range(8001, 9000)


class Child:
    """The bot of `bad_day_bot`.

    Args:
        database: its SQLite file, or another database's address.
        telegram, slack: what it connects to.
        wrapper: a command that runs it.
    """

    def __init__(
        self,
        database: Path | str,
        telegram: TelegramServer | None = None,
        slack: SlackServer | None = None,
        *wrapper: str,
    ) -> None:
        url = f"sqlite:///{database}" if isinstance(database, Path) else database
        self.port = free_port()
        settings: dict[str, Any] = {"port": self.port}
        secrets = {"database_url": url}
        if telegram:
            settings["telegram_base_url"] = telegram.url.replace("127.0.0.1", "localhost")
            secrets["telegram_bot_token"] = telegram.token
        if slack:
            settings["slack_base_url"] = slack.url
            secrets |= {"slack_bot_token": BOT_TOKEN, "slack_app_token": APP_TOKEN}
        settings["secrets"] = secrets
        self._platforms = [name for name, server in (("Telegram:", telegram), ("Slack:", slack)) if server]
        self._command = [*wrapper, sys.executable, "-m", "tests.bot.bad_day_bot", json.dumps(settings)]
        self._lines: queue.Queue[str] = queue.Queue()
        self.log: list[str] = []

    def __enter__(self) -> Self:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            self._command, cwd=NO_DOT_ENV, env=bot_environment(), stdin=pipe, stdout=pipe, stderr=pipe, text=True
        )
        for take, stream in ((self._lines.put, self.process.stdout), (self.log.append, self.process.stderr)):
            threading.Thread(target=self._listen, args=(take, stream), daemon=True).start()
        return self

    def _listen(self, take: Any, stream: Any) -> None:
        with suppress(ValueError):  # closed
            for line in stream:
                take(line)

    def wait(self) -> Self:
        """Wait until it is connected."""
        missing = list(self._platforms)
        while missing:
            line = self._lines.get(timeout=60)
            missing = [name for name in missing if name not in line]
        return self

    def do(self, line: str) -> None:
        """Let something happen to it."""
        assert self.process.stdin
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        while self._lines.get(timeout=60) != "done\n":
            pass

    def readiness(self) -> int:
        return httpx.get(f"http://127.0.0.1:{self.port}/readyz", timeout=10).status_code

    def stop(self) -> float:
        """Ask it to finish; return how many seconds that took."""
        begun = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) == 0
        return time.monotonic() - begun

    def __exit__(self, *_exception: object) -> None:
        self.process.kill()
        self.process.wait(10)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert stream
            stream.close()


@pytest.fixture
def telegram() -> Iterator[TelegramServer]:
    with TelegramServer() as server:
        yield server
        assert server.violations == []


@pytest.fixture
def slack() -> Iterator[SlackServer]:
    with SlackServer(retries=[0.3] * 200) as server:
        yield server


@dataclass
class Calm:
    """A bot that the tests share whose trouble it gets over."""

    child: Child
    telegram: TelegramServer
    database: Path

    _numbers = itertools.count(9001)

    def people(self, number: int) -> list[int]:
        return list(itertools.islice(self._numbers, number))


@pytest.fixture(scope="module")
def shared_calm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Calm]:
    database = tmp_path_factory.mktemp("calm") / "jobs.db"
    with TelegramServer() as server, Child(database, server) as child:
        yield Calm(child.wait(), server, database)


@pytest.fixture
def calm(shared_calm: Calm) -> Iterator[Calm]:
    shared_calm.telegram.forget_records()
    yield shared_calm
    shared_calm.telegram.heal()
    assert shared_calm.telegram.violations == []


def send(server: TelegramServer, person: int, data: bytes = HAPPY) -> None:
    server.push(server.photo(data, user=person))


def answers(server: TelegramServer) -> Counter[int]:
    """How many messages each person got; an answer has two."""
    with server.lock:
        return Counter(sent.chat_id for sent in server.sent)


def assert_each_answered_once(server: TelegramServer, *people: int) -> None:
    wait_until(lambda: answers(server).keys() >= set(people) and min(answers(server).values()) >= 2, 40)
    time.sleep(0.5)  # for what may come twice
    assert answers(server) == dict.fromkeys(people, 2)
    assert server.pending == []


# The disk is full


def test_a_full_disk_holds_up_and_loses_nothing(telegram: TelegramServer, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = f'mount -t tmpfs -o size=4m none {disk} && exec "$@"'
    wrapper = ("unshare", "-rm", "sh", "-c", mount, "sh")
    if subprocess.run([*wrapper, "true"], check=False, capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    first, second, third = PEOPLE[:3]
    with Child(disk / "jobs.db", telegram, None, *wrapper) as child:
        child.wait()
        inside = Path(f"/proc/{child.process.pid}/root{disk}")
        telegram.fail("sendMessage", kind="delay", seconds=1, when=lambda call: "😄" in call["text"])
        send(telegram, first)
        wait_until(lambda: bool(telegram.calls_of("sendMessage")))
        with (inside / "filler").open("wb", buffering=0) as filler, suppress(OSError):
            while True:
                filler.write(bytes(4096))
        wait_until(lambda: len(telegram.sent) >= 1)  # answered, and that cannot be recorded
        send(telegram, second)
        wait_until(lambda: any("update_not_stored" in line for line in child.log), 20)
        assert second not in answers(telegram)
        assert telegram.pending != []  # not confirmed
        (inside / "filler").unlink()
        send(telegram, third)
        assert_each_answered_once(telegram, first, second, third)
        wait_until(lambda: child.readiness() == 200)
        assert "Traceback" not in "".join(child.log)
        assert child.stop() < 10


# The database is away


def test_a_postgresql_that_is_away_for_a_while_loses_nothing(telegram: TelegramServer, postgresql_server: Any) -> None:
    first, second, third = PEOPLE[:3]
    with Child(create_database(postgresql_server.get_uri()), telegram) as child:
        child.wait()
        telegram.fail("sendMessage", kind="delay", seconds=1, when=lambda call: "😄" in call["text"])
        send(telegram, first)
        wait_until(lambda: bool(telegram.calls_of("sendMessage")))
        postgresql_server.stop()
        wait_until(lambda: len(telegram.sent) >= 1)
        send(telegram, second)
        wait_until(lambda: any("update_not_stored" in line for line in child.log), 20)
        wait_until(lambda: child.readiness() == 503, 20)
        wait_until(lambda: has_started(postgresql_server), 30)
        send(telegram, third)
        assert_each_answered_once(telegram, first, second, third)
        wait_until(lambda: child.readiness() == 200)


def has_started(server: Any) -> bool:
    """Start it; on a busy machine it may take longer than who starts it is ready to wait."""
    with suppress(AssertionError, subprocess.TimeoutExpired):
        server.start()
        return True
    return False


# It is asked to stop


def test_a_signal_under_load_is_obeyed_within_ten_seconds_and_the_next_process_goes_on(
    telegram: TelegramServer, tmp_path: Path
) -> None:
    people = PEOPLE[:40]
    stuck = people[0]
    # Telegram does not answer about one person for longer than the bot may take to end.
    telegram.fail("getFile", times=None, kind="delay", seconds=30, when={"file_id": file_of(telegram, stuck)})
    with Child(tmp_path / "jobs.db", telegram) as child:
        child.wait()
        for person in people[1:]:
            send(telegram, person)
        wait_until(lambda: len(telegram.sent) > 5, 20)
        assert child.stop() < 10
        assert "Traceback" not in "".join(child.log)
    telegram.heal()
    with Child(tmp_path / "jobs.db", telegram) as child:
        child.wait()
        assert_each_answered_once(telegram, *people)


def file_of(server: TelegramServer, person: int) -> str:
    update = server.photo(HAPPY, user=person)
    server.push(update)
    return str(update["message"]["photo"][-1]["file_id"])


# Names are not found


def test_a_bot_that_finds_no_names_waits_and_then_answers_what_came(telegram: TelegramServer, tmp_path: Path) -> None:
    with Child(tmp_path / "jobs.db", telegram) as child:
        child.do("dns off")
        send(telegram, PEOPLE[0])
        wait_until(lambda: any("telegram_unreachable" in line for line in child.log), 20)
        assert child.readiness() == 503
        child.do("dns on")
        assert_each_answered_once(telegram, PEOPLE[0])
        wait_until(lambda: child.readiness() == 200)


# The clock jumps


def test_a_clock_that_jumps_changes_no_answer_under_way(calm: Calm) -> None:
    for jump in (HOUR, -HOUR):
        people = calm.people(4)
        calm.telegram.fail("sendMessage", kind="delay", seconds=1, times=2)
        for person in people[:2]:
            send(calm.telegram, person)
        wait_until(lambda: len(calm.telegram.calls_of("sendMessage")) >= 2)
        calm.child.do(f"clock {jump}")
        assert_each_answered_once(calm.telegram, *people[:2])
        calm.child.do("clock 0")
        for person in people[2:]:
            send(calm.telegram, person)
        assert_each_answered_once(calm.telegram, *people)
        assert calm.child.readiness() == 200
        calm.telegram.forget_records()


# Two by mistake


def test_of_two_bots_on_slack_one_answers(slack: SlackServer, tmp_path: Path) -> None:
    with ExitStack() as running:
        for name in ("one", "two"):
            running.enter_context(Child(tmp_path / f"{name}.db", None, slack)).wait()
        assert slack.sockets == 2
        chats = [slack.channel(kind="im", members=[ADA]).id for _ in range(8)]
        for chat in chats:
            slack.photo(HAPPY, chat, ADA)
        wait_until(lambda: len(slack.sent) >= len(chats), 20)
        time.sleep(0.5)
        assert Counter(sent.channel for sent in slack.sent) == dict.fromkeys(chats, 1)


def test_a_second_bot_on_the_same_file_ends_with_a_sentence(calm: Calm) -> None:
    with Child(calm.database, calm.telegram) as second:
        assert second.process.wait(20) == 1
        wait_until(lambda: any("already works on" in line for line in second.log))
    (person,) = calm.people(1)
    send(calm.telegram, person)
    assert_each_answered_once(calm.telegram, person)


# A storm


def test_a_storm_of_429_is_waited_for_and_nobody_is_answered_twice(calm: Calm) -> None:
    people = calm.people(6)
    storm = calm.telegram.fail("*", kind="429", times=None, retry_after=1)
    for person in people:
        send(calm.telegram, person)
    wait_until(lambda: storm.hits >= 3, 20)
    calm.telegram.heal()
    refused = calm.telegram.fail("sendMessage", kind="429", times=8, retry_after=1)
    assert_each_answered_once(calm.telegram, *people)
    assert refused.hits == 8
