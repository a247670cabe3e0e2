"""The JSON and event-stream shapes of OpenAI's chat completions, as its server sends them.

Pure: no I/O and no clock. Shapes are those of OpenAI's API reference (the chat completion object,
the chat completion chunk object, the model object), of its error codes guide and of its help page
"Troubleshooting API rate limits and 429 errors"; headers are those of its rate limits guide.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

from attrs import evolve, frozen

#: As the client sent them: `{"role": …, "content": …}`.
Messages: TypeAlias = Sequence[Mapping[str, Any]]

#: Requests that fail as a whole, with a status and an error body.
ErrorName: TypeAlias = Literal[
    "bad_request",
    "auth",
    "forbidden",
    "not_found",
    "timeout",
    "rate_limit",
    "slow_down",
    "quota",
    "server",
    "overloaded",
]

DONE = b"data: [DONE]\n\n"

#: A fixed date, so that the same script gives the same bytes.
_CREATED = 1_760_000_000

#: status, type, code, message
_ERRORS: dict[ErrorName, tuple[int, str, str | None, str]] = {
    "bad_request": (400, "invalid_request_error", None, "Invalid request."),
    "auth": (
        401,
        "invalid_request_error",
        "invalid_api_key",
        "Incorrect API key provided: sk-si***ated.",
    ),
    "forbidden": (
        403,
        "request_forbidden",
        "unsupported_country_region_territory",
        "Country, region, or territory not supported",
    ),
    "not_found": (
        404,
        "invalid_request_error",
        "model_not_found",
        "The model does not exist or you do not have access to it.",
    ),
    "timeout": (408, "timeout_error", None, "Request timed out."),
    "rate_limit": (
        429,
        "requests",
        "rate_limit_exceeded",
        "Rate limit reached for org-simulated on requests per min (RPM).",
    ),
    "slow_down": (
        429,
        "rate_limit_error",
        "slow_down",
        "Your request rate increased too quickly. Please slow down.",
    ),
    "quota": (
        429,
        "insufficient_quota",
        "credit_balance_exhausted",
        "Your organization has no prepaid credits remaining.",
    ),
    "server": (500, "server_error", None, "The server had an error while processing your request."),
    "overloaded": (
        503,
        "service_unavailable_error",
        "server_is_overloaded",
        "The model does not have enough capacity at the moment.",
    ),
}

#: With every answer to a request for a completion.
LIMIT_HEADERS = (
    ("x-ratelimit-limit-requests", "5000"),
    ("x-ratelimit-limit-tokens", "160000"),
    ("x-ratelimit-remaining-requests", "4999"),
    ("x-ratelimit-remaining-tokens", "159976"),
    ("x-ratelimit-reset-requests", "12ms"),
    ("x-ratelimit-reset-tokens", "9ms"),
)

_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")

#: Words with the space before them, punctuation apart: roughly how a real tokeniser cuts.
_TOKEN = re.compile(r"\s*(?:\w+|[^\w\s]+)|\s+")


def split_tokens(text: str, seed: int | None = None) -> list[str]:
    """Cut a text into tokens that join to it again: words, or with a seed 1..8 characters each."""
    if seed is None:
        return _TOKEN.findall(text)
    rng = random.Random(seed)  # noqa: S311 (the same cuts for the same seed)
    tokens = []
    while text:
        length = rng.randint(1, 8)
        tokens.append(text[:length])
        text = text[length:]
    return tokens


def error_body(name: ErrorName, message: str | None = None) -> tuple[int, dict[str, Any]]:
    """Status and body of a failed request; `message` replaces the usual one."""
    status, kind, code, usual = _ERRORS[name]
    error = {"message": message or usual, "type": kind, "param": None, "code": code}
    return status, {"error": error}


def is_error(kind: str | None) -> bool:
    """Whether a fault of this name is an `ErrorName`."""
    return kind in _ERRORS


def model_object(name: str, shutdown_date: str | None = None) -> dict[str, Any]:
    """An entry of `/v1/models`."""
    about = {"id": name, "object": "model", "created": _CREATED, "owned_by": "system"}
    return {**about, "shutdown_date": shutdown_date}


def sse_event(data: Mapping[str, Any]) -> bytes:
    """One server-sent event. Half a surrogate pair, which UTF-8 has no bytes for, is escaped."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return b"data: " + text.encode(errors="backslashreplace") + b"\n\n"


@frozen
class AskedTool:
    """A tool that an answer asks for; `tokens` are its arguments."""

    id: str
    name: str
    tokens: Sequence[str]


@frozen
class Answer:
    """One answer: the events of a stream, or a JSON body.

    Args:
        number: makes its id.
        body: the request's body; as many choices as it asks for (`n`) say the same.
        tokens: its text.
        finish_reason: why it ends.
        calls: the tools it asks for after the text.
        refuses: its text is the model's refusal, which has a field of its own.
        filtered: as Azure's servers send it, with a content filter's results ahead and in between.
    """

    number: int
    body: Mapping[str, Any]
    tokens: Sequence[str]
    finish_reason: str = "stop"
    calls: Sequence[AskedTool] = ()
    refuses: bool = False
    filtered: bool = False

    def opening(self) -> bytes:
        """The first event: the role, without text."""
        first = self._chunk({"role": "assistant", "content": "", "refusal": None})
        if not self.filtered:
            return first
        results = [{"prompt_index": 0, "content_filter_results": {}}]
        head = {"id": "", "object": "", "created": 0, "model": "", "choices": []}
        return sse_event({**head, "prompt_filter_results": results}) + first

    def pieces(self) -> list[bytes]:
        """The events of its text and its calls: one for each token, one to begin each call."""
        events = [self._said(token) for token in self.tokens]
        for index, call in enumerate(self.calls):
            function = {"name": call.name, "arguments": ""}
            head = {"index": index, "type": "function", "function": function}
            began = [{"tool_calls": [{**head, "id": call.id + each}]} for each in self._choices]
            events.append(b"".join(map(self._event, range(len(began)), began)))
            for token in call.tokens:
                more = {"index": index, "function": {"arguments": token}}
                events.append(self._chunk({"tool_calls": [more]}))
        return events

    def _said(self, token: str) -> bytes:
        event = self._chunk({"refusal" if self.refuses else "content": token})
        if not self.filtered:
            return event
        offsets = {"check_offset": 0, "start_offset": 0, "end_offset": len(token)}
        head = self._head("chat.completion.chunk")
        for index in range(len(self._choices)):
            choice = {"index": index, "finish_reason": None, "content_filter_offsets": offsets}
            event += sse_event({**head, "choices": [choice]})
        return event

    def torn(self, text: str) -> bytes:
        """Half of an event with this text: it ends in the middle of its first character that is no
        ASCII, or else of itself."""
        event = self._chunk({"content": text})
        wide = next((at for at, byte in enumerate(event) if byte > 127), None)
        return event[: len(event) // 2 if wide is None else wide + 1]

    def closing(self) -> bytes:
        """The finish reason, the usage if it was asked for, and the end mark."""
        return self.finish() + DONE

    def finish(self) -> bytes:
        """The finish reason, and the usage if it was asked for."""
        events = self._chunk({}, self.finish_reason)
        if (self.body.get("stream_options") or {}).get("include_usage"):
            head = self._head("chat.completion.chunk")
            events += sse_event({**head, "choices": [], "usage": self._usage()})
        return events

    def whole(self) -> dict[str, Any]:
        """The body of an answer that is not streamed."""
        choices = [
            {
                "index": index,
                "message": self._message(each),
                "logprobs": None,
                "finish_reason": self.finish_reason,
            }
            for index, each in enumerate(self._choices)
        ]
        return {**self._head("chat.completion"), "choices": choices, "usage": self._usage()}

    @property
    def _choices(self) -> list[str]:
        """For each, what makes the ids of its calls its own."""
        return ["", *(f"_{n}" for n in range(1, self.body.get("n") or 1))]

    def _message(self, choice: str) -> dict[str, Any]:
        text = "".join(self.tokens)
        content, refusal = (None, text) if self.refuses else (text, None)
        message: dict[str, Any] = {"role": "assistant", "content": content, "refusal": refusal}
        if self.calls:
            message["content"] = text or None
            message["tool_calls"] = [
                {
                    "id": call.id + choice,
                    "type": "function",
                    "function": {"name": call.name, "arguments": "".join(call.tokens)},
                }
                for call in self.calls
            ]
        return message

    def _chunk(self, delta: Mapping[str, Any], finish_reason: str | None = None) -> bytes:
        """An event for each choice."""
        events = (self._event(n, delta, finish_reason) for n in range(len(self._choices)))
        return b"".join(events)

    def _event(
        self, index: int, delta: Mapping[str, Any], finish_reason: str | None = None
    ) -> bytes:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return sse_event({**self._head("chat.completion.chunk"), "choices": [choice]})

    def _head(self, kind: str) -> dict[str, Any]:
        return {
            "id": f"chatcmpl-simulated{self.number}",
            "object": kind,
            "created": _CREATED,
            "model": self.body["model"],
            "service_tier": "default",
            "system_fingerprint": "fp_simulated",
        }

    def _usage(self) -> dict[str, int]:
        asked = sum(len(split_tokens(str(m.get("content", "")))) for m in self.body["messages"])
        said = len(self.tokens) * len(self._choices)
        return {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said}


#: What a request may say of the answer's size: from 1 to this; None: without a limit of ours.
_SIZES: dict[str, int | None] = {"n": 128, "max_tokens": None, "max_completion_tokens": None}


def wrong_size(body: Mapping[str, Any]) -> tuple[int, dict[str, Any]] | None:
    """How the real server refuses what a request says of the answer's size; None: it does not."""
    for name, most in _SIZES.items():
        value = body.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int):
            got = {bool: "a boolean", str: "a string", float: "a decimal number"}
            what = got.get(type(value), "something else")
            text = f"Invalid type for '{name}': expected an integer, but got {what} instead."
            return _refused_parameter(text, name, "invalid_type")
        if value < 1:
            text = (
                f"Invalid '{name}': integer below minimum value. Expected a value >= 1, but got "
                f"{value} instead."
            )
            return _refused_parameter(text, name, "integer_below_min_value")
        if most is not None and value > most:
            text = (
                f"Invalid '{name}': integer above maximum value. Expected a value <= {most}, but "
                f"got {value} instead."
            )
            return _refused_parameter(text, name, "integer_above_max_value")
    if None not in (body.get("max_tokens"), body.get("max_completion_tokens")):
        text = "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported."
        return _refused_parameter(text, "max_tokens", "invalid_parameter_combination")
    return None


def shortened(answer: Answer) -> Answer:
    """As much of it as the request allows: it ends where its tokens do."""
    body = answer.body
    left = body.get("max_completion_tokens") or body.get("max_tokens")
    size = len(answer.tokens) + sum(len(call.tokens) for call in answer.calls)
    if left is None or size <= left:
        return answer
    tokens, calls = answer.tokens[:left], []
    left -= len(tokens)
    for call in answer.calls:
        if left:
            calls.append(evolve(call, tokens=call.tokens[:left]))
            left -= len(calls[-1].tokens)
    return evolve(answer, tokens=tokens, calls=calls, finish_reason="length")


def wrong_for_reasoning(body: Mapping[str, Any]) -> tuple[int, dict[str, Any]] | None:
    """How a model that reasons refuses a request that others take; None: it takes it.

    The texts are the real server's, as many have quoted them; the order of the checks is ours.
    Without reasoning some models take sampling parameters again; this one does not.
    """
    model, effort = body["model"], body.get("reasoning_effort")
    if body.get("tools") and effort != "none":
        text = (
            f"Function tools with reasoning_effort are not supported for {model} in "
            "/v1/chat/completions. To use function tools, use /v1/responses or set "
            "reasoning_effort to 'none'."
        )
        return _refused_parameter(text, "reasoning_effort", None)
    if "max_tokens" in body:
        text = (
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
            "'max_completion_tokens' instead."
        )
        return _refused_parameter(text, "max_tokens", "unsupported_parameter")
    usual = {"temperature": 1, "top_p": 1, "frequency_penalty": 0, "presence_penalty": 0}
    for name, value in usual.items():
        if body.get(name, value) != value:
            text = (
                f"Unsupported value: '{name}' does not support {body[name]} with this model. Only "
                f"the default ({value}) value is supported."
            )
            return _refused_parameter(text, name, "unsupported_value")
    return None


def _refused_parameter(text: str, name: str, code: str | None) -> tuple[int, dict[str, Any]]:
    error = {"message": text, "type": "invalid_request_error", "param": name, "code": code}
    return 400, {"error": error}


def wrong_tools(body: Mapping[str, Any]) -> str | None:
    """What the real server would say against a request's tools and results; None: nothing."""
    for index, tool in enumerate(body.get("tools") or ()):
        function = tool.get("function") if isinstance(tool, dict) else None
        if not isinstance(function, dict) or tool.get("type") != "function":
            return f"Invalid value: 'tools[{index}]'. Expected a function."
        if not _TOOL_NAME.fullmatch(str(function.get("name", ""))):
            return f"Invalid 'tools[{index}].function.name': string does not match pattern."
        if (function.get("parameters") or {}).get("type") != "object":
            return f"Invalid schema for function '{function['name']}': type must be 'object'."
    waiting: list[str] = []
    for index, message in enumerate(body["messages"]):
        if message.get("role") == "tool":
            if message.get("tool_call_id") not in waiting:
                return (
                    f"Invalid parameter: messages[{index}] with role 'tool' must be a response to "
                    "a preceding message with 'tool_calls'."
                )
            waiting.remove(message["tool_call_id"])
            continue
        if waiting:
            break
        waiting = [call["id"] for call in message.get("tool_calls") or ()]
    if waiting:
        return (
            "An assistant message with 'tool_calls' must be followed by tool messages responding "
            f"to each 'tool_call_id'. Missing: {', '.join(waiting)}"
        )
    return None
