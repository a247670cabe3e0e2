"""16-bit PCM that waits, in less room and bit by bit the same. Pure.

Of what is silent only the length is kept, and what is so quiet that its samples fit into a byte
each is kept so: that costs next to nothing. Of what is louder it counts that a voice goes on nearly
as it went: what is left of a sample when the two before it are carried on in a straight line (its
second difference) is small. Of 64 such rests at a time only the places of bits are kept in which
any of them has one, as a word of 64 bits each.

Speech at 16 kHz needs 10 to 11 bits a sample so, at 8 kHz 11 to 12, white noise as many as before.
Half a second takes some 60 µs each way, a tenth 45: it is NumPy's calls that take the time.

Sources: T. Robinson, "SHORTEN: Simple lossless and near-lossless waveform compression" (1994), for
the differences; H. S. Warren, "Hacker's Delight" (2002), 7-3, for turning bits over.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
from attrs import define, field, frozen
from numpy.typing import NDArray

from vantum.core.audio import SAMPLE_BYTES, to_int16

#: Bits of a sample; as many words of four samples are a block.
_BITS: Final = 16
_BLOCK: Final = 4 * _BITS
#: How a square of 16 × 16 bits is turned over: its quarters are swapped, then quarters of those.
_SWAPS: Final = tuple(
    (step, np.uint64(step), np.uint64(int(mask * 4, 16)))
    for step, mask in ((8, "00ff"), (4, "0f0f"), (2, "3333"), (1, "5555"))
)
#: Who saves less than a tenth is not worth the way back.
_WORTH: Final = 0.9


@frozen
class Silent:
    """PCM that is all zero, as behind a muted microphone."""

    samples: int


@frozen
class Quiet:
    """PCM, each sample as one signed byte."""

    data: bytes

    @property
    def samples(self) -> int:
        """How many there are."""
        return len(self.data)


@frozen
class Packed:
    """PCM as `pack` has it, and how many samples that is."""

    data: bytes
    samples: int


#: PCM, as it came or in less room.
Narrow: TypeAlias = bytes | Silent | Quiet | Packed


def narrow(pcm: bytes) -> Narrow:
    """`pcm` in less room, or itself if it needs all that it has."""
    samples = to_int16(pcm)
    if len(samples):
        most, least = samples.max(), samples.min()
        if most == least == 0:
            return Silent(len(samples))
        if most <= 127 and least >= -128:
            return Quiet(samples.astype(np.int8).tobytes())
    packed = pack(pcm)
    return Packed(packed, len(samples)) if len(packed) < _WORTH * len(pcm) else pcm


def widen(audio: Narrow) -> bytes:
    """What `narrow` was given."""
    match audio:
        case Silent(samples=samples):
            return bytes(SAMPLE_BYTES * samples)
        case Quiet(data=data):
            return np.frombuffer(data, np.int8).astype("<i2").tobytes()
        case Packed(data=data, samples=samples):
            return unpack(data, samples)
        case _:
            return audio


@define
class PackedQueue:
    """PCM that is a while from its turn: what came first goes first.

    Args:
        stretch_bytes: so much is packed, and unpacked, in one go.

    Attributes:
        size: bytes that can be taken.
    """

    stretch_bytes: int = 16_000  # half a second at 16 kHz
    size: int = field(default=0, init=False)
    _oldest: bytes = field(default=b"", init=False)  # of which so much has been taken:
    _taken: int = field(default=0, init=False)
    _stretches: list[Narrow] = field(factory=list, init=False)
    _newest: list[bytes] = field(factory=list, init=False)
    _newest_bytes: int = field(default=0, init=False)

    def add(self, pcm: bytes) -> None:
        """Whole samples go behind all others."""
        self._newest.append(pcm)
        self._newest_bytes += len(pcm)
        self.size += len(pcm)
        if self._newest_bytes >= self.stretch_bytes:
            self._stretches.append(narrow(self._rest()))

    def take(self, size: int) -> bytes:
        """The first so many bytes. ValueError if there are fewer."""
        if size > self.size:
            raise ValueError(f"{size} bytes are asked for; {self.size} are there")
        while self._taken + size > len(self._oldest):
            more = widen(self._stretches.pop(0)) if self._stretches else self._rest()
            self._oldest, self._taken = self._oldest[self._taken :] + more, 0
        begin, self._taken = self._taken, self._taken + size
        self.size -= size
        pcm = self._oldest[begin : self._taken]
        if self._taken == len(self._oldest):
            self._oldest, self._taken = b"", 0
        return pcm

    def _rest(self) -> bytes:
        """The newest, which is no stretch yet."""
        pcm = b"".join(self._newest)
        self._newest.clear()
        self._newest_bytes = 0
        return pcm


def pack(pcm: bytes) -> bytes:
    """`pcm` as bits that are not all zero. ValueError if half a sample is left."""
    samples = to_int16(pcm)
    blocks = -(-len(samples) // _BLOCK)
    rests = np.zeros(blocks * _BLOCK, np.int16)  # differences wrap around, and so do sums
    of_these = rests[: len(samples)]
    of_these[:] = samples
    for _ in range(2):
        of_these[1:] -= of_these[:-1]
    # 0, -1, 1, -2, … as 0, 1, 2, 3, …: what is small has few bits, whatever its sign.
    words = (rests << 1 ^ rests >> 15).view(np.uint64)
    planes = np.ascontiguousarray(words.reshape(blocks, _BITS).T)
    _turn_over(planes)
    kept = planes != 0
    packed: bytes = np.packbits(kept).tobytes() + planes[kept].tobytes()
    return packed


def unpack(packed: bytes, samples: int) -> bytes:
    """What `pack` was given, which was so many samples."""
    blocks = -(-samples // _BLOCK)
    marks = np.frombuffer(packed, np.uint8, blocks * _BITS // 8)
    kept = np.unpackbits(marks).view(np.bool_).reshape(_BITS, blocks)
    planes = np.zeros((_BITS, blocks), np.uint64)
    planes[kept] = np.frombuffer(packed, np.uint64, offset=len(marks))
    _turn_over(planes)
    folded = planes.T.reshape(-1).view(np.uint16)[:samples]
    rests = (folded >> 1 ^ -(folded & 1)).view(np.int16)
    # Wider ones, because sums of 16 bits take three times as long; what runs over is cut off.
    sums = rests.cumsum(dtype=np.int32).cumsum(dtype=np.int32)
    pcm: bytes = sums.astype("<i2").tobytes()
    return pcm


def _turn_over(words: NDArray[np.uint64]) -> None:
    """Swap a block's words and the places of their bits, in place; twice is as before."""
    for step, shift, mask in _SWAPS:
        pairs = words.reshape(_BITS // (2 * step), 2, step, -1)
        low, high = pairs[:, 0], pairs[:, 1]
        moved = low >> shift
        moved ^= high
        moved &= mask
        high ^= moved
        moved <<= shift
        low ^= moved
