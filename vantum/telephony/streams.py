"""Twilio's media streams: a WebSocket that shows its token and then is a session like any other.

Until the token is believed, nothing is opened for it, and what is not as it should be ends the
connection with 1008. After it, what cannot be understood is logged and passed over.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import attrs
import trio
from attrs import frozen
from structlog.contextvars import bound_contextvars

from vantum.actors.call import Call
from vantum.actors.conductor import Conductor
from vantum.actors.lane import listening_batch_s
from vantum.admission import most_frames_per_s
from vantum.config import PlayoutSettings, Settings
from vantum.config.telephony import TwilioSettings
from vantum.core.events import InputOptions
from vantum.core.prompts import literal
from vantum.http import ReplayStream
from vantum.observe.logs import get_log
from vantum.telephony.calls import Calls, prospect_of
from vantum.telephony.live import LiveCall
from vantum.telephony.put_through import remember_return
from vantum.telephony.tokens import CallData, StreamTokens, TokenRefused
from vantum.telephony.usage import counted
from vantum.telephony.waking import wake_for
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

#: A session whose stream has ended is over in so long, with what its tools have begun.
_GIVEN_UP_S = 10.0

_log = get_log("phone")


class StreamRefused(Exception):
    """What comes is not what a stream begins with; says what it is."""


@frozen
class Streams:
    """What serves Twilio's streams. `equip`: gives a session what belongs to its phone call."""

    settings: TwilioSettings
    tokens: StreamTokens
    calls: Calls
    equip: Callable[[LiveCall, Call], Call]

    async def serve(self, server: Server, stream: ReplayStream) -> None:
        """Serve one connection until it is over."""
        limits = server.settings.server
        with trio.move_on_after(limits.handshake_timeout_ms / 1000) as introduction:
            socket = await accept(
                stream,
                subprotocol=None,
                max_message_bytes=min(limits.max_message_bytes, _MAX_MESSAGE_BYTES),
                frames_per_s=most_frames_per_s(limits.messages_per_s),
                answer_timeout_s=limits.send_timeout_ms / 1000,
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
            async with trio.open_nursery() as nursery:
                at_once_s = listening_batch_s(has_ear=server.providers.activity is not None)
                nursery.start_soon(wake_for, at_once_s, stream)
                await self._begin(server, socket, start)
                nursery.cancel_scope.cancel()

    async def _begin(self, server: Server, socket: WebSocket, start: Start) -> None:
        said = start.parameters
        data = CallData(
            start.call_sid,
            start.account_sid,
            said.get("from", ""),
            said.get("to", ""),
            said.get("call", ""),
        )
        live = self.calls.live(data.call_id)
        if live is not None:
            data = attrs.evolve(data, stream_number=live.stream_number)
        with bound_contextvars(call=start.call_sid):
            try:
                if self.settings.account_sid not in ("", start.account_sid):
                    raise TokenRefused("the call is another account's")
                self.tokens.redeem(said.get("token", ""), data)
                if live is None or live.is_ending:
                    raise TokenRefused("the call is over")
                if not await _is_free(live):
                    raise TokenRefused("the call's stream before has not ended")
            except TokenRefused as error:
                await self._refuse(server, socket, str(error))
                return
            await self._hold(server, socket, start, live)

    async def _hold(self, server: Server, socket: WebSocket, start: Start, live: LiveCall) -> None:
        # A call that comes back goes on: it is the same session to whoever reads of it.
        session_id = live.record.session_id or server.new_id()
        language, past = self.settings.language, live.past
        options = InputOptions(RATE_HZ, language, encoding="mulaw", starts_once=True)
        codec = PhoneCodec(start, options)

        def new_call() -> Call:
            if past is not None and live.comeback is not None:
                remember_return(past, live.comeback.why, at_ms=server.wall_ms())
            record = live.record
            about = {
                "callSid": record.sid,
                "from": record.from_number,
                "to": record.to_number,
                "direction": record.direction,
                "callId": record.id,
            }
            call = server.new_call(
                codec,
                session_id,
                prospect_of(server.known_of(about), live.order),
                phone_settings(server.settings, live),
            )
            return attrs.evolve(self.equip(live, counted(call)), past=past)

        begun = False

        def began(conductor: Conductor) -> None:
            nonlocal begun
            begun = True
            live.session_began(conductor)

        try:
            held = await server.hold(socket, session_id, new_call, place=live.place, began=began)
        finally:
            live.session_ended()
            if live.may_return:
                self.calls.keep_place(live)  # before anybody else can have it
        if not held:
            live.hang_up("there was no place for its session")
            await self._refuse(server, socket, "at capacity", 1013)
        elif not begun:
            live.hang_up("its session failed")
        if codec.order.lost:
            _log.info("frames were lost on the way", frames=codec.order.lost)

    async def _refuse(
        self, server: Server, socket: WebSocket, reason: str, code: int = 1008
    ) -> None:
        _log.warning("stream refused", reason=reason)
        with trio.move_on_after(server.settings.server.send_timeout_ms / 1000):
            await socket.close(code)


def phone_settings(settings: Settings, live: LiveCall) -> Settings:
    """What is different in a phone call, and in this one."""
    phone, order = settings.twilio, live.order
    settings = attrs.evolve(
        settings,
        playout=PlayoutSettings(lead_ms=phone.lead_ms, chunk_ms=phone.chunk_ms),
        server=attrs.evolve(
            settings.server, messages_per_s=max(settings.server.messages_per_s, _MESSAGES_PER_S)
        ),
    )
    if live.comeback is not None:
        back = literal(settings.transfer.unavailable_text)
        turns = attrs.evolve(settings.turns, greeting=back, greeting_is_firm=False)
        settings = attrs.evolve(settings, turns=turns)
    elif live.permit is not None:
        # What the permit was given for is said and heard, though most people say "Hello?" into it.
        opening = literal(live.permit.opening)
        turns = attrs.evolve(settings.turns, greeting=opening, greeting_is_firm=True)
        settings = attrs.evolve(settings, turns=turns)
    if order is not None and order.script is not None:
        prompts = attrs.evolve(settings.prompts, script=order.script)
        settings = attrs.evolve(settings, prompts=prompts)
    return settings


async def _is_free(live: LiveCall) -> bool:
    """Whether the call has no session: one that was put through gives it up by itself."""
    with trio.move_on_after(_GIVEN_UP_S):
        await live.until(lambda: live.conductor is None)
    return live.conductor is None


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
