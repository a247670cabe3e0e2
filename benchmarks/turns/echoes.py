"""The agent out of a loudspeaker: echoes of several rooms, and callers who speak into them.

Two sets. With `SPEAKERPHONES` the way in which an echo is known was made; `OTHERS` are other rooms,
other delays, other voices of the agent's and other callers, and nothing was chosen by them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final, Literal, TypeAlias

import numpy as np
from attrs import evolve, frozen

from benchmarks.recordings import RATE_HZ
from benchmarks.turns.items import Beds, Condition, Item, Samples, levels_db, named_rng, normal
from benchmarks.turns.overlaps import AGENT_TEXTS, Speak, over_agent
from benchmarks.turns.sources import Voice
from vantum.core.audio import from_float, to_float32

Loudspeaker: TypeAlias = Literal["laptop", "phone", "tiny"]

_BAND_HZ: Final[dict[Loudspeaker, tuple[int, int]]] = {
    "laptop": (200, 7000),
    "phone": (350, 3400),
    "tiny": (500, 6000),
}
_LOUD_DB: Final = -26.0
_AFTER_S: Final = 1.5


@frozen
class Place:
    """Where the caller's phone lies.

    Attributes:
        loss_db: the echo's loudness, against the caller's own.
        delay_s: from our playing it to its coming in.
        rings_s: reverberation time; `direct_db`: the direct sound against the reverberation.
        drift: by how much the phone's clock is off; `jumps`: how often its buffer skips by up to
            30 ms.
        by_phone: through 8 kHz mu-law.
    """

    loss_db: float
    delay_s: float
    rings_s: float
    direct_db: float
    loudspeaker: Loudspeaker
    drift: float = 0.0
    jumps: int = 0
    by_phone: bool = True


SPEAKERPHONES: Final = (
    Place(-6, 0.05, 0.2, 6, "laptop", by_phone=False),
    Place(-12, 0.3, 0.4, 0, "phone", 5e-5),
    Place(-18, 0.55, 0.6, -3, "tiny", -1e-4, 2),
    Place(-18, 0.2, 0.3, 3, "phone", 0, 3),
    Place(-25, 0.8, 0.4, 0, "phone"),
    Place(-12, 0.4, 0.6, -5, "laptop", by_phone=False),
)
OTHERS: Final = (
    Place(-8, 0.09, 0.3, 3, "laptop", 3e-5, 1, by_phone=False),
    Place(-15, 0.42, 0.5, -1, "phone", -8e-5, 1),
    Place(-20, 0.7, 0.25, 4, "tiny", 0, 3),
    Place(-30, 0.25, 0.35, 0, "phone"),
    Place(-10, 0.15, 0.6, -4, "phone", 0, 2),
)
#: Who speaks for the agent besides the synthesiser, in the second set.
_SPEAKERS: Final = ("LibriVox", "Allison")
_AGENT_S: Final = 11.0


def echo_track(ours: Samples, place: Place, rng: np.random.Generator) -> Samples:
    """What comes back of `ours`, which begins to sound at sample 0. The direct sound and a tail of
    noise that decays (Polack's model of a room), through a loudspeaker that saturates a little."""
    sound = _loudspeaker(ours, place, rng)
    at = np.arange(round(RATE_HZ * place.rings_s)) / RATE_HZ
    tail = rng.standard_normal(len(at)) * 10 ** (-3 * at / place.rings_s)
    tail[: RATE_HZ // 500] = 0
    response = tail / np.sqrt((tail**2).sum()) * 10 ** (-place.direct_db / 20)
    response[0] += 1
    size = len(sound) + len(response)
    echo = np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(response, size), size)
    where = np.arange(size) * (1 + place.drift)
    echo = np.interp(where, np.arange(size), echo)
    loud_db = float(np.percentile(levels_db(echo.astype(np.float32)), 90))
    echo *= 10 ** ((_LOUD_DB + place.loss_db - loud_db) / 20)
    return _late(np.asarray(echo, np.float32), place, rng)


def _loudspeaker(ours: Samples, place: Place, rng: np.random.Generator) -> Samples:
    low_hz, high_hz = _BAND_HZ[place.loudspeaker]
    hz = np.fft.rfftfreq(len(ours), 1 / RATE_HZ)
    gain = 1 / np.sqrt(1 + (low_hz / np.maximum(hz, 1)) ** 6) / np.sqrt(1 + (hz / high_hz) ** 8)
    gain *= 10 ** (np.interp(hz, np.linspace(0, 8000, 20), rng.normal(0, 3, 20)) / 20)
    sound = np.fft.irfft(np.fft.rfft(ours) * gain, len(ours))
    peak = float(np.abs(sound).max()) or 1.0
    return np.asarray(np.tanh(1.2 * sound / peak) / 1.2 * peak, np.float32)


def _late(echo: Samples, place: Place, rng: np.random.Generator) -> Samples:
    delay = round(place.delay_s * RATE_HZ)
    late = np.zeros(len(echo) + delay + RATE_HZ // 2)
    borders = [0, *sorted(int(n) for n in rng.integers(0, len(echo), place.jumps)), len(echo)]
    for begin, end in pairwise(borders):
        late[begin + delay : end + delay] = echo[begin:end]
        delay = max(delay + round(float(rng.uniform(-0.03, 0.03)) * RATE_HZ), 0)
    return np.asarray(late, np.float32)


@frozen
class _Agent:
    name: str
    text: str
    pcm: bytes


def _agents(voices: Sequence[Voice], speak: Speak) -> tuple[list[_Agent], list[_Agent]]:
    """Of the first set, and of the second."""
    said = [_Agent(f"text{n}", text, speak(text)) for n, text in enumerate(AGENT_TEXTS)]
    others = []
    for speaker in _SPEAKERS:
        own = [v for v in voices if v.speaker == speaker and len(v.text.split()) > 7]
        texts, parts, length = [], [], 0
        for voice in own[-12:]:
            if length < _AGENT_S * RATE_HZ:
                samples = normal(to_float32(voice.pcm))
                parts += [samples, np.zeros(RATE_HZ // 4, np.float32)]
                texts.append(voice.text)
                length += len(parts[-2]) + len(parts[-1])
        if parts:
            others.append(_Agent(speaker, " ".join(texts), from_float(np.concatenate(parts))))
    return said[:2], said[2:] + others


def echoes(voices: Sequence[Voice], speak: Speak) -> list[Item]:
    """All items: in each place the caller is silent once, and cuts in once."""
    beds = Beds.of(voices)
    talkers = [v for v in voices if v.kind in ("turn", "answer") and v.origin != "asterisk"]
    first = [v for v in talkers if v.origin == "mfa"]
    second = [v for v in talkers if v.origin not in ("mfa", "repository")]
    made, others = _agents(voices, speak)
    sets: tuple[tuple[Condition, tuple[Place, ...], list[_Agent], list[Voice]], ...] = (
        ("speakerphone", SPEAKERPHONES, made, first),
        ("other speakerphones", OTHERS, others, second),
    )
    found: list[Item | None] = []
    count = 0
    for condition, places, agents, callers in sets:
        for agent in agents:
            for number, place in enumerate(places):
                name = f"{condition}/{agent.name}/{number}"
                found.append(_alone(name, condition, agent, place))
                if callers:
                    caller = callers[count % len(callers)]
                    found.append(_cuts_in(name, condition, agent, place, caller, beds))
                count += 1
    return [item for item in found if item is not None]


def _alone(name: str, condition: Condition, agent: _Agent, place: Place) -> Item:
    rng = named_rng(name)
    track = echo_track(normal(to_float32(agent.pcm)), place, rng)
    quiet = rng.standard_normal(len(track) + round(_AFTER_S * RATE_HZ)) * 3e-4
    pcm = from_float(quiet.astype(np.float32))
    item = Item(name, name, "made", "", "echo", condition, agent.text, pcm, 0.0, 0.0)
    return _with_echo(item, agent, track, place)


def _cuts_in(
    name: str, condition: Condition, agent: _Agent, place: Place, caller: Voice, beds: Beds
) -> Item | None:
    name = f"{name}/{caller.name}"
    sound = normal(to_float32(caller.pcm))
    item = over_agent(name, caller, "interruption", sound, "clean", beds)
    if item is None:
        return None
    track = echo_track(normal(to_float32(agent.pcm)), place, named_rng(name))
    return _with_echo(evolve(item, condition=condition), agent, track, place)


def _with_echo(item: Item, agent: _Agent, track: Samples, place: Place) -> Item:
    return evolve(
        item,
        agent=agent.text,
        agent_pcm=agent.pcm,
        agent_words_per_s=len(agent.text.split()) / (len(agent.pcm) / 2 / RATE_HZ),
        track=from_float(np.clip(track, -1, 1)),
        delay_s=place.delay_s,
        by_phone=place.by_phone,
    )
