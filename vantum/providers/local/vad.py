"""Voice activity by Silero: 32 ms of 16 kHz audio in, the probability of speech out.

Less than 0.1 ms a frame, so it runs on the event loop. The graph wants 64 samples of what came
before in front of each 512, and hands a state from frame to frame; both belong to one stream
(https://github.com/snakers4/silero-vad, `OnnxWrapper`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np

from vantum.core.audio import to_int16
from vantum.providers.local.moonshine import open_graph

FRAME_SAMPLES: Final = 512
FRAME_BYTES: Final = 2 * FRAME_SAMPLES
FRAME_MS: Final = 32

_RATE_HZ = 16_000
_CONTEXT_SAMPLES = 64
_STATE_SHAPE = (2, 1, 128)
# One frame at a time. With these sizes known, 34 of the graph's 58 operations remain and a run
# takes a quarter less; its results are the same to the last bit.
_SIZES = {"batch": 1, "sequence": _CONTEXT_SAMPLES + FRAME_SAMPLES}
# Below -72 dBFS at its loudest: a muted microphone, comfort noise off, digital silence.
_SILENT_PEAK = 8


class SileroVad:
    """The loaded model, shared by all sessions."""

    def __init__(self, graph: Any) -> None:
        self.graph = graph

    @classmethod
    def load(cls, folder: Path) -> SileroVad:
        """Load from a folder with silero_vad_16k_op15.onnx. Blocks for some 20 ms."""
        return cls(open_graph(folder / "silero_vad_16k_op15.onnx", _SIZES))

    def stream(self) -> VadStream:
        """A listener for one audio stream."""
        return VadStream(self)


class VadStream:
    """One audio stream's voice activity."""

    def __init__(self, vad: SileroVad) -> None:
        self._graph = vad.graph
        self._rate = np.array(_RATE_HZ, np.int64)
        self._reset()

    def _reset(self) -> None:
        self._state = np.zeros(_STATE_SHAPE, np.float32)
        self._input = np.zeros((1, _CONTEXT_SAMPLES + FRAME_SAMPLES), np.float32)
        self._is_fresh = True

    def probability(self, frame: bytes) -> float:
        """That somebody speaks in this frame, 0..1, in the light of the frames before it.

        Silence is not worth a computation: it is answered with 0 and the stream begins anew.

        Args:
            frame: `FRAME_BYTES` of PCM.
        """
        samples = to_int16(frame)
        if len(samples) != FRAME_SAMPLES:
            raise ValueError(f"a frame has {FRAME_SAMPLES} samples, not {len(samples)}")
        if int(samples.max()) < _SILENT_PEAK and int(samples.min()) > -_SILENT_PEAK:
            if not self._is_fresh:
                self._reset()
            return 0.0
        self._is_fresh = False
        self._input[0, :_CONTEXT_SAMPLES] = self._input[0, -_CONTEXT_SAMPLES:]
        np.multiply(samples, np.float32(1 / 32_768), out=self._input[0, _CONTEXT_SAMPLES:])
        probability, self._state = self._graph.run(
            None, {"input": self._input, "state": self._state, "sr": self._rate}
        )
        return float(probability[0, 0])
