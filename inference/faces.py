"""Finds every face of a photo and its landmarks. The only file that imports mediapipe.

MediaPipe's ready-made face mesh looks for faces in one 128-pixel view, so it misses people at the back and heads that
fill the frame. Here the same models (BlazeFace, Bazarevsky et al. 2019; Face Mesh with attention, Grishchenko et al.
2020) run as bare graphs: the short-range detector over the padded photo, for faces that fill it; the full-range one
over the photo and over overlapping tiles, for the rest; then a second, close look at every candidate, turned if it lies
on its side or its head, and the mesh on what remains.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, TypeVar

import cv2
import mediapipe
import numpy as np
from mediapipe.framework.formats import rect_pb2
from mediapipe.python import packet_creator, packet_getter
from mediapipe.python._framework_bindings import calculator_graph, image_frame, resource_util
from numpy.typing import NDArray

from inference import crops
from inference.quiet import quiet

# In a view of this side the full-range detector sees faces from 5 % to 95 % of it, the short-range one from 15 % up
# (measured on faces pasted at known sizes); on FER2013's tight 48-pixel faces they find 57 % and 99 %.
DETECTOR_SIDE = 192
# The whole photo is padded by this share of its long side on every side: faces cut off by the frame are found too.
PADDING = 0.2
# Tiles of 30 % of the long side find faces down to 1.5 % of it; in tiles below 480 px they are too small to read.
TILE_SHARE = 0.3
TILE_MIN = 480
# Where several faces are, there are often smaller ones: smaller tiles follow.
CROWD = 3
CROWD_TILE_SHARE = 0.15
CROWD_TILE_MIN = 240
# Tiles overlap by the smallest face the whole view is sure to see, so no face is cut by every tile.
TILE_OVERLAP = 0.3
DETECTOR_SCORE = 0.5
# A second look, centred and close, separates: small real faces score 0.89 and more in it, walls, wheels and clouds that
# passed the first at most 0.75 (measured on faces pasted at 40 to 90 px, and on scikit-image's sample pictures).
# A face as large as LARGE_SHARE of the photo is what the photo is about: half hidden or cut off it still counts.
SURE_SCORE = 0.76
LARGE_SCORE = 0.6
LARGE_SHARE = 0.25
# What the first look saw so plainly, and about as large as the second one would, needs no second: of 706 such faces the
# second doubts none, and the mesh is laid the same to 0.6 % of a face's width (median; training/LOG.md, entry 18).
PLAIN_SCORE = 0.85
PLAIN_SHARE = (0.2, 0.75)
# A face that scores less in it than upright ones do (96 of 100 do better) is looked at turned by quarters, too: on its
# side or its head it scores more so, and its mesh, which expects a chin below, is steadier (training/LOG.md, entry 14).
UPRIGHT_SCORE = 0.8
TURNED_GAIN = 0.1
# Deviation of the smoothing that a mesh is tried by, as a share of the face's view.
STEADY_SMOOTH = 0.012
# From this tilt on, degrees, a face counts as lying: the detector misses some that are turned so far.
LYING = 60
# What lies beside a face that stands, and is larger than this share of the photo, is a face by the second look or none:
# shirts and helmets pass the first one, on every sixth portrait, and large faces that lie hardly need the doubt.
LYING_DOUBT = 0.15
# The first view sees every face from this share of the photo's long side on (60 of 60 people pasted at random places;
# 59 at 18 %, 26 at 15 %): where it shows one, no larger face can be missing.
MAIN_SHARE = 0.2
# Faces below this share of the largest one's size are passers-by, not looked for: beside a large face, fewer tiles do.
# Nor are those below 32 pixels, which can hardly be read.
PASSER_BY = 1 / 8
BESIDE_TILE_MIN = 640
# The full-range detector is sure to see faces from this share of its view on, and sees most from half of it.
FAR_LEAST = 0.1
# Who wants every face covered would rather cover a wheel than miss a face: for that, all that passes the first look at
# DETECTOR_SCORE counts, however small, and whatever the second look and the mesh say. A larger box around a face is no
# face of its own unless it is beyond this many times as large.
SAME_SIZE = 2
# A photo without a face by these rules is looked at again, in eight views, for one that fills it: dark lenses, noise,
# blur and night hide it. The detector sees such a face best small and smooth, but takes many a smooth blob for one; the
# mesh lies alike in two views on a face, and seldom on a blob (training/LOG.md, entries 13 and 19).
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
# Without the mesh's confirmation only a very sure detection stands (veils, masks, strong profiles).
SCORE_WITHOUT_MESH = 0.85
MESH_SIDE = 256
# Two boxes are one face when they share this much of the smaller one.
SAME_FACE = 0.5
SMALLEST_FACE = 20

Points = NDArray[np.float32]


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
class _Candidate:
    """A detector hit: a square-ish box and six key points, in photo pixels."""

    box: Points
    anchors: Points
    score: float
    is_plain: bool = False
    """It needs no second look: see PLAIN_SCORE."""


@dataclass(frozen=True, slots=True)
class _View:
    """A square of the photo, reduced to what a detector takes; `left`, `top` and `side` are in photo pixels."""

    left: int
    top: int
    side: int
    is_tile: bool
    pixels: NDArray[np.uint8]
    quarters: int = 0
    """Quarter turns, counterclockwise, that `pixels` were given after they were cut out."""

    def turned(self, quarters: int) -> _View:
        """Return the view turned counterclockwise by so many quarters."""
        return replace(self, pixels=np.rot90(self.pixels, quarters), quarters=self.quarters + quarters)

    def without(self, faces: Sequence[FoundFace]) -> _View:
        """Return the view with these faces painted over."""
        scale = self.pixels.shape[0] / self.side
        pixels = self.pixels.copy()
        for face in faces:
            box = (face.box - np.array([self.left, self.top] * 2, np.float32)) * scale
            left, top, right, bottom = box.round().clip(0, pixels.shape[0]).astype(int).tolist()
            pixels[top:bottom, left:right] = 128
        return replace(self, pixels=pixels)


_Box = TypeVar("_Box", _Candidate, FoundFace)
_NO_ANCHORS = np.zeros((3, 2), np.float32)
"""Of a candidate that is only a place: `_confirm` takes those of its own look."""


class _Graph:
    """A bare MediaPipe graph fed one timestamp at a time. Not safe to share between threads."""

    def __init__(self, config: str, output: str) -> None:
        resource_util.set_resource_dir(str(Path(mediapipe.__file__).parent.parent))
        self._graph = calculator_graph.CalculatorGraph(graph_config=config)
        self._result: Any = None
        self._time = 0
        self._graph.observe_output_stream(output, self._keep)
        self._graph.start_run()

    def _keep(self, _stream: str, packet: Any) -> None:
        self._result = packet

    def run(self, **inputs: Any) -> Any:
        """Return the output packet for these input packets, or None when the graph put nothing out."""
        self._result = None
        self._time += 1
        for stream, packet in inputs.items():
            self._graph.add_packet_to_input_stream(stream, packet.at(self._time))
        self._graph.wait_until_idle()
        return self._result

    def close(self) -> None:
        self._graph.close()


# One thread does all of a graph: for nodes in a row, handing over between threads costs more than it gains.
_EXECUTOR = 'executor { name: "" type: "ApplicationThreadExecutor" }'
_DETECTOR_GRAPH = f"""
{_EXECUTOR}
input_stream: "image"
output_stream: "detections"
node {{
  calculator: "FaceDetectionRANGECpu"
  input_stream: "IMAGE:image"
  output_stream: "DETECTIONS:detections"
  node_options {{ [type.googleapis.com/mediapipe.FaceDetectionOptions] {{ min_score_thresh: {DETECTOR_SCORE} }} }}
}}
"""

# The landmarks come as one matrix: 478 messages take 0.3 ms to read.
_MESH_GRAPH = (
    _EXECUTOR
    + """
input_stream: "image"
input_stream: "roi"
output_stream: "matrix"
node {
  calculator: "ConstantSidePacketCalculator"
  output_side_packet: "PACKET:0:with_attention"
  node_options {
    [type.googleapis.com/mediapipe.ConstantSidePacketCalculatorOptions] { packet { bool_value: true } }
  }
}
node {
  calculator: "FaceLandmarkCpu"
  input_stream: "IMAGE:image"
  input_stream: "ROI:roi"
  input_side_packet: "WITH_ATTENTION:with_attention"
  output_stream: "LANDMARKS:landmarks"
}
node {
  calculator: "ImagePropertiesCalculator"
  input_stream: "IMAGE_CPU:image"
  output_stream: "SIZE:size"
}
node {
  calculator: "LandmarksToMatrixCalculator"
  input_stream: "LANDMARKS:landmarks"
  input_stream: "IMAGE_SIZE:size"
  output_stream: "LANDMARKS_MATRIX:matrix"
  node_options {
    [type.googleapis.com/mediapipe.LandmarksToMatrixCalculatorOptions] { object_normalization: false }
  }
}
"""
)


def _packet(pixels: NDArray[np.uint8]) -> Any:
    return packet_creator.create_image_frame(
        data=np.ascontiguousarray(pixels), image_format=image_frame.ImageFormat.SRGB
    )


class FaceFinder:
    """Finds faces and landmarks. One finder per thread: a MediaPipe graph must not be shared."""

    def __init__(self) -> None:
        with quiet():
            self._start()

    def _start(self) -> None:
        """Build the graphs and run each once: the first run takes longer, and says what nobody needs to read."""
        self._close = _Graph(_DETECTOR_GRAPH.replace("RANGE", "ShortRange"), "detections")
        self._far = _Graph(_DETECTOR_GRAPH.replace("RANGE", "FullRange"), "detections")
        self._mesh = _Graph(_MESH_GRAPH, "matrix")
        blank = np.full((DETECTOR_SIDE, DETECTOR_SIDE, 3), 128, np.uint8)
        for detector in (self._close, self._far):
            self._detect(detector, _view(blank, 0, 0, DETECTOR_SIDE))
        anywhere = np.array(((72, 80), (120, 80), (96, 120)), np.float32)
        self._lay_mesh(blank, _Candidate(np.array((48, 48, 144, 144), np.float32), anywhere, 1.0))

    def find(
        self,
        pixels: NDArray[np.uint8],
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
            faces = self._confirm_all(pixels, [_Candidate(box, _NO_ANCHORS, 1.0) for box in before])
            if len(faces) == len(before):
                return faces
        return self._find(pixels, main_only, passers_by)[0]

    def find_everyone(self, pixels: NDArray[np.uint8]) -> tuple[tuple[FoundFace, ...], tuple[FoundFace, ...]]:
        """Return every face, passers-by too, and what else may be a face: see SAME_SIZE for how little that takes.

        Args:
            pixels: (rows, columns, 3) uint8 RGB, upright.
        """
        found, candidates = self._find(pixels, passers_by=True)
        doubtful = []
        for hit in _distinct(candidates):
            box = _clipped(hit.box, pixels)
            if (box[2:] - box[:2]).min() >= 1 and not any(_is_same(box, face.box) for face in found):
                doubtful.append(FoundFace(box, hit.anchors, None, hit.score))
        return found, tuple(doubtful)

    def _find(
        self, pixels: NDArray[np.uint8], main_only: bool = False, passers_by: bool = False
    ) -> tuple[tuple[FoundFace, ...], list[_Candidate]]:
        """Return the faces, and all that passed the first look. A photo in which none stands is stood up for it."""
        found, candidates = self._find_upright(pixels, main_only, passers_by)
        sure = [face for face in found if face.score >= SURE_SCORE]
        if any(not _lies(face) for face in sure):
            if passers_by:  # someone may lie beside them
                hits = self._detect_lying(_whole(pixels).without(found))
                doubtful = [hit for hit in hits if _share(hit.box, pixels) < LYING_DOUBT]
                return self._add(pixels, found, hits), candidates + doubtful
            return found, candidates
        if not sure:
            hits = self._detect_lying(_whole(pixels), large_only=bool(found))
            candidates.extend(hits)
            # What stands by a score of LARGE_SCORE only was no face, if one lies there that is sure.
            seen = self._add(pixels, found, hits)
            sure = [face for face in seen if face.score >= SURE_SCORE and _lies(face)]
        if not sure:
            return found or self._look_again(pixels), candidates
        if main_only:
            return _left_to_right(sure), candidates
        quarters = round(crops.roll(max(sure, key=lambda face: _share(face.box, pixels)).anchors) / 90) % 4
        others, hits = self._find_upright(np.ascontiguousarray(np.rot90(pixels, quarters)), passers_by=passers_by)
        found = tuple(_turned_back(face, quarters, pixels) for face in others)
        candidates.extend(_turned_back(hit, quarters, pixels) for hit in hits)
        return _left_to_right(_distinct([*sure, *found])), candidates

    def _find_upright(
        self, pixels: NDArray[np.uint8], main_only: bool = False, passers_by: bool = False
    ) -> tuple[tuple[FoundFace, ...], list[_Candidate]]:
        """Return the faces of a photo that stands, and all that passed the first look."""
        whole = _whole(pixels)
        candidates = self._detect(self._close, whole)
        found = self._add(pixels, (), candidates)
        if main_only and any(_share(face.box, pixels) >= MAIN_SHARE for face in found):
            return found, candidates

        def look(*views: _View) -> None:
            nonlocal found
            # A large face hides the small ones from a detector that sees both.
            hits = [hit for view in views for hit in self._detect(self._far, view.without(found))]
            candidates.extend(hits)
            found = self._add(pixels, found, hits)

        look(whole)
        # What may be no face at all is no yardstick.
        largest = max((_share(face.box, pixels) for face in found if face.score >= SURE_SCORE), default=0.0)
        sizes = [PASSER_BY * largest]
        if passers_by and largest:
            sizes.append(0.0)  # after what others get, so that who covers faces covers all that a reading shows
        for smallest in sizes:
            look(*_tiles_for(pixels, smallest, TILE_SHARE, BESIDE_TILE_MIN if smallest else TILE_MIN))
            if len(found) >= CROWD:
                look(*_tiles_for(pixels, smallest, CROWD_TILE_SHARE, CROWD_TILE_MIN))
        return found, candidates

    def _add(
        self, pixels: NDArray[np.uint8], found: tuple[FoundFace, ...], hits: Sequence[_Candidate]
    ) -> tuple[FoundFace, ...]:
        """Add the faces among what a detector hit, if they are not there yet."""
        new = [hit for hit in hits if all(_shared(hit.box, face.box) < SAME_FACE for face in found)]
        return _left_to_right(_distinct([*found, *self._confirm_all(pixels, new)])) if new else found

    def _detect_lying(self, whole: _View, *, large_only: bool = False) -> list[_Candidate]:
        """Return what may be faces on their side or their head."""
        views = [whole.turned(quarters) for quarters in (1, 2, 3)]
        detectors = (self._close,) if large_only else (self._close, self._far)
        return [hit for view in views for detector in detectors for hit in self._detect(detector, view)]

    def _look_again(self, pixels: NDArray[np.uint8]) -> tuple[FoundFace, ...]:
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

    def _agreed(self, views: Iterable[tuple[NDArray[np.uint8], float]], alike: float) -> Points | None:
        """Return the landmarks of the first view, picture and padding, that another one agrees with."""
        seen: list[Points] = []
        for view, padding in views:
            landmarks = self._mesh_of_large(view, padding)
            if landmarks is None:
                continue
            for first in seen:
                if _distance(first, landmarks) <= alike:
                    return first
            seen.append(landmarks)
        return None

    def _where_seen(self, pixels: NDArray[np.uint8], landmarks: Points) -> FoundFace:
        """Return the face at these landmarks, by the mesh of the photo as it is, if it can be laid there."""
        roughly = _Candidate(_box_of(landmarks), crops.anchors_of(landmarks), DETECTOR_SCORE)
        exact = self._lay_mesh(pixels, roughly)
        if exact is not None:
            landmarks = exact
        return FoundFace(_clipped(_box_of(landmarks), pixels), crops.anchors_of(landmarks), landmarks, DETECTOR_SCORE)

    def _mesh_of_large(self, view: NDArray[np.uint8], padding: float) -> Points | None:
        """Return the landmarks of the surest face of AGAIN_SHARE, from DETECTOR_SCORE on."""
        hits = self._detect(self._close, _whole(view, padding))
        found = (self._confirm(view, hit, DETECTOR_SCORE) for hit in _distinct(hits))
        large = [face for face in found if face and _share(face.box, view) >= AGAIN_SHARE]
        best = max(large, key=lambda face: face.score, default=None)
        return best.landmarks if best else None

    def close(self) -> None:
        """Stop the graphs; the finder is of no use afterwards."""
        self._close.close()
        self._far.close()
        self._mesh.close()

    def _detect(self, detector: _Graph, view: _View) -> list[_Candidate]:
        """Return what a detector takes for faces, in photo pixels."""
        packet = detector.run(image=_packet(view.pixels))
        if packet is None or packet.is_empty():
            return []
        hits = []
        for detection in packet_getter.get_proto_list(packet):
            data = detection.location_data
            box = data.relative_bounding_box
            keys = np.array([(point.x, point.y) for point in data.relative_keypoints], np.float32)
            corners = np.array([(box.xmin, box.ymin), (box.xmin + box.width, box.ymin + box.height)], np.float32)
            if view.quarters:
                keys, corners = (_unturned(points - 0.5, view.quarters) + 0.5 for points in (keys, corners))
                corners.sort(axis=0)
            origin = np.array([view.left, view.top], np.float32)
            if view.is_tile and (corners.min() < 0 or corners.max() > 1):
                continue  # cut by the tile's edge: a neighbour or the whole view sees it better
            score = float(detection.score[0])
            share = float(np.ptp(corners, axis=0).max())
            hits.append(
                _Candidate(
                    box=(corners * view.side + origin).reshape(4),
                    # BlazeFace key points: right eye (left in the picture), left eye, nose, mouth, two ears.
                    anchors=keys[[0, 1, 3]] * view.side + origin,
                    score=score,
                    is_plain=detector is self._close
                    and not view.quarters
                    and score >= PLAIN_SCORE
                    and PLAIN_SHARE[0] <= share <= PLAIN_SHARE[1],
                )
            )
        return hits

    def _confirm_all(self, pixels: NDArray[np.uint8], candidates: list[_Candidate]) -> tuple[FoundFace, ...]:
        found = [face for hit in _distinct(candidates) if (face := self._confirm(pixels, hit))]
        return _left_to_right(_distinct(found))

    def _confirm(
        self, pixels: NDArray[np.uint8], candidate: _Candidate, large_score: float = LARGE_SCORE
    ) -> FoundFace | None:
        """Look again from near, then lay the mesh; None when it is no face."""
        hit = candidate if candidate.is_plain else self._look_near(pixels, candidate.box)
        if hit is None or hit.score < (large_score if _share(hit.box, pixels) >= LARGE_SHARE else SURE_SCORE):
            return None
        landmarks = self._lay_mesh(pixels, hit)
        box, anchors = hit.box, hit.anchors
        if landmarks is not None:
            box, anchors = _box_of(landmarks), crops.anchors_of(landmarks)
        elif hit.score < SCORE_WITHOUT_MESH:
            return None
        box = _clipped(box, pixels)
        if (box[2:] - box[:2]).min() < SMALLEST_FACE:
            return None
        return FoundFace(box, anchors, landmarks, hit.score)

    def _look_near(self, pixels: NDArray[np.uint8], box: Points) -> _Candidate | None:
        """Return the surest face where a box (4,) is, as it stands or, where that is plainer, as it lies."""
        view = _view(pixels, *_around(box))

        def surest(*views: _View) -> _Candidate | None:
            looks = (look for view in views for look in self._detect(self._close, view))
            same = [look for look in looks if _shared(look.box, box) >= SAME_FACE]
            return max(same, key=lambda look: look.score, default=None)

        upright = surest(view)
        score = upright.score if upright else 0.0
        if score >= UPRIGHT_SCORE:
            return upright
        lying = surest(*(view.turned(quarters) for quarters in (1, 2, 3)))
        if lying is None or lying.score < max(UPRIGHT_SCORE, score + TURNED_GAIN):
            return upright
        if upright is None or self._sway(pixels, lying) < self._sway(pixels, upright):
            return lying
        return upright

    def _sway(self, pixels: NDArray[np.uint8], hit: _Candidate) -> float:
        """Return how far a mesh moves when its view is smoothed, in face widths; infinite where none can be laid."""
        first, second = self._lay_mesh(pixels, hit), self._lay_mesh(pixels, hit, STEADY_SMOOTH)
        return math.inf if first is None or second is None else _distance(first, second)

    def _lay_mesh(self, pixels: NDArray[np.uint8], hit: _Candidate, smooth: float = 0.0) -> Points | None:
        """Return the 478 landmarks in photo pixels, or None when the mesh sees no face."""
        left, top, side = _around(hit.box)
        eyes = hit.anchors[1] - hit.anchors[0]
        # MediaPipe's own recipe: the region is 1.5 times the detected box, turned so that the eyes are level.
        roi = rect_pb2.NormalizedRect(
            x_center=0.5, y_center=0.5, width=0.75, height=0.75, rotation=math.atan2(float(eyes[1]), float(eyes[0]))
        )
        view = _square(pixels, left, top, side, MESH_SIDE)
        if smooth:
            view = _smoothed(view, smooth)
        packet = self._mesh.run(image=_packet(view), roi=packet_creator.create_proto(roi))
        if packet is None or packet.is_empty():
            return None
        landmarks: Points = np.multiply(packet_getter.get_matrix(packet).T, np.float32(side), order="C")
        landmarks[:, :2] += (left, top)
        return landmarks


def _left_to_right(faces: Sequence[FoundFace]) -> tuple[FoundFace, ...]:
    return tuple(sorted(faces, key=lambda face: (float(face.box[0]), float(face.box[1]))))


def _box_of(landmarks: Points) -> Points:
    """Return the box, (4,), around landmarks."""
    flat = landmarks[:, :2]
    return np.concatenate([flat.min(axis=0), flat.max(axis=0)])


def _clipped(box: Points, pixels: NDArray[np.uint8]) -> Points:
    """Return the part of a box that lies in the photo."""
    rows, columns = pixels.shape[:2]
    return np.asarray(np.clip(box, 0, (columns, rows, columns, rows)), np.float32)


def _lies(face: FoundFace) -> bool:
    return abs(crops.roll(face.anchors)) >= LYING


def _turned_back(one: _Box, quarters: int, pixels: NDArray[np.uint8]) -> _Box:
    """Return a face in the pixels of the photo, found in the photo turned counterclockwise by so many quarters."""
    rows, columns = pixels.shape[:2]
    size = np.array((columns, rows), np.float32)
    shift = {1: size * (1, 0), 2: size, 3: size * (0, 1)}[quarters]

    def back(points: Points) -> Points:
        turned = points.copy()
        turned[:, :2] = _unturned(points[:, :2], quarters) + shift
        return turned

    corners = back(one.box.reshape(2, 2))
    corners.sort(axis=0)
    moved = replace(one, box=corners.reshape(4), anchors=back(one.anchors))
    if isinstance(moved, FoundFace) and moved.landmarks is not None:
        return replace(moved, landmarks=back(moved.landmarks))
    return moved


def _unturned(points: Points, quarters: int) -> Points:
    """Return (x, y) points, (n, 2), turned clockwise around the origin by so many quarters."""
    for _ in range(quarters):
        points = np.stack([-points[:, 1], points[:, 0]], axis=1)
    return points


def _share(box: Points, pixels: NDArray[np.uint8]) -> float:
    """Return the longer side of a box as a share of the photo's."""
    return float((box[2:] - box[:2]).max() / max(pixels.shape[:2]))


def _around(box: Points) -> tuple[int, int, int]:
    """Return the square (left, top, side) with the box in its middle and twice its size."""
    side = max(2, round(2 * float((box[2:] - box[:2]).max())))
    left, top = ((box[:2] + box[2:]) / 2 - side / 2).round().astype(int).tolist()
    return left, top, side


def _whole(pixels: NDArray[np.uint8], padding: float = PADDING) -> _View:
    """Return the view of a whole photo, padded."""
    rows, columns = pixels.shape[:2]
    side = round(max(rows, columns) * (1 + 2 * padding))
    return _view(pixels, (columns - side) // 2, (rows - side) // 2, side)


def _view(pixels: NDArray[np.uint8], left: int, top: int, side: int) -> _View:
    """Return the view of the square that starts at (left, top), in photo pixels."""
    reduced = _square(pixels, left, top, side, DETECTOR_SIDE)
    return _View(left, top, side, side < max(pixels.shape[:2]), reduced)


def _tiles_for(pixels: NDArray[np.uint8], smallest: float, share: float, least: int) -> list[_View]:
    """Return the tiles that show faces from `smallest` on, a share of the photo's long side; see `_tiles`."""
    rows, columns = pixels.shape[:2]
    wanted = min(max(share, smallest / FAR_LEAST), 1.0)
    return [_view(pixels, *tile) for tile in _tiles(columns, rows, wanted, least)]


def _tiles(width: int, height: int, share: float, least: int) -> list[tuple[int, int, int]]:
    """Return overlapping squares over the photo, each `share` of its long side and at least `least` pixels wide."""
    tile = max(least, round(share * max(width, height)))
    if tile > max(width, height):
        return []
    return [(left, top, tile) for top, left in product(_starts(height, tile), _starts(width, tile))]


def _starts(length: int, tile: int) -> list[int]:
    """Return where tiles begin along one side so that neighbours overlap by at least TILE_OVERLAP of a tile."""
    if length <= tile:
        return [(length - tile) // 2]
    count = math.ceil((length - tile) / (tile * (1 - TILE_OVERLAP))) + 1
    return [round(start) for start in np.linspace(0, length - tile, count)]


def _square(pixels: NDArray[np.uint8], left: int, top: int, side: int, size: int) -> NDArray[np.uint8]:
    """Return a square view resized to (size, size, 3), averaging when it shrinks; grey where it leaves the photo."""
    rows, columns = pixels.shape[:2]
    x0, x1 = np.clip((left, left + side), 0, columns)
    y0, y1 = np.clip((top, top + side), 0, rows)
    view = np.full((size, size, 3), 128, np.uint8)
    # Where the photo's part lies in the view; at least one pixel, so that a sliver of a photo still resizes.
    u0, u1 = ((x0 - left) * size // side, max((x0 - left) * size // side + 1, (x1 - left) * size // side))
    v0, v1 = ((y0 - top) * size // side, max((y0 - top) * size // side + 1, (y1 - top) * size // side))
    if x1 > x0 and y1 > y0:
        view[v0:v1, u0:u1] = _resized(pixels[y0:y1, x0:x1], u1 - u0, v1 - v0)
    return view


def _resized(pixels: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Return the picture halved as often as it goes, each pixel the mean of four, then resized bilinearly.

    So no pixel is passed over, in a fifth of the time that averaging by a broken factor takes. An odd last row or
    column is dropped, which moves nothing by more than a pixel of the result.
    """
    columns, rows = pixels.shape[1] // 2, pixels.shape[0] // 2
    while columns >= width and rows >= height:
        half = cv2.resize(pixels[: 2 * rows, : 2 * columns], (columns, rows), interpolation=cv2.INTER_AREA)
        pixels, columns, rows = np.asarray(half, np.uint8), columns // 2, rows // 2
    return np.asarray(cv2.resize(pixels, (width, height)), np.uint8)


def _various(small: NDArray[np.uint8]) -> Iterator[tuple[NDArray[np.uint8], float]]:
    """Yield the picture in ways that bring out what dark, noise or lenses hide, the least changed first."""
    yield small, AGAIN_PADDING
    yield _levelled(small), AGAIN_PADDING
    yield _smoothed(_without_dark_spots(small), AGAIN_SMOOTH[0]), AGAIN_PADDING
    yield _smoothed(small, AGAIN_SMOOTH[1]), AGAIN_PADDING


def _smoother(small: NDArray[np.uint8]) -> Iterator[tuple[NDArray[np.uint8], float]]:
    """Yield the picture in ways that leave little but light and shade."""
    yield _smoothed(_levelled(small), AGAIN_SMOOTH[1]), AGAIN_PADDING
    yield _smoothed(small, AGAIN_SMOOTH[1]), AGAIN_MORE_PADDING
    yield _smoothed(small, AGAIN_SMOOTH[2]), AGAIN_PADDING
    yield _smoothed(small, AGAIN_SMOOTH[3]), AGAIN_PADDING


def _levelled(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the picture with its greys stretched over the whole range and, when it is dark, its middle raised."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    low, middle, high = np.percentile(grey, (1, 50, 99))
    reach = max(float(high - low), 8.0)
    typical = float(np.clip((middle - low) / reach, 0.02, 0.4))
    power = math.log(0.45) / math.log(typical) if typical < 0.4 else 1.0
    curve = np.clip((np.arange(256) - low) / reach, 0, 1) ** power * 255
    return np.asarray(cv2.LUT(pixels, curve.astype(np.uint8)), np.uint8)


def _smoothed(pixels: NDArray[np.uint8], share: float) -> NDArray[np.uint8]:
    """Return the picture blurred by a Gaussian whose deviation is a share of its long side."""
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), share * max(pixels.shape[:2])), np.uint8)


def _without_dark_spots(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the picture with dark spots up to AGAIN_SPOT of its long side filled (morphological closing)."""
    across = round(AGAIN_SPOT * max(pixels.shape[:2])) | 1
    spot = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (across, across))
    return np.asarray(cv2.morphologyEx(pixels, cv2.MORPH_CLOSE, spot), np.uint8)


def _distance(one: Points, other: Points) -> float:
    """Return the root mean square distance of two meshes' landmarks, in widths of the wider one."""
    apart = np.square(one[:, :2] - other[:, :2]).sum(axis=1).mean()
    return float(np.sqrt(apart) / max(1e-6, np.ptp(one[:, 0]), np.ptp(other[:, 0])))


def _distinct(boxes: list[_Box]) -> list[_Box]:
    """Keep the surest of boxes that cover one another; a small box inside a large one is the same face."""
    kept: list[_Box] = []
    for one in sorted(boxes, key=lambda box: -box.score):
        if all(_shared(one.box, other.box) < SAME_FACE for other in kept):
            kept.append(one)
    return kept


def _is_same(box: Points, face: Points) -> bool:
    """Tell whether a box lies on a face that was found already."""
    size, found_size = np.prod(box[2:] - box[:2]), np.prod(face[2:] - face[:2])
    return _shared(box, face) >= SAME_FACE and bool(size <= SAME_SIZE**2 * found_size)


def _shared(one: Points, other: Points) -> float:
    """Return the overlap of two boxes as a share of the smaller one, 0 to 1."""
    width, height = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    if width <= 0 or height <= 0:
        return 0.0
    return float(width * height / min(np.prod(one[2:] - one[:2]), np.prod(other[2:] - other[:2])))
