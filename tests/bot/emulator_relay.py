"""Runs a server in a network namespace of its own, where nobody else can reach it. For Linux.

`emulator_relay.py LISTENER OUTWARD COMMAND...`: what connects to LISTENER, the number of an open socket that listens on
127.0.0.1, arrives at the same port inside; what connects to port OUTWARD inside (0: nothing) arrives at it outside. It
ends with the command, or when its standard input closes.

A listening socket belongs to the namespace in which it was made, wherever the process lives that accepts from it: so
each side has one of the other's, and connects what it accepts to its own 127.0.0.1.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Coroutine
from typing import Any

_INSIDE = "inside"
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 1  # of linux/sockios.h and linux/if.h


def unshare() -> tuple[str, ...] | None:
    """Return the command that runs another one in a network namespace of its own, or None where none may be made."""
    for flags in (("--map-root-user", "--net"), ("--net",)):
        with contextlib.suppress(OSError):
            if subprocess.run(["unshare", *flags, "true"], capture_output=True, check=False).returncode == 0:
                return ("unshare", *flags)
    return None


async def outside(listener: str, outward: str, *command: str) -> None:
    ours, theirs = (each.detach() for each in socket.socketpair())
    process = await asyncio.create_subprocess_exec(
        *(*(unshare() or ()), sys.executable, __file__, _INSIDE, str(theirs), listener, outward, *command),
        pass_fds=(theirs, int(listener)),
        stdin=subprocess.DEVNULL,
    )
    os.close(theirs)
    os.close(int(listener))
    with socket.socket(fileno=ours) as control:  # when this closes, also because we were killed, the inside ends
        _, handed, _, _ = socket.recv_fds(control, 1, 1)
        for number in handed:
            await _relay(socket.socket(fileno=number), int(outward))
        await _first(process.wait(), _end_of(sys.stdin.fileno()))
    sys.exit(await process.wait())


async def inside(control: str, listener: str, outward: str, *command: str) -> None:
    outer = socket.socket(fileno=int(listener))
    fcntl.ioctl(socket.socket(), _SIOCSIFFLAGS, struct.pack("16sh", b"lo", _IFF_UP))
    inner = [socket.create_server(("127.0.0.1", int(outward)))] if int(outward) else []
    process = await asyncio.create_subprocess_exec(*command)
    await _relay(outer, outer.getsockname()[1])
    with socket.socket(fileno=int(control)) as ours:
        socket.send_fds(ours, [b"!"], [each.fileno() for each in inner])
        await _first(process.wait(), _end_of(ours.fileno()))
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    sys.exit(await process.wait())


async def _relay(listener: socket.socket, port: int) -> None:
    """From now on, connect whatever a socket accepts to a port on this side."""

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(OSError):
            there, back = await asyncio.open_connection("127.0.0.1", port)
            with contextlib.closing(back):
                await asyncio.gather(_copy(reader, back), _copy(there, writer))

    await asyncio.start_server(connect, sock=listener)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    writer.write_eof()


async def _end_of(number: int) -> None:
    """Wait until the other end of a pipe or socket, through which nothing is sent, closes."""
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(number, ended.set)
    await ended.wait()


async def _first(*events: Coroutine[Any, Any, Any]) -> None:
    await asyncio.wait([asyncio.ensure_future(event) for event in events], return_when=asyncio.FIRST_COMPLETED)


if __name__ == "__main__":
    first, *rest = sys.argv[1:]
    asyncio.run(inside(*rest) if first == _INSIDE else outside(first, *rest))
