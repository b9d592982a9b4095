"""Budgets on a real broker, over two partitions, with the process killed -9 in the middle: never more than allowed."""

from pathlib import Path

import pytest
from examples.agents.frugal import BUDGETS, COSTS, frugal
from tests.integration.agents.harness import LIVENESS_S, agent, repeated_steps

from logkeel.client import Client, RunHandle
from logkeel.records import RunEvent

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

TOKENS, MONEY = BUDGETS
WINDOW_MS = 3_000


def start(client: Client, number: int) -> RunHandle:
    """One of two tenants asks."""
    return client.start(frugal, tenant=("acme", "other")[number % 2], question=f"q{number}")


def check_account(events: list[RunEvent]) -> int:
    """Of one run: never above its tokens, everything settled. How much money it has used."""
    spent, reserved = {"tokens": 0, "usd_micros": 0}, dict[tuple[str, str], int]()
    for event in events:
        for unit, amount in event.amounts.items():
            if event.kind == "step_dispatched":
                reserved[event.path or "", unit] = amount
            else:
                assert amount <= reserved.pop((event.path or "", unit))
                spent[unit] += amount
        held = sum(amount for (_, unit), amount in reserved.items() if unit == "tokens")
        assert spent["tokens"] + held <= TOKENS.limit
    assert not reserved
    return spent["usd_micros"]


def given_out(histories: list[list[RunEvent]]) -> dict[str, list[tuple[int, int, int, int]]]:
    """Of each tenant, claims: when they were asked for, granted, and settled, and what was used."""
    found: dict[str, list[tuple[int, int, int, int]]] = {}
    for events in histories:
        tenant = next(write.control for write in events[0].writes if write.field == "tenant")
        asked: dict[str | None, tuple[int, int]] = {}
        for event in events:
            if event.kind == "limit_asked":
                asked[event.path] = (event.at_ms, 0)
            elif event.kind == "limit_granted":
                asked[event.path] = (asked[event.path][0], event.at_ms)
            elif event.amounts and event.kind != "step_dispatched":
                claim = (*asked.pop(event.path), event.at_ms, event.amounts["usd_micros"])
                found.setdefault(str(tenant), []).append(claim)
    return found


def test_no_budget_is_exceeded_and_nobody_is_forgotten_across_kills(kafka_bootstrap: str, tmp_path: Path) -> None:
    with agent(kafka_bootstrap, tmp_path, "examples.agents.frugal:frugal", frugal) as one:
        handles = [start(one.client, number) for number in range(24)]
        for count in (4, 12):
            one.until(lambda count=count: len(one.history.projection.runs(status="succeeded")) >= count)  # type: ignore[misc]
            one.kill_and_start()
        one.until(lambda: len(one.history.projection.runs(status="succeeded")) == len(handles))
        results = [handle.result(LIVENESS_S) for handle in handles]
        histories = [one.events(handle.run_id) for handle in handles]
        views = [one.view(handle.run_id) for handle in handles]
    assert all(result.startswith(f"q{number}, thought over") for number, result in enumerate(results))
    assert not [path for events in histories for path in repeated_steps(events)]
    assert {event.kind for events in histories for event in events} >= {"limit_asked", "limit_granted"}
    assert [check_account(events) for events in histories] == [view.accounts["usd_micros"].spent for view in views]
    for claims in given_out(histories).values():
        for asked_ms, granted_ms, _, _ in claims:
            # Granted before this one was asked for, and told no longer than a window ago: it counted for sure.
            before = [each for each in claims if each[1] < asked_ms and granted_ms < each[2] + WINDOW_MS]
            assert sum(used for *_, used in before) + COSTS["usd_micros"] <= MONEY.limit
