"""The ring against one long text of samples."""

from __future__ import annotations

import struct
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.test_packing import noise, recorded
from vantum.core import packing
from vantum.core.packing import unpack
from vantum.core.ring import Ring


def audio(start: int, count: int) -> bytes:
    return struct.pack(f"<{count}h", *range(start, start + count))


#: What fits into a byte, what just does, what just does not, and all there is.
_LEVELS = [0, 1, 127, 128, 32_767]


@settings(max_examples=150)
@given(st.data(), st.sampled_from([1, 2]), st.sampled_from([0, 8, 300, 12_800]))
def test_what_is_read_is_what_was_added(
    data: st.DataObject, sample_bytes: int, look_bytes: int
) -> None:
    ring, base, whole = Ring(sample_bytes, look_bytes), 0, b""
    for _ in range(data.draw(st.integers(1, 12))):
        most = data.draw(st.sampled_from(_LEVELS))
        sound = st.lists(st.integers(-most - 1, most), max_size=9)
        samples = data.draw(st.one_of(sound, st.integers(0, 9).map(lambda count: [0] * count)))
        # As often as not long and smooth, which can be packed.
        smooth = range(200, 200 + data.draw(st.sampled_from([0, 90])))
        piece = struct.pack(f"<{len(samples) + len(smooth)}h", *samples, *smooth)
        ring.add(piece)
        whole += piece
        end = len(whole) // sample_bytes
        if data.draw(st.booleans()):
            base = max(base, data.draw(st.integers(0, end)))
            ring.forget_until(base)
        assert (ring.base, ring.end) == (base, end)
        start = data.draw(st.integers(base, end))
        until = data.draw(st.integers(start, end))
        assert ring.read(start, until) == whole[start * sample_bytes : until * sample_bytes]


def frames(pcm: bytes) -> list[bytes]:
    return [pcm[at : at + 640] for at in range(0, len(pcm), 640)]


def held(ring: Ring, *pieces: bytes) -> int:
    """How many bytes it takes to keep these pieces, which nobody else holds."""
    tracemalloc.start()
    try:
        for piece in pieces:
            ring.add(bytes(bytearray(piece)))
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


def test_a_muted_microphone_takes_next_to_no_room() -> None:
    assert held(Ring(2), *[bytes(640)] * 2_500) < 0.03 * 640 * 2_500


@pytest.mark.parametrize("samples", [640, 6_400])
def test_a_line_on_which_nobody_speaks_takes_half_the_room(samples: int) -> None:
    piece = struct.pack(f"<{samples}h", *(-128, 127) * (samples // 2))
    assert held(Ring(2), *[piece] * 100) / (100 * len(piece)) == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize(("least", "most"), [(0.6, 0.75), (0.9, 1.1)])
def test_a_voice_takes_two_thirds_and_noise_all_of_its_room(least: float, most: float) -> None:
    pieces = frames(recorded("kennedy") if least < 0.7 else noise(160_000))
    assert least < held(Ring(2), *pieces) / sum(map(len, pieces)) < most


def test_what_is_read_bit_by_bit_is_unpacked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    unpacked: list[int] = []

    def counted(packed: bytes, samples: int) -> bytes:
        unpacked.append(samples)
        return unpack(packed, samples)

    monkeypatch.setattr(packing, "unpack", counted)
    ring, whole = Ring(2), recorded("kennedy")[:64_000]
    for frame in frames(whole):
        ring.add(frame)
    read = b"".join(ring.read(at, at + 100) for at in range(0, 32_000, 100))
    assert read == whole
    assert sum(unpacked) <= 32_000
    assert len(unpacked) > 2
    unpacked.clear()
    for at in range(0, 32_000, 100):
        ring.forget_until(at)
    assert not unpacked


def test_a_telephones_codes_stay_as_they_are() -> None:
    codes = bytes([255, 127] * 800)
    assert held(Ring(1), *[codes] * 20) / (20 * len(codes)) == pytest.approx(1, abs=0.1)


def test_a_whole_piece_is_not_copied() -> None:
    ring = Ring(2)
    piece = audio(100, 5)
    ring.add(audio(0, 100))
    ring.add(piece)
    assert ring.read(100, 105) is piece
    ring.forget_until(100)
    assert ring.read(100, 105) is piece


def test_forgetting_twice_and_nothing() -> None:
    ring = Ring(2)
    ring.forget_until(0)
    assert ring.read(0, 0) == b""
    ring.add(audio(0, 4))
    ring.forget_until(2)
    ring.forget_until(1)
    assert ring.base == 2
    assert ring.read(2, 4) == audio(2, 2)
