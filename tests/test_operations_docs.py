"""docs/operations.md and docs/grafana.json name figures, addresses, sentences and events that exist."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from bot.metrics import Metrics
from tests.test_platform_docs import says

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "operations.md").read_text("utf-8")
DASHBOARD = json.loads((ROOT / "docs" / "grafana.json").read_text("utf-8"))
FIGURE = re.compile(r"\b(?:face2emoji|process)_\w+")


def figures() -> dict[str, set[str]]:
    """Return the labels of each figure of /metrics, once all of them have counted something."""
    metrics = Metrics()
    metrics.requests.labels("/", 200).inc()
    metrics.photos.labels("read").inc()
    metrics.jobs.labels("slack", "answered").inc()
    metrics.retries.labels("slack").inc()
    metrics.reader_deaths.labels("SIGSEGV").inc()
    samples = [
        sample for family in text_string_to_metric_families(metrics.exposition().decode()) for sample in family.samples
    ]
    return {sample.name: set(sample.labels) for sample in samples if not sample.name.endswith("_created")}


@pytest.mark.parametrize("seconds", [45, 200, 899])
def test_an_answer_that_took_minutes_is_told_from_one_that_took_longer(seconds: float) -> None:
    metrics = Metrics()
    metrics.answer_seconds.observe(seconds)
    [family] = (
        each
        for each in text_string_to_metric_families(metrics.exposition().decode())
        if each.name == "face2emoji_answer_seconds"
    )
    counted = [float(each.labels["le"]) for each in family.samples if each.name.endswith("_bucket") and each.value]
    assert seconds <= min(counted) <= 3 * seconds


def expressions() -> list[str]:
    return [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]


def test_every_figure_of_the_dashboard_exists_with_its_labels() -> None:
    known = figures()
    for expression in expressions():
        (name,) = FIGURE.findall(expression)
        grouped = set(re.findall(r"\w+", "".join(re.findall(r"by \(([^)]*)\)", expression))))
        assert name in known, expression
        assert grouped <= known[name], expression


def test_every_figure_of_ours_is_on_the_dashboard_and_in_the_table() -> None:
    ours = {re.sub("_(bucket|count|sum)$", "", name) for name in figures() if name.startswith("face2emoji_")}
    shown = {re.sub("_bucket$", "", name) for name in FIGURE.findall(" ".join(expressions()))}
    described = set(re.findall(r"^\| `(\w+)`", TEXT, re.MULTILINE))
    assert len(ours) == 13
    assert ours == {name for name in shown if name.startswith("face2emoji_")}
    assert ours == {name for name in described if name.startswith("face2emoji_")}


def test_every_figure_in_the_text_exists() -> None:
    known = {re.sub("_bucket$", "", name) for name in figures()}
    assert set(FIGURE.findall(TEXT)) <= known | {"face2emoji_"}


@pytest.mark.parametrize("sentence", re.findall(r"`([A-Z][^`]*\.)`", TEXT))
def test_the_bot_says_what_is_quoted(sentence: str) -> None:
    assert says(sentence) or "..." in sentence


def test_events_of_the_log_exist() -> None:
    events = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", TEXT)) - set(FIGURE.findall(TEXT))
    said = "\n".join(path.read_text("utf-8") for path in (ROOT / "bot").glob("*.py"))
    assert len(events) > 6
    assert [event for event in events if f'"{event}"' not in said] == []


def test_there_are_ten_alarms_each_tried_in_a_test_that_exists() -> None:
    table = TEXT.partition("## The ten likeliest alarms")[2].partition("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ") and not line.startswith("| alarm")]
    assert len(rows) == 10
    for row in rows:
        tests = re.findall(r"`(tests/[\w/]+\.py)`", row.rstrip("| ").rpartition("|")[2])
        assert tests
        assert all((ROOT / test).exists() for test in tests)
