"""No flicker in live video: readings of one camera's frames in, the same with calm answers out.

A still face reads a little differently in every frame, so near a threshold its emoji would change many times a second.
Three things calm it: what is read is averaged over the last moments, a frame counting half as much as one a half-life
later (an exponential moving average); an emoji stays while the face is much as it was when it came up; and then it
stays until others have answered for a while on end.

Here and not in the page, for the average has to be taken of scores and cues, before the rules, and the rules are here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from inference.emoji_map import EmojiMap, main_face
from inference.reading import Box, Emoji, FaceReading, Reading

HALF_LIFE = 0.1
"""Seconds after which a frame counts half."""

HOLD = 0.4
"""Seconds for which others have to answer before an emoji goes; also how long a face that was lost is remembered."""

MARGIN = 0.1
"""By how much the probability of an expression has to move, unless the cues change, before another emoji counts."""

OVERLAP = 0.3
"""A face is the one before whose box it shares most with, at least so much (intersection over union)."""

SEEN_FROM, SEEN_UNTIL = 0.45, 0.3
"""Averaged confidence at which a cue appears, and below which it goes; one that was not seen counts 0."""


@dataclass(slots=True)
class _Answer:
    """The answer on show: that of a face as it was when the answer came up, among so many faces."""

    face: FaceReading
    faces: int
    others_since: float | None = None

    def hold(self, face: FaceReading, faces: int, seconds: float) -> FaceReading:
        """Return the face whose answer to show: the last one until others have answered for `HOLD` on end."""
        if face.emoji == self.face.emoji or not self._has_changed(face):
            self.others_since = None
        elif self.others_since is None:
            self.others_since = seconds
        elif seconds - self.others_since >= HOLD:
            self.face, self.faces, self.others_since = face, faces, None
        return self.face

    def _has_changed(self, face: FaceReading) -> bool:
        moved = (abs(score - self.face.scores.get(name, 0.0)) for name, score in face.scores.items())
        return max(moved) >= MARGIN or face.cues.keys() != self.face.cues.keys()


@dataclass(slots=True)
class _Track:
    """One face over time, with the averages it is chosen by."""

    box: Box
    seconds: float
    scores: dict[str, float] = field(default_factory=dict)
    confidences: dict[str, float] = field(default_factory=dict)
    cues: dict[str, float] = field(default_factory=dict)
    answer: _Answer | None = None

    def average(self, face: FaceReading, seconds: float) -> FaceReading:
        """Take a frame in, and return the face with the averages."""
        share = 1 - 0.5 ** ((seconds - self.seconds) / HALF_LIFE) if self.scores else 1.0
        self.box, self.seconds = face.box, seconds
        self.scores = _towards(self.scores, face.scores, share)
        self.confidences = _towards(self.confidences, face.cues, share)
        seen = {
            cue: max(0.5, confidence)
            for cue, confidence in self.confidences.items()
            if confidence >= (SEEN_UNTIL if cue in self.cues else SEEN_FROM)
        }
        self.cues = dict(sorted(seen.items(), key=lambda cue: -cue[1]))
        best = max(self.scores, key=lambda name: self.scores[name])
        return replace(face, expression=best, confidence=self.scores[best], scores=self.scores, cues=self.cues)

    def hold(self, face: FaceReading, faces: int, seconds: float) -> FaceReading:
        """Return the face with the answer to show."""
        self.answer = self.answer or _Answer(face, faces)
        shown = self.answer.hold(face, faces, seconds)
        return replace(face, emoji=shown.emoji, rule=shown.rule)


class Steady:
    """Calms the readings of one stream: keep one for each camera, and call it with every frame that was read.

    Args:
        emoji_map: chooses anew, by the averages.

    Attributes:
        chosen_by: of each face of the last reading, the face as it was when its answer came up, and how many faces
            there were then: `explain` tells by these why.
    """

    def __init__(self, emoji_map: EmojiMap) -> None:
        self._map = emoji_map
        self._tracks: list[_Track] = []
        self._picture: _Answer | None = None
        self.chosen_by: tuple[tuple[FaceReading, int], ...] = ()

    def settle(self, reading: Reading, seconds: float) -> Reading:
        """Return the reading with each face's averaged scores and cues, and with emoji that do not flicker.

        Args:
            reading: of one frame.
            seconds: when it was taken, on any clock that only goes forward.
        """
        tracks = self._follow(reading.faces, seconds)
        averages = [track.average(face, seconds) for track, face in zip(tracks, reading.faces, strict=True)]
        chosen = self._map.apply(replace(reading, faces=tuple(averages)))
        faces = tuple(track.hold(face, len(tracks), seconds) for track, face in zip(tracks, chosen.faces, strict=True))
        self.chosen_by = tuple((track.answer.face, track.answer.faces) for track in tracks if track.answer)
        return replace(reading, faces=faces, emoji=self._of_picture(faces, seconds))

    def _follow(self, faces: tuple[FaceReading, ...], seconds: float) -> list[_Track]:
        """Return the track of each face, a new one where it is new, and remember those lost for a moment."""
        known = [track for track in self._tracks if seconds - track.seconds <= HOLD]
        tracks = []
        for face in faces:
            track = max(known, key=lambda track: _overlap(track.box, face.box), default=None)
            if track and _overlap(track.box, face.box) >= OVERLAP:
                known.remove(track)
            else:
                track = _Track(face.box, seconds)
            tracks.append(track)
        self._tracks = [*tracks, *known]
        return tracks

    def _of_picture(self, faces: tuple[FaceReading, ...], seconds: float) -> Emoji | None:
        main = main_face(faces, self._map.group)
        if main is None:
            self._picture = None
            return None
        if self._picture is None or not any(face.emoji == self._picture.face.emoji for face in faces):
            self._picture = _Answer(main, len(faces))
        return self._picture.hold(main, len(faces), seconds).emoji


def _towards(average: Mapping[str, float], values: Mapping[str, float], share: float) -> dict[str, float]:
    """Move an average towards new values; what either lacks is 0 there, and what has faded is dropped."""
    names = dict.fromkeys((*average, *values))
    moved = {name: average.get(name, 0.0) * (1 - share) + values.get(name, 0.0) * share for name in names}
    return {name: value for name, value in moved.items() if value > 1e-6 or name in values}


def _overlap(one: Box, other: Box) -> float:
    """Intersection over union, 0 to 1."""
    width = min(one.right, other.right) - max(one.left, other.left)
    height = min(one.bottom, other.bottom) - max(one.top, other.top)
    shared = max(0, width) * max(0, height)
    return shared / (one.area + other.area - shared) if shared else 0.0
