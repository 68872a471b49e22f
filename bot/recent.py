"""What was seen lately: kept in memory only, for minutes or hours, and told apart by who it belongs to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from cachetools import TTLCache

K = TypeVar("K")
T = TypeVar("T")


class Recent(TTLCache[K, T]):
    """The newest things by their names, each for so many seconds; to be filled inside an event loop.

    Args:
        most: how many.
        seconds: for how long.
    """

    def __init__(self, most: int, seconds: float) -> None:
        super().__init__(most, seconds)

    def keep(self, name: K, thing: T) -> None:
        """Keep a thing from now on, in place of the last one of that name."""
        self[name] = thing
        # By itself it would only be passed over, and stay until somebody asks for another.
        asyncio.get_running_loop().call_later(self.ttl + 1, self.expire)

    def forget(self, belongs: Callable[[K], bool]) -> None:
        """Forget everything with such a name."""
        for name in [name for name in self if belongs(name)]:
            self.pop(name, None)
