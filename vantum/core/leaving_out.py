"""What a model writes and nobody is to hear, taken out of a stream of text. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

#: Given a text and the place of an opener in it: where what begins there ends, which is left out;
#: the place itself if it begins nothing; None if that is not known before more text has come.
Judge: TypeAlias = Callable[[str, int], int | None]


def leave_out(text: str, opener: str, judge: Judge) -> tuple[str, str]:
    """What is certain of `text`, and its end, from an `opener` on, that is to be judged again with
    what follows it. `opener` is one character."""
    kept: list[str] = []
    at = 0
    while (begin := text.find(opener, at)) >= 0:
        kept.append(text[at:begin])
        end = judge(text, begin)
        if end is None:
            return "".join(kept), text[begin:]
        if end == begin:
            kept.append(opener)
            end += 1
        at = end
    kept.append(text[at:])
    return "".join(kept), ""
