"""From the published files to figures, with the commands people use."""

import json
import os
import subprocess
import sys
from concurrent.futures.process import BrokenProcessPool
from dataclasses import fields, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from inference import checkpoint, load_reader
from inference.calibration import Calibration
from inference.network import Logits, Network
from inference.reading import EXPRESSIONS
from tests.training.test_s3 import make_up
from training.__main__ import main
from training.ablations import VARIANTS, Plan, Variant, ablate
from training.augment import _tan, _touch, _wear_glasses, _wear_mask, augment, mirror, mirror_order
from training.calibrate import fit
from training.config import Config
from training.data import FER_PLUS, SPLITS, Faces, read_people, together
from training.export import calibrated, export
from training.files import DataError, Remote
from training.labels import read_labels
from training.metrics import balanced_accuracy, calibration_error, split_figures
from training.shipped import shipped
from training.train import architecture, crop_side, predict, read_state, train

ROOT = Path(__file__).parents[2]
TINY = Config(epochs=2, batch=16, rate=0.1, growth=0, widths=(8, 8, 16, 16), blocks=(1, 1, 1, 1), shape=8, average=0.8)


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


@pytest.fixture(scope="session")
def faces(story: Path) -> Faces:
    return Faces.load(story / "faces.npz")


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


def test_the_network_learns(faces: Faces, tmp_path: Path) -> None:
    train(faces, replace(TINY, epochs=60), tmp_path)
    history = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert history[-1]["loss"] < 0.7 * history[0]["loss"]
    assert history[-1]["fer_plus_7"] > 0.8


def test_labels_alone_teach_the_head_that_answers(faces: Faces, tmp_path: Path) -> None:
    unvoted = replace(faces, votes=np.zeros_like(faces.votes))
    train(unvoted, replace(TINY, epochs=60), tmp_path)
    finished = export([unvoted], [tmp_path], tmp_path / "weights.safetensors")
    assert finished.about["figures"][0]["PrivateTest"]["fer_plus_7"] > 0.8


def test_a_resumed_run_is_the_same_run(faces: Faces, tmp_path: Path) -> None:
    whole = train(faces, TINY, tmp_path / "whole")
    interrupted = tmp_path / "interrupted"
    train_one_epoch(faces, interrupted)
    resumed = train(faces, TINY, interrupted)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_a_run_of_an_earlier_version_goes_on(faces: Faces, tmp_path: Path) -> None:
    train_one_epoch(faces, tmp_path)
    state = torch.load(tmp_path / "last.pt", weights_only=True)
    del state["inner"], state["contents"]
    torch.save(state, tmp_path / "last.pt")
    train(faces, TINY, tmp_path)
    export([faces], [tmp_path], tmp_path / "weights.safetensors")
    (line,) = (tmp_path / "history.jsonl").read_text().splitlines()  # the first epoch ended before its line
    assert json.loads(line)["epoch"] == 2


def train_one_epoch(faces: Faces, out: Path) -> None:
    """Stop after the first epoch's checkpoint, as a kill between epochs does."""
    import training.train as room

    keep = room._Run.save

    class Killed(Exception):
        pass

    def save_and_die(run: room._Run, path: Path) -> None:
        keep(run, path)
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room._Run, "save", save_and_die)
        with pytest.raises(Killed):
            train(faces, TINY, out)


def test_a_run_of_another_recipe_is_not_continued(faces: Faces, tmp_path: Path) -> None:
    train(faces, TINY, tmp_path)
    with pytest.raises(DataError, match="another recipe"):
        train(faces, replace(TINY, seed=1), tmp_path)


@pytest.mark.parametrize("changed", ["crops", "shapes", "votes", "labels", "split"])
def test_a_run_does_not_go_on_with_data_that_were_prepared_otherwise(
    faces: Faces, tmp_path: Path, changed: str
) -> None:
    train_one_epoch(faces, tmp_path)
    anew = replace(faces, **{changed: getattr(faces, changed)[::-1].copy()})
    assert anew.source == faces.source
    with pytest.raises(DataError, match=r"last\.pt: its data were prepared otherwise.* choose another --out"):
        train(anew, TINY, tmp_path)
    with pytest.raises(DataError, match="was trained on data that were prepared otherwise"):
        export([anew], [tmp_path], tmp_path / "weights.safetensors")


def test_crops_grow_to_their_full_side(faces: Faces, tmp_path: Path) -> None:
    recipe = Config(epochs=10, growth=0.8)
    assert [crop_side(recipe, epoch) for epoch in range(10)] == [32] * 4 + [48] * 4 + [64] * 2
    assert {crop_side(replace(recipe, growth=0), epoch) for epoch in range(10)} == {64}
    with pytest.raises(DataError, match="multiples of 16"):
        train(faces, replace(recipe, small_side=40), tmp_path)


def test_a_damaged_checkpoint_is_said_to_be_one(faces: Faces, tmp_path: Path) -> None:
    train(faces, replace(TINY, epochs=1), tmp_path)
    path = tmp_path / "last.pt"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DataError, match="damaged"):
        train(faces, replace(TINY, epochs=1), tmp_path)
    with pytest.raises(DataError, match="damaged"):
        export([faces], [tmp_path], tmp_path / "weights.safetensors")


def test_a_store_that_cannot_be_reached_is_no_damaged_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Remote) -> bytes:
        raise DataError(f"{self}: access denied")

    monkeypatch.setattr(Remote, "read_bytes", refuse)
    with pytest.raises(DataError, match=r"last\.pt: access denied"):
        read_state(Remote("s3://faces/run/last.pt"))


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


@pytest.mark.parametrize("stored", [[1, 2], torch.zeros(3), {"epoch": 1}, b"junk"])
def test_a_file_of_another_kind_is_no_checkpoint(stored: object, tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    if isinstance(stored, bytes):
        path.write_bytes(stored)
    else:
        torch.save(stored, path)
    with pytest.raises(DataError, match=r"last\.pt: .*; delete it and train again"):
        read_state(path)


def test_a_run_of_a_version_that_trained_otherwise_is_refused_in_words(tmp_path: Path) -> None:
    faces = make_up(64)
    train(faces, replace(TINY, epochs=1), tmp_path)
    state = read_state(tmp_path / "last.pt")
    torch.save({**state, "network": {}}, tmp_path / "last.pt")
    with pytest.raises(DataError, match=r"last\.pt: of another version"):
        train(faces, replace(TINY, epochs=1), tmp_path)
    changes: list[dict[str, object]] = [{"config": {**state["config"], "more": 1}}, {"averaged": {}}]
    for change in changes:
        torch.save({**state, **change}, tmp_path / "last.pt")
        with pytest.raises(DataError, match="of another version; train again"):
            export([faces], [tmp_path], tmp_path / "weights.safetensors")


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


def test_augmented_faces_are_faces_and_repeatable(faces: Faces) -> None:
    crops, shapes = torch.from_numpy(faces.crops[:8]), torch.from_numpy(faces.shapes[:8]).float()
    order = torch.from_numpy(mirror_order(faces.shapes[0].astype(np.float32)))
    (one, shape), (same, same_shape), (other, _) = (
        augment(crops, shapes, order, 48, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert one.shape == (8, 48, 48)
    assert shape.shape == shapes.shape
    assert torch.equal(one, same)
    assert torch.equal(shape.nan_to_num(9), same_shape.nan_to_num(9))
    assert not torch.equal(one, other)
    assert float(one.min()) >= 0
    assert float(one.max()) <= 255
    assert (one - crops[:, 8:56, 8:56]).abs().mean() > 5
    # The same chances turn and move them alike, whether they are spoilt or not: every other one is left clear.
    nothing, everything = (
        augment(crops, shapes, order, 48, torch.Generator().manual_seed(1), clear=clear, hide=clear) for clear in (1, 0)
    )
    alike = torch.isclose(one, nothing.crops, atol=0.01).flatten(1).all(dim=1)
    assert 0 < int(alike.sum()) < 8
    assert not torch.isclose(everything.crops, nothing.crops, atol=0.01).flatten(1).all(dim=1).any()
    assert nothing.shapes.isnan().all()
    assert torch.equal(everything.shapes.isnan(), shapes.isnan())


def test_what_is_worn_or_held_covers_what_it_should() -> None:
    grey, chance = torch.full((40, 1, 64, 64), 0.6), torch.Generator().manual_seed(3)
    everyone = torch.ones(40, 1, 1, 1, dtype=torch.bool)
    eyes, mouth = (slice(20, 28), slice(14, 26)), (slice(48, 54), slice(28, 36))

    def changed(pictures: torch.Tensor, where: tuple[slice, slice]) -> torch.Tensor:
        return ((pictures[:, 0, where[0], where[1]] - 0.6).abs() > 0.01).float().mean(dim=(1, 2))

    masked = _wear_mask(grey, everyone, chance)
    assert (changed(masked, mouth) > 0.9).float().mean() > 0.9
    spectacles = (changed(_wear_glasses(grey, chance), eyes) > 0).float().mean()
    assert 0.1 < float(spectacles) < 0.6
    assert (changed(_wear_glasses(grey, chance), mouth) == 0).all()
    touched = _touch(grey, everyone, chance)
    assert (changed(touched, (slice(30, 64), slice(0, 64))) > 0.1).float().mean() > 0.8
    assert torch.equal(_touch(grey, ~everyone, chance), grey)
    assert torch.equal(_wear_mask(grey, ~everyone, chance), grey)
    tanned = _tan(grey, chance)
    assert 0.1 < float((changed(tanned, (slice(34, 44), slice(14, 24))) > 0.5).float().mean()) < 0.6
    assert (changed(tanned, (slice(0, 2), slice(0, 2))) < 0.1).all()  # what is beside the face keeps its light


def test_a_mirror_swaps_the_sides_of_a_face(faces: Faces) -> None:
    shapes = torch.from_numpy(faces.shapes[:1]).float()
    order = mirror_order(faces.shapes[0].astype(np.float32))
    assert (order[order] == np.arange(len(order))).all()
    assert (order[[33, 61, 1, 468]] == [263, 291, 1, 473]).all()  # eye and mouth corners, nose, irises
    mirrored = mirror(shapes, torch.from_numpy(order))
    assert torch.allclose(mirror(mirrored, torch.from_numpy(order)), shapes)
    assert float((mirrored - shapes)[..., :2].abs().mean()) < 0.05  # a frontal face is nearly its own mirror image


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


def test_data_together_are_trained_and_measured_apart(faces: Faces, tmp_path: Path) -> None:
    parts = [faces, faces[np.arange(40)]]
    train(together(parts), replace(TINY, epochs=1), tmp_path)
    finished = export(parts, [tmp_path], tmp_path / "weights.safetensors")
    assert [len(part) for part in finished.about["figures"]] == [4, 0]  # the first 40 rows are all of Training
    with pytest.raises(DataError, match="other data"):
        export([faces], [tmp_path], tmp_path / "weights.safetensors")


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


def test_mixed_faces_are_learned_from(faces: Faces, tmp_path: Path) -> None:
    train(faces, replace(TINY, epochs=60, mixup=0.5), tmp_path / "mixed")
    history = [json.loads(line) for line in (tmp_path / "mixed/history.jsonl").read_text().splitlines()]
    assert history[-1]["fer_plus_7"] > 0.8


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


@pytest.mark.parametrize("able", [True, False])
def test_bfloat16_is_used_where_the_device_multiplies_it(
    able: bool, faces: Faces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    halved = set()

    def forward(network: Network, crops: torch.Tensor, shapes: torch.Tensor) -> Logits:
        if network.training:
            halved.add(torch.is_autocast_enabled("cpu"))
        return network.answer(crops, shapes).logits

    monkeypatch.setattr("training.train.multiplies_bfloat16", lambda _device: able)
    monkeypatch.setattr(Network, "forward", forward)
    train(faces, replace(TINY, epochs=1), tmp_path)
    assert halved == {able}


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


def test_a_run_that_cannot_be_stored_is_told_before_the_teachers_are_asked(faces: Faces, tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    with pytest.raises(DataError, match=r"taken/run: nothing can be written in .*taken"):
        train(faces, replace(TINY, teacher=("nowhere",)), tmp_path / "taken/run")


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


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (["--epochs", "0"], "--epochs must be 1 or more"),
        (["--rate", "nan"], "--rate must be 1e-15 or more"),
        (["--widths", "8", "0", "8", "8"], "--widths must be 1 or more, up to 4096"),
        (["--shape", "-1"], "--shape must be 0 or more"),
        (["--average", "2"], "--average must be 0 or more, up to 1"),
        (["--clear", "2"], "--clear must be 0 or more, up to 1"),
        (["--small-side", "40"], "must be multiples of 16"),
    ],
)
def test_a_recipe_without_sense_is_refused_before_the_data_are_read(
    wrong: list[str], why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "--data", str(tmp_path / "none.npz"), "--out", str(tmp_path / "run"), *wrong]) == 1
    assert why in capsys.readouterr().err


def test_the_help_explains_every_setting_of_a_training(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["train", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    for setting in fields(Config):
        assert setting.metadata["meaning"] in shown


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
