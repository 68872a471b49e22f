"""The Slack workspaces that have us: their tokens, and a client of the Web API for each.

Either one workspace, whose token is a setting, or many, which install us by OAuth and whose tokens are kept encrypted
in the database. Bot tokens only: nothing is asked for or kept that would let us act as a person.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import structlog
from cryptography.fernet import InvalidToken
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.authorization.async_authorize import AsyncAuthorize
from slack_bolt.context.async_context import AsyncBoltContext
from slack_sdk.oauth.installation_store import Installation
from slack_sdk.oauth.installation_store.async_installation_store import AsyncInstallationStore
from slack_sdk.oauth.token_rotation.async_rotator import AsyncTokenRotator
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.errors import PlatformRefused
from bot.recent import Recent
from bot.selfie_job import Refused, TryAgain
from bot.slack_errors import SDK_LOG, insist, slack_errors
from bot.slack_oauth import keys_for, oauth_flow
from bot.store import Store

log = structlog.get_logger(__name__)

NOT_INSTALLED = "not_installed"
EXPIRED = "token_expired"
REQUEST_SECONDS = 30
# For so long a workspace is not looked up again; an uninstallation that another process took in shows after it.
REMEMBERED_SECONDS = 5.0
# Beyond that little is remembered of a workspace, for so long and of so many: anybody's may send us events.
KNOWN_SECONDS = 600.0
KNOWN_MOST = 10_000
# Tokens that expire do so after 12 hours; they are exchanged this long before. What failed waits for a pause.
EXCHANGE_MINUTES = 120
EXCHANGE_PAUSE = 60.0
# By then another process has written down the token that it got.
RACE_SECONDS = 1.0
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
UNREADABLE = (
    "No key in FACE2EMOJI_TOKEN_KEY opens the token of this workspace. Put the old key behind the new one, with a "
    "comma between them, or install the app there again."
)


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
            token, base_url=f"{self._server}/api/", session=self._session, logger=SDK_LOG, retry_handlers=[]
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
        self._found = await insist(self._ask, PlatformRefused.slack_bot_refused)

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
        self._known = Recent[str, _Known](KNOWN_MOST, KNOWN_SECONDS)
        self._unreadable: set[str] = set()
        self.oauth = oauth_flow(self.client, client_id, client_secret, key, server, public_url, scopes, self)

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
        known = self._known.get(team)
        if known is None:
            self._known.keep(team, known := _Known())
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
        except Refused as error:
            log.info("slack_workspace_unknown", reason=error.reason)
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


def _scopes(answer: AsyncSlackResponse) -> frozenset[str]:
    return frozenset(scope.strip() for scope in answer.headers.get("x-oauth-scopes", "").split(",") if scope.strip())
