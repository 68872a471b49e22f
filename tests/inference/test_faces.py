"""Every face, wherever and however large; with a real, public-domain face."""

from collections.abc import Callable
from itertools import product
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from inference import faces
from inference.faces import Candidate, FaceFinder
from inference.mediapipe_graphs import FaceDetector
from inference.views import View, overlap

Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    return FaceFinder()


@pytest.fixture(scope="module")
def astronaut(pictures: Path) -> Pixels:
    return np.asarray(cv2.cvtColor(cv2.imread(str(pictures / "astronaut.jpg")), cv2.COLOR_BGR2RGB), np.uint8)


@pytest.fixture(scope="module")
def head(astronaut: Pixels) -> Pixels:
    return astronaut[10:240, 110:340]


def resized(pixels: Pixels, side: int) -> Pixels:
    return np.asarray(cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


def test_a_portrait_has_one_face_with_its_mesh(finder: FaceFinder, astronaut: Pixels) -> None:
    (face,) = finder.find(astronaut)
    left, top, right, bottom = face.box
    assert 165 < left < 195
    assert 55 < top < 95
    assert 255 < right < 290
    assert 165 < bottom < 195
    left_eye, right_eye, mouth = face.anchors
    assert left_eye[0] < mouth[0] < right_eye[0]
    assert mouth[1] > left_eye[1]
    assert face.landmarks is not None
    assert face.landmarks.shape == (478, 3)


@pytest.mark.parametrize("scale", [0.25, 1, 3, 6])
def test_the_same_face_at_every_size(finder: FaceFinder, astronaut: Pixels, scale: float) -> None:
    (face,) = finder.find(resized(astronaut, round(512 * scale)))
    (reference,) = finder.find(astronaut)
    assert face.anchors / scale == pytest.approx(reference.anchors, abs=5)


@pytest.mark.parametrize(("side", "all_found"), [(600, False), (60, True)])
def test_for_the_main_face_the_small_ones_may_be_left_out_beside_a_large_one(
    finder: FaceFinder, head: Pixels, side: int, all_found: bool
) -> None:
    picture = np.full((700, 1280, 3), 110, np.uint8)
    picture[50 : 50 + side, 100 : 100 + side] = resized(head, side)
    picture[300:360, 1000:1060] = resized(head, 60)
    every, main_only = finder.find(picture), finder.find(picture, main_only=True)
    assert len(every) == 2
    assert len(main_only) == (2 if all_found else 1)
    for one, same in zip(every, main_only, strict=False):
        assert same.anchors == pytest.approx(one.anchors, abs=2)


def test_beside_a_large_face_fewer_views_show_the_small_one(
    finder: FaceFinder, head: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = np.full((1200, 1400, 3), 110, np.uint8)
    picture[50:1150, 50:1150] = np.asarray(cv2.resize(head, (1100, 1100)), np.uint8)
    picture[600:720, 1200:1320] = resized(head, 120)
    looks: list[View] = []
    detect = finder._detect

    def counted(detector: FaceDetector, view: View) -> list[Candidate]:
        looks.append(view)
        return detect(detector, view)

    monkeypatch.setattr(finder, "_detect", counted)

    def seen(*, passers_by: bool) -> tuple[int, int]:
        looks.clear()
        return len(finder.find(picture, passers_by=passers_by)), len(looks)

    (few, quick), (all_of_them, slow) = seen(passers_by=False), seen(passers_by=True)
    assert few == all_of_them == 2
    assert quick < 2 * slow / 3


@pytest.mark.parametrize("seed", [1, 3, 4, 6])
def test_who_looks_for_passers_by_finds_them_beside_all_that_others_find(
    finder: FaceFinder, head: Pixels, seed: int
) -> None:
    chance = np.random.default_rng(seed)
    picture = np.full((900, 1200, 3), chance.integers(60, 200, 3), np.uint8)
    picture[50:650, 20:620] = resized(head, 600)
    for left, top in product((640, 780, 920, 1060), (40, 180, 320, 460)):
        side = int(chance.integers(40, 90))
        picture[top : top + side, left : left + side] = resized(head, side)
    covered = [face.box for face in finder.find(picture, passers_by=True)]
    everyone = [face.box for faces in finder.find_everyone(picture) for face in faces]
    shown = finder.find(picture)
    assert len(shown) > 10
    for face in shown:
        assert max(overlap(face.box, box) for box in covered) > 0.8
        assert max(overlap(face.box, box) for box in everyone) > 0.8


def test_faces_of_the_last_frame_are_followed_and_new_ones_are_found_when_one_is_lost(
    finder: FaceFinder, head: Pixels
) -> None:
    def frame(*places: tuple[int, int]) -> Pixels:
        picture = np.full((480, 640, 3), 110, np.uint8)
        for x, y in places:
            picture[y : y + 200, x : x + 200] = resized(head, 200)
        return picture

    (before,) = finder.find(frame((30, 100)))
    moved, both = frame((50, 90)), frame((50, 90), (400, 200))
    (anew,), (followed,) = finder.find(moved), finder.find(moved, before=[before.box])
    assert followed.anchors == pytest.approx(anew.anchors, abs=2)
    assert len(finder.find(both, before=[before.box])) == 1
    assert len(finder.find(both, before=[before.box, finder.find(both)[1].box])) == 2
    (elsewhere,) = finder.find(frame((400, 200)), before=[before.box])
    assert elsewhere.box[0] > 400


def test_a_tight_crop_that_cuts_chin_and_forehead(finder: FaceFinder, astronaut: Pixels) -> None:
    (face,) = finder.find(np.ascontiguousarray(astronaut[85:175, 178:272]))
    assert np.prod(face.box[2:] - face.box[:2]) > 0.6 * 90 * 94


@pytest.mark.parametrize("angle", [-30, -15, 15, 30])
def test_a_tilted_head(finder: FaceFinder, astronaut: Pixels, angle: int) -> None:
    turn = cv2.getRotationMatrix2D((226, 120), angle, 1.0)
    tilted = np.asarray(cv2.warpAffine(astronaut, turn, (512, 512), borderMode=cv2.BORDER_REPLICATE), np.uint8)
    faces = finder.find(tilted)
    eyes = faces[0].anchors[1] - faces[0].anchors[0]
    assert len(faces) == 1
    assert np.degrees(np.arctan2(eyes[1], eyes[0])) == pytest.approx(-angle + 3, abs=8)


@pytest.mark.parametrize("angle", [90, 120, 150, 180, -150, -120, -90])
def test_a_face_on_its_side_or_its_head(finder: FaceFinder, astronaut: Pixels, angle: int) -> None:
    turn = np.asarray(cv2.getRotationMatrix2D((226, 120), angle, 1.0), np.float64)
    turn[:, 2] += (30, 136)  # to the middle
    photo = np.asarray(cv2.warpAffine(astronaut, turn, (512, 512), borderMode=cv2.BORDER_REPLICATE), np.uint8)
    (upright,), (face,) = finder.find(astronaut), finder.find(photo)
    assert face.anchors == pytest.approx(upright.anchors @ turn[:, :2].T + turn[:, 2], abs=5)
    assert finder.find(photo, main_only=True)[0].anchors == pytest.approx(face.anchors, abs=5)


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_photo_that_lies_shows_as_many_people(finder: FaceFinder, head: Pixels, quarters: int) -> None:
    photo = np.full((600, 800, 3), (96, 110, 120), np.uint8)
    for top, left, side in ((40, 60, 230), (300, 420, 120), (60, 600, 90)):
        photo[top : top + side, left : left + side] = resized(head, side)
    lying = np.ascontiguousarray(np.rot90(photo, quarters))
    assert len(finder.find(lying)) == len(finder.find(photo)) == 3


@pytest.mark.parametrize("side", [110, 200])
def test_who_covers_faces_finds_one_on_its_head_beside_one_that_stands(
    finder: FaceFinder, head: Pixels, side: int
) -> None:
    photo = np.full((500, 900, 3), (190, 170, 140), np.uint8)
    photo[150:270, 80:200] = resized(head, 120)
    photo[150 : 150 + side, 500 : 500 + side] = np.rot90(resized(head, side), 2)
    standing, lying = finder.find(photo, passers_by=True)
    assert standing.anchors[2, 1] > standing.anchors[0, 1] + 20
    assert lying.anchors[2, 1] < lying.anchors[0, 1] - 15
    assert finder.find_everyone(photo)[0][1].anchors == pytest.approx(lying.anchors, abs=1)


def test_a_suit_and_a_helmet_are_no_faces_that_lie(finder: FaceFinder, astronaut: Pixels) -> None:
    found, doubtful = finder.find_everyone(astronaut)
    assert (len(found), doubtful) == (1, ())


def test_a_group_of_twenty_four_left_to_right(finder: FaceFinder, head: Pixels) -> None:
    photo = np.full((1000, 1600, 3), (96, 110, 120), np.uint8)
    places = [(60 + 250 * column, 20 + 240 * row) for row in range(4) for column in range(6)]
    for x, y in places:
        photo[y : y + 120, x : x + 120] = resized(head, 120)
    faces = finder.find(photo)
    assert len(faces) == 24
    lefts = [float(face.box[0]) for face in faces]
    assert lefts == sorted(lefts)


def test_one_near_and_one_far(finder: FaceFinder, head: Pixels) -> None:
    photo = np.full((1200, 1600, 3), (96, 110, 120), np.uint8)
    photo[100:1000, 50:950] = np.asarray(cv2.resize(head, (900, 900)), np.uint8)
    photo[300:380, 1300:1380] = resized(head, 80)
    near, far = finder.find(photo)
    assert far.box[2] - far.box[0] < 60 < near.box[2] - near.box[0]


def test_large_faces_do_not_hide_the_small_ones(finder: FaceFinder, head: Pixels) -> None:
    photo = np.full((1500, 2000, 3), (96, 110, 120), np.uint8)
    for column in range(4):
        photo[20:220, 20 + 480 * column : 220 + 480 * column] = resized(head, 200)
        photo[320:410, 300 + 400 * column : 390 + 400 * column] = resized(head, 90)
    assert len(finder.find(photo)) == 8


def far_out_of_focus(head: Pixels) -> Pixels:
    return np.asarray(cv2.GaussianBlur(head, (0, 0), 4.7), np.uint8)


def behind_dark_glasses_at_night(head: Pixels) -> Pixels:
    worn = head.copy()
    for eye in ((61, 74), (104, 76)):
        cv2.ellipse(worn, eye, (26, 14), 0, 0, 360, (14, 14, 18), -1)
    noise = np.random.default_rng(0).normal(0, 40, (*head.shape[:2], 1))
    return np.asarray((worn + noise).clip(0, 255), np.uint8)


@pytest.mark.parametrize("spoilt", [far_out_of_focus, behind_dark_glasses_at_night])
def test_a_face_that_only_a_second_try_finds(
    spoilt: Callable[[Pixels], Pixels], finder: FaceFinder, astronaut: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = np.ascontiguousarray(astronaut[27:209, 142:308])
    photo = spoilt(head)
    with monkeypatch.context() as first_look_alone:
        first_look_alone.setattr(finder, "_look_again", lambda _pixels: ())
        assert finder.find(photo) == ()
    (sharp,), (face,) = finder.find(head), finder.find(photo)
    assert face.landmarks is not None
    assert face.box == pytest.approx(sharp.box, abs=12)
    assert face.anchors == pytest.approx(sharp.anchors, abs=12)


@pytest.mark.parametrize("seed", [0, 2])
def test_a_face_that_only_smoother_views_show(
    seed: int, finder: FaceFinder, astronaut: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = np.ascontiguousarray(astronaut[27:209, 142:308])
    noise = np.random.default_rng(seed).normal(0, 70, head.shape)
    photo = np.asarray((head + noise).clip(0, 255), np.uint8)
    with monkeypatch.context() as without:
        without.setattr(faces, "_smoother", lambda _small: ())
        assert finder.find(photo) == ()
    (sharp,), (face,) = finder.find(head), finder.find(photo)
    assert face.box == pytest.approx(sharp.box, abs=12)
    assert face.anchors == pytest.approx(sharp.anchors, abs=12)


@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (3000, 1), (7, 900), (480, 640)])
def test_no_face_is_an_empty_answer(finder: FaceFinder, shape: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
    assert finder.find(noise) == ()
