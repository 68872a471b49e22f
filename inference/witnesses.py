"""Two witnesses of one face: the network's expressions and the landmarks' cues; here their words are weighed.

The network sees the whole face, but has seen few that laugh with closed eyes, which it calls fear, and takes a smile
without teeth for neutral. The landmarks see only shapes, but those well. The rule is Bayes' with the two taken as
independent, a product of experts (Hinton 2002, *Neural Computation* 14): a cue multiplies the probability of each
expression by its weight, and the seven are made to sum to 1 again.
"""

from __future__ import annotations

from collections.abc import Mapping

# Chosen on muxspace's people that training may see, where larger weights made sad faces happy and neutral ones smile;
# MODEL_CARD.md has what they bring on people that it may not.
WEIGHTS: Mapping[str, Mapping[str, float]] = {
    # Lips drawn up and apart are a smile, whatever the eyes do: fear draws them aside or down.
    "smile_open": {"happy": 2, "fear": 1 / 3},
    # The network takes a smile without teeth for neutral.
    "smile_closed": {"neutral": 0.6},
    # The calibration leans to smiles, because a missed one disappoints most. Without a mouth nothing speaks
    # against one, and pleated cloth looks like teeth. Masks are surely seen, hands hardly, which leave more of a smile.
    "mouth_covered": {"happy": 0.08},
}
"""Cue -> expression -> by how much a certain cue multiplies its odds; what is not named stays as it is."""


def weigh(scores: Mapping[str, float], cues: Mapping[str, float]) -> dict[str, float]:
    """Return the probabilities of the expressions after both witnesses were heard.

    A cue of confidence c counts by its weight to the power of 2c - 1: nothing at 0.5, where it is as likely as not
    there, and in full at 1. So no answer jumps where a cue begins to be seen.

    Args:
        scores: the network's probability of each expression, 0 to 1.
        cues: confidence of each cue seen, 0.5 to 1.

    Returns:
        In the order of ``scores``, with the same sum.
    """
    weighed = dict(scores)
    for cue, confidence in cues.items():
        for expression, weight in WEIGHTS.get(cue, {}).items():
            if expression in weighed:
                weighed[expression] *= weight ** (2 * confidence - 1)
    total = sum(weighed.values())
    return {name: score * sum(scores.values()) / total for name, score in weighed.items()} if total else weighed


def favoured(cue: str) -> tuple[str, ...]:
    """Return the expressions that a cue makes likelier than it makes the others."""
    weights = WEIGHTS.get(cue, {})
    return tuple(name for name, weight in weights.items() if weight > 1)
