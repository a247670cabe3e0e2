"""How one connection's client speaks: what the reader and the writer know of its protocol.

A codec is made for one connection and may remember things of it. It is as pure as all of this
room: messages in, values out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

from attrs import frozen

from vantum.core.events import ClientMessage, InputDigits, ServerMessage
from vantum.wire.fields import ProtocolError
from vantum.wire.native import Vocabulary, decode, encode

#: What a client has said; `()`: nothing that anybody has to know.
Heard: TypeAlias = ClientMessage | InputDigits | tuple[()]

#: What a client is sent: a binary message, or several text messages that leave in one write.
Frames: TypeAlias = bytes | tuple[str, ...]


class ClientCodec(Protocol):
    """One connection's protocol. `name`: for the log."""

    @property
    def name(self) -> str:
        """Which protocol it is."""

    @property
    def unheard(self) -> bool:
        """Whether the client owes the report that all it was sent has been played; a client that
        never reports owes nothing."""

    def decode(self, data: bytes | str) -> Heard:
        """Read one message of the client's; `str` is a text frame.

        Raises:
            ProtocolError: it cannot be taken as it is; the session goes on.
        """

    def encode(self, message: ServerMessage) -> Frames | None:
        """What the client is sent; None: it is not told of this."""


@frozen
class NativeCodec:
    """The MessagePack protocol, in one of its vocabularies (`vantum.wire.native`)."""

    vocabulary: Vocabulary
    session_id: str
    new_id: Callable[[], str]

    @property
    def name(self) -> str:
        """The vocabulary."""
        return self.vocabulary

    @property
    def unheard(self) -> bool:
        """Never: reports are the client's choice."""
        return False

    def decode(self, data: bytes | str) -> Heard:
        """See `ClientCodec`."""
        decoded = decode(data, self.vocabulary)
        if decoded.session_id != self.session_id:
            message = "sessionId is not this connection's: use the one of the connection ack"
            raise ProtocolError("wrong_session", message, decoded.request)
        return decoded.message

    def encode(self, message: ServerMessage) -> Frames | None:
        """See `ClientCodec`."""
        return encode(
            message, vocabulary=self.vocabulary, session_id=self.session_id, new_id=self.new_id
        )
