"""The judge of journals: what was taken into one happened, and is not begun again by who has been told of it (P34)."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from tests.sim.outside import Line, call_path

from logkeel.log import Record
from logkeel.records import RunEvent, StepAnswer, StepJournaled

Place = tuple[str, str, str]

UNREAD_MS = 5_000
"""What came so shortly before a run or step had ended may have been read behind it."""

ENDS = ("run_completed", "step_succeeded", "step_failed", "step_revoked", "step_restarted", "block_timed_out")


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
    histories: Mapping[tuple[str, str], list[RunEvent]], answers: Iterable[tuple[Record, StepAnswer]]
) -> Iterator[str]:
    """What a worker did that was thought dead is in the history all the same, while the step goes on (P34)."""
    for record, each in answers:
        if not isinstance(each, StepJournaled) or each.entry.state != "done":
            continue
        identity, entry = each.identity, each.entry
        events = histories.get((identity.run_id, identity.incarnation), [])
        mine = [event for event in events if event.path in (identity.path, None)]
        told = [event for event in mine if event.journal is not None and event.journal.position == entry.position]
        is_told = any(event.dispatch == identity.dispatch or event.journal == entry for event in told)
        has_ended = any(event.kind in ENDS and event.at_ms <= record.timestamp_ms + UNREAD_MS for event in mine)
        if not is_told and not has_ended:
            what = f"{identity.run_id} {identity.path}#{identity.dispatch}"
            yield f"P34: {each.holder} had {entry.name} of {what} done, and the history does not know"
