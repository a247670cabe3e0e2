"""What all of the HTTP API has in common: who may ask, what is read of a request, and what an error
is to who asked.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from vantum.admission import is_listed, listed_tokens
from vantum.config import Secret
from vantum.core.refusals import Refusal
from vantum.errors import ConfigError, StorageError
from vantum.observe.logs import get_log
from vantum.telephony.carrier import CarrierError, CarrierErrorKind
from vantum.telephony.lines import NoLine
from vantum.telephony.order_fields import WrongFields
from vantum.telephony.orders import CallRefused, NoSuchCall, NotOurs, OrderError, shown
from vantum.telephony.signatures import body_of

Answer: TypeAlias = Callable[[Request], Awaitable[Response]]

_MAX_BODY_BYTES: Final = 131_072
_MAX_LIMIT: Final = 200
_MAX_LIMIT_DIGITS: Final = 9
#: When a line may be free again, nobody knows.
RETRY_AFTER_S: Final = 5

_log = get_log("api")

#: What a failure of the telephone company is to who asked for the call.
_CARRIER_STATUS: Final[dict[CarrierErrorKind, int]] = {"invalid_number": 422, "rate_limit": 429}


class ApiError(Exception):
    """A request that is not carried out: an HTTP status, a code for programs, and a sentence."""

    def __init__(self, status: int, code: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.more = status, code, message, more


def guarded(answer: Answer, tokens: Secret) -> Answer:
    """Only with one of the tokens; and what goes wrong becomes an answer."""

    async def guarded(request: Request) -> Response:
        try:
            _authenticate(request, tokens)
            return await answer(request)
        except Exception as error:
            return _failed(_understood(error))

    return guarded


def _authenticate(request: Request, tokens: Secret) -> None:
    if not listed_tokens(tokens):
        message = "the API is off: the server has no API_TOKENS"
        raise ApiError(403, "api_off", message)
    if not is_listed(token_of(request), tokens):
        message = "bring one of the server's API_TOKENS as `Authorization: Bearer …`"
        raise ApiError(401, "not_authenticated", message)


# ---------------------------------------------------------------- what comes in


def token_of(request: Request) -> str:
    """The token that the request brings; empty: none."""
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


async def json_of(request: Request) -> Mapping[str, Any]:
    """The object that is the request's body."""
    body = await body_of(request, _MAX_BODY_BYTES)
    try:
        found = json.loads(body.decode("utf-8-sig"), object_pairs_hook=_object)
    except (ValueError, RecursionError):
        raise ApiError(400, "not_json", "the body is not JSON") from None
    if not isinstance(found, dict):
        raise ApiError(400, "not_json", "the body must be a JSON object")
    return found


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object, in which each name is there once: of two, which one was meant?"""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ApiError(400, "not_json", f"the body has {shown(twice)} twice")
    return found


def query_of(request: Request, *known: str) -> dict[str, str]:
    """The query, which has no other names than these, and each once."""
    given = request.query_params.multi_items()
    for name, _ in given:
        if name not in known:
            there_are = f"; there are: {', '.join(known)}" if known else ""
            message = f"the query's {shown(name)} is not known{there_are}"
            raise ApiError(400, "wrong_query", message)
    found = dict(given)
    if len(found) < len(given):
        raise ApiError(400, "wrong_query", "the query has a name twice")
    return found


def limit_of(query: Mapping[str, str]) -> int:
    """How many are wanted at most."""
    limit = query.get("limit", "50")
    is_number = limit.isascii() and limit.isdigit() and len(limit) <= _MAX_LIMIT_DIGITS
    if not (is_number and 1 <= int(limit) <= _MAX_LIMIT):
        raise ApiError(400, "wrong_query", f"limit must be 1 to {_MAX_LIMIT}")
    return int(limit)


# ---------------------------------------------------------------- what goes out


def answer(
    content: Mapping[str, Any], status_code: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """A JSON answer. It is ASCII, so it can be sent whatever stands in a text: a model may write
    half of a surrogate pair, and what it wrote is in the records."""
    body = json.dumps(content, allow_nan=False)
    return Response(body, status_code, headers, media_type="application/json")


def _failed(error: ApiError) -> Response:
    about = {"code": error.code, "message": error.message}
    more = dict(error.more)
    wait_s = more.pop("retry_after_s", None)
    headers = {} if wait_s is None else {"Retry-After": str(wait_s)}
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return answer({"error": about | more}, status_code=error.status, headers=headers)


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
            return ApiError(503, "no_line", str(error), retry_after_s=RETRY_AFTER_S)
        case CarrierError():
            wait_s = round(error.retry_after_s or RETRY_AFTER_S) if error.retryable else None
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
