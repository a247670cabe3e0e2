"""PCM that waits: less room, and the same bits back."""

from __future__ import annotations

import struct
import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vantum.core.audio import from_int16
from vantum.core.packing import Packed, PackedQueue, Quiet, Silent, narrow, pack, unpack, widen

RECORDINGS = Path(__file__).parents[1] / "recordings"


def samples(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}h", *values)


def recorded(name: str) -> bytes:
    with wave.open(str(RECORDINGS / f"{name}.wav")) as file:
        audio: bytes = file.readframes(file.getnframes())
    return audio


def noise(count: int, most: int = 32_767) -> bytes:
    values = np.random.default_rng(1).integers(-most - 1, most, count, np.int16, endpoint=True)
    return from_int16(values)


#: Anything, and what goes on as it went.
pcm = st.one_of(
    st.binary(max_size=600).map(lambda raw: raw[: len(raw) & ~1]),
    st.builds(
        lambda start, step, count: samples(*((start + n * step) % 60_000 - 30_000 for n in count)),
        st.integers(0, 60_000),
        st.integers(-40, 40),
        st.integers(0, 300).map(range),
    ),
)


@settings(max_examples=200)
@given(pcm)
@example(samples(-32_768, 32_767) * 64)
@example(samples(32_767) * 65)
@example(bytes(2 * 63))
def test_what_is_unpacked_is_what_was_packed(audio: bytes) -> None:
    assert unpack(pack(audio), len(audio) // 2) == audio
    assert widen(narrow(audio)) == audio


def test_half_a_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="3 bytes"):
        pack(b"abc")
    with pytest.raises(ValueError, match="3 bytes"):
        narrow(b"abc")


@pytest.mark.parametrize("name", ["austen-0870", "austen-0890", "kennedy"])
def test_a_voice_takes_two_thirds_of_its_room(name: str) -> None:
    audio = recorded(name)
    kept = [narrow(audio[at : at + 16_000]) for at in range(0, len(audio), 16_000)]
    assert b"".join(map(widen, kept)) == audio
    packed = [k for k in kept if isinstance(k, Packed)]
    assert len(packed) == len(kept)
    assert sum(len(k.data) for k in packed) < 0.69 * len(audio)


def test_what_is_silent_takes_no_room() -> None:
    assert narrow(bytes(1600)) == Silent(800)
    assert widen(Silent(800)) == bytes(1600)
    for sound in (1, -1):
        assert narrow(bytes(1598) + samples(sound)) == Quiet(bytes(799) + struct.pack("b", sound))
    assert narrow(b"") == b""


def test_what_is_quiet_takes_a_byte_a_sample() -> None:
    audio = noise(800, 127)
    assert narrow(audio) == Quiet(np.frombuffer(audio, "<i2").astype(np.int8).tobytes())
    for louder in (128, -129):
        assert not isinstance(narrow(audio + samples(louder)), Quiet)


def test_what_is_a_little_louder_is_packed() -> None:
    audio = samples(*range(-400, 400))
    kept = narrow(audio)
    assert isinstance(kept, Packed)
    assert kept.samples == 800
    assert len(kept.data) < len(audio) / 4


def test_noise_stays_as_it_is() -> None:
    audio = noise(8_000)
    assert narrow(audio) is audio


@settings(max_examples=150)
@given(st.data(), st.sampled_from([2, 50, 400, 16_000]))
def test_a_queue_gives_what_came_in_its_order(data: st.DataObject, stretch_bytes: int) -> None:
    queue, whole = PackedQueue(stretch_bytes), b""
    for _ in range(data.draw(st.integers(1, 12))):
        audio = data.draw(pcm)
        queue.add(audio)
        whole += audio
        assert queue.size == len(whole)
        size = data.draw(st.integers(0, len(whole) // 2)) * 2
        assert queue.take(size) == whole[:size]
        whole = whole[size:]
    assert queue.take(queue.size) == whole
    assert queue.size == 0


def test_a_queue_gives_no_more_than_it_has() -> None:
    queue = PackedQueue()
    queue.add(samples(1, 2))
    with pytest.raises(ValueError, match="6 bytes are asked for; 4 are there"):
        queue.take(6)
    assert queue.take(4) == samples(1, 2)
