"""docs/telegram.md is true: the settings, commands and emoji it names, and every sentence of the bot that it quotes."""

from __future__ import annotations

import ast
import re
from dataclasses import fields
from pathlib import Path

import pytest
from pydantic import SecretStr

from bot import errors, phrases
from bot.settings import Settings, variables
from inference import load_emoji_map

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "telegram.md").read_text("utf-8")
ROWS = [
    tuple(cell.strip() for cell in line.strip("|").split("|")) for line in re.findall(r"^\|.*\|$", TEXT, re.MULTILINE)
]
SETTINGS = {row[0].strip("`"): row[1].strip("`") for row in ROWS if re.fullmatch("`[A-Z_0-9]+`", row[0])}
EVENT = re.compile(r"[a-z]+(?:_[a-z]+)+")


OF_TELEGRAM = [
    name
    for name in Settings.model_fields
    if name.startswith(("telegram_", "job_")) or name in ("public_url", "database_url")
]


def default(name: str) -> str:
    value = Settings.model_fields[name].default
    value = value.get_secret_value() if isinstance(value, SecretStr) else value
    return "" if value is None else str(value)


def strings(path: Path) -> list[str]:
    """Return every string a file can say, with {x} where it puts something in."""
    found = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.JoinedStr):
            found.append("".join(str(part.value) if isinstance(part, ast.Constant) else "{x}" for part in node.values))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append(node.value)
    return found


def sayings() -> list[str]:
    """Return every sentence of the bot that the document may quote, as patterns."""
    classes = [thing for thing in vars(errors).values() if isinstance(thing, type)]
    said = [text for each in classes for text in vars(each).values() if isinstance(text, str)]
    said += [getattr(phrases.ENGLISH, field.name) for field in fields(phrases.ENGLISH)]
    said += strings(ROOT / "bot" / "__main__.py") + strings(ROOT / "bot" / "settings.py")
    parts = [re.split(r"\{[^{}]*\}", text) for text in said]
    # With next to no words of its own a sentence such as "{x} is {y}" would stand for any other.
    return [".+".join(map(re.escape, fixed)) for fixed in parts if len("".join(fixed)) > 15]


def quotes() -> list[str]:
    """Return what the document quotes: indented lines, and sentences in the first column of the last table."""
    table = TEXT.partition("## When something is wrong")[2]
    return [
        *(line for line in re.findall(r"^> (.+)$", TEXT, re.MULTILINE)),
        *(span for span in re.findall(r"^\| `([^`]+)`", table, re.MULTILINE) if not EVENT.fullmatch(span)),
    ]


@pytest.mark.parametrize("name", OF_TELEGRAM)
def test_every_setting_of_telegram_and_jobs_is_named(name: str) -> None:
    assert variables()[name] in SETTINGS


@pytest.mark.parametrize("variable", SETTINGS)
def test_defaults_are_right(variable: str) -> None:
    [name] = [name for name, known in variables().items() if known == variable]
    assert SETTINGS[variable] == default(name)


def test_every_command_is_in_the_table() -> None:
    named = [row[0].strip("`/") for row in ROWS if re.fullmatch("`/[a-z]+`", row[0])]
    assert tuple(named) == phrases.COMMANDS


def test_emoji_and_reactions_are_those_of_the_map() -> None:
    told = {row[0]: row[1:] for row in ROWS if row[0] in load_emoji_map().steps}
    steps = load_emoji_map().steps
    assert told == {
        name: (
            " ".join(step.emoji.character for step in steps[name]),
            " ".join(step.emoji.telegram for step in steps[name]),
        )
        for name in steps
    }


@pytest.mark.parametrize("quote", quotes())
def test_the_bot_says_what_is_quoted(quote: str) -> None:
    assert any(re.fullmatch(pattern, quote) for pattern in sayings())


@pytest.mark.parametrize("event", sorted({span for span in re.findall("`([^`]+)`", TEXT) if EVENT.fullmatch(span)}))
def test_events_of_the_log_exist(event: str) -> None:
    if event == "our_emoji_bot":
        return
    assert any(f'"{event}"' in path.read_text("utf-8") for path in (ROOT / "bot").glob("*.py"))


@pytest.mark.parametrize("button", ["right", "wrong"])
def test_buttons_are_called_so(button: str) -> None:
    assert f'"{getattr(phrases.ENGLISH, button)}"' in TEXT


def test_the_check_of_quotes_notices_a_wrong_word() -> None:
    assert quotes()
    wrong = quotes()[0].replace("ready", "steady")
    assert not any(re.fullmatch(pattern, wrong) for pattern in sayings())


@pytest.mark.parametrize(
    ("setting", "says"), [("job_max_age", "within 15 minutes"), ("job_retention", "A day after it")]
)
def test_times_in_the_text_are_the_defaults(setting: str, says: str) -> None:
    assert says in TEXT
    assert float(default(setting)) == {"job_max_age": 15 * 60, "job_retention": 24 * 3600}[setting]
