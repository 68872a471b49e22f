"""Finished runs -> the released checkpoint: calibrated on PublicTest, measured on PrivateTest, self-describing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from inference import checkpoint
from inference.calibration import Calibration
from inference.checkpoint import Checkpoint
from inference.network import Network
from inference.reading import EXPRESSIONS
from training.calibrate import COSTS, fit
from training.config import Config
from training.covers import with_covers
from training.data import SPLITS, Faces, together, truth
from training.files import DataError, Place, place
from training.metrics import split_figures
from training.ranges import with_ranges
from training.shipped import Predict, shipped
from training.train import CHECKPOINT, architecture, read_state


def export(
    parts: Sequence[Faces],
    runs: Sequence[Place],
    out: Path,
    balance: float = 0.75,
    costs: Mapping[str, float] = COSTS,
) -> Checkpoint:
    """Write the averaged weights of a run as a checkpoint that explains itself.

    Of several runs that began with the same weights, the mean of these is taken (model soup, Wortsman et al. 2022).

    Args:
        parts: the prepared data the runs were trained on, one after the other; each is measured on its own.
        runs: the folders `training.train` wrote, one or more.
        out: the .safetensors to write.
        balance: how much rare expressions count beside common ones, 0 to 1; see `training.calibrate.fit`.
        costs: how many times missing an expression weighs; see `training.calibrate.fit`.

    Raises:
        DataError: there is no run, it was trained on other data, or several did not begin with the same weights.
        CheckpointError: `out` cannot be written.
    """
    faces = together(parts)
    states = [_state(run, faces) for run in runs]
    first = states[0]
    if len(states) > 1 and (not first["init"] or any(state["init"] != first["init"] for state in states)):
        raise DataError("only runs that began with the same weights (--init) can be averaged")
    try:
        recipes = [_recipe(Config(**state["config"])) for state in states]
        network = Network(architecture(Config(**first["config"]), first["inner"]))
        network.load_state_dict(_mean([state["averaged"] for state in states]))
    except (KeyError, RuntimeError, TypeError) as error:
        raise DataError(f"{', '.join(map(str, runs))}: of another version; train again") from error
    network = with_covers(network.eval(), faces)
    about = {
        "epochs": first["epoch"],
        "recipe": recipes[0],
        "averaged_with": [
            {name: value for name, value in recipe.items() if value != recipes[0][name]} for recipe in recipes[1:]
        ],
        **{name: first[name] for name in ("data", "init", "teacher")},
    }
    return _finish(parts, network.checkpoint(Calibration(), about), out, balance, costs)


def calibrate(
    parts: Sequence[Faces], weights: Path, out: Path, balance: float = 0.75, costs: Mapping[str, float] = COSTS
) -> Checkpoint:
    """Write a checkpoint with the same network, calibrated and measured anew.

    Args:
        parts: prepared data; those of their PublicTest are calibrated on, and each is measured on its own.
        weights: the checkpoint.
        out: the .safetensors to write.
        balance: how much rare expressions count beside common ones, 0 to 1; see `training.calibrate.fit`.
        costs: how many times missing an expression weighs; see `training.calibrate.fit`.

    Raises:
        CheckpointError: the weights are missing, damaged or of another kind, or `out` cannot be written.
    """
    return _finish(parts, checkpoint.load(weights), out, balance, costs)


def _finish(
    parts: Sequence[Faces], begun: Checkpoint, out: Path, balance: float, costs: Mapping[str, float]
) -> Checkpoint:
    """Write a checkpoint only once it is calibrated and measured: nobody can see in a file that it is not."""
    if not begun.ranges:
        begun = checkpoint.rounded(with_ranges(begun, together(parts)))
    predict = shipped(begun)
    calibration = calibrated(predict, parts, balance, costs)
    figures = [split_figures(predict, calibration, part) for part in parts]
    about = {**begun.about, "balance": balance, "costs": dict(costs), "figures": figures}
    finished = replace(begun, calibration=calibration, about=about)
    checkpoint.save(out, finished)
    return finished


def _state(run: Place, faces: Faces) -> dict[str, Any]:
    """Return what a run on these data stored last."""
    path = run / CHECKPOINT
    if not path.is_file():
        raise DataError(f"{run}: no training run here; run `python -m training train` first")
    state = read_state(path)
    if state["data"] != faces.source:
        raise DataError(f"{run}: was trained on other data than these")
    if state.get("contents") not in (None, faces.fingerprint()):
        raise DataError(f"{run}: was trained on data that were prepared otherwise than these; train again")
    return state


def _recipe(config: Config) -> dict[str, Any]:
    """Return a recipe for people, without the folders of this machine."""
    teachers = [place(teacher).name for teacher in config.teacher]
    return {**asdict(config), "init": place(config.init).name, "teacher": teachers}


def _mean(weights: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Return the mean of the same network's weights; of its counters, the first one's."""
    return {
        name: torch.stack([one[name].float() for one in weights]).mean(dim=0) if value.is_floating_point() else value
        for name, value in weights[0].items()
    }


def calibrated(predict: Predict, parts: Sequence[Faces], balance: float, costs: Mapping[str, float]) -> Calibration:
    """Return the calibration fitted on PublicTest of all parts; see `training.calibrate.fit`.

    Raises:
        DataError: there is no face to fit it on.
    """
    faces = together(parts)
    chosen_by = faces.split == SPLITS["PublicTest"]
    public = faces[chosen_by]
    origin = np.repeat(np.arange(len(parts)), [len(part) for part in parts])[chosen_by]
    winners = truth(public)
    seven = (winners >= 0) & (winners < len(EXPRESSIONS))
    if not seven.any():
        raise DataError(
            "the data hold no faces of PublicTest (of folders: `validation`) with one of the seven expressions to "
            "calibrate on"
        )
    logits = predict(public[seven])
    return fit(logits, torch.from_numpy(winners[seven]), balance, costs, torch.from_numpy(origin[seven]))
