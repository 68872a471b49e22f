"""Labelled pictures of people: a csv beside a folder of files."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from inference.reading import EXPRESSIONS
from training.files import DataError, Place, in_threads, open_bytes

# What other collections call the same seven.
_SYNONYMS = {
    "anger": "angry",
    "disgusted": "disgust",
    "afraid": "fear",
    "fearful": "fear",
    "happiness": "happy",
    "smile": "happy",
    "smiling": "happy",
    "joy": "happy",
    "sadness": "sad",
    "surprised": "surprise",
}


@dataclass(frozen=True, slots=True)
class Labelled:
    """One line of labels.csv.

    Attributes:
        path: where the picture lies.
        file: its name in the csv.
        label: one of `EXPRESSIONS`.
        person: who is in it; the file's name where the csv does not say.
    """

    path: Place
    file: str
    label: str
    person: str

    @property
    def split(self) -> str:
        """One of Training (6 people in 10), PublicTest (1) and PrivateTest (3), by the SHA-256 of the person's name."""
        return (*["Training"] * 6, "PublicTest", *["PrivateTest"] * 3)[
            hashlib.sha256(self.person.encode()).digest()[0] % 10
        ]


def read_labels(path: Place, allowed: Collection[str] | None = EXPRESSIONS) -> list[Labelled]:
    """Read a csv with the columns file, label and perhaps person.

    Paths are relative to it, or to a folder ``images`` beside it.

    Args:
        path: the csv.
        allowed: what a label may be; None for anything.

    Raises:
        DataError: no such file, a column is missing, or a label is not allowed; the message names the line.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    try:
        listed = _listed(path, allowed)
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: no csv in UTF-8 with the columns file and label") from error
    if not listed:
        raise DataError(f"{path}: no pictures listed")
    places = in_threads(lambda line: _find(path.parent, line[0]), listed)
    return [Labelled(place, *line) for place, line in zip(places, listed, strict=True)]


def _listed(path: Place, allowed: Collection[str] | None) -> list[tuple[str, str, str]]:
    """Return file, label and person of every line."""
    listed = []
    with io.TextIOWrapper(open_bytes(path), newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file, skipinitialspace=True)
        missing = {"file", "label"} - set(reader.fieldnames or ())
        if missing:
            raise DataError(f"{path}: the header lacks {' and '.join(sorted(missing))}")
        for row in reader:
            name = (row["label"] or "").strip().lower()
            label = _SYNONYMS.get(name, name)
            if allowed is not None and label not in allowed:
                raise DataError(f"{path}, line {reader.line_num}: label {name!r}; allowed: {', '.join(allowed)}")
            file_name = row["file"] or ""
            if not file_name or "\0" in file_name:
                raise DataError(f"{path}, line {reader.line_num}: names no file")
            listed.append((file_name, label, (row.get("person") or "").strip() or file_name))
    return listed


def _find(folder: Place, name: str) -> Place:
    beside, within = folder / name, folder / "images" / name
    return within if not beside.is_file() and within.is_file() else beside


def set_names(paths: Sequence[Place]) -> list[str]:
    """Return a name for each csv: its folder's, or its own where two lie in one folder."""
    folders = [(path.resolve() if isinstance(path, Path) else path).parent.name for path in paths]
    return [
        folder if folders.count(folder) == 1 else f"{folder}/{path.name.removesuffix('.csv')}"
        for folder, path in zip(folders, paths, strict=True)
    ]
