"""Slots of limits as histories tell of them: what a run asks for and holds, and how a limit stands over all runs. Pure.

A run tells of a slot a hop later than the limit has given it, and frees it a hop earlier: what is shown may lag behind
the limit by that much, and never claims more than it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from logkeel.records import RunEvent

if TYPE_CHECKING:
    from logkeel.projection.views import RunView

CONCURRENCY = "concurrency"
BUDGET = "budget"
RUN_BUDGET = "run_budget"
"""A budget that a run has for itself: nobody else waits there."""


class LimitView(msgspec.Struct, frozen=True, kw_only=True):
    """A limit as an asker named it. `allows`: how many at once, or within `per_ms` if it is a rate; how much of a
    budget.
    """

    kind: str
    name: str
    key: str
    allows: int
    per_ms: int | None = None

    @property
    def place(self) -> tuple[str, str, str]:
        """Which limit it is."""
        return self.name, self.key, self.kind


@dataclass(frozen=True, slots=True, kw_only=True)
class AskerView:
    """A run or a step (`path`; empty: the run) that holds a slot or waits for one."""

    run_id: str
    path: str
    since_ms: int


@dataclass(slots=True, kw_only=True)
class LimitStanding:
    """A limit over all runs. `limit`: as it was last asked. `waiting`: who has waited longest comes first."""

    limit: LimitView
    holding: list[AskerView] = field(default_factory=list)
    waiting: list[AskerView] = field(default_factory=list)


class SlotView(msgspec.Struct, frozen=True, kw_only=True):
    """A slot that is held."""

    limit: LimitView
    since_ms: int


def limit_in(event: RunEvent) -> LimitView | None:
    """The limit that an event names."""
    facts = event.attributes
    if "limit" not in facts:
        return None
    per_ms = facts.get("per_ms")
    return LimitView(
        kind=facts.get("kind", CONCURRENCY),
        name=facts["limit"],
        key=facts.get("key", ""),
        allows=int(facts.get("allows", "0")),
        per_ms=None if per_ms is None else int(per_ms),
    )


def standings(views: Iterable["RunView"]) -> list[LimitStanding]:
    """Every limit that somebody holds or waits for, by name and key."""
    found: dict[tuple[str, str, str], LimitStanding] = {}

    def of(limit: LimitView) -> LimitStanding:
        return found.setdefault(limit.place, LimitStanding(limit=limit))

    for view in views:
        for path, slots in view.slots.items():
            for slot in slots:
                of(slot.limit).holding.append(AskerView(run_id=view.run_id, path=path, since_ms=slot.since_ms))
        for wait in view.waits.values():
            if wait.limit is not None and wait.limit.kind != RUN_BUDGET:
                asker = AskerView(run_id=view.run_id, path=wait.path, since_ms=wait.since_ms)
                of(wait.limit).waiting.append(asker)
    for standing in found.values():
        standing.holding.sort(key=lambda each: (each.since_ms, each.run_id, each.path))
        standing.waiting.sort(key=lambda each: (each.since_ms, each.run_id, each.path))
    return [found[place] for place in sorted(found)]
