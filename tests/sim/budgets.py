"""Runs that have budgets, alone and together: their workflows, and their judge (P29, decision 0031).

The judge reads the log alone. A claim that was granted before another one was asked for is reserved when that is
decided, or has been settled no earlier than its release was written: so it counts at least for a window from then.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

from tests.sim.limits import Claim
from tests.sim.outside import STAGE
from tests.sim.workload import PATIENT, TIMEOUT, Work

from logkeel.log import Record
from logkeel.records import AcquireLimit, LimitAnswered, ReleaseLimit, RunEvent
from logkeel.testing.world import World
from logkeel.testing.world.reading import read_as
from logkeel.wire import record_type
from logkeel.workflow import IDEMPOTENT, KEYED, NONE, Budget, StepContext, Workflow, parallel, sleep, within

Histories = Mapping[tuple[str, str], list[RunEvent]]

AT_MOST = 40
"""Tokens of one attempt of any of these steps."""

TOKENS = 130
"""Three attempts that say nothing, and not a fourth."""

spender: Workflow[Work] = Workflow(
    "spender",
    state=Work,
    returns=("result",),
    budgets=[Budget("tokens", TOKENS, on_exhausted="ask"), Budget("wall_ms", 10**9)],
)
sharer: Workflow[Work] = Workflow(
    "sharer",
    state=Work,
    returns=("result",),
    budgets=[
        Budget("tokens", 100, per="700ms", name="purse", on_exhausted="wait"),
        Budget("tokens", 170, per="500ms", key="verdict"),
    ],
)


def _tell(step: StepContext, number: int) -> None:
    """What this attempt has used; every fourth step says nothing."""
    if number % 4:
        step.used(tokens=number % 9, spare=1)
        step.used(tokens=step.attempt)


def _steps_of(workflow: Workflow[Work]):  # type: ignore[no-untyped-def]  # a step's type is the decorator's own
    uses = {"tokens": AT_MOST}

    @workflow.step(writes=lambda s: s.verdict, effect=NONE, timeout=TIMEOUT, retry=PATIENT, uses=uses)
    async def _muse(number: int, step: StepContext) -> Literal["more", "enough"]:
        _tell(step, number)
        await STAGE.outside.act(step, "NONE", has_effect=False)
        return "more" if number % 2 else "enough"

    @workflow.step(writes=lambda s: s.copied, effect=IDEMPOTENT, timeout=TIMEOUT, retry=PATIENT, uses=uses)
    async def _draft(number: int, step: StepContext) -> int:
        await STAGE.outside.act(step, "IDEMPOTENT")
        _tell(step, number + 1)
        return number

    @workflow.step(writes=lambda s: s.result, effect=KEYED, timeout=TIMEOUT, retry=PATIENT, uses=uses)
    async def _publish(number: int, step: StepContext) -> int:
        await STAGE.outside.act(step, "KEYED")
        _tell(step, number + 2)
        return 2 * number

    return _muse, _draft, _publish


_muse, _draft, _publish = _steps_of(spender)
spender.flow(parallel(_muse, _draft, name="both"), _publish)

_muse_too, _draft_too, _publish_too = _steps_of(sharer)
sharer.flow(
    within("900ms", parallel(_muse_too, _draft_too, name="both"), on_timeout=sleep("1ms")),
    _publish_too,
)

SPENDING = (spender, sharer)
NO_USE = ("step_dispatched", "question_answered")
"""Events whose amounts are reserved, or granted."""

NAMES = frozenset(workflow.name for workflow in SPENDING)


class Settled(NamedTuple):
    """When a claim was given back, and what it had used."""

    at_ms: int
    used: int | None


def faults_of_budgets(world: World, histories: Histories) -> list[str]:
    """Everything that is wrong with budgets."""
    asked: dict[Claim, tuple[Record, AcquireLimit]] = {}
    settled: dict[Claim, Settled] = {}
    granted: dict[Claim, int] = {}
    for record in world.records(world.names.run_requests):
        kind = record_type(record.value or b"")
        if kind is AcquireLimit:
            word = read_as(record.value or b"", AcquireLimit)
            if word.kind == "budget":
                asked.setdefault(Claim.of(word), (record, word))
        elif kind is ReleaseLimit:
            release = read_as(record.value or b"", ReleaseLimit)
            if release.kind == "budget":
                settled.setdefault(Claim.of(release), Settled(record.timestamp_ms, release.used))
    for record in world.records(world.names.step_results):
        if record_type(record.value or b"") is LimitAnswered:
            answer = read_as(record.value or b"", LimitAnswered)
            if answer.kind == "budget" and answer.error is None:
                granted.setdefault(Claim.of(answer), record.timestamp_ms)
    return [
        *_faults_of_accounts(histories),
        *_faults_of_settling(histories, asked, granted, settled),
        *([] if world.clock_jumps else _too_much(asked, granted, settled)),
    ]


def _faults_of_accounts(histories: Histories) -> Iterator[str]:
    """No run has reserved and used more than it has; nothing is sent without a reservation, and none stays."""
    for (run_id, _), events in histories.items():
        if events[0].workflow not in NAMES:
            continue
        spent: dict[str, int] = defaultdict(int)
        reserved: dict[tuple[str, str], int] = {}
        granted = 0
        for event in events:
            path = event.path or ""
            for unit, amount in event.amounts.items():
                if event.kind == "question_answered":
                    granted += amount
                    continue
                if event.kind == "step_dispatched":
                    reserved[path, unit] = amount
                    continue
                most = reserved.pop((path, unit), 0 if unit == "spare" else None)
                if most is None or (unit != "spare" and amount > most):
                    yield f"0031: {run_id} {path} settles {amount} {unit} of {most} with {event.kind}"
                spent[unit] += amount
            if event.kind == "step_dispatched" and reserved.get((path, "tokens")) != AT_MOST:
                yield f"0031: {run_id} {path} was sent, and {reserved.get((path, 'tokens'))} is reserved for it"
            if event.kind == "step_reclaimed" and event.reason == "lost" and (path, "tokens") in reserved:
                yield f"0031: {run_id} {path} was lost, and its successor would use what it has reserved"
            held = sum(amount for (_, unit), amount in reserved.items() if unit == "tokens")
            if events[0].workflow == spender.name and spent["tokens"] + held > TOKENS + granted:
                yield f"0031: {run_id} has {spent['tokens']} used and {held} reserved of {TOKENS + granted}"
        if reserved:
            yield f"0031: {run_id} has ended, and {reserved} is reserved"


def _faults_of_settling(
    histories: Histories,
    asked: Mapping[Claim, tuple[Record, AcquireLimit]],
    granted: Mapping[Claim, int],
    settled: Mapping[Claim, Settled],
) -> Iterator[str]:
    """Every claim that was granted is settled, by what the run's history says, and at no other budget differently."""
    for claim in granted:
        if claim not in asked:
            yield f"0031: {claim} was granted, and nobody asked for it"
        if claim not in settled:
            yield f"0031: {claim} was never settled"
    told: dict[tuple[str, str, str], int] = defaultdict(int)
    for claim, each in settled.items():
        told[claim.run_id, claim.incarnation, claim.name] += each.used or 0
    for (run_id, incarnation), events in histories.items():
        if events[0].workflow != sharer.name:
            continue
        spent = sum(event.amounts.get("tokens", 0) for event in events if event.kind not in NO_USE)
        for name in ("purse/tokens", "sharer/tokens"):
            if told[run_id, incarnation, name] != spent:
                yield f"0031: {run_id} has used {spent}, and told {name} {told[run_id, incarnation, name]}"


def _too_much(
    asked: Mapping[Claim, tuple[Record, AcquireLimit]],
    granted: Mapping[Claim, int],
    settled: Mapping[Claim, Settled],
) -> Iterator[str]:
    """At no time more is reserved and used within its window than a budget has."""
    for claim, at_ms in granted.items():
        record, word = asked[claim]
        counts = word.amount or 0
        for other, other_ms in granted.items():
            if other.limit != claim.limit or other == claim or other_ms >= record.timestamp_ms:
                continue
            amount, end = asked[other][1].amount or 0, settled.get(other)
            if end is None:
                counts += amount
            elif end.at_ms + (word.per_ms or 2**62) > at_ms:
                counts += amount if end.used is None else end.used
        if counts > word.limit:
            yield f"0031: {claim.limit} has {word.limit}, and {counts} were given out when {claim} got its share"
