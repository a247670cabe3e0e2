"""What can go wrong with the simulated Deepgram.

`connections`: which ones, counted from 0 in the order in which they came; None: all.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import trio
from attrs import frozen


@frozen
class RefusesConnection:
    """The TCP connection is closed before the handshake."""

    connections: frozenset[int] | None = None


@frozen
class HangsInHandshake:
    """The request is never answered."""

    connections: frozenset[int] | None = None


@frozen
class Rejects:
    """The handshake is answered with an HTTP status: 400, 401, 402, 403, 429, 500, 503 …

    `retry_after`: that header of the answer; empty: none.
    """

    status: int
    connections: frozenset[int] | None = None
    retry_after: str = ""


@frozen
class Stalls:
    """After so much audio on the connection it neither reads nor answers any more."""

    after_s: float = 0.0
    connections: frozenset[int] | None = None


@frozen
class Disconnects:
    """After so much audio, or so many audio messages, the TCP connection is gone."""

    after_s: float = 0.0
    after_messages: int = 0
    connections: frozenset[int] | None = None


@frozen
class ClosesWith:
    """After so much audio the WebSocket is closed with a code and a reason."""

    code: int
    reason: str
    after_s: float = 0.0
    connections: frozenset[int] | None = None


@frozen
class SendsMalformed:
    """With every audio message it also sends things that are no Deepgram messages."""

    connections: frozenset[int] | None = None


@frozen
class Repeats:
    """It sends each message twice."""

    connections: frozenset[int] | None = None


@frozen
class Drips:
    """What it sends trickles: so many bytes at a time."""

    bytes_at_once: int = 16
    every_ms: float = 1.0
    connections: frozenset[int] | None = None


@frozen
class IgnoresFinalize:
    """`Finalize` is answered by nothing, and flushes nothing."""

    connections: frozenset[int] | None = None


Fault: TypeAlias = (
    RefusesConnection
    | HangsInHandshake
    | Rejects
    | Stalls
    | Disconnects
    | ClosesWith
    | SendsMalformed
    | Repeats
    | Drips
    | IgnoresFinalize
)

#: What `SendsMalformed` sends.
MALFORMED: Final = (
    "{not json",
    "[]",
    '{"type": "Unheard"}',
    '{"type": "Results", "start": "soon", "channel": 7}',
    '{"type": "UtteranceEnd"}',
)
#: Deepgram's own code and text for a status.
STATUS_TEXT: Final = {
    400: ("Bad Request", "Bad Request."),
    401: ("INVALID_AUTH", "Invalid credentials."),
    402: ("ASR_PAYMENT_REQUIRED", "Project does not have enough credits."),
    403: ("INSUFFICIENT_PERMISSIONS", "User does not have sufficient permissions."),
    429: ("TOO_MANY_REQUESTS", "Too many requests. Please try again later."),
}


class DripStream(trio.abc.Stream):
    """A stream that sends as `Drips` says."""

    def __init__(self, stream: trio.abc.Stream, drip: Drips) -> None:
        self._stream, self._drip = stream, drip

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send piece by piece."""
        for at in range(0, len(data), self._drip.bytes_at_once):
            await self._stream.send_all(data[at : at + self._drip.bytes_at_once])
            await trio.sleep(self._drip.every_ms / 1000)

    async def wait_send_all_might_not_block(self) -> None:
        """As the stream below."""
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """As the stream below."""
        return await self._stream.receive_some(max_bytes)

    async def aclose(self) -> None:
        """As the stream below."""
        await self._stream.aclose()
