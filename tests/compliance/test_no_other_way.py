"""No path dials without a permit: all our code is read for it.

Types say that whoever dials has a `DialPermit` (mypy checks that everywhere), its seal that nobody
made it up, and these tests that it comes from the check and is redeemed right before.
"""

from __future__ import annotations

from pathlib import Path
from typing import get_type_hints

import pytest

from tests.compliance.dialling import offences
from vantum.compliance.permit import DialPermit
from vantum.telephony.carrier import Carrier
from vantum.telephony.twilio_rest import TwilioCarrier

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "vantum"
#: What is beside the package has no place of its own where dialling would be right.
FILES = {
    path.relative_to(PACKAGE if PACKAGE in path.parents else ROOT).as_posix(): path
    for folder in (PACKAGE, ROOT / "examples", ROOT / "benchmarks")
    for path in sorted(folder.rglob("*.py"))
}


@pytest.mark.parametrize("name", FILES)
def test_no_file_dials_without_a_permit(name: str) -> None:
    assert offences(name, FILES[name].read_text("utf-8")) == []


def test_what_dials_takes_a_permit() -> None:
    for kind in (Carrier, TwilioCarrier):
        assert get_type_hints(kind.create_call)["permit"] is DialPermit


GOOD = """
class Calls:
    async def dial(self, permit: DialPermit, dial: Dial) -> str:
        await self.permits.redeem(permit)
        return await self.carrier.create_call(permit, dial)
"""
TWIML = """
from twilio.twiml.voice_response import VoiceResponse
async def put_through(permit: DialPermit, permits):
    try:
        await permits.redeem(permit)
    except PermitRefused:
        raise Failed
    VoiceResponse().dial().number(permit.number)
"""
REST = """
class TwilioCarrier:
    async def create_call(self, permit: DialPermit, dial: Dial) -> str:
        return (await self.calls.create_async(to=permit.number)).sid
"""
CONFERENCE = """
from twilio.twiml.voice_response import Dial, VoiceResponse
def conference(name):
    verb = Dial(action="/left")
    verb.conference(name)
    response = VoiceResponse()
    response.append(verb)
"""


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("telephony/calls.py", GOOD),
        ("telephony/transfer_twiml.py", TWIML),
        ("telephony/transfer_twiml.py", CONFERENCE),
        ("telephony/twilio_rest.py", REST),
        ("telephony/live.py", "class Live:\n    permit: DialPermit | None = None"),
        ("telephony/api.py", "def is_one(it): return isinstance(it, DialPermit)"),
    ],
)
def test_the_right_way_is_no_offence(name: str, source: str) -> None:
    assert offences(name, source) == []


#: A permit that is redeemed, and then something else is done than to dial its number once.
BESIDE = [
    ("redeem(permit)", "redeem(other)"),
    ("await self.permits.redeem(permit)", "pass"),
    ("await self", "self"),
    ("        await self.permits", "        if now: await self.permits"),
    ("        return", "        permit = other\n        return"),
    ("        return", "        permit, dial = other\n        return"),
    ("        return await", "        while True: await"),
    ("self.carrier.create_call(permit, dial)", "[c.create_call(permit, dial) for c in all]"),
    ("await self.carrier.create_call(permit, dial)", "lambda: self.carrier.create_call(permit, 1)"),
    ("self.carrier.create_call(permit, dial)", "self.again(self.carrier.create_call, permit)"),
    ("self.carrier.create_call(permit, dial)", "getattr(self.carrier, 'create_call')(permit)"),
    ("create_call(permit,", "create_call(self.permit,"),
]
DIALLING_TWIML = [
    ("redeem(permit)", "redeem(other)"),
    ("number(permit.number)", "number(number)"),
    ("number(permit.number)", "number(live.record.number)"),
    ("number(permit.number)", "sip(permit.number)"),
    ("dial().number(permit.number)", "dial(number)"),
    ("dial().number(permit.number)", "dial(number=number)"),
    ("VoiceResponse().dial().number(permit.number)", "add = VoiceResponse().dial().number"),
    ("VoiceResponse().dial().number(permit.number)", "VoiceResponse().append(Dial(number))"),
    ("VoiceResponse().dial().number(permit.number)", "VoiceResponse().refer().sip(number)"),
    ("VoiceResponse().dial()", "VoiceResponse().dial().add_child('Number')"),
    ("import VoiceResponse", "import VoiceResponse, Number"),
    ("import VoiceResponse", "import VoiceResponse as Response"),
    ("raise Failed", "pass"),
    ("raise Failed", "raise Failed\n    finally:\n        return"),
    ("        await", "        if now: await"),
    ("    VoiceResponse()", "    for permit in others: VoiceResponse()"),
]


@pytest.mark.parametrize(
    ("name", "source"),
    [
        *(("telephony/calls.py", GOOD.replace(*change)) for change in BESIDE),
        *(("telephony/transfer_twiml.py", TWIML.replace(*change)) for change in DIALLING_TWIML),
        ("telephony/api.py", GOOD),
        ("telephony/calls.py", "x.create_call(permit, dial)"),
        ("telephony/calls.py", "async def f(c, p, d):\n    await c.create_call(p, d)"),
        ("telephony/calls.py", "def f(nursery, c, p): nursery.start_soon(c.create_call, p)"),
        ("telephony/calls.py", "def f(c, p): return partial(c.create_call, p)"),
        # Permits of one's own, and what is no permit any more.
        (
            "telephony/calls.py",
            "from vantum.compliance.permit import DialPermit\nDialPermit(number='+1')",
        ),
        ("telephony/calls.py", "from vantum.compliance.permit import DialPermit as Permit"),
        ("telephony/calls.py", "from vantum.compliance.permit import seal_of"),
        ("telephony/calls.py", "permit.DialPermit(number='+1')"),
        ("telephony/calls.py", "make = DialPermit"),
        ("telephony/calls.py", "f(DialPermit)"),
        ("telephony/calls.py", "f(make=permit.DialPermit)"),
        ("telephony/calls.py", "KINDS = [DialPermit]"),
        ("telephony/calls.py", "seal_of('x')"),
        ("telephony/calls.py", "key = permit._KEY"),
        ("telephony/calls.py", "compliance._new_permit(request, '+1', 0.0)"),
        ("telephony/calls.py", "object.__setattr__(permit, 'number', '+1')"),
        ("telephony/calls.py", "object.__new__(type(permit))"),
        (
            "telephony/lines.py",
            "class Yes:\n    async def redeem(self, permit: DialPermit) -> None: ...",
        ),
        # Twilio's package, and its API without it.
        ("telephony/calls.py", "client.calls.create(to='+1')"),
        ("telephony/calls.py", "def f(client):\n    them = client.calls\n    them.create(to='+1')"),
        ("telephony/calls.py", "client.conferences('CF').participants.create(to='+1', from_='+2')"),
        ("telephony/calls.py", "http.post(f'{base}/Accounts/{sid}/Calls.json', data=form)"),
        ("telephony/twilio_rest.py", "async def f(c): await c.calls.create_async(to='+1')"),
        ("telephony/twilio_rest.py", REST.replace("DialPermit", "str")),
        ("telephony/calls.py", "from twilio.rest import Client"),
        ("telephony/calls.py", "from twilio import rest"),
        ("telephony/calls.py", "import twilio.rest"),
        ("telephony/calls.py", "import_module('twilio.rest')"),
        ("examples/dial.py", "from twilio.rest import Client"),
        # TwiML without the package.
        ("telephony/transfers.py", TWIML),
        ("telephony/transfers.py", "def f(n): return f'<Dial><Number>{n}</Number></Dial>'"),
        ("telephony/transfers.py", "def f(n): return f'<Dial>{n}</Dial>'"),
        ("telephony/transfers.py", "def f(n): return Element('Dial')"),
    ],
)
def test_every_other_way_is_one(name: str, source: str) -> None:
    assert offences(name, source)
