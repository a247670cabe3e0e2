"""A call that is spoken by Cartesia, simulated, over in-memory streams: for the client's tests."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import count

import trio
import trio.testing
from attrs import define, evolve, field

from vantum.config import CartesiaSettings, Secret
from vantum.core.audio import AudioFormat, mulaw_decode, mulaw_encode
from vantum.core.messages import (
    EndOfPieces,
    PieceSpoken,
    SpeechAudio,
    SpeechFinished,
    SpeechPiece,
    SpeechWords,
    TtsOutput,
)
from vantum.ports import TextToSpeech
from vantum.providers.cartesia.client import CartesiaProvider
from vantum.testing.cartesia import CartesiaScript, SimulatedCartesia
from vantum.testing.cartesia_script import GAP_S, speech
from vantum.testing.cartesia_script import Speech as Spoken

KEY = "sk_car_secret"
WIDE = AudioFormat(16_000)
PHONE = AudioFormat(8_000, "mulaw")
LINES = (WIDE, PHONE)


@define(repr=False)
class Line:
    """Opens in-memory connections to a peer, and cuts them."""

    nursery: trio.Nursery
    peer: SimulatedCartesia
    down: bool = False
    streams: list[trio.abc.Stream] = field(factory=list)
    opened: list[tuple[str, int]] = field(factory=list)

    async def open(self, host: str, port: int) -> trio.abc.Stream:
        self.opened.append((host, port))
        if self.down:
            raise OSError("no route to host")
        ours, theirs = trio.testing.memory_stream_pair()
        self.streams.append(ours)
        self.nursery.start_soon(self.peer.serve_stream, theirs)
        return ours

    async def cut(self) -> None:
        """The network breaks in mid-call."""
        for stream in self.streams:
            await trio.aclose_forcefully(stream)
        self.streams.clear()


@define
class Call:
    """What a test has in hand."""

    peer: SimulatedCartesia
    line: Line
    provider: CartesiaProvider
    voice: TextToSpeech


@asynccontextmanager
async def call(
    script: CartesiaScript | None = None, *, ready: bool = True, **settings: object
) -> AsyncIterator[Call]:
    """A call whose voice is connected (`ready`) or can be run by the test."""
    peer = SimulatedCartesia(script or CartesiaScript(api_key=KEY))
    ids = count()
    async with trio.open_nursery() as nursery:
        line = Line(nursery, peer)
        provider = CartesiaProvider(
            CartesiaSettings(
                api_key=Secret(KEY),
                base_url="ws://cartesia.test:8000",
                **settings,  # type: ignore[arg-type]
            ),
            open_stream=line.open,
            new_context_id=lambda: f"context-{next(ids)}",
        )
        voice = provider.for_session()
        if ready:
            await nursery.start(voice.run)
        yield Call(peer, line, provider, voice)
        nursery.cancel_scope.cancel()


async def say(
    voice: TextToSpeech,
    texts: Sequence[str],
    *,
    pauses_s: Sequence[float] = (),
    outputs: list[tuple[float, TtsOutput]] | None = None,
    listen_s: float = 0,
    line: AudioFormat = WIDE,
) -> list[TtsOutput]:
    """Speak an answer; pieces come after their pauses, the listener takes `listen_s` for each."""
    heard = outputs if outputs is not None else []
    piece_tx, piece_rx = trio.open_memory_channel(0)
    speech_tx, speech_rx = trio.open_memory_channel[TtsOutput](0)

    async def write() -> None:
        for index, text in enumerate(texts):
            await trio.sleep(pauses_s[index] if index < len(pauses_s) else 0)
            await piece_tx.send(SpeechPiece(index, text))
        await piece_tx.send(EndOfPieces())

    async def listen() -> None:
        async for output in speech_rx:
            heard.append((trio.current_time(), output))
            await trio.sleep(listen_s)

    failure = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(write)
        nursery.start_soon(listen)
        try:
            await voice.synthesize(piece_rx, speech_tx, voice_id=None, language="en-US", line=line)
        except Exception as error:
            failure = error
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return [output for _, output in heard]


def pcm(outputs: Sequence[TtsOutput]) -> bytes:
    """All audio together."""
    return b"".join(o.pcm for o in outputs if isinstance(o, SpeechAudio))


def words(outputs: Sequence[TtsOutput]) -> list[tuple[str, float, float]]:
    """All words and where they are on the answer's axis."""
    spoken = [w for o in outputs if isinstance(o, SpeechWords) for w in o.words]
    return [(w.text, round(w.start_s, 6), round(w.end_s, 6)) for w in spoken]


def sounding(text: str, line: AudioFormat = WIDE) -> Spoken:
    """How the simulated voice speaks a text for this line."""
    one = speech(text, line.rate_hz)
    pcm = mulaw_decode(mulaw_encode(one.pcm)) if line.encoding == "mulaw" else one.pcm
    return evolve(one, pcm=pcm)


def expected_pcm(texts: Sequence[str], line: AudioFormat = WIDE) -> bytes:
    """The answer as it sounds without any fault."""
    return b"".join(sounding(text, line).pcm for text in texts)


def expected_words(
    texts: Sequence[str], line: AudioFormat = WIDE
) -> list[tuple[str, float, float]]:
    """Its words and where they are."""
    at, found, rate_hz = 0, [], line.rate_hz
    for text in texts:
        one = sounding(text, line)
        found += [
            (w.text, round((at + w.start) / rate_hz, 6), round((at + w.end) / rate_hz, 6))
            for w in one.words
        ]
        at += len(one.pcm) // 2
    return found


def check_words_heard(audio: bytes, texts: Sequence[str], line: AudioFormat = WIDE) -> None:
    """Each word's tone once, whole and in order, and nothing but silence between them."""
    at = 0
    for text in texts:
        one = sounding(text, line)
        for word in one.words:
            tone = one.pcm[2 * word.start : 2 * word.end]
            at += _silent(audio[at:])
            tone = tone[_silent(tone) :]
            assert audio[at : at + len(tone)] == tone, f"{word.text} is not whole"
            at += len(tone)
    assert _silent(audio[at:]) == len(audio[at:])


def _silent(audio: bytes) -> int:
    """How many bytes of silence it begins with, whole samples."""
    return (len(audio) - len(audio.lstrip(b"\0"))) & ~1


def check_whole(
    outputs: Sequence[TtsOutput],
    texts: Sequence[str],
    *,
    broken: bool = False,
    line: AudioFormat = WIDE,
) -> None:
    """Every word's audio once and in order and where it is said to be, borders in order, the end
    last. After a break (`broken`) pauses may be shorter, but nothing else may differ."""
    heard, audio = words(outputs), pcm(outputs)
    assert [w[0] for w in heard] == [w[0] for w in expected_words(texts, line)]
    check_words_heard(audio, texts, line)
    for text, start_s, end_s in heard:
        start, end = (2 * round(at * line.rate_hz) for at in (start_s, end_s))
        assert audio[start:end] == sounding(text, line).pcm[: end - start], text
    if not broken:
        assert audio == expected_pcm(texts, line)
        assert heard == expected_words(texts, line)
    check_borders(outputs, texts)


def check_borders(outputs: Sequence[TtsOutput], texts: Sequence[str]) -> None:
    """Pieces in order, each one ended, and the answer's end last."""
    borders = [o for o in outputs if isinstance(o, PieceSpoken | SpeechFinished)]
    assert borders == [*map(PieceSpoken, range(len(texts))), SpeechFinished()]
    assert outputs[-1] == SpeechFinished()
    indices = [o.piece_index for o in outputs if not isinstance(o, SpeechFinished)]
    assert indices == sorted(indices)


def check_nearly_whole(
    outputs: Sequence[TtsOutput], texts: Sequence[str], cuts: int, *, line: AudioFormat = WIDE
) -> None:
    """As `check_whole`, but each cut may have cost the audio as much as a pause."""
    assert [w[0] for w in words(outputs)] == [w[0] for w in expected_words(texts)]
    missing = len(expected_pcm(texts, line)) - len(pcm(outputs))
    assert -2 <= missing <= 2 * line.rate_hz * GAP_S * 2 * cuts
    check_borders(outputs, texts)
