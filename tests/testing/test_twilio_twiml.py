"""TwiML on the simulated Twilio: what each verb does, and what becomes of TwiML that is none."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from tests.testing.test_twilio_calls import CALLEE, HANGUP, ended, place
from tests.testing.twilio_server import HOST, STREAM, Asked, a_twilio
from vantum.core.audio import write_wav
from vantum.testing.calls.voice import speech
from vantum.testing.twilio import (
    Answered,
    Busy,
    HangUp,
    Pause,
    Person,
    Press,
    Say,
    TwilioScript,
)
from vantum.testing.twilio import twiml as t
from vantum.testing.twilio.call import Source
from vantum.testing.twilio.sound import key_tones
from vantum.websocket import WebSocket

Clock = trio.testing.MockClock

AT_ONCE = Person(rings_s=0)
COLLEAGUE = "+15557654321"
SECOND = "+15557654322"


def doc(*verbs: str) -> str:
    return f"<Response>{''.join(verbs)}</Response>"


async def test_say_pause_and_hangup(autojump_clock: Clock) -> None:
    async with a_twilio(
        TwilioScript(answers=AT_ONCE),
        voice=doc("<Say loop='2'>one two three</Say>", "<Pause length='3'/>", "<Hangup/>"),
    ) as (twilio, _):
        call = place(twilio)
        await ended(call)
        assert call.answered_s is not None
        # Words take 0.3 s each in the synthetic voice.
        assert call.leg.earpiece.voice_between(0, 1e9) == pytest.approx(1.8, abs=0.1)
        assert call.duration_s == 5
        assert call.ended_because == "the TwiML hangs up"


async def test_the_end_of_a_document_hangs_up(autojump_clock: Clock) -> None:
    async with a_twilio(TwilioScript(answers=AT_ONCE), voice=doc("<Pause/>")) as (twilio, _):
        call = place(twilio)
        await ended(call)
        assert (call.status, call.ended_because) == ("completed", "the TwiML is over")


async def test_keys_are_played_as_tones(autojump_clock: Clock) -> None:
    voice = doc("<Play digits='1w5#'/>")
    async with a_twilio(TwilioScript(answers=AT_ONCE), voice=voice) as (twilio, _):
        call = place(twilio)
        await ended(call)
        assert call.leg.earpiece.pieces[0].mulaw == key_tones("1w5#")
        assert len(key_tones("1w5#")) == 8000 * (3 * 0.2 + 0.5)
        assert len(key_tones("1W5")) == 8000 * (2 * 0.2 + 1.0)


async def test_a_file_is_played(autojump_clock: Clock) -> None:
    file = write_wav(speech("good morning to you", 1.0).pcm, 16_000)
    async with a_twilio(TwilioScript(answers=AT_ONCE), voice=doc("<Play>/hello.wav</Play>")) as (
        twilio,
        server,
    ):
        server.raw["/hello.wav"] = file
        call = place(twilio)
        await ended(call)
        assert not call.problems
        assert call.leg.earpiece.heard_s == pytest.approx(1.0, abs=0.03)


async def test_redirect_goes_on_elsewhere(autojump_clock: Clock) -> None:
    async with a_twilio(
        TwilioScript(answers=AT_ONCE),
        voice=doc("<Redirect method='GET'>/next?x=1</Redirect>", "<Say>never</Say>"),
        next=HANGUP,
    ) as (twilio, server):
        call = place(twilio)
        await ended(call)
        (asked,) = [a for a in server.asked if a.path == "/next"]
        assert (asked.method, asked.fields["x"], asked.genuine) == ("GET", "1", True)
        assert asked.fields["CallSid"] == call.sid
        assert not call.leg.earpiece.pieces


@pytest.mark.parametrize(
    ("gather", "steps", "digits"),
    [
        ("numDigits='2'", (Pause(1), Press("427")), "42"),
        ("", (Pause(1), Press("42#")), "42"),
        ("finishOnKey='*'", (Pause(1), Press("4#*")), "4#"),
        ("timeout='2'", (Pause(1), Press("9")), "9"),
    ],
)
async def test_keys_are_gathered(
    autojump_clock: Clock, gather: str, steps: tuple[Pause, Press], digits: str
) -> None:
    voice = doc(
        f"<Gather action='/keys' {gather}><Say>press keys for a very long time</Say></Gather>",
        "<Say>nothing</Say>",
    )
    async with a_twilio(
        TwilioScript(answers=Person(steps, rings_s=0)), voice=voice, keys=HANGUP
    ) as (twilio, server):
        call = place(twilio)
        await ended(call)
        (fields,) = server.of("/keys")
        assert fields["Digits"] == digits
        # A key cuts the prompt short.
        assert call.leg.earpiece.heard_s < 2.0


async def test_a_gather_without_keys_goes_on(autojump_clock: Clock) -> None:
    voice = doc("<Gather action='/keys' timeout='3'/>", "<Redirect>/none</Redirect>")
    async with a_twilio(TwilioScript(answers=AT_ONCE), voice=voice, none=HANGUP) as (
        twilio,
        server,
    ):
        await ended(place(twilio))
        assert not server.of("/keys")
        assert len(server.of("/none")) == 1


async def test_after_a_stream_that_the_server_closes_the_document_goes_on(
    autojump_clock: Clock,
) -> None:
    async def close(socket: WebSocket) -> None:
        await socket.receive()
        await trio.sleep(2)
        await socket.close()

    voice = STREAM.replace("</Connect>", "</Connect><Redirect>/after</Redirect>")
    async with a_twilio(TwilioScript(answers=AT_ONCE), voice=voice, after=HANGUP) as (
        twilio,
        server,
    ):
        server.on_stream = close
        call = place(twilio)
        await ended(call)
        assert len(server.of("/after")) == 1
        assert [f["StreamEvent"] for f in server.of("/stream-status")] == [
            "stream-started",
            "stream-stopped",
        ]


async def test_a_call_is_redirected_out_of_its_stream(autojump_clock: Clock) -> None:
    async with a_twilio(TwilioScript(answers=AT_ONCE), voice=STREAM) as (twilio, _):
        call = place(twilio)
        await call.until_streaming()
        await trio.sleep(1)
        call.redirected = Source(twiml=doc("<Pause length='2'/>"))
        assert call.program is not None
        call.program.cancel()
        await ended(call)
        assert call.stream.over.is_set()
        assert call.duration_s == 3
        assert call.ended_because == "the TwiML is over"


# ---------------------------------------------------------------- calls that come in


async def test_a_call_comes_in_and_is_answered_by_its_twiml(autojump_clock: Clock) -> None:
    async with a_twilio(voice=STREAM) as (twilio, server):
        call = twilio.ring(
            f"{HOST}/voice",
            Person((Say("Hello there."), HangUp())),
            from_number=CALLEE,
            status_url=f"{HOST}/status",
        )
        await ended(call)
        (voice,) = server.of("/voice")
        assert (voice["Direction"], voice["CallStatus"], voice["From"]) == (
            "inbound",
            "ringing",
            CALLEE,
        )
        assert server.statuses() == ["completed"]


@pytest.mark.parametrize(("reason", "status"), [("busy", "busy"), ("rejected", "no-answer")])
async def test_a_call_is_rejected(autojump_clock: Clock, reason: str, status: str) -> None:
    async with a_twilio(voice=doc(f"<Reject reason='{reason}'/>")) as (twilio, _):
        call = twilio.ring(f"{HOST}/voice")
        await ended(call)
        assert (call.status, call.answered_s) == (status, None)
        with pytest.raises(ValueError, match="never answered"):
            call.recording()


@pytest.mark.parametrize(
    ("verbs", "answered_s"),
    [("<Pause length='5'/><Say>Hello.</Say>", 5), ("<Say>Hello.</Say><Pause length='5'/>", 0)],
)
async def test_a_pause_that_comes_first_delays_the_answer(
    autojump_clock: Clock, verbs: str, answered_s: float
) -> None:
    async with a_twilio(voice=doc(verbs)) as (twilio, _):
        call = twilio.ring(f"{HOST}/voice")
        await ended(call)
        assert call.answered_s == pytest.approx(call.created_s + answered_s)


async def test_only_the_first_verb_rejects(autojump_clock: Clock) -> None:
    async with a_twilio(voice=doc("<Pause/><Reject/><Pause/>")) as (twilio, _):
        call = twilio.ring(f"{HOST}/voice")
        await ended(call)
        assert (call.status, call.duration_s) == ("completed", 0)


# ---------------------------------------------------------------- dialling others


async def test_two_are_connected_and_the_action_is_told(autojump_clock: Clock) -> None:
    caller = Person((Pause(4), Say("Hello colleague.", 1.0)))
    colleague = Person((Answered(), Say("Goodbye then.", 1.0), Pause(1), HangUp()), rings_s=2)
    voice = doc(
        f"<Dial action='/dialled' callerId='+15005550006'><Number url='/whisper' "
        f"statusCallback='/status-2' statusCallbackEvent='ringing answered completed'>{COLLEAGUE}"
        "</Number></Dial>"
    )
    script = TwilioScript(answers=caller, personas={COLLEAGUE: colleague})
    async with a_twilio(
        script, voice=voice, whisper=doc("<Say>a caller for you</Say>"), dialled=HANGUP
    ) as (twilio, server):
        call = place(twilio)
        await ended(call)
        child = twilio.calls[1]
        assert (child.direction, child.parent_sid, child.bridged) == (
            "outbound-dial",
            call.sid,
            True,
        )
        assert server.statuses("/status-2") == ["ringing", "in-progress", "completed"]
        (told,) = server.of("/dialled")
        assert told["DialCallSid"] == child.sid
        assert (told["DialCallStatus"], told["DialBridged"]) == ("completed", "true")
        assert int(told["DialCallDuration"]) == child.duration_s
        # Each has heard the other; the whisper is for the colleague alone.
        heard = [call.leg.earpiece.voice_between(0, 1e9), child.leg.earpiece.voice_between(0, 1e9)]
        assert heard == pytest.approx([1.0, 1.0 + 4 * 0.3], abs=0.1)


async def test_a_party_that_cannot_be_had(autojump_clock: Clock) -> None:
    voice = doc(f"<Dial action='/dialled'>{COLLEAGUE}</Dial>")
    script = TwilioScript(answers=Person(rings_s=0), personas={COLLEAGUE: Busy()})
    async with a_twilio(script, voice=voice, dialled=HANGUP) as (twilio, server):
        await ended(place(twilio))
        (told,) = server.of("/dialled")
        assert (told["DialCallStatus"], told["DialBridged"]) == ("busy", "false")
        assert "DialCallDuration" not in told


@pytest.mark.parametrize(
    ("dial", "code"),
    [
        ("<Dial action='/dialled' callerId='+15559990000'>+15557654321</Dial>", 13214),
        ("<Dial action='/dialled'>555-7654</Dial>", 13223),
        ("<Dial action='/dialled'><Number>+1555765432x</Number></Dial>", 13223),
    ],
)
async def test_a_dial_that_twilio_does_not_make(
    autojump_clock: Clock, dial: str, code: int
) -> None:
    async with a_twilio(TwilioScript(answers=AT_ONCE), voice=doc(dial), dialled=HANGUP) as (
        twilio,
        server,
    ):
        call = place(twilio)
        await ended(call)
        assert [problem.code for problem in call.problems] == [code]
        (told,) = server.of("/dialled")
        assert told["DialCallStatus"] == "failed"
        assert "DialCallSid" not in told
        assert len(twilio.calls) == 1


async def test_of_several_the_first_to_pick_up(autojump_clock: Clock) -> None:
    voice = doc(f"<Dial><Number>{COLLEAGUE}</Number><Number>{SECOND}</Number></Dial>")
    script = TwilioScript(
        answers=Person(rings_s=0),
        personas={
            COLLEAGUE: Person(rings_s=9),
            SECOND: Person((Pause(2), HangUp()), rings_s=3),
        },
    )
    async with a_twilio(script, voice=voice) as (twilio, _):
        call = place(twilio)
        await ended(call)
        assert [child.status for child in twilio.calls[1:]] == ["canceled", "completed"]


async def test_who_hangs_up_takes_the_other_leg_along(autojump_clock: Clock) -> None:
    voice = doc(f"<Dial>{COLLEAGUE}</Dial>")
    script = TwilioScript(
        answers=Person((Pause(5), HangUp()), rings_s=0), personas={COLLEAGUE: Person(rings_s=1)}
    )
    async with a_twilio(script, voice=voice) as (twilio, _):
        call = place(twilio)
        await ended(call)
        assert [c.status for c in twilio.calls] == ["completed", "completed"]


async def test_a_conference(autojump_clock: Clock) -> None:
    def room(asked: Asked) -> str:
        end = "true" if asked.fields["To"] == CALLEE else "false"
        return doc(
            f"<Dial><Conference endConferenceOnExit='{end}' statusCallback='/status-room' "
            "statusCallbackEvent='start end join leave'>team</Conference></Dial>"
        )

    speaker = Person((Pause(2), Say("Good morning everybody.", 1.0), Pause(2), HangUp()), rings_s=0)
    script = TwilioScript(answers=speaker, personas={COLLEAGUE: AT_ONCE, SECOND: AT_ONCE})
    async with a_twilio(script, voice=room) as (twilio, server):
        calls = [place(twilio)]
        for number in (COLLEAGUE, SECOND):
            options = calls[0].options
            sid, from_ = calls[0].account_sid, calls[0].from_number
            calls.append(twilio.exchange.place(sid, from_, number, options))
        for call in calls:
            await ended(call)
        heard = [call.leg.earpiece.voice_between(0, 1e9) for call in calls]
        assert heard == pytest.approx([0.0, 1.0, 1.0], abs=0.1)
        events = [fields["StatusCallbackEvent"] for fields in server.of("/status-room")]
        assert sorted(events) == sorted(
            [
                "conference-start",
                *["participant-join"] * 3,
                *["participant-leave"] * 3,
                "conference-end",
            ]
        )


# ---------------------------------------------------------------- what is wrong


@pytest.mark.parametrize(
    ("voice", "code"),
    [
        (500, 11200),
        (404, 11200),
        ("this is not XML", 12100),
        ("<Answer/>", 12200),
        (doc("<Juggle/>"), 12200),
        (doc("<Connect><Stream url='https://x.test'/></Connect>"), 31922),
        (doc("<Connect><Stream url='wss://x.test' track='both_tracks'/></Connect>"), 31941),
        (doc("<Play digits='xyz'/>"), 12200),
        (doc("<Play digits='1W2'/>"), 12200),
        (doc("<Dial/>"), 13223),
        (doc("<Dial><Number statusCallbackEvent='dialled'>+15550001111</Number></Dial>"), 12200),
        (doc("<Dial><Conference/></Dial>"), 12200),
        (doc(" " * 65_536), 11750),
        (doc("<Dial><Sip>sip:x</Sip></Dial>"), 12200),
        (doc("<Pause length='long'/>"), 12200),
        (doc("<Redirect/>"), 12200),
        (doc("<Gather input='speech'/>"), 12200),
    ],
)
async def test_an_answer_that_is_no_twiml(
    autojump_clock: Clock, voice: str | int, code: int
) -> None:
    async with a_twilio(TwilioScript(answers=AT_ONCE), voice=voice) as (twilio, _):
        call = place(twilio)
        await ended(call)
        assert [problem.code for problem in call.problems] == [code]
        assert call.ended_because == f"error {code}"
        # Who is on the line is told so.
        assert call.leg.earpiece.voice_between(0, 1e9) > 2
        inbound = twilio.ring(f"{HOST}/voice")
        await ended(inbound)
        assert inbound.status == "failed"


@pytest.mark.parametrize(("chars", "codes"), [(499, []), (500, [12200])])
async def test_a_streams_parameter_is_under_500_characters(
    autojump_clock: Clock, chars: int, codes: list[int]
) -> None:
    parameter = f'<Parameter name="t" value="{"x" * (chars - 1)}"/>'
    voice = doc(f'<Connect><Stream url="wss://server.test/stream">{parameter}</Stream></Connect>')
    async with a_twilio(TwilioScript(answers=AT_ONCE), voice=voice) as (twilio, _):
        call = place(twilio)
        with trio.move_on_after(30):
            await call.over.wait()
        assert [problem.code for problem in call.problems] == codes
        assert len(call.streams) == (not codes)


async def test_another_kind_of_content(autojump_clock: Clock) -> None:
    async with a_twilio(TwilioScript(answers=AT_ONCE), voice=HANGUP) as (twilio, server):
        server.content_type = "application/json"
        call = place(twilio)
        await ended(call)
        assert [problem.code for problem in call.problems] == [12300]


async def test_a_server_that_is_not_there_or_does_not_answer(autojump_clock: Clock) -> None:
    async with a_twilio(TwilioScript(answers=AT_ONCE)) as (twilio, server):
        server.hang.add("/voice")
        call = place(twilio)
        began_s = trio.current_time()
        await ended(call)
        assert [problem.code for problem in call.problems] == [11205]
        assert call.answered_s is not None
        assert call.ended_s is not None
        assert call.ended_s - call.answered_s > 15
        assert trio.current_time() - began_s < 60

        async def refuse(host: str, port: int, tls: bool) -> trio.abc.Stream:
            raise ConnectionRefusedError("nobody listens")

        twilio.exchange.webhooks.open_stream = refuse
        call = place(twilio, status_url="")
        await ended(call)
        assert [problem.code for problem in call.problems] == [11205]


async def test_the_fallback_is_asked_and_told_why(autojump_clock: Clock) -> None:
    async with a_twilio(TwilioScript(answers=AT_ONCE), voice=500, spare=HANGUP) as (twilio, server):
        call = place(twilio, fallback=Source(f"{HOST}/spare"))
        await ended(call)
        (fields,) = server.of("/spare")
        assert (fields["ErrorCode"], fields["ErrorUrl"]) == ("11200", f"{HOST}/voice")
        assert call.ended_because == "the TwiML hangs up"


async def test_a_stream_that_is_refused(autojump_clock: Clock) -> None:
    voice = STREAM.replace("/stream'", "/none'").replace("test/stream", "test/none")
    async with a_twilio(TwilioScript(answers=AT_ONCE), voice=voice) as (twilio, server):
        server.refuse_streams = True
        call = place(twilio)
        await ended(call)
        assert [problem.code for problem in call.problems] == [31920]
        (told,) = server.of("/stream-status")
        assert told["StreamEvent"] == "stream-error"
        assert call.ended_because == "the TwiML is over"


def test_a_query_of_a_streams_address_is_dropped() -> None:
    (stream,) = t.parse(doc("<Connect><Stream url='wss://x.test/s?token=1'/></Connect>"))
    assert stream == t.Stream("wss://x.test/s")


def test_the_official_packages_twiml_is_understood() -> None:
    from twilio.twiml.voice_response import Connect, Dial, Gather, VoiceResponse

    response = VoiceResponse()
    gather = Gather(num_digits=1, action="/keys")
    gather.say("Press a key.", language="en-US")
    response.append(gather)
    connect = Connect(action="/after")
    connect.stream(url="wss://x.test/s", name="n").parameter(name="a", value="b")
    response.append(connect)
    dial = Dial(timeout=10)
    dial.conference("team", start_conference_on_enter=False)
    response.append(dial)
    response.play(digits="1")
    response.reject("busy")
    assert t.parse(str(response)) == (
        t.Gather((t.Say("Press a key."),), 1, action="/keys"),
        t.Stream("wss://x.test/s", "n", {"a": "b"}, action="/after"),
        t.Dial(t.Conference("team", start_on_enter=False), timeout_s=10),
        t.PlayDigits("1"),
        t.Reject("busy"),
    )
