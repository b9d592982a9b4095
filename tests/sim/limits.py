"""Runs and steps that keep to limits: their workflows, and their judge (P29, decision 0030).

The judge reads the log alone. A slot is held from the record that grants it to the record that gives it back: the limit
has counted it before the first was written, and until after the second was read.
"""

from bisect import insort
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

from tests.sim.outside import STAGE
from tests.sim.workload import PATIENT, TIMEOUT, Work, copy_of, double_of, post_of

from logkeel.definitions import WorkflowDocument
from logkeel.errors import DataError
from logkeel.log import OutputRecord, Record
from logkeel.records import AcquireLimit, LimitAnswered, ReleaseLimit, RunEvent, StepCommand
from logkeel.records.topics import TopicNames
from logkeel.runs.processor.limit_records import home_of
from logkeel.runs.rows import keys
from logkeel.runs.rows.limit_rows import LimitName
from logkeel.testing.world import World
from logkeel.testing.world.judging import changelog_rows
from logkeel.testing.world.reading import read_as
from logkeel.wire import encode, record_type
from logkeel.workflow import KEYED, NONE, Concurrency, Rate, StepContext, Workflow, parallel, sleep, within

Histories = Mapping[tuple[str, str], list[RunEvent]]

SHARED = Concurrency(1, name="model")
"""Of steps of both workflows."""

WINDOW_MS = 300

narrow: Workflow[Work] = Workflow("narrow", state=Work, returns=("result",), limits=[Concurrency(2)])


@narrow.step(writes=lambda s: s.verdict, effect=NONE, timeout=TIMEOUT, retry=PATIENT, limits=[SHARED])
async def _look(number: int, step: StepContext) -> Literal["more", "enough"]:
    await STAGE.outside.act(step, "NONE", has_effect=False)
    return "more" if number % 2 else "enough"


@narrow.step(
    writes=lambda s: s.result,
    effect=KEYED,
    timeout=TIMEOUT,
    retry=PATIENT,
    limits=[SHARED, Concurrency(1, key="verdict", name="verdicts"), Rate(2, per=f"{WINDOW_MS}ms", name="calls")],
)
async def _send(number: int, step: StepContext) -> int:
    await STAGE.outside.act(step, "KEYED")
    return 2 * number


narrow.flow(parallel(_look, double_of(narrow), name="both"), _send)

quick: Workflow[Work] = Workflow("quick", state=Work, returns=("result",), limits=[Rate(2, per="400ms")])


@quick.step(writes=lambda s: s.left, effect=NONE, timeout=TIMEOUT, retry=PATIENT, limits=[SHARED])
async def _peek(number: int, step: StepContext) -> str:
    await STAGE.outside.act(step, "NONE", has_effect=False)
    return str(number)


quick.flow(
    within("500ms", parallel(_peek, copy_of(quick), name="both"), on_timeout=sleep("1ms")),
    post_of(quick),
)

LIMITED = (narrow, quick)


def claim_of_nobody(names: TopicNames, partitions: int) -> OutputRecord:
    """A claim to the shared slot by a run that is no more, as one is left over when an operator accepts a loss."""
    limit = LimitName("concurrency", SHARED.name or "", "")
    asked = AcquireLimit(
        kind=limit.kind,
        name=limit.name,
        key=limit.key,
        limit=1,
        run_id="nobody",
        incarnation="0-0-0",
        path="both/_look",
        number=2,
        home_partition=0,
    )
    return OutputRecord(names.run_requests, limit.pack(), encode(asked), home_of(limit, partitions))


class Claim(NamedTuple):
    """One claim to a slot of a limit."""

    kind: str
    name: str
    key: str
    run_id: str
    incarnation: str
    path: str
    number: int

    @classmethod
    def of(cls, word: AcquireLimit | ReleaseLimit | LimitAnswered) -> "Claim":
        """The one that a record is about."""
        return cls(word.kind, word.name, word.key, word.run_id, word.incarnation, word.path, word.number)

    @property
    def limit(self) -> tuple[str, str, str]:
        """Which limit."""
        return self.kind, self.name, self.key


def faults_of_limits(world: World, histories: Histories) -> list[str]:
    """Everything that is wrong with limits."""
    asked: dict[Claim, tuple[Record, AcquireLimit]] = {}
    released: dict[Claim, int] = {}
    granted: dict[Claim, int] = {}
    for record in world.records(world.names.run_requests):
        kind = record_type(record.value or b"")
        if kind is AcquireLimit:
            word = read_as(record.value or b"", AcquireLimit)
            asked.setdefault(Claim.of(word), (record, word))
        elif kind is ReleaseLimit:
            released.setdefault(Claim.of(read_as(record.value or b"", ReleaseLimit)), record.timestamp_ms)
    for record in world.records(world.names.step_results):
        if record_type(record.value or b"") is LimitAnswered:
            granted.setdefault(Claim.of(read_as(record.value or b"", LimitAnswered)), record.timestamp_ms)
    return [
        *_too_many(asked, granted, released),
        *([] if world.clock_jumps else _too_often(asked, granted)),
        *_out_of_order(asked, granted, released),
        *_left_over(world, asked, granted, released),
        *_without_slots(world, granted, released),
    ]


def _too_many(
    asked: Mapping[Claim, tuple[Record, AcquireLimit]], granted: Mapping[Claim, int], released: Mapping[Claim, int]
) -> Iterator[str]:
    """At no time more slots of a limit are held than it has."""
    changes: dict[tuple[str, str, str], list[tuple[int, int, Claim]]] = defaultdict(list)
    for claim, from_ms in granted.items():
        until_ms = released.get(claim, 2**62)
        # A claim that had ended before it was granted held nothing; in one millisecond, slots are given back first.
        if claim.kind == "concurrency" and until_ms > from_ms:
            insort(changes[claim.limit], (from_ms, 1, claim))
            insort(changes[claim.limit], (until_ms, 0, claim))
    for limit, found in changes.items():
        held: set[Claim] = set()
        for at_ms, what, claim in found:
            if what == 0:
                held.discard(claim)
                continue
            held.add(claim)
            if len(held) > asked[claim][1].limit:
                yield f"0030: {limit} allows {asked[claim][1].limit}, and at {at_ms} it was held by {sorted(held)}"


def _too_often(asked: Mapping[Claim, tuple[Record, AcquireLimit]], granted: Mapping[Claim, int]) -> Iterator[str]:
    """In no window more begin than the rate allows.

    When the limit let a claim begin is not written; it was no sooner than the question, and no later than the answer.
    """
    starts: dict[tuple[str, str, str], list[tuple[int, int, Claim]]] = defaultdict(list)
    for claim, (record, _) in asked.items():
        if claim.kind == "rate" and claim in granted:
            insort(starts[claim.limit], (record.offset, record.timestamp_ms, claim))
    for limit, found in starts.items():
        for number, (_, _, claim) in enumerate(found):
            word = asked[claim][1]
            before_ms = found[number - word.limit][1] if number >= word.limit else None
            if before_ms is not None and granted[claim] - before_ms < (word.per_ms or 0):
                allowed = f"allows {word.limit} in {word.per_ms} ms"
                yield f"0030: {limit} {allowed}, and {claim} came {granted[claim] - before_ms} ms after"


def _out_of_order(
    asked: Mapping[Claim, tuple[Record, AcquireLimit]], granted: Mapping[Claim, int], released: Mapping[Claim, int]
) -> Iterator[str]:
    """First come, first served."""
    lines: dict[tuple[str, str, str], list[tuple[int, Claim]]] = defaultdict(list)
    for claim, (record, _) in asked.items():
        insort(lines[claim.limit], (record.offset, claim))
    for limit, line in lines.items():
        last_ms, last = 0, None
        for _, claim in line:
            at_ms = granted.get(claim)
            if at_ms is None:
                if claim not in released:
                    yield f"0030: {claim} was never served, and did not leave the line"
                continue
            if at_ms < last_ms:
                yield f"0030: {limit}: {claim} was served before {last}, which came first"
            last_ms, last = at_ms, claim


def _left_over(
    world: World,
    asked: Mapping[Claim, tuple[Record, AcquireLimit]],
    granted: Mapping[Claim, int],
    released: Mapping[Claim, int],
) -> Iterator[str]:
    """Everything is given back at the end, and nothing was granted that nobody asked for."""
    for claim in granted:
        if claim not in asked:
            yield f"0030: {claim} was granted, and nobody asked for it"
        if claim.kind == "concurrency" and claim not in released:
            yield f"0030: {claim} was never given back"
    for number in range(world.settings.partitions):
        for key in changelog_rows(world, number):
            # The window of a rate is over when its clock says so, which may have gone back by more than a world lasts.
            in_window = bool(world.clock_jumps) and key.startswith((keys.LIMIT + b"rate", keys.LIMIT + b"budget"))
            if key.startswith((keys.LIMIT_ASKER, keys.LIMIT)) and not in_window:
                yield f"0030: partition {number} still has {key!r} of a limit"


def _without_slots(world: World, granted: Mapping[Claim, int], released: Mapping[Claim, int]) -> Iterator[str]:
    """No command is written outside of the time in which its step holds its slots."""
    held: dict[tuple[str, str, str], list[tuple[str, int, int]]] = defaultdict(list)
    for claim, from_ms in granted.items():
        until_ms = released.get(claim, 2**62) if claim.kind == "concurrency" else 2**62
        held[claim.run_id, claim.incarnation, claim.path].append((claim.name, from_ms, until_ms))
    documents = {workflow.name: workflow.document() for workflow in LIMITED}
    for record in world.records(world.names.step_commands()):
        try:
            command = read_as(record.value or b"", StepCommand)
        except DataError:
            continue  # planted
        if command.workflow not in documents:
            continue
        identity, at_ms = command.identity, record.timestamp_ms
        slots = held[identity.run_id, identity.incarnation, identity.path]
        for name in _limits_of(documents[command.workflow], identity.step):
            if not any(known == name and from_ms <= at_ms <= until_ms for known, from_ms, until_ms in slots):
                yield f"0030: {identity} was sent at {at_ms} without a slot of {name!r}: {slots}"


def _limits_of(document: WorkflowDocument, step: str) -> list[str]:
    limits = next(each.limits for each in document.steps if each.name == step)
    return [each.name for each in limits] if isinstance(limits, tuple) else []
