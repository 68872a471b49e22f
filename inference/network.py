"""The network as a module of PyTorch's: crops and face shapes in, logits out, normalisation inside.

It is what training trains and what works on graphics cards; on the processor `inference.graph` says the same.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from inference.calibration import Calibration
from inference.checkpoint import Architecture, Checkpoint, misfit
from inference.crops import LANDMARKS


class Logits(NamedTuple):
    """Unnormalised log probabilities: `votes` (n, 8) over FER+'s expressions, `labels` (n, 7) over FER2013's."""

    votes: Tensor
    labels: Tensor

    def arrays(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return both as NumPy's, which `inference.calibration` takes."""
        return self.votes.cpu().numpy(), self.labels.cpu().numpy()


class Answers(NamedTuple):
    """What the network says of n faces: the `logits` of their expressions, and `covered`.

    `covered` are the log-odds, (n,), that something hides the mouth, -inf from a network that cannot tell.
    """

    logits: Logits
    covered: Tensor


class Network(nn.Module):
    """A residual network (He et al. 2016, with pre-pooled shortcuts as in He et al. 2019) for small grey crops.

    Beside it a small perceptron looks at the face's shape: the mesh was learned from far more varied people than any
    set of labelled expressions, and sees fine detail of a large face that the crop has lost.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        self._precision = torch.float32
        widths = architecture.widths
        self.stem = nn.Sequential(
            nn.Conv2d(1, widths[0], 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(inplace=True),
        )
        stages: list[nn.Module] = []
        inner = iter(architecture.inner_widths())
        before = widths[0]
        for stage, (width, count) in enumerate(zip(widths, architecture.blocks, strict=True)):
            for block in range(count):
                stages.append(Block(before, next(inner), width, stride=2 if stage and not block else 1))
                before = width
        self.stages = nn.Sequential(*stages)
        self.dropout = nn.Dropout(0.2)
        self.shape = _Shape(architecture.shape) if architecture.shape else None
        self.votes = nn.Linear(before + architecture.shape, architecture.votes)
        self.labels = nn.Linear(before + architecture.shape, architecture.labels)
        self.covers = nn.Linear(2 * before, 1) if architecture.covers else None

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> Network:
        """Return a checkpoint's network, in evaluation mode, float32, on the CPU.

        Raises:
            CheckpointError: the weights are not those of the architecture.
        """
        with torch.device("meta"):  # the stored weights replace every one: filling them with chance first takes time
            network = cls(checkpoint.architecture)
        try:
            network.load_state_dict(
                {name: torch.tensor(values) for name, values in checkpoint.weights.items()}, assign=True
            )
        except RuntimeError as error:
            raise misfit() from error
        network.eval().requires_grad_(False)
        return network

    def checkpoint(self, calibration: Calibration, about: Mapping[str, Any]) -> Checkpoint:
        """Return the network as it is now, with what `inference.checkpoint.Checkpoint` says besides."""
        weights = {name: value.detach().cpu().numpy().copy() for name, value in self.state_dict().items()}
        return Checkpoint(self.architecture, weights, calibration, about)

    def channels_last(self) -> Network:
        """Lay the weights out as the CPU's and the GPU's convolutions like them; return self."""
        laid_out: Network = self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs
        return laid_out

    def folded(self) -> Network:
        """Return a copy for reading alone, whose batch norms are folded into the layers before them."""
        copied = copy.deepcopy(self).eval().requires_grad_(False)
        for module in list(copied.modules()):
            if isinstance(module, nn.Sequential):
                _fold(module)
        return copied

    def in_bfloat16(self) -> Network:
        """Let the convolutions work in bfloat16, which halves the weights to be fetched for each face; return self.

        Probabilities move by less than 0.02, and accuracy by less than 0.1 points (training/LOG.md).
        """
        self._precision = torch.bfloat16
        self.stem.to(self._precision)
        self.stages.to(self._precision)
        return self

    def forward(self, crops: Tensor, shapes: Tensor) -> Logits:
        """Return the logits of n faces; arguments as `answer`."""
        return self.answer(crops, shapes).logits

    def answer(self, crops: Tensor, shapes: Tensor) -> Answers:
        """Return all that the network can say of n faces.

        Args:
            crops: (n, side, side), grey values from 0 to 255, of any number type.
            shapes: (n, LANDMARKS, 3) float of `inference.crops.shape`; NaN where there is no mesh.
        """
        seen = self._see(crops)
        features = seen.mean(dim=(2, 3))
        if self.shape is not None:
            features = torch.cat([features, self.shape(shapes)], dim=1)
        features = self.dropout(features)
        if self.covers is None:
            covered = torch.full_like(seen[:, 0, 0, 0], -torch.inf)
        else:
            covered = self.covers(_face_and_mouth(seen))[:, 0]
        return Answers(Logits(self.votes(features), self.labels(features)), covered)

    def look(self, crops: Tensor) -> Tensor:
        """Return what tells a covered mouth, (n, 2 * widths[-1]): features of the face, and of its mouth.

        Args:
            crops: as in `answer`.
        """
        return _face_and_mouth(self._see(crops))

    def _see(self, crops: Tensor) -> Tensor:
        """Return the last stage's features, (n, widths[-1], side / 16, side / 16)."""
        pictures = normalise(crops).to(self._precision).contiguous(memory_format=torch.channels_last)
        seen: Tensor = self.stages(self.stem(pictures)).float()
        return seen


def multiplies_bfloat16(device: torch.device) -> bool:
    """Tell whether a device multiplies bfloat16 itself; where it does not, that takes up to 17 times as long."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    able = torch.cpu.get_capabilities()
    return device.type == "cpu" and bool(able.get("avx512_bf16") or able.get("amx_bf16"))


def normalise(crops: Tensor) -> Tensor:
    """Return crops (n, side, side) in 0..255 as (n, 1, side, side) float with mean 0 and deviation 1 each.

    Each picture is its own yardstick, so that a dim room and a flash look alike.
    """
    pictures = crops.float()[:, None]
    mean = pictures.mean(dim=(2, 3), keepdim=True)
    deviation = pictures.std(dim=(2, 3), keepdim=True)
    return (pictures - mean) / (deviation + 8.0)


def _face_and_mouth(seen: Tensor) -> Tensor:
    """Return the means of features, (n, width, rows, columns), over all and over the middle of the lower half."""
    rows, columns = seen.shape[2:]
    mouth = seen[:, :, rows // 2 :, columns // 4 : columns - columns // 4]
    return torch.cat([seen.mean(dim=(2, 3)), mouth.mean(dim=(2, 3))], dim=1)


def _fold(layers: nn.Sequential) -> None:
    for index in range(len(layers) - 1):
        layer, norm = layers[index], layers[index + 1]
        if isinstance(layer, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            layers[index], layers[index + 1] = fuse_conv_bn_eval(layer, norm), nn.Identity()
        elif isinstance(layer, nn.Linear) and isinstance(norm, nn.BatchNorm1d):
            layers[index], layers[index + 1] = fuse_linear_bn_eval(layer, norm), nn.Identity()


class _Shape(nn.Module):
    """The face's shape -> features; a face without a mesh counts as the mean face."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(LANDMARKS, 3))
        self.register_buffer("deviation", torch.ones(LANDMARKS, 3))
        self.layers = nn.Sequential(
            nn.Linear(LANDMARKS * 3, 2 * features),
            nn.BatchNorm1d(2 * features),
            nn.ReLU(inplace=True),
            nn.Dropout(0.2),
            nn.Linear(2 * features, features),
            nn.ReLU(inplace=True),
        )

    def forward(self, shapes: Tensor) -> Tensor:
        standard = ((shapes - self.mean) / self.deviation).nan_to_num(0.0).clamp(-5, 5)
        features: Tensor = self.layers(standard.flatten(1))
        return features


class Block(nn.Module):
    """Two convolutions beside a shortcut, `inner` channels between them; `stride` halves the picture if it is 2."""

    def __init__(self, before: int, inner: int, width: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        last = nn.BatchNorm2d(width)
        nn.init.zeros_(last.weight)  # a block starts as the identity (Goyal et al. 2017)
        self.path = nn.Sequential(
            nn.Conv2d(before, inner, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU(inplace=True),
            nn.Conv2d(inner, width, 3, padding=1, bias=False),
            last,
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or before != width:
            pool = nn.AvgPool2d(stride) if stride > 1 else nn.Identity()
            self.shortcut = nn.Sequential(pool, nn.Conv2d(before, width, 1, bias=False), nn.BatchNorm2d(width))

    def forward(self, pictures: Tensor) -> Tensor:
        """Return (n, width, rows / stride, columns / stride) for pictures (n, before, rows, columns)."""
        out: Tensor = torch.relu(self.path(pictures) + self.shortcut(pictures))
        return out
