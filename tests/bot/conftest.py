"""Fixtures of the bot's tests."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from bot.app import Bot, listen
from bot.settings import Settings
from inference import Face2EmojiError
from tests.bot.databases import new_database, postgresql, postgresql_server
from tests.bot.served import ObedientReader, Serve, Served, wait_until
from tests.bot.slack_served import shared_slack, slack, start_slack
from tests.bot.telegram_served import shared_bot, start_telegram, telegram

__all__ = [
    "new_database",
    "postgresql",
    "postgresql_server",
    "shared_bot",
    "shared_slack",
    "slack",
    "start_slack",
    "start_telegram",
    "telegram",
]


@pytest.fixture
def reader() -> ObedientReader:
    return ObedientReader()


@pytest.fixture
def serve(reader: ObedientReader) -> Iterator[Serve]:
    """Start a bot with some settings changed; it is stopped after the test."""
    running: list[tuple[Served, threading.Thread]] = []

    def start(**changes: Any) -> Served:
        settings = Settings.model_construct(**changes)
        sock = listen(settings.host, 0)
        bot = Bot(settings, reader.load)
        served = Served(bot, reader, sock.getsockname()[1])

        def run() -> None:
            try:
                asyncio.run(bot.run(sock, served.lines.append))
            except Face2EmojiError as error:
                served.lines.append(error.message)

        thread = threading.Thread(target=run)
        thread.start()
        running.append((served, thread))
        if reader.may_load.is_set():
            wait_until(lambda: bool(served.lines))
        return served

    yield start
    reader.may_load.set()
    reader.may_read.set()
    for served, thread in running:
        served.http.close()
        served.bot.stop()
        thread.join(15)
        assert not thread.is_alive()
