"""Environment and .env in, one frozen settings object out; one error names everything that is wrong."""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, DotEnvSettingsSource, SettingsConfigDict

from bot.errors import SettingsError
from inference import PhotoLimits

PREFIX = "FACE2EMOJI_"
_LIMITS = PhotoLimits()
_DRIVERS = {"sqlite": "sqlite", "postgres": "postgresql+psycopg", "postgresql": "postgresql+psycopg"}


def _token(token: SecretStr) -> SecretStr:
    if not re.fullmatch(r"\d+:[\w-]+", token.get_secret_value()):
        raise ValueError("a token from @BotFather looks like 123456789:AAF...")
    return token


def _database(url: SecretStr) -> SecretStr:
    """Name the driver, as SQLAlchemy wants it."""
    scheme, separator, rest = url.get_secret_value().partition("://")
    if not separator or scheme not in _DRIVERS or not rest.strip("/"):
        raise ValueError("it looks like sqlite:///file.db or postgresql://user:password@host/database")
    return SecretStr(f"{_DRIVERS[scheme]}://{rest}")


def _address(url: str) -> str:
    if not re.fullmatch(r"https?://[^\s/?#]+[^\s?#]*", url):
        raise ValueError("an address looks like https://bot.example.org")
    return url.rstrip("/")


_Address = Annotated[str, AfterValidator(_address)]


class Settings(BaseSettings):
    """All settings of the bot; `.env.example` explains them.

    Each is the environment variable ``FACE2EMOJI_<NAME>``; a chat platform's have the names they have everywhere.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True, populate_by_name=True
    )

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)

    telegram_bot_token: Annotated[SecretStr, AfterValidator(_token)] | None = Field(
        default=None, validation_alias="TELEGRAM_BOT_TOKEN"
    )
    telegram_base_url: _Address = Field(default="https://api.telegram.org", validation_alias="TELEGRAM_BASE_URL")
    public_url: _Address | None = None

    database_url: Annotated[SecretStr, AfterValidator(_database)] = SecretStr("sqlite:///face2emoji.db")
    job_max_age: float = Field(default=15 * 60, gt=0)
    job_retention: float = Field(default=24 * 3600, gt=0)

    workers: int = Field(default=2, ge=1, le=64)
    queue_limit: int = Field(default=16, ge=1, le=10_000)
    request_timeout: float = Field(default=30, gt=0, le=600)
    rate_limit: int = Field(default=60, ge=0, le=100_000)

    max_bytes: int = Field(default=_LIMITS.max_bytes, ge=1)
    max_pixels: int = Field(default=_LIMITS.max_pixels, ge=1)

    checkpoint: Path | None = None
    emoji_map: Path | None = None

    log_format: Literal["auto", "console", "json"] = "auto"
    log_level: Literal["debug", "info", "warning", "error"] = "info"


def variables() -> dict[str, str]:
    """Return the environment variable of each setting."""
    return {name: str(field.validation_alias or PREFIX + name.upper()) for name, field in Settings.model_fields.items()}


def load_settings() -> Settings:
    """Read the environment and .env.

    Raises:
        SettingsError: naming every wrong variable at once; what secrets contain is not shown.
    """
    problems = _misspelt()
    try:
        settings = Settings()
    except ValidationError as error:
        for detail in error.errors():
            name = str(detail["loc"][0])
            variable = variables().get(name, name)
            message = detail["msg"]
            message = message.removeprefix("Value error, ") if "Value" in message else message.lower()
            secret = variable.endswith(("_TOKEN", "_DATABASE_URL"))
            found = "wrong" if secret else repr(detail["input"])
            problems.append(f"{variable} is {found}: {message}")
    if problems:
        raise SettingsError("The settings are wrong. " + "; ".join(problems) + ". See .env.example.")
    return settings


def _misspelt() -> list[str]:
    """Name the variables that look like ours but are none: a typo must not pass in silence."""
    known = list(variables().values())
    problems = []
    # In the environment TELEGRAM_... may be another program's.
    places = (
        ("in .env ", (PREFIX, "TELEGRAM_"), DotEnvSettingsSource(Settings).env_vars),
        ("", (PREFIX,), os.environ),
    )
    for place, ours, names in places:
        for name in sorted(map(str.upper, names)):
            if name.startswith(ours) and name not in known:
                nearest = difflib.get_close_matches(name, known, n=1)
                problems.append(f"{name} {place}is no setting" + (f" (did you mean {nearest[0]}?)" if nearest else ""))
    return problems
