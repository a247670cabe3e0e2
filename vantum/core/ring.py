"""The audio that may have to be heard again, as the pieces in which it came. Pure.

Pieces and not one growing buffer: such a buffer keeps the room that it once needed, for each call
at its own worst moment, while freed pieces are taken by other calls. And what is sent is mostly one
whole piece, which then is not copied.

Of 16-bit PCM what is so quiet that its samples fit into a byte each is kept so: on a line on which
nobody speaks, as on most while we do, that is half the room. It is read as it was added, bit by
bit.
"""

from __future__ import annotations

import numpy as np
from attrs import define, field, frozen

from vantum.core.audio import SAMPLE_BYTES, to_int16


@frozen
class _Quiet:
    """16-bit PCM, each sample as one signed byte."""

    samples: bytes


@define
class Ring:
    """Mono audio of `sample_bytes` a sample, by position.

    Args:
        look_bytes: so much is looked at in one go, to see whether it is quiet.

    Attributes:
        base: position of the first sample that is kept.
        end: position after the last one.
    """

    sample_bytes: int
    look_bytes: int = 6_400  # a fifth of a second at 16 kHz
    base: int = field(default=0, init=False)
    end: int = field(default=0, init=False)
    # A list: they are some dozens, and an empty deque takes as much room as a task's frames.
    _pieces: list[bytes | _Quiet] = field(factory=list, init=False)
    _seen: int = field(default=0, init=False)  # pieces that have been looked at
    _unseen_bytes: int = field(default=0, init=False)  # what came behind them

    def add(self, audio: bytes) -> None:
        """Audio goes on with whole samples."""
        if not audio:
            return
        # The newest is mostly still to be sent: it is left as it is.
        if self._unseen_bytes >= self.look_bytes:
            self._look()
        self._pieces.append(audio)
        self._unseen_bytes += len(audio)
        self.end += len(audio) // self.sample_bytes

    def _look(self) -> None:
        """Keep what nobody has looked at in half the room if it is quiet."""
        if self.sample_bytes == SAMPLE_BYTES:
            stretch = b"".join(map(_widened, self._pieces[self._seen :]))
            samples = to_int16(stretch)
            if len(samples) and samples.max() <= 127 and samples.min() >= -128:
                self._pieces[self._seen :] = [_Quiet(samples.astype(np.int8).tobytes())]
        self._seen, self._unseen_bytes = len(self._pieces), 0

    def forget_until(self, position: int) -> None:
        """What is before `position` will not be read again."""
        gone = 0
        while gone < len(self._pieces) and self.base < position:
            piece = self._pieces[gone]
            length = self._length(piece)
            if self.base + length > position:
                self._pieces[gone] = self._part(piece, position - self.base, length)
                self.base = position
            else:
                self.base += length
                gone += 1
        del self._pieces[:gone]
        self._seen = max(0, self._seen - gone)

    def read(self, start: int, end: int) -> bytes:
        """From `start` to before `end`; both within what is kept."""
        parts: list[bytes] = []
        after = self.end
        # From the end, which is where it is mostly read.
        for piece in reversed(self._pieces):
            if after <= start:
                break
            begin = after - self._length(piece)
            if begin < end:
                part = self._part(piece, max(start, begin) - begin, min(end, after) - begin)
                parts.append(_widened(part))
            after = begin
        return parts[0] if len(parts) == 1 else b"".join(reversed(parts))

    def _length(self, piece: bytes | _Quiet) -> int:
        """In samples."""
        if isinstance(piece, _Quiet):
            return len(piece.samples)
        return len(piece) // self.sample_bytes

    def _part(self, piece: bytes | _Quiet, low: int, high: int) -> bytes | _Quiet:
        """Samples `low` to before `high` of a piece; of bytes, the piece itself if that is all."""
        if isinstance(piece, _Quiet):
            return _Quiet(piece.samples[low:high])
        return piece[low * self.sample_bytes : high * self.sample_bytes]


def _widened(piece: bytes | _Quiet) -> bytes:
    if isinstance(piece, _Quiet):
        return np.frombuffer(piece.samples, np.int8).astype("<i2").tobytes()
    return piece
