"""Weights that explain themselves, and files that are none."""

import json
import resource
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.numpy import save_file

from inference import CheckpointError, DeviceError, checkpoint, crops, load_reader
from inference.calibration import Calibration
from inference.checkpoint import Architecture
from inference.expression import ExpressionReader
from inference.network import Network, normalise

Crops = NDArray[np.uint8]
Shapes = NDArray[np.float32]
TINY = Architecture(widths=(8, 8, 16, 16), blocks=(1, 1, 1, 1), shape=8)
PLAIN = Calibration()


@pytest.fixture
def network() -> Network:
    torch.manual_seed(0)
    return Network(TINY).eval()


@pytest.fixture
def crop_batch() -> Crops:
    return np.random.default_rng(0).integers(0, 256, (5, crops.CROP_SIDE, crops.CROP_SIDE)).astype(np.uint8)


@pytest.fixture
def shapes() -> Shapes:
    return np.random.default_rng(1).normal(0.5, 0.2, (5, crops.LANDMARKS, 3)).astype(np.float32)


def test_what_is_saved_comes_back(network: Network, crop_batch: Crops, shapes: Shapes, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    calibration = Calibration(0.3, (0.1, 0.2, 0.3, -0.4, 0.5, 0.6, 0.7), 1.7)
    checkpoint.save(path, network.checkpoint(calibration, {"data": "abc"}))
    loaded = checkpoint.load(path)
    assert loaded.calibration == calibration
    assert loaded.about == {"data": "abc"}
    assert loaded.architecture == TINY
    with torch.inference_mode():
        given = torch.from_numpy(crop_batch), torch.from_numpy(shapes)
        before, after = network(*given), Network.of(loaded)(*given)
    assert after.votes.numpy() == pytest.approx(before.votes.numpy(), abs=5e-3)  # half precision


def test_ranges_come_back_and_what_is_none_is_refused(network: Network, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    plain = network.checkpoint(PLAIN, {})
    checkpoint.save(path, replace(plain, ranges={"stages.0.taken": (-0.5, 2.0)}))
    assert checkpoint.load(path).ranges == {"stages.0.taken": (-0.5, 2.0)}
    for wrong in ((2.0, 1.0), (0.0, float("inf")), (float("nan"), 1.0), (-1e308, 1e308), (1.0,), "ab", 7):
        checkpoint.save(path, replace(plain, ranges={"stages.0.taken": wrong}))  # type: ignore[dict-item]
        with pytest.raises(CheckpointError, match="is damaged"):
            checkpoint.load(path)


def test_the_same_checkpoint_gives_the_same_file(network: Network, tmp_path: Path) -> None:
    """Else a training whose teacher is exported again takes it for another one, and does not go on."""
    path, files = tmp_path / "weights.safetensors", set()
    for _ in range(20):
        checkpoint.save(path, network.checkpoint(PLAIN, {"data": "ä"}))
        files.add(path.read_bytes())
    assert len(files) == 1
    with pytest.raises(CheckpointError, match="cannot be written"):
        checkpoint.save(tmp_path, network.checkpoint(PLAIN, {}))


def test_a_file_that_cannot_be_written_whole_leaves_the_one_before(network: Network, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    checkpoint.save(path, network.checkpoint(PLAIN, {"data": "before"}))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))  # as a disk that is full
    try:
        with pytest.raises(CheckpointError, match=r"weights\.safetensors cannot be written \(File too large\)"):
            checkpoint.save(path, network.checkpoint(PLAIN, {"data": "after"}))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert checkpoint.load(path).about == {"data": "before"}


def test_what_is_rounded_is_what_comes_back(network: Network, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    whole = network.checkpoint(PLAIN, {})
    checkpoint.save(path, whole)
    rounded, loaded = checkpoint.rounded(whole).weights, checkpoint.load(path).weights
    assert not np.array_equal(rounded["votes.weight"], whole.weights["votes.weight"])
    assert rounded.keys() == loaded.keys()
    assert all(value.dtype == loaded[name].dtype for name, value in rounded.items())
    assert all(np.array_equal(value, loaded[name]) for name, value in rounded.items())


def test_a_release_that_is_saved_again_is_the_same(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "again.safetensors", checkpoint.load())
    before, after = checkpoint.load(), checkpoint.load(tmp_path / "again.safetensors")
    assert before.architecture == after.architecture
    assert before.weights.keys() == after.weights.keys()
    assert all(np.array_equal(after.weights[name], values) for name, values in before.weights.items())
    assert (tmp_path / "again.safetensors").stat().st_size == checkpoint.RELEASED.stat().st_size


def test_no_file(tmp_path: Path) -> None:
    path = tmp_path / "none.safetensors"
    with pytest.raises(CheckpointError) as caught:
        checkpoint.load(path)
    assert caught.value.message == f"There are no weights at {path}: no such file. Check the path."


@pytest.mark.parametrize("content", [None, b"not weights"])
def test_the_file_that_came_with_us_can_be_checked_out_again(
    content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = tmp_path / "released.safetensors"
    monkeypatch.setattr(checkpoint, "RELEASED", released)
    if content:
        released.write_bytes(content)
    with pytest.raises(CheckpointError, match="Check out the file again"):
        checkpoint.load(released)


@pytest.mark.parametrize("content", [b"", b"not weights", b"\xff" * 100])
def test_a_damaged_file(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"weights\.safetensors is damaged") as caught:
        checkpoint.load(path)
    assert "Check out" not in caught.value.message


def test_a_truncated_file(network: Network, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    checkpoint.save(path, network.checkpoint(PLAIN, {}))
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(CheckpointError, match="damaged"):
        checkpoint.load(path)


def test_somebody_elses_weights(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_file({"x": np.zeros(3)}, path)
    with pytest.raises(CheckpointError, match="no weights of Face2Emoji"):
        checkpoint.load(path)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("crop", {**crops.SPEC, "side": 48}, "another crop recipe"),
        ("expressions", ["happy"], "other expressions"),
        ("architecture", {**TINY.to_json(), "widths": [8, 8]}, "damaged"),
        ("architecture", {**TINY.to_json(), "widths": [8, 8, 16, -16]}, "damaged"),
        ("architecture", {**TINY.to_json(), "widths": [8, 8, 16, 10**19]}, "damaged"),
        ("architecture", {**TINY.to_json(), "blocks": [1, 0, 1, 1]}, "damaged"),
        ("architecture", {**TINY.to_json(), "blocks": [1, 1, 1, float("inf")]}, "damaged"),
        ("architecture", {**TINY.to_json(), "votes": 5}, "damaged"),
        ("architecture", {**TINY.to_json(), "labels": 1}, "damaged"),
        ("architecture", {**TINY.to_json(), "shape": -1}, "damaged"),
        ("architecture", {**TINY.to_json(), "inner": [8, 8, 16]}, "damaged"),
        ("architecture", {**TINY.to_json(), "inner": [8, 8, 16, 0]}, "damaged"),
        ("calibration", {**PLAIN.to_json(), "temperature": "warm"}, "damaged"),
        ("calibration", {**PLAIN.to_json(), "temperature": 0}, "damaged"),
        ("calibration", {**PLAIN.to_json(), "temperature": float("nan")}, "damaged"),
        ("calibration", {**PLAIN.to_json(), "share": 2}, "damaged"),
        ("calibration", {**PLAIN.to_json(), "bias": [0.0] * 6 + [float("inf")]}, "damaged"),
        ("calibration", {**PLAIN.to_json(), "bias": [0.0]}, "damaged"),
    ],
)
def test_a_header_that_does_not_fit(network: Network, tmp_path: Path, key: str, value: object, message: str) -> None:
    header = {
        "architecture": TINY.to_json(),
        "expressions": ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"],
        "crop": crops.SPEC,
        "calibration": PLAIN.to_json(),
        "about": {},
        key: value,
    }
    path = tmp_path / "weights.safetensors"
    metadata = {"format": checkpoint.FORMATS[0], "face2emoji": json.dumps(header)}
    save_file(dict(network.checkpoint(PLAIN, {}).weights), path, metadata=metadata)
    with pytest.raises(CheckpointError, match=message):
        checkpoint.load(path)


@pytest.mark.parametrize("wrong", [Architecture((8, 8, 16, 32), (1, 1, 1, 1), 8), Architecture((8, 8, 16, 16))])
def test_weights_of_another_network(network: Network, wrong: Architecture) -> None:
    other = replace(network.checkpoint(PLAIN, {}), architecture=wrong)
    for build in (ExpressionReader, Network.of):
        with pytest.raises(CheckpointError, match="not those of the network"):
            build(other)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("stem.0.weight", np.zeros((8, 1, 3, 3), np.int64)),
        ("stem.1.running_var", np.full(8, -1, np.float32)),
        ("votes.weight", np.full((8, 24), np.nan, np.float32)),
        ("stages.4.path.0.weight", np.zeros((16, 16, 3, 3), np.float32)),
        ("unknown", np.zeros(3, np.float32)),
    ],
)
def test_weights_that_are_no_good(network: Network, name: str, values: Crops, tmp_path: Path) -> None:
    sound, path = network.checkpoint(PLAIN, {}), tmp_path / "weights.safetensors"
    checkpoint.save(path, replace(sound, weights={**sound.weights, name: values}))
    with pytest.raises(CheckpointError, match="not those of the network"):
        load_reader(path)


def read(network: Network, crop_batch: Crops, shapes: Shapes, calibration: Calibration = PLAIN) -> Shapes:
    return ExpressionReader(network.checkpoint(calibration, {})).read(crop_batch, shapes).scores


def test_probabilities(network: Network, crop_batch: Crops, shapes: Shapes) -> None:
    scores = read(network, crop_batch, shapes)
    assert scores.shape == (5, 7)
    assert scores.sum(axis=1) == pytest.approx(np.ones(5), abs=1e-5)
    # A batch answers as its pictures do one by one.
    alone = [read(network, crop_batch[row : row + 1], shapes[row : row + 1]) for row in range(5)]
    assert scores == pytest.approx(np.concatenate(alone), abs=1e-5)


def test_a_network_without_the_head_for_it_calls_no_mouth_covered(
    network: Network, crop_batch: Crops, shapes: Shapes
) -> None:
    assert (ExpressionReader(network.checkpoint(PLAIN, {})).read(crop_batch, shapes).covered == -np.inf).all()


@pytest.mark.parametrize("device", ["cuda:99", "mps:99", "meta", "no such kind"])
def test_a_device_that_does_not_work_is_named(network: Network, device: str) -> None:
    with pytest.raises(DeviceError) as caught:
        ExpressionReader(network.checkpoint(PLAIN, {}), device)
    assert caught.value.message.startswith(f"The network cannot work on the device {device!r} here: ")
    assert "\n" not in caught.value.message


def test_a_high_temperature_is_less_sure_of_the_same(network: Network, crop_batch: Crops, shapes: Shapes) -> None:
    sure = read(network, crop_batch, shapes)
    unsure = read(network, crop_batch, shapes, Calibration(temperature=3.0))
    assert (unsure.max(axis=1) < sure.max(axis=1)).all()
    assert (unsure.argmax(axis=1) == sure.argmax(axis=1)).all()


def test_a_bias_leans_towards_an_expression(network: Network, crop_batch: Crops, shapes: Shapes) -> None:
    plain, leaning = (read(network, crop_batch, shapes, Calibration(bias=(0, 0, bias, 0, 0, 0, 0))) for bias in (0, 2))
    assert (leaning[:, 2] > plain[:, 2]).all()
    rest_plain, rest = (np.delete(one, 2, axis=1) for one in (plain, leaning))  # among themselves as before
    assert rest / rest.sum(axis=1, keepdims=True) == pytest.approx(rest_plain / rest_plain.sum(axis=1, keepdims=True))


def test_both_heads_are_heard_by_their_share() -> None:
    votes, labels = np.zeros((1, 8), np.float32), np.zeros((1, 7), np.float32)
    votes[0, 0], labels[0, 4] = 5.0, 5.0
    said = [Calibration(share).probabilities(votes, labels)[0] for share in (0.0, 0.5, 1.0)]
    assert [int(one.argmax()) for one in (said[0], said[2])] == [0, 4]
    assert float(said[1][0]) == pytest.approx(float(said[1][4]))


def test_folding_the_norms_changes_no_value(network: Network, crop_batch: Crops, shapes: Shapes) -> None:
    given = torch.from_numpy(crop_batch), torch.from_numpy(shapes)
    network.train()(*given)  # norms that have seen something
    network.eval()
    folded = network.folded()
    assert not any(isinstance(module, torch.nn.BatchNorm2d | torch.nn.BatchNorm1d) for module in folded.modules())
    for before, after in zip(network(*given), folded(*given), strict=True):
        assert after.detach().numpy() == pytest.approx(before.detach().numpy(), abs=1e-4)


def test_bfloat16_moves_no_probability_by_more_than_a_little(crop_batch: Crops, shapes: Shapes) -> None:
    released = checkpoint.load()
    network = Network.of(released)
    given = torch.from_numpy(crop_batch), torch.from_numpy(shapes)
    exact, rounded = (
        released.calibration.probabilities(*one(*given).arrays())
        for one in (network.folded(), network.folded().in_bfloat16())
    )
    assert not np.array_equal(exact, rounded)
    assert exact == pytest.approx(rounded, abs=0.02)


def test_the_shape_is_seen_and_may_be_missing(network: Network, crop_batch: Crops, shapes: Shapes) -> None:
    hidden = read(network, crop_batch, np.full_like(shapes, np.nan))
    assert np.isfinite(hidden).all()
    assert not np.allclose(hidden, read(network, crop_batch, shapes))


def test_light_does_not_change_what_the_network_sees(crop_batch: Crops) -> None:
    bright = torch.from_numpy(crop_batch // 2 + 100)
    dim = torch.from_numpy(crop_batch // 2)
    assert torch.allclose(normalise(bright), normalise(dim), atol=1e-3)
    flat = normalise(torch.full((1, 64, 64), 200, dtype=torch.uint8))
    assert torch.isfinite(flat).all()
