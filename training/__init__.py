"""Data to weights: everything that makes the released checkpoint, and the proof of it."""

import sys
from importlib.util import find_spec

if not (find_spec("fsspec") and find_spec("torch")):  # where only the bot is installed
    sys.exit("error: training and measuring need more than the bot; run `make develop` first")
