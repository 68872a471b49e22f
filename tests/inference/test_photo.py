"""Whatever arrives becomes an upright RGB array of bounded size, or one of three errors."""

from __future__ import annotations

import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from inference.errors import ImageTooLarge, PhotoError, UnreadableImage, UnsupportedFormat, size_in_words
from inference.photo import WORKING_SIDE, Photo, decode
from inference.reading import PhotoLimits
from tests.inference.picture_files import (
    BLUE,
    FORMATS,
    GREEN,
    HOSTILE,
    HUGE,
    JUNK,
    LARGE,
    ORIENTATION,
    RED,
    WHITE,
    YELLOW,
    chunk,
    corners,
    deflated_zeros,
    encoded,
    exif,
    half_clear,
    heic_10_bit,
    paletted,
    png,
    tiff,
)

ASTRONAUT = Path(__file__).parents[1] / "pictures" / "astronaut.jpg"
ANIMATED = ["PNG", "WEBP", "GIF", "TIFF", "AVIF", "HEIF"]
# What turns an upright picture into the one a camera stores under each EXIF orientation.
STORED_AS = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def close(value: NDArray[np.uint8], expected: tuple[int, ...], tolerance: int = 12) -> bool:
    return bool((np.abs(value.astype(int) - expected) <= tolerance).all())


def assert_corners(photo: Photo) -> None:
    """`corners`, upright, at any size."""
    rows, columns = photo.pixels.shape[:2]
    assert photo.pixels.dtype == np.uint8
    assert photo.pixels.shape == (rows, columns, 3)
    assert photo.pixels.flags.c_contiguous
    for (row, column), colour in {(1, 1): RED, (1, 3): GREEN, (3, 1): BLUE, (3, 3): YELLOW}.items():
        assert close(photo.pixels[rows * row // 4, columns * column // 4], colour), (row, column)


# Formats


def test_real_photo_keeps_its_pixels() -> None:
    photo = decode(ASTRONAUT.read_bytes())
    assert (photo.width, photo.height, photo.scale) == (512, 512, 1.0)
    assert np.array_equal(photo.pixels, np.asarray(Image.open(ASTRONAUT).convert("RGB")))


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format(kind: str) -> None:
    photo = decode(encoded(corners(), kind))
    assert (photo.width, photo.height) == (64, 48)
    assert_corners(photo)


@pytest.mark.parametrize("kind", ANIMATED)
def test_first_frame_of_many(kind: str) -> None:
    data = encoded(corners(), kind, save_all=True, append_images=[Image.new("RGB", (64, 48), BLUE)])
    assert_corners(decode(data))


def test_multi_picture_jpeg_gives_the_first() -> None:
    assert_corners(decode(encoded(corners(), "MPO", save_all=True, append_images=[Image.new("RGB", (64, 48), BLUE)])))


def test_heif_with_a_neutral_major_brand() -> None:
    for kind, brand in (("HEIF", b"heic"), ("AVIF", b"avif")):
        data = encoded(corners(), kind)
        assert data[8:12] == brand
        assert_corners(decode(data[:8] + b"mif1" + data[12:]))


# Orientation


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_orientation(kind: str, orientation: int) -> None:
    method = STORED_AS[orientation]
    stored = corners() if method is None else corners().transpose(method)
    photo = decode(encoded(stored, kind, exif=exif(orientation)))
    assert (photo.width, photo.height) == (64, 48)
    assert_corners(photo)


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_orientation_in_the_xmp_alone(kind: str) -> None:
    xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    stored = corners().transpose(Image.Transpose.ROTATE_90)
    photo = decode(encoded(stored, kind, **({"xmp": xmp} if kind == "JPEG" else {"tiffinfo": {700: xmp}})))
    assert (photo.width, photo.height) == (64, 48)
    assert_corners(photo)


def test_large_jpeg_is_turned_after_its_reduction() -> None:
    photo = decode(encoded(corners(4000, 3000).transpose(Image.Transpose.ROTATE_90), "JPEG", exif=exif(6)))
    assert (photo.width, photo.height, photo.scale, photo.pixels.shape) == (4000, 3000, 2.0, (1500, 2000, 3))
    assert_corners(photo)


@pytest.mark.parametrize("kind", ["AVIF", "HEIF"])
def test_irot_and_exif_together_turn_once(kind: str) -> None:
    tags = Image.Exif()
    tags[ORIENTATION] = tags[ORIENTATION + 1] = 6
    data = encoded(corners().transpose(Image.Transpose.ROTATE_90), kind, exif=tags.tobytes())
    if kind == "AVIF":  # the writer moves the orientation out of the EXIF, cameras leave it there
        data = data.replace(struct.pack(">HH", ORIENTATION + 1, 3), struct.pack(">HH", ORIENTATION, 3))
    assert b"irot" in data
    assert struct.pack(">HHIH", ORIENTATION, 3, 1, 6) in data
    assert_corners(decode(data))


@pytest.mark.filterwarnings("ignore::UserWarning")  # photo.py ignores Pillow's; pytest's own filters override that
@pytest.mark.parametrize("junk", JUNK.values(), ids=JUNK.keys())
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "HEIF"])
def test_junk_in_the_exif_is_ignored(kind: str, junk: bytes) -> None:
    if kind == "AVIF":  # the writer refuses junk, so it takes the place of something valid
        tags = Image.Exif()
        tags[0x10F] = "x" * len(junk)
        data = encoded(corners(), kind, exif=tags.tobytes())
        start = data.index(b"MM\0*")
        data = data[:start] + junk + data[start + len(junk) :]
    else:
        data = encoded(corners(), kind, exif=b"Exif\0\0" + junk)
    assert junk in data
    assert_corners(decode(data))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_junk_colour_profile_is_ignored(kind: str) -> None:
    assert_corners(decode(encoded(corners(), kind, icc_profile=b"\x9f" * 200)))


# Depth, palettes, alpha, inks

RAMP = np.tile(np.arange(256, dtype=np.uint8), (4, 1))
DEEP_ROWS = zlib.compress((b"\0" + np.repeat(RAMP[0], 6).tobytes()) * 4)
DEEP: dict[str, Callable[[], bytes]] = {
    "PNG 16-bit grey": lambda: encoded(Image.fromarray(RAMP.astype(np.uint16) * 257), "PNG"),
    "PNG 16-bit RGB": lambda: png(256, 4, 16, 2, DEEP_ROWS),
    "TIFF 16-bit": lambda: encoded(Image.fromarray(RAMP.astype(np.uint16) * 257), "TIFF"),
    "TIFF 16-bit, big-endian": lambda: encoded(Image.fromarray(RAMP.astype(">u2") * np.uint16(257)), "TIFF"),
    "TIFF 32-bit": lambda: encoded(Image.fromarray(RAMP.astype(np.int32) * 257), "TIFF"),
    "TIFF float to 1": lambda: encoded(Image.fromarray(RAMP.astype(np.float32) / 255), "TIFF"),
    "TIFF float to 255": lambda: encoded(Image.fromarray(RAMP.astype(np.float32)), "TIFF"),
    "TIFF float to 65535": lambda: encoded(Image.fromarray(RAMP.astype(np.float32) * 257), "TIFF"),
    "HEIC 10-bit": lambda: heic_10_bit(RAMP),
}


@pytest.mark.parametrize("make", DEEP.values(), ids=DEEP.keys())
def test_depth_is_scaled_not_clipped(make: Callable[[], bytes]) -> None:
    pixels = decode(make()).pixels.astype(int)
    assert np.abs(pixels - RAMP[..., None]).max() <= 2


def test_float_without_a_number_is_dark_or_light() -> None:
    values = np.full((8, 8), 0.5, np.float32)
    values[0, 0], values[0, 1] = np.nan, np.inf
    pixels = decode(encoded(Image.fromarray(values), "TIFF")).pixels
    assert [int(pixels[at][0]) for at in ((0, 0), (0, 1), (4, 4))] == [0, 255, 127]


def test_nothing_but_nan_is_black() -> None:
    every_kind = np.array([0x7FC00000, 0x7FA00000, 0xFFFFFFFF, 0xFFA00001], np.uint32).view(np.float32)
    assert not decode(encoded(Image.fromarray(np.tile(every_kind, (4, 1))), "TIFF")).pixels.any()


def keyed(mode: str) -> Image.Image:
    """The same by a transparent colour: 9 is clear, 0 is not."""
    picture = Image.new(mode, (64, 48), 9 if mode == "L" else (9, 9, 9))
    picture.paste(0 if mode == "L" else (0, 0, 0), (32, 0, 64, 48))
    return picture


def keyed_palette() -> Image.Image:
    picture = Image.new("P", (64, 48), 1)
    picture.putpalette([0, 0, 0, 0, 0, 0])
    picture.paste(0, (32, 0, 64, 48))
    return picture


EXTRA_SAMPLE = struct.pack("<HHI", 338, 3, 1)  # 1: colours are already multiplied by alpha, 2: they are not
CLEAR: dict[str, Callable[[], bytes]] = {
    "PNG RGBA": lambda: encoded(half_clear("RGBA"), "PNG"),
    "PNG LA": lambda: encoded(half_clear("LA"), "PNG"),
    "PNG RGB key": lambda: encoded(keyed("RGB"), "PNG", transparency=(9, 9, 9)),
    "PNG L key": lambda: encoded(keyed("L"), "PNG", transparency=9),
    "PNG palette": lambda: encoded(keyed_palette(), "PNG", transparency=1),
    "PNG palette with many alphas": lambda: encoded(keyed_palette(), "PNG", transparency=b"\xff\x00\x80"),
    "GIF": lambda: encoded(keyed_palette(), "GIF", transparency=1),
    "WebP": lambda: encoded(half_clear("RGBA"), "WEBP", lossless=True),
    "TIFF RGBA": lambda: encoded(half_clear("RGBA"), "TIFF"),
    "TIFF LA": lambda: encoded(half_clear("LA"), "TIFF"),
    "TIFF La": lambda: encoded(half_clear("LA"), "TIFF").replace(EXTRA_SAMPLE + b"\2", EXTRA_SAMPLE + b"\1"),
    "AVIF": lambda: encoded(half_clear("RGBA"), "AVIF"),
    "HEIC": lambda: encoded(half_clear("RGBA"), "HEIF"),
}


@pytest.mark.parametrize("make", CLEAR.values(), ids=CLEAR.keys())
def test_transparent_is_white(make: Callable[[], bytes]) -> None:
    pixels = decode(make()).pixels
    assert close(pixels[24, 8], WHITE)
    assert close(pixels[24, 56], (0, 0, 0))


def test_half_transparent_is_mixed_with_white() -> None:
    pixels = decode(encoded(Image.new("RGBA", (8, 8), (255, 0, 0, 128)), "PNG")).pixels
    assert close(pixels[4, 4], (255, 127, 127), 1)


def test_16_bit_transparent_colour_does_not_fail_the_photo() -> None:
    data = png(256, 4, 16, 2, DEEP_ROWS, chunk(b"tRNS", struct.pack(">HHH", 257, 0, 65535)))
    assert np.array_equal(decode(data).pixels[0, :, 0], RAMP[0])


@pytest.mark.parametrize("kind", ["PNG", "GIF", "BMP", "TIFF"])
def test_palette(kind: str) -> None:
    assert_corners(decode(encoded(paletted(), kind)))


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_one_bit(kind: str) -> None:
    pixels = decode(encoded(keyed("L").point(lambda value: 255 * (value == 9)).convert("1"), kind)).pixels
    assert close(pixels[24, 8], WHITE, 0)
    assert close(pixels[24, 56], (0, 0, 0), 0)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "AVIF", "HEIF"])
def test_grey(kind: str) -> None:
    assert close(decode(encoded(Image.new("L", (64, 48), 90), kind)).pixels, (90, 90, 90), 2)


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk(kind: str) -> None:
    data = encoded(corners().convert("CMYK"), kind)
    assert kind == "TIFF" or b"Adobe" in data
    assert_corners(decode(data))


def test_ycck() -> None:
    cyan, magenta, yellow, black = corners().convert("CMYK").split()
    luma = Image.merge("RGB", (cyan, magenta, yellow)).convert("YCbCr")
    inverted = Image.merge("CMYK", [channel.point(lambda ink: 255 - ink) for channel in luma.split()] + [black])
    data = encoded(inverted, "JPEG", quality=95)
    transform = data.index(b"Adobe") + 11
    assert data[transform] == 0
    assert_corners(decode(data[:transform] + b"\x02" + data[transform + 1 :]))


# Reduction


@pytest.mark.parametrize("size", [(1600, 1200), (3199, 99), (3200, 100), (101, 4801), (6403, 50), (16001, 8)])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_long_side_is_reduced_by_a_whole_factor(kind: str, size: tuple[int, int]) -> None:
    photo = decode(encoded(corners(*size), kind))
    factor = int(photo.scale)
    assert (photo.width, photo.height) == size
    assert photo.scale == factor
    assert factor == {1600: 1, 3199: 1, 3200: 2, 4801: 2 if kind == "JPEG" else 3, 6403: 4}.get(max(size), factor)
    assert WORKING_SIDE <= max(photo.pixels.shape) < 2 * WORKING_SIDE
    assert photo.pixels.shape == (-(-size[1] // factor), -(-size[0] // factor), 3)
    if min(size) > 8:
        assert_corners(photo)


def test_small_photo_is_not_enlarged() -> None:
    photo = decode(encoded(Image.new("RGB", (1, 2), RED), "PNG"))
    assert (photo.pixels.tolist(), photo.scale) == ([[[255, 0, 0]], [[255, 0, 0]]], 1.0)


def test_reduction_is_the_mean_without_seams() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1101, 4801, 3), np.uint8)
    mean = noise[:, :4800].reshape(367, 3, 1600, 3, 3).mean(axis=(1, 3))
    pixels = decode(encoded(Image.fromarray(noise), "BMP")).pixels
    assert pixels.shape == (367, 1601, 3)
    assert np.abs(pixels[:, :1600] - mean).max() <= 1


# Refusals


@pytest.mark.parametrize(
    "data", [b"hello, I am not a picture", b"BM, said the text", b"%!PS-Adobe-3.0 EPSF", b"8BPS\0\1", b"\0"]
)
def test_other_files_are_unsupported(data: bytes) -> None:
    with pytest.raises(UnsupportedFormat, match="JPEG"):
        decode(data * 50)


def test_video_is_unsupported() -> None:
    with pytest.raises(UnsupportedFormat):
        decode(b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + b"\0" * 100)


def test_empty_file_is_unreadable() -> None:
    with pytest.raises(UnreadableImage, match="empty"):
        decode(b"")


@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
@pytest.mark.parametrize("kind", FORMATS)
def test_truncated_file_is_unreadable(kind: str, share: float) -> None:
    data = encoded(Image.open(ASTRONAUT).resize((128, 96)), kind)
    with pytest.raises(UnreadableImage):
        decode(data[: int(len(data) * share)])


def test_bytes_are_limited() -> None:
    data = ASTRONAUT.read_bytes()
    assert decode(data, PhotoLimits(max_bytes=len(data))).width == 512
    with pytest.raises(ImageTooLarge, match=size_in_words(len(data) - 1)):
        decode(data, PhotoLimits(max_bytes=len(data) - 1))


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 bytes"), (97_656, "97,656 bytes"), (1_048_576, "1 MB"), (1_999_999, "1.9 MB"), (3_000_000, "3 MB"),
        (20 * 2**20, "20 MB"), (100_000_000, "100 MB"),
    ],
)  # fmt: skip
def test_a_size_in_words_is_never_more_than_it_is(size: int, words: str) -> None:
    assert size_in_words(size) == words


@pytest.mark.parametrize("kind", FORMATS)
def test_pixels_are_limited(kind: str) -> None:
    data = encoded(corners(), kind)
    assert decode(data, PhotoLimits(max_pixels=64 * 48)).width == 64
    with pytest.raises(ImageTooLarge, match="64 x 48"):
        decode(data, PhotoLimits(max_pixels=64 * 48 - 1))


@pytest.mark.parametrize("kind", FORMATS)
def test_declared_size_is_limited(kind: str) -> None:
    for data in (HUGE[kind], LARGE[kind]):
        with pytest.raises(ImageTooLarge):
            decode(data)


def test_deep_heic_has_a_lower_limit() -> None:
    deep, plain = heic_10_bit(np.zeros((64, 64), np.uint8)), encoded(corners(64, 64), "HEIF")
    side = struct.pack(">II", 6000, 6000)
    with pytest.raises(ImageTooLarge, match="6000 x 6000"):
        decode(deep.replace(struct.pack(">II", 64, 64), side))
    with pytest.raises(UnreadableImage):  # not refused for its size, but there are fewer pixels than it says
        decode(plain.replace(struct.pack(">II", 64, 64), side))


def test_size_before_cropping_is_limited() -> None:
    data = encoded(corners(), "HEIF")  # coded as 64 x 64 and cropped by its clap box
    assert b"clap" in data
    assert decode(data, PhotoLimits(max_pixels=64 * 48)).height == 48
    at = data.index(b"ispe") + 8
    with pytest.raises(ImageTooLarge, match="9000 x 9000"):
        decode(data[:at] + struct.pack(">II", 9000, 9000) + data[at + 8 :])


@pytest.mark.parametrize("kind", ["AVIF", "HEIF"])
def test_size_that_differs_from_the_declared_one(kind: str) -> None:
    data = encoded(corners(640, 480), kind)
    lie = data.replace(struct.pack(">II", 640, 480), struct.pack(">II", 64, 48))
    assert lie != data
    try:
        photo = decode(lie)
    except UnreadableImage:
        return
    assert photo.width * photo.height <= 640 * 480


@pytest.mark.parametrize("part", [b"\xff\xe1\0\x08Exif\0\0", b"\xff\xda\0\x08\1\1\0\0\x3f\0"], ids=["EXIF", "scans"])
def test_jpeg_of_countless_parts_is_refused_unread(part: bytes) -> None:
    data = encoded(corners(), "JPEG")
    assert_corners(decode(data[:2] + b"\xff\xe1\0\x08Exif\0\0" * 400 + data[2:] + part * 50))
    with pytest.raises(UnreadableImage, match="parts"):
        decode(data[:2] + part * 501 + data[2:])


def test_a_large_jpeg_of_many_scans_is_refused_unread() -> None:
    data = encoded(Image.new("L", (7900, 7900)), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    scan = data[last:-2]
    assert decode(data[:-2] + scan * 8 + data[-2:]).width == 7900
    with pytest.raises(UnreadableImage, match="parts"):
        decode(data[:-2] + scan * 40 + data[-2:])


def test_a_large_interlaced_png_is_refused_unread() -> None:
    """Pillow writes none: the flag in the header of a plain one is enough to be asked."""
    data = bytearray(encoded(Image.new("L", (6000, 6000)), "PNG"))
    data[28] = 1
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    with pytest.raises(ImageTooLarge, match="24 million"):
        decode(bytes(data))


CHILD = """
import sys, types
from pathlib import Path
package = types.ModuleType("inference")  # without the network, for speed
package.__path__ = ["inference"]
sys.modules["inference"] = package
import pillow_heif, numpy
from PIL import Image
from inference.errors import PhotoError
from inference.photo import decode
Image.init()

def memory(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) // 1024

before = memory("VmRSS")
for path in sys.argv[1:]:
    try:
        answer = decode(Path(path).read_bytes()).pixels.shape
    except PhotoError as error:
        answer = error.code
    print(answer, flush=True)
print(memory("VmHWM") - before)
"""


def run_alone(folder: Path, files: dict[str, bytes]) -> tuple[dict[str, str], int]:
    """Return each file's answer and the megabytes needed at the peak, from a process where warnings are errors."""
    paths = []
    for number, data in enumerate(files.values()):
        paths.append(folder / str(number))
        paths[-1].write_bytes(data)
    command = [sys.executable, "-W", "error", "-c", CHILD, *map(str, paths)]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60, check=True)
    assert "Warning" not in done.stderr
    *answers, peak = done.stdout.splitlines()
    return dict(zip(files, answers, strict=True)), int(peak)


linux_only = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@linux_only
def test_bombs_are_not_unpacked(tmp_path: Path) -> None:
    answers, peak = run_alone(tmp_path, HUGE | {f"{kind} large": data for kind, data in LARGE.items()} | HOSTILE)
    assert {name: answer for name, answer in answers.items() if answer == "image_too_large"}.keys() >= {
        *HUGE,
        "TIFF tile",
    }
    assert peak < 100


@linux_only
def test_junk_metadata_warns_nobody(tmp_path: Path) -> None:
    files = {name: encoded(corners(), "JPEG", exif=b"Exif\0\0" + junk) for name, junk in JUNK.items()}
    answers, _ = run_alone(tmp_path, files)
    assert set(answers.values()) == {"(48, 64, 3)"}


@linux_only
def test_the_largest_photos_fit_in_memory(tmp_path: Path) -> None:
    """The greediest ones: a TIFF of 16 bits, alpha and one strip, to be turned; a WebP, which keeps three canvases."""
    webp = encoded(half_clear("RGBA"), "WEBP", save_all=True, append_images=[corners()])
    canvas = struct.pack("<I", 6323)[:3] * 2
    files = {
        "TIFF": tiff({256: 5656, 257: 5656, 258: 16, 274: 6, 277: 4, 278: 5656, 338: 2}, deflated_zeros(245)),
        "WebP": webp[:24] + canvas + webp[30:],
    }
    answers, peak = run_alone(tmp_path, files)
    assert answers == {"TIFF": "(1886, 1886, 3)", "WebP": "(2108, 2108, 3)"}
    assert 500 < peak < 700


@pytest.mark.parametrize(("bits", "samples", "most"), [(16, 4, 32), (16, 3, 32), (8, 4, 40), (16, 1, 40)])
def test_a_tiff_that_takes_long_to_unpack_may_have_fewer_pixels(bits: int, samples: int, most: int) -> None:
    tags = {256: 6400, 258: bits, 262: 2 if samples > 1 else 1, 277: samples} | ({338: 2} if samples == 4 else {})
    for rows, message in ((most * 10_000 // 64, "damaged"), (most * 10_000 // 64 + 1, f"at most {most} million")):
        with pytest.raises(PhotoError, match=message):  # it has no pixels: what is refused is refused unseen
            decode(tiff(tags | {257: rows, 278: rows}, b""))


def test_threads_do_not_disturb_each_other() -> None:
    picture = Image.open(ASTRONAUT).resize((256, 256))
    files = [encoded(picture.rotate(90 * turn), kind) for kind in FORMATS for turn in range(2)]
    alone = [decode(data).pixels for data in files]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda data: decode(data).pixels, files * 3))
    assert all(np.array_equal(pixels, alone[i % len(alone)]) for i, pixels in enumerate(together))


SEEDS = [encoded(corners(), kind) for kind in FORMATS] + [
    encoded(corners(), "JPEG", exif=exif(6), progressive=True),
    encoded(corners(), "TIFF", compression="tiff_lzw", exif=exif(6)),
    encoded(paletted(), "PNG", transparency=b"\xff\x00\x80"),
    encoded(half_clear("RGBA"), "WEBP", lossless=True, exif=exif(6)),
    *(make() for make in DEEP.values()),
]


@settings(deadline=None, max_examples=300)
@given(
    data=st.sampled_from(SEEDS),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=4)), max_size=8),
    share=st.one_of(st.just(1.0), st.floats(0, 1)),
)
def test_any_bytes_give_a_photo_or_an_error(data: bytes, changes: list[tuple[float, bytes]], share: float) -> None:
    mutated = bytearray(data)
    for place, replacement in changes:
        at = int(place**2 * len(data))  # headers more often than pixels
        mutated[at : at + len(replacement)] = replacement
    try:
        photo = decode(bytes(mutated[: int(share * len(mutated))]), PhotoLimits(max_pixels=1_000_000))
    except (UnreadableImage, UnsupportedFormat, ImageTooLarge):
        return
    assert photo.width * photo.height <= 1_000_000
    assert photo.pixels.shape[2] == 3
