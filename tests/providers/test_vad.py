"""Voice activity on a scripted graph: what it is handed from frame to frame."""

from typing import Any

import numpy as np
import pytest

from tests.conftest import RECORDINGS
from vantum.config.providers import LocalSettings
from vantum.core.audio import read_wav, to_int16
from vantum.providers.local.catalogue import SILERO
from vantum.providers.local.moonshine import open_graph
from vantum.providers.local.segmenter import Segmenter, SegmenterOptions, SpeechBegan
from vantum.providers.local.vad import FRAME_BYTES, FRAME_SAMPLES, SileroVad, VadStream
from vantum.providers.local.weights import require


class ScriptedGraph:
    """Notes what it is given; its state counts its runs."""

    def __init__(self) -> None:
        self.given: list[tuple[np.ndarray[Any, Any], float, int]] = []
        self.probability = 0.75

    def run(self, outputs: None, feed: dict[str, Any]) -> list[Any]:
        self.given.append((feed["input"].copy(), float(feed["state"].max()), int(feed["sr"])))
        return [np.array([[self.probability]], "f4"), feed["state"] + 1]


def frame(value: int) -> bytes:
    return (np.arange(FRAME_SAMPLES) + value).astype("<i2").tobytes()


def test_every_frame_comes_with_the_end_of_the_one_before_and_its_state() -> None:
    graph = ScriptedGraph()
    stream = SileroVad(graph).stream()
    assert [stream.probability(frame(value)) for value in (1000, 2000, 3000)] == [0.75] * 3
    assert [state for _, state, _ in graph.given] == [0, 1, 2]
    assert {rate for _, _, rate in graph.given} == {16_000}
    first, second, third = (samples[0] for samples, _, _ in graph.given)
    assert first.shape == (64 + FRAME_SAMPLES,)
    assert not first[:64].any()
    assert np.allclose(first[64:], (np.arange(FRAME_SAMPLES) + 1000) / 32_768)
    assert np.array_equal(second[:64], first[-64:])
    assert np.array_equal(third[:64], second[-64:])


def test_after_silence_it_begins_anew_without_computing() -> None:
    graph = ScriptedGraph()
    stream = SileroVad(graph).stream()
    stream.probability(frame(1000))
    assert stream.probability(bytes(2 * FRAME_SAMPLES)) == 0
    assert stream.probability(np.full(FRAME_SAMPLES, -7, "<i2").tobytes()) == 0
    stream.probability(frame(1000))
    assert [state for _, state, _ in graph.given] == [0, 0]
    assert not graph.given[1][0][0, :64].any()


def heard(graph: ScriptedGraph, stream: VadStream, *spans: tuple[int, float]) -> list[float]:
    """So many frames of which the graph thinks so; the states that it was handed."""
    before = len(graph.given)
    for count, graph.probability in spans:
        for _ in range(count):
            stream.probability(frame(1000))
    return [state for _, state, _ in graph.given[before:]]


def test_behind_a_second_without_a_voice_it_knows_only_the_lines_noise() -> None:
    graph = ScriptedGraph()
    stream = SileroVad(graph).stream()
    assert heard(graph, stream, (20, 0.3), (5, 0.9)) == list(range(25))
    # A pause that is no second long changes nothing; then it is as it was after 16 quiet frames.
    assert heard(graph, stream, (30, 0.3), (1, 0.4)) == list(range(25, 56))
    assert heard(graph, stream, (31, 0.3), (2, 0.9)) == [*range(56, 87), 16, 17]


def test_on_a_line_that_began_with_a_voice_it_begins_anew_behind_it() -> None:
    graph = ScriptedGraph()
    stream = SileroVad(graph).stream()
    assert heard(graph, stream, (5, 0.9), (31, 0.3), (40, 0.3)) == [
        *range(36),
        *range(31),
        *range(16, 25),
    ]
    assert not graph.given[36][0][0, :64].any()


def test_streams_do_not_share_what_they_heard() -> None:
    graph = ScriptedGraph()
    vad = SileroVad(graph)
    one, other = vad.stream(), vad.stream()
    one.probability(frame(1000))
    one.probability(frame(1000))
    other.probability(frame(9))
    assert [state for _, state, _ in graph.given] == [0, 1, 0]


def test_only_whole_frames() -> None:
    stream = SileroVad(ScriptedGraph()).stream()
    with pytest.raises(ValueError, match="a frame has 512 samples, not 511"):
        stream.probability(bytes(1022))


@pytest.mark.local
def test_the_sizes_it_is_told_of_save_work_and_change_nothing(
    local_settings: LocalSettings, recordings: dict[str, tuple[bytes, str]]
) -> None:
    folder = require(local_settings, SILERO.name)
    told = SileroVad.load(folder)
    assert [entry.shape for entry in told.graph.get_inputs()] == [[1, 576], [2, 1, 128], []]
    streams = told.stream(), SileroVad(open_graph(folder / "silero_vad_16k_op15.onnx")).stream()
    pcm = read_wav(recordings["kennedy"][0]).pcm
    for at in range(0, len(pcm) - FRAME_BYTES, FRAME_BYTES):
        one, other = (stream.probability(pcm[at : at + FRAME_BYTES]) for stream in streams)
        assert one == pytest.approx(other, abs=1e-6)


SHORT = ("ami-no", "ami-yeah-1", "ami-yeah-3", "ami-okay-1", "ami-mmhmm-2", "ami-question")


@pytest.mark.local
@pytest.mark.parametrize("before", ["austen-0930", "kennedy"])
def test_short_words_are_heard_behind_another_voice_and_a_pause(
    local_settings: LocalSettings, before: str
) -> None:
    """What it keeps in mind of the one voice had made it deaf for the first words of the next."""
    vad = SileroVad.load(require(local_settings, SILERO.name))
    noise = np.random.default_rng(1)

    def room(seconds: float) -> np.ndarray[Any, Any]:
        return noise.normal(0, 20, round(16_000 * seconds))

    def voice(name: str) -> np.ndarray[Any, Any]:
        wav = read_wav((RECORDINGS / f"{name}.wav").read_bytes())
        samples = to_int16(wav.pcm).astype("f8")
        nearer: np.ndarray[Any, Any] = samples * (2000 / np.sqrt((samples**2).mean()))
        return nearer  # all equally near

    for name in SHORT:
        line = np.concatenate((room(1), voice(before), room(5)))
        told = len(line) // FRAME_SAMPLES
        line = np.concatenate((line, voice(name), room(0.5))).clip(-32_768, 32_767)
        pcm = line.astype("<i2").tobytes()
        stream, segmenter = vad.stream(), Segmenter(SegmenterOptions())
        ends = range(FRAME_BYTES, len(pcm) + 1, FRAME_BYTES)
        heard = [segmenter.feed(stream.probability(pcm[e - FRAME_BYTES : e])) for e in ends]
        begun = [event.frame for event in heard if isinstance(event, SpeechBegan)]
        assert begun[-1] >= told - 3, name
