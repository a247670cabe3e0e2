"""Moonshine tiny: 16 kHz samples in, words out, straight on its ONNX graphs.

The model is an encoder over raw samples (one state per 384 samples, 24 ms) and a decoder that
writes one token at a time with a key/value cache (Jeffries et al. 2024, "Moonshine: Speech
Recognition for Live Transcription and Voice Commands", arXiv:2410.15608). What the graphs take and
give is read off the graphs themselves. Everything here blocks; it is called in worker threads and
several may call one `Moonshine` at the same time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

RATE_HZ: Final = 16_000
#: The model was made for short utterances; longer ones lose words.
MAX_SAMPLES: Final = 10 * RATE_HZ
#: Shorter input does not give the encoder a single state; it is filled up with silence.
MIN_SAMPLES: Final = RATE_HZ // 4

_BEGIN_TOKEN, _END_TOKEN = 1, 2
_SPECIAL_TOKENS = 3  # <unk>, <s>, </s>
_SPACE = "▁"  # stands before the first token of a word
# Nobody says more in a second; the model, once it loops, does.
_TOKENS_PER_S = 6.5
_SPARE_TOKENS = 3
_LOOP_TIMES = 4
_LOOP_MIN_TOKENS, _LOOP_MAX_TOKENS = 4, 12  # shorter units do repeat in speech: digits, "no, no"


@frozen
class RecognisedWord:
    """A word with its punctuation, and how sure the model was of its tokens (0..1)."""

    text: str
    confidence: float


@frozen
class Recognition:
    """What was understood; `confidence` is the tokens' geometric mean probability."""

    words: tuple[RecognisedWord, ...]
    confidence: float
    #: As the model wrote it: a draft for hearing the same stretch again when it has grown.
    tokens: tuple[int, ...] = ()

    @property
    def text(self) -> str:
        """The words with single spaces."""
        return " ".join(word.text for word in self.words)


NOTHING: Final = Recognition((), 0.0)


# ---------------------------------------------------------------- tokens


def parse_vocabulary(data: bytes) -> tuple[bytes, ...]:
    """The tokens of a `tokenizer.bin`, by their number.

    Each is its length and its bytes; a length of 128 or more takes two bytes, the low one (with
    128 added) first. Length 0 stands for a number that is not in use. Tokens 3..258 are the single
    bytes, for what the vocabulary has no token for.

    Raises:
        ValueError: the data ends inside a token.
    """
    tokens = []
    at = 0
    while at < len(data):
        length = data[at]
        at += 1
        if length >= 128:
            if at >= len(data):
                raise ValueError("the vocabulary ends inside a token's length")
            length = data[at] * 128 + length - 128
            at += 1
        if at + length > len(data):
            raise ValueError("the vocabulary ends inside a token")
        tokens.append(data[at : at + length])
        at += length
    return tuple(tokens)


def to_words(
    vocabulary: Sequence[bytes], tokens: Sequence[int], probabilities: Sequence[float]
) -> tuple[RecognisedWord, ...]:
    """Join tokens to words. A word's confidence is its tokens' geometric mean probability."""
    spellings: list[bytearray] = []
    logs: list[list[float]] = []
    space = _SPACE.encode()
    for token, probability in zip(tokens, probabilities, strict=True):
        spelling = vocabulary[token]
        if token < _SPECIAL_TOKENS or spelling.startswith(b"<<ST_"):
            continue
        # A run of spaces is one token: it ends a word and begins none yet.
        if not spellings or spelling.startswith(space):
            spellings.append(bytearray())
            logs.append([])
        spellings[-1] += spelling.replace(space, b" ")
        logs[-1].append(math.log(max(probability, 1e-9)))
    return tuple(
        RecognisedWord(text, math.exp(sum(log) / len(log)))
        for spelling, log in zip(spellings, logs, strict=True)
        if (text := " ".join(spelling.decode("utf-8", "replace").split()))
    )


def looping_tail(tokens: Sequence[int]) -> int:
    """How many tokens at the end only repeat what is before them; 0 if the model does not loop.

    The first occurrence of the repeated phrase does not count: somebody may have said it.
    """
    for unit in range(_LOOP_MIN_TOKENS, _LOOP_MAX_TOKENS + 1):
        span = unit * _LOOP_TIMES
        if len(tokens) >= span and list(tokens[-span:]) == list(tokens[-unit:]) * _LOOP_TIMES:
            return span - unit
    return 0


def token_limit(samples: int) -> int:
    """The most tokens that so much audio can hold."""
    return math.ceil(samples / RATE_HZ * _TOKENS_PER_S) + _SPARE_TOKENS


# ---------------------------------------------------------------- the model


class Moonshine:
    """The loaded model. Shared by all sessions; holds nothing that belongs to a call."""

    def __init__(self, encoder: Any, decoder: Any, vocabulary: tuple[bytes, ...]) -> None:
        self._encoder = encoder
        self._decoder = decoder
        self._vocabulary = vocabulary
        self._all_outputs = [output.name for output in decoder.get_outputs()]
        # After the first step the encoder's keys and values are known: no need to copy them out.
        self._later_outputs = [name for name in self._all_outputs if ".encoder." not in name]
        self._caches = [
            (i.name, i.shape[1], i.shape[3])
            for i in decoder.get_inputs()
            if i.name.startswith("past_key_values.")
        ]

    @classmethod
    def load(cls, folder: Path) -> Moonshine:
        """Load from a folder with encoder_model.ort, decoder_model_merged.ort, tokenizer.bin.

        Blocks for about a quarter of a second.

        Raises:
            ImportError: onnxruntime is not installed.
            OSError: a file cannot be read.
        """
        return cls(
            open_graph(folder / "encoder_model.ort"),
            open_graph(folder / "decoder_model_merged.ort"),
            parse_vocabulary((folder / "tokenizer.bin").read_bytes()),
        )

    def recognise(
        self,
        samples: NDArray[np.float32],
        check: Callable[[], None] = lambda: None,
        draft: Sequence[int] = (),
    ) -> Recognition:
        """Understand one stretch of speech.

        Args:
            samples: 16 kHz in -1..1, at most `MAX_SAMPLES`.
            check: called between the steps (every few milliseconds); stops by raising.
            draft: what the beginning was understood as before: what of it still stands is not
                written again, only read. What is understood may differ by a letter or a comma,
                since a step's activations share one scale.
        """
        if len(samples) > MAX_SAMPLES:
            raise ValueError(f"{len(samples)} samples; at most {MAX_SAMPLES} are understood")
        if len(samples) < MIN_SAMPLES:
            samples = np.pad(samples, (0, MIN_SAMPLES - len(samples)))
        # Both graphs take the mask at the length of the samples: the decoder thins it out itself.
        mask = np.ones((1, len(samples)), np.int64)
        states = self._encoder.run(
            None, {"input_values": samples[np.newaxis], "attention_mask": mask}
        )[0]
        check()
        tokens, probabilities = self._decode(states, mask, check, draft)
        if not tokens:
            return NOTHING
        confidence = math.exp(float(np.mean(np.log(np.maximum(probabilities, 1e-9)))))
        words = to_words(self._vocabulary, tokens, probabilities)
        return Recognition(words, confidence, tuple(tokens))

    def _decode(
        self,
        states: NDArray[np.float32],
        mask: NDArray[np.int64],
        check: Callable[[], None],
        draft: Sequence[int],
    ) -> tuple[list[int], list[float]]:
        """The most probable token, again and again: its numbers and probabilities.

        A step takes several tokens and says what follows each. So the second one takes the whole
        draft, in little more time than a single token, and as much of it stays as the model would
        write now (Leviathan et al. 2023, "Fast Inference from Transformers via Speculative
        Decoding", arXiv:2211.17192, with a draft that costs nothing). Not the first one: the
        graph's weights are 8-bit and its activations scaled by the largest of a step, which are
        those of the beginning; beside them the others would lose their precision.
        """
        feed: dict[str, Any] = {
            name: np.zeros((1, heads, states.shape[1] if ".encoder." in name else 0, width), "f4")
            for name, heads, width in self._caches
        }
        feed["encoder_hidden_states"] = states
        feed["encoder_attention_mask"] = mask
        tokens: list[int] = []
        probabilities: list[float] = []
        taken, outputs = [_BEGIN_TOKEN], self._all_outputs
        limit = token_limit(mask.shape[1])
        while True:
            feed["input_ids"] = np.array([taken], np.int64)
            feed["use_cache_branch"] = np.array([bool(tokens)])
            logits, *caches = self._decoder.run(outputs, feed)
            check()
            for at, scores in enumerate(logits[0]):
                token = int(scores.argmax())
                if token == _END_TOKEN:
                    return tokens, probabilities
                tokens.append(token)
                probabilities.append(float(1 / np.exp(scores - scores[token]).sum()))
                if repeated := looping_tail(tokens):
                    return tokens[:-repeated], probabilities[:-repeated]
                if len(tokens) == limit:
                    return tokens, probabilities
                if taken[at + 1 : at + 2] != [token]:
                    break
            for name, cache in zip(outputs[1:], caches, strict=True):
                if ".decoder." in name:  # nothing of what the draft had wrong
                    cache = np.ascontiguousarray(cache[:, :, : len(tokens)])
                feed[name.replace("present", "past_key_values")] = cache
            taken = [token, *draft[1:]] if tokens == list(draft[:1]) else [token]
            outputs = self._later_outputs


def open_graph(path: Path, sizes: Mapping[str, int] | None = None) -> Any:
    """An onnxruntime session for one caller's thread at a time, with flat memory.

    `sizes`: of the graph's named dimensions, those that are always the same. What the graph works
    out from them at every run is then worked out once, here.

    One thread each, because the workers already use all cores. Memory patterns and the arena are
    off: utterances have all lengths, and both would keep the memory of each.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 4  # its errors are raised; printed as well they are noise
    for name, size in (sizes or {}).items():
        options.add_free_dimension_override_by_name(name, size)
    return onnxruntime.InferenceSession(
        str(path), sess_options=options, providers=["CPUExecutionProvider"]
    )
