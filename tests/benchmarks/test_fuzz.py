"""The fuzz run in short, and that it would notice harm."""

from __future__ import annotations

import random
import sys

import pytest

from benchmarks import fuzz

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def test_three_hundred_hostile_files_do_no_harm(capsys: pytest.CaptureFixture[str]) -> None:
    first = len(fuzz.whole_files())
    tally = fuzz.run(range(first, first + 300), seed=1, decode_only=True)
    assert tally.bad == 0, capsys.readouterr().err
    assert sum(tally.outcomes.values()) == 300
    assert {"answered", *fuzz.DOCUMENTED} <= set(tally.outcomes)
    assert "| 300 |" in tally.table()


def test_a_file_is_always_the_same_and_every_seed_has_others() -> None:
    number = len(fuzz.whole_files()) + 7
    assert fuzz.file_of(3, number) == fuzz.file_of(3, number) != fuzz.file_of(4, number)


def test_every_way_to_spoil_a_file_does_so() -> None:
    data = bytes(range(256)) * 4
    for way in set(fuzz.WAYS) - {fuzz.untouched}:
        assert any(way(random.Random(seed), data) != data for seed in range(5)), way


HARM = """
import os, struct, sys, time
sys.stdout.write("ready\\n"); sys.stdout.flush()
while length := sys.stdin.buffer.read(4):
    data = sys.stdin.buffer.read(*struct.unpack("<I", length))
    if data == b"crash":
        os.abort()
    if data == b"hang":
        time.sleep(60)
    sys.stdout.write(data.decode() + "\\n"); sys.stdout.flush()
"""


@pytest.mark.parametrize(
    ("does", "outcome"),
    [
        (b"crash", "crashed"),
        (b"hang", "too slow"),
        (b'["answered", 2.5, 10]', "too slow"),
        (b'["unreadable_image", 0.1, 900]', "too much memory"),
        (b'["out of memory", 0.1, 9]', "too much memory"),
        (b'["ValueError: x", 0.1, 9]', "undocumented"),
        (b'["answered", 0.1, 9]', "answered"),
    ],
)
def test_harm_is_noticed_and_the_run_goes_on(does: bytes, outcome: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz, "PATIENCE", 1.0)
    with fuzz.Child() as child:
        child._command = [sys.executable, "-c", HARM]
        assert child.read(does).outcome == outcome
        assert child.read(b'["image_too_large", 0.1, 9]').outcome == "image_too_large"
    assert fuzz.Tally().bad == 0
