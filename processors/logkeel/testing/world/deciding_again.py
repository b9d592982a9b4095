"""Judges decisions: what engines have decided, whoever crashed, is what their code decides of it again. Pure.

So whatever led to an event stands in the history, and nothing of an engine's memory does.
"""

from collections.abc import Iterator, Mapping

from logkeel.records import RunEvent
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.redeciding_all import redecide_all

Run = tuple[str, str]
"""(run id, incarnation)"""


def faults_of_decisions(histories: Mapping[Run, list[RunEvent]], plans: Mapping[str, Plan]) -> Iterator[str]:
    """Histories without gaps, whose definitions are known, are decided alike."""
    whole = {
        run: (events, plans[events[0].definition_digest])
        for run, events in histories.items()
        if events[0].definition_digest in plans
        and [event.revision for event in events] == list(range(1, len(events) + 1))
    }
    for (run_id, incarnation), found in redecide_all(whole).items():
        if found.divergence is not None:
            where = f"{run_id}/{incarnation}: revision {found.divergence.revision}"
            yield f"{where} would be decided otherwise: {found.divergence.why}"
