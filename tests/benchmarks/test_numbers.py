"""Numbers that make no sense are refused before anything is measured."""

import argparse
import subprocess
import sys
from collections.abc import Callable

import pytest

from benchmarks.numbers import amount, natural, positive, several


def test_numbers_that_make_sense_are_read() -> None:
    assert (positive("3"), natural("0"), amount("0.5")) == (3, 0, 0.5)
    assert several(positive)("1, 2,16") == [1, 2, 16]


@pytest.mark.parametrize(
    ("read", "text"),
    [
        *((positive, text) for text in ("0", "-1", "1.5", "x", "")),
        *((natural, text) for text in ("-5", "x")),
        *((amount, text) for text in ("0", "-1", "nan", "inf", "x", "")),
        *((several(positive), text) for text in ("1,0", "a,b", "1,,2")),
    ],
)
def test_others_are_refused(read: Callable[[str], object], text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=r"is not a (whole )?number|is not a whole number"):
        read(text)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("photo", ["--seconds", "-1"]),
        ("live", ["--pages", "0"]),
        ("workers", ["--backlog", "-5"]),
        ("slack", ["--burst", "0"]),
    ],
)
def test_the_benchmarks_refuse_them_in_a_sentence(name: str, arguments: list[str]) -> None:
    run = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 2
    assert run.stdout == ""
    assert run.stderr.splitlines()[-1].endswith(("is not a number above 0", "is not a whole number above 0", "or more"))
