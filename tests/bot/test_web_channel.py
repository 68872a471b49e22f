"""The web API over real sockets: every status code, every bound."""

from __future__ import annotations

import socket
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import httpx
import pytest
import structlog
from structlog.testing import capture_logs

from bot.web_channel import HEADERS
from inference import (
    Box,
    FaceReading,
    ImageTooLarge,
    PhotoError,
    Reading,
    UnreadableImage,
    UnsupportedFormat,
    load_emoji_map,
)
from tests.bot.served import READING, ObedientReader, Serve, Served, error_of, wait_until


def raw_answer(connection: socket.socket) -> tuple[int, bytes]:
    """Status and whole answer of a connection that the server closes."""
    data = b""
    while chunk := connection.recv(65536):
        data += chunk
    return int(data.split(b" ", 2)[1]), data


def send_for(seconds: float, connection: socket.socket, data: bytes) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        connection.sendall(data)


def later(served: Served, data: bytes, **options: Any) -> Future[httpx.Response]:
    """Post on a connection of its own, in the background."""
    pool = ThreadPoolExecutor(1)
    future = pool.submit(httpx.post, f"http://127.0.0.1:{served.port}/api/read", content=data, timeout=10, **options)
    pool.shutdown(wait=False)
    return future


def test_a_photo_is_answered_with_its_reading(serve: Serve) -> None:
    served = serve()
    response = served.post(b"photo", headers={"content-type": "image/jpeg"})
    assert response.status_code == 200
    assert response.json() == READING.to_json()
    assert served.reader.seen == [b"photo"]


def test_a_photo_is_answered_with_its_faces_covered(serve: Serve) -> None:
    served = serve()
    response = served.mask()
    assert (response.status_code, response.content) == (200, b"masked:photo")
    assert response.headers["content-type"] == "image/jpeg"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-faces-covered"] == "0"
    assert served.mask(query="?everyone=1").content == b"everyone:photo"
    assert served.metric('face2emoji_http_requests_total{path="/api/mask",status="200"}') == 2


def test_a_photo_to_mask_is_refused_as_one_to_read_is(serve: Serve) -> None:
    served = serve(max_bytes=1000, rate_limit=1000)
    served.reader.answers[b"damaged"] = UnreadableImage("damaged, send another one")
    assert error_of(served.mask(b"damaged")) == (400, "unreadable_image")
    assert error_of(served.mask(b"")) == (400, "unreadable_image")
    assert error_of(served.mask(b"x" * 1001)) == (413, "image_too_large")
    assert error_of(served.mask(headers={"content-type": "text/plain"})) == (422, "wrong_content_type")
    assert error_of(served.http.get("/api/mask")) == (405, "method_not_allowed")


def test_curl_without_a_content_type_is_welcome(serve: Serve) -> None:
    served = serve()
    assert served.post().status_code == 200
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert served.post(headers=form).status_code == 200
    served.reader.answers[b"bad"] = UnreadableImage("It is damaged.")
    form = {"content-type": "Application/x-www-form-urlencoded"}
    said = [served.post(b"bad", headers=headers).json()["error"]["message"] for headers in (None, form)]
    assert said[0] == "It is damaged."
    assert said[1].startswith("It is damaged. With curl it is --data-binary")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UnreadableImage("damaged, send another one"), 400),
        (ImageTooLarge("the photo has far too many pixels"), 413),
        (UnsupportedFormat("this is not a picture"), 415),
    ],
)
def test_the_readers_errors_keep_their_code_and_sentence(serve: Serve, error: PhotoError, status: int) -> None:
    served = serve()
    served.reader.answers[b"photo"] = error
    response = served.post()
    assert error_of(response) == (status, error.code)
    assert response.json()["error"]["message"] == error.message
    assert "connection" not in response.headers


def test_a_mistake_of_ours_is_a_plain_500_and_the_worker_lives_on(serve: Serve) -> None:
    served = serve(workers=1)
    served.reader.answers[b"secret pixels"] = ValueError("cannot handle secret pixels")
    with capture_logs() as logs:
        response = served.post(b"secret pixels")
    assert error_of(response) == (500, "internal_error")
    assert "secret" not in response.text
    assert [entry["kind"] for entry in logs if entry["event"] == "photo_failed"] == ["ValueError"]
    assert "secret" not in repr(logs)
    assert served.post(b"another").status_code == 200


def test_a_mistake_in_the_web_channel_itself_has_the_same_shape(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    served = serve()
    monkeypatch.setattr(served.reader, "read", lambda data, main_only, before: None)
    response = served.post()
    assert error_of(response) == (500, "internal_error")
    assert response.headers["x-content-type-options"] == "nosniff"
    wait_until(lambda: "AttributeError" in caplog.text)


def test_an_empty_body_is_400(serve: Serve) -> None:
    served = serve()
    assert error_of(served.post(b"")) == (400, "unreadable_image")
    assert not served.reader.seen


def test_a_large_photo_is_refused_but_its_connection_lives_on(serve: Serve) -> None:
    served = serve(max_bytes=1_000_000)
    response = served.post(b"x" * 1_000_001)
    assert error_of(response) == (413, "image_too_large")
    assert "connection" not in response.headers
    assert served.post(b"x" * 1_000_000).status_code == 200
    assert [len(data) for data in served.reader.seen] == [1_000_000]


def test_a_huge_announced_length_is_refused_before_the_body_comes(serve: Serve) -> None:
    served = serve(max_bytes=1000)
    with served.connect() as connection:
        connection.sendall(b"POST /api/read HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n")
        status, answer = raw_answer(connection)
    assert status == 413
    assert b"image_too_large" in answer


def test_expect_continue_is_refused_without_inviting_the_body(serve: Serve) -> None:
    served = serve(max_bytes=1000)
    started = time.monotonic()
    with served.connect() as connection:
        connection.sendall(
            b"POST /api/read HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 99999999\r\n\r\n"
        )
        status, _ = raw_answer(connection)
    assert status == 413
    assert time.monotonic() - started < 0.9


def test_an_endless_body_of_unknown_length_is_cut(serve: Serve) -> None:
    served = serve(max_bytes=1_000_000)
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    with served.connect() as connection:
        connection.sendall(b"POST /api/read HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            send_for(8, connection, chunk)
    assert served.metric('face2emoji_http_requests_total{path="/api/read",status="413"}') == 1
    assert not served.reader.seen


def test_a_body_of_unknown_length_within_the_limit_is_read(serve: Serve) -> None:
    served = serve(max_bytes=10)
    response = served.http.post("/api/read", content=iter([b"12345", b"67890"]))
    assert response.status_code == 200
    assert served.reader.seen == [b"1234567890"]


def test_a_slow_body_is_cut_off(serve: Serve) -> None:
    served = serve(request_timeout=0.3)
    with served.connect() as connection:
        connection.sendall(b"POST /api/read HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nfirst bytes")
        status, answer = raw_answer(connection)
    assert status == 408
    assert b"too_slow" in answer


def test_the_bytes_of_all_bodies_together_are_bounded(serve: Serve) -> None:
    served = serve(max_bytes=100_000)
    arriving = [served.connect() for _ in range(9)]
    for connection in arriving:
        connection.sendall(b"POST /api/read HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + b"x" * 99_000)
    # 9 x 99,000 is more than 8 photos' worth: one of them is told to come back, the others go on.
    wait_until(lambda: served.metric('face2emoji_http_requests_total{path="/api/read",status="503"}') == 1)
    answers = []
    for connection in arriving:
        connection.sendall(b"x" * 1000)
        answers.append(connection.recv(12)[-3:])
        connection.close()
    assert sorted(answers) == [b"200"] * 8 + [b"503"]
    assert {len(data) for data in served.reader.seen} == {100_000}


@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=x", "application/json", "Text/Plain; charset=utf-8"])
def test_forms_json_and_text_are_told_to_send_the_bytes(serve: Serve, kind: str) -> None:
    served = serve()
    response = served.post(headers={"content-type": kind})
    assert error_of(response) == (422, "wrong_content_type")
    assert "bytes" in response.json()["error"]["message"]
    assert not served.reader.seen


def test_a_compressed_body_is_told_to_come_as_it_is(serve: Serve) -> None:
    served = serve()
    response = served.post(headers={"content-encoding": "gzip"})
    assert error_of(response) == (422, "wrong_content_type")
    assert "Content-Encoding" in response.json()["error"]["message"]
    assert not served.reader.seen
    assert served.post(headers={"content-encoding": "identity"}).status_code == 200


def test_more_than_its_share_is_429_for_that_address(serve: Serve) -> None:
    served = serve(rate_limit=1)
    responses = [served.post() for _ in range(3)]
    assert [response.status_code for response in responses] == [200, 200, 429]
    assert error_of(responses[2]) == (429, "rate_limited")
    assert responses[2].headers["retry-after"] == "1"
    assert served.http.get("/").status_code == 200


def test_a_camera_at_full_speed_is_never_limited(serve: Serve) -> None:
    served = serve()
    started = time.monotonic()
    assert {served.post().status_code for _ in range(100)} == {200}
    assert time.monotonic() - started < 3, "40 ms an answer: Nagle's algorithm is at work"


def test_a_full_line_is_503_with_retry_after(serve: Serve) -> None:
    served = serve(workers=1, queue_limit=1)
    served.reader.may_read.clear()
    being_read = later(served, b"first")
    wait_until(lambda: served.reader.seen == [b"first"])
    waiting = later(served, b"second")
    wait_until(lambda: served.metric("face2emoji_waiting_photos") == 1)
    response = served.post(b"third")
    assert error_of(response) == (503, "busy")
    assert response.headers["retry-after"] == "1"
    served.reader.may_read.set()
    assert [being_read.result().status_code, waiting.result().status_code] == [200, 200]
    assert served.reader.seen == [b"first", b"second"]


def test_one_address_gets_half_of_the_line(serve: Serve) -> None:
    served = serve(workers=1, queue_limit=4, rate_limit=1000, trusted_proxies="127.0.0.1")
    served.reader.may_read.clear()

    def visit(number: int) -> Future[httpx.Response]:
        return later(served, b"photo", headers={"x-forwarded-for": f"203.0.113.{number}"})

    answers = [visit(1)]
    wait_until(lambda: served.reader.seen == [b"photo"])
    answers += [visit(1), visit(1)]
    wait_until(lambda: served.metric("face2emoji_waiting_photos") == 2)
    assert error_of(visit(1).result()) == (429, "rate_limited")
    answers += [visit(2), visit(3)]
    wait_until(lambda: served.metric("face2emoji_waiting_photos") == 4)
    assert error_of(visit(4).result()) == (503, "busy")
    served.reader.may_read.set()
    assert [answer.result().status_code for answer in answers] == [200] * 5
    assert served.bot._service._waiting == {}


def test_waiting_too_long_is_503_and_the_photo_is_dropped(serve: Serve) -> None:
    served = serve(workers=1, request_timeout=0.5)
    served.reader.may_read.clear()
    responses = [later(served, b"first"), later(served, b"second")]
    assert [error_of(response.result()) for response in responses] == [(503, "busy")] * 2
    served.reader.may_read.set()
    assert served.post(b"third").status_code == 200
    assert served.reader.seen[1:] == [b"third"]


def test_what_a_client_that_left_had_waiting_is_not_read(serve: Serve) -> None:
    served = serve(workers=1)
    served.reader.may_read.clear()
    first = later(served, b"first")
    wait_until(lambda: served.reader.seen == [b"first"])
    with served.connect() as connection:
        connection.sendall(b"POST /api/read HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nsecond")
        wait_until(lambda: served.metric("face2emoji_waiting_photos") == 1)
    wait_until(lambda: served.metric("face2emoji_waiting_photos") == 0)
    served.reader.may_read.set()
    assert first.result().status_code == 200
    assert served.post(b"third").status_code == 200
    assert served.reader.seen == [b"first", b"third"]
    assert served.metric('face2emoji_photos_total{outcome="dropped"}') == 1


def test_everything_else_answers_while_a_photo_is_read(serve: Serve) -> None:
    served = serve(workers=1)
    served.reader.may_read.clear()
    photo = later(served, b"photo")
    wait_until(lambda: bool(served.reader.seen))
    started = time.monotonic()
    for path in ("/healthz", "/readyz", "/", "/metrics"):
        assert served.http.get(path).status_code == 200
    assert time.monotonic() - started < 1
    assert not photo.done()


def test_the_page_answers_at_once_and_photos_wait_for_the_model(serve: Serve, reader: ObedientReader) -> None:
    reader.may_load.clear()
    served = serve()
    assert served.http.get("/").status_code == 200
    assert served.http.get("/healthz").status_code == 200
    for response in (served.http.get("/readyz"), served.post()):
        assert error_of(response) == (503, "not_ready")
        assert response.headers["retry-after"] == "2"
    assert not served.lines
    reader.may_load.set()
    wait_until(lambda: served.http.get("/readyz").status_code == 200)
    assert served.post().status_code == 200
    wait_until(lambda: bool(served.lines))
    assert f"http://127.0.0.1:{served.port}" in served.lines[0]


def test_stopping_lets_a_photo_under_way_finish(serve: Serve) -> None:
    served = serve(workers=1)
    served.reader.may_read.clear()
    photo = later(served, b"photo")
    wait_until(lambda: bool(served.reader.seen))
    served.bot.stop()
    time.sleep(0.3)
    assert not photo.done()
    served.reader.may_read.set()
    assert photo.result().status_code == 200
    wait_until(lambda: served.reader.closes == 1)


def test_unknown_addresses_and_methods_answer_in_the_same_shape(serve: Serve) -> None:
    served = serve()
    assert error_of(served.http.get("/nothing")) == (404, "not_found")
    assert error_of(served.http.get("/static/../settings.py")) == (404, "not_found")
    assert error_of(served.http.get("/static/%2e%2e/settings.py")) == (404, "not_found")
    response = served.http.get("/api/read")
    assert error_of(response) == (405, "method_not_allowed")
    assert response.headers["allow"] == "POST"


def test_every_answer_carries_the_safety_headers(serve: Serve) -> None:
    served = serve()
    served.reader.answers[b"bad"] = RuntimeError()
    answers = [served.http.get(path) for path in ("/", "/static/app.js", "/nothing", "/metrics")]
    answers += [served.post(), served.post(b"bad"), served.post(b"")]
    for response in answers:
        for name, value in HEADERS.items():
            assert response.headers[name.decode()] == value.decode(), response.url
        assert "server" not in response.headers
        assert "access-control-allow-origin" not in response.headers
    assert "unsafe" not in answers[0].headers["content-security-policy"]
    assert [r.headers["cache-control"] for r in answers[:2]] == ["no-cache"] * 2
    assert {r.headers["cache-control"] for r in answers[2:]} == {"no-store"}


def test_an_answer_and_its_lines_in_the_log_have_one_id(serve: Serve) -> None:
    served = serve()
    served.reader.answers[b"bad"] = UnreadableImage("damaged, send another one")
    with capture_logs([structlog.contextvars.merge_contextvars]) as logs:
        answers = [served.post(b"bad", headers={"x-request-id": "mine"}), served.post(b"photo"), served.post(b"bad")]
    ids = [answer.headers["x-request-id"] for answer in answers]
    assert len(set(ids)) == 3
    assert "mine" not in ids
    assert [(entry["event"], entry["request"]) for entry in logs] == [("refused", ids[0]), ("refused", ids[2])]


def test_an_unchanged_page_is_not_sent_twice(serve: Serve) -> None:
    served = serve()
    for path in ("/", "/static/app.js", "/static/style.css"):
        first = served.http.get(path)
        again = served.http.get(path, headers={"if-none-match": first.headers["etag"]})
        assert (first.status_code, again.status_code, again.content) == (200, 304, b"")


def test_the_metrics_count_and_name_nobody(serve: Serve) -> None:
    served = serve()
    served.reader.answers[b"bad"] = UnreadableImage("damaged, send another one")
    served.post(headers={"x-forwarded-for": "203.0.113.9", "user-agent": "somebody"})
    served.post(b"bad")
    served.http.get("/somebodys/photo.jpg")
    text = served.http.get("/metrics").text
    for private in ("127.0.0.1", "203.0.113.9", "somebody", "photo.jpg", str(served.port)):
        assert private not in text
    assert served.metric('face2emoji_photos_total{outcome="read"}') == 1
    assert served.metric('face2emoji_photos_total{outcome="unreadable_image"}') == 1
    assert served.metric('face2emoji_http_requests_total{path="other",status="404"}') == 1
    assert served.metric("face2emoji_read_seconds_count") == 2
    assert served.metric("process_resident_memory_bytes") > 1e6


def test_an_explanation_comes_when_it_is_asked_for(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    served = serve()
    chosen = load_emoji_map().choose({"happy": 1.0}, {"smile_open": 0.9})
    face = FaceReading(Box(0, 0, 2, 2), "happy", 1.0, {"happy": 1.0}, {"smile_open": 0.9}, chosen.emoji, chosen.rule)
    reading = Reading(4, 3, (face,), face.emoji)
    monkeypatch.setattr(served.reader, "read", lambda data, main_only, before: reading)
    assert served.post().json() == reading.to_json()
    (shown,) = served.http.post("/api/read?explain=1", content=b"photo").json()["faces"]
    explanation = shown.pop("explanation")
    assert shown == face.to_json()
    assert explanation["speaks"] == {"smile_open": ["happy"]}
    assert [objection for emoji, why, objection in explanation["passed"] if emoji == "😎"] == ["not seen: eyes_covered"]


@pytest.mark.parametrize("query", ["explain=maybe", "explain=", "explain=true", "explain=1&explain=0"])
def test_a_switch_with_another_value_is_refused_in_words(serve: Serve, query: str) -> None:
    served = serve()
    response = served.http.post(f"/api/read?{query}", content=b"photo")
    assert error_of(response) == (422, "wrong_switch")
    assert response.json()["error"]["message"] == "?explain= takes 1 for yes or 0 for no."
    assert error_of(served.mask(query="?everyone=2")) == (422, "wrong_switch")
    misspelt = served.http.post("/api/read?explian=1", content=b"photo")
    assert error_of(misspelt) == (422, "wrong_switch")
    assert misspelt.json()["error"]["message"] == "There is no ?explian= here, only ?explain=1."
    assert served.reader.seen == []
    assert served.http.post("/api/read?explain=0", content=b"photo").json() == READING.to_json()


def test_emoji_are_served_as_drawings(serve: Serve) -> None:
    served = serve()
    for points in ("1F600", "2764-FE0F", "1F636-200D-1F32B-FE0F"):
        drawing = served.http.get(f"/emoji/{points}.svg")
        assert drawing.headers["content-type"] == "image/svg+xml"
        assert drawing.headers["cache-control"].endswith("immutable")
        assert drawing.text.startswith("<svg")
        assert ' width="72" height="72" ' in drawing.text
    for points in ("41", "1F600-", "zz", "..%2fsettings", "110000", "D800"):
        nothing = served.http.get(f"/emoji/{points}.svg")
        assert error_of(nothing) == (404, "not_found")
        assert nothing.headers["cache-control"] == "no-store"
    assert served.metric('face2emoji_http_requests_total{path="/emoji",status="200"}') == 3
