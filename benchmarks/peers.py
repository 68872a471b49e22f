"""python -m benchmarks.peers LABELS [LABELS ...]: time and accuracy beside other readers of expressions, in one run.

Peers are the package fer, the npm packages @vladmandic/face-api and @vladmandic/human (WebAssembly in Node), and an
untrained ResNet-18 at 160x160, eager, of which only the time counts. The first run installs them into a folder of
their own.

Every reader is a process, and decodes the same JPEG itself; pictures go to them in turns, one at a time, so nothing
else of ours works meanwhile. That happens twice: all bound to one core and told to use one thread, then free and told
to use all. Time runs from the bytes in memory to the answer, after some pictures for warming up. Linux only: memory
and processor time are of /proc.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import numpy as np
from tqdm import tqdm

from benchmarks.numbers import positive
from inference.reading import EXPRESSIONS
from tests import npm
from training.files import DataError
from training.labels import Labelled, read_labels, set_names
from training.metrics import balanced_accuracy

ROOT = Path(__file__).parents[1]
RUNNER = Path(__file__).with_name("peer_runner.mjs")

# Of each peer the newest release when this was written. fer comes without what it asks for but needs for videos only
# (moviepy, pandas, matplotlib), and without its other face finder, MTCNN, which would bring PyTorch and torchvision.
PYTHON_PACKAGES = ("fer==25.10.3",)
PYTHON_DEPENDENCIES = (
    "tensorflow-cpu==2.19.1",  # 2.20 is announced to drop tf.lite, which fer calls
    "numpy==2.1.3",  # the last that TensorFlow 2.19 takes
    "opencv-python-headless==4.11.0.86",  # the product's OpenCV: the same JPEG decoder on both sides
    "pillow==13.0.0",
    "requests==2.34.2",
    "setuptools==80.9.0",  # fer imports pkg_resources, which setuptools 82 no longer has
)
NODE_PACKAGES = (
    "@vladmandic/face-api@1.7.15",  # carries its models
    "@vladmandic/human@3.3.6",  # carries its models
    "@tensorflow/tfjs@4.22.0",  # both are built against it
    "@tensorflow/tfjs-backend-wasm@4.22.0",
    "sharp@0.34.5",  # the fastest decoder for Node; its binary comes by npm
)

# What training used, or what is labelled too poorly to judge by; of other sets all pictures count.
SPLITS = {"muxspace": "PrivateTest"}
LABELS = {"muxspace": ("happy", "neutral", "surprise", "sad", "angry")}

# The readers' words for the seven.
WORDS = {
    **{name: name for name in EXPRESSIONS},
    "disgusted": "disgust",  # face-api
    "fearful": "fear",
    "surprised": "surprise",
}

WARM_UP = 10
STARTS = 3
CORES = ("one core", "all cores")


@dataclass(frozen=True, slots=True)
class Peer:
    """A reader with its settings.

    Attributes:
        name: for the table.
        runner: its name in peer_runner.py or peer_runner.mjs.
        home: whose environment it runs in: ours, python (fer's) or node.
        answers: False where only the time means something.
    """

    name: str
    runner: str
    home: str
    answers: bool = True


OURS = Peer("Face2Emoji", "face2emoji", "ours")
# As chats read a photo that gets one reaction; face-api and human look for one face, too.
MAIN_FACE = Peer("Face2Emoji, main face", "face2emoji-main", "ours")
PEERS = (
    OURS,
    MAIN_FACE,
    Peer("fer", "fer", "python"),
    Peer("face-api, TinyFaceDetector", "face-api-tiny", "node"),
    Peer("face-api, SsdMobilenet", "face-api-ssd", "node"),
    Peer("human", "human", "node"),
    Peer("ResNet-18 behind Haar", "resnet18", "ours", answers=False),
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a reader said about a picture.

    Attributes:
        expression: one of `EXPRESSIONS`, or None where it found no face.
        ms: milliseconds from bytes to answer.
        failed: it could not read the picture at all.
    """

    expression: str | None
    ms: float
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Figures:
    """One reader on one set of pictures.

    Attributes:
        peer: its name.
        set_name: the set's.
        cores: one of `CORES`.
        pictures: how many it read.
        failed: how many it could not read.
        no_face: how many it found no face in.
        accuracy: share of right answers of seven, 0 to 1, where no face and failures are wrong; None where meaningless.
        balanced: the mean of it over the labels of the set.
        median, p95: milliseconds a picture.
        cpu: mean milliseconds of processor time a picture, over all its threads; steady where other programs run too.
    """

    peer: str
    set_name: str
    cores: str
    pictures: int
    failed: int
    no_face: int
    accuracy: float | None
    balanced: float | None
    median: float
    p95: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a reader takes.

    Attributes:
        peer: its name.
        cores: one of `CORES`.
        start: seconds from the start of its process to the first answer, median of `STARTS`.
        memory: resident MB after all pictures.
    """

    peer: str
    cores: str
    start: float
    memory: float


class PeerFailed(Exception):
    """A reader cannot be installed, does not start, or died."""


def expression(word: str | None) -> str | None:
    """Return which of `EXPRESSIONS` a reader means.

    Raises:
        PeerFailed: the word is unknown.
    """
    if word is None:
        return None
    if word not in WORDS:
        raise PeerFailed(f"answered {word!r}, which is none of {', '.join(WORDS)}")
    return WORDS[word]


def judge(
    peer: Peer, set_name: str, cores: str, labels: Sequence[str], answers: Sequence[Answer], cpu: float
) -> Figures:
    """Return the figures of a reader's answers to pictures with these labels.

    Args:
        peer: the reader.
        set_name: the set's name.
        cores: one of `CORES`.
        labels: of `EXPRESSIONS`, one a picture.
        answers: one a picture.
        cpu: mean milliseconds of processor time a picture.
    """
    truth = np.array([EXPRESSIONS.index(label) for label in labels])
    found = np.array([EXPRESSIONS.index(each.expression) if each.expression else -1 for each in answers])
    times = [each.ms for each in answers if not each.failed]
    failed = sum(each.failed for each in answers)
    return Figures(
        peer=peer.name,
        set_name=set_name,
        cores=cores,
        pictures=len(answers) - failed,
        failed=failed,
        no_face=sum(each.expression is None and not each.failed for each in answers) if peer.answers else 0,
        accuracy=float((found == truth).mean()) if peer.answers else None,
        balanced=balanced_accuracy(truth, found) if peer.answers else None,
        median=float(np.percentile(times, 50)) if times else float("inf"),
        p95=float(np.percentile(times, 95)) if times else float("inf"),
        cpu=cpu,
    )


def table(rows: Sequence[Figures]) -> str:
    """Return a Markdown table of one set on one or all cores; the ratio is the peer's median over ours."""
    ours = next(row for row in rows if row.peer == OURS.name)
    lines = [
        "| | read | failed | no face | right | balanced | median ms | p95 ms | CPU ms | times our median |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        meant = row.accuracy is not None
        cells = (
            row.peer,
            str(row.pictures),
            str(row.failed),
            str(row.no_face) if meant else "–",
            _percent(row.accuracy),
            _percent(row.balanced),
            f"{row.median:.1f}",
            f"{row.p95:.1f}",
            f"{row.cpu:.1f}",
            f"{row.median / ours.median:.2f}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def footprint_table(rows: Sequence[Footprint]) -> str:
    """Return a Markdown table of start-up and memory."""
    lines = ["| | cores | start to first answer, s | resident MB |", "|---|---|--:|--:|"]
    lines += [f"| {row.peer} | {row.cores} | {row.start:.1f} | {row.memory:.0f} |" for row in rows]
    return "\n".join(lines)


def verdict(rows: Sequence[Figures]) -> list[str]:
    """Say how the fastest peer compares, and wherever a peer beats us; rows are of one set and one of `CORES`."""
    ours = next(row for row in rows if row.peer == OURS.name)
    peers = [row for row in rows if row.peer not in (OURS.name, MAIN_FACE.name)]
    if not peers:
        return []
    fastest = min(peers, key=lambda row: row.median)
    lines = [f"The fastest peer, {fastest.peer}, takes {fastest.median / ours.median:.2f} times our median."]
    if main := next((row for row in rows if row.peer == MAIN_FACE.name), None):
        lines[0] = f"{lines[0][:-1]}, and {fastest.median / main.median:.2f} times that of our main face."
    for row in peers:
        better = [name for name in ("median", "p95", "cpu") if getattr(row, name) < getattr(ours, name)]
        if row.accuracy is not None:
            better += [name for name in ("no_face", "failed") if getattr(row, name) < getattr(ours, name)]
            better += [name for name in ("accuracy", "balanced") if getattr(row, name) > getattr(ours, name)]
        if better:
            lines.append(f"{row.peer} beats us in: {', '.join(better).replace('_', ' ')}.")
    return lines if len(lines) > 1 else [*lines, "No peer beats us in anything of this table."]


def footprint_verdict(rows: Sequence[Footprint]) -> list[str]:
    """Say which peer starts sooner or takes less memory than we do."""
    ours = {row.cores: row for row in rows if row.peer == OURS.name}
    return [
        f"{row.peer} beats us on {row.cores} in: {', '.join(better)}."
        for row in rows
        if row.peer != MAIN_FACE.name
        and (better := [name for name in ("start", "memory") if getattr(row, name) < getattr(ours[row.cores], name)])
    ]


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"


def pictures_of(path: Path, name: str, limit: int | None) -> list[Labelled]:
    """Return a set's pictures that may count, in an order of chance that is the same every time.

    Raises:
        DataError: the csv is wrong, or none is left.
    """
    split, allowed = SPLITS.get(name), LABELS.get(name, EXPRESSIONS)
    listed = [each for each in read_labels(path) if split in (None, each.split) and each.label in allowed]
    if not listed:
        raise DataError(f"{path}: no picture is of the split and labels that count in {name}")
    random.Random(1).shuffle(listed)
    return listed[:limit]


def install(setup: Path, home: str) -> None:
    """Install what peers of this home need, unless these very versions are there.

    Raises:
        PeerFailed: it did not work; pip's or npm's own words are on standard error.
    """
    packages = PYTHON_DEPENDENCIES + PYTHON_PACKAGES if home == "python" else NODE_PACKAGES
    folder = setup / home
    done = folder / "installed"
    wanted = "\n".join(packages)
    if done.exists() and done.read_text() == wanted:
        return
    print(f"Installing {', '.join(packages)} into {folder}; minutes, once.", file=sys.stderr, flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if home == "python":
        pip = (str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        commands: list[tuple[str, ...]] = [
            (sys.executable, "-m", "venv", str(folder)),
            (*pip, *PYTHON_DEPENDENCIES),
            (*pip, "--no-deps", *PYTHON_PACKAGES),
        ]
    else:
        (folder / "package.json").write_text('{"private": true}\n')
        commands = [
            (*npm.command("npm"), "install", "--save-exact", "--no-audit", "--no-fund", "--ignore-scripts", *packages)
        ]
    for command in commands:
        run = subprocess.run(command, cwd=folder, stdout=sys.stderr, env=_environment(), check=False)
        if run.returncode:
            raise PeerFailed(f"could not be installed into {folder}: see what {Path(command[0]).name} says above")
    done.write_text(wanted)


def _environment(threads: int | None = None) -> dict[str, str]:
    # No GPU for anybody: these are figures of the processor.
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "2"}
    if threads is not None:
        environment["OMP_NUM_THREADS"] = str(threads)
    return environment


class Running:
    """A reader's process.

    Args:
        peer: which.
        setup: where the peers are installed.
        cores: one of `CORES`.
        log: what it prints beside answers goes there.
    """

    def __init__(self, peer: Peer, setup: Path, cores: str, log: Path) -> None:
        self.peer = peer
        self._log = log
        threads = 1 if cores == "one core" else len(os.sched_getaffinity(0))
        if peer.home == "node":
            command = (*npm.command("node"), str(RUNNER), str(setup / "node"), peer.runner)
        else:
            python = sys.executable if peer.home == "ours" else str(setup / "python" / "bin" / "python")
            command = (python, "-m", "benchmarks.peer_runner", peer.runner, "--threads", str(threads))
        with log.open("w") as errors, _bound(cores):
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=_environment(threads),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    def ask(self, picture: Path) -> Answer:
        """Have it read a picture.

        Raises:
            PeerFailed: it ended, or answered in words that nobody knows.
        """
        try:
            _pipe(self._process.stdin).write(f"{picture}\n")
            _pipe(self._process.stdin).flush()
            line = _pipe(self._process.stdout).readline()
        except OSError:
            line = ""
        if not line:
            code = self._process.wait(30)
            said = self._log.read_text(errors="replace").strip().splitlines()[-3:]
            raise PeerFailed(f"{self.peer.name} ended with {code}: {' / '.join(said) or 'without a word'}")
        found = json.loads(line)
        if "error" in found:
            return Answer(None, float("nan"), failed=True)
        return Answer(expression(found["word"]), found["ms"])

    def cpu(self) -> float:
        """Return the milliseconds of processor time it has used, over all threads."""
        user, system = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        return 1000 * (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> float:
        """Return its resident memory in MB."""
        status = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS:"))

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait(30)
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(BrokenPipeError):  # what it had not read is lost with it
                _pipe(pipe).close()


def _pipe(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None
    return pipe


@contextmanager
def _bound(cores: str) -> Iterator[None]:
    """Have processes that are started meanwhile run on one core, the last of ours, or on all."""
    mine = os.sched_getaffinity(0)
    if cores == "one core":
        os.sched_setaffinity(0, {max(mine)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, mine)


def start(peer: Peer, setup: Path, cores: str, log: Path, first: Path) -> tuple[Running, float]:
    """Start a reader several times; return the last process, and the median seconds to the answer to the first picture.

    Raises:
        PeerFailed: it did not start.
    """
    seconds: list[float] = []
    while True:
        started = time.perf_counter()
        running = Running(peer, setup, cores, log)
        try:
            running.ask(first)
        except PeerFailed:
            running.close()
            raise
        seconds.append(time.perf_counter() - started)
        if len(seconds) == STARTS:
            return running, statistics.median(seconds)
        running.close()


def measure(
    peers: Sequence[Peer], sets: dict[str, list[Labelled]], setup: Path, cores: str
) -> tuple[list[Figures], list[Footprint]]:
    """Measure all readers on all sets; one that does not start is left out, and said so on standard error."""
    paths = {name: [Path(str(each.path)) for each in pictures] for name, pictures in sets.items()}
    everything = [path for each in paths.values() for path in each]
    figures: list[Figures] = []
    with ExitStack() as stack:
        running: list[Running] = []
        starts: list[float] = []
        for peer in peers:
            print(f"{cores}: starting {peer.name}", file=sys.stderr, flush=True)
            try:
                process, seconds = start(peer, setup, cores, setup / f"{peer.runner}.log", everything[0])
            except PeerFailed as problem:
                print(f"error: {peer.name} is left out: {problem}", file=sys.stderr)
                continue
            stack.callback(process.close)
            running.append(process)
            starts.append(seconds)
        for process in running:
            for path in everything[:WARM_UP]:
                process.ask(path)
        for name, pictures in sets.items():
            before = [process.cpu() for process in running]
            answers = _in_turns(running, paths[name], f"{cores}, {name}")
            labels = [each.label for each in pictures]
            for process, mine, used in zip(running, answers, before, strict=True):
                cpu = (process.cpu() - used) / len(mine)
                figures.append(judge(process.peer, name, cores, labels, mine, cpu))
        footprints = [
            Footprint(process.peer.name, cores, seconds, process.memory())
            for process, seconds in zip(running, starts, strict=True)
        ]
    return figures, footprints


def _in_turns(running: Sequence[Running], paths: Sequence[Path], title: str) -> list[list[Answer]]:
    """Return each reader's answers; every picture goes to one after the other, and each begins equally often."""
    answers: list[list[Answer]] = [[] for _ in running]
    for number, path in enumerate(tqdm(paths, desc=title, unit=" pictures", file=sys.stderr)):
        for place in range(len(running)):
            which = (number + place) % len(running)
            answers[which].append(running[which].ask(path))
    return answers


def _machine() -> str:
    model = next(
        (line.partition(": ")[2] for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        "?",
    )
    node = subprocess.run(
        [*npm.command("node"), "--version"], capture_output=True, text=True, check=False
    ).stdout.strip()
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    return (
        f"{len(os.sched_getaffinity(0))} cores ({model}), Python {sys.version.split()[0]}, Node {node}, "
        f"{PYTHON_PACKAGES[0]}, {', '.join(NODE_PACKAGES[:2])}; load before the run {load}"
    )


def main() -> int:
    """Install, measure and print; 1 when a peer was left out."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    parser.add_argument("labels", type=Path, nargs="+", help="csv files with the columns file, label, person")
    parser.add_argument("--limit", type=positive, help="so many pictures of each set, chosen by chance")
    parser.add_argument("--setup", type=Path, default=cache / "face2emoji-peers", help="where the peers are installed")
    parser.add_argument("--out", type=Path, help="also write all figures as JSON")
    parser.add_argument("--peers", nargs="+", choices=[peer.runner for peer in PEERS[2:]], help="only these")
    options = parser.parse_args()
    try:
        names = set_names(options.labels)
        sets = {name: pictures_of(path, name, options.limit) for name, path in zip(names, options.labels, strict=True)}
    except DataError as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    chosen = [peer for peer in PEERS if peer in PEERS[:2] or not options.peers or peer.runner in options.peers]
    machine = _machine()
    setup = options.setup.expanduser().resolve()
    for home in {peer.home for peer in chosen} - {"ours"}:
        try:
            install(setup, home)
        except PeerFailed as problem:
            print(f"error: {', '.join(peer.name for peer in chosen if peer.home == home)}: {problem}", file=sys.stderr)
            chosen = [peer for peer in chosen if peer.home != home]
    setup.mkdir(parents=True, exist_ok=True)
    figures: list[Figures] = []
    footprints: list[Footprint] = []
    try:
        for cores in CORES:
            of_pictures, of_processes = measure(chosen, sets, setup, cores)
            figures += of_pictures
            footprints += of_processes
    except PeerFailed as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    _report(machine, sets, figures, footprints)
    if options.out:
        found = {"machine": machine, "figures": figures, "footprints": footprints}
        options.out.write_text(json.dumps(found, default=asdict, indent=1) + "\n")
    missing = len([peer for peer in PEERS if not options.peers or peer.runner in options.peers or peer in PEERS[:2]])
    return int(len(footprints) < missing * len(CORES))


def _report(
    machine: str, sets: dict[str, list[Labelled]], figures: Sequence[Figures], footprints: Sequence[Footprint]
) -> None:
    print(f"{machine}\n\nNo face counts as wrong. Of the ResNet-18 only the time means something; it is untrained.")
    for name, pictures in sets.items():
        for cores in CORES:
            rows = [row for row in figures if (row.set_name, row.cores) == (name, cores)]
            print(f"\n### {name}, {len(pictures)} pictures, {cores}\n\n{table(rows)}\n")
            print("\n".join(f"- {line}" for line in verdict(rows)))
    print(f"\n### Start and memory\n\n{footprint_table(footprints)}\n")
    print("\n".join(f"- {line}" for line in footprint_verdict(footprints)))


if __name__ == "__main__":
    sys.exit(main())
