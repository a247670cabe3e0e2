"""The declarations themselves."""

from __future__ import annotations

import attrs
import pytest

from vantum.config import Secret, Settings
from vantum.config.declared import Declared, declared, declared_tables
from vantum.config.values import parse

ROWS = list(declared().values())


def test_every_field_of_every_table_is_listed() -> None:
    names = {
        f"{table.name}.{field.name}"
        for table in attrs.fields(Settings)
        for field in attrs.fields(type(getattr(Settings(), table.name)))
    }
    # What is no single value has a reader of its own.
    assert set(declared()) == names - {"prompts.variants", "prompts.script"}


def test_no_two_settings_share_a_variable() -> None:
    variables = [name for row in ROWS for name in row.variables]
    assert len(variables) == len(set(variables))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_default_is_allowed_and_every_setting_is_explained(row: Declared) -> None:
    assert parse(row, row.default) == row.default
    assert row.doc.endswith((".", "`)"))
    assert (row.kind == "secret") == isinstance(row.default, Secret)
    assert (row.low is None) == (row.high is None) or row.kind in ("int", "float")
    assert not row.choices or row.kind == "str"


def test_names_of_the_original_are_all_there() -> None:
    variables = {name for row in ROWS for name in row.variables}
    llm = (
        "MODEL TEMPERATURE MAX_TOKENS TOP_P FREQUENCY_PENALTY PRESENCE_PENALTY REQUEST_TIMEOUT "
        "STREAMING_TIMEOUT FALLBACK_TIER1 FALLBACK_TIER2 FALLBACK_TIER3 SYSTEM_PROMPT "
        "SESSION_IDLE_TIMEOUT SESSION_MAX_DURATION MAX_RETRIES MAX_QUEUE_SIZE MAX_MESSAGES "
        "MAX_CONTEXT_TOKENS"
    )
    others = (
        "OPENAI_API_KEY OPENAI_ORGANIZATION DEEPGRAM_API_KEY CARTESIA_API_KEY PORT LOG_LEVEL "
        "DEEPGRAM_BASE_URL OPENAI_BASE_URL CARTESIA_BASE_URL TWILIO_ACCOUNT_SID TWILIO_AUTH_TOKEN "
        "TWILIO_PHONE_NUMBER"
    )
    assert variables >= {f"LLM_{name}" for name in llm.split()} | set(others.split())


def test_streaming_is_for_the_file_alone() -> None:
    table = next(table for table in declared_tables() if table.name == "streaming")
    assert [row.env for row in table.settings] == [None] * 6
    assert table.doc


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (Declared("t", "k", "int", 0, "d"), "a whole number"),
        (Declared("t", "k", "float", 0, "d", low=1), "a number of at least 1"),
        (Declared("t", "k", "float", 0, "d", low=0, high=0.5), "a number from 0 to 0.5"),
        (Declared("t", "k", "bool", 0, "d"), "true or false"),
        (Declared("t", "k", "str", "", "d"), "text"),
        (Declared("t", "k", "str", "", "d", form="nonempty"), "text that is not empty"),
        (
            Declared("t", "k", "str", "", "d", form="marker"),
            "at most 40 characters that begin and end with symbols which are not punctuation, "
            'without a space, such as "||BREAK||"',
        ),
        (
            Declared("t", "k", "str", "", "d", form="spoken"),
            "text with at least one letter or digit",
        ),
        (Declared("t", "k", "str", "", "d", choices=("a", "b", "c")), "a, b or c"),
        (Declared("t", "k", "str", "", "d", choices=("a",)), "a"),
    ],
)
def test_what_is_allowed_in_words(row: Declared, words: str) -> None:
    assert row.allowed == words


def test_a_secret_does_not_print() -> None:
    secret = Secret("hunter2")
    assert (repr(secret), str(secret), f"{Secret('')}") == (
        "Secret('***')",
        "Secret('***')",
        "Secret('')",
    )
    assert secret.reveal() == "hunter2"
    assert secret
    assert not Secret("")
    assert secret == Secret("hunter2")
    assert secret != "hunter2"
    assert len({secret, Secret("hunter2"), Secret("other")}) == 2
