"""The Slack app as a manifest: what `python -m bot manifest` prints, for "From a manifest" at https://api.slack.com/apps.

Least privilege: a scope stands here because a call or an event of ours needs it. Words reach a person by posting to the
person's id, which needs no more than chat:write; a picture has to be told the id of the direct messages.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from bot.errors import SettingsError
from bot.settings import Settings, address

COMMAND = "/face2emoji"
EVENTS_PATH = "/slack/events"
INSTALL_PATH = "/slack/install"
CALLBACK_PATH = "/slack/oauth_redirect"

SCOPES: Mapping[str, str] = {
    "app_mentions:read": "See when somebody mentions the bot.",
    "channels:history": "See photos that are posted in public channels with the bot, and find the last one when asked.",
    "channels:read": "Learn when the bot itself is brought into a public channel or taken out of it.",
    "chat:write": "Answer in threads and direct messages, and tell one person what only that person should see.",
    "commands": "Offer /face2emoji and the two shortcuts.",
    "emoji:read": "Check that a custom emoji exists before it is used.",
    "files:read": "Fetch the photos that are to be read.",
    "files:write": "Give a picture back with its faces covered by emoji, to who asks for that.",
    "groups:history": "See photos that are posted in private channels with the bot, and find the last one when asked.",
    "groups:read": "Learn when the bot itself is brought into a private channel or taken out of it.",
    "im:history": "See photos and questions in direct messages with the bot.",
    "im:write": "Find the direct messages with a person, for a picture that nobody else is to see.",
    "mpim:history": "See photos that are posted in group direct messages with the bot.",
    "reactions:write": "React to a photo with its emoji.",
    "users:read": "Tell people from bots, know a person's language, and read one's own profile photo on request.",
}
"""Scope of the bot -> its reason, for admins."""

APP_TOKEN_SCOPE = "connections:write"  # noqa: S105 - a scope's name
"""The only scope of the app token, which Socket Mode needs; a manifest cannot ask for it."""

EVENTS = (
    "app_home_opened",
    "app_mention",
    "app_uninstalled",
    "member_joined_channel",
    "member_left_channel",
    "message.channels",
    "message.groups",
    "message.im",
    "message.mpim",
    "tokens_revoked",
)
"""What Slack tells the bot."""

NEEDS_ADDRESS = (
    "Slack wants an https address here. Add --http https://bot.example.org with the address of your server, "
    "or set FACE2EMOJI_PUBLIC_URL."
)


def manifest(*, socket_mode: bool, public_url: str | None, many: bool) -> dict[str, Any]:
    """Return the manifest of an app that fits this bot.

    Args:
        socket_mode: the bot asks Slack for events; otherwise Slack calls the bot.
        public_url: where the world reaches the bot's web server, without a slash at the end.
        many: for any number of workspaces, which install the app themselves.

    Raises:
        SettingsError: Slack has to reach the bot, and there is no https address for it.
    """
    if (many or not socket_mode) and not (public_url or "").startswith("https://"):
        raise SettingsError(NEEDS_ADDRESS)
    called = {} if socket_mode else {"request_url": f"{public_url}{EVENTS_PATH}"}
    command = {
        "command": COMMAND,
        "description": "Which emoji is this face?",
        "usage_hint": "[me | last | on | off | status | map | help | privacy | forget]",
        "should_escape": False,
    }
    return {
        "display_information": {
            "name": "Face2Emoji",
            "description": "Send a selfie, get the emoji that matches your face.",
            "long_description": (
                "Send Face2Emoji a photo in a direct message, and every face in it gets the emoji of the expression "
                "it shows. In channels it stays quiet until somebody mentions it, chooses its shortcut on a photo, or "
                "switches it on with /face2emoji on; then each photo with a face gets one reaction.\n\n"
                "Photos are read in memory and never stored. Face2Emoji reads faces, not minds: it names the "
                "expression that a face shows, not what a person feels."
            ),
            "background_color": "#2b2000",
        },
        "features": {
            "app_home": {
                "home_tab_enabled": True,
                "messages_tab_enabled": True,
                "messages_tab_read_only_enabled": False,
            },
            "bot_user": {"display_name": "Face2Emoji", "always_online": True},
            "shortcuts": [
                {
                    "name": "Which emoji is this?",
                    "type": "message",
                    "callback_id": "read_message",
                    "description": "Read the faces in this message's photos.",
                },
                {
                    "name": "Read a photo",
                    "type": "global",
                    "callback_id": "read_photo",
                    "description": "Upload a photo and get the emoji of its faces.",
                },
            ],
            "slash_commands": [command if socket_mode else {**command, "url": f"{public_url}{EVENTS_PATH}"}],
        },
        "oauth_config": {
            **({"redirect_urls": [f"{public_url}{CALLBACK_PATH}"]} if many else {}),
            "scopes": {"bot": list(SCOPES)},
        },
        "settings": {
            "event_subscriptions": {**called, "bot_events": list(EVENTS)},
            "interactivity": {"is_enabled": True, **called},
            "org_deploy_enabled": many,
            "socket_mode_enabled": socket_mode,
            "token_rotation_enabled": many,
        },
    }


def manifest_text(settings: Settings, *, http: str | None = None, many: bool = False) -> str:
    """Return the manifest that fits the settings, as JSON; where nothing is set up yet, one for Socket Mode.

    Args:
        settings: what is set up.
        http: Slack is to call the bot at this address, whatever is set up.
        many: for any number of workspaces, even if the settings are for one.

    Raises:
        SettingsError: see `manifest`; or `http` is no address.
    """
    many = many or settings.slack == "many"
    slack_calls = bool(http) or (not settings.slack_app_token and (many or settings.slack_signing_secret is not None))
    try:
        public_url = address(http) if http else settings.public_url
    except ValueError as error:
        raise SettingsError(f"--http is {http!r}: {error}.") from error
    return json.dumps(manifest(socket_mode=not slack_calls, public_url=public_url, many=many), indent=2)
