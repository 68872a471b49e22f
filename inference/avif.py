"""How large the frames of an AVIF are in truth: the box that declares the size may lie, AV1's own header may not.

The layout is that of ISO/IEC 14496-12 (boxes) and of the AV1 bitstream specification, 5.3 and 5.5 (OBUs).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from inference.containers import Budget

# A photo has a handful, a grid of photos some hundreds; each costs time, however short it is.
_MOST_PARTS = 20_000
_SEQUENCE_HEADER = 1
_LONGEST_HEADER = 512  # bytes; a whole one has fewer


class _Bits:
    """Reads numbers of any length, highest bit first; behind the end are zeros."""

    def __init__(self, data: bytes) -> None:
        self._number = int.from_bytes(data)
        self._left = 8 * len(data)

    def read(self, count: int) -> int:
        """Return the next `count` bits."""
        self._left -= count
        number = self._number >> self._left if self._left >= 0 else self._number << -self._left
        return number & ((1 << count) - 1)


class _Numbers:
    """Reads numbers of whole bytes, one after another; behind the end are zeros."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data, self._at = data, at

    def read(self, count: int) -> int:
        """Return the number in the next `count` bytes."""
        self._at += count
        return int.from_bytes(self._data[self._at - count : self._at])

    @property
    def ended(self) -> bool:
        """True behind the end."""
        return self._at > len(self._data)


def frame_sizes(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield the largest width and height, px, that each AV1 sequence of an AVIF allows its frames.

    Raises:
        UnreadableImage: more parts than any photo has.
    """
    budget = Budget("AVIF", _MOST_PARTS)
    for coded in _coded(data, budget):
        at = 0
        while at < len(coded) and not coded[at] & 0x80:
            budget.spend()
            kind, has_extension, has_length = coded[at] >> 3, coded[at] & 4, coded[at] & 2
            at += 2 if has_extension else 1
            length, at = _leb128(coded, at) if has_length else (len(coded) - at, at)
            if kind == _SEQUENCE_HEADER:
                yield _largest_frame(_Bits(bytes(coded[at : at + min(length, _LONGEST_HEADER)])))
            at += length


def _leb128(data: memoryview, at: int) -> tuple[int, int]:
    """Return a number of seven bits a byte, and where it ends."""
    number = 0
    for place, byte in enumerate(data[at : at + 8]):
        number |= (byte & 0x7F) << (7 * place)
        if not byte & 0x80:
            return number, at + place + 1
    return len(data), at


def _largest_frame(bits: _Bits) -> tuple[int, int]:
    """Read a sequence header up to the size."""
    bits.read(4)  # profile, still picture
    if bits.read(1):  # the short form
        bits.read(5)
    else:
        _skip_operating_points(bits)
    width, height = bits.read(4) + 1, bits.read(4) + 1  # in bits
    return bits.read(width) + 1, bits.read(height) + 1


def _skip_operating_points(bits: _Bits) -> None:
    delay_length = 0
    if bits.read(1):  # timing
        bits.read(64)
        if bits.read(1):
            zeros = next((count for count in range(32) if bits.read(1)), 32)
            bits.read(zeros % 32)
        if bits.read(1):  # decoder model
            delay_length = bits.read(5) + 1
            bits.read(42)
    has_display_delay = bits.read(1)
    for _ in range(bits.read(5) + 1):
        bits.read(12)
        if bits.read(5) > 7:
            bits.read(1)
        if delay_length and bits.read(1):
            bits.read(2 * delay_length + 1)
        if has_display_delay and bits.read(1):
            bits.read(4)


def _coded(data: bytes, budget: Budget) -> Iterator[memoryview]:
    """Yield what may be AV1: each item of a picture, and each chunk of a track up to the end of the file."""
    view = memoryview(data)
    idat = data.find(b"idat") + 4  # one that is in a file twice is libavif's to refuse
    joined = Budget("AVIF", 2 * len(data))
    for box in re.finditer(b"iloc|stco|co64", data):
        budget.spend()
        if box[0] == b"iloc":
            yield from _items(data, box.end(), idat, budget, joined)
            continue
        numbers, size = _Numbers(data, box.end() + 4), 8 if box[0] == b"co64" else 4
        for _ in range(numbers.read(4)):
            budget.spend()
            if numbers.ended:
                break
            yield view[numbers.read(size) :]


def _items(data: bytes, at: int, idat: int, budget: Budget, joined: Budget) -> Iterator[memoryview]:
    """Yield the items that a box of locations names, the pieces of each put together.

    Args:
        data: the file.
        at: where the box's content begins.
        idat: where the content of the box of data begins, for items that lie in it.
        budget: of parts, for the whole file.
        joined: of bytes that may be put together, likewise.
    """
    view = memoryview(data)
    numbers = _Numbers(data, at)
    version, _ = numbers.read(1), numbers.read(3)
    sizes, more_sizes = numbers.read(1), numbers.read(1)
    for _ in range(numbers.read(4 if version == 2 else 2)):
        budget.spend()
        numbers.read(4 if version == 2 else 2)
        start = idat if version > 0 and numbers.read(2) & 15 == 1 else 0
        numbers.read(2)
        start += numbers.read(more_sizes >> 4)
        pieces = []
        for _ in range(numbers.read(2)):
            budget.spend()
            numbers.read(more_sizes & 15 if version else 0)
            offset, length = start + numbers.read(sizes >> 4), numbers.read(sizes & 15)
            pieces.append(view[offset : offset + length] if length else view[offset:])
        if numbers.ended:
            return
        if len(pieces) > 1:
            joined.spend(sum(map(len, pieces)))
        yield pieces[0] if len(pieces) == 1 else memoryview(b"".join(pieces))
