"""What a small model says is judged sentence by sentence."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vantum.providers.local.guard import Guard, split_sentences

EXAMPLE = "Of course. When would be a good time to call you back?"


def say(guard: Guard, text: str, size: int = 4) -> str:
    parts = [text[at : at + size] for at in range(0, len(text), size)]
    return "".join(guard.feed(part) for part in parts) + guard.finish()


def test_good_sentences_pass_unchanged_up_to_the_limit() -> None:
    guard = Guard(sentences=2)
    assert say(guard, "I see. What do you sell? And where? Why?") == "I see. What do you sell?"
    assert guard.done


def test_what_follows_the_limit_is_not_waited_for() -> None:
    guard = Guard(sentences=1)
    guard.feed("I see. W")
    assert guard.done
    assert guard.feed("hat?") == ""


def test_a_sentence_waits_until_it_is_complete() -> None:
    guard = Guard(sentences=2)
    assert guard.feed("I see") == ""
    assert guard.feed(".") == ""
    assert guard.feed(" W") == "I see."


def test_an_abbreviation_does_not_end_a_sentence() -> None:
    assert say(Guard(sentences=1), "Ask Dr. Miller first. Then me.") == "Ask Dr. Miller first."


@pytest.mark.parametrize(
    "bad",
    [
        "I'm glad you're here. I'm glad you're here.",
        "I'm not sure, I'm not sure, I'm not sure.",
        "It costs 100 dollars.",
        "Alex: hello there my friend.",
        "Assistant: hello there.",
        "My name is [Your Name].",
        "As a language model I cannot know.",
        "I'm sorry for any misunderstanding.",
        "Can you please call me later?",
        " ".join(["so many words that nobody listens"] * 8) + ".",
    ],
)
def test_a_bad_sentence_ends_the_answer(bad: str) -> None:
    guard = Guard(sentences=3, heard="Can you please call me later?")
    said = say(guard, f"Fine with me. {bad} Never heard.")
    assert said in ("Fine with me.", "Fine with me. I'm glad you're here.")
    assert guard.done


def test_an_unfinished_last_sentence_is_not_spoken() -> None:
    assert say(Guard(sentences=3), "Fine with me. This one never comes to") == "Fine with me."


def test_the_example_stands_in_for_a_bad_first_sentence() -> None:
    guard = Guard(sentences=2, opening="Of course. When would", model=EXAMPLE)
    assert say(guard, " I be 100 years old? I see.") == " be a good time to call you back?"


def test_the_example_stands_in_for_a_bad_second_sentence() -> None:
    guard = Guard(sentences=2, opening="Of course.", model=EXAMPLE)
    assert say(guard, " It costs $5. I see.") == " When would be a good time to call you back?"


def test_an_opening_is_part_of_its_sentence_and_counts() -> None:
    guard = Guard(sentences=2, opening="Of course. When would", model=EXAMPLE)
    assert say(guard, " it suit you? And why? I see.") == " it suit you?"


def test_an_opening_that_nothing_follows_is_completed() -> None:
    guard = Guard(sentences=2, opening="Of course. When would", model=EXAMPLE)
    assert guard.finish() == " be a good time to call you back?"


def test_numbers_that_were_given_may_be_said() -> None:
    assert say(Guard(sentences=2, known="200 calls"), "I see. 200 calls it is.") == (
        "I see. 200 calls it is."
    )


def test_the_only_sentence_is_better_than_silence() -> None:
    assert say(Guard(sentences=2), "It is around 12 dollars") == "It is around 12 dollars"


def test_a_new_line_ends_the_answer_but_not_before_it_began() -> None:
    assert say(Guard(sentences=5), "\n\nI see.\nUser: what?") == "I see."


def test_a_model_that_knows_what_it_says_is_left_alone() -> None:
    text = "It costs $100. See [the list]. You asked: can you please call me later?"
    assert say(Guard(sentences=9, strict=False, heard="can you please call me later"), text) == text


def test_even_then_a_loop_ends_it() -> None:
    said = say(Guard(sentences=99, strict=False), "I see that well. " * 20)
    assert said == "I see that well."


def test_sentences_are_split_with_their_abbreviations() -> None:
    assert split_sentences("Hi! Ask Dr. Who. Now") == ["Hi!", "Ask Dr. Who.", "Now"]
    assert split_sentences("  ") == []


@settings(max_examples=60, deadline=None)
@given(st.text("abc .?!\nI12[", max_size=80), st.integers(1, 9), st.booleans())
def test_how_the_text_was_cut_into_tokens_changes_nothing(
    text: str, size: int, strict: bool
) -> None:
    def whole() -> Guard:
        return Guard(sentences=3, strict=strict, opening="Of course.", model=EXAMPLE)

    assert say(whole(), text, size) == say(whole(), text, 1)
