"""Cartesia synthesis: the provider, and one session's voice.

A session has one WebSocket, opened ahead and owned by `CartesiaSpeech.run`. Cartesia closes it
after five idle minutes and offers no free keep-alive message, so before that `run` opens a new one
and lets go of the old one: a caller never waits for it.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable
from functools import partial

import trio
from attrs import define, field, frozen
from uuid_utils import uuid7

from vantum.config import CartesiaSettings
from vantum.core.audio import AudioFormat
from vantum.core.backoff import TTS_RECONNECT, pause_s
from vantum.core.messages import TtsInput, TtsOutput
from vantum.core.spent import Spent
from vantum.errors import ProviderError
from vantum.observe.logs import get_log
from vantum.ports import Health, TextToSpeech
from vantum.providers.cartesia import protocol
from vantum.providers.cartesia.link import Link, hold_link
from vantum.providers.cartesia.protocol import Voicing
from vantum.providers.cartesia.speaking import Speaking
from vantum.providers.contacts import Contacts
from vantum.providers.dialling import OpenStream

_log = get_log("cartesia")

#: A connection that was lost sooner, without a word, is as good as none: the schedule goes on.
_PROVEN_S = 1.0

#: A renewal that failed is tried again after this; the old connection still works.
_RENEW_AGAIN_S = 15.0


def _new_context_id() -> str:
    return str(uuid7())


@frozen
class CartesiaProvider:
    """Cartesia for all sessions of the process.

    Args:
        settings: address, key, model, voice.
        open_stream: opens the stream to a host and port, for tests and tunnels, with TLS on top
            for https and wss; None: as the environment says (`dial`).
        tls: for a server with a certificate of your own; None: the system's authorities.
        new_context_id: gives ids that no other context of the account has at the moment.

    Raises:
        ConfigError: the address is not one.
    """

    settings: CartesiaSettings
    open_stream: OpenStream | None = field(default=None, repr=False)
    new_context_id: Callable[[], str] = field(default=_new_context_id, repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    _contacts: Contacts = field(factory=Contacts, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        protocol.target(self.settings.base_url, self.settings.version)

    @property
    def name(self) -> str:
        """Its name in the registry."""
        return protocol.NAME

    def health(self) -> Health:
        """From the last contacts of all sessions."""
        return self._contacts.health(trio.current_time())

    def _note(self, error: ProviderError | None) -> None:
        if error is None:
            self._contacts.success()
        else:
            self._contacts.failure(error, trio.current_time())

    def for_session(self) -> TextToSpeech:
        """A voice for one session."""
        return CartesiaSpeech(
            settings=self.settings,
            open_stream=self.open_stream,
            tls=self.tls,
            new_context_id=self.new_context_id,
            note=self._note,
        )


@define(eq=False)
class CartesiaSpeech:
    """One session's voice; see `vantum.ports.TextToSpeech`."""

    settings: CartesiaSettings
    open_stream: OpenStream | None = field(repr=False)
    tls: ssl.SSLContext | None = field(repr=False)
    new_context_id: Callable[[], str] = field(repr=False)
    note: Callable[[ProviderError | None], None] = field(repr=False)
    spent: Spent = field(factory=Spent, init=False)
    #: The connection to use; None while there is none.
    link: Link | None = field(default=None, init=False)
    _changed: trio.Event = field(factory=trio.Event, init=False)
    _wanted: trio.Event = field(factory=trio.Event, init=False)
    _failures: int = field(default=0, init=False)
    _last_error: ProviderError | None = field(default=None, init=False)
    _over: bool = field(default=False, init=False)

    def rate_hz(self, line: AudioFormat) -> int:
        """8 kHz for a telephone, else 16: it is asked for at that rate."""
        return protocol.audio_for(line).rate_hz

    # ------------------------------------------------------------ the connection's owner

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Own the session's connection until cancelled.

        Raises:
            ProviderError: the first connection could not be made, after the schedule.
        """
        error: ProviderError | None = None
        try:
            async with trio.open_nursery() as nursery:
                try:
                    self._set(await self._dial(nursery, (0.0, *TTS_RECONNECT)))
                except ProviderError as exc:
                    error = exc
                else:
                    task_status.started()
                    await self._own(nursery)
                nursery.cancel_scope.cancel()
        finally:
            self._over = True
            self._set(None)
        if error is not None:
            raise error

    async def _own(self, nursery: trio.Nursery) -> None:
        tried = -1  # to connect again, without a connection that was of use
        while True:
            link, error = self.link, None
            if link is None:
                tried = 0
                await self._wanted.wait()
            elif not await self._lost_before_renewal(link):
                await self._renew(nursery, link)
                continue
            else:
                _log.warning("connection lost", error=str(link.error))
                self.note(error := link.error)
                proven = trio.current_time() - link.opened_s >= _PROVEN_S or link.spoke
                tried = 0 if proven else tried + 1
            self._set(None)
            try:
                self._set(await self._dial(nursery, TTS_RECONNECT.delays_s[tried:], error))
            except ProviderError as failure:
                _log.error("no connection", error=str(failure))
                self._failures += 1
                self._last_error = failure
                self._wanted = trio.Event()
                self._set(None)

    async def _lost_before_renewal(self, link: Link) -> bool:
        """Wait until the link is lost (true) or has been idle for long (false)."""
        idle_s = self.settings.renew_ms / 1000
        while not link.lost.is_set():
            if link.busy:
                link.last_used_s = trio.current_time()
            elif trio.current_time() >= link.last_used_s + idle_s:
                return False
            with trio.move_on_at(link.last_used_s + idle_s):
                await link.lost.wait()
        return True

    async def _renew(self, nursery: trio.Nursery, old: Link) -> None:
        try:
            fresh = await self._dial(nursery, (0.0,))
        except ProviderError as error:
            _log.warning("connection not renewed", error=str(error))
            with trio.move_on_after(_RENEW_AGAIN_S):
                await old.lost.wait()
            return
        self._set(fresh)
        old.retire()

    async def _dial(
        self,
        nursery: trio.Nursery,
        delays_s: Iterable[float],
        error: ProviderError | None = None,
    ) -> Link:
        """`error`: why it has to; raised if there is no delay left."""
        settings = self.settings
        hold = partial(
            hold_link,
            protocol.target(settings.base_url, settings.version),
            settings.api_key,
            self.open_stream,
            settings.connect_timeout_ms / 1000,
            tls=self.tls,
        )
        for delay_s in delays_s:
            await trio.sleep(pause_s(delay_s, error))
            try:
                link: Link = await nursery.start(hold)
            except ProviderError as exc:
                # Each by itself: one that hangs takes seconds, in which nothing else tells of it.
                _log.warning("an attempt to connect failed", error=str(exc))
                self.note(exc)
                error = exc
                if not exc.retryable:
                    break
            else:
                self.note(None)
                return link
        raise error or ProviderError(protocol.NAME, "network", "there was no attempt to connect")

    def _set(self, link: Link | None) -> None:
        self.link = link
        self._changed.set()
        self._changed = trio.Event()

    async def connected(self) -> Link:
        """The connection, waiting for it while it is being mended.

        Raises:
            ProviderError: the reconnect schedule is used up. Asking again starts a new one.
        """
        failures = self._failures
        while self.link is None or self.link.lost.is_set():
            if self._over:
                raise ProviderError(protocol.NAME, "network", "the session has no connection")
            if self._failures != failures and self._last_error is not None:
                raise self._last_error
            self._wanted.set()
            await self._changed.wait()
        return self.link

    # ------------------------------------------------------------ answers

    async def synthesize(
        self,
        piece_rx: trio.MemoryReceiveChannel[TtsInput],
        speech_tx: trio.MemorySendChannel[TtsOutput],
        *,
        voice_id: str | None,
        language: str,
        line: AudioFormat,
    ) -> None:
        """Speak one answer; see `vantum.ports.TextToSpeech.synthesize`.

        Raises:
            ProviderError: not even retries and reconnects helped, or they could not.
        """
        voicing = Voicing(
            model=self.settings.model,
            voice_id=voice_id or self.settings.voice_id,
            language=protocol.language_code(language),
            audio=protocol.audio_for(line),
        )
        speaking = Speaking(self, voicing, self.new_context_id)
        try:
            await speaking.run(piece_rx, speech_tx)
        except ProviderError as error:
            self.note(error)
            raise
        else:
            self.note(None)
        finally:
            speaking.close()
