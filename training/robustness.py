"""Spoilt photos -> how much worse the whole pipeline answers, as a table and one picture."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import zlib
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from inference import EXPRESSIONS, FaceReader, PhotoError, checkpoint, load_reader
from inference.emoji_map import main_face
from inference.faces import FaceFinder
from inference.photo import Photo, decode
from training import plots
from training.corruptions import CORRUPTIONS, STRENGTHS, Picture, Scene
from training.files import DataError
from training.labels import Labelled
from training.metrics import balanced_accuracy
from training.prepare import largest

# NASA's portrait of Eileen Collins, in the public domain: the one face that the picture shows.
PORTRAIT = Path(__file__).parents[1] / "tests" / "pictures" / "astronaut.jpg"
NO_FACE = -1
THUMBNAIL = 60

_reader: FaceReader | None = None
_finder: FaceFinder | None = None


@dataclass(frozen=True, slots=True)
class Cost:
    """What one corruption costs at one strength. Shares are 0 to 1.

    Attributes:
        corruption: its name.
        strength: one of `STRENGTHS`.
        amount: what that means; see `meaning`.
        meaning: of the amount.
        accuracy: share of right answers; a face that is not found counts as wrong.
        balanced_accuracy: the same, averaged over the labels.
        points_lost: percentage points of accuracy below the clean photos'.
        spread: standard error of that, by the same photos clean and spoilt (paired).
        balanced_points_lost: the same of balanced accuracy.
        same_answer: share of pictures that get the answer of their clean photo, right or wrong (invariance).
        no_face: share of pictures without a face that is found.
    """

    corruption: str
    strength: str
    amount: float
    meaning: str
    accuracy: float
    balanced_accuracy: float
    points_lost: float
    spread: float
    balanced_points_lost: float
    same_answer: float
    no_face: float


@dataclass(frozen=True, slots=True)
class Robustness:
    """The costs of all corruptions on one set of pictures.

    Attributes:
        name: of the set.
        pictures: how many were measured, clean and spoilt.
        left_out: those that cannot be measured: unreadable, or without a face in the clean photo.
        accuracy: of the clean photos, 0 to 1.
        balanced_accuracy: likewise.
        strengths: those measured, of `STRENGTHS`.
        costs: a row for each corruption and strength, in the order of `CORRUPTIONS`.
    """

    name: str
    pictures: int
    left_out: int
    accuracy: float
    balanced_accuracy: float
    strengths: tuple[str, ...]
    costs: tuple[Cost, ...]

    def points_lost(self) -> NDArray[np.float64]:
        """Return the points of accuracy lost, (corruptions, strengths)."""
        return np.array([cost.points_lost for cost in self.costs]).reshape(len(CORRUPTIONS), len(self.strengths))


def stratified(pictures: Sequence[Labelled], limit: int | None, seed: int = 0) -> list[Labelled]:
    """Return at most `limit` pictures, as many of each label as there are, in turns; by chance, but always the same."""
    ranked = sorted(pictures, key=lambda one: hashlib.sha256(f"{seed} {one.file}".encode()).digest())
    if limit is None or limit >= len(ranked):
        return ranked
    turns: dict[str, int] = {}
    order = []
    for picture in ranked:
        turns[picture.label] = turns.get(picture.label, 0) + 1
        order.append(turns[picture.label])
    chosen = sorted(range(len(ranked)), key=lambda index: (order[index], index))[:limit]
    return [ranked[index] for index in sorted(chosen)]


def measure(
    name: str,
    pictures: Sequence[Labelled],
    weights: Path = checkpoint.RELEASED,
    workers: int = 1,
    seed: int = 0,
    strengths: Sequence[str] = STRENGTHS,
) -> Robustness:
    """Read every picture clean and spoilt in all ways, as the bot would: its main face answers.

    Args:
        name: of the set.
        pictures: at least one.
        weights: the checkpoint.
        workers: processes, each with a reader of its own.
        seed: of what is left to chance: side, direction, grain, colour.
        strengths: how strong each is to be, of `STRENGTHS`.

    Raises:
        CheckpointError: the weights are missing, damaged or of another kind.
        DataError: none of the pictures can be measured.
    """
    load_reader(weights).close()  # better a sentence now than a broken process later
    ways = [(way, strength) for way in range(len(CORRUPTIONS)) for strength in map(STRENGTHS.index, strengths)]
    work = partial(_answers, ways=ways, seed=seed)
    # Spawned, not forked: MediaPipe has threads, and a fork of these may hang.
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _start, (weights,)) as pool:
        read = list(tqdm(pool.map(work, pictures), total=len(pictures), desc=name, unit="photo", smoothing=0.05))
    kept = [(EXPRESSIONS.index(one.label), found) for one, found in zip(pictures, read, strict=True) if found]
    if not kept:
        raise DataError(f"{name}: none of the {len(pictures)} pictures is readable and shows a face")
    truth = np.array([label for label, _ in kept], np.int64)
    clean, *spoilt = np.array([found for _, found in kept], np.int64).T
    return Robustness(
        name,
        pictures=len(kept),
        left_out=len(pictures) - len(kept),
        accuracy=float((clean == truth).mean()),
        balanced_accuracy=balanced_accuracy(truth, clean),
        strengths=tuple(strengths),
        costs=tuple(_cost(truth, clean, answers, *way) for way, answers in zip(ways, spoilt, strict=True)),
    )


def _cost(
    truth: NDArray[np.int64], clean: NDArray[np.int64], answers: NDArray[np.int64], way: int, strength: int
) -> Cost:
    accuracy, balanced = float((answers == truth).mean()), balanced_accuracy(truth, answers)
    lost = (clean == truth).astype(np.float64) - (answers == truth)
    return Cost(
        CORRUPTIONS[way].name,
        STRENGTHS[strength],
        CORRUPTIONS[way].amounts[strength],
        CORRUPTIONS[way].meaning,
        accuracy=accuracy,
        balanced_accuracy=balanced,
        points_lost=100 * float(lost.mean()),
        spread=100 * float(lost.std() / np.sqrt(len(lost))),
        balanced_points_lost=100 * (balanced_accuracy(truth, clean) - balanced),
        same_answer=float((answers == clean).mean()),
        no_face=float((answers == NO_FACE).mean()),
    )


def _start(weights: Path) -> None:
    global _reader, _finder
    _reader, _finder = load_reader(weights), FaceFinder()


def _answers(picture: Labelled, ways: Sequence[tuple[int, int]], seed: int) -> list[int] | None:
    """Return the answer to the clean photo, then to each way, corruption and strength; None when there is none.

    An answer is an index into `EXPRESSIONS`, or `NO_FACE`.
    """
    if _reader is None or _finder is None:
        raise RuntimeError("this process has no reader")
    try:
        pixels = decode(picture.path.read_bytes()).pixels
    except (PhotoError, OSError):
        return None
    clean = _answer(_reader, pixels)
    scene = find_scene(_finder, pixels)
    if clean == NO_FACE or scene is None:
        return None
    chance = seed + zlib.crc32(picture.file.encode())
    return [clean, *(_answer(_reader, CORRUPTIONS[way](scene, strength, chance)) for way, strength in ways)]


def _answer(reader: FaceReader, pixels: Picture) -> int:
    rows, columns = pixels.shape[:2]
    face = main_face(reader.read_photo(Photo(pixels, columns, rows), main_only=True).faces)
    return EXPRESSIONS.index(face.expression) if face else NO_FACE


def find_scene(finder: FaceFinder, pixels: Picture) -> Scene | None:
    """Return the photo with the landmarks of its largest face with a mesh, or None when none can be laid."""
    face = largest(face for face in finder.find(pixels, main_only=True) if face.landmarks is not None)
    if face is None or face.landmarks is None:
        return None
    return Scene(pixels, face.landmarks[:, :2].astype(np.float64))


def write(results: Sequence[Robustness], weights: Path, seed: int, out: Path) -> None:
    """Write robustness.json and robustness.png into `out`; the picture shows no face of a data set.

    Args:
        results: of one set or more, all of the same strengths.
        weights: the checkpoint that was measured.
        seed: that was measured with.
        out: the folder, made when it is missing.
    """
    out.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    found = {"weights": digest, "seed": seed, "sets": [asdict(result) for result in results]}
    (out / "robustness.json").write_text(json.dumps(_rounded(found), indent=2) + "\n", "utf-8")
    lost = [
        (f"{result.name}: {result.pictures} pictures,\n{result.accuracy:.1%} right when clean", result.points_lost())
        for result in results
    ]
    strengths = results[0].strengths
    drawn = plots.robustness([way.name for way in CORRUPTIONS], thumbnails(strengths), lost, strengths)
    (out / "robustness.png").write_bytes(plots.png(drawn, colours=256))


def _rounded(found: Any) -> Any:
    """Return the same with five decimals: more would be chance."""
    if isinstance(found, float):
        return round(found, 5)
    if isinstance(found, dict):
        return {name: _rounded(value) for name, value in found.items()}
    return [_rounded(value) for value in found] if isinstance(found, list | tuple) else found


def thumbnails(strengths: Sequence[str] = STRENGTHS, side: int = THUMBNAIL) -> Picture:
    """Return every corruption of the portrait, a row each and a column a strength, as one picture, uint8 RGB.

    Args:
        strengths: the columns, of `STRENGTHS`.
        side: of each thumbnail, in pixels.

    Raises:
        DataError: no face is found in the portrait.
    """
    columns = [STRENGTHS.index(strength) for strength in strengths]
    finder = FaceFinder()
    try:
        portrait = decode(PORTRAIT.read_bytes()).pixels
        scene = find_scene(finder, portrait)
    finally:
        finder.close()
    if scene is None:
        raise DataError(f"{PORTRAIT}: no face found; check out the file again")
    reach = 0.9 * scene.width
    middle = (scene.marks.min(axis=0) + scene.marks.max(axis=0)) / 2
    (left, top), (right, bottom) = np.rint([middle - reach, middle + reach]).astype(int).tolist()
    near = Scene(np.ascontiguousarray(portrait[top:bottom, left:right]), scene.marks - (left, top))
    return np.vstack(
        [np.hstack([_thumbnail(way(near, strength, 6), side) for strength in columns]) for way in CORRUPTIONS]
    )


def _thumbnail(pixels: Picture, side: int) -> Picture:
    scale = side / max(pixels.shape[:2])
    rows, columns = (max(1, round(length * scale)) for length in pixels.shape[:2])
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    page = np.full((side, side, 3), 255, np.uint8)
    top, left = (side - rows) // 2, (side - columns) // 2
    page[top : top + rows, left : left + columns] = cv2.resize(pixels, (columns, rows), interpolation=method)
    return page


def table(result: Robustness) -> str:
    """Return the costs for people: a line a corruption, in each column a number a strength; ± is a standard error."""
    kinds, width = len(result.strengths), max(20, 14 * len(result.strengths))
    lines = [
        f"{result.name}: {result.pictures} pictures ({result.left_out} left out), clean {result.accuracy:.1%} right, "
        f"{result.balanced_accuracy:.1%} balanced",
        f"{', '.join(result.strengths):20}{'points lost':>{width}}"
        + "".join(f"{title:>20}" for title in ("balanced", "same answer %", "no face %")),
    ]
    for first in range(0, len(result.costs), kinds):
        costs = result.costs[first : first + kinds]
        lost = " ".join(f"{round(cost.points_lost, 1) + 0:6.1f} ± {cost.spread:3.1f}" for cost in costs)
        columns = (
            [cost.balanced_points_lost for cost in costs],
            [100 * cost.same_answer for cost in costs],
            [100 * cost.no_face for cost in costs],
        )
        numbers = (" ".join(f"{round(value, 1) + 0:6.1f}" for value in column) for column in columns)
        lines.append(f"{costs[0].corruption:20}{lost:>{width}}" + "".join(f"{cell:>20}" for cell in numbers))
    return "\n".join(lines)
