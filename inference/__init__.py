"""Photo bytes in, expressions and emoji out.

This is the package's entrance, and the only one for `bot`; `training` and `benchmarks` may import submodules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from inference.errors import (
    CheckpointError,
    DeviceError,
    EmojiMapError,
    Face2EmojiError,
    ImageTooLarge,
    OutputNotWritable,
    PhotoError,
    PhotoNotFound,
    UnreadableImage,
    UnsupportedFormat,
    size_in_words,
)
from inference.reading import EXPRESSIONS, Box, Emoji, FaceReading, Masked, PhotoLimits, Reading, UnreadFace

if TYPE_CHECKING:
    from inference.drawing import emoji_svg
    from inference.emoji_map import TELEGRAM_REACTIONS, Choice, EmojiMap, load_emoji_map, main_face
    from inference.explanation import Explanation, explain
    from inference.reader import FaceReader, load_reader, preload
    from inference.steady import Steady

__all__ = [
    "EXPRESSIONS",
    "TELEGRAM_REACTIONS",
    "Box",
    "CheckpointError",
    "Choice",
    "DeviceError",
    "Emoji",
    "EmojiMap",
    "EmojiMapError",
    "Explanation",
    "Face2EmojiError",
    "FaceReader",
    "FaceReading",
    "ImageTooLarge",
    "Masked",
    "OutputNotWritable",
    "PhotoError",
    "PhotoLimits",
    "PhotoNotFound",
    "Reading",
    "Steady",
    "UnreadFace",
    "UnreadableImage",
    "UnsupportedFormat",
    "emoji_svg",
    "explain",
    "load_emoji_map",
    "load_reader",
    "main_face",
    "preload",
    "size_in_words",
]


def __getattr__(name: str) -> Any:
    """Import what is slow when it is first asked for: MediaPipe and the weights take most of a second.

    Only `FaceReader`, `load_reader` and `preload` bring in native libraries; the rest does without, even without NumPy.
    """
    if name in ("Choice", "EmojiMap", "TELEGRAM_REACTIONS", "load_emoji_map", "main_face"):
        from inference import emoji_map

        return getattr(emoji_map, name)
    if name == "emoji_svg":
        from inference.drawing import emoji_svg

        return emoji_svg
    if name in ("Explanation", "explain"):
        from inference import explanation

        return getattr(explanation, name)
    if name == "Steady":
        from inference.steady import Steady

        return Steady
    if name in ("FaceReader", "load_reader", "preload"):
        from inference import reader

        return getattr(reader, name)
    raise AttributeError(f"module 'inference' has no attribute {name!r}")
