"""The reader asks the map in earnest: about every face, and about no more of them than the map needs."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from PIL import Image

from inference import FaceReader, load_reader, preload
from inference.emoji_map import RELEASED
from inference.reader import _expressions


@pytest.fixture
def reader_with(tmp_path: Path) -> Iterator[Callable[[str, str], FaceReader]]:
    """Makes a reader whose map differs from the shipped one by one replacement."""
    readers = []

    def load(old: str, new: str) -> FaceReader:
        path = tmp_path / "map.yaml"
        path.write_text(RELEASED.read_text("utf-8").replace(old, new, 1), "utf-8")
        readers.append(load_reader(emoji_map=path))
        return readers[-1]

    yield load
    for reader in readers:
        reader.close()


@pytest.fixture
def large_and_small(portrait: bytes) -> bytes:
    head = Image.open(io.BytesIO(portrait)).convert("RGB").crop((140, 30, 310, 200))
    both = Image.new("RGB", (1280, 700), (110, 110, 110))
    both.paste(head.resize((600, 600)), (100, 50))
    both.paste(head.resize((60, 60)), (1000, 300))
    file = io.BytesIO()
    both.save(file, "PNG")
    return file.getvalue()


def test_a_rule_may_count_the_faces(reader_with: Callable[[str, str], FaceReader], large_and_small: bytes) -> None:
    rule = "rules:\n  - {emoji: 🥳, when: {faces_at_least: 2}, why: two or more}\n"
    reader = reader_with("rules:\n", rule)
    for main_only in (False, True):
        reading = reader.read(large_and_small, main_only=main_only)
        assert [(face.emoji.character, face.rule) for face in reading.faces] == [("🥳", "two or more")] * 2


def test_for_the_main_face_alone_small_ones_are_left_out_unless_the_map_counts_them(
    reader_with: Callable[[str, str], FaceReader], large_and_small: bytes
) -> None:
    assert len(reader_with("group: strongest", "group: strongest").read(large_and_small, main_only=True).faces) == 1
    assert len(reader_with("group: strongest", "group: majority").read(large_and_small, main_only=True).faces) == 2


def test_a_passer_by_too_small_to_be_looked_for_is_covered_all_the_same(passer_by: bytes) -> None:
    with closing(load_reader()) as reader:
        assert len(reader.read(passer_by).faces) == 1
        assert len(reader.mask(passer_by).reading.faces) == 2


def test_faces_are_followed_in_pixels_of_the_full_size_photo(portrait: bytes) -> None:
    head = Image.open(io.BytesIO(portrait)).convert("RGB").crop((140, 30, 310, 200)).resize((900, 900))
    both = Image.new("RGB", (3600, 2400), (110, 110, 110))
    for x in (300, 2200):
        both.paste(head, (x, 700))
    file = io.BytesIO()
    both.save(file, "JPEG", quality=90)
    with closing(load_reader()) as reader:
        left, right = (face.box for face in reader.read(file.getvalue()).faces)
        (followed,) = reader.read(file.getvalue(), before=[right]).faces
    assert abs(followed.box.left - right.left) < 20
    assert left.right < followed.box.left


def test_what_is_preloaded_is_what_readers_use() -> None:
    preload()  # in the fork server, for all readers that are forked from it
    loaded = _expressions.cache_info().misses
    with closing(load_reader()):
        assert _expressions.cache_info().misses == loaded
