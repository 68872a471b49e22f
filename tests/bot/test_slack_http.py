"""Events that Slack brings over HTTP: nothing is taken without its signature, nothing is confirmed unstored."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
import pytest
from structlog.testing import capture_logs

from bot.slack_channel import MOST_REQUEST_BYTES
from bot.slack_manifest import EVENTS_PATH
from tests.bot.running_bot import HAPPY, SAD
from tests.bot.served import wait_until
from tests.bot.slack_served import SlackBot, header_of
from tests.bot.slack_server import SlackServer
from tests.bot.slack_world import ADA, BOT_TOKEN, EVE, SIGNING_SECRET, TEAM, Delivery

FORM = "application/x-www-form-urlencoded"


@pytest.fixture(scope="module")
def shared_slack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlackBot]:
    """Instead of the one in Socket Mode; a proxy in front of it, which ends https, is left out."""
    with SlackServer() as server, SlackBot(tmp_path_factory.mktemp("http"), server, transport="http") as bot:
        yield bot


def signature(body: bytes, at: str, secret: str = SIGNING_SECRET) -> str:
    return "v0=" + hmac.new(secret.encode(), b"v0:" + at.encode() + b":" + body, hashlib.sha256).hexdigest()


def post(slack: SlackBot, body: bytes, *, kind: str = "application/json", ago: float = 0) -> httpx.Response:
    """Post this as Slack would."""
    at = str(int(time.time() - ago))
    headers = {"Content-Type": kind, "X-Slack-Request-Timestamp": at, "X-Slack-Signature": signature(body, at)}
    return slack.http.post(EVENTS_PATH, content=body, headers=headers)


def photo_event(slack: SlackBot, **changes: Any) -> tuple[str, str, bytes]:
    """Return somebody new, their direct messages with the bot, and the event of a photo there that nobody delivers."""
    user = slack.person()
    dm = slack.server.dm(user)
    event = slack.server.photo(HAPPY, dm, user, deliver=False)
    authorizations = [{"team_id": TEAM, "enterprise_id": None, "is_enterprise_install": False}]
    payload = {"type": "event_callback", "team_id": TEAM, "event": event, "authorizations": authorizations}
    return user, dm, json.dumps(payload | changes).encode()


def statuses(delivery: Delivery) -> list[int | None]:
    return [attempt.status for attempt in delivery.attempts]


# The signature


def test_what_is_signed_is_answered(slack: SlackBot) -> None:
    _, dm, body = photo_event(slack)
    assert (post(slack, body).status_code, post(slack, body, ago=290).status_code) == (200, 200)
    slack.settle()
    assert [header_of(sent) for sent in slack.said(dm)] == ["😄"]


@pytest.mark.parametrize(
    "wrong",
    [
        "no signature",
        "no time",
        "other secret",
        "other body",
        "other time",
        "older than five minutes",
        "from the future",
        "time is no number",
        "signature is no ASCII",
        "empty signature",
    ],
)
def test_nobody_else_can_bring_events(slack: SlackBot, wrong: str) -> None:
    user, _, body = photo_event(slack)
    now = time.time()
    at = str(int({"older than five minutes": now - 310, "from the future": now + 310}.get(wrong, now)))
    signed = {
        "other secret": signature(body, at, "0" * 32),
        "other body": signature(body + b" ", at),
        "other time": signature(body, str(int(now) - 1)),
        "time is no number": signature(body, "soon"),
        "signature is no ASCII": "v0=é",
        "empty signature": "",
    }.get(wrong, signature(body, at))
    headers = {
        b"Content-Type": b"application/json",
        b"X-Slack-Request-Timestamp": b"soon" if wrong == "time is no number" else at.encode(),
        b"X-Slack-Signature": signed.encode(),
    }
    headers.pop({"no signature": b"X-Slack-Signature", "no time": b"X-Slack-Request-Timestamp"}.get(wrong, b""), None)
    with capture_logs() as logs:
        response = slack.http.post(EVENTS_PATH, content=body, headers=headers)
    assert response.status_code == 401
    assert slack.traces(user) == []
    assert (logs, [call for call in slack.server.calls if call.method != "auth.test"]) == ([], [])


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Slack-Request-Timestamp": "1"},
        {"X-Slack-Signature": "v0=0"},
        {"X-Slack-Request-Timestamp": ""},
        {"X-Slack-Request-Timestamp": "9" * 400, "X-Slack-Signature": "v0=0"},
    ],
)
def test_a_stranger_s_body_is_not_waited_for(slack: SlackBot, headers: dict[str, str]) -> None:
    if headers == {"X-Slack-Request-Timestamp": "1"}:
        headers |= {"X-Slack-Signature": "v0=0"}  # once right, perhaps
    url = urlsplit(str(slack.http.base_url))
    head = [f"POST {EVENTS_PATH} HTTP/1.1", f"Host: {url.netloc}", "Content-Length: 900000"]
    head += [f"{name}: {value}" for name, value in headers.items()]
    with socket.create_connection((url.hostname, url.port), timeout=5) as connection:
        connection.sendall("\r\n".join([*head, "", ""]).encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize("body", [b"junk", b"[]", b"7", b"null", b"{", b"\xff\xfe", b"payload=7", b"[" * 100_000])
def test_junk_without_a_signature_is_refused(slack: SlackBot, body: bytes, caplog: pytest.LogCaptureFixture) -> None:
    for kind in ("application/json", FORM):
        response = slack.http.post(EVENTS_PATH, content=body, headers={"Content-Type": kind})
        assert response.status_code in (400, 401)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_challenge_is_answered_to_slack_alone(slack: SlackBot) -> None:
    assert slack.server.verify_url()
    challenge = {"type": "url_verification", "challenge": "c", "token": "t"}
    assert slack.http.post(EVENTS_PATH, json=challenge).status_code == 401


# What comes


def test_what_comes_again_is_answered_once(slack: SlackBot) -> None:
    user, channel = slack.person(), slack.channel(auto=True)
    dm = slack.server.dm(user)
    message = slack.server.photo(HAPPY, channel, user)
    slack.server.photo(SAD, dm, user)
    deliveries = slack.server.deliveries[-2:]
    for _ in range(2):
        for delivery in deliveries:
            slack.server.again(delivery.id, "http_timeout")
        slack.settle()
    wait_until(lambda: [statuses(delivery) for delivery in deliveries] == [[200] * 3] * 2)
    slack.settle()
    assert slack.reacted(message) == ["smile"]
    assert [header_of(sent) for sent in slack.said(dm)] == ["😢"]
    assert {attempt.via for delivery in deliveries for attempt in delivery.attempts} == {"http"}


JUNK: list[tuple[bytes, str]] = [
    *((body, "application/json") for body in (b"", b"junk", b"[]", b"7", b"null", b"{}", b"\xff\xfe", b"[" * 100_000)),
    *((body, FORM) for body in (b"", b"junk", b"payload=", b"payload=7", b"payload={}", b"payload=[]", b"payload={")),
    *(
        (json.dumps({"team_id": TEAM, **content}).encode(), "application/json")
        for content in (
            {"type": "event_callback"},
            {"type": "event_callback", "event": 7},
            {"type": "event_callback", "event": {}},
            {"type": "event_callback", "event": {"type": "message", "channel": 7, "user": {}, "ts": []}},
            {"type": "event_callback", "event": {"type": "app_mention"}, "authorizations": 7},
            {"type": "of_the_future"},
        )
    ),
    *(
        (urlencode({"payload": json.dumps({"team": {"id": TEAM}, "user": {"id": ADA}, **content})}).encode(), FORM)
        for content in (
            {"type": "block_actions"},
            {"type": "block_actions", "actions": []},
            {"type": "block_actions", "actions": [{"action_id": "feedback-0-0", "value": "x"}]},
            {"type": "block_actions", "actions": [{"action_id": "x"}]},
            {"type": "view_submission", "view": {}},
            {"type": "view_submission", "view": {"id": "V1", "callback_id": "x", "state": {"values": {}}}},
            {"type": "view_closed", "view": {}},
            {"type": "message_action", "callback_id": "read_message"},
            {"type": "shortcut"},
            {"type": "of_the_future"},
        )
    ),
    (urlencode({"command": "/face2emoji", "team_id": TEAM}).encode(), FORM),
]


@pytest.mark.parametrize(("body", "kind"), JUNK)
def test_junk_that_is_signed_is_dropped_and_does_not_come_again(
    slack: SlackBot, body: bytes, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert post(slack, body, kind=kind).status_code < 500
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []
    assert post(slack, photo_event(slack)[2]).status_code == 200


@pytest.mark.parametrize("in_pieces", [False, True])
def test_a_request_has_no_more_than_a_megabyte(slack: SlackBot, in_pieces: bool) -> None:
    user, _, body = photo_event(slack, more="x" * MOST_REQUEST_BYTES)
    at = str(int(time.time()))
    headers = {
        "Content-Type": "application/json",
        "X-Slack-Request-Timestamp": at,
        "X-Slack-Signature": signature(body, at),
    }
    pieces = (body[start : start + 50_000] for start in range(0, len(body), 50_000))
    response = slack.http.post(EVENTS_PATH, content=pieces if in_pieces else body, headers=headers)
    assert response.status_code == 413
    assert slack.traces(user) == []


def test_who_hangs_up_half_way_is_no_error_of_ours(slack: SlackBot, caplog: pytest.LogCaptureFixture) -> None:
    server = urlsplit(slack.url)
    with closing(socket.create_connection((server.hostname, server.port), timeout=10)) as connection:
        connection.sendall(f"POST {EVENTS_PATH} HTTP/1.1\r\nHost: bot\r\nContent-Length: 1000\r\n\r\nhalf".encode())
        time.sleep(0.2)
    time.sleep(0.2)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []
    assert slack.http.get("/healthz").status_code == 200


def test_an_event_of_a_workspace_that_has_us_not_is_confirmed_and_dropped(slack: SlackBot) -> None:
    stranger = [{"team_id": "T0STRANGE", "enterprise_id": None, "is_enterprise_install": False}]
    user, dm, body = photo_event(slack, team_id="T0STRANGE", authorizations=stranger)
    assert post(slack, body).status_code == 200
    slack.settle()
    assert (slack.traces(user), slack.said(dm)) == ([], [])


def test_a_command_is_confirmed_without_words_and_a_window_with_its_problem(slack: SlackBot) -> None:
    channel = slack.channel(members=[ADA])
    command = slack.server.command("/face2emoji", "", channel)
    viewed = slack.wait_for_view(ADA)
    assert (command.state, command.answer) == ("acknowledged", "")
    text = slack.server.file(b"text", name="notes.txt", mimetype="text/plain")
    wrong = slack.server.submit_view(viewed, files=[text])
    slack.settle()
    assert wrong.answer["response_action"] == "errors"
    right = slack.server.submit_view(viewed, files=[SAD])
    slack.settle()
    assert right.answer == ""
    assert [(sent.ephemeral_to, header_of(sent)) for sent in slack.said(channel)] == [(ADA, "😢")]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD"])
def test_only_posts_are_taken(slack: SlackBot, method: str) -> None:
    assert slack.http.request(method, EVENTS_PATH).status_code == 405


def test_one_workspace_has_nothing_to_install(slack: SlackBot) -> None:
    for path in ("/slack/install", "/slack/oauth_redirect"):
        assert slack.http.get(path).status_code == 404


# What cannot be taken


def test_what_cannot_be_stored_comes_again(slack: SlackBot) -> None:
    def rename(old: str, new: str) -> None:
        with closing(sqlite3.connect(slack.database, timeout=30)) as connection:
            connection.execute(f"ALTER TABLE {old} RENAME TO {new}")
            connection.commit()

    user = slack.person()
    dm = slack.server.dm(user)
    slack.server.configure(retries=[0.2] * 50)
    rename("workflow_status", "away")
    try:
        with capture_logs() as logs:
            slack.server.photo(HAPPY, dm, user)
            (delivery,) = slack.server.deliveries
            wait_until(lambda: len(statuses(delivery)) >= 3)
    finally:
        rename("away", "workflow_status")
    slack.settle()
    slack.server.configure(retries=[0.3] * 3)
    *before, last = statuses(delivery)
    assert (set(before), last) == ({503}, 200)
    assert [header_of(sent) for sent in slack.said(dm)] == ["😄"]
    assert {entry["event"] for entry in logs} == {"event_not_stored"}


def test_what_comes_before_the_bot_is_ready_comes_again(slack: SlackBot) -> None:
    user = slack.person()
    dm = slack.server.dm(user)
    slack.server.configure(retries=[0.2] * 50)
    slack.stop()
    slack.lines.clear()
    slack.reader.may_load.clear()
    slack.start()
    try:
        slack.server.photo(HAPPY, dm, user)
        (delivery,) = slack.server.deliveries
        wait_until(lambda: 503 in statuses(delivery))
        assert slack.http.get("/readyz").status_code == 503
    finally:
        slack.reader.may_load.set()
    wait_until(lambda: len(slack.lines) == 2)
    slack.settle()
    slack.server.configure(retries=[0.3] * 3)
    assert set(statuses(delivery)[:-1]) <= {None, 503}
    assert statuses(delivery)[-1] == 200
    assert [header_of(sent) for sent in slack.said(dm)] == ["😄"]


# Figures


def test_figures_count_paths_and_name_nobody(slack: SlackBot) -> None:
    user, channel = slack.person(), slack.channel(auto=True)
    slack.post(HAPPY, channel, user)
    slack.server.mention("caption", channel, user, data=SAD)
    slack.server.command("/face2emoji", "help", channel, user)
    slack.wait_for_words(channel, 2)
    slack.settle()
    for path in (f"{EVENTS_PATH}/{channel}", f"/slack/{user}", f"{EVENTS_PATH}?user={user}"):
        slack.http.post(path)
    figures = slack.http.get("/metrics").text
    assert f'face2emoji_http_requests_total{{path="{EVENTS_PATH}",status="200"}}' in figures
    assert f'face2emoji_http_requests_total{{path="{EVENTS_PATH}",status="401"}}' in figures
    assert 'face2emoji_http_requests_total{path="other",status="404"}' in figures
    assert 'face2emoji_jobs_total{outcome="answered",platform="slack"}' in figures
    for secret in (user, channel, TEAM, ADA, EVE, BOT_TOKEN, SIGNING_SECRET, "caption", "selfie"):
        assert secret not in figures
