"""The published forms are read as published; anything else is answered with file and line."""

import csv
import gzip
from pathlib import Path

import cv2
import numpy as np
import pytest

from inference.crops import CROP_SIDE, LANDMARKS
from tests.training.conftest import HAPPY, NEUTRAL, SmallData, smile, without_smile
from training.__main__ import main
from training.data import (
    ARRAYS,
    FER_PLUS,
    MISVOTED_ROW,
    Faces,
    is_people,
    majority,
    read_fer2013,
    read_folders,
    targets,
    training_rows,
    truth,
)
from training.files import DataError
from training.prepare import prepare


def votes(**named: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    order = [*FER_PLUS, "unknown", "NF"]
    return np.array([[named.get(name, 0) for name in order]], np.uint8)


def test_published_form(small_data: Path) -> None:
    raw = read_fer2013(small_data / "fer2013.csv.gz", small_data / "fer2013new.csv")
    assert len(raw.pictures) == 96
    assert raw.pictures[0].shape == (48, 48)
    assert raw.labels[:2].tolist() == [HAPPY, NEUTRAL]
    assert np.bincount(raw.split).tolist() == [64, 16, 16]
    assert raw.votes[0].tolist() == votes(happy=9, neutral=1)[0].tolist()
    assert raw.votes[1].tolist() == votes(sad=2, neutral=8)[0].tolist()


def test_kaggle_form_is_the_same(small_data: Path, tmp_path: Path) -> None:
    with gzip.open(small_data / "fer2013.csv.gz", "rt", newline="") as file:
        rows = list(csv.DictReader(file))
    path = tmp_path / "icml_face_data.csv"
    lines = [f"{row['emotion']},{row['Usage']},{row['pixels']}" for row in rows]
    path.write_text("\n".join(["emotion, Usage, pixels", *lines]))
    published, kaggle = read_fer2013(small_data / "fer2013.csv.gz", None), read_fer2013(path, None)
    assert np.array_equal(published.pictures, kaggle.pictures)
    assert np.array_equal(published.labels, kaggle.labels)
    assert np.array_equal(published.split, kaggle.split)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "lacks Usage, emotion, pixels"),
        ("emotion,pixels\n3,1 2", "lacks Usage"),
        ("emotion,pixels,Usage\n", "no rows"),
        ("emotion,pixels,Usage\n3,1 2 3,Training", "line 2"),
        (f"emotion,pixels,Usage\n3,{'7 ' * 2304},Sometimes", "line 2"),
        (f"emotion,pixels,Usage\n3,{'700 ' * 2304},Training", "line 2"),
        (f"emotion,pixels,Usage\nsmile,{'7 ' * 2304},Training", "line 2"),
        (f"emotion,pixels,Usage\n9,{'7 ' * 2304},Training", "0 to 6"),
    ],
)
def test_a_wrong_csv_names_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "fer2013.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=r"fer2013\.csv") as caught:
        read_fer2013(path, None)
    assert message in str(caught.value)


def test_a_download_cut_short(small_data: Path, tmp_path: Path) -> None:
    path = tmp_path / "fer2013.csv.gz"
    path.write_bytes((small_data / "fer2013.csv.gz").read_bytes()[:-5000])
    with pytest.raises(DataError, match="cut short"):
        read_fer2013(path, None)


@pytest.mark.parametrize("content", [b"\x1f\x8b\x08", b"\x1f\x8bjunk", "emotion".encode("utf-16"), b"file,\xe9\n"])
def test_what_is_no_csv_is_refused_in_words(content: bytes, small_data: Path, tmp_path: Path) -> None:
    path = tmp_path / "junk.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"junk\.csv: no csv in UTF-8"):
        prepare(path, None, tmp_path / "faces.npz")
    with pytest.raises(DataError, match=r"junk\.csv, after line 0: no csv in UTF-8"):
        read_fer2013(small_data / "fer2013.csv.gz", path)


def test_a_csv_may_begin_with_the_mark_of_its_encoding(tmp_path: Path) -> None:
    (tmp_path / "fer2013.csv").write_text(f"emotion,pixels,Usage\n3,{'7 ' * 2304},Training\n", "utf-8-sig")
    assert read_fer2013(tmp_path / "fer2013.csv", None).labels.tolist() == [HAPPY]
    (tmp_path / "people.csv").write_text("file,label,person\n", "utf-8-sig")
    assert is_people(tmp_path / "people.csv")


@pytest.mark.parametrize("count", ["-9", "256", "many"])
def test_votes_that_are_no_counts(count: str, small_data: Path, tmp_path: Path) -> None:
    path = tmp_path / "votes.csv"
    path.write_text((small_data / "fer2013new.csv").read_text().replace(",9,", f",{count},", 1))
    with pytest.raises(DataError, match=r"votes\.csv, line 2: votes must be whole numbers from 0 to 255"):
        read_fer2013(small_data / "fer2013.csv.gz", path)


@pytest.mark.parametrize(
    ("source", "options", "why"),
    [
        ("people.csv", ["--votes", "votes.csv"], "--votes votes.csv: votes go with a FER2013 csv alone"),
        ("folder", ["--votes", "votes.csv"], "--votes votes.csv: votes go with a FER2013 csv alone"),
        ("folder", ["--without", "happy"], "--without goes with a csv of people's pictures alone"),
        ("fer2013.csv", ["--without", "happy"], "--without goes with a csv of people's pictures alone"),
        ("people.csv", ["--without", "happy", "sad"], "people.csv: no pictures are left without happy, sad"),
        ("nobody.csv", [], "nobody.csv: the header lacks person; nobody may be in two splits"),
    ],
)
def test_what_cannot_be_prepared_together_is_refused_in_words(
    source: str,
    options: list[str],
    why: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("people.csv").write_text("file,label,person\na.jpg,happy,ada\n")
    Path("nobody.csv").write_text("file,label\na.jpg,happy\n")
    Path("fer2013.csv").write_text("emotion,pixels,Usage\n")
    Path("folder/happy").mkdir(parents=True)
    assert main(["prepare", source, *options, "--out", "faces.npz"]) == 1
    assert capsys.readouterr().err == f"error: {why}\n"


def test_votes_out_of_step(small_data: Path, tmp_path: Path) -> None:
    lines = (small_data / "fer2013new.csv").read_text().splitlines()
    path = tmp_path / "votes.csv"
    path.write_text("\n".join(lines[:-1]))
    with pytest.raises(DataError, match="95 rows of votes for 96 pictures"):
        read_fer2013(small_data / "fer2013.csv.gz", path)


def test_the_misvoted_row_is_left_out(tmp_path: Path) -> None:
    data = SmallData(tmp_path)
    blank = np.zeros((48, 48), np.uint8)
    for _ in range(MISVOTED_ROW + 2):
        data.add(blank, HAPPY, "Training", {"happiness": 10})
    raw = read_fer2013(*data.write())
    assert raw.votes[MISVOTED_ROW].sum() == 0
    assert raw.votes[MISVOTED_ROW + 1].sum() == 10


def test_twins_across_splits_are_marked(tmp_path: Path, pictures: Path) -> None:
    data = SmallData(tmp_path)
    face, other = smile(pictures), without_smile(smile(pictures))
    for picture, usage in ((face, "Training"), (face, "Training"), (face, "PublicTest"), (other, "PrivateTest")):
        data.add(picture, HAPPY, usage, {"happiness": 10})
    assert read_fer2013(*data.write()).twin.tolist() == [False, False, True, False]


@pytest.mark.parametrize(
    ("counted", "winner"),
    [
        (votes(happy=10), "happy"),
        (votes(happy=6, neutral=4), "happy"),
        (votes(happy=5, neutral=5), None),
        (votes(happy=4, neutral=3, sad=3), None),
        (votes(contempt=8, neutral=2), "contempt"),
        (votes(unknown=7, happy=3), None),
        (votes(NF=10), None),
        # Four single votes are slips: four of the remaining six are a majority.
        (votes(happy=4, sad=2, angry=1, fear=1, disgust=1, neutral=1), "happy"),
        (votes(), None),
    ],
)
def test_majority_by_barsoum(counted: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], winner: str | None) -> None:
    assert majority(counted).tolist() == [FER_PLUS.index(winner) if winner else -1]


def made_up(votes: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], labels: list[int]) -> Faces:
    count = len(labels)
    none = np.zeros(count, np.bool_)
    crops = np.zeros((count, CROP_SIDE, CROP_SIDE), np.uint8)
    shapes = np.zeros((count, LANDMARKS, 3), np.float16)
    return Faces(crops, shapes, votes, np.array(labels, np.int8), np.zeros(count, np.uint8), none, none, "")


def test_targets_are_shares_of_the_votes_and_labels_where_nobody_voted() -> None:
    counted = np.concatenate([votes(happy=6, neutral=2, sad=1, unknown=1), votes(NF=10), votes()])
    faces = made_up(counted, [NEUTRAL, NEUTRAL, HAPPY])
    shares = targets(faces)
    assert shares[0, FER_PLUS.index("happy")] == 0.75
    assert shares[0, FER_PLUS.index("neutral")] == 0.25
    assert shares[0].sum() == 1
    assert shares[1].sum() == 0
    assert shares[2].tolist() == [float(name == "happy") for name in FER_PLUS]
    assert truth(faces).tolist() == [HAPPY, -1, HAPPY]


def test_a_folder_per_class(tmp_path: Path, pictures: Path) -> None:
    for split in ("train", "test"):
        for label, picture in (("happy", smile(pictures)), ("neutral", without_smile(smile(pictures)))):
            (tmp_path / split / label).mkdir(parents=True)
            cv2.imwrite(str(tmp_path / split / label / "one.png"), picture)
    (tmp_path / "train/happy/.DS_Store").write_bytes(b"junk")
    (tmp_path / "train/happy/more.d").mkdir()
    raw = read_folders(tmp_path)
    assert raw.labels.tolist() == [HAPPY, NEUTRAL, HAPPY, NEUTRAL]
    assert raw.split.tolist() == [0, 0, 2, 2]
    assert raw.twin.tolist() == [False, False, True, True]
    with pytest.raises(DataError, match="no pictures in folders named"):
        read_folders(pictures)


def test_prepared_data_come_back_and_leave_no_face_out(tmp_path: Path, pictures: Path) -> None:
    data = SmallData(tmp_path)
    data.add(smile(pictures), HAPPY, "Training", {"happiness": 10})
    data.add(np.zeros((48, 48), np.uint8), HAPPY, "Training", {"NF": 10})
    data.add(smile(pictures), HAPPY, "PrivateTest", {"happiness": 10})
    faces = prepare(*data.write(), tmp_path / "faces.npz", workers=1)
    assert faces.found.tolist() == [True, False, True]
    assert training_rows(faces).tolist() == [0]
    again = Faces.load(tmp_path / "faces.npz")
    assert np.array_equal(again.crops, faces.crops)
    assert again.source == faces.source


@pytest.mark.parametrize("recipe", [{}, {"recipe": '{"crop": "another"}'}])
def test_faces_that_were_found_or_aligned_otherwise_are_refused_and_prepared_anew(
    recipe: dict[str, str], tmp_path: Path, pictures: Path
) -> None:
    data = SmallData(tmp_path)
    data.add(smile(pictures), HAPPY, "Training", {"happiness": 10})
    files, path = data.write(), tmp_path / "faces.npz"
    faces = prepare(*files, path, workers=1)
    stale = {name: getattr(faces, name) for name in ARRAYS} | {"crops": np.zeros_like(faces.crops)}
    np.savez(path, source=faces.source, **stale, **recipe)
    with pytest.raises(DataError, match=r"faces\.npz: another version .* run `python -m training prepare` again"):
        Faces.load(path)
    assert np.array_equal(prepare(*files, path, workers=1).crops, faces.crops)
    assert np.array_equal(Faces.load(path).crops, faces.crops)


def test_no_prepared_data(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="run `python -m training prepare` first"):
        Faces.load(tmp_path / "faces.npz")
    (tmp_path / "faces.npz").write_bytes(b"not zipped")
    with pytest.raises(DataError, match="damaged"):
        Faces.load(tmp_path / "faces.npz")
    with (tmp_path / "faces.npz").open("wb") as file:
        np.save(file, np.zeros(3))  # one array, not an archive of them
    with pytest.raises(DataError, match="not prepared data"):
        Faces.load(tmp_path / "faces.npz")
