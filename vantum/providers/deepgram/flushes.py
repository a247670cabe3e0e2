"""Flushes that wait for their answer. Pure.

Deepgram's answer to `Finalize` carries no id, may be missing (nothing significant was buffered),
and may be late. So an answer counts for a flush if it covers the flush's audio; an answer that
covers less counts only if it cannot belong to an older `Finalize`. Final results that cover a
flush's audio by themselves answer it as well: no word before it can still come.
"""

from __future__ import annotations

from attrs import Factory, define, frozen

#: A result may end so much before the audio that was sent: no word fits into it.
_SLACK_S = 0.03


@define
class _Waiting:
    flush_id: int
    position: int
    silent: bool
    began: int  # where the flush before it ended
    deadline: float | None = None  # of its Finalize; None: not sent on this connection
    asked: int = 0


@frozen
class Overdue:
    """A flush whose Finalize was not answered in time.

    `silent`: its audio held nothing that could have been a word.
    """

    flush_id: int
    silent: bool


@define
class Flushes:
    """In the order asked; positions are samples at `rate_hz` on the session's axis."""

    rate_hz: int
    _waiting: list[_Waiting] = Factory(list)
    _unanswered: int = 0
    _last_position: int = 0

    @property
    def _slack(self) -> int:
        return round(_SLACK_S * self.rate_hz)

    def ask(self, flush_id: int, position: int, *, silent: bool) -> None:
        """The caller's turn ends at `position`."""
        self._waiting.append(_Waiting(flush_id, position, silent, self._last_position))
        self._last_position = position

    def next_position(self) -> int | None:
        """Audio must stop here until the next `Finalize` is sent; None: no flush waits for that."""
        for flush in self._waiting:
            if flush.deadline is None:
                return flush.position
        return None

    def next_is_silent(self) -> bool:
        """Whether the flush at `next_position` has nothing but silence before it."""
        return next((f.silent for f in self._waiting if f.deadline is None), False)

    def sent(self, deadline: float) -> int | None:
        """The `Finalize` for `next_position` goes out now; `deadline` is when its answer is due.

        Returns:
            The flush that it asks for.
        """
        for flush in self._waiting:
            if flush.deadline is None:
                flush.deadline = deadline
                flush.asked += 1
                self._unanswered += 1
                return flush.flush_id
        return None

    def unheard(self) -> list[int]:
        """The flushes that wait for more than silence."""
        return [flush.flush_id for flush in self._waiting if not flush.silent]

    def disconnected(self) -> None:
        """What was asked on the lost connection is asked again on the next."""
        self._unanswered = 0
        for flush in self._waiting:
            flush.deadline = None

    def covered(self, position: int) -> list[int]:
        """Final results reach `position`: the flushes that this answers."""
        return self._pop(position + self._slack)

    def answered(self, position: int) -> list[int]:
        """A `from_finalize` result that ends at `position`: the flushes that it answers."""
        sent = [flush for flush in self._waiting if flush.deadline is not None]
        only_one = self._unanswered == 1
        self._unanswered = max(0, self._unanswered - 1)
        if sent and only_one:
            return self._pop(sent[0].position)
        if sent and position + self._slack >= sent[-1].position:
            self._unanswered = 0  # it answers the newest, so nothing older is to come
        return self._pop(position + self._slack)

    def unanswered_turn(self, now: float) -> tuple[int, int] | None:
        """Where a turn begins and ends whose Finalize is overdue for the first time, and which was
        more than silence."""
        flush = self._waiting[0] if self._waiting else None
        if flush is None or flush.silent or flush.asked != 1:
            return None
        late = flush.deadline is not None and flush.deadline <= now
        return (flush.began, flush.position) if late else None

    def overdue(self, now: float) -> list[Overdue]:
        """Give up on the flushes whose deadline has passed."""
        late = []
        while self._waiting and (deadline := self._waiting[0].deadline) is not None:
            if deadline > now:
                break
            flush = self._waiting.pop(0)
            late.append(Overdue(flush.flush_id, flush.silent))
        return late

    def next_deadline(self) -> float | None:
        """When `overdue` may have something; None: no answer is awaited."""
        return self._waiting[0].deadline if self._waiting else None

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def _pop(self, position: int) -> list[int]:
        done = []
        while self._waiting and self._waiting[0].position <= position:
            done.append(self._waiting.pop(0).flush_id)
        return done
