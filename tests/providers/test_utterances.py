"""Cutting audio into utterances: whatever the probabilities, nothing spoken is lost or doubled."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from vantum.providers.local.moonshine import MAX_SAMPLES
from vantum.providers.local.segmenter import (
    Evidence,
    Segmenter,
    SegmenterOptions,
    SpeechBegan,
    SpeechEnded,
    SpeechEvent,
    SpeechPaused,
    SpeechResumed,
)
from vantum.providers.local.utterances import (
    Began,
    CutterOptions,
    Settle,
    Sketch,
    Stretch,
    Task,
    UtteranceCutter,
    quietest_frame,
)
from vantum.providers.local.vad import FRAME_BYTES, FRAME_SAMPLES

OPTIONS = CutterOptions(
    segmenter=SegmenterOptions(min_speech_frames=3, silence_frames=6),
    interim_frames=5,
    lead_frames=4,
    tail_frames=2,
    max_frames=30,
)
#: Runs of one probability: what voice activity looks like.
runs = st.lists(st.tuples(st.sampled_from([0.0, 0.4, 0.9]), st.integers(1, 25)), max_size=14)
probabilities = runs.map(lambda pairs: [p for p, length in pairs for _ in range(length)])


def segment(values: list[float], options: SegmenterOptions) -> list[SpeechEvent]:
    segmenter = Segmenter(options)
    return [event for value in values if (event := segmenter.feed(value))]


def test_a_word_with_a_short_pause_in_it() -> None:
    values = [0.1] * 5 + [0.9] * 4 + [0.1] * 2 + [0.9] * 3 + [0.1] * 9
    assert segment(values, OPTIONS.segmenter) == [
        SpeechBegan(5),
        SpeechPaused(9),
        SpeechResumed(),
        SpeechPaused(14),
        SpeechEnded(14),
    ]


def test_a_click_is_no_speech() -> None:
    assert segment([0.0, 0.9, 0.9, 0.0, 0.9, 0.0], OPTIONS.segmenter) == []


def test_between_the_thresholds_speech_neither_begins_nor_ends() -> None:
    assert segment([0.4] * 50, OPTIONS.segmenter) == []
    assert segment([0.9] * 3 + [0.4] * 50, OPTIONS.segmenter) == [SpeechBegan(0)]


WEIGHED = SegmenterOptions(silence_frames=6, evidence=Evidence(doubt=0.5, most=2.0, enough=3.0))


def test_evidence_adds_up_until_something_speaks_against_it() -> None:
    clear, doubtful, silent = 0.99, 0.7, 0.1  # they weigh 2.0, 0.35 and -2.7
    assert segment([clear, clear], WEIGHED) == [SpeechBegan(0)]
    assert segment([clear, silent, clear, silent], WEIGHED) == []
    assert segment([silent] * 50 + [clear, doubtful, doubtful, doubtful], WEIGHED) == [
        SpeechBegan(50)
    ], "a long silence is held against nobody"
    assert segment([doubtful] * 8, WEIGHED) == []
    assert segment([doubtful] * 9, WEIGHED) == [SpeechBegan(0)]
    assert segment([doubtful] * 8 + [silent, doubtful], WEIGHED) == [], "and it begins anew"
    assert segment([0.0, 1.0] * 20, WEIGHED) == [], "whatever a model says, it is finite"
    assert segment([0.6] * 50, WEIGHED) == [], "of which nobody knows"


@given(probabilities, st.sampled_from([OPTIONS.segmenter, WEIGHED]))
def test_speech_begins_before_it_ends_and_frames_only_grow(
    values: list[float], options: SegmenterOptions
) -> None:
    is_speech, last = False, 0
    for event in segment(values, options):
        match event:
            case SpeechBegan(frame):
                assert not is_speech
                assert frame >= last
                is_speech, last = True, frame
            case SpeechPaused(frame) | SpeechEnded(frame):
                assert is_speech
                assert frame >= last
                last = frame
                is_speech = isinstance(event, SpeechPaused)
            case SpeechResumed():
                assert is_speech


def frames(count: int) -> list[bytes]:
    return [np.full(FRAME_SAMPLES, number % 30_000, "<i2").tobytes() for number in range(count)]


def cut(
    values: list[float], flushes: frozenset[int] = frozenset(), options: CutterOptions = OPTIONS
) -> tuple[list[Task], bytes]:
    """All tasks of a stream, flushed at its end and before the given frames, and the stream."""
    cutter = UtteranceCutter(options)
    stream, tasks = b"", []
    for number, (frame, value) in enumerate(zip(frames(len(values)), values, strict=True)):
        if number in flushes:
            rest = frame[: 2 * (number % FRAME_SAMPLES)]
            stream += rest
            tasks += cutter.flush(rest)
        stream += frame
        tasks += cutter.feed(frame, value)
    return tasks + cutter.flush(b""), stream


def stretches(tasks: list[Task]) -> list[Stretch]:
    return [task.stretch for task in tasks if isinstance(task, Settle)]


@given(probabilities, st.frozensets(st.integers(1, 100), max_size=3))
@settings(max_examples=150, deadline=None)
def test_stretches_are_the_streams_own_audio_in_order(
    values: list[float], flushes: frozenset[int]
) -> None:
    tasks, stream = cut(values, flushes)
    end = 0
    for task in tasks:
        if isinstance(task, Began):
            continue
        stretch = task.stretch
        assert stretch.pcm == stream[2 * stretch.start : 2 * stretch.end]
        assert len(stretch.pcm) <= (OPTIONS.max_frames + OPTIONS.tail_frames + 1) * FRAME_BYTES
        assert stretch.start <= stretch.voice_start <= stretch.voice_end <= stretch.end
        assert stretch.start >= end
        if isinstance(task, Settle):
            end = stretch.end


@given(probabilities)
@settings(max_examples=150, deadline=None)
def test_no_speech_is_lost(values: list[float]) -> None:
    tasks, _ = cut(values)
    covered = {
        frame
        for stretch in stretches(tasks)
        for frame in range(stretch.start // FRAME_SAMPLES, stretch.end // FRAME_SAMPLES)
    }
    run = 0
    for number, value in enumerate(values):
        run = run + 1 if value >= 0.5 else 0
        if run == OPTIONS.segmenter.min_speech_frames:
            assert set(range(number - run + 1, number + 1)) <= covered
        elif run > OPTIONS.segmenter.min_speech_frames:
            assert number in covered


@given(probabilities)
@settings(max_examples=150, deadline=None)
def test_an_utterance_that_ends_was_sketched_as_it_ended(values: list[float]) -> None:
    last: Sketch | None = None
    for task in cut(values)[0]:
        match task:
            case Sketch(settling=True):
                last = task
            case Settle(stretch, utterance_ended_at=int()) if stretch.pcm:
                assert last is not None
                assert last.stretch == stretch
            case _:
                pass


@given(probabilities)
@settings(max_examples=60, deadline=None)
def test_the_memory_is_bounded(values: list[float]) -> None:
    cutter = UtteranceCutter(OPTIONS)
    for frame, value in zip(frames(len(values)), values, strict=True):
        cutter.feed(frame, value)
        limit = (
            OPTIONS.max_frames + OPTIONS.tail_frames
            if cutter.is_speech
            else OPTIONS.lead_frames + 3
        )
        assert len(cutter._kept) <= limit * FRAME_BYTES


def test_interim_sketches_come_at_their_interval() -> None:
    tasks, _ = cut([0.9] * 20)
    ends = [task.stretch.end // FRAME_SAMPLES for task in tasks if isinstance(task, Sketch)]
    assert ends == [5, 10, 15, 20]


def test_a_long_utterance_is_cut_where_it_is_quietest() -> None:
    cutter = UtteranceCutter(OPTIONS)
    rng = np.random.default_rng(7)
    tasks: list[Task] = []
    for number in range(OPTIONS.max_frames):
        level = 10 if 17 <= number < 20 else 5000
        tasks += cutter.feed(rng.integers(-level, level, FRAME_SAMPLES, "<i2").tobytes(), 0.9)
    (settle,) = [task for task in tasks if isinstance(task, Settle)]
    assert settle.stretch.start == 0
    assert settle.stretch.end == 18 * FRAME_SAMPLES
    assert settle.utterance_ended_at is None


def test_the_quietest_frame_is_looked_for_only_where_it_may_be() -> None:
    loud = np.full((10, FRAME_SAMPLES), 9000, "<i2")
    loud[1] = loud[6] = 0
    assert quietest_frame(loud.tobytes(), 4, 8) == 6
    assert quietest_frame(loud.tobytes(), 1, 3) == 1


def test_a_word_too_short_to_have_begun_counts_when_the_turn_ends() -> None:
    cutter = UtteranceCutter(OPTIONS)
    data = frames(12)
    for number in range(10):
        assert cutter.feed(data[number], 0.0) == []
    assert cutter.feed(data[10], 0.9) == []
    began, settle = cutter.flush(data[11][:100])
    assert began == Began(10 * FRAME_SAMPLES)
    assert isinstance(settle, Settle)
    assert settle.stretch.pcm == b"".join(data[6:11]) + data[11][:100]
    assert cutter.flush(b"") == []


def test_a_flush_long_after_the_voice_takes_the_sketched_stretch() -> None:
    cutter = UtteranceCutter(OPTIONS)
    tasks: list[Task] = []
    for frame, value in zip(frames(12), [0.9] * 8 + [0.0] * 4, strict=True):
        tasks += cutter.feed(frame, value)
    sketch = tasks[-1]
    assert isinstance(sketch, Sketch)
    assert sketch.settling
    assert cutter.flush(b"") == [Settle(sketch.stretch, utterance_ended_at=None)]


def test_settings_in_milliseconds() -> None:
    options = CutterOptions.from_ms(silence_ms=500, interim_ms=500)
    assert options.segmenter.silence_frames == options.interim_frames == 16
    assert options.tail_frames == 4
    assert CutterOptions.from_ms(silence_ms=100, interim_ms=100).tail_frames == 3
    assert (options.max_frames + options.tail_frames + 1) * FRAME_SAMPLES <= MAX_SAMPLES
