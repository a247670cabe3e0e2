"""A simulated OpenAI: a real HTTP server that speaks chat completions, for tests and benchmarks.

It answers `POST /v1/chat/completions` (streamed and not), `GET /v1/models` and
`GET /v1/models/{id}` with scripted texts, at a scripted pace, with scripted faults, and records
what was asked. The tests run the official client against it.

::

    async with simulated_openai(OpenAIScript(answers=("Hi.||BREAK||How are you?",))) as peer:
        ...  # peer.base_url, peer.requests, peer.faults.append(Fault("rate_limit"))

With no pace set, an answer's events leave in one write, so that a benchmark measures the server
under test and not this one.
"""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any, cast

import h11
import trio
from attrs import Factory, define, field

from vantum.testing.http_wire import HttpWire
from vantum.testing.openai_script import (
    CUT_SHORT,
    NEEDS_WATCH,
    CallTool,
    Fault,
    FaultKind,
    OpenAIScript,
    RecordedRequest,
    Reply,
)
from vantum.testing.openai_wire import (
    LIMIT_HEADERS,
    Answer,
    AskedTool,
    ErrorName,
    error_body,
    is_error,
    model_object,
    shortened,
    split_tokens,
    sse_event,
    wrong_for_reasoning,
    wrong_size,
    wrong_tools,
)
from vantum.testing.serving import serve_peer, served

__all__ = [
    "CallTool",
    "Fault",
    "FaultKind",
    "OpenAIScript",
    "RecordedRequest",
    "Reply",
    "SimulatedOpenAI",
    "serve_openai",
    "simulated_openai",
]


async def _send_json(
    wire: HttpWire, status: int, data: Mapping[str, Any], *headers: tuple[str, str]
) -> None:
    """A whole response."""
    body = json.dumps(data).encode()
    length = ("content-length", str(len(body)))
    head = _head(status, ("content-type", "application/json"), length, *headers)
    await wire.send(head, h11.Data(data=body), h11.EndOfMessage())


def _pause_headers(fault: Fault | None) -> list[tuple[str, str]]:
    """As both are sent by OpenAI: whole seconds for everybody, and milliseconds."""
    if fault is None or fault.retry_after_s is None:
        return []
    seconds, ms = math.ceil(fault.retry_after_s), round(fault.retry_after_s * 1000)
    return [("retry-after", str(seconds)), ("retry-after-ms", str(ms))]


def _head(status: int, *headers: tuple[str, str]) -> h11.Response:
    common = [("x-request-id", "req_simulated"), ("openai-version", "2020-10-01")]
    return h11.Response(status_code=status, headers=[*headers, *common])


@define(eq=False)
class SimulatedOpenAI:
    """The running peer: what it does next and what it has seen.

    Attributes:
        script: how it behaves; may be replaced at any time.
        base_url: its address, ending in `/v1`.
        faults: for the next chat requests, first in first out; append to it at any time.
        requests: all that was asked, in order.
        connections: how many were accepted.
        completed: answers sent to their end.
        abandoned: answers during which the client closed the connection.
    """

    script: OpenAIScript
    base_url: str = ""
    faults: deque[Fault | None] = field(init=False)
    requests: list[RecordedRequest] = Factory(list)
    connections: int = 0
    completed: int = 0
    abandoned: int = 0
    _chats: int = 0

    def __attrs_post_init__(self) -> None:
        self.faults = deque(self.script.faults)

    @property
    def chats(self) -> list[RecordedRequest]:
        """The requests for chat completions."""
        return [r for r in self.requests if r.path == "/v1/chat/completions"]

    async def serve_stream(self, stream: trio.abc.Stream) -> None:
        """Serve one connection, any number of requests, until either side closes it."""
        self.connections += 1
        wire = HttpWire(stream)
        try:
            while (taken := await wire.request()) is not None:
                await self._respond(wire, *taken)
                if not wire.next_cycle():
                    return
        except (trio.BrokenResourceError, h11.RemoteProtocolError):
            return  # the client has gone, or does not speak HTTP
        finally:
            await trio.aclose_forcefully(stream)

    async def _respond(self, wire: HttpWire, request: h11.Request, raw_body: bytes) -> None:
        method, path = request.method.decode(), request.target.decode().partition("?")[0]
        headers = {name.decode(): value.decode("latin-1") for name, value in request.headers}
        try:
            body = json.loads(raw_body or b"{}")
            if b"\\ud" in raw_body.lower():  # half a pair of surrogates is no text: no JSON
                json.dumps(body, ensure_ascii=False).encode()
        except ValueError:
            body = None
        if not isinstance(body, dict):
            await _send_json(wire, *error_body("bad_request", "Could not parse the JSON body."))
            return
        self.requests.append(RecordedRequest(method, path, headers, body))
        if (refusal := self._refusal(headers)) is not None:
            await _send_json(wire, *refusal)
            return
        match method, path.split("/")[1:]:
            case "POST", ["v1", "chat", "completions"]:
                await self._chat(wire, body)
            case "GET", ["v1", "models"]:
                models = [self._described(name) for name in self.script.models]
                await _send_json(wire, 200, {"object": "list", "data": models})
            case "GET", ["v1", "models", name] if name in self.script.models:
                await _send_json(wire, 200, self._described(name))
            case "GET", ["v1", "models", _]:
                await _send_json(wire, *error_body("not_found"))
            case _:
                await _send_json(wire, *error_body("not_found", f"Invalid URL ({method} {path})"))

    def _described(self, name: str) -> dict[str, Any]:
        return model_object(name, self.script.shutdown_dates.get(name))

    def _refusal(self, headers: Mapping[str, str]) -> tuple[int, dict[str, Any]] | None:
        scheme, _, key = headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or not key:
            return error_body("auth", "You didn't provide an API key.")
        return error_body("auth") if self.script.api_key not in (None, key) else None

    async def _chat(self, wire: HttpWire, body: Mapping[str, Any]) -> None:
        number, self._chats = self._chats, self._chats + 1
        fault = self.faults.popleft() if self.faults else None
        kind = fault.kind if fault is not None else None
        if kind == "refuse":
            return
        if (error := self._chat_error(body, kind)) is not None:
            await _send_json(wire, *error, *LIMIT_HEADERS, *_pause_headers(fault))
            return
        answer = shortened(self._answer(number, body, fault))
        if not (self.script.first_token_s or self.script.tokens_per_s or kind in NEEDS_WATCH):
            await self._deliver(wire, answer, kind)
            return
        async with trio.open_nursery() as nursery:  # a slow answer ends when the client goes

            async def watch() -> None:
                await wire.gone()
                if not nursery.cancel_scope.cancel_called:
                    self.abandoned += 1
                    nursery.cancel_scope.cancel()

            nursery.start_soon(watch)
            await self._deliver(wire, answer, kind)
            nursery.cancel_scope.cancel()

    def _chat_error(
        self, body: Mapping[str, Any], kind: FaultKind | None
    ) -> tuple[int, dict[str, Any]] | None:
        if is_error(kind):
            return error_body(cast(ErrorName, kind))
        if not isinstance(body.get("model"), str) or not isinstance(body.get("messages"), list):
            return error_body("bad_request", "you must provide a model and messages")
        if self.script.check_model and body["model"] not in self.script.models:
            return error_body("not_found")
        if (refused := wrong_size(body)) is not None:
            return refused
        if (wrong := wrong_tools(body)) is not None:
            return error_body("bad_request", wrong)
        if body["model"] in self.script.reasoning_models:
            return wrong_for_reasoning(body)
        return None

    def _answer(self, number: int, body: Mapping[str, Any], fault: Fault | None) -> Answer:
        reply, seed = self.script.reply(number, body["messages"]), self.script.split_seed
        tokens, calls = split_tokens(reply.text, seed), reply.calls
        told_not_to = body.get("tool_choice") == "none" and self.script.heeds_tool_choice
        if not body.get("tools") or told_not_to:
            calls = ()
        if body.get("parallel_tool_calls") is False:
            calls = calls[:1]
        asked = [
            AskedTool(c.id or f"call_{number}_{i}", c.name, split_tokens(c.arguments, seed))
            for i, c in enumerate(calls)
        ]
        match fault:
            case Fault(kind="empty" | "hang" | "hang_open"):
                return Answer(number, body, [])
            case Fault(kind="blank"):
                return Answer(number, body, [" ", "\n"])
            case Fault(kind=("length" | "content_filter") as reason, after_tokens=count):
                return Answer(number, body, tokens[:count], reason)
            case Fault(kind=kind, after_tokens=count) if kind in CUT_SHORT:
                return Answer(number, body, tokens[:count])
            case Fault(kind=("refusal" | "filtered") as kind):
                refuses, filtered = kind == "refusal", kind == "filtered"
                return Answer(number, body, tokens, refuses=refuses, filtered=filtered)
        return Answer(number, body, tokens, "tool_calls" if asked else "stop", asked)

    async def _deliver(self, wire: HttpWire, answer: Answer, kind: FaultKind | None) -> None:
        """Send the answer with its fault; a broken connection counts as abandoned."""
        if kind == "hang":
            await trio.sleep_forever()
        try:
            if answer.body.get("stream"):
                await self._stream(wire, answer, kind)
            else:
                await self._send_whole(wire, answer, kind)
        except trio.BrokenResourceError:
            self.abandoned += 1
            # The connection is not in a state to go on, which ends its loop.

    async def _send_whole(self, wire: HttpWire, answer: Answer, kind: FaultKind | None) -> None:
        pace = self.script.tokens_per_s
        await trio.sleep(self.script.first_token_s + (len(answer.tokens) / pace if pace else 0))
        match kind:
            case "stall" | "hang_open":
                await trio.sleep_forever()
            case "disconnect" | "cut" | "torn":
                await wire.send(_head(200, ("content-length", "1000")), h11.Data(data=b"{"))
            case "malformed":
                head = _head(200, ("content-type", "application/json"), ("content-length", "5"))
                await wire.send(head, h11.Data(data=b"{oops"), h11.EndOfMessage())
            case "error_event":
                await _send_json(wire, *error_body("server"))
            case _:
                await _send_json(wire, 200, answer.whole())
                self.completed += 1

    async def _stream(self, wire: HttpWire, answer: Answer, kind: FaultKind | None) -> None:
        send = wire.drip if kind == "drip" else wire.send
        script = self.script
        due_s = trio.current_time() + script.first_token_s
        events: list[h11.Event] = [_head(200, _EVENTS, *_CHUNKED, *LIMIT_HEADERS)]
        if script.first_token_s or kind == "hang_open":
            await send(*events)
            events.clear()
            if kind == "hang_open":
                await trio.sleep_forever()
            await trio.sleep_until(due_s)
        events.append(h11.Data(data=answer.opening()))
        for piece in answer.pieces():
            events.append(h11.Data(data=piece))
            if script.tokens_per_s:
                await send(*events)
                events.clear()
                due_s += 1 / script.tokens_per_s
                await trio.sleep_until(due_s)
        match kind:
            case "stall" | "disconnect" | "torn":
                if kind == "torn":
                    events.append(h11.Data(data=answer.torn("Größe")))
                await send(*events)
                if kind == "stall":
                    await trio.sleep_forever()
                return
            case "no_done":
                events.append(h11.Data(data=answer.finish()))
                self.completed += 1
            case "cut":
                pass
            case "malformed":
                events.append(h11.Data(data=b"data: {oops\n\n"))
            case "error_event":
                events.append(h11.Data(data=sse_event(error_body("server")[1])))
            case _:
                events.append(h11.Data(data=answer.closing()))
                self.completed += 1
        await send(*events, h11.EndOfMessage())


_EVENTS = ("content-type", "text/event-stream; charset=utf-8")
_CHUNKED = (("cache-control", "no-cache"), ("transfer-encoding", "chunked"))


async def serve_openai(
    script: OpenAIScript,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    task_status: trio.TaskStatus[SimulatedOpenAI] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until cancelled: `peer = await nursery.start(serve_openai, script)`.

    Port 0 takes a free one. Raises `OSError` if the address cannot be bound.
    """
    peer = SimulatedOpenAI(script)
    await serve_peer(
        peer, peer.serve_stream, "http://{}/v1", host=host, port=port, task_status=task_status
    )


def simulated_openai(
    script: OpenAIScript | None = None, *, host: str = "127.0.0.1", port: int = 0
) -> AbstractAsyncContextManager[SimulatedOpenAI]:
    """Serve while the body runs. Leaving it closes every connection at once."""
    return served(partial(serve_openai, script or OpenAIScript(), host=host, port=port))
