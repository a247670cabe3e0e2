"""No path dials without a permit: the whole package is read for it.

Types say that whoever dials has a `DialPermit` (mypy checks that everywhere), its seal that nobody
made it up, and these tests that it comes from the check and is redeemed right before.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_type_hints

import pytest

from vantum.compliance.permit import DialPermit
from vantum.telephony.carrier import Carrier
from vantum.telephony.twilio_rest import TwilioCarrier

PACKAGE = Path(__file__).parents[2] / "vantum"
#: The simulated Twilio is on the other side: it is dialled, and answers.
FILES = sorted(p for p in PACKAGE.rglob("*.py") if "testing" not in p.relative_to(PACKAGE).parts)

_DIALS = re.compile("<(Dial|Number|Sip|Client)")
_Function = ast.FunctionDef | ast.AsyncFunctionDef


def offences(name: str, source: str) -> list[str]:
    """What a file does that it must not. `name`: its path in the package."""
    tree = ast.parse(source)
    around: dict[int, list[_Function]] = {}
    _note_functions(tree, [], around)
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    has_twiml = "twilio.twiml" in source
    found: list[str] = []
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=called) | ast.Attribute(attr=called)):
                found += _about_call(name, called, node, around[id(node)], has_twiml)
            case ast.Constant(value=str(text)) if _DIALS.search(text) and id(node) not in docs:
                found.append(f"{name}:{node.lineno}: TwiML that dials, as text")
            case (
                ast.Name(id="DialPermit" | "seal_of") | ast.Attribute(attr="DialPermit" | "seal_of")
            ):
                if _is_used_as_value(tree, node) and name != "compliance/check.py":
                    found.append(f"{name}:{node.lineno}: makes permits, or lets somebody make them")
    return found


def _about_call(
    name: str, called: str, node: ast.Call, around: list[_Function], has_twiml: bool
) -> Iterator[str]:
    at = f"{name}:{node.lineno}"
    match called:
        case "DialPermit" | "seal_of" if name not in (
            "compliance/check.py",
            "compliance/permit.py",
        ):
            yield f"{at}: {called} outside the check"
        case "create_call":
            if name != "telephony/calls.py":
                yield f"{at}: create_call outside telephony/calls.py"
            elif not node.args or not _redeemed_before(node, node.args[0], around):
                yield f"{at}: create_call without redeeming its permit before"
        case "create" | "create_async" if "calls" in ast.unparse(node.func):
            takers = [f for f in around if f.name == "create_call" and _takes_permit(f)]
            if name != "telephony/twilio_rest.py" or not takers:
                yield f"{at}: Twilio is asked to call outside TwilioCarrier.create_call"
        case "number" | "Number" | "sip" | "Sip" | "client" | "Client" if has_twiml:
            match node.args:
                case [ast.Attribute(value=permit, attr="number"), *_]:
                    if _redeemed_before(node, permit, around):
                        return
            yield f"{at}: TwiML that dials a number that is not a redeemed permit's"


def _note_functions(
    node: ast.AST, within: list[_Function], around: dict[int, list[_Function]]
) -> None:
    """Remember for each node the functions around it, the innermost last."""
    around[id(node)] = within
    inside = [*within, node] if isinstance(node, _Function) else within
    for child in ast.iter_child_nodes(node):
        _note_functions(child, inside, around)


def _takes_permit(function: _Function) -> bool:
    arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    return any(a.annotation and ast.unparse(a.annotation) == "DialPermit" for a in arguments)


def _redeemed_before(call: ast.Call, permit: ast.expr, around: list[_Function]) -> bool:
    """Whether the innermost function awaits `redeem` of this permit before the call, where nothing
    can lead around it: in its own statements, or in a `try` that every failure leaves."""
    if not around:
        return False
    wanted = ast.unparse(permit)
    for statement in around[-1].body:
        if any(call is node for node in ast.walk(statement)):
            return False
        tried = statement.body if isinstance(statement, ast.Try) and _leaves(statement) else []
        if any(_redeems(each, wanted) for each in (statement, *tried)):
            return True
    return False


def _leaves(statement: ast.Try) -> bool:
    """Whether each handler ends by raising."""
    return all(isinstance(handler.body[-1], ast.Raise) for handler in statement.handlers)


def _redeems(statement: ast.stmt, permit: str) -> bool:
    match statement:
        case ast.Expr(
            value=ast.Await(value=ast.Call(func=ast.Attribute(attr="redeem"), args=[given]))
        ):
            return ast.unparse(given) == permit
    return False


def _is_used_as_value(tree: ast.AST, name: ast.AST) -> bool:
    """Whether the class itself is passed on (`make = DialPermit`), which a call would not show."""
    for node in ast.walk(tree):
        match node:
            case ast.Assign(value=value) | ast.NamedExpr(value=value) if value is name:
                return True
            case ast.Call(args=args, keywords=keywords, func=func):
                names_class = isinstance(func, ast.Name) and func.id in ("isinstance", "cast")
                given = [*args, *(keyword.value for keyword in keywords)]
                if name in given and not names_class:
                    return True
    return False


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_no_file_dials_without_a_permit(path: Path) -> None:
    name = path.relative_to(PACKAGE).as_posix()
    assert offences(name, path.read_text("utf-8")) == []


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
async def put_through(permit, permits):
    try:
        await permits.redeem(permit)
    except PermitRefused:
        raise Failed
    VoiceResponse().dial().number(permit.number)
"""


def test_the_right_way_is_no_offence() -> None:
    assert offences("telephony/calls.py", GOOD) == []
    assert offences("telephony/transfers.py", TWIML) == []


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("telephony/api.py", GOOD),
        ("telephony/calls.py", GOOD.replace("redeem(permit)", "redeem(other)")),
        ("telephony/calls.py", GOOD.replace("await self.permits.redeem(permit)", "pass")),
        ("telephony/calls.py", GOOD.replace("await self", "self")),
        ("telephony/calls.py", "x.create_call(permit, dial)"),
        ("telephony/calls.py", "async def f(c, p, d):\n    await c.create_call(p, d)"),
        (
            "telephony/calls.py",
            "from vantum.compliance.permit import DialPermit\nDialPermit(number='+1')",
        ),
        ("telephony/calls.py", "permit.DialPermit(number='+1')"),
        ("telephony/calls.py", "make = DialPermit"),
        ("telephony/calls.py", "f(DialPermit)"),
        ("telephony/calls.py", "f(make=permit.DialPermit)"),
        ("telephony/calls.py", "seal_of('x')"),
        ("telephony/calls.py", "client.calls.create(to='+1')"),
        ("telephony/twilio_rest.py", "async def f(c): await c.calls.create_async(to='+1')"),
        ("telephony/twilio_rest.py", "def create_call(self, permit: str): self.calls.create()"),
        ("telephony/transfers.py", "def f(n): return f'<Dial><Number>{n}</Number></Dial>'"),
        ("telephony/transfers.py", "def f(n): return f'<Dial>{n}</Dial>'"),
        ("telephony/transfers.py", TWIML.replace("redeem(permit)", "redeem(other)")),
        ("telephony/transfers.py", TWIML.replace("number(permit.number)", "number(number)")),
        ("telephony/transfers.py", TWIML.replace("raise Failed", "pass")),
        ("telephony/transfers.py", TWIML.replace("        await", "        if now: await")),
    ],
)
def test_every_other_way_is_one(name: str, source: str) -> None:
    assert offences(name, source)
