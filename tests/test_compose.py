"""compose.yaml asks only for what the product has. No Docker is needed: this reads the file."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.__main__ import COMMANDS
from bot.settings import PREFIX, Settings, load_settings, variables

ROOT = Path(__file__).parent.parent
OURS = ("bot", "worker")
SECRET = re.compile(r"PASSWORD|TOKEN|SECRET|KEY|DATABASE_URL")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    content = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
    assert isinstance(content, dict)
    return content


def test_commands_exist(compose: dict[str, Any]) -> None:
    commands = [compose["services"][name]["command"] for name in OURS]
    assert [command[:3] for command in commands] == [["python", "-m", "bot"]] * len(OURS)
    assert {command[3] for command in commands} <= COMMANDS.keys()


def test_every_setting_reaches_the_containers_but_where_to_listen(compose: dict[str, Any]) -> None:
    of_the_image = {"FACE2EMOJI_HOST", "FACE2EMOJI_PORT"}
    for name in OURS:
        environment = compose["services"][name]["environment"]
        assert set(environment) == set(variables().values()) - of_the_image
        handed_on = {setting: value for setting, value in environment.items() if setting != "FACE2EMOJI_DATABASE_URL"}
        assert handed_on == {setting: f"${{{setting}:-}}" for setting in handed_on}


def test_what_is_not_set_has_its_default(
    compose: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)  # where no .env is
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    for setting, value in compose["services"]["bot"]["environment"].items():
        monkeypatch.setenv(setting, "" if value == f"${{{setting}:-}}" else "sqlite:///face2emoji.db")
    assert load_settings() == Settings.model_construct()


def test_secrets_come_from_the_environment(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        secrets = {name: value for name, value in service["environment"].items() if SECRET.search(name)}
        assert secrets
        assert all("${" in value for value in secrets.values())


def test_every_container_is_hardened(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) == {"postgres", *OURS}
    for service in compose["services"].values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert "/tmp" in service["tmpfs"]
        assert service["pids_limit"] <= 512
        assert not service.keys() & {"privileged", "cap_add", "devices", "pid", "ipc", "network_mode", "env_file"}
        assert all(volume.startswith("postgres:") for volume in service.get("volumes", []))


def test_nobody_is_root(compose: dict[str, Any]) -> None:
    assert compose["services"]["postgres"]["user"] == "postgres"
    assert re.search(r"^USER face2emoji$", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)


def test_only_the_page_is_reached_and_only_from_this_machine(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert {name: service["ports"] for name, service in services.items() if "ports" in service} == {
        "bot": ["127.0.0.1:8000:8000"]
    }
    assert services["postgres"]["networks"] == ["inside"]
    assert compose["networks"]["inside"] == {"internal": True}


def test_no_container_is_asked_for_what_it_does_not_serve(compose: dict[str, Any]) -> None:
    """The image looks at the page to see whether it lives; a worker has none."""
    assert "HEALTHCHECK" in (ROOT / "Dockerfile").read_text("utf-8")
    assert compose["services"]["worker"]["healthcheck"] == {"disable": True}
    assert "healthcheck" not in compose["services"]["bot"]


def test_there_are_connections_for_the_processes(compose: dict[str, Any]) -> None:
    [most] = [int(part.partition("=")[2]) for part in compose["services"]["postgres"]["command"] if "max_conn" in part]
    assert most >= 40 * (1 + compose["services"]["worker"]["deploy"]["replicas"])
