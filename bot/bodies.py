"""Request bodies in bounded memory and time: each one, and all that are arriving at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import ClientDisconnect, Request

from bot.errors import EMPTY_BODY, TOO_MANY_BYTES, Busy, NotReady, TooSlow
from inference import ImageTooLarge, UnreadableImage, size_in_words

_BODIES_AT_ONCE = 8  # full-size ones; most photos are far smaller
_DRAIN_SECONDS = 1.0


class Bodies:
    """Receives photos.

    Args:
        max_bytes: the most one photo may have.
        timeout: seconds it may take to arrive.
    """

    def __init__(self, max_bytes: int, timeout: float) -> None:
        self._max_bytes = max_bytes
        self._timeout = timeout
        self._free = _BODIES_AT_ONCE * max_bytes
        self._arriving: set[asyncio.Timeout] = set()
        self._given_up = False

    @asynccontextmanager
    async def receive(self, request: Request) -> AsyncIterator[bytes]:
        """Yield the whole body; its bytes count as held until the block is left.

        Raises:
            ImageTooLarge: by the Content-Length header at once, else by counting.
            UnreadableImage: the body is empty.
            TooSlow: it did not arrive in time.
            Busy: too many bytes are held already.
            NotReady: the server ends, and does not wait for the rest.
        """
        if int(request.headers.get("content-length", "0")) > self._max_bytes:
            raise self._too_large()
        chunks: list[bytes] = []
        held = 0
        try:
            async with self._in_time():
                async for chunk in request.stream():
                    held += len(chunk)
                    self._free -= len(chunk)
                    if held > self._max_bytes:
                        raise self._too_large()
                    if self._free < 0:
                        raise Busy
                    chunks.append(chunk)
            if not held:
                raise UnreadableImage(EMPTY_BODY)
            yield b"".join(chunks)
        finally:
            self._free += held

    @asynccontextmanager
    async def _in_time(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(0 if self._given_up else self._timeout) as timeout:
                self._arriving.add(timeout)
                yield
        except TimeoutError:
            raise (NotReady(NotReady.stopping) if self._given_up else TooSlow()) from None
        finally:
            self._arriving.discard(timeout)

    def give_up(self) -> None:
        """Wait for no body any more, now and from now on: the server ends."""
        self._given_up = True
        for timeout in self._arriving:
            if not timeout.expired():
                timeout.reschedule(0)

    async def drain(self, request: Request) -> bool:
        """Throw away what is left of a refused body, so that its sender sees the answer, not a broken connection.

        Returns:
            True when the body came to its end, False when the connection should be closed.
        """
        if "expect" in request.headers:  # still waiting for our word: nothing was sent, nothing will be
            return False
        try:
            async with asyncio.timeout(0 if self._given_up else _DRAIN_SECONDS):
                async for _ in request.stream():
                    pass
        except (TimeoutError, ClientDisconnect):
            return False
        except RuntimeError:  # Starlette's way of saying that it was read to its end before
            pass
        return True

    def _too_large(self) -> ImageTooLarge:
        return ImageTooLarge(TOO_MANY_BYTES.format(limit=size_in_words(self._max_bytes)))
