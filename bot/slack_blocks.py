"""Answers and windows in Slack's Block Kit. Pure.

The words of an answer travel in the values of its buttons, too: of a message that only one person sees, Slack does not
tell what it says when a button of it is pressed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bot.answers import Message, Rows
from bot.slack_phrases import SlackPhrases

Block = dict[str, Any]

# Slack's limits, in characters.
MOST_HEADER, MOST_SECTION, MOST_VALUE, MOST_LABEL = 150, 3000, 2000, 75

PHOTO_WINDOW = "photo"
PHOTO_INPUT, PHOTO_FILES = "photo", "files"
SHARE_INPUT, SHARE_IN_CHANNEL = "share", "channel"
MASK_INPUT, MASK_FACES, MASK_EVERYONE = "mask", "faces", "everyone"
FILE_TYPES = ("jpg", "jpeg", "png", "webp", "gif", "bmp", "tiff", "heic", "heif", "avif")
FEEDBACK = "feedback"
STOP_READING, RESUME_READING, ERASE = "stop_reading", "resume_reading", "erase"


def of_messages(messages: Sequence[Message]) -> tuple[str, str, Rows]:
    """Return an answer's line of emoji (empty when it has none), its words, and its buttons."""
    *large, last = messages
    return "".join(message.text for message in large), last.text, last.rows


def content(large: str, text: str, rows: Rows, *, above: str, mark: str) -> dict[str, Any]:
    """Return an answer as a message: its blocks, and the same in plain text for notifications and screen readers."""
    return {"text": f"{large} {text}".strip(), "blocks": answer(large, text, rows, above=above, mark=mark)}


def answer(large: str, text: str, rows: Rows = (), *, notice: str = "", above: str = "", mark: str = "") -> list[Block]:
    """Return an answer's blocks.

    Args:
        large: its emoji, if it has any.
        text: its words.
        rows: its buttons.
        notice: a small line between words and buttons.
        above: a small line, in Slack's markup, above everything.
        mark: makes the answer known among a channel's messages.
    """
    blocks: list[Block] = []
    if above:
        blocks.append({"type": "context", "elements": [{"type": "mrkdwn", "text": above}]})
    if large:
        blocks.append({"type": "header", "text": _plain(large[:MOST_HEADER])})
    blocks.append({"type": "section", "text": _plain(text[:MOST_SECTION])})
    if mark:
        blocks[-1]["block_id"] = mark
    if notice:
        blocks.append({"type": "context", "elements": [_plain(notice)]})
    for number, row in enumerate(rows):
        buttons = [
            {
                "type": "button",
                "action_id": f"{FEEDBACK}-{number}-{place}",
                "text": _plain(button.label[:MOST_LABEL]),
                "value": "\n".join([button.data, large, text])[:MOST_VALUE],
            }
            for place, button in enumerate(row)
        ]
        blocks.append({"type": "actions", "elements": buttons})
    return blocks


def pressed(value: str) -> tuple[str, str, str]:
    """Return what a button of an answer carries: its data, and the answer's emoji and words."""
    data, _, words = value.partition("\n")
    large, _, text = words.partition("\n")
    return data, large, text


def photo_window(phrases: SlackPhrases, channel: str, url: str, *, may_share: bool) -> Block:
    """Return the window that asks for photos.

    Args:
        phrases: the reader's language.
        channel: where the window was opened; empty when it was nowhere.
        url: where Slack takes the answer to the command that opens the window.
        may_share: the answer could be shown to everybody there.
    """
    blocks: list[Block] = [
        {
            "type": "input",
            "block_id": PHOTO_INPUT,
            "label": _plain(phrases.modal_photo),
            "hint": _plain(phrases.modal_hint),
            "element": {
                "type": "file_input",
                "action_id": PHOTO_FILES,
                "filetypes": list(FILE_TYPES),
                "max_files": 10,
            },
        }
    ]
    masks = {MASK_FACES: phrases.modal_mask, MASK_EVERYONE: phrases.modal_mask_everyone}
    blocks.append({**_boxes(MASK_INPUT, phrases.modal_masks, masks), "hint": _plain(phrases.modal_mask_hint)})
    if may_share:
        blocks.append(_boxes(SHARE_INPUT, phrases.modal_private, {SHARE_IN_CHANNEL: phrases.modal_share}))
    return {
        "type": "modal",
        "callback_id": PHOTO_WINDOW,
        "private_metadata": f"{channel} {url}",
        "title": _plain(phrases.modal_title),
        "submit": _plain(phrases.modal_submit),
        "close": _plain(phrases.modal_cancel),
        "blocks": blocks,
    }


def _boxes(name: str, label: str, options: Mapping[str, str]) -> Block:
    """Return boxes to tick, each with its value and the words beside it."""
    boxes = [{"text": _plain(text), "value": value} for value, text in options.items()]
    element = {"type": "checkboxes", "action_id": name, "options": boxes}
    return {"type": "input", "block_id": name, "optional": True, "label": _plain(label), "element": element}


def ticked(values: Mapping[str, Any], name: str) -> list[str]:
    """Return the values of the boxes that are ticked in a window that was sent; none where it has no such boxes."""
    options = values.get(name, {}).get(name, {}).get("selected_options") or ()
    return [option["value"] for option in options]


def home(phrases: SlackPhrases, settings: Sequence[str], *, is_read: bool) -> Block:
    """Return a person's App Home.

    Args:
        phrases: the reader's language.
        settings: lines about this person's settings.
        is_read: photos that this person posts in channels are read.
    """
    action, label = (STOP_READING, phrases.home_stop) if is_read else (RESUME_READING, phrases.home_resume)
    confirm = {
        "title": _plain(phrases.erase_title),
        "text": _plain(phrases.erase_text),
        "confirm": _plain(phrases.erase_yes),
        "deny": _plain(phrases.erase_no),
    }
    erase = {"action_id": ERASE, "text": _plain(phrases.home_erase), "style": "danger", "confirm": confirm}
    return {
        "type": "home",
        "blocks": [
            {"type": "header", "text": _plain(phrases.home_title)},
            {"type": "section", "text": _plain(phrases.home_text)},
            {"type": "section", "text": _plain(phrases.home_privacy)},
            {"type": "divider"},
            {"type": "header", "text": _plain(phrases.home_settings)},
            {"type": "section", "text": _plain("\n\n".join(settings))},
            {
                "type": "actions",
                "elements": [
                    {"type": "button", "action_id": action, "text": _plain(label)},
                    {"type": "button", **erase},
                ],
            },
        ],
    }


def _plain(text: str) -> Block:
    return {"type": "plain_text", "text": text, "emoji": True}
