"""Untrusted bytes -> an upright RGB array. Formats, and limits on bytes, pixels and memory, live here."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from inference.avif import frame_sizes
from inference.containers import CountedFile, check_exif, check_parts
from inference.errors import ImageTooLarge, PhotoError, UnreadableImage, UnsupportedFormat, size_in_words
from inference.reading import PhotoLimits

# A face needs about 64 px, and in a group photo it may be a 25th of the width. The long side ends up below twice this.
WORKING_SIDE = 1600

# These decoders hold a photo several times over; lower ceilings keep every decode under 700 MB. Measured at the peak,
# in bytes a pixel: TIFF and WebP 15, AVIF 16 (about 24 above 8 bits a channel), HEIC 12 (20 above 8 bits).
_MAX_PIXELS = {"TIFF": 40_000_000, "WEBP": 40_000_000, "AVIF": 26_000_000, "HEIF": 50_000_000}
_MAX_PIXELS_DEEP_HEIF = 32_000_000
# A TIFF of 16 bits in three or four colours takes twice as long a pixel as other photos: so it stays below two seconds.
_MAX_PIXELS_DEEP_TIFF = 32_000_000
# Each scan and each EXIF segment of a JPEG costs time, however short it is. libjpeg-turbo advises this for scans.
_MAX_JPEG_PARTS = 500
# Each scan goes over the whole picture: 45 ms for 62 million pixels. Progressive photos have about ten.
_MAX_SCANNED_PIXELS = 1_500_000_000
# Interlaced, a PNG's pixels take twice as long, up to 55 ns.
_MAX_PIXELS_INTERLACED = 24_000_000
# Pillow unpacks a run-length encoded BMP in Python: 150 ns for a pixel.
_MAX_PIXELS_RUNS = 4_000_000
_TOO_MANY_PARTS = "The JPEG has an absurd number of parts. Send a copy saved anew."
_TILE_SIDE = 1024

_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}

# Pillow's remarks on odd metadata and on sizes are for programmers; what matters to the sender is raised below.
warnings.filterwarnings("ignore", module=r"PIL\.")


@dataclass(frozen=True, slots=True)
class Photo:
    """A decoded photo.

    Attributes:
        pixels: (rows, columns, 3) RGB, upright, C-contiguous; reduced by a whole factor when the photo is large.
        width: of the upright photo at full size, px.
        height: likewise.
    """

    pixels: NDArray[np.uint8]
    width: int
    height: int

    @property
    def scale(self) -> float:
        """Full-size pixels per pixel of `pixels`, 1.0 or more; the last row and column may stand for fewer."""
        return float(-(-max(self.width, self.height) // max(self.pixels.shape[:2])))


_DEFAULT_LIMITS = PhotoLimits()


def decode(data: bytes, limits: PhotoLimits = _DEFAULT_LIMITS) -> Photo:
    """Return the first picture in `data`, whatever its file was called.

    Safe to call from many threads at once.

    Args:
        data: an encoded picture; its format is told by its first bytes.
        limits: the most bytes and pixels that are accepted.

    Raises:
        UnreadableImage: empty, damaged or cut short.
        UnsupportedFormat: not JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF or HEIC.
        ImageTooLarge: over `limits`, or over what its format can be unpacked from in about 700 MB.
    """
    if not data:
        raise UnreadableImage("The file is empty. Send the photo again.")
    if len(data) > limits.max_bytes:
        raise ImageTooLarge(
            f"The file has more than the {size_in_words(limits.max_bytes)} that are read at most. Send a smaller copy."
        )
    kind = _format_of(data)
    if kind is None:
        raise UnsupportedFormat(
            "This is not a photo we can read. Send a JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF or HEIC file."
        )
    try:
        return _decode(data, kind, limits.max_pixels)
    except PhotoError:
        raise
    except (MemoryError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageTooLarge("The photo is too large to unpack. Send a smaller copy.") from error
    except Exception as error:  # decoders raise anything on damaged bytes
        raise UnreadableImage("The photo is damaged or cut short. Send it again, or another copy.") from error


def _format_of(data: bytes) -> str | None:
    """Return Pillow's name of the format that the first bytes announce."""
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WEBP"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if data.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return "TIFF"
    if data.startswith(b"BM") and data[15:18] == b"\0\0\0":  # a text may begin with BM too
        return "BMP"
    if data[4:8] == b"ftyp":  # videos begin like this as well: the brands tell
        brands = {data[i : i + 4] for i in range(8, min(int.from_bytes(data[:4]), 256), 4)}
        if brands & {b"avif", b"avis"}:
            return "AVIF"
        if brands & _HEIF_BRANDS:
            return "HEIF"
    return None


def _decode(data: bytes, kind: str, max_pixels: int) -> Photo:
    max_pixels = min(max_pixels, _MAX_PIXELS.get(kind, max_pixels))
    scans = data.count(b"\xff\xda") if kind == "JPEG" else 0
    if kind == "JPEG" and max(scans, data.count(b"Exif\0\0")) > _MAX_JPEG_PARTS:
        raise UnreadableImage(_TOO_MANY_PARTS)
    check_parts(data, kind)
    if kind in ("AVIF", "HEIF"):  # libheif tells the size after cropping only, and libavif calls huge pictures damaged
        for size in re.finditer(rb"(?s)ispe\0{4}(.{4})(.{4})", data):
            _check_size(int.from_bytes(size[1]), int.from_bytes(size[2]), max_pixels, padding=64)
    if kind == "AVIF":  # and unpacks frames of any size, to shrink them to the declared one
        for width, height in frame_sizes(data):
            _check_size(width, height, max_pixels, padding=64)
        # libavif refuses a photo for junk in its EXIF, which nobody needs: irot turns an AVIF
        data = re.sub(rb"(?s)(infe.{8,10})Exif", rb"\1none", data)
    if kind == "HEIF":
        _register_heif()

    with Image.open(CountedFile(data, kind), formats=[kind]) as image:
        if kind == "HEIF" and image.info["bit_depth"] > 8:
            max_pixels = min(max_pixels, _MAX_PIXELS_DEEP_HEIF)
        width, height = image.size
        _check_size(width, height, max_pixels)
        if kind == "TIFF":  # a tile is unpacked whole, however small the picture
            tags = image.tag_v2  # type: ignore[attr-defined]
            if max(tags.get(258, (1,))) * len(image.getbands()) > 32:
                max_pixels = min(max_pixels, _MAX_PIXELS_DEEP_TIFF)
                _check_size(width, height, max_pixels)
            _check_size(tags.get(322, 0), tags.get(323, 0), max_pixels)
        if kind == "PNG" and image.info.get("interlace"):
            _check_size(width, height, min(max_pixels, _MAX_PIXELS_INTERLACED))
        if kind == "BMP" and image.info.get("compression") in (1, 2):
            _check_size(width, height, min(max_pixels, _MAX_PIXELS_RUNS))
        if kind == "JPEG":
            if scans * width * height > _MAX_SCANNED_PIXELS:
                raise UnreadableImage(_TOO_MANY_PARTS)
            factor = max(1, max(width, height) // WORKING_SIDE)
            image.draft(None, (max(1, width // factor), max(1, height // factor)))
        image.load()
        if kind != "JPEG":  # the size in the header of a HEIC or TIFF need not be the last word
            width, height = image.size
            _check_size(width, height, max_pixels)
        orientation = _orientation(image)
        pixels = _reduced_rgb(image)

    if orientation >= 5:
        pixels, width, height = pixels.swapaxes(0, 1), height, width
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return Photo(np.ascontiguousarray(pixels), width, height)


def _check_size(width: int, height: int, max_pixels: int, padding: int = 0) -> None:
    """Refuse a size over the limit, unless so many columns and rows of `padding` account for it."""
    if width * height - padding * (width + height) > max_pixels:
        raise ImageTooLarge(
            f"The photo has {width} x {height} pixels and at most "
            + (f"{max_pixels / 1e6:g} million" if max_pixels >= 1e6 else f"{max_pixels}")
            + " are read. Send a smaller copy."
        )


@cache
def _register_heif() -> None:
    from pillow_heif import register_heif_opener  # late: most photos never need it

    register_heif_opener()


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation still to be applied, 1 to 8; junk counts as 1.

    Pillow has turned a loaded TIFF, and pillow-heif a HEIC, and both then report 1.
    """
    try:
        check_exif(image.info.get("exif") or b"")
        value = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # metadata never fails a photo
        return 1
    return int(value) if value is not None and value in range(1, 9) else 1


def _reduced_rgb(image: Image.Image) -> NDArray[np.uint8]:
    """Return (rows, columns, 3), the loaded image averaged over whole blocks until its long side is < 2 `WORKING_SIDE`.

    Tile by tile, so that beside the decoder's own copy no second one is held. Colours are resolved before they are
    averaged. ICC profiles are left alone: the network sees grey, which they hardly move.
    """
    width, height = image.size
    factor = max(1, max(width, height) // WORKING_SIDE)
    if factor == 1 and image.mode == "RGB" and not image.has_transparency_data:
        return np.asarray(image)  # like most JPEGs: nothing to convert or to average
    white = _white_level(image, factor) if image.mode in ("I", "F") else 255.0
    side = factor * max(1, _TILE_SIDE // factor)
    pixels = np.empty((-(-height // factor), -(-width // factor), 3), np.uint8)
    for top in range(0, height, side):
        for left in range(0, width, side):
            tile = _rgb(image.crop((left, top, min(left + side, width), min(top + side, height))), white)
            row, column = top // factor, left // factor
            block = np.asarray(tile.reduce(factor))
            pixels[row : row + block.shape[0], column : column + block.shape[1]] = block
    return pixels


def _white_level(image: Image.Image, factor: int) -> float:
    """Return the value meant as white: 32-bit numbers run to 1, 255, 65535 or more, and no header says which."""
    mean = np.nan_to_num(np.asarray(image.reduce(factor)), posinf=0, neginf=0).mean(dtype=np.float64)
    return next((white for white in (1.0, 255.0, 65535.0) if mean <= white), 2.0**31)


def _rgb(tile: Image.Image, white: float) -> Image.Image:
    """Return the tile in mode RGB: 16 and 32 bits scaled to 8, whatever is transparent laid on white."""
    if tile.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(tile) >> 8).astype(np.uint8)).convert("RGB")
    if tile.mode in ("I", "F"):
        values = np.nan_to_num(np.asarray(tile)) / white
        return Image.fromarray((values.clip(0, 1) * 255).astype(np.uint8)).convert("RGB")
    if tile.has_transparency_data:
        ground = Image.new("RGBA", tile.size, "white")
        ground.alpha_composite((tile.convert("LA") if tile.mode == "La" else tile).convert("RGBA"))
        tile = ground
    return tile.convert("RGB")
