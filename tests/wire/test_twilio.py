"""Twilio's messages and the codec that makes a call of them."""

from __future__ import annotations

import base64
import json
import random
from contextlib import suppress
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from vantum.core import events as e
from vantum.core.audio import mulaw_encode
from vantum.wire.fields import ProtocolError
from vantum.wire.phone import FrameOrder, PhoneCodec
from vantum.wire.twilio import (
    Connected,
    Dtmf,
    Mark,
    Media,
    Start,
    Stop,
    _media,
    _plain_media,
    clear_message,
    mark_message,
    media_message,
    parse_message,
)

SID = "MZ1"
START = Start(SID, "AC1", "CA1", {"token": "t"})
FORMAT = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}


def start_message(**changes: Any) -> dict[str, Any]:
    about = {
        "streamSid": SID,
        "accountSid": "AC1",
        "callSid": "CA1",
        "tracks": ["inbound"],
        "mediaFormat": FORMAT,
        "customParameters": {"token": "t"},
    }
    return {
        "event": "start",
        "sequenceNumber": "1",
        "streamSid": SID,
        "start": about | changes,
    }


def media(chunk: object = "1", audio: bytes = b"\x00" * 160, **changes: Any) -> dict[str, Any]:
    about = {
        "track": "inbound",
        "chunk": chunk,
        "timestamp": "5",
        "payload": base64.b64encode(audio).decode(),
    }
    return {"event": "media", "sequenceNumber": "4", "streamSid": SID, "media": about | changes}


def dtmf(digit: object = "1", sequence: object = "5") -> dict[str, Any]:
    about = {"track": "inbound_track", "digit": digit}
    return {"event": "dtmf", "streamSid": SID, "sequenceNumber": sequence, "dtmf": about}


def mark(name: str, sid: str = SID) -> str:
    return json.dumps(
        {"event": "mark", "sequenceNumber": "4", "streamSid": sid, "mark": {"name": name}}
    )


def parsed(body: object) -> object:
    return parse_message(json.dumps(body))


# ---------------------------------------------------------------- messages


def test_every_message_of_twilio_is_understood() -> None:
    assert parsed({"event": "connected", "protocol": "Call", "version": "1.0.0"}) == Connected()
    assert parsed(start_message()) == START
    assert parsed(media("7", b"ab")) == Media(SID, 7, 5, b"ab")
    assert parsed(media(7, b"ab", timestamp=40)) == Media(SID, 7, 40, b"ab")
    assert parsed(media(track="outbound")) is None
    assert parsed(dtmf("#")) == Dtmf(SID, 5, "#")
    assert parse_message(mark("a:1")) == Mark(SID, "a:1")
    assert parsed({"event": "stop", "streamSid": SID, "stop": {}}) == Stop(SID)


@pytest.mark.parametrize("parameters", [None, {}])
def test_a_start_may_have_no_parameters(parameters: object) -> None:
    start = parsed(start_message(customParameters=parameters))
    assert isinstance(start, Start)
    assert start.parameters == {}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ([], "a message must be a JSON object"),
        ({}, "event is missing"),
        ({"event": 5}, "event is missing"),
        ({"event": "hello"}, "unknown event; there are connected, start, media"),
        ({"event": "media"}, "media is missing or no object"),
        (media(payload=None), "media.payload is missing or no text"),
        (media(payload=""), "media.payload is missing or no text"),
        (media(payload="=="), "media.payload is not base64"),
        (media(payload="ab cd"), "media.payload is not base64"),
        (media(payload="ähm="), "media.payload is not base64"),
        (media(payload="A" * 16_001), "more than a second"),
        (media(None), "chunk must be a whole number"),
        (media("-1"), "chunk must be a whole number"),
        (media(-1), "chunk must be a whole number"),
        (media(True), "chunk must be a whole number"),
        (media("9" * 16), "chunk must be a whole number"),
        (media(10**15), "chunk must be a whole number"),
        (media(timestamp=1.5), "timestamp must be a whole number"),
        (media() | {"streamSid": ""}, "streamSid must be a text"),
        (media() | {"streamSid": "x" * 1001}, "streamSid must be a text"),
        (start_message(mediaFormat=None), "mediaFormat is missing"),
        (start_message(mediaFormat=FORMAT | {"sampleRate": 16000}), "must be audio/x-mulaw, 8000"),
        (start_message(customParameters=[1]), "customParameters must be an object of texts"),
        (start_message(customParameters={"a": 1}), "customParameters must be"),
        (start_message(customParameters={"a": "x" * 1001}), "customParameters must be"),
        (start_message(customParameters={str(n): "" for n in range(101)}), "customParameters must"),
        (start_message(callSid=None), "callSid must be a text"),
        (start_message() | {"streamSid": "MZ2"}, "streamSid and start.streamSid differ"),
        (dtmf("12"), "dtmf.digit must be one of"),
        (dtmf("x"), "dtmf.digit must be one of"),
        (dtmf("1", None), "sequenceNumber must be a whole number"),
        ({"event": "mark", "streamSid": SID}, "mark is missing"),
        ({"event": "stop"}, "streamSid must be a text"),
    ],
)
def test_what_is_malformed_is_refused_with_its_reason(body: object, says: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        parsed(body)
    assert says in caught.value.message


@pytest.mark.parametrize("data", [b"{}", "", "{", "[" * 100_000, '{"event": "\ud800'])
def test_what_is_no_json_is_refused(data: bytes | str) -> None:
    with pytest.raises(ProtocolError):
        parse_message(data)


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


NUMBERS = st.sampled_from(["0", "7", "007", "9" * 15, "9" * 16, "", "-1", "1e3", "٣", 7])
PAYLOADS = (
    *("", "AAAA", "////", "AAA=", "AA==", "A===", "AAAA=", "=AAA", "AA=A", "AAAAA", "A B=", "Ä==="),
    *("A" * 16_000, "A" * 16_004),
)
PLAIN = st.fixed_dictionaries(
    {
        "event": st.sampled_from(["media", "medi\\u0061"]),
        "sequenceNumber": NUMBERS,
        "media": st.fixed_dictionaries(
            {
                "track": st.sampled_from(["inbound", "outbound"]),
                "chunk": NUMBERS,
                "timestamp": NUMBERS,
                "payload": st.sampled_from(PAYLOADS),
            }
        ),
    },
    optional={"streamSid": st.sampled_from(["MZ1", "", "M Z", "x" * 100, "x" * 101, "M\n"])},
)


@given(PLAIN, st.permutations(["event", "sequenceNumber", "media", "streamSid"]), st.booleans())
def test_what_is_read_by_its_form_is_what_it_is_as_json(
    body: dict[str, Any], order: list[str], tight: bool
) -> None:
    body = {name: body[name] for name in order if name in body}
    text = json.dumps(body, separators=(",", ":") if tight else None)
    read = _plain_media(text)
    if read is not None:
        assert read == _media(json.loads(text))


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
@pytest.mark.parametrize("last", [True, False])
def test_media_as_twilio_writes_it_has_the_plain_form(
    separators: tuple[str, str], last: bool
) -> None:
    body = media("7", b"audio")
    if last:
        body["streamSid"] = body.pop("streamSid")
    assert _plain_media(json.dumps(body, separators=separators)) == Media(SID, 7, 5, b"audio")
    # Twice is one time too many, and JSON's own rule (the last one counts) is not to be guessed.
    doubled = json.dumps(body)[:-1] + f', "streamSid": "{SID}"' + "}"
    assert _plain_media(doubled) is None
    # Nor is what only looks like base64.
    assert _plain_media(json.dumps(media("7", b"") | {"streamSid": SID})) is None
    assert _plain_media(json.dumps(media("7", payload="A==="), separators=separators)) is None


@settings(max_examples=60)
@given(st.sampled_from([start_message(), media(), dtmf(), json.loads(mark("m"))]), st.data())
def test_whatever_a_field_holds_it_is_taken_or_refused(
    body: dict[str, Any], data: st.DataObject
) -> None:
    body = json.loads(json.dumps(body))
    inner = body[body["event"]]
    part = data.draw(st.sampled_from([body, inner]))
    part[data.draw(st.sampled_from(sorted(part)))] = data.draw(_ANY)
    with suppress(ProtocolError):
        message = parsed(body)
        assert message is None or type(message).__name__.lower() == body["event"]


@settings(max_examples=40)
@given(st.binary(min_size=1, max_size=400), st.text(min_size=1, max_size=50))
def test_what_twilio_is_told_is_what_it_expects(audio: bytes, sid: str) -> None:
    body = json.loads(media_message(sid, audio))
    assert body == {
        "event": "media",
        "streamSid": sid,
        "media": {"payload": base64.b64encode(audio).decode()},
    }
    assert json.loads(mark_message(sid, "n")) == {
        "event": "mark",
        "streamSid": sid,
        "mark": {"name": "n"},
    }
    assert json.loads(clear_message(sid)) == {"event": "clear", "streamSid": sid}


# ---------------------------------------------------------------- order


def test_frames_in_order_pass_as_they_are() -> None:
    order = FrameOrder()
    assert [order.feed(n, bytes([n]) * 3) for n in (1, 2, 3)] == [b"\1" * 3, b"\2" * 3, b"\3" * 3]


def test_a_late_frame_is_waited_for() -> None:
    order = FrameOrder()
    assert order.feed(2, b"b") == b""
    assert order.feed(2, b"x") == b""
    assert order.feed(3, b"c") == b""
    assert order.feed(1, b"a") == b"abc"
    assert order.feed(1, b"a") == b""
    assert order.lost == 0


def test_a_lost_frame_becomes_silence_and_is_too_late_then() -> None:
    order = FrameOrder()
    assert order.feed(1, b"a") == b"a"
    assert [order.feed(n, b"x") for n in range(3, 8)] == [b""] * 5
    assert order.feed(8, b"x") == b"\xff" + b"x" * 6
    assert order.feed(2, b"b") == b""
    assert order.lost == 1


def test_a_long_gap_is_at_most_a_second() -> None:
    order = FrameOrder()
    out = b"".join(order.feed(10**14 + n, b"x" * 160) for n in range(6))
    assert out == b"\xff" * 8000 + b"x" * 960


@settings(max_examples=60)
@given(st.integers(1, 60), st.integers(0, 2**32), st.floats(0, 0.3), st.floats(0, 0.5))
def test_what_comes_out_is_in_order_and_as_long_as_what_went_in(
    count: int, seed: int, loss: float, doubles: float
) -> None:
    rng = random.Random(seed)
    sent = [n for n in range(1, count + 1) if rng.random() >= loss]
    arriving = [n for n in sent for _ in range(1 + (rng.random() < doubles))]
    arriving.sort(key=lambda n: n + 3 * rng.random())  # never more than the window late
    order = FrameOrder()
    out = b"".join(order.feed(n, bytes([n])) for n in arriving)
    out += b"".join(order.feed(count + n, b"\x00") for n in range(1, 8))  # and so it goes on
    whole = bytes(n if n in sent else 255 for n in range(1, count + 1))
    assert out[:count] == whole
    assert set(out[count:]) <= {0}


# ---------------------------------------------------------------- codec


def a_codec(*, begun: bool = True) -> PhoneCodec:
    codec = PhoneCodec(START, e.InputOptions(8000))
    if begun:
        heard = codec.decode(json.dumps(start_message()))
        assert heard == e.StartInput(e.Request("start"), e.InputOptions(8000))
    return codec


def test_the_log_says_what_it_is() -> None:
    assert a_codec().name == "twilio"


def test_media_becomes_audio() -> None:
    codec = a_codec()
    audio = bytes(range(160))
    assert codec.decode(json.dumps(media("1", audio))) == e.InputChunk(e.Request("media"), audio)
    assert codec.decode(json.dumps(media("3", audio))) == ()
    assert codec.decode(json.dumps(media(track="outbound"))) == ()


def test_keys_come_once_each() -> None:
    codec = a_codec()
    assert codec.decode(json.dumps(dtmf("1", "5"))) == e.InputDigits(e.Request("dtmf"), "1")
    assert codec.decode(json.dumps(dtmf("1", "5"))) == ()
    assert codec.decode(json.dumps(dtmf("1", "6"))) == e.InputDigits(e.Request("dtmf"), "1")


def test_stop_is_a_goodbye_and_connected_nothing() -> None:
    codec = a_codec()
    stop = {"event": "stop", "streamSid": SID, "stop": {}}
    assert codec.decode(json.dumps(stop)) == e.Goodbye(e.Request("stop"))
    assert codec.decode('{"event": "connected"}') == ()


@pytest.mark.parametrize(
    "body", [media(), dtmf(), json.loads(mark("m")), {"event": "stop", "streamSid": SID}]
)
def test_nothing_counts_before_the_start_or_of_another_stream(body: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError, match="has not started"):
        a_codec(begun=False).decode(json.dumps(body))
    with pytest.raises(ProtocolError, match="not that of this connection"):
        a_codec().decode(json.dumps(body | {"streamSid": "MZ2"}))


def test_a_stream_starts_once_and_as_it_was_believed() -> None:
    with pytest.raises(ProtocolError, match="starts once"):
        a_codec().decode(json.dumps(start_message()))
    with pytest.raises(ProtocolError, match="starts once"):
        a_codec(begun=False).decode(json.dumps(start_message(callSid="CA2")))


def chunk(utterance_id: str = "u", length_ms: int = 100) -> e.OutputChunk:
    return e.OutputChunk(utterance_id, b"\x10\x00" * (8 * length_ms), 8000)


def owes(codec: PhoneCodec) -> bool:
    return codec.unheard


def names(frames: tuple[str, ...] | None) -> list[str]:
    assert frames is not None
    bodies = [json.loads(frame) for frame in frames]
    return [body["mark"]["name"] for body in bodies if body["event"] == "mark"]


def test_speech_leaves_in_frames_with_a_mark_behind() -> None:
    frames = a_codec().encode(chunk(length_ms=50))
    assert frames is not None
    bodies = [json.loads(frame) for frame in frames]
    assert [body["event"] for body in bodies] == ["media", "media", "media", "mark"]
    audio = [base64.b64decode(body["media"]["payload"]) for body in bodies[:-1]]
    assert [len(x) for x in audio] == [160, 160, 80]
    assert b"".join(audio) == mulaw_encode(chunk(length_ms=50).audio)


def test_marks_tell_how_far_playback_has_come() -> None:
    codec = a_codec()
    (first,) = names(codec.encode(chunk()))
    (second,) = names(codec.encode(chunk()))
    (other,) = names(codec.encode(chunk("v", 40)))
    request = e.Request("mark")
    assert codec.decode(mark(first)) == e.Played(request, "u", 100.0)
    assert codec.decode(mark(first)) == ()  # a double
    assert codec.decode(mark("never:ours")) == ()
    assert codec.decode(mark(other)) == e.Played(request, "v", 40.0)
    assert codec.decode(mark(second)) == ()  # played before, and known to be


def test_marks_that_a_clear_brings_back_are_no_reports() -> None:
    codec = a_codec()
    assert not owes(codec)
    (first,), (second,) = names(codec.encode(chunk())), names(codec.encode(chunk()))
    assert owes(codec)
    assert codec.decode(mark(first)) == e.Played(e.Request("mark"), "u", 100.0)
    assert codec.encode(e.OutputCancelled("u", 0, "user_interrupt", True)) == (clear_message(SID),)
    assert not owes(codec)
    assert codec.decode(mark(second)) == ()
    (third,) = names(codec.encode(chunk("v")))
    assert codec.decode(mark(third)) == e.Played(e.Request("mark"), "v", 100.0)


@pytest.mark.parametrize(
    "message",
    [
        e.Welcome(),
        e.Ack(e.Request("start")),
        e.OutputStarted("u", 0, 8000),
        e.OutputCompleted("u", 5),
        e.StateChanged("LISTENING", "THINKING", 0),
        e.ErrorReply(e.Request(), "malformed", "no"),
        e.Disconnecting("bye"),
    ],
)
def test_a_phone_shows_nothing_else(message: e.ServerMessage) -> None:
    assert a_codec().encode(message) is None


@settings(max_examples=40)
@given(
    st.lists(st.sampled_from(["speak", "clear", "next", "back", "back"]), max_size=40),
    st.integers(0, 2**32),
)
def test_reports_only_grow_and_never_pass_what_was_sent(steps: list[str], seed: int) -> None:
    """A Twilio that plays in order, clears, and returns marks as it should."""
    codec, rng = a_codec(), random.Random(seed)
    utterance, sent_ms, reported_ms = 0, 0, 0.0
    under_way: list[tuple[str, bool]] = []  # (name, cleared)
    for step in steps:
        match step:
            case "speak":
                length_ms = rng.randint(1, 120)
                (name,) = names(codec.encode(chunk(str(utterance), length_ms)))
                sent_ms += length_ms
                under_way.append((name, False))
            case "clear":
                codec.encode(e.OutputCancelled(str(utterance), 0, "x", True))
                under_way = [(name, True) for name, _ in under_way]
                utterance, sent_ms, reported_ms = utterance + 1, 0, 0.0
            case "next":
                utterance, sent_ms, reported_ms = utterance + 1, 0, 0.0
            case _ if under_way:
                name, cleared = under_way.pop(0)
                heard = codec.decode(mark(name))
                if cleared:
                    assert heard == ()
                    continue
                assert isinstance(heard, e.Played)
                if heard.utterance_id == str(utterance):
                    assert reported_ms < heard.played_ms <= sent_ms
                    reported_ms = heard.played_ms
