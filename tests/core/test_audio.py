"""PCM, mu-law, framing and WAV files."""

from __future__ import annotations

import io
import math
import struct
import wave
from bisect import bisect_right

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vantum.core import audio

pcm_bytes = st.binary(max_size=400).map(lambda data: data[: len(data) // 2 * 2])


def s16(sample: int) -> bytes:
    return struct.pack("<h", sample)


def sine(hz: float, rate_hz: int, length_s: float = 0.1, peak: float = 1.0) -> bytes:
    time = np.arange(round(rate_hz * length_s)) / rate_hz
    return audio.from_float(np.sin(2 * np.pi * hz * time) * peak)


# ---------------------------------------------------------------- samples


@given(pcm_bytes)
def test_samples_survive_the_way_there_and_back(pcm: bytes) -> None:
    assert audio.from_int16(audio.to_int16(pcm)) == pcm
    assert audio.from_float(audio.to_float32(pcm)) == pcm


def test_samples_are_little_endian() -> None:
    assert audio.to_int16(b"\x01\x00\xff\xff\x00\x80").tolist() == [1, -1, -32768]
    assert audio.to_float32(b"\x00\x40").tolist() == [0.5]


def test_loud_floats_saturate_instead_of_wrapping_around() -> None:
    loud = np.array([1.0, 1.5, -1.0, -7.0, 0.99999], dtype=np.float32)
    assert audio.to_int16(audio.from_float(loud)).tolist() == [32767, 32767, -32768, -32768, 32767]


def test_half_a_sample_is_an_error_that_says_so() -> None:
    with pytest.raises(ValueError, match="3 bytes long; 16-bit samples need an even number"):
        audio.to_int16(b"abc")


def test_mixdown_is_the_mean() -> None:
    stereo = struct.pack("<6h", 100, 300, -32768, -32768, 32767, 32767)
    assert audio.to_int16(audio.mixdown(stereo, 2)).tolist() == [200, -32768, 32767]
    assert audio.mixdown(stereo, 1) is stereo


def test_mixdown_refuses_what_is_not_whole_frames() -> None:
    with pytest.raises(ValueError, match="3 samples, which is not a multiple of its 2 channels"):
        audio.mixdown(bytes(6), 2)
    with pytest.raises(ValueError, match="channels is 0"):
        audio.mixdown(b"", 0)


# ---------------------------------------------------------------- lengths


def test_lengths() -> None:
    assert audio.sample_count(bytes(640)) == 320
    assert audio.duration_s(bytes(640), 16_000) == 0.02
    assert audio.samples_in(20, 44_100) == 882
    assert audio.bytes_in(20, 16_000) == 640
    assert audio.bytes_in(10, 11_025) == 220
    assert audio.silence(20, 8000) == bytes(320)


# ---------------------------------------------------------------- streams


@given(st.lists(st.binary(max_size=7)))
def test_the_aligner_loses_nothing_and_gives_whole_samples(pieces: list[bytes]) -> None:
    aligner = audio.PcmAligner()
    out = [aligner.feed(piece) for piece in pieces]
    whole = b"".join(pieces)
    assert all(len(piece) % 2 == 0 for piece in out)
    assert b"".join(out) == whole[: len(whole) // 2 * 2]


def test_the_aligner_does_not_copy_what_is_aligned() -> None:
    data = bytes(640)
    assert audio.PcmAligner().feed(data) is data


@given(st.lists(st.binary(max_size=50)), st.integers(1, 30))
def test_the_framer_depends_on_the_stream_alone(pieces: list[bytes], frame_bytes: int) -> None:
    framer = audio.Framer(frame_bytes)
    frames = [frame for piece in pieces for frame in framer.feed(piece)]
    rest = framer.flush()
    assert all(len(frame) == frame_bytes for frame in frames)
    assert len(rest) < frame_bytes
    assert b"".join(frames) + rest == b"".join(pieces)
    assert framer.flush() == b""


def test_a_framer_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="frame_bytes is 0; at least 1"):
        audio.Framer(0)


def test_framer_passes_a_whole_frame_on_as_it_is() -> None:
    framer, frame = audio.Framer(4), bytes(range(4))
    assert framer.feed(frame)[0] is frame
    assert framer.feed(b"ab") == []
    assert framer.feed(frame) == [b"ab\x00\x01"]
    assert framer.flush() == b"\x02\x03"


# ---------------------------------------------------------------- loudness


def test_loudness() -> None:
    assert audio.dbfs(sine(1000, 16_000)) == pytest.approx(-3.01, abs=0.01)
    assert audio.dbfs(sine(1000, 16_000, peak=0.1)) == pytest.approx(-23.01, abs=0.05)
    assert audio.rms(struct.pack("<4h", *[-32768] * 4)) == 1.0
    assert audio.dbfs(bytes(640)) == audio.dbfs(b"") == audio.SILENCE_DBFS
    assert audio.rms(b"") == 0.0
    # One step in a million samples is quieter than the floor.
    assert audio.dbfs(b"\x01\x00" + bytes(2_000_000)) == audio.SILENCE_DBFS


# ---------------------------------------------------------------- mu-law


def test_mulaw_known_values() -> None:
    # G.711 table 2: code words of the extremes, of zero and of the first steps of each segment.
    pcm = struct.pack("<7h", 32767, -32768, 0, 32124, -32124, 8, -8)
    assert audio.mulaw_encode(pcm) == b"\x80\x00\xff\x80\x00\xfe\x7e"
    assert struct.unpack("<4h", audio.mulaw_decode(b"\x80\x00\xff\x7f")) == (32124, -32124, 0, 0)


def test_mulaw_digital_milliwatt() -> None:
    # G.711 table 6: these eight bytes, repeated, are a 1 kHz sine at 0 dBm0, that is 3.17 dB
    # below a sine whose peak is the last decision value, 8159 steps of 14 bits.
    tone = audio.mulaw_decode(bytes.fromhex("1e0b0b1e9e8b8b9e") * 100)
    samples = audio.to_float32(tone).astype(float)
    spectrum = np.abs(np.fft.rfft(samples))
    assert int(np.argmax(spectrum)) * 8000 / len(samples) == 1000
    loudest = 20 * math.log10(8159 * 4 / 32768) - 3.01
    assert audio.dbfs(tone) - loudest == pytest.approx(-3.17, abs=0.01)


def test_every_mulaw_code_comes_back() -> None:
    codes = bytes(range(256))
    again = audio.mulaw_encode(audio.mulaw_decode(codes))
    assert again == codes.replace(b"\x7f", b"\xff")  # the two zeros are one


def test_mulaw_decides_where_the_table_says() -> None:
    # G.711 table 2: decision values in 14-bit steps, and between two of them their mean.
    decisions = [0, 1]
    for segment in range(8):
        count = 15 if segment == 0 else 16
        decisions += [decisions[-1] + (2 << segment) * (n + 1) for n in range(count)]
    assert decisions[-1] == 8159
    for sample in range(-32_768, 32_768, 3):
        place = min(bisect_right(decisions, abs(sample) / 4), 128)
        magnitude = 2 * (decisions[place - 1] + decisions[place]) if place > 1 else 0
        (got,) = struct.unpack("<h", audio.mulaw_decode(audio.mulaw_encode(s16(sample))))
        assert got == math.copysign(magnitude, sample)


def test_mulaw_of_nothing_is_nothing() -> None:
    assert audio.mulaw_encode(b"") == audio.mulaw_decode(b"") == b""


# ---------------------------------------------------------------- WAV


def chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)


def fmt(tag: int, channels: int, rate_hz: int, bits: int) -> bytes:
    width = channels * bits // 8
    return struct.pack("<HHIIHH", tag, channels, rate_hz, rate_hz * width, width, bits)


def extensible(tag: int, channels: int, rate_hz: int, bits: int) -> bytes:
    guid = struct.pack("<H", tag) + bytes.fromhex("000000001000800000aa00389b71")
    return fmt(0xFFFE, channels, rate_hz, bits) + struct.pack("<HHI", 22, bits, 4) + guid


def riff(*chunks: bytes) -> bytes:
    body = b"".join(chunks)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body


@given(pcm_bytes, st.integers(8000, 48_000))
def test_wav_there_and_back(pcm: bytes, rate_hz: int) -> None:
    data = audio.write_wav(pcm, rate_hz)
    assert audio.read_wav(data) == audio.Wav(pcm, rate_hz)
    with wave.open(io.BytesIO(data)) as file:  # the standard library agrees
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, rate_hz)
        assert file.readframes(file.getnframes()) == pcm


@pytest.mark.parametrize("make", [fmt, extensible])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_every_width_gives_the_same_sound(make: type, channels: int) -> None:
    values = [0, 1000, -1000, 32767, -32768, 5]
    frames = [value for value in values for _ in range(channels)]
    s16 = struct.pack(f"<{len(frames)}h", *frames)
    s24 = b"".join(struct.pack("<i", value << 8)[:3] for value in frames)
    s32 = struct.pack(f"<{len(frames)}i", *[value << 16 for value in frames])
    f32 = struct.pack(f"<{len(frames)}f", *[value / 32768 for value in frames])
    for tag, bits, body in [(1, 16, s16), (1, 24, s24), (1, 32, s32), (3, 32, f32)]:
        wav = audio.read_wav(
            riff(chunk(b"fmt ", make(tag, channels, 22_050, bits)), chunk(b"data", body))
        )
        assert audio.to_int16(wav.pcm).tolist() == values
        assert wav.sample_rate_hz == 22_050
        assert wav.duration_s == 6 / 22_050


def test_strange_floats_do_no_harm() -> None:
    body = struct.pack("<4f", math.nan, math.inf, -math.inf, 2.0)
    wav = audio.read_wav(riff(chunk(b"fmt ", fmt(3, 1, 8000, 32)), chunk(b"data", body)))
    assert audio.to_int16(wav.pcm).tolist() == [0, 32767, -32768, 32767]


def test_other_chunks_are_passed_over_at_even_offsets() -> None:
    data = riff(
        chunk(b"LIST", b"odd"),
        chunk(b"fmt ", fmt(1, 1, 8000, 16)),
        chunk(b"fact", b""),
        chunk(b"data", b"\x01\x00\x02\x00"),
        chunk(b"LIST", b"after"),
    )
    assert audio.read_wav(data) == audio.Wav(b"\x01\x00\x02\x00", 8000)


@given(st.integers(44, 2000))
def test_a_truncated_file_gives_the_whole_frames_that_are_there(length: int) -> None:
    pcm = bytes(range(250)) * 8
    data = riff(chunk(b"fmt ", fmt(1, 2, 8000, 16)), chunk(b"data", pcm))
    expected = (length - 44) // 4 * 4
    assert audio.read_wav(data[:length]).pcm == audio.mixdown(pcm[:expected], 2)


def test_a_file_of_unknown_length_is_read_to_its_end() -> None:
    head = riff(chunk(b"fmt ", fmt(1, 1, 8000, 16)))
    assert audio.read_wav(head + b"data\xff\xff\xff\xff" + bytes(10)).pcm == bytes(10)


@pytest.mark.parametrize("riff_bytes", [0, 36])
def test_a_file_whose_lengths_were_never_filled_in_is_read_to_its_end(riff_bytes: int) -> None:
    head = riff(chunk(b"fmt ", fmt(1, 1, 8000, 16)), chunk(b"data", b""))
    head = head[:4] + struct.pack("<I", riff_bytes) + head[8:]
    assert audio.read_wav(head + bytes(10)).pcm == bytes(10)
    assert audio.read_wav(head).pcm == b""


def test_a_file_that_says_to_hold_nothing_holds_nothing() -> None:
    body = (chunk(b"fmt ", fmt(1, 1, 8000, 16)), chunk(b"data", b""), chunk(b"LIST", b"after"))
    assert audio.read_wav(riff(*body)).pcm == b""


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a WAV file"),
        (b"OggS" + bytes(40), "not a WAV file"),
        (b"RIFF\x04\x00\x00\x00AVI ", "not a WAV file"),
        (riff(), "no data chunk"),
        (riff(chunk(b"fmt ", fmt(1, 1, 8000, 16))), "no data chunk"),
        (riff(chunk(b"data", bytes(4))), "before its format"),
        (riff(chunk(b"fmt ", bytes(8)), chunk(b"data", b"")), "has 8 bytes, at least 16"),
        (riff(chunk(b"fmt ", fmt(1, 1, 8000, 8))), "format 0x0001 and 8 bits .* 16-, 24- or 32-"),
        (riff(chunk(b"fmt ", fmt(7, 1, 8000, 8))), "format 0x0007"),
        (riff(chunk(b"fmt ", fmt(3, 1, 8000, 64))), "format 0x0003 and 64 bits"),
        (riff(chunk(b"fmt ", fmt(0xFFFE, 1, 8000, 16))), "unknown extensible format"),
        (riff(chunk(b"fmt ", extensible(1, 1, 8000, 16)[:-1] + b"x")), "unknown extensible"),
        (riff(chunk(b"fmt ", fmt(1, 0, 8000, 16))), "0 channels"),
        (riff(chunk(b"fmt ", fmt(1, 1, 0, 16))), "at 0 Hz"),
        (riff(chunk(b"fmt ", fmt(1, 1, 8000, 16)[:12] + b"\x04\x00\x10\x00")), "frames of 4 bytes"),
    ],
)
def test_what_is_no_allowed_wav_says_why(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        audio.read_wav(data)


@given(st.binary(max_size=200), st.binary(max_size=40))
def test_garbage_is_at_most_a_value_error(garbage: bytes, tail: bytes) -> None:
    good = audio.write_wav(bytes(20), 8000)
    for data in (garbage, good[:12] + garbage, good[: len(garbage) % 64] + tail):
        try:
            audio.read_wav(data)
        except ValueError as error:
            assert "WAV" in str(error)  # noqa: PT017 - either outcome is right


def test_writing_refuses_what_is_no_sound() -> None:
    with pytest.raises(ValueError, match="sample_rate_hz is 0"):
        audio.write_wav(b"", 0)
    with pytest.raises(ValueError, match="even number"):
        audio.write_wav(b"abc", 8000)


# ---------------------------------------------------------------- formats


@given(
    st.sampled_from([8000, 16_000, 44_100]), st.integers(0, 500), st.sampled_from(["pcm", "mulaw"])
)
def test_a_format_knows_its_lengths(rate_hz: int, samples: int, encoding: audio.Encoding) -> None:
    line = audio.AudioFormat(rate_hz, encoding)
    size = line.bytes_in(samples / rate_hz)
    quiet = line.silence(size)
    assert len(quiet) == size == samples * line.sample_bytes
    assert line.duration_s(quiet) == pytest.approx(samples / rate_hz)
    assert line.pcm(quiet) == bytes(2 * samples)


def test_mulaw_as_pcm() -> None:
    codes = bytes(range(256))
    assert audio.AudioFormat(8000, "mulaw").pcm(codes) == audio.mulaw_decode(codes)
    assert audio.AudioFormat(8000).pcm(codes) is codes
