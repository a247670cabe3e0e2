"""How well the embedded providers hear, answer and speak: `python -m benchmarks.quality`.

Prints Markdown, as it stands in docs/benchmarks.md:

- word errors on recorded voices, at 16 kHz and as telephone audio (8 kHz mu-law and back);
- how fast a final text comes, and what listening costs;
- the local model's answers to 20 questions of a prospect;
- how much of these answers, spoken by the local voice, the recogniser understands again.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import trio
from attrs import frozen

from benchmarks.recordings import RATE_HZ, Recording, RecordingSet, convert, from_debian
from benchmarks.recordings import in_repository as recordings_in_repository
from vantum.config import LlmSettings, LocalSettings, StreamingSettings
from vantum.core.audio import AudioFormat, mulaw_decode, mulaw_encode
from vantum.core.events import Prospect
from vantum.core.messages import (
    ChatMessage,
    ChatRequest,
    EndOfPieces,
    SpeechAudio,
    SpeechPiece,
    SttAudio,
    SttEvent,
    SttFlush,
    SttFlushed,
    SttInput,
    Transcript,
    TtsInput,
    TtsOutput,
)
from vantum.core.prompts import build_system_prompt
from vantum.ports import LanguageModelProvider, SpeechToTextProvider, TextToSpeechProvider
from vantum.providers.local.llm import LocalLlmProvider
from vantum.providers.local.stt import LocalSttProvider
from vantum.providers.local.tts import LocalTtsProvider
from vantum.providers.local.weights import fetch_weights
from vantum.providers.local.workers import Workers
from vantum.testing.word_errors import spoken_words, word_errors

QUESTIONS = (
    "Who is calling?",
    "What does your company do?",
    "How much does it cost?",
    "Is there a free trial?",
    "We already use another vendor for that.",
    "I don't have time right now.",
    "Can you send me an email instead?",
    "How did you get my number?",
    "How is this different from what we have?",
    "Does it work with our CRM?",
    "How long does the setup take?",
    "Is my data safe with you?",
    "Who else in my industry uses it?",
    "I need to talk to my boss first.",
    "Are you a robot?",
    "What happens if I want to cancel?",
    "Can I see a demo next week?",
    "We don't have the budget this year.",
    "What kind of support do you offer?",
    "I am not interested, thank you.",
)
_CHUNK_BYTES = RATE_HZ // 50 * 2  # 20 ms, as a telephone sends it
_LATENCY_RUNS = 10
_VOICE_S = 3.04  # where the voice of austen-0930 ends, by its source's own labels


def say(line: str = "") -> None:
    """A line of the report."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def row(*cells: object) -> None:
    """A row of a table."""
    say(f"| {' | '.join(str(cell) for cell in cells)} |")


def head(*cells: str) -> None:
    """The first two rows of a table."""
    say()
    row(*cells)
    row(*["---"] * len(cells))


# ---------------------------------------------------------------- hearing


@frozen
class Line:
    """An open recogniser."""

    input_tx: trio.MemorySendChannel[SttInput]
    event_rx: trio.MemoryReceiveChannel[SttEvent]

    async def settle(self) -> str:
        """Flush; the final texts since the last flush, joined."""
        await self.input_tx.send(SttFlush(0))
        texts = []
        async for event in self.event_rx:
            if isinstance(event, Transcript) and event.is_final:
                texts.append(event.text)
            if isinstance(event, SttFlushed):
                break
        return " ".join(texts)


@asynccontextmanager
async def open_line(stt: SpeechToTextProvider) -> AsyncIterator[Line]:
    """A recogniser for as long as the context lasts."""
    input_tx, input_rx = trio.open_memory_channel[SttInput](10)
    event_tx, event_rx = trio.open_memory_channel[SttEvent](1000)
    async with trio.open_nursery() as nursery:
        recogniser = stt.for_session(language="en-US", line=AudioFormat(RATE_HZ))
        await nursery.start(recogniser.run, input_rx, event_tx)
        yield Line(input_tx, event_rx)
        nursery.cancel_scope.cancel()


async def hear(stt: SpeechToTextProvider, pcm: bytes) -> str:
    """What is understood of a recording, as fast as the machine allows."""
    async with open_line(stt) as line:
        for at in range(0, len(pcm), _CHUNK_BYTES):
            await line.input_tx.send(SttAudio(pcm[at : at + _CHUNK_BYTES]))
        return await line.settle()


def telephone(pcm: bytes) -> bytes:
    """16 kHz audio after a telephone line: 8 kHz, mu-law."""
    narrow = mulaw_decode(mulaw_encode(convert(pcm, RATE_HZ, 8000)))
    return convert(narrow, 8000, RATE_HZ)


@frozen
class Score:
    """Word errors over some recordings."""

    errors: int
    words: int

    @property
    def percent(self) -> str:
        """As it is printed."""
        return f"{100 * self.errors / self.words:.1f} %" if self.words else "–"


async def score(
    stt: SpeechToTextProvider, recordings: Sequence[Recording], *, narrow: bool, verbose: bool
) -> Score:
    """Count the word errors; `verbose` prints the recordings that have some."""
    errors = words = 0
    for recording in recordings:
        heard = await hear(stt, telephone(recording.pcm) if narrow else recording.pcm)
        said = spoken_words(recording.text)
        wrong = word_errors(said, spoken_words(heard))
        errors, words = errors + wrong, words + len(said)
        if verbose and wrong:
            sys.stderr.write(f"{recording.name}: {recording.text!r} → {heard!r}\n")
    return Score(errors, words)


async def report_hearing(
    stt: SpeechToTextProvider, sets: Sequence[RecordingSet], verbose: bool
) -> None:
    """Word errors of each set."""
    say("### Word errors of the recogniser")
    head("recordings", "number", "words", "minutes", "16 kHz", "telephone", "CPU per second")
    for one in sets:
        seconds = sum(len(r.pcm) for r in one.recordings) / 2 / RATE_HZ
        began = time.process_time()
        wide = None
        if not one.is_narrow:
            wide = await score(stt, one.recordings, narrow=False, verbose=verbose)
        cpu_ms = (time.process_time() - began) * 1000 / seconds
        narrow = await score(stt, one.recordings, narrow=True, verbose=verbose)
        row(
            one.title,
            len(one.recordings),
            narrow.words,
            f"{seconds / 60:.1f}",
            wide.percent if wide else "–",
            narrow.percent,
            f"{cpu_ms:.0f} ms" if wide else "–",
        )


async def report_latency(stt: SpeechToTextProvider, recording: Recording, voice_s: float) -> None:
    """From the end of a turn, played in real time, to its final text.

    The recording is cut where the voice ends, at `voice_s`, and silence is put behind it.
    """
    pcm = recording.pcm[: int(voice_s * RATE_HZ) * 2]
    say()
    say(f"### Final text after {voice_s:.1f} s of speech")
    head("the turn ends", "p50", "worst")
    for title, wait_s in (
        ("with the last sound", 0.0),
        ("0.1 s later", 0.1),
        ("0.3 s later", 0.3),
    ):
        took_ms = [await _latency_ms(stt, pcm, wait_s) for _ in range(_LATENCY_RUNS)]
        row(title, f"{statistics.median(took_ms):.0f} ms", f"{max(took_ms):.0f} ms")


async def _latency_ms(stt: SpeechToTextProvider, pcm: bytes, wait_s: float) -> float:
    pcm += bytes(int(wait_s * RATE_HZ) * 2)
    async with open_line(stt) as line:
        began = trio.current_time()
        for at in range(0, len(pcm), _CHUNK_BYTES):
            await trio.sleep_until(began + (at + _CHUNK_BYTES) / 2 / RATE_HZ)
            await line.input_tx.send(SttAudio(pcm[at : at + _CHUNK_BYTES]))
        ended = trio.current_time()
        await line.settle()
        return (trio.current_time() - ended) * 1000


# ---------------------------------------------------------------- answering and speaking


async def report_answers(llm: LanguageModelProvider) -> list[str]:
    """Ask every question in a call of its own; the answers without their pauses."""
    marker = StreamingSettings().break_marker
    system = build_system_prompt("", Prospect(name="Dana", company="Northwind"), marker)
    say()
    say("### The local model's answers")
    head("the prospect says", "the answer", "first words", "whole")
    answers = []
    for question in QUESTIONS:
        request = ChatRequest((ChatMessage("system", system), ChatMessage("user", question)))
        began, first_s, pieces = trio.current_time(), 0.0, []
        async with llm.for_session().stream(request) as tokens:
            async for token in tokens:
                first_s = first_s or trio.current_time() - began
                pieces.append(str(token))  # it was offered no tools: nothing but text
        whole_s = trio.current_time() - began
        answer = " ".join("".join(pieces).replace(marker, " ").split())
        answers.append(answer)
        shown = "".join(pieces).replace("|", "\\|").replace("\n", " ").strip()
        row(question, shown, f"{first_s * 1000:.0f} ms", f"{whole_s:.1f} s")
    return answers


async def speak(tts: TextToSpeechProvider, text: str) -> tuple[bytes, float]:
    """The speech at 16 kHz, and the seconds to its first sound."""
    piece_tx, piece_rx = trio.open_memory_channel[TtsInput](2)
    speech_tx, speech_rx = trio.open_memory_channel[TtsOutput](10_000)
    voice, line = tts.for_session(), AudioFormat(RATE_HZ)
    began, first_s, sound = trio.current_time(), 0.0, bytearray()
    async with trio.open_nursery() as nursery:
        await nursery.start(voice.run)

        async def synthesize() -> None:
            with speech_tx:
                await voice.synthesize(
                    piece_rx, speech_tx, voice_id=None, language="en-US", line=line
                )

        nursery.start_soon(synthesize)
        await piece_tx.send(SpeechPiece(0, text))
        await piece_tx.send(EndOfPieces())
        async for message in speech_rx:
            if isinstance(message, SpeechAudio):
                first_s = first_s or trio.current_time() - began
                sound += message.pcm
        nursery.cancel_scope.cancel()
    return convert(bytes(sound), voice.rate_hz(line), RATE_HZ), first_s


async def report_speaking(
    stt: SpeechToTextProvider, tts: TextToSpeechProvider, texts: Sequence[str], verbose: bool
) -> None:
    """Speak the texts and let the recogniser understand them."""
    spoken, first_ms = [], []
    for text in texts:
        pcm, first_s = await speak(tts, text)
        spoken.append(Recording("spoken", pcm, text))
        first_ms.append(first_s * 1000)
    wide = await score(stt, spoken, narrow=False, verbose=verbose)
    narrow = await score(stt, spoken, narrow=True, verbose=verbose)
    say()
    say("### The spoken answers, understood again")
    head("answers", "words", "word errors at 16 kHz", "telephone", "first sound, p50")
    row(
        len(texts),
        wide.words,
        wide.percent,
        narrow.percent,
        f"{statistics.median(first_ms):.0f} ms",
    )


async def main(verbose: bool) -> None:
    """The whole report."""
    settings = LocalSettings(interim_ms=5000)  # interims only cost time here
    fetch_weights(settings, lambda line: print(line, file=sys.stderr))
    workers = Workers(settings.threads)
    stt = await trio.to_thread.run_sync(LocalSttProvider, settings, workers)
    sets = recordings_in_repository()
    sets += await trio.to_thread.run_sync(from_debian, lambda line: say(f"{line}\n"))
    await report_hearing(stt, sets, verbose)
    ordinary = LocalSttProvider(LocalSettings(), workers, ears=stt.ears)
    sentence = next(r for r in sets[0].recordings if "0930" in r.name)
    await report_latency(ordinary, sentence, _VOICE_S)
    llm = await trio.to_thread.run_sync(LocalLlmProvider, settings, LlmSettings(), workers)
    answers = await report_answers(llm)
    tts = await trio.to_thread.run_sync(LocalTtsProvider, settings, workers)
    await report_speaking(stt, tts, answers, verbose)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="How well the embedded providers do.")
    parser.add_argument("--verbose", action="store_true", help="print what was misheard")
    trio.run(main, parser.parse_args().verbose)
