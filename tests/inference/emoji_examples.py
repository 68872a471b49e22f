"""A face for every rule of the shipped map: what would be read of it, and the emoji it has to get."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from inference.reading import EXPRESSIONS


@dataclass(frozen=True)
class Example:
    """`scores` sum to 1; `cues` are those seen."""

    emoji: str
    rule: str
    scores: Mapping[str, float]
    cues: Mapping[str, float]

    @property
    def expression(self) -> str:
        return max(self.scores, key=lambda name: self.scores[name])


def spread(**named: float) -> dict[str, float]:
    """Return scores of all seven expressions: what is left is shared by those not named."""
    rest = (1 - sum(named.values())) / (len(EXPRESSIONS) - len(named))
    return {name: named.get(name, rest) for name in EXPRESSIONS}


def example(emoji: str, rule: str, cues: str = "", **scores: float) -> Example:
    return Example(emoji, rule, spread(**scores), dict.fromkeys(cues.split(), 0.8))


EXAMPLES = (
    example("😎", "sunglasses, or something else over the eyes", "eyes_covered", happy=0.9),
    example("😘", "a kiss with a wink", "wink_right pout", neutral=0.6),
    example("😚", "a kiss with closed eyes", "pout eyes_closed", neutral=0.6),
    example("😙", "a kiss from a happy face", "pout", happy=0.6),
    example("😗", "lips in a kiss", "pout", neutral=0.6),
    example("😜", "a cheeky wink, the mouth wide open", "wink_left mouth_wide_open", happy=0.6),
    example("😉", "a wink", "wink_left smile_closed", happy=0.9),
    example("😷", "a mask, or something else over the mouth", "mouth_covered", neutral=0.6),
    example("😂", "laughter with a wide open mouth and closed eyes", "mouth_wide_open eyes_squeezed", happy=0.9),
    example("😆", "an open smile that squeezes the eyes", "eyes_squeezed smile_open", happy=0.9),
    example("😄", "an open smile that closes the eyes", "eyes_closed smile_open", happy=0.9),
    example("😭", "a sad look with closed eyes and an open mouth", "mouth_open eyes_squeezed", sad=0.8),
    example(
        "😵",
        "a startled look, eyes squeezed, mouth open, head tilted",
        "eyes_squeezed mouth_open head_tilted",
        surprise=0.6,
    ),
    example("🥱", "a yawn, the mouth wide open and the eyes closed", "mouth_wide_open eyes_closed", surprise=0.5),
    example("😌", "closed eyes and a soft smile", "eyes_closed smile_closed", happy=0.6),
    example("😖", "a look of disgust that squeezes the eyes", "eyes_squeezed brows_lowered", disgust=0.6),
    example("😣", "eyes squeezed shut", "eyes_squeezed", neutral=0.5),
    example("😴", "as if asleep, eyes closed and head tilted", "eyes_closed head_tilted", neutral=0.8),
    example("😴", "as if asleep, eyes closed and mouth open", "eyes_closed mouth_open", neutral=0.8),
    example("😑", "closed eyes and pressed lips", "eyes_closed lips_pressed", neutral=0.8),
    example("😌", "a neutral look with closed eyes", "eyes_closed", neutral=0.8),
    example("😔", "a sad look with closed eyes", "eyes_closed", sad=0.8),
    example("🙄", "eyes rolled up", "looking_up", neutral=0.8),
    example("😒", "a displeased look aside", "looking_aside", angry=0.8),
    example("🤔", "a neutral look aside, as if in thought", "looking_aside", neutral=0.8),
    example("🤨", "one brow raised", "brow_raised", neutral=0.8),
    example("😏", "a smile on one side", "smirk", neutral=0.6),
    example("🤩", "a happy look with much surprise", "smile_open mouth_open", happy=0.7, surprise=0.28),
    example("😅", "a happy look with some fear", "smile_open", happy=0.7, fear=0.25),
    example("🥲", "a happy look with some sadness", "smile_closed", happy=0.7, sad=0.25),
    example("😃", "a happy look with a wide open mouth", "mouth_wide_open smile_open", happy=0.95),
    example("😁", "a happy look that shows the teeth", "smile_open", happy=0.95),
    example("😀", "a happy look with an open smile", "smile_open mouth_open", happy=0.95),
    example("😊", "a happy look with a closed smile", "smile_closed", happy=0.8),
    example("😄", "a sure happy look", happy=0.95),
    example("😊", "a likely happy look", happy=0.7),
    example("🙂", "a faint happy look", happy=0.5),
    example(
        "😱",
        "a look of surprise and some fear, the mouth wide open",
        "mouth_wide_open eyes_wide",
        surprise=0.6,
        fear=0.35,
    ),
    example("🤯", "a sure look of surprise, mouth and eyes wide open", "mouth_wide_open eyes_wide", surprise=0.95),
    example("😲", "a sure look of surprise", "mouth_wide_open brows_raised", surprise=0.95),
    example("😮", "a likely look of surprise", "mouth_open", surprise=0.7),
    example("😯", "a faint look of surprise", surprise=0.5),
    example("😱", "a look of fear with a wide open mouth", "mouth_wide_open", fear=0.6),
    example("😰", "a look of fear with some sadness", "brows_raised", fear=0.6, sad=0.25),
    example("😱", "a sure look of fear", fear=0.95),
    example("😨", "a likely look of fear", "mouth_open", fear=0.7),
    example("😟", "a faint look of fear", fear=0.5),
    example("🥺", "a sad look with raised brows", "brows_raised", sad=0.7),
    example("😦", "a sad look with an open mouth", "mouth_open", sad=0.7),
    example("😢", "a sure sad look", sad=0.95),
    example("😞", "a likely sad look", sad=0.7),
    example("🙁", "a faint sad look", sad=0.5),
    example("🤬", "an angry look with an open mouth", "mouth_open brows_lowered", angry=0.8),
    example("😤", "an angry look with pressed lips", "lips_pressed brows_lowered", angry=0.8),
    example("😡", "a sure angry look", "brows_lowered", angry=0.95),
    example("😠", "a likely angry look", "brows_lowered", angry=0.7),
    example("😒", "a faint angry look", angry=0.5),
    example("🤮", "a look of disgust with an open mouth", "mouth_open", disgust=0.6),
    example("🤮", "a sure look of disgust", disgust=0.95),
    example("🤢", "a likely look of disgust", disgust=0.7),
    example("😖", "a faint look of disgust", disgust=0.5),
    example("😳", "a neutral look with wide eyes", "eyes_wide", neutral=0.8),
    example("🤐", "a neutral look with pressed lips", "lips_pressed", neutral=0.8),
    example("🙂", "a neutral look with a hint of a smile", neutral=0.6, happy=0.3),
    example("😕", "a neutral look with a hint of sadness", neutral=0.6, sad=0.3),
    example("😐", "a likely neutral look", neutral=0.9),
    example("😶", "a faint neutral look", neutral=0.5),
    example("🤔", "no expression is clear enough", neutral=0.3, sad=0.25),
)
"""In the order of the rules."""
