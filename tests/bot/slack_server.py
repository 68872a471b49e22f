"""Slack over real sockets, as small as tests allow; `python -m tests.bot.slack_server` runs it alone.

State changes before an answer is written, so that a message counts as sent whether or not the sender lives to hear it.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import hmac
import io
import json
import re
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NoReturn, Self, cast
from urllib.parse import urlencode

import aiohttp
import httpx
from aiohttp import WSMsgType, web
from PIL import Image

from tests.bot.slack_shapes import METHODS, NESTED, Json, Method, from_form, is_emoji, problems_of_view, words
from tests.bot.slack_world import (
    APP,
    OTHER_TEAM,
    PLURAL,
    SCOPES,
    TEAM,
    ApiError,
    App,
    Attempt,
    Call,
    Channel,
    Delivery,
    Download,
    Installation,
    Reacted,
    Sent,
    Upload,
    Viewed,
    Violation,
    World,
)

# With what its records consist of.
__all__ = ["Delivery", "Reacted", "Sent", "SlackProcess", "SlackServer", "Viewed", "Violation"]

ROOT = Path(__file__).parents[2]
Cut = Literal["", "before", "after"]
RESPONSE_URL_USES = 5
SIGN_IN_PAGE = "<!DOCTYPE html><html><head><title>Sign in | Slack</title></head><body>Sign in to Slack</body></html>"
CONTROLS = words(
    "again app channel command configure deafen delete disconnect dm drop edit event expire_tokens fail file "
    "forget_records heal install joined mention open_home person photo press react shortcut submit_view team text "
    "tokens_revoked uninstall verify_url"
)
RECORDS = words("acks calls deliveries downloads edited failed pending reactions responses sent views violations")


@dataclass
class Fault:
    """What goes wrong with the next calls of a method."""

    method: str
    error: str
    left: int | None
    when: Mapping[str, Any] | Callable[[Json], bool] | None
    status: int
    retry_after: int
    cut: Cut
    delay: float
    hits: int = 0

    def takes(self, method: str, args: Json) -> bool:
        if self.method not in (method, "*") or self.left == 0:
            return False
        if self.when is None:
            return True
        if callable(self.when):
            return self.when(args)
        return all(args.get(name) == value for name, value in self.when.items())


@dataclass(eq=False)
class Connection:
    """A socket that an app opened. A deaf one stays open and is not listened to."""

    app: str
    socket: web.WebSocketResponse
    transport: asyncio.Transport
    greeted: asyncio.Event = field(default_factory=asyncio.Event)
    is_deaf: bool = False
    is_leaving: bool = False
    # By id: what was sent here, and who waits for its acknowledgement.
    envelopes: dict[str, tuple[Attempt, asyncio.Future[Any]]] = field(default_factory=dict)


class _Cut(Exception):
    """The connection ends here."""


class SlackServer(World):
    """The server, to be used as a context manager; it runs in a thread of its own.

    Args:
        port: 0 for any.
        scopes: what the first app may in the first workspace.
        retries: seconds before each redelivery of an event that was not acknowledged.
        ack_timeout: seconds that an acknowledgement may take.
        strict_rates: refuse a second message a second in a channel, and call it a violation.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        scopes: Iterable[str] = SCOPES,
        retries: Sequence[float] = (0.3, 0.3, 0.3),
        ack_timeout: float = 3.0,
        strict_rates: bool = False,
    ) -> None:
        # The protocol is named because asyncio spares only such sockets Nagle's 40 ms between header and body.
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", port))
        self._socket.listen(512)
        self.port: int = self._socket.getsockname()[1]
        super().__init__(f"http://127.0.0.1:{self.port}", scopes)
        self.retries = retries
        self.ack_timeout = ack_timeout
        self.strict_rates = strict_rates
        self.share_seconds = 0.0
        self.install_team = OTHER_TEAM
        self.denies_install = False
        self._methods: dict[str, Callable[[Installation, Json], Json]] = {
            name: getattr(self, "_" + re.sub("([A-Z])", r"_\1", name.replace(".", "_").replace("URL", "Url")).lower())
            for name in METHODS
            if name not in ("apps.connections.open", "oauth.v2.access")
        }
        self._faults: list[Fault] = []
        self._tickets: dict[str, str] = {}
        self._codes: dict[str, tuple[str, str, str, list[str]]] = {}
        self._last_posts: dict[str, float] = {}
        self._connections: list[Connection] = []
        self._turn = 0
        self._tasks: set[asyncio.Task[object]] = set()
        self._loop = asyncio.new_event_loop()
        self._ended = asyncio.Event()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self.run, name="slack")

    # Running

    @property
    def base_url(self) -> str:
        """What slack_sdk's clients call so."""
        return f"{self.url}/api/"

    def run(self) -> None:
        """Serve until `stop`."""
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
        finally:
            self._loop.close()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)

    async def _serve(self) -> None:
        app = web.Application(client_max_size=64 << 20)
        app.router.add_route("*", "/api/{method}", self._api)
        app.router.add_get("/link/", self._link)
        app.router.add_post("/upload/v1/{file}", self._upload)
        app.router.add_get("/files-pri/{path:.*}", self._download)
        app.router.add_get("/files-tmb/{path:.*}", self._download)
        app.router.add_get("/avatars/{user}/{size}.jpg", self._avatar)
        app.router.add_post("/commands/{id}", self._respond)
        app.router.add_post("/actions/{id}", self._respond)
        app.router.add_get("/oauth/v2/authorize", self._authorize)
        app.router.add_route("*", "/_control/{name}", self._control)
        # Idle connections outlive any test, so that none ends just as it is used again.
        runner = web.AppRunner(app, access_log=None, keepalive_timeout=600, shutdown_timeout=0.1)
        await runner.setup()
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as self._http:
            await web.SockSite(runner, self._socket).start()
            self._started.set()
            await self._ended.wait()
            for connection in self._connections:
                connection.transport.abort()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await runner.cleanup()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(10), "the Slack server did not start"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._thread.join(10)
        assert not self._thread.is_alive(), "the Slack server did not stop"

    def _soon(self, work: Coroutine[Any, Any, object]) -> None:
        """Run this on the server's loop, from any thread."""

        def start() -> None:
            task = self._loop.create_task(work)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        self._loop.call_soon_threadsafe(start)

    # Controls

    def fail(
        self,
        method: str,
        error: str = "",
        *,
        times: int | None = 1,
        when: Mapping[str, Any] | Callable[[Json], bool] | None = None,
        status: int = 200,
        retry_after: int = 1,
        cut: Cut = "",
        delay: float = 0.0,
    ) -> Fault:
        """Let the next calls go wrong; no times means until `heal`.

        Args:
            method: of the Web API; or "upload", "download", "response_url", "socket", "oauth.v2.access"; "*" for all.
            error: what to answer; "ratelimited" comes with status 429. A download may be "html" (the sign-in page),
                "redirect" (to another host), "endless", "length" (shorter than its Content-Length says) or "slow" (half
                of it, `delay` seconds later the rest). A socket with any error has a URL that is good no more.
            when: only calls with these arguments; a download has `file` and `rendition`.
            status: 500 or 503 answer with a page instead of JSON.
            cut: end the connection "before" the call changes anything, or "after".
            delay: seconds before anything happens.
        """
        status = 429 if error == "ratelimited" else status
        fault = Fault(method, error, times, when, status, retry_after, cut, delay)
        with self.lock:
            self._faults.append(fault)
        return fault

    def heal(self, method: str | None = None) -> None:
        """Take back the faults of a method, or all."""
        with self.lock:
            self._faults = [fault for fault in self._faults if method is not None and fault.method != method]

    def configure(
        self,
        app: str = APP,
        *,
        retries: Sequence[float] | None = None,
        ack_timeout: float | None = None,
        strict_rates: bool | None = None,
        share_seconds: float | None = None,
        install_team: str | None = None,
        denies_install: bool | None = None,
        scopes: Iterable[str] | None = None,
        team: str = TEAM,
        **changes: Any,
    ) -> None:
        """Change what is given: the server, the scopes of an app in a workspace, or any field of `App`."""
        with self.lock:
            self.retries = self.retries if retries is None else retries
            self.ack_timeout = self.ack_timeout if ack_timeout is None else ack_timeout
            self.strict_rates = self.strict_rates if strict_rates is None else strict_rates
            self.share_seconds = self.share_seconds if share_seconds is None else share_seconds
            self.install_team = self.install_team if install_team is None else install_team
            self.denies_install = self.denies_install if denies_install is None else denies_install
            if scopes is not None:
                self.installations[app, team].scopes = list(scopes)
            for name, value in changes.items():
                if not hasattr(self.apps[app], name):
                    raise TypeError(f"an app has no {name}")
                setattr(self.apps[app], name, set(value) if name == "events" else value)

    def deafen(self, app: str = APP) -> int:
        """Let the open sockets of an app hear and answer nothing more; how many there were. New ones work."""
        with self.lock:
            found = [connection for connection in self._connections if connection.app == app]
            for connection in found:
                connection.is_deaf = True
            return len(found)

    def drop(self, app: str = APP) -> int:
        """Cut the sockets of an app without a word; how many there were."""
        found = [connection for connection in self._connections if connection.app == app]
        for connection in found:
            self._loop.call_soon_threadsafe(connection.transport.abort)
        return len(found)

    def disconnect(self, reason: str = "refresh_requested", app: str = APP) -> int:
        """Ask an app to open its sockets anew, as Slack does every few hours; how many there were."""
        found = [held for held in self._connections if held.app == app and not held.is_deaf]
        for connection in found:
            connection.is_leaving = True
            self._soon(self._dismiss(connection, reason))
        return len(found)

    @property
    def sockets(self) -> int:
        """How many sockets are open and heard."""
        return sum(not (held.is_deaf or held.is_leaving) for held in self._connections)

    def verify_url(self, app: str = APP) -> bool:
        """Tell whether an app's request URL answers Slack's challenge."""

        async def ask() -> bool:
            challenge = uuid.uuid4().hex
            payload = {"token": "verification", "challenge": challenge, "type": "url_verification"}
            status, answer, _ = await self._post_signed(self.apps[app], json.dumps(payload), "application/json", {})
            return status == 200 and challenge in (answer if isinstance(answer, str) else json.dumps(answer))

        return asyncio.run_coroutine_threadsafe(ask(), self._loop).result(10)

    @property
    def pending(self) -> list[str]:
        """Ids of what was not acknowledged yet."""
        with self.lock:
            return list(self._pending)

    @property
    def failed(self) -> list[str]:
        """Ids of what was given up."""
        with self.lock:
            return [delivery.id for delivery in self.deliveries if delivery.state == "failed"]

    @property
    def acks(self) -> list[float]:
        """Seconds that each acknowledgement took."""
        with self.lock:
            attempts = (attempt for delivery in self.deliveries for attempt in delivery.attempts)
            return [attempt.ack for attempt in attempts if attempt.ack is not None]

    def calls_of(self, *methods: str) -> list[Call]:
        with self.lock:
            return [call for call in self.calls if call.method in methods]

    def state(self, *parts: str) -> Json:
        """All records as JSON has them, or those named."""
        with self.lock:
            chosen = {name: getattr(self, name) for name in parts or RECORDS}
            return cast("Json", json.loads(json.dumps(chosen, default=_plain)))

    # Deliveries

    def again(self, delivery_id: str, reason: str = "timeout") -> None:
        """Deliver an event once more, as if its acknowledgement had been lost."""
        delivery = self._known[delivery_id]
        self._soon(self._try(delivery, len(delivery.attempts), reason))

    def start(self, delivery: Delivery) -> None:
        self._soon(self._deliver(delivery))

    async def _deliver(self, delivery: Delivery) -> None:
        reason = ""
        for number, wait in enumerate((0.0, *self.retries)):
            if number:
                await asyncio.sleep(wait)
            reason = await self._try(delivery, number, reason)
            # Only events come again.
            if delivery.state == "acknowledged" or delivery.kind != "events_api" or reason == "no_retry":
                break
        with self.lock:
            self._pending.pop(delivery.id, None)
            if delivery.state == "pending":
                delivery.state = "failed"

    async def _try(self, delivery: Delivery, number: int, reason: str) -> str:
        """Deliver once; why it failed comes back, or nothing."""
        app = self.apps[delivery.app]
        attempt = Attempt(number, reason, "")
        delivery.attempts.append(attempt)
        sockets = [held for held in self._connections if held.app == app.id and not held.is_leaving]
        if sockets:
            attempt.via = "socket"
            self._turn += 1
            return await self._try_socket(delivery, attempt, sockets[self._turn % len(sockets)])
        if app.request_url:
            attempt.via = "http"
            return await self._try_http(delivery, attempt, app)
        return "connection_failed"

    def _acknowledge(self, delivery: Delivery, answer: Any) -> str:
        with self.lock:
            delivery.state = "acknowledged"
            delivery.answer = answer
            self._pending.pop(delivery.id, None)
            if answer:
                self._take_answer(delivery, answer)
        return ""

    def _take_answer(self, delivery: Delivery, answer: Any) -> None:
        """An acknowledgement may carry a message, or what becomes of a modal."""
        if delivery.kind == "slash_commands":
            body = answer if isinstance(answer, dict) else {"text": answer}
            held = self._response_urls[delivery.payload["response_url"].rpartition("/")[2]]
            self._answer_in(held, body, "ack")
        elif isinstance(answer, dict) and "view" in answer:
            self._note_problems("ack", list(problems_of_view(answer["view"])), answer)
            held_view = self._open_views[delivery.payload["view"]["id"]]
            self._keep_view(held_view, f"response_action {answer.get('response_action')}", answer["view"])

    async def _try_socket(self, delivery: Delivery, attempt: Attempt, connection: Connection) -> str:
        envelope_id = str(uuid.uuid4())
        is_event = delivery.kind == "events_api"
        envelope: Json = {
            "envelope_id": envelope_id,
            "payload": delivery.payload,
            "type": delivery.kind,
            "accepts_response_payload": not is_event,
        }
        if is_event:
            envelope |= {"retry_attempt": attempt.number, "retry_reason": attempt.reason}
        answered: asyncio.Future[Any] = self._loop.create_future()
        connection.envelopes[envelope_id] = (attempt, answered)
        try:
            await asyncio.wait_for(connection.greeted.wait(), self.ack_timeout)
            if not connection.is_deaf:
                await connection.socket.send_str(json.dumps(envelope))
            answer = await asyncio.wait_for(answered, self.ack_timeout)
        except (TimeoutError, ConnectionError):
            return "timeout"
        return self._acknowledge(delivery, answer)

    async def _try_http(self, delivery: Delivery, attempt: Attempt, app: App) -> str:
        headers = {}
        kind = "application/x-www-form-urlencoded"
        if delivery.kind == "events_api":
            kind, body = "application/json", json.dumps(delivery.payload)
            if attempt.number:
                headers = {"X-Slack-Retry-Num": str(attempt.number), "X-Slack-Retry-Reason": attempt.reason}
        elif delivery.kind == "interactive":
            body = urlencode({"payload": json.dumps(delivery.payload)})
        else:
            body = urlencode(delivery.payload)
        try:
            attempt.status, answer, gives_up = await self._post_signed(app, body, kind, headers)
        except TimeoutError:
            return "http_timeout"
        except aiohttp.ClientError:
            return "connection_failed"
        if 200 <= attempt.status < 300:
            attempt.ack = time.monotonic() - attempt.clock
            return self._acknowledge(delivery, answer)
        return "no_retry" if gives_up else "http_error"

    async def _post_signed(self, app: App, body: str, kind: str, headers: Mapping[str, str]) -> tuple[int, Any, bool]:
        """Post to an app; status, body (read, if it is JSON) and whether it wants no retry come back."""
        timestamp = str(int(time.time()))
        signed = hmac.new(app.signing_secret.encode(), f"v0:{timestamp}:{body}".encode(), hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": kind,
            "User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)",
            "X-Slack-Request-Timestamp": timestamp,
            "X-Slack-Signature": f"v0={signed}",
            **headers,
        }
        limit = aiohttp.ClientTimeout(total=self.ack_timeout)
        posting = self._http.post(
            app.request_url, data=body.encode(), headers=headers, timeout=limit, allow_redirects=False
        )
        async with posting as answer:
            text = await answer.text()
            is_json = answer.content_type == "application/json" and text
            return answer.status, json.loads(text) if is_json else text, answer.headers.get("X-Slack-No-Retry") == "1"

    # Socket Mode

    async def _link(self, request: web.Request) -> web.StreamResponse:
        ticket = request.query.get("ticket", "")
        try:
            await self._before("socket", {"app": self._tickets.get(ticket)})
        except ApiError as error:
            if not error.error:
                return web.Response(status=error.status)
            self._tickets.pop(ticket, None)
        except _Cut:
            return _cut(request)
        # Each URL is good for one socket.
        app = self._tickets.pop(ticket, None)
        if app is None or request.transport is None:
            return web.Response(status=404)
        held = web.WebSocketResponse(autoping=False, autoclose=False)
        connection = Connection(app, held, request.transport)
        # Before the app can know that it is connected.
        self._connections.append(connection)
        try:
            await held.prepare(request)
            await self._greet(connection)
            await self._listen(connection)
        finally:
            self._connections.remove(connection)
            for _, answered in connection.envelopes.values():
                if not answered.done():
                    answered.set_exception(ConnectionError())
        return held

    async def _greet(self, connection: Connection) -> None:
        greeting = {
            "type": "hello",
            "num_connections": sum(held.app == connection.app for held in self._connections),
            "debug_info": {"host": "applink-1", "build_number": 1, "approximate_connection_time": 18060},
            "connection_info": {"app_id": connection.app},
        }
        with suppress(ConnectionError):
            await connection.socket.send_str(json.dumps(greeting))
            await connection.socket.ping(b"Ping from applink-1")
        connection.greeted.set()

    async def _listen(self, connection: Connection) -> None:
        while True:
            message = await connection.socket.receive()
            if message.type in (WSMsgType.CLOSED, WSMsgType.CLOSING, WSMsgType.ERROR):
                return
            if connection.is_deaf:
                if message.type == WSMsgType.CLOSE:
                    # No goodbye either: the line stays up until the other side lets go.
                    while not connection.transport.is_closing():  # noqa: ASYNC110 - nobody tells of it
                        await asyncio.sleep(0.02)
                    return
            elif message.type == WSMsgType.PING:
                await connection.socket.pong(message.data)
            elif message.type == WSMsgType.CLOSE:
                await connection.socket.close()
                return
            elif message.type == WSMsgType.TEXT:
                self._hear(connection, json.loads(message.data))

    def _hear(self, connection: Connection, message: Json) -> None:
        envelope = connection.envelopes.get(message.get("envelope_id", ""))
        if envelope is None or envelope[0].ack is not None:
            self._note_problems("socket", ["an acknowledgement of nothing, or a second one"], message)
            return
        attempt, answered = envelope
        attempt.ack = time.monotonic() - attempt.clock
        # One that comes too late is noted, and changes nothing.
        if not answered.done():
            answered.set_result(message.get("payload"))

    async def _dismiss(self, connection: Connection, reason: str) -> None:
        farewell = {"type": "disconnect", "reason": reason, "debug_info": {"host": "applink-1"}}
        with suppress(ConnectionError):
            await connection.socket.send_str(json.dumps(farewell))
            # What is on its way may still be acknowledged here.
            await asyncio.sleep(1)
            await connection.socket.close()

    # Web API

    async def _api(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        known = METHODS.get(method)
        args, problems = await _read_arguments(request, known)
        token, where = _token_of(request, args)
        call = Call(method, args, "")
        headers: dict[str, str] = {}
        with self.lock:
            self.calls.append(call)
            if known is None:
                problems.append("there is no such method, or none that this server knows")
            else:
                problems += _wrong_arguments(known, args)
            if where == "query":
                problems.append("the token is in the URL")
            self._note_problems(method, problems, args)
        try:
            fault = await self._before(method, args)
            with self.lock:
                result = self._call(call, token, request, headers)
                call.status = 200
            if fault is not None and fault.cut == "after":
                raise _Cut
            return _json_response({"ok": True, **result}, headers=headers)
        except ApiError as error:
            call.status, call.error = error.status, error.error
            return _refusal(error, headers)
        except _Cut:
            call.status = 0
            return _cut(request)

    def _call(self, call: Call, token: str, request: web.Request, headers: dict[str, str]) -> Json:
        method, args = call.method, call.args
        if method not in METHODS:
            raise ApiError("unknown_method")
        if method == "oauth.v2.access":
            return self._oauth_access(args, request)
        if not token:
            self._note_problems(method, ["the token is missing"], args)
            raise ApiError("not_authed")
        app = next((app for app in self.apps.values() if app.app_token == token), None)
        if method == "apps.connections.open":
            if app is None:
                raise ApiError("not_allowed_token_type" if token in self.tokens else "invalid_auth")
            return self._open_connection(app)
        if app is not None:
            if method != "auth.test":
                raise ApiError("not_allowed_token_type")
            return {"app_name": app.name, "app_id": app.id}
        installation = self.tokens.get(token)
        if installation is None:
            raise ApiError(self.bad_tokens.get(token, "invalid_auth"))
        call.team = installation.team
        headers["x-oauth-scopes"] = ",".join(installation.scopes)
        known = METHODS[method]
        missing = [name for name in known.required.split() if args.get(name) in (None, "")]
        if missing:
            self._refuse_arguments(method, [f"missing required field: {name}" for name in missing], args)
        if "*" not in known.scope:
            _need(installation, known.scope)
        return self._methods[method](installation, args)

    def _take_fault(self, method: str, args: Json) -> Fault | None:
        with self.lock:
            fault = next((fault for fault in self._faults if fault.takes(method, args)), None)
            if fault is not None:
                fault.hits += 1
                fault.left = None if fault.left is None else fault.left - 1
            return fault

    async def _before(self, method: str, args: Json) -> Fault | None:
        """Let go wrong what goes wrong before a call is handled; the fault comes back."""
        fault = self._take_fault(method, args)
        if fault is None or method == "download":
            return fault
        await asyncio.sleep(fault.delay)
        if fault.cut == "before":
            raise _Cut
        if fault.error or fault.status != 200:
            raise ApiError(fault.error, fault.status, fault.retry_after if fault.status == 429 else None)
        return fault

    def _refuse_stranger(self, method: str, args: Json, error: str) -> NoReturn:
        """What belongs to another team is not there for a token, and a bot that asks mixes up its tokens."""
        self._note_problems(method, ["the token is of another team"], args)
        raise ApiError(error)

    def _auth_test(self, installation: Installation, args: Json) -> Json:
        team = self.teams[installation.team]
        return {
            "url": f"https://{team.domain}.slack.com/",
            "team": team.name,
            "user": self.people[installation.bot_user].name,
            "team_id": team.id,
            "user_id": installation.bot_user,
            "bot_id": installation.bot_id,
            "is_enterprise_install": False,
        }

    def _auth_revoke(self, installation: Installation, args: Json) -> Json:
        if args.get("test") in (True, "1", "true"):
            return {"revoked": False}
        self.tokens_revoked(installation.team, installation.app.id)
        return {"revoked": True}

    def _open_connection(self, app: App) -> Json:
        ticket = str(uuid.uuid4())
        self._tickets[ticket] = app.id
        return {"url": f"ws://127.0.0.1:{self.port}/link/?ticket={ticket}&app_id={app.id}"}

    def _users_info(self, installation: Installation, args: Json) -> Json:
        person = self.people.get(args["user"])
        shared = (channel for channel in self.channels.values() if channel.is_shared)
        if person is None:
            raise ApiError("user_not_found")
        if person.team != installation.team and not any(
            person.id in channel.members and installation.team in channel.teams for channel in shared
        ):
            self._refuse_stranger("users.info", args, "user_not_found")
        locale = args.get("include_locale") in (True, "1", "true")
        return {"user": self.user_shape(person, installation.team, locale)}

    def _emoji_list(self, installation: Installation, args: Json) -> Json:
        return {"emoji": self.teams[installation.team].emoji, "cache_ts": self.new_ts()}

    def _files_info(self, installation: Installation, args: Json) -> Json:
        stored = self.files.get(args["file"])
        if stored is None:
            raise ApiError("file_not_found")
        if installation.team not in stored.teams:
            self._refuse_stranger("files.info", args, "file_not_found")
        if stored.shape["mode"] == "tombstone":
            raise ApiError("file_deleted")
        return {"file": stored.shape, "comments": []}

    def _files_get_upload_url_external(self, installation: Installation, args: Json) -> Json:
        length, alt_txt = str(args["length"]), args.get("alt_txt", "")
        if not length.isdecimal() or "snippet_type" in args:
            self._refuse_arguments("files.getUploadURLExternal", ["no length, or a snippet"], args)
        if length == "0":
            raise ApiError("missing_argument")
        if len(alt_txt) > 1000:
            raise ApiError("alt_txt_too_large")
        file_id = self.new_id("F")
        self._uploads[file_id] = Upload(installation, args["filename"], int(length), alt_txt)
        return {"upload_url": f"{self.url}/upload/v1/{file_id}", "file_id": file_id}

    async def _upload(self, request: web.Request) -> web.StreamResponse:
        """Take a file's bytes. Whoever knows the address may bring them; a token has no business here."""
        file_id = request.match_info["file"]
        data = await request.read()
        args = {"file": file_id, "length": str(len(data))}
        try:
            fault = await self._before("upload", args)
        except ApiError as error:
            headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
            return web.Response(status=error.status, headers=headers)
        except _Cut:
            return _cut(request)
        with self.lock:
            told = f"{request.headers} {request.query_string} {data[:4096]!r}"
            if "Authorization" in request.headers or any(token in told for token in self.tokens):
                self._note_problems("upload", ["a token came along"], args)
            upload = self._uploads.get(file_id)
            if upload is None or upload.data is not None or len(data) != upload.length:
                self._note_problems("upload", ["an unknown address, a second time, or another length"], args)
                return web.Response(status=400)
            upload.data = data
        return _cut(request) if fault is not None and fault.cut == "after" else web.Response(text=f"OK - {len(data)}")

    def _files_complete_upload_external(self, installation: Installation, args: Json) -> Json:
        """Slack answers at once, and shows the file when it has looked at it."""
        channel_id = args.get("channel_id", "")
        if not re.fullmatch("[CGDZ][A-Z0-9]{8,}", channel_id) or not isinstance(args["files"], list):
            self._refuse_arguments("files.completeUploadExternal", ["must match: channel_id"], args)
        channel = self.channels.get(channel_id)
        if channel is None or installation.team not in channel.teams:
            raise ApiError("channel_not_found")
        if installation.bot_user not in channel.members:
            raise ApiError("not_in_channel" if channel.kind == "channel" else "channel_not_found")
        if channel.is_archived:
            raise ApiError("posting_to_channel_denied")
        uploads = [(file["id"], self._uploads.get(file["id"])) for file in args["files"]]
        files = []
        for file_id, upload in uploads:
            # It can be completed once, and not before its bytes are there.
            if upload is None or upload.installation is not installation or upload.data is None or upload.is_completed:
                raise ApiError("file_not_found")
            bot = installation.bot_user
            files.append(
                self.file(upload.data, name=upload.name, user=bot, file_id=file_id) | {"alt_txt": upload.alt_txt}
            )
            upload.is_completed = True
        self._soon(self._share(installation, channel, args, files, self.share_seconds))
        return {"files": [{"id": file["id"], "title": file["name"]} for file in files]}

    async def _share(
        self, installation: Installation, channel: Channel, args: Json, files: list[Json], seconds: float
    ) -> None:
        await asyncio.sleep(seconds)
        with self.lock:
            content = {"text": args.get("initial_comment", ""), "blocks": [], "subtype": "file_share", "files": files}
            message = self._bot_message(installation, content)
            self._put(channel, message, args.get("thread_ts"))
            self.sent.append(self._note_sent(channel, message, "files.completeUploadExternal"))
            self._tell(channel, self.event_shape(channel, message))

    # Channels

    def _place(self, method: str, installation: Installation, args: Json, *, joined: bool = True) -> Channel:
        """The channel of a call, if the bot may act there."""
        name = args["channel"]
        channel = self.channels.get(name)
        if channel is None:
            raise ApiError("channel_not_found")
        if installation.team not in channel.teams:
            self._refuse_stranger(method, args, "channel_not_found")
        scope = METHODS[method].scope
        if "*" in scope:
            _need(installation, scope.replace("*", PLURAL[channel.kind]))
        if installation.bot_user not in channel.members:
            if channel.kind != "channel":
                raise ApiError("channel_not_found")
            if joined:
                raise ApiError("not_in_channel")
        return channel

    def _place_to_write(self, method: str, installation: Installation, args: Json) -> Channel:
        person = self.people.get(args["channel"])
        if person is not None and method == "chat.postMessage":
            if person.team != installation.team:
                raise ApiError("channel_not_found")
            if person.is_bot:
                raise ApiError("cannot_dm_bot")
            return self.channels[self.dm(person.id, installation.app.id)]
        joined = method != "chat.postMessage" or "chat:write.public" not in installation.scopes
        channel = self._place(method, installation, args, joined=joined)
        if channel.is_archived:
            raise ApiError("is_archived")
        return channel

    def _message(self, channel: Channel, ts: str) -> Json:
        message = channel.messages.get(ts)
        if message is None:
            raise ApiError("message_not_found")
        return message

    def _conversations_info(self, installation: Installation, args: Json) -> Json:
        channel = self._place("conversations.info", installation, args, joined=False)
        return {"channel": self.channel_shape(channel, installation)}

    def _conversations_open(self, installation: Installation, args: Json) -> Json:
        if "channel" in args:
            return {"channel": {"id": self._place("conversations.open", installation, args).id}}
        user = str(args.get("users", ""))
        person = self.people.get(user)
        if person is None or person.team != installation.team:
            raise ApiError("user_not_found")
        if person.is_bot:
            raise ApiError("cannot_dm_bot")
        return {"channel": {"id": self.dm(user, installation.app.id)}}

    def _conversations_history(self, installation: Installation, args: Json) -> Json:
        channel = self._place("conversations.history", installation, args)
        newest_first = reversed(channel.messages.values())
        return _page(
            [
                message
                for message in newest_first
                if message.get("thread_ts", message["ts"]) == message["ts"]
                or message.get("subtype") == "thread_broadcast"
            ],
            args,
            100,
        )

    def _conversations_replies(self, installation: Installation, args: Json) -> Json:
        channel = self._place("conversations.replies", installation, args)
        if args["ts"] not in channel.messages:
            raise ApiError("thread_not_found")
        thread = channel.messages[args["ts"]].get("thread_ts", args["ts"])
        messages = channel.messages.values()
        return _page([message for message in messages if message.get("thread_ts", message["ts"]) == thread], args, 1000)

    # Messages

    def _chat_post_message(self, installation: Installation, args: Json) -> Json:
        channel = self._place_to_write("chat.postMessage", installation, args)
        content = self._content("chat.postMessage", args)
        thread = args.get("thread_ts")
        self._check_thread("chat.postMessage", channel, thread, args)
        now = time.monotonic()
        if self.strict_rates and now - self._last_posts.get(channel.id, -1.0) < 1:
            self._note_problems("chat.postMessage", ["more than one message a second in a channel"], args)
            raise ApiError("ratelimited", 429, 1)
        self._last_posts[channel.id] = now
        message = self._bot_message(installation, content)
        self._put(channel, message, thread)
        self.sent.append(self._note_sent(channel, message, "chat.postMessage"))
        self._tell(channel, self.event_shape(channel, message))
        return {"channel": channel.id, "ts": message["ts"], "message": message}

    def _check_thread(self, method: str, channel: Channel, thread: str | None, args: Json) -> None:
        """Slack takes any thread_ts, and then nobody finds the message."""
        if thread is None or thread in channel.deleted:
            return
        parent = channel.messages.get(thread)
        if parent is None:
            self._note_problems(method, ["thread_ts is no message's"], args)
        elif parent.get("thread_ts", thread) != thread:
            self._note_problems(method, ["thread_ts is that of a reply"], args)

    def _chat_post_ephemeral(self, installation: Installation, args: Json) -> Json:
        channel = self._place_to_write("chat.postEphemeral", installation, args)
        content = self._content("chat.postEphemeral", args)
        self._check_thread("chat.postEphemeral", channel, args.get("thread_ts"), args)
        if args["user"] not in channel.members:
            raise ApiError("user_not_in_channel")
        message = self._bot_message(installation, content)
        if "thread_ts" in args:
            message["thread_ts"] = args["thread_ts"]
        self._ephemeral[channel.id, message["ts"]] = message
        self.sent.append(self._note_sent(channel, message, "chat.postEphemeral", args["user"]))
        return {"message_ts": message["ts"]}

    def _chat_update(self, installation: Installation, args: Json) -> Json:
        channel = self._place_to_write("chat.update", installation, args)
        message = self._message(channel, args["ts"])
        if message.get("bot_id") != installation.bot_id:
            raise ApiError("cant_update_message")
        self._change(channel, message, self._content("chat.update", args), "chat.update")
        return {"channel": channel.id, "ts": message["ts"], "text": message["text"], "message": message}

    def _reactions_add(self, installation: Installation, args: Json) -> Json:
        channel = self._place("reactions.add", installation, args)
        name = args["name"]
        if channel.is_archived:
            raise ApiError("is_archived")
        message = self._message(channel, args["timestamp"])
        if not is_emoji(name, self.teams[installation.team].emoji):
            raise ApiError("invalid_name")
        self._add_reaction(channel, message, name, installation.bot_user)
        self.reactions.append(Reacted(channel.id, message["ts"], name, installation.app.id))
        return {}

    # Views

    def _check_view(self, method: str, args: Json, kind: str) -> Json:
        view = args["view"]
        if problems := list(problems_of_view(view)):
            self._refuse_arguments(method, problems, args)
        if view["type"] != kind:
            self._refuse_arguments(method, [f"a view of type {view['type']}"], args)
        return cast("Json", view)

    def _views_open(self, installation: Installation, args: Json) -> Json:
        view = self._check_view("views.open", args, "modal")
        trigger = args.get("trigger_id", "")
        if trigger not in self._triggers:
            raise ApiError("exchanged_trigger_id" if trigger in self._used_triggers else "invalid_trigger_id")
        until, user = self._triggers[trigger]
        if time.monotonic() > until:
            raise ApiError("expired_trigger_id")
        del self._triggers[trigger]
        self._used_triggers.add(trigger)
        return {"view": self._new_view(installation, user, "views.open", view)}

    def _views_update(self, installation: Installation, args: Json) -> Json:
        view = self._check_view("views.update", args, "modal")
        held = self._open_views.get(args.get("view_id", ""))
        if held is None or held.app != installation.app.id:
            raise ApiError("not_found")
        if args.get("hash", held.view["hash"]) != held.view["hash"]:
            raise ApiError("hash_conflict")
        return {"view": self._keep_view(held, "views.update", view)}

    def _views_publish(self, installation: Installation, args: Json) -> Json:
        view = self._check_view("views.publish", args, "home")
        user = args["user_id"]
        if user not in self.people or self.people[user].team != installation.team:
            raise ApiError("user_not_found")
        home = self._homes.get((installation.app.id, user))
        if home is not None:
            return {"view": self._keep_view(self._open_views[home], "views.publish", view)}
        shape = self._new_view(installation, user, "views.publish", view)
        self._homes[installation.app.id, user] = shape["id"]
        return {"view": shape}

    # Answers to interactions

    async def _respond(self, request: web.Request) -> web.StreamResponse:
        number = request.match_info["id"]
        try:
            body = await request.json()
        except ValueError:
            self._note_problems("response_url", ["no JSON"], {})
            return web.Response(status=400, text="invalid_payload")
        try:
            fault = await self._before("response_url", body)
            with self.lock:
                held = self._response_urls.get(number)
                if held is None or held.uses >= RESPONSE_URL_USES:
                    problem = "unknown" if held is None else f"used more than {RESPONSE_URL_USES} times"
                    self._note_problems("response_url", [problem], body)
                    return _json_response({"ok": False, "error": "used_url"}, 404)
                held.uses += 1
                self.responses.append({**body, "channel": held.channel, "user": held.user, "at": time.time()})
                self._answer_in(held, body, "response_url")
            if fault is not None and fault.cut == "after":
                raise _Cut
        except ApiError as error:
            headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
            return web.Response(status=error.status, text=error.error, headers=headers)
        except _Cut:
            return _cut(request)
        return web.Response(text="ok")

    # Files

    async def _download(self, request: web.Request) -> web.StreamResponse:
        is_foreign = not request.host.startswith("127.0.0.1")
        header = request.headers.get("Authorization", "")
        found = self.find_file(request.match_info["path"])
        if found is None:
            return web.Response(status=404)
        stored, rendition = found
        args = {"file": stored.shape["id"], "rendition": rendition}
        with self.lock:
            self.downloads.append(Download(args["file"], rendition, is_foreign, bool(header)))
            installation = self.tokens.get(header.removeprefix("Bearer "))
            if is_foreign and header:
                self._note_problems("download", ["a token went to another host"], args)
            elif installation is not None and installation.team not in stored.teams:
                self._note_problems("download", ["the token is of another team"], args)
        may = installation is not None and "files:read" in installation.scopes and installation.team in stored.teams
        fault = await self._before("download", args)
        if not (may or is_foreign) or (fault is not None and fault.error == "html"):
            return web.Response(text=SIGN_IN_PAGE, content_type="text/html", charset="utf-8")
        data = stored.renditions[rendition]
        kind = stored.shape["mimetype"] if rendition == "original" else "image/jpeg"
        if fault is not None:
            return await self._download_badly(request, data, kind, fault)
        return web.Response(body=data, content_type=kind)

    async def _download_badly(self, request: web.Request, data: bytes, kind: str, fault: Fault) -> web.StreamResponse:
        if fault.error == "redirect":
            return web.Response(status=302, headers={"Location": f"{self.foreign_url}{request.path_qs}"})
        if fault.status != 200:
            headers = {"Retry-After": str(fault.retry_after)} if fault.status == 429 else {}
            return web.Response(status=fault.status, headers=headers)
        if fault.cut == "before":
            return _cut(request)
        answer = web.StreamResponse(headers={"Content-Type": kind})
        if fault.error != "endless":
            answer.content_length = len(data)
        half = len(data) // 2
        with suppress(ConnectionError):
            await answer.prepare(request)
            await answer.write(data[:half])
            while fault.error == "endless":
                await answer.write(bytes(1 << 16))
            if fault.error == "length" or fault.cut == "after":
                return _cut(request)
            await asyncio.sleep(fault.delay)
            await answer.write(data[half:])
            await answer.write_eof()
        return answer

    async def _avatar(self, request: web.Request) -> web.StreamResponse:
        user, size = request.match_info["user"], request.match_info["size"]
        person = self.people.get(user)
        if person is None:
            return web.Response(status=404)
        with self.lock:
            self.downloads.append(Download(user, f"image_{size}", False, "Authorization" in request.headers))
        data = person.pictures.get(size)
        if data is None:
            # What Slack shows of who has no photo is a drawing on plain ground.
            file = io.BytesIO()
            Image.new("RGB", (int(size), int(size)), "teal").save(file, "JPEG")
            data = file.getvalue()
        return web.Response(body=data, content_type="image/jpeg")

    # OAuth

    async def _authorize(self, request: web.Request) -> web.StreamResponse:
        """Say yes to an app at once, and send the browser back to it."""
        query = request.query
        with self.lock:
            app = next((app for app in self.apps.values() if app.client_id == query.get("client_id")), None)
            if app is None:
                return web.Response(status=400, text="Invalid client_id parameter")
            back = query.get("redirect_uri") or app.redirect_url
            if not back:
                return web.Response(status=400, text="redirect_uri did not match any configured URIs")
            answer = {"state": query.get("state", "")}
            if self.denies_install:
                answer["error"] = "access_denied"
            else:
                code = answer["code"] = f"{self.number()}.{uuid.uuid4().hex}"
                team = query.get("team") or self.install_team
                self._codes[code] = (app.id, team, query.get("redirect_uri", ""), query.get("scope", "").split(","))
        return web.Response(status=302, headers={"Location": f"{back}?{urlencode(answer)}"})

    def _oauth_access(self, args: Json, request: web.Request) -> Json:
        client_id, secret = args.get("client_id", ""), args.get("client_secret", "")
        header = request.headers.get("Authorization", "")
        if header.startswith("Basic "):
            client_id, _, secret = base64.b64decode(header[6:]).decode().partition(":")
        app = next((app for app in self.apps.values() if app.client_id == client_id), None)
        if app is None:
            raise ApiError("invalid_client_id")
        if app.client_secret != secret:
            raise ApiError("bad_client_secret")
        if args.get("grant_type") == "refresh_token":
            installations = self.installations.values()
            token = args.get("refresh_token", "")
            held = next((one for one in installations if one.app is app and one.refresh_token == token != ""), None)
            if held is None:
                raise ApiError("invalid_refresh_token")
            self.new_tokens(held)
            return self._granted(held)
        app_id, team, redirect, scopes = self._codes.pop(args.get("code", ""), ("", "", "", []))
        if app_id != app.id:
            raise ApiError("invalid_code")
        if args.get("redirect_uri", "") != redirect:
            raise ApiError("bad_redirect_uri")
        held = self.install(app.id, team, scopes)
        return self._granted(held) | {"authed_user": {"id": held.installer}}

    def _granted(self, installation: Installation) -> Json:
        team = self.teams[installation.team]
        granted: Json = {
            "access_token": installation.token,
            "token_type": "bot",
            "scope": ",".join(installation.scopes),
            "bot_user_id": installation.bot_user,
            "app_id": installation.app.id,
            "team": {"id": team.id, "name": team.name},
            "enterprise": None,
            "is_enterprise_install": False,
        }
        if installation.app.rotates_tokens:
            granted |= {"refresh_token": installation.refresh_token, "expires_in": 43200}
        return granted

    # Control from another process

    async def _control(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        try:
            if name == "state":
                result: Any = self.state(*filter(None, request.query.get("parts", "").split(",")))
            elif name not in CONTROLS:
                raise ValueError(f"there is no control {name}")
            else:
                arguments = json.loads(await request.text() or "{}", object_hook=_bytes_from_json)
                # Some wait for the loop that runs this.
                result = await asyncio.to_thread(getattr(self, name), **arguments)
            answer = json.dumps({"ok": True, "result": result}, default=_plain)
            return web.Response(text=answer, content_type="application/json")
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            return _json_response({"ok": False, "description": repr(error)}, 400)


def _need(installation: Installation, scope: str) -> None:
    if scope and scope not in installation.scopes:
        raise ApiError("missing_scope", needed=scope, provided=",".join(installation.scopes))


async def _read_arguments(request: web.Request, method: Method | None) -> tuple[Json, list[str]]:
    """Arguments as they came: in the address, in a form or as JSON. What is wrong about it comes back, too."""
    args: Json = dict(request.query)
    problems: list[str] = []
    if request.content_type == "application/json":
        try:
            body = await request.json()
        except ValueError:
            body = None
        if not isinstance(body, dict):
            return args, ["the body is no JSON object"]
        if method is not None and not method.json:
            return args, ["a JSON body is not read by this method"]
        return args | body, problems
    if request.can_read_body:
        args |= {name: str(value) for name, value in (await request.post()).items()}
    return from_form(args)


def _token_of(request: web.Request, args: Json) -> tuple[str, str]:
    """The token of a call, and where it was. It is no argument any more."""
    given = args.pop("token", "")
    header = request.headers.get("Authorization", "")
    if header.startswith("Bearer "):
        return header.removeprefix("Bearer "), "header"
    return given, "query" if "token" in request.query else "body"


def _wrong_arguments(method: Method, args: Json) -> list[str]:
    # Bolt's clients send team_id along with everything; Slack does not mind.
    known = {*method.required.split(), *method.optional.split(), "team_id"}
    unknown = [f"{name} is no argument" for name in args if name not in known]
    plain = {name: value for name, value in args.items() if name not in NESTED}
    odd = [f"{name}: {value!r}" for name, value in plain.items() if not isinstance(value, str | int | float)]
    return unknown + odd


def _page(messages: list[Json], args: Json, most: int) -> Json:
    """Some of the messages: those in the time asked for, as many as asked for, after the cursor."""
    oldest, latest = args.get("oldest", "0"), args.get("latest", "9999999999")
    inclusive = args.get("inclusive") in (True, "1", "true")
    chosen = [
        message
        for message in messages
        if float(oldest) < float(message["ts"]) < float(latest) or (inclusive and message["ts"] in (oldest, latest))
    ]
    start, limit = int(args.get("cursor") or 0), min(int(args.get("limit") or most), 999)
    has_more = len(chosen) > start + limit
    page: Json = {"messages": chosen[start : start + limit], "has_more": has_more}
    if has_more:
        page["response_metadata"] = {"next_cursor": str(start + limit)}
    return page


def _json_response(answer: Json, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(text=json.dumps(answer), status=status, headers=headers, content_type="application/json")


def _refusal(error: ApiError, headers: Mapping[str, str]) -> web.Response:
    if error.retry_after is not None:
        headers = {**headers, "Retry-After": str(error.retry_after)}
    if error.status >= 500:
        # The front servers answer this one, and they speak HTML.
        page = f"<html><body>{error.status}</body></html>"
        return web.Response(text=page, status=error.status, content_type="text/html")
    return _json_response({"ok": False, "error": error.error, **error.more}, error.status, headers)


def _cut(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    return sorted(value) if isinstance(value, set) else vars(value)


def _bytes_from_json(value: Json) -> Json | bytes:
    return base64.b64decode(value["base64"]) if value.keys() == {"base64"} else value


class SlackProcess:
    """The server in a process of its own, driven over HTTP."""

    def __init__(self, *options: str) -> None:
        self._options = options

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "tests.bot.slack_server", *self._options]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        assert self.url, "the Slack server did not start"
        self.base_url = f"{self.url}/api/"
        self._http = httpx.Client(base_url=f"{self.url}/_control/", timeout=60, trust_env=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()
        self.process.terminate()
        self.process.wait(10)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def control(self, name: str, **arguments: Any) -> Any:
        """Call a method of `SlackServer` by name."""
        return self._result(self._http.post(name, content=json.dumps(arguments, default=_plain)))

    def state(self, *parts: str) -> Json:
        return cast("Json", self._result(self._http.get("state", params={"parts": ",".join(parts)})))

    def _result(self, response: httpx.Response) -> Any:
        answer = response.json()
        assert answer["ok"], answer["description"]
        return answer["result"]


def main() -> None:
    """Run until a signal comes."""
    parser = argparse.ArgumentParser(description="A small Slack for tests.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--strict-rates", action="store_true", help="one message a second in a channel")
    parser.add_argument("--ack-timeout", type=float, default=3.0)
    parser.add_argument("--retries", type=float, nargs="*", default=[0.3, 0.3, 0.3], help="seconds before each")
    options = parser.parse_args()
    server = SlackServer(
        port=options.port,
        strict_rates=options.strict_rates,
        ack_timeout=options.ack_timeout,
        retries=options.retries,
    )
    # The socket listens already: whoever reads the line may connect.
    sys.stdout.write(f"{server.url}\n")
    sys.stdout.flush()
    server.run()


if __name__ == "__main__":
    main()
