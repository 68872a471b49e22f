"""What is remembered is forgotten in time, also where nobody asks for it any more."""

from __future__ import annotations

import asyncio
import weakref
from typing import Any

import pytest
from structlog.testing import capture_logs

from bot import slack_answers
from bot.recent import Recent
from bot.slack_answers import SlackAnswers
from bot.slack_files import photo_of
from bot.slack_workspaces import Workspace


class Thing:
    """Something whose end can be seen."""


async def test_what_is_old_is_forgotten_though_nobody_asks() -> None:
    recent = Recent[str, Thing](10, 0.05)
    recent.keep("a", Thing())
    kept = weakref.ref(recent["a"])
    await asyncio.sleep(0.1)
    assert recent.get("a") is None
    await asyncio.sleep(1.2)
    assert kept() is None


async def test_the_newest_are_kept() -> None:
    recent = Recent[int, int](2, 60)
    for number in range(5):
        recent.keep(number, number)
    assert sorted(recent) == [3, 4]


async def test_what_the_installers_were_told_takes_no_memory_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slack_answers, "TOLD_MOST", 2)
    nothing: Any = None
    answers = SlackAnswers(*(nothing,) * 8, max_bytes=1)
    with capture_logs() as logs:
        for team in ("T1", "T1", "T2", "T3", "T1"):
            await answers._tell_installer(Workspace(team, nothing, "U0", "B0", frozenset()), "files:read")
    assert len(logs) == 4  # the second time it was spared


async def test_of_whom_it_is_is_told_by_the_name() -> None:
    recent = Recent[tuple[str, str], int](10, 60)
    for name in (("T1", "a"), ("T1", "b"), ("T2", "a")):
        recent.keep(name, 1)
    recent.forget(lambda name: name[0] == "T1")
    assert list(recent) == [("T2", "a")]


def test_a_rendition_that_is_not_wanted_is_read_in_another() -> None:
    file = {
        "id": "F1",
        "mimetype": "image/jpeg",
        "url_private": "https://files.slack.com/whole",
        "thumb_720": "https://files.slack.com/720",
        "thumb_720_w": 720,
        "size": 100,
    }
    whole, large = photo_of(file, 1000), photo_of(file, 10)
    assert whole
    assert large
    assert [whole.address(name) for name in ("thumb_720", "original")] == [
        "https://files.slack.com/720",
        "https://files.slack.com/whole",
    ]
    assert large.address("original") == "https://files.slack.com/720"
