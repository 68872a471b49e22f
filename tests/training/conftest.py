"""Small data of the published form, made from one real, public-domain face."""

import csv
import gzip
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from inference.faces import FaceFinder
from inference.photo import decode
from training.config import Config
from training.corruptions import Scene
from training.data import SPLITS, VOTE_COLUMNS, Faces
from training.prepare import prepare
from training.robustness import find_scene

Picture = NDArray[np.uint8]
HAPPY, NEUTRAL = 3, 6
# A recipe of seconds.
TINY = Config(epochs=2, batch=16, rate=0.1, growth=0, widths=(8, 8, 16, 16), blocks=(1, 1, 1, 1), shape=8, average=0.8)


def smile(pictures: Path) -> Picture:
    """The portrait's face, 48 x 48 and grey."""
    grey = cv2.imread(str(pictures / "astronaut.jpg"), cv2.IMREAD_GRAYSCALE)
    assert grey is not None
    return np.asarray(cv2.resize(grey[62:182, 166:286], (48, 48), interpolation=cv2.INTER_AREA), np.uint8)


def without_smile(face: Picture) -> Picture:
    """The same face with its mouth painted over: another class to tell apart."""
    changed = face.copy()
    changed[32:42, 10:38] = np.median(face[26:32])
    return changed


class SmallData:
    """FER2013's csv and FER+'s votes, in step."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: list[tuple[int, Picture, str]] = []
        self.votes: list[list[int]] = []

    def add(self, picture: Picture, label: int, usage: str, votes: dict[str, int]) -> None:
        self.rows.append((label, picture, usage))
        self.votes.append([votes.get(name, 0) for name in VOTE_COLUMNS])

    def write(self) -> tuple[Path, Path]:
        faces, votes = self.folder / "fer2013.csv.gz", self.folder / "fer2013new.csv"
        with gzip.open(faces, "wt", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["emotion", "pixels", "Usage"])
            for label, picture, usage in self.rows:
                writer.writerow([label, " ".join(map(str, picture.ravel())), usage])
        with votes.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["Usage", "Image name", *VOTE_COLUMNS])
            for (_, _, usage), row in zip(self.rows, self.votes, strict=True):
                writer.writerow([usage, "", *row])
        return faces, votes


@pytest.fixture(scope="module")
def finder() -> Iterator[FaceFinder]:
    """Finds faces, one at a time."""
    finder = FaceFinder()
    yield finder
    finder.close()


@pytest.fixture(scope="module")
def scene(finder: FaceFinder, portrait: bytes) -> Scene:
    """The portrait and its landmarks."""
    found = find_scene(finder, decode(portrait).pixels)
    assert found is not None
    return found


@pytest.fixture(scope="session")
def small_data(tmp_path_factory: pytest.TempPathFactory, pictures: Path) -> Path:
    """A folder with 64 training and 2 x 16 test rows of two classes."""
    folder = tmp_path_factory.mktemp("small")
    data = SmallData(folder)
    chance = np.random.default_rng(0)
    face = smile(pictures)
    for usage in SPLITS:
        for number in range(64 if usage == "Training" else 16):
            happy = number % 2 == 0
            picture = face if happy else without_smile(face)
            changed = np.clip(picture * chance.uniform(0.6, 1.1) + chance.normal(0, 4, (48, 48)), 0, 255)
            votes = {"happiness": 9, "neutral": 1} if happy else {"neutral": 8, "sadness": 2}
            data.add(changed.astype(np.uint8), HAPPY if happy else NEUTRAL, usage, votes)
    data.write()
    return folder


@pytest.fixture(scope="session")
def faces(small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Faces:
    """The same, prepared."""
    out = tmp_path_factory.mktemp("prepared") / "faces.npz"
    return prepare(small_data / "fer2013.csv.gz", small_data / "fer2013new.csv", out, workers=1)
