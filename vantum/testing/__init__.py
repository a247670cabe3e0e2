"""Simulated peers: public, for your tests as well as ours.

Deepgram, OpenAI and Cartesia as real servers on loopback that speak the providers' wire protocols,
with scripted transcripts, answers, latencies and faults.

Whole calls on a virtual clock are in `vantum.testing.calls`, talks in text in
`vantum.testing.text`, phone calls and a Twilio in `vantum.testing.twilio`.
"""

from __future__ import annotations

from vantum.testing.cartesia import CartesiaScript, SimulatedCartesia, simulated_cartesia
from vantum.testing.deepgram import DeepgramScript, SimulatedDeepgram, simulated_deepgram
from vantum.testing.openai import (
    CallTool,
    OpenAIScript,
    Reply,
    SimulatedOpenAI,
    simulated_openai,
)
from vantum.testing.providers import SimulatedProviders, simulated_providers

__all__ = [
    "CallTool",
    "CartesiaScript",
    "DeepgramScript",
    "OpenAIScript",
    "Reply",
    "SimulatedCartesia",
    "SimulatedDeepgram",
    "SimulatedOpenAI",
    "SimulatedProviders",
    "simulated_cartesia",
    "simulated_deepgram",
    "simulated_openai",
    "simulated_providers",
]
