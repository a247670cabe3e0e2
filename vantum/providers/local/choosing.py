"""Choosing the example for what a prospect said, in the call as it stands. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from vantum.providers.local.nearness import Book, content_of
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
_QUESTION: Final = re.compile(
    r"\?|^\W*(?:(?:and|so|but|well|okay|uh|um|yeah|like)\W+)*"
    r"(?:what|who|how|why|when|where|which|can|could|do|does|did|is|are|will|would|may)\b",
    re.IGNORECASE,
)
_OFFER: Final = content_of("demo meeting suit call colleague")
_PHRASES: Final = Book([(example.answer, example.said) for example in EXAMPLES])
_ANSWERS: Final = {example.said: example.answer for example in EXAMPLES}


def nearest(said: str, earlier: Sequence[str] = ()) -> Example:
    """The example whose prospect said most nearly the same; a catch-all if nothing is near.

    `earlier`: our own answers so far. A bare yes or no is taken as the answer to what the last of
    them asked, and a catch-all is not said twice while there is another.
    """
    best, near = _PHRASES.nearest(said)
    if near >= _NEAR:
        example = EXAMPLES[best]
        if earlier and _offers(earlier[-1]):
            if example.answer == _ANSWERS["Yes."]:
                return AGREED
            if example.answer == _ANSWERS["No."]:
                return DECLINED
        return example
    catch_all = QUESTIONS if _QUESTION.search(said) else STATEMENTS
    fresh = [one for one in catch_all if not any(_said(one, answer) for answer in earlier)]
    return (fresh or catch_all)[0]


def _offers(answer: str) -> bool:
    """Whether it ends by asking for a meeting."""
    last = re.split(r"(?<=[.!?])\s", answer.strip())[-1]
    return last.endswith("?") and bool(content_of(last) & _OFFER)


def _said(example: Example, answer: str) -> bool:
    """Whether `answer` began as the example does: its end may have been put in other words."""
    return answer.split()[:4] == example.answer.split()[:4]
