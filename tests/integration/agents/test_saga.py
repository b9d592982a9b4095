"""The purchase with its saga on a real broker, killed -9 while it buys and while it undoes."""

from collections import Counter
from pathlib import Path

import pytest
from examples.payment.outside import FileShop
from examples.payment.shop import purchase
from tests.integration.agents.harness import LIVENESS_S, Agent, agent, repeated_steps

from logkeel.errors import RunFailed

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

BOUGHT = ["charge", "ship", "declare"]
UNDONE = ["charge", "refund"]


def test_a_purchase_is_made_or_undone_as_a_whole_across_kills(kafka_bootstrap: str, tmp_path: Path) -> None:
    shop = FileShop(tmp_path / "shop.sqlite")
    orders = [f"{kind}-{number}" for number in range(5) for kind in ("o", "lost")]
    with agent(
        kafka_bootstrap, tmp_path, "examples.payment.shop:purchase", purchase, SHOP=str(tmp_path / "shop.sqlite")
    ) as one:
        handles = {order: one.client.start(purchase, order=order, amount=12) for order in orders}
        one.until(shop.entries)
        one.kill_and_start()
        one.until(lambda: undoing(one))
        one.kill_and_start()
        for order, handle in handles.items():
            one.until(lambda run_id=handle.run_id, order=order: answered(one, shop, run_id, order))  # type: ignore[misc]
            if order.startswith("o"):
                assert handle.result(LIVENESS_S) == {"receipt": f"receipt {order}", "parcel": f"parcel {order}"}
            else:
                with pytest.raises(RunFailed, match="nothing to ship"):
                    handle.result(LIVENESS_S)
        histories = {order: one.events(handle.run_id) for order, handle in handles.items()}
    for order, events in histories.items():
        happened = [what for what, whose in shop.entries() if whose == order]
        assert happened == (BOUGHT if order.startswith("o") else UNDONE), order
        assert not repeated_steps(events)
        kinds = Counter(event.kind for event in events)
        assert (kinds["undo_started"], kinds["undo_ended"]) == ((0, 0) if order.startswith("o") else (1, 1))


def undoing(one: Agent) -> bool:
    """Whether some run has begun to undo."""
    runs = [view.run_id for view in one.history.projection.runs()]
    return any(event.kind == "undo_started" for run_id in runs for event in one.events(run_id))


def answered(one: Agent, shop: FileShop, run_id: str, order: str) -> bool:
    """Whether the run has ended; asked about the office, a human looks into its ledger."""
    if run_id not in {view.run_id for view in one.history.projection.runs()}:
        return False
    view = one.view(run_id)
    for step in view.current_steps:
        if step.phase == "in_doubt":
            one.client.resolve(run_id, step.path, "did" if ("declare", order) in shop.entries() else "did_not")
    return view.status != "running"
