from __future__ import annotations

import dataclasses
import re
import string
from collections.abc import Iterator

import pytest

from bot.phrases import COMMANDS, ENGLISH, GERMAN, KOREAN, LANGUAGES, SPANISH, Phrases, phrases
from bot.slack_phrases import slack_phrases
from inference import EXPRESSIONS

every_language = pytest.mark.parametrize("language", LANGUAGES.values(), ids=LANGUAGES)


def sentences(language: Phrases) -> Iterator[tuple[str, str]]:
    for field in dataclasses.fields(language):
        yield field.name, getattr(language, field.name)


def placeholders(sentence: str) -> list[str]:
    return sorted({name for _, name, _, _ in string.Formatter().parse(sentence) if name is not None})


@every_language
def test_every_sentence_has_the_same_placeholders_and_commands_as_in_english(language: Phrases) -> None:
    def commands(sentence: str) -> set[str]:
        return set(re.findall(r"/(?:\w+)(?: on| off| reset)?|@\w+|🎉", sentence))

    english = dict(sentences(ENGLISH))
    for name, sentence in sentences(language):
        assert sentence.strip(), name
        assert placeholders(sentence) == placeholders(english[name]), name
        assert commands(sentence) == commands(english[name]), name


@every_language
def test_no_sentence_claims_to_know_what_people_feel(language: Phrases) -> None:
    claim = re.compile("emoti|feel|gefühl|fühl|emoci|sient|sentim|감정|기분|느끼|느낌", re.IGNORECASE)
    assert [name for name, sentence in sentences(language) if claim.search(sentence)] == []


LAW = {
    "en": "Article 5(1)(f)",
    "de": "Artikel 5 Absatz 1 Buchstabe f",
    "es": "artículo 5, apartado 1, letra f",
    "ko": "제5조 제1항 (f)",
}
OTHERS = {"en": ("Ask", "parents"), "de": ("Frag", "Eltern"), "es": ("Preg", "padres"), "ko": ("물어봐", "보호자")}


@every_language
def test_privacy_names_the_law_and_the_others_in_a_photo(language: Phrases) -> None:
    slack = slack_phrases(language.language)
    for text in (language.privacy, slack.privacy, slack.home_privacy):
        assert LAW[language.language] in text
        assert all(word in text for word in OTHERS[language.language])


@every_language
def test_sentences_fit_where_telegram_shows_them(language: Phrases) -> None:
    assert tuple(language.commands) == COMMANDS
    assert all(len(line) <= 256 for line in language.commands.values())
    for notice in ("thanks", "already_counted", "not_counted", "which_face", "which_expression", "failed"):
        assert len(getattr(language, notice)) <= 200
    assert all(len(sentence) <= 4000 for _, sentence in sentences(language))


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        (None, ENGLISH),
        ("", ENGLISH),
        ("en-GB", ENGLISH),
        ("fr", ENGLISH),
        ("deu", ENGLISH),
        ("de", GERMAN),
        ("de-AT", GERMAN),
        ("DE_de", GERMAN),
        ("es-419", SPANISH),
        ("ko-KR", KOREAN),
    ],
)
def test_the_language_of_a_person_chooses(tag: str | None, expected: Phrases) -> None:
    assert phrases(tag) is expected


@every_language
def test_expressions_are_understood_in_this_language_and_in_english(language: Phrases) -> None:
    assert len(set(language.expressions.values())) == len(EXPRESSIONS)
    for expression, name in language.expressions.items():
        for word in (expression, name, name.upper(), f" {name.capitalize()} "):
            assert language.expression_of(word) == expression
    for word in ("", "unsure", "joy", "🎉", "happysad", "\ud800"):
        assert language.expression_of(word) is None


@every_language
def test_the_examples_work(language: Phrases) -> None:
    texts = (language.help, language.map_usage, language.not_an_emoji, language.unknown_expression)
    words = [word for text in texts for word in re.findall(r"/map (\S+) 🎉", text)]
    assert [language.expression_of(word) for word in words] == ["happy"] * 4


@pytest.mark.parametrize(
    ("language", "word", "expression"),
    [
        (GERMAN, "frohlich", "happy"),
        (GERMAN, "u\u0308berrascht", "surprise"),
        (SPANISH, "alegria", "happy"),
        (KOREAN, "\u1100\u1175\u1108\u1173\u11b7", "happy"),  # as some keyboards take syllables apart
    ],
)
def test_accents_and_unicode_forms_do_not_matter(language: Phrases, word: str, expression: str) -> None:
    assert language.expression_of(word) == expression
