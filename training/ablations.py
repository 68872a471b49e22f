"""What each part of the recipe is worth: short trainings with one thing changed, several seeds each."""

from __future__ import annotations

import io
import json
import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from inference.checkpoint import RELEASED
from training.calibrate import COSTS
from training.config import Config
from training.data import FER_PLUS, SPLITS, Faces, together, truth
from training.export import calibrated
from training.metrics import public_figures
from training.train import predict, train

FIGURES = {
    "fer_plus_8": "FER+ 8",
    "fer2013": "2013",
    "fer_plus_7": "7 answers",
    "fer_plus_7_balanced": "balanced",
    "fer_plus_7_ece": "calibration error",
}


@dataclass(frozen=True, slots=True)
class Variant:
    """One thing done differently.

    Attributes:
        name: what a table calls it.
        change: fields of `Config` and what they are instead.
        only_first: learn from the first data set alone.
        hard_votes: learn the voters' majority instead of the shares of their votes.
    """

    name: str
    change: dict[str, Any] = field(default_factory=dict)
    only_first: bool = False
    hard_votes: bool = False


VARIANTS = (
    Variant("the recipe"),
    Variant("no shape", {"shape": 0}),
    Variant("shape never hidden", {"hide": 0.0}),
    Variant("no other people's pictures", only_first=True),
    Variant("majority instead of votes", hard_votes=True),
    Variant("nothing spoilt", {"clear": 1.0}),
    Variant("everything spoilt", {"clear": 0.0}),
    Variant("mixup for half", {"mixup": 0.5}),
    Variant("the released network as teacher", {"teacher": (str(RELEASED),)}),
    Variant("no averaging", {"average": 0.0}),
    Variant("labels weigh 0.2", {"label_weight": 0.2}),
    Variant("no label smoothing", {"smoothing": 0.0}),
    Variant("full side from the beginning", {"growth": 0.0}),
    Variant("half the width", {"widths": (8, 16, 32, 64)}),
)
"""The base, then one change each."""

BASE = Config(epochs=16, batch=128, side=48, rate=0.1, average=0.99, widths=(16, 32, 64, 128))
"""A twentieth of the released recipe's work an epoch, so that seeds can be afforded."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How the variants are compared.

    Attributes:
        data: packed data; figures are given for each on its own.
        base: the recipe that is changed.
        share: of the training rows that are learned from, 0 to 1; the same rows for all.
        balance: see `training.calibrate.fit`.
    """

    data: tuple[Path, ...]
    base: Config = BASE
    share: float = 1.0
    balance: float = 0.75


def ablate(plan: Plan, out: Path, seeds: int, jobs: int, variants: Sequence[Variant] = VARIANTS) -> str:
    """Train every variant with every seed, measure each on PublicTest, and return a table in Markdown.

    Trainings that are finished in `out` are not repeated.

    Args:
        plan: what is compared.
        out: folder for the runs and ablations.json.
        seeds: how many.
        jobs: trainings at a time.
        variants: the first is the base.

    Raises:
        DataError: the data or the runs in `out` do not fit; see `training.train.train`.
    """
    tasks = [(variant, seed) for seed in range(seeds) for variant in variants]
    os.environ["TQDM_DISABLE"] = "1"  # for those the pool starts
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        waiting = [pool.submit(_measure, plan, variant, seed, out) for variant, seed in tasks]
        with tqdm(waiting, desc="trainings") as bar:  # closed before an error is told
            found = [one.result() for one in bar]
    results = {
        variant.name: [figures for (done, _), figures in zip(tasks, found, strict=True) if done is variant]
        for variant in variants
    }
    about = {**asdict(plan), "data": [path.name for path in plan.data], "results": results}
    (out / "ablations.json").write_text(json.dumps(about, indent=1) + "\n", "utf-8")
    return table(results, [path.name.split(".")[0] for path in plan.data])


def table(results: dict[str, list[list[dict[str, float]]]], names: Sequence[str]) -> str:
    """Return mean and standard deviation over the seeds, a line a variant; accuracies in percent.

    Args:
        results: variant -> seed -> data set -> figures.
        names: of the data sets.
    """
    (first, *_) = results.values()
    columns = [(part, figure) for part in range(len(names)) for figure in FIGURES if figure in first[0][part]]
    lines = [
        "| changed | " + " | ".join(f"{names[part]}: {FIGURES[figure]}" for part, figure in columns) + " |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for name, seeds in results.items():
        cells = [_cell([figures[part].get(figure, np.nan) for figures in seeds], figure) for part, figure in columns]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(values: Sequence[float], figure: str) -> str:
    mean, spread = np.mean(values), np.std(values, ddof=1) if len(values) > 1 else 0.0
    if figure.endswith("ece"):
        return f"{mean:.3f} ± {spread:.3f}"
    return f"{100 * mean:.1f} ± {100 * spread:.1f}"


@cache
def _load(data: tuple[Path, ...], share: float) -> list[Faces]:
    """Return the data less the training rows that are not learned from, and less the test nobody may look at."""
    chance = np.random.default_rng(0)
    parts = []
    for path in data:
        faces = Faces.load(path)
        learned = (faces.split == SPLITS["Training"]) & (chance.random(len(faces)) < share)
        kept = faces[learned | (faces.split == SPLITS["PublicTest"])]
        # Another share is other data: its runs must not pass for this one's.
        parts.append(replace(kept, source=f"{faces.source}, a share of {share:g}"))
    return parts


def _measure(plan: Plan, variant: Variant, seed: int, out: Path) -> list[dict[str, float]]:
    folder = out / variant.name.replace(" ", "-") / str(seed)
    torch.set_num_threads(1)
    parts = _load(plan.data, plan.share)
    learned = parts[:1] if variant.only_first else parts
    if variant.hard_votes:
        learned = [_hard(part) for part in learned]
    with redirect_stdout(io.StringIO()):  # many trainings at once would talk over each other
        network = train(together(learned), replace(plan.base, seed=seed, **variant.change), folder)
    answers = partial(predict, network)
    calibration = calibrated(answers, parts, plan.balance, COSTS)
    return [public_figures(answers, calibration, part) for part in parts]


def _hard(faces: Faces) -> Faces:
    """Give every row's votes to its majority, where it has one."""
    winners = truth(faces)
    votes = faces.votes.copy()
    rows = np.flatnonzero(winners >= 0)
    votes[rows, : len(FER_PLUS)] = 10 * np.eye(len(FER_PLUS), dtype=np.uint8)[winners[rows]]
    return replace(faces, votes=votes)
