"""Fields of a payload: what is declared is what is checked, and what the reference prints.

Two rules hold for every field and are therefore not repeated in the registry: a null value counts
as absent (JavaScript encoders write `undefined` so), and so does an empty string in an optional
text field. Fields that are not declared are ignored.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, TypeAlias

from attrs import frozen

from vantum.core.events import ErrorCase, ErrorReply, Request
from vantum.errors import RequestError

Vocabulary: TypeAlias = Literal["unified", "voicechat"]
Kind: TypeAlias = Literal["str", "int", "float", "bool", "bin", "map"]

#: Longest text in a field that declares no limit. Prospect fields go into a prompt, languages and
#: voices into a provider's address: none of them has a use for more.
DEFAULT_MAX_CHARS: Final = 500

_SHOWN_CHARS = 40
_BAD: Final = object()


class ProtocolError(RequestError):
    """A client's message cannot be taken as it is; the session goes on.

    Attributes:
        case: row of the protocol's error table.
        message: one line: what was wrong and what is allowed.
        request: as much of the message's envelope as could be read.
    """

    def __init__(self, case: ErrorCase, message: str, request: Request) -> None:
        super().__init__(case, message)
        self.case: ErrorCase = case
        self.request = request

    def reply(self) -> ErrorReply:
        """The error event that answers the message."""
        return ErrorReply(self.request, self.case, self.message)


@frozen
class Field:
    """One field of a payload.

    `low` and `high` are inclusive. `default` is for the reader of the reference. A `max_chars` of
    0 is no limit, None the default one. `case` is the error row of a value that is not allowed.
    `only` is the vocabulary that has the field, None for both. `fields` are those of a map.
    """

    name: str
    kind: Kind
    doc: str
    required: bool = False
    default: str | None = None
    low: int | None = None
    high: int | None = None
    choices: tuple[str, ...] = ()
    max_chars: int | None = None
    fields: tuple[Field, ...] = ()
    case: ErrorCase = "malformed"
    only: Vocabulary | None = None

    @property
    def allowed(self) -> str:
        """The allowed values, such as `int 8000..48000`."""
        if self.choices:
            return " or ".join(f'"{choice}"' for choice in self.choices)
        if self.kind == "str":
            longest = DEFAULT_MAX_CHARS if self.max_chars is None else self.max_chars
            return f"str of at most {longest} characters" if longest else "str of any length"
        if self.low is not None and self.high is not None:
            return f"{self.kind} {self.low}..{self.high}"
        if self.low is not None:
            return f"{self.kind} from {self.low}"
        return self.kind


def read_fields(
    fields: Iterable[Field], values: Mapping[object, Any], request: Request, where: str = "payload"
) -> dict[str, Any]:
    """The declared fields that are there, by name, checked.

    Raises:
        ProtocolError: a required field is missing or a value is not allowed.
    """
    found: dict[str, Any] = {}
    for field in fields:
        value = values.get(field.name)
        if value is None or (value == "" and not field.required):
            if field.required:
                message = f"{where}.{field.name} is missing; it must be: {field.allowed}"
                raise ProtocolError(field.case, message, request)
            continue
        if field.kind == "map" and isinstance(value, dict):
            nested = f"{where}.{field.name}"
            found[field.name] = read_fields(field.fields, value, request, nested)
            continue
        checked = _checked(field, value)
        if checked is _BAD:
            message = f"{where}.{field.name} is {shown(value)}; it must be: {field.allowed}"
            raise ProtocolError(field.case, message, request)
        found[field.name] = checked
    return found


def _checked(field: Field, value: object) -> object:
    """The value in its declared type, or `_BAD`."""
    match field.kind, value:
        case "bin", bytes():
            return value
        case "str", str():
            longest = DEFAULT_MAX_CHARS if field.max_chars is None else field.max_chars
            fits = not longest or len(value) <= longest
            return value if fits and (not field.choices or value in field.choices) else _BAD
        case _, bool():
            return value if field.kind == "bool" else _BAD
        case "int", int():
            return value if _in_range(field, value) else _BAD
        case "int", float():
            # Encoders of languages with one number type may write 16000 as a float.
            return int(value) if value.is_integer() and _in_range(field, value) else _BAD
        case "float", int() | float():
            return float(value) if math.isfinite(value) and _in_range(field, value) else _BAD
        case _:
            return _BAD


def _in_range(field: Field, value: float) -> bool:
    return (field.low is None or value >= field.low) and (field.high is None or value <= field.high)


def shown(value: object) -> str:
    """A client's value as an error message may show it: short, and never binary or nested data."""
    match value:
        case None | bool() | int() | float():
            return repr(value)
        case str() if len(value) <= _SHOWN_CHARS:
            return ascii(value)
        case str():
            return f"a str of {len(value)} characters"
        case bytes():
            return f"{len(value)} bytes of bin"
        case dict():
            return "a map"
        case list():
            return "an array"
        case _:
            return "an extension value"
