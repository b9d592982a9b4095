"""Trees of runs with one budget at their root: their workflows, and their judge (P29, decision 0034).

The judge adds up what the steps of a whole tree have used, by all its histories, and compares what parents were told.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping

from tests.sim.outside import STAGE
from tests.sim.workload import PATIENT, TIMEOUT, Work, post_of

from logkeel.records import RunEvent
from logkeel.workflow import (
    IDEMPOTENT,
    Budget,
    CallFailed,
    ChildOptions,
    StepContext,
    Workflow,
    child,
    parallel,
    rescue,
    sleep,
    within,
)

Histories = Mapping[tuple[str, str], list[RunEvent]]

TOKENS = 260
AT_MOST = 40
OF_CHILDREN = ("child_ended", "child_settled")
RESERVES = ("step_dispatched", "child_started", "limit_asked", "step_resumed")


def _draft_of(workflow: Workflow[Work]):  # type: ignore[no-untyped-def]  # a step's type is the decorator's own
    @workflow.step(
        writes=lambda s: s.copied, effect=IDEMPOTENT, timeout=TIMEOUT, retry=PATIENT, uses={"tokens": AT_MOST}
    )
    async def draft(number: int, step: StepContext) -> int:
        """Every fifth says nothing of what it has used."""
        if number % 5:
            step.used(tokens=number % AT_MOST)
        await STAGE.outside.act(step, "IDEMPOTENT")
        return number

    return draft


heir: Workflow[Work] = Workflow("heir", state=Work, returns="result")
heir.flow(rescue(_draft_of(heir), on={"budget_exhausted": sleep("1ms")}), post_of(heir))

idler: Workflow[Work] = Workflow("idler", state=Work, returns="copied")
idler.flow(
    rescue(child(heir, name="kid", uses={"tokens": 50}), on={"*": sleep("1ms")}),
    sleep("500ms"),
    rescue(_draft_of(idler), on={"budget_exhausted": sleep("1ms")}),
)

testator: Workflow[Work] = Workflow("testator", state=Work, returns=("result",), budgets=[Budget("tokens", TOKENS)])


@testator.step(writes=lambda s: s.left, timeout=None, retry=PATIENT, journal=True, children=[heir])
async def bequeath(number: int, step: StepContext) -> str:
    """Durable code with two children side by side, of which one may find too little left."""
    STAGE.outside.begins(step)
    try:
        await step.gather(
            step.child(heir, {"number": number}),
            step.child(heir, {"number": number + 1}, options=ChildOptions(name="other", uses={"tokens": 60})),
        )
    except CallFailed as error:
        return str(error.details["failure_code"])
    return "both"


testator.flow(
    parallel(
        rescue(_draft_of(testator), on={"budget_exhausted": sleep("1ms")}),
        bequeath,
        rescue(child(heir, name="kid"), on={"budget_exhausted": sleep("1ms")}),
        name="work",
    ),
    within("900ms", rescue(child(idler, name="late"), on={"*": sleep("1ms")}), on_timeout=sleep("1ms")),
    post_of(testator),
)

HEIRS = (testator, idler, heir)
NAMES = frozenset(workflow.name for workflow in HEIRS)


def faults_of_heirs(histories: Histories) -> list[str]:
    """Everything that is wrong with budgets of trees."""
    mine = {run_id: events for (run_id, _), events in histories.items() if events[0].workflow in NAMES}
    used = {run_id: _used(events) for run_id, events in mine.items()}
    totals: dict[str, int] = defaultdict(int)
    found: list[str] = []
    for run_id, events in mine.items():
        root = run_id
        while root in mine and (parent := mine[root][0].parent) is not None:
            root = parent.run_id
        totals[root] += used[run_id]
        found += _faults_of_shares(run_id, events, mine)
    for root, total in totals.items():
        if root in mine and total > TOKENS:
            found.append(f"0034: the tree of {root} has used {total} of {TOKENS}")
    return found


def _used(events: list[RunEvent]) -> int:
    """By its own steps."""
    others = (*RESERVES, *OF_CHILDREN, "run_completed")
    return sum(event.amounts.get("tokens", 0) for event in events if event.kind not in others)


def _faults_of_shares(run_id: str, events: list[RunEvent], mine: Mapping[str, list[RunEvent]]) -> Iterator[str]:
    """What a parent counts is what the child has counted; it never has more used and reserved than it may."""
    limit = TOKENS
    if (parent := events[0].parent) is not None:
        limit = next((each.limit for each in parent.budget if each.unit == "tokens"), TOKENS)
    spent, reserved = 0, dict[str, int]()
    told: set[str] = set()
    for event in events:
        amount = event.amounts.get("tokens")
        if amount is None:
            continue
        path = event.path or ""
        if event.kind == "child_started":
            reserved[f"@{event.revision}"] = amount
        elif event.kind in RESERVES:
            reserved[path] = amount
        else:
            spent += amount
            if event.kind == "run_completed":
                reserved = {}
            reserved.pop(f"@{event.attributes.get('number')}" if event.kind in OF_CHILDREN else path, None)
        if event.kind in OF_CHILDREN:
            child_id = event.name or ""
            counted = _counted(mine[child_id]) if child_id in mine else 0
            if counted != amount:
                yield f"0034: {child_id} has counted {counted}, and {run_id} {amount}"
            if child_id in told:
                yield f"0034: {run_id} has counted {child_id} twice"
            told.add(child_id)
        if spent + sum(reserved.values()) > limit:
            yield f"0034: {run_id} has {spent} used and {reserved} reserved of {limit}"
    if reserved and events[-1].kind == "run_completed":
        yield f"0034: {run_id} has ended, and {reserved} is reserved"


def _counted(events: list[RunEvent]) -> int:
    """Of it and all below it."""
    return sum(event.amounts.get("tokens", 0) for event in events if event.kind not in RESERVES)
