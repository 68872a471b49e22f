"""Slack's errors, sorted; how to call until Slack is reached; and the log that its libraries may write to."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import aiohttp
import structlog
from slack_sdk.errors import SlackApiError, SlackTokenRotationError

from bot.errors import PlatformRefused
from bot.selfie_job import Refused, TryAgain

log = structlog.get_logger(__name__)
T = TypeVar("T")

LONGEST_PAUSE = 30.0

# Slack's words for troubles that pass.
PASSING = (
    "external_channel_migrating",
    "fatal_error",
    "internal_error",
    "rate_limited",
    "ratelimited",
    "request_timeout",
    "service_unavailable",
    "team_added_to_org",
)

# At level debug the SDK writes down all that it sends, secrets included.
SDK_LOG = logging.getLogger(f"{__name__}.sdk")
SDK_LOG.setLevel(logging.WARNING)


@contextmanager
def slack_errors() -> Iterator[None]:
    """Sort the SDK's errors into those that pass and those that stay.

    Raises:
        TryAgain: Slack cannot be reached, is in trouble, or wants us to wait.
        Refused: with Slack's own word for why.
    """
    try:
        yield
    except SlackApiError as error:
        raise _sorted(error) from error
    except SlackTokenRotationError as error:
        raise _sorted(error.api_error) from error
    except (aiohttp.ClientError, TimeoutError) as error:
        raise TryAgain from error


async def insist(call: Callable[[], Awaitable[T]], refused: str) -> T:
    """Call Slack for as long as it takes to reach it.

    Args:
        call: the call.
        refused: what to say when Slack says no, with a place for its reason.

    Raises:
        PlatformRefused: it said no.
    """
    pause = 1.0
    while True:
        try:
            with slack_errors():
                return await call()
        except Refused as error:
            raise PlatformRefused(refused.format(reason=error.reason)) from error
        except TryAgain as error:
            log.warning("slack_unreachable", help=PlatformRefused.slack_unreachable)
            await asyncio.sleep(max(pause, error.after))
            pause = min(2 * pause, LONGEST_PAUSE)


def _sorted(error: SlackApiError) -> TryAgain | Refused:
    answer = error.response
    data = getattr(answer, "data", None)
    reason = data.get("error") if isinstance(data, dict) else None  # pages and the like are not Slack's answers
    if not isinstance(reason, str) or reason in PASSING:
        seconds = str(answer.headers.get("Retry-After", ""))
        return TryAgain(float(seconds) if seconds.isdecimal() else 0)
    return Refused(reason)
