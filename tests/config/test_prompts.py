"""Variants of the prompt and the script, as files have them."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from vantum.config import PromptSettings, Settings
from vantum.config.load import describe, load_settings
from vantum.core.scripts import Script, Stage
from vantum.core.variants import PromptVariant
from vantum.errors import ConfigError

SCRIPT = "[stages.intro]\nnext = ['close']\n[stages.close]\n"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "brisk.txt").write_text("Be brisk, {{prospect.name}}.\n")
    (tmp_path / "empty.txt").write_text(" \n")
    (tmp_path / "latin.txt").write_bytes(b"\xe9")
    (tmp_path / "long.txt").write_text("x" * 300_000)
    (tmp_path / "script.toml").write_text(SCRIPT)
    return tmp_path


def settings_file(home: Path, text: str) -> Path:
    path = home / "vantum.toml"
    path.write_text(text)
    return path


VARIANTS = """
[[prompts.variants]]
name = "as it was"

[[prompts.variants]]
name = "brisk"
weight = 2.5
file = "prompts/brisk.txt"

[[prompts.variants]]
name = "kind"
weight = 0
system_prompt = "Be kind."
"""


def test_variants(home: Path) -> None:
    loaded = load_settings({}, settings_file(home, VARIANTS))
    assert loaded.settings.prompts.variants == (
        PromptVariant("as it was"),
        PromptVariant("brisk", 2.5, "Be brisk, {{prospect.name}}.\n"),
        PromptVariant("kind", 0, "Be kind."),
    )
    row = next(row for row in describe(loaded) if row.name == "prompts.variants")
    assert row.value == "as it was (1), brisk (2.5), kind (0)"
    assert row.origin == "[[prompts.variants]] of the file"


def test_files_may_begin_with_a_mark_of_their_encoding(home: Path) -> None:
    (home / "script.toml").write_text(SCRIPT, "utf-8-sig")
    (home / "prompts" / "brisk.txt").write_text("Be brisk.", "utf-8-sig")
    path = settings_file(home, "")
    path.write_text(f"[prompts]\nscript_file = 'script.toml'\n{VARIANTS}", "utf-8-sig")
    prompts = load_settings({}, path).settings.prompts
    assert prompts.variants[1].system_prompt == "Be brisk."
    assert prompts.script is not None


def test_without_files_there_is_nothing() -> None:
    loaded = load_settings({}, None)
    assert loaded.settings.prompts == PromptSettings()
    names = [row.name for row in describe(loaded)]
    assert "prompts.script_file" in names
    assert "prompts.variants" not in names
    assert "prompts.script" not in names


def test_the_script_of_the_file_is_beside_it(home: Path) -> None:
    loaded = load_settings({}, settings_file(home, "[prompts]\nscript_file = 'script.toml'\n"))
    script = loaded.settings.prompts.script
    assert script == Script((Stage("intro", next=("close",)), Stage("close")), "intro")
    row = next(row for row in describe(loaded) if row.name == "prompts.script")
    assert row.value == "intro close"


def test_the_script_of_the_environment_is_where_the_server_starts(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = settings_file(home / "prompts", "")
    env = {"SCRIPT_FILE": "script.toml"}
    monkeypatch.chdir(home)
    assert load_settings(env, elsewhere).settings.prompts.script is not None
    given = {"prompts.script_file": str(home / "script.toml")}
    assert load_settings({}, None, given).settings.prompts.script is not None
    monkeypatch.chdir(home / "prompts")
    with pytest.raises(ConfigError, match=r"\(environment SCRIPT_FILE\): script.toml: cannot be "):
        load_settings(env, elsewhere)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[prompts]\nvariants = 3", "prompts.variants must be tables, [[prompts.variants]]"),
        ("[prompts]\nvariants = [3]", "prompts.variants must be tables, [[prompts.variants]]"),
        ("[[prompts.variants]]", "the 1. one: name must be text of 1 to 60 characters"),
        ("[[prompts.variants]]\nname = ' '", "the 1. one: name must be text of 1 to 60 characters"),
        (
            "[[prompts.variants]]\nname = 'a'\nprompt = 'x'",
            "prompts.variants 'a': there is no 'prompt'; there are: name, weight, system_prompt, ",
        ),
        (
            "[[prompts.variants]]\nname='a'\nweight='1'",
            "'a': weight must be a number of at least 0",
        ),
        ("[[prompts.variants]]\nname='a'\nweight=true", "'a': weight must be a number of at "),
        ("[[prompts.variants]]\nname='a'\nweight=-1", "'a': weight must be a number of at least 0"),
        (
            "[[prompts.variants]]\nname='a'\nweight=inf",
            "'a': weight must be a number of at least 0 and at most 1000000",
        ),
        ("[[prompts.variants]]\nname='a'\nweight=nan", "'a': weight must be a number of at "),
        (f"[[prompts.variants]]\nname='a'\nweight={10**400}", "'a': weight must be a number of "),
        ("[[prompts.variants]]\nname='a'\nweight=1e300", "'a': weight must be a number of at "),
        ("[[prompts.variants]]\nname='a'\nweight=0", "one weight at least must be above 0"),
        (
            "[[prompts.variants]]\nname='a'\n[[prompts.variants]]\nname=' a'",
            "prompts.variants 'a': the name is there twice",
        ),
        (
            "[[prompts.variants]]\nname='a'\nsystem_prompt=''",
            "'a': system_prompt must be text that",
        ),
        ("[[prompts.variants]]\nname='a'\nfile=3", "'a': file must be text that is not empty"),
        (
            "[[prompts.variants]]\nname='a'\nfile='x'\nsystem_prompt='y'",
            "'a': give system_prompt or file, not both",
        ),
        (
            "[[prompts.variants]]\nname='a'\nsystem_prompt='{{prospect.age}}'",
            "'a': system_prompt: unknown variable {{prospect.age}}; there are: prospect.name, ",
        ),
        ("[[prompts.variants]]\nname='a'\nfile='none.txt'", "none.txt: cannot be read: No such "),
        ("[[prompts.variants]]\nname='a'\nfile='latin.txt'", "latin.txt: is not UTF-8 text"),
        (
            "[[prompts.variants]]\nname='a'\nfile='long.txt'",
            "long.txt: is longer than 262144 bytes",
        ),
        ("[[prompts.variants]]\nname='a'\nfile='empty.txt'", "'a': file empty.txt is empty"),
        ("[llm]\nsystem_prompt='{{x}}'", "llm.system_prompt: unknown variable {{x}}; there are: "),
        ("[prompts]\nscript_file='empty.txt'", "empty.txt: a script needs stages"),
        ("[prompts]\nscript_file='latin.txt'", "latin.txt: is not UTF-8 text"),
        ("prompts = 3", "prompts must be a table, [prompts]"),
        ("[prompts]\nvariant = []", "[prompts] has no setting variant"),
    ],
)
def test_a_wrong_file_is_one_line(home: Path, text: str, fault: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings({}, settings_file(home, text))
    assert str(home) in str(caught.value)
    assert fault in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_wrong_prompt_of_the_environment_names_its_variable() -> None:
    with pytest.raises(ConfigError, match=r"^LLM_SYSTEM_PROMPT: unknown variable \{\{name\}\}; "):
        load_settings({"LLM_SYSTEM_PROMPT": "Hi {{name}}"}, None)


def test_a_program_may_set_them_itself() -> None:
    script = Script((Stage("a"),), "a")
    variants = (PromptVariant("x", 1, "Hi {{prospect.name}}"),)
    prompts = PromptSettings(variants=variants, script=script)
    assert attrs.evolve(Settings(), prompts=prompts).prompts.script is script
    with pytest.raises(ConfigError, match=r"^settings: prompts.variants 'x': weight must be"):
        PromptSettings(variants=(PromptVariant("x", -1),))
    with pytest.raises(ConfigError, match=r"^script: start='b' is no stage; there are: a"):
        PromptSettings(script=attrs.evolve(script, start="b"))
    with pytest.raises(ConfigError, match=r"^script mine: start='b' is no stage"):
        PromptSettings(script=attrs.evolve(script, start="b", name="mine"))
