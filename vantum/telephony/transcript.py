"""From a session's history to a call's record: the turns, and what they cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import define, field

from vantum.actors.conductor import Conductor
from vantum.core.cost import Usage, model_tokens
from vantum.core.history import Entry, History
from vantum.core.markers import strip_markers
from vantum.telephony.record import RecordedTurn

#: Providers on this machine cost nothing.
_EMBEDDED: Final = "local"


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


def usage_of(
    conductor: Conductor, turns: Sequence[RecordedTurn], *, listened_s: float, billed_s: float
) -> Usage:
    """What a call has used, about: see `vantum.core.cost`."""
    call = conductor.call
    names, count = call.provider_names, call.count_tokens
    by_agent = [turn for turn in turns if turn.role == "assistant"]
    begun = False
    spoken: list[tuple[bool, int]] = []
    for turn in turns:
        begun = begun or turn.role == "user"
        # What the agent says before anybody has spoken to it is no model's.
        spoken.append((begun and turn.role == "assistant", count(turn.said)))
    prompt = conductor.answering.briefing.prompt(call.prospect)
    sent, written = model_tokens(spoken, prompt=count(prompt))
    by_model = names.get("llm") != _EMBEDDED
    return Usage(
        billed_s=billed_s,
        listened_s=listened_s if names.get("stt") != _EMBEDDED else 0.0,
        spoken_characters=(
            sum(len(turn.said) for turn in by_agent) if names.get("tts") != _EMBEDDED else 0
        ),
        input_tokens=sent if by_model else 0,
        output_tokens=written if by_model else 0,
    )
