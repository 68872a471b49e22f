"""The graph that the processor works through says what the module says that was trained."""

import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from inference import checkpoint
from inference.calibration import Calibration
from inference.checkpoint import Architecture, Checkpoint
from inference.crops import CROP_SIDE, LANDMARKS, crop, shape
from inference.errors import CheckpointError
from inference.expression import ExpressionReader, OnProcessor, session
from inference.faces import FaceFinder
from inference.graph import build, build_watched
from inference.network import Network
from inference.photo import decode

ROOT = Path(__file__).parents[2]
TOLERANCE = 1e-4
"""By which a number may differ, for floating point numbers sum up differently in another order."""
ARCHITECTURES = {
    "as the first release, of pixels alone": Architecture((8, 8, 16, 16), (1, 1, 1, 1), shape=0),
    "with stages that widen without halving": Architecture((8, 16, 16, 24), (1, 2, 1, 3), shape=8),
    "with blocks narrow inside": Architecture((8, 16, 16, 24), (1, 2, 1, 1), shape=8, inner=(3, 16, 5, 1, 7)),
    "with a head for covered mouths": Architecture((8, 8, 8, 8), (2, 1, 1, 1), shape=4, covers=True),
}


def trained(architecture: Architecture) -> Checkpoint:
    """Return a network whose norms have seen something, and whose blocks are no identities."""
    torch.manual_seed(3)
    network = Network(architecture)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d | torch.nn.BatchNorm1d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.uniform_(module.bias, -0.5, 0.5)
    for _ in range(3):
        network.train()(torch.randint(0, 256, (16, CROP_SIDE, CROP_SIDE)), torch.randn(16, LANDMARKS, 3))
    return network.checkpoint(Calibration(), {})


@pytest.mark.parametrize("made", ["released", *ARCHITECTURES])
@pytest.mark.parametrize(("faces", "threads"), [(1, 1), (2, 2), (7, 1)])
def test_it_answers_as_pytorch_does(made: str, faces: int, threads: int) -> None:
    loaded = replace(checkpoint.load(), ranges={}) if made == "released" else trained(ARCHITECTURES[made])
    chance = np.random.default_rng(faces)
    crops = chance.integers(0, 256, (faces, CROP_SIDE, CROP_SIDE), np.uint8)
    crops[0] = 200  # flat
    shapes = chance.normal(0.5, 0.2, (faces, LANDMARKS, 3)).astype(np.float32)
    shapes[::2] = np.nan  # no mesh
    shapes[-1, :4] = [[np.inf, -np.inf, 1e30], [-1e30, 0, 0], [np.nan, 0, 0], [50, -50, 0]]
    half = replace(loaded, calibration=replace(loaded.calibration, share=0.5))  # both heads are heard
    on_processor, in_pytorch = ExpressionReader(half, threads=threads), ExpressionReader(half, "cpu:0")
    ours, theirs = on_processor.read(crops, shapes), in_pytorch.read(crops, shapes)
    assert ours.scores.dtype == theirs.scores.dtype == np.float32
    assert ours.scores == pytest.approx(theirs.scores, abs=TOLERANCE)
    assert np.array_equal(np.isfinite(ours.covered), np.full(faces, loaded.architecture.covers))
    assert ours.covered == pytest.approx(theirs.covered, abs=TOLERANCE)


@pytest.fixture(scope="module")
def portrait() -> tuple[Any, Any]:
    """Crops and shapes of one face, clear, dark, noisy and mirrored."""
    photo = decode((ROOT / "tests" / "pictures" / "astronaut.jpg").read_bytes())
    finder = FaceFinder()
    (face,) = finder.find(photo.pixels)
    finder.close()
    clear, chance = crop(photo.pixels, face.anchors), np.random.default_rng(0)
    noisy = np.clip(clear + chance.normal(0, 20, clear.shape), 0, 255).astype(np.uint8)
    crops = np.stack([clear, clear // 3, noisy, clear[:, ::-1]])
    return crops, np.stack([shape(face.landmarks, face.anchors)] * len(crops))


def test_in_8_bits_it_answers_as_in_floating_point(portrait: tuple[Any, Any]) -> None:
    released = checkpoint.load()
    assert released.ranges
    eight, floating = ExpressionReader(released), ExpressionReader(replace(released, ranges={}))
    ours, exact = eight.read(*portrait), floating.read(*portrait)
    assert ours.scores == pytest.approx(exact.scores, abs=0.02)
    assert ours.covered == pytest.approx(exact.covered, abs=1)
    assert not np.array_equal(ours.scores, exact.scores)


@pytest.mark.parametrize("made", ARCHITECTURES)
def test_8_bits_hold_any_network_whose_ranges_are_known(made: str, portrait: tuple[Any, Any]) -> None:
    network = trained(ARCHITECTURES[made])
    crops, shapes = portrait
    model, names = build_watched(network)
    seen = session(model).run(names, {"crops": crops, "shapes": shapes})
    known = {name: (float(values.min()), float(values.max())) for name, values in zip(names, seen, strict=True)}
    eight = replace(network, ranges=known)
    kinds = Counter(node.op_type for node in build(eight).graph.node)
    assert kinds["QuantizeLinear"] == len(known)
    exact, ours = (OnProcessor(one)(crops, shapes) for one in (network, eight))
    spread = float(np.abs(exact.votes - exact.votes.mean(axis=1, keepdims=True)).mean())
    assert float(np.abs(ours.votes - exact.votes).mean()) < 0.1 * spread


def test_ranges_of_another_network_are_refused() -> None:
    network = trained(ARCHITECTURES["with a head for covered mouths"])
    with pytest.raises(CheckpointError, match="not those of the network"):
        build(replace(network, ranges={"stages.99.taken": (0.0, 1.0)}))


def test_a_channel_that_looks_at_nothing_still_adds_what_it_adds(portrait: tuple[Any, Any]) -> None:
    network = trained(ARCHITECTURES["with blocks narrow inside"])
    weights = dict(network.weights)
    for name in ("stages.0.path.1.weight", "stages.1.path.4.weight"):
        weights[name] = weights[name] * np.float32(1e-9)  # dead but for its bias, as weight decay leaves some
    network = replace(network, weights=weights)
    crops, shapes = portrait
    model, names = build_watched(network)
    seen = session(model).run(names, {"crops": crops, "shapes": shapes})
    known = {name: (float(values.min()), float(values.max())) for name, values in zip(names, seen, strict=True)}
    exact, ours = (OnProcessor(one)(crops, shapes) for one in (network, replace(network, ranges=known)))
    assert ours.votes == pytest.approx(exact.votes, abs=0.15 * float(np.ptp(exact.votes)))


@pytest.mark.parametrize("range_", [(0.0, 0.0), (-1e30, 1e30), (5.0, 6.0), (-6.0, -5.0)])
def test_a_strange_range_gives_numbers_all_the_same(range_: tuple[float, float], portrait: tuple[Any, Any]) -> None:
    network = trained(ARCHITECTURES["with a head for covered mouths"])
    _, names = build_watched(network)
    reader = ExpressionReader(replace(network, ranges=dict.fromkeys(names, range_)))
    assert np.isfinite(reader.read(*portrait).scores).all()


def test_reading_needs_no_pytorch() -> None:
    script = (
        "import sys; sys.modules['torch'] = None\n"  # importing it fails, as where there is none
        "from inference import DeviceError, load_reader\n"
        "reading = load_reader().read(open('tests/pictures/astronaut.jpg', 'rb').read())\n"
        "print(reading.faces[0].expression)\n"
        "try: load_reader(device='cuda')\n"
        "except DeviceError as error: print(error.message)"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, cwd=ROOT)
    expression, refused = done.stdout.splitlines()
    assert expression == "happy"
    assert refused.startswith("The network cannot work on the device 'cuda' here: PyTorch is not installed")


@pytest.mark.parametrize(
    ("script", "heard"), [("import onnxruntime", "no card\n"), ("import inference.expression", "")]
)
def test_what_onnx_runtime_says_of_graphics_cards_nobody_reads(script: str, heard: str, tmp_path: Path) -> None:
    # On import, where the system lists a card without a vendor, as many virtual machines do.
    (tmp_path / "onnxruntime.py").write_text(
        "import os, sys\n"
        "os.write(2, b'no card\\n')\n"
        f"sys.path.remove({str(tmp_path)!r})\n"
        "del sys.modules['onnxruntime']\n"
        "import onnxruntime\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, env=environment)
    assert done.stderr == heard


def test_what_is_one_number_is_one_in_the_graph() -> None:
    graph = build(checkpoint.load()).graph
    constants = {each.name: list(each.dims) for each in graph.initializer}
    bounds = [constants[name] for node in graph.node if node.op_type == "Clip" for name in node.input[1:]]
    assert bounds == [[], []]  # ONNX wants it so, though ONNX Runtime takes lists of one


SERVER = """
import os, sys
import bot.reader_imports
assert "onnxruntime" in sys.modules
print(len(os.listdir("/proc/self/task")))
files = [os.path.realpath(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd") if int(number) > 2]
print([file for file in files if "/proc/" not in file and os.path.basename(file) != "null"])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc, and only Linux forks readers")
def test_onnx_runtime_reports_to_nobody_and_starts_no_thread(tmp_path: Path) -> None:
    places = ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "TMPDIR")
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    environment |= dict.fromkeys(places, str(tmp_path))
    command = [sys.executable, "-c", SERVER]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT, env=environment)
    assert done.stdout.splitlines() == ["1", "[]"]  # what has threads should not be forked
    assert list(tmp_path.rglob("*")) == []
