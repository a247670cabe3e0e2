"""What is said to OpenAI and what it says, without a connection."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vantum.config import LlmSettings
from vantum.core.messages import ChatMessage, ChatRequest
from vantum.core.spent import ModelUsage
from vantum.errors import ErrorKind, ProviderError
from vantum.providers.contacts import Contacts
from vantum.providers.openai_tools import CallDelta
from vantum.providers.openai_wire import (
    Delta,
    EventStreamReader,
    chat_body,
    first_terms,
    http_url,
    read_chunk,
    status_error,
    stream_error,
)
from vantum.testing.openai_wire import Answer, split_tokens

BODY = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    at = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[a:b] for a, b in pairwise(at)]


# ---------------------------------------------------------------- events


@given(
    text=st.text(max_size=40),
    seed=st.none() | st.integers(0, 99),
    cuts=st.lists(st.integers(0, 10_000), max_size=12),
)
@settings(max_examples=100)
def test_an_answer_reads_the_same_however_its_bytes_are_cut(
    text: str, seed: int | None, cuts: list[int]
) -> None:
    answer = Answer(0, BODY, split_tokens(text, seed))
    stream = answer.opening() + b"".join(answer.pieces()) + answer.closing()
    reader = EventStreamReader()
    events = [event for piece in split(stream, cuts) for event in reader.feed(piece)]
    assert events.pop() == b"[DONE]"
    deltas = [read_chunk(event) for event in events]
    assert "".join(delta.text for delta in deltas) == text
    assert [delta.finish_reason for delta in deltas if delta.finish_reason] == ["stop"]


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: a\n\n", [b"a"]),
        (b"data:a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"]),
        (b"data: a\ndata: b\n\n", [b"a\nb"]),
        (b"data:  a \n\n", [b" a "]),
        (b": ping\n\nevent: x\nid: 7\ndata: a\nretry: 1\n\n", [b"a"]),
        (b"data\n\n", [b""]),
        (b"\n\n\n", []),
        (b"data: not ended\n", []),
        (b"data: a\r\rdata: b\r\r", [b"a", b"b"]),
        (b"data: a\r\ndata: b\r\n\r\n", [b"a\nb"]),
        (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
        (b"\xef\xbb\xbf\r\n\xef\xbb\xbfdata: a\r\n\r\n", []),
    ],
)
def test_event_stream_framing(stream: bytes, events: list[bytes]) -> None:
    assert EventStreamReader().feed(stream) == events
    reader = EventStreamReader()
    pieces = [bytes([byte]) for byte in stream]
    assert [event for piece in pieces for event in reader.feed(piece)] == events


@pytest.mark.parametrize("rest", [b"data: a", b"data: a\n", b"data: a\r\n", b"id: 7\ndata: a"])
def test_the_last_event_need_not_be_ended(rest: bytes) -> None:
    reader = EventStreamReader()
    assert reader.feed(b"data: before\n\n" + rest) == [b"before"]
    assert reader.end() == [b"a"]
    assert reader.end() == []


def test_a_line_without_end_is_given_up() -> None:
    reader = EventStreamReader()
    assert reader.feed(b"x" * 1_048_576) == []
    with pytest.raises(ValueError, match="longer than 1 MiB"):
        reader.feed(b"x")


def chunk(**choice: Any) -> bytes:
    return json.dumps({"choices": [{"index": 0, **choice}]}).encode()


def usage_chunk(sent: int, written: object, details: object = None) -> bytes:
    usage: dict[str, Any] = {"prompt_tokens": sent, "completion_tokens": written, "total_tokens": 0}
    if details is not None:
        usage["prompt_tokens_details"] = details
    return json.dumps({"choices": [], "usage": usage}).encode()


@pytest.mark.parametrize(
    ("data", "delta"),
    [
        (chunk(delta={"content": "Hi"}, finish_reason=None), Delta("Hi")),
        (chunk(delta={"content": "Hi"}), Delta("Hi")),
        (chunk(delta={"role": "assistant", "content": ""}, finish_reason=None), Delta()),
        (chunk(delta={"content": None}, finish_reason=None), Delta()),
        (chunk(delta={}, finish_reason="length"), Delta("", "length")),
        (chunk(delta={"content": "!"}, finish_reason="stop"), Delta("!", "stop")),
        (
            chunk(delta={"tool_calls": [{"index": 0}]}, finish_reason=None),
            Delta(calls=(CallDelta(0, None, None, ""),)),
        ),
        (b'{"choices": [], "usage": {"total_tokens": 3}}', Delta()),
        (b'{"choices": [{"delta": {"content": "x"}}], "error": null}', Delta("x")),
        # A refusal is what the model says (a structured answer has it in a field of its own).
        (chunk(delta={"refusal": "I can't"}, finish_reason=None), Delta("I can't")),
        (chunk(delta={"role": "assistant", "content": "", "refusal": None}), Delta()),
        (chunk(delta={"content": None, "refusal": "."}, finish_reason="stop"), Delta(".", "stop")),
        # Azure: the filter's results of the prompt ahead of all, and of the answer in between.
        (b'{"id": "", "object": "", "choices": [], "prompt_filter_results": [{}]}', Delta()),
        (chunk(finish_reason=None, content_filter_offsets={}, content_filter_results={}), Delta()),
        # Other servers.
        (chunk(delta={"content": "Hi"}, finish_reason=""), Delta("Hi")),
        (chunk(delta=None, finish_reason="stop"), Delta("", "stop")),
        (b'{"choices": null, "usage": {"total_tokens": 3}}', Delta()),
        (b'{"usage": {"total_tokens": 3}}', Delta()),
        # What the request has used, in an event of its own or with another one.
        (usage_chunk(90, 10), Delta(usage=ModelUsage(90, 10))),
        (usage_chunk(90, 10, {"cached_tokens": 64}), Delta(usage=ModelUsage(90, 10, 64))),
        (usage_chunk(90, 10, {"cached_tokens": None}), Delta(usage=ModelUsage(90, 10))),
        (usage_chunk(90, 10, {"cached_tokens": 91}), Delta(usage=ModelUsage(90, 10, 90))),
        (usage_chunk(90, 10, ["?"]), Delta(usage=ModelUsage(90, 10))),
        (usage_chunk(90, None), Delta()),
        (usage_chunk(90, True), Delta()),
        (usage_chunk(90, 10**400), Delta()),
        (usage_chunk(10**400, 10), Delta()),
        (b'{"choices": [], "usage": null}', Delta()),
        (
            b'{"choices": [{"delta": {"content": "x"}, "finish_reason": "stop"}], "usage": '
            b'{"prompt_tokens": 3, "completion_tokens": 1}}',
            Delta("x", "stop", usage=ModelUsage(3, 1)),
        ),
        (b'{"type": "ping"}', Delta()),
        # Parts instead of a text, and what is said between them to nobody.
        (
            chunk(delta={"content": [{"type": "text", "text": "Hi"}, {"text": " you"}]}),
            Delta("Hi you"),
        ),
        (chunk(delta={"content": [{"type": "thinking", "thinking": []}, 3, {"text": 3}]}), Delta()),
        # Nobody asks for several answers: what there is of another one is passed over.
        (
            b'{"choices": [{"index": 1, "delta": {"content": "x"}, "finish_reason": "stop"}]}',
            Delta(),
        ),
        (
            b'{"choices": [{"index": 1, "delta": {"content": "x"}}, {"index": 0, "delta": '
            b'{"content": "y"}}], "usage": {"prompt_tokens": 3, "completion_tokens": 1}}',
            Delta("y", usage=ModelUsage(3, 1)),
        ),
        (b" ", Delta()),
        (b"", Delta()),
    ],
)
def test_chunks_of_an_answer(data: bytes, delta: Delta) -> None:
    assert read_chunk(data) == delta


@pytest.mark.parametrize(
    "data",
    [b"{oops", b"\xff", b"[]", b"3", b'{"choices": 3}', b'{"choices": ["x"]}', b"[" * 100_000],
)
def test_malformed_chunks(data: bytes) -> None:
    with pytest.raises(ProviderError, match="malformed event") as caught:
        read_chunk(data)
    assert caught.value.kind == "network"


@given(
    data=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=4),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["choices", "delta", "content", "finish_reason", "error", "code"]),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
@settings(max_examples=200)
def test_any_json_is_either_understood_or_a_provider_error(data: Any) -> None:
    try:
        delta = read_chunk(json.dumps(data).encode())
    except ProviderError:
        return
    assert isinstance(delta.text, str)
    assert delta.finish_reason is None or isinstance(delta.finish_reason, str)


# ---------------------------------------------------------------- failures


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, None, "invalid_request"),
        (401, "invalid_api_key", "auth"),
        (402, None, "quota"),
        (403, "unsupported_country_region_territory", "auth"),
        (404, "model_not_found", "invalid_request"),
        (408, None, "timeout"),
        (409, None, "unknown"),
        (413, None, "invalid_request"),
        (422, None, "invalid_request"),
        (429, "rate_limit_exceeded", "rate_limit"),
        (429, None, "rate_limit"),
        (429, "insufficient_quota", "quota"),
        (429, "billing_hard_limit_reached", "quota"),
        (429, "credit_balance_exhausted", "quota"),
        (429, "organization_spend_limit_exceeded", "quota"),
        (429, "project_spend_limit_exceeded", "quota"),
        (429, "organization_usage_limit_exceeded", "quota"),
        (429, "slow_down", "rate_limit"),
        (503, "server_is_overloaded", "server"),
        (500, None, "server"),
        (503, None, "server"),
        (504, None, "server"),
        (304, None, "unknown"),
    ],
)
def test_statuses_are_classed(status: int, code: str | None, kind: ErrorKind) -> None:
    error = status_error(status, {"code": code, "type": None, "message": "sk-secret"})
    assert (error.kind, error.status, error.provider) == (kind, status, "openai")
    assert f"HTTP {status}" in error.message
    assert code is None or code in error.message
    assert "sk-secret" not in error.message


@pytest.mark.parametrize(
    "body", [None, "<html>sk-secret</html>", {"code": "sk-secret or so", "type": 3}, ["sk-secret"]]
)
def test_nothing_of_a_raw_body_gets_into_the_message(body: Any) -> None:
    assert "secret" not in str(status_error(500, body))


def test_what_a_refusal_is_about_is_said_if_it_is_a_plain_word() -> None:
    about = {"message": "sk-secret", "code": "unsupported_value", "param": "reasoning_effort"}
    assert str(status_error(400, about)).endswith(
        "(HTTP 400, unsupported_value, about reasoning_effort)"
    )
    for param in (None, 7, "messages[0] of sk-secret", ["x"]):
        text = str(status_error(400, about | {"param": param}))
        assert text.endswith("(HTTP 400, unsupported_value)")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"type": "server_error"}, "server"),
        ({"code": "insufficient_quota"}, "quota"),
        ({"code": "credit_balance_exhausted"}, "quota"),
        ({"code": "rate_limit_exceeded"}, "rate_limit"),
        ({"code": "slow_down"}, "rate_limit"),
        ({"type": "invalid_request_error"}, "invalid_request"),
        ({"code": "context_length_exceeded"}, "invalid_request"),
        ({"code": 429, "message": "Provider returned error"}, "rate_limit"),
        ({"code": 502}, "server"),
        ({"code": True}, "server"),
        ("something", "server"),
    ],
)
def test_errors_within_a_stream(error: Any, kind: ErrorKind) -> None:
    assert stream_error(error).kind == kind
    with pytest.raises(ProviderError, match="failed half-way"):
        read_chunk(json.dumps({"error": error}).encode())


def test_an_error_may_be_the_event_itself() -> None:
    event = {"object": "error", "message": "sk-secret", "type": "BadRequestError", "code": 400}
    with pytest.raises(ProviderError, match="failed half-way") as caught:
        read_chunk(json.dumps(event).encode())
    assert caught.value.kind == "invalid_request"
    assert "secret" not in str(caught.value)


# ---------------------------------------------------------------- requests

REQUEST = ChatRequest(
    (ChatMessage("system", "Be short."), ChatMessage("user", "Hi")), session_id="call-1"
)


def first_body(request: ChatRequest, llm: LlmSettings, *, is_openai: bool) -> dict[str, Any]:
    return chat_body(request, llm, first_terms(llm, is_openai=is_openai), is_openai=is_openai)


def test_body_for_any_compatible_server() -> None:
    llm = LlmSettings(model="m", temperature=0.5, top_p=0.9, max_tokens=70)
    assert first_body(REQUEST, llm, is_openai=False) == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be short."},
            {"role": "user", "content": "Hi"},
        ],
        "temperature": 0.5,
        "top_p": 0.9,
        "max_tokens": 70,
        "stream": True,
    }


def test_body_for_openai_itself() -> None:
    llm = LlmSettings(frequency_penalty=0.1, presence_penalty=-0.2)
    body = first_body(REQUEST, llm, is_openai=True)
    assert body["model"] == "gpt-4.1-2025-04-14"
    assert body["max_completion_tokens"] == 500
    assert "max_tokens" not in body
    assert body["frequency_penalty"] == 0.1
    assert body["presence_penalty"] == -0.2
    assert body["prompt_cache_key"] == "call-1"
    anonymous = ChatRequest(REQUEST.messages)
    assert "prompt_cache_key" not in first_body(anonymous, llm, is_openai=True)


@pytest.mark.parametrize(("setting", "sent"), [("auto", None), ("none", "none"), ("low", "low")])
def test_how_long_a_model_reasons_is_asked_for_if_it_is_set(setting: str, sent: str | None) -> None:
    llm = LlmSettings(reasoning_effort=setting)
    assert first_body(REQUEST, llm, is_openai=False).get("reasoning_effort") == sent


@pytest.mark.parametrize(
    ("given_url", "used"),
    [
        ("https://api.openai.com/v1", "https://api.openai.com/v1"),
        ("http://127.0.0.1:8000/v1", "http://127.0.0.1:8000/v1"),
        ("ws://127.0.0.1:8000/v1", "http://127.0.0.1:8000/v1"),
        ("wss://llm.example/x/v1?a=b", "https://llm.example/x/v1?a=b"),
    ],
)
def test_addresses(given_url: str, used: str) -> None:
    assert http_url(given_url) == used


# ---------------------------------------------------------------- health


def failed(kind: ErrorKind) -> ProviderError:
    return ProviderError("openai", kind, "it failed")


def test_health_without_and_with_contacts() -> None:
    contacts = Contacts()
    assert contacts.health(0.0).ok
    assert contacts.health(0.0).detail == "not asked yet"
    contacts.success()
    assert contacts.health(0.0).detail == "answers"


def test_three_failures_in_a_row_mean_down_for_a_minute() -> None:
    contacts = Contacts()
    oks = []
    for _ in range(3):
        contacts.failure(failed("server"), 10.0)
        oks.append(contacts.health(10.0).ok)
    assert oks == [True, True, False]
    assert contacts.health(15.0).detail == "server: it failed (5 s ago)"
    assert not contacts.health(70.0).ok
    assert contacts.health(70.1).ok


def test_a_success_begins_the_count_again() -> None:
    contacts = Contacts()
    for _ in range(2):
        contacts.failure(failed("server"), 0.0)
        contacts.failure(failed("server"), 0.0)
        contacts.success()
    assert contacts.health(0.0).ok


def test_an_empty_account_is_down_at_once_and_fades() -> None:
    contacts = Contacts()
    contacts.failure(failed("quota"), 0.0)
    assert not contacts.health(60.0).ok
    assert contacts.health(61.0).ok


def test_a_refused_key_stays_refused_until_something_works() -> None:
    contacts = Contacts()
    contacts.failure(failed("auth"), 0.0)
    assert not contacts.health(1e6).ok
    contacts.success()
    assert contacts.health(1e6).ok
