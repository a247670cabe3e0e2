"""The HTTP API of promised callbacks: `/v1/callbacks`.

Whoever makes them, such as a campaign on another machine, reads them here and takes up one after
the other, under a name of its own: a request whose answer was lost is sent again and does no harm.
`docs/reference/http-api.md` is its reference.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from attrs import frozen
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from vantum.config import Secret
from vantum.telephony.api_answers import ApiError, answer, guarded, json_of, limit_of, query_of
from vantum.telephony.callbacks import STATES, Callback, Callbacks
from vantum.telephony.order_fields import WrongField, WrongFields
from vantum.telephony.orders import shown

PATH: Final = "/v1/callbacks"
_MAX_NAME_CHARS: Final = 200
_MAX_LEASE_S: Final = 86_400


@frozen
class CallbacksApi:
    """What answers `/v1/callbacks`, to whoever brings one of the `tokens`."""

    callbacks: Callbacks
    tokens: Secret

    @property
    def routes(self) -> tuple[BaseRoute, ...]:
        """For the server's HTTP side."""
        one = f"{PATH}/{{callback_id}}"
        return (
            Route(PATH, guarded(self.list, self.tokens), methods=["GET"]),
            Route(one, guarded(self.get, self.tokens), methods=["GET"]),
            Route(one, guarded(self.change, self.tokens), methods=["PATCH"]),
        )

    async def list(self, request: Request) -> Response:
        """GET: callbacks, soonest first."""
        query = query_of(
            request, "state", "number", "campaignId", "takenBy", "dueBy", "limit", "after"
        )
        limit, state = limit_of(query), query.get("state", "")
        if state and state not in STATES:
            raise ApiError(400, "wrong_query", f"state must be one of {', '.join(STATES)}")
        after = await self._of(query["after"]) if "after" in query else None
        found = await self.callbacks.list(
            *(each for each in STATES if each == state),
            number=query.get("number", ""),
            campaign_id=query.get("campaignId", ""),
            taken_by=query.get("takenBy", ""),
            due_s=_time(query, "dueBy"),
            limit=limit,
            after=after,
        )
        return answer(
            {
                "callbacks": [callback.to_json() for callback in found],
                "next": found[-1].id if len(found) == limit else None,
            }
        )

    async def get(self, request: Request) -> Response:
        """GET: one of them."""
        query_of(request)
        return answer((await self._of(request.path_params["callback_id"])).to_json())

    async def change(self, request: Request) -> Response:
        """PATCH: take it up, give it back, or call it off."""
        query_of(request)
        state, by, for_s = _change(await json_of(request))
        was = await self._of(request.path_params["callback_id"])
        match state:
            case "taken":
                is_done = await self.callbacks.take(was.id, by, for_s=for_s)
            case "waiting":
                is_done = await self.callbacks.give_back(was.id, by)
            case _:
                is_done = await self.callbacks.cancel(was.id)
        now = await self._of(was.id)
        was_so = now.state == state and state != "taken"  # but that one may be somebody else's
        if not is_done and not was_so:
            raise not_his(now)
        return answer(now.to_json())

    async def _of(self, callback_id: str) -> Callback:
        found = await self.callbacks.get(callback_id)
        if found is None:
            raise ApiError(404, "no_such_callback", "there is no callback of that id")
        return found


def not_his(now: Callback) -> ApiError:
    """Why somebody cannot have it so."""
    who = f" by {now.taken_by}" if now.taken_by else ""
    called = f", and called: {now.made_call_id}" if now.made_call_id else ""
    return ApiError(409, "callback_state", f"the callback is {now.state}{who}{called}")


def _change(body: Mapping[str, Any]) -> tuple[str, str, float | None]:
    """What it is to be, in whose name, and for how many seconds (None: for good)."""
    known = ("state", "by", "forSeconds")
    wrong = [
        WrongField(shown(name), f"is not known; there are: {', '.join(known)}")
        for name in body
        if name not in known
    ]
    for_s = body.get("forSeconds")
    is_length = isinstance(for_s, int | float) and not isinstance(for_s, bool)
    if for_s is not None and not (is_length and 1 <= for_s <= _MAX_LEASE_S):
        wrong.append(WrongField("forSeconds", f"must be 1 to {_MAX_LEASE_S}"))
    if for_s is not None and body.get("state") != "taken":
        wrong.append(WrongField("forSeconds", "goes with the state taken"))
    state, by = body.get("state"), body.get("by")
    if state not in STATES:
        wrong.append(WrongField("state", f"must be one of {', '.join(STATES)}"))
    is_name = isinstance(by, str) and 0 < len(by) <= _MAX_NAME_CHARS and by.isprintable()
    if state in ("taken", "waiting") and not is_name:
        most = f"must be a name of at most {_MAX_NAME_CHARS} printable characters"
        wrong.append(WrongField("by", most))
    if wrong:
        raise WrongFields(wrong)
    return str(state), str(by or ""), for_s


def _time(query: Mapping[str, str], name: str) -> float | None:
    if name not in query:
        return None
    try:
        found = float(query[name])
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise ApiError(400, "wrong_query", f"{name} must be seconds since 1970")
    return found
