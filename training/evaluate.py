"""Labelled pictures -> how often the whole pipeline is right, with plots to look at."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from tqdm import tqdm

from inference import EXPRESSIONS, FaceReader, FaceReading, PhotoError, Reading
from inference.emoji_map import main_face
from training.files import Place
from training.labels import Labelled
from training.metrics import BINS, balanced_accuracy, calibration_error

mpl.use("Agg")
from matplotlib import pyplot as plt

NO_FACE, UNREADABLE = "no face", "unreadable"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the pipeline said of one picture; `face` is None when it found none or could not read the file."""

    picture: Labelled
    face: FaceReading | None
    faces: int
    error: str | None
    milliseconds: float

    @property
    def answer(self) -> str:
        """The expression, or why there is none."""
        return self.face.expression if self.face else UNREADABLE if self.error else NO_FACE


def evaluate(reader: FaceReader, pictures: list[Labelled]) -> list[Outcome]:
    """Run the full pipeline on every picture; of several faces the one that answers for the picture counts."""
    outcomes = []
    for picture in tqdm(pictures, desc="reading", unit="photo"):
        started = time.perf_counter()
        reading, error = read(reader, picture.path)
        milliseconds = 1000 * (time.perf_counter() - started)
        face = main_face(reading.faces)
        outcomes.append(Outcome(picture, face, len(reading.faces), error, milliseconds))
    return outcomes


def read(reader: FaceReader, path: Place) -> tuple[Reading, str | None]:
    """Read one picture; where that fails, return no faces and the error's code."""
    nothing = Reading(0, 0, (), None)
    try:
        return reader.read(path.read_bytes()), None
    except PhotoError as error:
        return nothing, error.code
    except OSError:
        return nothing, "file_not_found"


def metrics(outcomes: list[Outcome]) -> dict[str, Any]:
    """Return the figures of metrics.json, shares from 0 to 1.

    A missed face and an unreadable file count as wrong. `no_face_rate` is a share of the pictures that could be read.
    """
    truth = np.array([EXPRESSIONS.index(outcome.picture.label) for outcome in outcomes])
    columns = [*EXPRESSIONS, NO_FACE, UNREADABLE]
    answers = np.array([columns.index(outcome.answer) for outcome in outcomes])
    right = answers == truth
    found = answers < len(EXPRESSIONS)
    unreadable = answers == columns.index(UNREADABLE)
    confidence = np.array([outcome.face.confidence if outcome.face else 0.0 for outcome in outcomes])
    confusion = np.zeros((len(EXPRESSIONS), len(columns)), int)
    np.add.at(confusion, (truth, answers), 1)
    return {
        "n": len(outcomes),
        "no_face_rate": float((answers == columns.index(NO_FACE)).sum() / max(1, (~unreadable).sum())),
        "unreadable": int(unreadable.sum()),
        "accuracy": float(right.mean()),
        "balanced_accuracy": balanced_accuracy(truth, answers),
        "per_class_recall": {
            EXPRESSIONS[label]: float(right[truth == label].mean()) for label in np.unique(truth).tolist()
        },
        "ece": calibration_error(confidence[found], right[found]) if found.any() else None,
        "confusion": {
            "rows": list(EXPRESSIONS),
            "columns": columns,
            "counts": confusion.tolist(),
        },
        "median_ms": float(np.median([outcome.milliseconds for outcome in outcomes])),
    }


def write(outcomes: list[Outcome], figures: dict[str, Any], out: Path | None, predictions: Path | None) -> None:
    """Write metrics.json, confusion.png and reliability.png into `out`, and a JSON line a picture to `predictions`."""
    if out:
        out.mkdir(parents=True, exist_ok=True)
        (out / "metrics.json").write_text(json.dumps(figures, indent=2) + "\n", "utf-8")
        _plot_confusion(figures, out / "confusion.png")
        _plot_reliability(outcomes, figures, out / "reliability.png")
    if predictions:
        predictions.parent.mkdir(parents=True, exist_ok=True)
        with predictions.open("w", encoding="utf-8") as file:
            for outcome in outcomes:
                line: dict[str, Any] = {"file": outcome.picture.file, "label": outcome.picture.label}
                if outcome.face:
                    face = outcome.face.to_json()
                    line |= {name: face[name] for name in ("expression", "confidence", "scores", "box", "emoji")}
                else:
                    line |= {"expression": None, "error": outcome.error}
                file.write(json.dumps({**line, "faces": outcome.faces}, ensure_ascii=False) + "\n")


def _plot_confusion(figures: dict[str, Any], path: Path) -> None:
    counts = np.array(figures["confusion"]["counts"])
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure, axes = plt.subplots(figsize=(7, 6), layout="constrained")
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(counts.shape[1]), figures["confusion"]["columns"], rotation=35, ha="right")
    rows = zip(figures["confusion"]["rows"], counts.sum(axis=1), strict=True)
    axes.set_yticks(range(counts.shape[0]), [f"{name} ({count})" for name, count in rows])
    for (row, column), count in np.ndenumerate(counts):
        if count:
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(
                column, row, f"{shares[row, column]:.0%}\n{count}", ha="center", va="center", size=8, color=colour
            )
    axes.set(xlabel="answer", ylabel="label", title=f"{figures['n']} pictures, accuracy {figures['accuracy']:.1%}")
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _plot_reliability(outcomes: list[Outcome], figures: dict[str, Any], path: Path) -> None:
    found = [
        (outcome.face.confidence, outcome.face.expression == outcome.picture.label)
        for outcome in outcomes
        if outcome.face
    ]
    figure, axes = plt.subplots(figsize=(5, 5), layout="constrained")
    axes.plot([0, 1], [0, 1], linestyle="--", color="grey")
    if found:
        confidence, right = (np.array(column, float) for column in zip(*found, strict=True))
        bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
        used = np.unique(bins)
        size = [20 + 400 * float((bins == index).mean()) for index in used]
        axes.scatter(
            [confidence[bins == index].mean() for index in used],
            [right[bins == index].mean() for index in used],
            s=size,
            clip_on=False,
        )
    error = figures["ece"]
    axes.set(xlabel="confidence", ylabel="share right", xlim=(0, 1), ylim=(0, 1))
    title = "no faces found" if error is None else f"expected calibration error {error:.3f}"
    axes.set_title(f"{title}\ndots: ours, area by share of the pictures; line: a perfect judge of itself", size=9)
    figure.savefig(path, dpi=120)
    plt.close(figure)
