"""What the simulated recogniser makes of audio whose frames do not carry their numbers."""

from __future__ import annotations

import itertools

import hypothesis.strategies as st
from hypothesis import given

from vantum.testing.calls import speech
from vantum.testing.calls.said import Said, SaidSource
from vantum.testing.calls.voice import ROOM

#: More than all words last.
_SAMPLES = 20_000


@given(st.lists(st.integers(1, 1500), min_size=1))
def test_words_are_heard_however_the_audio_is_cut(sizes: list[int]) -> None:
    """The end of a turn shifts the borders of what is sent, for a resampler's rest comes then."""
    said, sound = Said(marked=False), speech("one two three")
    said.add(sound, 2)
    audio = (ROOM * 2 + sound.pcm).ljust(2 * _SAMPLES, ROOM[:1])
    source, heard, at = SaidSource(said), [], 0
    for samples in itertools.cycle(sizes):
        pcm = audio[2 * at : 2 * (at + samples)]
        heard += source.hear(pcm, at, at + len(pcm) // 2)
        at += samples
        if at >= _SAMPLES:
            break
    assert [word.text for word in heard] == ["one", "two", "three"]
