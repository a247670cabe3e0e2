"""The documentation against the code: links, examples, settings and commands."""

from __future__ import annotations

import ast
import inspect
import json
import re
import shlex
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import trio
from attrs import frozen

from vantum.campaigns.plan import read_plan
from vantum.cli import commands as main
from vantum.config.declared import declared
from vantum.config.load import load_settings
from vantum.core.scripts import parse_script

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    [ROOT / "README.md", ROOT / "examples" / "README.md", *(ROOT / "docs").rglob("*.md")]
)
#: Templates are halves of pages, read where they end up.
PAGES = [page for page in PAGES if "templates" not in page.parts]
PARSED = {"python", "toml", "json"}

_FENCE = re.compile(
    r"(?P<mark><!-- runnable -->\n)?^(?P<ticks>```+)(?P<kind>\w*)\n(?P<text>.*?)^(?P=ticks)$",
    re.MULTILINE | re.DOTALL,
)
#: A file of ours, or a part of one, that a page shows.
_SHOWN = re.compile(r"^<!-- from (\S+) -->\n```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(.*)$", re.MULTILINE)
_INLINE = re.compile(r"`([^`\n]+)`")
_VARIABLE = re.compile(r"(?<![A-Za-z0-9_-])[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+(?![A-Za-z0-9_])")
_ASSIGNED = re.compile(r"^(?:export |Environment=)?([A-Z][A-Z0-9_]+)=", re.MULTILINE)
#: Variables that are the system's, and for all programs.
SYSTEMS = {"HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE"}


@frozen
class Block:
    page: Path
    line: int
    kind: str
    text: str
    is_runnable: bool

    @property
    def name(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks_of(page: Path) -> Iterator[Block]:
    text = page.read_text("utf-8")
    for found in _FENCE.finditer(text):
        line = text.count("\n", 0, found.start("ticks")) + 1
        yield Block(page, line, found["kind"], found["text"], found["mark"] is not None)


def prose_of(page: Path) -> str:
    return _FENCE.sub("", page.read_text("utf-8"))


BLOCKS = [block for page in PAGES for block in blocks_of(page)]


def of_kind(*kinds: str) -> list[Any]:
    return [pytest.param(block, id=block.name) for block in BLOCKS if block.kind in kinds]


def slug(heading: str) -> str:
    """The anchor that GitHub makes of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def for_a_shell(page: Path) -> str:
    """What a reader may type or set: everything in code type that is no program of its own."""
    programs = {"python", "js", "html", "json", "nginx"}
    code = [block.text for block in blocks_of(page) if block.kind not in programs]
    return "\n".join([*code, *_INLINE.findall(prose_of(page))])


def a_page(page: Path) -> Any:
    return pytest.param(page, id=str(page.relative_to(ROOT)))


@pytest.mark.parametrize("page", [a_page(page) for page in PAGES])
def test_links_lead_somewhere(page: Path) -> None:
    for target in _LINK.findall(prose_of(page)):
        if re.match(r"\w+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), f"{target} leads nowhere"
        assert there.is_relative_to(ROOT), f"{target} leads out of the repository"
        if anchor:
            anchors = {slug(heading) for heading in _HEADING.findall(there.read_text("utf-8"))}
            assert anchor in anchors, f"{target}: no such heading"


def test_every_page_can_be_reached() -> None:
    reached, ahead = set[Path](), [ROOT / "README.md", ROOT / "docs" / "README.md"]
    while ahead:
        page = ahead.pop()
        if page in reached or not page.exists():
            continue
        reached.add(page)
        for target in _LINK.findall(prose_of(page)):
            path = (page.parent / target.partition("#")[0]).resolve()
            if path.suffix in {"", ".md"}:
                ahead.append(path / "README.md" if path.is_dir() else path)
    assert {str(page.relative_to(ROOT)) for page in PAGES if page not in reached} == set()


@pytest.mark.parametrize("block", of_kind("python"))
def test_python_can_be_read(block: Block) -> None:
    ast.parse(block.text)


@pytest.mark.parametrize("block", of_kind("python"))
def test_python_imports_what_there_is(block: Block) -> None:
    """Names that an example imports from us exist: examples age when code is renamed."""
    for node in ast.walk(ast.parse(block.text)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("vantum"):
            module = __import__(node.module or "", fromlist=["*"])
            for alias in node.names:
                if not hasattr(module, alias.name):
                    __import__(f"{node.module}.{alias.name}")


RUNNABLE = [block for block in BLOCKS if block.is_runnable]


@pytest.mark.parametrize("block", [pytest.param(b, id=b.name) for b in RUNNABLE])
def test_runnable_examples_run(block: Block) -> None:
    """With the tests that are in them."""
    names: dict[str, Any] = {"__name__": "an_example"}
    exec(compile(block.text, block.name, "exec"), names)
    for name, test in list(names.items()):
        if name.startswith("test_") and inspect.iscoroutinefunction(test):
            trio.run(test)


def test_there_are_runnable_examples() -> None:
    assert {block.page.name for block in RUNNABLE} >= {
        "simulate-providers.md",
        "add-a-provider.md",
    }


@pytest.mark.parametrize("block", of_kind("toml"))
def test_files_of_settings_are_accepted(block: Block, tmp_path: Path) -> None:
    if "stages" in tomllib.loads(block.text):
        parse_script(block.text, block.name)
        return
    if "prospects" in tomllib.loads(block.text):
        for script in (ROOT / "examples").glob("*.toml"):
            shutil.copy(script, tmp_path)
        (tmp_path / "of_the_page.toml").write_text(block.text, "utf-8")
        read_plan(tmp_path / "of_the_page.toml")
        return
    file = tmp_path / "vantum.toml"
    file.write_text(block.text, "utf-8")
    load_settings({}, file)


def test_files_are_shown_as_they_are() -> None:
    shown = [found for page in PAGES for found in _SHOWN.findall(page.read_text("utf-8"))]
    assert {path for path, _ in shown} >= {"examples/campaign.toml", "examples/campaign.csv"}
    for path, text in shown:
        assert text in (ROOT / path).read_text("utf-8"), path


@pytest.mark.parametrize("block", of_kind("json"))
def test_json_can_be_read(block: Block) -> None:
    """One value, or one a line as in a log."""
    try:
        json.loads(block.text)
    except json.JSONDecodeError:
        for line in block.text.splitlines():
            json.loads(line)


@pytest.mark.parametrize("page", [a_page(page) for page in PAGES])
def test_variables_are_settings(page: Path) -> None:
    text = for_a_shell(page)
    named = {*_VARIABLE.findall(text), *_ASSIGNED.findall(text)}
    ours = {name for row in declared().values() for name in row.variables}
    known = ours | set(option_variables(main))
    assert named - known - SYSTEMS == set()


def option_variables(command: click.Command) -> Iterator[str]:
    """Variables that stand for an option without being a setting."""
    for parameter in command.params:
        if isinstance(parameter.envvar, str):
            yield parameter.envvar
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            yield from option_variables(inner)


def commands_of(page: Path) -> Iterator[str]:
    for line in for_a_shell(page).splitlines():
        # A prompt, other commands and variables may stand before it, a remark behind it.
        for part in re.split(r"&&|[;,|]|(?<=\s)#", line):
            found = re.search(r"(?:^|[\s/=])vantum-actors +([a-z].*|-.*)$", part)
            if found and not re.match(r"[a-z]+:", found[1]):
                yield found[1].rstrip(" …")


def every_command() -> list[Any]:
    return [
        pytest.param(line, id=f"{page.relative_to(ROOT)}: {line}")
        for page in PAGES
        for line in dict.fromkeys(commands_of(page))
    ]


@pytest.mark.parametrize("line", every_command())
def test_commands_exist(line: str) -> None:
    command: click.Command = main
    for word in shlex.split(line, comments=True):
        if word.startswith("["):
            break  # a synopsis: what follows is its grammar
        if isinstance(command, click.Group) and not word.startswith("-"):
            assert word in command.commands, f"no command {word} in {line!r}"
            command = command.commands[word]
        elif word.startswith("-"):
            context = click.Context(command, **command.context_settings)
            options = {o for p in command.get_params(context) for o in (*p.opts, *p.secondary_opts)}
            assert word.partition("=")[0] in options, f"no option {word} in {line!r}"


def test_the_commands_are_found() -> None:
    """The tests above would pass on pages in which nothing is recognised."""
    found = {line.split()[0] for page in PAGES for line in commands_of(page)}
    assert found >= {"run", "replay", "simulate", "config", "models"}
