"""`/readyz` turns red for a part that dies and green again by itself: here database and Telegram.

Slack's part is in `test_slack_socket.py`.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

import bot.jobs
from benchmarks.processes import family
from bot.errors import DatabaseUnavailable
from bot.store import open_database
from tests.bot.databases import start_postgresql
from tests.bot.running_bot import HAPPY, SAD
from tests.bot.served import wait_until
from tests.bot.telegram_served import TelegramBot
from tests.bot.telegram_server import TelegramServer

SECONDS = 60
"""What docs/operations.md promises."""


def readiness(bot: TelegramBot) -> str:
    answer = bot.http.get("/readyz")
    return answer.text if answer.status_code == 200 else str(answer.json()["error"]["message"])


class OnPostgresql(TelegramBot):
    """Its jobs are in the server's database."""

    @property
    def idle(self) -> bool:
        engine = sa.create_engine(self.address)
        with engine.connect() as connection:
            waiting = connection.execute(
                sa.text("SELECT count(*) FROM dbos.workflow_status WHERE status IN ('PENDING', 'ENQUEUED', 'DELAYED')")
            ).scalar_one()
        engine.dispose()
        return bool(waiting == 0)

    @property
    def address(self) -> str:
        return str(self._settings["database_url"].get_secret_value())


@pytest.fixture
def switch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Callable[[], None], Callable[[], None]]]:
    """A PostgreSQL of the test's own: its address, and how to stop and to start it."""
    server = start_postgresql(tmp_path_factory.mktemp("postgresql"))
    address = sa.make_url(server.get_uri()).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
    yield address, server._stop, server.ensure_postgres_running
    server.cleanup()


def test_a_database_that_goes_away_is_named_until_it_is_back(
    switch: tuple[str, Callable[[], None], Callable[[], None]], tmp_path: Path
) -> None:
    address, stop, start = switch
    with TelegramServer() as server, OnPostgresql(tmp_path, server, database_url=SecretStr(address)) as bot:
        ada = bot.person()
        bot.ask(server.photo(HAPPY, user=ada))
        assert readiness(bot) == "ready"
        stop()
        wait_until(lambda: readiness(bot) == "The database cannot be reached; it is tried again.", SECONDS)
        assert bot.http.get("/healthz").text == "ok"
        assert bot.http.post("/api/read", content=HAPPY).status_code == 200  # the page needs none
        bob = bot.person()
        update = server.push(server.photo(SAD, user=bob))  # cannot be stored, so it is not confirmed
        time.sleep(2)
        assert update not in server.confirmed
        assert readiness(bot) == "The database cannot be reached; it is tried again."  # and nothing of Telegram
        start()
        wait_until(lambda: readiness(bot) == "ready", SECONDS)
        bot.settle(update)
        assert [bot.texts(person["id"])[0] for person in (ada, bob)] == ["😄", "😢"]
        assert [len(bot.texts(person["id"])) for person in (ada, bob)] == [2, 2]


def test_a_database_that_hangs_is_named_until_it_goes_on(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bot.jobs, "HUNG_SECONDS", 2.0)
    server = start_postgresql(tmp_path_factory.mktemp("postgresql"))
    address = sa.make_url(server.get_uri()).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
    try:
        with TelegramServer() as telegram, OnPostgresql(tmp_path, telegram, database_url=SecretStr(address)) as running:
            assert readiness(running) == "ready"
            pid = server.get_pid()
            assert pid
            stopped = list(family(pid))
            for process in stopped:
                os.kill(process, signal.SIGSTOP)
            try:
                wait_until(lambda: readiness(running) == "The database cannot be reached; it is tried again.", SECONDS)
            finally:
                for process in stopped:
                    os.kill(process, signal.SIGCONT)
            wait_until(lambda: readiness(running) == "ready", SECONDS)
            running.ask(telegram.photo(HAPPY, user=running.person()))
    finally:
        server.cleanup()


def test_a_file_that_goes_away_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bot.jobs, "PURGE_SECONDS", 0.5)
    with TelegramServer() as telegram, TelegramBot(tmp_path, telegram) as running:
        path = Path(str(sa.make_url(running._settings["database_url"].get_secret_value()).database))
        assert readiness(running) == "ready"
        away = path.rename(path.with_suffix(".away"))
        wait_until(lambda: readiness(running) == "The database cannot be reached; it is tried again.", SECONDS)
        away.rename(path)
        wait_until(lambda: readiness(running) == "ready", SECONDS)


@pytest.mark.parametrize("kind", ["502", "cut_before"])
def test_telegram_out_of_reach_is_named_until_it_is_back(telegram: TelegramBot, kind: Any) -> None:
    assert readiness(telegram) == "ready"
    telegram.server.fail("*", times=None, kind=kind)
    telegram.server.push(telegram.server.text("hello", user=telegram.person()))  # ends the poll under way
    wait_until(lambda: readiness(telegram) == "Telegram cannot be asked for updates; it is tried again.", SECONDS)
    telegram.server.heal()
    wait_until(lambda: readiness(telegram) == "ready", SECONDS)


def test_a_token_that_was_revoked_is_named(telegram: TelegramBot) -> None:
    telegram.server.fail("*", times=None, kind="401")
    telegram.server.push(telegram.server.text("hello", user=telegram.person()))
    wait_until(lambda: readiness(telegram).startswith("Telegram does not accept TELEGRAM_BOT_TOKEN."), SECONDS)
    telegram.server.heal()
    wait_until(lambda: readiness(telegram) == "ready", SECONDS)


def test_a_database_that_does_not_answer_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"postgresql+psycopg://face2emoji:secret@127.0.0.1:{silent.getsockname()[1]}/face2emoji"
        with pytest.raises(DatabaseUnavailable, match=r"127\.0\.0\.1/face2emoji cannot be opened: .*timeout") as error:
            open_database(address)
    assert "secret" not in error.value.message
