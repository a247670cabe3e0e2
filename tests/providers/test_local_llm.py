"""The embedded language model: what it is shown, and what comes out of it."""

import subprocess
import sys
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.patience import HANG_S, until
from vantum.config.call import LlmSettings
from vantum.config.providers import LocalSettings
from vantum.core.events import Prospect
from vantum.core.messages import ChatMessage, ChatRequest
from vantum.core.prompts import build_system_prompt
from vantum.core.scripts import Script, Stage
from vantum.errors import ConfigError, ModelsMissing, ProviderError
from vantum.providers.local.choosing import nearest
from vantum.providers.local.guard import split_sentences
from vantum.providers.local.llama import SLOTS
from vantum.providers.local.llm import LocalLlmProvider
from vantum.providers.local.playbook import (
    AGREED,
    DECLINED,
    EXAMPLES,
    QUESTIONS,
    STATEMENTS,
)
from vantum.providers.local.smollm import (
    SHORT,
    SYSTEM,
    estimate_tokens,
    first_prompt,
    fit,
    opening_of,
    plan_answer,
)
from vantum.providers.local.workers import Workers

BUILT_IN = build_system_prompt("", Prospect(), "||BREAK||")


def ask(*turns: str, system: str = BUILT_IN) -> ChatRequest:
    said = [ChatMessage("assistant" if at % 2 else "user", text) for at, text in enumerate(turns)]
    return ChatRequest((ChatMessage("system", system), *said))


def test_a_note_stands_at_the_end() -> None:
    """Where the call is in its script changes; what is before it must not."""
    asked = ask("Hello?", "Hi.", "Go on.", system="Be kind.")
    noted = ChatRequest((*asked.messages, ChatMessage("system", "The call is at pitch.")))
    plan = plan_answer(noted, LlmSettings(), small=False)
    plain = plan_answer(asked, LlmSettings(), small=False)
    assert plan.messages[:-1] == plain.messages[:-1]
    assert plan.messages[-1] == {"role": "user", "content": "Go on.\n\n(The call is at pitch.)"}
    # SmolLM2 would answer to it.
    assert plan_answer(noted, LlmSettings(), small=True).messages[-1]["content"] == "Go on."
    alone = ChatRequest((ChatMessage("system", "Be kind."), ChatMessage("system", "A note.")))
    assert plan_answer(alone, LlmSettings(), small=False).messages == [
        {"role": "system", "content": "Be kind."}
    ]


@pytest.mark.parametrize("small", [True, False])
@pytest.mark.parametrize("prompt", ["Be brief.", BUILT_IN])
def test_half_a_surrogate_pair_is_no_failure(small: bool, prompt: str) -> None:
    """A recogniser's JSON can hold one, and so can bytes that are piped into `chat`."""
    said = ChatMessage("user", "caf\udce9 \ud83d\ude42")
    request = ChatRequest((ChatMessage("system", prompt), said))
    plan = plan_answer(request, LlmSettings(), small=small)
    assert "caf\ufffd 🙂" in [message["content"] for message in plan.messages]


def test_a_script_is_for_larger_models() -> None:
    script = Script((Stage("intro", ("a", "b"), "One.\n\nTwo."), Stage("pitch")), "intro")
    outline = script.outline()
    system = build_system_prompt("Be kind.", Prospect(name="Ann"), "||BREAK||", script=outline)
    asked = ask("Hello?", system=system)
    large = plan_answer(asked, LlmSettings(), small=False).messages[0]["content"]
    small = plan_answer(asked, LlmSettings(), small=True).messages[0]["content"]
    assert large == system
    assert small == build_system_prompt("Be kind.", Prospect(name="Ann"), "||BREAK||") + SHORT


def test_only_what_all_calls_share_is_read_ahead() -> None:
    for text, shared in (
        ("Be kind.", "Be kind."),
        ("Call {{prospect.name}} now.", "Call "),
        (r"Braces: \{{x}}", "Braces: "),
        ("{{prospect.name}}", None),
    ):
        first = first_prompt(LlmSettings(system_prompt=text), small=True)[0]["content"]
        assert first == (shared or first_prompt(LlmSettings(), small=True)[0]["content"])


# ---------------------------------------------------------------- finding an example


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("um who's calling please", "This is Alex"),
        ("So what does this cost?", "The price depends"),
        ("I'm really not interested.", "That's fine"),
        ("could you ring me back on monday", "Of course. When"),
        ("Am I talking to a robot?", "Yes, I'm Vantum's voice"),
        ("Please take me off that list.", "I'm sorry to have bothered"),
        ("We've already got a vendor for that", "That's good to hear"),
        ("just send me an e-mail", "Gladly"),
    ],
)
def test_the_nearest_example(said: str, answer: str) -> None:
    assert nearest(said).answer.startswith(answer)


def test_nothing_near() -> None:
    assert nearest("Do you have an office in Berlin?") == QUESTIONS[0]
    assert nearest("Our reps sleep under their desks.") == STATEMENTS[0]
    assert nearest("") == STATEMENTS[0]


@given(st.text(max_size=40))
@settings(max_examples=40, deadline=None)
def test_there_is_always_an_example_and_a_beginning(said: str) -> None:
    example = nearest(said)
    opening = opening_of(example)
    assert example.answer.startswith(opening)
    assert 4 <= len(opening.split()) < len(example.answer.split())


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        # with fillers, run together, and as a recogniser writes them
        ("um so like what is it you guys actually do", "Vantum calls your prospects"),
        ("okay and uh what's that gonna run me", "The price depends"),
        ("you know what just mail me a P D F or something", "Gladly"),
        ("is this a real person or like one of those A I things", "Yes, I'm Vantum's voice"),
        ("let me run it past my C E O and I'll get back to you", "That makes sense"),
        ("uh we just signed a two year contract with somebody", "I understand. When does your"),
        ("yeah we tried something like that last year and it didn't work", "I'm sorry to hear"),
        ("I think you've got the wrong number", "I'm sorry, I must have"),
        ("can I listen to a sample call or something", "That's a fair concern"),
        ("where are you guys located", "I'm a voice assistant"),
        ("do I have to sign a long contract or is it month to month", "That's a fair question"),
        ("can you tell me what's the weather in Chicago", "I'm afraid"),
    ],
)
def test_the_nearest_example_of_what_is_said_on_the_phone(said: str, answer: str) -> None:
    assert nearest(said).answer.startswith(answer)


def test_a_wish_to_be_left_alone_is_not_missed() -> None:
    for said in (
        "you've called like four times this week stop it",
        "one more of those and I will sue",
        "there is nobody here who would ever need such a thing so no I would not want it",
    ):
        assert nearest(said).closing, said
    assert not nearest("could somebody on our side stop it once it runs").closing


@pytest.mark.parametrize(
    "said",
    ["any other dentists on it", "our phones are Cisco would that be an issue", "um so why us"],
)
def test_a_question_without_its_mark(said: str) -> None:
    assert nearest(said) == QUESTIONS[0]


def test_a_bare_answer_means_what_was_asked() -> None:
    offer = ["Hi, this is Alex.", QUESTIONS[0].answer]
    assert nearest("yeah okay", offer) == AGREED
    assert nearest("uh no", offer) == DECLINED
    opening = ["Hi, this is Alex from Vantum. Do you have a minute to talk?"]
    assert nearest("yeah okay", opening).answer.startswith("Great. How does your team")
    assert nearest("yeah okay") == nearest("yeah okay", opening)


def test_a_catch_all_is_not_said_twice() -> None:
    for catch_all, said in ((STATEMENTS, "We grow tomatoes."), (QUESTIONS, "Is it edible?")):
        earlier: list[str] = []
        for expected in catch_all:
            assert nearest(said, earlier) == expected
            earlier.append(expected.answer)
        assert nearest(said, earlier) == catch_all[0]


def test_finding_an_example_does_not_hold_up_the_event_loop() -> None:
    """In calls of functions, of which a few millions fit into a second: 4700, or 1 ms."""
    calls = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        nearest("well, you know, " + "we have been doing this for many years, " * 3)
    finally:
        sys.setprofile(before)
    assert 100 < calls < 20_000


def test_examples_are_answers_for_the_telephone() -> None:
    for example in (*EXAMPLES, *QUESTIONS, *STATEMENTS, AGREED, DECLINED):
        assert example.answer[-1] in ".?!"
        assert len(split_sentences(example.answer)) <= 2
        assert not (example.closing and "?" in example.answer)
        assert nearest(example.said).answer == example.answer or example not in EXAMPLES
        assert len(example.answer) < 150


# ---------------------------------------------------------------- what the model is shown


def test_the_built_in_prompt_is_replaced_by_a_short_one_with_the_prospects_data() -> None:
    who = Prospect(name='Maria "Mia" Lopez', company="Acme", industry="steel", timezone="UTC")
    system = build_system_prompt("", who, "~~PAUSE~~")
    plan = plan_answer(ask("Who is this?", system=system), LlmSettings(), small=True)
    prompt = plan.messages[0]["content"]
    assert prompt.startswith(SYSTEM)
    assert 'name is Maria "Mia" Lopez.' in prompt
    assert "works at Acme." in prompt
    assert "industry is steel." in prompt
    assert plan.opening
    assert plan.messages[-1] == {"role": "assistant", "content": plan.opening}
    assert plan.messages[-2] == {"role": "user", "content": "Who is this?"}


def test_a_prompt_of_the_users_own_is_honoured_as_it_is() -> None:
    system = build_system_prompt("You sell pizza.", Prospect(name="Maria"), "||BREAK||")
    plan = plan_answer(ask("Hi.", "Hello!", "Who?", system=system), LlmSettings(), small=True)
    assert plan.messages[0]["content"].startswith(system)
    assert [m["content"] for m in plan.messages[1:]] == ["Hi.", "Hello!", "Who?"]
    assert not plan.opening


def test_another_model_gets_everything_and_the_settings() -> None:
    own = LlmSettings(temperature=0.9, top_p=0.8, frequency_penalty=0.1, presence_penalty=0.2)
    plan = plan_answer(ask("Hi."), own, small=False)
    assert plan.messages[0]["content"] == BUILT_IN
    assert (plan.sampling.temperature, plan.sampling.top_p) == (0.9, 0.8)
    assert (plan.sampling.frequency_penalty, plan.sampling.presence_penalty) == (0.1, 0.2)


def going_on(*turns: str, system: str = BUILT_IN) -> ChatRequest:
    """As `ask`; the last turn is what was said of an answer that was cut by a noise."""
    request = ask(*turns, system=system)
    return ChatRequest((*request.messages, ChatMessage("system", "Go on behind its last word.")))


@pytest.mark.parametrize("filler", ["", "One moment, please. "])
def test_an_answer_that_was_cut_goes_on_as_it_began(filler: str) -> None:
    heard = ("We grow tomatoes.", STATEMENTS[0].answer, "All year round.")
    whole = plan_answer(ask(*heard), LlmSettings(), small=True)
    plan = plan_answer(going_on(*heard, filler + whole.opening), LlmSettings(), small=True)
    assert plan.messages == whole.messages, "the example is the same one"
    assert not plan.opening, "it was said"
    rest = STATEMENTS[1].answer.removeprefix(whole.opening)
    assert plan.guard.feed(rest) + plan.guard.finish() == rest


def test_what_has_said_enough_says_no_more() -> None:
    plan = plan_answer(going_on("Who is this?", "This is Alex. Hi."), LlmSettings(), small=True)
    assert plan.guard.done
    assert plan.guard.feed(" And one more thing.") == ""


@pytest.mark.parametrize("small", [True, False])
def test_an_answer_to_the_users_own_prompt_goes_on_behind_its_last_word(small: bool) -> None:
    request = going_on("Who?", "It is the pizza", system="You sell pizza.")
    plan = plan_answer(request, LlmSettings(), small=small)
    assert plan.messages[-1] == {"role": "assistant", "content": "It is the pizza"}
    assert plan.guard.feed(" man. Hello! ") == "man. Hello!"
    assert plan.guard.done is small, "a small one says two sentences in all"


def test_a_call_may_begin_without_the_prospect() -> None:
    assert plan_answer(ask(), LlmSettings(), small=True).opening.startswith("Hi, this is Alex")
    assert plan_answer(ChatRequest(()), LlmSettings(), small=False).messages == []


@given(
    st.lists(st.text(min_size=1, max_size=200), min_size=1, max_size=60),
    st.integers(300, 1500),
)
@settings(max_examples=50, deadline=None)
def test_the_oldest_turns_are_dropped_and_the_last_is_kept(texts: list[str], budget: int) -> None:
    turns = [ChatMessage("user", text) for text in texts]
    kept = fit(turns, budget)
    assert kept[-1].content == turns[-1].content[-len(kept[-1].content) :]
    if len(kept) > 1:
        assert kept == turns[-len(kept) :]
        assert (len(turns) - len(kept)) % 8 == 0
        assert sum(estimate_tokens(turn.content) for turn in kept) <= budget


def test_what_remains_of_a_long_call_stays_put_for_some_turns() -> None:
    turns = [ChatMessage("user", f"Turn number {at}, with some words in it.") for at in range(70)]
    firsts = [fit(turns[:count], 500)[0].content for count in range(40, 70)]
    assert len(set(firsts)) < 6


# ---------------------------------------------------------------- without packages or weights


def test_without_its_package_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r'pip install "vantum\[local\]"'):
        LocalLlmProvider(LocalSettings(), LlmSettings(), Workers(1))


def test_importing_loads_no_engine() -> None:
    code = (
        "import sys, vantum, vantum.providers.registry, vantum.providers.local.llm,"
        "vantum.providers.local.tts\n"
        "assert not {'xllamacpp', 'hibari', 'onnxruntime'} & set(sys.modules), sys.modules.keys()"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_missing_weights_are_said_to_be_missing(tmp_path: object) -> None:
    pytest.importorskip("xllamacpp")
    with pytest.raises(ModelsMissing, match="models fetch"):
        LocalLlmProvider(LocalSettings(models_dir=str(tmp_path)), LlmSettings(), Workers(1))


@pytest.mark.parametrize("name", ["nowhere.gguf", "broken.gguf"])
def test_a_wrong_model_is_named_with_its_setting(tmp_path: object, name: str) -> None:
    pytest.importorskip("xllamacpp")
    path = f"{tmp_path}/broken.gguf"
    with open(path, "wb") as file:
        file.write(b"GGUF but not really")
    with pytest.raises(ConfigError, match=f"LOCAL_LLM_MODEL=.*{name}"):
        LocalLlmProvider(
            LocalSettings(llm_model_path=f"{tmp_path}/{name}"), LlmSettings(), Workers(1)
        )


# ---------------------------------------------------------------- the model itself


@pytest.fixture(scope="module")
def provider(local_settings: LocalSettings) -> LocalLlmProvider:
    return LocalLlmProvider(local_settings, LlmSettings(), Workers(0))


async def answer(provider: LocalLlmProvider, request: ChatRequest) -> str:
    async with provider.for_session().stream(request) as pieces:
        return "".join([piece async for piece in pieces])


@pytest.mark.local
async def test_it_answers_as_a_sales_representative(provider: LocalLlmProvider) -> None:
    assert "Alex" in await answer(provider, ask("Who is this?"))
    assert "calls" in await answer(provider, ask("How much does it cost?"))
    assert "voice assistant" in await answer(provider, ask("Are you a robot?"))
    said = await answer(provider, ask("Hello?", "Hi, this is Alex.", "I'm not interested, thanks."))
    assert said.count(".") + said.count("!") + said.count("?") <= 2
    assert provider.health().ok


@pytest.mark.local
async def test_it_goes_on_where_it_was_cut(provider: LocalLlmProvider) -> None:
    whole = await answer(provider, ask("We grow tomatoes."))
    opening = plan_answer(ask("We grow tomatoes."), LlmSettings(), small=True).opening
    rest = await answer(provider, going_on("We grow tomatoes.", opening))
    assert f"{opening} {rest.strip()}" == whole
    assert not await answer(provider, going_on("We grow tomatoes.", whole))


@pytest.mark.local
async def test_the_same_request_gets_the_same_answer(provider: LocalLlmProvider) -> None:
    request = ask("What makes you better than the others?")
    assert await answer(provider, request) == await answer(provider, request)


@pytest.mark.local
async def test_several_sessions_at_once_get_their_own_answers(provider: LocalLlmProvider) -> None:
    questions = ["Who is this?", "What does it cost?", "Send me an email.", "Call me later."] * 2
    answers = [""] * len(questions)

    async def one(at: int) -> None:
        answers[at] = await answer(provider, ask(questions[at]))

    async with trio.open_nursery() as nursery:
        for at in range(len(questions)):
            nursery.start_soon(one, at)
    for question, said in zip(questions, answers, strict=True):
        assert said.startswith(opening_of(nearest(question)))


class HeldEngine:
    """llama.cpp, which stops before its work (`before`) or after the first pass until let go."""

    def __init__(self, server: Any, *, before: bool) -> None:
        self._server = server
        self._before = before
        self.chunks = 0
        self.reached = threading.Event()
        self.let_go = threading.Event()
        self.returned = threading.Event()

    def handle_chat_completions(self, request: Any, came: Callable[[Any], bool]) -> None:
        def counted(chunk: Any) -> bool:
            self.chunks += 1
            if not self._before:
                self._hold()
            return came(chunk)

        if self._before:
            self._hold()
        self._server.handle_chat_completions(request, counted)
        self.returned.set()

    def _hold(self) -> None:
        self.reached.set()
        assert self.let_go.wait(HANG_S)


@pytest.mark.local
async def test_without_a_thread_for_it_its_slot_is_free_again(
    provider: LocalLlmProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr("vantum.providers.local.llama.threading", SimpleNamespace(Thread=refuse))
        with pytest.raises(ProviderError, match="can't start new thread"):
            await answer(provider, ask("Who is this?"))
    assert provider._llama._slots.borrowed_tokens == 0
    assert await answer(provider, ask("Who is this?"))


@pytest.mark.local
async def test_leaving_stops_the_generation_at_the_next_pass_and_frees_its_slot(
    provider: LocalLlmProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    for attempt in range(SLOTS + 1):
        engine = HeldEngine(provider._llama._server, before=False)
        request = ask("Tell me one.", system=f"{attempt}: " + "you tell long stories, " * 50)
        with monkeypatch.context() as patch:
            patch.setattr(provider._llama, "_server", engine)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(answer, provider, request)
                await until(engine.reached.is_set)
                nursery.cancel_scope.cancel()
            # It has left, though the model is still at the pass that had begun: its slot is taken.
            assert not engine.returned.is_set()
            assert provider._llama._slots.borrowed_tokens == 1
            engine.let_go.set()
            await until(lambda: provider._llama._slots.borrowed_tokens == 0)
        assert engine.returned.is_set()
        assert engine.chunks == 1, "nothing runs on"
    assert await answer(provider, ask("Who is this?"))


@pytest.mark.local
async def test_a_prompt_too_long_is_said_to_be(provider: LocalLlmProvider) -> None:
    with pytest.raises(ProviderError, match="shorten LLM_SYSTEM_PROMPT") as caught:
        await answer(provider, ask("Hi.", system="word " * 5000))
    assert caught.value.kind == "invalid_request"
    assert provider.health().ok
    assert await answer(provider, ask("Who is this?"))


@pytest.mark.local
async def test_the_first_words_come_at_once(
    provider: LocalLlmProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = HeldEngine(provider._llama._server, before=True)
    monkeypatch.setattr(provider._llama, "_server", engine)
    with trio.fail_after(HANG_S):
        async with provider.for_session().stream(ask("Who is this?")) as pieces:
            assert await anext(pieces)
            assert engine.chunks == 0, "it has not even read the question"
            engine.let_go.set()


@pytest.mark.local
def test_it_writes_nothing_and_opens_no_port(local_settings: LocalSettings) -> None:
    code = (
        "import os\n"
        "from vantum.config.call import LlmSettings\n"
        "from vantum.config.providers import LocalSettings\n"
        "from vantum.providers.local.llm import LocalLlmProvider\n"
        "from vantum.providers.local.workers import Workers\n"
        "LocalLlmProvider(LocalSettings(), LlmSettings(), Workers(1))\n"
        "links = [os.readlink(f'/proc/self/fd/{fd}') for fd in os.listdir('/proc/self/fd')\n"
        "         if os.path.exists(f'/proc/self/fd/{fd}')]\n"
        "own = {l[8:-1] for l in links if l.startswith('socket:[')}\n"
        "tcp = open('/proc/self/net/tcp').readlines() + open('/proc/self/net/tcp6').readlines()\n"
        "assert not own & {line.split()[9] for line in tcp}, 'a port is open'\n"
    )
    if not sys.platform.startswith("linux"):
        pytest.skip("looks into /proc")
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, text=True)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
