"""Whether a voice is our own echo, on recorded voices."""

from __future__ import annotations

import numpy as np
import pytest

from tests.echoes import OURS, THEIRS, room, voice
from vantum.core.acoustic_echo import HEARD_SAMPLES, EchoJudge
from vantum.core.audio import from_int16
from vantum.core.coherence import Floats
from vantum.core.sounding import RATE_HZ

STEP = 320  # 40 ms
BEGAN_S = 50.0


def wide(samples: Floats) -> Floats:
    """16 kHz out of 8."""
    spectrum = np.fft.rfft(samples)
    return (2 * np.fft.irfft(spectrum, 2 * len(samples))).astype(np.float32)


def beliefs(heard: Floats, ours: Floats = OURS, judge: EchoJudge | None = None) -> list[float]:
    """What the judge makes of this, step by step, wherever it is loud."""
    judge = judge or EchoJudge()
    judge.ours.is_wanted = True
    audio = wide(np.concatenate([np.zeros(HEARD_SAMPLES // 2, np.float32), heard]))
    pcm = ours.clip(-32_768, 32_767).astype(np.int16)
    found = []
    for end in range(STEP, len(heard), STEP):
        piece = pcm[end - STEP : end]
        now_s = BEGAN_S + end / RATE_HZ
        judge.ours.add(from_int16(piece), RATE_HZ, now_s - STEP / RATE_HZ, now_s)
        if np.sqrt(np.mean(heard[end - STEP : end] ** 2)) > 60:
            found.append(judge.judge(audio[2 * end : 2 * end + HEARD_SAMPLES], now_s))
    return found


@pytest.mark.parametrize("lag", [240, 1800, 6400])
@pytest.mark.parametrize(("gain_db", "rings_s"), [(-6, 0.2), (-15, 0.4), (-22, 0.2)])
def test_an_echo_is_believed_to_be_one(lag: int, gain_db: float, rings_s: float) -> None:
    judge = EchoJudge()
    found = beliefs(room(OURS, lag=lag, gain_db=gain_db, rings_s=rings_s), judge=judge)
    assert len(found) > 50
    assert np.mean([belief > 0 for belief in found]) > 0.95
    assert judge.lag is not None
    assert abs(judge.lag - lag) < 24


def test_somebody_else_is_never_believed_to_be_one_for_long() -> None:
    found = beliefs(THEIRS)
    assert len(found) > 50
    assert np.mean([belief > 0 for belief in found]) < 0.03


def test_the_same_voice_saying_something_else_is_none() -> None:
    found = beliefs(voice("austen-0920", "austen-0930"))
    assert np.mean([belief > 0 for belief in found]) < 0.05


@pytest.mark.parametrize("gain_db", [-8, -20])
def test_who_speaks_over_an_echo_is_heard_within_a_fifth_of_a_second(gain_db: float) -> None:
    heard = room(OURS, lag=1800, gain_db=gain_db)[: len(OURS)]
    at = 24_000
    theirs = THEIRS[np.flatnonzero(np.abs(THEIRS) > 1500)[0] :]
    both = heard[: at + len(theirs)].copy()
    both[at:] += theirs
    before = beliefs(heard[:at])
    assert before[-1] > 0
    after = beliefs(both)[len(before) :]
    assert min(after[:5]) < 0


def test_an_echo_whose_way_has_changed_is_found_again() -> None:
    first, second = room(OURS, lag=1800), room(OURS, lag=3900)
    heard = np.concatenate([first[:20_000], second[20_000:]])
    judge = EchoJudge()
    found = beliefs(heard[: len(OURS)], judge=judge)
    assert judge.lag is not None
    assert abs(judge.lag - 3900) < 24
    assert np.mean([belief > 0 for belief in found]) > 0.9


def test_a_guess_is_forgotten_when_the_next_look_contradicts_it() -> None:
    judge = EchoJudge(lag=700, looks=1, belief=0.5)
    found = beliefs(THEIRS, judge=judge)
    assert min(found[:6]) < 0
    assert judge.lag != 700


def test_of_our_silence_nothing_is_an_echo() -> None:
    assert max(beliefs(THEIRS, ours=np.zeros_like(OURS))) < 0
