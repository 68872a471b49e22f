"""Published files -> aligned crops, with the very recipe that reads users' photos."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from inference import crops
from inference.faces import FaceFinder, FoundFace
from training.data import Faces, RawPictures, is_people, read_fer2013, read_folders, read_people
from training.files import DataError, Place

# A 48-pixel face is too small for the detector and touches the frame: it is enlarged for finding, never for cropping.
FINDING_SIDE = 240

_finder: FaceFinder | None = None


def prepare(
    source: Place, votes: Place | None, out: Place, workers: int | None = None, without: Sequence[str] = ()
) -> Faces:
    """Find, align and store every face of `source`, a FER2013 csv, a csv of people's pictures or a folder per class.

    Args:
        source: fer2013.csv(.gz), icml_face_data.csv, a csv with the columns file, label and person, or a folder.
        votes: fer2013new.csv, or None to learn from the original labels alone.
        out: the .npz to write.
        workers: processes; by default one a core.
        without: expressions to leave out of a csv of people's pictures, because their labels are poor.

    Raises:
        DataError: the files are not what they should be.
    """
    raw = _read(source, votes, without)
    with suppress(DataError):  # none yet, damaged, or by another recipe
        if (stored := Faces.load(out)).source == raw.source:
            tqdm.write(f"{out} was made from these very files and is kept; delete it to align them again")
            return stored
    # Spawned, not forked: PyTorch and MediaPipe have threads, and a fork of those may hang.
    with ProcessPoolExecutor(workers or os.cpu_count(), multiprocessing.get_context("spawn")) as pool:
        aligned = list(
            tqdm(pool.map(_align, raw.pictures, chunksize=64), total=len(raw.pictures), desc="aligning", unit="face")
        )
    faces = Faces(
        crops=np.stack([face.crop for face in aligned]),
        shapes=np.stack([face.shape for face in aligned]).astype(np.float16),
        votes=raw.votes,
        labels=raw.labels,
        split=raw.split,
        found=np.array([face.found for face in aligned], np.bool_),
        twin=raw.twin,
        source=raw.source,
    )
    faces.save(out)
    return faces


def largest(found: Iterable[FoundFace]) -> FoundFace | None:
    """Return the face whose box has the largest area, if there is any."""
    return max(found, key=lambda face: float(np.prod(face.box[2:] - face.box[:2])), default=None)


def _read(source: Place, votes: Place | None, without: Sequence[str]) -> RawPictures:
    folders = source.is_dir()
    people = not folders and is_people(source)
    if votes and (folders or people):
        raise DataError(f"--votes {votes}: votes go with a FER2013 csv alone")
    if without and not people:
        raise DataError("--without goes with a csv of people's pictures alone")
    if folders:
        return read_folders(source)
    return read_people(source, without) if people else read_fer2013(source, votes)


class _Aligned(NamedTuple):
    crop: NDArray[np.uint8]
    shape: NDArray[np.float32]
    found: bool


def _align(picture: NDArray[np.uint8]) -> _Aligned:
    """Return the aligned crop and the shape of the one face in a picture, and whether it was found."""
    global _finder
    if _finder is None:
        cv2.setNumThreads(1)
        _finder = FaceFinder()
    rows, columns = picture.shape[:2]
    enlarge = max(1.0, FINDING_SIDE / max(rows, columns))
    large = cv2.resize(picture, None, fx=enlarge, fy=enlarge, interpolation=cv2.INTER_CUBIC)
    colour = cv2.cvtColor(large, cv2.COLOR_GRAY2RGB) if large.ndim == 2 else large
    if face := largest(_finder.find(np.asarray(colour, np.uint8))):
        # Pixel centres: x = (x_large + 0.5) / enlarge - 0.5.
        crop = crops.crop(picture, (face.anchors + 0.5) / enlarge - 0.5)
        return _Aligned(crop, crops.shape(face.landmarks, face.anchors), True)
    # Not found: the picture is a face all the same, so it is taken whole.
    anchors = (crops.ANCHORS * (columns, rows)).astype(np.float32)
    return _Aligned(crops.crop(picture, anchors), crops.shape(None, anchors), False)
