"""What a REST request asks for, checked as Twilio checks it. Pure.

Source: "Call resource", https://www.twilio.com/docs/voice/api/call-resource, and the numbered
errors of https://www.twilio.com/docs/api/errors.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

from attrs import frozen

from vantum.testing.twilio.call import Amd, CallOptions, Source
from vantum.testing.twilio.resources import RestError
from vantum.testing.twilio.script import Account

#: A form: names with all their values, in order.
Form = Mapping[str, Sequence[str]]

_E164: Final = re.compile(r"\+[1-9][0-9]{6,14}")
_EVENTS: Final = ("initiated", "ringing", "answered", "completed")
_MAX_TWIML_CHARS: Final = 4_000
_MAX_DIGITS: Final = 32


@frozen
class Order:
    """A call that is asked for."""

    from_number: str
    to_number: str
    options: CallOptions


def read_order(form: Form, account: Account, unreachable: Sequence[str]) -> Order:
    """A request to create a call.

    Raises:
        RestError: Twilio would not take it.
    """
    to, from_ = _one(form, "To"), _one(form, "From")
    if not to:
        raise RestError(400, 21201, "No 'To' number is specified")
    if not from_:
        raise RestError(400, 21213, "No 'From' number is specified")
    to = _number(to)
    if not _E164.fullmatch(to):
        message = f"The phone number you are attempting to call, {to}, is not valid."
        raise RestError(400, 21211, message)
    if not _E164.fullmatch(from_):
        raise RestError(400, 21212, f"The 'From' phone number provided ({from_}) is not valid.")
    if from_ not in account.numbers:
        raise RestError(
            400,
            21210,
            f"The source phone number provided, {from_}, is not yet verified for your account. "
            "You may only make calls from phone numbers that you've verified or purchased from "
            "Twilio.",
        )
    if to in unreachable:
        raise RestError(400, 21214, f"'To' phone number cannot be reached: {to}")
    source = _source(form)
    if source is None:
        raise RestError(400, 21205, "Url parameter is required.")
    fallback = _one(form, "FallbackUrl")
    options = CallOptions(
        source,
        Source(_url(fallback, 21205), _method(form, "FallbackMethod")) if fallback else None,
        *_status(form),
        timeout_s=_whole(form, "Timeout", 60, 1, 600),
        time_limit_s=_whole(form, "TimeLimit", 14_400, 1, 86_400),
        send_digits=_digits(form),
        amd=_amd(form),
    )
    return Order(from_, to, options)


@frozen
class Update:
    """A change of a call that is asked for: to end it, or to go on with other TwiML."""

    status: str = ""
    source: Source | None = None
    status_url: str = ""


def read_update(form: Form) -> Update:
    """A request to change a call.

    Raises:
        RestError: Twilio would not take it.
    """
    status = _one(form, "Status")
    if status not in ("", "canceled", "completed"):
        raise RestError(400, 21200, f"Invalid status {status!r}: canceled or completed is allowed")
    return Update(status, _source(form), _one(form, "StatusCallback"))


# ---------------------------------------------------------------- fields


def _one(form: Form, name: str) -> str:
    values = form.get(name, ())
    return values[-1].strip() if values else ""


def _number(text: str) -> str:
    """Twilio also takes numbers as Americans write them."""
    digits = re.sub(r"[\s().-]", "", text)
    return f"+1{digits}" if re.fullmatch(r"[2-9][0-9]{9}", digits) else digits


def _source(form: Form) -> Source | None:
    if document := _one(form, "Twiml"):
        if len(document) > _MAX_TWIML_CHARS:
            message = f"Twiml size exceeded maximum allowed value of {_MAX_TWIML_CHARS} characters"
            raise RestError(400, 32018, message)
        return Source(twiml=document)
    if url := _one(form, "Url"):
        return Source(_url(url, 21205), _method(form, "Method"))
    return None


def _url(url: str, code: int) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise RestError(400, code, f"Url is not a valid URL: {url}")
    return url


def _method(form: Form, name: str) -> str:
    method = _one(form, name).upper() or "POST"
    if method not in ("GET", "POST"):
        raise RestError(400, 21403, f"{name} is invalid: {method}. GET and POST are allowed.")
    return method


def _status(form: Form) -> tuple[str, str, tuple[str, ...]]:
    url = _one(form, "StatusCallback")
    if url:
        _url(url, 21609)
    # One field for each event: several in one, between blanks, are none.
    events = tuple(event.strip() for event in form.get("StatusCallbackEvent", ()) if event.strip())
    events = events or ("completed",)
    if unknown := [event for event in events if event not in _EVENTS]:
        raise RestError(400, 21626, f"Invalid StatusCallbackEvents: {', '.join(unknown)}")
    return url, _method(form, "StatusCallbackMethod"), events


def _whole(form: Form, name: str, default: int, low: int, high: int) -> float:
    value = _one(form, name) or str(default)
    if not value.isdigit() or not low <= int(value) <= high:
        message = f"{name} is {value!r}: it must be a whole number from {low} to {high}"
        raise RestError(400, 21200, message)
    return float(value)


def _digits(form: Form) -> str:
    digits = _one(form, "SendDigits")
    if set(digits) - set("0123456789ABCD*#wW") or len(digits) > _MAX_DIGITS:
        raise RestError(400, 21206, f"SendDigits is invalid: {digits}")
    return digits


def _amd(form: Form) -> Amd | None:
    kind = _one(form, "MachineDetection")
    if kind.lower() in ("", "none"):
        return None
    if kind not in ("Enable", "DetectMessageEnd"):
        raise RestError(400, 21200, f"MachineDetection is invalid: {kind}")

    def seconds(name: str, default: int, low: int, high: int) -> float:
        return _whole(form, f"MachineDetection{name}", default, low, high) / 1000

    return Amd(
        kind == "DetectMessageEnd",
        _one(form, "AsyncAmd").lower() == "true",
        _one(form, "AsyncAmdStatusCallback"),
        _method(form, "AsyncAmdStatusCallbackMethod"),
        _whole(form, "MachineDetectionTimeout", 30, 3, 59),
        seconds("SpeechThreshold", 2400, 1000, 6000),
        seconds("SpeechEndThreshold", 1200, 500, 5000),
        seconds("SilenceTimeout", 5000, 2000, 10_000),
    )
