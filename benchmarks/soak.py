"""python -m benchmarks.soak [--minutes N]: whether the whole bot stays as it is under a third of what it can do.

Runs `python -m bot` with the real model and a new SQLite database against the Telegram and Slack servers of the tests,
with selfies in groups, channels and private chats, photos on the web page and one live page all the while. Every few
seconds it looks at the whole tree of processes: memory, threads, open files, the event loop's tasks, and the rows of
every table. Jobs are remembered for two minutes instead of a day, so that tables must stop growing. Each figure is
judged; the exit code is 1 when one of them grows, or when a selfie was not answered exactly once. Linux only.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import SecretStr
from websockets.sync.client import connect

from benchmarks.chats import PATIENCE, PORTRAIT, Platform, running_bot, switch_on
from benchmarks.live import frames, jpeg
from benchmarks.numbers import amount
from benchmarks.slack import Slack
from benchmarks.startup import free_port
from benchmarks.telegram import Telegram
from bot.settings import Settings
from tests.bot.slack_server import SlackProcess
from tests.bot.slack_world import APP_TOKEN, BOT_TOKEN
from tests.bot.telegram_server import TelegramServer

RETENTION = 120
# A job's rows are gone so long after it ended: the retention, the time between two purges, and a little.
GONE_AFTER = RETENTION + 75
LOOK_SECONDS = 5.0
ROUND_SECONDS = 30.0
# One selfie of so many is sent in private.
PRIVATE_EVERY = 5
FRAMES_A_SECOND = 4.0
MOST_SLOPE = 1.0
# How the names of DBOS's tables begin that hold something of each job.
OF_JOBS = ("workflow_", "operation_", "notifications", "streams")
BARS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True)
class Look:
    """The bot at one moment, all its processes together.

    Attributes:
        at: minutes since the load began.
        memory: of its own, in MB: the proportional set size less files, whose share depends on who else maps them.
        processes, threads, files: how many there are.
        tasks: of the event loop.
        rows: of each table.
    """

    at: float
    memory: float
    processes: int
    threads: int
    files: int
    tasks: int
    rows: Mapping[str, int]


def tree(root: int) -> list[int]:
    """Return a process and all that descend from it."""
    found = [root]
    for process in found:
        with suppress(OSError):
            for task in Path(f"/proc/{process}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
    return found


def look(bot: int, url: str, database: Path, begun: float) -> Look:
    """Look at the bot; a process that ends meanwhile is left out."""
    memory, threads, files = 0.0, 0, 0
    processes = tree(bot)
    for process in processes:
        with suppress(OSError):
            folder = Path(f"/proc/{process}")
            lines = (folder / "smaps_rollup").read_text().splitlines()
            memory += sum(int(line.split()[1]) for line in lines if line.startswith(("Pss_Anon:", "Pss_Shmem:"))) / 1000
            threads += len(list((folder / "task").iterdir()))
            files += len(list((folder / "fd").iterdir()))
    figures = urllib.request.urlopen(f"{url}/metrics", timeout=30).read().decode().splitlines()
    tasks = next(float(line.split()[1]) for line in figures if line.startswith("face2emoji_tasks "))
    at = (time.monotonic() - begun) / 60
    return Look(at, memory, len(processes), threads, files, int(tasks), rows_of(database))


def rows_of(database: Path) -> dict[str, int]:
    """Count the rows of every table."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        count = 'SELECT count(*) FROM "{}"'
        return {name: connection.execute(count.format(name)).fetchone()[0] for name in names}


class Posts:
    """Posts selfies on one platform, and checks in rounds that each was answered exactly once.

    Args:
        chats: the platform.
        rate: selfies a second.
    """

    def __init__(self, chats: Platform, rate: float) -> None:
        self._chats = chats
        self._rate = rate
        self._groups, self._people = itertools.cycle(chats.groups), itertools.cycle(chats.people)
        self._number = itertools.count(1)
        self.posted = self.lost = self.doubled = 0

    def run(self, until: float) -> None:
        """Post until then, in seconds of the monotonic clock."""
        while time.monotonic() < until:
            self._round(min(ROUND_SECONDS, max(1.0, until - time.monotonic())))

    def _round(self, seconds: float) -> None:
        self._chats.forget()
        expected: Counter[Hashable] = Counter()
        begun = time.monotonic()
        for number in range(round(seconds * self._rate)):
            time.sleep(max(0.0, begun + number / self._rate - time.monotonic()))
            if next(self._number) % PRIVATE_EVERY:
                post, _ = self._chats.post(self._chats.prepare(next(self._groups)))
                expected[post] += 1
            else:  # of a private answer the post is not always known, so the chat's are counted
                person = next(self._people)
                self._chats.post(self._chats.prepare(person))
                expected[person] += len(self._chats.private_parts)
        self.posted += sum(expected.values())
        end = time.monotonic() + PATIENCE
        while expected - (given := self._given(expected)) and time.monotonic() < end:
            time.sleep(0.2)
        time.sleep(0.5)  # for what may come twice
        given = self._given(expected)
        self.lost += (expected - given).total()
        self.doubled += (given - expected).total()

    def _given(self, expected: Mapping[Hashable, int]) -> Counter[Hashable]:
        posts: Iterator[Any] = (post for post, _ in self._chats.answers())
        return Counter(post if post in expected else post[0] for post in posts)


class Page:
    """A web page that uploads a photo a second, and one that is live.

    Args:
        url: of the bot.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._upload, self._watch)]
        self.uploads = self.answers = 0
        self.errors: Counter[str] = Counter()

    def __enter__(self) -> Page:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(60)

    def _upload(self) -> None:
        photo = PORTRAIT.read_bytes()
        while not self._ended.wait(1.0):
            try:
                urllib.request.urlopen(f"{self._url}/api/read", photo, timeout=60).read()
                self.uploads += 1
            except OSError as error:
                self.errors[f"upload: {error}"] += 1

    def _watch(self) -> None:
        film = itertools.cycle([jpeg(frame) for frame in frames()])
        address = self._url.replace("http", "ws") + "/api/live"
        try:
            with connect(address, compression=None) as socket:
                while not self._ended.wait(1 / FRAMES_A_SECOND):
                    socket.send(next(film))
                    socket.recv(timeout=60)
                    self.answers += 1
        except Exception as error:
            self.errors[f"live: {type(error).__name__}"] += 1


@dataclass(frozen=True, slots=True)
class Verdict:
    """One line of the report.

    Attributes:
        name: what was looked at.
        values: over time.
        finding: in words.
        good: None where it was too short to tell.
    """

    name: str
    values: Sequence[float]
    finding: str
    good: bool | None


def slope(looks: Sequence[Look]) -> float:
    """Return by how many MB a minute memory grows: the least squares' line."""
    return float(np.polyfit([look.at for look in looks], [look.memory for look in looks], 1)[0])


def judge(looks: Sequence[Look], warm: float) -> Iterator[Verdict]:
    """Compare the end with the beginning.

    Args:
        looks: all of them.
        warm: minutes until the bot is warm; the memory of what comes before does not count.
    """
    settled = [each for each in looks if each.at >= warm]
    memory = [each.memory for each in looks]
    if len(settled) < 10:
        yield Verdict("memory of its own, MB", memory, "too short to tell", None)
    else:
        growth = slope(settled)
        yield Verdict("memory of its own, MB", memory, f"{growth:+.2f} MB a minute", growth < MOST_SLOPE)
    third = max(1, len(settled) // 3)
    for name in ("processes", "threads", "files", "tasks"):
        values = [float(getattr(each, name)) for each in settled]
        early, late = statistics.median(values[:third]), statistics.median(values[-third:])
        finding = f"{early:g} in the first third, {late:g} in the last"
        yield Verdict(name, [getattr(each, name) for each in looks], finding, late <= 1.1 * early + 5)
    full = [each for each in looks if each.at >= GONE_AFTER / 60]
    for table in sorted(looks[-1].rows):
        rows = [each.rows.get(table, 0) for each in looks]
        if max(rows) < 20:
            continue
        if len(full) < 20:
            yield Verdict(f"rows of {table}", rows, "too short to tell", None)
            continue
        half = len(full) // 2
        early, late = (max(each.rows.get(table, 0) for each in part) for part in (full[:half], full[half:]))
        finding = f"at most {early} in the first half, {late} in the second"
        yield Verdict(f"rows of {table}", rows, finding, late <= 1.1 * early + 20)


def sparkline(values: Sequence[float], width: int = 40) -> str:
    """Draw values as a line of bars, lowest to highest."""
    parts = [float(np.mean(part)) for part in np.array_split(np.asarray(values, float), min(width, len(values)))]
    low, high = min(parts), max(parts)
    return "".join(BARS[round((part - low) / (high - low or 1) * (len(BARS) - 1))] for part in parts)


@contextmanager
def both_platforms() -> Iterator[tuple[list[Platform], dict[str, str]]]:
    """Run a server of each platform; yield them and the bot's settings."""
    with (
        TelegramServer(can_read_all_group_messages=True, allow_http_webhook=True, limits=True) as telegram,
        SlackProcess() as slack,
    ):
        variables = {
            "TELEGRAM_BOT_TOKEN": telegram.token,
            "TELEGRAM_BASE_URL": telegram.url,
            "SLACK_BOT_TOKEN": BOT_TOKEN,
            "SLACK_APP_TOKEN": APP_TOKEN,
            "SLACK_BASE_URL": slack.url,
            "FACE2EMOJI_JOB_RETENTION": str(RETENTION),
            "FACE2EMOJI_RATE_LIMIT": "0",
        }
        yield [Telegram(telegram), Slack(slack)], variables


def soak(minutes: float, rate: float, folder: Path) -> list[Verdict]:
    """Run, measure, print and return what is found."""
    database, port = folder / "jobs.db", free_port()
    url = f"http://127.0.0.1:{port}"
    address = f"sqlite:///{database}"
    with both_platforms() as (platforms, variables):
        telegram, slack = platforms
        asyncio.run(switch_on(slack, Settings(database_url=SecretStr(address))))
        with running_bot(telegram, address, {**variables, "FACE2EMOJI_PORT": str(port)}, folder) as bot:
            posts = [Posts(platform, rate / len(platforms)) for platform in platforms]
            begun = time.monotonic()
            threads = [threading.Thread(target=each.run, args=(begun + 60 * minutes,)) for each in posts]
            looks: list[Look] = []
            with Page(url) as page:
                for thread in threads:
                    thread.start()
                while any(thread.is_alive() for thread in threads):
                    looks.append(look(bot, url, database, begun))
                    _progress(looks[-1], minutes)
                    time.sleep(LOOK_SECONDS)
            idle = _wait_until_gone(bot, url, database, begun) if minutes * 60 > GONE_AFTER else None
    return report(looks, idle, posts, page, min(5.0, minutes / 4))


def _wait_until_gone(bot: int, url: str, database: Path, begun: float) -> Look:
    """Return the bot when nothing has been asked of it for longer than jobs are remembered."""
    print("\nwaiting until all jobs are forgotten", file=sys.stderr)
    time.sleep(GONE_AFTER)
    return look(bot, url, database, begun)


def _progress(now: Look, minutes: float) -> None:
    line = f"{now.at:5.1f} of {minutes:g} minutes: {now.memory:6.0f} MB, {now.threads} threads, {now.files} files"
    print(f"\r{line}, {now.tasks} tasks, {sum(now.rows.values())} rows ", end="", file=sys.stderr, flush=True)


def report(looks: Sequence[Look], idle: Look | None, posts: Sequence[Posts], page: Page, warm: float) -> list[Verdict]:
    """Print and return the verdicts."""
    verdicts = list(judge(looks, warm))
    if idle:
        left = sum(count for table, count in idle.rows.items() if table.startswith(OF_JOBS))
        verdicts.append(Verdict("jobs' rows after the retention", [], f"{left} left", left == 0))
    for each, name in zip(posts, ("Telegram", "Slack"), strict=True):
        finding = f"{each.posted} owed, {each.lost} lost, {each.doubled} doubled"
        verdicts.append(Verdict(f"answers on {name}", [], finding, not each.lost and not each.doubled))
    errors = ", ".join(f"{number} x {error}" for error, number in page.errors.items()) or "no errors"
    finding = f"{page.uploads} photos, {page.answers} live frames, {errors}"
    verdicts.append(Verdict("web page", [], finding, not page.errors))
    print(f"\n{looks[-1].at:.1f} minutes; the first {warm:.1f} are for warming up; load {os.getloadavg()[0]:.1f}")
    for verdict in verdicts:
        word = {True: "pass", False: "FAIL", None: "-"}[verdict.good]
        line = sparkline(verdict.values) if verdict.values else ""
        spread = f"{min(verdict.values):.0f} to {max(verdict.values):.0f}" if verdict.values else ""
        print(f"{word:5}{verdict.name:34}{line:42}{spread:16}{verdict.finding}")
    return verdicts


def main() -> int:
    """Run it; 1 when something grows or was lost."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=amount, default=30, help="how long (30)")
    parser.add_argument("--rate", type=amount, default=8, help="selfies a second on both platforms together (8)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        verdicts = soak(options.minutes, options.rate, Path(folder))
    return 1 if any(verdict.good is False for verdict in verdicts) else 0


if __name__ == "__main__":
    sys.exit(main())
