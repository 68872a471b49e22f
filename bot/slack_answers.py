"""Slack's side of the jobs: finds and fetches their photos, and gives the answers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from dataclasses import replace
from typing import Any

import structlog
from slack_sdk.errors import SlackApiError

from bot import answers, slack_blocks
from bot.answers import Outcome, Rows
from bot.errors import FileUnavailable, ScopeMissing
from bot.phrases import phrases
from bot.recent import Recent
from bot.selfie_job import PhotoRef, Refused, Result, SelfieJob, TryAgain
from bot.slack_commands import NOT_INVITED, PLATFORM, PROFILE, Body, chat_of
from bot.slack_errors import slack_errors
from bot.slack_files import Downloads, PostedPhotos
from bot.slack_people import People
from bot.slack_phrases import SlackPhrases, slack_phrases
from bot.slack_responses import Responses
from bot.slack_uploads import Picture, Uploads
from bot.slack_workspaces import Workspace, Workspaces
from bot.store import Store
from inference import EmojiMap, Reading, size_in_words

log = structlog.get_logger(__name__)

DIRECT = ("D", "U", "W")
"""How the ids of conversations of two begin, and of users, who stand for the one with us."""
# So many messages of a thread, and of a channel, are looked through for a photo.
LOOKED_THROUGH = 50
# For so long, and for so many permissions of all workspaces, the installer is spared the same sentence.
TOLD_SECONDS = 24 * 3600.0
TOLD_MOST = 1000
# Seconds that our clock may be ahead of Slack's.
CLOCKS_DIFFER = 60
# Slack's words for a conversation where we may show no file, because we are not in it.
NOT_SHOWN = (*NOT_INVITED, "invalid_channel")
ANOTHER_NAME = ("invalid_name", "too_many_emoji")


class Unanswerable(FileUnavailable):
    """There is no photo where somebody asked for one.

    Args:
        phrase: the name of the one of `SlackPhrases` that says so.
    """

    def __init__(self, phrase: str) -> None:
        super().__init__()
        self.phrase = phrase


class SlackAnswers:
    """A `bot.jobs.Channel`.

    Args:
        workspaces: have us.
        people: tells who somebody is.
        posted: knows the photos of recent posts.
        downloads: fetches files.
        uploads: shows pictures.
        responses: where the answers to commands may go.
        store: knows who does not want to be read.
        emoji_map: the map that no channel has changed.
        max_bytes: the most one photo may have.
    """

    platform = PLATFORM

    def __init__(
        self,
        workspaces: Workspaces,
        people: People,
        posted: PostedPhotos,
        downloads: Downloads,
        uploads: Uploads,
        responses: Responses,
        store: Store,
        emoji_map: EmojiMap,
        *,
        max_bytes: int,
    ) -> None:
        self._workspaces = workspaces
        self._people = people
        self._posted = posted
        self._downloads = downloads
        self._uploads = uploads
        self._responses = responses
        self._store = store
        self._emoji_map = emoji_map
        self._limit = size_in_words(max_bytes)
        self._told = Recent[tuple[str, str], None](TOLD_MOST, TOLD_SECONDS)

    async def photos(self, job: SelfieJob) -> tuple[PhotoRef, ...]:
        """Return the photos to read; see `bot.jobs.Channel`."""
        workspace = await self._workspace(job)
        with slack_errors():
            if (await self._people.find_or_unknown(workspace, job.sender)).is_bot:
                raise Refused("asked by a bot")
            if job.reply == "reaction" and await self._store.opted_out(PLATFORM, chat_of(workspace.team, job.sender)):
                return ()
            if job.photos and job.photos[0].files == (PROFILE,):
                return job.photos
            if job.photos:
                return await self._pictures(workspace, job.photos)
            try:
                return await (
                    self._thread_photos(workspace, job, job.thread)
                    if job.thread
                    else self._channel_photos(workspace, job)
                )
            except SlackApiError as error:
                if error.response.get("error") not in NOT_INVITED:
                    raise
                raise Unanswerable("not_invited") from error

    async def fetch(self, job: SelfieJob, file: str) -> bytes:
        """Return a file's bytes; see `bot.jobs.Channel`."""
        workspace = await self._workspace(job)
        if file == PROFILE:
            return await self._fetch_profile(workspace, job.sender)
        file_id, _, rendition = file.partition("/")
        with slack_errors():
            photo = await self._posted.find(workspace, file_id)
        if photo is None:
            raise FileUnavailable
        try:
            return await self._downloads.fetch(photo.address(rendition), _token(workspace))
        except ScopeMissing as error:
            if error.scope in (await self._workspaces.refresh(workspace.team)).scopes:
                raise FileUnavailable from error  # of a channel that we are no member of
            raise

    def working(self, _job: SelfieJob) -> AbstractAsyncContextManager[None]:
        """Show nothing: Slack has no "typing" for bots."""
        return nullcontext()

    async def send(self, job: SelfieJob, result: Result, part: int, *, again: bool) -> bool:
        """Answer, in one part or, where a picture is given elsewhere, in two; see `bot.jobs.Channel`."""
        workspace = await self._workspace(job)
        results = [outcome.result for outcome in result.outcomes]
        with slack_errors():
            scope = next((error.scope for error in results if isinstance(error, ScopeMissing)), None)
            try:
                if scope:
                    await self._tell_installer(workspace, scope)
                if job.reply == "reaction":
                    await self._react(workspace, job, result)
                elif any(outcome.masked for outcome in result.outcomes):
                    return await self._give_masked(workspace, job, result, part, again=again)
                else:
                    await self._answer(workspace, job, result, again=again)
            except SlackApiError as error:
                if error.response.get("error") == "missing_scope":
                    await self._tell_installer(workspace, error.response.get("needed", ""))
                raise
        return False

    async def _react(self, workspace: Workspace, job: SelfieJob, result: Result) -> None:
        face = answers.surest_face(result.outcomes)
        if face is None:
            return
        channel = _place(job)[1]
        *names, last = answers.slack_reactions(face, self._emoji_map)
        for name in names:
            try:
                await self._add_reaction(workspace, channel, job.message, name)
            except SlackApiError as error:
                if error.response.get("error") not in ANOTHER_NAME:
                    raise
            else:
                return
        await self._add_reaction(workspace, channel, job.message, last)

    async def _add_reaction(self, workspace: Workspace, channel: str, message: str, name: str) -> None:
        try:
            await workspace.client.reactions_add(channel=channel, timestamp=message, name=name)
        except SlackApiError as error:
            if error.response.get("error") != "already_reacted":
                raise

    async def _answer(self, workspace: Workspace, job: SelfieJob, result: Result, *, again: bool) -> None:
        mark, channel = _mark(job), _place(job)[1]
        if again and await self._is_there(
            workspace, job, channel, lambda post: mark in _values(post, "blocks", "block_id")
        ):
            return
        language = (await self._people.find_or_unknown(workspace, job.sender)).language
        words, bot = slack_phrases(language), f"<@{workspace.bot_user}>"
        shared = words.shared
        if job.reply == "mask":  # and there is no face
            job = replace(job, reply="private" if job.private else "message")
            shared = words.shared_mask
        large = ""
        rows: Rows = ()
        match result.outcomes[0].result if result.outcomes else Unanswerable("no_photo_message"):
            case Unanswerable(phrase=phrase):
                job = replace(job, reply="private")
                text = getattr(words, phrase).format(bot=bot)
            case ScopeMissing():
                text = words.scope_files
            case _:
                messages = answers.answer(result.outcomes, phrases(language), result.model, self._limit)
                large, text, rows = slack_blocks.of_messages(messages)
        is_shared = not job.message and job.reply == "message" and not channel.startswith(DIRECT)
        above = shared.format(user=f"<@{job.sender}>") if is_shared else ""
        try:
            await self._post(workspace, job, slack_blocks.content(large, text, rows, above=above, mark=mark))
        except SlackApiError as error:
            if error.response.get("error") not in NOT_INVITED or channel == job.sender:
                raise
            above = words.not_invited.format(bot=bot) if is_shared else ""
            await self._post_elsewhere(workspace, job, slack_blocks.content(large, text, rows, above=above, mark=mark))

    async def _post(self, workspace: Workspace, job: SelfieJob, content: dict[str, Any]) -> None:
        """Give an answer where it was asked for."""
        channel = _place(job)[1]
        # In a thread Slack shows private words only once that has replies, and not to who reads the channel.
        thread = None if job.thread == job.message else job.thread
        if job.reply == "message" or channel.startswith(DIRECT):
            await workspace.client.chat_postMessage(channel=channel, thread_ts=job.thread, **content)
        elif thread or not await self._responses.give(job, content):  # which would stand outside of the thread
            await workspace.client.chat_postEphemeral(channel=channel, user=job.sender, thread_ts=thread, **content)

    async def _post_elsewhere(self, workspace: Workspace, job: SelfieJob, content: dict[str, Any]) -> None:
        """Give an answer to who asked, in a channel, or a conversation of others, that we are no member of."""
        if not await self._responses.give(job, content):
            await workspace.client.chat_postMessage(channel=job.sender, **content)

    async def _give_masked(
        self, workspace: Workspace, job: SelfieJob, result: Result, part: int, *, again: bool
    ) -> bool:
        """Give the pictures; if that is not where the sender looks, say so in a second part."""
        language = (await self._people.find_or_unknown(workspace, job.sender)).language
        words = slack_phrases(language)
        if part:  # where it can't be said any more, Slack's own sign of a new message has to do
            await self._responses.give(job, {"text": words.mask_sent})
            return False
        text = answers.masks_words(result.outcomes, phrases(language), self._limit)
        pictures = _pictures(job, result, words)
        try:
            with slack_errors():
                return await self._show_masked(workspace, job, pictures, words, text, again=again)
        except Refused as error:
            await self._explain_refusal(workspace, job, words, error)
            return False

    async def _show_masked(
        self,
        workspace: Workspace,
        job: SelfieJob,
        pictures: Sequence[Picture],
        words: SlackPhrases,
        text: str,
        *,
        again: bool,
    ) -> bool:
        """Show the pictures where they may be seen; return whether the sender looks elsewhere.

        Slack shows a file to a whole conversation, so what one person alone may see goes to direct messages.
        """
        channel = _place(job)[1]
        if not (job.private or channel.startswith(DIRECT)):
            above = words.shared_mask.format(user=f"<@{job.sender}>")
            try:
                await self._show(workspace, job, channel, pictures, f"{above}\n{text}".strip(), again=again)
            except SlackApiError as error:
                if error.response.get("error") not in NOT_SHOWN:
                    raise
                text = f"{words.not_invited.format(bot=f'<@{workspace.bot_user}>')}\n{text}".strip()
            else:
                return False
        direct = (await workspace.client.conversations_open(users=job.sender))["channel"]["id"]
        await self._show(workspace, job, direct, pictures, text, again=again)
        return channel not in (direct, job.sender)

    async def _show(
        self, workspace: Workspace, job: SelfieJob, channel: str, pictures: Sequence[Picture], text: str, *, again: bool
    ) -> None:
        names = {picture.name for picture in pictures}
        if again and await self._is_there(workspace, job, channel, lambda post: names & _values(post, "files", "name")):
            return
        await self._uploads.show(workspace.client, channel, pictures, text)

    async def _explain_refusal(self, workspace: Workspace, job: SelfieJob, words: SlackPhrases, error: Refused) -> None:
        """Tell who asked why there is no picture, and who can change that."""
        text = words.mask_refused.format(reason=error.reason)
        if error.reason == "missing_scope" and isinstance(error.__cause__, SlackApiError):
            scope = error.__cause__.response.get("needed", "")
            await self._tell_installer(workspace, scope)
            text = words.missing_scope.format(scope=scope)
        log.warning("picture_refused", reason=error.reason)
        await self._post_elsewhere(workspace, job, {"text": text})

    async def _is_there(
        self, workspace: Workspace, job: SelfieJob, channel: str, is_ours: Callable[[Body], object]
    ) -> bool:
        """Tell whether an answer that seemed to fail is there nevertheless; of private ones Slack does not tell.

        Raises:
            TryAgain: Slack is in trouble, or wants us to wait; to answer on a guess could be to answer twice.
        """
        seen: dict[str, Any] = {"channel": channel, "oldest": str(job.posted - CLOCKS_DIFFER), "limit": LOOKED_THROUGH}
        client = workspace.client
        try:
            with slack_errors():
                answer = await (
                    client.conversations_replies(ts=job.thread, **seen)
                    if job.thread
                    else client.conversations_history(**seen)
                )
        except Refused:
            return False
        return any(map(is_ours, answer["messages"]))

    async def _tell_installer(self, workspace: Workspace, scope: str) -> None:
        """Say which permission is missing: to the installer, in the log, and to no channel."""
        key = workspace.team, scope
        if key in self._told:
            return
        self._told.keep(key, None)
        log.error("slack_scope_missing", scope=scope, help="reinstall the app with the manifest's scopes")
        if workspace.installer:
            person = await self._people.find_or_unknown(workspace, workspace.installer)
            text = slack_phrases(person.language).installer_scope.format(scope=scope)
            try:
                with suppress(Refused), slack_errors():
                    await workspace.client.chat_postMessage(channel=workspace.installer, text=text)
            except TryAgain:
                self._told.pop(key, None)  # the job comes here again
                raise

    async def _workspace(self, job: SelfieJob) -> Workspace:
        return await self._workspaces.find(_place(job)[0])

    async def _thread_photos(self, workspace: Workspace, job: SelfieJob, thread: str) -> tuple[PhotoRef, ...]:
        """Return the photos of the post that a thread is about, or else the last ones in it."""
        answer = await workspace.client.conversations_replies(channel=_place(job)[1], ts=thread, limit=LOOKED_THROUGH)
        parent, *replies = answer["messages"]
        nothing = "photo_needed" if thread == job.message else "no_photo_thread"
        return await self._first_photos(workspace, job, [parent, *reversed(replies)], nothing)

    async def _channel_photos(self, workspace: Workspace, job: SelfieJob) -> tuple[PhotoRef, ...]:
        """Return the photos of the last post that has some."""
        channel = _place(job)[1]
        last = self._posted.last(workspace.team, channel)
        if last and await self._may_read(workspace, job, last.poster):
            photos = await self._pictures(workspace, last.photos)
            if photos:
                return photos
        answer = await workspace.client.conversations_history(channel=channel, limit=LOOKED_THROUGH)
        return await self._first_photos(workspace, job, answer["messages"], "no_photo_last")

    async def _first_photos(
        self, workspace: Workspace, job: SelfieJob, posts: Sequence[Body], nothing: str
    ) -> tuple[PhotoRef, ...]:
        """Return the photos of the first post that has some, and whose poster wants to be read."""
        for post in posts:
            if photos := await self._pictures(workspace, self._posted.of_post(workspace.team, post)):
                if await self._may_read(workspace, job, post.get("user", "")):
                    return photos
                nothing = "opted_out"
        raise Unanswerable(nothing)

    async def _pictures(self, workspace: Workspace, photos: Sequence[PhotoRef]) -> tuple[PhotoRef, ...]:
        """Return those that are pictures, which of files that were only named just Slack knows."""
        found = [await self._posted.find(workspace, photo.files[0].partition("/")[0]) for photo in photos]
        return tuple(photo.reference for photo in found if photo)

    async def _may_read(self, workspace: Workspace, job: SelfieJob, poster: str) -> bool:
        """Say whether the photos of a post may be read for whoever asks: one's own always."""
        return poster == job.sender or not await self._store.opted_out(PLATFORM, chat_of(workspace.team, poster))

    async def _fetch_profile(self, workspace: Workspace, user: str) -> bytes:
        with slack_errors():
            person = await self._people.find(workspace, user)
        if person.photo is None:
            raise Unanswerable("no_profile_photo")
        return await self._downloads.fetch(person.photo, _token(workspace))


def _place(job: SelfieJob) -> tuple[str, str]:
    team, _, channel = job.chat.partition("/")
    return team, channel


def _mark(job: SelfieJob) -> str:
    """Return the block id by which an answer is known to be there."""
    return f"answer-{job.event}"


def _values(post: Body, parts: str, name: str) -> set[Any]:
    """Return what the parts of a message, such as its blocks, have under a name."""
    return {part.get(name) for part in post.get(parts) or ()}


def _pictures(job: SelfieJob, result: Result, words: SlackPhrases) -> list[Picture]:
    """Return the pictures to give; their names are the job's, and say nothing of it."""
    name = hashlib.sha256(job.id.encode()).hexdigest()[:8]
    return [
        Picture(f"face2emoji-{name}-{number}.jpg", outcome.masked, _alt(outcome, words))
        for number, outcome in enumerate(result.outcomes, 1)
        if outcome.masked
    ]


def _alt(outcome: Outcome, words: SlackPhrases) -> str:
    """Return what a picture shows, for who does not see it. An emoji of the workspace's own covers nothing."""
    faces = outcome.result.faces if isinstance(outcome.result, Reading) else ()
    shown = [face.emoji.character for face in faces[: answers.MAX_FACES] if not face.emoji.is_custom]
    return f"{words.mask_alt}: {' '.join(shown)}" if shown else words.mask_alt


def _token(workspace: Workspace) -> str:
    return workspace.client.token or ""
