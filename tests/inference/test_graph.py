"""The graph that the processor works through says what the module says that was trained."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from inference import checkpoint
from inference.calibration import Calibration
from inference.checkpoint import Architecture, Checkpoint
from inference.crops import CROP_SIDE, LANDMARKS
from inference.expression import ExpressionReader
from inference.network import Network

ROOT = Path(__file__).parents[2]
TOLERANCE = 1e-4
"""By which a number may differ, for floating point numbers sum up differently in another order."""
ARCHITECTURES = {
    "as the first release, of pixels alone": Architecture((8, 8, 16, 16), (1, 1, 1, 1), shape=0),
    "with stages that widen without halving": Architecture((8, 16, 16, 24), (1, 2, 1, 3), shape=8),
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
@pytest.mark.parametrize("faces", [1, 2, 7])
def test_it_answers_as_pytorch_does(made: str, faces: int) -> None:
    loaded = checkpoint.load() if made == "released" else trained(ARCHITECTURES[made])
    chance = np.random.default_rng(faces)
    crops = chance.integers(0, 256, (faces, CROP_SIDE, CROP_SIDE), np.uint8)
    crops[0] = 200  # flat
    shapes = chance.normal(0.5, 0.2, (faces, LANDMARKS, 3)).astype(np.float32)
    shapes[::2] = np.nan  # no mesh
    on_processor, in_pytorch = (ExpressionReader(loaded, device) for device in ("cpu", "cpu:0"))
    ours, theirs = on_processor.read(crops, shapes), in_pytorch.read(crops, shapes)
    assert ours.scores.dtype == theirs.scores.dtype == np.float32
    assert ours.scores == pytest.approx(theirs.scores, abs=TOLERANCE)
    assert np.array_equal(np.isfinite(ours.covered), np.full(faces, loaded.architecture.covers))
    assert ours.covered == pytest.approx(theirs.covered, abs=TOLERANCE)


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
