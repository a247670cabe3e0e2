"""The embedded synthesiser: order, silence, look-ahead, cancellation, and that it can be heard."""

import itertools
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.patience import HANG_S
from vantum.config.providers import LocalSettings
from vantum.core.audio import AudioFormat
from vantum.core.messages import (
    EndOfPieces,
    PieceSpoken,
    SpeechAudio,
    SpeechFinished,
    SpeechPiece,
    TtsInput,
    TtsOutput,
)
from vantum.core.resampling import Resampler
from vantum.errors import ConfigError, ProviderError
from vantum.providers.local.tts import (
    SAMPLE_RATE_HZ,
    LocalTtsProvider,
    Stretch,
    cut_phonemes,
    trim_silence,
)
from vantum.providers.local.workers import Workers

# ---------------------------------------------------------------- pure parts


@given(st.lists(st.text("abcd", min_size=1, max_size=12), min_size=1, max_size=60), st.data())
@settings(max_examples=60, deadline=None)
def test_cut_phonemes_lose_nothing_and_are_short(words: list[str], data: st.DataObject) -> None:
    ends = data.draw(st.lists(st.sampled_from(["", "", ",", ";"]), min_size=60, max_size=60))
    sentence = " ".join(word + end for word, end in zip(words, ends, strict=False))
    stretches = cut_phonemes(sentence, limit=30)
    assert " ".join(stretches) == sentence
    assert all(len(stretch) <= 45 for stretch in stretches)


def test_a_short_sentence_is_one_stretch() -> None:
    assert cut_phonemes("wˈɛl, jˈɛs, ʃˈʊɹ.") == ["wˈɛl, jˈɛs, ʃˈʊɹ."]


def test_silence_at_the_ends_is_trimmed_but_for_an_edge() -> None:
    rate = SAMPLE_RATE_HZ
    speech = np.sin(np.arange(rate) / 10).astype(np.float32)
    padded = np.concatenate([np.zeros(rate // 2), speech, np.zeros(rate)]).astype(np.float32)
    kept = trim_silence(padded)
    assert abs(len(kept) / rate - 1.06) < 0.005
    assert len(trim_silence(np.zeros(rate, np.float32))) == 0
    assert len(trim_silence(np.zeros(0, np.float32))) == 0


def test_without_its_package_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r'pip install "vantum\[local\]"'):
        LocalTtsProvider(LocalSettings(), Workers(1))


# ---------------------------------------------------------------- the voice


@pytest.fixture(scope="module")
def provider() -> LocalTtsProvider:
    # The voice is inside its package: no weights to fetch.
    pytest.importorskip("hibari")
    return LocalTtsProvider(LocalSettings(), Workers(0))


#: What the voice itself has.
LINE = AudioFormat(SAMPLE_RATE_HZ)


async def speak(
    provider: LocalTtsProvider, *texts: str, voice_id: str | None = None, line: AudioFormat = LINE
) -> list[object]:
    piece_tx, piece_rx = trio.open_memory_channel[TtsInput](100)
    speech_tx, speech_rx = trio.open_memory_channel[TtsOutput](100)
    for index, text in enumerate(texts):
        piece_tx.send_nowait(SpeechPiece(index, text))
    piece_tx.send_nowait(EndOfPieces())
    tts = provider.for_session()
    await tts.synthesize(piece_rx, speech_tx, voice_id=voice_id, language="en-US", line=line)
    speech_tx.close()
    return [message async for message in speech_rx]


def sound(messages: list[object]) -> bytes:
    return b"".join(m.pcm for m in messages if isinstance(m, SpeechAudio))


def seconds(messages: list[object]) -> float:
    return len(sound(messages)) / 2 / SAMPLE_RATE_HZ


async def test_pieces_are_spoken_in_order(provider: LocalTtsProvider) -> None:
    messages = await speak(provider, "Hi, this is Alex.", "||BREAK||", "How are you today?")
    shape = [(type(m).__name__, getattr(m, "piece_index", None)) for m in messages]
    assert shape == [
        ("SpeechAudio", 0),
        ("PieceSpoken", 0),
        ("PieceSpoken", 1),  # nothing speakable in it
        ("SpeechAudio", 2),
        ("PieceSpoken", 2),
        ("SpeechFinished", None),
    ]
    assert 1.5 < seconds(messages) < 4
    assert provider.health().ok


@pytest.mark.parametrize("line", [AudioFormat(8_000, "mulaw"), AudioFormat(16_000)])
async def test_a_line_gets_the_rate_that_it_carries(
    provider: LocalTtsProvider, line: AudioFormat
) -> None:
    texts = ("Hi, this is Alex; do you have a moment?", "||BREAK||", "How are you today?")
    whole = await speak(provider, *texts)
    messages = await speak(provider, *texts, line=line)
    assert provider.for_session().rate_hz(line) == line.rate_hz
    shape = [(type(m).__name__, getattr(m, "piece_index", None)) for m in messages]
    assert [key for key, _ in itertools.groupby(shape)] == [
        *(("SpeechAudio", 0), ("PieceSpoken", 0), ("PieceSpoken", 1)),
        *(("SpeechAudio", 2), ("PieceSpoken", 2), ("SpeechFinished", None)),
    ]
    # To the sample what one filter makes of each piece, wherever its stretches end.
    for index in (0, 2):
        mine, theirs = (
            sound([m for m in some if getattr(m, "piece_index", None) == index])
            for some in (messages, whole)
        )
        one = Resampler(SAMPLE_RATE_HZ, line.rate_hz)
        assert mine == one.feed(theirs) + one.finish()


def test_a_line_that_carries_more_gets_what_the_voice_has(provider: LocalTtsProvider) -> None:
    assert provider.for_session().rate_hz(AudioFormat(48_000)) == SAMPLE_RATE_HZ


async def test_an_answer_without_pieces(provider: LocalTtsProvider) -> None:
    assert await speak(provider) == [SpeechFinished()]


async def test_speech_begins_at_once_and_pieces_have_a_pause_between(
    provider: LocalTtsProvider,
) -> None:
    messages = await speak(provider, "That makes sense.", "Shall we talk?")
    first, second = [
        np.frombuffer(m.pcm, "<i2").astype(float) for m in messages if isinstance(m, SpeechAudio)
    ]

    def silent_ms(pcm: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
        return float(np.flatnonzero(np.abs(pcm) > 300)[0]) / SAMPLE_RATE_HZ * 1000

    assert silent_ms(first) < 60
    assert silent_ms(first[::-1]) < 60
    assert 200 < silent_ms(second) < 320
    loud = first[np.abs(first) > 300]
    assert 1500 < np.sqrt((loud**2).mean()) < 8000


async def test_the_same_text_sounds_the_same_whatever_the_voice_is_called(
    provider: LocalTtsProvider,
) -> None:
    kyle = "c961b81c-a935-4c17-bfb3-ba2239de8c2f"
    assert await speak(provider, "Good morning.") == await speak(
        provider, "Good morning.", voice_id=kyle
    )


async def test_a_long_piece_comes_in_stretches(provider: LocalTtsProvider) -> None:
    text = "First we talk about your goals, then we look at the numbers, " * 4 + "and we are done."
    messages = await speak(provider, text)
    stretches = [seconds([m]) for m in messages if isinstance(m, SpeechAudio)]
    assert len(stretches) > 2
    assert max(stretches) < 9


async def test_the_next_piece_is_made_while_the_first_is_played(provider: LocalTtsProvider) -> None:
    piece_tx, piece_rx = trio.open_memory_channel[TtsInput](100)
    speech_tx, speech_rx = trio.open_memory_channel[TtsOutput](0)
    made: list[str] = []
    two_made = trio.Event()
    voice = provider._voice

    class Recorded:
        def stretches(self, text: str) -> object:
            made.append(text)
            if len(made) == 2:
                two_made.set()
            return voice.stretches(text)

    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setattr(provider, "_voice", Recorded())
    try:
        async with trio.open_nursery() as nursery:

            async def run() -> None:
                tts = provider.for_session()
                await tts.synthesize(
                    piece_rx, speech_tx, voice_id=None, language="en-US", line=LINE
                )

            nursery.start_soon(run)
            for index in range(20):
                piece_tx.send_nowait(SpeechPiece(index, f"Piece {index}."))
            with trio.fail_after(HANG_S):
                assert isinstance(await speech_rx.receive(), SpeechAudio)
                await two_made.wait()
            await trio.testing.wait_all_tasks_blocked(0.1)
            assert len(made) <= 4  # ahead, but not the whole answer
            nursery.cancel_scope.cancel()
    finally:
        monkeypatch.undo()


async def test_cancelling_ends_with_the_stretch_that_is_being_made(
    provider: LocalTtsProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    voice, loop = provider._voice, trio.lowlevel.current_trio_token()
    begun: list[int] = []
    closed: list[bool] = []
    scope = trio.CancelScope()

    class Cancelling:
        """Cancels the answer while its third stretch is made."""

        def stretches(self, text: str) -> Iterator[Stretch]:
            stretches = voice.stretches(text)
            try:
                for number in range(100):
                    begun.append(number)
                    if len(begun) == 3:
                        trio.from_thread.run_sync(scope.cancel, trio_token=loop)
                    stretch = next(stretches, None)
                    if stretch is None:
                        return
                    yield stretch
            finally:
                closed.append(True)

    monkeypatch.setattr(provider, "_voice", Cancelling())
    text = "You give us a list of people to call and we call all of them for you every day. " * 3
    with scope:
        await speak(provider, *[text] * 10)
    assert scope.cancelled_caught
    assert begun == [0, 1, 2], "nothing runs on"
    assert closed == [True]
    assert provider._workers.idle


async def test_sessions_take_turns(provider: LocalTtsProvider) -> None:
    done: list[str] = []

    async def one(name: str, *texts: str) -> None:
        await speak(provider, *texts)
        done.append(name)

    async with trio.open_nursery() as nursery:
        for name in ("long 1", "long 2"):
            nursery.start_soon(one, name, *["This one talks and talks and talks. " * 5] * 2)
        await trio.sleep(0.01)
        nursery.start_soon(one, "short", "Yes.")
    assert done[0] == "short"


async def test_a_failure_is_a_provider_error(
    provider: LocalTtsProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def stretches(self, text: str) -> object:
            yield int("something secret")

    monkeypatch.setattr(provider, "_voice", Broken())
    with pytest.raises(ProviderError) as caught:
        await speak(provider, "Hello.")
    assert "secret" not in str(caught.value)
    assert not provider.health().ok


async def test_a_player_that_is_gone_ends_it(provider: LocalTtsProvider) -> None:
    piece_tx, piece_rx = trio.open_memory_channel[TtsInput](10)
    speech_tx, speech_rx = trio.open_memory_channel[TtsOutput](0)
    speech_rx.close()
    piece_tx.send_nowait(SpeechPiece(0, "Hello."))
    with pytest.raises(trio.BrokenResourceError):
        await provider.for_session().synthesize(
            piece_rx, speech_tx, voice_id=None, language="en-US", line=LINE
        )


async def test_it_is_ready_at_once(provider: LocalTtsProvider) -> None:
    tts = provider.for_session()
    is_ready = False
    async with trio.open_nursery() as nursery:
        with trio.move_on_after(HANG_S):
            await nursery.start(tts.run)
            is_ready = True
        nursery.cancel_scope.cancel()
    assert is_ready


def test_it_writes_nothing() -> None:
    pytest.importorskip("hibari")
    code = (
        "from vantum.config.providers import LocalSettings\n"
        "from vantum.providers.local.tts import LocalTtsProvider\n"
        "from vantum.providers.local.workers import Workers\n"
        "LocalTtsProvider(LocalSettings(), Workers(1))\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, text=True)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


async def test_every_piece_is_told_to_be_spoken(provider: LocalTtsProvider) -> None:
    messages = await speak(provider, "One.", "Two.", "😀", "Four.")
    spoken = [m.piece_index for m in messages if isinstance(m, PieceSpoken)]
    assert spoken == [0, 1, 2, 3]
