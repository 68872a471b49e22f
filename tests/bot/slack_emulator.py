"""The Slack emulator local-slack, found or installed: ``python -m tests.bot.slack_emulator`` prints its path.

It speaks Slack's Web API, Socket Mode and signed HTTP events. It listens on every address of the machine, so it runs in
a network namespace of its own; `emulator_relay.py` leads the bot in and the events out.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import platform
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
import httpx

from tests import npm
from tests.bot import emulator_relay
from tests.bot.served import wait_until
from tests.unavailable import Unavailable

Json = dict[str, Any]
PACKAGE = npm.Package(
    "local-slack-linux-x64",
    "0.1.8",
    "sha512-2BCTKxKajjZNWCSCj66Jq5VDScUDNpGZ1lA3281I8RvpDE4/ULCwC26TlcW6/4sPbSTs02Q3KjTiltJp3ZBEvg==",
)
EXPOSE = "FACE2EMOJI_EXPOSE_EMULATOR"
"""Where no network namespace may be made, 1 in this variable lets the emulator listen on all addresses."""


def install() -> Path:
    """Return the emulator's path; fetch it where it is missing.

    Raises:
        Unavailable: it is not for this machine, or cannot be fetched.
    """
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise Unavailable("the Slack emulator is for Linux on x86-64 only")
    return npm.fetch(PACKAGE) / "bin" / "local-slack"


@dataclass(frozen=True)
class Message:
    """What a channel shows.

    Attributes:
        ts: its name in the channel.
        user: who wrote it.
        text: without blocks what people see, with blocks what notifications say.
        blocks: Block Kit.
        thread: the ts of the message it answers, or None.
        only_for: the one person who sees it, or None for all.
        reactions: names of emoji under it.
        files: what it shows beside its words.
    """

    ts: str
    user: str
    text: str
    blocks: list[Json]
    thread: str | None
    only_for: str | None
    reactions: list[str]
    files: list[Json]

    @property
    def shown(self) -> str:
        """All words that people see."""
        return "\n".join(_texts(self.blocks)) if self.blocks else self.text

    @property
    def buttons(self) -> list[Json]:
        return [element for block in self.blocks for element in block.get("elements", []) if "action_id" in element]


def _texts(part: Any) -> Iterator[str]:
    if isinstance(part, list):
        for each in part:
            yield from _texts(each)
    elif isinstance(part, dict):
        for key, value in part.items():
            if key == "text" and isinstance(value, str):
                yield value
            else:
                yield from _texts(value)


class SlackEmulator:
    """A workspace with one app, ours; a context manager.

    What people do returns when the app has acknowledged it, or after five seconds without that.

    Args:
        folder: takes its configuration and its log.
        events_url: where on 127.0.0.1 it posts signed events; None for Socket Mode.

    Raises:
        Unavailable: it is not for this machine, cannot be fetched, or must not run here.
    """

    team, app, bot = "T0FACES", "A0FACES", "U0FACES"
    bot_token, app_token, signing_secret = "xoxb-emulated", "xapp-emulated", "emulated-secret"
    elsewhere = "C0ELSEWHERE"
    """A channel where the app is no member."""
    robot = "U0ROBOT"
    """Another app's bot."""
    custom_emoji = "face-party"

    def __init__(self, folder: Path, events_url: str | None = None) -> None:
        self._binary = install()
        self._folder = folder
        self._events_url = events_url
        self._names = itertools.count(1)
        self._people = [f"U0PERSON{number}" for number in range(1, 200)]

    def __enter__(self) -> Self:
        configuration = self._folder / "emulator.json"
        configuration.write_text(json.dumps(self._configuration()))
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            self.url = f"http://127.0.0.1:{port}"
            command = [str(self._binary), "--config", str(configuration), "--files-dir", str(self._folder / "files")]
            command += ["--base-host", "127.0.0.1", "--port", str(port)]
            self._is_confined = emulator_relay.unshare() is not None
            if self._is_confined:
                outward = httpx.URL(self._events_url or "").port or 0
                relay = [sys.executable, emulator_relay.__file__, str(listener.fileno()), str(outward)]
                self._process = self._start([*relay, *command], listener.fileno())
            elif os.environ.get(EXPOSE) == "1":
                listener.close()
                self._process = self._start(command)
            else:
                raise Unavailable(
                    "the Slack emulator listens on all addresses, and no network namespace may be made here to keep it "
                    f"to itself; {EXPOSE}=1 runs it without one"
                )
        self._http = httpx.Client(base_url=self.url, timeout=30)
        wait_until(self._is_up, 20)
        return self

    def _start(self, command: list[str], *listeners: int) -> subprocess.Popen[bytes]:
        with (self._folder / "emulator.log").open("wb") as log:
            return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log, pass_fds=listeners)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()
        assert self._process.stdin
        self._process.stdin.close()  # ends the relay, and with it the emulator
        if not self._is_confined:
            self._process.terminate()
        self._process.wait(20)

    def _is_up(self) -> bool:
        assert self._process.poll() is None, (self._folder / "emulator.log").read_text()
        try:
            return self._http.get("/_control/state").is_success
        except httpx.HTTPError:
            return False

    def _configuration(self) -> Json:
        app = {
            "appId": self.app,
            "botUserId": self.bot,
            "botName": "face2emoji",
            "botToken": self.bot_token,
            "appToken": self.app_token,
            "signingSecret": self.signing_secret,
            "mode": "events" if self._events_url else "socket",
            "requestUrl": self._events_url or "http://127.0.0.1/",
        }
        people = [{"id": user, "name": user.lower()} for user in self._people]
        return {
            "workspace": {"teamId": self.team, "name": "Faces", "domain": "faces"},
            "apps": [app],
            "users": [*people, {"id": self.robot, "name": "robot", "is_bot": True}],
            "channels": [{"id": self.elsewhere, "name": "elsewhere", "members": self._people}],
            "emojis": {self.custom_emoji: str(self._folder / "emulator.json")},  # any file will do
        }

    # People and places

    def person(self) -> str:
        """A person whom no test has seen."""
        return self._people.pop()

    def channel(self) -> str:
        """A new channel with the app in it."""
        created = self._call("/api/conversations.create", {"name": f"channel-{next(self._names)}"})
        return str(created["channel"]["id"])

    def direct(self, user: str) -> str:
        """The direct messages of somebody and the app."""
        return str(self._call("/api/conversations.open", {"users": user})["channel"]["id"])

    # What people do

    def post(self, user: str, channel: str, text: str, thread: str | None = None) -> str:
        """Write something; return its ts."""
        posted = self._call("/_control/message", {"user": user, "channel": channel, "text": text, "thread_ts": thread})
        return str(posted["message"]["ts"])

    def upload(self, user: str, channel: str, *photos: bytes, text: str = "", thread: str | None = None) -> str:
        """Post photos; return the message's ts."""
        return str(self._upload(user, channel, photos, text, thread)["ts"])

    def edit(self, user: str, channel: str, ts: str, text: str) -> None:
        self._call("/_control/edit-message", {"user": user, "channel": channel, "ts": ts, "text": text})

    def command(self, user: str, channel: str, text: str = "") -> None:
        """Use our slash command."""
        sent = {"user": user, "channel": channel, "command": "/face2emoji", "text": text}
        self._call("/_control/command", sent)

    def press(self, user: str, channel: str, message: Message, label: str) -> None:
        """Press the button with this in its label."""
        (button,) = [button for button in message.buttons if label in button["text"]["text"]]
        pressed = {"user": user, "channel": channel, "messageTs": message.ts, "action": button}
        self._call("/_control/interact", pressed)

    def open_home(self, user: str) -> None:
        self._call("/_control/open-home", {"user": user})

    def submit(self, user: str, values: Json) -> None:
        """Fill the open modal in and send it.

        Args:
            user: who does.
            values: by block_id and action_id, the state of the elements.
        """
        asyncio.run(self._submit({"t": "view_submit", "user": user, "values": values}))

    def files(self, user: str, *photos: bytes) -> list[Json]:
        """What a modal's file input holds once somebody has put photos into it."""
        files: list[Json] = self._upload(user, self.elsewhere, photos)["files"]
        return [{**file, "channels": [], "shares": {}} for file in files]

    # What is to be seen

    def messages(self, channel: str) -> list[Message]:
        found = self._http.get(f"/_control/messages/{channel}").raise_for_status().json()["messages"]
        return [
            Message(
                ts=each["ts"],
                user=each["user"],
                text=each.get("text", ""),
                blocks=each.get("blocks") or [],
                thread=each.get("thread_ts"),
                only_for=each.get("ephemeral_to"),
                reactions=[reaction["name"] for reaction in each.get("reactions", [])],
                files=each.get("files") or [],
            )
            for each in found
        ]

    def said(self, channel: str) -> list[Message]:
        """What the app wrote in a channel."""
        return [message for message in self.messages(channel) if message.user == self.bot]

    def download(self, file: Json) -> bytes:
        """The bytes of a file, as the app gets them."""
        headers = {"Authorization": f"Bearer {self.bot_token}"}
        return self._http.get(file["url_private"], headers=headers).raise_for_status().content

    def reactions(self, channel: str, ts: str) -> list[str]:
        """Names of emoji under a message."""
        (reactions,) = [message.reactions for message in self.messages(channel) if message.ts == ts]
        return reactions

    def modal(self) -> Json | None:
        """The view that is open."""
        stack = self._state()["modalStack"]
        return stack[-1] if stack else None

    def home(self, user: str) -> Json | None:
        """What somebody sees in the App Home."""
        views: dict[str, Json] = self._state()["homeViews"].get(user, {})
        return views.get(self.app)

    def log(self) -> list[Json]:
        """The last thousand things between Slack and the app: `direction`, `kind`, `summary`, `detail`."""
        entries: list[Json] = self._http.get("/_control/log").raise_for_status().json()["log"]
        return entries

    # How

    def _call(self, path: str, arguments: Json) -> Json:
        answer: Json = self._http.post(path, json=arguments).raise_for_status().json()
        assert answer["ok"], answer
        return answer

    def _upload(
        self, user: str, channel: str, photos: tuple[bytes, ...], text: str = "", thread: str | None = None
    ) -> Json:
        form = {"user": user, "channel": channel, "text": text, "thread_ts": thread or ""}
        files = [("file", (f"photo{number}.jpg", photo)) for number, photo in enumerate(photos)]
        uploaded = self._http.post("/_control/upload", data=form, files=files).raise_for_status().json()
        message: Json = uploaded["message"]
        return message

    async def _submit(self, message: Json) -> None:
        async with aiohttp.ClientSession() as session, session.ws_connect(f"{self.url}/ui") as ui:
            await ui.send_json(message)
            async with asyncio.timeout(20):
                while (await ui.receive_json())["t"] not in ("view", "view_errors"):
                    pass

    def _state(self) -> Json:
        async def read() -> Json:
            async with aiohttp.ClientSession() as session, session.ws_connect(f"{self.url}/ui") as ui:
                state: Json = (await ui.receive_json())["state"]
                return state

        return asyncio.run(read())


if __name__ == "__main__":
    try:
        sys.stdout.write(f"{install()}\n")
    except Unavailable as reason:
        sys.stdout.write(f"The tests of Slack against its emulator will be skipped: {reason}.\n")
        sys.exit(os.environ.get("CI") == "true")
