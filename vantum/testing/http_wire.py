"""HTTP/1.1 on any stream, by h11: for simulated peers that serve it, and for one request."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Final

import h11
import trio
from attrs import define, field, frozen

#: Pause between two pieces of a dripping answer.
_DRIP_S: Final = 0.001


@define(eq=False)
class HttpWire:
    """One connection at the server: h11's state and the stream under it."""

    stream: trio.abc.Stream
    http: h11.Connection = field(factory=lambda: h11.Connection(h11.SERVER), init=False)

    async def request(self) -> tuple[h11.Request, bytes] | None:
        """The next request with its body; None when the client has gone."""
        request: h11.Request | None = None
        body = bytearray()
        while True:
            match self.http.next_event():
                case h11.NEED_DATA:
                    if self.http.they_are_waiting_for_100_continue:
                        await self.send(h11.InformationalResponse(status_code=100, headers=[]))
                    self.http.receive_data(bytes(await self.stream.receive_some()))
                case h11.Request() as request:
                    pass
                case h11.Data(data=data):
                    body += data
                case h11.EndOfMessage() if request is not None:
                    return request, bytes(body)
                case _:
                    return None

    async def send(self, *events: h11.Event) -> None:
        """Several events in one write."""
        await self.stream.send_all(self._encode(events))

    async def drip(self, *events: h11.Event) -> None:
        """The same bytes, a few at a time."""
        data, rng = self._encode(events), random.Random(len(events))  # noqa: S311 (the same drip for the same answer)
        while data:
            length = rng.randint(1, 64)
            await self.stream.send_all(data[:length])
            await trio.sleep(_DRIP_S)
            data = data[length:]

    def next_cycle(self) -> bool:
        """Get ready for another request; False: the connection is to be closed."""
        if self.http.our_state is not h11.DONE or self.http.their_state is not h11.DONE:
            return False
        self.http.start_next_cycle()
        return True

    async def gone(self) -> None:
        """Return when the client has closed the connection."""
        try:
            while data := await self.stream.receive_some():
                self.http.receive_data(bytes(data))
        except trio.BrokenResourceError:
            return

    def _encode(self, events: tuple[h11.Event, ...]) -> bytes:
        return b"".join(self.http.send(event) or b"" for event in events)


@frozen
class HttpAnswer:
    """An answer to `ask`. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


async def ask(
    stream: trio.abc.Stream, method: str, target: str, headers: Mapping[str, str], body: bytes = b""
) -> HttpAnswer:
    """Send one request and read its answer whole; the stream is of no use after it.

    Raises:
        h11.RemoteProtocolError: it is no HTTP, or was cut short.
        trio.BrokenResourceError: the connection broke.
    """
    http = h11.Connection(h11.CLIENT)
    fields = [*headers.items(), ("Connection", "close")]
    if body:
        fields.append(("Content-Length", str(len(body))))
    events: list[h11.Event] = [h11.Request(method=method, target=target, headers=fields)]
    events += [h11.Data(data=body)] if body else []
    events.append(h11.EndOfMessage())
    await stream.send_all(b"".join(http.send(event) or b"" for event in events))
    response: h11.Response | None = None
    content = bytearray()
    while True:
        match http.next_event():
            case h11.NEED_DATA:
                http.receive_data(bytes(await stream.receive_some()))
            case h11.Response() as response:
                pass
            case h11.Data(data=data):
                content += data
            case h11.EndOfMessage() if response is not None:
                named = {name.decode(): value.decode("latin-1") for name, value in response.headers}
                return HttpAnswer(response.status_code, named, bytes(content))
            case h11.InformationalResponse():
                pass
            case event:
                raise h11.RemoteProtocolError(f"instead of an answer came {event!r}")
