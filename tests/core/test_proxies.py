"""Which proxy a connection goes through, by the environment's variables."""

from __future__ import annotations

import base64
from urllib.parse import quote

import hypothesis.strategies as st
import pytest
from hypothesis import given

from vantum.core.proxies import Proxy, authority, proxy_for
from vantum.errors import ConfigError

PLAIN = Proxy("plain.test", 3128, secure=False)
NAMED = {"http": "http://plain.test:3128", "https": "http://tls.test", "all": "https://any.test"}


def test_each_kind_of_connection_has_its_own() -> None:
    assert proxy_for(NAMED, "api.test", 80, secure=False) == PLAIN
    assert proxy_for(NAMED, "api.test", 443, secure=True) == Proxy("tls.test", 80, secure=False)
    others = {"all": NAMED["all"], "ftp": "http://files.test", "http": ""}
    assert proxy_for(others, "api.test", 80, secure=False) == Proxy("any.test", 443, secure=True)
    assert proxy_for({"https": "x", "no": ""}, "api.test", 80, secure=False) is None
    assert proxy_for({}, "api.test", 443, secure=True) is None


@pytest.mark.parametrize(
    ("value", "proxy"),
    [
        ("plain.test:3128", PLAIN),
        (" http://Plain.test:3128/ ", PLAIN),
        ("https://10.0.0.1:8443", Proxy("10.0.0.1", 8443, secure=True)),
        ("http://[fd00::1]:3128", Proxy("fd00::1", 3128, secure=False)),
        ("http://me@plain.test:3128", Proxy("plain.test", 3128, False, "Basic bWU6")),
        ("me:a%40b%3Ac@plain.test:3128", Proxy("plain.test", 3128, False, "Basic bWU6YUBiOmM=")),
    ],
)
def test_how_one_is_named(value: str, proxy: Proxy) -> None:
    assert proxy_for({"all": value}, "api.test", 443, secure=True) == proxy


def test_how_one_is_shown() -> None:
    assert PLAIN.where == "plain.test:3128"
    assert authority("fd00::1", 80) == "[fd00::1]:80"
    assert "Basic" not in repr(Proxy("plain.test", 80, False, "Basic bWU6"))


@given(st.text(), st.text())
def test_credentials_are_what_was_written(user: str, password: str) -> None:
    user = user.replace(":", "")  # RFC 7617 has no way to say it
    try:
        named = {"all": f"http://{quote(user, '')}:{quote(password, '')}@plain.test"}
    except UnicodeEncodeError:
        return
    proxy = proxy_for(named, "api.test", 443, secure=True)
    assert proxy is not None
    assert proxy.authorization is not None
    pair = base64.b64decode(proxy.authorization.removeprefix("Basic ")).decode()
    assert pair == f"{user}:{password}"


@pytest.mark.parametrize(
    "value",
    [
        "socks5://me:geheim@plain.test:1080",
        "http://me:geheim@plain.test:none",
        "http://me:geheim@plain.test:0x",
        "http://me:geheim@plain.test:99999",
        "http://me:geheim@",
        "http://[me:geheim",
        "http://",
        "http://me:12/geheim@plain.test",
        "http://me:#geheim@plain.test",
    ],
)
def test_what_is_no_proxy(value: str) -> None:
    with pytest.raises(ConfigError, match=r"^https_proxy \(or HTTPS_PROXY\) is no address") as why:
        proxy_for({"https": value}, "api.test", 443, secure=True)
    assert "geheim" not in str(why.value)


@pytest.mark.parametrize(
    ("host", "exceptions"),
    [
        ("localhost", ""),
        ("model.localhost", ""),
        ("127.8.9.1", ""),
        ("::1", ""),
        ("api.test", "*"),
        ("api.test", "other.test, *"),
        ("api.test", "api.test"),
        ("API.test.", "other.test,Api.Test"),
        ("eu.api.test", "api.test"),
        ("eu.api.test", ".api.test"),
        ("api.test", "*.api.test"),
        ("api.test", "other.test api.test"),
        ("api.test", "api.test:8443"),
        ("10.1.2.3", "10.1.2.3"),
        ("10.1.2.3", "10.0.0.0/8"),
        ("10.1.2.3", "10.1.2.3:8443"),
        ("fd00::9", "fd00::/8"),
        ("fd00::9", "fd00:0::9"),
        ("fd00::9", "[fd00::9]"),
        ("fd00::9", "[fd00::9]:8443"),
    ],
)
def test_what_is_reached_directly(host: str, exceptions: str) -> None:
    assert proxy_for({**NAMED, "no": exceptions}, host, 8443, secure=False) is None


@pytest.mark.parametrize(
    ("host", "exceptions"),
    [
        ("api.test", ""),
        ("api.test", "eu.api.test, ,"),
        ("myapi.test", "api.test"),
        ("api.test", "api.test:443"),
        ("api.test", "10.0.0.0/8"),
        ("api.test", ".,*."),
        ("10.1.2.3", "2.3"),
        ("10.1.2.3", "fd00::/8, 11.0.0.0/8, 10.0.0.0/99"),
        ("fd00::9", "[fd00::9]:443"),
        ("fd00::9", "fd01::/16"),
        ("localhost.test", "localhost"),
    ],
)
def test_what_is_not(host: str, exceptions: str) -> None:
    assert proxy_for({**NAMED, "no": exceptions}, host, 8443, secure=False) == PLAIN
