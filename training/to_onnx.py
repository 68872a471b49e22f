"""The released network as ONNX, for other runtimes: the bot's graph, but in floating point, by PyTorch's values."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from onnx import helper

from inference import crops
from inference.checkpoint import Checkpoint
from inference.graph import HEADS, build
from inference.network import Network
from inference.onnx_runtime import InferenceSession
from inference.reading import EXPRESSIONS
from training.data import FER_PLUS, Faces
from training.files import DataError, write
from training.train import predict

TOLERANCE = 1e-3
"""By which a logit may differ: far less than moves an answer; float32 sums in another order differ by about 1e-5."""

SAMPLE = 64


def write_onnx(checkpoint: Checkpoint, faces: Faces, out: Path) -> float:
    """Write a network as ONNX and return by how much its logits differ from PyTorch's at most.

    Inputs and outputs are those of `inference.graph.build`. The file's metadata name the classes of both heads, the
    crop recipe and the `inference.calibration` that makes one answer of both.

    Args:
        checkpoint: the network.
        faces: some to compare on: with their shapes, without, and one alone.
        out: the .onnx to write.

    Raises:
        DataError: no face to compare on, the logits differ by more than `TOLERANCE`, or `out` cannot be written.
    """
    if not len(faces):
        raise DataError("the data hold no faces to compare PyTorch and ONNX on")
    sample = faces[np.linspace(0, len(faces) - 1, SAMPLE).astype(np.int64)]
    sample.shapes[::4] = np.nan
    model = build(replace(checkpoint, ranges={}))
    facts = {
        "votes": FER_PLUS,
        "labels": EXPRESSIONS,
        "crop": crops.SPEC,
        "calibration": checkpoint.calibration.to_json(),
    }
    helper.set_model_props(model, {name: json.dumps(fact) for name, fact in facts.items()})
    content, network = model.SerializeToString(), Network.of(checkpoint)
    difference = max(_difference(content, network, part) for part in (sample, sample[np.array([0])]))
    if not difference <= TOLERANCE:  # NaN too
        raise DataError(f"{out}: not written: its logits differ from PyTorch's by {difference:.1e}")
    write(out, content)
    return difference


def _difference(model: bytes, network: Network, faces: Faces) -> float:
    session = InferenceSession(model, providers=["CPUExecutionProvider"])
    ours = predict(network, faces)
    theirs = session.run(list(HEADS), {"crops": faces.crops, "shapes": faces.shapes.astype(np.float32)})
    return max(float(np.abs(one.numpy() - other).max()) for one, other in zip(ours, theirs, strict=True))
