"""Every corruption does to a photo what its name says, and does it again."""

import numpy as np
import pytest
from numpy.typing import NDArray

from inference.faces import FaceFinder
from training.corruptions import CORRUPTIONS, STRENGTHS, Corruption, Picture, Scene
from training.robustness import find_scene

BY_NAME = {way.name: way for way in CORRUPTIONS}
RESIZING = {"rotation", "lying", "small face", "crop shift"}
WORN = ("glasses", "sunglasses", "mask", "hand")
LEFT_EYE, RIGHT_EYE, MOUTH = (33, 133, 159, 145), (362, 263, 386, 374), (61, 291, 13, 14)

every = pytest.mark.parametrize("way", CORRUPTIONS, ids=lambda way: way.name)


def change(before: Picture, after: Picture, marks: NDArray[np.float64]) -> float:
    """Mean difference in grey levels in the rectangle around some landmarks."""
    (left, top), (right, bottom) = np.rint([marks.min(axis=0), marks.max(axis=0)]).astype(int)
    part = np.s_[top : bottom + 1, left : right + 1]
    return float(np.abs(after[part].astype(float) - before[part]).mean())


@every
@pytest.mark.parametrize("strength", range(3), ids=STRENGTHS)
def test_it_changes_the_photo_and_does_so_again(scene: Scene, way: Corruption, strength: int) -> None:
    clean = scene.pixels.copy()
    one, same = way(scene, strength, 5), way(scene, strength, 5)
    assert one.dtype == np.uint8
    assert one.ndim == 3
    assert np.array_equal(one, same)
    assert np.array_equal(scene.pixels, clean), "the clean photo was changed"
    assert one.shape != clean.shape or change(clean, one, scene.marks) > 0.3


@pytest.mark.parametrize("way", [way for way in CORRUPTIONS if way.name not in RESIZING], ids=lambda way: way.name)
def test_stronger_changes_the_face_more(scene: Scene, way: Corruption) -> None:
    changes = [change(scene.pixels, way(scene, strength, 5), scene.marks) for strength in range(3)]
    assert changes[0] < changes[1] < changes[2]


@pytest.mark.parametrize("name", ["rotation", "noise", "glasses", "mask", "crop shift", "one-sided light"])
def test_chance_varies_with_the_seed_alone(scene: Scene, name: str) -> None:
    pictures = {BY_NAME[name](scene, 1, seed).tobytes() for seed in range(12)}
    assert len(pictures) > 1


def test_rotation_keeps_all_of_the_photo(scene: Scene, finder: FaceFinder) -> None:
    heights = [BY_NAME["rotation"](scene, strength, 0).shape[0] for strength in range(3)]
    assert scene.pixels.shape[0] < heights[0] < heights[1] < heights[2]
    turned = find_scene(finder, BY_NAME["rotation"](scene, 1, 0))
    assert turned is not None
    across = turned.marks[list(RIGHT_EYE)].mean(axis=0) - turned.marks[list(LEFT_EYE)].mean(axis=0)
    before = scene.marks[list(RIGHT_EYE)].mean(axis=0) - scene.marks[list(LEFT_EYE)].mean(axis=0)
    angle = np.degrees(np.arctan2(across[1], across[0]) - np.arctan2(before[1], before[0]))
    assert abs(angle) == pytest.approx(30, abs=3)


@pytest.mark.parametrize(("strength", "width"), list(enumerate((48, 32, 24))))
def test_small_faces_are_as_wide_as_they_say(scene: Scene, strength: int, width: int) -> None:
    scale = BY_NAME["small face"](scene, strength, 0).shape[1] / scene.pixels.shape[1]
    assert scene.width * scale == pytest.approx(width, rel=0.02)


def test_a_small_face_is_not_enlarged(scene: Scene) -> None:
    tiny = Scene(scene.pixels[::8, ::8].copy(), scene.marks / 8)
    assert np.array_equal(BY_NAME["small face"](tiny, 2, 0), tiny.pixels)


@pytest.mark.parametrize("seed", range(6))
def test_a_shifted_frame_cuts_the_face(scene: Scene, seed: int) -> None:
    tall, wide = np.ptp(scene.marks[:, 1]), np.ptp(scene.marks[:, 0])
    frames = [BY_NAME["crop shift"](scene, strength, seed).shape for strength in range(3)]
    lost = [before - after for before, after in zip(frames[0][:2], frames[2][:2], strict=True)]
    assert sorted(lost)[0] == 0
    assert max(lost) == pytest.approx(0.25 * (tall if lost[0] else wide), abs=1.5)


@pytest.mark.parametrize(
    ("name", "strength", "covered", "free"),
    [
        ("glasses", 1, LEFT_EYE, MOUTH),
        ("sunglasses", 2, LEFT_EYE, MOUTH),
        ("sunglasses", 2, RIGHT_EYE, MOUTH),
        ("mask", 0, MOUTH, LEFT_EYE),
        ("mask", 2, MOUTH, LEFT_EYE),
        ("mask", 2, MOUTH, RIGHT_EYE),
        ("hand", 2, MOUTH, LEFT_EYE),
    ],
)
def test_what_is_worn_lies_where_it_belongs(
    scene: Scene, name: str, strength: int, covered: tuple[int, ...], free: tuple[int, ...]
) -> None:
    worn = BY_NAME[name](scene, strength, 3)
    assert change(scene.pixels, worn, scene.marks[list(covered)]) > 8
    assert change(scene.pixels, worn, scene.marks[list(free)]) < 1


def test_strong_sunglasses_hide_the_eyes(scene: Scene) -> None:
    worn = BY_NAME["sunglasses"](scene, 2, 3)
    for eye in (LEFT_EYE, RIGHT_EYE):
        (left, top), (right, bottom) = np.rint([scene.marks[list(eye)].min(0), scene.marks[list(eye)].max(0)]).astype(
            int
        )
        assert worn[top:bottom, left:right].max() < 70


@pytest.mark.parametrize("name", WORN)
def test_a_grey_photo_stays_grey(scene: Scene, name: str) -> None:
    grey = Scene(np.repeat(scene.pixels[..., 1:2], 3, axis=2), scene.marks)
    assert np.ptp(BY_NAME[name](grey, 1, 2), axis=2).max() == 0


def test_skin_alone_changes_its_tone(scene: Scene) -> None:
    cheek = np.rint(scene.marks[50]).astype(int)
    for name, sign in (("darker skin", -1), ("lighter skin", 1)):
        changed = BY_NAME[name](scene, 1, 0).astype(int) - scene.pixels
        assert sign * changed[cheek[1], cheek[0]].mean() > 15
        assert np.abs(changed[:40, :40]).mean() < 6, "the background"


def test_light_and_colour(scene: Scene) -> None:
    left, right = (scene.pixels.shape[1] // 2 + sign * round(scene.width / 2) for sign in (-1, 1))
    lit = BY_NAME["one-sided light"](scene, 1, 0).astype(float)
    assert lit[:, :left].mean() / scene.pixels[:, :left].mean() != pytest.approx(
        lit[:, right:].mean() / scene.pixels[:, right:].mean(), rel=0.5
    )
    assert BY_NAME["low light"](scene, 1, 0).mean() < 0.6 * scene.pixels.mean()
    assert BY_NAME["over-exposure"](scene, 1, 0).mean() > 1.15 * scene.pixels.mean()
    assert np.ptp(BY_NAME["grey"](scene, 1, 0), axis=2).max() == 0
    before = scene.pixels.mean(axis=(0, 1))
    for name, channel in (("warm light", 0), ("green light", 1), ("cold light", 2)):
        gain = BY_NAME[name](scene, 1, 0).mean(axis=(0, 1)) / before
        assert gain.argmax() == channel


@every
def test_faces_cut_by_the_edge_are_no_trouble(scene: Scene, way: Corruption) -> None:
    middle = np.rint(scene.marks.mean(axis=0)).astype(int)
    corner = Scene(np.ascontiguousarray(scene.pixels[middle[1] :, middle[0] :]), scene.marks - middle)
    for strength in range(3):
        assert min(way(corner, strength, 1).shape) > 0
