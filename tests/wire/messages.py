"""Hypothesis strategies for every message of the client protocol."""

from __future__ import annotations

from typing import get_args

from hypothesis import strategies as st

from vantum.core import events as ev
from vantum.core.latency import PARTS, HeardBy, Outcome

ids = st.text(min_size=1, max_size=128)
short = st.text(min_size=1, max_size=20)
texts = st.text(max_size=60)
times = st.integers(min_value=0, max_value=2**53)
rates = st.integers(min_value=8000, max_value=48_000)
requests = st.builds(ev.Request, st.none(), ids)

prospects = st.builds(
    ev.Prospect, *(st.none() | short for _ in ("name", "company", "industry", "timezone"))
)
options = st.builds(
    ev.InputOptions,
    sampling_rate_hz=rates,
    language=short,
    voice_id=st.none() | short,
    turn_detection=st.sampled_from(["auto", "manual"]),
    tokens=st.booleans(),
    prospect=prospects,
    latency=st.booleans(),
)

CLIENT: dict[type, st.SearchStrategy[ev.ClientMessage]] = {
    ev.StartInput: st.builds(ev.StartInput, requests, options),
    ev.InputChunk: st.builds(
        ev.InputChunk, requests, st.binary(max_size=100), is_muted=st.booleans()
    ),
    ev.EndInput: st.builds(ev.EndInput, requests),
    ev.Interrupt: st.builds(ev.Interrupt, requests),
    ev.EndCall: st.builds(ev.EndCall, requests),
    ev.Mute: st.builds(ev.Mute, requests, st.booleans()),
    ev.Played: st.builds(
        ev.Played, requests, short, st.floats(min_value=0, allow_infinity=False, allow_nan=False)
    ),
    ev.Heartbeat: st.builds(ev.Heartbeat, requests),
    ev.Goodbye: st.builds(ev.Goodbye, requests),
}

spans = st.floats(min_value=0, max_value=1e6)
states = st.sampled_from(get_args(ev.StateName))
cases = st.sampled_from(get_args(ev.ErrorCase))
cancels = st.sampled_from([("user_interrupt", True), ("end_call", False), ("", False)]).flatmap(
    lambda why: st.builds(
        ev.OutputCancelled, short, times, reason=st.just(why[0]), interrupted=st.just(why[1])
    )
)
providers = st.dictionaries(st.sampled_from(["stt", "llm", "tts"]), short)

SERVER: dict[type, st.SearchStrategy[ev.ServerMessage]] = {
    ev.Welcome: st.just(ev.Welcome()),
    ev.Ack: st.builds(
        ev.Ack,
        st.builds(
            ev.Request,
            st.sampled_from(["audio.input.start", "audio.input.stop", "voicechat.audio.end"]),
            st.none() | ids,
        ),
    ),
    ev.TranscriptOut: st.builds(
        ev.TranscriptOut,
        st.builds(ev.Request, st.none(), st.none() | ids),
        texts,
        st.booleans(),
        st.floats(min_value=0, max_value=1),
        times,
        short,
    ),
    ev.ResponseStarted: st.builds(ev.ResponseStarted, short, times),
    ev.ResponseToken: st.builds(ev.ResponseToken, short, texts),
    ev.ResponseCompleted: st.builds(
        ev.ResponseCompleted,
        short,
        texts,
        st.booleans(),
        st.none() | st.integers(min_value=1, max_value=3),
    ),
    ev.OutputStarted: st.builds(ev.OutputStarted, short, times, rates),
    ev.OutputChunk: st.builds(ev.OutputChunk, short, st.binary(max_size=100), rates),
    ev.OutputCompleted: st.builds(ev.OutputCompleted, short, times),
    ev.OutputCancelled: cancels,
    ev.StateChanged: st.builds(ev.StateChanged, states, states, times),
    ev.StageChanged: st.builds(ev.StageChanged, st.none() | short, short, times),
    ev.Interrupted: st.builds(ev.Interrupted, short, texts, times),
    ev.LatencyMeasured: st.builds(
        ev.LatencyMeasured,
        short,
        times,
        times,
        st.sampled_from(get_args(Outcome)),
        spans,
        spans,
        spans,
        st.dictionaries(st.sampled_from([step.part for step in PARTS]), spans),
        st.none() | st.sampled_from(get_args(HeardBy)),
    ),
    ev.Ready: st.builds(ev.Ready, providers),
    ev.Busy: st.builds(ev.Busy, times, times),
    ev.Maintenance: st.builds(ev.Maintenance, texts),
    ev.RateLimitWarning: st.builds(ev.RateLimitWarning, texts, times),
    ev.QuotaExceeded: st.builds(ev.QuotaExceeded, st.sampled_from(["stt", "llm", "tts"]), texts),
    ev.Disconnecting: st.builds(ev.Disconnecting, texts),
    ev.ErrorReply: st.builds(
        ev.ErrorReply, st.builds(ev.Request, st.none() | ids, st.none() | ids), cases, texts
    ),
}
