"""The last seconds of a stream, for whoever wants to hear again how a turn ended. Pure."""

from __future__ import annotations

from attrs import Factory, define, field

from vantum.core.audio import SAMPLE_BYTES


@define
class RecentAudio:
    """Keeps the newest `seconds` of PCM at `rate_hz`, and no more in memory than there is of it."""

    seconds: float
    rate_hz: int = 16_000
    _kept: bytearray = field(default=Factory(bytearray), init=False)  # once full, a ring
    _oldest: int = field(default=0, init=False)

    def feed(self, pcm: bytes) -> None:
        """Take what comes next in the stream: PCM of even length."""
        limit = self._bytes(self.seconds)
        room = limit - len(self._kept)
        if room > 0:
            self._kept += pcm[:room]
            pcm = pcm[room:]
        pcm = pcm[max(len(pcm) - limit, 0) :]
        to_end = limit - self._oldest
        head, tail = pcm[:to_end], pcm[to_end:]
        self._kept[self._oldest : self._oldest + len(head)] = head
        self._kept[: len(tail)] = tail
        self._oldest += len(pcm)
        if self._oldest >= limit:
            self._oldest -= limit

    def last(self, seconds: float) -> bytes:
        """The newest `seconds`, or what there is of them: never more than is kept."""
        count = self._bytes(min(max(seconds, 0.0), self.seconds))
        ordered = self._kept[self._oldest :] + self._kept[: self._oldest]
        return bytes(ordered[max(len(ordered) - count, 0) :])

    def clear(self) -> None:
        """Forget: what comes next belongs to something else."""
        self._kept.clear()
        self._oldest = 0

    def _bytes(self, seconds: float) -> int:
        return round(seconds * self.rate_hz) * SAMPLE_BYTES
