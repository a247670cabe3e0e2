"""Reading settings: where they come from, what is allowed, and what an error says."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vantum.config import Secret, Settings
from vantum.config.declared import Declared, declared
from vantum.config.load import describe, load_settings
from vantum.config.values import WrongValue, parse, shown
from vantum.core.chunking import Chunker, ChunkingOptions
from vantum.core.fallbacks import FallbackTiers
from vantum.errors import ConfigError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "vantum.toml"


def complaint(
    env: dict[str, str] | None = None,
    file: Path | None = None,
    overrides: dict[str, object] | None = None,
) -> str:
    with pytest.raises(ConfigError) as caught:
        load_settings(env or {}, file, overrides)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_nothing_given_is_all_defaults() -> None:
    loaded = load_settings({}, None)
    assert loaded.settings == Settings()
    assert loaded.origins == dict.fromkeys(declared(), "default")
    assert loaded.warnings == ()


def test_the_nearer_source_wins(file: Path) -> None:
    file.write_text(
        "[server]\nhost = '0.0.0.0'\nport = 1000\nmax_sessions = 5\n[llm]\ntemperature = 1\n"
    )
    env = {"PORT": " 2000 ", "MAX_SESSIONS": "6", "LOG_LEVEL": "", "LLM_TOP_P": "  "}
    loaded = load_settings(env, file, {"server.port": 3000, "server.max_sessions": None})
    server = loaded.settings.server
    assert (server.host, server.port, server.max_sessions) == ("0.0.0.0", 3000, 6)
    assert loaded.settings.llm.temperature == 1.0
    assert isinstance(loaded.settings.llm.temperature, float)
    assert {name: origin for name, origin in loaded.origins.items() if origin != "default"} == {
        "server.host": f"file {file}",
        "server.port": "command line",
        "server.max_sessions": "environment MAX_SESSIONS",
        "llm.temperature": f"file {file}",
    }


def test_keys_as_the_original_writes_them(file: Path) -> None:
    file.write_text(
        """
        stt = "local"
        [streaming]
        breakMarker = "<p>"
        minChunkWords = 2
        maxChunkWords = 20
        maxChunkChars = 100
        maxBufferSize = 150
        fallbackMode = "complete"
        [llm]
        requestTimeout = 5000
        fallback_tier1 = "Pardon?"
        """
    )
    loaded = load_settings({}, file)
    streaming = loaded.settings.streaming
    assert streaming.break_marker == "<p>"
    assert (streaming.min_chunk_words, streaming.max_chunk_words) == (2, 20)
    assert (streaming.max_chunk_chars, streaming.max_buffer_size) == (100, 150)
    assert streaming.fallback_mode == "complete"
    assert loaded.settings.llm.request_timeout_ms == 5000
    assert loaded.settings.llm.fallback_tier1 == "Pardon?"
    assert loaded.settings.stt.provider == "local"
    assert loaded.origins["stt.provider"] == f"file {file}"


@pytest.mark.parametrize("row", declared().values(), ids=lambda row: row.name)
def test_every_key_may_be_in_camel_case_and_a_time_without_its_unit(
    row: Declared, file: Path
) -> None:
    def camel(key: str) -> str:
        first, *others = key.split("_")
        return first + "".join(other[0].upper() + other[1:] for other in others)

    names = {row.key, camel(row.key)}
    short = row.key.removesuffix("_ms")
    if f"{row.table}.{short}" not in declared():
        names.add(camel(short))
    for name in names:
        file.write_text(f"[{row.table}]\n{name} = []\n")
        with pytest.raises(ConfigError, match="must be "):
            load_settings({}, file)


def test_a_name_that_is_another_settings_means_that_one(file: Path) -> None:
    file.write_text('[turns]\nbargeIn = "words"\nbargeInMs = 100\n')
    turns = load_settings({}, file).settings.turns
    assert (turns.barge_in, turns.barge_in_ms) == ("words", 100)


def test_a_variable_may_have_another_name_that_counts_behind_the_first() -> None:
    def number(**env: str) -> tuple[str, str]:
        loaded = load_settings(env, None)
        return loaded.settings.twilio.from_number, loaded.origins["twilio.from_number"]

    ours, theirs = "+12125550123", "+12125550124"
    assert number(TWILIO_PHONE_NUMBER=theirs) == (theirs, "environment TWILIO_PHONE_NUMBER")
    both = number(TWILIO_FROM_NUMBER=ours, TWILIO_PHONE_NUMBER=theirs)
    assert both == (ours, "environment TWILIO_FROM_NUMBER")
    assert number(TWILIO_FROM_NUMBER=" ", TWILIO_PHONE_NUMBER=theirs)[0] == theirs
    with pytest.raises(ConfigError, match="TWILIO_PHONE_NUMBER=555: must be a phone number"):
        number(TWILIO_PHONE_NUMBER="555")


def test_a_queue_size_of_0_is_the_most_there_may_be() -> None:
    """As the original has it, where it means that nothing is ever refused."""
    session = load_settings({"LLM_MAX_QUEUE_SIZE": "0"}, None).settings.session
    assert session.queue_size == 1000
    assert load_settings({}, None).settings.session.queue_size == 10


@pytest.mark.parametrize(
    ("env", "line"),
    [
        ({"LLM_TEMPERATURE": "5"}, "LLM_TEMPERATURE=5: must be a number from 0 to 2"),
        ({"LLM_TEMPERATURE": "nan"}, "LLM_TEMPERATURE=nan: must be a number from 0 to 2"),
        ({"LLM_TEMPERATURE": "warm"}, "LLM_TEMPERATURE=warm: must be a number from 0 to 2"),
        ({"LLM_MAX_TOKENS": "0"}, "LLM_MAX_TOKENS=0: must be a whole number from 1 to 4096"),
        ({"LLM_MAX_TOKENS": "1.5"}, "LLM_MAX_TOKENS=1.5: must be a whole number from 1 to 4096"),
        ({"PORT": "http"}, "PORT=http: must be a whole number from 0 to 65535"),
        ({"LOG_LEVEL": "loud"}, "LOG_LEVEL=loud: must be debug, info, warning or error"),
        ({"TTS_PROVIDER": "deepgram"}, "TTS_PROVIDER=deepgram: must be auto, cartesia or local"),
        (
            {"DEEPGRAM_API_KEY": "dg-\n-secret"},
            "DEEPGRAM_API_KEY: must be one line of printable ASCII characters",
        ),
        ({"PORT": "3_001"}, "PORT=3_001: must be a whole number from 0 to 65535"),
        ({"LLM_TOP_P": "0_1"}, "LLM_TOP_P=0_1: must be a number from 0 to 1"),
        (
            {"AUTH_TOKENS": " , "},
            "AUTH_TOKENS: must be one line of printable ASCII characters, with a token",
        ),
        (
            {"API_TOKENS": ","},
            "API_TOKENS: must be one line of printable ASCII characters, with a token",
        ),
    ],
)
def test_a_wrong_variable(env: dict[str, str], line: str) -> None:
    assert complaint(env) == line


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        ("api.openai.com", "api.openai.com"),
        ("ftp://api.openai.com", "ftp://api.openai.com"),
        ("https://", "https://"),
        ("https://[::1", "https://[::1"),
        ("https://x:99999", "https://x:99999"),
        ("https://x:0/", "https://x:0/"),
        ("https://a b/v1", "https://a b/v1"),
        ("https://x/\nv1", "https://x/\\nv1"),
        ("https://x/é", "https://x/é"),
        ("https://me:hunter2@x/v1", "***@x/v1"),
        ("me:hunter2@x", "***@x"),
        ("https://x/v1?key=hunter2", "https://x/v1***"),
        ("https://x/v1#hunter2", "https://x/v1***"),
        ("https://x/" + "v" * 90, None),
    ],
)
def test_addresses(value: str, seen: str | None) -> None:
    if seen is None:
        assert load_settings({"OPENAI_BASE_URL": value}, None).settings.openai.base_url == value
        return
    line = complaint({"OPENAI_BASE_URL": value})
    assert line.startswith(f"OPENAI_BASE_URL={seen}: must be an address that begins with http://")


def test_values_are_taken_as_they_are_usually_written() -> None:
    env = {
        "LOG_LEVEL": "INFO",
        "OPENAI_API_KEY": "sk-1\n",
        "OPENAI_BASE_URL": " http://127.0.0.1:8080/v1 ",
        "LLM_SYSTEM_PROMPT": "Two\nlines",
        "LLM_TEMPERATURE": "1e-1",
    }
    loaded = load_settings(env, None).settings
    assert loaded.log.level == "info"
    assert loaded.openai.api_key == Secret("sk-1")
    assert loaded.openai.base_url == "http://127.0.0.1:8080/v1"
    assert loaded.llm.system_prompt == "Two\nlines"
    assert loaded.llm.temperature == 0.1


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[llm]\ntemperature = 5", "llm.temperature=5: must be a number from 0 to 2"),
        ("[llm]\ntemperature = inf", "llm.temperature=inf: must be a number from 0 to 2"),
        ("[llm]\nmaxTokens = 5000", "llm.maxTokens=5000: must be a whole number from 1 to 4096"),
        ("[llm]\nmax_tokens = true", "llm.max_tokens=true: must be a whole number from 1 to 4096"),
        ("[llm]\nmodel = []", "llm.model=list: must be text that is not empty"),
        ("[llm]\nmodel = ' '", "llm.model= : must be text that is not empty"),
        ("[llm]\nmodel = 1979-05-27", "llm.model=1979-05-27: must be text that is not empty"),
        ("stt = 'cartesia'", "stt=cartesia: must be auto, deepgram or local"),
        ("[openai]\napi_key = 5", "openai.api_key: must be one line of printable ASCII"),
        ("[llm]\ntemprature = 1", "[llm] has no setting temprature; did you mean temperature?"),
        ("[turns]\nmax_wait = 1", "[turns] has no setting max_wait; did you mean max_wait_ms?"),
        ("[log]\nx = 1", "[log] has no setting x; there are: level, format"),
        ("[openai]\n'a\\nb' = 1", "[openai] has no setting a\\nb"),
        ('[openai]\n"a\\nb" = 1', "[openai] has no setting a\\nb"),
        ("[serve]\nport = 1", "there is no table [serve]; did you mean server?"),
        ("[zzz]", "there is no table [zzz]; there are: server, session,"),
        ("port = 1", "port is in no table; write it under [server]"),
        ("zzz = 1", "zzz is in no table"),
        ("server = 1", "server must be a table, [server]"),
        (
            "[streaming]\nmaxChunkChars = 300\nmax_chunk_chars = 300",
            "streaming.max_chunk_chars is there twice, the second time as max_chunk_chars",
        ),
        ("[llm", "is not TOML: "),
        ("[llm]\nmax_tokens = " + "9" * 5000, "is not TOML: "),
        (
            "[llm]\nmax_tokens = 0x" + "f" * 5000,
            "llm.max_tokens=a number of very many digits: must be a whole number",
        ),
        (
            "[llm]\ntemperature = 0x" + "f" * 5000,
            "llm.temperature=a number of very many digits: must be a number from 0 to 2",
        ),
        ("[llm]\nmodel = " + "[" * 3000, "is not TOML: "),
    ],
)
def test_a_wrong_file(file: Path, text: str, line: str) -> None:
    file.write_text(text)
    assert complaint(file=file).startswith(f"{file}: {line}")


def test_files_that_cannot_be_read(file: Path) -> None:
    assert complaint(file=file) == f"{file}: cannot be read: No such file or directory"
    file.write_bytes(b"\xff")
    assert complaint(file=file) == f"{file}: is not UTF-8 text"


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        ({"server.port": 70000}, "server.port=70000: must be a whole number from 0 to 65535"),
        ({"server.prot": 1}, "server.prot: no such setting; did you mean server.port?"),
        ({"q": 1}, "q: no such setting"),
    ],
)
def test_a_wrong_command_line(overrides: dict[str, object], line: str) -> None:
    assert complaint(overrides=overrides) == line


def test_settings_that_contradict_each_other(file: Path) -> None:
    file.write_text("[streaming]\nmax_buffer_size = 100")
    assert complaint(file=file) == (
        f"streaming.max_buffer_size=100 (file {file}): must be at least "
        "streaming.max_chunk_chars=300 (default)"
    )
    file.write_text("[streaming]\nmin_chunk_words = 60")
    assert complaint(file=file) == (
        "streaming.max_chunk_words=50 (default): must be at least "
        f"streaming.min_chunk_words=60 (file {file})"
    )


@pytest.mark.parametrize(
    "marker", ["BREAK", "--x--", "||a b||", "|BREAK", "", "  ", "?", "|" + "B" * 39 + "|"]
)
def test_a_marker_that_could_not_be_found_in_an_answer(file: Path, marker: str) -> None:
    file.write_text(f"[streaming]\nbreak_marker = '{marker}'")
    line = complaint(file=file)
    assert line.startswith(f"{file}: streaming.break_marker={marker}: must be at most 40 char")


@pytest.mark.parametrize("text", ["...", "?!", "—", "'"])
def test_a_fallback_that_could_not_be_spoken(text: str) -> None:
    line = f"LLM_FALLBACK_TIER2={text}: must be text with at least one letter or digit"
    assert complaint({"LLM_FALLBACK_TIER2": text}) == line


def test_a_fallback_of_nothing_but_a_marker(file: Path) -> None:
    assert complaint({"LLM_FALLBACK_TIER3": "|| BREAK ||."}) == (
        "llm.fallback_tier3=|| BREAK ||. (environment LLM_FALLBACK_TIER3): must have words "
        "besides streaming.break_marker (default)"
    )
    file.write_text("[streaming]\nbreakMarker = '<p>'")
    assert load_settings({"LLM_FALLBACK_TIER3": "|| BREAK ||"}, file)


_fallbacks = st.text(max_size=20) | st.sampled_from(["||BREAK||", "<p>.", "a", "1 ||", "…"])


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=12) | st.sampled_from(["||", "<p>", "|é|"]), _fallbacks)
def test_what_the_settings_take_the_first_turn_takes(marker: str, text: str) -> None:
    rows = declared()
    try:
        marker = str(parse(rows["streaming.break_marker"], marker))
        text = str(parse(rows["llm.fallback_tier1"], text))
    except WrongValue:
        return
    assert FallbackTiers(text, text, text).after(1) == (1, text)
    chunker = Chunker(ChunkingOptions(break_marker=marker))
    assert [*chunker.feed(marker), *chunker.finish()] == [], "it is never spoken"
    Chunker(ChunkingOptions(break_marker=marker)).feed(text)


@pytest.mark.parametrize(
    ("env", "warned"),
    [
        ({"LLM_TEMPRATURE": "hunter2"}, ["LLM_TEMPERATURE"]),
        ({"LLM_TEMPRATURE": "1", "LLM_TEMPERATURE": "1"}, []),
        ({"OPENAI_APIKEY": "hunter2"}, ["OPENAI_API_KEY"]),
        ({"HOSTNAME": "x", "PORTS": "1", "LLM_X": "1", "PATH": "/"}, []),
        ({"LLM_CLEANUP_INTERVAL": "1"}, ["no effect"]),
        ({"OPENAI_API_KEY": ' "hunter2"'}, ["OPENAI_API_KEY is in quotation marks"]),
        ({"LLM_MODEL": "'m'", "LLM_SYSTEM_PROMPT": '"Hi" and "hi".'}, ["LLM_MODEL"]),
        ({"OPENAI_API_KEY": '"'}, []),
    ],
)
def test_variables_that_look_like_ours(env: dict[str, str], warned: list[str]) -> None:
    warnings = load_settings(env, None).warnings
    assert len(warnings) == len(warned)
    for warning, word in zip(warnings, warned, strict=True):
        assert word in warning
        assert "hunter2" not in warning


def test_a_name_has_no_blanks_around_it() -> None:
    """Such as the end of the line in a file that a variable was read from."""
    env = {
        "LLM_MODEL": " gpt-5.1\n",
        "HOST": "::1 ",
        "CARTESIA_VOICE_ID": "\tx",
        "AUTH_TOKENS": "a, \n",
    }
    settings = load_settings(env, None).settings
    assert settings.llm.model == "gpt-5.1"
    assert settings.server.host == "::1"
    assert settings.cartesia.voice_id == "x"
    assert settings.server.auth_tokens == Secret("a,")


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    file = tmp_path / "vantum.toml"
    file.write_text("[server]\nport = 7\n", "utf-8-sig")
    assert load_settings({}, file).settings.server.port == 7


def test_what_is_printed_holds_no_secret() -> None:
    env = {"OPENAI_API_KEY": "sk-hunter2", "PORT": "0", "LLM_SYSTEM_PROMPT": "a\nb" + "c" * 99}
    loaded = load_settings(env, None)
    rows = {row.name: row for row in describe(loaded)}
    assert list(rows) == list(declared())
    assert rows["openai.api_key"].value == "***"
    assert rows["openai.api_key"].origin == "environment OPENAI_API_KEY"
    assert rows["cartesia.api_key"].value == ""
    assert (rows["server.port"].value, rows["server.port"].env) == ("0", "PORT")
    assert rows["llm.temperature"].value == "0.7"
    assert rows["llm.system_prompt"].value.startswith("a\\nbccc")
    assert len(rows["llm.system_prompt"].value) == 60
    for text in (repr(loaded), str(rows)):
        assert "hunter2" not in text


def test_a_truth_value() -> None:
    row = Declared("log", "colour", "bool", False, "Colour.", env="COLOUR")
    for text in ("true", " Yes", "ON", "1"):
        assert parse(row, text) is True
    for text in ("false", "no", "off", "0"):
        assert parse(row, text) is False
    assert parse(row, True) is True
    assert shown(row, True) == "true"
    for value in ("maybe", 1, None):
        with pytest.raises(WrongValue, match="must be true or false"):
            parse(row, value)


_numbers = st.one_of(
    st.integers(), st.floats(), st.sampled_from([0, 1, 2, 200, 1000, 5000, 65535])
).map(str)
_texts = (
    _numbers
    | st.text(max_size=30)
    | st.sampled_from(["local", "auto", "https://x", "https://[", "wss://x:1", "debug"])
)
_variables = st.sampled_from(sorted(row.env for row in declared().values() if row.env))
_secrets = {row.env for row in declared().values() if row.kind == "secret"}


def _marked(env: dict[str, str]) -> dict[str, str]:
    """The same with secrets that can be recognised."""
    return {name: f"hunter2{text}" if name in _secrets else text for name, text in env.items()}


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(_variables, _texts, max_size=3).map(_marked))
@example({"DEEPGRAM_API_KEY": "hunter2é"})
@example({"PORT": "\ud800"})
@example({"TURN_DEADLINE": "1000"})
def test_any_environment_loads_or_says_in_one_line_why_not(env: dict[str, str]) -> None:
    try:
        loaded = load_settings(env, None)
    except ConfigError as error:
        line = str(error)
    else:
        for row in describe(loaded):
            assert len(row.value.splitlines()) <= 1
            assert "hunter2" not in row.value
        return
    assert len(line.splitlines()) == 1
    line.encode()
    blamed = [
        name
        for name in env
        # Of a value that is wrong beside another one both are named, and where each came from.
        if line.startswith((f"{name}=", f"{name}:")) or f"(environment {name})" in line
    ]
    assert blamed
    assert "hunter2" not in line


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ("auto", None),
        (" AUTO ", None),
        ("end_call", ("end_call",)),
        (" remember , end_call,", ("remember", "end_call")),
    ],
)
def test_built_in_tools_by_name(given: str, names: tuple[str, ...] | None) -> None:
    loaded = load_settings({"TOOLS_BUILT_IN": given, "TOOLS": "a:b, c:d"}, None)
    assert loaded.settings.tools.built_in_names == names
    assert loaded.settings.tools.load_paths == ("a:b", "c:d")


def test_a_built_in_tool_that_there_is_not() -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings({"TOOLS_BUILT_IN": "end_call, fly"}, None)
    assert str(caught.value) == (
        "tools.built_in=end_call, fly (environment TOOLS_BUILT_IN): must be auto or of end_call, "
        "remember"
    )
