"""python -m training STEP: from the published files to the released weights, and to figures; see --help.

Files to read, packed data and run folders may be any address of fsspec, such as s3://bucket/key: docs/training.md.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inference import EXPRESSIONS, Face2EmojiError
from training.config import Config
from training.corruptions import STRENGTHS
from training.files import DataError, Place, check_writable, local, place
from training.labels import Labelled, read_labels, set_names

if TYPE_CHECKING:
    from training.cues import Seen
    from training.evaluate import Outcome

DATA = Path("data/faces.npz")
RUN = Path("runs/latest")
REPORT = Path("runs/report.html")


def main(arguments: list[str] | None = None) -> int:
    """Return 0 on success, 1 on an error that one sentence explains, 2 on wrong usage, 130 when interrupted."""
    parser = argparse.ArgumentParser(prog="python -m training", description="Train and measure the expression network.")
    steps = parser.add_subparsers(dest="step", required=True, metavar="STEP")

    step = steps.add_parser("prepare", help="align every face of the published data and pack them")
    step.add_argument(
        "source", type=place, help="fer2013.csv(.gz), icml_face_data.csv, or a folder with a folder per class"
    )
    step.add_argument("--votes", type=place, help="fer2013new.csv: FER+'s ten votes a picture")
    step.add_argument(
        "--out", type=_or_address(_file), default=str(DATA), help=f"packed data to write (default {DATA})"
    )
    step.add_argument("--workers", type=_positive, help="processes (default: one a core)")
    step.add_argument(
        "--without", nargs="+", default=(), choices=EXPRESSIONS, help="expressions to leave out of a csv of people"
    )
    step.set_defaults(run=_prepare)

    step = steps.add_parser("train", help="train, or go on where a run stopped")
    step.add_argument("--data", type=place, nargs="+", default=[DATA], help=f"packed data, together (default {DATA})")
    step.add_argument(
        "--out", type=_run_folder, default=str(RUN), help=f"folder of checkpoints and figures (default {RUN})"
    )
    step.add_argument("--threads", type=_positive, help="cores to use (default: all)")
    defaults = Config()
    for field in fields(Config):
        value = getattr(defaults, field.name)
        kind: dict[str, Any] = {"type": type(value)}
        if isinstance(value, tuple):
            kind = {"type": int, "nargs": len(value)} if value else {"type": str, "nargs": "*"}
        words = " ".join(map(str, value)) if isinstance(value, tuple) else value
        meaning = f"{field.metadata['meaning']} (default {words})" if words != "" else field.metadata["meaning"]
        step.add_argument(f"--{field.name.replace('_', '-')}", default=value, help=meaning, **kind)
    step.set_defaults(run=_train)

    step = steps.add_parser("ablate", help="train short versions of the recipe with one thing changed, and compare")
    step.add_argument("--data", type=Path, nargs="+", default=[DATA], help=f"packed data (default {DATA})")
    step.add_argument("--out", type=_folder, required=True, help="folder of the runs and ablations.json")
    step.add_argument("--seeds", type=_positive, default=3, help="of every variant (default 3)")
    step.add_argument("--epochs", type=_positive, default=16, help="of every training (default 16)")
    step.add_argument("--share", type=_part, default=1.0, help="of the training rows, up to 1 (default 1)")
    step.add_argument("--jobs", type=_positive, default=1, help="trainings at a time, one core each (default 1)")
    step.add_argument(
        "--only", nargs="+", metavar="NAME", help="the recipe and these variants, each in quotes (default: all)"
    )
    step.set_defaults(run=_ablate)

    step = steps.add_parser("export", help="calibrate, measure and write the released checkpoint")
    step.add_argument("--data", type=place, nargs="+", default=[DATA], help="the data of the run")
    what = step.add_mutually_exclusive_group()
    what.add_argument(
        "--run", dest="folders", type=place, nargs="+", default=[RUN], help=f"of several, the mean (default {RUN})"
    )
    what.add_argument("--checkpoint", type=place, help="finished weights to calibrate anew, instead of a run's")
    step.add_argument("--out", type=_file, required=True, help="the .safetensors to write")
    step.add_argument("--onnx", type=_file, help="write the same network as ONNX too, checked against PyTorch by value")
    step.add_argument("--balance", type=_share, default=0.75, help="weight of rare expressions, 0 to 1 (default 0.75)")
    step.add_argument(
        "--costs",
        type=_cost,
        nargs="*",
        metavar="EXPRESSION=TIMES",
        help="how many times missing an expression weighs (default happy=2 fear=2 disgust=2); alone: once each",
    )
    step.set_defaults(run=_export)

    step = steps.add_parser("prune", help="make a trained network narrower; export, or train --init, follows")
    step.add_argument("--data", type=place, nargs="+", default=[DATA], help="the data it was trained on")
    step.add_argument("--checkpoint", type=place, help="weights (default: the released ones)")
    step.add_argument("--keep", type=_less, default=0.68, help="of the blocks' multiply-adds, below 1 (default 0.68)")
    step.add_argument("--epochs", type=_count, default=2, help="of learning back what was lost (default 2)")
    step.add_argument("--out", type=_file, required=True, help="the .safetensors to write")
    step.set_defaults(run=_prune)

    step = steps.add_parser("evaluate", help="measure weights on labelled pictures or on the prepared test splits")
    what = step.add_mutually_exclusive_group(required=True)
    what.add_argument("--labels", type=place, help="csv with the columns file,label; runs the full pipeline")
    what.add_argument("--data", type=place, nargs="+", help="prepared data: figures of both test splits, file by file")
    step.add_argument(
        "--split",
        choices=("Training", "PublicTest", "PrivateTest"),
        help="only these people of --labels; training uses none of PrivateTest's",
    )
    step.add_argument("--only", nargs="+", choices=EXPRESSIONS, help="only pictures of --labels with these labels")
    step.add_argument("--checkpoint", type=place, help="weights (default: the released ones)")
    step.add_argument(
        "--out", type=_folder, help="folder for metrics.json; of --labels, confusion.png and reliability.png too"
    )
    step.add_argument("--predictions", type=_file, help="file for one JSON line a picture")
    step.add_argument("--network-alone", action="store_true", help="with --labels: the cues have no say")
    step.set_defaults(run=_evaluate)

    step = steps.add_parser("robustness", help="spoil photos in every way and measure what that costs")
    step.add_argument("--labels", type=Path, nargs="+", required=True, help="csv files with the columns file,label")
    _add_choice(step)
    step.add_argument("--limit", type=_positive, help="pictures of each csv, as many of every label as there are")
    step.add_argument("--checkpoint", type=Path, help="weights (default: the released ones)")
    step.add_argument("--workers", type=_positive, default=1, help="processes (default 1)")
    step.add_argument("--seed", type=int, default=0, help="of the sample and of what is left to chance (default 0)")
    step.add_argument("--strengths", nargs="+", choices=STRENGTHS, default=STRENGTHS, help="how strong (default all)")
    step.add_argument("--out", type=_folder, required=True, help="folder for robustness.json and robustness.png")
    step.set_defaults(run=_robustness)

    step = steps.add_parser("report", help="write one HTML file of everything there is to look at")
    step.add_argument("--run", dest="folder", type=Path, help="a training run, for its learning curves")
    step.add_argument("--data", type=Path, nargs="+", default=[], help="prepared data, for its test splits")
    step.add_argument("--labels", type=Path, nargs="+", default=[], help="csv files; runs the full pipeline")
    _add_choice(step)
    step.add_argument("--checkpoint", type=Path, help="weights (default: the released ones)")
    step.add_argument(
        "--out", type=_file, default=str(REPORT), help=f"default {REPORT}; it shows people: publish it nowhere"
    )
    step.set_defaults(run=_report)

    step = steps.add_parser("mean-face", help="average neutral faces: what the cues are measured against")
    step.add_argument("--labels", type=Path, required=True, help="csv with the columns file,label")
    step.add_argument("--out", type=_file, required=True, help="the .npy to write")
    step.set_defaults(run=_mean_face)

    step = steps.add_parser("eyes", help="learn from unlabelled faces how open and closed eyes look")
    step.add_argument("source", type=Path, help="fer2013.csv(.gz)")
    step.add_argument("--out", type=_file, required=True, help="the .npy to write")
    step.set_defaults(run=_eyes)

    step = steps.add_parser("cues", help="measure on labelled pictures how often each cue fires")
    step.add_argument("--labels", type=Path, required=True, help="csv with the columns file,label; any labels")
    step.set_defaults(run=_cues)

    step = steps.add_parser("draw-cues", help="draw the mean face showing each cue")
    step.add_argument("--out", type=_file, required=True, help="the .svg to write")
    step.set_defaults(run=_draw_cues)

    options = parser.parse_args(arguments)
    try:
        options.run(options)
    except (DataError, Face2EmojiError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except ModuleNotFoundError as error:
        print(f"error: training needs the package {error.name}; run `make develop` first", file=sys.stderr)
        return 1
    except BrokenPipeError:  # who reads it has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:  # a file of somebody else's, a full disk
        print(f"error: {error.filename or 'a file'}: {error.strerror or error}", file=sys.stderr)
        return 1
    except BrokenProcessPool:
        print("error: a process was killed, perhaps for want of memory; take fewer at a time", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        goes_on = "; the same command goes on after the last whole epoch" if options.step in ("train", "ablate") else ""
        print(f"error: interrupted{goes_on}", file=sys.stderr)
        return 130
    return 0


def _prepare(options: argparse.Namespace) -> None:
    from training.prepare import prepare

    faces = prepare(options.source, options.votes, options.out, options.workers, options.without)
    twins = int(faces.twin.sum())
    print(f"{options.out}: {len(faces)} faces, {faces.found.mean():.1%} found, {twins} twins across splits")


def _train(options: argparse.Namespace) -> None:
    import torch

    from training.data import Faces, together
    from training.train import train

    if options.threads:
        torch.set_num_threads(options.threads)
    values: dict[str, Any] = {field.name: getattr(options, field.name) for field in fields(Config)}
    values |= {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
    config = Config(**values)
    config.check()  # before the data are read
    train(together([Faces.load(path) for path in options.data]), config, options.out)
    if torch.distributed.is_torchelastic_launched():
        # All is written. Threads of the process group may abort the interpreter's own end.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def _ablate(options: argparse.Namespace) -> None:
    from dataclasses import replace

    from training.ablations import BASE, VARIANTS, Plan, ablate

    base, *changes = VARIANTS
    wanted = [variant for variant in changes if not options.only or variant.name in options.only]
    if missing := set(options.only or ()) - {variant.name for variant in wanted}:
        names = "; ".join(variant.name for variant in changes)
        raise DataError(f"--only: no variant is called {', '.join(sorted(missing))}; there are: {names}")
    plan = Plan(tuple(options.data), replace(BASE, epochs=options.epochs), options.share)
    print(ablate(plan, options.out, options.seeds, options.jobs, [base, *wanted]))


def _export(options: argparse.Namespace) -> None:
    from training.calibrate import COSTS
    from training.data import Faces
    from training.export import calibrate, export

    parts = [Faces.load(path) for path in options.data]
    costs = COSTS if options.costs is None else dict(options.costs)
    if options.checkpoint:
        with local(options.checkpoint) as path:
            finished = calibrate(parts, path, options.out, options.balance, costs)
    else:
        finished = export(parts, options.folders, options.out, options.balance, costs)
    print(json.dumps({"calibration": finished.calibration.to_json(), "figures": finished.about["figures"]}, indent=2))
    if options.onnx:
        from training.to_onnx import write_onnx

        difference = write_onnx(finished, parts[0], options.onnx)
        print(f"{options.onnx}: logits differ from PyTorch's by {difference:.1e} at most", file=sys.stderr)


def _prune(options: argparse.Namespace) -> None:
    from inference import checkpoint
    from training.data import Faces, together
    from training.prune import prune

    with local(options.checkpoint or checkpoint.RELEASED) as path:
        loaded = checkpoint.load(path)
    narrow = prune(loaded, together([Faces.load(path) for path in options.data]), options.keep, options.epochs)
    checkpoint.save(options.out, narrow)
    print(f"{options.out}: {' '.join(map(str, narrow.architecture.inner))} channels inside the blocks")


def _evaluate(options: argparse.Namespace) -> None:
    from inference import checkpoint, load_reader

    if options.data:
        if options.predictions or options.split or options.only or options.network_alone:
            raise DataError("--split, --only, --predictions and --network-alone go with --labels")
        from training.data import Faces
        from training.metrics import split_figures
        from training.shipped import shipped

        with local(options.checkpoint or checkpoint.RELEASED) as path:
            loaded = checkpoint.load(path)
        predict = shipped(loaded)
        found = [split_figures(predict, loaded.calibration, Faces.load(path)) for path in options.data]
        if not any(figures for splits in found for figures in splits.values()):
            raise DataError("the data hold no faces of PublicTest or PrivateTest whose expression is known")
        if options.out:
            options.out.mkdir(parents=True, exist_ok=True)
            (options.out / "metrics.json").write_text(json.dumps(found, indent=2) + "\n", "utf-8")
        print(json.dumps(found, indent=2))
        return
    from training.evaluate import evaluate, metrics, write

    pictures = _select(options.labels, options.split or "all", options.only)
    with local(options.checkpoint or checkpoint.RELEASED) as path:
        reader = load_reader(path, two_witnesses=not options.network_alone)
    outcomes = evaluate(reader, pictures)
    result = metrics(outcomes)
    _name_unreadable(options.labels, outcomes, "counted as wrong")
    write(outcomes, result, options.out, options.predictions)
    print(json.dumps({name: value for name, value in result.items() if name != "confusion"}, indent=2))


def _name_unreadable(labels: Place, found: Sequence[Outcome | Seen], so: str) -> None:
    """Warn of the files that could not be read, and what became of them; raise DataError where none could."""
    for one in found:
        if one.error:
            print(f"warning: {one.picture.file}: {one.error}; {so}", file=sys.stderr)
    if all(one.error for one in found):
        raise DataError(f"{labels}: none of its {len(found)} pictures can be read")


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")
    return int(text)


def _file(text: str) -> Path:
    """Return where a file can be written."""
    path = Path(text)
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is a folder; name a file")
    _folder(str(path.parent))
    return path


def _folder(text: str) -> Path:
    """Return a folder to write in, which need not be there yet."""
    path = Path(text)
    if ":/" in text:
        raise argparse.ArgumentTypeError(f"{text!r} is an address; this is written to local files only")
    try:
        check_writable(path)
    except DataError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return path


def _or_address(local_place: Callable[[str], Path]) -> Callable[[str], Place]:
    """Return what takes an address of fsspec as it is, and a local place only where it can be written."""
    return lambda text: place(text) if "://" in text else local_place(text)


def _run_folder(text: str) -> Place:
    """Return the folder of a run. Under torchrun the first process looks into it, once it can tell the others."""
    return place(text) if "TORCHELASTIC_RUN_ID" in os.environ else _or_address(_folder)(text)


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 on")
    return int(text)


def _cost(text: str) -> tuple[str, float]:
    name, _, times = text.partition("=")
    try:
        if name in EXPRESSIONS and 0 < float(times) <= 100:
            return name, float(times)
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(
        f"{text!r} is not one of {', '.join(EXPRESSIONS)} with a number above 0 and up to 100, such as happy=2"
    )


def _number(fits: Callable[[float], bool], words: str) -> Callable[[str], float]:
    """Return what takes a number in a range, and says in these words which."""

    def parse(text: str) -> float:
        try:
            if fits(float(text)):
                return float(text)
        except ValueError:
            pass
        raise argparse.ArgumentTypeError(f"{text!r} is no number {words}")

    return parse


_share = _number(lambda number: 0 <= number <= 1, "from 0 to 1")
_less = _number(lambda number: 0 < number < 1, "above 0 and below 1")
_part = _number(lambda number: 0 < number <= 1, "above 0 and up to 1")


def _add_choice(step: argparse.ArgumentParser) -> None:
    step.add_argument(
        "--split",
        nargs="+",
        default=["all"],
        choices=("all", "Training", "PublicTest", "PrivateTest"),
        help="whose pictures: one for every csv of --labels, or one each (default all)",
    )
    step.add_argument("--only", nargs="+", choices=EXPRESSIONS, help="only pictures with these labels")


def _chosen(options: argparse.Namespace) -> list[tuple[str, list[Labelled]]]:
    """Return name and pictures of every csv of --labels, as --split and --only say."""
    splits = options.split * (len(options.labels) if len(options.split) == 1 else 1)
    if len(splits) != len(options.labels):
        raise DataError("--split takes one name for all of --labels, or one for each")
    return [
        (name if split == "all" else f"{name}, {split}", _select(path, split, options.only))
        for path, name, split in zip(options.labels, set_names(options.labels), splits, strict=True)
    ]


def _select(path: Path, split: str, only: list[str] | None) -> list[Labelled]:
    pictures = [
        picture
        for picture in read_labels(path)
        if split in ("all", picture.split) and picture.label in (only or EXPRESSIONS)
    ]
    if not pictures:
        raise DataError(f"{path}: no picture is of that split and those labels")
    return pictures


def _robustness(options: argparse.Namespace) -> None:
    from inference import checkpoint
    from training.robustness import measure, stratified, table, write

    weights = options.checkpoint or checkpoint.RELEASED
    strengths = [strength for strength in STRENGTHS if strength in options.strengths]
    results = []
    for name, pictures in _chosen(options):
        sample = stratified(pictures, options.limit, options.seed)
        results.append(measure(name, sample, weights, options.workers, options.seed, strengths))
        print(table(results[-1]), flush=True)
    write(results, weights, options.seed, options.out)


def _report(options: argparse.Namespace) -> None:
    from inference import checkpoint
    from training.report import report

    report(options.folder, options.data, _chosen(options), options.checkpoint or checkpoint.RELEASED, options.out)
    print(f"{options.out}: shows people's pictures, for your own eyes; keep it out of every repository")


def _mean_face(options: argparse.Namespace) -> None:
    from training.landmarks import mean_face

    faces = mean_face(options.labels, options.out)
    print(f"{options.out}: the mean of {faces} neutral faces")


def _eyes(options: argparse.Namespace) -> None:
    from training.landmarks import open_eyes

    closed, opened = open_eyes(options.source, options.out)
    print(f"{options.out}: learned from {closed} faces with closed and {opened} with open eyes")


def _cues(options: argparse.Namespace) -> None:
    from inference import load_reader
    from training.cues import look, report

    seen = look(load_reader(), read_labels(options.labels, allowed=None))
    _name_unreadable(options.labels, seen, "left out")
    for line in report(seen):
        print(line)


def _draw_cues(options: argparse.Namespace) -> None:
    from training.drawn_faces import draw

    draw(options.out)


if __name__ == "__main__":
    sys.exit(main())
