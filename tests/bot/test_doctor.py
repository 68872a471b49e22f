"""The doctor: every fault is found and has its advice, nothing is changed, and no secret is shown."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from cryptography import x509
from cryptography.fernet import MultiFernet
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import SecretStr

from bot import doctor, jobs
from bot.app import reader_loader
from bot.doctor import report
from bot.errors import AddressUnavailable, DatabaseUnavailable, PlatformRefused
from bot.photo_service import Reader
from bot.settings import Settings
from bot.slack_manifest import SCOPES
from bot.slack_oauth import keys_for
from bot.store import Store, open_database
from bot.telegram_channel import WEBHOOK_PATH
from inference import EmojiMapError
from tests.bot.databases import NewDatabase, create_database
from tests.bot.served import ObedientReader, Serve, wait_until
from tests.bot.slack_server import SlackServer
from tests.bot.slack_world import APP_TOKEN, BOT_TOKEN, CLIENT_ID, CLIENT_SECRET, SIGNING_SECRET
from tests.bot.telegram_served import StartTelegram
from tests.bot.telegram_server import TelegramServer
from tests.bot.telegram_world import person

Json = dict[str, Any]
KEY = "k" * 32
HOME = "https://bot.example.org"
SECRETS = (BOT_TOKEN, APP_TOKEN, SIGNING_SECRET, CLIENT_SECRET, KEY, "hush")


class Doctor:
    """Examines settings over a database of the test's own, and watches that no secret comes out anywhere."""

    def __init__(self, database: Path, log: pytest.LogCaptureFixture) -> None:
        self.defaults: Json = {"database_url": SecretStr(f"sqlite:///{database}"), "port": 0}
        self.lines: list[str] = []
        self._log = log

    async def __call__(self, load: Callable[[], Reader] = ObedientReader, **changes: Any) -> bool:
        settings = Settings.model_construct(**{**self.defaults, **changes})
        self.lines = []
        well = await report(settings, load, self.lines.append)
        token = settings.telegram_bot_token
        secrets = (*SECRETS, token.get_secret_value()) if token else SECRETS
        assert not [secret for secret in secrets if secret in "\n".join(self.lines) + self._log.text]
        assert well == (self.lines[-1] == "Nothing is wrong.") == (not self.signed("WRONG"))
        return well

    def signed(self, *signs: str) -> list[str]:
        return [line for line in self.lines if line.startswith(signs)]

    def about(self, what: str) -> list[str]:
        """The lines about something, sign and text."""
        return [
            f"{line[:9].strip()} {line[11 + len(what) :]}" for line in self.lines if line[9:].startswith(f"{what}:")
        ]


@pytest.fixture(autouse=True)
def private_files() -> Iterator[None]:
    """As `python -m bot` makes them."""
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.fixture
def examine(tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Doctor:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    caplog.set_level(logging.DEBUG)
    for name in ("httpx", "telegram"):  # as the bot keeps them, at every level of its own
        caplog.set_level(logging.WARNING, name)
    return Doctor(tmp_path / "bot.db", caplog)


@pytest.fixture
def telegram_server() -> Iterator[TelegramServer]:
    """Telegram, which is only asked what changes nothing."""
    with TelegramServer() as server:
        yield server
        assert {call.method for call in server.calls} <= {"getMe", "getWebhookInfo"}
        assert server.violations == []


@pytest.fixture
def slack_server() -> Iterator[SlackServer]:
    """Slack, likewise."""
    with SlackServer() as server:
        yield server
        assert {call.method for call in server.calls} <= {"auth.test", "apps.connections.open", "oauth.v2.access"}
        assert server.violations == []


def on_telegram(server: TelegramServer, token: str | None = None) -> Json:
    return {"telegram_bot_token": SecretStr(token or server.token), "telegram_base_url": server.url}


def on_slack(server: SlackServer, **changes: Any) -> Json:
    """One workspace in Socket Mode, unless a change says otherwise."""
    one = {"slack_bot_token": SecretStr(BOT_TOKEN), "slack_app_token": SecretStr(APP_TOKEN)}
    return {"slack_base_url": server.url, **one, **changes}


def on_slacks(server: SlackServer, **changes: Any) -> Json:
    """Many workspaces."""
    many = {
        "slack_client_id": CLIENT_ID,
        "slack_client_secret": SecretStr(CLIENT_SECRET),
        "slack_signing_secret": SecretStr(SIGNING_SECRET),
        "token_key": SecretStr(KEY),
        "public_url": "https://127.0.0.1:1",
    }
    return {"slack_base_url": server.url, **many, **changes}


def entries(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def tables(url: str) -> set[str]:
    return set(sa.inspect(sa.create_engine(url, poolclass=sa.NullPool)).get_table_names())


def set_webhook(server: TelegramServer, url: str) -> None:
    """As another program would."""
    httpx.post(f"{server.base_url}{server.token}/setWebhook", json={"url": url}, trust_env=False).raise_for_status()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


async def test_all_is_well(examine: Doctor, telegram_server: TelegramServer, slack_server: SlackServer) -> None:
    telegram_server.configure(can_read_all_group_messages=True)
    port = free_port()
    assert await examine(port=port, **on_telegram(telegram_server), **on_slack(slack_server))
    assert examine.lines == [
        "ok       settings: no mistake in them",
        "ok       emoji map: the one that comes with Face2Emoji",
        f"ok       database: {sa.make_url(examine.defaults['database_url'].get_secret_value()).database} will be made "
        "when the bot starts with a chat platform",
        f"ok       web server: port {port} on 127.0.0.1 is free",
        "ok       Telegram: the bot is @face2emoji_test_bot",
        "ok       Telegram groups: privacy mode is off, so the bot sees the photos of its groups",
        "ok       Telegram updates: asked for by the bot",
        "ok       Slack: the bot is @face2emoji in the workspace Faces",
        "ok       Slack scopes: all are granted",
        "ok       Slack Socket Mode: SLACK_APP_TOKEN is accepted, with connections:write",
        "ok       model: version 0123abcd reads pictures",
        "Nothing is wrong.",
    ]


async def test_what_is_not_set_up_is_no_fault(examine: Doctor, tmp_path: Path, reader: ObedientReader) -> None:
    assert await examine(reader.load)
    assert examine.about("Telegram") == ["note not set up; docs/telegram.md shows how"]
    assert examine.about("Slack") == ["note not set up; docs/slack.md shows how"]
    assert entries(tmp_path) == []
    assert (len(reader.seen), reader.closes) == (1, 1)


async def test_a_check_that_breaks_hinders_no_other_and_betrays_nothing(examine: Doctor) -> None:
    def load() -> Reader:
        raise RuntimeError("https://hush@example.org")

    assert not await examine(load, database_url=SecretStr("sqlite:////nowhere/bot.db"))
    assert examine.about("model") == ["WRONG could not be examined (RuntimeError)."]
    assert len(examine.signed("WRONG")) == 2
    assert len(examine.signed("ok")) == 3
    assert examine.lines[-1] == "To mend: 2."


async def test_nobody_waits_for_a_platform_that_is_silent(examine: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "SECONDS", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        token = SecretStr("123456789:hush")
        settings: Json = {
            "telegram_bot_token": token,
            "telegram_base_url": address,
            "slack_bot_token": SecretStr(BOT_TOKEN),
            "slack_app_token": SecretStr(APP_TOKEN),
            "slack_base_url": address,
        }
        began = asyncio.get_running_loop().time()
        assert not await examine(**settings)
        assert asyncio.get_running_loop().time() - began < 2
        late = ["WRONG no answer within 1 seconds. Check the connection of this machine."]
        assert (examine.about("Telegram"), examine.about("Slack")) == (late, late)

        monkeypatch.undo()
        monkeypatch.setattr(doctor, "CALL_SECONDS", 0.2)
        assert not await examine(**settings)
        assert examine.about("Telegram") == [f"WRONG {PlatformRefused.unreachable}"]
        assert examine.about("Slack") == [f"WRONG {PlatformRefused.slack_unreachable}"]
        assert examine.about("Slack Socket Mode") == [f"WRONG {PlatformRefused.slack_unreachable}"]


# The model and the map


async def test_the_real_model_reads_a_picture(examine: Doctor) -> None:
    settings = Settings.model_construct()
    assert await examine(reader_loader(settings))
    (line,) = examine.about("model")
    assert line.endswith(" reads pictures")


async def test_missing_weights_are_named(examine: Doctor, tmp_path: Path) -> None:
    path = tmp_path / "none.safetensors"
    assert not await examine(reader_loader(Settings.model_construct(checkpoint=path)), checkpoint=path)
    (line,) = examine.about("model")
    assert line.startswith("WRONG")
    assert "weights" in line
    assert line.endswith("It is set by FACE2EMOJI_CHECKPOINT.")


async def test_a_device_that_does_not_work_is_named(examine: Doctor) -> None:
    assert not await examine(reader_loader(Settings.model_construct(device="cuda:99")), device="cuda:99")
    (line,) = examine.about("model")
    assert line.startswith("WRONG")
    assert "cannot work on the device 'cuda:99' here" in line
    assert line.endswith("It is set by FACE2EMOJI_DEVICE.")


async def test_a_library_that_does_not_load_is_named(examine: Doctor) -> None:
    def load() -> Reader:
        raise ImportError("libcublas.so.13: cannot open shared object file: No such file or directory")

    assert not await examine(load)
    (line,) = examine.about("model")
    assert "libcublas.so.13" in line
    assert "make clean install" in line


async def test_a_wrong_emoji_map_is_named_once(examine: Doctor, tmp_path: Path) -> None:
    path = tmp_path / "map.yaml"
    path.write_text("expressions: {happy: smile}\n")
    assert not await examine(reader_loader(Settings.model_construct(emoji_map=path)), emoji_map=path)
    (line,) = examine.signed("WRONG")
    assert line.startswith("WRONG    emoji map: map.yaml, line 1, ")
    assert line.endswith("It is set by FACE2EMOJI_EMOJI_MAP.")
    assert examine.about("model") == ["note not tried, because it needs the emoji map"]
    with pytest.raises(EmojiMapError):
        reader_loader(Settings.model_construct(emoji_map=path))()


# The database


async def test_a_database_stays_as_it_is(examine: Doctor, new_database: NewDatabase, tmp_path: Path) -> None:
    url = new_database()
    assert await examine(database_url=SecretStr(url))
    (line,) = examine.about("database")
    assert line.endswith("starts with a chat platform" if url.startswith("sqlite") else " can be written")
    assert entries(tmp_path) == []
    assert url.startswith("sqlite") or tables(url) == set()

    open_database(url).dispose()
    before = tables(url)
    assert await examine(database_url=SecretStr(url))
    (line,) = examine.about("database")
    assert line.startswith("ok ")
    assert line.endswith(" can be written")
    assert tables(url) == before


async def test_a_running_bot_is_no_fault(
    examine: Doctor, start_telegram: StartTelegram, monkeypatch: pytest.MonkeyPatch
) -> None:
    bot = start_telegram(TelegramServer())
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")  # which knows nothing of this machine
    port = int(bot.url.rpartition(":")[2])
    assert await examine(database_url=SecretStr(f"sqlite:///{bot.database}"), port=port)
    assert examine.about("database") == [f"ok {bot.database} can be written; a running bot works on it"]
    assert examine.about("web server") == [f"ok the bot runs, at http://127.0.0.1:{port}, and is ready"]
    bot.stop()
    assert await examine(database_url=SecretStr(f"sqlite:///{bot.database}"))
    assert examine.about("database") == [f"ok {bot.database} can be written"]


async def test_what_troubles_a_running_bot_is_named(
    examine: Doctor, start_telegram: StartTelegram, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "PURGE_SECONDS", 0.2)
    running = start_telegram(TelegramServer())
    running.database.rename(running.database.with_suffix(".away"))
    await asyncio.to_thread(wait_until, lambda: running.http.get("/readyz").status_code == 503)
    url = SecretStr(f"sqlite:///{running.database}")
    assert not await examine(database_url=url, port=int(running.url.rpartition(":")[2]))
    assert examine.about("running bot") == ["WRONG The database cannot be reached; it is tried again."]


@pytest.mark.parametrize("folder", ["none", "/proc"], ids=["missing", "not_to_be_written"])
async def test_a_database_without_a_place_is_named(examine: Doctor, tmp_path: Path, folder: str) -> None:
    path = tmp_path / folder / "bot.db"
    assert not await examine(database_url=SecretStr(f"sqlite:///{path}"))
    (line,) = examine.signed("WRONG")
    assert f"The database {path} cannot be opened: No such file or directory. Check FACE2EMOJI_DATABASE_URL." in line


async def test_a_database_that_others_may_read_is_a_warning(examine: Doctor, tmp_path: Path) -> None:
    path = tmp_path / "bot.db"
    open_database(f"sqlite:///{path}").dispose()
    for mode, warnings in ((0o600, 0), (0o640, 1), (0o604, 1)):
        path.chmod(mode)
        assert await examine(database_url=SecretStr(f"sqlite:///{path}"))
        assert len(examine.signed("warning")) == warnings
    assert f"chmod 600 {path}*" in examine.signed("warning")[0]


async def test_settings_that_others_may_read_are_a_warning(
    examine: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / ".env"
    file.write_text("TELEGRAM_BOT_TOKEN=hush")
    for mode, warnings in ((0o600, 0), (0o640, 1), (0o604, 1)):
        file.chmod(mode)
        assert await examine()
        assert len(examine.signed("warning")) == warnings
    assert "chmod 600 .env" in examine.signed("warning")[0]


async def test_a_file_that_is_no_database_is_named(examine: Doctor, tmp_path: Path) -> None:
    other = tmp_path / "letter.txt"
    other.write_text("Dear Ada, " * 1000)
    assert not await examine(database_url=SecretStr(f"sqlite:///{other}"))
    (line,) = examine.signed("WRONG")
    assert "file is not a database" in line


async def test_little_space_is_a_warning(examine: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LITTLE_SPACE", 1 << 70)
    assert await examine()
    (line,) = examine.signed("warning")
    assert "MB are left on its disk. Make room" in line
    monkeypatch.setattr(doctor, "NO_SPACE", 1 << 70)
    assert not await examine()


async def test_a_postgresql_that_cannot_be_written_is_named(examine: Doctor, postgresql: str) -> None:
    url = sa.make_url(postgresql).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
    assert not await examine(database_url=SecretStr(f"{url}&options=-cdefault_transaction_read_only%3Don"))
    (line,) = examine.signed("WRONG")
    assert "cannot execute CREATE SCHEMA in a read-only transaction" in line
    assert not await examine(database_url=SecretStr(f"postgresql+psycopg://me:hush@127.0.0.1:{free_port()}/bot"))
    (line,) = examine.signed("WRONG")
    assert line.startswith("WRONG    database: The database 127.0.0.1/bot cannot be opened: ")


async def test_a_user_who_may_make_no_schema_is_told_so_before_and_at_the_start(
    examine: Doctor, postgresql: str
) -> None:
    admin = sa.make_url(create_database(postgresql))
    engine = sa.create_engine(admin, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text("CREATE ROLE guest LOGIN"))
        connection.execute(sa.text("GRANT CREATE ON SCHEMA public TO guest"))
    engine.dispose()
    guest = admin.set(username="guest").render_as_string(hide_password=False)
    assert not await examine(database_url=SecretStr(guest))
    (line,) = examine.signed("WRONG")
    assert "permission denied for database" in line
    with pytest.raises(DatabaseUnavailable, match="permission denied for database"):
        open_database(guest)


# The web


async def test_a_port_that_another_program_has_is_named(examine: Doctor, telegram_server: TelegramServer) -> None:
    assert not await examine(port=telegram_server.port)
    text = AddressUnavailable.port_taken.format(port=telegram_server.port, host="127.0.0.1")
    assert examine.about("web server") == [f"WRONG {text}"]


async def test_a_host_that_is_none_of_ours_is_named(examine: Doctor) -> None:
    assert not await examine(host="192.0.2.1")
    (line,) = examine.about("web server")
    assert line.startswith("WRONG Cannot listen on 192.0.2.1, port 0: ")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1, and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    host = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    signed = builder.add_extension(host, critical=False).sign(key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = tmp_path_factory.mktemp("certificate") / "test.pem"
    path.write_bytes(private + signed.public_bytes(pem))
    return path


@asynccontextmanager
async def proxy(certificate: Path, port: int) -> AsyncIterator[str]:
    """Ends https in front of a port; gives the public address."""

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            back, forth = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(pump(reader, forth), pump(back, writer))
        writer.close()

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    return certificate


async def test_the_public_address_leads_to_the_bot(
    examine: Doctor, trusted: Path, telegram_server: TelegramServer, serve: Serve
) -> None:
    async with proxy(trusted, serve().port) as address:
        assert await examine(public_url=address)
        assert examine.about("public address") == [f"ok {address}/healthz leads to the bot"]


async def test_the_public_address_leads_to_what_telegram_and_slack_call(
    examine: Doctor, trusted: Path, start_telegram: StartTelegram, slack_server: SlackServer
) -> None:
    server = TelegramServer()
    async with proxy(trusted, free_port()) as nowhere:
        bot = start_telegram(server, public_url=HOME)
    port = int(bot.url.rpartition(":")[2])
    settings = on_telegram(server) | on_slack(
        slack_server, slack_app_token=None, slack_signing_secret=SecretStr(SIGNING_SECRET)
    )
    async with proxy(trusted, port) as address:
        await examine(port=port, public_url=address, **settings)
        assert examine.about("public address") == [
            f"ok {address}{WEBHOOK_PATH} leads to the bot",
            f"WRONG the bot that runs does not know {address}/slack/events. Start it again with these settings.",
        ]
    await examine(port=port, public_url=nowhere, **settings)
    (line,) = examine.about("public address")
    assert line.startswith(f"warning {nowhere} cannot be reached from here.")


async def test_a_proxy_that_leads_elsewhere_is_named(
    examine: Doctor, trusted: Path, slack_server: SlackServer, serve: Serve
) -> None:
    bot = serve()
    async with proxy(trusted, slack_server.port) as address:
        assert not await examine(port=bot.port, public_url=address)
        text = f"{address}/healthz does not lead to the bot (status 404). Let the proxy pass it on."
        assert examine.about("public address") == [f"WRONG {text}"]
        assert await examine(public_url=address)
        text = f"{address}/healthz answers; whether the bot is behind it can be seen while the bot runs"
        assert examine.about("public address") == [f"note {text}"]


async def test_a_redirection_is_no_way_to_the_bot(examine: Doctor, trusted: Path, serve: Serve) -> None:
    bot = serve()

    async def redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        place = f"http://127.0.0.1:{bot.port}/healthz"
        writer.write(f"HTTP/1.1 302 Found\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n".encode())
        writer.close()

    server = await asyncio.start_server(redirect, "127.0.0.1", 0)
    async with server, proxy(trusted, server.sockets[0].getsockname()[1]) as address:
        assert not await examine(port=bot.port, public_url=address)
    (line,) = examine.about("public address")
    assert "does not lead to the bot (status 302)" in line


async def test_an_address_that_telegram_and_slack_would_refuse_is_named(
    examine: Doctor, certificate: Path, slack_server: SlackServer
) -> None:
    assert not await examine(public_url="http://bot.example.org")
    (line,) = examine.signed("WRONG")
    assert "http://bot.example.org has no https" in line
    async with proxy(certificate, slack_server.port) as address:
        assert not await examine(public_url=address)
        (line,) = examine.signed("WRONG")
        assert f"the certificate at {address} is not valid" in line
    assert not await examine(public_url="https://bot..example.org")
    assert examine.about("public address") == ["WRONG there is no host bot..example.org. Check FACE2EMOJI_PUBLIC_URL."]


async def test_slack_may_have_no_address_to_call(examine: Doctor, slack_server: SlackServer) -> None:
    calling = {"slack_app_token": None, "slack_signing_secret": SecretStr(SIGNING_SECRET)}
    assert await examine(**on_slack(slack_server, **calling))
    (line,) = examine.about("public address")
    assert line.startswith("warning FACE2EMOJI_PUBLIC_URL is not set")
    assert examine.about("Slack app") == ["ok SLACK_SIGNING_SECRET has the right form"]
    assert examine.about("Slack Socket Mode") == []


# Telegram


async def test_a_token_that_telegram_does_not_know_is_named(examine: Doctor, telegram_server: TelegramServer) -> None:
    assert not await examine(**on_telegram(telegram_server, "123456789:hush"))
    assert examine.about("Telegram") == [f"WRONG {PlatformRefused.sentence}"]


async def test_telegram_out_of_reach_is_named(examine: Doctor, telegram_server: TelegramServer) -> None:
    token = SecretStr(telegram_server.token)
    address = f"http://127.0.0.1:{free_port()}"
    assert not await examine(telegram_bot_token=token, telegram_base_url=address)
    assert examine.about("Telegram") == [f"WRONG {PlatformRefused.unreachable}"]
    telegram_server.fail("getWebhookInfo", kind="502")
    assert not await examine(**on_telegram(telegram_server))
    assert examine.about("Telegram") == [f"WRONG {PlatformRefused.unreachable}"]


async def test_privacy_mode_comes_with_what_to_do(examine: Doctor, telegram_server: TelegramServer) -> None:
    assert await examine(**on_telegram(telegram_server))
    (line,) = examine.about("Telegram groups")
    assert line.startswith("note privacy mode is on")
    assert "/setprivacy to @BotFather" in line


async def test_a_webhook_that_is_not_ours_is_named_without_its_path(examine: Doctor) -> None:
    with TelegramServer() as server:
        set_webhook(server, "https://elsewhere.example.org/hush")
        for settings in (on_telegram(server), on_telegram(server) | {"public_url": "https://127.0.0.1:1"}):
            assert await examine(**settings)
            (line,) = examine.about("Telegram updates")
            assert line.startswith("warning a webhook at elsewhere.example.org is set")
        assert server.webhook == "https://elsewhere.example.org/hush"


async def test_the_state_of_our_webhook_is_told(examine: Doctor) -> None:
    ours = "https://127.0.0.1:8443"
    with TelegramServer() as server:
        settings = on_telegram(server) | {"public_url": ours}
        assert await examine(**settings)
        assert examine.about("Telegram updates") == ["note no webhook is set yet; the bot sets it when it starts"]
        server.configure(reroute=f"http://127.0.0.1:{free_port()}")
        set_webhook(server, ours + WEBHOOK_PATH)
        assert await examine(**settings)
        assert examine.about("Telegram updates") == ["ok brought by a webhook"]
        server.push(server.text("/help", user=person(5_550_000_001, "Ada", "en")))
        wait_until(lambda: bool(server.deliveries))
        assert await examine(**settings)
        brought, error, waiting = examine.about("Telegram updates")
        assert brought == "ok brought by a webhook"
        assert error.startswith("warning at ")
        assert "could not bring any to 127.0.0.1: Webhook connection closed" in error
        assert waiting == "note 1 wait until the bot runs"
        assert server.confirmed == []


# Slack


async def test_missing_scopes_are_named_with_their_reasons(examine: Doctor, slack_server: SlackServer) -> None:
    lost = ["files:read", "reactions:write"]
    slack_server.configure(scopes=[*(scope for scope in SCOPES if scope not in lost), "team:read"])
    assert not await examine(**on_slack(slack_server))
    assert examine.about("Slack scopes") == [
        f"WRONG {scope} is missing. Its reason: {SCOPES[scope]} Add it under OAuth & Permissions of your app at "
        "https://api.slack.com/apps, then reinstall the app."
        for scope in lost
    ]


@pytest.mark.parametrize("error", ["invalid_auth", "account_inactive", "token_revoked"])
async def test_a_token_that_slack_refuses_is_named(examine: Doctor, slack_server: SlackServer, error: str) -> None:
    slack_server.fail("auth.test", error)
    assert not await examine(**on_slack(slack_server))
    assert examine.about("Slack") == [f"WRONG {PlatformRefused.slack_bot_refused.format(reason=error)}"]
    assert len(examine.about("Slack Socket Mode")) == 1


@pytest.mark.parametrize("error", ["invalid_auth", "missing_scope"])
async def test_an_app_token_that_slack_refuses_is_named(examine: Doctor, slack_server: SlackServer, error: str) -> None:
    slack_server.fail("apps.connections.open", error)
    assert not await examine(**on_slack(slack_server))
    text = PlatformRefused.slack_app_refused.format(reason=error)
    assert examine.about("Slack Socket Mode") == [f"WRONG {text}"]
    assert "connections:write" in text


async def test_slack_out_of_reach_is_named(examine: Doctor, slack_server: SlackServer) -> None:
    slack_server.fail("*", status=503, times=None)
    assert not await examine(**on_slack(slack_server))
    assert examine.about("Slack") == [f"WRONG {PlatformRefused.slack_unreachable}"]
    assert not await examine(**on_slack(slack_server, slack_base_url=f"http://127.0.0.1:{free_port()}"))
    assert examine.about("Slack") == [f"WRONG {PlatformRefused.slack_unreachable}"]


async def test_many_workspaces(examine: Doctor, slack_server: SlackServer, new_database: NewDatabase) -> None:
    url = new_database()
    page = "https://127.0.0.1:1/slack/install"
    settings = on_slacks(slack_server, database_url=SecretStr(url))
    assert await examine(**settings)
    assert examine.about("Slack") == ["ok finds no fault with SLACK_CLIENT_ID and SLACK_CLIENT_SECRET"]
    assert examine.about("Slack app") == [
        "ok SLACK_CLIENT_ID has the right form",
        "ok SLACK_CLIENT_SECRET has the right form",
        "ok SLACK_SIGNING_SECRET has the right form",
    ]
    assert examine.about("Slack workspaces") == [f"ok 0 have the app; others install it at {page}"]

    engine = open_database(url)
    for team, key in (("T1", KEY), ("T2", "another" * 6)):
        data = MultiFernet(keys_for("tokens", key)).encrypt(b"{}").decode()
        await Store(engine).save_installation(team, data)
    engine.dispose()
    assert not await examine(**settings)
    (line,) = examine.about("Slack workspaces")
    assert line.startswith("WRONG no key in FACE2EMOJI_TOKEN_KEY opens the tokens of 1 of 2.")
    assert await examine(**settings | {"token_key": SecretStr(f"{KEY},{'another' * 6}")})
    assert examine.about("Slack workspaces") == [f"ok 2 have the app; others install it at {page}"]


async def test_an_app_that_slack_does_not_know_is_named(examine: Doctor, slack_server: SlackServer) -> None:
    wrong = {"slack_client_id": "face2emoji", "slack_client_secret": SecretStr("hush")}
    signing = {"slack_signing_secret": SecretStr("hush")}
    assert not await examine(**on_slacks(slack_server, **wrong, **signing))
    (line,) = examine.about("Slack")
    assert line.startswith("WRONG SLACK_CLIENT_ID and SLACK_CLIENT_SECRET are refused (invalid_client_id).")
    assert [line.partition(".")[0] for line in examine.about("Slack app")] == [
        "WRONG SLACK_CLIENT_ID does not look like one",
        "WRONG SLACK_CLIENT_SECRET does not look like one",
        "WRONG SLACK_SIGNING_SECRET does not look like one",
    ]


async def test_a_broken_database_does_not_hide_slack(examine: Doctor, slack_server: SlackServer) -> None:
    assert not await examine(**on_slacks(slack_server, database_url=SecretStr("sqlite:////nowhere/bot.db")))
    assert len(examine.signed("WRONG")) == 1
    assert len(examine.about("Slack workspaces")) == 1
