"""What Twilio is told to do in a transfer, as TwiML.

Sources: "<Dial>", https://www.twilio.com/docs/voice/twiml/dial; "<Number>",
https://www.twilio.com/docs/voice/twiml/number; "<Gather>",
https://www.twilio.com/docs/voice/twiml/gather; "<Conference>",
https://www.twilio.com/docs/voice/twiml/conference.
"""

from __future__ import annotations

import re
from typing import Final

from vantum.compliance.permit import DialPermit
from vantum.config.transfer import TransferSettings
from vantum.telephony.calls import Permits

#: What a model can write and XML cannot (XML 1.0, "Char"): Twilio would read nothing of it.
_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


async def dial(
    permits: Permits,
    permit: DialPermit,
    *,
    caller_id: str,
    ring_timeout_s: int,
    about: str,
    needs_key: bool,
) -> str:
    """For the caller: dial a colleague and connect them; the permit is redeemed for it.

    Args:
        about: where it is told what became of it, `/dialled` if the caller is still there, and
            `/dialled-status` of the colleague's call.
        needs_key: they are connected only if he presses 1: `/whisper` tells him so, while the
            caller hears it ring on.

    Raises:
        PermitRefused: he may not be called any more.
    """
    from twilio.twiml.voice_response import VoiceResponse

    await permits.redeem(permit)
    response = VoiceResponse()
    verb = response.dial(
        caller_id=caller_id,
        timeout=ring_timeout_s,
        action=f"{about}/dialled",
        method="POST",
        **({"answer_on_bridge": True} if needs_key else {}),
    )
    verb.number(
        permit.number,
        status_callback=f"{about}/dialled-status",
        status_callback_event="answered completed",
        **({"url": f"{about}/whisper", "method": "POST"} if needs_key else {}),
    )
    return str(response)


def question(settings: TransferSettings, language: str, summary: str, action: str) -> str:
    """For a colleague: the summary, if any, and whether he takes the call."""
    from twilio.twiml.voice_response import VoiceResponse

    response = VoiceResponse()
    gather = response.gather(
        num_digits=1,
        timeout=settings.accept_timeout_ms // 1000,
        action=action,
        method="POST",
    )
    if summary:
        gather.say(_NOT_XML.sub(" ", summary), language=language)
    gather.say(settings.accept_text, language=language)
    response.hangup()
    return str(response)


def conference(name: str, *, left: str = "") -> str:
    """Into a conference that ends with whoever leaves it. `left`: where that is told."""
    from twilio.twiml.voice_response import Dial, VoiceResponse

    verb = Dial(**({"action": left, "method": "POST"} if left else {}))
    verb.conference(name, start_conference_on_enter=True, end_conference_on_exit=True, beep="false")
    response = VoiceResponse()
    response.append(verb)
    return str(response)


def go_on() -> str:
    """Nothing more before what was to come: the two are connected."""
    from twilio.twiml.voice_response import VoiceResponse

    return str(VoiceResponse())


def hang_up(text: str = "", language: str = "") -> str:
    """Say the text, if any, and hang up."""
    from twilio.twiml.voice_response import VoiceResponse

    response = VoiceResponse()
    if text:
        response.say(text, language=language)
    response.hangup()
    return str(response)
