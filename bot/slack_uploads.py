"""Pictures for Slack: it says where their bytes go, takes them there, and then shows them, in one message."""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from yarl import URL

from bot.selfie_job import Refused, TryAgain
from bot.slack_files import GONE, SECONDS, is_file_host, seconds_asked

TITLE = "Face2Emoji"
REMEMBERED = 2000


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture to show.

    Attributes:
        name: of its file; a message that shows it is known by this.
        alt: what it shows, for screen readers; at most 1000 characters.
    """

    name: str
    data: bytes
    alt: str


class Uploads:
    """Shows pictures, each message once.

    Slack completes an upload a single time, so what may have got through is completed again, not uploaded again.

    Args:
        server: address of the Slack server; its own host may take files, too, if it is not Slack's.
    """

    def __init__(self, server: str) -> None:
        self._server = URL(server).origin()
        self._session: aiohttp.ClientSession | None = None
        # In memory: after a crash, a picture that is not there yet is uploaded anew.
        self._brought: OrderedDict[tuple[str, str], tuple[str, ...]] = OrderedDict()

    def open(self) -> None:
        """Get ready; to be called inside the event loop."""
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=SECONDS),
            trust_env=True,
            cookie_jar=aiohttp.DummyCookieJar(),  # one workspace's cookies are for no other
        )

    async def close(self) -> None:
        """Hang up."""
        if self._session:
            await self._session.close()

    async def show(self, client: AsyncWebClient, channel: str, pictures: Sequence[Picture], text: str) -> None:
        """Show pictures in a conversation.

        Args:
            client: of the workspace.
            channel: id of the conversation; a user's is none.
            pictures: at least one; a try of the same message has the same names.
            text: stands above them, in Slack's markup; may be empty.

        Raises:
            SlackApiError, aiohttp.ClientError, TimeoutError: Slack's side, as `bot.slack_errors` sorts it.
            TryAgain, Refused: likewise, where the bytes go.
        """
        key = channel, pictures[0].name
        is_second_try = key in self._brought
        if not is_second_try:
            self._brought[key] = tuple([await self._bring(client, picture) for picture in pictures])
            while len(self._brought) > REMEMBERED:
                self._brought.popitem(last=False)
        try:
            await client.files_completeUploadExternal(
                files=[{"id": file, "title": TITLE} for file in self._brought[key]],
                channel_id=channel,
                initial_comment=text or None,
            )
        except SlackApiError as error:
            if not (is_second_try and error.response.get("error") in GONE):  # else Slack took the first one
                raise
        del self._brought[key]

    async def _bring(self, client: AsyncWebClient, picture: Picture) -> str:
        """Bring a picture's bytes to Slack, and return the id of its file, which nobody sees yet."""
        place = await client.files_getUploadURLExternal(
            filename=picture.name, length=len(picture.data), alt_txt=picture.alt
        )
        await self._post(str(place["upload_url"]), picture.data)
        return str(place["file_id"])

    async def _post(self, url: str, data: bytes) -> None:
        """Post bytes to an address that is secret enough: the token stays here."""
        if not is_file_host(url, self._server):
            raise Refused("foreign_upload_url")
        assert self._session  # noqa: S101 - opened first
        async with self._session.post(url, data=io.BytesIO(data), allow_redirects=False) as response:
            if response.status == 429 or response.status >= 500:
                raise TryAgain(seconds_asked(response.headers))
            if response.status != 200:
                raise Refused("upload_failed")
