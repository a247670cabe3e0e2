"""The house rules that a machine can check: which room may import which, and sizes."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.patience import HANG_S

PACKAGE = Path(__file__).parent.parent / "vantum"
FILES = sorted(PACKAGE.rglob("*.py"))

#: Room → rooms it may import. A room is a folder or a single file of the package.
ALLOWED = {
    "errors": set(),
    "config": {"core", "errors"},
    "core": {"errors"},
    "observe": set(),
    "storage": {"config", "errors"},
    "compliance": {"storage", "core", "config", "errors", "observe"},
    "wire": {"core", "errors"},
    "ports": {"core", "errors"},
    "actors": {"channels", "core", "wire", "ports", "config", "errors", "observe"},
    "providers": {
        "channels",
        "core",
        "ports",
        "proxies",
        "config",
        "errors",
        "observe",
        "tcp",
        "websocket",
    },
    "tools": {"core", "errors"},
    "turn": {"actors", "channels", "core", "ports", "config", "errors"},
    "session": {"turn", "actors", "core", "ports", "config", "errors"},
    "backlog": set(),
    "tcp": set(),
    "channels": set(),
    "proxies": {"core"},
    "websocket": {"backlog", "core", "tcp"},
    "http": {"backlog", "server", "tcp"},  # the server for its type only
    "admission": {"config"},
    "descriptors": {"observe"},
    "server": {
        "admission",
        "descriptors",
        "session",
        "actors",
        "providers",
        "core",
        "wire",
        "config",
        "errors",
        "observe",
        "http",
        "websocket",
    },
    "telephony": {
        "backlog",
        "proxies",
        "ports",  # what providers count of what is paid for
        "storage",
        "compliance",
        "admission",
        "server",
        "http",
        "actors",
        "wire",
        "core",
        "config",
        "errors",
        "observe",
        "websocket",
    },
    "workers": {"descriptors", "http", "config", "core", "errors", "observe"},
    "campaigns": {
        "telephony",
        "compliance",
        "storage",
        "screen",
        "proxies",
        "core",
        "config",
        "errors",
    },
    "client": {"core", "wire", "errors", "proxies", "providers"},  # how to dial through a proxy
    "replay": {"client", "core", "errors"},
    "screen": {"replay", "core"},
    "at_once": set(),
    "signals": {"at_once", "errors"},
    "models": {"providers", "screen", "config", "errors", "at_once", "signals"},
    "chat": {
        "testing",
        "signals",
        "models",
        "providers",
        "screen",
        "tools",
        "config",
        "core",
        "errors",
        "observe",
    },
    "testing": {
        "channels",  # its providers hand on as the real ones do
        "core",
        "wire",
        "errors",
        "config",
        "ports",
        "providers",
        "observe",
        "actors",  # the call simulator runs whole sessions
        "telephony",  # the simulated network stands in for its calls
        "compliance",
        "session",
        "server",
        "websocket",  # the simulated Twilio opens media streams
        "tools",  # whether a call's can be offered together
    },
}
#: What a pure room must not touch.
IMPURE = {
    "trio",
    "trio_websocket",
    "websockets",
    "anyio",
    "socket",
    "ssl",
    "time",
    "structlog",
    "logging",
}


def room(path: Path) -> str:
    parts = path.relative_to(PACKAGE).parts
    return parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module or "")
    return found


def _name(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_imports_point_one_way(path: Path) -> None:
    here = room(path)
    if here not in ALLOWED:
        assert here in {"__init__", "start", "cli", "commands", "running", "running_workers"}, (
            f"{here}: say in ALLOWED what it may import"
        )
        return
    allowed = ALLOWED[here] | {here}
    ours = {name.split(".")[1] for name in imports(path) if name.startswith("vantum.")}
    assert ours <= allowed, f"{_name(path)} imports {ours - allowed}"


@pytest.mark.parametrize("path", [p for p in FILES if room(p) in ("core", "wire")], ids=_name)
def test_core_and_wire_are_pure(path: Path) -> None:
    touched = {name.split(".")[0] for name in imports(path)} & IMPURE
    assert not touched


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_sizes(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= 400, "over 400 lines: this file does two things"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            assert lines <= 60, f"{node.name}: {lines} lines"


def test_session_fits_on_one_screen() -> None:
    assert (PACKAGE / "session.py").read_text().count("\n") <= 60


def test_importing_the_server_loads_no_engine_and_no_client_of_a_provider() -> None:
    heavy = "onnxruntime", "xllamacpp", "hibari", "openai", "twilio", "phonenumbers"
    script = (
        "import sys, vantum.server, vantum.running, vantum.cli\n"
        f"print([m for m in {heavy!r} if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=HANG_S, check=True
    )
    assert done.stdout.strip() == "[]"
