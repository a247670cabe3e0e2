"""What a simulated OpenAI is told to do: answers, pace and faults. Values only."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias

from attrs import field, frozen

from vantum.testing.openai_wire import ErrorName, Messages

#: What may go wrong. The names of `ErrorName` fail the request with their status; of the others,
#: those marked * come after `Fault.after_tokens` tokens.
FaultKind: TypeAlias = (
    ErrorName
    | Literal[
        "refuse",  # the connection is closed before a byte of the response
        "hang",  # no response at all
        "hang_open",  # response headers, then nothing: an open stream without a first token
        "empty",  # a proper answer without text
        "blank",  # a proper answer of white space only
        "stall",  # * then nothing
        "disconnect",  # * then the connection is gone
        "torn",  # * then the connection is gone within an event, in the middle of a character
        "cut",  # * then the body ends properly, without a finish_reason or [DONE]
        "malformed",  # * then an event that is not JSON
        "error_event",  # * then an error as an event of the stream
        "length",  # * then finish_reason "length"
        "content_filter",  # * then finish_reason "content_filter"
        "drip",  # the whole answer, a few bytes at a time
        "no_done",  # the whole answer with its finish_reason, without [DONE]
        "refusal",  # the text comes as the model's refusal
        "filtered",  # the whole answer with a content filter's chunks in it, as from Azure
    ]
)
#: Faults that come after some tokens.
CUT_SHORT = (
    "stall",
    "disconnect",
    "torn",
    "cut",
    "malformed",
    "error_event",
    "length",
    "content_filter",
)
#: Faults during which the peer must look whether the client is still there.
NEEDS_WATCH = ("hang", "hang_open", "stall", "drip")


@frozen
class Fault:
    """What goes wrong with one request.

    `retry_after_s`: what an error's headers ask for; None: they ask for nothing.
    """

    kind: FaultKind
    after_tokens: int = 2
    retry_after_s: float | None = None


def _as_json(arguments: str | Mapping[str, Any]) -> str:
    return arguments if isinstance(arguments, str) else json.dumps(arguments)


@frozen
class CallTool:
    """The model asks for a tool.

    Args:
        name: of the tool.
        arguments: a mapping, or a text that need not be JSON.
        id: of the call; empty: the peer makes one up.
    """

    name: str
    arguments: str = field(default="{}", converter=_as_json)
    id: str = ""


@frozen
class Reply:
    """An answer that asks for tools, perhaps after a text."""

    text: str = ""
    calls: tuple[CallTool, ...] = ()


@frozen
class OpenAIScript:
    """How the simulated OpenAI behaves.

    Args:
        answers: texts or `Reply`s in the order of requests (the last one repeats), or a function
            from messages to one of them. Without tools in the request, or with
            `tool_choice: "none"`, no tool is asked for.
        first_token_s: from the response's headers to the first token.
        tokens_per_s: pace of the tokens after it; 0: all at once.
        split_seed: cut the text at random places by this seed, instead of at words.
        faults: for the chat requests in order, None for a healthy one; after them all are healthy.
        api_key: the only key that is let in; None: any key.
        models: what `/v1/models` lists.
        check_model: answer 404 to a model that is not listed, as the real one does.
        reasoning_models: those that reason, and refuse what such models refuse: see
            `vantum.testing.openai_wire.wrong_for_reasoning`.
        shutdown_dates: what `/v1/models` says of when a model will be no more: "2027-01-14".
        heeds_tool_choice: do not ask for tools when it is told not to.
    """

    answers: tuple[str | Reply, ...] | Callable[[Messages], str | Reply] = (
        "Hello! How can I help you today?",
    )
    first_token_s: float = 0.0
    tokens_per_s: float = 0.0
    split_seed: int | None = None
    faults: tuple[Fault | None, ...] = ()
    api_key: str | None = None
    models: tuple[str, ...] = ("gpt-4.1-2025-04-14", "gpt-4.1-mini-2025-04-14")
    check_model: bool = False
    reasoning_models: tuple[str, ...] = ()
    shutdown_dates: Mapping[str, str] = field(factory=dict, hash=False)
    heeds_tool_choice: bool = True

    def reply(self, number: int, messages: Messages) -> Reply:
        """The answer to chat request `number`, counted from 0."""
        if callable(self.answers):
            answer = self.answers(messages)
        else:
            answer = self.answers[min(number, len(self.answers) - 1)]
        return Reply(answer) if isinstance(answer, str) else answer

    def text(self, number: int, messages: Messages) -> str:
        """The text of the answer to chat request `number`."""
        return self.reply(number, messages).text


@frozen
class RecordedRequest:
    """A request as it came. `headers` have lower-case names; `body` is {} where there was none."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]
