"""Events of any shape: every handler of both platforms lets go what is strange, says no more of it, and works on."""

from __future__ import annotations

import hashlib
import hmac
import json
import random
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from bot.slack_manifest import EVENTS_PATH
from bot.telegram_channel import WEBHOOK_PATH
from tests.bot.running_bot import HAPPY, RunningBot
from tests.bot.served import wait_until
from tests.bot.slack_served import buttons_of, free_port, settings_of
from tests.bot.slack_server import SlackServer
from tests.bot.slack_shapes import Json
from tests.bot.slack_world import ADA, SIGNING_SECRET, Delivery
from tests.bot.strange import SECRET, spoiled
from tests.bot.telegram_server import TelegramServer

PEOPLE = 7001
GROUP, CHANNEL = -1_007_000_000_001, -1_007_000_000_002
# Of each kind of event, so many spoiled ones.
EACH = 12


@dataclass
class Both:
    """One bot on both platforms, which bring their events over HTTP."""

    bot: RunningBot
    telegram: TelegramServer
    slack: SlackServer

    def to_telegram(self, update: Any) -> int:
        secret = self.telegram._webhook.secret if self.telegram._webhook else ""
        headers = {"X-Telegram-Bot-Api-Secret-Token": secret}
        return self.bot.http.post(WEBHOOK_PATH, content=json.dumps(update), headers=headers).status_code

    def to_slack(self, payload: Any, kind: str) -> int:
        """Post what was sent as this kind of delivery, signed."""
        if kind == "events_api":
            body, form = json.dumps(payload).encode(), "application/json"
        else:
            fields = payload if kind == "slash_commands" else {"payload": json.dumps(payload)}
            text = urlencode(fields, errors="surrogatepass") if isinstance(fields, dict) else str(fields)
            body, form = text.encode(), "application/x-www-form-urlencoded"
        at = str(int(time.time()))
        digest = hmac.new(SIGNING_SECRET.encode(), b"v0:" + at.encode() + b":" + body, hashlib.sha256).hexdigest()
        headers = {"Content-Type": form, "X-Slack-Request-Timestamp": at, "X-Slack-Signature": f"v0={digest}"}
        return self.bot.http.post(EVENTS_PATH, content=body, headers=headers).status_code

    def settle(self) -> None:
        wait_until(lambda: not self.slack.pending and not self.telegram.pending, 20)
        wait_until(lambda: self.bot.idle, 30)

    def failed(self) -> float:
        return sum(
            self.bot.metric("face2emoji_jobs_total", platform=platform, outcome="failed")
            for platform in ("telegram", "slack")
        )


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    port = free_port()
    with ExitStack() as running:
        telegram = running.enter_context(TelegramServer(can_read_all_group_messages=True))
        slack = running.enter_context(SlackServer())
        slack.configure(request_url=f"http://127.0.0.1:{port}{EVENTS_PATH}")
        settings: dict[str, Any] = {
            "telegram_bot_token": SecretStr(telegram.token),
            "telegram_base_url": telegram.url,
            "public_url": "https://bot.example.org",
            "slack_base_url": slack.url,
            **settings_of("http"),
        }
        bot = running.enter_context(RunningBot(tmp_path_factory.mktemp("strange"), port=port, **settings))
        telegram.configure(reroute=bot.url)
        yield Both(bot, telegram, slack)


def assert_quiet(logs: list[Any], caplog: pytest.LogCaptureFixture) -> None:
    """Nothing was an error, and nothing of what was sent is in the log; the tests' own servers aside."""
    records = [record for record in caplog.records if not record.name.startswith("aiohttp.")]
    lines = [record.getMessage() for record in records]
    assert [line[:300] for line, record in zip(lines, records, strict=True) if record.exc_info] == []
    assert [entry for entry in logs if entry["log_level"] in ("error", "critical")] == []
    assert SECRET not in f"{logs} {lines}"


def updates(server: TelegramServer) -> list[Json]:
    """One of each kind, those included that we do not ask for."""
    server.chat(GROUP, members={PEOPLE: "creator"})
    server.chat(CHANNEL, "channel")
    photo = server.photo(HAPPY, GROUP, PEOPLE, caption="@face2emoji_test_bot")
    mine = server.photo(HAPPY, user=PEOPLE)
    user = mine["message"]["from"]
    return [
        photo,
        mine,
        server.photo(HAPPY, CHANNEL, caption="/emoji"),
        *server.album([HAPPY, HAPPY], GROUP, PEOPLE),
        server.text("/auto on", GROUP, PEOPLE),
        server.text("/map happy 🎉", user=PEOPLE),
        server.text("/emoji", GROUP, PEOPLE, reply_to=photo),
        server.text("/mask all", GROUP, PEOPLE, reply_to=photo),
        server.text("/forget", user=PEOPLE),
        server.text("/status", GROUP, PEOPLE),
        server.text("Hello @face2emoji_test_bot", GROUP, PEOPLE),
        server.document(HAPPY, user=PEOPLE),
        server.sticker(HAPPY, user=PEOPLE),
        server.animation(HAPPY, user=PEOPLE),
        server.video(HAPPY, user=PEOPLE),
        server.video_note(HAPPY, user=PEOPLE),
        server.voice(user=PEOPLE),
        server.location(user=PEOPLE),
        server.forward(photo, GROUP, PEOPLE),
        server.edited(server.text("Hello", GROUP, PEOPLE), text="Hello again"),
        server.press(mine, "right:0123abcd:3", PEOPLE),
        server.press(mine, "wrong:0123abcd:3", PEOPLE, inaccessible=True),
        server.my_chat_member(GROUP),
        {"inline_query": {"id": "1", "from": user, "query": "x", "offset": ""}},
        {"message_reaction": {**photo["message"], "user": user, "old_reaction": [], "new_reaction": []}},
        {"poll_answer": {"poll_id": "1", "user": user, "option_ids": [0]}},
        {"guest_message": mine["message"]},
    ]


def test_a_strange_update_is_let_go(both: Both, caplog: pytest.LogCaptureFixture) -> None:
    chance = random.Random(8)
    before = both.failed()
    with capture_logs() as logs:
        for update in updates(both.telegram):
            for _ in range(EACH):
                changed = {"update_id": chance.randrange(2**40), **spoiled(update, chance)}
                assert both.to_telegram(changed) == 200, changed
        both.settle()
    assert_quiet(logs, caplog)
    assert both.failed() == before
    both.telegram.push(both.telegram.photo(HAPPY, user=PEOPLE + 1))
    wait_until(lambda: len([sent for sent in both.telegram.sent if sent.chat_id == PEOPLE + 1]) == 2, 30)


def deliveries(server: SlackServer, both: Both) -> list[Delivery]:
    """One of each kind."""
    channel, dm = server.channel(members=[ADA]).id, server.dm(ADA)
    server.command("/face2emoji", "on", channel)
    post = server.photo(HAPPY, channel)
    server.photo(HAPPY, channel, text="Look")
    server.mention("", channel, data=HAPPY)
    server.mention("", channel, thread_ts=post["ts"])
    server.photo(HAPPY, dm)
    both.settle()
    answer = next(sent for sent in server.sent if sent.channel == dm)
    server.text("Hello", dm)
    server.edit(server.text("Hello", channel), "Hello again")
    server.delete(server.photo(HAPPY, channel))
    server.react(post, "tada")
    server.joined(channel)
    file = {"file_id": "F1", "user_id": ADA, "channel_id": channel}
    server.event({"type": "file_shared", **file, "file": {"id": "F1"}})
    server.event({"type": "reaction_added", "user": ADA, "reaction": "tada", "item": {"type": "message", **post}})
    server.event({"type": "member_left_channel", "user": ADA, "channel": channel, "channel_type": "C"})
    server.event({"type": "app_uninstalled"})
    server.event({"type": "tokens_revoked", "tokens": {"oauth": [], "bot": ["U1"]}})
    server.open_home()
    wait_until(lambda: any(viewed.method == "views.publish" for viewed in server.views), 20)
    server.press(next(viewed for viewed in server.views if viewed.method == "views.publish"), "stop_reading")
    for words in ("", "me", "last", "status", "map happy :tada:", "forget", "help", "privacy", "?"):
        server.command("/face2emoji", words, channel)
    wait_until(lambda: any(viewed.method == "views.open" for viewed in server.views), 20)
    server.submit_view(next(viewed for viewed in server.views if viewed.method == "views.open"), files=[HAPPY])
    server.shortcut("read_photo")
    server.shortcut("read_message", post)
    for action in buttons_of(answer).values():
        server.press(answer, action)
    both.settle()
    return list(server.deliveries)


def test_a_strange_event_is_let_go(both: Both, caplog: pytest.LogCaptureFixture) -> None:
    chance = random.Random(8)
    made = deliveries(both.slack, both)
    caplog.clear()
    before = both.failed()
    with capture_logs() as logs:
        for delivery in made:
            for _ in range(EACH):
                changed = spoiled(delivery.payload, chance)
                assert both.to_slack(changed, delivery.kind) < 500, changed
        both.settle()
    assert_quiet(logs, caplog)
    assert both.failed() == before
    channel = both.slack.channel(members=[ADA]).id
    both.slack.command("/face2emoji", "help", channel)
    wait_until(lambda: any(sent.channel == channel for sent in both.slack.sent), 30)
