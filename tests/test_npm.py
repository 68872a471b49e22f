"""Packages of the npm index, for tests: only what is pinned gets in, and it is fetched once."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests import npm
from tests.unavailable import Unavailable


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> npm.Package:
    """A package that npm finds in a folder instead of the index."""
    monkeypatch.setattr(npm, "CACHE", tmp_path / "cache")
    source = tmp_path / "source"
    source.mkdir()
    (source / "package.json").write_text(json.dumps({"name": "face", "version": "1.0.0"}))
    subprocess.run([*npm.command("npm"), "pack", str(source)], cwd=tmp_path, check=True)
    digest = hashlib.sha512((tmp_path / "face-1.0.0.tgz").read_bytes()).digest()
    return npm.Package("face", f"file:{source}", f"sha512-{base64.b64encode(digest).decode()}")


def test_a_package_is_fetched_once(package: npm.Package, tmp_path: Path) -> None:
    folder = npm.fetch(package)
    assert json.loads((folder / "package.json").read_text())["version"] == "1.0.0"
    shutil.rmtree(tmp_path / "source")
    assert npm.fetch(package) == folder


def test_another_package_than_pinned_is_refused_each_time(package: npm.Package, tmp_path: Path) -> None:
    (tmp_path / "source" / "index.js").write_text("stolen()")
    for _ in range(2):
        with pytest.raises(Unavailable, match="wrong SHA-512"):
            npm.fetch(package)


def test_what_is_not_there_is_named(package: npm.Package, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "source")
    with pytest.raises(Unavailable, match="npm could not fetch face@"):
        npm.fetch(package)


def test_a_machine_without_node_uses_the_development_packages(
    package: npm.Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    subprocess.run([*npm.command("node"), "--version"], check=True)
    assert (npm.fetch(package) / "package.json").exists()
