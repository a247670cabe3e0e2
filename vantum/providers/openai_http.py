"""The HTTP client that OpenAI's package sends its requests with.

Importing this imports httpx2 and the package, which takes about a second.
"""

from __future__ import annotations

from typing import Final

import httpx2
import openai

from vantum.providers.http11 import Http11Transport
from vantum.providers.openai_failures import CONNECT_S
from vantum.providers.openai_wire import NAME
from vantum.proxies import http_client_options, proxy_to_url

#: A turn of the caller may take minutes; whether a kept connection is still open is checked.
_KEEP_IDLE_S: Final = 300.0

#: Of a crowd of calls that all hang up at once, so many connections are worth keeping.
_MAX_IDLE: Final = 200


def open_client(base_url: str) -> httpx2.AsyncClient:
    """A client for the server at this address: connections without a limit, kept for minutes.

    They go through our transport, which is quicker than httpx2's own. Only where requests are for a
    proxy to make (to a server without TLS, there is no tunnel) it is httpx2's.

    Raises:
        ConfigError: the environment names something that is no HTTP proxy.
    """
    limits = httpx2.Limits(
        max_connections=None,  # sessions are limited elsewhere; an answer must not queue
        max_keepalive_connections=_MAX_IDLE,
        keepalive_expiry=_KEEP_IDLE_S,
    )
    timeout = httpx2.Timeout(None, connect=CONNECT_S)
    secure = base_url.startswith("https:")
    if proxy_to_url(base_url) is not None and not secure:
        options = http_client_options(base_url)
        return openai.DefaultAsyncHttpx2Client(limits=limits, timeout=timeout, **options)
    transport = Http11Transport(
        NAME,
        keep_idle_s=_KEEP_IDLE_S,
        max_idle=_MAX_IDLE,
        # Certificates take 20 ms to load: now, and not while somebody is talking.
        tls=httpx2.create_ssl_context() if secure else None,
    )
    return openai.DefaultAsyncHttpx2Client(transport=transport, limits=limits, timeout=timeout)
