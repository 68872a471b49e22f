"""The real bot as a process of its own, and a browser to look at it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Playwright

from tests.e2e.chromium import FLAGS

ROOT = Path(__file__).parents[2]
NO_DOT_ENV = ROOT / "docs"
"""Where `python -m bot` runs in tests: a .env of the folder's owner, with a real token in it, must not count."""
ASTRONAUT = ROOT / "tests" / "pictures" / "astronaut.jpg"
FACE_CENTRE = (228, 125)
"""Between nose and eyes of `ASTRONAUT`, in its pixels."""


def bot_environment(**variables: str) -> dict[str, str]:
    """Return the environment of a bot in `NO_DOT_ENV` that only the test configures."""
    ours = ("FACE2EMOJI_", "TELEGRAM_", "SLACK_")
    others = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return others | {"PYTHONPATH": str(ROOT)} | variables


@contextmanager
def running_bot(**variables: str) -> Iterator[str]:
    """Yield the address of ``python -m bot`` when it can read photos."""
    usual = {"FACE2EMOJI_PORT": "0", "FACE2EMOJI_WORKERS": "1", "FACE2EMOJI_LOG_LEVEL": "warning"}
    environment = bot_environment(**usual | variables)
    command = [sys.executable, "-m", "bot"]
    with subprocess.Popen(command, cwd=NO_DOT_ENV, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        line = process.stdout.readline()
        assert "http://" in line, "the bot did not start"
        try:
            yield "http://" + line.split("http://")[1].split()[0]
        finally:
            process.terminate()
            assert process.wait(60) == 0


def launch(playwright: Playwright, chromium: str, *flags: str) -> Browser:
    """Start a headless Chromium with a fake camera."""
    return playwright.chromium.launch(
        executable_path=chromium, args=[*FLAGS, "--use-fake-device-for-media-stream", *flags]
    )


def write_video(path: Path) -> tuple[float, float]:
    """Write a film for the fake camera: the astronaut at the left of a 1280 x 960 picture.

    Returns:
        Where `FACE_CENTRE` is in it, as shares of width and height.
    """
    frame = Image.new("RGB", (1280, 960), (90, 90, 90))
    frame.paste(Image.open(ASTRONAUT).resize((960, 960)))
    write_film(path, [frame, frame], rate=20)
    return FACE_CENTRE[0] / 512 * 960 / 1280, FACE_CENTRE[1] / 512


def write_film(path: Path, frames: Sequence[Image.Image], rate: int) -> None:
    """Write frames of one even size as YUV4MPEG2, which Chromium's fake camera shows over and over, `rate` a second."""
    width, height = frames[0].size
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{width} H{height} F{rate}:1 Ip C420jpeg\n".encode())
        for frame in frames:
            luma, blue, red = frame.convert("YCbCr").split()
            colours = (plane.resize((width // 2, height // 2)).tobytes() for plane in (blue, red))
            file.write(b"".join((b"FRAME\n", luma.tobytes(), *colours)))
