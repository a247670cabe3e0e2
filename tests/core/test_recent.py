"""The last seconds of a stream."""

from hypothesis import given
from hypothesis import strategies as st

from vantum.core.recent import RecentAudio


@given(st.lists(st.integers(0, 300), max_size=30), st.floats(-1, 3))
def test_it_gives_the_streams_own_end(sizes: list[int], seconds: float) -> None:
    recent, stream = RecentAudio(1.0, rate_hz=100), b""
    for number, size in enumerate(sizes):
        piece = bytes([number, size % 256]) * size
        stream += piece
        recent.feed(piece)
        assert recent.last(9) == stream[-200:]
        assert recent._ring.end - recent._ring.base == min(len(stream), 200) // 2
    count = min(max(round(min(seconds, 1.0) * 100), 0) * 2, len(stream))
    assert recent.last(seconds) == stream[len(stream) - count :]


def test_it_forgets() -> None:
    recent = RecentAudio(1.0, rate_hz=2)
    recent.feed(b"abcdef")
    recent.clear()
    assert recent.last(1) == b""
    recent.feed(b"ghij")
    assert recent.last(1) == b"ghij"
