"""Follows one run on the log until it ends: a live tree for people, lines for everything else."""

import sys
import time

from rich.live import Live

from logkeel.cli import run_views
from logkeel.cli.output import Format, data, print_json, say
from logkeel.errors import RunNotFound
from logkeel.kafka import SystemClock
from logkeel.log import LogClient
from logkeel.projection import HistoryReader, RunView, documents
from logkeel.records import RunEvent
from logkeel.records.topics import TopicNames

APPEAR_S = 10.0
"""A run that was just requested is in the history after some milliseconds; a typing error never is."""

POLL_S = 0.2
REFRESH_PER_S = 5


def watch_run(client: LogClient, names: TopicNames, run_id: str, output: Format) -> None:
    """Print until the run has ended. Raises `RunNotFound`."""
    reader = HistoryReader(client, names, run_id=run_id)
    try:
        events = first_events(reader, run_id)
        if output is Format.TABLE and sys.stdout.isatty():
            _live(reader, run_id)
        else:
            _lines(reader, run_id, events, output)
    finally:
        reader.close()


def first_events(reader: HistoryReader, run_id: str) -> list[RunEvent]:
    """What has happened to the run so far; waits for it to appear. Raises `RunNotFound`."""
    deadline_s = time.monotonic() + APPEAR_S
    while True:
        reader.poll(POLL_S)
        found = reader.projection.runs()
        if reader.caught_up and found:
            return list(reader.projection.history(run_id))
        if time.monotonic() > deadline_s and reader.caught_up:
            raise RunNotFound(
                f"there is no run {run_id!r} in the history that is kept; see: logkeel run list", run_id=run_id
            )


def _live(reader: HistoryReader, run_id: str) -> None:
    clock = SystemClock()
    with Live(console=data(), refresh_per_second=REFRESH_PER_S) as live:
        while True:
            view = reader.projection.get(run_id)
            live.update(run_views.tree(view, clock.now_ms()))
            if _ended(view):
                return
            reader.poll(POLL_S)


def _lines(reader: HistoryReader, run_id: str, events: list[RunEvent], output: Format) -> None:
    started_at_ms = events[0].at_ms
    while True:
        for event in events:
            if output is Format.JSON:
                print_json(documents.event_json(event))
            else:
                data().print(run_views.event_text(event, started_at_ms), markup=False, soft_wrap=True)
        view = reader.projection.get(run_id)
        if _ended(view):
            say(f"run {run_id} {view.status}")
            return
        events = reader.poll(POLL_S)


def _ended(view: RunView) -> bool:
    return view.status != "running"
