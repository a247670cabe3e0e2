"""The proxies that this process's environment names: the same rules for all connections to others,
WebSockets and HTTP alike. What the rules are, `core.proxies` says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from vantum.core.proxies import Proxy, proxy_for

if TYPE_CHECKING:
    import httpx2


def proxy_to(host: str, port: int, *, secure: bool) -> Proxy | None:
    """The proxy to this host and port; None: connect directly. `secure`: for TLS.

    Raises:
        ConfigError: the environment names something that is no HTTP proxy.
    """
    return proxy_for(getproxies(), host, port, secure=secure)


def proxy_to_url(url: str) -> Proxy | None:
    """The proxy to a server with this address (http, https, ws, wss).

    Raises:
        ConfigError: see `proxy_to`.
        ValueError: the address has no port that can be one.
    """
    parts = urlsplit(url)
    secure = parts.scheme in ("https", "wss")
    return proxy_to(parts.hostname or "", parts.port or (443 if secure else 80), secure=secure)


def http_client_options(
    url: str, transport: httpx2.AsyncBaseTransport | None = None
) -> dict[str, Any]:
    """Arguments of `httpx2.AsyncClient`, for requests to a server with this address; `transport`:
    what they go through instead of the network.

    Left to itself it would read the environment by rules of its own, which do not spare the machine
    itself.

    Raises:
        ConfigError: see `proxy_to`.
    """
    import httpx2

    if transport is not None:
        return {"transport": transport}
    proxy = proxy_to_url(url)
    if proxy is None:
        # Its own reading of the environment ends with this; the authorities named there stay.
        return {"trust_env": False, "verify": httpx2.create_ssl_context()}
    headers = {"Proxy-Authorization": proxy.authorization} if proxy.authorization else None
    scheme = "https" if proxy.secure else "http"
    return {"proxy": httpx2.Proxy(f"{scheme}://{proxy.where}", headers=headers)}
