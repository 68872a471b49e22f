"""python -m training robustness, from labelled pictures to the table and the picture."""

import json
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from training.__main__ import main
from training.corruptions import CORRUPTIONS, STRENGTHS
from training.labels import Labelled, set_names
from training.robustness import _cost, stratified


@pytest.fixture(scope="module")
def labelled(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two faces, a wall, a broken file and a missing one."""
    folder = tmp_path_factory.mktemp("people")
    portrait = cv2.imread(str(pictures / "astronaut.jpg"))
    assert portrait is not None
    face = portrait[30:260, 110:340]
    cv2.imwrite(str(folder / "smile.png"), face)
    cv2.imwrite(str(folder / "mirrored.png"), face[:, ::-1])
    cv2.imwrite(str(folder / "wall.png"), np.full((90, 90, 3), 128, np.uint8))
    (folder / "broken.jpg").write_bytes(b"no picture")
    lines = [
        "file,label",
        "smile.png,happy",
        "mirrored.png,neutral",
        "wall.png,happy",
        "broken.jpg,sad",
        "gone.jpg,sad",
    ]
    (folder / "labels.csv").write_text("\n".join(lines))
    return folder / "labels.csv"


@pytest.fixture(scope="module")
def out(labelled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run writes, and in printed.txt what it prints."""
    folder = tmp_path_factory.mktemp("out")
    with (folder / "printed.txt").open("w") as printed, redirect_stdout(printed):
        assert main(["robustness", "--labels", str(labelled), "--out", str(folder)]) == 0
    return folder


def read(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "robustness.json").read_text())
    return found


def test_every_corruption_has_its_costs(out: Path, labelled: Path) -> None:
    found = read(out)
    (measured,) = found["sets"]
    assert measured["name"] == labelled.parent.name
    assert (measured["pictures"], measured["left_out"]) == (2, 3)
    # The smile is read right, its mirrored twin is labelled wrong.
    assert measured["accuracy"] == measured["balanced_accuracy"] == 0.5
    rows = [(cost["corruption"], cost["strength"]) for cost in measured["costs"]]
    assert rows == [(way.name, strength) for way in CORRUPTIONS for strength in STRENGTHS]
    for cost in measured["costs"]:
        assert cost["points_lost"] == pytest.approx(100 * (0.5 - cost["accuracy"]), abs=0.01)
        assert 0 <= cost["no_face"] <= 1 - cost["same_answer"]
    costs = {(cost["corruption"], cost["strength"]): cost for cost in measured["costs"]}
    assert costs["grey", "middle"]["same_answer"] == 1
    assert min(cost["same_answer"] for cost in measured["costs"]) < 1


def test_one_strength_costs_the_same_alone(out: Path, labelled: Path, tmp_path: Path) -> None:
    arguments = ["robustness", "--labels", str(labelled), "--strengths", "middle", "--out", str(tmp_path)]
    assert main(arguments) == 0
    (whole,), (alone,) = read(out)["sets"], read(tmp_path)["sets"]
    assert alone["costs"] == [cost for cost in whole["costs"] if cost["strength"] == "middle"]


def test_the_spread_is_that_of_the_same_photos_clean_and_spoilt() -> None:
    truth, clean = np.array([3, 3, 6, 6]), np.array([3, 6, 6, 6])
    cost = _cost(truth, clean, np.array([3, 3, 3, 3]), 0, 1)
    # Of the four, one is won and two are lost: mean 1/4, deviation 0.83.
    assert cost.points_lost == pytest.approx(25)
    assert cost.spread == pytest.approx(100 * np.std([0, -1, 1, 1]) / 2)


def test_more_processes_find_the_same(out: Path, labelled: Path, tmp_path: Path) -> None:
    arguments = ["robustness", "--labels", str(labelled), "--workers", "2", "--out", str(tmp_path)]
    assert main(arguments) == 0
    assert read(tmp_path) == read(out)


def test_the_picture_is_small_enough_for_the_repository(out: Path) -> None:
    path = out / "robustness.png"
    assert path.stat().st_size < 600_000
    with Image.open(path) as picture:
        assert picture.width > 600


def test_the_table_names_every_corruption(out: Path) -> None:
    printed = (out / "printed.txt").read_text()
    assert "2 pictures (3 left out), clean 50.0% right" in printed
    for way in CORRUPTIONS:
        assert f"\n{way.name} " in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "fear"], "no picture is of that split"),
        (["--only", "sad"], "none of the 2 pictures is readable and shows a face"),
        (["--split", "all", "Training"], "one for each"),
        (["--checkpoint", "nowhere.safetensors"], "no weights at"),
    ],
)
def test_wrong_usage_is_one_sentence(
    labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(["robustness", "--labels", str(labelled), "--out", str(tmp_path), *arguments]) == 1
    assert message in capsys.readouterr().err


def test_a_sample_is_balanced_and_always_the_same() -> None:
    pictures = [
        Labelled(Path(f"{number}.jpg"), f"{number}.jpg", label, str(number))
        for number, label in enumerate(["happy"] * 50 + ["neutral"] * 40 + ["fear"] * 3)
    ]
    sample = stratified(pictures, 21)
    labels = [picture.label for picture in sample]
    assert (labels.count("happy"), labels.count("neutral"), labels.count("fear")) == (9, 9, 3)
    assert sample == stratified(pictures[::-1], 21)
    assert sample != stratified(pictures, 21, seed=1)
    assert set(stratified(pictures, None)) == set(stratified(pictures, 1000)) == set(pictures)


def test_sets_are_named_after_their_folders() -> None:
    assert set_names([Path("x/one/labels.csv"), Path("x/two/labels.csv")]) == ["one", "two"]
    assert set_names([Path("x/one/a.csv"), Path("x/one/b.csv")]) == ["one/a", "one/b"]
