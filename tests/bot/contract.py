"""What every channel owes to people: exactly one right answer, whatever is sent, however often it is delivered.

A channel's test class inherits `Contract` and has a fixture `channel`.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Literal, Protocol

import pytest
from PIL import Image

Problem = Literal["", "no face", "damaged", "no picture", "too large", "no photo"]
MAX_BYTES = 3_000_000


@dataclass(frozen=True)
class Answer:
    """The emoji and expressions of the faces, left to right, each expression with its confidence; or what is wrong."""

    emoji: tuple[str, ...] = ()
    expressions: tuple[str, ...] = ()
    problem: Problem = ""


class Channel(Protocol):
    """A channel in front of the real model, which takes at most `MAX_BYTES`."""

    def send(self, data: bytes) -> Answer:
        """Send a photo as somebody new; return the one answer."""

    def send_twice(self, data: bytes) -> Answer:
        """Let the same photo's event be delivered again, while it is worked on and afterwards."""

    def say(self, text: str) -> Answer:
        """Send words."""


@pytest.fixture(scope="module")
def no_face() -> bytes:
    return jpeg(Image.linear_gradient("L").resize((640, 480)))


@pytest.fixture(scope="module")
def three_faces(portrait: bytes) -> bytes:
    """One large, one small, one in between."""
    with Image.open(io.BytesIO(portrait)) as opened:
        face = opened.convert("RGB").crop((90, 0, 350, 260))
    picture = Image.new("RGB", (1280, 720), (96, 112, 128))
    for side, place in ((220, (960, 60)), (400, (60, 60)), (300, (560, 300))):
        picture.paste(face.resize((side, side), Image.Resampling.LANCZOS), place)
    return jpeg(picture)


def jpeg(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.convert("RGB").save(file, "JPEG", quality=90)
    return file.getvalue()


class Contract:
    """The tests that every channel has to pass."""

    def test_a_selfie(self, channel: Channel, portrait: bytes) -> None:
        answer = channel.send(portrait)
        assert answer.problem == ""
        (said,) = answer.expressions
        expression, percent = said.split()
        assert expression == "happy"
        assert 50 < int(percent) < 100
        assert len(answer.emoji) == 1
        assert answer.emoji[0] in "😀😃😄😁😆😊🙂"

    def test_three_faces(self, channel: Channel, three_faces: bytes) -> None:
        answer = channel.send(three_faces)
        assert answer.problem == ""
        assert [said.split()[0] for said in answer.expressions] == ["happy"] * 3
        assert len(answer.emoji) == 3

    def test_no_face(self, channel: Channel, no_face: bytes) -> None:
        assert channel.send(no_face) == Answer(problem="no face")

    def test_a_picture_cut_short(self, channel: Channel, portrait: bytes) -> None:
        assert channel.send(portrait[:300]) == Answer(problem="damaged")

    def test_junk(self, channel: Channel) -> None:
        assert channel.send(bytes(range(256)) * 40) == Answer(problem="no picture")

    def test_too_large(self, channel: Channel, portrait: bytes) -> None:
        assert channel.send(portrait + bytes(MAX_BYTES)) == Answer(problem="too large")

    def test_words(self, channel: Channel) -> None:
        assert channel.say("Good morning!") == Answer(problem="no photo")

    def test_redelivery(self, channel: Channel, portrait: bytes) -> None:
        assert channel.send_twice(portrait) == channel.send(portrait)
