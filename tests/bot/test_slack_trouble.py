"""What goes wrong between Slack and the bot: everything is answered once all the same, or given up for a reason."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from bot.phrases import GERMAN
from bot.slack_phrases import ENGLISH as SLACK_ENGLISH
from inference import load_emoji_map
from tests.bot.running_bot import HAPPY, SAD
from tests.bot.served import wait_until
from tests.bot.slack_served import SlackBot, header_of, words_of
from tests.bot.slack_shapes import Json
from tests.bot.slack_world import ADA, RANDOM, SCOPES, TEAM, Call, Delivery

DETAILS = "Happy, 92%\nNext: sad 4%, surprise 2%"
# What every call may meet and what is over when it is made again.
PASSING: tuple[dict[str, Any], ...] = (
    {"error": "ratelimited", "retry_after": 1},
    {"error": "internal_error"},
    {"error": "fatal_error"},
    {"error": "request_timeout"},
    {"error": "service_unavailable"},
    {"status": 500},
    {"status": 503},
    {"cut": "before"},
    {"delay": 1.0},
)
# What stays as it is; the last one was unknown when this was written.
STAYING = (
    "too_many_reactions",
    "no_access",
    "is_archived",
    "thread_locked",
    "message_not_found",
    "channel_not_found",
    "not_in_channel",
    "not_reactable",
    "bad_timestamp",
    "token_revoked",
    "account_inactive",
    "error_of_the_future",
)


def calls(slack: SlackBot, method: str, **arguments: str) -> list[Call]:
    """Return the calls of a method with these arguments."""
    return [call for call in slack.server.calls_of(method) if arguments.items() <= call.args.items()]


def ended(slack: SlackBot, outcome: str) -> float:
    """Return how many jobs ended so."""
    return slack.metric("face2emoji_jobs_total", platform="slack", outcome=outcome)


def delivery_of(slack: SlackBot, message: Json) -> Delivery:
    """Return how the event of a message came, or comes."""
    events = ((delivery, delivery.payload.get("event", {})) for delivery in slack.server.deliveries)
    return next(delivery for delivery, event in events if event.get("ts") == message["ts"])


def direct(slack: SlackBot, **more: Any) -> tuple[str, str]:
    """Somebody new, and their direct messages with the bot."""
    user = slack.person(**more)
    return user, slack.server.dm(user)


# Reactions


def test_a_photo_gets_its_one_reaction_whatever_happens_on_the_way(slack: SlackBot) -> None:
    """All at once, because each waits before it tries again."""
    troubles = [*PASSING, {"cut": "after"}, {"error": "external_channel_migrating"}]
    channels = [slack.channel(auto=True) for _ in troubles]
    for channel, trouble in zip(channels, troubles, strict=True):
        slack.server.fail("reactions.add", when={"channel": channel}, **trouble)
    messages = [slack.server.photo(HAPPY, channel) for channel in channels]
    slack.settle()
    for message, trouble in zip(messages, troubles, strict=True):
        assert slack.reacted(message) == ["smile"], trouble
    assert slack.server.sent == []
    refused, again = calls(slack, "reactions.add", channel=channels[0])
    assert (refused.status, again.status) == (429, 200)
    assert again.clock - refused.clock >= 1


def test_a_reaction_that_is_there_already_is_a_success(slack: SlackBot) -> None:
    channel, before = slack.channel(auto=True), ended(slack, "answered")
    slack.server.fail("reactions.add", "already_reacted")
    message = slack.post(HAPPY, channel)
    assert len(calls(slack, "reactions.add", timestamp=message["ts"])) == 1
    assert ended(slack, "answered") == before + 1


def test_what_slack_says_no_to_ends_in_silence_after_one_try(slack: SlackBot) -> None:
    before = ended(slack, "refused")
    channels = [slack.channel(auto=True) for _ in STAYING]
    for channel, error in zip(channels, STAYING, strict=True):
        slack.server.fail("reactions.add", error, when={"channel": channel}, times=None)
        slack.server.photo(HAPPY, channel)
    slack.settle()
    for channel, error in zip(channels, STAYING, strict=True):
        assert len(calls(slack, "reactions.add", channel=channel)) == 1, error
    assert ended(slack, "refused") == before + len(STAYING)
    assert (slack.server.sent, slack.server.reactions, slack.server.failed) == ([], [], [])


@pytest.mark.parametrize("expression", ["happy", "angry", "disgust", "surprise"])
@pytest.mark.parametrize("error", ["invalid_name", "too_many_emoji"])
def test_an_emoji_that_is_not_taken_gives_way_to_the_next_of_its_expression(
    slack: SlackBot, expression: str, error: str
) -> None:
    names = [emoji.slack for emoji in load_emoji_map().everyday(expression)]
    for refused in range(1, len(names)):
        channel = slack.channel(auto=True)
        for name in names[:refused]:
            slack.server.fail("reactions.add", error, when={"channel": channel, "name": name})
        message = slack.post(f"{expression}:92".encode(), channel)
        assert slack.reacted(message) == [names[refused]]
        tried = [call.args["name"] for call in calls(slack, "reactions.add", channel=channel)]
        assert tried == names[: refused + 1]


def test_when_no_emoji_of_the_expression_is_taken_there_is_none(slack: SlackBot) -> None:
    channel, before = slack.channel(auto=True), ended(slack, "refused")
    slack.server.fail("reactions.add", "invalid_name", when={"channel": channel}, times=None)
    slack.post(HAPPY, channel)
    tried = [call.args["name"] for call in calls(slack, "reactions.add", channel=channel)]
    assert tried == ["smile", "blush", "slightly_smiling_face"]
    assert ended(slack, "refused") == before + 1
    assert (slack.server.reactions, slack.server.sent) == ([], [])


def test_an_emoji_of_the_workspace_may_be_removed_later(slack: SlackBot) -> None:
    slack.server.team(TEAM, emoji={"shipit": "https://emoji.example/shipit.png"})
    channel = slack.channel(auto=True)
    slack.settle(slack.server.command("/face2emoji", "map happy :shipit:", channel))
    slack.wait_for_words(channel)
    assert slack.reacted(slack.post(HAPPY, channel)) == ["shipit"]
    del slack.server.teams[TEAM].emoji["shipit"]
    assert slack.reacted(slack.post(HAPPY, channel)) == ["smile"]


def test_under_too_many_emoji_one_that_is_there_is_joined(slack: SlackBot) -> None:
    """Slack takes 23 different ones; the bot's own emoji is not among them, but one of the same expression is."""
    channel = slack.channel(auto=True)
    message = slack.server.photo(HAPPY, channel, deliver=False)
    others = ["blush", *(f"clock{hour}" for hour in range(1, 13)), *(f"clock{hour}30" for hour in range(1, 11))]
    for name in others:
        slack.server.react(message, name)
    slack.settle(slack.server.event(message, channel=channel))
    assert slack.reacted(message) == ["blush"]


def test_a_missing_permission_to_react_is_logged_once_and_told_to_no_channel(slack: SlackBot) -> None:
    channel = slack.channel(auto=True)
    slack.server.configure(scopes=[scope for scope in SCOPES if scope != "reactions:write"])
    try:
        with capture_logs() as logs:
            for _ in range(3):
                slack.post(HAPPY, channel)
    finally:
        slack.server.configure(scopes=SCOPES)
    missing = [entry for entry in logs if entry["event"] == "slack_scope_missing"]
    assert [(entry["scope"], entry["log_level"]) for entry in missing] == [("reactions:write", "error")]
    assert slack.server.sent == []
    assert slack.reacted(slack.post(HAPPY, channel)) == ["smile"]


# Messages


def test_a_direct_message_is_answered_once_whatever_happens_on_the_way(slack: SlackBot) -> None:
    """All at once, also where Slack takes an answer and the word of that is lost."""
    answers = []
    troubles = [*PASSING, {"cut": "after"}]
    for trouble in troubles:
        user, dm = direct(slack)
        slack.server.fail("chat.postMessage", when={"channel": dm}, **trouble)
        slack.server.photo(HAPPY, dm, user)
        answers.append((dm, trouble))
    slack.settle()
    for dm, trouble in answers:
        assert [(header_of(sent), words_of(sent)) for sent in slack.said(dm)] == [("😄", DETAILS)], trouble
    assert len(slack.reader.seen) == len(troubles)  # and nothing is read again to say it again
    refused, again = calls(slack, "chat.postMessage", channel=answers[0][0])
    assert again.clock - refused.clock >= 1


@pytest.mark.parametrize("error", ["is_archived", "restricted_action", "msg_too_long", "error_of_the_future"])
def test_an_answer_that_slack_does_not_take_is_given_up(slack: SlackBot, error: str) -> None:
    (user, dm), before = direct(slack), ended(slack, "refused")
    slack.server.fail("chat.postMessage", error, when={"channel": dm}, times=None)
    slack.settle(slack.server.photo(HAPPY, dm, user))
    assert len(calls(slack, "chat.postMessage")) == 1
    assert ended(slack, "refused") == before + 1


@pytest.fixture
def used_up(slack: SlackBot) -> None:
    """The addresses at which commands are answered, as they are after half an hour or five answers."""
    slack.server.fail("response_url", "used_url", status=404, times=None)


@pytest.mark.usefixtures("used_up")
@pytest.mark.parametrize("error", ["not_in_channel", "channel_not_found", "user_not_in_channel"])
def test_a_private_answer_goes_to_direct_messages_where_the_bot_is_no_member(slack: SlackBot, error: str) -> None:
    user, dm = direct(slack)
    channel = slack.channel()
    message = slack.server.photo(HAPPY, channel)
    slack.server.fail("chat.postEphemeral", error, when={"channel": channel}, times=None)
    slack.settle(slack.server.shortcut("read_message", message, user))
    assert [(sent.channel, header_of(sent), sent.ephemeral_to) for sent in slack.server.sent] == [(dm, "😄", None)]


@pytest.mark.usefixtures("used_up")
def test_a_channel_without_the_bot_hears_nothing_of_a_private_answer(slack: SlackBot) -> None:
    user, dm = direct(slack)
    message = slack.server.photo(HAPPY, RANDOM)
    slack.settle(slack.server.shortcut("read_message", message, user))
    assert [(sent.channel, header_of(sent)) for sent in slack.server.sent] == [(dm, "😄")]


@pytest.mark.usefixtures("used_up")
def test_a_private_answer_comes_once_whatever_happens_on_the_way(slack: SlackBot) -> None:
    answers = []
    for trouble in PASSING:
        channel = slack.channel()
        message = slack.server.photo(HAPPY, channel)
        slack.server.fail("chat.postEphemeral", when={"channel": channel}, **trouble)
        slack.server.shortcut("read_message", message)
        answers.append((channel, trouble))
    slack.settle()
    for channel, trouble in answers:
        assert [(sent.ephemeral_to, header_of(sent)) for sent in slack.said(channel)] == [(ADA, "😄")], trouble


def test_an_answer_to_a_shortcut_comes_once_whatever_happens_on_the_way(slack: SlackBot) -> None:
    channels = [slack.channel() for _ in PASSING]
    for trouble in PASSING[:1] + PASSING[5:]:
        slack.server.fail("response_url", **trouble)
    for channel in channels:
        slack.server.shortcut("read_message", slack.server.photo(HAPPY, channel))
    slack.settle()
    for channel in channels:
        assert [(sent.via, header_of(sent)) for sent in slack.said(channel)] == [("response_url", "😄")]


def test_a_photo_that_is_looked_for_is_found_whatever_happens_on_the_way(slack: SlackBot) -> None:
    """A mention in a thread asks for the thread, "last" for the channel, a stub of Slack Connect for the file."""
    answers = []
    for trouble in PASSING:
        user = slack.person()
        channel = slack.channel(members=[user])
        message = slack.server.photo(HAPPY, channel, deliver=False)
        for method in ("conversations.replies", "conversations.history"):
            slack.server.fail(method, when={"channel": channel}, **trouble)
        slack.server.mention("", channel, thread_ts=message["ts"])
        slack.server.command("/face2emoji", "last", channel, user)
        file = slack.server.file(SAD, user=user)
        slack.server.fail("files.info", when={"file": file["id"]}, **trouble)
        dm = slack.server.dm(user)
        slack.server.photo(file, dm, user, stubs=True)
        answers.append((channel, dm, message["ts"], user, trouble))
    slack.settle()
    for channel, dm, ts, user, trouble in answers:
        said = {(sent.thread_ts, sent.ephemeral_to, header_of(sent)) for sent in slack.said(channel)}
        assert said == {(ts, None, "😄"), (None, user, "😄")}, trouble
        assert [header_of(sent) for sent in slack.said(dm)] == ["😢"], trouble


TELLS_NOTHING: tuple[dict[str, Any], ...] = (
    {"error": "user_not_found"},
    {"error": "missing_scope"},
    {"error": "ratelimited", "retry_after": 30},
    {"status": 503},
    {"cut": "before"},
)


def test_who_slack_does_not_describe_is_answered_in_english_anyway(slack: SlackBot) -> None:
    people, channel = [], slack.channel(auto=True)
    for trouble in TELLS_NOTHING:
        user, dm = direct(slack, locale="de-DE")
        slack.server.fail("users.info", when={"user": user}, times=None, **trouble)
        message = slack.server.photo(HAPPY, channel, user)
        slack.server.photo(HAPPY, dm, user)
        people.append((user, dm, message, trouble))
    slack.settle()
    for _, dm, message, trouble in people:
        assert slack.reacted(message) == ["smile"], trouble
        assert [words_of(sent) for sent in slack.said(dm)] == [DETAILS], trouble
    slack.server.heal()
    for user, dm, _, trouble in people:
        slack.settle(slack.server.text("Hallo", dm, user))
        assert slack.wait_for_words(dm, 2)[-1].text == GERMAN.not_a_photo, trouble


def test_slack_may_be_away_for_a_while(slack: SlackBot) -> None:
    user, dm = direct(slack)
    slack.reader.may_read.clear()
    slack.server.photo(HAPPY, dm, user)
    wait_until(lambda: bool(slack.reader.seen))
    slack.server.fail("*", times=None, status=503)
    slack.reader.may_read.set()
    slack.server.photo(SAD, dm, user)
    # To answer, and then to see whether the answer is there nevertheless.
    tries = ("chat.postMessage", "conversations.history")
    wait_until(lambda: sum(call.status == 503 for call in slack.server.calls_of(*tries)) >= 2)
    slack.server.heal()
    slack.settle()
    assert sorted(header_of(sent) for sent in slack.said(dm)) == ["😄", "😢"]


def test_one_photo_s_trouble_keeps_no_other_waiting(slack: SlackBot) -> None:
    slow, quick = slack.channel(auto=True), slack.channel(auto=True)
    slack.server.fail("reactions.add", delay=3, when={"channel": slow})
    late, early = slack.server.photo(HAPPY, slow), slack.server.photo(SAD, quick)
    wait_until(lambda: slack.reacted(early) == ["cry"])
    assert slack.reacted(late) == []
    slack.settle()
    assert slack.reacted(late) == ["smile"]


def test_photos_nobody_waits_for_any_more_are_dropped_and_counted(slack: SlackBot) -> None:
    before = ended(slack, "expired")
    (user, dm), channel = direct(slack), slack.channel(auto=True)
    past = time.time() - 15 * 60

    def post(seconds: float) -> None:
        for place in (dm, channel):
            slack.server.photo(HAPPY, place, user, ts=f"{past + seconds:.6f}")
        slack.settle()

    post(-1)
    assert ended(slack, "expired") == before + 2
    assert (slack.reader.seen, slack.server.sent, slack.server.reactions) == ([], [], [])
    post(60)
    assert (len(slack.server.sent), len(slack.server.reactions)) == (1, 1)


# Commands


@pytest.mark.parametrize("trouble", PASSING[:1] + PASSING[5:])
def test_a_command_is_answered_in_spite_of_it(slack: SlackBot, trouble: dict[str, Any]) -> None:
    channel = slack.channel()
    slack.server.fail("response_url", **trouble)
    slack.server.command("/face2emoji", "privacy", channel)
    assert slack.wait_for_words(channel)[0].text == SLACK_ENGLISH.privacy.format(hours="24")


@pytest.mark.parametrize("trouble", PASSING[:1] + PASSING[5:])
def test_a_channel_that_could_not_be_told_is_not_switched_on(slack: SlackBot, trouble: dict[str, Any]) -> None:
    """Nobody is read where nobody knows of it, and who asked is told that it did not work."""
    channel = slack.channel()
    slack.server.fail("chat.postMessage", when={"channel": channel}, **trouble)
    slack.settle(slack.server.command("/face2emoji", "on", channel))
    (sent, *_) = slack.wait_for_words(channel)
    reacted = slack.reacted(slack.post(HAPPY, channel))
    if sent.ephemeral_to:
        assert (sent.text, reacted) == (SLACK_ENGLISH.failed, [])
    else:
        assert (sent.text, reacted) == (SLACK_ENGLISH.auto_on.format(user=f"<@{ADA}>"), ["smile"])


# Events


BROKEN: Sequence[Json] = (
    {"type": "message"},
    {"type": "message", "channel": "C1", "user": ADA},
    {"type": "message", "channel": "C1", "user": ADA, "ts": "soon", "text": None},
    {"type": "message", "channel": "C1", "user": ADA, "ts": "soon", "channel_type": "im", "files": [{"id": "F1"}]},
    {"type": "message", "channel": "C1", "user": ADA, "ts": "1.0", "files": "x"},
    {"type": "message", "channel": "C1", "user": ADA, "ts": "1.0", "files": [None, 7, {}, {"id": "F1", "size": "x"}]},
    {"type": "message", "channel": "C1", "user": ADA, "ts": "1.0", "subtype": "of_the_future", "text": "x"},
    {"type": "app_mention"},
    {"type": "app_mention", "user": ADA, "channel": "C1", "text": "x"},
    {"type": "app_home_opened"},
    {"type": "member_joined_channel"},
    {"type": "member_left_channel", "channel": "C1"},
    {"type": "tokens_revoked", "tokens": None},
    {"type": "of_the_future", "user": {"id": ADA}},
    {"type": "file_shared", "file_id": "F1", "user_id": ADA, "channel_id": "C1"},
)


@pytest.mark.parametrize("event", BROKEN)
def test_what_cannot_be_understood_is_acknowledged_and_does_not_hold_back_the_rest(
    slack: SlackBot, event: Json
) -> None:
    channel = slack.channel(auto=True)
    delivery = slack.server.event(dict(event))
    assert slack.reacted(slack.post(HAPPY, channel)) == ["smile"]
    assert (delivery.state, len(delivery.attempts)) == ("acknowledged", 1)


@contextmanager
def locked(slack: SlackBot) -> Iterator[None]:
    """A database in which nobody else can write."""
    with closing(sqlite3.connect(slack.database, timeout=30)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        yield
        connection.rollback()


@contextmanager
def patience(slack: SlackBot, seconds: float) -> Iterator[None]:
    """Let Slack deliver again until it is acknowledged, each time after so many seconds."""
    slack.server.configure(ack_timeout=seconds, retries=[0.2] * 50)
    try:
        yield
    finally:
        slack.server.configure(ack_timeout=3.0, retries=[0.3] * 3)


@pytest.mark.parametrize("table", ["workflow_status", "face2emoji_chats"])
def test_an_event_that_cannot_be_stored_comes_again(slack: SlackBot, table: str) -> None:
    channel = slack.channel(auto=True)
    with capture_logs() as logs, patience(slack, 0.5):
        with slack.without(table):
            message = slack.server.photo(HAPPY, channel)
            delivery = delivery_of(slack, message)
            wait_until(lambda: len(delivery.attempts) >= 3)
            assert (delivery.state, slack.reacted(message)) == ("pending", [])
        slack.settle()
    assert delivery.state == "acknowledged"
    *before, last = (attempt.ack for attempt in delivery.attempts)
    assert set(before) == {None}
    assert last is not None
    assert slack.reacted(message) == ["smile"]
    assert len(calls(slack, "reactions.add")) == 1
    assert ("event_not_stored", "OperationalError", "error") in [
        (entry["event"], entry.get("kind"), entry["log_level"]) for entry in logs
    ]


def test_an_event_that_has_to_wait_for_the_database_comes_again_and_is_answered_once(slack: SlackBot) -> None:
    user, dm = direct(slack)
    with patience(slack, 0.3):
        with locked(slack):
            delivery = delivery_of(slack, slack.server.photo(HAPPY, dm, user))
            wait_until(lambda: len(delivery.attempts) >= 3)
            assert (delivery.state, slack.server.sent) == ("pending", [])
        wait_until(lambda: all(attempt.ack is not None for attempt in delivery.attempts), 20)
        slack.settle()
    assert [header_of(sent) for sent in slack.said(dm)] == ["😄"]


def test_a_late_acknowledgement_is_no_second_answer(slack: SlackBot) -> None:
    (user, dm), channel = direct(slack), slack.channel(auto=True)
    with patience(slack, 20):
        with locked(slack):
            messages = [slack.server.photo(HAPPY, dm, user), slack.server.photo(HAPPY, channel)]
            time.sleep(1)
        slack.settle()
    for message in messages:
        (attempt,) = delivery_of(slack, message).attempts
        assert attempt.ack
        assert attempt.ack >= 1
    assert (len(slack.said(dm)), slack.reacted(messages[1])) == (1, ["smile"])


def test_a_command_that_could_not_be_stored_is_not_acknowledged(slack: SlackBot) -> None:
    """Slack tells who asked that it did not work; it does not try again."""
    channel = slack.channel()
    with patience(slack, 0.5), slack.without("workflow_status"):
        delivery = slack.server.command("/face2emoji", "last", channel)
        wait_until(lambda: delivery.state != "pending", 20)
    assert (delivery.state, slack.server.sent) == ("failed", [])


def test_what_comes_again_is_answered_once(slack: SlackBot) -> None:
    (user, dm), channel = direct(slack), slack.channel(auto=True)
    messages = [
        slack.server.photo(HAPPY, channel, user),
        slack.server.photo(HAPPY, dm, user),
        slack.server.mention("", channel, user, data=SAD),
    ]
    deliveries = [delivery_of(slack, message) for message in messages]

    def deliver_again() -> None:
        for delivery in deliveries:
            slack.server.again(delivery.id)
        slack.settle()

    deliver_again()
    deliver_again()  # now that all is answered
    wait_until(lambda: [attempt.ack is None for each in deliveries for attempt in each.attempts] == [False] * 9)
    slack.settle()
    assert [slack.reacted(message) for message in messages] == [["smile"], [], ["cry"]]
    assert [header_of(sent) for sent in slack.said(dm)] == ["😄"]
    assert [header_of(sent) for sent in slack.said(channel)] == ["😢"]
