"""From the published files to figures, with the commands people use."""

import json
import os
import subprocess
import sys
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from inference import checkpoint, load_reader
from inference.calibration import Calibration
from inference.network import Logits, Network
from inference.reading import EXPRESSIONS
from tests.training.conftest import TINY
from tests.training.test_s3 import make_up
from training.__main__ import main
from training.ablations import VARIANTS, Plan, Variant, ablate
from training.calibrate import fit
from training.data import FER_PLUS, SPLITS, Faces, read_people
from training.export import calibrated, export
from training.files import DataError
from training.labels import read_labels
from training.metrics import balanced_accuracy, calibration_error, split_figures
from training.shipped import shipped
from training.train import architecture, predict, train

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def story(small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What training/runs/tiny.sh leaves."""
    out = tmp_path_factory.mktemp("story")
    tell(small_data, out)
    return out


def tell(data: Path, out: Path) -> None:
    run = subprocess.run(
        [ROOT / "training/runs/tiny.sh", data, out],
        cwd=ROOT, env={**os.environ, "PYTHON": sys.executable},
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr


def test_the_story_ends_with_weights_that_explain_themselves(story: Path) -> None:
    loaded = checkpoint.load(story / "face2emoji.safetensors")
    about = loaded.about
    assert about["epochs"] == 3
    assert about["recipe"]["seed"] == 11
    assert loaded.ranges
    assert about["averaged_with"] == [{"seed": 12, "clear": 0.6}, {"seed": 13, "label_weight": 1.0}]
    assert about["data"] == Faces.load(story / "faces.npz").source
    assert json.loads((story / "metrics.json").read_text()) == about["figures"]
    assert len(about["figures"]) == 1
    assert len((story / "finish1/history.jsonl").read_text().splitlines()) == 3
    private = about["figures"][0]["PrivateTest"]
    assert private["fer_plus_7_n"] == private["fer2013_n"] == 16
    assert loaded.calibration.temperature > 0


def test_started_again_the_story_goes_on_and_ends_alike(story: Path, small_data: Path) -> None:
    before = (story / "face2emoji.safetensors").read_bytes()
    tell(small_data, story)
    assert (story / "face2emoji.safetensors").read_bytes() == before
    assert len((story / "finish1/history.jsonl").read_text().splitlines()) == 3


def test_who_has_read_enough_is_no_error() -> None:
    """A reader of the output that leaves, as `head` does."""
    code = (
        "import sys, training.__main__ as command\n"
        "command._evaluate = lambda _options: print('figures', flush=True)\n"
        "sys.exit(command.main(['evaluate', '--data', 'faces.npz']))"
    )
    read, written = os.pipe()
    os.close(read)
    ended = subprocess.run([sys.executable, "-c", code], stdout=written, stderr=subprocess.PIPE, cwd=ROOT, check=False)
    os.close(written)
    assert (ended.returncode, ended.stderr) == (1, b"")


def test_data_without_test_faces_are_no_measurement(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    faces = make_up(64)
    faces.save(tmp_path / "faces.npz")
    train(faces, replace(TINY, epochs=1), tmp_path)
    with pytest.raises(DataError, match=r"no faces of PublicTest .* to calibrate on"):
        export([faces], [tmp_path], tmp_path / "weights.safetensors")
    assert main(["evaluate", "--data", str(tmp_path / "faces.npz")]) == 1
    assert "no faces of PublicTest or PrivateTest" in capsys.readouterr().err


def test_a_test_of_twins_alone_has_no_figures_without_them(tmp_path: Path) -> None:
    faces = replace(make_up(64), split=np.ones(64, np.uint8), twin=np.ones(64, np.bool_))
    figures = split_figures(partial(predict, Network(architecture(TINY))), Calibration(), faces)
    assert figures["PublicTest"]["fer_plus_7_n"] == 64
    assert figures["PublicTest without twins"] == {}


@pytest.mark.parametrize("option", [["--split", "PublicTest"], ["--only", "sad"], ["--network-alone"]])
def test_what_says_nothing_of_prepared_data_is_refused_with_them(
    option: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "--data", "faces.npz", *option]) == 1
    assert "go with --labels" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["prepare", "fer2013.csv", "--workers=-1"], "'-1' is no whole number above 0"),
        (["export", "--run", "runs", "--checkpoint", "w.safetensors", "--out", "x.safetensors"], "not allowed with"),
    ],
)
def test_wrong_usage_is_refused(arguments: list[str], why: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert why in capsys.readouterr().err


@pytest.mark.parametrize(
    ("trouble", "status", "said"),
    [
        (OSError(28, "No space left on device", "x.svg"), 1, "error: x.svg: No space left on device\n"),
        (BrokenProcessPool(), 1, "error: a process was killed, perhaps for want of memory; take fewer at a time\n"),
        (KeyboardInterrupt(), 130, "error: interrupted\n"),
    ],
)
def test_trouble_on_the_way_is_one_sentence(
    trouble: BaseException,
    status: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(_: Path) -> None:
        raise trouble

    monkeypatch.setattr("training.drawn_faces.draw", fail)
    assert main(["draw-cues", "--out", "x.svg"]) == status
    assert capsys.readouterr().err == said


def test_people_are_never_in_two_splits(pictures: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    portrait = pictures / "astronaut.jpg"
    rows = [f"{portrait},{label},person {number}" for number in range(40) for label in ("happy", "disgust")]
    labels.write_text("\n".join(["file,label,person", *rows]))
    listed = read_labels(labels)
    splits: dict[str, set[str]] = {picture.person: set() for picture in listed}
    for picture in listed:
        splits[picture.person].add(picture.split)
    assert all(len(parts) == 1 for parts in splits.values())
    assert {"Training", "PublicTest", "PrivateTest"} == set.union(*splits.values())
    raw = read_people(labels, ("disgust",))
    assert len(raw.pictures) == 40
    assert (raw.votes[:, FER_PLUS.index("happy")] == 10).all()
    assert (raw.labels == -1).all()
    assert raw.split.tolist() == [SPLITS[picture.split] for picture in listed if picture.label == "happy"]


def test_a_teacher_is_learned_from(story: Path, faces: Faces, tmp_path: Path) -> None:
    config = replace(TINY, epochs=1, teacher=(str(story / "face2emoji.safetensors"),), teach=1.0)
    taught, alone = (
        train(faces, config, tmp_path / "taught"),
        train(faces, replace(config, teacher=()), tmp_path / "alone"),
    )
    assert not torch.equal(taught.votes.weight, alone.votes.weight)
    with pytest.raises(DataError, match="no weights at"):
        train(faces, replace(config, teacher=("nowhere",)), tmp_path / "nobody")


def test_several_teachers_are_heard_alike(story: Path, faces: Faces, tmp_path: Path) -> None:
    one, other = (str(story / f"teacher{number}.safetensors") for number in (1, 2))
    config = replace(TINY, epochs=1, teach=1.0)
    heard = [
        train(faces, replace(config, teacher=names), tmp_path / str(index)).votes.weight.detach()
        for index, names in enumerate(((one,), (other,), (one, other), (other, one)))
    ]
    assert not torch.equal(heard[0], heard[1])
    assert not torch.equal(heard[0], heard[2])
    assert torch.allclose(heard[2], heard[3], atol=1e-4)  # the order in which they are asked changes nothing
    finished = export([faces], [tmp_path / "2"], tmp_path / "weights.safetensors")
    assert finished.about["recipe"]["teacher"] == ["teacher1.safetensors", "teacher2.safetensors"]
    assert len(set(finished.about["teacher"])) == 2


def test_the_mean_of_runs_with_one_beginning_is_exported(story: Path, faces: Faces, tmp_path: Path) -> None:
    finishes = [story / f"finish{number}" for number in (1, 2, 3)]
    means = [torch.load(run / "last.pt", weights_only=True)["averaged"]["votes.weight"] for run in finishes]
    whole = Network.of(checkpoint.load(story / "face2emoji.safetensors")).votes.weight
    assert torch.allclose(whole, sum(means) / 3, atol=2e-3)  # half precision
    assert not torch.allclose(whole, means[0], atol=2e-3)
    with pytest.raises(DataError, match="began with the same weights"):
        export([faces], [story / "teacher1", story / "teacher2"], tmp_path / "weights.safetensors")


def test_variants_of_a_recipe_are_compared_seed_by_seed(story: Path, tmp_path: Path) -> None:
    plan = Plan((story / "faces.npz",), replace(TINY, epochs=1))
    variants = [VARIANTS[0], Variant("no shape", {"shape": 0}), Variant("majority instead of votes", hard_votes=True)]
    lines = ablate(plan, tmp_path, 2, 1, variants).splitlines()
    assert lines[0].startswith("| changed | faces: FER+ 8 | faces: 2013 |")
    assert [line.split(" | ")[0] for line in lines[2:]] == [f"| {variant.name}" for variant in variants]
    assert all("±" in line for line in lines[2:])
    results = json.loads((tmp_path / "ablations.json").read_text())["results"]
    assert results["the recipe"][0] != results["the recipe"][1]
    assert results["the recipe"] != results["no shape"]
    # Finished trainings are taken as they are.
    before = (tmp_path / "no-shape/1/last.pt").stat().st_mtime_ns
    assert ablate(plan, tmp_path, 2, 1, variants).splitlines() == lines
    assert (tmp_path / "no-shape/1/last.pt").stat().st_mtime_ns == before


def test_a_run_may_begin_with_other_weights(story: Path, faces: Faces, tmp_path: Path) -> None:
    before = Network.of(checkpoint.load(story / "teacher1.safetensors"))
    assert before.shape is None
    # Hardly any step at all: what comes out is what went in, and the shape is not heard yet.
    config = replace(TINY, epochs=1, rate=1e-12, average=0.0, init=str(story / "teacher1.safetensors"))
    begun = train(faces, config, tmp_path / "begun")
    stem = "stem.0.weight"
    assert torch.allclose(begun.state_dict()[stem], before.state_dict()[stem], atol=1e-6)
    assert torch.allclose(begun.votes.weight[:, : before.votes.in_features], before.votes.weight, atol=1e-6)
    assert float(begun.votes.weight.detach()[:, before.votes.in_features :].abs().max()) < 1e-6
    with pytest.raises(DataError, match="this recipe's"):
        train(faces, replace(config, widths=(8, 8, 16, 24)), tmp_path / "wider")
    with pytest.raises(DataError, match="this recipe's"):  # a head with fewer inputs than it had
        train(faces, replace(config, init=str(story / "wide.safetensors"), shape=0), tmp_path / "shapeless")


def test_a_network_is_made_narrower_and_trained_on(story: Path, faces: Faces, tmp_path: Path) -> None:
    wide, narrow = story / "face2emoji.safetensors", tmp_path / "narrow.safetensors"
    data = ["--data", str(story / "faces.npz")]
    assert main(["prune", *data, "--checkpoint", str(wide), "--keep", "0.5", "--out", str(narrow)]) == 0
    assert checkpoint.load(narrow).about["pruned_to"] == 0.5
    assert not checkpoint.load(narrow).ranges  # of the wide network's features
    inner = checkpoint.load(narrow).architecture.inner
    assert sum(inner) < sum(checkpoint.load(wide).architecture.inner_widths())
    train(faces, replace(TINY, init=str(narrow), teacher=(str(wide),)), tmp_path / "run")
    finished = export([faces], [tmp_path / "run"], tmp_path / "finished.safetensors")
    assert finished.architecture.inner == inner
    assert finished.about["figures"][0]["PrivateTest"]["fer_plus_7_n"] == 16
    load_reader(tmp_path / "finished.safetensors").close()


def test_what_a_run_began_with_is_named_without_its_place(story: Path, faces: Faces, tmp_path: Path) -> None:
    train(faces, replace(TINY, epochs=1, init=str(story / "teacher1.safetensors")), tmp_path)
    assert export([faces], [tmp_path], tmp_path / "x.safetensors").about["recipe"]["init"] == "teacher1.safetensors"


def test_calibration_makes_confidences_hold_and_rare_expressions_heard() -> None:
    chance = torch.Generator().manual_seed(0)
    right = torch.multinomial(torch.tensor([1.0, 1, 1, 20, 1, 1, 20]), 4000, replacement=True, generator=chance)
    evidence = torch.randn(4000, 7, generator=chance) + 2 * torch.nn.functional.one_hot(right, 7)
    # Sure beyond reason, and used to the two common expressions.
    votes = torch.cat([4 * evidence + 6 * torch.tensor([0.0, 0, 0, 1, 0, 0, 1]), torch.zeros(4000, 1)], dim=1)
    logits = Logits(votes, torch.zeros(4000, 7))

    def figures(calibration: Calibration) -> tuple[float, float]:
        scores = calibration.probabilities(*logits.arrays())
        answers = scores.argmax(axis=1)
        ece = calibration_error(scores.max(axis=1), answers == right.numpy())
        return balanced_accuracy(right.numpy(), answers), ece

    def smiles_found(calibration: Calibration) -> float:
        happy = right == EXPRESSIONS.index("happy")
        answers = calibration.probabilities(*logits.arrays()).argmax(axis=1)
        return float((answers == right.numpy())[happy.numpy()].mean())

    before, plain, balanced = (figures(one) for one in (Calibration(), fit(logits, right, 0), fit(logits, right, 0.8)))
    assert smiles_found(fit(logits, right, 0.8, {"happy": 3})) > smiles_found(fit(logits, right, 0.8)) + 0.02
    assert before[1] > 0.08
    assert plain[1] < 0.03
    assert balanced[0] > plain[0] + 0.05
    assert balanced[1] < 0.05


def test_finished_weights_are_calibrated_anew(story: Path, faces: Faces, tmp_path: Path) -> None:
    before = story / "face2emoji.safetensors"
    options = [
        "--data",
        str(story / "faces.npz"),
        "--checkpoint",
        str(before),
        "--out",
        str(tmp_path / "w.safetensors"),
    ]
    assert main(["export", *options, "--costs", "happy=3"]) == 0
    old, new = checkpoint.load(before), checkpoint.load(tmp_path / "w.safetensors")
    assert all(np.array_equal(old.weights[name], value) for name, value in new.weights.items())
    assert new.calibration == calibrated(shipped(new), [faces], 0.75, {"happy": 3}) != old.calibration
    assert new.ranges == old.ranges
    changed = {"costs", "figures"}
    assert new.about["costs"] == {"happy": 3}
    assert {name for name, value in new.about.items() if value != old.about[name]} <= changed


def test_an_interrupted_export_leaves_no_weights_that_are_not_calibrated(
    story: Path, faces: Faces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("training.export.split_figures", interrupt)
    with pytest.raises(KeyboardInterrupt):
        export([faces], [story / "teacher1"], tmp_path / "weights.safetensors")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("cost", ["joy=2", "happy", "happy=", "happy=-1", "happy=nan", "happy=1e9"])
def test_costs_without_sense_are_refused(cost: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["export", "--out", "x.safetensors", "--costs", cost])
    assert f"{cost!r} is not one of angry" in capsys.readouterr().err


@pytest.mark.parametrize("balance", ["7", "-0.1", "nan", "much"])
def test_a_balance_without_sense_is_refused(balance: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["export", "--out", "x.safetensors", "--balance", balance])
    assert f"{balance!r} is no number from 0 to 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("step", "option", "out", "why"),
    [
        (["prepare", "faces.csv"], "--out", ".", "is a folder"),
        (["prepare", "faces.csv"], "--out", "taken/faces.npz", "nothing can be written in"),
        (["train"], "--out", "taken/run", "nothing can be written in"),
        (["prune"], "--out", ".", "is a folder"),
        (["prune"], "--out", "s3://bucket/x.safetensors", "is an address"),
        (["export", "--out", "x.safetensors"], "--onnx", "taken/x.onnx", "nothing can be written in"),
        (["evaluate", "--data", "faces.npz"], "--out", "taken", "nothing can be written in"),
        (["evaluate", "--data", "faces.npz"], "--out", "s3://bucket", "is an address"),
    ],
)
def test_what_cannot_be_written_is_told_before_the_work(
    step: list[str],
    option: str,
    out: str,
    why: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").touch()
    with pytest.raises(SystemExit, match="2"):
        main([*step, option, out])
    assert why in capsys.readouterr().err


@pytest.mark.parametrize("keep", ["0", "1", "nan", "half"])
def test_a_share_to_keep_without_sense_is_refused(keep: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["prune", "--out", "x.safetensors", "--keep", keep])
    assert f"{keep!r} is no number above 0 and below 1" in capsys.readouterr().err


@pytest.mark.parametrize("epochs", ["-1", "2.5", "many"])
def test_a_number_of_epochs_without_sense_is_refused(epochs: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["prune", "--out", "x.safetensors", f"--epochs={epochs}"])
    assert f"{epochs!r} is no whole number from 0 on" in capsys.readouterr().err


@pytest.mark.parametrize("share", ["0", "7", "nan", "half"])
def test_a_share_without_sense_is_refused(share: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["ablate", "--out", "x", "--share", share])
    assert f"{share!r} is no number above 0 and up to 1" in capsys.readouterr().err


def test_a_variant_that_is_none_is_named_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ablate", "--out", "x", "--only", "no shape", "no nose"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: --only: no variant is called no nose; there are: no shape; shape never hidden;")
    assert "Traceback" not in error


def test_pictures_none_of_which_can_be_read_are_no_measurement(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "labels.csv").write_text("file,label\ngone.jpg,happy\n")
    assert main(["evaluate", "--labels", str(tmp_path / "labels.csv")]) == 1
    assert "none of its 1 pictures can be read" in capsys.readouterr().err


def test_calibration_hears_a_small_data_set_as_well_as_a_large_one() -> None:
    chance = torch.Generator().manual_seed(0)
    right = torch.randint(7, (6000,), generator=chance)
    origin = (torch.arange(6000) % 10 == 0).long()
    surprise = EXPRESSIONS.index("surprise")
    # In the small set surprise shows less than in the large one.
    faint = 2.0 * (origin == 1) * (right == surprise)
    evidence = torch.randn(6000, 7, generator=chance) + 2.5 * torch.nn.functional.one_hot(right, 7)
    evidence[:, surprise] -= faint
    logits = Logits(torch.cat([evidence, torch.zeros(6000, 1)], dim=1), torch.zeros(6000, 7))

    def found(calibration: Calibration) -> float:
        rows = ((origin == 1) & (right == surprise)).numpy()
        return float((calibration.probabilities(*logits.arrays()).argmax(axis=1)[rows] == surprise).mean())

    assert found(fit(logits, right, 0.75, origin=origin)) > found(fit(logits, right, 0.75)) + 0.04


def test_evaluate_on_labelled_pictures(pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images/grey.png").write_bytes(_blank())
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    (tmp_path / "smile.jpg").write_bytes((pictures / "astronaut.jpg").read_bytes())
    (tmp_path / "labels.csv").write_text(
        "file,label,person\nsmile.jpg,happiness,1\ngrey.png,neutral,2\nbroken.jpg,happy,3\nmissing.jpg,happy,4\n"
    )
    out = tmp_path / "out"
    arguments = ["--labels", str(tmp_path / "labels.csv"), "--out", str(out), "--predictions", str(out / "said.jsonl")]
    assert main(["evaluate", *arguments]) == 0
    figures = json.loads((out / "metrics.json").read_text())
    assert figures["n"] == 4
    assert figures["no_face_rate"] == 0.5
    assert figures["unreadable"] == 2
    assert figures["accuracy"] == 0.25
    assert figures["per_class_recall"] == {"happy": pytest.approx(1 / 3), "neutral": 0.0}
    assert figures["balanced_accuracy"] == pytest.approx(1 / 6)
    assert figures["median_ms"] > 0
    assert np.sum(figures["confusion"]["counts"]) == 4
    for plot in ("confusion.png", "reliability.png"):
        assert (out / plot).read_bytes().startswith(b"\x89PNG")
    said = [json.loads(line) for line in (out / "said.jsonl").read_text().splitlines()]
    assert [line["expression"] for line in said] == ["happy", None, None, None]
    assert [line.get("error") for line in said] == [None, None, "unsupported_format", "file_not_found"]
    assert '"balanced_accuracy"' in capsys.readouterr().out


def _blank() -> bytes:
    import cv2

    return bytes(cv2.imencode(".png", np.full((80, 80), 128, np.uint8))[1])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file\na.jpg", "lacks label"),
        ("file,label\na.jpg,grumpy", "line 2: label 'grumpy'"),
        ("file,label\n", "no pictures"),
        ("file,label\na.jpg,sad\n,happy\n", "line 3: names no file"),
        ("file,label\na\0.jpg,happy\n", "line 2: names no file"),
        ("\xff\xd8\xff\xe0 a picture", "no csv in UTF-8"),
    ],
)
def test_wrong_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, message: str) -> None:
    (tmp_path / "labels.csv").write_text(text, "latin-1")
    assert main(["evaluate", "--labels", str(tmp_path / "labels.csv")]) == 1
    assert message in capsys.readouterr().err


def test_figures_by_hand() -> None:
    truth, answers = np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1])
    assert balanced_accuracy(truth, answers) == pytest.approx((2 / 3 + 1) / 2)
    # Ten answers at 0.8 of which eight are right are calibrated; ten right ones are 0.2 off.
    confidence = np.full(10, 0.8)
    assert calibration_error(confidence, np.arange(10) < 8) == pytest.approx(0)
    assert calibration_error(confidence, np.ones(10, bool)) == pytest.approx(0.2)
    assert calibration_error(np.ones(4), np.ones(4, bool)) == pytest.approx(0)
