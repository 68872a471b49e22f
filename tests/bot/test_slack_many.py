"""Many workspaces at one bot: how they come, nothing of one reaches another, and nothing is left of who goes."""

from __future__ import annotations

import html
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from bot import slack_oauth, slack_workspaces
from bot.slack_manifest import CALLBACK_PATH, INSTALL_PATH
from bot.slack_oauth import FAILURES
from bot.slack_phrases import ENGLISH, GERMAN
from tests.bot.running_bot import HAPPY, SAD
from tests.bot.served import wait_until
from tests.bot.slack_served import SlackBot, header_of, words_of
from tests.bot.slack_server import SlackServer
from tests.bot.slack_shapes import Json
from tests.bot.slack_world import CLIENT_ID, CLIENT_SECRET, SCOPES, SIGNING_SECRET, TEAM, Installation

# The SDK's way to send the client secret, which aiohttp will drop some day.
pytestmark = pytest.mark.filterwarnings("ignore:BasicAuth is deprecated:DeprecationWarning")

KEY = "key of the test " * 2
MANY: dict[str, Any] = {
    "slack_bot_token": None,
    "slack_client_id": CLIENT_ID,
    "slack_client_secret": SecretStr(CLIENT_SECRET),
    "token_key": SecretStr(KEY),
    # A proxy in front of the bot, which ends https, is left out.
    "public_url": "https://bot.example.org",
}


@pytest.fixture(scope="module")
def shared_slack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlackBot]:
    """Instead of the bot of one workspace."""
    with (
        SlackServer() as server,
        SlackBot(tmp_path_factory.mktemp("many"), server, transport="http", **MANY) as bot,
    ):
        yield bot


@pytest.fixture(autouse=True)
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look up a workspace each time, as after some seconds."""
    monkeypatch.setattr(slack_workspaces, "REMEMBERED_SECONDS", 0)


@dataclass
class Browser:
    """Of somebody who adds the app to a workspace."""

    slack: SlackBot
    team: str

    def begin(self) -> tuple[str, str]:
        """Open our page; return where its link leads, and the cookie, which a browser would bring over https only."""
        page = self.slack.http.get(INSTALL_PATH)
        assert page.status_code == 200
        (link,) = re.findall('<a href="(.*?)">', page.text)
        return html.unescape(link), page.headers["set-cookie"].partition(";")[0]

    def agree(self, link: str) -> str:
        """Say yes, or no, in Slack; return where it sends the browser."""
        location = httpx.get(f"{link}&team={self.team}", timeout=10).headers["location"]
        assert location.startswith(f"{MANY['public_url']}{CALLBACK_PATH}?")
        return str(location)

    def end(self, location: str, cookie: str) -> httpx.Response:
        return self.slack.http.get(location.removeprefix(MANY["public_url"]), headers={"cookie": cookie})

    def install(self) -> httpx.Response:
        link, cookie = self.begin()
        return self.end(self.agree(link), cookie)


@dataclass
class Place:
    """A workspace, its owner and somebody in it, with a channel."""

    slack: SlackBot
    team: str
    owner: str
    user: str
    channel: str = ""

    def install(self) -> None:
        assert Browser(self.slack, self.team).install().status_code == 200
        self.channel = self.slack.server.channel(team=self.team, members=[self.user, self.owner]).id

    @property
    def held(self) -> Installation:
        return self.slack.server.installation(team=self.team)

    @property
    def dm(self) -> str:
        return self.slack.server.dm(self.user)

    def switch_on(self, channel: str = "") -> None:
        channel = channel or self.channel
        before = len(self.slack.said(channel))
        self.slack.settle(self.slack.server.command("/face2emoji", "on", channel, self.user))
        self.slack.wait_for_words(channel, before + 1)

    def ask(self, data: bytes = HAPPY) -> list[str]:
        """Send the bot a photo; return what it answered."""
        before = len(self.slack.said(self.dm))
        self.slack.post(data, self.dm, self.user)
        return [header_of(sent) for sent in self.slack.said(self.dm)[before:]]


def place(slack: SlackBot, *, installed: bool = True, **owner: Any) -> Place:
    """A new workspace."""
    team = slack.server.new_id("T")
    slack.server.team(team)
    made = Place(
        slack,
        team,
        slack.server.person(team=team, is_admin=True, **owner).id,
        slack.server.person(team=team).id,
    )
    if installed:
        made.install()
    return made


# Coming


def test_a_workspace_that_installs_us_is_answered_with_its_own_token(slack: SlackBot) -> None:
    here = place(slack, installed=False)
    browser = Browser(slack, here.team)
    link, cookie = browser.begin()
    asked = httpx.URL(link).params
    assert (asked["client_id"], sorted(asked["scope"].split(",")), asked["user_scope"]) == (CLIENT_ID, SCOPES, "")
    page = browser.end(browser.agree(link), cookie)
    assert page.status_code == 200
    assert "Face2Emoji is installed" in page.text
    slack.server.forget_records()
    assert here.ask() == ["😄"]
    assert {call.team for call in slack.server.calls} == {here.team}
    assert all(download.with_token for download in slack.server.downloads)


def test_a_workspace_that_has_not_installed_us_is_not_heard(slack: SlackBot) -> None:
    """The app is in the first workspace, but this bot was never given its token."""
    user = slack.person()
    dm = slack.server.dm(user)
    slack.server.photo(HAPPY, dm, user)
    delivery = slack.server.deliveries[-1]
    slack.settle()
    assert (delivery.state, len(delivery.attempts)) == ("acknowledged", 1)
    assert (slack.server.calls, slack.traces(user, TEAM)) == ([], [])


def test_the_database_shows_no_token(slack: SlackBot) -> None:
    here = place(slack)
    slack.server.configure(rotates_tokens=True)
    there = place(slack)
    slack.server.configure(rotates_tokens=False)
    assert (here.ask(), there.ask()) == (["😄"], ["😄"])
    secrets = [here.held.token, there.held.token, there.held.refresh_token, CLIENT_SECRET, SIGNING_SECRET, KEY]
    assert all(secrets)
    assert not slack.bytes_hold(*secrets)
    assert slack.bytes_hold(here.team)  # it is the database that was looked at


@pytest.mark.parametrize("wrong", ["forged", "missing", "old", "other browser", "no cookie", "used twice", "denied"])
def test_an_installation_that_goes_wrong_ends_on_a_page_that_helps(
    slack: SlackBot, wrong: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    here = place(slack, installed=False)
    browser = Browser(slack, here.team)
    link, cookie = browser.begin()
    slack.server.configure(denies_install=wrong == "denied")
    location = browser.agree(link)
    slack.server.configure(denies_install=False)
    url, name = httpx.URL(location), cookie.partition("=")[0]
    reason = "invalid_browser"
    match wrong:
        case "forged":
            location, cookie = str(url.copy_set_param("state", "guess")), f"{name}=guess"
            reason = "invalid_state"
        case "missing":
            location = str(url.copy_remove_param("state"))
        case "old":
            monkeypatch.setattr(slack_oauth, "STATE_SECONDS", -5)
            reason = "invalid_state"
        case "other browser":
            _, cookie = browser.begin()
        case "no cookie":
            cookie = ""
        case "used twice":
            slack.server._codes.clear()
            reason = "invalid_code"
        case "denied":
            reason = "access_denied"
    page = browser.end(location, cookie)
    assert page.status_code in (200, 400, 401)
    assert FAILURES[reason] in html.unescape(page.text)
    assert f'href="{INSTALL_PATH}"' in page.text
    assert [
        record.getMessage() for record in caplog.records if record.exc_info or record.levelno >= logging.ERROR
    ] == []
    assert slack.rows(f"workspace = '{here.team}'", "face2emoji_slack_installations") == []
    monkeypatch.undo()
    assert browser.install().status_code == 200
    assert here.ask() == ["😄"]


# Side by side


def test_workspaces_that_share_a_channel_keep_their_own_settings_and_their_own_bot(slack: SlackBot) -> None:
    here, there = place(slack), place(slack)
    shared = slack.server.channel(team=here.team, teams=[there.team], members=[here.user, there.user]).id

    def reactions() -> list[tuple[str, str]]:
        """Post a photo of which both workspaces are told; return who reacted how."""
        slack.server.forget_records()
        event = slack.server.photo(HAPPY, shared, here.user)
        slack.server.event(event, team=there.team, channel=shared)
        slack.settle()
        return sorted((call.team, call.args["name"]) for call in slack.server.calls_of("reactions.add"))

    assert reactions() == []
    here.switch_on(shared)
    assert reactions() == [(here.team, "smile")]
    there.switch_on(shared)
    assert reactions() == [(here.team, "smile"), (there.team, "smile")]
    slack.settle(slack.server.command("/face2emoji", "map happy :tada:", shared, there.user))
    slack.wait_for_words(shared)
    assert reactions() == [(here.team, "smile"), (there.team, "tada")]
    slack.settle(slack.server.command("/face2emoji", "off", shared, here.user))
    slack.wait_for_words(shared)
    assert reactions() == [(there.team, "tada")]


def test_a_token_that_is_dead_ends_the_jobs_of_its_workspace_and_of_no_other(slack: SlackBot) -> None:
    here, there = place(slack), place(slack)
    refused = slack.metric("face2emoji_jobs_total", platform="slack", outcome="refused")
    slack.server.expire_tokens(here.team)
    assert (here.ask(), there.ask()) == ([], ["😄"])
    assert slack.metric("face2emoji_jobs_total", platform="slack", outcome="refused") == refused + 1


def test_a_token_is_exchanged_before_it_expires(slack: SlackBot, monkeypatch: pytest.MonkeyPatch) -> None:
    slack.server.configure(rotates_tokens=True)
    here = place(slack)
    old = here.held.token, here.held.refresh_token
    slack.server.expire_tokens(here.team)
    monkeypatch.setattr(slack_workspaces, "EXCHANGE_MINUTES", 24 * 60)  # its twelve hours are less
    assert here.ask() == ["😄"]
    slack.server.configure(rotates_tokens=False)
    new = here.held.token, here.held.refresh_token
    assert not {*old} & {*new}
    assert not slack.bytes_hold(*old, *new)
    monkeypatch.undo()
    assert here.ask(SAD) == ["😢"]


# Permissions


@pytest.mark.parametrize("scope", ["files:read", "reactions:write"])
@pytest.mark.parametrize("trouble", [None, {"status": 503}, {"cut": "before"}])
def test_a_missing_permission_is_told_to_the_installer_once_and_to_no_channel(
    slack: SlackBot, scope: str, trouble: Json | None
) -> None:
    here = place(slack, locale="de-DE")
    here.switch_on()
    slack.server.configure(team=here.team, scopes=[each for each in SCOPES if each != scope])
    slack.server.forget_records()
    if trouble:
        slack.server.fail("chat.postMessage", when={"channel": here.owner}, **trouble)
    with capture_logs() as logs:
        for _ in range(3):
            slack.post(HAPPY, here.channel, here.user)
    told = [(sent.channel, sent.text, sent.ephemeral_to) for sent in slack.server.sent]
    assert told == [(slack.server.dm(here.owner), GERMAN.installer_scope.format(scope=scope), None)]
    assert slack.server.reactions == []
    assert {entry["scope"] for entry in logs if entry["event"] == "slack_scope_missing"} == {scope}
    slack.server.configure(team=here.team, scopes=SCOPES)
    assert slack.reacted(slack.post(HAPPY, here.channel, here.user)) == ["smile"]


def test_a_sign_in_page_instead_of_a_photo_is_told_to_who_sent_it_and_to_the_installer(slack: SlackBot) -> None:
    here = place(slack)
    slack.server.configure(team=here.team, scopes=[each for each in SCOPES if each != "files:read"])
    slack.post(HAPPY, here.dm, here.user)
    said = {sent.channel: words_of(sent) for sent in slack.server.sent}
    assert said == {
        here.dm: ENGLISH.scope_files,
        slack.server.dm(here.owner): ENGLISH.installer_scope.format(scope="files:read"),
    }


# Going


@pytest.mark.parametrize("end", ["uninstall", "tokens_revoked"])
def test_nothing_is_left_of_a_workspace_that_goes_and_all_of_the_others(slack: SlackBot, end: str) -> None:
    here, there = place(slack), place(slack)
    for each in (here, there):
        each.switch_on()
        slack.settle(slack.server.command("/face2emoji", "map sad :tada:", each.channel, each.user))
        slack.settle(slack.server.open_home(each.user))
        slack.settle(slack.server.press(slack.wait_for_view(each.user), "stop_reading", each.user))
        assert each.ask() == ["😄"]
    wait_until(lambda: slack.bytes_hold(here.team))
    getattr(slack.server, end)(here.team)
    slack.settle()
    wait_until(lambda: slack.traces(here.team, here.channel, here.user) == [])
    wait_until(lambda: not slack.bytes_hold(here.team, here.channel, here.user))
    assert set(slack.traces(there.team)) >= {
        "workflow_status",
        "face2emoji_chats",
        "face2emoji_opted_out",
        "face2emoji_slack_installations",
    }
    assert (here.ask(), there.ask()) == ([], ["😄"])
    assert slack.traces(here.team) == []


def test_a_workspace_that_comes_back_begins_anew(slack: SlackBot) -> None:
    here = place(slack)
    here.switch_on()

    def asked() -> int:
        return sum(call.args.get("user") == here.user for call in slack.server.calls_of("users.info"))

    assert asked() == 1
    slack.settle(*slack.server.uninstall(here.team))
    old = here.channel
    here.install()
    assert here.ask() == ["😄"]
    assert asked() == 2  # who they are was forgotten, too
    slack.server.channels[old].members.add(here.held.bot_user)
    assert slack.reacted(slack.post(HAPPY, old, here.user)) == []
    here.switch_on(old)
    assert slack.reacted(slack.post(HAPPY, old, here.user)) == ["smile"]


def test_a_workspace_that_installs_us_again_keeps_its_settings_and_loses_the_old_token(slack: SlackBot) -> None:
    here = place(slack)
    here.switch_on()
    old, channel = here.held.token, here.channel
    here.install()
    del slack.server.tokens[old]
    assert slack.reacted(slack.post(HAPPY, channel, here.user)) == ["smile"]


def test_a_late_word_of_an_old_token_does_not_remove_a_new_installation(slack: SlackBot) -> None:
    here = place(slack)
    here.switch_on()
    revoked = {"type": "tokens_revoked", "tokens": {"oauth": [], "bot": [here.held.bot_user]}}
    for event in (revoked, {"type": "app_uninstalled"}):
        slack.settle(slack.server.event(dict(event), team=here.team))
    assert slack.reacted(slack.post(HAPPY, here.channel, here.user)) == ["smile"]


def test_what_people_revoke_of_their_own_is_not_the_bot_s(slack: SlackBot) -> None:
    here = place(slack)
    event = {"type": "tokens_revoked", "tokens": {"oauth": [here.user], "bot": []}}
    slack.server.expire_tokens(here.team)  # so that nobody could tell by asking Slack
    slack.settle(slack.server.event(event, team=here.team))
    assert len(slack.rows(f"workspace = '{here.team}'", "face2emoji_slack_installations")) == 1


# Socket Mode


def test_many_workspaces_come_by_one_socket_too(slack: SlackBot, tmp_path: Path) -> None:
    slack.stop()
    try:
        with SlackBot(tmp_path, slack.server, **MANY) as bot:
            here, there = place(bot), place(bot)
            here.switch_on()
            assert slack.server.sockets == 1
            assert (here.ask(), there.ask(SAD)) == (["😄"], ["😢"])
            assert bot.reacted(bot.post(HAPPY, here.channel, here.user)) == ["smile"]
            assert bot.reacted(bot.post(HAPPY, there.channel, there.user)) == []
            bot.settle(*slack.server.uninstall(there.team))
            wait_until(lambda: bot.traces(there.team) == [])
            assert here.ask() == ["😄"]
            assert {attempt.via for each in slack.server.deliveries for attempt in each.attempts} == {"socket"}
    finally:
        slack.lines.clear()
        slack.start()
        wait_until(lambda: len(slack.lines) == 2)
