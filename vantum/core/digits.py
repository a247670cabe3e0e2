"""Keys of a telephone in the table: what the caller presses belongs to his turn. Pure.

To the model they are words of his, such as "(pressed 42#)". A key is meant, unlike a sound: it
stops an answer that is being heard at once, unless callers cannot interrupt. How long to wait for
the next key is what the policy of turns does without a voice and without a recogniser's opinion: as
long as it ever waits. `#` says that there is no further one.
"""

from __future__ import annotations

from vantum.core.barging import barge, interrupt
from vantum.core.decisions import Command, Conversation, Step
from vantum.core.events import InputDigits, Interrupt
from vantum.core.evolving import evolve
from vantum.core.messages import Transcript, UtteranceEnded
from vantum.core.turn_taking import is_auto, judge, notice

_BEGINS = "(pressed "


def with_final(c: Conversation, text: str) -> Conversation:
    """With the final text of what was heard last: in front of keys that were pressed behind it."""
    words = (*c.words, text) if text else c.words
    if text and c.pressed_behind and c.words and c.words[-1].startswith(_BEGINS):
        words = (*c.words[:-1], text, c.words[-1])
    return evolve(c, words=words, interim="", pressed_behind=False)


def pressed(c: Conversation, e: InputDigits, now_s: float) -> Step:
    """Keys were pressed."""
    commands: list[Command] = []
    words = c.words
    if words and words[-1].startswith(_BEGINS):
        words, behind = (*words[:-1], f"{words[-1][:-1]}{e.digits})"), c.pressed_behind
    else:
        behind = bool(c.interim)
        words = (*words, f"{_BEGINS}{e.digits})")
    c = evolve(c, words=words, pressed_behind=behind)
    if not is_auto(c):
        return c, commands
    # Each key as words of its own: the wait begins anew.
    c = notice(c, Transcript(f"{_BEGINS}{e.digits})", True, 1.0, 0.0, 0.0), now_s)
    if e.digits.endswith("#"):
        c = notice(c, UtteranceEnded(0.0), now_s)
    if c.state == "RESPONDING" and c.bargein.options.mode != "off":
        return interrupt(c, Interrupt(e.request), now_s)
    return judge(barge(c, now_s, commands), now_s, commands), commands
