"""Answers and windows in Slack's Block Kit, against Slack's limits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from bot import answers, phrases, slack_blocks, slack_phrases
from bot.answers import Button, Outcome, Rows
from bot.slack_phrases import SlackPhrases
from inference import EXPRESSIONS, Reading, UnreadableImage
from tests.bot.running_bot import WrittenReader
from tests.bot.slack_shapes import Json, find_elements, problems_of_blocks, problems_of_view

MODEL = "0123abcd"
ROWS: Rows = ((Button("Yes", "right:0123abcd:3"), Button("No", "wrong:0123abcd:3")), (Button("Maybe", "x"),))

every_language = pytest.mark.parametrize(
    "language", slack_phrases.LANGUAGES.values(), ids=list(slack_phrases.LANGUAGES)
)


def texts_of(blocks: Sequence[Json]) -> list[tuple[str, str]]:
    """The texts of blocks other than buttons, each with the type of its block."""
    found = []
    for block in blocks:
        if block["type"] == "context":
            found += [("context", element["text"]) for element in block["elements"]]
        elif block["type"] != "actions":
            found.append((block["type"], block["text"]["text"]))
    return found


def buttons_of(blocks: Sequence[Json]) -> list[Json]:
    return [element for _, element in find_elements(blocks)]


def test_an_answer_has_its_parts_in_order() -> None:
    blocks = slack_blocks.answer("😄", "Happy", ROWS, notice="Thank you", above="<@U1> asked", mark="answer-1")
    assert list(problems_of_blocks(blocks)) == []
    assert texts_of(blocks) == [
        ("context", "<@U1> asked"),
        ("header", "😄"),
        ("section", "Happy"),
        ("context", "Thank you"),
    ]
    assert [block.get("block_id") for block in blocks] == [None, None, "answer-1", None, None, None]
    assert [[button["text"]["text"] for button in block["elements"]] for block in blocks[4:]] == [
        ["Yes", "No"],
        ["Maybe"],
    ]
    ids = [button["action_id"] for button in buttons_of(blocks)]
    assert ids == ["feedback-0-0", "feedback-0-1", "feedback-1-0"]


def test_an_answer_without_a_face_is_one_sentence() -> None:
    assert texts_of(slack_blocks.answer("", "No face")) == [("section", "No face")]


def test_only_the_line_about_who_asked_is_read_as_markup() -> None:
    blocks = slack_blocks.answer("*x*", "<@U1>", notice="_x_", above="<@U2>")
    kinds = [block["text"]["type"] if "text" in block else block["elements"][0]["type"] for block in blocks]
    assert kinds == ["mrkdwn", "plain_text", "plain_text", "plain_text"]


@pytest.mark.parametrize(
    ("large", "text"), [("😄", "Happy, 92%\nNext: sad 4%"), ("", "No face"), ("😄😢", "1. a\n2. b\n\n3. c"), ("", "")]
)
def test_a_press_brings_the_answer_back(large: str, text: str) -> None:
    values = [button["value"] for button in buttons_of(slack_blocks.answer(large, text or " ", ROWS))]
    pressed = [slack_blocks.pressed(value) for value in values]
    assert [data for data, _, _ in pressed] == ["right:0123abcd:3", "wrong:0123abcd:3", "x"]
    assert {(its_large, its_text) for _, its_large, its_text in pressed} == {(large, text or " ")}


@pytest.mark.parametrize("value", ["", "x", "\n", "\n\n\n"])
def test_a_strange_value_has_parts_too(value: str) -> None:
    data, large, text = slack_blocks.pressed(value)
    assert "\n".join([data, large, text]).strip() == value.strip()


def test_what_is_too_long_is_cut_to_what_slack_takes() -> None:
    rows = ((Button("b" * 200, "right:0123abcd:3"),),)
    blocks = slack_blocks.answer("h" * 200, "t" * 5000, rows, notice="n", above="a")
    assert list(problems_of_blocks(blocks)) == []
    header, section = blocks[1]["text"]["text"], blocks[2]["text"]["text"]
    (button,) = buttons_of(blocks)
    lengths = len(header), len(section), len(button["text"]["text"]), len(button["value"])
    assert lengths == (150, 3000, 75, 2000)
    assert slack_blocks.pressed(button["value"])[0] == "right:0123abcd:3"


def reading(*faces: str) -> Reading:
    """What `WrittenReader` reads in such a photo."""
    return WrittenReader().read(" ".join(faces).encode())


CROWD = [f"{name}:40" for name in EXPRESSIONS] * 2
LONGEST: list[list[Outcome]] = [
    [Outcome("photo", reading(*CROWD))],
    [Outcome("gif", reading(*CROWD))],
    [Outcome("photo", reading(*CROWD)), Outcome("gif", reading(*CROWD))] * 5,
    [Outcome("photo", reading("surprise:30"))] * 12,
    [Outcome("photo", reading("disgust:49", "surprise:49"))] * 5 + [Outcome("photo", UnreadableImage("damaged"))] * 5,
]


@every_language
@pytest.mark.parametrize("outcomes", LONGEST, ids=lambda outcomes: f"{len(outcomes)} photos")
def test_the_longest_answers_and_questions_fit_uncut(language: SlackPhrases, outcomes: list[Outcome]) -> None:
    spoken = phrases.phrases(language.language)
    large, text, rows = slack_blocks.of_messages(answers.answer(outcomes, spoken, MODEL, "20 MB"))
    shared = language.shared.format(user="<@U0123456789>")
    for shown, notice, above in [(rows, "", shared), *[(rows, notice, "") for rows, notice in questions(rows, spoken)]]:
        blocks = slack_blocks.answer(large, text, shown, notice=notice, above=above, mark="answer-1700000000.000001")
        assert list(problems_of_blocks(blocks)) == []
        assert ("header", large) in texts_of(blocks)
        assert ("section", text) in texts_of(blocks)
        labels = [button.label for row in shown for button in row]
        assert [button["text"]["text"] for button in buttons_of(blocks)] == labels
        assert {slack_blocks.pressed(button["value"])[1:] for button in buttons_of(blocks)} == {(large, text)}


def questions(rows: Rows, spoken: phrases.Phrases) -> list[tuple[Rows, str]]:
    """What comes after "wrong"."""
    asked = []
    while rows:
        press = answers.press(rows[0][-1].data, spoken)
        rows = press.rows
        if rows:
            asked.append((rows, press.notice))
    return asked


# Windows


@every_language
@pytest.mark.parametrize("channel", ["C0123456789", ""])
def test_the_window_is_what_slack_takes(language: SlackPhrases, channel: str) -> None:
    view = slack_blocks.photo_window(language, channel, "https://hooks.slack.com/commands/1/2", may_share=bool(channel))
    assert list(problems_of_view(view)) == []
    assert view["callback_id"] == "photo"
    assert view["private_metadata"] == f"{channel} https://hooks.slack.com/commands/1/2"
    assert view["title"]["text"] == language.modal_title
    files, *boxes = [element for _, element in find_elements(view["blocks"])]
    assert (files["type"], files["action_id"], files["max_files"]) == ("file_input", "files", 10)
    assert {"jpg", "heic", "webp"} <= set(files["filetypes"])
    values = [[option["value"] for option in box["options"]] for box in boxes]
    assert values == [["faces", "everyone"], *([["channel"]] if channel else [])]
    assert [block.get("optional", False) for block in view["blocks"]] == [False, True, True][: 1 + len(boxes)]


def home(language: SlackPhrases, *, is_read: bool) -> dict[str, Any]:
    return slack_blocks.home(language, ["One line.", "Another one."], is_read=is_read)


@every_language
@pytest.mark.parametrize("is_read", [True, False])
def test_the_home_is_what_slack_takes(language: SlackPhrases, is_read: bool) -> None:
    view = home(language, is_read=is_read)
    assert list(problems_of_view(view)) == []
    label, action = (language.home_stop, "stop_reading") if is_read else (language.home_resume, "resume_reading")
    switch, erase = (element for _, element in find_elements(view["blocks"]))
    assert (switch["text"]["text"], switch["action_id"]) == (label, action)
    assert (erase["text"]["text"], erase["action_id"]) == (language.home_erase, "erase")
    shown = [text for _, text in texts_of([block for block in view["blocks"] if block["type"] != "divider"])]
    explained = [language.home_title, language.home_text, language.home_privacy]
    assert shown == [*explained, language.home_settings, "One line.\n\nAnother one."]


@every_language
def test_erasing_is_asked_about_first(language: SlackPhrases) -> None:
    erase = buttons_of(home(language, is_read=True)["blocks"])[-1]
    confirm = erase["confirm"]
    longest = {"title": 100, "text": 300, "confirm": 30, "deny": 30}
    assert {name: len(confirm[name]["text"]) <= most for name, most in longest.items()} == dict.fromkeys(longest, True)
    assert {part["type"] for part in confirm.values()} == {"plain_text"}
    assert erase["style"] == "danger"
    assert "confirm" not in buttons_of(home(language, is_read=True)["blocks"])[0]
