"""A post's references -> what became of its photos: each is fetched, read and forgotten."""

from __future__ import annotations

import asyncio
from collections import defaultdict

from bot.answers import Outcome
from bot.errors import Busy, FileUnavailable, NotReady
from bot.photo_service import PhotoService
from bot.selfie_job import Channel, NotFetched, PhotoRef, Result, SelfieJob, TryAgain
from bot.store import Store
from inference import EmojiMap, Face2EmojiError, Reading

# So many photos of each platform are fetched, or wait in memory, beside those that are read: enough to keep the readers
# busy while the platform takes its time, few enough that the largest take little memory, and that the page's photos
# find the line short.
AHEAD = 6
# A face this wide in the smaller rendition of a photo fills the network's input; the larger one would add nothing.
WIDE_ENOUGH = 96


class PostReader:
    """Fetches and reads the photos of a post.

    Args:
        service: reads the photos.
        store: knows what chats changed on the emoji map.
        emoji_map: the map they changed.
    """

    def __init__(self, service: PhotoService, store: Store, emoji_map: EmojiMap) -> None:
        self._service = service
        self._store = store
        self._emoji_map = emoji_map
        # One for each platform: one that gives its files slowly holds back no other.
        self._room: defaultdict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(service.workers + AHEAD)
        )

    async def read(self, job: SelfieJob, channel: Channel, *, patient: bool = True) -> Result:
        """Read every photo; one that cannot be read is an outcome, too.

        Args:
            job: the post.
            channel: where its files are.
            patient: a photo whose file the platform does not give now is an error, not an outcome.

        Raises:
            TryAgain, Refused: the platform's side; TryAgain also while we are busy.
            NotFetched: the platform's side, too; only where `patient`.
        """
        changes = (await self._store.chat(job.platform, job.settings or job.chat)).changes
        emoji_map = self._emoji_map.changed(changes) if changes else None
        try:
            photos = await channel.photos(job)
        except Face2EmojiError as error:
            return Result((Outcome("photo", error),), self._service.model)
        outcomes = []
        for photo in photos:
            try:
                async with self._room[job.platform]:
                    outcomes.append(await self._outcome(job, photo, channel, emoji_map))
            except NotFetched:
                if patient:
                    raise
                outcomes.append(Outcome(photo.kind, FileUnavailable()))
        return Result(tuple(outcomes), self._service.model)

    async def _outcome(self, job: SelfieJob, photo: PhotoRef, channel: Channel, emoji_map: EmojiMap | None) -> Outcome:
        if job.reply == "mask":
            return await self._mask_photo(job, photo, channel, emoji_map)
        result = await self._read_photo(job, photo, channel)
        if emoji_map and isinstance(result, Reading):
            result = emoji_map.apply(result)
        return Outcome(photo.kind, result)

    async def _mask_photo(
        self, job: SelfieJob, photo: PhotoRef, channel: Channel, emoji_map: EmojiMap | None
    ) -> Outcome:
        try:
            data = await _fetch(job, photo.files[-1], channel)
            masked = await self._service.mask(data, patient=True, everyone=job.everyone, emoji_map=emoji_map)
        except (Busy, NotReady) as error:
            raise TryAgain(error.retry_after or 0) from error
        except Face2EmojiError as error:
            return Outcome(photo.kind, error)
        covered = masked.reading.faces or masked.reading.unread
        return Outcome(photo.kind, masked.reading, masked.jpeg if covered else None)

    async def _read_photo(self, job: SelfieJob, photo: PhotoRef, channel: Channel) -> Reading | Face2EmojiError:
        async def read(file: str) -> Reading:
            data = await _fetch(job, file, channel)
            return await self._service.read(data, patient=True, main_only=job.reply == "reaction")

        *smaller, last = photo.files
        try:
            for file in smaller:
                reading = await read(file)
                if len(reading.faces) == 1 and reading.faces[0].box.width >= WIDE_ENOUGH:
                    return reading
            return await read(last)
        except (Busy, NotReady) as error:
            raise TryAgain(error.retry_after or 0) from error
        except Face2EmojiError as error:
            return error


async def _fetch(job: SelfieJob, file: str, channel: Channel) -> bytes:
    try:
        return await channel.fetch(job, file)
    except TryAgain as error:
        if error.after:  # it only wants us to wait
            raise
        raise NotFetched from error.__cause__ or error
