"""Commands and buttons on Telegram."""

from __future__ import annotations

import csv
import subprocess
import sys
from typing import Any

import pytest

import bot.jobs
from bot.phrases import COMMANDS, ENGLISH, GERMAN, KOREAN, LANGUAGES, SPANISH, Phrases
from tests.bot.served import wait_until
from tests.bot.telegram_served import HAPPY, SAD, TelegramBot, data_of, labels
from tests.bot.telegram_server import Sent
from tests.bot.telegram_shapes import Json
from tests.bot.telegram_world import BOT_ID
from tests.e2e.served import NO_DOT_ENV, bot_environment

BOT = "face2emoji_test_bot"
MODEL = "0123abcd"
AUTO_ON, AUTO_OFF, AUTO_BLIND = (
    text.format(bot=BOT) for text in (ENGLISH.auto_on, ENGLISH.auto_off, ENGLISH.auto_blind)
)


def reply(telegram: TelegramBot, text: str, chat: int | None = None, user: Json | None = None, **more: Any) -> str:
    """What a command is answered with; anything but one answer fails."""
    sender = user or telegram.person()
    before = len(telegram.said(chat or sender["id"]))
    update = telegram.server.text(text, chat, sender, **more)
    (answer,) = telegram.ask(update)[before:]
    assert answer.reply_parameters is not None
    assert answer.reply_parameters["message_id"] == next(iter(update.values()))["message_id"]
    return answer.text


def test_the_menu_is_there_in_every_language(telegram: TelegramBot) -> None:
    wait_until(lambda: len(telegram.server.commands) == 1 + len(LANGUAGES))
    for code, phrases in {"": ENGLISH, **LANGUAGES}.items():
        menu = telegram.server.commands['{"type": "default"}', code]
        assert [entry["command"] for entry in menu] == list(COMMANDS)
        assert [entry["description"] for entry in menu] == list(phrases.commands.values())


@pytest.mark.parametrize(
    ("code", "phrases"), [("en", ENGLISH), ("de", GERMAN), ("es-MX", SPANISH), ("ko", KOREAN), ("fr", ENGLISH)]
)
def test_start_help_and_privacy_speak_the_persons_language(telegram: TelegramBot, code: str, phrases: Phrases) -> None:
    ada = telegram.person(code)
    assert reply(telegram, "/start", user=ada) == phrases.start.format(bot=BOT)
    assert reply(telegram, "/help", user=ada) == phrases.help.format(bot=BOT)
    assert reply(telegram, "/privacy", user=ada) == phrases.privacy.format(hours="24")
    assert reply(telegram, "/auto on", user=ada) == phrases.groups_only


def test_commands_may_name_the_bot_and_be_shouted(telegram: TelegramBot) -> None:
    group = telegram.group()
    assert reply(telegram, f"/STATUS@{BOT.upper()}", group).startswith(AUTO_OFF)
    assert reply(telegram, f"/start@{BOT}", group) == ENGLISH.start.format(bot=BOT)


# Automatic reactions


@pytest.mark.parametrize("status", ["creator", "administrator"])
def test_admins_turn_auto_on_and_off(telegram: TelegramBot, status: str) -> None:
    admin = telegram.person()
    group = telegram.group(members={admin["id"]: status, BOT_ID: "administrator"})
    assert reply(telegram, "/auto", group, admin) == AUTO_OFF
    assert reply(telegram, "/auto on", group, admin) == AUTO_ON
    assert reply(telegram, "/auto", group) == AUTO_ON
    telegram.ask(telegram.server.photo(HAPPY, group))
    assert reply(telegram, "/auto OFF", group, admin) == AUTO_OFF
    telegram.ask(telegram.server.photo(HAPPY, group))
    assert len(telegram.reacted(group)) == 1


def test_an_anonymous_admin_may_and_a_visiting_channel_may_not(telegram: TelegramBot) -> None:
    group = telegram.group(members={BOT_ID: "administrator"})
    assert reply(telegram, "/auto on", group, sender_chat=-1_001_234_500_002) == ENGLISH.admins_only
    assert reply(telegram, "/auto", group) == AUTO_OFF
    assert reply(telegram, "/auto on", group, anonymous=True) == AUTO_ON


@pytest.mark.parametrize("status", ["member", "restricted"])
@pytest.mark.parametrize("command", ["/auto on", "/map happy 🎉", "/map reset"])
def test_members_may_not_change_a_group(telegram: TelegramBot, status: str, command: str) -> None:
    member = telegram.person()
    group = telegram.group(members={member["id"]: status})
    assert reply(telegram, command, group, member) == ENGLISH.admins_only
    assert reply(telegram, "/status", group).startswith(f"{AUTO_OFF}\n\n{ENGLISH.map_unchanged}")


def test_auto_says_what_to_do_where_telegram_hides_the_photos(telegram: TelegramBot) -> None:
    admin = telegram.person()
    group = telegram.group(members={admin["id"]: "creator"})
    assert reply(telegram, "/auto on", group, admin) == f"{AUTO_ON}\n\n{AUTO_BLIND}"
    assert "/setprivacy" in AUTO_BLIND
    telegram.server.chat(group, members={BOT_ID: "administrator"})
    assert reply(telegram, "/auto", group) == AUTO_ON


def test_settings_move_along_when_a_group_becomes_a_supergroup(telegram: TelegramBot) -> None:
    old, new = -555_000_001, -1_005_559_000_001
    assert reply(telegram, "/auto on", old, anonymous=True).startswith(AUTO_ON)
    assert reply(telegram, "/map happy 🎉", old, anonymous=True).startswith("From now on")
    telegram.ask(telegram.server.migrate(old, new))
    telegram.ask(telegram.server.photo(HAPPY, new))
    assert [reaction.emoji for reaction in telegram.reacted(new)] == ["🎉"]
    assert telegram.traces(old) == []


# The map


def test_a_chats_own_map_changes_its_answers_and_no_others(telegram: TelegramBot) -> None:
    ada = telegram.person()
    assert reply(telegram, "/map happy 🎉", user=ada) == ENGLISH.map_done.format(expression="happy", emoji="🎉")
    assert [sent.text for sent in telegram.ask(telegram.server.photo(HAPPY, user=ada))[1:]] == [
        "🎉",
        "Happy, 92%\nNext: sad 4%, surprise 2%",
    ]
    assert telegram.ask(telegram.server.photo(SAD, user=ada))[3].text == "😢"
    assert telegram.ask(telegram.server.photo(HAPPY, user=telegram.person()))[0].text == "😄"
    assert "Happy: 🎉" in reply(telegram, "/map", user=ada)
    assert ENGLISH.map_changed.format(changes="happy 🎉") in reply(telegram, "/status", user=ada)
    assert reply(telegram, "/map reset", user=ada) == ENGLISH.map_reset
    assert telegram.ask(telegram.server.photo(HAPPY, user=ada))[-2].text == "😄"
    assert "face2emoji_chats" not in telegram.traces(ada["id"])


def test_a_groups_own_map_changes_its_reactions(telegram: TelegramBot) -> None:
    group = telegram.group(auto=True)
    admin = telegram.person()
    telegram.server.chat(group, members={admin["id"]: "administrator"})
    reply(telegram, "/map sad 🌚", group, admin)
    answer = reply(telegram, "/map happy 🥳", group, admin)
    assert answer.endswith(ENGLISH.map_reaction.format(reaction="😁"))
    telegram.ask([telegram.server.photo(SAD, group), telegram.server.photo(HAPPY, group)])
    assert sorted(str(reaction.emoji) for reaction in telegram.reacted(group)) == ["🌚", "😁"]


def test_the_map_is_spoken_to_in_the_persons_language(telegram: TelegramBot) -> None:
    ada = telegram.person("de")
    assert reply(telegram, "/map FRÖHLICH ❤️", user=ada).startswith("Ab jetzt")
    assert telegram.ask(telegram.server.photo(HAPPY, user=ada))[1].text == "❤️"


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ("happy", ENGLISH.map_usage),
        ("happy joy", ENGLISH.not_an_emoji),
        ("happy 🎉🎉", ENGLISH.not_an_emoji),
        ("happy 🎉 🎉", ENGLISH.not_an_emoji),
        (
            "joy 🎉",
            ENGLISH.unknown_expression.format(expressions="angry, disgust, fear, happy, sad, surprise, neutral"),
        ),
        ("🎉", ENGLISH.unknown_expression.format(expressions="angry, disgust, fear, happy, sad, surprise, neutral")),
    ],
)
def test_a_bad_emoji_or_expression_gets_a_clear_answer(telegram: TelegramBot, words: str, answer: str) -> None:
    ada = telegram.person()
    assert reply(telegram, f"/map {words}", user=ada) == answer
    assert telegram.traces(ada["id"]) == []


# What is kept, and erased


def test_status_says_what_is_set(telegram: TelegramBot) -> None:
    model = ENGLISH.model_version.format(model=MODEL)
    assert reply(telegram, "/status") == f"{ENGLISH.map_unchanged}\n\n{model}"
    assert reply(telegram, "/status", telegram.group()) == f"{AUTO_OFF}\n\n{ENGLISH.map_unchanged}\n\n{model}"
    assert reply(telegram, "/status", telegram.group(auto=True)).startswith(AUTO_ON)


def test_forget_leaves_no_trace_of_a_private_chat(telegram: TelegramBot) -> None:
    ada, other = telegram.person(), telegram.person()
    telegram.ask(telegram.server.photo(HAPPY, user=other))
    photo = telegram.server.photo(HAPPY, user=ada)
    file = photo["message"]["photo"][-1]["file_id"]
    telegram.ask(photo)
    telegram.ask(telegram.server.album([HAPPY, SAD], user=ada))
    reply(telegram, "/map happy 🎉", user=ada)
    assert telegram.traces(ada["id"]) != []
    assert telegram.bytes_hold(file)
    assert reply(telegram, "/forget", user=ada) == ENGLISH.forgot_private
    assert telegram.traces(ada["id"], file) == []
    assert not telegram.bytes_hold(ada["id"], file)
    assert telegram.traces(other["id"]) != []


def test_forget_says_so_where_a_photo_outlasts_it(telegram: TelegramBot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bot.jobs, "FORGET_SECONDS", 0.2)
    ada = telegram.person()
    telegram.server.fail("download", kind="delay", seconds=4)
    telegram.server.push(telegram.server.photo(HAPPY, user=ada))
    wait_until(lambda: telegram.traces(ada["id"]) != [])
    telegram.server.push(telegram.server.text("/forget", user=ada))
    wait_until(lambda: telegram.said(ada["id"]) != [])
    assert telegram.said(ada["id"])[0].text == ENGLISH.forgot_later
    monkeypatch.undo()
    wait_until(lambda: len(telegram.said(ada["id"])) == 3)
    assert reply(telegram, "/forget", user=ada) == ENGLISH.forgot_private


def test_an_admin_makes_the_bot_forget_a_group(telegram: TelegramBot) -> None:
    admin, ada = telegram.person(), telegram.person()
    group = telegram.group(auto=True, members={admin["id"]: "administrator"})
    other = telegram.group(auto=True)
    telegram.ask(telegram.server.photo(HAPPY, group, ada))
    telegram.ask(telegram.server.photo(HAPPY, other, ada))
    telegram.ask(telegram.server.photo(HAPPY, other, admin))
    assert reply(telegram, "/forget", group, admin) == ENGLISH.forgot_group
    assert telegram.traces(group, admin["id"]) == []
    assert not telegram.bytes_hold(group, admin["id"])
    assert telegram.traces(other, ada["id"]) != []
    assert reply(telegram, "/auto", group) == AUTO_OFF


def test_a_member_is_forgotten_and_the_group_stays(telegram: TelegramBot) -> None:
    ada, bob = telegram.person(), telegram.person()
    group = telegram.group(auto=True)
    for user in (ada, bob):
        telegram.ask(telegram.server.photo(HAPPY, group, user))
    assert reply(telegram, "/forget", group, ada) == ENGLISH.forgot_member
    assert telegram.traces(ada["id"]) == []
    assert not telegram.bytes_hold(ada["id"])
    assert telegram.traces(bob["id"]) != []
    telegram.ask(telegram.server.photo(HAPPY, group, bob))
    assert len(telegram.reacted(group)) == 3


def test_who_posts_as_a_channel_cannot_erase_what_others_asked_in_that_way(telegram: TelegramBot) -> None:
    one, two = telegram.group(auto=True), telegram.group(auto=True)
    telegram.ask(telegram.server.photo(HAPPY, one, sender_chat=-1_001_234_500_003))
    reply(telegram, "/forget", two, sender_chat=-1_001_234_500_004)
    assert telegram.traces(one) != ["face2emoji_chats"]


# Feedback


def counts(telegram: TelegramBot) -> dict[tuple[str, str], int]:
    return {(given, corrected): count for given, corrected, _, count in telegram.rows("TRUE", "face2emoji_feedback")}


def details(telegram: TelegramBot, photo: bytes) -> Sent:
    """The message with the buttons."""
    return telegram.ask(telegram.server.photo(photo, user=telegram.person()))[-1]


def press(telegram: TelegramBot, sent: Sent, label: str, *, markup: Json | None = None) -> tuple[int, str]:
    """Press a button; the update's id and what pops up."""
    before = len(telegram.server.answered_queries)
    update = telegram.server.press(
        (sent.chat_id, sent.message_id), data_of(markup or buttons(telegram, sent), label), sent.chat_id
    )
    update_id = telegram.server.push(update)
    telegram.settle(update_id)
    wait_until(lambda: len(telegram.server.answered_queries) > before)
    (answered,) = telegram.server.answered_queries[before:]
    assert answered["callback_query_id"] == update["callback_query"]["id"]
    return update_id, answered.get("text", "")


def buttons(telegram: TelegramBot, sent: Sent) -> Json | None:
    """The buttons that are below a message now."""
    return telegram.server.messages[sent.chat_id, sent.message_id].get("reply_markup")


def test_right_is_counted_once_however_often_it_is_pressed(telegram: TelegramBot) -> None:
    sent = details(telegram, b"fear:95")
    update_id, notice = press(telegram, sent, ENGLISH.right)
    assert notice == ENGLISH.thanks
    assert buttons(telegram, sent) is None
    telegram.server.again(update_id)
    assert press(telegram, sent, ENGLISH.right, markup=sent.reply_markup)[1] == ENGLISH.already_counted
    assert press(telegram, sent, ENGLISH.right, markup=sent.reply_markup)[1] == ENGLISH.already_counted
    assert counts(telegram)["fear", "fear"] == 1
    assert telegram.rows("given = 'fear'", "face2emoji_feedback") == [("fear", "fear", MODEL, 1)]


def test_two_presses_at_the_same_moment_count_once(telegram: TelegramBot) -> None:
    sent = details(telegram, b"disgust:95")
    data = data_of(sent.reply_markup, ENGLISH.right)
    held = sent.chat_id, sent.message_id
    ids = [telegram.server.push(telegram.server.press(held, data, sent.chat_id)) for _ in range(3)]
    for update_id in ids:
        telegram.settle(update_id)
    assert counts(telegram)["disgust", "disgust"] == 1
    notices = [answered["text"] for answered in telegram.server.answered_queries]
    assert sorted(notices) == sorted([ENGLISH.thanks, *[ENGLISH.already_counted] * 2])


def test_wrong_asks_which_and_counts_the_correction(telegram: TelegramBot) -> None:
    sent = details(telegram, b"surprise:95")
    assert press(telegram, sent, ENGLISH.wrong)[1] == ENGLISH.which_expression
    assert ("surprise", "neutral") not in counts(telegram)
    assert press(telegram, sent, "Neutral")[1] == ENGLISH.thanks
    assert counts(telegram)["surprise", "neutral"] == 1
    assert buttons(telegram, sent) is None


def test_of_several_faces_the_wrong_one_is_asked_for(telegram: TelegramBot) -> None:
    sent = details(telegram, b"sad:90 angry:90")
    assert press(telegram, sent, ENGLISH.wrong)[1] == ENGLISH.which_face
    assert press(telegram, sent, "2. Angry")[1] == ENGLISH.which_expression
    assert press(telegram, sent, "Disgust")[1] == ENGLISH.thanks
    assert counts(telegram)["angry", "disgust"] == 1
    assert ("sad", "sad") not in counts(telegram)


def test_questions_are_in_the_pressing_persons_language(telegram: TelegramBot) -> None:
    sent = details(telegram, b"sad:90")
    update = telegram.server.press(
        (sent.chat_id, sent.message_id), data_of(sent.reply_markup, ENGLISH.wrong), telegram.person("ko")
    )
    telegram.settle(telegram.server.push(update))
    assert telegram.server.answered_queries[-1]["text"] == KOREAN.which_expression


def test_buttons_of_old_messages_and_forged_ones_are_answered(telegram: TelegramBot) -> None:
    sent = details(telegram, b"neutral:95")
    held = sent.chat_id, sent.message_id
    before = counts(telegram)
    for data in ("", "right", "right:0123abcd:9", "is:0123abcd:1", "x" * 64):
        telegram.settle(telegram.server.push(telegram.server.press(held, data, sent.chat_id)))
    assert [answered["text"] for answered in telegram.server.answered_queries] == [ENGLISH.failed] * 5
    assert counts(telegram) == before
    old = telegram.server.press(held, data_of(sent.reply_markup, ENGLISH.right), sent.chat_id, inaccessible=True)
    telegram.settle(telegram.server.push(old))
    assert telegram.server.answered_queries[-1]["text"] == ENGLISH.thanks
    assert counts(telegram)["neutral", "neutral"] == 1


@pytest.mark.parametrize("inaccessible", [False, True])
def test_a_button_works_in_its_own_chat_only(telegram: TelegramBot, inaccessible: bool) -> None:
    """A program other than Telegram's may send whatever it likes under any message of its chat."""
    sent, other = details(telegram, b"sad:90"), details(telegram, b"sad:90")
    theirs = data_of(other.reply_markup, ENGLISH.right)
    before = counts(telegram)
    for data in (theirs, theirs[:-8], f"is:deadbeef:34{theirs[-8:]}"):
        forged = telegram.server.press((sent.chat_id, sent.message_id), data, sent.chat_id, inaccessible=inaccessible)
        telegram.settle(telegram.server.push(forged))
        assert telegram.server.answered_queries[-1]["text"] == ENGLISH.failed
    assert counts(telegram) == before
    assert buttons(telegram, sent) == sent.reply_markup


def test_a_button_of_a_release_that_did_not_seal_them_works(telegram: TelegramBot) -> None:
    sent = details(telegram, b"sad:90")
    held = telegram.server.messages[sent.chat_id, sent.message_id]
    old = data_of(sent.reply_markup, ENGLISH.right)[:-8]
    held["reply_markup"] = {"inline_keyboard": [[{"text": "Right", "callback_data": old}]]}
    telegram.settle(telegram.server.push(telegram.server.press((sent.chat_id, sent.message_id), old, sent.chat_id)))
    assert telegram.server.answered_queries[-1]["text"] == ENGLISH.thanks


def test_a_button_of_an_old_message_that_cannot_be_counted_says_so(telegram: TelegramBot) -> None:
    sent = details(telegram, b"sad:90")
    held = sent.chat_id, sent.message_id
    old = telegram.server.press(held, data_of(sent.reply_markup, ENGLISH.right), sent.chat_id, inaccessible=True)
    with telegram.without("face2emoji_feedback"):
        telegram.settle(telegram.server.push(old))
    # What its buttons were Telegram does not tell, so it cannot be pressed again.
    assert telegram.server.answered_queries[-1]["text"] == ENGLISH.failed
    assert telegram.server.messages[held].get("reply_markup") is None


def test_a_screen_that_is_behind_does_not_count_twice(telegram: TelegramBot) -> None:
    sent = details(telegram, b"happy:92")
    before = counts(telegram).get(("happy", "happy"), 0)
    first = buttons(telegram, sent)
    press(telegram, sent, ENGLISH.right)
    for label in (ENGLISH.wrong, ENGLISH.right):
        assert press(telegram, sent, label, markup=first)[1] == ENGLISH.already_counted
    assert buttons(telegram, sent) is None
    assert counts(telegram)["happy", "happy"] - before == 1


@pytest.mark.parametrize("kind", ["400", "403", "500", "cut_before", "429"])
def test_a_press_is_answered_whatever_telegram_says_to_the_rest(telegram: TelegramBot, kind: Any) -> None:
    sent = details(telegram, b"happy:92")
    before = counts(telegram).get(("happy", "happy"), 0)
    telegram.server.fail("editMessageReplyMarkup", kind=kind, when={"chat_id": sent.chat_id})
    _, notice = press(telegram, sent, ENGLISH.right)
    assert counts(telegram).get(("happy", "happy"), 0) - before == (notice == ENGLISH.thanks)


@pytest.mark.parametrize(("language", "phrases"), LANGUAGES.items())
def test_a_press_that_cannot_be_counted_says_so_and_may_be_pressed_again(
    telegram: TelegramBot, language: str, phrases: Phrases
) -> None:
    sent = details(telegram, b"happy:92 happy:90")
    held, first = (sent.chat_id, sent.message_id), buttons(telegram, sent)
    right = telegram.server.press(held, data_of(first, ENGLISH.right), telegram.person(language))
    before = counts(telegram)
    with telegram.without("face2emoji_feedback"):
        telegram.settle(telegram.server.push(right))
    assert [answered["text"] for answered in telegram.server.answered_queries] == [phrases.not_counted]
    assert buttons(telegram, sent) == first
    assert press(telegram, sent, ENGLISH.right)[1] == ENGLISH.thanks
    assert counts(telegram)["happy", "happy"] - before.get(("happy", "happy"), 0) == 2


def test_counts_are_exported_and_name_nobody(telegram: TelegramBot) -> None:
    sent = details(telegram, b"angry:95")
    press(telegram, sent, ENGLISH.right)
    environment = bot_environment(FACE2EMOJI_DATABASE_URL=f"sqlite:///{telegram.database}")
    run = subprocess.run(
        [sys.executable, "-m", "bot", "feedback"],
        cwd=NO_DOT_ENV,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    rows = list(csv.DictReader(run.stdout.splitlines()))
    assert {"given": "angry", "corrected": "angry", "model": MODEL, "count": "1"} in rows
    assert len(rows) == len(counts(telegram))
    assert str(sent.chat_id) not in run.stdout
    assert labels(sent) == [ENGLISH.right, ENGLISH.wrong]
