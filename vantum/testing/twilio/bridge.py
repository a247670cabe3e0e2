"""`<Dial>`: one call connected with others, by number or in a conference.

Sources: "TwiML Voice: <Dial>", https://www.twilio.com/docs/voice/twiml/dial; "<Number>",
https://www.twilio.com/docs/voice/twiml/number; "<Conference>",
https://www.twilio.com/docs/voice/twiml/conference; errors 13214 and 13223 of
https://www.twilio.com/docs/api/errors.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin

import trio
from attrs import define, field

from vantum.testing.twilio import program
from vantum.testing.twilio import twiml as t
from vantum.testing.twilio.call import CallOptions, PhoneCall, Source
from vantum.testing.twilio.leg import Leg
from vantum.testing.twilio.webhooks import WebhookFailed

if TYPE_CHECKING:
    from vantum.testing.twilio.exchange import Exchange

_E164: Final = re.compile(r"\+[1-9][0-9]{6,14}")


async def dial(exchange: Exchange, call: PhoneCall, verb: t.Dial, base_url: str) -> Source | None:
    """Connect a call and wait until that is over; gives the action's document, if there is one."""
    if isinstance(verb.to, t.Conference):
        await _confer(exchange, call, verb.to, base_url)
        fields: tuple[tuple[str, str], ...] = (("DialCallStatus", "answered"),)
    else:
        fields = await _ring_all(exchange, call, verb, verb.to, base_url)
    if verb.action is None:
        return None
    return Source(urljoin(base_url, verb.action), verb.method, fields=fields)


# ---------------------------------------------------------------- numbers


async def _ring_all(
    exchange: Exchange,
    call: PhoneCall,
    verb: t.Dial,
    numbers: Sequence[t.Number],
    base_url: str,
) -> tuple[tuple[str, str], ...]:
    """Ring all; the first who picks up is connected. Gives what the action is told."""
    may_show = (*exchange.account_of(call).numbers, call.from_number, call.to_number)
    if verb.caller_id and verb.caller_id not in may_show:
        call.problem(13214, f"Dial: Invalid callerId value {verb.caller_id!r}")
        return (("DialCallStatus", "failed"),)
    for number in numbers:
        if not _E164.fullmatch(number.number):
            call.problem(13223, f"Dial: Invalid phone number format {number.number!r}")
            return (("DialCallStatus", "failed"),)
    children = [_child(exchange, call, verb, number, base_url) for number in numbers]

    async def serve(child: PhoneCall, number: t.Number) -> None:
        try:
            with child.scope:
                if not await exchange.ring(child):
                    return
                for other in children:
                    if other is not child:
                        other.end("another party picked up")
                async with exchange.alive(child):
                    if await _whispered(exchange, child, number, base_url):
                        with connected(call.leg, child.leg), _star(call, child, verb):
                            child.bridged = True
                            child.changed()
                            await trio.sleep(verb.time_limit_s)
        finally:
            exchange.finish(child)

    async with trio.open_nursery() as nursery:
        for child, number in zip(children, numbers, strict=True):
            nursery.start_soon(serve, child, number)
    reached = next((c for c in children if c.answered_s is not None), children[-1])
    told = [
        ("DialCallSid", reached.sid),
        ("DialCallStatus", reached.status),
        ("DialBridged", str(reached.bridged).lower()),
    ]
    if reached.answered_s is not None:
        told.append(("DialCallDuration", str(reached.duration_s)))
    return tuple(told)


def _child(
    exchange: Exchange, call: PhoneCall, verb: t.Dial, number: t.Number, base_url: str
) -> PhoneCall:
    options = CallOptions(
        status_url=number.status_url and urljoin(base_url, number.status_url),
        status_method=number.status_method,
        status_events=number.status_events,
        timeout_s=verb.timeout_s,
        time_limit_s=verb.time_limit_s,
    )
    return exchange.new_call(
        call.account_sid,
        "outbound-dial",
        verb.caller_id or call.from_number,
        number.number,
        exchange.script.persona(number.number),
        options,
        call.sid,
    )


async def _whispered(exchange: Exchange, child: PhoneCall, number: t.Number, base_url: str) -> bool:
    """What is for the one who picked up alone; whether they are to be connected after it."""
    if number.send_digits:
        await program.carry_out(exchange, child, (t.PlayDigits(number.send_digits),), base_url)
    source = Source(urljoin(base_url, number.url), number.method) if number.url else None
    try:
        while source is not None:
            document = await exchange.read(child, source)
            source = await program.carry_out(exchange, child, *document)
    except program.HungUp as done:
        child.end(str(done))
        return False
    except (WebhookFailed, t.BadTwiml) as error:
        child.problem(error.code, str(error))
        child.end(f"error {error.code}")
        return False
    return True


@contextmanager
def connected(one: Leg, other: Leg) -> Iterator[None]:
    """Two telephones hear each other, as long as the block."""
    one.sinks.append(other.earpiece.mix)
    other.sinks.append(one.earpiece.mix)
    try:
        yield
    finally:
        one.sinks.remove(other.earpiece.mix)
        other.sinks.remove(one.earpiece.mix)


@contextmanager
def _star(call: PhoneCall, child: PhoneCall, verb: t.Dial) -> Iterator[None]:
    """`hangupOnStar`: the caller leaves the party with a `*`."""

    def key(digit: str) -> None:
        if verb.hangup_on_star and digit == "*":
            child.end("the caller pressed *")

    call.leg.key_sinks.append(key)
    try:
        yield
    finally:
        call.leg.key_sinks.remove(key)


# ---------------------------------------------------------------- conferences


@define(eq=False)
class Member:
    """A call in a room. `out` is set when the conference is over for it."""

    call: PhoneCall
    noun: t.Conference
    out: trio.Event = field(factory=trio.Event)


@define(eq=False)
class Room:
    """A conference. It begins when somebody is there who may begin it."""

    sid: str
    name: str
    status_url: str
    status_method: str
    status_events: tuple[str, ...]
    members: list[Member] = field(factory=list)
    started: bool = False
    sequence: int = 0

    def say(self, speaker: Member, frame: bytes) -> None:
        """All others hear it."""
        if self.started and not speaker.noun.muted:
            for member in self.members:
                if member is not speaker:
                    member.call.leg.earpiece.mix(frame)


async def _confer(exchange: Exchange, call: PhoneCall, noun: t.Conference, base_url: str) -> None:
    """Be in a conference until it is over."""
    room = exchange.rooms.get(noun.name)
    if room is None:
        room = exchange.rooms[noun.name] = Room(
            exchange.new_sid("CF"),
            noun.name,
            noun.status_url and urljoin(base_url, noun.status_url),
            noun.status_method,
            noun.status_events,
        )
    member = Member(call, noun)

    def speak(frame: bytes) -> None:
        assert room is not None
        room.say(member, frame)

    room.members.append(member)
    _tell(exchange, room, member, "join", "participant-join")
    if noun.start_on_enter and not room.started:
        room.started = True
        _tell(exchange, room, member, "start", "conference-start")
    call.leg.sinks.append(speak)
    call.changed()
    try:
        await member.out.wait()
    finally:
        call.leg.sinks.remove(speak)
        room.members.remove(member)
        _tell(exchange, room, member, "leave", "participant-leave")
        if noun.end_on_exit:
            for other in room.members:
                other.out.set()
        if (not room.members or noun.end_on_exit) and exchange.rooms.get(room.name) is room:
            del exchange.rooms[room.name]
            _tell(exchange, room, member, "end", "conference-end")


def _tell(exchange: Exchange, room: Room, member: Member, event: str, name: str) -> None:
    if event not in room.status_events:
        return
    call, noun = member.call, member.noun
    fields = {
        "ConferenceSid": room.sid,
        "FriendlyName": room.name,
        "AccountSid": call.account_sid,
        "StatusCallbackEvent": name,
        "Timestamp": exchange.mail_time(trio.current_time()),
        "SequenceNumber": str(room.sequence),
    }
    room.sequence += 1
    if name.startswith("participant"):
        fields |= {
            "CallSid": call.sid,
            "Muted": str(noun.muted).lower(),
            "Hold": "false",
            "Coaching": "false",
            "StartConferenceOnEnter": str(noun.start_on_enter).lower(),
            "EndConferenceOnExit": str(noun.end_on_exit).lower(),
        }
    account = exchange.account_of(call)
    exchange.webhooks.tell(account, call, room.status_url, room.status_method, fields)
