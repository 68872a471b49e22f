"""The Dockerfile leaves out what nobody needs, and takes in what somebody does. No Docker is needed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

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
import bot.__main__, bot.doctor, bot.slack_channel, bot.telegram_channel
from inference import load_reader

data = open(sys.argv[1], "rb").read()
reader = load_reader()
print(reader.read(data).emoji.character, len(reader.mask(data).reading.faces))
"""


def test_photos_are_read_without_what_the_image_leaves_out() -> None:
    [names] = re.findall(r"pip uninstall --yes ([\w -]+)$", DOCKERFILE, re.MULTILINE)
    modules = names.replace("-", "_").split()
    assert len(modules) == 6
    picture = ROOT / "tests" / "pictures" / "astronaut.jpg"
    command = [sys.executable, "-c", READ, str(picture), *modules]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"\S+ 1\n", done.stdout)


def test_what_is_copied_is_let_in_and_exists() -> None:
    copied = [name for line in re.findall(r"^COPY (.+)$", DOCKERFILE, re.MULTILINE) for name in line.split()[:-1]]
    let_in = [line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")]
    assert set(copied) == set(let_in)
    assert all((ROOT / name).exists() for name in copied)
    assert not {"tests", "training", ".git"} & set(copied)
