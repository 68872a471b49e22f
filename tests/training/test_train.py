"""Training: runs, their checkpoints, and what they may begin or go on with."""

import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from inference.network import Logits, Network
from tests.training.conftest import TINY
from tests.training.test_s3 import make_up
from training.__main__ import main
from training.config import Config
from training.data import Faces, together
from training.export import export
from training.files import DataError, Remote
from training.train import crop_side, read_state, train


def test_the_network_learns(faces: Faces, tmp_path: Path) -> None:
    train(faces, replace(TINY, epochs=60), tmp_path)
    history = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert history[-1]["loss"] < 0.7 * history[0]["loss"]
    assert history[-1]["fer_plus_7"] > 0.8


def test_labels_alone_teach_the_head_that_answers(faces: Faces, tmp_path: Path) -> None:
    unvoted = replace(faces, votes=np.zeros_like(faces.votes))
    train(unvoted, replace(TINY, epochs=60), tmp_path)
    finished = export([unvoted], [tmp_path], tmp_path / "weights.safetensors")
    assert finished.about["figures"][0]["PrivateTest"]["fer_plus_7"] > 0.8


def test_a_resumed_run_is_the_same_run(faces: Faces, tmp_path: Path) -> None:
    whole = train(faces, TINY, tmp_path / "whole")
    interrupted = tmp_path / "interrupted"
    train_one_epoch(faces, interrupted)
    resumed = train(faces, TINY, interrupted)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_a_run_of_an_earlier_version_goes_on(faces: Faces, tmp_path: Path) -> None:
    train_one_epoch(faces, tmp_path)
    state = torch.load(tmp_path / "last.pt", weights_only=True)
    del state["inner"], state["contents"]
    torch.save(state, tmp_path / "last.pt")
    train(faces, TINY, tmp_path)
    export([faces], [tmp_path], tmp_path / "weights.safetensors")
    (line,) = (tmp_path / "history.jsonl").read_text().splitlines()  # the first epoch ended before its line
    assert json.loads(line)["epoch"] == 2


def train_one_epoch(faces: Faces, out: Path) -> None:
    """Stop after the first epoch's checkpoint, as a kill between epochs does."""
    import training.train as room

    keep = room._Run.save

    class Killed(Exception):
        pass

    def save_and_die(run: room._Run, path: Path) -> None:
        keep(run, path)
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room._Run, "save", save_and_die)
        with pytest.raises(Killed):
            train(faces, TINY, out)


def test_a_run_of_another_recipe_is_not_continued(faces: Faces, tmp_path: Path) -> None:
    train(faces, TINY, tmp_path)
    with pytest.raises(DataError, match="another recipe"):
        train(faces, replace(TINY, seed=1), tmp_path)


@pytest.mark.parametrize("changed", ["crops", "shapes", "votes", "labels", "split"])
def test_a_run_does_not_go_on_with_data_that_were_prepared_otherwise(
    faces: Faces, tmp_path: Path, changed: str
) -> None:
    train_one_epoch(faces, tmp_path)
    anew = replace(faces, **{changed: getattr(faces, changed)[::-1].copy()})
    assert anew.source == faces.source
    with pytest.raises(DataError, match=r"last\.pt: its data were prepared otherwise.* choose another --out"):
        train(anew, TINY, tmp_path)
    with pytest.raises(DataError, match="was trained on data that were prepared otherwise"):
        export([anew], [tmp_path], tmp_path / "weights.safetensors")


def test_crops_grow_to_their_full_side(faces: Faces, tmp_path: Path) -> None:
    recipe = Config(epochs=10, growth=0.8)
    assert [crop_side(recipe, epoch) for epoch in range(10)] == [32] * 4 + [48] * 4 + [64] * 2
    assert {crop_side(replace(recipe, growth=0), epoch) for epoch in range(10)} == {64}
    with pytest.raises(DataError, match="multiples of 16"):
        train(faces, replace(recipe, small_side=40), tmp_path)


def test_a_damaged_checkpoint_is_said_to_be_one(faces: Faces, tmp_path: Path) -> None:
    train(faces, replace(TINY, epochs=1), tmp_path)
    path = tmp_path / "last.pt"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DataError, match="damaged"):
        train(faces, replace(TINY, epochs=1), tmp_path)
    with pytest.raises(DataError, match="damaged"):
        export([faces], [tmp_path], tmp_path / "weights.safetensors")


def test_a_store_that_cannot_be_reached_is_no_damaged_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Remote) -> bytes:
        raise DataError(f"{self}: access denied")

    monkeypatch.setattr(Remote, "read_bytes", refuse)
    with pytest.raises(DataError, match=r"last\.pt: access denied"):
        read_state(Remote("s3://faces/run/last.pt"))


@pytest.mark.parametrize("stored", [[1, 2], torch.zeros(3), {"epoch": 1}, b"junk"])
def test_a_file_of_another_kind_is_no_checkpoint(stored: object, tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    if isinstance(stored, bytes):
        path.write_bytes(stored)
    else:
        torch.save(stored, path)
    with pytest.raises(DataError, match=r"last\.pt: .*; delete it and train again"):
        read_state(path)


def test_a_run_of_a_version_that_trained_otherwise_is_refused_in_words(tmp_path: Path) -> None:
    faces = make_up(64)
    train(faces, replace(TINY, epochs=1), tmp_path)
    state = read_state(tmp_path / "last.pt")
    torch.save({**state, "network": {}}, tmp_path / "last.pt")
    with pytest.raises(DataError, match=r"last\.pt: of another version"):
        train(faces, replace(TINY, epochs=1), tmp_path)
    changes: list[dict[str, object]] = [{"config": {**state["config"], "more": 1}}, {"averaged": {}}]
    for change in changes:
        torch.save({**state, **change}, tmp_path / "last.pt")
        with pytest.raises(DataError, match="of another version; train again"):
            export([faces], [tmp_path], tmp_path / "weights.safetensors")


def test_data_together_are_trained_and_measured_apart(faces: Faces, tmp_path: Path) -> None:
    parts = [faces, faces[np.arange(40)]]
    train(together(parts), replace(TINY, epochs=1), tmp_path)
    finished = export(parts, [tmp_path], tmp_path / "weights.safetensors")
    assert [len(part) for part in finished.about["figures"]] == [4, 0]  # the first 40 rows are all of Training
    with pytest.raises(DataError, match="other data"):
        export([faces], [tmp_path], tmp_path / "weights.safetensors")


def test_mixed_faces_are_learned_from(faces: Faces, tmp_path: Path) -> None:
    train(faces, replace(TINY, epochs=60, mixup=0.5), tmp_path / "mixed")
    history = [json.loads(line) for line in (tmp_path / "mixed/history.jsonl").read_text().splitlines()]
    assert history[-1]["fer_plus_7"] > 0.8


@pytest.mark.parametrize("able", [True, False])
def test_bfloat16_is_used_where_the_device_multiplies_it(
    able: bool, faces: Faces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    halved = set()

    def forward(network: Network, crops: torch.Tensor, shapes: torch.Tensor) -> Logits:
        if network.training:
            halved.add(torch.is_autocast_enabled("cpu"))
        return network.answer(crops, shapes).logits

    monkeypatch.setattr("training.train.multiplies_bfloat16", lambda _device: able)
    monkeypatch.setattr(Network, "forward", forward)
    train(faces, replace(TINY, epochs=1), tmp_path)
    assert halved == {able}


def test_a_run_that_cannot_be_stored_is_told_before_the_teachers_are_asked(faces: Faces, tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    with pytest.raises(DataError, match=r"taken/run: nothing can be written in .*taken"):
        train(faces, replace(TINY, teacher=("nowhere",)), tmp_path / "taken/run")


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (["--epochs", "0"], "--epochs must be 1 or more"),
        (["--rate", "nan"], "--rate must be 1e-15 or more"),
        (["--widths", "8", "0", "8", "8"], "--widths must be 1 or more, up to 4096"),
        (["--shape", "-1"], "--shape must be 0 or more"),
        (["--average", "2"], "--average must be 0 or more, up to 1"),
        (["--clear", "2"], "--clear must be 0 or more, up to 1"),
        (["--small-side", "40"], "must be multiples of 16"),
    ],
)
def test_a_recipe_without_sense_is_refused_before_the_data_are_read(
    wrong: list[str], why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "--data", str(tmp_path / "none.npz"), "--out", str(tmp_path / "run"), *wrong]) == 1
    assert why in capsys.readouterr().err


def test_the_help_explains_every_setting_of_a_training(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["train", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    for setting in fields(Config):
        assert setting.metadata["meaning"] in shown
