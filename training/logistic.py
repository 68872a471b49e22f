"""Logistic regression, and the search for the least loss behind it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as functional
from torch import Tensor


def regress(
    features: Tensor, truth: Tensor, l2: float, importance: Tensor | None = None, floor: float = 1e-6
) -> tuple[Tensor, Tensor]:
    """Return weights and bias of a logistic regression, (k,) and (1,) double.

    Args:
        features: (n, k) double.
        truth: (n,) double, 0 or 1, some of each.
        l2: strength of the ridge on weights of features that are scaled to deviation 1.
        importance: (n,) double, what each row counts; None for all alike.
        floor: added to the deviation, so that a feature that hardly changes is not blown up.
    """
    mean, deviation = features.mean(dim=0), features.std(dim=0) + floor
    scaled = (features - mean) / deviation
    weight, bias = torch.zeros(features.shape[1], dtype=torch.float64), torch.zeros(1, dtype=torch.float64)

    def loss() -> Tensor:
        each = functional.binary_cross_entropy_with_logits(scaled @ weight + bias, truth, weight=importance)
        return each + l2 * weight.square().sum()

    minimise([weight, bias], loss)
    weight = weight / deviation
    return weight, bias - weight @ mean


def minimise(parameters: Sequence[Tensor], loss: Callable[[], Tensor]) -> None:
    """Change the parameters until the loss is least."""
    for parameter in parameters:
        parameter.requires_grad_(True)
    optimizer = torch.optim.LBFGS(parameters, max_iter=200, line_search_fn="strong_wolfe")

    def step() -> Tensor:
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    optimizer.step(step)
    for parameter in parameters:
        parameter.requires_grad_(False)
