"""What a scanner would try on the web server, over real sockets; what is tried elsewhere is not tried again here.

Headers, caches, sizes, shares and slow bodies of photos: `test_web_channel.py`; live connections: `test_live.py`; the
chat platforms' own addresses: `test_slack_http.py`, `test_telegram_webhook.py`.
"""

from __future__ import annotations

import json
import re
import socket
import time

import httpx
import pytest
import structlog
from structlog.testing import capture_logs

from bot import connections
from bot.addresses import HostNames, Networks, network
from bot.connections import Gate
from bot.errors import BadRequest
from bot.metrics import Metrics
from bot.settings import Settings
from bot.web_channel import HEADERS
from inference import UnreadableImage
from tests.bot.served import Serve, Served, error_of, wait_until

GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
POST = b"POST /api/read HTTP/1.1\r\nHost: x\r\n"
UPGRADE = b"/api/live HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
KEY = b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
BROKEN = b"GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n"


def exchange(served: Served, *parts: bytes) -> bytes:
    """Send this over a connection of its own; return all that comes back until the server closes it."""
    with served.connect() as connection:
        for part in parts:
            connection.sendall(part)
        return until_closed(connection)


def until_closed(connection: socket.socket) -> bytes:
    data = b""
    try:
        while chunk := connection.recv(65536):
            data += chunk
    except ConnectionResetError:
        pass
    return data


def upgraded(served: Served) -> socket.socket:
    """Open a live connection that reads its handshake and little more."""
    connection = served.connect(taking=4096)
    connection.sendall(b"GET " + UPGRADE + KEY + b"\r\n")
    assert b" 101 " in connection.recv(13)
    return connection


def answer_of(connection: socket.socket) -> int:
    """Read one answer of /healthz."""
    data = b""
    while not data.endswith(b"\r\n\r\nok"):
        data += connection.recv(65536)
    return statuses(data)[0]


def statuses(answers: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"^HTTP/1\.1 (\d{3})", answers, re.MULTILINE)]


def is_alive(served: Served) -> bool:
    return served.http.get("/healthz").text == "ok"


# Headers


def test_the_policy_allows_nothing_inline_and_nothing_from_elsewhere(serve: Serve) -> None:
    served = serve()
    page = served.http.get("/")
    policy = dict(part.split(maxsplit=1) for part in page.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert {source for sources in policy.values() for source in sources.split()} == {"'self'", "'none'", "blob:"}
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|javascript:|https?://", page.text)
    assert page.headers["permissions-policy"].startswith("camera=(self)")


def test_no_cookies_no_banner_no_other_origin(serve: Serve) -> None:
    served = serve()
    foreign = {"origin": "https://elsewhere.example", "access-control-request-method": "POST"}
    answers = [
        served.http.get("/", headers=foreign),
        served.http.options("/api/read", headers=foreign),
        served.post(headers=foreign),
        served.http.get("/nothing"),
        served.post(b""),
    ]
    for answer in answers:
        names = set(answer.headers)
        assert not names & {"set-cookie", "server", "x-powered-by", "via", "date"}
        assert not {name for name in names if name.startswith("access-control-")}
        assert "uvicorn" not in answer.text.lower()
        assert "starlette" not in answer.text.lower()
    assert answers[1].status_code == 405


def test_what_is_no_http_is_refused_in_our_shape_with_the_safety_headers(serve: Serve) -> None:
    served = serve()
    head, _, body = exchange(served, BROKEN).partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    assert lines[0] == b"http/1.1 400 bad request"
    assert {name + b": " + value.lower() for name, value in HEADERS.items()} <= set(lines)
    assert b"connection: close" in lines
    assert json.loads(body)["error"]["code"] == "bad_request"
    assert not re.search(rb"server:|h11|uvicorn", head + body, re.IGNORECASE)


# Who is meant, and who asks


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "a@localhost", "x/y", ""]
)
def test_requests_for_another_host_are_refused(serve: Serve, host: str) -> None:
    served = serve()
    for path in ("/", "/api/read", "/metrics", "/nothing"):
        with capture_logs([structlog.contextvars.merge_contextvars]) as logs:
            answer = served.http.get(path, headers={"host": host})
        assert error_of(answer) == (421, "wrong_host")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert [(entry["code"], entry["request"]) for entry in logs] == [("wrong_host", answer.headers["x-request-id"])]
    assert served.http.post("/api/read", content=b"photo", headers={"host": host}).status_code == 421
    assert served.reader.seen == []
    handshake = (
        f"GET /api/live HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nUpgrade: websocket\r\nConnection: Upgrade"
        "\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    assert statuses(exchange(served, handshake.encode())) == [403]


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8000", "127.0.0.1:1", "[::1]:8000", "192.0.2.7", "bot", "bot.example.org", "pets.example"],
)
def test_our_names_are_answered(serve: Serve, host: str) -> None:
    served = serve(public_url="https://bot.example.org", allowed_hosts="pets.example, other.example")
    assert served.http.get("/healthz", headers={"host": host}).text == "ok"


def test_a_health_check_in_http_1_0_needs_no_host(serve: Serve) -> None:
    assert statuses(exchange(serve(), b"GET /healthz HTTP/1.0\r\n\r\n")) == [200]


@pytest.mark.parametrize("host", ["[", "::", "a:b:c", "localhost:port", "localhost?x", "localhost#x", "\xff.example"])
def test_strange_host_headers_name_nobody(host: str) -> None:
    assert host not in HostNames("https://bot.example.org")


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", "http://[x", ""])
def test_photos_that_pages_of_other_sites_send_are_refused(serve: Serve, origin: str) -> None:
    served = serve(public_url="https://bot.example.org")
    for path in ("/api/read", "/api/mask"):
        answer = served.http.post(path, content=b"photo", headers={"origin": origin})
        assert error_of(answer) == (403, "wrong_origin")
    assert served.reader.seen == []
    for ours in (f"http://127.0.0.1:{served.port}", "https://bot.example.org"):
        assert served.post(headers={"origin": ours}).status_code == 200


def test_a_strangers_forwarded_address_is_not_believed(serve: Serve) -> None:
    served = serve(rate_limit=1)
    found = [served.post(headers={"x-forwarded-for": f"203.0.113.{number}"}).status_code for number in range(3)]
    assert found == [200, 200, 429]


def test_behind_a_trusted_proxy_each_visitor_has_a_share(serve: Serve) -> None:
    served = serve(rate_limit=1, trusted_proxies="127.0.0.0/8, ::1")
    for visitor in ("203.0.113.1", "203.0.113.2"):
        # What the visitor sent stands in front, what the proxy saw behind it.
        found = [
            served.post(headers={"x-forwarded-for": f"192.0.2.{number}, {visitor}"}).status_code for number in range(3)
        ]
        assert found == [200, 200, 429], visitor
    # All of an IPv6 subscriber's addresses are one.
    found = [served.post(headers={"x-forwarded-for": f"2001:db8::{number}"}).status_code for number in range(1, 4)]
    assert found == [200, 200, 429]
    assert served.post(headers={"x-forwarded-for": "2001:db8:0:1::1"}).status_code == 200
    for junk in (b"", b",", b"unknown", b"\xff", b"::", b"1" * 5000):
        assert served.post(headers={b"x-forwarded-for": junk}).status_code in (200, 429), junk


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="needs a socket for both kinds of addresses")
@pytest.mark.parametrize("proxy", ["127.0.0.1", "127.0.0.0/8", "::ffff:127.0.0.1"])
def test_on_a_socket_for_all_addresses_those_of_ipv4_are_still_told_apart(serve: Serve, proxy: str) -> None:
    served = serve(host="::", rate_limit=1, trusted_proxies=proxy)
    for visitor in ("203.0.113.1", "::ffff:203.0.113.2"):
        found = [served.post(headers={"x-forwarded-for": visitor}).status_code for _ in range(3)]
        assert found == [200, 200, 429]


def test_addresses_count_as_they_are_given_out() -> None:
    assert network("192.0.2.1") == "192.0.2.1"
    assert network("2001:db8::1") == network("2001:db8::ffff:1") == "2001:db8::/64"
    assert network("fe80::1%eth0") == "fe80::/64"
    assert network("a:b") == "a:b"
    assert network("::ffff:192.0.2.1") == "192.0.2.1"
    assert "10.1.2.3" in Networks(["10.0.0.0/8"])
    assert "::ffff:10.1.2.3" in Networks(["10.0.0.0/8"])
    assert "10.1.2.3" in Networks(["::ffff:10.1.2.3"])
    assert "unknown" not in Networks(["10.0.0.0/8"])


def test_the_page_is_for_this_machine_unless_told_otherwise() -> None:
    assert Settings.model_fields["host"].default == "127.0.0.1"


# Connections


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.5)
    monkeypatch.setattr(connections, "WRITE_SECONDS", 0.5)
    monkeypatch.setattr(connections, "CLOSE_SECONDS", 0.5)
    monkeypatch.setattr("bot.app.BODY_SECONDS_MORE", 0.2)


@pytest.mark.parametrize("sent", [b"", b"G", GET, GET + b"X-Slow: "])
def test_headers_that_never_end_are_cut(serve: Serve, impatient: None, sent: bytes) -> None:
    served = serve()
    assert exchange(served, sent) == b""
    with served.connect() as connection:  # after an answer, too
        connection.sendall(GET + b"\r\n")
        assert answer_of(connection) == 200
        connection.sendall(sent)
        assert until_closed(connection) == b""
    assert is_alive(served)


@pytest.mark.parametrize("path", [b"/", b"/healthz", b"/nothing", b"/api/read"])
def test_bodies_that_never_end_are_cut_whoever_asks_for_them(serve: Serve, impatient: None, path: bytes) -> None:
    served = serve(request_timeout=0.5)
    head = b"GET " + path + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
    with served.connect() as connection:
        connection.sendall(head)
        connection.settimeout(0.05)

        def is_cut() -> bool:
            try:
                connection.sendall(b"x")  # a byte now and then
                return connection.recv(65536) == b""
            except TimeoutError:
                return False
            except OSError:
                return True

        wait_until(is_cut)
    assert is_alive(served)


def test_an_answer_that_nobody_takes_is_given_up(serve: Serve, impatient: None) -> None:
    served = serve(max_bytes=50_000_000)
    big = b"x" * 40_000_000  # more than the sockets hold
    with served.connect() as connection:
        connection.sendall(b"POST /api/mask HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(big) + big)
        wait_until(lambda: bool(served.reader.seen))
        served.http.close()
        wait_until(lambda: not served.bot._server.server_state.connections)
        assert len(until_closed(connection)) < len(big)
    assert httpx.get(f"http://127.0.0.1:{served.port}/healthz").text == "ok"


def test_an_answer_that_is_taken_slowly_is_given_in_full(serve: Serve, impatient: None) -> None:
    served = serve(max_bytes=50_000_000)
    big = b"x" * 40_000_000
    with served.connect() as connection:
        connection.sendall(b"POST /api/mask HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(big) + big)
        taken = 0
        while taken < len(big):
            chunk = connection.recv(1_000_000)
            assert chunk, f"cut after {taken} bytes"
            taken += len(chunk)
            time.sleep(0.02)


def test_too_many_connections_are_told_to_come_back(serve: Serve) -> None:
    served = serve(connection_limit=4, rate_limit=0)
    held = [served.connect() for _ in range(4)]
    wait_until(lambda: len(served.bot._server.server_state.connections) == 4)
    answer = exchange(served)
    assert statuses(answer) == [503]
    assert b'"busy"' in answer
    assert b"retry-after: 1" in answer.lower()
    for connection in held:
        connection.close()
    wait_until(lambda: len(served.bot._server.server_state.connections) == 0)
    assert is_alive(served)
    assert served.metric("face2emoji_connections_shed_total") == 1


def test_one_address_gets_half_of_the_connections() -> None:
    gate = Gate(6, shares=True, proxies=Networks(["192.0.2.9"]), body_seconds=1, metrics=Metrics())
    assert [gate.enter("2001:db8::1"), gate.enter("2001:db8::2"), gate.enter("2001:db8::3")] == [True] * 3
    assert not gate.enter("2001:db8::4")
    gate.leave("2001:db8::4")
    assert [gate.enter("192.0.2.9") for _ in range(4)] == [True, True, True, False]  # all, but not more
    for _ in range(4):
        gate.leave("192.0.2.9")
    gate.leave("2001:db8::1")
    assert gate.enter("2001:db8::4")


@pytest.mark.parametrize("live_limit", [0, 8])
def test_live_connections_count_among_them_also_those_without_a_place(serve: Serve, live_limit: int) -> None:
    served = serve(connection_limit=3, live_limit=live_limit, rate_limit=0)
    with upgraded(served), upgraded(served), upgraded(served):
        assert statuses(exchange(served)) == [503]
    wait_until(lambda: not served.bot._server.server_state.connections)
    assert is_alive(served)


def test_a_live_connection_without_a_place_does_not_stay(serve: Serve, impatient: None) -> None:
    with upgraded(serve(live_limit=0)) as connection:
        connection.settimeout(3)
        assert b"live_refused" in until_closed(connection)


def test_pings_whose_answers_nobody_takes_are_cut(serve: Serve) -> None:
    served = serve()
    ping = b"\x89\xfd" + bytes(4) + b"x" * 125
    with upgraded(served) as connection, pytest.raises(OSError, match=r"reset|pipe"):
        connection.sendall(ping * 300_000)
    assert is_alive(served)


def test_a_live_answer_that_nobody_takes_is_given_up(serve: Serve, impatient: None) -> None:
    served = serve()
    served.reader.answers[b"frame"] = UnreadableImage("x" * 20_000_000)  # more than the sockets hold
    with upgraded(served) as connection:
        connection.sendall(b"\x82\x85" + bytes(4) + b"frame")
        wait_until(lambda: bool(served.reader.seen))
        wait_until(lambda: not served.bot._server.server_state.connections)
    assert is_alive(served)


@pytest.mark.parametrize("behind_it", [b"", b"GET " + UPGRADE + KEY + b"\r\n"])
def test_the_rest_of_an_answer_that_nobody_takes_is_given_up(serve: Serve, impatient: None, behind_it: bytes) -> None:
    served = serve()
    rest = 40_000  # less than asyncio's high-water mark
    with served.connect(taking=4096) as connection:
        wait_until(lambda: bool(served.bot._server.server_state.connections))
        (ours,) = served.bot._server.server_state.connections
        ours.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        photo = b"POST /api/mask HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % rest + b"x" * rest
        connection.sendall(photo + behind_it)
        wait_until(lambda: bool(served.reader.seen))
        wait_until(lambda: not served.bot._server.server_state.connections)
        assert len(until_closed(connection)) < rest
    assert is_alive(served)


@pytest.mark.parametrize(
    "request_",
    [
        b"POST " + UPGRADE + KEY + b"Content-Length: 5\r\n\r\nphoto",
        b"GET " + UPGRADE + KEY + b"Content-Length: 5\r\n\r\nphoto",
        b"GET " + UPGRADE + KEY + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET " + UPGRADE + KEY + b"X: " + b"a" * 10_000 + b"\r\n\r\n",
        b"GET " + UPGRADE + KEY + b"X: a\r\n" * 200 + b"\r\n",
        b"GET /?" + b"a" * 10_000 + UPGRADE + KEY + b"\r\n",
    ],
)
def test_what_is_no_handshake_is_refused_and_does_not_stay(
    serve: Serve, request_: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    served = serve()
    answer = exchange(served, request_)
    assert statuses(answer) == [400]
    assert BadRequest.handshake.encode() in answer
    assert b"x-content-type-options: nosniff" in answer.lower()
    assert is_alive(served)
    assert [record.message for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")] == []


# Requests that two readers may understand in two ways


@pytest.mark.parametrize(
    "request_",
    [
        POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + GET + b"\r\n",
        POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + GET + b"\r\n",
        POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nphoto" + GET + b"\r\n",
        POST + b"Content-Length: 5, 6\r\n\r\nphoto" + GET + b"\r\n",
        POST + b"Content-Length: +5\r\n\r\nphoto" + GET + b"\r\n",
        POST + b"Content-Length: -5\r\n\r\nphoto" + GET + b"\r\n",
        POST + b"Content-Length: 0x5\r\n\r\nphoto" + GET + b"\r\n",
        POST + b"Content-Length : 5\r\n\r\nphoto" + GET + b"\r\n",
        POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + GET + b"\r\n",
        POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + GET + b"\r\n",
        POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + GET + b"\r\n",
        POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + GET + b"\r\n",
        POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n" + GET + b"\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n" + GET + b"\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\n0x1\r\nx\r\n0\r\n\r\n" + GET + b"\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nphotoGET" + GET + b"\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n" + GET + b"\r\n",
        b"GET /healthz HTTP/1.1\r\n\r\n" + GET + b"\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nX\x00Y: z\r\n\r\n" + GET + b"\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n" + GET + b"\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: a\rGET / HTTP/1.1\r\n\r\n" + GET + b"\r\n",
        b"GET /health\x00z HTTP/1.1\r\nHost: x\r\n\r\n" + GET + b"\r\n",
        b"GET /health z HTTP/1.1\r\nHost: x\r\n\r\n" + GET + b"\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 50,
        b"\r\n\r\n\x00\x00\x00" * 10,
        b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        GET + b"X: " + b"a" * 1_000_000 + b"\r\n\r\n",
        GET + b"X: a\r\n" * 150_000 + b"\r\n",
    ],
)
def test_a_doubtful_request_is_refused_and_what_follows_it_is_not_read(
    serve: Serve, request_: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    served = serve()
    found = statuses(exchange(served, request_))
    assert len(found) <= 1
    assert set(found) <= {400, 404, 501}
    assert served.reader.seen == []
    assert served.metric('face2emoji_http_requests_total{path="/healthz",status="200"}') == 0
    assert is_alive(served)
    assert [record.message for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")] == []


def test_a_body_broken_behind_its_answer_leaves_no_traceback(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    served = serve()
    with served.connect() as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert answer_of(connection) == 200
        connection.sendall(b"no size\r\n")
        assert until_closed(connection) == b""
    assert is_alive(served)
    assert [record.message for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")] == []


# Paths and methods


@pytest.mark.parametrize(
    "path",
    [
        "/static/../../README.md",
        "/static/..%2f..%2fREADME.md",
        "/static/%2e%2e/%2e%2e/README.md",
        "/static/..%5c..%5cREADME.md",
        "/static/....//....//README.md",
        "/static/%252e%252e/settings.py",
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
        "/static/app.js%00.png",
        "/static/%00",
        "/static/",
        "/static/" + "a" * 5000,
        "/static/" + "a/" * 5000,
        "/static/%ff%fe",
        "//healthz/..",
        "/%00",
        "/emoji/%00.svg",
        "/emoji/..%2f..%2fREADME.svg",
        "/emoji/" + "1F600-" * 200 + "1F600.svg",
        "/.env",
        "/.git/config",
        "/bot/settings.py",
        "*",
        "http://127.0.0.1/healthz",
    ],
)
def test_no_path_leads_out(serve: Serve, path: str) -> None:
    served = serve()
    answer = exchange(served, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert statuses(answer) == [404]
    assert b'"not_found"' in answer


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "OPTIONS", "CONNECT", "COFFEE", "get"])
def test_only_the_methods_of_an_address_are_taken(serve: Serve, method: str) -> None:
    served = serve()
    for path in (
        "/",
        "/api/read",
        "/api/mask",
        "/healthz",
        "/readyz",
        "/metrics",
        "/emoji/1F600.svg",
        "/static/app.js",
    ):
        request = f"{method} {path} HTTP/1.1\r\nHost: x\r\nX-Secret: mirror\r\nConnection: close\r\n\r\n"
        answer = exchange(served, request.encode())
        assert statuses(answer) == [405], path
        assert b"mirror" not in answer
    assert served.reader.seen == []


def test_methods_are_not_overridden_by_headers(serve: Serve) -> None:
    served = serve()
    for name in ("x-http-method-override", "x-http-method", "x-method-override"):
        assert served.http.get("/api/read", headers={name: "POST"}).status_code == 405
    for name in ("x-original-url", "x-rewrite-url"):
        assert served.http.get("/nothing", headers={name: "/metrics"}).status_code == 404
