"""The judge of journals: what was taken into one happened, and is not begun again by who has been told of it (P34)."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from tests.sim.outside import Line, call_path

from logkeel.records import RunEvent

Place = tuple[str, str, str]


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
