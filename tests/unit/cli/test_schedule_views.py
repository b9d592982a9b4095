"""What `logkeel schedule list` prints."""

from typing import Any

from logkeel.cli.schedules import as_json, due, row
from logkeel.projection import ScheduleView
from logkeel.records import ScheduleStanding


def view(**more: Any) -> ScheduleView:
    """A schedule that stands so."""
    return ScheduleView("nightly", ScheduleStanding(workflow="reports", **more), ())


def test_a_line_says_when_it_is_due_and_what_goes_on() -> None:
    cron = view(cron="0 3 * * *", timezone="Europe/Berlin", next_ms=61_000, running=("nightly/a",), waiting=2)
    assert row(cron, 1_000) == (
        "nightly",
        "reports",
        "0 3 * * * Europe/Berlin",
        "1m 00s",
        "skip",
        "nightly/a",
        2,
    )
    assert due(view(every_ms=900_000).standing).startswith("every 15m")


def test_a_paused_one_is_not_due_and_one_that_is_late_is_due_now() -> None:
    assert row(view(every_ms=1_000, paused=True), 0)[3] == "paused"
    assert row(view(every_ms=1_000, next_ms=5), 9_000)[3] == row(view(every_ms=1_000, next_ms=9_000), 9_000)[3]


def test_in_json_it_is_whole() -> None:
    found = as_json(view(every_ms=1_000, next_ms=5))
    assert (found["name"], found["workflow"], found["every_ms"], found["next_ms"]) == ("nightly", "reports", 1_000, 5)
