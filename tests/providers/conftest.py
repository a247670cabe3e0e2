"""What several providers' tests need."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for localhost and peer.test, and its key, in one file."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs the openssl command")
    made = tmp_path / "localhost.pem"
    command = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost"
    command += " -addext subjectAltName=DNS:localhost,DNS:peer.test -days 2"
    files = ["-keyout", str(made), "-out", str(tmp_path / "crt")]
    subprocess.run([openssl, *command.split(), *files], check=True, capture_output=True)
    made.write_text(made.read_text() + (tmp_path / "crt").read_text())
    return made
