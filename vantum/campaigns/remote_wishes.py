"""Callbacks that were promised in a server's calls, by its HTTP API (`/v1/callbacks`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import trio
from attrs import frozen

from vantum.campaigns.asking import AGAIN_S, PASSING, TRY_S, Failed, Unanswered, ask
from vantum.errors import ConfigError
from vantum.telephony.callbacks import Callback
from vantum.telephony.wishes import CallbacksUnknown

if TYPE_CHECKING:
    import httpx2

_PATH: Final = "/v1/callbacks"
_PAGE: Final = 200


@frozen
class RemoteWishes:
    """`Wishes` of a server. `by`: the name in which they are taken up."""

    http: httpx2.AsyncClient
    by: str

    async def open(self, due_s: float | None = None) -> Sequence[Callback]:
        """See `Wishes`, as for the others."""
        due = {} if due_s is None else {"dueBy": repr(due_s)}
        return await self._list(state="waiting", **due)

    async def mine(self) -> Sequence[Callback]:
        """Taken up in this name."""
        return await self._list(state="taken", takenBy=self.by)

    async def take(self, callback: Callback, *, for_s: float | None = None) -> bool:
        """Take one up; the name makes the request one that may be sent again."""
        return await self._change(callback, "taken", {} if for_s is None else {"forSeconds": for_s})

    async def give_back(self, callback: Callback) -> None:
        """Let others try."""
        await self._change(callback, "waiting")

    async def _list(self, **query: str) -> Sequence[Callback]:
        found: list[Callback] = []
        query["limit"] = str(_PAGE)
        while True:
            try:
                page = await ask(self.http, "GET", _PATH, params=query)
            except (Failed, Unanswered) as error:
                raise _not_told(error) from None
            found += map(Callback.from_json, page["callbacks"])
            if not page["next"]:
                return found
            query["after"] = page["next"]

    async def _change(
        self, callback: Callback, state: str, more: Mapping[str, Any] | None = None
    ) -> bool:
        body: dict[str, Any] = {"state": state, "by": self.by, **(more or {})}
        why: Exception = Unanswered("no answer came", sent=True)
        with trio.move_on_after(TRY_S):
            while True:
                try:
                    await ask(self.http, "PATCH", f"{_PATH}/{quote(callback.id)}", json=body)
                    return True
                except Unanswered as error:
                    why = error
                except Failed as error:
                    if error.status in (404, 409):
                        return False
                    why = error
                    if error.code not in PASSING:
                        break
                await trio.sleep(AGAIN_S)
        raise _not_told(why)


def _not_told(error: Exception) -> CallbacksUnknown | ConfigError:
    match error:
        case Failed(status=404):
            return ConfigError(f"the server has no {_PATH}: it is older than this program")
        case Failed(code=code) if code not in PASSING:
            return ConfigError(f"the server does not tell of its callbacks: {error}")
        case _:
            return CallbacksUnknown(f"the server does not tell of its callbacks: {error}")
