"""Chats, people, files and messages on the small Telegram server of the tests, and the updates that they make."""

from __future__ import annotations

import io
import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from PIL import Image, ImageOps, UnidentifiedImageError

from tests.bot.telegram_shapes import Json, words

BOT_ID = 8000000001
# Made only for the tests; it has the length of a real one.
TOKEN = f"{BOT_ID}:AA{'test' * 9}"[: 11 + 35]
ADA = 1001
RENDITIONS = (90, 320, 800, 1280)
ANONYMOUS_ADMIN = {"id": 1087968824, "is_bot": True, "first_name": "Group", "username": "GroupAnonymousBot"}
CHANNEL_BOT = {"id": 136817688, "is_bot": True, "first_name": "Channel", "username": "Channel_Bot"}
TELEGRAM = {"id": 777000, "is_bot": False, "first_name": "Telegram"}
ENTITY_PATTERN = re.compile(r"(?<![\w/@])(?:(?P<bot_command>/\w{1,32}(?:@\w+)?)|(?P<mention>@\w{4,32})\b)")
CONTENT = words(
    "text entities caption caption_entities photo document sticker animation video video_note voice location "
    "has_media_spoiler"
)

ChatType = Literal["private", "group", "supergroup", "channel"]
Keep = Literal["keep"]


@dataclass
class Chat:
    """A chat as the server knows it. `available_reactions` of None allows all; `members` holds a status per user."""

    id: int
    type: ChatType
    title: str = ""
    first_name: str = "Ada"
    username: str = ""
    is_forum: bool = False
    available_reactions: list[str] | None = None
    members: dict[int, Json] = field(default_factory=dict)
    topics: dict[int, Json] = field(default_factory=dict)
    migrated_to: int | None = None

    def shape(self) -> Json:
        """As it stands in a message."""
        shape: Json = {"id": self.id, "type": self.type}
        shape |= {"first_name": self.first_name} if self.type == "private" else {"title": self.title}
        if self.username:
            shape["username"] = self.username
        if self.is_forum:
            shape["is_forum"] = True
        return shape


@dataclass(frozen=True)
class StoredFile:
    file_id: str
    file_unique_id: str
    path: str
    data: bytes
    size: int


def person(user_id: int = ADA, first_name: str = "Ada", language_code: str | None = "en", **more: Any) -> Json:
    """A User, and a bot with `is_bot=True`."""
    user: Json = {"id": user_id, "is_bot": False, "first_name": first_name, **more}
    if language_code and not user["is_bot"]:
        user["language_code"] = language_code
    return user


def entities_of(text: str) -> list[Json]:
    """Commands and mentions, counted in UTF-16 units as Telegram does."""

    def units(part: str) -> int:
        return len(part.encode("utf-16-le")) // 2

    return [
        {"type": match.lastgroup, "offset": units(text[: match.start()]), "length": units(match.group())}
        for match in ENTITY_PATTERN.finditer(text)
    ]


def content_of(update: Json) -> Json:
    """The message in an update, or the message itself."""
    kinds = ("message", "edited_message", "channel_post", "edited_channel_post")
    return next((cast("Json", update[kind]) for kind in kinds if kind in update), update)


def renditions(data: bytes) -> list[tuple[int, int, bytes]]:
    """Width, height and bytes: smaller JPEGs as Telegram makes them, then the given bytes. No picture: those alone."""
    try:
        with Image.open(io.BytesIO(data)) as opened:
            picture = ImageOps.exif_transpose(opened).convert("RGB")
    except (UnidentifiedImageError, OSError):
        return [(1280, 960, data)]
    made: list[tuple[int, int, bytes]] = []
    for side in RENDITIONS:
        if side < max(picture.size):
            small = picture.copy()
            small.thumbnail((side, side))
            file = io.BytesIO()
            small.save(file, "JPEG", quality=85)
            made.append((*small.size, file.getvalue()))
    return [*made, (*picture.size, data)]


class World:
    """Builders return updates without their id; pushing one gives it that. Every method is safe in any thread."""

    def __init__(self, bot_username: str = "face2emoji_test_bot", can_read_all_group_messages: bool = False) -> None:
        self.lock = threading.RLock()
        self.bot: Json = {"id": BOT_ID, "is_bot": True, "first_name": "Face2Emoji", "username": bot_username}
        self.can_read_all_group_messages = can_read_all_group_messages
        self.chats: dict[int, Chat] = {}
        self.users: dict[int, Json] = {BOT_ID: self.bot}
        self.files: dict[str, StoredFile] = {}
        self.paths: dict[str, StoredFile] = {}
        self.messages: dict[tuple[int, int], Json] = {}
        self.open_queries: set[str] = set()
        self._last_message: dict[int, int] = {}
        self._numbers = 0
        self._made: dict[bytes, list[tuple[int, int, bytes]]] = {}

    # Chats

    def chat(
        self,
        chat_id: int,
        type: ChatType | None = None,  # noqa: A002
        *,
        title: str | None = None,
        username: str | None = None,
        is_forum: bool | None = None,
        available_reactions: Sequence[str] | Keep | None = "keep",
        members: Mapping[int, str | Json] | None = None,
    ) -> Chat:
        """Make a chat, or change what is given of one. Without a type the id decides it, as Telegram's ids do."""
        with self.lock:
            chat = self.chats.get(chat_id)
            if chat is None:
                guess: ChatType = "private" if chat_id > 0 else "supergroup" if chat_id < -(10**12) else "group"
                chat = self.chats[chat_id] = Chat(chat_id, type or guess)
                chat.title = "" if chat.type == "private" else "Faces"
            chat.type = type or chat.type
            chat.title = chat.title if title is None else title
            chat.username = chat.username if username is None else username
            chat.is_forum = chat.is_forum if is_forum is None else is_forum
            if available_reactions != "keep":
                chat.available_reactions = None if available_reactions is None else list(available_reactions)
            for user_id, status in (members or {}).items():
                # JSON has no integer keys.
                chat.members[int(user_id)] = {"status": status} if isinstance(status, str) else dict(status)
            return chat

    def topic(self, chat_id: int, name: str = "Selfies") -> int:
        """Open a topic in a forum; its number is its thread."""
        with self.lock:
            chat = self.chat(chat_id, is_forum=True)
            update = self.message(chat_id, forum_topic_created={"name": name, "icon_color": 7322096})
            root = content_of(update)
            thread = int(root["message_id"])
            root |= {"message_thread_id": thread, "is_topic_message": True}
            chat.topics[thread] = root
            return thread

    # Files

    def add_file(
        self, data: bytes, name: str = "file.bin", mime: str = "application/octet-stream", size: int | None = None
    ) -> Json:
        """A file to send about; `size` lets it claim to be larger than it is."""
        stored = self._store(data, f"documents/{name}", size)
        return {
            "file_id": stored.file_id,
            "file_unique_id": stored.file_unique_id,
            "file_size": stored.size,
            "file_name": name,
            "mime_type": mime,
        }

    def add_photo(self, data: bytes, size: int | None = None) -> list[Json]:
        """The sizes of a photo, smallest first; the last has the given bytes. The same bytes are a new photo."""
        with self.lock:
            if data not in self._made:
                self._made[data] = renditions(data)
            made = self._made[data]
            return [
                self._size(width, height, content, "photos", size if content is data else None)
                for width, height, content in made
            ]

    def _size(self, width: int, height: int, data: bytes, folder: str, size: int | None = None) -> Json:
        stored = self._store(data, f"{folder}/file.jpg", size)
        return {
            "file_id": stored.file_id,
            "file_unique_id": stored.file_unique_id,
            "file_size": stored.size,
            "width": width,
            "height": height,
        }

    def _thumbnail(self, data: bytes) -> Json:
        width, height, content = next((made for made in renditions(data) if max(made[:2]) >= 320), (320, 320, data))
        return self._size(width, height, content, "thumbnails")

    def _store(self, data: bytes, path: str, size: int | None = None) -> StoredFile:
        with self.lock:
            number = self._number()
            stem, _, ending = path.rpartition(".")
            stored = StoredFile(
                f"AgACAgQAAxkBAAIB{number:06d}{'x' * 40}",
                f"AQAD{number:06d}ABAAE",
                f"{stem}_{number}.{ending}",
                data,
                len(data) if size is None else size,
            )
            self.files[stored.file_id] = stored
            self.paths[stored.path] = stored
            return stored

    # Messages

    def message(
        self,
        chat: int | None = None,
        user: Json | int | None = None,
        *,
        text: str | None = None,
        caption: str | None = None,
        thread: int | None = None,
        reply_to: Json | int | None = None,
        anonymous: bool = False,
        sender_chat: int | None = None,
        **fields: Any,
    ) -> Json:
        """Any message; in a channel it is a channel post. Commands and mentions get their entities."""
        with self.lock:
            if isinstance(user, dict):
                sender = user
            else:
                sender = person(user or (chat if chat is not None and chat > 0 else ADA))
            place = self.chat(sender["id"] if chat is None else chat)
            message: Json = {"message_id": self._next_message(place)}
            if place.type == "channel":
                message["sender_chat"] = place.shape()
            elif anonymous:
                message |= {"from": ANONYMOUS_ADMIN, "sender_chat": place.shape()}
            elif sender_chat is not None:
                message |= {"from": CHANNEL_BOT, "sender_chat": self.chat(sender_chat, "channel").shape()}
            else:
                message["from"] = sender
                self.users[sender["id"]] = sender
                place.members.setdefault(sender["id"], {"status": "member"})
                if sender["id"] == place.id:
                    place.first_name = sender["first_name"]
            message |= {"chat": place.shape(), "date": int(time.time())}
            if thread is not None:
                message |= {"message_thread_id": thread, "is_topic_message": True}
                # In a topic, what answers nobody answers the message that opened it.
                if thread in place.topics:
                    message["reply_to_message"] = place.topics[thread]
            if reply_to is not None:
                replied = self.messages[place.id, reply_to] if isinstance(reply_to, int) else content_of(reply_to)
                message["reply_to_message"] = {
                    name: value for name, value in replied.items() if name != "reply_to_message"
                }
            for name, said, entities in (("text", text, "entities"), ("caption", caption, "caption_entities")):
                if said is not None:
                    message[name] = said
                    if found := entities_of(said):
                        message[entities] = found
            message |= fields
            self.messages[place.id, message["message_id"]] = message
            return {"channel_post" if place.type == "channel" else "message": message}

    def text(self, text: str, chat: int | None = None, user: Json | int | None = None, **fields: Any) -> Json:
        """Words, commands among them: `text("/emoji", reply_to=update)`."""
        return self.message(chat, user, text=text, **fields)

    def photo(
        self,
        photo: bytes | list[Json],
        chat: int | None = None,
        user: Json | int | None = None,
        *,
        spoiler: bool = False,
        **fields: Any,
    ) -> Json:
        """A photo, given as bytes or as sizes that `add_photo` made."""
        if spoiler:
            fields["has_media_spoiler"] = True
        return self.message(chat, user, photo=self._sizes(photo), **fields)

    def album(
        self,
        photos: Sequence[bytes | list[Json]],
        chat: int | None = None,
        user: Json | int | None = None,
        *,
        caption: str | None = None,
        captioned: int = 0,
        **fields: Any,
    ) -> list[Json]:
        """One update per photo; the caption is on the first of them, or on the one with this index."""
        fields["media_group_id"] = str(13 * 10**15 + self._number())
        return [
            self.photo(photo, chat, user, caption=caption if index == captioned else None, **fields)
            for index, photo in enumerate(photos)
        ]

    def document(
        self,
        data: bytes,
        chat: int | None = None,
        user: Json | int | None = None,
        *,
        name: str = "photo.jpg",
        mime: str = "image/jpeg",
        size: int | None = None,
        thumbnail: bytes | None = None,
        **fields: Any,
    ) -> Json:
        document = self.add_file(data, name, mime, size) | self._with_thumbnail(thumbnail)
        return self.message(chat, user, document=document, **fields)

    def sticker(
        self,
        data: bytes,
        chat: int | None = None,
        user: Json | int | None = None,
        *,
        kind: Literal["static", "animated", "video"] = "static",
        thumbnail: bytes | None = None,
        **fields: Any,
    ) -> Json:
        ending = {"static": "webp", "animated": "tgs", "video": "webm"}[kind]
        stored = self._store(data, f"stickers/file.{ending}")
        sticker: Json = {
            "file_id": stored.file_id,
            "file_unique_id": stored.file_unique_id,
            "file_size": stored.size,
            "type": "regular",
            "width": 512,
            "height": 512,
            "is_animated": kind == "animated",
            "is_video": kind == "video",
            "emoji": "🙂",
            "set_name": "faces",
        }
        return self.message(chat, user, sticker=sticker | self._with_thumbnail(thumbnail), **fields)

    def animation(
        self,
        thumbnail: bytes | None = None,
        chat: int | None = None,
        user: Json | int | None = None,
        *,
        data: bytes = b"mp4",
        **fields: Any,
    ) -> Json:
        """A GIF, which Telegram stores as a silent video; its message has the same file as a document, too."""
        document = self.add_file(data, "smile.gif.mp4", "video/mp4") | self._with_thumbnail(thumbnail)
        animation = document | {"width": 320, "height": 240, "duration": 2}
        return self.message(chat, user, animation=animation, document=document, **fields)

    def video(
        self,
        thumbnail: bytes | None = None,
        chat: int | None = None,
        user: Json | int | None = None,
        *,
        data: bytes = b"mp4",
        size: int | None = None,
        **fields: Any,
    ) -> Json:
        video = self.add_file(data, "video.mp4", "video/mp4", size) | self._with_thumbnail(thumbnail)
        return self.message(chat, user, video=video | {"width": 1280, "height": 720, "duration": 9}, **fields)

    def video_note(
        self,
        thumbnail: bytes | None = None,
        chat: int | None = None,
        user: Json | int | None = None,
        *,
        data: bytes = b"mp4",
        **fields: Any,
    ) -> Json:
        stored = self._store(data, "video_notes/file.mp4")
        note: Json = {
            "file_id": stored.file_id,
            "file_unique_id": stored.file_unique_id,
            "file_size": stored.size,
            "length": 384,
            "duration": 5,
        }
        return self.message(chat, user, video_note=note | self._with_thumbnail(thumbnail), **fields)

    def voice(self, chat: int | None = None, user: Json | int | None = None, **fields: Any) -> Json:
        stored = self._store(b"ogg", "voice/file.oga")
        voice: Json = {
            "file_id": stored.file_id,
            "file_unique_id": stored.file_unique_id,
            "file_size": stored.size,
            "duration": 3,
            "mime_type": "audio/ogg",
        }
        return self.message(chat, user, voice=voice, **fields)

    def location(self, chat: int | None = None, user: Json | int | None = None, **fields: Any) -> Json:
        return self.message(chat, user, location={"latitude": 52.52, "longitude": 13.4}, **fields)

    def edited(self, update: Json, **changes: Any) -> Json:
        """The update that says a message was changed."""
        with self.lock:
            message = content_of(update) | {"edit_date": int(time.time())} | changes
            for name, entities in (("text", "entities"), ("caption", "caption_entities")):
                if name in changes:
                    message[entities] = entities_of(changes[name])
            self.messages[message["chat"]["id"], message["message_id"]] = message
            kind = "edited_channel_post" if message["chat"]["type"] == "channel" else "edited_message"
            return {kind: message}

    def forward(
        self,
        update: Json,
        chat: int | None = None,
        user: Json | int | None = None,
        **fields: Any,
    ) -> Json:
        """Somebody forwards a message: an update, or one of `messages`."""
        message = content_of(update)
        origin: Json = {"date": message["date"]}
        if message["chat"]["type"] == "channel":
            origin |= {"type": "channel", "chat": message["chat"], "message_id": message["message_id"]}
        else:
            origin |= {"type": "user", "sender_user": message["from"]}
        content = {name: message[name] for name in CONTENT if name in message}
        return self.message(chat, user, **content, forward_origin=origin, **fields)

    def automatic_forward(self, post: Json, chat: int, **fields: Any) -> Json:
        """A channel's post appears in the group that discusses it."""
        update = self.forward(post, chat, is_automatic_forward=True, **fields)
        update["message"] |= {"from": TELEGRAM, "sender_chat": content_of(post)["chat"]}
        return update

    def press(
        self,
        message: Json | Sequence[int],
        data: str,
        user: Json | int | None = None,
        *,
        inaccessible: bool = False,
    ) -> Json:
        """Somebody presses a button under a message, which may have become too old to be shown."""
        with self.lock:
            held = content_of(message) if isinstance(message, Mapping) else self.messages[message[0], message[1]]
            chat = held["chat"]
            sender = user if isinstance(user, dict) else person(user or (chat["id"] if chat["id"] > 0 else ADA))
            query = str(4 * 10**18 + self._number())
            self.open_queries.add(query)
            if inaccessible:
                held = {"chat": chat, "message_id": held["message_id"], "date": 0}
            return {
                "callback_query": {
                    "id": query,
                    "from": sender,
                    "message": held,
                    "chat_instance": str(chat["id"] * 7919),
                    "data": data,
                }
            }

    def migrate(self, chat: int, to: int) -> Json:
        """A group becomes a supergroup; from then on its old id is answered with the new one."""
        with self.lock:
            update = self.message(chat, migrate_to_chat_id=to)
            self.chat(to, "supergroup", members=dict(self.chat(chat).members))
            self.chat(chat).migrated_to = to
            return update

    def my_chat_member(
        self, chat: int, status: str = "member", *, old: str = "left", user: Json | int | None = None
    ) -> Json:
        """Somebody adds, promotes, blocks or removes the bot."""
        with self.lock:
            place = self.chat(chat, members={BOT_ID: status})
            sender = user if isinstance(user, dict) else person(user or ADA)
            return {
                "my_chat_member": {
                    "chat": place.shape(),
                    "from": sender,
                    "date": int(time.time()),
                    "old_chat_member": member(self.bot, {"status": old}),
                    "new_chat_member": member(self.bot, {"status": status}),
                }
            }

    def _next_message(self, chat: Chat) -> int:
        # Supergroups and channels count for themselves, so that two chats hold the same number.
        key = chat.id if chat.type in ("supergroup", "channel") else 0
        self._last_message[key] = self._last_message.get(key, 0) + 1
        return self._last_message[key]

    def _number(self) -> int:
        with self.lock:
            self._numbers += 1
            return self._numbers

    def _sizes(self, photo: bytes | list[Json]) -> list[Json]:
        return self.add_photo(photo) if isinstance(photo, bytes) else photo

    def _with_thumbnail(self, thumbnail: bytes | None) -> Json:
        return {} if thumbnail is None else {"thumbnail": self._thumbnail(thumbnail)}


RIGHTS = words(
    "can_manage_chat can_delete_messages can_manage_video_chats can_restrict_members can_promote_members "
    "can_change_info can_invite_users can_post_stories can_edit_stories can_delete_stories can_pin_messages"
)
PERMISSIONS = words(
    "can_change_info can_invite_users can_pin_messages can_send_messages can_send_polls can_send_other_messages "
    "can_add_web_page_previews can_manage_topics can_send_audios can_send_documents can_send_photos can_send_videos "
    "can_send_video_notes can_send_voice_notes can_edit_tag can_react_to_messages"
)


def member(user: Json, held: Json) -> Json:
    """A ChatMember with everything its status requires; `held` has the status and what differs."""
    status = held["status"]
    shape: Json = {"user": user, "status": status}
    if status in ("creator", "administrator"):
        shape["is_anonymous"] = False
    if status == "administrator":
        shape |= {"can_be_edited": False, **dict.fromkeys(RIGHTS, True)}
    if status == "restricted":
        shape |= {"is_member": True, **dict.fromkeys(PERMISSIONS, True)}
    if status in ("restricted", "kicked"):
        shape["until_date"] = 0
    return shape | held


def administrators(chat: Chat) -> Iterator[tuple[int, Json]]:
    return ((user, held) for user, held in chat.members.items() if held["status"] in ("creator", "administrator"))
