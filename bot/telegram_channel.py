"""Telegram: its updates -> jobs, a job's result -> reaction or messages; commands are in `telegram_commands`.

An update is confirmed only after what it asks for is stored: by the offset of the next getUpdates when polling, by
the 200 of a webhook. python-telegram-bot's own Updater and Application confirm before they process, hence the bare bot.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
import time
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from typing import Any

# Durations as timedelta, as all coming releases have them; without it every duration warns.
os.environ.setdefault("PTB_TIMEDELTA", "true")

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from telegram import (
    Document,
    Message,
    MessageEntity,
    ReactionTypeEmoji,
    ReplyParameters,
    Update,
    User,
)
from telegram.constants import ChatAction, ChatType, UpdateType
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    EndPointNotFound,
    Forbidden,
    InvalidToken,
    NetworkError,
    RetryAfter,
    TelegramError,
)
from telegram.ext import AIORateLimiter, ExtBot
from telegram.request import HTTPXRequest
from telegram.warnings import PTBUserWarning

from bot import answers
from bot.answers import Kind
from bot.errors import TOO_MANY_BYTES, DatabaseUnavailable, FileUnavailable, PlatformRefused
from bot.jobs import DATABASE_TROUBLE, Jobs
from bot.photo_service import PhotoService
from bot.phrases import phrases
from bot.recent import Recent
from bot.selfie_job import PICTURE_NAMES, PhotoRef, Refused, Result, SelfieJob, TryAgain
from bot.store import Store
from bot.telegram_commands import PLATFORM, Command, Commands, language_of
from inference import EmojiMap, ImageTooLarge, size_in_words

log = structlog.get_logger(__name__)

WEBHOOK_PATH = "/telegram/webhook"
WANTED = [UpdateType.MESSAGE, UpdateType.CHANNEL_POST, UpdateType.CALLBACK_QUERY]
# What Telegram hands out to bots; a server of one's own may hand out more, and our own limits then decide.
MAX_DOWNLOAD = 20_000_000
# Of a photo's renditions the first whose short side has this many pixels holds a selfie's face in full.
SELFIE_SIDE = 600
POLL_SECONDS = 15
LONGEST_PAUSE = 30.0
# Two programs with one token take updates from each other in turns; so long after the last quarrel there is one again.
SHARED_SECONDS = 60.0
UNASKED = "Telegram cannot be asked for updates; it is tried again."
# For this long a command may hold back the confirmation of its update; then it goes on by itself. While one of a chat's
# commands does, the chat's next ones hold back nothing: a limit on one chat must not slow down the others.
COMMAND_SECONDS = 1.0
# So long the last commands may take when the bot stops.
CLOSING_SECONDS = 2.0
REACTIONS_KEPT = 600.0
REACTIONS_REMEMBERED = 10_000
# So long, in seconds, a group's album whose photos nobody asked about yet may wait for the one whose caption does.
ALBUM_KEPT = 10.0
ALBUMS_REMEMBERED = 1_000
TYPING_SECONDS = 4.5
GROUPS = (ChatType.GROUP, ChatType.SUPERGROUP, ChatType.CHANNEL)


class _Limiter(AIORateLimiter):
    """Telegram limits what a chat shows; questions and the notice "typing" must not take the turn of that."""

    async def process_request(
        self, callback: Any, args: Any, kwargs: Any, endpoint: str, data: Any, rate_limit_args: int | None
    ) -> Any:
        """Send the request in its turn."""
        counted = data if endpoint in ("sendMessage", "sendPhoto", "setMessageReaction") else {}
        return await super().process_request(callback, args, kwargs, endpoint, counted, rate_limit_args)


class TelegramChannel:
    """One bot of Telegram.

    Args:
        token: from @BotFather.
        server: address of the Bot API server.
        public_url: where Telegram reaches us; None to ask it for updates.
        jobs: where photos go.
        store: chats' settings and feedback counts.
        emoji_map: the map that chats may change for themselves.
        service: knows the version of the weights.
        max_bytes: the most one photo may have.
        retention: seconds for which a finished job is remembered; told to those who ask for it.
    """

    platform = PLATFORM

    def __init__(
        self,
        token: str,
        server: str,
        public_url: str | None,
        jobs: Jobs,
        store: Store,
        emoji_map: EmojiMap,
        service: PhotoService,
        *,
        max_bytes: int,
        retention: float,
    ) -> None:
        self.bot: ExtBot[int] = ExtBot(
            token,
            base_url=f"{server}/bot",
            base_file_url=f"{server}/file/bot",
            request=HTTPXRequest(connection_pool_size=256, pool_timeout=10, read_timeout=20),
            get_updates_request=HTTPXRequest(connection_pool_size=4),
            rate_limiter=_Limiter(max_retries=3),
        )
        self._jobs = jobs
        self._store = store
        self._max_bytes = min(max_bytes, MAX_DOWNLOAD) if server == "https://api.telegram.org" else max_bytes
        self._limit = size_in_words(self._max_bytes)
        self._secret = hmac.new(token.encode(), b"face2emoji webhook", hashlib.sha256).hexdigest()
        self._commands = Commands(self.bot, jobs, store, emoji_map, service, retention=retention)
        self._reactions = Recent[str, frozenset[str] | None](REACTIONS_REMEMBERED, REACTIONS_KEPT)
        self._unasked = Recent[str, dict[str, SelfieJob]](ALBUMS_REMEMBERED, ALBUM_KEPT)
        self._tasks: set[asyncio.Task[None]] = set()
        self._busy_chats: set[int] = set()
        self._public_url = public_url
        self._listening = False
        self._trouble: str | None = None
        self._shared_until = 0.0
        self._polling: asyncio.Task[None] | None = None

    # Starting and stopping

    async def connect(self) -> None:
        """Ask Telegram who we are, for as long as it takes to reach it.

        Raises:
            PlatformRefused: Telegram does not know the token.
        """
        try:
            await _insist(self.bot.initialize)
        except InvalidToken as error:
            raise PlatformRefused from error

    async def listen(self) -> str:
        """Begin to take updates: from the webhook, or by asking for them; return a line for people.

        Raises:
            PlatformRefused: Telegram does not take the webhook's address.
        """
        self._listening = True
        self._spawn(self._commands.announce())
        if self._public_url:
            await self._set_webhook(self._public_url)
        else:
            self._polling = asyncio.create_task(self._poll())
        return f"Telegram: send @{self.bot.username} a photo."

    @property
    def trouble(self) -> str | None:
        """Why no updates come in, if so."""
        if not self._listening:
            return "Telegram is not connected yet."
        if time.monotonic() < self._shared_until:
            return PlatformRefused.conflict
        return self._trouble

    async def close(self) -> None:
        """Take no more updates and end what commands still do; jobs at work are not ended here."""
        if self._polling:
            self._polling.cancel()
            await asyncio.gather(self._polling, return_exceptions=True)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CLOSING_SECONDS)

    async def disconnect(self) -> None:
        """Close the connections; to be called when no job is at work any more."""
        await self.bot.shutdown()

    # Taking updates

    def routes(self) -> list[Route]:
        """Return the webhook's route, if there is one."""
        return [Route(WEBHOOK_PATH, self.webhook, methods=["POST"])] if self._public_url else []

    async def webhook(self, request: Request) -> Response:
        """Take one update from Telegram; 200 says that it is stored."""
        secret = request.headers.get("x-telegram-bot-api-secret-token", "")
        if not hmac.compare_digest(secret.encode(), self._secret.encode()):
            return PlainTextResponse("This address is Telegram's.", 403)
        if not self._listening:
            return PlainTextResponse("not yet", 503)
        try:
            await self.receive(json.loads(await request.body()))
        except ClientDisconnect:
            return Response(status_code=499)  # nobody is there to see it but the metrics
        except (ValueError, RecursionError):
            return PlainTextResponse("This is no update.")  # with 200: the same again would not help
        except DATABASE_TROUBLE as error:
            log.error("update_not_stored", kind=type(error).__name__)
            return PlainTextResponse("try again", 503)
        return PlainTextResponse("stored")

    async def _set_webhook(self, public_url: str) -> None:
        url = public_url + WEBHOOK_PATH
        try:
            await _insist(lambda: self.bot.set_webhook(url, secret_token=self._secret, allowed_updates=WANTED))
        except BadRequest as error:
            raise PlatformRefused(PlatformRefused.webhook.format(url=public_url, reason=error.message)) from error

    async def _poll(self) -> None:
        offset: int | None = None
        pause = 0.5
        webhook_gone = False
        while True:
            try:
                if not webhook_gone:
                    await self.bot.delete_webhook()  # with one set, getUpdates is refused; what waits there is kept
                    webhook_gone = True
                for update in await self._updates(offset):
                    await self.receive(update)
                    offset = update["update_id"] + 1
                pause = 0.5
                self._trouble = None
            except DATABASE_TROUBLE as error:
                self._trouble = DatabaseUnavailable.away
                log.error("update_not_stored", kind=type(error).__name__)
                await asyncio.sleep(pause := min(2 * pause, LONGEST_PAUSE))
            except Conflict:
                webhook_gone = False
                self._trouble = PlatformRefused.conflict
                self._shared_until = time.monotonic() + SHARED_SECONDS
                log.error("telegram_conflict", help=PlatformRefused.conflict)
                await asyncio.sleep(pause := min(2 * pause, LONGEST_PAUSE))
            except Exception as error:
                if pause > 0.5:  # once is nothing
                    refused = isinstance(error, InvalidToken | EndPointNotFound)
                    self._trouble = PlatformRefused.sentence if refused else UNASKED
                log.warning("telegram_polling", kind=type(error).__name__, again_in=pause, help=self._trouble)
                await asyncio.sleep(_pause_asked(error) or pause)
                pause = min(2 * pause, LONGEST_PAUSE)

    async def _updates(self, offset: int | None) -> list[dict[str, Any]]:
        """Ask for updates as they are: one that the library does not understand must not hold back the others."""
        # After a failure, an answer at once shows that Telegram is there again.
        seconds = 0 if self._trouble else POLL_SECONDS
        arguments = {"offset": offset, "timeout": seconds, "allowed_updates": WANTED}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PTBUserWarning)  # it would rather see get_updates, which takes all or none
            updates: list[dict[str, Any]] = await self.bot.do_api_request(
                "getUpdates",
                {name: value for name, value in arguments.items() if value is not None},
                read_timeout=POLL_SECONDS + 10,
            )
        return updates

    async def receive(self, data: dict[str, Any]) -> None:
        """Store what an update asks for; when this returns, it may be confirmed. A strange one is let go.

        Raises:
            Exception: one of `DATABASE_TROUBLE`; the update must come again.
        """
        try:
            await self._receive(Update.de_json(data, self.bot))
        except DATABASE_TROUBLE:
            raise
        except Exception as error:
            log.warning("update_not_understood", kind=type(error).__name__)

    async def _receive(self, update: Update) -> None:
        message = update.message or update.channel_post
        if update.callback_query:
            await self._soon(update.callback_query.from_user.id, self._commands.press(update.callback_query))
        elif message is None or self._is_foreign(message):
            pass
        elif message.migrate_to_chat_id:
            await self._store.move_chat(PLATFORM, str(message.chat_id), str(message.migrate_to_chat_id))
        elif command := self._commands.parse(message):
            if command.name in ("emoji", "mask"):
                await self._asked(update, message, command)
            else:
                await self._soon(message.chat_id, self._commands.run(command, message))
        elif message.chat.type == ChatType.PRIVATE:
            await self._private(update, message)
        elif self._is_mentioned(message):
            await self._asked(update, message)
        else:
            await self._overheard(update, message)

    async def _private(self, update: Update, message: Message) -> None:
        if photo := photo_of(message):
            await self._jobs.submit(self._job(update, message, message, photo))
        elif message.effective_attachment or message.text:  # and not "pinned a message" or the like
            await self._soon(message.chat_id, self._commands.explain(message))

    async def _asked(self, update: Update, asking: Message, command: Command | None = None) -> None:
        """Somebody wants to know about this very photo, or wants its faces covered."""
        masks = command is not None and command.name == "mask"
        # In a topic every message that answers nothing answers the topic's first one, so Telegram says.
        target = asking if photo_of(asking) else asking.reply_to_message
        if target and (photo := photo_of(target)):
            job = self._job(update, asking, target, photo)
            if masks and command:
                job = replace(job, reply="mask", everyone="all" in map(str.lower, command.words))
            await self._jobs.submit(job)
            for earlier in self._unasked.get(job.id, {}).values():
                await self._jobs.join(earlier)
        else:
            await self._soon(asking.chat_id, self._commands.explain_photo(asking, masks=masks))

    async def _overheard(self, update: Update, message: Message) -> None:
        """Answer a photo of a group that nobody asked about, if the group wants that."""
        photo = photo_of(message)
        if photo is None or photo.kind not in ("photo", "document") or message.has_media_spoiler:
            return
        if (await self._store.chat(PLATFORM, str(message.chat_id))).auto:
            await self._jobs.submit(self._job(update, message, message, photo))
        elif message.media_group_id:  # its caption, on another photo, may have asked, or may yet ask
            job = self._job(update, message, message, photo)
            # Kept first, as who asks looks here last: so one of the two sees the other.
            self._unasked.keep(job.id, {**self._unasked.get(job.id, {}), job.message: job})
            await self._jobs.join(job)

    def _job(self, update: Update, asking: Message, target: Message, photo: PhotoRef) -> SelfieJob:
        album = asking.media_group_id
        return SelfieJob(
            platform=PLATFORM,
            event=f"album-{album}" if album else str(update.update_id),
            chat=str(int(target.chat_id)),
            message=str(int(target.message_id)),  # the library takes what it gets
            sender=str(asking.from_user.id) if asking.from_user else "",
            posted=asking.date.timestamp(),
            thread=str(target.message_thread_id) if target.is_topic_message else None,
            language=language_of(asking.from_user),
            reply="reaction" if target.chat.type in GROUPS else "message",
            photos=(photo,),
            album=bool(album),
        )

    def _is_foreign(self, message: Message) -> bool:
        """Tell what is no person's own post here. Anonymous admins and channels count as people."""
        origin = getattr(message.forward_origin, "sender_user", None)
        if message.is_automatic_forward:  # a channel's own post, which is answered there
            return True
        from_bot = bool(message.from_user and message.from_user.is_bot and not message.sender_chat)
        return from_bot or (origin is not None and origin.id == self.bot.id) or self._is_self(message.via_bot)

    def _is_self(self, user: User | None) -> bool:
        return user is not None and user.id == self.bot.id

    def _is_mentioned(self, message: Message) -> bool:
        kinds: list[str | None] = [MessageEntity.MENTION, MessageEntity.TEXT_MENTION]
        found = {**message.parse_entities(kinds), **message.parse_caption_entities(kinds)}
        name = f"@{self.bot.username}".lower()
        return any(text.lower() == name or self._is_self(entity.user) for entity, text in found.items())

    async def _soon(self, chat: int, work: Coroutine[Any, Any, None]) -> None:
        """Let a command end before its update is confirmed, unless that would make other chats wait."""
        task = self._spawn(work)
        if chat not in self._busy_chats:
            self._busy_chats.add(chat)
            task.add_done_callback(lambda _done: self._busy_chats.discard(chat))
            await asyncio.wait({task}, timeout=COMMAND_SECONDS)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        async def guarded() -> None:
            try:
                await work
            except Exception as error:
                log.warning("command_failed", kind=type(error).__name__)

        task = asyncio.create_task(guarded())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # Answering jobs

    async def photos(self, job: SelfieJob) -> tuple[PhotoRef, ...]:
        """Return the job's photos: Telegram's updates carry them all."""
        return job.photos

    async def fetch(self, _job: SelfieJob, file: str) -> bytes:
        """Return a file's bytes; see `bot.jobs.Channel`."""
        with _platform_errors():
            try:
                found = await self.bot.get_file(file)
            except BadRequest as error:
                if "too big" in error.message:
                    raise self._too_large() from error
                raise FileUnavailable from error
            if (found.file_size or 0) > self._max_bytes:
                raise self._too_large()
            return bytes(await found.download_as_bytearray())

    def _too_large(self) -> ImageTooLarge:
        return ImageTooLarge(TOO_MANY_BYTES.format(limit=self._limit))

    @asynccontextmanager
    async def working(self, job: SelfieJob) -> AsyncIterator[None]:
        """Show in a private chat that an answer is under way, and of a picture in every chat."""
        if job.reply == "reaction":
            yield
            return

        action = ChatAction.UPLOAD_PHOTO if job.reply == "mask" else ChatAction.TYPING

        async def typing() -> None:
            while True:
                with suppress(TelegramError):
                    await self.bot.send_chat_action(job.chat, action, message_thread_id=_thread(job))
                await asyncio.sleep(TYPING_SECONDS)

        task = asyncio.create_task(typing())
        try:
            yield
        finally:
            task.cancel()

    async def send(self, job: SelfieJob, result: Result, part: int, *, again: bool) -> bool:  # noqa: ARG002
        """Give one part of the answer; see `bot.jobs.Channel`."""
        with _platform_errors():
            try:
                return await self._give(job, result, part)
            except ChatMigrated as error:  # the group became a supergroup, and its old chat takes nothing any more
                new = str(error.new_chat_id)
            await self._store.move_chat(PLATFORM, job.chat, new)
            return await self._give(_moved(job, new), result, part)

    async def _give(self, job: SelfieJob, result: Result, part: int) -> bool:
        if job.reply == "reaction":
            await self._react(job, result)
            return False
        if job.reply == "mask":
            return await self._give_masked(job, result, part)
        messages = answers.answer(result.outcomes, phrases(job.language), result.model, self._limit)
        if part < len(messages):
            message = messages[part]
            await self.bot.send_message(
                job.chat,
                message.text,
                message_thread_id=_thread(job),
                reply_parameters=_reply_to(int(job.message)) if part == 0 else None,
                reply_markup=self._commands.keyboard(job.chat, message.rows),
            )
        return part + 1 < len(messages)

    async def _give_masked(self, job: SelfieJob, result: Result, part: int) -> bool:
        """Answer one photo of the post with its picture, or with the reason why there is none."""
        outcomes = result.outcomes[: answers.MAX_PHOTOS]
        language = phrases(job.language)
        words = answers.mask_words(outcomes[part], language, self._limit)
        reply_to = _reply_to(job.photos[part].message)
        masked = outcomes[part].masked
        if masked is not None:
            try:
                await self.bot.send_photo(
                    job.chat,
                    masked,
                    caption=words or None,
                    message_thread_id=_thread(job),
                    reply_parameters=reply_to,
                    filename="face2emoji.jpg",
                )
            except BadRequest as error:  # no right to send photos here, or sides that Telegram does not take
                log.warning("picture_refused", reason=error.message)
                masked, words = None, language.mask_refused.format(reason=error.message)
        if masked is None:
            await self.bot.send_message(job.chat, words, message_thread_id=_thread(job), reply_parameters=reply_to)
        return part + 1 < len(outcomes)

    async def _react(self, job: SelfieJob, result: Result) -> None:
        face = answers.surest_face(result.outcomes)
        if face is None:
            return
        emoji, message = face.emoji, int(job.message)
        if message and (reaction := answers.nearest(emoji, await self._allowed(job.chat))):
            try:
                # Always wrapped: a bare string outside the library's list would become the id of a custom emoji.
                await self.bot.set_message_reaction(job.chat, message, [ReactionTypeEmoji(reaction)])
                return
            except BadRequest as error:
                if "REACTION" not in error.message.upper():
                    raise
                if self._reactions.pop(job.chat, None) is None:  # so much for "all"
                    self._reactions.keep(job.chat, frozenset())
        await self.bot.send_message(
            job.chat,
            emoji.character,
            message_thread_id=_thread(job),
            reply_parameters=_reply_to(message),
            disable_notification=True,
        )

    async def _allowed(self, chat: str) -> frozenset[str] | None:
        """Return the reactions a chat allows, None for all."""
        with suppress(KeyError):
            return self._reactions[chat]
        available = (await self.bot.get_chat(chat)).available_reactions
        # The library shows "all" and "none" alike, as an empty list; trying tells them apart.
        allowed = frozenset(r.emoji for r in available if isinstance(r, ReactionTypeEmoji)) if available else None
        self._reactions.keep(chat, allowed)
        return allowed


def photo_of(message: Message) -> PhotoRef | None:
    """Return the picture in a message, of moving ones the preview; None when there is none to read."""

    def preview(kind: Kind, thumbnail: Any) -> PhotoRef | None:
        return found(kind, thumbnail.file_id) if thumbnail else None

    def found(kind: Kind, *files: str) -> PhotoRef:
        return PhotoRef(kind, tuple(dict.fromkeys(files)), message.message_id)

    if message.photo:
        sizes = sorted(message.photo, key=lambda size: size.width * size.height)
        first = next((size for size in sizes if min(size.width, size.height) >= SELFIE_SIDE), sizes[-1])
        return found("photo", first.file_id, sizes[-1].file_id)
    if message.animation:
        return preview("gif", message.animation.thumbnail)
    if message.document and _is_picture(message.document):
        return found("document", message.document.file_id)
    if message.sticker and not (message.sticker.is_animated or message.sticker.is_video):
        return found("sticker", message.sticker.file_id)
    if message.video_note:
        return preview("video_note", message.video_note.thumbnail)
    if message.video:
        return preview("video", message.video.thumbnail)
    return None


def _is_picture(document: Document) -> bool:
    """Go by the type, or by the name where a program named none; what it really is, reading it will tell."""
    is_named_so = (document.file_name or "").lower().endswith(PICTURE_NAMES)
    return (document.mime_type or "").startswith("image/") or is_named_so


def _thread(job: SelfieJob) -> int | None:
    return int(job.thread) if job.thread else None


def _reply_to(message: int) -> ReplyParameters | None:
    return ReplyParameters(message, allow_sending_without_reply=True) if message else None


def _moved(job: SelfieJob, chat: str) -> SelfieJob:
    """Return a group's job for its supergroup, which counts messages anew: the old numbers are others' there."""
    photos = tuple(replace(photo, message=0) for photo in job.photos)
    return replace(job, chat=chat, message="0", photos=photos)


async def _insist(call: Callable[[], Awaitable[Any]]) -> None:
    """Call Telegram until it is reached; what it refuses for good is raised."""
    pause = 1.0
    while True:
        try:
            await call()
            return
        except (InvalidToken, BadRequest):
            raise
        except TelegramError as error:
            log.warning("telegram_unreachable", kind=type(error).__name__, help=PlatformRefused.unreachable)
            await asyncio.sleep(_pause_asked(error) or pause)
            pause = min(2 * pause, LONGEST_PAUSE)


def _pause_asked(error: Exception) -> float:
    return error._retry_after.total_seconds() if isinstance(error, RetryAfter) else 0


@contextmanager
def _platform_errors() -> Iterator[None]:
    """Sort Telegram's errors into those that pass and those that stay."""
    try:
        yield
    except RetryAfter as error:
        raise TryAgain(_pause_asked(error)) from error
    except (BadRequest, Forbidden) as error:
        raise Refused(error.message) from error
    except (InvalidToken, NetworkError) as error:  # also a file's address that has run out: the next try gets a new one
        raise TryAgain from error
    except TelegramError as error:
        raise Refused(type(error).__name__) from error
