"""The whole line with the embedded providers on a recorded human voice: no key, real time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs
import pytest
import trio

from tests.patience import HANG_S, connect, patient_settings
from vantum.client import Client
from vantum.config.providers import LocalSettings
from vantum.core import events as e
from vantum.core.audio import AudioFormat, Wav, dbfs, read_wav
from vantum.core.messages import (
    SttAudio,
    SttEvent,
    SttFlush,
    SttFlushed,
    SttInput,
    Transcript,
)
from vantum.core.resampling import Resampler
from vantum.providers.registry import Providers, open_providers
from vantum.replay import Recording, Turn, replay_turn, speak
from vantum.running import listening_url, open_listeners
from vantum.server import Server
from vantum.testing.word_errors import spoken_words, word_errors

pytestmark = pytest.mark.local


@asynccontextmanager
async def embedded(local: LocalSettings) -> AsyncIterator[tuple[Client, Providers]]:
    settings = attrs.evolve(patient_settings(), local=local)
    async with open_providers(settings) as providers, trio.open_nursery() as nursery:
        listeners = await open_listeners("127.0.0.1", 0)
        await nursery.start(Server(settings, providers).serve, listeners)
        async with connect(listening_url(listeners)) as client:
            yield client, providers
        nursery.cancel_scope.cancel()


async def understood(providers: Providers, turn: Turn) -> str:
    """What the embedded recogniser understands of the answer."""
    resampler = Resampler(turn.rate_hz, 16_000)
    pcm = resampler.feed(bytes(turn.answer)) + resampler.finish()
    input_tx, input_rx = trio.open_memory_channel[SttInput](0)
    event_tx, event_rx = trio.open_memory_channel[SttEvent](100)
    words: list[str] = []
    async with trio.open_nursery() as nursery:
        recogniser = providers.stt.for_session(language="en-US", line=AudioFormat(16_000))
        await nursery.start(recogniser.run, input_rx, event_tx)
        for at in range(0, len(pcm), 6400):
            await input_tx.send(SttAudio(pcm[at : at + 6400]))
        await input_tx.send(SttFlush(1))
        async for event in event_rx:
            if isinstance(event, Transcript) and event.is_final:
                words.append(event.text)
            if isinstance(event, SttFlushed):
                break
        nursery.cancel_scope.cancel()
    return " ".join(words)


async def test_a_recorded_voice_is_understood_and_answered_with_speech(
    local_settings: LocalSettings, recordings: dict[str, tuple[bytes, str]]
) -> None:
    data, text = recordings["austen-0930"]
    wav = read_wav(data)
    async with embedded(local_settings) as (client, providers):
        turn = await replay_turn(client, Recording("austen-0930", wav))
        said = spoken_words(text)
        assert word_errors(said, spoken_words(turn.transcript)) <= len(said) // 4, turn.transcript
        assert not turn.is_fallback
        assert not turn.errors
        assert "BREAK" not in turn.text
        assert turn.answer_s > 0.5
        assert dbfs(bytes(turn.answer)) > -40, "speech, and no silence"
        heard = spoken_words(await understood(providers, turn))
        answered = spoken_words(turn.text)
        assert word_errors(answered, heard) <= max(1, len(answered) // 4), (turn.text, heard)


async def test_telephone_audio_in_auto_mode_needs_no_button(
    local_settings: LocalSettings, recordings: dict[str, tuple[bytes, str]]
) -> None:
    data, text = recordings["austen-0930"]
    wide = read_wav(data)
    resampler = Resampler(16_000, 8000)
    wav = Wav(resampler.feed(wide.pcm) + resampler.finish(), 8000)
    fast = attrs.evolve(local_settings, silence_ms=300)
    async with embedded(fast) as (client, _):
        await client.start(e.InputOptions(sampling_rate_hz=8000, turn_detection="auto"))
        async with trio.open_nursery() as nursery:

            async def caller() -> None:
                await speak(client, wav)
                await speak(client, Wav(bytes(round(16_000 * HANG_S)), 8000))

            nursery.start_soon(caller)
            heard: list[str] = []
            with trio.fail_after(HANG_S):
                async for _, message in client.events:
                    if isinstance(message, e.TranscriptOut) and message.is_final:
                        heard.append(message.transcript)
                    if isinstance(message, e.OutputChunk):
                        assert message.sample_rate_hz == 8000
                        break
            nursery.cancel_scope.cancel()
        said = spoken_words(text)
        assert word_errors(said, spoken_words(" ".join(heard))) <= len(said) // 2, heard
