"""FaceReader: the whole pipeline, from a photo's bytes to its emoji."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from inference import checkpoint as checkpoints
from inference.crops import crop, roll, shape
from inference.cues import read_cues
from inference.emoji_map import EmojiMap, load_emoji_map, main_face
from inference.errors import CheckpointError
from inference.expression import ON_PROCESSOR, ExpressionReader
from inference.lean import without
from inference.mask import jpeg, mask
from inference.photo import Photo, decode
from inference.reading import EXPRESSIONS, Box, FaceReading, Masked, PhotoLimits, Reading, UnreadFace
from inference.witnesses import weigh

# Of MediaPipe's own tools for drawing and for its tasks nothing is used: 26 MB, and a second to start.
with without("matplotlib", "matplotlib.pyplot", "mediapipe.tasks", "mediapipe.tasks.python"):
    from inference.faces import FaceFinder, FoundFace


class FaceReader:
    """Reads photos. One reader per thread: a MediaPipe graph must not be shared. Made by `load_reader`."""

    def __init__(
        self,
        finder: FaceFinder,
        expressions: ExpressionReader,
        emoji_map: EmojiMap,
        limits: PhotoLimits,
        model: str,
        *,
        two_witnesses: bool = True,
    ) -> None:
        self._finder = finder
        self._expressions = expressions
        self._emoji_map = emoji_map
        self._limits = limits
        self._model = model
        self._two_witnesses = two_witnesses

    @property
    def model(self) -> str:
        """The weights' version: the first 8 hexadecimal digits of the SHA-256 of their file."""
        return self._model

    @property
    def emoji_map(self) -> EmojiMap:
        """The map that chooses."""
        return self._emoji_map

    def read(self, data: bytes, *, main_only: bool = False, before: Sequence[Box] = ()) -> Reading:
        """Read every face in an encoded picture, except small background faces (see `inference.faces.PASSER_BY`).

        Args:
            data: JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF or HEIC bytes.
            main_only: only `Reading.emoji` is needed, so small faces beside a large one may be left out. A photo of 640
                pixels then takes about 0.6 of the time, a larger one less. No effect if the map counts faces.
            before: the boxes of the faces in the last picture of the same video. While each is still near its place, no
                others are looked for: a photo of 640 pixels then takes about half the time, a larger one less.

        Raises:
            PhotoError: unreadable_image, unsupported_format or image_too_large; the message is fit to show.
        """
        return self.read_photo(decode(data, self._limits), main_only=main_only, before=before)

    def read_photo(
        self, photo: Photo, *, main_only: bool = False, passers_by: bool = False, before: Sequence[Box] = ()
    ) -> Reading:
        """Read every face in a decoded picture; see `read`.

        Args:
            photo: from `inference.photo.decode`.
            main_only: as in `read`.
            passers_by: look for small background faces, too; needed when faces are to be covered.
            before: as in `read`.
        """
        main_only = main_only and not self._emoji_map.counts_faces
        places = [np.array((box.left, box.top, box.right, box.bottom), np.float32) / photo.scale for box in before]
        return self._reading(
            photo, self._finder.find(photo.pixels, main_only=main_only, passers_by=passers_by, before=places)
        )

    def read_everyone(self, photo: Photo) -> Reading:
        """Read every face in a decoded picture, and tell in `Reading.unread` where else there may be one."""
        found, doubtful = self._finder.find_everyone(photo.pixels)
        unread = tuple(UnreadFace(_box(photo, face), roll(face.anchors)) for face in doubtful)
        return replace(self._reading(photo, found), unread=unread)

    def mask(self, data: bytes, *, everyone: bool = False, emoji_map: EmojiMap | None = None) -> Masked:
        """Cover every face in an encoded picture with its emoji, however small.

        Args:
            data: as in `read`.
            everyone: cover what may be a face, too; see `read_everyone`.
            emoji_map: chooses the emoji; None for the reader's own map.

        Raises:
            PhotoError: as in `read`.
        """
        photo = decode(data, self._limits)
        reading = self.read_everyone(photo) if everyone else self.read_photo(photo, passers_by=True)
        if emoji_map:
            reading = emoji_map.apply(reading)
        return Masked(jpeg(mask(photo, reading)), reading)

    def _reading(self, photo: Photo, found: tuple[FoundFace, ...]) -> Reading:
        if not found:
            return Reading(photo.width, photo.height, (), None)
        crops = np.stack([crop(photo.pixels, face.anchors) for face in found])
        shapes = np.stack([shape(face.landmarks, face.anchors) for face in found])
        read = self._expressions.read(crops, shapes)
        faces = tuple(
            self.read_face(photo, face, aligned, row, float(covered), len(found))
            for face, aligned, row, covered in zip(found, crops, read.scores, read.covered, strict=True)
        )
        main = main_face(faces, self._emoji_map.group)
        return Reading(photo.width, photo.height, faces, main.emoji if main else None)

    def read_face(
        self,
        photo: Photo,
        found: FoundFace,
        aligned: NDArray[np.uint8],
        row: NDArray[np.float32],
        covered: float,
        faces: int,
    ) -> FaceReading:
        """Return what the network said of a face together with its cues and its emoji.

        Args:
            photo: the decoded picture.
            found: the face in its pixels.
            aligned: the face's crop.
            row: its probabilities, (7,), in the order of EXPRESSIONS.
            covered: the log-odds that something hides the mouth; -inf with weights that cannot tell.
            faces: how many there are in the photo.
        """
        # Without a mesh (veils, strong profiles) there is nothing to tell cues from.
        cues = {} if found.landmarks is None else read_cues(found.landmarks, photo.pixels, aligned, covered)
        scores = dict(zip(EXPRESSIONS, row.tolist(), strict=True))
        if self._two_witnesses:
            scores = weigh(scores, cues)
        best = max(scores, key=lambda name: scores[name])
        choice = self._emoji_map.choose(scores, cues, faces)
        return FaceReading(
            box=_box(photo, found),
            expression=best,
            confidence=scores[best],
            scores=scores,
            cues=cues,
            emoji=choice.emoji,
            rule=choice.rule,
            roll=roll(found.anchors),
        )

    def close(self) -> None:
        """Free the face finder; the reader is of no use afterwards."""
        self._finder.close()


def _box(photo: Photo, found: FoundFace) -> Box:
    """Return where a face is in the full-size photo."""
    left, top, right, bottom = (round(float(value) * photo.scale) for value in found.box)
    return Box(left, top, min(right, photo.width), min(bottom, photo.height))


def preload() -> None:
    """Load the released weights, and start no thread: whatever is forked from this process shares them.

    Raises:
        CheckpointError: as `load_reader`.
    """
    _expressions(checkpoints.RELEASED, ON_PROCESSOR, 1)


@cache
def _expressions(weights: Path, device: str, threads: int) -> tuple[ExpressionReader, str]:
    """Return the network, which all readers share, for nobody writes to it; and the version of its weights."""
    loaded = checkpoints.load(weights)
    try:
        reader = ExpressionReader(loaded, device, threads)
    except CheckpointError as error:
        raise CheckpointError(f"{weights.name}: {error.message}") from error
    return reader, hashlib.sha256(weights.read_bytes()).hexdigest()[:8]


def load_reader(
    checkpoint: Path | None = None,
    emoji_map: Path | None = None,
    limits: PhotoLimits | None = None,
    threads: int = 1,
    *,
    device: str = ON_PROCESSOR,
    two_witnesses: bool = True,
) -> FaceReader:
    """Build a reader; takes a third of a second, and the imports before it as long.

    Args:
        checkpoint: weights; None for the released ones.
        emoji_map: the YAML; None for the repository's own.
        limits: what is too large; None for the defaults.
        threads: cores that one photo may use in this process. One is best where several readers work side by side.
        device: where the network works, see `inference.expression`; everything else works on the CPU.
        two_witnesses: the cues have a say in the expression, see `inference.witnesses`; False: the network's alone.

    Raises:
        CheckpointError: the weights are missing, damaged or of another kind.
        DeviceError: the network cannot work on this device.
        EmojiMapError: the YAML is wrong; the message names the line.
    """
    cv2.setNumThreads(threads)
    expressions, model = _expressions(checkpoint or checkpoints.RELEASED, device, threads)
    return FaceReader(
        FaceFinder(),
        expressions,
        load_emoji_map(emoji_map),
        limits or PhotoLimits(),
        model,
        two_witnesses=two_witnesses,
    )
