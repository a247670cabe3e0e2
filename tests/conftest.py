"""What tests everywhere may want."""

from pathlib import Path

import pytest

from vantum.config.providers import LocalSettings
from vantum.providers.local.weights import fetch_weights

RECORDINGS = Path(__file__).parent / "recordings"


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
