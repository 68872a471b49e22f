"""The prepared data: aligned crops, the ten votes, the original labels and the split, in one compressed file."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from inference import PhotoError
from inference.crops import SPEC
from inference.photo import decode
from inference.reading import EXPRESSIONS
from training.files import DataError, Place, files, in_threads, open_bytes, write
from training.labels import read_labels

VOTE_COLUMNS = (
    "neutral",
    "happiness",
    "surprise",
    "sadness",
    "anger",
    "disgust",
    "fear",
    "contempt",
    "unknown",
    "NF",
)
"""FER+ (Barsoum et al. 2016): ten people's votes a picture; NF says that there is no face."""

FER_PLUS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral", "contempt")
"""The eight expressions people voted on, FER2013's seven first and in its order."""

_VOTE_OF = {
    "angry": "anger",
    "disgust": "disgust",
    "fear": "fear",
    "happy": "happiness",
    "sad": "sadness",
    "surprise": "surprise",
    "neutral": "neutral",
    "contempt": "contempt",
}
SPLITS = {"Training": 0, "PublicTest": 1, "PrivateTest": 2}
SIDE = 48
FINDER = 3
"""Raised whenever inference/faces.py, or what it uses, finds faces or lays meshes otherwise: all are found anew."""
RECIPE = json.dumps({"crop": SPEC, "finder": FINDER})
"""What prepared data record: weights say that they know today's crops, so they may learn from no others."""
_DAMAGED = (EOFError, OSError, zlib.error, UnicodeDecodeError, csv.Error)
"""What comes of reading what is no csv, or half of one."""
# FER+'s votes of this row look copied from row 6968.
MISVOTED_ROW = 5274


@dataclass(frozen=True, slots=True)
class Faces:
    """Prepared faces, all arrays of one length n.

    Attributes:
        crops: (n, CROP_SIDE, CROP_SIDE) uint8, made by `inference.crops`.
        shapes: (n, LANDMARKS, 3) float16 of `inference.crops.shape`; NaN where MediaPipe laid no mesh.
        votes: (n, 10) uint8 in the order of `FER_PLUS`, then unknown and no face; all zero where nobody voted.
        labels: (n,) int8 index into `EXPRESSIONS`, FER2013's own label; -1 where there is none.
        split: (n,) uint8 of `SPLITS`.
        found: (n,) bool, whether MediaPipe found the face; where not, the crop is the whole picture.
        twin: (n,) bool, whether the training split holds a pixel-identical picture (only ever true outside it).
        source: SHA-256 of the files it was made from, hexadecimal.
    """

    crops: NDArray[np.uint8]
    shapes: NDArray[np.float16]
    votes: NDArray[np.uint8]
    labels: NDArray[np.int8]
    split: NDArray[np.uint8]
    found: NDArray[np.bool_]
    twin: NDArray[np.bool_]
    source: str

    def __len__(self) -> int:
        return len(self.crops)

    def __getitem__(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> Faces:
        return replace(self, **{name: getattr(self, name)[rows] for name in ARRAYS})

    def __add__(self, other: Faces) -> Faces:
        source = hashlib.sha256(f"{self.source}{other.source}".encode()).hexdigest()
        both = {name: np.concatenate([getattr(self, name), getattr(other, name)]) for name in ARRAYS}
        return replace(self, source=source, **both)

    def fingerprint(self) -> str:
        """Return the SHA-256 of all arrays; `source` stays the same when the same files are prepared anew."""
        digest = hashlib.sha256()
        for name in ARRAYS:
            array = np.ascontiguousarray(getattr(self, name))
            digest.update(f"{name} {array.dtype} {array.shape} ".encode())
            digest.update(array.data)
        return digest.hexdigest()

    def save(self, path: Place) -> None:
        """Write one compressed .npz."""
        packed = io.BytesIO()
        facts = {"source": np.array(self.source), "recipe": np.array(RECIPE)}
        np.savez_compressed(packed, **facts, **{name: getattr(self, name) for name in ARRAYS})
        write(path, packed.getvalue())

    @classmethod
    def load(cls, path: Place) -> Faces:
        """Read what `save` wrote.

        Raises:
            DataError: there is no such file, it is not one of ours, or its faces were found or aligned otherwise.
        """
        if not path.is_file():
            raise DataError(f"{path}: no prepared data; run `python -m training prepare` first")
        try:
            with open_bytes(path) as file, np.load(file, allow_pickle=False) as stored:
                source, recipe = str(stored["source"]), str(stored.get("recipe"))  # earlier versions wrote no recipe
                if recipe != RECIPE:
                    raise DataError(
                        f"{path}: another version found and aligned its faces; run `python -m training prepare` again"
                    )
                return cls(**{name: stored[name] for name in ARRAYS}, source=source)
        except (ValueError, KeyError, TypeError, OSError, zipfile.BadZipFile, EOFError) as error:
            raise DataError(f"{path}: not prepared data, or damaged; run `python -m training prepare` again") from error


def together(parts: Sequence[Faces]) -> Faces:
    """Return the faces of all parts, one after the other."""
    first, *others = parts
    return sum(others, first)


ARRAYS = tuple(field.name for field in fields(Faces) if field.name != "source")


def training_rows(faces: Faces) -> NDArray[np.int64]:
    """Return the rows worth learning from: the training split less pictures that show no face by the votes."""
    rows = (faces.split == SPLITS["Training"]) & (faces.votes[:, 9] < 5)
    return np.flatnonzero(rows & ((faces.votes[:, :8].sum(axis=1) > 0) | (faces.labels >= 0)))


def targets(faces: Faces) -> NDArray[np.float32]:
    """Return what each row is learned as: shares over `FER_PLUS`, (n, 8) float32; all zero where nobody named one.

    A single vote among ten is taken for a slip and left out, as Barsoum et al. 2016 do. Where nobody voted at all, the
    label counts as everybody's vote.
    """
    votes = faces.votes.copy()
    unvoted = np.flatnonzero((votes.sum(axis=1) == 0) & (faces.labels >= 0))
    votes[unvoted, faces.labels[unvoted]] = 10
    counts = votes.astype(np.float32)
    counts[counts <= 1] = 0
    named = counts[:, :8]
    total = named.sum(axis=1, keepdims=True)
    return np.divide(named, total, out=np.zeros_like(named), where=total > 0)


def truth(faces: Faces) -> NDArray[np.int64]:
    """Return the answer each row is measured against: the `majority` of its votes, or its label where nobody voted."""
    unvoted = faces.votes.sum(axis=1) == 0
    return np.where(unvoted, faces.labels, majority(faces.votes))


def majority(votes: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the majority label over `FER_PLUS` by the protocol of Barsoum et al. 2016, -1 where there is none.

    Single votes are left out; the winner needs more than half of what remains, unknown and no face included.
    """
    counts = votes.astype(np.float32)
    counts[counts <= 1] = 0
    winner = counts.argmax(axis=1)
    wins = counts.max(axis=1) > 0.5 * counts.sum(axis=1)
    return np.where(wins & (winner < len(FER_PLUS)), winner, -1)


@dataclass(frozen=True, slots=True)
class RawPictures:
    """Pictures before cropping: what a reader of one of the accepted forms returns; fields as in `Faces`."""

    pictures: list[NDArray[np.uint8]]
    votes: NDArray[np.uint8]
    labels: NDArray[np.int8]
    split: NDArray[np.uint8]
    twin: NDArray[np.bool_]
    source: str


def read_fer2013(path: Place, votes_path: Place | None) -> RawPictures:
    """Read FER2013's csv, plain or gzipped, in its published or its Kaggle ``icml_face_data.csv`` form.

    Args:
        path: csv with the columns emotion, pixels and Usage, in any order.
        votes_path: FER+'s csv with the same rows in the same order, or None.

    Raises:
        DataError: a file is missing or not in that form; the message names the line.
    """
    labels: list[int] = []
    split: list[int] = []
    pictures: list[NDArray[np.uint8]] = []
    with _open_text(path) as file:
        for number, row in _rows(file, path, ("emotion", "pixels", "Usage")):
            try:
                pixels = np.array(row["pixels"].split(), np.int16)
                if pixels.min() < 0 or pixels.max() > 255:
                    raise ValueError("grey values go from 0 to 255")
                labels.append(int(row["emotion"]))
                split.append(SPLITS[row["Usage"]])
                pictures.append(pixels.astype(np.uint8).reshape(SIDE, SIDE))
            except (ValueError, KeyError, OverflowError) as error:
                raise DataError(
                    f"{path}, line {number}: expected emotion 0-6, {SIDE * SIDE} grey values and a Usage of "
                    f"{', '.join(SPLITS)}"
                ) from error
    if not pictures:
        raise DataError(f"{path}: no rows")
    if not all(0 <= label < len(EXPRESSIONS) for label in labels):
        raise DataError(f"{path}: emotion must be 0 to 6")
    votes = np.zeros((len(labels), len(VOTE_COLUMNS)), np.uint8)
    if votes_path:
        votes = _read_votes(votes_path, len(labels))
        if len(votes) > MISVOTED_ROW:
            votes[MISVOTED_ROW] = 0
    return RawPictures(
        pictures,
        votes,
        np.array(labels, np.int8),
        np.array(split, np.uint8),
        _twins(pictures, np.array(split)),
        _digest(path, *([votes_path] if votes_path else [])),
    )


def _read_votes(path: Place, expected: int) -> NDArray[np.uint8]:
    order = [*(_VOTE_OF[name] for name in FER_PLUS), "unknown", "NF"]
    with _open_text(path) as file:
        rows = []
        for number, row in _rows(file, path, VOTE_COLUMNS):
            try:
                counts = [int(row[name]) for name in order]
            except ValueError:
                counts = [-1]
            if not all(0 <= count <= 255 for count in counts):
                raise DataError(f"{path}, line {number}: votes must be whole numbers from 0 to 255")
            rows.append(counts)
    if len(rows) != expected:
        raise DataError(
            f"{path}: {len(rows)} rows of votes for {expected} pictures; the two files must match row by row"
        )
    return np.array(rows, np.uint8)


def is_people(path: Place) -> bool:
    """Whether a csv lists pictures of people rather than holding FER2013's pixels.

    Raises:
        DataError: it is no csv, or does not say who is in its pictures.
    """
    with _open_text(path) as file:
        try:
            header = {name.strip() for name in file.readline().split(",")}
        except _DAMAGED as error:
            raise DataError(f"{path}: no csv in UTF-8, damaged or cut short; get the file again") from error
    listed = {"file", "label"} <= header
    if listed and "person" not in header:
        raise DataError(f"{path}: the header lacks person; nobody may be in two splits")
    return listed


def read_people(path: Place, without: Sequence[str] = ()) -> RawPictures:
    """Read a csv with the columns file, label and person, as `training.labels.read_labels` does.

    A label counts as ten votes. Nobody is in two splits.

    Args:
        path: the csv.
        without: expressions whose pictures are left out, because their labels are poor.

    Raises:
        DataError: the csv is not of that form, or a picture cannot be read.
    """
    listed = [picture for picture in read_labels(path) if picture.label not in without]
    if not listed:
        raise DataError(f"{path}: no pictures are left without {', '.join(without)}")
    pictures = in_threads(lambda picture: read_picture(picture.path), listed)
    votes = np.zeros((len(listed), len(VOTE_COLUMNS)), np.uint8)
    votes[np.arange(len(listed)), [EXPRESSIONS.index(picture.label) for picture in listed]] = 10
    split = np.array([SPLITS[picture.split] for picture in listed], np.uint8)
    digest = hashlib.sha256(repr((path.read_bytes(), without)).encode())
    for pixels in pictures:
        digest.update(pixels.tobytes())
    unlabelled = np.full(len(listed), -1, np.int8)
    return RawPictures(pictures, votes, unlabelled, split, _twins(pictures, split.astype(np.int64)), digest.hexdigest())


def read_picture(path: Place) -> NDArray[np.uint8]:
    """Return a picture's upright RGB pixels.

    Raises:
        DataError: there is no such file, or it is no picture.
    """
    return _decode(path, _read(path))


def _read(path: Place) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read") from error


def _decode(path: Place, content: bytes) -> NDArray[np.uint8]:
    try:
        return decode(content).pixels
    except PhotoError as error:
        raise DataError(f"{path}: {error.message}") from error


def read_folders(path: Place) -> RawPictures:
    """Read a folder per class (``happy/*.jpg``), optionally under ``train``, ``validation`` and ``test``.

    Raises:
        DataError: no picture lies in a folder named after an expression.
    """
    splits = {"train": 0, "validation": 1, "test": 2}
    roots: dict[Place, int] = {path / name: number for name, number in splits.items() if (path / name).is_dir()}
    pictures, labels, split = [], [], []
    digest = hashlib.sha256()
    for root, number in (roots or {path: 0}).items():
        for label, name in enumerate(EXPRESSIONS):
            found = files(root, f"{name}/[!.]*.*")
            contents = in_threads(_read, found)
            for content in contents:
                digest.update(content)
            pictures += in_threads(lambda pair: _decode(*pair), zip(found, contents, strict=True))
            labels += [label] * len(found)
            split += [number] * len(found)
    if not pictures:
        raise DataError(f"{path}: no pictures in folders named {', '.join(EXPRESSIONS)}")
    return RawPictures(
        pictures,
        np.zeros((len(labels), len(VOTE_COLUMNS)), np.uint8),
        np.array(labels, np.int8),
        np.array(split, np.uint8),
        _twins(pictures, np.array(split)),
        digest.hexdigest(),
    )


def _twins(pictures: list[NDArray[np.uint8]], split: NDArray[np.int64]) -> NDArray[np.bool_]:
    prints = [hashlib.sha256(picture.tobytes()).digest() for picture in pictures]
    trained = {mark for mark, part in zip(prints, split, strict=True) if part == SPLITS["Training"]}
    return np.array(
        [part != SPLITS["Training"] and mark in trained for mark, part in zip(prints, split, strict=True)], np.bool_
    )


def _open_text(path: Place) -> TextIO:
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    file = open_bytes(path)
    if not file.peek(2).startswith(b"\x1f\x8b"):
        return io.TextIOWrapper(file, encoding="utf-8-sig")
    with file:
        zipped = io.BytesIO(file.read())
    return io.TextIOWrapper(gzip.open(zipped), encoding="utf-8-sig")


def _rows(file: TextIO, path: Place, columns: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (line number, row); Kaggle's header has blanks before its names."""
    reader = csv.DictReader(file, skipinitialspace=True)
    try:
        missing = set(columns) - {name.strip() for name in reader.fieldnames or ()}
        if missing:
            raise DataError(f"{path}: the header lacks {', '.join(sorted(missing))}")
        for row in reader:
            yield reader.line_num, {(name or "").strip(): value or "" for name, value in row.items() if name}
    except _DAMAGED as error:
        raise DataError(
            f"{path}, after line {reader.line_num}: no csv in UTF-8, damaged or cut short; get the file again"
        ) from error


def _digest(*paths: Place) -> str:
    digest = hashlib.sha256()
    for path in paths:
        with open_bytes(path) as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
