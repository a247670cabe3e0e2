"""What goes wrong between the official package and OpenAI's server, as `ProviderError`.

The package is imported inside: naming its classes would take about a second.
"""

from __future__ import annotations

import ssl
import time
from typing import TYPE_CHECKING, Any

from vantum.core.backoff import retry_after_s
from vantum.errors import ProviderError
from vantum.providers.dialling import CONNECTED
from vantum.providers.openai_wire import NAME, status_error

if TYPE_CHECKING:
    import httpx2
    import openai

#: One attempt to open a connection. Whoever waits for an answer sets the deadline for that.
CONNECT_S = 5.0


async def watch_connecting(request: httpx2.Request) -> None:
    """A hook for httpx2's own transport: mark requests that had a connection made for them."""
    begun: list[str] = []

    # It must not know the request, which knows it: a circle keeps each turn's whole context in
    # memory until the collector comes by.
    async def trace(event: str, _info: dict[str, Any]) -> None:
        if event == "connection.connect_tcp.started":
            begun.append(event)

    request.extensions |= {"trace": trace, CONNECTED: begun}


def was_stale(error: openai.OpenAIError) -> bool:
    """Whether a kept connection turned out to be closed before anything came back."""
    import openai

    match error:
        case openai.APITimeoutError():
            return False
        case openai.APIConnectionError():
            return not error.request.extensions.get(CONNECTED)
        case _:
            return False


def translate(error: openai.OpenAIError) -> ProviderError:
    """A failed request, in our terms."""
    import openai

    match error:
        case openai.APIStatusError():
            headers = error.response.headers
            told = retry_after_s(headers, time.time())
            return status_error(error.status_code, error.body, told)
        case openai.APITimeoutError():
            return ProviderError(NAME, "timeout", f"no connection within {CONNECT_S:g} s")
        case openai.APIConnectionError(
            __cause__=BaseException(__cause__=ProviderError() as refused)
        ):
            return refused  # of our own transport, which knows more than its class
        case openai.APIConnectionError():
            cause = type(error.__cause__ or error).__name__
            return ProviderError(NAME, "network", f"no response from {_host(error)} ({cause})")
        case _:
            return ProviderError(NAME, "unknown", type(error).__name__)


def broken(error: Exception) -> ProviderError:
    """A response whose connection was lost, in our terms."""
    return ProviderError(NAME, "network", f"the stream broke off ({type(error).__name__})")


def unfinished(*, any_event: bool) -> ProviderError:
    """A response that was whole and held no whole answer, in our terms."""
    if any_event:
        # Without a finish reason nobody knows whether this was all.
        return ProviderError(NAME, "network", "the stream ended before the answer did")
    return ProviderError(NAME, "server", "no stream of events came: check OPENAI_BASE_URL")


def _host(error: openai.APIConnectionError) -> str:
    return str(error.request.url.host)


def broken_stream() -> tuple[type[Exception], ...]:
    """What reading a response may raise when the connection is lost."""
    import anyio
    import httpx2

    return (httpx2.HTTPError, httpx2.StreamError, ssl.SSLError, anyio.EndOfStream)
