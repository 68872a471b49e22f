"""Two processes that torchrun starts train as one does; a run is reproducible from recipe, seed and data."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from inference import checkpoint
from inference.calibration import Calibration
from inference.checkpoint import Architecture
from inference.network import Network
from tests.training.test_s3 import TINY, make_up
from training.data import Faces
from training.files import DataError
from training.train import read_state, train

ROOT = Path(__file__).parents[2]
RECIPE = [
    "train", "--threads", "1", "--batch", "32", "--average", "0.8", "--growth", "0", "--rate", "0.03",
    "--widths", "8", "8", "16", "16", "--blocks", "1", "1", "1", "1",
]  # fmt: skip
"""TINY's, with a larger batch."""
TOLERANCE = 0.1
"""Share by which two processes' loss may differ: each augments by its own chance and normalises its half of a batch."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "faces.npz"
    make_up(256).save(path)
    return path


def torchrun(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Train on two processes of this machine; it must end by itself, whatever happens."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["-m", "training", *RECIPE, *map(str, arguments)]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280, check=False)


def losses(run: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (run / "history.jsonl").read_text().splitlines()]


def test_two_processes_train_as_one_and_resume(data: Path, tmp_path: Path) -> None:
    teacher = tmp_path / "teacher.safetensors"
    torch.manual_seed(0)
    checkpoint.save(teacher, Network(Architecture(TINY.widths, TINY.blocks)).checkpoint(Calibration(), {}))
    config = replace(TINY, batch=32, epochs=3, teacher=(str(teacher),))
    train(Faces.load(data), config, tmp_path / "one")
    two = tmp_path / "two"
    arguments = ("--data", data, "--out", two, "--teacher", teacher, "--epochs", "3")
    ran = torchrun(*arguments)
    assert ran.returncode == 0, ran.stderr
    # A line an epoch: only the first process writes.
    assert losses(two) == pytest.approx(losses(tmp_path / "one"), rel=TOLERANCE)
    for mark in ("data", "teacher"):
        assert read_state(two / "last.pt")[mark] == read_state(tmp_path / "one/last.pt")[mark]

    # Taken back to where an interruption would have left it, it goes on and ends the same.
    finished = read_state(two / "last.pt")
    halves = tmp_path / "halves"
    stop_after_one(data, halves, arguments)
    ran = torchrun("--data", data, "--out", halves, *arguments[4:])
    assert ran.returncode == 0, ran.stderr
    assert losses(halves) == losses(two)
    for name, value in read_state(halves / "last.pt")["averaged"].items():
        assert torch.equal(value, finished["averaged"][name]), name


def stop_after_one(data: Path, out: Path, arguments: tuple[str | Path, ...]) -> None:
    """Leave what two processes leave that are interrupted after the first epoch."""
    out.mkdir()
    program = out.parent / "interrupted.py"
    program.write_text(
        "import sys, training.train as room\n"
        "from training.__main__ import main\n"
        "learn = room._Run.learn\n"
        "def stop(run, epoch):\n"
        "    if epoch: sys.exit(3)\n"
        "    return learn(run, epoch)\n"
        "room._Run.learn = stop\n"
        "main(sys.argv[1:])\n"
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(program)]
    command += [*RECIPE, "--data", str(data), "--out", str(out), *map(str, arguments[4:])]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, timeout=280, check=False)
    assert len(losses(out)) == 1


@pytest.mark.parametrize(("out", "why"), [("run", "damaged"), ("run/last.pt/under", "nothing can be written in")])
def test_an_error_ends_all_processes_with_its_sentence(data: Path, tmp_path: Path, out: str, why: str) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/last.pt").write_bytes(b"no checkpoint")
    ran = torchrun("--data", data, "--out", tmp_path / out, "--epochs", "1")
    assert ran.returncode != 0
    assert "error: " in ran.stderr
    assert why in ran.stderr
    assert "Error:" not in ran.stderr.split("torch.distributed.elastic")[0]  # no traceback of ours


def test_the_same_recipe_seed_and_data_give_the_same_weights(tmp_path: Path) -> None:
    faces = make_up(64)
    one, same = (train(faces, TINY, tmp_path / name).state_dict() for name in ("one", "same"))
    other = train(faces, replace(TINY, seed=1), tmp_path / "other").state_dict()
    assert all(torch.equal(value, same[name]) for name, value in one.items())
    assert not all(torch.equal(value, other[name]) for name, value in one.items())


def test_a_training_that_diverges_says_so(tmp_path: Path) -> None:
    faces = make_up(64)
    with pytest.raises(DataError, match="diverged"):
        train(faces, replace(TINY, rate=float("inf")), tmp_path)
    assert not (tmp_path / "last.pt").exists()


def test_a_row_without_a_target_weighs_nothing(tmp_path: Path) -> None:
    """Both halves of a batch count by their rows with a target, not each as one half."""
    faces = make_up(64)
    labels = faces.labels.copy()
    labels[::2] = -1
    votes = faces.votes.copy()
    votes[:, 3] = 10
    network = train(replace(faces, labels=labels, votes=votes), replace(TINY, epochs=1), tmp_path)
    assert all(np.isfinite(value.float()).all() for value in network.state_dict().values())
