"""The compliance check as a whole: what it gives, what it refuses, and what it writes down."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest
import trio
import trio.testing
from attrs import evolve

from tests.compliance.desk import (
    DAY_S,
    HOUR_S,
    NUMBER,
    OPENING,
    Desk,
    new_york,
    open_desk,
)
from vantum.compliance import store
from vantum.compliance.audit import AuditLog
from vantum.compliance.check import open_compliance
from vantum.compliance.permit import DialPermit, DialRequest, PermitRefused, seal_of
from vantum.core.audit_chain import Head
from vantum.errors import AuditError, ConfigError, StorageError


async def redeemed_not(desk: Desk, permit: DialPermit) -> tuple[str, ...]:
    with pytest.raises(PermitRefused) as caught:
        await desk.compliance.redeem(permit)
    assert caught.value.refusal.text in str(caught.value)
    return caught.value.refusal.codes


async def test_a_call_that_is_allowed() -> None:
    async with open_desk() as desk:
        await desk.consent()
        permit = await desk.permit("+1 (212) 555-0123", call_id="w0-1", campaign_id="spring")
        assert (permit.number, permit.purpose, permit.opening) == (NUMBER, "prospect", OPENING)
        assert permit.issued_s == desk.now_s
        assert permit.expires_s == desk.now_s + 60
        await desk.compliance.redeem(permit)
        assert [event for event, _ in desk.log] == [
            "consent.added",
            "permit.issued",
            "permit.redeemed",
        ]
        _, issued = desk.log[1]
        assert issued["permit_id"] == permit.permit_id
        assert issued["number"] == NUMBER
        assert issued["opening"] == OPENING
        assert (issued["call_id"], issued["campaign_id"]) == ("w0-1", "spring")
        assert issued["local_times"] == {"America/New_York": "Wed 12:00"}
        assert issued["consents"] == [1]


@pytest.mark.parametrize(
    ("number", "code"),
    [
        ("", "not_a_number"),
        ("212 555 0123", "not_a_number"),
        ("anonymous", "not_a_number"),
        ("+1212555012", "not_callable"),
        ("+15551234567", "not_callable"),
        ("+12125550123 ext. 5", "not_a_number"),
        ("+12125550123;ext=5", "not_a_number"),
        ("+" + "1" * 500, "not_a_number"),
        ("+18005551234", "not_callable"),
        ("+19005551234", "not_callable"),
        ("+80012345678", "not_callable"),
        ("+881612345678", "country_not_allowed"),
        ("+18765551234", "country_not_allowed"),
        ("+442079460123", "country_not_allowed"),
    ],
)
async def test_numbers_that_nobody_calls(number: str, code: str) -> None:
    async with open_desk(consent_required=False) as desk:
        refusal = await desk.refusal(number)
        assert code in refusal.codes
        event, data = desk.log[-1]
        assert event == "permit.refused"
        assert [reason["code"] for reason in data["reasons"]] == list(refusal.codes)


async def test_unknown_place_of_the_caller_allows_no_country() -> None:
    async with open_desk(consent_required=False) as desk:
        assert (await desk.refusal(from_number="")).codes == ("country_not_allowed",)
    async with open_desk(consent_required=False, countries="gb, us") as desk:
        await desk.permit(from_number="")


async def test_a_whole_country_must_be_awake_for_its_mobile_phones() -> None:
    mobile = "+79161234567"  # Russia: from Kaliningrad to Kamchatka
    async with open_desk("2026-07-01 01:30", consent_required=False, countries="RU") as desk:
        # 7:30 in Kaliningrad, 8:30 in Moscow, 17:30 in Kamchatka.
        refusal = await desk.refusal(mobile)
        assert refusal.codes == ("outside_hours",)
        assert refusal.retry_at_s == new_york("2026-07-01 02:00")
        # Whoever is known to live in Moscow may be called now; nobody there lives in New York.
        await desk.permit(mobile, timezone="Europe/Moscow")
        for unlikely in ("America/New_York", "Europe/Nowhere", "../etc/passwd", "America"):
            codes = (await desk.refusal(mobile, timezone=unlikely)).codes
            assert set(codes) & {"timezone_contradicts", "unknown_timezone"}
        desk.now_s += HOUR_S
        await desk.permit(mobile)


async def test_opted_out_while_the_call_waits() -> None:
    async with open_desk() as desk:
        await desk.consent()
        permit = await desk.permit()
        await desk.compliance.opt_out("+1 212 555 0123", source="stop calling me", call_id="w0-7")
        assert await desk.compliance.is_blocked(NUMBER)
        assert await redeemed_not(desk, permit) == ("do_not_call", "no_consent")
        assert (await desk.refusal()).codes == ("do_not_call", "no_consent")
        assert [event for event, _ in desk.log[2:]] == [
            "opt_out",
            "permit.not_redeemed",
            "permit.refused",
        ]
        assert desk.log[2][1] == {
            "number": NUMBER,
            "source": "stop calling me",
            "call_id": "w0-7",
        }


async def test_opted_out_in_another_process_while_the_call_waits() -> None:
    async with open_desk() as here, open_desk(database=here.database) as there:
        await here.consent()
        permit = await here.permit()
        assert not await here.compliance.is_blocked(NUMBER)
        await there.compliance.opt_out(NUMBER, source="key 9")
        assert await here.compliance.is_blocked(NUMBER)
        assert await redeemed_not(here, permit) == ("do_not_call", "no_consent")


async def test_the_list_is_what_counts_once_it_is_written_down() -> None:
    """Also for the process in which somebody has said it."""
    async with open_desk(consent_required=False) as desk:
        await desk.compliance.opt_out(NUMBER, source="stop calling me")
        assert (await desk.refusal()).codes == ("do_not_call",)
        await desk.lists.unblock(NUMBER, "asked us in writing to call again")
        assert not await desk.compliance.is_blocked(NUMBER)
        await desk.compliance.redeem(await desk.permit())


@pytest.mark.parametrize("fails", [False, True])
async def test_who_opts_out_elsewhere_while_a_dial_is_written_down_is_not_called(
    fails: bool,
) -> None:
    async with (
        open_desk(consent_required=False) as here,
        open_desk(database=here.database) as there,
    ):
        permit = await here.permit()

        class Slow(AuditLog):
            async def append(self, event: str, **about: Any) -> None:
                await super().append(event, **about)
                if event == "permit.redeemed" and fails:
                    here.compliance._database = _Broken()  # type: ignore[assignment]
                elif event == "permit.redeemed":
                    await there.compliance.opt_out(NUMBER, source="key 9")

        here.compliance._audit = Slow(here.journal, lambda: here.now_s)
        code = "opt_out_unknown" if fails else "do_not_call"
        assert await redeemed_not(here, permit) == (code,)
        assert [event for event, _ in here.log[-2:]] == ["permit.redeemed", "permit.not_redeemed"]


async def test_who_opts_out_withdraws_his_consent() -> None:
    async with open_desk() as here, open_desk(database=here.database) as there:
        await here.consent()
        await there.compliance.opt_out(NUMBER, source="stop calling me")
        await here.lists.unblock(NUMBER, "asked for a call by mail")
        assert (await here.refusal()).codes == ("no_consent",)
        await here.consent(how="mail of today")
        await here.permit()


async def test_consent_withdrawn_and_hours_over_while_the_call_waits() -> None:
    async with open_desk("2026-07-01 20:59") as desk:
        await desk.consent()
        first, second = await desk.permit(), await desk.permit()
        await desk.lists.revoke(NUMBER, "asked")
        assert await redeemed_not(desk, first) == ("no_consent",)
        desk.now_s += 59
        assert await redeemed_not(desk, second) == ("no_consent",)
        await desk.lists.consent(evolve((await desk.lists.consents())[0], how="called us"))
        third = await desk.permit()
        desk.now_s += 1
        assert await redeemed_not(desk, third) == ("outside_hours",)


async def test_a_permit_is_good_once_and_not_for_long() -> None:
    async with open_desk(consent_required=False, attempts="") as desk:
        permit = await desk.permit()
        await desk.compliance.redeem(permit)
        assert await redeemed_not(desk, permit) == ("permit_used",)
        late = await desk.permit()
        desk.now_s = late.expires_s
        assert await redeemed_not(desk, late) == ("permit_expired",)
        assert await redeemed_not(desk, permit) == ("permit_expired",)
        # Whatever is old is forgotten when the next one is given.
        early = await desk.permit()
        desk.now_s -= 30
        assert await redeemed_not(desk, early) == ("clock_went_back",)
        async with open_desk(consent_required=False) as other:
            other.now_s = desk.now_s
            assert await redeemed_not(other, early) == ("permit_unknown",)


async def test_two_tasks_with_one_permit() -> None:
    async with open_desk(consent_required=False) as desk:
        permit = await desk.permit()
        outcomes = []

        async def use() -> None:
            try:
                await desk.compliance.redeem(permit)
                outcomes.append("ok")
            except PermitRefused as error:
                outcomes.extend(error.refusal.codes)

        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(use)
        assert sorted(outcomes) == ["ok", "permit_used", "permit_used"]


async def test_another_permit_of_the_same_id_is_none() -> None:
    async with open_desk(consent_required=False) as desk:
        permit = await desk.permit()
        fields = permit.permit_id, "+12125550199", "prospect", OPENING, 0.0, permit.expires_s
        forged = DialPermit(
            permit_id=permit.permit_id,
            number="+12125550199",
            purpose="prospect",
            opening=OPENING,
            issued_s=0.0,
            expires_s=permit.expires_s,
            seal=seal_of(*fields),
        )
        assert await redeemed_not(desk, forged) == ("permit_unknown",)
        await desk.compliance.redeem(permit)


def test_nobody_makes_a_permit() -> None:
    fields: dict[str, Any] = {
        "permit_id": "1",
        "number": NUMBER,
        "purpose": "prospect",
        "opening": OPENING,
        "issued_s": 0.0,
        "expires_s": 9e9,
    }
    seal = seal_of(*fields.values())
    permit = DialPermit(**fields, seal=seal)
    assert "seal" not in repr(permit)
    changes: tuple[dict[str, Any], ...] = (
        {"number": "+12125550124"},
        {"expires_s": 1e12},
        {"opening": "Hi"},
        {"purpose": "colleague"},
    )
    for change in changes:
        with pytest.raises(TypeError, match=r"made by vantum\.compliance\.check only"):
            evolve(permit, **change)
    for forged in (b"", b"x" * 32, None):
        with pytest.raises(TypeError):
            DialPermit(**fields, seal=forged)  # type: ignore[arg-type]


async def test_attempts_count_when_they_are_made_and_slide() -> None:
    async with open_desk(attempts="2/1d, 3/7d", consent_required=False) as desk:
        permits = [await desk.permit() for _ in range(3)]
        await desk.compliance.redeem(permits[0])
        await desk.compliance.redeem(permits[1])
        assert await redeemed_not(desk, permits[2]) == ("too_many_attempts",)
        refusal = await desk.refusal()
        assert refusal.codes == ("too_many_attempts",)
        assert refusal.retry_at_s == desk.now_s + DAY_S
        await desk.permit("+12125550124")  # another number
        desk.now_s += DAY_S
        await desk.compliance.redeem(await desk.permit())
        desk.now_s += DAY_S
        assert (await desk.refusal()).retry_at_s == desk.now_s + 5 * DAY_S
        desk.now_s += 5 * DAY_S
        await desk.permit()


async def test_two_processes_and_one_last_attempt() -> None:
    once: dict[str, Any] = {"attempts": "1/1d", "consent_required": False}
    async with open_desk(**once) as here, open_desk(**once, database=here.database) as there:
        first, second = await here.permit(), await there.permit()
        await there.compliance.redeem(second)
        assert await redeemed_not(here, first) == ("too_many_attempts",)


async def test_a_voicemail_must_disclose_too() -> None:
    async with open_desk(consent_required=False) as desk:
        assert (await desk.refusal(voicemail="Please call us back.")).codes == ("no_disclosure",)
        await desk.permit(voicemail="This is Acme's AI assistant. Please call us back.")
        assert (await desk.refusal(opening="", voicemail=OPENING)).codes == ("no_disclosure",)


async def test_colleagues_are_those_who_are_listed() -> None:
    # At night, without consent and opening.
    async with open_desk("2026-07-01 03:00", colleagues="+1 (555) 123-4567") as desk:
        permit = await desk.permit("+15551234567", purpose="colleague", opening="")
        assert permit.purpose == "colleague"
        await desk.compliance.redeem(permit)
        refusal = await desk.refusal(NUMBER, purpose="colleague")
        assert refusal.codes == ("not_a_colleague",)
        assert (await desk.refusal("Bob", purpose="colleague")).codes == ("not_a_colleague",)
        await desk.compliance.opt_out("+15551234567", source="test")
        refusal = await desk.refusal("+15551234567", purpose="colleague")
        assert refusal.codes == ("do_not_call",)


async def test_the_clock_must_not_go_back() -> None:
    async with open_desk(consent_required=False) as desk:
        permit = await desk.permit()
        desk.now_s -= 2
        await desk.permit()
        desk.now_s -= 10
        assert (await desk.refusal()).codes == ("clock_went_back",)
        assert await redeemed_not(desk, permit) == ("clock_went_back",)


async def test_an_opt_out_while_the_dial_is_written_down() -> None:
    """The rules are asked, and then the log takes its time; somebody opts out meanwhile."""
    async with open_desk(consent_required=False) as desk:
        permit = await desk.permit()

        class SlowLog(AuditLog):
            async def append(self, event: str, **fields: Any) -> None:
                await AuditLog.append(self, event, **fields)
                if event == "permit.redeemed":
                    await desk.compliance.opt_out(NUMBER, source="another call")

        desk.compliance._audit = SlowLog(desk.journal, lambda: desk.now_s)
        assert await redeemed_not(desk, permit) == ("do_not_call",)
        assert [event for event, _ in desk.log][-3:] == [
            "permit.redeemed",
            "opt_out",
            "permit.not_redeemed",
        ]


class _Broken:
    """A database that fails."""

    async def run(self, work: object) -> object:
        raise StorageError("the disk is gone")


class _BrokenJournal:
    """A disk that is full: entries fail from the `fails_from`th on."""

    def __init__(self, fails_from: int) -> None:
        self.left = fails_from

    def append(self, event: str, data: object, at_s: float) -> None:
        self.left -= 1
        if self.left < 0:
            raise AuditError("the audit log cannot be written: No space left on device")

    def head(self) -> Head:
        return Head("sha256")


@pytest.mark.parametrize("fails_from", [0, 1])
async def test_what_cannot_be_recorded_is_not_allowed(fails_from: int) -> None:
    async with open_desk(consent_required=False) as desk:
        audit = AuditLog(_BrokenJournal(fails_from), lambda: desk.now_s)
        compliance = open_compliance(desk.settings, desk.database, audit, now_s=lambda: desk.now_s)
        request = DialRequest(number=NUMBER, opening=OPENING, from_number=NUMBER)
        answer = await compliance.permit(request)
        if fails_from:
            assert isinstance(answer, DialPermit)
            with pytest.raises(PermitRefused) as caught:
                await compliance.redeem(answer)
            refusal = caught.value.refusal
        else:
            assert not isinstance(answer, DialPermit)
            refusal = answer
            assert refusal.retry_at_s is not None
        assert refusal.codes == ("audit_failed",)
        bad = await compliance.permit(evolve(request, opening=""))
        assert not isinstance(bad, DialPermit)
        assert bad.codes == ("no_disclosure", "audit_failed")
        with pytest.raises(AuditError):
            await compliance.opt_out(NUMBER, source="test")
        assert await compliance.is_blocked(NUMBER)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (StorageError("locked"), "opt_out_unknown"),
        (AuditError("full"), "audit_failed"),
        (RuntimeError("a bug"), "check_failed"),
        (sqlite3.IntegrityError("constraint"), "check_failed"),
    ],
)
async def test_whatever_fails_refuses(
    error: Exception, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_desk(consent_required=False) as desk:
        permit = await desk.permit()

        def fails(*_: object) -> bool:
            raise error

        monkeypatch.setattr(store, "is_blocked", fails)
        refusal = await desk.refusal()
        assert refusal.codes == (code,)
        assert refusal.retry_at_s == desk.now_s + 60
        assert await redeemed_not(desk, permit) == (code,)
        monkeypatch.undo()
        # It was not dialled, and still it is used.
        assert await redeemed_not(desk, permit) == ("permit_used",)
        assert await desk.database.run(lambda c: store.attempts_s(c, NUMBER, 0)) == ()


async def test_an_opt_out_that_the_database_cannot_take(monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_desk(consent_required=False) as desk:

        def fails(*_: object) -> int:
            raise sqlite3.OperationalError("disk I/O error")

        monkeypatch.setattr(store, "block", fails)
        with pytest.raises(StorageError, match="disk I/O error"):
            await desk.compliance.opt_out(NUMBER, source="stop")
        assert desk.log[-1][0] == "opt_out"
        assert await desk.compliance.is_blocked(NUMBER)
        assert (await desk.refusal()).codes == ("do_not_call",)


async def test_an_opt_out_survives_the_end_of_its_call() -> None:
    async with open_desk(consent_required=False) as desk:
        with trio.CancelScope() as call:
            call.cancel()
            await desk.compliance.opt_out(NUMBER, source="stop calling me")
        blocked = await desk.lists.blocked()
        assert [each.number for each in blocked] == [NUMBER]


async def test_an_opt_out_of_a_withheld_number_is_recorded() -> None:
    async with open_desk() as desk:
        await desk.compliance.opt_out("anonymous", source="stop calling me")
        assert desk.log[-1][0] == "opt_out.no_number"
        assert await desk.lists.blocked() == []
        assert not await desk.compliance.is_blocked("anonymous")


async def test_an_opt_out_that_hangs_is_not_waited_for(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_desk() as desk:

        async def hangs(*_: object, **__: object) -> None:
            await trio.sleep_forever()

        monkeypatch.setattr(AuditLog, "append", hangs)
        began_s = trio.current_time()
        with pytest.raises(StorageError, match="not written down within"):
            await desk.compliance.opt_out(NUMBER, source="stop")
        assert trio.current_time() - began_s == 15
        assert await desk.compliance.is_blocked(NUMBER)


async def test_without_the_package_nothing_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r'pip install "vantum\[phone\]"'):
        async with open_desk():
            raise AssertionError
