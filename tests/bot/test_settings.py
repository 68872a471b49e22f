"""Settings: defaults without any variable, one error for all mistakes, an example file in step."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from bot.errors import SettingsError
from bot.settings import Settings, load_settings, variables
from inference import PhotoLimits

EXAMPLE = Path(__file__).parents[2] / ".env.example"


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable of ours, no .env."""
    for name in variables().values():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def test_nothing_needs_to_be_set() -> None:
    settings = load_settings()
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert PhotoLimits(settings.max_bytes, settings.max_pixels) == PhotoLimits()


def test_the_environment_wins_over_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("FACE2EMOJI_PORT=8001\nFACE2EMOJI_WORKERS=3\nSOMETHING_ELSE=fine\n")
    monkeypatch.setenv("FACE2EMOJI_PORT", "8002")
    settings = load_settings()
    assert (settings.port, settings.workers) == (8002, 3)


def test_one_error_names_every_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACE2EMOJI_PORT", "eighty")
    monkeypatch.setenv("FACE2EMOJI_WORKERS", "0")
    monkeypatch.setenv("FACE2EMOJI_LOG_FORMAT", "xml")
    monkeypatch.setenv("FACE2EMOJI_PROT", "80")
    Path(".env").write_text("FACE2EMOJI_WORKRES=3\n")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    message = caught.value.message
    assert "FACE2EMOJI_PORT is 'eighty'" in message
    assert "FACE2EMOJI_WORKERS is '0'" in message
    assert "FACE2EMOJI_LOG_FORMAT is 'xml'" in message
    assert "FACE2EMOJI_WORKRES in .env is no setting (did you mean FACE2EMOJI_WORKERS?)" in message
    assert "FACE2EMOJI_PROT is no setting (did you mean FACE2EMOJI_PORT?)" in message
    assert "\n" not in message


def test_an_error_shows_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELEGRAM_BOT_TOKEN", "12345-hush")
    monkeypatch.setenv("FACE2EMOJI_DATABASE_URL", "mysql://me:hush@example.org/bot")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert "TELEGRAM_BOT_TOKEN is wrong: a token from @BotFather looks like" in caught.value.message
    assert "FACE2EMOJI_DATABASE_URL is wrong: it looks like sqlite:///file.db or postgresql://" in caught.value.message
    assert "hush" not in caught.value.message


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "postgresql://", "bot.db"])
def test_an_address_without_a_database_is_wrong(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("FACE2EMOJI_DATABASE_URL", url)
    with pytest.raises(SettingsError):
        load_settings()


def test_a_misspelt_token_does_not_pass_in_silence() -> None:
    Path(".env").write_text("TELEGRAM_BOT_TOKN=123456789:AAF\n")
    with pytest.raises(SettingsError, match=r"TELEGRAM_BOT_TOKN in \.env .* TELEGRAM_BOT_TOKEN"):
        load_settings()


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
def test_addresses_take_the_form_the_libraries_want(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    monkeypatch.setenv("FACE2EMOJI_DATABASE_URL", f"{scheme}://me:hush@example.org/bot")
    monkeypatch.setenv("FACE2EMOJI_PUBLIC_URL", "https://bot.example.org/")
    settings = load_settings()
    assert settings.database_url.get_secret_value() == "postgresql+psycopg://me:hush@example.org/bot"
    assert settings.public_url == "https://bot.example.org"
    assert "hush" not in repr(settings)


def test_settings_are_frozen() -> None:
    settings = load_settings()
    with pytest.raises(ValidationError):
        settings.port = 1


def _written(value: object) -> str:
    if value is None:
        return ""
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def test_the_example_documents_every_setting_with_its_default() -> None:
    example = EXAMPLE.read_text()
    documented = dict(re.findall(r"^# ([A-Z]\w+)=(.*)$", example, re.MULTILINE))
    defaults = {variables()[name]: field.default for name, field in Settings.model_fields.items()}
    written = {name: _written(value) for name, value in defaults.items()}
    assert documented == written
    Path(".env").write_text(re.sub(r"^# ([A-Z]\w+=)", r"\1", example, flags=re.MULTILINE))
    assert load_settings() == Settings.model_construct()
