"""python -m benchmarks.startup [--runs N]: how long the bot takes to start, and how much memory its web process holds.

Every run starts fresh processes on this machine: one that only loads a reader, and the whole bot on a free port, which
then reads the same photo twenty times. Linux only: memory comes from /proc.
"""

from __future__ import annotations

import argparse
import os
import re
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

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


def bot_figures() -> tuple[float, float, float]:
    """Return of a fresh bot: seconds until /readyz says yes, then resident and peak resident memory in MB."""
    port = free_port()
    environment = {**os.environ, "FACE2EMOJI_PORT": str(port), "FACE2EMOJI_HOST": "127.0.0.1"}
    started = time.perf_counter()
    bot = subprocess.Popen([sys.executable, "-m", "bot"], env=environment, stdout=subprocess.DEVNULL)
    try:
        while not _ready(f"http://127.0.0.1:{port}/readyz"):
            if bot.poll() is not None or time.perf_counter() - started > 120:
                sys.exit("error: the bot did not start; run `make run` to see why")
            time.sleep(0.02)
        seconds = time.perf_counter() - started
        for _ in range(READS):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/api/read", PHOTO.read_bytes(), timeout=60).read()
        status = Path(f"/proc/{bot.pid}/status").read_text()
        resident, peak = (int(re.findall(rf"{name}:\s+(\d+) kB", status)[0]) / 1024 for name in ("VmRSS", "VmHWM"))
        return seconds, resident, peak
    finally:
        bot.terminate()
        bot.wait(30)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _ready(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def main() -> None:
    """Print medians and ranges."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.startup", description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    readers = [reader_seconds() for _ in range(runs)]
    bots = [bot_figures() for _ in range(runs)]
    rows = [("reader, first import to ready", readers, "s", 2)]
    for name, unit, digits, column in (
        ("bot, start to /readyz", "s", 2, 0),
        (f"bot, resident after {READS} photos", "MB", 0, 1),
        ("bot, peak resident", "MB", 0, 2),
    ):
        rows.append((name, [figures[column] for figures in bots], unit, digits))
    print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}, {runs} runs: median (least to most)")
    for name, values, unit, digits in rows:
        middle, least, most = (f"{value:.{digits}f}" for value in (statistics.median(values), min(values), max(values)))
        print(f"{name:34} {middle:>7} {unit} ({least} to {most})")


if __name__ == "__main__":
    main()
