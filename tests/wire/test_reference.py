"""The reference pages are what the code says."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import click
import pytest

from vantum.cli import commands
from vantum.config.declared import declared
from vantum.core.conversation import MOVES, TABLE
from vantum.wire.events import EVENTS
from vantum.wire.registry import ERRORS

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_pages_in_the_repository_are_up_to_date(generate: ModuleType) -> None:
    assert generate.main(["--check"]) == 0, "run: python docs/generate.py"


def test_a_page_that_differs_is_named(
    generate: ModuleType,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "templates").symlink_to(DOCS / "templates")
    (tmp_path / "reference").mkdir()
    monkeypatch.setattr(generate, "DOCS", tmp_path)
    assert generate.main(["--check"]) == 1
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0
    (tmp_path / "reference" / "events.md").write_text("old")
    capsys.readouterr()
    assert generate.main(["--check"]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_every_row_is_on_a_page(generate: ModuleType) -> None:
    protocol, events, settings, states, command_line = map(generate.page, generate.PAGES)
    for event in EVENTS:
        for name in (event.unified, event.voicechat, *event.aliases):
            if name is not None:
                assert f"`{name}`" in protocol
                assert f"`{name}`" in events
        for field in event.fields:
            assert f"| `{field.name}` |" in events
    for row in ERRORS:
        assert row.doc in protocol
    for setting in declared().values():
        assert f"| `{setting.key}` |" in settings
        assert all(f"`{name}`" in settings for name in setting.variables)
    for (old, new), why in MOVES.items():
        assert f"    {old} --> {new}: {why}" in states
        assert f"| `{old}` | `{new}` | {why} |" in states
    for kind in {kind for row in TABLE.values() for kind in row}:
        assert f"| `{kind.__name__}` |" in states
    for name, command in commands.commands.items():
        assert f"## `vantum-actors {name}`" in command_line
        for option in command.params:
            assert max(option.opts) in command_line or isinstance(option, click.Argument)
    text = protocol + events + settings + states + command_line
    assert "<!-- table" not in text
    assert text.count("<!--") == len(generate.PAGES), "all holes are filled"


@pytest.mark.parametrize("name", ["settings", "command-line"])
def test_docstrings_are_prose_on_a_page(generate: ModuleType, name: str) -> None:
    """Their indentation would be a block of code, and what they raise is for programmers."""
    page = generate.page(name)
    assert [line for line in page.splitlines() if line.startswith("    ")] == []
    assert "Raises:" not in page
