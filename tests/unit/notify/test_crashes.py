"""The notifier dies before and after each effect, messages included: nobody is left out, repetitions have their key."""

from functools import cache

import pytest
from tests.ledger import crashing
from tests.ledger.crashing import CrashPlan, Manner
from tests.unit.notify.world import World

SEVERAL = [("asked", "hook"), ("asked", "mail:ada@example.com"), ("reminder", "hook")]


@pytest.fixture(autouse=True)
def _messages_are_effects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crashing, "EFFECTS", crashing.EFFECTS | {"deliver"})


def asked(world: World) -> None:
    world.asks()
    world.happens("question_reminded", path="approve", actor="editors")


def answered(world: World) -> None:
    world.happens("question_answered", path="approve", name="reject", actor="bob", request_id="q")


@cache
def effects() -> int:
    """How many a notifier has that is not struck."""
    world, plan = World(), CrashPlan()
    asked(world)
    assert world.run(plan)
    return plan.count


@pytest.mark.parametrize("manner", ["before", "after", "doubt_lost", "doubt_done"])
def test_everybody_hears_of_it_whenever_the_notifier_dies(manner: Manner) -> None:
    struck, repeated = set(), set()
    for at in range(1, effects() + 1):
        world, plan = World(), CrashPlan(at, manner)
        asked(world)
        world.run(plan)
        struck.add(plan.where)
        world.run()
        assert set(world.postbox.told()) >= set(SEVERAL), f"{manner} effect {at}, {plan.where}"
        assert len(world.postbox.keys()) == 4, f"{manner} effect {at}, {plan.where}"
        before = len(world.postbox.got)
        repeated.add(before - 4)
        answered(world)
        world.run()
        assert world.postbox.told(before) == [("answered", "hook"), ("answered", "mail:ada@example.com")]
        assert {each.state for each in world.cases()["r approve"].deliveries} == {"delivered"}
    assert {"deliver", "commit", "write"} <= struck
    # Each of the two recipients is told one thing at a time, so that no more than two are under way.
    assert repeated <= {0, 1, 2}
    assert (max(repeated) > 0) is not manner.startswith("doubt"), (
        "this process knows what it has sent, a dead one's successor not"
    )
