"""The ONNX file answers as PyTorch does, in another runtime."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from inference.calibration import Calibration
from inference.checkpoint import Architecture, Checkpoint
from inference.network import Network
from inference.onnx_runtime import InferenceSession
from inference.reading import EXPRESSIONS
from tests.training.test_s3 import make_up
from training import to_onnx
from training.data import FER_PLUS
from training.files import DataError
from training.to_onnx import write_onnx


def small(shape: int) -> Checkpoint:
    torch.manual_seed(0)
    network = Network(Architecture((8, 8, 16, 16), (1, 1, 1, 1), shape=shape))
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d | torch.nn.BatchNorm1d):  # as if trained
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            assert module.running_mean is not None
            torch.nn.init.uniform_(module.running_mean, -0.5, 0.5)
    return network.checkpoint(Calibration(temperature=1.5), {})


@pytest.mark.parametrize("shape", [64, 0])
def test_the_same_logits_for_any_number_of_faces_with_and_without_a_mesh(tmp_path: Path, shape: int) -> None:
    made, path = small(shape), tmp_path / "network.onnx"
    assert write_onnx(made, make_up(8), path) < 1e-4
    session = InferenceSession(path, providers=["CPUExecutionProvider"])
    for count in (1, 5):
        faces = make_up(count)
        shapes = faces.shapes.astype(np.float32)
        for meshless in (shapes, np.full_like(shapes, np.nan)):
            votes, labels = session.run(["votes", "labels"], {"crops": faces.crops, "shapes": meshless})
            with torch.inference_mode():
                ours = Network.of(made)(torch.from_numpy(faces.crops), torch.from_numpy(meshless))
            np.testing.assert_allclose(votes, ours.votes, atol=1e-4)
            np.testing.assert_allclose(labels, ours.labels, atol=1e-4)
    facts = session.get_modelmeta().custom_metadata_map
    assert json.loads(facts["votes"]) == list(FER_PLUS)
    assert json.loads(facts["labels"]) == list(EXPRESSIONS)
    assert json.loads(facts["calibration"])["temperature"] == 1.5


def test_other_logits_are_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(to_onnx, "TOLERANCE", -1.0)
    with pytest.raises(DataError, match="differ"):
        write_onnx(small(64), make_up(8), tmp_path / "network.onnx")
    assert not (tmp_path / "network.onnx").exists()
