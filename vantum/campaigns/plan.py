"""A campaign's file: what is said to whom, how fast, when, and what follows from which outcome.

The file is TOML; `docs/how-to/run-a-campaign.md` shows one. What is wrong with it is told all at
once.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo

from attrs import Factory, define, field, frozen

from vantum.config.prompts import read_script, read_text
from vantum.core.campaign import RETRY_S, RETRYABLE, Rules
from vantum.core.campaign_hours import ALL_DAYS, DAY_MINUTES, WHOLE_DAY, Hours
from vantum.core.prompts import check_spoken, extra_needed
from vantum.core.scripts import Script
from vantum.errors import ConfigError, VantumError

T = TypeVar("T")

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")
NAME_RULE: Final = "letters, digits, ., - and _, at most 60, beginning with a letter or digit"
_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CLOCK: Final = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d)")
_DURATION: Final = re.compile(r"(\d{1,5}) ?(min|h|d)")
_UNIT_S: Final = {"min": 60, "h": 3600, "d": 86_400}
_NEVER: Final = "never"
#: More is no greeting but a speech.
_MAX_TEXT_CHARS: Final = 1_000
#: What a list's own name ends with, if there is no campaign's file.
LIST_SUFFIXES: Final = (".csv", ".tsv", ".txt", ".json", ".jsonl")


class PlanError(VantumError):
    """The campaign cannot be run as it is written; `problems` has a line for each fault."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(self.problems))


@frozen
class Conversion:
    """Which calls have come to what they were for: one of these is enough.

    `outcomes` of the call; `stages` of the script, at its end; `facts` that the agent noted.
    """

    outcomes: frozenset[str] = frozenset({"transferred"})
    stages: frozenset[str] = frozenset()
    facts: frozenset[str] = frozenset()


@frozen
class Plan:
    """A campaign as its file has it.

    `source`: the campaign's file, or the list itself if there is none. `greeting` and `voicemail`
    may hold variables of the prospect.
    """

    name: str
    source: Path
    prospects: Path
    script_file: str = ""
    script: Script | None = None
    greeting: str = ""
    voicemail: str = ""
    from_number: str = ""
    rules: Rules = Factory(Rules)
    converted: Conversion = Conversion()

    def lacking(self, columns: Iterable[str]) -> tuple[str, ...]:
        """What is wrong if the list has these further columns: a line for each fault."""
        there = set(columns)
        return tuple(
            f"{self.source}: {key} uses {{{{prospect.extra.{name}}}}}, which no column of "
            f"{self.prospects} is called; give it a default: {{{{prospect.extra.{name}|…}}}}"
            for key, text in (("greeting", self.greeting), ("voicemail", self.voicemail))
            for name in sorted(extra_needed(text) - there)
        )


def read_plan(path: Path, overrides: Mapping[str, object] | None = None) -> Plan:
    """The plan of a campaign's file; or of a bare list, if the name ends as lists' names do.

    Args:
        overrides: from the command line: dotted keys of the file → values; None: not given.

    Raises:
        PlanError: all that is wrong.
    """
    given = {key: value for key, value in (overrides or {}).items() if value is not None}
    content: dict[str, Any] = {}
    if path.suffix.lower() in LIST_SUFFIXES:
        content = {"name": path.stem, "prospects": path.name}
    else:
        try:
            content = tomllib.loads(read_text(path))
        except ConfigError as error:
            raise PlanError([str(error)]) from None
        except (ValueError, RecursionError) as error:
            raise PlanError([f"{path}: is not TOML: {error}"]) from None
    reader = _Reader(path, content, given)
    plan = _plan(reader, path)
    reader.finish()
    return plan


def _plan(reader: _Reader, path: Path) -> Plan:
    name = reader.take("name", _name, "")
    prospects = reader.take("prospects", _path, "")
    script_file = reader.take("script", _path, "")
    script = None
    if script_file:
        try:
            script = read_script(_at(reader, "script", script_file))
        except ConfigError as error:
            reader.problems.append(str(error))
    for key, value in (("name", name), ("prospects", prospects)):
        if not value and not reader.has(key):
            reader.problems.append(f"{path}: {key} is missing")
    return Plan(
        name=name,
        source=path,
        prospects=_at(reader, "prospects", prospects),
        script_file=str(_at(reader, "script", script_file)) if script_file else "",
        script=script,
        greeting=reader.take("greeting", _spoken, ""),
        voicemail=reader.take("voicemail", _spoken, ""),
        from_number=reader.take("from_number", _number, ""),
        rules=_rules(reader),
        converted=Conversion(
            outcomes=reader.take("converted.outcomes", _names, Conversion().outcomes),
            stages=reader.take("converted.stages", _names, frozenset[str]()),
            facts=reader.take("converted.facts", _names, frozenset[str]()),
        ),
    )


def _rules(reader: _Reader) -> Rules:
    retry_s = dict(RETRY_S)
    for outcome in RETRYABLE:
        pause_s = reader.take(f"retry.{outcome}", _duration, retry_s.get(outcome))
        retry_s.pop(outcome, None)
        if pause_s is not None:
            retry_s[outcome] = pause_s
    first = reader.take("hours.start_date", _date, None)
    last = reader.take("hours.end_date", _date, None)
    if first is not None and last is not None and last < first:
        reader.problems.append(
            f"{reader.path}: hours.end_date={last} must not be before hours.start_date={first}"
        )
    return Rules(
        max_concurrent=reader.take("pace.max_concurrent", _whole(1, 1000), 1),
        calls_per_minute=reader.take("pace.calls_per_minute", _amount(0.01, 6000), 6.0),
        ramp_s=reader.take("pace.ramp_minutes", _amount(0, 1440), 0.0) * 60,
        max_attempts=reader.take("limits.attempts", _whole(1, 100), 3),
        max_attempts_per_day=reader.take("limits.attempts_per_day", _whole(0, 100), 2),
        max_calls_per_day=reader.take("limits.calls_per_day", _whole(0, 10_000_000), 0),
        retry_s=retry_s,
        hours=Hours(
            days=reader.take("hours.days", _days, ALL_DAYS),
            windows=reader.take("hours.windows", _windows, WHOLE_DAY),
            first=first,
            last=last,
        ),
        timezone=reader.take("timezone", _timezone, "UTC"),
    )


def _at(reader: _Reader, key: str, name: str) -> Path:
    """A path of the file is relative to it, one of the command line to where we are."""
    home = Path() if key in reader.given else reader.path.parent
    return home / Path(name).expanduser()


@define
class _Reader:
    """The file's content and the command line's, taken key by key; what is wrong is collected."""

    path: Path
    content: dict[str, Any]
    given: Mapping[str, object]
    problems: list[str] = Factory(list)
    _asked: dict[str, None] = field(factory=dict, init=False)

    def has(self, key: str) -> bool:
        return key in self.given or self._in_file(key) is not None

    def take(self, key: str, parse: Callable[[object], T], default: T) -> T:
        """The value of a dotted key; `parse` raises ValueError with what is allowed."""
        self._asked[key] = None
        value = self.given.get(key, self._in_file(key))
        if value is None:
            return default
        try:
            return parse(value)
        except ValueError as error:
            where = "" if key in self.given else f"{self.path}: "
            self.problems.append(f"{where}{key}={_shown(value)}: must be {error}")
            return default

    def _in_file(self, key: str) -> object:
        table, _, name = key.rpartition(".")
        home = self.content.get(table, {}) if table else self.content
        return home.get(name) if isinstance(home, dict) else None

    def finish(self) -> None:
        """Raise `PlanError` if anything was wrong, unknown keys included."""
        tables = {key.partition(".")[0] for key in self._asked if "." in key}
        for name, value in self.content.items():
            if name in tables and not isinstance(value, dict):
                self.problems.append(f"{self.path}: {name} must be a table, [{name}]")
                continue
            keys = [f"{name}.{key}" for key in value] if name in tables else [name]
            for key in keys:
                if key not in self._asked:
                    self.problems.append(f"{self.path}: there is no {_key(key)}; {self._near(key)}")
        if self.problems:
            raise PlanError(self.problems)

    def _near(self, key: str) -> str:
        table = key.partition(".")[0] if "." in key else ""
        there = [known for known in self._asked if known.rpartition(".")[0] == table]
        tables = {known.partition(".")[0] for known in self._asked if "." in known}
        return "there are: " + ", ".join(there if table else [*there, *sorted(tables)])


def _key(key: str) -> str:
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in key[:60])


def _shown(value: object) -> str:
    text = repr(value) if isinstance(value, str) else str(value)
    return _key(text if len(text) <= 60 else f"{text[:59]}…")


# ---------------------------------------------------------------- values


def _text(value: object, allowed: str) -> str:
    if not isinstance(value, str) or not value.strip() or "\x00" in value:
        raise ValueError(allowed)
    return value.strip()


def _name(value: object) -> str:
    text = _text(value, NAME_RULE)
    if not _NAME.fullmatch(text):
        raise ValueError(NAME_RULE)
    return text


def _path(value: object) -> str:
    return _text(value, "a path")


def _spoken(value: object) -> str:
    allowed = f"text of at most {_MAX_TEXT_CHARS} characters"
    text = _text(value, allowed)
    if len(text) > _MAX_TEXT_CHARS:
        raise ValueError(allowed)
    try:
        check_spoken(text)
    except ValueError as error:
        raise ValueError(f"text with variables that there are: {error}") from None
    return text


def _number(value: object) -> str:
    allowed = "a number of your account in international form, such as +12125550100"
    text = _text(value, allowed)
    if not re.fullmatch(r"\+[1-9]\d{6,14}", text):
        raise ValueError(allowed)
    return text


def _timezone(value: object) -> str:
    text = _text(value, "an IANA time zone such as America/New_York")
    try:
        return ZoneInfo(text).key
    except (KeyError, ValueError, OSError):
        # An unknown one is a KeyError, an odd name one of the others.
        raise ValueError("an IANA time zone such as America/New_York") from None


def _amount(low: float, high: float) -> Callable[[object], float]:
    def parse(value: object) -> float:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not math.isfinite(value) or not low <= value <= high:  # type: ignore[arg-type, operator]
            raise ValueError(f"a number from {low:g} to {high:g}")
        return float(value)  # type: ignore[arg-type]

    return parse


def _whole(low: int, high: int) -> Callable[[object], int]:
    def parse(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return value

    return parse


def _list(value: object, allowed: str) -> list[str]:
    values = value.split(",") if isinstance(value, str) else value
    if not isinstance(values, list | tuple) or not values:
        raise ValueError(allowed)
    return [_text(each, allowed) for each in values]


def _names(value: object) -> frozenset[str]:
    return frozenset() if value == [] else frozenset(_list(value, "a list of names"))


def _days(value: object) -> frozenset[int]:
    allowed = f"a list of days of {', '.join(_DAYS)}"
    days = [day.lower() for day in _list(value, allowed)]
    if not set(days) <= set(_DAYS):
        raise ValueError(allowed)
    return frozenset(_DAYS.index(day) for day in days)


def _windows(value: object) -> tuple[tuple[int, int], ...]:
    allowed = 'a list of windows such as "09:00-12:30", the end after the beginning'
    windows = []
    for text in _list(value, allowed):
        found = _CLOCK.fullmatch(text)
        if found is None:
            raise ValueError(allowed)
        hours = [int(part) for part in found.groups()]
        begin, end = hours[0] * 60 + hours[1], hours[2] * 60 + hours[3]
        if hours[1] > 59 or hours[3] > 59 or not begin < end <= DAY_MINUTES:
            raise ValueError(allowed)
        windows.append((begin, end))
    return tuple(sorted(windows))


def _date(value: object) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        return date.fromisoformat(_text(value, ""))
    except ValueError:
        raise ValueError("a date such as 2026-12-31") from None


def _duration(value: object) -> float | None:
    """Seconds; None: never."""
    allowed = 'a pause such as "30 min", "4 h" or "1 d", or "never"'
    text = _text(value, allowed)
    if text == _NEVER:
        return None
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError(allowed)
    return float(int(found[1]) * _UNIT_S[found[2]])
