from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.answers import (
    NEIGHBOURS,
    Kind,
    Message,
    Outcome,
    Press,
    Rows,
    answer,
    feedback_buttons,
    map_list,
    nearest,
    press,
    surest_face,
)
from bot.errors import Busy, FileUnavailable, InternalError
from bot.phrases import ENGLISH, GERMAN, LANGUAGES, Phrases
from inference import (
    EXPRESSIONS,
    TELEGRAM_REACTIONS,
    Box,
    Emoji,
    Face2EmojiError,
    FaceReading,
    ImageTooLarge,
    Reading,
    UnreadableImage,
    UnsupportedFormat,
    load_emoji_map,
)

MODEL = "0a1b2c3d"
MAP = load_emoji_map()
every_language = pytest.mark.parametrize("language", LANGUAGES.values(), ids=LANGUAGES)


def face(expression: str, confidence: float, side: int = 10, **others: float) -> FaceReading:
    scores = dict.fromkeys(EXPRESSIONS, 0.0) | others | {expression: confidence}
    choice = MAP.choose(scores)
    return FaceReading(Box(0, 0, side, side), expression, confidence, scores, {}, choice.emoji, choice.rule)


def photo(*faces: FaceReading, kind: Kind = "photo") -> Outcome:
    return Outcome(kind, MAP.apply(Reading(100, 100, faces, None)))


def failed(error: Face2EmojiError, kind: Kind = "photo") -> Outcome:
    return Outcome(kind, error)


HAPPY = face("happy", 0.97, surprise=0.02, neutral=0.01)
SAD = face("sad", 0.7, neutral=0.3)
NOBODY = photo()


def texts(*outcomes: Outcome, language: Phrases = ENGLISH) -> list[str]:
    return [message.text for message in answer(outcomes, language, MODEL)]


def labels(rows: Rows) -> list[list[str]]:
    return [[button.label for button in row] for row in rows]


# The private answer


def test_one_face() -> None:
    large, words = answer([photo(HAPPY)], ENGLISH, MODEL)
    assert large == Message("😄")
    assert words.text == "Happy, 97%\nNext: surprise 2%, neutral 1%"
    assert labels(words.rows) == [["Right", "Wrong"]]


def test_a_candidate_is_never_called_impossible() -> None:
    assert texts(photo(face("happy", 0.98, sad=0.016, fear=0.004)))[1] == "Happy, 98%\nNext: sad 1%, fear <1%"


def test_no_candidate_stands_above_the_answer() -> None:
    tie = face("happy", 0.396, neutral=0.396, sad=0.208)
    assert "Happy, 39%\n" in texts(photo(tie))[1]
    assert texts(photo(tie))[1].endswith("Next: neutral 39%, sad 20%")


def test_less_than_even_odds_are_called_a_doubt() -> None:
    assert texts(photo(face("sad", 0.38, fear=0.32, neutral=0.3))) == [
        "🤔",
        "Sad, 38%\nI'm not sure about this one.\nNext: fear 32%, neutral 30%",
    ]


@pytest.mark.parametrize(
    ("kind", "note"),
    [
        ("photo", ""),
        ("document", ""),
        ("sticker", ""),
        ("gif", "\nThis is a GIF, and I only looked at its preview picture."),
        ("video", "\nThis is a video, and I only looked at its preview picture."),
        ("video_note", "\nThis is a round video, and I only looked at its preview picture."),
    ],
)
def test_a_preview_is_called_one_whether_it_has_a_face_or_not(kind: Kind, note: str) -> None:
    assert texts(photo(HAPPY, kind=kind)) == ["😄", "Happy, 97%\nNext: surprise 2%, neutral 1%" + note]
    assert texts(photo(kind=kind)) == [ENGLISH.no_face + note]
    assert texts(failed(InternalError(), kind)) == [ENGLISH.failed]


def test_every_face_left_to_right() -> None:
    large, words = answer([photo(HAPPY, SAD)], GERMAN, MODEL)
    assert large == Message("😄😞")
    assert words.text == "1. 😄 Fröhlich, 97%\n2. 😞 Traurig, 70%"
    assert labels(words.rows) == [["Richtig", "Falsch"]]


def test_a_crowd_is_cut_short_and_says_so() -> None:
    large, words = texts(photo(*[HAPPY] * 25))
    assert large == "😄" * 8
    assert words.splitlines()[-2:] == ["10. 😄 Happy, 97%", "… and 15 more"]


def test_an_album_gets_one_answer_in_order() -> None:
    large, words = answer(
        [photo(SAD), NOBODY, photo(HAPPY, face("sad", 0.9, side=20), kind="video"), failed(UnreadableImage("x"))],
        ENGLISH,
        MODEL,
    )
    assert large == Message("😞😢")
    assert words.text.splitlines() == [
        "1. 😞 Sad, 70%",
        "2. no face found",
        "3a. 😄 Happy, 97%",
        "3b. 😢 Sad, 90%",
        "4. not a picture I can read",
        "This is a video, and I only looked at its preview picture.",
    ]
    assert labels(press(words.rows[0][1].data, ENGLISH).rows) == [["1. Sad", "3a. Happy"], ["3b. Sad"]]


def test_an_album_with_one_face_asks_about_that() -> None:
    _, words = answer([NOBODY, photo(SAD)], ENGLISH, MODEL)
    assert words.text == "1. no face found\n2. 😞 Sad, 70%"
    assert press(words.rows[0][1].data, ENGLISH).notice == ENGLISH.which_expression


ERRORS = [
    (UnreadableImage("x"), "unreadable", "short_unreadable"),
    (UnsupportedFormat("x"), "unsupported", "short_unreadable"),
    (ImageTooLarge("x"), "too_large", "short_too_large"),
    (FileUnavailable(), "not_fetched", "short_failed"),
    (Busy(), "busy", "short_failed"),
    (InternalError(), "failed", "short_failed"),
]


@every_language
@pytest.mark.parametrize(("error", "sentence", "short"), ERRORS, ids=lambda value: str(getattr(value, "code", value)))
def test_an_error_is_one_sentence_alone_and_a_few_words_in_an_album(
    language: Phrases, error: Face2EmojiError, sentence: str, short: str
) -> None:
    helpful = getattr(language, sentence).format(limit="5 MB")
    for outcomes in ([failed(error)], [failed(error), NOBODY]):
        assert answer(outcomes, language, MODEL, limit="5 MB") == (Message(helpful),)
    assert texts(photo(HAPPY), failed(error), language=language)[1].splitlines()[1] == f"2. {getattr(language, short)}"


@every_language
@given(
    counts=st.lists(st.integers(-1, 30), min_size=1, max_size=15),
    expression=st.sampled_from(EXPRESSIONS),
    kind=st.sampled_from(["photo", "gif", "video", "video_note"]),
)
def test_any_post_fits_telegrams_limits(language: Phrases, counts: list[int], expression: str, kind: Kind) -> None:
    one = face(expression, 0.45, neutral=0.45)
    outcomes = [photo(*[one] * count, kind=kind) if count >= 0 else failed(InternalError()) for count in counts]
    messages = answer(outcomes, language, MODEL)
    assert all(0 < len(message.text) <= 4096 for message in messages)
    if any(count > 0 for count in counts[:10]):
        large, words = messages
        assert not re.search(r"\w", large.text)
        assert words.rows
        if len(outcomes) > 1:
            told = re.findall(r"^\d+[a-e]?\. \W", words.text, re.MULTILINE)
            assert len(press(words.rows[0][0].data, language).counts) == len(told)
        for row in (*words.rows, *press(words.rows[0][1].data, language).rows):
            assert all(len(button.data.encode()) <= 56 and len(button.label) <= 40 for button in row)
    else:
        assert len(messages) == 1
        assert not messages[0].rows


@given(st.text(max_size=70) | st.from_regex(r"(right|wrong|is):[0-9a-f]{7,9}:[0-7.]{0,42}", fullmatch=True))
def test_whatever_a_button_sends_is_one_of_ours_or_unknown(data: str) -> None:
    try:
        pressed = press(data, ENGLISH)
    except ValueError:
        return
    assert re.fullmatch("[0-9a-f]{8}", pressed.model)
    assert all(one in EXPRESSIONS for count in pressed.counts for one in count)
    for button in (button for row in pressed.rows for button in row):
        assert len(button.data.encode()) <= 64
        press(button.data, ENGLISH)  # what it leads to can be pressed, too


# Groups


def test_the_surest_main_face_of_a_post_is_its_reaction() -> None:
    big, small = face("sad", 0.7, side=40), face("happy", 0.99, side=10)
    assert surest_face([photo(big, small)]) == big
    assert surest_face([photo(big, small), NOBODY, photo(face("fear", 0.9)), failed(Busy())]) == face("fear", 0.9)
    assert surest_face([NOBODY, failed(Busy())]) is None


def emoji(character: str, telegram: str) -> Emoji:
    return Emoji(character, "", "", telegram)


@pytest.mark.parametrize(
    ("answered", "allowed", "expected"),
    [
        (emoji("😄", "😁"), None, "😁"),
        (emoji("😄", "😁"), ["👍", "😁"], "😁"),
        (emoji("😄", "😁"), ["🤣", "🥰"], "🥰"),
        (emoji("😄", "😁"), ["👍", "❤"], None),
        (emoji("😄", "😁"), [], None),
        (emoji("😨", "😨"), ["🤯", "😱"], "😱"),
        (emoji("😮", "😱"), ["😱"], "😱"),
        (emoji("😮", "😱"), ["🤯", "😨"], "🤯"),
        (emoji("😮", "😱"), ["😨"], None),
        (emoji("😐", "😐"), ["🤔", "🗿", "🤨"], None),
        (emoji("❤\ufe0f", "❤"), ["❤\ufe0f"], "❤"),
    ],
)
def test_a_reaction_the_chat_forbids_is_replaced_by_an_honest_neighbour_or_none(
    answered: Emoji, allowed: list[str] | None, expected: str | None
) -> None:
    assert nearest(answered, allowed) == expected


def test_neighbours_are_reactions_that_telegram_has() -> None:
    assert {neighbour for neighbours in NEIGHBOURS.values() for neighbour in neighbours} <= set(TELEGRAM_REACTIONS)


# Feedback


def follow(rows: Rows, *path: tuple[int, int]) -> Press:
    for row, column in path:
        pressed = press(rows[row][column].data, ENGLISH)
        rows = pressed.rows
    return pressed


def test_right_counts_every_face_that_was_shown() -> None:
    pressed = follow(feedback_buttons([["happy", "sad"], [], ["happy"]], ENGLISH, MODEL), (0, 0))
    assert pressed == Press(MODEL, (("happy", "happy"), ("sad", "sad"), ("happy", "happy")), ENGLISH.thanks)


def test_wrong_asks_for_the_expression() -> None:
    rows = feedback_buttons([["happy"]], ENGLISH, MODEL)
    asked = follow(rows, (0, 1))
    assert (asked.counts, asked.notice) == ((), "Which one is it?")
    assert labels(asked.rows) == [
        ["😡 Angry", "🤮 Disgust"],
        ["😱 Fear", "😄 Happy"],
        ["😢 Sad", "😲 Surprise"],
        ["😐 Neutral"],
    ]
    assert follow(rows, (0, 1), (2, 0)) == Press(MODEL, (("happy", "sad"),), ENGLISH.thanks)


def test_wrong_asks_for_the_face_first_when_there_are_several() -> None:
    rows = feedback_buttons([["happy", "sad", "sad"]], ENGLISH, MODEL)
    asked = follow(rows, (0, 1))
    assert (asked.counts, asked.notice) == ((), "Which face?")
    assert labels(asked.rows) == [["1. Happy", "2. Sad"], ["3. Sad"]]
    assert follow(rows, (0, 1), (0, 1)).notice == "Which one is it?"
    assert follow(rows, (0, 1), (0, 1), (3, 0)) == Press(MODEL, (("sad", "neutral"),), ENGLISH.thanks)


GOOD = [button.data for button in feedback_buttons([["happy", "sad"]], ENGLISH, MODEL)[0]] + [f"is:{MODEL}:30"]


@pytest.mark.parametrize(
    "data",
    [
        "",
        "right",
        f"right:{MODEL}:",
        f"right:{MODEL}:...",
        f"wrong:{MODEL}:.",
        f"is:{MODEL}:3",
        f"is:{MODEL}:333",
        f"is:{MODEL}:37",
        f"is:{MODEL}:3٣",
        f"is:{MODEL}:30\n",
        f"maybe:{MODEL}:3",
        "right:0A1B2C3D:3",
        "right:0a1b2c3:3",
        "right:0a1b2c3d4:3",
        f"right:{MODEL}:{'3' * 41}",
        f" right:{MODEL}:3",
        f"right:{MODEL}:-1",
    ],
)
def test_data_that_no_button_has_are_refused(data: str) -> None:
    with pytest.raises(ValueError, match="unknown button"):
        press(data, ENGLISH)


@given(
    st.text()
    | st.from_regex("(right|wrong|is):[0-9a-f]{8}:[0-9.]{0,45}")
    | st.builds(
        lambda good, start, cut, new: good[:start] + new + good[start + cut :],
        st.sampled_from(GOOD),
        st.integers(0, 30),
        st.integers(0, 5),
        st.text(max_size=3),
    )
)
def test_whatever_comes_back_is_understood_or_refused(data: str) -> None:
    try:
        pressed = press(data, ENGLISH)
    except ValueError:
        return
    assert bool(pressed.counts) != bool(pressed.rows)
    assert all(set(count) <= set(EXPRESSIONS) for count in pressed.counts)
    assert all(len(button.data.encode()) <= 56 for row in pressed.rows for button in row)


def test_data_say_nothing_but_the_model_and_the_expressions() -> None:
    assert GOOD[:2] == [f"right:{MODEL}:34", f"wrong:{MODEL}:34"]


# Commands


def test_the_map_is_listed_as_the_chat_has_it() -> None:
    listed = map_list(MAP.changed({"happy": "🎉"}), GERMAN, GERMAN.map_usage).splitlines()
    assert listed[0] == GERMAN.map_title
    assert listed[1] == "Wütend: 😡 😠 😒"
    assert listed[4] == "Fröhlich: 🎉"
    assert listed[-2:] == GERMAN.map_usage.splitlines()
