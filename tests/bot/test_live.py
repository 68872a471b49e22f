"""Live frames over real WebSockets: every answer, every bound."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

import bot.app
import bot.live
from inference import Box, FaceReading, Reading, UnreadableImage, load_emoji_map
from tests.bot.served import READING, ObedientReader, Serve, Served, error_of, wait_until
from tests.bot.test_web_channel import later

LIVE = "face2emoji_live_connections"


@contextmanager
def live(served: Served, **options: Any) -> Iterator[ClientConnection]:
    with connect(f"ws://127.0.0.1:{served.port}/api/live", compression=None, **options) as socket:
        yield socket


def answer(socket: ClientConnection) -> dict[str, Any]:
    message = json.loads(socket.recv(timeout=10))
    assert isinstance(message, dict)
    return message


def ask(socket: ClientConnection, frame: bytes = b"frame") -> dict[str, Any]:
    socket.send(frame)
    return answer(socket)


def end(socket: ClientConnection) -> tuple[int, str]:
    """Close code and reason."""
    with pytest.raises(ConnectionClosed) as closed:
        list(socket)
    assert closed.value.rcvd
    return closed.value.rcvd.code, closed.value.rcvd.reason


def face(happy: float, cues: dict[str, float]) -> FaceReading:
    scores = dict.fromkeys(load_emoji_map().labels, 0.0) | {"happy": happy, "neutral": 1 - happy}
    chosen = load_emoji_map().choose(scores, cues)
    best = max(scores, key=lambda name: scores[name])
    return FaceReading(Box(100, 100, 200, 220), best, scores[best], scores, cues, chosen.emoji, chosen.rule)


def reading(*faces: FaceReading) -> Reading:
    return Reading(640, 480, faces, faces[0].emoji)


def test_each_frame_is_answered_with_its_reading(serve: Serve) -> None:
    served = serve()
    with live(served) as socket:
        assert ask(socket, b"one") == READING.to_json()
        assert ask(socket, b"two") == READING.to_json()
        assert served.metric(LIVE) == 1
    assert served.reader.seen == [b"one", b"two"]
    wait_until(lambda: served.metric(LIVE) == 0)
    assert served.metric('face2emoji_photos_total{outcome="read"}') == 2


def test_the_newest_frame_wins(serve: Serve) -> None:
    served = serve(workers=1)
    served.reader.may_read.clear()
    with live(served) as socket:
        socket.send(b"first")
        wait_until(lambda: served.reader.seen == [b"first"])
        for frame in (b"second", b"third", b"fourth"):
            socket.send(frame)
        socket.ping().wait(10)
        served.http.get("/healthz")  # by now the loop has taken in what came before
        served.reader.may_read.set()
        assert [answer(socket), answer(socket)] == [READING.to_json()] * 2
    assert served.reader.seen == [b"first", b"fourth"]


def test_an_upload_takes_its_turn_between_two_frames(serve: Serve) -> None:
    served = serve(workers=1)
    served.reader.may_read.clear()
    with live(served) as socket:
        socket.send(b"frame")
        wait_until(lambda: served.reader.seen == [b"frame"])
        photo = later(served, b"photo")
        wait_until(lambda: served.metric("face2emoji_waiting_photos") == 1)
        socket.send(b"next frame")
        served.reader.may_read.set()
        assert [answer(socket), answer(socket)] == [READING.to_json()] * 2
        assert photo.result().status_code == 200
    assert served.reader.seen == [b"frame", b"photo", b"next frame"]


def test_a_frame_that_cannot_be_read_is_answered_and_the_next_one_read(serve: Serve) -> None:
    served = serve()
    served.reader.answers[b"bad"] = UnreadableImage("damaged, send another one")
    with live(served) as socket:
        assert ask(socket, b"bad")["error"] == {"code": "unreadable_image", "message": "damaged, send another one"}
        assert ask(socket) == READING.to_json()


def test_answers_are_calm_and_explained_once(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    served = serve()
    calm, flicker = face(0.9, {"smile_open": 0.9}), face(0.9, {"wink_left": 0.6})
    assert calm.emoji != flicker.emoji
    readings = iter([reading(calm), reading(flicker), reading(calm)])
    monkeypatch.setattr(served.reader, "read", lambda data, main_only, before: next(readings))
    with live(served) as socket:
        answers = [ask(socket) for _ in range(3)]
    assert {one["emoji"] for one in answers} == {calm.emoji.character}
    explanations = [one["faces"][0].get("explanation") for one in answers]
    assert explanations[0]["speaks"] == {"smile_open": ["happy"]}
    assert "not seen: wink" in repr(explanations[0]["passed"])
    assert explanations[1:] == [None, None]


def test_a_face_that_another_one_comes_before_is_explained_at_its_new_place(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = serve()
    calm, flicker = face(0.9, {"smile_open": 0.9}), face(0.9, {"wink_left": 0.6})
    newcomer = replace(face(0.1, {}), box=Box(0, 100, 90, 210))
    readings = iter([reading(calm), reading(newcomer, flicker), reading(newcomer, calm), reading(newcomer, calm)])
    monkeypatch.setattr(served.reader, "read", lambda data, main_only, before: next(readings))
    with live(served) as socket:
        answers = [ask(socket) for _ in range(4)]
    assert {one["faces"][-1]["rule"] for one in answers} == {calm.rule}
    told = ["explanation" in one["faces"][-1] for one in answers]
    assert told == [True, True, False, False]  # at its new place again, and at once


def test_a_newcomer_with_the_same_emoji_is_explained_by_itself(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    served = serve()
    here = face(0.9, {"smile_open": 0.9})
    newcomer = replace(face(0.9, {"smile_open": 0.9, "smirk": 0.9}), box=Box(0, 100, 90, 210))
    assert newcomer.rule == here.rule
    readings = iter([reading(here), reading(newcomer, here), reading(newcomer, here), reading(here)])
    monkeypatch.setattr(served.reader, "read", lambda data, main_only, before: next(readings))
    with live(served) as socket:
        answers = [ask(socket) for _ in range(4)]
    told = [[each.get("explanation") for each in one["faces"]] for one in answers]
    ours = told[0][0]
    assert "not seen: smirk" in repr(ours)
    assert "not seen: smirk" not in repr(told[1][0] or ours)
    assert told[1][1] == ours  # at its new place
    assert told[2:] == [[None, None], [ours]]


def test_a_live_connection_outlives_what_a_body_may_take(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bot.app, "BODY_SECONDS_MORE", 0)
    served = serve(request_timeout=1)
    with live(served) as socket:
        for _ in range(4):
            assert ask(socket) == READING.to_json()
            time.sleep(0.5)


@pytest.mark.parametrize(("seconds", "followed"), [(1000.0, True), (0.0, False)])
def test_faces_are_followed_until_it_is_time_to_look_around(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, seconds: float, followed: bool
) -> None:
    monkeypatch.setattr(bot.live, "LOOK_AROUND_SECONDS", seconds)
    served = serve()
    smiling, places = reading(face(0.9, {})), []

    def read(_data: bytes, *, main_only: bool, before: Sequence[Box]) -> Reading:
        places.append(list(before))
        return smiling

    monkeypatch.setattr(served.reader, "read", read)
    with live(served) as socket:
        for _ in range(3):
            ask(socket)
    assert places == [[], *[[smiling.faces[0].box] if followed else []] * 2]


@pytest.mark.parametrize("origin", ["https://elsewhere.example", "null", "http://127.0.0.1:1", "http://[x"])
def test_pages_of_other_sites_are_refused(serve: Serve, origin: str) -> None:
    served = serve(public_url="https://bot.example.org")
    with pytest.raises(InvalidStatus) as refused, live(served, origin=origin):
        pass
    assert refused.value.response.status_code == 403
    for ours in (f"http://127.0.0.1:{served.port}", "https://bot.example.org"):
        with live(served, origin=ours) as socket:
            assert ask(socket) == READING.to_json()


def test_one_address_gets_half_of_the_places(serve: Serve) -> None:
    served = serve(live_limit=2)
    with live(served) as first:
        ask(first)
        with live(served) as second:
            refusal = answer(second)["error"]
            assert refusal["code"] == "live_full"
            assert "your address" in refusal["message"]
            assert refusal["retry_after"] == 10
            assert end(second) == (1013, "live_full")
        assert ask(first) == READING.to_json()
    wait_until(lambda: served.metric(LIVE) == 0)
    with live(served) as third:
        assert ask(third) == READING.to_json()


def test_all_places_can_be_taken(serve: Serve) -> None:
    served = serve(live_limit=1, rate_limit=0)
    with live(served) as first, live(served) as last:
        ask(first)
        assert "Too many people" in answer(last)["error"]["message"]


def test_live_that_is_switched_off_is_refused_for_good(serve: Serve) -> None:
    with live(serve(live_limit=0)) as socket:
        refusal = answer(socket)["error"]
        assert "switched off" in refusal["message"]
        assert "retry_after" not in refusal
        assert end(socket) == (1008, "live_refused")


def test_the_rate_limit_counts_connections_and_not_frames(serve: Serve) -> None:
    served = serve(rate_limit=1)
    with live(served) as socket:
        assert [ask(socket) for _ in range(5)] == [READING.to_json()] * 5
        assert served.post().status_code == 200
        with live(served) as another:
            assert answer(another)["error"]["code"] == "rate_limited"
            assert end(another) == (1013, "rate_limited")


def test_no_frames_before_the_model_is_there(serve: Serve, reader: ObedientReader) -> None:
    reader.may_load.clear()
    with live(serve()) as socket:
        assert answer(socket)["error"]["code"] == "not_ready"
        assert end(socket) == (1013, "not_ready")


def test_what_is_no_frame_ends_the_connection(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    served = serve()
    with live(served) as socket:
        socket.send("words")
        assert answer(socket)["error"]["code"] == "live_refused"
        assert end(socket) == (1003, "live_refused")
    with live(served) as socket:
        socket.send(b"x" * (bot.live.MAX_FRAME_BYTES + 1))
        assert end(socket)[0] == 1009
    large = replace(READING, width=4000, height=3000)
    monkeypatch.setattr(served.reader, "read", lambda data, main_only, before: large)
    with live(served) as socket:
        assert "too large" in ask(socket)["error"]["message"]
        assert end(socket) == (1008, "live_refused")
    wait_until(lambda: served.metric(LIVE) == 0)


def test_a_connection_without_frames_gives_its_place_away(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bot.live, "IDLE_SECONDS", 0.2)
    served = serve()
    with live(served) as socket:
        assert "No frame has come" in answer(socket)["error"]["message"]
        assert end(socket) == (4408, "live_refused")
    wait_until(lambda: served.metric(LIVE) == 0)


def test_who_asks_for_no_websocket_is_told_so(serve: Serve) -> None:
    served = serve()
    response = served.http.get("/api/live")
    assert error_of(response) == (426, "upgrade_required")
    assert "WebSocket" in response.json()["error"]["message"]
    assert (response.headers["upgrade"], response.headers["connection"]) == ("websocket", "Upgrade")
    assert response.headers["x-content-type-options"] == "nosniff"
    assert error_of(served.http.post("/api/live", content=b"photo")) == (405, "method_not_allowed")
    with live(served) as socket:
        assert ask(socket) == READING.to_json()


def test_stopping_ends_live_connections(serve: Serve) -> None:
    served = serve()
    with live(served) as socket:
        ask(socket)
        served.bot.stop()
        assert end(socket)[0] == 1012
    wait_until(lambda: served.reader.closes == 2)
