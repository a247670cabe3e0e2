"""All three simulated providers at once: the talk that they have, and their faults."""

from __future__ import annotations

from typing import Any

import httpx
from attrs import evolve

from tests.patience import HANG_S
from vantum.testing import simulated_providers
from vantum.testing.deepgram import Rejects
from vantum.testing.providers import ANSWERS, KEY, TALK, answer_in_talk


def said(*lines: str) -> list[dict[str, Any]]:
    """A context as the model gets it."""
    messages = [{"role": "system", "content": "You are Alex."}]
    for line in lines:
        messages += [{"role": "user", "content": line}, {"role": "assistant", "content": "Well."}]
    return messages[:-1] if lines else messages


def test_each_line_of_the_talk_has_its_answer_however_often_it_comes_round() -> None:
    lines = (*TALK, *TALK, TALK[0])
    answers = [answer_in_talk(said(*lines[: n + 1])) for n in range(len(lines))]
    assert answers == [*ANSWERS, *ANSWERS, ANSWERS[0]]


def test_the_answer_does_not_depend_on_what_other_calls_asked() -> None:
    assert answer_in_talk(said(TALK[2])) == ANSWERS[2]
    assert answer_in_talk(said("Good day.", f"{TALK[0]} {TALK[3]}")) == ANSWERS[3]


def test_other_words_get_the_answers_in_turn() -> None:
    words = [f"words of my own, {n}" for n in range(6)]
    answers = [answer_in_talk(said(*words[: n + 1])) for n in range(6)]
    assert answers == [*ANSWERS, *ANSWERS[:2]]
    assert answer_in_talk(said()) == ANSWERS[0]


async def test_the_default_talk_is_served_with_its_answers() -> None:
    async with simulated_providers() as peers, httpx.AsyncClient(timeout=HANG_S) as client:
        assert peers.deepgram.script.sentences == TALK
        peers.openai.script = evolve(peers.openai.script, first_token_s=0.0, tokens_per_s=0.0)
        for line, answer in ((TALK[3], ANSWERS[3]), (TALK[0], ANSWERS[0])):
            body = {"model": "gpt-4.1-2025-04-14", "messages": said(line)}
            url = f"{peers.openai.base_url}/chat/completions"
            reply = await client.post(url, json=body, headers={"authorization": f"Bearer {KEY}"})
            assert reply.json()["choices"][0]["message"]["content"] == answer


async def test_deepgram_has_its_faults_from_the_start() -> None:
    upgrade = {
        "connection": "upgrade",
        "upgrade": "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
        "authorization": f"Token {KEY}",
    }
    async with (
        simulated_providers(deepgram_faults=(Rejects(402),)) as peers,
        httpx.AsyncClient(timeout=HANG_S) as client,
    ):
        url = peers.deepgram.base_url.replace("ws:", "http:")
        assert (await client.get(f"{url}/v1/listen", headers=upgrade)).status_code == 402
