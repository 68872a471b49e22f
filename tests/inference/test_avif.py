"""The true size of an AVIF's frames is known before they are unpacked, wherever in the file they are."""

from __future__ import annotations

import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from inference.avif import frame_sizes
from inference.errors import ImageTooLarge, UnreadableImage
from inference.photo import decode
from inference.reading import PhotoLimits
from tests.inference.picture_files import corners, encoded, half_clear

SMALL = encoded(corners(101, 77), "AVIF", speed=10)
FILM = encoded(corners(), "AVIF", speed=10, save_all=True, append_images=[half_clear("RGB")])
START = b"\0\0\0\x1cftypavif"
LOCATIONS = b"iloc\0\0\0\0\x44\0"  # version 0, offsets and lengths of four bytes


def header(width: int, height: int, *, timing: bool = False, points: int = 1) -> bytes:
    """An AV1 sequence header up to its size, in the long form, as the specification's 5.5.1 has it."""
    bits = "000" + "0" + "0"
    bits += "1" + "0" * 63 + "1" + "1" + "00110" + "1" + "00101" + "0" * 42 if timing else "0"
    bits += "1" + f"{points - 1:05b}"
    # Each: layers, a level above 7 and its tier, a decoder model of 6 bits twice and one, a display delay.
    bits += ("0" * 12 + "01000" + "1" + ("1" + "0" * 13 if timing else "") + "1" + "0101") * points
    bits += "1111" + "1111" + f"{width - 1:016b}" + f"{height - 1:016b}" + "0" * 7
    return bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits) // 8 * 8, 8))


def unit(kind: int, content: bytes) -> bytes:
    length = len(content)
    coded = bytes([length]) if length < 128 else bytes([length & 127 | 128, length >> 7])
    return bytes([kind << 3 | 2]) + coded + content


def file_of(*pieces: bytes) -> bytes:
    """A file of one item that lies in pieces, last piece first."""
    place = len(START + LOCATIONS) + 2 + 6 + 8 * len(pieces)
    where, body = b"", b""
    for piece in reversed(pieces):
        where = struct.pack(">II", place + len(body), len(piece)) + where
        body += piece
    return START + LOCATIONS + struct.pack(">HHHH", 1, 1, 0, len(pieces)) + where + body


def test_pictures_and_films_tell_their_size() -> None:
    assert set(frame_sizes(SMALL)) == {(101, 77)}
    assert set(frame_sizes(FILM)) == {(64, 48)}
    assert set(frame_sizes(encoded(half_clear("RGBA"), "AVIF"))) == {(64, 48)}


def test_a_frame_larger_than_declared_is_refused_unread() -> None:
    lie = SMALL.replace(struct.pack(">II", 101, 77), struct.pack(">II", 16, 12))
    assert lie != SMALL
    assert decode(SMALL, PhotoLimits(max_pixels=101 * 77)).width == 101
    picture = encoded(corners(400, 300), "AVIF", speed=10)
    with pytest.raises(ImageTooLarge, match="400 x 300"):
        decode(picture.replace(struct.pack(">II", 400, 300), struct.pack(">II", 16, 12)), PhotoLimits(max_pixels=9000))


@pytest.mark.parametrize("timing", [False, True])
@pytest.mark.parametrize("points", [1, 2, 32])
def test_the_long_form_of_the_header(timing: bool, points: int) -> None:
    content = header(16384, 9000, timing=timing, points=points)
    assert list(frame_sizes(file_of(unit(2, b"") + unit(1, content)))) == [(16384, 9000)]


def test_a_header_in_two_pieces_or_behind_others() -> None:
    coded = unit(2, b"") + unit(15, bytes(300)) + unit(1, header(640, 480)) + unit(1, header(12_000, 9000))
    assert list(frame_sizes(file_of(coded))) == [(640, 480), (12_000, 9000)]
    cut = len(coded) - 5
    assert list(frame_sizes(file_of(coded[:cut], coded[cut:]))) == [(640, 480), (12_000, 9000)]


@pytest.mark.parametrize(
    "rest",
    [
        b"iloc\2\0\0\0\x44\x44\xff\xff\xff\xff" * 200_000,
        b"iloc" * 1_000_000,
        b"stco\0\0\0\0\xff\xff\xff\xff" * 200_000,
        LOCATIONS + struct.pack(">HHHHII", 1, 1, 0, 1, 42, 2**31) + b"\x12\0" * 500_000,
        LOCATIONS + struct.pack(">HHHH", 1, 1, 0, 3) + struct.pack(">II", 0, 2**31) * 3 + bytes(100_000),
        (LOCATIONS + struct.pack(">HHHH", 1, 1, 0, 2) + struct.pack(">II", 0, 2**31) * 2) * 3000 + bytes(10_000_000),
    ],
    ids=["items", "boxes", "chunks", "units", "overlapping pieces", "boxes of overlapping pieces"],
)
def test_countless_parts_are_refused(rest: bytes) -> None:
    with pytest.raises(UnreadableImage, match="parts"):
        list(frame_sizes(b"\x12\0" * 8 + rest))


@given(st.sampled_from([SMALL, FILM]), st.lists(st.tuples(st.integers(0, 600), st.binary(min_size=1, max_size=4))))
def test_any_bytes_give_sizes_or_an_error(data: bytes, changes: list[tuple[int, bytes]]) -> None:
    mutated = bytearray(data)
    for at, replacement in changes:
        mutated[at : at + len(replacement)] = replacement
    with suppress(UnreadableImage):
        assert all(width > 0 and height > 0 for width, height in frame_sizes(bytes(mutated)))


def test_a_film_of_many_frames_is_read() -> None:
    frames = [Image.new("RGB", (16, 16), (shade, 0, 0)) for shade in range(40)]
    assert decode(encoded(frames[0], "AVIF", speed=10, save_all=True, append_images=frames[1:])).width == 16
