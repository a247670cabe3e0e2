"""The simulated Twilio's REST side: calls are created, looked up, listed, changed and deleted."""

from __future__ import annotations

import base64
import binascii
import json
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import parse_qs, parse_qsl, urlsplit

import h11
import trio
from attrs import define, field, frozen

from vantum.testing.http_wire import HttpWire
from vantum.testing.twilio.call import PhoneCall
from vantum.testing.twilio.exchange import Exchange
from vantum.testing.twilio.orders import read_order, read_update
from vantum.testing.twilio.resources import (
    ROOT,
    RestError,
    call_json,
    not_found,
    page_json,
)
from vantum.testing.twilio.script import Account, RestFault

_JSON: Final = "application/json;charset=utf-8"
_ERRORS: Final = {
    "server": RestError(500, 20500, "An internal server error has occurred"),
    "unavailable": RestError(503, 20503, "The service is unavailable. Please try again."),
    "rate": RestError(429, 20429, "Too Many Requests"),
}


@frozen
class RecordedRequest:
    """A REST request that came. `form`: names with all their values."""

    method: str
    path: str
    query: Mapping[str, str] = field(hash=False)
    form: Mapping[str, list[str]] = field(hash=False)
    headers: Mapping[str, str] = field(hash=False, repr=False)


@define(eq=False)
class Rest:
    """Serves the API for an exchange. `faults` and `requests`: see `SimulatedTwilio`."""

    exchange: Exchange
    faults: deque[RestFault | None]
    requests: list[RecordedRequest] = field(factory=list)

    async def serve_stream(self, stream: trio.abc.Stream) -> None:
        """Serve one connection, any number of requests, until either side closes it."""
        wire = HttpWire(stream)
        try:
            while (taken := await wire.request()) is not None:
                if not await self._respond(wire, *taken) or not wire.next_cycle():
                    return
        except (trio.BrokenResourceError, trio.ClosedResourceError, h11.RemoteProtocolError):
            return  # the client has gone, or does not speak HTTP
        finally:
            await trio.aclose_forcefully(stream)

    async def _respond(self, wire: HttpWire, request: h11.Request, body: bytes) -> bool:
        """Answer one request; False: the connection is to be closed."""
        parts = urlsplit(request.target.decode())
        recorded = RecordedRequest(
            request.method.decode(),
            parts.path,
            dict(parse_qsl(parts.query, keep_blank_values=True)),
            parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True),
            {name.decode(): value.decode("latin-1") for name, value in request.headers},
        )
        self.requests.append(recorded)
        fault = self.faults.popleft() if self.faults else None
        if fault is not None:
            await trio.sleep(fault.after_s)
            match fault.kind:
                case "hang":
                    await wire.gone()
                    return False
                case "refuse":
                    return False
        try:
            if fault is not None and (error := _ERRORS.get(fault.kind)) is not None:
                raise error
            status, answer = self._serve(recorded)
        except RestError as error:
            status, answer = error.status, error.body
        if fault is not None and fault.kind == "drop":
            return False
        await _send(wire, status, answer)
        return True

    def _serve(self, request: RecordedRequest) -> tuple[int, Any]:
        account = self._authenticate(request)
        path = request.path
        match request.method, path.removeprefix(ROOT).split("/")[1:]:
            case _ if not path.startswith(f"{ROOT}/"):
                raise not_found(path)
            case method, ["Accounts", sid, *rest] if sid.removesuffix(".json") == account.sid:
                return self._in_account(account, request, method, rest)
            case _, ["Accounts", *_]:
                # Somebody else's, or nobody's: Twilio does not say which.
                raise RestError(401, 20003, "Authenticate")
            case _:
                raise not_found(path)

    def _in_account(
        self, account: Account, request: RecordedRequest, method: str, rest: list[str]
    ) -> tuple[int, Any]:
        match method, rest:
            case "GET", []:
                return 200, {
                    "sid": account.sid,
                    "friendly_name": "Simulated",
                    "status": "active",
                    "type": "Full",
                    "uri": request.path,
                }
            case "POST", ["Calls.json"]:
                order = read_order(request.form, account, self.exchange.script.unreachable)
                call = self.exchange.place(
                    account.sid, order.from_number, order.to_number, order.options
                )
                return 201, self._json(call)
            case "GET", ["Calls.json"]:
                calls = _chosen(list(self.exchange.calls.values()), request.query, self.exchange)
                mine = [c for c in calls if c.account_sid == account.sid and not c.deleted]
                return 200, page_json(request.path, request.query, mine[::-1], self._json)
            case _, ["Calls", name] if name.endswith(".json"):
                return self._one(account, request, method, name.removesuffix(".json"))
            case _, ["Calls.json"]:
                raise RestError(405, 20004, "Method not allowed")
            case _:
                raise not_found(request.path)

    def _one(
        self, account: Account, request: RecordedRequest, method: str, sid: str
    ) -> tuple[int, Any]:
        call = self.exchange.calls.get(sid)
        if call is None or call.account_sid != account.sid or call.deleted:
            raise not_found(request.path)
        match method:
            case "GET":
                return 200, self._json(call)
            case "POST":
                self._update(call, request)
                return 200, self._json(call)
            case "DELETE":
                if not call.is_over:
                    raise RestError(409, 20009, "Cannot delete this resource before it is complete")
                call.deleted = True
                return 204, None
            case _:
                raise RestError(405, 20004, "Method not allowed")

    def _update(self, call: PhoneCall, request: RecordedRequest) -> None:
        update = read_update(request.form)
        if update.source is not None:
            if call.status != "in-progress" or call.program is None:
                raise RestError(400, 21220, "Call is not in-progress. Cannot redirect.")
            call.redirected = update.source
            call.program.cancel()
        if update.status == "completed":
            if call.is_over:
                raise RestError(400, 21220, "Call is not in-progress. Cannot redirect.")
            call.end("ended by REST")
        elif update.status == "canceled" and call.answered_s is None and not call.is_over:
            call.end("canceled by REST")

    def _json(self, call: PhoneCall) -> dict[str, Any]:
        return call_json(call, self.exchange.mail_time)

    # ------------------------------------------------------------ who asks

    def _authenticate(self, request: RecordedRequest) -> Account:
        scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
        try:
            user, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            user = secret = ""
        if scheme.lower() == "basic" and secret:
            script = self.exchange.script
            for account in (script.account, *script.others):
                if user == account.sid and secret == account.auth_token:
                    return account
                if account.api_keys.get(user) == secret:
                    return account
        raise RestError(401, 20003, "Authenticate")


async def _send(wire: HttpWire, status: int, answer: Any) -> None:
    body = b"" if answer is None else json.dumps(answer).encode()
    headers = [("Content-Type", _JSON), ("X-Twilio-Request-Id", "RQ" + "0" * 32)]
    if status != 204:
        headers.append(("Content-Length", str(len(body))))
    if status == 401:
        headers.append(("WWW-Authenticate", 'Basic realm="Twilio API"'))
    head = h11.Response(status_code=status, headers=headers)
    parts = [h11.Data(data=body)] if body else []
    await wire.send(head, *parts, h11.EndOfMessage())


def _chosen(
    calls: list[PhoneCall], query: Mapping[str, str], exchange: Exchange
) -> list[PhoneCall]:
    """Those that the filters of a list let through."""
    texts: dict[str, Callable[[PhoneCall], str]] = {
        "To": lambda call: call.to_number,
        "From": lambda call: call.from_number,
        "ParentCallSid": lambda call: call.parent_sid,
        "Status": lambda call: "queued" if call.status == "initiated" else call.status,
    }
    for name, text in texts.items():
        if wanted := query.get(name):
            calls = [call for call in calls if text(call) == wanted]
    times: dict[str, Callable[[PhoneCall], float | None]] = {
        "StartTime": lambda call: (
            call.answered_s if call.answered_s is not None else call.dialled_s
        ),
        "EndTime": lambda call: call.ended_s,
    }
    for name, at in times.items():
        for sign in ("", "<", ">"):
            if value := query.get(name + sign):
                limit = _time(name, value)
                calls = [
                    call
                    for call in calls
                    if (at_s := at(call)) is not None
                    and _holds(exchange.time_of(at_s), sign, limit)
                ]
    return calls


def _time(name: str, value: str) -> datetime:
    try:
        if value[:1].isalpha():
            return parsedate_to_datetime(value)
        at = datetime.fromisoformat(value)
    except ValueError:
        raise RestError(400, 20006, f"{name} is no date: {value!r}") from None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def _holds(at: datetime, sign: str, limit: datetime) -> bool:
    match sign:
        case "<":
            return at <= limit
        case ">":
            return at >= limit
        case _:
            return at.date() == limit.date()
