"""As `compose.yaml` runs it: the bot can write nothing but its /tmp, has no capabilities and can get none."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest

from tests.bot.served import wait_until
from tests.bot.slack_served import free_port
from tests.bot.telegram_server import TelegramServer
from tests.bot.telegram_world import person
from tests.e2e.served import ASTRONAUT, ROOT, bot_environment

# In mount and user namespaces of its own: everything that may be is made read-only, /tmp and the home folder are new.
SCRIPT = """
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /mnt
mkdir /mnt/app /mnt/home
mount --rbind "$1" /mnt/app
mount -t tmpfs -o ro tmpfs /mnt/home
mount -t tmpfs tmpfs /tmp
for place in $(awk '{print $5}' /proc/self/mountinfo | sort -r); do
    case $place in /tmp|/proc*|/dev*|/sys*) ;; *) mount -o remount,bind,ro "$place" 2>/dev/null || true ;; esac
done
for place in /mnt/app /mnt/home "$HOME" /var/tmp; do
    if touch "$place/x" 2>/dev/null; then echo "$place is not read-only"; exit 9; fi
done
cd /mnt/app/docs  # where no .env is
export PYTHONPATH=/mnt/app HOME=/mnt/home
exec setpriv --no-new-privs --bounding-set=-all --inh-caps=-all "$2" -m bot
"""


def hardened(*command: str) -> list[str]:
    return ["unshare", "--map-root-user", "--mount", *command]


@pytest.fixture
def port() -> int:
    try:
        subprocess.run(hardened("mount", "-t", "tmpfs", "tmpfs", "/mnt"), check=True, capture_output=True)
        subprocess.run(["setpriv", "--version"], check=True, capture_output=True)
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no namespace can be made here: {error}")
    return free_port()


def test_the_bot_runs_on_a_read_only_disk_without_capabilities(port: int) -> None:
    python = str(Path(sys.executable).absolute()).replace(str(ROOT), "/mnt/app")
    with TelegramServer() as server:
        environment = bot_environment(
            TELEGRAM_BOT_TOKEN=server.token,
            TELEGRAM_BASE_URL=server.url,
            FACE2EMOJI_DATABASE_URL="sqlite:////tmp/face2emoji.db",
            FACE2EMOJI_PORT=str(port),
            FACE2EMOJI_WORKERS="1",
            FACE2EMOJI_LOG_FORMAT="json",
            FACE2EMOJI_LOG_LEVEL="warning",
        )
        command = hardened("bash", "-c", SCRIPT, "run", str(ROOT), python)
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as bot:
            lines: list[str] = []
            assert bot.stdout
            listener = threading.Thread(target=lines.extend, args=(bot.stdout,))
            listener.start()
            try:
                wait_until(lambda: bot.poll() is not None or is_ready(port), 60)
                assert bot.poll() is None, lines
                status = Path(f"/proc/{bot.pid}/status").read_text("utf-8")
                ada = person(5_550_000_001, "Ada", "en")
                server.push(server.photo(ASTRONAUT.read_bytes(), user=ada))
                address = f"http://127.0.0.1:{port}"
                masked = httpx.post(f"{address}/api/mask", content=ASTRONAUT.read_bytes(), timeout=30)
                wait_until(lambda: len(server.sent) == 2, 30)
            finally:
                bot.terminate()
                assert bot.wait(60) == 0, lines
                listener.join()
            assert bot.stderr
            complaints = bot.stderr.read()
    assert (masked.status_code, masked.headers["x-faces-covered"]) == (200, "1")
    assert server.violations == []
    for field in ("CapEff", "CapPrm", "CapBnd"):
        assert f"{field}:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status
    assert complaints == ""


def is_ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200
    except httpx.TransportError:
        return False
