"""The load test with phone calls: its Twilio, its arithmetic, and one call with all processes."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, cast

import numpy as np
import pytest

from benchmarks.loudness import Loud
from benchmarks.phone import matched
from benchmarks.phones import (
    ACCOUNT,
    TOKEN,
    Playout,
    mark_frame,
    media_frame,
    start_frames,
    voice_payloads,
)
from benchmarks.processes import SERVER, three
from vantum.testing.twilio import MediaStream


def texts(frames: bytes) -> Iterator[object]:
    """What is in a client's frames, which are masked with zero."""
    while frames:
        length, head = frames[1] & 0x7F, 2
        if length == 126:
            length, head = int.from_bytes(frames[2:4]), 4
        yield json.loads(frames[head + 4 : head + 4 + length])
        frames = frames[head + 4 + length :]


class Socket:
    """Keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[object] = []

    async def send(self, data: str) -> None:
        self.sent.append(json.loads(data))


async def test_its_messages_are_those_of_the_simulated_twilio() -> None:
    socket = Socket()
    stream = MediaStream(cast(Any, socket), "CA1", ACCOUNT, "MZ1", {"token": "t"})
    await stream.connected()
    await stream.start()
    await stream.media(b"\x7f" * 160)
    await stream.send("mark", mark={"name": "u:100"})
    ours = start_frames("MZ1", "CA1", {"token": "t"})
    ours += media_frame("MZ1", 2, 1, base64.b64encode(b"\x7f" * 160))
    ours += mark_frame("MZ1", 3, b"u:100")
    assert list(texts(ours)) == socket.sent


def test_a_frame_is_late_by_what_it_is_less_ahead_and_starves_an_empty_ear() -> None:
    ear = Playout(0.1)
    for at_s in (10.0, 10.0, 10.1, 10.225, 10.3):
        ear.chunk(at_s, "u1", 5)
    assert ear.late_ms == pytest.approx([0, 0, 25, 0], abs=1e-6)
    assert (ear.starved, ear.frames) == (0, 25)
    ear.chunk(10.56, "u1", 5)
    assert ear.late_ms[-1] == pytest.approx(160)
    assert ear.starved == 3
    # The next answer begins when it begins.
    ear.chunk(20.0, "u2", 5)
    assert len(ear.late_ms) == 5
    ear.clear(20.01)
    ear.chunk(20.5, "u2", 5)
    assert (ear.starved, len(ear.late_ms)) == (3, 5)


def test_a_turn_counts_from_the_last_decision_before_its_answer() -> None:
    def line(second: float, waited_s: float, call: str = "CA1") -> str:
        at = f"2026-11-21T12:00:{second:09.6f}Z"
        what = {"event": "turn judged over", "call": call, "waited_s": waited_s, "timestamp": at}
        return json.dumps(what)

    log = "\n".join(["no JSON", line(1.5, 0.3), line(2.0, 0.8), line(2.05, 0.1, "CA2"), line(9, 1)])
    answered_s = datetime(2026, 11, 21, 12, 0, 2, 30_000, UTC).timestamp()
    turn = {"call": "CA1", "gap_ms": 1030.0, "answered_unix_s": answered_s}
    (found,) = matched([turn, {**turn, "call": "CA3"}], log)
    assert found.response_ms == pytest.approx(30, abs=0.1)
    assert found.ear_ms == pytest.approx(200, abs=0.1)


def test_the_ear_takes_what_is_loud_for_words() -> None:
    ear = Loud(16_000)
    loud = np.full(16_000, 3000, "<i2").tobytes()
    room = np.full(8_000, 20, "<i2").tobytes()
    assert ear.hear(room, 0, 8_000) == []
    words = ear.hear(loud, 8_000, 24_000)
    assert [(w.start, w.end) for w in words] == [
        (8_000, 12_800),
        (12_800, 17_600),
        (17_600, 22_400),
    ]
    assert ear.partial is not None
    (last,) = ear.hear(room, 24_000, 32_000)
    assert (last.start, last.end) == (22_400, 24_000)
    assert ear.partial is None


def test_the_recorded_phrase_is_whole_frames() -> None:
    voice, room = voice_payloads()
    assert len(voice) == 100
    assert {len(base64.b64decode(payload)) for payload in [*voice, room]} == {160}


@pytest.mark.parametrize(("module", "converse"), [(SERVER, True), ("benchmarks.bare_phone", False)])
def test_a_call_is_held_and_hung_up(module: str, converse: bool) -> None:
    plan = {"answers": ["Yes."], "by_loudness": True}
    environment = {
        "TWILIO_ACCOUNT_SID": ACCOUNT,
        "TWILIO_AUTH_TOKEN": TOKEN,
        "TURN_VOICE_ACTIVITY": "off",
        "TURN_GREETING": "Hello. This is a machine that talks.",
        "VANTUM_DATABASE": ":memory:",
    }
    with three(plan, environment, module, load_module="benchmarks.phones") as (_, server, load):
        assert load.ask(do="connect", calls=1) == 1
        found = load.ask(do="talk", seconds=1.0, converse=converse)
        while not found["frames"]:  # the machine may be slow, and the greeting late
            found = load.ask(do="talk", seconds=1.0, converse=converse)
        assert found["failures"] == []
        assert found["gone"] == 0
        assert load.ask(do="hang_up") == 1
        if module == SERVER:
            assert "session opened" in server.said()
