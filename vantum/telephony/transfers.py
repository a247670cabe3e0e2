"""Transfers: a call is passed to one of our own people, by Twilio's REST API and TwiML.

- *Blind*: the live call is given new TwiML, which dials the colleague (`put_through`).
- *Warm*: the colleague is called, hears a summary and presses 1, while the caller goes on talking
  with the agent. Only then is the caller brought into the conference in which the colleague waits.
  If he hangs up meanwhile, so do we on the colleague.

Whom to call stands in the settings. A colleague's call is dialled like any other: with a permit,
and on a line of its own; what it costs is in the caller's record.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import trio
from attrs import define, field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from vantum.compliance.permit import DialPermit
from vantum.config.telephony import TwilioSettings
from vantum.config.transfer import TransferSettings
from vantum.core.call_status import FINAL
from vantum.errors import VantumError
from vantum.observe.logs import get_log
from vantum.telephony import transfer_twiml
from vantum.telephony.calls import Calls
from vantum.telephony.carrier import CarrierError, Dial
from vantum.telephony.invitations import Invitations
from vantum.telephony.lifecycle import CALLS_PATH
from vantum.telephony.live import LiveCall
from vantum.telephony.passing import Passing, TransferFailed, our_number, tell_of_leg, xml
from vantum.telephony.put_through import PutThrough
from vantum.telephony.signatures import Form, Signatures, value

#: How asking a colleague ends. `gone`: the caller has hung up meanwhile.
Decision: TypeAlias = Literal[
    "accepted", "declined", "busy", "no-answer", "failed", "canceled", "gone"
]

#: A summary is spoken in so long; TwiML has room for 4000 characters in all.
MAX_SUMMARY_CHARS: Final = 600
#: Behind the rings and the wait for the key: the summary itself, and callbacks on their way.
SPOKEN_S: Final = 75.0
#: One end of a conference follows the other; then it was not told.
_GRACE_S: Final = 5.0
_FAREWELL_S: Final = 3.0

_log = get_log("phone")


@define(eq=False)
class Asked:
    """A colleague who is asked to take a call."""

    id: str
    live: LiveCall
    name: str
    summary: str
    decision: Decision | None = None
    sid: str = ""
    decided: trio.Event = field(factory=trio.Event)
    #: Nobody of ours is on this line any more.
    over: trio.Event = field(factory=trio.Event)
    #: We hang up on the colleague.
    dropped: trio.Event = field(factory=trio.Event)

    def decide(self, decision: Decision) -> None:
        """The first word counts."""
        if self.decision is None:
            self.decision = decision
            self.decided.set()


@define(eq=False)
class Transfers:
    """All transfers of a process."""

    twilio: TwilioSettings
    settings: TransferSettings
    calls: Calls
    invitations: Invitations
    passing: Passing = field(init=False)
    signatures: Signatures = field(init=False)
    blind: PutThrough = field(init=False)
    _asked: dict[str, Asked] = field(factory=dict, init=False)

    @passing.default
    def _new_passing(self) -> Passing:
        return Passing(self.twilio, self.settings, self.calls)

    @signatures.default
    def _new_signatures(self) -> Signatures:
        return Signatures(self.twilio)

    @blind.default
    def _new_blind(self) -> PutThrough:
        return PutThrough(self.passing, self.signatures, self.invitations)

    @property
    def is_possible(self) -> bool:
        """Whether there is somebody to transfer to, and a way to do it."""
        can_dial = self.calls.means.carrier is not None and bool(self.twilio.public_url)
        return can_dial and bool(self.settings.destinations)

    def is_under_way(self, live: LiveCall) -> bool:
        """Whether a colleague is being asked to take this call, or has it."""
        return live.handed_over or any(asked.live is live for asked in self._asked.values())

    # ------------------------------------------------------------ warm

    async def ask(self, live: LiveCall, name: str, summary: str) -> Asked:
        """Call a colleague; `Asked.decided` is set when he has taken the call or will not.

        Whoever asks must then `connect` or `drop` him.

        Raises:
            TransferFailed: he may not be called.
        """
        permit = await self.passing.permit(live, name)
        asked = Asked(self.calls.means.new_id(), live, name, summary[:MAX_SUMMARY_CHARS])
        self._asked[asked.id] = asked
        self.calls.nursery.start_soon(self._follow, asked, permit)
        return asked

    async def connect(self, asked: Asked) -> None:
        """Bring the caller to the colleague who has accepted.

        Raises:
            TransferFailed: it could not be done; the colleague is let go.
        """
        try:
            if asked.over.is_set():
                raise TransferFailed(f"{asked.name} has hung up again")
            await self.passing.redirect(
                asked.live,
                asked.name,
                self._conference(asked, left=f"{self.passing.about(asked.live)}/{asked.id}/left"),
            )
        except BaseException:
            self.drop(asked)
            raise

    def drop(self, asked: Asked) -> None:
        """Hang up on the colleague, whatever he is at."""
        asked.decide("gone")
        asked.dropped.set()

    async def _follow(self, asked: Asked, permit: DialPermit) -> None:
        """The colleague's call, from its line to its end."""
        try:
            async with self.calls.line():
                asked.sid = (await self.calls.dial(permit, self._dial(asked))).sid
                stopped = True
                try:
                    await self._until_over(asked)
                    stopped = False
                finally:
                    # When the server stops, who has been connected goes on without it.
                    if not (asked.over.is_set() or (stopped and asked.live.handed_over)):
                        await self._end(asked)
        except VantumError as error:
            _log.warning("a colleague could not be called", to=asked.name, error=str(error))
        except Exception:
            # One transfer's failure goes no further: all calls of the process run beside it.
            _log.exception("a transfer failed", to=asked.name)
        finally:
            asked.decide("failed")
            asked.over.set()
            del self._asked[asked.id]

    async def _until_over(self, asked: Asked) -> None:
        settings = self.settings
        limit_s = (settings.ring_timeout_ms + settings.accept_timeout_ms) / 1000 + SPOKEN_S
        with trio.move_on_after(limit_s):
            await asked.decided.wait()
        asked.decide("no-answer")
        if asked.decision != "accepted":
            return
        async with trio.open_nursery() as nursery:

            async def unless_dropped() -> None:
                await asked.dropped.wait()
                nursery.cancel_scope.cancel()

            async def unless_alone() -> None:
                await asked.live.until(lambda: asked.live.progress.is_over)
                await trio.sleep(_GRACE_S)
                nursery.cancel_scope.cancel()

            nursery.start_soon(unless_dropped)
            nursery.start_soon(unless_alone)
            with trio.move_on_after(self.twilio.max_call_ms / 1000):
                await asked.over.wait()
            nursery.cancel_scope.cancel()
        await self._tell_of_the_end(asked.live)

    async def _tell_of_the_end(self, live: LiveCall) -> None:
        """When the colleague has left the conference it is over, and so is the caller's call."""
        if not live.handed_over:
            return
        with trio.move_on_after(_GRACE_S):
            await live.until(lambda: live.progress.is_over)
        live.told("completed")

    async def _end(self, asked: Asked) -> None:
        carrier = self.calls.means.carrier
        assert carrier is not None
        with trio.move_on_after(_FAREWELL_S, shield=True):
            try:
                await carrier.end_call(asked.sid)
            except CarrierError as error:
                _log.warning("a colleague's call could not be ended", error=str(error))

    def _dial(self, asked: Asked) -> Dial:
        about = f"{self.passing.about(asked.live)}/{asked.id}"
        return Dial(
            from_number=self.twilio.from_number or our_number(asked.live.record),
            twiml=transfer_twiml.question(
                self.settings, self.twilio.language, asked.summary, f"{about}/key"
            ),
            status_url=f"{about}/status",
            ring_timeout_s=self.settings.ring_timeout_ms // 1000,
            time_limit_s=self.twilio.max_call_ms // 1000,
        )

    # ------------------------------------------------------------ Twilio's requests

    @property
    def routes(self) -> tuple[BaseRoute, ...]:
        """For the server's HTTP side."""
        of_call = f"{CALLS_PATH}/{{call_id}}/transfer"
        return (
            *self.blind.routes,
            Route(f"{of_call}/{{asked_id}}/key", self.key, methods=["POST"]),
            Route(f"{of_call}/{{asked_id}}/status", self.status, methods=["POST"]),
            Route(f"{of_call}/{{asked_id}}/left", self.left, methods=["POST"]),
        )

    async def key(self, request: Request) -> Response:
        """The colleague has pressed a key."""
        form, _ = await self.signatures.form(request)
        asked = self._found(request, form)
        if asked is None or value(form, "Digits") != "1":
            if asked is not None:
                asked.decide("declined")
            return xml(transfer_twiml.hang_up())
        asked.decide("accepted")
        if asked.decision != "accepted":
            return xml(transfer_twiml.hang_up())
        return xml(self._conference(asked))

    def _conference(self, asked: Asked, *, left: str = "") -> str:
        return transfer_twiml.conference(f"transfer-{asked.id}", left=left)

    async def status(self, request: Request) -> Response:
        """Something became of the colleague's call."""
        form, _ = await self.signatures.form(request)
        asked, status = self._found(request, form), value(form, "CallStatus")
        if asked is not None:
            tell_of_leg(asked.live, self.settings.destinations[asked.name], form)
        if asked is not None and status in FINAL:
            endings: dict[str, Decision] = {
                "busy": "busy",
                "no-answer": "no-answer",
                "failed": "failed",
                "canceled": "canceled",
            }
            asked.decide(endings.get(status, "declined"))
            asked.over.set()
        return Response(status_code=204)

    async def left(self, request: Request) -> Response:
        """The caller's part in the conference is over."""
        await self.signatures.form(request)
        live = self.calls.live(request.path_params["call_id"])
        if live is not None and live.handed_over:
            live.told("completed")
        return xml(transfer_twiml.hang_up())

    def _found(self, request: Request, form: Form) -> Asked | None:
        asked = self._asked.get(request.path_params["asked_id"])
        if asked is None or asked.live.id != request.path_params["call_id"]:
            return None
        # Callbacks may be faster than the answer that says what the call is called.
        asked.sid = asked.sid or value(form, "CallSid")
        return asked if asked.sid == value(form, "CallSid") else None
