"""A `CallOrder` from what somebody wrote: a request's JSON, or a file about a prospect.

Strict: what is not known is named, with what there is; nothing is guessed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any, Final

from attrs import define, field, frozen

from vantum.core.events import Prospect
from vantum.core.prompts import EXTRA_NAME, MAX_EXTRA
from vantum.core.scripts import parse_script
from vantum.errors import ConfigError
from vantum.telephony.orders import CallOrder, Promise, shown

#: Fields of text, with the most characters of each.
_TEXTS: Final = {
    "to": 40,
    "from": 40,
    "greeting": 1_000,
    "voicemail": 2_000,
    "script": 60_000,
    "scriptName": 200,
    "timezone": 64,
    "campaignId": 100,
}
_FIELDS: Final = (*_TEXTS, "prospect", "callback")
_PROMISE: Final = {"id": 100, "by": 200}
_ABOUT: Final = {"name": 200, "company": 200, "industry": 200, "timezone": 64}
_FACTS: Final = (*_ABOUT, "extra")
_MAX_FACT_CHARS: Final = 1_000
#: Numbers that may call are the account's own, which Twilio knows in E.164.
_NUMBER: Final = re.compile(r"\+[1-9][0-9]{6,14}")
_SPACING: Final = re.compile(r"[ ().-]")


@frozen
class WrongField:
    """A field that is wrong, and how."""

    field: str
    message: str


class WrongFields(Exception):
    """What is wrong with what somebody wrote: at least one field."""

    def __init__(self, wrong: list[WrongField]) -> None:
        super().__init__("; ".join(f"{one.field}: {one.message}" for one in wrong))
        self.wrong = tuple(wrong)


@define
class _Reader:
    wrong: list[WrongField] = field(factory=list)

    def known(self, where: str, values: Mapping[str, Any], names: tuple[str, ...]) -> None:
        for name in values:
            if name not in names:
                there_are = f"is not known; there are: {', '.join(names)}"
                self.wrong.append(WrongField(f"{where}{shown(str(name))}", there_are))

    def text(self, where: str, values: Mapping[str, Any], name: str, most: int) -> str:
        value = values.get(name)
        if value is None:
            return ""
        if not isinstance(value, str) or len(value) > most:
            self.wrong.append(
                WrongField(f"{where}{name}", f"must be text of at most {most} characters")
            )
            return ""
        if (char := _not_text(value)) is not None:
            message = f"holds U+{ord(char):04X}, which is no character of a text"
            self.wrong.append(WrongField(f"{where}{name}", message))
            return ""
        return value.strip()

    def number(self, name: str, text: str) -> str:
        """One of ours, in E.164; empty if there is none."""
        number = _SPACING.sub("", text)
        if number and not _NUMBER.fullmatch(number):
            wanted = "must be one of the account's numbers, such as +12125550123"
            self.wrong.append(WrongField(name, wanted))
        return number

    def table(self, where: str, values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
        value = values.get(name)
        if value is None or isinstance(value, dict):
            return value or {}
        self.wrong.append(WrongField(f"{where}{name}", "must be an object with fields"))
        return {}

    def prospect(self, where: str, values: Mapping[str, Any]) -> Prospect:
        self.known(where, values, _FACTS)
        facts = {name: self.text(where, values, name, most) for name, most in _ABOUT.items()}
        extra = self.table(where, values, "extra")
        if len(extra) > MAX_EXTRA:
            self.wrong.append(WrongField(f"{where}extra", f"has at most {MAX_EXTRA} fields"))
        for name in extra:
            if not isinstance(name, str) or not EXTRA_NAME.fullmatch(name):
                rule = "its name must be a small letter, then small letters, digits and _"
                self.wrong.append(WrongField(f"{where}extra.{str(name)[:40]}", rule))
        more = {
            name: self.text(f"{where}extra.", extra, name, _MAX_FACT_CHARS)
            for name in list(extra)[:MAX_EXTRA]
        }
        return Prospect(
            **{name: value or None for name, value in facts.items()},
            extra={name: value for name, value in more.items() if value},
        )


def _promise(reader: _Reader, values: Mapping[str, Any]) -> Promise | None:
    given = reader.table("", values, "callback")
    reader.known("callback.", given, tuple(_PROMISE))
    texts = {name: reader.text("callback.", given, name, most) for name, most in _PROMISE.items()}
    if given and not all(texts.values()):
        wanted = "must have an id, and by: the name in which it was taken up"
        reader.wrong.append(WrongField("callback", wanted))
    return Promise(**texts) if given else None


def _not_text(text: str) -> str | None:
    """The first half of a surrogate pair or control character in it, which JSON can write and
    nobody can say, send or store; None: there is none."""
    odd = ("Cs", "Cc")
    return next((c for c in text if unicodedata.category(c) in odd and c not in "\t\n\r"), None)


def read_prospect(values: Mapping[str, Any]) -> Prospect:
    """Who is to be called: `name`, `company`, `industry`, `timezone`, and `extra` with whatever
    else there is.

    Raises:
        WrongFields: names each field that is wrong.
    """
    reader = _Reader()
    found = reader.prospect("", values)
    if reader.wrong:
        raise WrongFields(reader.wrong)
    return found


def read_order(values: Mapping[str, Any]) -> CallOrder:
    """The order in a request's JSON: `to`, and if wanted `from`, `prospect`, `greeting`,
    `voicemail`, `script` (a script's TOML), `scriptName`, `timezone`, `campaignId`, `callback`.

    Raises:
        WrongFields: names each field that is wrong.
    """
    reader = _Reader()
    reader.known("", values, _FIELDS)
    texts = {name: reader.text("", values, name, most) for name, most in _TEXTS.items()}
    from_number = reader.number("from", texts["from"])
    who = reader.prospect("prospect.", reader.table("", values, "prospect"))
    if not texts["to"] and not any(one.field == "to" for one in reader.wrong):
        wanted = "is missing: the number to call, such as +12125550123"
        reader.wrong.append(WrongField("to", wanted))
    promise = _promise(reader, values)
    script = None
    if texts["script"]:
        try:
            script = parse_script(texts["script"], texts["scriptName"] or "the script")
        except ConfigError as error:
            reader.wrong.append(WrongField("script", str(error)))
    if reader.wrong:
        raise WrongFields(reader.wrong)
    return CallOrder(
        to=texts["to"],
        prospect=who,
        script_file=(texts["scriptName"] or "script.toml") if script is not None else "",
        greeting=texts["greeting"],
        voicemail=texts["voicemail"],
        campaign_id=texts["campaignId"],
        from_number=from_number,
        timezone=texts["timezone"] or None,
        script=script,
        promise=promise,
    )
