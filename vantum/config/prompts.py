"""Settings of what the agent is told: variants of its prompt, and its script.

Variants and the script are more than single values, so they are read here: `[[prompts.variants]]`
of the settings' file, and the file that `prompts.script_file` names.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal

import attrs
from attrs import frozen

from vantum.config.base import setting
from vantum.core.prompts import check_prompt
from vantum.core.scripts import Script, parse_script
from vantum.core.scripts import check as check_script
from vantum.core.variants import PromptVariant
from vantum.errors import ConfigError

_KEYS: Final = ("name", "weight", "system_prompt", "file")
_MAX_NAME_CHARS: Final = 60
_MAX_WEIGHT: Final = 1_000_000
_WEIGHT: Final = f"weight must be a number of at least 0 and at most {_MAX_WEIGHT}"
#: Far more than a model reads with pleasure; whoever names a video by mistake is told.
_MAX_FILE_BYTES: Final = 262_144


def _check_variants(_self: object, _field: object, variants: tuple[PromptVariant, ...]) -> None:
    check_variants(variants, "settings")


def _check_script(_self: object, _field: object, script: Script | None) -> None:
    if script is not None:
        check_script(script, f"script {script.name}".strip())


@frozen
class PromptSettings:
    """What the agent is told besides `llm.system_prompt`.

    `variants` and `script` are what the files hold; a program of your own may set them itself.

    Raises:
        ConfigError: they are none that a call could use.
    """

    script_file: str = setting(
        "",
        "A TOML file with the stages of a call that the agent follows loosely; empty: no script. "
        "In the settings' file, a path is relative to that file.",
        env="SCRIPT_FILE",
    )
    script_moves: Literal["auto", "tool", "marker"] = setting(
        "auto",
        "How the model says that the call has come to another stage: by the tool `move_to_stage`, "
        "or by a marker in its answer, which is never spoken; `auto`: by the tool with OpenAI.",
        env="SCRIPT_MOVES",
        choices=("auto", "tool", "marker"),
    )
    variants: tuple[PromptVariant, ...] = attrs.field(default=(), validator=_check_variants)
    script: Script | None = attrs.field(default=None, validator=_check_script)


def read_script(path: Path) -> Script:
    """The script of a file.

    Raises:
        ConfigError: one line that names the file and what is wrong with it.
    """
    return parse_script(read_text(path), str(path))


def read_variants(tables: object, file: Path) -> tuple[PromptVariant, ...]:
    """The variants of `[[prompts.variants]]`.

    Args:
        tables: what TOML has there.
        file: the settings' file: named in error lines, and prompts' files are relative to it.

    Raises:
        ConfigError: one line that names the file, the variant and what is allowed.
    """
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise ConfigError(f"{file}: prompts.variants must be tables, [[prompts.variants]]")
    variants = tuple(_variant(table, number, file) for number, table in enumerate(tables, start=1))
    return check_variants(variants, str(file))


def check_variants(variants: Sequence[PromptVariant], where: str) -> tuple[PromptVariant, ...]:
    """The same variants, if one can be chosen by them.

    Raises:
        ConfigError: one line that names `where`, the variant and what is allowed.
    """
    names = [variant.name for variant in variants]
    for variant in variants:
        at = f"{where}: prompts.variants {variant.name!r}"
        if names.count(variant.name) > 1:
            raise ConfigError(f"{at}: the name is there twice")
        if not 0 <= variant.weight <= _MAX_WEIGHT:  # nor NaN
            raise ConfigError(f"{at}: {_WEIGHT}")
        check_template(f"{at}: system_prompt", variant.system_prompt)
    if variants and not sum(variant.weight for variant in variants) > 0:
        raise ConfigError(f"{where}: prompts.variants: one weight at least must be above 0")
    return tuple(variants)


def check_template(label: str, text: str) -> None:
    """See that a prompt uses variables that there are.

    Raises:
        ConfigError: `label` and what is wrong.
    """
    try:
        check_prompt(text)
    except ValueError as error:
        raise ConfigError(f"{label}: {error}") from None


def read_text(path: Path) -> str:
    """The text of a file that a setting names.

    Raises:
        ConfigError: it cannot be read, is too long, or is not UTF-8.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_FILE_BYTES + 1)
        text = data.decode("utf-8-sig")  # some editors begin a file with a mark
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ConfigError(f"{path}: cannot be read: {reason}") from None
    except ValueError:
        raise ConfigError(f"{path}: is not UTF-8 text") from None
    if len(data) > _MAX_FILE_BYTES:
        raise ConfigError(f"{path}: is longer than {_MAX_FILE_BYTES} bytes")
    return text


def _variant(table: dict[str, Any], number: int, file: Path) -> PromptVariant:
    name = table.get("name")
    if not isinstance(name, str) or not 0 < len(name.strip()) <= _MAX_NAME_CHARS:
        most = f"text of 1 to {_MAX_NAME_CHARS} characters"
        raise ConfigError(f"{file}: prompts.variants, the {number}. one: name must be {most}")
    name = " ".join(name.split())
    at = f"{file}: prompts.variants {name!r}"
    for key in table:
        if key not in _KEYS:
            shown = ascii(key)[:60]
            raise ConfigError(f"{at}: there is no {shown}; there are: {', '.join(_KEYS)}")
    weight = table.get("weight", 1)
    if isinstance(weight, bool) or not isinstance(weight, int | float) or weight > _MAX_WEIGHT:
        raise ConfigError(f"{at}: {_WEIGHT}")
    for key in ("system_prompt", "file"):
        text = table.get(key, "x")
        if not isinstance(text, str) or not text.strip():
            raise ConfigError(f"{at}: {key} must be text that is not empty")
    if "system_prompt" in table and "file" in table:
        raise ConfigError(f"{at}: give system_prompt or file, not both")
    prompt = table.get("system_prompt", "")
    if "file" in table:
        prompt = read_text(file.parent / Path(table["file"]).expanduser())
        if not prompt.strip():
            raise ConfigError(f"{at}: file {table['file']} is empty")
    return PromptVariant(name, float(weight), prompt)
