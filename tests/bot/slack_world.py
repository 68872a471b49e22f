"""Workspaces, people and channels on the small Slack server of the tests, and what people do there."""

from __future__ import annotations

import io
import json
import threading
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn

from PIL import Image, ImageOps, UnidentifiedImageError

from tests.bot.slack_shapes import Json, find_elements, problems_of_blocks, words

Kind = Literal["channel", "group", "im", "mpim"]
DeliveryKind = Literal["events_api", "slash_commands", "interactive"]


# Workspaces, people and channels that every server has.
TEAM, OTHER_TEAM = "T0FACES01", "T0OTHER01"
ADA, EVE, GUEST, ROBOT = "U0ADA0001", "U0EVE0001", "U0GUEST01", "U0ROBOT01"
STRANGER, OTHER_OWNER = "U0STRANGE", "U0OWNER01"
GENERAL, RANDOM, PRIVATE, GROUP_DM = "C0GENERAL", "C0RANDOM1", "G0PRIVATE", "G0GROUPDM"
ARCHIVED, CONNECT = "C0ARCHIVE", "C0CONNECT"
# The app, and the bot that it is in the first workspace.
APP, BOT_USER, BOT_ID = "A0FACES01", "U0BOTA001", "B0BOTA001"
# Made only for the tests, in the form of real ones.
BOT_TOKEN, APP_TOKEN = f"xoxb-1-2-{'test' * 6}", f"xapp-1-{APP}-3-{'test' * 16}"
SIGNING_SECRET, CLIENT_ID, CLIENT_SECRET = "5ec2e7" * 5 + "00", "1111.2222", "c11e47" * 5 + "00"

SCOPES = words(
    "app_mentions:read channels:history channels:read chat:write commands emoji:read files:read files:write "
    "groups:history groups:read im:history im:write mpim:history reactions:write users:read"
)
EVENTS = words(
    "app_home_opened app_mention app_uninstalled member_joined_channel message.channels message.groups message.im "
    "message.mpim tokens_revoked"
)
# How scopes and events call a kind of channel.
PLURAL = {"channel": "channels", "group": "groups", "im": "im", "mpim": "mpim"}
SQUARES, SIDES = (64, 80, 160), (360, 480, 720, 800, 960, 1024)
TRIGGER_SECONDS, MOST_EMOJI = 3.0, 23
AVATARS = (24, 32, 48, 72, 192, 512)


@dataclass
class Team:
    """A workspace. An emoji of its own stands for a URL, or for `alias:` and another name."""

    id: str
    name: str
    domain: str
    emoji: dict[str, str] = field(default_factory=dict)


@dataclass
class Person:
    """Somebody, or some app's bot. `pictures` are the renditions of the profile photo, by size or "original"."""

    id: str
    team: str
    name: str
    locale: str = "en-US"
    is_admin: bool = False
    is_restricted: bool = False
    is_ultra_restricted: bool = False
    is_bot: bool = False
    deleted: bool = False
    bot_id: str = ""
    app_id: str = ""
    pictures: dict[str, bytes] = field(default_factory=dict)


@dataclass
class Channel:
    """Where people talk. `teams` are more than one with Slack Connect; `messages` go by ts, oldest first."""

    id: str
    team: str
    name: str
    kind: Kind = "channel"
    members: set[str] = field(default_factory=set)
    is_archived: bool = False
    teams: set[str] = field(default_factory=set)
    messages: dict[str, Json] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)

    @property
    def is_shared(self) -> bool:
        return len(self.teams) > 1


@dataclass
class App:
    """An app as its developer set it up; its events go to `request_url` while no socket is open."""

    id: str
    name: str
    client_id: str
    client_secret: str
    signing_secret: str
    app_token: str
    events: set[str]
    request_url: str = ""
    redirect_url: str = ""
    rotates_tokens: bool = False
    # Posts as bots did once: subtype bot_message, and no user.
    is_legacy: bool = False


@dataclass
class Installation:
    """An app in a workspace: its bot, what it may, and its token."""

    app: App
    team: str
    bot_user: str
    bot_id: str
    scopes: list[str]
    token: str
    installer: str
    refresh_token: str = ""


@dataclass
class StoredFile:
    """A file as `files.info` has it, and its bytes by rendition: "original", "thumb_64" and so on."""

    shape: Json
    teams: set[str]
    renditions: dict[str, bytes]


@dataclass
class Upload:
    """A file on its way from a bot; `data` is there once the bytes were posted, and completed once it can be shared."""

    installation: Installation
    name: str
    length: int
    alt_txt: str
    data: bytes | None = None
    is_completed: bool = False


@dataclass(kw_only=True)
class Timed:
    """When something happened: `at` as dates have it, `clock` to measure with, the same in all processes."""

    at: float = field(default_factory=time.time)
    clock: float = field(default_factory=time.monotonic)


@dataclass
class Call(Timed):
    """A call of the Web API; `error` is what it was told, and `status` is None while it waits and 0 where cut."""

    method: str
    args: Json
    team: str
    status: int | None = None
    error: str = ""


@dataclass
class Sent(Timed):
    """A message taken from a bot, by `via`: a method of the Web API, "response_url" or "ack"."""

    channel: str
    ts: str
    text: str
    blocks: list[Json]
    thread_ts: str | None
    ephemeral_to: str | None
    app: str
    via: str
    files: list[Json] = field(default_factory=list)


@dataclass
class Reacted(Timed):
    """A reaction taken from a bot."""

    channel: str
    ts: str
    name: str
    app: str


@dataclass
class Viewed(Timed):
    """A view that a bot opened, updated or published, as Slack keeps it."""

    id: str
    user: str
    app: str
    method: str
    view: Json


@dataclass
class Delivery(Timed):
    """Something on its way to an app. `id` is an event's event_id; `answer` is what came with the acknowledgement."""

    id: str
    kind: DeliveryKind
    app: str
    payload: Json
    state: Literal["pending", "acknowledged", "failed"] = "pending"
    answer: Any = None
    attempts: list[Attempt] = field(default_factory=list)


@dataclass
class Attempt(Timed):
    """One try to deliver: `ack` is the seconds until it was acknowledged, if it was."""

    number: int
    reason: str
    via: Literal["socket", "http", ""]
    ack: float | None = None
    status: int | None = None


@dataclass
class Download(Timed):
    """A file that was asked for; `foreign` is another host, where `with_token` ought to be False."""

    file: str
    rendition: str
    foreign: bool
    with_token: bool


@dataclass
class Violation:
    """Something in a call that the documentation does not allow."""

    method: str
    problem: str
    args: Json


@dataclass
class ResponseUrl:
    """Where an app may answer an interaction, a few times; `original` is the message that was acted on."""

    channel: str
    user: str
    app: App
    original: str | None
    uses: int = 0


class ApiError(Exception):
    """An answer that is not ok."""

    def __init__(self, error: str, status: int = 200, retry_after: int | None = None, **more: Any) -> None:
        super().__init__(error)
        self.error = error
        self.status = status
        self.retry_after = retry_after
        self.more = more


def thumbnails(data: bytes) -> tuple[tuple[int, int], dict[str, tuple[int, int, bytes]]]:
    """The upright size of a picture, and smaller JPEGs as Slack makes them: width, height, bytes. No picture: none."""
    try:
        with Image.open(io.BytesIO(data)) as opened:
            picture = ImageOps.exif_transpose(opened).convert("RGB")
    except (UnidentifiedImageError, OSError):
        return (0, 0), {}
    made = {f"thumb_{side}": ImageOps.fit(picture, (side, side)) for side in SQUARES}
    for side in SIDES:
        if side == SIDES[0] or side < max(picture.size):
            made[f"thumb_{side}"] = small = picture.copy()
            small.thumbnail((side, side))
    return picture.size, {name: (*small.size, _jpeg(small)) for name, small in made.items()}


def _jpeg(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=85)
    return file.getvalue()


class World:
    """What there is. Every method is safe in any thread."""

    def __init__(self, url: str, scopes: Iterable[str]) -> None:
        self.lock = threading.RLock()
        self.url = url
        self.teams: dict[str, Team] = {}
        self.people: dict[str, Person] = {}
        self.channels: dict[str, Channel] = {}
        self.apps: dict[str, App] = {}
        self.installations: dict[tuple[str, str], Installation] = {}
        self.tokens: dict[str, Installation] = {}
        self.bad_tokens: dict[str, str] = {}
        self.files: dict[str, StoredFile] = {}
        self._uploads: dict[str, Upload] = {}
        self._paths: dict[str, tuple[StoredFile, str]] = {}
        self._made: dict[bytes, tuple[tuple[int, int], dict[str, tuple[int, int, bytes]]]] = {}
        self._pending: dict[str, None] = {}
        self._known: dict[str, Delivery] = {}
        self._triggers: dict[str, tuple[float, str]] = {}
        self._used_triggers: set[str] = set()
        self._response_urls: dict[str, ResponseUrl] = {}
        self._open_views: dict[str, Viewed] = {}
        self._homes: dict[tuple[str, str], str] = {}
        self._ephemeral: dict[tuple[str, str], Json] = {}
        self._numbers = 0
        self._last_ts = 0
        self.deliveries: list[Delivery] = []
        self.forget_records()
        self.team(TEAM, "Faces", "faces")
        self.team(OTHER_TEAM, "Others", "others")
        self.person(ADA, name="ada")
        self.person(EVE, name="eve", is_admin=True)
        self.person(GUEST, name="guest", is_restricted=True)
        self.person(ROBOT, name="robot", is_bot=True, bot_id="B0ROBOT01")
        self.person(STRANGER, OTHER_TEAM, name="stranger")
        self.person(OTHER_OWNER, OTHER_TEAM, name="owner", is_admin=True)
        people = {ADA, EVE, GUEST, ROBOT}
        self.channel(GENERAL, name="general", members=people)
        self.channel(RANDOM, name="random", members=people)
        self.channel(PRIVATE, name="private", kind="group", members=people)
        self.channel(GROUP_DM, name="mpdm-ada--eve--face2emoji-1", kind="mpim", members={ADA, EVE})
        self.channel(ARCHIVED, name="archived", members=people, is_archived=True)
        self.channel(CONNECT, name="connect", members={ADA, STRANGER}, teams={TEAM, OTHER_TEAM})
        app = App(APP, "Face2Emoji", CLIENT_ID, CLIENT_SECRET, SIGNING_SECRET, APP_TOKEN, set(EVENTS))
        self.apps[APP] = app
        self._add_bot(Installation(app, TEAM, BOT_USER, BOT_ID, list(scopes), BOT_TOKEN, EVE))

    def forget_records(self) -> None:
        """Start counting anew; the world and what is not acknowledged yet stay."""
        with self.lock:
            self.calls: list[Call] = []
            self.sent: list[Sent] = []
            self.edited: list[Sent] = []
            self.reactions: list[Reacted] = []
            self.views: list[Viewed] = []
            self.responses: list[Json] = []
            self.downloads: list[Download] = []
            self.violations: list[Violation] = []
            self.deliveries = [delivery for delivery in self.deliveries if delivery.state == "pending"]

    def number(self) -> int:
        with self.lock:
            self._numbers += 1
            return self._numbers

    def new_id(self, letter: str) -> str:
        return f"{letter}0{self.number():08X}"

    def new_ts(self) -> str:
        """The time as Slack names a message by it; never the same twice."""
        with self.lock:
            self._last_ts = max(self._last_ts + 1, time.time_ns() // 1000)
            return f"{self._last_ts // 10**6}.{self._last_ts % 10**6:06}"

    # Workspaces and people

    def team(self, team_id: str, name: str = "", domain: str = "", *, emoji: Mapping[str, str] | None = None) -> Team:
        """Make a workspace, or give it emoji of its own."""
        with self.lock:
            team = self.teams.setdefault(team_id, Team(team_id, name or team_id, domain or team_id.lower()))
            team.emoji.update(emoji or {})
            return team

    def person(self, user_id: str = "", team: str = TEAM, *, picture: bytes | None = None, **changes: Any) -> Person:
        """Make somebody, or change what is given: a picture or any field of `Person`."""
        with self.lock:
            user_id = user_id or self.new_id("U")
            person = self.people.setdefault(user_id, Person(user_id, team, user_id.lower()))
            for name, value in changes.items():
                if not hasattr(person, name):
                    raise TypeError(f"a person has no {name}")
                setattr(person, name, value)
            if picture is not None:
                with Image.open(io.BytesIO(picture)) as opened:
                    whole = opened.convert("RGB")
                person.pictures = {str(size): _jpeg(ImageOps.fit(whole, (size, size))) for size in AVATARS}
                person.pictures["original"] = picture
            return person

    def channel(
        self,
        channel_id: str = "",
        *,
        team: str = TEAM,
        name: str = "",
        kind: Kind = "channel",
        members: Iterable[str] = (),
        teams: Iterable[str] = (),
        is_archived: bool | None = None,
        bots: bool = True,
    ) -> Channel:
        """Make a channel, or change what is given of one; without `bots` a new one has no bot of an app in it."""
        with self.lock:
            channel_id = channel_id or self.new_id("D" if kind == "im" else "C")
            channel = self.channels.get(channel_id)
            if channel is None:
                channel = self.channels[channel_id] = Channel(channel_id, team, name or channel_id.lower(), kind)
                channel.teams = {team, *teams}
                if bots:
                    installed = self.installations.values()
                    channel.members = {held.bot_user for held in installed if held.team in channel.teams}
            channel.members |= set(members)
            channel.is_archived = channel.is_archived if is_archived is None else is_archived
            return channel

    def dm(self, user: str = ADA, app: str = APP) -> str:
        """The direct messages of a person and an app's bot; the channel's id."""
        with self.lock:
            installation = self.installation(app, self.people[user].team)
            members = {user, installation.bot_user}
            known = (held for held in self.channels.values() if held.kind == "im" and held.members == members)
            channel = next(known, None)
            if channel is None:
                channel = self.channel(team=installation.team, kind="im", members=members, bots=False)
            return channel.id

    # Apps

    def app(self, name: str = "Second", *, team: str = TEAM, scopes: Iterable[str] = SCOPES) -> Installation:
        """One more app, with a bot in all channels where the first one has its own."""
        with self.lock:
            number = self.number()
            app = App(
                self.new_id("A"),
                name,
                f"{number}.{number}",
                f"{number:032x}",
                f"{number:032x}",
                f"xapp-1-{number}-{'test' * 16}",
                set(EVENTS),
            )
            self.apps[app.id] = app
            return self.install(app.id, team, scopes)

    def install(self, app: str = APP, team: str = OTHER_TEAM, scopes: Iterable[str] = SCOPES) -> Installation:
        """Install an app, or install it again, which gives it a new token."""
        with self.lock:
            held = self.apps[app]
            old = self.installations.get((app, team))
            installer = next(person.id for person in self.people.values() if person.team == team and person.is_admin)
            bot_user = old.bot_user if old else self.new_id("U")
            bot_id = old.bot_id if old else self.new_id("B")
            installation = Installation(held, team, bot_user, bot_id, list(scopes), "", installer)
            self.new_tokens(installation)
            self._add_bot(installation, is_new=old is None)
            return installation

    def new_tokens(self, installation: Installation) -> None:
        number = self.number()
        installation.token = f"xoxb-{number}-{number}-{'test' * 6}"
        if installation.app.rotates_tokens:
            installation.token = f"xoxe.xoxb-1-{number}-{'test' * 24}"
            installation.refresh_token = f"xoxe-1-{number}-{'test' * 24}"
        self.tokens[installation.token] = installation

    def _add_bot(self, installation: Installation, *, is_new: bool = True) -> None:
        app = installation.app
        name = app.name.lower()
        self.installations[app.id, installation.team] = installation
        self.tokens[installation.token] = installation
        self.people[installation.bot_user] = Person(
            installation.bot_user, installation.team, name, is_bot=True, bot_id=installation.bot_id, app_id=app.id
        )
        for channel in self.channels.values():
            if is_new and installation.team in channel.teams and channel.kind != "im" and channel.id != RANDOM:
                channel.members.add(installation.bot_user)

    def installation(self, app: str = APP, team: str = TEAM) -> Installation:
        return self.installations[app, team]

    # Files

    def file(
        self,
        data: bytes = b"",
        *,
        name: str = "selfie.jpg",
        mimetype: str = "image/jpeg",
        user: str = ADA,
        mode: str = "hosted",
        thumbs: bytes | bool = True,
        foreign: bool = False,
        size: int | None = None,
        file_id: str = "",
    ) -> Json:
        """A file to post.

        Args:
            data: its bytes; those of a picture get thumbnails as Slack makes them.
            mode: "external" lives elsewhere; of "tombstone" and "hidden_by_limit" nothing is left but the id.
            thumbs: a picture to make the thumbnails from, such as the JPEG of a HEIC; False for none.
            foreign: its URLs lead to another host, where no token may come.
            size: lets it claim to be larger or smaller than it is.
        """
        with self.lock:
            team, file_id = self.people[user].team, file_id or self.new_id("F")
            if mode in ("tombstone", "hidden_by_limit"):
                shape: Json = {"id": file_id, "mode": mode}
                self.files[file_id] = StoredFile(shape, {team}, {})
                return shape
            host = self.foreign_url if foreign else self.url
            now = int(time.time())
            ending = name.rpartition(".")[2].lower()
            shape = {
                "id": file_id,
                "created": now,
                "timestamp": now,
                "name": name,
                "title": name,
                "mimetype": mimetype,
                "filetype": "jpg" if ending == "jpeg" else ending,
                "pretty_type": ending.upper(),
                "user": user,
                "user_team": team,
                "editable": False,
                "size": len(data) if size is None else size,
                "mode": mode,
                "is_external": mode == "external",
                "external_type": "gdrive" if mode == "external" else "",
                "is_public": True,
                "public_url_shared": False,
                "display_as_bot": False,
                "username": "",
                "url_private": f"{host}/files-pri/{team}-{file_id}/{name}",
                "media_display_type": "unknown",
                "permalink": f"{self.url}/files/{user}/{file_id}/{name}",
                "has_rich_preview": False,
                "file_access": "visible",
            }
            stored = StoredFile(shape, {team}, {"original": data})
            self.files[file_id] = stored
            self._paths[f"{team}-{file_id}/{name}"] = (stored, "original")
            if mode == "external":
                return shape
            shape["url_private_download"] = f"{host}/files-pri/{team}-{file_id}/download/{name}"
            self._paths[f"{team}-{file_id}/download/{name}"] = (stored, "original")
            if thumbs:
                self._add_thumbnails(stored, data if thumbs is True else thumbs, host)
            return shape

    def _add_thumbnails(self, stored: StoredFile, picture: bytes, host: str) -> None:
        shape = stored.shape
        if picture not in self._made:
            self._made[picture] = thumbnails(picture)
        (width, height), made = self._made[picture]
        if not made:
            return
        folder, stem = f"{shape['user_team']}-{shape['id']}-0123456789", shape["name"].rpartition(".")[0]
        shape |= {"image_exif_rotation": 1, "original_w": width, "original_h": height}
        for name, (wide, high, content) in made.items():
            path = f"{folder}/{stem}_{name.removeprefix('thumb_')}.jpg"
            stored.renditions[name] = content
            self._paths[path] = (stored, name)
            shape[name] = f"{host}/files-tmb/{path}"
            if int(name.removeprefix("thumb_")) not in SQUARES:
                shape |= {f"{name}_w": wide, f"{name}_h": high}

    def find_file(self, path: str) -> tuple[StoredFile, str] | None:
        """The file and rendition behind the path of a URL, without its first folder."""
        return self._paths.get(path)

    @property
    def foreign_url(self) -> str:
        """This server under the name of another host."""
        return self.url.replace("127.0.0.1", "localhost")

    # Shapes

    def user_shape(self, person: Person, seen_from: str, include_locale: bool) -> Json:
        """As `users.info` has it for somebody of a workspace."""
        name = person.name.title()
        profile: Json = {
            "real_name": name,
            "display_name": person.name,
            "avatar_hash": "g0123456789a",
            "team": person.team,
        }
        for size in [*map(str, AVATARS), *(["original"] if person.pictures else [])]:
            profile[f"image_{size}"] = f"{self.url}/avatars/{person.id}/{size}.jpg"
        if person.pictures:
            profile["is_custom_image"] = True
        if person.is_bot:
            profile |= {"bot_id": person.bot_id, "api_app_id": person.app_id}
        shape: Json = {
            "id": person.id,
            "team_id": person.team,
            "name": person.name,
            "deleted": person.deleted,
            "color": "9f69e7",
            "real_name": name,
            "tz": "Europe/Berlin",
            "tz_label": "Central European Time",
            "tz_offset": 3600,
            "profile": profile,
            "is_admin": person.is_admin,
            "is_owner": False,
            "is_primary_owner": False,
            "is_restricted": person.is_restricted,
            "is_ultra_restricted": person.is_ultra_restricted,
            "is_bot": person.is_bot,
            "is_app_user": False,
            "updated": int(time.time()),
        }
        if person.team != seen_from:
            shape["is_stranger"] = True
        if include_locale:
            shape["locale"] = person.locale
        return shape

    def channel_shape(self, channel: Channel, installation: Installation) -> Json:
        """As `conversations.info` has it for a bot."""
        shape: Json = {
            "id": channel.id,
            "created": 1_700_000_000,
            "is_archived": channel.is_archived,
            "is_im": channel.kind == "im",
            "is_org_shared": False,
            "context_team_id": installation.team,
        }
        if channel.kind == "im":
            (user,) = channel.members - {installation.bot_user}
            return shape | {"user": user, "is_user_deleted": self.people[user].deleted, "is_open": True}
        return shape | {
            "name": channel.name,
            "name_normalized": channel.name,
            "is_channel": channel.kind == "channel",
            "is_group": channel.kind == "group",
            "is_mpim": channel.kind == "mpim",
            "is_private": channel.kind != "channel",
            "is_general": channel.id == GENERAL,
            "is_shared": channel.is_shared,
            "is_ext_shared": channel.is_shared,
            "is_pending_ext_shared": False,
            "is_member": installation.bot_user in channel.members,
            "creator": EVE,
        }

    def event_shape(self, channel: Channel, message: Json) -> Json:
        """A message as an event has it."""
        return message | {"channel": channel.id, "event_ts": message["ts"], "channel_type": channel.kind}

    # What people do

    def text(
        self,
        text: str = "hello",
        channel: str = GENERAL,
        user: str = ADA,
        *,
        thread_ts: str | None = None,
        files: Sequence[Json] = (),
        stubs: bool | None = None,
        deliver: bool = True,
        **fields: Any,
    ) -> Json:
        """Post a message and return it as its event has it.

        Args:
            files: what `file` returned.
            stubs: whether the event has only stubs of the files; by default only from Slack Connect.
            deliver: tell the apps, as Slack does. Without, the message is only in the history.
            fields: anything else; `subtype="bot_message"` takes the user away.
        """
        with self.lock:
            place, person = self.channels[channel], self.people[user]
            place.members.add(user)
            message: Json = {"type": "message", "user": user, "ts": self.new_ts(), "text": text}
            if files:
                message |= {"subtype": "file_share", "files": list(files), "upload": False, "display_as_bot": False}
                for shape in files:
                    self.files[shape["id"]].teams |= place.teams
            else:
                message |= {"team": person.team}
            if not person.is_bot:
                message["client_msg_id"] = str(uuid.uuid4())
            if person.bot_id:
                message["bot_id"] = person.bot_id
            if place.is_shared:
                message |= {"user_team": person.team, "source_team": person.team}
            message |= fields
            if message.get("subtype") == "bot_message":
                message |= {"username": person.name}
                del message["user"]
            self._put(place, message, thread_ts)
            event = self.event_shape(place, message)
            if files and (place.is_shared if stubs is None else stubs):
                event["files"] = [stub(shape) for shape in files]
            if deliver:
                self._tell(place, event)
            return event

    def photo(
        self,
        data: bytes | Json | Sequence[bytes | Json],
        channel: str = GENERAL,
        user: str = ADA,
        text: str = "",
        **options: Any,
    ) -> Json:
        """Post one photo or several, each given as bytes or as `file` returned it; options as for `text`."""
        each = [data] if isinstance(data, bytes | dict) else data
        files = [self.file(one, user=user) if isinstance(one, bytes) else one for one in each]
        return self.text(text, channel, user, files=files, **options)

    def mention(
        self,
        text: str = "",
        channel: str = GENERAL,
        user: str = ADA,
        *,
        data: bytes | Json | Sequence[bytes | Json] = (),
        app: str = APP,
        **options: Any,
    ) -> Json:
        """Post a message that names the bot, with or without photos."""
        bot_user = self.installation(app, self._team_for(app, channel)).bot_user
        return self.photo(data, channel, user, f"<@{bot_user}> {text}".strip(), **options)

    def edit(self, message: Json, text: str) -> Json:
        """Change the text of a message; the event comes back."""
        with self.lock:
            place = self.channels[message["channel"]]
            held = place.messages[message["ts"]]
            before = dict(held)
            held |= {"text": text, "edited": {"user": held.get("user", ""), "ts": self.new_ts()}}
            return self._tell_changed(place, "message_changed", message=dict(held), previous_message=before)

    def delete(self, message: Json) -> Json:
        """Delete a message; the event comes back."""
        with self.lock:
            place = self.channels[message["channel"]]
            held = place.messages.pop(message["ts"])
            place.deleted.add(held["ts"])
            return self._tell_changed(place, "message_deleted", deleted_ts=held["ts"], previous_message=held)

    def react(self, message: Json, name: str, user: str = ADA) -> None:
        """Add a person's reaction to a message."""
        with self.lock:
            place = self.channels[message["channel"]]
            self._add_reaction(place, place.messages[message["ts"]], name, user)

    def joined(self, channel: str, inviter: str = EVE, app: str = APP) -> None:
        """Invite the bot of an app to a channel."""
        with self.lock:
            place = self.channels[channel]
            bot_user = self.installation(app, place.team).bot_user
            place.members.add(bot_user)
            text = f"<@{bot_user}> has joined the channel"
            message = {"type": "message", "subtype": "channel_join", "ts": self.new_ts(), "user": bot_user}
            message |= {"text": text, "inviter": inviter}
            self._put(place, message, None)
            self._tell(place, self.event_shape(place, message))
            event = {
                "type": "member_joined_channel",
                "user": bot_user,
                "channel": channel,
                "channel_type": channel[0],
                "team": place.team,
                "inviter": inviter,
                "event_ts": message["ts"],
            }
            self._tell(place, event)

    def open_home(self, user: str = ADA, tab: str = "home", app: str = APP) -> Delivery:
        """Open a tab of the app's home."""
        with self.lock:
            event: Json = {
                "type": "app_home_opened",
                "user": user,
                "channel": self.dm(user, app),
                "tab": tab,
                "event_ts": self.new_ts(),
            }
            if tab == "home" and (app, user) in self._homes:
                event["view"] = self._open_views[self._homes[app, user]].view
            return self.event(event, app, self.people[user].team)

    def uninstall(self, team: str = TEAM, app: str = APP) -> list[Delivery]:
        """Take an app out of a workspace: its tokens end, its bot is gone, and it is told twice."""
        with self.lock:
            installation = self.installations[app, team]
            self._end_tokens(installation, "account_inactive")
            revoked = {"oauth": [], "bot": [installation.bot_user]}
            deliveries = [
                self.event({"type": "app_uninstalled", "event_ts": self.new_ts()}, app, team),
                self.event({"type": "tokens_revoked", "tokens": revoked, "event_ts": self.new_ts()}, app, team),
            ]
            for channel in self.channels.values():
                channel.members.discard(installation.bot_user)
            return deliveries

    def tokens_revoked(self, team: str = TEAM, app: str = APP) -> Delivery:
        """End the tokens of an app in a workspace."""
        with self.lock:
            installation = self.installations[app, team]
            self._end_tokens(installation, "token_revoked")
            revoked = {"oauth": [], "bot": [installation.bot_user]}
            return self.event({"type": "tokens_revoked", "tokens": revoked, "event_ts": self.new_ts()}, app, team)

    def expire_tokens(self, team: str = TEAM, app: str = APP) -> None:
        """Let the tokens of an app in a workspace be too old; a refresh token still works."""
        self._end_tokens(self.installations[app, team], "token_expired")

    def _end_tokens(self, installation: Installation, error: str) -> None:
        with self.lock:
            for token, held in list(self.tokens.items()):
                if held is installation or (held.app.id, held.team) == (installation.app.id, installation.team):
                    del self.tokens[token]
                    self.bad_tokens[token] = error

    def command(
        self, command: str = "/face2emoji", text: str = "", channel: str = GENERAL, user: str = ADA, app: str = APP
    ) -> Delivery:
        """Run a slash command."""
        with self.lock:
            place, person = self.channels[channel], self.people[user]
            names = {"im": "directmessage", "group": "privategroup"}
            payload = {
                "token": "verification",
                "team_id": person.team,
                "team_domain": self.teams[person.team].domain,
                "channel_id": channel,
                "channel_name": names.get(place.kind, place.name),
                "user_id": user,
                "user_name": person.name,
                "command": command,
                "text": text,
                "api_app_id": app,
                "is_enterprise_install": "false",
                "response_url": self._new_response_url("commands", channel, user, app),
                "trigger_id": self._new_trigger(user),
            }
            return self._send("slash_commands", app, payload)

    def shortcut(self, callback_id: str, message: Json | None = None, user: str = ADA, app: str = APP) -> Delivery:
        """Use a message shortcut on a message, or without one a global shortcut."""
        with self.lock:
            payload = self._interaction("message_action" if message else "shortcut", user, app)
            payload |= {"callback_id": callback_id, "action_ts": self.new_ts()}
            if message:
                place = self.channels[message["channel"]]
                payload |= {
                    "channel": {"id": place.id, "name": place.name},
                    "message_ts": message["ts"],
                    "message": place.messages[message["ts"]],
                    "response_url": self._new_response_url("actions", place.id, user, app, message["ts"]),
                }
            return self._send("interactive", app, payload)

    def press(self, target: Json | Sent | Viewed, action_id: str, user: str = ADA) -> Delivery:
        """Press a button in a message (also one that only its reader sees), or in a view."""
        held = target if isinstance(target, dict) else vars(target)
        with self.lock:
            if "ts" in held:
                return self._press_in_message(held["channel"], held["ts"], action_id, user)
            viewed = self._open_views[held["id"]]
            payload = self._interaction("block_actions", user, viewed.app)
            payload |= {
                "container": {"type": "view", "view_id": viewed.id},
                "view": viewed.view,
                "actions": [self._action(viewed.view["blocks"], action_id)],
            }
            return self._send("interactive", viewed.app, payload)

    def _press_in_message(self, channel: str, ts: str, action_id: str, user: str) -> Delivery:
        place = self.channels[channel]
        is_ephemeral = (channel, ts) in self._ephemeral
        message = self._ephemeral[channel, ts] if is_ephemeral else place.messages[ts]
        app = message["app_id"]
        payload = self._interaction("block_actions", user, app)
        payload |= {
            "container": {
                "type": "message",
                "message_ts": ts,
                "channel_id": channel,
                "is_ephemeral": is_ephemeral,
            },
            "channel": {"id": channel, "name": "directmessage" if place.kind == "im" else place.name},
            "state": {"values": {}},
            "response_url": self._new_response_url("actions", channel, user, app, ts),
            "actions": [self._action(message["blocks"], action_id)],
        }
        # Of a message that only one person sees, nothing is kept that could be sent along.
        if not is_ephemeral:
            payload["message"] = message
        return self._send("interactive", app, payload)

    def _action(self, blocks: list[Json], action_id: str) -> Json:
        block, element = next(found for found in find_elements(blocks) if found[1]["action_id"] == action_id)
        wanted = {name: element[name] for name in ("type", "action_id", "text", "value") if name in element}
        return wanted | {"block_id": block["block_id"], "action_ts": self.new_ts()}

    def submit_view(
        self,
        view: Json | Viewed,
        values: Mapping[str, Any] | None = None,
        files: Sequence[bytes | Json] = (),
    ) -> Delivery:
        """Submit a modal, as the person who has it open.

        Args:
            values: by action_id: the text of an input, or the values of the checkboxes that are ticked.
            files: what goes into the file input.
        """
        with self.lock:
            viewed = self._open_views[view["id"] if isinstance(view, dict) else view.id]
            stored = [self.file(one, user=viewed.user) if isinstance(one, bytes) else one for one in files]
            state: Json = {}
            for block, element in find_elements(viewed.view["blocks"]):
                value = (values or {}).get(element["action_id"])
                state.setdefault(block["block_id"], {})[element["action_id"]] = _filled(element, value, stored)
            submitted = viewed.view | {"state": {"values": state}}
            payload = self._interaction("view_submission", viewed.user, viewed.app)
            return self._send("interactive", viewed.app, payload | {"view": submitted, "response_urls": []})

    def _interaction(self, kind: str, user: str, app: str) -> Json:
        person = self.people[user]
        return {
            "type": kind,
            "token": "verification",
            "api_app_id": app,
            "team": {"id": person.team, "domain": self.teams[person.team].domain},
            "user": {"id": user, "username": person.name, "name": person.name, "team_id": person.team},
            "enterprise": None,
            "is_enterprise_install": False,
            "trigger_id": self._new_trigger(user),
        }

    def _new_trigger(self, user: str) -> str:
        trigger = f"{self.number()}.{self.number()}.{uuid.uuid4().hex}"
        self._triggers[trigger] = (time.monotonic() + TRIGGER_SECONDS, user)
        return trigger

    def _new_response_url(self, kind: str, channel: str, user: str, app: str, original: str | None = None) -> str:
        number = uuid.uuid4().hex
        self._response_urls[number] = ResponseUrl(channel, user, self.apps[app], original)
        return f"{self.url}/{kind}/{number}"

    # What apps are told

    def event(self, event: Json, app: str = APP, team: str = TEAM, channel: str | None = None) -> Delivery:
        """Send an event of any kind to an app."""
        with self.lock:
            installation = self.installations[app, team]
            place = self.channels.get(channel or "")
            payload = {
                "token": "verification",
                # In Slack Connect it is the author's, which need not have the app.
                "team_id": event.get("user_team", team),
                "context_team_id": team,
                "context_enterprise_id": None,
                "api_app_id": app,
                "event": event,
                "type": "event_callback",
                "event_id": self.new_id("Ev"),
                "event_time": int(time.time()),
                "authorizations": [
                    {
                        "enterprise_id": None,
                        "team_id": team,
                        "user_id": installation.bot_user,
                        "is_bot": True,
                        "is_enterprise_install": False,
                    }
                ],
                "is_ext_shared_channel": place is not None and place.is_shared,
                "event_context": f"4-{self.number()}",
            }
            return self._send("events_api", app, payload)

    def _team_for(self, app: str, channel: str) -> str:
        place = self.channels[channel]
        return next(team for team in [place.team, *sorted(place.teams)] if (app, team) in self.installations)

    def _tell(self, channel: Channel, event: Json) -> None:
        """Send an event in a channel to each app whose bot is in there, and a mention to who is mentioned."""
        told: set[str] = set()
        for (app, team), installation in list(self.installations.items()):
            # Of several workspaces with the same app, one is told.
            if installation.bot_user not in channel.members or app in told:
                continue
            told.add(app)
            if _hears(installation, event, channel):
                self.event(event, app, team, channel.id)
            is_named = f"<@{installation.bot_user}>" in event.get("text", "")
            if is_named and event["type"] == "message" and event.get("subtype") in (None, "file_share"):
                mention = {name: value for name, value in event.items() if name not in ("subtype", "channel_type")}
                mention["type"] = "app_mention"
                if channel.kind != "im" and _hears(installation, mention, channel):
                    self.event(mention, app, team, channel.id)

    def _tell_changed(self, channel: Channel, subtype: str, **fields: Any) -> Json:
        event: Json = {
            "type": "message",
            "subtype": subtype,
            "hidden": True,
            "channel": channel.id,
            "ts": self.new_ts(),
        }
        event |= {**fields, "event_ts": event["ts"], "channel_type": channel.kind}
        self._tell(channel, event)
        return event

    def _send(self, kind: DeliveryKind, app: str, payload: Json) -> Delivery:
        delivery_id = payload["event_id"] if kind == "events_api" else str(uuid.uuid4())
        # What is sent is what was so now, whatever becomes of the message meanwhile.
        payload = json.loads(json.dumps(payload))
        delivery = Delivery(delivery_id, kind, app, payload)
        self.deliveries.append(delivery)
        self._known[delivery_id] = delivery
        self._pending[delivery_id] = None
        self.start(delivery)
        return delivery

    def start(self, delivery: Delivery) -> None:
        """Begin to deliver; to be defined by who can."""
        raise NotImplementedError

    # What bots do

    def _put(self, channel: Channel, message: Json, thread_ts: str | None) -> None:
        """Keep a message, in a thread if one is given."""
        if thread_ts is not None:
            message["thread_ts"] = thread_ts
            if parent := channel.messages.get(thread_ts):
                message["parent_user_id"] = parent.get("user", "")
                parent |= {"thread_ts": thread_ts, "reply_count": parent.get("reply_count", 0) + 1}
        channel.messages[message["ts"]] = message

    def _with_ids(self, blocks: list[Json]) -> list[Json]:
        copies: list[Json] = json.loads(json.dumps(blocks))
        for block in copies:
            block.setdefault("block_id", f"b{self.number()}")
            for element in block.get("elements", []) if block["type"] == "actions" else []:
                element.setdefault("action_id", f"a{self.number()}")
        return copies

    def _bot_message(self, installation: Installation, content: Json) -> Json:
        message: Json = {
            "type": "message",
            "user": installation.bot_user,
            "ts": self.new_ts(),
            "bot_id": installation.bot_id,
            "app_id": installation.app.id,
            "team": installation.team,
            "bot_profile": {
                "id": installation.bot_id,
                "app_id": installation.app.id,
                "name": installation.app.name,
                "team_id": installation.team,
                "deleted": False,
                "updated": 1_700_000_000,
            },
            **content,
        }
        if installation.app.is_legacy:
            message |= {"subtype": "bot_message", "username": installation.app.name}
            del message["user"]
        return message

    def _note_sent(self, channel: Channel, message: Json, via: str, ephemeral_to: str | None = None) -> Sent:
        return Sent(
            channel.id,
            message["ts"],
            message["text"],
            message["blocks"],
            message.get("thread_ts"),
            ephemeral_to,
            message["app_id"],
            via,
            message.get("files", []),
        )

    def _change(self, channel: Channel, message: Json, content: Json, via: str) -> None:
        before = dict(message)
        message |= {**content, "edited": {"user": message.get("user", ""), "ts": self.new_ts()}}
        self.edited.append(self._note_sent(channel, message, via))
        if message["ts"] in channel.messages:
            self._tell_changed(channel, "message_changed", message=dict(message), previous_message=before)

    def _add_reaction(self, channel: Channel, message: Json, name: str, user: str) -> None:
        reactions = message.setdefault("reactions", [])
        held = next((reaction for reaction in reactions if reaction["name"] == name), None)
        if held is not None and user in held["users"]:
            raise ApiError("already_reacted")
        if held is None:
            if len(reactions) >= MOST_EMOJI:
                raise ApiError("too_many_emoji")
            held = {"name": name, "users": [], "count": 0}
            reactions.append(held)
        held["users"].append(user)
        held["count"] += 1
        event = {
            "type": "reaction_added",
            "user": user,
            "reaction": name,
            "item_user": message.get("user", ""),
            "item": {"type": "message", "channel": channel.id, "ts": message["ts"]},
            "event_ts": self.new_ts(),
        }
        self._tell(channel, event)

    def _new_view(self, installation: Installation, user: str, method: str, view: Json) -> Json:
        view_id = self.new_id("V")
        shape = {
            "id": view_id,
            "team_id": installation.team,
            "app_id": installation.app.id,
            "app_installed_team_id": installation.team,
            "bot_id": installation.bot_id,
            "root_view_id": view_id,
            "previous_view_id": None,
        }
        held = Viewed(view_id, user, installation.app.id, method, shape)
        self._open_views[view_id] = held
        return self._keep_view(held, method, view)

    def _keep_view(self, held: Viewed, method: str, view: Json) -> Json:
        """Show a view in the place of what was there."""
        empty = {"private_metadata": "", "callback_id": "", "external_id": "", "state": {"values": {}}}
        own = ("id", "team_id", "app_id", "app_installed_team_id", "bot_id", "root_view_id", "previous_view_id")
        shape = {name: held.view[name] for name in own} | empty | view
        shape |= {"blocks": self._with_ids(view["blocks"]), "hash": f"{self.new_ts()}.{self.number():08x}"}
        now = Viewed(held.id, held.user, held.app, method, shape)
        self._open_views[held.id] = now
        self.views.append(now)
        return shape

    def _answer_in(self, held: ResponseUrl, body: Json, via: str) -> None:
        """Take a message that answers an interaction: a new one, or one in the place of the original."""
        place = self.channels[held.channel]
        original = held.original or ""
        message = place.messages.get(original) or self._ephemeral.get((place.id, original))
        if body.get("delete_original"):
            if message is not None:
                place.messages.pop(original, None)
                self._ephemeral.pop((place.id, original), None)
                self.edited.append(self._note_sent(place, {**message, "text": "", "blocks": []}, via))
            return
        try:
            content = self._content(via, body)
        except ApiError:
            # It is among the violations now.
            return
        if body.get("replace_original") and message is not None:
            self._change(place, message, content, via)
            return
        team = self._team_for(held.app.id, held.channel)
        answer = self._bot_message(self.installation(held.app.id, team), content)
        if body.get("response_type", "ephemeral") == "in_channel":
            self._put(place, answer, body.get("thread_ts"))
            self.sent.append(self._note_sent(place, answer, via))
            self._tell(place, self.event_shape(place, answer))
            return
        self._ephemeral[place.id, answer["ts"]] = answer
        self.sent.append(self._note_sent(place, answer, via, held.user))

    def _content(self, method: str, args: Json) -> Json:
        """Text and blocks of a call, checked, with the ids that Slack adds."""
        text, blocks = args.get("text", ""), args.get("blocks") or []
        if not (text or blocks or args.get("attachments") or args.get("markdown_text")):
            self._note_problems(method, ["neither text nor blocks"], args)
            raise ApiError("no_text")
        if len(text) > 40_000:
            self._note_problems(method, ["text longer than 40000"], args)
            raise ApiError("msg_too_long")
        if problems := list(problems_of_blocks(blocks)):
            error = "invalid_blocks" if isinstance(blocks, list) else "invalid_blocks_format"
            self._refuse_arguments(method, problems, args, error)
        return {"text": text, "blocks": self._with_ids(blocks)}

    def _note_problems(self, method: str, problems: Iterable[str], args: Json) -> None:
        with self.lock:
            self.violations += [Violation(method, problem, args) for problem in problems]

    def _refuse_arguments(
        self, method: str, problems: Sequence[str], args: Json, error: str = "invalid_arguments"
    ) -> NoReturn:
        self._note_problems(method, problems, args)
        raise ApiError(error, response_metadata={"messages": [f"[ERROR] {problem}" for problem in problems]})


def _hears(installation: Installation, event: Json, channel: Channel) -> bool:
    """Tell whether an app asked for such an event, and may have it."""
    name = event["type"]
    plural = PLURAL[channel.kind]
    scopes = {
        "message": f"{plural}:history",
        "app_mention": "app_mentions:read",
        "member_joined_channel": f"{plural}:read",
        "reaction_added": "reactions:read",
    }
    subscription = f"message.{plural}" if name == "message" else name
    return subscription in installation.app.events and scopes[name] in installation.scopes


def _filled(element: Json, value: Any, files: Sequence[Json]) -> Json:
    """What an input holds when its modal is submitted."""
    if element["type"] == "file_input":
        return {"type": "file_input", "files": list(files)}
    if element["type"] == "checkboxes":
        chosen = [option for option in element["options"] if option["value"] in (value or ())]
        return {"type": "checkboxes", "selected_options": chosen}
    return {"type": element["type"], "value": value}


def stub(shape: Json) -> Json:
    """A file as events from Slack Connect have it: to be asked for with `files.info`."""
    return {
        "id": shape["id"],
        "mode": "file_access",
        "file_access": "check_file_info",
        "created": 0,
        "timestamp": 0,
        "user": "",
    }
