"""Limits of calls and one budget of a tree of runs on a real broker, with the process killed -9 in the middle."""

from collections import defaultdict
from pathlib import Path

import pytest
from examples.agents.thrifty import MODEL, MOST, TREE, lead
from tests.integration.agents.harness import LIVENESS_S, agent

from logkeel.client import Client, RunHandle
from logkeel.records import RunEvent

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

AT_ONCE, _ = MODEL
RESERVES = ("step_dispatched", "child_started", "limit_asked", "step_resumed")
OF_CHILDREN = ("child_ended", "child_settled", "run_completed")


def start(client: Client, number: int) -> RunHandle:
    """A question."""
    return client.start(lead, question=f"q{number}")


def check_tree(root: list[RunEvent], children: list[list[RunEvent]]) -> None:
    """What all of its calls have used is no more than the budget, and is what the root has counted."""
    used = sum(event.amounts.get("tokens", 0) for events in [root, *children] for event in events if _is_use(event))
    counted = sum(event.amounts.get("tokens", 0) for event in root if event.kind not in RESERVES)
    assert used == counted <= TREE
    for events in children:
        parent = events[0].parent
        assert parent is not None
        (share,) = parent.budget
        assert share.limit == 500
        assert sum(event.amounts.get("tokens", 0) for event in events if _is_use(event)) <= share.limit


def _is_use(event: RunEvent) -> bool:
    return event.kind not in RESERVES and event.kind not in OF_CHILDREN


def most_at_once(histories: list[list[RunEvent]]) -> int:
    """The most calls that held a slot of the model at any time, as the histories say."""
    changes: list[tuple[int, int]] = []
    for events in histories:
        held: dict[str, int] = defaultdict(int)
        for event in events:
            path, entry = event.path or "", event.journal
            if event.kind == "limit_granted" and event.attributes["kind"] == "concurrency":
                held[path] += 1
                changes.append((event.at_ms, 1))
                continue
            ends = event.kind in ("step_succeeded", "step_failed", "step_reclaimed", "step_released", "step_refused")
            outcome = event.kind == "step_journaled" and entry is not None and entry.waits_for is None
            places = [f"{path}?{entry.position}.s"] if outcome and entry is not None else [*held] if ends else []
            for place in places:
                changes += [(event.at_ms, -1)] * held.pop(place, 0)
    level = found = 0
    for _, change in sorted(changes):
        level += change
        found = max(found, level)
    return found


def test_no_tree_is_above_its_budget_and_no_more_calls_are_made_at_once(kafka_bootstrap: str, tmp_path: Path) -> None:
    with agent(kafka_bootstrap, tmp_path, "examples.agents.thrifty:lead", lead) as one:
        handles = [start(one.client, number) for number in range(6)]
        for count in (2, 9):
            one.until(lambda count=count: len(one.history.projection.runs(status="succeeded")) >= count)  # type: ignore[misc]
            one.kill_and_start()
        one.until(lambda: len(one.history.projection.runs(status="succeeded")) == 4 * len(handles))
        results = [handle.result(LIVENESS_S) for handle in handles]
        runs = [one.events(view.run_id) for view in one.history.projection.runs(status="succeeded")]
        assert one.history.projection.limits() == []
        views = [one.view(handle.run_id) for handle in handles]
    assert [result.split(" ")[3].strip(",") for result in results] == [f"q{number}" for number in range(6)]
    by_parent: dict[str, list[list[RunEvent]]] = defaultdict(list)
    for events in runs:
        if events[0].parent is not None:
            by_parent[events[0].parent.run_id].append(events)
    for events in (each for each in runs if each[0].parent is None):
        assert len(by_parent[events[0].run_id]) == 3
        check_tree(events, by_parent[events[0].run_id])
    assert [view.accounts["tokens"].reserved for view in views] == [{}] * 6
    assert 1 <= most_at_once(runs) <= AT_ONCE.limit
    assert MOST["tokens"] <= 500
