"""A call whose recogniser is gone for good, in the table. Pure.

Its client is told, and may ask for another one by a further `audio.input.start`. One that does not,
or cannot, as a telephone, must not be left with somebody who speaks and hears nothing: he is told
in words, and the call ends. A client that ends turns itself is left to decide: it begins each turn
with a start, and each start has its answer.
"""

from __future__ import annotations

from typing import Final

from vantum.core.announcing import announce
from vantum.core.decisions import (
    Announce,
    CloseRequested,
    Command,
    Conversation,
    RoleLost,
)
from vantum.core.events import Prospect
from vantum.core.evolving import evolve
from vantum.core.moves import DEAF, SPEECHLESS, end_call, starts_once
from vantum.core.prompts import fill_spoken, known_of
from vantum.core.turn_taking import is_auto

#: A client that knows how to ask for another recogniser does so at once; a caller's own pauses are
#: hardly shorter. What he has said by the loss may be answered meanwhile.
_PATIENCE_S: Final = 4.0


def gone_deaf(c: Conversation, e: RoleLost, now_s: float) -> Conversation:
    """Remember what the loss of a recogniser means. A client whose start fails knows of it."""
    if e.role != "stt":
        return c
    if not e.for_good:
        return evolve(c, deaf_at_s=None)
    if c.starts or c.state == "INITIALIZING":
        return c
    return evolve(c, deaf_at_s=now_s + _PATIENCE_S)


def hopeless(c: Conversation, e: RoleLost) -> CloseRequested | None:
    """Why the call ends before it has begun, if it does: nobody will ever hear its last words, or
    its client cannot start again."""
    if c.state != "INITIALIZING":
        return None
    if starts_once(c) and e.for_good:
        return DEAF if e.role == "stt" else SPEECHLESS
    return next((turn.ends for turn in c.queue if turn.ends), None)


def _is_deaf(c: Conversation) -> bool:
    """Whether there is nothing left to do but to say so."""
    waits = "stt" not in c.ready and not c.starts and is_auto(c)
    return waits and c.state == "LISTENING" and c.closing is None


def mind_deafness(c: Conversation, now_s: float, commands: list[Command]) -> Conversation:
    """Say that nobody hears him, and end the call."""
    if c.deaf_at_s is None or now_s < c.deaf_at_s or not _is_deaf(c):
        return c
    c = evolve(c, deaf_at_s=None)  # it is said once, or the call ends anyway
    told = c.options.prospect if c.options is not None else Prospect()
    text = fill_spoken(c.cannot_hear, known_of(told, c.prospect))
    if not text:
        return end_call(c, DEAF, commands)
    c, more = announce(c, Announce(text, True, DEAF.reason, code=DEAF.code), now_s)
    commands.extend(more)
    return c


def deaf_wakes_at(c: Conversation) -> float:
    """When that is due; infinity: never."""
    return c.deaf_at_s if c.deaf_at_s is not None and _is_deaf(c) else float("inf")
