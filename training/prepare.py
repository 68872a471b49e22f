"""Published files -> aligned crops, with the very recipe that reads users' photos."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from inference import crops
from inference.faces import FaceFinder
from training.data import DataError, Faces, RawPictures, read_fer2013, read_folders

# A 48-pixel face is too small for the detector and touches the frame: it is enlarged for finding, never for cropping.
FINDING_SIDE = 240

_finder: FaceFinder | None = None


def prepare(source: Path, votes: Path | None, out: Path, workers: int | None = None) -> Faces:
    """Find, align and store every face of `source`, a FER2013 csv or a folder per class.

    Args:
        source: fer2013.csv(.gz), icml_face_data.csv, or a folder.
        votes: fer2013new.csv, or None to learn from the original labels alone.
        out: the .npz to write.
        workers: processes; by default one a core.

    Raises:
        DataError: the files are not what they should be.
    """
    if source.is_dir() and votes:
        raise DataError(f"--votes {votes}: votes go with a FER2013 csv, not with a folder")
    raw: RawPictures = read_folders(source) if source.is_dir() else read_fer2013(source, votes)
    with suppress(DataError):  # none yet, or damaged
        if (stored := Faces.load(out)).source == raw.source:
            tqdm.write(f"{out} was made from these very files and is kept; delete it to align them again")
            return stored
    # Spawned, not forked: PyTorch and MediaPipe have threads, and a fork of those may hang.
    with ProcessPoolExecutor(workers or os.cpu_count(), multiprocessing.get_context("spawn")) as pool:
        cropped = list(
            tqdm(pool.map(_crop, raw.pictures, chunksize=64), total=len(raw.pictures), desc="aligning", unit="face")
        )
    faces = Faces(
        crops=np.stack([picture for picture, _ in cropped]),
        votes=raw.votes,
        labels=raw.labels,
        split=raw.split,
        found=np.array([found for _, found in cropped], np.bool_),
        twin=raw.twin,
        source=raw.source,
    )
    faces.save(out)
    return faces


def _crop(picture: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], bool]:
    """Return the aligned crop of a picture of one face, and whether the face was found."""
    global _finder
    if _finder is None:
        cv2.setNumThreads(1)
        _finder = FaceFinder()
    rows, columns = picture.shape[:2]
    enlarge = max(1.0, FINDING_SIDE / max(rows, columns))
    large = cv2.resize(picture, None, fx=enlarge, fy=enlarge, interpolation=cv2.INTER_CUBIC)
    colour = cv2.cvtColor(large, cv2.COLOR_GRAY2RGB) if large.ndim == 2 else large
    found = _finder.find(np.asarray(colour, np.uint8))
    if found:
        face = max(found, key=lambda one: float(np.prod(one.box[2:] - one.box[:2])))
        # Pixel centres: x = (x_large + 0.5) / enlarge - 0.5.
        return crops.crop(picture, (face.anchors + 0.5) / enlarge - 0.5), True
    # Not found: the picture is a face all the same, so it is taken whole.
    return crops.crop(picture, (crops.ANCHORS * (columns, rows)).astype(np.float32)), False
