"""Picture files for tests and for the fuzz run: every format, depth and orientation, and what tries to do harm."""

from __future__ import annotations

import io
import struct
import zlib
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
