"""What a small model says is judged sentence by sentence."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vantum.providers.local.choosing import nearest
from vantum.providers.local.faithful import is_faithful, swaps_sides
from vantum.providers.local.guard import Guard, is_whole, split_sentences
from vantum.providers.local.playbook import AGREED, DECLINED, EXAMPLES, QUESTIONS, STATEMENTS
from vantum.providers.local.smollm import opening_of

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
    assert say(guard, " be good to call back? And why? I see.") == " be good to call back?"


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


# ---------------------------------------------------------------- what an example allows


@pytest.mark.parametrize(
    ("example", "bad"),
    [
        # you and me
        ("A colleague can call you back.", "A colleague can call me back."),
        (
            "May a colleague go through your tools with you?",
            "May a colleague go through your tools with me?",
        ),
        ("May we explain how we protect your data?", "May we explain how we protect my data?"),
        ("If you like, I will call you.", "If I like, I will call you."),
        # no sentence, or another point
        ("Would a short demo on Tuesday suit you better?", "Would a short demo next week?"),
        ("How does your team find new customers today?", "How does that work?"),
        ("How does your team find new customers today?", "How do you do it?"),
        ("How does your team find new customers?", "How does your team finds new customers?"),
        # a number, a day, a term or a promise that nobody gave
        ("The price depends on your calls.", "The price depends on three calls."),
        ("When would be a good time to call you?", "Would Friday be a good time to call you?"),
        ("The terms of a trial are simple.", "The terms of a trial are simple and free."),
        ("A colleague can call you back.", "I will have a colleague call you back."),
        # nothing that the example did not speak of
        (
            "A colleague can call you back.",
            "A colleague in Paris, a nice lawyer, can call you back.",
        ),
    ],
)
def test_what_an_example_does_not_say_is_refused(example: str, bad: str) -> None:
    def may_say(sentence: str) -> bool:
        return is_faithful(sentence, example, opening="", known=example, closing=False)

    assert may_say(example)
    assert not may_say(bad)
    assert say(Guard(sentences=2, model=example), bad).strip() == example


@pytest.mark.parametrize(
    ("example", "good"),
    [
        ("Shall we set up a short call with both of you?", "Shall we set up a call with you both?"),
        ("If you like, I will take you off our list.", "I'll take you off the list if you like."),
        (
            "Would a short demo on Tuesday suit you better?",
            "Would a short demo suit you on Tuesday?",
        ),
    ],
)
def test_an_example_may_be_put_in_other_words(example: str, good: str) -> None:
    assert say(Guard(sentences=2, model=example), good) == good


def test_days_and_numbers_of_the_prospect_may_be_taken_up() -> None:
    example, own = (
        "Would a short demo this week suit you?",
        "Would a short demo Friday at two suit you?",
    )
    assert not is_faithful(own, example, opening="", known=example, closing=False)
    known = f"Friday at two would be okay. {example}"
    assert is_faithful(own, example, opening="", known=known, closing=False)
    assert not is_faithful(own, example, opening="", known=known, closing=True)


_PERSONS = st.sampled_from(["i", "me", "my", "we", "us", "our", "you", "your"])


@given(st.lists(st.sampled_from(["call", "back", "the", "with", "take"]) | _PERSONS, max_size=9))
def test_nothing_swaps_sides_with_itself(words: list[str]) -> None:
    assert not swaps_sides(" ".join(words), " ".join(words))


REFUSALS = (
    "I am not interested, thank you.",
    "nah we're fine thanks",
    "um no we're all set",
    "look we really don't need anything like that",
    "please take me off your list and don't call again",
    "I told you people to quit calling here",
)
UNASKED = ("I'll see you tomorrow!", "We'll call you next week.", "But it is free for 3 days.")


@pytest.mark.parametrize("heard", REFUSALS)
def test_a_refusal_ends_politely_whatever_the_model_says(heard: str) -> None:
    example = nearest(heard)
    assert example.closing
    for bad in (*UNASKED, "May I ask why?", "Would a short demo suit you?", "", "You're good."):
        opening = opening_of(example)
        guard = Guard(
            sentences=2,
            heard=heard,
            known=heard,
            opening=opening,
            model=example.answer,
            closing=True,
        )
        assert opening + say(guard, f" {bad} {bad}") == example.answer


def test_a_goodbye_is_said_though_the_model_stops_before_it() -> None:
    model = "That's fine, I won't take more of your time. Have a great day!"
    guard = Guard(sentences=2, opening="That's fine, I won't", model=model, closing=True)
    assert say(guard, " take more of your time.") == " take more of your time. Have a great day!"


def test_nothing_is_asked_in_a_goodbye() -> None:
    example = "Have a great day!"
    assert is_faithful("Have a great day?", example, opening="", known=example, closing=False)
    assert not is_faithful("Have a great day?", example, opening="", known=example, closing=True)


BABBLE = "I you me my your will call back to and a 3 free tomorrow demo data . ? !"
EVERY = (*EXAMPLES, *QUESTIONS, *STATEMENTS, AGREED, DECLINED)


@given(
    st.sampled_from(EVERY),
    st.lists(
        st.sampled_from(BABBLE.split()),
        max_size=24,
    ),
)
@settings(max_examples=150)
def test_no_babble_of_the_model_is_heard(example: object, words: list[str]) -> None:
    assert isinstance(example, type(AGREED))
    opening = opening_of(example)
    guard = Guard(sentences=2, opening=opening, model=example.answer, known=example.answer)
    whole = opening + say(guard, " " + " ".join(words).replace(" .", ".").replace(" ?", "?"))
    said, meant = split_sentences(whole), split_sentences(example.answer)
    assert 1 <= len(said) <= 2
    for sentence, model in zip(said, meant, strict=False):
        assert is_whole(sentence)
        assert not swaps_sides(sentence, model)
        assert not {"tomorrow", "3", "free"} & set(sentence.lower().split()) - set(
            model.lower().split()
        )


@settings(max_examples=60, deadline=None)
@given(st.text("abc .?!\nI12[", max_size=80), st.integers(1, 9), st.booleans())
def test_how_the_text_was_cut_into_tokens_changes_nothing(
    text: str, size: int, strict: bool
) -> None:
    def whole() -> Guard:
        return Guard(sentences=3, strict=strict, opening="Of course.", model=EXAMPLE)

    assert say(whole(), text, size) == say(whole(), text, 1)
