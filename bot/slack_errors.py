"""Slack's errors, sorted; and the log that Slack's libraries may write to."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp
from slack_sdk.errors import SlackApiError, SlackTokenRotationError

from bot.jobs import Refused, TryAgain

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


def _sorted(error: SlackApiError) -> TryAgain | Refused:
    answer = error.response
    data = getattr(answer, "data", None)
    reason = data.get("error") if isinstance(data, dict) else None  # pages and the like are not Slack's answers
    if not isinstance(reason, str) or reason in PASSING:
        seconds = str(answer.headers.get("Retry-After", ""))
        return TryAgain(float(seconds) if seconds.isdecimal() else 0)
    return Refused(reason)
