"""What the fork server of `bot.reader_process` imports and loads, once for all readers that it forks."""

from __future__ import annotations

import contextlib
import gc
import os

from bot.memory import give_back

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # what has threads should not be forked

with contextlib.suppress(Exception):  # a reader tries it again, and says what is wrong
    from inference import preload

    preload()

gc.collect()
give_back()  # what loading took
gc.freeze()  # or the first collection in each child would copy the pages that hold all these objects
