"""What came of a campaign: counted in the database, and as text, JSON or CSV."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from attrs import frozen

from vantum.campaigns.lease import is_owned
from vantum.campaigns.tables import Saved, campaign_of

#: Outcomes of calls that a person took.
ANSWERED: Final = ("talked", "hung_up", "transferred", "callback", "opted_out")
CSV_COLUMNS: Final = (
    "number",
    "name",
    "company",
    "status",
    "result",
    "attempts",
    "calls_answered",
    "talk_s",
    "cost",
    "converted",
    "next_call",
)
_PIECE_ROWS: Final = 1_000

_STATUSES: Final = (
    "SELECT status, count(*) FROM campaign_prospects WHERE campaign = ? GROUP BY status"
)
_NEXT: Final = "SELECT min(due_s) FROM campaign_prospects WHERE campaign = ? AND status = 'waiting'"
_RESULTS: Final = (
    "SELECT result, count(*) FROM campaign_prospects WHERE campaign = ? AND status = 'done' "
    "GROUP BY 1 ORDER BY 2 DESC, 1"
)
_ATTEMPTS: Final = (
    "SELECT attempts, count(*) FROM campaign_prospects WHERE campaign = ? GROUP BY 1 ORDER BY 1"
)
_OUTCOMES: Final = (
    "SELECT outcome, count(*) FROM campaign_attempts WHERE campaign = ? AND ended_s IS NOT NULL "
    "GROUP BY 1 ORDER BY 2 DESC, 1"
)
_CALLS: Final = (
    "SELECT count(*), coalesce(sum(converted), 0), coalesce(sum(talk_s), 0) "
    "FROM campaign_attempts WHERE campaign = ?"
)
_COSTS: Final = (
    "SELECT currency, sum(cost) FROM campaign_attempts WHERE campaign = ? AND currency <> '' "
    "GROUP BY 1 ORDER BY 1"
)
_COST_PARTS: Final = (
    "SELECT currency, key, sum(value) FROM campaign_attempts, json_each(cost_parts) "
    "WHERE campaign = ? AND currency <> '' GROUP BY 1, 2 ORDER BY 1, 3 DESC, 2"
)
_REFUSALS: Final = (
    "SELECT code, count(*) FROM campaign_refusals WHERE campaign = ? GROUP BY 1 ORDER BY 2 DESC, 1"
)


@frozen
class Share:
    """Some of the calls: how many, how many of them a person took, and how many converted."""

    calls: int = 0
    answered: int = 0
    converted: int = 0

    @property
    def rate(self) -> float:
        """Conversions per answered call."""
        return self.converted / self.answered if self.answered else 0.0


@frozen
class Report:
    """A campaign in figures.

    Attributes:
        state: "running", "paused" or "stopped".
        prospects: status or result → how many.
        outcomes: of calls.
        attempts: number of attempts → prospects that had so many.
        costs: currency → estimated sum.
        cost_parts: currency → carrier, stt, llm, tts → its share. Calls from before it was kept are
            not in it.
        refusals: reason's code → prospects.
        variants: of the prompt.
        hours: hour of the day in `timezone` → calls that began in it.
    """

    name: str
    state: str
    total: int
    waiting: int
    dialling: int
    done: int
    next_s: float | None
    results: Mapping[str, int]
    calls: int
    answered: int
    converted: int
    outcomes: Mapping[str, int]
    attempts: Mapping[int, int]
    talk_s: float
    costs: Mapping[str, float]
    cost_parts: Mapping[str, Mapping[str, float]]
    refusals: Mapping[str, int]
    variants: Mapping[str, Share]
    hours: Mapping[int, Share]
    timezone: str

    def to_json(self) -> dict[str, Any]:
        """For JSON: names in camelCase, times in seconds since 1970."""
        return {
            "name": self.name,
            "state": self.state,
            "prospects": {
                "total": self.total,
                "waiting": self.waiting,
                "dialling": self.dialling,
                "done": self.done,
                "results": dict(self.results),
                "nextCallAt": self.next_s,
            },
            "calls": {
                "total": self.calls,
                "answered": self.answered,
                "converted": self.converted,
                "outcomes": dict(self.outcomes),
                "talkSeconds": round(self.talk_s, 1),
                "cost": {currency: round(cost, 4) for currency, cost in self.costs.items()},
                "costParts": {
                    currency: {name: round(part, 4) for name, part in parts.items()}
                    for currency, parts in self.cost_parts.items()
                },
                "costIsEstimate": True,
            },
            "prospectsByAttempts": {str(n): count for n, count in self.attempts.items()},
            "refusals": dict(self.refusals),
            "variants": {name or "(none)": _share(each) for name, each in self.variants.items()},
            "hours": {f"{hour:02}": _share(each) for hour, each in self.hours.items()},
            "timezone": self.timezone,
        }


def _share(share: Share) -> dict[str, Any]:
    return {
        "calls": share.calls,
        "answered": share.answered,
        "converted": share.converted,
        "conversionRate": round(share.rate, 4),
    }


def read_report(c: sqlite3.Connection, name: str, now_s: float) -> Report | None:
    """The figures of a campaign, in one look; None: there is no such campaign."""
    saved = campaign_of(c, name)
    if saved is None:
        return None
    statuses = _pairs(c, _STATUSES, name)
    outcomes = _pairs(c, _OUTCOMES, name)
    (next_s,) = c.execute(_NEXT, (name,)).fetchone()
    calls, converted, talk_s = c.execute(_CALLS, (name,)).fetchone()
    return Report(
        name=name,
        state=state_of(saved, now_s),
        total=sum(statuses.values()),
        waiting=statuses.get("waiting", 0),
        dialling=statuses.get("dialling", 0),
        done=statuses.get("done", 0),
        next_s=next_s,
        results=_pairs(c, _RESULTS, name),
        calls=calls,
        answered=sum(outcomes.get(outcome, 0) for outcome in ANSWERED),
        converted=converted,
        outcomes=outcomes,
        attempts=_pairs(c, _ATTEMPTS, name),
        talk_s=talk_s,
        costs=_pairs(c, _COSTS, name),
        cost_parts=_cost_parts(c, name),
        refusals=_pairs(c, _REFUSALS, name),
        variants=_variants(c, name),
        hours=_hours(c, name, ZoneInfo(saved.timezone)),
        timezone=saved.timezone,
    )


def state_of(saved: Saved, now_s: float) -> str:
    """Whether a process runs it, or somebody wants a pause."""
    if saved.wanted == "pause":
        return "paused"
    return "running" if is_owned(saved, now_s) else "stopped"


def _pairs(c: sqlite3.Connection, query: str, name: str) -> dict[Any, Any]:
    return dict(c.execute(query, (name,)).fetchall())


def _cost_parts(c: sqlite3.Connection, name: str) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for currency, part, cost in c.execute(_COST_PARTS, (name,)):
        found.setdefault(currency, {})[part] = cost
    return found


def _variants(c: sqlite3.Connection, name: str) -> dict[str, Share]:
    rows = c.execute(
        "SELECT variant, count(*), sum(outcome IN (SELECT value FROM json_each(?))), "
        "sum(converted) "
        "FROM campaign_attempts WHERE campaign = ? AND talk_s > 0 GROUP BY 1 ORDER BY 1",
        (json.dumps(ANSWERED), name),
    ).fetchall()
    return {variant: Share(*counts) for variant, *counts in rows}


def _hours(c: sqlite3.Connection, name: str, zone: ZoneInfo) -> dict[int, Share]:
    found: dict[int, Share] = {}
    for dialled_s, outcome, converted in c.execute(
        "SELECT dialled_s, outcome, converted FROM campaign_attempts WHERE campaign = ?", (name,)
    ):
        hour = datetime.fromtimestamp(dialled_s, zone).hour
        was = found.get(hour, Share())
        is_answered = outcome in ANSWERED
        found[hour] = Share(
            was.calls + 1, was.answered + is_answered, was.converted + bool(converted)
        )
    return dict(sorted(found.items()))


# ---------------------------------------------------------------- CSV


def csv_lines(rows: Iterable[Sequence[object]]) -> str:
    """Rows as CSV. A cell that a spreadsheet would take for a formula gets an apostrophe, but for
    numbers in international form, which programs want as they are."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for number, *cells in rows:
        writer.writerow([number, *map(_harmless, cells)])
    return text.getvalue()


def _harmless(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@") else cell


def csv_rows(
    c: sqlite3.Connection, name: str, after: tuple[int, str]
) -> list[tuple[tuple[int, str], tuple[object, ...]]]:
    """The next prospects behind a place in the list (line and number), each with its own."""
    rows = c.execute(
        "SELECT p.position, p.number, p.about, p.status, p.result, p.attempts, "
        "coalesce(sum(a.outcome IN (SELECT value FROM json_each(?))), 0), "
        "coalesce(sum(a.talk_s), 0), coalesce(sum(a.cost), 0), coalesce(max(a.converted), 0), "
        "p.due_s FROM campaign_prospects AS p LEFT JOIN campaign_attempts AS a "
        "ON a.campaign = p.campaign AND a.number = p.number "
        "WHERE p.campaign = ? AND (p.position, p.number) > (?, ?) "
        "GROUP BY p.position, p.number ORDER BY p.position, p.number LIMIT ?",
        (json.dumps(ANSWERED), name, *after, _PIECE_ROWS),
    ).fetchall()
    return [(row[:2], tuple(_csv_row(*row[1:]))) for row in rows]


def _csv_row(number: str, about: str, status: str, *rest: Any) -> Iterator[object]:
    known = json.loads(about)
    result, attempts, answered, talk_s, cost, converted, due_s = rest
    yield from (number, known.get("name", ""), known.get("company", ""), status, result)
    yield from (attempts, answered, round(talk_s, 1), round(cost, 4), int(converted))
    is_later = status == "waiting" and due_s > 0
    yield datetime.fromtimestamp(due_s, UTC).isoformat(timespec="seconds") if is_later else ""
