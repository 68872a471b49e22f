"""Weights that explain themselves, and files that are none."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from inference import CheckpointError, checkpoint, crops
from inference.checkpoint import Checkpoint
from inference.expression import ExpressionReader
from inference.network import Architecture, Network, normalise

Crops = NDArray[np.uint8]
TINY = Architecture(widths=(8, 8, 16, 16), blocks=(1, 1, 1, 1))


@pytest.fixture
def network() -> Network:
    torch.manual_seed(0)
    return Network(TINY).eval()


@pytest.fixture
def faces() -> Crops:
    return np.random.default_rng(0).integers(0, 256, (5, crops.CROP_SIDE, crops.CROP_SIDE)).astype(np.uint8)


def test_what_is_saved_comes_back(network: Network, faces: Crops, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    checkpoint.save(path, Checkpoint(network, 1.7, {"data": "abc"}))
    loaded = checkpoint.load(path)
    assert loaded.temperature == 1.7
    assert loaded.about == {"data": "abc"}
    assert loaded.network.architecture == TINY
    with torch.inference_mode():
        before, after = network(torch.from_numpy(faces)), loaded.network(torch.from_numpy(faces))
    assert after.votes.numpy() == pytest.approx(before.votes.numpy(), abs=5e-3)  # half precision


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no weights at"):
        checkpoint.load(tmp_path / "none.safetensors")


@pytest.mark.parametrize("content", [b"", b"not weights", b"\xff" * 100])
def test_a_damaged_file(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"weights\.safetensors is damaged"):
        checkpoint.load(path)


def test_a_truncated_file(network: Network, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    checkpoint.save(path, Checkpoint(network, 1.0, {}))
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(CheckpointError, match="damaged"):
        checkpoint.load(path)


def test_somebody_elses_weights(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_file({"x": torch.zeros(3)}, path)
    with pytest.raises(CheckpointError, match="no weights of Face2Emoji"):
        checkpoint.load(path)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("crop", {**crops.SPEC, "side": 48}, "another crop recipe"),
        ("expressions", ["happy"], "other expressions"),
        ("architecture", {**TINY.to_json(), "widths": [8, 8]}, "damaged"),
        ("architecture", {**TINY.to_json(), "widths": [8, 8, 16, 32]}, "damaged"),
        ("temperature", "warm", "damaged"),
    ],
)
def test_a_header_that_does_not_fit(network: Network, tmp_path: Path, key: str, value: object, message: str) -> None:
    header = {
        "architecture": TINY.to_json(),
        "expressions": ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"],
        "crop": crops.SPEC,
        "temperature": 1.0,
        "about": {},
        key: value,
    }
    path = tmp_path / "weights.safetensors"
    metadata = {"format": checkpoint.FORMAT, "face2emoji": json.dumps(header)}
    save_file({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, path, metadata=metadata)
    with pytest.raises(CheckpointError, match=message):
        checkpoint.load(path)


def test_probabilities(network: Network, faces: Crops) -> None:
    scores = ExpressionReader(Checkpoint(network, 1.0, {})).read(faces)
    assert scores.shape == (5, 7)
    assert scores.sum(axis=1) == pytest.approx(np.ones(5), abs=1e-5)
    # A batch answers as its pictures do one by one.
    alone = np.concatenate([ExpressionReader(Checkpoint(network, 1.0, {})).read(face[None]) for face in faces])
    assert scores == pytest.approx(alone, abs=1e-5)


def test_a_high_temperature_is_less_sure_of_the_same(network: Network, faces: Crops) -> None:
    sure = ExpressionReader(Checkpoint(network, 1.0, {})).read(faces)
    unsure = ExpressionReader(Checkpoint(network, 3.0, {})).read(faces)
    assert (unsure.max(axis=1) < sure.max(axis=1)).all()
    assert (unsure.argmax(axis=1) == sure.argmax(axis=1)).all()


def test_light_does_not_change_what_the_network_sees(faces: Crops) -> None:
    bright = torch.from_numpy(faces // 2 + 100)
    dim = torch.from_numpy(faces // 2)
    assert torch.allclose(normalise(bright), normalise(dim), atol=1e-3)
    flat = normalise(torch.full((1, 64, 64), 200, dtype=torch.uint8))
    assert torch.isfinite(flat).all()
