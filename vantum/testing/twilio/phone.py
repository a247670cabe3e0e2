"""The whole phone in memory: a server with its calls, and the simulated Twilio at both ends.

Under a clock that jumps (`vantum.testing.calls.simulate`, `autojump_clock` of pytest-trio) a call
of minutes takes milliseconds.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import attrs
import trio
from attrs import define

from vantum.config import Secret, Settings, StorageSettings
from vantum.server import Server
from vantum.telephony.calls import Calls
from vantum.telephony.desk import Desk, open_desk
from vantum.testing.calls.call import CallSetup, SimulatedCall, new_call, providers_of
from vantum.testing.memory import MemoryListener
from vantum.testing.twilio.hearing import Hearing
from vantum.testing.twilio.peer import SimulatedTwilio, twilio_in_memory
from vantum.testing.twilio.script import TwilioScript

#: A Monday, noon in New York: when a simulated phone begins, unless it is told otherwise.
NOON = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)
PUBLIC_URL = "https://server.test"


@define(eq=False)
class SimulatedPhone:
    """A running server with a phone, and all that surrounds it.

    Attributes:
        twilio: the telephone company.
        server, desk: what is tested.
        peers: the simulated Deepgram, OpenAI and Cartesia, with what they were asked.
    """

    twilio: SimulatedTwilio
    server: Server
    desk: Desk
    peers: SimulatedCall

    @property
    def voice_url(self) -> str:
        """What the phone number is connected with: for `twilio.ring`."""
        return f"{PUBLIC_URL}/twilio/voice"

    @property
    def calls(self) -> Calls:
        """To place and to look up calls."""
        assert self.desk.calls is not None
        return self.desk.calls


def phone_settings(settings: Settings, script: TwilioScript) -> Settings:
    """Settings whose phone is the simulated one, and which keep nothing on disk."""
    account = script.account
    twilio = attrs.evolve(
        settings.twilio,
        account_sid=account.sid,
        auth_token=Secret(account.auth_token),
        from_number=settings.twilio.from_number or account.numbers[0],
        public_url=PUBLIC_URL,
        base_url="http://twilio.test",
    )
    return attrs.evolve(settings, twilio=twilio, storage=StorageSettings(path=":memory:"))


@asynccontextmanager
async def simulated_phone(
    script: TwilioScript | None = None,
    setup: CallSetup | None = None,
    *,
    settings: Settings | None = None,
    began: datetime = NOON,
    label: str = "w0",
) -> AsyncIterator[SimulatedPhone]:
    """Serve while the body runs.

    Args:
        script: who is at the other end of the line, and what goes wrong with it.
        setup: the server's settings, its tools and its simulated providers; what a client does in
            it is of no use here. A recogniser without sentences of its own (`sentences=()`, as in
            `CallSetup()`) hears what people say in their calls.
        settings: exactly these; None: those of `setup`, by way of `phone_settings`.
        began: the time of day when it begins.
        label: see `vantum.telephony.desk.open_desk`.
    """
    script, setup = script or TwilioScript(), setup or CallSetup()
    hearing = Hearing()
    if not setup.deepgram.sentences:
        heard = attrs.evolve(setup.deepgram, sentences=("",), source=hearing.source)
        setup = attrs.evolve(setup, deepgram=heard)
    settings = settings or phone_settings(setup.settings, script)
    setup = attrs.evolve(setup, settings=settings)
    listener, ids = MemoryListener(), itertools.count(1)
    epoch_s = began.timestamp() - trio.current_time()
    async with trio.open_nursery() as nursery:
        twilio = twilio_in_memory(nursery, script, listener.open_stream, began=began)
        twilio.exchange.watchers.append(hearing.watch)
        peers = new_call(setup, nursery)
        async with (
            providers_of(peers) as providers,
            open_desk(
                settings,
                label=label,
                now_s=lambda: epoch_s + trio.current_time(),
                new_id=lambda: f"{next(ids):08x}",
                transport=twilio.transport(),
            ) as desk,
            trio.open_nursery() as serving,
        ):
            server = Server(
                settings,
                providers,
                desk.phone.routes,
                setup.tools,
                doors=desk.phone.doors,
                new_id=lambda: f"id-{next(ids)}",
                wall_ms=lambda: round((epoch_s + trio.current_time()) * 1000),
            )
            desk.attach(server)
            await serving.start(server.serve, [listener])
            yield SimulatedPhone(twilio, server, desk, peers)
            serving.cancel_scope.cancel()
        nursery.cancel_scope.cancel()
