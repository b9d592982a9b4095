"""What histories fold to, for comparing it with rows. A turn of a conversation begins where the former one ended.

Pure.
"""

from collections.abc import Iterator, Mapping

from logkeel.records import RunEvent
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.replay import replay
from logkeel.runs.core.state import RunState
from logkeel.runs.core.turns import is_kept

Run = tuple[str, str]
"""(run id, incarnation)"""


def folded(histories: Mapping[Run, list[RunEvent]], plans: Mapping[str, Plan]) -> Iterator[tuple[Run, RunState, bool]]:
    """Each run without gaps whose definition is known, and whether the kept fields of its conversation are still its

    own: whether it is the last turn.
    """
    found: dict[Run, RunState] = {}
    last: dict[tuple[str, str], Run] = {}
    # A later turn has more revisions before it: each turn has some.
    for run, events in sorted(histories.items(), key=lambda item: item[1][0].former_revisions or 0):
        first, plan = events[0], plans.get(events[0].definition_digest)
        if plan is None or [event.revision for event in events] != list(range(1, len(events) + 1)):
            continue
        talk = (first.workflow, first.conversation_id or "")
        is_turn = first.former_revisions is not None
        before = found.get(last[talk]) if is_turn and talk in last else None
        found[run] = replay(events, plan, before=before)
        if is_turn:
            last[talk] = run
    for run, state in found.items():
        yield run, state, not state.info.kept or run in last.values()


def values_of(state: RunState, *, kept: bool) -> tuple[object, ...]:
    """Everything a run is, for comparing; `kept`: with the fields of its conversation."""
    flow = (state.steps, state.forks, state.waits, state.eaches, state.items, state.milestones, state.signals)
    more = (state.held, state.journal, state.journal_waits, state.stale, state.claims, state.cut)
    closed = (state.failed_elements, state.again, state.ended_eaches)
    names = () if kept else state.info.kept
    fields = {key: each for key, each in state.fields.items() if not is_kept(names, *key)}
    rows = tuple(
        {key: each for key, each in rows.items() if key[0] not in names}
        for rows in (state.values, state.elements, state.positions)
    )
    return (state.info, state.head, *(dict(each.items()) for each in (*flow, *more, *closed)), fields, *rows)
