"""Figures of time and memory, each by one command: `python -m benchmarks.NAME`."""

import sys
from importlib.util import find_spec

if not find_spec("tqdm") or not find_spec("playwright"):
    sys.exit("error: the benchmarks need what tests and training need; run `make develop` first")
