"""python -m training prepare | train | evaluate | export: from the published files to the released weights.

Files to read, packed data and run folders may be any address of fsspec, such as s3://bucket/key: docs/training.md.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inference import EXPRESSIONS, Face2EmojiError
from training.config import Config
from training.files import Place, local, place
from training.labels import DataError

if TYPE_CHECKING:
    from training.data import Faces

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
    step.set_defaults(run=_export)

    step = steps.add_parser("evaluate", help="measure weights on labelled pictures or on the prepared test splits")
    what = step.add_mutually_exclusive_group(required=True)
    what.add_argument("--labels", type=place, help="csv with the columns file,label; runs the full pipeline")
    what.add_argument("--data", type=place, help="prepared data: FER+ and FER2013 figures of both test splits")
    step.add_argument("--checkpoint", type=place, help="weights (default: the released ones)")
    step.add_argument("--out", type=Path, help="folder for metrics.json, confusion.png and reliability.png")
    step.add_argument("--predictions", type=Path, help="file for one JSON line a picture")
    step.set_defaults(run=_evaluate)

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


def _load(paths: list[Place]) -> Faces:
    from training.data import Faces

    first, *others = (Faces.load(path) for path in paths)
    return sum(others, first)


def _train(options: argparse.Namespace) -> None:
    import torch

    from training.train import train

    if options.threads:
        torch.set_num_threads(options.threads)
    values: dict[str, Any] = {field.name: getattr(options, field.name) for field in fields(Config)}
    values |= {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
    train(_load(options.data), Config(**values), options.out)


def _export(options: argparse.Namespace) -> None:
    from training.export import export

    faces = _load(options.data)
    finished = export(faces, options.folder, options.out)
    print(json.dumps({"temperature": round(finished.temperature, 4), **finished.about["figures"]}, indent=2))
    if options.onnx:
        from training.to_onnx import write_onnx

        difference = write_onnx(finished, faces, options.onnx)
        print(f"{options.onnx}: logits differ from PyTorch's by {difference:.1e} at most")


def _evaluate(options: argparse.Namespace) -> None:
    from inference import checkpoint, load_reader

    if options.data:
        if options.predictions:
            raise DataError("--predictions goes with --labels")
        from training.data import Faces
        from training.metrics import split_figures

        with local(options.checkpoint or checkpoint.RELEASED) as path:
            loaded = checkpoint.load(path)
        found = split_figures(loaded.network, loaded.temperature, Faces.load(options.data))
        if options.out:
            options.out.mkdir(parents=True, exist_ok=True)
            (options.out / "metrics.json").write_text(json.dumps(found, indent=2) + "\n", "utf-8")
        print(json.dumps(found, indent=2))
        return
    from training.evaluate import evaluate, metrics, write
    from training.labels import read_labels

    with local(options.checkpoint or checkpoint.RELEASED) as path:
        reader = load_reader(path)
    outcomes = evaluate(reader, read_labels(options.labels))
    result = metrics(outcomes)
    for outcome in outcomes:
        if outcome.error:
            print(f"warning: {outcome.picture.file}: {outcome.error}; counted as wrong", file=sys.stderr)
    write(outcomes, result, options.out, options.predictions)
    print(json.dumps({name: value for name, value in result.items() if name != "confusion"}, indent=2))


if __name__ == "__main__":
    sys.exit(main())
