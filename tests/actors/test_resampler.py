"""The resampler actor: whatever the client's rate and however long its messages."""

from __future__ import annotations

import pytest
import trio

from tests.in_memory import LOUD, LoudnessEar, a_call
from vantum.actors.call import Inbox
from vantum.actors.lane import AudioFrame, AudioLane
from vantum.actors.resampler import Ear, resample
from vantum.core.messages import SttAudio, SttFlush, SttInput
from vantum.core.resampling import Resampler


async def resampled(*items: AudioFrame | SttFlush) -> list[SttInput]:
    """What comes out; every message is a moment at which others run."""
    lane = AudioLane(3600)
    stt_tx, stt_rx = trio.open_memory_channel[SttInput](0)
    inbox_tx, _ = trio.open_memory_channel[Inbox](0)
    got: list[SttInput] = []
    async with trio.open_nursery() as nursery:
        for item in items:
            lane.put(item)
        nursery.start_soon(resample, lane, stt_tx, Ear(None), inbox_tx)
        while (message := await stt_rx.receive()) != SttFlush(0):
            got.append(message)
        nursery.cancel_scope.cancel()
    return got


def noise(length_s: float, rate_hz: int) -> bytes:
    return bytes(7 * at % 251 for at in range(2 * round(length_s * rate_hz)))


@pytest.mark.parametrize("rate_hz", [8000, 11_025, 16_000, 44_100])
async def test_a_minute_in_one_message_goes_on_in_short_pieces(
    autojump_clock: object, rate_hz: int
) -> None:
    pcm = noise(60, rate_hz)
    got = await resampled(AudioFrame(pcm, rate_hz), SttFlush(0))
    pieces = [item.pcm for item in got if isinstance(item, SttAudio)]
    assert max(map(len, pieces)) <= 2 * 16_000 * 0.6
    whole = Resampler(rate_hz, 16_000)
    assert b"".join(pieces) == whole.feed(pcm) + whole.finish()


async def test_a_new_rate_and_the_end_of_a_turn_leave_nothing_behind(
    autojump_clock: object,
) -> None:
    got = await resampled(
        AudioFrame(noise(1, 8000), 8000),
        AudioFrame(noise(1, 48_000), 48_000),
        SttFlush(1),
        AudioFrame(noise(1, 48_000), 48_000),
        SttFlush(0),
    )
    at = got.index(SttFlush(1))
    lengths_s = [
        sum(len(item.pcm) for item in part if isinstance(item, SttAudio)) / 32_000
        for part in (got[:at], got[at:])
    ]
    assert lengths_s == [pytest.approx(2.0), pytest.approx(1.0)]


class Patient:
    """A turn detector that always waits."""

    async def probability(self, pcm: bytes, text: str) -> float:
        return 0.0


@pytest.mark.parametrize(("detector", "kept"), [(None, 0), (Patient(), 8 * 2 * 16_000)])
async def test_what_was_heard_is_kept_for_a_turn_detector_alone(
    autojump_clock: object, detector: Patient | None, kept: int
) -> None:
    """A quarter of a megabyte for each call."""
    async with a_call(activity=LoudnessEar(), detector=detector) as caller:
        await caller.start(turn_detection="auto")
        await caller.speak(20.0, LOUD)
        assert caller.conductor is not None
        recent = caller.conductor.orders.ear.recent
        assert (0 if recent is None else len(recent.last(60.0))) == kept
