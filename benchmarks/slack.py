"""python -m benchmarks.slack [options]: how soon the whole bot answers selfies on Slack, and how many a second.

Runs `python -m bot` with the real model and a new database against the Slack server of the tests, a process of its own.
All of it is on this machine, so add the way to Slack and back; Slack's limits on calls are not kept, which go by
workspace. Linux only: processor time comes from /proc.

Latency is taken from one selfie at a time. A rate is held when every selfie of a steady stream is answered exactly
once, 95 of 100 within a second, and the last within two seconds: nothing piles up. Acknowledgements are those of the
stream's events: a selfie is stored before Slack hears that it arrived.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Hashable
from itertools import cycle
from pathlib import Path
from typing import Any

from benchmarks.chats import Platform, options_parser, run, selfies
from benchmarks.startup import free_port
from tests.bot.slack_server import SlackProcess
from tests.bot.slack_world import ADA, APP_TOKEN, BOT_TOKEN, SIGNING_SECRET, TEAM

CHANNELS = CONVERSATIONS = 60


class Slack(Platform):
    """People who post selfies on Slack.

    Args:
        server: a process of its own.
    """

    name, package, ready = "slack", "slack-bolt", "Slack:"
    group_parts = ("channel: the reaction",)
    private_parts = ("direct message: the answer",)

    def __init__(self, server: SlackProcess) -> None:
        self._server = server
        # With the smaller renditions that Slack makes of each.
        self._files = cycle([server.control("file", data=selfie) for selfie in selfies()])
        self.groups = [server.control("channel")["id"] for _ in range(CHANNELS)]
        self.people = [server.control("channel", kind="im", members=[ADA])["id"] for _ in range(CONVERSATIONS)]
        self.stored_groups = [f"{TEAM}/{group}" for group in self.groups]
        self.processes = [server.process.pid, os.getpid()]

    def prepare(self, chat: str) -> Any:
        """Choose a photo, which is uploaded already."""
        return {"channel": chat, "data": next(self._files), "user": ADA}

    def post(self, prepared: Any) -> tuple[Hashable, float]:
        """Share the photo in its channel. Slack's name of a message is the time at which its event goes out."""
        message = self._server.control("photo", **prepared)
        return (message["channel"], message["ts"]), float(message["ts"])

    def answers(self) -> list[tuple[Hashable, float]]:
        """Return reactions, those that were there already among them, and messages, of which the post is not known."""
        calls = self._server.state("calls")["calls"]
        return [
            ((call["args"]["channel"], call["args"].get("timestamp")), call["at"])
            for call in calls
            if call["method"] in ("reactions.add", "chat.postMessage")
            and (call["status"] == 200 and call["error"] in ("", "already_reacted"))
        ]

    def acknowledgements(self) -> list[float]:
        """Return those of the events since the records were forgotten."""
        acknowledged: list[float] = self._server.state("acks")["acks"]
        return acknowledged

    def forget(self) -> None:
        """Forget the server's records."""
        self._server.control("forget_records")


def main() -> int:
    """Run the benchmark; 1 when a selfie was lost or answered twice."""
    parser = options_parser("benchmarks.slack", __doc__)
    parser.add_argument("--transport", choices=("socket", "http"), default="socket", help="how events come (socket)")
    options = parser.parse_args()
    port = str(free_port())
    with tempfile.TemporaryDirectory() as folder, SlackProcess() as server:
        variables = {"SLACK_BOT_TOKEN": BOT_TOKEN, "SLACK_BASE_URL": server.url, "FACE2EMOJI_PORT": port}
        if options.transport == "socket":
            variables["SLACK_APP_TOKEN"] = APP_TOKEN
        else:
            variables["SLACK_SIGNING_SECRET"] = SIGNING_SECRET
            server.control("configure", request_url=f"http://127.0.0.1:{port}/slack/events")
        once = run(Slack(server), options, variables, Path(folder), options.transport)
        for violation in server.state("violations")["violations"]:
            print(f"error: Slack would refuse {violation['method']}: {violation['problem']}", file=sys.stderr)
    return 0 if once else 1


if __name__ == "__main__":
    sys.exit(main())
