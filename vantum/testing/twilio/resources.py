"""The JSON of Twilio's Call resource, its pages and its errors. Pure but for the call it reads.

Sources: "Call resource", https://www.twilio.com/docs/voice/api/call-resource; "Twilio's Response"
(paging), https://www.twilio.com/docs/usage/twilios-response; "Error and Warning Dictionary",
https://www.twilio.com/docs/api/errors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode

from vantum.testing.twilio.call import PhoneCall

ROOT: Final = "/2010-04-01"
MAX_PAGE: Final = 1000


class RestError(Exception):
    """A request is refused. `code`: Twilio's number; `status`: of the HTTP answer."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code

    @property
    def body(self) -> dict[str, Any]:
        """As Twilio says it."""
        return {
            "code": self.code,
            "message": str(self),
            "more_info": f"https://www.twilio.com/docs/errors/{self.code}",
            "status": self.status,
        }


def not_found(path: str) -> RestError:
    """There is no such resource in this account."""
    return RestError(404, 20404, f"The requested resource {path} was not found")


def formatted(number: str) -> str:
    """For display: numbers of North America in their own way."""
    if len(number) == 12 and number.startswith("+1") and number[1:].isdigit():
        return f"({number[2:5]}) {number[5:8]}-{number[8:]}"
    return number


def call_json(call: PhoneCall, mail_time: Callable[[float], str]) -> dict[str, Any]:
    """A call as Twilio gives it. `mail_time`: of trio's clock."""
    uri = f"{ROOT}/Accounts/{call.account_sid}/Calls/{call.sid}"
    kinds = (
        "events",
        "notifications",
        "payments",
        "recordings",
        "siprec",
        "streams",
        "transcriptions",
        "user_defined_message_subscriptions",
        "user_defined_messages",
    )
    names = {kind: "".join(part.title() for part in kind.split("_")) for kind in kinds}

    def when(at_s: float | None) -> str | None:
        return None if at_s is None else mail_time(at_s)

    duration = call.duration_s if call.answered_s is not None else None
    if call.is_over and duration is None:
        duration = 0
    return {
        "account_sid": call.account_sid,
        "annotation": None,
        "answered_by": call.answered_by,
        "api_version": "2010-04-01",
        "caller_name": "" if call.direction == "inbound" else None,
        "date_created": mail_time(call.created_s),
        "date_updated": mail_time(call.updated_s),
        "direction": call.direction,
        "duration": None if duration is None else str(duration),
        "end_time": when(call.ended_s),
        "forwarded_from": None,
        "from": call.from_number,
        "from_formatted": formatted(call.from_number),
        "group_sid": None,
        "parent_call_sid": call.parent_sid or None,
        "phone_number_sid": "PN" + "0" * 32,
        "price": None,
        "price_unit": "USD",
        "queue_time": str(call.queued_ms),
        "sid": call.sid,
        "start_time": when(call.answered_s if call.answered_s is not None else call.dialled_s),
        "status": "queued" if call.status == "initiated" else call.status,
        "subresource_uris": {kind: f"{uri}/{name}.json" for kind, name in names.items()},
        "to": call.to_number,
        "to_formatted": formatted(call.to_number),
        "trunk_sid": None,
        "uri": f"{uri}.json",
    }


def page_json(
    path: str, query: Mapping[str, str], calls: Sequence[PhoneCall], make: Callable[[Any], Any]
) -> dict[str, Any]:
    """One page of calls, newest first, as the query asks for it.

    Raises:
        RestError: the query is wrong.
    """
    size, number = _whole(query, "PageSize", 50, 1), _whole(query, "Page", 0, 0)
    size = min(size, MAX_PAGE)
    begin = number * size
    part = calls[begin : begin + size]

    def uri(page: int) -> str:
        kept = {k: v for k, v in query.items() if k not in ("PageSize", "Page", "PageToken")}
        return f"{path}?{urlencode({**kept, 'PageSize': size, 'Page': page})}"

    following = begin + size < len(calls)
    return {
        "calls": [make(call) for call in part],
        "end": begin + len(part) - 1 if part else 0,
        "first_page_uri": uri(0),
        "next_page_uri": f"{uri(number + 1)}&PageToken=PA{part[-1].sid}" if following else None,
        "page": number,
        "page_size": size,
        "previous_page_uri": uri(number - 1) if number else None,
        "start": begin,
        "uri": uri(number),
    }


def _whole(query: Mapping[str, str], name: str, default: int, low: int) -> int:
    value = query.get(name, str(default))
    if not value.isdigit() or int(value) < low:
        raise RestError(400, 20006, f"{name} is {value!r}: it must be a number from {low} on")
    return int(value)
