"""Runs that are forked while they are under way: the requests, and their judge."""

from collections.abc import Iterator, Mapping

from tests.sim.outside import Line

from logkeel.client.forking import cut, fork_request
from logkeel.records import ForkRun, RunEvent
from logkeel.testing.world import World
from logkeel.testing.world.judging import completions_of, histories_of, own_events

Histories = Mapping[tuple[str, str], list[RunEvent]]
FORK = "-fork"


def fork_of(world: World, run_id: str) -> ForkRun | None:
    """A request for a fork of this run as it stands now; None if it has not begun, or has ended."""
    found = [events for (name, _), events in histories_of(world).items() if name == run_id]
    if not found or any(event.kind == "run_completed" for event in found[-1]):
        return None
    fork_id = f"{run_id}{FORK}"
    return fork_request(cut(found[-1]), run_id=fork_id, request_id=fork_id, edits=(), version=None, reason=None)


def own_of(histories: Histories) -> dict[tuple[str, str], list[RunEvent]]:
    """What the runs have done themselves: of a fork, what is behind the history that it begins with."""
    return {run: own_events(events) for run, events in histories.items()}


def faults_of_forks(
    world: World, histories: Histories, lines: list[Line], results: Mapping[str, bytes]
) -> Iterator[str]:
    """A fork begins with what the other run had done, does none of it again, and leaves that run as it was.

    `histories`: whole ones. `results`: what each run that ended well is to have returned, by the other run.
    """
    completions, rejections = completions_of(world)
    known = {run_id: events for (run_id, _), events in histories.items()}
    for run_id, events in known.items():
        revision = _forked_at(events)
        if not revision:
            continue
        origin = run_id.removesuffix(FORK)
        before, theirs = events[: revision - 1], known[origin][: revision - 1]
        if list(map(_told, before)) != list(map(_told, theirs)):
            yield f"{run_id} does not begin as {origin} did"
        told = events[revision - 1].origin
        if told is None or (told.run_id, told.revision) != (origin, revision - 1):
            yield f"{run_id} says that it comes from {told}"
        if any(event.kind == "run_forked" for event in known[origin]):
            yield f"{origin} was changed by its fork"
        done = {event.path for event in before if event.kind == "step_succeeded"}
        again = {line.path for line in lines if line.run_id == run_id and line.path in done}
        if again:
            yield f"{run_id} has done {sorted(again)} again"
        ends = [each for each in completions if each.run_id == run_id and not each.reannounced]
        values = [value.payload.data for end in ends for value in end.result if value.payload is not None]
        if [end.status for end in ends] == ["succeeded"] and values != [results[origin]]:
            yield f"{run_id} has returned {values}"
    for rejected in rejections:
        if (rejected.run_id or "").endswith(FORK):
            yield f"{rejected.run_id} was refused as {rejected.code}: {rejected.reason}"


def _forked_at(events: list[RunEvent]) -> int:
    return max((event.revision for event in events if event.kind == "run_forked"), default=0)


def _told(event: RunEvent) -> tuple[object, ...]:
    """What is the same in both."""
    return (event.revision, event.kind, event.path, event.writes, event.attempt, event.dispatch, event.opens_turn)
