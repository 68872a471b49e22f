"""Live video over one WebSocket: a frame in, its reading out, and the newest frame next.

A page sends a frame only when the last one is answered. One that sends faster loses the older frames: a connection has
one frame being read and one that waits, whatever comes. That frame stands in the line of all photos, so pages, chats
and uploads take turns. Answers are calmed by a `Steady` of the connection's own; nothing outlives the connection.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import zip_longest
from typing import Any, NoReturn

import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect

from bot.errors import BotError, LiveFull, LiveRefused
from bot.metrics import Metrics
from bot.photo_service import PhotoService
from inference import Box, EmojiMap, Face2EmojiError, FaceReading, Reading, Steady, explain

log = structlog.get_logger(__name__)

MAX_FRAME_BYTES = 2**20
"""A larger message ends the connection with 1009, before it is all there."""

MAX_FRAME_PIXELS = 2_100_000
"""Full HD: what is larger takes the readers' time from others."""

FRAMES_A_SECOND = 30
"""Of one connection; more shows nothing new."""

LOOK_AROUND_SECONDS = 0.5
"""Between two looks at the whole frame. Meanwhile the faces seen are followed, which takes half the time; when one is
lost, the whole frame is looked at at once."""

IDLE_SECONDS = 30.0
"""Without a frame, until the place is given to somebody else."""

UNSUPPORTED, REFUSED, FULL, IDLE = 1003, 1008, 1013, 4408
"""Close codes: RFC 6455's and IANA's, and HTTP's 408 among the private ones."""


class LiveStreams:
    """All live connections.

    Args:
        service: reads the frames.
        emoji_map: chooses by the calmed readings.
        metrics: counts the connections.
        limit: how many there may be; 0 switches live off.
    """

    def __init__(self, service: PhotoService, emoji_map: EmojiMap, metrics: Metrics, *, limit: int) -> None:
        self._service = service
        self._map = emoji_map
        self._metrics = metrics
        self._limit = limit
        self._open: Counter[str] = Counter()

    async def serve(self, socket: WebSocket, address: str, refusal: BotError | None = None) -> None:
        """Answer the frames of one connection until it ends; what is wrong is said as JSON before it is closed.

        Args:
            socket: not yet accepted.
            address: whose it is, for the share of one address; empty: no such share.
            refusal: why it may not stay, if so.
        """
        await socket.accept()
        try:
            if refusal:
                raise _Ended(FULL, refusal)
            with self._place(address):
                await _Stream(socket, self._service, self._map, address).run()
        except _Ended as end:
            log.info("live_ended", code=end.error.code)
            with suppress(WebSocketDisconnect):
                await _say(socket, end.error)
                await socket.close(end.code, end.error.code)
        except WebSocketDisconnect:
            pass

    @contextmanager
    def _place(self, address: str) -> Iterator[None]:
        if not self._limit:
            raise _Ended(REFUSED, LiveRefused(LiveRefused.off))
        if self._open.total() >= self._limit:
            raise _Ended(FULL, LiveFull())
        if address and self._open[address] >= max(1, self._limit // 2):
            raise _Ended(FULL, LiveFull(LiveFull.from_address))
        self._open[address] += 1
        self._metrics.live.set(self._open.total())
        try:
            yield
        finally:
            self._open[address] -= 1
            self._open += Counter()  # forgets who has none left
            self._metrics.live.set(self._open.total())


class _Ended(Exception):
    """We close the connection, and say why."""

    def __init__(self, code: int, error: BotError) -> None:
        super().__init__(error.message)
        self.code = code
        self.error = error


class _Stream:
    """One connection, accepted."""

    def __init__(self, socket: WebSocket, service: PhotoService, emoji_map: EmojiMap, address: str) -> None:
        self._socket = socket
        self._service = service
        self._map = emoji_map
        self._address = address
        self._steady = Steady(emoji_map)
        self._frames: asyncio.Queue[bytes] = asyncio.Queue(1)
        self._explained: Sequence[tuple[FaceReading, int]] = ()
        self._places: tuple[Box, ...] = ()
        self._looked_around = -LOOK_AROUND_SECONDS

    async def run(self) -> NoReturn:
        """Take frames in and answer them until either ends: both do so by an error."""
        tasks = [asyncio.ensure_future(self._take_in()), asyncio.ensure_future(self._answer())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
        raise next(
            end for end in ends if isinstance(end, BaseException) and not isinstance(end, asyncio.CancelledError)
        )

    async def _take_in(self) -> NoReturn:
        """Keep the newest frame, and no other."""
        while True:
            try:
                async with asyncio.timeout(IDLE_SECONDS):
                    message = await self._socket.receive()
            except TimeoutError:
                raise _Ended(IDLE, LiveRefused(LiveRefused.idle.format(seconds=IDLE_SECONDS))) from None
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message["code"])
            frame = message.get("bytes")
            if not frame:
                raise _Ended(UNSUPPORTED, LiveRefused(LiveRefused.words))
            if self._frames.full():
                self._frames.get_nowait()
            self._frames.put_nowait(frame)

    async def _answer(self) -> NoReturn:
        while True:
            frame = await self._frames.get()
            started = time.monotonic()
            try:
                reading = await self._read(frame, started)
            except Face2EmojiError as error:
                await _say(self._socket, error)
            else:
                if reading.width * reading.height > MAX_FRAME_PIXELS:
                    raise _Ended(REFUSED, LiveRefused(LiveRefused.too_large.format(pixels=MAX_FRAME_PIXELS)))
                await _send(self._socket, self._to_json(self._steady.settle(reading, started)))
            await asyncio.sleep(started + 1 / FRAMES_A_SECOND - time.monotonic())

    async def _read(self, frame: bytes, now: float) -> Reading:
        """Follow the faces of the last frame, or look for all when it is time."""
        if now - self._looked_around >= LOOK_AROUND_SECONDS:
            self._places, self._looked_around = (), now
        reading = await self._service.read(frame, before=self._places, address=self._address)
        self._places = tuple(face.box for face in reading.faces)
        return reading

    def _to_json(self, reading: Reading) -> dict[str, Any]:
        """Return the reading; a face has its explanation with it, unless the last face at its place had the same.

        It is that of the moment when the answer came up: the averages move on, and would explain another one.
        """
        answer = reading.to_json()
        chosen_by = self._steady.chosen_by
        for shown, now, before in zip_longest(answer["faces"], chosen_by, self._explained[: len(chosen_by)]):
            if now != before:
                shown["explanation"] = explain(self._map, *now).to_json()
        self._explained = chosen_by
        return answer


async def _say(socket: WebSocket, error: Face2EmojiError) -> None:
    wait = error.retry_after if isinstance(error, BotError) else None
    await _send(socket, {"error": error.to_json() | ({"retry_after": wait} if wait else {})})


async def _send(socket: WebSocket, message: dict[str, Any]) -> None:
    await socket.send_text(json.dumps(message, ensure_ascii=False, separators=(",", ":")))
