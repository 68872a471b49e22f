"""A finished run -> the released checkpoint: calibrated on PublicTest, measured on PrivateTest, self-describing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from inference import checkpoint
from inference.calibration import Calibration
from inference.checkpoint import Checkpoint
from inference.network import Network
from inference.reading import EXPRESSIONS
from training.calibrate import fit
from training.config import Config
from training.data import SPLITS, Faces, together, truth
from training.files import DataError, Place, place
from training.metrics import split_figures
from training.train import CHECKPOINT, architecture, predict, read_state


def export(parts: Sequence[Faces], run: Place, out: Path, balance: float = 0.75, smile: float = 1.0) -> Checkpoint:
    """Write the averaged weights of a run as a checkpoint that explains itself.

    Args:
        parts: the prepared data the run was trained on, one after the other; each is measured on its own.
        run: the folder `training.train` wrote.
        out: the .safetensors to write.
        balance: how much rare expressions count beside common ones, 0 to 1; see `training.calibrate.fit`.
        smile: how many times a missed smile weighs; see `training.calibrate.fit`.

    Raises:
        DataError: there is no run, or it was trained on other data.
    """
    path = run / CHECKPOINT
    if not path.is_file():
        raise DataError(f"{run}: no training run here; run `python -m training train` first")
    state = read_state(path)
    faces = together(parts)
    if state["data"] != faces.source:
        raise DataError(f"{run}: was trained on other data than these")
    config = Config(**state["config"])
    network = Network(architecture(config))
    network.load_state_dict(state["averaged"])
    network.eval()
    about = {
        "epochs": state["epoch"],
        "recipe": {
            **asdict(config),
            "init": place(config.init).name,
            "teacher": [place(teacher).name for teacher in config.teacher],
        },
        **{name: state[name] for name in ("data", "init", "teacher")},
        "balance": balance,
        "smile": smile,
    }
    # Half precision first: the figures are those of the very numbers that ship.
    checkpoint.save(out, Checkpoint(network, Calibration(), about))
    network = checkpoint.load(out).network
    calibration = calibrated(network, parts, balance, smile)
    figures = [split_figures(network, calibration, part) for part in parts]
    finished = Checkpoint(network, calibration, {**about, "figures": figures})
    checkpoint.save(out, finished)
    return finished


def calibrated(network: Network, parts: Sequence[Faces], balance: float, smile: float) -> Calibration:
    """Return the calibration fitted on PublicTest of all parts; see `training.calibrate.fit`."""
    faces = together(parts)
    chosen_by = faces.split == SPLITS["PublicTest"]
    public = faces[chosen_by]
    origin = np.repeat(np.arange(len(parts)), [len(part) for part in parts])[chosen_by]
    winners = truth(public)
    seven = (winners >= 0) & (winners < len(EXPRESSIONS))
    logits = predict(network, public[seven])
    return fit(logits, torch.from_numpy(winners[seven]), balance, smile, torch.from_numpy(origin[seven]))
