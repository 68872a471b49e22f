"""Everything a training run depends on besides its data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Config:
    """The recipe. The defaults are the released one.

    Attributes:
        epochs: passes over the training rows.
        batch: pictures a step.
        rate: peak learning rate of SGD with Nesterov momentum 0.9; a short warm-up, then a cosine to zero.
        decay: weight decay of the convolutions and heads.
        smoothing: label smoothing of the head for FER2013's own labels, 0 to 1.
        label_weight: weight of that head's loss beside the votes' loss.
        average: decay a step of the running mean of the weights that is released (Polyak averaging).
        widths: channels of the network's four stages.
        blocks: residual blocks of each.
        seed: start of every random sequence.
    """

    epochs: int = 21
    batch: int = 128
    rate: float = 0.1
    decay: float = 5e-4
    smoothing: float = 0.1
    label_weight: float = 0.7
    average: float = 0.998
    widths: tuple[int, int, int, int] = (48, 96, 192, 384)
    blocks: tuple[int, int, int, int] = (2, 2, 2, 2)
    seed: int = 0
