"""The latency ledger of one call: each turn's record, in the log and for whoever asks."""

from __future__ import annotations

import trio
from attrs import define, field

from vantum.actors.call import Call
from vantum.actors.response import Response
from vantum.core.decisions import Turn
from vantum.core.events import LatencyMeasured
from vantum.core.latency import Marks, Outcome, TurnLatency, measured
from vantum.core.turn_marks import TurnMarks

#: Records that a call keeps for whoever asks later: a long call must not grow.
_KEPT = 100


@define
class Latencies:
    """`recent`: the last turns' records, oldest first. `turns`: those that wait for an answer."""

    call: Call
    recent: list[TurnLatency] = field(factory=list)
    turns: TurnMarks = field(factory=TurnMarks)

    def start(self, turn: Turn) -> Marks:
        """The marks of a turn whose answer begins now."""
        return self.turns.take(turn, trio.current_time())

    def first_sent(self, response: Response) -> LatencyMeasured | None:
        """The first audio is with the client's socket: the gap is over. What to send of it."""
        response.marks.mark("wire", trio.current_time())
        return self._write_down(response, _outcome(response))

    def ended(self, response: Response) -> LatencyMeasured | None:
        """The answer is over. What to send of it: nothing was sent if it had no sound, and of a
        sound the client may have said by now when it was heard."""
        if "wire" in response.marks.at_s:
            heard = self._heard(response)
            return None if heard is None else self._told(response, heard)
        cut_s = response.cut_s
        ended_s = trio.current_time() if cut_s is None else cut_s
        return self._write_down(response, "failed" if cut_s is None else "cancelled", ended_s)

    def _write_down(
        self, response: Response, outcome: Outcome, ended_s: float | None = None
    ) -> LatencyMeasured | None:
        answer = response.answer
        record = measured(response.marks, answer.turn, answer.utterance_id, outcome, ended_s)
        self.recent.append(record)
        del self.recent[:-_KEPT]
        gap_ms, framework_ms = record.gap_us / 1000, record.framework_us / 1000
        ahead_ms = record.ahead_us / 1000
        self.call.log.info(
            "turn latency",
            turn=record.turn,
            outcome=outcome,
            gap_ms=gap_ms,
            framework_ms=framework_ms,
            **({"ahead_ms": ahead_ms} if ahead_ms else {}),
            **{f"{name}_ms": duration_ms for name, duration_ms in record.parts_ms.items()},
        )
        return self._told(response, record)

    def _told(self, response: Response, record: TurnLatency) -> LatencyMeasured | None:
        if not response.options.latency:
            return None
        return LatencyMeasured(
            record.utterance_id,
            self.call.wall_ms(),
            record.turn,
            record.outcome,
            record.gap_us / 1000,
            record.framework_us / 1000,
            record.ahead_us / 1000,
            record.parts_ms,
            record.heard_by,
        )

    def _heard(self, response: Response) -> TurnLatency | None:
        """If the client has reported its playback, the record learns when it began."""
        began_s = response.playing.playout.reported_start_s
        if began_s is None:
            return None
        response.marks.mark("heard", began_s)
        for at, record in enumerate(self.recent):
            if record.utterance_id == response.answer.utterance_id:
                again = measured(response.marks, record.turn, record.utterance_id, record.outcome)
                self.recent[at] = again
                return again
        return None


def _outcome(response: Response) -> Outcome:
    """What the first sound is."""
    if response.is_own:
        return "own"
    if 0 in response.said.fillers:
        return "filler"
    return "fallback" if response.said.is_fallback else "answered"
