"""The channels keep the contract: Telegram, Slack and the web page, in one bot with the real model."""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import partial

import httpx
import pillow_heif
import pytest
from PIL import Image

from bot.phrases import ENGLISH
from bot.reader_process import ReaderProcess, load_face_reader
from inference import PhotoLimits
from tests.bot.contract import MAX_BYTES, Answer, Contract, Problem, no_face, three_faces
from tests.bot.running_bot import RunningBot
from tests.bot.served import wait_until
from tests.bot.slack_served import header_of, settings_of, words_of
from tests.bot.slack_server import Sent as SlackSent
from tests.bot.slack_server import SlackServer
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
def slack_server() -> Iterator[SlackServer]:
    with SlackServer() as server:
        yield server
        assert server.violations == []


@pytest.fixture(scope="module")
def bot(tmp_path_factory: pytest.TempPathFactory, slack_server: SlackServer) -> Iterator[TelegramBot]:
    """One bot on all channels; there can be only one in a process at a time."""
    with TelegramServer() as server:
        bot = TelegramBot(
            tmp_path_factory.mktemp("contract"),
            server,
            partial(ReaderProcess, partial(load_face_reader, None, None, PhotoLimits(max_bytes=MAX_BYTES))),
            slack_base_url=slack_server.url,
            **settings_of("socket"),
            max_bytes=MAX_BYTES,
            workers=1,
        )
        bot.start()
        try:
            wait_until(lambda: len(bot.lines) == 3, 20)  # the page, Telegram, Slack
            yield bot
        finally:
            bot.stop()
        assert server.violations == []


@pytest.fixture
def slack_channel(bot: TelegramBot, slack_server: SlackServer) -> SlackChannel:
    return SlackChannel(bot, slack_server)


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
        return understood("", messages[0].text)
    large, details = messages
    return understood(large.text, details.text)


def understood(large: str, words: str) -> Answer:
    """Understand an answer: its large emoji, if there are any, and its words."""
    if not large:
        return Answer(problem=PROBLEMS[words])
    lines = [line for line in words.splitlines() if line.endswith("%") and not line.startswith("Next")]
    found = [line.rpartition("%")[0].rpartition(", ") for line in lines]
    # Of several faces each has a line of its own: 1. 😄 Happy, 92%
    expressions = tuple(f"{words.split()[-1].lower()} {percent}" for words, _, percent in found)
    return Answer(tuple(large), expressions)


class SlackChannel:
    """A direct message for each question."""

    def __init__(self, bot: RunningBot, server: SlackServer) -> None:
        self._bot = bot
        self._server = server

    def send(self, data: bytes) -> Answer:
        user = self._server.person().id
        return self._answer_to(self._server.photo(data, self._server.dm(user), user))

    def send_twice(self, data: bytes) -> Answer:
        user = self._server.person().id
        post = self._server.photo(data, self._server.dm(user), user)
        (event,) = (each for each in self._server.deliveries if each.payload["event"]["ts"] == post["ts"])
        self._server.again(event.id)
        self._answer_to(post)
        self._server.again(event.id)
        wait_until(lambda: sum(attempt.ack is not None for attempt in event.attempts) == 3)
        return self._answer_to(post)

    def say(self, text: str) -> Answer:
        user = self._server.person().id
        return self._answer_to(self._server.text(text, self._server.dm(user), user))

    def _answer_to(self, post: Json) -> Answer:
        wait_until(lambda: not self._server.pending, 20)
        wait_until(lambda: self._bot.idle, 20)
        wait_until(lambda: bool(self._said(post)))  # words are answered without a job
        (answer,) = self._said(post)
        return understood(header_of(answer), words_of(answer))

    def _said(self, post: Json) -> list[SlackSent]:
        return [sent for sent in self._server.sent if sent.channel == post["channel"]]


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


class TestSlack(Contract):
    @pytest.fixture
    def channel(self, slack_channel: SlackChannel) -> SlackChannel:
        return slack_channel


class TestWebPage(Contract):
    @pytest.fixture
    def channel(self, bot: TelegramBot) -> WebChannel:
        return WebChannel(bot)


def test_all_channels_say_the_same(
    bot: TelegramBot, slack_channel: SlackChannel, portrait: bytes, three_faces: bytes
) -> None:
    for photo in (portrait, three_faces):
        on_telegram = TelegramChannel(bot).send(photo)
        assert slack_channel.send(photo) == on_telegram
        assert WebChannel(bot).send(photo) == on_telegram


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


def test_the_real_model_masks_on_telegram_and_over_http(bot: TelegramBot, portrait: bytes) -> None:
    exif = Image.Exif()
    exif[0x010E] = "the garden"
    photo = io.BytesIO()
    Image.open(io.BytesIO(portrait)).save(photo, "JPEG", exif=exif, quality=92)
    (answer,) = bot.ask(bot.server.document(photo.getvalue(), user=bot.person(), caption="/mask"))
    assert answer.photo is not None
    response = bot.http.post("/api/mask", content=photo.getvalue(), timeout=30)
    assert response.headers["x-faces-covered"] == "1"
    for masked in (bot.server.files[answer.photo].data, response.content):
        assert b"garden" not in masked
        picture = Image.open(io.BytesIO(masked))
        assert picture.size == (512, 512)
        assert picture.getpixel((228, 90)) == pytest.approx((252, 234, 43), abs=25)  # the forehead
