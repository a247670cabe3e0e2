"""What tests everywhere may want."""

import signal
import zlib
from collections.abc import Iterator
from pathlib import Path
from urllib.request import getproxies

import pytest
import structlog
from hypothesis import HealthCheck, settings

from vantum.config.providers import LocalSettings
from vantum.providers.local.weights import fetch_weights
from vantum.testing.calls.virtual import in_fixed_order

#: The same examples every time: what is found here was broken by the change at hand. The machines
#: are noisy, so no example has a deadline.
settings.register_profile(
    "default",
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    database=None,
)
#: `nox -s properties`: other examples each time, and ten times as many.
settings.register_profile("thorough", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("default")

THOROUGHER = 10

# A script's background jobs ignore Ctrl-C, and so would the programs that the tests start in one.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

RECORDINGS = Path(__file__).parent / "recordings"


@pytest.fixture(autouse=True)
def _data_home(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """What a server keeps is never kept in this user's own files, nor in another test's."""
    name = f"data-{zlib.crc32(request.node.nodeid.encode())}"
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path_factory.getbasetemp() / name))


@pytest.fixture(autouse=True)
def _loopback_is_near(monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP clients of the tests reach their peers where the environment names a proxy, too."""
    excepted = [getproxies().get("no", ""), "localhost", "127.0.0.1", "::1"]
    monkeypatch.setenv("no_proxy", ",".join(filter(None, excepted)))


@pytest.fixture(autouse=True)
def _log_as_usual() -> Iterator[None]:
    """A command sets up the process's logs: the next test must not lack lines for it."""
    yield
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def _order_of_tasks(request: pytest.FixtureRequest) -> Iterator[None]:
    """Trio shuffles its tasks: a test meets the same order each time, the thorough run any."""
    if request.config.getoption("--hypothesis-profile") == "thorough":
        yield
        return
    with in_fixed_order(zlib.crc32(request.node.nodeid.encode())):
        yield


@pytest.fixture(scope="session")
def local_settings() -> LocalSettings:
    """Settings of the embedded providers, their weights on this machine (fetched if they must be).

    For tests that are marked `local`.
    """
    settings = LocalSettings()
    fetch_weights(settings, print)
    return settings


@pytest.fixture(scope="session")
def recordings() -> dict[str, tuple[bytes, str]]:
    """The distributable human voices: name to WAV file and spoken words."""
    lines = (RECORDINGS / "texts.tsv").read_text("utf-8").splitlines()
    return {
        name.removesuffix(".wav"): ((RECORDINGS / name).read_bytes(), text)
        for name, text in (line.split("\t") for line in lines)
    }


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests that say how many examples they want get as many times more in the thorough profile."""
    if config.getoption("--hypothesis-profile") != "thorough":
        return
    done = set()  # a test with parameters is many items and one function
    for item in items:
        test = getattr(item, "obj", None)
        own = getattr(test, "_hypothesis_internal_use_settings", None)
        if own is not None and test not in done:
            done.add(test)
            more = settings(own, max_examples=own.max_examples * THOROUGHER)
            test._hypothesis_internal_use_settings = more  # type: ignore[union-attr]
