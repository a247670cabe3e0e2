"""From a session's history to a call's record: the turns."""

from __future__ import annotations

from attrs import define, field

from vantum.core.history import Entry, History
from vantum.core.markers import strip_markers
from vantum.telephony.record import RecordedTurn


@define
class Transcript:
    """A session's turns as they are recorded, as said and as heard. A tool's turn is its name and
    its result.

    A history only grows, so each of its entries is looked at once, however often `follow` is asked.

    `marker`: `streaming.break_marker`, which is not said.
    """

    marker: str
    turns: tuple[RecordedTurn, ...] = ()
    _seen: int = field(default=0, init=False)
    #: Tools that were called, by the ids of their calls.
    _names: dict[str, str] = field(factory=dict, init=False)

    def is_behind(self, history: History) -> bool:
        """Whether `follow` would find something new: a cheap question."""
        return bool(history.since(self._seen))

    def follow(self, history: History) -> tuple[RecordedTurn, ...]:
        """All turns so far: the same value if there is none more."""
        entries = history.since(self._seen)
        self._seen += len(entries)
        if added := tuple(turn for entry in entries if (turn := self._turn(entry)) is not None):
            self.turns += added
        return self.turns

    def _turn(self, entry: Entry) -> RecordedTurn | None:
        self._names |= {call.id: call.name for call in entry.tool_calls}
        if entry.tool_calls and not entry.text:
            return None
        heard = entry.text
        if entry.role == "tool":
            heard = f"{self._names.get(entry.tool_call_id, 'tool')}: {heard}"
        said = strip_markers(entry.written, self.marker) if entry.written else heard
        at_s = entry.at_ms / 1000
        return RecordedTurn(entry.role, said or heard, heard, at_s, entry.interrupted)
