"""Request bodies in bounded memory and time: each one, and all that are arriving at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import ClientDisconnect, Request

from bot.errors import EMPTY_BODY, TOO_MANY_BYTES, Busy, TooSlow
from inference import ImageTooLarge, UnreadableImage, size_in_words

_BODIES_AT_ONCE = 8  # full-size ones; most photos are far smaller


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

    @asynccontextmanager
    async def receive(self, request: Request) -> AsyncIterator[bytes]:
        """Yield the whole body; its bytes count as held until the block is left.

        Raises:
            ImageTooLarge: by the Content-Length header at once, else by counting.
            UnreadableImage: the body is empty.
            TooSlow: it did not arrive in time.
            Busy: too many bytes are held already.
        """
        if int(request.headers.get("content-length", "0")) > self._max_bytes:
            raise self._too_large()
        chunks: list[bytes] = []
        held = 0
        try:
            async with asyncio.timeout(self._timeout):
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
        except TimeoutError:
            raise TooSlow from None
        finally:
            self._free += held

    def _too_large(self) -> ImageTooLarge:
        return ImageTooLarge(TOO_MANY_BYTES.format(limit=size_in_words(self._max_bytes)))


async def drain(request: Request, seconds: float = 1) -> bool:
    """Throw away what is left of a refused body, so that its sender sees the answer instead of a broken connection.

    Returns:
        True when the body came to its end, False when the connection should be closed.
    """
    if "expect" in request.headers:  # still waiting for our word: nothing was sent, nothing will be
        return False
    try:
        async with asyncio.timeout(seconds):
            async for _ in request.stream():
                pass
    except (TimeoutError, ClientDisconnect):
        return False
    except RuntimeError:  # Starlette's way of saying that it was read to its end before
        pass
    return True
