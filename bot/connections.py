"""The web server's connections: how many there may be, and how long each may take over what it sends and receives.

Uvicorn cuts what idles after an answer, and nothing else: a connection that never finishes its request, or never reads
its answer, would stay for ever. A WebSocket's would even grow, as each ping is answered.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from http import HTTPStatus
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from bot.addresses import Networks, network, plain
from bot.errors import BadRequest, BotError, Busy
from bot.metrics import Metrics
from bot.web_channel import HEADERS

HEAD_SECONDS = 10.0
"""From connecting, or the first byte of a later request, until its headers are all there."""

BODY_SECONDS_MORE = 5.0
"""A body may take as long as photos may, and so much more: whoever reads it should be the one to say no."""

WRITE_SECONDS = 30.0
"""So often it is looked how much of a waiting answer was taken."""

SLOWEST = 1000
"""Bytes a second; whoever takes less takes nothing."""

CLOSE_SECONDS = 2.0
"""For the other end of a WebSocket to confirm that we close it; Uvicorn's ten are long for those without a place."""

UNREAD_PONGS = 2**16
"""Bytes that wait for whoever sends pings and does not read."""


class Gate:
    """Counts the connections.

    Args:
        limit: how many there may be.
        shares: let one address have at most half of them.
        proxies: may have all of them.
        body_seconds: how long the body of a request may take.
        metrics: where those that found no place are counted.
    """

    def __init__(self, limit: int, *, shares: bool, proxies: Networks, body_seconds: float, metrics: Metrics) -> None:
        self.body_seconds = body_seconds
        self._shed = metrics.connections_shed
        self._limit = limit
        self._shares = shares
        self._proxies = proxies
        self._open: Counter[str] = Counter()

    def enter(self, address: str) -> bool:
        """Count one more; return whether there is a place for it."""
        owner = network(address)
        self._open[owner] += 1
        room = self._open.total() <= self._limit
        share = not self._shares or self._open[owner] <= max(1, self._limit // 2) or address in self._proxies
        if not (room and share):
            self._shed.inc()
        return room and share

    def leave(self, address: str) -> None:
        """Count one less."""
        owner = network(address)
        self._open[owner] -= 1
        if self._open[owner] <= 0:
            del self._open[owner]


class _Guarded(asyncio.Protocol):
    """What holds for all: each is counted while it is there, and cut where nobody takes what we send."""

    gate: Gate
    client: tuple[str, int] | None
    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    _address: str | None = None
    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note who it is, by the one address that all who ask compare with."""
        super().connection_made(transport)
        if self.client:
            self.client = plain(self.client[0]), self.client[1]

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        super().connection_lost(exc)
        _cancel(self._unread)
        if self._address is not None:
            self.gate.leave(self._address)
            self._address = None

    def pause_writing(self) -> None:
        """Wait until what was sent is taken, but not for ever."""
        super().pause_writing()
        self._unread = self.loop.call_later(WRITE_SECONDS, self._look, self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """Go on."""
        super().resume_writing()
        _cancel(self._unread)

    def _look(self, left: int) -> None:
        now = self.transport.get_write_buffer_size()
        if left - now < SLOWEST * WRITE_SECONDS:
            self.transport.abort()
        else:
            self._unread = self.loop.call_later(WRITE_SECONDS, self._look, now)


class Connection(_Guarded, H11Protocol):
    """One connection; a WebSocket's is handed on once its headers are there."""

    _phase: object = None
    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take it, or say that there are too many."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=0)  # the guard looks after the last byte, too
        self._address = address = self.client[0] if self.client else ""
        if self.gate.enter(address):
            self._watch()  # for the first request
        else:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, Busy(Busy.connections))

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        super().connection_lost(exc)
        _cancel(self._patience)

    def handle_events(self) -> None:
        """Handle what came, then see what is still to come and how long that may take."""
        super().handle_events()
        self._watch()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Hand it on."""
        super().handle_websocket_upgrade(event)
        protocol = self.transport.get_protocol()
        assert isinstance(protocol, WebSocketConnection)  # noqa: S101 - the server is told to use it
        _cancel(self._patience)
        _cancel(self._unread)
        protocol.gate, protocol._address, self._address = self.gate, self._address, None
        if self.transport.get_write_buffer_size():  # of an answer before it
            protocol.pause_writing()
        if not protocol.handshake_initiated:
            # It could not read the request, and would neither answer nor end.
            self._refuse(HTTPStatus.BAD_REQUEST, BadRequest(BadRequest.handshake))

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, in the shape of all our errors."""
        self._refuse(HTTPStatus.BAD_REQUEST, BadRequest(msg))

    def _watch(self) -> None:
        if self._address is None:  # it is a WebSocket's by now, or was refused
            return
        phase: object = self.conn.their_state
        if phase is h11.IDLE and self.cycle and not self.conn.trailing_data[0]:
            phase = None  # between two requests; Uvicorn does not wait for long, and the last answer may be on its way
        if phase is self._phase or self.transport.is_closing():
            return
        self._phase = phase
        _cancel(self._patience)
        waits: dict[object, float] = {h11.IDLE: HEAD_SECONDS, h11.SEND_BODY: self.gate.body_seconds}
        if phase in waits:
            self._patience = self.loop.call_later(waits[phase], self.transport.abort)

    def _refuse(self, status: HTTPStatus, error: BotError) -> None:
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):  # in the midst of an answer, or behind it
            self.transport.abort()
            return
        headers = [*HEADERS.items(), (b"content-type", b"application/json"), (b"connection", b"close")]
        if error.retry_after:
            headers.append((b"retry-after", str(error.retry_after).encode()))
        answer = h11.Response(status_code=status, headers=headers, reason=status.phrase.encode())
        body = h11.Data(data=json.dumps({"error": error.to_json()}).encode())
        for event in (answer, body, h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


class WebSocketConnection(_Guarded, WebSocketsSansIOProtocol):
    """One connection that became a WebSocket."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.close_timeout = CLOSE_SECONDS

    def handle_ping(self) -> None:
        """Answer it to whoever takes the answers."""
        if self.transport.get_write_buffer_size() > UNREAD_PONGS:
            self.transport.abort()
        if not self.transport.is_closing():
            super().handle_ping()


def behind(gate: Gate) -> type[Connection]:
    """Return the connections that go through this gate, as Uvicorn wants them: a class."""

    class Gated(Connection):
        pass

    Gated.gate = gate
    return Gated


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer:
        timer.cancel()
