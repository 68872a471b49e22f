"""What cues ask of the measures, and which of them can therefore never be seen together."""

from __future__ import annotations

from itertools import combinations
from random import Random

import pytest

from inference.measures import RULES, Measures, exclusive
from inference.reading import CUES

# From less to more than any face has.
RANGES = {
    "yaw": (0, 45),
    "pitch": (0, 35),
    "roll": (0, 60),
    "lids_right": (0, 0.6),
    "lids_left": (0, 0.6),
    "looks_right": (-4, 4),
    "looks_left": (-4, 4),
    "brows": (0.2, 0.6),
    "brow_difference": (0, 0.2),
    "inner_brows": (0.1, 0.5),
    "squeeze": (-3, 3),
    "gap": (0, 0.6),
    "mouth_width": (0.4, 1),
    "lips": (0.1, 0.6),
    "purse": (0.2, 0.6),
    "smile": (-3, 3),
    "smirk": (0, 4),
    "gaze_up": (0, 0.3),
    "gaze_aside": (0, 0.3),
    "shade": (0.4, 1),
    "covered": (-3, 3),
}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("smile_open", "smile_closed"),  # the same threshold
        ("mouth_wide_open", "lips_pressed"),
        ("mouth_open", "mouth_covered"),
        ("wink_left", "eyes_covered"),
        ("smirk", "head_turned"),
        ("eyes_closed", "eyes_wide"),  # one measure is never above the other
        ("wink_left", "wink_right"),  # one measure is about the negative of the other
    ],
)
def test_some_cues_exclude_one_another(one: str, other: str) -> None:
    assert exclusive(one, other)
    assert exclusive(other, one)


def test_what_is_ever_seen_together_is_not_exclusive() -> None:
    random = Random(1)
    ever = set()
    for _ in range(20_000):
        face = Measures(**{name: random.uniform(*limits) for name, limits in RANGES.items()})
        seen = [cue for cue in CUES if all(test.sureness(face) >= 0.5 for test in RULES[cue])]
        assert not [pair for pair in combinations(seen, 2) if exclusive(*pair)]
        ever.update(seen)
    assert ever == set(CUES)
