"""Replay: play recordings to a server as a caller would, and measure what comes back.

Audio goes out in 20 ms frames in real time (or `speed` times as fast). When a file is over the
caller falls silent and listens to the whole answer; then comes the next file, in the same call.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import trio
from attrs import define, field, frozen

from vantum.client import Client, ClientError
from vantum.core import events as e
from vantum.core.audio import Wav, dbfs, read_wav, write_wav

FRAME_MS = 20
#: How far the answer may be behind before the caller gives up.
TURN_TIMEOUT_S = 90.0


@frozen
class Say:
    """One line for the person who watches."""

    text: str


@define
class Turn:
    """What one recording led to. Times are seconds after the last of the caller's audio.

    `answer` is the answer's audio at `rate_hz`; a time is None if its event did not come.
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

    @property
    def answer_s(self) -> float:
        """Length of the answer's audio."""
        return len(self.answer) / (2 * self.rate_hz)


def load(path: Path) -> Wav:
    """Read a WAV file as the caller's voice.

    Raises:
        ClientError: it cannot be read, or its rate is outside what the protocol takes.
    """
    try:
        wav = read_wav(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ClientError(f"{path}: {error}") from error
    if not 8000 <= wav.sample_rate_hz <= 48_000:
        message = f"{path}: {wav.sample_rate_hz} Hz; the protocol takes 8000 to 48000 Hz"
        raise ClientError(message)
    if not wav.pcm:
        raise ClientError(f"{path}: holds no audio")
    return wav


async def speak(
    client: Client, wav: Wav, *, speed: float = 1.0, progress: Callable[[float], None] | None = None
) -> None:
    """Send a recording at the pace of speech. `progress` gets the part done, 0..1."""
    frame_bytes = 2 * (wav.sample_rate_hz * FRAME_MS // 1000)
    started_s = trio.current_time()
    for number, at in enumerate(range(0, len(wav.pcm), frame_bytes)):
        # Absolute deadlines: a late frame does not make the next one late.
        await trio.sleep_until(started_s + number * FRAME_MS / 1000 / speed)
        await client.send_audio(wav.pcm[at : at + frame_bytes])
        if progress is not None:
            progress(min(1.0, (at + frame_bytes) / len(wav.pcm)))


async def replay_turn(
    client: Client,
    name: str,
    wav: Wav,
    *,
    voice_id: str | None = None,
    speed: float = 1.0,
    say: Callable[[str], None] = lambda line: None,
    progress: Callable[[float], None] | None = None,
) -> Turn:
    """Speak one recording and listen to its answer until it has been heard.

    Raises:
        ClientError: the server refused, hung up, or did not answer in time.
    """
    turn = Turn(name, wav.sample_rate_hz)
    options = e.InputOptions(
        sampling_rate_hz=wav.sample_rate_hz, voice_id=voice_id, turn_detection="manual"
    )
    await client.start(options)
    ended = _Ended()
    with trio.move_on_after(wav.duration_s / speed + TURN_TIMEOUT_S):
        async with trio.open_nursery() as nursery:

            async def talk() -> None:
                await speak(client, wav, speed=speed, progress=progress)
                ended.at_s = trio.current_time()
                await client.end()

            nursery.start_soon(talk)
            await _listen(client, turn, ended, say)
        return turn
    raise ClientError(f"{name}: no complete answer within {TURN_TIMEOUT_S:g} s")


@define
class _Ended:
    """When the caller fell silent; infinity while it is still speaking."""

    at_s: float = float("inf")


async def _listen(client: Client, turn: Turn, ended: _Ended, say: Callable[[str], None]) -> None:
    """Take events until the answer has been heard, or there will be none."""
    finals: list[str] = []
    async for now_s, event in client.events:
        after_s = max(0.0, now_s - ended.at_s)
        match event:
            case e.TranscriptOut(is_final=False, transcript=text):
                say(f"  … {text}")
            case e.TranscriptOut(transcript=text):
                finals.append(text)
                turn.transcript, turn.final_s = " ".join(finals), after_s
                say(f"  caller: {text}")
            case e.ResponseStarted():
                turn.thought_s = after_s
            case e.ResponseCompleted(text=text, is_fallback=is_fallback):
                turn.text, turn.is_fallback = text, is_fallback
                say(f"  agent:  {text}")
            case e.OutputStarted():
                turn.speech_s = after_s
            case e.OutputChunk(audio=audio):
                turn.answer += audio
            case e.OutputCompleted(duration_ms=duration_ms):
                turn.complete_s = after_s
                heard_at_s = now_s - after_s + (turn.speech_s or 0.0) + duration_ms / 1000
                await trio.sleep_until(heard_at_s)
                return
            case e.ErrorReply(message=message):
                turn.errors.append(message)
                say(f"  error:  {message}")
            case e.StateChanged(old="THINKING", new="LISTENING"):
                # The answer ended without a sound.
                return
            case _:
                pass
    raise ClientError("the server hung up")


def table(turns: list[Turn]) -> str:
    """The latencies of all turns, as lines of text."""
    head = ("turn", "transcript", "model", "speech", "complete", "answer", "level")
    rows: list[tuple[str, ...]] = [head]
    for turn in turns:
        times = (turn.final_s, turn.thought_s, turn.speech_s, turn.complete_s)
        cells = [f"{t * 1000:.0f} ms" if t is not None else "–" for t in times]
        level = f"{dbfs(bytes(turn.answer)):.0f} dBFS" if turn.answer else "–"
        rows.append((turn.name, *cells, f"{turn.answer_s:.1f} s", level))
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]
    legend = (
        "Times are after the caller's last audio: last words recognised, the model's first\n"
        "token, first audio of the answer, and all of it received."
    )
    return "\n".join([lines[0], "  ".join("─" * width for width in widths), *lines[1:], legend])


def save(turn: Turn, directory: Path, number: int) -> Path:
    """Write the answer as a WAV file; returns its path."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{number:02d}-{Path(turn.name).stem}-answer.wav"
    path.write_bytes(write_wav(bytes(turn.answer), turn.rate_hz))
    return path
