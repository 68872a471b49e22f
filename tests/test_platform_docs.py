"""docs/telegram.md and docs/slack.md are true: settings, commands, scopes and emoji, and what they quote of the bot."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

import pytest
from pydantic import SecretStr

from bot import phrases, slack_phrases
from bot.settings import Settings, variables
from bot.slack_manifest import CALLBACK_PATH, COMMAND, EVENTS_PATH, INSTALL_PATH, SCOPES, manifest
from inference import EXPRESSIONS, load_emoji_map

ROOT = Path(__file__).parent.parent
TEXTS = {name: (ROOT / "docs" / f"{name}.md").read_text("utf-8") for name in ("telegram", "slack")}
OF_ALL = ("public_url", "database_url", "job_max_age", "job_retention")
SETTINGS = {
    "telegram": [*OF_ALL, *(name for name in Settings.model_fields if name.startswith("telegram_"))],
    "slack": [*OF_ALL, "token_key", *(name for name in Settings.model_fields if name.startswith("slack_"))],
}
EVENT = re.compile(r"[a-z]+(?:_[a-z]+)+")
APP = manifest(socket_mode=True, public_url=None, many=False)


def of_each(find: Callable[[str], Iterable[str]]) -> list[tuple[str, str]]:
    """Pair each document with what is found in it."""
    return [(name, found) for name in TEXTS for found in find(name)]


def rows(name: str) -> list[tuple[str, ...]]:
    """Return the cells of all tables."""
    lines = re.findall(r"^\|.*\|$", TEXTS[name], re.MULTILINE)
    return [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines]


def first_spans(name: str, pattern: str) -> dict[str, tuple[str, ...]]:
    """Return the rows that begin with `code` of a pattern."""
    return {row[0].strip("`"): row[1:] for row in rows(name) if re.fullmatch(f"`(?:{pattern})`", row[0])}


def settings(name: str) -> dict[str, str]:
    """Return the settings in the tables, with the defaults that stand beside them."""
    return {variable: cells[0].strip("`") for variable, cells in first_spans(name, "[A-Z_0-9]+").items()}


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


@cache
def sayings() -> tuple[re.Pattern[str], ...]:
    """Return every sentence of the bot that a document may quote, as patterns."""
    said = [text for path in sorted((ROOT / "bot").glob("*.py")) for text in strings(path)]
    parts = [re.split(r"\{[^{}]*\}", text) for text in said]
    # With next to no words of its own a sentence such as "{x} is {y}" would stand for any other.
    return tuple(
        re.compile(".+".join(map(re.escape, fixed))) for fixed in parts if len(fixed) == 1 or len("".join(fixed)) > 15
    )


def says(quote: str) -> bool:
    return any(pattern.fullmatch(quote) for pattern in sayings())


def quotes(name: str) -> list[str]:
    """Return what a document quotes: indented lines, the doctor's, and sentences in front of the last table."""
    text = TEXTS[name]
    table = text.partition("## When something is wrong")[2]
    doctor = re.findall(r"^(?:ok|note|warning|WRONG) +([^:\n]+): (.+)$", text, re.MULTILINE)
    return [
        *re.findall(r"^ *> (.+)$", text, re.MULTILINE),
        *(part for line in doctor for part in line),
        *(span for span in re.findall(r"^\| `([^`]+)`", table, re.MULTILINE) if not EVENT.fullmatch(span)),
    ]


def events(name: str) -> list[str]:
    """Return the events of the log that a document names."""
    spans = re.findall(r"`([^`\n]+)`", TEXTS[name])
    return sorted({span for span in spans if EVENT.fullmatch(span)} - {"our_emoji_bot"})


@pytest.mark.parametrize(("document", "name"), of_each(lambda document: SETTINGS[document]))
def test_every_setting_of_the_platform_and_of_jobs_is_named(document: str, name: str) -> None:
    assert variables()[name] in settings(document)


@pytest.mark.parametrize(("document", "variable"), of_each(settings))
def test_defaults_are_right(document: str, variable: str) -> None:
    [name] = [name for name, known in variables().items() if known == variable]
    assert settings(document)[variable] == default(name)


@pytest.mark.parametrize(("document", "quote"), of_each(quotes))
def test_the_bot_says_what_is_quoted(document: str, quote: str) -> None:
    assert says(quote), document


@pytest.mark.parametrize("document", TEXTS)
def test_the_check_of_quotes_notices_a_wrong_word(document: str) -> None:
    right = [quote for quote in quotes(document) if "is ready" in quote]
    assert right
    assert not any(says(quote.replace("ready", "steady")) for quote in right)


@pytest.mark.parametrize(("document", "event"), of_each(events))
def test_events_of_the_log_exist(document: str, event: str) -> None:
    assert any(f'"{event}"' in path.read_text("utf-8") for path in (ROOT / "bot").glob("*.py")), document


@pytest.mark.parametrize("document", TEXTS)
def test_buttons_and_times_are_right(document: str) -> None:
    text = " ".join(TEXTS[document].split())
    assert f'"{phrases.ENGLISH.right}" and "{phrases.ENGLISH.wrong}"' in text
    assert float(default("job_max_age")) == 15 * 60
    assert "within 15 minutes" in text
    assert float(default("job_retention")) == 24 * 3600
    assert "A day after it ended" in text


def test_every_command_of_telegram_is_in_the_table() -> None:
    assert tuple(command.strip("/") for command in first_spans("telegram", "/[a-z]+")) == phrases.COMMANDS


def test_emoji_and_reactions_are_those_of_the_map() -> None:
    everyday = {name: load_emoji_map().everyday(name) for name in EXPRESSIONS}
    told = {row[0]: row[1:] for row in rows("telegram") if row[0] in everyday}
    assert told == {
        name: (" ".join(emoji.character for emoji in answers), " ".join(emoji.telegram for emoji in answers))
        for name, answers in everyday.items()
    }


def test_every_command_of_slack_is_in_the_table() -> None:
    [command] = APP["features"]["slash_commands"]
    words = re.findall("[a-z]+", command["usage_hint"])
    named = list(first_spans("slack", f"{COMMAND}[a-z ]*"))
    assert sorted(named) == sorted([COMMAND, *(f"{COMMAND} {word}" for word in words)])


def test_every_scope_of_slack_is_in_the_table_with_its_reason() -> None:
    assert {scope: reason for scope, (reason,) in first_spans("slack", "[a-z_]+:[a-z]+|commands").items()} == SCOPES


@pytest.mark.parametrize(
    "label",
    [
        *(shortcut["name"] for shortcut in APP["features"]["shortcuts"]),
        slack_phrases.ENGLISH.home_stop,
        slack_phrases.ENGLISH.home_erase,
    ],
)
def test_what_people_press_in_slack_is_called_so(label: str) -> None:
    assert f'"{label}"' in TEXTS["slack"]


def test_addresses_of_slack_are_the_bots() -> None:
    assert set(re.findall(r"/slack/\w+", TEXTS["slack"])) == {EVENTS_PATH, INSTALL_PATH}
    assert CALLBACK_PATH.startswith("/slack/")  # as the proxy passes on
