"""The marks of a turn up to its answer: read off the conversation as it moves from step to step.

The table knows nothing of it; what it did is seen by comparing what it remembers before and after
an event. Pure.
"""

from __future__ import annotations

from attrs import define, field

from vantum.core.decisions import Conversation, Event, Flush, InputEnding, Turn
from vantum.core.latency import Marks
from vantum.core.turn_taking import is_auto


@define
class TurnMarks:
    """Turns on their way to an answer.

    `handed`: when each flush was handed to the recogniser; whoever does that writes it here.
    """

    handed: dict[int, float] = field(factory=dict)
    _ending: dict[int, Marks] = field(factory=dict, init=False)
    _waiting: dict[int, Marks] = field(factory=dict, init=False)

    def follow(self, before: Conversation, event: Event, after: Conversation, now_s: float) -> None:
        """Take note of what an event at `now_s` led to."""
        known = {flush.flush_id for flush in before.flushes}
        for flush in after.flushes:
            if flush.flush_id not in known:
                self._ending[flush.flush_id] = _ended(before, event, flush, now_s)
        left = {flush.flush_id for flush in after.flushes}
        gone = [flush for flush in before.flushes if flush.flush_id not in left]
        answers = [*after.queue, *([after.turn] if after.turn is not None else [])]
        for turn in answers:
            if turn.number >= before.next_turn:
                self._waiting[turn.number] = self._committed(turn, gone, now_s)
            elif turn is after.turn and turn != before.turn and turn.number in self._waiting:
                self._waiting[turn.number].mark("freed", now_s)
        for flush in gone:
            self._ending.pop(flush.flush_id, None)
            # Also what was handed over only after it had been given up.
            for old in [known_id for known_id in self.handed if known_id <= flush.flush_id]:
                del self.handed[old]

    def take(self, turn: Turn, now_s: float) -> Marks:
        """The marks of a turn whose answer begins now."""
        marks = self._waiting.pop(turn.number, None) or Marks()
        if turn.say or turn.resumes:
            marks.mark("decided", now_s)
        return marks

    def _committed(self, turn: Turn, gone: list[Flush], now_s: float) -> Marks:
        """A turn's words were taken; of several flushes that went at once, the one it is from."""
        own = next(
            (f for f in gone if f.request == turn.request and f.flush_id in self._ending), None
        )
        marks = Marks() if own is None else self._ending.pop(own.flush_id)
        if own is not None and own.flush_id in self.handed:
            marks.mark("flushed", self.handed[own.flush_id])
        if not turn.say and not turn.resumes:
            marks.mark("transcript", now_s)
        return marks


def _ended(before: Conversation, event: Event, flush: Flush, now_s: float) -> Marks:
    """A turn was said or judged to be over. Its last sign of speech lies before that, if the
    server listens for it; a client's word counts as the end where it does not."""
    marks = Marks()
    heard = before.endpointing
    if is_auto(before) and heard.began_s is not None and heard.voice_s is None:
        marks.mark("silent", heard.quiet_s)
    asked_s = event.at_s if isinstance(event, InputEnding) else None
    ended_s = now_s if asked_s is None else asked_s
    marks.mark("silent", ended_s)
    marks.mark("decided", ended_s)
    return marks
