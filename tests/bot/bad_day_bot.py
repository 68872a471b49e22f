"""`python -m tests.bot.bad_day_bot SETTINGS`: the bot as a process of its own, to which bad things can happen.

It reads photos as `WrittenReader` does, and everything else is real. A line on its standard input makes them happen:
`clock 3600` sets this process's wall clock an hour ahead of the machine's, `dns off` lets no name be found, `dns on`
ends that.
"""

from __future__ import annotations

import socket
import sys
import time
from typing import Any, NoReturn

OFFSET = [0.0]
REAL_TIME, REAL_LOOK_UP = time.time, socket.getaddrinfo
time.time = lambda: REAL_TIME() + OFFSET[0]  # before anything takes it along by name

# ruff: noqa: E402 - see above
import asyncio
import json
import threading

from pydantic import SecretStr

from bot.app import Bot, listen, say
from bot.logs import configure_logs
from bot.settings import Settings
from tests.bot.running_bot import WrittenReader


def no_name(*_arguments: Any, **_options: Any) -> NoReturn:
    """Fail as a look-up does when no server of names can be reached."""
    raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


def obey() -> None:
    """Do what the lines of standard input say."""
    for line in sys.stdin:
        match line.split():
            case ["clock", seconds]:
                OFFSET[0] = float(seconds)
            case ["dns", "off"]:
                socket.getaddrinfo = no_name
            case ["dns", "on"]:
                socket.getaddrinfo = REAL_LOOK_UP
        say("done")


def main() -> None:
    """Run until a signal."""
    settings = json.loads(sys.argv[1])
    secrets = {name: SecretStr(value) for name, value in settings.pop("secrets").items()}
    configure_logs("json", "info")
    sock = listen("127.0.0.1", settings.pop("port"))
    fields: dict[str, Any] = {**settings, **secrets}
    bot = Bot(Settings.model_construct(**fields), WrittenReader().load)
    threading.Thread(target=obey, daemon=True).start()
    asyncio.run(bot.run(sock))


if __name__ == "__main__":
    main()
