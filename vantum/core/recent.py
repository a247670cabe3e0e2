"""The last seconds of a stream, for whoever wants to hear again how a turn ended. Pure."""

from __future__ import annotations

from attrs import Factory, define, field

from vantum.core.audio import SAMPLE_BYTES
from vantum.core.ring import Ring


@define
class RecentAudio:
    """Keeps the newest `seconds` of PCM at `rate_hz`, and no more in memory than there is of it."""

    seconds: float
    rate_hz: int = 16_000
    _ring: Ring = field(default=Factory(lambda: Ring(SAMPLE_BYTES)), init=False)

    def feed(self, pcm: bytes) -> None:
        """Take what comes next in the stream: PCM of even length."""
        self._ring.add(pcm)
        self._ring.forget_until(self._ring.end - self._samples(self.seconds))

    def last(self, seconds: float) -> bytes:
        """The newest `seconds`, or what there is of them: never more than is kept."""
        ring = self._ring
        count = self._samples(min(max(seconds, 0.0), self.seconds))
        return ring.read(max(ring.base, ring.end - count), ring.end)

    def clear(self) -> None:
        """Forget: what comes next belongs to something else."""
        self._ring.forget_until(self._ring.end)

    def _samples(self, seconds: float) -> int:
        return round(seconds * self.rate_hz)
