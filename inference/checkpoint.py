"""The weights file explains itself: architecture, labels, crop recipe, calibration and figures are in its header.

safetensors keeps numbers and text only; unlike a pickle it cannot run code when it is opened.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
from numpy.typing import NDArray
from safetensors.numpy import save as to_bytes

from inference import crops
from inference.calibration import Calibration
from inference.errors import CheckpointError
from inference.reading import EXPRESSIONS

RELEASED = Path(__file__).parent / "weights" / "face2emoji.safetensors"
FORMATS = ("face2emoji-2", "face2emoji-3")
"""What can be read; the second one has kernels in int8, which programs of the first would take for weights."""
WEIGHT_QMAX = 63
"""The greatest quantized weight; -63 is the least. With 127, processors without VNNI would overflow where they add up
two products in 16 bits."""
_SCALES = ".step"
"""What the file puts behind the name of int8 kernels to name their scales."""
WIDEST = 4096
"""No width, depth or shape is beyond it: none is trained so, and a file that says so is not to be believed."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """What a checkpoint must record to build the network again.

    Attributes:
        widths: channels of the four stages.
        blocks: residual blocks in each stage.
        shape: features drawn from the face's shape, beside those of the pixels; 0 for a network of pixels alone.
        votes: classes of the head that learns FER+'s votes.
        labels: classes of the head that learns FER2013's own labels.
        covers: there is a head that tells whether something covers the mouth.
        inner: channels between the two convolutions of each block, from the first to the last; empty where these are
            as many as the stage has.
    """

    widths: tuple[int, int, int, int] = (48, 96, 192, 384)
    blocks: tuple[int, int, int, int] = (2, 2, 2, 2)
    shape: int = 64
    votes: int = 8
    labels: int = 7
    covers: bool = False
    inner: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Raise ValueError where `inner` is not one number a block."""
        if self.inner and len(self.inner) != sum(self.blocks):
            raise ValueError(f"{sum(self.blocks)} blocks, but {len(self.inner)} inner widths")

    def inner_widths(self) -> tuple[int, ...]:
        """Return the channels between the two convolutions of each block, from the first to the last."""
        stages = zip(self.widths, self.blocks, strict=True)
        return self.inner or tuple(width for width, count in stages for _ in range(count))

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        stored = asdict(self)
        if not self.inner:  # as in the files of earlier versions
            del stored["inner"]
        return stored

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Architecture:
        """Build from what `to_json` returned; anything else raises KeyError, OverflowError, TypeError or ValueError."""
        widths, blocks = (tuple(int(value) for value in stored[name]) for name in ("widths", "blocks"))
        shape = int(stored.get("shape", 0))  # 0.1.0 saw pixels alone
        votes, labels = int(stored["votes"]), int(stored["labels"])
        if len(widths) != 4 or len(blocks) != 4:
            raise ValueError("four stages expected")
        if (votes, labels) != (len(EXPRESSIONS) + 1, len(EXPRESSIONS)):
            raise ValueError("a head for eight votes, contempt among them, and one for seven labels expected")
        inner = tuple(int(value) for value in stored.get("inner", ()))  # none but pruned ones have it
        if not all(1 <= size <= WIDEST for size in (*widths, *blocks, *inner, shape or 1)):
            raise ValueError(f"sizes from 1 to {WIDEST} expected")
        covers = bool(stored.get("covers", False))  # the sixth release was the first with it
        return cls(widths, blocks, shape, votes, labels, covers, inner)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A network's numbers and what one must know to use them.

    `inference.graph` makes of it what the processor works through, `inference.network` a module of PyTorch's.

    Attributes:
        architecture: of the network.
        weights: float32, and int64 for counters, by the names that `inference.network.Network` gives them.
        calibration: how its logits become an answer.
        about: free facts for people: figures, data hash, recipe, seed.
        ranges: between which values features lie, by the names that `inference.graph` gives them; empty of a network
            that counts in floating point alone.
    """

    architecture: Architecture
    weights: Mapping[str, NDArray[Any]]
    calibration: Calibration
    about: Mapping[str, Any]
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint, or after an interruption nothing.

    Weights are written in half precision, which is half the bytes, and the kernels of a network that counts in 8 bits
    as the int8 weights that it counts with, which is a quarter.

    The same checkpoint gives the same bytes: trainings that had it as a teacher know it by them.

    Raises:
        CheckpointError: the file cannot be written.
    """
    header = {
        "architecture": checkpoint.architecture.to_json(),
        "expressions": EXPRESSIONS,
        "crop": crops.SPEC,
        "calibration": checkpoint.calibration.to_json(),
        "about": dict(checkpoint.about),
        **({"ranges": checkpoint.ranges} if checkpoint.ranges else {}),  # as in the files of earlier versions
    }
    form = FORMATS[bool(checkpoint.ranges)]
    data = _in_order(to_bytes(_packed(checkpoint), {"format": form, "face2emoji": json.dumps(header)}))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.part")
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be written ({error.strerror}).") from error


def rounded(checkpoint: Checkpoint) -> Checkpoint:
    """Return a checkpoint with the numbers that come back once it is saved: figures are to be those of what ships."""
    return replace(checkpoint, weights=_unpacked(_packed(checkpoint)))


def load(path: Path = RELEASED) -> Checkpoint:
    """Read what `save` wrote.

    Raises:
        CheckpointError: missing, damaged, not ours, or made for another crop recipe or other expressions.
    """
    if not path.is_file():
        there = f"There are no weights at {path}"
        if _is_released(path):
            raise CheckpointError(f"{there}. Check out the file again or train them: see training/.")
        raise CheckpointError(f"{there}: no such file. Check the path.")
    try:
        with safetensors.safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") not in FORMATS:
                wanted = " or ".join(FORMATS)
                raise CheckpointError(f"{path.name} holds no weights of Face2Emoji ({wanted}). Choose another file.")
            header = json.loads(metadata["face2emoji"])
            weights = _unpacked({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118  # no mapping
        if header["crop"] != crops.SPEC or tuple(header["expressions"]) != EXPRESSIONS:
            raise CheckpointError(f"{path.name} was trained for another crop recipe or other expressions. Train again.")
        architecture = Architecture.from_json(header["architecture"])
        calibration, ranges = Calibration.from_json(header["calibration"]), _ranges(header.get("ranges", {}))
        return Checkpoint(architecture, weights, calibration, header["about"], ranges)
    except CheckpointError:
        raise
    except (
        safetensors.SafetensorError,
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        OverflowError,
    ) as error:
        remedy = "Check out the file again." if _is_released(path) else "Get it again, or choose another file."
        raise CheckpointError(f"{path.name} is damaged, or no weights at all. {remedy}") from error


def _is_released(path: Path) -> bool:
    return path.resolve() == RELEASED.resolve()


def _ranges(stored: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """Return the ranges of a header; what is none raises AttributeError, TypeError or ValueError."""
    ranges = {}
    for name, (least, most) in stored.items():
        if not (least <= most and math.isfinite(least) and np.isfinite(np.float32(most - least))):
            raise ValueError(f"{name}: from {least} to {most} is no range")
        ranges[str(name)] = float(least), float(most)
    return ranges


def quantize_kernels(kernels: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return the int8 weights, (width, before, side, side), and the scales, (width,), of such kernels.

    A weight is its int8 weight, -WEIGHT_QMAX to WEIGHT_QMAX, times the scale of its output channel. Multiplying a
    channel by a number, as folding in a batch norm does, changes its scale and at most the signs of its int8 weights.
    """
    scales = np.maximum(np.abs(kernels).max(axis=(1, 2, 3)) / WEIGHT_QMAX, np.float32(1e-12))
    return np.rint(kernels / scales[:, None, None, None]).astype(np.int8), scales


def _packed(checkpoint: Checkpoint) -> dict[str, NDArray[Any]]:
    """Return what is written of the weights."""
    packed: dict[str, NDArray[Any]] = {}
    for name, value in checkpoint.weights.items():
        if checkpoint.ranges and name.startswith("stages.") and value.ndim == 4:
            packed[name], packed[name + _SCALES] = quantize_kernels(value)
        else:
            packed[name] = _as(np.float16, value)
    return packed


def _unpacked(stored: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return the weights; int8 ones without scales raise KeyError, with scales of another shape ValueError."""
    weights = {}
    for name, value in stored.items():
        if value.dtype == np.int8:
            scales = stored[name + _SCALES]
            if value.ndim != 4 or scales.shape != value.shape[:1]:
                raise ValueError(f"{name}: int8 weights {value.shape} with scales {scales.shape}")
            weights[name] = value * scales.astype(np.float32)[:, None, None, None]
        elif not name.endswith(_SCALES):
            weights[name] = _as(np.float32, value)
    return weights


def _in_order(data: bytes) -> bytes:
    """Return a safetensors file whose header is in order: the library writes metadata in a random one."""
    length = int.from_bytes(data[:8], "little")
    header = json.dumps(json.loads(data[8 : 8 + length]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + data[8 + length :]


def misfit() -> CheckpointError:
    """Return the error of weights that are not those of their architecture, or no numbers."""
    return CheckpointError(
        "the weights are not those of the network that their file describes, or damaged. Get the file again."
    )


def _as(kind: type[np.floating[Any]], values: NDArray[Any]) -> NDArray[Any]:
    # Not `ascontiguousarray`, which makes a list of a lone number.
    return np.asarray(values.astype(kind) if np.issubdtype(values.dtype, np.floating) else values, order="C")
