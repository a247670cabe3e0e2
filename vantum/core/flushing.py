"""The recogniser's answers to ends of turns that take longer than usual."""

from __future__ import annotations

from vantum.core.decisions import Conversation, Flush, Step
from vantum.core.evolving import evolve
from vantum.core.messages import SttBehind, Transcript


def put_off(c: Conversation, e: SttBehind, now_s: float) -> Step:
    """Wait for the words of these turns, once each: they are on their way, and half a sentence
    would be answered without them."""

    def late(flush: Flush) -> Flush:
        if flush.flush_id != e.flush_id or flush.deadline_s is None or flush.put_off:
            return flush
        deadline_s = max(flush.deadline_s, now_s + c.limits.flush_timeout_s + e.by_s)
        return evolve(flush, deadline_s=deadline_s, put_off=True)

    return evolve(c, flushes=tuple(map(late, c.flushes))), []


def new_of_late(c: Conversation, e: Transcript) -> tuple[Conversation, Transcript]:
    """What nobody has answered of a text that belongs to a turn which was given up: of the final
    one, the words behind those that stood as interim text; of an interim one, nothing yet."""
    words = e.text.split() if e.is_final else []
    known = min(c.foretold, len(words))
    rest = evolve(e, text=" ".join(words[known:]), is_final=len(words) > known, words=())
    return evolve(c, foretold=c.foretold - known), rest
