"""Socket Mode: connections end, hang or are refused; the bot opens new ones, and nothing is lost or answered twice."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.web.async_client import AsyncWebClient
from structlog.testing import capture_logs

from bot import slack_channel
from bot.errors import PlatformRefused, SettingsError
from tests.bot.running_bot import HAPPY, SAD
from tests.bot.served import wait_until
from tests.bot.slack_served import SlackBot, header_of
from tests.bot.slack_server import SlackServer
from tests.bot.slack_shapes import Json

PING, WATCH, DEAF = 0.5, 0.1, 1.5
# A dead connection is noticed by its missing pong, by the library's look at it, or else by ours.
NOTICED = 4 * PING + DEAF
OPENING = "apps.connections.open"
SENTENCE = "The connection to Slack is down; it is being opened again."
Trouble = dict[str, Any]
TROUBLES: list[tuple[str, Trouble]] = [
    (OPENING, {"status": 503}),
    (OPENING, {"error": "internal_error"}),
    (OPENING, {"error": "invalid_auth"}),  # a token may be refused by mistake for a while
    (OPENING, {"cut": "before"}),
    ("socket", {"status": 503}),
    ("socket", {"cut": "before"}),
    ("socket", {"error": "expired"}),  # the address is good for one try, and for seconds
]


@pytest.fixture(scope="module")
def shared_slack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlackBot]:
    """Instead of the patient one: it looks twenty times as often whether the connection lives."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slack_channel, "PING_SECONDS", PING)
        patch.setattr(slack_channel, "WATCH_SECONDS", WATCH)
        patch.setattr(slack_channel, "DEAF_SECONDS", DEAF)
        patch.setattr(slack_channel, "PROVE_SECONDS", DEAF)
        patch.setattr(slack_channel, "CONNECT_SECONDS", DEAF)
        # Slack delivers again until it is acknowledged.
        server = SlackServer(retries=[0.2] * 200, ack_timeout=0.5)
        with server, SlackBot(tmp_path_factory.mktemp("socket"), server) as bot:
            yield bot


@pytest.fixture
def slack(shared_slack: SlackBot) -> Iterator[SlackBot]:
    """The shared bot; the only thing that Slack may find strange is an acknowledgement by the next connection."""
    shared_slack.server.forget_records()
    yield shared_slack
    shared_slack.server.heal()
    assert [violation for violation in shared_slack.server.violations if violation.method != "socket"] == []


def readiness(slack: SlackBot) -> tuple[int, str]:
    response = slack.http.get("/readyz")
    return response.status_code, "" if response.status_code == 200 else response.json()["error"]["message"]


@contextmanager
def stopped(slack: SlackBot) -> Iterator[None]:
    """While the shared bot is away; it is there again afterwards."""
    slack.stop()
    slack.lines.clear()
    try:
        yield
    finally:
        slack.server.heal()
        if not slack.running:
            slack.lines.clear()
            slack.start()
        wait_until(lambda: len(slack.lines) == 2, 20)


@contextmanager
def posting(slack: SlackBot) -> Iterator[list[Json]]:
    """Post photos before, while and after something happens: in the end each has one reaction."""
    channel = slack.channel(auto=True)
    messages: list[Json] = []

    def post() -> None:
        for _ in range(3):
            messages.append(slack.server.photo(HAPPY, channel))
            time.sleep(0.02)

    post()
    yield messages
    post()
    slack.settle()
    assert [slack.reacted(message) for message in messages] == [["smile"]] * len(messages)
    assert slack.server.failed == []
    wait_until(lambda: readiness(slack) == (200, ""))


# The workspace's token


def test_a_token_that_was_revoked_is_named_until_it_works_again(slack: SlackBot) -> None:
    slack.server.fail("auth.test", times=None, error="token_revoked")
    named = PlatformRefused.slack_bot_refused.format(reason="token_revoked")
    wait_until(lambda: readiness(slack) == (503, named), 5)
    slack.server.heal()
    wait_until(lambda: readiness(slack) == (200, ""), 5)


# A burst


async def test_events_of_a_burst_wait_for_each_other_and_a_command_for_none() -> None:
    burst = 3 * slack_channel.EVENTS_AT_ONCE
    begun: list[str] = []
    commanded, released, all_begun = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def take(_client: AsyncBaseSocketModeClient, request: SocketModeRequest) -> None:
        begun.append(request.type)
        if request.type == "slash_commands":
            commanded.set()
        if len(begun) == burst + 1:
            all_begun.set()
        await released.wait()

    client = slack_channel._Client("xapp-1", AsyncWebClient())
    client.socket_mode_request_listeners.append(take)
    try:
        for number in range(burst):
            await client.enqueue_message(envelope("events_api", number))
        await client.enqueue_message(envelope("slash_commands", burst))
        await asyncio.wait_for(commanded.wait(), 10)
        assert begun.count("events_api") == slack_channel.EVENTS_AT_ONCE
        released.set()
        await asyncio.wait_for(all_begun.wait(), 10)
    finally:
        await client.close()  # type: ignore[no-untyped-call] # the library's


def envelope(kind: str, number: int) -> str:
    return json.dumps({"type": kind, "envelope_id": str(number), "payload": {}})


# The connection ends


@pytest.mark.parametrize("reason", ["warning", "refresh_requested"])
def test_a_connection_that_slack_ends_is_replaced_and_nothing_is_lost(slack: SlackBot, reason: str) -> None:
    with posting(slack) as messages:
        assert slack.server.disconnect(reason) == 1
        messages.append(slack.server.photo(HAPPY, messages[0]["channel"]))
        wait_until(lambda: slack.server.sockets == 1, 2)
        assert len(slack.server.calls_of(OPENING)) == 1


def test_a_connection_that_breaks_is_replaced_and_nothing_is_lost(slack: SlackBot) -> None:
    with posting(slack) as messages:
        assert slack.server.drop() == 1
        wait_until(lambda: slack.server.sockets == 0)
        messages.append(slack.server.photo(HAPPY, messages[0]["channel"]))
        wait_until(lambda: slack.server.sockets == 1, NOTICED)


def test_a_connection_that_is_deaf_is_noticed_and_replaced(slack: SlackBot) -> None:
    with posting(slack) as messages:
        slack.settle()
        assert slack.server.deafen() == 1
        messages.append(slack.server.photo(HAPPY, messages[0]["channel"]))
        delivery = slack.server.deliveries[-1]
        wait_until(lambda: slack.server.sockets == 1, NOTICED)
    assert delivery.attempts[0].ack is None
    assert delivery.state == "acknowledged"


@pytest.mark.parametrize(
    ("end", "method", "trouble"),
    [*(("drop", *each) for each in TROUBLES), *(("disconnect", *each) for each in TROUBLES[5:])],
)
def test_an_outage_shows_and_what_comes_in_it_is_answered_once_after_it(
    slack: SlackBot, end: str, method: str, trouble: Trouble
) -> None:
    with posting(slack) as messages:
        slack.settle()
        fault = slack.server.fail(method, times=None, **trouble)
        getattr(slack.server, end)()
        wait_until(lambda: slack.server.sockets == 0)
        messages.append(slack.server.photo(HAPPY, messages[0]["channel"]))
        wait_until(lambda: fault.hits > 0, NOTICED)
        wait_until(lambda: readiness(slack) == (503, SENTENCE))
        assert slack.reacted(messages[3]) == []
        slack.server.heal()
        wait_until(lambda: slack.server.sockets == 1, 2 * NOTICED)


def test_a_failure_on_the_way_to_a_new_connection_is_got_over_for_good(slack: SlackBot) -> None:
    """Whoever still tries to use the address that failed must not end the connection that works."""
    slack.server.fail("socket", "expired")
    slack.server.disconnect()
    wait_until(lambda: slack.server.sockets == 0)
    wait_until(lambda: slack.server.sockets == 1, 2 * NOTICED)
    opened = len(slack.server.calls_of(OPENING))
    time.sleep(4 * PING)
    assert (slack.server.sockets, len(slack.server.calls_of(OPENING))) == (1, opened)
    assert readiness(slack) == (200, "")


def test_acknowledgements_wait_for_a_slow_database_and_are_not_lost(slack: SlackBot) -> None:
    user = slack.person()
    dm = slack.server.dm(user)
    slack.server.configure(ack_timeout=3)
    with closing(sqlite3.connect(slack.database, timeout=30)) as database:
        database.execute("BEGIN EXCLUSIVE")
        for number in range(10):
            slack.server.photo(SAD if number % 2 else HAPPY, dm, user)
        deliveries = slack.server.deliveries[-10:]
        time.sleep(1)
        assert len(slack.server.pending) == 10
        database.rollback()
    slack.settle()
    slack.server.configure(ack_timeout=0.5)
    assert sorted(header_of(sent) for sent in slack.said(dm)) == ["😄"] * 5 + ["😢"] * 5
    assert [len(delivery.attempts) for delivery in deliveries] == [1] * 10


def test_an_event_whose_connection_ends_before_it_is_stored_is_answered_once(slack: SlackBot) -> None:
    user = slack.person()
    dm = slack.server.dm(user)
    with closing(sqlite3.connect(slack.database, timeout=30)) as database:
        database.execute("BEGIN EXCLUSIVE")
        slack.server.photo(HAPPY, dm, user)
        delivery = slack.server.deliveries[-1]
        wait_until(lambda: [attempt.via for attempt in delivery.attempts] == ["socket"])
        time.sleep(0.1)
        slack.server.disconnect()
        wait_until(lambda: slack.server.sockets == 1, 2)
        wait_until(lambda: len(delivery.attempts) >= 2)
        database.rollback()
    # The first delivery waited for the database, too; its acknowledgement comes by the other connection.
    wait_until(lambda: [violation.method for violation in slack.server.violations] == ["socket"])
    slack.settle()
    assert [header_of(sent) for sent in slack.said(dm)] == ["😄"]


def test_nothing_is_taken_over_http(slack: SlackBot) -> None:
    assert slack.http.post("/slack/events", json={"type": "url_verification", "challenge": "c"}).status_code == 404


# Beginning and ending


@pytest.mark.parametrize(
    ("name", "token", "sentence", "reason"),
    [
        ("slack_bot_token", "xoxb-wrong", PlatformRefused.slack_bot_refused, "invalid_auth"),
        ("slack_app_token", "xapp-wrong", PlatformRefused.slack_app_refused, "invalid_auth"),
    ],
)
def test_a_wrong_token_ends_the_bot_and_says_what_to_do(
    slack: SlackBot, tmp_path: Path, name: str, token: str, sentence: str, reason: str
) -> None:
    wrong: dict[str, Any] = {name: SecretStr(token)}
    bot = SlackBot(tmp_path, slack.server, **wrong)
    with stopped(slack):
        bot.start()
        try:
            wait_until(lambda: not bot.running)
        finally:
            bot.stop()
    assert isinstance(bot.error, PlatformRefused)
    assert bot.error.message == sentence.format(reason=reason)
    assert isinstance(bot.error, SettingsError)  # exit status 2: starting again would not mend it


@pytest.mark.parametrize(
    ("method", "trouble"),
    [("auth.test", {"status": 503}), (OPENING, {"cut": "before"}), ("socket", {"error": "expired"})],
)
def test_slack_may_come_later_than_the_bot(slack: SlackBot, method: str, trouble: Trouble) -> None:
    user = slack.person()
    dm = slack.server.dm(user)
    with capture_logs() as logs:
        with stopped(slack):
            slack.server.photo(HAPPY, dm, user)
            fault = slack.server.fail(method, times=None, **trouble)
            slack.start()
            wait_until(lambda: fault.hits > 0)
            wait_until(lambda: readiness(slack)[0] == 503)
            wait_until(lambda: any(entry.get("help") == PlatformRefused.slack_unreachable for entry in logs))
        slack.settle()
    assert [header_of(sent) for sent in slack.said(dm)] == ["😄"]


@pytest.mark.parametrize("method", ["auth.test", "socket"])
def test_a_bot_that_waits_for_slack_can_be_stopped(slack: SlackBot, method: str) -> None:
    with stopped(slack):
        fault = slack.server.fail(method, times=None, status=503)
        slack.start()
        wait_until(lambda: fault.hits > 0)
        started = time.monotonic()
        slack.stop()
        assert time.monotonic() - started < 3
        assert slack.error is None


def test_a_bot_that_has_lost_slack_can_be_stopped(slack: SlackBot) -> None:
    fault = slack.server.fail(OPENING, times=None, status=503)
    slack.server.drop()
    wait_until(lambda: fault.hits > 0)
    started = time.monotonic()
    with stopped(slack):
        assert time.monotonic() - started < 3
        assert slack.error is None
