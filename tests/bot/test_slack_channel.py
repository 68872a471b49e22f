"""Photos on Slack: what channels and direct messages get to see, and what the bot must not touch."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest
from structlog.testing import capture_logs

from bot.phrases import ENGLISH, GERMAN, KOREAN, SPANISH, Phrases
from bot.slack_phrases import ENGLISH as SLACK
from bot.slack_phrases import GERMAN as SLACK_GERMAN
from tests.bot.running_bot import DAMAGED, HAPPY, NOBODY, SAD
from tests.bot.served import wait_until
from tests.bot.slack_served import SlackBot, buttons_of, header_of, words_of
from tests.bot.slack_server import Delivery, Sent, SlackServer
from tests.bot.slack_shapes import Json
from tests.bot.slack_world import (
    ADA,
    BOT_TOKEN,
    BOT_USER,
    CONNECT,
    EVE,
    GENERAL,
    OTHER_TEAM,
    RANDOM,
    ROBOT,
    STRANGER,
    TEAM,
)

DETAILS = "Happy, 92%\nNext: sad 4%, surprise 2%"


@pytest.fixture(scope="module", params=["socket", "http"])
def shared_slack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlackBot]:
    """A bot for all tests of this file; then another one, for the same tests over the other transport."""
    folder = tmp_path_factory.mktemp("slack")
    with SlackServer() as server, SlackBot(folder, server, transport=request.param) as bot:
        yield bot


def is_silent(slack: SlackBot, channel: str) -> bool:
    """Tell whether nothing was said or done in a channel."""
    slack.settle()
    reacted = [reaction for reaction in slack.server.reactions if reaction.channel == channel]
    return not slack.said(channel) and not reacted


def is_ignored(slack: SlackBot, channel: str) -> bool:
    """Tell whether nothing was even read."""
    return is_silent(slack, channel) and not slack.reader.seen and not slack.server.downloads


def only(sent: list[Sent]) -> Sent:
    (message,) = sent
    return message


def said_once(slack: SlackBot, channel: str) -> Sent:
    """The one message in a channel."""
    slack.wait_for_words(channel)
    slack.settle()
    return only(slack.said(channel))


def delivery_of(slack: SlackBot, message: Json, kind: str = "message") -> Delivery:
    """The delivery of a message's event."""
    events = [(delivery, delivery.payload.get("event", {})) for delivery in slack.server.deliveries]
    (found,) = [each for each, event in events if (event.get("ts"), event["type"]) == (message["ts"], kind)]
    return found


# Reactions


def test_a_photo_in_a_channel_that_is_on_gets_one_reaction_and_nothing_else(slack: SlackBot) -> None:
    channel = slack.channel(auto=True)
    happy, sad = slack.post(HAPPY, channel), slack.post(SAD, channel, text="what a day")
    assert (slack.reacted(happy), slack.reacted(sad)) == (["smile"], ["cry"])
    assert slack.said(channel) == []
    assert not slack.server.calls_of("chat.postMessage", "chat.postEphemeral")


@pytest.mark.parametrize(
    "make",
    [
        lambda server, channel: server.photo(HAPPY, channel),
        lambda server, channel: server.photo([HAPPY, SAD], channel, text=f"look <@{EVE}>, it's {BOT_USER}"),
        lambda server, channel: server.photo(HAPPY, channel, thread_ts=server.text("one", channel)["ts"]),
        lambda server, channel: server.text("hello", channel),
    ],
)
def test_channels_are_left_alone_by_default(slack: SlackBot, make: Callable[[SlackServer, str], Json]) -> None:
    channel = slack.channel()
    make(slack.server, channel)
    assert is_ignored(slack, channel)
    assert not slack.server.calls
    assert slack.traces(channel) == []


@pytest.mark.parametrize("kind", ["channel", "group", "mpim"])
def test_every_kind_of_channel_can_be_on(slack: SlackBot, kind: str) -> None:
    assert slack.reacted(slack.post(HAPPY, slack.channel(auto=True, kind=kind))) == ["smile"]


@pytest.mark.parametrize(
    ("photos", "reaction"),
    [
        ([b"sad:60", HAPPY, NOBODY], "smile"),
        ([HAPPY, b"sad:99"], "cry"),
        ([DAMAGED, SAD], "cry"),
        (b"happy:90:300 sad:99:100", "smile"),
    ],
)
def test_the_surest_main_face_of_a_post_reacts(slack: SlackBot, photos: bytes | list[bytes], reaction: str) -> None:
    channel = slack.channel(auto=True)
    assert slack.reacted(slack.post(photos, channel)) == [reaction]
    assert len(slack.server.calls_of("reactions.add")) == 1


@pytest.mark.parametrize("photos", [NOBODY, DAMAGED, [NOBODY, DAMAGED]])
def test_where_no_face_is_found_nothing_happens(slack: SlackBot, photos: bytes | list[bytes]) -> None:
    channel = slack.channel(auto=True)
    slack.post(photos, channel)
    assert is_silent(slack, channel)
    assert slack.reader.seen == ([photos] if isinstance(photos, bytes) else photos)


def test_photos_in_threads_get_their_reactions_too(slack: SlackBot) -> None:
    channel = slack.channel(auto=True)
    first = slack.post(HAPPY, channel)
    reply = slack.post(SAD, channel, thread_ts=first["ts"])
    shown = slack.post(b"angry:99", channel, thread_ts=first["ts"], subtype="thread_broadcast")
    assert [slack.reacted(message) for message in (first, reply, shown)] == [["smile"], ["cry"], ["rage"]]
    assert slack.said(channel) == []


def bots_post(slack: SlackBot, channel: str) -> None:
    slack.server.photo(HAPPY, channel, ROBOT)


def own_post(slack: SlackBot, channel: str) -> None:
    slack.server.photo(HAPPY, channel, BOT_USER)


def integrations_post(slack: SlackBot, channel: str) -> None:
    slack.server.photo(HAPPY, channel, ROBOT, subtype="bot_message")


def post_through_an_app(slack: SlackBot, channel: str) -> None:
    slack.server.photo(HAPPY, channel, bot_id="B0OTHER01")


def bot_in_disguise(slack: SlackBot, channel: str) -> None:
    slack.server.photo(HAPPY, channel, slack.person(is_bot=True))


def hidden_post(slack: SlackBot, channel: str) -> None:
    slack.server.photo(HAPPY, channel, hidden=True)


def edited_post(slack: SlackBot, channel: str) -> None:
    slack.server.edit(slack.server.photo(HAPPY, channel, deliver=False), f"<@{BOT_USER}>")


def deleted_post(slack: SlackBot, channel: str) -> None:
    slack.server.delete(slack.server.photo(HAPPY, channel, deliver=False))


def new_member(slack: SlackBot, channel: str) -> None:
    slack.server.text("<@U1> has joined the channel", channel, subtype="channel_join")


def new_picture(slack: SlackBot, channel: str) -> None:
    slack.server.photo(HAPPY, channel, subtype="channel_canvas_updated")


@pytest.mark.parametrize(
    "make",
    [
        bots_post,
        own_post,
        integrations_post,
        post_through_an_app,
        bot_in_disguise,
        hidden_post,
        edited_post,
        deleted_post,
        new_member,
        new_picture,
    ],
)
def test_even_where_it_is_on_this_is_ignored(slack: SlackBot, make: Callable[[SlackBot, str], None]) -> None:
    channel = slack.channel(auto=True)
    make(slack, channel)
    assert is_ignored(slack, channel)


def test_who_does_not_want_to_be_read_is_not_read_and_others_are(slack: SlackBot) -> None:
    shy, ada = slack.person(), slack.person()
    stop_reading(slack, shy)
    channel = slack.channel(auto=True)
    slack.post(HAPPY, channel, shy)
    assert is_ignored(slack, channel)
    assert slack.reacted(slack.post(HAPPY, channel, ada)) == ["smile"]


def stop_reading(slack: SlackBot, user: str) -> None:
    slack.settle(slack.server.open_home(user))
    home = slack.wait_for_view(user)
    slack.settle(slack.server.press(home, "stop_reading", user))
    wait_until(lambda: len([viewed for viewed in slack.server.views if viewed.user == user]) == 2)
    slack.server.forget_records()


# Which files are photos


@pytest.mark.parametrize("mode", ["external", "tombstone", "hidden_by_limit"])
def test_files_that_are_not_slacks_to_give_are_skipped(slack: SlackBot, mode: str) -> None:
    channel = slack.channel(auto=True)
    beside = slack.server.photo([slack.server.file(SAD, mode=mode), HAPPY], channel)
    slack.settle()
    assert slack.reacted(beside) == ["smile"]
    assert slack.reader.seen == [HAPPY]
    assert not slack.server.calls_of("files.info")
    slack.server.photo(slack.server.file(SAD, mode=mode), channel)
    slack.settle()
    assert slack.reader.seen == [HAPPY]


@pytest.mark.parametrize(
    ("name", "mimetype"),
    [
        ("plan.pdf", "application/pdf"),
        ("film.mp4", "video/mp4"),
        ("notes.txt", "text/plain"),
        ("selfie.jpg", "application/zip"),
        ("notes", ""),
    ],
)
def test_files_of_other_kinds_are_not_read(slack: SlackBot, name: str, mimetype: str) -> None:
    channel = slack.channel(auto=True)
    file = slack.server.file(HAPPY, name=name, mimetype=mimetype)
    slack.server.photo(file, channel)
    assert is_ignored(slack, channel)
    message = slack.server.photo([slack.server.file(HAPPY, name=name, mimetype=mimetype), SAD], channel)
    slack.settle()
    assert slack.reacted(message) == ["cry"]


@pytest.mark.parametrize(
    ("name", "mimetype"),
    [("IMG_1.HEIC", "image/heic"), ("IMG_2.HEIC", ""), ("moves.gif", "image/gif"), ("selfie", "image/webp")],
)
def test_pictures_of_all_kinds_are_read(slack: SlackBot, name: str, mimetype: str) -> None:
    channel = slack.channel(auto=True)
    message = slack.server.photo(slack.server.file(HAPPY, name=name, mimetype=mimetype), channel)
    slack.settle()
    assert slack.reacted(message) == ["smile"]


@pytest.mark.parametrize("user", [ADA, STRANGER])
def test_in_a_channel_shared_with_others_slack_is_asked_about_the_files(slack: SlackBot, user: str) -> None:
    channel = slack.channel(auto=True, teams=[OTHER_TEAM])
    message = slack.server.photo(HAPPY, channel, user)
    assert message["files"][0].keys().isdisjoint({"url_private", "mimetype"})
    slack.settle()
    assert slack.reacted(message) == ["smile"]
    assert [call.args["file"] for call in slack.server.calls_of("files.info")] == [message["files"][0]["id"]]


@pytest.mark.parametrize(
    "other",
    [
        {"mode": "external"},
        {"mode": "tombstone"},
        {"mode": "hidden_by_limit"},
        {"name": "plan.pdf", "mimetype": "application/pdf"},
    ],
)
def test_of_files_that_are_only_named_the_photos_are_read(slack: SlackBot, other: Json) -> None:
    channel = slack.channel(auto=True, teams=[OTHER_TEAM])
    message = slack.server.photo([slack.server.file(SAD, **other), HAPPY], channel)
    slack.settle()
    assert slack.reacted(message) == ["smile"]
    assert slack.reader.seen == [HAPPY]
    slack.server.photo(slack.server.file(SAD, **other), channel)
    slack.settle()
    assert slack.reader.seen == [HAPPY]
    assert slack.said(channel) == []


# A channel's own map


@pytest.mark.parametrize(
    ("emoji", "reaction"),
    [
        ("🎉", "tada"),
        (":tada:", "tada"),
        (":thumbsup:", "+1"),
        ("👋🏽", "wave::skin-tone-4"),
        (":wave::skin-tone-3:", "wave::skin-tone-3"),
        (":our_octopus:", "our_octopus"),
        (":tentacles:", "tentacles"),
    ],
)
def test_a_channels_own_map_changes_its_reactions_and_no_others(slack: SlackBot, emoji: str, reaction: str) -> None:
    slack.server.team(TEAM, emoji={"our_octopus": "https://emoji.invalid/1.png", "tentacles": "alias:our_octopus"})
    channel, other = slack.channel(auto=True), slack.channel(auto=True)
    slack.settle(slack.server.command("/face2emoji", f"map happy {emoji}", channel))
    slack.wait_for_words(channel)
    assert slack.reacted(slack.post(HAPPY, channel)) == [reaction]
    assert slack.reacted(slack.post(SAD, channel)) == ["cry"]
    assert slack.reacted(slack.post(HAPPY, other)) == ["smile"]


def test_an_emoji_that_the_workspace_removed_gives_way_to_the_usual_one(slack: SlackBot) -> None:
    slack.server.team(TEAM, emoji={"brief_joy": "https://emoji.invalid/2.png"})
    channel = slack.channel(auto=True)
    slack.settle(slack.server.command("/face2emoji", "map happy :brief_joy:", channel))
    slack.wait_for_words(channel)
    del slack.server.teams[TEAM].emoji["brief_joy"]
    assert slack.reacted(slack.post(HAPPY, channel)) == ["smile"]


# Mentions


def check_answer(sent: Sent, thread: str | None) -> None:
    """Check the full answer to `HAPPY`, for all to see."""
    assert (sent.thread_ts, sent.ephemeral_to) == (thread, None)
    assert (header_of(sent), words_of(sent)) == ("😄", DETAILS)
    assert list(buttons_of(sent)) == [ENGLISH.right, ENGLISH.wrong]


@pytest.mark.parametrize("kind", ["channel", "group", "mpim"])
def test_a_mention_in_a_caption_comes_twice_and_is_answered_once(slack: SlackBot, kind: str) -> None:
    channel = slack.channel(kind=kind)
    message = slack.server.mention("and me?", channel, data=HAPPY)
    assert delivery_of(slack, message) is not delivery_of(slack, message, "app_mention")
    check_answer(said_once(slack, channel), message["ts"])
    assert slack.reacted(message) == []


def test_a_caption_in_a_thread_is_answered_in_that_thread(slack: SlackBot) -> None:
    channel = slack.channel()
    thread = slack.server.photo(SAD, channel)["ts"]
    slack.server.mention("and mine?", channel, data=HAPPY, thread_ts=thread)
    check_answer(said_once(slack, channel), thread)
    assert slack.reader.seen == [HAPPY]


def test_a_mention_in_a_photos_thread_is_about_that_photo(slack: SlackBot) -> None:
    channel = slack.channel()
    thread = slack.server.photo(HAPPY, channel)["ts"]
    slack.server.photo(SAD, channel, thread_ts=thread)
    slack.server.mention("which emoji?", channel, slack.person(), thread_ts=thread)
    check_answer(said_once(slack, channel), thread)
    assert slack.reader.seen == [HAPPY]


def test_a_mention_in_another_thread_is_about_the_last_photo_there(slack: SlackBot) -> None:
    channel = slack.channel()
    thread = slack.server.text("show me yours", channel)["ts"]
    slack.server.photo(SAD, channel, thread_ts=thread)
    slack.server.photo(HAPPY, channel, thread_ts=thread)
    slack.server.text("nice", channel, thread_ts=thread)
    slack.server.mention("which emoji?", channel, thread_ts=thread)
    check_answer(said_once(slack, channel), thread)
    assert slack.reader.seen == [HAPPY]


def test_a_mention_in_a_channel_shared_with_others_is_answered(slack: SlackBot) -> None:
    slack.server.mention("me?", CONNECT, STRANGER, data=HAPPY)
    first = said_once(slack, CONNECT)
    thread = slack.server.photo(HAPPY, CONNECT)["ts"]
    slack.server.mention("which emoji?", CONNECT, STRANGER, thread_ts=thread)
    second = slack.wait_for_words(CONNECT, 2)[1]
    check_answer(first, first.thread_ts)
    check_answer(second, thread)


def test_a_mention_with_several_photos_gets_a_list(slack: SlackBot) -> None:
    channel = slack.channel()
    slack.server.mention("all of us", channel, data=[HAPPY, NOBODY, SAD])
    sent = said_once(slack, channel)
    assert header_of(sent) == "😄😢"
    assert words_of(sent) == f"1. 😄 Happy, 92%\n2. {ENGLISH.short_no_face}\n3. 😢 Sad, 90%"


def test_who_asks_about_a_post_of_several_photos_gets_the_list_of_them_all(slack: SlackBot) -> None:
    channel = slack.channel(auto=True)
    message = slack.post([b"sad:60", HAPPY], channel)
    assert (slack.reacted(message), slack.said(channel)) == (["smile"], [])
    slack.server.mention("and the other one?", channel, thread_ts=message["ts"])
    sent = said_once(slack, channel)
    assert (sent.thread_ts, words_of(sent)) == (message["ts"], "1. 😞 Sad, 60%\n2. 😄 Happy, 92%")


def test_a_mention_without_a_photo_is_explained_to_the_asker_alone(slack: SlackBot) -> None:
    ada, channel = slack.person(locale="de-DE"), slack.channel()
    slack.server.mention("hello", channel, ada)
    sent = said_once(slack, channel)
    assert (sent.ephemeral_to, sent.text) == (ada, SLACK_GERMAN.photo_needed)
    # Slack shows such a message in a thread only where that has replies.
    assert sent.thread_ts is None


@pytest.mark.parametrize("data", [(), {"name": "plan.pdf", "mimetype": "application/pdf"}])
def test_in_a_thread_without_a_photo_the_explanation_stays_there(slack: SlackBot, data: Json) -> None:
    channel = slack.channel()
    thread = slack.server.text("no photo", channel)["ts"]
    file = slack.server.file(b"%PDF", **data) if data else ()
    slack.server.mention("hello", channel, data=file, thread_ts=thread)
    sent = said_once(slack, channel)
    assert (sent.ephemeral_to, sent.thread_ts, sent.text) == (ADA, thread, SLACK.no_photo_thread)


def test_a_mention_where_it_is_on_gets_a_reaction_and_an_answer(slack: SlackBot) -> None:
    channel = slack.channel(auto=True)
    message = slack.server.mention("me", channel, data=HAPPY)
    check_answer(said_once(slack, channel), message["ts"])
    assert slack.reacted(message) == ["smile"]


@pytest.mark.parametrize("data", [HAPPY, ()])
@pytest.mark.parametrize(
    ("user", "fields"),
    [
        (ROBOT, {}),
        (BOT_USER, {}),
        (ROBOT, {"subtype": "bot_message"}),
        (ADA, {"bot_id": "B0OTHER01"}),
        ("", {}),
    ],
)
def test_bots_are_not_answered(slack: SlackBot, user: str, fields: Json, data: bytes) -> None:
    channel = slack.channel()
    slack.server.mention("me", channel, user or slack.person(is_bot=True), data=data, **fields)
    assert is_ignored(slack, channel)


def test_an_edit_that_adds_a_mention_is_not_answered(slack: SlackBot) -> None:
    channel = slack.channel()
    slack.server.edit(slack.server.photo(HAPPY, channel), f"<@{BOT_USER}>")
    assert is_ignored(slack, channel)


def test_of_a_person_who_does_not_want_to_be_read_nobody_else_gets_an_answer(slack: SlackBot) -> None:
    shy, ada = slack.person(), slack.person()
    stop_reading(slack, shy)
    channel = slack.channel()
    photo = slack.server.photo(HAPPY, channel, shy)
    slack.server.mention("which emoji?", channel, ada, thread_ts=photo["ts"])
    assert said_once(slack, channel).ephemeral_to == ada
    assert slack.reader.seen == []
    slack.server.photo(SAD, channel, ada, thread_ts=photo["ts"])
    slack.server.mention("and mine?", channel, ada, thread_ts=photo["ts"])
    assert header_of(slack.wait_for_words(channel, 2)[1]) == "😢"


@pytest.mark.parametrize("where", ["caption", "thread"])
def test_who_does_not_want_to_be_read_may_still_ask(slack: SlackBot, where: str) -> None:
    shy = slack.person()
    stop_reading(slack, shy)
    channel = slack.channel(auto=True)
    if where == "caption":
        photo = slack.server.mention("me", channel, shy, data=HAPPY)
    else:
        photo = slack.server.photo(HAPPY, channel, shy)
        slack.server.mention("me", channel, shy, thread_ts=photo["ts"])
    check_answer(said_once(slack, channel), photo["ts"])
    assert slack.reacted(photo) == []


# Direct messages


def test_a_photo_gets_one_message_with_everything(slack: SlackBot) -> None:
    ada = slack.person()
    direct = slack.server.dm(ada)
    message = slack.post(HAPPY, direct, ada)
    sent = said_once(slack, direct)
    check_answer(sent, None)
    assert sent.text == f"😄 {DETAILS}"
    assert [block["type"] for block in sent.blocks] == ["header", "section", "actions"]
    assert slack.reacted(message) == []


@pytest.mark.parametrize(
    ("photos", "header", "words"),
    [
        (b"sad:90 happy:92 angry:70", "😢😄😠", "1. 😢 Sad, 90%\n2. 😄 Happy, 92%\n3. 😠 Angry, 70%"),
        ([HAPPY, NOBODY, SAD], "😄😢", f"1. 😄 Happy, 92%\n2. {ENGLISH.short_no_face}\n3. 😢 Sad, 90%"),
        ([b"happy:92 sad:90", SAD], "😄😢", "1a. 😄 Happy, 92%\n1b. 😢 Sad, 90%\n2. 😢 Sad, 90%"),
    ],
)
def test_several_faces_and_photos_are_listed(
    slack: SlackBot, photos: bytes | list[bytes], header: str, words: str
) -> None:
    ada = slack.person()
    slack.post(photos, slack.server.dm(ada), ada)
    sent = said_once(slack, slack.server.dm(ada))
    assert (header_of(sent), words_of(sent)) == (header, words)
    assert list(buttons_of(sent)) == [ENGLISH.right, ENGLISH.wrong]


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda bot, place, ada: bot.server.text("How are you?", place, ada), ENGLISH.not_a_photo),
        (lambda bot, place, ada: bot.server.photo(pdf(bot, ada), place, ada), ENGLISH.not_a_photo),
        (lambda bot, place, ada: bot.server.photo(NOBODY, place, ada), ENGLISH.no_face),
        (lambda bot, place, ada: bot.server.photo(DAMAGED, place, ada), ENGLISH.unreadable),
    ],
)
def test_anything_else_gets_one_helpful_sentence(
    slack: SlackBot, make: Callable[[SlackBot, str, str], Json], sentence: str
) -> None:
    ada = slack.person()
    direct = slack.server.dm(ada)
    make(slack, direct, ada)
    sent = said_once(slack, direct)
    assert (sent.text, words_of(sent), header_of(sent), buttons_of(sent)) == (sentence, sentence, "", {})


def pdf(slack: SlackBot, user: str) -> Json:
    return slack.server.file(b"%PDF", name="plan.pdf", mimetype="application/pdf", user=user)


def test_of_a_gif_we_say_that_only_one_picture_is_read(slack: SlackBot) -> None:
    ada = slack.person()
    gif = slack.server.file(HAPPY, name="moves.gif", mimetype="image/gif", user=ada)
    slack.server.photo(gif, slack.server.dm(ada), ada)
    assert words_of(said_once(slack, slack.server.dm(ada))) == f"{DETAILS}\n{ENGLISH.preview_gif}"


@pytest.mark.parametrize("subtype", ["message_changed", "message_deleted"])
def test_edits_and_deletions_are_left_alone_here_too(slack: SlackBot, subtype: str) -> None:
    ada = slack.person()
    direct = slack.server.dm(ada)
    message = slack.server.photo(HAPPY, direct, ada, deliver=False)
    change = slack.server.edit(message, "x") if subtype == "message_changed" else slack.server.delete(message)
    assert change["subtype"] == subtype
    assert is_ignored(slack, direct)


@pytest.mark.parametrize("data", [HAPPY, ()])
def test_in_a_thread_the_answer_stays_there(slack: SlackBot, data: bytes) -> None:
    ada = slack.person()
    direct = slack.server.dm(ada)
    thread = slack.server.text("hello", direct, ada, deliver=False)["ts"]
    slack.server.photo(data, direct, ada, thread_ts=thread)
    assert said_once(slack, direct).thread_ts == thread


def test_a_mention_there_is_answered_once(slack: SlackBot) -> None:
    ada = slack.person()
    direct = slack.server.dm(ada)
    message = slack.server.mention("me", direct, ada, data=HAPPY)
    # Slack itself does not send this one there.
    slack.settle(slack.server.event({**message, "type": "app_mention"}))
    check_answer(said_once(slack, direct), None)


@pytest.mark.parametrize(
    ("locale", "phrases"),
    [("de-DE", GERMAN), ("es-ES", SPANISH), ("ko-KR", KOREAN), ("fr-FR", ENGLISH), ("", ENGLISH)],
)
def test_answers_are_in_the_persons_language(slack: SlackBot, locale: str, phrases: Phrases) -> None:
    ada = slack.person(locale=locale)
    direct = slack.server.dm(ada)
    slack.server.text("hello", direct, ada)
    assert said_once(slack, direct).text == phrases.not_a_photo
    slack.post(HAPPY, direct, ada)
    sent = slack.said(direct)[1]
    assert words_of(sent).lower().startswith(f"{phrases.happy.lower()}, 92%")
    assert list(buttons_of(sent)) == [phrases.right, phrases.wrong]


def test_who_does_not_want_to_be_read_in_channels_is_answered_here(slack: SlackBot) -> None:
    shy = slack.person()
    stop_reading(slack, shy)
    slack.post(HAPPY, slack.server.dm(shy), shy)
    check_answer(said_once(slack, slack.server.dm(shy)), None)


# Coming and going


def test_who_invites_it_is_told_once_what_to_do_and_nobody_else(slack: SlackBot) -> None:
    eve = slack.person(locale="de-DE")
    channel = slack.channel(bots=False, members=[eve])
    slack.server.joined(channel, eve)
    sent = said_once(slack, channel)
    assert (sent.ephemeral_to, sent.text) == (eve, SLACK_GERMAN.invited)
    deliver_again(slack, *[each for each in slack.server.deliveries if each.payload.get("event", {}).get("inviter")])
    assert only_then_help(slack, channel, eve) == [sent]


@pytest.mark.parametrize("fields", [{"user": ADA, "inviter": EVE}, {"user": BOT_USER}])
def test_other_arrivals_are_none_of_its_business(slack: SlackBot, fields: Json) -> None:
    channel = slack.channel()
    slack.server.event({"type": "member_joined_channel", "channel": channel, "channel_type": "C", **fields})
    assert is_ignored(slack, channel)
    assert not slack.server.calls


def test_a_channel_that_it_was_taken_out_of_is_off_again(slack: SlackBot) -> None:
    channel, other = slack.channel(auto=True), slack.channel(auto=True)
    for place, user in ((channel, BOT_USER), (other, ADA)):
        slack.server.event({"type": "member_left_channel", "user": user, "channel": place, "channel_type": "C"})
    slack.settle()
    slack.post(HAPPY, channel)
    assert is_ignored(slack, channel)
    assert slack.reacted(slack.post(HAPPY, other)) == ["smile"]


# Acknowledgements


@contextmanager
def locked(slack: SlackBot) -> Iterator[None]:
    """Let nobody write to the database."""
    with closing(sqlite3.connect(slack.database, isolation_level=None, timeout=30)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


def photo_event(slack: SlackBot, channel: str) -> Delivery:
    return delivery_of(slack, slack.server.photo(HAPPY, channel))


def mention_event(slack: SlackBot, channel: str) -> Delivery:
    return delivery_of(slack, slack.server.mention("hello", channel), "app_mention")


def last_command(slack: SlackBot, channel: str) -> Delivery:
    return slack.server.command("/face2emoji", "last", channel)


def shortcut(slack: SlackBot, channel: str) -> Delivery:
    message = slack.server.photo(HAPPY, channel, deliver=False)
    return slack.server.shortcut("read_message", message)


def window(slack: SlackBot, channel: str) -> Delivery:
    slack.settle(slack.server.command("/face2emoji", "", channel))
    return slack.server.submit_view(slack.wait_for_view(ADA), {}, [HAPPY])


@pytest.mark.parametrize("make", [photo_event, mention_event, last_command, shortcut, window])
def test_what_is_acknowledged_is_stored(slack: SlackBot, make: Callable[[SlackBot, str], Delivery]) -> None:
    channel = slack.channel(auto=True, members=[ADA])
    with locked(slack):
        delivery = make(slack, channel)
        with pytest.raises(AssertionError):  # nothing can be stored
            wait_until(lambda: delivery.state != "pending", 0.4)
    slack.reader.may_read.clear()
    try:
        wait_until(lambda: delivery.state == "acknowledged")
        assert "workflow_status" in slack.traces(channel)
    finally:
        slack.reader.may_read.set()
    slack.settle()
    assert [attempt.number for attempt in delivery.attempts] == [0]


def test_the_acknowledgement_does_not_wait_for_the_reading(slack: SlackBot) -> None:
    channel = slack.channel(auto=True)
    slack.reader.may_read.clear()
    try:
        message = slack.server.photo(HAPPY, channel)
        wait_until(lambda: slack.reader.seen == [HAPPY])
        wait_until(lambda: delivery_of(slack, message).state == "acknowledged", 1)
        assert slack.reacted(message) == []
    finally:
        slack.reader.may_read.set()
    slack.settle()
    assert slack.reacted(message) == ["smile"]


def deliver_again(slack: SlackBot, *deliveries: Delivery) -> None:
    """Let events come again, with Slack's retry headers, and wait until that is done."""
    for delivery in deliveries:
        number = len(delivery.attempts)
        slack.server.again(delivery.id)
        wait_until(lambda: len(delivery.attempts) > number and delivery.attempts[-1].ack is not None)  # noqa: B023
        assert delivery.attempts[-1].number > 0
    slack.settle()


def test_a_redelivered_photo_gets_one_reaction(slack: SlackBot) -> None:
    channel = slack.channel(auto=True)
    slack.reader.may_read.clear()
    try:
        message = slack.server.photo(HAPPY, channel)
        delivery = delivery_of(slack, message)
        wait_until(lambda: delivery.state == "acknowledged")
        slack.server.again(delivery.id)
        wait_until(lambda: delivery.attempts[-1].number == 1 and delivery.attempts[-1].ack is not None)
    finally:
        slack.reader.may_read.set()
    slack.settle()
    deliver_again(slack, delivery, delivery)
    assert slack.reacted(message) == ["smile"]
    assert slack.reader.seen == [HAPPY]
    assert len(slack.server.calls_of("reactions.add")) == 1


def test_a_redelivered_mention_gets_one_answer(slack: SlackBot) -> None:
    channel = slack.channel()
    caption, plain = slack.server.mention("me", channel, data=HAPPY), slack.server.mention("hello", channel)
    slack.wait_for_words(channel, 2)
    deliver_again(
        slack,
        delivery_of(slack, caption),
        delivery_of(slack, caption, "app_mention"),
        delivery_of(slack, plain),
        delivery_of(slack, plain, "app_mention"),
    )
    assert len(slack.said(channel)) == 2


@pytest.mark.parametrize("data", [HAPPY, ()])
def test_a_redelivered_direct_message_gets_one_answer(slack: SlackBot, data: bytes) -> None:
    ada = slack.person()
    direct = slack.server.dm(ada)
    message = slack.server.photo(data, direct, ada)
    slack.wait_for_words(direct)
    deliver_again(slack, delivery_of(slack, message))
    assert len(only_then_help(slack, direct, ada)) == 1


def only_then_help(slack: SlackBot, channel: str, user: str) -> list[Sent]:
    """What was said in a channel, once there was time for more."""
    before = len(slack.said(channel))
    slack.settle(slack.server.command("/face2emoji", "help", channel, user))
    *said, answer = slack.wait_for_words(channel, before + 1)
    assert answer.via == "response_url"
    return said


def lives(slack: SlackBot) -> bool:
    return slack.reacted(slack.post(HAPPY, slack.channel(auto=True))) == ["smile"]


ITEM: Json = {"type": "message", "channel": GENERAL, "ts": "1700000000.000001"}


@pytest.mark.parametrize(
    "event",
    [
        {"type": "reaction_added", "user": ADA, "reaction": "tada", "item": ITEM},
        {"type": "reaction_removed", "user": ADA, "reaction": "tada", "item": ITEM},
        {"type": "file_shared", "file_id": "F0000001", "user_id": ADA, "channel_id": GENERAL},
        {"type": "file_deleted", "file_id": "F0000001"},
        {"type": "channel_rename", "channel": {"id": GENERAL, "name": "new", "created": 1700000000}},
        {"type": "channel_archive", "channel": GENERAL, "user": ADA},
        {"type": "team_join", "user": {"id": ADA}},
        {"type": "emoji_changed", "subtype": "add", "name": "x", "value": "https://emoji.invalid/x.png"},
        {"type": "app_rate_limited", "minute_rate_limited": 1700000000},
        {"type": "app_home_opened", "user": ADA, "tab": "messages", "channel": "D1"},
        {"type": "tokens_revoked", "tokens": {"oauth": [ADA]}},
        {"type": "of_the_future", "of": {"something": [None]}},
    ],
    ids=lambda event: event["type"],
)
def test_events_that_mean_nothing_to_us_are_acknowledged(slack: SlackBot, event: Json) -> None:
    delivery = slack.server.event(event)
    slack.settle()
    assert (delivery.state, len(delivery.attempts)) == ("acknowledged", 1)
    assert not slack.server.calls
    assert lives(slack)


SECRET = "the words of somebody"
POST: Json = {"type": "message", "user": ADA, "channel": GENERAL, "ts": "1700000000.000002", "text": SECRET}
FILE: Json = {"id": "F0000002", "mode": "hosted", "mimetype": "image/png", "url_private": "https://files.slack.com/x"}
DIRECT: Json = {**POST, "channel": "D1", "channel_type": "im"}


@pytest.mark.parametrize(
    "event",
    [
        {"text": SECRET},
        {"type": None, "text": SECRET},
        {"type": 7, "text": SECRET},
        {"type": "message"},
        {"type": "message", "user": None, "channel": None, "ts": None, "text": None, "files": None},
        {**POST, "files": [{}]},
        {**POST, "files": [None]},
        {**POST, "files": {"id": "F1"}},
        {**POST, "files": "F1"},
        {**POST, "files": [FILE], "ts": "yesterday"},
        {**DIRECT, "files": [FILE], "ts": "yesterday"},
        {**DIRECT, "files": [FILE], "ts": None},
        {**POST, "files": [{**FILE, "size": "large", "name": 7}]},
        {**POST, "files": [{**FILE, "mimetype": ["image/png"]}]},
        {**POST, "files": [{**FILE, "url_private": 7}]},
        {**POST, "files": [{**FILE, "id": {"a": 1}}]},
        {**POST, "channel": {"id": GENERAL}, "files": [FILE]},
        {**POST, "user": {"id": ADA}},
        {**POST, "text": ["words"], "files": [FILE]},
        {**POST, "subtype": ["file_share"], "files": [FILE]},
        {**POST, "thread_ts": 7, "files": [FILE]},
        {"type": "app_mention"},
        {**POST, "type": "app_mention", "channel": None},
        {**POST, "type": "app_mention", "ts": None},
        {**POST, "type": "app_mention", "channel": ["D1"]},
        {"type": "app_home_opened", "text": SECRET},
        {"type": "app_home_opened", "user": None, "tab": None},
        {"type": "app_home_opened", "user": ["U1"], "tab": "home", "text": SECRET},
        {"type": "member_joined_channel"},
        {"type": "member_joined_channel", "user": BOT_USER, "channel": None, "inviter": {"id": ADA}},
        {"type": "member_left_channel", "channel": GENERAL},
        {"type": "tokens_revoked", "tokens": None},
        {"type": "tokens_revoked", "tokens": ["bot"]},
        {"type": "tokens_revoked"},
    ],
)
def test_what_is_strange_is_acknowledged_and_changes_nothing(
    slack: SlackBot, caplog: pytest.LogCaptureFixture, event: Json
) -> None:
    slack.settle(slack.server.command("/face2emoji", "on", GENERAL))
    with capture_logs() as logs:
        delivery = slack.server.event(event)
        slack.settle()
        assert (delivery.state, len(delivery.attempts)) == ("acknowledged", 1)
        assert lives(slack)
    logged = f"{logs} {[(record.getMessage(), record.exc_text) for record in caplog.records]}"
    assert SECRET not in logged
    assert not slack.traces(SECRET)


def test_forty_photos_at_once_are_acknowledged_quickly_and_get_a_reaction_each(slack: SlackBot) -> None:
    channel = slack.channel(auto=True)
    photos = [slack.server.photo(photo, channel) for photo in (HAPPY, SAD) * 20]
    slack.settle()
    assert [slack.reacted(message) for message in photos] == [["smile"], ["cry"]] * 20
    assert len(slack.server.acks) == 40
    assert max(slack.server.acks) < 3
    assert slack.server.failed == []


# What is kept and told


def test_no_table_log_or_figure_names_anybody(slack: SlackBot, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("slack_bolt", "slack_sdk", "dbos", "aiohttp", "httpx", "httpcore", "asyncio"):
        caplog.set_level(logging.WARNING, name)  # as `bot.logs` has it
    caplog.set_level(logging.INFO)
    ada = slack.person(name="lovelace", locale="de-DE")
    channel, direct = slack.channel(auto=True), slack.server.dm(ada)
    file = slack.server.file(HAPPY, name="holidays_2031.jpg", user=ada)
    with capture_logs() as logs:
        for place in (channel, direct):
            slack.server.mention("secretly", place, ada, data=file)
            slack.server.text("secretly", place, ada)
        slack.server.photo(HAPPY, RANDOM, ada, text="secretly")
        slack.settle(slack.server.command("/face2emoji", "secretly", channel, ada))
        slack.wait_for_words(direct, 2)
        slack.wait_for_words(channel, 2)
        slack.settle(slack.server.command("/face2emoji", "last", channel, ada))
        slack.wait_for_words(channel, 3)
    assert len(slack.server.reactions) == 1
    words = ("lovelace", "Lovelace", "secretly", "holidays_2031", "Happy", "😄")
    secrets = (BOT_TOKEN, *words, "files-pri", "/commands/")  # the paths of files and of answers to commands
    figures = slack.http.get("/metrics").text
    assert 'face2emoji_jobs_total{outcome="answered",platform="slack"}' in figures
    logged = f"{logs} {[record.getMessage() for record in caplog.records]}"
    # The counts of feedback name expressions, and nobody.
    assert set(slack.traces(*secrets)) <= {"face2emoji_feedback"}
    for secret in (*secrets, ada, channel, direct, file["id"]):
        assert secret not in figures
        assert secret not in logged
