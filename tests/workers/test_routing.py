"""Which worker a request is for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vantum.workers.routing import (
    At,
    Here,
    Load,
    Nowhere,
    Place,
    labels_of,
    place_of,
    place_of_new,
    shares,
)

LABELS = labels_of(3)
ID = "01a1fb85-6bdb-741c-b276-9fa978af9501"


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/ws", Here()),
        ("/health", Here()),
        ("/twilio/voice", Here()),
        ("/v1/calls", Here()),
        # Without a label: one worker knows which tokens were used.
        ("/twilio/stream", At("w0")),
        ("/twilio/stream/w0", At("w0")),
        ("/twilio/stream/w2", At("w2")),
        ("/twilio/stream/w3", Nowhere("w3")),
        ("/twilio/stream/", Nowhere("")),
        ("/twilio/stream/w1/", Nowhere("w1/")),
        ("/twilio/stream/W1", Nowhere("W1")),
        ("/twilio/streams", Here()),
        (f"/twilio/calls/w1-{ID}/status", At("w1")),
        (f"/twilio/calls/w2-{ID}/amd", At("w2")),
        (f"/v1/calls/w2-{ID}", At("w2")),
        # What is stored, all can tell.
        (f"/v1/calls/w9-{ID}", Here()),
        (f"/twilio/calls/w9-{ID}/status", Here()),
        (f"/v1/calls/{ID}", Here()),
        ("/v1/calls/w1", Here()),
        ("/v1/calls/w1-", Here()),
        (f"/v2/calls/w1-{ID}", Here()),
        (f"/x/v1/calls/w1-{ID}", Here()),
    ],
)
def test_place_of_a_path(path: str, place: Place) -> None:
    assert place_of(path, LABELS) == place


@given(st.text(st.sampled_from("/twilosreamcv1-0w29. \n"), max_size=40), st.integers(1, 4))
def test_only_workers_that_exist_are_handed_anything(path: str, workers: int) -> None:
    labels = labels_of(workers)
    place = place_of(path, labels)
    assert not isinstance(place, At) or place.label in labels


@given(st.integers(1, 100_000), st.integers(1, 256))
def test_shares_are_all_of_it_and_differ_by_one_at_most(total: int, workers: int) -> None:
    found = shares(total, workers)
    assert len(found) == workers
    assert sum(found) == total
    assert max(found) - min(found) <= 1


LOADS = st.dictionaries(
    st.sampled_from(labels_of(4)),
    st.builds(Load, st.integers(0, 5), st.integers(1, 5)),
)


@given(st.sampled_from(labels_of(4)), LOADS)
def test_something_new_goes_where_there_is_a_place_and_the_least_to_do(
    own: str, loads: dict[str, Load]
) -> None:
    chosen = place_of_new(own, loads)
    if chosen not in loads:
        assert (chosen, loads) == (own, {})
        return
    if any(not load.is_full for load in loads.values()):
        assert not loads[chosen].is_full
    rivals = [load for load in loads.values() if load.is_full == loads[chosen].is_full]
    assert loads[chosen].sessions == min(load.sessions for load in rivals)


@given(st.sampled_from(labels_of(4)), LOADS)
def test_what_is_no_better_elsewhere_stays(own: str, loads: dict[str, Load]) -> None:
    chosen = place_of_new(own, loads)
    if own in loads and chosen != own:
        mine, theirs = loads[own], loads[chosen]
        assert (theirs.is_full, theirs.sessions) < (mine.is_full, mine.sessions)


@given(st.lists(st.sampled_from(labels_of(3)), max_size=30))
def test_wherever_calls_arrive_they_are_spread_evenly(arrivals: list[str]) -> None:
    held = dict.fromkeys(labels_of(3), 0)
    for label in arrivals:
        held[place_of_new(label, {name: Load(n, 100) for name, n in held.items()})] += 1
        assert max(held.values()) - min(held.values()) <= 1
