"""What people say in each language: `said/<language>-asks.txt` ask not to be called again,
`-others.txt` do not, a sentence on each line.

They were written down before the tables were looked at, and again after; what was found wanting
then is in the tables now.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vantum.core.opt_out import LANGUAGES, opt_out_phrase, parse_languages
from vantum.core.opt_out_table import any_of, folded, starting_a_word

SAID = Path(__file__).with_name("said")


def said(kind: str, *languages: str) -> list[tuple[str, str]]:
    return [
        (language, line)
        for language in languages or LANGUAGES
        for line in (SAID / f"{language}-{kind}.txt").read_text("utf-8").splitlines()
    ]


ASKS, OTHERS = said("asks"), said("others")
#: Ends of sentences, and of what is only a part of one.
STOPS = st.sampled_from([".", "!", "?", "", " …"])
CASES = st.sampled_from([str.lower, str.upper, str.capitalize, str])


def test_there_is_enough_of_each() -> None:
    for language in LANGUAGES:
        assert min(len(said(kind, language)) for kind in ("asks", "others")) >= 50


@pytest.mark.parametrize("language", LANGUAGES)
def test_who_asks_for_an_end(language: str) -> None:
    lines = [line for _, line in said("asks", language)]
    assert [line for line in lines if not opt_out_phrase(line, (), [language])] == []
    others = [each for each in LANGUAGES if each != language]
    assert [line for line in lines if opt_out_phrase(line, (), others)] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_who_asks_for_nothing_of_the_kind(language: str) -> None:
    lines = [line for _, line in said("others", language)]
    assert [(line, found) for line in lines if (found := opt_out_phrase(line))] == []


@given(st.sampled_from(ASKS), CASES, STOPS, st.lists(st.sampled_from(OTHERS), max_size=2))
def test_it_is_found_behind_and_before_other_sentences(
    asked: tuple[str, str], case: object, stop: str, around: list[tuple[str, str]]
) -> None:
    language, line = asked
    spoken = case(line.rstrip(".!")) + (stop or ".")  # type: ignore[operator]
    rest = [each.rstrip(".!?") + "." for theirs, each in around if theirs == language]
    assert opt_out_phrase(" ".join([*rest, spoken, *rest]))


@given(st.lists(st.sampled_from(OTHERS), max_size=5))
def test_what_is_harmless_is_harmless_together(lines: list[tuple[str, str]]) -> None:
    assert opt_out_phrase(". ".join(line.rstrip(".?!") for _, line in lines)) is None


@given(st.text(max_size=200))
def test_any_text_can_be_folded(text: str) -> None:
    plain = folded(text)
    assert folded(plain) == plain
    found = opt_out_phrase(text)
    assert found is None or found == found.strip().lower()


def test_accents_and_signs_make_no_difference() -> None:
    assert folded("¡No me llamen MÁS! Peut-être… œuf, 3.50 ß l’an") == (
        ". no me llamen mas . peut etre . œuf 3 50 ss l'an"
    )
    assert opt_out_phrase("NO ME LLAMEN MAS") == opt_out_phrase("¡No me llamen más!")


def test_languages_as_people_write_them() -> None:
    assert parse_languages("") == ()
    assert parse_languages(" DE, en,de ,") == ("de", "en")
    with pytest.raises(ValueError, match="'nl' is none of en, es, fr, de, pt"):
        parse_languages("en, nl")
    with pytest.raises(KeyError):
        opt_out_phrase("Bel mij niet meer!", (), ["nl"])


@pytest.mark.parametrize(
    "text",
    [
        "no quiero recibir mas sus ",
        "quiten me de la su la la ",
        "si me vuelven a llamar ",
        "ich mochte bitte bitte doch nicht ",
        "rufen sie bitte doch ",
        "je ne veux plus recevoir de vos ces ",
        "vous m'appelez ",
        "nao quero mais mais essas ",
        "please just not ",
    ],
)
def test_a_hostile_text_takes_no_more_than_its_length(text: str) -> None:
    began_s = time.process_time()
    opt_out_phrase(text * 3000)
    assert time.process_time() - began_s < 10  # what explodes takes hours


@given(st.text(alphabet="abc' .", max_size=12))
def test_the_quick_look_finds_what_any_pattern_finds(text: str) -> None:
    patterns = [starting_a_word(each) for each in ("ab", "b|c c", r"ca(?= |$)", "(?:a|bb)+b")]
    found = any(pattern.search(text) for pattern in patterns)
    assert (any_of(patterns).search(text) is not None) == found
