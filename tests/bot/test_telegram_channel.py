"""Photos on Telegram: what private chats and groups get to see, and what the bot must not touch."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from bot.phrases import ENGLISH, GERMAN, KOREAN, SPANISH, Phrases
from tests.bot.served import wait_until
from tests.bot.telegram_served import DAMAGED, HAPPY, NOBODY, SAD, TelegramBot, labels
from tests.bot.telegram_shapes import Json
from tests.bot.telegram_world import content_of, person

NAME = "@face2emoji_test_bot"
DETAILS = "Happy, 92%\nNext: sad 4%, surprise 2%"


def number_of(update: Json) -> int:
    return int(content_of(update)["message_id"])


# Private chats


def test_a_selfie_gets_a_large_emoji_and_the_details(telegram: TelegramBot) -> None:
    ada = telegram.person()
    photo = telegram.server.photo(HAPPY, user=ada)
    large, details = telegram.ask(photo)
    assert large.text == "😄"
    assert large.reply_parameters is not None
    assert large.reply_parameters["message_id"] == number_of(photo)
    assert labels(large) == []
    assert details.text == DETAILS
    assert details.reply_parameters is None
    assert labels(details) == [ENGLISH.right, ENGLISH.wrong]
    assert telegram.reacted(ada["id"]) == []


def test_typing_is_shown_while_it_works(telegram: TelegramBot) -> None:
    ada = telegram.person()
    telegram.reader.may_read.clear()
    update_id = telegram.server.push(telegram.server.photo(HAPPY, user=ada))
    wait_until(lambda: telegram.calls("sendChatAction", ada["id"]) == 1)
    assert telegram.said(ada["id"]) == []
    telegram.reader.may_read.set()
    telegram.settle(update_id)
    assert [call.parameters["action"] for call in telegram.server.calls_of("sendChatAction")] == ["typing"]


def test_an_image_document_and_a_still_sticker_are_photos(telegram: TelegramBot) -> None:
    ada = telegram.person()
    for update in (
        telegram.server.document(HAPPY, user=ada, name="IMG_1.HEIC", mime="image/heic"),
        telegram.server.sticker(HAPPY, user=ada),
    ):
        telegram.server.forget_records()
        large, details = telegram.ask(update)
        assert (large.text, details.text) == ("😄", DETAILS)


def test_a_file_without_a_type_goes_by_its_name(telegram: TelegramBot) -> None:
    file = telegram.server.document(HAPPY, user=telegram.person(), name="IMG_1.HEIC", mime="application/octet-stream")
    assert [message.text for message in telegram.ask(file)] == ["😄", DETAILS]


def gif(bot: TelegramBot, user: Json, thumbnail: bytes | None) -> Json:
    return bot.server.animation(thumbnail, user=user)


def video(bot: TelegramBot, user: Json, thumbnail: bytes | None) -> Json:
    return bot.server.video(thumbnail, user=user, size=900 << 20)


def video_note(bot: TelegramBot, user: Json, thumbnail: bytes | None) -> Json:
    return bot.server.video_note(thumbnail, user=user)


Moving = Callable[[TelegramBot, Json, bytes | None], Json]


@pytest.mark.parametrize(
    ("moving", "sentence"),
    [(gif, ENGLISH.preview_gif), (video, ENGLISH.preview_video), (video_note, ENGLISH.preview_video_note)],
)
def test_of_a_moving_picture_the_preview_is_read_and_we_say_so(
    telegram: TelegramBot, moving: Moving, sentence: str
) -> None:
    large, details = telegram.ask(moving(telegram, telegram.person(), HAPPY))
    assert (large.text, details.text) == ("😄", f"{DETAILS}\n{sentence}")
    assert telegram.reader.seen == [HAPPY]
    (answer,) = telegram.ask(moving(telegram, telegram.person(), None))
    assert answer.text == ENGLISH.not_a_photo


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda bot, ada: bot.server.sticker(b"tgs", user=ada, kind="animated"), ENGLISH.animated_sticker),
        (lambda bot, ada: bot.server.sticker(b"webm", user=ada, kind="video"), ENGLISH.animated_sticker),
        (lambda bot, ada: bot.server.text("How are you?", user=ada), ENGLISH.not_a_photo),
        (lambda bot, ada: bot.server.text("/weather", user=ada), ENGLISH.not_a_photo),
        (lambda bot, ada: bot.server.voice(user=ada), ENGLISH.not_a_photo),
        (lambda bot, ada: bot.server.location(user=ada), ENGLISH.not_a_photo),
        (
            lambda bot, ada: bot.server.document(b"%", user=ada, name="a.pdf", mime="text/plain"),
            ENGLISH.not_a_photo,
        ),
        (lambda bot, ada: bot.server.photo(NOBODY, user=ada), ENGLISH.no_face),
        (lambda bot, ada: bot.server.photo(DAMAGED, user=ada), ENGLISH.unreadable),
        (lambda bot, ada: bot.server.text("/emoji", user=ada), ENGLISH.emoji_needs_photo),
        (lambda bot, ada: bot.server.text("/mask", user=ada), ENGLISH.mask_needs_photo),
        (lambda bot, ada: bot.server.photo(NOBODY, user=ada, caption="/mask"), ENGLISH.no_face),
        (lambda bot, ada: bot.server.photo(DAMAGED, user=ada, caption="/mask"), ENGLISH.unreadable),
    ],
)
def test_anything_else_gets_one_helpful_sentence(
    telegram: TelegramBot, make: Callable[[TelegramBot, Json], Json], sentence: str
) -> None:
    update = make(telegram, telegram.person())
    (answer,) = telegram.ask(update)
    assert answer.text == sentence
    assert answer.reply_parameters is not None
    assert answer.reply_parameters["message_id"] == number_of(update)
    assert labels(answer) == []


def test_a_file_that_is_too_large_is_not_fetched(telegram: TelegramBot) -> None:
    for size in ((20 << 20) + 1, 21_000_000_000):
        (answer,) = telegram.ask(telegram.server.document(HAPPY, user=telegram.person(), size=size))
        assert answer.text.startswith("This picture is too large: it is over 2")
    assert telegram.server.downloads == 0


def test_a_service_message_gets_no_answer(telegram: TelegramBot) -> None:
    ada = telegram.person()
    photo = telegram.server.photo(HAPPY, user=ada)
    pinned = telegram.server.message(user=ada, pinned_message=content_of(photo))
    assert telegram.ask(pinned) == []


def test_several_faces_are_answered_left_to_right(telegram: TelegramBot) -> None:
    large, details = telegram.ask(telegram.server.photo(b"sad:90 happy:92 angry:70", user=telegram.person()))
    assert large.text == "😢😄😠"
    assert details.text == "1. 😢 Sad, 90%\n2. 😄 Happy, 92%\n3. 😠 Angry, 70%"
    assert labels(details) == [ENGLISH.right, ENGLISH.wrong]


def test_a_small_face_is_read_again_in_the_largest_rendition(telegram: TelegramBot) -> None:
    def sizes(small: bytes, large: bytes) -> list[Json]:
        made = [(90, telegram.server.add_file(b"thumb")), (800, telegram.server.add_file(small))]
        made.append((1600, telegram.server.add_file(large)))
        keys = ("file_id", "file_unique_id", "file_size")
        return [{"width": n, "height": n * 3 // 4, **{key: file[key] for key in keys}} for n, file in made]

    near, far = telegram.person(), telegram.person()
    assert telegram.ask(telegram.server.photo(sizes(HAPPY, SAD), user=near))[0].text == "😄"
    assert telegram.ask(telegram.server.photo(sizes(b"happy:92:40", SAD), user=far))[0].text == "😢"
    assert telegram.reader.seen == [HAPPY, b"happy:92:40", SAD]


def test_an_old_photo_can_be_asked_about_with_emoji(telegram: TelegramBot) -> None:
    ada = telegram.person()
    photo = telegram.server.photo(HAPPY, user=ada, date=int(time.time()) - 10**7)
    large, details = telegram.ask(telegram.server.text("/emoji", user=ada, reply_to=photo))
    assert (large.text, details.text) == ("😄", DETAILS)
    assert large.reply_parameters is not None
    assert large.reply_parameters["message_id"] == number_of(photo)


@pytest.mark.parametrize(
    ("code", "phrases"),
    [("de-AT", GERMAN), ("es", SPANISH), ("ko", KOREAN), ("fr", ENGLISH), (None, ENGLISH)],
)
def test_answers_are_in_the_persons_language(telegram: TelegramBot, code: str | None, phrases: Phrases) -> None:
    ada = telegram.person(code)
    (hint,) = telegram.ask(telegram.server.text("hello", user=ada))
    assert hint.text == phrases.not_a_photo
    _, _, details = telegram.ask(telegram.server.photo(HAPPY, user=ada))
    assert details.text.lower().startswith(f"{phrases.happy.lower()}, 92%")
    assert labels(details) == [phrases.right, phrases.wrong]


def test_an_album_gets_one_answer(telegram: TelegramBot) -> None:
    large, details = telegram.ask(telegram.server.album([HAPPY, NOBODY, SAD], user=telegram.person()))
    assert large.text == "😄😢"
    assert details.text == f"1. 😄 Happy, 92%\n2. {ENGLISH.short_no_face}\n3. 😢 Sad, 90%"


def test_an_album_whose_photos_come_in_polls_of_their_own_gets_one_answer(telegram: TelegramBot) -> None:
    ada = telegram.person()
    for update in telegram.server.album([HAPPY, SAD, HAPPY], user=ada):
        update_id = telegram.deliver(update)
        time.sleep(0.25)
    telegram.settle(update_id)
    assert telegram.texts(ada["id"])[0] == "😄😢😄"
    assert len(telegram.said(ada["id"])) == 2


def test_an_album_is_answered_in_its_order_in_whatever_order_it_comes(telegram: TelegramBot) -> None:
    first, second, third = telegram.server.album([HAPPY, SAD, b"angry:90"], user=telegram.person())
    assert telegram.ask([third, first, second])[0].text == "😄😢😡"


def settle_each(telegram: TelegramBot, updates: list[Json]) -> list[int]:
    """Give these updates to the bot, each when the one before is answered; return their ids."""
    numbers = []
    for update in updates:
        numbers.append(telegram.server.push(update))
        telegram.settle(numbers[-1])
    return numbers


def test_a_photo_that_comes_after_its_album_was_answered_is_answered_once(telegram: TelegramBot) -> None:
    ada = telegram.person()
    album = telegram.server.album([HAPPY, SAD], user=ada)
    numbers = settle_each(telegram, album)
    for number in numbers:
        telegram.server.again(number)
    telegram.ask(telegram.server.photo(NOBODY, user=telegram.person()))
    large = [sent for sent in telegram.said(ada["id"]) if sent.reply_parameters]
    assert [sent.text for sent in large] == ["😄", "😢"]
    assert [sent.reply_parameters["message_id"] for sent in large if sent.reply_parameters] == [*map(number_of, album)]
    assert len(telegram.said(ada["id"])) == 4


def test_a_group_s_album_that_somebody_asked_about_is_answered_however_late_its_rest_comes(
    telegram: TelegramBot,
) -> None:
    group = telegram.group()
    settle_each(telegram, telegram.server.album([b"sad:60", HAPPY], group, caption=NAME))
    assert [reaction.emoji for reaction in telegram.reacted(group)] == ["😢", "😁"]


def test_the_same_update_twice_is_answered_once(telegram: TelegramBot) -> None:
    ada = telegram.person()
    album = [telegram.server.push(each) for each in telegram.server.album([HAPPY, SAD], user=ada)]
    telegram.server.again(album[0])
    single = telegram.server.push(telegram.server.photo(HAPPY, user=ada))
    telegram.server.again(single)
    telegram.settle(single)
    for update_id in (*album, single):
        telegram.server.again(update_id)
    telegram.ask(telegram.server.photo(NOBODY, user=telegram.person()))
    assert sorted(telegram.texts(ada["id"])) == sorted(
        ["😄😢", "1. 😄 Happy, 92%\n2. 😢 Sad, 90%", "😄", DETAILS],
    )


# Groups


def stored(bot: TelegramBot, chat: int) -> bool:
    """Tell whether anything of a chat, beside its settings, has reached the database."""
    return bot.traces(chat) not in ([], ["face2emoji_chats"])


def is_ignored(bot: TelegramBot, update: Json | list[Json], chat: int) -> bool:
    """Tell whether nothing was said, fetched or stored."""
    bot.ask(update)
    calls = {call.method for call in bot.server.calls} - {"getUpdates"}
    return not calls and not bot.reader.seen and not stored(bot, chat)


@pytest.mark.parametrize(
    "make",
    [
        lambda bot, group: bot.server.photo(HAPPY, group),
        lambda bot, group: bot.server.photo(HAPPY, group, caption="what a day, @somebody_else"),
        lambda bot, group: bot.server.album([HAPPY, SAD], group, caption="holidays"),
        lambda bot, group: bot.server.document(HAPPY, group),
        lambda bot, group: bot.server.sticker(HAPPY, group),
        lambda bot, group: bot.server.video(HAPPY, group),
        lambda bot, group: bot.server.text("hello", group),
        lambda bot, group: bot.server.text("/start@other_bot", group),
        lambda bot, group: bot.server.text("/emoji@other_bot", group, reply_to=bot.server.photo(HAPPY, group)),
        lambda bot, group: bot.server.text("/unknown", group),
        lambda bot, group: bot.server.voice(group),
    ],
)
def test_groups_are_left_alone_by_default(telegram: TelegramBot, make: Callable[[TelegramBot, int], Json]) -> None:
    group = telegram.group()
    assert is_ignored(telegram, make(telegram, group), group)


@pytest.mark.parametrize(
    "ask",
    [
        lambda server, photo: server.photo(HAPPY, photo["chat"]["id"], caption=f"and me, {NAME}?"),
        lambda server, photo: server.photo(HAPPY, photo["chat"]["id"], caption=NAME.upper()),
        lambda server, photo: server.document(HAPPY, photo["chat"]["id"], caption=NAME),
        lambda server, photo: server.photo(HAPPY, photo["chat"]["id"], caption="/emoji"),
        lambda server, photo: server.photo(HAPPY, photo["chat"]["id"], caption=NAME, spoiler=True),
        lambda server, photo: server.text("/emoji", photo["chat"]["id"], reply_to=photo),
        lambda server, photo: server.text(f"/emoji{NAME}", photo["chat"]["id"], reply_to=photo),
        lambda server, photo: server.text(f"what does {NAME} say?", photo["chat"]["id"], reply_to=photo),
        lambda server, photo: server.text(NAME, photo["chat"]["id"], anonymous=True, reply_to=photo),
    ],
)
def test_a_group_photo_that_somebody_asks_about_gets_a_reaction_and_nothing_else(
    telegram: TelegramBot, ask: Callable[[Any, Json], Json]
) -> None:
    photo = content_of(telegram.server.photo(HAPPY, telegram.group()))
    question = content_of(ask(telegram.server, photo))
    assert telegram.ask({"message": question}) == []
    target = photo if "reply_to_message" in question else question
    (reaction,) = telegram.reacted(photo["chat"]["id"])
    assert (reaction.message_id, reaction.emoji) == (target["message_id"], "😁")
    assert telegram.calls("sendChatAction", photo["chat"]["id"]) == 0


def test_a_mention_by_a_link_to_the_bot_counts_too(telegram: TelegramBot) -> None:
    group = telegram.group()
    mention = {"type": "text_mention", "offset": 0, "length": 4, "user": telegram.server.bot}
    telegram.ask(telegram.server.photo(HAPPY, group, caption="Face", caption_entities=[mention]))
    assert len(telegram.reacted(group)) == 1


def test_a_question_without_a_photo_is_told_how_to_ask(telegram: TelegramBot) -> None:
    group = telegram.group()
    texts = [
        telegram.server.text("/emoji", group),
        telegram.server.text(f"hello {NAME}", group),
        telegram.server.text("/emoji", group, reply_to=telegram.server.text("no photo", group)),
    ]
    telegram.ask(texts)
    assert telegram.texts(group) == [ENGLISH.emoji_needs_photo] * 3


def test_auto_reacts_to_every_photo_and_is_silent_otherwise(telegram: TelegramBot) -> None:
    group = telegram.group(auto=True)
    photo = telegram.server.photo(HAPPY, group)
    document = telegram.server.document(SAD, group)
    telegram.ask([photo, document])
    telegram.ask([telegram.server.photo(NOBODY, group), telegram.server.photo(DAMAGED, group)])
    found = {reaction.message_id: reaction.emoji for reaction in telegram.reacted(group)}
    assert found == {number_of(photo): "😁", number_of(document): "😢"}
    assert telegram.said(group) == []
    assert telegram.calls("sendChatAction", group) == 0


def test_auto_takes_what_people_post_in_the_name_of_a_group_or_channel(telegram: TelegramBot) -> None:
    group = telegram.group(auto=True)
    channel = -1_001_234_500_001
    telegram.ask(
        [
            telegram.server.photo(HAPPY, group, anonymous=True),
            telegram.server.photo(HAPPY, group, sender_chat=channel),
            telegram.server.forward(telegram.server.photo(HAPPY, user=telegram.person()), group),
        ]
    )
    assert len(telegram.reacted(group)) == 3


def other_bot(bot: TelegramBot, group: int) -> Json:
    return bot.server.photo(HAPPY, group, person(4242, "Other", is_bot=True, username="other_bot"))


def other_bots_question(bot: TelegramBot, group: int) -> Json:
    return bot.server.photo(HAPPY, group, person(4242, "Other", is_bot=True, username="other_bot"), caption=NAME)


def edited(bot: TelegramBot, group: int) -> Json:
    return bot.server.edited(bot.server.photo(HAPPY, group), caption=NAME)


def forward_of_its_own(bot: TelegramBot, group: int) -> Json:
    own = bot.server.photo(HAPPY, group, bot.server.bot)
    return bot.server.forward(own, group, caption=NAME)


def through_itself(bot: TelegramBot, group: int) -> Json:
    return bot.server.photo(HAPPY, group, via_bot=bot.server.bot)


def channel_post(bot: TelegramBot, group: int) -> Json:
    return bot.server.photo(HAPPY, group - 10**9)


def automatic_forward(bot: TelegramBot, group: int) -> Json:
    return bot.server.automatic_forward(channel_post(bot, group), group)


def spoiler(bot: TelegramBot, group: int) -> Json:
    return bot.server.photo(HAPPY, group, spoiler=True)


def still_sticker(bot: TelegramBot, group: int) -> Json:
    return bot.server.sticker(HAPPY, group)


def moving_picture(bot: TelegramBot, group: int) -> Json:
    return bot.server.animation(HAPPY, group)


@pytest.mark.parametrize(
    "make",
    [
        other_bot,
        other_bots_question,
        forward_of_its_own,
        through_itself,
        automatic_forward,
        spoiler,
        still_sticker,
        moving_picture,
    ],
)
def test_even_with_auto_this_is_ignored(telegram: TelegramBot, make: Callable[[TelegramBot, int], Json]) -> None:
    group = telegram.group(auto=True)
    assert is_ignored(telegram, make(telegram, group), group)


def test_edited_posts_are_not_even_asked_for(telegram: TelegramBot) -> None:
    group = telegram.group(auto=True)
    update_id = telegram.server.push(edited(telegram, group))
    assert telegram.server.unwanted == [update_id]


def test_a_channel_is_answered_only_where_it_asks(telegram: TelegramBot) -> None:
    channel = telegram.group() - 10**9
    telegram.server.chat(channel, "channel")
    plain = telegram.server.photo(HAPPY, channel)
    assert is_ignored(telegram, plain, channel)
    captioned = telegram.server.photo(SAD, channel, caption=NAME)
    reply = telegram.server.text("/emoji", channel, reply_to=plain)
    assert telegram.ask([captioned, reply]) == []
    found = {reaction.message_id: reaction.emoji for reaction in telegram.reacted(channel)}
    assert found == {number_of(captioned): "😢", number_of(plain): "😁"}


def test_an_album_in_a_group_gets_one_reaction(telegram: TelegramBot) -> None:
    group = telegram.group(auto=True)
    album = telegram.server.album([b"sad:60", HAPPY, NOBODY], group)
    assert telegram.ask(album) == []
    (reaction,) = telegram.reacted(group)
    assert (reaction.message_id, reaction.emoji) == (number_of(album[0]), "😁")
    assert telegram.calls("setMessageReaction", group) == 1


@pytest.mark.parametrize("auto", [True, False])
@pytest.mark.parametrize("caption", [f"{NAME}, please", f"/emoji{NAME}"])
@pytest.mark.parametrize("captioned", [0, 1])
def test_an_album_that_is_asked_about_by_its_caption(
    telegram: TelegramBot, captioned: int, caption: str, auto: bool
) -> None:
    group = telegram.group(auto=auto)
    for update in telegram.server.album([b"sad:60", HAPPY], group, caption=caption, captioned=captioned):
        update_id = telegram.deliver(update)
        time.sleep(0.2)
    telegram.settle(update_id)
    assert [reaction.emoji for reaction in telegram.reacted(group)] == ["😁"]
    assert len(telegram.reader.seen) == 2


def test_one_photo_of_an_album_can_be_asked_about(telegram: TelegramBot) -> None:
    group = telegram.group()
    album = telegram.server.album([HAPPY, SAD], group)
    telegram.ask([*album, telegram.server.text("/emoji", group, reply_to=album[1])])
    assert telegram.reader.seen == [SAD]
    assert [reaction.emoji for reaction in telegram.reacted(group)] == ["😢"]


def test_forum_topics_are_answered_in_place(telegram: TelegramBot) -> None:
    group = telegram.group(is_forum=True, available_reactions=[])
    topic = telegram.server.topic(group)
    telegram.ask(telegram.server.photo(HAPPY, group, thread=topic, caption=NAME))
    telegram.ask(telegram.server.text("/emoji", group, thread=topic))
    telegram.ask(telegram.server.text("/status", group, thread=topic))
    emoji, hint, status = telegram.said(group)
    assert emoji.text == "😄"
    assert hint.text == ENGLISH.emoji_needs_photo
    assert status.text.startswith("Automatic reactions are off")
    assert [sent.message_thread_id for sent in (emoji, hint, status)] == [topic] * 3


def test_a_thread_of_replies_is_no_topic(telegram: TelegramBot) -> None:
    group = telegram.group(available_reactions=["👍"])
    first = telegram.server.text("Show me!", group)
    photo = telegram.server.photo(HAPPY, group, caption=NAME, reply_to=first, message_thread_id=number_of(first))
    (answer,) = telegram.ask(photo)
    assert answer.text == "😄"
    assert answer.message_thread_id is None


# Reactions


def test_the_reactions_of_a_chat_are_respected_and_asked_for_once(telegram: TelegramBot) -> None:
    group = telegram.group(auto=True, available_reactions=["👍", "🤬", "😭"])
    for photo in (b"angry:90", SAD, b"angry:90"):
        telegram.ask(telegram.server.photo(photo, group))
    assert [reaction.emoji for reaction in telegram.reacted(group)] == ["🤬", "😭", "🤬"]
    assert telegram.calls("getChat", group) == 1
    assert telegram.said(group) == []


def test_where_no_reaction_is_allowed_a_short_reply_says_it(telegram: TelegramBot) -> None:
    group = telegram.group(auto=True, available_reactions=["👍"])
    photo = telegram.server.photo(HAPPY, group)
    (reply,) = telegram.ask(photo)
    assert reply.text == "😄"
    assert reply.reply_parameters is not None
    assert reply.reply_parameters["message_id"] == number_of(photo)
    assert labels(reply) == []
    assert telegram.calls("setMessageReaction", group) == 0


def test_where_reactions_are_off_they_are_tried_once(telegram: TelegramBot) -> None:
    group = telegram.group(auto=True, available_reactions=[])
    telegram.ask(telegram.server.photo(HAPPY, group))
    telegram.ask(telegram.server.photo(SAD, group))
    assert telegram.texts(group) == ["😄", "😢"]
    assert telegram.calls("setMessageReaction", group) <= 1


def test_a_reaction_that_is_refused_becomes_a_reply_and_the_rules_are_read_anew(telegram: TelegramBot) -> None:
    group = telegram.group(auto=True, available_reactions=["😁"])
    telegram.ask(telegram.server.photo(HAPPY, group))
    telegram.server.chat(group, available_reactions=["🤗"])
    (reply,) = telegram.ask(telegram.server.photo(HAPPY, group))
    assert reply.text == "😄"
    telegram.ask(telegram.server.photo(HAPPY, group))
    assert [reaction.emoji for reaction in telegram.reacted(group)] == ["😁", "🤗"]
    assert telegram.calls("getChat", group) == 2
    assert len(telegram.said(group)) == 1


def test_a_photo_that_was_deleted_meanwhile_gets_nothing(telegram: TelegramBot) -> None:
    group = telegram.group(auto=True)
    photo = telegram.server.photo(HAPPY, group)
    del telegram.server.messages[group, number_of(photo)]
    assert telegram.ask(photo) == []
    assert telegram.reacted(group) == []
