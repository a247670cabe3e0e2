"""Deepgram's live protocol: addresses, messages, failures."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vantum.config import DeepgramSettings, Secret
from vantum.core.audio import AudioFormat
from vantum.core.backoff import MID_CALL_RECONNECT, RATE_LIMITED, UNAVAILABLE
from vantum.providers.deepgram.protocol import (
    Ignored,
    Metadata,
    PeerError,
    Results,
    ResultWord,
    UtteranceEnd,
    VoiceStarted,
    address,
    close_error,
    headers,
    parse,
    schedule_after,
    status_error,
)


@pytest.mark.parametrize(
    ("base_url", "host", "port", "secure", "host_header", "path"),
    [
        ("wss://api.deepgram.com", "api.deepgram.com", 443, True, "api.deepgram.com", ""),
        ("https://api.deepgram.com/", "api.deepgram.com", 443, True, "api.deepgram.com", ""),
        ("ws://127.0.0.1:8080", "127.0.0.1", 8080, False, "127.0.0.1:8080", ""),
        ("http://dg.test", "dg.test", 80, False, "dg.test", ""),
        ("http://[::1]:99/proxy", "::1", 99, False, "[::1]:99", "/proxy"),
        ("wss://dg.test/v1/listen", "dg.test", 443, True, "dg.test", ""),
    ],
)
def test_where_to_connect(
    base_url: str, host: str, port: int, secure: bool, host_header: str, path: str
) -> None:
    where = address(DeepgramSettings(base_url=base_url), "en-GB", AudioFormat(16_000))
    assert (where.host, where.port, where.secure) == (host, port, secure)
    assert where.host_header == host_header
    assert where.resource.startswith(f"{path}/v1/listen?model=nova-2&language=en-GB&")
    assert "endpointing=300" in where.resource


@pytest.mark.parametrize("base_url", ["ftp://dg.test", "dg.test", "wss://"])
def test_no_address(base_url: str) -> None:
    with pytest.raises(ValueError, match="DEEPGRAM_BASE_URL must be"):
        address(DeepgramSettings(base_url=base_url), "en", AudioFormat(16_000))


def test_the_key_is_a_token() -> None:
    assert headers(DeepgramSettings(api_key=Secret("abc"))) == [(b"Authorization", b"Token abc")]


RESULTS: dict[str, Any] = {
    "type": "Results",
    "channel_index": [0, 1],
    "start": 1,
    "duration": 2.5,
    "is_final": True,
    "speech_final": True,
    "from_finalize": False,
    "channel": {
        "alternatives": [
            {
                "transcript": " Hello, you. ",
                "confidence": 0.9,
                "words": [
                    {"word": "hello", "punctuated_word": "Hello,", "start": 1.2, "end": 1.5},
                    {"word": "you", "start": 1.6, "end": 1.9, "confidence": 0.8},
                ],
            }
        ]
    },
    "metadata": {"request_id": "x"},
    "unheard": {"of": 1},
}


def test_results() -> None:
    assert parse(json.dumps(RESULTS)) == Results(
        start_s=1.0,
        duration_s=2.5,
        text="Hello, you.",
        confidence=0.9,
        words=(ResultWord("Hello,", 1.2, 1.5, 1.0), ResultWord("you", 1.6, 1.9, 0.8)),
        is_final=True,
        speech_final=True,
        from_finalize=False,
    )


def test_results_of_nothing() -> None:
    message = parse('{"type":"Results","start":0,"duration":1,"channel":{"alternatives":[]}}')
    assert message == Results(0.0, 1.0, "", 0.0, (), False, False, False)


@pytest.mark.parametrize(
    "words",
    ["null", "3", '[{"word":"two","start":0}]', '[{"word":"two","start":null,"end":0.5}]', "[3]"],
)
def test_words_without_times_leave_the_transcript(words: str) -> None:
    message = parse(
        '{"type":"Results","start":0,"duration":1,"is_final":true,"channel":{"alternatives":'
        f'[{{"transcript":"one two","confidence":null,"words":{words}}}]}}}}'
    )
    assert message == Results(0.0, 1.0, "one two", 0.0, (), True, False, False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"type":"SpeechStarted","channel":[0],"timestamp":9.54}', VoiceStarted(9.54)),
        ('{"type":"UtteranceEnd","channel":[0,1],"last_word_end":2.395}', UtteranceEnd(2.395)),
        ('{"type":"UtteranceEnd","channel":[0,1],"last_word_end":-1}', UtteranceEnd(-1.0)),
        ('{"type":"Metadata","request_id":"r","duration":3.5}', Metadata("r", 3.5)),
        ('{"type":"Error","variant":"SchemaError","description":"d"}', PeerError("SchemaError")),
        ('{"type":"Novelty"}', Ignored("unknown type")),
        ("{}", Ignored("unknown type")),
        ("[]", Ignored("message is not an object")),
        ("{", Ignored("not JSON")),
        (b"\xff\xfe\x00", Ignored("not JSON")),
        ('{"type":"UtteranceEnd"}', Ignored("last_word_end is not a number")),
        ('{"type":"UtteranceEnd","last_word_end":true}', Ignored("last_word_end is not a number")),
        *(
            (f'{{"type":"SpeechStarted","timestamp":{at}}}', Ignored("timestamp is not a number"))
            for at in ("NaN", "1e400", "1e308", "-1e308", 10**400)
        ),
        ('{"type":"Error","variant":3}', Ignored("variant is not a string")),
        ('{"type":"Results","channel":{}}', Ignored("alternatives is not a list")),
    ],
)
def test_messages(text: str | bytes, message: object) -> None:
    assert parse(text) == message


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(
    kind=st.sampled_from(["Results", "SpeechStarted", "UtteranceEnd", "Metadata", "Error"]),
    changes=st.dictionaries(
        st.sampled_from([*RESULTS, "timestamp", "last_word_end", "variant", "duration"]),
        json_values,
        max_size=4,
    ),
)
def test_no_message_raises(kind: str, changes: dict[str, Any]) -> None:
    assert parse(json.dumps({**RESULTS, **changes, "type": kind})) is not None


@given(st.binary(max_size=40) | st.text(max_size=40))
def test_no_bytes_raise(message: str | bytes) -> None:
    assert isinstance(parse(message), Ignored)


@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [
        (400, "invalid_request", False),
        (401, "auth", False),
        (402, "quota", False),
        (403, "auth", False),
        (404, "server", True),
        (408, "timeout", True),
        (418, "unknown", True),
        (429, "rate_limit", True),
        (500, "server", True),
        (503, "server", True),
        (504, "timeout", True),
    ],
)
def test_statuses(status: int, kind: str, retryable: bool) -> None:
    error = status_error(status)
    assert (error.kind, error.retryable, error.status) == (kind, retryable, status)
    assert f"HTTP {status}" in error.message


@pytest.mark.parametrize(
    ("code", "reason", "kind", "retryable"),
    [
        (1008, "DATA-0000", "invalid_request", False),
        (1008, None, "unknown", True),
        (1011, "NET-0001", "timeout", True),
        (1011, "did not receive audio data. See https://dpgr.am/net0001", "timeout", True),
        (1011, "NET-0000", "server", True),
        (1011, "NET-0002", "timeout", True),
        (1011, "", "server", True),
        (1006, None, "network", True),
        (1000, None, "server", True),
        (1012, "restart", "server", True),
    ],
)
def test_close_codes(code: int, reason: str | None, kind: str, retryable: bool) -> None:
    error = close_error(code, reason)
    assert (error.kind, error.retryable, error.status) == (kind, retryable, code)
    assert f"close code {code}" in error.message


def test_rate_limits_and_outages_have_schedules_of_their_own() -> None:
    usual = MID_CALL_RECONNECT
    assert schedule_after(status_error(429), usual) == RATE_LIMITED
    assert schedule_after(status_error(503), usual) == UNAVAILABLE
    assert schedule_after(status_error(500), usual) == usual
    assert schedule_after(close_error(1006, None), usual) == usual
