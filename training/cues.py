"""Labelled pictures -> how often each cue fires on each label, and how right winks and closed eyes are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tqdm import tqdm

from inference import FaceReader, main_face
from inference.reading import CUES
from training.evaluate import read
from training.labels import Labelled

# Which cues a label asks for, any one of them; all other pictures count against those cues.
ASKED = {"wink": ("wink_left", "wink_right"), "eyes_closed": ("eyes_closed",)}


@dataclass(frozen=True, slots=True)
class Seen:
    """One picture and the cues of the face that answers for it.

    `cues` is None where no face was found, or the file could not be read: then `error` says why.
    """

    picture: Labelled
    cues: tuple[str, ...] | None
    error: str | None = None


def look(reader: FaceReader, pictures: list[Labelled]) -> list[Seen]:
    """Run the full pipeline on every picture."""
    seen = []
    for picture in tqdm(pictures, desc="reading", unit="photo"):
        reading, error = read(reader, picture.path)
        face = main_face(reading.faces)
        seen.append(Seen(picture, tuple(face.cues) if face else None, error))
    return seen


def report(seen: list[Seen]) -> Iterator[str]:
    """Yield the lines to print: of each label the share of its pictures that each cue fires on, then `ASKED`.

    Files that could not be read say nothing of the cues and are left out.
    """
    seen = [one for one in seen if not one.error]
    for label in sorted({one.picture.label for one in seen}):
        cues = [one.cues for one in seen if one.picture.label == label]
        missed = cues.count(None)
        yield f"{label}: {len(cues)} pictures" + (f", {missed} without a face" if missed else "")
        for cue in CUES:
            if fired := sum(cue in (found or ()) for found in cues):
                yield f"  {cue:<16} {fired / len(cues):6.1%}  {fired}"
    for label, asked in ASKED.items():
        if any(one.picture.label == label for one in seen):
            yield from _rightness(seen, label, asked)


def _rightness(seen: list[Seen], label: str, asked: tuple[str, ...]) -> Iterator[str]:
    fired = [one.picture for one in seen if set(asked) & set(one.cues or ())]
    truth = [one.picture for one in seen if one.picture.label == label]
    right = [picture for picture in fired if picture.label == label]
    precision = f"{len(right) / len(fired):.1%} of {len(fired)}" if fired else "none fired"
    yield f"{label}: precision {precision}, recall {len(right) / len(truth):.1%} of {len(truth)}"
    for name, pictures, others in (("missed", truth, right), ("wrong", fired, right)):
        if files := sorted(picture.file for picture in pictures if picture not in others):
            yield f"  {name}: {', '.join(files)}"
