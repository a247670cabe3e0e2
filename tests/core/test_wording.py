"""A text in words, with and without spaces."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from vantum.core.wording import joined, split_behind, word_spans, words_of

texts = st.text(
    st.sampled_from("ab9 ,.'é-$\n\u0301你好。「」ーとเ\u0e49ไ\u0301안👍\u200dא"), max_size=30
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Well, it's a well-known  fact.", ["Well,", "it's", "a", "well-known", "fact."]),
        ("你好，我是「小明」。", ["你", "好，", "我", "是「", "小", "明」。"]),
        ("……是吗？ OK了 3月", ["……是", "吗？", "OK", "了", "3", "月"]),
        ("こんにちは、元気?", ["こ", "ん", "に", "ち", "は、", "元", "気?"]),
        ("สวัสดี", ["ส", "วั", "ส", "ดี"]),
        ("안녕 하세요", ["안녕", "하세요"]),
        ("नमस्ते मैं", ["नमस्ते", "मैं"]),
        ("\u05e9\u05dc\u05d5\u05dd 👨\u200d👩\u200d👧 cafe\u0301", None),
        (" \n ", []),
    ],
)
def test_words(text: str, words: list[str] | None) -> None:
    assert words_of(text) == (text.split() if words is None else words)


@given(texts)
def test_nothing_but_spaces_is_between_words(text: str) -> None:
    words = words_of(text)
    assert "".join(words) == "".join(text.split())
    assert words == [text[begin:end] for begin, end in word_spans(text)]
    if text.isascii():
        assert words == text.split()


@given(texts, st.integers(-1, 12))
def test_a_beginning_has_the_first_words(text: str, count: int) -> None:
    """So what was heard says by its number of words where the rest begins."""
    begin, rest = split_behind(text, count)
    assert words_of(begin) == words_of(text)[: max(count, 0)]
    assert words_of(begin) + words_of(rest) == words_of(text)
    assert split_behind(text, len(words_of(begin))) == (begin, rest)


@pytest.mark.parametrize(
    ("begin", "rest", "whole"),
    [
        ("很", "高兴", "很高兴"),
        ("你好。", "「我", "你好。「我"),
        ("You", "are", "You are"),
        ("OK", "了", "OK 了"),
        ("", "you", "you"),
        ("you", "", "you"),
    ],
)
def test_parts_of_a_text_are_joined_as_they_are_written(begin: str, rest: str, whole: str) -> None:
    assert joined(begin, rest) == whole
