"""Moonshine's pure parts, and its decoding loop on a scripted graph."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vantum.providers.local.moonshine import (
    MAX_SAMPLES,
    RATE_HZ,
    Moonshine,
    Recognition,
    looping_tail,
    parse_vocabulary,
    to_words,
    token_limit,
)

WORDS = (b"<unk>", b"<s>", b"</s>", "▁hel".encode(), b"lo", "▁wor".encode(), b"ld", b".", b"")
VOCABULARY = (*WORDS, "▁▁".encode(), "é".encode()[:1], "é".encode()[1:], b"<<ST_1>>")


def encode(tokens: list[bytes]) -> bytes:
    """A tokenizer.bin with these tokens."""
    data = b""
    for token in tokens:
        size = len(token)
        data += bytes([size] if size < 128 else [size % 128 + 128, size // 128]) + token
    return data


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_a_vocabulary_is_read_as_it_was_written(tokens: list[bytes]) -> None:
    assert parse_vocabulary(encode(tokens)) == tuple(tokens)


@given(st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=5))
def test_a_vocabulary_that_was_cut_off_is_refused(tokens: list[bytes]) -> None:
    with pytest.raises(ValueError, match="the vocabulary ends inside"):
        parse_vocabulary(encode(tokens)[:-1])


def test_tokens_become_words_with_their_probability() -> None:
    words = to_words(VOCABULARY, [3, 4, 5, 6, 7], [0.5, 0.5, 1.0, 1.0, 0.125])
    assert [word.text for word in words] == ["hello", "world."]
    assert [round(word.confidence, 6) for word in words] == [0.5, 0.5]


def test_special_tokens_spaces_and_split_characters() -> None:
    words = to_words(VOCABULARY, [1, 3, 4, 9, 5, 12, 10, 11, 8, 2], [1.0] * 10)
    assert [word.text for word in words] == ["hello", "woré"]
    assert to_words(VOCABULARY, [9, 9], [1.0, 1.0]) == ()


@given(st.lists(st.integers(0, len(VOCABULARY) - 1), max_size=30))
def test_any_tokens_give_words_without_space(tokens: list[int]) -> None:
    words = to_words(VOCABULARY, tokens, [0.5] * len(tokens))
    assert all(word.text and not any(map(str.isspace, word.text)) for word in words)
    assert Recognition(words, 0.5).text.split() == [word.text for word in words]


@given(
    st.lists(st.integers(0, 9), max_size=8),
    st.lists(st.integers(10, 99), min_size=4, max_size=12, unique=True),
    st.integers(1, 6),
)
def test_a_phrase_said_four_times_over_is_a_loop(
    before: list[int], phrase: list[int], times: int
) -> None:
    tokens = before + phrase * times
    assert looping_tail(tokens) == (3 * len(phrase) if times >= 4 else 0)


def test_digits_and_short_words_may_repeat() -> None:
    assert looping_tail([5, 5, 5]) == 0
    assert looping_tail([7, 8] * 7) == 0


def test_the_limit_grows_with_the_audio() -> None:
    assert token_limit(0) == 3
    assert token_limit(10 * RATE_HZ) == 68


class Named:
    def __init__(self, name: str, shape: list[Any]) -> None:
        self.name = name
        self.shape = shape


class ScriptedEncoder:
    """Gives one state per 384 samples."""

    def run(self, outputs: None, feed: dict[str, Any]) -> list[Any]:
        assert feed["attention_mask"].shape == feed["input_values"].shape
        self.samples = feed["input_values"].shape[1]
        return [np.zeros((1, self.samples // 384, 8), "f4")]


class ScriptedDecoder:
    """A decoder with one layer that writes the given tokens; checks that its cache is kept up."""

    def __init__(self, tokens: list[int], samples: int) -> None:
        self.tokens = tokens
        self.samples = samples
        self.steps = 0
        self.read: list[int] = []  # tokens that each step took

    def get_inputs(self) -> list[Named]:
        caches = [f"past_key_values.0.{part}.key" for part in ("decoder", "encoder")]
        return [Named("input_ids", [1, 1]), *(Named(name, [1, 2, "n", 4]) for name in caches)]

    def get_outputs(self) -> list[Named]:
        names = ["logits", "present.0.decoder.key", "present.0.encoder.key"]
        return [Named(name, []) for name in names]

    def run(self, outputs: list[str], feed: dict[str, Any]) -> list[Any]:
        self.steps += 1
        (taken,) = feed["input_ids"].tolist()
        before = [round(token) for token in feed["past_key_values.0.decoder.key"][0, 0, :, 0]]
        assert before == [1, *self.tokens][: len(before)], "nothing but what it wrote itself"
        assert taken[0] == [1, *self.tokens][len(before)]
        assert len(before) > 0 or taken == [1], "the beginning is taken by itself"
        assert feed["encoder_attention_mask"].shape == (1, self.samples)
        assert feed["use_cache_branch"].tolist() == [bool(before)]
        self.read.append(len(taken))
        logits = np.zeros((1, len(taken), len(VOCABULARY)), "f4")
        for at in range(len(taken)):
            so_far = [*before, *taken[: at + 1]]
            # Behind a wrong token it would go on with something else.
            right = so_far == [1, *self.tokens[:-1]][: len(so_far)]
            logits[0, at, self.tokens[len(so_far) - 1] if right else 8] = 5
        keys = np.zeros((1, 2, len(before) + len(taken), 4), "f4")
        keys[0, :, :, :] = np.array([*before, *taken], "f4")[:, np.newaxis]
        made = {
            "logits": logits,
            "present.0.decoder.key": keys,
            "present.0.encoder.key": np.zeros((1, 2, 9, 4), "f4"),
        }
        if before:
            assert feed["past_key_values.0.encoder.key"].shape == (1, 2, 9, 4)
        return [made[name] for name in outputs]


def recognise(
    tokens: list[int], samples: int = RATE_HZ, draft: Sequence[int] = ()
) -> tuple[Recognition, ScriptedDecoder]:
    decoder = ScriptedDecoder(tokens, samples)
    model = Moonshine(ScriptedEncoder(), decoder, VOCABULARY)
    return model.recognise(np.zeros(samples, "f4"), draft=draft), decoder


def test_decoding_stops_at_the_end_token() -> None:
    recognition, decoder = recognise([3, 4, 7, 2])
    assert recognition.text == "hello."
    assert decoder.steps == 4
    assert 0.9 < recognition.confidence < 1


def test_decoding_stops_at_the_limit() -> None:
    recognition, decoder = recognise([3] * 99)
    assert decoder.steps == token_limit(RATE_HZ)
    assert recognition.text == " ".join(["hel"] * decoder.steps)


def test_a_loop_is_stopped_and_said_once() -> None:
    recognition, decoder = recognise([3, 4, 5, 6] * 9, samples=8 * RATE_HZ)
    assert recognition.text == "hello world"
    assert decoder.steps == 16


@pytest.mark.parametrize(
    ("draft", "read"),
    [
        ([], [1, 1, 1, 1, 1]),
        ([3, 4, 5, 6], [1, 4]),  # all of it stands, and what follows it is known as well
        ([3, 4, 5], [1, 3, 1]),
        ([3, 4, 7, 6], [1, 4, 1, 1]),  # what follows a wrong one is of no use
        ([4, 5, 6], [1, 1, 1, 1, 1]),
        ([3, 4, 5, 6, 7, 7], [1, 6]),
    ],
)
def test_a_draft_is_read_at_once_and_changes_nothing(draft: list[int], read: list[int]) -> None:
    plain, _ = recognise([3, 4, 5, 6, 2])
    recognition, decoder = recognise([3, 4, 5, 6, 2], draft=draft)
    assert recognition == plain
    assert recognition.tokens == (3, 4, 5, 6)
    assert decoder.read == read


@given(
    st.lists(st.integers(3, 7), max_size=12),
    st.lists(st.integers(3, 7), max_size=12),
    st.integers(0, 12),
)
def test_any_draft_gives_what_none_gives(tokens: list[int], other: list[int], shared: int) -> None:
    draft = tokens[:shared] + other
    plain, _ = recognise([*tokens, 2], samples=2 * RATE_HZ)
    assert recognise([*tokens, 2], samples=2 * RATE_HZ, draft=draft)[0] == plain


def test_a_draft_that_is_too_long_or_loops_is_cut_as_ever() -> None:
    recognition, decoder = recognise([3] * 99, draft=[3] * 50)
    assert len(recognition.tokens) == token_limit(RATE_HZ)
    assert decoder.steps == 2
    recognition, _ = recognise([3, 4, 5, 6] * 9, samples=8 * RATE_HZ, draft=[3, 4, 5, 6] * 9)
    assert recognition.text == "hello world"


def test_nothing_understood() -> None:
    recognition, _ = recognise([2])
    assert (recognition.text, recognition.confidence) == ("", 0.0)


def test_short_audio_is_filled_up_and_long_audio_refused() -> None:
    encoder = ScriptedEncoder()
    model = Moonshine(encoder, ScriptedDecoder([2], RATE_HZ // 4), VOCABULARY)
    model.recognise(np.zeros(10, "f4"))
    assert encoder.samples == RATE_HZ // 4
    with pytest.raises(ValueError, match="160001 samples; at most 160000"):
        model.recognise(np.zeros(MAX_SAMPLES + 1, "f4"))


@pytest.mark.parametrize("steps", [0, 2])
def test_the_check_stops_it_between_two_steps(steps: int) -> None:
    decoder = ScriptedDecoder([3] * 99, RATE_HZ)
    model = Moonshine(ScriptedEncoder(), decoder, VOCABULARY)

    def check() -> None:
        if decoder.steps == steps:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.recognise(np.zeros(RATE_HZ, "f4"), check)
    assert decoder.steps == steps
