"""The channels keep the contract: Telegram and the web page, in one bot with the real model."""

from __future__ import annotations

import io
from collections.abc import Iterator

import httpx
import pillow_heif
import pytest
from PIL import Image

from bot.phrases import ENGLISH
from inference import PhotoLimits, load_reader
from tests.bot.contract import MAX_BYTES, Answer, Contract, Problem, no_face, three_faces
from tests.bot.served import wait_until
from tests.bot.telegram_served import TelegramBot
from tests.bot.telegram_server import Sent, TelegramServer
from tests.bot.telegram_shapes import Json

__all__ = ["no_face", "three_faces"]

PROBLEMS: dict[str, Problem] = {
    ENGLISH.no_face: "no face",
    ENGLISH.unreadable: "damaged",
    ENGLISH.unsupported: "no picture",
    ENGLISH.too_large.format(limit="3 MB"): "too large",
    ENGLISH.not_a_photo: "no photo",
}
CODES: dict[str, Problem] = {
    "unreadable_image": "damaged",
    "unsupported_format": "no picture",
    "image_too_large": "too large",
    "wrong_content_type": "no photo",
}


@pytest.fixture(scope="module")
def bot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TelegramBot]:
    with (
        TelegramServer() as server,
        TelegramBot(
            tmp_path_factory.mktemp("contract"),
            server,
            lambda: load_reader(limits=PhotoLimits(max_bytes=MAX_BYTES)),
            max_bytes=MAX_BYTES,
            workers=1,
        ) as bot,
    ):
        yield bot
        assert server.violations == []


class TelegramChannel:
    """A private chat for each question."""

    def __init__(self, bot: TelegramBot) -> None:
        self._bot = bot

    def send(self, data: bytes) -> Answer:
        return said(self._bot.ask(self._photo(data)))

    def send_twice(self, data: bytes) -> Answer:
        update = self._photo(data)
        update_id = self._bot.server.push(update)
        for _ in range(2):
            self._bot.server.again(update_id)
            wait_until(self._all_delivered)
            self._bot.settle(update_id)
        return said(self._bot.said(update["message"]["chat"]["id"]))

    def say(self, text: str) -> Answer:
        return said(self._bot.ask(self._bot.server.text(text, user=self._bot.person())))

    def _photo(self, data: bytes) -> Json:
        # As a document, because Telegram itself would turn down half of these as photos.
        return self._bot.server.document(data, user=self._bot.person())

    def _all_delivered(self) -> bool:
        return not self._bot.server.pending and not self._bot.server._again


def said(messages: list[Sent]) -> Answer:
    """Understand everything that a private chat got."""
    if len(messages) == 1:
        return Answer(problem=PROBLEMS[messages[0].text])
    large, details = messages
    lines = [line for line in details.text.splitlines() if line.endswith("%") and not line.startswith("Next")]
    found = [line.rpartition("%")[0].rpartition(", ") for line in lines]
    # Of several faces each has a line of its own: 1. 😄 Happy, 92%
    expressions = tuple(f"{words.split()[-1].lower()} {percent}" for words, _, percent in found)
    return Answer(tuple(large.text), expressions)


class WebChannel:
    """The page's requests, on connections of their own."""

    def __init__(self, bot: TelegramBot) -> None:
        self._url = f"{bot.url}/api/read"

    def send(self, data: bytes) -> Answer:
        return read(httpx.post(self._url, content=data, timeout=20))

    def send_twice(self, data: bytes) -> Answer:
        first = self.send(data)
        assert self.send(data) == first
        return first

    def say(self, text: str) -> Answer:
        return read(httpx.post(self._url, content=text, headers={"content-type": "text/plain"}, timeout=20))


def read(response: httpx.Response) -> Answer:
    """Understand what the page would show."""
    answer = response.json()
    if response.status_code != 200:
        return Answer(problem=CODES[answer["error"]["code"]])
    faces = answer["faces"]
    if not faces:
        return Answer(problem="no face")
    return Answer(
        tuple(face["emoji"] for face in faces),
        tuple(f"{face['expression']} {min(99, round(100 * face['confidence']))}" for face in faces),
    )


class TestTelegram(Contract):
    @pytest.fixture
    def channel(self, bot: TelegramBot) -> TelegramChannel:
        return TelegramChannel(bot)


class TestWebPage(Contract):
    @pytest.fixture
    def channel(self, bot: TelegramBot) -> WebChannel:
        return WebChannel(bot)


def test_both_channels_say_the_same(bot: TelegramBot, portrait: bytes, three_faces: bytes) -> None:
    for photo in (portrait, three_faces):
        assert TelegramChannel(bot).send(photo) == WebChannel(bot).send(photo)


def test_an_iphones_picture_is_read_when_it_is_sent_as_a_file(bot: TelegramBot, portrait: bytes) -> None:
    file = io.BytesIO()
    with Image.open(io.BytesIO(portrait)) as picture:
        pillow_heif.from_pillow(picture).save(file)
    update = bot.server.document(file.getvalue(), user=bot.person(), name="IMG_0001.HEIC", mime="image/heic")
    assert said(bot.ask(update)).emoji == TelegramChannel(bot).send(portrait).emoji


def test_a_sticker_is_read(bot: TelegramBot, portrait: bytes) -> None:
    file = io.BytesIO()
    with Image.open(io.BytesIO(portrait)) as picture:
        picture.save(file, "WEBP")
    update = bot.server.sticker(file.getvalue(), user=bot.person())
    assert said(bot.ask(update)).expressions[0].startswith("happy")


def test_a_photo_is_read_in_the_renditions_that_telegram_makes(bot: TelegramBot, portrait: bytes) -> None:
    with Image.open(io.BytesIO(portrait)) as picture:
        file = io.BytesIO()
        picture.resize((2048, 2048)).save(file, "JPEG")
    before = bot.server.downloads
    assert said(bot.ask(bot.server.photo(file.getvalue(), user=bot.person()))).expressions[0].startswith("happy")
    assert bot.server.downloads == before + 1
