"""The resampler actor: whatever the client's rate and however long its messages."""

from __future__ import annotations

import pytest
import trio
from attrs import define, field

from tests.in_memory import LOUD, LoudnessEar, a_call
from vantum.actors.call import Inbox
from vantum.actors.lane import AudioFrame, AudioLane
from vantum.actors.resampler import Ear, Takes, resample
from vantum.core.audio import AudioFormat, mulaw_decode, mulaw_encode
from vantum.core.messages import SttAudio, SttFlush, SttInput, VoiceEdge
from vantum.core.resampling import Resampler


def wide(line: AudioFormat) -> AudioFormat:
    """A recogniser that takes 16 kHz PCM, whatever comes."""
    return AudioFormat(16_000)


def as_it_comes(line: AudioFormat) -> AudioFormat:
    """One that takes everything."""
    return line


async def resampled(
    *items: AudioFrame | SttFlush, takes: Takes = wide, ear: Ear | None = None
) -> list[SttInput]:
    """What comes out; every message is a moment at which others run."""
    lane = AudioLane(3600)
    stt_tx, stt_rx = trio.open_memory_channel[SttInput](0)
    inbox_tx, _ = trio.open_memory_channel[Inbox](0)
    got: list[SttInput] = []
    async with trio.open_nursery() as nursery:
        for item in items:
            lane.put(item)
        nursery.start_soon(resample, lane, stt_tx, takes, ear or Ear(None), inbox_tx)
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
    got = await resampled(AudioFrame(pcm, AudioFormat(rate_hz)), SttFlush(0))
    pieces = [item.audio for item in got if isinstance(item, SttAudio)]
    assert max(map(len, pieces)) <= 2 * 16_000 * 0.6
    whole = Resampler(rate_hz, 16_000)
    assert b"".join(pieces) == whole.feed(pcm) + whole.finish()


async def test_a_new_rate_and_the_end_of_a_turn_leave_nothing_behind(
    autojump_clock: object,
) -> None:
    got = await resampled(
        AudioFrame(noise(1, 8000), AudioFormat(8000)),
        AudioFrame(noise(1, 48_000), AudioFormat(48_000)),
        SttFlush(1),
        AudioFrame(noise(1, 48_000), AudioFormat(48_000)),
        SttFlush(0),
    )
    at = got.index(SttFlush(1))
    lengths_s = [
        sum(len(item.audio) for item in part if isinstance(item, SttAudio)) / 32_000
        for part in (got[:at], got[at:])
    ]
    assert lengths_s == [pytest.approx(2.0), pytest.approx(1.0)]


PHONE = AudioFormat(8000, "mulaw")


@define
class Notes:
    """An ear that only notes what it hears."""

    heard: bytearray = field(factory=bytearray)
    probability: float = 0.0
    speaking: bool = False

    async def hear(self, pcm: bytes) -> list[VoiceEdge]:
        self.heard += pcm
        return []


@pytest.mark.parametrize("listens", [True, False])
async def test_a_phone_goes_on_as_it_comes_and_the_ear_hears_it_wide(
    listens: bool, autojump_clock: object
) -> None:
    audio, ear = mulaw_encode(noise(3, 8000)), Notes()
    frames = [AudioFrame(audio[at : at + 160], PHONE, listens) for at in range(0, len(audio), 160)]
    middle = len(frames) // 2
    items: list[AudioFrame | SttFlush] = [
        *frames[:middle],
        SttFlush(1),
        *frames[middle:],
        SttFlush(0),
    ]
    got = await resampled(*items, takes=as_it_comes, ear=Ear(ear))
    assert b"".join(x.audio for x in got if isinstance(x, SttAudio)) == audio
    # The end of a turn is where it was.
    before = got[: got.index(SttFlush(1))]
    assert sum(len(x.audio) for x in before if isinstance(x, SttAudio)) == 160 * middle
    pcm, half = mulaw_decode(audio), 320 * middle
    filters = [Resampler(8000, 16_000), Resampler(8000, 16_000)]
    wide_pcm = b"".join(
        f.feed(part) for f, part in zip(filters, (pcm[:half], pcm[half:]), strict=True)
    )
    assert bytes(ear.heard) == (wide_pcm if listens else b"")


async def test_a_phone_is_made_wide_for_a_recogniser_that_wants_it(autojump_clock: object) -> None:
    audio = mulaw_encode(noise(2, 8000))
    got = await resampled(AudioFrame(audio, PHONE), SttFlush(0))
    whole = Resampler(8000, 16_000)
    pcm = whole.feed(mulaw_decode(audio)) + whole.finish()
    assert b"".join(x.audio for x in got if isinstance(x, SttAudio)) == pcm


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


@define
class Stubborn(Notes):
    """An ear that hears a voice for ever."""

    speaking: bool = True


@pytest.mark.parametrize(("ear", "told"), [(Stubborn(), 3), (Notes(), 0)])
async def test_audio_that_stops_in_a_voice_is_silence_to_the_ear(
    ear: Notes, told: int, autojump_clock: object
) -> None:
    """To the ear alone, and once a second: a recogniser keeps time by what it gets."""
    lane = AudioLane(3600)
    stt_tx, stt_rx = trio.open_memory_channel[SttInput](8)
    inbox_tx, _ = trio.open_memory_channel[Inbox](0)
    pcm = noise(0.5, 16_000)
    lane.put(AudioFrame(pcm, AudioFormat(16_000), listen=True))
    with trio.move_on_after(3.9):
        await resample(lane, stt_tx, wide, Ear(ear), inbox_tx)
    assert bytes(ear.heard) == pcm + bytes(16_000 * told)
    assert stt_rx.receive_nowait() == SttAudio(pcm)
    with pytest.raises(trio.WouldBlock):
        stt_rx.receive_nowait()
