"""`python -m bot`: the only place that builds things."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator

import uvicorn

from bot.errors import AddressUnavailable, SettingsError
from bot.logs import configure_logs
from bot.metrics import Metrics
from bot.photo_service import PhotoService, Reader
from bot.settings import Settings, load_settings
from bot.web_channel import WebChannel
from inference import Face2EmojiError, PhotoLimits


class Server(uvicorn.Server):
    """Uvicorn, but SIGTERM and Ctrl+C are a wish to finish and no failure: the process ends with 0."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Finish on a signal, without raising it again afterwards as uvicorn does."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, self.handle_exit)
        yield


def say(line: str) -> None:
    """Tell people, at once: into a pipe, print would keep the line back."""
    print(line, flush=True)


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
    """Return the function with which each worker thread makes its reader."""
    limits = PhotoLimits(max_bytes=settings.max_bytes, max_pixels=settings.max_pixels)

    def load() -> Reader:
        from inference import load_reader  # PyTorch takes seconds; the page and a wrong setting show before it

        return load_reader(settings.checkpoint, settings.emoji_map, limits)

    return load


class Bot:
    """The whole bot: the photo service and the channels in front of it.

    Args:
        settings: all of them.
        load: makes one reader; called in each worker's thread.
    """

    def __init__(self, settings: Settings, load: Callable[[], Reader]) -> None:
        metrics = Metrics()
        self._service = PhotoService(
            load,
            workers=settings.workers,
            queue_limit=settings.queue_limit,
            timeout=settings.request_timeout,
            metrics=metrics,
        )
        web = WebChannel(
            self._service,
            metrics,
            max_bytes=settings.max_bytes,
            timeout=settings.request_timeout,
            rate_limit=settings.rate_limit,
        )
        self._server = Server(
            uvicorn.Config(
                web.app(),
                access_log=False,  # it would write down addresses
                date_header=False,
                lifespan="off",
                log_config=None,
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=10,
            )
        )

    async def run(self, sock: socket.socket, announce: Callable[[str], None] = say) -> None:
        """Serve until `stop` or a signal; the page answers at once, while the model loads.

        Args:
            sock: where to listen.
            announce: called with one line for people when photos can be read.

        Raises:
            Face2EmojiError: the model could not be loaded.
        """
        loading = asyncio.create_task(
            self._load(f"Face2Emoji is ready: open {_address(sock)} (Ctrl+C stops it).", announce)
        )
        await self._server.serve(sockets=[sock])
        loading.cancel()
        await self._service.close()
        with contextlib.suppress(asyncio.CancelledError):
            await loading

    def stop(self) -> None:
        """Finish what is under way, then end `run`; may be called from any thread."""
        self._server.should_exit = True

    async def _load(self, line: str, announce: Callable[[str], None]) -> None:
        try:
            await self._service.load()
        except BaseException:
            self.stop()
            raise
        announce(line)


def _address(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    if host in ("0.0.0.0", "::"):  # noqa: S104 - recognised, not listened on
        host = "localhost"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit code: 0 fine, 1 could not start, 2 wrong usage or settings."""
    parser = argparse.ArgumentParser(prog="python -m bot", description="Face2Emoji: a photo in, an emoji out.")
    parser.add_argument("command", nargs="?", choices=["run"], default="run", help="run: serve the web page (default)")
    parser.parse_args(arguments)
    try:
        settings = load_settings()
        configure_logs(settings.log_format, settings.log_level)
        asyncio.run(Bot(settings, reader_loader(settings)).run(listen(settings.host, settings.port)))
    except Face2EmojiError as error:
        print(error.message, file=sys.stderr)
        return 2 if isinstance(error, SettingsError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
