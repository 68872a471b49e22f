"""One rule of the emoji map: what it asks for, whether a face has that, and if not, what stands in the way."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Self

from inference.measures import exclusive
from inference.reading import CUES, Emoji, hundredths

CUE_GROUPS: Mapping[str, tuple[str, ...]] = {
    "wink": ("wink_left", "wink_right"),
    "smile": ("smile_closed", "smile_open"),
    "mouth_open": ("mouth_open", "mouth_wide_open"),
    "eyes_closed": ("eyes_closed", "eyes_squeezed"),
}
"""What a rule may ask for -> the cues that answer: a mouth that is wide open is open, too."""

ASKABLE = tuple(dict.fromkeys((*CUE_GROUPS, *CUES)))
"""Every name that a rule may give after ``cues`` and ``no_cues``."""


@dataclass(frozen=True, slots=True)
class Face:
    """What rules are about. Made by `Face.of`.

    Attributes:
        expression: the likeliest; ties go to the first label.
        confidence: its probability, 0 to 1.
        second: the second likeliest.
        second_confidence: its probability.
        cues: the names of those seen.
        faces: how many there are in the picture.
    """

    expression: str
    confidence: float
    second: str
    second_confidence: float
    cues: frozenset[str]
    faces: int

    @classmethod
    def of(cls, labels: Sequence[str], scores: Mapping[str, float], cues: Mapping[str, float], faces: int) -> Self:
        """Rank the expressions. A missing score is 0; ties go to the first label."""
        best, second = sorted(labels, key=lambda name: -scores.get(name, 0.0))[:2]
        return cls(best, scores.get(best, 0.0), second, scores.get(second, 0.0), frozenset(cues), faces)


@dataclass(frozen=True, slots=True)
class When:
    """What a rule asks for; all of it has to hold, and without arguments everything does.

    Attributes:
        expressions: the likeliest expression is one of these; empty for any.
        sure_at_least: probability of that expression, 0 to 1.
        sure_below: likewise.
        second: the second likeliest expression is one of these; empty for any.
        second_at_least: its probability, 0 to 0.5.
        cues: each of these `ASKABLE` was seen.
        no_cues: none of these was.
        faces_at_least: in the picture.
        faces_at_most: likewise.
    """

    expressions: tuple[str, ...] = ()
    sure_at_least: float = 0.0
    sure_below: float = math.inf
    second: tuple[str, ...] = ()
    second_at_least: float = 0.0
    cues: tuple[str, ...] = ()
    no_cues: tuple[str, ...] = ()
    faces_at_least: int = 1
    faces_at_most: float = math.inf

    def objection(self, face: Face) -> str:
        """Return in plain words the first condition that a face fails, or "". NaN never satisfies a threshold."""
        if self.expressions and face.expression not in self.expressions:
            return f"the expression is {face.expression}, not {' or '.join(self.expressions)}"
        if self.sure_at_least and not face.confidence >= self.sure_at_least:
            return f"{cut(face.confidence)} sure of {face.expression}, not {self.sure_at_least:.2f} or more"
        if self.sure_below < math.inf and not face.confidence < self.sure_below:
            return f"{cut(face.confidence)} sure of {face.expression}, not below {self.sure_below:.2f}"
        if self.second and face.second not in self.second:
            return f"second comes {face.second}, not {' or '.join(self.second)}"
        if self.second_at_least and not face.second_confidence >= self.second_at_least:
            return f"{cut(face.second_confidence)} for {face.second}, not {self.second_at_least:.2f} or more"
        if missing := [name for name in self.cues if face.cues.isdisjoint(_members(name))]:
            return f"not seen: {', '.join(missing)}"
        if unwanted := [name for name in self.no_cues if not face.cues.isdisjoint(_members(name))]:
            return f"seen: {', '.join(unwanted)}"
        if not self.faces_at_least <= face.faces <= self.faces_at_most:
            most = "" if self.faces_at_most == math.inf else f" to {self.faces_at_most}"
            return f"faces: {face.faces}, not {self.faces_at_least}{most or ' or more'}"
        return ""

    @property
    def is_plain(self) -> bool:
        """True if it asks for one expression, perhaps for how sure, and for nothing else."""
        return self == When(self.expressions, self.sure_at_least, self.sure_below) and len(self.expressions) == 1

    @property
    def counts_faces(self) -> bool:
        """True if the number of faces matters."""
        return self.faces_at_least > 1 or self.faces_at_most < math.inf

    def contradiction(self) -> str:
        """Return in plain words why no face can ever have all this; empty when one can."""
        unseen = self._unseen()
        if shared := [name for name in self.cues if _members(name) <= unseen]:
            return f"{shared[0]} both in cues and in no_cues"
        for one, other in combinations(self.cues, 2):
            if all(exclusive(cue, another) for cue in _members(one) for another in _members(other)):
                return f"{one} with {other}, which are never seen together"
        if self.sure_at_least >= self.sure_below:
            return f"sure_at_least {self.sure_at_least} with sure_below {self.sure_below}"
        if self.sure_at_least + self.second_at_least > 1 + 1e-9:
            return f"sure_at_least {self.sure_at_least} with second_at_least {self.second_at_least}, above 1 together"
        if len(self.expressions) == 1 and self.expressions == self.second:
            return f"{self.second[0]} both as expression and as second"
        if self.faces_at_least > self.faces_at_most:
            return f"faces_at_least {self.faces_at_least} with faces_at_most {self.faces_at_most}"
        return ""

    def covers(self, other: When) -> bool:
        """Return True if every face that has all of the other has all of this, too."""
        unseen = other._unseen()
        return (
            (not self.expressions or (bool(other.expressions) and set(other.expressions) <= set(self.expressions)))
            and (not self.second or (bool(other.second) and set(other.second) <= set(self.second)))
            and self.sure_at_least <= other.sure_at_least
            and self.sure_below >= other.sure_below
            and self.second_at_least <= other.second_at_least
            and all(any(_members(seen) <= _members(name) for seen in other.cues) for name in self.cues)
            and all(_members(name) <= unseen for name in self.no_cues)
            and self.faces_at_least <= other.faces_at_least
            and self.faces_at_most >= other.faces_at_most
        )

    def _unseen(self) -> frozenset[str]:
        """Return the cues that must not be seen."""
        return frozenset(cue for name in self.no_cues for cue in _members(name))


@dataclass(frozen=True, slots=True)
class Rule:
    """When this, then that emoji.

    Attributes:
        why: the reason in plain words, which no other rule has.
        when: what it asks for.
        emoji: its answer; without a ``telegram`` of its own it takes that of the face's expression.
    """

    why: str
    when: When
    emoji: Emoji


def _members(name: str) -> frozenset[str]:
    return frozenset(CUE_GROUPS.get(name, (name,)))


def cut(share: float) -> str:
    """Return two decimals, not rounded up: 0.599 is not the 0.60 that was asked for."""
    return f"{hundredths(share) / 100:.2f}" if math.isfinite(share) else str(share)
