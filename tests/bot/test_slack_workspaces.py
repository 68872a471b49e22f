"""The tokens of Slack workspaces: against a Slack on a real socket, on both databases, with Bolt's own OAuth."""

from __future__ import annotations

import asyncio
import html
import json
import logging
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
import uvicorn
from slack_bolt.adapter.starlette.async_handler import to_async_bolt_request, to_starlette_response
from slack_bolt.async_app import AsyncApp, AsyncBoltContext, AsyncBoltRequest
from slack_sdk.oauth.installation_store import Installation
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from structlog.testing import capture_logs

from bot import slack_errors, slack_workspaces
from bot.app import listen
from bot.errors import PlatformRefused
from bot.selfie_job import Refused, TryAgain
from bot.slack_manifest import CALLBACK_PATH, INSTALL_PATH
from bot.slack_oauth import FAILURES, keys_for
from bot.slack_workspaces import KEPT, Authorize, ManyWorkspaces, OneWorkspace, Workspaces
from bot.store import Chat, Store, open_database
from tests.bot.databases import NewDatabase
from tests.bot.slack_server import SlackServer
from tests.bot.slack_world import APP, OTHER_TEAM, TEAM
from tests.bot.slack_world import Installation as Held

# The SDK's way to send the client secret, which aiohttp will drop some day.
pytestmark = pytest.mark.filterwarnings("ignore:BasicAuth is deprecated:DeprecationWarning")

KEY, OTHER_KEY = "first key of the test " * 2, "second key of the test " * 2
SCOPES = ["chat:write", "files:read", "reactions:write"]
SOON = 3600  # in so many seconds a token expires that is exchanged at once


@dataclass
class Process:
    """One of several processes that share a database."""

    workspaces: ManyWorkspaces
    engine: sa.Engine
    store: Store


StartProcess = Callable[..., Awaitable[Process]]
StartOne = Callable[..., OneWorkspace]


@pytest.fixture
def slack() -> Iterator[SlackServer]:
    with SlackServer(scopes=SCOPES) as server:
        yield server
    assert server.violations == []


@pytest.fixture
async def one(slack: SlackServer) -> AsyncIterator[StartOne]:
    started: list[OneWorkspace] = []

    def start(token: str = slack.installation().token, server: str = slack.url) -> OneWorkspace:
        started.append(OneWorkspace(token, server))
        return started[-1]

    yield start
    for workspaces in started:
        await workspaces.close()


@pytest.fixture
async def start(slack: SlackServer, new_database: NewDatabase) -> AsyncIterator[StartProcess]:
    started: list[Process] = []
    url = new_database()
    app = slack.apps[APP]

    async def start(key: str = KEY, public_url: str = "https://bot.example.org", **changes: Any) -> Process:
        engine = open_database(url)
        given = {"client_id": app.client_id, "client_secret": app.client_secret, "server": slack.url} | changes
        store = Store(engine)
        workspaces = ManyWorkspaces(key=key, public_url=public_url, scopes=SCOPES, store=store, **given)
        started.append(Process(workspaces, engine, store))
        await workspaces.open()
        return started[-1]

    yield start
    for process in started:
        await process.workspaces.close()
        process.engine.dispose()


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at the database each time, and wait shorter for other processes."""
    monkeypatch.setattr(slack_workspaces, "REMEMBERED_SECONDS", 0)
    monkeypatch.setattr(slack_workspaces, "RACE_SECONDS", 0.05)


def installation(held: Held, **changes: Any) -> Installation:
    """What OAuth brings of an app that was installed."""
    return Installation(
        **{
            "app_id": held.app.id,
            "team_id": held.team,
            "team_name": "Name of theirs",
            "bot_id": held.bot_id,
            "bot_user_id": held.bot_user,
            "bot_scopes": held.scopes,
            "bot_token": held.token,
            "bot_refresh_token": held.refresh_token,
            "user_id": held.installer,
            "user_token": "xoxp-of-a-person",
            **changes,
        }
    )


def rotating(slack: SlackServer, seconds: int = SOON) -> Installation:
    """An installation whose token expires in so many seconds."""
    slack.configure(rotates_tokens=True)
    return installation(slack.install(), bot_token_expires_in=seconds)


def calls_of(slack: SlackServer, method: str) -> int:
    return sum(call.method == method for call in slack.calls)


@contextmanager
def queries(engine: sa.Engine) -> Iterator[list[str]]:
    said: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        said.append(statement)

    sa.event.listen(engine, "before_cursor_execute", note)
    yield said
    sa.event.remove(engine, "before_cursor_execute", note)


# One workspace


async def test_a_token_tells_whose_it_is(slack: SlackServer, one: StartOne) -> None:
    workspaces = one()
    await workspaces.open()
    found = await workspaces.find(TEAM)
    held = slack.installation()
    assert (found.team, found.bot_user, found.bot_id) == (TEAM, held.bot_user, held.bot_id)
    assert (found.scopes, found.installer) == (frozenset(SCOPES), None)
    assert (await found.client.auth_test())["user_id"] == held.bot_user
    assert found.client.retry_handlers == []
    with pytest.raises(Refused, match="not_installed"):
        await workspaces.find(OTHER_TEAM)
    assert calls_of(slack, "auth.test") == 2  # not for every event


@pytest.mark.parametrize(
    "trouble",
    [
        {"status": 503},  # a page
        {"error": "ratelimited", "retry_after": 2},
        {"error": "internal_error"},
        {"cut": "before"},
    ],
)
async def test_slack_may_come_later(slack: SlackServer, one: StartOne, trouble: dict[str, Any]) -> None:
    slack.fail("auth.test", **trouble)
    started = time.monotonic()
    with capture_logs() as logs:
        await one().open()
    (entry,) = logs
    assert (entry["event"], entry["help"]) == ("slack_unreachable", PlatformRefused.slack_unreachable)
    assert time.monotonic() - started >= trouble.get("retry_after", 1)


async def test_the_pauses_before_slack_is_there_grow(
    slack: SlackServer, one: StartOne, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slack_errors, "LONGEST_PAUSE", 1.5)
    slack.fail("auth.test", status=503, times=3)
    started = time.monotonic()
    await one().open()
    assert 1 + 1.5 + 1.5 <= time.monotonic() - started < 5.5


@pytest.mark.parametrize("reason", ["invalid_auth", "account_inactive", "token_revoked", "not_allowed_token_type"])
async def test_a_refused_token_ends_the_bot_and_says_why(slack: SlackServer, one: StartOne, reason: str) -> None:
    slack.fail("auth.test", reason)
    with pytest.raises(PlatformRefused) as caught:
        await one().open()
    assert caught.value.message == PlatformRefused.slack_bot_refused.format(reason=reason)
    assert "SLACK_BOT_TOKEN" in caught.value.message


async def test_a_reinstallation_brings_scopes(slack: SlackServer, one: StartOne) -> None:
    workspaces = one()
    await workspaces.open()
    slack.configure(scopes=[*SCOPES, "users:read"])
    assert "users:read" not in (await workspaces.find(TEAM)).scopes
    assert "users:read" in (await workspaces.refresh(TEAM)).scopes
    assert "users:read" in (await workspaces.find(TEAM)).scopes


async def test_the_workspace_may_remove_us(slack: SlackServer, one: StartOne) -> None:
    workspaces = one()
    await workspaces.open()
    slack.uninstall()
    await workspaces.forget(TEAM)
    with pytest.raises(Refused, match="account_inactive"):
        await workspaces.find(TEAM)


class Organisation(SlackServer):
    """A Slack whose first app is installed in all workspaces of an organisation."""

    def _auth_test(self, installation: Held, args: dict[str, Any]) -> dict[str, Any]:
        whole = {"is_enterprise_install": True, "enterprise_id": "E1", "team_id": "E1"}
        return super()._auth_test(installation, args) | whole


async def test_a_token_may_be_an_organisation_s(one: StartOne) -> None:
    with Organisation() as server:
        workspaces = one(server=server.url)
        await workspaces.open()
        assert (await workspaces.find("E1")).team == "E1"
        with pytest.raises(Refused, match="not_installed"):
            await workspaces.find("E2")
        await workspaces.close()


async def test_a_proxy_is_used_unless_no_proxy_names_the_host(
    slack: SlackServer, one: StartOne, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", slack.url)
    await one(server="http://slack.example").open()
    assert calls_of(slack, "auth.test") == 1
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    await one().open()
    assert calls_of(slack, "auth.test") == 2


# Many workspaces


async def test_installations_are_kept_found_and_erased(slack: SlackServer, start: StartProcess) -> None:
    workspaces = (await start()).workspaces
    held, other = slack.install(), slack.installation()
    for each in (held, other):
        await workspaces.async_save(installation(each))
    for each in (held, other):
        found = await workspaces.find(each.team)
        assert (found.team, found.bot_user, found.bot_id) == (each.team, each.bot_user, each.bot_id)
        assert (found.scopes, found.installer) == (frozenset(each.scopes), each.installer)
        assert (await found.client.auth_test())["team_id"] == each.team
    await workspaces.forget(held.team)
    with pytest.raises(Refused, match="not_installed"):
        await workspaces.find(held.team)
    assert (await workspaces.find(other.team)).client.token == other.token


async def test_a_new_installation_takes_the_place_of_the_old(slack: SlackServer, start: StartProcess) -> None:
    workspaces = (await start()).workspaces
    for _ in range(2):
        held = slack.install()
        await workspaces.async_save(installation(held))
        assert (await workspaces.find(held.team)).client.token == held.token


async def test_two_processes_may_save_at_once(slack: SlackServer, start: StartProcess) -> None:
    processes = [await start() for _ in range(4)]
    held = slack.install()
    await asyncio.gather(*(process.workspaces.async_save(installation(held)) for process in processes))
    assert (await processes[0].workspaces.find(held.team)).client.token == held.token


async def test_the_database_shows_no_token_and_keeps_no_names(slack: SlackServer, start: StartProcess) -> None:
    process = await start()
    held = rotating(slack)
    await process.workspaces.async_save(held)
    (data,) = await table(process.engine)
    for secret in (held.bot_token, held.bot_refresh_token, "xox", held.team_id, KEY):
        assert secret
        assert secret not in data
    kept = keys_for("tokens", KEY)[0].decrypt(data)
    assert set(json.loads(kept)) == set(KEPT)
    for needless in (b"Name of theirs", b"xoxp-of-a-person"):
        assert needless not in kept


async def table(engine: sa.Engine) -> list[str]:
    """What is stored."""

    def read() -> list[str]:
        with engine.connect() as connection:
            return list(connection.execute(sa.text("SELECT data FROM face2emoji_slack_installations")).scalars())

    return await asyncio.to_thread(read)


async def test_looking_up_is_cheap(slack: SlackServer, start: StartProcess) -> None:
    process = await start()
    held = slack.install()
    await process.workspaces.async_save(installation(held))
    slack.forget_records()
    with queries(process.engine) as asked:
        await asyncio.gather(*(process.workspaces.find(held.team) for _ in range(100)))
    assert len(asked) == 1
    assert slack.calls == []


async def test_no_more_workspaces_are_remembered_than_memory_has_room_for(
    slack: SlackServer, start: StartProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slack_workspaces, "KNOWN_MOST", 2)
    process = await start()
    held = slack.install()
    await process.workspaces.async_save(installation(held))
    for number in range(3):
        with pytest.raises(Refused, match="not_installed"):
            await process.workspaces.find(f"T{number}")
    with queries(process.engine) as said:
        for _ in range(2):
            await process.workspaces.find(held.team)
    assert len(said) == 1
    for number in range(3):
        with pytest.raises(Refused, match="not_installed"):
            await process.workspaces.find(f"T{number}")
    with queries(process.engine) as said:
        await process.workspaces.find(held.team)
    assert len(said) == 1  # two others took its place


async def test_what_another_process_does_shows_within_seconds(
    slack: SlackServer, start: StartProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slack_workspaces, "REMEMBERED_SECONDS", 0.3)
    here, there = await start(), await start()
    held = slack.install()
    await there.workspaces.async_save(installation(held))
    assert await here.workspaces.find(held.team)
    await there.workspaces.forget(held.team)
    await asyncio.sleep(0.35)
    with pytest.raises(Refused, match="not_installed"):
        await here.workspaces.find(held.team)
    await there.workspaces.async_save(installation(held))
    assert await here.workspaces.find(held.team)


async def test_scopes_that_slack_names_anew_are_kept(slack: SlackServer, start: StartProcess) -> None:
    here, there = await start(), await start()
    held = slack.install(scopes=SCOPES)
    await here.workspaces.async_save(installation(held))
    held.scopes.append("users:read")
    assert "users:read" not in (await here.workspaces.find(held.team)).scopes
    assert "users:read" in (await here.workspaces.refresh(held.team)).scopes
    for process in (here, there):
        assert "users:read" in (await process.workspaces.find(held.team)).scopes


async def test_a_new_key_takes_over_from_an_old_one(slack: SlackServer, start: StartProcess) -> None:
    held = slack.install()
    await (await start(KEY)).workspaces.async_save(installation(held))
    both = await start(f"{OTHER_KEY}, {KEY}")
    assert (await both.workspaces.find(held.team)).client.token == held.token
    assert (await (await start(OTHER_KEY)).workspaces.find(held.team)).client.token == held.token
    with pytest.raises(Refused):
        await (await start(KEY)).workspaces.find(held.team)


async def test_a_lost_key_is_said_once_and_installing_again_helps(slack: SlackServer, start: StartProcess) -> None:
    held = slack.install()
    await (await start(KEY)).workspaces.async_save(installation(held))
    workspaces = (await start(OTHER_KEY)).workspaces
    with capture_logs() as logs:
        for _ in range(3):
            with pytest.raises(Refused, match="token_unreadable"):
                await workspaces.find(held.team)
    (entry,) = logs
    assert (entry["event"], entry["log_level"], entry["workspace"]) == ("slack_token_unreadable", "error", held.team)
    assert "FACE2EMOJI_TOKEN_KEY" in entry["help"]
    await workspaces.async_save(installation(held))
    assert (await workspaces.find(held.team)).client.token == held.token


async def test_forgetting_a_workspace_s_chats_forgets_no_others(start: StartProcess) -> None:
    store = (await start()).store
    chats = [("slack", "T1/C1"), ("slack", "T1/C2"), ("slack", "T12/C1"), ("telegram", "T1/C1"), ("slack", "T1")]
    for platform, chat in chats:
        await store.change_chat(platform, chat, lambda _: Chat(auto=True))
    await store.forget_workspace("slack", "T1")
    left = [(platform, chat) for platform, chat in chats if (await store.chat(platform, chat)).auto]
    assert left == chats[2:]


# Tokens that expire


async def test_a_token_is_exchanged_before_it_expires(slack: SlackServer, start: StartProcess) -> None:
    process = await start()
    old = rotating(slack)
    await process.workspaces.async_save(old)
    found = await asyncio.gather(*(process.workspaces.find(OTHER_TEAM) for _ in range(20)))
    assert {workspace.client.token for workspace in found} == {slack.installation(team=OTHER_TEAM).token}
    assert found[0].client.token != old.bot_token
    assert calls_of(slack, "oauth.v2.access") == 1
    again = await (await start()).workspaces.find(OTHER_TEAM)
    assert again.client.token == found[0].client.token
    assert calls_of(slack, "oauth.v2.access") == 1  # the new one lasts


async def test_a_token_that_lasts_is_left_alone(slack: SlackServer, start: StartProcess) -> None:
    workspaces = (await start()).workspaces
    old = rotating(slack, 12 * 3600)
    await workspaces.async_save(old)
    assert (await workspaces.find(OTHER_TEAM)).client.token == old.bot_token
    assert slack.calls == []


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        ({"status": 503}, "unreachable"),
        ({"cut": "before"}, "unreachable"),
        ({"error": "invalid_refresh_token"}, "invalid_refresh_token"),
    ],
)
@pytest.mark.usefixtures("forgetful")
async def test_a_token_that_cannot_be_exchanged_is_used_to_its_end(
    slack: SlackServer, start: StartProcess, trouble: dict[str, Any], reason: str
) -> None:
    workspaces = (await start()).workspaces
    old = rotating(slack)
    await workspaces.async_save(old)
    slack.fail("oauth.v2.access", **trouble, times=None)
    with capture_logs() as logs:
        for _ in range(5):
            assert (await workspaces.find(OTHER_TEAM)).client.token == old.bot_token
    (entry,) = logs
    assert (entry["event"], entry["reason"]) == ("slack_token_not_exchanged", reason)
    assert calls_of(slack, "oauth.v2.access") == 1  # and not for every event
    slack.heal()


@pytest.mark.usefixtures("forgetful")
async def test_an_exchange_that_failed_is_tried_again(
    slack: SlackServer, start: StartProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slack_workspaces, "EXCHANGE_PAUSE", 0.2)
    workspaces = (await start()).workspaces
    old = rotating(slack)
    await workspaces.async_save(old)
    slack.fail("oauth.v2.access", status=503)
    assert (await workspaces.find(OTHER_TEAM)).client.token == old.bot_token
    await asyncio.sleep(0.25)
    assert (await workspaces.find(OTHER_TEAM)).client.token == slack.installation(team=OTHER_TEAM).token


@pytest.mark.usefixtures("forgetful")
async def test_an_expired_token_waits_for_slack(slack: SlackServer, start: StartProcess) -> None:
    workspaces = (await start()).workspaces
    await workspaces.async_save(rotating(slack, -1))
    slack.fail("oauth.v2.access", "ratelimited", retry_after=7)
    with pytest.raises(TryAgain) as caught:
        await workspaces.find(OTHER_TEAM)
    assert caught.value.after == 7
    assert (await workspaces.find(OTHER_TEAM)).client.token == slack.installation(team=OTHER_TEAM).token


@pytest.mark.usefixtures("forgetful")
async def test_an_expired_token_that_slack_does_not_exchange_is_the_end(
    slack: SlackServer, start: StartProcess
) -> None:
    workspaces = (await start()).workspaces
    old = rotating(slack, -1)
    old.bot_refresh_token = "xoxe-1-spent"
    await workspaces.async_save(old)
    with capture_logs() as logs:
        for _ in range(3):
            with pytest.raises(Refused, match="token_expired"):
                await workspaces.find(OTHER_TEAM)
    assert [entry["reason"] for entry in logs] == ["invalid_refresh_token"]
    assert calls_of(slack, "oauth.v2.access") == 1


@pytest.mark.parametrize("seconds", [SOON, -1])
async def test_of_two_processes_one_exchanges_and_both_go_on(
    slack: SlackServer, start: StartProcess, seconds: int
) -> None:
    here, there = await start(), await start()
    await here.workspaces.async_save(rotating(slack, seconds))
    slack.fail("oauth.v2.access", delay=0.3, times=2)  # so that both ask before either hears
    with capture_logs() as logs:
        with here.engine.begin() as connection:  # so that the first cannot write before the second hears
            connection.execute(sa.text("UPDATE face2emoji_slack_installations SET workspace = workspace"))
            finding = [asyncio.create_task(process.workspaces.find(OTHER_TEAM)) for process in (here, there)]
            await asyncio.sleep(0.7)
        found = await asyncio.gather(*finding)
    assert {workspace.client.token for workspace in found} == {slack.installation(team=OTHER_TEAM).token}
    assert [call.error for call in slack.calls] == ["", "invalid_refresh_token"]
    assert logs == []


@pytest.mark.usefixtures("forgetful")
async def test_a_workspace_that_leaves_during_the_exchange_stays_away(slack: SlackServer, start: StartProcess) -> None:
    here, there = await start(), await start()
    await here.workspaces.async_save(rotating(slack))
    slack.fail("oauth.v2.access", delay=0.3)
    finding = asyncio.create_task(here.workspaces.find(OTHER_TEAM))
    await asyncio.sleep(0.1)
    await there.workspaces.forget(OTHER_TEAM)
    with pytest.raises(Refused, match="not_installed"):
        await finding
    assert await table(here.engine) == []


@pytest.mark.usefixtures("forgetful")
async def test_a_workspace_that_installs_us_during_the_exchange_has_the_last_word(
    slack: SlackServer, start: StartProcess
) -> None:
    here, there = await start(), await start()
    await here.workspaces.async_save(rotating(slack))
    slack.fail("oauth.v2.access", delay=0.3)
    finding = asyncio.create_task(here.workspaces.find(OTHER_TEAM))
    await asyncio.sleep(0.1)
    await there.workspaces.async_save(installation(slack.installation(team=OTHER_TEAM), bot_token="xoxb-newest"))
    assert (await finding).client.token == "xoxb-newest"
    assert (await there.workspaces.find(OTHER_TEAM)).client.token == "xoxb-newest"
    assert [call.error for call in slack.calls] == [""]


# Events


def event(team: str | None, enterprise: str | None = None) -> AsyncBoltRequest:
    authorization = {"team_id": team, "enterprise_id": enterprise, "is_enterprise_install": enterprise is not None}
    body = {"type": "event_callback", "team_id": "T9", "event": {"type": "app_mention"}}
    return AsyncBoltRequest(body=body | {"authorizations": [authorization]}, mode="socket_mode")


def bolt(workspaces: Workspaces) -> tuple[AsyncApp, list[tuple[str | None, str | None]]]:
    """A Bolt app, and who we were in the events that reached its listener: token and bot."""
    app = AsyncApp(
        client=workspaces.client,
        authorize=Authorize(workspaces),  # type: ignore[arg-type] # which it is made for
        oauth_flow=workspaces.oauth if isinstance(workspaces, ManyWorkspaces) else None,
        signing_secret="unused in Socket Mode",
        process_before_response=True,
    )
    seen: list[tuple[str | None, str | None]] = []

    @app.event("app_mention")
    async def mentioned(context: AsyncBoltContext) -> None:
        seen.append((context.bot_token, context.bot_user_id))

    return app, seen


async def test_bolt_learns_the_workspace_without_asking_slack(slack: SlackServer, start: StartProcess) -> None:
    process = await start()
    held = slack.install()
    await process.workspaces.async_save(installation(held))
    await process.workspaces.async_save(
        installation(slack.installation(), team_id=None, enterprise_id="E1", is_enterprise_install=True)
    )
    app, seen = bolt(process.workspaces)
    for request in (event(held.team), event(None, "E1"), event("T404"), event("T404", "E404")):
        assert (await app.async_dispatch(request)).status == 200
    assert seen == [(each.token, each.bot_user) for each in (held, slack.installation())]
    assert slack.calls == []


async def test_events_come_again_while_the_database_is_away(slack: SlackServer, start: StartProcess) -> None:
    process = await start()
    held = slack.install()
    await process.workspaces.async_save(installation(held))
    app, seen = bolt(process.workspaces)
    rename = "ALTER TABLE face2emoji_slack_installations RENAME TO away"
    with process.engine.begin() as connection:
        connection.execute(sa.text(rename))
    assert (await app.async_dispatch(event(held.team))).status == 500
    assert seen == []


async def test_nothing_is_taken_from_the_environment(
    slack: SlackServer, one: StartOne, start: StartProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("BOT_TOKEN", "CLIENT_ID", "CLIENT_SECRET", "SCOPES", "USER_SCOPES", "REDIRECT_URI", "INSTALL_PATH"):
        monkeypatch.setenv(f"SLACK_{name}", "foreign")
    workspaces = one()
    await workspaces.open()
    many = (await start()).workspaces
    await many.async_save(installation(slack.install()))
    for each, team in ((workspaces, TEAM), (many, OTHER_TEAM)):
        app, seen = bolt(each)
        await app.async_dispatch(event(team))
        assert [token for token, _ in seen] == [slack.installation(team=team).token]
    page = await many.oauth.handle_installation(AsyncBoltRequest(body="", query={}))
    assert "foreign" not in page.body


# Installing


class Server(uvicorn.Server):
    """Leaves the signals to pytest."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@dataclass
class Site:
    """Our pages on a socket, and a browser in front of them."""

    process: Process
    url: str
    browser: httpx.AsyncClient

    async def begin(self) -> tuple[str, str]:
        """Open the page; return where its link leads, and the cookie."""
        page = await self.browser.get(self.url + INSTALL_PATH)
        assert page.status_code == 200
        (link,) = re.findall('<a href="(.*?)">', page.text)
        # The browser would bring it over https only.
        return html.unescape(link), page.headers["set-cookie"].partition(";")[0]

    async def agree(self, link: str) -> str:
        """Say yes, or no, to Slack; return where it sends us."""
        return (await self.browser.get(link)).headers["location"]

    async def end(self, url: str, cookie: str) -> httpx.Response:
        return await self.browser.get(url, headers={"cookie": cookie})

    async def install(self) -> httpx.Response:
        link, cookie = await self.begin()
        return await self.end(await self.agree(link), cookie)


@pytest.fixture
async def site(start: StartProcess) -> AsyncIterator[Callable[..., Awaitable[Site]]]:
    ends: list[tuple[Server, asyncio.Task[None], httpx.AsyncClient]] = []

    async def serve(**changes: Any) -> Site:
        sock = listen("127.0.0.1", 0)
        url = f"http://127.0.0.1:{sock.getsockname()[1]}"
        process = await start(public_url=url, **changes)
        oauth = process.workspaces.oauth

        async def install(request: Request) -> Response:
            return to_starlette_response(await oauth.handle_installation(to_async_bolt_request(request, b"")))

        async def callback(request: Request) -> Response:
            return to_starlette_response(await oauth.handle_callback(to_async_bolt_request(request, b"")))

        app = Starlette(routes=[Route(INSTALL_PATH, install), Route(CALLBACK_PATH, callback)])
        server = Server(uvicorn.Config(app, lifespan="off", log_config=None))
        task = asyncio.create_task(server.serve(sockets=[sock]))
        browser = httpx.AsyncClient()
        ends.append((server, task, browser))
        return Site(process, url, browser)

    yield serve
    for server, task, browser in ends:
        await browser.aclose()
        server.should_exit = True
        await task


StartSite = Callable[..., Awaitable[Site]]


def written_by_us(caplog: pytest.LogCaptureFixture) -> str:
    """What we and Slack's libraries logged; those of the test itself write down addresses."""
    return "".join(record.getMessage() for record in caplog.records if record.name.startswith(("bot", "slack")))


async def test_a_workspace_installs_us(slack: SlackServer, site: StartSite, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    slack.configure(rotates_tokens=True)
    ours = await site()
    link, cookie = await ours.begin()
    asked = httpx.URL(link).params
    assert link.startswith(f"{slack.url}/oauth/v2/authorize?")
    assert (asked["scope"], asked["user_scope"]) == (",".join(SCOPES), "")
    assert asked["redirect_uri"] == ours.url + CALLBACK_PATH
    back = await ours.agree(link)
    with capture_logs() as logs:
        page = await ours.end(back, cookie)
    held = slack.installation(team=OTHER_TEAM)
    assert page.status_code == 200
    assert "Face2Emoji is installed" in page.text
    assert html.escape(f"https://slack.com/app_redirect?app={APP}&team={OTHER_TEAM}") in page.text
    assert "01 Jan 1970" in page.headers["set-cookie"]
    found = await ours.process.workspaces.find(OTHER_TEAM)
    assert (found.client.token, found.bot_user, found.bot_id) == (held.token, held.bot_user, held.bot_id)
    assert (found.scopes, found.installer) == (frozenset(SCOPES), held.installer)
    written = str(logs) + written_by_us(caplog)
    for secret in (held.token, held.refresh_token, httpx.URL(back).params["code"], held.app.client_secret):
        assert secret not in written


async def test_declining_in_slack_installs_nothing(slack: SlackServer, site: StartSite) -> None:
    slack.configure(denies_install=True)
    ours = await site()
    page = await ours.install()
    assert page.status_code == 200
    assert FAILURES["access_denied"] in page.text
    assert f'href="{INSTALL_PATH}"' in page.text
    assert await table(ours.process.engine) == []


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        ({"error": "bad_client_secret"}, "bad_client_secret"),
        ({"status": 503}, "unreachable"),
        ({"cut": "before"}, "unreachable"),
    ],
)
async def test_slack_may_not_confirm(
    slack: SlackServer, site: StartSite, trouble: dict[str, Any], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    slack.fail("oauth.v2.access", **trouble)
    ours = await site()
    link, cookie = await ours.begin()
    back = await ours.agree(link)
    with capture_logs() as logs:
        page = await ours.end(back, cookie)
    assert page.status_code == 401
    assert FAILURES["invalid_code"] in page.text
    assert [(entry["event"], entry["reason"]) for entry in logs] == [("slack_installation_failed", reason)]
    assert httpx.URL(back).params["code"] not in written_by_us(caplog)
    assert (await ours.install()).status_code == 200


async def test_an_installation_that_cannot_be_stored_says_so(slack: SlackServer, site: StartSite) -> None:
    ours = await site()
    with ours.process.engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE face2emoji_slack_installations RENAME TO away"))
    with capture_logs() as logs:
        page = await ours.install()
    assert page.status_code == 500
    assert FAILURES["storage_error"] in page.text
    assert [entry["event"] for entry in logs] == ["slack_installation_not_stored"]


@pytest.mark.parametrize("words", ["<script>", "Call 555 and pay", "a" * 41])
async def test_the_page_shows_slack_s_word_for_a_failure_and_nobody_s_sentence(site: StartSite, words: str) -> None:
    ours = await site()
    page = await ours.end(f"{ours.url}{CALLBACK_PATH}?error={words}", "")
    assert "Slack ended the installation." in page.text
    assert words not in page.text
    page = await ours.end(f"{ours.url}{CALLBACK_PATH}?error=team_is_full", "")
    assert "Slack ended the installation (team_is_full)." in page.text


async def test_an_installation_begun_in_one_browser_does_not_end_in_another(
    slack: SlackServer, site: StartSite
) -> None:
    ours = await site()
    link, _ = await ours.begin()
    _, other = await ours.begin()
    back = await ours.agree(link)
    for cookie in ("", other):
        page = await ours.end(back, cookie)
        assert page.status_code == 400
        assert FAILURES["invalid_browser"] in page.text
    assert calls_of(slack, "oauth.v2.access") == 0


async def test_an_installation_may_end_in_another_process(slack: SlackServer, site: StartSite) -> None:
    first, second = await site(), await site(key=f"{OTHER_KEY},{KEY}")
    link, cookie = await first.begin()
    page = await second.end(await second.agree(link.replace(first.url, second.url)), cookie)
    assert page.status_code == 200
    assert (await second.process.workspaces.find(OTHER_TEAM)).client.token == slack.installation(team=OTHER_TEAM).token


@pytest.mark.parametrize(
    ("key", "purpose", "age", "is_good"),
    [
        (KEY, "state", 590, True),
        (KEY, "state", 605, False),
        (OTHER_KEY, "state", 0, False),
        (KEY, "tokens", 0, False),
    ],
)
async def test_a_state_is_ours_and_lasts_ten_minutes(
    site: StartSite, key: str, purpose: str, age: int, is_good: bool
) -> None:
    (sealing,) = keys_for(purpose, key)
    state = sealing.encrypt_at_time(b"", int(time.time()) - age).decode()
    ours = await site()
    link, _ = await ours.begin()
    back = await ours.agree(str(httpx.URL(link).copy_set_param("state", state)))
    page = await ours.end(back, f"slack-app-oauth-state={state}")
    assert page.status_code == (200 if is_good else 401)
    assert (FAILURES["invalid_state"] in page.text) is not is_good
    assert bool(await table(ours.process.engine)) is is_good


@pytest.mark.parametrize("state", ["", "nonsense", "ü\x00="])
async def test_a_state_may_be_nonsense(start: StartProcess, state: str) -> None:
    assert not await (await start()).workspaces.oauth.settings.state_store.async_consume(state)
