"""Why a face got its emoji, for the command line and the page alike: what its cues speak for, and rule after rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from inference.reading import FaceReading
from inference.witnesses import favoured

if TYPE_CHECKING:
    from inference.emoji_map import EmojiMap


@dataclass(frozen=True, slots=True)
class Step:
    """One rule that a face was held against.

    Attributes:
        emoji: its character.
        why: the rule's own words.
        objection: the first thing that the face lacked, in plain words; empty for the rule that chose.
    """

    emoji: str
    why: str
    objection: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a face got its emoji. Made by `explain`.

    Attributes:
        speaks: cue -> the expressions that it made likelier; cues without a say are left out.
        steps: the rules in the map's order; the last one chose.
    """

    speaks: Mapping[str, tuple[str, ...]]
    steps: tuple[Step, ...]

    @property
    def rule(self) -> str:
        """The words of the rule that chose."""
        return self.steps[-1].why

    def to_json(self) -> dict[str, Any]:
        """Return ``{"speaks", "passed"}``; ``passed`` holds emoji, words and objection of rules that did not fit."""
        return {
            "speaks": {cue: list(expressions) for cue, expressions in self.speaks.items()},
            "passed": [[step.emoji, step.why, step.objection] for step in self.steps[:-1]],
        }


def explain(emoji_map: EmojiMap, face: FaceReading, faces: int) -> Explanation:
    """Hold a face against the rules once more.

    Args:
        emoji_map: the map that chose.
        face: what was read.
        faces: how many there are in the picture.
    """
    return Explanation(
        speaks={cue: gains for cue in face.cues if (gains := favoured(cue))},
        steps=tuple(
            Step(rule.emoji.character, rule.why, objection) for rule, objection in emoji_map.explain(face, faces)
        ),
    )
