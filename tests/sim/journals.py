"""The judge of journals: what was taken into one happened, and is not begun again by who has been told of it (P34)."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from tests.sim.outside import Line, call_path

from logkeel.log import Record
from logkeel.records import RunEvent, StepAnswer, StepJournaled, StepSucceeded

Place = tuple[str, str, str]

DROPS = ("step_failed", "step_revoked", "step_restarted")
"""After these nobody asks what the journal had."""


def faults_of_journals(histories: Mapping[tuple[str, str], list[RunEvent]], lines: Iterable[Line]) -> Iterator[str]:
    """An entry that is done says that its call happened; no later dispatch makes that call."""
    begun: dict[Place, list[Line]] = defaultdict(list)
    happened: set[Place] = set()
    for line in lines:
        place = (line.run_id, line.incarnation, line.path)
        if line.what == "begin":
            begun[place].append(line)
        elif line.what == "effect":
            happened.add(place)
    for (run_id, incarnation), events in histories.items():
        done: dict[Place, RunEvent] = {}
        for event in events:
            entry = event.journal
            outcome = event.kind == "step_journaled" or (event.kind == "step_resolved" and event.reason == "did")
            if entry is None or not outcome or entry.state != "done" or entry.waits_for is not None or entry.updates:
                continue
            place = (run_id, incarnation, call_path(event.path or "", entry.name))
            if place in done:
                yield f"P34: {place} has two outcomes, at revisions {done[place].revision} and {event.revision}"
            done[place] = event
            if place not in happened:
                yield f"P34: {place} is in the journal, and never happened"
        for place, event in done.items():
            for line in begun[place]:
                if line.dispatch > (event.dispatch or 0):
                    yield f"P34: {place} was done in dispatch {event.dispatch}, and begun in {line.dispatch}"


def faults_of_late_entries(
    histories: Mapping[tuple[str, str], list[RunEvent]], answers: Sequence[tuple[Record, StepAnswer]]
) -> Iterator[str]:
    """What a worker did that was thought dead is in the history all the same, of steps that succeeded later (P34)."""
    ends: dict[Place, int] = {}
    for record, each in answers:
        it = each.identity
        taken = [event.dispatch for event in histories.get((it.run_id, it.incarnation), []) if _ended(event, it.path)]
        if isinstance(each, StepSucceeded) and it.dispatch in taken:
            ends[it.run_id, it.incarnation, it.path] = record.offset
    for record, each in answers:
        identity = each.identity
        read_before = record.offset < ends.get((identity.run_id, identity.incarnation, identity.path), 0)
        if not isinstance(each, StepJournaled) or each.entry.state != "done" or not read_before:
            continue
        events = histories.get((identity.run_id, identity.incarnation), [])
        mine = [event for event in events if event.path == identity.path]
        told = [event for event in mine if event.journal is not None and event.journal.position == each.entry.position]
        is_told = any(event.dispatch == identity.dispatch or event.journal == each.entry for event in told)
        has_succeeded = any(event.kind == "step_succeeded" and event.holder is not None for event in mine)
        if has_succeeded and not is_told and not any(event.kind in DROPS for event in mine):
            what = f"{identity.run_id} {identity.path}#{identity.dispatch}"
            yield f"P34: {each.holder} had {each.entry.name} of {what} done, and the history does not know"


def _ended(event: RunEvent, path: str) -> bool:
    return event.kind == "step_succeeded" and event.path == path
