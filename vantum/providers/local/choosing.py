"""Choosing the example for what a prospect said, in the call as it stands. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from vantum.providers.local.nearness import FILLERS, Book, content_of, words_of, words_set
from vantum.providers.local.playbook import (
    AGREED,
    DECLINED,
    EXAMPLES,
    QUESTIONS,
    STATEMENTS,
    Example,
)

#: Nearness below which an example would mislead.
_NEAR: Final = 0.45
_ASKING: Final = words_set(
    "what who how why when where which whose any can could do does did is are will would may should"
)
#: The verb before its subject, anywhere: "our system is old would that be a problem".
_INVERTED: Final = re.compile(
    r"\b(?:(?:can|could|would|will|is|are|should) (?:i|you|we|it|that|this|there|they)"
    r"|(?:do|does|did|have) (?:i|you|we|they))\b"
)
#: Not to be missed, though nothing in the book is near: they want no more calls, or nothing.
_CLEAR: Final = (
    (
        re.compile(r"\b(?:stop|quit|unsubscribe|harass\w*|sue)\b|\bleave (?:me|us)\b"),
        "Stop calling me.",
    ),
    (
        re.compile(r"\b(?:not|no|zero|never) (?:\w+ ){,2}(?:interest\w*|want|need|bother\w*)\b"),
        "I'm not interested.",
    ),
)
_OFFER: Final = content_of("demo meeting suit call colleague")
_PHRASES: Final = Book([(example.answer, example.said) for example in EXAMPLES])
_BY_SAID: Final = {example.said: example for example in EXAMPLES}


def nearest(said: str, earlier: Sequence[str] = ()) -> Example:
    """The example whose prospect said most nearly the same; a catch-all if nothing is near.

    `earlier`: our own answers so far. A bare yes or no is taken as the answer to what the last of
    them asked, and a catch-all is not said twice while there is another.
    """
    best, near = _PHRASES.nearest(said)
    if near >= _NEAR:
        example = EXAMPLES[best]
        if earlier and _offers(earlier[-1]):
            if example.answer == _BY_SAID["Yes."].answer:
                return AGREED
            if example.answer == _BY_SAID["No."].answer:
                return DECLINED
        return example
    asks = _asks(said)
    for clear, same in _CLEAR:
        if not asks and clear.search(" ".join(words_of(said))):
            return _BY_SAID[same]
    catch_all = QUESTIONS if asks else STATEMENTS
    fresh = [one for one in catch_all if not any(_said(one, answer) for answer in earlier)]
    return (fresh or catch_all)[0]


def _asks(said: str) -> bool:
    """Whether it is a question; recognisers seldom write the mark."""
    words = words_of(said)
    first = next((word for word in words if word not in FILLERS and word != "okay"), "")
    return "?" in said or first in _ASKING or bool(_INVERTED.search(" ".join(words)))


def _offers(answer: str) -> bool:
    """Whether it ends by asking for a meeting."""
    last = re.split(r"(?<=[.!?])\s", answer.strip())[-1]
    return last.endswith("?") and bool(content_of(last) & _OFFER)


def _said(example: Example, answer: str) -> bool:
    """Whether `answer` began as the example does: its end may have been put in other words."""
    return answer.split()[:4] == example.answer.split()[:4]
