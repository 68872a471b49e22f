"""Telegram's commands and buttons: what people say to the bot beside photos."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import structlog
from sqlalchemy.exc import SQLAlchemyError
from telegram import (
    BotCommand,
    CallbackQuery,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    Message,
    MessageEntity,
    ReplyParameters,
    User,
)
from telegram.constants import ChatMemberStatus, ChatType
from telegram.error import BadRequest, NetworkError, TelegramError
from telegram.ext import ExtBot

from bot import answers
from bot.answers import Button, Press, Rows
from bot.jobs import Jobs
from bot.photo_service import PhotoService
from bot.phrases import COMMANDS, LANGUAGES, Phrases, phrases
from bot.store import Chat, Store
from inference import EmojiMap

log = structlog.get_logger(__name__)

PLATFORM = "telegram"
# Replies that may wait for their turn in one chat. What a command changes is changed at once; the words can be spared.
MOST_REPLIES = 20
# Seconds between the tries to bring a command's answer to Telegram.
REPLY_PAUSES = (0.5, 1, 2, 4)
# Behind a button's data, of which there are at most 56 bytes; Telegram takes 64.
SEAL_LENGTH = 8
# The longest names of languages have so many letters (RFC 5646, 4.4.1).
MOST_LANGUAGE = 35
ADMINS = (ChatMemberStatus.OWNER, ChatMemberStatus.ADMINISTRATOR)


@dataclass(frozen=True, slots=True)
class Command:
    """One of `bot.phrases.COMMANDS` and the words behind it."""

    name: str
    words: tuple[str, ...]


class Commands:
    """Carries out commands and presses of buttons.

    Args:
        bot: the connected bot.
        jobs: forgets.
        store: chats' settings and feedback counts.
        emoji_map: the map that chats may change for themselves.
        service: knows the version of the weights.
        retention: seconds for which a finished job is remembered.
    """

    def __init__(
        self,
        bot: ExtBot[int],
        jobs: Jobs,
        store: Store,
        emoji_map: EmojiMap,
        service: PhotoService,
        *,
        retention: float,
    ) -> None:
        self._bot = bot
        self._jobs = jobs
        self._store = store
        self._emoji_map = emoji_map
        self._service = service
        self._retention = retention
        self._key = hmac.new(bot.token.encode(), b"face2emoji buttons", hashlib.sha256).digest()
        self._waiting_replies: Counter[int] = Counter()
        self._actions: dict[str, Callable[[Command, Message, Phrases], Awaitable[str]]] = {
            "start": self._start,
            "help": self._help,
            "auto": self._auto,
            "map": self._map,
            "privacy": self._privacy,
            "forget": self._forget,
            "status": self._status,
        }

    async def announce(self) -> None:
        """Put the commands into Telegram's menu, in every language."""
        for code, language in {"": phrases(None), **LANGUAGES}.items():
            menu = [BotCommand(name, line) for name, line in language.commands.items()]
            await self._bot.set_my_commands(menu, language_code=code or None)

    def parse(self, message: Message) -> Command | None:
        """Return the command a message begins with, unless it is another bot's or nobody's."""
        text, entities = message.text or message.caption or "", message.entities or message.caption_entities
        first = entities[0] if entities else None
        if first is None or first.type != MessageEntity.BOT_COMMAND or first.offset != 0:
            return None
        name, _, addressee = text[1 : first.length].lower().partition("@")
        if name not in COMMANDS or addressee not in ("", self._bot.username.lower()):
            return None
        return Command(name, tuple(text[first.length :].split()))

    async def run(self, command: Command, message: Message) -> None:
        """Carry out any command but /emoji and /mask, whose answers are jobs'."""
        language = _language(message)
        try:
            text = await self._actions[command.name](command, message, language)
        except TelegramError:
            raise
        except Exception as error:
            log.error("command_failed", command=command.name, kind=type(error).__name__)
            text = language.failed
        await self._reply(message, text)

    async def explain(self, message: Message) -> None:
        """Answer what is no photo, in a private chat."""
        language = _language(message)
        await self._reply(message, language.animated_sticker if message.sticker else language.not_a_photo)

    async def explain_photo(self, message: Message, *, masks: bool) -> None:
        """Answer /emoji, or /mask, that points at nothing."""
        language = _language(message)
        await self._reply(message, language.mask_needs_photo if masks else language.emoji_needs_photo)

    async def press(self, query: CallbackQuery) -> None:
        """Count feedback, or ask on. The press that removes the last buttons is the one counted."""
        language = phrases(language_of(query.from_user))
        message = query.message
        # Of an old message Telegram does not tell any more what it shows.
        is_told = isinstance(message, Message) and message.is_accessible
        markup = message.reply_markup if isinstance(message, Message) else None
        shown = {button.callback_data for row in (markup.inline_keyboard if markup else ()) for button in row}
        try:
            press = answers.press(self._pressed(query, is_shown=is_told and query.data in shown), language)
            notice = press.notice
            if message is None or (is_told and query.data not in shown):
                notice = language.already_counted  # pressed on a screen that is behind
            else:
                await self._bot.edit_message_reply_markup(
                    message.chat.id, message.message_id, reply_markup=self.keyboard(message.chat.id, press.rows)
                )
                if press.counts and not await self._is_counted(press):
                    notice = language.failed
                    if markup:  # back to where it can be pressed again
                        await self._bot.edit_message_reply_markup(
                            message.chat.id, message.message_id, reply_markup=markup
                        )
                        notice = language.not_counted
        except ValueError:  # forged, or of a release long ago
            notice = language.failed
        except TelegramError as error:
            notice = language.already_counted if "not modified" in error.message else language.failed
        await self._bot.answer_callback_query(query.id, notice)

    async def _is_counted(self, press: Press) -> bool:
        try:
            await self._store.count(press.counts, press.model)
        except SQLAlchemyError as error:
            log.warning("feedback_not_counted", kind=type(error).__name__)
            return False
        return True

    def keyboard(self, chat: int | str, rows: Rows) -> InlineKeyboardMarkup | None:
        """Return Telegram's form of some rows of buttons, which work in this chat only."""
        if not rows:
            return None

        def made(button: Button) -> InlineKeyboardButton:
            return InlineKeyboardButton(button.label, callback_data=button.data + self._seal(chat, button.data))

        return InlineKeyboardMarkup([[made(button) for button in row] for row in rows])

    def _pressed(self, query: CallbackQuery, *, is_shown: bool) -> str:
        """Return the data of the button; a program other than Telegram's may send any.

        Raises:
            ValueError: we made no such button in this chat.
        """
        data = query.data or ""
        plain, seal = data[:-SEAL_LENGTH], data[-SEAL_LENGTH:]
        if query.message and hmac.compare_digest(seal.encode(), self._seal(query.message.chat.id, plain).encode()):
            return plain
        if is_shown:  # of a release that did not seal them
            return data
        raise ValueError("forged")

    def _seal(self, chat: int | str, data: str) -> str:
        digest = hmac.new(self._key, f"{chat}:{data}".encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest)[:SEAL_LENGTH].decode()

    async def _start(self, _command: Command, _message: Message, language: Phrases) -> str:
        return language.start.format(bot=self._bot.username)

    async def _help(self, _command: Command, _message: Message, language: Phrases) -> str:
        return language.help.format(bot=self._bot.username)

    async def _privacy(self, _command: Command, _message: Message, language: Phrases) -> str:
        return language.privacy.format(hours=answers.hours(self._retention))

    async def _auto(self, command: Command, message: Message, language: Phrases) -> str:
        if message.chat.type == ChatType.PRIVATE:
            return language.groups_only
        here = str(message.chat_id)
        if command.words and (wanted := command.words[0].lower()) in ("on", "off"):
            if not await self._is_admin(message):
                return language.admins_only
            chat = await self._store.change_chat(PLATFORM, here, lambda chat: replace(chat, auto=wanted == "on"))
        else:
            chat = await self._store.chat(PLATFORM, here)
        return await self._auto_state(chat, message, language)

    async def _auto_state(self, chat: Chat, message: Message, language: Phrases) -> str:
        lines = [language.auto_on if chat.auto else language.auto_off]
        if chat.auto and not await self._sees_photos(message):
            lines.append(language.auto_blind)
        return "\n\n".join(lines).format(bot=self._bot.username)

    async def _map(self, command: Command, message: Message, language: Phrases) -> str:
        here = str(message.chat_id)
        if not command.words:
            changes = (await self._store.chat(PLATFORM, here)).changes
            return answers.map_list(self._emoji_map.changed(changes), language, language.map_usage)
        if not await self._is_admin(message):
            return language.admins_only
        if command.words[0].lower() == "reset":
            await self._store.change_chat(PLATFORM, here, lambda chat: replace(chat, changes={}))
            return language.map_reset
        change = answers.map_change(command.words, self._emoji_map, language)
        if problem := change.problem or ("not_an_emoji" if change.emoji.is_custom else ""):
            sentence: str = getattr(language, problem)
            return sentence.format(expressions=", ".join(language.expressions.values()))
        await self._store.change_chat(PLATFORM, here, lambda chat: replace(chat, changes=change.after(chat.changes)))
        emoji = change.emoji
        lines = [language.map_done.format(expression=language.expressions[change.expression], emoji=emoji.character)]
        if answers.plain(emoji.character) != emoji.telegram:
            lines.append(language.map_reaction.format(reaction=emoji.telegram))
        return " ".join(lines)

    async def _forget(self, _command: Command, message: Message, language: Phrases) -> str:
        here = str(message.chat_id)
        # Who posts as a channel shares one sender with all who do, and has no jobs that are theirs alone.
        asker = str(message.from_user.id) if message.from_user and not message.sender_chat else None
        is_admin = await self._is_admin(message)
        if is_admin:
            await self._store.forget_chat(PLATFORM, here)
        if await self._jobs.forget(lambda sender, chat: sender == asker or (is_admin and chat == here), PLATFORM):
            return language.forgot_later
        if message.chat.type == ChatType.PRIVATE:
            return language.forgot_private
        return language.forgot_group if is_admin else language.forgot_member

    async def _status(self, _command: Command, message: Message, language: Phrases) -> str:
        chat = await self._store.chat(PLATFORM, str(message.chat_id))
        lines = []
        if message.chat.type != ChatType.PRIVATE:
            lines.append(await self._auto_state(chat, message, language))
        lines.append(answers.map_state(chat.changes, language))
        lines.append(language.model_version.format(model=self._service.model))
        return "\n\n".join(lines)

    async def _is_admin(self, message: Message) -> bool:
        """Say whether the sender may change the chat's settings: everybody in private, admins in groups."""
        if message.chat.type in (ChatType.PRIVATE, ChatType.CHANNEL):
            return True  # only admins post in a channel
        if message.sender_chat:  # anonymous admins post as the group itself
            return message.sender_chat.id == message.chat_id
        if message.from_user is None:
            return False
        member = await self._bot.get_chat_member(message.chat_id, message.from_user.id)
        return member.status in ADMINS

    async def _sees_photos(self, message: Message) -> bool:
        """Say whether Telegram shows us the photos of this group."""
        if message.chat.type == ChatType.CHANNEL:
            return True
        if (await self._bot.get_me()).can_read_all_group_messages:  # asked anew: it may just have been switched
            return True
        return (await self._bot.get_chat_member(message.chat_id, self._bot.id)).status in ADMINS

    async def _reply(self, message: Message, text: str) -> None:
        waiting = self._waiting_replies
        if waiting[message.chat_id] >= MOST_REPLIES:
            return
        waiting[message.chat_id] += 1
        try:
            await self._bring(message, text)
        finally:
            waiting[message.chat_id] -= 1
            if not waiting[message.chat_id]:
                del waiting[message.chat_id]

    async def _bring(self, message: Message, text: str) -> None:
        for pause in (*REPLY_PAUSES, None):
            try:
                await self._bot.send_message(
                    message.chat_id,
                    text,
                    message_thread_id=message.message_thread_id if message.is_topic_message else None,
                    reply_parameters=ReplyParameters(message.message_id, allow_sending_without_reply=True),
                )
                return
            except BadRequest:
                raise
            except NetworkError:
                if pause is None:
                    raise
                await asyncio.sleep(pause)


def language_of(user: User | None) -> str | None:
    """Return somebody's language, as Telegram names it, where that is told."""
    code = user.language_code if user else None
    return code[:MOST_LANGUAGE] if isinstance(code, str) else None


def _language(message: Message) -> Phrases:
    return phrases(language_of(message.from_user))
