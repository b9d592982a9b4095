"""Runs that failed are retried on a real broker, with kills before, while and after they go on."""

from collections import defaultdict
from pathlib import Path

import pytest
from tests.integration.agents.delivering import delivery
from tests.integration.agents.harness import LIVENESS_S, Agent, agent, repeated_steps

from logkeel.errors import RequestWasRejected, RunFailed

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

ORDERS = tuple(f"order-{number}" for number in range(8))


def notes(directory: Path) -> dict[tuple[str, str], list[str]]:
    """Keys by what was done for whom."""
    found = defaultdict(list)
    for line in (directory / "notes").read_text().splitlines():
        what, order, key = line.split(" ", 2)
        found[what, order].append(key)
    return found


def delivered_again(directory: Path) -> bool:
    """Whether a delivery is being tried again."""
    return any(len(keys) > 1 for (what, _), keys in notes(directory).items() if what == "deliver")


def ended(one: Agent, status: str) -> bool:
    """Whether all runs have ended so."""
    runs = one.history.projection.runs()
    return len(runs) == len(ORDERS) and all(view.status == status for view in runs)


def test_only_what_failed_is_done_again_under_its_old_key_across_kills(kafka_bootstrap: str, tmp_path: Path) -> None:
    target = "tests.integration.agents.delivering:delivery"
    with agent(kafka_bootstrap, tmp_path, target, delivery, DELIVERY=str(tmp_path)) as one:
        handles = [one.client.start(delivery, run_id=order, order=order) for order in ORDERS]
        with pytest.raises(RunFailed, match="the door is shut"):
            handles[-1].result(LIVENESS_S)
        one.until(lambda: ended(one, "failed"))
        packed = {key: keys for key, keys in notes(tmp_path).items() if key[0] in ("pack", "insure")}
        one.kill_and_start()

        (tmp_path / "open").touch()
        again = {o: one.client.retry(o, request_id=f"{o}-again", workflow=delivery) for o in ORDERS}
        one.until(lambda: delivered_again(tmp_path))
        one.kill_and_start()
        for order in ORDERS:
            one.client.retry(order, request_id=f"{order}-again")
        assert {order: handle.result(LIVENESS_S) for order, handle in again.items()} == {
            order: f"parcel {order} at the door" for order in ORDERS
        }
        with pytest.raises(RequestWasRejected, match="has ended as succeeded"):
            one.client.retry(ORDERS[0]).wait(LIVENESS_S)
        one.until(lambda: ended(one, "succeeded"))
        histories = {order: one.events(order) for order in ORDERS}
        last = one.client.wait(ORDERS[0], LIVENESS_S)
    assert (last.status, last.retries) == ("failed", 0), "the first end is on the log still, and said to be the first"
    done = notes(tmp_path)
    assert {key: keys for key, keys in done.items() if key[0] in ("pack", "insure")} == packed, "never done again"
    for order, events in histories.items():
        assert [event.kind for event in events].count("run_retried") == 1, "the request came twice"
        assert {event.path for event in events if event.kind == "step_revoked"} <= {"both/weigh"}, "it is cut off"
        assert not repeated_steps(events)
        assert len({event.incarnation for event in events}) == 1
        assert len(done["deliver", order]) >= 2
        assert len(set(done["deliver", order])) == 1, "an outside system sees one delivery (P30)"
        assert len(done["thank", order]) >= 1
