"""The simulated telephone company: its calls, from dialling to the last callback."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Final

import trio
from attrs import define, field

from vantum.testing.calls.voice import speech
from vantum.testing.twilio import bridge, detection, program
from vantum.testing.twilio import twiml as t
from vantum.testing.twilio.call import (
    CallOptions,
    Direction,
    PhoneCall,
    Source,
    Status,
)
from vantum.testing.twilio.leg import Leg
from vantum.testing.twilio.personas import (
    AnsweringMachine,
    Busy,
    Failed,
    NoAnswer,
    Person,
    Persona,
    PutDown,
    Rejects,
    live,
)
from vantum.testing.twilio.script import Account, TwilioScript
from vantum.testing.twilio.sound import phone_audio
from vantum.testing.twilio.webhooks import WebhookFailed, Webhooks

_APPLICATION_ERROR: Final = "We are sorry. An application error has occurred. Goodbye."
#: From the order to the first ring.
_SETUP_S: Final = 0.2


@define(eq=False)
class Exchange:
    """All calls of one simulation and what they share.

    `began`: the time of day at which trio's clock showed `began_s`.
    """

    script: TwilioScript
    webhooks: Webhooks
    nursery: trio.Nursery
    rng: random.Random
    began: datetime
    began_s: float = field(factory=trio.current_time)
    calls: dict[str, PhoneCall] = field(factory=dict)
    rooms: dict[str, bridge.Room] = field(factory=dict)
    #: Told of each new call.
    watchers: list[Callable[[PhoneCall], None]] = field(factory=list)
    _free_s: float = 0.0  # when the next call may be dialled

    # ------------------------------------------------------------ small things

    def new_sid(self, prefix: str) -> str:
        """CA…, MZ… and the like."""
        return f"{prefix}{self.rng.getrandbits(128):032x}"

    def account_of(self, call: PhoneCall) -> Account:
        """Whose it is."""
        accounts = (self.script.account, *self.script.others)
        return next(account for account in accounts if account.sid == call.account_sid)

    def time_of(self, at_s: float) -> datetime:
        """The time of day of a moment on trio's clock, without fractions of a second."""
        at = self.began.timestamp() + at_s - self.began_s
        return datetime.fromtimestamp(int(at), UTC)

    def mail_time(self, at_s: float) -> str:
        """As in RFC 2822."""
        return format_datetime(self.time_of(at_s))

    def iso_time(self) -> str:
        """Now, as in ISO 8601, with microseconds."""
        at = self.began.timestamp() + trio.current_time() - self.began_s
        return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")

    def fields(self, call: PhoneCall, **more: str) -> dict[str, str]:
        """What every request about a call says."""
        numbers = {"From": call.from_number, "To": call.to_number}
        numbers |= {"Caller": call.from_number, "Called": call.to_number}
        places = {
            f"{who}{what}": "US" if what == "Country" else ""
            for who in numbers
            for what in ("City", "State", "Zip", "Country")
        }
        parent = {"ParentCallSid": call.parent_sid} if call.parent_sid else {}
        return {
            "CallSid": call.sid,
            "AccountSid": call.account_sid,
            **numbers,
            **places,
            **parent,
            "CallStatus": call.status,
            "Direction": call.direction,
            "ApiVersion": "2010-04-01",
            **more,
        }

    # ------------------------------------------------------------ new calls

    def new_call(
        self,
        account_sid: str,
        direction: Direction,
        from_number: str,
        to_number: str,
        persona: Persona,
        options: CallOptions,
        parent_sid: str = "",
    ) -> PhoneCall:
        """A call that nothing has become of yet."""
        now_s = trio.current_time()
        call = PhoneCall(
            sid=self.new_sid("CA"),
            account_sid=account_sid,
            direction=direction,
            from_number=from_number,
            to_number=to_number,
            persona=persona,
            options=options,
            created_s=now_s,
            leg=Leg(self.script.keeps_audio),
            parent_sid=parent_sid,
            updated_s=now_s,
        )
        self.calls[call.sid] = call
        for watcher in self.watchers:
            watcher(call)
        return call

    def place(self, account_sid: str, from_: str, to: str, options: CallOptions) -> PhoneCall:
        """Queue an outbound call."""
        persona = self.script.persona(to)
        call = self.new_call(account_sid, "outbound-api", from_, to, persona, options)
        call.become("queued")
        now_s = trio.current_time()
        due_s = max(now_s, self._free_s)
        if self.script.calls_per_s:
            self._free_s = due_s + 1 / self.script.calls_per_s
        call.queued_ms = round((due_s - now_s) * 1000)
        self.nursery.start_soon(self._outbound, call, due_s)
        return call

    async def _outbound(self, call: PhoneCall, due_s: float) -> None:
        with call.scope:
            await trio.sleep_until(due_s)
            if await self.ring(call):
                await self.talk(call)
        self.finish(call)

    def come_in(self, from_: str, to: str, caller: Persona, options: CallOptions) -> PhoneCall:
        """Somebody calls one of our numbers."""
        sid = self.script.account.sid
        call = self.new_call(sid, "inbound", from_, to, caller, options)
        call.become("ringing")
        self.nursery.start_soon(self._inbound, call)
        return call

    async def _inbound(self, call: PhoneCall) -> None:
        with call.scope:
            await self._answer(call)
        self.finish(call)

    async def _answer(self, call: PhoneCall) -> None:
        assert call.options.source is not None
        try:
            document = await self.read(call, call.options.source)
        except (WebhookFailed, t.BadTwiml) as error:
            call.problem(error.code, str(error))
            call.given_up, call.ended_because = "failed", f"error {error.code}"
            return
        match document[0][:1]:
            case (t.Pause(seconds),):
                await trio.sleep(seconds)  # and only then Twilio picks up
                document = document[0][1:], document[1]
            case (t.Reject(reason),):
                call.given_up = "busy" if reason == "busy" else "no-answer"
                call.ended_because = "the TwiML rejects it"
                return
        call.leg.pick_up()
        call.become("in-progress")
        self.tell_status(call, "answered")
        async with self.alive(call):
            await self._programs(call, None, {}, document)

    # ------------------------------------------------------------ dialling

    async def ring(self, call: PhoneCall) -> bool:
        """Dial and ring; whether somebody picks up. What becomes of it else is in the status."""
        call.become("initiated")
        call.dialled_s = trio.current_time()
        self.tell_status(call, "initiated")
        await trio.sleep(_SETUP_S)
        match call.persona:
            case Busy(after_s):
                await trio.sleep(after_s)
                return self._not_answered(call, "busy", 486)
            case Failed(after_s, sip_code):
                await trio.sleep(after_s)
                return self._not_answered(call, "failed", sip_code)
            case NoAnswer():
                rings_s = float("inf")
            case persona:
                rings_s = persona.rings_s
        call.become("ringing")
        self.tell_status(call, "ringing")
        with trio.move_on_after(call.options.timeout_s) as patience:
            await trio.sleep(rings_s)
        if patience.cancelled_caught:
            return self._not_answered(call, "no-answer", 487)
        if isinstance(call.persona, Rejects):
            return self._not_answered(call, "busy", 603)
        call.leg.pick_up()
        call.become("in-progress")
        self.tell_status(call, "answered")
        return True

    def _not_answered(self, call: PhoneCall, status: Status, sip_code: int) -> bool:
        call.given_up, call.sip_code = status, sip_code
        call.ended_because = status
        return False

    async def talk(self, call: PhoneCall) -> None:
        """The call is answered: both sides live until one ends it."""
        options = call.options
        if options.amd is not None and not options.amd.is_async:
            # Twilio asks for TwiML only when it knows who it is.
            async with self.alive(call):
                await detection.detect(call, options.amd)
                answered_by = call.answered_by or "unknown"
                more = {
                    "AnsweredBy": answered_by,
                    "MachineDetectionDuration": str(call.detected_ms),
                }
                await self._programs(call, options.source, more)
            return
        async with self.alive(call) as nursery:
            if options.amd is not None:
                nursery.start_soon(detection.detect_aside, self, call, options.amd)
            await self._programs(call, options.source, {})

    @asynccontextmanager
    async def alive(self, call: PhoneCall) -> AsyncIterator[trio.Nursery]:
        """The other side speaks, hears and may hang up, as long as the block."""

        async def person() -> None:
            assert isinstance(call.persona, Person | AnsweringMachine)
            try:
                await live(call.persona, call.leg)
            except PutDown as why:
                call.end(str(why))

        async def limit() -> None:
            await trio.sleep(call.options.time_limit_s)
            call.end("the time limit is over")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(call.leg.run)
            nursery.start_soon(person)
            nursery.start_soon(limit)
            yield nursery
            nursery.cancel_scope.cancel()

    # ------------------------------------------------------------ TwiML

    async def _programs(
        self,
        call: PhoneCall,
        source: Source | None,
        more: Mapping[str, str],
        document: tuple[tuple[t.Verb, ...], str] | None = None,
    ) -> None:
        """Carry out one document after the other, until the last is over."""
        if call.options.send_digits:
            await program.carry_out(self, call, (t.PlayDigits(call.options.send_digits),), "")
        while source is not None or document is not None:
            call.redirected = None
            with trio.CancelScope() as call.program:
                source = await self._step(call, source, more, document)
            source, document = call.redirected or source, None
            more = {}
        call.end("the TwiML is over")

    async def _step(
        self,
        call: PhoneCall,
        source: Source | None,
        more: Mapping[str, str],
        document: tuple[tuple[t.Verb, ...], str] | None,
    ) -> Source | None:
        try:
            if document is None:
                assert source is not None
                document = await self.read(call, source, more)
            return await program.carry_out(self, call, *document)
        except program.HungUp as done:
            call.end(str(done))
        except (WebhookFailed, t.BadTwiml) as error:
            call.problem(error.code, str(error))
            fallback = call.options.fallback
            if source is not None and fallback is not None and source.url != fallback.url:
                fields = (("ErrorCode", str(error.code)), ("ErrorUrl", source.url))
                return Source(fallback.url, fallback.method, fields=fields)
            await trio.sleep_until(call.leg.earpiece.play(phone_audio(speech(_APPLICATION_ERROR))))
            call.end(f"error {error.code}")
        return None

    async def read(
        self, call: PhoneCall, source: Source, more: Mapping[str, str] | None = None
    ) -> tuple[tuple[t.Verb, ...], str]:
        """A document, and what its addresses are relative to. `more`: further fields.

        Raises:
            WebhookFailed, BadTwiml: there is none.
        """
        if source.twiml:
            return t.parse(source.twiml), ""
        fields = self.fields(call, **dict(source.fields), **(more or {}))
        account = self.account_of(call)
        body = await self.webhooks.fetch_twiml(account, source.url, source.method, fields)
        return t.parse(body), source.url

    # ------------------------------------------------------------ status

    def tell_status(self, call: PhoneCall, event: str) -> None:
        """Post a status callback, if this event was asked for."""
        options = call.options
        if not options.status_url or event not in options.status_events:
            return
        more = {
            "Timestamp": self.mail_time(trio.current_time()),
            "CallbackSource": "call-progress-events",
            "SequenceNumber": str(call.sequence),
        }
        call.sequence += 1
        if call.status in ("ringing", "in-progress"):
            more["StirStatus"] = "A"
        if call.is_over:
            seconds = call.duration_s or 0
            more |= {"SipResponseCode": str(call.sip_code), "CallDuration": str(seconds)}
            if call.answered_s is not None:
                more["Duration"] = str(-(-seconds // 60))
            if call.answered_by is not None:
                more["AnsweredBy"] = call.answered_by
        account, fields = self.account_of(call), self.fields(call, **more)
        self.webhooks.tell(account, call, options.status_url, options.status_method, fields)

    def finish(self, call: PhoneCall) -> None:
        """It is over: the last status, and its callback."""
        if not call.is_over:
            call.become("completed" if call.answered_s is not None else call.given_up)
            self.tell_status(call, "completed")
        call.over.set()
