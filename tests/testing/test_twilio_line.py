"""The simulated Twilio's line: playout to the byte, marks, losses, delays, persons, recordings."""

from __future__ import annotations

import base64
import json
import wave
from io import BytesIO
from typing import Any

import attrs
import numpy as np
import pytest
import trio
import trio.testing
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st

from tests.testing.test_twilio_calls import ended, place
from tests.testing.twilio_server import STREAM, a_twilio
from vantum.core.audio import mulaw_decode, mulaw_encode, to_int16
from vantum.testing.calls import simulate
from vantum.testing.twilio import (
    Answered,
    AnsweringMachine,
    Backchannel,
    Callbacks,
    Cough,
    HangUp,
    Hear,
    InterruptAfter,
    Line,
    Network,
    Noise,
    Pause,
    Person,
    Play,
    Press,
    Say,
    Silence,
    Stall,
    TwilioScript,
)
from vantum.testing.twilio.call import Amd
from vantum.testing.twilio.earpiece import Earpiece
from vantum.testing.twilio.sound import BYTE_S, FRAME_BYTES, SILENCE, is_voice, speech_dbfs
from vantum.websocket import WebSocket

Clock = trio.testing.MockClock

LOUD = mulaw_encode(b"\x00\x20\x00\xe0" * 80)

# ---------------------------------------------------------------- the earpiece


@given(st.lists(st.tuples(st.integers(1, 5000), st.integers(0, 5000)), min_size=1, max_size=20))
def test_a_byte_takes_125_microseconds(steps: list[tuple[int, int]]) -> None:
    now = 0

    def now_s() -> float:
        return now * BYTE_S

    ear, free = Earpiece(now_s=now_s), 0
    for count, wait in steps:
        began = max(now, free)
        free = began + count
        assert ear.play(SILENCE * count) == pytest.approx(free * BYTE_S)
        now += wait
    total = sum(count for count, _ in steps)
    now = free
    assert ear.heard_s == pytest.approx(total * BYTE_S)
    assert sum(len(piece.mulaw) for piece in ear.pieces) == total


@given(st.lists(st.integers(1, 400), min_size=1, max_size=20), st.integers(0, 8000))
def test_what_is_cleared_is_cut_at_the_byte(counts: list[int], at: int) -> None:
    now = 0
    ear = Earpiece(now_s=lambda: now * BYTE_S)
    for count in counts:
        ear.play(LOUD[:1] * count)
    now = at
    ear.clear()
    heard = min(at, sum(counts))
    assert sum(len(piece.mulaw) for piece in ear.pieces) == heard
    assert ear.end_s == pytest.approx(heard * BYTE_S)
    assert ear.voice_between(0, 9) == pytest.approx(heard * BYTE_S)
    assert ear.play(SILENCE) == pytest.approx((at + 1) * BYTE_S)
    now = 100_000
    assert len(ear.samples(0, 1)) == 8000


def test_a_line_that_runs_behind() -> None:
    now_s = 0.01
    ear = Earpiece(now_s=lambda: now_s)
    for _ in range(3):
        ear.play(LOUD)
    assert ear.hold_up(0.5) == pytest.approx(0.03)
    assert ear.end_s == pytest.approx(0.57)
    now_s = 0.5
    assert ear.voice_between(0, 9) == pytest.approx(0.06)
    assert ear.voice_between(0, 0.5) == pytest.approx(0.02)


def test_what_is_not_kept_is_forgotten() -> None:
    now_s = 0.0
    ear = Earpiece(keeps=False, now_s=lambda: now_s)
    for number in range(1000):
        now_s = number * 0.02
        ear.play(LOUD)
    assert len(ear._pieces) < 60
    assert ear.voice_after(now_s - 0.1) is not None


@given(st.binary(max_size=400))
def test_levels(mulaw: bytes) -> None:
    pcm = mulaw_decode(mulaw)
    assert is_voice(mulaw) == bool(len(mulaw) and np.abs(to_int16(pcm).astype(int)).max() > 400)
    assert speech_dbfs(b"") == -100.0
    assert speech_dbfs(mulaw_decode(LOUD * 3 + SILENCE * 800)) == pytest.approx(-12.0, abs=0.1)


# ---------------------------------------------------------------- streams


@define
class Peer:
    """What a server sees of a stream; `send` is what it answers to the start."""

    send: list[tuple[float, str, Any]] = field(factory=list)
    got: list[tuple[float, dict[str, Any]]] = field(factory=list)

    async def serve(self, socket: WebSocket) -> None:
        async with trio.open_nursery() as nursery:
            while isinstance(data := await socket.receive(), str):
                body = json.loads(data)
                self.got.append((trio.current_time(), body))
                if body["event"] == "start":
                    nursery.start_soon(self._send, socket, body["streamSid"])
            nursery.cancel_scope.cancel()

    async def _send(self, socket: WebSocket, sid: str) -> None:
        for after_s, kind, value in self.send:
            await trio.sleep(after_s)
            body: dict[str, Any] = {"event": kind, "streamSid": sid}
            if isinstance(value, dict):
                body |= value if kind == "clear" else {kind: value}
            elif kind == "media":
                body["media"] = {"payload": base64.b64encode(value).decode()}
            elif kind == "mark":
                body["mark"] = {"name": value}
            await socket.send(value if kind == "raw" else json.dumps(body))

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [body for _, body in self.got if body["event"] == kind]

    def marks(self) -> list[tuple[float, str]]:
        start_s = next(at_s for at_s, body in self.got if body["event"] == "start")
        return [
            (round(at_s - start_s, 4), body["mark"]["name"])
            for at_s, body in self.got
            if body["event"] == "mark"
        ]


async def streamed(
    peer: Peer, person: Person, line: Line | None = None, **changes: Any
) -> tuple[Any, Any]:
    script = TwilioScript(answers=person, line=line or Line(), **changes)
    async with a_twilio(script, voice=STREAM) as (twilio, server):
        server.on_stream = peer.serve
        call = place(twilio)
        await ended(call)
        return call, twilio


SHORT = Person((Pause(3), HangUp()), rings_s=0)


async def test_marks_come_back_when_all_before_them_was_heard(autojump_clock: Clock) -> None:
    peer = Peer(
        [
            (0, "mark", "nothing before it"),
            (0, "media", LOUD),
            (0, "mark", "20 ms"),
            (0, "media", LOUD * 49 + LOUD[:1]),
            (0, "mark", "one byte more than a second"),
            (1.5, "media", LOUD),
            (0, "mark", "after a pause"),
        ]
    )
    await streamed(peer, SHORT)
    assert peer.marks() == [
        (0.0, "nothing before it"),
        (0.02, "20 ms"),
        (1.0001, "one byte more than a second"),
        (1.52, "after a pause"),
    ]


async def test_a_clear_brings_them_back_at_once(autojump_clock: Clock) -> None:
    peer = Peer(
        [
            (0, "media", LOUD * 50),
            (0, "mark", "a"),
            (0, "media", LOUD * 50),
            (0, "mark", "b"),
            (0.3, "clear", None),
            (0, "mark", "c"),
        ]
    )
    call, _ = await streamed(peer, SHORT)
    assert peer.marks() == [(0.3, "a"), (0.3, "b"), (0.3, "c")]
    assert call.stream.played_s == pytest.approx(0.3)


async def test_no_more_than_ten_minutes_are_buffered(autojump_clock: Clock) -> None:
    minute = (LOUD * 50) * 60
    peer = Peer([(0, "media", minute)] * 12)
    call, _ = await streamed(peer, SHORT)
    assert call.stream.discarded == len(minute)
    assert [p.code for p in call.problems] == [31931]


async def test_what_is_no_message_is_noted_and_passed_over(autojump_clock: Clock) -> None:
    peer = Peer(
        [
            (0, "raw", "{"),
            (0, "raw", "[]"),
            (0, "raw", '{"event": "media", "streamSid": "MZother"}'),
            (0, "juggle", None),
            # What Twilio warns of: binary frames, and fields that are missing or too many.
            (0, "raw", b'{"event": "clear"}'),
            (0, "mark", {"name": "a", "color": "red"}),
            (0, "clear", {"sequenceNumber": "1"}),
            (0, "media", {}),
            (0, "media", LOUD),
            (0, "mark", "still here"),
        ]
    )
    call, _ = await streamed(peer, SHORT)
    assert [p.code for p in call.problems] == [31951] * 4 + [31950] + [31951] * 3
    assert peer.marks() == [(0.02, "still here")]


async def test_frames_come_every_20_ms(autojump_clock: Clock) -> None:
    peer = Peer()
    person = Person((Pause(1), Say("Hello there.", 1.0), HangUp()), rings_s=0)
    call, _ = await streamed(peer, person)
    media = [(at_s, body["media"]) for at_s, body in peer.got if body["event"] == "media"]
    times = [at_s for at_s, _ in media]
    assert np.diff(times) == pytest.approx(0.02)
    assert [int(m["chunk"]) for _, m in media] == list(range(1, len(media) + 1))
    frames = [base64.b64decode(m["payload"]) for _, m in media]
    assert {len(frame) for frame in frames} == {FRAME_BYTES}
    # A frame is there when its last sample was taken: 20 ms after its first.
    said = [at_s for at_s, frame in zip(times, frames, strict=True) if is_voice(frame)]
    (utterance,) = call.leg.utterances
    assert said[0] == pytest.approx(utterance.began_s + 0.02)


async def test_lost_frames_leave_a_gap_in_the_numbers(autojump_clock: Clock) -> None:
    peer = Peer()
    await streamed(peer, Person((Pause(20), HangUp()), rings_s=0), Line(lost=0.1))
    chunks = [int(m["media"]["chunk"]) for m in peer.of("media")]
    assert chunks == sorted(set(chunks))
    missing = chunks[-1] - len(chunks)
    assert 0.05 < missing / chunks[-1] < 0.15
    again = Peer()
    await streamed(again, Person((Pause(20), HangUp()), rings_s=0), Line(lost=0.1))
    assert [m["media"]["chunk"] for m in again.of("media")] == [str(c) for c in chunks]


@pytest.mark.parametrize("overtaking", [False, True])
async def test_jitter(autojump_clock: Clock, overtaking: bool) -> None:
    peer, network = Peer(), Network(delay_ms=50, jitter_ms=60)
    person = Person((Pause(10), HangUp()), rings_s=0)
    await streamed(peer, person, Line(network=network, overtaking=overtaking))
    media = [(at_s, int(b["media"]["chunk"])) for at_s, b in peer.got if b["event"] == "media"]
    chunks = [chunk for _, chunk in media]
    assert (chunks == sorted(chunks)) is not overtaking
    assert sorted(chunks) == list(range(1, len(chunks) + 1))
    first = min(at_s - 0.02 * chunk for at_s, chunk in media)
    late = [at_s - 0.02 * chunk - first for at_s, chunk in media]
    assert max(late) < 0.0601
    assert max(late) > 0.05


async def test_a_long_way_makes_audio_late_and_not_slow(autojump_clock: Clock) -> None:
    frames: list[tuple[float, str, Any]] = [(0.02, "media", LOUD)] * 50
    peer = Peer([(1.0, "media", LOUD), *frames, (0, "mark", "heard")])
    line = Line(network=Network(delay_ms=150))
    call, _ = await streamed(peer, SHORT, line)
    ear = call.leg.earpiece
    began_s, ended_s = ear.voice_after(0.0)
    assert ended_s - began_s == pytest.approx(51 * 0.02), "as long as it was"
    assert ear.voice_between(began_s, ended_s) == pytest.approx(51 * 0.02), "without a gap"
    ((back_s, _),) = peer.marks()
    # There, until the last frame was heard, and back.
    assert back_s == pytest.approx(1.0 + 51 * 0.02 + 2 * 0.15, abs=0.001)


async def test_a_stall_holds_both_ways_up(autojump_clock: Clock) -> None:
    peer = Peer([(1.2, "media", LOUD), (0, "mark", "late")])
    line = Line(network=Network(stalls=(Stall(1.0, 1.0),)))
    await streamed(peer, SHORT, line)
    times = [at_s for at_s, body in peer.got if body["event"] == "media"]
    assert max(np.diff(times)) == pytest.approx(1.0, abs=0.03)
    assert len([at_s for at_s in times if at_s == pytest.approx(times[0] + 2.0, abs=0.03)]) > 45
    assert peer.marks()[0][0] == pytest.approx(2.02, abs=0.001)


# ---------------------------------------------------------------- persons


async def test_a_person_listens_answers_and_interrupts(autojump_clock: Clock) -> None:
    peer = Peer([(1.0, "media", LOUD * 100), (6.0, "media", LOUD * 200)])
    person = Person(
        (
            Answered(),
            Say("I see.", 0.6),
            Hear(0.5),
            Backchannel(),
            InterruptAfter(1.5, "No wait."),
            Silence(2.0),
            Cough(),
            Noise(0.5),
            Press("5"),
            HangUp(),
        ),
        rings_s=0,
        quiet_s=0.8,
    )
    call, _ = await streamed(peer, person)
    began = [u.began_s - call.answered_s for u in call.leg.utterances]
    # 2 s of agent from 1.0 on and 0.8 s of quiet; the next from 7.0 on.
    assert began[:3] == pytest.approx([3.8, 7.5, 9.4], abs=0.03)
    assert began[3] == pytest.approx(13.0, abs=0.05)
    assert [digit for _, digit in call.leg.pressed] == ["5"]
    assert call.ended_because == "the person hangs up"


async def test_who_is_not_answered_loses_patience(autojump_clock: Clock) -> None:
    person = Person((Say("Hello?"), Answered()), rings_s=0, patience_s=7)
    call, _ = await streamed(Peer(), person)
    assert call.ended_because == "the person waited 7 s for an answer"


def test_personas_that_make_no_sense() -> None:
    with pytest.raises(ValueError, match="no word"):
        Person((InterruptAfter(1, "x", word="y"),))
    with pytest.raises(ValueError, match="digits is 'x'"):
        Press("x")


async def test_a_recorded_voice(autojump_clock: Clock, recordings: dict[str, Any]) -> None:
    file, text = recordings["austen-0880"]
    peer = Peer()
    call, _ = await streamed(peer, Person((Play(file, text), HangUp()), rings_s=0))
    heard = b"".join(base64.b64decode(m["media"]["payload"]) for m in peer.of("media"))
    (utterance,) = call.leg.utterances
    assert utterance.mulaw in heard
    assert -40 < speech_dbfs(mulaw_decode(heard)) < -5


# ---------------------------------------------------------------- who answered?


@pytest.mark.parametrize(
    ("persona", "amd", "verdict", "ms"),
    [
        (Person((Say("Hello?", 0.6),), rings_s=0), Amd(), "human", 1_800),
        (Person(rings_s=0), Amd(), "unknown", 5_000),
        (Person((Say("on and on", 9.0),), rings_s=0), Amd(), "machine_start", 2_400),
        (AnsweringMachine(Say("x", 4.0)), Amd(message_end=True), "machine_end_beep", 5_020),
        (
            AnsweringMachine(Say("x", 4.0), beep=b""),
            Amd(message_end=True),
            "machine_end_beep",
            4_520,
        ),
        (
            Person((Say("x", 4.0),), rings_s=0),
            Amd(message_end=True),
            "machine_end_silence",
            6_000,
        ),
        (Person((Say("x", 40.0),)), Amd(message_end=True), "machine_end_other", 30_000),
        (AnsweringMachine(answered_by="fax"), Amd(), "fax", 3_000),
    ],
)
@pytest.mark.parametrize("is_async", [True, False])
async def test_the_detection_hears_who_it_is(
    autojump_clock: Clock, persona: Any, amd: Amd, verdict: str, ms: int, is_async: bool
) -> None:
    amd = attrs.evolve(amd, is_async=is_async, url="https://server.test/amd-status")
    voice = "<Response><Pause length='60'/></Response>"
    async with a_twilio(TwilioScript(answers=persona), voice=voice) as (twilio, server):
        call = place(twilio, amd=amd)
        await ended(call)
        assert call.answered_by == verdict
        assert call.detected_ms == pytest.approx(ms, abs=60)
        told = server.of("/amd-status" if is_async else "/voice")[0]
        assert told["AnsweredBy"] == verdict
        assert int(told["MachineDetectionDuration"]) == call.detected_ms
        asked = next(a for a in server.asked if a.path == "/voice")
        waited_ms = (asked.at_s - (call.answered_s or 0)) * 1000
        assert waited_ms == pytest.approx(0 if is_async else ms, abs=60)


# ---------------------------------------------------------------- callbacks on their way


def statuses(callbacks: Callbacks, seed: int) -> list[str]:
    async def body() -> list[str]:
        script = TwilioScript(answers=SHORT, callbacks=callbacks, seed=seed)
        async with a_twilio(script, voice="<Response><Pause/></Response>") as (twilio, server):
            await ended(place(twilio))
            return server.statuses()

    return simulate(body)


def test_callbacks_get_lost_doubled_and_overtaken() -> None:
    healthy = ["initiated", "ringing", "in-progress", "completed"]
    assert statuses(Callbacks(), 1) == healthy
    assert statuses(Callbacks(lost=1.0), 1) == []
    assert sorted(statuses(Callbacks(doubled=1.0), 1)) == sorted(healthy * 2)
    orders = {tuple(statuses(Callbacks(reordered=0.5), seed)) for seed in range(8)}
    assert len(orders) > 1
    assert all(sorted(order) == sorted(healthy) for order in orders)
    assert statuses(Callbacks(reordered=0.5), 3) == statuses(Callbacks(reordered=0.5), 3)


# ---------------------------------------------------------------- recordings


async def test_both_sides_are_recorded_aligned(autojump_clock: Clock) -> None:
    peer = Peer([(1.0, "media", LOUD * 50)])
    person = Person((Pause(0.5), Say("Hello there.", 0.4), Pause(2), HangUp()), rings_s=1)
    call, _ = await streamed(peer, person)
    with wave.open(BytesIO(call.recording())) as file:
        assert (file.getnchannels(), file.getframerate(), file.getsampwidth()) == (2, 8000, 2)
        both = np.frombuffer(file.readframes(10**6), "<i2").reshape(-1, 2)
    assert len(both) / 8000 == pytest.approx(2.9, abs=0.05)
    loud = [np.flatnonzero(np.abs(side.astype(int)) > 1000) / 8000 for side in both.T]
    assert (loud[0][0], loud[0][-1]) == pytest.approx((0.5, 0.9), abs=0.03)
    assert (loud[1][0], loud[1][-1]) == pytest.approx((1.0, 2.0), abs=0.001)


async def test_the_same_seed_gives_the_same_call(autojump_clock: Clock) -> None:
    calls = [(await streamed(Peer(), SHORT, seed=7))[0] for _ in range(2)]
    assert calls[0].sid == calls[1].sid
    assert calls[0].stream.stream_sid == calls[1].stream.stream_sid
    assert (await streamed(Peer(), SHORT, seed=8))[0].sid != calls[0].sid


async def test_calls_beyond_the_rate_are_queued(autojump_clock: Clock) -> None:
    script = TwilioScript(answers=SHORT, calls_per_s=1.0)
    async with a_twilio(script, voice=STREAM) as (twilio, _):
        calls = [place(twilio) for _ in range(3)]
        assert [call.queued_ms for call in calls] == [0, 1000, 2000]
        for call in calls:
            await call.over.wait()
        dialled = [call.dialled_s - call.created_s for call in calls]  # type: ignore[operator]
        assert dialled == pytest.approx([0, 1, 2])
