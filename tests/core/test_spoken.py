"""From positions to words: what a synthesiser says of its words may be nonsense."""

from __future__ import annotations

import random
from collections.abc import Callable

import hypothesis.strategies as st
import pytest
from hypothesis import given

from vantum.core.playout import Playout
from vantum.core.wording import words_of

Stamp = tuple[str, float, float]
TEXT = "We answer every single call of yours within a second or so, believe me."
CHINESE = "你好，我是小明，很高兴认识你。今天天气很好，我们去公园散步吧。"
WORD_S = 0.3
#: So much of what is said of the words may be wrong for the others to be believed.
FEW = 0.15


def said(text: str, stamps: list[Stamp | None], *, whole: bool = True) -> Playout:
    """A piece whose words take 0.3 s each, with these timestamps; `whole`: all audio has come."""
    out = Playout("u", 16_000, 1000)
    end_s = WORD_S * len(words_of(text))
    index = out.piece(text, 0.0)
    for stamp in filter(None, stamps):
        out.word(*stamp, index)
    if whole:
        out.piece_end(index, end_s)
    out.sent(0.0, end_s)
    return out


def right(text: str) -> list[Stamp]:
    return [(word, WORD_S * n, WORD_S * (n + 1)) for n, word in enumerate(words_of(text))]


def error(out: Playout) -> int:
    """By how many words it is wrong at the most, while it is heard."""
    words, errors = words_of(out.text), []
    for step in range(round(len(words) * WORD_S / 0.05)):
        truth = sum(WORD_S * (n + 0.5) <= step * 0.05 for n in range(len(words)))
        errors.append(abs(len(words_of(out.heard_text(step * 0.05))) - truth))
    return max(errors)


NONSENSE: dict[str, Callable[[float, float], tuple[float, float]]] = {
    "zero": lambda _b, _e: (0.0, 0.0),
    "the first word's": lambda _b, _e: (0.0, WORD_S),
    "milliseconds": lambda b, e: (1000 * b, 1000 * e),
    "negative": lambda b, e: (-1 - b, -1 - e),
    "swapped": lambda b, e: (e, b),
    "ends late": lambda b, e: (b, e + 100),
    "infinite": lambda b, _e: (b, float("inf")),
    "no number": lambda _b, _e: (float("nan"), float("nan")),
}


@pytest.mark.parametrize("nonsense", NONSENSE)
@pytest.mark.parametrize("text", [TEXT, CHINESE])
@pytest.mark.parametrize("whole", [True, False])
def test_timestamps_that_are_nonsense_are_as_good_as_none(
    nonsense: str, text: str, whole: bool
) -> None:
    stamps: list[Stamp | None] = [(w, *NONSENSE[nonsense](b, e)) for w, b, e in right(text)]
    none = said(text, [], whole=whole)
    out = said(text, stamps, whole=whole)
    for step in range(100):
        assert out.heard_text(step * 0.05) == none.heard_text(step * 0.05)
    if whole:
        assert error(out) <= (1 if text == CHINESE else 2)  # of Latin words, not all are as long


@given(seed=st.integers(0, 2**32), nonsense=st.sampled_from(list(NONSENSE)))
def test_a_few_that_are_nonsense_do_not_spoil_the_others(seed: int, nonsense: str) -> None:
    chance, stamps = random.Random(seed), list[Stamp | None](right(TEXT))
    for n in chance.sample(range(len(stamps)), round(FEW * len(stamps))):
        word, begin_s, end_s = right(TEXT)[n]
        stamps[n] = (word, *NONSENSE[nonsense](begin_s, end_s))
    assert error(said(TEXT, stamps)) <= 2


@pytest.mark.parametrize("said_as", [list, "".join])
def test_where_no_spaces_are_written_each_character_is_a_word(
    said_as: Callable[[list[str]], list[str] | str],
) -> None:
    """Timed one by one, or several at once."""
    assert error(said(CHINESE, list(right(CHINESE)))) == 0
    out = said(CHINESE, [("你好", 0.0, 0.6), ("我是", 0.6, 1.2), ("小明", 1.2, 1.8)])
    assert out.heard_text(0.2) == ""
    assert out.heard_text(0.4) == "你好，"
    assert out.heard_text(1.6) == "你好，我是小明，"


def test_until_its_end_is_known_a_character_takes_as_long_as_a_syllable() -> None:
    """Han 0.23 s, Hangul 0.2 s, kana 0.13 s."""
    for text, at_s, heard in (
        ("今天天气很好", 0.8, "今天天"),
        ("こんにちは", 0.41, "こんに"),
        ("안녕하세요 저는", 1.1, "안녕하세요"),
    ):
        out = said(text, [], whole=False)
        out.sent(0.0, 3.0)
        assert out.heard_text(at_s) == heard


def test_an_utterance_that_is_over_has_no_spaces_that_were_not_written() -> None:
    out = Playout("u", 16_000, 1000)
    for n, text in enumerate(("你好。", "OK了 吗？")):
        out.piece(text, float(n))
        out.piece_end(n, n + 1.0)
    out.sent(0.0, 2.0)
    out.end(1.6, cut=True)
    kept = out.ended(1.6)
    assert kept.text == out.text == "你好。 OK了 吗？"
    assert kept.heard_text == out.heard_text(1.6) == "你好。 OK了"
