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
from typing import Any, Literal, Self, cast
from urllib.parse import urlencode

import aiohttp
import httpx
from aiohttp import WSMsgType, web
from PIL import Image

from tests.bot.slack_world import (
    ADA,
    APP,
    EVE,
    GENERAL,
    METHODS,
    OTHER_TEAM,
    PLURAL,
    SCOPES,
    TEAM,
    App,
    Channel,
    Installation,
    Json,
    Method,
    World,
    find_elements,
    from_form,
    is_emoji,
    problems_of_blocks,
    problems_of_view,
    stub,
    words,
)

ROOT = Path(__file__).parents[2]
DeliveryKind = Literal["events_api", "slash_commands", "interactive"]
Cut = Literal["", "before", "after"]
TRIGGER_SECONDS, RESPONSE_URL_USES, MOST_EMOJI = 3.0, 5, 23
SIGN_IN_PAGE = "<!DOCTYPE html><html><head><title>Sign in | Slack</title></head><body>Sign in to Slack</body></html>"
CONTROLS = words(
    "again app channel command configure deafen delete disconnect dm drop edit event expire_tokens fail file "
    "forget_records heal install joined mention open_home person photo press react shortcut submit_view team text "
    "tokens_revoked uninstall verify_url"
)
RECORDS = words("acks calls deliveries downloads edited failed pending reactions responses sent views violations")


@dataclass
class Call:
    """A call of the Web API; `error` is what it was told, and `status` is None while it waits and 0 where cut."""

    method: str
    args: Json
    team: str
    at: float
    clock: float
    status: int | None = None
    error: str = ""


@dataclass
class Sent:
    """A message taken from a bot, by `via`: a method of the Web API, "response_url" or "ack"."""

    channel: str
    ts: str
    text: str
    blocks: list[Json]
    thread_ts: str | None
    ephemeral_to: str | None
    app: str
    via: str
    at: float
    clock: float


@dataclass
class Reacted:
    """A reaction taken from a bot."""

    channel: str
    ts: str
    name: str
    app: str
    at: float
    clock: float


@dataclass
class Viewed:
    """A view that a bot opened, updated or published, as Slack keeps it."""

    id: str
    user: str
    app: str
    method: str
    view: Json
    at: float
    clock: float


@dataclass
class Download:
    """A file that was asked for; `foreign` is another host, where `with_token` ought to be False."""

    file: str
    rendition: str
    foreign: bool
    with_token: bool
    at: float
    clock: float


@dataclass
class Violation:
    """Something in a call that the documentation does not allow."""

    method: str
    problem: str
    args: Json


@dataclass
class Attempt:
    """One try to deliver: `ack` is the seconds until it was acknowledged, if it was."""

    number: int
    reason: str
    via: Literal["socket", "http", ""]
    at: float
    clock: float
    ack: float | None = None
    status: int | None = None


@dataclass
class Delivery:
    """Something on its way to an app. `id` is an event's event_id; `answer` is what came with the acknowledgement."""

    id: str
    kind: DeliveryKind
    app: str
    payload: Json
    at: float
    clock: float
    state: Literal["pending", "acknowledged", "failed"] = "pending"
    answer: Any = None
    attempts: list[Attempt] = field(default_factory=list)


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


@dataclass
class ResponseUrl:
    """Where an app may answer an interaction, a few times; `original` is the message that was acted on."""

    channel: str
    user: str
    app: App
    original: str | None
    uses: int = 0


@dataclass(eq=False)
class Connection:
    """A socket that an app opened. A deaf one stays open and is not listened to."""

    app: str
    socket: web.WebSocketResponse
    transport: asyncio.Transport
    is_deaf: bool = False
    is_leaving: bool = False
    waiting: dict[str, asyncio.Future[Any]] = field(default_factory=dict)


class ApiError(Exception):
    """An answer that is not ok."""

    def __init__(self, error: str, status: int = 200, retry_after: int | None = None, **more: Any) -> None:
        super().__init__(error)
        self.error = error
        self.status = status
        self.retry_after = retry_after
        self.more = more


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
        self.install_team = OTHER_TEAM
        self.denies_install = False
        self._methods: dict[str, Callable[[Installation, Json], Json]] = {
            "auth.revoke": self._auth_revoke,
            "auth.test": self._auth_test,
            "chat.postEphemeral": self._chat_post_ephemeral,
            "chat.postMessage": self._chat_post_message,
            "chat.update": self._chat_update,
            "conversations.history": self._conversations_history,
            "conversations.info": self._conversations_info,
            "conversations.open": self._conversations_open,
            "conversations.replies": self._conversations_replies,
            "emoji.list": self._emoji_list,
            "files.info": self._files_info,
            "reactions.add": self._reactions_add,
            "users.info": self._users_info,
            "views.open": self._views_open,
            "views.publish": self._views_publish,
            "views.update": self._views_update,
        }
        self._faults: list[Fault] = []
        self._pending: dict[str, None] = {}
        self._known: dict[str, Delivery] = {}
        self._triggers: dict[str, tuple[float, str]] = {}
        self._used_triggers: set[str] = set()
        self._response_urls: dict[str, ResponseUrl] = {}
        self._open_views: dict[str, Viewed] = {}
        self._homes: dict[tuple[str, str], str] = {}
        self._ephemeral: dict[tuple[str, str], Json] = {}
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
        self.deliveries: list[Delivery] = []
        self.forget_records()

    def forget_records(self) -> None:
        """Start counting anew; the world and what is not acknowledged yet stay."""
        with self.lock:
            self.calls: list[Call] = []
            self.sent: list[Sent] = []
            self.edited: list[Sent] = []
            self.reactions: list[Reacted] = []
            self.views: list[Viewed] = []
            self.responses: list[Json] = []
            self.downloads: list[Download] = []
            self.violations: list[Violation] = []
            self.deliveries = [delivery for delivery in self.deliveries if delivery.state == "pending"]

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
        finally:
            self._loop.close()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)

    async def _serve(self) -> None:
        app = web.Application(client_max_size=64 << 20)
        app.router.add_route("*", "/api/{method}", self._api)
        app.router.add_get("/link/", self._link)
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
            method: of the Web API; or "download", "response_url", "socket", "oauth.v2.access", or "*" for all of them.
            error: what to answer; "ratelimited" comes with status 429. A download may be "html" (the sign-in page),
                "redirect" (to another host), "endless", "length" (shorter than its Content-Length says) or "slow" (half
                of it, `delay` seconds later the rest).
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

    # What people do

    def text(
        self,
        text: str = "hello",
        channel: str = GENERAL,
        user: str = ADA,
        *,
        thread_ts: str | None = None,
        files: Sequence[Json] = (),
        stubs: bool | None = None,
        deliver: bool = True,
        **fields: Any,
    ) -> Json:
        """Post a message and return it as its event has it.

        Args:
            files: what `file` returned.
            stubs: whether the event has only stubs of the files; by default only from Slack Connect.
            deliver: tell the apps, as Slack does. Without, the message is only in the history.
            fields: anything else; `subtype="bot_message"` takes the user away.
        """
        with self.lock:
            place, person = self.channels[channel], self.people[user]
            place.members.add(user)
            message: Json = {"type": "message", "user": user, "ts": self.new_ts(), "text": text}
            if files:
                message |= {"subtype": "file_share", "files": list(files), "upload": False, "display_as_bot": False}
                for shape in files:
                    self.files[shape["id"]].teams |= place.teams
            else:
                message |= {"team": person.team}
            if not person.is_bot:
                message["client_msg_id"] = str(uuid.uuid4())
            if person.bot_id:
                message["bot_id"] = person.bot_id
            if place.is_shared:
                message |= {"user_team": person.team, "source_team": person.team}
            message |= fields
            if message.get("subtype") == "bot_message":
                message |= {"username": person.name}
                del message["user"]
            self._put(place, message, thread_ts)
            event = self.event_shape(place, message)
            if files and (place.is_shared if stubs is None else stubs):
                event["files"] = [stub(shape) for shape in files]
            if deliver:
                self._tell(place, event)
            return event

    def photo(
        self,
        data: bytes | Json | Sequence[bytes | Json],
        channel: str = GENERAL,
        user: str = ADA,
        text: str = "",
        **options: Any,
    ) -> Json:
        """Post one photo or several, each given as bytes or as `file` returned it; options as for `text`."""
        each = [data] if isinstance(data, bytes | dict) else data
        files = [self.file(one, user=user) if isinstance(one, bytes) else one for one in each]
        return self.text(text, channel, user, files=files, **options)

    def mention(
        self,
        text: str = "",
        channel: str = GENERAL,
        user: str = ADA,
        *,
        data: bytes | Json | Sequence[bytes | Json] = (),
        app: str = APP,
        **options: Any,
    ) -> Json:
        """Post a message that names the bot, with or without photos."""
        bot_user = self.installation(app, self._team_for(app, channel)).bot_user
        return self.photo(data, channel, user, f"<@{bot_user}> {text}".strip(), **options)

    def edit(self, message: Json, text: str) -> Json:
        """Change the text of a message; the event comes back."""
        with self.lock:
            place = self.channels[message["channel"]]
            held = place.messages[message["ts"]]
            before = dict(held)
            held |= {"text": text, "edited": {"user": held.get("user", ""), "ts": self.new_ts()}}
            return self._tell_changed(place, "message_changed", message=dict(held), previous_message=before)

    def delete(self, message: Json) -> Json:
        """Delete a message; the event comes back."""
        with self.lock:
            place = self.channels[message["channel"]]
            held = place.messages.pop(message["ts"])
            return self._tell_changed(place, "message_deleted", deleted_ts=held["ts"], previous_message=held)

    def react(self, message: Json, name: str, user: str = ADA) -> None:
        """Add a person's reaction to a message."""
        with self.lock:
            place = self.channels[message["channel"]]
            self._add_reaction(place, place.messages[message["ts"]], name, user)

    def joined(self, channel: str, inviter: str = EVE, app: str = APP) -> None:
        """Invite the bot of an app to a channel."""
        with self.lock:
            place = self.channels[channel]
            bot_user = self.installation(app, place.team).bot_user
            place.members.add(bot_user)
            text = f"<@{bot_user}> has joined the channel"
            message = {"type": "message", "subtype": "channel_join", "ts": self.new_ts(), "user": bot_user}
            message |= {"text": text, "inviter": inviter}
            self._put(place, message, None)
            self._tell(place, self.event_shape(place, message))
            event = {
                "type": "member_joined_channel",
                "user": bot_user,
                "channel": channel,
                "channel_type": channel[0],
                "team": place.team,
                "inviter": inviter,
                "event_ts": message["ts"],
            }
            self._tell(place, event)

    def open_home(self, user: str = ADA, tab: str = "home", app: str = APP) -> Delivery:
        """Open a tab of the app's home."""
        with self.lock:
            event: Json = {
                "type": "app_home_opened",
                "user": user,
                "channel": self.dm(user, app),
                "tab": tab,
                "event_ts": self.new_ts(),
            }
            if tab == "home" and (app, user) in self._homes:
                event["view"] = self._open_views[self._homes[app, user]].view
            return self.event(event, app, self.people[user].team)

    def uninstall(self, team: str = TEAM, app: str = APP) -> list[Delivery]:
        """Take an app out of a workspace: its tokens end, its bot is gone, and it is told twice."""
        with self.lock:
            installation = self.installations[app, team]
            self._end_tokens(installation, "account_inactive")
            revoked = {"oauth": [], "bot": [installation.bot_user]}
            deliveries = [
                self.event({"type": "app_uninstalled", "event_ts": self.new_ts()}, app, team),
                self.event({"type": "tokens_revoked", "tokens": revoked, "event_ts": self.new_ts()}, app, team),
            ]
            for channel in self.channels.values():
                channel.members.discard(installation.bot_user)
            return deliveries

    def tokens_revoked(self, team: str = TEAM, app: str = APP) -> Delivery:
        """End the tokens of an app in a workspace."""
        with self.lock:
            installation = self.installations[app, team]
            self._end_tokens(installation, "token_revoked")
            revoked = {"oauth": [], "bot": [installation.bot_user]}
            return self.event({"type": "tokens_revoked", "tokens": revoked, "event_ts": self.new_ts()}, app, team)

    def expire_tokens(self, team: str = TEAM, app: str = APP) -> None:
        """Let the tokens of an app in a workspace be too old; a refresh token still works."""
        self._end_tokens(self.installations[app, team], "token_expired")

    def _end_tokens(self, installation: Installation, error: str) -> None:
        with self.lock:
            for token, held in list(self.tokens.items()):
                if held is installation or (held.app.id, held.team) == (installation.app.id, installation.team):
                    del self.tokens[token]
                    self.bad_tokens[token] = error

    def command(
        self, command: str = "/face2emoji", text: str = "", channel: str = GENERAL, user: str = ADA, app: str = APP
    ) -> Delivery:
        """Run a slash command."""
        with self.lock:
            place, person = self.channels[channel], self.people[user]
            names = {"im": "directmessage", "group": "privategroup"}
            payload = {
                "token": "verification",
                "team_id": person.team,
                "team_domain": self.teams[person.team].domain,
                "channel_id": channel,
                "channel_name": names.get(place.kind, place.name),
                "user_id": user,
                "user_name": person.name,
                "command": command,
                "text": text,
                "api_app_id": app,
                "is_enterprise_install": "false",
                "response_url": self._new_response_url("commands", channel, user, app),
                "trigger_id": self._new_trigger(user),
            }
            return self._send("slash_commands", app, payload)

    def shortcut(self, callback_id: str, message: Json | None = None, user: str = ADA, app: str = APP) -> Delivery:
        """Use a message shortcut on a message, or without one a global shortcut."""
        with self.lock:
            payload = self._interaction("message_action" if message else "shortcut", user, app)
            payload |= {"callback_id": callback_id, "action_ts": self.new_ts()}
            if message:
                place = self.channels[message["channel"]]
                payload |= {
                    "channel": {"id": place.id, "name": place.name},
                    "message_ts": message["ts"],
                    "message": place.messages[message["ts"]],
                    "response_url": self._new_response_url("actions", place.id, user, app, message["ts"]),
                }
            return self._send("interactive", app, payload)

    def press(self, target: Json | Sent | Viewed, action_id: str, user: str = ADA) -> Delivery:
        """Press a button in a message (also one that only its reader sees), or in a view."""
        held = target if isinstance(target, dict) else vars(target)
        with self.lock:
            if "ts" in held:
                return self._press_in_message(held["channel"], held["ts"], action_id, user)
            viewed = self._open_views[held["id"]]
            payload = self._interaction("block_actions", user, viewed.app)
            payload |= {
                "container": {"type": "view", "view_id": viewed.id},
                "view": viewed.view,
                "actions": [self._action(viewed.view["blocks"], action_id)],
            }
            return self._send("interactive", viewed.app, payload)

    def _press_in_message(self, channel: str, ts: str, action_id: str, user: str) -> Delivery:
        place = self.channels[channel]
        is_ephemeral = (channel, ts) in self._ephemeral
        message = self._ephemeral[channel, ts] if is_ephemeral else place.messages[ts]
        app = message["app_id"]
        payload = self._interaction("block_actions", user, app)
        payload |= {
            "container": {
                "type": "message",
                "message_ts": ts,
                "channel_id": channel,
                "is_ephemeral": is_ephemeral,
            },
            "channel": {"id": channel, "name": "directmessage" if place.kind == "im" else place.name},
            "state": {"values": {}},
            "response_url": self._new_response_url("actions", channel, user, app, ts),
            "actions": [self._action(message["blocks"], action_id)],
        }
        # Of a message that only one person sees, nothing is kept that could be sent along.
        if not is_ephemeral:
            payload["message"] = message
        return self._send("interactive", app, payload)

    def _action(self, blocks: list[Json], action_id: str) -> Json:
        block, element = next(found for found in find_elements(blocks) if found[1]["action_id"] == action_id)
        wanted = {name: element[name] for name in ("type", "action_id", "text", "value") if name in element}
        return wanted | {"block_id": block["block_id"], "action_ts": self.new_ts()}

    def submit_view(
        self,
        view: Json | Viewed,
        values: Mapping[str, Any] | None = None,
        files: Sequence[bytes | Json] = (),
    ) -> Delivery:
        """Submit a modal, as the person who has it open.

        Args:
            values: by action_id: the text of an input, or the values of the checkboxes that are ticked.
            files: what goes into the file input.
        """
        with self.lock:
            viewed = self._open_views[view["id"] if isinstance(view, dict) else view.id]
            stored = [self.file(one, user=viewed.user) if isinstance(one, bytes) else one for one in files]
            state: Json = {}
            for block, element in find_elements(viewed.view["blocks"]):
                value = (values or {}).get(element["action_id"])
                state.setdefault(block["block_id"], {})[element["action_id"]] = _filled(element, value, stored)
            submitted = viewed.view | {"state": {"values": state}}
            payload = self._interaction("view_submission", viewed.user, viewed.app)
            return self._send("interactive", viewed.app, payload | {"view": submitted, "response_urls": []})

    def _interaction(self, kind: str, user: str, app: str) -> Json:
        person = self.people[user]
        return {
            "type": kind,
            "token": "verification",
            "api_app_id": app,
            "team": {"id": person.team, "domain": self.teams[person.team].domain},
            "user": {"id": user, "username": person.name, "name": person.name, "team_id": person.team},
            "enterprise": None,
            "is_enterprise_install": False,
            "trigger_id": self._new_trigger(user),
        }

    def _new_trigger(self, user: str) -> str:
        trigger = f"{self.number()}.{self.number()}.{uuid.uuid4().hex}"
        self._triggers[trigger] = (time.monotonic() + TRIGGER_SECONDS, user)
        return trigger

    def _new_response_url(self, kind: str, channel: str, user: str, app: str, original: str | None = None) -> str:
        number = uuid.uuid4().hex
        self._response_urls[number] = ResponseUrl(channel, user, self.apps[app], original)
        return f"{self.url}/{kind}/{number}"

    # Deliveries

    def event(self, event: Json, app: str = APP, team: str = TEAM, channel: str | None = None) -> Delivery:
        """Send an event of any kind to an app."""
        with self.lock:
            installation = self.installations[app, team]
            place = self.channels.get(channel or "")
            payload = {
                "token": "verification",
                # In Slack Connect it is the author's, which need not have the app.
                "team_id": event.get("user_team", team),
                "context_team_id": team,
                "context_enterprise_id": None,
                "api_app_id": app,
                "event": event,
                "type": "event_callback",
                "event_id": self.new_id("Ev"),
                "event_time": int(time.time()),
                "authorizations": [
                    {
                        "enterprise_id": None,
                        "team_id": team,
                        "user_id": installation.bot_user,
                        "is_bot": True,
                        "is_enterprise_install": False,
                    }
                ],
                "is_ext_shared_channel": place is not None and place.is_shared,
                "event_context": f"4-{self.number()}",
            }
            return self._send("events_api", app, payload)

    def again(self, delivery_id: str, reason: str = "timeout") -> None:
        """Deliver an event once more, as if its acknowledgement had been lost."""
        delivery = self._known[delivery_id]
        self._soon(self._try(delivery, len(delivery.attempts), reason))

    def _team_for(self, app: str, channel: str) -> str:
        place = self.channels[channel]
        return next(team for team in [place.team, *sorted(place.teams)] if (app, team) in self.installations)

    def _tell(self, channel: Channel, event: Json) -> None:
        """Send an event in a channel to each app whose bot is in there, and a mention to who is mentioned."""
        for (app, team), installation in list(self.installations.items()):
            if installation.bot_user not in channel.members:
                continue
            if _hears(installation, event, channel):
                self.event(event, app, team, channel.id)
            is_named = f"<@{installation.bot_user}>" in event.get("text", "")
            if is_named and event["type"] == "message" and event.get("subtype") in (None, "file_share"):
                mention = {name: value for name, value in event.items() if name not in ("subtype", "channel_type")}
                mention["type"] = "app_mention"
                if channel.kind != "im" and _hears(installation, mention, channel):
                    self.event(mention, app, team, channel.id)

    def _tell_changed(self, channel: Channel, subtype: str, **fields: Any) -> Json:
        event: Json = {
            "type": "message",
            "subtype": subtype,
            "hidden": True,
            "channel": channel.id,
            "ts": self.new_ts(),
        }
        event |= {**fields, "event_ts": event["ts"], "channel_type": channel.kind}
        self._tell(channel, event)
        return event

    def _send(self, kind: DeliveryKind, app: str, payload: Json) -> Delivery:
        delivery_id = payload["event_id"] if kind == "events_api" else str(uuid.uuid4())
        # What is sent is what was so now, whatever becomes of the message meanwhile.
        payload = json.loads(json.dumps(payload))
        delivery = Delivery(delivery_id, kind, app, payload, time.time(), time.monotonic())
        self.deliveries.append(delivery)
        self._known[delivery_id] = delivery
        self._pending[delivery_id] = None
        self._soon(self._deliver(delivery))
        return delivery

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
        attempt = Attempt(number, reason, "", time.time(), time.monotonic())
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

    def _acknowledge(self, delivery: Delivery, attempt: Attempt, answer: Any) -> str:
        with self.lock:
            attempt.ack = time.monotonic() - attempt.clock
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
        answered = connection.waiting[envelope_id] = self._loop.create_future()
        try:
            if not connection.is_deaf:
                await connection.socket.send_str(json.dumps(envelope))
            answer = await asyncio.wait_for(answered, self.ack_timeout)
        except (TimeoutError, ConnectionError):
            return "timeout"
        finally:
            del connection.waiting[envelope_id]
        return self._acknowledge(delivery, attempt, answer)

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
            return self._acknowledge(delivery, attempt, answer)
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
        app = self._tickets.pop(request.query.get("ticket", ""), None)
        try:
            await self._before("socket", {"app": app})
        except (ApiError, _Cut):
            app = None
        if app is None or request.transport is None:
            return web.Response(status=404)
        held = web.WebSocketResponse(autoping=False, autoclose=False)
        await held.prepare(request)
        connection = Connection(app, held, request.transport)
        greeting = {
            "type": "hello",
            "num_connections": sum(other.app == app for other in self._connections) + 1,
            "debug_info": {"host": "applink-1", "build_number": 1, "approximate_connection_time": 18060},
            "connection_info": {"app_id": app},
        }
        with suppress(ConnectionError):
            await held.send_str(json.dumps(greeting))
            await held.ping(b"Ping from applink-1")
        self._connections.append(connection)
        try:
            await self._listen(connection)
        finally:
            self._connections.remove(connection)
            for answered in connection.waiting.values():
                if not answered.done():
                    answered.set_exception(ConnectionError())
        return held

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
        answered = connection.waiting.get(message.get("envelope_id", ""))
        if answered is None:
            self._note_problems("socket", ["an acknowledgement that nobody waits for"], message)
        elif not answered.done():
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
        call = Call(method, args, "", time.time(), time.monotonic())
        headers: dict[str, str] = {}
        with self.lock:
            self.calls.append(call)
            if known is None:
                problems.append("there is no such method, or none that this server knows")
            else:
                problems += _unknown_arguments(known, args)
            if where == "query":
                problems.append("the token is in the URL")
            self._note_problems(method, problems, args)
        try:
            fault = await self._before(method, args)
            with self.lock:
                result = self._call(method, known, token, args, request, call, headers)
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

    def _call(
        self,
        method: str,
        known: Method | None,
        token: str,
        args: Json,
        request: web.Request,
        call: Call,
        headers: dict[str, str],
    ) -> Json:
        if known is None:
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
        missing = [name for name in known.required.split() if args.get(name) in (None, "")]
        if missing:
            self._refuse_arguments(method, [f"missing required field: {name}" for name in missing], args)
        if "*" not in known.scope:
            _need(installation, known.scope)
        return self._methods[method](installation, args)

    def _note_problems(self, method: str, problems: Iterable[str], args: Json) -> None:
        with self.lock:
            self.violations += [Violation(method, problem, args) for problem in problems]

    def _refuse_arguments(
        self, method: str, problems: Sequence[str], args: Json, error: str = "invalid_arguments"
    ) -> None:
        self._note_problems(method, problems, args)
        raise ApiError(error, response_metadata={"messages": [f"[ERROR] {problem}" for problem in problems]})

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
            self._note_problems("users.info", ["the token is of another team"], args)
            raise ApiError("user_not_found")
        locale = args.get("include_locale") in (True, "1", "true")
        return {"user": self.user_shape(person, installation.team, locale)}

    def _emoji_list(self, installation: Installation, args: Json) -> Json:
        return {"emoji": self.teams[installation.team].emoji, "cache_ts": self.new_ts()}

    def _files_info(self, installation: Installation, args: Json) -> Json:
        stored = self.files.get(args["file"])
        if stored is None:
            raise ApiError("file_not_found")
        if installation.team not in stored.teams:
            self._note_problems("files.info", ["the token is of another team"], args)
            raise ApiError("file_not_found")
        if stored.shape["mode"] == "tombstone":
            raise ApiError("file_deleted")
        return {"file": stored.shape, "comments": []}

    # Channels

    def _place(self, method: str, installation: Installation, args: Json, *, joined: bool = True) -> Channel:
        """The channel of a call, if the bot may act there."""
        name = args["channel"]
        channel = self.channels.get(name)
        if channel is None or not channel.teams & {installation.team}:
            if channel is not None:
                self._note_problems(method, ["the token is of another team"], args)
            raise ApiError("channel_not_found")
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

    def _put(self, channel: Channel, message: Json, thread_ts: str | None) -> None:
        """Keep a message, in a thread if one is given."""
        if thread_ts is not None:
            message["thread_ts"] = thread_ts
            if parent := channel.messages.get(thread_ts):
                message["parent_user_id"] = parent.get("user", "")
                parent |= {"thread_ts": thread_ts, "reply_count": parent.get("reply_count", 0) + 1}
        channel.messages[message["ts"]] = message

    def _content(self, method: str, args: Json) -> Json:
        """Text and blocks of a call, checked, with the ids that Slack adds."""
        text, blocks = args.get("text", ""), args.get("blocks") or []
        if not (text or blocks or args.get("attachments") or args.get("markdown_text")):
            self._note_problems(method, ["neither text nor blocks"], args)
            raise ApiError("no_text")
        if len(text) > 40_000:
            self._note_problems(method, ["text longer than 40000"], args)
            raise ApiError("msg_too_long")
        if problems := list(problems_of_blocks(blocks)):
            error = "invalid_blocks" if isinstance(blocks, list) else "invalid_blocks_format"
            self._refuse_arguments(method, problems, args, error)
        return {"text": text, "blocks": self._with_ids(blocks)}

    def _with_ids(self, blocks: list[Json]) -> list[Json]:
        copies: list[Json] = json.loads(json.dumps(blocks))
        for block in copies:
            block.setdefault("block_id", f"b{self.number()}")
            for element in block.get("elements", []) if block["type"] == "actions" else []:
                element.setdefault("action_id", f"a{self.number()}")
        return copies

    def _bot_message(self, installation: Installation, content: Json) -> Json:
        message: Json = {
            "type": "message",
            "user": installation.bot_user,
            "ts": self.new_ts(),
            "bot_id": installation.bot_id,
            "app_id": installation.app.id,
            "team": installation.team,
            "bot_profile": {
                "id": installation.bot_id,
                "app_id": installation.app.id,
                "name": installation.app.name,
                "team_id": installation.team,
                "deleted": False,
                "updated": 1_700_000_000,
            },
            **content,
        }
        if installation.app.is_legacy:
            message |= {"subtype": "bot_message", "username": installation.app.name}
            del message["user"]
        return message

    def _note_sent(self, channel: Channel, message: Json, via: str, ephemeral_to: str | None = None) -> Sent:
        return Sent(
            channel.id,
            message["ts"],
            message["text"],
            message["blocks"],
            message.get("thread_ts"),
            ephemeral_to,
            message["app_id"],
            via,
            time.time(),
            time.monotonic(),
        )

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
        if thread is None:
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

    def _change(self, channel: Channel, message: Json, content: Json, via: str) -> None:
        before = dict(message)
        message |= {**content, "edited": {"user": message.get("user", ""), "ts": self.new_ts()}}
        self.edited.append(self._note_sent(channel, message, via))
        self._tell_changed(channel, "message_changed", message=dict(message), previous_message=before)

    def _reactions_add(self, installation: Installation, args: Json) -> Json:
        channel = self._place("reactions.add", installation, args)
        name = args["name"]
        if channel.is_archived:
            raise ApiError("is_archived")
        message = self._message(channel, args["timestamp"])
        if not is_emoji(name, self.teams[installation.team].emoji):
            raise ApiError("invalid_name")
        self._add_reaction(channel, message, name, installation.bot_user)
        self.reactions.append(
            Reacted(channel.id, message["ts"], name, installation.app.id, time.time(), time.monotonic())
        )
        return {}

    def _add_reaction(self, channel: Channel, message: Json, name: str, user: str) -> None:
        reactions = message.setdefault("reactions", [])
        held = next((reaction for reaction in reactions if reaction["name"] == name), None)
        if held is not None and user in held["users"]:
            raise ApiError("already_reacted")
        if held is None:
            if len(reactions) >= MOST_EMOJI:
                raise ApiError("too_many_emoji")
            held = {"name": name, "users": [], "count": 0}
            reactions.append(held)
        held["users"].append(user)
        held["count"] += 1
        event = {
            "type": "reaction_added",
            "user": user,
            "reaction": name,
            "item_user": message.get("user", ""),
            "item": {"type": "message", "channel": channel.id, "ts": message["ts"]},
            "event_ts": self.new_ts(),
        }
        self._tell(channel, event)

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

    def _new_view(self, installation: Installation, user: str, method: str, view: Json) -> Json:
        view_id = self.new_id("V")
        shape = {
            "id": view_id,
            "team_id": installation.team,
            "app_id": installation.app.id,
            "app_installed_team_id": installation.team,
            "bot_id": installation.bot_id,
            "root_view_id": view_id,
            "previous_view_id": None,
        }
        held = Viewed(view_id, user, installation.app.id, method, shape, time.time(), time.monotonic())
        self._open_views[view_id] = held
        return self._keep_view(held, method, view)

    def _keep_view(self, held: Viewed, method: str, view: Json) -> Json:
        """Show a view in the place of what was there."""
        empty = {"private_metadata": "", "callback_id": "", "external_id": "", "state": {"values": {}}}
        own = ("id", "team_id", "app_id", "app_installed_team_id", "bot_id", "root_view_id", "previous_view_id")
        shape = {name: held.view[name] for name in own} | empty | view
        shape |= {"blocks": self._with_ids(view["blocks"]), "hash": f"{self.new_ts()}.{self.number():08x}"}
        now = Viewed(held.id, held.user, held.app, method, shape, time.time(), time.monotonic())
        self._open_views[held.id] = now
        self.views.append(now)
        return shape

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

    def _answer_in(self, held: ResponseUrl, body: Json, via: str) -> None:
        """Take a message that answers an interaction: a new one, or one in the place of the original."""
        place = self.channels[held.channel]
        original = held.original or ""
        message = place.messages.get(original) or self._ephemeral.get((place.id, original))
        if body.get("delete_original"):
            if message is not None:
                place.messages.pop(original, None)
                self._ephemeral.pop((place.id, original), None)
                self.edited.append(self._note_sent(place, {**message, "text": "", "blocks": []}, via))
            return
        try:
            content = self._content(via, body)
        except ApiError:
            # It is among the violations now.
            return
        if body.get("replace_original") and message is not None:
            self._change(place, message, content, via)
            return
        team = self._team_for(held.app.id, held.channel)
        answer = self._bot_message(self.installation(held.app.id, team), content)
        if body.get("response_type", "ephemeral") == "in_channel":
            self._put(place, answer, body.get("thread_ts"))
            self.sent.append(self._note_sent(place, answer, via))
            self._tell(place, self.event_shape(place, answer))
            return
        self._ephemeral[place.id, answer["ts"]] = answer
        self.sent.append(self._note_sent(place, answer, via, held.user))

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
            now = (time.time(), time.monotonic())
            self.downloads.append(Download(args["file"], rendition, is_foreign, bool(header), *now))
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
            self.downloads.append(
                Download(
                    user, f"image_{size}", False, "Authorization" in request.headers, time.time(), time.monotonic()
                )
            )
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
        return self._granted(self.install(app.id, team, scopes)) | {"authed_user": {"id": self._installer(team)}}

    def _installer(self, team: str) -> str:
        return next(person.id for person in self.people.values() if person.team == team and person.is_admin)

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


def _hears(installation: Installation, event: Json, channel: Channel) -> bool:
    """Tell whether an app asked for such an event, and may have it."""
    name = event["type"]
    plural = PLURAL[channel.kind]
    scopes = {
        "message": f"{plural}:history",
        "app_mention": "app_mentions:read",
        "member_joined_channel": f"{plural}:read",
        "reaction_added": "reactions:read",
    }
    subscription = f"message.{plural}" if name == "message" else name
    return subscription in installation.app.events and scopes[name] in installation.scopes


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
            return args, ["the body is no JSON"]
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


def _unknown_arguments(method: Method, args: Json) -> list[str]:
    # Bolt's clients send team_id along with everything; Slack does not mind.
    known = {*method.required.split(), *method.optional.split(), "team_id"}
    return [f"{name} is no argument" for name in args if name not in known]


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


def _filled(element: Json, value: Any, files: Sequence[Json]) -> Json:
    """What an input holds when its modal is submitted."""
    if element["type"] == "file_input":
        return {"type": "file_input", "files": list(files)}
    if element["type"] == "checkboxes":
        chosen = [option for option in element["options"] if option["value"] in (value or ())]
        return {"type": "checkboxes", "selected_options": chosen}
    return {"type": element["type"], "value": value}


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
