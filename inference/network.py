"""The network: uint8 crops in, logits out, normalisation inside."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Architecture:
    """What a checkpoint must record to build the network again.

    Attributes:
        widths: channels of the four stages.
        blocks: residual blocks in each stage.
        votes: classes of the head that learns FER+'s votes.
        labels: classes of the head that learns FER2013's own labels.
    """

    widths: tuple[int, int, int, int] = (48, 96, 192, 384)
    blocks: tuple[int, int, int, int] = (2, 2, 2, 2)
    votes: int = 8
    labels: int = 7

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Architecture:
        """Build from what `to_json` returned; anything else raises KeyError, TypeError or ValueError."""
        widths, blocks = (tuple(int(value) for value in stored[name]) for name in ("widths", "blocks"))
        if len(widths) != 4 or len(blocks) != 4:
            raise ValueError("four stages expected")
        return cls(
            widths=widths,
            blocks=blocks,
            votes=int(stored["votes"]),
            labels=int(stored["labels"]),
        )


class Logits(NamedTuple):
    """Unnormalised log probabilities: `votes` (n, 8) over FER+'s expressions, `labels` (n, 7) over FER2013's."""

    votes: Tensor
    labels: Tensor


class Network(nn.Module):
    """A residual network (He et al. 2016, with pre-pooled shortcuts as in He et al. 2019) for small grey crops."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        widths = architecture.widths
        self.stem = nn.Sequential(
            nn.Conv2d(1, widths[0], 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(inplace=True),
        )
        stages: list[nn.Module] = []
        before = widths[0]
        for stage, (width, count) in enumerate(zip(widths, architecture.blocks, strict=True)):
            for block in range(count):
                stages.append(_Block(before, width, stride=2 if stage and not block else 1))
                before = width
        self.stages = nn.Sequential(*stages)
        self.dropout = nn.Dropout(0.2)
        self.votes = nn.Linear(before, architecture.votes)
        self.labels = nn.Linear(before, architecture.labels)

    def channels_last(self) -> Network:
        """Lay the weights out as the CPU's and the GPU's convolutions like them; return self."""
        laid_out: Network = self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs
        return laid_out

    def forward(self, crops: Tensor) -> Logits:
        """Return the logits of uint8 crops of shape (n, side, side)."""
        return self.classify(normalise(crops))

    def classify(self, pictures: Tensor) -> Logits:
        """Return the logits of normalised pictures, (n, 1, side, side) float."""
        pooled = self.dropout(self.stages(self.stem(pictures)).mean(dim=(2, 3)))
        return Logits(self.votes(pooled), self.labels(pooled))


def normalise(crops: Tensor) -> Tensor:
    """Return crops (n, side, side) in 0..255 as (n, 1, side, side) float with mean 0 and deviation 1 each.

    Each picture is its own yardstick, so that a dim room and a flash look alike.
    """
    pictures = crops.float()[:, None]
    mean = pictures.mean(dim=(2, 3), keepdim=True)
    deviation = pictures.std(dim=(2, 3), keepdim=True)
    return (pictures - mean) / (deviation + 8.0)


class _Block(nn.Module):
    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        last = nn.BatchNorm2d(width)
        nn.init.zeros_(last.weight)  # a block starts as the identity (Goyal et al. 2017)
        self.path = nn.Sequential(
            nn.Conv2d(before, width, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            last,
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or before != width:
            pool = nn.AvgPool2d(stride) if stride > 1 else nn.Identity()
            self.shortcut = nn.Sequential(pool, nn.Conv2d(before, width, 1, bias=False), nn.BatchNorm2d(width))

    def forward(self, pictures: Tensor) -> Tensor:
        out: Tensor = torch.relu(self.path(pictures) + self.shortcut(pictures))
        return out
