"""/mask on Telegram: the photo comes back with its faces covered, once, and is kept nowhere."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image

from bot.phrases import ENGLISH, LANGUAGES, Phrases
from inference import EmojiMap, Masked
from tests.bot.telegram_served import HAPPY, NOBODY, SAD, TelegramBot
from tests.bot.telegram_server import Sent
from tests.bot.telegram_shapes import Json
from tests.bot.telegram_world import BOT_ID, content_of

NAME = "@face2emoji_test_bot"


def picture(telegram: TelegramBot, sent: Sent) -> bytes:
    """The bytes of a photo that the bot sent."""
    assert sent.photo is not None
    return telegram.server.files[sent.photo].data


@pytest.mark.parametrize(
    ("words", "masked"), [("/mask", b"masked:"), ("/MASK", b"masked:"), ("/mask ALL", b"everyone:")]
)
def test_a_photo_comes_back_with_its_faces_covered(telegram: TelegramBot, words: str, masked: bytes) -> None:
    ada = telegram.person()
    photo = telegram.server.photo(HAPPY, user=ada, caption=words)
    (answer,) = telegram.ask(photo)
    assert picture(telegram, answer) == masked + HAPPY
    assert answer.text == ""
    assert answer.reply_parameters is not None
    assert answer.reply_parameters["message_id"] == content_of(photo)["message_id"]
    assert [call.parameters["action"] for call in telegram.server.calls_of("sendChatAction")] == ["upload_photo"]


def test_an_old_photo_is_masked_by_a_reply(telegram: TelegramBot) -> None:
    ada = telegram.person()
    photo = telegram.server.photo(HAPPY, user=ada, date=int(time.time()) - 10**7)
    (answer,) = telegram.ask(telegram.server.text("/mask", user=ada, reply_to=photo))
    assert picture(telegram, answer) == b"masked:" + HAPPY
    assert answer.reply_parameters is not None
    assert answer.reply_parameters["message_id"] == content_of(photo)["message_id"]


@pytest.mark.parametrize(
    "ask",
    [
        lambda server, photo: server.photo(HAPPY, photo["chat"]["id"], caption="/mask"),
        lambda server, photo: server.photo(HAPPY, photo["chat"]["id"], caption="/mask", spoiler=True),
        lambda server, photo: server.text("/mask", photo["chat"]["id"], reply_to=photo),
        lambda server, photo: server.text(f"/mask{NAME}", photo["chat"]["id"], reply_to=photo),
    ],
)
def test_a_group_gets_the_picture_and_no_reaction(telegram: TelegramBot, ask: Callable[[Any, Json], Json]) -> None:
    photo = content_of(telegram.server.photo(HAPPY, telegram.group()))
    (answer,) = telegram.ask(ask(telegram.server, photo))
    assert picture(telegram, answer) == b"masked:" + HAPPY
    assert telegram.reacted(photo["chat"]["id"]) == []


def test_a_topic_keeps_its_answers(telegram: TelegramBot) -> None:
    group = telegram.group()
    topic = telegram.server.topic(group)
    (answer,) = telegram.ask(telegram.server.photo(HAPPY, group, caption="/mask", thread=topic))
    assert (picture(telegram, answer), answer.message_thread_id) == (b"masked:" + HAPPY, topic)


def test_each_photo_of_an_album_is_answered_in_its_order(telegram: TelegramBot) -> None:
    ada = telegram.person()
    album = telegram.server.album([HAPPY, NOBODY, SAD], user=ada, caption="/mask")
    first, nobody, third = telegram.ask(album)
    assert (picture(telegram, first), picture(telegram, third)) == (b"masked:" + HAPPY, b"masked:" + SAD)
    assert (nobody.photo, nobody.text) == (None, ENGLISH.no_face)
    replied = [sent.reply_parameters["message_id"] for sent in (first, nobody, third) if sent.reply_parameters]
    assert replied == [content_of(update)["message_id"] for update in album]


@pytest.mark.parametrize("place", ["private", "group", "group that reacts to every photo"])
@pytest.mark.parametrize(("captioned", "order"), [(0, (2, 1, 0)), (1, (0, 1, 2)), (2, (0, 1, 2))])
def test_an_album_is_masked_whichever_photo_has_the_caption_and_whichever_comes_first(
    telegram: TelegramBot, captioned: int, order: tuple[int, ...], place: str
) -> None:
    ada = telegram.person()
    chat = ada["id"] if place == "private" else telegram.group(auto=place != "group")
    album = telegram.server.album([HAPPY, SAD, HAPPY], chat, ada, caption="/mask all", captioned=captioned)
    answers = telegram.ask(album[index] for index in order)
    assert [picture(telegram, sent) for sent in answers] == [b"everyone:" + data for data in (HAPPY, SAD, HAPPY)]
    replied = [sent.reply_parameters["message_id"] for sent in answers if sent.reply_parameters]
    assert replied == [content_of(update)["message_id"] for update in album]
    assert telegram.reacted(chat) == []


def test_a_caption_that_comes_late_has_the_whole_album_masked_once(telegram: TelegramBot) -> None:
    ada = telegram.person()
    album = telegram.server.album([HAPPY, SAD], user=ada, caption="/mask", captioned=1)
    numbers = [telegram.server.push(album[0])]
    telegram.settle(numbers[0])
    numbers.append(telegram.server.push(album[1]))
    telegram.settle(numbers[1])
    for number in numbers:
        telegram.server.again(number)
    telegram.ask(telegram.server.photo(NOBODY, user=telegram.person()))
    pictures = [picture(telegram, sent) for sent in telegram.said(ada["id"]) if sent.photo]
    assert pictures == [b"masked:" + HAPPY, b"masked:" + SAD]


def test_an_album_that_comes_twice_is_masked_once(telegram: TelegramBot) -> None:
    group = telegram.group()
    album = telegram.server.album([HAPPY, SAD], group, caption="/mask", captioned=1)
    numbers = [telegram.server.push(each) for each in album]
    telegram.server.again(numbers[0])
    telegram.settle(numbers[-1])
    for number in numbers:
        telegram.server.again(number)
    telegram.ask(telegram.server.photo(NOBODY, user=telegram.person()))
    assert [picture(telegram, sent) for sent in telegram.said(group)] == [b"masked:" + HAPPY, b"masked:" + SAD]


def test_a_photo_that_comes_late_is_masked_as_its_album_is(telegram: TelegramBot) -> None:
    ada = telegram.person()
    album = telegram.server.album([HAPPY, SAD], user=ada, caption="/mask all")
    for update in album:
        telegram.ask(update)
    answers = telegram.said(ada["id"])
    assert [picture(telegram, sent) for sent in answers] == [b"everyone:" + HAPPY, b"everyone:" + SAD]
    replied = [sent.reply_parameters["message_id"] for sent in answers if sent.reply_parameters]
    assert replied == [content_of(update)["message_id"] for update in album]


def test_of_a_video_the_preview_is_masked_and_we_say_so(telegram: TelegramBot) -> None:
    ada = telegram.person()
    (answer,) = telegram.ask(telegram.server.video(HAPPY, user=ada, caption="/mask"))
    assert picture(telegram, answer) == b"masked:" + HAPPY
    assert answer.text == ENGLISH.preview_video


def test_the_chats_own_emoji_cover_its_faces(telegram: TelegramBot, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[EmojiMap | None] = []
    mask = telegram.reader.mask

    def watched(data: bytes, *, everyone: bool = False, emoji_map: EmojiMap | None = None) -> Masked:
        asked.append(emoji_map)
        return mask(data, everyone=everyone, emoji_map=emoji_map)

    monkeypatch.setattr(telegram.reader, "mask", watched)
    ada = telegram.person()
    telegram.ask(telegram.server.photo(HAPPY, user=ada, caption="/mask"))
    telegram.ask(telegram.server.text("/map happy 🎉", user=ada))
    telegram.ask(telegram.server.photo(HAPPY, user=ada, caption="/mask"))
    assert asked[0] is None
    assert asked[1] is not None
    assert asked[1].everyday("happy")[0].character == "🎉"


def test_twice_is_answered_once_and_trouble_loses_nothing(telegram: TelegramBot) -> None:
    ada = telegram.person()
    telegram.server.fail("sendPhoto", 1, "500")
    telegram.server.fail("sendPhoto", 1, "429", retry_after=1)
    update_id = telegram.server.push(telegram.server.photo(HAPPY, user=ada, caption="/mask"))
    telegram.server.again(update_id)
    telegram.settle(update_id)
    telegram.server.again(update_id)
    telegram.ask(telegram.server.photo(NOBODY, user=telegram.person()))
    assert [picture(telegram, sent) for sent in telegram.said(ada["id"])] == [b"masked:" + HAPPY]


def test_no_picture_is_stored(telegram: TelegramBot) -> None:
    ada = telegram.person()
    telegram.ask(telegram.server.photo(HAPPY, user=ada, caption="/mask"))
    assert telegram.bytes_hold(ada["id"])
    assert not telegram.bytes_hold("masked:", HAPPY.decode())
    telegram.ask(telegram.server.text("/forget", user=ada))
    assert telegram.traces(ada["id"]) == []


@pytest.mark.parametrize(("language", "phrases"), LANGUAGES.items())
def test_where_no_photos_may_be_sent_it_says_so(telegram: TelegramBot, language: str, phrases: Phrases) -> None:
    bot_s_rights = {"status": "restricted", "can_send_photos": False}
    group = telegram.group(members={BOT_ID: bot_s_rights})
    photo = telegram.server.photo(HAPPY, group, telegram.person(language), caption="/mask")
    (answer,) = telegram.ask(photo)
    assert answer.text == phrases.mask_refused.format(reason="Not enough rights to send photos to the chat")
    assert answer.reply_parameters is not None
    assert answer.reply_parameters["message_id"] == content_of(photo)["message_id"]


def test_a_picture_that_telegram_does_not_take_is_told_of_and_the_others_come(
    telegram: TelegramBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    strip = io.BytesIO()
    Image.new("RGB", (2001, 100)).save(strip, "JPEG")
    mask = telegram.reader.mask

    def masked(data: bytes, *, everyone: bool = False, emoji_map: EmojiMap | None = None) -> Masked:
        made = mask(data, everyone=everyone, emoji_map=emoji_map)
        return replace(made, jpeg=strip.getvalue()) if data == SAD else made

    monkeypatch.setattr(telegram.reader, "mask", masked)
    refused, given = telegram.ask(telegram.server.album([SAD, HAPPY], user=telegram.person(), caption="/mask"))
    assert refused.text == ENGLISH.mask_refused.format(reason="Photo_invalid_dimensions")
    assert picture(telegram, given) == b"masked:" + HAPPY


def test_a_blocked_bot_gives_up(telegram: TelegramBot) -> None:
    ada = telegram.person()
    telegram.server.fail("sendPhoto", 1, "403")
    assert telegram.ask(telegram.server.photo(HAPPY, user=ada, caption="/mask")) == []
