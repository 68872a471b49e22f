"""The rate limit against a clock of the test's own."""

from __future__ import annotations

from bot.rate_limit import RateLimit


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def allowed(limit: RateLimit, address: str, tries: int) -> int:
    return sum(limit.allows(address) for _ in range(tries))


def test_two_seconds_worth_at_once_then_the_rate() -> None:
    clock = Clock()
    limit = RateLimit(5, clock=clock)
    assert allowed(limit, "a", 20) == 10
    assert allowed(limit, "b", 20) == 10
    clock.now += 1
    assert allowed(limit, "a", 20) == 5
    clock.now += 1000
    assert allowed(limit, "a", 20) == 10


def test_zero_is_no_limit() -> None:
    assert allowed(RateLimit(0), "a", 1000) == 1000


def test_only_the_last_addresses_are_remembered() -> None:
    limit = RateLimit(1, addresses=3, clock=Clock())
    assert allowed(limit, "old", 9) == 2
    assert allowed(limit, "old", 1) == 0
    for address in "abc":
        limit.allows(address)
    assert allowed(limit, "old", 9) == 2
