"""What the bot counts and times, on a registry of its own. No label names a person, an address or a file."""

from __future__ import annotations

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
# A job may wait for minutes, until FACE2EMOJI_JOB_MAX_AGE (900 seconds by default).
_JOB_SECONDS = (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 900)


class Metrics:
    """The counters; `exposition` is what ``/metrics`` answers."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.requests = Counter(
            "face2emoji_http_requests", "Web requests answered.", ["path", "status"], registry=registry
        )
        self.photos = Counter(
            "face2emoji_photos", "Photos taken in, by outcome: read, dropped, or an error code.", ["outcome"],
            registry=registry,
        )  # fmt: skip
        self.wait_seconds = Histogram(
            "face2emoji_wait_seconds", "Time a photo waited for a free reader.", buckets=_SECONDS, registry=registry
        )
        self.read_seconds = Histogram(
            "face2emoji_read_seconds", "Time a reader took for a photo.", buckets=_SECONDS, registry=registry
        )
        self.waiting = Gauge("face2emoji_waiting_photos", "Photos waiting for a free reader.", registry=registry)
        self.readers = Gauge("face2emoji_loaded_readers", "Readers loaded.", registry=registry)
        self.reader_deaths = Counter(
            "face2emoji_reader_deaths",
            "Readers whose process ended, by cause: a signal, a status, or timeout. Each is replaced.",
            ["cause"],
            registry=registry,
        )
        self.connections_shed = Counter(
            "face2emoji_connections_shed", "Web connections refused because too many were open.", registry=registry
        )
        self.live = Gauge("face2emoji_live_connections", "Live pages connected.", registry=registry)
        self.tasks = Gauge("face2emoji_tasks", "Tasks of the event loop.", registry=registry)
        self.jobs = Counter(
            "face2emoji_jobs",
            "Jobs ended, by platform and outcome: answered, expired, refused or failed.",
            ["platform", "outcome"],
            registry=registry,
        )
        self.answer_seconds = Histogram(
            "face2emoji_answer_seconds",
            "From posting a photo to its answer; Telegram tells the time of posting in whole seconds.",
            buckets=_JOB_SECONDS,
            registry=registry,
        )
        self.retries = Counter(
            "face2emoji_retries", "Calls to a platform that were tried again.", ["platform"], registry=registry
        )
        self._registry = registry

    def exposition(self) -> bytes:
        """Return all figures in the Prometheus text format."""
        return generate_latest(self._registry)
