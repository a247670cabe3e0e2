"""The chunker: what is cut where, how early, and what holds for any text."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vantum.core.chunking import Chunker, ChunkingOptions, strip_markers
from vantum.core.markers import without_unfinished

MARKER = "||BREAK||"
DEFAULT = ChunkingOptions()


def pieces(text: str, options: ChunkingOptions = DEFAULT) -> list[str]:
    chunker = Chunker(options)
    return chunker.feed(text) + chunker.finish()


def in_tokens(tokens: list[str], options: ChunkingOptions = DEFAULT) -> list[str]:
    chunker = Chunker(options)
    found = [piece for token in tokens for piece in chunker.feed(token)]
    return found + chunker.finish()


def emitted_after(text: str, options: ChunkingOptions = DEFAULT) -> list[tuple[str, str]]:
    """(text seen when it came out, piece), fed character by character; finish counts as all."""
    chunker = Chunker(options)
    found = [(text[: n + 1], p) for n, char in enumerate(text) for p in chunker.feed(char)]
    return found + [(text, piece) for piece in chunker.finish()]


# ---------------------------------------------------------------- an answer that was cut


@pytest.mark.parametrize(
    ("written", "left"),
    [
        ("It never forg", ["It never"]),
        ("It never forgets ", ["It never forgets"]),
        ("It never forgets||BR", ["It never forgets"]),
        ("It never forgets ||BR", ["It never forgets"]),
        ("Well, no. Mis", ["Well, no."]),
        ("forg", []),
        ("", []),
        ("我们从不忘", ["我们从不忘"]),
        ("เราไม่เคยลืม", ["เราไม่เคยลืม"]),
        ("우리는 잊지", ["우리는"]),
    ],
)
def test_the_half_of_a_word_is_not_said(written: str, left: list[str]) -> None:
    chunker = Chunker(DEFAULT)
    assert chunker.feed(written) + chunker.finish(cut=True) == left


@given(st.text(alphabet="aB.,1 ?", max_size=60), st.integers(0, 60))
def test_what_is_left_of_a_cut_answer_begins_it_in_whole_words(text: str, cut: int) -> None:
    chunker = Chunker(DEFAULT)
    left = " ".join(chunker.feed(text[:cut]) + chunker.finish(cut=True)).split()
    assert left == " ".join(pieces(text)).split()[: len(left)]


# ---------------------------------------------------------------- markers


def test_cuts_at_markers() -> None:
    text = "Hi, this is Alex from Vantum ||BREAK|| could we talk for a minute ||BREAK|| or so?"
    assert pieces(text) == [
        "Hi, this is Alex from Vantum",
        "could we talk for a minute",
        "or so?",
    ]


def test_a_marker_is_known_at_its_second_symbol() -> None:
    assert emitted_after("Hi there ||BREAK|| you")[0] == ("Hi there ||", "Hi there")


@pytest.mark.parametrize(
    "sloppy",
    [
        "||BREAK||",
        "|| BREAK ||",
        "||break||",
        "|| Break||",
        "|BREAK|",
        "|break|",
        "||BREAK",
        "||BREAK|",
        "BREAK||",
        "BREAK",
        "[BREAK]",
        "**BREAK**",
        "__BREAK__",
        "<BREAK>",
        "||",
        "||||",
        "|||||||||||||||",
        "||BREAK||||BREAK||",
        "||break||||break||",
        "||BREAK|| ||BREAK||",
        "\n\n||BREAK||\n\n",
        "||\nBREAK\n||",
    ],
)
def test_a_sloppy_marker_is_a_break(sloppy: str) -> None:
    text = f"one two three four five {sloppy} six seven"
    assert pieces(text) == ["one two three four five", "six seven"]
    assert in_tokens(list(text)) == ["one two three four five", "six seven"]
    assert strip_markers(text, MARKER) == "one two three four five six seven"


def test_a_marker_needs_no_spaces() -> None:
    assert pieces("one two three four five.||BREAK||Six") == ["one two three four five.", "Six"]


@pytest.mark.parametrize("cut", range(1, len(MARKER)))
def test_an_unfinished_marker_at_the_end_is_not_spoken(cut: int) -> None:
    assert pieces("All good " + MARKER[:cut]) == ["All good"]
    assert in_tokens(list("All good." + MARKER[:cut])) == ["All good."]


@pytest.mark.parametrize("cut", range(1, len(MARKER)))
def test_an_unfinished_marker_at_the_end_is_left_out_of_what_was_written(cut: int) -> None:
    assert without_unfinished("One. ||BREAK|| Two. " + MARKER[:cut], MARKER) == (
        "One. ||BREAK|| Two."
    )
    for whole in ("One. ||BREAK|| Two.", "One. ||BREAK||", "One.\n", ""):
        assert without_unfinished(whole, MARKER) == whole


@pytest.mark.parametrize("tail", ["|| BRE", "|| BREAK", "|| break", "||bre", "|b", "|| BREAK |"])
def test_a_sloppy_unfinished_marker_at_the_end_is_not_spoken(tail: str) -> None:
    assert pieces("All good " + tail) == ["All good"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("take a || break the ice", "take a break the ice"),
        ("have ||breakfast with us", "have breakfast with us"),
        ("BREAKING news, BREAKeven", "BREAKING news, BREAKeven"),
        ("let us take a break", "let us take a break"),
        ("Plan A or Plan B", "Plan A or Plan B"),
        ("Which plan? ||BREAK|| B", "Which plan? B"),
        ("a | b", "a b"),
        ("a|c", "a c"),
        ("|BREAKfast", "BREAKfast"),
        ("", ""),
        ("||", ""),
        (" ", ""),
        ("-----", "-----"),
    ],
)
def test_words_that_are_not_the_marker_stay(text: str, said: str) -> None:
    assert strip_markers(text, MARKER) == said
    assert " ".join(pieces(text)) == (said if re.search(r"\w", said) else "")


@pytest.mark.parametrize(
    ("marker", "text", "said"),
    [
        ("<br>", "one <br> two < BR > three <b", "one two three"),
        ("###", "one ### two # three ##", "one two three"),
        ("|", "one | two", "one two"),
        ("[[pause]]", "one [[pause]] two pause three", "one two pause three"),
        ("<x>", "one<x>two <x", "one two"),
        ("*A.B*", "one *A.B* two *AxB* or A.B, *A", "one two AxB or A.B,"),
    ],
)
def test_other_markers(marker: str, text: str, said: str) -> None:
    assert strip_markers(text, marker) == said
    assert " ".join(in_tokens(list(text), ChunkingOptions(break_marker=marker))) == said


def test_a_single_symbol_is_a_break_only_if_it_is_the_whole_marker() -> None:
    assert pieces("one | two", ChunkingOptions(break_marker="|", min_chunk_words=0)) == [
        "one",
        "two",
    ]
    assert pieces("one < two", ChunkingOptions(break_marker="<br>")) == ["one two"]


@pytest.mark.parametrize(
    "marker", ["", "BREAK", "||BREAK", "BREAK||", "..BREAK..", "| BREAK |", "$B$"]
)
def test_an_impossible_marker_is_refused(marker: str) -> None:
    with pytest.raises(ValueError, match="break marker"):
        ChunkingOptions(break_marker=marker)


def test_an_impossible_limit_is_refused() -> None:
    with pytest.raises(ValueError, match="max_chunk_words must be at least 1, not 0"):
        ChunkingOptions(max_chunk_words=0)
    with pytest.raises(ValueError, match="max_chunk_chars must be at least 1, not -1"):
        ChunkingOptions(max_chunk_chars=-1)
    with pytest.raises(ValueError, match="max_buffer_size must be at least 1, not 0"):
        ChunkingOptions(max_buffer_size=0)


# ---------------------------------------------------------------- sentences


def test_cuts_at_sentence_ends_as_they_stream() -> None:
    text = "This is the first one. And here is the second one! Is this one the third?"
    assert emitted_after(text) == [
        ("This is the first one. ", "This is the first one."),
        ("This is the first one. And here is the second one! I", "And here is the second one!"),
        (text, "Is this one the third?"),
    ]


@pytest.mark.parametrize(
    "sentence",
    [
        "Talk to Dr. Miller or Mrs. Smith",
        "It is 3.5 times as much as before",
        "We do that on some days, e.g. Tuesdays",
        "It costs $99.50 for each of them",
        "So... what would you say to that",
        "Well… maybe we can do that",
        "In the U.S. Senate it was said",
        "Call J. Smith about all of this",
        "Take No. 5 from the list",
        "Acme Inc. Germany is the same",
        "We meet at 10 a.m. Eastern time",
        "He has a Ph.D. Honestly speaking",
        "They use Yahoo! for all of it",
        "Our approx. Price is not known",
        "He asked (really?) what it was",
        "Write to sales@vantum.com or www.vantum.com today",
        "It is on Mon. Morning as always",
        "We saw Gen. Grant over there",
        "And . what",
        'So "No. 7" is what we want',
    ],
)
def test_no_sentence_ends_here(sentence: str) -> None:
    joined = f"One two three four five: {sentence}"
    opening = "A first piece is here. "
    assert pieces(opening + joined) == ["A first piece is here.", joined]


@pytest.mark.parametrize(
    "sentence",
    [
        "This is all we do.",
        "This is all we do?!",
        "This is all we do...",
        "This is all we do…",
        'He said "this is it."',
        "He said “this is it!”",
        "(This is all we do.)",
        "This is in the U.S.",
        "We can talk at 10 a.m.",
        "This was made by Acme Inc.",
        "I would take Plan B.",
        "They know it, and so do I.",
        "It costs you just $99.50.",
        "That was back in 2024.",
        "It runs on our API.",
        "I am your sales rep.",
        "We sit here in the sun.",
        "What they said was no.",
        "And this one is hard ...",
        "You can write to sales@vantum.com.",
        "Kya aap abhi sun rahe hain।",
    ],
)
def test_a_sentence_ends_here(sentence: str) -> None:
    opening = "A first piece is here. "
    assert pieces(f"{opening}{sentence} We do this.") == [
        "A first piece is here.",
        sentence,
        "We do this.",
    ]


def test_the_word_that_decides_is_awaited_in_full() -> None:
    before = "We sell in the U.S. "
    assert emitted_after(before + "We, too")[0] == (before + "We,", before.strip())
    assert pieces(before + "Western markets") == [before + "Western markets"]
    assert pieces(before + "We||BREAK||go on") == [before.strip(), "We go on"]
    assert pieces(before + "We") == [before.strip(), "We"]
    assert pieces(before + "“We") == [before + "“We"]


def test_a_list_number_goes_with_its_item() -> None:
    text = "1. Call them first. 2. Write to them after that. 3. Wait."
    assert pieces(text) == ["1. Call them first.", "2. Write to them after that.", "3. Wait."]


def test_a_line_break_ends_a_sentence() -> None:
    text = "Our plans are\n- the small one for you\n\n- the big one, and so on"
    assert pieces(text) == ["Our plans are", "- the small one for you", "- the big one, and so on"]


def test_scripts_without_spaces() -> None:
    text = "你好。我们今天可以谈一谈吗？“当然可以，请说下去。”谢谢您的时间"
    assert pieces(text) == [
        "你好。",
        "我们今天可以谈一谈吗？",
        "“当然可以，请说下去。”谢谢您的时间".replace("”", "” "),
    ]
    assert in_tokens(list(text)) == pieces(text)
    assert pieces("你好。。||BREAK|| Hello") == ["你好。。", "Hello"]


# ---------------------------------------------------------------- joining


def test_short_pieces_join_the_next_but_the_first_and_the_last() -> None:
    text = "Sure! Great. Yes. ||BREAK|| That is something we do. Bye."
    assert pieces(text) == ["Sure!", "Great. Yes. That is something we do.", "Bye."]


def test_the_first_piece_comes_at_once() -> None:
    assert emitted_after("Sure! We can")[0] == ("Sure! ", "Sure!")
    assert emitted_after("That is 5. We can")[0] == ("That is 5. W", "That is 5.")


def test_complete_mode_cuts_at_markers_and_limits_only() -> None:
    options = ChunkingOptions(fallback_mode="complete", max_chunk_chars=60)
    assert pieces("Sure! We can. In the U.S. We do.\nSo. Now", options) == [
        "Sure! We can. In the U.S. We do. So. Now"
    ]
    assert pieces("Sure! We can do that. ||BREAK|| So. Now", options) == [
        "Sure! We can do that.",
        "So. Now",
    ]
    text = "One is here. Two is here, and it is a longer one. Three is longer than that"
    assert pieces(text, options) == [text[:49], text[50:]]


def test_lone_punctuation_joins_or_is_dropped() -> None:
    assert pieces("... ||BREAK|| Hi ||BREAK|| !") == ["... Hi"]
    assert pieces("…") == []
    assert pieces("-" * 1000) == []


# ---------------------------------------------------------------- limits


def test_a_forced_cut_is_at_the_last_sentence_end() -> None:
    options = ChunkingOptions(max_chunk_chars=30)
    assert pieces("First. Oh. but this one goes on and on", options) == [
        "First.",
        "Oh. but this one goes on and",
        "on",
    ]
    assert pieces("First. Oh. But this one goes on and on", options) == [
        "First.",
        "Oh.",
        "But this one goes on and on",
    ]


def test_a_forced_cut_is_at_the_last_space() -> None:
    options = ChunkingOptions(max_chunk_chars=20)
    assert pieces("one two three four five six", options) == ["one two three four", "five six"]
    assert pieces("one two three four20 six", options) == ["one two three four20", "six"]
    assert pieces("one two three four5 s", options) == ["one two three four5", "s"]


def test_a_forced_cut_without_space_is_hard() -> None:
    options = ChunkingOptions(max_chunk_chars=20)
    assert pieces("x" * 50, options) == ["x" * 20, "x" * 20, "x" * 10]


def test_a_forced_cut_counts_words() -> None:
    options = ChunkingOptions(max_chunk_words=3, min_chunk_words=3)
    assert pieces("a b c d e f g", options) == ["a b c", "d e f", "g"]
    assert pieces("Yes. an ox. Dogs eat far", options) == ["Yes.", "an ox.", "Dogs eat far"]


def test_no_more_is_held_back_than_the_buffer() -> None:
    options = ChunkingOptions(max_buffer_size=20)
    assert max(map(len, pieces("word " * 50, options))) <= 20


def test_a_forced_cut_drops_a_doubtful_end() -> None:
    options = ChunkingOptions(max_chunk_chars=20)
    assert pieces("we sell in the U.S. Whatever", options) == ["we sell in the U.S.", "Whatever"]
    assert pieces("sell in the U.S. Washington", options) == ["sell in the U.S.", "Washington"]
    assert pieces("in the U.S. WabcdefghijkWe go", options) == ["in the U.S.", "WabcdefghijkWe go"]


# ---------------------------------------------------------------- properties


def split_words(line: str) -> list[str]:
    return line.split()


WORDS = st.sampled_from(
    [
        *split_words(
            "Hello we can talk at noon Dr. Mr. e.g. U.S. We The 3.5 $99.50. 1. No. no. I. B. a.m. "
            'Sure! What? well... … said.” (yes.) break BREAK BREAKS [BREAK] B BR - — " x! '
            "你好。谢谢 。 iPhone Inc. || | |b ||BRE ||BREAK|| ||BREAK|| ||break||"
        ),
        "|| BREAK ||",
        "Wonderful" * 9,
        "-" * 12,
    ]
)
SPACES = st.sampled_from([" ", " ", " ", " ", "", "\n", "\n\n", "  \n ", "\u00a0", "\r\n"])
SPOKEN = st.lists(st.tuples(WORDS, SPACES), max_size=25).map(lambda p: "".join(w + s for w, s in p))
NOISE = st.text(alphabet="|BREAKbreak .!?\r\n。”a1-", max_size=60)
TEXTS = st.one_of(SPOKEN, NOISE, st.text(max_size=60))
OPTIONS = st.builds(
    ChunkingOptions,
    break_marker=st.sampled_from(["||BREAK||", "||BREAK||", "<br>", "##", "|"]),
    min_chunk_words=st.integers(0, 6),
    max_chunk_words=st.sampled_from([1, 2, 5, 50]),
    max_chunk_chars=st.sampled_from([1, 7, 20, 45, 300]),
    max_buffer_size=st.sampled_from([10, 400]),
    fallback_mode=st.sampled_from(["sentence", "complete"]),
)


def split(text: str, borders: list[int]) -> list[str]:
    """`text` as tokens, cut at `borders` (modulo its length); some tokens may be empty."""
    at = sorted(border % (len(text) + 1) for border in borders)
    return [text[a:b] for a, b in zip([0, *at], [*at, len(text)], strict=True)]


@settings(max_examples=150, deadline=None)
@given(TEXTS, OPTIONS, st.lists(st.integers(0, 10_000), max_size=12))
@example("Hi ||BREAK|| you", DEFAULT, [5])
@example("We sell in the U.S. We do", DEFAULT, [20, 21])
@example("Oh。\r\n”I go on", DEFAULT, [4])
def test_the_pieces_do_not_depend_on_the_tokens(
    text: str, options: ChunkingOptions, borders: list[int]
) -> None:
    whole = pieces(text, options)
    assert in_tokens(split(text, borders), options) == whole
    assert in_tokens(list(text), options) == whole


@settings(max_examples=100, deadline=None)
@given(TEXTS, OPTIONS)
def test_each_piece_comes_out_at_a_certain_character(text: str, options: ChunkingOptions) -> None:
    one_by_one = Chunker(options)
    so_far: list[str] = []
    for n, char in enumerate(text):
        so_far += one_by_one.feed(char)
        assert Chunker(options).feed(text[: n + 1]) == so_far


@settings(max_examples=150, deadline=None)
@given(TEXTS, OPTIONS)
def test_nothing_is_lost_added_or_moved(text: str, options: ChunkingOptions) -> None:
    said = strip_markers(text, options.break_marker)
    spoken = "".join("".join(pieces(text, options)).split())
    expected = "".join(said.split())
    assert [c for c in expected if c.isalnum()] == [c for c in spoken if c.isalnum()]
    small = min(options.max_chunk_chars, options.max_buffer_size) < 45
    if options.max_chunk_words == 50 and not small:
        # Only punctuation may be missing, and only at the end or if it fills a piece by itself.
        assert expected.startswith(spoken) or re.search(r"[\W_]{9}", expected)


@settings(max_examples=150, deadline=None)
@given(TEXTS, OPTIONS)
def test_no_piece_is_over_the_limits(text: str, options: ChunkingOptions) -> None:
    for piece in pieces(text, options):
        assert len(piece) <= min(options.max_chunk_chars, options.max_buffer_size)
        assert len(piece.split()) <= options.max_chunk_words
        assert piece == " ".join(piece.split())
        assert any(c.isalnum() for c in piece)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["||BREAK||", "|| BREAK ||", "||break||", "||", "|", "||BREAK", "BREAK||", "||BRE"]
        ).map(lambda m: f"{m} ")
        | st.sampled_from(["one ", "two. ", "Three! ", "\n"]),
        max_size=20,
    ),
    st.integers(0, 9),
    st.lists(st.integers(0, 10_000), max_size=8),
)
def test_no_part_of_the_marker_is_spoken(parts: list[str], cut: int, borders: list[int]) -> None:
    parts = [part for part in parts if part != "||BRE "]  # unfinished only at the end: below
    text = "".join(parts) + MARKER[:cut]
    spoken = in_tokens(split(text, borders))
    assert set(" ".join(spoken).split()) <= {"one", "two.", "Three!"}


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(["So.", "We can do it.", "And we do that now."]), max_size=12))
def test_only_the_first_and_the_last_piece_are_short(sentences: list[str]) -> None:
    found = pieces(" ".join(sentences))
    assert all(len(piece.split()) >= 5 for piece in found[1:-1])
    assert found[:1] == sentences[:1]


@settings(max_examples=40, deadline=None)
@given(st.lists(WORDS | SPACES | st.sampled_from("|-B. x"), min_size=1, max_size=5), OPTIONS)
def test_what_is_held_back_and_so_the_work_on_a_token_is_bounded(
    repeated: list[str], options: ChunkingOptions
) -> None:
    chunker = Chunker(options)
    for char in "".join(repeated) * 40:
        chunker.feed(char)
        assert chunker.held_chars <= min(options.max_chunk_chars, options.max_buffer_size) + 30


def test_held_characters_are_counted() -> None:
    chunker = Chunker(DEFAULT)
    chunker.feed("one two ||BRE")
    assert chunker.held_chars == len("||BRE")
    chunker.feed("AD")
    assert chunker.held_chars == len("BREAD")
    chunker.finish()
    assert chunker.held_chars == 0
