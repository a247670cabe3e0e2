"""The simulated Twilio's calls in virtual time: who answers, and what the server is told."""

from __future__ import annotations

import json

import pytest
import trio
import trio.testing

from tests.testing.twilio_server import HOST, STREAM, a_twilio
from vantum.testing.twilio import (
    Answered,
    AnsweringMachine,
    Busy,
    Failed,
    HangUp,
    NoAnswer,
    Pause,
    Person,
    Persona,
    PhoneCall,
    Press,
    Rejects,
    Say,
    SimulatedTwilio,
    TwilioScript,
)
from vantum.testing.twilio.call import Amd, CallOptions, Source
from vantum.testing.twilio.script import ACCOUNT, FROM_NUMBER
from vantum.websocket import WebSocket

Clock = trio.testing.MockClock

CALLEE = "+15551234567"
ALL = ("initiated", "ringing", "answered", "completed")
HANGUP = "<Response><Hangup/></Response>"


def place(twilio: SimulatedTwilio, **options: object) -> PhoneCall:
    """An outbound call that tells of everything."""
    about = {
        "source": Source(f"{HOST}/voice"),
        "status_url": f"{HOST}/status",
        "status_events": ALL,
    }
    order = CallOptions(**(about | options))  # type: ignore[arg-type]
    return twilio.exchange.place(ACCOUNT, FROM_NUMBER, CALLEE, order)


async def ended(call: PhoneCall) -> None:
    """It is over, and the callbacks have come."""
    with trio.fail_after(200):
        await call.over.wait()
        await trio.sleep(5)


async def test_a_call_from_dialling_to_the_last_callback(autojump_clock: Clock) -> None:
    person = Person((Pause(1), Say("Hello there."), HangUp()), rings_s=3)
    async with a_twilio(TwilioScript(answers=person), voice=STREAM) as (twilio, server):
        call = place(twilio)
        assert call.status == "queued"
        await ended(call)
        assert server.statuses() == ["initiated", "ringing", "in-progress", "completed"]
        assert all(asked.genuine for asked in server.asked)
        assert server.genuine_streams == [True]
        assert [f["SequenceNumber"] for f in server.of("/status")] == ["0", "1", "2", "3"]
        attested = ["StirStatus" in f for f in server.of("/status")]
        assert attested == [False, True, True, False]
        (voice,) = server.of("/voice")
        assert (voice["From"], voice["To"], voice["CallStatus"]) == (
            FROM_NUMBER,
            CALLEE,
            "in-progress",
        )
        last = server.of("/status")[-1]
        assert (last["CallDuration"], last["Duration"]) == ("2", "1")
        assert last["Timestamp"] == "Mon, 02 Mar 2026 12:00:04 +0000"
        events = [f["StreamEvent"] for f in server.of("/stream-status")]
        assert events == ["stream-started", "stream-stopped"]
        assert (call.status, call.ended_because) == ("completed", "the person hangs up")
        assert call.problems == []


@pytest.mark.parametrize(
    ("persona", "statuses"),
    [
        (Busy(), ["initiated", "busy"]),
        (Failed(), ["initiated", "failed"]),
        (NoAnswer(), ["initiated", "ringing", "no-answer"]),
        (Person(rings_s=70), ["initiated", "ringing", "no-answer"]),
        (Rejects(), ["initiated", "ringing", "busy"]),
    ],
    ids=lambda x: type(x).__name__,
)
async def test_who_does_not_answer(
    autojump_clock: Clock, persona: Persona, statuses: list[str]
) -> None:
    async with a_twilio(TwilioScript(answers=persona), voice=STREAM) as (twilio, server):
        call = place(twilio)
        await ended(call)
        assert server.statuses() == statuses
        last = server.of("/status")[-1]
        assert last["CallDuration"] == "0"
        assert "Duration" not in last
        assert not server.of("/voice")
        assert not server.sockets


async def test_only_the_events_that_were_asked_for(autojump_clock: Clock) -> None:
    async with a_twilio(voice=HANGUP) as (twilio, server):
        call = place(twilio, status_events=("answered",))
        await ended(call)
        assert server.statuses() == ["in-progress"]
        assert call.ended_because == "the TwiML hangs up"


async def test_the_stream_carries_both_sides(autojump_clock: Clock) -> None:
    person = Person((Say("Hello there."), Press("12"), Answered(), HangUp()), rings_s=1)
    got: list[dict[str, object]] = []

    async def answer(socket: WebSocket) -> None:
        sid = ""
        while isinstance(data := await socket.receive(), str):
            got.append(json.loads(data))
            if got[-1]["event"] == "start":
                sid = str(got[-1]["streamSid"])
            if got[-1]["event"] == "dtmf" and len([g for g in got if g["event"] == "dtmf"]) == 2:
                loud = "gACAAIAA" * 200  # base64 of 1200 bytes of full scale and back
                media = {"event": "media", "streamSid": sid, "media": {"payload": loud}}
                await socket.send(json.dumps(media))
                mark = {"event": "mark", "streamSid": sid, "mark": {"name": "said"}}
                await socket.send(json.dumps(mark))

    async with a_twilio(TwilioScript(answers=person), voice=STREAM) as (twilio, server):
        server.on_stream = answer
        call = place(twilio)
        await ended(call)
        kinds = [str(g["event"]) for g in got]
        assert kinds[:3] == ["connected", "start", "media"]
        assert kinds[-1] == "stop"
        assert got[1]["start"]["customParameters"] == {"token": "t-1"}  # type: ignore[index]
        numbers = [int(str(g["sequenceNumber"])) for g in got[1:]]
        assert numbers == list(range(1, len(got)))
        assert [g["dtmf"]["digit"] for g in got if g["event"] == "dtmf"] == ["1", "2"]  # type: ignore[index]
        assert [g["mark"]["name"] for g in got if g["event"] == "mark"] == ["said"]  # type: ignore[index]
        assert call.stream.played_s == pytest.approx(0.15)
        assert call.ended_because == "the person hangs up"


async def test_nobody_is_told_who_answered(autojump_clock: Clock) -> None:
    async with a_twilio(TwilioScript(answers=Person(rings_s=0)), voice=HANGUP) as (twilio, _):
        call = place(twilio, amd=Amd(is_async=True))
        await ended(call)
        assert [problem.code for problem in call.problems] == [21262]


async def test_a_machine_greets_beeps_and_records(autojump_clock: Clock) -> None:
    machine = AnsweringMachine(Say("Please leave a message.", 3.0), rings_s=1, records_s=20)
    async with a_twilio(TwilioScript(answers=machine), voice=STREAM) as (twilio, _):
        call = place(twilio)
        await ended(call)
        assert call.ended_because == "the machine's tape is full"
        assert call.answered_s is not None
        assert call.leg.beeped_s == pytest.approx(call.answered_s + 3 + 0.5 + 0.5, abs=0.05)
        assert call.duration_s == 24
