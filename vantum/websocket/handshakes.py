"""The opening of a WebSocket, from either end."""

from __future__ import annotations

import base64
import hashlib
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus

import h11
import trio
from websockets.exceptions import InvalidHeader
from websockets.http11 import Request, Response
from websockets.protocol import Protocol, Side
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from vantum.core.ratelimit import RateLimit
from vantum.websocket.connection import RECEIVE_BYTES, WebSocket

#: The head of an answer to a handshake.
_MAX_HEAD_BYTES = 65_536
#: At DEBUG the library would log what is said, which is nobody's business but the callers'.
_QUIET = logging.getLogger("vantum.websocket")
_QUIET.setLevel(logging.WARNING)

_ACCEPT_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3


class BadHandshake(Exception):
    """The other side is no WebSocket peer, or refuses.

    `status`: of the HTTP answer that it gave; None if there was none that can be understood.
    `headers`: of that answer, names in lower case.
    """

    def __init__(
        self,
        message: str,
        status: int | None = None,
        headers: Iterable[tuple[bytes, bytes]] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers: Mapping[str, str] = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in headers
        }


async def accept(
    stream: trio.abc.Stream,
    *,
    subprotocol: str | None,
    max_message_bytes: int,
    frames_per_s: float | None = None,
    answer_timeout_s: float = float("inf"),
) -> WebSocket:
    """Shake hands as the server.

    Args:
        subprotocol: one of those that the client offers, or None.
        frames_per_s: whoever goes on sending more is closed with 4429; None: no limit.
        answer_timeout_s: whoever takes longer to read a pong that he asked for is given up.

    Raises:
        BadHandshake: it was no valid request; it has been answered with its status.
        trio.BrokenResourceError: the connection broke.
    """

    opening = _opening(subprotocol, max_message_bytes)
    events: list[object] = []
    head = rest = b""
    while not events:
        data = bytes(await stream.receive_some(RECEIVE_BYTES))
        if data:
            # What follows the request waits until it can be counted.
            end = (head + data).find(b"\r\n\r\n")
            taken = len(data) if end < 0 else end + 4 - len(head)
            head, rest = head + data, data[taken:]
            opening.receive_data(data[:taken])
        else:
            opening.receive_eof()
        events += opening.events_received()
        if opening.handshake_exc is not None:
            break
    request = events[0] if events else None
    status = None
    if isinstance(request, Request):
        response = _response(opening, request)
        opening.send_response(response)
        status = response.status_code
    answer = b"".join(opening.data_to_send())
    if not answer and data:  # what the library does not take for HTTP, such as a GET with a body
        answer = _refusal(HTTPStatus.BAD_REQUEST, "This is no request for a WebSocket.\n")
    await stream.send_all(answer)
    if opening.handshake_exc is not None:
        raise BadHandshake(str(opening.handshake_exc), status)
    # A fresh one: that of the handshake would keep its request for as long as it lives.
    protocol = Protocol(Side.SERVER, max_size=max_message_bytes, logger=_QUIET)
    rate = RateLimit(frames_per_s) if frames_per_s else None
    socket = WebSocket(stream, protocol, rate, answer_timeout_s)
    socket.put_unread(rest)
    return socket


def _opening(subprotocol: str | None, max_message_bytes: int) -> ServerProtocol:
    def choose(_: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol | None:
        return next((one for one in offered if one == subprotocol), None)

    return ServerProtocol(
        subprotocols=[Subprotocol(subprotocol)] if subprotocol else None,
        select_subprotocol=choose,
        max_size=max_message_bytes,
        logger=_QUIET,
    )


def _response(protocol: ServerProtocol, request: Request) -> Response:
    response = protocol.accept(request)
    match protocol.handshake_exc:
        case InvalidHeader(name="Sec-WebSocket-Version"):  # RFC 6455, section 4.4
            response.status_code = HTTPStatus.UPGRADE_REQUIRED.value
            response.reason_phrase = HTTPStatus.UPGRADE_REQUIRED.phrase
            response.headers["Sec-WebSocket-Version"] = "13"
    return response


async def refuse(stream: trio.abc.Stream, status: HTTPStatus, text: str) -> None:
    """Answer who wants to shake hands where there is nobody; the caller closes.

    Raises:
        trio.BrokenResourceError: the connection broke.
    """
    await stream.send_all(_refusal(status, text))


def _refusal(status: HTTPStatus, text: str) -> bytes:
    return ServerProtocol(logger=_QUIET).reject(status, text).serialize()


async def connect(
    stream: trio.abc.Stream,
    host: str,
    resource: str,
    *,
    headers: Sequence[tuple[bytes, bytes]] = (),
    max_message_bytes: int,
) -> WebSocket:
    """Shake hands as a client. `host`: the header's value; `resource`: path and query.

    Raises:
        BadHandshake: with the status if the answer was a refusal.
        trio.BrokenResourceError: the connection broke.
    """
    key = base64.b64encode(os.urandom(16))
    http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MAX_HEAD_BYTES)
    request = h11.Request(
        method="GET",
        target=resource,
        headers=[
            (b"Host", host.encode()),
            (b"Upgrade", b"websocket"),
            (b"Connection", b"Upgrade"),
            (b"Sec-WebSocket-Key", key),
            (b"Sec-WebSocket-Version", b"13"),
            *headers,
        ],
    )
    head = http.send(request)
    assert head is not None
    await stream.send_all(head)
    try:
        event = http.next_event()
        while event is h11.NEED_DATA or (
            isinstance(event, h11.InformationalResponse) and event.status_code != 101
        ):
            if event is h11.NEED_DATA:
                if not (received := bytes(await stream.receive_some(RECEIVE_BYTES))):
                    raise BadHandshake("the connection was closed during the handshake")
                http.receive_data(received)
            event = http.next_event()
    except h11.RemoteProtocolError as error:
        raise BadHandshake("the answer to the handshake is no HTTP") from error
    if isinstance(event, h11.Response):
        text = f"refused with status {event.status_code}"
        raise BadHandshake(text, event.status_code, event.headers)
    if not isinstance(event, h11.InformationalResponse):
        raise BadHandshake("the connection was closed during the handshake")
    wanted = base64.b64encode(hashlib.sha1(key + _ACCEPT_GUID, usedforsecurity=False).digest())
    if dict(event.headers).get(b"sec-websocket-accept") != wanted:
        raise BadHandshake("the answer to the handshake does not fit the question")
    protocol = Protocol(Side.CLIENT, max_size=max_message_bytes, logger=_QUIET)
    socket = WebSocket(stream, protocol)
    socket.put_unread(http.trailing_data[0])
    return socket
