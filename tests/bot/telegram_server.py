"""Telegram's Bot API over real sockets, as small as tests allow; `python -m tests.bot.telegram_server` runs it alone.

State changes before an answer is written, so that a message counts as sent whether or not the sender lives to hear it.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import email
import json
import re
import socket
import subprocess
import sys
import threading
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, cast
from urllib.parse import parse_qsl, urlsplit

import httpx
import uvicorn

from tests.bot.telegram_shapes import (
    METHODS,
    UNASKED_KINDS,
    UPDATE_KINDS,
    Json,
    problems_of,
    read_parameters,
    shown_text,
    words,
)
from tests.bot.telegram_world import BOT_ID, TOKEN, Chat, World, administrators, content_of, member, person

ROOT = Path(__file__).parents[2]
MOST_BYTES = 20 << 20
MOST_PHOTO_BYTES = 10 << 20
RECEIVE = Callable[[], Awaitable[Any]]
SEND = Callable[[Any], Awaitable[None]]
FaultKind = Literal[
    "400",
    "401",
    "403",
    "404",
    "409",
    "429",
    "500",
    "502",
    "cut_before",
    "cut_after",
    "cut_middle",
    "delay",
    "delay_after",
]
DESCRIPTIONS = {
    "400": "Bad Request: something is wrong",
    "401": "Unauthorized",
    "403": "Forbidden: bot was blocked by the user",
    "404": "Not Found",
    "409": "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running",
    "500": "Internal Server Error",
}
BAD_GATEWAY = (
    b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n"
    b"<hr><center>nginx/1.18.0</center>\r\n</body>\r\n</html>\r\n"
)
GIFTS = words("unlimited_gifts limited_gifts unique_gifts premium_subscription gifts_from_channels")
BUILDERS = words(
    "message text photo album document sticker animation video video_note voice location edited forward "
    "automatic_forward press migrate my_chat_member"
)
CONTROLS = words("push again fail heal configure chat topic add_file add_photo forget_records")
NOT_MODIFIED = (
    "Bad Request: message is not modified: specified new message content and reply markup are exactly the same as a "
    "current content and reply markup of the message"
)
WEBHOOK_IS_SET = (
    "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"
)


@dataclass
class Call:
    """A call as it came; `status` is None while it waits, 0 where its answer was never sent."""

    method: str
    parameters: Json
    at: float
    clock: float
    status: int | None = None
    fault: str = ""


@dataclass
class Sent:
    """A message that was accepted from the bot; the text of a photo is its caption, and `photo` its largest file."""

    chat_id: int
    message_id: int
    text: str
    parse_mode: str | None
    reply_parameters: Json | None
    message_thread_id: int | None
    reply_markup: Json | None
    at: float
    clock: float
    photo: str | None = None


@dataclass
class Reacted:
    """A reaction that the bot set, or took back where it is None."""

    chat_id: int
    message_id: int
    emoji: str | None
    at: float
    clock: float


@dataclass
class Violation:
    """Something in a call that the documentation does not allow."""

    method: str
    problem: str
    parameters: Json


@dataclass
class Pushed:
    """An update as it came into being, and the message it is about."""

    update_id: int
    chat_id: int
    message_id: int | None
    at: float
    clock: float


@dataclass
class Delivery:
    """An update that went out in a poll (status 200) or to the webhook (0 where nobody answered)."""

    update_id: int
    status: int
    at: float
    clock: float


@dataclass
class Fault:
    """What goes wrong with the next calls of a method."""

    method: str
    kind: FaultKind
    left: int | None
    when: Mapping[str, Any] | Callable[[Json], bool] | None
    retry_after: int
    description: str
    seconds: float
    hits: int = 0

    def takes(self, method: str, parameters: Json) -> bool:
        if self.method not in (method, "*") or self.left == 0:
            return False
        if self.when is None:
            return True
        if callable(self.when):
            return self.when(parameters)
        return all(parameters.get(name) == value for name, value in self.when.items())


@dataclass
class Webhook:
    """Where updates go. The updates of one chat wait in line for each other."""

    url: str
    secret: str
    most: int
    client: httpx.AsyncClient
    gate: asyncio.Semaphore
    last_error: tuple[int, str] | None = None
    lines: dict[int, deque[int]] = field(default_factory=dict)
    queued: set[int] = field(default_factory=set)


class ApiError(Exception):
    """An answer that is not ok."""

    def __init__(self, code: int, description: str, fault: str = "", **parameters: int) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.fault = fault
        self.parameters = parameters


class Upload(str):
    """A file in a form: a String among the parameters, and its bytes."""

    content: bytes

    def __new__(cls, content: bytes) -> Self:
        upload = super().__new__(cls, "a file")
        upload.content = content
        return upload


class _Cut(Exception):
    """The connection ends here."""


class Bucket:
    """Lets a burst through and then a steady rate."""

    def __init__(self, burst: float, per_second: float) -> None:
        self.burst, self.per_second = burst, per_second
        self.tokens, self.at = burst, time.monotonic()

    def wait(self) -> float:
        """Seconds until one more is allowed."""
        now = time.monotonic()
        self.tokens = min(self.burst, self.tokens + (now - self.at) * self.per_second)
        self.at = now
        return max(0.0, (1 - self.tokens) / self.per_second)


class TelegramServer(World):
    """The server, to be used as a context manager; it runs in a thread of its own."""

    def __init__(
        self,
        *,
        port: int = 0,
        token: str = TOKEN,
        bot_username: str = "face2emoji_test_bot",
        can_read_all_group_messages: bool = False,
        allow_http_webhook: bool = False,
        limits: bool = False,
    ) -> None:
        super().__init__(bot_username, can_read_all_group_messages)
        self.token = token
        self.allow_http_webhook = allow_http_webhook
        self.limits = limits
        self.reroute = ""
        self._methods = {
            name: getattr(self, "_" + re.sub("([A-Z])", r"_\1", name).lower())
            for name in METHODS
            if name != "getUpdates"
        }
        self._faults: list[Fault] = []
        self._updates: dict[int, bytes] = {}
        self._pending: dict[int, None] = {}
        self._own: set[tuple[int, int]] = set()
        self._places: dict[int, int] = {}
        self._again: list[int] = []
        self._next_update = 700_000_001
        self._allowed = UPDATE_KINDS - UNASKED_KINDS
        self._webhook: Webhook | None = None
        self._poll: asyncio.Future[ApiError | None] | None = None
        self._chat_buckets: dict[int, Bucket] = defaultdict(lambda: Bucket(3, 1))
        self._group_buckets: dict[int, Bucket] = defaultdict(lambda: Bucket(20, 20 / 60))
        self._bucket = Bucket(30, 30)
        self._workers: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        # The protocol is named because asyncio spares only such sockets Nagle's 40 ms between header and body.
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", port))
        self._socket.listen(512)
        self.port: int = self._socket.getsockname()[1]
        self._server = uvicorn.Server(
            uvicorn.Config(
                self._app,
                loop="asyncio",
                http="h11",
                ws="none",
                interface="asgi3",
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                # Longer than any test, so that no idle connection ends just as it is used again.
                timeout_keep_alive=600,
                timeout_graceful_shutdown=1,
            )
        )
        self._thread = threading.Thread(target=self.run, name="telegram")
        self.descriptions: dict[str, str] = {}
        self.commands: dict[tuple[str, str], list[Json]] = {}
        self.forget_records()

    def forget_records(self) -> None:
        """Start counting anew; chats, files, messages and updates stay."""
        with self.lock:
            self.calls: list[Call] = []
            self.sent: list[Sent] = []
            self.reactions: dict[tuple[int, int], str] = {}
            self.reaction_log: list[Reacted] = []
            self.violations: list[Violation] = []
            self.pushed: list[Pushed] = []
            self.deliveries: list[Delivery] = []
            self.confirmed: list[int] = []
            self.unwanted: list[int] = []
            self.answered_queries: list[Json] = []
            self.downloads = 0

    # Running

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        """What python-telegram-bot calls so; the token follows it."""
        return f"{self.url}/bot"

    @property
    def base_file_url(self) -> str:
        return f"{self.url}/file/bot"

    def run(self) -> None:
        """Serve until `stop`."""
        asyncio.run(self._serve())

    def stop(self) -> None:
        self._server.should_exit = True
        self._soon(self._release)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        await self._server.serve(sockets=[self._socket])
        if self._webhook is not None:
            await self._webhook.client.aclose()

    def _release(self) -> None:
        if self._poll is not None and not self._poll.done():
            self._poll.set_result(None)

    def __enter__(self) -> Self:
        self._thread.start()
        end = time.monotonic() + 10
        while not self._server.started:
            assert time.monotonic() < end, "the Telegram server did not start"
            time.sleep(0.005)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._thread.join(10)
        assert not self._thread.is_alive(), "the Telegram server did not stop"

    def _soon(self, call: Callable[[], object]) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(call)

    # Controls

    def push(self, update: Json) -> int:
        """Give an update to the bot; its id comes back."""
        with self.lock:
            update_id = self._next_update
            self._next_update += 1
            kind = next(iter(UPDATE_KINDS & update.keys()))
            if kind not in self._allowed:
                self.unwanted.append(update_id)
                return update_id
            about = update[kind].get("message", update[kind])
            place, number = about["chat"]["id"], about.get("message_id")
            self.pushed.append(Pushed(update_id, place, number, time.time(), time.monotonic()))
            self._updates[update_id] = json.dumps({"update_id": update_id, **update}).encode()
            self._places[update_id] = place
            self._pending[update_id] = None
        self._soon(self._wake)
        return update_id

    def again(self, update_id: int) -> None:
        """Deliver an update once more, confirmed or not."""
        with self.lock:
            self._again.append(update_id)
        self._soon(self._wake)

    def fail(
        self,
        method: str,
        times: int | None = 1,
        kind: FaultKind = "500",
        when: Mapping[str, Any] | Callable[[Json], bool] | None = None,
        *,
        retry_after: int = 1,
        description: str = "",
        seconds: float = 0.0,
    ) -> Fault:
        """Let the next calls go wrong. The method may be "download", or "*" for all; no times means until `heal`."""
        fault = Fault(method, kind, times, when, retry_after, description, seconds)
        with self.lock:
            self._faults.append(fault)
        return fault

    def heal(self, method: str | None = None) -> None:
        """Take back the faults of a method, or all."""
        with self.lock:
            self._faults = [fault for fault in self._faults if method is not None and fault.method != method]

    def configure(
        self,
        *,
        can_read_all_group_messages: bool | None = None,
        limits: bool | None = None,
        reroute: str | None = None,
    ) -> None:
        """Change the bot's privacy mode, as BotFather does; enforce Telegram's rate limits; or say where the host of
        every webhook really is, such as `http://127.0.0.1:8000`: a proxy in front of the bot ends its https.
        """
        if can_read_all_group_messages is not None:
            self.can_read_all_group_messages = can_read_all_group_messages
        if limits is not None:
            self.limits = limits
        if reroute is not None:
            self.reroute = reroute

    def state(self, *parts: str) -> Json:
        """All records as JSON has them, or those named."""
        with self.lock:
            hook = self._webhook
            everything: dict[str, Callable[[], Any]] = {
                "calls": lambda: self.calls,
                "sent": lambda: self.sent,
                "reactions": lambda: [
                    {"chat_id": chat, "message_id": number, "emoji": emoji}
                    for (chat, number), emoji in self.reactions.items()
                ],
                "reaction_log": lambda: self.reaction_log,
                "violations": lambda: self.violations,
                "pushed": lambda: self.pushed,
                "deliveries": lambda: self.deliveries,
                "pending": lambda: list(self._pending),
                "confirmed": lambda: self.confirmed,
                "unwanted": lambda: self.unwanted,
                "answered_queries": lambda: self.answered_queries,
                "downloads": lambda: self.downloads,
                "messages": lambda: list(self.messages.values()),
                "webhook": lambda: None if hook is None else hook.url,
                "commands": lambda: [
                    {"scope": json.loads(scope), "language_code": language, "commands": commands}
                    for (scope, language), commands in self.commands.items()
                ],
                "descriptions": lambda: self.descriptions,
            }
            chosen = {name: everything[name]() for name in parts or everything}
            return cast("Json", json.loads(json.dumps(chosen, default=vars)))

    @property
    def pending(self) -> list[int]:
        """Updates that the bot has not confirmed."""
        with self.lock:
            return list(self._pending)

    @property
    def webhook(self) -> str | None:
        return None if self._webhook is None else self._webhook.url

    def calls_of(self, *methods: str) -> list[Call]:
        with self.lock:
            return [call for call in self.calls if call.method in methods]

    # HTTP

    async def _app(self, scope: Json, receive: RECEIVE, send: SEND) -> None:
        body = b""
        while True:
            event = await receive()
            if event["type"] == "http.disconnect":
                # Half a request is none.
                return
            body += event.get("body", b"")
            if not event.get("more_body"):
                break
        path: str = scope["path"]
        try:
            if path.startswith("/bot"):
                token, _, method = path[4:].partition("/")
                status, payload = await self._call(token, method, scope, body, receive)
                kind = b"text/html" if payload is BAD_GATEWAY else b"application/json"
                await _respond(send, status, payload, kind)
            elif path.startswith("/file/bot"):
                token, _, file_path = path[9:].partition("/")
                await self._download(token, file_path, send)
            elif path.startswith("/_control/"):
                status, payload = self._control(path[10:], scope["query_string"].decode(), body)
                await _respond(send, status, payload, b"application/json")
            else:
                await _respond(send, 404, b"", b"text/plain")
        except _Cut:
            # ASGI knows no way to end a connection, so take the one that uvicorn's bound method leads to.
            cast("Any", send).__self__.transport.close()
            while (await receive())["type"] != "http.disconnect":
                pass

    async def _call(self, token: str, method: str, scope: Json, body: bytes, receive: RECEIVE) -> tuple[int, bytes]:
        if token != self.token:
            return _error(ApiError(401, "Unauthorized"))
        if method not in METHODS:
            return _error(ApiError(404, "Not Found"))
        try:
            parameters = read_parameters(method, _raw_parameters(scope, body))
        except ValueError:
            return _error(ApiError(400, "Bad Request: can't parse the request"))
        call = Call(method, parameters, time.time(), time.monotonic())
        with self.lock:
            self.calls.append(call)
            problems = problems_of(method, parameters)
            self.violations += [Violation(method, str(problem), parameters) for problem in problems]
        fault: Fault | None = None
        try:
            if problems:
                raise ApiError(400, f"Bad Request: {problems[0].answer or problems[0]}")
            fault = await self._before(method, parameters)
            if method == "getUpdates":
                payload = await self._get_updates(parameters, receive)
            else:
                with self.lock:
                    result = self._methods[method](parameters)
                    call.status = 200
                payload = b'{"ok":true,"result":%b}' % json.dumps(result).encode()
            call.status = 200
            if fault is not None:
                call.fault = fault.kind
                await self._after(fault)
            return 200, payload
        except ApiError as error:
            call.status = error.code
            call.fault = fault.kind if fault else error.fault
            return _error(error)
        except _Cut as cut:
            call.status = 0
            call.fault = str(cut)
            raise

    def _take_fault(self, method: str, parameters: Json) -> Fault | None:
        with self.lock:
            fault = next((fault for fault in self._faults if fault.takes(method, parameters)), None)
            if fault is not None:
                fault.hits += 1
                fault.left = None if fault.left is None else fault.left - 1
            return fault

    async def _before(self, method: str, parameters: Json) -> Fault | None:
        """Let go wrong what goes wrong before a call is handled; the fault comes back."""
        fault = self._take_fault(method, parameters)
        if fault is None:
            return None
        if fault.kind == "delay":
            await asyncio.sleep(fault.seconds)
        elif fault.kind == "cut_before":
            raise _Cut(fault.kind)
        elif fault.kind == "429":
            raise _too_many(fault.retry_after, fault.kind)
        elif fault.kind.isdecimal():
            raise ApiError(int(fault.kind), fault.description or DESCRIPTIONS.get(fault.kind, ""), fault.kind)
        return fault

    async def _after(self, fault: Fault) -> None:
        if fault.kind == "delay_after":
            await asyncio.sleep(fault.seconds)
        elif fault.kind == "cut_after":
            raise _Cut(fault.kind)

    async def _download(self, token: str, path: str, send: SEND) -> None:
        stored = self.paths.get(path)
        try:
            if token != self.token:
                raise ApiError(401, "Unauthorized")
            if stored is None:
                raise ApiError(404, "Not Found")
            fault = await self._before("download", {"path": path, "file_id": stored.file_id})
        except ApiError as error:
            status, payload = _error(error)
            await _respond(send, status, payload, b"text/html" if payload is BAD_GATEWAY else b"application/json")
            return
        with self.lock:
            self.downloads += 1
        if fault is not None and fault.kind == "cut_middle":
            half = stored.data[: len(stored.data) // 2]
            await _respond(send, 200, half, b"application/octet-stream", len(stored.data))
            raise _Cut(fault.kind)
        if fault is not None:
            await self._after(fault)
        await _respond(send, 200, stored.data, b"application/octet-stream")

    def _control(self, name: str, query: str, body: bytes) -> tuple[int, bytes]:
        try:
            if name == "state":
                result: Any = self.state(*filter(None, dict(parse_qsl(query)).get("parts", "").split(",")))
            else:
                arguments = json.loads(body or b"{}", object_hook=_bytes_from_json)
                pushed = arguments.pop("push", False)
                if name not in CONTROLS and name not in BUILDERS:
                    raise ValueError(f"there is no control {name}")
                result = getattr(self, name)(**arguments)
                if pushed:
                    updates = result if isinstance(result, list) else [result]
                    result = [{"update_id": self.push(update), **update} for update in updates]
            return 200, json.dumps({"ok": True, "result": result}, default=vars).encode()
        except (ValueError, TypeError, KeyError) as error:
            return 400, json.dumps({"ok": False, "description": repr(error)}).encode()

    # Updates

    def _wake(self) -> None:
        if self._webhook is not None:
            self._dispatch(self._webhook)
        elif self._poll is not None and not self._poll.done():
            self._poll.set_result(None)

    async def _get_updates(self, parameters: Json, receive: RECEIVE) -> bytes:
        loop = asyncio.get_running_loop()
        if self._webhook is not None:
            raise ApiError(409, WEBHOOK_IS_SET)
        self._allow(parameters)
        self._end_poll(DESCRIPTIONS["409"])
        self._confirm(parameters.get("offset", 0))
        end = loop.time() + min(50, parameters.get("timeout", 0))
        while not (batch := self._batch(parameters.get("limit", 100))) and loop.time() < end:
            if self._server.should_exit:
                break
            poll = self._poll = loop.create_future()
            # The body is here, so all that can still be received is the end of the connection.
            gone = asyncio.ensure_future(receive())
            await asyncio.wait((poll, gone), timeout=end - loop.time(), return_when=asyncio.FIRST_COMPLETED)
            if self._poll is poll:
                self._poll = None
            if gone.done():
                raise _Cut("gone")
            gone.cancel()
            if poll.done() and (error := poll.result()) is not None:
                raise error
        return b'{"ok":true,"result":[%b]}' % b",".join(batch)

    def _end_poll(self, why: str) -> None:
        if self._poll is not None and not self._poll.done():
            self._poll.set_result(ApiError(409, why))

    def _allow(self, parameters: Json) -> None:
        if "allowed_updates" in parameters:
            self._allowed = frozenset(parameters["allowed_updates"]) or UPDATE_KINDS - UNASKED_KINDS

    def _confirm(self, offset: int) -> None:
        """Forget updates before an offset; a negative one counts from the end."""
        with self.lock:
            ids = list(self._pending)
            gone = [known for known in ids if known < offset] if offset >= 0 else ids[:offset]
            for update_id in gone:
                del self._pending[update_id]
            self.confirmed += gone

    def _batch(self, most: int) -> list[bytes]:
        with self.lock:
            ids = [*self._again, *self._pending][:most]
            self._again = self._again[most:]
            now, clock = time.time(), time.monotonic()
            self.deliveries += [Delivery(update_id, 200, now, clock) for update_id in ids]
            return [self._updates[update_id] for update_id in ids]

    def _dispatch(self, hook: Webhook) -> None:
        """Put what is new in line for the webhook."""
        with self.lock:
            again, self._again = self._again, []
            fresh = [update_id for update_id in self._pending if update_id not in hook.queued]
            for update_id in [*again, *fresh]:
                hook.queued.add(update_id)
                place = self._places[update_id]
                if place in hook.lines:
                    hook.lines[place].append(update_id)
                    continue
                hook.lines[place] = deque([update_id])
                worker = asyncio.get_running_loop().create_task(self._work(hook, place))
                self._workers.add(worker)
                worker.add_done_callback(self._workers.discard)

    async def _work(self, hook: Webhook, place: int) -> None:
        """Deliver what one chat has in line, each until it is taken."""
        line = hook.lines[place]
        while line:
            wait = 0.05
            while self._webhook is hook and not await self._deliver(hook, line[0]):
                await asyncio.sleep(wait)
                wait = min(1.0, wait * 2)
            if self._webhook is not hook:
                return
            with self.lock:
                update_id = line.popleft()
                hook.queued.discard(update_id)
                if update_id in self._pending:
                    del self._pending[update_id]
                    self.confirmed.append(update_id)
        del hook.lines[place]

    async def _deliver(self, hook: Webhook, update_id: int) -> bool:
        address = urlsplit(hook.url)
        # A proxy passes on the host that it was asked for.
        headers = {"content-type": "application/json", "host": address.netloc}
        if hook.secret:
            headers["X-Telegram-Bot-Api-Secret-Token"] = hook.secret
        if self.reroute:
            address = urlsplit(self.reroute)._replace(path=address.path, query=address.query)
        async with hook.gate:
            try:
                answer = await hook.client.post(address.geturl(), content=self._updates[update_id], headers=headers)
                status = answer.status_code
                error = f"Wrong response from the webhook: {status} {answer.reason_phrase}"
            except httpx.HTTPError:
                status, error = 0, "Webhook connection closed"
        taken = 200 <= status < 300
        with self.lock:
            self.deliveries.append(Delivery(update_id, status, time.time(), time.monotonic()))
            if not taken:
                hook.last_error = (int(time.time()), error)
        return taken

    def _set_webhook(self, parameters: Json) -> bool:
        url = parameters["url"]
        parts = urlsplit(url)
        if url and not self.allow_http_webhook and parts.scheme != "https":
            self.violations.append(Violation("setWebhook", "setWebhook.url: needs https", parameters))
            raise ApiError(400, "Bad Request: bad webhook: An HTTPS URL must be provided for webhook")
        if url and not self.allow_http_webhook and (parts.port or 443) not in (80, 88, 443, 8443):
            self.violations.append(Violation("setWebhook", "setWebhook.url: wrong port", parameters))
            raise ApiError(400, "Bad Request: bad webhook: Webhook can be set up only on ports 80, 88, 443 or 8443")
        self._allow(parameters)
        self._end_poll("Conflict: terminated by setWebhook request")
        if parameters.get("drop_pending_updates"):
            self._pending.clear()
        if self._webhook is not None:
            closing = asyncio.get_running_loop().create_task(self._webhook.client.aclose())
            self._workers.add(closing)
            closing.add_done_callback(self._workers.discard)
        self._webhook = None
        if url:
            most = parameters.get("max_connections", 40)
            # Straight to the bot, whatever proxies the machine names; a test's own certificate is good enough.
            client = httpx.AsyncClient(verify=False, trust_env=False, timeout=10)
            self._webhook = Webhook(url, parameters.get("secret_token", ""), most, client, asyncio.Semaphore(most))
            self._dispatch(self._webhook)
        return True

    def _delete_webhook(self, parameters: Json) -> bool:
        return self._set_webhook({"url": "", **parameters})

    def _get_webhook_info(self, parameters: Json) -> Json:
        hook = self._webhook
        info: Json = {
            "url": "" if hook is None else hook.url,
            "has_custom_certificate": False,
            "pending_update_count": len(self._pending),
        }
        if hook is not None:
            info |= {"max_connections": hook.most, "ip_address": "127.0.0.1"}
            if hook.last_error is not None:
                info |= {"last_error_date": hook.last_error[0], "last_error_message": hook.last_error[1]}
        if self._allowed != UPDATE_KINDS - UNASKED_KINDS:
            info["allowed_updates"] = sorted(self._allowed)
        return info

    # The bot itself

    def _get_me(self, parameters: Json) -> Json:
        return {
            **self.bot,
            "can_join_groups": True,
            "can_read_all_group_messages": self.can_read_all_group_messages,
            "supports_inline_queries": False,
            "can_connect_to_business": False,
            "has_main_web_app": False,
        }

    def _set_my_commands(self, parameters: Json) -> bool:
        self.commands[_scope_of(parameters)] = parameters["commands"]
        return True

    def _get_my_commands(self, parameters: Json) -> list[Json]:
        return self.commands.get(_scope_of(parameters), [])

    def _set_my_description(self, parameters: Json) -> bool:
        self.descriptions[f"description:{parameters.get('language_code', '')}"] = parameters.get("description", "")
        return True

    def _set_my_short_description(self, parameters: Json) -> bool:
        name = f"short_description:{parameters.get('language_code', '')}"
        self.descriptions[name] = parameters.get("short_description", "")
        return True

    def _get_file(self, parameters: Json) -> Json:
        stored = self.files.get(parameters["file_id"])
        if stored is None:
            raise ApiError(400, "Bad Request: wrong file_id or the file is temporarily unavailable")
        if stored.size > MOST_BYTES:
            raise ApiError(400, "Bad Request: file is too big")
        return {
            "file_id": stored.file_id,
            "file_unique_id": stored.file_unique_id,
            "file_size": stored.size,
            "file_path": stored.path,
        }

    # Chats

    def _place(self, chat_id: int | str) -> Chat:
        """A chat that the bot may speak in."""
        chat = self._known_chat(chat_id)
        status = chat.members.get(BOT_ID, {}).get("status")
        if status == "kicked":
            who = (
                "bot was blocked by the user" if chat.type == "private" else f"bot was kicked from the {chat.type} chat"
            )
            raise ApiError(403, f"Forbidden: {who}")
        if status == "left":
            raise ApiError(403, f"Forbidden: bot is not a member of the {chat.type} chat")
        return chat

    def _known_chat(self, chat_id: int | str) -> Chat:
        if isinstance(chat_id, str):
            known = (chat for chat in self.chats.values() if chat.username and f"@{chat.username}" == chat_id)
            chat = next(known, None)
        else:
            chat = self.chats.get(chat_id)
        if chat is None:
            raise ApiError(400, "Bad Request: chat not found")
        if chat.migrated_to is not None:
            raise ApiError(
                400,
                "Bad Request: group chat was upgraded to a supergroup chat",
                migrate_to_chat_id=chat.migrated_to,
            )
        return chat

    def _message(self, chat: Chat, message_id: int, action: str) -> Json:
        message = self.messages.get((chat.id, message_id))
        if message is None:
            raise ApiError(400, f"Bad Request: message to {action} not found")
        return message

    def _get_chat(self, parameters: Json) -> Json:
        chat = self._known_chat(parameters["chat_id"])
        full = chat.shape() | {
            "accent_color_id": 5,
            "max_reaction_count": 11,
            "accepted_gift_types": dict.fromkeys(GIFTS, True),
        }
        if chat.username:
            full["active_usernames"] = [chat.username]
        if chat.available_reactions is not None:
            full["available_reactions"] = [{"type": "emoji", "emoji": emoji} for emoji in chat.available_reactions]
        return full

    def _member(self, chat: Chat, user_id: int) -> Json:
        held = chat.members.get(user_id, {"status": "member"} if user_id == BOT_ID else None)
        if held is None:
            raise ApiError(400, "Bad Request: member not found")
        return member(self.users.get(user_id) or person(user_id), held)

    def _get_chat_member(self, parameters: Json) -> Json:
        return self._member(self._place(parameters["chat_id"]), parameters["user_id"])

    def _get_chat_administrators(self, parameters: Json) -> list[Json]:
        chat = self._place(parameters["chat_id"])
        if chat.type == "private":
            raise ApiError(400, "Bad Request: there are no administrators in the private chat")
        found = [self._member(chat, user_id) for user_id, _ in administrators(chat)]
        # Of bots only this one is named, unless the others are asked for.
        return [
            shape
            for shape in found
            if parameters.get("return_bots") or shape["user"]["id"] == BOT_ID or not shape["user"]["is_bot"]
        ]

    def _leave_chat(self, parameters: Json) -> bool:
        chat = self._place(parameters["chat_id"])
        if chat.type == "private":
            raise ApiError(400, "Bad Request: chat member status can't be changed in private chats")
        chat.members[BOT_ID] = {"status": "left"}
        return True

    # Messages

    def _send_message(self, parameters: Json) -> Json:
        content = {"text": shown_text(parameters["text"], parameters.get("parse_mode"))[0]}
        return self._send(parameters, content, "entities", parameters["text"])

    def _send_photo(self, parameters: Json) -> Json:
        """Of an upload it knows what Telegram documents: up to 10 MB, sides of up to 10,000 in all and 20:1."""
        if not self._place(parameters["chat_id"]).members.get(BOT_ID, {}).get("can_send_photos", True):
            raise ApiError(400, "Bad Request: not enough rights to send photos to the chat")
        photo, caption = parameters["photo"], parameters.get("caption", "")
        if not isinstance(photo, Upload):
            raise ApiError(400, "Bad Request: wrong file identifier/HTTP URL specified")
        if len(photo.content) > MOST_PHOTO_BYTES:
            raise ApiError(413, "Request Entity Too Large")
        sizes = self.add_photo(photo.content)
        short, long = sorted((sizes[-1]["width"], sizes[-1]["height"]))
        if short + long > 10_000 or long > 20 * short:
            raise ApiError(400, "Bad Request: PHOTO_INVALID_DIMENSIONS")
        content: Json = {"photo": sizes}
        if caption:
            content["caption"] = shown_text(caption, parameters.get("parse_mode"))[0]
        return self._send(parameters, content, "caption_entities", caption, sizes[-1]["file_id"])

    def _send(self, parameters: Json, content: Json, entities: str, text: str, photo: str | None = None) -> Json:
        chat = self._place(parameters["chat_id"])
        thread = parameters.get("message_thread_id")
        if thread is not None and not self._has_thread(chat, thread):
            raise ApiError(400, "Bad Request: message thread not found")
        reply = parameters.get("reply_parameters")
        replied = None
        if reply is not None:
            other = self._known_chat(reply.get("chat_id", chat.id))
            replied = self.messages.get((other.id, reply["message_id"]))
            if replied is None and not reply.get("allow_sending_without_reply"):
                raise ApiError(400, "Bad Request: message to be replied not found")
        self._count_against_limits(chat)
        update = self.message(chat.id, self.bot)
        message = content_of(update)
        message |= content
        if thread is not None:
            message["message_thread_id"] = thread
            if chat.is_forum:
                message["is_topic_message"] = True
        if replied is not None:
            message["reply_to_message"] = {key: value for key, value in replied.items() if key != "reply_to_message"}
        if entities in parameters:
            message[entities] = parameters[entities]
        if "inline_keyboard" in parameters.get("reply_markup", {}):
            message["reply_markup"] = parameters["reply_markup"]
        self._own.add((chat.id, message["message_id"]))
        self.sent.append(
            Sent(
                chat.id,
                message["message_id"],
                text,
                parameters.get("parse_mode"),
                reply,
                thread,
                parameters.get("reply_markup"),
                time.time(),
                time.monotonic(),
                photo,
            )
        )
        return message

    def _has_thread(self, chat: Chat, thread: int) -> bool:
        return thread in chat.topics or any(
            message.get("message_thread_id") == thread
            for (chat_id, _), message in self.messages.items()
            if chat_id == chat.id
        )

    def _count_against_limits(self, chat: Chat) -> None:
        if not self.limits:
            return
        buckets = [self._bucket, self._chat_buckets[chat.id]]
        if chat.type in ("group", "supergroup"):
            buckets.append(self._group_buckets[chat.id])
        if (wait := max(bucket.wait() for bucket in buckets)) > 0:
            raise _too_many(ceil(wait))
        for bucket in buckets:
            bucket.tokens -= 1

    def _send_chat_action(self, parameters: Json) -> bool:
        chat = self._place(parameters["chat_id"])
        thread = parameters.get("message_thread_id")
        if thread is not None and not self._has_thread(chat, thread):
            raise ApiError(400, "Bad Request: message thread not found")
        return True

    def _set_message_reaction(self, parameters: Json) -> bool:
        chat = self._place(parameters["chat_id"])
        message = self._message(chat, parameters["message_id"], "react")
        emoji: str | None = None
        for reaction in parameters.get("reaction", []):
            # Custom emoji need a right that these chats never give.
            emoji = reaction.get("emoji")
            if emoji is None or (chat.available_reactions is not None and emoji not in chat.available_reactions):
                raise ApiError(400, "Bad Request: REACTION_INVALID")
        target = chat.id, self._reaction_holder(chat, message)
        if emoji is None:
            self.reactions.pop(target, None)
        else:
            self.reactions[target] = emoji
        self.reaction_log.append(Reacted(*target, emoji, time.time(), time.monotonic()))
        return True

    def _reaction_holder(self, chat: Chat, message: Json) -> int:
        """The first photo of an album carries the reactions to all of it."""
        album = message.get("media_group_id")
        if album is None:
            return int(message["message_id"])
        return min(
            number
            for (chat_id, number), other in self.messages.items()
            if chat_id == chat.id and other.get("media_group_id") == album
        )

    def _answer_callback_query(self, parameters: Json) -> bool:
        query = parameters["callback_query_id"]
        if query not in self.open_queries:
            raise ApiError(400, "Bad Request: query is too old and response timeout expired or query ID is invalid")
        self.open_queries.discard(query)
        self.answered_queries.append(parameters)
        return True

    def _edit_message_reply_markup(self, parameters: Json) -> Json:
        return self._edit(parameters, {})

    def _edit_message_text(self, parameters: Json) -> Json:
        text = shown_text(parameters["text"], parameters.get("parse_mode"))[0]
        return self._edit(parameters, {"text": text})

    def _edit(self, parameters: Json, changes: Json) -> Json:
        if "inline_message_id" in parameters:
            raise ApiError(400, "Bad Request: message to edit not found")
        chat = self._place(parameters["chat_id"])
        message = self._message(chat, parameters["message_id"], "edit")
        if (chat.id, message["message_id"]) not in self._own:
            raise ApiError(400, "Bad Request: message can't be edited")
        edited = {name: value for name, value in message.items() if name != "reply_markup"} | changes
        # A keyboard that is not given, or is empty, goes away.
        if parameters.get("reply_markup", {}).get("inline_keyboard"):
            edited["reply_markup"] = parameters["reply_markup"]
        if edited == message:
            raise ApiError(400, NOT_MODIFIED)
        edited["edit_date"] = int(time.time())
        self.messages[chat.id, message["message_id"]] = edited
        return edited

    def _delete_message(self, parameters: Json) -> bool:
        chat = self._place(parameters["chat_id"])
        message = self._message(chat, parameters["message_id"], "delete")
        rights = self._member(chat, BOT_ID)["status"] == "administrator" or chat.type == "private"
        if not rights and (chat.id, message["message_id"]) not in self._own:
            raise ApiError(400, "Bad Request: message can't be deleted for everyone")
        del self.messages[chat.id, message["message_id"]]
        return True


def _scope_of(parameters: Json) -> tuple[str, str]:
    scope = parameters.get("scope", {"type": "default"})
    return json.dumps(scope, sort_keys=True), parameters.get("language_code", "")


def _too_many(seconds: int, fault: str = "") -> ApiError:
    return ApiError(429, f"Too Many Requests: retry after {seconds}", fault, retry_after=seconds)


def _error(error: ApiError) -> tuple[int, bytes]:
    if error.code == 502:
        # The front servers answer this one, and they speak HTML.
        return 502, BAD_GATEWAY
    answer: Json = {"ok": False, "error_code": error.code, "description": error.description}
    if error.parameters:
        answer["parameters"] = error.parameters
    return error.code, json.dumps(answer).encode()


async def _respond(send: SEND, status: int, payload: bytes, kind: bytes, length: int | None = None) -> None:
    """Answer; a length beyond that of the payload leaves the answer open."""
    size = len(payload) if length is None else length
    headers = [(b"content-type", kind), (b"content-length", b"%d" % size)]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": payload, "more_body": size > len(payload)})


def _raw_parameters(scope: Json, body: bytes) -> Json:
    """Parameters as they came: in the address, a form, a form with files, or JSON."""
    raw: Json = dict(parse_qsl(scope["query_string"].decode(), keep_blank_values=True))
    kind = next((value for name, value in scope["headers"] if name == b"content-type"), b"")
    if kind.startswith(b"application/json"):
        raw |= json.loads(body)
    elif kind.startswith(b"multipart/form-data"):
        for part in cast(
            "Iterable[Any]", email.message_from_bytes(b"Content-Type: %b\r\n\r\n%b" % (kind, body)).walk()
        ):
            if name := part.get_param("name", header="content-disposition"):
                content = part.get_payload(decode=True)
                raw[name] = Upload(content) if part.get_filename() else content.decode()
    else:
        raw |= parse_qsl(body.decode(), keep_blank_values=True)
    return raw


def _bytes_from_json(value: Json) -> Json | bytes:
    return base64.b64decode(value["base64"]) if value.keys() == {"base64"} else value


def _bytes_to_json(value: bytes) -> Json:
    return {"base64": base64.b64encode(value).decode()}


class TelegramProcess:
    """The server in a process of its own, driven over HTTP."""

    def __init__(self, *options: str) -> None:
        self._options = options

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "tests.bot.telegram_server", "--port", "0", *self._options]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        assert self.url, "the Telegram server did not start"
        self.base_url, self.base_file_url = f"{self.url}/bot", f"{self.url}/file/bot"
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
        """Call a method of `TelegramServer` by name; `push=True` pushes what a builder made."""
        content = json.dumps(arguments, default=_bytes_to_json)
        return self._result(self._http.post(name, content=content))

    def state(self, *parts: str) -> Json:
        return cast("Json", self._result(self._http.get("state", params={"parts": ",".join(parts)})))

    def _result(self, response: httpx.Response) -> Any:
        answer = response.json()
        assert answer["ok"], answer["description"]
        return answer["result"]


def main() -> None:
    """Run until a signal comes."""
    parser = argparse.ArgumentParser(description="A small Telegram Bot API for tests.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--token", default=TOKEN)
    parser.add_argument("--limits", action="store_true", help="answer 429 beyond Telegram's rates")
    parser.add_argument("--read-all", action="store_true", help="the bot sees all messages of groups")
    parser.add_argument("--allow-http-webhook", action="store_true")
    options = parser.parse_args()
    server = TelegramServer(
        port=options.port,
        token=options.token,
        limits=options.limits,
        can_read_all_group_messages=options.read_all,
        allow_http_webhook=options.allow_http_webhook,
    )
    # The socket listens already: whoever reads the line may connect.
    sys.stdout.write(f"{server.url}\n")
    sys.stdout.flush()
    server.run()


if __name__ == "__main__":
    main()
