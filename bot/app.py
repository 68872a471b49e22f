"""The only place that builds things."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import errno
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Protocol

import uvicorn
from pydantic import SecretStr

from bot.addresses import Networks
from bot.connections import BODY_SECONDS_MORE, Gate, WebSocketConnection, behind
from bot.errors import AddressUnavailable, WorkerMisplaced
from bot.live import MAX_FRAME_BYTES, LiveStreams
from bot.metrics import Metrics
from bot.photo_service import PhotoService, Reader
from bot.reader_process import READ_SECONDS, ReaderProcess, kill_readers, load_face_reader
from bot.settings import Settings, words
from bot.web_channel import WebChannel
from inference import EmojiMap, PhotoLimits, load_emoji_map

if TYPE_CHECKING:
    from starlette.routing import Route

    from bot.jobs import Jobs
    from bot.store import Store


FINISH_SECONDS = 2
"""For web requests under way when the bot is to end; all its ends together fit in the ten seconds that Docker gives."""

LEAVE_SECONDS = 0.5


class Server(uvicorn.Server):
    """Uvicorn, but SIGTERM and Ctrl+C are a wish to finish and no failure: the process ends with 0.

    Args:
        config: uvicorn's.
        give_up: called when what is under way has had its time, so that it is answered before it is cut off.
    """

    def __init__(self, config: uvicorn.Config, give_up: Callable[[], None]) -> None:
        super().__init__(config)
        self._give_up = give_up

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Finish what is under way."""
        giving_up = asyncio.get_running_loop().call_later(FINISH_SECONDS, self._give_up)
        await super().shutdown(sockets)
        giving_up.cancel()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Finish on a signal, without raising it again afterwards as uvicorn does."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, self.handle_exit)
        yield


def say(line: str) -> None:
    """Tell people, at once: into a pipe, print would keep the line back."""
    print(line, flush=True)  # noqa: T201 - what people are to read


def listen(host: str, port: int) -> socket.socket:
    """Open the listening socket.

    Raises:
        AddressUnavailable: the port is taken, or the host is none of this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # The protocol is named: asyncio switches Nagle's algorithm off only then, and it costs 40 ms an answer.
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(address)
            sock.listen(1024)
        except OSError:
            sock.close()
            raise
        return sock
    except OSError as error:
        text = AddressUnavailable.port_taken if error.errno == errno.EADDRINUSE else AddressUnavailable.refused
        raise AddressUnavailable(text.format(host=host, port=port, reason=error.strerror)) from error


def reader_loader(settings: Settings) -> Callable[[], Reader]:
    """Return the function with which each worker thread makes its reader, a process of its own."""
    limits = PhotoLimits(max_bytes=settings.max_bytes, max_pixels=settings.max_pixels)
    load = partial(load_face_reader, settings.checkpoint, settings.emoji_map, limits, settings.device)
    return partial(ReaderProcess, load, min(READ_SECONDS, settings.request_timeout))


class Platform(Protocol):
    """A chat platform, as `Chats` starts and stops it."""

    async def connect(self) -> None:
        """Get ready to call the platform.

        Raises:
            PlatformRefused: it does not know our token.
        """

    async def listen(self) -> str:
        """Begin to take events; return a line for people.

        Raises:
            PlatformRefused: the platform does not want it so.
        """

    @property
    def trouble(self) -> str | None:
        """Why no events come in, if so."""

    def routes(self) -> list[Route]:
        """Return what the platform wants to reach on the web server."""

    async def close(self) -> None:
        """Take no more events."""

    async def disconnect(self) -> None:
        """Close the connections; no job is at work any more."""


class Chats:
    """The chat platforms and the jobs they share.

    Args:
        settings: all of them; a platform without a token is left out.
        service: reads the photos.
        metrics: where outcomes go.

    Raises:
        DatabaseUnavailable: it cannot be opened.
        EmojiMapError: the map is wrong.
    """

    def __init__(self, settings: Settings, service: PhotoService, metrics: Metrics) -> None:
        # Half a second of imports that a bot without chat platforms does not need.
        from bot.jobs import Jobs
        from bot.post_reader import PostReader
        from bot.store import Store, open_database

        self._engine = engine = open_database(settings.database_url.get_secret_value())
        store = Store(engine)
        emoji_map = load_emoji_map(settings.emoji_map)
        self._jobs = Jobs(
            engine,
            PostReader(service, store, emoji_map),
            metrics,
            max_age=settings.job_max_age,
            retention=settings.job_retention,
        )
        self._platforms: list[Platform] = []
        if settings.telegram_bot_token:
            self._platforms.append(_telegram(settings, self._jobs, store, emoji_map, service))
        if settings.slack:
            self._platforms.append(_slack(settings, self._jobs, store, emoji_map, service))
        self._jobs.claim()  # before anybody is told that we are ready

    def routes(self) -> list[Route]:
        """Return what the platforms want to reach on the web server."""
        return [route for platform in self._platforms for route in platform.routes()]

    def troubles(self) -> list[str]:
        """Say which platforms cannot reach us, and why; and whether their jobs can be stored."""
        troubles = [*(platform.trouble for platform in self._platforms), self._jobs.trouble]
        return list(dict.fromkeys(trouble for trouble in troubles if trouble))

    async def connect(self) -> None:
        """Get ready to call the platforms, for as long as it takes to reach them.

        Raises:
            PlatformRefused: a platform does not know its token.
        """
        await asyncio.gather(*(platform.connect() for platform in self._platforms))

    async def work(self) -> None:
        """Begin to answer what is stored.

        Raises:
            DatabaseUnavailable: it does not work.
        """
        await self._jobs.start()

    async def listen(self, announce: Callable[[str], None]) -> None:
        """Begin to take events.

        Raises:
            PlatformRefused: a platform does not take our address.
        """
        for platform in self._platforms:
            announce(await platform.listen())

    async def close(self) -> None:
        """Take nothing more, finish what is at work, hang up."""
        await asyncio.gather(*(platform.close() for platform in self._platforms))
        await self._jobs.stop()
        await asyncio.gather(*(platform.disconnect() for platform in self._platforms))
        await asyncio.to_thread(self._engine.dispose)


def _telegram(settings: Settings, jobs: Jobs, store: Store, emoji_map: EmojiMap, service: PhotoService) -> Platform:
    from bot.telegram_channel import TelegramChannel

    assert settings.telegram_bot_token  # noqa: S101 - `Chats` has looked
    telegram = TelegramChannel(
        settings.telegram_bot_token.get_secret_value(),
        settings.telegram_base_url,
        settings.public_url,
        jobs,
        store,
        emoji_map,
        service,
        max_bytes=settings.max_bytes,
        retention=settings.job_retention,
    )
    jobs.serve(telegram)
    return telegram


def _slack(settings: Settings, jobs: Jobs, store: Store, emoji_map: EmojiMap, service: PhotoService) -> Platform:
    from bot.slack_channel import SlackChannel
    from bot.slack_manifest import SCOPES
    from bot.slack_workspaces import ManyWorkspaces, OneWorkspace, Workspaces

    workspaces: Workspaces
    if settings.slack == "many":
        workspaces = ManyWorkspaces(
            settings.slack_client_id or "",
            _secret(settings.slack_client_secret) or "",
            _secret(settings.token_key) or "",
            settings.slack_base_url,
            settings.public_url or "",
            list(SCOPES),
            store,
        )
    else:
        workspaces = OneWorkspace(_secret(settings.slack_bot_token) or "", settings.slack_base_url)
    slack = SlackChannel(
        workspaces,
        _secret(settings.slack_app_token),
        _secret(settings.slack_signing_secret),
        settings.slack_base_url,
        jobs,
        store,
        emoji_map,
        service,
        max_bytes=settings.max_bytes,
        retention=settings.job_retention,
    )
    jobs.serve(slack.answers)
    return slack


def _secret(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None


def chats_of(settings: Settings, service: PhotoService, metrics: Metrics) -> Chats | None:
    """Build the chat platforms, if any is set up."""
    return Chats(settings, service, metrics) if settings.platforms else None


def photo_service(settings: Settings, load: Callable[[], Reader], metrics: Metrics) -> PhotoService:
    """Build the photo service."""
    return PhotoService(
        load,
        workers=settings.workers,
        queue_limit=settings.queue_limit,
        timeout=settings.request_timeout,
        metrics=metrics,
    )


async def close_readers(service: PhotoService) -> None:
    """Free the readers, without waiting for photos that nobody waits for."""
    closing = asyncio.ensure_future(service.close())
    if not (await asyncio.wait({closing}, timeout=LEAVE_SECONDS))[0]:
        kill_readers()
    await closing


class Bot:
    """The whole bot: the photo service, the channels in front of it, and the jobs between them.

    Args:
        settings: all of them.
        load: makes one reader; called in each worker's thread.

    Raises:
        DatabaseUnavailable: see `Chats`.
        EmojiMapError: the map is wrong.
    """

    def __init__(self, settings: Settings, load: Callable[[], Reader]) -> None:
        metrics = Metrics()
        self._service = photo_service(settings, load, metrics)
        self._chats = chats_of(settings, self._service, metrics)
        emoji_map = load_emoji_map(settings.emoji_map)
        self._web = WebChannel(
            self._service,
            metrics,
            emoji_map,
            LiveStreams(self._service, emoji_map, metrics, limit=settings.live_limit),
            max_bytes=settings.max_bytes,
            timeout=settings.request_timeout,
            rate_limit=settings.rate_limit,
            public_url=settings.public_url,
            allowed_hosts=words(settings.allowed_hosts),
            routes=self._chats.routes() if self._chats else [],
            troubles=self._chats.troubles if self._chats else list,
        )
        proxies = Networks(words(settings.trusted_proxies))
        gate = Gate(
            settings.connection_limit,
            shares=settings.rate_limit > 0,
            proxies=proxies,
            body_seconds=settings.request_timeout + BODY_SECONDS_MORE,
            metrics=metrics,
        )
        self._server = Server(
            uvicorn.Config(
                self._web.app(),
                http=behind(gate),
                access_log=False,  # it would write down addresses
                backlog=128,  # asyncio takes in so many at once, before the gate can turn one away
                date_header=False,
                lifespan="off",
                log_config=None,
                proxy_headers=bool(proxies.written),
                forwarded_allow_ips=list(proxies.written),
                server_header=False,
                timeout_graceful_shutdown=FINISH_SECONDS + 1,
                ws=WebSocketConnection,
                ws_max_size=MAX_FRAME_BYTES,
                ws_per_message_deflate=False,  # pictures are compressed already
            ),
            self._give_up,
        )

    async def run(self, sock: socket.socket, announce: Callable[[str], None] = say) -> None:
        """Serve until `stop` or a signal; the page answers at once, while the model loads.

        Args:
            sock: where to listen.
            announce: called with a line for people when photos can be read, and when a chat platform is connected.

        Raises:
            Face2EmojiError: the model could not be loaded, or a chat platform refuses us.
        """
        starting = asyncio.create_task(
            self._start(f"Face2Emoji is ready: open {_address(sock)} (Ctrl+C stops it).", announce)
        )
        await self._server.serve(sockets=[sock])
        starting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait({starting})
        if self._chats:
            await self._chats.close()
        await close_readers(self._service)
        with contextlib.suppress(asyncio.CancelledError):
            await starting

    def _give_up(self) -> None:
        self._service.give_up()
        self._web.give_up()

    def stop(self) -> None:
        """Finish what is under way, then end `run`; may be called from any thread."""
        self._server.should_exit = True

    async def _start(self, line: str, announce: Callable[[str], None]) -> None:
        connecting = asyncio.ensure_future(self._chats.connect() if self._chats else asyncio.sleep(0))
        try:
            await self._service.load()
            if connecting.done():  # a wrong token shows before anybody is told that we are ready
                await connecting
            announce(line)
            await connecting
            if self._chats:
                await self._chats.work()
                await self._chats.listen(announce)
        except BaseException:
            connecting.cancel()
            self.stop()
            raise


async def work(settings: Settings, load: Callable[[], Reader], announce: Callable[[str], None] = say) -> None:
    """Answer jobs that other processes take in, until a signal.

    Raises:
        WorkerMisplaced: no chat platform is set up, or the database cannot be shared.
        DatabaseUnavailable: it cannot be opened.
        Face2EmojiError: the model could not be loaded, or a chat platform refuses us.
    """
    metrics = Metrics()
    service = photo_service(settings, load, metrics)
    if not settings.platforms:
        raise WorkerMisplaced(WorkerMisplaced.no_platform)
    if settings.database_url.get_secret_value().startswith("sqlite"):
        raise WorkerMisplaced(WorkerMisplaced.not_shared)
    chats = Chats(settings, service, metrics)

    async def until_stopped() -> None:
        await chats.connect()
        await service.load()
        await chats.work()
        announce("Face2Emoji's worker is ready (Ctrl+C stops it).")
        await asyncio.Event().wait()

    working = asyncio.ensure_future(until_stopped())
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, working.cancel)
    try:
        with contextlib.suppress(asyncio.CancelledError):
            await working
    finally:
        await chats.close()
        await close_readers(service)


def export_feedback(settings: Settings) -> None:
    """Print the counts of feedback as CSV, for training.

    Raises:
        DatabaseUnavailable: it cannot be opened.
    """
    from bot.store import read_feedback

    counts = read_feedback(settings.database_url.get_secret_value())
    writer = csv.writer(sys.stdout)
    writer.writerow(["given", "corrected", "model", "count"])
    for row in counts:
        writer.writerow([row.given, row.corrected, row.model, row.count])
    sys.stdout.flush()
    if not counts:
        print("There is no feedback yet.", file=sys.stderr)  # noqa: T201 - beside the CSV, for people


def _address(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    if host in ("0.0.0.0", "::"):  # noqa: S104 - recognised, not listened on
        host = "localhost"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
