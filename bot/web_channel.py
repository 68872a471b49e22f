"""The web page and its API: HTTP in front of the photo service.

``POST /api/read`` takes the bytes of one photo and answers the reading as JSON; ``POST /api/mask`` answers the photo
with its faces covered; the WebSocket ``/api/live`` takes frames and answers their readings (`bot.live`). Errors are
``{"error": {"code", "message"}}`` everywhere.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketClose

from bot.addresses import HostNames, network
from bot.bodies import Bodies
from bot.errors import (
    BadRequest,
    BotError,
    Busy,
    InternalError,
    MethodNotAllowed,
    NotFound,
    NotReady,
    RateLimited,
    TooSlow,
    UpgradeRequired,
    WrongContentType,
    WrongHost,
    WrongOrigin,
    WrongSwitch,
)
from bot.live import LiveStreams
from bot.metrics import Metrics
from bot.photo_service import PhotoService
from bot.rate_limit import RateLimit
from inference import (
    EmojiMap,
    Face2EmojiError,
    ImageTooLarge,
    UnreadableImage,
    UnsupportedFormat,
    emoji_svg,
    explain,
)

log = structlog.get_logger(__name__)
T = TypeVar("T")

STATUS: dict[type[Face2EmojiError], int] = {
    BadRequest: 400,
    UnreadableImage: 400,
    WrongOrigin: 403,
    NotFound: 404,
    MethodNotAllowed: 405,
    TooSlow: 408,
    ImageTooLarge: 413,
    UnsupportedFormat: 415,
    WrongHost: 421,
    WrongContentType: 422,
    WrongSwitch: 422,
    UpgradeRequired: 426,
    RateLimited: 429,
    Busy: 503,
    NotReady: 503,
}
"""The HTTP status of each error; every other one is 500."""

HEADERS = {
    b"content-security-policy": (
        b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        b"img-src 'self' blob:; media-src 'self' blob:; "
        b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"permissions-policy": b"camera=(self), microphone=(), geolocation=()",
    b"referrer-policy": b"no-referrer",
    b"x-content-type-options": b"nosniff",
}
"""Sent with every answer."""

_NOT_PHOTOS = ("multipart/", "text/", "application/json")
_FORM = "application/x-www-form-urlencoded"
_CURL = "With curl it is --data-binary @photo: -d takes line breaks out of what it sends."
_STATIC = Path(__file__).parent / "static"
_CACHES = {"/": b"no-cache", "/static": b"no-cache", "/emoji": b"public, max-age=31536000, immutable"}
# The page is asked for anew each time, and answered 304 when unchanged; readings and errors are kept nowhere.


class WebChannel:
    """The handlers.

    Args:
        service: reads the photos.
        metrics: shown at ``/metrics``.
        emoji_map: the readers' own, for explanations.
        live: the live connections.
        max_bytes: the most one photo may have.
        timeout: seconds it may take to arrive.
        rate_limit: photos, and new live connections, a second for each address; 0 for no limit.
        public_url: where the world reaches us, if that is known.
        allowed_hosts: more names under which we are reached.
        routes: what chat platforms call.
        troubles: says why a chat platform cannot reach us, if so.
    """

    def __init__(
        self,
        service: PhotoService,
        metrics: Metrics,
        emoji_map: EmojiMap,
        live: LiveStreams,
        *,
        max_bytes: int,
        timeout: float,
        rate_limit: float,
        public_url: str | None = None,
        allowed_hosts: Collection[str] = (),
        routes: Sequence[Route] = (),
        troubles: Callable[[], Sequence[str]] = list,
    ) -> None:
        self._service = service
        self._metrics = metrics
        self._map = emoji_map
        self._live = live
        self._bodies = Bodies(max_bytes, timeout)
        self._rate_limit = RateLimit(rate_limit)
        self._shares = rate_limit > 0
        self._hosts = HostNames(public_url, allowed_hosts)
        self._public_host = urlsplit(public_url or "").netloc
        self._static = StaticFiles(directory=_STATIC)
        self._routes = routes
        self._troubles = troubles

    def app(self) -> ASGIApp:
        """Return the ASGI application."""
        starlette = Starlette(
            routes=[
                Route("/", self.page),
                Mount("/static", self._static),
                Route("/api/read", self.read, methods=["POST"]),
                Route("/api/mask", self.mask, methods=["POST"]),
                WebSocketRoute("/api/live", self.live),
                Route("/api/live", self.no_live),
                Route("/emoji/{points}.svg", self.emoji),
                Route("/healthz", self.healthz),
                Route("/readyz", self.readyz),
                Route("/metrics", self.metrics),
                *self._routes,
            ],
            exception_handlers={HTTPException: _http_error, Exception: _unexpected_error},
        )
        return _Envelope(starlette, self._metrics, _paths(starlette), self._hosts)

    def give_up(self) -> None:
        """Wait for no photo that is still arriving: the server ends."""
        self._bodies.give_up()

    async def page(self, request: Request) -> Response:
        """Serve the page itself; its script and style come from ``/static``."""
        return await self._static.get_response("index.html", request.scope)

    async def read(self, request: Request) -> Response:
        """Take the bytes of a photo, answer its reading; ``?explain=1`` adds to each face why it got its emoji."""

        async def answer(data: bytes, explained: bool) -> Response:
            reading = await self._service.read(data, address=self._sharer(request))
            json = reading.to_json()
            if explained:
                for face, shown in zip(reading.faces, json["faces"], strict=True):
                    shown["explanation"] = explain(self._map, face, len(reading.faces)).to_json()
            return JSONResponse(json)

        return await self._answer(request, "explain", answer)

    async def mask(self, request: Request) -> Response:
        """Take the bytes of a photo, answer it with its faces covered; ``?everyone=1`` covers the doubtful, too."""

        async def answer(data: bytes, everyone: bool) -> Response:
            masked = await self._service.mask(data, everyone=everyone, address=self._sharer(request))
            covered = len(masked.reading.faces) + len(masked.reading.unread)
            return Response(masked.jpeg, media_type="image/jpeg", headers={"x-faces-covered": str(covered)})

        return await self._answer(request, "everyone", answer)

    async def live(self, socket: WebSocket) -> None:
        """Take the frames of a camera, answer each with its reading; pages of other sites are refused with 403."""
        if not self._is_ours(socket):
            await socket.close()
            return
        refusal: BotError | None = None
        if not self._rate_limit.allows(_address(socket)):
            refusal = RateLimited()
        elif not self._service.ready:
            refusal = self._service.not_ready()
        await self._live.serve(socket, self._sharer(socket), refusal)

    async def no_live(self, _request: Request) -> Response:
        """Say that a WebSocket lives here, and how to ask for it."""
        response = _error(UpgradeRequired())
        response.headers.update({"connection": "Upgrade", "upgrade": "websocket"})
        return response

    async def emoji(self, request: Request) -> Response:
        """Serve the drawing of one emoji, named by its code points: ``/emoji/1F600.svg``."""
        points = request.path_params["points"]
        if not re.fullmatch(r"[0-9A-F]{2,5}(-[0-9A-F]{2,5}){0,9}", points):
            return _error(NotFound())
        try:
            svg = emoji_svg("".join(chr(int(point, 16)) for point in points.split("-")))
        except Face2EmojiError:
            return _error(NotFound())
        return Response(svg, media_type="image/svg+xml")

    def _is_ours(self, connection: HTTPConnection) -> bool:
        """Return False for a page of another site: browsers let any page send here, and say which it is.

        Hosts are compared without the scheme: a proxy may have taken TLS off.
        """
        origin, host = (connection.headers.get(name) for name in ("origin", "host"))
        try:
            return origin is None or urlsplit(origin).netloc in {host, self._public_host} - {""}
        except ValueError:  # no browser's
            return False

    async def _answer(
        self, request: Request, switch: str, answer: Callable[[bytes, bool], Coroutine[Any, Any, Response]]
    ) -> Response:
        """Receive the photo and answer it, with the one switch that the address may carry."""
        try:
            self._admit(request)
            is_on = _is_on(request, switch)
            async with self._bodies.receive(request) as data:
                return await _unless_gone(request, answer(data, is_on))
        except ClientDisconnect:
            return Response(status_code=499)  # nobody is there to see it but the metrics
        except Face2EmojiError as error:
            log.info("refused", code=error.code)
            if isinstance(error, UnreadableImage | UnsupportedFormat) and _is_form(request):
                error = type(error)(f"{error.message} {_CURL}")
            response = _error(error)
            if not await self._bodies.drain(request):
                response.headers["connection"] = "close"
            return response

    async def healthz(self, _request: Request) -> Response:
        """Say that the process is alive and its event loop turns."""
        return PlainTextResponse("ok")

    async def readyz(self, _request: Request) -> Response:
        """Say whether the model is loaded and the chat platforms are connected."""
        if not self._service.ready:
            return _error(self._service.not_ready())
        if troubles := self._troubles():
            return _error(NotReady(" ".join(troubles)))
        return PlainTextResponse("ready")

    async def metrics(self, _request: Request) -> Response:
        """Show the figures to Prometheus."""
        self._metrics.tasks.set(len(asyncio.all_tasks()))
        return Response(self._metrics.exposition(), media_type=Metrics.content_type)

    def _admit(self, request: Request) -> None:
        if not self._is_ours(request):
            raise WrongOrigin
        if not self._rate_limit.allows(_address(request)):
            raise RateLimited
        if request.headers.get("content-type", "").lower().startswith(_NOT_PHOTOS):
            raise WrongContentType
        if request.headers.get("content-encoding", "identity").lower() != "identity":
            raise WrongContentType(WrongContentType.encoded)
        self._service.check(self._sharer(request))

    def _sharer(self, connection: HTTPConnection) -> str:
        """Return whose share of the places it takes; nobody's, where all may come from one address."""
        return _address(connection) if self._shares else ""


def _address(connection: HTTPConnection) -> str:
    return network(connection.client.host) if connection.client else ""


def _is_form(request: Request) -> bool:
    """Tell whether the body calls itself a form: so curl calls whatever it is told to send."""
    return request.headers.get("content-type", "").lower().startswith(_FORM)


def _paths(app: Starlette) -> set[str]:
    return {route.path for route in app.routes if isinstance(route, Route)}


def _is_on(request: Request, switch: str) -> bool:
    if unknown := request.query_params.keys() - {switch}:
        raise WrongSwitch(WrongSwitch.unknown.format(unknown=min(unknown)[:20], switch=switch))
    values = request.query_params.getlist(switch) or ["0"]
    if values not in (["0"], ["1"]):
        raise WrongSwitch(WrongSwitch.sentence.format(switch=switch))
    return values == ["1"]


async def _unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Await ``work``, but cancel it as soon as the client hangs up."""
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(request.receive())  # the body is read: all that can come is the disconnect
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        gone.cancel()
        task.cancel()


def _error(error: Face2EmojiError) -> Response:
    wait = error.retry_after if isinstance(error, BotError) else None
    return JSONResponse(
        {"error": error.to_json()},
        status_code=next((status for kind, status in STATUS.items() if isinstance(error, kind)), 500),
        headers={"retry-after": str(wait)} if wait else None,
    )


async def _http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this type only
    response = _error(MethodNotAllowed() if error.status_code == 405 else NotFound())
    response.headers.update(error.headers or {})
    return response


async def _unexpected_error(_request: Request, _cause: Exception) -> Response:
    return _error(InternalError())


class _Envelope:
    """Around every answer, errors included: the safety headers, the cache rule, the count, an id for the log.

    And before it: requests that are not meant for us, or whose end is doubtful, get no further.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, paths: Collection[str], hosts: HostNames) -> None:
        self._app = app
        self._metrics = metrics
        self._paths = paths
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = self._label(scope.get("path", ""))
        request = secrets.token_hex(6)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._metrics.requests.labels(path, message["status"]).inc()
                cache = _CACHES.get(path, b"no-store") if message["status"] < 400 else b"no-store"
                ours = ((b"cache-control", cache), (b"x-request-id", request.encode()))
                message["headers"] = [*message["headers"], *HEADERS.items(), *ours]
            await send(message)

        app = self._app
        with structlog.contextvars.bound_contextvars(request=request):
            if refusal := self._refusal(dict(scope["headers"])):
                log.info("refused", code=refusal.code)
                app = WebSocketClose() if scope["type"] == "websocket" else _error(refusal)
                if isinstance(app, Response):
                    app.headers["connection"] = "close"
            await app(scope, receive, send_with_headers)

    def _refusal(self, headers: Mapping[bytes, bytes]) -> BotError | None:
        host = headers.get(b"host")  # HTTP/1.0 has none, and no browser speaks that
        if host is not None and host.decode("latin1") not in self._hosts:
            return WrongHost()
        if {b"content-length", b"transfer-encoding"} <= headers.keys():  # request smuggling
            return BadRequest(BadRequest.two_lengths)
        return None

    def _label(self, path: str) -> str:
        """Return a path of ours, or "other": the metrics must not grow with what strangers ask for."""
        for folder in ("/static", "/emoji"):
            if path.startswith(folder + "/"):
                return folder
        return path if path in self._paths else "other"
