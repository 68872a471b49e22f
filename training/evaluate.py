"""Labelled pictures -> how often the whole pipeline is right, with plots to look at."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from inference import EXPRESSIONS, FaceReader, FaceReading, PhotoError, Reading
from inference.emoji_map import main_face
from training import plots
from training.files import Place
from training.labels import Labelled
from training.metrics import balanced_accuracy, calibration_error

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
        title = f"{figures['n']} pictures, accuracy {figures['accuracy']:.1%}"
        matrix = plots.confusion(np.array(figures["confusion"]["counts"]), figures["confusion"]["columns"], title)
        (out / "confusion.png").write_bytes(plots.png(matrix))
        faces = [(outcome.face, outcome.picture.label) for outcome in outcomes if outcome.face]
        confidence = np.array([face.confidence for face, _ in faces])
        right = np.array([face.expression == label for face, label in faces], np.bool_)
        (out / "reliability.png").write_bytes(plots.png(plots.reliability(confidence, right, figures["ece"])))
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
