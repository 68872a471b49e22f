"""How many parts a file has: Pillow goes over some of them one by one, in Python, however small the picture is.

Every such step reads from the file, so reads are counted. What comes in one read, but is taken apart number by number
or inflated, is counted in the file before Pillow sees it.
"""

from __future__ import annotations

import re
import struct
from io import BytesIO
from typing import Literal

from inference.errors import UnreadableImage

# A step takes half a microsecond or one. A PNG's chunk needs two or three, a JPEG's segment four, a run of a BMP two.
_MOST_READS = {"BMP": 2_000_000}
_MOST_READS_ELSEWHERE = 500_000
# Up to five microseconds each. A TIFF of 12,000 rows, each a strip in three planes, has half as many.
_MOST_PARTS = 150_000
# A tag is looked at several times.
_PARTS_OF_A_TAG = 10
# Whatever is in it takes 20 ms.
_SHORT_EXIF = 65_536
# Each may be inflated to a megabyte, two milliseconds. Pillow limits their sum only for texts that are sound.
_MOST_INFLATED = 200

_MARKER = re.compile(rb"\xff[\x01-\xfe]")
_SCAN, _EXIF, _PHOTOSHOP, _APPLICATIONS = 0xDA, 0xE1, 0xED, 0xE0
_WITHOUT_CONTENT = range(0xD0, 0xDA)
# Bytes of each kind of number in a TIFF; texts and bytes stay in one piece.
_NUMBERS = {3: 2, 4: 4, 5: 8, 6: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8}
_DIRECTORIES = (34665, 34853, 40965)  # of EXIF, of the place, of interoperability


class Budget:
    """Ends the reading of files made to take long.

    Args:
        kind: of file, for the message.
        parts: that it may have.
    """

    def __init__(self, kind: str, parts: int) -> None:
        self._kind, self._parts = kind, parts

    def spend(self, parts: int = 1) -> None:
        """Count parts.

        Raises:
            UnreadableImage: more than any photo has.
        """
        self._parts -= parts
        if self._parts < 0:
            raise _absurd(self._kind)


class CountedFile(BytesIO):
    """A file in memory that may be read only so often, which is all that bounds some of Pillow's loops."""

    def __init__(self, data: bytes, kind: str) -> None:
        super().__init__(data)
        self._kind, self._left = kind, _MOST_READS.get(kind, _MOST_READS_ELSEWHERE)

    def read(self, size: int | None = -1, /) -> bytes:
        """Read on.

        Raises:
            UnreadableImage: read more often than any photo is.
        """
        self._left -= 1
        if self._left < 0:
            raise _absurd(self._kind)
        return BytesIO.read(self, size)


def _absurd(kind: str) -> UnreadableImage:
    return UnreadableImage(f"The {kind} has an absurd number of parts. Send a copy saved anew.")


def check_parts(data: bytes, kind: str) -> None:
    """Refuse what takes Pillow long although it is read at once.

    Raises:
        UnreadableImage: more parts than any photo has.
    """
    budget = Budget(kind, _MOST_PARTS)
    if kind == "JPEG":
        _spend_segments(data, budget)
    elif kind == "TIFF":
        _spend_tags(data, budget)
    elif kind == "PNG":
        Budget(kind, _MOST_INFLATED).spend(sum(map(data.count, (b"iCCP", b"zTXt", b"iTXt"))))


def check_exif(exif: bytes) -> None:
    """Refuse EXIF whose numbers take Pillow long.

    Raises:
        UnreadableImage: more of them than any photo has.
    """
    if len(exif) > _SHORT_EXIF:
        _spend_tags(exif.removeprefix(b"Exif\0\0").removeprefix(b"Exif\0\0"), Budget("EXIF", _MOST_PARTS))


def _spend_segments(data: bytes, budget: Budget) -> None:
    """Count what is in a JPEG's segments, up to the first scan; Pillow puts those with EXIF together."""
    at, exif = 2, []
    while (marker := _MARKER.search(data, at)) and (kind := marker[0][1]) != _SCAN:
        at = marker.end()
        end = at + max(2, int.from_bytes(data[at : at + 2])) if kind not in _WITHOUT_CONTENT else at
        parts = 1
        if kind < _APPLICATIONS:  # tables, and the list of colours
            parts += (end - at) // 3
        elif kind == _PHOTOSHOP:
            parts += data.count(b"8BIM", at, end)
        elif kind == _EXIF and data.startswith(b"Exif\0\0", at + 2):
            exif.append(data[at + 8 : end])
        budget.spend(parts)
        at = end
    if len(exif) > 1:
        _spend_tags(b"".join(exif).removeprefix(b"Exif\0\0"), budget)


def _spend_tags(data: bytes, budget: Budget) -> None:
    """Count a TIFF's tags and the numbers in them, as Pillow finds them; numbers that go beyond the file it skips."""
    order: Literal["little", "big"] = "little" if data.startswith(b"II") else "big"
    sign = "<" if order == "little" else ">"
    big = data[2:3] == b"+"
    entry, width, head = (struct.Struct(sign + "HHQ8s"), 8, 8) if big else (struct.Struct(sign + "HHL4s"), 4, 2)

    def number(at: int, length: int) -> int:
        return int.from_bytes(data[at : at + length], order)

    directories = [number(width, width)]
    for at in directories:
        tags = number(at, head)
        budget.spend(_PARTS_OF_A_TAG * tags)
        content = data[at + head : at + head + tags * entry.size]
        for tag, kind, count, value in entry.iter_unpack(content[: len(content) // entry.size * entry.size]):
            size = _NUMBERS.get(kind, 0)
            if not 0 < size * count <= len(data):
                continue
            budget.spend(size * count // 4)
            if tag in _DIRECTORIES:
                whole = int.from_bytes(value, order)
                inside = size * count <= width
                directories.append(int.from_bytes(value[:size], order) if inside else number(whole, size))
