"""The benchmark measures against a true ResNet-18, and counts right."""

import subprocess
import sys
from pathlib import Path

import torch
from torch import nn

from benchmarks.network import multiply_adds, resnet18

ROOT = Path(__file__).parents[2]


def test_the_other_network_is_a_resnet_18() -> None:
    network = resnet18()
    # With 1000 classes the published one has 11,689,512 weights (torchvision's documentation).
    weights = sum(value.numel() for value in network.parameters())
    assert weights == 11_689_512 - (1000 - 7) * (512 + 1)
    pictures = torch.zeros(1, 3, 160, 160)
    assert network(pictures).shape == (1, 7)
    assert 0.92e9 < multiply_adds(network, pictures) < 0.94e9
    # He et al. 2016 give 1.8 billion at 224.
    assert 1.80e9 < multiply_adds(network, torch.zeros(1, 3, 224, 224)) < 1.83e9


def test_multiply_adds_by_hand() -> None:
    network = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 5 * 5, 3))
    assert multiply_adds(network, torch.zeros(1, 2, 5, 5)) == 4 * 5 * 5 * 2 * 9 + 4 * 5 * 5 * 3


def test_the_benchmark_prints_both_and_their_ratio() -> None:
    command = [sys.executable, "-m", "benchmarks.network", "--runs", "2"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stderr
    assert "ResNet-18 at 160" in run.stdout
    assert "times as fast" in run.stdout
