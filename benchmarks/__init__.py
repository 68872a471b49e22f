"""Figures of time and memory, each by one command: `python -m benchmarks.NAME`."""

import sys
from importlib.util import find_spec

# Where only the bot is installed; a peer of `benchmarks.peers` has neither that nor this.
if find_spec("mediapipe") and not (find_spec("tqdm") and find_spec("playwright")):
    sys.exit("error: the benchmarks need what tests and training need; run `make develop` first")
