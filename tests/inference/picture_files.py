"""Picture files for tests and for the fuzz run: every format, depth and orientation, and what tries to do harm."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import Image

pillow_heif.register_heif_opener()

FORMATS = ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF"]


RED, GREEN, BLUE, YELLOW, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (255, 255, 255)


ORIENTATION = 0x0112


def corners(width: int = 64, height: int = 48) -> Image.Image:
    """Four quarters: red, green over blue, yellow."""
    picture = Image.new("RGB", (width, height), RED)
    picture.paste(GREEN, (width // 2, 0, width, height // 2))
    picture.paste(BLUE, (0, height // 2, width // 2, height))
    picture.paste(YELLOW, (width // 2, height // 2, width, height))
    return picture


def encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def exif(orientation: int) -> bytes:
    tags = Image.Exif()
    tags[ORIENTATION] = orientation
    return tags.tobytes()


def deflated_zeros(megabytes: int) -> bytes:
    """What zlib makes of so many zeros, without its time: each block stands alone, so one serves for all."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = deflate.compress(bytes(2**20)) + deflate.flush(zlib.Z_FULL_FLUSH)
    return b"\x78\xda" + block * megabytes + b"\3\0" + struct.pack(">HH", megabytes * 2**20 % 65521, 1)


def png(width: int, height: int, bits: int, colour: int, deflated: bytes, *chunks: bytes) -> bytes:
    """A PNG of any depth."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    body = [chunk(b"IHDR", header), *chunks, chunk(b"IDAT", deflated), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def tiff(tags: dict[int, int], deflated: bytes) -> bytes:
    """An RGB TIFF of one deflated strip, or tile if `tags` have its width (322)."""
    place, count = (324, 325) if 322 in tags else (273, 279)
    tags = {258: 8, 259: 8, 262: 2, 277: 3, count: len(deflated), place: 0, **tags}
    tags[place] = 14 + 12 * len(tags)
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(tags.items()))
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + b"\0" * 4 + deflated


JUNK = {
    "noise": b"\x9f" * 40,
    "short": b"II*\0",
    "far offset": b"II*\0\xff\xff\xff\x7f\0\0",
    "too many tags": b"II*\0\x08\0\0\0\xff\xff" + struct.pack("<HHII", 0x10F, 3, 1, 7) * 3,
    "endless tag": b"II*\0\x08\0\0\0\x01\0" + struct.pack("<HHIII", 0x10F, 2, 0x7FFFFFFF, 0x7FFFFFFF, 0),
    "orientation 99": b"II*\0\x08\0\0\0\x01\0" + struct.pack("<HHIII", ORIENTATION, 3, 1, 99, 0),
    "orientation as text": b"II*\0\x08\0\0\0\x01\0" + struct.pack("<HHI4sI", ORIENTATION, 2, 4, b"six", 0),
    "zero division": b"II*\0\x08\0\0\0\x01\0" + struct.pack("<HHIII", 0x11A, 5, 1, 26, 0) + b"\0" * 8,
}


def heic_10_bit(grey: NDArray[np.uint8]) -> bytes:
    rows, columns = grey.shape
    deep = np.repeat(grey.astype(np.uint16)[..., None] * 257, 3, axis=2)
    buffer = io.BytesIO()
    pillow_heif.from_bytes("RGB;16", (columns, rows), deep.tobytes()).save(buffer, quality=-1, chroma=444)
    return buffer.getvalue()


def paletted() -> Image.Image:
    return corners().quantize(4)


def half_clear(mode: str) -> Image.Image:
    """Black; the left half transparent, so that it must come out white."""
    picture = Image.new(mode, (64, 48), 0 if mode == "LA" else (0, 0, 0, 0))
    picture.paste((0, 255) if mode == "LA" else (0, 0, 0, 255), (32, 0, 64, 48))
    return picture


def declared(kind: str, side: int) -> bytes:
    """A small file whose header claims `side` x `side` pixels."""
    if kind == "PNG":
        return png(side, side, 8, 2, deflated_zeros(1))
    if kind == "TIFF":
        return tiff({256: side, 257: side, 278: side}, deflated_zeros(1))
    data = encoded(corners(64, 64), kind)
    if kind in ("AVIF", "HEIF"):
        at, size = data.index(b"ispe") + 8, struct.pack(">II", side, side)
    elif kind == "JPEG":
        at, size = data.index(b"\xff\xc0") + 5, struct.pack(">HH", side, side)
    elif kind == "BMP":
        at, size = 18, struct.pack("<ii", side, side)
    else:
        at, size = {"GIF": 6, "WEBP": 26}[kind], struct.pack("<HH", side, side)
    return data[:at] + size + data[at + len(size) :]


# Refused by header alone: a WebP cannot declare more than 16383.
HUGE = {kind: declared(kind, 16383 if kind == "WEBP" else 30000) for kind in FORMATS}


# Just over the limit of 64 million pixels, or over the format's own.
OVER = {"TIFF": 6400, "WEBP": 6400, "AVIF": 5200, "HEIF": 7200}


LARGE = {kind: declared(kind, OVER.get(kind, 8100)) for kind in FORMATS}


PIXELS, BOMB = zlib.compress(bytes(200)), deflated_zeros(100)


HOSTILE = {
    "PNG zTXt": png(8, 8, 8, 2, PIXELS, chunk(b"zTXt", b"a\0\0" + BOMB)),
    "PNG zTXts": png(8, 8, 8, 2, PIXELS, *[chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1_000_000)))] * 100),
    "PNG iCCP": png(8, 8, 8, 2, PIXELS, chunk(b"iCCP", b"a\0\0" + BOMB)),
    "PNG IDAT": png(8, 8, 8, 2, BOMB),
    "TIFF tile": tiff({256: 8, 257: 8, 322: 8000, 323: 8000}, BOMB),
    "TIFF strip": tiff({256: 8, 257: 8, 278: 2**31}, BOMB),
    "GIF comments": encoded(corners(), "GIF")[:-1] + b"\x21\xfe\x01a\0" * 100_000,
}


def segment(marker: int, content: bytes) -> bytes:
    """A part of a JPEG."""
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def inserted(kind: str, at: int | bytes, parts: bytes) -> bytes:
    """A picture with something put in at a place, or before some bytes."""
    data = encoded(paletted() if kind == "GIF" else corners(), kind)
    place = at if isinstance(at, int) else data.index(at)
    return data[:place] + parts + data[place:]


def directory(tags: list[tuple[int, int, int, int]], at: int, numbers: bytes) -> bytes:
    """TIFF tags (number, kind, count, value or place) at a place, and what is before it from byte 8 on."""
    entries = b"".join(struct.pack("<HHII", *tag) for tag in sorted(tags))
    return numbers.ljust(at - 8, b"\0") + struct.pack("<H", len(tags)) + entries + b"\0" * 4


def rational_exif(count: int) -> bytes:
    """EXIF of orientation 6 with many numbers for one resolution."""
    tags = [(ORIENTATION, 3, 1, 6), (0x11A, 5, count, 8)]
    return (
        b"II*\0" + struct.pack("<I", 8 + 8 * count) + directory(tags, 8 + 8 * count, struct.pack("<II", 1, 1) * count)
    )


def grey_tiff(tags: list[tuple[int, int, int, int]], numbers: bytes = b"") -> bytes:
    """A TIFF of 64 x 48 pixels, not compressed, all of them the file's first bytes."""
    given = {tag[0] for tag in tags}
    plain = {256: 64, 257: 48, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: 48, 279: 64 * 48}
    tags = [*tags, *((tag, 4, 1, value) for tag, value in plain.items() if tag not in given)]
    at = 8 + max(len(numbers), 64 * 48)
    return b"II*\0" + struct.pack("<I", at) + directory(tags, at, numbers)


def tiff_with_exif(count: int) -> bytes:
    """A TIFF whose directory of EXIF has many numbers."""
    at = 8 + max(8 * count, 64 * 48)
    inner = directory([(33434, 5, count, 8)], at, struct.pack("<II", 1, 1) * count)
    return grey_tiff([(34665, 4, 1, at)], inner)


def run_length_bmp(width: int, height: int, coded: bytes) -> bytes:
    """A grey BMP in runs of 8 bits."""
    palette = b"".join(bytes((shade, shade, shade, 0)) for shade in range(256))
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(coded), 0, 0, 256, 0) + palette
    start = 14 + len(header)
    return b"BM" + struct.pack("<IHHI", start + len(coded), 0, 0, start) + header + coded


def in_segments(content: bytes) -> bytes:
    """EXIF as Pillow takes it from a JPEG: any number of segments."""
    pieces = [content[at : at + 65_000] for at in range(0, len(content), 65_000)]
    return b"".join(segment(0xE1, b"Exif\0\0" + piece) for piece in pieces)


GIF_START = 13 + 3 * 4  # behind the header and a palette of four


# Small pictures of so many parts, each of which costs Pillow a step in Python: how many are read, and how many are not.
COUNTLESS: dict[str, tuple[Callable[[int], bytes], int, int]] = {
    "JPEG comments": (lambda count: inserted("JPEG", 2, segment(0xFE, b"") * count), 50_000, 160_000),
    "JPEG fill bytes": (lambda count: inserted("JPEG", 2, b"\xff" * count), 200_000, 600_000),
    "JPEG tables": (lambda count: inserted("JPEG", 2, segment(0xDB, b"\0" + b"\1" * 64) * count), 1000, 7000),
    "JPEG resources": (
        lambda count: inserted("JPEG", 2, segment(0xED, b"Photoshop 3.0\0" + b"8BIM\4\1" * 5000) * count), 20, 40,
    ),
    "JPEG EXIF": (lambda count: inserted("JPEG", 2, in_segments(rational_exif(count))), 20_000, 80_000),
    "PNG chunks": (lambda count: inserted("PNG", 33, chunk(b"abCd", b"") * count), 50_000, 260_000),
    "PNG chunks at the end": (lambda count: inserted("PNG", -12, chunk(b"abCd", b"") * count), 50_000, 260_000),
    "PNG empty data": (lambda count: inserted("PNG", 33, chunk(b"IDAT", b"") * count), 50_000, 260_000),
    "PNG profiles": (
        lambda count: inserted("PNG", 33, chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(1_000_000))) * count), 20, 201,
    ),
    "GIF comments": (lambda count: inserted("GIF", GIF_START, b"\x21\xfe\0" * count), 50_000, 200_000),
    "GIF blocks": (lambda count: inserted("GIF", GIF_START, b"\x21\xfe" + b"\1x" * count + b"\0"), 50_000, 260_000),
    "GIF junk": (lambda count: inserted("GIF", GIF_START, b"\0" * count), 200_000, 510_000),
    "BMP steps": (
        lambda count: run_length_bmp(64, 48, b"\0\2\0\0" * count + b"\x40\x80\0\0" * 48), 20_000, 700_000,
    ),
    "TIFF strips": (
        lambda count: grey_tiff([(273, 4, count, 8), (278, 4, 1, 1), (279, 4, count, 8)], b"\x40\0\0\0" * count),
        40_000, 80_000,
    ),
    "TIFF tags": (lambda count: grey_tiff([(40_000 + tag, 7, 1000, 8) for tag in range(count)]), 2000, 16_000),
    "TIFF numbers": (lambda count: grey_tiff([(282, 5, count, 8)], struct.pack("<II", 1, 1) * count), 20_000, 80_000),
    "TIFF EXIF": (tiff_with_exif, 20_000, 80_000),
}  # fmt: skip
