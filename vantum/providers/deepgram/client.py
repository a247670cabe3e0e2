"""Deepgram as a provider of recognisers. What happens in a call is in `recogniser`."""

from __future__ import annotations

import ssl

import trio
from attrs import define, field

from vantum.config import DeepgramSettings
from vantum.core.audio import AudioFormat
from vantum.ports import STT_RATE_HZ, Health
from vantum.providers.deepgram.connection import Access
from vantum.providers.deepgram.protocol import NAME, address, audio_for
from vantum.providers.deepgram.recogniser import DeepgramRecogniser
from vantum.providers.dialling import OpenStream


@define(eq=False)
class DeepgramProvider:
    """Deepgram for all sessions of a process (`ports.SpeechToTextProvider`).

    Args:
        settings: key, address, model and the rest.
        open_stream: opens the stream to a host and port, for tests and tunnels; None: as the
            environment says (`dial`).
        tls: for a server with a certificate of your own; None: the system's authorities.

    Raises:
        ValueError: the settings' address is not one.
    """

    settings: DeepgramSettings
    open_stream: OpenStream | None = None
    tls: ssl.SSLContext | None = None
    _access: Access = field(init=False)

    def __attrs_post_init__(self) -> None:
        address(self.settings, "en-US", AudioFormat(STT_RATE_HZ))
        self._access = Access(self.settings, self.open_stream, self.tls)

    @property
    def name(self) -> str:
        """Its name in the registry."""
        return NAME

    def health(self) -> Health:
        """From recent contacts only."""
        return self._access.contacts.health(trio.current_time())

    def takes(self, line: AudioFormat) -> AudioFormat:
        """A telephone's audio as it comes, unless the settings want PCM of it, too."""
        return audio_for(self.settings, line)

    def for_session(self, *, language: str, line: AudioFormat) -> DeepgramRecogniser:
        """A recogniser for one session. `language`: BCP 47, such as "en-US"."""
        return DeepgramRecogniser(self._access, language, self.takes(line))
