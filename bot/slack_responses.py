"""The addresses at which Slack takes answers to a command, a press or a shortcut, wherever that was, for half an hour.

In memory only: whoever has one may post there. After a crash an answer goes the ordinary way.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import aiohttp
from slack_sdk.webhook.async_client import AsyncWebhookClient

from bot.recent import Recent
from bot.selfie_job import SelfieJob, TryAgain
from bot.slack_errors import SDK_LOG
from bot.slack_files import seconds_asked

REMEMBERED = 2000
KEPT = 1800.0  # as long as Slack takes answers there


async def respond(url: str, body: Mapping[str, Any]) -> bool:
    """Give an answer; return whether Slack took it.

    Args:
        url: the address.
        body: of the message, in the shape of Slack's response_url.

    Raises:
        TryAgain: Slack cannot be reached, or wants us to wait.
    """
    try:
        response = await AsyncWebhookClient(url, logger=SDK_LOG, retry_handlers=[]).send_dict(dict(body))
    except (aiohttp.ClientError, TimeoutError) as error:
        raise TryAgain from error
    if response.status_code == 429 or response.status_code >= 500:
        raise TryAgain(seconds_asked(response.headers))
    return bool(response.status_code == 200)


class Responses:
    """Remembers each job's response_url."""

    def __init__(self) -> None:
        self._urls = Recent[str, str](REMEMBERED, KEPT)

    def remember(self, job: SelfieJob, url: str) -> None:
        """Remember where a job's answer may go."""
        if url:
            self._urls.keep(job.id, url)

    async def give(self, job: SelfieJob, content: Mapping[str, Any]) -> bool:
        """Give a job's answer to who asked, and nobody else; return whether that was possible.

        Raises:
            TryAgain: see `respond`.
        """
        url = self._urls.get(job.id)
        return bool(url and await respond(url, {"response_type": "ephemeral", **content}))
