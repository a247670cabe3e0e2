"""Simulated providers behind our own ports, without a wire protocol between: for long calls.

They hear, think and speak by the same scripts as the simulated Deepgram, OpenAI and Cartesia, with
the same times; what they do not have is connections, and so neither `faults` nor anything else that
goes wrong with one. Our clients of those providers take no part in such a call.
"""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import trio
from attrs import define, field

from vantum.channels import Each, put, take
from vantum.core.audio import AudioFormat
from vantum.core.messages import (
    ChatRequest,
    EndOfPieces,
    ModelOutput,
    PieceSpoken,
    SpeechAudio,
    SpeechFinished,
    SpeechPiece,
    SpeechStarted,
    SpeechWords,
    SpokenWord,
    SttAudio,
    SttEvent,
    SttFlushed,
    SttInput,
    ToolCall,
    ToolCallBegun,
    Transcript,
    TtsInput,
    TtsOutput,
    UtteranceEnded,
    Word,
)
from vantum.ports import Health, TextToSpeech
from vantum.testing.cartesia_script import CartesiaScript, speech
from vantum.testing.deepgram_script import DeepgramScript
from vantum.testing.deepgram_speech import Body, Listener
from vantum.testing.openai_script import OpenAIScript
from vantum.testing.openai_wire import split_tokens

_RATE_HZ: Final = 16_000
#: What our client asks of Deepgram.
_QUERY: Final = {
    "sample_rate": str(_RATE_HZ),
    "interim_results": "true",
    "vad_events": "true",
    "endpointing": "300",
    "utterance_end_ms": "1000",
}


@define(eq=False)
class _Provider:
    """What every provider says of itself."""

    name: str = "simulated"

    def health(self) -> Health:
        """Well."""
        return Health(True, "simulated")


# ---------------------------------------------------------------- hearing


@define(eq=False)
class DirectRecogniser(_Provider):
    """A `SpeechToTextProvider`, and every session's recogniser."""

    script: DeepgramScript = field(kw_only=True)

    def takes(self, line: AudioFormat) -> AudioFormat:
        """16 kHz PCM."""
        return AudioFormat(_RATE_HZ)

    def for_session(self, *, language: str, line: AudioFormat) -> DirectRecogniser:
        """The same for every session and language."""
        return self

    async def run(
        self,
        input_rx: trio.MemoryReceiveChannel[SttInput],
        event_tx: trio.MemorySendChannel[SttEvent],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """See `vantum.ports.SpeechToText`."""
        said = self.script.utterances()
        listener = Listener(self.script, _QUERY, said, "direct", tells_silence=False)
        # What was heard is on its way for the script's latency.
        late_tx, late_rx = trio.open_memory_channel[tuple[float, list[SttEvent]]](math.inf)
        latency_s = self.script.latency_ms / 1000
        task_status.started()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_deliver, late_rx, event_tx)
            async for message in Each(input_rx):
                events: list[SttEvent] = []
                if isinstance(message, SttAudio):
                    for body in listener.audio(message.audio):
                        events += _events(body)
                else:
                    for body in listener.finalize():
                        events += _events(body)
                    events.append(SttFlushed(message.flush_id))
                if events:
                    late_tx.send_nowait((trio.current_time() + latency_s, events))
            late_tx.close()


async def _deliver(
    late_rx: trio.MemoryReceiveChannel[tuple[float, list[SttEvent]]],
    event_tx: trio.MemorySendChannel[SttEvent],
) -> None:
    async for due_s, events in Each(late_rx):
        await trio.sleep_until(due_s)
        for event in events:
            await put(event_tx, event)


def _events(body: Body) -> list[SttEvent]:
    """One of Deepgram's messages as our client reports it."""
    match body["type"]:
        case "SpeechStarted":
            return [SpeechStarted(body["timestamp"])]
        case "UtteranceEnd":
            return [UtteranceEnded(body["last_word_end"])]
        case "Results":
            return _results(body)
    return []


def _results(body: Body) -> list[SttEvent]:
    best: dict[str, Any] = body["channel"]["alternatives"][0]
    start_s, end_s = body["start"], body["start"] + body["duration"]
    events: list[SttEvent] = []
    if best["transcript"]:
        words = tuple(
            Word(word["punctuated_word"], word["start"], word["end"], word["confidence"])
            for word in best["words"]
        )
        events.append(
            Transcript(
                best["transcript"], body["is_final"], best["confidence"], start_s, end_s, words
            )
        )
    if body["speech_final"] and not body["from_finalize"]:
        events.append(UtteranceEnded(end_s))
    return events


# ---------------------------------------------------------------- thinking


@define(eq=False)
class DirectModel(_Provider):
    """A `LanguageModelProvider`, and every session's model. `requests`: what it was asked."""

    script: OpenAIScript = field(kw_only=True)
    requests: list[ChatRequest] = field(factory=list)

    def for_session(self) -> DirectModel:
        """The same for every session."""
        return self

    @asynccontextmanager
    async def stream(
        self, request: ChatRequest
    ) -> AsyncIterator[AsyncGenerator[ModelOutput, None]]:
        """See `vantum.ports.LanguageModel`."""
        number = len(self.requests)
        self.requests.append(request)
        messages = [{"role": m.role, "content": m.content} for m in request.messages]
        reply = self.script.reply(number, messages)
        told_not_to = request.tool_choice == "none" and self.script.heeds_tool_choice
        calls = () if told_not_to or not request.tools else reply.calls
        pieces = self._pieces(
            split_tokens(reply.text, self.script.split_seed),
            [
                ToolCall(c.id or f"call_{number}_{i}", c.name, c.arguments)
                for i, c in enumerate(calls)
            ],
        )
        try:
            yield pieces
        finally:
            await pieces.aclose()

    async def _pieces(
        self, tokens: list[str], calls: list[ToolCall]
    ) -> AsyncGenerator[ModelOutput, None]:
        due_s = trio.current_time() + self.script.first_token_s
        pace = self.script.tokens_per_s
        await trio.sleep_until(due_s)
        for token in tokens if pace else [text for text in ("".join(tokens),) if text]:
            yield token
            if pace:
                due_s += 1 / pace
                await trio.sleep_until(due_s)
        for call in calls:
            yield ToolCallBegun(call.id, call.name)
            if pace:
                due_s += 1 / pace
                await trio.sleep_until(due_s)
            yield call


# ---------------------------------------------------------------- speaking


@define(eq=False)
class DirectVoice(_Provider):
    """A `TextToSpeechProvider`, and every session's synthesiser. `transcripts`: what each answer
    was asked to be, by number."""

    script: CartesiaScript = field(kw_only=True)
    transcripts: dict[str, list[str]] = field(factory=dict)

    def for_session(self) -> TextToSpeech:
        """The same for every session."""
        return self

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """See `vantum.ports.TextToSpeech`."""
        task_status.started()
        await trio.sleep_forever()

    def rate_hz(self, line: AudioFormat) -> int:
        """Always 16 kHz: it speaks to calls without a telephone."""
        return _RATE_HZ

    async def synthesize(
        self,
        piece_rx: trio.MemoryReceiveChannel[TtsInput],
        speech_tx: trio.MemorySendChannel[TtsOutput],
        *,
        voice_id: str | None,
        language: str,
        line: AudioFormat,
    ) -> None:
        """See `vantum.ports.TextToSpeech`."""
        texts = self.transcripts.setdefault(f"answer-{len(self.transcripts) + 1}", [])
        begins_s = 0.0
        while not isinstance(piece := await take(piece_rx), EndOfPieces):
            if piece.text.strip():
                texts.append(piece.text)
                begins_s = await self._speak(piece, begins_s, speech_tx)
            await put(speech_tx, PieceSpoken(piece.index))
        await put(speech_tx, SpeechFinished())

    async def _speak(
        self, piece: SpeechPiece, begins_s: float, speech_tx: trio.MemorySendChannel[TtsOutput]
    ) -> float:
        """One piece, at the script's pace; gives where the next one begins."""
        script, spoken = self.script, speech(piece.text, _RATE_HZ)
        if script.first_audio_s:
            await trio.sleep(script.first_audio_s)
        words = tuple(
            SpokenWord(w.text, begins_s + w.start / _RATE_HZ, begins_s + w.end / _RATE_HZ)
            for w in spoken.words
        )
        await put(speech_tx, SpeechWords(piece.index, words))
        began_s, size = trio.current_time(), 2 * int(script.chunk_s * _RATE_HZ)
        for at in range(0, len(spoken.pcm), size):
            if script.rate:
                await trio.sleep_until(began_s + at / (2 * _RATE_HZ) / script.rate)
            await put(speech_tx, SpeechAudio(piece.index, spoken.pcm[at : at + size]))
        return begins_s + len(spoken.pcm) / (2 * _RATE_HZ)
