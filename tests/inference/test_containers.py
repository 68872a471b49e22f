"""Small pictures of countless parts are refused in every format; photos have more parts than one thinks."""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from inference.errors import ImageTooLarge, UnreadableImage
from inference.photo import decode
from tests.inference.picture_files import (
    COUNTLESS,
    chunk,
    corners,
    encoded,
    grey_tiff,
    in_segments,
    inserted,
    png,
    rational_exif,
    run_length_bmp,
    segment,
)


@pytest.mark.filterwarnings("ignore::UserWarning")  # photo.py ignores Pillow's; pytest's own filters override that
@pytest.mark.parametrize(("make", "read", "refused"), COUNTLESS.values(), ids=COUNTLESS.keys())
def test_countless_parts_are_refused(make: Callable[[int], bytes], read: int, refused: int) -> None:
    photo = decode(make(read))
    assert {photo.width, photo.height} == {64, 48}
    with pytest.raises(UnreadableImage, match=r"The (JPEG|PNG|GIF|BMP|TIFF) has an absurd number of parts\. Send"):
        decode(make(refused))


def test_a_jpeg_of_countless_colours_is_refused() -> None:
    data = encoded(corners(), "JPEG")
    at = data.index(b"\xff\xc0")
    frame = segment(0xC0, data[at + 4 : at + 19] + b"\1\x11\0" * 20_000)
    with pytest.raises(UnreadableImage, match="parts"):
        decode(data[:at] + frame * 10 + data[at:])


def test_parts_behind_damage_are_counted() -> None:
    data = encoded(corners(), "JPEG")
    with pytest.raises(UnreadableImage, match="parts"):
        decode(data[:2] + b"\xff\xff\0junk\xff\0\xff" + b"\xff\xfe\0\2" * 160_000 + data[2:])


@pytest.mark.parametrize("order", ["<", ">"])
def test_tags_of_a_directory_that_is_hidden_are_counted(order: str) -> None:
    """The place of EXIF may be a short number, or the first of several."""
    header = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 32)
    for kind, count, value in ((3, 1, struct.pack(order + "H", 8) + b"\xff\xff"), (4, 2, struct.pack(order + "I", 24))):
        inner = struct.pack(order + "HHHII", 1, 33434, 5, 80_000, 300)[:14].ljust(16, b"\0")
        tag = struct.pack(order + "HHHI", 1, 34665, kind, count) + value
        data = header + inner + struct.pack(order + "II", 8, 8) + tag + b"\0" * 4
        with pytest.raises(UnreadableImage, match="parts"):
            decode(data.ljust(640_400, b"\0"))


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "HEIF"])
def test_orientation_among_countless_numbers_is_ignored(kind: str) -> None:
    assert decode(encoded(corners(), kind, exif=rational_exif(20_000))).width == 48
    assert decode(encoded(corners(), kind, exif=rational_exif(80_000))).height in (48, 64)


def test_a_large_bmp_in_runs_is_refused() -> None:
    runs = (b"\xfa\x40" * 8 + b"\0\0") * 2000
    assert decode(run_length_bmp(2000, 2000, runs)).width == 2000
    with pytest.raises(ImageTooLarge, match="at most 4 million"):
        decode(run_length_bmp(2000, 2001, runs))


def test_what_photos_have_many_of_is_read() -> None:
    profile = b"".join(segment(0xE2, b"ICC_PROFILE\0" + bytes((part, 255)) + bytes(9000)) for part in range(1, 256))
    extended = segment(0xE1, b"http://ns.adobe.com/xmp/extension/\0" + bytes(30_000)) * 300
    resources = segment(0xED, b"Photoshop 3.0\0" + b"8BIM\4\1\0\0\0\0\0\0" * 200) * 20
    padding = bytes(60_000)
    data = inserted("JPEG", 2, in_segments(rational_exif(8000)) + profile + extended + resources + padding)
    assert decode(data).width == 48

    noise = np.random.default_rng(0).integers(0, 256, (1500, 2000, 3), np.uint8)
    whole = encoded(Image.fromarray(noise), "PNG", compress_level=0)
    content, at = b"", 33
    while (length := int.from_bytes(whole[at : at + 4])) or whole[at + 4 : at + 8] == b"IDAT":
        content, at = content + whole[at + 8 : at + 8 + length], at + 12 + length
    pieces = [chunk(b"IDAT", content[at : at + 512]) for at in range(512, len(content), 512)]
    assert len(pieces) > 17_000
    end = chunk(b"IEND", b"")
    data = png(2000, 1500, 8, 2, content[:512]).removesuffix(end) + b"".join(pieces) + end
    assert np.array_equal(decode(data).pixels, noise)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_a_film_of_a_thousand_frames_is_read(kind: str) -> None:
    frames = [Image.new("RGB", (16, 16), (frame % 256, frame // 256, 0)) for frame in range(1000)]
    assert decode(encoded(frames[0], kind, save_all=True, append_images=frames[1:])).width == 16


def test_a_tall_tiff_of_one_row_a_strip_is_read() -> None:
    rows = 12_000
    tags = [(256, 4, 1, 300), (257, 4, 1, rows), (278, 4, 1, 1), (273, 4, rows, 8), (279, 4, rows, 8 + 4 * rows)]
    assert decode(grey_tiff(tags, b"\x40\0\0\0" * 2 * rows)).height == rows
    data = encoded(corners(300, rows), "TIFF", compression="tiff_lzw", strip_size=1)
    assert struct.pack("<HHI", 273, 4, rows) in data
    assert decode(data).height == rows
