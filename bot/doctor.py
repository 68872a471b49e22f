"""`python -m bot doctor`: looks at all that the bot needs, and says in a line each what is well and what to do.

Nothing is changed anywhere: no table is made, no update fetched, no webhook set. The checks run side by side, none
hinders another, and no secret is shown.
"""

from __future__ import annotations

import asyncio
import errno
import io
import json
import re
import shutil
import socket
import ssl
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import aiohttp
import sqlalchemy as sa
from cryptography.fernet import InvalidToken, MultiFernet
from filelock import FileLock, Timeout
from PIL import Image, ImageDraw
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse
from sqlalchemy.exc import SQLAlchemyError
from telegram import Bot, User, WebhookInfo
from telegram.error import InvalidToken as TelegramTokenInvalid
from telegram.error import TelegramError
from telegram.request import HTTPXRequest

from bot.errors import AddressUnavailable, DatabaseUnavailable, NotReady, PlatformRefused
from bot.photo_service import Reader
from bot.selfie_job import Refused, TryAgain
from bot.settings import FILE, Settings, variable_of
from bot.slack_errors import slack_errors
from bot.slack_manifest import APP_TOKEN_SCOPE, EVENTS_PATH, INSTALL_PATH, SCOPES
from bot.slack_oauth import keys_for
from bot.slack_workspaces import OneWorkspace
from bot.store import existing_database, make_schema, unavailable
from bot.telegram_channel import WEBHOOK_PATH
from inference import EmojiMapError, Face2EmojiError, load_emoji_map

SECONDS = 15
"""So long a check may take; only the model may take longer."""

CALL_SECONDS = 4
"""So long one call to another machine may take."""

AGAIN_SECONDS = 5
"""After so long a running bot that is not ready is asked once more."""

MODEL = "model"
RECENT = timedelta(hours=1)
LITTLE_SPACE = 100_000_000
NO_SPACE = 5_000_000
SLACK_APPS = "of your app at https://api.slack.com/apps"
COPY_CREDENTIALS = f"Copy what stands under Basic Information, App Credentials, {SLACK_APPS}."
HEX_32 = re.compile("[0-9a-f]{32}")
INSTALLATIONS = sa.table("face2emoji_slack_installations", sa.column("data", sa.Text))


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found.

    Attributes:
        sign: "note" is for what is no fault but good to know; only "WRONG" keeps something from working.
        about: what was looked at.
        text: how it is and, where it is not well, what to do.
    """

    sign: Literal["ok", "note", "warning", "WRONG"]
    about: str
    text: str

    def __str__(self) -> str:
        return f"{self.sign:9}{self.about}: {self.text}"


Findings = Sequence[Finding]


async def report(settings: Settings, load: Callable[[], Reader], say: Callable[[str], None]) -> bool:
    """Examine everything and tell people, a line each.

    Returns:
        Whether nothing is wrong.
    """
    wrong = 0
    async for finding in examine(settings, load):
        say(str(finding))
        wrong += finding.sign == "WRONG"
    say(f"To mend: {wrong}." if wrong else "Nothing is wrong.")
    return not wrong


async def examine(settings: Settings, load: Callable[[], Reader]) -> AsyncIterator[Finding]:
    """Look at everything.

    Args:
        settings: read without a mistake.
        load: makes a reader of photos.
    """
    yield Finding("ok", "settings", "no mistake in them")
    if _is_open(Path(FILE)):
        text = f"others on this machine may open {FILE}, where the tokens are. Run `chmod 600 {FILE}`."
        yield Finding("warning", "settings", text)
    checks = {
        "emoji map": _emoji_map(settings),
        "database": _database(settings),
        "web server": _web(settings),
        "Telegram": _telegram(settings),
        "Slack": _slack(settings),
        MODEL: _model(load, settings),  # last, because it takes longest
    }
    tasks = [asyncio.create_task(_finish(about, check)) for about, check in checks.items()]
    try:
        for task in tasks:
            for finding in await task:
                yield finding
    finally:
        for task in tasks:
            task.cancel()


async def _finish(about: str, check: Coroutine[Any, Any, Findings]) -> Findings:
    """Let a check end in time, and whatever happens in it be a finding of its own."""
    try:
        async with asyncio.timeout(None if about == MODEL else SECONDS):
            return await check
    except TimeoutError:
        return [Finding("WRONG", about, f"no answer within {SECONDS} seconds. Check the connection of this machine.")]
    except Exception as error:  # its text may hold an address with a token
        return [Finding("WRONG", about, f"could not be examined ({type(error).__name__}).")]


# This machine


async def _model(load: Callable[[], Reader], settings: Settings) -> Findings:
    def read() -> str:
        reader = load()
        try:
            reader.read(_drawing(), main_only=False, before=())
            return reader.model
        finally:
            reader.close()

    try:
        return [Finding("ok", MODEL, f"version {await asyncio.to_thread(read)} reads pictures")]
    except EmojiMapError:
        return [Finding("note", MODEL, "not tried, because it needs the emoji map")]
    except Face2EmojiError as error:
        return [Finding("WRONG", MODEL, _with_variable(error, settings))]
    except (ImportError, OSError) as error:
        return [Finding("WRONG", MODEL, f"{error}. A package is missing or damaged: run `make clean install`.")]


def _with_variable(error: Face2EmojiError, settings: Settings) -> str:
    """Return what an error says, and the variable it is about."""
    variable = variable_of(error, settings)
    return f"{error.message} It is set by {variable}." if variable else error.message


def _drawing() -> bytes:
    """Return a picture of nobody, as PNG."""
    picture = Image.new("RGB", (64, 64), "white")
    ImageDraw.Draw(picture).ellipse((8, 8, 56, 56), "yellow", "black")
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


async def _emoji_map(settings: Settings) -> Findings:
    try:
        await asyncio.to_thread(load_emoji_map, settings.emoji_map)
    except EmojiMapError as error:
        return [Finding("WRONG", "emoji map", _with_variable(error, settings))]
    return [Finding("ok", "emoji map", f"{settings.emoji_map or 'the one that comes with Face2Emoji'}")]


async def _database(settings: Settings) -> Findings:
    url = settings.database_url.get_secret_value()
    look = _sqlite if url.startswith("sqlite") else _postgresql
    try:
        return await asyncio.to_thread(look, url)
    except SQLAlchemyError as error:
        return [Finding("WRONG", "database", unavailable(sa.make_url(url), error).message)]


def _sqlite(url: str) -> Findings:
    path = Path(str(sa.make_url(url).database))
    try:
        if path.exists():
            _try_writing(url)
            state = "can be written" + ("; a running bot works on it" if _is_locked(Path(f"{path}.lock")) else "")
        else:
            with tempfile.TemporaryFile(dir=path.parent):
                state = "will be made when the bot starts with a chat platform"
        free = shutil.disk_usage(path.parent).free
    except OSError as error:
        text = DatabaseUnavailable.unreachable.format(place=path, reason=error.strerror)
        return [Finding("WRONG", "database", text)]
    found = [Finding("ok", "database", f"{path} {state}")]
    if any(map(_is_open, path.parent.glob(f"{path.name}*"))):
        text = f"others on this machine may open it; it knows chats and people by number. Run `chmod 600 {path}*`."
        found.append(Finding("warning", "database", text))
    if free < LITTLE_SPACE:
        text = f"only {free // 1_000_000} MB are left on its disk. Make room, or set FACE2EMOJI_DATABASE_URL elsewhere."
        found.append(Finding("WRONG" if free < NO_SPACE else "warning", "database", text))
    return found


def _is_open(path: Path) -> bool:
    """Tell whether others on this machine may do anything with a file."""
    return path.is_file() and bool(path.stat().st_mode & 0o077)


def _is_locked(path: Path) -> bool:
    if not path.exists():
        return False
    try:
        with FileLock(path, timeout=0):
            return False
    except Timeout:
        return True


def _postgresql(url: str) -> Findings:
    _try_writing(url)
    place = sa.make_url(url)
    return [Finding("ok", "database", f"{place.host or 'here'}/{place.database} can be written")]


def _try_writing(url: str) -> None:
    with existing_database(url, CALL_SECONDS).connect() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")  # or its driver would commit at once
        else:
            make_schema(connection)
        connection.exec_driver_sql("CREATE TABLE face2emoji_doctor (tried int)")
        connection.rollback()


# The web


async def _web(settings: Settings) -> Findings:
    about = "web server"
    host, port = settings.host, settings.port
    local = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - recognised, not listened on
    home = f"http://[{local}]:{port}" if ":" in local else f"http://{local}:{port}"
    running = False
    try:
        await asyncio.to_thread(_try_port, host, port)
        here = Finding("ok", about, f"port {port} on {host} is free")
    except OSError as error:
        is_taken = error.errno == errno.EADDRINUSE
        running = is_taken and await _answer(f"{home}/healthz") == "ok"
        if running:
            here = await _running(home)
        else:
            text = AddressUnavailable.port_taken if is_taken else AddressUnavailable.refused
            here = Finding("WRONG", about, text.format(host=host, port=port, reason=error.strerror))
    return [here, *await _public_address(settings, running)]


def _try_port(host: str, port: int) -> None:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)


async def _running(home: str) -> Finding:
    """Ask a running bot whether all is well: what it sees cannot always be seen from outside."""
    for pause in (AGAIN_SECONDS, 0):  # what passes by itself is no fault
        answer = await _answer(f"{home}/readyz")
        if answer == "ready":
            break
        await asyncio.sleep(pause)
    if answer == "ready":
        return Finding("ok", "web server", f"the bot runs, at {home}, and is ready")
    with suppress(ValueError, TypeError, KeyError):
        message = str(json.loads(answer)["error"]["message"])
        if message != NotReady.sentence:
            return Finding("WRONG", "running bot", message)
    return Finding("warning", "web server", f"the bot runs, at {home}, and is not ready. Ask again in a minute.")


async def _answer(url: str) -> str:
    """Return what is answered at an address of ours; nothing where nobody answers."""
    timeout = aiohttp.ClientTimeout(total=CALL_SECONDS)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as web, web.get(url) as answer:
            return await answer.text(errors="replace")
    except (aiohttp.ClientError, TimeoutError):
        return ""


async def _public_address(settings: Settings, running: bool) -> Findings:
    """See whether the world, Telegram and Slack, finds the bot at FACE2EMOJI_PUBLIC_URL."""
    about = "public address"
    is_called = settings.slack is not None and settings.slack_app_token is None
    url = settings.public_url
    if url is None:
        text = (
            f"FACE2EMOJI_PUBLIC_URL is not set, so nobody knows whether Slack reaches the bot's {EVENTS_PATH}. Unless "
            "the proxy calls the bot by another name, what comes by its public one is refused (421)."
        )
        return [Finding("warning", about, text)] if is_called else []
    if not url.startswith("https://"):
        text = f"{url} has no https, and Telegram and Slack call no other addresses. Put a proxy with a certificate "
        where = "docs/slack.md, HTTP instead of Socket Mode" if is_called else "docs/telegram.md, Webhook"
        return [Finding("WRONG", about, f"{text}in front of the bot: {where}.")]
    paths = [WEBHOOK_PATH] * bool(settings.telegram_bot_token) + [EVENTS_PATH] * is_called
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=ssl.create_default_context()),
        timeout=aiohttp.ClientTimeout(total=CALL_SECONDS),
        trust_env=True,
    ) as web:
        found = await asyncio.gather(*(_reach(web, about, url, path, running) for path in paths or ["/healthz"]))
    return list(dict.fromkeys(found))


async def _reach(web: aiohttp.ClientSession, about: str, url: str, path: str, running: bool) -> Finding:
    """Ask for a page, which the bot refuses in its own way where Telegram or Slack bring things."""
    try:
        async with web.get(url + path, allow_redirects=False) as answer:
            status, text = answer.status, await answer.text(errors="replace")
    except (aiohttp.ClientConnectorDNSError, UnicodeError):
        return Finding("WRONG", about, f"there is no host {urlsplit(url).hostname}. Check FACE2EMOJI_PUBLIC_URL.")
    except aiohttp.ClientSSLError:
        return Finding("WRONG", about, f"the certificate at {url} is not valid. Check the proxy in front of the bot.")
    except (aiohttp.ClientError, TimeoutError):
        text = (
            f"{url} cannot be reached from here. Check the proxy and the firewall; if this network merely does not let "
            "a machine call itself, look from another one."
        )
        return Finding("warning", about, text)
    if text == "ok" or '"method_not_allowed"' in text:
        return Finding("ok", about, f"{url}{path} leads to the bot")
    if not running:
        text = "answers; whether the bot is behind it can be seen while the bot runs"
        return Finding("note", about, f"{url}{path} {text}")
    if '"not_found"' in text:
        text = f"the bot that runs does not know {url}{path}. Start it again with these settings."
        return Finding("WRONG", about, text)
    return Finding("WRONG", about, f"{url}{path} does not lead to the bot (status {status}). Let the proxy pass it on.")


# Telegram


async def _telegram(settings: Settings) -> Findings:
    about = "Telegram"
    if settings.telegram_bot_token is None:
        return [Finding("note", about, "not set up; docs/telegram.md shows how")]
    server = settings.telegram_base_url
    bot = Bot(
        settings.telegram_bot_token.get_secret_value(),
        base_url=f"{server}/bot",
        base_file_url=f"{server}/file/bot",
        request=HTTPXRequest(connect_timeout=CALL_SECONDS, read_timeout=CALL_SECONDS),
    )
    try:
        async with bot:  # asks who it is
            webhook = await bot.get_webhook_info()
            return [
                Finding("ok", about, f"the bot is @{bot.username}"),
                _groups(bot.bot),
                *_updates(webhook, settings.public_url),
            ]
    except TelegramTokenInvalid:
        return [Finding("WRONG", about, PlatformRefused.sentence)]
    except TelegramError:
        return [Finding("WRONG", about, PlatformRefused.unreachable)]


def _groups(bot: User) -> Finding:
    about = "Telegram groups"
    if bot.can_read_all_group_messages:
        return Finding("ok", about, "privacy mode is off, so the bot sees the photos of its groups")
    text = (
        "privacy mode is on, so the bot sees a photo only when somebody replies to it with /emoji. For /auto, make the "
        "bot an admin of the group; or send /setprivacy to @BotFather, choose the bot and Disable, then remove it from "
        "the group and add it again."
    )
    return Finding("note", about, text)


def _updates(webhook: WebhookInfo, public_url: str | None) -> Findings:
    about = "Telegram updates"
    host = urlsplit(webhook.url).hostname  # the path may be somebody's secret
    found = []
    if public_url and not webhook.url:
        found.append(Finding("note", about, "no webhook is set yet; the bot sets it when it starts"))
    elif webhook.url != (public_url + WEBHOOK_PATH if public_url else ""):
        text = (
            f"a webhook at {host} is set, which is not ours. The bot replaces it when it starts; if another program "
            "uses this bot, give that one a bot of its own."
        )
        found.append(Finding("warning", about, text))
    else:
        found.append(Finding("ok", about, "brought by a webhook" if public_url else "asked for by the bot"))
    if webhook.last_error_date and datetime.now(UTC) - webhook.last_error_date < RECENT:
        text = (
            f"at {webhook.last_error_date:%H:%M} UTC Telegram could not bring any to {host}: "
            f"{webhook.last_error_message}. The address must be open to the world and have a valid certificate."
        )
        found.append(Finding("warning", about, text))
    if webhook.pending_update_count:
        found.append(Finding("note", about, f"{webhook.pending_update_count} wait until the bot runs"))
    return found


# Slack


async def _slack(settings: Settings) -> Findings:
    if settings.slack is None:
        return [Finding("note", "Slack", "not set up; docs/slack.md shows how")]
    client = OneWorkspace("", settings.slack_base_url).client  # knows the way, and no token
    parts = [_slack_many(settings, client) if settings.slack == "many" else _slack_one(settings, client)]
    if settings.slack_app_token:
        parts.append(_socket_mode(settings.slack_app_token.get_secret_value(), client))
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=CALL_SECONDS)) as client.session:
        found = [finding for part in await asyncio.gather(*parts) for finding in part]
    if settings.slack_signing_secret:
        found.append(_form("SLACK_SIGNING_SECRET", settings.slack_signing_secret.get_secret_value(), HEX_32))
    return found


async def _slack_one(settings: Settings, client: AsyncWebClient) -> Findings:
    assert settings.slack_bot_token  # noqa: S101 - `load_settings` has looked
    token = settings.slack_bot_token.get_secret_value()
    answer = await _ask("Slack", PlatformRefused.slack_bot_refused, client.auth_test(token=token))
    if isinstance(answer, Finding):
        return [answer]
    return [
        Finding("ok", "Slack", f"the bot is @{answer['user']} in the workspace {answer['team']}"),
        *_scopes(answer.headers.get("x-oauth-scopes", "")),
    ]


def _scopes(granted: str) -> Findings:
    about = "Slack scopes"
    missing = SCOPES.keys() - re.split(r"[,\s]+", granted)
    advice = f"Add it under OAuth & Permissions {SLACK_APPS}, then reinstall the app."
    return [
        Finding("WRONG", about, f"{scope} is missing. Its reason: {reason} {advice}")
        for scope, reason in SCOPES.items()
        if scope in missing
    ] or [Finding("ok", about, "all are granted")]


async def _socket_mode(token: str, client: AsyncWebClient) -> Findings:
    """Ask for the address of a connection, and leave it unused."""
    about = "Slack Socket Mode"
    call = client.apps_connections_open(app_token=token)
    answer = await _ask(about, PlatformRefused.slack_app_refused, call)
    if isinstance(answer, Finding):
        return [answer]
    return [Finding("ok", about, f"SLACK_APP_TOKEN is accepted, with {APP_TOKEN_SCOPE}")]


async def _slack_many(settings: Settings, client: AsyncWebClient) -> Findings:
    assert settings.slack_client_id  # noqa: S101 - `load_settings` has looked, here and below
    assert settings.slack_client_secret  # noqa: S101
    assert settings.token_key  # noqa: S101
    secret = settings.slack_client_secret.get_secret_value()
    return [
        await _credentials(settings.slack_client_id, secret, client),
        _form("SLACK_CLIENT_ID", settings.slack_client_id, re.compile(r"\d+\.\d+")),
        _form("SLACK_CLIENT_SECRET", secret, HEX_32),
        await asyncio.to_thread(
            _installations,
            settings.database_url.get_secret_value(),
            MultiFernet(keys_for("tokens", settings.token_key.get_secret_value())),
            f"{settings.public_url}{INSTALL_PATH}",
        ),
    ]


async def _credentials(client_id: str, secret: str, client: AsyncWebClient) -> Finding:
    """Try to install the app with a code that Slack never gave, and see what Slack finds fault with."""
    try:
        with slack_errors():
            attempt = {"client_id": client_id, "client_secret": secret, "code": "none"}
            await client.api_call("oauth.v2.access", data=attempt)
    except TryAgain:
        return Finding("WRONG", "Slack", PlatformRefused.slack_unreachable)
    except Refused as error:
        if error.reason in ("bad_client_secret", "invalid_client_id"):
            text = f"SLACK_CLIENT_ID and SLACK_CLIENT_SECRET are refused ({error.reason}). {COPY_CREDENTIALS}"
            return Finding("WRONG", "Slack", text)
    return Finding("ok", "Slack", "finds no fault with SLACK_CLIENT_ID and SLACK_CLIENT_SECRET")


def _installations(url: str, keys: MultiFernet, page: str) -> Finding:
    about = "Slack workspaces"
    try:
        with existing_database(url, CALL_SECONDS).connect() as connection:
            rows = connection.scalars(sa.select(INSTALLATIONS.c.data)).all()
    except SQLAlchemyError:  # the bot never ran; or the database is broken, which has a line of its own
        rows = []
    unreadable = sum(not _opens(keys, data) for data in rows)
    if unreadable:
        text = (
            f"no key in FACE2EMOJI_TOKEN_KEY opens the tokens of {unreadable} of {len(rows)}. Put the old key behind "
            f"the new one, with a comma between them, or have the app installed again at {page}."
        )
        return Finding("WRONG", about, text)
    return Finding("ok", about, f"{len(rows)} have the app; others install it at {page}")


def _opens(keys: MultiFernet, data: str) -> bool:
    try:
        keys.decrypt(data)
    except InvalidToken:
        return False
    return True


async def _ask(about: str, refused: str, call: Awaitable[AsyncSlackResponse]) -> AsyncSlackResponse | Finding:
    try:
        with slack_errors():
            return await call
    except Refused as error:
        return Finding("WRONG", about, refused.format(reason=error.reason))
    except TryAgain:
        return Finding("WRONG", about, PlatformRefused.slack_unreachable)


def _form(name: str, value: str, form: re.Pattern[str]) -> Finding:
    if form.fullmatch(value):
        return Finding("ok", "Slack app", f"{name} has the right form")
    return Finding("WRONG", "Slack app", f"{name} does not look like one. {COPY_CREDENTIALS}")
