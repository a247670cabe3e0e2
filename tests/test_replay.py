"""Replay, in virtual time against a scripted server: pace, times, and every way a turn can end."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import attrs
import numpy as np
import pytest
import trio
from attrs import define, field
from hypothesis import given, settings
from hypothesis import strategies as st
from trio_websocket import CloseReason, ConnectionClosed

from vantum.client import Client, ClientError
from vantum.core import events as e
from vantum.core.audio import Wav, from_float, write_wav
from vantum.replay import (
    NO_WORDS_S,
    SETTLED_S,
    STALLED_S,
    Interim,
    Listening,
    News,
    Recording,
    Said,
    Speaking,
    Turn,
    load_recording,
    make_directory,
    replay_turn,
    save_answer,
)
from vantum.screen import Screen, StatusLine, answer_line, one_line, table, waterfall
from vantum.wire.fields import Vocabulary
from vantum.wire.native import decode, encode

UTTERANCE = "utterance-1"
REQUEST = e.Request("audio.input.start", "start")


#: Seconds after the one before, and what is said then; None hangs up.
Plan: TypeAlias = Sequence[tuple[float, Any]]


@define(eq=False)
class Peer:
    """A server at the other end of the line. Its `plan` begins with the first `after`."""

    vocabulary: Vocabulary = "unified"
    plan: Plan = ()
    after: type = e.EndInput
    refusal: str | None = None
    hang_up_after: int | None = None
    got: list[tuple[float, e.ClientMessage]] = field(factory=list)
    _to_client: Any = field(factory=lambda: trio.open_memory_channel[Any](1000))
    _ids: Iterator[int] = field(factory=itertools.count)
    _planned: bool = False
    closed: bool = False

    def chunks(self) -> list[tuple[float, bytes]]:
        return [(at_s, m.audio) for at_s, m in self.got if isinstance(m, e.InputChunk)]

    def say(self, message: e.ServerMessage) -> None:
        data = encode(
            message,
            vocabulary=self.vocabulary,
            session_id="s",
            new_id=lambda: f"id-{next(self._ids)}",
        )
        if data is not None:
            self._to_client[0].send_nowait(data)

    def hang_up(self) -> None:
        self.closed = True
        self._to_client[0].close()

    async def send_message(self, data: bytes) -> None:
        if self.closed:
            raise ConnectionClosed(CloseReason(1001, "gone"))
        await trio.lowlevel.checkpoint()
        message = decode(data, self.vocabulary).message
        self.got.append((trio.current_time(), message))
        if self.hang_up_after is not None and len(self.chunks()) >= self.hang_up_after:
            self.hang_up()
        elif isinstance(message, e.StartInput | e.EndInput):
            refused = self.refusal is not None
            self.say(
                e.ErrorReply(message.request, "stt_unavailable", self.refusal or "")
                if refused
                else e.Ack(message.request)
            )
        if isinstance(message, self.after) and not self._planned:
            self._planned = True
            trio.lowlevel.spawn_system_task(self._carry_out)

    async def _carry_out(self) -> None:
        for delay_s, message in self.plan:
            await trio.sleep(delay_s)
            if message is None:
                self.hang_up()
            elif not self.closed:
                self.say(message)

    async def get_message(self) -> bytes:
        try:
            return await self._to_client[1].receive()  # type: ignore[no-any-return]
        except trio.EndOfChannel:
            raise ConnectionClosed(CloseReason(1001, "gone")) from None


def recording(seconds: float = 1.0, rate_hz: int = 16_000) -> Recording:
    return Recording("caller.wav", Wav(b"\x01\x00" * round(seconds * rate_hz), rate_hz))


async def a_turn(peer: Peer, spoken: Recording | None = None, **options: Any) -> Turn:
    event_tx, event_rx = trio.open_memory_channel[tuple[float, e.ServerMessage]](1000)
    connection: Any = peer
    client = Client(connection, peer.vocabulary, "s", event_rx)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client._read, event_tx)
        try:
            return await replay_turn(client, spoken or recording(), **options)
        finally:
            nursery.cancel_scope.cancel()


@contextmanager
def complaint(words: str) -> Iterator[None]:
    """The one exception that comes out is a `ClientError` (the nursery of `a_turn` wraps it)."""
    with pytest.RaisesGroup(pytest.RaisesExc(ClientError, match=words)):
        yield


def words(text: str, *, is_final: bool = True) -> e.TranscriptOut:
    return e.TranscriptOut(REQUEST, text, is_final, 0.9, 0, "en-US")


def answer(seconds: float = 1.0, rate_hz: int = 16_000) -> list[tuple[float, Any]]:
    """As the server sends it: 200 ms ahead of real time."""
    pcm = b"\x00\x10" * (rate_hz // 10)
    count = round(seconds * 10)
    return [
        (0.0, e.OutputStarted(UTTERANCE, 0, rate_hz)),
        *((0.1 if n > 2 else 0.0, e.OutputChunk(UTTERANCE, pcm, rate_hz)) for n in range(count)),
        (0.0, e.OutputCompleted(UTTERANCE, round(seconds * 1000))),
    ]


GOOD: list[tuple[float, Any]] = [
    (0.05, words("hello", is_final=False)),
    (0.05, words("hello you")),
    (0.0, e.StateChanged("LISTENING", "THINKING", 0)),
    (0.3, e.ResponseStarted(UTTERANCE, 0)),
    (0.1, e.ResponseCompleted(UTTERANCE, "Hi there.")),
    *answer(),
]


# ---------------------------------------------------------------- pace


@pytest.mark.parametrize("speed", [0.5, 1.0, 2.0, 2.5, 20.0])
@pytest.mark.parametrize("rate_hz", [8000, 11_025, 16_000, 48_000])
async def test_audio_leaves_at_the_pace_of_speech(
    autojump_clock: Any, speed: float, rate_hz: int
) -> None:
    peer = Peer(plan=GOOD)
    started_s = trio.current_time()
    spoken = recording(2.0, rate_hz)
    await a_turn(peer, spoken, speed=speed)
    chunks = peer.chunks()
    assert b"".join(audio for _, audio in chunks) == spoken.wav.pcm
    sent = 0
    for at_s, audio in chunks:
        sent += len(audio)
        assert at_s - started_s == pytest.approx(sent / 2 / rate_hz / speed)
    # Whatever the speed, far below the 100 messages/s that a server allows.
    for (first_s, _), (last_s, _) in zip(chunks, chunks[50:], strict=False):
        assert last_s - first_s >= 0.97
    ends = [at_s for at_s, m in peer.got if isinstance(m, e.EndInput)]
    assert ends == [chunks[-1][0]]


async def test_a_server_that_is_slow_to_read_does_not_delay_the_rest(autojump_clock: Any) -> None:
    class Slow(Peer):
        async def send_message(self, data: bytes) -> None:
            if len(self.chunks()) == 5:
                await trio.sleep(0.1)
            await super().send_message(data)

    peer = Slow(plan=GOOD)
    await a_turn(peer)
    assert peer.chunks()[-1][0] == pytest.approx(1.0)


# ---------------------------------------------------------------- what comes back


@pytest.mark.parametrize("vocabulary", ["unified", "voicechat"])
async def test_a_turn_is_measured_from_its_last_audio(
    autojump_clock: Any, vocabulary: Vocabulary
) -> None:
    peer = Peer(vocabulary, GOOD)
    shown: list[News] = []
    turn = await a_turn(peer, voice_id="tessa", show=shown.append)
    [(_, start)] = [(at, m) for at, m in peer.got if isinstance(m, e.StartInput)]
    assert start.options == e.InputOptions(
        sampling_rate_hz=16_000, voice_id="tessa", turn_detection="manual", latency=True
    )
    unified = vocabulary == "unified"
    assert (turn.name, turn.transcript) == ("caller.wav", "hello you")
    assert turn.text == ("Hi there." if unified else "")
    assert turn.final_s == pytest.approx(0.1)
    assert turn.thought_s == (pytest.approx(0.4) if unified else None)
    assert turn.speech_s == pytest.approx(0.5)
    assert turn.complete_s == pytest.approx(1.2)
    assert turn.answer_s == 1.0
    assert turn.is_answered
    # The caller has heard it out, not only received it.
    assert trio.current_time() == pytest.approx(1.0 + 0.5 + 1.0)
    assert [n for n in shown if isinstance(n, Interim | Said)] == [
        Interim("hello"),
        Said("caller", "hello you"),
        *([Said("agent", "Hi there.")] if unified else []),
    ]
    assert [n for n in shown if isinstance(n, Speaking)][-1] == Speaking(1.0)
    assert [n.answer_s for n in shown if isinstance(n, Listening)][-1] == 1.0


@pytest.mark.parametrize("seconds", [0.6, 3.0])
async def test_what_is_said_first_is_no_answer(autojump_clock: Any, seconds: float) -> None:
    """A greeting, whether it is over when the recording is, or goes on; then the answer comes."""
    greeting: list[tuple[float, Any]] = [
        (0.1, e.StateChanged("LISTENING", "THINKING", 0)),
        (0.0, e.ResponseStarted(UTTERANCE, 0)),
        (0.0, e.ResponseCompleted(UTTERANCE, "Good day.")),
        *answer(seconds),
        (0.2, e.StateChanged("RESPONDING", "LISTENING", 0)),
    ]
    peer = Peer(plan=[*greeting, (1.0, words("hello")), *GOOD[2:]], after=e.StartInput)
    shown: list[News] = []
    turn = await a_turn(peer, recording(1.0), show=shown.append)
    assert turn.text == "Hi there."
    assert turn.answer_s == pytest.approx(1.0)
    assert turn.speech_s == pytest.approx(seconds + 0.4)
    assert Said("agent", "Good day.") in shown


async def test_a_greeting_alone_is_no_answer(autojump_clock: Any) -> None:
    greeting: list[tuple[float, Any]] = [(0.1, e.ResponseStarted(UTTERANCE, 0)), *answer(0.5)]
    turn = await a_turn(Peer(plan=greeting, after=e.StartInput))
    assert not turn.is_answered
    assert turn.speech_s is None
    assert trio.current_time() == pytest.approx(1.0 + NO_WORDS_S)


async def test_nothing_recognised(autojump_clock: Any) -> None:
    turn = await a_turn(Peer())
    assert (turn.transcript, turn.is_answered, turn.final_s) == ("", False, None)
    assert trio.current_time() == pytest.approx(1.0 + NO_WORDS_S)


async def test_an_answer_without_a_sound(autojump_clock: Any) -> None:
    plan: Plan = [
        (0.1, words("hello")),
        (0.0, e.StateChanged("LISTENING", "THINKING", 0)),
        (1.0, e.ErrorReply(REQUEST, "llm_unavailable", "the model is unavailable")),
        (0.0, e.StateChanged("THINKING", "LISTENING", 0)),
    ]
    shown: list[News] = []
    turn = await a_turn(Peer(plan=plan), show=shown.append)
    assert turn.errors == ["the model is unavailable"]
    assert not turn.is_answered
    assert shown[-1] == Said("server", "the model is unavailable")
    assert trio.current_time() == pytest.approx(2.1)


async def test_a_fallback_is_no_answer(autojump_clock: Any) -> None:
    plan: Plan = [(0.1, e.ResponseCompleted(UTTERANCE, "Pardon?", True, 1)), *answer()]
    turn = await a_turn(Peer(plan=plan))
    assert turn.is_fallback
    assert turn.answer
    assert not turn.is_answered


@pytest.mark.parametrize("vocabulary", ["unified", "voicechat"])
async def test_an_answer_that_the_server_stops(autojump_clock: Any, vocabulary: Vocabulary) -> None:
    plan: Plan = [*answer()[:6], (0.0, e.OutputCancelled(UTTERANCE, 0, "shutdown", False))]
    shown: list[News] = []
    turn = await a_turn(Peer(vocabulary, plan), show=shown.append)
    assert turn.answer_s == 0.5
    reason = "shutdown" if vocabulary == "unified" else "no reason given"
    assert shown[-1] == Said("server", f"stopped the answer: {reason}")


@pytest.mark.parametrize(
    ("notice", "said"),
    [
        (e.Maintenance("going down"), "going down"),
        (e.RateLimitWarning("slower, please", 100), "slower, please"),
        (e.QuotaExceeded("llm", "account is empty"), "llm: account is empty"),
        (e.Disconnecting("time is up"), "closing: time is up"),
    ],
)
async def test_notices_are_shown(autojump_clock: Any, notice: e.ServerMessage, said: str) -> None:
    shown: list[News] = []
    await a_turn(Peer(plan=[(0.0, notice), *GOOD]), show=shown.append)
    assert Said("server", said) in shown


# ---------------------------------------------------------------- failures


async def test_a_server_that_refuses(autojump_clock: Any) -> None:
    with complaint("^speech recognition is down$"):
        await a_turn(Peer(refusal="speech recognition is down"))


@pytest.mark.parametrize("chunks", [1, 20, 50])
async def test_a_server_that_hangs_up_while_we_speak(autojump_clock: Any, chunks: int) -> None:
    with complaint("^the server hung up: 1001 gone$"):
        await a_turn(Peer(hang_up_after=chunks))


async def test_a_server_that_hangs_up_in_the_answer(autojump_clock: Any) -> None:
    with complaint("^the server hung up: 1001 gone$"):
        await a_turn(Peer(plan=[*GOOD[:-3], (0.0, None)]))


async def test_a_server_that_hangs_up_before_it_is_ready(autojump_clock: Any) -> None:
    peer = Peer()
    peer.hang_up()
    with complaint("^the server hung up: 1001 gone$"):
        await a_turn(peer)


@pytest.mark.parametrize("heard", range(1, 5))
async def test_a_server_that_falls_silent(autojump_clock: Any, heard: int) -> None:
    with complaint("caller.wav: nothing came from the server for 90 s"):
        await a_turn(Peer(plan=GOOD[:heard]))
    assert 1 + STALLED_S <= trio.current_time() <= 2 + STALLED_S


async def test_a_long_answer_is_heard_out(autojump_clock: Any) -> None:
    turn = await a_turn(Peer(plan=[*GOOD[:5], *answer(3 * STALLED_S)]))
    assert turn.answer_s == 3 * STALLED_S


# ---------------------------------------------------------------- who ends a turn


async def test_in_auto_the_caller_stays_on_the_line_in_silence(autojump_clock: Any) -> None:
    peer = Peer(plan=[(1.5, words("hello")), *GOOD[2:]], after=e.StartInput)
    turn = await a_turn(peer, turn_detection="auto")
    assert not [m for _, m in peer.got if isinstance(m, e.EndInput)]
    assert turn.final_s == pytest.approx(0.5)
    assert turn.is_answered
    audio = b"".join(audio for _, audio in peer.chunks())
    spoken = recording().wav.pcm
    assert audio.startswith(spoken)
    assert not any(audio[len(spoken) :])
    times = [at_s for at_s, _ in peer.chunks()]
    heard_s = 1.5 + 0.3 + 0.1 + 1.0
    assert times[-1] == pytest.approx(heard_s + SETTLED_S, abs=0.03)
    assert max(b - a for a, b in itertools.pairwise(times)) < 0.03


async def test_in_auto_a_pause_may_bring_two_answers(autojump_clock: Any) -> None:
    second: list[tuple[float, Any]] = [
        (0.4, words("and another thing")),
        (0.6, e.StateChanged("RESPONDING", "LISTENING", 0)),
        (0.0, e.StateChanged("LISTENING", "THINKING", 0)),
        # Longer than the caller would wait if it did not know that it was understood.
        (SETTLED_S + 1, e.ResponseStarted(UTTERANCE, 0)),
        (0.1, e.ResponseCompleted(UTTERANCE, "Go on.")),
        *answer(0.5),
    ]
    peer = Peer(plan=[*GOOD, *second], after=e.StartInput)
    turn = await a_turn(peer, recording(1.6), turn_detection="auto")
    assert turn.transcript == "hello you and another thing"
    assert turn.text == "Hi there. Go on."
    assert turn.answer_s == 1.5
    assert turn.final_s == pytest.approx(0.0, abs=0.01)


async def test_in_auto_words_before_the_end_have_negative_times(autojump_clock: Any) -> None:
    turn = await a_turn(Peer(plan=GOOD, after=e.StartInput), recording(4), turn_detection="auto")
    assert turn.speech_s == pytest.approx(0.5 - 4)
    assert trio.current_time() == pytest.approx(4 + SETTLED_S)


async def test_in_auto_nothing_recognised(autojump_clock: Any) -> None:
    turn = await a_turn(Peer(), turn_detection="auto")
    assert not turn.is_answered
    assert trio.current_time() == pytest.approx(1.0 + NO_WORDS_S)


# ---------------------------------------------------------------- files

TONE_HZ = 440.0


def tone(seconds: float, rate_hz: int) -> Any:
    return 0.5 * np.sin(2 * np.pi * TONE_HZ * np.arange(round(seconds * rate_hz)) / rate_hz)


def wav_bytes(samples: Any, rate_hz: int, channels: int, bits: int) -> bytes:
    """A WAV file written here, not by the code under test."""
    scaled = np.rint(samples * (2 ** (bits - 1) - 1)).astype("<i4")
    frames = np.repeat(scaled, channels).astype("<i4")
    width = bits // 8
    body = frames.view(np.uint8).reshape(-1, 4)[:, :width].tobytes()
    block = channels * width
    fmt = struct.pack("<HHIIHH", 1, channels, rate_hz, rate_hz * block, block, bits)
    inner = b"WAVEfmt " + struct.pack("<I", 16) + fmt + b"data" + struct.pack("<I", len(body))
    return b"RIFF" + struct.pack("<I", len(inner) + len(body)) + inner + body


@pytest.mark.parametrize("bits", [16, 24, 32])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(
    ("file_hz", "sent_hz"),
    [
        (6000, 12_000),
        (1500, 12_000),
        (8000, 8000),
        (11_025, 11_025),
        (48_000, 48_000),
        (64_000, 32_000),
        (88_200, 44_100),
        (96_000, 48_000),
        (192_000, 48_000),
        (50_001, 25_000),
    ],
)
def test_any_rate_channels_and_width(
    tmp_path: Path, file_hz: int, sent_hz: int, channels: int, bits: int
) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav_bytes(tone(0.5, file_hz), file_hz, channels, bits))
    found = load_recording(path)
    assert found.wav.sample_rate_hz == sent_hz
    assert found.file_rate_hz == (None if file_hz == sent_hz else file_hz)
    assert found.wav.duration_s == pytest.approx(0.5, abs=2 / min(file_hz, sent_hz))
    got = np.frombuffer(found.wav.pcm, "<i2") / 32_768
    middle = got[len(got) // 4 : -len(got) // 4]
    wanted = tone(0.5, sent_hz)[len(got) // 4 :][: len(middle)]
    noise = np.sqrt(np.mean((middle - wanted) ** 2)) / np.sqrt(np.mean(wanted**2))
    # An odd rate is halved to a whole number: 20 parts in a million off.
    assert noise < (0.01 if file_hz % 2 == 0 or file_hz == sent_hz else 0.02)


@settings(max_examples=30, deadline=None)
@given(st.integers(1000, 200_000), st.integers(1, 500))
def test_every_rate_becomes_one_that_the_protocol_takes(
    tmp_path_factory: pytest.TempPathFactory, rate_hz: int, samples: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.wav"
    path.write_bytes(write_wav(from_float(np.zeros(samples)), rate_hz))
    wav = load_recording(path).wav
    assert 8000 <= wav.sample_rate_hz <= 48_000
    assert wav.duration_s == pytest.approx(samples / rate_hz, abs=2 / 1000)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "not a WAV file"),
        (b"OggS and so on, this is no WAV", "not a WAV file"),
        (write_wav(b"", 16_000), "holds no audio"),
        (write_wav(b"\0\0", 999), "999 Hz is too low for speech; at least 1000 Hz"),
        (wav_bytes(np.zeros(9), 8000, 1, 16)[:20], "broken WAV file"),
    ],
)
def test_files_that_hold_no_voice(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "bad.wav"
    path.write_bytes(content)
    with pytest.raises(ClientError) as caught:
        load_recording(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert says in str(caught.value)


def test_files_and_directories_that_are_not_there(tmp_path: Path) -> None:
    missing = tmp_path / "no.wav"
    with pytest.raises(ClientError, match="cannot be read: No such file"):
        load_recording(missing)
    with pytest.raises(ClientError, match="cannot be read: Is a directory"):
        load_recording(tmp_path)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ClientError, match="cannot be made: "):
        make_directory(tmp_path / "file" / "out")
    with pytest.raises(ClientError, match="cannot be written: "):
        save_answer(Turn("a.wav", 8000), tmp_path / "nowhere", 1)


def test_the_answer_is_a_wav(tmp_path: Path) -> None:
    make_directory(tmp_path / "x" / "y")
    turn = Turn("caller.wav", 22_050, answer=bytearray(b"\x01\x02" * 100))
    path = save_answer(turn, tmp_path / "x" / "y", 3)
    assert path == tmp_path / "x" / "y" / "03-caller-answer.wav"
    again = load_recording(path)
    assert (again.wav.pcm, again.wav.sample_rate_hz) == (bytes(turn.answer), 22_050)


# ---------------------------------------------------------------- what a person sees


def spoken_turn(speech_s: float | None, name: str = "caller.wav") -> Turn:
    spoken = bytearray(b"\x00\x40" * 16_000) if speech_s is not None else bytearray()
    return Turn(name, 16_000, "hello", answer=spoken, final_s=0.0904, speech_s=speech_s)


def test_table() -> None:
    turns = [spoken_turn(0.7), spoken_turn(None, "long name.wav"), spoken_turn(1.2345)]
    lines = table(turns).splitlines()
    assert lines[2:7] == [
        "turn  recording      words  token  voice  end  answer",
        "────  ─────────────  ─────  ─────  ─────  ───  ──────",
        "   1  caller.wav        90      –    700    –   1.0 s",
        "   2  long name.wav     90      –      –    –    none",
        "   3  caller.wav        90      –   1234    –   1.0 s",
    ]
    assert lines[-1] == "The caller waited 967 ms for a voice (median; at most 1234 ms)."
    assert table(turns[:1]).endswith("The caller waited 700 ms for a voice.")
    assert "waited" not in table(turns[1:2])
    # Its end was behind that answer: nobody waited.
    assert "waited" not in table([spoken_turn(-2.5)])


def measured(**parts_ms: float) -> e.LatencyMeasured:
    return e.LatencyMeasured("u", 0, 0, "answered", sum(parts_ms.values()), 3.25, 0.0, parts_ms)


def test_waterfall(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    turn = spoken_turn(0.7)
    assert waterfall([turn]) == "", "a server that does not tell"
    parts = {"endpointing": 400.0, "flush": 0.25, "transcript": 79.75, "token": 320.0, "wire": 0.0}
    turn.latencies.append(measured(**parts))
    title, *bars = waterfall([turn]).splitlines()
    assert title == "1 caller.wav: 800 ms of silence, 3.2 ms of it the server's own (answered)"
    assert [line.split()[0] for line in bars] == list(parts)
    assert bars[0] == "  endpointing wait        " + "█" * 24 + " " * 24 + "   400.0"
    assert bars[1].index("▏") - 26 == 24, "too short for a cell"
    assert bars[3].count("█") == 19
    assert len({len(line) for line in bars}) == 1


@pytest.mark.parametrize(("columns", "widest"), [("80", 79), ("60", 59), ("200", 82), ("1", 42)])
def test_the_waterfall_fits_the_terminal(
    monkeypatch: pytest.MonkeyPatch, columns: str, widest: int
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    turn = spoken_turn(0.7)
    turn.latencies.append(measured(endpointing=400.0, token=320.0, wire=0.0))
    _, *bars = waterfall([turn]).splitlines()
    assert {len(line) for line in bars} == {widest}


def test_waterfall_of_what_no_server_would_say() -> None:
    turn = spoken_turn(0.7)
    turn.latencies += [measured(), measured(wire=0.0), measured(token=1e300)]
    turn.latencies.append(attrs.evolve(measured(token=100.0), ahead_ms=250.4))
    lines = waterfall([turn, turn]).splitlines()
    assert max(map(len, lines)) < 400
    assert "the model was asked 250 ms ahead of time" in lines[-2]


async def test_the_server_is_asked_where_the_time_went(autojump_clock: object) -> None:
    told = measured(token=100.0)
    start, *rest = answer()
    peer = Peer(plan=[(0.1, words("hello")), start, rest[0], (0.0, told), *rest[1:]])
    turn = await a_turn(peer)
    assert turn.latencies == [told]
    (started,) = (m for _, m in peer.got if isinstance(m, e.StartInput))
    assert started.options.latency


def test_what_came_of_a_turn() -> None:
    assert answer_line(spoken_turn(1.0)) == "1.0 s of speech at -6 dBFS"
    assert answer_line(attrs.evolve(spoken_turn(1.0), is_fallback=True)).endswith(
        "a fallback: the model failed"
    )
    assert answer_line(spoken_turn(None)) == "no answer"
    assert answer_line(Turn("x", 8000)) == "nothing was recognised"


NEWS: list[News] = [
    Speaking(0.1),
    Interim("hel"),
    Interim("hel"),
    Speaking(0.5),
    Speaking(1.0),
    Said("caller", "hello\x1b[2J\nyou"),
    Listening(0.1),
    Said("agent", "hi"),
    Listening(1.2),
]


def show_all(is_watched: bool) -> list[str]:
    lines: list[str] = []
    with Screen(lines.append, 3.3, StatusLine(is_watched)) as screen:
        for news in NEWS:
            screen.show(news)
    return lines


def test_piped_there_are_lines_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert show_all(False) == ["  …       hel", "  caller: hello [2J you", "  agent:  hi"]
    assert capsys.readouterr() == ("", "")


def test_on_a_terminal_there_is_a_status_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    assert show_all(True) == ["  caller: hello [2J you", "  agent:  hi"]
    shown = capsys.readouterr().err
    states = [part.rstrip() for part in shown.split("\r") if part.strip()]
    assert states == [
        "  speaking  ███░░░░░░░░░░░░░░░░░░░░░░░░░░░ 0.3 of 3.3 s",
        "  speaking  ███████████████░░░░░░░░░░░░░░░ 1.6 of 3.3 s  …l",
        "  waiting for the answer …",
        "  listening 0.1 s",
        "  listening 1.2 s",
    ]
    assert shown.endswith("\r"), "the line is empty again"
    assert max(map(len, states)) < 60


def test_of_a_long_guess_the_newest_words_are_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with Screen(print, 3.3, StatusLine(True)) as screen:
        screen.show(Interim("many words came before these"))
        screen.show(Speaking(0.5))
    shown = capsys.readouterr().err.split("\r")[1]
    assert shown.endswith("3.3 s  …rds came before these")
    assert len(shown) == 79
    for columns in range(1, 60):
        monkeypatch.setenv("COLUMNS", str(columns))
        with Screen(print, 3.3, StatusLine(True)) as screen:
            screen.show(Interim("many words came before these"))
            screen.show(Speaking(0.5))
        assert max(map(len, capsys.readouterr().err.split("\r"))) < columns + 1


@given(st.text())
def test_one_line(text: str) -> None:
    assert one_line(text).isprintable()
    assert len(one_line(text)) == len(text)
