"""Listening noises: what a listener says to say that he listens. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from vantum.core.wording import words_of

#: What a listener says to say that he listens. "No" is not among them: it wants to be heard.
BACKCHANNELS: Final = (
    *("mm", "mm-hmm", "mhm", "mmm", "hm", "hmm", "uh-huh", "uh", "um", "ah", "aha", "oh", "wow"),
    *("yeah", "yep", "yup", "yes", "right", "okay", "ok", "sure", "alright", "all right", "cool"),
    *("i see", "got it", "of course", "makes sense", "good", "great", "nice", "exactly", "true"),
)


_NO_LETTER: Final = re.compile(r"[\W_]+")


def tokens(text: str) -> list[str]:
    """The words of a text without case and punctuation: "Mm-hmm, I'm" gives mmhmm and im."""
    parts = words_of(text.casefold())
    return [word for part in parts if (word := _NO_LETTER.sub("", part))]


#: A hum, however a recogniser spells it: "uh-oh-oh", "mmmm". And what the embedded one writes for
#: a hum that it does not understand, if it is all that it heard.
_HUM: Final = re.compile("(?:uh|oh|ah|eh|um|m+|h+m+)+h*")
_FOR_A_HUM: Final = ["you"]
#: A phrase of one word may be written in so many.
_SPELT_WORDS: Final = 3


def is_backchannel(words: Sequence[str], phrases: frozenset[str]) -> bool:
    """Whether these `tokens` are nothing but such phrases, written in one word or in several."""
    if list(words) == _FOR_A_HUM:
        return True
    known, longest = _spelt(phrases)
    at = 0
    while at < len(words):
        step = next((n for n in range(longest, 0, -1) if "".join(words[at : at + n]) in known), 0)
        if not step and not _HUM.fullmatch(words[at]):
            return False
        at += step or 1
    return bool(words)


@lru_cache(maxsize=64)  # the settings' phrases are asked about with each thing that is heard
def _spelt(phrases: frozenset[str]) -> tuple[frozenset[str], int]:
    """The phrases without their spaces, and how many words one of them may be written in."""
    spelt = [tokens(phrase) for phrase in phrases]
    return frozenset(map("".join, spelt)), max([_SPELT_WORDS, *map(len, spelt)])
