"""What an application under fire left behind, judged when all is quiet: the faults of its runs, effects and state."""

from collections.abc import Sequence
from pathlib import Path

from tests.chaos import judge, outside
from tests.chaos.load import Load
from tests.chaos.processes import Victim
from tests.chaos.table import Changelog, FrozenRows, values_of
from tests.chaos.workflow import chaos

from logkeel.runs.core.plan import Plan
from logkeel.runs.core.replay import replay
from logkeel.runs.rows.run_rows import load_run


def faults_of_runs(load: Load) -> list[str]:
    """Of completions and rejections."""
    load.catch_up()
    rejected = [f"rejected: {rejection.reason}" for rejection in load.rejections]
    return judge.faults_of_completions(load.sent, load.completions) + rejected


def faults_of_effects(ledger: Path, victims: Sequence[Victim]) -> tuple[list[str], int]:
    """(faults, doubles in P39's window) of what happened outside."""
    stopped = [each for victim in victims for each in victim.stopped]
    return judge.faults_of_effects(outside.read(ledger), stopped)


def faults_of_states(load: Load, changelog: Changelog, partitions: int) -> tuple[list[str], int]:
    """(faults, events): histories without gaps, and each run's rows are the fold of its history."""
    changelog.catch_up()
    load.catch_up()
    rows = FrozenRows(changelog.rows(partition) for partition in range(partitions))
    plan = Plan(chaos.document(), chaos.definition(published_at_ms=0).digest)
    found, count = [], 0
    for run_id, events in load.histories():
        count += len(events)
        found += judge.faults_of_history(run_id, events)
        kept = load_run(rows, run_id)
        if kept is None or values_of(kept) != values_of(replay(events, plan)):
            found.append(f"{run_id}: the state is not the fold of its history")
    return found, count


def faults_of_stores(changelog: Changelog, folders: Sequence[Path], *, may_be_corrupt: bool = False) -> list[str]:
    """Every engine's stores; and each partition has one that is the whole table."""
    changelog.whole.clear()
    found = [fault for folder in folders for fault in changelog.judge_stores(folder, may_be_corrupt=may_be_corrupt)[1]]
    behind = sorted(set(changelog.partitions) - changelog.whole)
    return found + [f"no store of partition {partition} caught up with its changelog" for partition in behind]
