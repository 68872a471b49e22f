"""Numbers on the command line: what makes no sense is refused in words, before anything is measured."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import TypeVar

_Number = TypeVar("_Number", int, float)


def positive(text: str) -> int:
    """Read a whole number above 0.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    return _whole(text, 1, "a whole number above 0")


def natural(text: str) -> int:
    """Read a whole number, 0 or more.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    return _whole(text, 0, "a whole number, 0 or more")


def _whole(text: str, least: int, wanted: str) -> int:
    if not (text.isdecimal() and int(text) >= least):
        raise argparse.ArgumentTypeError(f"{text!r} is not {wanted}")
    return int(text)


def amount(text: str) -> float:
    """Read a number above 0, as of seconds.

    Raises:
        argparse.ArgumentTypeError: it is none, or without end.
    """
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return number


def several(read: Callable[[str], _Number]) -> Callable[[str], list[_Number]]:
    """Return what reads a list with commas between, each of its parts by `read`."""
    return lambda text: [read(part.strip()) for part in text.split(",")]
