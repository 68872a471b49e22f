"""python -m inference PHOTO... [--json | --explain] [--annotate DIR] [--mask DIR]: reads photos on the command line."""

from __future__ import annotations

import signal

if __name__ == "__main__":  # Ctrl+C, or nobody who reads on, ends it at once and without a word
    for name in ("SIGINT", "SIGPIPE"):
        if hasattr(signal, name):  # Windows has no SIGPIPE
            signal.signal(getattr(signal, name), signal.SIG_DFL)

import argparse
import io
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from inference import (
    CheckpointError,
    Emoji,
    EmojiMapError,
    Face2EmojiError,
    OutputNotWritable,
    PhotoLimits,
    PhotoNotFound,
    Reading,
)
from inference.explanation import explain
from inference.photo import Photo, decode
from inference.rules import cut

if TYPE_CHECKING:
    from inference import EmojiMap, FaceReader


def main(arguments: list[str] | None = None) -> int:
    """Return 0 when every photo was read, 1 when some were not, 2 on wrong usage."""
    parser = argparse.ArgumentParser(
        prog="python -m inference", description="Read the faces in photos and answer with emoji."
    )
    limits = PhotoLimits()
    parser.add_argument("photos", nargs="+", metavar="PHOTO", help="picture files; any common format")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON line a photo instead of text")
    form.add_argument("--explain", action="store_true", help="also say which rule of the emoji map chose, and why")
    parser.add_argument("--annotate", type=Path, metavar="DIR", help="write each photo with boxes and emoji drawn here")
    parser.add_argument(
        "--mask", type=Path, metavar="DIR", help="write each photo with its faces covered by emoji here"
    )
    parser.add_argument(
        "--mask-everyone", action="store_true", help="with --mask, cover what is too small or too doubtful to read, too"
    )
    parser.add_argument("--checkpoint", type=Path, metavar="FILE", help="other weights than the released ones")
    parser.add_argument("--emoji-map", type=Path, metavar="FILE", help="another emoji_map.yaml")
    parser.add_argument("--max-bytes", type=_positive, default=limits.max_bytes, metavar="N", help="largest file")
    parser.add_argument("--max-pixels", type=_positive, default=limits.max_pixels, metavar="N", help="largest picture")
    options = parser.parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal without emoji still gets its answer
    limits = PhotoLimits(options.max_bytes, options.max_pixels)
    if options.mask_everyone and not options.mask:
        parser.error("--mask-everyone needs --mask DIR")
    for name, folder in (("--annotate", options.annotate), ("--mask", options.mask)):
        try:
            if folder:
                folder.mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            parser.error(f"{name} {folder}: is a file, and no folder to write into")
        except OSError as error:
            parser.error(f"{name} {folder}: {error.strerror}")
    try:
        return _read_all(options, limits)
    except (CheckpointError, EmojiMapError) as error:
        print(f"error: {error.message}", file=sys.stderr)
        return 2
    except OutputNotWritable as error:
        print(f"error: {error.message}", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python says it again as it ends
        return 1


def _read_all(options: argparse.Namespace, limits: PhotoLimits) -> int:
    def load() -> FaceReader:
        from inference import load_reader  # takes most of a second: a bad photo is answered without it

        return load_reader(options.checkpoint, options.emoji_map, limits)

    # Wrong usage comes before whatever is wrong with the photos.
    reader = load() if options.checkpoint or options.emoji_map else None
    failed = 0
    written: set[Path] = set()
    for name in options.photos:
        path, shown = Path(name), _printable(name)
        reading: Reading | None = None
        problem: Face2EmojiError | None = None
        try:
            photo = decode(_bytes(path, limits), limits)
            reader = reader or load()
            if options.mask_everyone:
                reading = reader.read_everyone(photo)
            else:
                reading = reader.read_photo(photo, passers_by=options.mask is not None)
            if options.annotate:
                drawn = _unused(options.annotate / f"{path.name}.annotated.jpg", written)
                _annotate(photo, reading, drawn)
                print(f"{shown}: drawn in {_printable(drawn)}", file=sys.stderr)
            if options.mask:
                masked = _unused(options.mask / f"{path.name}.masked.jpg", written)
                _mask(photo, reading, masked)
                count = len(reading.faces) + len(reading.unread)
                covered = f"{count} {'face' if count == 1 else 'faces'} covered in {_printable(masked)}"
                print(f"{shown}: {covered}", file=sys.stderr)
        except (CheckpointError, EmojiMapError):
            raise
        except Face2EmojiError as error:
            failed += 1
            problem = error
        if options.json:  # one line a photo: what was read, and what went wrong before or after it
            line = {"photo": name} | (reading.to_json() if reading else {})
            line |= {"error": problem.to_json()} if problem else {}
            _say(json.dumps(line, ensure_ascii=not _is_unicode(sys.stdout)))
            continue
        if reader and reading:
            _say(_text(shown, reading, reader.emoji_map.no_face))
            if options.explain and reading.faces:
                _say(_explanation(reading, reader.emoji_map))
        if problem:
            print(f"{shown}: {_printable(problem.message)} [{problem.code}]", file=sys.stderr, flush=True)
    if reader:
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
    except IsADirectoryError as error:
        raise PhotoNotFound("This is a folder. Name the photos in it, as in folder/*.jpg.") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        why = getattr(error, "strerror", None) or "no such name"
        raise PhotoNotFound(f"The file cannot be opened ({why}). Check the path.") from error


def _say(text: str) -> None:
    try:
        print(text, flush=True)
    except OSError as error:
        raise OutputNotWritable(f"The answers cannot be written ({error.strerror}).") from error


def _printable(name: str | Path) -> str:
    """Return a name that a terminal shows as it is: a file's may hold anything, also what moves the cursor."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in str(name))


def _is_unicode(stream: TextIO) -> bool:
    return (stream.encoding or "").lower().replace("-", "").startswith("utf")


def _text(photo: str, reading: Reading, no_face: Emoji) -> str:
    """Return a line a face, for people."""
    if not reading.faces:
        return f"{photo}: {no_face.character}  no face found"
    return "\n".join(
        f"{photo}: {face.emoji.character}  {face.expression} {face.percent}"
        f"  ({face.emoji.name}; at {face.box.left},{face.box.top})"
        for face in reading.faces
    )


def _explanation(reading: Reading, emoji_map: EmojiMap) -> str:
    """Say of each face what was read, which rules were passed over and why, and which one chose."""
    lines = []
    for number, face in enumerate(reading.faces, 1):
        scores = sorted(face.scores.items(), key=lambda score: -score[1])
        explanation = explain(emoji_map, face, len(reading.faces))
        heard = [f"{cue} for {' or '.join(gains)}" for cue, gains in explanation.speaks.items()]
        lines += [
            f"  face {number} of {len(reading.faces)}: {face.emoji.character}  {face.rule}",
            "    scores  " + ", ".join(f"{name} {cut(score)}" for name, score in scores),
            "    cues    " + (", ".join(f"{cue} {cut(sure)}" for cue, sure in face.cues.items()) or "none"),
            *([f"    speak   {', '.join(heard)}: already in the scores"] if heard else []),
        ]
        for step in explanation.steps:
            verdict = f"passed over: {step.objection}" if step.objection else "chosen"
            lines.append(f"    {step.emoji}  {step.why}: {verdict}")
    if len(reading.faces) > 1 and reading.main:
        number = reading.faces.index(reading.main) + 1
        lines.append(f"  the picture: {reading.main.emoji.character}  of face {number} (group: {emoji_map.group})")
    return "\n".join(lines)


def _unused(path: Path, written: set[Path]) -> Path:
    """Return the path, numbered if this run has written it already: photos of one name come from many folders."""
    stem, number = path.stem, 2
    while path in written:
        path = path.with_name(f"{stem}-{number}{path.suffix}")
        number += 1
    written.add(path)
    return path


def _annotate(photo: Photo, reading: Reading, path: Path) -> None:
    from inference.annotate import annotate  # only here are drawings needed
    from inference.mask import jpeg

    _write(path, jpeg(annotate(photo, reading)))


def _mask(photo: Photo, reading: Reading, path: Path) -> None:
    from inference.mask import jpeg, mask

    _write(path, jpeg(mask(photo, reading)))


def _write(path: Path, picture: bytes) -> None:
    try:
        path.write_bytes(picture)
    except OSError as error:
        raise OutputNotWritable(
            f"{path} cannot be written ({error.strerror}). Make room there, or name another folder."
        ) from error


if __name__ == "__main__":
    sys.exit(main())
