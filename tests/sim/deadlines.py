"""Runs whose steps take seconds, or must begin in time: their workflows, and their judge (P25, P35)."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Annotated

from tests.sim.outside import STAGE, Line
from tests.sim.workload import PATIENT, SETTLE, TIMEOUT, Work, copy_of, post_of

from logkeel.records import RunEvent
from logkeel.testing.world import World
from logkeel.workflow import (
    CHECKED,
    IDEMPOTENT,
    KEYED,
    NONE,
    Resource,
    Retry,
    StepContext,
    Timeout,
    Workflow,
    parallel,
    rescue,
)

Histories = Mapping[tuple[str, str], list[RunEvent]]

TO_START_MS = 5_000
VALID_MS = 4_000
HANGS_S = 600

CLAIMED_MS = 2_500
"""From a worker's decision to begin until it begins: the commit of its mark may be slow."""


@asynccontextmanager
async def _open_spade() -> AsyncIterator[str]:
    """Sometimes hangs for as long as a world lasts, and does not care whether anybody waits for it."""
    if STAGE.outside.hangs("spade"):
        for _ in range(HANGS_S):
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(1.0)
    yield "spade"


lengthy: Workflow[Work] = Workflow("lengthy", state=Work, returns=("result",))


@lengthy.step(effect=SETTLE, timeout=TIMEOUT, retry=PATIENT)
async def _survey(step: StepContext) -> None:
    await STAGE.outside.act(step, "CHECKED", long=True)


@_survey.check
async def _was_surveyed(step: StepContext) -> bool:
    return STAGE.outside.happened(step)


@lengthy.step(writes=lambda s: s.copied, effect=IDEMPOTENT, timeout=TIMEOUT, retry=PATIENT)
async def _dig(number: int, step: StepContext, spade: Annotated[str, Resource(_open_spade)]) -> int:
    await STAGE.outside.act(step, "IDEMPOTENT", long=True)
    return number


lengthy.flow(parallel(_survey, _dig, name="both"), post_of(lengthy))

SETTLES_MS = 6_000
"""With its time-out, longer than the lease of a worker: one that is lost is not checked at once."""

settling: Workflow[Work] = Workflow("settling", state=Work, returns=("result",))


@settling.step(effect=CHECKED(settle=f"{SETTLES_MS}ms"), timeout=TIMEOUT, retry=PATIENT)
async def _pour(step: StepContext) -> None:
    await STAGE.outside.act(step, "CHECKED", long=True)


@_pour.check
async def _was_poured(step: StepContext) -> bool:
    return STAGE.outside.happened(step)


settling.flow(_pour, post_of(settling))

SETTLING = {_pour.name: SETTLES_MS}
"""By step: settle times in ms that are not the usual one."""

timely: Workflow[Work] = Workflow("timely", state=Work, returns=("result",))


@timely.step(
    writes=lambda s: s.doubled,
    effect=NONE,
    timeout=Timeout(TIMEOUT, schedule_to_start=f"{TO_START_MS}ms"),
    retry=PATIENT,
)
async def _soon(number: int, step: StepContext) -> int:
    await STAGE.outside.act(step, "NONE", has_effect=False)
    return number


@timely.step(effect=KEYED(valid_for=f"{VALID_MS}ms"), timeout=TIMEOUT, retry=PATIENT)
async def _remembered(step: StepContext) -> None:
    await STAGE.outside.act(step, "KEYED")


@timely.step(effect=IDEMPOTENT, timeout=TIMEOUT, retry=Retry(max_attempts=12, initial="20ms", on="not_done"))
async def _frail(step: StepContext) -> None:
    await STAGE.outside.act(step, "IDEMPOTENT")


timely.flow(_soon, _remembered, rescue(_frail, on={"*": copy_of(timely)}), post_of(timely))

DEADLINES = (lengthy, settling, timely)


def faults_of_deadlines(world: World, histories: Histories, lines: Sequence[Line]) -> Iterator[str]:
    """Everything that is wrong with what must begin in time, or must not be repeated."""
    is_steady = not world.clock_jumps and not any(worker.stalls or worker.cuts for worker in world.workers)
    zero_ms = world.cluster.clock.now_ms() - world.elapsed_ms
    for run, events in histories.items():
        yield from _repeated(run, events)
        if not world.clock_jumps:
            yield from _offered_late(run, events)
        if is_steady:
            mine = [line for line in lines if (line.run_id, line.incarnation) == run]
            yield from _begun_late(run, events, mine, zero_ms)
            yield from _forgotten(run, mine)


def _repeated(run: tuple[str, str], events: list[RunEvent]) -> Iterator[str]:
    """What is to be repeated only if it surely did not happen is not repeated after another error."""
    last: dict[str, RunEvent] = {}
    for event in events:
        if event.step != _frail.name:
            continue
        failed = last.get(event.path or "")
        is_again = event.kind == "step_retry_scheduled" and failed is not None and failed.kind == "step_failed"
        if is_again and failed is not None and failed.error is not None and failed.error.kind != "not_done":
            yield f"P35: {run} repeats {event.path} after {failed.error.code}, and its author did not want that"
        last[event.path or ""] = event


def _offered_late(run: tuple[str, str], events: list[RunEvent]) -> Iterator[str]:
    """A command is not sent again when its time to start is over."""
    for attempt, first_ms, offers in _offers(events):
        for event in offers:
            if event.at_ms > first_ms + TO_START_MS:
                waited_ms = event.at_ms - first_ms
                yield f"P25: {run} offers {event.path}, attempt {attempt}, after {waited_ms} ms of {TO_START_MS}"


def _begun_late(run: tuple[str, str], events: list[RunEvent], lines: list[Line], zero_ms: float) -> Iterator[str]:
    """No worker begins a command whose time to start is over."""
    for _, first_ms, offers in _offers(events):
        numbers = {(event.path, event.dispatch) for event in offers}
        for line in lines:
            waited_ms = zero_ms + line.at_ms - first_ms
            if line.what == "begin" and (line.path, line.dispatch) in numbers and waited_ms > TO_START_MS + CLAIMED_MS:
                yield f"P25: {run} began {line.path}#{line.dispatch} after {waited_ms:.0f} ms of {TO_START_MS}"


def _offers(events: list[RunEvent]) -> Iterator[tuple[int | None, int, list[RunEvent]]]:
    """By attempt of the step that has to start in time: when it was offered first, and all its offers."""
    offers: dict[tuple[str | None, int | None], list[RunEvent]] = {}
    for event in events:
        if event.kind == "step_dispatched" and event.step == _soon.name:
            offers.setdefault((event.path, event.attempt), []).append(event)
    yield from ((attempt, found[0].at_ms, found) for (_, attempt), found in offers.items())


def _forgotten(run: tuple[str, str], lines: list[Line]) -> Iterator[str]:
    """Nobody begins again with a key that the outside may have forgotten."""
    used: dict[str, float] = {}
    for line in lines:
        if line.path.rpartition("/")[2] != _remembered.name:
            continue
        if line.what == "effect":
            used.setdefault(line.path, line.at_ms)
        since_ms = line.at_ms - used.get(line.path, line.at_ms)
        if line.what == "begin" and since_ms > VALID_MS + CLAIMED_MS:
            yield f"P35: {run} began {line.path}#{line.dispatch} {since_ms:.0f} ms after its key was used"
