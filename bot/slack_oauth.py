"""How workspaces install us: Slack's OAuth, with our pages, and the keys that seal what it brings."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

import structlog
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from slack_bolt.error import BoltError
from slack_bolt.oauth.async_callback_options import AsyncCallbackOptions, AsyncFailureArgs, AsyncSuccessArgs
from slack_bolt.oauth.async_oauth_flow import AsyncOAuthFlow
from slack_bolt.oauth.async_oauth_settings import AsyncOAuthSettings
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse
from slack_sdk.oauth import OAuthStateUtils
from slack_sdk.oauth.installation_store import Installation
from slack_sdk.oauth.installation_store.async_installation_store import AsyncInstallationStore
from slack_sdk.oauth.state_store.async_state_store import AsyncOAuthStateStore
from slack_sdk.web.async_client import AsyncWebClient

from bot.jobs import DATABASE_TROUBLE
from bot.selfie_job import Refused, TryAgain
from bot.slack_errors import SDK_LOG, slack_errors
from bot.slack_manifest import CALLBACK_PATH, INSTALL_PATH

log = structlog.get_logger(__name__)

# An installation that is begun must be finished in this time.
STATE_SECONDS = 600
REASON = re.compile("[a-z_]{1,40}")
FAILURES = {
    "access_denied": "Nothing was installed, because the request was declined in Slack.",
    "invalid_browser": "The installation was begun in another browser, or this page was opened twice.",
    "invalid_state": "The installation took longer than ten minutes.",
    "missing_code": "Slack did not say whether it agrees.",
    "invalid_code": "Slack did not confirm the installation. If it happens again, the log of the bot has the reason.",
    "storage_error": "Slack agrees, but the bot cannot store that right now. Try again in a minute.",
}


def oauth_flow(
    client: AsyncWebClient,
    client_id: str,
    client_secret: str,
    key: str,
    server: str,
    public_url: str,
    scopes: Sequence[str],
    store: AsyncInstallationStore,
) -> AsyncOAuthFlow:
    """Return what answers the pages at `INSTALL_PATH` and `CALLBACK_PATH`.

    Args:
        client: without a token.
        client_id: the app's.
        client_secret: the app's.
        key: FACE2EMOJI_TOKEN_KEY.
        server: Slack's address.
        public_url: ours.
        scopes: the bot scopes to ask for.
        store: keeps what an installation brings.
    """
    # All that Bolt would look for in the environment is given.
    settings = AsyncOAuthSettings(
        client_id=client_id,
        client_secret=client_secret,
        scopes=list(scopes),
        user_scopes=[],
        redirect_uri=public_url + CALLBACK_PATH,
        install_path=INSTALL_PATH,
        redirect_uri_path=CALLBACK_PATH,
        authorization_url=f"{server}/oauth/v2/authorize",
        installation_store=store,
        state_store=_States(MultiFernet(keys_for("state", key))),
        state_expiration_seconds=STATE_SECONDS,
        callback_options=AsyncCallbackOptions(_succeeded, _failed),
        logger=SDK_LOG,
    )
    return _OAuthFlow(client=client, logger=SDK_LOG, settings=settings)


def keys_for(purpose: str, key: str) -> list[Fernet]:
    """Derive keys from the setting, which is one or more keys, comma-separated."""
    info = f"face2emoji slack {purpose}".encode()
    return [
        Fernet(base64.urlsafe_b64encode(HKDF(SHA256(), 32, salt=None, info=info).derive(part.strip().encode())))
        for part in key.split(",")
    ]


class _States(AsyncOAuthStateStore):
    """Marks the begin of an installation with a sealed time, which any of our processes can check.

    Bolt's cookie ties it to the browser, and what Slack gives for it can be used once.
    """

    def __init__(self, keys: MultiFernet) -> None:
        self._keys = keys

    async def async_issue(self, *_args: Any, **_more: Any) -> str:
        return self._keys.encrypt(b"").decode()

    async def async_consume(self, state: str) -> bool:
        try:
            self._keys.decrypt(state.encode(), ttl=STATE_SECONDS)
        except InvalidToken:
            return False
        return True


class _OAuthFlow(AsyncOAuthFlow):
    """Bolt's, with our pages, and with no code or token in the log."""

    async def build_install_page_html(self, url: str, request: AsyncBoltRequest) -> str:  # noqa: ARG002 - Bolt's
        return _page("Add Face2Emoji to Slack", "It answers selfies with the emoji that matches the face.", url, "Add")

    async def run_installation(self, code: str) -> Installation | None:
        try:
            with slack_errors():
                answer = await self.client.oauth_v2_access(
                    client_id=self.settings.client_id,
                    client_secret=self.settings.client_secret,
                    code=code,
                    redirect_uri=self.settings.redirect_uri,
                )
                bot = await self.client.auth_test(token=answer["access_token"])
        except (Refused, TryAgain) as error:
            reason = error.reason if isinstance(error, Refused) else "unreachable"
            log.warning("slack_installation_failed", reason=reason)
            return None
        return Installation(
            app_id=answer["app_id"],
            enterprise_id=(answer["enterprise"] or {}).get("id"),
            team_id=(answer["team"] or {}).get("id"),
            is_enterprise_install=answer["is_enterprise_install"],
            user_id=(answer["authed_user"] or {}).get("id", ""),
            bot_id=bot["bot_id"],
            bot_user_id=answer["bot_user_id"],
            bot_scopes=answer["scope"],
            bot_token=answer["access_token"],
            bot_refresh_token=answer["refresh_token"],
            bot_token_expires_in=answer["expires_in"],
        )

    async def store_installation(self, request: AsyncBoltRequest, installation: Installation) -> None:
        try:
            await super().store_installation(request, installation)
        except DATABASE_TROUBLE as error:
            log.error("slack_installation_not_stored", kind=type(error).__name__)
            raise BoltError from error  # for which Bolt shows the page of a failure


async def _succeeded(args: AsyncSuccessArgs) -> BoltResponse:
    installed = args.installation
    place = urlencode({"app": installed.app_id or "", "team": installed.team_id or installed.enterprise_id or ""})
    text = (
        "Send it a photo in a direct message. Or invite it to a channel with /invite @Face2Emoji and switch it on "
        "there with /face2emoji on."
    )
    page = _page("Face2Emoji is installed", text, f"https://slack.com/app_redirect?{place}", "Open Slack")
    return _ended(200, page, args.settings.state_utils)


async def _failed(args: AsyncFailureArgs) -> BoltResponse:
    # It comes from the address, which anybody may have made up: a page of ours shows nobody else's sentences.
    reason = f" ({args.reason})" if REASON.fullmatch(args.reason) else ""
    text = FAILURES.get(args.reason, f"Slack ended the installation{reason}.")
    page = _page("Face2Emoji was not installed", text, INSTALL_PATH, "Start again")
    return _ended(args.suggested_status_code, page, args.settings.state_utils)


def _ended(status: int, page: str, states: OAuthStateUtils) -> BoltResponse:
    return BoltResponse(
        status=status,
        body=page,
        headers={"content-type": "text/html; charset=utf-8", "set-cookie": states.build_set_cookie_for_deletion()},
    )


def _page(title: str, text: str, url: str, link: str) -> str:
    return f"""<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>{title}</title>
  <link rel="icon" href="/static/icon.svg" type="image/svg+xml">
  <link rel="stylesheet" href="/static/style.css">
</head>
<body>
  <h1>{title}</h1>
  <p>{html.escape(text)}</p>
  <p><a href="{html.escape(url)}">{link}</a></p>
</body>
</html>
"""
