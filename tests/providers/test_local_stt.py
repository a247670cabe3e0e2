"""The embedded recogniser: order of events, what interims may cost, cancellation, failures.

Most tests run on simulated models: voice activity is loudness, and what is "understood" is how long
the audio was. Those marked `local` hear recorded voices with the real ones.
"""

import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import attrs
import numpy as np
import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from tests.patience import HANG_S
from vantum.config.providers import LocalSettings
from vantum.core.audio import AudioFormat, from_float, mulaw_decode, mulaw_encode, read_wav
from vantum.core.messages import (
    SpeechStarted,
    SttAudio,
    SttEvent,
    SttFlush,
    SttFlushed,
    SttInput,
    Transcript,
    UtteranceEnded,
)
from vantum.core.resampling import Resampler
from vantum.errors import ConfigError, ModelsMissing, ProviderError
from vantum.providers.local.moonshine import Moonshine, RecognisedWord, Recognition
from vantum.providers.local.stt import Ears, LocalSttProvider, is_credible, to_transcript
from vantum.providers.local.utterances import Stretch
from vantum.providers.local.vad import FRAME_SAMPLES, SileroVad
from vantum.providers.local.workers import Workers
from vantum.testing.word_errors import spoken_words, word_error_rate, word_errors

LINE = AudioFormat(16_000)
SPEECH_FRAME = np.full(FRAME_SAMPLES, 8000, "<i2").tobytes()
SILENT_FRAME = bytes(2 * FRAME_SAMPLES)

# ---------------------------------------------------------------- simulated models


class LoudnessGraph:
    """Voice activity: whatever is loud is speech."""

    def __init__(self) -> None:
        self.runs = 0

    def run(self, outputs: None, feed: dict[str, Any]) -> list[Any]:
        self.runs += 1
        assert feed["input"].shape == (1, 64 + FRAME_SAMPLES)
        loud = float(np.abs(feed["input"][0, 64:]).mean() > 0.1)
        return [np.array([[loud]], "f4"), feed["state"]]


class ScriptedMoonshine:
    """Understands the length of the audio in frames; can be held up, and notes what it did."""

    def __init__(self) -> None:
        self.heard: list[int] = []
        self.drafts: list[tuple[int, ...]] = []
        self.began = threading.Event()
        self.stopped = 0
        self.blocks: Callable[[int], bool] = lambda frames: False
        self.error: Exception | None = None
        self.confidence = 0.9

    def recognise(
        self, samples: Any, check: Callable[[], None], draft: Sequence[int]
    ) -> Recognition:
        frames = len(samples) // FRAME_SAMPLES
        self.heard.append(frames)
        self.drafts.append(tuple(draft))
        self.began.set()
        if self.error is not None:
            raise self.error
        try:
            while self.blocks(frames):
                check()
                threading.Event().wait(0.001)
        except BaseException:
            self.stopped += 1
            raise
        word = RecognisedWord(f"{frames} frames", 0.9)
        return Recognition((word,), self.confidence, tokens=(frames,))


class Bench:
    """A provider on simulated models and whatever its sessions hear."""

    def __init__(self, threads: int = 1, interim_ms: int = 500) -> None:
        self.graph = LoudnessGraph()
        self.model = ScriptedMoonshine()
        self.workers = Workers(threads)
        ears = Ears(SileroVad(self.graph), cast(Moonshine, self.model))
        self.provider = LocalSttProvider(
            LocalSettings(interim_ms=interim_ms), self.workers, ears=ears
        )

    async def recognition(self) -> None:
        """Wait until one is running."""
        assert await trio.to_thread.run_sync(self.model.began.wait, HANG_S)

    @asynccontextmanager
    async def session(self) -> AsyncIterator["Call"]:
        input_tx, input_rx = trio.open_memory_channel[SttInput](1000)
        event_tx, event_rx = trio.open_memory_channel[SttEvent](1000)
        async with trio.open_nursery() as nursery:
            recogniser = self.provider.for_session(language="en-US", line=LINE)
            await nursery.start(recogniser.run, input_rx, event_tx)
            yield Call(input_tx, event_rx)
            nursery.cancel_scope.cancel()


class Call:
    def __init__(
        self,
        input_tx: trio.MemorySendChannel[SttInput],
        event_rx: trio.MemoryReceiveChannel[SttEvent],
    ) -> None:
        self.input_tx = input_tx
        self.event_rx = event_rx

    async def say(self, frames: int) -> None:
        await self.input_tx.send(SttAudio(SPEECH_FRAME * frames))

    async def be_silent(self, frames: int) -> None:
        await self.input_tx.send(SttAudio(SILENT_FRAME * frames))

    async def flush(self, flush_id: int = 1) -> list[SttEvent]:
        """All events up to the answer to a flush."""
        await self.input_tx.send(SttFlush(flush_id))
        return await self.until(SttFlushed(flush_id))

    async def until(self, last: SttEvent | type) -> list[SttEvent]:
        events: list[SttEvent] = []
        with trio.fail_after(HANG_S):
            while not events or not (
                isinstance(events[-1], last) if isinstance(last, type) else events[-1] == last
            ):
                events.append(await self.event_rx.receive())
        return events


def finals(events: list[SttEvent]) -> list[str]:
    return [e.text for e in events if isinstance(e, Transcript) and e.is_final]


def interims(events: list[SttEvent]) -> list[str]:
    return [e.text for e in events if isinstance(e, Transcript) and not e.is_final]


def kinds(events: list[SttEvent]) -> list[str]:
    return [type(event).__name__ for event in events]


# ---------------------------------------------------------------- the course of a call


async def test_an_utterance_from_its_start_to_its_end() -> None:
    bench = Bench(interim_ms=5000)
    async with bench.session() as call:
        await call.be_silent(20)
        await call.say(30)
        await call.be_silent(6)
        events = await call.until(Transcript)
        assert events[0] == SpeechStarted(at_s=20 * 0.032)
        assert interims(events) == ["44 frames"]  # 10 before it, 30 of speech, 4 after it
        await call.be_silent(10)
        ended = await call.until(UtteranceEnded)
    assert kinds(ended) == ["Transcript", "UtteranceEnded"]
    assert finals(ended) == ["44 frames"]
    assert ended[-1] == UtteranceEnded(at_s=50 * 0.032)
    assert bench.model.heard == [44]  # recognised once: when the voice fell silent


async def test_a_pause_does_not_end_an_utterance() -> None:
    bench = Bench(interim_ms=5000)
    async with bench.session() as call:
        await call.say(20)
        await call.be_silent(6)
        assert interims(await call.until(Transcript)) == ["24 frames"]
        await call.say(20)
        await call.be_silent(20)
        events = await call.until(UtteranceEnded)
    assert finals(events) == ["50 frames"]


async def test_interims_come_while_the_caller_speaks() -> None:
    bench = Bench(interim_ms=320)
    async with bench.session() as call:
        seen = []
        for _ in range(3):
            await call.say(10)
            seen += interims(await call.until(Transcript))
        assert seen == ["10 frames", "20 frames", "30 frames"]


async def test_what_was_understood_is_the_draft_for_the_same_speech_when_it_has_grown() -> None:
    bench = Bench(interim_ms=320)
    async with bench.session() as call:
        for _ in range(2):
            await call.say(10)
            await call.until(Transcript)
        await call.say(5)
        await call.flush()
        await call.say(10)  # somebody says something else
        await call.until(Transcript)
    assert bench.model.heard == [10, 20, 25, 10]
    assert bench.model.drafts == [(), (10,), (20,), ()]


async def test_a_flush_settles_what_was_said_and_does_not_end_an_utterance() -> None:
    async with Bench(interim_ms=5000).session() as call:
        await call.say(30)
        await call.input_tx.send(SttAudio(SPEECH_FRAME[:100]))
        events = await call.flush(7)
        assert kinds(events) == ["SpeechStarted", "Transcript", "SttFlushed"]
        assert finals(events) == ["30 frames"]
        assert events[-1] == SttFlushed(7, complete=True)
        assert await call.flush(8) == [SttFlushed(8)]
        await call.say(20)
        again = await call.flush(9)
        assert again[0] == SpeechStarted(at_s=30 * 0.032 + 50 / 16_000)
        assert finals(again) == ["20 frames"]


async def test_a_flush_after_the_voice_fell_silent_answers_with_what_is_known() -> None:
    bench = Bench(interim_ms=5000)
    async with bench.session() as call:
        await call.say(30)
        await call.be_silent(8)
        await call.until(Transcript)
        bench.model.blocks = lambda frames: True
        assert finals(await call.flush()) == ["34 frames"]


async def test_the_end_of_input_settles_what_is_open() -> None:
    bench = Bench(interim_ms=5000)
    input_tx, input_rx = trio.open_memory_channel[SttInput](10)
    event_tx, event_rx = trio.open_memory_channel[SttEvent](10)
    with input_tx:
        input_tx.send_nowait(SttAudio(SPEECH_FRAME * 25))
    with event_tx:
        await bench.provider.for_session(language="en", line=LINE).run(input_rx, event_tx)
    assert finals([event async for event in event_rx]) == ["25 frames"]


async def test_a_long_monologue_comes_in_pieces_of_less_than_ten_seconds() -> None:
    bench = Bench(interim_ms=5000)
    async with bench.session() as call:
        for _ in range(70):
            await call.say(10)
        events = await call.flush()
    lengths = [int(text.split()[0]) for text in finals(events)]
    assert len(lengths) >= 3
    assert max(lengths) <= 312
    assert sum(lengths) == 700
    assert kinds(events).count("SpeechStarted") == 1


async def test_silence_is_not_worth_a_computation() -> None:
    bench = Bench()
    async with bench.session() as call:
        await call.be_silent(500)
        assert await call.flush() == [SttFlushed(1)]
    assert bench.graph.runs == 0
    assert bench.model.heard == []


async def test_a_noise_that_the_model_only_guesses_at_is_no_text() -> None:
    bench = Bench(interim_ms=320)
    bench.model.confidence = 0.2
    async with bench.session() as call:
        await call.say(20)
        await call.be_silent(20)
        events = await call.until(UtteranceEnded)
    assert kinds(events) == ["SpeechStarted", "UtteranceEnded"]


# ---------------------------------------------------------------- sharing the workers


async def test_a_final_text_does_not_wait_for_an_interim_one() -> None:
    bench = Bench(threads=2, interim_ms=320)
    bench.model.blocks = lambda frames: frames == 10  # the interim never comes back by itself
    async with bench.session() as call:
        await call.say(10)
        await bench.recognition()
        await call.say(3)
        events = await call.flush()
    assert interims(events) == []
    assert finals(events) == ["13 frames"]
    assert bench.model.stopped == 1


async def test_an_interim_that_takes_long_is_not_given_up_for_the_next_one() -> None:
    bench = Bench(threads=2, interim_ms=320)
    release = threading.Event()
    bench.model.blocks = lambda frames: frames == 10 and not release.is_set()
    async with bench.session() as call:
        await call.say(10)
        await bench.recognition()
        await call.say(10)
        await trio.testing.wait_all_tasks_blocked()
        release.set()
        assert interims(await call.until(Transcript)) == ["10 frames"]
        await call.say(10)
        assert interims(await call.until(Transcript)) == ["30 frames"]


async def test_another_sessions_interim_makes_room_for_a_final_text() -> None:
    bench = Bench(threads=1, interim_ms=320)
    bench.model.blocks = lambda frames: frames == 10
    async with bench.session() as talker, bench.session() as other:
        await talker.say(10)
        await bench.recognition()
        await other.say(5)
        assert finals(await other.flush()) == ["5 frames"]
        assert bench.model.stopped == 1
        await talker.say(2)
        assert finals(await talker.flush()) == ["12 frames"]


async def test_while_the_workers_are_busy_interims_are_left_out() -> None:
    bench = Bench(threads=1, interim_ms=320)
    release = threading.Event()
    async with bench.session() as call, trio.open_nursery() as nursery:
        nursery.start_soon(bench.workers.run, release.wait, HANG_S)
        await trio.testing.wait_all_tasks_blocked()
        await call.say(10)
        await call.say(10)
        await trio.testing.wait_all_tasks_blocked()
        assert kinds([call.event_rx.receive_nowait()]) == ["SpeechStarted"]
        assert bench.model.heard == []
        release.set()
        await bench.workers.run(int)
        await trio.testing.wait_all_tasks_blocked()
        assert bench.model.heard == []
        events = await call.flush()
    assert finals(events) == ["20 frames"]


async def test_finals_of_many_sessions_all_come() -> None:
    bench = Bench(threads=2, interim_ms=320)
    results: dict[int, list[str]] = {}

    async def talk(number: int) -> None:
        async with bench.session() as call:
            await call.say(10 + number)
            results[number] = finals(await call.flush())

    async with trio.open_nursery() as nursery:
        for number in range(12):
            nursery.start_soon(talk, number)
    assert results == {number: [f"{10 + number} frames"] for number in range(12)}


async def test_cancelling_leaves_nothing_running() -> None:
    bench = Bench(interim_ms=5000)
    bench.model.blocks = lambda frames: True
    async with bench.session() as call:
        await call.say(20)
        await call.input_tx.send(SttFlush(1))
        await bench.recognition()
    assert bench.model.stopped == 1
    assert bench.workers.idle


# ---------------------------------------------------------------- failures


async def run_with(provider: LocalSttProvider, language: str = "en-US") -> ProviderError:
    input_tx, input_rx = trio.open_memory_channel[SttInput](10)
    event_tx, _event_rx = trio.open_memory_channel[SttEvent](10)
    input_tx.send_nowait(SttAudio(SPEECH_FRAME * 20))
    input_tx.send_nowait(SttFlush(1))
    with pytest.raises(ProviderError) as caught:
        await provider.for_session(language=language, line=LINE).run(input_rx, event_tx)
    return caught.value


async def test_a_failing_model_is_a_providers_error_and_shows_in_its_health() -> None:
    bench = Bench()
    bench.model.error = RuntimeError("secret path")
    error = await run_with(bench.provider)
    assert str(error) == "local: recognition failed (RuntimeError)"
    assert error.retryable
    assert bench.provider.health().detail == "recognition failed (RuntimeError)"
    bench.model.error = None
    async with bench.session() as call:
        await call.say(20)
        await call.flush()
    assert bench.provider.health().ok


async def test_a_failure_while_much_is_waiting_is_still_one_error() -> None:
    bench = Bench(threads=1)
    release = threading.Event()
    bench.model.error = RuntimeError()
    input_tx, input_rx = trio.open_memory_channel[SttInput](100)
    event_tx, _event_rx = trio.open_memory_channel[SttEvent](100)
    for number in range(20):
        input_tx.send_nowait(SttAudio(SPEECH_FRAME * 20))
        input_tx.send_nowait(SttFlush(number))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.workers.run, release.wait, HANG_S)

        async def let_go() -> None:
            await trio.testing.wait_all_tasks_blocked()
            release.set()

        nursery.start_soon(let_go)
        with pytest.raises(ProviderError, match="recognition failed"):
            await bench.provider.for_session(language="en", line=LINE).run(input_rx, event_tx)


def test_missing_weights_name_the_command(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    with pytest.raises(ModelsMissing, match="run `vantum-actors models fetch`"):
        LocalSttProvider(LocalSettings(models_dir=str(tmp_path)), Workers(1))


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"install \"vantum\[local\]\""):
        LocalSttProvider(LocalSettings(), Workers(1))


async def test_another_language_is_refused_rather_than_misheard() -> None:
    error = await run_with(Bench().provider, language="de-DE")
    assert str(error) == "local: the embedded recogniser understands English, not 'de-DE'"


# ---------------------------------------------------------------- pure parts


@given(st.lists(st.text("ab.", min_size=1, max_size=9), min_size=1, max_size=9))
def test_words_share_the_voices_time(texts: list[str]) -> None:
    recognition = Recognition(tuple(RecognisedWord(text, 0.7) for text in texts), 0.6)
    transcript = to_transcript(Stretch(0, 64_000, 16_000, 48_000, b""), recognition, is_final=True)
    assert (transcript.start_s, transcript.end_s) == (1.0, 3.0)
    assert transcript.text == " ".join(texts)
    assert transcript.confidence == 0.6
    assert transcript.words[0].start_s == 1.0
    assert transcript.words[-1].end_s == pytest.approx(3.0)
    for word, following in zip(transcript.words, transcript.words[1:], strict=False):
        assert word.start_s < word.end_s == following.start_s


def test_what_is_credible() -> None:
    def heard(text: str, confidence: float) -> Recognition:
        return Recognition((RecognisedWord(text, confidence),), confidence)

    assert is_credible(heard("Yes.", 0.8))
    assert not is_credible(heard("Yes.", 0.3))
    assert not is_credible(heard("...", 0.99))
    assert not is_credible(Recognition((), 0.0))


# ---------------------------------------------------------------- the real models


@asynccontextmanager
async def real_call(settings: LocalSettings) -> AsyncIterator[Call]:
    input_tx, input_rx = trio.open_memory_channel[SttInput](1000)
    event_tx, event_rx = trio.open_memory_channel[SttEvent](1000)
    provider = await trio.to_thread.run_sync(LocalSttProvider, settings, Workers(2))
    async with trio.open_nursery() as nursery:
        recogniser = provider.for_session(language="en-US", line=LINE)
        await nursery.start(recogniser.run, input_rx, event_tx)
        yield Call(input_tx, event_rx)
        nursery.cancel_scope.cancel()


async def play(call: Call, pcm: bytes) -> None:
    for at in range(0, len(pcm), 3200):
        await call.input_tx.send(SttAudio(pcm[at : at + 3200]))


@pytest.mark.local
async def test_recorded_voices_are_understood(
    local_settings: LocalSettings, recordings: dict[str, tuple[bytes, str]]
) -> None:
    errors = words = 0
    async with real_call(local_settings) as call:
        for number, (wav, text) in enumerate(recordings.values()):
            await play(call, read_wav(wav).pcm)
            events = await call.flush(number)
            heard = spoken_words(" ".join(finals(events)))
            errors += word_errors(spoken_words(text), heard)
            words += len(spoken_words(text))
            assert isinstance(events[0], SpeechStarted)
    assert errors / words < 0.10


@pytest.mark.local
async def test_speech_without_a_pause_is_cut_and_loses_little(
    local_settings: LocalSettings, recordings: dict[str, tuple[bytes, str]]
) -> None:
    """25 s in one breath: the voice of each recording without the silence around it."""
    texts, voice = [], b""
    for name in ("austen-0870", "austen-0890", "austen-0920", "austen-0870"):
        pcm = read_wav(recordings[name][0]).pcm
        voice += pcm[int(0.3 * 32_000) : len(pcm) - int(0.25 * 32_000)]
        texts.append(recordings[name][1])
    async with real_call(attrs.evolve(local_settings, silence_ms=1000)) as call:
        await play(call, voice)
        events = await call.flush()
    lengths = [e.end_s - e.start_s for e in events if isinstance(e, Transcript) and e.is_final]
    assert len(lengths) >= 3
    assert max(lengths) < 10
    assert word_error_rate(" ".join(texts), " ".join(finals(events))) < 0.15


@pytest.mark.local
async def test_a_recorded_voice_over_the_telephone(
    local_settings: LocalSettings, recordings: dict[str, tuple[bytes, str]]
) -> None:
    wav, text = recordings["austen-0920"]
    down, up = Resampler(16_000, 8000), Resampler(8000, 16_000)
    narrow = down.feed(read_wav(wav).pcm) + down.finish()
    pcm = up.feed(mulaw_decode(mulaw_encode(narrow))) + up.finish()
    async with real_call(local_settings) as call:
        await play(call, pcm)
        assert word_error_rate(text, " ".join(finals(await call.flush()))) < 0.25


@pytest.mark.local
async def test_a_recorded_voice_has_interim_texts_before_its_final_one(
    local_settings: LocalSettings, recordings: dict[str, tuple[bytes, str]]
) -> None:
    pcm = read_wav(recordings["austen-0930"][0]).pcm
    async with real_call(local_settings) as call:
        await play(call, pcm[: 2 * 32_000])
        first = await call.until(Transcript)
        await play(call, pcm[2 * 32_000 :] + bytes(32_000))
        rest = await call.until(UtteranceEnded)
    assert interims(first)
    assert spoken_words(interims(first)[0])[:2] == ["he", "might"]
    assert [spoken_words(text) for text in finals(rest)] == [
        spoken_words(recordings["austen-0930"][1])
    ]
    final = next(e for e in rest if isinstance(e, Transcript) and e.is_final)
    assert final.confidence > 0.8
    assert 0.1 < final.words[0].start_s < 0.5
    assert 2.8 < final.words[-1].end_s < 3.3


@pytest.mark.local
async def test_noise_and_tones_are_not_understood(local_settings: LocalSettings) -> None:
    rng = np.random.default_rng(5)
    time_s = np.arange(5 * 16_000) / 16_000
    ringing = 0.3 * np.sin(2 * np.pi * 440 * time_s) * (time_s % 2 < 1)
    noise = rng.normal(scale=0.1, size=len(time_s))
    hum = 0.2 * np.sin(2 * np.pi * 50 * time_s)
    async with real_call(local_settings) as call:
        for sound in (ringing, noise, hum):
            await play(call, from_float(sound))
        assert finals(await call.flush()) == []
