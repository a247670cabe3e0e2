"""Values as attackers and tired people write them, and how they are shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from vantum.config.load import describe, load_settings
from vantum.errors import ConfigError


@pytest.mark.parametrize(
    ("env", "line"),
    [
        ({"PORT": "\uff13\uff10"}, "PORT=\uff13\uff10: must be a whole number from 0 to 65535"),
        ({"LLM_TOP_P": "\u0660.\u0665"}, "LLM_TOP_P=\u0660.\u0665: must be a number from 0 to 1"),
        (
            {"LLM_MODEL": "gpt\udcff"},
            "LLM_MODEL=gpt\\udcff: must be text that is not empty, in UTF-8",
        ),
        ({"LLM_SYSTEM_PROMPT": "\udcff"}, "LLM_SYSTEM_PROMPT=\\udcff: must be text, in UTF-8"),
        (
            {"OPENAI_ORGANIZATION": "org\nX-Header: 1"},
            "OPENAI_ORGANIZATION=org\\nX-Header: 1: must be one line of printable ASCII characters",
        ),
        (
            {"LLM_PROVIDER": "https://me:hunter2@x/v1"},
            "LLM_PROVIDER=https://***@x/v1: must be auto, openai or local",
        ),
    ],
)
def test_what_cannot_be_taken(env: dict[str, str], line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(env, None)
    assert str(caught.value) == line


def test_a_marker_that_nobody_sees(tmp_path: Path) -> None:
    file = tmp_path / "vantum.toml"
    file.write_text("[streaming]\nbreak_marker = '\u200b'", "utf-8")
    with pytest.raises(ConfigError, match=r"streaming\.break_marker=\\u200b: must be at most 40"):
        load_settings({}, file)


def test_an_organization_is_taken_without_the_spaces_around_it() -> None:
    assert load_settings({"OPENAI_ORGANIZATION": " org-1\n"}, None).settings.openai == (
        load_settings({"OPENAI_ORGANIZATION": "org-1"}, None).settings.openai
    )


def test_an_option_is_called_by_its_name() -> None:
    with pytest.raises(ConfigError, match=r"^--port=x: must be a whole number"):
        load_settings({}, None, {"server.port": "x"}, {"server.port": "--port"})


def test_a_login_within_a_text_is_not_printed() -> None:
    loaded = load_settings({"LLM_SYSTEM_PROMPT": "See https://me:hunter2@x/ and sell."}, None)
    rows = {row.name: row for row in describe(loaded)}
    assert rows["llm.system_prompt"].value == "See https://***@x/ and sell."
    assert "hunter2" in loaded.settings.llm.system_prompt


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("TURN_GREETING", "Hello {{prospect.nam}}!"),
        ("TURN_GREETING", "{{prospect.name}}"),
        ("TURN_REPROMPTS", "Still there?|Hello {{prospect.name}"),
        ("TURN_GOODBYE", "{{marker}} Goodbye."),
    ],
)
def test_a_text_of_ours_with_a_variable_that_there_is_not(name: str, text: str) -> None:
    with pytest.raises(ConfigError, match=r"variables prospect\.name, ") as caught:
        load_settings({name: text}, None)
    assert str(caught.value).startswith(f"{name}={text}: must be text")


def test_texts_of_ours_with_variables() -> None:
    turns = load_settings(
        {
            "TURN_GREETING": "Hello {{prospect.name|there}}!",
            "TURN_REPROMPTS": "{{prospect.name|Hello}}? | Still there?",
        },
        None,
    ).settings.turns
    assert turns.greeting == "Hello {{prospect.name|there}}!"
    assert turns.reprompt_texts == ("{{prospect.name|Hello}}?", "Still there?")
