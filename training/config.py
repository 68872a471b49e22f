"""Everything a training run depends on besides its data."""

from __future__ import annotations

from dataclasses import dataclass

from inference.crops import CROP_SIDE


@dataclass(frozen=True, slots=True)
class Config:
    """The recipe. The defaults are those of the network that ships; `training/runs/full.sh` has its teachers' as well.

    Attributes:
        epochs: passes over the training rows.
        batch: pictures a step, over all processes.
        side: of the crops in the last epochs, in pixels: what the released network sees.
        small_side: of the crops in the first epochs. They grow from there by 16 pixels at a time, because small ones
            are quicker and at first as good to learn from (progressive learning, Tan and Le 2021).
        growth: share of the epochs over which they grow, 0 to 1; 0 for crops of `side` from the beginning.
        rate: peak learning rate of SGD with Nesterov momentum 0.9; a short warm-up, then a cosine to zero.
        decay: weight decay of the convolutions and heads.
        smoothing: label smoothing of the head for FER2013's own labels, 0 to 1.
        label_weight: weight of that head's loss beside the votes' loss.
        average: decay a step of the running mean of the weights that is released (Polyak averaging).
        init: checkpoint whose weights the network begins with, or nothing; what it lacks begins by chance or silent.
        teacher: checkpoints whose mean answers are learned beside the labels (Hinton et al. 2015); none for labels
            alone. They are asked once for every face and its mirror image, as clear as it is.
        teach: the teachers' share of what is learned, 0 to 1.
        clear: share of the faces that are turned and moved but not spoilt, 0 to 1.
        hide: share of the faces whose shape is hidden, 0 to 1.
        mixup: share of the faces that another is mixed into, by up to a half (Zhang et al. 2018), 0 to 1.
        widths: channels of the network's four stages.
        blocks: residual blocks of each.
        shape: features from the face's shape; 0 for pixels alone.
        seed: start of every random sequence.
    """

    epochs: int = 117
    batch: int = 256
    side: int = CROP_SIDE
    small_side: int = 32
    growth: float = 0.5
    rate: float = 0.2
    decay: float = 5e-4
    smoothing: float = 0.1
    label_weight: float = 0.7
    average: float = 0.998
    init: str = ""
    teacher: tuple[str, ...] = ()
    teach: float = 0.5
    clear: float = 0.5
    hide: float = 0.5
    mixup: float = 0.0
    widths: tuple[int, int, int, int] = (48, 96, 192, 384)
    blocks: tuple[int, int, int, int] = (2, 2, 2, 2)
    shape: int = 64
    seed: int = 0
