"""Slack: its events -> jobs, a job's result -> a reaction or a message; commands and windows are in `slack_commands`.

Bolt brings the requests, over a WebSocket (Socket Mode) or signed HTTP, and acknowledges them when the handler here
returns: what an event asks for is stored by then. What cannot be stored is not acknowledged, and comes again.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from typing import Any

import structlog
from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler
from slack_bolt.adapter.starlette.async_handler import to_async_bolt_request, to_starlette_response
from slack_bolt.async_app import AsyncAck, AsyncApp, AsyncBoltContext
from slack_bolt.response import BoltResponse
from slack_sdk.errors import SlackApiError
from slack_sdk.signature import SignatureVerifier
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.web.async_client import AsyncWebClient
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from bot import slack_blocks
from bot.errors import PlatformRefused
from bot.jobs import DATABASE_TROUBLE, Jobs
from bot.photo_service import PhotoService
from bot.phrases import phrases
from bot.selfie_job import PhotoRef, Refused, SelfieJob, TryAgain
from bot.slack_answers import SlackAnswers
from bot.slack_commands import PLATFORM, PROFILE, Ask, Body, Commands, chat_of, name_of
from bot.slack_errors import insist
from bot.slack_files import Downloads, LastPhotos, PostedPhotos
from bot.slack_manifest import CALLBACK_PATH, EVENTS_PATH, INSTALL_PATH
from bot.slack_people import People
from bot.slack_phrases import slack_phrases
from bot.slack_responses import Responses
from bot.slack_uploads import Uploads
from bot.slack_workspaces import Authorize, ManyWorkspaces, OneWorkspace, Workspace, Workspaces, installed_in
from bot.store import Store
from inference import EmojiMap

log = structlog.get_logger(__name__)

# What the library says of a dead connection with addresses and without advice, `_watch` says in our words.
SOCKET_LOG = logging.getLogger(f"{__name__}.socket")
SOCKET_LOG.setLevel(logging.CRITICAL)

# Slack's requests have some kilobytes; a window's files are links.
MOST_REQUEST_BYTES = 1_000_000
# So old a signature may be, for Slack's own library, too.
SIGNED_SECONDS = 300
NOT_SLACK = "This is no request of Slack's."
# Other kinds of messages are edits, deletions, joins, and what programs post.
POSTS = (None, "file_share", "thread_broadcast")
# Kinds of requests, as Slack calls them.
REQUESTS = (
    "event_callback",
    "command",
    "shortcut",
    "message_action",
    "block_actions",
    "view_submission",
    "view_closed",
)
# What events name users, channels and messages by.
NAMES = ("user", "channel", "ts", "thread_ts", "inviter")
# Events in hand at a time; they are stored one after the other all the same.
EVENTS_AT_ONCE = 64
PING_SECONDS = 10.0
# The connection is looked at so often; one that is dead for longer than its library needs to mend it is opened anew.
WATCH_SECONDS = 2.0
DEAF_SECONDS = 30.0
# So long one try to open a connection may take.
CONNECT_SECONDS = 5.0
# How often it is asked whether a workspace removed us while nobody listened.
SWEEP_SECONDS = 24 * 3600.0
# How often Slack is asked whether it still takes the token of the one workspace.
PROVE_SECONDS = 30.0
CLOSING_SECONDS = 2.0


class _Client(SocketModeClient):
    """The library's, which would begin with every event of a burst at once, and hold 60 kB for each."""

    def __init__(self, app_token: str, web_client: AsyncWebClient) -> None:
        super().__init__(app_token, SOCKET_LOG, web_client, ping_interval=PING_SECONDS)
        self._room = asyncio.Semaphore(EVENTS_AT_ONCE)

    async def run_message_listeners(self, message: dict[str, Any], raw_message: str) -> None:
        """Handle at once what people wait for; let events wait their turn, as the text they came in."""
        if message.get("type") != "events_api":
            await super().run_message_listeners(message, raw_message)
            return
        del message
        async with self._room:
            await super().run_message_listeners(json.loads(raw_message), raw_message)


class _Socket(AsyncSocketModeHandler):
    """Leads from that client to Bolt."""

    def __init__(self, app: AsyncApp, app_token: str, web_client: AsyncWebClient) -> None:
        self.app = app
        self.app_token = app_token
        self.client = _Client(app_token, web_client)
        self.client.socket_mode_request_listeners.append(self.handle)  # type: ignore[arg-type] # as the library does


class SlackChannel:
    """One app of Slack, in one workspace or many.

    Args:
        workspaces: have us.
        app_token: opens Socket Mode; None for HTTP.
        signing_secret: signs what comes over HTTP.
        server: address of the Slack server.
        jobs: where photos go.
        store: channels' settings, people's wishes and feedback counts.
        emoji_map: the map that channels may change for themselves.
        service: knows the version of the weights.
        max_bytes: the most one photo may have.
        retention: seconds for which a finished job is remembered; told to those who ask for it.
    """

    def __init__(
        self,
        workspaces: Workspaces,
        app_token: str | None,
        signing_secret: str | None,
        server: str,
        jobs: Jobs,
        store: Store,
        emoji_map: EmojiMap,
        service: PhotoService,
        *,
        max_bytes: int,
        retention: float,
    ) -> None:
        self._workspaces = workspaces
        self._app_token = app_token
        self._jobs = jobs
        self._store = store
        self._people = People()
        self._posted = PostedPhotos(max_bytes)
        self._responses = Responses()
        self._downloads = Downloads(server, max_bytes)
        self._uploads = Uploads(server)
        self._commands = Commands(workspaces, self._people, jobs, store, emoji_map, service, retention=retention)
        self.answers = SlackAnswers(
            workspaces,
            self._people,
            self._posted,
            self._downloads,
            self._uploads,
            self._responses,
            store,
            emoji_map,
            max_bytes=max_bytes,
        )
        """Takes the jobs."""
        self._verifier = SignatureVerifier(signing_secret) if signing_secret else None
        self._app = self._bolt(signing_secret or "")
        self._tasks: set[asyncio.Task[None]] = set()
        self._listening = False
        self._socket: _Socket | None = None
        self._watching: asyncio.Task[None] | None = None
        self._background: list[asyncio.Task[None]] = []
        self._heard = 0.0
        self._refused: str | None = None
        self._disowned: str | None = None

    def _bolt(self, signing_secret: str) -> AsyncApp:
        app = AsyncApp(
            name="face2emoji",
            logger=logging.getLogger("slack_bolt"),
            process_before_response=True,
            raise_error_for_unhandled_request=True,  # to `_on_error`, which acknowledges it
            signing_secret=signing_secret,
            request_verification_enabled=False,  # `events` has looked, before anything is parsed
            client=self._workspaces.client,
            authorize=Authorize(self._workspaces),  # type: ignore[arg-type] # which it is made for
            oauth_flow=self._workspaces.oauth if isinstance(self._workspaces, ManyWorkspaces) else None,
        )
        everything = re.compile("")
        app.event(everything)(self._on_event)
        app.command(everything)(self._on_command)
        app.shortcut(everything)(self._on_shortcut)
        app.view(everything)(self._on_view)
        app.action(everything)(self._on_action)
        app.error(self._on_error)
        return app

    # Starting and stopping

    async def connect(self) -> None:
        """Get ready to call Slack.

        Raises:
            PlatformRefused: Slack does not take the token.
        """
        self._downloads.open()
        self._uploads.open()
        await self._workspaces.open()

    async def listen(self) -> str:
        """Begin to take events; return a line for people.

        Raises:
            PlatformRefused: Slack does not take the app token.
        """
        self._listening = True
        self._background = [asyncio.create_task(self._sweep()), asyncio.create_task(self._prove())]
        if self._app_token:
            await self._open_socket()
            self._heard = time.monotonic()
            self._watching = asyncio.create_task(self._watch())
        return self._line()

    def _line(self) -> str:
        if isinstance(self._workspaces, ManyWorkspaces):
            address = str(self._workspaces.oauth.settings.redirect_uri).removesuffix(CALLBACK_PATH)
            return f"Slack: workspaces install the app at {address}{INSTALL_PATH}."
        return "Slack: send the bot a photo, or invite it to a channel and type /face2emoji on there."

    @property
    def trouble(self) -> str | None:
        """Why no events come in, if so."""
        if not self._listening or (self._app_token and not self._watching):
            return "Slack is not connected yet."
        if self._watching and time.monotonic() - self._heard > 3 * WATCH_SECONDS:
            return self._refused or "The connection to Slack is down; it is being opened again."
        return self._disowned

    async def close(self) -> None:
        """Take no more events and end what commands still do; jobs at work are not ended here."""
        self._listening = False
        background = [*self._background, *([self._watching] if self._watching else [])]
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)
        await self._leave_socket()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CLOSING_SECONDS)

    async def disconnect(self) -> None:
        """Close the connections; to be called when no job is at work any more."""
        await self._downloads.close()
        await self._uploads.close()
        await self._workspaces.close()

    async def _open_socket(self) -> None:
        """Open a connection, for as long as it takes to reach Slack.

        Raises:
            PlatformRefused: Slack does not take the app token.
        """
        token, client = self._app_token or "", self._workspaces.client
        while self._socket is None:
            place = await insist(
                lambda: client.apps_connections_open(app_token=token), PlatformRefused.slack_app_refused
            )
            socket = _Socket(self._app, token, client)
            socket.client.wss_uri = str(place["url"])
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    await socket.client.connect()  # type: ignore[no-untyped-call] # tries this address for ever
                self._socket = socket
            except TimeoutError:
                log.warning("slack_unreachable", help=PlatformRefused.slack_unreachable)
            finally:
                if self._socket is None:
                    await socket.close_async()  # type: ignore[no-untyped-call]

    async def _leave_socket(self) -> None:
        if self._socket:
            left, self._socket = self._socket, None
            await left.close_async()  # type: ignore[no-untyped-call]

    async def _sweep(self) -> None:
        """Erase the workspaces that removed us while nobody listened."""
        while isinstance(self._workspaces, ManyWorkspaces):
            try:
                for team in await self._workspaces.gone():
                    await self._removed(team)
            except Exception as error:
                log.warning("slack_sweep", kind=type(error).__name__)
            await asyncio.sleep(SWEEP_SECONDS)

    async def _prove(self) -> None:
        """Notice when Slack does not take the one workspace's token any more; a connection stays open all the same."""
        while isinstance(self._workspaces, OneWorkspace):
            await asyncio.sleep(PROVE_SECONDS)
            try:
                await self._workspaces.refresh("")
                self._disowned = None
            except Refused as error:
                self._disowned = PlatformRefused.slack_bot_refused.format(reason=error.reason)
                log.error("slack_refused", help=self._disowned)
            except Exception as error:
                log.warning("slack_unreachable", kind=type(error).__name__)

    async def _watch(self) -> None:
        """Notice a dead connection. The library mends most; one that stays dead is left behind for a new one."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            try:
                if self._socket and await self._socket.client.is_connected():
                    self._heard, self._refused = time.monotonic(), None
                elif time.monotonic() - self._heard > DEAF_SECONDS:
                    log.warning("slack_connection_dead", opening="a new one")
                    await self._leave_socket()
                    await self._open_socket()
            except PlatformRefused as error:
                self._refused = error.message
                log.error("slack_refused", help=error.message)
                await asyncio.sleep(DEAF_SECONDS)
            except Exception as error:
                log.warning("slack_connection", kind=type(error).__name__)

    # Requests

    def routes(self) -> list[Route]:
        """Return Slack's addresses on our web server: events where there is no Socket Mode, and the installation."""
        routes = [] if self._app_token else [Route(EVENTS_PATH, self.events, methods=["POST"])]
        if isinstance(self._workspaces, ManyWorkspaces):
            oauth = self._workspaces.oauth
            routes += [Route(oauth.install_path, self.install), Route(oauth.redirect_uri_path, self.installed)]
        return routes

    async def events(self, request: Request) -> Response:
        """Take an event, a command or a press over HTTP; 200 says that it is stored."""
        if not self._listening:
            return PlainTextResponse("not yet", 503)
        if not self._may_be_signed(request):
            return PlainTextResponse(NOT_SLACK, 401)
        body = bytearray()
        try:
            async for chunk in request.stream():
                body += chunk
                if len(body) > MOST_REQUEST_BYTES:
                    return PlainTextResponse("too long", 413)
        except ClientDisconnect:
            return Response(status_code=499)  # nobody is there to see it but the metrics
        if not self._is_signed(bytes(body), request):
            return PlainTextResponse(NOT_SLACK, 401)
        try:
            asked = to_async_bolt_request(request, bytes(body))
            return to_starlette_response(await self._app.async_dispatch(asked))
        except Exception as error:  # Bolt stumbles over what is strange
            return to_starlette_response(await self._on_error(error, {}))

    def _may_be_signed(self, request: Request) -> bool:
        """Look at the headers first: what strangers send need not be taken in."""
        try:
            age = abs(time.time() - int(request.headers["x-slack-request-timestamp"]))
        except (KeyError, ValueError, OverflowError):
            return False
        return age <= SIGNED_SECONDS and "x-slack-signature" in request.headers

    def _is_signed(self, body: bytes, request: Request) -> bool:
        try:
            return bool(self._verifier and self._verifier.is_valid_request(body, request.headers))
        except (ValueError, TypeError):  # a time that is no number, a signature or a body that is no text
            return False

    async def install(self, request: Request) -> Response:
        """Show the page that installs us in a workspace."""
        assert isinstance(self._workspaces, ManyWorkspaces)  # noqa: S101 - `routes` has looked
        return to_starlette_response(
            await self._workspaces.oauth.handle_installation(to_async_bolt_request(request, b""))
        )

    async def installed(self, request: Request) -> Response:
        """Take a workspace's consent."""
        assert isinstance(self._workspaces, ManyWorkspaces)  # noqa: S101 - `routes` has looked
        return to_starlette_response(await self._workspaces.oauth.handle_callback(to_async_bolt_request(request, b"")))

    async def _on_error(self, error: Exception, body: Body) -> BoltResponse:
        """Not acknowledge what could not be stored; let go what is strange, because it would come again for ever."""
        kind = body.get("type") or ("command" if "command" in body else "unknown")
        kind = kind if kind in REQUESTS else "unknown"  # the log is no place for what somebody sent
        if isinstance(error, (*DATABASE_TROUBLE, TryAgain)):
            log.error("event_not_stored", request=kind, kind=type(error).__name__)
            return BoltResponse(status=503)
        log.warning("event_not_understood", request=kind, kind=type(error).__name__)
        return BoltResponse(status=200)

    async def _on_event(self, context: AsyncBoltContext, event: dict[str, Any]) -> None:
        team = installed_in(context)
        for name in NAMES:
            name_of(event.get(name) or "")
        match event.get("type"):
            case "message":
                await self._message(team, event)
            case "app_mention":
                await self._mentioned(team, event)
            case "app_home_opened" if event.get("tab", "home") == "home":
                self._spawn(self._commands.show_home(team, event["user"]))
            case "member_joined_channel":
                await self._joined(team, event)
            case "member_left_channel":
                if event["user"] == (await self._workspaces.find(team)).bot_user:
                    await self._store.forget_chat(PLATFORM, chat_of(team, event["channel"]))
                    self._posted.forget_last(team, event["channel"])
            case "app_uninstalled":
                await self._removed(team)
            case "tokens_revoked" if event.get("tokens", {}).get("bot"):
                await self._removed(team)

    async def _on_command(self, ack: AsyncAck, context: AsyncBoltContext, body: dict[str, Any]) -> None:
        ask = replace(Ask.of_command(body), team=installed_in(context))
        match ask.text.lower().split():
            case ["me", *_]:
                await self._submit(ask, ask.job(f"me-{ask.trigger}", [PhotoRef("photo", (PROFILE,))]))
            case ["last", *_]:
                await self._submit(ask, ask.job(f"last-{ask.trigger}"))
            case _:
                self._spawn(self._commands.run(ask))
        await ack()

    async def _on_shortcut(self, ack: AsyncAck, context: AsyncBoltContext, body: dict[str, Any]) -> None:
        ask = Ask.of_interaction(body, installed_in(context))
        if body["type"] != "message_action":
            self._spawn(self._commands.open_window(ask))
        else:
            await self._asked_about(ask, body["message"])
        await ack()

    async def _asked_about(self, ask: Ask, message: Body) -> None:
        """Somebody wants to know about this very message."""
        photos = self._posted.of_post(ask.team, message)
        poster = message.get("user")
        if not photos:
            self._spawn(self._commands.explain(ask, "no_photo_message"))
        elif poster != ask.user and await self._store.opted_out(PLATFORM, chat_of(ask.team, str(poster))):
            self._spawn(self._commands.explain(ask, "opted_out"))
        else:
            job = ask.job(f"asked-{ask.trigger}", photos)
            thread = name_of(message.get("thread_ts") or "") or None
            await self._submit(ask, replace(job, message=name_of(message["ts"]), thread=thread))

    async def _submit(self, ask: Ask, job: SelfieJob) -> None:
        self._responses.remember(job, ask.url)
        await self._jobs.submit(job)

    async def _on_view(self, ack: AsyncAck, context: AsyncBoltContext, body: dict[str, Any]) -> None:
        """Take the photos of our window."""
        view = body["view"]
        channel, _, url = view["private_metadata"].partition(" ")
        ask = replace(Ask.of_interaction(body, installed_in(context)), channel=name_of(channel), url=url)
        values = view["state"]["values"]
        photos = self._posted.of_post(ask.team, values[slack_blocks.PHOTO_INPUT][slack_blocks.PHOTO_FILES])
        if not photos:
            person = await self._people.find_or_unknown(await self._workspaces.find(ask.team), ask.user)
            problem = phrases(person.language).unsupported
            await ack(response_action="errors", errors={slack_blocks.PHOTO_INPUT: problem})
            return
        shared = slack_blocks.ticked(values, slack_blocks.SHARE_INPUT)
        job = ask.job(f"window-{name_of(view['id'])}", photos, share=bool(shared))
        if masked := slack_blocks.ticked(values, slack_blocks.MASK_INPUT):
            everyone = slack_blocks.MASK_EVERYONE in masked
            job = replace(job, reply="mask", everyone=everyone, private=job.reply == "private")
        await self._submit(ask, job)
        await ack()

    async def _on_action(self, ack: AsyncAck, context: AsyncBoltContext, body: dict[str, Any]) -> None:
        await ack()
        ask = Ask.of_interaction(body, installed_in(context))
        action = body["actions"][0]
        if action["action_id"].startswith(slack_blocks.FEEDBACK):
            message = body["container"]["message_ts"]
            self._spawn(self._commands.press(ask, message, action["value"]))
        else:
            self._spawn(self._commands.press_home(ask, action["action_id"]))

    # Events

    async def _message(self, team: str, event: Body) -> None:
        """Answer a post: in a direct message always, in a channel if that is switched on."""
        user = event.get("user")
        if changed := event.get("previous_message"):
            self._posted.forget_last(team, event["channel"], changed["ts"])
        if event.get("subtype") not in POSTS or event.get("bot_id") or event.get("hidden") or not user:
            return
        channel = event["channel"]
        photos = self._posted.of_post(team, event)
        if event.get("channel_type") == "im":
            if photos:
                await self._jobs.submit(self._job(team, event, photos, thread=event.get("thread_ts")))
            elif self._commands.mark_seen(chat_of(team, channel), event["ts"]):
                self._spawn(self._explain_photo(team, user, channel, event.get("thread_ts")))
        elif photos:
            self._posted.remember_last(team, channel, LastPhotos(user, event["ts"], photos))
            if await self._is_mention(team, event):
                await self._mentioned(team, event)
            if (await self._store.chat(PLATFORM, chat_of(team, channel))).auto:
                await self._jobs.submit(replace(self._job(team, event, photos), reply="reaction"))

    async def _mentioned(self, team: str, event: Body) -> None:
        """Answer a mention in the thread of its post. It may come twice, as a message and as a mention: one job."""
        user = event.get("user")
        if event.get("bot_id") or not user or event.get("channel", "").startswith("D"):
            return
        thread = event.get("thread_ts") or event["ts"]
        job = self._job(team, event, self._posted.of_post(team, event), thread=thread)
        await self._jobs.submit(replace(job, event=f"{event['ts']}-mention"))

    async def _is_mention(self, team: str, event: Body) -> bool:
        return f"<@{(await self._workspaces.find(team)).bot_user}>" in (event.get("text") or "")

    def _job(self, team: str, event: Body, photos: Sequence[PhotoRef], thread: str | None = None) -> SelfieJob:
        return SelfieJob(
            platform=PLATFORM,
            event=event["ts"],
            chat=chat_of(team, event["channel"]),
            message=event["ts"],
            sender=event["user"],
            posted=float(event["ts"]),
            thread=thread,
            photos=tuple(photos),
            settings=chat_of(team, event["user"]) if event.get("channel_type") == "im" else None,
        )

    async def _joined(self, team: str, event: Body) -> None:
        """Tell whoever brought us into a channel how to switch us on, and nobody else."""
        workspace = await self._workspaces.find(team)
        inviter, channel = event.get("inviter"), event["channel"]
        is_new = self._commands.mark_seen(chat_of(team, channel), str(event.get("event_ts")))
        if event["user"] == workspace.bot_user and inviter and is_new:
            self._spawn(self._tell(workspace, event["channel"], inviter, "invited"))

    async def _tell(self, workspace: Workspace, channel: str, user: str, phrase: str) -> None:
        person = await self._people.find_or_unknown(workspace, user)
        text: str = getattr(slack_phrases(person.language), phrase)
        await workspace.client.chat_postEphemeral(channel=channel, user=user, text=text)

    async def _explain_photo(self, team: str, user: str, channel: str, thread: str | None) -> None:
        workspace = await self._workspaces.find(team)
        person = await self._people.find_or_unknown(workspace, user)
        if not person.is_bot:
            text = phrases(person.language).not_a_photo
            await workspace.client.chat_postMessage(channel=channel, thread_ts=thread, text=text)

    async def _removed(self, team: str) -> None:
        """Erase everything of a workspace that removed us, unless it has installed us again since."""
        try:
            await self._workspaces.refresh(team)
        except Refused:
            pass
        else:
            return
        await self._workspaces.forget(team)
        self._people.forget(team)
        self._posted.forget(team)
        await self._store.forget_workspace(PLATFORM, team)
        self._spawn(self._jobs.forget(lambda _sender, chat: chat.startswith(f"{team}/"), PLATFORM))

    def _spawn(self, work: Coroutine[Any, Any, object]) -> None:
        async def guarded() -> None:
            try:
                await work
            except Exception as error:
                log.warning("command_failed", kind=type(error).__name__, reason=_reason(error))

        task = asyncio.create_task(guarded())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _reason(error: Exception) -> str | None:
    return str(error.response.get("error")) if isinstance(error, SlackApiError) else None
