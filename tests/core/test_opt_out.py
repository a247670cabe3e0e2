"""Who asks not to be called again, and who only sounds like it."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vantum.core.opt_out import opt_out_phrase

ASKS = """
stop calling me
please stop calling me
Stop calling.
can you please stop calling me thank you
I want you to stop calling me
would you people stop calling my house
will you stop calling me
if you don't stop calling me I'll call the police
you never stop calling me
why don't you stop calling me
quit calling this number
stop bothering me
stop contacting us
stop calling me I'm not interested
stop calling me, take me off your list
tell your people to stop calling me
stop these calls
stop with the calls
don't call me again
Please don't call me again!
do not call me anymore
dont call me any more
never call me again
don't ever call me again
don't you ever call me again
don't you dare call me again
don't call again
don't call here again
don't call this number
please do not call
don't call me
just don't call me okay
don't call me back
don't call back
don't contact me
do not contact me again
don't keep calling me
I told you not to call me
I asked you not to call me again
I'd appreciate it if you didn't call me again
I'd rather you not call me anymore
I would like you to not call me
you can't call me anymore
you shouldn't call here
I don't want you to call me
I don't want you to call me again
I don't want you calling me
I don't want to be called
I don't want to be contacted again
I do not wish to be contacted
I no longer wish to be called
I'd rather not be called again
I don't want any more calls
I don't want these calls
I don't want to receive any calls
I don't want to get your calls
I don't want to hear from you again
I never want to hear from you again
I no longer want to receive your calls
no more calls please
No more calls.
take me off your list
take me off your calling list
take me off of your list
please take us off the list
can you take my number off your list
remove me from your list
remove my number
please remove my number from your database
remove this number from your system
delete my number
delete my number please
get me off this list
take me off
remove me please
I want to be taken off your list
I want to be removed from your call list
I want off this list
can I be removed from your list
put me on your do not call list
put me on the do-not-call list
add me to your do not call list
I'm on the do not call list
this number is on the national do not call registry
if you don't take me off your list I'll sue
why haven't you taken me off your list
you said you'd take me off your list
opt me out
I want to opt out
I'd like to opt out please
lose my number
forget my number
leave me alone
please leave me alone
just leave us alone
unsubscribe me
I revoke my consent
stop calling me all the time
stop calling me every day
how many times do I have to tell you stop calling me
I said don't call me
look I'm busy don't call me again okay
STOP CALLING ME
Not interested. Don’t call me again.
don't call me at this number
I do not want to be called anymore
hey um stop uh no really stop calling me
I don't want you people calling here
don't phone me again
don't ring me again please
I won't tell you again stop calling me
take me off the damn list
you're not allowed to call me again
you are not allowed to call here anymore
don't bother calling me again
look you guys keep calling stop calling
could you please remove me from the list
i said take me off the list
can you guys not call me anymore
can you not call me again please
please don't call this number anymore
i'm not interested please don't call again
i'm not interested don't call back
y'all need to stop calling
you need to stop calling me
you all have to stop calling here
i need you to stop calling me
i'd like you to stop calling
add us to the do not call list
never call this number again
please never contact me again
would you please take our number out of your system
i want my number removed
i want my number deleted from your database
please get my number out of your system
stop with these calls
no more phone calls
please cease all calls
make sure you don't call me again
make sure nobody calls me again
i do not give you permission to call me
you do not have my permission to call me
you don't have my consent to call
I never gave you permission to call me
please make sure I'm not called again
just take me off
take me off the call list
hey can I get off this list
I don't want nobody calling me
I don't wanna be called again
I don't wanna get any more calls from you
don't you call me again
stop calling my phone
stop calling my mom's phone
stop calling me man
stop calling me dude seriously
stop calling me okay
would you stop calling
stop freaking calling me
stop fucking calling me
can you stop calling me
I am asking you to stop calling me
I'm begging you stop calling me
don't ever contact us again
do not ever call again
please put me on your internal do not call
you are harassing me stop calling
I keep asking you to stop calling and you keep calling
if you call me again I'll sue you
""".strip().splitlines()

DOES_NOT = """
don't stop calling
don't stop calling me
please don't stop calling me
I'll call you again
could you call me again
can you call me back tomorrow
they never stop calling me
they won't stop calling me
my friends never stop calling me
he told me to stop calling
she asked me to stop calling her
my mother told me to stop calling
I'll stop calling you
I should stop calling
should I stop calling
I want them to stop calling me
make them stop calling me
stop calling me sir
stop calling me Bob
stop calling me that
don't call me Bob
don't call me crazy
don't call me tomorrow
don't call me before nine
don't call me on Monday
don't call me again today
please don't call me again until Friday
don't call me in the morning
don't hesitate to call me
don't forget to call me
why don't you call me tomorrow
why don't you call me again tomorrow
why don't you call me back
you don't call me enough
if you don't call me by five I'm out
they don't call me
they don't call me anymore
my kids don't call me anymore
I don't call here anymore
he said don't call me again
I'm not asking you to stop calling me
I didn't say stop calling me
I never said stop calling me
don't take me off your list
please don't take me off your list
I don't want you to take me off your list
I didn't ask you to take me off your list
do not remove me from your list
there were no more calls
we had no more calls yesterday
I don't want you to call me tomorrow
I don't want you to call me before nine
I don't want to be called Bob
I don't want them to call me
I told my wife not to call me
stop
stop it
hold on stop
stop by the office and call me
wait stop call me later
I need to take this call
take me through your list
take me off speaker
put me on the list
we take calls all day
the calls never stop
our old system won't stop calling customers twice
they left me alone
don't leave me alone
who stopped calling
can I call you again
call me again next week
you could not have called at a better time
I don't want to stop calling
did they stop calling
remove the number from the invoice
I don't mind if you call me again
do you call people again
I don't want to opt out
don't opt me out
I want more calls for my business
no more calls come in since we changed the provider
what list did you get me from
who else is on your list
don't worry call me again
no don't worry, call me any time
I'd like to remove some leads from our list
we don't want to lose any calls
I can't stop calling it that
it's not like you can't call me again
he never calls me back
you can call me again any time
I don't need a list
do you want me to stop calling
i don't want to stop the service
don't call me ma'am
please don't call me before you have the numbers
don't call it that
i don't call people
we don't call again once they said no
i can't take calls at work
remove me from the cc
i'll take you off my list
take my name and number
is my name on your list
don't call my boss Bob
don't call it quits
can we get off this topic
we want to get our product off the ground
they told us to stop calling their customers
our reps stop calling after three tries
I hope you don't stop calling
how many calls do you make
no calls today
don't call us we'll call you later today
I was told not to call before ten
do you ever stop calling people
can you call me at this number again
you can't call me a fan of that
take us through the list of features
we need a system to stop calling people twice
we use a tool that will remove me from spam
if they call me again I'll scream
the robots don't call me anymore
you don't have to call me sir
never mind call me again
I don't want to be contacted by email call me
would it be ok if you call me again
never call a lead twice is our rule
please don't hang up
""".strip().splitlines()


@pytest.mark.parametrize("said", ASKS)
def test_asks_for_an_end(said: str) -> None:
    assert opt_out_phrase(said)


@pytest.mark.parametrize("said", DOES_NOT)
def test_asks_for_nothing_of_the_kind(said: str) -> None:
    assert opt_out_phrase(said) is None


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("Look, I'm busy. Please stop calling me, OK?", "stop calling me"),
        (
            "Well, take my number off of your damn calling list!",
            "take my number off of your calling list",
        ),
        ("I do NOT want to be called anymore", "do not want to be called"),
        ("No more calls.", "no more calls"),
        ("Yeah, no, stop calling … don't call it a day yet.", "stop calling"),
        ("Please stop calling me—Bob said so.", "stop calling me"),
    ],
)
def test_the_words_that_were_found(said: str, words: str) -> None:
    assert opt_out_phrase(said) == words


def test_phrases_of_other_languages() -> None:
    more = ("rufen Sie mich nicht mehr an", "ne m'appelez plus", " ")
    assert opt_out_phrase("Bitte, rufen Sie mich nicht mehr an!", more, ()) == more[0].lower()
    assert opt_out_phrase("Ne m’appelez plus.", more, ()) == more[1]
    assert opt_out_phrase("Rufen Sie mich nicht mehr am Montag an", more, ()) is None
    assert opt_out_phrase("Bitte, rufen Sie mich nicht mehr an!", (), ()) is None
    assert opt_out_phrase("Bel mij niet meer!", ["bel mij niet meer"]) == "bel mij niet meer"


#: What people say around it, ended by a stop: none of it asks for anything.
AROUND = [
    "Hello?",
    "Yes, speaking.",
    "I'm in a meeting right now.",
    "Who is this?",
    "I don't know what you mean.",
    "Um, uh, well.",
    "It's 3.50 a month, right?",
    "My wife calls me at noon.",
    "We don't need anything.",
]


@given(
    st.sampled_from(ASKS),
    st.lists(st.sampled_from(AROUND), max_size=3),
    st.lists(st.sampled_from(AROUND), max_size=3),
    st.sampled_from([str.lower, str.upper, str.capitalize, str]),
    st.sampled_from([".", "!", "?", "", " ..."]),
)
def test_it_is_found_in_whatever_is_said(
    said: str, before: list[str], after: list[str], case: object, stop: str
) -> None:
    spoken = case(said.rstrip(".!")) + (stop or ("." if after else ""))  # type: ignore[operator]
    assert opt_out_phrase(" ".join([*before, spoken, *after]))


@given(st.lists(st.sampled_from([*DOES_NOT, *AROUND]), max_size=5))
def test_what_is_harmless_is_harmless_together(parts: list[str]) -> None:
    assert opt_out_phrase(". ".join(part.rstrip(".?") for part in parts)) is None


@given(st.text(max_size=200))
def test_any_text_can_be_asked_about(text: str) -> None:
    found = opt_out_phrase(text)
    assert found is None or (found and found == found.strip().lower())
    assert opt_out_phrase(f" {text} ") == found, "white space around it says nothing"


@pytest.mark.parametrize(
    "text",
    [
        "don't want any more " * 3000,
        "take me off of " * 4000,
        "i really never not have had " * 3000,
        "please " * 9000,
        "." * 60_000,
    ],
)
def test_a_hostile_text_takes_no_more_than_its_length(text: str) -> None:
    began_s = time.process_time()
    opt_out_phrase(text)
    assert time.process_time() - began_s < 10  # what explodes takes hours
