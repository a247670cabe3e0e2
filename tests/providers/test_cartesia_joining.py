"""Audio that has come already goes on in few messages, and nothing of it is lost or moved."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from vantum.core.messages import (
    PieceSpoken,
    SpeechAudio,
    SpeechFinished,
    SpeechWords,
    SpokenWord,
    TtsOutput,
)
from vantum.providers.cartesia.link import Inbox
from vantum.providers.cartesia.protocol import Chunk, Done, Words
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
    chunk, stamps, done = Chunk("c", b"ab"), Words("c", ()), Done("c")
    for reply in (chunk, stamps, done, chunk):
        assert inbox.put(reply)
    inbox.wake("nudge")
    assert inbox.more_speech() is chunk
    assert inbox.more_speech() is stamps
    assert inbox.more_speech() is None
    assert inbox.more_speech() is None
    assert await inbox.receive() is done
    assert inbox.more_speech() is chunk
    assert inbox.more_speech() is None
    assert await inbox.receive() == "nudge"
    assert inbox._bytes == 0
