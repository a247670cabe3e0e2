"""How far a recognised text is from what was said, in words. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

_ABBREVIATIONS: Final = {"mr": "mister", "mrs": "missus", "dr": "doctor", "ok": "okay"}
# fmt: off
_SMALL: Final = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
    "nineteen",
)
_TENS: Final = (
    "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety",
)
# fmt: on


def spoken_words(text: str) -> list[str]:
    """The words of a text as they are spoken: no case, no punctuation, small numbers spelled out.

    A hyphen parts words, an apostrophe does not: "Ill-disposed, isn't he? 42" is
    ill disposed isn't he forty two.
    """
    words: list[str] = []
    for word in re.findall(r"[a-z]+(?:'[a-z]+)*|\d+", text.lower().replace("’", "'")):
        words += _number(word) if word.isdigit() else [_ABBREVIATIONS.get(word, word)]
    return words


def _number(digits: str) -> list[str]:
    value = int(digits)
    if len(digits) > 2 or digits.startswith("0"):
        return [_SMALL[int(digit)] for digit in digits]
    if value < len(_SMALL):
        return [_SMALL[value]]
    tens, rest = divmod(value, 10)
    return [_TENS[tens - 2], *([_SMALL[rest]] if rest else [])]


def word_errors(said: Sequence[str], heard: Sequence[str]) -> int:
    """The fewest words to insert, delete or replace to get from one to the other (Levenshtein)."""
    previous = list(range(len(heard) + 1))
    for row, word in enumerate(said, 1):
        current = [row]
        for column, other in enumerate(heard, 1):
            current.append(
                min(
                    previous[column] + 1,
                    current[-1] + 1,
                    previous[column - 1] + (word != other),
                )
            )
        previous = current
    return previous[-1]


def word_error_rate(said: str, heard: str) -> float:
    """Errors per word that was said; over 1 if more was heard than said. 0 for nothing and nothing.

    Raises:
        ValueError: nothing was said, but something was heard: there is no rate for that.
    """
    words = spoken_words(said)
    errors = word_errors(words, spoken_words(heard))
    if not words and errors:
        raise ValueError("no words were said, so there is no error rate")
    return errors / len(words) if words else 0.0
