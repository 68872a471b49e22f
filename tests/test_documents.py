"""What the documents and settings say is true: links lead somewhere, commands exist, versions are exact."""

from __future__ import annotations

import re
import subprocess
import tomllib
from collections.abc import Callable
from fnmatch import fnmatch
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import pytest

from bot.__main__ import COMMANDS
from bot.settings import variables

ROOT = Path(__file__).parent.parent

LINK = re.compile(r"\]\(([^()\s]+)(?:\s+\"[^\"]*\")?\)|(?:src|href)=\"([^\"]+)\"")
CODE = re.compile(r"^```[^\n]*\n(.*?)^```|`([^`\n]+)`", re.MULTILINE | re.DOTALL)
MAKE = re.compile(r"(?:^|[;&$] *)(?:\w+=\S+ +)*make +(?:\w+=\S+ +)*([a-z][\w-]*)", re.MULTILINE)
MODULE = re.compile(r"\bpython3? -m +([\w.]+)")
BOT = re.compile(r"\bpython3? -m +bot +([a-z]\w*)")
PATH = re.compile(r"[\w.-]+(?:/[\w.-]+)*/?")
MACHINE_PATH = re.compile(r"(?<![\w.~}\]*])/(?:work|root|Users/\w+|home/\w+)/")
INDEX = re.compile(r"https?://[^\s\"'<>]*(?:/simple\b|/whl\b|pypi|pythonhosted|registry)[^\s\"'<>]*")


@cache
def texts() -> dict[str, str]:
    """Return every text file of the product by its path: what git tracks, or without git what lies here."""
    try:
        git = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True)
        names = [name for name in git.stdout.split("\0") if name]
    except (FileNotFoundError, subprocess.CalledProcessError):
        names = []
    if not names:
        ignored = [".git", *(line.strip("/") for line in (ROOT / ".gitignore").read_text("utf-8").split())]
        paths = (path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file())
        names = [
            path.as_posix()
            for path in paths
            if not any(fnmatch(part, pattern) for part in path.parts for pattern in ignored)
        ]
    found = {}
    for name in names:
        try:
            found[name] = (ROOT / name).read_text("utf-8")
        except (UnicodeDecodeError, FileNotFoundError):  # a picture, weights; deleted but not yet committed
            continue
    return found


def documents() -> list[str]:
    return [name for name in texts() if name.endswith(".md")]


def code_spans(text: str) -> list[str]:
    return [block or span for block, span in CODE.findall(text)]


def targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", texts()["Makefile"], re.MULTILINE))


def anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ +(.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def leads_somewhere(name: str, text: str, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = (ROOT / name).parent / path
    if path and not target.exists():
        return False
    return not anchor or anchor in anchors(target.read_text("utf-8") if path else text)


def dead_links(name: str, text: str) -> list[str]:
    links = ("".join(groups) for groups in LINK.findall(text))
    return [
        f"{name}: {link}" for link in links if not re.match("[a-z]+:", link) and not leads_somewhere(name, text, link)
    ]


def unknown_commands(name: str, text: str) -> list[str]:
    unknown = []
    for code in code_spans(text):
        unknown += [f"{name}: make {target}" for target in MAKE.findall(code) if target not in targets()]
        for module in MODULE.findall(code):
            place = ROOT.joinpath(*module.split("."))
            runs = place.with_suffix(".py").is_file() or (place / "__main__.py").is_file()
            ours = (ROOT / module.partition(".")[0]).is_dir()
            if not runs and (ours or not find_spec(module.partition(".")[0])):
                unknown.append(f"{name}: python -m {module}")
        unknown += [f"{name}: python -m bot {command}" for command in BOT.findall(code) if command not in COMMANDS]
    return unknown


def missing_paths(name: str, text: str) -> list[str]:
    """Name the paths in `code` that begin in one of our folders and lead nowhere."""
    spans = [span for _, span in CODE.findall(text) if "/" in span and PATH.fullmatch(span)]
    folders = {path.partition("/")[0] for path in texts() if "/" in path}
    return [
        f"{name}: {span}"
        for span in spans
        if span.partition("/")[0] in folders
        and not (ROOT / span).exists()
        and not ((ROOT / name).parent / span).exists()
    ]


def unknown_settings(name: str, text: str) -> list[str]:
    named = re.findall(r"\b(?:FACE2EMOJI|SLACK|TELEGRAM)_[A-Z_]*[A-Z]", text)
    return [f"{name}: {setting}" for setting in named if setting not in variables().values()]


@pytest.mark.parametrize("name", documents())
def test_document_is_true(name: str) -> None:
    text = texts()[name]
    assert dead_links(name, text) == []
    assert unknown_commands(name, text) == []
    assert missing_paths(name, text) == []
    assert unknown_settings(name, text) == []


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (dead_links, "[a](nowhere.md)"),
        (dead_links, "![picture](docs/nowhere.png)"),
        (dead_links, '<img src="docs/nowhere.png" width="600">'),
        (dead_links, "[a](#no-such-heading)"),
        (unknown_commands, "`make coffee`"),
        (unknown_commands, "```sh\nmake CPU=1 coffee\n```"),
        (unknown_commands, "```\n$ CPU=1 make install && make coffee\n```"),
        (unknown_commands, "```\npython -m bot.nowhere\n```"),
        (unknown_commands, "`python3 -m no_such_package`"),
        (unknown_commands, "`.venv/bin/python -m bot nurse`"),
        (missing_paths, "`inference/nowhere.py`"),
        (unknown_settings, "`SLACK_BOT_TOKN=xoxb-...`"),
    ],
)
def test_an_untrue_document_is_found(check: Callable[[str, str], list[str]], text: str) -> None:
    assert len(check("README.md", text)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "# Set up\n[a](LICENSE) [b](https://example.org/x) [c](#set-up) [d](CONTRIBUTING.md#set-up)",
        "`make run`, `make test ARGS='-k photo'`, and make sense of it",
        "```sh\nmake run  # we make coffee\n```",
        "```sh\npython -m pytest tests/bot\nmake CPU=1 install\n```",
        "`python -m bot` and `python -m bot manifest --http https://bot.example.org`",
        "`inference/__init__.py` `image/jpeg` `bot/`",
        "`SLACK_BOT_TOKEN=xoxb-...` and FACE2EMOJI_PORT",
    ],
)
def test_a_true_document_is_left_alone(text: str) -> None:
    checks = (dead_links, unknown_commands, missing_paths, unknown_settings)
    assert [problem for check in checks for problem in check("README.md", text)] == []


def test_settings_in_the_container_file_are_settings() -> None:
    assert "FACE2EMOJI_HOST" in texts()["Dockerfile"]
    assert unknown_settings("Dockerfile", texts()["Dockerfile"]) == []


def test_no_path_of_a_machine() -> None:
    assert [(name, hit[0]) for name, text in texts().items() if (hit := MACHINE_PATH.search(text))] == []


def test_package_indexes_are_named_nowhere_but_for_the_cpu_build() -> None:
    found = sorted((name, url) for name, text in texts().items() for url in INDEX.findall(text))
    assert [name for name, _ in found] == ["Makefile"]
    assert len({url for _, url in found}) == 1


@pytest.mark.parametrize("place", ["/{}/main/x.py", '"/{}/x"', "cd /{}/x", "file:///{}/x"])
@pytest.mark.parametrize("folder", ["work", "root", "Users/ada", "home/ada"])
def test_a_path_of_a_machine_is_found(place: str, folder: str) -> None:
    assert MACHINE_PATH.search(place.format(folder))


@pytest.mark.parametrize(
    "text", ["/face2emoji/bot", "https://example.org/work/x", "docs/work/x", "/rooted/x", "$HOME/x"]
)
def test_other_paths_are_left_alone(text: str) -> None:
    assert not MACHINE_PATH.search(text)


@pytest.mark.parametrize(
    "url", ["{}index.example/simple", "{}registry.example/@scope/p.tgz", "{}wheels.example/whl/cpu"]
)
def test_an_index_is_found(url: str) -> None:
    assert INDEX.search(f"--index {url.format('https://')} -q")


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def constraints() -> list[str]:
    return [line for line in texts()["constraints.txt"].splitlines() if not line.startswith("#")]


def wanted() -> list[str]:
    project = tomllib.loads(texts()["pyproject.toml"])["project"]
    return [*project["dependencies"], *(name for group in project["optional-dependencies"].values() for name in group)]


def test_constraints_are_exact_sorted_and_plain() -> None:
    lines = constraints()
    # No local version part such as +cpu: the same file must serve both builds of PyTorch.
    assert [line for line in lines if not re.fullmatch(r"[a-z0-9]+(?:-[a-z0-9]+)*==\d[\w.]*", line)] == []
    names = [line.partition("==")[0] for line in lines]
    assert names == sorted(set(names))


@pytest.mark.parametrize("name", wanted())
def test_every_dependency_is_pinned_at_what_is_installed(name: str) -> None:
    pins = dict(line.split("==") for line in constraints())
    assert pins[normal(name)] == version(name).partition("+")[0]
