"""Slack's files: which of them are photos, which rendition to read, and how they are fetched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError
from yarl import URL

from bot.answers import Kind
from bot.errors import TOO_MANY_BYTES, FileUnavailable, ScopeMissing
from bot.recent import Recent
from bot.selfie_job import PICTURE_NAMES, PhotoRef, TryAgain
from bot.slack_workspaces import Workspace
from inference import ImageTooLarge, size_in_words

File = Mapping[str, Any]
"""A file object of the Web API."""

# The widths of the renditions that Slack makes; the longer side has so many pixels.
RENDITIONS = (720, 800, 960, 1024)
# A rendition whose long side has this many pixels holds a selfie's face in full; where it does not, all is read.
SELFIE_SIDE = 640
HOSTS = (".slack.com", ".slack-edge.com", ".slack-files.com")
# Slack's words for a file that is not there (any more).
GONE = ("file_not_found", "file_deleted")
REMEMBERED = 2000
KEPT = 4 * 3600.0
MOST_NAME = 255
SECONDS = 30


@dataclass(frozen=True, slots=True)
class Photo:
    """A picture that Slack keeps.

    Attributes:
        id: Slack's own.
        kind: a still picture or a GIF.
        urls: address of each rendition, in the order in which to try them; the picture itself last.
    """

    id: str
    kind: Kind
    urls: Mapping[str, str]

    @property
    def reference(self) -> PhotoRef:
        """What a job stores of it: ids, no address."""
        return PhotoRef(self.kind, tuple(f"{self.id}/{rendition}" for rendition in self.urls))

    def address(self, rendition: str) -> str:
        """Return where a rendition is; the largest one where Slack has not, or we do not want, that one."""
        return self.urls.get(rendition) or [*self.urls.values()][-1]


def photo_of(file: File, max_bytes: int) -> Photo | None:
    """Return the picture in a file; None when it is none, or is not Slack's to give out.

    Args:
        file: from an event or files.info.
        max_bytes: a larger picture is read in a rendition, if it has one.
    """
    # Files of other services, deleted ones and those hidden by a plan's limits have other modes.
    if file.get("mode", "hosted") != "hosted" or file.get("is_external") or not file.get("id"):
        return None
    mime = str(file.get("mimetype") or "")
    name = str(file.get("name") or "").lower()
    url = file.get("url_private_download") or file.get("url_private")
    if not url or not (mime.startswith("image/") or (not mime and name.endswith(PICTURE_NAMES))):
        return None
    if mime == "image/gif":
        return Photo(file["id"], "gif", {"original": url})
    urls = {"original": url}
    if rendition := _rendition(file):
        is_too_large = int(file.get("size") or 0) > max_bytes
        urls = {rendition: file[rendition], **({} if is_too_large else urls)}
    return Photo(file["id"], "photo", urls)


def _rendition(file: File) -> str | None:
    """Return the smallest rendition that holds a selfie's face."""
    for width in RENDITIONS:
        name = f"thumb_{width}"
        if file.get(name) and max(int(file.get(f"{name}_{side}") or 0) for side in "wh") >= SELFIE_SIDE:
            return name
    return None


@dataclass(frozen=True, slots=True)
class LastPhotos:
    """The last photos of a channel, and whose post, sent when, they are."""

    poster: str
    ts: str
    photos: tuple[PhotoRef, ...]


def _has_name(file: Any) -> bool:
    name = file.get("id") if isinstance(file, dict) else None
    return isinstance(name, str) and 0 < len(name) <= MOST_NAME


def is_stub(file: File) -> bool:
    """Tell whether an event names a file without describing it, as in channels shared with other workspaces."""
    return file.get("file_access") == "check_file_info" or file.get("mode") == "file_access"


class PostedPhotos:
    """The photos of posts; of recent ones the addresses, so that a job need not ask Slack for them again.

    Args:
        max_bytes: see `photo_of`.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._photos = Recent[tuple[str, str], Photo](REMEMBERED, KEPT)
        self._last = Recent[tuple[str, str], LastPhotos](REMEMBERED, KEPT)

    def of_post(self, team: str, post: Mapping[str, Any]) -> tuple[PhotoRef, ...]:
        """Return the references to a post's photos; a file that is only named counts until Slack has been asked.

        Args:
            team: the workspace.
            post: a message, or another thing with files.
        """
        files = post.get("files")
        references = []
        for file in files if isinstance(files, list) else []:
            if not _has_name(file):
                continue
            if is_stub(file):
                references.append(PhotoRef("photo", (f"{file['id']}/original",)))
            elif photo := photo_of(file, self._max_bytes):
                self._photos.keep((team, photo.id), photo)
                references.append(photo.reference)
        return tuple(references)

    async def find(self, workspace: Workspace, file_id: str) -> Photo | None:
        """Return a photo, asking Slack about it unless its post was here; None when it is none, or gone.

        Raises:
            SlackApiError, aiohttp.ClientError, TimeoutError: Slack's side.
        """
        photo = self._photos.get((workspace.team, file_id))
        if photo is None:
            try:
                answer = await workspace.client.files_info(file=file_id)
            except SlackApiError as error:
                if error.response.get("error") in GONE:
                    return None
                raise
            if photo := photo_of(answer["file"], self._max_bytes):
                self._photos.keep((workspace.team, file_id), photo)
        return photo

    def remember_last(self, team: str, channel: str, photos: LastPhotos) -> None:
        """Remember a channel's last photos, because Slack limits how often apps may look through a channel."""
        self._last.keep((team, channel), photos)

    def forget_last(self, team: str, channel: str, ts: str | None = None) -> None:
        """Remember them no more: their post was deleted or edited; without `ts` whatever it is."""
        last = self._last.get((team, channel))
        if last and ts in (None, last.ts):
            del self._last[team, channel]

    def last(self, team: str, channel: str) -> LastPhotos | None:
        """Return a channel's last photos, if they are remembered."""
        return self._last.get((team, channel))

    def forget(self, team: str) -> None:
        """Forget all photos of a workspace."""
        self._photos.forget(lambda key: key[0] == team)
        self._last.forget(lambda key: key[0] == team)


class Downloads:
    """Fetches files from Slack's file hosts.

    Args:
        server: address of the Slack server; its own host may serve files, too, if it is not Slack's.
        max_bytes: the most one photo may have.
    """

    def __init__(self, server: str, max_bytes: int) -> None:
        self._server = URL(server).origin()
        self._max_bytes = max_bytes
        self._session: aiohttp.ClientSession | None = None

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

    async def fetch(self, url: str, token: str) -> bytes:
        """Return a file's bytes.

        Args:
            url: from a file object.
            token: the workspace's; sent to this address only, never along a redirect.

        Raises:
            ImageTooLarge: more than `max_bytes`.
            ScopeMissing: Slack sent its sign-in page instead.
            FileUnavailable: deleted, or not on one of Slack's file hosts.
            TryAgain: Slack could not be reached.
        """
        headers: dict[str, str] | None = {"Authorization": f"Bearer {token}"}
        try:
            for _ in range(2):
                location, data = await self._get(url, headers)
                if location is None:
                    return data
                url, headers = location, None
        except (aiohttp.ClientError, TimeoutError) as error:
            raise TryAgain from error
        raise FileUnavailable

    async def _get(self, url: str, headers: Mapping[str, str] | None) -> tuple[str | None, bytes]:
        """Return where a file has moved to, or its bytes."""
        if not is_file_host(url, self._server):
            raise FileUnavailable
        assert self._session  # noqa: S101 - opened first
        async with self._session.get(url, headers=headers, allow_redirects=False) as response:
            if response.status in (301, 302, 303, 307, 308):
                return str(response.headers.get("location", "")), b""
            if response.status == 429 or response.status >= 500:
                raise TryAgain(seconds_asked(response.headers))
            if response.status != 200:
                raise FileUnavailable
            if response.content_type == "text/html":
                raise ScopeMissing("files:read")
            if (response.content_length or 0) > self._max_bytes:
                raise self._too_large()
            data = bytearray()
            async for chunk in response.content.iter_chunked(1 << 16):
                data += chunk
                if len(data) > self._max_bytes:
                    raise self._too_large()
        if data[:64].lstrip().lower().startswith((b"<!doctype", b"<html")):
            raise ScopeMissing("files:read")
        return None, bytes(data)

    def _too_large(self) -> ImageTooLarge:
        return ImageTooLarge(TOO_MANY_BYTES.format(limit=size_in_words(self._max_bytes)))


def is_file_host(url: str, server: URL) -> bool:
    """Tell whether an address is on one of Slack's file hosts, by https, or on the host of the server we talk to."""
    try:
        asked = URL(url)  # as aiohttp reads it: two parsers could see two hosts
        origin = asked.origin()
    except (TypeError, ValueError):  # no text, or none that is an address
        return False
    is_slack = asked.scheme == "https" and asked.port == 443 and (asked.host or "").endswith(HOSTS)
    return asked.user is None and (is_slack or origin == server)


def seconds_asked(headers: Mapping[str, str]) -> float:
    """Return how long a Retry-After header asks us to wait."""
    try:
        return max(0.0, float(headers.get("Retry-After", 0)))
    except ValueError:
        return 0
