"""Which proxy a connection goes through, by the variables that other programs read, too.

`http_proxy` and `https_proxy` name the proxy for connections without and with TLS, `all_proxy` the
one for what has none of its own, and `no_proxy` what is reached directly: names (a name stands for
everything under it), addresses and networks, each with a port or without, or `*` for everything.
The machine itself is always reached directly: a proxy would look for it on its own machine.

There is no standard for these; the rules are those that curl and Go's `httpproxy` agree on
(https://curl.se/libcurl/c/CURLOPT_NOPROXY.html, https://pkg.go.dev/golang.org/x/net/http/httpproxy).
"""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import TypeAlias
from urllib.parse import unquote, urlsplit

from attrs import field, frozen

from vantum.errors import ConfigError

_Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
_PORTS = {"http": 80, "https": 443}
_BRACKETED = re.compile(r"\[(?P<host>.*)\](:(?P<port>\d+))?")
_WITH_PORT = re.compile(r"(?P<host>[^:]*):(?P<port>\d+)")


@frozen
class Proxy:
    """An HTTP proxy.

    Attributes:
        host, port: where it listens.
        secure: it is spoken to over TLS.
        authorization: what its `Proxy-Authorization` header must be; None: it asks for nothing.
    """

    host: str
    port: int
    secure: bool
    authorization: str | None = field(default=None, repr=False)

    @property
    def where(self) -> str:
        """Host and port, for people and for a `Host` header."""
        return authority(self.host, self.port)


def authority(host: str, port: int) -> str:
    """`host:port`, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def proxy_for(named: Mapping[str, str], host: str, port: int, *, secure: bool) -> Proxy | None:
    """The proxy that a connection goes through; None: it goes directly.

    Args:
        named: the variables, in lower case and without `_proxy`: `http`, `https`, `all`, `no`.
        host: a name or an address, as in a URL but without brackets.
        port: its port.
        secure: the connection speaks TLS.

    Raises:
        ConfigError: what is named there is no HTTP proxy. Its text has no password.
    """
    scheme = "https" if secure else "http"
    variable = next((name for name in (scheme, "all") if named.get(name)), None)
    if variable is None or _is_direct(named.get("no", ""), host.lower().rstrip("."), port):
        return None
    return _read(variable, named[variable])


def _read(variable: str, value: str) -> Proxy:
    with suppress(ValueError, KeyError):  # what is no address, another scheme
        parts = urlsplit((value if "://" in value else f"http://{value}").strip())
        usual_port = _PORTS[parts.scheme]
        # A password with a / or # in it as it is would leave a wrong host before that.
        if parts.hostname and "@" not in parts.path + parts.query + parts.fragment:
            secure = parts.scheme == "https"
            return Proxy(parts.hostname, parts.port or usual_port, secure, _basic(parts.netloc))
    raise ConfigError(
        f"{variable}_proxy (or {variable.upper()}_PROXY) is no address of a proxy that can be "
        "used: one is http://HOST:PORT or https://HOST:PORT, with USER:PASSWORD@ before the host "
        "if it asks for them (%2F for a / in them, and so on)"
    )


def _basic(netloc: str) -> str | None:
    """RFC 7617, in UTF-8."""
    credentials, at, _ = netloc.rpartition("@")
    if not at:
        return None
    user, _, password = credentials.partition(":")
    pair = f"{unquote(user)}:{unquote(password)}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def _is_direct(exceptions: str, host: str, port: int) -> bool:
    address = _address(host)
    if host == "localhost" or host.endswith(".localhost") or (address and address.is_loopback):
        return True
    entries = re.split(r"[\s,]+", exceptions.lower())
    return any(_matches(entry, host, port, address) for entry in entries if entry)


def _matches(entry: str, host: str, port: int, address: _Address | None) -> bool:
    if entry == "*":
        return True
    split = _BRACKETED.fullmatch(entry) or _WITH_PORT.fullmatch(entry)
    if split is not None:
        entry = split["host"]
        if split["port"] and int(split["port"]) != port:
            return False
    if address is not None:
        try:
            return address in ipaddress.ip_network(entry, strict=False)
        except ValueError:
            return False
    name = entry.removeprefix("*").strip(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))


def _address(host: str) -> _Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
