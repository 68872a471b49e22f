"""python -m benchmarks.telegram [options]: how soon the whole bot answers selfies on Telegram, and how many a second.

Runs `python -m bot` with the real model and a new database against the Telegram server of the tests, which runs in this
process. All of it is on this machine, so add the way to Telegram and back. Linux only: processor time comes from /proc.

Latency is taken from one selfie at a time. A rate is held when every selfie of a steady stream is answered exactly
once, 95 of 100 within a second, and the last within two seconds: nothing piles up.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Hashable
from itertools import cycle
from pathlib import Path
from typing import Any

from benchmarks.chats import Platform, options_parser, run, selfies
from benchmarks.startup import free_port
from tests.bot.telegram_server import TelegramServer
from tests.bot.telegram_world import content_of


class Telegram(Platform):
    """People who post selfies on Telegram.

    Args:
        server: runs in this process.
    """

    name, package, ready = "telegram", "python-telegram-bot", "Telegram:"
    # A bot may send 20 messages a minute into one group, and ours keeps to that: a high rate needs many groups.
    groups = range(-1_000_000_000_120, -1_000_000_000_000)
    people = range(5001, 5061)
    group_parts = ("group: the reaction",)
    private_parts = ("private chat: the emoji", "private chat: the words below it")

    def __init__(self, server: TelegramServer) -> None:
        self._server = server
        self._photos = cycle(selfies())
        self.stored_groups = list(map(str, self.groups))
        self.processes = [os.getpid()]

    def prepare(self, chat: int) -> Any:
        """Make an update with a photo of its own."""
        return self._server.photo(self._server.add_photo(next(self._photos)), chat)

    def post(self, prepared: Any) -> tuple[Hashable, float]:
        """Give the update to the bot."""
        message = content_of(prepared)
        at = time.monotonic()
        self._server.push(prepared)
        return (message["chat"]["id"], message["message_id"]), at

    def answers(self) -> list[tuple[Hashable, float]]:
        """Return messages and reactions; of an answer's further messages the post is not known."""
        with self._server.lock:
            messages: list[tuple[Hashable, float]] = [
                ((sent.chat_id, (sent.reply_parameters or {}).get("message_id", 0)), sent.clock)
                for sent in self._server.sent
            ]
            return messages + [((each.chat_id, each.message_id), each.clock) for each in self._server.reaction_log]

    def acknowledgements(self) -> list[float]:
        """Return none: it is the next poll that says what arrived."""
        return []

    def forget(self) -> None:
        """Forget the server's records."""
        self._server.forget_records()


def main() -> int:
    """Run the benchmark; 1 when a selfie was lost or answered twice."""
    parser = options_parser("benchmarks.telegram", __doc__)
    parser.add_argument("--webhook", action="store_true", help="let Telegram call, instead of asking it")
    options = parser.parse_args()
    port = str(free_port())
    with (
        tempfile.TemporaryDirectory() as folder,
        TelegramServer(can_read_all_group_messages=True, allow_http_webhook=True, limits=True) as server,
    ):
        variables = {
            "TELEGRAM_BOT_TOKEN": server.token,
            "TELEGRAM_BASE_URL": server.url,
            "FACE2EMOJI_PORT": port,
        }
        if options.webhook:
            variables["FACE2EMOJI_PUBLIC_URL"] = f"http://127.0.0.1:{port}"
        transport = "webhook" if options.webhook else "polling"
        once = run(Telegram(server), options, variables, Path(folder), transport)
        for problem in {violation.problem for violation in server.violations}:
            print(f"error: Telegram would refuse {problem}", file=sys.stderr)
    return 0 if once else 1


if __name__ == "__main__":
    sys.exit(main())
