"""All three simulated providers at once, and the settings that point a server at them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from attrs import frozen

from vantum.testing.cartesia import CartesiaScript, SimulatedCartesia, simulated_cartesia
from vantum.testing.deepgram import DeepgramScript, SimulatedDeepgram, simulated_deepgram
from vantum.testing.deepgram_faults import Fault
from vantum.testing.openai import OpenAIScript, SimulatedOpenAI, simulated_openai
from vantum.testing.openai_wire import Messages

#: Any key will do, unless a script asks for a certain one.
KEY = "simulated"

#: A small talk for those who try it without saying what should be said.
TALK = (
    "Hello, who is this?",
    "And what do you want from me?",
    "What does it cost?",
    "All right, call me on Thursday.",
)
ANSWERS = (
    "Hi, this is Alex from Vantum. ||BREAK|| We help sales teams reach more people by phone. "
    "||BREAK|| How do you find new customers today?",
    "Just two minutes of your time. ||BREAK|| Would fewer missed calls be useful to you?",
    "That depends on how many calls you make. ||BREAK|| May I show you in a short demo?",
    "Thursday it is. ||BREAK|| Thank you, and have a good day!",
)


def answer_in_talk(messages: Messages) -> str:
    """The answer to the line of `TALK` that the user said last, for `OpenAIScript.answers`.

    The peers serve many calls at once and the talk goes round, so the number of the request does
    not tell which line it is. To other words: the answers in turn, by the number of the user's
    messages.
    """
    said = [str(m.get("content", "")).strip() for m in messages if m["role"] == "user"]
    last = said[-1] if said else ""
    for line, answer in zip(TALK, ANSWERS, strict=True):
        if last.endswith(line):  # what was said before it may stand in the same message
            return answer
    return ANSWERS[max(len(said) - 1, 0) % len(ANSWERS)]


@frozen
class SimulatedProviders:
    """The running peers."""

    deepgram: SimulatedDeepgram
    openai: SimulatedOpenAI
    cartesia: SimulatedCartesia

    def environment(self) -> dict[str, str]:
        """Environment variables that point a server at these peers."""
        return {
            "DEEPGRAM_API_KEY": KEY,
            "DEEPGRAM_BASE_URL": self.deepgram.base_url,
            "OPENAI_API_KEY": KEY,
            "OPENAI_BASE_URL": self.openai.base_url,
            "CARTESIA_API_KEY": KEY,
            "CARTESIA_BASE_URL": self.cartesia.base_url,
        }


@asynccontextmanager
async def simulated_providers(
    deepgram: DeepgramScript | None = None,
    openai: OpenAIScript | None = None,
    cartesia: CartesiaScript | None = None,
    *,
    deepgram_faults: tuple[Fault, ...] = (),
    host: str = "127.0.0.1",
) -> AsyncIterator[SimulatedProviders]:
    """Serve all three on free ports while the body runs.

    Without scripts: a short sales talk, again and again, whenever a voice is heard, with latencies
    like those of the real providers. What goes wrong with OpenAI and Cartesia is in their scripts;
    Deepgram's faults are `deepgram_faults`, and may be changed while it runs
    (`peers.deepgram.faults`).
    """
    heard = deepgram or DeepgramScript(TALK, speech="loud", scope="server", latency_ms=80)
    thought = openai or OpenAIScript(answer_in_talk, first_token_s=0.35, tokens_per_s=60)
    said = cartesia or CartesiaScript(first_audio_s=0.12, rate=5)
    async with (
        simulated_deepgram(heard, faults=deepgram_faults, host=host) as recogniser,
        simulated_openai(thought, host=host) as model,
        simulated_cartesia(said, host=host) as synthesiser,
    ):
        yield SimulatedProviders(recogniser, model, synthesiser)
