"""The frames of many calls in one run of the model: each call hears what it would hear alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import trio
import trio.testing

from vantum.config.providers import LocalSettings
from vantum.providers.local.catalogue import SILERO
from vantum.providers.local.together import Together
from vantum.providers.local.vad import FRAME_BYTES, FRAME_SAMPLES, SileroVad, VadStream
from vantum.providers.local.weights import require

Clock = trio.testing.MockClock
CALLS = 40
FRAME_S = 0.032


class Counting:
    """A graph whose probability tells the level of the frame and how many the stream had before."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.fails = False

    def run(self, _: None, given: Mapping[str, Any]) -> tuple[Any, Any]:
        self.sizes.append(len(given["input"]))
        if self.fails:
            raise RuntimeError("no")
        before = given["state"][0, :, :1]
        level = np.abs(given["input"][:, -FRAME_SAMPLES:]).max(axis=1, keepdims=True)
        return (level + before).astype(np.float32), given["state"] + 1


def frame(level: int) -> bytes:
    return level.to_bytes(2, "little") * FRAME_SAMPLES


def level_of(number: int) -> float:
    return (number + 1) * 256 / 32_768


async def listen(
    together: Together, stream: VadStream, number: int, frames: int, found: dict[int, list[float]]
) -> None:
    """A call whose frames come when they come."""
    await trio.sleep(FRAME_S * number / CALLS)
    for at in range(frames):
        due_s = trio.current_time() + FRAME_S
        heard = await together.probability(stream, frame((number + 1) * 256))
        found.setdefault(number, []).append(heard)
        assert heard == pytest.approx(level_of(number) + at)
        await trio.sleep_until(due_s)


async def crowd(together: Together, vad: SileroVad, frames: int = 60) -> dict[int, list[float]]:
    found: dict[int, list[float]] = {}
    async with trio.open_nursery() as nursery:
        for number in range(CALLS):
            nursery.start_soon(listen, together, vad.stream(), number, frames, found)
    return found


async def test_a_few_calls_wait_for_nobody(autojump_clock: Clock) -> None:
    graph, together = Counting(), Together()
    stream = SileroVad(graph).stream()
    for _ in range(100):
        before_s = trio.current_time()
        await together.probability(stream, frame(256))
        assert trio.current_time() == before_s
        await trio.sleep(FRAME_S)
    assert set(graph.sizes) == {1}


async def test_a_crowd_is_heard_together_and_each_as_if_alone(autojump_clock: Clock) -> None:
    graph = Counting()
    found = await crowd(Together(), SileroVad(graph))
    assert [len(heard) for heard in found.values()] == [60] * CALLS
    together = [size for size in graph.sizes if size > 1]
    assert sum(together) > 0.4 * 60 * CALLS  # from the second on in which they are a crowd
    assert 8 <= sum(together) / len(together) <= 16  # 10 ms of 32 times 40


async def test_silence_is_no_business_of_the_others(autojump_clock: Clock) -> None:
    graph, together = Counting(), Together()
    assert await together.probability(SileroVad(graph).stream(), bytes(FRAME_BYTES)) == 0
    assert graph.sizes == []


async def test_who_hangs_up_takes_nobody_along(autojump_clock: Clock) -> None:
    graph, together = Counting(), Together()
    vad = SileroVad(graph)
    await crowd(together, vad)
    heard: list[float] = []

    async def wait() -> None:
        heard.append(await together.probability(vad.stream(), frame(512)))

    async with trio.open_nursery() as nursery:
        with trio.CancelScope() as first:  # the one who runs the model for all
            nursery.start_soon(wait)
            nursery.start_soon(wait)
            first.cancel()
            await together.probability(vad.stream(), frame(256))
    assert first.cancelled_caught
    assert heard == [pytest.approx(level_of(1))] * 2


async def test_a_model_that_fails_fails_for_all_of_a_run(autojump_clock: Clock) -> None:
    graph, together = Counting(), Together()
    vad = SileroVad(graph)
    await crowd(together, vad)
    graph.fails = True
    failures: list[RuntimeError] = []

    async def wait() -> None:
        try:
            await together.probability(vad.stream(), frame(512))
        except RuntimeError as error:
            failures.append(error)

    async with trio.open_nursery() as nursery:
        for _ in range(40):  # more than one run's
            nursery.start_soon(wait)
    assert len(failures) == 40
    graph.fails = False
    assert await together.probability(vad.stream(), frame(512)) == pytest.approx(level_of(1))


@pytest.mark.local
async def test_the_models_own_results_do_not_depend_on_the_others(
    autojump_clock: Clock, local_settings: LocalSettings, recordings: dict[str, tuple[bytes, str]]
) -> None:
    vad = SileroVad.load(require(local_settings, SILERO.name))
    voices = [wav[44:] for wav, _ in recordings.values()][:4] * 3
    frames = min(len(voice) for voice in voices) // FRAME_BYTES
    together = Together()
    found: list[list[float]] = [[] for _ in voices]

    async def listen_to(number: int, voice: bytes) -> None:
        stream = vad.stream()
        await trio.sleep(0.001 * number)
        for at in range(frames):
            due_s = trio.current_time() + FRAME_S
            piece = voice[at * FRAME_BYTES : (at + 1) * FRAME_BYTES]
            found[number].append(await together.probability(stream, piece))
            await trio.sleep_until(due_s)

    async with trio.open_nursery() as nursery:
        for number, voice in enumerate(voices):
            nursery.start_soon(listen_to, number, voice)
    for number, voice in enumerate(voices):
        alone = vad.stream()
        pieces = [voice[at * FRAME_BYTES : (at + 1) * FRAME_BYTES] for at in range(frames)]
        assert found[number] == pytest.approx([alone.probability(p) for p in pieces], abs=1e-4)
