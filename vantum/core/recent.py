"""The last seconds of a stream, for whoever wants to hear again how a turn ended. Pure."""

from __future__ import annotations

from attrs import Factory, define, field

from vantum.core.audio import SAMPLE_BYTES


@define
class RecentAudio:
    """Keeps the newest `seconds` of PCM at `rate_hz`, and at most a quarter more in memory."""

    seconds: float
    rate_hz: int = 16_000
    _kept: bytearray = field(default=Factory(bytearray), init=False)

    def feed(self, pcm: bytes) -> None:
        """Take what comes next in the stream: PCM of even length."""
        self._kept += pcm
        limit = self._bytes(self.seconds)
        if len(self._kept) > limit + limit // 4:  # not at every frame: it moves all that is kept
            del self._kept[:-limit]

    def last(self, seconds: float) -> bytes:
        """The newest `seconds`, or what there is of them: never more than is kept for sure."""
        count = self._bytes(min(max(seconds, 0.0), self.seconds))
        return bytes(self._kept[max(len(self._kept) - count, 0) :])

    def clear(self) -> None:
        """Forget: what comes next belongs to something else."""
        self._kept.clear()

    def _bytes(self, seconds: float) -> int:
        return round(seconds * self.rate_hz) * SAMPLE_BYTES
