"""One item played to the server's table (`vantum.core.conversation`), offline.

Everything that judges is the server's own; what is simulated is the time that the models take, the
agent's playback, and that nobody answers: an answer that begins is over at once, unless the agent
speaks in the item. With `answer_s` an answer takes that long from the commit to its first sound, is
dropped if the caller goes on before, and is over when it has sounded.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Final, TypeAlias

from attrs import define, field, frozen

from benchmarks.recordings import RATE_HZ
from benchmarks.turns.hearing import DETECTION_S, FRAME_S, Hearing
from benchmarks.turns.items import AUDIBLE_S, ECHO_DELAY_S, Item
from vantum.config.turns import TurnSettings
from vantum.core import conversation as table
from vantum.core.audio import AudioFormat
from vantum.core.bargein import BargeIn
from vantum.core.barging import asks_sound, holds_answer
from vantum.core.decisions import (
    AskDetector,
    CancelResponse,
    Command,
    Conversation,
    Event,
    FirstAudio,
    FlushRecogniser,
    Limits,
    ResponseDone,
    RoleReady,
    StartResponse,
    Tick,
    TurnEnding,
)
from vantum.core.endpointing import CheckAnswered, Endpointing, EndpointingOptions
from vantum.core.events import InputOptions, Request, StartInput
from vantum.core.floor import Floor
from vantum.core.messages import EchoHeard, VoiceEdge
from vantum.core.own_voice import OwnVoice
from vantum.providers.local.vad import FRAME_BYTES, FRAME_SAMPLES

# How soon an answer that was stopped goes on, and how long a stop takes.
_RESUMES_S, _STOPS_S = 0.1, 0.002
_QUIET_FRAMES = 200
# The agent's audio leaves in pieces of this length, so far ahead.
LEAD_S: Final = 0.1
_LINE: Final = AudioFormat(RATE_HZ)
# How often an answer that is held back looks whether it still is.
_HELD_STEP_S = 0.01


@frozen
class Ended:
    """The policy called a turn over at `at_s`, `judged_s` before its last words were known."""

    at_s: float
    judged_s: float
    reason: str
    text: str


@frozen
class Stopped:
    """The agent was stopped."""

    at_s: float


@frozen
class Resumed:
    """It went on."""

    at_s: float


@frozen
class Sounded:
    """The first sound of what the agent says: an answer to a turn, or what goes on."""

    at_s: float


Happening: TypeAlias = Ended | Stopped | Resumed | Sounded


@define
class Play:
    """One item and one setting; `run` gives what happened, in order."""

    item: Item
    hearing: Hearing
    conversation: Conversation
    answer_s: float | None = None
    happened: list[Happening] = field(factory=list)
    _later: list[tuple[float, int, Event]] = field(factory=list)
    _count: int = 0
    _judged: tuple[float, str] = (0.0, "")
    _flushes: int = 0
    _heard_s: float = 0.0  # of the agent, before it was stopped last
    _audible_s: float | None = None
    _unheard: bytes = b""  # of an echo whose source has stopped
    own: OwnVoice | None = None
    _sent_s: float = 0.0  # of the agent's audio
    _said: int = 0  # samples of it, when it was stopped last

    @classmethod
    def of(
        cls,
        item: Item,
        hearing: Hearing,
        options: EndpointingOptions,
        barge: BargeIn,
        answer_s: float | None = None,
        *,
        knows_echo: bool = False,
    ) -> Play:
        """A fresh call. `knows_echo`: an echo is known by its sound, if it is known how the agent
        sounds."""
        limits = Limits(max_duration_s=1e6)
        conversation = Conversation(
            limits, 0.0, {}, endpointing=Endpointing(options), bargein=barge, greeting=item.agent
        )
        own = OwnVoice() if knows_echo and item.agent_pcm else None
        return cls(item, hearing, conversation, answer_s, own=own)

    def run(self) -> list[Happening]:
        """To the item's end."""
        language = InputOptions().language
        self._take(StartInput(Request(), InputOptions()), 0.0)
        self._take(RoleReady("stt", language), 0.0)
        self._take(RoleReady("tts"), 0.0)
        while self.hearing.frame < self.hearing.frames:
            now_s = self.hearing.now_s + FRAME_S
            self._until(now_s)
            at = self.hearing.frame * FRAME_BYTES
            found: Sequence[VoiceEdge | EchoHeard]
            found = edges = self.hearing.step()
            if self.own is not None:
                self._send_on(self.own, now_s)
                piece = self.hearing.pcm[at : at + FRAME_BYTES]
                likely = self.hearing.ear.probability
                found = self.own.hear(piece, _LINE, edges, likely, now_s)
            for sign in found:
                self._take(sign, now_s)
        self._until(self.hearing.now_s + 1)
        return self.happened

    # ------------------------------------------------------------ time

    def _until(self, now_s: float) -> None:
        """All that happens before this time, in order."""
        while True:
            wake_s = table.wake_at(self.conversation)
            later_s = self._later[0][0] if self._later else float("inf")
            due_s = self.hearing.next_s()
            next_s = min(wake_s, later_s, due_s)
            if next_s > now_s:
                return
            if due_s == next_s:
                for event in self.hearing.take_due(next_s):
                    if self.own is not None and asks_sound(self.conversation, event):
                        for echo in self.own.hear_words():
                            self._take(echo, next_s)
                    self._take(event, next_s)
            elif later_s == next_s:
                self._happen(heapq.heappop(self._later)[2], next_s)
            else:
                self._take(Tick(hearing=True), next_s)

    def _happen(self, event: Event, now_s: float) -> None:
        if not isinstance(event, FirstAudio):
            self._take(event, now_s)
            return
        turn = self.conversation.turn
        if turn is None or turn.number != event.turn:
            return  # it was dropped meanwhile
        if holds_answer(self.conversation):
            self._soon(now_s + _HELD_STEP_S, event)
            return
        self.happened.append(Sounded(now_s))
        if self.answer_s is None:
            self._take(event, now_s)
        else:
            self._step(event, now_s)
            self._soon(now_s, ResponseDone(event.turn))

    def _soon(self, at_s: float, event: Event) -> None:
        self._count += 1
        heapq.heappush(self._later, (at_s, self._count, event))

    def _take(self, event: Event, now_s: float) -> None:
        if self._audible_s is not None:
            heard_s = self._heard_s + now_s - self._audible_s
            words = tuple(self.item.agent.split())
            position = min(int(heard_s * self.item.agent_words_per_s), len(words))
            self._step(Floor(words, position, whole=True), now_s)
        if isinstance(event, FirstAudio):
            self._audible_s = now_s
            self._echo_on(now_s)
        self._step(event, now_s)

    def _step(self, event: Event, now_s: float) -> None:
        self.conversation, commands = table.step(self.conversation, event, now_s)
        for command in commands:
            self._carry_out(command, now_s)

    # ------------------------------------------------------------ an echo

    def _send_on(self, own: OwnVoice, now_s: float) -> None:
        """The agent's audio leaves a little ahead."""
        if self._audible_s is None:
            return
        begins_s = self._audible_s - self._heard_s  # as if it had never stopped
        while self._sent_s < now_s - begins_s + LEAD_S:
            at = 2 * round(self._sent_s * RATE_HZ)
            piece = self.item.agent_pcm[at : at + 2 * round(LEAD_S * RATE_HZ)]
            own.ours.add(piece, _LINE, begins_s + self._sent_s, now_s)
            self._sent_s += LEAD_S

    def _hush(self, now_s: float) -> None:
        """An echo ends with what it is the echo of, a moment later."""
        hearing, item = self.hearing, self.item
        at = hearing.frame * FRAME_BYTES
        if self.own is not None:
            self.own.ours.cut(now_s)
            self._sent_s = self._heard_s
        if item.track:
            self._said = round(self._heard_s * RATE_HZ)
            begin = max(self._said - round((now_s - hearing.now_s) * RATE_HZ), 0)
            end = self._said + round(item.delay_s * RATE_HZ)
            hearing.replace(item.mixed(at // 2, item.track[2 * begin : 2 * end], 0))
            return
        if item.role != "echo":
            return
        still = at + round(ECHO_DELAY_S / FRAME_S) * FRAME_BYTES
        self._unheard = hearing.pcm[still:]
        hearing.replace(hearing.pcm[at:still] + bytes(_QUIET_FRAMES * FRAME_BYTES))

    def _echo_on(self, now_s: float) -> None:
        item, hearing = self.item, self.hearing
        if item.track and self._said:
            delay = round(item.delay_s * RATE_HZ)
            rest = item.track[2 * (self._said + delay) :]
            late = round((now_s - hearing.now_s) * RATE_HZ)
            hearing.replace(item.mixed(hearing.frame * FRAME_SAMPLES, rest, delay + late))
        if self._unheard:
            silence = bytes(round(ECHO_DELAY_S / FRAME_S) * FRAME_BYTES)
            self.hearing.replace(silence + self._unheard)
            self._unheard = b""

    # ------------------------------------------------------------ commands

    def _carry_out(self, command: Command, now_s: float) -> None:
        match command:
            case FlushRecogniser(reason=reason):
                self._judged = now_s, reason
                self._flushes += 1
                self._step(TurnEnding(self._flushes), now_s)
                self.hearing.flush(self._flushes, now_s)
            case AskDetector(pause=pause):
                probability = self.hearing.complete()
                self._soon(now_s + DETECTION_S, CheckAnswered(pause, probability))
            case StartResponse(turn=turn) if turn.say:
                self._soon(now_s + AUDIBLE_S, FirstAudio(turn.number))
            case StartResponse(turn=turn) if turn.resumes:
                self.happened.append(Resumed(now_s))
                self._soon(now_s + _RESUMES_S, FirstAudio(turn.number))
            case StartResponse(turn=turn):
                self.happened.append(Ended(now_s, *self._judged, turn.text))
                if self.answer_s is None:
                    self._soon(now_s, ResponseDone(turn.number))
                else:
                    self._soon(now_s + self.answer_s, FirstAudio(turn.number))
            case CancelResponse(turn=turn):
                self.happened.append(Stopped(now_s))
                if self._audible_s is not None:
                    self._heard_s += now_s - self._audible_s
                    self._audible_s = None
                    self._hush(now_s)
                self._soon(now_s + _STOPS_S, ResponseDone(turn))
            case _:
                pass


def settings_options(settings: TurnSettings) -> EndpointingOptions:
    """The server's own options, with the detector."""
    return settings.endpointing(has_detector=True)
