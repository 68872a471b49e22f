"""The frozen types of the door: what is refused, and what a photo says; no library type is in sight."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

EXPRESSIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""The seven expressions, in the order of FER2013 (Goodfellow et al. 2013)."""

CUES = (
    "wink_left",
    "wink_right",
    "eyes_closed",
    "eyes_squeezed",
    "eyes_wide",
    "mouth_open",
    "mouth_wide_open",
    "smile_closed",
    "smile_open",
    "smirk",
    "pout",
    "lips_pressed",
    "brows_raised",
    "brow_raised",
    "brows_lowered",
    "head_tilted",
    "head_turned",
    "looking_up",
    "looking_aside",
    "eyes_covered",
    "mouth_covered",
)
"""All cues that a reading may carry; left and right are the person's own. Their tests: `inference.measures.RULES`."""


@dataclass(frozen=True, slots=True)
class PhotoLimits:
    """What is refused unseen: more bytes than `max_bytes`, or more pixels (width times height) than `max_pixels`."""

    max_bytes: int = 20 * 1024 * 1024
    max_pixels: int = 64_000_000


@dataclass(frozen=True, slots=True)
class Box:
    """A face's rectangle in pixels of the upright, full-size photo; right and bottom are exclusive."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        """Pixels."""
        return self.right - self.left

    @property
    def area(self) -> int:
        """Square pixels."""
        return self.width * (self.bottom - self.top)


@dataclass(frozen=True, slots=True)
class Emoji:
    """One answer, in every platform's spelling.

    Attributes:
        character: the Unicode emoji, e.g. ``"😄"``; of one that only a Slack workspace has its name, ``":tada_cat:"``.
        name: its plain English name, for people and screen readers.
        slack: Slack short name, without colons.
        telegram: the nearest emoji Telegram allows as a reaction.
    """

    character: str
    name: str
    slack: str
    telegram: str

    @property
    def is_custom(self) -> bool:
        """True for an emoji that only a Slack workspace has."""
        return self.character.startswith(":")


def hundredths(share: float) -> int:
    """Return a finite share in hundredths, cut and not rounded: 0.599 is not the 0.60 that a rule asked for."""
    return math.floor(100 * share + 1e-9)  # 0.29 is 28.999999999999996 hundredths


@dataclass(frozen=True, slots=True)
class FaceReading:
    """One face.

    Attributes:
        box: where it is.
        expression: the likeliest of `EXPRESSIONS`.
        confidence: its calibrated probability, 0 to 1.
        scores: calibrated probability of each of `EXPRESSIONS`, weighed with the cues; they sum to 1.
        cues: confidence, 0.5 to 1, of each of `CUES` that was seen, strongest first; possibly empty.
        emoji: the answer for this face.
        rule: why, in the words of the rule of the map that chose it.
        roll: how far the head is tilted in the picture, degrees clockwise, -180 to 180; 0 is upright.
    """

    box: Box
    expression: str
    confidence: float
    scores: Mapping[str, float]
    cues: Mapping[str, float]
    emoji: Emoji
    rule: str
    roll: float = 0.0

    @property
    def weight(self) -> float:
        """How much this face counts in a picture of several: its box's area times its confidence."""
        return self.box.area * self.confidence

    @property
    def percent(self) -> str:
        """The confidence for people, e.g. ``"83%"``; cut as in the rules, never 100%: nobody is that sure."""
        return f"{min(99, hundredths(self.confidence))}%"

    def percent_of(self, expression: str) -> str:
        """One of the scores for people, likewise; ``"<1%"`` below a hundredth."""
        return f"{min(99, hundredths(self.scores[expression])) or '<1'}%"

    def to_json(self) -> dict[str, Any]:
        """Return the JSON shape of the CLI and the web API; probabilities keep four decimals."""
        return {
            "box": [self.box.left, self.box.top, self.box.right, self.box.bottom],
            "roll": round(self.roll, 1),
            "expression": self.expression,
            "confidence": round(self.confidence, 4),
            "scores": {name: round(score, 4) for name, score in self.scores.items()},
            "cues": {name: round(confidence, 4) for name, confidence in self.cues.items()},
            "emoji": self.emoji.character,
            "emoji_name": self.emoji.name,
            "rule": self.rule,
        }


@dataclass(frozen=True, slots=True)
class UnreadFace:
    """What may be a face but is not read: too small, half hidden, or in doubt.

    Attributes:
        box: where it is.
        roll: as in `FaceReading`.
    """

    box: Box
    roll: float


@dataclass(frozen=True, slots=True)
class Reading:
    """One photo.

    Attributes:
        width: of the upright photo in pixels, before any reduction.
        height: likewise.
        faces: left to right; empty when there is no face, which is an answer and no error.
        emoji: the answer for the whole picture; None when there is no face.
        unread: what may be a face beside these; found only where it is asked for, and no part of the JSON.
    """

    width: int
    height: int
    faces: tuple[FaceReading, ...]
    emoji: Emoji | None
    unread: tuple[UnreadFace, ...] = ()

    @property
    def main(self) -> FaceReading | None:
        """The face that answers for the picture: of those with its emoji the biggest, surest; None without faces."""
        givers = (face for face in self.faces if face.emoji == self.emoji)
        return max(givers, key=lambda face: face.weight, default=None)

    def to_json(self) -> dict[str, Any]:
        """Return ``{"width", "height", "faces", "emoji"}``; ``emoji`` is None when there is no face."""
        return {
            "width": self.width,
            "height": self.height,
            "faces": [face.to_json() for face in self.faces],
            "emoji": self.emoji.character if self.emoji else None,
        }


@dataclass(frozen=True, slots=True)
class Masked:
    """A photo with its faces covered.

    Attributes:
        jpeg: the picture, upright, without any metadata.
        reading: the faces that are covered, `Reading.unread` included.
    """

    jpeg: bytes
    reading: Reading
