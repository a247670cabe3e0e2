"""The embedded synthesiser: hibari, an ONNX model with its voice inside (Apache-2.0, 24 kHz).

It makes a stretch of speech at once (about 9 ms of CPU per second of speech), so a piece is cut at
sentence and clause ends into stretches of a few seconds: the first one is heard while the next are
made, and stopping waits for one stretch at most. hibari surrounds every stretch with a third to
half a second of silence, which is replaced by pauses of our own.
"""

from __future__ import annotations

import importlib.util
import re
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Generator
from contextlib import asynccontextmanager
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import trio
from attrs import frozen

from vantum.config.providers import LocalSettings
from vantum.core.audio import AudioFormat
from vantum.core.messages import (
    EndOfPieces,
    PieceSpoken,
    SpeechAudio,
    SpeechFinished,
    SpeechPiece,
    TtsInput,
    TtsOutput,
)
from vantum.core.resampling import Resampler
from vantum.errors import ConfigError, ProviderError
from vantum.ports import Health
from vantum.providers.local.speakable import speakable
from vantum.providers.local.workers import Workers

Samples: TypeAlias = npt.NDArray[np.float32]

SAMPLE_RATE_HZ: Final = 24_000
#: Phonemes of one stretch, about 5 s of speech: 40 ms of synthesis.
STRETCH_PHONEMES: Final = 90
#: hibari speaks at about -27 dBFS, peaks at half scale; a telephone voice is at about -22.
GAIN: Final = 1.6
#: Quieter than this, at the ends of a stretch, is silence (full scale is 1).
_SILENCE: Final = 0.004
_EDGE_MS: Final = 30  # of the fading sound that is kept at either end
#: Silence before a stretch, after what ended the one before.
_PAUSE_MS: Final = {".": 220, "?": 240, "!": 220, "…": 260, ":": 180, ";": 180, "—": 150, ",": 110}
_NO_PAUSE_MS: Final = 40
_CLAUSE: Final = re.compile(r"(?<=[,;:—…])\s+")
#: Stretches made ahead of what the player has taken: the next piece is ready when one ends, and a
#: cancelled answer has wasted no more than this.
_AHEAD: Final = 4


class LocalTtsProvider:
    """Embedded synthesis. Constructing loads the voice (about 0.7 s, 150 MB): do it in a thread.

    Raises:
        ConfigError: the packages of the extra `local` are not installed.
    """

    def __init__(self, settings: LocalSettings, workers: Workers) -> None:
        del settings  # the voice is inside its package: nothing to choose
        if importlib.util.find_spec("hibari") is None or not importlib.util.find_spec(
            "onnxruntime"
        ):
            raise ConfigError(
                "tts.provider=local needs packages that are not installed: "
                'pip install "vantum[local]"'
            )
        self._voice = Voice()
        self._workers = workers
        self._health = Health(ok=True, detail="voice loaded")

    @property
    def name(self) -> str:
        """Its name in the registry."""
        return "local"

    def health(self) -> Health:
        """Whether the last piece could be synthesised."""
        return self._health

    def for_session(self) -> LocalTts:
        """A synthesiser for one session."""
        return LocalTts(self)

    @asynccontextmanager
    async def stretches(self, text: str) -> AsyncGenerator[AsyncIterator[Stretch], None]:
        """Speak `text` in a worker, one stretch a turn. Raises `ProviderError`."""
        try:
            async with self._workers.iterate(self._voice.stretches, text) as stretches:
                yield stretches
        except (RuntimeError, ValueError, ArithmeticError, LookupError) as error:
            detail = f"synthesis failed ({type(error).__name__})"
            self._health = Health(ok=False, detail=detail)
            raise ProviderError("local", "server", detail) from error
        self._health = Health(ok=True, detail="last synthesis succeeded")


class LocalTts:
    """One session's synthesiser: it has nothing of its own but its place in the workers' queue."""

    def __init__(self, provider: LocalTtsProvider) -> None:
        self._provider = provider

    def rate_hz(self, line: AudioFormat) -> int:
        """The line's, but no more than the voice has: 24 kHz."""
        return min(line.rate_hz, SAMPLE_RATE_HZ)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Nothing to keep open: ready at once, waits to be cancelled."""
        task_status.started()
        await trio.sleep_forever()

    async def synthesize(
        self,
        piece_rx: trio.MemoryReceiveChannel[TtsInput],
        speech_tx: trio.MemorySendChannel[TtsOutput],
        *,
        voice_id: str | None,
        language: str,
        line: AudioFormat,
    ) -> None:
        """Speak one answer; see `vantum.ports.TextToSpeech`.

        There is one voice: `voice_id` (which may be another provider's) and `language` change
        nothing. Gives no word timestamps, because hibari knows none.

        Raises:
            ProviderError: the synthesis of a piece failed.
        """
        del voice_id, language
        made_tx, made_rx = trio.open_memory_channel[TtsOutput | ProviderError](_AHEAD)
        failure: Exception | None = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._make, piece_rx, made_tx, self.rate_hz(line))
            with made_rx:
                async for made in made_rx:
                    if isinstance(made, ProviderError):
                        failure = made
                        continue
                    try:
                        await speech_tx.send(made)
                    except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                        failure = error
                        nursery.cancel_scope.cancel()
        # Raised out here, so that it does not travel in the nursery's exception group.
        if failure is not None:
            raise failure

    async def _make(
        self,
        piece_rx: trio.MemoryReceiveChannel[TtsInput],
        made_tx: trio.MemorySendChannel[TtsOutput | ProviderError],
        rate_hz: int,
    ) -> None:
        pause_ms = 0
        with made_tx:
            async for message in piece_rx:
                match message:
                    case EndOfPieces():
                        await made_tx.send(SpeechFinished())
                        return
                    case SpeechPiece(index, text):
                        # One for each piece: its audio is whole where the piece ends.
                        resampler = Resampler(SAMPLE_RATE_HZ, rate_hz)
                        try:
                            async with self._provider.stretches(text) as stretches:
                                async for stretch in stretches:
                                    pcm = resampler.feed(_pcm(stretch.samples, pause_ms))
                                    await made_tx.send(SpeechAudio(index, pcm))
                                    pause_ms = stretch.pause_ms
                        except ProviderError as error:
                            await made_tx.send(error)
                            return
                        if tail := resampler.finish():
                            await made_tx.send(SpeechAudio(index, tail))
                        await made_tx.send(PieceSpoken(index))


@frozen(eq=False)
class Stretch:
    """Speech without silence around it (24 kHz, full scale 1), and the pause it asks for after."""

    samples: Samples
    pause_ms: int


class Voice:
    """The loaded voice, shared by all sessions. Blocking; safe to use from several threads."""

    def __init__(self) -> None:
        from hibari import Hibari

        self._hibari: Any = Hibari()
        # ONNX sessions may run in several threads at once; the reading of text makes no such
        # promise, and takes two milliseconds.
        self._reading = threading.Lock()
        for _ in self.stretches("Ready."):  # the first run of a session allocates
            pass

    def stretches(self, text: str) -> Generator[Stretch, None, None]:
        """Speak `text` bit by bit; nothing if there is nothing speakable in it.

        The same text sounds the same every time.
        """
        if not (text := speakable(text)):
            return
        with self._reading:
            sentences: list[str] = self._hibari.phonemize(text)
        noise = np.random.default_rng(0)
        for sentence in sentences:
            for phonemes in cut_phonemes(sentence):
                ids = self._hibari.ids(phonemes)
                samples = trim_silence(self._hibari.from_ids(ids, 1.0, noise))
                if len(samples):
                    yield Stretch(samples, _PAUSE_MS.get(phonemes[-1], _NO_PAUSE_MS))


def cut_phonemes(sentence: str, limit: int = STRETCH_PHONEMES) -> list[str]:
    """Cut a sentence's phonemes at clause ends into stretches of about `limit` at most.

    A clause too long by half is cut between two words near its middle: not pretty, but rare.
    """
    stretches: list[str] = []
    for clause in _CLAUSE.split(sentence):
        if stretches and len(stretches[-1]) + len(clause) < limit:
            stretches[-1] += f" {clause}"
        else:
            stretches.append(clause)
    return [part for stretch in stretches for part in _cut_words(stretch, limit * 3 // 2)]


def _cut_words(phonemes: str, limit: int) -> list[str]:
    middle = len(phonemes) // 2
    at = phonemes.rfind(" ", 0, middle)
    if len(phonemes) <= limit or at <= 0:
        return [phonemes]
    return _cut_words(phonemes[:at], limit) + _cut_words(phonemes[at + 1 :], limit)


def trim_silence(samples: Samples) -> Samples:
    """Without the silence at both ends, but for 30 ms of the sound's own fading."""
    loud = np.flatnonzero(np.abs(samples) > _SILENCE)
    if not len(loud):
        return samples[:0]
    edge = _EDGE_MS * SAMPLE_RATE_HZ // 1000
    return samples[max(0, int(loud[0]) - edge) : int(loud[-1]) + edge]


def _pcm(samples: Samples, pause_ms: int) -> bytes:
    """16-bit PCM with `pause_ms` of silence before it."""
    loud = np.clip(samples * (GAIN * 32767), -32767, 32767).astype("<i2")
    pause = bytes(pause_ms * SAMPLE_RATE_HZ // 1000 * 2)
    return pause + bytes(loud.tobytes())
