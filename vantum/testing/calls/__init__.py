"""The call simulator: whole conversations on a virtual clock, for your tests as well as ours.

See docs/how-to/test-a-conversation.md.
"""

from __future__ import annotations

from vantum.testing.calls.call import CallSetup, SimulatedCall, simulated_call
from vantum.testing.calls.caller import Caller
from vantum.testing.calls.ears import LoudnessEar
from vantum.testing.calls.line import Network, Stall
from vantum.testing.calls.log import CallLog
from vantum.testing.calls.phone import Phone
from vantum.testing.calls.virtual import simulate
from vantum.testing.calls.voice import Sound, cough, noise, recording, speech

__all__ = [
    "CallLog",
    "CallSetup",
    "Caller",
    "LoudnessEar",
    "Network",
    "Phone",
    "SimulatedCall",
    "Sound",
    "Stall",
    "cough",
    "noise",
    "recording",
    "simulate",
    "simulated_call",
    "speech",
]
