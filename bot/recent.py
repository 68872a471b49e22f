"""What was seen lately: kept in memory only, for minutes or hours, and told apart by who it belongs to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context
from typing import TypeVar

from cachetools import TTLCache

K = TypeVar("K")
T = TypeVar("T")


class Recent(TTLCache[K, T]):
    """Things by their names, those asked for last, each for so many seconds; to be filled inside an event loop.

    Args:
        most: how many.
        seconds: for how long.
    """

    def __init__(self, most: int, seconds: float) -> None:
        super().__init__(most, seconds)
        self._waits = False

    def keep(self, name: K, thing: T) -> None:
        """Keep a thing from now on, in place of the last one of that name."""
        self[name] = thing
        self._wait()

    def _wait(self) -> None:
        """Throw away what is old in time: by itself it would stay until somebody asks for another."""
        if not self._waits:
            self._waits = True
            asyncio.get_running_loop().call_later(self.ttl / 8 + 1, self._look, context=Context())

    def _look(self) -> None:
        self._waits = False
        self.expire()
        if self:
            self._wait()

    def forget(self, belongs: Callable[[K], bool]) -> None:
        """Forget everything with such a name."""
        for name in [name for name in self if belongs(name)]:
            self.pop(name, None)
