"""What a person sees while a campaign runs: lines, and on a terminal one that moves."""

from __future__ import annotations

import pytest

from vantum.campaigns.loading import Duplicate, Loaded
from vantum.campaigns.news import Dialled, Ended, Held, News, NotAllowed, Paused, Unread, Waiting
from vantum.campaigns.screen import CampaignScreen, clock, loaded_line, problem_line
from vantum.core.refusals import Reason, Refusal
from vantum.screen import StatusLine
from vantum.telephony.record import CallRecord

NOW_S = 1_800_000_000.0
ANN, BOB = "+12125550101", "+12125550102"
TALKED = CallRecord("1", "outbound", "", ANN, NOW_S, duration_s=61.6)
REFUSAL = Refusal(BOB, (Reason("outside_hours", "It is night there.", NOW_S + 7200),))
NEWS: tuple[News, ...] = (
    Dialled(ANN, 1),
    Dialled(BOB, 2),
    Ended(ANN, 1, "talked", TALKED, None),
    Ended(BOB, 2, "no_answer", None, NOW_S + 14_400),
    NotAllowed(BOB, REFUSAL, NOW_S + 7200),
    NotAllowed(BOB, REFUSAL, None),
    Paused(True),
    Paused(False),
    Held("all lines\x1b[2J are taken", 5.0),
    Unread("no connection"),
    Waiting(NOW_S + 10, 0),
    Waiting(NOW_S + 7200, 0),
    Waiting(NOW_S + 7200, 0),
)


def shown(is_watched: bool) -> list[str]:
    lines: list[str] = []
    with CampaignScreen(lines.append, lambda: NOW_S, line=StatusLine(is_watched)) as screen:
        screen.counted(waiting=3, dialling=0, done=1)
        for news in NEWS:
            screen.show(news)
    return lines


def test_lines_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    later, latest = clock(NOW_S + 7200, NOW_S), clock(NOW_S + 14_400, NOW_S)
    lines = [
        f"{ANN}  talked, 62 s",
        f"{BOB}  no answer, attempt 2; again {latest}",
        f"{BOB}  not called: It is night there.; again {later}",
        f"{BOB}  not called: It is night there.",
        "Paused: nobody is called until it is resumed.",
        "Resumed.",
        "Nobody can be called just now: all lines [2J are taken; again in 5 s",
        "Callbacks cannot be read just now: no connection",
    ]
    # What is waited for is said once, and only if it takes long.
    assert shown(is_watched=False) == [*lines, f"next {later}"]
    assert shown(is_watched=True) == lines


def test_the_line_that_moves(capsys: pytest.CaptureFixture[str]) -> None:
    shown(is_watched=True)
    drawn = [line.strip() for line in capsys.readouterr().err.split("\r") if line.strip()]
    assert drawn[0] == "1 of 4 done · 0 on the phone"
    assert "1 of 4 done · 2 on the phone" in drawn
    assert "3 of 4 done · 0 on the phone" in drawn
    assert drawn[-1].startswith("3 of 4 done · 0 on the phone · next ")


def test_times_of_other_days_have_their_day() -> None:
    assert len(clock(NOW_S, NOW_S)) == len("12:00:00")
    assert clock(NOW_S + 200_000, NOW_S).split()[1:] != []


@pytest.mark.parametrize(
    ("loaded", "line"),
    [
        (Loaded(rows=3, duplicates=1, added=2), "2 prospects, 1 duplicate"),
        (
            Loaded(rows=9, added=3, changed=1, removed=2, returned=1, is_first=False),
            "3 added, 1 changed, 2 removed, 1 back again",
        ),
        (Loaded(rows=9, is_first=False), "no prospect added or removed"),
        (Loaded(is_first=False, is_known=True), "as the last time"),
    ],
)
def test_what_a_list_changed(loaded: Loaded, line: str) -> None:
    assert loaded_line(loaded, "list.csv") == f"list.csv: {line}"


def test_rows_that_are_twice_are_no_faults() -> None:
    assert problem_line("list.csv", Duplicate(4, ANN, 2)) == (
        f"list.csv: line 4: {ANN} is on line 2 too: taken as one"
    )
