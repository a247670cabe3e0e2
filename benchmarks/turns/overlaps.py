"""Sounds over the agent's voice: real interruptions, and what must not stop it.

The agent's own voice is not on the caller's line, but as an echo; what it is saying, and where it
is, comes from its text at an even pace.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from attrs import evolve

from benchmarks.recordings import RATE_HZ
from benchmarks.turns.items import (
    AUDIBLE_S,
    ECHO_DELAY_S,
    Beds,
    Condition,
    Item,
    Role,
    Samples,
    gain_of,
    lay,
    named_rng,
    normal,
    room,
    voiced,
)
from benchmarks.turns.sources import Voice
from benchmarks.turns.voicing import first_voiced_s
from vantum.core.audio import from_float, to_float32

#: What the agent says: no question near the places where the caller makes himself heard.
AGENT_TEXTS: Final = (
    "Thanks for taking the call. I wanted to tell you briefly what we do for teams like yours, "
    "because most of them spend several hours every week on reports that nobody really reads, "
    "and our service writes them on its own while you sleep.",
    "So the way it works is quite simple. You connect your calendar and your mailbox, which takes "
    "about five minutes, and from then on every meeting is summed up for you, with the open "
    "points in a list that your whole team can see and change.",
    "The price depends on how many people use it. For a small team it is nineteen dollars a month "
    "for each person, and from twenty people on it gets cheaper, because then we only count those "
    "who were really active during that month.",
    "We have customers in logistics, in insurance and in building, and what they all say is that "
    "the first week feels strange and the second week feels like magic, since the boring part of "
    "the work simply is not there any more when they come in.",
)
#: The rest of an item behind the sound: long enough to see whether the agent goes on.
_AFTER_S = 4.0
_LONGEST_S = 4.0
_SHORTEST_S = 0.15
_ONSET_S = (2.0, 5.0)
_ALLISONS = 30
#: Coughs and the like are shaped noise: no recording of one that may be distributed was found.
_BURSTS: Final = ("cough", "door", "click", "hum")
_ECHO_DB: Final = (-18.0, -30.0)

#: The agent's voice saying a text, 16 kHz.
Speak = Callable[[str], bytes]


def over_agent(
    name: str, voice: Voice, role: Role, sound: Samples, condition: Condition, beds: Beds
) -> Item | None:
    """This sound somewhere in an answer of the agent's; None if it is too faint or too short."""
    rng = named_rng(name)
    spans = voiced(sound) if role != "noise" else [(0.0, len(sound) / RATE_HZ)]
    if not spans or spans[-1][1] - spans[0][0] < _SHORTEST_S:
        return None
    # From just before its first sound to just after its last.
    begin, end = max(spans[0][0] - 0.1, 0.0), min(spans[-1][1], spans[0][0] + _LONGEST_S)
    piece = sound[round(begin * RATE_HZ) : round((end + 0.1) * RATE_HZ)].copy()
    fade = min(RATE_HZ // 100, len(piece))
    piece[:fade] *= np.linspace(0, 1, fade, dtype=np.float32)
    piece[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32)
    onset_s = float(rng.uniform(*_ONSET_S))
    lead = room(sound, round(onset_s * RATE_HZ), rng)
    whole = np.concatenate([lead, piece, room(sound, round(_AFTER_S * RATE_HZ), rng)])
    return Item(
        name,
        voice.name,
        voice.origin,
        voice.speaker,
        role,
        condition,
        voice.text,
        lay(whole, condition, beds, rng),
        onset_s + spans[0][0] - begin,
        onset_s + end - begin,
        agent=AGENT_TEXTS[int(rng.integers(len(AGENT_TEXTS)))],
        voiced_s=onset_s + first_voiced_s(sound, spans[0][0], end) - begin,
    )


def overlaps(voices: Sequence[Voice], speak: Speak | None) -> list[Item]:
    """All items in which the agent speaks; without `speak` there are no echoes."""
    beds = Beds.of(voices)
    gains = _meeting_gains(voices)
    items: list[Item | None] = []
    for voice in voices:
        if voice.kind == "backchannel" or voice.kind == "noise":
            sound = normal(to_float32(voice.pcm), gains.get(voice.name))
            for condition in beds.conditions:
                name = f"{voice.name}/{condition}/over"
                items.append(over_agent(name, voice, voice.kind, sound, condition, beds))
    for number, voice in enumerate(_interrupting(voices)):
        noisy = beds.conditions[1:]
        for condition in ("clean", noisy[number % len(noisy)]):
            name = f"{voice.name}/{condition}/interrupts"
            sound = normal(to_float32(voice.pcm), gains.get(voice.name))
            items.append(over_agent(name, voice, "interruption", sound, condition, beds))
    for kind in _BURSTS:
        voice = Voice(f"made/{kind}", "made", "", "noise", f"({kind})", b"")
        for condition in beds.conditions:
            name = f"{voice.name}/{condition}/over"
            items.append(over_agent(name, voice, "noise", burst(kind), condition, beds))
    items += [_nothing(condition, beds) for condition in beds.conditions]
    if speak is not None:
        items += [echo(text, speak(text), db, beds) for text in AGENT_TEXTS for db in _ECHO_DB]
    found = [item for item in items if item is not None]
    return found if speak is None else [_sounding(item, speak) for item in found]


def _sounding(item: Item, speak: Speak) -> Item:
    """With what the agent sounds like."""
    pcm = from_float(normal(to_float32(speak(item.agent))))
    return evolve(item, agent_pcm=pcm)


def _meeting_gains(voices: Sequence[Voice]) -> dict[str, float]:
    """One gain for all that was said in the meetings: there listeners speak softer than talkers,
    and that is to stay so. Elsewhere nothing is known of it."""
    said = [v for v in voices if "ami" in v.name.split("/")[-1] or v.origin == "ami"]
    turns = [gain_of(to_float32(v.pcm)) for v in said if v.kind in ("turn", "talk")]
    return {v.name: float(np.median(turns)) for v in said} if turns else {}


def _interrupting(voices: Sequence[Voice]) -> list[Voice]:
    """Whose beginning cuts in: whole turns, and short answers that are no backchannels."""
    spoken = [v for v in voices if v.kind in ("turn", "answer") and v.origin != "asterisk"]
    prompts = [v for v in voices if v.origin == "asterisk" and v.kind == "turn"]
    order = named_rng("interrupting").permutation(len(prompts))[:_ALLISONS]
    short = [v for v in voices if v.origin == "asterisk" and v.text in ("I'm sorry.", "Hello.")]
    return spoken + [prompts[i] for i in sorted(order)] + short


def _nothing(condition: Condition, beds: Beds) -> Item:
    """The agent speaks and nobody says anything."""
    name = f"nothing/{condition}"
    rng = named_rng(name)
    quiet = (rng.standard_normal(12 * RATE_HZ) * 3e-4).astype(np.float32)
    pcm = lay(quiet, condition, beds, rng)
    return Item(
        name, name, "made", "", "silence", condition, "", pcm, 0.0, 0.0, agent=AGENT_TEXTS[0]
    )


def burst(kind: str) -> Samples:
    """Noise in the shape of a sound that is no voice, at -26 dBFS or so."""
    rng = named_rng(kind)
    at = np.arange(RATE_HZ) / RATE_HZ
    noise = rng.standard_normal(RATE_HZ)
    match kind:
        case "cough":  # two puffs through a throat: low-passed, sharp onset, 150 ms each
            throat = np.convolve(noise, np.hanning(12) / 6, mode="same")
            shape = np.exp(-at / 0.06) + (at > 0.3) * np.exp(-np.maximum(at - 0.3, 0) / 0.05)
            sound = throat * shape
        case "door":
            sound = np.convolve(noise, np.hanning(60) / 30, mode="same") * np.exp(-at / 0.12)
        case "click":
            sound = noise * np.exp(-at / 0.01)
        case _:  # a mains hum that is switched on
            sound = sum(np.sin(2 * np.pi * hz * at) / hz * 50 for hz in (50, 150, 250))
    return normal((sound * 0.1).astype(np.float32))


def echo(text: str, spoken: bytes, db: float, beds: Beds) -> Item:
    """The agent's own voice out of a loudspeaker: late, and so much quieter than the caller's."""
    name = f"echo/{AGENT_TEXTS.index(text)}/{db:.0f}"
    rng = named_rng(name)
    sound = normal(to_float32(spoken)) * np.float32(10 ** (db / 20))
    begins_s = AUDIBLE_S + ECHO_DELAY_S
    lead = np.zeros(round(begins_s * RATE_HZ), np.float32)
    whole = np.concatenate([lead, sound])
    whole = whole + (rng.standard_normal(len(whole)) * 3e-4).astype(np.float32)
    pcm = lay(whole, "telephone", beds, rng)
    pace = len(text.split()) / (len(sound) / RATE_HZ)
    return Item(
        name,
        name,
        "made",
        "",
        "echo",
        "telephone",
        text,
        pcm,
        begins_s,
        begins_s,
        agent=text,
        agent_words_per_s=pace,
    )
