"""Durable code whose calls keep to limits and budgets: its workflow, and its judge (decision 0034).

What all limits and budgets are judged by (`limits`, `budgets`) holds for its calls as well. Besides, each try of a call
begins by a grant of its own, whoever dies, and its run is never above its budget.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from tests.sim.limits import SHARED, WINDOW_MS
from tests.sim.outside import STAGE, InCall, Line, call_path
from tests.sim.workload import PATIENT, SETTLE, TIMEOUT, Work

from logkeel.records import RunEvent
from logkeel.workflow import (
    KEYED,
    ONCE,
    Budget,
    CallFailed,
    Concurrency,
    Rate,
    Retry,
    StepContext,
    Workflow,
    current_step,
)

Histories = Mapping[tuple[str, str], list[RunEvent]]

AT_MOST = 40
TOKENS = 150

caller: Workflow[Work] = Workflow(
    "caller",
    state=Work,
    returns=("result",),
    budgets=[
        Budget("tokens", TOKENS, on_exhausted="ask"),
        Budget("tokens", 170, per="700ms", name="calls", on_exhausted="wait"),
    ],
)


async def _act(name: str, effect: str, number: int) -> int:
    """Every fourth call says nothing of what it has used; one is of no budget."""
    if (number + ord(name[0])) % 4 and name != "note":
        current_step().used(tokens=number % AT_MOST)
    await STAGE.outside.act(InCall(current_step(), name), effect)
    return number


async def _was_noted(name: str, effect: str, number: int) -> int | None:
    return number if STAGE.outside.happened(InCall(current_step(), name)) else None


@caller.step(writes=lambda s: s.result, timeout=None, retry=PATIENT, journal=True)
async def call_out(number: int, step: StepContext) -> int:
    """Two calls side by side, then one that must not be made twice; without what its budget refuses it."""
    STAGE.outside.begins(step)
    uses = {"tokens": AT_MOST}
    limits: list[Concurrency | Rate] = [SHARED, Rate(2, per=f"{WINDOW_MS}ms", name="calls")]
    keyed = step.options(effect=KEYED, timeout=TIMEOUT, retry=PATIENT, limits=limits, uses=uses)
    checked = step.options(effect=SETTLE, timeout=TIMEOUT, retry=PATIENT, check=_was_noted, limits=[SHARED])
    careful = Retry(12, initial="20ms", on="not_done")
    two = [Concurrency(2, name="payments")]
    once = step.options(effect=ONCE, timeout=TIMEOUT, retry=careful, limits=two, uses=uses)
    try:
        await step.gather(
            keyed.run("post", _act, "post", "KEYED", number),
            checked.run("note", _act, "note", "CHECKED", number),
            step.options(uses=uses, retry=PATIENT, timeout=TIMEOUT).run("think", _act, "think", "IDEMPOTENT", number),
        )
        await once.run("pay", _act, "pay", "ONCE", number)
    except CallFailed as error:
        if error.details["failure_code"] != "budget_exhausted":
            raise
    return 2 * number


caller.flow(call_out)

CALLING = (caller,)


def faults_of_calls(histories: Histories, lines: Iterable[Line]) -> list[str]:
    """Everything that is wrong with calls that keep to limits and budgets."""
    mine = {key: events for key, events in histories.items() if events[0].workflow == caller.name}
    begun: dict[tuple[str, str], list[Line]] = defaultdict(list)
    for line in lines:
        if line.what == "begin":
            begun[line.run_id, line.path].append(line)
    found: list[str] = []
    for (run_id, _), events in mine.items():
        found += _without_grants(run_id, events, begun)
        found += _above_its_budget(run_id, events)
    return found


def _without_grants(run_id: str, events: list[RunEvent], begun: Mapping[tuple[str, str], list[Line]]) -> Iterator[str]:
    """Every begin has a grant that was recorded before its step was sent, and no grant has two."""
    sent = {event.dispatch: event.revision for event in events if event.kind == "step_dispatched"}
    granted: dict[str, list[int]] = defaultdict(list)
    for event in events:
        entry = event.journal
        if entry is not None and entry.waits_for == "limit" and entry.state == "done":
            granted[call_path(event.path or "", entry.name)].append(event.revision)
    for place, revisions in granted.items():
        tries = begun[run_id, place]
        if len(tries) > len(revisions):
            yield f"0034: {run_id} {place} was granted {len(revisions)} times, and begun {len(tries)} times"
        for number, line in enumerate(tries):
            if number < len(revisions) and revisions[number] > sent.get(line.dispatch, 0):
                yield f"0034: {run_id} {place} was begun in dispatch {line.dispatch}, and granted behind it"
    for (run, place), tries in begun.items():
        if run == run_id and "!" in place and place not in granted:
            yield f"0034: {run_id} {place} was begun {len(tries)} times, and nothing was granted"


def _above_its_budget(run_id: str, events: list[RunEvent]) -> Iterator[str]:
    spent, granted, reserved = 0, 0, 0
    for event in events:
        amount = event.amounts.get("tokens", 0)
        if event.kind == "question_answered":
            granted += amount
        elif event.kind in ("limit_asked", "step_resumed"):
            reserved += amount
        else:
            spent += amount
        if spent > TOKENS + granted:
            yield f"0034: {run_id} has used {spent} of {TOKENS + granted}"
    if spent > reserved:
        yield f"0034: {run_id} has used {spent}, and had reserved {reserved}"
