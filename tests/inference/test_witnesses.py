"""Two witnesses: where the landmarks contradict the network, who is believed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.reading import CUES, EXPRESSIONS
from inference.witnesses import WEIGHTS, favoured, weigh
from tests.inference.emoji_examples import spread


def best(scores: dict[str, float], **cues: float) -> str:
    weighed = weigh(scores, cues)
    return max(weighed, key=lambda name: weighed[name])


def test_a_laugh_with_closed_eyes_that_is_called_fear_is_happy() -> None:
    laugh = spread(fear=0.6, happy=0.2)
    assert best(laugh) == "fear"
    assert best(laugh, smile_open=0.9, eyes_closed=0.9, mouth_wide_open=0.9) == "happy"


def test_a_closed_smile_that_is_nearly_called_neutral_is_happy_and_a_clear_neutral_stays() -> None:
    assert best(spread(neutral=0.5, happy=0.4), smile_closed=0.9) == "happy"
    assert best(spread(neutral=0.97, happy=0.01), smile_closed=0.9) == "neutral"


def test_a_cue_that_is_as_likely_as_not_says_nothing_and_a_surer_one_more() -> None:
    scores = spread(neutral=0.6, happy=0.3)
    happy = [weigh(scores, {"smile_open": confidence})["happy"] for confidence in (0.5, 0.6, 0.8, 1.0)]
    assert happy[0] == pytest.approx(scores["happy"])
    assert happy == sorted(set(happy))


def test_a_certain_cue_multiplies_the_odds_by_its_weight() -> None:
    scores = {"happy": 0.5, "neutral": 0.5}
    weighed = weigh(scores, {"smile_closed": 1.0})
    assert weighed["neutral"] / weighed["happy"] == pytest.approx(WEIGHTS["smile_closed"]["neutral"])


def test_without_cues_that_speak_the_network_is_alone() -> None:
    scores = spread(surprise=0.7)
    assert weigh(scores, {}) == pytest.approx(scores)
    assert weigh(scores, {"wink_left": 1.0, "head_tilted": 0.9}) == pytest.approx(scores)


@given(st.lists(st.floats(0, 1), min_size=7, max_size=7), st.dictionaries(st.sampled_from(CUES), st.floats(0.5, 1)))
def test_what_comes_out_are_probabilities_in_the_same_order(values: list[float], cues: dict[str, float]) -> None:
    total = sum(values)
    scores = {name: value / total if total else 0.0 for name, value in zip(EXPRESSIONS, values, strict=True)}
    weighed = weigh(scores, cues)
    assert list(weighed) == list(EXPRESSIONS)
    assert sum(weighed.values()) == pytest.approx(1 if total else 0)
    assert all(0 <= score <= 1 + 1e-9 for score in weighed.values())


def test_the_weights_speak_of_cues_and_expressions_that_exist() -> None:
    assert set(WEIGHTS) <= set(CUES)
    assert all(set(weights) <= set(EXPRESSIONS) for weights in WEIGHTS.values())
    assert all(weight > 0 for weights in WEIGHTS.values() for weight in weights.values())
    assert (favoured("smile_open"), favoured("pout")) == (("happy",), ())
