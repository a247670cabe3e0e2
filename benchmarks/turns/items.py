"""The labelled set: recordings made into what a caller sends, with what is true about it.

Deterministic: the same recordings give the same items, sample for sample.

Labels come from the sound itself, before noise is added: a voice is where its 10 ms frames are not
33 dB below its own loud ones (and stand out of its own background). They do not come from the
detector that is being judged. A silence between two such voices is an inner pause from 200 ms on.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

import numpy as np
from attrs import evolve, frozen
from numpy.typing import NDArray

from benchmarks.recordings import RATE_HZ, convert
from benchmarks.turns.sources import Voice
from vantum.core.audio import from_float, mulaw_decode, mulaw_encode, to_float32

Samples: TypeAlias = NDArray[np.float32]
#: "clean": as recorded. The others add a background, or send it through 8 kHz mu-law, or hear the
#: agent out of a loudspeaker (`benchmarks.turns.echoes`).
Condition: TypeAlias = Literal[
    "clean", "telephone", "office", "crowd", "speakerphone", "other speakerphones"
]
#: What the sound is. "turn", "talk" (its end is not in the recording) and "answer" are judged by
#: when the turn ends; the others sound while the agent speaks.
Role: TypeAlias = Literal[
    "turn", "talk", "answer", "interruption", "backchannel", "noise", "echo", "silence"
]

CONDITIONS: Final[tuple[Condition, ...]] = ("clean", "telephone", "office", "crowd")
#: The agent's pace where nobody hears it.
WORDS_PER_S: Final = 2.7
#: When its first audio leaves, and how long its echo takes.
AUDIBLE_S: Final = 0.1
ECHO_DELAY_S: Final = 0.15
#: A shorter silence is a closure or a catch inside a phrase.
PAUSE_S: Final = 0.2
LEAD_S: Final = 0.6
TAIL_S: Final = 4.0
_GAP_S = 0.11  # where a pause may be made longer: between words, no closure of a consonant
_INSERTED_S = (0.3, 1.5)
_FRAME = RATE_HZ // 100
_LOUD_DB = -26.0
_BELOW_DB, _ABOVE_FLOOR_DB = 33.0, 9.0
_SNR_DB = {"office": 12.0, "crowd": 15.0}


@frozen
class Pause:
    """A silence inside a turn; `made_s` of it were inserted. `between`: two whole sentences."""

    start_s: float
    end_s: float
    made_s: float = 0.0
    between: bool = False

    @property
    def length_s(self) -> float:
        """In all."""
        return self.end_s - self.start_s


@frozen
class Item:
    """One call's audio at 16 kHz and its labels.

    Attributes:
        base: the recording; items of one recording are in the same half.
        role: what is to be judged.
        start_s, end_s: first and last sound of the caller's.
        voiced_s: his first voiced frame, if it was looked for (`benchmarks.turns.voicing`).
        pauses: silences between them.
        agent: what the agent is saying from the item's beginning on; empty: nothing.
        agent_words_per_s: how fast; `agent_pcm`: how it sounds, if that is known.
        track: what comes back of that, from its first sample on, besides `pcm`; `delay_s`: it does
            so much later. `by_phone`: both come in by telephone.
    """

    name: str
    base: str
    origin: str
    speaker: str
    role: Role
    condition: Condition
    text: str
    pcm: bytes
    start_s: float
    end_s: float
    pauses: tuple[Pause, ...] = ()
    agent: str = ""
    agent_words_per_s: float = WORDS_PER_S
    agent_pcm: bytes = b""
    track: bytes = b""
    delay_s: float = ECHO_DELAY_S
    voiced_s: float | None = None
    by_phone: bool = False

    @property
    def heard(self) -> bytes:
        """What comes in if the agent is not stopped."""
        if not self.track:
            return self.pcm
        return self.mixed(0, self.track, round(AUDIBLE_S * RATE_HZ))

    def mixed(self, begin: int, track: bytes, at: int) -> bytes:
        """The audio from sample `begin` on, and this track on top of it from its sample `at` on."""
        samples = to_float32(self.pcm)[begin:].copy()
        added = to_float32(track)[: max(len(samples) - at, 0)]
        samples[at : at + len(added)] += added
        pcm = from_float(np.clip(samples, -1, 1))
        return _by_phone(pcm) if self.by_phone else pcm

    @property
    def unvoiced_s(self) -> float:
        """From his first sound to his first voiced frame."""
        return 0.0 if self.voiced_s is None else max(self.voiced_s - self.start_s, 0.0)

    @property
    def is_stretched(self) -> bool:
        """Some of its pauses were made longer."""
        return any(p.made_s for p in self.pauses)

    @property
    def is_test(self) -> bool:
        """In the half on which nothing is tuned."""
        return zlib.crc32(self.base.encode()) % 2 == 1


# ---------------------------------------------------------------- where the voice is


def levels_db(samples: Samples) -> NDArray[np.float64]:
    """Of each 10 ms."""
    frames = samples[: len(samples) // _FRAME * _FRAME].reshape(-1, _FRAME).astype(np.float64)
    levels: NDArray[np.float64] = 10 * np.log10((frames**2).mean(axis=1) + 1e-10)
    return levels


def voiced(samples: Samples) -> list[tuple[float, float]]:
    """Where somebody is heard, in seconds: silences under 110 ms are bridged, clicks dropped."""
    levels = levels_db(samples)
    loud, floor = np.percentile(levels, 95), np.percentile(levels, 10)
    threshold = max(loud - _BELOW_DB, min(floor + _ABOVE_FLOOR_DB, loud - 6))
    spans: list[tuple[int, int]] = []
    for at in np.flatnonzero(levels > threshold):
        if spans and at - spans[-1][1] < _GAP_S * 100:
            spans[-1] = (spans[-1][0], int(at) + 1)
        else:
            spans.append((int(at), int(at) + 1))
    return [(begin / 100, end / 100) for begin, end in spans if end - begin >= 4]


def gain_of(samples: Samples) -> float:
    """What brings the loud tenth of a recording to the level of all others, -26 dBFS."""
    return float(10 ** ((_LOUD_DB - np.percentile(levels_db(samples), 90)) / 20))


def normal(samples: Samples, gain: float | None = None) -> Samples:
    """Louder by `gain`, or at the level of all others; never so loud that it is clipped."""
    loudest = float(np.abs(samples).max()) or 1.0
    wanted = gain_of(samples) if gain is None else gain
    return (samples * min(wanted, 0.95 / loudest)).astype(np.float32)


def room(samples: Samples, count: int, rng: np.random.Generator) -> Samples:
    """So much of the recording's own background: noise of its quietest fifth of a second."""
    window = RATE_HZ // 5
    starts = range(0, max(len(samples) - window, 1), window // 4)
    quiet = min((samples[at : at + window] for at in starts), key=lambda s: float((s**2).sum()))
    spectrum = np.abs(np.fft.rfft(quiet * np.hanning(len(quiet)))) + 1e-6
    white = np.fft.rfft(rng.standard_normal(count + window))
    at = np.linspace(0, len(spectrum) - 1, len(white))
    noise = np.fft.irfft(white * np.interp(at, np.arange(len(spectrum)), spectrum))[:count]
    level = np.sqrt((quiet**2).mean()) / (np.sqrt((noise**2).mean()) + 1e-12)
    found: Samples = (noise * max(level, 3e-4)).astype(np.float32)
    return found


# ---------------------------------------------------------------- making items


def named_rng(name: str) -> np.random.Generator:
    """The same numbers for the same name."""
    return np.random.default_rng(zlib.crc32(name.encode()))


@frozen
class Beds:
    """Backgrounds by condition; without them there are only clean lines and telephones."""

    samples: dict[str, Samples]

    @classmethod
    def of(cls, voices: Sequence[Voice]) -> Beds:
        """From the voices of kind "bed"."""
        named = {v.name: to_float32(v.pcm) for v in voices if v.kind == "bed"}
        found = {
            condition: next((s for name, s in named.items() if condition in name), None)
            for condition in _SNR_DB
        }
        return cls({c: s for c, s in found.items() if s is not None})

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """That can be had."""
        return tuple(c for c in CONDITIONS if c not in _SNR_DB or c in self.samples)


def lay(samples: Samples, condition: Condition, beds: Beds, rng: np.random.Generator) -> bytes:
    """As it comes in under this condition."""
    if condition in _SNR_DB:
        bed = beds.samples[condition]
        rolled = np.resize(np.roll(bed, -int(rng.integers(len(bed)))), len(samples))
        wanted = _LOUD_DB - _SNR_DB[condition]
        gain = 10 ** ((wanted - 10 * np.log10((rolled**2).mean() + 1e-10)) / 20)
        samples = samples + rolled * gain
    pcm = from_float(np.clip(samples, -1, 1))
    return _by_phone(pcm) if condition == "telephone" else pcm


def _by_phone(pcm: bytes) -> bytes:
    return convert(mulaw_decode(mulaw_encode(convert(pcm, RATE_HZ, 8000))), 8000, RATE_HZ)


def stretch(
    samples: Samples, spans: list[tuple[float, float]], rng: np.random.Generator
) -> tuple[Samples, list[float]]:
    """Make one or two gaps longer by 300 to 1500 ms; what was inserted into each gap."""
    made = [0.0] * (len(spans) - 1)
    chosen = sorted(rng.permutation(len(made))[:2])
    parts, taken = [], 0
    for gap in chosen:
        made[gap] = float(np.exp(rng.uniform(*np.log(_INSERTED_S))))
        at = round((spans[gap][1] + spans[gap + 1][0]) / 2 * RATE_HZ)
        parts += [samples[taken:at], room(samples, round(made[gap] * RATE_HZ), rng)]
        taken = at
    return np.concatenate([*parts, samples[taken:]]), made


#: By so much of a turn its letters may run ahead of its sound, or lag behind.
_DRIFT = 0.12


def sentence_gaps(text: str, spans: list[tuple[float, float]]) -> set[int]:
    """The gaps that lie between two sentences of the text, by the share of letters before them.

    A text without punctuation has none: its pauses are taken for inner ones.
    """
    words = text.split()
    letters = [len(word) for word in words]
    spoken = [end - begin for begin, end in spans]
    shares = [sum(spoken[: gap + 1]) / sum(spoken) for gap in range(len(spans) - 1)]
    found = set()
    for at, word in enumerate(words[:-1], 1):
        if not word.endswith((".", "?", "!")):
            continue
        share = sum(letters[:at]) / sum(letters)
        near = [gap for gap, here in enumerate(shares) if abs(here - share) <= _DRIFT]
        if near:
            found.add(max(near, key=lambda gap: spans[gap + 1][0] - spans[gap][1]))
    return found


def pauses_in(
    spans: list[tuple[float, float]], made: list[float], between: set[int]
) -> list[Pause]:
    """The inner pauses, `made` longer than they were; `spans` are those before that."""
    found, shift_s = [], 0.0
    for gap, more_s in enumerate(made):
        start_s = spans[gap][1] + shift_s
        shift_s += more_s
        end_s = spans[gap + 1][0] + shift_s
        if end_s - start_s >= PAUSE_S:
            found.append(Pause(start_s, end_s, more_s, gap in between))
    return found


def turn_item(
    voice: Voice, condition: Condition, beds: Beds, *, stretched: bool = False
) -> Item | None:
    """A turn between two silences; None if nothing is heard, or there is no gap to stretch."""
    name = f"{voice.name}/{condition}" + ("/stretched" if stretched else "")
    rng = named_rng(name)
    samples = normal(to_float32(voice.pcm))
    spans = voiced(samples)
    if not spans or (stretched and len(spans) < 2):
        return None
    made = [0.0] * (len(spans) - 1)
    end_s = spans[-1][1]
    if stretched:
        samples, made = stretch(samples, spans, rng)
        end_s += sum(made)
    lead, tail = (
        room(samples, int(LEAD_S * RATE_HZ), rng),
        room(samples, int(TAIL_S * RATE_HZ), rng),
    )
    # Nothing behind the last sound but the room: the recording may go on with another's voice.
    after = round(min(end_s + 0.1, len(samples) / RATE_HZ) * RATE_HZ)
    whole = np.concatenate([lead, samples[:after], tail])
    pauses = [
        evolve(p, start_s=p.start_s + LEAD_S, end_s=p.end_s + LEAD_S)
        for p in pauses_in(spans, made, sentence_gaps(voice.text, spans))
    ]
    role: Role = voice.kind if voice.kind in ("talk", "answer") else "turn"
    return Item(
        name,
        voice.name,
        voice.origin,
        voice.speaker,
        role,
        condition,
        voice.text,
        lay(whole, condition, beds, rng),
        spans[0][0] + LEAD_S,
        end_s + LEAD_S,
        tuple(pauses),
    )


_ANSWERS: Final = frozenset(
    (
        *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
        *("sunday", "monday", "tuesday", "friday", "today", "tomorrow", "yesterday", "march"),
        *("july", "october", "november", "hello.", "goodbye!", "hours", "first", "cancelled."),
        *("extension.", "activated.", "twelve", "twenty", "hundred"),
    )
)
_ALLISONS = 70
_MIN_WORDS = 5


def turns(voices: Sequence[Voice]) -> list[Item]:
    """All items that are judged by when the turn ends, every recording in several conditions."""
    beds = Beds.of(voices)
    spoken = [v for v in voices if v.kind in ("turn", "talk", "answer")]
    prompts = [
        v
        for v in spoken
        if v.origin == "asterisk" and v.kind == "turn" and len(v.text.split()) >= _MIN_WORDS
    ]
    order = named_rng("asterisk").permutation(len(prompts))
    chosen = {prompts[i].name for i in order[:_ALLISONS]}
    items: list[Item | None] = []
    for number, voice in enumerate(spoken):
        noisy = beds.conditions[1:]
        condition = noisy[number % len(noisy)] if noisy else "clean"
        if voice.origin == "asterisk":
            wanted = voice.text.lower() in _ANSWERS if voice.kind == "answer" else None
            if not (voice.name in chosen if wanted is None else wanted):
                continue
        items += [turn_item(voice, "clean", beds), turn_item(voice, condition, beds)]
        if voice.kind != "answer":
            items += [
                turn_item(voice, "clean", beds, stretched=True),
                turn_item(voice, condition, beds, stretched=True),
            ]
    return [item for item in items if item is not None]
