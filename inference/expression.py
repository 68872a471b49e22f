"""Crops -> calibrated probabilities over the seven expressions, and whether the mouth is covered; a batch a photo."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from inference.checkpoint import Checkpoint
from inference.errors import DeviceError
from inference.graph import COVERED, HEADS, build
from inference.onnx_runtime import InferenceSession, SessionOptions

ON_PROCESSOR = "cpu"


class Expressions(NamedTuple):
    """What was read in n faces.

    Attributes:
        scores: (n, 7) float32, probabilities in the order of `EXPRESSIONS`, each row summing to 1.
        covered: (n,) float32, log-odds that something covers the mouth, -inf with weights that cannot tell.
    """

    scores: NDArray[np.float32]
    covered: NDArray[np.float32]


class Outputs(NamedTuple):
    """What the network says of n faces: the logits `votes`, (n, 8), and `labels`, (n, 7), and `covered`, (n,)."""

    votes: NDArray[np.float32]
    labels: NDArray[np.float32]
    covered: NDArray[np.float32]


class _Network(Protocol):
    def __call__(self, crops: NDArray[np.uint8], shapes: NDArray[np.float32]) -> Outputs: ...


class ExpressionReader:
    """Reads expressions: the network, then its calibration. May be shared by threads.

    Args:
        checkpoint: the weights.
        device: where the network works: ``"cpu"``, by ONNX Runtime, or a graphics card by its name in PyTorch, as
            ``"cuda"`` or ``"cuda:1"``. The calibration, a few numbers a face, stays on the processor.
        threads: cores that one photo may use on the processor.

    Raises:
        CheckpointError: the weights are not those of the architecture.
        DeviceError: this machine has no such device, or no PyTorch that can use it.
    """

    def __init__(self, checkpoint: Checkpoint, device: str = ON_PROCESSOR, threads: int = 1) -> None:
        self._calibration = checkpoint.calibration
        self._network: _Network = (
            OnProcessor(checkpoint, threads) if device == ON_PROCESSOR else _on_device(checkpoint, device)
        )

    def read(self, crops: NDArray[np.uint8], shapes: NDArray[np.float32]) -> Expressions:
        """Read n faces, n >= 1.

        Args:
            crops: (n, CROP_SIDE, CROP_SIDE) uint8.
            shapes: (n, LANDMARKS, 3) float32 of `inference.crops.shape`.
        """
        votes, labels, covered = self._network(crops, shapes)
        return Expressions(self._calibration.probabilities(votes, labels), covered)


class OnProcessor:
    """The network on the processor, before its calibration.

    Args:
        checkpoint: the weights.
        threads: cores to use.

    Raises:
        CheckpointError: as `ExpressionReader`.
    """

    def __init__(self, checkpoint: Checkpoint, threads: int = 1) -> None:
        self._session = session(build(checkpoint), threads)
        self._outputs = [*HEADS, *([COVERED] if checkpoint.architecture.covers else [])]

    def __call__(self, crops: NDArray[np.uint8], shapes: NDArray[np.float32]) -> Outputs:
        """Work through n faces; arguments as of `ExpressionReader.read`."""
        outputs = self._session.run(self._outputs, {"crops": crops, "shapes": shapes})
        if COVERED not in self._outputs:
            outputs.append(np.full(len(crops), -np.inf, np.float32))
        return Outputs(*outputs)


def session(model: ModelProto, threads: int = 1) -> InferenceSession:
    """Return a graph in ONNX Runtime: the field's standard for trained networks, and faster here (training/LOG.md)."""
    options = SessionOptions()
    options.intra_op_num_threads = threads  # with one it starts none, so it survives a fork
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3  # errors; what it warns of is no user's business
    session = InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    # For a second try on another processor it keeps the model, 25 MB for nothing. Private: if it is called
    # something else one day, just the memory is lost.
    session._model_bytes = None
    return session


def _on_device(checkpoint: Checkpoint, device: str) -> _Network:
    try:
        from inference.on_device import OnDevice  # PyTorch, which the processor does without

        return OnDevice(checkpoint, device)
    except (ImportError, RuntimeError, AssertionError, ValueError, NotImplementedError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        if isinstance(error, ModuleNotFoundError) and error.name == "torch":
            reason = "PyTorch is not installed; `make GPU=1 install` installs it"
        elif "not compiled" in reason:
            reason += "; it takes another PyTorch (docs/scaling.md)"
        raise DeviceError(f"The network cannot work on the device {device!r} here: {reason}.") from error
