"""The benchmarks' own arithmetic, and one small measurement with all three processes."""

from __future__ import annotations

import itertools
import math
import struct
import sys

import numpy as np
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import memory_stream_pair

from benchmarks.arrivals import now_s, receive, stamp
from benchmarks.latency import without_peers
from benchmarks.line import frame, take_frames
from benchmarks.processes import BARE, SERVER, three
from benchmarks.pure import pure
from benchmarks.recordings import RATE_HZ
from benchmarks.report import Row, percentile, table
from benchmarks.scenarios import TINY, late_ms
from benchmarks.spans import AUDIO_BYTES, Spans, lines, numbered
from benchmarks.turns.items import Item, Pause
from benchmarks.turns.playing import Ended, Happening, Resumed, Sounded, Stopped
from benchmarks.turns.scores import Share, ending, overlap, sum_up_overlaps
from benchmarks.turns.signals import auc
from benchmarks.turns.voicing import first_voiced_s
from tests.patience import HANG_S


def server_frame(payload: bytes) -> bytes:
    """As a server sends it: not masked."""
    if len(payload) < 126:
        return bytes([0x82, len(payload)]) + payload
    if len(payload) < 65_536:
        return struct.pack("!BBH", 0x82, 126, len(payload)) + payload
    return struct.pack("!BBQ", 0x82, 127, len(payload)) + payload


@given(
    st.lists(st.sampled_from([0, 1, 125, 126, 127, 65_535, 65_536]), max_size=4),
    st.lists(st.integers(0, 70_000), max_size=6),
)
def test_frames_are_taken_whole_however_they_are_cut(sizes: list[int], cuts: list[int]) -> None:
    payloads = [bytes([number]) * size for number, size in enumerate(sizes)]
    data = b"".join(map(server_frame, payloads))
    borders = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    buffer, taken = bytearray(), []
    for start, end in itertools.pairwise(borders):
        buffer += data[start:end]
        taken += list(take_frames(buffer))
    assert taken == [(2, payload) for payload in payloads]
    assert not buffer


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_a_clients_frame_is_masked_with_zero(size: int) -> None:
    payload = b"x" * size
    data = frame(payload)
    assert data[0] == 0x82
    assert data[1] & 0x80
    assert data.endswith(bytes(4) + payload)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=50), st.floats(1, 100))
def test_a_percentile_is_a_value_that_occurred(values: list[float], percent: float) -> None:
    found = percentile(values, percent)
    assert found in values
    at_most = sum(1 for value in values if value <= found)
    assert at_most >= math.ceil(percent / 100 * len(values))


def test_no_values_have_no_percentile() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentile([], 95)


def test_the_verdict_is_by_the_median_and_a_miss_is_said() -> None:
    reached = Row("a", "good", "ms", [9.0, 10.0, 99.0], 10.0)
    missed = Row("a", "bad", "ms", [9.0, 10.1, 99.0], 10.0)
    informs = Row("a", "neither", "ms", [1.0])
    assert [row.verdict for row in (reached, missed, informs)] == ["reached", "MISSED", ""]
    assert [row.worst for row in (reached, missed)] == [99.0, 99.0]
    assert "MISSED" in table([missed])


def test_lateness_is_what_is_neither_the_models_nor_the_voices_time() -> None:
    records = [(1.0, "marker"), (1.004, "text_in"), (1.104, "audio_out"), (2.0, "all_text")]
    # The last piece leaves when the model has finished, and is no part of the next turn.
    records += [(2.001, "text_in"), (2.1, "audio_out")]
    later = [(at_s + 5, what) for at_s, what in records]
    found = late_ms([0.5, 5.5], [1.107, 6.110], records + later)
    assert found == pytest.approx([7.0, 10.0])


def test_lateness_of_things_in_the_wrong_order_is_no_figure() -> None:
    # The text had left before the marker: to count from the marker would flatter.
    records = [(0.9, "text_in"), (1.0, "marker"), (1.0, "audio_out")]
    with pytest.raises(ValueError, match="not marker, text, audio"):
        late_ms([0.5], [1.01], records)
    with pytest.raises(ValueError, match="not marker, text, audio"):
        late_ms([0.5], [1.01], [(1.0, "marker")])


def test_the_pure_parts_have_a_speed() -> None:
    rows = pure(1, quick=True)
    assert len(rows) == 4
    assert all(row.figure > 0 for row in rows)


def test_the_providers_share_is_told_by_the_line() -> None:
    own, whole = without_peers([10.0, 12.0], ["line 7 my friend", "line 8"], {7: 1.0, 8: 3.0})
    assert (own, whole) == ([9.0, 9.0], [10.0, 12.0])
    with pytest.raises(ValueError, match="the share of 1 turns is not known"):
        without_peers([10.0, 12.0], ["line 7", "something"], {7: 1.0})
    with pytest.raises(ValueError, match="took"):
        without_peers([10.0], ["line 7"], {7: 11.0})


def test_a_line_that_one_provider_has_not_answered_has_no_share() -> None:
    spans = Spans()
    spans.note(3, "stt", 0.1)
    spans.note(3, "llm", 0.2)
    assert spans.totals() == {}
    spans.note(3, "tts", 0.3)
    spans.note(3, "tts", 9.0)
    assert spans.totals() == {3: pytest.approx(0.6)}


def test_the_answer_bears_the_lines_number() -> None:
    assert lines(2) == ("line 1 my friend", "line 2 my friend")
    answer = numbered("yes")
    assert answer([{"content": "Line 1: yes"}, {"content": "line 12 my friend"}]) == "Line 12: yes"
    assert answer([{"content": "hello"}]) == "yes"


async def test_what_the_providers_say_is_noted(autojump_clock: trio.abc.Clock) -> None:
    spans = Spans()
    audio = b'{"type": "chunk"}' + bytes(AUDIO_BYTES)
    for serve, said in (
        (spans.recogniser, [b'{"from_finalize": true, "transcript": "line 4 my friend"}']),
        (spans.model, [b'"content": "Line"']),
        (spans.voice, [audio, b'{"type": "timestamps", "words": ["4:"]}', audio]),
    ):
        ours, theirs = memory_stream_pair()

        async def peer(stream: trio.abc.Stream, said: list[bytes] = said) -> None:
            await stream.receive_some()
            for data in said:
                await stream.send_all(data)

        await ours.send_all(b'"content": "line 3"}, {"content": "line 4 my friend"}')
        await serve(peer)(theirs)
    assert list(spans.totals()) == [4]


@pytest.mark.skipif(sys.platform != "linux", reason="the stamps are Linux's")
async def test_what_comes_is_stamped_when_it_came_and_not_when_it_was_read() -> None:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        ours = await trio.open_tcp_stream(*listener.socket.getsockname())
        theirs = await listener.accept()
    async with ours, theirs:
        stamp(theirs)
        at_s, there_s = math.inf, 0.0
        with trio.fail_after(HANG_S):
            while at_s > there_s:  # the kernel begins a moment after it was asked to
                before_s = now_s()
                await ours.send_all(b"now")
                await trio.lowlevel.wait_readable(theirs.socket)
                there_s = now_s()
                data, at_s = await receive(theirs, 100)
                assert data == b"now"
                assert at_s >= before_s


@pytest.mark.parametrize("module", [SERVER, BARE])
def test_three_processes_measure_a_turn_and_leave_nothing_behind(module: str) -> None:
    plan = {"answers": [TINY], "spans": True}
    with three(plan, server_module=module) as (peers, server, load):
        load.ask(do="connect", sessions=1)
        found = load.ask(
            do="turns", turns=1, speech_s=0.1, pause_s=0.0, together=False, always=True
        )
        assert len(found["latency_ms"]) == 1
        assert found["latency_ms"][0] > 0
        shares = {number: 1000 * seconds for number, seconds in peers.ask(do="spans")["spans"]}
        assert without_peers(found["latency_ms"], found["heard"], shares)[0][0] > 0
        assert server.cpu_s() > 0
        assert server.memory_kb()[0] >= server.memory_kb()[1] > 1000
        if module == SERVER:
            assert load.ask(do="conversations", count=3, at_once=1) == {"failures": 0}
            assert server.ask(do="census")["objects"] > 1000
    assert all(process.popen.returncode is not None for process in (peers, server, load))


# ---------------------------------------------------------------- the scorecard of turn-taking


def test_what_a_sign_is_worth() -> None:
    assert auc([0.9, 0.8], [0.1, 0.2]) == 1
    assert auc([0.1], [0.9, 0.8]) == 0
    assert auc([0.5, 0.5], [0.5]) == 0.5
    assert auc([0.9, 0.3], [0.5, 0.1]) == 0.75
    assert math.isnan(auc([], [0.5]))


def test_a_false_end_that_is_taken_back_is_not_heard() -> None:
    """Ended in the pause from 1 s to 2 s; the answer sounded in it, or behind the last word."""
    item = Item(
        *("a", "a", "made", "", "turn", "clean", "Well, yes.", b"", 0.5, 3.0),
        pauses=(Pause(1.0, 2.0),),
    )
    ended, at_last = Ended(1.4, 1.4, "complete", "Well,"), Ended(3.5, 3.5, "complete", "yes.")
    at_once, later = Sounded(1.8), Sounded(3.9)
    assert ending(item, [ended, later]).cut == Share(1, 1)
    over = ending(item, [ended, at_once, at_last, later], heard=True)
    assert over.cut == Share(1, 1)
    assert over.wait_s == pytest.approx(0.9)
    behind = ending(item, [ended, at_last, later], heard=True)
    assert behind.cut == Share(0, 1)
    assert behind.wait_s == pytest.approx(0.9)


def test_how_long_the_agent_is_silent_for_a_sound() -> None:
    """Stopped at 2.1 s, and again before a sound of what went on; heard anew at 3.2 s."""
    item = Item(*("a", "a", "made", "", "backchannel", "clean", "mm-hmm", b"", 2.0, 2.4))
    stops: list[Happening] = [Sounded(0.1), Stopped(2.1), Resumed(2.6), Stopped(2.65)]
    stops += [Resumed(3.1), Sounded(3.2)]
    one = overlap(item, stops)
    assert list(one.gaps_s) == pytest.approx([1.1])
    assert not one.lost
    lost = overlap(item, [*stops, Stopped(4.0)])
    assert lost.gaps_s == one.gaps_s
    assert lost.lost
    found = sum_up_overlaps([one, lost])
    assert found.gaps_s == {"backchannel": one.gaps_s * 2}


def test_an_interruption_counts_from_its_first_voiced_frame_too() -> None:
    item = Item(
        *("a", "a", "made", "", "interruption", "clean", "Six.", b"", 2.0, 2.6), voiced_s=2.3
    )
    found = sum_up_overlaps([overlap(item, [Sounded(0.1), Stopped(2.4)])])
    assert list(found.stop_s) == pytest.approx([0.4])
    assert list(found.voiced_s) == pytest.approx([0.1])
    sooner = sum_up_overlaps([overlap(item, [Sounded(0.1), Stopped(2.2)])])
    assert sooner.voiced_s == (0.0,), "by what is not voiced"


def test_where_a_voice_is_voiced() -> None:
    """A second of hum, half a second of hiss, and a voice of 120 Hz with its overtones."""
    rng, at = np.random.default_rng(1), np.arange(RATE_HZ) / RATE_HZ
    hum = 0.05 * np.sin(2 * np.pi * 50 * at)
    hiss = 0.1 * rng.standard_normal(RATE_HZ // 2)
    voice = 0.2 * sum(np.sin(2 * np.pi * 120 * n * at) / n for n in range(1, 9))
    noise = 1e-3 * rng.standard_normal(2 * RATE_HZ + RATE_HZ // 2)
    sound = (np.concatenate([hum, hiss, voice]) + noise).astype(np.float32)
    assert first_voiced_s(sound, 0.0, 2.5) == pytest.approx(1.5, abs=0.03)
    assert first_voiced_s(sound, 0.0, 1.4) == 0.0, "there is none"
    assert first_voiced_s(sound, 2.0, 2.5) == 2.0
