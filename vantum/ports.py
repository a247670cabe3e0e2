"""What a provider must offer. Actors know these protocols and no provider.

A *provider* lives as long as the process and holds what sessions share (weights, HTTP pools,
settings). From it a session gets its own *recogniser*, *model* or *synthesiser*, which holds what
belongs to the call (a socket, a context).

Rules for all of them:

- Failures are `vantum.errors.ProviderError`; nothing of a provider's own escapes.
- Cancellation is the only way to stop, works at every await, and leaves nothing running:
  not a thread's work, not a context at the provider, not a socket.
- No deadline of their own for a caller's wait (the caller's scope sets it), but every wait on the
  *network* inside (connect, close, a lost peer) has one.
- Time is `trio.current_time()`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol, runtime_checkable

import trio
from attrs import frozen

from vantum.core.audio import AudioFormat
from vantum.core.messages import (
    ChatRequest,
    ModelOutput,
    SttEvent,
    SttInput,
    TtsInput,
    TtsOutput,
    VoiceEdge,
)
from vantum.core.spent import Spent

#: Of what the server itself hears: an ear's input, and a recogniser's that wants no other.
STT_RATE_HZ = 16_000


@frozen
class Health:
    """How a provider is, as far as its last contacts tell. `detail` is one safe line."""

    ok: bool
    detail: str


class Provider(Protocol):
    """What every provider says of itself."""

    @property
    def name(self) -> str:
        """Its name in the registry."""

    def health(self) -> Health:
        """From recent contacts only: never does I/O, never blocks."""


@runtime_checkable
class Metered(Protocol):
    """A session's recogniser, model or voice that counts what it uses of what is paid for. Not all
    do: for the others it is estimated from the turns of the call."""

    @property
    def spent(self) -> Spent:
        """So far; the same object, which grows."""


class SpeechToText(Protocol):
    """One session's recogniser."""

    async def run(
        self,
        input_rx: trio.MemoryReceiveChannel[SttInput],
        event_tx: trio.MemorySendChannel[SttEvent],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Recognise until cancelled or until `input_rx` ends.

        Calls `task_status.started()` when ready for audio (connected). Connection losses are
        survived inside, without losing or doubling a word. Raises `ProviderError` when the
        provider cannot be reached any more.
        """


@runtime_checkable
class Resumable(Protocol):
    """A recogniser that may be run again after it has failed: it goes on with the audio that it
    holds. Words that it had shown and were not final yet, it made final before it raised; none of
    them comes again. Any other is replaced by a new one, which knows nothing of what was said."""

    @property
    def unheard_s(self) -> float:
        """Seconds of audio that it holds and whose words are not final."""


class SpeechToTextProvider(Provider, Protocol):
    """Makes recognisers."""

    def takes(self, line: AudioFormat) -> AudioFormat:
        """What its recognisers want to be given of a client's line: PCM of `STT_RATE_HZ`, or the
        line's own audio as it comes."""

    def for_session(self, *, language: str, line: AudioFormat) -> SpeechToText:
        """A recogniser for one session, which is given `takes(line)`.

        `language`: BCP 47, such as "en-US".
        """


class LanguageModel(Protocol):
    """One session's model: may keep a cached prefix or a warm connection between answers."""

    def stream(
        self, request: ChatRequest
    ) -> AbstractAsyncContextManager[AsyncIterator[ModelOutput]]:
        """Open an answer; iterating yields non-empty pieces of text as they are generated.

        A model that knows tools also yields `ToolCallBegun` as soon as it names one, and the whole
        `ToolCall` when its arguments are written. It may ask for several in one answer.

        Entering may wait for the provider's response headers; both entering and each step are
        cancellable, and leaving the context stops the generation (at once, within 50 ms).
        """


class LanguageModelProvider(Provider, Protocol):
    """Makes models."""

    def for_session(self) -> LanguageModel:
        """A model for one session."""


class TextToSpeech(Protocol):
    """One session's synthesiser."""

    def rate_hz(self, line: AudioFormat) -> int:
        """Rate of the `SpeechAudio` that it gives for a client's line.

        The line's own, if it can: then nothing has to be resampled. No higher than it has sound
        for, since speech waits in memory.
        """

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Own the session's connection until cancelled; `task_status.started()` when it is open.

        Raises `ProviderError` only if the first connection cannot be made. Later losses are mended
        inside; while the connection is gone, `synthesize` fails with `ProviderError` once the
        reconnect schedule is used up, and the next `synthesize` starts a new schedule.
        """

    async def synthesize(
        self,
        piece_rx: trio.MemoryReceiveChannel[TtsInput],
        speech_tx: trio.MemorySendChannel[TtsOutput],
        *,
        voice_id: str | None,
        language: str,
        line: AudioFormat,
    ) -> None:
        """Speak one answer: pieces until `EndOfPieces` in, audio in order and `SpeechFinished` out.

        Audio comes at `rate_hz(line)`. It is PCM also for a line of mu-law, but need be no finer
        than mu-law then.

        Synthesis of a piece begins when it arrives, not when the previous one was consumed, as far
        as the provider allows. Cancelling stops the synthesis at the provider as well. Does not
        close either channel. One call at a time per session.
        """


class TextToSpeechProvider(Provider, Protocol):
    """Makes synthesisers."""

    def for_session(self) -> TextToSpeech:
        """A synthesiser for one session."""


class VoiceActivity(Protocol):
    """One session's ear for voices: ≤ 1 ms of computation per 32 ms of audio."""

    @property
    def probability(self) -> float:
        """That the last whole frame was speech, 0..1."""

    @property
    def speaking(self) -> bool:
        """Whether the caller's voice is heard, as the edges so far have it."""

    async def hear(self, pcm: bytes) -> list[VoiceEdge]:
        """Listen to 16 kHz PCM of any even length; the edges found in it, in order.

        Waits at most a moment, for what other calls say meanwhile to be heard with it. Edges
        alternate, the first of a stream is a beginning. Pauses within a word are no edges.
        """


class VoiceActivityProvider(Provider, Protocol):
    """Makes ears."""

    def for_session(self) -> VoiceActivity:
        """An ear for one session's audio."""


class TurnDetector(Protocol):
    """Guesses whether the caller has said what he wanted to say. Shared by all sessions."""

    async def probability(self, pcm: bytes, text: str) -> float:
        """That the turn is complete, 0..1: a hint, asked for in a pause.

        Args:
            pcm: 16 kHz PCM of the turn so far with the pause at its end; the last 8 s are used.
            text: the words so far, possibly none yet.

        Raises:
            ProviderError: it failed; the call goes on without.
        """


class TurnDetectorProvider(Provider, TurnDetector, Protocol):
    """A turn detector that says how it is."""
