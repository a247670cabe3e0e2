"""Write the reference pages from the code: `python docs/generate.py`, or `--check` to compare.

The prose is in `docs/templates/`; what a machine knows better stands there as
`<!-- table: … -->`, `<!-- events: … -->`, `<!-- states: … -->` and `<!-- commands: … -->`.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from vantum.cli import commands
from vantum.config.declared import Declared, declared_tables
from vantum.config.values import shown
from vantum.core.conversation import MOVES, TABLE
from vantum.wire.event import Event
from vantum.wire.events import EVENTS
from vantum.wire.fields import Field
from vantum.wire.registry import ERRORS

DOCS = Path(__file__).parent
PAGES = ("protocol", "events", "settings", "states", "command-line")
_ARROWS = {"c2s": "client → server", "s2c": "server → client", "both": "both ways"}
_HOLE = re.compile(r"<!-- (\w+): (\w+) -->")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; bars inside cells are escaped."""
    lines = [head, ["---"] * len(head), *rows]
    cells = ([cell.replace("|", "\\|") for cell in line] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def code(text: str | None) -> str:
    """A name in code type; a dash if there is none."""
    return f"`{text}`" if text else "–"


def names() -> str:
    """All events: direction, names, meaning in short."""
    return table(
        ("direction", "`unified`", "`voicechat`", "meaning"),
        (
            (
                _ARROWS[event.direction],
                "<br>".join(code(name) for name in (event.unified, *event.aliases)),
                code(event.voicechat),
                event.doc.split(". ")[0].rstrip(".") + ".",
            )
            for event in EVENTS
        ),
    )


def errors() -> str:
    """The error rows."""
    return table(
        ("case", "`unified`", "`voicechat`"),
        (
            (
                row.doc + (f" Close {row.close} follows." if row.close else ""),
                code(row.unified),
                code(row.voicechat),
            )
            for row in ERRORS
        ),
    )


def events(direction: str) -> str:
    """The events of one direction, each with its payload."""
    return "\n\n".join(_event(event) for event in EVENTS if event.direction == direction)


def _event(event: Event) -> str:
    title = f"### {code(event.unified)}"
    # Two events may share a name in one vocabulary; the older name tells them apart.
    if sum(other.unified == event.unified for other in EVENTS) > 1:
        title += f" ({code(event.voicechat)})"
    also = [f"Also accepted as {code(alias)}." for alias in event.aliases]
    if event.voicechat is None:
        also.append("Not in `voicechat`.")
    elif event.voicechat != event.unified:
        also.append(f"In `voicechat`: {code(event.voicechat)}.")
    parts = [title, " ".join([event.doc, *also])]
    rows = list(_fields(event.fields))
    parts.append(table(("field", "type", "default", "meaning"), rows) if rows else "Empty payload.")
    return "\n\n".join(parts)


def _fields(fields: Iterable[Field], prefix: str = "") -> Iterable[tuple[str, str, str, str]]:
    for field in fields:
        default = "required" if field.required else field.default or "absent"
        kind = field.allowed.replace(" of at most 500 characters", "")
        doc = field.doc + (f" Only in `{field.only}`." if field.only else "")
        yield f"`{prefix}{field.name}`", kind, default, doc
        yield from _fields(field.fields, f"{prefix}{field.name}.")


def prose(docstring: str | None) -> str:
    """What a docstring tells everybody: its paragraphs up to what it raises, one a line."""
    told = inspect.cleandoc(docstring or "").partition("\n\nRaises:")[0]
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in told.split("\n\n"))


def settings() -> str:
    """A section with a table for each table of the file."""
    head = ("key", "environment", "default", "allowed", "meaning")
    return "\n\n".join(
        f"## [{each.name}]\n\n{prose(each.doc)}\n\n{table(head, map(_setting, each.settings))}"
        for each in declared_tables()
    )


def _setting(row: Declared) -> tuple[str, str, str, str, str]:
    default = row.default if isinstance(row.default, str) else shown(row, row.default)
    variables = "<br>".join(map(code, row.variables)) or code(None)
    return f"`{row.key}`", variables, code(default), _allowed(row), row.doc


def _allowed(row: Declared) -> str:
    if row.choices:
        return ", ".join(code(choice) for choice in row.choices)
    if row.kind in ("int", "float") and row.high is not None:
        return f"{row.low} to {row.high}"
    if row.form == "url":
        return "http(s) or ws(s) address"
    return "secret" if row.kind == "secret" else row.allowed


def states(what: str) -> str:
    """The diagram of the moves, their list, or which events mean something in which state."""
    if what == "diagram":
        lines = [f"    {old} --> {new}: {why}" for (old, new), why in MOVES.items()]
        ends = [name for name, row in TABLE.items() if not row]
        frame = ["    [*] --> INITIALIZING", *lines, *(f"    {name} --> [*]" for name in ends)]
        return "\n".join(["```mermaid", "stateDiagram-v2", *frame, "```"])
    if what == "moves":
        moves = ((code(old), code(new), why) for (old, new), why in MOVES.items())
        return table(("from", "to", "when"), moves)
    kinds = dict.fromkeys(kind for row in TABLE.values() for kind in row)
    head = ("event", *(code(name) for name, row in TABLE.items() if row), "meaning")
    return table(
        head,
        (
            (
                code(kind.__name__),
                *("yes" if kind in row else "–" for row in TABLE.values() if row),
                " ".join((kind.__doc__ or "").split("\n\n")[0].split()),
            )
            for kind in kinds
        ),
    )


def command_line(group: click.Group = commands, prefix: str = "vantum-actors") -> str:
    """A section for each command, with its arguments and options."""
    return "\n\n".join(
        _command(command, f"{prefix} {name}") for name, command in group.commands.items()
    )


def _command(command: click.Command, path: str) -> str:
    context = click.Context(command, info_name=path)
    usage = " ".join([path, *command.collect_usage_pieces(context)])
    parts = [f"## {code(path)}", f"```\n{usage}\n```", prose(command.help)]
    options = [option for option in command.params if isinstance(option, click.Option)]
    if options:
        rows = (_option(option, context) for option in options)
        parts.append(table(("option", "default", "meaning"), rows))
    if isinstance(command, click.Group):
        parts.append(command_line(command, path))
    return "\n\n".join(parts)


def _option(option: click.Option, context: click.Context) -> tuple[str, str, str]:
    metavar = "" if option.is_flag else " " + option.make_metavar(context)
    default = code(str(option.default) if option.show_default else "")
    if option.required:
        default = "required"
    help_text = (option.help or "") + (f" Environment: {option.envvar}." if option.envvar else "")
    return code(f"{', '.join(option.opts)}{metavar}"), default, help_text


def page(name: str) -> str:
    """The text of a reference page."""

    def fill(hole: re.Match[str]) -> str:
        kind, what = hole.groups()
        if kind == "events":
            return events(what)
        if kind == "states":
            return states(what)
        if kind == "commands":
            return command_line()
        return {"names": names, "errors": errors, "settings": settings}[what]()

    source = f"templates/{name}.md"
    text = (DOCS / source).read_text("utf-8")
    note = f"<!-- Made by docs/generate.py from docs/{source}: edit that, not this. -->\n\n"
    return note + _HOLE.sub(fill, text)


def main(arguments: Sequence[str]) -> int:
    """Write the pages, or with `--check` say which differ; the exit code."""
    differing = []
    for name in PAGES:
        path = DOCS / "reference" / f"{name}.md"
        text = page(name)
        if arguments == ["--check"]:
            if not path.exists() or path.read_text("utf-8") != text:
                differing.append(path)
        else:
            path.write_text(text, "utf-8")
    for path in differing:
        sys.stderr.write(f"{path} is not what `python docs/generate.py` writes\n")
    return bool(differing)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
