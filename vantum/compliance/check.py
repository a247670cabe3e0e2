"""The compliance check: the only way to a `DialPermit`.

`permit` asks every rule and writes the answer into the audit log; `redeem`, right before the dial,
asks all of them again (somebody may have opted out while the call waited its turn, or the hours may
be over) and counts the attempt in the same transaction, so that two processes cannot both make the
last call that is allowed. Whatever goes wrong refuses: a call that is not made can be made later.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Collection
from functools import partial
from typing import Any, Final

import trio
from attrs import define, evolve, field, frozen
from uuid_utils import uuid7

from vantum.compliance import store
from vantum.compliance.audit import AuditLog
from vantum.compliance.evidence import about_request, evidence_of, reasons_of
from vantum.compliance.journal import FileJournal
from vantum.compliance.numbers import check_installed, place_of, to_e164, zone_named
from vantum.compliance.permit import (
    DialPermit,
    DialRequest,
    PermitRefused,
    Reason,
    Refusal,
    seal_of,
)
from vantum.config import Settings
from vantum.core.dial_policy import DialFacts, DialRules, Place, decide
from vantum.core.refusals import ReasonCode
from vantum.errors import AuditError, StorageError
from vantum.observe.logs import get_log
from vantum.storage.database import Database

__all__ = ["SCHEMA", "Compliance", "open_compliance"]

SCHEMA: Final = store.SCHEMA

#: Clocks of several processes, and the time that a lock takes.
_CLOCK_TOLERANCE_S: Final = 2.0
#: When our own machinery fails, it may be better soon.
_RETRY_S: Final = 60.0
#: An opt-out is written down even while the call around it ends.
_OPT_OUT_S: Final = 15.0

_ANY_NUMBER: Final = "+12125550123"

_log = get_log("compliance")


@frozen
class _Issued:
    """A permit that this process has given, and whether it was used."""

    permit: DialPermit
    request: DialRequest
    is_used: bool = False


@define(eq=False)
class Compliance:
    """Permits, and whatever forbids them. Made by `open_compliance`.

    One process holds one of it; several processes share its database and audit log. A permit is
    good in the process that gave it.
    """

    _rules: DialRules
    _colleagues: frozenset[str]
    _lifetime_s: float
    _database: Database
    _audit: AuditLog
    _now_s: Callable[[], float]
    _issued: dict[str, _Issued] = field(factory=dict, init=False)
    #: Opt-outs that the database has not taken yet: they hold all the same.
    _unwritten: set[str] = field(factory=set, init=False)

    async def permit(self, request: DialRequest) -> DialPermit | Refusal:
        """Ask whether a call may be made. The answer stands in the audit log before it is given.

        Never raises: what fails is a refusal.
        """
        now_s = self._now_s()
        number = request.number
        try:
            number = to_e164(request.number) or number
            refusal, evidence = await self._judge(request, number, now_s)
        except Exception as error:  # whatever it is: in doubt nobody is called
            refusal, evidence = self._failed(number, error, now_s), {}
        about = {"number": number, "purpose": request.purpose, **about_request(request), **evidence}
        if refusal is None:
            permit = self._new_permit(request, number, now_s)
            about |= {"permit_id": permit.permit_id, "expires_s": permit.expires_s}
            if await self._recorded("permit.issued", about):
                self._forget_old(now_s)
                self._issued[permit.permit_id] = _Issued(permit, request)
                return permit
            return self._unrecorded(number, now_s)
        if not await self._recorded("permit.refused", {**about, **reasons_of(refusal)}):
            reasons = (*refusal.reasons, *self._unrecorded(number, now_s).reasons)
            return evolve(refusal, reasons=reasons)
        return refusal

    async def redeem(self, permit: DialPermit) -> None:
        """Use a permit: call this right before the dial, once. The attempt counts from here on,
        whatever becomes of it.

        Raises:
            PermitRefused: it must not be dialled; nothing was counted, or it could not be recorded.
        """
        now_s = self._now_s()
        about: dict[str, Any] = {"number": permit.number, "permit_id": permit.permit_id}
        refusal = self._worthless(permit, now_s)
        if refusal is None:
            issued = self._issued[permit.permit_id]
            # Before anything is awaited: whoever comes second finds it used.
            self._issued[permit.permit_id] = evolve(issued, is_used=True)
            about |= {"purpose": permit.purpose, **about_request(issued.request)}
            try:
                refusal, evidence = await self._judge(
                    issued.request, permit.number, now_s, counted_as=permit.permit_id
                )
            except Exception as error:
                refusal, evidence = self._failed(permit.number, error, now_s), {}
            about |= evidence
        if refusal is not None:
            await self._recorded("permit.not_redeemed", {**about, **reasons_of(refusal)})
            raise PermitRefused(refusal)
        if not await self._recorded("permit.redeemed", about):
            raise PermitRefused(self._unrecorded(permit.number, now_s))
        if (refusal := await self._just_opted_out(permit.number, now_s)) is not None:
            await self._recorded("permit.not_redeemed", {**about, **reasons_of(refusal)})
            raise PermitRefused(refusal)

    async def _just_opted_out(self, number: str, now_s: float) -> Refusal | None:
        """While it was written down that the permit is used."""
        try:
            blocked = await self.blocked_among([number])
        except StorageError as error:
            return self._failed(number, error, now_s)
        text = "they have just opted out"
        return Refusal(number, (Reason("do_not_call", text),)) if blocked else None

    async def opt_out(self, number: str, *, source: str, call_id: str = "") -> None:
        """Somebody does not want to be called any more: from now on, nobody calls this number.

        It withdraws the consents that there are, too (47 CFR 64.1200(a)(10)): whoever takes the
        number off the list needs a new one. It is finished even if the task around it is
        cancelled. A number that is none (a withheld caller id) is only recorded.

        Args:
            source: what it was found by, such as the words that were said.

        Raises:
            StorageError, AuditError: it could not be written down; this process calls the number
                no more all the same.
        """
        now_s = self._now_s()
        e164 = to_e164(number)
        event = "opt_out" if e164 is not None else "opt_out.no_number"
        errors: list[Exception] = []
        with trio.CancelScope(shield=True, deadline=trio.current_time() + _OPT_OUT_S) as scope:
            if e164 is not None:
                self._unwritten.add(e164)
                entry = store.Blocked(e164, now_s, source, call_id)

                def withdraw(connection: sqlite3.Connection) -> None:
                    store.block(connection, [entry])
                    store.revoke_consents(connection, e164, now_s)

                try:
                    await self._database.run(withdraw)
                    # What is on the list is taken off the list, by whatever process.
                    self._unwritten.discard(e164)
                except StorageError as error:
                    errors.append(error)
            try:
                await self._audit.append(
                    event, number=e164 or number, source=source, call_id=call_id
                )
            except AuditError as error:
                errors.append(error)
        if scope.cancelled_caught:
            errors.append(StorageError(f"an opt-out was not written down within {_OPT_OUT_S} s"))
        if errors:
            _log.error("opt-out not written down", call_id=call_id, error=str(errors[0]))
            raise errors[0]

    async def is_blocked(self, number: str) -> bool:
        """Whether the number is on the do-not-call list.

        Raises:
            StorageError: it cannot be found out. Then do not call.
        """
        e164 = to_e164(number)
        return e164 is not None and bool(await self.blocked_among([e164]))

    async def blocked_among(self, numbers: Collection[str]) -> frozenset[str]:
        """Those of these numbers, in E.164, that are on the do-not-call list.

        Raises:
            StorageError: it cannot be found out.
        """

        def look(connection: sqlite3.Connection) -> frozenset[str]:
            return frozenset(n for n in numbers if store.is_blocked(connection, n))

        unwritten = self._unwritten.intersection(numbers)
        if len(unwritten) == len(numbers):  # whatever the database is at
            return frozenset(unwritten)
        return await self._database.run(look) | unwritten

    async def record_ended(self, number: str, *, call_id: str, status: str) -> None:
        """A call to a number that has come onto the do-not-call list is being ended.

        Raises:
            AuditError: it could not be written down.
        """
        await self._audit.append(
            "opt_out.call_ended", number=number, call_id=call_id, status=status
        )

    async def _judge(
        self, request: DialRequest, number: str, now_s: float, *, counted_as: str = ""
    ) -> tuple[Refusal | None, dict[str, Any]]:
        """The refusal, if there is one, and what it was decided by.

        `counted_as`: a permit's id: if there is no refusal, the attempt counts.
        """
        last_s = await self._audit.last_at_s()
        if now_s < last_s - _CLOCK_TOLERANCE_S:
            behind_s = last_s - now_s
            text = f"the clock is {behind_s:.0f} s behind the audit log's last entry"
            return Refusal(number, (Reason("clock_went_back", text),)), {}
        await self._database.run(self._check_log)
        if request.purpose == "colleague":
            return await self._database.run(partial(self._judge_colleague, number)), {}
        if to_e164(number) is None:
            text = "this is no telephone number in international form, such as +12125550123"
            return Refusal(number, (Reason("not_a_number", text),)), {}
        place = place_of(number)
        return await self._database.run(
            partial(self._judge_prospect, request, number, place, now_s, counted_as)
        )

    def _check_log(self, connection: sqlite3.Connection) -> None:
        """See that the log's files were not removed or put back since the last decision.

        Within a transaction, so that no other process can have seen more than is there now.
        """
        journal = self._audit.journal
        if isinstance(journal, FileJournal):
            head = journal.head(store.audit_seen(connection, journal.place))
            store.see_audit(connection, journal.place, head)

    def _judge_prospect(
        self,
        request: DialRequest,
        number: str,
        place: Place,
        now_s: float,
        counted_as: str,
        connection: sqlite3.Connection,
    ) -> tuple[Refusal | None, dict[str, Any]]:
        oldest_s = now_s - max((cap.period_s for cap in self._rules.caps), default=0.0)
        zone = zone_named(request.timezone) if request.timezone else None
        facts = DialFacts(
            number=number,
            now_s=now_s,
            place=place,
            own_country=place_of(request.from_number).region,
            zone=zone,
            zone_name=request.timezone or "",
            blocked=number in self._unwritten or store.is_blocked(connection, number),
            consents=store.consents(connection, number),
            attempts_s=store.attempts_s(connection, number, oldest_s),
            spoken=(request.opening, *filter(None, [request.voicemail])),
            campaign_id=request.campaign_id,
        )
        refusal = decide(facts, self._rules)
        if refusal is None and counted_as:
            store.count_attempt(connection, number, now_s, counted_as)
        return refusal, evidence_of(facts)

    def _judge_colleague(self, number: str, connection: sqlite3.Connection) -> Refusal | None:
        reasons = []
        if number not in self._colleagues:
            text = "calls are transferred to listed numbers only (transfer.numbers)"
            reasons.append(Reason("not_a_colleague", text))
        if number in self._unwritten or store.is_blocked(connection, number):
            reasons.append(Reason("do_not_call", "the number is on the do-not-call list"))
        return Refusal(number, tuple(reasons)) if reasons else None

    def _new_permit(self, request: DialRequest, number: str, now_s: float) -> DialPermit:
        permit_id, expires_s = str(uuid7()), now_s + self._lifetime_s
        return DialPermit(
            permit_id=permit_id,
            number=number,
            purpose=request.purpose,
            opening=request.opening,
            issued_s=now_s,
            expires_s=expires_s,
            seal=seal_of(permit_id, number, request.purpose, request.opening, now_s, expires_s),
        )

    def _worthless(self, permit: DialPermit, now_s: float) -> Refusal | None:
        """Why the permit is none, whatever the rules say."""
        issued = self._issued.get(permit.permit_id)
        reason: tuple[ReasonCode, str] | None = None
        if now_s >= permit.expires_s:
            reason = "permit_expired", "the permit has expired; ask for another one"
        elif issued is None or issued.permit != permit:
            reason = "permit_unknown", "the permit was not given here"
        elif issued.is_used:
            reason = "permit_used", "the permit was used already"
        elif now_s < permit.issued_s - _CLOCK_TOLERANCE_S:
            reason = "clock_went_back", "the permit is of a time that has not come yet"
        return Refusal(permit.number, (Reason(*reason),)) if reason else None

    def _forget_old(self, now_s: float) -> None:
        old = [key for key, each in self._issued.items() if now_s >= each.permit.expires_s]
        for key in old:
            del self._issued[key]

    async def _recorded(self, event: str, about: dict[str, Any]) -> bool:
        try:
            await self._audit.append(event, **about)
        except Exception as error:  # a permit without its record is none
            _log.error("audit log failed", audit_event=event, error=str(error))
            return False
        return True

    def _unrecorded(self, number: str, now_s: float) -> Refusal:
        text = "the decision could not be written into the audit log"
        return Refusal(number, (Reason("audit_failed", text, now_s + _RETRY_S),))

    def _failed(self, number: str, error: Exception, now_s: float) -> Refusal:
        code: ReasonCode
        match error:
            case StorageError():
                code, text = "opt_out_unknown", "the database does not say who has opted out"
            case AuditError():
                code, text = "audit_failed", "the audit log cannot be written"
            case _:
                code, text = "check_failed", "the compliance check failed"
        _log.error("compliance check failed", code=code, error=repr(error))
        return Refusal(number, (Reason(code, text, now_s + _RETRY_S),))


def open_compliance(
    settings: Settings,
    database: Database,
    audit: AuditLog,
    *,
    now_s: Callable[[], float] = time.time,
) -> Compliance:
    """The compliance check of these settings.

    Args:
        database: opened with `SCHEMA` among its rooms' tables.
        now_s: the time of day, in seconds since 1970.

    Raises:
        ConfigError: the package that knows numbers is not installed.
    """
    check_installed()
    place_of(_ANY_NUMBER)  # loads the tables now, and not while a call wants its audio
    compliance = settings.compliance
    return Compliance(
        compliance.rules,
        compliance.colleague_numbers | frozenset(settings.transfer.destinations.values()),
        compliance.permit_lifetime_ms / 1000,
        database,
        audit,
        now_s,
    )
