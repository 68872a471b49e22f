"""The weights file explains itself: architecture, labels, crop recipe, calibration and figures are in its header.

safetensors keeps numbers and text only; unlike a pickle it cannot run code when it is opened.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import save_file

from inference import crops
from inference.calibration import Calibration
from inference.errors import CheckpointError
from inference.network import Architecture, Network
from inference.reading import EXPRESSIONS

RELEASED = Path(__file__).parent / "weights" / "face2emoji.safetensors"
FORMAT = "face2emoji-2"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A network and what one must know to use it.

    Attributes:
        network: in evaluation mode, float32, on the CPU.
        calibration: how its logits become an answer.
        about: free facts for people: figures, data hash, recipe, seed.
    """

    network: Network
    calibration: Calibration
    about: Mapping[str, Any]


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint in half precision: half the bytes; export measures its figures on these very numbers."""
    header = {
        "architecture": checkpoint.network.architecture.to_json(),
        "expressions": EXPRESSIONS,
        "crop": crops.SPEC,
        "calibration": checkpoint.calibration.to_json(),
        "about": dict(checkpoint.about),
    }
    tensors = {
        name: (value.half() if value.is_floating_point() else value).contiguous()
        for name, value in checkpoint.network.state_dict().items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path, metadata={"format": FORMAT, "face2emoji": json.dumps(header)})


def load(path: Path = RELEASED) -> Checkpoint:
    """Read what `save` wrote.

    Raises:
        CheckpointError: missing, damaged, not ours, or made for another crop recipe or other expressions.
    """
    if not path.is_file():
        raise CheckpointError(f"There are no weights at {path}. Check out the file again or train them: see training/.")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise CheckpointError(f"{path.name} holds no weights of Face2Emoji ({FORMAT}). Choose another file.")
            header = json.loads(metadata["face2emoji"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a mapping
        if header["crop"] != crops.SPEC or tuple(header["expressions"]) != EXPRESSIONS:
            raise CheckpointError(f"{path.name} was trained for another crop recipe or other expressions. Train again.")
        with torch.device("meta"):  # the stored weights replace every one: filling them with chance first takes time
            network = Network(Architecture.from_json(header["architecture"]))
        floats = {name: value.float() if value.is_floating_point() else value for name, value in tensors.items()}
        network.load_state_dict(floats, assign=True)
        calibration = Calibration.from_json(header["calibration"])
    except CheckpointError:
        raise
    except (safetensors.SafetensorError, OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise CheckpointError(f"{path.name} is damaged, or no weights at all. Check out the file again.") from error
    network.eval().requires_grad_(False)
    return Checkpoint(network, calibration, header["about"])
