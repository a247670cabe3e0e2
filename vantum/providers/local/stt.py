"""The embedded recogniser: Silero hears whether somebody speaks, Moonshine understands what.

Two tasks a session. One listens: it cuts the stream into utterances on the event loop (0.1 ms a
frame) and says what is to be recognised. The other recognises, one stretch after the other, in the
workers that all sessions share.

What keeps the final text fast: when the voice falls silent, the stretch is recognised at once,
while one still waits whether the caller goes on; if he does not, the text is there already. Interim
texts are recognised only when a worker is idle, and stop (within a decoder step, about 5 ms) when
anybody's final text needs the worker.

Times of words are not the model's: a stretch's time is shared out in proportion to their letters.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import Final, TypeAlias

import numpy as np
import trio
from attrs import frozen
from numpy.typing import NDArray

from vantum.config.providers import LocalSettings
from vantum.core.audio import AudioFormat, Framer, to_float32
from vantum.core.messages import (
    SpeechStarted,
    SttAudio,
    SttEvent,
    SttFlush,
    SttFlushed,
    SttInput,
    Transcript,
    UtteranceEnded,
    Word,
)
from vantum.errors import ConfigError, ProviderError
from vantum.ports import STT_RATE_HZ, Health
from vantum.providers.local.catalogue import MOONSHINE, SILERO
from vantum.providers.local.moonshine import NOTHING, Moonshine, Recognition
from vantum.providers.local.utterances import (
    Began,
    CutterOptions,
    Settle,
    Sketch,
    Stretch,
    UtteranceCutter,
)
from vantum.providers.local.vad import FRAME_BYTES, SileroVad, VadStream
from vantum.providers.local.weights import require
from vantum.providers.local.workers import Workers

NAME: Final = "local"

# Utterances that may wait for their recognition: whoever is that far behind should slow the
# listener down, so that the audio waits (and is counted) where audio waits.
_TASKS: Final = 8
# Frames between two looks at the event loop's other tasks: about a millisecond.
_FRAMES_AT_ONCE: Final = 8
# Below it the model guesses: music, a cough, a dog. Real speech, even noisy, lies above 0.6.
_MIN_CONFIDENCE: Final = 0.4

_Task: TypeAlias = Began | Sketch | Settle | SttFlush


@frozen
class Ears:
    """The two loaded models."""

    vad: SileroVad
    moonshine: Moonshine


class LocalSttProvider:
    """The process's embedded recogniser.

    Constructing loads the weights (about half a second): do it in a thread.

    Raises:
        ConfigError: the packages of the extra `local` are not installed.
        ModelsMissing: the weights have not been fetched.
    """

    def __init__(
        self, settings: LocalSettings, workers: Workers, *, ears: Ears | None = None
    ) -> None:
        """`ears`: models that another provider has loaded already."""
        self._settings = settings
        self._workers = workers
        self.ears = ears or _load(settings)
        self._health = Health(ok=True, detail="weights loaded")
        self._interims: set[trio.CancelScope] = set()

    @property
    def name(self) -> str:
        """Its name in the registry."""
        return NAME

    def health(self) -> Health:
        """Whether the last recognition worked."""
        return self._health

    def takes(self, line: AudioFormat) -> AudioFormat:
        """16 kHz PCM: its models know no other."""
        return AudioFormat(STT_RATE_HZ)

    def for_session(self, *, language: str, line: AudioFormat) -> LocalRecogniser:
        """A recogniser for one session. It understands English only: `run` refuses the rest."""
        options = CutterOptions.from_ms(
            silence_ms=self._settings.silence_ms, interim_ms=self._settings.interim_ms
        )
        return LocalRecogniser(self, options, language)

    def vad(self) -> VadStream:
        """A session's voice activity."""
        return self.ears.vad.stream()

    async def recognise(
        self, stretch: Stretch, *, urgent: bool, draft: Sequence[int] = ()
    ) -> Recognition:
        """Understand a stretch of at most 10 s in a worker.

        Args:
            stretch: the audio.
            urgent: not an interim text: those make room for it.
            draft: the tokens of its beginning, if that was understood before.

        Raises:
            ProviderError: the model failed.
        """
        if not stretch.pcm:
            return NOTHING
        if urgent and not self._workers.idle:
            for interim in self._interims:
                interim.cancel()
        try:
            recognition = await self._workers.run(
                _recognise, self.ears.moonshine, stretch.pcm, draft
            )
        except Exception as error:
            detail = f"recognition failed ({type(error).__name__})"
            self._health = Health(ok=False, detail=detail)
            raise ProviderError(NAME, "server", detail) from error
        self._health = Health(ok=True, detail="last recognition succeeded")
        return recognition if is_credible(recognition) else NOTHING

    async def recognise_if_idle(
        self, stretch: Stretch, scope: trio.CancelScope, *, draft: Sequence[int] = ()
    ) -> Recognition:
        """Understand a stretch if no worker has anything better to do; `scope` is cancelled if so.

        The caller is inside `scope`.
        """
        if not self._workers.idle:
            scope.cancel()
        self._interims.add(scope)
        try:
            return await self.recognise(stretch, urgent=False, draft=draft)
        finally:
            self._interims.discard(scope)


class LocalRecogniser:
    """One session's recogniser (`vantum.ports.SpeechToText`)."""

    def __init__(self, provider: LocalSttProvider, options: CutterOptions, language: str) -> None:
        self._provider = provider
        self._options = options
        self._language = language
        self._sketching: tuple[Stretch, trio.CancelScope] | None = None
        self._known: tuple[Stretch, Recognition] | None = None  # the last sketch
        self._pending = 0  # stretches that are waiting or being recognised

    async def run(
        self,
        input_rx: trio.MemoryReceiveChannel[SttInput],
        event_tx: trio.MemorySendChannel[SttEvent],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """See `vantum.ports.SpeechToText`.

        Cancelling waits for the model's running step, some 5 ms (the encoder's one: up to 60 ms).

        Raises:
            ProviderError: the language is not English, or the model failed.
        """
        if self._language.lower().replace("_", "-").split("-")[0] not in ("en", ""):
            message = f"the embedded recogniser understands English, not {self._language!r}"
            raise ProviderError(NAME, "invalid_request", message)
        failure: list[ProviderError] = []
        async with trio.open_nursery() as nursery:
            task_tx, task_rx = trio.open_memory_channel[_Task](_TASKS)

            async def recognise() -> None:
                with task_rx:
                    try:
                        await self._recognise(task_rx, event_tx)
                    except ProviderError as error:
                        failure.append(error)
                        # Before the channel closes: a listener waiting to send is to be cancelled
                        # rather than told that its channel broke.
                        nursery.cancel_scope.cancel()

            nursery.start_soon(recognise)
            task_status.started()
            with task_tx:
                await self._listen(input_rx, task_tx, self._provider.vad())
        if failure:
            raise failure[0]

    # ------------------------------------------------------------ listening

    async def _listen(
        self,
        input_rx: trio.MemoryReceiveChannel[SttInput],
        task_tx: trio.MemorySendChannel[_Task],
        vad: VadStream,
    ) -> None:
        framer = Framer(FRAME_BYTES)
        cutter = UtteranceCutter(self._options)
        async for message in input_rx:
            match message:
                case SttAudio(pcm):
                    for count, frame in enumerate(framer.feed(pcm), 1):
                        for task in cutter.feed(frame, vad.probability(frame)):
                            await self._ask(task, task_tx)
                        if count % _FRAMES_AT_ONCE == 0:
                            await trio.lowlevel.checkpoint()
                case SttFlush():
                    for task in cutter.flush(framer.flush()):
                        await self._ask(task, task_tx)
                    await task_tx.send(message)
        for task in cutter.flush(framer.flush()):
            await self._ask(task, task_tx)

    async def _ask(self, task: _Task, task_tx: trio.MemorySendChannel[_Task]) -> None:
        match task:
            case Sketch(settling=False) if self._pending:
                return  # the next one is half a second away
            case Sketch(stretch=stretch) | Settle(stretch=stretch):
                if self._sketching is not None and not _same(self._sketching[0], stretch):
                    self._sketching[1].cancel()
                self._pending += 1
            case _:
                pass
        await task_tx.send(task)

    # ------------------------------------------------------------ recognising

    async def _recognise(
        self,
        task_rx: trio.MemoryReceiveChannel[_Task],
        event_tx: trio.MemorySendChannel[SttEvent],
    ) -> None:
        async for task in task_rx:
            match task:
                case Began(at):
                    await event_tx.send(SpeechStarted(at / STT_RATE_HZ))
                case Sketch() if task_rx.statistics().current_buffer_used:
                    self._pending -= 1  # late, and what waits behind it makes it useless
                case Sketch():
                    await self._sketch(task, event_tx)
                case Settle():
                    await self._settle(task, event_tx)
                case SttFlush(flush_id):
                    await event_tx.send(SttFlushed(flush_id))

    async def _sketch(self, task: Sketch, event_tx: trio.MemorySendChannel[SttEvent]) -> None:
        with trio.CancelScope() as scope:
            self._sketching = task.stretch, scope
            try:
                stretch, draft = task.stretch, self._draft(task.stretch)
                if task.settling:
                    recognition = await self._provider.recognise(stretch, urgent=True, draft=draft)
                else:
                    recognition = await self._provider.recognise_if_idle(
                        stretch, scope, draft=draft
                    )
            finally:
                self._sketching = None
                self._pending -= 1
            self._known = task.stretch, recognition
        if scope.cancelled_caught or not recognition.words:
            return
        await event_tx.send(to_transcript(task.stretch, recognition, is_final=False))

    async def _settle(self, task: Settle, event_tx: trio.MemorySendChannel[SttEvent]) -> None:
        if self._known is not None and _same(self._known[0], task.stretch):
            recognition = self._known[1]
        else:
            recognition = await self._provider.recognise(
                task.stretch, urgent=True, draft=self._draft(task.stretch)
            )
        self._known = None
        self._pending -= 1
        if recognition.words:
            await event_tx.send(to_transcript(task.stretch, recognition, is_final=True))
        if task.utterance_ended_at is not None:
            await event_tx.send(UtteranceEnded(task.utterance_ended_at / STT_RATE_HZ))

    def _draft(self, stretch: Stretch) -> tuple[int, ...]:
        """What the beginning of this stretch was understood as, if it was heard before."""
        if self._known is None or self._known[0].start != stretch.start:
            return ()
        return self._known[1].tokens


# ---------------------------------------------------------------- pure parts


def is_credible(recognition: Recognition) -> bool:
    """Whether it is speech that was understood rather than a noise that was interpreted."""
    return recognition.confidence >= _MIN_CONFIDENCE and any(
        character.isalnum() for character in recognition.text
    )


def to_transcript(stretch: Stretch, recognition: Recognition, *, is_final: bool) -> Transcript:
    """As an event: the voice's time is shared out among the words by their letters."""
    start_s, end_s = stretch.voice_start / STT_RATE_HZ, stretch.voice_end / STT_RATE_HZ
    letters = sum(len(word.text) for word in recognition.words)
    words, before = [], 0
    for word in recognition.words:
        after = before + len(word.text)
        words.append(
            Word(
                word.text,
                start_s + (end_s - start_s) * before / letters,
                start_s + (end_s - start_s) * after / letters,
                word.confidence,
            )
        )
        before = after
    return Transcript(
        recognition.text, is_final, recognition.confidence, start_s, end_s, tuple(words)
    )


def _same(one: Stretch, other: Stretch) -> bool:
    return (one.start, one.end) == (other.start, other.end)


# ---------------------------------------------------------------- in threads


def _load(settings: LocalSettings) -> Ears:
    if importlib.util.find_spec("onnxruntime") is None:
        raise ConfigError(
            'stt.provider=local needs packages that are not installed: pip install "vantum[local]"'
        )
    return Ears(
        SileroVad.load(require(settings, SILERO.name)),
        Moonshine.load(require(settings, MOONSHINE.name)),
    )


def _recognise(moonshine: Moonshine, pcm: bytes, draft: Sequence[int]) -> Recognition:
    samples: NDArray[np.float32] = to_float32(pcm)
    return moonshine.recognise(samples, trio.from_thread.check_cancelled, draft)
