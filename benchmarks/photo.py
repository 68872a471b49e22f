"""python -m benchmarks.photo [--runs N]: where the time of one photo goes, beside what it could not be less than.

The photos are made of the repository's public-domain portrait. Each stage has its floor, measured in the same run: for
decoding, OpenCV's libjpeg-turbo at the same reduction; for finding and the mesh, the bare MediaPipe graphs; for the
network, its multiply-adds over the rate at which ONNX Runtime multiplies large matrices in 8 bits on one thread. Then
the same photos are read by one process and by as many as there are cores, as in the bot. Linux only: memory comes from
/proc.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from tqdm import tqdm

from benchmarks.network import multiply_adds
from benchmarks.numbers import amount, positive
from inference import checkpoint, onnx_runtime
from inference.crops import CROP_SIDE, LANDMARKS, crop, shape
from inference.emoji_map import load_emoji_map
from inference.expression import ExpressionReader, session
from inference.faces import Candidate, FaceFinder, FoundFace
from inference.graph import IR_VERSION, OPSET
from inference.network import Network
from inference.photo import WORKING_SIDE, decode
from inference.reader import FaceReader, load_reader
from inference.reading import PhotoLimits

PORTRAIT = Path(__file__).parents[1] / "tests" / "pictures" / "astronaut.jpg"
QUALITY = 90
WARM_UP = 5
MATRIX = 1024
STAGES = ("decode", "find", "mesh", "crop", "network", "cues and map")
FIRST_ANSWER = """
import sys, time
start = time.perf_counter()
from inference import load_reader
load_reader().read(open(sys.argv[1], "rb").read())
seconds = time.perf_counter() - start
resident = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmRSS"))
print(seconds, int(resident) / 1024)
"""

Pixels = NDArray[np.uint8]
_at_once: Barrier


@dataclass
class Times:
    """Milliseconds of every run: of each stage, of its floor, and of the whole photo without any clock inside."""

    stages: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in STAGES})
    floors: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in STAGES})
    whole: list[float] = field(default_factory=list)

    @property
    def floor(self) -> float:
        """The sum of the floors' medians."""
        return sum(statistics.median(values) for values in self.floors.values() if values)


class _Clock:
    """Adds up what passes inside `with`, in milliseconds."""

    def __init__(self) -> None:
        self.total = 0.0

    def __enter__(self) -> None:
        self._started = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.total += 1000 * (time.perf_counter() - self._started)


class _TimedFinder(FaceFinder):
    """A finder with clocks on the mesh and on the graphs inside."""

    def __init__(self) -> None:
        self.restart()
        super().__init__()
        for detector in self.detectors:
            detector.graph.run = self._timed(detector.graph.run, "detectors")  # type: ignore[method-assign]
        self.mesh.graph.run = self._timed(self.mesh.graph.run, "meshes")  # type: ignore[method-assign]

    def restart(self) -> None:
        self.laying, self.clocks = _Clock(), {"detectors": _Clock(), "meshes": _Clock()}

    def _timed(self, run: Callable[..., object], clock: str) -> Callable[..., object]:
        def timed(**inputs: object) -> object:
            with self.clocks[clock]:
                return run(**inputs)

        return timed

    def lay_mesh(self, pixels: Pixels, hit: Candidate, smooth: float = 0.0) -> NDArray[np.float32] | None:
        with self.laying:
            return super().lay_mesh(pixels, hit, smooth)


def pictures() -> dict[str, bytes]:
    """Return JPEG files by name: the portrait at three sizes, and a group of ten."""
    portrait = np.asarray(cv2.imread(str(PORTRAIT)), np.uint8)
    head = portrait[10:240, 110:340]
    made = {}
    for width in (640, 1280, 4032):
        # A phone's 4:3; the portrait as high as the photo.
        height = width * 3 // 4
        made[f"{width} px, one face"] = np.full((height, width, 3), (110, 120, 96), np.uint8)
        left = (width - height) // 2
        made[f"{width} px, one face"][:, left : left + height] = cv2.resize(portrait, (height, height))
    group = np.full((1200, 1600, 3), (110, 120, 96), np.uint8)
    for place in range(10):
        top, left = 150 + 500 * (place // 5), 30 + 310 * (place % 5)
        group[top : top + 280, left : left + 280] = cv2.resize(head, (280, 280))
    made["1600 px, ten faces"] = group
    return {
        name: cv2.imencode(".jpg", picture, (cv2.IMWRITE_JPEG_QUALITY, QUALITY))[1].tobytes()
        for name, picture in made.items()
    }


def measure(data: bytes, runs: int, rate: float) -> tuple[Times, int]:
    """Return the times of one picture on this thread, and how many faces it has.

    Args:
        data: a JPEG.
        runs: how often.
        rate: multiply-adds a millisecond of this machine.
    """
    times = Times()
    finder, plain, loaded = _TimedFinder(), FaceFinder(), checkpoint.load(checkpoint.RELEASED)
    expressions, emoji_map = ExpressionReader(loaded), load_emoji_map()
    reader = FaceReader(plain, expressions, emoji_map, PhotoLimits(), "")
    work = multiply_adds(
        Network.of(loaded), torch.zeros(1, CROP_SIDE, CROP_SIDE, dtype=torch.uint8), torch.zeros(1, LANDMARKS, 3)
    )
    found: tuple[FoundFace, ...] = ()
    for run in range(-WARM_UP, runs):
        clocks = {name: _Clock() for name in STAGES}
        finder.restart()
        with clocks["decode"]:
            photo = decode(data)
        with clocks["find"]:
            found = finder.find(photo.pixels)
        clocks["find"].total -= finder.laying.total
        with clocks["crop"]:
            crops = np.stack([crop(photo.pixels, face.anchors) for face in found])
            shapes = np.stack([shape(face.landmarks, face.anchors) for face in found])
        with clocks["network"]:
            read = expressions.read(crops, shapes)
        with clocks["cues and map"]:
            for face, aligned, row, covered in zip(found, crops, read.scores, read.covered, strict=True):
                reader.read_face(photo, face, aligned, row, float(covered), len(found))
        clocks["mesh"] = finder.laying
        whole = _Clock()
        with whole:
            reader.read(data)
        floors = {"decode": _Clock()}
        with floors["decode"]:
            cv2.imdecode(np.frombuffer(data, np.uint8), _reduction(photo.width))
        if run < 0:
            continue
        for name, clock in clocks.items():
            times.stages[name].append(clock.total)
        times.whole.append(whole.total)
        times.floors["decode"].append(floors["decode"].total)
        times.floors["find"].append(finder.clocks["detectors"].total)
        times.floors["mesh"].append(finder.clocks["meshes"].total)
        times.floors["network"].append(work * len(found) / rate)
    finder.close()
    reader.close()
    return times, len(found)


def _reduction(width: int) -> int:
    """Return OpenCV's flag for the reduction that a photo of this width is decoded at."""
    flags = {1: cv2.IMREAD_COLOR, 2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4}
    return flags.get(max(1, width // WORKING_SIDE), cv2.IMREAD_REDUCED_COLOR_8)


def matrix_rate() -> float:
    """Return the multiply-adds a millisecond of large matrices, uint8 by int8 as in the network, on one thread."""
    chance = np.random.default_rng(0)
    right = numpy_helper.from_array(chance.integers(-63, 64, (MATRIX, MATRIX), np.int8), "right")
    left = helper.make_tensor_value_info("left", TensorProto.UINT8, [MATRIX, MATRIX])
    product = helper.make_tensor_value_info("product", TensorProto.INT32, [MATRIX, MATRIX])
    node = helper.make_node("MatMulInteger", ["left", "right"], ["product"])
    graph = helper.make_graph([node], "product", [left], [product], [right])
    multiplying = session(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    )
    given = chance.integers(0, 256, (MATRIX, MATRIX), np.uint8)
    seconds = []
    for _ in range(20):
        started = time.perf_counter()
        multiplying.run(None, {"left": given})
        seconds.append(time.perf_counter() - started)
    return float(MATRIX**3 / (1000 * min(seconds)))


def photos_a_second(data: bytes, readers: int, seconds: float) -> float:
    """Return how many of these photos so many readers read in a second, each in a process of its own."""
    context = get_context("spawn")  # what has read once has threads, and cannot be forked
    ready = (context.Barrier(readers),)
    with ProcessPoolExecutor(readers, context, _get_ready, ready) as pool:
        return sum(pool.map(_read_on, [data] * readers, [seconds] * readers))


def _get_ready(barrier: Barrier) -> None:
    global _at_once
    _at_once = barrier


def _read_on(data: bytes, seconds: float) -> float:
    """Return how many photos this process reads in a second, from the moment on when all are ready."""
    reader = load_reader()
    reader.read(data)
    _at_once.wait(60)  # not for ever, should another fail
    count, started = 0, time.perf_counter()
    while (passed := time.perf_counter() - started) < seconds:
        reader.read(data)
        count += 1
    reader.close()
    return count / passed


def first_answer(photo: Path) -> tuple[float, float]:
    """Return of a fresh process the seconds from its first import to its first answer, and then its memory in MB."""
    command = [sys.executable, "-c", FIRST_ANSWER, str(photo)]
    seconds, memory = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return float(seconds), float(memory)


def table(name: str, times: Times, faces: int) -> list[str]:
    """Return the lines of one picture's table: median and 95th percentile of each stage, and its floor."""
    lines = [f"{name} ({faces} found)", f"  {'stage':14}{'median ms':>10}{'p95':>8}{'floor':>8}"]
    rows = [(stage, times.stages[stage], times.floors[stage]) for stage in STAGES]
    for stage, values, floors in rows:
        floor = f"{statistics.median(floors):8.1f}" if floors else f"{'':8}"
        lines.append(f"  {stage:14}{statistics.median(values):10.1f}{_p95(values):8.1f}{floor}")
    whole = statistics.median(times.whole)
    lines.append(f"  {'whole':14}{whole:10.1f}{_p95(times.whole):8.1f}{times.floor:8.1f}  x {whole / times.floor:.2f}")
    return lines


def _p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.photo", description=__doc__)
    parser.add_argument("--runs", type=positive, default=60, help="of each picture (default 60)")
    parser.add_argument("--seconds", type=amount, default=10, help="of each measure of photos a second (default 10)")
    options = parser.parse_args()
    if options.runs < 2:
        parser.error("--runs must be at least 2")
    cores = len(os.sched_getaffinity(0))
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    rate = matrix_rate()
    print(
        f"{cores} cores, Python {sys.version.split()[0]}, ONNX Runtime {onnx_runtime.VERSION}, {options.runs} runs "
        f"on one thread, 8-bit matrices at {rate / 1e6:.1f} G multiply-adds a second"
    )
    made = pictures()
    for name, data in tqdm(made.items(), desc="pictures", leave=False):
        tqdm.write("\n".join(table(name, *measure(data, options.runs, rate))))
    print(f"\nphotos a second{'one reader':>20}{f'{cores} readers':>12}{'times':>8}")
    for name, data in made.items():
        one, all_ = (photos_a_second(data, readers, options.seconds) for readers in (1, cores))
        print(f"  {name:22}{one:11.1f}{all_:12.1f}{all_ / one:8.2f}")
    starts, memories = (sorted(values) for values in zip(*(first_answer(PORTRAIT) for _ in range(5)), strict=True))
    print(f"\nfirst import to first answer {starts[2]:.2f} s ({starts[0]:.2f} to {starts[-1]:.2f}, 5 fresh processes)")
    print(f"resident then {memories[2]:.0f} MB ({memories[0]:.0f} to {memories[-1]:.0f})")


if __name__ == "__main__":
    main()
