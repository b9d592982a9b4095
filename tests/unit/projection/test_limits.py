"""What a reader sees of limits: what a run waits for and holds, and who holds and waits for each limit."""

from typing import Any

import pytest
from tests.unit.projection.histories import T0, Told

from logkeel.cli import limits as command
from logkeel.cli import run_views
from logkeel.projection import Projection, documents
from logkeel.records import EventKind

FACTS = {"kind": "concurrency", "limit": "gpt", "key": "tenant=acme", "allows": "3"}
GPT: dict[str, Any] = {"name": "gpt of tenant=acme", "attributes": FACTS}
RATE = {"name": "gpt", "attributes": {"kind": "rate", "limit": "gpt", "key": "", "allows": "60", "per_ms": "60000"}}


def waiting(run_id: str = "r", path: str | None = "write") -> Told:
    """A run that waits for its slot."""
    told = Told(run_id)
    told.tell("limit_asked", path, step=path, **GPT)
    return told


def holding(run_id: str = "h", path: str | None = "write") -> Told:
    """A run that has it."""
    told = waiting(run_id, path)
    told.tell("limit_granted", path, step=path, **GPT)
    if path is not None:
        told.tell("step_dispatched", path, step=path, attempt=1, dispatch=1)
    return told


def projection_of(*told: Told) -> Projection:
    """A read model of these runs."""
    projection = Projection()
    for each in told:
        for event in each.history:
            projection.apply(event)
    return projection


@pytest.mark.parametrize(
    ("path", "facts", "said"),
    [
        ("write", GPT, "waits for the limit 'gpt of tenant=acme' (3 at once): write, for 2.0s"),
        (None, GPT, "waits for the limit 'gpt of tenant=acme' (3 at once): for 2.0s"),
        ("write", RATE, "waits for the limit 'gpt' (60 in 1m 00s): write, for 2.0s"),
    ],
)
def test_a_run_says_which_limit_it_waits_for(path: str | None, facts: dict[str, Any], said: str) -> None:
    told = Told()
    told.tell("limit_asked", path, **facts)
    assert run_views.current(told.view, told.now_ms + 1_000) == said
    (wait,) = told.view.waits.values()
    assert documents.wait_json(wait, told.now_ms)["limit"]["allows"] == int(facts["attributes"]["allows"])


def test_what_is_granted_is_held_and_not_waited_for() -> None:
    told = holding()
    assert not told.view.waits
    assert [slot.limit.name for slot in told.view.slots["write"]] == ["gpt"]
    told.tell("step_started", "write", step="write", dispatch=1)
    assert "write" in told.view.slots


@pytest.mark.parametrize(
    "kind", ["step_succeeded", "step_failed", "step_revoked", "step_suspended", "step_held", "run_completed"]
)
def test_it_is_free_when_the_execution_has_ended(kind: EventKind) -> None:
    told = holding()
    told.tell(kind, "write", step="write", dispatch=1)
    assert not told.view.slots
    asked = waiting()
    asked.tell(kind, "write", step="write", dispatch=1)
    assert not asked.view.waits


def test_a_rate_is_used_up_and_not_held() -> None:
    told = Told()
    told.tell("limit_asked", "write", **RATE)
    told.tell("limit_granted", "write", **RATE)
    assert not told.view.slots
    assert not told.view.waits


def test_a_limit_shows_who_holds_it_and_who_waits_in_their_order() -> None:
    (standing,) = projection_of(holding("a"), holding("b", None), waiting("d"), waiting("c")).limits()
    assert [each.run_id for each in standing.holding] == ["a", "b"]
    assert [each.run_id for each in standing.waiting] == ["c", "d"]
    assert command.row(standing, T0 + 61_000) == ("gpt", "tenant=acme", "3 at once", 2, 2, "1m 00s ago")
    shown = command.as_json(standing, T0)
    assert [each["path"] for each in shown["holding"]] == ["write", ""]
