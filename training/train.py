"""Prepared crops -> a trained network, in checkpoints that resume."""

from __future__ import annotations

import json
import math
import pickle
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as functional
from torch import Tensor, nn
from tqdm import tqdm

from inference.network import Architecture, Logits, Network, normalise
from inference.reading import EXPRESSIONS
from training.augment import augment
from training.config import Config
from training.data import FER_PLUS, SPLITS, DataError, Faces, targets, training_rows, truth

CHECKPOINT = "last.pt"
HISTORY = "history.jsonl"


def train(faces: Faces, config: Config, out: Path) -> Network:
    """Train, or go on where an earlier run in `out` stopped, and return the averaged network.

    `out` receives the checkpoint after every epoch and a line of figures in history.jsonl.

    Raises:
        DataError: no training rows, or `out` holds a run of another recipe or other data.
    """
    if min(config.epochs, config.batch) < 1:
        raise DataError("--epochs and --batch must be at least 1")
    out.mkdir(parents=True, exist_ok=True)
    run = _Run(faces, config)
    if (out / CHECKPOINT).exists():
        run.restore(out / CHECKPOINT)
    for epoch in range(run.epoch, config.epochs):
        started = time.monotonic()
        loss = run.learn(epoch)
        figures = {
            "epoch": epoch + 1,
            "loss": loss,
            **check(run.averaged, faces),
            "seconds": time.monotonic() - started,
        }
        run.save(out / CHECKPOINT)
        with (out / HISTORY).open("a") as file:
            file.write(json.dumps({name: round(value, 5) for name, value in figures.items()}) + "\n")
        tqdm.write("  ".join(f"{name} {value:.4g}" for name, value in figures.items()))
    return run.averaged


def predict(network: Network, crops: np.ndarray[Any, np.dtype[np.uint8]], batch: int = 512) -> Logits:
    """Return the logits of every crop, (n, 8) and (n, 7) float32 on the CPU."""
    network.eval()
    device = next(network.parameters()).device
    parts = []
    with torch.inference_mode():
        for start in range(0, len(crops), batch):
            part = torch.from_numpy(crops[start : start + batch]).to(device)
            parts.append(Logits(*(head.float().cpu() for head in network(part))))
    return Logits(*(torch.cat(head) for head in zip(*parts, strict=True)))


def check(network: Network, faces: Faces) -> dict[str, float]:
    """Return PublicTest's accuracies, 0 to 1: the choice between recipes is made on these alone."""
    public = faces[faces.split == SPLITS["PublicTest"]]
    if not len(public):
        return {}
    logits = predict(network, public.crops)
    winners = truth(public)
    figures = {}
    if (seven := (winners >= 0) & (winners < len(EXPRESSIONS))).any():
        answers = logits.votes[:, : len(EXPRESSIONS)].argmax(dim=1).numpy()
        figures["fer_plus_7"] = float((answers == winners)[seven].mean())
    if (labelled := public.labels >= 0).any():
        figures["fer2013"] = float((logits.labels.argmax(dim=1).numpy() == public.labels)[labelled].mean())
    return figures


def read_state(path: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Return what a checkpoint stores.

    Raises:
        DataError: it is damaged.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        raise DataError(f"{path}: damaged; delete it and train again") from error
    return state


class _Run:
    """The state of a training: what a checkpoint stores, and one epoch's work."""

    def __init__(self, faces: Faces, config: Config) -> None:
        torch.manual_seed(config.seed)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        rows = training_rows(faces)
        if not len(rows):
            raise DataError("the data hold no rows to train on")
        kept = faces[rows]
        self.config, self.source = config, faces.source
        self.crops = torch.from_numpy(kept.crops).to(self.device)
        self.votes = torch.from_numpy(targets(kept)).to(self.device)
        self.labels = torch.from_numpy(kept.labels.astype(np.int64)).to(self.device)
        architecture = Architecture(widths=config.widths, blocks=config.blocks, votes=len(FER_PLUS))
        self.network = Network(architecture).to(self.device).channels_last()
        self.averaged = Network(architecture).to(self.device).channels_last()
        self.averaged.load_state_dict(self.network.state_dict())
        # Norms and biases are left to find their own size.
        large = [parameter for parameter in self.network.parameters() if parameter.ndim > 1]
        small = [parameter for parameter in self.network.parameters() if parameter.ndim <= 1]
        self.optimizer = torch.optim.SGD(
            [{"params": large, "weight_decay": config.decay}, {"params": small, "weight_decay": 0.0}],
            lr=config.rate,
            momentum=0.9,
            nesterov=True,
        )
        self.epoch = 0

    def learn(self, epoch: int) -> float:
        """Do one epoch and return its mean loss. Chance depends on seed and epoch alone, so a resumed run repeats."""
        generator = torch.Generator(self.device).manual_seed(self.config.seed * 1_000_003 + epoch)
        torch.manual_seed(self.config.seed * 1_000_003 + epoch)
        self.network.train()
        total, steps = 0.0, max(1, len(self.crops) // self.config.batch)
        bar = tqdm(self._batches(generator), total=steps, desc=f"epoch {epoch + 1}/{self.config.epochs}", leave=False)
        for step, rows in enumerate(bar):
            rate = self.config.rate * _schedule((epoch + step / steps) / self.config.epochs)
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            loss = self._loss(rows, generator)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
            self.optimizer.step()
            self._average()
            total += float(loss.detach())
            bar.set_postfix(loss=f"{total / (step + 1):.3f}", refresh=False)
        self.epoch = epoch + 1
        return total / steps

    def _batches(self, generator: torch.Generator) -> Iterator[Tensor]:
        order = torch.randperm(len(self.crops), generator=generator, device=self.device)
        size = min(self.config.batch, len(order))
        for start in range(0, len(order) - size + 1, size):
            yield order[start : start + size]

    def _loss(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        pictures = normalise(augment(self.crops[rows], generator)).to(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16):
            logits = self.network.classify(pictures)
        votes = self.votes[rows]
        voted = -(votes * functional.log_softmax(logits.votes.float(), dim=1)).sum(dim=1).mean()
        labels = self.labels[rows]
        if not bool((labels >= 0).any()):
            return voted
        labelled = functional.cross_entropy(
            logits.labels.float(), labels, ignore_index=-1, label_smoothing=self.config.smoothing
        )
        return voted + self.config.label_weight * labelled

    def _average(self) -> None:
        with torch.no_grad():
            for mean, value in zip(
                self.averaged.state_dict().values(), self.network.state_dict().values(), strict=True
            ):
                if mean.is_floating_point():
                    mean.lerp_(value, 1 - self.config.average)
                else:
                    mean.copy_(value)

    def save(self, path: Path) -> None:
        """Write the whole state; a crash while writing leaves the last one whole."""
        state = {
            "config": asdict(self.config),
            "source": self.source,
            "epoch": self.epoch,
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        torch.save(state, path.with_suffix(".part"))
        path.with_suffix(".part").replace(path)

    def restore(self, path: Path) -> None:
        """Load what `save` wrote; raises DataError when it belongs to another recipe or other data."""
        state = read_state(path, self.device)
        if state["config"] != asdict(self.config) or state["source"] != self.source:
            raise DataError(f"{path}: belongs to another recipe or other data; choose another --out or delete it")
        self.network.load_state_dict(state["network"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.epoch = state["epoch"]


def _schedule(progress: float) -> float:
    """Return the share of the peak learning rate at `progress`, 0 to 1: 5 % warm-up, then a cosine to zero."""
    warm = 0.05
    return progress / warm if progress < warm else 0.5 * (1 + math.cos(math.pi * (progress - warm) / (1 - warm)))
