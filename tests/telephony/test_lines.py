"""Lines and places never leak, whatever is done to calls."""

from __future__ import annotations

from contextlib import suppress

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.telephony.office import an_office
from vantum.errors import VantumError
from vantum.telephony.lines import Lines, NoLine
from vantum.testing.calls.virtual import simulate
from vantum.testing.twilio import (
    AnsweringMachine,
    Busy,
    Callbacks,
    Failed,
    HangUp,
    NoAnswer,
    Pause,
    Person,
    RestFault,
    TwilioScript,
)

NUMBERS = [f"+121255501{n}" for n in range(10, 50)]
PERSONAS = (
    Person((Pause(4), HangUp()), rings_s=2),
    Person(rings_s=20),
    Busy(),
    NoAnswer(),
    Failed(),
    AnsweringMachine(),
)


async def test_a_lease_ends_however_its_body_ends() -> None:
    lines = Lines(1)

    async def fail() -> None:
        async with lines.lease():
            assert lines.taken == 1
            with pytest.raises(NoLine, match="all 1 phone lines are taken"):
                async with lines.lease():
                    pass
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    with trio.CancelScope() as scope:
        async with lines.lease():
            scope.cancel()
            await trio.sleep_forever()
    assert lines.taken == 0
    lines.closed = True
    with pytest.raises(NoLine, match="going down"):
        async with lines.lease():
            pass


WHAT = st.lists(
    st.tuples(
        st.sampled_from(["place", "place", "ring", "hang_up", "wait"]),
        st.sampled_from(PERSONAS),
        st.integers(0, 40),
    ),
    min_size=1,
    max_size=8,
)
FAULTS = st.lists(
    st.none() | st.sampled_from(["server", "rate", "hang", "refuse", "drop"]).map(RestFault),  # type: ignore[arg-type]
    max_size=8,
).map(tuple)


@settings(max_examples=15)
@given(
    WHAT,
    FAULTS,
    st.builds(Callbacks, *[st.sampled_from([0.0, 0.5, 1.0])] * 3),
    st.integers(0, 3),
)
def test_no_line_and_no_place_leaks(
    what: list[tuple[str, object, int]],
    faults: tuple[RestFault | None, ...],
    callbacks: Callbacks,
    seed: int,
) -> None:
    async def run() -> None:
        by_number = dict(zip(NUMBERS, (persona for _, persona, _ in what), strict=False))
        script = TwilioScript(personas=by_number, faults=faults, callbacks=callbacks, seed=seed)  # type: ignore[arg-type]
        async with (
            an_office(script, max_lines=3, max_call_ms=30_000) as office,
            trio.open_nursery() as nursery,
        ):

            async def place(number: str) -> None:
                with suppress(VantumError):
                    await office.place(number)

            for number, (action, persona, after) in zip(NUMBERS, what, strict=False):
                live = office.calls.all_live
                match action:
                    case "place":
                        nursery.start_soon(place, number)
                    case "ring" if isinstance(persona, Person):
                        office.twilio.ring("https://server.test/twilio/voice", persona)
                    case "hang_up" if live:
                        nursery.start_soon(office.calls.hang_up, live[after % len(live)].id)
                await trio.sleep(after / 4)
                assert office.calls.lines.taken <= 3
            with trio.fail_after(400):
                while not office.is_idle():  # noqa: ASYNC110 (virtual time costs nothing)
                    await trio.sleep(1)
            # Each record is final, and each call that Twilio had is over.
            for record in await office.calls.list(limit=200):
                assert record.is_over
                assert record.ended_s is not None
            with trio.fail_after(200):
                for call in office.twilio.calls:
                    await call.over.wait()

    simulate(run)
