"""The server's side of the client protocol."""

from __future__ import annotations

import math
from typing import Any, get_args

import msgpack
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vantum.core import events as ev
from vantum.wire.events import EVENTS
from vantum.wire.fields import read_fields
from vantum.wire.native import ProtocolError, Vocabulary, choose_vocabulary, decode, encode
from vantum.wire.registry import ACCEPTED, ERRORS, VOCABULARIES

SESSION = "01936b3e-7d5a-7c3e-8000-000000000001"
ID = "01936b3e-7d5a-7c3e-8000-000000000002"
NEW = "01936b3e-7d5a-7c3e-8000-000000000003"
U: Vocabulary = "unified"
V: Vocabulary = "voicechat"


def frame(event_type: object, payload: object = None, **envelope: object) -> bytes:
    """A client's message; a keyword of value `...` leaves that field out."""
    whole = {
        "eventType": event_type,
        "eventId": ID,
        "sessionId": SESSION,
        "payload": {} if payload is None else payload,
    } | envelope
    packed: bytes = msgpack.packb({k: v for k, v in whole.items() if v is not ...})
    return packed


def refused(data: bytes | str, vocabulary: Vocabulary = U) -> ProtocolError:
    with pytest.raises(ProtocolError) as caught:
        decode(data, vocabulary)
    assert "\n" not in caught.value.message
    return caught.value


def sent(message: ev.ServerMessage, vocabulary: Vocabulary = U) -> dict[str, Any] | None:
    data = encode(message, vocabulary=vocabulary, session_id=SESSION, new_id=lambda: NEW)
    return None if data is None else msgpack.unpackb(data)


# ---------------------------------------------------------------- names and payloads, in


@pytest.mark.parametrize(
    ("unified", "voicechat", "payload", "message"),
    [
        ("audio.input.end", "voicechat.audio.end", {}, ev.EndInput),
        ("audio.input.stop", None, {}, ev.EndInput),
        ("user.action.interrupt", "user.action.interrupt", {}, ev.Interrupt),
        ("user.action.end_call", "user.action.end_call", {}, ev.EndCall),
        ("connection.lifecycle.heartbeat", None, {}, ev.Heartbeat),
        ("connection.lifecycle.disconnect", None, {}, ev.Goodbye),
        ("connection.lifecycle.disconnect", None, {"reason": "bye"}, ev.Goodbye),
        ("user.action.mute", "user.action.mute", {}, lambda r: ev.Mute(r, True)),
        ("user.action.unmute", "user.action.unmute", {}, lambda r: ev.Mute(r, False)),
        (
            "audio.input.chunk",
            "voicechat.audio.chunk",
            {"audio": b"\1\2\3", "isMuted": True},
            lambda r: ev.InputChunk(r, b"\1\2\3", True),
        ),
        (
            "audio.input.chunk",
            "voicechat.audio.chunk",
            {"audio": b"", "isMuted": None, "future": 1},
            lambda r: ev.InputChunk(r, b"", False),
        ),
        (
            "audio.output.played",
            "audio.output.played",
            {"utteranceId": "u", "playedMs": 120},
            lambda r: ev.Played(r, "u", 120.0),
        ),
        (
            "audio.input.start",
            None,
            {},
            lambda r: ev.StartInput(
                r, ev.InputOptions(16_000, "en-US", None, "auto", False, ev.Prospect())
            ),
        ),
        (
            None,
            "voicechat.audio.start",
            {"voiceId": "", "language": None},
            lambda r: ev.StartInput(
                r, ev.InputOptions(16_000, "en-US", None, "manual", False, ev.Prospect())
            ),
        ),
        (
            "audio.input.start",
            "voicechat.audio.start",
            {
                "samplingRate": 48_000.0,
                "language": "de",
                "voiceId": "v",
                "turnDetection": "manual",
                "tokens": True,
                "prospect": {"name": "Ada", "timezone": "Europe/London", "age": 36},
            },
            lambda r: ev.StartInput(
                r,
                ev.InputOptions(
                    48_000,
                    "de",
                    "v",
                    "manual",
                    True,
                    ev.Prospect(name="Ada", timezone="Europe/London"),
                ),
            ),
        ),
    ],
)
def test_every_client_event(
    unified: str | None, voicechat: str | None, payload: dict[str, object], message: Any
) -> None:
    for vocabulary, name in ((U, unified), (V, voicechat)):
        if name is None:
            continue
        got = decode(frame(name, payload, extra=[1]), vocabulary)
        request = ev.Request(name, ID)
        assert got.request == request
        assert got.session_id == SESSION
        assert got.message == message(request)


def test_a_vocabulary_accepts_these_names_and_no_others() -> None:
    common = {
        *(f"user.action.{what}" for what in ("interrupt", "end_call", "mute", "unmute")),
        "audio.output.played",
    }
    assert set(ACCEPTED[V]) == common | {f"voicechat.audio.{w}" for w in ("start", "chunk", "end")}
    assert set(ACCEPTED[U]) == common | {
        *(f"audio.input.{what}" for what in ("start", "chunk", "end", "stop")),
        "connection.lifecycle.heartbeat",
        "connection.lifecycle.disconnect",
    }


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("{}", "text frame"),
        (b"", "not one whole MessagePack value"),
        (b"\xc1", "not one whole MessagePack value"),
        (b"\x80\x80", "bytes after the MessagePack value"),
        (b"\x81\xa1\xff\x01", "a str in it is not UTF-8"),
        (b"\x81\x90\x01", "a key in it is a map or an array"),
        (b"\x81\x80\x01", "a key in it is a map or an array"),
        (b"\x91" * 5000 + b"\x90", "more than 64 maps and arrays"),
        (b"\x91" * 100 + b"\x90", "more than 64 maps and arrays"),
        (b"\xdc\x20\x00" + b"\x90" * 0x2000, "more than 256 entries in a map or an array"),
        (b"\xdf\xff\xff\xff\xff", "more than 256 entries in a map or an array"),
        (b"\xc6\xff\xff\xff\xff", "not one whole MessagePack value"),
        (b"\xdb\xff\xff\xff\xff", "not one whole MessagePack value"),
        (b"\xc7\x0c\xff" + b"\xff" * 12, "not one whole MessagePack value"),
        (b"\x93\x01\x02\x03", "message is an array, not a map"),
        (b"\xc0", "message is None, not a map"),
        (b"\xa1x", "message is 'x', not a map"),
        (b"\xd6\xff\x00\x00\x00\x00", "message is an extension value, not a map"),
    ],
)
@pytest.mark.parametrize("vocabulary", VOCABULARIES)
def test_frames_that_are_no_message(data: bytes | str, words: str, vocabulary: Vocabulary) -> None:
    error = refused(data, vocabulary)
    assert error.case == "malformed"
    assert error.request == ev.Request()
    assert words in error.message


@pytest.mark.parametrize(
    ("envelope", "words", "request_"),
    [
        ({"eventType": ...}, "eventType is missing", ev.Request(None, ID)),
        ({"eventType": ""}, "eventType is ''; it must be a str of 1", ev.Request(None, ID)),
        ({"eventType": 7}, "eventType is 7", ev.Request(None, ID)),
        ({"eventType": "x" * 129}, "eventType is a str of 129 characters", ev.Request(None, ID)),
        ({"eventId": ...}, "eventId is missing", ev.Request("user.action.mute")),
        ({"eventId": None}, "eventId is missing", ev.Request("user.action.mute")),
        ({"eventId": b"abc"}, "eventId is 3 bytes of bin", ev.Request("user.action.mute")),
        ({"eventId": [1]}, "eventId is an array", ev.Request("user.action.mute")),
        ({"sessionId": ...}, "sessionId is missing", ev.Request("user.action.mute", ID)),
        ({"sessionId": {}}, "sessionId is a map", ev.Request("user.action.mute", ID)),
        (
            {"payload": ...},
            "payload is missing; it must be a map",
            ev.Request("user.action.mute", ID),
        ),
        ({"payload": True}, "payload is True", ev.Request("user.action.mute", ID)),
    ],
)
def test_envelopes_that_lack_something(
    envelope: dict[str, object], words: str, request_: ev.Request
) -> None:
    error = refused(frame("user.action.mute", **envelope))
    assert error.case == "malformed"
    assert words in error.message
    assert error.request == request_
    assert error.reply() == ev.ErrorReply(request_, "malformed", error.message)


def test_many_small_things_in_a_message_are_bounded() -> None:
    """A unit of work is refused before it is done: 1 MiB of empty arrays is a million objects."""
    extra: list[object] = [[] for _ in range(61)]
    within = frame("user.action.mute", extra=extra)
    assert isinstance(decode(within, U).message, ev.Mute)
    too_many: tuple[tuple[object, str], ...] = (
        ([*extra, []], "more than 64 maps and arrays"),
        ([0] * 257, "more than 256 entries"),
        (dict.fromkeys(map(str, range(257))), "more than 256 entries"),
    )
    for beyond, words in too_many:
        assert words in refused(frame("user.action.mute", extra=beyond)).message


def test_audio_as_numbers_is_told_what_audio_is() -> None:
    error = refused(frame("audio.input.chunk", payload={"audio": [0] * 320}))
    assert "audio is bin: bytes, not an array of numbers" in error.message


@pytest.mark.parametrize("key", [1, None, b"x", 1.5, (), msgpack.ExtType(5, b"x")])
def test_a_key_that_is_no_text_is_a_field_that_nobody_declared(key: object) -> None:
    data = frame("user.action.mute", payload={key: 1} if key != () else {"x": {2: 3}})
    assert isinstance(decode(data, U).message, ev.Mute)


def test_an_event_id_need_not_be_a_uuid_and_may_repeat() -> None:
    data = frame("user.action.mute", eventId="7")
    assert decode(data, U) == decode(data, U)
    assert decode(data, U).request.event_id == "7"


@pytest.mark.parametrize(
    ("name", "payload", "case", "words"),
    [
        ("start", {"samplingRate": 7999}, "invalid_format", "is 7999; it must be: int 8000..48000"),
        ("start", {"samplingRate": 48_001}, "invalid_format", "samplingRate is 48001"),
        ("start", {"samplingRate": 16_000.5}, "invalid_format", "samplingRate is 16000.5"),
        ("start", {"samplingRate": math.nan}, "invalid_format", "samplingRate is nan"),
        ("start", {"samplingRate": math.inf}, "invalid_format", "samplingRate is inf"),
        ("start", {"samplingRate": 2**64 - 1}, "invalid_format", "samplingRate is 1844"),
        ("start", {"samplingRate": "16000"}, "invalid_format", "samplingRate is '16000'"),
        ("start", {"samplingRate": True}, "invalid_format", "samplingRate is True"),
        ("start", {"language": 5}, "malformed", "language is 5; it must be: str of at most 500"),
        ("start", {"language": "x" * 501}, "malformed", "language is a str of 501 characters"),
        ("start", {"voiceId": {}}, "malformed", "voiceId is a map"),
        ("start", {"turnDetection": "vad"}, "malformed", '"auto" or "manual"'),
        ("start", {"tokens": 1}, "malformed", "tokens is 1; it must be: bool"),
        ("start", {"prospect": "Ada"}, "malformed", "prospect is 'Ada'; it must be: map"),
        ("start", {"prospect": {"name": 1}}, "malformed", "payload.prospect.name is 1"),
        ("chunk", {}, "malformed", "audio is missing; it must be: bin"),
        ("chunk", {"audio": "AAAA"}, "malformed", "audio is 'AAAA'"),
        ("chunk", {"audio": [0, 0]}, "malformed", "audio is an array"),
        ("chunk", {"audio": msgpack.ExtType(5, b"")}, "malformed", "is an extension value"),
        ("chunk", {"audio": b"", "isMuted": "no"}, "malformed", "isMuted is 'no'"),
    ],
)
def test_payloads_that_are_not_allowed(
    name: str, payload: dict[str, object], case: str, words: str
) -> None:
    for vocabulary, prefix in ((U, "audio.input."), (V, "voicechat.audio.")):
        error = refused(frame(prefix + name, payload), vocabulary)
        assert error.case == error.category == case
        assert words in error.message
        assert error.request == ev.Request(prefix + name, ID)


@pytest.mark.parametrize("played", [-1, math.nan, math.inf, "9", None, True])
def test_playback_that_cannot_be(played: object) -> None:
    error = refused(frame("audio.output.played", {"utteranceId": "u", "playedMs": played}))
    assert error.case == "malformed"
    assert "playedMs" in error.message
    assert "float from 0" in error.message


@pytest.mark.parametrize(
    ("vocabulary", "name", "words"),
    [
        (U, "audio.input.begin", "unknown event type 'audio.input.begin'"),
        (U, "voicechat.audio.start", "is 'audio.input.start' in this connection's vocabulary"),
        (V, "audio.input.stop", "is 'voicechat.audio.end' in this connection's vocabulary"),
        (V, "connection.lifecycle.heartbeat", "unknown event type"),
        (U, "audio.output.chunk", "'audio.output.chunk' is sent by the server only"),
        (V, "connection.ack", "is sent by the server only"),
    ],
)
def test_types_that_are_not_accepted(vocabulary: Vocabulary, name: str, words: str) -> None:
    error = refused(frame(name, {"audio": 1}), vocabulary)
    assert error.case == "unknown_event"
    assert words in error.message
    assert error.request == ev.Request(name, ID)


_scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(),
    st.text(max_size=8),
    st.binary(max_size=8),
    st.builds(msgpack.ExtType, st.integers(0, 127), st.binary(max_size=4)),
)
_values = st.recursive(
    _scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=4) | st.binary(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)
_names = sorted({n for v in VOCABULARIES for n in ACCEPTED[v]} | {"audio.output.chunk", "x", ""})
_field_names = sorted({f.name for e in EVENTS for f in e.fields})
_maps = st.fixed_dictionaries(
    {},
    optional={
        "eventType": st.sampled_from(_names) | _values,
        "eventId": st.just(ID) | _values,
        "sessionId": st.just(SESSION) | _values,
        "payload": st.dictionaries(st.sampled_from(_field_names), _values, max_size=5) | _values,
    },
)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60) | _maps.map(msgpack.packb) | st.text(max_size=5))
@example(b"\xdd\xff\xff\xff\xff")
@example(b"\xdf\xff\xff\xff\xff")
def test_nothing_but_a_protocol_error_comes_out(data: bytes | str) -> None:
    for vocabulary in VOCABULARIES:
        try:
            got = decode(data, vocabulary)
        except ProtocolError as error:
            refusal = error
        else:
            assert got.request.event_type in ACCEPTED[vocabulary]
            continue
        assert "\n" not in refusal.message
        assert len(refusal.message) < 300
        reply = sent(refusal.reply(), vocabulary)
        assert reply is not None
        assert reply["eventId"] == (refusal.request.event_id or NEW)


# ---------------------------------------------------------------- names and payloads, out

ASKED = ev.Request("audio.input.start", ID)


@pytest.mark.parametrize(
    ("message", "unified", "voicechat", "payload"),
    [
        (ev.Welcome(), "connection.lifecycle.ack", "connection.ack", {"success": True}),
        (
            ev.TranscriptOut(ASKED, "hi", False, 0.5, 7, "en-US"),
            "transcript.interim",
            "transcript.interim",
            {"transcript": "hi", "confidence": 0.5, "timestamp": 7, "language": "en-US"},
        ),
        (
            ev.TranscriptOut(ASKED, "hi", True, 0.5, 7, "en-US"),
            "transcript.final",
            "transcript.final",
            {"transcript": "hi", "confidence": 0.5, "timestamp": 7, "language": "en-US"},
        ),
        (
            ev.ResponseStarted("u", 7),
            "conversation.response.start",
            None,
            {"utteranceId": "u", "timestamp": 7},
        ),
        (
            ev.ResponseToken("u", "a"),
            "conversation.response.token",
            None,
            {"utteranceId": "u", "token": "a"},
        ),
        (
            ev.ResponseCompleted("u", "all"),
            "conversation.response.complete",
            None,
            {"text": "all", "utteranceId": "u", "isFallback": False},
        ),
        (
            ev.ResponseCompleted("u", "sorry", True, 2),
            "conversation.response.complete",
            None,
            {"text": "sorry", "utteranceId": "u", "isFallback": True, "tier": 2},
        ),
        (
            ev.OutputStarted("u", 7, 8000),
            "audio.output.start",
            "voicechat.response.start",
            {"utteranceId": "u", "timestamp": 7, "sampleRate": 8000},
        ),
        (
            ev.OutputChunk("u", b"\0\1", 8000),
            "audio.output.chunk",
            "voicechat.response.chunk",
            {"audio": b"\0\1", "utteranceId": "u", "sampleRate": 8000},
        ),
        (
            ev.OutputCompleted("u", 1200),
            "audio.output.complete",
            "voicechat.response.complete",
            {"utteranceId": "u", "durationMs": 1200},
        ),
        (
            ev.StateChanged("LISTENING", "THINKING", 7),
            "conversation.state.changed",
            None,
            {"from": "LISTENING", "to": "THINKING", "timestamp": 7},
        ),
        (
            ev.StageChanged("intro", "pitch", 7),
            "conversation.stage.changed",
            None,
            {"from": "intro", "to": "pitch", "timestamp": 7},
        ),
        (
            ev.StageChanged(None, "intro", 7),
            "conversation.stage.changed",
            None,
            {"to": "intro", "timestamp": 7},
        ),
        (
            ev.Interrupted("u", "I was", 7),
            "conversation.state.interrupted",
            None,
            {"heardText": "I was", "utteranceId": "u", "timestamp": 7},
        ),
        (
            ev.Ready({"stt": "local"}),
            "system.status.ready",
            "system.status.ready",
            {"providers": {"stt": "local"}},
        ),
        (
            ev.Busy(9, 9),
            "system.status.busy",
            "system.status.busy",
            {"activeSessions": 9, "maxSessions": 9},
        ),
        (
            ev.Maintenance("bye"),
            "system.status.maintenance",
            "system.status.maintenance",
            {"message": "bye"},
        ),
        (
            ev.RateLimitWarning("slow", 100),
            "system.notification.rate_limit_warning",
            "system.notification.rate_limit_warning",
            {"message": "slow", "limitPerSecond": 100},
        ),
        (
            ev.QuotaExceeded("llm", "none left"),
            "system.notification.quota_exceeded",
            "system.notification.quota_exceeded",
            {"service": "llm", "message": "none left"},
        ),
        (
            ev.Disconnecting("idle"),
            "connection.lifecycle.disconnect",
            None,
            {"reason": "idle"},
        ),
    ],
)  # fmt: skip
def test_every_server_event(
    message: ev.ServerMessage, unified: str, voicechat: str | None, payload: dict[str, object]
) -> None:
    for vocabulary, name in ((U, unified), (V, voicechat)):
        got = sent(message, vocabulary)
        if name is None:
            assert got is None
            continue
        assert got is not None
        request_type = got.pop("requestType", "absent")
        refuses = isinstance(message, ev.Busy | ev.RateLimitWarning)
        assert request_type == (None if refuses else "absent")
        assert got == {
            "eventType": name,
            "eventId": ID if isinstance(message, ev.TranscriptOut) else NEW,
            "sessionId": SESSION,
            "payload": payload,
        }


@pytest.mark.parametrize(
    ("interrupted", "voicechat"),
    [(True, "voicechat.response.interrupt"), (False, "voicechat.response.stop")],
)
def test_cancelling_has_two_words_in_the_older_vocabulary(
    interrupted: bool, voicechat: str
) -> None:
    message = ev.OutputCancelled("u", 7, "why", interrupted)
    unified, older = sent(message, U), sent(message, V)
    assert unified is not None
    assert older is not None
    assert unified["eventType"] == "audio.output.cancel"
    assert unified["payload"] == {"utteranceId": "u", "timestamp": 7, "reason": "why"}
    assert older["eventType"] == voicechat
    assert older["payload"] == {"utteranceId": "u", "timestamp": 7}


@pytest.mark.parametrize("vocabulary", VOCABULARIES)
@pytest.mark.parametrize("name", ["audio.input.stop", "connection.lifecycle.heartbeat"])
def test_an_ack_has_the_type_and_id_of_its_request(vocabulary: Vocabulary, name: str) -> None:
    assert sent(ev.Ack(ev.Request(name, ID)), vocabulary) == {
        "eventType": name,
        "eventId": ID,
        "sessionId": SESSION,
        "payload": {"success": True},
    }


def test_an_ack_of_nothing_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="type of its request"):
        sent(ev.Ack(ev.Request(None, ID)))


def test_half_a_surrogate_pair_does_not_stop_an_answer() -> None:
    got = sent(ev.ResponseToken("u", "a\ud83d"))
    assert got is not None
    assert got["payload"]["token"] == "a?"


UNKNOWN = "error.system.unknown"
ERROR_NAMES: dict[str, tuple[str, str]] = {
    "malformed": (UNKNOWN, "error.unknown"),
    "unknown_event": (UNKNOWN, "a.b.error"),
    "invalid_format": ("audio.error.invalid_format", "voicechat.audio.error"),
    "buffer_overflow": ("audio.error.buffer_overflow", "voicechat.audio.error"),
    "queue_full": ("audio.error.buffer_overflow", "voicechat.audio.error"),
    "wrong_session": ("connection.error.general", "a.b.error"),
    "auth_failed": ("connection.error.auth_failed", "connection.error.auth_failed"),
    "stt_unavailable": ("error.service.stt_unavailable", "a.b.error"),
    "llm_unavailable": ("error.service.llm_unavailable", "a.b.error"),
    "tts_unavailable": ("error.service.tts_unavailable", "a.b.error"),
}


@pytest.mark.parametrize("case", get_args(ev.ErrorCase))
def test_every_error_row(case: ev.ErrorCase) -> None:
    assert {row.case for row in ERRORS} == set(ERROR_NAMES)
    for vocabulary, name in zip(VOCABULARIES, ERROR_NAMES[case], strict=True):
        assert sent(ev.ErrorReply(ev.Request("a.b.c", ID), case, "why"), vocabulary) == {
            "eventType": name,
            "eventId": ID,
            "sessionId": SESSION,
            "requestType": "a.b.c",
            "payload": {"message": "why"},
        }
        without = name if name != "a.b.error" else "error.unknown"
        assert sent(ev.ErrorReply(ev.Request(), case, "why"), vocabulary) == {
            "eventType": without,
            "eventId": NEW,
            "sessionId": SESSION,
            "requestType": None,
            "payload": {"message": "why"},
        }


def test_a_type_of_one_part_is_replaced_whole() -> None:
    got = sent(ev.ErrorReply(ev.Request("ping", ID), "unknown_event", "why"), V)
    assert got is not None
    assert got["eventType"] == "error"


# ---------------------------------------------------------------- the connection


@pytest.mark.parametrize(
    ("events", "offered", "chosen"),
    [
        (None, (), U),
        ("", (), U),
        ("unified", (), U),
        ("voicechat", (), V),
        (None, ("vantum.voicechat",), V),
        (None, ("chat",), U),
        ("v2", (), U),
        ("unified", ("vantum.voicechat",), V),
    ],
)
def test_choosing_a_vocabulary(events: str | None, offered: tuple[str, ...], chosen: str) -> None:
    assert choose_vocabulary(events, offered) == chosen


def test_what_is_declared_is_what_is_sent() -> None:
    """Payloads of the server satisfy the registry's own fields (see also test_client)."""
    event = next(event for event in EVENTS if event.key == "output_chunk")
    got = sent(ev.OutputChunk("u", b"", 8000))
    assert got is not None
    assert read_fields(event.fields, got["payload"], ASKED) == got["payload"]
