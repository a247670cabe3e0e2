"""The call simulator: whole conversations on a virtual clock, for your tests as well as ours.

See docs/how-to/test-a-conversation.md.
"""

from __future__ import annotations

from vantum.testing.calls.call import CallSetup, SimulatedCall, coarse, simulated_call, turn_by_turn
from vantum.testing.calls.caller import Caller
from vantum.testing.calls.ears import LoudnessEar
from vantum.testing.calls.line import Network, Stall
from vantum.testing.calls.log import CallLog
from vantum.testing.calls.loudspeaker import Speakerphone
from vantum.testing.calls.phone import CallOver, Phone
from vantum.testing.calls.script import (
    Answered,
    Backchannel,
    Cough,
    EndCall,
    EndTurn,
    HangUp,
    Hear,
    HearWord,
    InterruptAfter,
    LoseConnection,
    Mute,
    Noise,
    Pause,
    Play,
    PressInterrupt,
    Say,
    Silence,
    Step,
    StopReading,
    perform,
    run_call,
)
from vantum.testing.calls.virtual import simulate
from vantum.testing.calls.voice import Sound, cough, noise, recording, speech

__all__ = [
    "Answered",
    "Backchannel",
    "CallLog",
    "CallOver",
    "CallSetup",
    "Caller",
    "Cough",
    "EndCall",
    "EndTurn",
    "HangUp",
    "Hear",
    "HearWord",
    "InterruptAfter",
    "LoseConnection",
    "LoudnessEar",
    "Mute",
    "Network",
    "Noise",
    "Pause",
    "Phone",
    "Play",
    "PressInterrupt",
    "Say",
    "Silence",
    "SimulatedCall",
    "Sound",
    "Speakerphone",
    "Stall",
    "Step",
    "StopReading",
    "coarse",
    "cough",
    "noise",
    "perform",
    "recording",
    "run_call",
    "simulate",
    "simulated_call",
    "speech",
    "turn_by_turn",
]
