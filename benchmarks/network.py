"""python -m benchmarks.network [--checkpoint FILE]: one face through the network alone, on one core, beside ResNet-18.

The ResNet-18 (He et al. 2016) is built here layer by layer as torchvision builds it, with seven classes and pictures of
3 x 160 x 160, float32 and eager in PyTorch: what a straightforward bot would take. Ours works in ONNX Runtime, as in
the bot. Both run in turns on one thread, and its CPU time is counted, so that other work on the machine matters little.
Finding the face is no part of it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.numbers import positive
from inference import checkpoint, onnx_runtime
from inference.crops import CROP_SIDE, LANDMARKS
from inference.expression import ExpressionReader
from inference.network import Network

SIDE = 160
CLASSES = 7


class _Block(nn.Module):
    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or before != width:
            self.downsample = nn.Sequential(nn.Conv2d(before, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, pictures: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(pictures)))
        out = self.bn2(self.conv2(out)) + self.downsample(pictures)
        answer: Tensor = self.relu(out)
        return answer


def resnet18() -> nn.Sequential:
    """Return ResNet-18 with `CLASSES` answers, untrained, in evaluation mode; it takes (n, 3, side, side) float."""
    blocks = [
        _Block(before, width, stride)
        for before, width, stride in (
            (64, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 256, 1), (256, 512, 2),
            (512, 512, 1),
        )
    ]  # fmt: skip
    network = nn.Sequential(
        nn.Conv2d(3, 64, 7, 2, 3, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, 2, 1),
        *blocks,
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(512, CLASSES),
    )
    network.eval().requires_grad_(False)
    return network


def multiply_adds(network: nn.Module, *inputs: Tensor) -> int:
    """Return the multiply-adds of all convolutions and linear layers for these inputs."""
    counts: list[int] = []

    def count(layer: nn.Module, _: tuple[Tensor, ...], out: Tensor) -> None:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            counts.append(out[0].numel() * layer.weight[0].numel())

    hooks = [layer.register_forward_hook(count) for layer in network.modules()]
    with torch.inference_mode():
        network(*inputs)
    for hook in hooks:
        hook.remove()
    return sum(counts)


def in_turns(ours: Callable[[], object], theirs: Callable[[], object], runs: int) -> tuple[list[float], list[float]]:
    """Return the milliseconds of each run, after a warm-up of both."""
    times: tuple[list[float], list[float]] = ([], [])
    for run in range(-10, runs):
        for work, kept in zip((ours, theirs), times, strict=True):
            started = time.thread_time()
            work()
            if run >= 0:
                kept.append(1000 * (time.thread_time() - started))
    return times


def main() -> None:
    """Print medians, ranges and the ratio."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.network", description=__doc__)
    parser.add_argument("--checkpoint", type=Path, default=checkpoint.RELEASED, help="default: the released weights")
    parser.add_argument("--runs", type=positive, default=200)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    loaded = checkpoint.load(options.checkpoint)
    crops = torch.randint(0, 256, (1, CROP_SIDE, CROP_SIDE), dtype=torch.uint8)
    shapes = torch.rand(1, LANDMARKS, 3)
    pictures = torch.rand(1, 3, SIDE, SIDE)
    reader, module, network = ExpressionReader(loaded), Network.of(loaded), resnet18()

    def theirs() -> Tensor:
        with torch.inference_mode():
            return torch.softmax(network(pictures), dim=1)

    times = in_turns(lambda: reader.read(crops.numpy(), shapes.numpy()), theirs, options.runs)
    rows = (
        ("ours", module, multiply_adds(module, crops, shapes), options.checkpoint.stat().st_size),
        (f"ResNet-18 at {SIDE}", network, multiply_adds(network, pictures), 4 * _weights(network)),
    )
    print(
        f"one face, one of {os.cpu_count()} cores, ONNX Runtime {onnx_runtime.VERSION}, PyTorch "
        f"{torch.__version__}, Python {sys.version.split()[0]}, {options.runs} runs in turns, "
        f"CPU time: median (5th to 95th percentile)"
    )
    for (name, one, work, size), found in zip(rows, times, strict=True):
        low, *_, high = statistics.quantiles(found, n=20)
        print(
            f"{name:17} {statistics.median(found):6.2f} ms ({low:.2f} to {high:.2f})  {work / 1e9:5.3f} G multiply-adds"
            f"  {_weights(one) / 1e6:5.2f} M weights  {size / 1e6:5.1f} MB file"
        )
    print(f"ours is {statistics.median(times[1]) / statistics.median(times[0]):.1f} times as fast")


def _weights(network: nn.Module) -> int:
    return sum(value.numel() for value in network.parameters())


if __name__ == "__main__":
    main()
