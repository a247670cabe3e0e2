"""A campaign's file."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from vantum.campaigns.files import ProspectList
from vantum.campaigns.plan import Conversion, Plan, PlanError, read_plan
from vantum.commands.campaign_run import NUMBERS
from vantum.core.campaign import Rules
from vantum.core.campaign_hours import Hours
from vantum.core.disclosure import discloses
from vantum.core.prompts import fill_spoken

EXAMPLES = Path(__file__).parents[2] / "examples"
WHOLE = """
name = "spring"
prospects = "lists/spring.csv"
script = "script.toml"
greeting = "Hello {{prospect.name|}}, this is Ada, an AI assistant, about {{prospect.extra.topic}}."
voicemail = "This is Ada."
from_number = "+12125550100"
timezone = "America/New_York"

[pace]
max_concurrent = 5
calls_per_minute = 12.5
ramp_minutes = 10

[hours]
windows = ["13:00-17:30", "09:00-12:00"]
days = ["mon", "Fri"]
start_date = 2026-12-01
end_date = 2026-12-18

[limits]
attempts = 4
attempts_per_day = 1
calls_per_day = 500

[retry]
busy = "10 min"
no_answer = "2 d"
failed = "never"
voicemail_left = "3 h"

[converted]
outcomes = ["transferred", "callback"]
stages = ["close"]
facts = ["demo_date"]
"""


def plan_of(directory: Path, text: str, **overrides: object) -> Plan:
    path = directory / "spring.toml"
    path.write_text(text, "utf-8")
    (directory / "script.toml").write_text('[stages.intro]\ngoals = ["greet"]\n', "utf-8")
    return read_plan(path, {name.replace("__", "."): value for name, value in overrides.items()})


def problems(directory: Path, text: str, **overrides: object) -> list[str]:
    with pytest.raises(PlanError) as error:
        plan_of(directory, text, **overrides)
    return [line.removeprefix(f"{directory}/spring.toml: ") for line in error.value.problems]


def test_the_whole_file(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, WHOLE)
    assert plan.rules == Rules(
        max_concurrent=5,
        calls_per_minute=12.5,
        ramp_s=600,
        max_attempts=4,
        max_attempts_per_day=1,
        max_calls_per_day=500,
        retry_s={
            "busy": 600,
            "no_answer": 172_800,
            "machine": 86_400,
            "canceled": 3600,
            "interrupted": 3600,
            "voicemail_left": 10_800,
        },
        hours=Hours(
            frozenset({0, 4}),
            ((540, 720), (780, 1050)),
            date(2026, 12, 1),
            date(2026, 12, 18),
        ),
        timezone="America/New_York",
    )
    assert plan.converted == Conversion(
        frozenset({"transferred", "callback"}), frozenset({"close"}), frozenset({"demo_date"})
    )
    assert plan.prospects == tmp_path / "lists" / "spring.csv"
    assert plan.script is not None
    assert plan.script.names == ("intro",)
    assert plan.lacking(["topic"]) == ()
    (lacking,) = plan.lacking(["city"])
    assert "greeting uses {{prospect.extra.topic}}, which no column of" in lacking
    assert lacking.endswith("give it a default: {{prospect.extra.topic|…}}")


def test_defaults(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, 'name = "a"\nprospects = "b.csv"')
    assert (plan.rules, plan.converted) == (Rules(), Conversion())
    assert (plan.greeting, plan.script, plan.script_file) == ("", None, "")


def test_a_bare_list_with_options(tmp_path: Path) -> None:
    plan = read_plan(
        tmp_path / "leads.csv",
        {"pace.max_concurrent": 3, "hours.windows": "09:00-12:00, 13:00-17:00", "greeting": None},
    )
    assert (plan.name, plan.prospects) == ("leads", tmp_path / "leads.csv")
    assert plan.rules.max_concurrent == 3
    assert plan.rules.hours.windows == ((540, 720), (780, 1020))


def test_the_command_line_is_stronger(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, WHOLE, name="summer", hours__days="sat", hours__end_date="2026-12-02")
    assert plan.name == "summer"
    assert plan.rules.hours.days == frozenset({5})
    assert plan.rules.hours.last == date(2026, 12, 2)


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    text = """
name = "a b"
greeting = "Hello {{prospect.nam}}"
colour = "red"
from_number = "555"
timezone = "Mars/Base"
hours = 9
[pace]
max_concurrent = 0
calls_per_minute = true
speed = 1
[limits]
attempts = 1.5
[retry]
busy = "soon"
talked = "1 h"
"""
    assert problems(tmp_path, text) == [
        "name='a b': must be letters, digits, ., - and _, at most 60, beginning with a letter or "
        "digit",
        "prospects is missing",
        "greeting='Hello {{prospect.nam}}': must be text with variables that there are: unknown "
        "variable {{prospect.nam}}; there are: prospect.name, prospect.company, "
        "prospect.industry, prospect.timezone, prospect.extra.NAME",
        "from_number='555': must be a number of your account in international form, such as "
        "+12125550100",
        'retry.busy=\'soon\': must be a pause such as "30 min", "4 h" or "1 d", or "never"',
        "pace.max_concurrent=0: must be a whole number from 1 to 1000",
        "pace.calls_per_minute=True: must be a number from 0.01 to 6000",
        "limits.attempts=1.5: must be a whole number from 1 to 100",
        "timezone='Mars/Base': must be an IANA time zone such as America/New_York",
        "there is no colour; there are: name, prospects, script, greeting, voicemail, "
        "from_number, timezone, converted, hours, limits, pace, retry",
        "hours must be a table, [hours]",
        "there is no pace.speed; there are: pace.max_concurrent, pace.calls_per_minute, "
        "pace.ramp_minutes",
        "there is no retry.talked; there are: retry.busy, retry.hung_up, retry.no_answer, "
        "retry.machine, retry.voicemail_left, retry.failed, retry.canceled, retry.interrupted",
    ]


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("hours.windows", '["9-17"]', 'a list of windows such as "09:00-12:30", the end after'),
        ("hours.windows", '["17:00-09:00"]', "a list of windows"),
        ("hours.windows", '["09:70-10:00"]', "a list of windows"),
        ("hours.windows", "[]", "a list of windows"),
        ("hours.days", '["monday"]', "a list of days of mon, tue, wed, thu, fri, sat, sun"),
        ("hours.start_date", '"soon"', "a date such as 2026-12-31"),
        ("hours.start_date", "2026-12-01T10:00:00", "a date such as 2026-12-31"),
        ("converted.outcomes", "7", "a list of names"),
        ("pace.calls_per_minute", "nan", "a number from 0.01 to 6000"),
        ("retry.busy", '"5 weeks"', 'a pause such as "30 min"'),
    ],
)
def test_values_that_are_wrong(tmp_path: Path, key: str, value: str, allowed: str) -> None:
    table, _, name = key.partition(".")
    text = f'name = "a"\nprospects = "b.csv"\n[{table}]\n{name} = {value}'
    (line,) = problems(tmp_path, text)
    assert line.startswith(f"{key}=")
    assert f": must be {allowed}" in line


def test_dates_in_the_wrong_order(tmp_path: Path) -> None:
    (line,) = problems(tmp_path, WHOLE, hours__end_date="2026-11-01")
    assert line == "hours.end_date=2026-11-01 must not be before hours.start_date=2026-12-01"


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    assert problems(tmp_path, "name =")[0].startswith("is not TOML: ")
    with pytest.raises(PlanError, match="cannot be read: No such file or directory"):
        read_plan(tmp_path / "none.toml")
    (line,) = problems(tmp_path, WHOLE, script=str(tmp_path / "none.toml"))
    assert "none.toml: cannot be read" in line
    # A path of the command line is one from here, not from beside the file.
    (line,) = problems(tmp_path, WHOLE, script="script.toml")
    assert line == "script.toml: cannot be read: No such file or directory"


def test_the_example_is_right(tmp_path: Path) -> None:
    plan = read_plan(EXAMPLES / "campaign.toml")
    faults: list[object] = []
    columns: list[tuple[str, ...]] = []
    rows = list(ProspectList(plan.prospects, NUMBERS, faults.append, columns.append))
    assert (faults, columns) == ([], [("topic",)])
    assert [row.number for row in rows] == ["+12125550101", "+13125550102", "+13105550103"]
    assert [row.zones for row in rows] == [
        ("America/New_York",),
        ("America/Chicago",),
        ("America/Los_Angeles",),
    ]
    assert plan.lacking(columns[0]) == ()
    for row in rows:
        assert discloses(fill_spoken(plan.greeting, row.prospect))
        assert discloses(fill_spoken(plan.voicemail, row.prospect))
    assert fill_spoken(plan.greeting, rows[1].prospect).endswith(
        "from Vantum about your calls. Do you have a minute?"
    )
