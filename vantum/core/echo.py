"""How much of what was heard is an echo of what was said. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

#: So many letters at its beginning make a word like another, if they are half of the longer one.
_ALIKE: Final = 3


def foreign(words: Sequence[str], ours: Sequence[str]) -> int:
    """How many of the words are not ours: an echo has our words in our order, each once.

    An echo that is cut off is misheard: "custom" for "customers" is ours.
    """
    if not ours:
        return len(words)
    common = [0] * (len(ours) + 1)  # the longest common subsequence with so many of ours
    begins = [our[:_ALIKE] for our in ours]  # words that are alike begin alike, and few others do
    for word in words:
        begin = word[:_ALIKE]
        if begin not in begins:
            continue  # nothing goes on with it
        before = 0
        for n, our in enumerate(ours, 1):
            alike = begins[n - 1] == begin and _alike(word, our)
            here = before + 1 if alike else max(common[n], common[n - 1])
            before, common[n] = common[n], here
    return len(words) - common[-1]


def _alike(word: str, our: str) -> bool:
    if len(word) < _ALIKE or word[:_ALIKE] != our[:_ALIKE]:
        return word == our
    half = (max(len(word), len(our)) + 1) // 2
    return our.startswith(word) or word[:half] == our[:half]
