"""The server's own ear: Silero as `vantum.ports.VoiceActivity`.

The same model and the same segmenter as the embedded recogniser's, with other measures: this ear
hears a clear voice after 64 ms and its end after 96, where the recogniser's utterance ends after
half a second, and leaves it to `vantum.core.endpointing` what a silence means. Voices that are far
fainter than the caller's are none (`vantum.core.loudness`): people talk behind him. The recogniser
hears them still.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from vantum.config.providers import LocalSettings
from vantum.core.audio import Framer, dbfs
from vantum.core.loudness import Loudness
from vantum.core.messages import VoiceEdge
from vantum.errors import ConfigError, ProviderError
from vantum.ports import Health
from vantum.providers.local.catalogue import SILERO
from vantum.providers.local.segmenter import (
    Evidence,
    Segmenter,
    SegmenterOptions,
    SpeechBegan,
    SpeechEnded,
)
from vantum.providers.local.together import Together
from vantum.providers.local.vad import FRAME_BYTES, FRAME_MS, SileroVad, VadStream
from vantum.providers.local.weights import require

NAME: Final = "local"

# Three frames of silence: the closure of a "t" or a "k" lasts less, and every frame more is time
# that somebody waits. Two of clear speech, or more that are less clear: chosen on one half of the
# recordings of docs/benchmarks.md.
_EDGES: Final = SegmenterOptions(
    silence_frames=3, evidence=Evidence(doubt=0.25, most=1.75, enough=2.0)
)


class LocalActivityProvider:
    """The process's embedded voice activity.

    Constructing loads the weights (some 20 ms), unless the embedded recogniser has them already.

    Raises:
        ConfigError: the packages of the extra `local` are not installed.
        ModelsMissing: the weights have not been fetched.
    """

    def __init__(self, settings: LocalSettings, *, vad: SileroVad | None = None) -> None:
        """`vad`: the model if it is loaded already (`LocalSttProvider.ears.vad`)."""
        self._vad = vad or _load(settings)
        self._together = Together()

    @property
    def name(self) -> str:
        """Its name in the registry."""
        return NAME

    def health(self) -> Health:
        """Nothing outside can fail it."""
        return Health(ok=True, detail="weights loaded")

    def for_session(self) -> SileroActivity:
        """An ear for one session's audio."""
        return SileroActivity(self._vad.stream(), self._together)


class SileroActivity:
    """One session's ear (`vantum.ports.VoiceActivity`)."""

    def __init__(self, stream: VadStream, together: Together | None = None) -> None:
        """`together`: whom it shares the model's runs with."""
        self._stream = stream
        self._together = together or Together()
        self._framer = Framer(FRAME_BYTES)
        self._segmenter = Segmenter(_EDGES)
        self._probability = 0.0
        self._loudness = Loudness()

    @property
    def probability(self) -> float:
        """See `vantum.ports.VoiceActivity`."""
        return self._probability

    @property
    def speaking(self) -> bool:
        """See `vantum.ports.VoiceActivity`."""
        return self._segmenter.is_speech

    async def hear(self, pcm: bytes) -> list[VoiceEdge]:
        """See `vantum.ports.VoiceActivity`. Some 0.1 ms for each 32 ms of audio. In a crowd it
        waits up to 10 ms for other calls' audio.

        Raises:
            ProviderError: the model failed.
        """
        edges = []
        for frame, to_come in self._frames(pcm):
            with _named():
                self._probability = await self._together.probability(self._stream, frame)
            edges += self._judge(frame, to_come)
        return edges

    def feed(self, pcm: bytes) -> list[VoiceEdge]:
        """What `hear` gives, at once and alone, for those who listen to recordings.

        Raises:
            ProviderError: the model failed.
        """
        edges = []
        for frame, to_come in self._frames(pcm):
            with _named():
                self._probability = self._stream.probability(frame)
            edges += self._judge(frame, to_come)
        return edges

    def _frames(self, pcm: bytes) -> Iterator[tuple[bytes, int]]:
        """Whole frames, and how many come behind each."""
        frames = self._framer.feed(pcm)
        return zip(frames, reversed(range(len(frames))), strict=True)

    def _judge(self, frame: bytes, to_come: int) -> list[VoiceEdge]:
        self._mind_loudness(frame)
        match self._segmenter.feed(self._probability):
            case SpeechBegan(first):
                return [self._edge(True, first, to_come)]
            case SpeechEnded(first):
                return [self._edge(False, first, to_come)]
            case _:
                return []

    def _mind_loudness(self, frame: bytes) -> None:
        is_voice = self._probability >= _EDGES.start_threshold
        self._loudness = self._loudness.hear(dbfs(frame), voice=is_voice)
        if not self._loudness.is_near:
            self._probability = 0.0

    def _edge(self, speaking: bool, frame: int, to_come: int) -> VoiceEdge:
        """`to_come`: frames of the same piece behind the one that settled it."""
        late_frames = self._segmenter.frame + to_come - frame
        return VoiceEdge(speaking, frame * FRAME_MS / 1000, late_frames * FRAME_MS / 1000)


@contextmanager
def _named() -> Iterator[None]:
    """Whatever goes wrong in the model is the provider's failure."""
    try:
        yield
    except Exception as error:
        detail = f"voice activity failed ({type(error).__name__})"
        raise ProviderError(NAME, "server", detail) from error


def _load(settings: LocalSettings) -> SileroVad:
    if importlib.util.find_spec("onnxruntime") is None:
        raise ConfigError(
            "the embedded voice activity needs packages that are not installed: "
            'pip install "vantum[local]", or set TURN_VOICE_ACTIVITY=off'
        )
    return SileroVad.load(require(settings, SILERO.name))
