"""(f) The pure parts that run for every frame and every token, in this process."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from benchmarks.report import Row
from vantum.core.chunking import Chunker, ChunkingOptions
from vantum.core.resampling import Resampler
from vantum.testing.openai_wire import split_tokens

_TEXT = (
    "Hi, this is Alex from Vantum. ||BREAK|| We help sales teams such as Dr. Smith's reach 3.5 "
    "times more people by phone, for $99.50 a month. ||BREAK|| How do you find new customers "
    "today? "
)


def _cpu_s(work: Callable[[], None]) -> float:
    started_s = time.process_time()
    work()
    return time.process_time() - started_s


def chunker_tokens_per_s(answers: int) -> float:
    """Tokens a second of processor time, in answers of about 150 tokens."""
    tokens = split_tokens(_TEXT * 3)

    def work() -> None:
        for _ in range(answers):
            chunker = Chunker(ChunkingOptions())
            for token in tokens:
                chunker.feed(token)
            chunker.finish()

    return answers * len(tokens) / _cpu_s(work)


def resampler_times_real_time(from_hz: int, to_hz: int, seconds: int) -> float:
    """Seconds of audio a second of processor time, in 20 ms frames."""
    tone = 8000 * np.sin(2 * np.pi * 440 / from_hz * np.arange(from_hz // 50))
    frame = tone.astype("<i2").tobytes()

    def work() -> None:
        resampler = Resampler(from_hz, to_hz)
        for _ in range(50 * seconds):
            resampler.feed(frame)

    return seconds / _cpu_s(work)


def pure(runs: int, quick: bool) -> list[Row]:
    """Throughput of the chunker and the resampler."""
    answers, seconds = (20, 5) if quick else (200, 60)
    rows = [
        Row(
            "f",
            "chunker",
            "tokens/s",
            [chunker_tokens_per_s(answers) for _ in range(runs)],
            better="more",
        )
    ]
    for from_hz, to_hz in ((48_000, 16_000), (16_000, 48_000), (8_000, 16_000)):
        speed = [resampler_times_real_time(from_hz, to_hz, seconds) for _ in range(runs)]
        what = f"resampler {from_hz // 1000} → {to_hz // 1000} kHz, 20 ms frames"
        note = f"{20_000 / max(speed):.0f} µs a frame"
        rows.append(Row("f", what, "× real time", speed, note=note, better="more"))
    return rows
