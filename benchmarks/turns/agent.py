"""The agent's own voice, for its echo: the embedded synthesiser, kept in files."""

from __future__ import annotations

import hashlib
from pathlib import Path

import trio

from benchmarks.quality import speak
from benchmarks.recordings import RATE_HZ
from benchmarks.turns.overlaps import Speak
from vantum.config.providers import LocalSettings
from vantum.core.audio import read_wav, write_wav
from vantum.providers.local.tts import LocalTtsProvider
from vantum.providers.local.workers import Workers


def speaker(folder: Path) -> Speak:
    """Says a text, or plays what it said when it was asked before."""

    def say(text: str) -> bytes:
        name = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()[:12]
        kept = folder / f"agent-{name}.wav"
        if not kept.is_file():
            settings = LocalSettings()
            tts = LocalTtsProvider(settings, Workers(settings.threads))
            pcm, _ = trio.run(speak, tts, text)
            kept.write_bytes(write_wav(pcm, RATE_HZ))
        return read_wav(kept.read_bytes()).pcm

    return say
