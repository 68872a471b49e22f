"""Native libraries that chatter on standard error, where they offer no switch for it."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_STDERR = threading.Lock()


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what is written to standard error meanwhile off it; exceptions go their way."""
    with _STDERR, open(os.devnull, "wb") as nowhere:  # noqa: PTH123  # a device, not a path of ours
        sys.stderr.flush()
        kept = os.dup(2)
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
