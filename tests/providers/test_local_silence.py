"""What is embedded talks to nobody."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

_OPT_OUT = "ORT_DISABLE_TELEMETRY"
# Who reports to its makers has a thread for it, from when it is loaded.
_THREADS = "import onnxruntime, os; print(len(os.listdir('/proc/self/task')))"


def threads(code: str, **env: str) -> int:
    # A variable `CI` silences the library as well.
    hidden = (_OPT_OUT, "CI", "GITHUB_ACTIONS", "TF_BUILD")
    environment = {k: v for k, v in os.environ.items() if k not in hidden} | env
    command = [sys.executable, "-c", code]
    return int(subprocess.check_output(command, env=environment, text=True))


@pytest.mark.local
@pytest.mark.skipif(sys.platform != "linux", reason="counts threads in /proc")
def test_onnxruntime_reports_to_nobody() -> None:
    ours = f"import vantum.providers.local.moonshine; {_THREADS}"
    assert threads(ours) == threads(_THREADS, **{_OPT_OUT: "1"})
    if threads(_THREADS) == threads(_THREADS, **{_OPT_OUT: "1"}):
        pytest.skip("this version reports to nobody anyway")
