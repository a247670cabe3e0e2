"""What a call has used of what is paid for: as its providers have counted it, else by its turns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from attrs import define, evolve, field

from vantum.actors.call import Call
from vantum.actors.conductor import Conductor
from vantum.core.audio import AudioFormat
from vantum.core.cost import Usage, model_tokens
from vantum.core.spent import Spent, spent_sum
from vantum.ports import Health, Metered, SpeechToText, SpeechToTextProvider
from vantum.telephony.record import RecordedTurn

#: Providers on this machine cost nothing.
_EMBEDDED: Final = "local"


@define(eq=False)
class Recognisers:
    """What a session's recognisers have used: it opens one for each language, and each anew when
    it was lost. `used`: of each in order; None: it does not count."""

    provider: SpeechToTextProvider
    used: list[Spent | None] = field(factory=list, init=False)

    @property
    def name(self) -> str:
        """See `vantum.ports.Provider`."""
        return self.provider.name

    def health(self) -> Health:
        """See `vantum.ports.Provider`."""
        return self.provider.health()

    def takes(self, line: AudioFormat) -> AudioFormat:
        """See `vantum.ports.SpeechToTextProvider`."""
        return self.provider.takes(line)

    def for_session(self, *, language: str, line: AudioFormat) -> SpeechToText:
        """See `vantum.ports.SpeechToTextProvider`."""
        made = self.provider.for_session(language=language, line=line)
        # Not the recogniser itself: with it the audio of one that was lost would be kept.
        self.used.append(_used(made))
        return made


def counted(call: Call) -> Call:
    """The same call, of whose recognisers it is known afterwards what they have used."""
    return evolve(call, recognisers=Recognisers(call.recognisers))


def usage_of(
    sessions: Sequence[Conductor], turns: Sequence[RecordedTurn], *, listened_s: float
) -> Usage:
    """What the sessions of a call have used of providers that are paid for.

    Args:
        sessions: of the same call and providers, in order; at least one.
        turns: of all of them, as recorded.
        listened_s: how long they lasted together.
    """
    names = sessions[-1].call.provider_names
    calls = [session.call for session in sessions]
    usage = Usage()
    if names.get("stt") != _EMBEDDED:
        heard = _sum(_heard(calls))
        usage = evolve(usage, listened_s=round(listened_s if heard is None else heard.heard_s, 3))
    if names.get("tts") != _EMBEDDED:
        spoken = _sum(_used(call.synthesiser) for call in calls)
        characters = _characters(turns) if spoken is None else spoken.characters
        usage = evolve(usage, spoken_characters=characters)
    if names.get("llm") == _EMBEDDED:
        return usage
    asked = _sum(_used(call.model) for call in calls)
    if asked is None:
        sent, written = _tokens(sessions[-1], turns)
        return evolve(usage, input_tokens=sent, output_tokens=written)
    return evolve(
        usage,
        requests=asked.requests,
        estimated_requests=asked.estimated,
        input_tokens=asked.sent_tokens,
        cached_tokens=asked.cached_tokens,
        output_tokens=asked.written_tokens,
    )


def _heard(calls: Sequence[Call]) -> Iterator[Spent | None]:
    for call in calls:
        if not isinstance(call.recognisers, Recognisers):
            yield None  # nobody knows
        else:
            yield from call.recognisers.used


def _used(provider: object) -> Spent | None:
    """What it counts, which grows with what it does; None: it does not count."""
    return provider.spent if isinstance(provider, Metered) else None


def _sum(used: Iterable[Spent | None]) -> Spent | None:
    """What they have used together; None: one of them does not count."""
    parts = list(used)
    known = [part for part in parts if part is not None]
    return spent_sum(known) if len(known) == len(parts) else None


def _characters(turns: Sequence[RecordedTurn]) -> int:
    """As if nothing but what was said had been synthesised."""
    return sum(len(turn.said) for turn in turns if turn.role == "assistant")


def _tokens(conductor: Conductor, turns: Sequence[RecordedTurn]) -> tuple[int, int]:
    """As if each answer had been asked for once: tokens sent and written."""
    call = conductor.call
    count = call.count_tokens
    begun = False
    spoken: list[tuple[bool, int]] = []
    for turn in turns:
        begun = begun or turn.role == "user"
        # What the agent says before anybody has spoken to it is no model's.
        spoken.append((begun and turn.role == "assistant", count(turn.said)))
    prompt = conductor.answering.briefing.prompt(call.prospect)
    return model_tokens(spoken, prompt=count(prompt))
