"""The commands that measure the cues, draw them and make their references."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from inference.head import STABLE, fit, mean_face
from inference.reading import CUES
from training.__main__ import main
from training.cues import Seen, report
from training.labels import Labelled
from training.landmarks import _logistic, _partners, _upright

ROOT = Path(__file__).parents[2]


def seen(label: str, *cues: str, file: str = "a.jpg") -> Seen:
    return Seen(Labelled(Path(file), file, label, file), cues)


def test_shares_precision_and_recall() -> None:
    lines = list(
        report(
            [
                seen("wink", "wink_left", "smile_open", file="hit.jpg"),
                seen("wink", file="missed.jpg"),
                seen("not_wink", "wink_right", file="wrong.jpg"),
                seen("not_wink", "smile_open"),
                seen("eyes_closed", "eyes_closed"),
                Seen(Labelled(Path("b.jpg"), "b.jpg", "eyes_closed", "b.jpg"), None),
            ]
        )
    )
    assert "eyes_closed: 2 pictures, 1 without a face" in lines
    assert "  smile_open        50.0%  1" in lines
    assert "wink: precision 50.0% of 2, recall 50.0% of 2" in lines
    assert "  missed: missed.jpg" in lines
    assert "  wrong: wrong.jpg" in lines
    assert "eyes_closed: precision 100.0% of 1, recall 50.0% of 2" in lines


def test_the_command_measures_pictures_with_any_labels(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(pictures / "astronaut.jpg", tmp_path)
    (tmp_path / "labels.csv").write_text("file,label\nastronaut.jpg,not_wink\n")
    assert main(["cues", "--labels", str(tmp_path / "labels.csv")]) == 0
    out = capsys.readouterr().out
    assert "not_wink: 1 pictures" in out
    assert "smile_open       100.0%  1" in out
    assert "wink_left" not in out


def test_a_file_that_cannot_be_read_is_named_and_no_picture_without_a_face(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(pictures / "astronaut.jpg", tmp_path)
    (tmp_path / "junk.jpg").write_bytes(b"junk")
    (tmp_path / "labels.csv").write_text("file,label\nastronaut.jpg,wink\ngone.jpg,wink\njunk.jpg,wink\n")
    assert main(["cues", "--labels", str(tmp_path / "labels.csv")]) == 0
    out, err = capsys.readouterr()
    assert "wink: 1 pictures\n" in out
    assert "wink: precision none fired, recall 0.0% of 1" in out
    assert [line for line in err.splitlines() if line.startswith("warning: ")] == [
        "warning: gone.jpg: file_not_found; left out",
        "warning: junk.jpg: unsupported_format; left out",
    ]


def test_cues_of_files_none_of_which_can_be_read_are_no_measurement(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "labels.csv").write_text("file,label\ngone.jpg,wink\n")
    assert main(["cues", "--labels", str(tmp_path / "labels.csv")]) == 1
    out, err = capsys.readouterr()
    assert not out
    assert "none of its 1 pictures can be read" in err


def test_the_drawing_in_the_documents_is_the_one_that_is_drawn(tmp_path: Path) -> None:
    assert main(["draw-cues", "--out", str(tmp_path / "new/cues.svg")]) == 0
    drawn = (tmp_path / "new/cues.svg").read_text("utf-8")
    assert drawn == (ROOT / "docs/cues.svg").read_text("utf-8")
    assert [cue for cue in CUES if f">{cue}</text>" not in drawn] == []


def test_the_documents_explain_every_cue() -> None:
    text = (ROOT / "docs/cues.md").read_text("utf-8")
    assert [cue for cue in CUES if f"| `{cue}` |" not in text] == []


@pytest.mark.parametrize(("content", "why"), [(None, "cannot be read"), (b"junk", "not a photo")])
def test_a_mean_face_of_pictures_that_cannot_be_read_is_refused_in_words(
    content: bytes | None, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if content:
        (tmp_path / "junk.jpg").write_bytes(content)
    (tmp_path / "labels.csv").write_text("file,label\njunk.jpg,neutral\n")
    arguments = ["--labels", str(tmp_path / "labels.csv"), "--out", str(tmp_path / "mean.npy")]
    assert main(["mean-face", *arguments]) == 1
    err = capsys.readouterr().err
    assert f"error: {tmp_path / 'junk.jpg'}: " in err
    assert why in err


def test_pictures_without_a_face_teach_nothing_about_eyes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "fer2013.csv").write_text(f"emotion,pixels,Usage\n3,{'7 ' * 2304},Training\n")
    assert main(["eyes", str(tmp_path / "fer2013.csv"), "--out", str(tmp_path / "eyes.npy")]) == 1
    assert "too few faces with clearly open" in capsys.readouterr().err


def test_the_mean_face_is_symmetric_and_looks_straight_at_us() -> None:
    face = mean_face()
    partner = _partners(np.array(face) + np.random.default_rng(0).normal(0, 1e-6, face.shape))
    mirrored = (face * (-1, 1, 1))[partner]
    # Closed lips lie on one another, so a partner there may be the other lip's.
    assert np.abs(mirrored - face)[list(STABLE)].max() < 1e-3


def test_a_crooked_mean_face_is_set_upright() -> None:
    face = np.array(mean_face())
    points = np.array([[np.cos(0.3), np.sin(0.3), 0], [-np.sin(0.3), np.cos(0.3), 0], [0, 0, 1]])
    assert _upright(face @ points, _partners(face)) == pytest.approx(face, abs=2e-3)


def test_the_fit_finds_size_turn_and_place() -> None:
    generator = np.random.default_rng(0)
    source = generator.normal(size=(20, 3))
    turn, _ = np.linalg.qr(generator.normal(size=(3, 3)))
    turn *= np.sign(np.linalg.det(turn))
    scale, found, offset = fit(source, 2.5 * source @ turn + (1, 2, 3))
    assert scale == pytest.approx(2.5)
    assert found == pytest.approx(turn)
    assert offset == pytest.approx([1, 2, 3])


def test_the_rule_for_open_eyes_learns_from_few_closed_ones() -> None:
    generator = np.random.default_rng(0)
    is_open = np.arange(300) >= 20
    described = generator.normal(size=(300, 5)).astype(np.float32)
    described[:, 2] += np.where(is_open, 2, -2)
    rule = _logistic(described, is_open)
    answers = described @ rule[:-1] + rule[-1] > 0
    assert (answers == is_open)[is_open].mean() > 0.9
    assert (answers == is_open)[~is_open].mean() > 0.9
