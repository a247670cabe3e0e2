"""Replay: play recordings to a server as a caller would, and measure what comes back.

Audio goes out in real time (or `speed` times as fast). When a recording is over the caller falls
silent and listens to the whole answer; then comes the next recording, in the same call.

A turn ends by `audio.input.end` ("manual"), as with a button, or the caller just stays on the line
in silence until the server finds that it has finished ("auto").
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import trio
from attrs import define, evolve, field, frozen

from vantum.client import Client, ClientError
from vantum.core import events as e
from vantum.core.audio import SAMPLE_BYTES, Wav, read_wav, write_wav
from vantum.core.resampling import MAX_HZ, MIN_HZ, Resampler
from vantum.errors import first_error

#: Length of the messages at the speed of life. Faster speech comes in longer ones: the number of
#: messages per second, which servers limit, stays the same.
FRAME_MS = 20
#: A caller gives up if nothing at all comes for so long.
STALLED_S = 90.0
#: When the recording is over and not a word was recognised, how long to wait for one.
NO_WORDS_S = 10.0
#: In "auto", silence after an answer until the caller takes it to be the last one.
SETTLED_S = 2.0
#: A recording at a lower rate holds no speech that could be understood.
_LEAST_HZ = 1000


@frozen
class Recording:
    """A caller's voice at a rate that the protocol takes, and its file's if that is another."""

    name: str
    wav: Wav
    file_rate_hz: int | None = None


@define
class Turn:
    """What one recording led to.

    Times are seconds after the last audio of the recording, negative before it, None if the event
    did not come. `answer` is the answer's audio, 16-bit mono PCM at `rate_hz`.

    Attributes:
        final_s: the last words of the caller were recognised.
        thought_s: the model's first token.
        speech_s: the first audio of the answer.
        complete_s: the last audio of the answer.
        errors: what the server complained about.
        latencies: where the server says that the time went, for each answer.
    """

    name: str
    rate_hz: int
    transcript: str = ""
    text: str = ""
    is_fallback: bool = False
    answer: bytearray = field(factory=bytearray)
    final_s: float | None = None
    thought_s: float | None = None
    speech_s: float | None = None
    complete_s: float | None = None
    errors: list[str] = field(factory=list)
    latencies: list[e.LatencyMeasured] = field(factory=list)

    @property
    def answer_s(self) -> float:
        """Length of the answer's audio."""
        return len(self.answer) / (SAMPLE_BYTES * self.rate_hz)

    @property
    def is_answered(self) -> bool:
        """Whether the model's own answer was spoken, not a fallback."""
        return bool(self.answer) and not self.is_fallback


# ---------------------------------------------------------------- what is to be seen meanwhile


@frozen
class Speaking:
    """So much of the recording has been sent, 0..1."""

    part: float


@frozen
class Listening:
    """So much of the answer has arrived."""

    answer_s: float


@frozen
class Interim:
    """A guess at what the caller is saying."""

    text: str


@frozen
class Said:
    """`who` ("caller", "agent" or "server") said something that stays."""

    who: str
    text: str


News: TypeAlias = Speaking | Listening | Interim | Said
Show: TypeAlias = Callable[[News], None]


def show_nothing(news: News) -> None:
    """Nobody is looking."""


# ---------------------------------------------------------------- files


def load_recording(path: Path) -> Recording:
    """Read a WAV file as a caller's voice; a rate beyond the protocol's is doubled or halved.

    Raises:
        ClientError: it cannot be read or holds no speech; says why.
    """
    try:
        wav = read_wav(path.read_bytes())
    except OSError as error:
        raise ClientError(f"{path}: cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise ClientError(f"{path}: {error}") from error
    if not wav.pcm:
        raise ClientError(f"{path}: holds no audio")
    if wav.sample_rate_hz < _LEAST_HZ:
        rate = f"{wav.sample_rate_hz} Hz"
        raise ClientError(
            f"{path}: {rate} is too low for speech; at least {_LEAST_HZ} Hz is allowed"
        )
    if MIN_HZ <= wav.sample_rate_hz <= MAX_HZ:
        return Recording(path.name, wav)
    return Recording(path.name, _within_rates(wav), wav.sample_rate_hz)


def _within_rates(wav: Wav) -> Wav:
    """The same sound at a rate that the protocol takes."""
    rate_hz, pcm = wav.sample_rate_hz, wav.pcm
    # The filter depends on the ratio alone, so any pair of rates with this ratio does.
    while rate_hz > MAX_HZ:
        pcm, rate_hz = _converted(pcm, Resampler(MAX_HZ, MAX_HZ // 2)), round(rate_hz / 2)
    while rate_hz < MIN_HZ:
        pcm, rate_hz = _converted(pcm, Resampler(MIN_HZ, MIN_HZ * 2)), rate_hz * 2
    return Wav(pcm, rate_hz)


def _converted(pcm: bytes, resampler: Resampler) -> bytes:
    return resampler.feed(pcm) + resampler.finish()


def make_directory(directory: Path) -> None:
    """Make it if it is not there: better before the call than after it.

    Raises:
        ClientError: it cannot be made.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ClientError(f"{directory}: cannot be made: {error.strerror or error}") from error


def save_answer(turn: Turn, directory: Path, number: int) -> Path:
    """Write the answer as a WAV file into a directory; returns the file's path.

    Raises:
        ClientError: it cannot be written.
    """
    path = directory / f"{number:02d}-{Path(turn.name).stem}-answer.wav"
    try:
        path.write_bytes(write_wav(bytes(turn.answer), turn.rate_hz))
    except OSError as error:
        raise ClientError(f"{path}: cannot be written: {error.strerror or error}") from error
    return path


# ---------------------------------------------------------------- one turn


async def replay_turn(
    client: Client,
    recording: Recording,
    *,
    voice_id: str | None = None,
    turn_detection: e.TurnDetection = "manual",
    speed: float = 1.0,
    show: Show = show_nothing,
) -> Turn:
    """Speak one recording and listen to its answer until it has been heard.

    Returns also if there is no answer: `Turn.is_answered` tells.

    Args:
        voice_id: for the answer; None: the server's.
        speed: how many times faster than in life the recording is spoken.
        show: gets what happens while it happens.

    Raises:
        ClientError: the server refused, hung up, or did not answer in time.
    """
    wav, auto = recording.wav, turn_detection == "auto"
    turn = Turn(recording.name, wav.sample_rate_hz)
    await client.start(
        e.InputOptions(
            sampling_rate_hz=wav.sample_rate_hz,
            voice_id=voice_id,
            turn_detection=turn_detection,
            latency=True,
        )
    )
    hearing = _Hearing(client, turn, auto, show)
    failure: ClientError | None = None
    try:
        async with trio.open_nursery() as nursery:

            async def talk() -> None:
                await speak(client, wav, speed=speed, progress=lambda part: show(Speaking(part)))
                hearing.fell_silent()
                if not auto:
                    await client.end()
                while auto:
                    await speak(client, evolve(wav, pcm=bytes(len(wav.pcm))), speed=speed)

            nursery.start_soon(talk)
            await hearing.listen()
            nursery.cancel_scope.cancel()
    except* ClientError as group:
        # Both sides notice a hang-up; it is one.
        failure = first_error(group)
    if failure is not None:
        raise failure
    hearing.take_times()
    return turn


async def speak(
    client: Client,
    wav: Wav,
    *,
    speed: float = 1.0,
    progress: Callable[[float], None] = lambda part: None,
) -> None:
    """Send audio at the pace of speech; `progress` gets the part done, 0..1.

    On absolute deadlines: a late frame delays no other.
    """
    frame = math.ceil(speed) * wav.sample_rate_hz * FRAME_MS // 1000 * SAMPLE_BYTES
    started_s = trio.current_time()
    for at in range(0, len(wav.pcm), frame):
        piece = wav.pcm[at : at + frame]
        # A frame is complete, and can leave, when its last sample was spoken.
        spoken_s = (at + len(piece)) / SAMPLE_BYTES / wav.sample_rate_hz / speed
        await trio.sleep_until(started_s + spoken_s)
        await client.send_audio(piece)
        progress((at + len(piece)) / len(wav.pcm))


_Begun: TypeAlias = e.StateChanged | e.ResponseStarted | e.ResponseCompleted
_Sound: TypeAlias = e.OutputStarted | e.OutputChunk | e.OutputCompleted | e.OutputCancelled


@define(eq=False)
class _Hearing:
    """The caller's ear: what has come of an answer, and until when to wait for more."""

    client: Client
    turn: Turn
    auto: bool
    show: Show
    _patience: trio.CancelScope = field(factory=trio.CancelScope)
    _silent_at_s: float = math.inf  # when the recording was over
    _opening: bool = False  # what is said began before that, unasked
    _busy: bool = False  # something was understood, or an answer is on its way
    _heard_at_s: float | None = None  # when the last answer is or was over
    _times: dict[str, float] = field(factory=dict)
    _finals: list[str] = field(factory=list)

    def fell_silent(self) -> None:
        """The recording is over."""
        self._silent_at_s = trio.current_time()
        self._wait_on()

    async def listen(self) -> None:
        """Take events until the answer has been heard or there will be none."""
        with self._patience:
            async for now_s, event in self.client.events:
                over = self._take(event, now_s)
                self._wait_on()
                if over and not self.auto:
                    await trio.sleep_until(self._heard_at_s or now_s)
                    return
            raise ClientError(f"the server hung up: {self.client.closed}")
        if self._busy:
            raise ClientError(f"{self.turn.name}: nothing came from the server for {STALLED_S:g} s")

    def take_times(self) -> None:
        """Write the times into the turn, now that it is known what they are relative to."""
        for name, at_s in self._times.items():
            setattr(self.turn, name, at_s - self._silent_at_s)

    def _wait_on(self) -> None:
        now_s = trio.current_time()
        if self._silent_at_s == math.inf:
            return
        if self._busy:
            self._patience.deadline = now_s + STALLED_S
        elif self._heard_at_s is not None:
            self._patience.deadline = max(self._heard_at_s, self._silent_at_s) + SETTLED_S
        else:
            self._patience.deadline = self._silent_at_s + NO_WORDS_S

    def _is_opening(self, event: e.ServerMessage) -> bool:
        """Whether this is of what the server says unasked before the recording is over."""
        match event:
            case e.ResponseStarted() | e.StateChanged(new="THINKING"):
                self._opening = not self.auto and self._silent_at_s == math.inf
            case e.ResponseCompleted(text=text) if self._opening:
                self.show(Said("agent", text))
        return self._opening and isinstance(event, _Begun | _Sound)

    def _take(self, event: e.ServerMessage, now_s: float) -> bool:
        """Note an event; whether it is the end of an answer."""
        turn = self.turn
        if self._is_opening(event):
            return False
        match event:
            case e.TranscriptOut(transcript=text, is_final=is_final) if text:
                self._busy = True
                if is_final:
                    self._finals.append(text)
                    turn.transcript = " ".join(self._finals)
                    self._times["final_s"] = now_s
                self.show(Said("caller", text) if is_final else Interim(text))
            case e.StateChanged(new="THINKING"):
                self._busy = True
            case e.ResponseStarted():
                self._busy = True
                self._times["thought_s"] = now_s
            case e.ResponseCompleted(text=text, is_fallback=is_fallback):
                turn.text = f"{turn.text} {text}".strip()
                turn.is_fallback |= is_fallback
                self.show(Said("agent", text))
            case e.OutputStarted():
                self._busy = True
                self._times["speech_s"] = now_s
            case e.OutputChunk(audio=audio):
                turn.answer += audio
                self._times["complete_s"] = now_s
                self.show(Listening(turn.answer_s))
            case e.OutputCompleted(duration_ms=duration_ms):
                return self._over(self._times.get("speech_s", now_s) + duration_ms / 1000)
            case e.OutputCancelled(reason=reason):
                self.show(Said("server", f"stopped the answer: {reason or 'no reason given'}"))
                return self._over(now_s)
            case e.StateChanged(old="THINKING", new="LISTENING"):
                # The answer ended without a sound.
                return self._over(now_s)
            case _:
                self._take_notice(event)
        return False

    def _over(self, heard_at_s: float) -> bool:
        self._busy = False
        self._heard_at_s = heard_at_s
        return True

    def _take_notice(self, event: e.ServerMessage) -> None:
        match event:
            case e.LatencyMeasured():
                self.turn.latencies.append(event)
            case e.ErrorReply(message=message):
                self.turn.errors.append(message)
                self.show(Said("server", message))
            case e.Maintenance(message=message) | e.RateLimitWarning(message=message):
                self.show(Said("server", message))
            case e.QuotaExceeded(service=service, message=message):
                self.show(Said("server", f"{service}: {message}"))
            case e.Disconnecting(reason=reason):
                self.show(Said("server", f"closing: {reason}"))
