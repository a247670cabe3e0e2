from __future__ import annotations

from vantum.core.messages import SpeechStarted, Transcript, UtteranceEnded
from vantum.testing.deepgram import DeepgramScript, SimulatedDeepgram, spoken_audio

from .deepgram_line import line

SCRIPT = DeepgramScript(
    ("Hello there, how are you?", "I am fine."), speech="in_audio", scope="server"
)


async def test_words_in_order_with_times_on_the_sessions_axis(autojump_clock):
    async with line(SimulatedDeepgram(SCRIPT)) as call:
        await call.speak(spoken_audio(SCRIPT))
        assert call.texts() == ["Hello there, how are you?", "I am fine."]
        finals = [e for e in call.of(Transcript) if e.is_final]
        assert finals[0].words[0].start_s == 0.2
        assert [type(e) for e in call.events if not isinstance(e, Transcript)] == [
            SpeechStarted,
            UtteranceEnded,
            SpeechStarted,
            UtteranceEnded,
        ]
