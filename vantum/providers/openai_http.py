"""The HTTP client that OpenAI's package sends its requests with.

Importing this imports httpx2 and the package, which takes about a second.
"""

from __future__ import annotations

from typing import Final
from urllib.request import getproxies

import httpx2
import openai

from vantum.providers.http11 import Http11Transport
from vantum.providers.openai_failures import CONNECT_S
from vantum.providers.openai_wire import NAME

#: A turn of the caller may take minutes; whether a kept connection is still open is checked.
_KEEP_IDLE_S: Final = 300.0

#: Of a crowd of calls that all hang up at once, so many connections are worth keeping.
_MAX_IDLE: Final = 200


def open_client(base_url: str) -> httpx2.AsyncClient:
    """A client for the server at this address: connections without a limit, kept for minutes.

    Where the environment names a proxy, httpx2's own transport is used, which knows how to ask one;
    else ours, which is quicker.
    """
    limits = httpx2.Limits(
        max_connections=None,  # sessions are limited elsewhere; an answer must not queue
        max_keepalive_connections=_MAX_IDLE,
        keepalive_expiry=_KEEP_IDLE_S,
    )
    direct = None
    if not getproxies().keys() & {"http", "https", "all"}:
        direct = Http11Transport(
            NAME,
            keep_idle_s=_KEEP_IDLE_S,
            max_idle=_MAX_IDLE,
            # Certificates take 20 ms to load: now, and not while somebody is talking.
            tls=httpx2.create_ssl_context() if base_url.startswith("https:") else None,
        )
    return openai.DefaultAsyncHttpx2Client(
        transport=direct, limits=limits, timeout=httpx2.Timeout(None, connect=CONNECT_S)
    )
