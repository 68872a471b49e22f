"""python -m benchmarks.telegram [options]: how soon the whole bot answers selfies on Telegram, and how many a second.

Runs `python -m bot` with the real model and a new database against the Telegram server of the tests, which runs in this
process. All of it is on this machine, so add the way to Telegram and back. Linux only: processor time comes from /proc.

Latency is taken from one selfie at a time. A rate is held when every selfie of a steady stream is answered exactly
once, 95 of 100 within a second, and the last within two seconds: nothing piles up.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance
from pydantic import SecretStr
from tqdm import tqdm

from benchmarks.startup import free_port
from bot.settings import Settings
from bot.store import Chat, Store, open_database
from tests.bot.telegram_server import TelegramServer
from tests.bot.telegram_world import content_of

ROOT = Path(__file__).parents[1]
PORTRAIT = ROOT / "tests" / "pictures" / "astronaut.jpg"
PHOTOS = 24
# A bot may send 20 messages a minute into one group, and ours keeps to that: a high rate needs many groups.
GROUPS = range(-1_000_000_000_120, -1_000_000_000_000)
PEOPLE = range(5001, 5061)
REACTION, FIRST, LAST = "group: the reaction", "private chat: the emoji", "private chat: the words below it"
WARM_UP_RATE = 10
PROBE_SECONDS = 15
MOST_P95, MOST_BEHIND = 1.0, 2.0
# What is not answered after so many seconds is lost.
PATIENCE = 60.0

Post = tuple[int, int]
"""A message: its chat, and its number there."""


class NotOnce(Exception):
    """A selfie was not answered, or not once."""


@dataclass(frozen=True, slots=True)
class Stream:
    """What became of a steady stream of selfies.

    Attributes:
        rate: selfies a second.
        seconds: from update to answer, of each one answered.
        lost: how many were not.
        doubled: how many were answered more than once.
        behind: seconds from the last selfie to the last answer.
        late: seconds by which the last selfie was posted too late.
        bot: the bot's processor time per selfie, in seconds.
        server: this process's likewise.
        others: cores that other programs kept busy meanwhile.
    """

    rate: float
    seconds: list[float]
    lost: int
    doubled: int
    behind: float
    late: float
    bot: float
    server: float
    others: float

    @property
    def once(self) -> bool:
        """Whether each was answered exactly once."""
        return not self.lost and not self.doubled

    @property
    def held(self) -> bool:
        """Whether it could go on for ever."""
        return self.once and self.behind < MOST_BEHIND and quantile(self.seconds, 95) < MOST_P95


def selfies() -> list[bytes]:
    """Return different JPEGs of 1280x960, with a face a fifth of their width and with grain, as cameras make it."""
    portrait = Image.open(PORTRAIT).convert("RGB")
    numbers = np.random.default_rng(1)
    made = []
    for _ in range(PHOTOS):
        width = 4 * int(numbers.integers(64, 86))
        left, top = 226 - width // 2 + int(numbers.integers(-30, 31)), int(numbers.integers(0, 30))
        crop = portrait.crop((left, top, left + width, top + width * 3 // 4))
        large = crop.resize((1280, 960), Image.Resampling.BICUBIC)
        bright = np.asarray(ImageEnhance.Brightness(large).enhance(numbers.uniform(0.85, 1.15)), np.float32)
        grainy = (bright + numbers.normal(0, 3, (960, 1280, 1))).clip(0, 255).astype(np.uint8)
        file = io.BytesIO()
        Image.fromarray(grainy).save(file, "JPEG", quality=87)
        made.append(file.getvalue())
    return made


@contextmanager
def running_bot(server: TelegramServer, database: str, folder: Path, webhook: bool) -> Iterator[int]:
    """Run the bot, with /auto on in every group; its process id comes back."""
    asyncio.run(_switch_on(Settings(database_url=SecretStr(database))))
    port = free_port()
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "TELEGRAM_BOT_TOKEN": server.token,
        "TELEGRAM_BASE_URL": server.url,
        "FACE2EMOJI_DATABASE_URL": database,
        "FACE2EMOJI_HOST": "127.0.0.1",
        "FACE2EMOJI_PORT": str(port),
    }
    if webhook:
        environment["FACE2EMOJI_PUBLIC_URL"] = f"http://127.0.0.1:{port}"
    log = folder / "log"
    command = [sys.executable, "-m", "bot"]
    with log.open("w") as errors:  # in the new folder, because no .env lies there
        bot = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True)
    assert bot.stdout is not None  # noqa: S101 - for mypy
    try:
        if not any(line.startswith("Telegram:") for line in bot.stdout):
            sys.exit(f"error: the bot did not start:\n{log.read_text()}")
        yield bot.pid
    finally:
        bot.terminate()
        bot.wait(60)
        bot.stdout.close()
        print(log.read_text()[-2000:], end="", file=sys.stderr)


async def _switch_on(settings: Settings) -> None:
    engine = open_database(settings.database_url.get_secret_value())
    store = Store(engine)
    for group in GROUPS:
        await store.save_chat("telegram", str(group), Chat(auto=True))
    engine.dispose()


class Bench:
    """Posts selfies, and reads off the server when they were answered.

    Args:
        server: whose records are used; each measurement forgets the older ones.
        bot: the process whose processor time is read.
    """

    def __init__(self, server: TelegramServer, bot: int) -> None:
        self._server = server
        self._bot = bot
        self._photos = cycle(selfies())
        self._groups, self._people = cycle(GROUPS), cycle(PEOPLE)
        self._pauses = random.Random(1)  # noqa: S311 - no secret

    def latencies(self, runs: int, number: int) -> dict[str, list[list[float]]]:
        """Return the seconds from update to answer, one selfie at a time: by kind of answer and run.

        Raises:
            NotOnce: an answer is missing.
        """
        found: dict[str, list[list[float]]] = {REACTION: [], FIRST: [], LAST: []}
        with _progress("one at a time", 2 * runs * number) as bar:
            for _ in range(runs):
                for chats, names in ((self._groups, (REACTION,)), (self._people, (FIRST, LAST))):
                    rows = [self._one(chat, len(names), bar) for chat in islice(chats, number)]
                    for name, column in zip(names, zip(*rows, strict=True), strict=True):
                        found[name].append(list(column))
        return found

    def _one(self, chat: int, parts: int, bar: tqdm[Any]) -> list[float]:
        time.sleep(self._pauses.uniform(0.05, 0.15))
        self._server.forget_records()
        at = self._push(self._update(chat))
        while len(answers := self._answers()) < parts:
            if time.monotonic() > at + PATIENCE:
                raise NotOnce(f"a selfie got {len(answers)} of {parts} answers in {PATIENCE:g} s")
            time.sleep(0.002)
        bar.update()
        return [answered - at for _, answered in answers]

    def stream(self, rate: float, seconds: float) -> Stream:
        """Post selfies into groups at a steady rate, whatever becomes of them."""
        updates = [self._update(chat) for chat in islice(self._groups, round(rate * seconds))]
        self._server.forget_records()
        before = self._processor_seconds()
        posted: dict[Post, float] = {}
        begun = time.monotonic() + 0.1
        with _progress(f"{rate:g} a second", len(updates)) as bar:
            for number, update in enumerate(updates):
                time.sleep(max(0.0, begun + number / rate - time.monotonic()))
                message = content_of(update)
                posted[message["chat"]["id"], message["message_id"]] = self._push(update)
                bar.update()
        last = max(posted.values())
        while len(dict(self._answers())) < len(posted) and time.monotonic() < last + PATIENCE:
            time.sleep(0.1)
        time.sleep(0.5)  # for what may come twice
        machine, bot, server, clock = (now - then for now, then in zip(self._processor_seconds(), before, strict=True))
        answers = [(post, at) for post, at in self._answers() if post in posted]
        times = Counter(post for post, _ in answers)
        return Stream(
            rate,
            seconds=[at - posted[post] for post, at in dict(answers).items()],
            lost=len(posted) - len(times),
            doubled=sum(n > 1 for n in times.values()),
            behind=max((at for _, at in answers), default=last) - last,
            late=last - begun - (len(updates) - 1) / rate,
            bot=bot / len(posted),
            server=server / len(posted),
            others=(machine - bot - server) / clock,
        )

    def _processor_seconds(self) -> tuple[float, float, float, float]:
        """Return the processor time used by the machine, the bot and this process, and the time itself."""
        machine = Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
        bot = Path(f"/proc/{self._bot}/stat").read_text().rpartition(")")[2].split()[11:13]
        idle = int(machine[3]) + int(machine[4])
        tick = os.sysconf("SC_CLK_TCK")
        return (
            (sum(map(int, machine)) - idle) / tick,
            sum(map(int, bot)) / tick,
            time.process_time(),
            time.monotonic(),
        )

    def _update(self, chat: int) -> Any:
        """Make an update with a photo of its own."""
        return self._server.photo(self._server.add_photo(next(self._photos)), chat)

    def _push(self, update: Any) -> float:
        at = time.monotonic()
        self._server.push(update)
        return at

    def _answers(self) -> list[tuple[Post, float]]:
        """Return which post was answered when; of an answer's further messages the post is not known."""
        with self._server.lock:
            messages = [
                ((sent.chat_id, (sent.reply_parameters or {}).get("message_id", 0)), sent.clock)
                for sent in self._server.sent
            ]
            reactions = [((each.chat_id, each.message_id), each.clock) for each in self._server.reaction_log]
        return sorted(messages + reactions, key=lambda answer: answer[1])


def quantile(seconds: Sequence[float], percent: int) -> float:
    """Return the value below which so many of 100 lie."""
    return float(np.percentile(seconds, percent)) if seconds else float("inf")


def _progress(title: str, total: int) -> tqdm[Any]:
    return tqdm(total=total, desc=title, leave=False, unit=" selfies", file=sys.stderr)


def _machine() -> str:
    """Say where this runs; without this line the figures mean nothing."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "dbos", "python-telegram-bot"))
    return f"{os.cpu_count()} cores ({model}), Python {platform.python_version()}, {packages}"


def _print_latencies(found: dict[str, list[list[float]]], runs: int, number: int) -> None:
    print(f"\nOne selfie at a time, update to answer in ms; median of {runs} runs of {number} (least to most):")
    print(f"{'':34}" + "".join(f"{name:>18}" for name in ("p50", "p95", "p99")))
    for name, rows in found.items():
        cells = []
        for percent in (50, 95, 99):
            values = [1000 * quantile(row, percent) for row in rows]
            cells.append(f"{statistics.median(values):.0f} ({min(values):.0f} to {max(values):.0f})")
        print(f"{name:34}" + "".join(f"{cell:>18}" for cell in cells))


def _print_stream(stream: Stream, seconds: float) -> None:
    times = "".join(f"{1000 * quantile(stream.seconds, percent):8.0f}" for percent in (50, 95, 99))
    verdict = "held" if stream.held else "not held"
    if stream.late > 0.1:
        verdict += f" (posted up to {stream.late:.1f} s late)"
    print(
        f"{stream.rate:6g} {seconds:5g} s{len(stream.seconds):9}{stream.lost:6}{stream.doubled:8}{times}"
        f"{stream.behind:9.1f} s{1000 * stream.bot:7.0f}{1000 * stream.server:8.0f}{stream.others:8.2f}   {verdict}",
        flush=True,
    )


def measure(bench: Bench, options: argparse.Namespace) -> bool:
    """Measure and print; return whether every selfie was answered exactly once."""
    streams = [
        bench.stream(WARM_UP_RATE, len(GROUPS) / WARM_UP_RATE)
    ]  # every group once, every thread of the bot awake
    _print_latencies(bench.latencies(options.runs, options.selfies), options.runs, options.selfies)
    print("\nA steady stream into groups; ms from update to reaction; processor ms per selfie; other work in cores:")
    print("  rate    for answered  lost doubled     p50     p95     p99     behind    bot  server  others", flush=True)
    held = []
    for rate in sorted(options.rates):
        streams.append(bench.stream(rate, PROBE_SECONDS))
        _print_stream(streams[-1], PROBE_SECONDS)
        if not streams[-1].held:
            break
        held.append(rate)
    while held:
        streams.append(bench.stream(held.pop(), options.seconds))
        _print_stream(streams[-1], options.seconds)
        if streams[-1].held:
            print(
                f"\nHeld for {options.seconds:g} s with nothing lost or doubled: {streams[-1].rate:g} selfies a second."
            )
            break
    return all(stream.once for stream in streams)


def _numbers(text: str) -> list[float]:
    return [float(part) for part in text.split(",")]


def main() -> int:
    """Run the benchmark; 1 when a selfie was lost or answered twice."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.telegram", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--selfies", type=int, default=60, help="one at a time, in each run (60)")
    parser.add_argument("--runs", type=int, default=5, help="of those (5)")
    parser.add_argument("--rates", type=_numbers, default=[10, 15, 20, 25, 30], help="a second (10,15,20,25,30)")
    parser.add_argument("--seconds", type=float, default=60, help="to hold the highest rate (60)")
    parser.add_argument("--database", help="an empty one, postgresql://...; SQLite in a temporary folder by default")
    parser.add_argument("--webhook", action="store_true", help="let Telegram call, instead of asking it")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        TelegramServer(can_read_all_group_messages=True, allow_http_webhook=True, limits=True) as server,
    ):
        database = options.database or f"sqlite:///{folder}/jobs.db"
        print(f"{_machine()}, {database.partition(':')[0]}, {'webhook' if options.webhook else 'polling'}")
        try:
            with running_bot(server, database, Path(folder), options.webhook) as bot:
                once = measure(Bench(server, bot), options)
        except NotOnce as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        for problem in {violation.problem for violation in server.violations}:
            print(f"error: Telegram would refuse {problem}", file=sys.stderr)
    return 0 if once else 1


if __name__ == "__main__":
    sys.exit(main())
