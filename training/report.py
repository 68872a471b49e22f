"""A run and its weights -> one HTML file of everything there is to look at.

It shows pictures of people: it is for your own eyes. By default it lies under runs/, which git ignores.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from inference import EXPRESSIONS, checkpoint, load_reader
from inference.checkpoint import Checkpoint
from inference.expression import ExpressionReader
from inference.photo import decode
from training import plots
from training.data import SPLITS, Faces, truth
from training.evaluate import NO_FACE, UNREADABLE, Outcome, evaluate
from training.files import DataError
from training.labels import Labelled
from training.metrics import balanced_accuracy, calibration_error
from training.train import HISTORY

COLUMNS = (*EXPRESSIONS, NO_FACE, UNREADABLE)
WORST = 10
BATCH = 256
THUMBNAIL = 160

_PAGE = """<!DOCTYPE html>
<!-- Shows pictures of people, for your own eyes: never commit, publish or pass it on. -->
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ background: Canvas; color: CanvasText; font: 1rem/1.5 system-ui, sans-serif; max-width: 70rem;
  margin: 0 auto; padding: 1rem; }}
.notice {{ border: 2px solid; padding: .5rem 1rem; }}
.scroll {{ overflow-x: auto; }}
table {{ border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }}
caption {{ text-align: left; font-weight: bold; padding-bottom: .3rem; }}
th, td {{ border-bottom: 1px solid GrayText; padding: .2rem .7rem; text-align: right; }}
th[scope=row], th:first-child {{ text-align: left; }}
.plot {{ background: #fff; max-width: 100%; height: auto; }}
.plots {{ display: flex; flex-wrap: wrap; gap: 1rem; align-items: flex-start; }}
.plots .plot {{ width: 32rem; }}
.worst {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(10rem, 1fr)); gap: 1rem; padding: 0;
  list-style: none; }}
.worst img {{ width: 100%; }}
.worst span {{ overflow-wrap: anywhere; }}
figure {{ margin: 0; }}
pre {{ overflow-x: auto; }}
</style>
</head>
<body>
<main>
<h1>{title}</h1>
<p class="notice" role="note">This file shows pictures of people, for your own eyes: never commit, publish or pass it
on.</p>
{body}
</main>
</body>
</html>
"""


@dataclass(frozen=True, slots=True)
class _Answers:
    """What the weights said of one set.

    Attributes:
        name: of the set.
        truth: (n,) index into `EXPRESSIONS`.
        answers: (n,) index into `COLUMNS`.
        confidence: (n,) of the answers, 0 to 1; 0 where there is no face.
        names: n names of pictures.
        picture: an index -> the picture, small.
    """

    name: str
    truth: NDArray[np.int64]
    answers: NDArray[np.int64]
    confidence: NDArray[np.float64]
    names: Sequence[str]
    picture: Callable[[int], Image.Image]

    @property
    def right(self) -> NDArray[np.bool_]:
        return np.asarray(self.answers == self.truth, np.bool_)

    @property
    def found(self) -> NDArray[np.bool_]:
        return self.answers < len(EXPRESSIONS)

    @property
    def error(self) -> float | None:
        """The expected calibration error, None where no face was found."""
        return calibration_error(self.confidence[self.found], self.right[self.found]) if self.found.any() else None

    @property
    def counts(self) -> NDArray[np.int64]:
        """(7, answers) pictures by label and answer."""
        counts = np.zeros((len(EXPRESSIONS), len(COLUMNS)), np.int64)
        np.add.at(counts, (self.truth, self.answers), 1)
        return counts


def report(
    run: Path | None, data: Sequence[Path], sets: Sequence[tuple[str, Sequence[Labelled]]], weights: Path, out: Path
) -> None:
    """Write one self-contained HTML file; it asks the network for nothing.

    Args:
        run: a training's folder, for its learning curves; or None.
        data: prepared data, of which both test splits are measured.
        sets: names and pictures, read by the full pipeline.
        weights: the checkpoint.
        out: the file.

    Raises:
        CheckpointError: the weights are missing, damaged or of another kind.
        DataError: no such run or data.
    """
    loaded = checkpoint.load(weights)
    curves = _curves(run) if run else ""
    measured = [answers for path in data for answers in _prepared(loaded, path)]
    if sets:
        reader = load_reader(weights)
        measured += [_labelled(name, evaluate(reader, list(pictures))) for name, pictures in sets]
        reader.close()
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    about = json.dumps(dict(loaded.about), indent=2, ensure_ascii=False)
    body = [
        f"<p>Weights {escape(weights.name)}, SHA-256 {digest[:8]}, {weights.stat().st_size / 1e6:.1f} MB.</p>",
        _overview(measured) if measured else "",
        curves,
        *(_section(number, answers) for number, answers in enumerate(measured)),
        f'<section aria-labelledby="about"><h2 id="about">What the weights say of themselves</h2>\n'
        f"<pre>{escape(about)}</pre></section>",
    ]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(_PAGE.format(title="Face2Emoji: report", body="\n".join(body)), "utf-8")


def _prepared(loaded: Checkpoint, path: Path) -> list[_Answers]:
    """Return the answers to both test splits, where the truth is one of the seven."""
    faces, reader = Faces.load(path), ExpressionReader(loaded)
    winners = truth(faces)
    measured = []
    for split in ("PublicTest", "PrivateTest"):
        rows = np.flatnonzero((faces.split == SPLITS[split]) & (winners >= 0) & (winners < len(EXPRESSIONS)))
        if not len(rows):
            continue
        part = faces[rows]
        starts = tqdm(range(0, len(rows), BATCH), desc=f"{path.stem} {split}", unit="batch")
        scores = np.concatenate(
            [
                reader.read(
                    part.crops[start : start + BATCH], part.shapes[start : start + BATCH].astype(np.float32)
                ).scores
                for start in starts
            ]
        )

        def picture(index: int, part: Faces = part) -> Image.Image:
            return Image.fromarray(part.crops[index])

        measured.append(
            _Answers(
                f"{path.stem}, {split}",
                winners[rows].astype(np.int64),
                scores.argmax(axis=1).astype(np.int64),
                scores.max(axis=1).astype(np.float64),
                [f"row {row}" for row in rows],
                picture,
            )
        )
    return measured


def _labelled(name: str, outcomes: Sequence[Outcome]) -> _Answers:
    def picture(index: int) -> Image.Image:
        outcome = outcomes[index]
        photo = decode(outcome.picture.path.read_bytes())
        image = Image.fromarray(photo.pixels)
        if outcome.face:
            box, margin = outcome.face.box, outcome.face.box.width / 4
            sides = (box.left - margin, box.top - margin, box.right + margin, box.bottom + margin)
            left, top, right, bottom = (round(side / photo.scale) for side in sides)
            image = image.crop((max(0, left), max(0, top), min(image.width, right), min(image.height, bottom)))
        return image

    return _Answers(
        name,
        np.array([EXPRESSIONS.index(outcome.picture.label) for outcome in outcomes], np.int64),
        np.array([COLUMNS.index(outcome.answer) for outcome in outcomes], np.int64),
        np.array([outcome.face.confidence if outcome.face else 0.0 for outcome in outcomes]),
        [outcome.picture.file for outcome in outcomes],
        picture,
    )


def _curves(run: Path) -> str:
    path = run / HISTORY
    if not path.is_file():
        raise DataError(f"{run}: no training run here; run `python -m training train` first")
    try:
        lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        history = [{str(name): float(value) for name, value in line.items()} for line in lines]
        if not all({"epoch", "loss"} <= line.keys() for line in history):
            raise ValueError("no epoch or no loss")
    except (ValueError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: damaged; every line should be the figures of an epoch in JSON") from error
    if not history:
        raise DataError(f"{path}: no epoch is finished yet")
    last = history[-1]
    alt = f"Learning curves over {len(history)} epochs; last: " + ", ".join(
        f"{name} {value:.4g}" for name, value in last.items()
    )
    names = list(dict.fromkeys(name for line in history for name in line))
    rows = [[f"{line.get('epoch', 0):g}", *(_number(line.get(name)) for name in names[1:])] for line in history]
    return (
        '<section aria-labelledby="learning"><h2 id="learning">Learning curves</h2>\n'
        f"{_plot(plots.png(plots.learning(history)), alt)}\n"
        f"<details><summary>The same as a table</summary>{_table('Every epoch', names, rows)}</details></section>"
    )


def _overview(measured: Sequence[_Answers]) -> str:
    rows = [
        [
            answers.name,
            str(len(answers.truth)),
            _percent(answers.right.mean()),
            _percent(balanced_accuracy(answers.truth, answers.answers)),
            _number(answers.error),
            _percent((~answers.found).mean()),
        ]
        for answers in measured
    ]
    header = ("set", "pictures", "right", "balanced", "calibration error", "no answer")
    return (
        '<section aria-labelledby="sets"><h2 id="sets">All sets</h2>\n'
        f"{_table('Right answers on every set; no answer counts as wrong', header, rows)}</section>"
    )


def _section(number: int, answers: _Answers) -> str:
    counts, mark = answers.counts, f"set-{number}"
    accuracy = f"{answers.right.mean():.1%}"
    confused = f"Confusion matrix of {answers.name}: {accuracy} of {len(answers.truth)} right; the table below says it"
    error = "no faces found" if answers.error is None else f"expected calibration error {answers.error:.3f}"
    title = f"{len(answers.truth)} pictures, accuracy {accuracy}"
    matrix = plots.png(plots.confusion(counts, COLUMNS, title))
    sure = plots.reliability(answers.confidence[answers.found], answers.right[answers.found], answers.error)
    named = [[name, *map(str, row)] for name, row in zip(EXPRESSIONS, counts.tolist(), strict=True) if any(row)]
    return f"""<section aria-labelledby="{mark}"><h2 id="{mark}">{escape(answers.name)}</h2>
{
        _table(
            f"Each expression in {answers.name}",
            ("expression", "pictures", "found (recall)", "true (precision)", "F1"),
            _classes(counts),
        )
    }
<div class="plots">
{_plot(matrix, confused)}
{_plot(plots.png(sure), f"Reliability diagram of {answers.name}: {error}")}
</div>
<details><summary>The confusion as a table</summary>
{_table(f"Answers in {answers.name}, a row for each label", ("label", *COLUMNS), named)}</details>
{_mistakes(answers)}</section>"""


def _classes(counts: NDArray[np.int64]) -> list[list[str]]:
    rows = []
    for label, name in enumerate(EXPRESSIONS):
        hit, real, said = (
            float(value) for value in (counts[label, label], counts[label].sum(), counts[:, label].sum())
        )
        rows.append(
            [
                name,
                f"{real:.0f}",
                _percent(hit / real if real else None),
                _percent(hit / said if said else None),
                _percent(2 * hit / (real + said) if real and said else None),
            ]
        )
    return rows


def _mistakes(answers: _Answers) -> str:
    """Return the surest wrong answers with their pictures."""
    wrong = np.flatnonzero(answers.found & ~answers.right)
    worst = wrong[np.argsort(-answers.confidence[wrong], kind="stable")][:WORST].tolist()
    if not worst:
        return "<h3>Worst mistakes</h3><p>None: every face that was found was read right.</p>"
    items = []
    for index in worst:
        label, answer = EXPRESSIONS[answers.truth[index]], EXPRESSIONS[answers.answers[index]]
        words = f"labelled {label}, read as {answer}, {answers.confidence[index]:.1%} sure"
        image = answers.picture(index).convert("RGB")
        image.thumbnail((THUMBNAIL, THUMBNAIL))
        file = io.BytesIO()
        image.save(file, "JPEG", quality=85)
        source = _address(file.getvalue(), "jpeg")
        items.append(
            f'<li><figure><img src="{source}" alt="A face {words}"><figcaption>{words}<br>'
            f"<span>{escape(answers.names[index])}</span></figcaption></figure></li>"
        )
    return f'<h3>Worst mistakes: the surest wrong answers</h3>\n<ol class="worst">{"".join(items)}</ol>'


def _table(caption: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return an HTML table whose first column names the rows; the texts are escaped."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in header)
    body = "\n".join(
        f'<tr><th scope="row">{escape(first)}</th>' + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"
        for first, *cells in rows
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}"><table>'
        f"<caption>{escape(caption)}</caption>\n"
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )


def _plot(png: bytes, alt: str) -> str:
    return f'<img class="plot" src="{_address(png, "png")}" alt="{escape(alt)}">'


def _address(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _percent(share: Any) -> str:
    return "–" if share is None else f"{100 * float(share):.1f} %"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"
