"""Runs are forked on a real broker, by client and by command; kills before forks begin and while they go on."""

from pathlib import Path

import pytest
from tests.integration.agents.delivering import delivery
from tests.integration.agents.harness import LIVENESS_S, Agent, agent, repeated_steps
from tests.integration.agents.test_retry import notes
from tests.integration.evolution.test_evolution import logkeel

from logkeel.errors import RequestWasRejected, RunFailed
from logkeel.records import RunEvent
from logkeel.records.turns import dispatch_of

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

ORDERS = tuple(f"order-{number}" for number in range(4))
DONE = "order-done"
GIFT = "order-gift"
TARGET = "tests.integration.agents.delivering:delivery"


def fork_of(order: str) -> str:
    """What the fork of this order's run is called."""
    return f"{order}-b"


def until_ended(one: Agent, run_ids: tuple[str, ...]) -> dict[str, list[RunEvent]]:
    """The whole histories of these runs, once they have ended."""
    one.until(lambda: {*run_ids} <= {view.run_id for view in one.history.projection.runs() if view.status != "running"})
    return {run_id: one.events(run_id) for run_id in run_ids}


def first_runs(one: Agent, directory: Path) -> dict[str, list[RunEvent]]:
    """Their histories: all but the last failed, since the door was shut."""
    handles = [one.client.start(delivery, run_id=order, order=order) for order in ORDERS]
    for handle in handles:
        with pytest.raises(RunFailed, match="the door is shut"):
            handle.result(LIVENESS_S)
    (directory / "open").touch()
    assert one.client.start(delivery, run_id=DONE, order=DONE).result(LIVENESS_S) == f"parcel {DONE} at the door"
    return until_ended(one, (*ORDERS, DONE))


def test_forks_with_edits_have_keys_of_their_own_across_kills(kafka_bootstrap: str, tmp_path: Path) -> None:
    with agent(kafka_bootstrap, tmp_path, TARGET, delivery, DELIVERY=str(tmp_path)) as one:
        origins = first_runs(one, tmp_path)
        before = notes(tmp_path)
        forks = {}
        for order in ORDERS:
            history = origins[order]
            at, edits = dispatch_of(history, "both/deliver"), {"packed": f"box {order}"}
            forks[order] = one.client.fork(history, at=at, edits=edits, run_id=fork_of(order), reason="a better box")
        one.kill_and_start()
        one.until(lambda: any(len({*notes(tmp_path)["deliver", order]}) > 1 for order in ORDERS))
        one.kill_and_start()
        for order in ORDERS:
            assert forks[order].result(LIVENESS_S) == {"delivered": f"box {order} at the door"}
        with pytest.raises(RequestWasRejected, match=fork_of(ORDERS[0])):
            one.client.fork(origins[ORDERS[0]], at=1, run_id=fork_of(ORDERS[0])).wait(LIVENESS_S)

        arguments = ("--step", "pack", "--set", f'order="{GIFT}"', "--run-id", fork_of(DONE))
        forked = logkeel(one, "run", "fork", DONE, *arguments)
        assert forked.returncode == 0, forked.stderr
        assert one.client.wait(fork_of(DONE), LIVENESS_S).status == "succeeded"
        made = until_ended(one, tuple(fork_of(order) for order in (*ORDERS, DONE)))
        assert until_ended(one, tuple(origins)) == origins, "nothing of the other runs has changed"
    after = notes(tmp_path)
    for (what, order), keys in before.items():
        assert after[what, order][: len(keys)] == keys
        if what in ("pack", "insure") or order == DONE:
            assert after[what, order] == keys, "what was done at that revision is never done again"
    for order in ORDERS:
        (former,), (key,) = {*before["deliver", order]}, {*after["deliver", order]} - {*before["deliver", order]}
        assert former != key, "an outside system takes the fork's delivery for another one (P30)"
        assert len({*after["thank", order]}) == 1
    known = {key for keys in before.values() for key in keys}
    for what in ("pack", "insure", "deliver", "thank"):
        (key,) = {*after[what, GIFT]}
        assert key not in known
    for run_id, events in made.items():
        origin = events[0].origin
        assert origin is not None
        assert fork_of(origin.run_id) == run_id
        (incarnation,) = {event.incarnation for event in events}
        assert incarnation != origin.incarnation
        assert not repeated_steps(events)
        kinds = [event.kind for event in events]
        assert (kinds.count("run_forked"), kinds.count("run_completed")) == (1, 1), "it began once, and ended once"
