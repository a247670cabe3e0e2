"""One request to a server's HTTP API, and what can go wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import trio

if TYPE_CHECKING:
    import httpx2

#: One request; placing a call takes the telephone company's seconds.
REQUEST_S: Final = 30.0
#: So long it is tried to get an answer to a request that changes something, so often.
TRY_S: Final = 60.0
AGAIN_S: Final = 2.0
#: Another answer to the same request may be better.
PASSING: Final = ("key_pending", "storage_failed", "internal_error", "")


class Failed(Exception):
    """An answer that is an error: its status, its code ("" if it is not the API's) and its body."""

    def __init__(self, status: int, error: Mapping[str, Any]) -> None:
        self.status, self.error = status, error
        self.code = str(error.get("code", ""))
        self.message = str(error.get("message", f"the server answered {status}"))
        super().__init__(self.message)


class Unanswered(Exception):
    """There was no answer; `sent`: the request may have been carried out."""

    def __init__(self, why: str, *, sent: bool) -> None:
        super().__init__(why)
        self.sent = sent


async def ask(http: httpx2.AsyncClient, method: str, path: str, **about: Any) -> Any:
    """The body of the answer, an object.

    Args:
        about: what `httpx2` takes for a request, such as `json`, `params`, `headers`.

    Raises:
        Failed: it is an error.
        Unanswered: none came, or not within 30 s.
    """
    import httpx2

    try:
        with trio.fail_after(REQUEST_S):
            answer = await http.request(method, path, **about)
    except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
        raise Unanswered(f"no connection ({type(error).__name__})", sent=False) from None
    except (httpx2.HTTPError, trio.TooSlowError) as error:
        raise Unanswered(f"the answer was lost ({type(error).__name__})", sent=True) from None
    try:
        body = answer.json()
    except ValueError:
        raise Failed(answer.status_code, {}) from None
    if answer.status_code >= 400 or not isinstance(body, dict):
        told = body.get("error") if isinstance(body, dict) else None
        raise Failed(answer.status_code, told if isinstance(told, dict) else {})
    return body
