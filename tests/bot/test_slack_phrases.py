from __future__ import annotations

import dataclasses
import re
import string
from collections.abc import Iterator

import pytest

from bot import phrases
from bot.slack_phrases import ENGLISH, GERMAN, KOREAN, LANGUAGES, SPANISH, SlackPhrases, slack_phrases

COMMANDS = ("on", "off", "status", "map", "me", "last", "help", "privacy", "forget")
SHORTCUT = "Which emoji is this?"

every_language = pytest.mark.parametrize("language", LANGUAGES.values(), ids=LANGUAGES)
every_translation = pytest.mark.parametrize("language", [GERMAN, SPANISH, KOREAN], ids=("de", "es", "ko"))


def sentences(language: SlackPhrases) -> Iterator[tuple[str, str]]:
    for field in dataclasses.fields(language):
        yield field.name, getattr(language, field.name)


def placeholders(sentence: str) -> list[str]:
    return sorted({name for _, name, _, _ in string.Formatter().parse(sentence) if name is not None})


def words_after(sentence: str) -> set[str]:
    """The words that follow /face2emoji; "" where it stands alone."""
    return set(re.findall(r"/face2emoji(?: ([a-z]+\b))?", sentence))


@every_language
def test_every_sentence_has_the_same_placeholders_and_literals_as_in_english(language: SlackPhrases) -> None:
    literal = re.compile(
        rf"/face2emoji(?: [a-z]+\b(?: reset)?)?|/\w+|:tada:|files:read|docs/slack\.md|10 MB|{re.escape(SHORTCUT)}"
    )
    english = dict(sentences(ENGLISH))
    for name, sentence in sentences(language):
        assert sentence == sentence.strip() != "", name
        assert placeholders(sentence) == placeholders(english[name]), name
        if name != "modal_title":  # the same question, but no name to be found in a menu
            assert set(literal.findall(sentence)) == set(literal.findall(english[name])), name


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("help", "not_invited"), ["bot"]),
        (("privacy",), ["hours"]),
        (("auto_on", "auto_off", "shared", "shared_mask"), ["user"]),
        (("mask_refused",), ["reason"]),
        (("missing_scope", "installer_scope"), ["scope"]),
        (("unknown_emoji",), ["name"]),
        (("unknown_expression",), ["expressions"]),
    ],
)
def test_sentences_take_what_slack_knows(names: tuple[str, ...], expected: list[str]) -> None:
    for name in names:
        assert placeholders(getattr(ENGLISH, name)) == expected


@every_language
def test_help_names_every_command_and_no_sentence_another(language: SlackPhrases) -> None:
    assert words_after(language.help) == {"", *COMMANDS} - {"help"}
    named = set().union(*(words_after(sentence) for _, sentence in sentences(language)))
    assert named == {"", *COMMANDS}


@every_language
def test_the_examples_work(language: SlackPhrases) -> None:
    texts = (language.help, language.map_usage, language.not_an_emoji, language.unknown_expression)
    words = [word for text in texts for word in re.findall(r"/face2emoji map (\S+) :tada:", text)]
    spoken = phrases.LANGUAGES[language.language]
    assert [spoken.expression_of(word) for word in words] == ["happy"] * 4


@every_language
def test_no_sentence_claims_to_know_what_people_feel(language: SlackPhrases) -> None:
    claim = re.compile("emoti|feel|gefühl|fühl|emoci|sient|sentim|감정|기분|느끼|느낌", re.IGNORECASE)
    assert [name for name, sentence in sentences(language) if claim.search(sentence)] == []


@every_translation
def test_no_sentence_stayed_in_english(language: SlackPhrases) -> None:
    english = dict(sentences(ENGLISH))
    word = re.compile(r"\b(the|you|your|this|that|with|is|are|it|photos?|read|erase|everyone|cancel)\b", re.IGNORECASE)
    for name, sentence in sentences(language):
        assert sentence != english[name], name
        assert not word.search(sentence.replace(SHORTCUT, "").replace("files:read", "")), name


def test_korean_is_written_in_hangul_and_nothing_else_is() -> None:
    hangul = re.compile("[가-힣]")
    for language in LANGUAGES.values():
        written = {name for name, sentence in sentences(language) if hangul.search(sentence)}
        assert written == ({name for name, _ in sentences(KOREAN)} - {"language"} if language is KOREAN else set())


@every_language
def test_sentences_fit_where_slack_shows_them(language: SlackPhrases) -> None:
    longest = {
        "modal_title": 24,
        "modal_submit": 24,
        "modal_cancel": 24,
        "modal_mask": 75,
        "modal_mask_everyone": 75,
        "modal_share": 75,
        "mask_alt": 900,  # the emoji follow
        "home_title": 150,
        "home_settings": 150,
        "home_stop": 75,
        "home_resume": 75,
        "home_erase": 75,
        "erase_title": 100,
        "erase_text": 300,
        "erase_yes": 30,
        "erase_no": 30,
    }
    for name, sentence in sentences(language):
        assert len(sentence) <= longest.get(name, 2900), name  # a section holds 3000; names are put in


@every_language
def test_nothing_reads_as_slack_markup(language: SlackPhrases) -> None:
    assert [name for name, sentence in sentences(language) if re.search(r"[*_~`<>&]", sentence)] == []


def test_slack_speaks_the_languages_of_all_channels() -> None:
    assert list(LANGUAGES) == list(phrases.LANGUAGES)


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        (None, ENGLISH),
        ("en-US", ENGLISH),
        ("fr-FR", ENGLISH),
        ("de-DE", GERMAN),
        ("es-LA", SPANISH),
        ("ko-KR", KOREAN),
    ],
)
def test_the_language_of_a_person_chooses(tag: str | None, expected: SlackPhrases) -> None:
    assert slack_phrases(tag) is expected
