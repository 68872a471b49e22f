"""Photos that Slack keeps: who is asked for them and gets the token, how much is taken, and in which rendition."""

from __future__ import annotations

import asyncio
import datetime
import gzip
import io
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from functools import cache, partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from PIL import Image
from structlog.testing import capture_logs

from bot import slack_files
from bot.errors import FileUnavailable, ScopeMissing
from bot.phrases import ENGLISH
from bot.selfie_job import TryAgain
from bot.slack_files import Downloads
from bot.slack_phrases import ENGLISH as SLACK_ENGLISH
from bot.slack_uploads import Uploads
from inference import ImageTooLarge
from tests.bot.running_bot import HAPPY
from tests.bot.slack_served import SlackBot, header_of, words_of
from tests.bot.slack_server import SIGN_IN_PAGE
from tests.bot.slack_world import SCOPES

TOKEN = "xoxb-of-the-test"
MOST = 1000
PHOTO = "https://files.slack.com/photo"
EDGE = "https://a.slack-edge.com/photo"
# Answers that lead elsewhere, and addresses that are not Slack's or not what its files have.
REDIRECTS = (301, 302, 303, 307, 308)
FOREIGN = (
    "http://files.slack.com/photo",
    "https://files.slack.com:8443/photo",
    "https://evil.example/photo",
    "https://evil.example/files.slack.com",
    "https://evil.example#.slack.com",
    "https://files.slack.com.evil.example/photo",
    "https://files.slack.com@evil.example/photo",
    "https://evil.example\\.slack.com/photo",
    "https://evilslack.com/photo",
    "https://127.0.0.1/photo",
    "ftp://files.slack.com/photo",
    "file:///etc/passwd",
    "//files.slack.com/photo",
    "/photo",
    "",
    "https://files.slack.com:99999/photo",
    "https://[files.slack.com/photo",
    "https://somebody@files.slack.com/photo",
)

Page = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Internet(AbstractResolver):
    """Every name leads to one https server of the test, which has a certificate for all of them.

    Attributes:
        pages: what is answered, by address.
        names: who was looked for.
        tokens: what came as Authorization, by address, in order.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self.pages: dict[str, Page] = {}
        self.names: list[str] = []
        self.tokens: dict[str, str | None] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.names.append(host)
        flags = socket.AI_NUMERICHOST
        return [ResolveResult(hostname=host, host="127.0.0.1", port=self._port, family=family, proto=0, flags=flags)]

    async def close(self) -> None:
        """Nothing is open."""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        url = f"https://{request.host}{request.path}"
        self.tokens[url] = request.headers.get("Authorization")
        return await self.pages[url](request)

    def has(
        self,
        url: str = PHOTO,
        data: bytes = b"photo",
        status: int = 200,
        kind: str = "image/jpeg",
        headers: Mapping[str, str] | None = None,
    ) -> str:
        """Answer this at an address, and return the address."""

        async def page(_request: web.Request) -> web.Response:
            return web.Response(body=data, status=status, content_type=kind, headers=headers)

        self.pages[url] = page
        return url

    def leads(self, url: str, target: str, status: int = 302) -> str:
        """Send whoever asks at an address to another one, and return the address."""
        return self.has(url, b"", status, headers={"Location": target})


@cache
def certificate() -> tuple[bytes, bytes]:
    """For Slack's hosts and for whoever would like to be one, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    hosts = ["*.slack.com", "*.slack-edge.com", "*.slack-files.com", "evil.example", "evilslack.com"]
    names = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - day, now + day)
    signed = builder.add_extension(names, critical=False).sign(key, hashes.SHA256())
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return signed.public_bytes(encoding), key.private_bytes(encoding, form, serialization.NoEncryption())


@asynccontextmanager
async def served(page: Page, security: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Answer every address of a new port with this; the port comes back."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", page)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    with socket.create_server(("127.0.0.1", 0)) as sock:
        await web.SockSite(runner, sock, ssl_context=security).start()
        yield sock.getsockname()[1]
        await runner.cleanup()


@pytest.fixture
async def internet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Internet]:
    public, secret = certificate()
    path = tmp_path / "certificate.pem"
    path.write_bytes(public + secret)
    of_server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    of_server.load_cert_chain(path)
    of_bot = ssl.create_default_context(cadata=public.decode())
    internet = Internet(0)
    async with served(internet.answer, of_server) as internet._port:
        connector = partial(aiohttp.TCPConnector, resolver=internet, ssl=of_bot)
        monkeypatch.setattr(aiohttp.client, "TCPConnector", connector)
        monkeypatch.setenv("no_proxy", "*")
        yield internet


@pytest.fixture
async def downloads(internet: Internet) -> AsyncIterator[Downloads]:
    downloads = Downloads("https://slack.com", MOST)
    downloads.open()
    yield downloads
    await downloads.close()


# Who is asked


@pytest.mark.parametrize("host", ["files.slack.com", "faces.slack.com", "a.slack-edge.com", "x.slack-files.com"])
async def test_slack_s_hosts_get_the_token(internet: Internet, downloads: Downloads, host: str) -> None:
    url = internet.has(f"https://{host}/photo")
    assert await downloads.fetch(url, TOKEN) == b"photo"
    assert internet.tokens == {url: f"Bearer {TOKEN}"}


async def test_no_cookie_of_one_workspace_is_brought_along_for_another(
    internet: Internet, downloads: Downloads
) -> None:
    brought: list[str | None] = []

    async def page(request: web.Request) -> web.Response:
        brought.append(request.headers.get("Cookie"))
        return web.Response(body=b"photo", headers={"Set-Cookie": "workspace=T1; Path=/"})

    internet.pages[PHOTO] = page
    uploads = Uploads("https://slack.com")
    uploads.open()
    for _ in range(2):
        await downloads.fetch(PHOTO, TOKEN)
        await uploads._post(PHOTO, b"picture")
    await uploads.close()
    assert brought == [None] * 4


@pytest.mark.parametrize("url", FOREIGN)
async def test_nobody_else_is_asked(internet: Internet, downloads: Downloads, url: str) -> None:
    with pytest.raises(FileUnavailable):
        await downloads.fetch(url, TOKEN)
    assert internet.names == []


@pytest.mark.parametrize("status", REDIRECTS)
@pytest.mark.parametrize("target", [EDGE, "https://files.slack.com/moved"])
async def test_one_redirect_is_followed_without_the_token(
    internet: Internet, downloads: Downloads, status: int, target: str
) -> None:
    internet.has(target, b"moved")
    assert await downloads.fetch(internet.leads(PHOTO, target, status), TOKEN) == b"moved"
    assert internet.tokens == {PHOTO: f"Bearer {TOKEN}", target: None}


@pytest.mark.parametrize("target", FOREIGN)
async def test_no_redirect_leads_away_from_slack(internet: Internet, downloads: Downloads, target: str) -> None:
    with pytest.raises(FileUnavailable):
        await downloads.fetch(internet.leads(PHOTO, target), TOKEN)
    assert set(internet.names) == {"files.slack.com"}
    assert list(internet.tokens) == [PHOTO]


async def test_a_second_redirect_is_not_followed(internet: Internet, downloads: Downloads) -> None:
    third = internet.has("https://b.slack-edge.com/photo")
    second = internet.leads(EDGE, third)
    first = internet.leads(PHOTO, second)
    with pytest.raises(FileUnavailable):
        await downloads.fetch(first, TOKEN)
    assert list(internet.tokens) == [first, second]


async def test_a_server_that_is_set_may_serve_files_and_no_other_port_of_its_host(internet: Internet) -> None:
    async def photo(_request: web.Request) -> web.Response:
        return web.Response(body=b"photo")

    async with served(photo) as port:
        downloads = Downloads(f"http://127.0.0.1:{port}", MOST)
        downloads.open()
        try:
            for url in (f"http://127.0.0.1:{port}/photo", internet.has()):
                assert await downloads.fetch(url, TOKEN) == b"photo"
            for place in (f"https://127.0.0.1:{port}", f"http://localhost:{port}", "http://127.0.0.1:1"):
                with pytest.raises(FileUnavailable):
                    await downloads.fetch(f"{place}/photo", TOKEN)
        finally:
            await downloads.close()


# How much is taken


async def endless(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Type": "image/jpeg"})
    await answer.prepare(request)
    with suppress(ConnectionError):
        while True:
            await answer.write(bytes(1 << 16))
    return answer


async def boastful(request: web.Request) -> web.StreamResponse:
    """Names a length that never comes."""
    answer = web.StreamResponse(headers={"Content-Type": "image/jpeg", "Content-Length": str(MOST + 1)})
    await answer.prepare(request)
    with suppress(ConnectionError):
        await asyncio.sleep(5)
    return answer


async def packed(request: web.Request) -> web.StreamResponse:
    headers = {"Content-Type": "image/jpeg", "Content-Encoding": "gzip"}
    return web.Response(body=gzip.compress(bytes(500 * MOST)), headers=headers)


@pytest.mark.parametrize("page", [endless, boastful, packed])
async def test_no_more_is_taken_than_a_photo_may_have(internet: Internet, downloads: Downloads, page: Page) -> None:
    internet.pages[PHOTO] = page
    started = time.monotonic()
    with pytest.raises(ImageTooLarge):
        await downloads.fetch(PHOTO, TOKEN)
    assert time.monotonic() - started < 2


async def test_the_limit_is_exact_with_a_length_and_without(internet: Internet, downloads: Downloads) -> None:
    def in_pieces(size: int) -> Page:
        async def page(request: web.Request) -> web.StreamResponse:
            answer = web.StreamResponse(headers={"Content-Type": "image/jpeg"})
            await answer.prepare(request)
            for _ in range(size):
                await answer.write(b"1")
            return answer

        return page

    assert await downloads.fetch(internet.has(data=bytes(MOST)), TOKEN) == bytes(MOST)
    internet.pages[PHOTO] = in_pieces(MOST)
    assert await downloads.fetch(PHOTO, TOKEN) == b"1" * MOST
    for page in (in_pieces(MOST + 1), internet.pages[internet.has(EDGE, bytes(MOST + 1))]):
        internet.pages[PHOTO] = page
        with pytest.raises(ImageTooLarge):
            await downloads.fetch(PHOTO, TOKEN)


# What comes instead


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (SIGN_IN_PAGE.encode(), "text/html"),
        (b"photo", "text/html"),
        (SIGN_IN_PAGE.encode(), "image/jpeg"),
        (b"\r\n\t <!doctype HTML>", "application/octet-stream"),
        (b"<HTML lang='en'>", "image/jpeg"),
    ],
)
async def test_a_sign_in_page_is_no_photo(internet: Internet, downloads: Downloads, data: bytes, kind: str) -> None:
    with pytest.raises(ScopeMissing) as caught:
        await downloads.fetch(internet.has(data=data, kind=kind), TOKEN)
    assert caught.value.scope == "files:read"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
async def test_what_is_gone_is_gone(internet: Internet, downloads: Downloads, status: int) -> None:
    with pytest.raises(FileUnavailable):
        await downloads.fetch(internet.has(status=status), TOKEN)


@pytest.mark.parametrize(
    ("status", "headers", "after"),
    [
        (500, {}, 0),
        (502, {}, 0),
        (503, {"Retry-After": "3"}, 3),
        (429, {"Retry-After": "7"}, 7),
        (429, {"Retry-After": "-7"}, 0),
        (429, {"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT"}, 0),
    ],
)
async def test_a_trouble_that_passes_is_waited_for(
    internet: Internet, downloads: Downloads, status: int, headers: dict[str, str], after: float
) -> None:
    with pytest.raises(TryAgain) as caught:
        await downloads.fetch(internet.has(status=status, headers=headers), TOKEN)
    assert caught.value.after == after


async def test_who_is_silent_for_too_long_is_asked_again(internet: Internet, monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent(_request: web.Request) -> web.Response:
        await asyncio.sleep(5)
        return web.Response()

    monkeypatch.setattr(slack_files, "SECONDS", 0.2)
    internet.pages[PHOTO] = silent
    downloads = Downloads("https://slack.com", MOST)
    downloads.open()
    try:
        with pytest.raises(TryAgain):
            await downloads.fetch(PHOTO, TOKEN)
    finally:
        await downloads.close()


# The whole bot


def ask(slack: SlackBot, trouble: dict[str, Any]) -> str:
    """Post a photo, whose download goes wrong, into somebody's direct messages; return their id."""
    user = slack.person()
    file = slack.server.file(HAPPY, user=user)
    slack.server.fail("download", when={"file": file["id"]}, **trouble)
    dm = slack.server.dm(user)
    slack.server.photo(file, dm, user)
    return dm


def test_a_photo_is_fetched_in_the_end(slack: SlackBot) -> None:
    """All at once, because each waits before it tries again."""
    troubles: list[dict[str, Any]] = [
        *({"status": status} for status in (500, 502, 503)),
        *({"cut": cut} for cut in ("before", "after")),
        {"error": "length"},
        {"error": "slow", "delay": 0.2},
        {"status": 429, "retry_after": 1},
    ]
    asked = [(ask(slack, trouble), trouble) for trouble in troubles]
    slack.settle()
    for dm, trouble in asked:
        assert [header_of(sent) for sent in slack.said(dm)] == ["😄"], trouble
    limited = slack.server.channels[asked[-1][0]].messages
    (file,) = next(iter(limited.values()))["files"]
    first, second = [download.clock for download in slack.server.downloads if download.file == file["id"]]
    assert second - first >= 1
    assert all(download.with_token for download in slack.server.downloads)


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        ({"status": 404}, ENGLISH.not_fetched),
        ({"status": 410}, ENGLISH.not_fetched),
        ({"error": "redirect"}, ENGLISH.not_fetched),
        ({"error": "html"}, ENGLISH.not_fetched),  # the permission is there: it is a file of a channel without us
        ({"error": "endless"}, ENGLISH.too_large.format(limit="20 MB")),
    ],
)
def test_a_photo_that_cannot_be_fetched_gets_a_sentence_and_one_try(
    slack: SlackBot, trouble: dict[str, Any], words: str
) -> None:
    dm = ask(slack, trouble)
    slack.settle()
    assert [words_of(sent) for sent in slack.said(dm)] == [words]
    assert len(slack.server.downloads) == 1


def test_a_photo_of_another_host_is_not_fetched(slack: SlackBot) -> None:
    user = slack.person()
    dm = slack.server.dm(user)
    slack.settle(slack.server.photo(slack.server.file(HAPPY, user=user, foreign=True), dm, user))
    assert [words_of(sent) for sent in slack.said(dm)] == [ENGLISH.not_fetched]
    assert slack.server.downloads == []


def test_a_missing_permission_is_told_in_direct_messages_and_in_no_channel(slack: SlackBot) -> None:
    user = slack.person()
    dm, channel = slack.server.dm(user), slack.channel(auto=True)
    slack.server.configure(scopes=[scope for scope in SCOPES if scope != "files:read"])
    try:
        with capture_logs() as logs:
            for place in (channel, dm):
                slack.post(HAPPY, place, user)
    finally:
        slack.server.configure(scopes=SCOPES)
    assert [(sent.channel, words_of(sent)) for sent in slack.server.sent] == [(dm, SLACK_ENGLISH.scope_files)]
    assert "files:read" in SLACK_ENGLISH.scope_files
    assert slack.server.reactions == []
    assert [entry["scope"] for entry in logs if entry["event"] == "slack_scope_missing"] == ["files:read"]


@cache
def picture(width: int, height: int) -> bytes:
    """Of which Slack makes its renditions."""
    file = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(file, "JPEG")
    return file.getvalue()


LARGE = 2 << 20
OVER_THE_LIMIT = 21 << 20


@pytest.mark.parametrize(
    ("size", "claims", "fetched"),
    [
        ((2000, 1500), LARGE, ["thumb_720"]),
        ((1500, 2000), LARGE, ["thumb_720"]),
        ((800, 600), LARGE, ["thumb_720"]),
        ((720, 540), LARGE, ["original"]),  # of which Slack makes smaller ones only
        ((2000, 1500), OVER_THE_LIMIT, ["thumb_720"]),
        ((720, 540), OVER_THE_LIMIT, ["original"]),
    ],
)
def test_the_smallest_rendition_that_holds_a_face_is_read(
    slack: SlackBot, size: tuple[int, int], claims: int, fetched: list[str]
) -> None:
    assert renditions(slack, picture(*size), claims, HAPPY) == fetched


@pytest.mark.parametrize(
    ("seen", "claims", "fetched"),
    [
        (b"happy:92:95", LARGE, ["thumb_720", "original"]),  # a face so small may have more to show
        (b"happy:92 sad:90", LARGE, ["thumb_720", "original"]),
        (b"nobody", LARGE, ["thumb_720", "original"]),
        (b"happy:92:96", LARGE, ["thumb_720"]),
        (b"happy:92 sad:90", OVER_THE_LIMIT, ["thumb_720"]),
        (b"nobody", OVER_THE_LIMIT, ["thumb_720"]),
    ],
)
def test_the_original_is_read_when_the_rendition_does_not_show_enough(
    slack: SlackBot, seen: bytes, claims: int, fetched: list[str]
) -> None:
    assert renditions(slack, picture(2000, 1500), claims, seen) == fetched


@pytest.mark.parametrize(
    ("kind", "claims", "fetched"),
    [
        ("image/heic", LARGE, ["thumb_720"]),
        ("image/gif", LARGE, ["original"]),
        ("image/gif", OVER_THE_LIMIT, ["original"]),
        ("image/png", LARGE, ["thumb_720"]),
    ],
)
def test_what_kind_of_picture_it_is_counts(slack: SlackBot, kind: str, claims: int, fetched: list[str]) -> None:
    assert renditions(slack, HAPPY, claims, HAPPY, mimetype=kind, thumbs=picture(2000, 1500)) == fetched


def test_a_large_picture_without_renditions_is_read_itself(slack: SlackBot) -> None:
    assert renditions(slack, HAPPY, LARGE, HAPPY, thumbs=False) == ["original"]


def renditions(slack: SlackBot, data: bytes, claims: int, seen: bytes, **more: Any) -> list[str]:
    """Post a picture of which all renditions show this; return those that were fetched to answer it."""
    user = slack.person()
    file = slack.server.file(data, user=user, size=claims, **more)
    stored = slack.server.files[file["id"]].renditions
    stored.update(dict.fromkeys(stored, seen))
    dm = slack.server.dm(user)
    slack.settle(slack.server.photo(file, dm, user))
    assert len(slack.said(dm)) == 1
    return [download.rendition for download in slack.server.downloads]
