"""Read the settings: command line over environment over file over default; and print them.

Every wrong setting is a `ConfigError` of one line that names it as its author wrote it, shows its
value (a secret's never) and says what is allowed.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from operator import attrgetter
from pathlib import Path
from typing import Any, Final, get_type_hints

from attrs import evolve, frozen

from vantum.config import Settings
from vantum.config.declared import Declared, declared, declared_tables
from vantum.config.prompts import PromptSettings, check_template, read_script, read_variants
from vantum.config.values import WrongValue, parse, shown
from vantum.core.builtin_tools import BUILT_IN
from vantum.core.markers import strip_markers
from vantum.core.scripts import Script
from vantum.core.variants import PromptVariant
from vantum.errors import ConfigError

__all__ = ["Loaded", "Row", "describe", "load_settings"]

#: `stt = "local"` at the top of the file is short for `provider = "local"` in its table.
_ROLES: Final = ("stt", "llm", "tts")
#: Pairs of settings, the first of which must be at least the second.
_ORDER: Final = (
    ("streaming.max_buffer_size", "streaming.max_chunk_chars"),
    ("streaming.max_chunk_words", "streaming.min_chunk_words"),
    ("turns.deadline_ms", "turns.max_wait_ms"),
    ("turns.max_wait_ms", "turns.silence_ms"),
    ("turns.silence_ms", "turns.min_wait_ms"),
)
#: Variables of the original system that mean nothing here, and why.
_RETIRED: Final = {
    "LLM_CLEANUP_INTERVAL": "sessions end by their own deadlines, nothing sweeps them up",
}
#: As `docker run --env-file` hands it on.
_QUOTED: Final = re.compile(r"""(["'])(?:(?!\1).)+\1""", re.DOTALL)


@frozen
class Loaded:
    """The settings, where each comes from, and what looks like a mistake but need not be one.

    `origins` has every dotted name: "default", "environment LLM_MODEL", "file vantum.toml" or
    "command line".
    """

    settings: Settings
    origins: dict[str, str]
    warnings: tuple[str, ...] = ()


@frozen
class Row:
    """One effective setting, fit to print: a secret's `value` is `***` or empty."""

    table: str
    key: str
    value: str
    origin: str
    env: str | None
    doc: str

    @property
    def name(self) -> str:
        """Dotted."""
        return f"{self.table}.{self.key}"


@frozen
class _Given:
    """A value somebody gave: where, and how an error line names it."""

    value: object
    origin: str
    label: str


def load_settings(
    env: Mapping[str, str],
    file: Path | None,
    overrides: Mapping[str, object] | None = None,
    options: Mapping[str, str] | None = None,
) -> Loaded:
    """Read and check everything.

    Args:
        env: the environment; a variable that is empty or blank counts as not set.
        file: a TOML file whose tables are those of `Settings`; keys in snake_case, or in camelCase
            with or without the unit at their end.
        overrides: the command line: dotted names → values; None counts as not given.
        options: dotted names → the options that set them, such as `--port`, for error lines.

    Raises:
        ConfigError: a value is not allowed, the file cannot be read, or it holds what there is not.
    """
    content = _read(file) if file is not None else {}
    variants = _take_variants(content, file)
    given = _from_file(content, file) if file is not None else {}
    given |= _from_environment(env)
    given |= _from_command_line(overrides or {}, options or {})
    values: dict[str, object] = {}
    for name, one in given.items():
        values[name] = _parsed(declared()[name], one)
    settings = _build(values)
    origins = {name: given[name].origin if name in given else "default" for name in declared()}
    _check_together(settings, origins)
    if row := given.get("llm.system_prompt"):
        check_template(row.label, settings.llm.system_prompt)
    prompts = evolve(settings.prompts, variants=variants, script=_script(settings, origins, file))
    return Loaded(evolve(settings, prompts=prompts), origins, _warnings(env))


def describe(loaded: Loaded) -> tuple[Row, ...]:
    """Every setting as it is in effect, in the order of the reference; variants of the prompt by
    name and weight, the script by its stages."""
    rows = [
        Row(
            row.table,
            row.key,
            shown(row, getattr(getattr(loaded.settings, row.table), row.key)),
            loaded.origins[row.name],
            row.env,
            row.doc,
        )
        for row in declared().values()
    ]
    return (*rows, *_described(loaded.settings.prompts))


def _described(prompts: PromptSettings) -> tuple[Row, ...]:
    variants = ", ".join(f"{_line(v.name)} ({v.weight:g})" for v in prompts.variants)
    stages = " ".join(prompts.script.names) if prompts.script is not None else ""
    return tuple(
        Row("prompts", key, value, origin, None, doc)
        for key, value, origin, doc in (
            ("variants", variants, "[[prompts.variants]] of the file", "Name and weight of each."),
            ("script", stages, "prompts.script_file", "The stages of the script."),
        )
        if value
    )


def _parsed(row: Declared, given: _Given) -> object:
    try:
        return parse(row, given.value)
    except WrongValue as wrong:
        fault = f"{given.label}={wrong.shown}" if wrong.shown is not None else given.label
        raise ConfigError(f"{fault}: {wrong}") from None


def _build(values: Mapping[str, object]) -> Settings:
    tables: dict[str, Any] = {}
    for table, kind in get_type_hints(Settings).items():
        rows = [row for row in declared().values() if row.table == table]
        tables[table] = kind(**{row.key: values[row.name] for row in rows if row.name in values})
    return evolve(Settings(), **tables)


def _check_together(settings: Settings, origins: Mapping[str, str]) -> None:
    """Settings that are each allowed but contradict each other."""
    for more, less in _ORDER:
        high, low = attrgetter(more, less)(settings)
        if high < low:
            raise ConfigError(
                f"{more}={high} ({origins[more]}): must be at least {less}={low} ({origins[less]})"
            )
    for tool in settings.tools.built_in_names or ():
        if tool not in BUILT_IN:
            raise ConfigError(
                f"tools.built_in={settings.tools.built_in} ({origins['tools.built_in']}): "
                f"must be auto or of {', '.join(BUILT_IN)}"
            )
    for tier in ("fallback_tier1", "fallback_tier2", "fallback_tier3"):
        text = getattr(settings.llm, tier)
        # Markers are not spoken: a text of nothing else would be silence.
        if not any(map(str.isalnum, strip_markers(text, settings.streaming.break_marker))):
            row = declared()[f"llm.{tier}"]
            raise ConfigError(
                f"{row.name}={shown(row, text)} ({origins[row.name]}): must have words besides "
                f"streaming.break_marker ({origins['streaming.break_marker']})"
            )


# ---------------------------------------------------------------- environment, command line


def _from_environment(env: Mapping[str, str]) -> dict[str, _Given]:
    found: dict[str, _Given] = {}
    for row in declared().values():
        for variable in row.variables:
            text = env.get(variable, "")
            if text.strip() and row.name not in found:
                found[row.name] = _Given(text, f"environment {variable}", variable)
    return found


def _from_command_line(
    overrides: Mapping[str, object], options: Mapping[str, str]
) -> dict[str, _Given]:
    found: dict[str, _Given] = {}
    for name, value in overrides.items():
        if name not in declared():
            raise ConfigError(f"{name}: no such setting{_meant(name, list(declared()))}")
        if value is not None:
            found[name] = _Given(value, "command line", options.get(name, name))
    return found


def _warnings(env: Mapping[str, str]) -> tuple[str, ...]:
    """Variables that are probably a setting's name written wrong, whose values stay unread; and
    those that hold the quotation marks of a file that is no shell's."""
    ours = [name for row in declared().values() for name in row.variables]
    areas = tuple({name.split("_")[0] + "_" for name in ours if "_" in name})
    unset = [name for name in ours if not env.get(name)]
    found = []
    for name in sorted(env):
        if name in _RETIRED:
            found.append(f"{name} has no effect: {_RETIRED[name]}")
        elif name not in ours and name.startswith(areas) and name.isprintable():
            near = difflib.get_close_matches(name, unset, n=1, cutoff=0.85)
            found += [f"{name} is not a setting; did you mean {near[0]}?" for _ in near]
        elif name in ours and _QUOTED.fullmatch(env[name].strip()):
            found.append(f"{name} is in quotation marks, and they are taken for a part of it")
    return tuple(found)


# ---------------------------------------------------------------- file


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ConfigError(f"{path}: cannot be read: {reason}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not UTF-8 text") from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: is not TOML: {error}") from None


def _take_variants(content: dict[str, Any], path: Path | None) -> tuple[PromptVariant, ...]:
    """The one setting that is no single value, taken out of the file's content."""
    prompts = content.get("prompts")
    if path is None or not isinstance(prompts, dict) or "variants" not in prompts:
        return ()
    return read_variants(prompts.pop("variants"), path)


def _script(settings: Settings, origins: Mapping[str, str], path: Path | None) -> Script | None:
    name = settings.prompts.script_file.strip()
    if not name:
        return None
    is_ours = path is not None and origins["prompts.script_file"].startswith("file ")
    home = path.parent if is_ours and path is not None else Path()
    try:
        return read_script(home / Path(name).expanduser())
    except ConfigError as error:
        raise ConfigError(
            f"prompts.script_file ({origins['prompts.script_file']}): {error}"
        ) from None


def _from_file(content: Mapping[str, Any], path: Path) -> dict[str, _Given]:
    found: dict[str, _Given] = {}
    for table, values in content.items():
        keys = {"provider": values} if table in _ROLES and isinstance(values, str) else values
        if not isinstance(keys, dict):
            raise ConfigError(_outside(path, table))
        _known_table(path, table)
        for key, value in keys.items():
            row = _row_of(path, table, key)
            written = table if keys is not values else f"{table}.{key}"
            if row.name in found:
                raise ConfigError(f"{path}: {row.name} is there twice, the second time as {key}")
            found[row.name] = _Given(value, f"file {path}", f"{path}: {written}")
    return found


def _row_of(path: Path, table: str, key: str) -> Declared:
    """The setting that a key of the file means."""
    rows = {row.key: row for row in declared().values() if row.table == table}
    if (row := rows.get(key) or _in_camel_case(rows).get(key)) is not None:
        return row
    raise ConfigError(
        f"{path}: [{table}] has no setting {_line(key)}{_meant(_snake(key), list(rows))}"
    )


def _in_camel_case(rows: Mapping[str, Declared]) -> dict[str, Declared]:
    """The settings by their names in camelCase. The original's names have no units, and all its
    times are milliseconds; but a name that is another setting's means that one."""
    short = {_camel(key.removesuffix("_ms")): row for key, row in rows.items()}
    return short | {_camel(key): row for key, row in rows.items()}


def _camel(key: str) -> str:
    return re.sub(r"_(.)", lambda found: found[1].upper(), key)


def _known_table(path: Path, table: str) -> None:
    names = [known.name for known in declared_tables()]
    if table not in names:
        raise ConfigError(f"{path}: there is no table [{_line(table)}]{_meant(table, names)}")


def _outside(path: Path, key: str) -> str:
    """What is wrong with a value at the top of the file."""
    if key in {table.name for table in declared_tables()}:
        return f"{path}: {key} must be a table, [{key}]"
    homes = [row.table for row in declared().values() if row.key == _snake(key)]
    where = f"; write it under [{homes[0]}]" if homes else ""
    return f"{path}: {_line(key)} is in no table{where}"


def _snake(key: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda found: f"_{found[1].lower()}", key)


def _meant(word: str, known: list[str]) -> str:
    """`; did you mean …?`, or all that there is."""
    near = difflib.get_close_matches(word, known, n=1)
    if near:
        return f"; did you mean {near[0]}?"
    return f"; there are: {', '.join(known)}" if len(known) <= 30 else ""


def _line(text: str) -> str:
    """A key on one short line, whatever characters a quoted key may hold."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text[:60])
