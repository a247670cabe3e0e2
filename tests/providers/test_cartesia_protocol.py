"""Cartesia's messages and errors, without a connection."""

import base64
import json
from contextlib import suppress
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from vantum.config import Secret
from vantum.core.audio import AudioFormat
from vantum.errors import RETRYABLE_KINDS, ConfigError
from vantum.providers.cartesia import protocol
from vantum.providers.cartesia.protocol import (
    Chunk,
    Done,
    Failure,
    FlushDone,
    MalformedMessage,
    Target,
    Unknown,
    Voicing,
    Words,
)

VOICING = Voicing(
    model="sonic-3.5", voice_id="some-voice", language="en", audio=AudioFormat(16_000)
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
FIELDS = ("type", "context_id", "data", "flush_id", "word_timestamps", "status_code", "error_code")
TYPES = st.sampled_from(["chunk", "timestamps", "flush_done", "done", "error", "phonemes"])


@pytest.mark.parametrize(
    ("url", "expected", "host_header"),
    [
        ("wss://api.cartesia.ai", ("api.cartesia.ai", 443, True), "api.cartesia.ai"),
        ("https://api.cartesia.ai/", ("api.cartesia.ai", 443, True), "api.cartesia.ai"),
        ("ws://localhost", ("localhost", 80, False), "localhost"),
        ("http://localhost:81", ("localhost", 81, False), "localhost:81"),
        ("http://[::1]:80", ("::1", 80, False), "[::1]"),
    ],
)
def test_addresses(url: str, expected: tuple[str, int, bool], host_header: str) -> None:
    where = protocol.target(url, "2026-08-14")
    assert where == Target(*expected, "/tts/websocket?cartesia_version=2026-08-14")
    assert where.host_header == host_header


def test_an_address_may_have_a_path() -> None:
    where = protocol.target("https://proxy.test/cartesia/", "2026-08-14")
    assert where.resource == "/cartesia/tts/websocket?cartesia_version=2026-08-14"


@pytest.mark.parametrize("url", ["ftp://x", "wss://", "x", "ws://x:y", "http://[::1"])
def test_wrong_addresses(url: str) -> None:
    with pytest.raises(ConfigError, match=r"CARTESIA_BASE_URL.*allowed"):
        protocol.target(url, "2026-08-14")


def test_the_key_is_sent_as_a_bearer() -> None:
    assert protocol.auth_headers(Secret("k")) == [(b"Authorization", b"Bearer k")]


@pytest.mark.parametrize(
    ("line", "asked", "encoding"),
    [
        (AudioFormat(8_000, "mulaw"), AudioFormat(8_000, "mulaw"), "pcm_mulaw"),
        (AudioFormat(8_000), AudioFormat(8_000), "pcm_s16le"),
        (AudioFormat(11_025), AudioFormat(16_000), "pcm_s16le"),
        (AudioFormat(16_000), AudioFormat(16_000), "pcm_s16le"),
        (AudioFormat(48_000), AudioFormat(16_000), "pcm_s16le"),
    ],
)
def test_what_is_asked_for_a_line(line: AudioFormat, asked: AudioFormat, encoding: str) -> None:
    assert protocol.audio_for(line) == asked
    message = json.loads(protocol.speak("c", evolve(VOICING, audio=asked), "Hello."))
    assert message["output_format"] == {
        "container": "raw",
        "encoding": encoding,
        "sample_rate": asked.rate_hz,
    }


@pytest.mark.parametrize(
    ("language", "code"),
    [("en-US", "en"), ("en", "en"), ("pt_BR", "pt"), ("DE-de", "de"), ("", "en"), (" fr ", "fr")],
)
def test_languages(language: str, code: str) -> None:
    assert protocol.language_code(language) == code


def test_inputs_of_a_context_share_everything_but_what_may_differ() -> None:
    spoken, flushed, finished = (
        json.loads(m)
        for m in (
            protocol.speak("c", VOICING, " Hello. \n"),
            protocol.flush("c", VOICING),
            protocol.finish("c", VOICING),
        )
    )
    assert (spoken["transcript"], spoken["continue"]) == ("Hello. ", True)
    assert (flushed["transcript"], flushed["continue"], flushed["flush"]) == ("", True, True)
    assert (finished["transcript"], finished["continue"]) == ("", False)
    for message in (spoken, flushed, finished):
        for name in ("transcript", "continue", "flush"):
            message.pop(name, None)
    assert spoken == flushed == finished
    assert spoken["max_buffer_delay_ms"] == 0
    assert spoken["add_timestamps"] is True
    assert json.loads(protocol.cancel("c")) == {"context_id": "c", "cancel": True}


def test_what_can_be_pronounced() -> None:
    assert protocol.speakable("3")
    assert protocol.speakable("¡Olé!")
    assert not protocol.speakable(" — …!? ")
    assert not protocol.speakable("")


def parse(**message: Any) -> Any:
    return protocol.parse(json.dumps(message))


def test_replies() -> None:
    data = base64.b64encode(b"\1\2\3\4").decode()
    assert parse(type="chunk", context_id="c", data=data) == Chunk("c", b"\1\2\3\4")
    assert parse(type="chunk", context_id="c", data="", flush_id=2) == Chunk("c", b"", 2)
    assert parse(type="done", context_id="c", done=True) == Done("c")
    assert parse(type="flush_done", context_id="c", flush_id=3) == FlushDone("c", 3)
    stamps = {"words": ["a", "b"], "start": [0, 0.5], "end": [0.4, 1]}
    assert parse(type="timestamps", context_id="c", word_timestamps=stamps, flush_id=1) == Words(
        "c", (("a", 0.0, 0.4), ("b", 0.5, 1.0)), 1
    )
    assert parse(type="timestamps", context_id="c") == Words("c", ())
    assert parse(type="phoneme_timestamps", context_id="c") == Unknown("phoneme_timestamps")
    assert parse(
        type="error", context_id="c", status_code=429, error_code="concurrency_limited"
    ) == Failure("c", 429, "concurrency_limited")
    assert parse(type="error") == Failure(None, None, None)
    assert parse(type="error", context_id="", status_code="x", error_code=3) == Failure(
        None, None, None
    )
    assert protocol.parse(b'{"type": "done", "context_id": "c"}') == Done("c")


@pytest.mark.parametrize(
    ("message", "fault"),
    [
        ("{", "not JSON"),
        (b"\xff\xfe\xff", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "not an object"),
        ("{}", "no type"),
        ('{"type": 3}', "no type"),
        ('{"type": "done"}', "context_id"),
        ('{"type": "chunk", "context_id": "c"}', "data"),
        ('{"type": "chunk", "context_id": "c", "data": "%%%"}', "base64"),
        ('{"type": "chunk", "context_id": "c", "data": "é"}', "base64"),
        ('{"type": "chunk", "context_id": "c", "data": "", "flush_id": "1"}', "flush_id"),
        ('{"type": "flush_done", "context_id": "c"}', "flush_id"),
    ],
)
def test_malformed_replies(message: str | bytes, fault: str) -> None:
    with pytest.raises(MalformedMessage, match=fault):
        protocol.parse(message)


@pytest.mark.parametrize(
    "stamps",
    [
        "3",
        "{}",
        *(
            f'{{"words": ["a"], "start": {start}, "end": [1]}}'
            for start in ("[]", '["x"]', "[null]", "[NaN]", "[1e999]", "[-1e308]", f"[{10**400}]")
        ),
    ],
)
def test_timestamps_that_cannot_be_read_cost_no_connection(stamps: str) -> None:
    """There is no audio in them."""
    message = f'{{"type": "timestamps", "context_id": "c", "word_timestamps": {stamps}}}'
    assert protocol.parse(message) == Unknown("timestamps")


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(FIELDS), JSON), TYPES)
def test_whatever_comes_is_read_or_named(message: dict[str, Any], kind: str) -> None:
    for raw in (message, {**message, "type": kind}):
        with suppress(MalformedMessage):
            assert isinstance(protocol.parse(json.dumps(raw)), protocol.Reply)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, None, "invalid_request"),
        (401, None, "auth"),
        (403, None, "auth"),
        (402, None, "quota"),
        (404, "voice_not_found", "invalid_request"),
        (408, None, "timeout"),
        (429, "concurrency_limited", "rate_limit"),
        (429, "quota_exceeded", "quota"),
        (422, None, "invalid_request"),
        (500, None, "server"),
        (503, None, "server"),
        (504, None, "timeout"),
        (302, None, "unknown"),
        (None, None, "unknown"),
        (None, "insufficient_credits", "quota"),
    ],
)
def test_error_classes(status: int | None, code: str | None, kind: str) -> None:
    error = protocol.failed(Failure("c", status, code))
    assert (error.kind, error.status, error.provider) == (kind, status, "cartesia")
    assert error.retryable == (kind in RETRYABLE_KINDS)
    if status is not None:
        assert protocol.refused(status).kind == protocol.error_kind(status)
        assert str(status) in protocol.refused(status).message


def test_error_messages_hold_only_what_is_safe() -> None:
    assert "(500, internal_error)" in protocol.failed(Failure("c", 500, "internal_error")).message
    assert "no code" in protocol.failed(Failure(None, None, None)).message
    nasty = protocol.failed(Failure("c", 500, "<b>\n sk_car_secret")).message
    assert nasty == "synthesis failed (500)"
