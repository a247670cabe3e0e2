"""The audio lane: bounded by time, the oldest goes, marks stay."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
import trio
import trio.testing
from hypothesis import given

from vantum.actors.lane import AudioFrame, AudioLane, LaneItem
from vantum.core.audio import AudioFormat
from vantum.core.messages import SttFlush

RATE = 8000
LINE = AudioFormat(RATE)


def frame(number: int, length_ms: int = 20) -> AudioFrame:
    return AudioFrame(bytes([number % 256]) * (2 * RATE * length_ms // 1000), LINE)


def joined(items: list[LaneItem]) -> list[LaneItem]:
    """As the lane hands it on: neighbours are one."""
    found: list[LaneItem] = []
    for item in items:
        last = found[-1] if found else None
        if isinstance(item, AudioFrame) and isinstance(last, AudioFrame):
            found[-1] = AudioFrame(last.audio + item.audio, LINE)
        else:
            found.append(item)
    return found


async def drain(lane: AudioLane) -> list[LaneItem]:
    """What is there, without waiting for more."""
    with trio.move_on_after(1):
        return await lane.get_batch()
    return []


async def test_in_order_and_waiting(autojump_clock: object) -> None:
    lane = AudioLane(1.0)
    got: list[LaneItem] = []

    async def consume() -> None:
        got.extend(await lane.get_batch())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(consume)
        await trio.sleep(1)
        items: list[LaneItem] = [frame(1), SttFlush(1), frame(2)]
        for item in items:
            assert lane.put(item) == 0.0
    assert got == items


async def test_who_waits_no_longer_than_a_moment_gets_nothing(autojump_clock: object) -> None:
    lane, began_s = AudioLane(1.0), trio.current_time()
    assert await lane.get_batch(began_s + 0.5) == []
    assert trio.current_time() - began_s == pytest.approx(0.5)
    lane.put(frame(1))
    assert await lane.get_batch(began_s + 9) == [frame(1)]
    assert trio.current_time() - began_s == pytest.approx(0.7), "as soon as it is worth it"


async def test_audio_that_trickles_in_does_not_put_off_what_waits(autojump_clock: object) -> None:
    lane = AudioLane(1.0)
    began_s = trio.current_time()
    async with trio.open_nursery() as nursery:

        async def trickle() -> None:
            for number in range(8):
                lane.put(frame(number))
                await trio.sleep(0.15)

        nursery.start_soon(trickle)
        await lane.get_batch()
        assert trio.current_time() - began_s == pytest.approx(0.2)


@pytest.mark.parametrize(("listen", "batch_ms"), [(False, 200), (True, 40)])
async def test_audio_comes_in_batches_and_waits_no_longer(
    autojump_clock: object, listen: bool, batch_ms: int
) -> None:
    lane = AudioLane(1.0)
    got: list[tuple[float, float]] = []
    began_s = trio.current_time()

    async def consume() -> None:
        while True:
            (audio,) = await lane.get_batch()
            assert isinstance(audio, AudioFrame)
            got.append((trio.current_time() - began_s, audio.duration_s))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(consume)
        for number in range(21):
            lane.put(AudioFrame(frame(number).audio, LINE, listen))
            await trio.sleep(0.02)
        await trio.sleep(1)
        nursery.cancel_scope.cancel()
    lengths = [length_s for _, length_s in got]
    assert lengths[:2] == pytest.approx([batch_ms / 1000] * 2)
    assert sum(lengths) == pytest.approx(0.42)
    # The rest, too little for a batch, did not wait for more than a batch's time.
    assert got[-1][0] == pytest.approx(0.4 + batch_ms / 1000, abs=0.021)


async def test_a_mark_takes_everything_along_at_once(autojump_clock: object) -> None:
    lane = AudioLane(1.0)
    lane.put(frame(1))
    began_s = trio.current_time()
    assert lane.flush() == 1
    assert await lane.get_batch() == [frame(1), SttFlush(1)]
    assert trio.current_time() == began_s
    assert lane.flush() == 2


async def test_what_does_not_go_together_is_not_joined(autojump_clock: object) -> None:
    lane = AudioLane(1.0)
    items: list[LaneItem] = [
        frame(1),
        AudioFrame(frame(2).audio, AudioFormat(2 * RATE)),
        AudioFrame(frame(3).audio, AudioFormat(2 * RATE), True),
    ]
    for item in items:
        lane.put(item)
    assert await lane.get_batch() == items


async def test_the_oldest_goes_and_marks_stay() -> None:
    lane = AudioLane(0.06)
    assert [lane.put(frame(n)) for n in range(3)] == [0.0, 0.0, 0.0]
    lane.put(SttFlush(1))
    assert lane.put(frame(3)) == pytest.approx(0.02)
    assert lane.put(frame(4)) == pytest.approx(0.02)
    assert await drain(lane) == joined([frame(2), SttFlush(1), frame(3), frame(4)])


async def test_of_marks_that_nobody_takes_the_newest_stay() -> None:
    """Or a client that sends nothing but ends of turns would fill the memory."""
    lane = AudioLane(0.06)
    lane.put(frame(1))
    for _ in range(3_000):
        lane.flush()
    lane.put(frame(2))
    first, *marks, last = await drain(lane)
    assert (first, last) == (frame(1), frame(2))
    assert marks == [SttFlush(n) for n in range(2_001, 3_001)]
    assert lane.flush() == 3_001
    assert await drain(lane) == [SttFlush(3_001)]


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

    async def main() -> list[LaneItem]:
        nonlocal told_s
        for number, length_ms in enumerate(lengths):
            item = SttFlush(number) if length_ms is None else frame(number, length_ms)
            put.append(item)
            told_s += lane.put(item)
        return await drain(lane)

    got = trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    assert [x for x in got if isinstance(x, SttFlush)] == [
        x for x in put if isinstance(x, SttFlush)
    ]
    audio_in = [x for x in put if isinstance(x, AudioFrame)]
    heard = b"".join(x.audio for x in got if isinstance(x, AudioFrame))
    assert b"".join(x.audio for x in audio_in).endswith(heard)
    # Whole frames, and in their place among the marks.
    gone = list(put)
    while joined(gone) != got:
        gone.remove(next(x for x in gone if isinstance(x, AudioFrame)))
    lost_s = sum(x.duration_s for x in audio_in) - len(heard) / (2 * RATE)
    assert told_s == pytest.approx(lost_s, abs=1e-9)
    # The newest may be longer than all that may wait, and marks may keep it company.
    held_s = len(heard) / (2 * RATE) - (audio_in[-1].duration_s if audio_in else 0.0)
    assert held_s <= limit_ms / 1000 + 1e-9
