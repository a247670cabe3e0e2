"""What is said to OpenAI's server, and what it says: request bodies, events, failures.

Pure: no I/O, no clock.

Sources: OpenAI's API reference (the chat completion chunk object, streaming), its error codes guide
and help pages on 429 ("Troubleshooting API rate limits and 429 errors"), and its package's types;
the WHATWG HTML standard, section "Server-sent events", for the framing.

Other servers that speak it differ, and are understood all the same: Azure begins with a chunk
without choices and sends others without a delta (its content filter's results); some put an empty
finish reason into every chunk, an empty event or one without choices between them to keep the
connection open, a `null` where a list is expected, or an error as the event itself.
"""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from attrs import Factory, define, frozen

from vantum.config import LlmSettings
from vantum.core.history import request_tokens
from vantum.core.messages import ChatRequest
from vantum.core.spent import ModelUsage
from vantum.core.tokens import estimate_tokens
from vantum.errors import ErrorKind, ProviderError
from vantum.providers.openai_terms import Terms
from vantum.providers.openai_tools import CallDelta, message_body, read_call_deltas, tools_body

NAME = "openai"

#: An event is a few hundred bytes; a line without an end must not fill the memory.
_MAX_LINE_BYTES = 1_048_576

_BYTE_ORDER_MARK = "\N{BYTE ORDER MARK}".encode()

#: Why somebody has to pay or to raise a limit first: the codes and types that come with 429.
_QUOTA_WORDS = frozenset(
    {
        "insufficient_quota",
        "credit_balance_exhausted",
        "organization_spend_limit_exceeded",
        "project_spend_limit_exceeded",
        "organization_usage_limit_exceeded",
        "billing_hard_limit_reached",
        "billing_not_active",
    }
)

#: A provider's code or type may be repeated in a message only if it is a plain word.
_PLAIN_WORD = re.compile(r"[A-Za-z0-9_.]{1,64}")


def http_url(url: str) -> str:
    """The same address with http for ws and https for wss."""
    parts = urlsplit(url)
    scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
    return urlunsplit(parts._replace(scheme=scheme))


def first_terms(settings: LlmSettings, *, is_openai: bool) -> Terms:
    """How a server is asked at first.

    OpenAI has replaced `max_tokens` by `max_completion_tokens` and refuses the old name for its
    reasoning models; other servers may know the old one only.
    """
    limit = "max_completion_tokens" if is_openai else "max_tokens"
    effort = settings.reasoning_effort
    return Terms(limit, "" if effort == "auto" else effort)


def chat_body(
    request: ChatRequest, settings: LlmSettings, terms: Terms, *, is_openai: bool
) -> dict[str, Any]:
    """The body of a request for a chat completion that is streamed, in these terms.

    `prompt_cache_key` brings the requests of one call to the same cache.
    """
    body: dict[str, Any] = {
        "model": settings.model,
        "messages": [message_body(m) for m in request.messages],
        **tools_body(request),
        "temperature": settings.temperature,
        "top_p": settings.top_p,
        "max_tokens": settings.max_tokens,
        "stream": True,
    }
    if settings.frequency_penalty:
        body["frequency_penalty"] = settings.frequency_penalty
    if settings.presence_penalty:
        body["presence_penalty"] = settings.presence_penalty
    if is_openai:
        # Other servers may refuse what they do not know.
        body["stream_options"] = {"include_usage": True}
        if request.session_id:
            body["prompt_cache_key"] = request.session_id
    return terms.applied(body)


@frozen
class Delta:
    """One event: what it adds of text or of calls, why the answer ends if it does, and what it has
    used if that is told."""

    text: str = ""
    finish_reason: str | None = None
    calls: tuple[CallDelta, ...] = ()
    usage: ModelUsage | None = None


@define
class EventStreamReader:
    """Server-sent events from bytes that come in pieces of any size.

    Knows `data` fields (several of one event are joined with a line feed) and skips the rest:
    comments, names, ids, a byte order mark ahead of all. Lines end in LF, CR LF or CR.

    Attributes:
        found: there was any event so far.
    """

    found: bool = False
    _rest: bytes = b""
    _data: list[bytes] = Factory(list)
    _begun: bool = False
    _after_cr: bool = False  # a line feed that comes next belongs to the line before

    def feed(self, piece: bytes) -> list[bytes]:
        """The data of all events that this piece completes.

        Raises:
            ValueError: a line is longer than 1 MiB.
        """
        if self._after_cr and piece:
            piece, self._after_cr = piece.removeprefix(b"\n"), False
        if b"\r" in piece:
            self._after_cr = piece.endswith(b"\r")
            piece = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, self._rest = (self._rest + piece).split(b"\n")
        if len(self._rest) > _MAX_LINE_BYTES:
            raise ValueError("a line of the event stream is longer than 1 MiB")
        if lines and not self._begun:
            self._begun, lines[0] = True, lines[0].removeprefix(_BYTE_ORDER_MARK)
        events = []
        for line in lines:
            name, _, value = line.partition(b":")
            if name == b"data":
                self._data.append(value.removeprefix(b" "))
            elif not name and not value and self._data:
                events.append(b"\n".join(self._data))
                self._data = []
        self.found = self.found or bool(events)
        return events

    def end(self) -> list[bytes]:
        """The stream is over: the event that was not ended by an empty line, if there is one.

        Such an event is none by the standard; but some servers leave the last line's end out.
        """
        return self.feed(b"\n\n") if self._rest or self._data else []


def read_chunk(data: bytes) -> Delta:
    """Understand one event's data. What holds no choice gives a `Delta` without text: usage, the
    results of a filter, a sign of life. `[DONE]` is an end like a finish reason.

    Raises:
        ProviderError: it is an error, or not a chat completion chunk.
    """
    if not (data := data.strip()):
        return Delta()
    if data == b"[DONE]":
        return Delta(finish_reason="stop")
    try:
        return _understood(json.loads(data))
    except (ValueError, RecursionError):  # not JSON, or not UTF-8
        raise _malformed() from None


def _understood(event: Any) -> Delta:
    match event:
        case {"error": error} if error:
            raise stream_error(error)
        case {"object": "error", **said}:
            raise stream_error(said)
        case {"choices": [{"index": int() as index}, *others]} if index:
            # Another answer than the one that was asked for; its end is not that one's.
            return _understood({**event, "choices": others})
        case {"choices": [{"delta": dict() as delta, **rest}, *_]}:
            calls = read_call_deltas(delta) if "tool_calls" in delta else ()
            return Delta(_said(delta), _finish_reason(rest), calls, _usage(event))
        case {"choices": [{**rest}, *_]}:
            return Delta("", _finish_reason(rest), usage=_usage(event))
        case {"choices": [] | None}:
            return Delta(usage=_usage(event))
        case dict() if "choices" not in event:
            return Delta(usage=_usage(event))
    raise _malformed()


def _malformed() -> ProviderError:
    return ProviderError(NAME, "network", "the stream broke off: malformed event")


def _said(delta: dict[Any, Any]) -> str:
    """The model's words, be they an answer or its refusal to give one."""
    for name in ("content", "refusal"):
        text = delta.get(name)
        if isinstance(text, list):  # of parts: Mistral's models that reason
            parts = [part.get("text") for part in text if isinstance(part, dict)]
            text = "".join(part for part in parts if isinstance(part, str))
        if isinstance(text, str) and text:
            return text
    return ""


#: No request has more: what is said beyond it is no count.
_MOST_TOKENS = 10**9


def _usage(body: dict[Any, Any]) -> ModelUsage | None:
    """What the request has used, if the event tells it."""
    match body.get("usage"):
        case {"prompt_tokens": int() as sent, "completion_tokens": int() as written, **rest} if max(
            sent, written
        ) <= _MOST_TOKENS and not isinstance(written, bool):
            details = rest.get("prompt_tokens_details")
            cached = details.get("cached_tokens") if isinstance(details, dict) else 0
            cached = cached if isinstance(cached, int) else 0
            sent, written = max(sent, 0), max(written, 0)
            return ModelUsage(sent, written, min(max(cached, 0), sent))
    return None


def estimated_usage(request: ChatRequest, written: str) -> ModelUsage:
    """What a request has used, about, whose end was not waited for: of its answer what came."""
    return ModelUsage(request_tokens(request), estimate_tokens(written))


def _finish_reason(choice: dict[Any, Any]) -> str | None:
    reason = choice.get("finish_reason")
    return reason if isinstance(reason, str) and reason else None


def stream_error(error: Any) -> ProviderError:
    """An error that came as an event, after the response had begun well."""
    words = _words(error)
    kind: ErrorKind = "server"
    if not _QUOTA_WORDS.isdisjoint(words):
        kind = "quota"
    elif any("rate_limit" in word or word == "slow_down" for word in words):
        kind = "rate_limit"
    elif any(word.startswith(("invalid_", "context_length", "content_filter")) for word in words):
        kind = "invalid_request"
    elif (status := _status_in(error)) is not None:
        kind = _classify(status, words)[0]
    return ProviderError(NAME, kind, f"the answer failed half-way{_in_brackets(words)}")


def status_error(status: int, body: Any, retry_after_s: float | None = None) -> ProviderError:
    """A response with an error status.

    Args:
        status: the HTTP status.
        body: the decoded JSON's `error` object, or anything.
        retry_after_s: how long the server wants to be left alone, if it says so.
    """
    words = _words(body)
    kind, meaning = _classify(status, words)
    said = ", ".join((f"HTTP {status}", *words, *_parameter(body)))
    message = f"{meaning} ({said})"
    return ProviderError(NAME, kind, message, status=status, retry_after_s=retry_after_s)


def _classify(status: int, words: tuple[str, ...]) -> tuple[ErrorKind, str]:
    match status:
        case 401:
            return "auth", "the key was refused: check OPENAI_API_KEY"
        case 403:
            return "auth", "not allowed with this key, organization or region"
        case 402:
            return "quota", "the account has no credit left"
        case 429 if not _QUOTA_WORDS.isdisjoint(words):
            return "quota", "the account's credit or limit is used up"
        case 429:
            return "rate_limit", "too many requests or tokens per minute"
        case 408:
            return "timeout", "the server gave up waiting"
        case 404:
            return "invalid_request", "not found: check LLM_MODEL and OPENAI_BASE_URL"
        case _ if 400 <= status < 500 and status != 409:
            return "invalid_request", "the request was refused: check the LLM_* settings"
        case _ if status >= 500:
            return "server", "the server failed"
        case _:
            return "unknown", "an answer that is not understood"


def _status_in(error: Any) -> int | None:
    """Some servers put the status that it would have been into the error of a stream."""
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, int) and 400 <= code < 600 else None


def _words(error: Any) -> tuple[str, ...]:
    """Code and type of an error object, where they are plain words; never its message."""
    if not isinstance(error, dict):
        return ()
    found = (error.get("code"), error.get("type"))
    plain = [w for w in found if isinstance(w, str) and _PLAIN_WORD.fullmatch(w)]
    return tuple(dict.fromkeys(plain))


def _parameter(error: Any) -> tuple[str, ...]:
    """What of the request an error is about, if it says so and that is a plain word."""
    name = error.get("param") if isinstance(error, dict) else None
    return (f"about {name}",) if isinstance(name, str) and _PLAIN_WORD.fullmatch(name) else ()


def _in_brackets(words: tuple[str, ...]) -> str:
    return f" ({', '.join(words)})" if words else ""
