"""The small Telegram server against the real python-telegram-bot."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import io
import json
import re
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
import telegram
import uvicorn
from PIL import Image
from telegram import BotCommand, InlineKeyboardButton, InlineKeyboardMarkup, ReactionTypeEmoji, ReplyParameters
from telegram.constants import ReactionEmoji, UpdateType
from telegram.error import BadRequest, ChatMigrated, Conflict, Forbidden, InvalidToken, NetworkError, RetryAfter
from telegram.ext import AIORateLimiter, Application, ExtBot, MessageHandler, filters
from telegram.request import HTTPXRequest

from tests.bot.served import wait_until
from tests.bot.telegram_server import TelegramProcess, TelegramServer
from tests.bot.telegram_shapes import METHODS, REACTIONS, UPDATE_KINDS, Json, shown_text
from tests.bot.telegram_world import BOT_ID, TOKEN, entities_of, person, renditions

Bot = ExtBot[None]
GROUP = -(10**12) - 5
CHANNEL = -(10**12) - 6


def picture(width: int = 1280, height: int = 960, orientation: int = 1) -> bytes:
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (width, height), "orange").save(file, "JPEG", exif=exif)
    return file.getvalue()


def bot_for(base_url: str, base_file_url: str, token: str, **options: Any) -> Bot:
    def request() -> HTTPXRequest:
        return HTTPXRequest(httpx_kwargs={"trust_env": False, "verify": False})

    return ExtBot(
        token,
        base_url=base_url,
        base_file_url=base_file_url,
        request=request(),
        get_updates_request=request(),
        **options,
    )


@pytest.fixture
def server() -> Iterator[TelegramServer]:
    with TelegramServer() as server:
        yield server


@pytest.fixture(scope="module")
def lasting() -> Iterator[TelegramServer]:
    with TelegramServer() as server:
        server.chat(1001)
        yield server


@pytest_asyncio.fixture
async def bot(server: TelegramServer) -> AsyncIterator[Bot]:
    async with bot_for(server.base_url, server.base_file_url, server.token) as bot:
        yield bot


@pytest.fixture(autouse=True)
def timedeltas(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask the library for the types of its next version; those of this one come with a warning."""
    monkeypatch.setenv("PTB_TIMEDELTA", "1")


def call(server: TelegramServer, method: str, **parameters: Any) -> Json:
    """A call as no library would make it."""
    address = f"{server.base_url}{server.token}/{method}"
    answer: Json = httpx.post(address, json=parameters, trust_env=False).json()
    return answer


# Shapes


def test_the_lists_are_those_of_the_library() -> None:
    assert {emoji.value.replace("\ufe0f", "") for emoji in ReactionEmoji} == REACTIONS
    assert len(REACTIONS) == 73
    assert {kind.value for kind in UpdateType} == UPDATE_KINDS


def test_the_library_has_every_method() -> None:
    assert not [name for name in METHODS if not hasattr(telegram.Bot, name)]


@pytest.mark.parametrize(
    ("method", "parameters", "said"),
    [
        ("sendMessage", {"text": "hi"}, "chat_id is missing"),
        ("sendMessage", {"chat_id": 1001, "text": ""}, "nothing to show"),
        ("sendMessage", {"chat_id": 1001, "text": "x" * 4097}, "4097 long"),
        ("sendMessage", {"chat_id": "nobody", "text": "hi"}, "chat_id: 'nobody' does not match"),
        ("sendMessage", {"chat_id": 1001, "text": 5}, "text: 5 is no String"),
        ("sendMessage", {"chat_id": 1001, "text": "hi", "reply_to_message_id": 1}, "reply_to_message_id is not"),
        ("sendMessage", {"chat_id": 1001, "text": "hi", "reply_parameters": {}}, "reply_parameters: message_id is"),
        ("sendMessage", {"chat_id": 1001, "text": "hi", "disable_notification": 1}, "1 is no Boolean"),
        ("sendMessage", {"chat_id": 1001, "text": "<b>hi", "parse_mode": "HTML"}, 'no end tag for "b"'),
        ("sendMessage", {"chat_id": 1001, "text": "<p>hi</p>", "parse_mode": "HTML"}, 'start tag "p"'),
        ("sendMessage", {"chat_id": 1001, "text": "hi", "parse_mode": "MarkdownV2"}, "HTML only"),
        (
            "sendMessage",
            {"chat_id": 1001, "text": "hi", "entities": [{"type": "bold", "offset": 0, "length": 3}]},
            "ends behind the text",
        ),
        (
            "sendMessage",
            {"chat_id": 1001, "text": "hi", "reply_markup": {"inline_keyboard": [[{"text": "a"}]]}},
            "exactly one action",
        ),
        (
            "sendMessage",
            {
                "chat_id": 1001,
                "text": "hi",
                "reply_markup": {"inline_keyboard": [[{"text": "a", "callback_data": "é" * 33}]]},
            },
            "66 long, outside 1..64",
        ),
        ("sendPhoto", {"chat_id": 1001}, "photo is missing"),
        ("sendPhoto", {"chat_id": 1001, "photo": "AgAC", "caption": "x" * 1025}, "1025 long"),
        ("sendPhoto", {"chat_id": 1001, "photo": "AgAC", "filename": "me.jpg"}, "filename is not documented"),
        ("setMessageReaction", {"chat_id": 1001, "message_id": 0}, "0 is outside"),
        (
            "setMessageReaction",
            {"chat_id": 1001, "message_id": 1, "reaction": [{"type": "paid"}]},
            "no known type",
        ),
        ("sendChatAction", {"chat_id": 1001, "action": "dancing"}, "'dancing' is not allowed"),
        ("answerCallbackQuery", {"callback_query_id": "1", "text": "x" * 201}, "201 long"),
        ("setMyCommands", {"commands": [{"command": "Start", "description": "d"}]}, "'Start' does not match"),
        ("setMyCommands", {"commands": [{"command": "start", "description": ""}]}, "0 long, outside 1..256"),
        ("setMyCommands", {"commands": [], "language_code": "de-AT"}, "'de-AT' does not match"),
        ("setMyCommands", {"commands": [], "scope": {"type": "chat"}}, "chat_id is missing"),
        ("setMyShortDescription", {"short_description": "x" * 121}, "121 long"),
        ("setWebhook", {"url": "http://127.0.0.1/"}, "needs https"),
        ("setWebhook", {"url": "https://bot.example:8000/"}, "wrong port"),
        ("setWebhook", {"url": "https://bot.example/", "secret_token": "no spaces"}, "does not match"),
        ("getUpdates", {"allowed_updates": ["selfie"]}, "'selfie' is not allowed"),
        ("getUpdates", {"limit": 101}, "101 is outside"),
        ("editMessageText", {"chat_id": 1001, "text": "hi"}, "needs chat_id and message_id"),
        ("getMe", {"loudly": True}, "loudly is not documented"),
    ],
)
def test_a_violation_is_refused_and_recorded(lasting: TelegramServer, method: str, parameters: Json, said: str) -> None:
    lasting.forget_records()
    answer = call(lasting, method, **parameters)
    assert (answer["ok"], answer["error_code"]) == (False, 400)
    assert answer["description"].startswith("Bad Request: ")
    assert said in lasting.violations[0].problem
    assert (lasting.violations[0].method, lasting.violations[0].parameters) == (method, parameters)
    assert lasting.calls_of(method)[0].status == 400
    assert not lasting.sent


def test_html_is_read_as_telegram_does() -> None:
    assert shown_text("<b>a</b> &lt;3 &#128512;", "HTML") == ("a <3 😀", "")
    assert shown_text("a < b", "HTML")[1]
    assert shown_text("</b>", "HTML")[1]


async def test_an_uploaded_photo_arrives_byte_by_byte(server: TelegramServer, bot: Bot) -> None:
    server.chat(1001)
    photo = bytes(range(256)) * 3 + b"\r\n\n\r\r\n"
    message = await bot.send_photo(1001, photo, caption="hi", filename="me.jpg")
    (sent,) = server.sent
    assert (sent.text, sent.photo) == ("hi", message.photo[-1].file_id)
    assert server.files[message.photo[-1].file_id].data == photo
    file = await bot.get_file(message.photo[-1].file_id)
    assert bytes(await file.download_as_bytearray()) == photo
    assert server.calls_of("sendPhoto")[0].parameters["photo"] == "a file"
    assert server.state("calls", "sent")["sent"][0]["text"] == "hi"
    wrongs: list[tuple[str | bytes, str]] = [
        ("AgAC", "rong file identifier"),
        (bytes((10 << 20) + 1), "Too Large"),
        (picture(2001, 100), "dimensions"),
        (picture(100, 2001), "dimensions"),
        (picture(9000, 1001), "dimensions"),
    ]
    for wrong, sentence in wrongs:
        with pytest.raises(telegram.error.TelegramError, match=sentence):
            await bot.send_photo(1001, wrong)
    assert server.violations == []


def test_parameters_come_in_every_form(server: TelegramServer) -> None:
    server.chat(1001)
    address = f"{server.base_url}{server.token}/sendMessage"
    with httpx.Client(trust_env=False) as http:
        assert http.get(address, params={"chat_id": 1001, "text": "hi"}).json()["ok"]
        assert http.post(address, data={"chat_id": "1001", "text": "hi"}).json()["ok"]
        assert http.post(address, json={"chat_id": 1001, "text": "hi"}).json()["ok"]
        files = {"chat_id": (None, b"1001"), "text": (None, "hi 😀".encode())}
        assert http.post(address, files=files).json()["ok"]
        assert http.post(address, content=b"{", headers={"content-type": "application/json"}).status_code == 400
    assert [sent.text for sent in server.sent] == ["hi", "hi", "hi", "hi 😀"]
    assert server.calls[0].parameters == {"chat_id": 1001, "text": "hi"}
    assert not server.violations


# Updates


def undocumented(thing: Any) -> list[str]:
    """Fields that the library does not know, anywhere inside."""
    if isinstance(thing, tuple):
        return [found for entry in thing for found in undocumented(entry)]
    if not isinstance(thing, telegram.TelegramObject):
        return []
    inner = [getattr(thing, name) for name in thing.__class__.__slots__ if not name.startswith("_")]
    return [*thing.api_kwargs, *undocumented(tuple(inner))]


def test_every_update_is_one_to_the_library(server: TelegramServer) -> None:
    jpeg = picture(400, 300)
    photo = server.photo(jpeg, spoiler=True, caption="look @face2emoji_test_bot")
    post = server.photo(jpeg, CHANNEL)
    topic = server.topic(GROUP)
    answer = server.text("answer", user=server.bot, chat=GROUP)
    updates = [
        photo,
        post,
        server.photo(jpeg, GROUP, thread=topic),
        *server.album([jpeg, jpeg], GROUP, caption="us"),
        server.document(b"heic", name="IMG.HEIC", mime="image/heic", thumbnail=jpeg),
        server.sticker(b"webp"),
        server.sticker(b"tgs", kind="animated", thumbnail=jpeg),
        server.sticker(b"webm", kind="video", thumbnail=jpeg),
        server.animation(jpeg),
        server.video(jpeg),
        server.video_note(jpeg),
        server.voice(),
        server.location(),
        server.text("/emoji@face2emoji_test_bot now", GROUP, reply_to=photo),
        server.edited(photo, caption="new /words"),
        server.edited(post),
        server.press(answer, "right"),
        server.press(answer, "right", inaccessible=True),
        server.photo(jpeg, GROUP, user=person(2002, "Robot", is_bot=True, username="robot_bot")),
        server.photo(jpeg, GROUP, anonymous=True),
        server.photo(jpeg, GROUP, sender_chat=CHANNEL),
        server.forward(answer, GROUP),
        server.forward(post),
        server.automatic_forward(post, GROUP),
        server.migrate(-7, GROUP - 1),
        server.my_chat_member(GROUP, "administrator"),
        server.my_chat_member(GROUP, "restricted", old="kicked"),
    ]
    for number, update in enumerate(updates):
        read = telegram.Update.de_json(json.loads(json.dumps({"update_id": number, **update})), None)
        assert not undocumented(read), update
        assert read.effective_chat is not None
    read = telegram.Update.de_json({"update_id": 1, **photo}, None)
    assert read.message is not None
    assert read.message.parse_caption_entities() == {read.message.caption_entities[0]: "@face2emoji_test_bot"}


def test_entities_are_counted_in_utf_16() -> None:
    assert entities_of("😀 /map@x_bot 🎉 @face_bot mail@face.org") == [
        {"type": "bot_command", "offset": 3, "length": 10},
        {"type": "mention", "offset": 17, "length": 9},
    ]


def test_renditions_are_those_of_telegram() -> None:
    sizes = [(width, height) for width, height, _ in renditions(picture(2000, 1500))]
    assert sizes == [(90, 68), (320, 240), (800, 600), (1280, 960), (2000, 1500)]
    assert [made[:2] for made in renditions(picture(400, 100, orientation=6))] == [(23, 90), (80, 320), (100, 400)]
    assert renditions(b"no picture") == [(1280, 960, b"no picture")]


async def test_polling_confirms_by_offset(server: TelegramServer, bot: Bot) -> None:
    first, second = server.push(server.text("one")), server.push(server.text("two"))
    assert [update.update_id for update in await bot.get_updates()] == [first, second]
    assert [update.update_id for update in await bot.get_updates(limit=1)] == [first]
    assert [update.update_id for update in await bot.get_updates(second)] == [second]
    assert (server.confirmed, server.pending) == ([first], [second])
    third = server.push(server.text("three"))
    assert [update.update_id for update in await bot.get_updates(-1)] == [third]
    assert server.pending == [third]
    assert await bot.get_updates(third + 1) == ()
    server.again(first)
    assert [update.update_id for update in await bot.get_updates(third + 1)] == [first]
    assert await bot.get_updates(third + 1) == ()
    assert [delivery.update_id for delivery in server.deliveries].count(first) == 3


async def test_a_long_poll_ends_with_the_update(server: TelegramServer, bot: Bot) -> None:
    poll = asyncio.create_task(bot.get_updates(timeout=20))
    await asyncio.sleep(0.1)
    assert not poll.done()
    pushed = server.push(server.text("hi"))
    assert [update.update_id for update in await asyncio.wait_for(poll, 1)] == [pushed]


async def test_only_wanted_updates_come(server: TelegramServer, bot: Bot) -> None:
    await bot.get_updates(allowed_updates=["message"])
    unwanted = server.push(server.edited(server.text("hi")))
    wanted = server.push(server.text("hi"))
    assert [update.update_id for update in await bot.get_updates()] == [wanted]
    assert server.unwanted == [unwanted]


async def test_a_second_poll_ends_the_first(server: TelegramServer, bot: Bot) -> None:
    first = asyncio.create_task(bot.get_updates(timeout=20))
    await asyncio.sleep(0.1)
    second = asyncio.create_task(bot.get_updates(timeout=20))
    with pytest.raises(Conflict, match="terminated by other getUpdates request"):
        await first
    server.push(server.text("hi"))
    assert len(await second) == 1


async def test_a_poller_that_died_loses_nothing(server: TelegramServer, bot: Bot) -> None:
    poll = asyncio.create_task(bot.get_updates(timeout=20))
    await asyncio.sleep(0.1)
    poll.cancel()
    await asyncio.to_thread(wait_until, lambda: server.calls_of("getUpdates")[0].status == 0)
    server.push(server.text("hi"))
    assert not server.deliveries
    assert len(await bot.get_updates()) == 1


# Calls


async def test_the_bot_introduces_itself(server: TelegramServer, bot: Bot) -> None:
    assert (bot.id, bot.username, bot.can_read_all_group_messages) == (BOT_ID, "face2emoji_test_bot", False)
    server.configure(can_read_all_group_messages=True)
    assert (await bot.get_me()).can_read_all_group_messages
    await bot.set_my_commands([BotCommand("start", "Begin")], language_code="de")
    assert await bot.get_my_commands(language_code="de") == (BotCommand("start", "Begin"),)
    assert await bot.get_my_commands() == ()
    await bot.set_my_description("Selfies to emoji")
    await bot.set_my_short_description("Selfies", language_code="ko")
    assert server.descriptions == {"description:": "Selfies to emoji", "short_description:ko": "Selfies"}
    assert not server.violations


async def test_strangers_are_refused(server: TelegramServer, bot: Bot) -> None:
    with pytest.raises(InvalidToken):
        async with bot_for(server.base_url, server.base_file_url, "1:wrong"):
            pass
    with pytest.raises(telegram.error.EndPointNotFound):
        await bot.do_api_request("takeSelfie")


async def test_a_photo_is_downloaded(server: TelegramServer, bot: Bot) -> None:
    jpeg = picture()
    server.push(server.photo(jpeg))
    [update] = await bot.get_updates()
    assert update.message is not None
    assert [(size.width, size.height) for size in update.message.photo] == [
        (90, 68),
        (320, 240),
        (800, 600),
        (1280, 960),
    ]
    for size in update.message.photo:
        data = bytes(await (await size.get_file()).download_as_bytearray())
        assert len(data) == size.file_size
        with Image.open(io.BytesIO(data)) as opened:
            assert opened.size == (size.width, size.height)
    assert hashlib.sha256(data).digest() == hashlib.sha256(jpeg).digest()
    assert server.downloads == 4
    with pytest.raises(BadRequest, match="Wrong file_id"):
        await bot.get_file("unknown")
    server.push(server.document(b"large", size=21 << 20))
    document = (await bot.get_updates(update.update_id + 1))[0].message.document  # type: ignore[union-attr]
    assert document is not None
    with pytest.raises(BadRequest, match="File is too big"):
        await bot.get_file(document)


async def test_an_album_holds_its_reaction_once(server: TelegramServer, bot: Bot) -> None:
    for update in server.album([b"1", b"2", b"3"], GROUP, caption="us"):
        server.push(update)
    messages = [update.message for update in await bot.get_updates() if update.message]
    assert len({message.media_group_id for message in messages}) == 1
    assert [message.caption for message in messages] == ["us", None, None]
    await messages[2].set_reaction([ReactionTypeEmoji("😁")])
    assert server.reactions == {(GROUP, messages[0].message_id): "😁"}


async def test_reactions_replace_each_other(server: TelegramServer, bot: Bot) -> None:
    chat, number = 1001, server.photo(b"photo")["message"]["message_id"]
    await bot.set_message_reaction(chat, number, [ReactionTypeEmoji("😁")])
    await bot.set_message_reaction(chat, number, [ReactionTypeEmoji("😢")])
    assert server.reactions == {(chat, number): "😢"}
    await bot.set_message_reaction(chat, number, [])
    assert server.reactions == {}
    assert [reacted.emoji for reacted in server.reaction_log] == ["😁", "😢", None]
    assert not server.violations


async def test_reactions_that_are_none(server: TelegramServer, bot: Bot) -> None:
    chat, number = GROUP, server.photo(b"photo", GROUP)["message"]["message_id"]
    with pytest.raises(BadRequest, match="Message to react not found"):
        await bot.set_message_reaction(chat, 99, [ReactionTypeEmoji("😁")])
    server.chat(chat, available_reactions=["👍"])
    with pytest.raises(BadRequest, match=r"(?i)reaction_invalid"):
        await bot.set_message_reaction(chat, number, [ReactionTypeEmoji("😁")])
    assert (await bot.get_chat(chat)).available_reactions == (ReactionTypeEmoji("👍"),)
    assert not server.violations
    server.chat(chat, available_reactions=None)
    # All or none? The library says () to both, so only the answer itself tells.
    assert (await bot.get_chat(chat)).available_reactions == ()
    assert "available_reactions" not in call(server, "getChat", chat_id=chat)["result"]
    # Not one of the 73, one of them with U+FE0F, and what the library makes of an unknown string.
    for reaction in ([ReactionTypeEmoji("🙂")], [ReactionTypeEmoji("❤\ufe0f")], "🙂"):
        with pytest.raises(BadRequest, match=r"(?i)reaction_invalid"):
            await bot.set_message_reaction(chat, number, reaction)
    with pytest.raises(BadRequest, match=r"(?i)reactions_too_many"):
        await bot.set_message_reaction(chat, number, [ReactionTypeEmoji("😁"), ReactionTypeEmoji("😢")])
    assert len(server.violations) == 4
    assert server.reactions == {}


async def test_messages_are_sent_edited_and_deleted(server: TelegramServer, bot: Bot) -> None:
    number = server.photo(b"photo")["message"]["message_id"]
    keyboard = InlineKeyboardMarkup([[InlineKeyboardButton("Right", callback_data="right")]])
    message = await bot.send_message(
        1001, "<b>😁</b>", "HTML", reply_parameters=ReplyParameters(number), reply_markup=keyboard
    )
    assert (message.text, message.reply_markup) == ("😁", keyboard)
    assert message.reply_to_message is not None
    assert message.reply_to_message.message_id == number
    assert server.messages[1001, message.message_id]["text"] == "😁"
    [sent] = server.sent
    assert (sent.chat_id, sent.message_id, sent.text) == (1001, message.message_id, "<b>😁</b>")
    assert sent.reply_parameters == {"message_id": number}
    with pytest.raises(BadRequest, match="Message is not modified"):
        await message.edit_reply_markup(keyboard)
    await message.edit_reply_markup(None)
    assert "reply_markup" not in server.messages[1001, message.message_id]
    await message.edit_text("😢")
    assert server.messages[1001, message.message_id]["text"] == "😢"
    with pytest.raises(BadRequest, match="can't be edited"):
        await bot.edit_message_text("mine", 1001, number)
    await message.delete()
    with pytest.raises(BadRequest, match="Message to delete not found"):
        await message.delete()
    with pytest.raises(BadRequest, match="Message to be replied not found"):
        await bot.send_message(1001, "hi", reply_parameters=ReplyParameters(999))
    await bot.send_message(1001, "hi", reply_parameters=ReplyParameters(999, allow_sending_without_reply=True))
    with pytest.raises(BadRequest, match="Chat not found"):
        await bot.send_message(5, "hi")
    assert not server.violations


async def test_a_button_is_answered_once(server: TelegramServer, bot: Bot) -> None:
    server.chat(1001)
    message = await bot.send_message(1001, "hi")
    server.push(server.press((1001, message.message_id), "right"))
    query = (await bot.get_updates())[0].callback_query
    assert query is not None
    assert (query.data, query.message) == ("right", message)
    await query.answer("Thanks")
    with pytest.raises(BadRequest, match="Query is too old"):
        await query.answer()
    assert [answer["text"] for answer in server.answered_queries] == ["Thanks"]


async def test_topics_are_answered_in_place(server: TelegramServer, bot: Bot) -> None:
    topic = server.topic(GROUP)
    server.push(server.photo(b"photo", GROUP, thread=topic))
    message = (await bot.get_updates())[0].message
    assert message is not None
    assert (message.is_topic_message, message.message_thread_id) == (True, topic)
    assert message.reply_to_message is not None
    assert message.reply_to_message.forum_topic_created is not None
    await message.reply_text("hi")
    assert server.sent[0].message_thread_id == topic
    await bot.send_chat_action(GROUP, "typing", topic)
    with pytest.raises(BadRequest, match="Message thread not found"):
        await bot.send_message(GROUP, "hi", message_thread_id=topic + 1)


async def test_members_and_administrators(server: TelegramServer, bot: Bot) -> None:
    server.chat(
        GROUP, members={1: "creator", 2: "member", 3: "administrator", 4: "restricted", 5: "kicked", BOT_ID: "member"}
    )
    statuses = [(await bot.get_chat_member(GROUP, number)).status for number in (1, 2, 3, 4, 5, BOT_ID)]
    assert statuses == ["creator", "member", "administrator", "restricted", "kicked", "member"]
    assert [member.user.id for member in await bot.get_chat_administrators(GROUP)] == [1, 3]
    with pytest.raises(BadRequest, match="Member not found"):
        await bot.get_chat_member(GROUP, 6)
    await bot.leave_chat(GROUP)
    with pytest.raises(Forbidden):
        await bot.send_message(GROUP, "hi")
    server.my_chat_member(1001, "kicked", old="member")
    with pytest.raises(Forbidden, match="blocked by the user"):
        await bot.send_message(1001, "hi")


async def test_a_migrated_group_names_its_new_id(server: TelegramServer, bot: Bot) -> None:
    server.migrate(-7, GROUP)
    with pytest.raises(ChatMigrated) as caught:
        await bot.send_message(-7, "hi")
    assert caught.value.new_chat_id == GROUP


# Faults


@pytest.mark.parametrize(
    ("kind", "error", "handled"),
    [
        ("400", BadRequest, False),
        ("403", Forbidden, False),
        ("429", RetryAfter, False),
        ("500", NetworkError, False),
        ("502", NetworkError, False),
        ("cut_before", NetworkError, False),
        ("cut_after", NetworkError, True),
    ],
)
async def test_a_call_goes_wrong_once(
    server: TelegramServer, bot: Bot, kind: Any, error: type[Exception], handled: bool
) -> None:
    server.chat(1001)
    fault = server.fail("sendMessage", 1, kind, {"text": "hi"}, retry_after=7)
    await bot.send_message(1001, "other")
    with pytest.raises(error) as caught:
        await bot.send_message(1001, "hi")
    if isinstance(caught.value, RetryAfter):
        assert caught.value.retry_after == dt.timedelta(seconds=7)
    assert len(server.sent) == 1 + handled
    assert fault.hits == 1
    await bot.send_message(1001, "hi")
    calls = server.calls_of("sendMessage")
    assert [call.fault for call in calls] == ["", kind, ""]
    assert [call.status for call in calls] == [200, 0 if kind.startswith("cut") else int(kind), 200]


@pytest.mark.parametrize("kind", ["delay", "delay_after"])
async def test_a_slow_answer(server: TelegramServer, bot: Bot, kind: Any) -> None:
    server.chat(1001)
    server.fail("sendMessage", None, kind, seconds=0.3)
    with pytest.raises(telegram.error.TimedOut):
        await bot.send_message(1001, "hi", read_timeout=0.1)
    assert len(server.sent) == (kind == "delay_after")
    await asyncio.to_thread(wait_until, lambda: len(server.sent) == 1)
    server.heal("sendMessage")
    await bot.send_message(1001, "hi", read_timeout=0.2)


async def test_the_rate_limiter_waits_as_long_as_told(server: TelegramServer) -> None:
    server.chat(1001)
    server.fail("sendMessage", 2, "429", retry_after=1)
    limiter = AIORateLimiter(max_retries=3)
    async with bot_for(server.base_url, server.base_file_url, server.token, rate_limiter=limiter) as bot:
        await bot.send_message(1001, "hi")
    clocks = [call.clock for call in server.calls_of("sendMessage")]
    assert len(clocks) == 3
    assert min(clocks[1] - clocks[0], clocks[2] - clocks[1]) >= 1


@pytest.mark.parametrize(
    ("kind", "error"), [("404", InvalidToken), ("cut_middle", NetworkError), ("cut_before", NetworkError)]
)
async def test_a_download_goes_wrong(server: TelegramServer, bot: Bot, kind: Any, error: type[Exception]) -> None:
    document = server.add_file(bytes(2_000_000))
    file = await bot.get_file(document["file_id"])
    server.fail("download", kind=kind)
    with pytest.raises(error):
        await file.download_as_bytearray()
    assert len(await file.download_as_bytearray()) == 2_000_000


async def test_limits_of_telegram(server: TelegramServer, bot: Bot) -> None:
    async def accepted(*chats: int) -> int:
        for chat in chats:
            server.chat(chat)
        answers = await asyncio.gather(*(bot.send_message(chat, "hi") for chat in chats), return_exceptions=True)
        assert all(isinstance(answer, telegram.Message | RetryAfter) for answer in answers)
        return sum(isinstance(answer, telegram.Message) for answer in answers)

    assert await accepted(*[1001] * 20) == 20
    server.configure(limits=True)
    # However slowly this runs, the allowance grows more slowly than the calls come.
    assert 3 <= await accepted(*[1001] * 20) < 20
    assert 20 <= await accepted(*range(2000, 2090)) < 90


# Webhook


class Hook:
    """A bot of few lines behind a webhook."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.seen: list[tuple[str, int]] = []
        self.together = self.most = 0

    async def __call__(self, scope: Any, receive: Callable[[], Any], send: Callable[[Any], Any]) -> None:
        body = (await receive())["body"]
        secret = dict(scope["headers"]).get(b"x-telegram-bot-api-secret-token", b"").decode()
        self.together += 1
        self.most = max(self.most, self.together)
        await asyncio.sleep(0.02)
        self.together -= 1
        self.seen.append((secret, json.loads(body)["update_id"]))
        status = self.statuses.pop(0) if self.statuses else 200
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})


@pytest.fixture
def hook() -> Iterator[tuple[Hook, str]]:
    app = Hook()
    config = uvicorn.Config(app, port=0, lifespan="off", log_config=None, ws="none", loop="asyncio")
    hooked = uvicorn.Server(config)
    thread = threading.Thread(target=hooked.run)
    thread.start()
    wait_until(lambda: hooked.started)
    yield app, f"http://127.0.0.1:{hooked.servers[0].sockets[0].getsockname()[1]}"
    hooked.should_exit = True
    thread.join(10)
    assert not thread.is_alive()


async def test_a_webhook_gets_what_polling_would(server: TelegramServer, bot: Bot, hook: tuple[Hook, str]) -> None:
    app, address = hook
    waiting = server.push(server.text("before"))
    server.configure(reroute=address)
    app.statuses = [500, 503]
    await bot.set_webhook("https://bot.example/telegram?x=1", secret_token="secret", max_connections=4)
    await asyncio.to_thread(wait_until, lambda: server.confirmed == [waiting])
    assert app.seen == [("secret", waiting)] * 3
    assert [delivery.status for delivery in server.deliveries] == [500, 503, 200]
    info = await bot.get_webhook_info()
    assert info.url == "https://bot.example/telegram?x=1"
    assert info.last_error_message == "Wrong response from the webhook: 503 Service Unavailable"
    with pytest.raises(Conflict, match="webhook is active"):
        await bot.get_updates()
    server.again(waiting)
    await asyncio.to_thread(wait_until, lambda: len(app.seen) == 4)
    await bot.delete_webhook()
    later = server.push(server.text("after"))
    assert [update.update_id for update in await bot.get_updates()] == [later]
    assert not server.violations


async def test_one_chat_waits_in_line_and_others_do_not(
    server: TelegramServer, bot: Bot, hook: tuple[Hook, str]
) -> None:
    app, address = hook
    server.configure(reroute=address)
    await bot.set_webhook("https://bot.example/")
    line = [server.push(server.text(str(number))) for number in range(5)]
    await asyncio.to_thread(wait_until, lambda: server.confirmed == line)
    assert app.most == 1
    others = [server.push(server.text("hi", chat)) for chat in range(2000, 2010)]
    await asyncio.to_thread(wait_until, lambda: sorted(server.confirmed) == line + others)
    assert app.most > 1


def test_a_webhook_ends_a_poll(server: TelegramServer) -> None:
    answers: list[Json] = []
    poll = threading.Thread(target=lambda: answers.append(call(server, "getUpdates", timeout=20)))
    poll.start()
    wait_until(lambda: bool(server.calls_of("getUpdates")))
    assert call(server, "setWebhook", url="https://bot.example/")["ok"]
    poll.join(5)
    assert answers[0]["description"] == "Conflict: terminated by setWebhook request"


# The whole library, and another process


async def test_an_application_polls_and_answers(server: TelegramServer) -> None:
    async def answer(update: telegram.Update, context: Any) -> None:
        assert update.message is not None
        await update.message.reply_text("😁")

    bot = bot_for(server.base_url, server.base_file_url, server.token)
    application = Application.builder().bot(bot).build()
    application.add_handler(MessageHandler(filters.PHOTO, answer))
    async with application:
        assert application.updater is not None
        await application.updater.start_polling(timeout=5)
        await application.start()
        pushed = [server.push(server.photo(b"photo", chat)) for chat in range(1, 21)]
        await asyncio.to_thread(wait_until, lambda: len(server.sent) == 20)
        await application.updater.stop()
        await application.stop()
    assert server.confirmed == pushed
    assert not server.violations


async def test_the_server_as_a_process() -> None:
    with TelegramProcess("--read-all") as process:
        photo = process.control("add_photo", data=picture())
        assert [size["width"] for size in photo] == [90, 320, 800, 1280]
        [pushed] = process.control("photo", photo=photo, chat=1001, caption="/emoji", push=True)
        process.control("fail", method="sendMessage", kind="500", when={"text": "no"})
        async with bot_for(process.base_url, process.base_file_url, TOKEN) as bot:
            assert bot.can_read_all_group_messages
            [update] = await bot.get_updates()
            assert update.update_id == pushed["update_id"]
            assert update.message is not None
            assert len(await (await update.message.photo[-1].get_file()).download_as_bytearray()) > 1280
            await update.message.set_reaction([ReactionTypeEmoji("😁")])
            with pytest.raises(NetworkError):
                await bot.send_message(1001, "no")
            await bot.send_message(1001, "yes")
        process.control("chat", chat_id=GROUP, members={"1": "creator"}, available_reactions=["👍"])
        process.control("push", update=process.control("press", message=[1001, 1], data="right"))
        state = process.state()
        assert state["reactions"] == [{"chat_id": 1001, "message_id": 1, "emoji": "😁"}]
        assert [sent["text"] for sent in state["sent"]] == ["yes"]
        assert (state["downloads"], state["violations"], len(state["pending"])) == (1, [], 2)
        assert [pushed["message_id"] for pushed in state["pushed"]] == [1, 1]
        assert process.state("downloads") == {"downloads": 1}
        with pytest.raises(AssertionError, match="there is no control stop"):
            process.control("stop")
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", process.url)
