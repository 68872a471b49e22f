"""Figures to look at: the one place that draws them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from inference.reading import EXPRESSIONS
from training.metrics import BINS

mpl.use("Agg")
from matplotlib import pyplot as plt


def png(figure: Figure, colours: int | None = None) -> bytes:
    """Return the figure as a PNG, and free it; of so many colours, where it holds photos and must stay small."""
    written = io.BytesIO()
    figure.savefig(written, dpi=120)
    plt.close(figure)
    if colours:
        photo = Image.open(written).convert("RGB")
        picture = photo.quantize(palette=photo.quantize(colours, kmeans=2))
        written = io.BytesIO()
        picture.save(written, "PNG", optimize=True)
    return written.getvalue()


def confusion(counts: NDArray[np.int64], columns: Sequence[str], title: str) -> Figure:
    """Return a matrix of shares and counts.

    Args:
        counts: (7, answers): a row for each of `EXPRESSIONS`.
        columns: names of the answers.
        title: above it.
    """
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure, axes = plt.subplots(figsize=(7, 6), layout="constrained")
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(counts.shape[1]), columns, rotation=35, ha="right")
    rows = zip(EXPRESSIONS, counts.sum(axis=1), strict=True)
    axes.set_yticks(range(counts.shape[0]), [f"{name} ({count})" for name, count in rows])
    for (row, column), count in np.ndenumerate(counts):
        if count:
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(
                column, row, f"{shares[row, column]:.0%}\n{count}", ha="center", va="center", size=8, color=colour
            )
    axes.set(xlabel="answer", ylabel="label", title=title)
    return figure


def reliability(confidence: NDArray[np.floating[Any]], right: NDArray[np.bool_], error: float | None) -> Figure:
    """Return the diagram of Niculescu-Mizil & Caruana 2005: how often an answer so sure is right.

    Args:
        confidence: (n,) of the answers, 0 to 1; n may be 0.
        right: (n,) whether they are.
        error: the expected calibration error, or None where no face was found.
    """
    figure, axes = plt.subplots(figsize=(5, 5), layout="constrained")
    axes.plot([0, 1], [0, 1], linestyle="--", color="grey")
    if len(confidence):
        bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
        used = np.unique(bins)
        size = [20 + 400 * float((bins == index).mean()) for index in used]
        axes.scatter(
            [confidence[bins == index].mean() for index in used],
            [right[bins == index].mean() for index in used],
            s=size,
            clip_on=False,
        )
    axes.set(xlabel="confidence", ylabel="share right", xlim=(0, 1), ylim=(0, 1))
    title = "no faces found" if error is None else f"expected calibration error {error:.3f}"
    axes.set_title(f"{title}\ndots: ours, area by share of the pictures; line: a perfect judge of itself", size=9)
    return figure


def learning(history: Sequence[dict[str, float]]) -> Figure:
    """Return the curves of a run: the training loss on the left, PublicTest's accuracies on the right.

    Args:
        history: the lines of history.jsonl.
    """
    figure, (loss, accuracy) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    epochs = [line["epoch"] for line in history]
    loss.plot(epochs, [line["loss"] for line in history], marker=".")
    loss.set(xlabel="epoch", ylabel="training loss")
    names = [name for name in history[0] if name not in ("epoch", "loss", "seconds")]
    for name in names:
        accuracy.plot(epochs, [100 * line.get(name, np.nan) for line in history], marker=".", label=name)
    accuracy.set(xlabel="epoch", ylabel="PublicTest, % right")
    if names:
        accuracy.legend()
    return figure


def robustness(
    names: Sequence[str],
    strip: NDArray[np.uint8],
    lost: Sequence[tuple[str, NDArray[np.float64]]],
    strengths: Sequence[str],
) -> Figure:
    """Return a row for each corruption: what it looks like, and the points it costs on every set.

    Args:
        names: of the n corruptions.
        strip: (n * side, s * side, 3) uint8: a row of thumbnails each, one a strength.
        lost: title and (n, s) points lost of every set.
        strengths: names of the s strengths.
    """
    count, kinds = len(names), len(strengths)
    widths = [1.5 * kinds, *[9.0] * len(lost)]
    figure, axes = plt.subplots(
        1,
        1 + len(lost),
        figsize=(1.4 + 0.5 * kinds + 4.2 * len(lost), 0.5 * count + 1.2),
        width_ratios=widths,
        layout="constrained",
        squeeze=False,
    )
    pictures, *charts = axes[0]
    pictures.imshow(strip, extent=(-0.5, kinds - 0.5, count - 0.5, -0.5), aspect="auto", interpolation="nearest")
    pictures.set_xticks(range(kinds), strengths, size=8)
    pictures.set_yticks(range(count), names)
    pictures.tick_params(length=0)
    pictures.spines[:].set_visible(False)
    colours = plt.get_cmap("viridis_r")(np.linspace(0.1, 0.9, kinds))
    for axis, (title, points) in zip(charts, lost, strict=True):
        axis.hlines(range(count), points.min(axis=1), points.max(axis=1), color="lightgrey", zorder=1)
        for kind, (strength, colour) in enumerate(zip(strengths, colours, strict=True)):
            axis.scatter(points[:, kind], range(count), color=colour, s=36, label=strength, zorder=2)
        axis.axvline(0, color="grey", linewidth=0.8, zorder=0)
        axis.set(ylim=(count - 0.5, -0.5), yticks=[], xlabel="points of accuracy lost")
        axis.set_title(title, size=10)
        axis.grid(axis="x", color="0.9", zorder=0)
    charts[0].legend(loc="lower right", fontsize=8)
    return figure
