"""A finished run -> the released checkpoint: calibrated on PublicTest, measured on PrivateTest, self-describing."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from inference import checkpoint
from inference.checkpoint import Checkpoint
from inference.network import Architecture, Network
from inference.reading import EXPRESSIONS
from training.config import Config
from training.data import FER_PLUS, SPLITS, Faces, truth
from training.files import Place
from training.labels import DataError
from training.metrics import split_figures
from training.train import CHECKPOINT, predict, read_state


def export(faces: Faces, run: Place, out: Path) -> Checkpoint:
    """Write the averaged weights of a run as a checkpoint that explains itself.

    Args:
        faces: the prepared data the run was trained on.
        run: the folder `training.train` wrote.
        out: the .safetensors to write.

    Raises:
        DataError: there is no run, or it was trained on other data.
    """
    path = run / CHECKPOINT
    if not path.is_file():
        raise DataError(f"{run}: no training run here; run `python -m training train` first")
    state = read_state(path)
    if state["source"] != faces.source:
        raise DataError(f"{run}: was trained on other data than these")
    config = Config(**state["config"])
    network = Network(Architecture(widths=config.widths, blocks=config.blocks, shape=config.shape, votes=len(FER_PLUS)))
    network.load_state_dict(state["averaged"])
    network.eval()
    about = {"epochs": state["epoch"], "recipe": asdict(config), "data": faces.source}
    # Half precision first: the figures are those of the very numbers that ship.
    checkpoint.save(out, Checkpoint(network, 1.0, about))
    network = checkpoint.load(out).network
    temperature = fit_temperature(network, faces)
    finished = Checkpoint(network, temperature, {**about, "figures": split_figures(network, temperature, faces)})
    checkpoint.save(out, finished)
    return finished


def fit_temperature(network: Network, faces: Faces) -> float:
    """Return the temperature that makes PublicTest's majorities likeliest (Guo et al. 2017); 1.0 without any."""
    public = faces[faces.split == SPLITS["PublicTest"]]
    winners = truth(public)
    seven = (winners >= 0) & (winners < len(EXPRESSIONS))
    if not seven.any():
        return 1.0
    logits = predict(network, public[seven]).votes[:, : len(EXPRESSIONS)]
    right = torch.from_numpy(winners[seven])
    log_temperature = torch.zeros((), requires_grad=True)
    optimizer = torch.optim.LBFGS([log_temperature], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = torch.nn.functional.cross_entropy(logits / log_temperature.exp(), right)
        value.backward()
        return value

    optimizer.step(loss)
    return float(log_temperature.detach().exp())
