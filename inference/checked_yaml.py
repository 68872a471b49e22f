"""YAML that people write by hand: read with its lines, and every mistake named.

A mistake is answered with its line, what stands there, what may stand there and what was probably meant. The YAML is
composed, never constructed: its nodes know their lines, and its text stays text.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import yaml
from yaml.composer import ComposerError
from yaml.scanner import ScannerError

from inference.errors import EmojiMapError

YAML = (
    '"key: value" lines and "- " lists, neighbours indented alike with spaces; a space after each colon, keys in one '
    'line in {braces}, text that holds a colon in "quotes"'
)
BROKEN: Mapping[str, str] = {
    "expected <block end>, but found '(?:[-?]|<block .*)'": (
        "lines that are not indented alike, from line {begun} to this one"
    ),
    "expected <block end>, but found '<scalar>'": (
        "text behind the end of a quote or bracket that begins in line {begun} or below"
    ),
    "expected <block end>, but found '(.)'": '"{0}" where none may stand',
    "expected ',' or '(.)', but got": 'a bracket without its "{0}", or without a comma',
    "mapping values are not allowed here|expected the node content, but found ':'": (
        "a colon where none may stand, unless the line above is wrong"
    ),
    "could not find expected ':'": "a line without a colon",
    "found unexpected end of stream": "a quote that is not closed",
    r"found character '\\t'": "a tab",
    "found character '(.)'": 'text that begins with "{0}" and stands in no quotes',
}
"""What the parser says (a regular expression) -> the same for people who know no parser."""
MAX_BYTES = 200_000  # ten times the map that comes with us; its worst keeps the reader for two seconds


def plain(text: str) -> str:
    """Take out U+FE0F ("as a picture, please"): it cannot be seen, and keyboards disagree about it."""
    return text.replace("\ufe0f", "")


def quoted(text: str) -> str:
    """Return the text in quotes, shortened, with whatever cannot be printed spelled out."""
    text = text if len(text) <= 60 else text[:60] + "…"
    return json.dumps(text, ensure_ascii=False).encode("utf-8", "backslashreplace").decode()


class Entry(NamedTuple):
    """A value of the file, and where it stands.

    Every method but `error` raises EmojiMapError, naming the line, if the value is not what it returns.
    """

    file: str
    line: int
    key: str
    node: yaml.Node

    def error(self, allowed: str, found: str = "", text: str = "", choices: Iterable[str] = ()) -> EmojiMapError:
        """Make the error: ``found`` stands for the value unless given; the choice nearest to ``text`` is suggested."""
        place = f"{self.file}, line {self.line}" + (f", {self.key}" if self.key else "")
        if not found and isinstance(self.node, yaml.ScalarNode):
            found = quoted(self.node.value) if self.node.value else "nothing"
        elif not found:
            found = "a list" if isinstance(self.node, yaml.SequenceNode) else "keys and values"
        nearest = [choice for choice in difflib.get_close_matches(text, choices, n=1) if choice != text]
        meant = f"; did you mean {quoted(nearest[0])}?" if nearest else ""
        return EmojiMapError(f"{place}: found {found}; allowed: {allowed}{meant}")

    @property
    def is_given(self) -> bool:
        """False for a key that nothing follows."""
        return not isinstance(self.node, yaml.ScalarNode) or bool(self.node.value)

    def text(self) -> str:
        """Return the value as it is written: ``no`` stays "no", ``100`` stays "100"."""
        null = self.node.tag == "tag:yaml.org,2002:null"
        if null or not isinstance(self.node, yaml.ScalarNode) or not self.node.value.strip():
            raise self.error("text")
        return str(self.node.value)

    def line_of_text(self) -> str:
        """Return the value, which may be shown in one line."""
        text = self.text()
        if not text.isprintable():
            raise self.error("one line of text")
        return text

    def number(self, most: float = 1) -> float:
        """Return the value, 0 to ``most``."""
        number = math.nan
        if self.node.tag in ("tag:yaml.org,2002:float", "tag:yaml.org,2002:int"):
            with suppress(TypeError, ValueError):  # 0x1F, 1:30 and .inf are numbers to YAML only
                number = float(self.node.value)
        if not 0 <= number <= most:
            text = self.node.value if isinstance(self.node, yaml.ScalarNode) else ""
            allowed = f"a number from 0 to {most}, such as {0.85 * most:.2f}"
            raise self.error(allowed, text=text, choices=[re.sub("^0?,", "0.", text)])
        return number

    def whole(self) -> int:
        """Return the value, a whole number from 1 to 1000."""
        text = self.node.value if isinstance(self.node, yaml.ScalarNode) else ""
        if not re.fullmatch("[1-9][0-9]{0,2}|1000", text):
            raise self.error("a whole number from 1 to 1000")
        return int(text)

    def one_of(self, choices: Iterable[str], about: str = "") -> str:
        """Return the value, without U+FE0F, if it is one of the choices."""
        text = plain(self.text())
        if text not in choices:
            raise self.error(about + ", ".join(choices), text=text, choices=choices)
        return text

    def some_of(self, choices: Iterable[str]) -> tuple[str, ...]:
        """Return the value as one or several of the choices, each once: ``happy`` or ``[happy, sad]``."""
        entries = self.items() if isinstance(self.node, yaml.SequenceNode) else [self]
        found: dict[str, Entry] = {}
        for entry in entries:
            name = entry.one_of(choices, "one of these, or several in [square brackets]: ")
            if name in found:
                raise entry.error("each once", f"{quoted(name)} a second time")
            found[name] = entry
        return tuple(found)

    def items(self, name: str = "", most: int = 100) -> list[Entry]:
        """Return the items of a list that has some; ``name`` numbers them in messages."""
        if not isinstance(self.node, yaml.SequenceNode) or not self.node.value:
            raise self.error('a list of "- " lines')
        if len(self.node.value) > most:
            raise self.error(f"{most} at most", f"{len(self.node.value)} items")
        return [
            Entry(self.file, node.start_mark.line + 1, f"{name} {number}" if name else self.key, node)
            for number, node in enumerate(self.node.value, 1)
        ]

    def fields(self, keys: Sequence[str] = (), optional: Sequence[str] = ()) -> dict[str, Entry]:
        """Return the values by key, in the order of the file.

        Args:
            keys: that have to be there.
            optional: that may be there; with none of both, any key may.
        """
        if not isinstance(self.node, yaml.MappingNode):
            raise self.error('"key: value" lines')
        known = (*keys, *optional)
        fields: dict[str, Entry] = {}
        for key_node, node in self.node.value:
            line = key_node.start_mark.line + 1
            key = plain(Entry(self.file, line, self.key, key_node).text())
            entry = Entry(self.file, line, f"{self.key}.{key}" if self.key else key, node)
            if known and key not in known:
                hint = "" if entry.is_given else "; several values of one key stand in [square brackets]"
                if ":" in key:
                    hint = "; a space follows each colon"
                elif key.isdecimal() and not entry.is_given:  # 0,97 between braces: a comma parts keys there
                    hint = f"; a number is written with a point, as in 0.{key}"
                raise entry.error(", ".join(known) + hint, quoted(key), key, known)
            if key in fields:
                raise entry.error(f"once, and line {fields[key].line} has it", f"{quoted(key)} a second time")
            fields[key] = entry
        for key in keys:
            if key not in fields:
                raise self.error(f"{', '.join(keys)}, each once", f"no {quoted(key)}")
        return fields


class _Loader(yaml.SafeLoader):
    """Composes nodes, but no anchors and aliases: with them one line can stand for millions."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if event.anchor is not None:
            raise ComposerError(
                problem="& and *, anchors and aliases, are not used here", problem_mark=event.start_mark
            )
        return super().compose_node(parent, index)


def compose(path: Path, keys: Sequence[str]) -> Entry:
    """Read a file of at most 200 kB of UTF-8 down to its root.

    Args:
        path: the YAML.
        keys: of its root, to name when there is nothing.

    Raises:
        EmojiMapError: the file cannot be read or is no YAML.
    """

    def wrong(found: str, allowed: str, line: int | None = None) -> EmojiMapError:
        return EmojiMapError(f"{path.name}{f', line {line}' if line else ''}: found {found}; allowed: {allowed}")

    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:  # the place is the mistake
        raise EmojiMapError(
            f"{path.absolute()}: found no readable file ({error.strerror}); allowed: a YAML file"
        ) from error
    if len(data) > MAX_BYTES:
        raise wrong("more than 200 kB", "200 kB at most")
    try:
        text = data.decode()
        if unprintable := _Loader.NON_PRINTABLE.search(text):
            line = text.count("\n", 0, unprintable.start()) + 1
            raise wrong(f"the unprintable {quoted(unprintable.group())}", "printable text", line)
        loader = _Loader(text)
        root = loader.get_single_node()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise wrong("bytes that are not UTF-8", "text saved as UTF-8", line) from error
    except yaml.MarkedYAMLError as error:
        raise wrong(*_in_words(error, text)) from error
    except (ValueError, OverflowError, RecursionError) as error:  # "\U00110000", "[[[[[["
        raise wrong(f"broken YAML ({error})", YAML, loader.line + 1) from error
    if root is None:
        raise wrong("nothing", "the keys " + ", ".join(keys), 1)
    return Entry(path.name, 1, "", root)


def _in_words(error: yaml.MarkedYAMLError, text: str) -> tuple[str, str, int]:
    """Return what is broken, what would not be, and the line."""
    problem, at, begun = error.problem or "", error.problem_mark, error.context_mark
    assert at  # noqa: S101 - there always is one
    words = [
        words.format(*said.groups(), begun=(begun or at).line + 1)
        for pattern, words in BROKEN.items()
        if (said := re.match(pattern, problem))
    ]
    name = re.search(r"(?<=\s):[\w+'-]+:(?=[\s,}]|$)", text[text.rfind("\n", 0, at.index) + 1 :].partition("\n")[0])
    allowed = f'a name between colons in quotes: "{name.group()}"' if name else YAML
    # A quote or bracket that is not closed is noticed further down; the context is where it began.
    if begun and (isinstance(error, ScannerError) or problem.startswith("expected ','")):
        at = begun
    return [*words, f"broken YAML ({problem})"][0], allowed, at.line + 1
