"""A bot on a real socket with a reader that obeys the test."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from bot.app import Bot
from inference import Box, EmojiMap, Masked, Reading

READING = Reading(width=4, height=3, faces=(), emoji=None)


class ObedientReader:
    """Has the real reader's shape. A photo that is a key of `answers` raises that error; others give `READING`."""

    def __init__(self) -> None:
        self.answers: dict[bytes, Exception] = {}
        self.seen: list[bytes] = []
        self.threads: set[int] = set()
        self.loads = 0
        self.closes = 0
        self.may_load = threading.Event()
        self.may_read = threading.Event()
        self.may_load.set()
        self.may_read.set()

    @property
    def model(self) -> str:
        return "0123abcd"

    def load(self) -> ObedientReader:
        assert self.may_load.wait(20)
        self.loads += 1
        self.threads.add(threading.get_ident())
        return self

    def read(self, data: bytes, *, main_only: bool = False, before: Sequence[Box] = ()) -> Reading:
        self.seen.append(data)
        self.threads.add(threading.get_ident())
        assert self.may_read.wait(20)
        if error := self.answers.get(data):
            raise error
        return READING

    def mask(self, data: bytes, *, everyone: bool = False, emoji_map: EmojiMap | None = None) -> Masked:
        """A masked picture is the photo behind the word for what was asked."""
        reading = self.read(data)
        if emoji_map:
            reading = emoji_map.apply(reading)
        return Masked((b"everyone:" if everyone else b"masked:") + data, reading)

    def close(self) -> None:
        self.closes += 1
        self.threads.add(threading.get_ident())


@dataclass
class Served:
    """A running bot, seen from outside."""

    bot: Bot
    reader: ObedientReader
    port: int
    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=10)

    def post(self, data: bytes = b"photo", **options: Any) -> httpx.Response:
        return self.http.post("/api/read", content=data, **options)

    def mask(self, data: bytes = b"photo", query: str = "", **options: Any) -> httpx.Response:
        return self.http.post(f"/api/mask{query}", content=data, **options)

    def connect(self, taking: int | None = None) -> socket.socket:
        """Open a connection; the system takes in about so many bytes before they are read."""
        connection = socket.socket()
        connection.settimeout(10)
        if taking:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, taking)
        connection.connect(("127.0.0.1", self.port))
        return connection

    def metric(self, name: str) -> float:
        for line in self.http.get("/metrics").text.splitlines():
            if line.rpartition(" ")[0] == name:
                return float(line.rpartition(" ")[2])
        return 0


def wait_until(true: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def error_of(response: httpx.Response) -> tuple[int, str]:
    """Status and code, once the shape of the error was checked."""
    body = response.json()
    assert list(body) == ["error"]
    assert list(body["error"]) == ["code", "message"]
    assert len(body["error"]["message"]) > 20
    return response.status_code, body["error"]["code"]


Serve = Callable[..., Served]
