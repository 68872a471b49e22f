"""Settings: defaults without any variable, one error for all mistakes, an example file in step."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from bot.__main__ import main
from bot.errors import SettingsError
from bot.settings import Settings, load_settings, variables, words
from inference import PhotoLimits

EXAMPLE = Path(__file__).parents[2] / ".env.example"

BOT = {"SLACK_BOT_TOKEN": "xoxb-1-hush"}
SOCKET = {"SLACK_APP_TOKEN": "xapp-1-hush"}
SIGNED = {"SLACK_SIGNING_SECRET": "hush-signing"}
CLIENT = {"SLACK_CLIENT_ID": "1.2"}
MANY = {
    **CLIENT,
    "SLACK_CLIENT_SECRET": "hush-client",
    "FACE2EMOJI_TOKEN_KEY": "hush" * 8,
    "FACE2EMOJI_PUBLIC_URL": "https://bot.example.org",
}


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable of ours, no .env."""
    ours = [name for name in os.environ if name.startswith("FACE2EMOJI_")]  # the tests have some of their own
    for name in (*variables().values(), *ours):
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
    monkeypatch.setenv("FACE2EMOJI_DEVICE", "gpu")
    Path(".env").write_text("FACE2EMOJI_WORKRES=3\n")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    message = caught.value.message
    assert "FACE2EMOJI_PORT is 'eighty'" in message
    assert "FACE2EMOJI_WORKERS is '0'" in message
    assert "FACE2EMOJI_LOG_FORMAT is 'xml'" in message
    assert "FACE2EMOJI_WORKRES in .env is no setting (did you mean FACE2EMOJI_WORKERS?)" in message
    assert "FACE2EMOJI_DEVICE is 'gpu': a device is cpu, or a graphics card: cuda" in message
    assert "FACE2EMOJI_PROT is no setting (did you mean FACE2EMOJI_PORT?)" in message
    assert "\n" not in message


PORTS = "it takes a whole number from 0 to 65535, such as 8000"


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        *(("FACE2EMOJI_PORT", value, PORTS) for value in ("abc", "-1", "70000", "80.5", "0x50", "nan")),
        ("FACE2EMOJI_MAX_BYTES", "20M", "it takes a whole number, 1 or more, such as 20971520"),
        ("FACE2EMOJI_WORKERS", "65", "it takes a whole number from 1 to 64, such as 2"),
        ("FACE2EMOJI_JOB_MAX_AGE", "1h", "it takes a number above 0, such as 900"),
        ("FACE2EMOJI_JOB_RETENTION", "inf", "it takes a number above 0, such as 86400"),  # no time is so long ago
        ("FACE2EMOJI_REQUEST_TIMEOUT", "0", "it takes a number above 0, 600 at most, such as 30"),
        ("FACE2EMOJI_REQUEST_TIMEOUT", "nan", "it takes a number above 0, 600 at most, such as 30"),
        ("FACE2EMOJI_LOG_LEVEL", "warn", "it takes debug, info, warning or error"),
    ],
)
def test_a_wrong_value_is_told_what_would_be_right(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str
) -> None:
    assert (
        problem(monkeypatch, {name: value}) == f"The settings are wrong. {name} is {value!r}: {says}. See .env.example."
    )


def test_an_error_shows_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELEGRAM_BOT_TOKEN", "12345-hush")
    monkeypatch.setenv("FACE2EMOJI_DATABASE_URL", "mysql://me:hush@example.org/bot")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert "TELEGRAM_BOT_TOKEN is wrong: a token from @BotFather looks like" in caught.value.message
    assert "FACE2EMOJI_DATABASE_URL is wrong: it looks like sqlite:///file.db or postgresql://" in caught.value.message
    assert "hush" not in caught.value.message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FACE2EMOJI_TRUSTED_PROXIES", "*"),
        ("FACE2EMOJI_TRUSTED_PROXIES", "127.0.0.1, proxy"),
        ("FACE2EMOJI_TRUSTED_PROXIES", "10.0.0.1/8"),  # which of the two?
        ("FACE2EMOJI_ALLOWED_HOSTS", "https://bot.example.org"),
        ("FACE2EMOJI_ALLOWED_HOSTS", "*"),
        ("FACE2EMOJI_ALLOWED_HOSTS", "bot.example.org bot.example.net"),
        ("FACE2EMOJI_CONNECTION_LIMIT", "0"),
    ],
)
def test_nobody_is_trusted_by_mistake(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    assert f"{name} is {value!r}: " in problem(monkeypatch, {name: value})


def test_proxies_and_hosts_are_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    written = {
        "FACE2EMOJI_TRUSTED_PROXIES": "127.0.0.1, 10.0.0.0/8,2001:db8::/32",
        "FACE2EMOJI_ALLOWED_HOSTS": "bot.example.org,bot",
    }
    settings = load(monkeypatch, written)
    assert words(settings.trusted_proxies) == ("127.0.0.1", "10.0.0.0/8", "2001:db8::/32")
    assert words(settings.allowed_hosts) == ("bot.example.org", "bot")


@pytest.mark.parametrize("name", ["checkpoint", "emoji_map"])
def test_a_path_may_begin_at_home(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    variable = variables()[name]
    Path(".env").write_text(f"{variable}=~/mine/file\n")
    monkeypatch.setenv("HOME", "/somewhere")
    assert getattr(load_settings(), name) == Path("/somewhere/mine/file")
    message = problem(monkeypatch, {variable: "~nobody-of-that-name/file"})
    assert f"{variable} is '~nobody-of-that-name/file': nobody here has a home folder of that name" in message


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///", "postgresql://", "bot.db", "postgresql://me:hush@example.org:54x2/bot"]
)
def test_an_address_without_a_database_is_wrong(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    assert "it looks like sqlite:///file.db" in problem(monkeypatch, {"FACE2EMOJI_DATABASE_URL": url})


@pytest.mark.parametrize(
    ("url", "advice"),
    [
        ("postgresql://me:very@hush@example.org/bot", "a password is written with %40 for @"),
        ("postgresql://me:very@hush/secret@example.org/bot", "a password is written with %40 for @"),
        ("sqlite://bot.db", "three slashes"),
        ("sqlite://data/bot.db", "three slashes"),
    ],
)
def test_an_address_with_a_slip_is_told_which(monkeypatch: pytest.MonkeyPatch, url: str, advice: str) -> None:
    said = problem(monkeypatch, {"FACE2EMOJI_DATABASE_URL": url})
    assert advice in said
    assert "hush" not in said


@pytest.mark.parametrize("url", ["sqlite:///:memory:", "sqlite:///file:bot?mode=memory&uri=true"])
def test_a_database_in_memory_would_lose_jobs(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    assert "jobs have to outlive the bot: name a file" in problem(monkeypatch, {"FACE2EMOJI_DATABASE_URL": url})


def test_a_misspelt_token_does_not_pass_in_silence() -> None:
    Path(".env").write_text("TELEGRAM_BOT_TOKN=123456789:AAF\n")
    with pytest.raises(SettingsError, match=r"TELEGRAM_BOT_TOKN in \.env .* TELEGRAM_BOT_TOKEN"):
        load_settings()


NO_EQUALS = 'write NAME=value, with nothing but "=" after the name'
QUOTES = "write NAME=value, without quotes or with one at each end of the value"


@pytest.mark.parametrize(
    ("written", "line", "says"),
    [
        ("TELEGRAM_BOT_TOKEN: 123456789:hush", 1, NO_EQUALS),
        ("TELEGRAM_BOT_TOKEN:123456789:hush", 1, NO_EQUALS),
        ("FACE2EMOJI_TOKEN_KEY:hushhushhushhushhushhushhushhush=", 1, NO_EQUALS),  # as openssl writes one
        ("123456789:hush", 1, NO_EQUALS),
        ("# mine\n\n\nFACE2EMOJI_PORT 8471\nFACE2EMOJI_HOST=::", 4, NO_EQUALS),
        ("FACE2EMOJI_HOST=::\nexport FACE2EMOJI_PORT\n", 2, NO_EQUALS),
        ("FACE2EMOJI PORT=8471", 1, NO_EQUALS),
        ("=hush", 1, NO_EQUALS),
        ('\nTELEGRAM_BOT_TOKEN="123456789:hush\n', 2, QUOTES),
        ("TELEGRAM_BOT_TOKEN = '123456789:hush\nFACE2EMOJI_PORT=8471\n", 1, QUOTES),
        ('export TELEGRAM_BOT_TOKEN="123456789:hush\nFACE2EMOJI_PORT="8471"\n', 1, QUOTES),
        ('TELEGRAM_BOT_TOKEN="123456789:hush" of the bot', 1, QUOTES),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_line_that_sets_nothing_does_not_pass_in_silence(
    written: str, line: int, says: str, end: str, caplog: pytest.LogCaptureFixture
) -> None:
    Path(".env").write_text(written, newline=end)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert f".env, line {line}: {says}" in caught.value.message
    assert "hush" not in caught.value.message
    assert caplog.messages == []  # said once


def test_what_other_programs_understand_in_the_file_is_fine() -> None:
    Path(".env").write_text("\ufeff# ours\n\n  export FACE2EMOJI_PORT = '8001' # a note\nother.name-1=it's\nEMPTY=\n\n")
    assert load_settings().port == 8001


def test_the_commands_refuse_such_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    Path(".env").write_text("FACE2EMOJI_PORT 8471\nFACE2EMOJI_WORKERS=none\n")
    assert main(["doctor"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"The settings are wrong. .env, line 1: {NO_EQUALS}; FACE2EMOJI_WORKERS is 'none': ")


def test_a_folder_in_place_of_the_file_is_named() -> None:
    Path(".env").mkdir()
    with pytest.raises(SettingsError, match=r"^\.env is a folder\."):
        load_settings()


def load(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> Settings:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return load_settings()


def problem(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> str:
    with pytest.raises(SettingsError) as caught:
        load(monkeypatch, environment)
    return caught.value.message


@pytest.mark.parametrize(
    ("environment", "workspaces"),
    [
        ({}, None),
        (BOT | SOCKET, "one"),
        (BOT | SIGNED, "one"),
        (BOT | SOCKET | SIGNED, "one"),
        (MANY | SIGNED, "many"),
        (MANY | SOCKET, "many"),
        (MANY | SOCKET | SIGNED, "many"),
        # What only Slack needs sets nothing up by itself.
        ({"FACE2EMOJI_TOKEN_KEY": "k" * 32, "SLACK_BASE_URL": "http://127.0.0.1:3000"}, None),
    ],
)
def test_slack_is_set_up_for_one_workspace_or_many(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], workspaces: str | None
) -> None:
    settings = load(monkeypatch, environment)
    assert settings.slack == workspaces
    assert settings.platforms == (("slack",) if workspaces else ())
    assert "hush" not in repr(settings)


def test_platforms_may_stand_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(monkeypatch, BOT | SOCKET | {"TELEGRAM_BOT_TOKEN": "1:a"})
    assert settings.platforms == ("telegram", "slack")


def without(environment: dict[str, str], name: str) -> dict[str, str]:
    return {key: value for key, value in environment.items() if key != name}


@pytest.mark.parametrize(
    ("environment", "missing"),
    [
        (BOT, ["SLACK_APP_TOKEN (Socket Mode) or SLACK_SIGNING_SECRET (HTTP)"]),
        (SOCKET, ["SLACK_BOT_TOKEN"]),
        (SIGNED, ["SLACK_BOT_TOKEN"]),
        *((without(MANY | SIGNED, name), [name]) for name in (*MANY, *SIGNED)),
        *((without(MANY | SOCKET, name), [name]) for name in MANY),
        (CLIENT, ["SLACK_CLIENT_SECRET", "FACE2EMOJI_TOKEN_KEY", "FACE2EMOJI_PUBLIC_URL", "SLACK_SIGNING_SECRET"]),
    ],
)
def test_half_a_slack_names_what_it_still_needs(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], missing: list[str]
) -> None:
    message = problem(monkeypatch, environment)
    assert re.findall(r"Slack also needs (.+?)\. See", message) == [", ".join(missing)]
    assert "hush" not in message


def test_one_workspace_and_many_exclude_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    for many in (MANY, without(MANY, "SLACK_CLIENT_ID")):
        message = problem(monkeypatch, BOT | SIGNED | many)
        assert re.search("SLACK_BOT_TOKEN is for one workspace, .* for many", message)
        assert "also needs" not in message


def test_a_command_that_comes_before_the_tokens_takes_half_a_slack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLACK_APP_TOKEN", "xapp-1-hush")
    assert load_settings(complete=False).slack == "one"
    monkeypatch.setenv("SLACK_APP_TOKEN", "xoxb-1-hush")
    with pytest.raises(SettingsError, match="SLACK_APP_TOKEN is wrong"):
        load_settings(complete=False)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        # The other one of the two; that of an app whose tokens expire; with something around it.
        ("SLACK_BOT_TOKEN", "xapp-1-hush", "it looks like xoxb-..., from OAuth & Permissions"),
        ("SLACK_BOT_TOKEN", "xoxe.xoxb-1-hush", "it looks like xoxb-..., from OAuth & Permissions"),
        ("SLACK_BOT_TOKEN", "xoxb-hush and more", "it looks like xoxb-..., from OAuth & Permissions"),
        ("SLACK_APP_TOKEN", "xoxb-1-hush", "it looks like xapp-..., from Basic Information, App-Level Tokens,"),
        ("FACE2EMOJI_TOKEN_KEY", "hush", "a key has 32 characters or more"),
        ("FACE2EMOJI_TOKEN_KEY", f"{'hush' * 8},hush", "a key has 32 characters or more"),
    ],
)
def test_a_secret_of_the_wrong_form_is_named_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str
) -> None:
    message = problem(monkeypatch, BOT | SOCKET | {name: value})
    assert f"{name} is wrong: {says}" in message
    assert "hush" not in message


def test_an_address_of_the_wrong_form_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    message = problem(monkeypatch, BOT | SOCKET | {"SLACK_BASE_URL": "slack.com"})
    assert "SLACK_BASE_URL is 'slack.com': an address looks like https://" in message


@pytest.mark.parametrize(
    ("wrong", "right"), [("SLACK_BOT_TOKN", "SLACK_BOT_TOKEN"), ("SLACK_SINGING_SECRET", "SLACK_SIGNING_SECRET")]
)
def test_a_misspelt_setting_of_slack_in_the_file_is_named(wrong: str, right: str) -> None:
    Path(".env").write_text(f"{wrong}=xoxb-hush\n")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert f"{wrong} in .env is no setting (did you mean {right}?)" in caught.value.message
    assert "hush" not in caught.value.message


def test_other_programs_may_have_variables_of_slack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLACK_WEBHOOK_URL", "https://hooks.slack.com/hush")
    assert load_settings().platforms == ()


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


SECRETS = [name for name in variables().values() if name.endswith(("_TOKEN", "_SECRET", "_KEY", "_DATABASE_URL"))]
fits_the_environment = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.sampled_from(sorted(variables().values())),
        fits_the_environment | st.integers().map(str) | st.floats().map(str) | st.just("postgresql://x:hushhush@[/a"),
        max_size=6,
    )
)
def test_any_environment_is_taken_or_named(environment: dict[str, str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        try:
            load_settings()
        except SettingsError as error:
            message = error.message
        else:
            return
    assert "\n" not in message
    assert any(name in message for name in environment) or "SLACK_" in message
    shown = {value for name, value in environment.items() if name not in SECRETS}
    hidden = {environment[name] for name in SECRETS if name in environment} - shown
    assert not [value for value in hidden if len(value) > 6 and value in message]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=60)
    | st.lists(st.tuples(st.sampled_from(sorted(variables().values())), st.binary(max_size=10))).map(
        lambda lines: b"\n".join(name.encode() + b"=" + value for name, value in lines)
    )
)
def test_any_file_of_settings_is_taken_or_named(content: bytes) -> None:
    Path(".env").write_bytes(content)
    try:
        load_settings()
    except SettingsError as error:
        assert "\n" not in error.message  # noqa: PT017 - both endings are fine
