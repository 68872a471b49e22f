"""A share of photos a second for each address, in bounded memory."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable


class RateLimit:
    """A token bucket for each address: ``per_second`` tokens flow in, at most two seconds' worth are saved up.

    Only the addresses seen last are remembered; a forgotten one starts anew with a full bucket.
    """

    def __init__(
        self, per_second: float, *, addresses: int = 4096, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate = per_second
        self._capacity = 2 * per_second
        self._addresses = addresses
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allows(self, address: str) -> bool:
        """Take one token of this address; False where none is left. A rate of 0 allows everything."""
        if not self._rate:
            return True
        now = self._clock()
        tokens, then = self._buckets.pop(address, (self._capacity, now))
        tokens = min(self._capacity, tokens + (now - then) * self._rate)
        allowed = tokens >= 1
        self._buckets[address] = (tokens - allowed, now)
        if len(self._buckets) > self._addresses:
            self._buckets.popitem(last=False)
        return allowed
