"""The audio that may have to be heard again, as the pieces in which it came. Pure.

Pieces and not one growing buffer: such a buffer keeps the room that it once needed, for each call
at its own worst moment, while freed pieces are taken by other calls. And what is sent is mostly one
whole piece, which then is not copied.
"""

from __future__ import annotations

from collections import deque

from attrs import Factory, define


@define
class Ring:
    """Mono audio of `sample_bytes` a sample, by position.

    Attributes:
        base: position of the first sample that is kept.
        end: position after the last one.
    """

    sample_bytes: int
    base: int = 0
    end: int = 0
    _pieces: deque[bytes] = Factory(deque)

    def add(self, audio: bytes) -> None:
        """Audio goes on with whole samples."""
        if audio:
            self._pieces.append(audio)
            self.end += len(audio) // self.sample_bytes

    def forget_until(self, position: int) -> None:
        """What is before `position` will not be read again."""
        while self._pieces and self.base < position:
            piece = self._pieces.popleft()
            rest = self.base + len(piece) // self.sample_bytes - position
            if rest > 0:
                self._pieces.appendleft(piece[len(piece) - rest * self.sample_bytes :])
                self.base = position
            else:
                self.base += len(piece) // self.sample_bytes

    def read(self, start: int, end: int) -> bytes:
        """From `start` to before `end`; both within what is kept."""
        parts: list[bytes] = []
        size = self.sample_bytes
        after = self.end
        # From the end, which is where it is mostly read.
        for piece in reversed(self._pieces):
            if after <= start:
                break
            begin = after - len(piece) // self.sample_bytes
            if begin < end:
                low, high = max(start, begin) - begin, min(end, after) - begin
                whole = high - low == after - begin
                parts.append(piece if whole else piece[low * size : high * size])
            after = begin
        return parts[0] if len(parts) == 1 else b"".join(reversed(parts))
