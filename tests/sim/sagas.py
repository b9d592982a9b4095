"""Runs that take back what they did: a workflow with sagas, and its judge."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from tests.sim.families import part
from tests.sim.outside import STAGE, Line
from tests.sim.workload import PATIENT, SETTLE, TIMEOUT, Work, post_of, stumble_of

from logkeel.records import RunEvent
from logkeel.workflow import KEYED, ONCE, Retry, StepContext, Workflow, child, parallel, rescue, saga, sleep, within

Histories = Mapping[tuple[str, str], list[RunEvent]]
UNDO = "/undo"
SAGAS = ("saga", "payment")
UNSURE = ("step_reclaimed", "step_released", "step_in_doubt")
"""An execution may go on that nobody waits for."""

UNDOABLE = ("_book", "_reserve", "_wire")

trip: Workflow[Work] = Workflow("trip", state=Work, returns=("result",))


@trip.step(writes=lambda s: s.doubled, effect=KEYED, timeout=TIMEOUT, retry=PATIENT)
async def _book(number: int, step: StepContext) -> int:
    await STAGE.outside.act(step, "KEYED")
    return 2 * number


@_book.undo
async def _unbook(number: int, doubled: int | None, step: StepContext) -> None:
    await STAGE.outside.act(step, "KEYED")
    if doubled not in (None, 2 * number):
        raise AssertionError(f"{number} was booked as {doubled}")


@trip.step(effect=SETTLE, timeout=TIMEOUT, retry=PATIENT)
async def _reserve(step: StepContext) -> None:
    await STAGE.outside.act(step, "CHECKED")


@_reserve.check
async def _was_reserved(step: StepContext) -> bool:
    return STAGE.outside.happened(step)


@_reserve.undo(effect=KEYED, timeout=TIMEOUT, retry=PATIENT)
async def _unreserve(step: StepContext) -> None:
    await STAGE.outside.act(step, "KEYED")


@trip.step(effect=ONCE, timeout=TIMEOUT, retry=Retry(max_attempts=12, initial="20ms", on="not_done"))
async def _wire(step: StepContext) -> None:
    await STAGE.outside.act(step, "ONCE")


@_wire.undo(effect=KEYED, timeout=TIMEOUT, retry=PATIENT)
async def _wire_back(step: StepContext) -> None:
    await STAGE.outside.act(step, "KEYED")


_all_at_once = parallel(_reserve, child(part, name="kid", writes="result"), stumble_of(trip), name="rest")
trip.flow(
    rescue(saga(_book, _all_at_once), on={"stumbled": sleep("1ms")}),
    within("700ms", saga(_wire, sleep("400ms"), name="payment"), name="hurry", on_timeout=sleep("1ms")),
    post_of(trip),
)


def faults_of_sagas(histories: Histories, lines: Iterable[Line]) -> Iterator[str]:
    """What was done in a saga that was undone is undone, once, the newest first; and nothing else is."""
    done: dict[tuple[str, str, str], list[Line]] = defaultdict(list)
    for line in lines:
        if line.what == "effect":
            done[line.run_id, line.incarnation, line.path].append(line)
    for run, events in histories.items():
        regions = {event.path or "": event for event in events if event.kind == "undo_started"}
        mine = {path for *of, path in done if tuple(of) == run}
        for path in sorted(mine):
            if path.endswith(UNDO) and not _is_in(path, regions):
                yield f"{run}: {path} took back what nobody had given up"
        yield from _left(run, events, mine)
        yield from _disorder(run, events)
        yield from _undone_under_way(run, events, done)
        open_regions = [event for event in events if event.kind in ("undo_started", "undo_ended")]
        if open_regions and open_regions[-1].kind == "undo_started" and events[-1].kind == "run_completed":
            yield f"{run}: ended while {open_regions[-1].path or 'it'} was being undone"


def _left(run: tuple[str, str], events: list[RunEvent], mine: set[str]) -> Iterator[str]:
    """Effects in sagas that were not left well are taken back, those of workers that were late as well."""
    well = {event.path or "" for event in events if event.kind == "block_left"}
    for saga_path in sorted({event.path or "" for event in events if event.kind == "block_entered"}):
        if saga_path.rpartition("/")[2] not in SAGAS:
            continue
        for path in sorted(mine):
            if not _is_in(path, (saga_path,)) or path.endswith(UNDO):
                continue
            if path.rpartition("/")[2] in UNDOABLE and saga_path not in well and path + UNDO not in mine:
                yield f"{run}: {path} was done, and never undone"
            if saga_path in well and path + UNDO in mine:
                yield f"{run}: {path} was undone, although {saga_path} had ended well"


def _disorder(run: tuple[str, str], events: list[RunEvent]) -> Iterator[str]:
    done = {event.path or "": event.revision for event in events if event.kind == "step_succeeded"}
    for name in SAGAS:
        undone = [path for path in done if path.endswith(UNDO) and name in path.split("/")]
        known = [done[path.removesuffix(UNDO)] for path in undone if path.removesuffix(UNDO) in done]
        if known != sorted(known, reverse=True):
            yield f"{run}: undone in the order {undone}"


def _undone_under_way(
    run: tuple[str, str], events: list[RunEvent], done: Mapping[tuple[str, str, str], list[Line]]
) -> Iterator[str]:
    """What is under way when its saga fails ends before it is undone, unless nobody knows whether it will."""
    unsure = {event.path for event in events if event.kind in UNSURE}
    for (*of, path), lines in done.items():
        undone = done.get((*run, path + UNDO))
        if tuple(of) != run or undone is None or path in unsure:
            continue
        late = [line for line in lines if line.at_ms > undone[0].at_ms and line.stalls == line.began_stalls]
        if late:
            yield f"{run}: {path} was done {late[-1].at_ms - undone[0].at_ms:.0f} ms after it had been undone"


def _is_in(path: str, regions: Iterable[str]) -> bool:
    return any(not region or path.startswith(f"{region}/") for region in regions)
