"""The Slack manifest: inside Slack's limits and of its type, fitting what is set up, asking for what the bot needs."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import SecretStr

from bot.errors import SettingsError
from bot.settings import Settings
from bot.slack_manifest import EVENTS, SCOPES, manifest, manifest_text
from tests import npm
from tests.unavailable import Unavailable, skip_or_fail

Json = dict[str, Any]
SCHEMA = json.loads(Path(__file__).with_name("slack_manifest_schema.json").read_text("utf-8"))
HOME = "https://bot.example.org"
MODES: dict[str, Json] = {
    "socket": {"socket_mode": True, "public_url": None, "many": False},
    "http": {"socket_mode": False, "public_url": HOME, "many": False},
    "many": {"socket_mode": False, "public_url": HOME, "many": True},
    "many_socket": {"socket_mode": True, "public_url": HOME, "many": True},
}
ONE: Json = {"slack_bot_token": SecretStr("xoxb-1")}
SECRET: Json = {"slack_signing_secret": SecretStr("0" * 32)}
SOCKET: Json = {"slack_app_token": SecretStr("xapp-1")}
MANY: Json = {"slack_client_id": "1.2", "slack_client_secret": SecretStr("3")}

# Slack's own type of a manifest knows every event and scope by name, which its JSON schema does not.
SLACK_WEB_API = npm.Package(
    "@slack/web-api",
    "8.2.0",
    "sha512-bIW8/8BLD/HLuHLIA2LfA7AhSokzui4swCbMJuwoRJxn/kzHVla6YEKLvN1nCFHK/DfX7g+4Wj3ess/ZSh/tWQ==",
)
TYPESCRIPT = npm.Package(
    "typescript",
    "5.9.3",
    "sha512-jl1vZzPDinLr9eUt3J/t7V6FgNEw9QjvBPdysz9KfQDD41fQrC2Y4vKQdiaUpFT4bXlb1RHhLpp8wtm6M5TgSw==",
)
# name: what spoils a manifest, and what TypeScript says then. Unknown keys at the very top it takes.
MISTYPED: dict[str, tuple[Callable[[Json], object], str]] = {
    "event": (
        lambda app: app["settings"]["event_subscriptions"]["bot_events"].append("message.channel"),
        "Did you mean '\"message.channels\"'?",
    ),
    "scope": (
        lambda app: app["oauth_config"]["scopes"]["bot"].append("chat.write"),
        "Did you mean '\"chat:write\"'?",
    ),
    "key": (
        lambda app: app["features"]["app_home"].update(home_tab_enable=True),
        "'\"home_tab_enable\"' does not exist in type 'ManifestAppHome'",
    ),
    "missing": (
        lambda app: app["features"]["shortcuts"][1].pop("callback_id"),
        "Property 'callback_id' is missing",
    ),
    "choice": (
        lambda app: app["features"]["shortcuts"][0].update(type="channel"),
        'Type \'"channel"\' is not assignable to type \'"global" | "message"\'',
    ),
    "string": (
        lambda app: app["settings"].update(socket_mode_enabled="true"),
        "Type 'string' is not assignable to type 'boolean | undefined'",
    ),
}

# What Slack's reference says an event and a call need; any one of an event's scopes is enough for it to be sent.
SCOPES_OF_EVENTS = {
    "app_home_opened": set(),
    "app_mention": {"app_mentions:read"},
    "app_uninstalled": set(),
    "member_joined_channel": {"channels:read", "groups:read"},
    "member_left_channel": {"channels:read", "groups:read"},
    "message.channels": {"channels:history"},
    "message.groups": {"groups:history"},
    "message.im": {"im:history"},
    "message.mpim": {"mpim:history"},
    "tokens_revoked": set(),
}
SCOPES_OF_CALLS = {
    "chat.postMessage, chat.postEphemeral": "chat:write",
    "slash command, shortcuts": "commands",
    "emoji.list": "emoji:read",
    "conversations.open": "im:write",
    "files.info, url_private": "files:read",
    "files.getUploadURLExternal, files.completeUploadExternal": "files:write",
    "reactions.add": "reactions:write",
    "users.info": "users:read",
}


def text(**settings: Any) -> str:
    return manifest_text(Settings.model_construct(**settings))


def addresses(app: Json) -> list[str | None]:
    """Where Slack sends events, clicks and commands."""
    return [
        app["settings"]["event_subscriptions"].get("request_url"),
        app["settings"]["interactivity"].get("request_url"),
        *(command.get("url") for command in app["features"]["slash_commands"]),
    ]


def problems(app: Json) -> list[str]:
    return [error.message for error in Draft202012Validator(SCHEMA).iter_errors(app)]


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_is_inside_slacks_limits(mode: str) -> None:
    assert problems(manifest(**MODES[mode])) == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda app: app.pop("display_information"),
        lambda app: app.update(colour="yellow"),
        lambda app: app["display_information"].update(name="F" * 36),
        lambda app: app["display_information"].update(name=""),
        lambda app: app["display_information"].update(description="F" * 141),
        lambda app: app["display_information"].update(long_description="F" * 174),
        lambda app: app["display_information"].update(long_description="F" * 4001),
        lambda app: app["display_information"].update(background_color="yellow"),
        lambda app: app["features"].update(reactions=True),
        lambda app: app["features"]["app_home"].update(messages_tab_enabled="yes"),
        lambda app: app["features"]["bot_user"].update(display_name="F" * 81),
        lambda app: app["features"]["bot_user"].pop("display_name"),
        lambda app: app["features"]["shortcuts"][0].update(name="Which emoji is this face?"),
        lambda app: app["features"]["shortcuts"][0].update(type="channel"),
        lambda app: app["features"]["shortcuts"][0].update(description="F" * 151),
        lambda app: app["features"]["shortcuts"][1].pop("callback_id"),
        lambda app: app["features"]["shortcuts"].clear(),
        lambda app: app["features"]["shortcuts"].extend(app["features"]["shortcuts"] * 5),
        lambda app: app["features"]["slash_commands"][0].update(command="face2emoji"),
        lambda app: app["features"]["slash_commands"][0].update(command="/" + "f" * 32),
        lambda app: app["features"]["slash_commands"][0].update(url="bot.example.org"),
        lambda app: app["features"]["slash_commands"][0].update(url="https://" + "f" * 3000),
        lambda app: app["features"]["slash_commands"][0].update(usage_hint=""),
        lambda app: app["features"]["slash_commands"][0].pop("description"),
        lambda app: app["oauth_config"].update(redirect_urls=[HOME, HOME]),
        lambda app: app["oauth_config"].update(redirect_urls=HOME),
        lambda app: app["oauth_config"]["scopes"]["bot"].append("f" * 51),
        lambda app: app["oauth_config"]["scopes"].update(app=["connections:write"]),
        lambda app: app["settings"]["event_subscriptions"]["bot_events"].append("app_mention"),
        lambda app: app["settings"]["event_subscriptions"].update(request_url="bot.example.org"),
        lambda app: app["settings"]["interactivity"].pop("is_enabled"),
        lambda app: app["settings"].update(socket_mode_enabled="true"),
        lambda app: app["settings"].update(socket_mode=True),
    ],
)
def test_the_schema_notices_what_slack_would_refuse(spoil: Callable[[Json], object]) -> None:
    app = manifest(**MODES["many"])
    spoil(app)
    assert len(problems(app)) == 1


@pytest.fixture(scope="module")
def complaints(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What TypeScript says of the manifests, good and mistyped, in lines that begin with `name.ts(`."""
    try:
        compiler, slack = npm.fetch(TYPESCRIPT), npm.fetch(SLACK_WEB_API)
    except Unavailable as reason:
        skip_or_fail(reason)
    apps = {mode: manifest(**MODES[mode]) for mode in MODES}
    for name, (spoil, _) in MISTYPED.items():
        apps[name] = manifest(**MODES["many"])
        spoil(apps[name])
    folder = tmp_path_factory.mktemp("manifests")
    imported = json.dumps((slack / "dist" / "types" / "request" / "manifest").as_posix())
    for name, app in apps.items():
        source = f"import type {{ Manifest }} from {imported};\nexport const app: Manifest = {json.dumps(app)};\n"
        (folder / f"{name}.ts").write_text(source, "utf-8")
    options = ("--noEmit", "--strict", "--lib", "es5", "--pretty", "false")
    tsc = (*npm.command("node"), str(compiler / "lib" / "tsc.js"), *options, *(f"{name}.ts" for name in apps))
    done = subprocess.run(tsc, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2, done.stdout + done.stderr  # it worked, and found something
    return [line for line in done.stdout.splitlines() if not line.startswith(" ")]


def test_every_mode_is_of_slacks_type(complaints: list[str]) -> None:
    expected = tuple(f"{name}.ts(" for name in MISTYPED)
    assert [complaint for complaint in complaints if not complaint.startswith(expected)] == []


@pytest.mark.parametrize("name", MISTYPED)
def test_slacks_type_refuses_what_is_mistyped(complaints: list[str], name: str) -> None:
    about_it = [complaint for complaint in complaints if complaint.startswith(f"{name}.ts(")]
    assert any(MISTYPED[name][1] in complaint for complaint in about_it)


def test_every_scope_has_a_use_and_every_use_its_scope() -> None:
    assert set(SCOPES_OF_EVENTS) == set(EVENTS)
    assert set(SCOPES) == set.union(*SCOPES_OF_EVENTS.values(), set(SCOPES_OF_CALLS.values()))
    app = manifest(**MODES["socket"])
    assert app["oauth_config"]["scopes"]["bot"] == list(SCOPES)
    assert app["settings"]["event_subscriptions"]["bot_events"] == list(EVENTS)


@pytest.mark.parametrize("reason", SCOPES.values())
def test_a_reason_is_one_sentence(reason: str) -> None:
    assert reason[0].isupper()
    assert reason.endswith(".")
    assert reason.count(".") == 1


@pytest.mark.parametrize(
    ("settings", "socket_mode", "many"),
    [
        ({}, True, False),
        ({"public_url": HOME}, True, False),
        (ONE | SOCKET, True, False),
        (ONE | SOCKET | SECRET | {"public_url": HOME}, True, False),
        (ONE | SECRET | {"public_url": HOME}, False, False),
        (MANY | SECRET | {"public_url": HOME}, False, True),
        (MANY | SOCKET | {"public_url": HOME}, True, True),
    ],
)
def test_the_manifest_fits_what_is_set_up(settings: Json, socket_mode: bool, many: bool) -> None:
    app = json.loads(text(**settings))
    assert app["settings"]["socket_mode_enabled"] is socket_mode
    assert app["settings"]["token_rotation_enabled"] is many
    assert app["settings"]["org_deploy_enabled"] is many
    assert addresses(app) == [None if socket_mode else f"{HOME}/slack/events"] * 3
    assert app["oauth_config"].get("redirect_urls") == ([f"{HOME}/slack/oauth_redirect"] if many else None)


def test_a_wish_counts_more_than_what_is_set_up() -> None:
    settings = Settings.model_construct(**ONE, **SOCKET, public_url="https://elsewhere.example.org")
    app = json.loads(manifest_text(settings, http=f"{HOME}/", many=True))
    assert app == manifest(**MODES["many"])
    assert json.loads(manifest_text(Settings.model_construct(public_url=HOME), many=True)) == app


@pytest.mark.parametrize(
    "settings",
    [ONE | SECRET, ONE | SECRET | {"public_url": "http://bot.example.org"}, MANY | SOCKET],
    ids=["no_address", "no_https", "nowhere_to_install"],
)
def test_without_an_https_address_slack_could_not_call(settings: Json) -> None:
    with pytest.raises(SettingsError, match="Add --http https"):
        text(**settings)


def test_no_secret_is_printed() -> None:
    printed = text(**ONE, **SOCKET, **SECRET)
    assert not any(secret in printed for secret in ("xoxb-1", "xapp-1", "0" * 32))
