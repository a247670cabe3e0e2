"""The ring against one long text of samples."""

from __future__ import annotations

import struct

from hypothesis import given, settings
from hypothesis import strategies as st

from vantum.providers.deepgram.ring import Ring


def audio(start: int, count: int) -> bytes:
    return struct.pack(f"<{count}H", *range(start, start + count))


@settings(max_examples=60)
@given(st.data())
def test_what_is_read_is_what_was_added(data: st.DataObject) -> None:
    ring, end, base = Ring(2), 0, 0
    for _ in range(data.draw(st.integers(1, 12))):
        count = data.draw(st.integers(0, 9))
        ring.add(audio(end, count))
        end += count
        if data.draw(st.booleans()):
            base = max(base, data.draw(st.integers(0, end)))
            ring.forget_until(base)
        assert (ring.base, ring.end) == (base, end)
        start = data.draw(st.integers(base, end))
        until = data.draw(st.integers(start, end))
        assert ring.read(start, until) == audio(start, until - start)


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
