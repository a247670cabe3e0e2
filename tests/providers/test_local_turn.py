"""The embedded voice activity and turn detector: their pure parts, and with their weights."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from vantum.config.providers import LocalSettings
from vantum.core.audio import from_float, read_wav
from vantum.core.endpointing import CheckAnswered, CheckAsked, Endpointing, EndpointingOptions
from vantum.core.messages import VoiceEdge
from vantum.core.recent import RecentAudio
from vantum.errors import ConfigError, ModelsMissing, ProviderError
from vantum.ports import TurnDetectorProvider, VoiceActivity, VoiceActivityProvider
from vantum.providers.local.activity import LocalActivityProvider, SileroActivity
from vantum.providers.local.mel import FRAMES, MELS, WINDOW_SAMPLES, log_mel
from vantum.providers.local.turn import LocalTurnDetector, SmartTurn
from vantum.providers.local.vad import FRAME_BYTES, FRAME_SAMPLES, SileroVad
from vantum.providers.local.workers import Workers

FRAME_S = 0.032
#: What transformers 5.23.0 makes of two recordings (`WhisperFeatureExtractor(chunk_length=8)` with
#: `do_normalize`, silence before the audio): every 25th frame.
REFERENCE = Path(__file__).parent / "whisper_features.npz"


def samples_of(wav: bytes) -> bytes:
    audio = read_wav(wav)
    assert audio.sample_rate_hz == 16_000
    return audio.pcm


def window(pcm: bytes) -> np.ndarray[Any, np.dtype[np.float32]]:
    found = np.frombuffer(pcm, "<i2").astype(np.float32)[-WINDOW_SAMPLES:] / np.float32(32_768)
    return np.concatenate([np.zeros(WINDOW_SAMPLES - len(found), np.float32), found])


# ---------------------------------------------------------------- features


def test_the_features_are_whispers(recordings: dict[str, tuple[bytes, str]]) -> None:
    cuts = {
        "kennedy": samples_of(recordings["kennedy"][0]),
        "austen-0870-short": samples_of(recordings["austen-0870"][0])[:80_000],
    }
    with np.load(REFERENCE) as reference:
        assert set(reference) == set(cuts)
        for name, pcm in cuts.items():
            features = log_mel(window(pcm))
            assert features.shape == (MELS, FRAMES)
            np.testing.assert_allclose(features[:, ::25], reference[name], atol=2e-5)


def test_silence_has_features_too() -> None:
    assert np.isfinite(log_mel(np.zeros(WINDOW_SAMPLES, np.float32))).all()


def test_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="128000 samples are needed"):
        log_mel(np.zeros(WINDOW_SAMPLES - 1, np.float32))


# ---------------------------------------------------------------- voice activity


class ScriptedSilero:
    """Says for each frame what its first sample says: thousandths of a probability."""

    def run(self, outputs: None, feed: dict[str, Any]) -> list[Any]:
        first = round(float(feed["input"][0, 64]) * 32_768)
        return [np.array([[first / 1000]], np.float32), feed["state"]]


class CountingSilero(ScriptedSilero):
    runs = 0

    def run(self, outputs: None, feed: dict[str, Any]) -> list[Any]:
        self.runs += 1
        return super().run(outputs, feed)


class BrokenGraph:
    def run(self, outputs: None, feed: dict[str, Any]) -> list[Any]:
        raise RuntimeError("with /a/secret/path in it")


def scripted(probabilities: list[float], level: int = 100) -> bytes:
    frames = np.full((len(probabilities), FRAME_SAMPLES), level, "<i2")
    frames[:, 0] = [round(1000 * probability) for probability in probabilities]
    return frames.tobytes()


def ear() -> SileroActivity:
    return LocalActivityProvider(LocalSettings(), vad=SileroVad(ScriptedSilero())).for_session()


def in_frames(edge: VoiceEdge) -> tuple[bool, int, int]:
    return edge.speaking, round(edge.at_s / FRAME_S), round(edge.late_s / FRAME_S)


def test_edges_say_where_they_were_and_how_long_ago() -> None:
    activity = ear()
    pcm = scripted([0.0] * 4 + [0.9] * 5 + [0.0] * 6)
    began, ended = activity.feed(pcm)
    assert in_frames(began) == (True, 4, 11)
    assert in_frames(ended) == (False, 9, 6)
    assert not activity.speaking
    assert activity.feed(scripted([0.75] * 2)) == []
    assert activity.probability == pytest.approx(0.75)
    (again,) = activity.feed(scripted([0.75]))
    assert in_frames(again) == (True, 15, 3)
    assert activity.speaking


def test_a_click_and_a_stop_consonant_are_no_edges() -> None:
    assert ear().feed(scripted([1.0, 0.0, 0.9, 0.1, 0.9, 0.0, 1.0, 0.2])) == []
    assert len(ear().feed(scripted([0.9] * 5 + [0.1] * 2 + [0.9] * 5))) == 1


def test_the_clearer_a_voice_is_the_sooner_it_is_heard() -> None:
    heard = [ear().feed(scripted([p] * 20)) for p in (0.99, 0.9, 0.75, 0.7, 0.65, 0.55)]
    assert [in_frames(edges[0])[1] for edges in heard[:5]] == [0] * 5, "it began at once"
    at = [ear_knows([p] * 20) for p in (0.99, 0.9, 0.75, 0.7, 0.65, 0.55)]
    assert at == [2, 2, 3, 4, 6, None]


def ear_knows(probabilities: list[float]) -> int | None:
    """After so many frames it reports a voice."""
    activity = ear()
    for number, probability in enumerate(probabilities, 1):
        if activity.feed(scripted([probability])):
            return number
    return None


def test_a_voice_far_behind_the_callers_is_none() -> None:
    activity = ear()
    quiet = scripted([0.0] * 10)
    assert len(activity.feed(scripted([0.9] * 40, level=9000) + quiet)) == 2
    assert activity.feed(scripted([0.9] * 20, level=800) + quiet) == []
    assert activity.probability == 0
    # It ends his, too: the room goes on talking when he has finished.
    began, ended = activity.feed(scripted([0.9] * 20, level=9000) + scripted([0.9] * 20, level=800))
    assert (began.speaking, ended.speaking) == (True, False)
    # Nobody else has spoken yet: whoever does is the caller.
    assert len(ear().feed(scripted([0.9] * 20, level=800) + quiet)) == 2


def test_a_frame_costs_one_run_of_the_model_however_it_comes() -> None:
    """It runs on the event loop, between everything else."""
    graph = CountingSilero()
    activity = LocalActivityProvider(LocalSettings(), vad=SileroVad(graph)).for_session()
    pcm = scripted([0.0] * 10 + [0.9] * 20 + [0.0] * 10)
    for at in range(0, len(pcm), 640):
        activity.feed(pcm[at : at + 640])
    assert graph.runs == 40


runs = st.lists(st.tuples(st.sampled_from([0.0, 0.4, 0.9]), st.integers(1, 9)), max_size=9)


@given(runs, st.lists(st.integers(1, 1500), max_size=30))
@settings(max_examples=60)
def test_edges_alternate_and_do_not_depend_on_the_pieces(
    pairs: list[tuple[float, int]], sizes: list[int]
) -> None:
    pcm = scripted([value for value, length in pairs for _ in range(length)])
    whole = ear().feed(pcm)
    assert [edge.speaking for edge in whole] == [n % 2 == 0 for n in range(len(whole))]
    activity, pieces, at = ear(), [], 0
    for size in [*sizes, len(pcm)]:
        piece = pcm[at : at + 2 * size]
        at += len(piece)
        taken_s = at // FRAME_BYTES * FRAME_S
        for edge in activity.feed(piece):
            assert edge.at_s + edge.late_s == pytest.approx(taken_s)
            pieces.append(edge)
    assert [(edge.speaking, edge.at_s) for edge in pieces] == [
        (edge.speaking, edge.at_s) for edge in whole
    ]


def test_a_broken_ear_says_so_in_one_safe_line() -> None:
    activity = LocalActivityProvider(LocalSettings(), vad=SileroVad(BrokenGraph())).for_session()
    with pytest.raises(ProviderError, match=r"^local: voice activity failed \(RuntimeError\)$"):
        activity.feed(scripted([0.9]))


# ---------------------------------------------------------------- turn detector, scripted


class ScriptedSmartTurn:
    """Checks its input and gives this answer."""

    def __init__(self, answer: float) -> None:
        self.answer = answer

    def run(self, outputs: None, feed: dict[str, Any]) -> list[Any]:
        assert feed["input_features"].shape == (1, MELS, FRAMES)
        assert feed["input_features"].dtype == np.float32
        return [np.array([[self.answer]], np.float32)]


def detector(graph: object) -> LocalTurnDetector:
    return LocalTurnDetector(LocalSettings(), Workers(1), model=SmartTurn(graph))


@pytest.mark.parametrize("samples", [0, 1, 16_000, WINDOW_SAMPLES, WINDOW_SAMPLES + 1])
async def test_audio_of_any_length_is_judged(samples: int) -> None:
    judge = detector(ScriptedSmartTurn(0.25))
    assert await judge.probability(bytes(2 * samples), "") == 0.25
    assert (judge.name, judge.health().ok) == ("local", True)


@pytest.mark.parametrize("graph", [BrokenGraph(), ScriptedSmartTurn(math.nan)])
async def test_a_failing_detector_says_so_in_one_safe_line(graph: object) -> None:
    judge = detector(graph)
    with pytest.raises(ProviderError, match=r"^local: the turn detector failed \(\w+\)$"):
        await judge.probability(b"", "")
    assert not judge.health().ok


def test_missing_weights_name_the_command(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    elsewhere = LocalSettings(models_dir=str(tmp_path))
    with pytest.raises(ModelsMissing, match="vantum-actors models fetch"):
        LocalTurnDetector(elsewhere, Workers(1))
    with pytest.raises(ModelsMissing, match="vantum-actors models fetch"):
        LocalActivityProvider(elsewhere)


def test_missing_packages_name_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"vantum\[local\].*TURN_DETECTOR=off"):
        LocalTurnDetector(LocalSettings(), Workers(1))
    with pytest.raises(ConfigError, match=r"vantum\[local\].*TURN_VOICE_ACTIVITY=off"):
        LocalActivityProvider(LocalSettings())


async def test_they_are_what_the_ports_ask_for() -> None:
    provider: VoiceActivityProvider = LocalActivityProvider(
        LocalSettings(), vad=SileroVad(ScriptedSilero())
    )
    activity: VoiceActivity = provider.for_session()
    judge: TurnDetectorProvider = detector(ScriptedSmartTurn(1.0))
    assert (provider.name, provider.health().ok, judge.name) == ("local", True, "local")
    assert await activity.hear(b"") == []


# ---------------------------------------------------------------- with the weights


@pytest.fixture(scope="module")
def smart_turn(local_settings: LocalSettings) -> LocalTurnDetector:
    return LocalTurnDetector(local_settings, Workers(1))


@pytest.mark.local
async def test_a_sentence_is_complete_and_half_of_it_is_not(
    smart_turn: LocalTurnDetector, recordings: dict[str, tuple[bytes, str]]
) -> None:
    pcm = samples_of(recordings["austen-0920"][0])
    assert await smart_turn.probability(pcm, "") > 0.8
    half = pcm[: 2 * 32_000] + bytes(6400)
    assert await smart_turn.probability(half, "") < 0.5


@pytest.mark.local
async def test_a_cancelled_question_leaves_nothing_running(smart_turn: LocalTurnDetector) -> None:
    with trio.move_on_after(0) as scope:
        await smart_turn.probability(bytes(32_000), "")
    assert scope.cancelled_caught
    assert smart_turn.health().ok


@pytest.mark.local
async def test_a_recorded_turn_ends_once_and_soon(
    local_settings: LocalSettings,
    smart_turn: LocalTurnDetector,
    recordings: dict[str, tuple[bytes, str]],
) -> None:
    """Ear, detector and policy together, in 20 ms pieces, on the audio's own clock."""
    voice = samples_of(recordings["austen-0920"][0])
    rng = np.random.default_rng(1)
    room = from_float(rng.normal(0, 0.0003, 3 * 16_000))
    pcm = room[:16_000] + voice + room
    activity, recent = LocalActivityProvider(local_settings).for_session(), RecentAudio(8)
    policy = Endpointing(EndpointingOptions(has_detector=True))
    edges: list[VoiceEdge] = []
    ended_s = None
    for at in range(0, len(pcm), 640):
        now_s = (at + 640) / 32_000
        recent.feed(pcm[at : at + 640])
        for edge in activity.feed(pcm[at : at + 640]):
            edges.append(edge)
            policy = policy.take(edge, now_s)
        verdict = policy.decide(now_s)
        if verdict.check is not None:
            policy = policy.take(CheckAsked(verdict.check), now_s)
            guess = await smart_turn.probability(recent.last(8), policy.text)
            policy = policy.take(CheckAnswered(verdict.check, guess), now_s)
        if verdict.ended:
            ended_s = now_s
            break
    assert edges[-1].speaking is False
    assert ended_s is not None
    assert verdict.reason == "complete"
    assert 0.33 < ended_s - edges[-1].at_s < 0.5
    assert abs(edges[-1].at_s - (0.5 + len(voice) / 32_000)) < 0.6
