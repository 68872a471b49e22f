"""Faces with and without something before the mouth -> the head that tells them apart, for a trained network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from inference.network import Network
from training.augment import cover_mouths
from training.data import Faces, training_rows
from training.logistic import regress

AT_MOST = 18_000
"""Faces to learn from: more of them tell no more apart."""
BATCH = 500
# A mouth counts as covered from the one share on, as free up to the other; what lies between teaches nothing.
COVERED, FREE = 0.6, 0.15
# Ridge on weights of features that are scaled to deviation 1.
L2 = 1e-3
SEED = 5


def with_covers(network: Network, faces: Faces) -> Network:
    """Return a copy of a network that also tells whether something hides the mouth; all else it says stays the same.

    No data set at hand says whose mouth is covered, so masks, fingers and boxes are drawn on training faces, and a
    logistic regression on what the network sees in them finds the drawn ones (a linear probe, Alain & Bengio 2017).

    Args:
        network: in evaluation mode.
        faces: training faces among them; with none, the head is left at "free".

    Raises:
        ValueError: the network made with such a head has none (an internal check).
    """
    able = Network(replace(network.architecture, covers=True))
    able.load_state_dict(network.state_dict(), strict=False)
    head = able.eval().covers
    if head is None:
        raise ValueError("a network with covers has such a head")
    rows = training_rows(faces)
    chance = np.random.default_rng(SEED)
    chosen = faces[np.sort(chance.permutation(rows)[:AT_MOST])]
    features, shares = _look(able, chosen)
    told = (shares >= COVERED) | (shares <= FREE)
    weight, bias = _regress(features[told], (shares[told] >= COVERED).double())
    with torch.no_grad():
        head.weight.copy_(weight[None])
        head.bias.copy_(bias)
    return able


def _look(network: Network, faces: Faces) -> tuple[Tensor, Tensor]:
    """Return what the network sees in faces with things drawn on them, and which share of each mouth these hide."""
    generator = torch.Generator().manual_seed(SEED)
    features, shares = [torch.empty(0, 2 * network.architecture.widths[-1])], [torch.empty(0)]
    with torch.inference_mode():
        for start in tqdm(range(0, len(faces), BATCH), desc="covered mouths", unit="batch"):
            crops, share = cover_mouths(torch.from_numpy(faces.crops[start : start + BATCH]), generator)
            features.append(network.look(crops))
            shares.append(share)
    return torch.cat(features).double(), torch.cat(shares)


def _regress(features: Tensor, covered: Tensor) -> tuple[Tensor, Tensor]:
    """Return weights and bias of the head, (k,) and (1,)."""
    if not 0 < covered.sum() < len(covered):
        return torch.zeros(features.shape[1], dtype=torch.float64), torch.full((1,), -10, dtype=torch.float64)
    return regress(features, covered, L2)
