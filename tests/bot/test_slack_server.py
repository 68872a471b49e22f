"""The small Slack server against the real slack_sdk and slack_bolt."""

from __future__ import annotations

import asyncio
import io
import json
import re
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

import aiohttp
import httpx
import pytest
import pytest_asyncio
from aiohttp import web
from PIL import Image
from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_async_handlers import AsyncRateLimitErrorRetryHandler
from slack_sdk.signature import SignatureVerifier
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse
from slack_sdk.webhook.async_client import AsyncWebhookClient

from tests.bot.slack_server import Delivery, Sent, SlackProcess, SlackServer, Viewed
from tests.bot.slack_shapes import METHODS, Json, is_emoji, problems_of_blocks, problems_of_view
from tests.bot.slack_world import (
    ADA,
    APP,
    APP_TOKEN,
    ARCHIVED,
    BOT_ID,
    BOT_TOKEN,
    BOT_USER,
    CLIENT_ID,
    CLIENT_SECRET,
    CONNECT,
    EVE,
    GENERAL,
    GUEST,
    OTHER_OWNER,
    OTHER_TEAM,
    PRIVATE,
    RANDOM,
    ROBOT,
    SCOPES,
    SIGNING_SECRET,
    STRANGER,
    TEAM,
    thumbnails,
)

BUTTONS: Json = {
    "type": "actions",
    "elements": [
        {"type": "button", "action_id": "right", "text": {"type": "plain_text", "text": "Right"}, "value": "1"}
    ],
}
MODAL: Json = {
    "type": "modal",
    "callback_id": "photo",
    "title": {"type": "plain_text", "text": "A photo"},
    "submit": {"type": "plain_text", "text": "Read"},
    "blocks": [
        {
            "type": "input",
            "block_id": "photo",
            "label": {"type": "plain_text", "text": "Photo"},
            "element": {"type": "file_input", "action_id": "files", "filetypes": ["jpg"], "max_files": 1},
        },
        {
            "type": "input",
            "block_id": "share",
            "optional": True,
            "label": {"type": "plain_text", "text": "Where"},
            "element": {
                "type": "checkboxes",
                "action_id": "share",
                "options": [{"text": {"type": "plain_text", "text": "In the channel"}, "value": "channel"}],
            },
        },
    ],
}


def picture(width: int = 1280, height: int = 960) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), "orange").save(file, "JPEG")
    return file.getvalue()


async def until(true: Callable[[], object], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        await asyncio.sleep(0.01)


def client_for(server: SlackServer | SlackProcess, token: str | None = BOT_TOKEN) -> AsyncWebClient:
    return AsyncWebClient(token, base_url=server.base_url, timeout=10)


async def fetched(url: str, token: str | None = BOT_TOKEN) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with httpx.AsyncClient(trust_env=False, timeout=5) as http:
        return await http.get(url, headers=headers)


async def error_of(calling: Any) -> str:
    with pytest.raises(SlackApiError) as caught:
        await calling
    return str(caught.value.response["error"])


class Socket:
    """A program in Socket Mode that writes down what it gets, and acknowledges as told."""

    def __init__(self, server: SlackServer | SlackProcess, token: str = APP_TOKEN, ping_interval: float = 5) -> None:
        self.client = SocketModeClient(token, web_client=client_for(server, None), ping_interval=ping_interval)
        self.client.socket_mode_request_listeners.append(self.take)
        self.seen: list[SocketModeRequest] = []
        self.answer: Json | None = None
        self.silent = 0
        self.wait = 0.0

    async def __aenter__(self) -> Socket:
        await self.client.connect()  # type: ignore[no-untyped-call]
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.client.close()  # type: ignore[no-untyped-call]

    async def take(self, client: AsyncBaseSocketModeClient, request: SocketModeRequest) -> None:
        self.seen.append(request)
        if len(self.seen) > self.silent:
            await asyncio.sleep(self.wait)
            await client.send_socket_mode_response(SocketModeResponse(request.envelope_id, self.answer))

    @property
    def events(self) -> list[Json]:
        return [request.payload["event"] for request in self.seen if request.type == "events_api"]


class Hook:
    """A program behind a request URL, likewise."""

    def __init__(self) -> None:
        self.seen: list[tuple[dict[str, str], str]] = []
        self.statuses: list[int] = []
        self.headers: dict[str, str] = {}

    async def __call__(self, request: web.BaseRequest) -> web.Response:
        body = await request.text()
        self.seen.append(({name.lower(): value for name, value in request.headers.items()}, body))
        if body.startswith("{") and json.loads(body)["type"] == "url_verification":
            return web.json_response({"challenge": json.loads(body)["challenge"]})
        return web.Response(status=self.statuses.pop(0) if self.statuses else 200, headers=self.headers)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK takes a proxy from the environment, even to this machine."""
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server() -> Iterator[SlackServer]:
    with SlackServer(retries=(0.05, 0.05, 0.05)) as server:
        yield server


@pytest.fixture(scope="module")
def lasting() -> Iterator[SlackServer]:
    with SlackServer() as server:
        yield server


@pytest.fixture
def client(server: SlackServer) -> AsyncWebClient:
    return client_for(server)


@pytest_asyncio.fixture
async def socket(server: SlackServer) -> AsyncIterator[Socket]:
    async with Socket(server) as socket:
        yield socket


@pytest_asyncio.fixture
async def hook(server: SlackServer) -> AsyncIterator[Hook]:
    hook = Hook()
    runner = web.ServerRunner(web.Server(hook))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    server.configure(request_url=f"http://{host}:{port}/slack/events")
    yield hook
    await runner.cleanup()


# What is allowed


async def test_every_method_is_one_to_the_sdk() -> None:
    assert not [name for name in METHODS if not hasattr(AsyncWebClient, name.replace(".", "_"))]


@pytest.mark.parametrize(
    ("method", "args", "error", "said"),
    [
        ("chat.delete", {}, "unknown_method", "no such method"),
        ("chat.postMessage", {"text": "hi"}, "invalid_arguments", "missing required field: channel"),
        ("chat.postMessage", {"channel": GENERAL}, "no_text", "neither text nor blocks"),
        ("chat.postMessage", {"channel": GENERAL, "text": "x" * 40_001}, "msg_too_long", "longer than 40000"),
        ("chat.postMessage", {"channel": GENERAL, "blocks": "[1]"}, "invalid_blocks_format", "no list"),
        ("chat.postMessage", {"channel": GENERAL, "blocks": [{"type": "hat"}]}, "invalid_blocks", "hat is not allowed"),
        ("reactions.add", {"channel": GENERAL, "name": "grin"}, "invalid_arguments", "field: timestamp"),
        ("views.publish", {"user_id": ADA, "view": MODAL}, "invalid_arguments", "a view of type modal"),
        ("views.open", {"trigger_id": "1", "view": {"type": "hat"}}, "invalid_arguments", "no view: type 'hat'"),
        ("users.info", {"user": ADA}, "invalid_arguments", "a JSON body is not read"),
        ("conversations.history", {"channel": "C0OTHER00"}, "channel_not_found", "the token is of another team"),
        ("auth.test", {"loudly": 1}, "", "loudly is no argument"),
        ("auth.test", {"team_id": None}, "", "team_id: None"),
    ],
)
def test_a_violation_is_recorded(lasting: SlackServer, method: str, args: Json, error: str, said: str) -> None:
    lasting.channel("C0OTHER00", team=OTHER_TEAM)
    lasting.forget_records()
    headers = {"Authorization": f"Bearer {BOT_TOKEN}"}
    answer = httpx.post(f"{lasting.base_url}{method}", json=args, headers=headers, trust_env=False).json()
    assert answer.get("error", "") == error
    assert said in lasting.violations[0].problem
    assert lasting.violations[0].method == lasting.calls[0].method == method
    assert not lasting.sent


def header(text: str) -> Json:
    return {"type": "header", "text": {"type": "plain_text", "text": text}}


def section(text: str, **more: Any) -> Json:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}, **more}


def button(text: str = "x", **more: Any) -> Json:
    return {"type": "button", "text": {"type": "plain_text", "text": text}, "action_id": "a", **more}


def actions(*elements: Json) -> Json:
    return {"type": "actions", "elements": list(elements)}


@pytest.mark.parametrize(
    ("blocks", "said"),
    [
        ([{"type": "divider"}] * 51, "51, more than 50"),
        ([header("x" * 151)], "151 long, more than 150"),
        ([{"type": "header", "text": {"type": "mrkdwn", "text": "x"}}], "mrkdwn is not allowed here"),
        ([section("x" * 3001)], "3001 long, more than 3000"),
        ([section("")], "empty text"),
        ([{"type": "section"}], "neither text nor fields"),
        ([section("x", color="red")], "color is not a field of section"),
        ([actions(button("x" * 76))], "76 long, more than 75"),
        ([actions(button(value="x" * 2001))], "2001 long, more than 2000"),
        ([actions(button(style="red"))], "style: 'red'"),
        ([actions(button(), button())], "action_id: 'a' is there twice"),
        ([actions(button()), section("x", accessory=button())], "action_id: 'a' is there twice"),
        ([actions(button(action_id="x" * 256))], "action_id: outside 1..255"),
        ([actions(*[button(action_id=str(number)) for number in range(26)])], "26, outside 1..25"),
        ([actions()], "0, outside 1..25"),
        ([{"type": "actions"}], "elements is missing"),
        ([{"type": "divider", "block_id": "a"}] * 2, "block_id: 'a' is there twice"),
        ([actions(MODAL["blocks"][0]["element"])], "file_input is not allowed here"),
        ([actions({"type": "checkboxes", "action_id": "a", "options": []})], "options: not 1..10"),
    ],
)
def test_blocks_have_limits(blocks: list[Json], said: str) -> None:
    assert any(said in problem for problem in problems_of_blocks(blocks)), list(problems_of_blocks(blocks))


def test_sound_blocks_and_views_have_no_problems() -> None:
    many = [header("x" * 150), section("x" * 3000), *[{"type": "divider"}] * 47, actions(button("x" * 75))]
    assert list(problems_of_blocks(many)) == []
    assert list(problems_of_view(MODAL)) == []
    assert list(problems_of_view({"type": "home", "blocks": many * 2})) == ["action_id: 'a' is there twice"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"title": {"type": "plain_text", "text": "x" * 25}}, "title: 25 long, more than 24"),
        ({"submit": {"type": "plain_text", "text": "x" * 25}}, "submit: 25 long, more than 24"),
        ({"close": {"type": "plain_text", "text": "x" * 25}}, "close: 25 long, more than 24"),
        ({"private_metadata": "x" * 3001}, "longer than 3000"),
        ({"blocks": [{"type": "divider"}] * 101}, "101, more than 100"),
        ({"type": "home"}, "title is not a field of home"),
    ],
)
def test_views_have_limits(change: Json, said: str) -> None:
    assert any(said in problem for problem in problems_of_view(MODAL | change))


def test_a_modal_with_an_input_needs_a_submit_button() -> None:
    view = {name: value for name, value in MODAL.items() if name != "submit"}
    assert list(problems_of_view(view)) == ["view: submit is missing, and there is an input"]


def test_emoji_have_names() -> None:
    assert is_emoji("grin", {})
    assert is_emoji("thumbsup::skin-tone-3", {})
    assert is_emoji("shipit", {"shipit": "https://emoji.example/shipit.png"})
    assert not any(is_emoji(name, {}) for name in ("shipit", ":grin:", "😁", "thumbsup::skin-tone-7", ""))


async def test_arguments_come_in_every_form(server: SlackServer) -> None:
    ts = server.text()["ts"]
    args = {"channel": GENERAL, "timestamp": ts, "name": "grin"}
    blocks = [BUTTONS]
    headers = {"Authorization": f"Bearer {BOT_TOKEN}"}
    async with httpx.AsyncClient(base_url=server.base_url, headers=headers, trust_env=False) as http:
        assert (await http.get("users.info", params={"user": ADA})).json()["ok"]
        assert (await http.post("reactions.add", params=args)).json()["ok"]
        assert (await http.post("reactions.add", data=args | {"name": "cry"})).json()["ok"]
        assert (await http.post("reactions.add", json=args | {"name": "rage"})).json()["ok"]
        form = {"channel": GENERAL, "text": "hi", "blocks": json.dumps(blocks)}
        assert (await http.post("chat.postMessage", data=form)).json()["ok"]
        assert (await http.post("chat.postMessage", json=form | {"blocks": blocks})).json()["ok"]
        assert not server.violations
        headers = {"content-type": "application/json"}
        assert (await http.post("chat.postMessage", content=b"[]", headers=headers)).json()["error"]
        assert (await http.post("chat.postMessage", data=form | {"blocks": "{"})).json()[
            "error"
        ] == "invalid_blocks_format"
    assert [reacted.name for reacted in server.reactions] == ["grin", "cry", "rage"]
    assert [sent.blocks[0]["elements"][0]["action_id"] for sent in server.sent] == ["right", "right"]
    problems = [violation.problem for violation in server.violations]
    assert problems[0] == "the body is no JSON object"
    assert "blocks is no JSON" in problems


# Tokens and scopes


async def test_the_bot_introduces_itself(server: SlackServer, client: AsyncWebClient) -> None:
    answer = await client.auth_test()
    assert (answer["team_id"], answer["user_id"], answer["bot_id"]) == (TEAM, BOT_USER, BOT_ID)
    assert answer.headers["x-oauth-scopes"].split(",") == SCOPES
    assert (await client_for(server, APP_TOKEN).auth_test())["app_id"] == APP
    assert not server.violations


async def test_tokens_that_are_none(server: SlackServer, client: AsyncWebClient) -> None:
    assert await error_of(client_for(server, None).auth_test()) == "not_authed"
    assert [violation.problem for violation in server.violations] == ["the token is missing"]
    assert await error_of(client_for(server, "xoxb-wrong").auth_test()) == "invalid_auth"
    assert await error_of(client_for(server, APP_TOKEN).users_info(user=ADA)) == "not_allowed_token_type"
    assert await error_of(client.apps_connections_open(app_token=BOT_TOKEN)) == "not_allowed_token_type"
    await fetched(f"{server.base_url}auth.test?token={BOT_TOKEN}", None)
    assert server.violations[-1].problem == "the token is in the URL"
    server.expire_tokens()
    assert await error_of(client.auth_test()) == "token_expired"


async def test_a_token_is_good_for_its_own_team_only(server: SlackServer) -> None:
    other = client_for(server, server.install(team=OTHER_TEAM).token)
    post = server.photo(b"photo")
    assert (
        await error_of(other.reactions_add(channel=GENERAL, timestamp=post["ts"], name="grin")) == "channel_not_found"
    )
    assert await error_of(other.files_info(file=post["files"][0]["id"])) == "file_not_found"
    assert await error_of(other.users_info(user=EVE)) == "user_not_found"
    assert [violation.problem for violation in server.violations] == ["the token is of another team"] * 3
    # They share a channel.
    assert (await other.users_info(user=ADA))["user"]["is_stranger"]
    server.forget_records()
    assert (await other.auth_test())["team_id"] == OTHER_TEAM
    assert (await other.chat_postMessage(channel=CONNECT, text="hi"))["ok"]
    assert not server.violations


async def test_a_scope_is_missing(server: SlackServer, client: AsyncWebClient) -> None:
    server.configure(scopes=["chat:write", "reactions:write"])
    post = server.photo(b"photo")
    answer: AsyncSlackResponse
    with pytest.raises(SlackApiError) as caught:
        await client.conversations_history(channel=GENERAL)
    answer = caught.value.response
    assert (answer["error"], answer["needed"]) == ("missing_scope", "channels:history")
    assert answer["provided"] == answer.headers["x-oauth-scopes"] == "chat:write,reactions:write"
    page = await fetched(post["files"][0]["url_private"])
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert page.text.startswith("<!DOCTYPE html>")
    # Without the scope nothing is told, either.
    assert not server.deliveries
    assert not server.violations


# Calls


async def test_people_are_described(server: SlackServer, client: AsyncWebClient) -> None:
    assert "is_custom_image" not in (await client.users_info(user=ADA))["user"]["profile"]
    server.person(ADA, locale="de-DE", picture=picture(900, 700))
    ada = (await client.users_info(user=ADA, include_locale=True))["user"]
    assert (ada["team_id"], ada["locale"], ada["is_bot"], ada["profile"]["is_custom_image"]) == (
        TEAM,
        "de-DE",
        False,
        True,
    )
    assert not ada["is_restricted"]
    assert (await client.users_info(user=GUEST))["user"]["is_restricted"]
    assert (await client.users_info(user=ROBOT))["user"]["is_bot"]
    assert (await client.users_info(user=EVE))["user"]["is_admin"]
    assert (await client.users_info(user=STRANGER))["user"]["is_stranger"]
    assert await error_of(client.users_info(user="U0NOBODY0")) == "user_not_found"
    with Image.open(io.BytesIO((await fetched(ada["profile"]["image_512"], None)).content)) as avatar:
        assert avatar.size == (512, 512)
    assert (await fetched(ada["profile"]["image_original"], None)).content == picture(900, 700)
    assert [(download.file, download.with_token) for download in server.downloads] == [(ADA, False)] * 2


async def test_reactions_that_are_refused(server: SlackServer, client: AsyncWebClient) -> None:
    post = server.text()

    def react(name: str = "grin", channel: str = GENERAL, timestamp: str = post["ts"]) -> Any:
        return client.reactions_add(channel=channel, timestamp=timestamp, name=name)

    await react()
    assert await error_of(react()) == "already_reacted"
    assert await error_of(react("face_with_bags")) == "invalid_name"
    assert await error_of(react("shipit")) == "invalid_name"
    server.team(TEAM, emoji={"shipit": "https://emoji.example/shipit.png"})
    await react("shipit")
    assert (await client.emoji_list())["emoji"] == {"shipit": "https://emoji.example/shipit.png"}
    assert await error_of(react(timestamp="1.000001")) == "message_not_found"
    assert await error_of(react(channel=RANDOM, timestamp=server.text(channel=RANDOM)["ts"])) == "not_in_channel"
    assert await error_of(react(channel=ARCHIVED, timestamp=server.text(channel=ARCHIVED)["ts"])) == "is_archived"
    assert await error_of(react(channel="C0NOWHERE")) == "channel_not_found"
    hidden = server.channel(kind="group", bots=False, members=[ADA])
    assert await error_of(react(channel=hidden.id)) == "channel_not_found"
    for number in range(2, 23):
        server.react(post, f"emoji_{number}")
    assert await error_of(react("cry")) == "too_many_emoji"
    assert [(reacted.name, reacted.app) for reacted in server.reactions] == [("grin", APP), ("shipit", APP)]
    assert not server.violations


async def test_messages_are_posted_and_changed(server: SlackServer, client: AsyncWebClient) -> None:
    post = server.photo(b"photo")
    answer = await client.chat_postMessage(channel=GENERAL, text="grin", blocks=[BUTTONS], thread_ts=post["ts"])
    assert (answer["channel"], answer["message"]["bot_id"], answer["message"]["thread_ts"]) == (
        GENERAL,
        BOT_ID,
        post["ts"],
    )
    [sent] = server.sent
    assert (sent.channel, sent.ts, sent.text, sent.thread_ts) == (GENERAL, answer["ts"], "grin", post["ts"])
    assert (sent.ephemeral_to, sent.via, sent.app) == (None, "chat.postMessage", APP)
    await client.chat_update(channel=GENERAL, ts=answer["ts"], text="cry")
    assert [edited.text for edited in server.edited] == ["cry"]
    assert await error_of(client.chat_update(channel=GENERAL, ts=post["ts"], text="mine")) == "cant_update_message"
    replies = (await client.conversations_replies(channel=GENERAL, ts=post["ts"]))["messages"]
    assert [(message["ts"], message["text"]) for message in replies] == [(post["ts"], ""), (answer["ts"], "cry")]
    server.delete(post)
    await client.chat_postMessage(channel=GENERAL, text="too late", thread_ts=post["ts"])
    assert not server.violations
    await client.chat_postMessage(channel=GENERAL, text="grin", thread_ts="1.000001")
    await client.chat_postMessage(channel=GENERAL, text="grin", thread_ts=answer["ts"])
    problems = [violation.problem for violation in server.violations]
    assert problems == ["thread_ts is no message's", "thread_ts is that of a reply"]


async def test_a_file_is_brought_and_shown_once(server: SlackServer, client: AsyncWebClient) -> None:
    assert await error_of(client.files_getUploadURLExternal(filename="a.jpg", length=0)) == "missing_argument"
    long = client.files_getUploadURLExternal(filename="a.jpg", length=3, alt_txt="x" * 1001)
    assert await error_of(long) == "alt_txt_too_large"
    place = await client.files_getUploadURLExternal(filename="a.jpg", length=3, alt_txt="A picture")
    files: list[dict[str, str | None]] = [{"id": place["file_id"]}]

    def show(channel: str) -> Coroutine[Any, Any, AsyncSlackResponse]:
        return client.files_completeUploadExternal(files=files, channel_id=channel, initial_comment="Look")

    assert await error_of(show(GENERAL)) == "file_not_found"  # its bytes are not there
    async with httpx.AsyncClient(trust_env=False) as http:
        assert (await http.post(place["upload_url"], content=b"four")).status_code == 400
        assert not server.sent
        await http.post(place["upload_url"], content=b"pic", headers={"Authorization": f"Bearer {BOT_TOKEN}"})
    assert [violation.problem for violation in server.violations] == [
        "an unknown address, a second time, or another length",
        "a token came along",
    ]
    assert await error_of(show(ADA)) == "invalid_arguments"
    assert await error_of(show(RANDOM)) == "not_in_channel"
    assert await error_of(show(ARCHIVED)) == "posting_to_channel_denied"
    await show(GENERAL)
    assert await error_of(show(GENERAL)) == "file_not_found"
    await until(lambda: len(server.sent) == 1)
    (sent,) = server.sent
    assert (sent.text, sent.files[0]["name"], sent.files[0]["alt_txt"]) == ("Look", "a.jpg", "A picture")
    assert server.files[place["file_id"]].renditions["original"] == b"pic"


async def test_messages_to_one_person(server: SlackServer, client: AsyncWebClient) -> None:
    direct = await client.chat_postMessage(channel=ADA, text="hi")
    assert direct["channel"] == server.dm(ADA)
    server.configure(scopes=[scope for scope in SCOPES if scope != "im:write"])
    assert await error_of(client.conversations_open(users=ADA)) == "missing_scope"
    server.configure(scopes=SCOPES)
    assert (await client.conversations_open(users=[ADA]))["channel"]["id"] == server.dm(ADA)
    await client.chat_postEphemeral(channel=GENERAL, user=ADA, text="psst")
    assert [sent.ephemeral_to for sent in server.sent] == [None, ADA]
    assert await error_of(client.chat_postEphemeral(channel=RANDOM, user=ADA, text="psst")) == "not_in_channel"
    absent = server.person().id
    assert await error_of(client.chat_postEphemeral(channel=GENERAL, user=absent, text="psst")) == "user_not_in_channel"
    assert await error_of(client.chat_postMessage(channel=ARCHIVED, text="hi")) == "is_archived"
    assert await error_of(client.chat_postMessage(channel=RANDOM, text="hi")) == "not_in_channel"
    assert await error_of(client.chat_postMessage(channel=ROBOT, text="hi")) == "cannot_dm_bot"
    server.configure(scopes=[*SCOPES, "chat:write.public"])
    await client.chat_postMessage(channel=RANDOM, text="hi")
    assert not server.violations


async def test_history_comes_in_pages(server: SlackServer, client: AsyncWebClient) -> None:
    posts = [server.text(str(number), PRIVATE) for number in range(5)]
    server.text("in a thread", PRIVATE, thread_ts=posts[0]["ts"])
    page = await client.conversations_history(channel=PRIVATE, limit=2)
    assert [message["text"] for message in page["messages"]] == ["4", "3"]
    texts = [message["text"] async for page in page for message in page["messages"]]
    assert texts == ["4", "3", "2", "1", "0"]
    page = await client.conversations_history(channel=PRIVATE, oldest=posts[1]["ts"], latest=posts[3]["ts"])
    assert [message["text"] for message in page["messages"]] == ["2"]
    page = await client.conversations_history(channel=PRIVATE, latest=posts[3]["ts"], limit=1, inclusive=True)
    assert [message["text"] for message in page["messages"]] == ["3"]
    info = (await client.conversations_info(channel=PRIVATE))["channel"]
    assert (info["is_private"], info["is_member"], info["name"]) == (True, True, "private")
    assert not (await client.conversations_info(channel=RANDOM))["channel"]["is_member"]
    assert not server.violations


async def test_one_message_a_second(server: SlackServer, client: AsyncWebClient) -> None:
    server.configure(strict_rates=True)
    await client.chat_postMessage(channel=GENERAL, text="one")
    await client.chat_postMessage(channel=PRIVATE, text="one")
    assert await error_of(client.chat_postMessage(channel=GENERAL, text="two")) == "ratelimited"
    assert [violation.problem for violation in server.violations] == ["more than one message a second in a channel"]


# Files


async def test_a_photo_has_renditions(server: SlackServer, client: AsyncWebClient) -> None:
    data = picture(900, 600)
    [shape] = server.photo(data)["files"]
    assert (shape["mimetype"], shape["size"], shape["original_w"], shape["original_h"]) == (
        "image/jpeg",
        len(data),
        900,
        600,
    )
    assert (await client.files_info(file=shape["id"]))["file"] == shape
    assert (
        (await fetched(shape["url_private"])).content == (await fetched(shape["url_private_download"])).content == data
    )
    sizes = {name: shape.get(f"{name}_w") for name in shape if re.fullmatch(r"thumb_\d+", name)}
    assert list(sizes) == [f"thumb_{side}" for side in (64, 80, 160, 360, 480, 720, 800)]
    for name, width in sizes.items():
        with Image.open(io.BytesIO((await fetched(shape[name])).content)) as opened:
            assert opened.size == ((width, shape[f"{name}_h"]) if width else (int(name[6:]),) * 2)
    assert {download.with_token for download in server.downloads} == {True}
    assert (await fetched(shape["thumb_360"], None)).headers["content-type"].startswith("text/html")
    assert thumbnails(b"no picture") == ((0, 0), {})
    assert not server.violations


async def test_files_that_are_not_as_usual(server: SlackServer, client: AsyncWebClient) -> None:
    gone = server.file(mode="tombstone")
    assert gone == {"id": gone["id"], "mode": "tombstone"}
    assert await error_of(client.files_info(file=gone["id"])) == "file_deleted"
    assert server.file(mode="hidden_by_limit").keys() == {"id", "mode"}
    elsewhere = server.file(picture(), mode="external")
    assert (elsewhere["is_external"], "url_private_download" in elsewhere) == (True, False)
    assert "thumb_360" not in server.file(picture(), thumbs=False)
    heic = server.file(b"heic", name="IMG.HEIC", mimetype="image/heic", thumbs=picture())
    assert (heic["filetype"], heic["original_w"], heic["size"]) == ("heic", 1280, 4)
    assert (await fetched(heic["url_private"])).headers["content-type"] == "image/heic"
    assert server.file(b"large", size=99 << 20)["size"] == 99 << 20
    foreign = server.file(b"photo", foreign=True)
    assert (await fetched(foreign["url_private"], None)).content == b"photo"
    assert not server.violations
    await fetched(foreign["url_private"])
    assert [violation.problem for violation in server.violations] == ["a token went to another host"]


async def test_downloads_that_go_wrong(server: SlackServer) -> None:
    [shape] = server.photo(bytes(2_000_000))["files"]
    url = shape["url_private"]
    server.fail("download", "html", when={"file": shape["id"], "rendition": "original"})
    assert (await fetched(url)).headers["content-type"].startswith("text/html")
    server.fail("download", "redirect")
    moved = await fetched(url)
    assert (moved.status_code, moved.headers["location"].partition("/files")[0]) == (302, server.foreign_url)
    server.fail("download", status=503)
    assert (await fetched(url)).status_code == 503
    server.fail("download", "length")
    with pytest.raises(httpx.RemoteProtocolError):
        await fetched(url)
    server.fail("download", cut="before")
    with pytest.raises(httpx.TransportError):
        await fetched(url)
    server.fail("download", "slow", delay=0.3)
    started = time.monotonic()
    assert len((await fetched(url)).content) == 2_000_000
    assert time.monotonic() - started > 0.29
    server.fail("download", "endless")
    count = 0
    async with (
        httpx.AsyncClient(trust_env=False) as http,
        http.stream("GET", url, headers={"Authorization": f"Bearer {BOT_TOKEN}"}) as endless,
    ):
        assert "content-length" not in endless.headers
        async for chunk in endless.aiter_bytes():
            count += len(chunk)
            if count > 5_000_000:
                break
    assert len((await fetched(url)).content) == 2_000_000
    assert not server.violations


# Faults


@pytest.mark.parametrize(
    ("fault", "error", "happened"),
    [
        ({"error": "ratelimited", "retry_after": 7}, "ratelimited", False),
        ({"error": "internal_error"}, "internal_error", False),
        ({"status": 500}, None, False),
        ({"status": 503}, None, False),
        ({"cut": "before"}, "", False),
        ({"cut": "after"}, "", True),
    ],
)
async def test_a_call_goes_wrong_once(server: SlackServer, fault: Json, error: str | None, happened: bool) -> None:
    client = client_for(server)
    client.retry_handlers.clear()
    planned = server.fail("chat.postMessage", when={"text": "hi"}, **fault)
    await client.chat_postMessage(channel=GENERAL, text="other")
    expected = aiohttp.ClientError if "cut" in fault else SlackApiError
    with pytest.raises(expected) as caught:
        await client.chat_postMessage(channel=GENERAL, text="hi")
    status = fault.get("status", 429 if error == "ratelimited" else 200)
    if isinstance(caught.value, SlackApiError):
        assert (caught.value.response.status_code, caught.value.response.get("error")) == (status, error)
    if error == "ratelimited":
        assert caught.value.response.headers["Retry-After"] == "7"  # type: ignore[attr-defined]
    assert len(server.sent) == 1 + happened
    assert planned.hits == 1
    await client.chat_postMessage(channel=GENERAL, text="hi")
    assert [call.status for call in server.calls_of("chat.postMessage")] == [200, 0 if "cut" in fault else status, 200]


async def test_the_sdk_waits_as_long_as_told(server: SlackServer, client: AsyncWebClient) -> None:
    client.retry_handlers.append(AsyncRateLimitErrorRetryHandler(max_retry_count=1))
    server.fail("chat.postMessage", "ratelimited", retry_after=1)
    await client.chat_postMessage(channel=GENERAL, text="hi")
    first, second = (call.clock for call in server.calls_of("chat.postMessage"))
    assert second - first >= 1


async def test_a_slow_answer(server: SlackServer) -> None:
    server.fail("chat.postMessage", times=None, delay=0.3)
    client = client_for(server)
    client.timeout = 0.1  # type: ignore[assignment]
    with pytest.raises(TimeoutError):
        await client.chat_postMessage(channel=GENERAL, text="hi")
    assert not server.sent
    server.heal("chat.postMessage")
    await client.chat_postMessage(channel=GENERAL, text="hi")


# Socket Mode


async def test_a_photo_is_told(server: SlackServer, socket: Socket) -> None:
    post = server.photo([b"one", b"two"], text="us", thread_ts=server.text(deliver=False)["ts"])
    await until(lambda: not server.pending)
    [request] = socket.seen
    assert (request.type, request.retry_attempt, request.accepts_response_payload) == ("events_api", 0, False)
    assert (request.payload["team_id"], request.payload["api_app_id"]) == (TEAM, APP)
    assert request.payload["authorizations"][0]["user_id"] == BOT_USER
    event = request.payload["event"]
    assert event == post
    assert (event["type"], event["subtype"], event["channel_type"], event["user"]) == (
        "message",
        "file_share",
        "channel",
        ADA,
    )
    assert (event["ts"], event["parent_user_id"], len(event["files"])) == (event["event_ts"], ADA, 2)
    assert "team" not in event
    assert "bot_id" not in event
    [delivery] = server.deliveries
    assert (delivery.id, delivery.state) == (request.payload["event_id"], "acknowledged")
    assert delivery.id.startswith("Ev")
    assert 0 < server.acks[0] < 3
    assert not server.violations


async def test_who_is_told_what(server: SlackServer, socket: Socket, client: AsyncWebClient) -> None:
    async def told(*, count: int = 1) -> list[Json]:
        await until(lambda: not server.pending)
        events = socket.events
        socket.seen.clear()
        assert len(events) == count
        return events

    server.text(channel=RANDOM)
    await told(count=0)
    both = [server.mention("look", data=b"photo")] and await told(count=2)
    assert {event["type"] for event in both} == {"message", "app_mention"}
    assert {event["ts"] for event in both} == {both[0]["ts"]}
    assert all(event["files"] and event["text"] == f"<@{BOT_USER}> look" for event in both)
    server.mention("look", server.dm())
    assert (await told())[0]["channel_type"] == "im"
    server.photo(b"photo", user=ROBOT)
    assert (await told())[0]["bot_id"] == "B0ROBOT01"
    server.text(user=ROBOT, subtype="bot_message")
    [event] = await told()
    assert "user" not in event
    post = server.text("one", PRIVATE, deliver=False)
    server.edit(post, "two")
    [event] = await told()
    assert (event["subtype"], event["message"]["text"], event["previous_message"]["text"]) == (
        "message_changed",
        "two",
        "one",
    )
    server.delete(post)
    assert (await told())[0]["deleted_ts"] == post["ts"]
    server.joined(RANDOM)
    joined = {event["type"]: event for event in await told(count=2)}
    assert joined["message"]["subtype"] == "channel_join"
    assert (joined["member_joined_channel"]["user"], joined["member_joined_channel"]["inviter"]) == (BOT_USER, EVE)
    server.open_home()
    [event] = await told()
    assert (event["type"], event["tab"], event["channel"]) == ("app_home_opened", "home", server.dm())
    server.tokens_revoked()
    assert (await told())[0]["tokens"] == {"oauth": [], "bot": [BOT_USER]}
    assert await error_of(client.auth_test()) == "token_revoked"
    server.install(team=TEAM)
    server.uninstall()
    assert {event["type"] for event in await told(count=2)} == {"app_uninstalled", "tokens_revoked"}
    # Who comes back is in no channel.
    server.install(team=TEAM)
    server.text()
    await told(count=0)


async def test_slack_connect_sends_stubs(server: SlackServer, socket: Socket, client: AsyncWebClient) -> None:
    server.photo(b"photo", CONNECT, STRANGER)
    await until(lambda: not server.pending)
    payload = socket.seen[0].payload
    assert (payload["team_id"], payload["authorizations"][0]["team_id"]) == (OTHER_TEAM, TEAM)
    assert payload["is_ext_shared_channel"]
    [shape] = payload["event"]["files"]
    assert (shape["mode"], shape["file_access"]) == ("file_access", "check_file_info")
    full = (await client.files_info(file=shape["id"]))["file"]
    assert (await fetched(full["url_private"])).content == b"photo"
    assert not server.violations


async def test_an_event_comes_again_until_it_is_acknowledged(server: SlackServer, socket: Socket) -> None:
    server.configure(ack_timeout=0.2)
    socket.silent = 2
    server.text()
    await until(lambda: not server.pending)
    assert [(request.retry_attempt, request.retry_reason) for request in socket.seen] == [
        (0, ""),
        (1, "timeout"),
        (2, "timeout"),
    ]
    assert len({request.payload["event_id"] for request in socket.seen}) == 1
    assert len({request.envelope_id for request in socket.seen}) == 3
    [delivery] = server.deliveries
    assert [attempt.ack is None for attempt in delivery.attempts] == [True, True, False]
    server.again(delivery.id)
    await until(lambda: len(socket.seen) == 4)
    assert socket.seen[3].retry_attempt == 3
    socket.silent = 99
    server.text()
    await until(lambda: bool(server.failed))
    assert len(socket.seen) == 8


async def test_a_late_acknowledgement_is_noted(server: SlackServer, socket: Socket) -> None:
    server.configure(ack_timeout=0.1, retries=[])
    socket.wait = 0.3
    server.text()
    await until(lambda: bool(server.acks))
    assert server.acks[0] >= 0.3
    assert server.deliveries[0].state == "failed"
    assert not server.violations


async def test_an_event_waits_for_a_socket(server: SlackServer) -> None:
    server.configure(retries=[0.1] * 100)
    server.text()
    await asyncio.sleep(0.2)
    assert server.pending
    async with Socket(server) as socket:
        await until(lambda: not server.pending)
        assert socket.seen[0].retry_reason == "connection_failed"


async def test_a_socket_is_opened_anew(server: SlackServer) -> None:
    async with Socket(server, ping_interval=0.2) as socket:
        assert server.sockets == 1
        assert server.disconnect() == 1
        await until(lambda: server.sockets == 1)
        assert server.drop() == 1
        await until(lambda: len(server.calls_of("apps.connections.open")) >= 3 and server.sockets == 1)
        server.text()
        await until(lambda: not server.pending)
        assert socket.events[-1]["text"] == "hello"
    await until(lambda: server.sockets == 0)


async def test_a_deaf_socket_is_noticed_by_its_pings(server: SlackServer) -> None:
    server.configure(ack_timeout=0.2, retries=[0.2] * 50)
    async with Socket(server, ping_interval=0.4) as socket:
        await until(lambda: server.sockets == 1)
        assert server.deafen() == 1
        server.text()
        await asyncio.sleep(0.1)
        assert server.pending
        await until(lambda: server.sockets == 1)
        await until(lambda: not server.pending)
        assert len(socket.seen) == 1


async def test_a_socket_is_refused(server: SlackServer) -> None:
    server.fail("apps.connections.open", "internal_error")
    server.fail("socket", status=503)
    async with Socket(server, ping_interval=0.1):
        await until(lambda: server.sockets == 1)
    # The SDK tries the same URL again.
    assert [call.error for call in server.calls_of("apps.connections.open")] == ["internal_error", ""]


async def test_a_url_for_a_socket_is_good_once(server: SlackServer, client: AsyncWebClient) -> None:
    server.fail("socket", "expired", when={"app": APP})
    async with aiohttp.ClientSession() as http:
        expired = (await client.apps_connections_open(app_token=APP_TOKEN))["url"]
        for _ in range(2):
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await http.ws_connect(expired)
        url = (await client.apps_connections_open(app_token=APP_TOKEN))["url"]
        async with http.ws_connect(url, autoping=False) as held:
            assert (await held.receive_json())["connection_info"] == {"app_id": APP}
            await held.ping(b"from here")
            assert [(await held.receive()).data for _ in range(2)] == [b"Ping from applink-1", b"from here"]
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await http.ws_connect(url)


# HTTP


async def test_events_come_signed(server: SlackServer, hook: Hook) -> None:
    assert await asyncio.to_thread(server.verify_url)
    hook.seen.clear()
    hook.statuses = [500, 404]
    server.photo(b"photo")
    await until(lambda: not server.pending)
    assert [headers.get("x-slack-retry-num") for headers, _ in hook.seen] == [None, "1", "2"]
    assert [headers.get("x-slack-retry-reason") for headers, _ in hook.seen] == [None, "http_error", "http_error"]
    assert len({json.loads(body)["event_id"] for _, body in hook.seen}) == 1
    verifier = SignatureVerifier(SIGNING_SECRET)
    assert all(verifier.is_valid_request(body, headers) for headers, body in hook.seen)
    assert not verifier.is_valid_request(f"{hook.seen[0][1]} ", hook.seen[0][0])
    assert [attempt.status for attempt in server.deliveries[0].attempts] == [500, 404, 200]
    hook.statuses, hook.headers = [500], {"X-Slack-No-Retry": "1"}
    server.text()
    await until(lambda: not server.pending)
    assert len(hook.seen) == 4
    assert len(server.failed) == 1


async def test_interactions_come_as_forms_and_once(server: SlackServer, hook: Hook) -> None:
    hook.statuses = [500, 500]
    command, shortcut = server.command(text="me"), server.shortcut("read_photo")
    await until(lambda: not server.pending)
    assert (command.state, shortcut.state, len(hook.seen)) == ("failed", "failed", 2)
    bodies = [dict(httpx.QueryParams(body)) for _, body in hook.seen]
    assert {headers["content-type"] for headers, _ in hook.seen} == {"application/x-www-form-urlencoded"}
    assert next(body for body in bodies if "command" in body)["text"] == "me"
    payload = json.loads(next(body for body in bodies if "payload" in body)["payload"])
    assert (payload["type"], payload["callback_id"], payload["user"]["id"]) == ("shortcut", "read_photo", ADA)


async def test_nobody_is_at_the_request_url(server: SlackServer) -> None:
    server.configure(request_url="http://127.0.0.1:1/slack/events")
    server.text()
    await until(lambda: not server.pending)
    assert [attempt.reason for attempt in server.deliveries[0].attempts][1:] == ["connection_failed"] * 3


# Interactions


async def done(delivery: Delivery) -> Any:
    await until(lambda: delivery.state != "pending")
    assert delivery.state == "acknowledged"
    return delivery.answer


async def test_a_modal_is_opened_and_submitted(server: SlackServer, socket: Socket, client: AsyncWebClient) -> None:
    await done(server.command("/face2emoji", "", PRIVATE))
    command = socket.seen[0].payload
    assert (command["command"], command["text"], command["channel_id"]) == ("/face2emoji", "", PRIVATE)
    assert (command["channel_name"], command["team_id"], socket.seen[0].type) == (
        "privategroup",
        TEAM,
        "slash_commands",
    )
    opened = (await client.views_open(trigger_id=command["trigger_id"], view=MODAL))["view"]
    assert (opened["callback_id"], opened["team_id"], opened["type"]) == ("photo", TEAM, "modal")
    again = client.views_open(trigger_id=command["trigger_id"], view=MODAL)
    assert await error_of(again) == "exchanged_trigger_id"
    assert await error_of(client.views_open(trigger_id="1.2.3", view=MODAL)) == "invalid_trigger_id"
    await client.views_update(view_id=opened["id"], hash=opened["hash"], view=MODAL)
    assert await error_of(client.views_update(view_id=opened["id"], hash=opened["hash"], view=MODAL)) == "hash_conflict"
    assert [viewed.method for viewed in server.views] == ["views.open", "views.update"]
    assert server.views[0].user == ADA
    socket.answer = {"response_action": "errors", "errors": {"photo": "No face."}}
    assert await done(server.submit_view(server.views[-1], files=[b"photo"])) == socket.answer
    socket.answer = {"response_action": "update", "view": MODAL | {"callback_id": "thanks"}}
    await done(server.submit_view(opened, {"share": ["channel"]}, [b"photo"]))
    payload = socket.seen[-1].payload
    values = payload["view"]["state"]["values"]
    assert (payload["type"], payload["view"]["callback_id"]) == ("view_submission", "photo")
    assert [option["value"] for option in values["share"]["share"]["selected_options"]] == ["channel"]
    [shape] = values["photo"]["files"]["files"]
    assert (await fetched(shape["url_private_download"])).content == b"photo"
    assert server.views[-1].view["callback_id"] == "thanks"
    assert not server.violations


async def test_a_trigger_lasts_three_seconds(
    server: SlackServer, client: AsyncWebClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.bot.slack_world.TRIGGER_SECONDS", 0.0)
    trigger = server.shortcut("read_photo").payload["trigger_id"]
    await asyncio.sleep(0.01)
    assert await error_of(client.views_open(trigger_id=trigger, view=MODAL)) == "expired_trigger_id"


async def test_answers_to_a_response_url(server: SlackServer, socket: Socket) -> None:
    post = server.photo(b"photo", deliver=False)
    await done(server.shortcut("read_message", post, GUEST))
    payload = socket.seen[0].payload
    assert (payload["type"], payload["message_ts"], payload["channel"]["id"]) == ("message_action", post["ts"], GENERAL)
    assert (payload["message"]["files"], payload["user"]["id"]) == (post["files"], GUEST)
    webhook = AsyncWebhookClient(payload["response_url"])
    assert (await webhook.send(text="psst")).body == "ok"
    assert (await webhook.send(text="all", response_type="in_channel")).status_code == 200
    assert [(sent.text, sent.ephemeral_to, sent.via) for sent in server.sent] == [
        ("psst", GUEST, "response_url"),
        ("all", None, "response_url"),
    ]
    server.fail("response_url", "ratelimited")
    assert (await webhook.send(text="three")).status_code == 429
    server.fail("response_url", cut="after")
    await webhook.send(text="three, and by a retry four")
    assert (await webhook.send(text="five")).status_code == 200
    assert not server.violations
    assert (await webhook.send(text="six")).status_code == 404
    assert [violation.problem for violation in server.violations] == ["used more than 5 times"]
    assert len(server.responses) == 5
    assert (server.responses[0]["text"], server.responses[0]["user"]) == ("psst", GUEST)


async def test_an_acknowledgement_may_be_an_answer(server: SlackServer, socket: Socket) -> None:
    socket.answer = {"text": "Welcome."}
    await done(server.command(text="help", user=EVE))
    [sent] = server.sent
    assert (sent.text, sent.ephemeral_to, sent.via) == ("Welcome.", EVE, "ack")


async def test_buttons_are_pressed(server: SlackServer, socket: Socket, client: AsyncWebClient) -> None:
    await client.chat_postMessage(channel=GENERAL, text="grin", blocks=[BUTTONS])
    await client.chat_postEphemeral(channel=GENERAL, user=ADA, text="psst", blocks=[BUTTONS])
    await client.views_publish(user_id=ADA, view={"type": "home", "blocks": [BUTTONS]})
    await until(lambda: not server.pending)
    socket.seen.clear()
    targets: list[Sent | Viewed] = [*server.sent, server.views[0]]
    for target in targets:
        await done(server.press(target, "right", EVE))
    in_channel, to_one, at_home = (request.payload for request in socket.seen)
    assert {payload["actions"][0]["value"] for payload in (in_channel, to_one, at_home)} == {"1"}
    assert all(payload["actions"][0]["block_id"] for payload in (in_channel, to_one, at_home))
    assert in_channel["container"]["is_ephemeral"] is False
    assert in_channel["message"]["ts"] == in_channel["container"]["message_ts"] == server.sent[0].ts
    assert to_one["container"]["is_ephemeral"] is True
    assert "message" not in to_one
    assert (at_home["container"]["type"], at_home["view"]["type"]) == ("view", "home")
    await AsyncWebhookClient(in_channel["response_url"]).send(text="Thanks.", replace_original=True)
    await AsyncWebhookClient(to_one["response_url"]).send(delete_original=True)
    assert [(edited.text, edited.ts) for edited in server.edited] == [
        ("Thanks.", server.sent[0].ts),
        ("", server.sent[1].ts),
    ]
    await done(server.open_home())
    opened = next(event for event in socket.events if event["type"] == "app_home_opened")
    assert opened["view"]["id"] == at_home["view"]["id"]
    assert not server.violations


# Many workspaces, several apps


async def installed(server: SlackServer, **query: str) -> dict[str, str]:
    query = {
        "client_id": CLIENT_ID,
        "scope": "chat:write,files:read",
        "state": "s",
        "redirect_uri": "http://bot/back",
    } | query
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.get(f"{server.url}/oauth/v2/authorize", params=query)
    assert answer.status_code == 302
    assert answer.headers["location"].startswith("http://bot/back?")
    return dict(httpx.URL(answer.headers["location"]).params)


@pytest.mark.filterwarnings("ignore:BasicAuth is deprecated:DeprecationWarning")
async def test_an_app_is_installed_and_its_tokens_turn_over(server: SlackServer) -> None:
    server.configure(rotates_tokens=True)
    client = client_for(server, None)
    secrets = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    back = await installed(server)
    assert back["state"] == "s"
    redirected = secrets | {"redirect_uri": "http://bot/back"}
    answer = await client.oauth_v2_access(**redirected, code=back["code"])
    assert (answer["team"]["id"], answer["scope"], answer["authed_user"]["id"]) == (
        OTHER_TEAM,
        "chat:write,files:read",
        OTHER_OWNER,
    )
    assert (await client.auth_test(token=answer["access_token"]))["user_id"] == answer["bot_user_id"]
    assert await error_of(client.oauth_v2_access(**redirected, code=back["code"])) == "invalid_code"
    assert (
        await error_of(client.oauth_v2_access(client_id=CLIENT_ID, client_secret="x", code="1")) == "bad_client_secret"
    )
    other_way = (await installed(server))["code"]
    assert await error_of(client.oauth_v2_access(**secrets, code=other_way)) == "bad_redirect_uri"
    server.expire_tokens(OTHER_TEAM)
    assert await error_of(client.auth_test(token=answer["access_token"])) == "token_expired"
    refresh = {"grant_type": "refresh_token", "refresh_token": answer["refresh_token"]}
    renewed = await client.oauth_v2_access(**secrets, **refresh)
    assert renewed["expires_in"] == 43200
    assert (await client.auth_test(token=renewed["access_token"]))["team_id"] == OTHER_TEAM
    assert await error_of(client.oauth_v2_access(**secrets, **refresh)) == "invalid_refresh_token"
    server.configure(denies_install=True)
    assert (await installed(server))["error"] == "access_denied"
    assert (await client.auth_revoke(token=renewed["access_token"]))["revoked"]
    assert await error_of(client.auth_test(token=renewed["access_token"])) == "token_revoked"
    assert not server.violations


async def test_two_bots_hear_each_other(server: SlackServer, socket: Socket, client: AsyncWebClient) -> None:
    scopes = [*SCOPES, "reactions:read"]
    second = server.app(scopes=scopes)
    server.configure(scopes=scopes)
    server.configure(second.app.id, events=["message.channels", "reaction_added"])
    async with Socket(server, second.app.app_token) as other:
        post = await client.chat_postMessage(channel=GENERAL, text="grin")
        await client_for(server, second.token).reactions_add(channel=GENERAL, timestamp=post["ts"], name="cry")
        await until(lambda: not server.pending)
        # The first one hears itself, and did not ask for reactions.
        assert [(event["type"], event["bot_id"]) for event in socket.events] == [("message", BOT_ID)]
        assert [event["type"] for event in other.events] == ["message", "reaction_added"]
        assert (other.events[0]["user"], other.events[0]["bot_id"]) == (BOT_USER, BOT_ID)
        assert other.events[1]["user"] == second.bot_user
        server.configure(is_legacy=True)
        await client.chat_postMessage(channel=GENERAL, text="grin")
        await until(lambda: not server.pending)
        assert (other.events[2]["subtype"], "user" in other.events[2]) == ("bot_message", False)


async def test_an_app_in_both_workspaces_of_a_channel_is_told_once(server: SlackServer, socket: Socket) -> None:
    server.install(team=OTHER_TEAM)
    server.text(channel=CONNECT)
    await until(lambda: not server.pending)
    assert len(socket.seen) == 1


# Bolt, and another process


async def test_a_bolt_app_answers(server: SlackServer) -> None:
    app = AsyncApp(client=client_for(server), signing_secret=SIGNING_SECRET, process_before_response=True)

    @app.event("message")
    async def react(event: Json, client: AsyncWebClient) -> None:
        await client.reactions_add(channel=event["channel"], timestamp=event["ts"], name="grin")

    @app.command("/face2emoji")
    async def answer(ack: Any, respond: Any) -> None:
        await ack()
        await respond("Welcome.")

    runner = web.AppRunner(app.web_app("/slack/events"))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.configure(request_url=f"http://127.0.0.1:{runner.addresses[0][1]}/slack/events")
    posts = [server.photo(b"photo") for _ in range(20)]
    await done(server.command(text="help"))
    await until(lambda: not server.pending and bool(server.sent))
    assert {reacted.ts for reacted in server.reactions} == {post["ts"] for post in posts}
    assert (server.sent[0].text, server.sent[0].ephemeral_to) == ("Welcome.", ADA)
    assert len(server.acks) == 21
    assert not server.violations
    await runner.cleanup()


async def test_the_server_as_a_process() -> None:
    with SlackProcess("--ack-timeout", "2", "--retries", "0.1", "0.1") as process:
        async with Socket(process) as socket:
            post = process.control("photo", data=picture(), channel=PRIVATE)
            process.control("fail", method="chat.postMessage", error="internal_error", when={"text": "no"})
            await until(lambda: bool(socket.seen))
            client = client_for(process)
            await client.reactions_add(channel=PRIVATE, timestamp=post["ts"], name="grin")
            assert await error_of(client.chat_postMessage(channel=PRIVATE, text="no")) == "internal_error"
            await client.chat_postMessage(channel=PRIVATE, text="yes", blocks=[BUTTONS])
            [sent] = process.state("sent")["sent"]
            process.control("press", target=sent, action_id="right")
            assert process.control("command", text="help")["state"] == "pending"
            await until(lambda: not process.state("pending")["pending"])
        state = process.state()
        assert [(reacted["ts"], reacted["name"]) for reacted in state["reactions"]] == [(post["ts"], "grin")]
        assert [sent["text"] for sent in state["sent"]] == ["yes"]
        assert len(state["acks"]) == len(state["deliveries"]) == 4
        assert (state["violations"], state["failed"]) == ([], [])
        assert process.control("person", user_id="U0NEW0001", locale="ko-KR")["locale"] == "ko-KR"
        with pytest.raises(AssertionError, match="there is no control stop"):
            process.control("stop")
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", process.url)
