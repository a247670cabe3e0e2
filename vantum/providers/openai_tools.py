"""Tools in OpenAI's chat completions: how they are offered, and calls out of a stream's deltas.

Pure: no I/O, no clock.

A call comes in pieces: the first has its index, its id and the function's name, those that follow
have the index and a few characters of the arguments. Several calls of one answer have indices of
their own and follow each other; a call is whole when the next one begins or the answer ends.

Source: OpenAI's API reference, the chat completion chunk object (`delta.tool_calls`), and the
`tools`, `tool_choice` and `messages` of its request body.
"""

from __future__ import annotations

from typing import Any

from attrs import define, field, frozen

from vantum.core.messages import (
    ChatMessage,
    ChatRequest,
    ModelOutput,
    ToolCall,
    ToolCallBegun,
    ToolSpec,
)
from vantum.core.sendable import sendable

#: More is no call: a server that never ends one must not fill the memory.
_MAX_ARGUMENT_CHARS = 1_000_000


def message_body(message: ChatMessage) -> dict[str, Any]:
    """A message of the request."""
    content = sendable(message.content)
    if message.role == "tool":
        call_id = sendable(message.tool_call_id)
        return {"role": "tool", "content": content, "tool_call_id": call_id}
    if not message.tool_calls:
        return {"role": message.role, "content": content}
    return {
        "role": message.role,
        # Nothing said is null: some servers take an empty text for an empty answer.
        "content": content or None,
        "tool_calls": [
            {
                "id": sendable(call.id),
                "type": "function",
                "function": {"name": sendable(call.name), "arguments": call.arguments_json},
            }
            for call in message.tool_calls
        ],
    }


def tools_body(request: ChatRequest) -> dict[str, Any]:
    """What the request's body has of tools; nothing if there are none."""
    if not request.tools:
        return {}
    return {"tools": [_tool_body(t) for t in request.tools], "tool_choice": request.tool_choice}


def _tool_body(spec: ToolSpec) -> dict[str, Any]:
    function = {"name": spec.name, "description": spec.description, "parameters": spec.parameters}
    return {"type": "function", "function": function}


@frozen
class CallDelta:
    """A piece of a call; None: this piece does not say."""

    index: int | None
    id: str | None
    name: str | None
    arguments: str


def read_call_deltas(delta: dict[str, Any]) -> tuple[CallDelta, ...]:
    """The pieces of calls in a chunk's delta. What is not understood is passed over."""
    pieces = delta.get("tool_calls")
    if not isinstance(pieces, list):
        return ()
    return tuple(_call_delta(piece) for piece in pieces if isinstance(piece, dict))


def _call_delta(piece: dict[str, Any]) -> CallDelta:
    function = piece.get("function")
    function = function if isinstance(function, dict) else {}
    index, arguments = piece.get("index"), function.get("arguments")
    return CallDelta(
        index if isinstance(index, int) else None,
        _text(piece.get("id")),
        _text(function.get("name")),
        arguments if isinstance(arguments, str) else "",
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


@define
class _Open:
    """A call whose arguments are being written."""

    index: int | None
    id: str
    name: str
    arguments: list[str] = field(factory=list)
    length: int = 0


@define
class CallAssembler:
    """Pieces of calls in, calls out.

    A piece belongs to the call that is open if it has its index, or none. Servers that give each
    call the same index, or none, begin a new one with a new id.
    """

    _open: _Open | None = None

    def feed(self, pieces: tuple[CallDelta, ...]) -> list[ModelOutput]:
        """What these pieces begin and complete.

        Raises:
            ValueError: a call's arguments are longer than a million characters.
        """
        out: list[ModelOutput] = []
        for piece in pieces:
            call = self._open
            if call is None or self._begins(call, piece):
                out += self.finish()
                if piece.name is None:
                    continue  # the rest of something that never began
                call = self._open = _Open(piece.index, piece.id or "", piece.name)
                out.append(ToolCallBegun(call.id, call.name))
            call.arguments.append(piece.arguments)
            call.length += len(piece.arguments)
            if call.length > _MAX_ARGUMENT_CHARS:
                raise ValueError("the arguments of a tool call are too long")
        return out

    def _begins(self, call: _Open, piece: CallDelta) -> bool:
        if piece.index != call.index and piece.index is not None:
            return True
        return piece.name is not None and piece.id is not None and piece.id != call.id

    def finish(self) -> list[ModelOutput]:
        """The call that was open, whole: the answer has ended."""
        call, self._open = self._open, None
        return [] if call is None else [ToolCall(call.id, call.name, "".join(call.arguments))]
