"""Environment and .env in, one frozen settings object out; one error names everything that is wrong."""

from __future__ import annotations

import difflib
import logging
import os
import re
from pathlib import Path
from typing import Annotated, Literal

from dotenv.parser import Binding, parse_stream
from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from bot.addresses import Networks
from bot.errors import SettingsError
from inference import CheckpointError, DeviceError, EmojiMapError, Face2EmojiError, PhotoLimits

logging.getLogger("dotenv").setLevel(logging.ERROR)  # it warns of lines that we refuse

PREFIX = "FACE2EMOJI_"
FILE = ".env"
SLACK = "https://slack.com"
SHORTEST_KEY = 32
_LIMITS = PhotoLimits()
_NAME = re.compile(r"[\w.-]+")
_DRIVERS = {"sqlite": "sqlite", "postgres": "postgresql+psycopg", "postgresql": "postgresql+psycopg"}


def _token(token: SecretStr) -> SecretStr:
    if not re.fullmatch(r"\d+:[\w-]+", token.get_secret_value()):
        raise ValueError("a token from @BotFather looks like 123456789:AAF...")
    return token


def _slack_token(prefix: str, where: str) -> AfterValidator:
    def check(token: SecretStr) -> SecretStr:
        if not re.fullmatch(prefix + r"[\w-]+", token.get_secret_value()):
            raise ValueError(f"it looks like {prefix}..., from {where} of your app at https://api.slack.com/apps")
        return token

    return AfterValidator(check)


def _key(key: SecretStr) -> SecretStr:
    if any(len(part) < SHORTEST_KEY for part in key.get_secret_value().split(",")):
        raise ValueError(f"a key has {SHORTEST_KEY} characters or more; `openssl rand -base64 32` makes one")
    return key


def _device(name: str) -> str:
    if not re.fullmatch(r"cpu|mps|(cuda|xpu)(:\d+)?", name):
        raise ValueError("a device is cpu, or a graphics card: cuda, cuda:1 for the second one, xpu, mps")
    return name


def _database(url: SecretStr) -> SecretStr:
    """Name the driver, as SQLAlchemy wants it."""
    from sqlalchemy import exc, make_url  # late: a bot without chats does without it

    scheme, separator, rest = url.get_secret_value().partition("://")
    try:
        if not separator or scheme not in _DRIVERS or not rest.strip("/"):
            raise ValueError
        named = f"{_DRIVERS[scheme]}://{rest}"
        place = make_url(named)
    except (ValueError, exc.ArgumentError):  # whose text may hold the password
        raise ValueError("it looks like sqlite:///file.db or postgresql://user:password@host/database") from None
    if scheme != "sqlite" and "@" in f"{place.host}{place.database}":
        raise ValueError("a password is written with %40 for @, %3A for : and %2F for /")
    if scheme == "sqlite" and place.host is not None:
        raise ValueError("before a SQLite file's name stand three slashes, as in sqlite:///file.db")
    if scheme == "sqlite" and (place.database or "").startswith((":memory:", "file:")):
        raise ValueError("jobs have to outlive the bot: name a file, such as sqlite:///file.db")
    return SecretStr(named)


def address(url: str) -> str:
    """Check an address of a server.

    Raises:
        ValueError: it is none.
    """
    if not re.fullmatch(r"https?://[^\s/?#]+[^\s?#]*", url):
        raise ValueError("an address looks like https://bot.example.org")
    return url.rstrip("/")


_Address = Annotated[str, AfterValidator(address)]


def _names(written: str) -> str:
    if any(not re.fullmatch(r"[\w-]+(\.[\w-]+)*", name) for name in words(written)):
        raise ValueError("names look like bot.example.org, with commas between them")
    return written


def _networks(written: str) -> str:
    try:
        Networks(words(written))
    except ValueError as error:
        raise ValueError("addresses look like 192.0.2.1 or 10.0.0.0/8, with commas between them") from error
    return written


def _path(path: Path) -> Path:
    """Expand ~, which only a shell would."""
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise ValueError("nobody here has a home folder of that name") from error


_Path = Annotated[Path, AfterValidator(_path)]


def words(written: str) -> tuple[str, ...]:
    """Return what stands between the commas."""
    return tuple(word.strip() for word in written.split(",") if word.strip())


class Settings(BaseSettings):
    """All settings of the bot; `.env.example` explains them.

    Each is the environment variable ``FACE2EMOJI_<NAME>``; a chat platform's have the names they have everywhere.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=FILE, env_ignore_empty=True, extra="ignore", frozen=True, populate_by_name=True
    )

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)

    telegram_bot_token: Annotated[SecretStr, AfterValidator(_token)] | None = Field(
        default=None, validation_alias="TELEGRAM_BOT_TOKEN"
    )
    telegram_base_url: _Address = Field(default="https://api.telegram.org", validation_alias="TELEGRAM_BASE_URL")

    slack_bot_token: Annotated[SecretStr, _slack_token("xoxb-", "OAuth & Permissions")] | None = Field(
        default=None, validation_alias="SLACK_BOT_TOKEN"
    )
    slack_app_token: Annotated[SecretStr, _slack_token("xapp-", "Basic Information, App-Level Tokens,")] | None = Field(
        default=None, validation_alias="SLACK_APP_TOKEN"
    )
    slack_signing_secret: SecretStr | None = Field(default=None, validation_alias="SLACK_SIGNING_SECRET")
    slack_client_id: str | None = Field(default=None, validation_alias="SLACK_CLIENT_ID")
    slack_client_secret: SecretStr | None = Field(default=None, validation_alias="SLACK_CLIENT_SECRET")
    slack_base_url: _Address = Field(default=SLACK, validation_alias="SLACK_BASE_URL")
    token_key: Annotated[SecretStr, AfterValidator(_key)] | None = None

    public_url: _Address | None = None
    allowed_hosts: Annotated[str, AfterValidator(_names)] = ""
    trusted_proxies: Annotated[str, AfterValidator(_networks)] = ""

    database_url: Annotated[SecretStr, AfterValidator(_database)] = SecretStr("sqlite:///face2emoji.db")
    job_max_age: float = Field(default=15 * 60, gt=0, allow_inf_nan=False)
    job_retention: float = Field(default=24 * 3600, gt=0, allow_inf_nan=False)

    workers: int = Field(default=2, ge=1, le=64)
    queue_limit: int = Field(default=16, ge=1, le=10_000)
    request_timeout: float = Field(default=30, gt=0, le=600)
    rate_limit: int = Field(default=60, ge=0, le=100_000)
    live_limit: int = Field(default=8, ge=0, le=1000)
    connection_limit: int = Field(default=500, ge=2, le=100_000)

    max_bytes: int = Field(default=_LIMITS.max_bytes, ge=1)
    max_pixels: int = Field(default=_LIMITS.max_pixels, ge=1)

    checkpoint: _Path | None = None
    device: Annotated[str, AfterValidator(_device)] = "cpu"
    emoji_map: _Path | None = None

    log_format: Literal["auto", "console", "json"] = "auto"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @property
    def slack(self) -> Literal["one", "many"] | None:
        """For how many workspaces Slack is set up: one with its token, many that install us, or not at all."""
        if self.slack_client_id or self.slack_client_secret:
            return "many"
        return "one" if self.slack_bot_token or self.slack_app_token or self.slack_signing_secret else None

    @property
    def platforms(self) -> tuple[str, ...]:
        """The chat platforms that are set up."""
        is_set_up = {"telegram": self.telegram_bot_token, "slack": self.slack}
        return tuple(name for name, setting in is_set_up.items() if setting)


def variables() -> dict[str, str]:
    """Return the environment variable of each setting."""
    return {name: str(field.validation_alias or PREFIX + name.upper()) for name, field in Settings.model_fields.items()}


def variable_of(error: Face2EmojiError, settings: Settings) -> str | None:
    """Return the environment variable that set what an error is about, if one did."""
    name = {CheckpointError: "checkpoint", DeviceError: "device", EmojiMapError: "emoji_map"}.get(type(error))
    return variables()[name] if name and getattr(settings, name) else None


def load_settings(*, complete: bool = True) -> Settings:
    """Read the environment and .env.

    Args:
        complete: a platform whose set-up is half done is a mistake, too.

    Raises:
        SettingsError: naming every wrong variable at once; what secrets contain is not shown.
    """
    try:
        lines = _lines()
    except (UnicodeDecodeError, OSError) as error:
        raise SettingsError(f"{FILE} cannot be read. It has to be a text, saved as UTF-8, that we may open.") from error
    problems = [*_unreadable(lines), *_misspelt(lines)]
    try:
        settings = Settings()
    except ValidationError as error:
        for detail in error.errors():
            name = str(detail["loc"][0])
            variable = variables().get(name, name)
            reason = detail.get("ctx", {}).get("error")  # of the functions above
            secret = variable.endswith(("_TOKEN", "_KEY", "_SECRET", "_DATABASE_URL"))
            found = "wrong" if secret else repr(detail["input"])
            problems.append(f"{variable} is {found}: {reason or _wanted(name)}")
    else:
        problems += _incomplete(settings) if complete else []
    if problems:
        raise SettingsError("The settings are wrong. " + "; ".join(problems) + ". See .env.example.")
    return settings


def _wanted(name: str) -> str:
    """Say which numbers or words a setting takes: what pydantic says is for programmers. Any text is text to it."""
    field = Settings.model_json_schema()["properties"][name]
    if choices := field.get("enum"):
        return f"it takes {', '.join(choices[:-1])} or {choices[-1]}"
    kind = "a whole number" if field["type"] == "integer" else "a number"
    least, above, most = (field.get(limit) for limit in ("minimum", "exclusiveMinimum", "maximum"))
    if least is None:
        limits = f" above {above}" + (f", {most} at most" if most else "")
    else:
        limits = f" from {least} to {most}" if most else f", {least} or more"
    return f"it takes {kind}{limits}, such as {field['default']}"


def _incomplete(settings: Settings) -> list[str]:
    """Name what Slack still needs."""
    if settings.slack is None:
        return []
    needed = ["slack_bot_token"]
    if settings.slack == "many":
        needed = ["slack_client_id", "slack_client_secret", "token_key", "public_url"]
        if settings.slack_bot_token:
            return [
                "SLACK_BOT_TOKEN is for one workspace, SLACK_CLIENT_ID and SLACK_CLIENT_SECRET are for many: choose"
            ]
    if not settings.slack_app_token:  # Socket Mode needs no address and no signatures
        needed.append("slack_signing_secret")
    missing = [variables()[name] for name in needed if getattr(settings, name) is None]
    if "SLACK_SIGNING_SECRET" in missing and settings.slack == "one":
        missing[-1] = "SLACK_APP_TOKEN (Socket Mode) or SLACK_SIGNING_SECRET (HTTP)"
    return [f"Slack also needs {', '.join(missing)}"] if missing else []


def _lines() -> list[Binding]:
    """Read .env as pydantic-settings does, which passes over a folder and over every line that says nothing to it."""
    path = Path(FILE)
    if path.is_dir():  # as Docker makes one to mount a file that is not there
        raise SettingsError(f"{FILE} is a folder. It has to be a text with the settings, or not to be there.")
    try:
        with path.open(encoding="utf-8") as stream:
            return list(parse_stream(stream))
    except FileNotFoundError:
        return []


def _unreadable(lines: list[Binding]) -> list[str]:
    """Name the lines of .env that set nothing, and say nothing of what stands there: it may be a token."""
    problems = []
    for line in lines:
        written = line.original.string
        text = written.lstrip()
        if line.error and re.match(r"[^=#\n]+=\s*['\"]", text):
            wanted = "without quotes or with one at each end of the value"
        elif line.error or (line.key and (line.value is None or not _NAME.fullmatch(line.key))):
            wanted = 'with nothing but "=" after the name'
        else:
            continue
        number = line.original.line + written[: len(written) - len(text)].count("\n")
        problems.append(f"{FILE}, line {number}: write NAME=value, {wanted}")
    return problems


def _misspelt(lines: list[Binding]) -> list[str]:
    """Name the variables that look like ours but are none: a typo must not pass in silence."""
    known = list(variables().values())
    in_file = {line.key for line in lines if line.key and line.value and _NAME.fullmatch(line.key)}
    problems = []
    # In the environment TELEGRAM_... and SLACK_... may be another program's.
    places = (
        (f"in {FILE} ", (PREFIX, "TELEGRAM_", "SLACK_"), in_file),
        ("", (PREFIX,), set(os.environ)),
    )
    for place, ours, names in places:
        for name in sorted(set(map(str.upper, names))):
            if name.startswith(ours) and name not in known:
                nearest = difflib.get_close_matches(name, known, n=1)
                problems.append(f"{name} {place}is no setting" + (f" (did you mean {nearest[0]}?)" if nearest else ""))
    return problems
