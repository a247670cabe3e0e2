"""The compliance check at large: any order of things, anywhere, at any hour, in two processes."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.compliance.desk import DAY_S, HOUR_S, NEW_YORK, NUMBER, open_desk
from tests.patience import HANG_S
from vantum.compliance.audit import Verified, verify
from vantum.compliance.numbers import place_of
from vantum.compliance.permit import DialPermit, PermitRefused

ACTIONS = st.lists(
    st.sampled_from(["ask", "redeem", "opt out", "revoke", "consent", "later", "tomorrow"]),
    min_size=1,
    max_size=25,
)


@settings(max_examples=60)
@given(ACTIONS, st.integers(0, 23))
def test_no_order_of_things_dials_what_must_not_be_dialled(actions: list[str], hour: int) -> None:
    async def play() -> None:
        async with open_desk(f"2026-10-31 {hour:02}:30", attempts="2/1d") as desk:
            permits: list[DialPermit] = []
            dialled: list[float] = []
            has_consent, is_out = False, False
            for n, action in enumerate(actions):
                match action:
                    case "ask":
                        answer = await desk.ask()
                        if isinstance(answer, DialPermit):
                            permits.append(answer)
                    case "redeem" if permits:
                        permit = permits.pop(0)
                        try:
                            await desk.compliance.redeem(permit)
                        except PermitRefused:
                            continue
                        assert 8 <= datetime.fromtimestamp(desk.now_s, NEW_YORK).hour < 21
                        assert has_consent
                        assert not is_out
                        assert desk.now_s < permit.expires_s
                        dialled.append(desk.now_s)
                        assert sum(at > desk.now_s - DAY_S for at in dialled) <= 2
                    case "opt out":
                        await desk.compliance.opt_out(NUMBER, source="test")
                        has_consent, is_out = False, True
                    case "revoke" if has_consent:
                        await desk.lists.revoke(NUMBER, "test")
                        has_consent = False
                    case "consent" if not has_consent:
                        await desk.consent(how=f"form {n}")
                        has_consent = True
                    case "later":
                        desk.now_s += 30
                    case "tomorrow":
                        desk.now_s += 20 * HOUR_S

    trio.run(play)


#: Numbers, and by hand where they may be: Labrador has Newfoundland's area code and another time.
PLACES = {
    "+12125550123": ("America/New_York",),
    "+14155550132": ("America/Los_Angeles",),
    "+16025550123": ("America/Phoenix",),
    "+18085550123": ("Pacific/Honolulu",),
    "+17095550123": ("America/St_Johns", "America/Goose_Bay"),
    "+442079460123": ("Europe/London",),
    "+61255501234": ("Australia/Sydney",),
    "+81312345678": ("Asia/Tokyo",),
    "+97714123456": ("Asia/Kathmandu",),
}
#: Noon of the days on which clocks are changed somewhere among them, and of a quiet one.
CHANGES = [
    "2026-03-08",
    "2026-03-29",
    "2026-04-05",
    "2026-07-01",
    "2026-10-04",
    "2026-10-25",
    "2026-11-01",
]


@settings(max_examples=150)
@given(
    st.sampled_from(sorted(PLACES)),
    st.sampled_from(CHANGES),
    st.integers(-36 * 60, 36 * 60),
    st.sampled_from([0.0, 0.001, 59.999]),
)
def test_nobody_is_called_at_night_wherever_they_are(
    number: str, day: str, minutes: int, seconds: float
) -> None:
    async def ask() -> None:
        async with open_desk(
            f"{day} 12:00", consent_required=False, countries="US,CA,GB,AU,JP,NP"
        ) as desk:
            desk.now_s += minutes * 60 + seconds
            hours = [
                datetime.fromtimestamp(desk.now_s, ZoneInfo(place)).hour for place in PLACES[number]
            ]
            answer = await desk.ask(number)
            if all(8 <= hour < 21 for hour in hours):
                assert isinstance(answer, DialPermit)
                await desk.compliance.redeem(answer)
                return
            assert not isinstance(answer, DialPermit)
            assert answer.codes == ("outside_hours",)
            assert answer.retry_at_s is not None
            assert desk.now_s < answer.retry_at_s < desk.now_s + 12 * HOUR_S
            desk.now_s = answer.retry_at_s
            await desk.compliance.redeem(await desk.permit(number))

    trio.run(ask)


@settings(max_examples=150)
@given(st.from_regex(r"\+[1-9][0-9]{5,15}", fullmatch=True) | st.text(max_size=20))
def test_a_number_that_nobody_knows_is_not_called(number: str) -> None:
    async def ask() -> None:
        # At noon in New York, and never night where it is allowed.
        async with open_desk(
            consent_required=False, countries="US,CA", hours="mon-sun 0:00-24:00"
        ) as desk:
            answer = await desk.ask(number)
            place = place_of(number)
            known = place.kind in ("fixed_line", "mobile", "fixed_line_or_mobile")
            assert isinstance(answer, DialPermit) == (
                known and bool(place.zones) and place.region in ("US", "CA")
            )

    trio.run(ask)


def test_two_processes_and_a_real_file_make_no_call_too_many(tmp_path: Path) -> None:
    script = """
import sys, trio
from vantum.compliance.audit import open_audit
from vantum.compliance.check import SCHEMA, open_compliance
from vantum.compliance.permit import DialRequest, PermitRefused
from vantum.config import ComplianceSettings, Settings, StorageSettings
from vantum.storage.database import open_database

async def main():
    settings = Settings(
        storage=StorageSettings(path=sys.argv[1]),
        compliance=ComplianceSettings(
            hours="mon-sun 0:00-24:00", consent_required=False, attempts="7/1d", countries="US"
        ),
    )
    async with open_database(settings.storage.location, [SCHEMA]) as database:
        compliance = open_compliance(settings, database, await open_audit(settings))
        request = DialRequest(number="+12125550123", opening="This is an AI.")
        permits = [await compliance.permit(request) for _ in range(7)]
        print("ready", flush=True)
        sys.stdin.readline()
        for permit in permits:
            try:
                await compliance.redeem(permit)
                print("dialled", flush=True)
            except PermitRefused as error:
                print(*error.refusal.codes, flush=True)

trio.run(main)
"""
    path = tmp_path / "vantum.sqlite3"
    both = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in both:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", process.communicate(timeout=HANG_S)
    for process in both:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said: list[str] = []
    for process in both:
        out, complaint = process.communicate(timeout=HANG_S)
        assert process.returncode == 0, complaint
        said += out.split()
    assert sorted(said) == ["dialled"] * 7 + ["too_many_attempts"] * 7
    found = verify(tmp_path / "audit.jsonl")
    assert isinstance(found, Verified), found
    assert found.count == 28
