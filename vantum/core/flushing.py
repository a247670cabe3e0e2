"""The recogniser's answers to ends of turns that take longer than usual, or have no words."""

from __future__ import annotations

from vantum.core.decisions import Conversation, Flush, Step
from vantum.core.evolving import evolve
from vantum.core.messages import SttBehind, Transcript
from vantum.core.wording import split_behind, words_of


def put_off(c: Conversation, e: SttBehind, now_s: float) -> Step:
    """Wait for the words of these turns, once each: they are on their way, and half a sentence
    would be answered without them."""

    def late(flush: Flush) -> Flush:
        if flush.flush_id != e.flush_id or flush.deadline_s is None or flush.put_off:
            return flush
        deadline_s = max(flush.deadline_s, now_s + c.limits.flush_timeout_s + e.by_s)
        return evolve(flush, deadline_s=deadline_s, put_off=True)

    return evolve(c, flushes=tuple(map(late, c.flushes))), []


def waits_on(c: Conversation, flush: Flush) -> Conversation:
    """Nothing is known of this turn by its deadline, and nothing is gained by giving up on words
    that come late. What the recogniser has answered without any is over."""
    waiting = () if flush.answered else (evolve(flush, deadline_s=None),)
    others = (waiting if f is flush else (f,) for f in c.flushes)
    return evolve(c, flushes=tuple(f for some in others for f in some))


def expects_answers(c: Conversation, now_s: float) -> Conversation:
    """From now on what nobody has waited for with a deadline has one."""
    deadline_s = now_s + c.limits.flush_timeout_s
    flushes = (
        f if f.deadline_s is not None else evolve(f, deadline_s=deadline_s) for f in c.flushes
    )
    return evolve(c, flushes=tuple(flushes))


def awaits_words(c: Conversation) -> bool:
    """Whether the words of a turn that has ended are still expected."""
    opening = c.state == "INITIALIZING"
    return any(opening or flush.deadline_s is not None for flush in c.flushes)


def is_unknown(c: Conversation) -> bool:
    """Whether no word of the turn being spoken is known."""
    return not c.words and not c.interim


def new_of_late(c: Conversation, e: Transcript) -> tuple[Conversation, Transcript]:
    """What nobody has answered of a text that belongs to a turn which was given up: of the final
    one, the words behind those that stood as interim text; of an interim one, nothing yet."""
    known, new = split_behind(e.text, c.foretold) if e.is_final else ("", "")
    rest = evolve(e, text=new, is_final=bool(new), words=())
    return evolve(c, foretold=c.foretold - len(words_of(known))), rest
