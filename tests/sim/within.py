"""The judge of limits: a time is over no sooner than it was said, by nothing that came before, and not for nothing."""

from collections.abc import Iterable, Iterator, Mapping

from tests.sim.outside import TIMEOUT_MS, Line

from logkeel.log import Record
from logkeel.records import RunEvent, StepAnswer, StepSucceeded
from logkeel.testing.world import World

Histories = Mapping[tuple[str, str], list[RunEvent]]

RECOVERY_MS = 25_000
"""A session, then a lease for whoever may have held the step; and a rebalance, a restore and a start between them."""

LONG_MS = 10_000
"""Limits below it run out by the time that steps take."""

KEEPS_FROM_WORK = ("STRIKE", "KILLED", "FROZEN", "DRAINS", "LEAVES", "ENDS", "CONNECTED")


def faults_of_time_limits(
    world: World, histories: Histories, answers: Iterable[tuple[Record, StepAnswer]], lines: Iterable[Line]
) -> Iterator[str]:
    """Everything that is wrong with runs and blocks whose time is over."""
    told = {
        (each.identity.run_id, each.identity.incarnation, each.identity.path, each.identity.dispatch): record
        for record, each in answers
        if isinstance(each, StepSucceeded)
    }
    begun = [(line.run_id, line.incarnation, line.path) for line in lines if line.what == "begin"]
    zero_ms = world.cluster.clock.now_ms() - world.elapsed_ms
    kept = [zero_ms + event.ms for event in world.trace.events if event.event in KEEPS_FROM_WORK]
    for (run_id, incarnation), events in histories.items():
        for path, since_ms, due_ms, over in _over(events):
            what = f"{run_id} {path}".rstrip()
            if over.at_ms < due_ms:
                yield f"{what} timed out at {over.at_ms}, and had until {due_ms}"
            for event in events[: over.revision]:
                record = told.get((run_id, incarnation, event.path or "", event.dispatch or 0))
                if event.kind != "step_revoked" or not (event.path or "").startswith(path) or record is None:
                    continue
                if record.timestamp_ms < due_ms:
                    yield f"P23: {what} timed out at {due_ms}, and {event.path} had succeeded at {record.timestamp_ms}"
            if path and due_ms - since_ms >= LONG_MS:
                tries = sum(each[:2] == (run_id, incarnation) and each[2].startswith(path) for each in begun)
                was_kept = any(since_ms - RECOVERY_MS <= at_ms <= due_ms for at_ms in kept)
                if not was_kept and tries * TIMEOUT_MS < due_ms - since_ms:
                    yield f"{what} timed out at {over.at_ms}, and nobody was kept from work"


def _over(events: list[RunEvent]) -> Iterator[tuple[str, int, int, RunEvent]]:
    """Each time that was over: its block's path with a slash (nothing: the run), beginning, end, and the event."""
    entered: dict[str, RunEvent] = {}
    for event in events:
        path = event.path or ""
        if event.kind == "block_entered" and event.due_ms is not None:
            entered[path] = event
        elif event.kind == "block_timed_out" and path in entered:
            yield f"{path}/", entered[path].at_ms, entered[path].due_ms or 0, event
    if events[0].due_ms is not None and events[-1].status == "timed_out":
        yield "", events[0].at_ms, events[0].due_ms, events[-1]
