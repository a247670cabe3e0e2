"""Twilio's media streams: a WebSocket that shows its token and then is a session like any other.

Until the token is believed, nothing is opened for it, and what is not as it should be ends the
connection with 1008. After it, what cannot be understood is logged and passed over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import trio
from attrs import frozen
from structlog.contextvars import bound_contextvars

from vantum.actors.call import Call
from vantum.config import PlayoutSettings, Settings
from vantum.config.telephony import TwilioSettings
from vantum.core.events import InputOptions
from vantum.http import ReplayStream
from vantum.observe.logs import get_log
from vantum.telephony.tokens import CallData, StreamTokens, TokenRefused
from vantum.websocket import WebSocket, accept
from vantum.wire.fields import ProtocolError
from vantum.wire.phone import PhoneCodec
from vantum.wire.twilio import RATE_HZ, Connected, Start, parse_message

if TYPE_CHECKING:
    from vantum.server import Server

#: The largest message is a start with all its parameters.
_MAX_MESSAGE_BYTES = 65_536
#: What a stalled network held back comes in one burst: ten seconds of frames are no attack.
_MESSAGES_PER_S = 500

_log = get_log("phone")


class StreamRefused(Exception):
    """What comes is not what a stream begins with; says what it is."""


@frozen
class Streams:
    """What serves Twilio's streams."""

    settings: TwilioSettings
    tokens: StreamTokens

    async def serve(self, server: Server, stream: ReplayStream) -> None:
        """Serve one connection until it is over."""
        limits = server.settings.server
        with trio.move_on_after(limits.handshake_timeout_ms / 1000) as introduction:
            socket = await accept(
                stream,
                subprotocol=None,
                max_message_bytes=min(limits.max_message_bytes, _MAX_MESSAGE_BYTES),
            )
            try:
                start = await _start_of(socket)
            except (StreamRefused, ProtocolError) as error:
                await self._refuse(server, socket, str(error))
                return
        if introduction.cancelled_caught:
            _log.info("no stream began in time")
            return
        if start is not None:
            await self._begin(server, socket, start)

    async def _begin(self, server: Server, socket: WebSocket, start: Start) -> None:
        said = start.parameters
        caller = CallData(
            start.call_sid, start.account_sid, said.get("from", ""), said.get("to", "")
        )
        with bound_contextvars(call=start.call_sid):
            try:
                if self.settings.account_sid not in ("", start.account_sid):
                    raise TokenRefused("the call is another account's")
                self.tokens.redeem(said.get("token", ""), caller)
            except TokenRefused as error:
                await self._refuse(server, socket, str(error))
                return
            session_id, language = server.new_id(), self.settings.language
            codec = PhoneCodec(
                start, InputOptions(RATE_HZ, language=language, turn_detection="auto")
            )

            def new_call() -> Call:
                about = {"callSid": caller.call_sid, "from": caller.caller, "to": caller.called}
                return server.new_call(
                    codec,
                    session_id,
                    server.known_of(about),
                    phone_settings(server.settings),
                )

            if not await server.hold(socket, session_id, new_call):
                await self._refuse(server, socket, "at capacity", 1013)
            if codec.order.lost:
                _log.info("frames were lost on the way", frames=codec.order.lost)

    async def _refuse(
        self, server: Server, socket: WebSocket, reason: str, code: int = 1008
    ) -> None:
        _log.warning("stream refused", reason=reason)
        with trio.move_on_after(server.settings.server.send_timeout_ms / 1000):
            await socket.close(code)


def phone_settings(settings: Settings) -> Settings:
    """What is different in a phone call."""
    phone = settings.twilio
    return attrs.evolve(
        settings,
        playout=PlayoutSettings(lead_ms=phone.lead_ms, chunk_ms=phone.chunk_ms),
        server=attrs.evolve(
            settings.server, messages_per_s=max(settings.server.messages_per_s, _MESSAGES_PER_S)
        ),
    )


async def _start_of(socket: WebSocket) -> Start | None:
    """The stream's start, which is left to be received again; None: the peer has gone.

    Raises:
        StreamRefused: it is something else.
        ProtocolError: it is nothing of Twilio's.
    """
    greeted = False
    while (data := await socket.receive()) is not None:
        match parse_message(data):
            case Start() as start:
                socket.put_back(data)
                return start
            case Connected() if not greeted:
                greeted = True
            case _:
                raise StreamRefused("something else came before the stream's start")
    return None
