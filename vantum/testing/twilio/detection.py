"""Who answered: the detection of one call, and how the server is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import trio

from vantum.testing.twilio.amd import Detector
from vantum.testing.twilio.call import Amd, PhoneCall
from vantum.testing.twilio.personas import AnsweredBy, AnsweringMachine, Person

if TYPE_CHECKING:
    from vantum.testing.twilio.exchange import Exchange

#: A persona that says itself what it is taken for is so long after the answer.
_VERDICT_S: Final = 3.0


async def detect(call: PhoneCall, amd: Amd) -> None:
    """Find out who answered: `call.answered_by`."""
    assert call.answered_s is not None
    persona = call.persona
    given = persona.answered_by if isinstance(persona, Person | AnsweringMachine) else None
    if given is not None:
        await trio.sleep(_VERDICT_S)
        call.answered_by = given
    else:
        call.answered_by = await _listen_in(call, amd)
    call.detected_ms = round((trio.current_time() - call.answered_s) * 1000)
    call.changed()


async def detect_aside(exchange: Exchange, call: PhoneCall, amd: Amd) -> None:
    """The same while the call goes on; the server is told by a callback."""
    if not amd.url:
        call.problem(21262, "No AMD status callback URL provided: nobody is told who answered")
    await detect(call, amd)
    fields = {
        "CallSid": call.sid,
        "AccountSid": call.account_sid,
        "AnsweredBy": str(call.answered_by),
        "MachineDetectionDuration": str(call.detected_ms),
    }
    exchange.webhooks.tell(exchange.account_of(call), call, amd.url, amd.method, fields)


async def _listen_in(call: PhoneCall, amd: Amd) -> AnsweredBy:
    detector, verdict, leg = Detector(amd), trio.Event(), call.leg
    found: list[AnsweredBy] = []

    def hear(frame: bytes) -> None:
        said = None if found else detector.feed(frame, leg.beeped_s is not None)
        if said is not None:
            found.append(said)
            verdict.set()

    leg.sinks.append(hear)
    try:
        await verdict.wait()
    finally:
        leg.sinks.remove(hear)
    return found[0]
