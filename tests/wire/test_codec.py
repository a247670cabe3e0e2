"""The native protocol as a codec: the same bytes, and its own session only."""

from __future__ import annotations

import pytest

from vantum.core import events as e
from vantum.wire.client import encode_client
from vantum.wire.codec import NativeCodec
from vantum.wire.fields import ProtocolError
from vantum.wire.native import encode


def test_it_is_the_native_protocol() -> None:
    codec = NativeCodec("voicechat", "s", lambda: "id")
    assert codec.name == "voicechat"
    assert not codec.unheard
    for message in (e.OutputChunk("u", b"ab", 8000), e.StateChanged("LISTENING", "THINKING", 1)):
        assert codec.encode(message) == encode(
            message, vocabulary="voicechat", session_id="s", new_id=lambda: "id"
        )
    sent = e.Mute(e.Request(None, "r"), True)
    heard = codec.decode(encode_client(sent, vocabulary="unified", session_id="s"))
    assert isinstance(heard, e.Mute)


def test_another_session_is_refused() -> None:
    codec = NativeCodec("unified", "s", lambda: "id")
    data = encode_client(e.EndInput(e.Request(None, "r")), vocabulary="unified", session_id="t")
    with pytest.raises(ProtocolError) as caught:
        codec.decode(data)
    assert caught.value.case == "wrong_session"
    assert caught.value.request.event_id == "r"
