"""Recordings of human voices with their words: those in the repository, and Asterisk's from Debian.

Asterisk's core sounds (Allison Smith, CC-BY-SA 3.0) are fetched with apt and never kept here. They
come at 8 kHz, and as G.722 at 16 kHz, for which the package `av` (PyAV, a wheel with FFmpeg inside)
is needed.
"""

from __future__ import annotations

import gzip
import importlib
import importlib.util
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from attrs import frozen

from vantum.core.audio import read_wav
from vantum.core.resampling import Resampler
from vantum.testing.word_errors import spoken_words

RATE_HZ = 16_000
_IN_REPOSITORY = Path(__file__).parent.parent / "tests" / "recordings"
_TEXTS = "usr/share/doc/asterisk-core-sounds-en/core-sounds-en.txt.gz"
_SOUNDS = "usr/share/asterisk/sounds/en_US_f_Allison"
# Single words and names of menu entries say little about understanding a caller.
_MIN_WORDS = 5


@frozen
class Recording:
    """A voice at 16 kHz and its words."""

    name: str
    pcm: bytes
    text: str


@frozen
class RecordingSet:
    """Recordings of one origin; `is_narrow`: they have been 8 kHz telephone audio before."""

    title: str
    recordings: tuple[Recording, ...]
    is_narrow: bool = False


def convert(pcm: bytes, from_hz: int, to_hz: int) -> bytes:
    """A whole recording at another rate."""
    resampler = Resampler(from_hz, to_hz)
    return resampler.feed(pcm) + resampler.finish()


def in_repository() -> list[RecordingSet]:
    """The sets of tests/recordings."""
    lines = (_IN_REPOSITORY / "texts.tsv").read_text("utf-8").splitlines()
    found = [
        Recording(name, read_wav((_IN_REPOSITORY / name).read_bytes()).pcm, text)
        for name, text in (line.split("\t") for line in lines)
    ]
    return [
        RecordingSet("LibriVox", tuple(r for r in found if r.name.startswith("austen"))),
        RecordingSet("Kennedy 1961", tuple(r for r in found if r.name.startswith("kennedy"))),
    ]


def from_debian(report: Callable[[str], None]) -> list[RecordingSet]:
    """Asterisk's prompts, or fewer sets and a line that says why."""
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        report("Asterisk's recordings are left out: this machine has no apt-get")
        return []
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        root.chmod(0o755)
        try:
            for package in ("en", "en-wav", "en-g722"):
                _unpack_debian(f"asterisk-core-sounds-{package}", root)
        except subprocess.CalledProcessError as error:
            command = " ".join(map(str, error.cmd))
            report(f"Asterisk's recordings are left out: `{command}` failed")
            return []
        texts = _prompts(gzip.decompress((root / _TEXTS).read_bytes()).decode("utf-8", "replace"))
        sets = [_read_set("Asterisk 8 kHz", root, texts, ".wav", _read_narrow, is_narrow=True)]
        if importlib.util.find_spec("av") is None:
            report("Asterisk's 16 kHz recordings are left out: `pip install av` decodes them")
        else:
            sets.append(_read_set("Asterisk G.722", root, texts, ".g722", _read_g722))
        return sets


def _unpack_debian(package: str, root: Path) -> None:
    subprocess.run(
        ["apt-get", "download", "-q", package], cwd=root, check=True, capture_output=True
    )
    (archive,) = root.glob(f"{package}_*.deb")
    subprocess.run(["dpkg-deb", "-x", archive.name, "."], cwd=root, check=True)


def _prompts(listing: str) -> dict[str, str]:
    """Name → text of the prompts that are sentences, without sounds or stage directions."""
    pairs = (line.split(": ", 1) for line in listing.splitlines() if ": " in line)
    return {
        name: text
        for name, text in pairs
        if len(spoken_words(text)) >= _MIN_WORDS and not set(text) & set("[]()<>;")
    }


def _read_set(
    title: str,
    root: Path,
    texts: dict[str, str],
    suffix: str,
    read: Callable[[Path], bytes],
    *,
    is_narrow: bool = False,
) -> RecordingSet:
    found = [
        Recording(name, read(path), text)
        for name, text in sorted(texts.items())
        if (path := root / _SOUNDS / f"{name}{suffix}").is_file()
    ]
    return RecordingSet(title, tuple(found), is_narrow)


def _read_narrow(path: Path) -> bytes:
    wav = read_wav(path.read_bytes())
    return convert(wav.pcm, wav.sample_rate_hz, RATE_HZ)


def _read_g722(path: Path) -> bytes:
    av = importlib.import_module("av")
    with av.open(str(path), format="g722") as container:
        blocks = [frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)]
    return np.concatenate(blocks).astype("<i2").tobytes()
