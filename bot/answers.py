"""A reading or an error -> the words and emoji people see, as pure functions for all chat platforms.

Two are for one platform each: `slack_reactions`, and `nearest`, which picks a Telegram reaction.

Feedback lives in the buttons alone: their data say what was answered and by which model, so nothing is stored until
somebody presses one, they survive a restart, and they carry nothing about the person.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bot.errors import Busy, FileUnavailable, NotReady
from bot.phrases import Phrases
from inference import (
    EXPRESSIONS,
    Emoji,
    EmojiMap,
    EmojiMapError,
    Face2EmojiError,
    FaceReading,
    ImageTooLarge,
    Reading,
    UnreadableImage,
    UnsupportedFormat,
)

Kind = Literal["photo", "document", "sticker", "gif", "video", "video_note"]

MAX_PHOTOS = 10
MAX_FACES = 10
MAX_LARGE = 8
UNSURE_BELOW = 0.5
"""Less than even odds are called a doubt, whatever emoji the map gives them."""

BUTTON_EMOJI = dict(zip(EXPRESSIONS, "😡🤮😱😄😢😲😐", strict=True))

NEIGHBOURS = {
    "😁": "🤗🥰🤩🤣",
    "🤣": "😁",
    "🥰": "😍",
    "😍": "🥰",
    "😡": "🤬",
    "🤬": "😡",
    "😢": "😭",
    "😭": "😢",
    "😨": "😱",
    "😱": "😨",
    "🤯": "😱",
    "😮": "🤯",  # Telegram's 😱 stands for these two, but their neighbour is surprise, not fear
    "😯": "🤯",
    "🥴": "🤮",
}
"""What may stand in for a reaction, or for an emoji itself, where a chat does not allow it.

Nearest first, and only what shows the same expression: Neutral has none.
"""


OLDEST = dict(
    zip(EXPRESSIONS, ("rage", "confounded", "scream", "smile", "cry", "astonished", "neutral_face"), strict=True)
)
"""An emoji of each expression, by its Slack name, that was there from the first emoji on (Unicode 6.0)."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one picture of a post: its reading, or why there is none.

    Attributes:
        kind: what was sent.
        result: the reading, or why there is none.
        masked: the JPEG with its faces covered, where that was asked for and there are any; in memory only.
    """

    kind: Kind
    result: Reading | Face2EmojiError
    masked: bytes | None = None


@dataclass(frozen=True, slots=True)
class Button:
    """A button; ``data`` comes back when it is pressed, and is at most 56 bytes of ASCII."""

    label: str
    data: str


Rows = tuple[tuple[Button, ...], ...]


@dataclass(frozen=True, slots=True)
class Message:
    """Plain text, at most 4096 characters, with rows of buttons below it."""

    text: str
    rows: Rows = ()


@dataclass(frozen=True, slots=True)
class Press:
    """What a pressed button asks for.

    Attributes:
        model: version of the model that gave the answer.
        counts: (expression given, expression corrected) to add, equal where it was right; empty when we ask on.
        notice: the question or the thanks, at most 200 characters.
        rows: the buttons that replace the pressed ones.
    """

    model: str
    counts: tuple[tuple[str, str], ...]
    notice: str
    rows: Rows = ()


def answer(outcomes: Sequence[Outcome], phrases: Phrases, model: str, limit: str = "20 MB") -> tuple[Message, ...]:
    """Answer a post in full, as in a private chat.

    Args:
        outcomes: of each picture of the post, in order; at least one.
        phrases: the reader's language.
        model: version of the model, 8 lower-case hexadecimal digits.
        limit: how many bytes a picture may have, for people.

    Returns:
        A message of nothing but emoji, which chats show large, and one of words; only the latter when no face was read.
    """
    shown = outcomes[:MAX_PHOTOS]
    readings = [outcome.result for outcome in shown if isinstance(outcome.result, Reading)]
    faces = [face for reading in readings for face in reading.faces]
    if not faces:
        return (Message("\n".join([_failure(shown[0].result, phrases, limit)[0], *_previews(shown, phrases)])),)
    if len(outcomes) == 1:
        each, large = MAX_FACES, [face.emoji for face in faces[:MAX_LARGE]]
    else:
        each, large = max(2, MAX_FACES // len(outcomes)), [reading.emoji for reading in readings if reading.emoji]
    photos = [outcome.result.faces[:each] if isinstance(outcome.result, Reading) else () for outcome in shown]
    lines = _details(faces[0], phrases) if len(outcomes) == len(faces) == 1 else _list(outcomes, photos, phrases)
    rows = feedback_buttons([[face.expression for face in photo] for photo in photos], phrases, model)
    text = "\n".join([*lines, *_previews(shown, phrases)])
    return Message("".join(emoji.character for emoji in large)), Message(text, rows)


def mask_words(outcome: Outcome, phrases: Phrases, limit: str) -> str:
    """Return the caption of a masked picture, often empty, or why there is none."""
    if outcome.masked is None:
        return _failure(outcome.result, phrases, limit)[0]
    return "\n".join(_previews([outcome], phrases))


def masks_words(outcomes: Sequence[Outcome], phrases: Phrases, limit: str) -> str:
    """Return what stands beside the masked pictures of a post that come together, often nothing.

    Args:
        outcomes: of each picture of the post, in order; at least one is masked.
        phrases: the reader's language.
        limit: how many bytes a picture may have, for people.
    """
    lines = [
        f"{number}. {_failure(outcome.result, phrases, limit)[1]}"
        for number, outcome in enumerate(outcomes, 1)
        if outcome.masked is None
    ]
    return "\n".join([*lines, *_previews(outcomes, phrases)])


def surest_face(outcomes: Iterable[Outcome]) -> FaceReading | None:
    """Return the face that answers for a whole post: of the pictures' main faces the surest, if there is one."""
    faces = [outcome.result.main for outcome in outcomes if isinstance(outcome.result, Reading)]
    return max((face for face in faces if face), key=lambda face: face.confidence, default=None)


def slack_reactions(face: FaceReading, emoji_map: EmojiMap) -> tuple[str, ...]:
    """Return the Slack names of the reactions that stand for a face, each for a workspace that lacks those before it.

    Args:
        face: with the emoji chosen for it, which may be newer than the workspace, or one of its own that was removed.
        emoji_map: the map that no chat has changed.
    """
    everyday = [emoji.slack for emoji in emoji_map.everyday(face.expression)]
    return tuple(dict.fromkeys([face.emoji.slack, *everyday, OLDEST[face.expression]]))


def nearest(emoji: Emoji, allowed: Collection[str] | None) -> str | None:
    """Return the Telegram reaction that stands for an emoji, without U+FE0F.

    Args:
        emoji: the answer.
        allowed: the reactions a chat allows; None for all.

    Returns:
        None when nothing allowed shows the same expression.
    """
    if allowed is None:
        return emoji.telegram
    usable = {plain(reaction) for reaction in allowed}
    neighbours = NEIGHBOURS.get(plain(emoji.character)) or NEIGHBOURS.get(emoji.telegram, "")
    return next((reaction for reaction in (emoji.telegram, *neighbours) if reaction in usable), None)


def plain(emoji: str) -> str:
    """Take out U+FE0F, which Telegram refuses in reactions."""
    return emoji.replace("\ufe0f", "")


def feedback_buttons(photos: Sequence[Sequence[str]], phrases: Phrases, model: str) -> Rows:
    """Ask whether an answer was right.

    Args:
        photos: the expressions answered for each photo of the post, left to right; at most 30 in all.
        phrases: the reader's language.
        model: version of the model, 8 lower-case hexadecimal digits.
    """
    code = ".".join("".join(map(_digit, photo)) for photo in photos)
    return ((Button(phrases.right, f"right:{model}:{code}"), Button(phrases.wrong, f"wrong:{model}:{code}")),)


def press(data: str, phrases: Phrases) -> Press:
    """Understand a pressed button: right; wrong, then which face if there are several, then which expression.

    Raises:
        ValueError: no button of ours has these data.
    """
    match = re.fullmatch("(right|wrong|is):([0-9a-f]{8}):([0-6.]{1,40})", data)
    if not match:
        raise ValueError("unknown button")
    action, model, code = match.groups()
    photos = [[EXPRESSIONS[int(digit)] for digit in photo] for photo in code.split(".")]
    faces = [face for photo in photos for face in photo]
    match action, faces:
        case "right", [_, *_]:
            return Press(model, tuple((face, face) for face in faces), phrases.thanks)
        case "wrong", [given]:
            return Press(model, (), phrases.which_expression, _which_expression(given, phrases, model))
        case "wrong", [_, *_]:
            return Press(model, (), phrases.which_face, _which_face(photos, phrases, model))
        case "is", [given, corrected]:
            return Press(model, ((given, corrected),), phrases.thanks)
        case _:
            raise ValueError("unknown button")


NO_EMOJI = Emoji("", "", "", "")


@dataclass(frozen=True, slots=True)
class MapChange:
    """What the words behind a command "map" ask for.

    Attributes:
        problem: the name of the sentence that answers what they are wrong with; empty when they are right.
        expression: of which the chat wants another emoji.
        wish: which one, as it was written.
        emoji: the same, understood.
    """

    problem: str = ""
    expression: str = ""
    wish: str = ""
    emoji: Emoji = NO_EMOJI

    def after(self, changes: Mapping[str, str]) -> Mapping[str, str]:
        """Return all that a chat wants otherwise after this, by what it wanted before."""
        return {**changes, self.expression: self.wish}


def map_change(words: Sequence[str], emoji_map: EmojiMap, phrases: Phrases) -> MapChange:
    """Understand "happy 🎉".

    Args:
        words: at least one.
        emoji_map: the map that no chat has changed.
        phrases: the language that the expression is named in; English works, too.
    """
    expression = phrases.expression_of(words[0])
    if expression is None:
        return MapChange("unknown_expression")
    if len(words) == 1:
        return MapChange("map_usage")
    wish = "".join(words[1:])
    try:
        return MapChange("", expression, wish, emoji_map.changed({expression: wish}).everyday(expression)[0])
    except EmojiMapError:
        return MapChange("not_an_emoji")


def hours(seconds: float) -> str:
    """Return a time in hours, for a sentence that promises at most so much."""
    return f"{math.ceil(seconds / 36) / 100:g}"


def map_state(changes: Mapping[str, str], phrases: Phrases) -> str:
    """Say what a chat wants otherwise than the map."""
    shown = ", ".join(f"{phrases.expressions[name]} {emoji}" for name, emoji in changes.items())
    return phrases.map_changed.format(changes=shown) if shown else phrases.map_unchanged


def map_list(emoji_map: EmojiMap, phrases: Phrases, usage: str) -> str:
    """List each expression's emoji without any cue, surest first, as a chat's own map has them, and how to change."""
    lines = [
        f"{_capital(phrases.expressions[expression])}: {' '.join(emoji.character for emoji in everyday)}"
        for expression, everyday in ((name, emoji_map.everyday(name)) for name in EXPRESSIONS)
    ]
    return "\n".join([phrases.map_title, *lines, "", usage])


def _details(face: FaceReading, phrases: Phrases) -> list[str]:
    """Say all about the only face."""
    names = phrases.expressions
    lines = [f"{_capital(names[face.expression])}, {face.percent}"]
    if face.confidence < UNSURE_BELOW:
        lines.append(phrases.unsure)
    others = sorted((name for name in face.scores if name != face.expression), key=lambda name: -face.scores[name])
    candidates = ", ".join(f"{names[name]} {face.percent_of(name)}" for name in others[:2])
    return [*lines, phrases.next_candidates.format(candidates=candidates)]


def _list(outcomes: Sequence[Outcome], photos: Sequence[Sequence[FaceReading]], phrases: Phrases) -> list[str]:
    """Say a line for each of these faces of these photos, and for each photo without any."""
    lines = []
    numbers = _numbers([len(faces) for faces in photos])
    for index, (outcome, faces) in enumerate(zip(outcomes, photos, strict=False)):
        for number, face in zip(numbers[index], faces, strict=True):
            name = _capital(phrases.expressions[face.expression])
            lines.append(f"{number}. {face.emoji.character} {name}, {face.percent}")
        if not faces:
            lines.append(f"{index + 1}. {_failure(outcome.result, phrases, '')[1]}")
        elif isinstance(outcome.result, Reading) and len(outcome.result.faces) > len(faces):
            lines.append(phrases.more.format(count=len(outcome.result.faces) - len(faces)))
    if len(outcomes) > len(photos):
        lines.append(phrases.more.format(count=len(outcomes) - len(photos)))
    return lines


def _numbers(counts: Sequence[int]) -> list[list[str]]:
    """Give each face of each photo a number: 1, 2, 3; of several photos 1 is the first, or 1a and 1b are its faces."""
    if len(counts) == 1:
        return [[str(face + 1) for face in range(counts[0])]]
    return [
        [f"{photo + 1}{chr(ord('a') + face) if count > 1 else ''}" for face in range(count)]
        for photo, count in enumerate(counts)
    ]


def _failure(result: Reading | Face2EmojiError, phrases: Phrases, limit: str) -> tuple[str, str]:
    """Say why a picture has no emoji: a sentence that helps, and a few words."""
    match result:
        case Reading():
            return phrases.no_face, phrases.short_no_face
        case UnreadableImage():
            return phrases.unreadable, phrases.short_unreadable
        case UnsupportedFormat():
            return phrases.unsupported, phrases.short_unreadable
        case ImageTooLarge():
            return phrases.too_large.format(limit=limit), phrases.short_too_large
        case Busy() | NotReady():
            return phrases.busy, phrases.short_failed
        case FileUnavailable():
            return phrases.not_fetched, phrases.short_failed
        case _:
            return phrases.failed, phrases.short_failed


def _previews(outcomes: Iterable[Outcome], phrases: Phrases) -> list[str]:
    """Say of which pictures only the preview was looked at, each kind once."""
    kinds = {outcome.kind for outcome in outcomes if isinstance(outcome.result, Reading)}
    sentences = {
        "gif": phrases.preview_gif,
        "video": phrases.preview_video,
        "video_note": phrases.preview_video_note,
    }
    return [sentence for kind, sentence in sentences.items() if kind in kinds]


def _which_face(photos: Sequence[Sequence[str]], phrases: Phrases, model: str) -> Rows:
    numbers = _numbers([len(photo) for photo in photos])
    return _pairs(
        Button(f"{number}. {_capital(phrases.expressions[face])}", f"wrong:{model}:{_digit(face)}")
        for photo, its_numbers in zip(photos, numbers, strict=True)
        for face, number in zip(photo, its_numbers, strict=True)
    )


def _which_expression(given: str, phrases: Phrases, model: str) -> Rows:
    return _pairs(
        Button(
            f"{BUTTON_EMOJI[name]} {_capital(phrases.expressions[name])}", f"is:{model}:{_digit(given)}{_digit(name)}"
        )
        for name in EXPRESSIONS
    )


def _pairs(buttons: Iterable[Button]) -> Rows:
    row = tuple(buttons)
    return tuple(row[start : start + 2] for start in range(0, len(row), 2))


def _digit(expression: str) -> str:
    return str(EXPRESSIONS.index(expression))


def _capital(name: str) -> str:
    return name[:1].upper() + name[1:]
