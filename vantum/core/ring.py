"""The audio that may have to be heard again, as the pieces in which it came. Pure.

Pieces and not one growing buffer: such a buffer keeps the room that it once needed, for each call
at its own worst moment, while freed pieces are taken by other calls. And what is sent is mostly one
whole piece, which then is not copied.

16-bit PCM is kept in less room (`vantum.core.packing`): in none where the microphone is muted, in
half of it on a line on which nobody speaks, as on most while we do, in two thirds where somebody
does. What is read is what was added, bit by bit.
"""

from __future__ import annotations

from attrs import define, field

from vantum.core.audio import SAMPLE_BYTES
from vantum.core.packing import Narrow, Packed, Quiet, Silent, narrow, widen


@define
class Ring:
    """Mono audio of `sample_bytes` a sample, by position.

    Args:
        look_bytes: so much is looked at in one go, to see in how little room it fits.

    Attributes:
        base: position of the first sample that is kept.
        end: position after the last one.
    """

    sample_bytes: int
    look_bytes: int = 12_800  # two fifths of a second at 16 kHz
    base: int = field(default=0, init=False)
    end: int = field(default=0, init=False)
    # A list: they are some dozens, and an empty deque takes as much room as a task's frames.
    _pieces: list[Narrow] = field(factory=list, init=False)
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
        """Keep what nobody has looked at in less room, if it fits."""
        if self.sample_bytes == SAMPLE_BYTES:
            stretch = b"".join(map(widen, self._pieces[self._seen :]))
            if not isinstance(less := narrow(stretch), bytes):
                self._pieces[self._seen :] = [less]
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
        for index in range(len(self._pieces) - 1, -1, -1):
            if after <= start:
                break
            piece = self._pieces[index]
            begin = after - self._length(piece)
            if begin < end:
                low, high = max(start, begin) - begin, min(end, after) - begin
                if isinstance(piece, Packed) and high - low < piece.samples:
                    # Where one begins to read he mostly does so again.
                    self._pieces[index] = piece = widen(piece)
                parts.append(widen(self._part(piece, low, high)))
            after = begin
        return parts[0] if len(parts) == 1 else b"".join(reversed(parts))

    def _length(self, piece: Narrow) -> int:
        """In samples."""
        return len(piece) // self.sample_bytes if isinstance(piece, bytes) else piece.samples

    def _part(self, piece: Narrow, low: int, high: int) -> bytes | Silent | Quiet:
        """Samples `low` to before `high` of a piece; of bytes, the piece itself if that is all."""
        if isinstance(piece, Silent):
            return Silent(high - low)
        if isinstance(piece, Quiet):
            return Quiet(piece.data[low:high])
        return widen(piece)[low * self.sample_bytes : high * self.sample_bytes]
