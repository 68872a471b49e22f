"""The soak's verdicts on figures made up, and a soak of half a minute; of half an hour: `python -m benchmarks.soak`."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.soak import GONE_AFTER, Look, judge, soak, sparkline, tree

MINUTES = [number / 12 for number in range(30 * 12)]


def looks(**grows: Callable[[float], float]) -> list[Look]:
    """Half an hour in which all stays as it is, but for these."""

    usual = {"memory": 500.0, "processes": 3, "threads": 20, "files": 40, "tasks": 12, "rows": 1000}

    def at(minute: float) -> Look:
        now = {name: grows[name](minute) if name in grows else value for name, value in usual.items()}
        counts = [int(now[name]) for name in ("processes", "threads", "files", "tasks")]
        rows = {"workflow_status": int(now["rows"]), "settings": 1}
        return Look(minute, now["memory"], counts[0], counts[1], counts[2], counts[3], rows)

    return [at(minute) for minute in MINUTES]


def failed(seen: list[Look]) -> list[str]:
    return [verdict.name for verdict in judge(seen, warm=5) if verdict.good is False]


def test_what_stays_as_it_is_passes() -> None:
    verdicts = list(judge(looks(), warm=5))
    assert [verdict.good for verdict in verdicts] == [True] * 6
    assert "rows of settings" not in [verdict.name for verdict in verdicts]  # a handful is no growth


def test_what_grows_while_it_warms_up_or_fills_for_the_first_time_passes() -> None:
    grown = looks(memory=lambda at: 400 + 100 * min(at, 5), rows=lambda at: 1000 * min(at, GONE_AFTER / 60))
    assert failed(grown) == []


@pytest.mark.parametrize(
    ("name", "grow", "verdict"),
    [
        ("memory", lambda at: 500 + 1.1 * at, "memory of its own, MB"),
        ("threads", lambda at: 20 + at, "threads"),
        ("files", lambda at: 40 + at, "files"),
        ("tasks", lambda at: 12 + at, "tasks"),
        ("rows", lambda at: 500 * at, "rows of workflow_status"),
    ],
)
def test_what_grows_fails(name: str, grow: Callable[[float], float], verdict: str) -> None:
    assert failed(looks(**{name: grow})) == [verdict]


def test_a_minute_is_too_short_to_tell_of_memory_and_tables() -> None:
    verdicts = {verdict.name: verdict.good for verdict in judge(looks()[:12], warm=0.25)}
    assert verdicts["memory of its own, MB"] is None
    assert verdicts["rows of workflow_status"] is None
    assert verdicts["threads"] is True


def test_a_process_is_the_root_of_its_tree() -> None:
    assert tree(os.getpid())[0] == os.getpid()


def test_a_line_of_bars_shows_a_rise() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert sparkline([5, 5]) == "▁▁"


def test_half_a_minute_on_both_platforms_and_the_page(tmp_path: Path) -> None:
    verdicts = {verdict.name: verdict for verdict in soak(0.5, 4, tmp_path)}
    # What may grow beside other tests says nothing; what was lost or doubled does.
    for name in ("answers on Telegram", "answers on Slack", "web page"):
        assert verdicts[name].good, verdicts[name].finding
    assert {"memory of its own, MB", "threads", "files", "tasks"} <= set(verdicts)
