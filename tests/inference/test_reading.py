"""Shares as people read them: cut alike everywhere, and never above what was read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from inference.emoji_map import load_emoji_map
from inference.reading import EXPRESSIONS, Box, FaceReading
from inference.rules import Face, When, cut

FACE = FaceReading(
    Box(0, 0, 9, 9), "happy", 0.0, dict.fromkeys(EXPRESSIONS, 0.0), {}, load_emoji_map().everyday("happy")[0], "why"
)


@pytest.mark.parametrize("percent", range(100))
def test_whole_percents_stay_as_they_are(percent: int) -> None:
    face = replace(FACE, confidence=percent / 100, scores={"happy": percent / 100})
    assert face.percent == f"{percent}%"
    assert face.percent_of("happy") == (f"{percent}%" if percent else "<1%")
    assert cut(percent / 100) == f"{percent / 100:.2f}"


@pytest.mark.parametrize(("share", "shown"), [(0.396, "39"), (0.599, "59"), (0.5999999, "59"), (1.0, "99")])
def test_shares_are_cut(share: float, shown: str) -> None:
    face = replace(FACE, confidence=share, scores={"happy": share})
    assert (face.percent, face.percent_of("happy")) == (f"{shown}%", f"{shown}%")
    assert cut(share) == (f"0.{shown}" if share < 1 else "1.00")


def test_an_objection_tells_the_share_that_stands_beside_it() -> None:
    face = Face("happy", 0.29, "sad", 0.0, frozenset(), 1)
    assert When(sure_at_least=0.6).objection(face) == "0.29 sure of happy, not 0.60 or more"
