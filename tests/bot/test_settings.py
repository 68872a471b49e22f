"""Settings: defaults without any variable, one error for all mistakes, an example file in step."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from bot.errors import SettingsError
from bot.settings import PREFIX, Settings, load_settings
from inference import PhotoLimits

EXAMPLE = Path(__file__).parents[2] / ".env.example"


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable of ours, no .env."""
    for name in Settings.model_fields:
        monkeypatch.delenv(PREFIX + name.upper(), raising=False)
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
    Path(".env").write_text("FACE2EMOJI_WORKRES=3\n")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    message = caught.value.message
    assert "FACE2EMOJI_PORT is 'eighty'" in message
    assert "FACE2EMOJI_WORKERS is '0'" in message
    assert "FACE2EMOJI_LOG_FORMAT is 'xml'" in message
    assert "FACE2EMOJI_WORKRES in .env is no setting (did you mean FACE2EMOJI_WORKERS?)" in message
    assert "\n" not in message


def test_settings_are_frozen() -> None:
    settings = load_settings()
    with pytest.raises(ValidationError):
        settings.port = 1


def test_the_example_documents_every_setting_with_its_default() -> None:
    example = EXAMPLE.read_text()
    documented = dict(re.findall(rf"^# {PREFIX}(\w+)=(.*)$", example, re.MULTILINE))
    defaults = {name.upper(): field.default for name, field in Settings.model_fields.items()}
    assert documented == {name: "" if value is None else str(value) for name, value in defaults.items()}
    Path(".env").write_text(example.replace(f"# {PREFIX}", PREFIX))
    assert load_settings() == Settings.model_construct()
