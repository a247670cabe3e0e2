"""One session's recogniser: one WebSocket per session, opened ahead, replaced when it is lost.

Tasks of a session, and what they share (`_Recogniser`, all in one thread):

- *input* takes audio and flushes from the session into the timeline, connected or not. While
  connected it stops at half the ring: audio that comes faster than it can be sent has to wait in
  front of the recogniser, where what is dropped is told to the client.
- events are handed on without waiting for the session, so nothing can be held up by it. What it has
  no room for waits, but what Deepgram says of real-time audio is bounded: a few events a second. A
  session that takes none of them has ended or is about to.
- *keeper* connects, reconnects and gives up.
- per connection: *reader*, *writer* and *clock*.

The writer sends what the timeline has: audio at once when the socket is idle, and what has
gathered meanwhile (up to 250 ms) in one message when it was busy.

A half-dead peer is noticed, too, and is a loss like any other (`patience`).
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import trio

from vantum.channels import Each, Spill
from vantum.core.audio import AudioFormat
from vantum.core.backoff import FIRST_CONNECT, MID_CALL_RECONNECT
from vantum.core.messages import SttAudio, SttBehind, SttEvent, SttFlush, SttFlushed, SttInput
from vantum.core.spent import Spent
from vantum.errors import ProviderError
from vantum.observe.logs import get_log
from vantum.providers.deepgram.connection import Access, Connection, open_connection
from vantum.providers.deepgram.flushes import Flushes
from vantum.providers.deepgram.pace import MOST_S, Pace
from vantum.providers.deepgram.patience import Patience
from vantum.providers.deepgram.protocol import (
    CLOSE_STREAM,
    FINALIZE,
    KEEP_ALIVE,
    NAME,
    Ignored,
    Message,
    PeerError,
    Results,
    UtteranceEnd,
    VoiceStarted,
    address,
    parse,
)
from vantum.providers.deepgram.retries import Retries
from vantum.providers.deepgram.timeline import Timeline

_log = get_log(NAME)

#: Deepgram advises messages of 20 to 250 ms.
_LARGEST_MESSAGE_S = 0.25
#: Longer than any hiccup, shorter than the default ring.
_SEND_DEADLINE_S = 5.0
#: From CloseStream to the end, when the input is over and last words may come; and for the
#: CloseStream itself when the call is cancelled.
_FAREWELL_S = 1.0
#: A connection that lived so long, or brought a final result, starts the schedule anew.
_PROVEN_S = 1.0
#: KeepAlive alone does not keep a connection on which there never was audio: so much silence does.
_SILENCE_S: Final = 0.02

_ConnectionTask: TypeAlias = Callable[[Connection], Awaitable[None]]


class DeepgramRecogniser:
    """One session's recogniser (`ports.SpeechToText`). A further `run` goes on where one failed."""

    def __init__(self, access: Access, language: str, audio: AudioFormat) -> None:
        settings = access.settings
        self.spent = Spent()
        self._audio = audio
        self._access = access
        self._contacts = access.contacts
        self._address = address(settings, language, audio)
        self._keepalive_s = settings.keepalive_ms / 1000
        self._ring = round(settings.ring_s * audio.rate_hz)
        self._timeline = Timeline(audio, self._ring)
        self._patience = Patience(settings.ring_s)
        self._flushes = Flushes(audio.rate_hz)
        self._pace = Pace()
        self._work = trio.lowlevel.ParkingLot()  # the writer's
        self._alarm = trio.lowlevel.ParkingLot()  # the clock's
        self._room = trio.lowlevel.ParkingLot()  # the input's
        self._most_unsent = self._timeline.samples(settings.ring_s / 2)
        self._connected = False
        self._input_over = False
        self._keepalive_due = False
        self._connecting: trio.CancelScope | None = None
        self._events: Spill[SttEvent]  # to the session, as long as it runs

    @property
    def unheard_s(self) -> float:
        """Seconds of audio that it holds and that no final result covers: see `ports.Resumable`."""
        return self._timeline.unheard / self._audio.rate_hz

    @property
    def lost_s(self) -> float:
        """Seconds of audio that no recognition covered, because the ring was too short for them."""
        return self._timeline.lost / self._audio.rate_hz

    async def run(
        self,
        input_rx: trio.MemoryReceiveChannel[SttInput],
        event_tx: trio.MemorySendChannel[SttEvent],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Recognise until cancelled or until `input_rx` ends; see `ports.SpeechToText`.

        Raises:
            ProviderError: Deepgram cannot be reached, or refuses for good.
        """
        failure: ProviderError | None = None
        async with trio.open_nursery() as nursery:
            self._events = Spill(event_tx, nursery)  # which hangs up when nobody listens any more
            taking = trio.CancelScope()
            nursery.start_soon(self._take_input, input_rx, taking)
            try:
                await self._keep_connected(task_status)
            except ProviderError as error:
                failure = error
                # What is known is said before it is given up, and not said again by a further run.
                self._emit(self._timeline.promote_interim())
                taking.cancel()
        if failure is not None:
            raise failure

    # ------------------------------------------------------------ to and from the session

    async def _take_input(
        self, input_rx: trio.MemoryReceiveChannel[SttInput], scope: trio.CancelScope
    ) -> None:
        timeline = self._timeline
        with scope:
            async for item in Each(input_rx):
                match item:
                    case SttAudio(audio):
                        while self._connected and self._is_behind:
                            await self._room.park()
                        timeline.hear(audio)
                    case SttFlush(flush_id):
                        self._flushes.ask(flush_id, timeline.heard, silent=timeline.is_silent())
                        self._emit_flushed(self._flushes.covered(timeline.known))
                        if not self._connected:
                            self._ask_for_patience()
                self._work.unpark_all()
        if scope.cancelled_caught:
            return
        self._input_over = True
        self._work.unpark_all()
        if self._connecting is not None:
            self._connecting.cancel()

    @property
    def _is_behind(self) -> bool:
        return self._timeline.heard - self._timeline.sent > self._most_unsent

    def _emit(self, events: list[SttEvent]) -> None:
        for event in events:
            self._events.send(event)

    def _ask_for_patience(self) -> None:
        """Nobody hears what was said: half of it would be answered, and the rest be passed over."""
        self._emit([SttBehind(flush_id, MOST_S) for flush_id in self._flushes.unheard()])

    def _emit_flushed(self, flush_ids: list[int]) -> None:
        for flush_id in flush_ids:
            self._events.send(SttFlushed(flush_id))

    # ------------------------------------------------------------ connecting

    async def _keep_connected(self, task_status: trio.TaskStatus[None]) -> None:
        retries, error, first = Retries(FIRST_CONNECT), None, True
        while not self._input_over:
            connection = await self._connect(retries, error)
            if connection is None:
                return
            self._timeline.connect()
            if first:
                task_status.started()
            else:
                _log.info("reconnected", lost_s=self.lost_s)
            opened_at, covered = trio.current_time(), self._timeline.covered
            try:
                error = await self._use(connection)
            finally:
                await connection.cut()
            if error is None:
                return
            self._contacts.failure(error, trio.current_time())
            _log.warning("connection lost", error=error.message)
            proven = (
                trio.current_time() - opened_at >= _PROVEN_S or self._timeline.covered > covered
            )
            if first or proven:
                retries = Retries(MID_CALL_RECONNECT)
            first = False

    async def _connect(self, retries: Retries, error: ProviderError | None) -> Connection | None:
        """An open connection; None if the input ended meanwhile. ProviderError: given up."""
        with trio.CancelScope() as self._connecting:
            while True:
                delay_s = retries.delay_s(error)
                if delay_s is None and error is not None:
                    raise error
                await trio.sleep(delay_s or 0)
                try:
                    return await open_connection(self._address, self._access)
                except ProviderError as failure:
                    error = failure
                    self._contacts.failure(failure, trio.current_time())
                    _log.warning("no connection", error=failure.message)
        return None

    # ------------------------------------------------------------ one connection

    async def _use(self, connection: Connection) -> ProviderError | None:
        """Talk until the connection is lost (why) or the input has ended (None)."""
        self._keepalive_due, self._connected, self._pace = False, True, Pace()
        self._patience.heard(0.0, trio.current_time())
        lost: list[ProviderError] = []

        async def until_lost(task: _ConnectionTask) -> None:
            try:
                await task(connection)
            except ProviderError as error:
                lost.append(error)
            nursery.cancel_scope.cancel()

        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(until_lost, self._read)
                nursery.start_soon(until_lost, self._write)
                nursery.start_soon(until_lost, self._watch)
        finally:
            self._connected = False
            self._room.unpark_all()
            self._flushes.disconnected()
            self._ask_for_patience()
            if not lost and not self._input_over:
                with trio.move_on_after(_FAREWELL_S, shield=True):
                    await self._say_goodbye(connection)
        # After CloseStream the peer closes, and that is no loss.
        return None if self._input_over else lost[0]

    async def _say_goodbye(self, connection: Connection) -> None:
        if connection.whole:
            try:
                await connection.send(CLOSE_STREAM)
            except ProviderError as error:
                _log.debug("hung up on a lost connection", error=error.message)

    async def _read(self, connection: Connection) -> None:
        while True:
            message = await connection.receive()
            self._patience.heard(self._sent_s, trio.current_time())
            self._understand(parse(message))

    def _understand(self, message: Message) -> None:
        timeline, flushes = self._timeline, self._flushes
        match message:
            case Results():
                events = timeline.results(message)
                if self._patience.in_doubt and timeline.is_again(events):
                    self._patience.was_right()
                self._emit(events)
                if timeline.capacity > self._ring and timeline.unheard <= self._ring // 2:
                    timeline.capacity = self._ring
                if message.from_finalize:
                    self._contacts.success()
                    self._emit_flushed(flushes.answered(timeline.position(message.end_s)))
                if message.is_final and flushes:
                    self._emit_flushed(flushes.covered(timeline.known))
            case VoiceStarted():
                self._emit(timeline.voice_started(message))
            case UtteranceEnd():
                self._emit(timeline.utterance_end(message))
            case PeerError(variant):
                _log.warning("it did not understand a message", variant=variant)
            case Ignored(why):
                _log.debug("message ignored", why=why)

    async def _write(self, connection: Connection) -> None:
        timeline, flushes = self._timeline, self._flushes
        most = timeline.samples(_LARGEST_MESSAGE_S)
        while True:
            until = flushes.next_position() if flushes else None
            if audio := timeline.take(most, until):
                self._pace.sent(self._audio.duration_s(audio), trio.current_time())
                if timeline.sent == until:
                    self._expect_answer()  # first: it may come before this task runs again
                    await connection.send(audio, FINALIZE)
                else:
                    await connection.send(audio)
                self._sent(audio)
                self._room.unpark_all()
            elif until is not None:
                self._expect_answer()
                await connection.send(FINALIZE)
            elif self._input_over:
                await connection.send(CLOSE_STREAM)
                await trio.sleep(_FAREWELL_S)
                return
            elif self._keepalive_due:
                await self._keep_alive(connection)
            else:
                await self._work.park()

    def _sent(self, audio: bytes) -> None:
        """It is paid for, be it for the second time."""
        self.spent.heard_s += self._audio.duration_s(audio)

    def _expect_answer(self) -> None:
        limit_s, now = self._access.settings.finalize_timeout_ms / 1000, trio.current_time()
        silent = self._flushes.next_is_silent()
        asked = self._flushes.sent(now + self._pace.answer_s(limit_s, now, silent=silent))
        if asked is not None and not silent and (behind_s := self._pace.behind_s(now)):
            self._emit([SttBehind(asked, behind_s)])
        self._alarm.unpark_all()

    async def _keep_alive(self, connection: Connection) -> None:
        self._keepalive_due = False
        if self._timeline.connection_samples == 0:
            silence = self._audio.silence(self._audio.bytes_in(_SILENCE_S))
            self._timeline.pad(self._timeline.samples(_SILENCE_S))
            await connection.send(silence)
            self._sent(silence)
        else:
            await connection.send(KEEP_ALIVE)

    async def _watch(self, connection: Connection) -> None:
        """Deadlines: of sends, of answers, of silence in both directions."""
        while True:
            now = trio.current_time()
            due = now + _SEND_DEADLINE_S
            if (since := connection.sending_since) is not None:
                if now >= since + _SEND_DEADLINE_S:
                    raise ProviderError(NAME, "network", "it stopped reading")
                due = min(due, since + _SEND_DEADLINE_S)
            elif now >= connection.last_sent + self._keepalive_s:
                self._keepalive_due = True
                self._work.unpark_all()
                due = min(due, now + self._keepalive_s)
            else:
                due = min(due, connection.last_sent + self._keepalive_s)
            hung_at = self._patience.hung_at(self._sent_s, now)
            if now >= hung_at:
                self._patience.hung()
                self._timeline.capacity = 2 * self._ring
                raise ProviderError(NAME, "timeout", "it stopped answering")
            due = min(due, hung_at)
            if self._turn_went_unheard(now):
                raise ProviderError(NAME, "timeout", "it did not answer the end of a turn")
            self._give_up_flushes(now)
            with trio.move_on_at(min(due, self._flushes.next_deadline() or math.inf)):
                await self._alarm.park()

    def _turn_went_unheard(self, now: float) -> bool:
        turn = self._flushes.unanswered_turn(now)
        if turn is None:
            return False
        began, ended = turn
        return self._patience.is_deaf(
            self._sent_s,
            (ended - began) / self._audio.rate_hz,
            has_words=self._timeline.is_final_since(began),
        )

    @property
    def _sent_s(self) -> float:
        """Seconds of audio that the current connection was sent."""
        return self._timeline.connection_samples / self._audio.rate_hz

    def _give_up_flushes(self, now: float) -> None:
        for overdue in self._flushes.overdue(now):
            promoted = self._timeline.promote_interim()
            self._timeline.close_utterance()
            self._emit(promoted)
            complete = overdue.silent and not promoted
            self._events.send(SttFlushed(overdue.flush_id, complete))
