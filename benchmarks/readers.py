"""python -m benchmarks.readers [--seconds N] [--workers N ...]: what one more reader brings, and what it costs.

Starts the bot with so many readers, posts the same photo from one client and notes the round trip, then from twice as
many clients as readers and counts the answers a second. Memory is that of all the bot's processes, what several share
counted once. Linux only: it comes from /proc.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.chats import selfies
from benchmarks.numbers import amount, positive
from benchmarks.processes import family, megabytes
from tests.e2e.served import running_bot

WARM_UP = 3.0


def posts(address: str, data: bytes, seconds: float) -> Iterator[float]:
    """Post a photo over and over; yield the seconds that each answer took."""
    end = time.perf_counter() + seconds
    while (sent := time.perf_counter()) < end:
        urllib.request.urlopen(f"{address}/api/read", data, timeout=60).read()
        yield time.perf_counter() - sent


def measure(workers: int, data: bytes, seconds: float) -> tuple[float, float, float]:
    """Return of a bot with so many readers: the median round trip of one client, answers a second, and MB."""
    limits = {"FACE2EMOJI_WORKERS": str(workers), "FACE2EMOJI_RATE_LIMIT": "0", "FACE2EMOJI_QUEUE_LIMIT": "100"}
    with running_bot(**limits) as address, ThreadPoolExecutor(2 * workers) as clients:
        time.sleep(WARM_UP)  # until all readers are loaded
        trip = statistics.median(posts(address, data, seconds))
        answers = list(clients.map(lambda _: sum(1 for _ in posts(address, data, seconds)), range(2 * workers)))
        mine = [
            one for one in family(os.getpid()) if Path(f"/proc/{one}/cmdline").read_bytes().endswith(b"\0-m\0bot\0")
        ]
        return trip, sum(answers) / seconds, megabytes(mine[0])


def main() -> None:
    """Print a line for each number of readers."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.readers", description=__doc__)
    parser.add_argument("--seconds", type=amount, default=20.0, help="of each measure (20)")
    parser.add_argument("--workers", type=positive, nargs="+", default=[1, 2], help="how many readers (1 2)")
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before, Python {sys.version.split()[0]}")
    print(f"{'readers':>7}{'round trip, ms':>16}{'answers a second':>18}{'times':>7}{'memory, MB':>12}")
    photo = selfies()[0]
    first = 0.0
    for workers in options.workers:
        trip, rate, memory = measure(workers, photo, options.seconds)
        first = first or rate
        print(f"{workers:7}{1000 * trip:16.1f}{rate:18.1f}{rate / first:7.2f}{memory:12.0f}", flush=True)


if __name__ == "__main__":
    main()
