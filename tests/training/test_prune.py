"""A network made narrower says nearly what it said, with less work, and learns on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from inference import CheckpointError, checkpoint
from inference.calibration import Calibration
from inference.checkpoint import Architecture
from inference.network import Network
from tests.training.test_covers import faces_like
from training.config import Config
from training.covers import with_covers
from training.data import SPLITS, Faces
from training.files import DataError
from training.prune import _cut, _Inside, prune, share_out
from training.train import predict, train

FOUR = Architecture((32, 32, 64, 64), (1, 1, 1, 1))


def test_what_costs_least_goes_first_and_whole_steps_of_channels_at_a_time() -> None:
    even = [[0.01 * gone for gone in range(width)] for width in (25, 25, 49, 49)]
    assert share_out(even, FOUR, 0.999) == (16, 32, 64, 64)  # a channel of large pictures saves the most
    dear = [[0.0, *[1.0] * 24], *even[1:]]
    assert share_out(dear, FOUR, 0.999) == (32, 16, 64, 64)
    with pytest.raises(DataError, match=r"--keep 0\.01: of this network's blocks 0\.25 must stay"):
        share_out(even, FOUR, 0.01)  # no further than what was tried


def test_no_more_than_the_share_is_kept() -> None:
    losses = [list(np.linspace(0, 1, width)) for width in (25, 25, 49, 49)]
    prices = np.array([64 * 64, 64 * 16, 96 * 4, 128])
    for keep in (0.9, 0.7, 0.5, 0.4):
        widths = share_out(losses, FOUR, keep)
        assert np.dot(widths, prices) <= keep * np.dot(FOUR.inner_widths(), prices)
    assert share_out(losses, replace(FOUR, inner=(16, 20, 64, 64)), 0.999) == (15, 20, 64, 64)


def outputs(weight: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
    return seen @ weight.double().flatten(1).T


def inside(weight: torch.Tensor, seen: torch.Tensor) -> _Inside:
    """What `_look_inside` says of a block without a shortcut."""
    variance = float(outputs(weight, seen).var(dim=0).sum())
    return _Inside(torch.cov(seen.T), torch.full((len(weight),), 1 / variance, dtype=torch.float64))


def test_an_output_that_nobody_hears_has_no_say() -> None:
    torch.manual_seed(1)
    seen = torch.randn(500, 3 * 9, dtype=torch.float64)
    weight = torch.zeros(2, 3, 3, 3)
    weight[0, 0], weight[0, 1], weight[1, 2] = 1, 2, 100
    heard = inside(weight, seen)
    cut = _cut(weight, replace(heard, worth=torch.tensor([1.0, 0.0], dtype=torch.float64)), 1)
    assert cut.kept.tolist() == [1]


def test_a_channel_that_another_repeats_goes_without_loss() -> None:
    torch.manual_seed(1)
    said = torch.rand(500, 6, 9, dtype=torch.float64)
    twice = torch.cat([said, 2 * said[:, :4]], dim=1).flatten(1)
    weight = torch.randn(5, 10, 3, 3)
    cut = _cut(weight, inside(weight, twice), 6)
    assert sorted(cut.kept.remainder(6).tolist()) == list(range(6))  # of each pair one
    assert cut.losses == pytest.approx([0] * 5, abs=1e-3)
    before = outputs(weight, twice)
    kept = twice.view(-1, 10, 9)[:, cut.kept].flatten(1) @ cut.weight.double().flatten(1).T
    assert float((kept - before).var(dim=0).sum() / before.var(dim=0).sum()) < 1e-3


def test_what_goes_is_made_up_for_by_what_stays() -> None:
    torch.manual_seed(1)
    said = torch.randn(2000, 4 * 9, dtype=torch.float64)
    seen = torch.cat([said, said + 0.5 * torch.randn(2000, 4 * 9, dtype=torch.float64)], dim=1)
    weight = torch.randn(5, 8, 3, 3)
    cut = _cut(weight, inside(weight, seen), 5)
    before = outputs(weight, seen)
    chosen = seen.view(-1, 8, 9)[:, cut.kept].flatten(1)
    lost = [
        float((outputs(kernel, chosen) - before).var(dim=0).sum() / before.var(dim=0).sum())
        for kernel in (cut.weight, weight[:, cut.kept])
    ]
    assert lost[0] == pytest.approx(cut.losses[-1], rel=0.05)
    assert lost[0] < 0.5 * lost[1]


@pytest.fixture(scope="module")
def faces() -> Faces:
    """Noise at the top for one half, at the bottom for the other: two classes that are told by looking."""
    chance = np.random.default_rng(5)
    faces = faces_like(np.full((64, 64), 120, np.uint8), 160)
    for row, crop in enumerate(faces.crops):
        part = crop[:32] if row % 2 else crop[32:]
        part += chance.integers(0, 100, part.shape, np.uint8)
        faces.votes[row, :] = 0
        faces.votes[row, 3 if row % 2 else 4] = 10
        faces.labels[row] = 3 if row % 2 else 4
        faces.split[row] = SPLITS["PublicTest"] if row >= 128 else SPLITS["Training"]
    return faces


@pytest.fixture(scope="module")
def recipe() -> Config:
    return Config(
        epochs=12, batch=16, rate=0.1, growth=0, widths=(8, 8, 16, 16), blocks=(1, 2, 1, 1), shape=8, average=0.8
    )


def test_it_answers_alike_with_less_work_and_learns_on(faces: Faces, recipe: Config, tmp_path: Path) -> None:
    network = train(faces, recipe, tmp_path / "wide").eval()
    public = faces[faces.split == SPLITS["PublicTest"]]
    right = public.labels
    assert float((predict(network, public).labels.argmax(dim=1).numpy() == right).mean()) > 0.9
    wide = with_covers(network, faces).checkpoint(Calibration(), {"seed": 1, "figures": [{"fer2013": 1.0}]})
    narrow = prune(wide, faces, 0.5)
    assert narrow.about == {"seed": 1, "pruned_to": 0.5, "learned_back": 2}
    again = prune(wide, faces, 0.5)  # else a run that began with it could not go on
    assert all(np.array_equal(values, again.weights[name]) for name, values in narrow.weights.items())
    wanted = predict(network, public).votes.log_softmax(1)
    cut, taught = prune(wide, faces, 0.5, epochs=0), prune(wide, faces, 0.5, epochs=30)
    apart = [
        float((predict(Network.of(one), public).votes.log_softmax(1) - wanted).abs().mean()) for one in (cut, taught)
    ]
    assert apart[1] < 0.7 * apart[0]  # it learns back what it lost
    still = [name for name in cut.weights if name.startswith("shape.") or "running" in name]
    assert len(still) > 10
    assert all(np.array_equal(cut.weights[name], taught.weights[name]) for name in still)
    assert not np.array_equal(cut.weights["covers.weight"], taught.weights["covers.weight"])  # fitted to what it sees
    inner = narrow.architecture.inner
    assert all(few <= many for few, many in zip(inner, network.architecture.inner_widths(), strict=True))
    assert sum(inner) < sum(network.architecture.inner_widths())
    assert float((predict(Network.of(narrow), public).labels.argmax(dim=1).numpy() == right).mean()) > 0.9
    path = tmp_path / "narrow.safetensors"
    checkpoint.save(path, narrow)
    further = replace(recipe, epochs=1, rate=1e-12, average=0.0, init=str(path))
    assert train(faces, further, tmp_path / "further").architecture.inner == inner
    assert train(faces, further, tmp_path / "further").architecture.inner == inner  # where it stopped
    with pytest.raises(DataError, match=r"--blocks: 4 blocks, but 5 inner widths"):
        train(faces, replace(further, blocks=(1, 1, 1, 1)), tmp_path / "other")


def test_what_cannot_be_cut_is_refused_in_words(faces: Faces) -> None:
    network = Network(Architecture((8, 8, 16, 16), (1, 1, 1, 1), shape=8)).eval()
    whole = network.checkpoint(Calibration(), {})
    with pytest.raises(DataError, match="no training faces"):
        prune(whole, faces[faces.split == SPLITS["PublicTest"]], 0.5)
    with pytest.raises(DataError, match="--keep must be"):
        prune(whole, faces, 1)
    with pytest.raises(DataError, match="--epochs must be"):
        prune(whole, faces, 0.5, epochs=-1)
    deaf = {**whole.weights, "votes.weight": np.full_like(whole.weights["votes.weight"], np.nan)}
    with pytest.raises(CheckpointError, match="damaged"):
        prune(replace(whole, weights=deaf), faces, 0.5)
    silent = {**whole.weights, "stages.2.path.1.weight": np.zeros(16, np.float32)}
    with pytest.raises(CheckpointError, match="damaged"):
        prune(replace(whole, weights=silent), faces, 0.5)
