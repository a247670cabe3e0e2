"""The audio lane: bounded by time, the oldest goes, marks stay."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
import trio
import trio.testing
from hypothesis import given

from vantum.actors.lane import AudioFrame, AudioLane, LaneItem
from vantum.core.messages import SttFlush

RATE = 8000


def frame(number: int, length_ms: int = 20) -> AudioFrame:
    return AudioFrame(bytes([number % 256]) * (2 * RATE * length_ms // 1000), RATE)


async def drain(lane: AudioLane) -> list[AudioFrame | SttFlush]:
    items = []
    with trio.move_on_after(0):
        while True:
            items.append(await lane.get())
    return items


async def test_in_order_and_waiting(autojump_clock: object) -> None:
    lane = AudioLane(1.0)
    got: list[object] = []

    async def consume() -> None:
        for _ in range(3):
            got.append(await lane.get())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(consume)
        await trio.sleep(1)
        items: list[LaneItem] = [frame(1), SttFlush(1), frame(2)]
        for item in items:
            assert lane.put(item) == 0.0
        await trio.testing.wait_all_tasks_blocked()
    assert got == items


async def test_the_oldest_goes_and_marks_stay() -> None:
    lane = AudioLane(0.06)
    assert [lane.put(frame(n)) for n in range(3)] == [0.0, 0.0, 0.0]
    lane.put(SttFlush(1))
    assert lane.put(frame(3)) == pytest.approx(0.02)
    assert lane.put(frame(4)) == pytest.approx(0.02)
    assert await drain(lane) == [frame(2), SttFlush(1), frame(3), frame(4)]


async def test_one_long_message_is_taken_whole() -> None:
    lane = AudioLane(0.1)
    assert lane.put(frame(1, 5000)) == 0.0
    assert lane.put(frame(2)) == pytest.approx(5.0)
    assert await drain(lane) == [frame(2)]


@given(st.lists(st.one_of(st.none(), st.integers(1, 100)), max_size=60), st.integers(20, 200))
def test_any_order_of_puts(lengths: list[int | None], limit_ms: int) -> None:
    """What comes out is what went in, less the oldest audio; what is gone was told."""
    lane = AudioLane(limit_ms / 1000)
    put: list[AudioFrame | SttFlush] = []
    told_s = 0.0

    async def main() -> list[AudioFrame | SttFlush]:
        nonlocal told_s
        for number, length_ms in enumerate(lengths):
            item = SttFlush(number) if length_ms is None else frame(number, length_ms)
            put.append(item)
            told_s += lane.put(item)
        return await drain(lane)

    got = trio.run(main)
    assert [x for x in got if isinstance(x, SttFlush)] == [
        x for x in put if isinstance(x, SttFlush)
    ]
    audio_in = [x for x in put if isinstance(x, AudioFrame)]
    audio_out = [x for x in got if isinstance(x, AudioFrame)]
    assert audio_out == audio_in[len(audio_in) - len(audio_out) :]
    lost_s = sum(x.duration_s for x in audio_in) - sum(x.duration_s for x in audio_out)
    assert told_s == pytest.approx(lost_s, abs=1e-9)
    # The newest may be longer than all that may wait, and marks may keep it company.
    held_s = sum(x.duration_s for x in audio_out[:-1])
    assert held_s <= limit_ms / 1000 + 1e-9
