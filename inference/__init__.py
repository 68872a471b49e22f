"""Photo bytes in, expressions and emoji out. This is the door; nothing else in the package is public."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
from inference.reading import EXPRESSIONS, Box, Emoji, FaceReading, Reading

if TYPE_CHECKING:
    from inference.reader import FaceReader, load_reader

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


def __getattr__(name: str) -> Any:
    """Import the reader when it is first asked for, because PyTorch and MediaPipe take seconds."""
    if name in ("FaceReader", "load_reader"):
        from inference import reader

        return getattr(reader, name)
    raise AttributeError(f"module 'inference' has no attribute {name!r}")
