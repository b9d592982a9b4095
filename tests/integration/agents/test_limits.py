"""Limits on a real broker, over two partitions, with the process killed -9 in the middle: never more than allowed."""

from collections import defaultdict
from pathlib import Path

import pytest
from examples.agents.metered import answers
from tests.integration.agents.harness import LIVENESS_S, agent, repeated_steps

from logkeel.client import Client, RunHandle
from logkeel.records import RunEvent

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

ENDS = ("step_succeeded", "step_failed", "step_revoked", "run_completed")


def start(client: Client, number: int) -> RunHandle:
    """One of two tenants asks one of two models."""
    tenant, model = ("acme", "other")[number % 2], ("small", "large")[number % 3 == 0]
    return client.start(answers, tenant=tenant, model=model, question=f"q{number}")


def most_at_once(histories: list[list[RunEvent]]) -> dict[str, int]:
    """Of each limit, the most slots held at any time, as histories say: the limit itself counts them for longer."""
    changes: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for events in histories:
        held: dict[str, list[str]] = defaultdict(list)
        for event in events:
            path = event.path or ""
            if event.kind == "limit_granted" and event.attributes["kind"] == "concurrency":
                held[path].append(event.name or "")
                changes[event.name or ""].append((event.at_ms, 1))
            elif event.kind in ENDS:
                for name in held.pop(path, ()):
                    changes[name].append((event.at_ms, -1))
    found = {}
    for name, each in changes.items():
        level = found[name] = 0
        for _, change in sorted(each):
            level += change
            found[name] = max(found[name], level)
    return found


def test_no_limit_is_exceeded_and_nobody_is_forgotten_across_kills(kafka_bootstrap: str, tmp_path: Path) -> None:
    with agent(kafka_bootstrap, tmp_path, "examples.agents.metered:answers", answers) as one:
        handles = [start(one.client, number) for number in range(24)]
        for count in (4, 12):
            one.until(lambda count=count: len(one.history.projection.runs(status="succeeded")) >= count)  # type: ignore[misc]
            assert one.history.projection.limits(), "some wait, or hold"
            one.kill_and_start()
        one.until(lambda: len(one.history.projection.runs(status="succeeded")) == len(handles))
        results = [handle.result(LIVENESS_S) for handle in handles]
        histories = [one.events(handle.run_id) for handle in handles]
        assert one.history.projection.limits() == []
    assert [result.partition("q")[2] for result in results] == [f"{number}, at length" for number in range(24)]
    assert not [path for events in histories for path in repeated_steps(events)]
    assert {event.kind for events in histories for event in events} >= {"limit_asked", "limit_granted"}
    most = most_at_once(histories)
    assert most == {
        "runs:answers of tenant=acme": 4,
        "runs:answers of tenant=other": 4,
        "model of model=small": 2,
        "model of model=large": 2,
    }
