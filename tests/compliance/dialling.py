"""What a file does that could dial without a permit: read from its syntax tree.

Who wants to dial needs one of four things: the carrier's `create_call`, Twilio's package, TwiML
that dials, or a request of his own to Twilio. For each there is one place where it may stand, and
there the permit has to be redeemed before. It finds what somebody writes who does not think of
permits, or thinks that he needs none; names that are put together at run time it cannot see.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias

from attrs import define, field

_CHECK: Final = ("compliance/check.py", "compliance/permit.py")
_CARRIER: Final = "telephony/twilio_rest.py"
_PLACING: Final = "telephony/calls.py"
#: What may be imported of Twilio's package, and where.
_IMPORTS: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "telephony/twilio_rest.py": {
        "twilio.rest": ("Client",),
        "twilio.base.exceptions": ("TwilioException",),
    },
    "telephony/transfer_twiml.py": {"twilio.twiml.voice_response": ("Dial", "VoiceResponse")},
    "telephony/invitations.py": {"twilio.twiml.voice_response": ("Connect", "VoiceResponse")},
    "telephony/webhooks.py": {"twilio.twiml.voice_response": ("VoiceResponse",)},
}
#: Anybody may check and make signatures.
_HARMLESS: Final = "twilio.request_validator"
#: Who says what a permit is (`Permits`), and who gives it.
_ISSUERS: Final = ("compliance/check.py", "telephony/calls.py", "testing/network.py")
#: What makes permits, or makes their making possible.
_SECRET: Final = ("seal_of", "_KEY", "_new_permit")
#: TwiML nouns that somebody's telephone rings at, and the ways to them.
_NOUNS: Final = ("number", "sip", "client", "sim", "whats_app", "application", "refer", "add_child")
#: TwiML and REST paths, in whatever text.
_TEXT: Final = re.compile(
    r"<(Dial|Number|Sip|Client|Refer)\b|/?\b(Calls|Participants)\.json\b|</Dial"
)
_TAGS: Final = ("Dial", "Number", "Sip", "Client", "Refer")
_MODULE: Final = re.compile(r"twilio(\.(rest|twiml|http|base|jwt)(\.\w+)*)?")
_LOOPS: Final = (
    ast.For,
    ast.AsyncFor,
    ast.While,
    ast.ListComp,
    ast.SetComp,
    ast.DictComp,
    ast.GeneratorExp,
    ast.Lambda,
)

_Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


def offences(name: str, source: str) -> list[str]:
    """What a file does that it must not. `name`: its path in the package."""
    return [f"{name}:{line}: {what}" for line, what in sorted(set(_File(name, source).offences()))]


@define
class _File:
    name: str
    source: str
    tree: ast.Module = field(init=False)
    parents: dict[int, ast.AST] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self.tree = ast.parse(self.source)
        for parent in ast.walk(self.tree):
            for child in ast.iter_child_nodes(parent):
                self.parents[id(child)] = parent

    @property
    def is_twilio_itself(self) -> bool:
        """The simulated Twilio is on the other side: it is dialled, and answers."""
        return self.name.startswith("testing/")

    def offences(self) -> Iterator[tuple[int, str]]:
        for node in ast.walk(self.tree):
            line = getattr(node, "lineno", 0)
            for what in (
                *self.about_import(node),
                *self.about_permits(node),
                *self.about_carrier(node),
                *self.about_rest(node),
                *self.about_twiml(node),
                *self.about_text(node),
            ):
                yield line, what

    def about_import(self, node: ast.AST) -> Iterator[str]:
        match node:
            case ast.Import(names=names):
                if any(_MODULE.fullmatch(each.name) for each in names):
                    yield "imports Twilio's package as a whole"
            case ast.ImportFrom(module=str(module), names=names):
                if module.split(".")[0] == "twilio" and module != _HARMLESS:
                    allowed = _IMPORTS.get(self.name, {}).get(module, ())
                    for each in names:
                        if each.name not in allowed or each.asname:
                            yield f"imports {each.name} of {module}"
                for each in names:
                    if each.asname and each.name in ("DialPermit", *_SECRET):
                        yield f"gives {each.name} another name"

    def about_permits(self, node: ast.AST) -> Iterator[str]:
        if self.name in _CHECK:
            return
        match node:
            case ast.ImportFrom(module=str(module), names=names) if "compliance" in module:
                if hidden := {each.name for each in names} & {*_SECRET}:
                    yield f"imports what permits are sealed with: {', '.join(sorted(hidden))}"
            case ast.Name(id="seal_of") | ast.Attribute(attr="seal_of" | "_KEY" | "_new_permit"):
                yield "can make permits, or lets somebody make them"
            case ast.Name(id="DialPermit") | ast.Attribute(attr="DialPermit"):
                if not self.is_type(node):
                    yield "makes permits, or lets somebody make them"
            case ast.Attribute(
                value=ast.Name(id="object"), attr="__new__" | "__setattr__" | "__delattr__"
            ):
                yield "makes or changes frozen values, and a permit is one"
            case ast.FunctionDef(name="redeem") | ast.AsyncFunctionDef(name="redeem"):
                takes = {ast.unparse(a.annotation) for a in node.args.args if a.annotation}
                if self.name not in _ISSUERS and "DialPermit" in takes:
                    yield "redeems permits in a way of its own"

    def about_carrier(self, node: ast.AST) -> Iterator[str]:
        match node:
            case ast.Constant(value="create_call"):
                yield "names create_call in a text"
            case ast.Name(id="create_call") | ast.Attribute(attr="create_call"):
                call = self.parents[id(node)]
                if not (isinstance(call, ast.Call) and call.func is node):
                    yield "passes create_call on"
                elif self.name != _PLACING:
                    yield f"create_call outside {_PLACING}"
                elif not (call.args and self.redeems_before(call, call.args[0])):
                    yield "create_call without redeeming its permit right before"

    def about_rest(self, node: ast.AST) -> Iterator[str]:
        match node:
            case ast.Attribute(attr="create_async"):
                of = [f for f in self.functions_around(node) if f.name == "create_call"]
                if self.name != _CARRIER or not any(map(_takes_permit, of)):
                    yield "Twilio is asked to call outside TwilioCarrier.create_call"
            case ast.Call(func=ast.Attribute(attr="create"), keywords=keywords):
                if {"to", "from_", "twiml"} & {each.arg for each in keywords}:
                    yield "Twilio is asked to call outside TwilioCarrier.create_call"

    def about_twiml(self, node: ast.AST) -> Iterator[str]:
        if "twilio.twiml" not in self.source or self.is_twilio_itself:
            return
        match node:
            case ast.Attribute(value=ast.Name(id=name), attr="number", ctx=ast.Load()) if (
                self.is_permit(name, node)
            ):
                return
            case ast.Attribute(attr=attr) if attr in _NOUNS:
                match self.parents[id(node)]:
                    case (
                        ast.Call(
                            func=func, args=[ast.Attribute(value=permit, attr="number"), *_]
                        ) as call
                    ) if func is node and attr == "number":
                        if self.redeems_before(call, permit):
                            return
                yield "TwiML that dials a number that is not a redeemed permit's"
            case ast.Call(func=ast.Name(id="Dial") | ast.Attribute(attr="dial")) if (
                node.args or any(each.arg == "number" for each in node.keywords)
            ):
                yield "TwiML that dials a number that is not a redeemed permit's"

    def about_text(self, node: ast.AST) -> Iterator[str]:
        match node:
            case ast.Constant(value=str(text)) if not self.is_docstring(node):
                if _TEXT.search(text) and not self.is_twilio_itself:
                    yield "a request or TwiML that dials, as text"
                of_call = isinstance(self.parents[id(node)], ast.Call)
                if of_call and text in _TAGS and not self.is_twilio_itself:
                    yield "an element of TwiML that dials"
                if "." in text and _MODULE.fullmatch(text):
                    yield "names a module of Twilio's package in a text"

    # ------------------------------------------------------------ what stands around

    def around(self, node: ast.AST) -> Iterator[ast.AST]:
        """What a node is in, the innermost first."""
        while (parent := self.parents.get(id(node))) is not None:
            yield parent
            node = parent

    def functions_around(self, node: ast.AST) -> list[_Function]:
        return [each for each in self.around(node) if isinstance(each, _Function)]

    def is_docstring(self, node: ast.AST) -> bool:
        return isinstance(self.parents[id(node)], ast.Expr)

    def is_permit(self, name: str, node: ast.AST) -> bool:
        """Whether a name is an argument that the types say is a permit."""
        return any(name in _permits_of(each) for each in self.functions_around(node)[:1])

    def is_type(self, node: ast.AST) -> bool:
        """Whether a class is only spoken of: in an annotation, or to ask for it."""
        inner = node
        for each in self.around(node):
            match each:
                case ast.arg() | ast.AnnAssign(annotation=ast.expr()):
                    return not (isinstance(each, ast.AnnAssign) and each.value is inner)
                case ast.FunctionDef(returns=returns) | ast.AsyncFunctionDef(returns=returns):
                    return returns is inner
                case ast.Call(func=ast.Name(id="isinstance" | "cast")) | ast.MatchClass():
                    return True
                case ast.BinOp() | ast.Subscript() | ast.Tuple():
                    inner = each
                case _:
                    return False
        return False

    def redeems_before(self, call: ast.Call, permit: ast.expr) -> bool:
        """Whether the innermost function awaits `redeem` of this permit before the call, once for
        each call, where nothing can lead around it: in its own statements, or in a `try` that
        every failure leaves."""
        functions = self.functions_around(call)
        if not functions or not isinstance(permit, ast.Name):
            return False
        function = functions[0]
        for each in self.around(call):
            if each is function:
                break
            if isinstance(each, _LOOPS):
                return False
        redeemed_at = 0
        for statement in function.body:
            if any(call is node for node in ast.walk(statement)):
                break
            tried = statement.body if isinstance(statement, ast.Try) and _leaves(statement) else []
            for each in (statement, *tried):
                if _redeems(each, permit.id):
                    redeemed_at = each.lineno
        return bool(redeemed_at) and not any(
            node.lineno >= redeemed_at
            for node in ast.walk(function)
            if isinstance(node, ast.Name)
            and node.id == permit.id
            and isinstance(node.ctx, ast.Store)
        )


def _permits_of(function: _Function) -> set[str]:
    """The arguments that the types say are permits."""
    arguments = function.args
    return {
        each.arg
        for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
        if each.annotation and ast.unparse(each.annotation) == "DialPermit"
    }


def _takes_permit(function: _Function) -> bool:
    return bool(_permits_of(function))


def _leaves(statement: ast.Try) -> bool:
    """Whether each handler ends by raising."""
    return not statement.finalbody and all(
        isinstance(handler.body[-1], ast.Raise) for handler in statement.handlers
    )


def _redeems(statement: ast.stmt, permit: str) -> bool:
    match statement:
        case ast.Expr(
            value=ast.Await(
                value=ast.Call(func=ast.Attribute(attr="redeem"), args=[ast.Name(id=given)])
            )
        ):
            return given == permit
    return False
