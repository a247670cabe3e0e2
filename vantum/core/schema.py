"""Type hints as JSON schemas, and JSON values as what the hints ask for.

One description, a `Form`, is made of a hint and serves both: what the model is told and what is
accepted from it are the same. Known are str, int, float, bool, None, Any, Literal, enums,
unions (`X | None`), lists, tuples of one type, sets, dicts with text keys, date and datetime,
attrs classes, dataclasses and `Annotated[hint, "what it is"]`.

Source of the schemas: JSON Schema 2020-12, of which providers take the part used here.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, datetime
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeAlias, Union, get_args, get_origin, get_type_hints

import attrs
from attrs import frozen

# ---------------------------------------------------------------- forms

Kind: TypeAlias = Literal["string", "integer", "number", "boolean", "null", "date", "date-time"]


@frozen
class Plain:
    """A single value."""

    kind: Kind


@frozen
class Anything:
    """Whatever JSON can hold."""


@frozen
class Choice:
    """One of a few values: as JSON has each, and what it stands for."""

    values: tuple[tuple[Any, Any], ...]


@frozen
class Listing:
    """Any number of values, handed on as `make` makes it of a list."""

    item: Form
    make: Callable[[list[Any]], Any]
    unique: bool = False


@frozen
class Table:
    """Text keys, values of one form."""

    value: Form


@frozen
class Either:
    """The first option that fits."""

    options: tuple[Form, ...]


@frozen
class Member:
    """A named part. `default` is told to the model if JSON can hold it."""

    name: str
    form: Form
    required: bool
    description: str = ""
    default: Any = None


@frozen
class Record:
    """Named parts, handed on as `make(**parts)` makes it."""

    members: tuple[Member, ...]
    make: Callable[..., Any]
    description: str = ""


Form: TypeAlias = Plain | Anything | Choice | Listing | Table | Either | Record


class Mismatch(ValueError):
    """A value that the form does not take: where, and what was wanted. Repeats no value."""


# ---------------------------------------------------------------- hints → forms

_PLAIN: dict[object, Kind] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    NoneType: "null",
    None: "null",
    date: "date",
    datetime: "date-time",
}
_LISTS: dict[object, Callable[[list[Any]], Any]] = {
    list: list,
    Sequence: tuple,
    tuple: tuple,
    set: set,
    AbstractSet: frozenset,
    frozenset: frozenset,
}


def form_of(hint: Any, within: tuple[type, ...] = ()) -> Form:
    """The form of a resolved type hint. `within`: the classes it is a part of.

    Raises:
        TypeError: it cannot be said in JSON, or is not known here.
    """
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return form_of(arguments[0], within)
    if hint is Any:
        return Anything()
    if hint in _PLAIN:
        return Plain(_PLAIN[hint])
    if origin is Literal:
        return Choice(tuple((value, value) for value in arguments))
    if origin in (Union, UnionType):
        return Either(tuple(form_of(option, within) for option in arguments))
    if hint in _LISTS or origin in _LISTS:
        return _listing(hint if hint in _LISTS else origin, arguments, within)
    if hint in (dict, Mapping) or origin in (dict, Mapping):
        return _table(hint, arguments, within)
    if isinstance(hint, type):
        if issubclass(hint, Enum):
            return Choice(tuple((member.value, member) for member in hint))
        if attrs.has(hint) or dataclasses.is_dataclass(hint):
            return _record(hint, within)
    raise TypeError(f"{_name(hint)} cannot be an argument of a tool")


def _listing(kind: Any, arguments: tuple[Any, ...], within: tuple[type, ...]) -> Form:
    if kind is tuple and arguments and arguments[1:] != (...,):
        raise TypeError("a tuple as an argument of a tool is written tuple[X, ...]")
    item = form_of(arguments[0], within) if arguments else Anything()
    return Listing(item, _LISTS[kind], unique=kind in (set, AbstractSet, frozenset))


def _table(hint: Any, arguments: tuple[Any, ...], within: tuple[type, ...]) -> Form:
    if arguments and arguments[0] is not str:
        raise TypeError(f"{_name(hint)}: the keys must be str, as in JSON")
    return Table(form_of(arguments[1], within) if arguments else Anything())


def _record(kind: type, within: tuple[type, ...]) -> Record:
    if kind in within:
        raise TypeError(f"{kind.__name__} contains itself, which an argument of a tool cannot")
    hints = get_type_hints(kind, include_extras=True)
    members = []
    for name, field_name, required, default in _fields(kind):
        form = form_of(hints[field_name], (*within, kind))
        members.append(Member(name, form, required, description_of(hints[field_name]), default))
    # The docstring that dataclasses and attrs make up says nothing.
    described = inspect.cleandoc(kind.__doc__ or "")
    if described.startswith(f"{kind.__name__}("):
        described = ""
    return Record(tuple(members), kind, described)


def _fields(kind: type) -> list[tuple[str, str, bool, Any]]:
    """Name in `__init__`, name of the field, whether it is required, default."""
    if attrs.has(kind):
        return [
            (f.alias or f.name, f.name, f.default is attrs.NOTHING, f.default)
            for f in attrs.fields(kind)
            if f.init
        ]
    missing = dataclasses.MISSING
    return [
        (
            f.name,
            f.name,
            f.default is missing and f.default_factory is missing,
            f.default,
        )
        for f in dataclasses.fields(kind)
        if f.init
    ]


def description_of(hint: Any) -> str:
    """The text of an `Annotated` hint, if it has one."""
    if get_origin(hint) is not Annotated:
        return ""
    return next((text for text in get_args(hint)[1:] if isinstance(text, str)), "")


def _name(hint: Any) -> str:
    return getattr(hint, "__name__", None) or str(hint)


# ---------------------------------------------------------------- forms → JSON schemas


def schema_of(form: Form) -> dict[str, Any]:
    """The JSON schema of a form."""
    match form:
        case Plain(kind="date" | "date-time" as kind):
            return {"type": "string", "format": kind}
        case Plain(kind=kind):
            return {"type": kind}
        case Anything():
            return {}
        case Choice(values=values):
            return {"enum": [value for value, _ in values]}
        case Listing(item=item, unique=unique):
            schema = {"type": "array", "items": schema_of(item)}
            return schema | {"uniqueItems": True} if unique else schema
        case Table(value=value):
            return {"type": "object", "additionalProperties": schema_of(value)}
        case Either(options=options):
            return {"anyOf": [schema_of(option) for option in options]}
        case _:
            return _record_schema(form)


def _record_schema(record: Record) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object"}
    if record.description:
        schema["description"] = record.description
    schema["properties"] = {m.name: _member_schema(m) for m in record.members}
    if required := [m.name for m in record.members if m.required]:
        schema["required"] = required
    return schema | {"additionalProperties": False}


def _member_schema(member: Member) -> dict[str, Any]:
    schema = schema_of(member.form)
    if member.description:
        schema["description"] = member.description
    match member.default:
        case Enum():
            pass
        case str() | bool() | int() as default:
            schema["default"] = default
        case float() as default if math.isfinite(default):
            schema["default"] = default
    return schema


# ---------------------------------------------------------------- JSON values → Python values


def take(form: Form, value: Any, where: str) -> Any:
    """What `value`, as `json.loads` gives it, stands for.

    Args:
        form: what is wanted.
        value: what came.
        where: what to call it in an error, as in `guests[2].name`.

    Raises:
        Mismatch: it does not fit.
    """
    match form:
        case Plain(kind=kind):
            return _take_plain(kind, value, where)
        case Anything():
            return value
        case Choice(values=values):
            for known, meant in values:
                # 1 and True are equal, and not the same.
                if type(known) is type(value) and known == value:
                    return meant
            raise Mismatch(f"{where} must be one of {[known for known, _ in values]}")
        case Listing(item=item, make=make):
            if not isinstance(value, list):
                raise Mismatch(f"{where} must be an array")
            taken = [take(item, one, f"{where}[{index}]") for index, one in enumerate(value)]
            try:
                return make(taken)
            except TypeError:
                raise Mismatch(f"{where} must hold plain values") from None
        case Table(value=inner):
            if not isinstance(value, dict):
                raise Mismatch(f"{where} must be an object")
            return {key: take(inner, one, f"{where}.{key}") for key, one in value.items()}
        case Either(options=options):
            return _take_either(options, value, where)
        case _:
            return _take_record(form, value, where)


_WANTED: dict[Kind, str] = {
    "string": "a string",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
    "date": 'a date such as "2026-03-31"',
    "date-time": 'a date and time such as "2026-03-31T14:30:00+02:00"',
}


def _take_plain(kind: Kind, value: Any, where: str) -> Any:
    match kind, value:
        case "string", str():
            return value
        case "boolean", bool():
            return value
        case "null", None:
            return None
        case (("integer" | "number"), bool()):
            pass
        case "integer", int():
            return value
        case "integer", float() if value.is_integer():
            return int(value)
        case "number", int() | float():
            if (number := _finite(value)) is not None:
                return number
        case (("date" | "date-time"), str()):
            make = date.fromisoformat if kind == "date" else datetime.fromisoformat
            try:
                return make(value)
            except ValueError:
                pass
    raise Mismatch(f"{where} must be {_WANTED[kind]}")


def _finite(value: float) -> float | None:
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _take_either(options: tuple[Form, ...], value: Any, where: str) -> Any:
    wrong: list[str] = []
    for option in options:
        try:
            return take(option, value, where)
        except Mismatch as mismatch:
            wrong.append(str(mismatch))
    raise Mismatch(", or ".join(dict.fromkeys(wrong)))


def _take_record(record: Record, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise Mismatch(f"{where} must be an object")
    members = {member.name: member for member in record.members}
    inner = "" if where == ROOT else f"{where}."
    if unknown := [name for name in value if name not in members]:
        known = ", ".join(members) or "none"
        raise Mismatch(f"{where} must not have {unknown[0]!r}; known: {known}")
    for member in record.members:
        if member.required and member.name not in value:
            raise Mismatch(f"{inner}{member.name} is missing")
    parts = {name: take(members[name].form, one, f"{inner}{name}") for name, one in value.items()}
    try:
        return record.make(**parts)
    except (TypeError, ValueError) as error:
        # attrs' own validators add their objects behind the sentence.
        raise Mismatch(f"{where}: {error.args[0] if error.args else 'not allowed'}") from error


#: What the arguments as a whole are called.
ROOT = "the arguments"
