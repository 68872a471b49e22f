"""python -m benchmarks.live [--seconds N] [--pages N ...] [--chromium]: how fast live pages are answered.

Starts the real bot and connects pages, each of which sends its next frame when the last one is answered, as the page
does. A frame is a JPEG of 640 x 480 pixels: a face that moves about, in changing light. Measured is the round trip from
sending a frame to its answer, how many answers a second each page gets, and how long a photo takes that is posted
meanwhile. With --chromium the page itself runs in headless Chromium, with a film for a camera of 30 pictures a second;
then drawing, encoding and showing take their part of the same cores.
"""

from __future__ import annotations

import argparse
import io
import math
import os
import statistics
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageEnhance
from websockets.sync.client import connect

from benchmarks.numbers import amount, positive
from tests.e2e.chromium import find
from tests.e2e.served import ASTRONAUT, launch, running_bot, write_film

SIZE = (640, 480)
FRAMES = 60
WARM_UP = 2.0
COUNT = """() => {
    window.sent = [];
    window.trips = [];
    const send = WebSocket.prototype.send;
    WebSocket.prototype.send = function (frame) {
        const answered = () => trips.push([performance.now(), performance.now() - sent.shift()]);
        if (!this.counted) this.addEventListener("message", answered);
        this.counted = true;
        sent.push(performance.now());
        return send.call(this, frame);
    };
}"""


@dataclass(frozen=True)
class Figures:
    """What one page saw.

    Attributes:
        trips: seconds from a frame to its answer, each.
        seconds: how long it was watched.
    """

    trips: Sequence[float]
    seconds: float

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.trips) / self.seconds


def frames() -> list[Image.Image]:
    """Return a short film: the astronaut's face goes once around an ellipse, while the light changes."""
    portrait = Image.open(ASTRONAUT).resize((480, 480))
    film = []
    for number in range(FRAMES):
        turn = 2 * math.pi * number / FRAMES
        frame = Image.new("RGB", SIZE, (90, 90, 90))
        frame.paste(portrait, (80 + round(60 * math.cos(turn)), round(20 * math.sin(turn))))
        film.append(ImageEnhance.Brightness(frame).enhance(1 + 0.1 * math.sin(3 * turn)))
    return film


def jpeg(frame: Image.Image) -> bytes:
    """Return the frame as a page encodes it."""
    file = io.BytesIO()
    frame.save(file, "JPEG", quality=85)
    return file.getvalue()


def plain_page(address: str, film: Sequence[bytes], seconds: float, begin: threading.Barrier) -> Figures:
    """Send frames over one connection, and time their answers."""
    trips: list[float] = []
    with connect(address.replace("http", "ws") + "/api/live", compression=None) as socket:
        begin.wait()
        started = time.perf_counter()
        for number in range(sys.maxsize):
            sent = time.perf_counter()
            if sent - started > WARM_UP + seconds:
                break
            socket.send(film[number % len(film)])
            answer = socket.recv()
            if '"faces":[{' not in str(answer):
                sys.exit(f"error: a frame was not read: {answer!s:.200}")
            if sent - started > WARM_UP:
                trips.append(time.perf_counter() - sent)
    return Figures(trips, seconds)


def plain_pages(address: str, pages: int, seconds: float) -> list[Figures]:
    """Return the figures of pages that are open at the same time."""
    film = [jpeg(frame) for frame in frames()]
    begin = threading.Barrier(pages)
    with ThreadPoolExecutor(pages) as pool:
        watched = [
            pool.submit(plain_page, address, film[5 * n :] + film[: 5 * n], seconds, begin) for n in range(pages)
        ]
        return [page.result() for page in watched]


def chromium_pages(address: str, pages: int, seconds: float, film: Path) -> list[Figures]:
    """Return the figures of real pages in one headless Chromium."""
    from playwright.sync_api import sync_playwright

    chromium = find()
    if chromium is None:
        sys.exit("error: there is no Chromium here; `python -m tests.e2e.chromium` finds or installs one")
    write_film(film, frames(), rate=30)
    flags = ("--use-fake-ui-for-media-stream", f"--use-file-for-fake-video-capture={film}")
    with sync_playwright() as playwright, launch(playwright, chromium, *flags) as browser:
        opened = [browser.new_page() for _ in range(pages)]
        for page in opened:
            page.set_default_timeout(120_000)
            page.goto(address)
            page.evaluate(COUNT)
            page.get_by_role("button", name="Go live").click()
        for page in opened:
            page.locator("#strip img").first.wait_for()
        opened[0].wait_for_timeout(1000 * WARM_UP)
        starts = [page.evaluate("performance.now()") for page in opened]
        opened[0].wait_for_timeout(1000 * seconds)
        trips = [page.evaluate("trips") for page in opened]
    return [
        Figures([trip / 1000 for at, trip in seen if start < at <= start + 1000 * seconds], seconds)
        for start, seen in zip(starts, trips, strict=True)
    ]


def upload_seconds(address: str, ended: threading.Event) -> list[float]:
    """Post a photo about twice a second until the end; return how long each took."""
    photo = ASTRONAUT.read_bytes()
    waits = []
    while not ended.wait(0.5):
        started = time.perf_counter()
        urllib.request.urlopen(f"{address}/api/read", photo, timeout=60).read()
        waits.append(time.perf_counter() - started)
    return waits


def line(name: str, seconds: Sequence[float]) -> str:
    """Return p50 and p95 in milliseconds."""
    if len(seconds) < 2:
        return f"{name:34} too few to tell"
    cuts = statistics.quantiles(seconds, n=20, method="inclusive")
    return f"{name:34} p50 {1000 * cuts[9]:6.0f} ms   p95 {1000 * cuts[18]:6.0f} ms   of {len(seconds)}"


def main() -> None:
    """Print round trips and rates, for each number of pages."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.live", description=__doc__)
    parser.add_argument("--seconds", type=amount, default=20.0, help="how long to watch, after two for warming up")
    parser.add_argument("--pages", type=positive, nargs="+", default=[1, 4], help="how many at the same time")
    parser.add_argument("--workers", type=positive, default=2, help="the bot's readers")
    parser.add_argument("--chromium", action="store_true", help="real pages in a real browser")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    how = "the page in headless Chromium" if options.chromium else "frames from a plain client"
    print(f"{os.cpu_count()} cores, load {load:.1f} before, Python {sys.version.split()[0]}, {how}")
    for pages in options.pages:
        limits = {"FACE2EMOJI_WORKERS": str(options.workers), "FACE2EMOJI_LIVE_LIMIT": str(2 * pages)}
        with running_bot(**limits) as address, ThreadPoolExecutor(1) as beside:
            ended = threading.Event()
            uploads = beside.submit(upload_seconds, address, ended)
            try:
                if options.chromium:
                    with tempfile.TemporaryDirectory() as folder:
                        seen = chromium_pages(address, pages, options.seconds, Path(folder) / "film.y4m")
                else:
                    seen = plain_pages(address, pages, options.seconds)
            finally:
                ended.set()
        print(f"{pages} {'page' if pages == 1 else 'pages'} live")
        rates = sorted(figures.rate for figures in seen)
        print(f"{'  answers a second, each page':34} {rates[0]:.1f} to {rates[-1]:.1f}, all together {sum(rates):.1f}")
        print(line("  round trip of a frame", [trip for figures in seen for trip in figures.trips]))
        print(line("  a photo posted meanwhile", uploads.result()))


if __name__ == "__main__":
    main()
