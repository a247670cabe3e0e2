"""A Twilio to test against, without an account and without a phone.

See docs/how-to/simulate-a-phone.md.
"""

from __future__ import annotations

from vantum.testing.calls.line import Network, Stall
from vantum.testing.calls.script import (
    Answered,
    Backchannel,
    Cough,
    HangUp,
    Hear,
    InterruptAfter,
    Noise,
    Pause,
    Play,
    Say,
    Silence,
)
from vantum.testing.memory import MemoryListener
from vantum.testing.twilio.call import PhoneCall
from vantum.testing.twilio.peer import SimulatedTwilio, simulated_twilio, twilio_in_memory
from vantum.testing.twilio.personas import (
    AnsweringMachine,
    Busy,
    Failed,
    NoAnswer,
    Person,
    Persona,
    Press,
    Rejects,
)
from vantum.testing.twilio.phone import SimulatedPhone, simulated_phone
from vantum.testing.twilio.script import Account, Callbacks, Line, RestFault, TwilioScript
from vantum.testing.twilio.stream import MediaStream

__all__ = [
    "Account",
    "Answered",
    "AnsweringMachine",
    "Backchannel",
    "Busy",
    "Callbacks",
    "Cough",
    "Failed",
    "HangUp",
    "Hear",
    "InterruptAfter",
    "Line",
    "MediaStream",
    "MemoryListener",
    "Network",
    "NoAnswer",
    "Noise",
    "Pause",
    "Person",
    "Persona",
    "PhoneCall",
    "Play",
    "Press",
    "Rejects",
    "RestFault",
    "Say",
    "Silence",
    "SimulatedPhone",
    "SimulatedTwilio",
    "Stall",
    "TwilioScript",
    "simulated_phone",
    "simulated_twilio",
    "twilio_in_memory",
]
