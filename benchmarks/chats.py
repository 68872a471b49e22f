"""What the benchmarks of the chat platforms share: selfies, the bot as a program, steady streams, tables and options.

Latency is taken from one selfie at a time. A rate is held when every selfie of a steady stream is answered exactly
once, 95 of 100 within a second, and the last within two seconds: nothing piles up. A burst is more than can be answered
at once: what counts is that each selfie is answered once in the end, and that memory stays bounded meanwhile.
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
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Self

import numpy as np
import sqlalchemy as sa
from PIL import Image, ImageEnhance
from pydantic import SecretStr
from tqdm import tqdm

from benchmarks.numbers import amount, positive, several
from benchmarks.processes import family, megabytes, processor_seconds
from bot.settings import Settings
from bot.store import Chat, Store, open_database

ROOT = Path(__file__).parents[1]
PORTRAIT = ROOT / "tests" / "pictures" / "astronaut.jpg"
PHOTOS = 24
WARM_UP_RATE = 10
LOG_LINES = 10
"""Of the bot's log, shown where an answer is missing or came twice."""
MOST_P95, MOST_BEHIND = 1.0, 2.0
# After so many seconds without any answer, what is still to be answered is lost.
PATIENCE = 60.0
WATCH_SECONDS = 1.0
_UNDONE = "SELECT count(*) FROM {table} WHERE status IN ('ENQUEUED', 'PENDING')"
# DBOS keeps its tables in a schema of its own where there are schemas.
UNDONE = {
    "sqlite": _UNDONE.format(table="workflow_status"),
    "postgresql": _UNDONE.format(table="dbos.workflow_status"),
}


class Platform(ABC):
    """A small server of a chat platform, and the selfies that are posted there.

    Attributes:
        name: the bot's word for it.
        package: the library that the bot talks to it with.
        ready: how the bot's line begins when it is connected.
        groups: where selfies get a reaction.
        people: whose selfies are answered in words.
        stored_groups: the groups, as the bot's database names them.
        group_parts, private_parts: what an answer consists of, in the order of its parts.
        processes: ids of the processes that the server's work is done in.
    """

    name: str
    package: str
    ready: str
    groups: Sequence[Any]
    people: Sequence[Any]
    stored_groups: Sequence[str]
    group_parts: Sequence[str]
    private_parts: Sequence[str]
    processes: Sequence[int]

    @abstractmethod
    def prepare(self, chat: Any) -> Any:
        """Make a post with a photo, so that nothing is left to do but to post it."""

    @abstractmethod
    def post(self, prepared: Any) -> tuple[Hashable, float]:
        """Post it; return what it is known by, and when it was posted in seconds."""

    @abstractmethod
    def answers(self) -> list[tuple[Hashable, float]]:
        """Return which post was answered when; a private answer need not name its post."""

    @abstractmethod
    def acknowledgements(self) -> list[float]:
        """Return how many seconds each event took to be acknowledged, where a platform waits for that."""

    @abstractmethod
    def forget(self) -> None:
        """Forget the answers and acknowledgements so far."""


class NotOnce(Exception):
    """A selfie was not answered, or not once."""


@dataclass(frozen=True, slots=True)
class Stream:
    """What became of a steady stream of selfies.

    Attributes:
        rate: selfies a second.
        length: of the stream, in seconds.
        seconds: from event to answer, of each one answered.
        acknowledged: seconds from event to acknowledgement, of each one.
        lost: how many were not answered.
        doubled: how many were answered more than once.
        behind: seconds from the last selfie to the last answer.
        late: seconds by which the last selfie was posted too late.
        bot: the bot's processor time per selfie, in seconds.
        server: the server's likewise.
        others: cores that other programs kept busy meanwhile.
    """

    rate: float
    length: float
    seconds: list[float]
    acknowledged: list[float]
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


@dataclass(frozen=True, slots=True)
class Sample:
    """The bot at one moment.

    Attributes:
        queue: jobs that are stored and not done.
        memory: of the bot and its readers, in MB; what they share counts once.
    """

    queue: int
    memory: float


class Watch:
    """Samples the bot from outside, in a thread, until the `with` ends.

    Args:
        bot: its process.
        database: where its jobs are.

    Attributes:
        samples: in their order.
    """

    def __init__(self, bot: int, database: str) -> None:
        self._bot = bot
        self._engine = open_database(database)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.samples: list[Sample] = []

    def __enter__(self) -> Self:
        self._sample()
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._done.set()
        self._thread.join()
        self._sample()
        self._engine.dispose()

    def _watch(self) -> None:
        while not self._done.wait(WATCH_SECONDS):
            self._sample()

    def _sample(self) -> None:
        with self._engine.connect() as connection:
            queue = connection.execute(sa.text(UNDONE[connection.dialect.name])).scalar_one()
        self.samples.append(Sample(queue, megabytes(self._bot)))


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
def running_bot(chats: Platform, database: str, variables: Mapping[str, str], folder: Path) -> Iterator[int]:
    """Run the bot, switched on in every group; its process id comes back.

    Args:
        chats: what it connects to.
        database: a new one.
        variables: the platform's settings.
        folder: where it runs; no .env lies there.
    """
    asyncio.run(switch_on(chats, Settings(database_url=SecretStr(database))))
    ours = ("FACE2EMOJI_", "SLACK_", "TELEGRAM_")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(ours)},
        "PYTHONPATH": str(ROOT),
        "FACE2EMOJI_DATABASE_URL": database,
        **variables,
    }
    log = folder / "log"
    command = [sys.executable, "-m", "bot"]
    with log.open("w") as errors:
        bot = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True)
    assert bot.stdout is not None
    try:
        if not any(line.startswith(chats.ready) for line in bot.stdout):
            sys.exit(f"error: the bot did not start:\n{log.read_text()}")
        yield bot.pid
    except NotOnce:
        print("".join(log.read_text().splitlines(keepends=True)[-LOG_LINES:]), end="", file=sys.stderr)
        raise
    finally:
        bot.terminate()
        bot.wait(60)
        bot.stdout.close()


async def switch_on(chats: Platform, settings: Settings) -> None:
    """Switch on automatic reactions in every group of a platform."""
    engine = open_database(settings.database_url.get_secret_value())
    store = Store(engine)
    for group in chats.stored_groups:
        await store.change_chat(chats.name, group, lambda _: Chat(auto=True))
    engine.dispose()


class Bench:
    """Posts selfies, and reads off the server when they were answered.

    Args:
        chats: where; each measurement forgets the records of the one before.
        bot: the process whose processor time is read, with that of its readers.
    """

    def __init__(self, chats: Platform, bot: int) -> None:
        self._chats = chats
        self._bot = bot
        self._groups, self._people = cycle(chats.groups), cycle(chats.people)
        self._pauses = random.Random(1)

    def warm_up(self) -> Stream:
        """Visit every group once, so that all threads of the bot are awake."""
        return self.stream(WARM_UP_RATE, len(self._chats.groups) / WARM_UP_RATE)

    def latencies(self, runs: int, number: int) -> dict[str, list[list[float]]]:
        """Return the seconds from event to answer, one selfie at a time: by part of the answer and run.

        Raises:
            NotOnce: an answer is missing.
        """
        in_groups, in_private = self._chats.group_parts, self._chats.private_parts
        found: dict[str, list[list[float]]] = {part: [] for part in (*in_groups, *in_private)}
        with _progress("one at a time", 2 * runs * number) as bar:
            for _ in range(runs):
                for chats, parts in ((self._groups, in_groups), (self._people, in_private)):
                    rows = [self._one(chat, len(parts), bar) for chat in islice(chats, number)]
                    for part, column in zip(parts, zip(*rows, strict=True), strict=True):
                        found[part].append(list(column))
        return found

    def _one(self, chat: Any, parts: int, bar: tqdm[Any]) -> list[float]:
        time.sleep(self._pauses.uniform(0.05, 0.15))
        self._chats.forget()
        _, at = self._chats.post(self._chats.prepare(chat))
        end = time.monotonic() + PATIENCE
        while len(answers := self._answers()) < parts:
            if time.monotonic() > end:
                raise NotOnce(f"a selfie got {len(answers)} of {parts} answers in {PATIENCE:g} s")
            time.sleep(0.005)
        bar.update()
        return [answered - at for _, answered in answers]

    def stream(self, rate: float, seconds: float) -> Stream:
        """Post selfies into groups at a steady rate, whatever becomes of them."""
        prepared = [self._chats.prepare(chat) for chat in islice(self._groups, round(rate * seconds))]
        self._chats.forget()
        before = self._processor_seconds()
        posted: dict[Hashable, float] = {}
        begun = time.monotonic() + 0.1
        with _progress(f"{rate:g} a second", len(prepared)) as bar:
            for number, each in enumerate(prepared):
                time.sleep(max(0.0, begun + number / rate - time.monotonic()))
                late = time.monotonic() - begun - number / rate
                post, at = self._chats.post(each)
                posted[post] = at
                bar.update()
        last = max(posted.values())
        self._wait_for(len(posted))
        time.sleep(0.5)  # for what may come twice
        machine, bot, server, clock = (now - then for now, then in zip(self._processor_seconds(), before, strict=True))
        answers = [(post, at) for post, at in self._answers() if post in posted]
        times = Counter(post for post, _ in answers)
        return Stream(
            rate,
            seconds,
            seconds=[at - posted[post] for post, at in dict(answers).items()],
            acknowledged=self._chats.acknowledgements(),
            lost=len(posted) - len(times),
            doubled=sum(n > 1 for n in times.values()),
            behind=max((at for _, at in answers), default=last) - last,
            late=late,
            bot=bot / len(posted),
            server=server / len(posted),
            others=(machine - bot - server) / clock,
        )

    def _wait_for(self, number: int) -> None:
        """Wait until so many are answered, or none has been for a while."""
        answered, end = 0, time.monotonic() + PATIENCE
        while answered < number and time.monotonic() < end:
            time.sleep(0.1)
            if (now := len(dict(self._chats.answers()))) > answered:
                answered, end = now, time.monotonic() + PATIENCE

    def _answers(self) -> list[tuple[Hashable, float]]:
        return sorted(self._chats.answers(), key=lambda answer: answer[1])

    def _processor_seconds(self) -> tuple[float, float, float, float]:
        """Return the processor time used by the machine, the bot and the server, and the time itself."""
        machine = [int(ticks) for ticks in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
        busy = (sum(machine) - machine[3] - machine[4]) / os.sysconf("SC_CLK_TCK")
        return (
            busy,
            processor_seconds(family(self._bot)),
            processor_seconds(self._chats.processes),
            time.monotonic(),
        )


def quantile(seconds: Sequence[float], percent: int) -> float:
    """Return the value below which so many of 100 lie."""
    return float(np.percentile(seconds, percent)) if seconds else float("inf")


def _progress(title: str, total: int) -> tqdm[Any]:
    return tqdm(total=total, desc=title, leave=False, unit=" selfies", file=sys.stderr)


def machine(package: str) -> str:
    """Say where this runs; without this line the figures mean nothing."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())
    packages = ", ".join(f"{name} {version(name)}" for name in ("onnxruntime", "dbos", package))
    return f"{os.cpu_count()} cores ({model}), Python {platform.python_version()}, {packages}"


def _milliseconds(seconds: Sequence[float], *percents: int) -> str:
    return "".join(f"{1000 * quantile(seconds, percent):8.0f}" if seconds else f"{'-':>8}" for percent in percents)


def _print_latencies(found: dict[str, list[list[float]]], runs: int, number: int) -> None:
    print(f"\nOne selfie at a time, event to answer in ms; median of {runs} runs of {number} (least to most):")
    print(f"{'':34}" + "".join(f"{name:>18}" for name in ("p50", "p95", "p99")))
    for name, rows in found.items():
        cells = []
        for percent in (50, 95, 99):
            values = [1000 * quantile(row, percent) for row in rows]
            cells.append(f"{statistics.median(values):.0f} ({min(values):.0f} to {max(values):.0f})")
        print(f"{name:34}" + "".join(f"{cell:>18}" for cell in cells), flush=True)


def _print_stream(stream: Stream) -> None:
    verdict = "held" if stream.held else "not held"
    if stream.late > 0.1:
        verdict += f" (posted up to {stream.late:.1f} s late)"
    print(
        f"{stream.rate:6g} {stream.length:5g} s{len(stream.seconds):9}{stream.lost:6}{stream.doubled:8}"
        f"{_milliseconds(stream.seconds, 50, 95, 99)}{_milliseconds(stream.acknowledged, 50, 99)}"
        f"{stream.behind:9.1f} s{1000 * stream.bot:7.0f}{1000 * stream.server:8.0f}{stream.others:8.2f}   {verdict}",
        flush=True,
    )


def _measure(bench: Bench, options: argparse.Namespace) -> bool:
    """Measure and print; return whether every selfie was answered exactly once."""
    streams = [bench.warm_up()]
    _print_latencies(bench.latencies(options.runs, options.selfies), options.runs, options.selfies)
    print("\nSteady streams into groups; ms from event to reaction and to acknowledgement; processor ms per selfie;")
    print("other work in cores:")
    print(
        "  rate    for answered  lost doubled     p50     p95     p99 ack p50 ack p99     behind    bot  server  others"
    )
    held = 0.0
    for rate in sorted(options.rates):
        runs = []
        for _ in range(options.runs):
            runs.append(bench.stream(rate, options.seconds))
            _print_stream(runs[-1])
        streams += runs
        if not all(stream.held for stream in runs):
            break
        held = rate
    if held:
        print(f"\nHeld for {options.seconds:g} s with nothing lost or doubled: {held:g} selfies a second.")
    return all(stream.once for stream in streams)


def _measure_bursts(bench: Bench, bot: int, database: str, options: argparse.Namespace) -> bool:
    """Measure and print; return whether every selfie was answered exactly once."""
    streams = [bench.warm_up()]
    print(
        f"\nBursts of {options.burst} selfies into groups within {options.within:g} s; seconds from event to reaction;"
    )
    print("jobs stored and not done, at most; resident memory in MB; processor ms per selfie; other work in cores:")
    print("answered  lost doubled   p50   p95   max   drained after   queue   start  peak   end    bot  server  others")
    for _ in range(options.runs):
        with Watch(bot, database) as watch:
            stream = bench.stream(options.burst / options.within, options.within)
        streams.append(stream)
        first, last = watch.samples[0], watch.samples[-1]
        times = "".join(f"{quantile(stream.seconds, percent):6.1f}" for percent in (50, 95, 100))
        print(
            f"{len(stream.seconds):8}{stream.lost:6}{stream.doubled:8}{times}{stream.behind:14.1f} s"
            f"{max(sample.queue for sample in watch.samples):8}"
            f"{first.memory:8.0f}{max(sample.memory for sample in watch.samples):6.0f}{last.memory:6.0f}"
            f"{1000 * stream.bot:7.0f}{1000 * stream.server:8.0f}{stream.others:8.2f}"
            + (f"   (posted up to {stream.late:.1f} s late)" if stream.late > 0.1 else ""),
            flush=True,
        )
    return all(stream.once for stream in streams)


def options_parser(module: str, description: str | None) -> argparse.ArgumentParser:
    """Return a parser of the options that all platforms have."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {module}", description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=positive, default=3, help="of everything (3)")
    parser.add_argument("--selfies", type=positive, default=60, help="one at a time, in each run (60)")
    parser.add_argument(
        "--rates", type=several(amount), default=[25, 30], help="a second, until one is not held (25,30)"
    )
    parser.add_argument("--seconds", type=amount, default=60, help="of each rate, in each run (60)")
    parser.add_argument("--burst", type=positive, metavar="N", help="measure only this: so many selfies at once")
    parser.add_argument("--within", type=amount, default=10, help="seconds of the burst (10)")
    parser.add_argument("--database", help="an empty one, postgresql://...; SQLite in a temporary folder by default")
    return parser


def run(
    chats: Platform, options: argparse.Namespace, variables: Mapping[str, str], folder: Path, transport: str
) -> bool:
    """Measure and print; return whether every selfie was answered exactly once.

    Args:
        chats: the platform.
        options: of `options_parser`.
        variables: the bot's settings.
        folder: an empty one.
        transport: how events come in; printed.
    """
    database = options.database or f"sqlite:///{folder}/jobs.db"
    print(f"{machine(chats.package)}, {database.partition(':')[0]}, {transport}")
    try:
        with running_bot(chats, database, variables, folder) as bot:
            if options.burst:
                return _measure_bursts(Bench(chats, bot), bot, database, options)
            return _measure(Bench(chats, bot), options)
    except NotOnce as error:
        print(f"error: {error}", file=sys.stderr)
        return False
