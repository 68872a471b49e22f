"""What Telegram's Bot API documents about the calls a bot makes: parameters, types and limits."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any, Protocol

Json = dict[str, Any]


def words(text: str) -> frozenset[str]:
    """The words of a text, as a set."""
    return frozenset(text.split())


REACTIONS = words(
    "👍 👎 ❤ 🔥 🥰 👏 😁 🤔 🤯 😱 🤬 😢 🎉 🤩 🤮 💩 🙏 👌 🕊 🤡 🥱 🥴 😍 🐳 "
    "❤‍🔥 🌚 🌭 💯 🤣 ⚡ 🍌 🏆 💔 🤨 😐 🍓 🍾 💋 🖕 😈 😴 😭 🤓 👻 👨‍💻 👀 🎃 🙈 "
    "😇 😨 🤝 ✍ 🤗 🫡 🎅 🎄 ☃ 💅 🤪 🗿 🆒 💘 🙉 🦄 😘 💊 🙊 😎 👾 🤷‍♂ 🤷 🤷‍♀ 😡"
)
UPDATE_KINDS = words(
    "message edited_message channel_post edited_channel_post business_connection business_message "
    "edited_business_message deleted_business_messages message_reaction message_reaction_count inline_query "
    "chosen_inline_result callback_query shipping_query pre_checkout_query purchased_paid_media poll poll_answer "
    "my_chat_member chat_member chat_join_request chat_boost removed_chat_boost managed_bot guest_message"
)
# Those a bot gets only where it names them.
UNASKED_KINDS = words("chat_member message_reaction message_reaction_count")
CHAT_ACTIONS = words(
    "typing upload_photo record_video upload_video record_voice upload_voice upload_document choose_sticker "
    "find_location record_video_note upload_video_note"
)
ENTITIES = words(
    "mention hashtag cashtag bot_command url email phone_number bold italic underline strikethrough spoiler blockquote "
    "expandable_blockquote code pre text_link text_mention custom_emoji date_time"
)
TAGS = words("b strong i em u ins s strike del span tg-spoiler a code pre blockquote tg-emoji")
HTML_NAMES = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}


@dataclass(frozen=True)
class Problem:
    """One breach of the documented shape, and the words Telegram answers it with where we know them."""

    where: str
    what: str
    answer: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


class Type(Protocol):
    """A documented type."""

    def read(self, text: str) -> Any:
        """The value that came as text in a form; the text itself where it is no such value."""

    def check(self, value: Any, where: str) -> Iterator[Problem]:
        """Everything that is wrong with a value."""


@dataclass(frozen=True)
class Integer:
    low: int | None = None
    high: int | None = None

    def read(self, text: str) -> Any:
        return int(text) if re.fullmatch(r"-?[0-9]{1,19}", text) else text

    def check(self, value: Any, where: str) -> Iterator[Problem]:
        if type(value) is not int:
            yield Problem(where, f"{value!r} is no Integer")
        elif (self.low is not None and value < self.low) or (self.high is not None and value > self.high):
            yield Problem(where, f"{value} is outside {self.low}..{self.high}")


@dataclass(frozen=True)
class Boolean:
    def read(self, text: str) -> Any:
        return {"true": True, "false": False}.get(text, text)

    def check(self, value: Any, where: str) -> Iterator[Problem]:
        if type(value) is not bool:
            yield Problem(where, f"{value!r} is no Boolean")


@dataclass(frozen=True)
class String:
    low: int = 0
    high: int | None = None
    pattern: str = ""
    one_of: frozenset[str] | None = None
    in_bytes: bool = False
    answer: str = ""

    def read(self, text: str) -> Any:
        return text

    def check(self, value: Any, where: str) -> Iterator[Problem]:
        if not isinstance(value, str):
            yield Problem(where, f"{value!r} is no String", self.answer)
            return
        length = len(value.encode()) if self.in_bytes else len(value)
        if length < self.low or (self.high is not None and length > self.high):
            yield Problem(where, f"{length} long, outside {self.low}..{self.high}", self.answer)
        if self.pattern and not re.fullmatch(self.pattern, value):
            yield Problem(where, f"{value!r} does not match {self.pattern}", self.answer)
        if self.one_of is not None and value not in self.one_of:
            yield Problem(where, f"{value!r} is not allowed", self.answer)


@dataclass(frozen=True)
class Either:
    """The first type that a value fits, or else the problems of the last."""

    types: tuple[Type, ...]

    def read(self, text: str) -> Any:
        values = (kind.read(text) for kind in self.types)
        return next((value for value in values if not isinstance(value, str)), text)

    def check(self, value: Any, where: str) -> Iterator[Problem]:
        problems: list[Problem] = []
        for kind in self.types:
            problems = list(kind.check(value, where))
            if not problems:
                return
        yield from problems


@dataclass(frozen=True)
class Array:
    of: Type
    most: int | None = None
    answer: str = ""

    def read(self, text: str) -> Any:
        return _from_json(text)

    def check(self, value: Any, where: str) -> Iterator[Problem]:
        if not isinstance(value, list):
            yield Problem(where, f"{value!r} is no Array")
            return
        if self.most is not None and len(value) > self.most:
            yield Problem(where, f"{len(value)} entries, more than {self.most}", self.answer)
        for index, entry in enumerate(value):
            yield from self.of.check(entry, f"{where}[{index}]")


Rule = Callable[[Json, str], Iterator[Problem]]


@dataclass(frozen=True)
class Shape:
    """An object of documented fields; a method's parameters are one, too. Nothing undocumented is allowed."""

    required: Mapping[str, Type] = field(default_factory=dict)
    optional: Mapping[str, Type] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()

    def read(self, text: str) -> Any:
        return _from_json(text)

    def type_of(self, name: str) -> Type | None:
        return self.required.get(name) or self.optional.get(name)

    def check(self, value: Any, where: str) -> Iterator[Problem]:
        if not isinstance(value, dict):
            yield Problem(where, f"{value!r} is no object")
            return
        sound = True
        for name in self.required:
            if name not in value:
                sound = False
                yield Problem(where, f"{name} is missing", f"{name} is empty")
        for name, entry in value.items():
            kind = self.type_of(name)
            if kind is None:
                yield Problem(where, f"{name} is not documented")
                continue
            for problem in kind.check(entry, f"{where}.{name}"):
                sound = False
                yield problem
        # Rules may rely on every field's type.
        if sound:
            for rule in self.rules:
                yield from rule(value, where)


@dataclass(frozen=True)
class OneOf:
    """Objects told apart by the value of one field."""

    key: str
    shapes: Mapping[str, Shape]

    def read(self, text: str) -> Any:
        return _from_json(text)

    def check(self, value: Any, where: str) -> Iterator[Problem]:
        shape = self.shapes.get(str(value.get(self.key))) if isinstance(value, dict) else None
        if shape is None:
            yield Problem(where, f"{value!r} has no known {self.key}")
        else:
            yield from shape.check(value, where)


def _from_json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


class _Html(HTMLParser):
    """Telegram's strict little HTML: known tags, closed in order, and four named entities."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.text: list[str] = []
        self.open: list[str] = []
        self.wrong = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in TAGS:
            self.wrong = self.wrong or f'unsupported start tag "{tag}"'
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong = self.wrong or f'unexpected end tag "{tag}"'

    def handle_data(self, data: str) -> None:
        if "<" in data:
            self.wrong = self.wrong or "unescaped <"
        self.text.append(data)

    def handle_entityref(self, name: str) -> None:
        if name in HTML_NAMES:
            self.text.append(HTML_NAMES[name])
        else:
            self.text.append(f"&{name}")

    def handle_charref(self, name: str) -> None:
        self.text.append(chr(int(name[1:], 16) if name[:1] in "xX" else int(name)))


def shown_text(text: str, parse_mode: str | None) -> tuple[str, str]:
    """The text people see and what is wrong with its markup."""
    if parse_mode is None:
        return text, ""
    if parse_mode != "HTML":
        return text, f"this server reads HTML only, not {parse_mode}"
    parser = _Html()
    parser.feed(text)
    parser.close()
    wrong = parser.wrong or (f'no end tag for "{parser.open[-1]}"' if parser.open else "")
    return "".join(parser.text), wrong


def _text_rule(value: Json, where: str) -> Iterator[Problem]:
    text, wrong = shown_text(value["text"], value.get("parse_mode"))
    if wrong:
        yield Problem(f"{where}.text", wrong, f"can't parse entities: {wrong}")
    elif not text.strip():
        yield Problem(f"{where}.text", "nothing to show", "message text is empty")
    elif len(text) > 4096:
        yield Problem(f"{where}.text", f"{len(text)} long, more than 4096", "message is too long")
    if "parse_mode" in value and "entities" in value:
        yield Problem(where, "parse_mode and entities exclude each other")
    units = len(text.encode("utf-16-le")) // 2
    for index, entity in enumerate(value.get("entities", [])):
        if entity["offset"] + entity["length"] > units:
            yield Problem(f"{where}.entities[{index}]", "ends behind the text", "ENTITY_BOUNDS_INVALID")


def _one_target(value: Json, where: str) -> Iterator[Problem]:
    chat = "chat_id" in value and "message_id" in value
    if chat == ("inline_message_id" in value):
        yield Problem(
            where, "needs chat_id and message_id or else inline_message_id", "message identifier is not specified"
        )


def _one_action(value: Json, where: str) -> Iterator[Problem]:
    actions = sorted(BUTTON_ACTIONS & value.keys())
    if len(actions) != 1:
        yield Problem(
            where, f"exactly one action is needed, not {actions}", "text buttons are unallowed in the inline keyboard"
        )


def _keyboard_is_full(value: Json, where: str) -> Iterator[Problem]:
    if any(not row for row in value["inline_keyboard"]):
        yield Problem(where, "an empty row of buttons")


def _quote_rule(value: Json, where: str) -> Iterator[Problem]:
    if "quote_parse_mode" in value and "quote_entities" in value:
        yield Problem(where, "quote_parse_mode and quote_entities exclude each other")


INTEGER, BOOLEAN, STRING = Integer(), Boolean(), String()
CHAT = Either((Integer(), String(pattern=r"@[A-Za-z0-9_]{4,32}")))
MESSAGE_ID = Integer(1)
LANGUAGE = String(pattern="([a-z]{2})?")
PARSE_MODE = String(one_of=frozenset({"HTML", "MarkdownV2", "Markdown"}))
URL = String(1, pattern=r"[a-z]+://\S+")

USER = Shape(
    {"id": INTEGER, "is_bot": BOOLEAN, "first_name": STRING},
    {"last_name": STRING, "username": STRING, "language_code": STRING, "is_premium": BOOLEAN},
)
ENTITY = Shape(
    {"type": String(one_of=ENTITIES), "offset": Integer(0), "length": Integer(1)},
    {
        "url": STRING,
        "user": USER,
        "language": STRING,
        "custom_emoji_id": STRING,
        "unix_time": INTEGER,
        "date_time_format": STRING,
    },
)
LINK_PREVIEW = Shape(
    optional={
        "is_disabled": BOOLEAN,
        "url": STRING,
        "prefer_small_media": BOOLEAN,
        "prefer_large_media": BOOLEAN,
        "show_above_text": BOOLEAN,
    }
)
REPLY_PARAMETERS = Shape(
    {"message_id": MESSAGE_ID},
    {
        "chat_id": CHAT,
        "allow_sending_without_reply": BOOLEAN,
        "quote": String(0, 1024),
        "quote_parse_mode": PARSE_MODE,
        "quote_entities": Array(ENTITY),
        "quote_position": Integer(0),
        "checklist_task_id": INTEGER,
        "poll_option_id": STRING,
    },
    (_quote_rule,),
)
BUTTON_STYLE: dict[str, Type] = {
    "style": String(one_of=frozenset({"danger", "success", "primary"})),
    "icon_custom_emoji_id": STRING,
}
_BUTTON_ACTIONS: dict[str, Type] = {
    "url": URL,
    "callback_data": String(1, 64, in_bytes=True, answer="BUTTON_DATA_INVALID"),
    "web_app": Shape({"url": URL}),
    "login_url": Shape({"url": URL}, {"forward_text": STRING, "bot_username": STRING, "request_write_access": BOOLEAN}),
    "switch_inline_query": STRING,
    "switch_inline_query_current_chat": STRING,
    "switch_inline_query_chosen_chat": Shape(
        optional={
            "query": STRING,
            "allow_user_chats": BOOLEAN,
            "allow_bot_chats": BOOLEAN,
            "allow_group_chats": BOOLEAN,
            "allow_channel_chats": BOOLEAN,
        }
    ),
    "copy_text": Shape({"text": String(1, 256)}),
    "callback_game": Shape(),
    "pay": BOOLEAN,
}
BUTTON_ACTIONS = _BUTTON_ACTIONS.keys()
BUTTON = Shape({"text": String(1)}, {**_BUTTON_ACTIONS, **BUTTON_STYLE}, (_one_action,))
INLINE_KEYBOARD = Shape({"inline_keyboard": Array(Array(BUTTON, 8), 100)}, rules=(_keyboard_is_full,))
REPLY_BUTTON = Shape({"text": String(1)}, {"request_contact": BOOLEAN, "request_location": BOOLEAN, **BUTTON_STYLE})
REPLY_MARKUP = Either(
    (
        Shape(
            {"keyboard": Array(Array(Either((STRING, REPLY_BUTTON))))},
            {
                "is_persistent": BOOLEAN,
                "resize_keyboard": BOOLEAN,
                "one_time_keyboard": BOOLEAN,
                "input_field_placeholder": String(1, 64),
                "selective": BOOLEAN,
            },
        ),
        Shape({"remove_keyboard": BOOLEAN}, {"selective": BOOLEAN}),
        Shape({"force_reply": BOOLEAN}, {"input_field_placeholder": String(1, 64), "selective": BOOLEAN}),
        INLINE_KEYBOARD,
    )
)
# "paid" is documented, and documented as closed to bots.
REACTION = OneOf(
    "type",
    {
        "emoji": Shape({"type": STRING, "emoji": String(one_of=REACTIONS, answer="REACTION_INVALID")}),
        "custom_emoji": Shape({"type": STRING, "custom_emoji_id": String(pattern="[0-9]+", answer="REACTION_INVALID")}),
    },
)
COMMAND = Shape(
    {
        "command": String(pattern="[a-z0-9_]{1,32}", answer="BOT_COMMAND_INVALID"),
        "description": String(1, 256, answer="BOT_COMMAND_DESCRIPTION_INVALID"),
    }
)
_SCOPE: dict[str, Type] = {"type": STRING}
SCOPE = OneOf(
    "type",
    {
        "default": Shape(_SCOPE),
        "all_private_chats": Shape(_SCOPE),
        "all_group_chats": Shape(_SCOPE),
        "all_chat_administrators": Shape(_SCOPE),
        "chat": Shape({**_SCOPE, "chat_id": CHAT}),
        "chat_administrators": Shape({**_SCOPE, "chat_id": CHAT}),
        "chat_member": Shape({**_SCOPE, "chat_id": CHAT, "user_id": INTEGER}),
    },
)
ALLOWED_UPDATES = Array(String(one_of=UPDATE_KINDS))
_TARGET: dict[str, Type] = {"chat_id": CHAT, "message_id": MESSAGE_ID, "inline_message_id": STRING}

METHODS: dict[str, Shape] = {
    "getMe": Shape(),
    "getUpdates": Shape(
        optional={
            "offset": INTEGER,
            "limit": Integer(1, 100),
            "timeout": Integer(0),
            "allowed_updates": ALLOWED_UPDATES,
        }
    ),
    "setWebhook": Shape(
        {"url": STRING},
        {
            # An upload; its content stays unread.
            "certificate": STRING,
            "ip_address": STRING,
            "max_connections": Integer(1, 100),
            "allowed_updates": ALLOWED_UPDATES,
            "drop_pending_updates": BOOLEAN,
            "secret_token": String(pattern="[A-Za-z0-9_-]{1,256}", answer="secret token contains unallowed characters"),
        },
    ),
    "deleteWebhook": Shape(optional={"drop_pending_updates": BOOLEAN}),
    "getWebhookInfo": Shape(),
    "setMyCommands": Shape({"commands": Array(COMMAND, 100)}, {"scope": SCOPE, "language_code": LANGUAGE}),
    "getMyCommands": Shape(optional={"scope": SCOPE, "language_code": LANGUAGE}),
    "setMyDescription": Shape(optional={"description": String(0, 512), "language_code": LANGUAGE}),
    "setMyShortDescription": Shape(optional={"short_description": String(0, 120), "language_code": LANGUAGE}),
    "getFile": Shape({"file_id": String(1)}),
    "sendMessage": Shape(
        {"chat_id": CHAT, "text": STRING},
        {
            "business_connection_id": STRING,
            "message_thread_id": Integer(1),
            "direct_messages_topic_id": INTEGER,
            "parse_mode": PARSE_MODE,
            "entities": Array(ENTITY),
            "link_preview_options": LINK_PREVIEW,
            "disable_notification": BOOLEAN,
            "protect_content": BOOLEAN,
            "allow_paid_broadcast": BOOLEAN,
            "message_effect_id": STRING,
            "reply_parameters": REPLY_PARAMETERS,
            "reply_markup": REPLY_MARKUP,
        },
        (_text_rule,),
    ),
    "sendPhoto": Shape(
        # An upload, or the file_id or address of a photo.
        {"chat_id": CHAT, "photo": STRING},
        {
            "business_connection_id": STRING,
            "message_thread_id": Integer(1),
            "direct_messages_topic_id": INTEGER,
            "caption": String(0, 1024, answer="message caption is too long"),
            "parse_mode": PARSE_MODE,
            "caption_entities": Array(ENTITY),
            "show_caption_above_media": BOOLEAN,
            "has_spoiler": BOOLEAN,
            "disable_notification": BOOLEAN,
            "protect_content": BOOLEAN,
            "allow_paid_broadcast": BOOLEAN,
            "message_effect_id": STRING,
            "reply_parameters": REPLY_PARAMETERS,
            "reply_markup": REPLY_MARKUP,
        },
    ),
    "setMessageReaction": Shape(
        {"chat_id": CHAT, "message_id": MESSAGE_ID},
        {"reaction": Array(REACTION, 1, "REACTIONS_TOO_MANY"), "is_big": BOOLEAN},
    ),
    "sendChatAction": Shape(
        {
            "chat_id": CHAT,
            "action": String(one_of=CHAT_ACTIONS, answer="wrong parameter action in request"),
        },
        {"business_connection_id": STRING, "message_thread_id": Integer(1)},
    ),
    "answerCallbackQuery": Shape(
        {"callback_query_id": String(1)},
        {
            "text": String(0, 200, answer="MESSAGE_TOO_LONG"),
            "show_alert": BOOLEAN,
            "url": STRING,
            "cache_time": Integer(0),
        },
    ),
    "editMessageReplyMarkup": Shape(
        optional={**_TARGET, "business_connection_id": STRING, "reply_markup": INLINE_KEYBOARD}, rules=(_one_target,)
    ),
    "editMessageText": Shape(
        {"text": STRING},
        {
            **_TARGET,
            "business_connection_id": STRING,
            "parse_mode": PARSE_MODE,
            "entities": Array(ENTITY),
            "link_preview_options": LINK_PREVIEW,
            "reply_markup": INLINE_KEYBOARD,
        },
        (_one_target, _text_rule),
    ),
    "deleteMessage": Shape({"chat_id": CHAT, "message_id": MESSAGE_ID}),
    "getChat": Shape({"chat_id": CHAT}),
    "getChatMember": Shape({"chat_id": CHAT, "user_id": INTEGER}),
    "getChatAdministrators": Shape({"chat_id": CHAT}, {"return_bots": BOOLEAN}),
    "leaveChat": Shape({"chat_id": CHAT}),
}


def read_parameters(method: str, raw: Mapping[str, Any]) -> Json:
    """Parameters with their types: a form brings everything as text, nested objects as JSON."""
    shape = METHODS[method]
    values: Json = {}
    for name, value in raw.items():
        kind = shape.type_of(name)
        values[name] = kind.read(value) if kind is not None and isinstance(value, str) else value
    return values


def problems_of(method: str, parameters: Json) -> list[Problem]:
    """Everything in a call that the documentation does not allow."""
    return list(METHODS[method].check(parameters, method))
