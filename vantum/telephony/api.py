"""The HTTP API of phone calls: `/v1/calls`.

Every request brings one of the tokens of `server.api_tokens`. A request that dials may be sent
again with the same `Idempotency-Key` and does not dial twice. `docs/reference/http-api.md` is its
reference.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from typing import Any, Final

import trio
from attrs import frozen
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from vantum.core.call_status import STATUSES, CallStatus
from vantum.errors import ConfigError, StorageError, VantumError
from vantum.telephony.api_answers import (
    RETRY_AFTER_S,
    ApiError,
    answer,
    guarded,
    json_of,
    limit_of,
    query_of,
    token_of,
)
from vantum.telephony.callbacks import Callbacks
from vantum.telephony.callbacks_api import not_his
from vantum.telephony.calling_back import LEASE_S
from vantum.telephony.calls import Calls
from vantum.telephony.carrier import CarrierError
from vantum.telephony.lines import NoLine
from vantum.telephony.order_fields import read_order
from vantum.telephony.orders import CallOrder, CallRefused, OrderError, Promise
from vantum.telephony.record import CallRecord

PATH: Final = "/v1/calls"
_MAX_KEY_CHARS: Final = 200


@frozen
class CallsApi:
    """What answers `/v1/calls`."""

    calls: Calls
    callbacks: Callbacks

    @property
    def routes(self) -> tuple[BaseRoute, ...]:
        """For the server's HTTP side."""
        one = f"{PATH}/{{call_id}}"
        tokens = self.calls.means.settings.server.api_tokens
        return (
            Route(PATH, guarded(self.place, tokens), methods=["POST"]),
            Route(PATH, guarded(self.list, tokens), methods=["GET"]),
            Route(one, guarded(self.get, tokens), methods=["GET"]),
            Route(one, guarded(self.hang_up, tokens), methods=["DELETE"]),
        )

    # ------------------------------------------------------------ requests

    async def place(self, request: Request) -> Response:
        """POST: dial."""
        body = await json_of(request)
        order = read_order(body)
        key = request.headers.get("Idempotency-Key", "").strip()
        if not key:
            return _created(await self._place(order, self.calls.new_id()))
        if len(key) > _MAX_KEY_CHARS or not key.isprintable():
            message = f"Idempotency-Key must be at most {_MAX_KEY_CHARS} printable characters"
            raise ApiError(400, "wrong_header", message)
        return await self._place_once(_digest(token_of(request), key), _digest(body), order)

    async def _place_once(self, key: str, request_hash: str, order: CallOrder) -> Response:
        means, call_id = self.calls.means, self.calls.new_id()
        taken = await means.records.take_key(key, request_hash, call_id, means.now_s())
        if taken is None:
            try:
                return _created(await self._place(order, call_id))
            except (CallRefused, NoLine, OrderError, ConfigError, ApiError):
                # Nothing was dialled: the client may try again with the same key.
                await means.records.give_back_key(key, call_id)
                raise
        if not taken.same_request:
            message = "this Idempotency-Key was used with another request"
            raise ApiError(409, "key_reused", message)
        if taken.record is None:
            message = "the first request with this Idempotency-Key is still under way"
            raise ApiError(409, "key_pending", message, retry_after_s=RETRY_AFTER_S)
        record = await self.calls.get(taken.record.id)
        return answer(record.to_json(), headers={"Idempotent-Replayed": "true"})

    async def _place(self, order: CallOrder, call_id: str) -> CallRecord:
        """Dial. The callback that it is for is taken for good before, and given back for a while
        if the call was certainly not made."""
        if order.promise is None:
            return await self.calls.place(order, call_id)
        # A client that goes away in between must not leave it taken by nobody.
        with trio.CancelScope(shield=True):
            record = await self._place_promised(order, order.promise, call_id)
        return record  # noqa: RET504 (mypy takes the scope for one that swallows errors)

    async def _place_promised(self, order: CallOrder, promise: Promise, call_id: str) -> CallRecord:
        if not await self.callbacks.claim(promise.id, promise.by, call_id):
            now = await self.callbacks.get(promise.id)
            if now is None:
                raise ApiError(404, "no_such_callback", "there is no callback of that id")
            raise not_his(now)
        try:
            return await self.calls.place(order, call_id)
        except VantumError as error:
            # All others come before it is dialled.
            if not isinstance(error, CarrierError) or error.kind != "unknown":
                with suppress(StorageError):  # then it stays his: rather none than two
                    await self.callbacks.unclaim(promise.id, promise.by, call_id, for_s=LEASE_S)
            raise

    async def list(self, request: Request) -> Response:
        """GET: records, newest first."""
        query = query_of(request, "status", "limit", "before")
        limit, status = limit_of(query), query.get("status", "")
        if status and status not in STATUSES:
            raise ApiError(400, "wrong_query", f"status must be one of {', '.join(STATUSES)}")
        wanted: CallStatus | None = next((s for s in STATUSES if s == status), None)
        found = await self.calls.list(status=wanted, limit=limit, before=query.get("before", ""))
        return answer(
            {
                "calls": [_without_turns(record) for record in found],
                "next": found[-1].id if len(found) == limit else None,
            }
        )

    async def get(self, request: Request) -> Response:
        """GET: one record, as it is now."""
        query_of(request)
        return answer((await self.calls.get(request.path_params["call_id"])).to_json())

    async def hang_up(self, request: Request) -> Response:
        """DELETE: end it, and give its record when it is over."""
        query_of(request)
        record = await self.calls.hang_up(request.path_params["call_id"])
        return answer(record.to_json())


def _digest(*values: object) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _created(record: CallRecord) -> Response:
    location = {"Location": f"{PATH}/{record.id}"}
    return answer(record.to_json(), status_code=201, headers=location)


def _without_turns(record: CallRecord) -> dict[str, Any]:
    body = record.to_json()
    del body["turns"]
    return body
