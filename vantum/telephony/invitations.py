"""The TwiML that connects a call with its agent: a media stream of this very process, and the token
that it has to show.

Source: "TwiML Voice: <Stream>", https://www.twilio.com/docs/voice/twiml/stream.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import attrs
from attrs import frozen
from starlette.exceptions import HTTPException

from vantum.config.telephony import TwilioSettings
from vantum.telephony.lifecycle import CALLS_PATH
from vantum.telephony.live import LiveCall
from vantum.telephony.signatures import Form, value
from vantum.telephony.tokens import CallData, StreamTokens

STREAM_PATH: Final = "/twilio/stream"
#: Name and value of a `<Parameter>` are under 500 characters together.
_MAX_PARAMETER_CHARS: Final = 450


@frozen
class Invitations:
    """How calls come to the agents of this process. `label`: this process's."""

    tokens: StreamTokens
    label: str

    @classmethod
    def of(cls, settings: TwilioSettings, label: str, now_s: Callable[[], float]) -> Invitations:
        """By these settings; `now_s` is the time of day, in seconds."""
        secret = (settings.stream_secret or settings.auth_token).reveal()
        return cls(StreamTokens(secret, settings.token_lifetime_ms / 1000, now_s), label)

    @property
    def stream_path(self) -> str:
        """Where this process takes media streams."""
        return f"{STREAM_PATH}/{self.label}"

    def connect(self, call: CallData, live: LiveCall, base_url: str) -> str:
        """TwiML that connects a call with its agent. `base_url`: where Twilio reaches us by HTTP,
        without a slash at the end."""
        from twilio.twiml.voice_response import Connect, VoiceResponse

        connect = Connect()
        call = attrs.evolve(call, call_id=live.id, stream_number=live.stream_number)
        stream = connect.stream(
            url=f"ws{base_url.removeprefix('http')}{self.stream_path}",
            status_callback=f"{base_url}{CALLS_PATH}/{live.id}/stream-status",
        )
        stream.parameter(name="token", value=self.tokens.issue(call))
        stream.parameter(name="call", value=live.id)
        stream.parameter(name="from", value=call.caller)
        stream.parameter(name="to", value=call.called)
        response = VoiceResponse()
        response.append(connect)
        return str(response)


def call_data(form: Form) -> CallData:
    """The call that one of Twilio's requests is about; HTTP 400 if it does not say."""
    call = CallData(
        value(form, "CallSid"),
        value(form, "AccountSid"),
        value(form, "From")[:_MAX_PARAMETER_CHARS],
        value(form, "To")[:_MAX_PARAMETER_CHARS],
    )
    if not call.call_sid or not call.account_sid:
        raise HTTPException(400, "CallSid and AccountSid are missing")
    return call
