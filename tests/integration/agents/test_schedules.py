"""Schedules on a real broker, engine and worker killed -9 again and again: every due time has one run, and one only."""

import time
from collections import Counter
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest
from tests.integration.agents.harness import Agent, agent
from tests.integration.agents.ticking import ticking

from logkeel.log import read_topic
from logkeel.projection import RunView
from logkeel.records import RunCompleted
from logkeel.wire import decode

KILLS = 3
BETWEEN_S = 5.0
AWAY_S = 6.0


def runs_of(made: Agent, schedule: str) -> list[RunView]:
    """Runs that it has started, as the history has them, in the order of their due times."""
    made.history.poll(0.05)
    found = [view for view in made.history.projection.runs() if view.run_id.startswith(f"{schedule}/")]
    return sorted(found, key=lambda view: view.run_id)


def moments(runs: list[RunView]) -> list[int]:
    return [int(datetime.fromisoformat(view.run_id.partition("/")[2]).timestamp()) for view in runs]


@pytest.mark.kafka
@pytest.mark.slow
def test_every_due_time_has_one_run_whatever_is_killed(kafka_bootstrap: str, tmp_path: Path) -> None:
    target = "tests.integration.agents.ticking:ticking"
    with agent(kafka_bootstrap, tmp_path, target, ticking) as made:
        made.until(lambda: runs_of(made, "beside") and runs_of(made, "in-line"))
        for _ in range(KILLS):
            until_s = time.monotonic() + BETWEEN_S
            made.until(lambda until_s=until_s: time.monotonic() > until_s)  # type: ignore[misc]  # bound for each round
            made.process.kill()
            until_s = time.monotonic() + AWAY_S
            made.until(lambda until_s=until_s: time.monotonic() > until_s)  # type: ignore[misc]  # as above
            made.process.start()
        restarted = int(time.time())
        made.until(lambda: max(moments(runs_of(made, "beside"))) > restarted + 2)
        for name in ("beside", "in-line"):
            made.client.schedules.pause(name)
            made.until(lambda name=name: _is_paused_and_idle(made, name))  # type: ignore[misc]  # as above
        beside, in_line = runs_of(made, "beside"), runs_of(made, "in-line")
        completions = _completions(made)
    for runs, every_s in ((beside, 2), (in_line, 3)):
        due = moments(runs)
        assert due == list(range(due[0], due[-1] + 1, every_s)), "each due time, and none twice"
        assert len(due) > (KILLS * (BETWEEN_S + AWAY_S)) / every_s
        assert {view.status for view in runs} == {"succeeded"}
        assert all(completions[view.run_id] == 1 for view in runs)
    for former, later in pairwise(in_line):
        assert former.finished_at_ms is not None
        assert former.finished_at_ms <= later.started_at_ms, "one after the other"


def _is_paused_and_idle(made: Agent, name: str) -> bool:
    view = made.history.projection.schedules.get(name)
    runs = runs_of(made, name)
    if view is None or not view.standing.paused or view.standing.waiting:
        return False
    return all(run.status != "running" for run in runs)


def _completions(made: Agent) -> Counter[str]:
    """How often the end of each run was told."""
    records = read_topic(made.log, made.settings.names.run_completions)
    messages = [decode(record.value) for record in records if record.value is not None]
    return Counter(each.run_id for each in messages if isinstance(each, RunCompleted) and not each.reannounced)
