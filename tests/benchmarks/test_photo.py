"""The benchmark of one photo measures what it says."""

from benchmarks.photo import STAGES, matrix_rate, measure, photos_a_second, pictures, table
from inference.photo import decode


def test_the_pictures_have_their_sizes() -> None:
    sizes = {name: (photo.width, photo.height) for name, data in pictures().items() for photo in [decode(data)]}
    assert sizes == {
        "640 px, one face": (640, 480),
        "1280 px, one face": (1280, 960),
        "4032 px, one face": (4032, 3024),
        "1600 px, ten faces": (1600, 1200),
    }


def test_every_stage_and_floor_is_measured() -> None:
    times, faces = measure(pictures()["640 px, one face"], 2, matrix_rate())
    assert faces == 1
    assert all(value > 0 for stage in STAGES for value in times.stages[stage])
    # The graphs' own time lies within the stages that run them.
    for stage in ("find", "mesh"):
        assert all(floor <= value for floor, value in zip(times.floors[stage], times.stages[stage], strict=True))
    lines = table("640 px, one face", times, faces)
    assert [line.split()[0] for line in lines[2:-1]] == ["decode", "find", "mesh", "crop", "network", "cues"]
    assert lines[-1].split()[0] == "whole"


def test_readers_count_what_they_read_together() -> None:
    assert photos_a_second(pictures()["640 px, one face"], 2, 0.2) > 0
