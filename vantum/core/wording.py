"""A text in words, also where no space is between them. Pure.

A word is what spaces separate; of scripts that write none (Chinese, Japanese, Thai and their
neighbours) each character with what is written on or behind it, since only a dictionary knows more.
A beginning of a text that ends with a word has the text's first words.
"""

from __future__ import annotations

import re
from typing import Final

#: Letters of scripts that have no spaces between words. Korean has.
_ALONE: Final = (
    "\u0e01-\u0e30\u0e32\u0e33\u0e40-\u0e46\u0e81-\u0eb0\u0eb2\u0eb3\u0ebd-\u0ec6\u0edc-\u0edf"
    "\u0f40-\u0f6c\u1000-\u102a\u103f\u1050-\u1055\u1780-\u17b3\u17dc"
    "\u3005-\u3007\u3021-\u3029\u3031-\u3035\u303b\u303c\u3041-\u3096\u309d-\u309f"
    "\u30a1-\u30fa\u30fc-\u30ff\u3105-\u312f\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\uff66-\uff9f\U0001b000-\U0001b16f\U00020000-\U0003ffff"
)
_ENDS_ALONE: Final = re.compile(rf"[{_ALONE}][^\s\w]*\Z")
_BEGINS_ALONE: Final = re.compile(rf"[^\s\w]*[{_ALONE}]")
_WORD: Final = re.compile(rf"[^\s\w]*[{_ALONE}][^\s\w]*|[^\s{_ALONE}]+")


def word_spans(text: str) -> list[tuple[int, int]]:
    """Where each word of the text begins and ends, in characters; punctuation belongs to it."""
    return [found.span() for found in _WORD.finditer(text)]


def words_of(text: str) -> list[str]:
    """The words of a text, with their punctuation."""
    return _WORD.findall(text)


def split_behind(text: str, words: int) -> tuple[str, str]:
    """The first so many words of a text, and the rest."""
    if words <= 0:
        return "", text.strip()
    spans = word_spans(text)
    end = spans[min(words, len(spans)) - 1][1] if spans else 0
    return text[:end].strip(), text[end:].strip()


def ends_alone(text: str) -> bool:
    """Whether the last word is a character of a script without spaces: it is whole."""
    return _ENDS_ALONE.search(text) is not None


def joined(begin: str, rest: str) -> str:
    """Two parts of a text as one: with a space between them, unless none is written there."""
    glue = "" if ends_alone(begin) and _BEGINS_ALONE.match(rest) else " "
    return f"{begin}{glue}{rest}".strip()
