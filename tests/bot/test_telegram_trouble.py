"""What goes wrong between Telegram and the bot: everything is answered once all the same, or given up for a reason."""

from __future__ import annotations

import threading
import time
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from bot.errors import PlatformRefused
from bot.phrases import ENGLISH
from tests.bot.served import wait_until
from tests.bot.telegram_served import HAPPY, SAD, TelegramBot
from tests.bot.telegram_shapes import Json
from tests.bot.telegram_world import BOT_ID, content_of

DETAILS = "Happy, 92%\nNext: sad 4%, surprise 2%"


def file_of(update: Json) -> str:
    return str(content_of(update)["photo"][-1]["file_id"])


def test_too_many_requests_are_repeated_after_the_time_that_telegram_names(telegram: TelegramBot) -> None:
    ada, group = telegram.person(), telegram.group(auto=True)
    for method, chat in (("sendMessage", ada["id"]), ("setMessageReaction", group)):
        telegram.server.fail(method, kind="429", when={"chat_id": chat}, retry_after=1)
    telegram.ask([telegram.server.photo(HAPPY, user=ada), telegram.server.photo(HAPPY, group)])
    assert telegram.texts(ada["id"]) == ["😄", DETAILS]
    assert [reaction.emoji for reaction in telegram.reacted(group)] == ["😁"]
    for method in ("sendMessage", "setMessageReaction"):
        refused, again, *_ = telegram.server.calls_of(method)
        assert (refused.status, again.status) == (429, 200)
        assert again.clock - refused.clock >= 1


def test_a_private_selfie_is_answered_once_whatever_happens_on_the_way(telegram: TelegramBot) -> None:
    """All at once, because each waits before it tries again."""
    faults: list[tuple[str, Any]] = [
        *(("getFile", kind) for kind in ("500", "502", "cut_before", "cut_after")),
        *(("download", kind) for kind in ("404", "500", "502", "cut_before", "cut_middle", "cut_after")),
        *(("sendMessage", kind) for kind in ("500", "502", "cut_before")),
        *(("sendChatAction", kind) for kind in ("403", "500", "cut_before")),
    ]
    updates: dict[tuple[str, str], Json] = {}
    for method, kind in faults:
        ada = telegram.person()
        update = updates[method, kind] = telegram.server.photo(HAPPY, user=ada)
        where = {"file_id": file_of(update)} if method in ("getFile", "download") else {"chat_id": ada["id"]}
        telegram.server.fail(method, kind=kind, when=where)
    telegram.ask(updates.values())
    for fault, update in updates.items():
        assert telegram.texts(content_of(update)["chat"]["id"]) == ["😄", DETAILS], fault
    calls = [
        call
        for call in telegram.server.calls_of("getFile")
        if call.parameters["file_id"] == file_of(updates["download", "404"])
    ]
    assert len(calls) == 2


def test_the_first_part_of_an_answer_is_not_repeated_with_the_second(telegram: TelegramBot) -> None:
    ada = telegram.person()
    telegram.server.fail("sendMessage", kind="500", when=lambda call: call["text"] == DETAILS)
    telegram.ask(telegram.server.photo(HAPPY, user=ada))
    assert telegram.texts(ada["id"]) == ["😄", DETAILS]
    assert len(telegram.reader.seen) == 1


def test_a_group_photo_is_answered_once_whatever_happens_on_the_way(telegram: TelegramBot) -> None:
    faults: list[tuple[str, Any]] = [
        *(("getChat", kind) for kind in ("500", "cut_before")),
        *(("setMessageReaction", kind) for kind in ("500", "502", "cut_before", "cut_after")),
    ]
    updates: dict[tuple[str, str], Json] = {}
    for method, kind in faults:
        group = telegram.group(auto=True)
        updates[method, kind] = telegram.server.photo(HAPPY, group)
        telegram.server.fail(method, kind=kind, when={"chat_id": group})
    telegram.ask(updates.values())
    for fault, update in updates.items():
        message = content_of(update)
        assert telegram.server.reactions[message["chat"]["id"], message["message_id"]] == "😁", fault
        assert telegram.said(message["chat"]["id"]) == [], fault


def test_telegram_may_be_away_for_a_while(telegram: TelegramBot) -> None:
    ada = telegram.person()
    telegram.reader.may_read.clear()
    telegram.server.push(telegram.server.photo(HAPPY, user=ada))
    wait_until(lambda: bool(telegram.reader.seen))
    telegram.server.fail("*", times=None, kind="502")
    telegram.reader.may_read.set()
    second = telegram.server.push(telegram.server.photo(SAD, user=ada))
    wait_until(lambda: any(call.status == 502 for call in telegram.server.calls_of("getUpdates")))
    telegram.server.heal()
    telegram.settle(second)
    assert sorted(telegram.texts(ada["id"])) == sorted(["😄", DETAILS, "😢", "Sad, 90%\nNext: surprise 5%, neutral 3%"])


@pytest.mark.parametrize("kind", ["500", "502", "cut_before", "429"])
def test_a_command_is_answered_in_spite_of_it(telegram: TelegramBot, kind: Any) -> None:
    ada = telegram.person()
    telegram.server.fail("sendMessage", kind=kind, when={"chat_id": ada["id"]})
    telegram.server.push(telegram.server.text("/help", user=ada))
    wait_until(lambda: telegram.texts(ada["id"]) == [ENGLISH.help.format(bot="face2emoji_test_bot")], 5)


def refusals(telegram: TelegramBot) -> float:
    return telegram.metric("face2emoji_jobs_total", platform="telegram", outcome="refused")


def test_who_blocked_the_bot_is_given_up_and_nobody_else(telegram: TelegramBot) -> None:
    ada, bob = telegram.person(), telegram.person()
    before = refusals(telegram)
    telegram.server.chat(ada["id"], members={BOT_ID: "kicked"})
    assert telegram.ask(telegram.server.photo(HAPPY, user=ada)) == []
    assert telegram.calls("sendMessage", ada["id"]) == 1
    assert refusals(telegram) == before + 1
    assert len(telegram.ask(telegram.server.photo(HAPPY, user=bob))) == 2
    assert refusals(telegram) == before + 1


def test_a_group_without_the_bot_is_given_up(telegram: TelegramBot) -> None:
    group = telegram.group(auto=True)
    before = refusals(telegram)
    telegram.server.chat(group, members={BOT_ID: "left"})
    telegram.ask(telegram.server.photo(HAPPY, group))
    assert refusals(telegram) == before + 1


@pytest.mark.parametrize("caption", [None, "/mask"])
def test_a_group_that_becomes_a_supergroup_meanwhile_is_answered_there(
    telegram: TelegramBot, caption: str | None
) -> None:
    group, supergroup = -555_100_001 - bool(caption), -1_005_559_100_001 - bool(caption)
    telegram.ask(telegram.server.text("/auto on", group, anonymous=True))
    album = telegram.server.album([HAPPY, HAPPY], group, caption=caption)
    telegram.reader.may_read.clear()
    for update in album:
        update_id = telegram.server.push(update)
    wait_until(lambda: bool(telegram.reader.seen))
    migrated = telegram.server.migrate(group, supergroup)
    for update in album:  # messages of others, by the same numbers
        telegram.server.text("hello", supergroup, message_id=content_of(update)["message_id"])
    telegram.server.fail("sendPhoto" if caption else "sendMessage", kind="500", when={"chat_id": supergroup})
    telegram.reader.may_read.set()
    telegram.settle(update_id)
    telegram.ask(migrated)
    answers = telegram.said(supergroup)
    assert [sent.text for sent in answers] == (["", ""] if caption else ["😄"])
    assert [bool(sent.photo) for sent in answers] == [bool(caption)] * len(answers)
    assert [sent.reply_parameters for sent in answers] == [None] * len(answers)
    assert telegram.reacted(supergroup) == []
    telegram.ask(telegram.server.photo(HAPPY, supergroup))
    assert [reaction.emoji for reaction in telegram.reacted(supergroup)] == ["😁"]  # its settings came along


def test_a_file_that_telegram_does_not_have_any_more_gets_a_sentence(telegram: TelegramBot) -> None:
    photo = telegram.server.photo(HAPPY, user=telegram.person())
    del telegram.server.files[file_of(photo)]
    (answer,) = telegram.ask(photo)
    assert answer.text == ENGLISH.not_fetched


def test_photos_nobody_waits_for_any_more_are_dropped_and_counted(telegram: TelegramBot) -> None:
    labels = {"platform": "telegram", "outcome": "expired"}
    before = telegram.metric("face2emoji_jobs_total", **labels)
    ada, group = telegram.person(), telegram.group(auto=True)
    past = int(time.time()) - 15 * 60
    telegram.ask([telegram.server.photo(HAPPY, user=ada, date=past), telegram.server.photo(HAPPY, group, date=past)])
    assert telegram.metric("face2emoji_jobs_total", **labels) == before + 2
    assert telegram.reader.seen == []
    assert telegram.texts(ada["id"]) == []
    assert telegram.reacted(group) == []
    assert len(telegram.ask(telegram.server.photo(HAPPY, user=ada, date=past + 60))) == 2


def test_what_cannot_be_understood_does_not_hold_back_the_rest(telegram: TelegramBot) -> None:
    ada = telegram.person()
    chat = {"id": ada["id"], "type": "private", "first_name": "Ada"}
    broken: list[Json] = [
        {"message": {"chat": chat}},
        {"message": {"message_id": 1, "chat": {"id": ada["id"]}, "date": 0}},
        {"message": {"message_id": 1, "chat": chat, "date": "soon"}},
        {"message": {"message_id": 1, "chat": chat, "date": 0, "photo": [{"file_id": "x"}]}},
        {"message": {"message_id": 1, "chat": chat, "date": 0, "photo": "x"}},
        {"message": {"message_id": 1, "chat": chat, "date": 0, "text": "/help", "entities": [{"type": "bot_command"}]}},
        {"callback_query": {"id": "1", "message": {"message_id": 1, "chat": chat, "date": 0}}},
    ]
    numbers = []
    for update in broken:
        numbers.append(telegram.server.push(update))
        numbers.append(telegram.server.push(telegram.server.photo(HAPPY, user=ada)))
    for number in numbers:
        telegram.settle(number)
    assert telegram.texts(ada["id"]).count("😄") == len(broken)
    assert telegram.server.pending == []


@pytest.mark.parametrize(
    "fields",
    [
        {"text": "/help", "entities": [{"type": "bot_command", "offset": 0, "length": 99}]},
        {"text": "", "entities": [{"type": "bot_command", "offset": 0, "length": 5}]},
        {"text": "Hi", "entities": [{"type": "mention", "offset": 7, "length": 5}]},
        {"text": "Hi", "entities": [{"type": "text_mention", "offset": 0, "length": 2}]},
        {"text": "Hi", "entities": [{"type": "of_the_future", "offset": 0, "length": 2}]},
        {"of_the_future": {"kind": "something"}},
        {"photo": []},
        {"date": 2**40},
    ],
)
def test_what_is_strange_does_not_hold_back_the_rest(telegram: TelegramBot, fields: Json) -> None:
    ada, group = telegram.person(), telegram.group(auto=True)
    for place, sender in ((group, ada), (None, ada)):
        telegram.server.push(telegram.server.message(place, sender, **fields))
        telegram.ask(telegram.server.photo(HAPPY, place, sender))
    assert "😄" in telegram.texts(ada["id"])
    assert len(telegram.reacted(group)) == 1
    assert telegram.server.pending == []


def test_a_second_poller_is_explained_and_when_it_stops_we_go_on(telegram: TelegramBot) -> None:
    ada = telegram.person()
    stop = threading.Event()

    def poll() -> None:
        while not stop.is_set():
            httpx.post(f"{telegram.server.base_url}{telegram.server.token}/getUpdates", json={"timeout": 1}, timeout=5)

    with capture_logs() as logs:
        other = threading.Thread(target=poll)
        other.start()
        wait_until(lambda: any(entry["event"] == "telegram_conflict" for entry in logs))
        wait_until(lambda: PlatformRefused.conflict in telegram.http.get("/readyz").text)
        stop.set()
        other.join()
    (conflict, *_) = [entry for entry in logs if entry["event"] == "telegram_conflict"]
    assert conflict["help"] == PlatformRefused.conflict
    assert conflict["log_level"] == "error"
    assert len(telegram.ask(telegram.server.photo(HAPPY, user=ada))) == 2


def test_a_webhook_that_somebody_set_does_not_make_the_bot_deaf(telegram: TelegramBot) -> None:
    hook = f"{telegram.server.base_url}{telegram.server.token}/setWebhook"
    assert httpx.post(hook, json={"url": "https://somewhere.invalid/else"}, timeout=5).json()["ok"]
    wait_until(lambda: telegram.server.webhook is None)
    assert len(telegram.ask(telegram.server.photo(HAPPY, user=telegram.person()))) == 2


def test_figures_name_nobody(telegram: TelegramBot) -> None:
    ada, group = telegram.person(), telegram.group(auto=True)
    telegram.ask([telegram.server.photo(HAPPY, user=ada), telegram.server.photo(HAPPY, group, ada)])
    figures = telegram.http.get("/metrics").text
    assert 'face2emoji_jobs_total{outcome="answered",platform="telegram"}' in figures
    for secret in (str(ada["id"]), str(group), telegram.server.token, "Ada"):
        assert secret not in figures
