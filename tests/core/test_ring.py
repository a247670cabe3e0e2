"""The ring against one long text of samples."""

from __future__ import annotations

import struct
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vantum.core.ring import Ring


def audio(start: int, count: int) -> bytes:
    return struct.pack(f"<{count}h", *range(start, start + count))


#: What fits into a byte, what just does, what just does not, and all there is.
_LEVELS = [0, 1, 127, 128, 32_767]


@settings(max_examples=150)
@given(st.data(), st.sampled_from([1, 2]), st.sampled_from([0, 8, 30, 6_400]))
def test_what_is_read_is_what_was_added(
    data: st.DataObject, sample_bytes: int, look_bytes: int
) -> None:
    ring, base, whole = Ring(sample_bytes, look_bytes), 0, b""
    for _ in range(data.draw(st.integers(1, 12))):
        most = data.draw(st.sampled_from(_LEVELS))
        samples = data.draw(st.lists(st.integers(-most - 1, most), max_size=9))
        piece = struct.pack(f"<{len(samples)}h", *samples)
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


def held(ring: Ring, *pieces: bytes) -> int:
    """How many bytes it takes to keep these pieces, which nobody else holds."""
    tracemalloc.start()
    try:
        for piece in pieces:
            ring.add(bytes(bytearray(piece)))
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("samples", [640, 3200])
@pytest.mark.parametrize(("most", "share"), [(127, 0.5), (128, 1.0)])
def test_a_line_on_which_nobody_speaks_takes_half_the_room(
    most: int, share: float, samples: int
) -> None:
    piece = struct.pack(f"<{samples}h", *(-128, most) * (samples // 2))
    assert held(Ring(2), *[piece] * 50) / (50 * len(piece)) == pytest.approx(share, abs=0.1)


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
