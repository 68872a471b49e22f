"""The errors that `inference` raises on purpose; their messages are written where they are raised.

A message says whose fault it is and what to do. None contains a traceback, and none of a PhotoError, which the sender
of the photo reads, a path of ours.
"""

from __future__ import annotations

from typing import ClassVar


class Face2EmojiError(Exception):
    """Base of all errors of this product.

    Attributes:
        code: stable, machine-readable name, the same in the CLI, the web API and the metrics.
        message: one or two plain sentences saying whose fault it is and what to do.
    """

    code: ClassVar[str] = "internal_error"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def to_json(self) -> dict[str, str]:
        """Return ``{"code", "message"}``, the shape every interface answers with."""
        return {"code": self.code, "message": self.message}


class PhotoError(Face2EmojiError):
    """The picture cannot be read: the sender's side."""


class UnreadableImage(PhotoError):
    """The format is known, but the bytes are damaged, cut short or empty."""

    code = "unreadable_image"


class UnsupportedFormat(PhotoError):
    """The bytes are not a picture format we decode."""

    code = "unsupported_format"


class ImageTooLarge(PhotoError):
    """More bytes or more pixels than the limits allow."""

    code = "image_too_large"


class PhotoNotFound(PhotoError):
    """No file at the path given on the command line."""

    code = "file_not_found"


class OutputNotWritable(Face2EmojiError):
    """A picture cannot be written where the command line says: the caller's side."""

    code = "output_not_writable"


class EmojiMapError(Face2EmojiError):
    """``emoji_map.yaml`` is wrong: the editor of that file's side."""

    code = "bad_emoji_map"


class CheckpointError(Face2EmojiError):
    """The weights file is missing, damaged or not one of ours: the installer's side."""

    code = "bad_checkpoint"


class DeviceError(Face2EmojiError):
    """The network cannot work on the device that was chosen for it: the installer's side."""

    code = "bad_device"


def size_in_words(size: int) -> str:
    """Return bytes as a sentence says them, such as "20 MB"; never more than there are."""
    if size < 1_000_000:
        return f"{size:,} bytes"
    return f"{size // 1_000_000} MB" if size >= 10_000_000 else f"{size // 100_000 / 10:g} MB"
