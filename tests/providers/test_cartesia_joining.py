"""Audio that has come already goes on in few messages, and nothing of it is lost or moved."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.core.test_packing import recorded
from tests.providers.cartesia_call import LINES, call, check_whole, say
from vantum.core import packing
from vantum.core.audio import AudioFormat, Encoding
from vantum.core.messages import (
    PieceSpoken,
    SpeechAudio,
    SpeechFinished,
    SpeechWords,
    SpokenWord,
    TtsOutput,
)
from vantum.core.packing import Narrow, narrow
from vantum.providers.cartesia.link import Inbox
from vantum.providers.cartesia.protocol import Chunk, Done, Reply, Words
from vantum.providers.cartesia.speaking import joined


def words(index: int, text: str) -> SpeechWords:
    return SpeechWords(index, (SpokenWord(text, 0.0, 0.1),))


def test_neighbouring_audio_is_joined_behind_its_words() -> None:
    outputs: list[TtsOutput] = [
        SpeechAudio(3, b"ab"),
        words(3, "one"),
        SpeechAudio(3, b"cd"),
        PieceSpoken(3),
        SpeechAudio(4, b"ef"),
        words(4, "two"),
    ]
    assert joined(outputs) == [
        words(3, "one"),
        SpeechAudio(3, b"abcd"),
        PieceSpoken(3),
        words(4, "two"),
        SpeechAudio(4, b"ef"),
    ]


outputs_of_pieces = st.lists(
    st.tuples(
        st.lists(
            st.one_of(st.binary(min_size=2, max_size=2), st.text("abc", min_size=1, max_size=2)),
            max_size=6,
        ),
        st.booleans(),
    ),
    max_size=4,
)


@settings(max_examples=60)
@given(outputs_of_pieces)
def test_each_piece_keeps_its_audio_its_words_and_its_place(
    pieces: list[tuple[list[bytes | str], bool]],
) -> None:
    outputs: list[TtsOutput] = []
    for index, (speech, ends) in enumerate(pieces):
        outputs += [
            SpeechAudio(index, one) if isinstance(one, bytes) else words(index, one)
            for one in speech
        ]
        outputs += [PieceSpoken(index)] if ends else []
    found = joined(outputs)
    for kind in (SpeechWords, PieceSpoken):
        of_kind = [o for o in outputs if isinstance(o, kind)]
        assert [o for o in found if isinstance(o, kind)] == of_kind
    for index in range(len(pieces)):
        before, after = (
            b"".join(o.pcm for o in some if isinstance(o, SpeechAudio) and o.piece_index == index)
            for some in (outputs, found)
        )
        assert after == before
    order = [o.piece_index for o in found if not isinstance(o, SpeechFinished)]
    assert order == sorted(order)


async def test_an_inbox_gives_more_only_if_it_is_there_and_speech() -> None:
    inbox = Inbox("c")
    assert inbox.more_speech() is None
    audio, stamps, done = Chunk("c", b"ab"), Words("c", ()), Done("c")
    for reply in (audio, stamps, done, audio):
        assert inbox.put(reply)
    inbox.wake("nudge")
    assert inbox.more_speech() is audio
    assert inbox.more_speech() is stamps
    assert inbox.more_speech() is None
    assert inbox.more_speech() is None
    assert await inbox.receive() is done
    assert inbox.more_speech() is audio
    assert inbox.more_speech() is None
    assert await inbox.receive() == "nudge"
    assert inbox._bytes == 0


VOICE = recorded("austen-0870")


def chunk(at: int, size: int, flush_id: int | None = None) -> Chunk:
    return Chunk("c", VOICE[at : at + size], flush_id)


#: Chunks of any length, with half samples in them, and what comes between.
replies = st.lists(
    st.one_of(
        st.builds(
            chunk,
            st.integers(0, 50_000),
            st.sampled_from([20_000, 5_001, 3_200, 2, 1, 0]),
            st.one_of(st.none(), st.integers(1, 3)),
        ),
        st.builds(lambda text: Words("c", ((text, 0.0, 0.1),)), st.text("ab", max_size=2)),
        st.just(Done("c")),
    ),
    max_size=14,
)


@settings(max_examples=100)
@given(replies, st.sampled_from(["pcm", "mulaw"]), st.sets(st.integers(0, 14)))
@example([chunk(0, 15_999), chunk(7, 20_000)], "pcm", set())
async def test_what_waits_comes_out_as_it_came_and_in_its_order(
    more: list[Reply], encoding: Encoding, takes_after: set[int]
) -> None:
    inbox, found = Inbox("c", encoding), list[Reply | str]()
    came = [chunk(100, 40_000), *more]  # behind which all waits for long
    for number, reply in enumerate(came):
        assert inbox.put(reply)
        if number in takes_after:
            found.append(await inbox.receive())
    while len(found) < len(came):
        found.append(inbox.more_speech() or await inbox.receive())
    assert found == came
    assert inbox._bytes == 0


@pytest.mark.parametrize(("encoding", "least", "most"), [("pcm", 0.65, 0.8), ("mulaw", 0.95, 1.1)])
async def test_audio_that_is_far_from_its_turn_takes_two_thirds_of_its_room(
    encoding: Encoding, least: float, most: float
) -> None:
    inbox = Inbox("c", encoding)
    tracemalloc.start()
    try:
        for at in range(0, len(VOICE), 3_200):
            inbox.put(Chunk("c", bytes(bytearray(VOICE[at : at + 3_200]))))
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert least < held / len(VOICE) < most


@pytest.mark.parametrize("line", LINES)
async def test_a_long_answer_is_whole_and_only_pcm_is_packed(
    autojump_clock: object, monkeypatch: pytest.MonkeyPatch, line: AudioFormat
) -> None:
    packed: list[int] = []

    def counted(pcm: bytes) -> Narrow:
        packed.append(len(pcm))
        return narrow(pcm)

    monkeypatch.setattr(packing, "narrow", counted)
    texts = ["This is a rather long answer of many words, one of them behind the other."] * 3
    async with call() as c:
        check_whole(await say(c.voice, texts, line=line, listen_s=0.5), texts, line=line)
    assert bool(packed) == (line.encoding == "pcm")
