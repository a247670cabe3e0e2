"""The HTTP API of phone calls: `/v1/calls`.

Every request brings one of the tokens of `server.api_tokens`. A request that dials may be sent
again with the same `Idempotency-Key` and does not dial twice. `docs/reference/http-api.md` is its
reference.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias

from attrs import frozen
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from vantum.admission import is_listed, listed_tokens
from vantum.core.call_status import STATUSES, CallStatus
from vantum.core.refusals import Refusal
from vantum.errors import ConfigError, StorageError
from vantum.observe.logs import get_log
from vantum.telephony.calls import Calls
from vantum.telephony.carrier import CarrierError, CarrierErrorKind
from vantum.telephony.lines import NoLine
from vantum.telephony.order_fields import WrongFields, read_order
from vantum.telephony.orders import CallOrder, CallRefused, NoSuchCall, NotOurs, OrderError
from vantum.telephony.record import CallRecord
from vantum.telephony.signatures import body_of

PATH: Final = "/v1/calls"
_MAX_BODY_BYTES: Final = 131_072
_MAX_KEY_CHARS: Final = 200
_MAX_LIMIT: Final = 200
#: When a line may be free again, nobody knows.
_RETRY_AFTER_S: Final = 5

_log = get_log("api")

_Answer: TypeAlias = Callable[[Request], Awaitable[Response]]

#: What a failure of the telephone company is to who asked for the call.
_CARRIER_STATUS: Final[dict[CarrierErrorKind, int]] = {"invalid_number": 422, "rate_limit": 429}


class ApiError(Exception):
    """A request that is not carried out: an HTTP status, a code for programs, and a sentence."""

    def __init__(self, status: int, code: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.more = status, code, message, more


@frozen
class CallsApi:
    """What answers `/v1/calls`."""

    calls: Calls

    @property
    def routes(self) -> tuple[BaseRoute, ...]:
        """For the server's HTTP side."""
        one = f"{PATH}/{{call_id}}"
        return (
            Route(PATH, self._guarded(self.place), methods=["POST"]),
            Route(PATH, self._guarded(self.list), methods=["GET"]),
            Route(one, self._guarded(self.get), methods=["GET"]),
            Route(one, self._guarded(self.hang_up), methods=["DELETE"]),
        )

    def _guarded(self, answer: _Answer) -> _Answer:
        """Only with a token; and what goes wrong becomes an answer."""

        async def guarded(request: Request) -> Response:
            try:
                self._authenticate(request)
                return await answer(request)
            except Exception as error:
                return _failed(_understood(error))

        return guarded

    def _authenticate(self, request: Request) -> None:
        tokens = self.calls.means.settings.server.api_tokens
        if not listed_tokens(tokens):
            message = "the API is off: the server has no API_TOKENS"
            raise ApiError(403, "api_off", message)
        if not is_listed(_token(request), tokens):
            message = "bring one of the server's API_TOKENS as `Authorization: Bearer …`"
            raise ApiError(401, "not_authenticated", message)

    # ------------------------------------------------------------ requests

    async def place(self, request: Request) -> Response:
        """POST: dial."""
        body = await _json(request)
        order = read_order(body)
        key = request.headers.get("Idempotency-Key", "").strip()
        if not key:
            return _created(await self.calls.place(order))
        if len(key) > _MAX_KEY_CHARS or not key.isprintable():
            message = f"Idempotency-Key must be at most {_MAX_KEY_CHARS} printable characters"
            raise ApiError(400, "wrong_header", message)
        return await self._place_once(_digest(_token(request), key), _digest(body), order)

    async def _place_once(self, key: str, request_hash: str, order: CallOrder) -> Response:
        means, call_id = self.calls.means, self.calls.new_id()
        taken = await means.records.take_key(key, request_hash, call_id, means.now_s())
        if taken is None:
            try:
                return _created(await self.calls.place(order, call_id))
            except (CallRefused, NoLine, OrderError, ConfigError):
                # Nothing was dialled: the client may try again with the same key.
                await means.records.give_back_key(key, call_id)
                raise
        if not taken.same_request:
            message = "this Idempotency-Key was used with another request"
            raise ApiError(409, "key_reused", message)
        if taken.record is None:
            message = "the first request with this Idempotency-Key is still under way"
            raise ApiError(409, "key_pending", message, retry_after_s=_RETRY_AFTER_S)
        record = await self.calls.get(taken.record.id)
        return JSONResponse(record.to_json(), headers={"Idempotent-Replayed": "true"})

    async def list(self, request: Request) -> Response:
        """GET: records, newest first."""
        query = _query(request, ("status", "limit", "before"))
        limit, status = query.get("limit", "50"), query.get("status", "")
        if not (limit.isascii() and limit.isdigit() and 1 <= int(limit) <= _MAX_LIMIT):
            raise ApiError(400, "wrong_query", f"limit must be 1 to {_MAX_LIMIT}")
        if status and status not in STATUSES:
            raise ApiError(400, "wrong_query", f"status must be one of {', '.join(STATUSES)}")
        wanted: CallStatus | None = next((s for s in STATUSES if s == status), None)
        found = await self.calls.list(
            status=wanted, limit=int(limit), before=query.get("before", "")
        )
        return JSONResponse(
            {
                "calls": [_without_turns(record) for record in found],
                "next": found[-1].id if len(found) == int(limit) else None,
            }
        )

    async def get(self, request: Request) -> Response:
        """GET: one record, as it is now."""
        _query(request, ())
        return JSONResponse((await self.calls.get(request.path_params["call_id"])).to_json())

    async def hang_up(self, request: Request) -> Response:
        """DELETE: end it, and give its record when it is over."""
        _query(request, ())
        record = await self.calls.hang_up(request.path_params["call_id"])
        return JSONResponse(record.to_json())


# ---------------------------------------------------------------- what comes in


def _token(request: Request) -> str:
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


async def _json(request: Request) -> Mapping[str, Any]:
    body = await body_of(request, _MAX_BODY_BYTES)
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise ApiError(400, "not_json", "the body is not JSON") from None
    if not isinstance(found, dict):
        raise ApiError(400, "not_json", "the body must be a JSON object")
    return found


def _query(request: Request, known: tuple[str, ...]) -> dict[str, str]:
    for name in request.query_params:
        if name not in known:
            there_are = f"; there are: {', '.join(known)}" if known else ""
            shown = "".join(c if c.isprintable() else "?" for c in name[:60])
            message = f"the query's {shown} is not known{there_are}"
            raise ApiError(400, "wrong_query", message)
    return dict(request.query_params)


def _digest(*values: object) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


# ---------------------------------------------------------------- what goes out


def _created(record: CallRecord) -> Response:
    location = {"Location": f"{PATH}/{record.id}"}
    return JSONResponse(record.to_json(), status_code=201, headers=location)


def _without_turns(record: CallRecord) -> dict[str, Any]:
    body = record.to_json()
    del body["turns"]
    return body


def _failed(error: ApiError) -> Response:
    about = {"code": error.code, "message": error.message}
    more = dict(error.more)
    wait_s = more.pop("retry_after_s", None)
    headers = {} if wait_s is None else {"Retry-After": str(wait_s)}
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse({"error": about | more}, status_code=error.status, headers=headers)


def _understood(error: Exception) -> ApiError:
    match error:
        case ApiError():
            return error
        case WrongFields():
            wrong = [{"field": one.field, "message": one.message} for one in error.wrong]
            return ApiError(422, "wrong_fields", str(error), fields=wrong)
        case CallRefused():
            return _refused(error.refusal)
        case NoSuchCall():
            return ApiError(404, "no_such_call", str(error))
        case OrderError():
            return ApiError(422, "wrong_order", str(error))
        case NotOurs():
            return ApiError(409, "not_ours", str(error))
        case NoLine():
            return ApiError(503, "no_line", str(error), retry_after_s=_RETRY_AFTER_S)
        case CarrierError():
            wait_s = round(error.retry_after_s or _RETRY_AFTER_S) if error.retryable else None
            return ApiError(
                _CARRIER_STATUS.get(error.kind, 503),
                f"carrier_{error.kind}",
                str(error),
                carrierCode=error.code,
                retry_after_s=wait_s,
            )
        case ConfigError():
            return ApiError(503, "not_configured", str(error))
        case StorageError():
            _log.error("the database failed", error=str(error))
            return ApiError(503, "storage_failed", "the server's database failed")
        case HTTPException():
            return ApiError(error.status_code, "wrong_request", error.detail)
        case _:
            _log.exception("a request to the API failed")
            return ApiError(500, "internal_error", "internal error")


def _refused(refusal: Refusal) -> ApiError:
    reasons = [
        {"code": reason.code, "message": reason.text, "retryAt": reason.retry_at_s}
        for reason in refusal.reasons
    ]
    return ApiError(
        403,
        "refused",
        f"the call is not permitted: {refusal.text}",
        reasons=reasons,
        retryAt=refusal.retry_at_s,
    )
