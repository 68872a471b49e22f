"""Everything a training run depends on besides its data."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Any

from inference.checkpoint import WIDEST
from inference.crops import CROP_SIDE
from training.files import DataError

_SHARE = (0.0, 1.0)


def _setting(default: Any, meaning: str, least: float = -math.inf, most: float = math.inf) -> Any:
    return field(default=default, metadata={"meaning": meaning, "least": least, "most": most})


@dataclass(frozen=True, slots=True)
class Config:
    """The recipe. Defaults are those of the network that ships before it is finished; `training/runs/full.sh` has all.

    Growing crops: Tan and Le 2021. Running mean of the weights: Polyak and Juditsky 1992. Teachers: Hinton et al. 2015.
    Mixup: Zhang et al. 2018.
    """

    epochs: int = _setting(117, "passes over the training rows", 1)
    batch: int = _setting(256, "pictures a step, over all processes", 1)
    side: int = _setting(
        CROP_SIDE, "of the crops in the last epochs, in pixels: what the released network sees", 16, 1024
    )
    small_side: int = _setting(
        32, "of the crops in the first epochs, in pixels; they grow from there by 16 at a time", 16, 1024
    )
    growth: float = _setting(0.5, "share of the epochs over which crops grow, 0 to 1; 0: all of --side", *_SHARE)
    rate: float = _setting(
        0.2, "peak learning rate of SGD, Nesterov momentum 0.9: a warm-up, then a cosine to zero", 1e-15
    )
    decay: float = _setting(5e-4, "weight decay of the convolutions and heads", *_SHARE)
    smoothing: float = _setting(0.1, "label smoothing of the head for FER2013's own labels, 0 to 1", *_SHARE)
    label_weight: float = _setting(0.7, "weight of that head's loss beside the votes' loss", 0, 1000)
    average: float = _setting(
        0.998, "decay a step of the running mean of the weights, which is what is released", *_SHARE
    )
    init: str = _setting(
        "", "checkpoint to begin with, as narrow inside its blocks as it is; what it lacks begins by chance or silent"
    )
    teacher: tuple[str, ...] = _setting(
        (), "checkpoints whose mean answers are learned too, asked once for every clear face and its mirror image"
    )
    teach: float = _setting(0.5, "the teachers' share of what is learned, 0 to 1", *_SHARE)
    clear: float = _setting(0.5, "share of the faces that are turned and moved but not spoilt, 0 to 1", *_SHARE)
    hide: float = _setting(0.5, "share of the faces whose shape is hidden, 0 to 1", *_SHARE)
    mixup: float = _setting(0.0, "share of the faces that another is mixed into, by up to a half, 0 to 1", *_SHARE)
    widths: tuple[int, int, int, int] = _setting((48, 96, 192, 384), "channels of the network's four stages", 1, WIDEST)
    blocks: tuple[int, int, int, int] = _setting((2, 2, 2, 2), "residual blocks of each stage", 1, 100)
    shape: int = _setting(64, "features from the face's shape; 0: pixels alone", 0, WIDEST)
    seed: int = _setting(0, "start of every random sequence", 0, 2**31)

    def check(self) -> None:
        """Refuse a recipe without sense.

        Raises:
            DataError: a number is outside its range, or a side is no multiple of 16.
        """
        for setting in fields(self):
            value, least, most = getattr(self, setting.name), setting.metadata["least"], setting.metadata["most"]
            numbers = value if isinstance(value, tuple) else (value,)
            if any(not isinstance(number, str) and not least <= number <= most for number in numbers):
                name = setting.name.replace("_", "-")
                raise DataError(f"--{name} must be {least:g} or more{f', up to {most:g}' if most < math.inf else ''}")
        if self.side % 16 or self.small_side % 16:
            raise DataError("--side and --small-side must be multiples of 16: the network halves the crop four times")
