"""Whether a voice is our own echo, on recorded voices."""

from __future__ import annotations

import numpy as np
import pytest

from tests.echoes import OURS, THEIRS, room, voice
from vantum.core.acoustic_echo import SPAN, EchoJudge, Ours
from vantum.core.audio import AudioFormat, from_int16
from vantum.core.coherence import WINDOW, Floats
from vantum.core.sounding import RATE_HZ

STEP = 320  # 40 ms
BEGAN_S = 50.0


def beliefs(heard: Floats, ours: Floats = OURS, judge: EchoJudge | None = None) -> list[float]:
    """What the judge makes of this, step by step, wherever it is loud."""
    judge = judge or EchoJudge()
    judge.ours.is_wanted = True
    audio = np.concatenate([np.zeros(WINDOW, np.float32), heard])
    pcm = ours.clip(-32_768, 32_767).astype(np.int16)
    found = []
    for end in range(STEP, len(heard), STEP):
        piece = pcm[end - STEP : end]
        now_s = BEGAN_S + end / RATE_HZ
        judge.ours.add(from_int16(piece), AudioFormat(RATE_HZ), now_s - STEP / RATE_HZ, now_s)
        if np.sqrt(np.mean(heard[end - STEP : end] ** 2)) > 60:
            found.append(judge.judge(audio[end : end + WINDOW], now_s))
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


# ---------------------------------------------------------------- a second of it, for words


def seconds(heard: Floats, ours: Floats = OURS) -> list[Ours]:
    """What is ours of each second of this that is not silent."""
    judge = EchoJudge()
    judge.ours.is_wanted = True
    judge.ours.reach_s = 60.0
    pcm = from_int16(ours.clip(-32_768, 32_767).astype(np.int16))
    judge.ours.add(pcm, AudioFormat(RATE_HZ), BEGAN_S, BEGAN_S)
    return [
        judge.ours_of(heard[end - SPAN : end], BEGAN_S + end / RATE_HZ)
        for end in range(SPAN, min(len(heard), len(ours)), SPAN // 2)
        if np.sqrt(np.mean(heard[end - SPAN : end] ** 2)) > 10
    ]


@pytest.mark.parametrize("lag", [240, 1800, 6400])
@pytest.mark.parametrize("gain_db", [-12, -25, -35])
def test_a_second_of_an_echo_is_ours_however_faint(lag: int, gain_db: float) -> None:
    found = seconds(room(OURS, lag=lag, gain_db=gain_db))
    assert len(found) > 8
    assert found.count("none") <= 1
    assert found.count("all") >= len(found) / 2


def test_a_second_of_another_voice_or_of_silence_is_not() -> None:
    assert set(seconds(THEIRS)) == {"none"}
    assert set(seconds(voice("austen-0920", "austen-0930"))) == {"none"}
    assert set(seconds(THEIRS, np.zeros_like(OURS))) == {"none"}


def test_a_word_in_a_second_of_echo_is_not_ours() -> None:
    """Twice as loud as the echo is on average, and a third of a second long."""
    echo = room(OURS, lag=1800, gain_db=-20)[: len(OURS)]
    word = THEIRS[np.flatnonzero(np.abs(THEIRS) > 1500)[0] :][:2400]
    assert seconds(echo).count("all") > 5
    word *= np.float32(2 * np.sqrt(np.mean(echo**2) / np.mean(word**2)))
    for at in range(SPAN // 8, len(echo) - SPAN, SPAN // 2):
        echo[at : at + len(word)] += word
    assert "all" not in seconds(echo)
