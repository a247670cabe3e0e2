"""The caller's own voice: what the ear hears without our echo. Pure.

The ear (`vantum.ports.VoiceActivity`) hears every voice, also ours out of a loudspeaker. While our
audio may be heard, an `EchoJudge` is asked about each voice when it begins and as long as it lasts,
and only what is the caller's goes on: an echo is no voice, the caller's begins when he speaks into
it, and ends when nothing but our echo is left. When nothing of ours sounds, nothing is compared.

Words that come though no voice was heard are asked for as well: they may be understood of an echo
that is too faint for the ear.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import define, field

from vantum.core.acoustic_echo import REACH_S, SPAN, SPAN_S, EchoJudge
from vantum.core.audio import AudioFormat
from vantum.core.coherence import WINDOW, Floats
from vantum.core.messages import EchoHeard, VoiceEdge
from vantum.core.sounding import RATE_HZ, Sounding

#: From this probability on a frame is looked at, though the ear is not sure of a voice yet: the
#: echo is known then when it is.
_VOICE: Final = 0.5
#: Who speaks into an echo has done so for about as long before it is known.
_LATE_S: Final = 0.1
#: So many looks in a row find nothing but echo until the caller's voice is over.
_ENDS_LOOKS: Final = 4
#: Audio comes late by jitter and never early, so the earliest sets the clock; a delay that lasts
#: for longer is a gap in the stream. Two clocks differ by no more than the drift.
_GAP_S: Final = 0.25
_DRIFT: Final = 2e-4


@define(eq=False)
class OwnVoice:
    """The edges of the caller's own voice, out of those of the ear.

    Attributes:
        judge: knows the echo of this call.
    """

    judge: EchoJudge = field(factory=EchoJudge)
    _heard: Sounding | None = field(default=None, init=False)
    _end_s: float = field(default=0.0, init=False)  # of what was heard, on the clock of our audio
    _at_s: float = field(default=0.0, init=False)  # the same on the audio's own axis
    _since_s: float = field(default=0.0, init=False)  # where it begins, without a gap
    _is_voice: bool = field(default=False, init=False)  # the ear hears a voice
    _is_own: bool = field(default=False, init=False)  # and it was passed on as the caller's
    _owned_s: float = field(default=float("-inf"), init=False)  # where it was so last, on that axis
    _echoes: int = field(default=0, init=False)

    @property
    def ours(self) -> Sounding:
        """What we say: whoever sends it adds to it."""
        return self.judge.ours

    def hear(
        self,
        audio: bytes,
        line: AudioFormat,
        edges: Sequence[VoiceEdge],
        probability: float,
        now_s: float,
    ) -> list[VoiceEdge | EchoHeard]:
        """What is known of the caller's voice after this audio.

        Args:
            audio: what came since the last time, as his `line` carries it.
            edges: what the ear found in it; `probability`: of a voice at its end.
            now_s: on the clock of `ours`.
        """
        self.ours.is_wanted = True
        length_s = line.duration_s(audio)
        self._at_s += length_s
        if self._is_own:
            self._owned_s = self._at_s
        if not self.ours.sounds(now_s, REACH_S):
            self._heard = None
            return self._pass(edges, is_echo=False)
        self._keep(audio, line, length_s, now_s)
        if not (self._is_voice or edges or probability >= _VOICE):
            return []
        belief = self.judge.judge(self._last(WINDOW), self._end_s)
        found = self._pass(edges, is_echo=belief > 0)
        self._echoes = self._echoes + 1 if self._is_own and belief >= 1 else 0
        if self._echoes >= _ENDS_LOOKS:
            self._is_own, self._echoes = False, 0
            found += [VoiceEdge(False, self._at_s), EchoHeard()]
        return found

    def hear_words(self) -> list[EchoHeard]:
        """What to say of words that come now: that they lie in our echo, or nothing, if the caller
        was heard in the last second or it cannot be told."""
        if self._heard is None or self._is_own:
            return []
        if self._at_s < max(self._owned_s, self._since_s) + SPAN_S:
            return []  # what was not heard is no echo: they may have been said there
        ours = self.judge.ours_of(self._last(SPAN), self._end_s)
        return [] if ours == "none" else [EchoHeard(words=ours == "all")]

    def _last(self, count: int) -> Floats:
        assert self._heard is not None
        return self._heard.until(round(self._end_s * RATE_HZ), count)

    def _pass(self, edges: Sequence[VoiceEdge], *, is_echo: bool) -> list[VoiceEdge | EchoHeard]:
        found: list[VoiceEdge | EchoHeard] = []
        for edge in edges:
            self._is_voice = edge.speaking
            if edge.speaking and is_echo:
                found.append(EchoHeard())
            elif edge.speaking or self._is_own:
                self._is_own = edge.speaking
                found.append(edge)
        if self._is_voice and not self._is_own and not is_echo:
            self._is_own = True
            found.append(VoiceEdge(True, max(self._at_s - _LATE_S, 0.0), _LATE_S))
        return found

    def _keep(self, audio: bytes, line: AudioFormat, length_s: float, now_s: float) -> None:
        if self._heard is None:
            self._heard, self._end_s = Sounding(SPAN_S, is_wanted=True), now_s
            self._since_s = self._at_s - length_s
        self._end_s += length_s
        late_s = now_s - self._end_s
        if late_s > _GAP_S:
            self._since_s = self._at_s - length_s
        if not 0 <= late_s <= _GAP_S:
            self._end_s = now_s
        else:
            self._end_s += min(late_s, _DRIFT * length_s)
        self._heard.add(audio, line, self._end_s - length_s, self._end_s)
