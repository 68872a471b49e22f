"""The released network as ONNX, for other runtimes; by the same values, or not at all."""

from __future__ import annotations

import json
import logging
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch

from inference import crops
from inference.checkpoint import Checkpoint
from inference.reading import EXPRESSIONS
from training.data import FER_PLUS, Faces
from training.files import DataError, write
from training.train import predict

TOLERANCE = 1e-3
"""By which a logit may differ: far less than moves an answer; float32 sums in another order differ by about 1e-5."""

SAMPLE = 64
HEADS = ("votes", "labels")


def write_onnx(checkpoint: Checkpoint, faces: Faces, out: Path) -> float:
    """Write a network as ONNX and return by how much its logits differ from PyTorch's at most.

    Inputs are `crops`, (n, CROP_SIDE, CROP_SIDE) uint8, and `shapes`, (n, LANDMARKS, 3) float32, NaN where there is no
    mesh. Outputs are the logits `votes`, (n, 8), and `labels`, (n, 7). The file's metadata name the classes of both,
    the crop recipe and the `inference.calibration` that makes one answer of both.

    Args:
        checkpoint: the network, on the CPU.
        faces: some to compare on: with their shapes, without, and one alone.
        out: the .onnx to write.

    Raises:
        DataError: no face to compare on, the logits differ by more than `TOLERANCE`, or `out` cannot be written.
    """
    if not len(faces):
        raise DataError("the data hold no faces to compare PyTorch and ONNX on")
    sample = faces[np.linspace(0, len(faces) - 1, SAMPLE).astype(np.int64)]
    sample.shapes[::4] = np.nan
    crop = torch.from_numpy(sample.crops[:2])
    shape = torch.from_numpy(sample.shapes[:2]).float()
    count = torch.export.Dim("n")
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it misses torchvision, which nobody needs here
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's, of PyTorch's own insides
        program = torch.onnx.export(
            checkpoint.network.eval(),
            (crop, shape),
            input_names=["crops", "shapes"],
            output_names=HEADS,
            dynamic_shapes={"crops": {0: count}, "shapes": {0: count}},
            dynamo=True,
            verbose=False,
        )
    model = program.model_proto  # type: ignore[union-attr]  # None is of another way to export
    onnx.helper.set_model_props(
        model,
        {
            "votes": json.dumps(FER_PLUS),
            "labels": json.dumps(EXPRESSIONS),
            "crop": json.dumps(crops.SPEC),
            "calibration": json.dumps(checkpoint.calibration.to_json()),
        },
    )
    content = model.SerializeToString()
    difference = max(_difference(content, checkpoint, part) for part in (sample, sample[np.array([0])]))
    if not difference <= TOLERANCE:  # NaN too
        raise DataError(f"{out}: not written: its logits differ from PyTorch's by {difference:.1e}")
    write(out, content)
    return difference


def _difference(model: bytes, checkpoint: Checkpoint, faces: Faces) -> float:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    ours = predict(checkpoint.network, faces)
    theirs = session.run(list(HEADS), {"crops": faces.crops, "shapes": faces.shapes.astype(np.float32)})
    return max(float(np.abs(one.numpy() - other).max()) for one, other in zip(ours, theirs, strict=True))
