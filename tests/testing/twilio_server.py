"""A server that the simulated Twilio calls, in memory: answers by path, and streams in hand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TypeAlias
from urllib.parse import parse_qsl, urlsplit

import h11
import trio
from attrs import define, field, frozen
from twilio.request_validator import RequestValidator

from vantum.http import ReplayStream, peek_request, wants_websocket
from vantum.testing.http_wire import HttpWire
from vantum.testing.twilio import MemoryListener, SimulatedTwilio, TwilioScript, twilio_in_memory
from vantum.testing.twilio.script import AUTH_TOKEN
from vantum.websocket import WebSocket, accept

HOST = "https://server.test"
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
STREAM = (
    '<Response><Connect><Stream url="wss://server.test/stream" statusCallback="/stream-status">'
    '<Parameter name="token" value="t-1"/></Stream></Connect></Response>'
)


@frozen
class Asked:
    """A request that came; `genuine`: the official validator believes its signature."""

    at_s: float
    method: str
    path: str
    fields: Mapping[str, str]
    genuine: bool


#: A document; or a status; or what to do with the request.
Answer: TypeAlias = str | int | Callable[[Asked], str]


@define(eq=False)
class WebhookServer:
    """What it answers may be changed at any time. `sockets`: streams that came, shaken hands."""

    answers: dict[str, Answer] = field(factory=dict)
    asked: list[Asked] = field(factory=list)
    content_type: str = "text/xml"
    listener: MemoryListener = field(factory=MemoryListener)
    sockets: list[WebSocket] = field(factory=list)
    #: Of each stream's handshake, whether the official validator believes its signature.
    genuine_streams: list[bool] = field(factory=list)
    raw: dict[str, bytes] = field(factory=dict)
    #: Paths that are never answered.
    hang: set[str] = field(factory=set)
    refuse_streams: bool = False
    #: What becomes of a stream: told it, until it returns.
    on_stream: Callable[[WebSocket], object] | None = None

    def of(self, path: str) -> list[dict[str, str]]:
        return [dict(asked.fields) for asked in self.asked if asked.path == path]

    def statuses(self, path: str = "/status") -> list[str]:
        return [fields["CallStatus"] for fields in self.of(path)]

    async def run(self) -> None:
        await trio.serve_listeners(self._serve, [self.listener])

    async def _serve(self, connection: trio.SocketStream) -> None:
        request, replay = await peek_request(connection)
        if request is not None and wants_websocket(request) and not self.refuse_streams:
            signature = dict(request.headers)[b"x-twilio-signature"].decode()
            address = HOST.replace("http", "ws") + request.target.decode()
            self.genuine_streams.append(
                RequestValidator(AUTH_TOKEN).validate(address, {}, signature)
            )
            await self._stream(replay)
            return
        wire = HttpWire(replay)
        taken = await wire.request()
        assert taken is not None
        await self._answer(wire, *taken)
        await connection.aclose()

    async def _answer(self, wire: HttpWire, request: h11.Request, body: bytes) -> None:
        target = request.target.decode()
        where, headers = urlsplit(target), {k.decode(): v.decode() for k, v in request.headers}
        if "x-twilio-signature" not in headers:
            await _send(wire, 403, "text/plain", b"not signed")
            return
        form = dict(parse_qsl(body.decode(), keep_blank_values=True))
        query = dict(parse_qsl(where.query, keep_blank_values=True))
        validator = RequestValidator(AUTH_TOKEN)
        genuine = validator.validate(HOST + target, form, headers["x-twilio-signature"])
        asked = Asked(
            trio.current_time(), request.method.decode(), where.path, query | form, genuine
        )
        self.asked.append(asked)
        if where.path in self.hang:
            await wire.gone()
            return
        if (data := self.raw.get(where.path)) is not None:
            await _send(wire, 200, "audio/wav", data)
            return
        answer = self.answers.get(where.path, "" if "status" in where.path else 404)
        if callable(answer):
            answer = answer(asked)
        status, text = (answer, "") if isinstance(answer, int) else (200, answer)
        await _send(wire, status, self.content_type, text.encode())

    async def _stream(self, replay: ReplayStream) -> None:
        socket = await accept(replay, subprotocol=None, max_message_bytes=2**20)
        self.sockets.append(socket)
        if self.on_stream is not None:
            await self.on_stream(socket)  # type: ignore[misc]
        while await socket.receive() is not None:
            pass
        await trio.aclose_forcefully(replay)


async def _send(wire: HttpWire, status: int, kind: str, body: bytes) -> None:
    head = [("Content-Type", kind), ("Content-Length", str(len(body)))]
    response = h11.Response(status_code=status, headers=head)
    await wire.send(response, h11.Data(data=body), h11.EndOfMessage())


@asynccontextmanager
async def a_twilio(
    script: TwilioScript | None = None, **answers: Answer
) -> AsyncIterator[tuple[SimulatedTwilio, WebhookServer]]:
    """Both in memory. `answers`: by path, without its slash."""
    server = WebhookServer({f"/{path}": answer for path, answer in answers.items()})
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.run)
        yield (
            twilio_in_memory(nursery, script, server.listener.open_stream, began=NOON),
            server,
        )
        nursery.cancel_scope.cancel()
