"""The scorecard of turn-taking: its arithmetic, its labels, and a small one on recorded voices."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
from attrs import evolve

from benchmarks.turns.card import (
    VARIANTS,
    Curve,
    between,
    defaults,
    play_ends,
    play_overlaps,
    shipped_interruption,
)
from benchmarks.turns.echoes import OTHERS, SPEAKERPHONES, Place, echo_track, echoes
from benchmarks.turns.hearing import Models
from benchmarks.turns.items import (
    Beds,
    Item,
    Pause,
    lay,
    levels_db,
    named_rng,
    normal,
    pauses_in,
    sentence_gaps,
    turn_item,
    voiced,
)
from benchmarks.turns.overlaps import AGENT_TEXTS, burst, over_agent
from benchmarks.turns.playing import Ended, Resumed, Stopped
from benchmarks.turns.scores import Share, ending, overlap, quantile, sum_up, sum_up_overlaps
from benchmarks.turns.sources import Voice, cuts, small
from vantum.core.audio import from_float, to_float32

RATE_HZ = 16_000
NO_BEDS = Beds({})


def item(role: str = "turn", pauses: tuple[Pause, ...] = (), start_s: float = 1.0) -> Item:
    return Item("i", "i", "made", "", role, "clean", "", b"", start_s, 5.0, pauses)  # type: ignore[arg-type]


def ended(at_s: float) -> Ended:
    return Ended(at_s + 0.01, at_s, "silence", "words")


# ---------------------------------------------------------------- arithmetic


def test_shares_come_with_wilsons_interval() -> None:
    low, high = Share(0, 20).interval
    assert low == 0
    assert high == pytest.approx(0.161, abs=1e-3)
    assert Share(10, 20).interval == pytest.approx((0.299, 0.701), abs=1e-3)
    assert Share(0, 0).interval == (0, 1)
    assert Share(1, 2) + Share(1, 6) == Share(2, 8)


def test_quantiles_and_lines_between_points() -> None:
    assert quantile([3.0, 1.0, 2.0], 0.5) == 2
    assert quantile([1.0, 2.0], 0.9) == pytest.approx(1.9)
    assert math.isnan(quantile([], 0.5))
    assert between([(0, 10), (2, 20)], 1) == 15
    assert math.isnan(between([(0, 10), (2, 20)], 3))


def test_an_end_before_the_last_sound_is_a_false_cut_off() -> None:
    inner, whole = Pause(2.0, 2.5), Pause(3.0, 3.5, between=True)
    found = ending(item(pauses=(inner, whole)), [ended(2.4), ended(3.4), ended(5.6)])
    assert (found.cut, found.between) == (Share(1, 1), Share(1, 1))
    assert found.wait_s == pytest.approx(0.6)
    late = ending(item(pauses=(inner, whole)), [ended(5.3)])
    assert (late.cut, late.missed) == (Share(0, 1), False)
    assert ending(item(), []).missed
    talk = ending(item("talk", (inner,)), [ended(2.3), ended(6.0)])
    assert (talk.cut, talk.wait_s, talk.missed) == (Share(1, 1), None, False)
    turns = sum_up([found, late, talk])
    assert turns.false_cutoffs == Share(2, 3)
    assert turns.median_s == pytest.approx(0.45)


def test_a_stop_is_judged_by_what_became_of_the_answer() -> None:
    resumed = overlap(item("backchannel"), [Stopped(1.3), Resumed(2.0)])
    lost = overlap(item("backchannel"), [Stopped(1.3), ended(2.0)])
    quiet = overlap(item("backchannel"), [])
    real = overlap(item("interruption"), [Stopped(1.25), ended(6.0)])
    missed = overlap(item("interruption"), [])
    background = overlap(item("interruption"), [Stopped(0.5)])
    found = sum_up_overlaps([resumed, lost, quiet, real, missed, background])
    assert found.stops == {"backchannel": Share(2, 3)}
    assert found.losses == {"backchannel": Share(1, 3)}
    assert found.missed == Share(1, 2)  # nobody can cut in on who was silent already
    assert found.stop_s == (0.25,)


# ---------------------------------------------------------------- labels


def test_where_a_voice_is() -> None:
    rng = named_rng("voice")
    samples = rng.standard_normal(3 * RATE_HZ).astype(np.float32) * 1e-4
    for begin_s, end_s in ((0.5, 1.2), (1.26, 1.5), (2.0, 2.4)):  # 60 ms: a closure
        begin, end = int(begin_s * RATE_HZ), int(end_s * RATE_HZ)
        samples[begin:end] += rng.standard_normal(end - begin).astype(np.float32) * 0.1
    assert np.allclose(voiced(samples), [(0.5, 1.5), (2.0, 2.4)], atol=0.02)


def test_pauses_are_told_from_gaps_and_sentences_from_phrases() -> None:
    spans = [(0.0, 1.0), (1.15, 2.0), (2.3, 3.0)]
    assert pauses_in(spans, [0.0, 0.0], {1}) == [Pause(2.0, 2.3, 0.0, True)]
    first, second = pauses_in(spans, [0.5, 0.0], set())
    assert (first.start_s, first.made_s) == (1.0, 0.5)
    assert first.length_s == pytest.approx(0.65)
    assert (second.start_s, second.end_s) == (2.5, 2.8)
    assert sentence_gaps("I am here now. You are, too, there.", [(0, 1), (1.2, 2.2)]) == {0}
    assert sentence_gaps("I am here now, you are, too, there.", [(0, 1), (1.2, 2.2)]) == set()


def test_the_same_recording_gives_the_same_items() -> None:
    voice = small()[2]
    first, again = (turn_item(voice, "telephone", NO_BEDS, stretched=True) for _ in range(2))
    assert first is not None
    assert first == again
    assert first.pauses[0].made_s >= 0.3
    clean = turn_item(voice, "clean", NO_BEDS)
    assert clean is not None
    assert clean.pcm != first.pcm
    assert clean.is_test == first.is_test  # no recording is in both halves


def test_every_cut_of_the_table_can_be_read() -> None:
    table = cuts()
    assert {cut.kind for cut in table} >= {"turn", "talk", "backchannel", "bed", "noise"}
    assert all(cut.end_s == 0 or cut.start_s < cut.end_s for cut in table)
    assert len({cut.name for cut in table}) == len(table)


# ---------------------------------------------------------------- a small scorecard


@cache
def models() -> Models:
    return Models.load(None)


def voice(name: str) -> Voice:
    return next(v for v in small() if v.name == f"repository/{name}.wav")


def made(name: str, condition: str = "clean", stretched: bool = False) -> Item:
    found = turn_item(voice(name), condition, NO_BEDS, stretched=stretched)  # type: ignore[arg-type]
    assert found is not None
    return found


@pytest.mark.local
def test_turns_of_recorded_voices_end_soon_after_their_last_word() -> None:
    items = [made("ami-question"), made("ami-no"), made("austen-0930", "telephone")]
    found = sum_up(play_ends(items, models(), defaults()))
    assert found.missed.count == 0
    assert all(0.2 < wait_s < 2.7 for wait_s in found.waits_s)
    slower = evolve(defaults(), min_wait_s=1.5, silence_s=1.5, max_wait_s=2.5)
    assert min(sum_up(play_ends(items, models(), slower)).waits_s) > 1.4


@pytest.mark.local
def test_the_detector_is_better_than_silence_at_the_same_wait() -> None:
    items = [made("kennedy"), made("austen-0890"), made("austen-0890", stretched=True)]
    curves = []
    for title in ("silence only", "detector and words"):
        points = [
            (wait_s, sum_up(play_ends(items, models(), VARIANTS[title](wait_s))))
            for wait_s in (0.3, 0.8)
        ]
        curves.append(Curve(title, tuple(points)))
    silence, both = ([turns.false_cutoffs.value for _, turns in curve.points] for curve in curves)
    assert all(ours <= plain for ours, plain in zip(both, silence, strict=True))
    assert sum(both) < sum(silence)


def over(name: str, role: str) -> Item:
    one = voice(name)
    found = over_agent(f"{name}/test", one, role, to_float32(one.pcm) * 4, "clean", NO_BEDS)  # type: ignore[arg-type]
    assert found is not None
    return found


@pytest.mark.local
def test_recorded_voices_stop_the_agent_and_listeners_do_not_for_long() -> None:
    real = [over(name, "interruption") for name in ("ami-question", "austen-0930")]
    listening = [over(name, "backchannel") for name in ("ami-yeah-2", "ami-mmhmm-1")]
    rng = named_rng("door")
    door = Voice("door", "made", "", "noise", "", b"")
    noise = over_agent("door", door, "noise", burst("door"), "clean", NO_BEDS)
    assert noise is not None
    nobody = evolve(
        noise,
        role="silence",
        pcm=lay(np.zeros(4 * RATE_HZ, np.float32), "clean", NO_BEDS, rng),
        agent=AGENT_TEXTS[0],
    )
    items = [*real, *listening, noise, nobody]
    found, _ = play_overlaps(
        items, models(), shipped_interruption(), lambda line: None, knows_echo=True
    )
    assert found.missed.count == found.unheard.count == 0
    assert max(found.stop_s) < 0.6
    assert found.losses["backchannel"].count == 0
    assert found.stops["noise"].count == found.stops["silence"].count == 0


# ---------------------------------------------------------------- echoes


def a_place(**given: float) -> Place:
    return evolve(Place(-12, 0.3, 0.3, 3, "phone", by_phone=False), **given)  # type: ignore[arg-type]


def test_an_echo_comes_late_and_as_loud_as_it_should() -> None:
    ours = normal(to_float32(voice("austen-0930").pcm))
    track = echo_track(ours, a_place(), named_rng("echo"))
    delay = round(0.3 * RATE_HZ)
    assert not track[: delay - 1].any()
    loud_db = np.percentile(levels_db(track[delay : delay + len(ours)]), 90)
    assert loud_db == pytest.approx(-38, abs=1.5)
    skipping = echo_track(ours, a_place(jumps=3), named_rng("echo"))
    assert not np.array_equal(skipping, track)


def test_an_echo_lies_on_top_of_what_the_caller_says() -> None:
    quiet = evolve(item("echo"), pcm=bytes(2 * 8000), track=b"\x10\x00" * 4000, delay_s=0.0)
    samples = np.frombuffer(quiet.heard, "<i2")
    assert samples[: round(0.1 * RATE_HZ)].max() == 0
    assert (samples[1600:5600] == 16).all()
    assert not samples[5600:].any()
    by_phone = np.frombuffer(evolve(quiet, by_phone=True).heard, "<i2")
    assert abs(by_phone[3000:5000].mean() - 16) < 8
    assert evolve(quiet, track=b"").heard == quiet.pcm


@pytest.mark.local
def test_an_echo_stops_the_agent_and_does_not_where_it_is_known() -> None:
    agent = voice("austen-0870")
    pcm = from_float(normal(to_float32(agent.pcm)))
    place = a_place(loss_db=-9)
    track = echo_track(normal(to_float32(agent.pcm)), place, named_rng("place"))
    spoken = evolve(
        item("echo", start_s=0.0),
        pcm=bytes(2 * (len(track) + RATE_HZ)),
        agent=agent.text,
        agent_pcm=pcm,
        agent_words_per_s=len(agent.text.split()) / (len(pcm) / 2 / RATE_HZ),
        track=from_float(track),
        delay_s=place.delay_s,
    )
    stops = [
        play_overlaps(
            [spoken], models(), shipped_interruption(), lambda line: None, knows_echo=knows
        )[0].stops["echo"]
        for knows in (False, True)
    ]
    assert [share.count for share in stops] == [1, 0]


def test_the_two_sets_of_echoes_share_no_place_no_voice_and_no_caller() -> None:
    found = echoes(small(), lambda text: bytes(2 * 12 * RATE_HZ))
    assert not set(SPEAKERPHONES) & set(OTHERS)
    sets = [
        {i.agent for i in found if i.condition == condition and i.role == "echo"}
        for condition in ("speakerphone", "other speakerphones")
    ]
    assert all(sets)
    assert not sets[0] & sets[1]
    assert {i.role for i in found} <= {"echo", "interruption"}
