"""python -m benchmarks.fuzz [--files N] [--seed S]: hostile pictures through the whole pipeline; none may do harm.

Whole, bitten, cut, spliced and forged files of every format go to a process of their own with a memory limit: each is
decoded, and what decodes is read for faces. File n of a seed is always the same. The exit code is 1 when one file
crashed the process, took over two seconds of processor time, took over `MOST_MEGABYTES`, or was answered by anything
but a reading or a documented error. `--keep DIR` writes such files there. Linux only: memory comes from /proc.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import select
import struct
import subprocess
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Self

import numpy as np
from PIL import Image
from tqdm import tqdm

from benchmarks.numbers import natural, positive
from tests.inference.picture_files import (
    COUNTLESS,
    FORMATS,
    HOSTILE,
    HUGE,
    JUNK,
    LARGE,
    chunk,
    deflated_zeros,
    encoded,
    exif,
    half_clear,
    heic_10_bit,
    png,
    run_length_bmp,
    tiff,
)

ROOT = Path(__file__).parents[1]
MOST_SECONDS = 2.0
# What inference/photo.py promises of decoding, and as much again as finding faces took in a large picture.
MOST_MEGABYTES = 800
# Then the process is killed; so late because a busy machine is not the file's fault.
PATIENCE = 300.0
# Beyond what the loaded reader holds, so that a bomb hurts nobody else on this machine.
HEADROOM = 3 << 30
DOCUMENTED = ("unreadable_image", "unsupported_format", "image_too_large")
BAD = ("crashed", "too slow", "too much memory", "undocumented")


# The files


@cache
def whole_files() -> tuple[bytes, ...]:
    """Return sound files of every format and kind, and forged ones: sizes that lie, bombs, junk metadata."""
    portrait = Image.open(ROOT / "tests" / "pictures" / "astronaut.jpg").crop((100, 20, 356, 276)).resize((112, 112))
    frames: dict[str, Any] = {"save_all": True, "append_images": [portrait.rotate(90), portrait.rotate(180)]}
    fast: dict[str, dict[str, Any]] = {"AVIF": {"speed": 10}}
    made = [encoded(portrait, kind, **fast.get(kind, {})) for kind in FORMATS]
    made += [encoded(portrait, kind, **frames) for kind in ("PNG", "WEBP", "GIF", "TIFF", "AVIF", "HEIF")]
    made += [encoded(portrait, kind, exif=exif(6), icc_profile=b"\x9f" * 200) for kind in ("PNG", "WEBP", "HEIF")]
    made += [encoded(portrait, "JPEG", exif=b"Exif\0\0" + junk, icc_profile=junk) for junk in JUNK.values()]
    made += [encoded(portrait, "JPEG", progressive=True), encoded(portrait.convert("L"), "JPEG", quality=20)]
    made += [encoded(portrait.convert("CMYK"), kind) for kind in ("JPEG", "TIFF")]
    made += [encoded(portrait, "MPO", **frames), encoded(portrait, "WEBP", lossless=True)]
    made += [encoded(portrait, "TIFF", compression=name) for name in ("tiff_lzw", "tiff_deflate", "jpeg", "packbits")]
    made += [encoded(portrait.convert("1"), "TIFF", compression=name) for name in ("group3", "group4", "tiff_ccitt")]
    made += [encoded(half_clear("RGBA"), kind) for kind in ("PNG", "WEBP", "TIFF", "AVIF", "HEIF")]
    made += [encoded(portrait.quantize(16), kind) for kind in ("PNG", "GIF", "BMP", "TIFF")]
    made += [encoded(portrait.convert("1"), kind) for kind in ("PNG", "BMP")]
    deep = np.asarray(portrait.convert("L")).astype(np.uint16) * 257
    made += [encoded(Image.fromarray(deep), kind) for kind in ("PNG", "TIFF")]
    made += [encoded(Image.fromarray(deep.astype(np.float32)), "TIFF"), heic_10_bit(np.asarray(portrait.convert("L")))]
    rows = zlib.compress((b"\0" + bytes(range(256)) * 6) * 64)
    made += [png(256, 64, 16, 2, rows), png(256, 64, 8, 2, rows, chunk(b"iCCP", b"a\0\0junk"), chunk(b"eXIf", b"junk"))]
    for size in ((1, 1), (1, 60_000), (60_000, 1), (1, 2), (3, 5000)):
        thin = Image.new("RGB", size, "grey")
        kinds = FORMATS[:-1] if max(size) < 16_000 else ("JPEG", "PNG", "GIF", "BMP", "TIFF")  # x265 wants 16 pixels
        made += [encoded(thin, kind) for kind in kinds]
    return tuple(made) + forged_files()


def forged_files() -> tuple[bytes, ...]:
    """Return files that promise or hold far more than they seem to."""
    made = [*HUGE.values(), *LARGE.values(), *HOSTILE.values()]
    made += [make(refused) for make, _, refused in COUNTLESS.values()]
    made.append(run_length_bmp(8000, 8000, b"\1\5\0\0" * 8000))
    made.append(png(8000, 7900, 8, 0, deflated_zeros(61)))  # just allowed, and all there
    made.append(tiff({256: 5656, 257: 5656, 258: 16, 277: 4, 278: 5656, 338: 2}, deflated_zeros(245)))
    webp = encoded(half_clear("RGBA"), "WEBP", save_all=True, append_images=[Image.new("RGB", (64, 48))])
    made.append(webp[:24] + struct.pack("<I", 6323)[:3] * 2 + webp[30:])
    gif = encoded(Image.new("P", (64, 48)), "GIF")
    made.append(gif[:6] + struct.pack("<HH", 8000, 8000) + gif[10:])
    flat = Image.new("L", (1500, 1500), 128)
    for kind in ("AVIF", "HEIF"):  # a large frame behind a small size
        data = encoded(flat, kind, **({"speed": 10} if kind == "AVIF" else {}))
        made.append(data.replace(struct.pack(">II", 1500, 1500), struct.pack(">II", 64, 64)))
    made.append(encoded(Image.new("RGB", (7900, 8000)), "JPEG", quality=5, progressive=True))
    return tuple(made)


def bitten(rng: random.Random, data: bytes) -> bytes:
    """Flip some bits, headers more often than pixels."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 2, 5, 20, 100))):
        changed[int(rng.random() ** 3 * len(data))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def overwritten(rng: random.Random, data: bytes) -> bytes:
    """Put numbers that break things where numbers may be."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 2, 5))):
        number = rng.choice((0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF))
        written = struct.pack(rng.choice(("<I", ">I")), number)[: rng.choice((1, 2, 4))]
        at = int(rng.random() ** 3 * len(data))
        changed[at : at + len(written)] = written
    return bytes(changed)


def cut(rng: random.Random, data: bytes) -> bytes:
    """Take away the end, or a piece."""
    start = rng.randrange(len(data))
    return data[:start] + (data[start + rng.randrange(1, 200) :] if rng.random() < 0.5 else b"")


def repeated(rng: random.Random, data: bytes) -> bytes:
    """Put a piece in again, up to a few thousand times."""
    start = rng.randrange(len(data))
    piece = data[start : start + rng.randrange(1, 300)]
    return data[:start] + piece * rng.choice((2, 10, 600, 5000)) + data[start:]


def spliced(rng: random.Random, data: bytes) -> bytes:
    """Go on with another file half way."""
    other = rng.choice(whole_files())
    return data[: rng.randrange(1, len(data) + 1)] + other[rng.randrange(len(other)) :]


def misnamed(rng: random.Random, data: bytes) -> bytes:
    """Put one format's first bytes in front of another's rest."""
    length = rng.choice((4, 8, 12, 16, 32))
    return rng.choice(whole_files())[:length] + data[length:]


def polyglot(rng: random.Random, data: bytes) -> bytes:
    """Make a file that is two things at once."""
    other = rng.choice((b"<html><script>x()</script>", b"%PDF-1.7\n", b"PK\3\4" + bytes(60), rng.choice(whole_files())))
    return rng.choice((other + data, data + other, data[:20] + other + data[20:]))


def noisy(rng: random.Random, data: bytes) -> bytes:
    """Keep the first bytes, and noise behind them."""
    return data[: rng.choice((2, 4, 12, 40, 200))] + rng.randbytes(rng.choice((0, 10, 1000, 20_000)))


def untouched(_rng: random.Random, data: bytes) -> bytes:
    """Leave a file as it is."""
    return data


WAYS: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    bitten, bitten, bitten, overwritten, overwritten, overwritten, cut, repeated, spliced, misnamed, polyglot, noisy,
    untouched,
)  # fmt: skip


def file_of(seed: int, number: int) -> bytes:
    """Return a file of a run; the first ones are the whole files as they are."""
    files = whole_files()
    if number < len(files):
        return files[number]
    rng = random.Random(f"{seed}:{number}")
    data = rng.choice(files)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        data = rng.choice(WAYS)(rng, data) or b"\0"
    return data


# The process that reads them


def child(decode_only: bool) -> None:
    """Answer each file on standard input by a line: what became of it, CPU seconds, megabytes at the peak."""
    from inference import load_reader
    from inference.errors import PhotoError
    from inference.photo import decode

    reader = None if decode_only else load_reader()
    for name in FORMATS:  # what is loaded or kept once is not the file's fault
        photo = decode(encoded(Image.new("RGB", (64, 64)), name))
        if reader:
            reader.read_photo(photo)
    limit = megabytes("VmData") * 2**20 + HEADROOM
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while length := sys.stdin.buffer.read(4):
        data = sys.stdin.buffer.read(*struct.unpack("<I", length))
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        before, started = megabytes("VmRSS"), time.process_time()
        try:
            photo = decode(data)
            if reader:
                reader.read_photo(photo)
            answer = "answered"
        except PhotoError as error:
            answer = error.code if not isinstance(error.__cause__, MemoryError) else "out of memory"
        except BaseException as error:  # whatever it is, it is what is looked for here
            answer = f"{type(error).__name__}: {str(error)[:200]}"
        spent = time.process_time() - started
        sys.stdout.write(json.dumps([answer, spent, megabytes("VmHWM") - before]) + "\n")
        sys.stdout.flush()


def megabytes(name: str) -> int:
    """Return a figure of /proc/self/status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) // 1024


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a file: a name of `BAD`, "answered" or an error's code; what it cost; and words about it."""

    outcome: str
    seconds: float = 0.0
    peak: int = 0
    words: str = ""


class Child:
    """The process; started anew when a file ended it.

    Args:
        decode_only: no faces are looked for, which saves most of the time.
    """

    def __init__(self, *, decode_only: bool = False) -> None:
        self._command = [sys.executable, "-m", "benchmarks.fuzz", "--child", *["--decode-only"] * decode_only]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def read(self, data: bytes) -> Fate:
        """Give it a file."""
        process = self._process or self._start()
        assert process.stdin
        assert process.stdout
        try:
            process.stdin.write(struct.pack("<I", len(data)) + data)
            process.stdin.flush()
        except BrokenPipeError:
            return self._crashed()
        if not select.select([process.stdout], [], [], PATIENCE)[0]:
            self._end()
            return Fate("too slow", PATIENCE, words=f"no answer within {PATIENCE:g} s")
        line = process.stdout.readline()
        if not line:
            return self._crashed()
        answer, seconds, peak = json.loads(line)
        outcome = answer if answer in ("answered", *DOCUMENTED) else "undocumented"
        if seconds > MOST_SECONDS:
            outcome = "too slow"
        if peak > MOST_MEGABYTES or answer == "out of memory":
            outcome = "too much memory"
        return Fate(outcome, seconds, peak, f"{answer}, {seconds:.2f} s, {peak} MB")

    def _start(self) -> subprocess.Popen[bytes]:
        self._process = subprocess.Popen(
            self._command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert self._process.stdout
        if self._process.stdout.readline() != b"ready\n":
            sys.exit("error: the reading process did not start")
        return self._process

    def _crashed(self) -> Fate:
        assert self._process
        code = self._process.wait(10)
        self._end()
        return Fate("crashed", words=f"the process ended with {code}")

    def _end(self) -> None:
        if self._process:
            assert self._process.stdin
            assert self._process.stdout
            self._process.kill()
            self._process.wait(10)
            self._process.stdin.close()
            self._process.stdout.close()
            self._process = None


# The run


@dataclass
class Tally:
    """The figures of a run."""

    outcomes: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    greediest: int = 0

    @property
    def bad(self) -> int:
        """How many files did harm."""
        return sum(self.outcomes[name] for name in BAD)

    def add(self, fate: Fate) -> None:
        """Count a file."""
        self.outcomes[fate.outcome] += 1
        self.slowest, self.greediest = max(self.slowest, fate.seconds), max(self.greediest, fate.peak)

    def table(self) -> str:
        """Return the figures as a table of Markdown."""
        names = ("answered", *DOCUMENTED, *BAD)
        columns: dict[str, object] = {"tried": sum(self.outcomes.values())}
        columns |= {name: self.outcomes[name] for name in names}
        columns |= {"slowest, CPU s": f"{self.slowest:.2f}", "greediest, MB": self.greediest}
        lines = (columns, ["---"] * len(columns), map(str, columns.values()))
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def run(files: range, seed: int, *, decode_only: bool = False, keep: Path | None = None) -> Tally:
    """Read the files of a run, and show how far it is."""
    tally = Tally()
    with Child(decode_only=decode_only) as reading, tqdm(files, unit="file", mininterval=1) as numbers:
        for number in numbers:
            data = file_of(seed, number)
            fate = reading.read(data)
            tally.add(fate)
            if fate.outcome in BAD:
                numbers.write(f"file {number} of seed {seed}: {fate.outcome} ({fate.words})", file=sys.stderr)
                if keep:
                    keep.mkdir(parents=True, exist_ok=True)
                    (keep / f"{seed}-{number}").write_bytes(data)
            if tally.bad:
                numbers.set_postfix(bad=tally.bad)
    return tally


def main() -> int:
    """Run, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=__doc__)
    parser.add_argument("--files", type=positive, default=20_000)
    parser.add_argument("--first", type=natural, default=0, help="number of the first file")
    parser.add_argument("--seed", type=natural, default=0)
    parser.add_argument("--decode-only", action="store_true", help="look for no faces")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="where files that did harm are written")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.decode_only)
        return 0
    numbers = range(options.first, options.first + options.files)
    tally = run(numbers, options.seed, decode_only=options.decode_only, keep=options.keep)
    print(tally.table())
    return 1 if tally.bad else 0


if __name__ == "__main__":
    sys.exit(main())
