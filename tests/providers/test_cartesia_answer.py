"""The ledger of an answer: replies in, speech out, and how it goes on after a break."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.providers.cartesia_call import (
    LINES,
    WIDE,
    check_borders,
    check_whole,
    expected_pcm,
    pcm,
    words,
)
from vantum.core.audio import AudioFormat, mulaw_encode
from vantum.core.messages import PieceSpoken, SpeechAudio, SpeechFinished, SpeechPiece, TtsOutput
from vantum.providers.cartesia.answer import Answer, rest_of
from vantum.providers.cartesia.protocol import Chunk, Done, Failure, FlushDone, Unknown, Words
from vantum.testing.cartesia_script import speech

Replies = list[Chunk | Words | FlushDone | Done]


def answer(*texts: str, audio: AudioFormat = WIDE) -> Answer:
    made = Answer(audio)
    for index, text in enumerate(texts):
        made.add(SpeechPiece(index, text))
    made.end()
    return made


def replies(
    texts: list[str], samples: int, *, ids: bool = True, lead: int = 0, form: AudioFormat = WIDE
) -> Replies:
    """What a context says: each word's timestamp before its audio, `lead` samples of silence."""
    found: Replies = []
    begins, rate_hz = 0, form.rate_hz
    for number, text in enumerate(texts, 1):
        flush_id = number if ids else None
        spoken = speech(text, rate_hz)
        audio = bytes(2 * lead) + spoken.pcm
        for at in range(0, len(audio) // 2, samples):
            stamps = tuple(
                (w.text, (begins + lead + w.start) / rate_hz, (begins + lead + w.end) / rate_hz)
                for w in spoken.words
                if at <= lead + w.start < at + samples
            )
            if stamps:
                found.append(Words("c", stamps, flush_id))
            pcm = audio[2 * at : 2 * (at + samples)]
            written = mulaw_encode(pcm) if form.encoding == "mulaw" else pcm
            found.append(Chunk("c", written, flush_id))
        begins += len(audio) // 2
        if ids:
            found.append(FlushDone("c", number))
    return found


def submit(made: Answer) -> tuple[list[int], list[str]]:
    positions, texts = [], []
    while (text := made.next_text()) is not None:
        positions.append(text[0])
        texts.append(text[1])
    return positions, texts


def finish(outputs: list[TtsOutput]) -> list[TtsOutput]:
    return [*outputs, SpeechFinished()]


TEXTS = ["One two three.", "Four five!", "Six."]


@settings(max_examples=60, deadline=None)
@given(
    cuts=st.lists(st.integers(0, 60), max_size=5),
    samples=st.integers(100, 9000),
    lead=st.sampled_from([0, 400, 1600]),
    line=st.sampled_from(LINES),
)
def test_breaks_anywhere(cuts: list[int], samples: int, lead: int, line: AudioFormat) -> None:
    made, outputs = answer(*TEXTS, audio=line), []
    made.enter_context()
    for cut in [*cuts, 10_000]:
        positions, texts = submit(made)
        for reply in replies(texts, samples, lead=lead, form=line)[:cut]:
            outputs += made.take(reply, positions)
        if not made.finished:
            outputs += made.restart()
    assert made.finished
    check_whole(finish(outputs), TEXTS, broken=True, line=line)


@given(samples=st.integers(1, 5000), odd=st.lists(st.integers(1, 999), min_size=1, max_size=9))
@settings(max_examples=30, deadline=None)
def test_chunks_of_any_length_even_odd_ones(samples: int, odd: list[int]) -> None:
    made, outputs = answer("One two."), []
    positions, _ = submit(made)
    audio, at = expected_pcm(["One two."]), 0
    while at < len(audio):
        size = odd[at % len(odd)] * samples % 4999 + 1
        outputs += made.take(Chunk("c", audio[at : at + size], 1), positions)
        at += size
    outputs += made.take(FlushDone("c", 1), positions)
    assert pcm(outputs) == audio
    assert all(len(o.pcm) % 2 == 0 for o in outputs if isinstance(o, SpeechAudio))


def test_without_flush_ids_the_end_of_the_context_ends_the_piece() -> None:
    made, outputs = answer("One two."), []
    positions, texts = submit(made)
    said: Replies = [*replies(texts, 1600, ids=False), Done("c")]
    for reply in said:
        outputs += made.take(reply, positions)
    assert made.finished
    check_whole(finish(outputs), ["One two."])


def test_a_chunk_of_the_next_submission_ends_the_last() -> None:
    made, outputs = answer("One.", "Two."), []
    positions, texts = submit(made)
    for reply in replies(texts, 1600):
        if reply != FlushDone("c", 1):
            outputs += made.take(reply, positions)
    check_borders(finish(outputs), ["One.", "Two."])


def test_early_timestamps_of_the_next_piece_wait_for_it() -> None:
    made, outputs = answer("One.", "Two.", "Three."), []
    positions, texts = submit(made)
    parts = replies(texts, 100_000)
    for reply in [parts[i] for i in (0, 3, 6, 1, 2, 4, 5, 7, 8)]:
        outputs += made.take(reply, positions)
    check_whole(finish(outputs), ["One.", "Two.", "Three."])


def test_an_early_end_without_audio_is_not_the_end_of_the_piece() -> None:
    made = answer("One.")
    positions, _ = submit(made)
    assert made.take(Done("c"), positions) == []
    assert not made.finished
    assert made.take(Failure("c", 500, None), positions) == []
    assert made.take(Unknown("x"), positions) == []


def test_an_early_end_before_a_known_word_is_not_the_end_of_the_piece() -> None:
    made, outputs = answer("One two three."), []
    positions, texts = submit(made)
    parts = replies(texts, 1600)
    for reply in parts[: len(parts) // 2]:
        outputs += made.take(reply, positions)
    assert outputs
    assert made.take(Done("c"), positions) == []
    assert made.has_work


def test_flushes_that_are_counted_from_zero_do_not_end_the_answer() -> None:
    made = answer("One.", "Two.", "Three.")
    positions, _ = submit(made)
    made.take(FlushDone("c", 0), positions)
    assert made.current <= 1


def test_replies_for_what_is_over_are_dropped() -> None:
    made = answer("One.")
    positions, texts = submit(made)
    parts = replies(texts, 100_000)
    for reply in parts:
        made.take(reply, positions)
    assert made.finished
    for reply in [*parts, Done("c")]:
        assert made.take(reply, positions) == []
    assert made.restart() == []


def test_audio_without_any_timestamp_is_cut_by_what_was_heard() -> None:
    made, outputs = answer("One two three."), []
    positions, texts = submit(made)
    chunks = [r for r in replies(texts, 1600) if isinstance(r, Chunk)]
    for reply in chunks[:4]:
        outputs += made.take(reply, positions)
    outputs += made.restart()
    positions, again = submit(made)
    assert again == texts
    rest: Replies = [*chunks, FlushDone("c", 1)]
    for one in rest:
        outputs += made.take(one, positions)
    assert pcm(outputs) == expected_pcm(texts)
    assert words(outputs) == []


def test_a_break_behind_the_last_word_does_not_speak_again() -> None:
    made, outputs = answer("One two."), []
    positions, texts = submit(made)
    for reply in replies(texts, 1600)[:-2]:  # without the last silence and the border
        outputs += made.take(reply, positions)
    assert made.current == 0
    outputs += made.restart()
    assert made.finished
    assert outputs[-1] == PieceSpoken(0)


def test_late_timestamps_cost_at_most_a_pause() -> None:
    late: list[Any] = [
        Chunk("c", speech("One two three.", WIDE.rate_hz).pcm[: 2 * 5000], 1),
        Words("c", (("One", 0.0, 0.24),), 1),
        Chunk("c", speech("One two three.", WIDE.rate_hz).pcm[2 * 5000 : 2 * 8000], 1),
    ]
    made, outputs = answer("One two three."), []
    positions, _ = submit(made)
    for reply in late:
        outputs += made.take(reply, positions)
    outputs += made.restart()
    positions, texts = submit(made)
    assert texts == ["two three."]
    for reply in replies(texts, 1600):
        outputs += made.take(reply, positions)
    missing = len(expected_pcm(["One two three."])) - len(pcm(outputs))
    assert missing == 2 * (4800 - 3840)  # the pause between the words


def test_pieces_with_nothing_to_pronounce_are_passed_over() -> None:
    made = answer("—", "One.", "…")
    assert made.settle() == [PieceSpoken(0)]
    positions, texts = submit(made)
    assert (positions, texts) == ([1], ["One."])
    outputs = [o for r in replies(texts, 1600) for o in made.take(r, positions)]
    assert made.settle() == [PieceSpoken(2)]
    assert made.finished
    assert outputs[-1] == PieceSpoken(1)


def test_much_text_waits_until_some_of_it_was_heard() -> None:
    made = answer(*["x" * 500] * 4)
    positions, _ = submit(made)
    assert positions == [0, 1]
    made.take(FlushDone("c", 1), positions)
    assert submit(made)[0] == [2]
    long = answer("x" * 5000, "y")
    assert submit(long)[0] == [0, 1]


def test_the_rest_of_a_text() -> None:
    text = "Well, it's 3.5 percent (not 4) – twenty-one, OK?"
    assert rest_of(text, []) == text
    assert rest_of(text, ["Well"]) == "it's 3.5 percent (not 4) – twenty-one, OK?"
    assert rest_of(text, ["Well,", "it's"]) == "3.5 percent (not 4) – twenty-one, OK?"
    assert rest_of(text, ["well", "it's", "3.5", "percent", "not", "4"]) == "– twenty-one, OK?"
    assert rest_of("twenty-one, OK?", ["twenty"]) == "one, OK?"
    # Spelled out by the provider: one word for one word.
    assert rest_of("I have 3 cats.", ["I", "have", "three"]) == "cats."
    assert rest_of("One two.", ["One", "two", "and", "more"]) == ""
    assert rest_of("One two.", [""]) == "two."


@given(st.lists(st.text("abc,.!'-3é", min_size=1, max_size=6), max_size=8), st.integers(0, 8))
def test_the_rest_after_whole_words_is_the_rest(tokens: list[str], said: int) -> None:
    assert rest_of(" ".join(tokens), tokens[:said]).split() == tokens[said:]
