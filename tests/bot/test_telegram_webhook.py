"""Updates that Telegram brings by itself: nothing is taken without its secret, nothing is confirmed unstored."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from bot.phrases import ENGLISH
from tests.bot.served import wait_until
from tests.bot.telegram_served import HAPPY, TelegramBot
from tests.bot.telegram_server import TelegramServer
from tests.bot.telegram_shapes import Json

PATH = "/telegram/webhook"


@pytest.fixture(scope="module")
def shared_bot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TelegramBot]:
    """Instead of the polling one; a proxy in front of it, which ends https, is left out."""
    with (
        TelegramServer() as server,
        TelegramBot(tmp_path_factory.mktemp("webhook"), server, public_url="https://bot.example.org") as bot,
    ):
        server.configure(reroute=bot.url)
        assert server.webhook == f"https://bot.example.org{PATH}"
        yield bot


def secret(telegram: TelegramBot) -> str:
    assert telegram.server._webhook
    return telegram.server._webhook.secret


def post(telegram: TelegramBot, content: Any, token: str | None = None) -> httpx.Response:
    headers = {} if token is None else {"X-Telegram-Bot-Api-Secret-Token": token}
    return telegram.http.post(PATH, content=content, headers=headers)


def statuses(telegram: TelegramBot, update_id: int) -> list[int]:
    return [delivery.status for delivery in telegram.server.deliveries if delivery.update_id == update_id]


def test_what_telegram_brings_is_answered_once_even_twice(telegram: TelegramBot) -> None:
    ada, group = telegram.person(), telegram.group(auto=True)
    numbers = [telegram.server.push(telegram.server.photo(HAPPY, place, ada)) for place in (None, group)]
    for number in numbers:
        telegram.server.again(number)
        telegram.settle(number)
        telegram.server.again(number)
    wait_until(lambda: all(statuses(telegram, number) == [200] * 3 for number in numbers))
    assert [sent.text for sent in telegram.ask(telegram.server.text("/auto", user=ada))] == [
        "😄",
        "Happy, 92%\nNext: sad 4%, surprise 2%",
        ENGLISH.groups_only,
    ]
    assert len(telegram.reacted(group)) == 1
    assert telegram.server.calls_of("getUpdates") == []


@pytest.mark.parametrize("wrong", [None, "", "guess", "é"])
def test_nobody_else_can_bring_updates(telegram: TelegramBot, wrong: str | None) -> None:
    ada = telegram.person()
    update = {"update_id": 1, **telegram.server.photo(HAPPY, user=ada)}
    headers = {} if wrong is None else {b"X-Telegram-Bot-Api-Secret-Token": wrong.encode()}
    response = telegram.http.post(PATH, json=update, headers=headers)
    assert response.status_code == 403
    assert telegram.traces(ada["id"]) == []


def test_only_posts_are_taken(telegram: TelegramBot) -> None:
    assert telegram.http.get(PATH).status_code == 405


@pytest.mark.parametrize(
    "junk",
    [
        b"",
        b"junk",
        b"[]",
        b"7",
        b"null",
        b"{}",
        b"\xff\xfe",
        b'{"update_id": "x"}',
        b'{"update_id": 7, "message": {}}',
        b'{"update_id": 7, "message": 7}',
        b"[" * 100_000,
    ],
)
def test_junk_that_knows_the_secret_is_taken_and_dropped(telegram: TelegramBot, junk: bytes) -> None:
    assert post(telegram, junk, secret(telegram)).status_code == 200


def test_who_hangs_up_amid_an_update_is_no_error(telegram: TelegramBot) -> None:
    with socket.create_connection(("127.0.0.1", telegram.http.base_url.port)) as connection:
        head = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nX-Telegram-Bot-Api-Secret-Token: {secret(telegram)}\r\n"
        connection.sendall(head.encode() + b"Content-Length: 100\r\n\r\n{")
    counted = f'face2emoji_http_requests_total{{path="{PATH}",status="499"}} 1.0'
    wait_until(lambda: counted in telegram.http.get("/metrics").text)


def test_what_cannot_be_stored_comes_again(telegram: TelegramBot) -> None:
    ada = telegram.person()
    with capture_logs() as logs:
        with telegram.without("workflow_status"):
            update_id = telegram.server.push(telegram.server.photo(HAPPY, user=ada))
            wait_until(lambda: len(statuses(telegram, update_id)) >= 2)
        telegram.settle(update_id)
    *before, last = statuses(telegram, update_id)
    assert set(before) == {503}
    assert last == 200
    assert telegram.texts(ada["id"])[0] == "😄"
    assert len(telegram.said(ada["id"])) == 2
    assert {"event": "update_not_stored", "kind": "OperationalError", "log_level": "error"} in logs


def test_a_press_and_a_command_are_taken(telegram: TelegramBot) -> None:
    ada = telegram.person()
    details = telegram.ask(telegram.server.photo(HAPPY, user=ada))[-1]
    assert details.reply_markup
    right: Json = details.reply_markup["inline_keyboard"][0][0]
    press = telegram.server.press((details.chat_id, details.message_id), right["callback_data"], ada)
    telegram.settle(telegram.server.push(press))
    assert [answered["text"] for answered in telegram.server.answered_queries] == [ENGLISH.thanks]
    assert telegram.ask(telegram.server.text("/help", user=ada))[-1].text.startswith("Send me a photo")
