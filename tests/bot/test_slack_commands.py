"""Slack's slash command, windows, shortcuts, buttons and App Home."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from bot.jobs import Jobs
from bot.phrases import ENGLISH, GERMAN, KOREAN, SPANISH, Phrases
from bot.slack_phrases import ENGLISH as SLACK
from bot.slack_phrases import GERMAN as SLACK_GERMAN
from bot.slack_phrases import SlackPhrases, slack_phrases
from inference import EXPRESSIONS
from tests.bot.running_bot import DAMAGED, HAPPY, NOBODY, SAD
from tests.bot.served import wait_until
from tests.bot.slack_served import SlackBot, buttons_of, header_of, words_of
from tests.bot.slack_server import Delivery, Sent, Viewed
from tests.bot.slack_shapes import Json
from tests.bot.slack_world import ADA, BOT_USER, CONNECT, GUEST, OTHER_TEAM, RANDOM, STRANGER, TEAM

COMMAND = "/face2emoji"
BOT = f"<@{BOT_USER}>"
MODEL = "0123abcd"
DETAILS = "Happy, 92%\nNext: sad 4%, surprise 2%"
NAMES = ", ".join(EXPRESSIONS)


def run(slack: SlackBot, words: str, channel: str, user: str = ADA) -> Sent:
    """Run the slash command; the one message that follows."""
    before = len(slack.said(channel))
    slack.settle(slack.server.command(COMMAND, words, channel, user))
    *_, sent = slack.wait_for_words(channel, before + 1)
    slack.settle()
    assert len(slack.said(channel)) == before + 1
    return sent


def reply(slack: SlackBot, words: str, channel: str, user: str = ADA) -> str:
    """What the asker is told, and nobody else."""
    sent = run(slack, words, channel, user)
    assert (sent.via, sent.ephemeral_to) == ("response_url", user)
    return sent.text


def announcement(slack: SlackBot, words: str, channel: str, user: str = ADA) -> str:
    """What all in the channel are told."""
    sent = run(slack, words, channel, user)
    assert (sent.via, sent.ephemeral_to) == ("chat.postMessage", None)
    return sent.text


def reacts(slack: SlackBot, channel: str, user: str = ADA) -> bool:
    return slack.reacted(slack.post(HAPPY, channel, user)) != []


def check_answer(sent: Sent, channel: str, reader: str | None) -> None:
    """Check the full answer to `HAPPY`, for one person or for all."""
    assert (sent.channel, sent.ephemeral_to) == (channel, reader)
    assert (header_of(sent), words_of(sent)) == ("😄", DETAILS)
    assert list(buttons_of(sent)) == [ENGLISH.right, ENGLISH.wrong]


# Switching on and off


def test_everybody_sees_that_it_is_switched_on_and_off(slack: SlackBot) -> None:
    ada, channel = slack.person(), slack.channel()
    assert announcement(slack, "on", channel, ada) == SLACK.auto_on.format(user=f"<@{ada}>")
    assert reacts(slack, channel)
    assert announcement(slack, "OFF", channel, ada) == SLACK.auto_off.format(user=f"<@{ada}>")
    assert not reacts(slack, channel)


def test_what_is_already_so_is_told_to_the_asker_alone(slack: SlackBot) -> None:
    channel = slack.channel()
    assert reply(slack, "off", channel) == SLACK.status_off
    announcement(slack, "on", channel)
    assert reply(slack, "on", channel) == SLACK.status_on
    assert reacts(slack, channel)


@pytest.mark.parametrize("kind", ["group", "mpim"])
def test_other_kinds_of_channels_can_be_switched_too(slack: SlackBot, kind: str) -> None:
    channel = slack.channel(kind=kind)
    announcement(slack, "on", channel)
    assert reply(slack, "status", channel).startswith(SLACK.status_on)


@pytest.mark.parametrize("words", ["on", "off"])
def test_there_is_nothing_to_switch_in_direct_messages(slack: SlackBot, words: str) -> None:
    ada = slack.person()
    assert reply(slack, words, slack.server.dm(ada), ada) == SLACK.channels_only


@pytest.mark.parametrize("words", ["on", "off", "map happy :tada:", "map reset"])
@pytest.mark.parametrize("role", [{"is_restricted": True}, {"is_ultra_restricted": True}])
def test_guests_change_nothing(slack: SlackBot, role: Json, words: str) -> None:
    guest, channel = slack.person(**role), slack.channel(auto=words == "off")
    before = reply(slack, "status", channel)
    assert reply(slack, words, channel, guest) == SLACK.members_only
    assert reply(slack, "status", channel, guest) == before


@pytest.mark.parametrize("words", ["on", "off", "map happy :tada:", "map reset", "forget"])
def test_people_of_other_workspaces_change_nothing(slack: SlackBot, words: str) -> None:
    stranger = slack.person(team=OTHER_TEAM)
    channel = slack.channel(auto=words != "on", members=[stranger], teams=[OTHER_TEAM])
    status = slack.server.command(COMMAND, "status", channel)
    slack.settle(status)
    before = slack.wait_for_words(channel)[0].text
    send_changed(slack, status, user_id=stranger, text=words)
    answer = SLACK.forgot_member if words == "forget" else SLACK.members_only
    assert slack.wait_for_words(channel, 2)[1].text == answer
    assert reply(slack, "status", channel) == before


def send_changed(slack: SlackBot, delivery: Delivery, **changes: Any) -> Delivery:
    """Send what somebody did once more, a little otherwise."""
    changed: Delivery = slack.server._send(delivery.kind, delivery.app, {**delivery.payload, **changes})
    slack.settle(changed)
    return changed


@pytest.mark.parametrize(
    "place", [{"bots": False}, {"bots": False, "kind": "group"}, {"channel_id": RANDOM}], ids=["new", "private", "old"]
)
def test_where_it_was_not_invited_it_says_so_and_stays_off(slack: SlackBot, place: Json) -> None:
    channel = slack.channel(**place)
    assert reply(slack, "on", channel) == SLACK.not_invited.format(bot=BOT)
    slack.server.channel(channel, members=[BOT_USER])
    assert not reacts(slack, channel)
    slack.server.channels[channel].members.discard(BOT_USER)


def test_in_an_archived_channel_it_says_so_and_stays_off(slack: SlackBot) -> None:
    channel = slack.channel(is_archived=True)
    assert reply(slack, "on", channel) == SLACK.cannot_write
    assert reply(slack, "status", channel).startswith(SLACK.status_off)


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        ("restricted_action", SLACK.cannot_write),
        ("restricted_action_read_only_channel", SLACK.cannot_write),
        ("restricted_action_thread_only_channel", SLACK.cannot_write),
        ("restricted_action_non_threadable_channel", SLACK.cannot_write),
        ("error_of_the_future", SLACK.failed),
    ],
)
def test_where_it_may_not_write_it_says_so_and_stays_off(slack: SlackBot, error: str, answer: str) -> None:
    channel = slack.channel()
    slack.server.fail("chat.postMessage", error, when={"channel": channel})
    assert reply(slack, "on", channel) == answer
    assert not reacts(slack, channel)


# Status and map


def test_status_says_what_is_set(slack: SlackBot) -> None:
    ada, channel = slack.person(), slack.channel()
    model = ENGLISH.model_version.format(model=MODEL)
    assert reply(slack, "status", channel) == f"{SLACK.status_off}\n\n{ENGLISH.map_unchanged}\n\n{model}"
    announcement(slack, "on", channel)
    reply(slack, "map sad 🌚", channel)
    changed = ENGLISH.map_changed.format(changes="sad 🌚")
    assert reply(slack, "Status", channel, GUEST) == f"{SLACK.status_on}\n\n{changed}\n\n{model}"
    assert reply(slack, "status", slack.server.dm(ada), ada) == f"{ENGLISH.map_unchanged}\n\n{model}"


@pytest.mark.parametrize(
    ("words", "emoji", "listed"),
    [
        ("happy :tada:", "🎉", "Happy: 🎉"),
        ("happy 🎉", "🎉", "Happy: 🎉"),
        ("HAPPY :thumbsup::skin-tone-2:", "👍🏻", "Happy: 👍🏻"),
        ("happy 👍🏻", "👍🏻", "Happy: 👍🏻"),
        ("happy :octopus_of_ours:", ":octopus_of_ours:", "Happy: :octopus_of_ours:"),
        ("happy :arms:", ":arms:", "Happy: :arms:"),
    ],
)
def test_a_channel_has_a_map_of_its_own(slack: SlackBot, words: str, emoji: str, listed: str) -> None:
    slack.server.team(TEAM, emoji={"octopus_of_ours": "https://emoji.invalid/1.png", "arms": "alias:octopus_of_ours"})
    channel, other = slack.channel(), slack.channel()
    assert reply(slack, f"map {words}", channel) == ENGLISH.map_done.format(expression="happy", emoji=emoji)
    assert listed in reply(slack, "map", channel).splitlines()
    assert reply(slack, "map", channel).endswith(SLACK.map_usage)
    slack.server.mention("me", channel, data=HAPPY)
    assert header_of(slack.wait_for_words(channel, 4)[3]) == emoji
    slack.server.mention("me", other, data=HAPPY)
    assert header_of(slack.wait_for_words(other)[0]) == "😄"
    assert reply(slack, "map reset", channel) == ENGLISH.map_reset
    assert "Happy: 😄" in reply(slack, "map", channel)
    assert "face2emoji_chats" not in slack.traces(channel)


def test_changes_add_up_and_leave_the_switch_alone(slack: SlackBot) -> None:
    channel = slack.channel(auto=True)
    reply(slack, "map happy :tada:", channel)
    reply(slack, "map sad 🌚", channel)
    assert slack.reacted(slack.post(HAPPY, channel)) == ["tada"]
    assert slack.reacted(slack.post(SAD, channel)) == ["new_moon_with_face"]
    announcement(slack, "off", channel)
    announcement(slack, "on", channel)
    assert slack.reacted(slack.post(SAD, channel)) == ["new_moon_with_face"]
    reply(slack, "map reset", channel)
    assert slack.reacted(slack.post(SAD, channel)) == ["cry"]


def test_a_person_has_a_map_of_ones_own_in_direct_messages(slack: SlackBot) -> None:
    ada = slack.person(locale="de-DE")
    direct = slack.server.dm(ada)
    assert reply(slack, "map Fröhlich ❤️", direct, ada) == GERMAN.map_done.format(expression="fröhlich", emoji="❤️")
    slack.post(HAPPY, direct, ada)
    assert header_of(slack.said(direct)[-1]) == "❤️"
    assert reply(slack, "map reset", direct, ada) == GERMAN.map_reset
    assert "face2emoji_chats" not in slack.traces(ada, direct)


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ("happy", SLACK.map_usage),
        ("happy joy", SLACK.not_an_emoji),
        ("happy 🎉🎉", SLACK.not_an_emoji),
        ("happy 🎉 🎉", SLACK.not_an_emoji),
        ("happy :tada", SLACK.not_an_emoji),
        ("happy :no_such_octopus:", SLACK.unknown_emoji.format(name=":no_such_octopus:")),
        ("joy 🎉", SLACK.unknown_expression.format(expressions=NAMES)),
        ("🎉", SLACK.unknown_expression.format(expressions=NAMES)),
    ],
)
def test_a_bad_emoji_or_expression_gets_a_clear_answer(slack: SlackBot, words: str, answer: str) -> None:
    channel = slack.channel()
    assert reply(slack, f"map {words}", channel) == answer
    assert slack.traces(channel) == []


# Words


@pytest.mark.parametrize(
    ("locale", "phrases"), [("de-AT", GERMAN), ("es-MX", SPANISH), ("ko-KR", KOREAN), ("fr-FR", ENGLISH)]
)
def test_it_speaks_the_askers_language(slack: SlackBot, locale: str, phrases: Phrases) -> None:
    ada, channel = slack.person(locale=locale), slack.channel()
    words: SlackPhrases = slack_phrases(phrases.language)
    assert reply(slack, "help", channel, ada) == words.help.format(bot=BOT)
    unknown = words.unknown_command.format(word="Oops")
    assert reply(slack, "Oops this", channel, ada) == f"{unknown}\n\n{words.help.format(bot=BOT)}"
    assert reply(slack, "PRIVACY", slack.server.dm(ada), ada) == words.privacy.format(hours="24")
    assert reply(slack, "status", channel, ada).startswith(words.status_off)
    assert reply(slack, "map", channel, ada).endswith(words.map_usage)
    assert announcement(slack, "on", channel, ada) == words.auto_on.format(user=f"<@{ada}>")
    slack.server.command(COMMAND, "", channel, ada)
    assert slack.wait_for_view(ada).view["title"]["text"] == words.modal_title


def test_of_an_endless_word_only_the_beginning_is_repeated(slack: SlackBot) -> None:
    unknown = SLACK.unknown_command.format(word="x" * 30)
    assert reply(slack, "x" * 3000, slack.channel()) == f"{unknown}\n\n{SLACK.help.format(bot=BOT)}"


# One's own photo, and the channel's last one


def with_picture(slack: SlackBot, portrait: bytes) -> str:
    """Somebody with a profile photo, which reads as `HAPPY`."""
    user = slack.person(picture=portrait)
    slack.server.people[user].pictures["512"] = HAPPY
    return user


@pytest.mark.parametrize("is_member", [True, False])
def test_me_reads_ones_own_profile_photo(slack: SlackBot, portrait: bytes, is_member: bool) -> None:
    ada = with_picture(slack, portrait)
    channel = slack.channel(bots=is_member, members=[ada])
    check_answer(run(slack, "me", channel, ada), channel, ada)
    assert slack.reader.seen == [HAPPY]
    direct = slack.server.dm(ada)
    check_answer(run(slack, "ME", direct, ada), direct, None)


def test_who_has_no_profile_photo_is_told_so(slack: SlackBot) -> None:
    ada = slack.person()
    channel = slack.channel(members=[ada])
    sent = run(slack, "me", channel, ada)
    assert (sent.ephemeral_to, sent.text) == (ada, SLACK.no_profile_photo)
    assert slack.server.downloads == []


@pytest.mark.parametrize("is_remembered", [True, False])
def test_last_reads_the_channels_last_photo(slack: SlackBot, is_remembered: bool) -> None:
    ada = slack.person()
    channel = slack.channel(members=[ada])
    slack.server.photo(SAD, channel, deliver=is_remembered)
    slack.server.photo(HAPPY, channel, deliver=is_remembered)
    slack.server.photo(pdf(slack), channel, deliver=is_remembered)
    slack.server.text("nice", channel, deliver=is_remembered)
    slack.settle()
    check_answer(run(slack, "last", channel, ada), channel, ada)
    assert slack.reader.seen == [HAPPY]
    assert len(slack.server.calls_of("conversations.history")) == (0 if is_remembered else 1)


def test_last_works_in_direct_messages_too(slack: SlackBot) -> None:
    ada = slack.person()
    direct = slack.server.dm(ada)
    slack.post(HAPPY, direct, ada)
    slack.server.text("again?", direct, ada, deliver=False)
    check_answer(run(slack, "LAST please", direct, ada), direct, None)


def pdf(slack: SlackBot) -> Json:
    return slack.server.file(b"%PDF", name="plan.pdf", mimetype="application/pdf")


@pytest.mark.parametrize("is_remembered", [True, False])
def test_last_in_a_channel_shared_with_others_skips_what_is_no_photo(slack: SlackBot, is_remembered: bool) -> None:
    channel = slack.channel(members=[ADA], teams=[OTHER_TEAM])
    slack.server.photo(HAPPY, channel, STRANGER, deliver=is_remembered)
    slack.server.photo(pdf(slack), channel, deliver=is_remembered)
    slack.settle()
    check_answer(run(slack, "last", channel), channel, ADA)


def test_last_without_a_photo_is_explained(slack: SlackBot) -> None:
    channel = slack.channel(members=[ADA])
    slack.server.text("words", channel)
    slack.server.photo(pdf(slack), channel)
    slack.settle()
    sent = run(slack, "last", channel)
    assert (sent.ephemeral_to, sent.text) == (ADA, SLACK.no_photo_last)


def test_last_where_it_was_not_invited_is_explained(slack: SlackBot) -> None:
    channel = slack.channel(bots=False)
    slack.server.photo(HAPPY, channel)
    assert reply(slack, "last", channel) == SLACK.not_invited.format(bot=BOT)
    assert slack.reader.seen == []


@pytest.mark.parametrize("what", ["deleted", "edited"])
def test_last_does_not_read_what_was_taken_away(slack: SlackBot, what: str) -> None:
    channel = slack.channel(members=[ADA])
    slack.server.photo(HAPPY, channel)
    last = slack.server.photo(SAD, channel)
    slack.settle()
    if what == "deleted":
        slack.server.delete(last)
    else:
        slack.server.channels[channel].messages[last["ts"]]["files"] = []
        slack.server.edit(last, "no photo any more")
    slack.settle()
    check_answer(run(slack, "last", channel), channel, ADA)
    assert slack.reader.seen == [HAPPY]


def test_last_forgets_a_channel_that_it_was_taken_out_of(slack: SlackBot) -> None:
    channel = slack.channel()
    slack.server.photo(HAPPY, channel)
    slack.settle()
    slack.server.event({"type": "member_left_channel", "user": BOT_USER, "channel": channel, "channel_type": "C"})
    slack.server.channels[channel].members.discard(BOT_USER)
    assert reply(slack, "last", channel) == SLACK.not_invited.format(bot=BOT)


@pytest.mark.parametrize("is_remembered", [True, False])
def test_last_passes_over_who_does_not_want_to_be_read(slack: SlackBot, is_remembered: bool) -> None:
    shy, ada = slack.person(), slack.person()
    stop_reading(slack, shy)
    channel = slack.channel(members=[ada, shy])
    slack.server.photo(HAPPY, channel, deliver=is_remembered)
    slack.server.photo(SAD, channel, shy, deliver=is_remembered)
    slack.settle()
    check_answer(run(slack, "last", channel, ada), channel, ada)
    assert slack.reader.seen == [HAPPY]


# The window


def open_window(slack: SlackBot, channel: str, user: str) -> Viewed:
    slack.settle(slack.server.command(COMMAND, "  ", channel, user))
    window = slack.wait_for_view(user)
    assert (window.view["type"], window.view["callback_id"]) == ("modal", "photo")
    return window


def has_share_box(window: Viewed) -> bool:
    return "share" in [block["block_id"] for block in window.view["blocks"]]


def test_a_window_takes_a_photo_and_answers_only_its_sender(slack: SlackBot) -> None:
    ada = slack.person()
    channel = slack.channel(members=[ada])
    sending = slack.server.submit_view(open_window(slack, channel, ada), {"share": []}, [HAPPY])
    slack.settle(sending)
    check_answer(slack.wait_for_words(channel)[0], channel, ada)
    assert sending.answer in (None, "", {})  # the window closes
    assert slack.reader.seen == [HAPPY]


def test_if_ticked_the_whole_channel_sees_the_answer_and_who_asked(slack: SlackBot) -> None:
    ada = slack.person()
    channel = slack.channel(members=[ada])
    slack.settle(slack.server.submit_view(open_window(slack, channel, ada), {"share": ["channel"]}, [HAPPY, SAD]))
    (sent,) = slack.wait_for_words(channel)
    assert (sent.ephemeral_to, sent.thread_ts, header_of(sent)) == (None, None, "😄😢")
    assert words_of(sent) == f"{SLACK.shared.format(user=f'<@{ada}>')}\n1. 😄 Happy, 92%\n2. 😢 Sad, 90%"
    assert sent.blocks[0]["elements"][0]["type"] == "mrkdwn"  # or the name would be no name


@pytest.mark.parametrize(
    ("photos", "words"),
    [([NOBODY], ENGLISH.no_face), ([DAMAGED], ENGLISH.unreadable)],
)
def test_a_photo_without_an_answer_is_explained_to_its_sender(slack: SlackBot, photos: list[bytes], words: str) -> None:
    ada = slack.person()
    channel = slack.channel(members=[ada])
    slack.settle(slack.server.submit_view(open_window(slack, channel, ada), {}, photos))
    (sent,) = slack.wait_for_words(channel)
    assert (sent.ephemeral_to, words_of(sent), buttons_of(sent)) == (ada, words, {})


@pytest.mark.parametrize("files", [0, 1])
def test_without_a_picture_the_window_says_what_is_missing(slack: SlackBot, files: int) -> None:
    ada = slack.person(locale="de-DE")
    channel = slack.channel(members=[ada])
    window = open_window(slack, channel, ada)
    sending = slack.server.submit_view(window, {"share": []}, [pdf(slack)] * files)
    slack.settle(sending)
    assert sending.answer == {"response_action": "errors", "errors": {"photo": GERMAN.unsupported}}
    assert slack.said(channel) == []


@pytest.mark.parametrize("is_used_up", [False, True])
def test_where_it_was_not_invited_the_sender_reads_why_nobody_else_sees_the_answer(
    slack: SlackBot, is_used_up: bool
) -> None:
    ada, channel = slack.person(), slack.channel(bots=False)
    window = open_window(slack, channel, ada)
    if is_used_up:
        use_up(slack)
    slack.settle(slack.server.submit_view(window, {"share": ["channel"]}, [HAPPY]))
    (sent,) = slack.server.sent
    place, reader = (slack.server.dm(ada), None) if is_used_up else (channel, ada)
    assert (sent.channel, sent.ephemeral_to, header_of(sent)) == (place, reader, "😄")
    assert words_of(sent) == f"{SLACK.not_invited.format(bot=BOT)}\n{DETAILS}"


@pytest.mark.parametrize("by", ["shortcut", "direct"])
def test_opened_from_nowhere_the_window_is_answered_as_a_direct_message(slack: SlackBot, by: str) -> None:
    ada = slack.person()
    direct = slack.server.dm(ada)
    if by == "shortcut":
        slack.settle(slack.server.shortcut("read_photo", user=ada))
        window = slack.wait_for_view(ada)
        assert not has_share_box(window)
    else:
        window = open_window(slack, direct, ada)
    slack.settle(slack.server.submit_view(window, {}, [HAPPY]))
    check_answer(slack.wait_for_words(direct)[0], direct, None)


def test_in_a_conversation_of_two_there_is_nobody_to_share_with(slack: SlackBot) -> None:
    ada = slack.person()
    assert has_share_box(open_window(slack, slack.channel(), ada))
    slack.server.forget_records()
    assert not has_share_box(open_window(slack, slack.server.dm(ada), ada))


def test_a_window_from_nowhere_uses_the_map_of_direct_messages(slack: SlackBot) -> None:
    ada = slack.person()
    direct = slack.server.dm(ada)
    reply(slack, "map happy :tada:", direct, ada)
    slack.settle(slack.server.shortcut("read_photo", user=ada))
    slack.settle(slack.server.submit_view(slack.wait_for_view(ada), {}, [HAPPY]))
    assert header_of(slack.wait_for_words(direct, 2)[1]) == "🎉"


# The shortcut on a message


@pytest.mark.parametrize("is_reply", [False, True])
def test_a_message_with_a_photo_is_read_for_the_asker_alone(slack: SlackBot, is_reply: bool) -> None:
    ada = slack.person()
    channel = slack.channel(members=[ada])
    thread = slack.server.text("show me yours", channel, deliver=False)["ts"] if is_reply else None
    message = slack.server.photo(HAPPY, channel, deliver=False, thread_ts=thread)
    slack.settle(slack.server.shortcut("read_message", message, ada))
    (sent,) = slack.wait_for_words(channel)
    check_answer(sent, channel, ada)
    assert sent.thread_ts == thread
    assert slack.reacted(message) == []


def test_about_a_photo_that_has_replies_the_answer_is_where_the_asker_looks(slack: SlackBot) -> None:
    ada = slack.person()
    channel = slack.channel(members=[ada])
    message = slack.server.photo(HAPPY, channel, deliver=False)
    slack.server.text("nice", channel, thread_ts=message["ts"], deliver=False)
    slack.settle(slack.server.shortcut("read_message", message, ada))
    assert slack.wait_for_words(channel)[0].thread_ts is None


@pytest.mark.parametrize("is_reply", [False, True])
def test_a_photo_in_a_channel_without_the_bot_is_read_too(slack: SlackBot, is_reply: bool) -> None:
    ada = slack.person()
    thread = slack.server.text("show me yours", RANDOM)["ts"] if is_reply else None
    message = slack.server.photo(HAPPY, RANDOM, thread_ts=thread)
    slack.settle(slack.server.shortcut("read_message", message, ada))
    check_answer(slack.wait_for_words(RANDOM)[0], RANDOM, ada)


def test_a_message_without_a_photo_is_explained(slack: SlackBot) -> None:
    ada, channel = slack.person(locale="de-DE"), slack.channel()
    for message in (slack.server.text("words", channel), slack.server.photo(pdf(slack), channel)):
        slack.settle(slack.server.shortcut("read_message", message, ada))
    told = slack.wait_for_words(channel, 2)
    assert [(sent.ephemeral_to, sent.text) for sent in told] == [(ada, SLACK_GERMAN.no_photo_message)] * 2


def test_who_does_not_want_to_be_read_is_not_read_for_others(slack: SlackBot) -> None:
    shy, ada = slack.person(), slack.person()
    stop_reading(slack, shy)
    channel = slack.channel(members=[shy, ada])
    message = slack.server.photo(HAPPY, channel, shy)
    slack.settle(slack.server.shortcut("read_message", message, ada))
    (refusal,) = slack.wait_for_words(channel)
    assert (refusal.ephemeral_to, refusal.text) == (ada, SLACK.opted_out)
    assert slack.reader.seen == []
    slack.settle(slack.server.shortcut("read_message", message, shy))
    check_answer(slack.wait_for_words(channel, 2)[1], channel, shy)


# Where private answers go

ASKING = ("me", "window", "message")


def ask(slack: SlackBot, by: str, channel: str, user: str) -> None:
    """Ask for an answer to `HAPPY` by the command, its window or the shortcut."""
    match by:
        case "me":
            slack.server.command(COMMAND, "me", channel, user)
        case "window":
            slack.server.command(COMMAND, "", channel, user)
            slack.server.submit_view(slack.wait_for_view(user), {}, [HAPPY])
        case "message":
            slack.server.shortcut("read_message", slack.server.photo(HAPPY, channel, deliver=False), user)


def use_up(slack: SlackBot) -> None:
    """Let Slack refuse the addresses that it gave for answers, as it does after half an hour."""
    slack.server.fail("response_url", "used_url", status=404, times=None)


@pytest.mark.parametrize(
    ("by", "kind"),
    [*itertools.product(ASKING, ["channel", "group", "mpim"]), ("me", "im"), ("message", "im")],
)
def test_where_the_bot_is_no_member_the_asker_is_answered_right_there(
    slack: SlackBot, portrait: bytes, by: str, kind: str
) -> None:
    ada = with_picture(slack, portrait)
    place = slack.channel(kind=kind, bots=False, members=[ada, slack.person()])
    ask(slack, by, place, ada)
    slack.settle()
    (sent,) = slack.server.sent
    check_answer(sent, place, ada)


@pytest.mark.parametrize("by", ASKING)
def test_when_the_address_is_used_up_the_asker_is_answered_there_all_the_same(
    slack: SlackBot, portrait: bytes, by: str
) -> None:
    ada = with_picture(slack, portrait)
    channel = slack.channel(members=[ada])
    use_up(slack)
    ask(slack, by, channel, ada)
    slack.settle()
    (sent,) = slack.server.sent
    check_answer(sent, channel, ada)
    assert sent.via == "chat.postEphemeral"


@pytest.mark.parametrize("kind", ["channel", "im"])
@pytest.mark.parametrize("by", ASKING)
def test_when_it_is_used_up_where_the_bot_is_no_member_the_answer_is_a_direct_message(
    slack: SlackBot, portrait: bytes, by: str, kind: str
) -> None:
    ada = with_picture(slack, portrait)
    place = slack.channel(kind=kind, bots=False, members=[ada, slack.person()])
    use_up(slack)
    ask(slack, by, place, ada)
    slack.settle()
    (sent,) = slack.server.sent
    check_answer(sent, slack.server.dm(ada), None)


def test_when_it_is_used_up_last_without_the_bot_is_explained_in_a_direct_message(slack: SlackBot) -> None:
    ada = slack.person()
    use_up(slack)
    slack.settle(slack.server.command(COMMAND, "last", slack.channel(bots=False), ada))
    (sent,) = slack.server.sent
    assert (sent.channel, sent.text) == (slack.server.dm(ada), SLACK.not_invited.format(bot=BOT))


def test_a_restart_forgets_the_addresses_and_no_answer(slack: SlackBot, portrait: bytes) -> None:
    ada = with_picture(slack, portrait)
    channel = slack.channel(members=[ada])
    away = slack.server.fail("response_url", times=None, status=503)
    for by in ASKING:
        ask(slack, by, channel, ada)
    wait_until(lambda: away.hits >= len(ASKING), 20)
    slack.stop()
    slack.server.heal()
    slack.lines.clear()
    slack.start()
    wait_until(lambda: len(slack.lines) == 2, 60)
    slack.settle()
    assert [sent.via for sent in slack.server.sent] == ["chat.postEphemeral"] * len(ASKING)
    for sent in slack.server.sent:
        check_answer(sent, channel, ada)


@pytest.mark.parametrize(
    "trouble", [{}, {"error": "used_url", "status": 404}, {"error": "ratelimited"}, {"status": 503}, {"cut": "before"}]
)
def test_the_addresses_are_neither_stored_nor_logged(
    slack: SlackBot, portrait: bytes, caplog: pytest.LogCaptureFixture, trouble: Json
) -> None:
    for name in ("slack_bolt", "slack_sdk", "dbos", "aiohttp", "httpx", "httpcore", "asyncio"):
        caplog.set_level(logging.WARNING, name)  # as `bot.logs` has it
    caplog.set_level(logging.INFO)
    ada = with_picture(slack, portrait)
    channel = slack.channel(members=[ada])
    if trouble:
        slack.server.fail("response_url", times=3, **trouble)
    with capture_logs() as logs:
        slack.reader.may_read.clear()
        try:
            for by in ASKING:
                ask(slack, by, channel, ada)
            wait_until(lambda: not slack.server.pending, 20)
            urls = [delivery.payload.get("response_url") for delivery in slack.server.deliveries]
            secrets = [url.rpartition("/")[2] for url in urls if url]
            assert slack.bytes_hold(ada)  # for the jobs are
            was_stored = slack.bytes_hold(*secrets)
        finally:
            slack.reader.may_read.set()
        slack.settle()
    assert len(secrets) == len(slack.server.sent) == len(ASKING)
    assert (was_stored, slack.bytes_hold(*secrets)) == (False, False)
    logged = f"{logs} {[(record.getMessage(), record.exc_text) for record in caplog.records]}"
    assert not any(secret in logged for secret in secrets)


# What is kept, and erased


def test_forget_in_direct_messages_leaves_no_trace_of_a_person(slack: SlackBot) -> None:
    ada, other = slack.person(), slack.person()
    direct, channel = slack.server.dm(ada), slack.channel(auto=True)
    file = slack.server.file(HAPPY, user=ada)
    slack.server.photo(file, direct, ada)
    for user in (ada, other):
        slack.post(HAPPY, channel, user)
    reply(slack, "map happy :tada:", direct, ada)
    assert {"face2emoji_chats", "workflow_status"} <= set(slack.traces(ada, direct))
    assert slack.bytes_hold(file["id"])
    assert reply(slack, "forget", direct, ada) == SLACK.forgot_direct
    assert slack.traces(ada, direct, file["id"]) == []
    assert not slack.bytes_hold(ada, direct, file["id"])
    assert slack.traces(other) != []
    assert reacts(slack, channel)


def test_forget_says_so_where_a_photo_outlasts_it(slack: SlackBot, monkeypatch: pytest.MonkeyPatch) -> None:
    async def all_but_one(*_arguments: object) -> int:
        return 1

    monkeypatch.setattr(Jobs, "forget", all_but_one)
    ada, guest, channel = slack.person(), slack.person(is_restricted=True), slack.channel()
    for place, user in ((slack.server.dm(ada), ada), (channel, ada), (channel, guest)):
        assert reply(slack, "forget", place, user) == SLACK.forgot_later


def test_forget_erases_a_channel_and_all_see_that_it_is_off(slack: SlackBot) -> None:
    ada, channel, other = slack.person(), slack.channel(auto=True), slack.channel(auto=True)
    reply(slack, "map happy :tada:", channel)
    for place in (channel, other):
        slack.post(HAPPY, place, ada)
    slack.server.forget_records()
    slack.settle(slack.server.command(COMMAND, "forget", channel, ada))
    seen, told = slack.wait_for_words(channel, 2)
    assert (seen.ephemeral_to, seen.text) == (None, SLACK.auto_off.format(user=f"<@{ada}>"))
    assert (told.ephemeral_to, told.text) == (ada, SLACK.forgot_channel)
    assert slack.traces(channel) == []
    assert not slack.bytes_hold(channel)
    assert slack.traces(other) != []
    assert (reacts(slack, channel), reacts(slack, other)) == (False, True)


@pytest.mark.parametrize("role", [{"is_restricted": True}, {"is_ultra_restricted": True}])
def test_a_guest_is_forgotten_and_the_channel_stays(slack: SlackBot, role: Json) -> None:
    guest, ada = slack.person(**role), slack.person()
    channel, other = slack.channel(auto=True), slack.channel(auto=True)
    for user in (guest, ada):
        slack.post(HAPPY, channel, user)
    slack.post(HAPPY, other, guest)
    assert reply(slack, "forget", channel, guest) == SLACK.forgot_member
    kept = [row for row in slack.rows("TRUE") if guest in str(row)]
    assert kept
    assert all(other in str(row) and channel not in str(row) for row in kept)
    assert [row for row in slack.rows("TRUE") if channel in str(row) and ada in str(row)]
    assert reacts(slack, channel)


# Feedback


def counts(slack: SlackBot) -> dict[tuple[str, str], int]:
    return {(given, corrected): count for given, corrected, _, count in slack.rows("TRUE", "face2emoji_feedback")}


def counted(slack: SlackBot, before: dict[tuple[str, str], int]) -> dict[tuple[str, str], int]:
    """What was added to the counts."""
    after = counts(slack)
    return {key: count - before.get(key, 0) for key, count in after.items() if count != before.get(key, 0)}


def edits_of(slack: SlackBot, sent: Sent) -> list[Sent]:
    """What a message became, one after the other."""
    return [edited for edited in slack.server.edited if (edited.channel, edited.ts) == (sent.channel, sent.ts)]


def press(slack: SlackBot, sent: Sent, label: str, user: str = ADA) -> Sent:
    """Press the button of this label; what the message becomes."""
    before = len(edits_of(slack, sent))
    slack.settle(slack.server.press(sent, buttons_of(sent)[label], user))
    wait_until(lambda: len(edits_of(slack, sent)) > before, 20)
    (edited,) = edits_of(slack, sent)[before:]
    assert (header_of(edited), words_of(edited).splitlines()[0]) == (header_of(sent), words_of(sent).splitlines()[0])
    return edited


def direct_answer(slack: SlackBot, photo: bytes) -> tuple[Sent, str]:
    ada = slack.person()
    slack.post(photo, slack.server.dm(ada), ada)
    return slack.said(slack.server.dm(ada))[-1], ada


def shown_answer(slack: SlackBot, photo: bytes) -> tuple[Sent, str]:
    channel = slack.channel()
    slack.server.mention("me", channel, data=photo)
    return slack.wait_for_words(channel)[0], ADA


def private_answer(slack: SlackBot, photo: bytes) -> tuple[Sent, str]:
    ada = slack.person()
    channel = slack.channel(members=[ada])
    slack.settle(slack.server.shortcut("read_message", slack.server.photo(photo, channel, deliver=False), ada))
    return slack.wait_for_words(channel)[0], ada


@pytest.mark.parametrize("answer", [direct_answer, shown_answer, private_answer])
def test_right_is_counted_and_the_buttons_go(slack: SlackBot, answer: Any) -> None:
    sent, user = answer(slack, b"fear:95")
    before = counts(slack)
    edited = press(slack, sent, ENGLISH.right, user)
    assert words_of(edited) == f"{words_of(sent)}\n{ENGLISH.thanks}"
    assert buttons_of(edited) == {}
    assert counted(slack, before) == {("fear", "fear"): 1}


@pytest.mark.parametrize("answer", [direct_answer, shown_answer, private_answer])
def test_wrong_asks_which_and_counts_the_correction(slack: SlackBot, answer: Any) -> None:
    sent, user = answer(slack, b"surprise:95")
    before = counts(slack)
    question = press(slack, sent, ENGLISH.wrong, user)
    assert words_of(question) == f"{words_of(sent)}\n{ENGLISH.which_expression}"
    assert [label.split()[1] for label in buttons_of(question)] == [name.capitalize() for name in EXPRESSIONS]
    assert counted(slack, before) == {}
    edited = press(slack, question, "😐 Neutral", user)
    assert words_of(edited) == f"{words_of(sent)}\n{ENGLISH.thanks}"
    assert counted(slack, before) == {("surprise", "neutral"): 1}


@pytest.mark.parametrize("answer", [direct_answer, shown_answer, private_answer])
def test_a_press_that_cannot_be_counted_says_so_and_may_be_pressed_again(slack: SlackBot, answer: Any) -> None:
    sent, user = answer(slack, b"fear:95")
    before = counts(slack)
    with slack.without("face2emoji_feedback"):
        slack.settle(slack.server.press(sent, buttons_of(sent)[ENGLISH.right], user))
        wait_until(lambda: slack.wait_for_words(sent.channel, 2)[-1].text == ENGLISH.not_counted, 20)
    assert edits_of(slack, sent) == []
    press(slack, sent, ENGLISH.right, user)
    assert counted(slack, before) == {("fear", "fear"): 1}


def test_of_several_faces_the_wrong_one_is_asked_for(slack: SlackBot) -> None:
    sent, user = direct_answer(slack, b"sad:90 angry:90")
    before = counts(slack)
    which = press(slack, sent, ENGLISH.wrong, user)
    assert words_of(which).endswith(ENGLISH.which_face)
    question = press(slack, which, "2. Angry", user)
    edited = press(slack, question, "🤮 Disgust", user)
    assert words_of(edited) == f"{words_of(sent)}\n{ENGLISH.thanks}"
    assert counted(slack, before) == {("angry", "disgust"): 1}


def test_right_about_several_faces_counts_each(slack: SlackBot) -> None:
    sent, user = direct_answer(slack, b"sad:90 angry:90 sad:90")
    before = counts(slack)
    press(slack, sent, ENGLISH.right, user)
    assert counted(slack, before) == {("sad", "sad"): 2, ("angry", "angry"): 1}


@pytest.mark.parametrize("others", [1, 4])
def test_presses_at_the_same_moment_count_once(slack: SlackBot, others: int) -> None:
    sent, _ = shown_answer(slack, b"disgust:95")
    before = counts(slack)
    users = [slack.person() for _ in range(1 + others)]
    with slack.server.lock:  # so that none sees what the press before changed
        for user in users:
            slack.server.press(sent, buttons_of(sent)[ENGLISH.right], user)
    wait_for_presses(slack, sent, users)
    assert counted(slack, before) == {("disgust", "disgust"): 1}


def wait_for_presses(slack: SlackBot, sent: Sent, users: list[str]) -> None:
    """Wait until nothing more can come of presses by new people.

    One has taken the buttons away, each person was looked up, and a later press is through.
    """
    slack.settle()
    wait_until(lambda: any(not buttons_of(edited) for edited in edits_of(slack, sent)), 20)
    wait_until(lambda: {call.args["user"] for call in slack.server.calls_of("users.info")}.issuperset(users), 20)
    press(slack, shown_answer(slack, b"happy:92 sad:90")[0], ENGLISH.wrong)


def test_who_comes_too_late_brings_no_buttons_back(slack: SlackBot) -> None:
    sent, _ = shown_answer(slack, b"disgust:95")
    before = counts(slack)
    first, late = slack.person(), slack.person()
    with slack.server.lock:
        slack.server.press(sent, buttons_of(sent)[ENGLISH.right], first)
        slack.server.press(sent, buttons_of(sent)[ENGLISH.wrong], late)
    wait_for_presses(slack, sent, [first, late])
    assert counted(slack, before) == {("disgust", "disgust"): 1}
    assert buttons_of(edits_of(slack, sent)[-1]) == {}


def test_somebody_of_another_workspace_may_say_whether_it_was_right(slack: SlackBot) -> None:
    slack.server.mention("me", CONNECT, data=b"disgust:95")
    sent = slack.wait_for_words(CONNECT)[0]
    asking = slack.server.press(sent, buttons_of(sent)[ENGLISH.wrong])
    slack.settle(asking)
    wait_until(lambda: len(slack.server.edited) == 1, 20)
    before = counts(slack)
    # Slack names the workspace that has the app, and the user's own beside the user.
    user = {"id": STRANGER, "team_id": OTHER_TEAM}
    send_changed(slack, asking, user=user, actions=[action_of(slack.server.edited[0], "😢 Sad")])
    wait_until(lambda: len(slack.server.edited) == 2, 20)
    assert counted(slack, before) == {("disgust", "sad"): 1}


def action_of(sent: Sent, label: str) -> Json:
    """A button as a press of it has it."""
    elements = [element for block in sent.blocks for element in block.get("elements", [])]
    (found,) = [element for element in elements if element["type"] == "button" and element["text"]["text"] == label]
    return {**found, "block_id": "b", "action_ts": "1700000000.000001"}


def test_questions_are_in_the_pressing_persons_language(slack: SlackBot) -> None:
    sent, _ = shown_answer(slack, b"sad:90")
    edited = press(slack, sent, ENGLISH.wrong, slack.person(locale="ko-KR"))
    assert words_of(edited) == f"{words_of(sent)}\n{KOREAN.which_expression}"


@pytest.mark.parametrize("value", ["", "right", f"right:{MODEL}:9", f"is:{MODEL}:1", "right:x:1", "x" * 2000])
def test_forged_and_very_old_buttons_are_answered_and_count_nothing(slack: SlackBot, value: str) -> None:
    sent, ada = direct_answer(slack, HAPPY)
    before = counts(slack)
    held = slack.server.channels[sent.channel].messages[sent.ts]
    held["blocks"][-1]["elements"][0]["value"] = value
    slack.settle(slack.server.press(sent, buttons_of(sent)[ENGLISH.right], ada))
    (_, told) = slack.wait_for_words(sent.channel, 2)
    assert (told.ephemeral_to, told.text) == (ada, SLACK.failed)
    assert counted(slack, before) == {}


# App Home


def homes(slack: SlackBot, user: str) -> list[Viewed]:
    return [viewed for viewed in slack.server.views if viewed.user == user]


def home_of(slack: SlackBot, user: str) -> Viewed:
    """Open somebody's home."""
    return next_home(slack, user, lambda: slack.server.open_home(user))


def press_home(slack: SlackBot, user: str, action: str) -> Viewed:
    """Press a button of the home; the new one."""
    return next_home(slack, user, lambda: slack.server.press(homes(slack, user)[-1], action, user))


def next_home(slack: SlackBot, user: str, act: Callable[[], Delivery]) -> Viewed:
    before = len(homes(slack, user))
    slack.settle(act())
    wait_until(lambda: len(homes(slack, user)) > before, 20)
    (home,) = homes(slack, user)[before:]
    assert home.view["type"] == "home"
    return home


def stop_reading(slack: SlackBot, user: str) -> None:
    home_of(slack, user)
    press_home(slack, user, "stop_reading")


def lines_of(home: Viewed) -> list[str]:
    return [block["text"]["text"] for block in home.view["blocks"] if "text" in block]


def actions_of(home: Viewed) -> list[str]:
    return [element["action_id"] for element in home.view["blocks"][-1]["elements"]]


@pytest.mark.parametrize(("locale", "code"), [("en-US", "en"), ("de-DE", "de")])
def test_the_home_explains_and_shows_the_settings(slack: SlackBot, locale: str, code: str) -> None:
    phrases, words = {"en": ENGLISH, "de": GERMAN}[code], slack_phrases(code)
    home = home_of(slack, slack.person(locale=locale))
    settings = f"{words.home_read}\n\n{phrases.map_unchanged}"
    assert lines_of(home) == [words.home_title, words.home_text, words.home_privacy, words.home_settings, settings]
    assert actions_of(home) == ["stop_reading", "erase"]


def test_other_tabs_show_nothing(slack: SlackBot) -> None:
    ada = slack.person()
    slack.settle(slack.server.open_home(ada, tab="messages"))
    home_of(slack, ada)
    assert len(homes(slack, ada)) == 1


def test_one_can_stop_being_read_in_channels_and_resume(slack: SlackBot) -> None:
    ada, channel = slack.person(), slack.channel(auto=True)
    home_of(slack, ada)
    stopped = press_home(slack, ada, "stop_reading")
    assert lines_of(stopped)[-1].startswith(SLACK.home_unread)
    assert actions_of(stopped) == ["resume_reading", "erase"]
    assert slack.traces(ada) == ["face2emoji_opted_out"]
    assert not reacts(slack, channel, ada)
    assert actions_of(home_of(slack, ada)) == ["resume_reading", "erase"]
    resumed = press_home(slack, ada, "resume_reading")
    assert lines_of(resumed)[-1].startswith(SLACK.home_read)
    assert "face2emoji_opted_out" not in slack.traces(ada)
    assert reacts(slack, channel, ada)


def test_the_home_shows_ones_own_map_also_after_a_press(slack: SlackBot) -> None:
    ada = slack.person()
    reply(slack, "map happy :tada:", slack.server.dm(ada), ada)
    changed = ENGLISH.map_changed.format(changes="happy :tada:")
    assert lines_of(home_of(slack, ada))[-1].endswith(changed)
    assert lines_of(press_home(slack, ada, "stop_reading"))[-1].endswith(changed)


def test_erase_leaves_the_wish_not_to_be_read_and_nothing_else(slack: SlackBot) -> None:
    ada, other = slack.person(), slack.person()
    direct, channel = slack.server.dm(ada), slack.channel(auto=True)
    slack.post(HAPPY, direct, ada)
    for user in (ada, other):
        slack.post(HAPPY, channel, user)
    reply(slack, "map happy :tada:", direct, ada)
    stop_reading(slack, ada)
    home = press_home(slack, ada, "erase")
    assert lines_of(home)[-1] == f"{SLACK.home_unread}\n\n{ENGLISH.map_unchanged}"
    assert slack.said(direct)[-1].text == SLACK.forgot_direct
    assert slack.traces(direct) == []
    assert slack.traces(ada) == ["face2emoji_opted_out"]
    assert not slack.bytes_hold(direct)
    assert slack.traces(other) != []
    assert reacts(slack, channel, other)


# What Slack might send one day


@pytest.mark.parametrize(
    "change",
    [
        {"actions": [{"type": "button"}]},
        {"actions": [{"type": "button", "action_id": "of_the_future", "block_id": "b"}]},
        {"type": "block_suggestion"},
        {"type": "view_closed", "view": {"id": "V1", "type": "modal", "callback_id": "photo"}},
        {"type": "view_submission", "view": {"id": "V1", "type": "modal", "state": {"values": {}}}},
        {"type": "shortcut", "callback_id": "of_the_future"},
        {"type": "of_the_future"},
    ],
)
def test_strange_interactions_are_acknowledged(slack: SlackBot, change: Json) -> None:
    sent, ada = direct_answer(slack, HAPPY)
    delivery = slack.server.press(sent, buttons_of(sent)[ENGLISH.right], ada)
    slack.settle(delivery)
    assert send_changed(slack, delivery, **change).state == "acknowledged"
    assert reply(slack, "help", sent.channel, ada) == SLACK.help.format(bot=BOT)
