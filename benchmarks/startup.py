"""python -m benchmarks.startup [--runs N]: how long the bot takes to start, and how much memory all of it holds.

Every run starts fresh processes on this machine: one that only loads a reader, the whole bot on a free port, and the
bot with Telegram and Slack (the servers of the tests) as well. Each bot then reads the same photo twenty times. Memory
is that of all the bot's processes, what several share counted once. Linux only: it comes from /proc.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path

from benchmarks.numbers import positive
from benchmarks.processes import megabytes
from tests.bot.slack_server import SlackProcess
from tests.bot.slack_world import APP_TOKEN, BOT_TOKEN
from tests.bot.telegram_server import TelegramProcess
from tests.bot.telegram_world import TOKEN
from tests.e2e.served import NO_DOT_ENV, bot_environment

PHOTO = Path(__file__).parents[1] / "tests" / "pictures" / "astronaut.jpg"
READS = 20
LOAD = """
import time
start = time.perf_counter()
from inference import load_reader
load_reader()
print(time.perf_counter() - start)
"""


def reader_seconds() -> float:
    """Return the seconds from the first import to a reader that can read, in a fresh process."""
    return float(subprocess.run([sys.executable, "-c", LOAD], check=True, capture_output=True, text=True).stdout)


def bot_figures(variables: Mapping[str, str]) -> tuple[float, float]:
    """Return of a fresh bot the seconds until its first answer, and then its memory in MB."""
    address = f"http://127.0.0.1:{(port := free_port())}"
    environment = bot_environment(
        FACE2EMOJI_PORT=str(port), FACE2EMOJI_RATE_LIMIT="0", FACE2EMOJI_LOG_LEVEL="error", **variables
    )
    command = [sys.executable, "-m", "bot"]
    started = time.perf_counter()
    bot = subprocess.Popen(command, cwd=NO_DOT_ENV, env=environment, stdout=subprocess.DEVNULL)
    try:
        while not _answers(address):
            if bot.poll() is not None or time.perf_counter() - started > 120:
                sys.exit("error: the bot did not start; run `make run` to see why")
            time.sleep(0.02)
        seconds = time.perf_counter() - started
        time.sleep(3)  # until the second reader is loaded and the platforms are connected
        for _ in range(READS):
            _answers(address)
        return seconds, megabytes(bot.pid)
    finally:
        bot.terminate()
        bot.wait(30)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(address: str) -> bool:
    return _get(urllib.request.Request(f"{address}/api/read", PHOTO.read_bytes()))


def _get(request: str | urllib.request.Request) -> bool:
    with suppress(OSError), urllib.request.urlopen(request, timeout=60) as answer:
        return bool(answer.status == 200)
    return False


def main() -> None:
    """Print medians and ranges."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.startup", description=__doc__)
    parser.add_argument("--runs", type=positive, default=5)
    runs = parser.parse_args().runs
    with ExitStack() as stack:
        slack, telegram = stack.enter_context(SlackProcess()), stack.enter_context(TelegramProcess())
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        chats = {
            "TELEGRAM_BOT_TOKEN": TOKEN,
            "TELEGRAM_BASE_URL": telegram.url,
            "SLACK_BOT_TOKEN": BOT_TOKEN,
            "SLACK_APP_TOKEN": APP_TOKEN,
            "SLACK_BASE_URL": slack.url,
            "FACE2EMOJI_DATABASE_URL": f"sqlite:///{folder}/jobs.db",
        }
        readers = [reader_seconds() for _ in range(runs)]
        alone = [bot_figures({}) for _ in range(runs)]
        with_chats = [bot_figures(chats) for _ in range(runs)]
    rows = [("reader, first import to ready", readers, "s", 2)]
    for name, figures in (("web alone", alone), ("web, Telegram and Slack", with_chats)):
        rows.append((f"bot ({name}), start to first answer", [seconds for seconds, _ in figures], "s", 2))
        rows.append((f"bot ({name}), memory after {READS} photos", [memory for _, memory in figures], "MB", 0))
    print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}, {runs} runs: median (least to most)")
    for name, values, unit, digits in rows:
        middle, least, most = (f"{value:.{digits}f}" for value in (statistics.median(values), min(values), max(values)))
        print(f"{name:56} {middle:>7} {unit} ({least} to {most})")


if __name__ == "__main__":
    main()
