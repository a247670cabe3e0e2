"""PCM, mu-law, framing and WAV files: bytes in, bytes out.

Audio called `pcm` is 16-bit little-endian mono: two bytes a sample. Samples as floats lie in
-1.0 .. 1.0, where 1.0 is 32768 steps: the negative end is reachable, the positive one saturates
one step below it.

Sources: ITU-T G.711 (mu-law); "Multimedia Programming Interface and Data Specifications 1.0" and
Microsoft's WAVEFORMATEXTENSIBLE page (WAV).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from typing import Final, Literal, TypeAlias

import numpy as np
from attrs import define, field, frozen
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32] | NDArray[np.float64]

#: One sample of `pcm`.
SAMPLE_BYTES: Final = 2
#: What `dbfs` gives for silence: below anything that 16 bits can hold for long.
SILENCE_DBFS: Final = -100.0

_FULL_SCALE = 32_768.0

#: How samples are written: "pcm" as above, "mulaw" as G.711 has it, one byte a sample.
Encoding: TypeAlias = Literal["pcm", "mulaw"]


@frozen
class AudioFormat:
    """What a stream of audio is written in: bytes say neither their rate nor their encoding."""

    rate_hz: int
    encoding: Encoding = "pcm"

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample."""
        return SAMPLE_BYTES if self.encoding == "pcm" else 1

    def duration_s(self, data: bytes) -> float:
        """How long `data` plays, in seconds."""
        return len(data) / (self.sample_bytes * self.rate_hz)

    def bytes_in(self, length_s: float) -> int:
        """Bytes of so many seconds, to the nearest whole sample."""
        return round(length_s * self.rate_hz) * self.sample_bytes

    def silence(self, size: int) -> bytes:
        """So many bytes of silence."""
        return bytes(size) if self.encoding == "pcm" else b"\xff" * size

    def pcm(self, data: bytes) -> bytes:
        """`data` as PCM of the same rate."""
        return data if self.encoding == "pcm" else mulaw_decode(data)


# ---------------------------------------------------------------- samples


def to_int16(pcm: bytes) -> NDArray[np.int16]:
    """The samples of `pcm`, read-only and without a copy. ValueError if half a sample is left."""
    if len(pcm) % SAMPLE_BYTES:
        raise ValueError(f"pcm is {len(pcm)} bytes long; 16-bit samples need an even number")
    return np.frombuffer(pcm, dtype="<i2")


def to_float32(pcm: bytes) -> NDArray[np.float32]:
    """The samples of `pcm` in -1.0 .. 1.0. ValueError if half a sample is left."""
    return to_int16(pcm).astype(np.float32) * np.float32(1 / _FULL_SCALE)


def from_int16(samples: NDArray[np.int16]) -> bytes:
    """One-dimensional samples as `pcm`."""
    return samples.astype("<i2", copy=False).tobytes()


def from_float(samples: Floats) -> bytes:
    """Samples in -1.0 .. 1.0 as `pcm`: rounded, and saturated beyond (never wrapped around)."""
    scaled = np.rint(samples * samples.dtype.type(_FULL_SCALE))
    return np.clip(scaled, -32_768, 32_767).astype("<i2").tobytes()


def mixdown(pcm: bytes, channels: int) -> bytes:
    """Interleaved 16-bit samples of `channels` channels as mono: their mean.

    ValueError if `channels` is not positive or the last frame is incomplete.
    """
    if channels < 1:
        raise ValueError(f"channels is {channels}; at least 1 is needed")
    samples = to_int16(pcm)
    if len(samples) % channels:
        raise ValueError(
            f"pcm has {len(samples)} samples, which is not a multiple of its {channels} channels"
        )
    if channels == 1:
        return pcm
    return from_float(samples.reshape(-1, channels).mean(axis=1) / _FULL_SCALE)


# ---------------------------------------------------------------- lengths


def sample_count(pcm: bytes) -> int:
    """Whole samples in `pcm`."""
    return len(pcm) // SAMPLE_BYTES


def duration_s(pcm: bytes, sample_rate_hz: int) -> float:
    """How long `pcm` plays, in seconds."""
    return sample_count(pcm) / sample_rate_hz


def samples_in(length_ms: float, sample_rate_hz: int) -> int:
    """Samples in so many milliseconds, to the nearest."""
    return round(length_ms * sample_rate_hz / 1000)


def bytes_in(length_ms: float, sample_rate_hz: int) -> int:
    """Bytes of `pcm` in so many milliseconds: always whole samples."""
    return samples_in(length_ms, sample_rate_hz) * SAMPLE_BYTES


def silence(length_ms: float, sample_rate_hz: int) -> bytes:
    """So many milliseconds of silence."""
    return bytes(bytes_in(length_ms, sample_rate_hz))


# ---------------------------------------------------------------- streams


@define
class PcmAligner:
    """Cuts a byte stream at whole samples: an odd byte is carried over to the next chunk."""

    _odd: bytes = field(default=b"", init=False)

    def feed(self, data: bytes) -> bytes:
        """What is complete now: an even number of bytes, `data` itself if nothing was in hand."""
        joined = self._odd + data if self._odd else data
        if len(joined) % SAMPLE_BYTES == 0:
            self._odd = b""
            return joined
        self._odd = joined[-1:]
        return joined[:-1]


@define
class Framer:
    """Cuts a stream into chunks of exactly `frame_bytes`, whatever the pieces it came in."""

    frame_bytes: int = field()
    _rest: bytearray = field(factory=bytearray, init=False)

    @frame_bytes.validator
    def _check_frame_bytes(self, _attribute: object, value: int) -> None:
        if value < 1:
            raise ValueError(f"frame_bytes is {value}; at least 1 is needed")

    def feed(self, pcm: bytes) -> list[bytes]:
        """The chunks that are complete now, oldest first; `pcm` itself if it is just one."""
        if not self._rest and len(pcm) == self.frame_bytes:
            return [pcm]
        self._rest += pcm
        end = len(self._rest) // self.frame_bytes * self.frame_bytes
        frames = [
            bytes(self._rest[at : at + self.frame_bytes]) for at in range(0, end, self.frame_bytes)
        ]
        del self._rest[:end]
        return frames

    def flush(self) -> bytes:
        """The rest, shorter than a chunk and perhaps empty. The framer starts anew after it."""
        rest = bytes(self._rest)
        self._rest.clear()
        return rest


# ---------------------------------------------------------------- loudness


def rms(pcm: bytes) -> float:
    """Root mean square of the samples in 0.0 .. 1.0; of nothing, 0.0."""
    samples = to_float32(pcm)
    if not len(samples):
        return 0.0
    return math.sqrt(float(np.dot(samples, samples)) / len(samples))


def dbfs(pcm: bytes) -> float:
    """Loudness in decibels below full scale: a full-scale sine is -3.0.

    Never below `SILENCE_DBFS`, so that it can be compared, averaged and written as JSON.
    """
    level = rms(pcm)
    return max(SILENCE_DBFS, 20 * math.log10(level)) if level > 0 else SILENCE_DBFS


# ---------------------------------------------------------------- mu-law

_BIAS = 132  # G.711's 33 steps of 14 bits, in 16-bit steps
_CLIP = 32_635  # above it the biased magnitude would leave the top segment


def _mulaw_decoding() -> NDArray[np.int16]:
    code = ~np.arange(256, dtype=np.int32) & 0xFF  # the wire holds the complement
    exponent, mantissa = code >> 4 & 0x7, code & 0xF
    magnitude = ((mantissa << 3) + _BIAS << exponent) - _BIAS
    return np.where(code & 0x80, -magnitude, magnitude).astype("<i2")


def _mulaw_encoding() -> NDArray[np.uint8]:
    # Indexed by the sample's bits read as unsigned: 0 .. 32767, then -32768 .. -1.
    sample = np.arange(65_536, dtype=np.uint16).view(np.int16).astype(np.int32)
    magnitude = np.minimum(np.abs(sample), _CLIP) + _BIAS
    exponent = np.searchsorted(256 << np.arange(7), magnitude, side="right").astype(np.int32)
    mantissa = magnitude >> (exponent + 3) & 0xF
    sign = np.where(sample < 0, 0x80, 0)
    code: NDArray[np.int32] = ~(sign | exponent << 4 | mantissa) & 0xFF
    return code.astype(np.uint8)


# The low and the high byte of each code's sample: for a frame of a call, two translations of bytes
# take half as long as numpy does to begin.
_MULAW_LOW, _MULAW_HIGH = (_mulaw_decoding().view(np.uint8)[half::2].tobytes() for half in (0, 1))
_MULAW_ENCODING = _mulaw_encoding()


def mulaw_encode(pcm: bytes) -> bytes:
    """G.711 mu-law, one byte a sample. ValueError if half a sample is left."""
    # By `take`: indexing with brackets takes half as long again.
    return _MULAW_ENCODING.take(to_int16(pcm).view("<u2")).tobytes()


def mulaw_decode(data: bytes) -> bytes:
    """`pcm` of G.711 mu-law bytes: every byte is valid."""
    pcm = bytearray(2 * len(data))
    pcm[0::2] = data.translate(_MULAW_LOW)
    pcm[1::2] = data.translate(_MULAW_HIGH)
    return bytes(pcm)


# ---------------------------------------------------------------- WAV

_PCM_TAG, _FLOAT_TAG, _EXTENSIBLE_TAG = 0x0001, 0x0003, 0xFFFE
# The last 14 bytes of KSDATAFORMAT_SUBTYPE_*: what precedes them is an ordinary format tag.
_SUBTYPE_TAIL = bytes.fromhex("000000001000800000aa00389b71")
_ALLOWED = "16-, 24- or 32-bit PCM or 32-bit float is allowed"


@frozen
class Wav:
    """A sound: mono `pcm` and its rate."""

    pcm: bytes
    sample_rate_hz: int

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return duration_s(self.pcm, self.sample_rate_hz)


@frozen
class _WavFormat:
    tag: int
    channels: int
    sample_rate_hz: int
    bits: int


def read_wav(data: bytes) -> Wav:
    """The sound in a WAV file, several channels mixed to one.

    Takes 16-, 24- and 32-bit PCM and 32-bit float at any rate, as plain or extensible format.
    A file that was cut off (or written to a pipe, or never finished: its length unknown) gives the
    whole frames that are there.

    Raises:
        ValueError: it is no WAV file, or one of another kind; says what is allowed.
    """
    if len(data) < 12 or data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise ValueError("not a WAV file: it does not begin with RIFF … WAVE")
    wav_format: _WavFormat | None = None
    for name, body in _chunks(data):
        if name == b"fmt ":
            wav_format = _parse_format(body)
        elif name == b"data":
            if wav_format is None:
                raise ValueError("broken WAV file: its data comes before its format (fmt)")
            return Wav(_mono(body, wav_format), wav_format.sample_rate_hz)
    raise ValueError("broken WAV file: it has no data chunk")


def write_wav(pcm: bytes, sample_rate_hz: int) -> bytes:
    """A 16-bit mono WAV file. ValueError if half a sample is left or the rate is not positive."""
    if sample_rate_hz < 1:
        raise ValueError(f"sample_rate_hz is {sample_rate_hz}; at least 1 is needed")
    to_int16(pcm)
    header = struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        *(b"RIFF", 36 + len(pcm), b"WAVE", b"fmt ", 16, _PCM_TAG, 1),
        *(sample_rate_hz, sample_rate_hz * SAMPLE_BYTES, SAMPLE_BYTES, 16, b"data", len(pcm)),
    )
    return header + pcm


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and body of every RIFF chunk; the last body may be shorter than its header says."""
    at = 12
    end = 8 + int.from_bytes(data[4:8], "little")
    while at + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, at)
        if name == b"data" and size == 0 and end <= at + 8:
            size = len(data)  # whoever wrote it never came back to fill in the lengths
        yield name, data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2  # chunks begin at even offsets


def _parse_format(body: bytes) -> _WavFormat:
    if len(body) < 16:
        raise ValueError(f"broken WAV file: its format has {len(body)} bytes, at least 16 needed")
    tag, channels, sample_rate_hz, _, block_bytes, bits = struct.unpack_from("<HHIIHH", body)
    if tag == _EXTENSIBLE_TAG:
        if len(body) < 40 or body[26:40] != _SUBTYPE_TAIL:
            raise ValueError(f"WAV file of an unknown extensible format; {_ALLOWED}")
        tag = struct.unpack_from("<H", body, 24)[0]
    if (tag, bits) not in {(_PCM_TAG, 16), (_PCM_TAG, 24), (_PCM_TAG, 32), (_FLOAT_TAG, 32)}:
        raise ValueError(f"WAV file with format {tag:#06x} and {bits} bits a sample; {_ALLOWED}")
    if channels < 1 or sample_rate_hz < 1 or block_bytes != channels * bits // 8:
        raise ValueError(
            f"broken WAV file: {channels} channels of {bits} bits at {sample_rate_hz} Hz "
            f"in frames of {block_bytes} bytes"
        )
    return _WavFormat(tag, channels, sample_rate_hz, bits)


def _mono(body: bytes, wav_format: _WavFormat) -> bytes:
    width = wav_format.bits // 8
    whole = body[: len(body) - len(body) % (width * wav_format.channels)]
    if wav_format.bits == 16:
        return mixdown(whole, wav_format.channels)
    samples: NDArray[np.float64]
    if wav_format.tag == _FLOAT_TAG:
        floats = np.frombuffer(whole, dtype="<f4").astype(np.float64)
        samples = np.nan_to_num(floats, nan=0.0, posinf=1.0, neginf=-1.0)
    elif wav_format.bits == 32:
        samples = np.frombuffer(whole, dtype="<i4") / 2.0**31
    else:
        # A zero byte below each sample makes it a 32-bit one of the same loudness.
        wide = np.zeros((len(whole) // 3, 4), dtype=np.uint8)
        wide[:, 1:] = np.frombuffer(whole, dtype=np.uint8).reshape(-1, 3)
        samples = wide.reshape(-1).view("<i4") / 2.0**31
    return from_float(samples.reshape(-1, wav_format.channels).mean(axis=1))
