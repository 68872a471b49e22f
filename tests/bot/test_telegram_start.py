"""How a bot on Telegram begins and ends, and that it keeps its secrets."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from pydantic import SecretStr
from structlog.testing import capture_logs

from bot.errors import PlatformRefused, SettingsError
from bot.phrases import ENGLISH
from tests.bot.served import wait_until
from tests.bot.telegram_served import HAPPY, SAD, StartTelegram, TelegramBot
from tests.bot.telegram_server import TelegramServer
from tests.bot.telegram_world import content_of, person
from tests.e2e.served import NO_DOT_ENV, bot_environment


def refusal(bot: TelegramBot) -> PlatformRefused:
    """Why a bot ended by itself."""
    bot.start()
    try:
        wait_until(lambda: not bot.running)
    finally:
        bot.stop()
    assert isinstance(bot.error, PlatformRefused)
    return bot.error


def test_a_wrong_token_ends_the_bot_and_says_what_to_do(tmp_path: Path) -> None:
    with TelegramServer() as server:
        wrong = "123456789:" + "wrong" * 7
        error = refusal(TelegramBot(tmp_path, server, telegram_bot_token=SecretStr(wrong)))
    assert error.message == PlatformRefused.sentence
    assert isinstance(error, SettingsError)  # exit status 2: starting again would not mend it
    assert "@BotFather" in error.message


def test_an_address_that_telegram_does_not_take_ends_the_bot_and_says_why(tmp_path: Path) -> None:
    with TelegramServer() as server:
        error = refusal(TelegramBot(tmp_path, server, public_url="http://bot.example.org"))
    assert "http://bot.example.org" in error.message
    assert "an https url must be provided" in error.message
    assert "FACE2EMOJI_PUBLIC_URL" in error.message


def test_a_bot_that_sees_all_messages_does_not_ask_for_more(start_telegram: StartTelegram) -> None:
    bot = start_telegram(TelegramServer(can_read_all_group_messages=True))
    group = bot.group()
    (answer,) = bot.ask(bot.server.text("/auto on", group, anonymous=True))
    assert answer.text == ENGLISH.auto_on.format(bot="face2emoji_test_bot")


def test_a_bot_that_may_see_the_photos_after_all_notices(start_telegram: StartTelegram) -> None:
    bot = start_telegram(TelegramServer())
    group = bot.group()
    blind, *_ = bot.ask(bot.server.text("/auto on", group, anonymous=True))
    bot.server.configure(can_read_all_group_messages=True)
    *_, seeing = bot.ask(bot.server.text("/auto on", group, anonymous=True))
    assert "/setprivacy" in blind.text
    assert seeing.text == ENGLISH.auto_on


def test_a_group_s_flood_of_commands_keeps_nobody_else_waiting(start_telegram: StartTelegram) -> None:
    """Telegram takes 20 messages a minute into a group: the words beyond wait, but no other chat and no setting."""
    bot = start_telegram(TelegramServer())
    group, ada = bot.group(), bot.person()
    for _ in range(50):
        bot.server.push(bot.server.text("/help", group))
    bot.server.push(bot.server.text("/auto on", group, anonymous=True))
    bot.server.push(bot.server.photo(HAPPY, user=ada))
    wait_until(lambda: len(bot.texts(ada["id"])) == 2, 5)
    wait_until(lambda: bool(bot.rows(f"chat = '{group}'", "face2emoji_chats")), 5)
    assert len(bot.texts(group)) <= 20


def test_telegram_may_come_later_than_the_bot(start_telegram: StartTelegram) -> None:
    server = TelegramServer()
    server.fail("getMe", kind="502")
    server.fail("setMyCommands", kind="500")
    with capture_logs() as logs:
        bot = start_telegram(server)
    assert any(entry["event"] == "telegram_unreachable" for entry in logs)
    assert bot.lines[-1] == "Telegram: send @face2emoji_test_bot a photo."
    assert len(bot.ask(server.photo(HAPPY, user=bot.person()))) == 2


def test_what_comes_while_the_bot_is_away_is_answered_when_it_is_back(tmp_path: Path) -> None:
    with TelegramServer() as server:
        with TelegramBot(tmp_path, server) as bot:
            group = bot.group(auto=True)
            early = bot.person()
            bot.ask(server.photo(HAPPY, user=early))
        late = bot.person()
        numbers = [server.push(server.photo(SAD, user=late)), server.push(server.photo(HAPPY, group))]
        with TelegramBot(tmp_path, server) as bot:
            for number in numbers:
                bot.settle(number)
            assert [len(bot.said(chat["id"])) for chat in (early, late)] == [2, 2]
            assert len(bot.reacted(group)) == 1
        assert server.violations == []


def test_neither_logs_nor_the_database_tell_secrets(tmp_path: Path, portrait: bytes) -> None:
    """The real program, at its most talkative, while all goes wrong that has an address in it."""
    name, words = "Zwetelina", "caption-of-hers"
    database = tmp_path / "jobs.db"
    with TelegramServer() as server:
        environment = bot_environment(
            TELEGRAM_BOT_TOKEN=server.token,
            TELEGRAM_BASE_URL=server.url,
            FACE2EMOJI_DATABASE_URL=f"sqlite:///{database}",
            FACE2EMOJI_PORT="0",
            FACE2EMOJI_WORKERS="1",
            FACE2EMOJI_LOG_LEVEL="debug",
        )
        log = tmp_path / "log"
        ada = person(5_559_000_001, name, last_name="Lastname", username="zwetelina_x")
        server.fail("*", kind="502")
        server.fail("download", kind="404")
        server.fail("download", kind="502")
        server.fail("download", kind="cut_middle")
        server.fail("sendMessage", kind="500", when=lambda call: "reply_markup" in call)
        with log.open("wb") as output:
            bot = subprocess.Popen(
                [sys.executable, "-m", "bot"], cwd=NO_DOT_ENV, env=environment, stdout=output, stderr=subprocess.STDOUT
            )
            try:
                wait_until(lambda: bool(server.calls_of("getUpdates")), 30)
                update = server.photo(portrait, user=ada, caption=words)
                for each in (update, server.photo(portrait, user=ada), server.document(portrait, user=ada)):
                    server.push(each)
                server.push(server.text(f"/map {words}", user=ada))
                server.push({"message": {"message_id": 1, "chat": content_of(update)["chat"], "date": name}})
                server.push(server.photo(b"junk", user=ada))
                wait_until(lambda: len(server.sent) >= 8 and not server.pending, 30)
            finally:
                bot.send_signal(signal.SIGTERM)
                assert bot.wait(30) == 0
        assert server.violations == []
    said = log.read_text()
    stored = b"".join(file.read_bytes() for file in tmp_path.glob("jobs.db*"))
    assert "update_not_understood" in said
    assert str(ada["id"]).encode() in stored
    for secret in (server.token, server.token.partition(":")[2], "/file/bot", "photos/file", name, "Lastname", words):
        assert secret not in said
        assert secret.encode() not in stored
    assert str(ada["id"]) not in said
