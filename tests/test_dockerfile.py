"""The Dockerfile leaves out what nobody needs, and takes in what somebody does. No Docker is needed."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import packages_distributions, requires
from pathlib import Path

from packaging.requirements import Requirement

from supply import installed_alone, normal, requirements

ROOT = Path(__file__).parent.parent
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
READ = """
import importlib.abc
import sys

missing = sys.argv[2:]


class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in missing:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Missing())
import bot.__main__, bot.app, bot.doctor, bot.slack_channel, bot.telegram_channel
from inference import load_reader

data = open(sys.argv[1], "rb").read()
reader = load_reader()
print(reader.read(data).emoji.character, len(reader.mask(data).reading.faces))
"""


def in_the_image() -> set[str]:
    """Return the packages of the image: what runs the bot and what that asks for, less what is taken out again."""
    project = ROOT / "pyproject.toml"
    [names] = re.findall(r"pip uninstall --yes ([\w -]+) ", DOCKERFILE)
    alone, left_out = installed_alone(project), set(names.split())
    inside: dict[str, set[str]] = {}
    waiting = [Requirement(text) for text in requirements(project, [])]
    while waiting:
        wanted = waiting.pop()
        name = normal(wanted.name)
        if name in left_out or (name in inside and wanted.extras <= inside[name]):
            continue
        inside[name] = wanted.extras | inside.get(name, set())
        needs = [Requirement(text) for text in (requires(name) or [] if name not in alone else [])]
        for extra in ("", *inside[name]):
            waiting += [need for need in needs if need.marker is None or need.marker.evaluate({"extra": extra})]
    return set(inside)


def test_photos_are_read_without_what_the_image_leaves_out() -> None:
    inside = in_the_image()
    assert {"onnxruntime", "mediapipe", "protobuf"} <= inside
    # Other packages' modules that the tests are run with: none may be there to lean on.
    missing = [
        module
        for module, packages in packages_distributions().items()
        if not inside & {normal(package) for package in packages}
    ]
    assert {"scipy", "matplotlib", "torch", "pytest", "pip"} <= set(missing)
    picture = ROOT / "tests" / "pictures" / "astronaut.jpg"
    command = [sys.executable, "-c", READ, str(picture), *missing]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"\S+ 1\n", done.stdout)


def test_what_is_copied_is_let_in_and_exists() -> None:
    copied = [
        name for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE) for name in line.split()[:-1]
    ]
    let_in = [line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")]
    assert set(copied) == set(let_in)
    assert all((ROOT / name).exists() for name in copied)
    assert not {"tests", "training", ".git"} & set(copied)


def test_what_people_copy_opens_the_page_for_their_machine_only() -> None:
    for text in (
        DOCKERFILE,
        *(path.read_text("utf-8") for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))),
    ):
        assert re.findall(r"docker run[^`\n]* -p (?!127\.0\.0\.1:)\S+", text) == []
