"""Finds every face of a photo and its landmarks.

MediaPipe's ready-made face mesh looks for faces in one 128-pixel view, so it misses people at the back and heads that
fill the frame. Here the same models run as bare graphs (`inference.mediapipe_graphs`) over views of our own choice
(`inference.views`): a first look finds candidates, a second, close one judges each, and the mesh is laid on what
remains. `FaceFinder._find` says in which order the passes come.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import cv2
import numpy as np

from inference import crops
from inference.mediapipe_graphs import DETECTOR_SCORE, FaceDetector, FaceMesh
from inference.quiet import quiet
from inference.views import (
    DETECTOR_SIDE,
    Pixels,
    Points,
    View,
    box_of,
    clipped,
    cut_square,
    levelled,
    mesh_distance,
    overlap,
    relative_size,
    smoothed,
    square_around,
    square_view,
    tile_views,
    turned_back,
    whole_view,
    without_dark_spots,
)

# --- What is one face, in every pass.
# Two boxes are one face when they share this much of the smaller one.
SAME_FACE = 0.5
SMALLEST_FACE = 20

# --- The whole photo, by the short-range detector.
# This view sees every face from this share of the photo's long side on (60 of 60 people pasted at random places; 59 at
# 18 %, 26 at 15 %): where it shows one, no larger face can be missing.
MAIN_SHARE = 0.2
# What it saw so plainly, and about as large as the second look would, needs no second: of 706 such faces the second
# doubts none, and the mesh is laid the same to 0.6 % of a face's width (median; training/LOG.md, entry 18).
PLAIN_SCORE = 0.85
PLAIN_SHARE = (0.2, 0.75)

# --- Tiles, by the full-range detector.
# Tiles of 30 % of the long side find faces down to 1.5 % of it; in tiles below 480 px they are too small to read.
TILE_SHARE = 0.3
TILE_MIN = 480
# Where several faces are, there are often smaller ones: smaller tiles follow.
CROWD = 3
CROWD_TILE_SHARE = 0.15
CROWD_TILE_MIN = 240
# Faces below this share of the largest one's size are passers-by, not looked for: beside a large face, fewer tiles do.
# Nor are those below 32 pixels, which can hardly be read.
PASSER_BY = 1 / 8
BESIDE_TILE_MIN = 640

# --- Faces that lie, on their side or their head.
# From this tilt on, degrees, a face counts as lying: the detector misses some that are turned so far.
LYING = 60
# What lies beside a face that stands, and is larger than this share of the photo, is a face by the second look or none:
# shirts and helmets pass the first one, on every sixth portrait, and large faces that lie hardly need the doubt.
LYING_DOUBT = 0.15

# --- The second look, at a candidate from near.
# Centred and close, it separates: small real faces score 0.89 and more in it, walls, wheels and clouds that passed the
# first at most 0.75 (measured on faces pasted at 40 to 90 px, and on scikit-image's sample pictures).
# A face as large as LARGE_SHARE of the photo is what the photo is about: half hidden or cut off it still counts.
SURE_SCORE = 0.76
LARGE_SCORE = 0.6
LARGE_SHARE = 0.25
# A face that scores less in it than upright ones do (96 of 100 do better) is looked at turned by quarters, too: on its
# side or its head it scores more so, and its mesh, which expects a chin below, is steadier (training/LOG.md, entry 14).
UPRIGHT_SCORE = 0.8
TURNED_GAIN = 0.1
# Deviation of the smoothing that a mesh is tried by, as a share of the face's view.
STEADY_SMOOTH = 0.012

# --- The mesh.
MESH_SIDE = 256
# MediaPipe's own recipe: the region is 1.5 times the detected box, and so three quarters of `square_around` it.
MESH_REGION = 0.75
# Without the mesh's confirmation only a very sure detection stands (veils, masks, strong profiles).
SCORE_WITHOUT_MESH = 0.85

# --- The second try, in eight views, for one face that fills a photo in which none was found.
# Dark lenses, noise, blur and night hide it. The detector sees such a face best small and smooth, but takes many a
# smooth blob for one; the mesh lies alike in two views on a face, and seldom on a blob (training/LOG.md, entries 13 and
# 19).
AGAIN_SHARE = 0.5
AGAIN_SIDE = 256
AGAIN_PADDING = 0.4
AGAIN_MORE_PADDING = 0.6
# Distance of the landmarks in two views, in face widths: of four views of more than one kind, and of four smoother
# ones, which are so alike themselves that they have to agree better.
AGAIN_ALIKE = 0.12
AGAIN_SAME = 0.02
# Deviations of the smoothing and diameter of the dark spots filled, as shares of the photo's long side.
AGAIN_SMOOTH = (0.012, 0.018, 0.024, 0.03)
AGAIN_SPOT = 0.1

# --- What may be a face, in `FaceFinder.find_everyone`.
# Who wants every face covered would rather cover a wheel than miss a face: for that, all that passes the first look at
# DETECTOR_SCORE counts, however small, and whatever the second look and the mesh say. A larger box around a face is no
# face of its own unless it is beyond this many times as large.
SAME_SIZE = 2


@dataclass(frozen=True, slots=True)
class FoundFace:
    """A face in the pixels of the array it was found in.

    Attributes:
        box: left, top, right, bottom in pixels, clipped to the array; float32 of shape (4,).
        anchors: centres of the eye on the left, the eye on the right and the mouth, (x, y) in pixels; float32 (3, 2).
        landmarks: the 478-point mesh, (x, y, z) in pixels with z relative to the head's centre, float32 (478, 3);
            None when only the detector saw the face.
        score: the detector's score, 0 to 1.
    """

    box: Points
    anchors: Points
    landmarks: Points | None
    score: float


@dataclass(frozen=True, slots=True)
class Candidate:
    """What a detector takes for a face.

    Attributes:
        box: left, top, right, bottom in photo pixels, squarish, not clipped; float32 (4,).
        anchors: as a `FoundFace`'s.
        score: DETECTOR_SCORE to 1.
        is_plain: it needs no second look; see PLAIN_SCORE.
    """

    box: Points
    anchors: Points
    score: float
    is_plain: bool = False


_Box = TypeVar("_Box", Candidate, FoundFace)
_NO_ANCHORS = np.zeros((3, 2), np.float32)
"""Of a candidate that is only a place: `_confirm` takes those of its own look."""


class FaceFinder:
    """Finds faces and landmarks. One finder per thread: a MediaPipe graph must not be shared."""

    def __init__(self) -> None:
        with quiet():
            self._start()

    def _start(self) -> None:
        """Build the graphs and run each once: the first run takes longer, and says what nobody needs to read."""
        self._short_range = FaceDetector("ShortRange")
        self._full_range = FaceDetector("FullRange")
        self.mesh = FaceMesh()
        blank = np.full((DETECTOR_SIDE, DETECTOR_SIDE, 3), 128, np.uint8)
        for detector in self.detectors:
            self._detect(detector, square_view(blank, 0, 0, DETECTOR_SIDE))
        anywhere = np.array(((72, 80), (120, 80), (96, 120)), np.float32)
        self.lay_mesh(blank, Candidate(np.array((48, 48, 144, 144), np.float32), anywhere, 1.0))

    @property
    def detectors(self) -> tuple[FaceDetector, ...]:
        """The short-range one and the full-range one."""
        return self._short_range, self._full_range

    def close(self) -> None:
        """Stop the graphs; the finder is of no use afterwards."""
        for detector in self.detectors:
            detector.close()
        self.mesh.close()

    def find(
        self,
        pixels: Pixels,
        *,
        main_only: bool = False,
        passers_by: bool = False,
        before: Sequence[Points] = (),
    ) -> tuple[FoundFace, ...]:
        """Return every face, left to right.

        Args:
            pixels: (rows, columns, 3) uint8 RGB, upright.
            main_only: only the face that the photo is about is asked for. Where it is large, small ones may be left
                out; that takes half the time.
            passers_by: look even for those that are tiny beside a large face; see PASSER_BY.
            before: boxes (4,) of the faces in the last picture of the same video. While each is still near its place,
                no others are looked for; that takes a third of the time.
        """
        if before:
            faces = self._confirm_all(pixels, [Candidate(box, _NO_ANCHORS, 1.0) for box in before])
            if len(faces) == len(before):
                return faces
        return self._find(pixels, main_only, passers_by)[0]

    def find_everyone(self, pixels: Pixels) -> tuple[tuple[FoundFace, ...], tuple[FoundFace, ...]]:
        """Return every face, passers-by too, and what else may be a face: see SAME_SIZE for how little that takes.

        Args:
            pixels: (rows, columns, 3) uint8 RGB, upright.
        """
        found, candidates = self._find(pixels, passers_by=True)
        doubtful = []
        for hit in _distinct(candidates):
            box = clipped(hit.box, pixels)
            if (box[2:] - box[:2]).min() >= 1 and not any(_is_same(box, face.box) for face in found):
                doubtful.append(FoundFace(box, hit.anchors, None, hit.score))
        return found, tuple(doubtful)

    # The passes, from `_find` down. Most return the faces found so far, and as candidates what passed the first look.

    def _find(
        self, pixels: Pixels, main_only: bool = False, passers_by: bool = False
    ) -> tuple[tuple[FoundFace, ...], list[Candidate]]:
        """Return the faces, and all that passed the first look.

        The passes, in this order, each adding to what those before it found. A face is sure from SURE_SCORE on.

        | pass             | detector    | looks at                     | when                                     |
        |------------------|-------------|------------------------------|------------------------------------------|
        | `_find_upright`  | short range | the padded photo             | always; the end with `main_only` where a |
        |                  |             |                              | face is MAIN_SHARE large                 |
        |                  | full range  | the same less the faces      | always                                   |
        |                  | full range  | tiles less the faces         | these are large enough to be read        |
        |                  | full range  | smaller tiles less the faces | there are CROWD faces by now             |
        |                  | full range  | both, for any size of face   | `passers_by`, and one is sure            |
        | `_add_lying`     | both        | the photo turned by 1, 2, 3  | one that is sure stands: the end, and    |
        |                  |             | quarters, less the faces     | this for `passers_by` only               |
        | `_find_lying`    | short range | the photo turned by 1, 2, 3  | none is sure                             |
        |                  | (both where | quarters                     |                                          |
        |                  | none found) |                              |                                          |
        | `_look_again`    | short range | it small, levelled, smoothed | still none is sure: the end, and this    |
        |                  |             |                              | only where nothing was found             |
        | `_find_turned`   | as upright  | the photo stood up           | all that are sure lie; not `main_only`   |
        """
        found, candidates = self._find_upright(pixels, main_only, passers_by)
        sure = [face for face in found if face.score >= SURE_SCORE]
        if any(not _lies(face) for face in sure):
            if passers_by:
                return self._add_lying(pixels, found, candidates)
            return found, candidates
        if not sure:
            sure, hits = self._find_lying(pixels, found)
            candidates = candidates + hits
        if not sure:
            return found or self._look_again(pixels), candidates
        if main_only:
            return _left_to_right(sure), candidates
        turned, hits = self._find_turned(pixels, sure, passers_by)
        return _left_to_right(_distinct([*sure, *turned])), candidates + hits

    def _find_upright(
        self, pixels: Pixels, main_only: bool = False, passers_by: bool = False
    ) -> tuple[tuple[FoundFace, ...], list[Candidate]]:
        """Return the faces of a photo that stands, and all that passed the first look."""
        whole = whole_view(pixels)
        candidates = self._detect(self._short_range, whole)
        found = self._add(pixels, (), candidates)
        if main_only and any(relative_size(face.box, pixels) >= MAIN_SHARE for face in found):
            return found, candidates
        found, hits = self._add_small(pixels, found, [whole])
        candidates += hits
        # What may be no face at all is no yardstick.
        largest = max((relative_size(face.box, pixels) for face in found if face.score >= SURE_SCORE), default=0.0)
        sizes = [PASSER_BY * largest]
        if passers_by and largest:
            sizes.append(0.0)  # after what others get, so that who covers faces covers all that a reading shows
        for smallest in sizes:
            tiles = tile_views(pixels, smallest, TILE_SHARE, BESIDE_TILE_MIN if smallest else TILE_MIN)
            found, hits = self._add_small(pixels, found, tiles)
            candidates += hits
            if len(found) >= CROWD:
                tiles = tile_views(pixels, smallest, CROWD_TILE_SHARE, CROWD_TILE_MIN)
                found, hits = self._add_small(pixels, found, tiles)
                candidates += hits
        return found, candidates

    def _add_small(
        self, pixels: Pixels, found: tuple[FoundFace, ...], views: Sequence[View]
    ) -> tuple[tuple[FoundFace, ...], list[Candidate]]:
        """Return the faces with those that the full-range detector adds to them, and all that it hit in these views."""
        # A large face hides the small ones from a detector that sees both.
        boxes = [face.box for face in found]
        hits = [hit for view in views for hit in self._detect(self._full_range, view.without(boxes))]
        return self._add(pixels, found, hits), hits

    def _add_lying(
        self, pixels: Pixels, found: tuple[FoundFace, ...], candidates: list[Candidate]
    ) -> tuple[tuple[FoundFace, ...], list[Candidate]]:
        """Return faces and candidates with those that lie beside a face that stands."""
        hits = self._detect_lying(whole_view(pixels).without([face.box for face in found]))
        doubtful = [hit for hit in hits if relative_size(hit.box, pixels) < LYING_DOUBT]
        return self._add(pixels, found, hits), candidates + doubtful

    def _find_lying(self, pixels: Pixels, found: tuple[FoundFace, ...]) -> tuple[list[FoundFace], list[Candidate]]:
        """Return the sure faces that lie in a photo where `found` are not sure, and all that passed the first look.

        What stands by a score of LARGE_SCORE only was no face, if one lies there that is sure.
        """
        hits = self._detect_lying(whole_view(pixels), large_only=bool(found))
        seen = self._add(pixels, found, hits)
        return [face for face in seen if face.score >= SURE_SCORE and _lies(face)], hits

    def _detect_lying(self, whole: View, *, large_only: bool = False) -> list[Candidate]:
        """Return what may be faces on their side or their head."""
        views = [whole.turned(quarters) for quarters in (1, 2, 3)]
        detectors = (self._short_range,) if large_only else self.detectors
        return [hit for view in views for detector in detectors for hit in self._detect(detector, view)]

    def _find_turned(
        self, pixels: Pixels, lying: Sequence[FoundFace], passers_by: bool
    ) -> tuple[list[FoundFace], list[Candidate]]:
        """Return faces and candidates of the photo stood up for the largest of those that lie in it."""
        largest = max(lying, key=lambda face: relative_size(face.box, pixels))
        quarters = round(crops.roll(largest.anchors) / 90) % 4
        stood_up = np.ascontiguousarray(np.rot90(pixels, quarters))
        found, hits = self._find_upright(stood_up, passers_by=passers_by)
        return (
            [_turned_back(face, quarters, pixels) for face in found],
            [_turned_back(hit, quarters, pixels) for hit in hits],
        )

    def _look_again(self, pixels: Pixels) -> tuple[FoundFace, ...]:
        """Look for one face that fills the photo, in views that bring out what dark, noise or a cover hides."""
        rows, columns = pixels.shape[:2]
        scale = min(1.0, AGAIN_SIDE / max(rows, columns))
        if scale * min(rows, columns) < SMALLEST_FACE:
            return ()
        size = round(scale * columns), round(scale * rows)
        small = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
        landmarks = self._agreed(_various(small), AGAIN_ALIKE)
        if landmarks is None:
            landmarks = self._agreed(_smoother(small), AGAIN_SAME)
        return () if landmarks is None else (self._where_seen(pixels, landmarks / np.float32(scale)),)

    def _agreed(self, views: Iterable[tuple[Pixels, float]], alike: float) -> Points | None:
        """Return the landmarks of the first view, picture and padding, that another one agrees with."""
        seen: list[Points] = []
        for view, padding in views:
            landmarks = self._mesh_of_large(view, padding)
            if landmarks is None:
                continue
            for first in seen:
                if mesh_distance(first, landmarks) <= alike:
                    return first
            seen.append(landmarks)
        return None

    def _mesh_of_large(self, view: Pixels, padding: float) -> Points | None:
        """Return the landmarks of the surest face of AGAIN_SHARE, from DETECTOR_SCORE on."""
        hits = self._detect(self._short_range, whole_view(view, padding))
        found = (self._confirm(view, hit, DETECTOR_SCORE) for hit in _distinct(hits))
        large = [face for face in found if face and relative_size(face.box, view) >= AGAIN_SHARE]
        best = max(large, key=lambda face: face.score, default=None)
        return best.landmarks if best else None

    def _where_seen(self, pixels: Pixels, landmarks: Points) -> FoundFace:
        """Return the face at these landmarks, by the mesh of the photo as it is, if it can be laid there."""
        roughly = Candidate(box_of(landmarks), crops.anchors_of(landmarks), DETECTOR_SCORE)
        exact = self.lay_mesh(pixels, roughly)
        if exact is not None:
            landmarks = exact
        return FoundFace(clipped(box_of(landmarks), pixels), crops.anchors_of(landmarks), landmarks, DETECTOR_SCORE)

    # The first look and the second, and the mesh.

    def _detect(self, detector: FaceDetector, view: View) -> list[Candidate]:
        """Return what a detector takes for faces, in photo pixels."""
        hits = []
        for detection in detector.detect(view.pixels):
            corners, key_points = view.upright(detection.corners), view.upright(detection.key_points)
            if view.quarters:
                corners.sort(axis=0)
            if view.is_tile and (corners.min() < 0 or corners.max() > 1):
                continue  # cut by the tile's edge: a neighbour or the whole view sees it better
            share = float(np.ptp(corners, axis=0).max())
            hits.append(
                Candidate(
                    box=view.in_photo(corners).reshape(4),
                    anchors=view.in_photo(key_points[[0, 1, 3]]),  # both eyes and the mouth
                    score=detection.score,
                    is_plain=detector is self._short_range
                    and not view.quarters
                    and detection.score >= PLAIN_SCORE
                    and PLAIN_SHARE[0] <= share <= PLAIN_SHARE[1],
                )
            )
        return hits

    def _add(self, pixels: Pixels, found: tuple[FoundFace, ...], hits: Sequence[Candidate]) -> tuple[FoundFace, ...]:
        """Add the faces among what a detector hit, if they are not there yet."""
        new = [hit for hit in hits if all(overlap(hit.box, face.box) < SAME_FACE for face in found)]
        return _left_to_right(_distinct([*found, *self._confirm_all(pixels, new)])) if new else found

    def _confirm_all(self, pixels: Pixels, candidates: list[Candidate]) -> tuple[FoundFace, ...]:
        found = [face for hit in _distinct(candidates) if (face := self._confirm(pixels, hit))]
        return _left_to_right(_distinct(found))

    def _confirm(self, pixels: Pixels, candidate: Candidate, large_score: float = LARGE_SCORE) -> FoundFace | None:
        """Look again from near, then lay the mesh; None when it is no face."""
        hit = candidate if candidate.is_plain else self._look_near(pixels, candidate.box)
        if hit is None or hit.score < (large_score if relative_size(hit.box, pixels) >= LARGE_SHARE else SURE_SCORE):
            return None
        landmarks = self.lay_mesh(pixels, hit)
        box, anchors = hit.box, hit.anchors
        if landmarks is not None:
            box, anchors = box_of(landmarks), crops.anchors_of(landmarks)
        elif hit.score < SCORE_WITHOUT_MESH:
            return None
        box = clipped(box, pixels)
        if (box[2:] - box[:2]).min() < SMALLEST_FACE:
            return None
        return FoundFace(box, anchors, landmarks, hit.score)

    def _look_near(self, pixels: Pixels, box: Points) -> Candidate | None:
        """Return the surest face where a box (4,) is, as it stands or, where that is plainer, as it lies."""
        view = square_view(pixels, *square_around(box))
        upright = self._surest(box, [view])
        score = upright.score if upright else 0.0
        if score >= UPRIGHT_SCORE:
            return upright
        lying = self._surest(box, [view.turned(quarters) for quarters in (1, 2, 3)])
        if lying is None or lying.score < max(UPRIGHT_SCORE, score + TURNED_GAIN):
            return upright
        if upright is None or self._sway(pixels, lying) < self._sway(pixels, upright):
            return lying
        return upright

    def _surest(self, box: Points, views: Sequence[View]) -> Candidate | None:
        """Return the surest hit in these views that is the face of a box (4,)."""
        hits = [hit for view in views for hit in self._detect(self._short_range, view)]
        same = [hit for hit in hits if overlap(hit.box, box) >= SAME_FACE]
        return max(same, key=lambda hit: hit.score, default=None)

    def _sway(self, pixels: Pixels, hit: Candidate) -> float:
        """Return how far a mesh moves when its view is smoothed, in face widths; infinite where none can be laid."""
        first, second = self.lay_mesh(pixels, hit), self.lay_mesh(pixels, hit, STEADY_SMOOTH)
        return math.inf if first is None or second is None else mesh_distance(first, second)

    def lay_mesh(self, pixels: Pixels, hit: Candidate, smooth: float = 0.0) -> Points | None:
        """Return the 478 landmarks in photo pixels, or None when the mesh sees no face.

        Args:
            pixels: the photo.
            hit: where the face is.
            smooth: deviation of the smoothing before, as a share of the face's view; 0 for none.
        """
        left, top, side = square_around(hit.box)
        view = cut_square(pixels, left, top, side, MESH_SIDE)
        if smooth:
            view = smoothed(view, smooth)
        eyes = hit.anchors[1] - hit.anchors[0]
        shares = self.mesh.landmarks(view, MESH_REGION, math.atan2(float(eyes[1]), float(eyes[0])))
        if shares is None:
            return None
        landmarks: Points = np.multiply(shares, np.float32(side), order="C")
        landmarks[:, :2] += (left, top)
        return landmarks


def _various(small: Pixels) -> Iterator[tuple[Pixels, float]]:
    """Yield the picture and its padding in ways that bring out what dark, noise or lenses hide, least changed first."""
    yield small, AGAIN_PADDING
    yield levelled(small), AGAIN_PADDING
    yield smoothed(without_dark_spots(small, AGAIN_SPOT), AGAIN_SMOOTH[0]), AGAIN_PADDING
    yield smoothed(small, AGAIN_SMOOTH[1]), AGAIN_PADDING


def _smoother(small: Pixels) -> Iterator[tuple[Pixels, float]]:
    """Yield the picture, and its padding, in ways that leave little but light and shade."""
    yield smoothed(levelled(small), AGAIN_SMOOTH[1]), AGAIN_PADDING
    yield smoothed(small, AGAIN_SMOOTH[1]), AGAIN_MORE_PADDING
    yield smoothed(small, AGAIN_SMOOTH[2]), AGAIN_PADDING
    yield smoothed(small, AGAIN_SMOOTH[3]), AGAIN_PADDING


def _left_to_right(faces: Sequence[FoundFace]) -> tuple[FoundFace, ...]:
    return tuple(sorted(faces, key=lambda face: (float(face.box[0]), float(face.box[1]))))


def _lies(face: FoundFace) -> bool:
    return abs(crops.roll(face.anchors)) >= LYING


def _turned_back(one: _Box, quarters: int, pixels: Pixels) -> _Box:
    """Return a face in the pixels of the photo, found in the photo turned counterclockwise by so many quarters."""
    corners = turned_back(one.box.reshape(2, 2), quarters, pixels)
    corners.sort(axis=0)
    moved = replace(one, box=corners.reshape(4), anchors=turned_back(one.anchors, quarters, pixels))
    if isinstance(moved, FoundFace) and moved.landmarks is not None:
        return replace(moved, landmarks=turned_back(moved.landmarks, quarters, pixels))
    return moved


def _distinct(boxes: list[_Box]) -> list[_Box]:
    """Keep the surest of boxes that cover one another; a small box inside a large one is the same face."""
    kept: list[_Box] = []
    for one in sorted(boxes, key=lambda box: -box.score):
        if all(overlap(one.box, other.box) < SAME_FACE for other in kept):
            kept.append(one)
    return kept


def _is_same(box: Points, face: Points) -> bool:
    """Tell whether a box lies on a face that was found already."""
    size, found_size = np.prod(box[2:] - box[:2]), np.prod(face[2:] - face[:2])
    return overlap(box, face) >= SAME_FACE and bool(size <= SAME_SIZE**2 * found_size)
