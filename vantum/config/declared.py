"""What settings there are, as a flat list: for reading them, printing them and their reference."""

from __future__ import annotations

from functools import cache
from typing import Any, Final, Literal, TypeAlias, get_args, get_origin, get_type_hints

import attrs
from attrs import frozen

from vantum.config import Settings
from vantum.config.base import Secret
from vantum.core.prompts import SPOKEN_VARIABLES

Kind: TypeAlias = Literal["int", "float", "bool", "str", "secret"]

_KINDS: dict[object, Kind] = {
    int: "int",
    float: "float",
    bool: "bool",
    str: "str",
    Secret: "secret",
}


#: A longer break marker is nothing a model would write reliably, and its pattern nests as deep.
MARKER_CHARS = 40

#: What is allowed in settings that are written in a small language of their own.
_OWN_TEXT: Final = f"text with words and, if wanted, the variables {', '.join(SPOKEN_VARIABLES)}"
_FORMS: Final = {
    "hours": 'days and hours, such as "mon-fri 08:00-21:00, sat 10:00-16:00"',
    "holidays": "dates such as 2026-11-26 or, for each year, 12-25, comma-separated",
    "caps": 'numbers of calls by period, such as "3/1d, 7/7d" or "1/8h"',
    "countries": 'ISO codes of countries, comma-separated, such as "US, CA"',
    "destinations": 'names with numbers, such as "sales=+12125550123, support=+12125550124"',
    "numbers": "phone numbers in international form, such as +12125550123, comma-separated",
    "opt_out_languages": "languages of en, es, fr, de, pt, comma-separated",
    "own_text": _OWN_TEXT,
    "own_texts": f"texts between bars, each: {_OWN_TEXT}",
    "pattern": "a regular expression",
    "phone_tools": "auto or of send_digits, transfer, schedule_callback, do_not_call",
}


@frozen
class Declared:
    """One setting as its class declares it.

    `also`, `choices`, `low`, `high` and `form` are as in `vantum.config.base.setting`.
    """

    table: str
    key: str
    kind: Kind
    default: object
    doc: str
    env: str | None = None
    also: str | None = None
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    form: str | None = None

    @property
    def name(self) -> str:
        """Dotted, as in `llm.max_tokens`."""
        return f"{self.table}.{self.key}"

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables that set it; the first of them that is set counts."""
        return tuple(name for name in (self.env, self.also) if name)

    @property
    def allowed(self) -> str:
        """The allowed values, in words that follow "must be"."""
        if self.choices:
            *most, last = self.choices
            return f"{', '.join(most)} or {last}" if most else last
        match self.kind:
            case "int" | "float":
                what = "a whole number" if self.kind == "int" else "a number"
                if self.low is not None and self.high is not None:
                    return f"{what} from {self.low} to {self.high}"
                return what if self.low is None else f"{what} of at least {self.low}"
            case "bool":
                return "true or false"
            case "secret" | "str" if self.kind == "secret" or self.form == "header":
                also = ", with a token" if self.form == "tokens" else ""
                return f"one line of printable ASCII characters{also}"
            case "str" if self.form == "url":
                return (
                    "an address that begins with http://, https://, ws:// or wss://, "
                    "without user name, query and fragment"
                )
            case "str" if self.form == "marker":
                return (
                    f"at most {MARKER_CHARS} characters that begin and end with symbols which are "
                    'not punctuation, without a space, such as "||BREAK||"'
                )
            case "str" if self.form == "spoken":
                return "text with at least one letter or digit"
            case "str" if self.form == "number":
                return "a phone number in international form, such as +12125550123"
            case "str" if self.form == "rates":
                return 'prices by the beginning of a number, such as "+1=0.014, +44=0.02, *=0.1"'
            case "str" if self.form in _FORMS:
                return _FORMS[self.form]
            case _:
                return "text that is not empty" if self.form == "nonempty" else "text"


@frozen
class Table:
    """A table of the file: its name, what it is about, and its settings."""

    name: str
    doc: str
    settings: tuple[Declared, ...]


@cache
def declared_tables() -> tuple[Table, ...]:
    """All tables, in the order in which `Settings` has them."""
    return tuple(_table(name, kind) for name, kind in get_type_hints(Settings).items())


@cache
def declared() -> dict[str, Declared]:
    """All settings by dotted name."""
    return {row.name: row for table in declared_tables() for row in table.settings}


def _table(name: str, kind: Any) -> Table:
    hints = get_type_hints(kind)
    rows = tuple(
        _declared(name, field, hints[field.name])
        for field in attrs.fields(kind)
        if "doc" in field.metadata  # what else there is, is no single value
    )
    return Table(name, (kind.__doc__ or "").strip(), rows)


def _declared(table: str, field: attrs.Attribute[object], annotation: object) -> Declared:
    meta = field.metadata
    literals = get_args(annotation) if get_origin(annotation) is Literal else ()
    return Declared(
        table=table,
        key=field.name,
        kind="str" if literals else _KINDS[annotation],
        default=field.default,
        doc=meta["doc"],
        env=meta["env"],
        also=meta["also"],
        low=meta["low"],
        high=meta["high"],
        choices=meta["choices"] or literals,
        form=meta["form"],
    )
