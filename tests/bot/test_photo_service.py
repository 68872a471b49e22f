"""The photo service by itself: who owns which reader, and what happens when loading fails."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Sequence

import pytest

from bot.errors import NotReady
from bot.metrics import Metrics
from bot.photo_service import PhotoService
from inference import Box, CheckpointError, EmojiMap, Masked, Reading
from tests.bot.served import READING


class PairReader:
    model = "0123abcd"

    """Its readings finish only in pairs; notes the threads it is used from."""

    def __init__(self, pair: threading.Barrier, made: list[PairReader]) -> None:
        self.pair = pair
        self.threads = [threading.get_ident()]
        made.append(self)

    def read(self, data: bytes, *, main_only: bool = False, before: Sequence[Box] = ()) -> Reading:
        self.pair.wait(10)
        self.threads.append(threading.get_ident())
        return READING

    def mask(self, data: bytes, *, everyone: bool = False, emoji_map: EmojiMap | None = None) -> Masked:
        raise NotImplementedError

    def close(self) -> None:
        self.threads.append(threading.get_ident())


async def test_two_workers_read_at_once_each_on_its_own_thread() -> None:
    made: list[PairReader] = []
    pair = threading.Barrier(2)
    service = PhotoService(
        lambda: PairReader(pair, made), workers=2, queue_limit=9, timeout=10, metrics=Metrics()
    )  # fmt: skip
    await service.load()
    assert await asyncio.gather(*(service.read(b"") for _ in range(6))) == [READING] * 6
    await service.close()
    assert [len(set(reader.threads)) for reader in made] == [1, 1]
    assert made[0].threads[0] != made[1].threads[0]
    assert sum(len(reader.threads) for reader in made) == 2 + 6 + 2


async def test_after_closing_nothing_is_read() -> None:
    made: list[PairReader] = []
    service = PhotoService(
        lambda: PairReader(threading.Barrier(1), made), workers=1, queue_limit=1, timeout=1, metrics=Metrics()
    )
    with pytest.raises(NotReady, match=re.escape(NotReady.sentence)):
        await service.read(b"")
    await service.load()
    assert await service.read(b"") == READING
    await service.close()
    with pytest.raises(NotReady, match=re.escape(NotReady.stopping)):
        await service.read(b"")


async def test_a_failure_to_load_reaches_whoever_loads() -> None:
    def fail() -> PairReader:
        raise CheckpointError("The weights are missing.")

    service = PhotoService(fail, workers=1, queue_limit=1, timeout=1, metrics=Metrics())
    with pytest.raises(CheckpointError, match="missing"):
        await service.load()
    assert not service.ready
    await service.close()
