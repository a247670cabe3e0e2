"""A call while it goes on: what callbacks, the stream's session and tools tell of it.

Nothing here waits or asks anybody. `lifecycle` looks at it whenever there is news, and acts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import attrs
import trio
from attrs import Factory, define, field, frozen

from vantum.actors.call import Past
from vantum.actors.conductor import Conductor
from vantum.compliance.permit import DialPermit
from vantum.core.call_status import CallStatus, Outcome, Progress, outcome_of
from vantum.core.cost import (
    CostEstimate,
    Prices,
    Usage,
    costs_sum,
    estimate_cost,
    transfer_cost,
)
from vantum.core.markers import strip_markers
from vantum.telephony.record import CallRecord, RecordedTurn
from vantum.telephony.transcript import Transcript
from vantum.telephony.usage import usage_of

if TYPE_CHECKING:
    from vantum.admission import Place
    from vantum.telephony.orders import CallOrder

#: How a session says that its client ended it, or just went; in a phone call that is the other
#: party, and which of the two comes first is chance.
_STOPPED_THERE = "call ended by the client"
_ENDED_THERE = (_STOPPED_THERE, "the connection is gone")

#: Of what goes on, so much is billed at the least: its first minute has begun.
_BEGUN_S: Final = 1.0


@frozen
class Comeback:
    """A call on its way back to the agent, because of `why`. `is_invited`: the telephone company
    has asked what to do, and was told where the agent is."""

    why: str
    is_invited: bool = False


@define(eq=False)
class LiveCall:
    """One call, inbound or outbound.

    `order` and `permit` are None for an inbound one. `conductor` is that of its session, None
    before and after. `place` is held back for the session until it begins. `marker` is what the
    model writes for a pause. `now_s` tells the time of day in seconds.
    """

    record: CallRecord
    now_s: Callable[[], float]
    order: CallOrder | None = None
    permit: DialPermit | None = None
    voicemail: str = ""
    marker: str = "||BREAK||"
    place: Place | None = None
    conductor: Conductor | None = None
    noted: Outcome | None = None
    #: Another party has the call: the end of our session is not its end.
    handed_over: bool = field(default=False, init=False)
    #: It may come back, if that party is not reached: a place is kept for its next session.
    may_return: bool = field(default=False, init=False)
    #: That party was not reached, and the next session has not begun yet.
    comeback: Comeback | None = field(default=None, init=False)
    #: Of the stream that is there, or is awaited: from 1.
    stream_number: int = field(default=1, init=False)
    #: Calls to colleagues for its sake, by their SID: whom, and how far each has come.
    legs: dict[str, tuple[str, Progress]] = field(factory=dict, init=False)
    #: Those of them of whose end is known what it means for this call.
    settled_legs: set[str] = field(factory=set, init=False)
    progress: Progress = field(factory=Progress, init=False)
    #: Why we end it ourselves; empty: we do not.
    hang_up_because: str = field(default="", init=False)
    #: How long the telephone company expects to keep the call before it dials.
    queue_s: float = field(default=0.0, init=False)
    #: Dialled, or not to be dialled any more.
    placed: trio.Event = field(factory=trio.Event, init=False)
    over: trio.Event = field(factory=trio.Event, init=False)
    failure: Exception | None = field(default=None, init=False)
    message_begun: bool = field(default=False, init=False)
    _sessions: list[Conductor] = field(factory=list, init=False)
    _transcript: Transcript = field(init=False)
    _session_s: float = field(default=0.0, init=False)
    _session_began_s: float = field(default=0.0, init=False)
    _session_ended_s: float = field(default=0.0, init=False)
    _noted_before: Outcome | None = field(default=None, init=False)
    _was_away: bool = field(default=False, init=False)
    _news: trio.Event = field(default=Factory(trio.Event), init=False)

    @_transcript.default
    def _new_transcript(self) -> Transcript:
        return Transcript(self.marker)

    @property
    def id(self) -> str:
        """Our own id of the call."""
        return self.record.id

    @property
    def had_session(self) -> bool:
        """Whether its session has begun, and perhaps ended."""
        return bool(self._sessions)

    @property
    def session_is_over(self) -> bool:
        """Whether its session has begun and ended."""
        return bool(self._sessions) and self.conductor is None

    @property
    def stream_is_taken(self) -> bool:
        """Whether the telephone company has ended its stream, and does not say that it is over."""
        conductor, stopped = self.conductor, False
        if conductor is not None:
            stopped = conductor.state == "ENDED" and conductor.ended_because == _STOPPED_THERE
        return (stopped or self.session_is_over) and not self.progress.is_over

    @property
    def is_ending(self) -> bool:
        """Whether nothing is left but to end it."""
        return (
            self.progress.is_over
            or bool(self.hang_up_because)
            or (self.session_is_over and not self.handed_over and self.comeback is None)
        )

    @property
    def is_a_persons(self) -> bool:
        """Whether a person was there, whatever machine detection says: he was put through."""
        return self.handed_over or self._was_away

    @property
    def past(self) -> Past | None:
        """What its next session goes on with; None: it has had none, or has one."""
        if not self._sessions or self.conductor is not None:
            return None
        return self._sessions[-1].past

    # ------------------------------------------------------------ news

    def told(
        self, status: CallStatus, *, duration_s: float | None = None, because: str = ""
    ) -> None:
        """The telephone company says where the call stands."""
        progress = self.progress.told(status, self.now_s(), duration_s=duration_s)
        if progress.is_over and not self.progress.is_over and because:
            self._because(because)
        self._move(progress)

    def assumed_over(self) -> None:
        """Nobody says that it is over, but all that there was of it here has ended."""
        answered_s, duration_s = self.progress.answered_s, None
        if answered_s is not None and self.session_is_over:
            duration_s = max(0.0, self._session_ended_s - answered_s)
        self.told("canceled" if answered_s is None else "completed", duration_s=duration_s)

    def judged(self, answered_by: str) -> None:
        """Machine detection has a verdict, in Twilio's words."""
        self._move(self.progress.judged(answered_by))

    def named(self, call_sid: str) -> bool:
        """The telephone company's own name of the call has come; False: it has another one."""
        if not self.record.sid:
            self._change(attrs.evolve(self.record, sid=call_sid))
        return self.record.sid == call_sid

    def session_began(self, conductor: Conductor) -> None:
        """Its stream is there."""
        self.conductor = conductor
        self._sessions.append(conductor)
        if self.comeback is not None:
            self.comeback = None
            # Why the session before has ended is no end of the call.
            self._change(attrs.evolve(self.record, ended_because=""))
        self._session_began_s = self.now_s()
        session_id = conductor.call.session_id
        self._change(attrs.evolve(self.record, session_id=session_id))
        self.told("in-progress")

    def session_ended(self) -> None:
        """Its stream is gone."""
        if self.conductor is not None:
            self._session_ended_s = self.now_s()
            self._session_s += self._session_ended_s - self._session_began_s
            because = self.conductor.ended_because
            self._because("the other party hung up" if because in _ENDED_THERE else because)
            self.conductor = None
            self._tell()

    def note(self, outcome: Outcome) -> None:
        """What the conversation has come to, such as `transferred`; `opted_out` stays."""
        if self.noted != "opted_out":
            self.noted = outcome

    def hand_over(self, because: str, *, may_return: bool = False) -> None:
        """The call goes on without us: right before `Carrier.redirect`. Somebody must then tell of
        its end (`told`), if the telephone company does not, or that it comes back (`not_taken`).
        `because`: why our part is over."""
        self.handed_over = True
        self.may_return, self._noted_before = may_return, self.noted
        self._because(because)
        self.note("transferred")

    def keep(self) -> None:
        """It was not handed over after all."""
        self.handed_over = self.may_return = False
        self._unnote()

    def taken(self) -> None:
        """The party to whom it was handed over is there: it does not come back."""
        if self.may_return and self.comeback is None:
            self.may_return = False
            if self.place is not None:
                self.place.release()

    def not_taken(self, why: str) -> None:
        """The party to whom it was handed over was not reached: it was no transfer. The call comes
        back, unless it ends."""
        self.handed_over, self._was_away, self.comeback = False, True, Comeback(why)
        self.stream_number += 1
        self._unnote()
        because = f"{self.record.ended_because}: {why}"
        self._change(attrs.evolve(self.record, ended_because=because))

    def invited(self) -> None:
        """The telephone company was told to bring it back: its stream is to come."""
        if self.comeback is not None:
            self.comeback = attrs.evolve(self.comeback, is_invited=True)
            self._tell()

    def _unnote(self) -> None:
        if self.noted == "transferred":
            self.noted = self._noted_before

    def told_of_leg(
        self, call_sid: str, number: str, status: CallStatus, *, duration_s: float | None = None
    ) -> None:
        """The telephone company says where a call stands that was made for this one's sake."""
        _, progress = self.legs.get(call_sid, (number, Progress()))
        now = progress.told(status, self.now_s(), duration_s=duration_s)
        self.legs[call_sid] = number, now

    def hang_up(self, because: str) -> None:
        """Have it ended, whatever it is at; `over` is set when it is."""
        self.hang_up_because = self.hang_up_because or because
        self._because(because)
        self._tell()

    def _because(self, text: str) -> None:
        """What ended it first, counts."""
        if not self.record.ended_because:
            self._change(attrs.evolve(self.record, ended_because=text))

    # ------------------------------------------------------------ who looks at it

    async def news(self) -> None:
        """Until something has changed."""
        await self._news.wait()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Until it is so."""
        while not condition():
            await self.news()

    def tell_of_turns(self) -> None:
        """Let whoever keeps the record know if more was said than it has."""
        if self._sessions and self._transcript.is_behind(self._sessions[-1].answering.history):
            self._tell()

    def observe(self) -> CallRecord:
        """The record, with what was said so far."""
        if not self._sessions:
            return self.record
        conductor = self._sessions[-1]
        self.record = attrs.evolve(
            self.record,
            # Not what was just cut: what is heard of it is settled later, and this only grows.
            turns=self._transcript.follow(conductor.answering.history),
            variant=conductor.variant or "",
            stage=conductor.stage or "",
            facts=conductor.facts,
        )
        return self.record

    def so_far(self, prices: Prices, *, asks_machine: bool) -> CallRecord:
        """The record of a call that goes on, with what it has cost by now: who reads it when this
        process has died, has nothing else. `asks_machine`: as for `conclude`."""
        record = self.observe()
        return attrs.evolve(record, cost=self._cost(record, prices, asks_machine))

    def conclude(self, prices: Prices, *, asks_machine: bool) -> CallRecord:
        """The record of a call that is over (`progress` is final), with what it came to.

        `asks_machine`: of calls that we make, whether machine detection is asked for.
        """
        record = self.observe()
        turns = record.turns
        last = next((turn for turn in reversed(turns) if turn.role == "assistant"), None)
        outcome = outcome_of(
            self.progress,
            noted=self.noted,
            has_spoken=any(turn.role == "user" for turn in turns),
            message_left=self._is_message(last),
            is_persons=self.is_a_persons,
        )
        cost = self._cost(record, prices, asks_machine)
        self.record = attrs.evolve(record, outcome=outcome, cost=cost)
        return self.record

    def _is_message(self, last: RecordedTurn | None) -> bool:
        """Whether the message was said, as the last words, and heard: if the call was ending anyway
        when it was to be, it was passed over."""
        if not self.message_begun or last is None or last.interrupted:
            return False
        return last.said == strip_markers(self.voicemail, self.marker)

    def _cost(self, record: CallRecord, prices: Prices, asks_machine: bool) -> CostEstimate:
        if not self.progress.was_answered:
            return CostEstimate(currency=prices.currency)
        usage, outbound = Usage(), record.direction == "outbound"
        streamed_s = self._session_s
        if self.conductor is not None:
            streamed_s += max(_BEGUN_S, self.now_s() - self._session_began_s)
        if self._sessions:
            usage = usage_of(self._sessions, record.turns, listened_s=streamed_s)
        usage = attrs.evolve(
            usage,
            billed_s=round(_length_s(self.progress, self.now_s()), 3),
            streamed_s=round(streamed_s, 3),
            machine_detections=int(outbound and asks_machine),
        )
        number = record.to_number if outbound else record.from_number
        cost = estimate_cost(prices, usage, outbound=outbound, number=number)
        return costs_sum([cost, *self._legs_cost(prices)])

    def _legs_cost(self, prices: Prices) -> list[CostEstimate]:
        """Those that go on end in the moment in which this call does, or a moment later."""
        costs = []
        for number, leg in self.legs.values():
            if leg.answered_s is not None:
                billed_s = round(_length_s(leg, self.now_s()), 3)
                costs.append(transfer_cost(prices, number, billed_s, machine_detection=False))
        return costs

    # ------------------------------------------------------------

    def _move(self, progress: Progress) -> None:
        if progress is not self.progress:
            self.progress = progress
            self._change(
                attrs.evolve(
                    self.record,
                    status=progress.status,
                    answered_by=progress.answered_by,
                    answered_s=progress.answered_s,
                    ended_s=progress.ended_s,
                    duration_s=progress.duration_s,
                )
            )

    def _change(self, record: CallRecord) -> None:
        self.record = record
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = trio.Event()


def _length_s(answered: Progress, now_s: float) -> float:
    """Of a call that was answered; of one that goes on, so far."""
    if answered.duration_s is not None or answered.answered_s is None:
        return answered.duration_s or 0.0
    return max(_BEGUN_S, now_s - answered.answered_s)
