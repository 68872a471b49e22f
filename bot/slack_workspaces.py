"""The Slack workspaces that have us: their tokens, and a client of the Web API for each.

Either one workspace, whose token is a setting, or many, which install us by OAuth and whose tokens are kept encrypted
in the database. Bot tokens only: nothing is asked for or kept that would let us act as a person.
"""

from __future__ import annotations

import asyncio
import base64
import html
import json
import logging
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import structlog
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.authorization.async_authorize import AsyncAuthorize
from slack_bolt.context.async_context import AsyncBoltContext
from slack_bolt.error import BoltError
from slack_bolt.oauth.async_callback_options import AsyncCallbackOptions, AsyncFailureArgs, AsyncSuccessArgs
from slack_bolt.oauth.async_oauth_flow import AsyncOAuthFlow
from slack_bolt.oauth.async_oauth_settings import AsyncOAuthSettings
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse
from slack_sdk.errors import SlackApiError, SlackTokenRotationError
from slack_sdk.oauth import OAuthStateUtils
from slack_sdk.oauth.installation_store import Installation
from slack_sdk.oauth.installation_store.async_installation_store import AsyncInstallationStore
from slack_sdk.oauth.state_store.async_state_store import AsyncOAuthStateStore
from slack_sdk.oauth.token_rotation.async_rotator import AsyncTokenRotator
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.errors import PlatformRefused
from bot.jobs import DATABASE_TROUBLE, Refused, TryAgain
from bot.store import Store

log = structlog.get_logger(__name__)

INSTALL_PATH = "/slack/install"
CALLBACK_PATH = "/slack/oauth_redirect"
NOT_INSTALLED = "not_installed"
EXPIRED = "token_expired"
REQUEST_SECONDS = 30
LONGEST_PAUSE = 30.0
# For so long a workspace is not looked up again; an uninstallation that another process took in shows after it.
REMEMBERED_SECONDS = 5.0
# Tokens that expire do so after 12 hours; they are exchanged this long before. What failed waits for a pause.
EXCHANGE_MINUTES = 120
EXCHANGE_PAUSE = 60.0
# By then another process has written down the token that it got.
RACE_SECONDS = 1.0
# An installation that is begun must be finished in this time.
STATE_SECONDS = 600
# Slack's words for a token whose workspace removed us, or is no more.
REMOVED = ("account_inactive", "token_revoked")
# Between two questions about workspaces that may have removed us; Slack allows some hundred a minute.
ASKING_PAUSE = 0.5
# What of an installation is kept. The rest (names, the installer's own token) is nothing we need.
KEPT = (
    "app_id",
    "enterprise_id",
    "team_id",
    "is_enterprise_install",
    "user_id",
    "bot_id",
    "bot_user_id",
    "bot_scopes",
    "bot_token",
    "bot_refresh_token",
    "bot_token_expires_at",
)
# Slack's words for troubles that pass.
PASSING = (
    "fatal_error",
    "internal_error",
    "rate_limited",
    "ratelimited",
    "request_timeout",
    "service_unavailable",
    "team_added_to_org",
)
UNREADABLE = (
    "No key in FACE2EMOJI_TOKEN_KEY opens the token of this workspace. Put the old key behind the new one, with a "
    "comma between them, or install the app there again."
)
FAILURES = {
    "access_denied": "Nothing was installed, because the request was declined in Slack.",
    "invalid_browser": "The installation was begun in another browser, or this page was opened twice.",
    "invalid_state": "The installation took longer than ten minutes.",
    "missing_code": "Slack did not say whether it agrees.",
    "invalid_code": "Slack did not confirm the installation. If it happens again, the log of the bot has the reason.",
    "storage_error": "Slack agrees, but the bot cannot store that right now. Try again in a minute.",
}

# At level debug the SDK writes down all that it sends, secrets included.
_SDK_LOG = logging.getLogger(f"{__name__}.sdk")
_SDK_LOG.setLevel(logging.WARNING)


@dataclass(frozen=True, slots=True)
class Workspace:
    """A workspace that has us, or an organisation that has us in all its workspaces.

    Attributes:
        team: its id, under which `find` knows it again: T..., or E... for an organisation.
        client: calls the Web API with its token.
        bot_user: the user that we are there, U....
        bot_id: the id that our posts bear, B....
        scopes: what we may do there.
        installer: the user who installed us, if known.
    """

    team: str
    client: AsyncWebClient
    bot_user: str
    bot_id: str
    scopes: frozenset[str]
    installer: str | None = None


@contextmanager
def slack_errors() -> Iterator[None]:
    """Sort the SDK's errors into those that pass and those that stay.

    Raises:
        TryAgain: Slack cannot be reached, is in trouble, or wants us to wait.
        Refused: with Slack's own word for why.
    """
    try:
        yield
    except SlackApiError as error:
        raise _sorted(error) from error
    except SlackTokenRotationError as error:
        raise _sorted(error.api_error) from error
    except (aiohttp.ClientError, TimeoutError) as error:
        raise TryAgain from error


def _sorted(error: SlackApiError) -> TryAgain | Refused:
    answer = error.response
    data = getattr(answer, "data", None)
    reason = data.get("error") if isinstance(data, dict) else None  # pages and the like are not Slack's answers
    if reason is None or reason in PASSING:
        seconds = str(answer.headers.get("Retry-After", ""))
        return TryAgain(float(seconds) if seconds.isdecimal() else 0)
    return Refused(reason)


class _Connection:
    """The HTTP session that all clients share.

    Args:
        server: Slack's address, without "/api".
    """

    def __init__(self, server: str) -> None:
        self._server = server
        self._session: aiohttp.ClientSession | None = None
        # Found once, and with NO_PROXY, which the SDK would not heed.
        address = urlsplit(server)
        self._proxy = None if proxy_bypass(address.hostname or "") else getproxies().get(address.scheme)
        self.client = self._client(None)
        """Without a token: for Bolt, and for calls that need none."""

    async def _connect(self) -> None:
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=REQUEST_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),  # the workspaces' calls have nothing to do with one another
        )
        self.client.session = self._session

    def _client(self, token: str | None) -> AsyncWebClient:
        client = AsyncWebClient(
            token, base_url=f"{self._server}/api/", session=self._session, logger=_SDK_LOG, retry_handlers=[]
        )
        client.proxy = self._proxy
        return client

    async def close(self) -> None:
        """Hang up."""
        if self._session:
            await self._session.close()


class OneWorkspace(_Connection):
    """The workspace of one token.

    Args:
        token: SLACK_BOT_TOKEN.
        server: Slack's address.
    """

    def __init__(self, token: str, server: str) -> None:
        super().__init__(server)
        self._token = token
        self._found: Workspace | None = None

    async def open(self) -> None:
        """Ask Slack who we are, for as long as it takes to reach it.

        Raises:
            PlatformRefused: Slack does not take the token.
        """
        await self._connect()
        pause = 1.0
        while self._found is None:
            try:
                self._found = await self._ask()
            except Refused as error:
                raise PlatformRefused(PlatformRefused.slack_bot_refused.format(reason=error.reason)) from error
            except TryAgain as error:
                log.warning("slack_unreachable", help=PlatformRefused.slack_unreachable)
                await asyncio.sleep(max(pause, error.after))
                pause = min(2 * pause, LONGEST_PAUSE)

    async def find(self, team: str) -> Workspace:
        """Return the workspace.

        Raises:
            Refused: it is another one, or the token does not work any more.
            TryAgain: Slack's side.
        """
        found = self._found or await self.refresh(team)
        if team != found.team:
            raise Refused(NOT_INSTALLED)
        return found

    async def refresh(self, team: str) -> Workspace:  # noqa: ARG002 - as `ManyWorkspaces`
        """Ask Slack anew: a reinstallation may have brought more scopes.

        Raises:
            Refused, TryAgain: as in `find`.
        """
        self._found = await self._ask()
        return self._found

    async def forget(self, team: str) -> None:  # noqa: ARG002 - as `ManyWorkspaces`
        """Take nothing for granted any more; the token itself is a setting."""
        self._found = None

    async def _ask(self) -> Workspace:
        client = self._client(self._token)
        with slack_errors():
            answer = await client.auth_test()
        team = answer["enterprise_id"] if answer["is_enterprise_install"] else answer["team_id"]
        return Workspace(team, client, answer["user_id"], answer["bot_id"], _scopes(answer))


@dataclass(slots=True)
class _Known:
    """What this process remembers of a workspace; times are those of the monotonic clock."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    workspace: Workspace | None = None
    until: float = 0.0
    exchange_after: float = 0.0


@dataclass(frozen=True, slots=True)
class _Kept:
    """An installation, and the encrypted form that the database has of it."""

    installation: Installation
    data: str

    @property
    def expired(self) -> bool:
        end = self.installation.bot_token_expires_at
        return end is not None and end <= time.time()


class ManyWorkspaces(_Connection, AsyncInstallationStore):
    """Workspaces that install us by OAuth.

    Args:
        client_id: the app's.
        client_secret: the app's.
        key: FACE2EMOJI_TOKEN_KEY: encrypts the tokens; of several, comma-separated, the first one does, all decrypt.
        server: Slack's address.
        public_url: ours.
        scopes: the bot scopes to ask for.
        store: keeps the tokens.

    Attributes:
        oauth: answers the pages at `INSTALL_PATH` and `CALLBACK_PATH`.
    """

    def __init__(
        self,
        client_id: str,
        client_secret: str,
        key: str,
        server: str,
        public_url: str,
        scopes: Sequence[str],
        store: Store,
    ) -> None:
        super().__init__(server)
        self._store = store
        self._keys = keys_for("tokens", key)
        self._rotator = AsyncTokenRotator(client_id=client_id, client_secret=client_secret, client=self.client)
        self._known: defaultdict[str, _Known] = defaultdict(_Known)
        self._unreadable: set[str] = set()
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
            installation_store=self,
            state_store=_States(MultiFernet(keys_for("state", key))),
            state_expiration_seconds=STATE_SECONDS,
            callback_options=AsyncCallbackOptions(_succeeded, _failed),
            logger=_SDK_LOG,
        )
        self.oauth: AsyncOAuthFlow = _OAuthFlow(client=self.client, logger=_SDK_LOG, settings=settings)

    async def open(self) -> None:
        """Get ready to call Slack."""
        await self._connect()

    async def find(self, team: str) -> Workspace:
        """Return a workspace, with a token that works for minutes at least.

        Args:
            team: its id, or the organisation's where that has us.

        Raises:
            Refused: it does not have us, its token cannot be read, or has expired and Slack gives no other one.
            TryAgain: its token has expired, and Slack cannot be reached for another one.
            Exception: one of `DATABASE_TROUBLE`.
        """
        known = self._known[team]
        async with known.lock:
            if known.workspace is None or known.until < time.monotonic():
                known.workspace = await self._look_up(team, known)
                known.until = time.monotonic() + REMEMBERED_SECONDS
        return known.workspace

    async def refresh(self, team: str) -> Workspace:
        """Ask Slack anew: a reinstallation may have brought more scopes.

        Raises:
            Refused: also when Slack does not take the token any more.
            TryAgain: Slack's side.
            Exception: one of `DATABASE_TROUBLE`.
        """
        self._known.pop(team, None)
        workspace = await self.find(team)
        with slack_errors():
            scopes = _scopes(await workspace.client.auth_test())
        if scopes != workspace.scopes:
            kept = await self._read(team)
            kept.installation.bot_scopes = sorted(scopes)
            await self._replace(team, kept)
            self._known.pop(team, None)
        return replace(workspace, scopes=scopes)

    async def gone(self) -> list[str]:
        """Return the workspaces that removed us while nobody listened: Slack does not know our tokens any more."""
        gone = []
        for team in await self._store.installations():
            try:
                await self.refresh(team)
            except Refused as error:
                gone += [team] if error.reason in REMOVED else []
            except TryAgain as error:
                await asyncio.sleep(error.after)  # the next time, then
            await asyncio.sleep(ASKING_PAUSE)
        return gone

    async def forget(self, team: str) -> None:
        """Erase the token of a workspace."""
        await self._store.delete_installation(team)
        self._known.pop(team, None)

    async def async_save(self, installation: Installation) -> None:
        """Keep what OAuth brought; called by Bolt."""
        organisation = installation.enterprise_id if installation.is_enterprise_install else None
        team = organisation or installation.team_id or ""
        await self._store.save_installation(team, self._encrypt(installation))
        self._known.pop(team, None)
        self._unreadable.discard(team)

    async def _look_up(self, team: str, known: _Known) -> Workspace:
        kept = await self._read(team)
        if known.exchange_after < time.monotonic():
            kept = await self._exchange(team, kept, known)
        if kept.expired:
            raise Refused(EXPIRED)
        installation = kept.installation
        return Workspace(
            team,
            self._client(installation.bot_token),
            installation.bot_user_id or "",
            installation.bot_id or "",
            frozenset(installation.bot_scopes or ()),
            installation.user_id or None,
        )

    async def _exchange(self, team: str, kept: _Kept, known: _Known) -> _Kept:
        """Exchange a token that expires soon; where that fails it stays as it is."""
        installation = kept.installation
        try:
            with slack_errors():
                bot = await self._rotator.perform_bot_token_rotation(
                    bot=installation.to_bot(), minutes_before_expiration=EXCHANGE_MINUTES
                )
        except TryAgain:
            if kept.expired:
                raise
            reason = "unreachable"
        except Refused as error:
            reason = error.reason
        else:
            if bot is None:  # it lasts
                return kept
            installation.bot_token = bot.bot_token
            installation.bot_refresh_token = bot.bot_refresh_token
            installation.bot_token_expires_at = bot.bot_token_expires_at
            return await self._replace(team, kept)
        # A refresh token works once: perhaps another process was first, and is just writing down what it got.
        await asyncio.sleep(RACE_SECONDS)
        now = await self._read(team)
        if now.data == kept.data:
            known.exchange_after = time.monotonic() + EXCHANGE_PAUSE
            log.warning("slack_token_not_exchanged", workspace=team, reason=reason)
        return now

    # The database

    async def _read(self, team: str) -> _Kept:
        data = await self._store.installation(team)
        if data is None:
            raise Refused(NOT_INSTALLED)
        for key in self._keys:
            with suppress(InvalidToken):
                kept = _Kept(Installation(**json.loads(key.decrypt(data))), data)
                return kept if key is self._keys[0] else await self._replace(team, kept)
        if team not in self._unreadable:
            self._unreadable.add(team)
            log.error("slack_token_unreadable", workspace=team, help=UNREADABLE)
        raise Refused("token_unreadable")

    async def _replace(self, team: str, kept: _Kept) -> _Kept:
        """Write an installation in place of its old data, unless somebody else has written or erased it meanwhile."""
        data = self._encrypt(kept.installation)
        if await self._store.replace_installation(team, kept.data, data):
            return _Kept(kept.installation, data)
        return await self._read(team)

    def _encrypt(self, installation: Installation) -> str:
        kept = {name: getattr(installation, name) for name in KEPT}
        return self._keys[0].encrypt(json.dumps(kept).encode()).decode()


Workspaces = OneWorkspace | ManyWorkspaces


class Authorize(AsyncAuthorize):
    """Tells Bolt for each event who we are in its workspace, without asking Slack.

    Args:
        workspaces: those that have us.
    """

    def __init__(self, workspaces: Workspaces) -> None:
        self._workspaces = workspaces

    async def __call__(
        self,
        *,
        context: AsyncBoltContext,
        enterprise_id: str | None,
        team_id: str | None,
        user_id: str | None,
        actor_enterprise_id: str | None = None,  # noqa: ARG002 - Bolt's
        actor_team_id: str | None = None,  # noqa: ARG002
        actor_user_id: str | None = None,  # noqa: ARG002
    ) -> AuthorizeResult | None:
        """Return who we are there; None where nobody has installed us.

        Raises:
            Exception: TryAgain or one of `DATABASE_TROUBLE`: the event must come again.
        """
        try:
            workspace = await self._workspaces.find(installed_in(context))
        except Refused:
            return None
        return AuthorizeResult(
            enterprise_id=enterprise_id,
            team_id=team_id,
            user_id=user_id,
            bot_id=workspace.bot_id,
            bot_user_id=workspace.bot_user,
            bot_token=workspace.client.token,
            bot_scopes=sorted(workspace.scopes),
        )


def installed_in(context: AsyncBoltContext) -> str:
    """Return the id of the workspace, or organisation, whose installation of us brought an event."""
    return (context.enterprise_id if context.is_enterprise_install else context.team_id) or ""


def keys_for(purpose: str, key: str) -> list[Fernet]:
    """Derive keys from the setting, which is one or more keys, comma-separated."""
    info = f"face2emoji slack {purpose}".encode()
    return [
        Fernet(base64.urlsafe_b64encode(HKDF(SHA256(), 32, salt=None, info=info).derive(part.strip().encode())))
        for part in key.split(",")
    ]


def _scopes(answer: AsyncSlackResponse) -> frozenset[str]:
    return frozenset(scope.strip() for scope in answer.headers.get("x-oauth-scopes", "").split(",") if scope.strip())


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
    text = FAILURES.get(args.reason, f"Slack ended the installation ({args.reason}).")
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
