"""A Chromium for the page tests, found or installed without a person: ``python -m tests.e2e.chromium`` prints its path.

In this order: ``$FACE2EMOJI_CHROMIUM``; one on this machine; Debian's package, where we may install it; the headless
build inside the npm package ``@sparticuz/chromium`` (Linux, kept under ``.venv/chromium``).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
FLAGS = (
    "--no-sandbox",  # Chromium refuses to run as root with it; it only ever sees our own page
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
CACHE = Path(__file__).parents[2] / ".venv" / "chromium"


def find() -> str | None:
    """Return the path of a Chromium that runs, or None."""
    if named := os.environ.get("FACE2EMOJI_CHROMIUM"):
        if not _runs(named):
            raise RuntimeError(f"FACE2EMOJI_CHROMIUM is {named!r}, but that does not run.")
        return named
    # Ubuntu's chromium-browser may be a stub that only speaks of snap: being there is not enough, it must run.
    candidates = (*(shutil.which(name) for name in NAMES), str(CACHE / "chromium.sh"))
    return next((path for path in candidates if path and _runs(path)), None)


def install() -> str | None:
    """Like `find`, but installs one where that is possible."""
    for attempt in (_install_with_apt, _install_with_npm):
        if path := find():
            return path
        attempt()
    return find()


def _runs(path: str) -> bool:
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and "Chrom" in done.stdout


def _try(*command: str | Path, **environment: str) -> bool:
    """Run a command whose failure only means that this way is closed."""
    sys.stderr.write(f"$ {' '.join(map(str, command))}\n")
    try:
        done = subprocess.run(command, stdout=sys.stderr, env=os.environ | environment, timeout=900, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _install_with_apt() -> None:
    if not shutil.which("apt-get"):
        return
    sudo = () if os.geteuid() == 0 else ("sudo", "-n")
    if sudo and not (shutil.which("sudo") and _try(*sudo, "true")):
        return
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    _try(*sudo, "apt-get", "update", "-qq", **quiet)
    # Ubuntu has no package of this name; the font is for the screenshots.
    packages = ("chromium", "fonts-noto-color-emoji")
    _try(*sudo, "apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages, **quiet)


UNPACK = """
const fs = require("fs"), zlib = require("zlib");
for (const name of ["chromium", "al2023.tar", "swiftshader.tar"])
  fs.writeFileSync(name, zlib.brotliDecompressSync(fs.readFileSync(process.argv[1] + "/" + name + ".br")));
"""


def _install_with_npm() -> None:
    if sys.platform != "linux" or not shutil.which("npm"):
        return
    shutil.rmtree(CACHE, ignore_errors=True)
    CACHE.mkdir(parents=True)
    quiet = ("--ignore-scripts", "--no-audit", "--no-fund", "--no-save")
    if not _try("npm", "install", "--prefix", CACHE, *quiet, "@sparticuz/chromium"):
        return
    packed = CACHE / "node_modules" / "@sparticuz" / "chromium" / "bin"
    if not _try("node", "-e", f"process.chdir({str(CACHE)!r});{UNPACK}", packed):
        return
    for archive in CACHE.glob("*.tar"):
        with tarfile.open(archive) as tar:
            tar.extractall(CACHE, filter="data")
        archive.unlink()
    shutil.rmtree(CACHE / "node_modules")
    (CACHE / "chromium").chmod(0o755)
    # The package brings the libraries that bare machines lack.
    script = CACHE / "chromium.sh"
    script.write_text(f'#!/bin/sh\nLD_LIBRARY_PATH="{CACHE}/lib" exec "{CACHE}/chromium" "$@"\n')
    script.chmod(0o755)


if __name__ == "__main__":
    found = install()
    nothing = "No Chromium can be had here, so the page tests will be skipped. FACE2EMOJI_CHROMIUM may name one."
    sys.stdout.write(f"{found or nothing}\n")
    sys.exit(1 if not found and os.environ.get("CI") == "true" else 0)
