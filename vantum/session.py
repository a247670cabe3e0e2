"""One call: open the channels, start the actors. Closing the socket ends the nursery."""

from __future__ import annotations

from collections.abc import Callable

import trio

from vantum.actors.call import Call, ClientSocket, Inbox, Outgoing
from vantum.actors.conductor import Conductor, Orders
from vantum.actors.lane import AudioLane, listening_batch_s
from vantum.actors.link import Wanted
from vantum.actors.reader import read
from vantum.actors.resampler import Ear, resample
from vantum.actors.stt import Listen, recognise
from vantum.actors.tts import own_synthesiser
from vantum.actors.writer import Delivery, write
from vantum.core.events import Welcome
from vantum.core.messages import SttInput
from vantum.turn import respond


async def run_session(
    call: Call, socket: ClientSocket, *, began: Callable[[Conductor], None]
) -> None:
    """Hold one conversation until either side ends it.

    `began` is given the conductor, whose state the server reports and whom it may ask to close.
    Whatever goes wrong inside comes out as an exception group, for the server to look at.
    """
    # Events for the conductor: it is always quick, so this only rides out a burst.
    inbox_tx, inbox_rx = trio.open_memory_channel[Inbox](64)
    # Messages for the client: with 100 ms chunks that is more than the lead, and still soon gone.
    out_tx, out_rx = trio.open_memory_channel[Outgoing](8)
    # Audio for the recogniser: two frames; what waits longer waits in the lane, which may drop it.
    stt_tx, stt_rx = trio.open_memory_channel[SttInput](2)
    recogniser, synthesiser = Wanted[Listen](), Wanted[None]()
    at_once_s, ear = listening_batch_s(has_ear=call.activity is not None), Ear.of(call)
    lane = AudioLane(call.settings.session.input_buffer_ms / 1000, at_once_s)
    delivery = Delivery(socket)

    async with trio.open_nursery() as nursery:

        async def until_closed() -> None:
            await write(call, delivery, out_rx, conductor.answering.first_sent)
            nursery.cancel_scope.cancel()

        await out_tx.send(Welcome())
        orders = Orders(recogniser, synthesiser, lane, ear, delivery.arrived)
        conductor = Conductor.of(call, nursery, respond, inbox_tx, inbox_rx, out_tx, out_rx, orders)
        nursery.start_soon(until_closed)
        nursery.start_soon(resample, lane, stt_tx, call.recognisers.takes, ear, inbox_tx)
        nursery.start_soon(recognise, call, recogniser, stt_rx, inbox_tx, nursery)
        nursery.start_soon(own_synthesiser, call, synthesiser, inbox_tx, nursery)
        nursery.start_soon(conductor.run)
        began(conductor)
        await read(call, socket, lane, inbox_tx, out_tx, nursery)
        nursery.cancel_scope.cancel()
