"""What is stored of a post that waits for its answer, and what a platform has to do for it.

References only, never pixels. Jobs that are stored outlive releases, so fields may be added and none taken away.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Protocol, get_args
from urllib.parse import unquote

from bot.answers import Kind, Outcome


class TryAgain(Exception):
    """The platform could not be reached, or wants us to wait.

    Attributes:
        after: seconds the platform asked for.
    """

    def __init__(self, after: float = 0) -> None:
        super().__init__(after)
        self.after = after


class NotFetched(TryAgain):
    """The platform does not give a photo's file, for a reason of its own; the rest of it may work."""


class Refused(Exception):
    """The platform said no for good: blocked, deleted, no rights.

    Attributes:
        reason: the platform's own word for it, without names or texts.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


Reply = Literal["reaction", "message", "private", "mask"]
"""How a post is answered, from the weakest wish to the strongest.

With a quiet reaction, in words that its chat sees, in words that only the sender sees, or with its photos, their faces
covered.
"""


PICTURE_NAMES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".heic", ".heif")
"""How the names of pictures end, where a platform does not tell what a file is."""


@dataclass(frozen=True, slots=True)
class PhotoRef:
    """Where the platform keeps one photo.

    Attributes:
        kind: what was sent; of moving pictures it is the preview that is read.
        files: the platform's ids of its renditions, the one to try first in front, larger ones behind.
        message: the number of the message it came in, which orders an album.
    """

    kind: Kind
    files: tuple[str, ...]
    message: int = 0


@dataclass(frozen=True, slots=True)
class SelfieJob:
    """One post to answer. References only; it is stored as JSON.

    Attributes:
        platform: name of the channel.
        event: unique among the events of that platform, the same when it is delivered again.
        chat: where to answer.
        settings: the chat whose settings apply, where it is another one.
        message: what to answer.
        sender: who posted it; empty where nobody did (a channel).
        posted: when, in seconds since 1970.
        thread: topic or thread inside the chat.
        language: the sender's, as the platform names it.
        reply: how to answer.
        photos: what was posted; the channel looks for it where the event does not carry it.
        album: more photos of the same post follow one by one, as events of their own.
        everyone: where faces are covered, those too that are too doubtful to read.
        private: where faces are covered, only the sender is to see that.
        trace: by which the log names it, in every process and after a crash; says nothing of the sender.
    """

    platform: str
    event: str
    chat: str
    message: str
    sender: str
    posted: float
    thread: str | None = None
    language: str | None = None
    reply: Reply = "message"
    photos: tuple[PhotoRef, ...] = ()
    album: bool = False
    settings: str | None = None
    everyone: bool = False
    private: bool = False
    trace: str = ""

    @property
    def id(self) -> str:
        """The job's name in the database; `whose` finds sender and chat in it."""
        return f"{self.platform}:{_part(self.sender)}:{_part(self.chat)}:{self.event}"

    def to_json(self) -> dict[str, Any]:
        """Return what is stored."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SelfieJob:
        """Read what another release may have stored: fields it did not have take their defaults."""
        known = {name: data[name] for name in cls.__dataclass_fields__ if name in data}
        return cls(**{**known, "photos": _photos(data.get("photos", ()))})


def _part(name: str) -> str:
    """Write a platform's id so that no ":" is in it; one without ":" and "%" stays as it is."""
    return name.replace("%", "%25").replace(":", "%3A")


def whose(job: str) -> tuple[str, str]:
    """Return sender and chat of a job, by its name in the database."""
    _, sender, chat, _ = job.split(":", 3)
    return unquote(sender), unquote(chat)


def _photos(data: Iterable[Mapping[str, Any]]) -> tuple[PhotoRef, ...]:
    return tuple(PhotoRef(photo["kind"], tuple(photo["files"]), photo.get("message", 0)) for photo in data)


def photo_sent(job: SelfieJob) -> dict[str, Any]:
    """Return what an album's job is sent of one of the album's events: its photo, and how to answer."""
    [photo] = job.photos
    return {**asdict(photo), "reply": job.reply, "everyone": job.everyone}


def joined(job: SelfieJob, sent: Sequence[Mapping[str, Any]]) -> SelfieJob:
    """Return an album's job with what it was sent: all photos in their order, answered as the strongest wish wants.

    What an older release sent has no wish.
    """
    photos = dict.fromkeys(job.photos + _photos(sent))
    replies = (job.reply, *(each.get("reply", job.reply) for each in sent))
    return replace(
        job,
        photos=tuple(sorted(photos, key=lambda photo: photo.message)),
        reply=max(replies, key=get_args(Reply).index),
        everyone=job.everyone or any(each.get("everyone", False) for each in sent),
    )


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a job's photos, in their order, and the version of the weights that read them."""

    outcomes: tuple[Outcome, ...]
    model: str


class Channel(Protocol):
    """What a job needs of its platform."""

    @property
    def platform(self) -> str:
        """Its name in `SelfieJob.platform`."""

    async def photos(self, job: SelfieJob) -> tuple[PhotoRef, ...]:
        """Return the photos to read for a post; a reaction to none of them is no answer at all.

        Raises:
            Face2EmojiError: there are none, which is an answer.
            TryAgain, Refused: the platform's side.
        """

    async def fetch(self, job: SelfieJob, file: str) -> bytes:
        """Return the bytes of a file of the post.

        Raises:
            Face2EmojiError: it is too large, or not given out.
            TryAgain, Refused: the platform's side.
        """

    def working(self, job: SelfieJob) -> AbstractAsyncContextManager[None]:
        """Show the sender that something is going on, where that is the custom."""

    async def send(self, job: SelfieJob, result: Result, part: int, *, again: bool) -> bool:
        """Give one part of the answer, from 0 on; return whether another one follows.

        Args:
            job: the post.
            result: what became of its photos.
            part: which one.
            again: it was tried before, and may have got through; where a platform can tell, it is not given twice.

        Raises:
            TryAgain, Refused: the platform's side.
        """
