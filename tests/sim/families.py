"""Runs that start others, and turns of conversations: their workflows, and their judge (P29)."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Annotated

from tests.sim.outside import STAGE
from tests.sim.workload import PATIENT, TIMEOUT, Work, copy_of, double_of, post_of

from logkeel.errors import DataError
from logkeel.records import RunEvent, StepCommand
from logkeel.testing.world import World
from logkeel.testing.world.judging import completions_of
from logkeel.testing.world.reading import read_as
from logkeel.workflow import (
    IDEMPOTENT,
    KEYED,
    Append,
    ChildOptions,
    Fail,
    State,
    StepContext,
    Workflow,
    child,
    parallel,
    rescue,
    sleep,
    within,
)

Histories = Mapping[tuple[str, str], list[RunEvent]]

part: Workflow[Work] = Workflow("part", state=Work, returns="result")
part.flow(post_of(part))

slow: Workflow[Work] = Workflow("slow", state=Work, returns="copied")
slow.flow(sleep("600ms"), copy_of(slow))

family: Workflow[Work] = Workflow("family", state=Work, returns=("result",))
family.flow(
    parallel(double_of(family), child(part, name="kid", writes="result"), name="work"),
    child(part, name="free", detach=True),
    within("900ms", child(slow, name="late", writes="copied"), on_timeout=sleep("1ms")),
)

unborn: Workflow[Work] = Workflow("unborn", state=Work, returns="copied")
unborn.flow(copy_of(unborn))
"""No worker has it: nobody publishes it."""

hopeful: Workflow[Work] = Workflow("hopeful", state=Work, returns=("result",))
hopeful.flow(
    double_of(hopeful),
    rescue(child(unborn, name="kid", writes="copied"), on={"child_failed": sleep("1ms")}),
    post_of(hopeful),
)

started: Workflow[Work] = Workflow("started", state=Work, returns=("result",))


@started.step(
    writes=lambda s: s.result,
    updates=lambda s: s.left,
    restarts=lambda s: s.copied,
    timeout=None,
    retry=PATIENT,
    journal=True,
    children=[part, slow],
)
async def delegate(number: int, copied: int | None, step: StepContext) -> int:
    """Durable code of two lives: two children side by side, then one that may come too late."""
    STAGE.outside.begins(step)
    if copied is None:
        first, second = await step.gather(
            step.child(part, {"number": number}),
            step.child(part, {"number": number}, options=ChildOptions(name="again")),
        )
        await step.update(left="first life")
        await step.restart_with(copied=first if first == second else -1)
    with suppress(TimeoutError):
        await step.child(slow, {"number": number}, timeout="900ms")
    return copied


started.flow(double_of(started), delegate)


class Talk(State):
    """A turn says a number, and all that were said before are known."""

    who: str
    number: int
    said: Annotated[list[int], Append] = []  # noqa: RUF012  # pydantic copies defaults
    result: int | None = None


talk = Workflow("talk", state=Talk, returns=("result",), conversation="who", keep=("said",))


@talk.step(writes=lambda s: s.said, effect=KEYED, timeout=TIMEOUT, retry=PATIENT)
async def _say(number: int, step: StepContext) -> list[int]:
    await STAGE.outside.act(step, "KEYED")
    return [number, number + 1]


@talk.step(writes=lambda s: s.result, effect=IDEMPOTENT, timeout=TIMEOUT, retry=PATIENT)
async def _answer(number: int, said: list[int], step: StepContext) -> int:
    await STAGE.outside.act(step, "IDEMPOTENT")
    return 2 * number if said[-2:] == [number, number + 1] else -1


talk.flow(_say, _answer)

chat = Workflow("chat", state=Talk, returns=("result",), conversation="who", keep=("said",))
"""Turns of which some fail, until somebody has seen to it and retries them, if nobody has spoken since."""


@chat.step(writes=lambda s: s.said, effect=KEYED, timeout=TIMEOUT, retry=PATIENT)
async def _tell(number: int, step: StepContext) -> list[int]:
    await STAGE.outside.act(step, "KEYED")
    return [number, number + 1]


@chat.step(writes=lambda s: s.result, effect=IDEMPOTENT, timeout=TIMEOUT, retry=PATIENT)
async def _reply(number: int, said: list[int], step: StepContext) -> int:
    await STAGE.outside.act(step, "IDEMPOTENT")
    if number // 1_000 % 2 and not STAGE.outside.opened[step.run_id]:
        raise Fail("closed", "nobody has seen to it")
    return 2 * number if said[-2:] == [number, number + 1] else -1


chat.flow(_tell, _reply)

FAMILIES = (family, started, part, slow, talk, chat, hopeful)


def faults_of_families(world: World, histories: Histories) -> list[str]:
    """Everything that is wrong with children and turns."""
    return [*_faults_of_children(world, histories), *_faults_of_turns(world, histories)]


def _goes_on(events: list[RunEvent], end: RunEvent) -> bool:
    """Whether a retry has had the child go on after that end: then it ends once more."""
    later = (each for each in events if each.path == end.path and each.revision > end.revision)
    return any(each.kind == "child_started" for each in later)


def _faults_of_children(world: World, histories: Histories) -> Iterator[str]:
    """A child that was started is one run, and its parent was told what became of it."""
    completions, _ = completions_of(world)
    ends = {each.run_id: each for each in completions if not each.reannounced}
    known = {run_id: events[0] for (run_id, _), events in histories.items()}
    histories_by_run = {run_id: events for (run_id, _), events in histories.items()}
    for (run_id, _), events in histories.items():
        told = {event.path: event for event in events if event.kind == "child_ended"}
        for event in (each for each in events if each.kind == "child_started"):
            kid, end = event.name or "", told.get(event.path)
            if event.attributes.get("workflow") == unborn.name and kid not in known:
                yield from _faults_of_the_unborn(run_id, events, end)
                continue
            if kid not in known or kid not in ends:
                yield f"P29: {run_id} started {kid}, which {'never ended' if kid in known else 'never began'}"
                continue
            if "again" in event.attributes:
                yield from _faults_of_the_told(run_id, event, histories_by_run[kid], events)
                continue
            parent = known[kid].parent
            if parent is None or (parent.run_id, parent.path, parent.number) != (run_id, event.path, event.revision):
                yield f"P29: {kid} takes {parent} for its parent, and {run_id} started it"
            if end is not None and end.status != ends[kid].status and not _goes_on(events, end):
                yield f"P29: {kid} has ended as {ends[kid].status}, and {run_id} was told {end.status}"
            if end is None and "detached" not in event.attributes and ends[kid].status == "succeeded":
                # Whoever waits for it no more had it cancelled; it may have been done by then.
                over = [later.kind for later in events if later.revision > event.revision]
                if not {"block_timed_out", "step_resumed", "step_restarted", "run_completed"} & set(over):
                    yield f"P29: {run_id} was never told of the end of {kid}"
    for run_id, first in known.items():
        if first.parent is not None and first.parent.run_id not in known:
            yield f"P29: nobody has started {run_id}"


def _faults_of_the_told(run_id: str, event: RunEvent, kid: list[RunEvent], events: list[RunEvent]) -> Iterator[str]:
    """A child that is told to go on does so for this wait, or says why not; unless the parent has ended meanwhile."""
    behind = [each for each in events if each.revision > event.revision]
    over = next((each for each in behind if each.kind == "run_completed" or _ends_wait(each, event)), None)
    life = next((each for each in kid if each.parent is not None and each.parent.number == event.revision), None)
    if over is None:
        yield f"P29: {run_id} has told {event.name} to go on, which it neither did nor refused"
    elif life is not None and over.kind == "child_ended":
        end = next((each for each in kid if each.kind == "run_completed" and each.revision > life.revision), None)
        if end is None or over.status != end.status:
            told = f"{run_id} was told {over.status} of {event.name}"
            yield f"P29: {told}, which ended as {end and end.status} in that life"


def _ends_wait(event: RunEvent, began: RunEvent) -> bool:
    return event.kind == "child_ended" and event.path == began.path


def _faults_of_the_unborn(run_id: str, events: list[RunEvent], end: RunEvent | None) -> Iterator[str]:
    """A child that cannot be started is a failure of its block, and says why."""
    if end is None and events[-1].status != "cancelled":
        yield f"P29: {run_id} was never told that its child could not be started"
    if end is not None and (end.error is None or "unknown_workflow" not in end.error.message):
        yield f"P29: {run_id} was told {end.error} of a child whose workflow nobody has published"


def _faults_of_turns(world: World, histories: Histories) -> Iterator[str]:
    """Turns of a conversation come one after the other, and each knows what was said in those before it."""
    turns: dict[str, list[list[RunEvent]]] = {}
    for events in histories.values():
        if events[0].former_revisions is not None:
            turns.setdefault(events[0].conversation_id or "", []).append(events)
    heard = _heard(world)
    for name, found in turns.items():
        found.sort(key=lambda events: events[0].former_revisions or 0)
        said: list[bytes] = []
        ended_ms, revisions = 0, 0
        for events in found:
            run_id, first = events[0].run_id, events[0]
            too_soon = first.at_ms < ended_ms and not world.clock_jumps
            if too_soon or first.former_revisions != revisions:
                yield f"{name}: {run_id} began before the turn before it had ended"
            end = next((event for event in reversed(events) if event.kind == "run_completed"), events[-1])
            ended_ms, revisions = end.at_ms, revisions + end.revision
            writes = [write for event in events for write in event.writes if write.field == "said"]
            said += [write.payload.data or b"" for write in writes if write.payload is not None]
            if run_id in heard and heard[run_id] != said:
                yield f"{name}: {run_id} knows {heard[run_id]} of {said}"


def _heard(world: World) -> dict[str, list[bytes]]:
    """What the last step of each turn was told of everything that was said."""
    found: dict[str, list[bytes]] = {}
    for record in world.records(world.names.step_commands()):
        try:
            command = read_as(record.value or b"", StepCommand)
        except DataError:
            continue  # planted
        if (command.workflow, command.identity.step) in ((talk.name, "_answer"), (chat.name, "_reply")):
            values = next(each.elements for each in command.inputs if each.field == "said")
            found[command.identity.run_id] = [each.payload.data or b"" for each in values]
    return found
