"""Slack's slash command, windows, shortcuts, buttons and App Home: what people do beside posting photos."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import structlog
from slack_sdk.errors import SlackApiError
from sqlalchemy.exc import SQLAlchemyError

from bot import answers, slack_blocks
from bot.jobs import Jobs
from bot.photo_service import PhotoService
from bot.phrases import Phrases, phrases
from bot.selfie_job import PhotoRef, SelfieJob, TryAgain
from bot.slack_people import People, Person
from bot.slack_phrases import SlackPhrases, slack_phrases
from bot.slack_responses import respond
from bot.slack_workspaces import Workspace, Workspaces
from bot.store import Store
from inference import EmojiMap

log = structlog.get_logger(__name__)

PLATFORM = "slack"
PROFILE = "profile"
"""The reference of a job's photo that is the asker's own profile photo."""

NOT_INVITED = ("not_in_channel", "channel_not_found", "user_not_in_channel")
NEEDED_TO_REACT = ("reactions:write", "files:read")
DONE_REMEMBERED = 2000
MOST_WORD = 30
MOST_NAME = 255
# Slack's words for a channel that we are in, and may not write in.
NO_WRITING = (
    "is_archived",
    "restricted_action",
    "restricted_action_non_threadable_channel",
    "restricted_action_read_only_channel",
    "restricted_action_thread_only_channel",
)
# Seconds between the tries to bring a command's answer to Slack.
ANSWER_PAUSES = (0.5, 1.0, 2.0)

Body = Mapping[str, Any]


def name_of(value: Any) -> str:
    """Return one of Slack's names (of a user, a channel, a message, ...) as it is.

    Raises:
        ValueError: it is none. It would be stored, and Slack would be asked about it again and again.
    """
    if isinstance(value, str) and len(value) <= MOST_NAME and value.isascii() and value.isprintable():
        return value
    raise ValueError("not a name of Slack's")


def chat_of(team: str, channel: str) -> str:
    """Return the name of a channel among all workspaces' channels, as jobs and settings use it."""
    return f"{team}/{channel}"


@dataclass(frozen=True, slots=True)
class Ask:
    """A slash command, or another thing that somebody does.

    Attributes:
        team, user, channel: where; the channel is empty when it was nowhere.
        trigger: lets a window open, for three seconds.
        url: where an answer goes that only this user sees.
        text: the words behind the command.
    """

    team: str
    user: str
    channel: str = ""
    trigger: str = ""
    url: str = ""
    text: str = ""

    @classmethod
    def of_command(cls, body: Body) -> Ask:
        """Read a slash command."""
        return cls(
            name_of(body["team_id"]),
            name_of(body["user_id"]),
            name_of(body["channel_id"]),
            name_of(body.get("trigger_id", "")),
            body.get("response_url", ""),
            body.get("text") or "",
        )

    @classmethod
    def of_interaction(cls, body: Body, team: str) -> Ask:
        """Read a shortcut, a press or a window that was sent."""
        return cls(
            team,
            name_of(body["user"]["id"]),
            name_of((body.get("channel") or {}).get("id", "")),
            name_of(body.get("trigger_id", "")),
            body.get("response_url", ""),
        )

    @property
    def chat(self) -> str:
        """The channel's name among all; the user's own where there is none."""
        return chat_of(self.team, self.channel or self.user)

    @property
    def settings(self) -> str:
        """The chat whose settings apply: in a conversation of two the user."""
        return chat_of(self.team, self.user) if self.is_direct else self.chat

    @property
    def is_direct(self) -> bool:
        """True in a conversation of two."""
        return self.channel.startswith("D") or not self.channel

    def job(self, event: str, photos: Sequence[PhotoRef] = (), *, share: bool = False) -> SelfieJob:
        """Return the job that answers this in words; with no photo given, it looks for the channel's last one."""
        return SelfieJob(
            platform=PLATFORM,
            event=event,
            chat=self.chat,
            message="",
            sender=self.user,
            posted=time.time(),
            reply="message" if share or not (self.channel or self.url) else "private",
            photos=tuple(photos),
            settings=self.settings,
        )


class Commands:
    """Runs slash commands, presses and windows.

    Args:
        workspaces: have us.
        people: tells who somebody is.
        jobs: forgets.
        store: channels' settings, people's wishes and feedback counts.
        emoji_map: the map that channels may change for themselves.
        service: knows the version of the weights.
        retention: seconds for which a finished job is remembered.
    """

    def __init__(
        self,
        workspaces: Workspaces,
        people: People,
        jobs: Jobs,
        store: Store,
        emoji_map: EmojiMap,
        service: PhotoService,
        *,
        retention: float,
    ) -> None:
        self._workspaces = workspaces
        self._people = people
        self._jobs = jobs
        self._store = store
        self._emoji_map = emoji_map
        self._service = service
        self._retention = retention
        self._done: OrderedDict[tuple[str, ...], None] = OrderedDict()
        self._actions: dict[str, Callable[[_Asked], Awaitable[str]]] = {
            "on": self._on,
            "off": self._off,
            "status": self._status,
            "map": self._map,
            "help": self._help,
            "privacy": self._privacy,
            "forget": self._forget,
        }

    # The slash command

    async def run(self, ask: Ask) -> None:
        """Carry out a slash command whose answer is no job's."""
        words = ask.text.split()
        if not words:
            await self.open_window(ask)
            return
        asked = await self._asked(ask, words)
        action = self._actions.get(words[0].lower(), self._unknown)
        try:
            text = await action(asked)
        except SlackApiError as error:
            text = self._refused(error, asked)
        except Exception as error:
            log.error("command_failed", command=action.__name__, kind=type(error).__name__)
            text = asked.slack.failed
        if text:
            await self.tell(ask, text)

    async def open_window(self, ask: Ask) -> None:
        """Ask for photos."""
        asked = await self._asked(ask)
        window = slack_blocks.photo_window(asked.slack, ask.channel, ask.url, may_share=not ask.is_direct)
        await asked.workspace.client.views_open(trigger_id=ask.trigger, view=window)

    async def tell(self, ask: Ask, text: str) -> None:
        """Tell the asker, and nobody else."""
        if ask.url:
            await self._respond(ask.url, {"response_type": "ephemeral", "text": text})
        else:
            workspace = await self._workspaces.find(ask.team)
            await workspace.client.chat_postMessage(channel=ask.user, text=text)

    async def explain(self, ask: Ask, phrase: str) -> None:
        """Tell the asker one of `SlackPhrases`, by its name."""
        await self.tell(ask, getattr((await self._asked(ask)).slack, phrase))

    async def _asked(self, ask: Ask, words: Sequence[str] = ()) -> _Asked:
        workspace = await self._workspaces.find(ask.team)
        person = await self._people.find_or_unknown(workspace, ask.user)
        return _Asked(**asdict(ask), words=tuple(words), workspace=workspace, person=person)

    async def _unknown(self, asked: _Asked) -> str:
        unknown = asked.slack.unknown_command.format(word=asked.words[0][:MOST_WORD])
        return f"{unknown}\n\n{await self._help(asked)}"

    async def _help(self, asked: _Asked) -> str:
        return asked.slack.help.format(bot=asked.bot)

    async def _privacy(self, asked: _Asked) -> str:
        return asked.slack.privacy.format(hours=answers.hours(self._retention))

    async def _on(self, asked: _Asked) -> str:
        if asked.is_direct:
            return asked.slack.channels_only
        workspace = await self._workspaces.refresh(asked.team)  # the app may just have been reinstalled
        missing = [scope for scope in NEEDED_TO_REACT if workspace.scopes and scope not in workspace.scopes]
        if missing:
            return asked.slack.missing_scope.format(scope=", ".join(missing))
        return await self._switch(asked, auto=True)

    async def _off(self, asked: _Asked) -> str:
        return asked.slack.channels_only if asked.is_direct else await self._switch(asked, auto=False)

    async def _switch(self, asked: _Asked, *, auto: bool) -> str:
        """Switch a channel on or off, where everybody in it can see that."""
        if not asked.person.is_member:
            return asked.slack.members_only
        if (await self._store.chat(PLATFORM, asked.chat)).auto == auto:
            return asked.slack.status_on if auto else asked.slack.status_off
        await self._store.change_chat(PLATFORM, asked.chat, lambda chat: replace(chat, auto=auto))
        try:
            await self._show_switch(asked, auto=auto)
        except Exception:
            if auto:  # nobody is read where it could not be said
                await self._store.change_chat(PLATFORM, asked.chat, lambda chat: replace(chat, auto=False))
            raise
        return ""

    async def _show_switch(self, asked: _Asked, *, auto: bool) -> None:
        sentence = asked.slack.auto_on if auto else asked.slack.auto_off
        text = sentence.format(user=f"<@{asked.user}>")
        await asked.workspace.client.chat_postMessage(channel=asked.channel, text=text)

    async def _status(self, asked: _Asked) -> str:
        chat = await self._store.chat(PLATFORM, asked.settings)
        lines = [] if asked.is_direct else [asked.slack.status_on if chat.auto else asked.slack.status_off]
        lines += [answers.map_state(chat.changes, asked.phrases)]
        lines += [asked.phrases.model_version.format(model=self._service.model)]
        return "\n\n".join(lines)

    async def _map(self, asked: _Asked) -> str:
        words = asked.words[1:]
        if not words:
            changes = (await self._store.chat(PLATFORM, asked.settings)).changes
            return answers.map_list(self._emoji_map.changed(changes), asked.phrases, asked.slack.map_usage)
        if not (asked.is_direct or asked.person.is_member):
            return asked.slack.members_only
        if words[0].lower() == "reset":
            await self._store.change_chat(PLATFORM, asked.settings, lambda chat: replace(chat, changes={}))
            return asked.phrases.map_reset
        change = answers.map_change(words, self._emoji_map, asked.phrases)
        names = asked.phrases.expressions
        if change.problem:
            sentence: str = getattr(asked.slack, change.problem)
            return sentence.format(expressions=", ".join(names.values()))
        if change.emoji.is_custom and not await self._has_emoji(asked.workspace, change.emoji.slack):
            return asked.slack.unknown_emoji.format(name=change.emoji.character)
        await self._store.change_chat(
            PLATFORM, asked.settings, lambda chat: replace(chat, changes=change.after(chat.changes))
        )
        return asked.phrases.map_done.format(expression=names[change.expression], emoji=change.emoji.character)

    async def _has_emoji(self, workspace: Workspace, name: str) -> bool:
        return name in (await workspace.client.emoji_list())["emoji"]

    async def _forget(self, asked: _Asked) -> str:
        if asked.is_direct:
            is_left = await self.erase(asked.team, asked.user)
            return asked.slack.forgot_later if is_left else asked.slack.forgot_direct
        here, everything = asked.chat, asked.person.is_member
        if everything:
            was_on = (await self._store.chat(PLATFORM, here)).auto
            await self._store.forget_chat(PLATFORM, here)
            if was_on:
                await self._show_switch(asked, auto=False)
        if await self._jobs.forget(
            lambda sender, chat: chat == here and (everything or sender == asked.user), PLATFORM
        ):
            return asked.slack.forgot_later
        return asked.slack.forgot_channel if everything else asked.slack.forgot_member

    async def erase(self, team: str, user: str) -> int:
        """Erase what is kept of a person, but for the wish not to be read; return how many jobs are still at work."""
        await self._store.forget_chat(PLATFORM, chat_of(team, user))
        return await self._jobs.forget(lambda sender, chat: sender == user and chat.startswith(f"{team}/"), PLATFORM)

    def _refused(self, error: SlackApiError, asked: _Asked) -> str:
        code = error.response.get("error")
        if code in NOT_INVITED:
            return asked.slack.not_invited.format(bot=asked.bot)
        if code in NO_WRITING:
            return asked.slack.cannot_write
        if code == "missing_scope":
            return asked.slack.missing_scope.format(scope=error.response.get("needed") or code)
        log.warning("command_refused", reason=code)
        return asked.slack.failed

    # App Home

    async def show_home(self, team: str, user: str) -> None:
        """Show a person's App Home."""
        asked = await self._asked(Ask(team, user))
        is_read = not await self._store.opted_out(PLATFORM, chat_of(team, user))
        changes = (await self._store.chat(PLATFORM, asked.settings)).changes
        lines = [
            asked.slack.home_read if is_read else asked.slack.home_unread,
            answers.map_state(changes, asked.phrases),
        ]
        view = slack_blocks.home(asked.slack, lines, is_read=is_read)
        await asked.workspace.client.views_publish(user_id=user, view=view)

    async def press_home(self, ask: Ask, action: str) -> None:
        """Carry out a button of the App Home."""
        if action == slack_blocks.ERASE:
            is_left = await self.erase(ask.team, ask.user)
            await self.explain(ask, "forgot_later" if is_left else "forgot_direct")
        else:
            person = chat_of(ask.team, ask.user)
            await self._store.opt_out(PLATFORM, person, out=action == slack_blocks.STOP_READING)
        await self.show_home(ask.team, ask.user)

    # Feedback

    async def press(self, ask: Ask, message: str, value: str) -> None:
        """Count feedback, or ask on. Who takes the last buttons away has counted; a second press counts nothing.

        Args:
            ask: who pressed.
            message: the answer's timestamp.
            value: the button's.
        """
        asked = await self._asked(ask)
        data, large, text = slack_blocks.pressed(value)
        try:
            press = answers.press(data, asked.phrases)
        except ValueError:  # of a release long ago
            await self.tell(ask, asked.slack.failed)
            return
        if (ask.chat, message) in self._done or (press.counts and not self.mark_seen(ask.chat, message)):
            return
        if press.counts:
            try:
                await self._store.count(press.counts, press.model)
            except SQLAlchemyError as error:
                self._done.pop((ask.chat, message), None)  # the buttons are still there
                log.warning("feedback_not_counted", kind=type(error).__name__)
                await self.tell(ask, asked.phrases.not_counted)
                return
        blocks = slack_blocks.answer(large, text, press.rows, notice=press.notice)
        await self._respond(ask.url, {"replace_original": True, "text": f"{large}\n{text}", "blocks": blocks})

    def mark_seen(self, *message: str) -> bool:
        """Remember that a message was dealt with; False when it was before."""
        if message in self._done:
            return False
        self._done[message] = None
        while len(self._done) > DONE_REMEMBERED:
            self._done.popitem(last=False)
        return True

    async def _respond(self, url: str, body: dict[str, Any]) -> None:
        for pause in (*ANSWER_PAUSES, None):
            try:
                if not await respond(url, body):
                    log.warning("response_refused")
                return
            except TryAgain as error:
                if pause is None:
                    raise
                await asyncio.sleep(max(pause, error.after))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked(Ask):
    """With what Slack tells about who asks."""

    words: tuple[str, ...]
    workspace: Workspace
    person: Person

    @property
    def bot(self) -> str:
        return f"<@{self.workspace.bot_user}>"

    @property
    def phrases(self) -> Phrases:
        return phrases(self.person.language)

    @property
    def slack(self) -> SlackPhrases:
        return slack_phrases(self.person.language)
