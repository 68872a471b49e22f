"""The comparison of devices really runs: the network here, and readers in processes of their own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.device", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def test_the_processor_beside_itself() -> None:
    done = run("--device", "cpu", "--batches", "2", "--processes", "2", "--seconds", "0.2")
    assert done.returncode == 0, done.stderr
    title, same, batch, *together = done.stdout.splitlines()
    assert title.startswith("cpu beside one core, PyTorch ")
    assert same == "256 faces: same answer for 100.0%, no probability moves by more than 0.0000"
    assert batch.startswith("   2 at a time: device ")
    assert len(together) == 2
    for line in together:
        found = re.fullmatch(r" 2 processes, one face at a time, cpu +: +(\d+) faces a second, [\d.]+ ms a face", line)
        assert found
        assert int(found[1]) > 0


def test_a_device_that_is_not_there_is_named() -> None:
    done = run("--device", "cuda:99")
    assert done.returncode == 2
    assert "The network cannot work on the device 'cuda:99' here: " in done.stderr
    assert "Traceback" not in done.stderr
