"""What the server hears of an item, offline: the embedded ear, recogniser and detector.

The same objects as in the server, on the audio's own clock. What the models say is kept in a file,
so that another setting of the policies costs no model run: the ear's probability of each frame, the
recogniser's text of each stretch, the detector's answer at each place.
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, cast

from attrs import define, field

from benchmarks.recordings import RATE_HZ
from vantum.config.providers import LocalSettings
from vantum.core.audio import to_float32
from vantum.core.messages import (
    SpeechStarted,
    SttEvent,
    SttFlushed,
    UtteranceEnded,
    VoiceEdge,
)
from vantum.providers.local.activity import SileroActivity
from vantum.providers.local.moonshine import NOTHING, Moonshine, Recognition
from vantum.providers.local.stt import is_credible, to_transcript
from vantum.providers.local.turn import SmartTurn
from vantum.providers.local.utterances import (
    Began,
    CutterOptions,
    Settle,
    Sketch,
    Stretch,
    Task,
    UtteranceCutter,
)
from vantum.providers.local.vad import FRAME_BYTES, FRAME_SAMPLES, SileroVad, VadStream
from vantum.providers.local.weights import MOONSHINE, SILERO, SMART_TURN, require

FRAME_S: Final = FRAME_SAMPLES / RATE_HZ
#: How long the models take: measured on the machine of docs/benchmarks.md, rounded up.
_RECOGNITION_S, _RECOGNITION_PER_S = 0.03, 0.02
DETECTION_S: Final = 0.03
_HEARS_S = 8.0
_PAUSE_FRAMES = 16


@define
class Models:
    """The three models, and all they have said so far."""

    _silero: SileroVad
    _moonshine: Moonshine
    _smart_turn: SmartTurn
    _file: Path | None
    _said: dict[tuple[str, ...], Any] = field(factory=dict)
    runs: int = 0
    _edges: dict[str, list[list[VoiceEdge]]] = field(factory=dict)

    @classmethod
    def load(cls, cache: Path | None) -> Models:
        """`cache`: a file that outlasts the process."""
        settings = LocalSettings()
        said = pickle.loads(cache.read_bytes()) if cache and cache.is_file() else {}
        said = {key: _complete(found) for key, found in said.items()}
        return cls(
            SileroVad.load(require(settings, SILERO.name)),
            Moonshine.load(require(settings, MOONSHINE.name)),
            SmartTurn.load(require(settings, SMART_TURN.name)),
            cache,
            said,
        )

    def save(self) -> None:
        """Keep what was said."""
        if self._file is not None and self.runs:
            self._file.write_bytes(pickle.dumps(self._said))

    def _once(self, key: tuple[str, ...], run: Callable[[], Any]) -> Any:
        if key not in self._said:
            self._said[key] = run()
            self.runs += 1
        return self._said[key]

    def voice(self, key: str, pcm: bytes) -> list[float]:
        """The ear's probability of each frame."""

        def run() -> list[float]:
            stream = self._silero.stream()
            ends = range(FRAME_BYTES, len(pcm) + 1, FRAME_BYTES)
            return [stream.probability(pcm[end - FRAME_BYTES : end]) for end in ends]

        return cast("list[float]", self._once((key, "voice"), run))

    def edges(self, key: str, pcm: bytes) -> list[list[VoiceEdge]]:
        """What an ear that has heard nothing before says at each frame."""
        if key not in self._edges:
            ear = SileroActivity(cast(VadStream, _Known(self.voice(key, pcm))))
            ends = range(FRAME_BYTES, len(pcm) + 1, FRAME_BYTES)
            self._edges[key] = [ear.feed(pcm[end - FRAME_BYTES : end]) for end in ends]
        return self._edges[key]

    def recognise(self, key: str, stretch: Stretch) -> Recognition:
        """What is understood of a stretch."""

        def run() -> Recognition:
            found = self._moonshine.recognise(to_float32(stretch.pcm))
            return found if is_credible(found) else NOTHING

        if not stretch.pcm:
            return NOTHING
        place = str(stretch.start), str(stretch.end)
        return cast(Recognition, self._once((key, "words", *place), run))

    def complete(self, key: str, pcm: bytes, end: int) -> float:
        """Whether the turn up to this sample sounds complete."""
        begin = max(0, end - int(_HEARS_S * RATE_HZ))
        run = lambda: self._smart_turn.probability(pcm[2 * begin : 2 * end])  # noqa: E731
        return cast(float, self._once((key, "turn", str(end)), run))


def _complete(found: Any) -> Any:
    """What was kept before recognitions had tokens lacks them, and could not be kept again."""
    if isinstance(found, Recognition) and not hasattr(found, "tokens"):
        return Recognition(found.words, found.confidence)
    return found


def key_of(pcm: bytes) -> str:
    """Under which the models' words about this audio are kept."""
    return hashlib.sha1(pcm, usedforsecurity=False).hexdigest()


@define
class _Known:
    """Silero's answers, one by one, in place of Silero (`VadStream`)."""

    probabilities: list[float]
    at: int = 0

    def probability(self, frame: bytes) -> float:
        self.at += 1
        return self.probabilities[self.at - 1]


@define
class Hearing:
    """One item, heard frame by frame: edges of the voice at once, texts when they are due."""

    models: Models
    pcm: bytes
    key: str
    probabilities: list[float]
    known_voice: _Known
    ear: SileroActivity
    edges: list[list[VoiceEdge]] | None  # if the ear is fresh, what it will say
    cutter: UtteranceCutter
    frame: int = 0
    free_s: float = 0.0
    known: tuple[Stretch, Recognition] | None = None
    due: list[tuple[float, SttEvent]] = field(factory=list)
    interim: tuple[float, float, SttEvent | None] | None = None  # began, ends, says

    @classmethod
    def of(
        cls, models: Models, pcm: bytes, settings: LocalSettings, before: bytes = b""
    ) -> Hearing:
        """Hear this audio from the beginning. `before`: the ear has heard that already."""
        key = key_of(pcm)
        probabilities = models.voice(key, pcm)
        before = before[: len(before) // FRAME_BYTES * FRAME_BYTES]
        pause = bytes(_PAUSE_FRAMES * FRAME_BYTES)
        heard = models.voice(key_of(before), before) if before else []
        known = _Known([*heard, *(0.0 for _ in range(_PAUSE_FRAMES)), *probabilities])
        ear = SileroActivity(cast(VadStream, known))
        ear.feed(before + pause)
        options = CutterOptions.from_ms(
            silence_ms=settings.silence_ms, interim_ms=settings.interim_ms
        )
        edges = None if before else models.edges(key, pcm)
        cutter = UtteranceCutter(options)
        return cls(models, pcm, key, probabilities, known, ear, edges, cutter)

    @property
    def frames(self) -> int:
        """In all."""
        return len(self.probabilities)

    @property
    def now_s(self) -> float:
        """So much was heard."""
        return self.frame * FRAME_S

    def step(self) -> list[VoiceEdge]:
        """Hear the next frame; the recogniser's part of it comes with `take_due`."""
        at = self.frame * FRAME_BYTES
        piece, probability = self.pcm[at : at + FRAME_BYTES], self.probabilities[self.frame]
        self.frame += 1
        edges = self.ear.feed(piece) if self.edges is None else self.edges[self.frame - 1]
        for task in self.cutter.feed(piece, probability):
            self._ask(task)
        return edges

    def flush(self, flush_id: int, now_s: float) -> None:
        """Ask for the last words; the answer is due like everything else."""
        for task in self.cutter.flush(b""):
            self._ask(task)
        self.due.append((max(now_s, self.free_s) + 0.001, SttFlushed(flush_id)))

    def replace(self, rest: bytes) -> None:
        """From here on something else comes in."""
        self.pcm = self.pcm[: self.frame * FRAME_BYTES] + rest
        self.key = key_of(self.pcm)
        self.probabilities = self.models.voice(self.key, self.pcm)
        known = self.known_voice
        known.probabilities[known.at :] = self.probabilities[self.frame :]

    def complete(self) -> float:
        """What the detector says now."""
        return self.models.complete(self.key, self.pcm, self.frame * FRAME_SAMPLES)

    def next_s(self) -> float:
        """When the recogniser says something next; infinity: nothing is due."""
        times = [at_s for at_s, _ in self.due]
        if self.interim is not None:
            times.append(self.interim[1])
        return min(times, default=float("inf"))

    def take_due(self, now_s: float) -> list[SttEvent]:
        """What it has said by now, in order."""
        if self.interim is not None and self.interim[1] <= now_s:
            _, ends_s, said = self.interim
            self.interim = None
            if said is not None:
                self.due.append((ends_s, said))
        ready = sorted((d for d in self.due if d[0] <= now_s), key=lambda d: d[0])
        self.due = [d for d in self.due if d[0] > now_s]
        return [event for _, event in ready]

    def _ask(self, task: Task) -> None:
        now_s = self.now_s
        match task:
            case Began(at):
                self.due.append((max(now_s, self.free_s), SpeechStarted(at / RATE_HZ)))
            case Sketch(stretch=stretch, settling=settling):
                busy = self.free_s > now_s or self.interim is not None
                if not settling and busy:
                    return  # the next one is half a second away
                self._sketch(stretch, settling, now_s)
            case Settle(stretch=stretch):
                self._settle(stretch, task.utterance_ended_at, now_s)

    def _sketch(self, stretch: Stretch, settling: bool, now_s: float) -> None:
        found = self.models.recognise(self.key, stretch)
        said = to_transcript(stretch, found, is_final=False) if found.words else None
        if not settling:
            self.interim = (now_s, now_s + _takes_s(stretch), said)
            self.known = stretch, found
            return
        self.interim = None  # whatever is being recognised makes room
        self.free_s = max(now_s, self.free_s) + _takes_s(stretch)
        self.known = stretch, found
        if said is not None:
            self.due.append((self.free_s, said))

    def _settle(self, stretch: Stretch, ended_at: int | None, now_s: float) -> None:
        self.interim = None
        known = self.known
        is_known = known is not None and (known[0].start, known[0].end) == (
            stretch.start,
            stretch.end,
        )
        found = self.models.recognise(self.key, stretch)
        self.known = None
        self.free_s = max(now_s, self.free_s) + (0.0 if is_known else _takes_s(stretch))
        if found.words:
            self.due.append((self.free_s, to_transcript(stretch, found, is_final=True)))
        if ended_at is not None:
            self.due.append((self.free_s, UtteranceEnded(ended_at / RATE_HZ)))


def _takes_s(stretch: Stretch) -> float:
    return _RECOGNITION_S + _RECOGNITION_PER_S * len(stretch.pcm) / 2 / RATE_HZ
