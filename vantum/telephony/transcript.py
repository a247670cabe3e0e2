"""From a session's history to a call's record: the turns, and what they cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from vantum.actors.conductor import Conductor
from vantum.core.cost import Usage, model_tokens
from vantum.core.history import Entry
from vantum.core.markers import strip_markers
from vantum.telephony.record import RecordedTurn

#: Providers on this machine cost nothing.
_EMBEDDED: Final = "local"


def recorded_turns(entries: Iterable[Entry], marker: str) -> tuple[RecordedTurn, ...]:
    """The turns, as said and as heard. A tool's turn is its name and its result.

    Args:
        entries: of a `History`.
        marker: `streaming.break_marker`, which is not said.
    """
    names: dict[str, str] = {}
    turns: list[RecordedTurn] = []
    for entry in entries:
        names |= {call.id: call.name for call in entry.tool_calls}
        if entry.tool_calls and not entry.text:
            continue
        heard = entry.text
        if entry.role == "tool":
            heard = f"{names.get(entry.tool_call_id, 'tool')}: {heard}"
        said = strip_markers(entry.written, marker) if entry.written else heard
        turns.append(
            RecordedTurn(entry.role, said or heard, heard, entry.at_ms / 1000, entry.interrupted)
        )
    return tuple(turns)


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
