"""python -m training STEP: from the published files to the released weights, and to figures; see --help.

Files to read, packed data and run folders may be any address of fsspec, such as s3://bucket/key: docs/training.md.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

from inference import EXPRESSIONS, Face2EmojiError
from training.config import Config
from training.files import local, place
from training.labels import DataError

DATA = Path("data/faces.npz")
RUN = Path("runs/latest")


def main(arguments: list[str] | None = None) -> int:
    """Return 0 on success, 1 on an error that one sentence explains, 2 on wrong usage."""
    parser = argparse.ArgumentParser(prog="python -m training", description="Train and measure the expression network.")
    steps = parser.add_subparsers(dest="step", required=True, metavar="STEP")

    step = steps.add_parser("prepare", help="align every face of the published data and pack them")
    step.add_argument(
        "source", type=place, help="fer2013.csv(.gz), icml_face_data.csv, or a folder with a folder per class"
    )
    step.add_argument("--votes", type=place, help="fer2013new.csv: FER+'s ten votes a picture")
    step.add_argument("--out", type=place, default=DATA, help=f"packed data to write (default {DATA})")
    step.add_argument("--workers", type=int, help="processes (default: one a core)")
    step.add_argument(
        "--without", nargs="+", default=(), choices=EXPRESSIONS, help="expressions to leave out of a csv of people"
    )
    step.set_defaults(run=_prepare)

    step = steps.add_parser("train", help="train, or go on where a run stopped")
    step.add_argument("--data", type=place, nargs="+", default=[DATA], help=f"packed data, together (default {DATA})")
    step.add_argument("--out", type=place, default=RUN, help=f"folder of checkpoints and figures (default {RUN})")
    step.add_argument("--threads", type=int, help="cores to use (default: all)")
    defaults = Config()
    for field in fields(Config):
        value = getattr(defaults, field.name)
        kind: dict[str, Any] = {"nargs": len(value), "type": int} if isinstance(value, tuple) else {"type": type(value)}
        step.add_argument(f"--{field.name.replace('_', '-')}", default=value, help=f"default {value}", **kind)
    step.set_defaults(run=_train)

    step = steps.add_parser("export", help="calibrate, measure and write the released checkpoint")
    step.add_argument("--data", type=place, nargs="+", default=[DATA], help="the data of the run")
    step.add_argument("--run", dest="folder", type=place, default=RUN)
    step.add_argument("--out", type=Path, required=True, help="the .safetensors to write")
    step.add_argument("--onnx", type=Path, help="write the same network as ONNX too, checked against PyTorch by value")
    step.add_argument("--balance", type=float, default=0.5, help="weight of rare expressions, 0 to 1 (default 0.5)")
    step.set_defaults(run=_export)

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
    step.add_argument("--out", type=Path, help="folder for metrics.json, confusion.png and reliability.png")
    step.add_argument("--predictions", type=Path, help="file for one JSON line a picture")
    step.set_defaults(run=_evaluate)

    step = steps.add_parser("mean-face", help="average neutral faces: what the cues are measured against")
    step.add_argument("--labels", type=Path, required=True, help="csv with the columns file,label")
    step.add_argument("--out", type=Path, required=True, help="the .npy to write")
    step.set_defaults(run=_mean_face)

    step = steps.add_parser("eyes", help="learn from unlabelled faces how open and closed eyes look")
    step.add_argument("source", type=Path, help="fer2013.csv(.gz)")
    step.add_argument("--out", type=Path, required=True, help="the .npy to write")
    step.set_defaults(run=_eyes)

    step = steps.add_parser("cues", help="measure on labelled pictures how often each cue fires")
    step.add_argument("--labels", type=Path, required=True, help="csv with the columns file,label; any labels")
    step.set_defaults(run=_cues)

    step = steps.add_parser("draw-cues", help="draw the mean face showing each cue")
    step.add_argument("--out", type=Path, required=True, help="the .svg to write")
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
    train(together([Faces.load(path) for path in options.data]), Config(**values), options.out)


def _export(options: argparse.Namespace) -> None:
    from training.data import Faces
    from training.export import export

    parts = [Faces.load(path) for path in options.data]
    finished = export(parts, options.folder, options.out, options.balance)
    print(json.dumps({"calibration": finished.calibration.to_json(), "figures": finished.about["figures"]}, indent=2))
    if options.onnx:
        from training.to_onnx import write_onnx

        difference = write_onnx(finished, parts[0], options.onnx)
        print(f"{options.onnx}: logits differ from PyTorch's by {difference:.1e} at most", file=sys.stderr)


def _evaluate(options: argparse.Namespace) -> None:
    from inference import checkpoint, load_reader

    if options.data:
        if options.predictions:
            raise DataError("--predictions goes with --labels")
        from training.data import Faces
        from training.metrics import split_figures

        with local(options.checkpoint or checkpoint.RELEASED) as path:
            loaded = checkpoint.load(path)
        found = [split_figures(loaded.network, loaded.calibration, Faces.load(path)) for path in options.data]
        if options.out:
            options.out.mkdir(parents=True, exist_ok=True)
            (options.out / "metrics.json").write_text(json.dumps(found, indent=2) + "\n", "utf-8")
        print(json.dumps(found, indent=2))
        return
    from training.evaluate import evaluate, metrics, write
    from training.labels import read_labels

    pictures = [
        picture
        for picture in read_labels(options.labels)
        if options.split in (None, picture.split) and picture.label in (options.only or EXPRESSIONS)
    ]
    if not pictures:
        raise DataError(f"{options.labels}: no picture is of that split and those labels")
    with local(options.checkpoint or checkpoint.RELEASED) as path:
        reader = load_reader(path)
    outcomes = evaluate(reader, pictures)
    result = metrics(outcomes)
    for outcome in outcomes:
        if outcome.error:
            print(f"warning: {outcome.picture.file}: {outcome.error}; counted as wrong", file=sys.stderr)
    write(outcomes, result, options.out, options.predictions)
    print(json.dumps({name: value for name, value in result.items() if name != "confusion"}, indent=2))


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
    from training.labels import read_labels

    for line in report(look(load_reader(), read_labels(options.labels, allowed=None))):
        print(line)


def _draw_cues(options: argparse.Namespace) -> None:
    from training.drawn_faces import draw

    draw(options.out)


if __name__ == "__main__":
    sys.exit(main())
