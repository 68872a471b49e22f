"""python -m inference PHOTO... [--json] [--annotate DIR]: reads photos on the command line."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from inference import Face2EmojiError, PhotoLimits, PhotoNotFound, Reading
from inference.photo import decode


def main(arguments: list[str] | None = None) -> int:
    """Return 0 when every photo was read, 1 when some were not, 2 on wrong usage."""
    parser = argparse.ArgumentParser(
        prog="python -m inference", description="Read the faces in photos and answer with emoji."
    )
    limits = PhotoLimits()
    parser.add_argument("photos", nargs="+", type=Path, metavar="PHOTO", help="picture files; any common format")
    parser.add_argument("--json", action="store_true", help="one JSON line a photo instead of text")
    parser.add_argument("--annotate", type=Path, metavar="DIR", help="write each photo with boxes and emoji drawn here")
    parser.add_argument("--checkpoint", type=Path, metavar="FILE", help="other weights than the released ones")
    parser.add_argument("--emoji-map", type=Path, metavar="FILE", help="another emoji_map.yaml")
    parser.add_argument("--max-bytes", type=_positive, default=limits.max_bytes, metavar="N", help="largest file")
    parser.add_argument("--max-pixels", type=_positive, default=limits.max_pixels, metavar="N", help="largest picture")
    options = parser.parse_args(arguments)
    limits = PhotoLimits(options.max_bytes, options.max_pixels)
    from inference import load_reader  # PyTorch takes seconds; wrong usage shows before it

    try:
        if options.annotate:
            options.annotate.mkdir(parents=True, exist_ok=True)
        reader = load_reader(options.checkpoint, options.emoji_map, limits)
    except OSError as error:
        parser.error(f"--annotate {options.annotate}: {error.strerror}")
    except Face2EmojiError as error:
        print(f"error: {error.message}", file=sys.stderr)
        return 1
    failed = 0
    for photo in options.photos:
        try:
            data = _bytes(photo, limits)
            reading = reader.read(data)
            if options.annotate:
                _annotate(data, limits, reading, options.annotate / f"{photo.stem}.annotated.jpg")
        except Face2EmojiError as error:
            failed += 1
            if options.json:
                print(json.dumps({"photo": str(photo), "error": error.to_json()}, ensure_ascii=False), flush=True)
            else:
                print(f"{photo}: {error.message} [{error.code}]", file=sys.stderr, flush=True)
        else:
            if options.json:
                print(json.dumps({"photo": str(photo), **reading.to_json()}, ensure_ascii=False), flush=True)
            else:
                print(_text(photo, reading), flush=True)
    reader.close()
    return 1 if failed else 0


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")
    return int(text)


def _bytes(photo: Path, limits: PhotoLimits) -> bytes:
    """Read at most one byte more than allowed: enough for decode to refuse a file of any size."""
    try:
        with photo.open("rb") as file:
            return file.read(limits.max_bytes + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        why = getattr(error, "strerror", None) or "no such name"
        raise PhotoNotFound(f"The file cannot be opened ({why}). Check the path.") from error


def _text(photo: Path, reading: Reading) -> str:
    """Return a line a face, for people."""
    if not reading.faces:
        return f"{photo}: no face found"
    return "\n".join(
        f"{photo}: {face.emoji.character}  {face.expression} {face.confidence:.0%}"
        f"  ({face.emoji.name}; at {face.box.left},{face.box.top})"
        for face in reading.faces
    )


def _annotate(data: bytes, limits: PhotoLimits, reading: Reading, path: Path) -> None:
    from inference.annotate import annotate  # only here are drawings needed

    try:
        annotate(decode(data, limits), reading).save(path, quality=90)
    except OSError as error:
        raise Face2EmojiError(f"{path} cannot be written ({error.strerror}).") from error


if __name__ == "__main__":
    sys.exit(main())
