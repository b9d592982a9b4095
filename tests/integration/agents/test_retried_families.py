"""Parents with their children, and turns of conversations, are retried on a real broker, across kills."""

from pathlib import Path

import pytest
from tests.integration.agents.harness import LIVENESS_S, Agent, agent, repeated_steps
from tests.integration.agents.parcels import errand, order, talk
from tests.integration.agents.test_failed_elements import notes

from logkeel.client import RunHandle
from logkeel.errors import RequestWasRejected, RunFailed

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

ORDERS = ("o-1", "o-2", "o-3", "o-4")
ANN = "ann"


def fails(handle: RunHandle) -> None:
    """Waits for a failure."""
    with pytest.raises(RunFailed):
        handle.result(LIVENESS_S)


def again(one: Agent) -> list[RunHandle]:
    """Retries everything, twice over."""
    made = []
    for _ in range(2):
        made = [one.client.retry(run_id, request_id=f"{run_id}-again", workflow=order) for run_id in ORDERS]
        made.append(one.client.retry("t-2", request_id="t-2-again", routing_key=ANN, workflow=talk))
    return made


def test_children_and_turns_go_on_with_who_waits_for_them(kafka_bootstrap: str, tmp_path: Path) -> None:
    with agent(kafka_bootstrap, tmp_path, "tests.integration.agents.parcels", order, PARCELS=str(tmp_path)) as one:
        for number in (1, 2):
            fails(one.client.start(talk, run_id=f"t-{number}", who=ANN, message=f"hello {number}"))
        orders = [one.client.start(order, run_id=run_id, order=run_id) for run_id in ORDERS]
        for handle in orders:
            fails(handle)
        before = notes(tmp_path)
        one.kill_and_start()

        (tmp_path / "open").touch()
        handles = again(one)
        one.until(lambda: any(len(notes(tmp_path)[f"deliver {run_id}"]) > 1 for run_id in ORDERS))
        one.kill_and_start()
        results = [handle.result(LIVENESS_S) for handle in handles]
        with pytest.raises(RequestWasRejected, match="others have begun since"):
            one.client.retry("t-1", routing_key=ANN).wait(LIVENESS_S)
        last = one.client.start(talk, run_id="t-3", who=ANN, message="bye").result(LIVENESS_S)
        one.until(lambda: one.view("t-3").status == "succeeded")
        runs = [view.run_id for view in one.history.projection.runs()]
        histories = {run_id: one.events(run_id) for run_id in runs}
    assert results == [*(f"PARCEL {run_id} AT THE DOOR".upper() for run_id in ORDERS), "hello 1, hello 2"]
    assert last == "hello 1, hello 2, bye", "the next turn knows what was said, once"
    assert len(runs) == 2 * len(ORDERS) + 3, "no child was begun anew"
    done = notes(tmp_path)
    for what, keys in done.items():
        assert len(set(keys)) == 1, "an outside system sees one of each (P30)"
        if what.startswith(("pack", "hear")) and "bye" not in what:
            assert keys == before[what], f"{what} was never done again"
    for run_id, events in histories.items():
        assert not repeated_steps(events)
        retried = [event.kind for event in events].count("run_retried")
        assert retried == (0 if run_id in ("t-1", "t-3") else 1), "each request came twice"


def test_children_of_code_go_on_with_it_across_kills(kafka_bootstrap: str, tmp_path: Path) -> None:
    """One of its two parcels fails it, and the other one is cut off by that, or has failed as well."""
    errands = ("e-1", "e-2", "e-3")
    with agent(kafka_bootstrap, tmp_path, "tests.integration.agents.parcels", errand, PARCELS=str(tmp_path)) as one:
        for handle in [one.client.start(errand, run_id=run_id, order=run_id) for run_id in errands]:
            fails(handle)
        before = notes(tmp_path)
        one.kill_and_start()

        (tmp_path / "open").touch()
        handles = [
            [one.client.retry(run_id, request_id=f"{run_id}-again", workflow=errand) for run_id in errands]
            for _ in range(2)
        ]
        one.until(lambda: any(len(keys) > len(before[what]) for what, keys in notes(tmp_path).items()))
        one.kill_and_start()
        results = [handle.result(LIVENESS_S) for handle in handles[-1]]
        one.until(lambda: all(one.view(run_id).status == "succeeded" for run_id in errands))
        runs = [view.run_id for view in one.history.projection.runs()]
        histories = {run_id: one.events(run_id) for run_id in runs}
    assert results == [f"PARCEL {e}-BOX AT THE DOOR, PARCEL {e}-BAG AT THE DOOR".upper() for e in errands]
    assert len(runs) == 3 * len(errands), "no child was begun anew"
    done = notes(tmp_path)
    for what, keys in done.items():
        assert len(set(keys)) == 1, "an outside system sees one of each (P30)"
        if what.startswith(("pack", "list")) and what in before:
            assert keys == before[what], f"{what} was never done again"
    for run_id, events in histories.items():
        assert not repeated_steps(events)
        kinds = [event.kind for event in events]
        assert kinds.count("run_retried") <= 1, "each request came twice"
        assert run_id not in errands or kinds.count("run_retried") == 1
