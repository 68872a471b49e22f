"""Photo bytes in, expressions and emoji out. This is the door; nothing else in the package is public."""

from __future__ import annotations

from inference.errors import (
    CheckpointError,
    EmojiMapError,
    Face2EmojiError,
    ImageTooLarge,
    PhotoError,
    PhotoNotFound,
    UnreadableImage,
    UnsupportedFormat,
)
from inference.photo import PhotoLimits
from inference.reader import FaceReader, load_reader
from inference.reading import EXPRESSIONS, Box, Emoji, FaceReading, Reading

__all__ = [
    "EXPRESSIONS",
    "Box",
    "CheckpointError",
    "Emoji",
    "EmojiMapError",
    "Face2EmojiError",
    "FaceReader",
    "FaceReading",
    "ImageTooLarge",
    "PhotoError",
    "PhotoLimits",
    "PhotoNotFound",
    "Reading",
    "UnreadableImage",
    "UnsupportedFormat",
    "load_reader",
]
