"""Voice activity by Silero: 32 ms of 16 kHz audio in, the probability of speech out.

About 0.1 ms a frame, so it runs on the event loop. After something else the model must come from
memory first, which takes four times as long as the computation: frames of several streams may be
computed in one run, each as if it were alone. The graph wants 64 samples of what came before in
front of each 512, and hands a state from frame to frame; both belong to one stream
(https://github.com/snakers4/silero-vad, `OnnxWrapper`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from vantum.core.audio import to_int16
from vantum.providers.local.moonshine import open_graph

Floats: TypeAlias = npt.NDArray[np.float32]

FRAME_SAMPLES: Final = 512
FRAME_BYTES: Final = 2 * FRAME_SAMPLES
FRAME_MS: Final = 32

_RATE_HZ = 16_000
_CONTEXT_SAMPLES = 64
# Where a stream begins: shared, for an ear that has heard nothing yet needs none of its own.
_NO_STATE = np.zeros((2, 1, 128), np.float32)
_NO_INPUT = np.zeros((1, _CONTEXT_SAMPLES + FRAME_SAMPLES), np.float32)
_NO_STATE.flags.writeable = _NO_INPUT.flags.writeable = False
# With the sizes known, 34 of the graph's 58 operations remain and a run takes a quarter less; its
# results are the same to the last bit.
_FRAME_SIZE = {"sequence": _CONTEXT_SAMPLES + FRAME_SAMPLES}
# Below -72 dBFS at its loudest: a muted microphone, comfort noise off, digital silence.
_SILENT_PEAK = 8
# What the model keeps in mind of a voice makes it deaf for the next one's first words, and a quiet
# line does not make it forget: of short words ("no", "yeah") behind another's sentence and up to
# 15 s of a room's noise it heard 74 %, and 99 % if it began anew after a second without a voice. In
# two minutes each of white and pink noise and hum it heard none either way.
_QUIET = 0.35  # Silero's own advice for the end of a voice
_FORGETS_FRAMES = 31
# Begun anew, it needs some frames of this line's noise before it hears a voice's first syllable.
_SETTLED_FRAMES = 16


class SileroVad:
    """The loaded model, shared by all sessions."""

    def __init__(self, graph: Any, crowd: Any = None) -> None:
        """`graph` takes the frame of one stream, `crowd` those of any number (the same one)."""
        self.graph, self.crowd = graph, graph if crowd is None else crowd
        self._rate = np.array(_RATE_HZ, np.int64)

    @classmethod
    def load(cls, folder: Path) -> SileroVad:
        """Load from a folder with silero_vad_16k_op15.onnx. Blocks for some 40 ms."""
        path = folder / "silero_vad_16k_op15.onnx"
        return cls(open_graph(path, {"batch": 1, **_FRAME_SIZE}), open_graph(path, _FRAME_SIZE))

    def stream(self) -> VadStream:
        """A listener for one audio stream."""
        return VadStream(self)

    def run(self, samples: Floats, state: Floats) -> tuple[Floats, Floats]:
        """Probabilities (streams × 1) and the states after, of samples (streams × 576) and the
        states before (2 × streams × 128)."""
        graph = self.graph if len(samples) == 1 else self.crowd
        probability, after = graph.run(None, {"input": samples, "state": state, "sr": self._rate})
        return probability, after


class VadStream:
    """One audio stream's voice activity."""

    def __init__(self, vad: SileroVad) -> None:
        self.vad = vad
        self._settled: Floats | None = None  # the state on this line before any voice
        self._reset()

    def _reset(self) -> None:
        self._state, self._input = _NO_STATE, _NO_INPUT
        self._is_fresh = True
        self._quiet = 0  # frames without a voice
        self._is_plain = True  # no voice since it began

    def probability(self, frame: bytes) -> float:
        """That somebody speaks in this frame, 0..1, in the light of the frames before it.

        Silence is not worth a computation: it is answered with 0 and the stream begins anew, as
        it does behind a second without a voice.

        Args:
            frame: `FRAME_BYTES` of PCM.
        """
        if not self.take(frame):
            return 0.0
        [probability] = probabilities([self])
        return probability

    def take(self, frame: bytes) -> bool:
        """The next frame, for `probabilities`. False: it is silence, whose probability is 0."""
        samples = to_int16(frame)
        if len(samples) != FRAME_SAMPLES:
            raise ValueError(f"a frame has {FRAME_SAMPLES} samples, not {len(samples)}")
        if int(samples.max()) < _SILENT_PEAK and int(samples.min()) > -_SILENT_PEAK:
            if not self._is_fresh:
                self._reset()
            return False
        if self._is_fresh:
            self._input = _NO_INPUT.copy()
        self._is_fresh = False
        self._input[0, :_CONTEXT_SAMPLES] = self._input[0, -_CONTEXT_SAMPLES:]
        np.multiply(samples, np.float32(1 / 32_768), out=self._input[0, _CONTEXT_SAMPLES:])
        return True

    def judged(self, probability: float) -> None:
        """The model has judged the frame that was taken last."""
        if probability >= _QUIET:
            self._quiet, self._is_plain = 0, False
            return
        self._quiet += 1
        if self._settled is None and self._is_plain and self._quiet == _SETTLED_FRAMES:
            self._settled = self._state
        if self._quiet < _FORGETS_FRAMES:
            return
        if self._settled is None:
            self._reset()
        else:
            self._state, self._quiet = self._settled, 0


def probabilities(streams: Sequence[VadStream]) -> list[float]:
    """What the frames that these streams have taken are, in one run. All are of one model."""
    vad = streams[0].vad
    if len(streams) == 1:
        [stream] = streams
        found, stream._state = vad.run(stream._input, stream._state)
        stream.judged(probability := float(found[0, 0]))
        return [probability]
    found, states = vad.run(
        np.concatenate([stream._input for stream in streams]),
        np.concatenate([stream._state for stream in streams], axis=1),
    )
    for number, stream in enumerate(streams):
        stream._state = np.ascontiguousarray(states[:, number : number + 1])
        stream.judged(float(found[number, 0]))
    return [float(probability) for probability in found[:, 0]]
