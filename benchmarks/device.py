"""python -m benchmarks.device [--device cuda]: the network on a graphics card, beside one core of this machine.

Faces of the repository's portrait, cut, lit and turned a little differently each, go through `ExpressionReader` in
batches, copied there and back as for a photo. First the answers are compared by value; then come the times of a batch;
then readers in processes of their own, as the bot has them, share the device with one face at a time. Finding faces is
no part of it: it stays on the processor, as does decoding.
"""

from __future__ import annotations

import argparse
import statistics
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.numbers import amount, positive
from inference import DeviceError, Reading, checkpoint
from inference.crops import crop
from inference.expression import ON_PROCESSOR, ExpressionReader

if TYPE_CHECKING:
    from inference import Box, EmojiMap, Masked

PORTRAIT = Path(__file__).parents[1] / "tests" / "pictures" / "astronaut.jpg"
ANCHORS = np.array([(202.0, 110.0), (246.0, 106.0), (228.0, 146.0)], np.float32)
"""About the centres of her eyes and her mouth, in pixels of the portrait at 512 x 512."""


def faces(count: int, seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return so many different crops and shapes as `ExpressionReader.read` takes."""
    chance = np.random.default_rng(seed)
    portrait = cv2.imread(str(PORTRAIT), cv2.IMREAD_GRAYSCALE)
    if portrait is None:
        raise SystemExit(f"{PORTRAIT}: not readable; check out the file again")
    scale = portrait.shape[0] / 512
    crops = np.stack(
        [
            (crop(np.asarray(portrait, np.uint8), ((ANCHORS + chance.normal(0, 4, (3, 2))) * scale).astype(np.float32)))
            * chance.uniform(0.5, 1)
            for _ in range(count)
        ]
    ).astype(np.uint8)
    weights = checkpoint.load().weights
    mean, deviation = (weights[f"shape.{name}"] for name in ("mean", "deviation"))
    return crops, (mean + deviation * chance.normal(0, 1, (count, 1, 1))).astype(np.float32)


class Lone:
    """A `bot.photo_service.Reader` of the network alone: a "photo" is a number of seconds to read single faces for."""

    model = "network alone"

    def __init__(self, device: str) -> None:
        torch.set_num_threads(1)
        self._reader = ExpressionReader(checkpoint.load(), device)
        self._face = faces(1)

    def read(self, data: bytes, *, main_only: bool = False, before: Sequence[Box] = ()) -> Reading:  # noqa: ARG002
        """Return a reading as wide as the number of faces that were read, and as high as their median microseconds."""
        taken = times(self._reader, *self._face, float(data))
        return Reading(len(taken), round(1e6 * statistics.median(taken)), (), None)

    def mask(self, data: bytes, *, everyone: bool = False, emoji_map: EmojiMap | None = None) -> Masked:
        """Never called."""
        raise NotImplementedError

    def close(self) -> None:
        """Nothing to do."""


def times(
    reader: ExpressionReader, crops: NDArray[np.uint8], shapes: NDArray[np.float32], seconds: float
) -> list[float]:
    """Return the seconds of each batch, for so many seconds, after a warm-up."""
    for _ in range(5):
        reader.read(crops, shapes)
    taken: list[float] = []
    end = time.perf_counter() + seconds
    while (started := time.perf_counter()) < end:
        reader.read(crops, shapes)
        taken.append(time.perf_counter() - started)
    return taken


def together(device: str, processes: int, seconds: float) -> tuple[int, float]:
    """Return how many faces so many processes read, and the median milliseconds of one."""
    from bot.reader_process import ReaderProcess  # the bot's own; all before this needs none of its libraries

    readers = [ReaderProcess(partial(Lone, device), seconds + 60) for _ in range(processes)]
    found: list[Reading] = []
    work = [
        threading.Thread(target=lambda one=reader: found.append(one.read(str(seconds).encode()))) for reader in readers
    ]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    for reader in readers:
        reader.close()
    return sum(one.width for one in found), statistics.median(one.height for one in found) / 1000


def main() -> None:
    """Print the comparison, a line a batch, and a line a number of processes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.device", description=__doc__)
    parser.add_argument("--device", default="cuda", help="as in FACE2EMOJI_DEVICE (default cuda)")
    parser.add_argument(
        "--batches", type=positive, nargs="+", default=[1, 2, 4, 8, 16, 32, 64, 256], help="faces at a time"
    )
    parser.add_argument("--processes", type=positive, nargs="+", default=[1, 2, 4, 8], help="readers at a time")
    parser.add_argument("--seconds", type=amount, default=2.0, help="for each line (default 2)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    try:
        there = ExpressionReader(checkpoint.load(), options.device)
    except DeviceError as error:
        parser.error(error.message)
    loaded = checkpoint.load()
    here = ExpressionReader(loaded)
    # A card counts in floating point, so it is compared with the core doing so.
    exact = here if options.device == ON_PROCESSOR else ExpressionReader(replace(loaded, ranges={}))
    name = torch.cuda.get_device_name(options.device) if options.device.startswith("cuda") else options.device
    print(f"{name} beside one core, PyTorch {torch.__version__}, {options.seconds:g} s a line")
    crops, shapes = faces(max(256, *options.batches))
    ours, theirs = (reader.read(crops, shapes).scores for reader in (exact, there))
    same = float((ours.argmax(axis=1) == theirs.argmax(axis=1)).mean())
    print(
        f"{len(crops)} faces: same answer for {same:.1%}, "
        f"no probability moves by more than {np.abs(ours - theirs).max():.4f}"
    )
    for count in options.batches:
        lines = []
        for reader in (there, here):
            taken = [1000 * one for one in times(reader, crops[:count], shapes[:count], options.seconds)]
            low, *_, high = statistics.quantiles(taken, n=20) if len(taken) > 1 else taken * 2
            middle = statistics.median(taken)
            lines.append(f"{middle:8.2f} ms ({low:.2f} to {high:.2f}) {1000 * count / middle:9.0f} faces a second")
        print(f"{count:4} at a time: device {lines[0]}   core {lines[1]}", flush=True)
    for processes in options.processes:
        for device in (options.device, "cpu"):
            count, middle = together(device, processes, options.seconds)
            print(
                f"{processes:2} processes, one face at a time, {device:6}: "
                f"{count / options.seconds:8.0f} faces a second, {middle:.2f} ms a face",
                flush=True,
            )


if __name__ == "__main__":
    main()
