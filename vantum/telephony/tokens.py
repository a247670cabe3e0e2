"""What a media stream has to show: a token that was given to this very call, once and lately.

Anybody can open a WebSocket here. Only Twilio is given a token, in the TwiML that answers a signed
request; it hands it back in the stream's start (as a `<Parameter>`: it drops query parameters). The
token says nothing by itself. It is a MAC over the call's data, which must come along unchanged.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from base64 import urlsafe_b64encode
from collections import OrderedDict
from collections.abc import Callable

from attrs import astuple, define, field, frozen

#: Streams of calls that are remembered as having begun. About 200 bytes each.
_REMEMBERED = 10_000
_PURPOSE = b"vantum: token of a media stream, 2"


@frozen
class CallData:
    """A call as Twilio names it, and as we do (`call_id`). `caller` and `called` are numbers or
    addresses. `stream_number`: a call that comes back to the agent has a further stream, which is
    its second, and so on."""

    call_sid: str
    account_sid: str
    caller: str = ""
    called: str = ""
    call_id: str = ""
    stream_number: int = 1


class TokenRefused(Exception):
    """The token is not good for this stream; says why, without the token."""


def _nonce() -> str:
    return secrets.token_urlsafe(12)


@define
class StreamTokens:
    """Gives tokens out and takes them back. One process's memory: a token is single-use within it.

    `secret` may be any text; `now_s` is the time of day, in seconds.
    """

    secret: str = field(repr=False)
    lifetime_s: float
    now_s: Callable[[], float]
    nonce: Callable[[], str] = _nonce
    _opened: OrderedDict[tuple[str, int], float] = field(
        factory=OrderedDict, init=False, repr=False
    )

    def issue(self, call: CallData) -> str:
        """A token for this call's stream."""
        expires, nonce = str(round(self.now_s() + self.lifetime_s)), self.nonce()
        return f"{expires}.{nonce}.{self._mac(expires, nonce, call)}"

    def redeem(self, token: str, call: CallData) -> None:
        """Let this call's stream begin, or raise `TokenRefused`."""
        expires, _, rest = token.partition(".")
        nonce, _, mac = rest.partition(".")
        wanted = self._mac(expires, nonce, call)
        # JSON can write half a surrogate pair, which UTF-8 cannot.
        if not hmac.compare_digest(mac.encode("utf-8", "backslashreplace"), wanted.encode()):
            raise TokenRefused("the token is missing, or not of this call")
        now_s = self.now_s()
        if now_s > int(expires):
            raise TokenRefused("the token has expired")
        stream = call.call_sid, call.stream_number
        if stream in self._opened:
            raise TokenRefused("the call has had its stream")
        self._opened[stream] = now_s
        # The oldest is forgotten, but not as long as its token could still be shown.
        while len(self._opened) > _REMEMBERED:
            oldest = next(iter(self._opened))
            if now_s - self._opened[oldest] <= self.lifetime_s:
                break
            del self._opened[oldest]

    def was_opened(self, call_sid: str) -> bool:
        """Whether this call has had its stream."""
        return (call_sid, 1) in self._opened

    def _mac(self, expires: str, nonce: str, call: CallData) -> str:
        key = hmac.digest(self.secret.encode(), _PURPOSE, hashlib.sha256)
        fields = [expires, nonce, *astuple(call)]
        digest = hmac.digest(key, json.dumps(fields).encode(), hashlib.sha256)
        return urlsafe_b64encode(digest).decode("ascii").rstrip("=")
