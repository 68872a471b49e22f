"""Environment and .env in, one frozen settings object out; one error names everything that is wrong."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, DotEnvSettingsSource, SettingsConfigDict

from bot.errors import SettingsError
from inference import PhotoLimits

PREFIX = "FACE2EMOJI_"
_LIMITS = PhotoLimits()


class Settings(BaseSettings):
    """All settings of the bot. Each is the environment variable ``FACE2EMOJI_<NAME>``; `.env.example` explains them."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True
    )

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)

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


def load_settings() -> Settings:
    """Read the environment and .env.

    Raises:
        SettingsError: naming every wrong variable at once.
    """
    problems = _misspelt()
    try:
        settings = Settings()
    except ValidationError as error:
        problems += [
            f"{PREFIX}{str(detail['loc'][0]).upper()} is {detail['input']!r}: {detail['msg'].lower()}"
            for detail in error.errors()
        ]
    if problems:
        raise SettingsError("The settings are wrong. " + "; ".join(problems) + ". See .env.example.")
    return settings


def _misspelt() -> list[str]:
    """Name the variables in .env that look like ours but are none: a typo must not pass in silence."""
    known = [PREFIX + name.upper() for name in Settings.model_fields]
    problems = []
    for name in map(str.upper, DotEnvSettingsSource(Settings).env_vars):
        if name.startswith(PREFIX) and name not in known:
            nearest = difflib.get_close_matches(name, known, n=1)
            problems.append(f"{name} in .env is no setting" + (f" (did you mean {nearest[0]}?)" if nearest else ""))
    return problems
