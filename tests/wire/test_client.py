"""The client's side of the client protocol, and both sides together."""

from __future__ import annotations

from typing import get_args

import attrs
import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wire.messages import CLIENT, SERVER
from vantum.core import events as ev
from vantum.wire.client import decode_server, encode_client
from vantum.wire.events import EVENTS
from vantum.wire.native import ProtocolError, Vocabulary, decode, encode, pack
from vantum.wire.registry import BY_KEY, VOCABULARIES

vocabularies = st.sampled_from(VOCABULARIES)


def test_every_message_has_a_strategy() -> None:
    assert set(CLIENT) == set(get_args(ev.ClientMessage))
    assert set(SERVER) == set(get_args(ev.ServerMessage))


@settings(max_examples=20, deadline=None)
@pytest.mark.parametrize("kind", CLIENT, ids=lambda kind: kind.__name__)
@given(data=st.data(), vocabulary=vocabularies, session_id=st.text(max_size=40))
def test_the_server_reads_what_a_client_writes(
    kind: type, data: st.DataObject, vocabulary: Vocabulary, session_id: str
) -> None:
    message = data.draw(CLIENT[kind])
    if kind in (ev.Heartbeat, ev.Goodbye) and vocabulary == "voicechat":
        with pytest.raises(ValueError, match="voicechat has no"):
            encode_client(message, vocabulary=vocabulary, session_id=session_id)
        return
    frame = encode_client(message, vocabulary=vocabulary, session_id=session_id)
    got = decode(frame, vocabulary)
    assert got.session_id == session_id
    assert got.request.event_id == message.request.event_id
    assert got.message == attrs.evolve(message, request=got.request)


def test_a_client_message_needs_an_id() -> None:
    with pytest.raises(ValueError, match="event id"):
        encode_client(ev.EndInput(ev.Request()), vocabulary="unified", session_id="s")


@settings(max_examples=20, deadline=None)
@pytest.mark.parametrize("kind", SERVER, ids=lambda kind: kind.__name__)
@given(data=st.data(), vocabulary=vocabularies, session_id=st.text(max_size=40))
def test_a_client_reads_what_the_server_writes(
    kind: type, data: st.DataObject, vocabulary: Vocabulary, session_id: str
) -> None:
    message = data.draw(SERVER[kind])
    frame = encode(message, vocabulary=vocabulary, session_id=session_id, new_id=lambda: "new")
    if frame is None:
        assert vocabulary == "voicechat"
        return
    got = decode_server(frame, vocabulary)
    assert got.session_id == session_id
    assert got.payload == msgpack.unpackb(frame)["payload"]
    match message, got.message:
        case ev.Ack(request), ev.Ack(answered):
            assert answered == ev.Request(request.event_type, request.event_id or "new")
            assert got.event_type == request.event_type
        case ev.Ack(request), None:
            # The other vocabulary's name: no server sends that here.
            assert (request.event_type or "").startswith("voicechat") == (vocabulary == "unified")
        case ev.ErrorReply(request, _, text), ev.ErrorReply(answered, _, told):
            assert answered == ev.Request(request.event_type, request.event_id or "new")
            assert told == text
            assert got.request_type == request.event_type
        case ev.TranscriptOut(request), ev.TranscriptOut(answered):
            assert answered.event_id == (request.event_id or "new")
            assert got.message == attrs.evolve(message, request=answered)
        case ev.OutputCancelled(), ev.OutputCancelled() if vocabulary == "voicechat":
            assert got.message == attrs.evolve(message, reason="")
        case _:
            assert got.message == message
            assert got.event_id == "new"


def answer(event_type: str, payload: dict[str, object], **more: object) -> bytes:
    frame: dict[str, object] = {
        "eventType": event_type, "eventId": "e", "sessionId": "s", "payload": payload
    }  # fmt: skip
    packed: bytes = msgpack.packb(frame | more)
    return packed


def test_a_heartbeat_of_the_server_and_the_answer_to_ours() -> None:
    name = "connection.lifecycle.heartbeat"
    assert decode_server(answer(name, {}), "unified").message is None
    acked = decode_server(answer(name, {"success": True}), "unified").message
    assert acked == ev.Ack(ev.Request(name, "e"))


def test_an_event_of_a_later_version_is_passed_on() -> None:
    got = decode_server(answer("audio.output.marked", {"at": 1}, requestType=5), "unified")
    assert (got.message, got.payload, got.request_type) == (None, {"at": 1}, None)
    refused = decode_server(answer("audio.input.start", {"success": False}), "unified")
    assert refused.message is None


@pytest.mark.parametrize("name", ["a.b.error", "error", "voicechat.audio.error"])
def test_errors_of_the_older_vocabulary(name: str) -> None:
    got = decode_server(answer(name, {"message": "m"}, requestType="a.b.c"), "voicechat").message
    assert isinstance(got, ev.ErrorReply)
    assert got.request == ev.Request("a.b.c", "e")


def test_a_server_that_sends_nonsense() -> None:
    with pytest.raises(ProtocolError, match=r"payload\.message is 5"):
        decode_server(answer("error.system.unknown", {"message": 5}), "unified")
    with pytest.raises(ProtocolError, match=r"payload\.sampleRate is missing"):
        decode_server(answer("audio.output.start", {"utteranceId": "u", "timestamp": 1}), "unified")
    with pytest.raises(ProtocolError, match="text frame"):
        decode_server("hi", "unified")


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60), vocabularies)
def test_a_client_survives_any_bytes(data: bytes, vocabulary: Vocabulary) -> None:
    with pytest.raises(ProtocolError):
        decode_server(data, vocabulary)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("utteranceId", "u" * 501),
        ("utteranceId", 7),
        ("audio", "text"),
        ("audio", None),
        ("sampleRate", True),
        ("sampleRate", 16_000.5),
    ],
)
@pytest.mark.parametrize("vocabulary", VOCABULARIES)
def test_audio_is_checked_as_the_rest_is(vocabulary: Vocabulary, field: str, value: object) -> None:
    payload = {"utteranceId": "u", "audio": b"\0\0", "sampleRate": 16_000}
    name = BY_KEY["output_chunk"].name(vocabulary) or ""
    read = decode_server(pack(name, "1", "s", payload), vocabulary).message
    assert read == ev.OutputChunk("u", b"\0\0", 16_000)
    whole = decode_server(pack(name, "1", "s", payload | {"sampleRate": 16_000.0}), vocabulary)
    assert whole.message == read
    with pytest.raises(ProtocolError, match=f"payload.{field} is"):
        decode_server(pack(name, "1", "s", payload | {field: value}), vocabulary)


def test_every_row_of_the_registry_is_spoken() -> None:
    """No row without code behind it, in either direction."""
    spoken = set()
    for event in EVENTS:
        if event.direction != "s2c" and event.unified is not None:
            payload: dict[str, object] = {"audio": b"", "utteranceId": "u", "playedMs": 0}
            frame = pack(event.unified, "e", "s", payload)
            assert decode(frame, "unified").message is not None
            spoken.add(event.key)
    assert set(BY_KEY) - spoken == {event.key for event in EVENTS if event.direction == "s2c"}
    assert len(BY_KEY) == len(EVENTS)
