"""A reader that does to its process what the photo says, as a broken native library would."""

from __future__ import annotations

import ctypes
import os
import signal
import struct
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bot.reader_process import MEMORY
from inference import Box, EmojiMap, ImageTooLarge, Masked, Reading
from tests.bot.served import READING

CRASH, ABORT, LEAVE, HANG, DEVOUR, SLIP, CUT = b"crash", b"abort", b"leave", b"hang", b"devour", b"slip", b"cut"


class UnrulyReader:
    """Has the real reader's shape."""

    model = "0123abcd"

    def read(self, data: bytes, *, main_only: bool = False, before: Sequence[Box] = ()) -> Reading:
        match data:
            case b"crash":
                ctypes.string_at(0)
            case b"abort":
                os.abort()
            case b"leave":
                sys.exit(3)
            case b"hang":
                ctypes.PyDLL(None).pause()  # with the interpreter's lock, so that no other thread runs either
            case b"devour":
                try:
                    bytearray(2 * MEMORY)
                except MemoryError as error:
                    raise ImageTooLarge("too large to unpack") from error
            case b"cut":  # killed while it gives its answer
                frame = sys._getframe()
                while "connection" not in frame.f_locals:
                    frame = frame.f_back or frame
                os.write(frame.f_locals["connection"].fileno(), struct.pack("!i", 1000) + b"half of it")
                os.kill(os.getpid(), signal.SIGKILL)
            case b"slip":
                raise ValueError("the words may quote the photo")
            case b"slow":
                time.sleep(1)
        return READING

    def mask(self, data: bytes, *, everyone: bool = False, emoji_map: EmojiMap | None = None) -> Masked:
        return Masked(data, self.read(data))

    def close(self) -> None:
        pass


def fail_until(flag: Path) -> UnrulyReader:
    """Load if the file is there, and end the process otherwise."""
    if not flag.exists():
        os.abort()
    return UnrulyReader()


def out_of_order() -> UnrulyReader:
    """Fail to load as a missing system library does."""
    raise ImportError("libGL.so.1: cannot open shared object file")
