"""Periodic housekeeping of a partition, in bounded bites: expiry, deletion, and commands that wait too long.

The cursor over open runs is kept in memory only: after a resync the round begins anew, which costs time alone.
"""

from collections.abc import Iterator

from logkeel.exactly_once import Turn
from logkeel.runs.core.state import RunState
from logkeel.runs.processor.settings import RunSettings
from logkeel.runs.processor.timer_ids import SWEEP
from logkeel.runs.rows.conversation_rows import Conversations
from logkeel.runs.rows.ledger import Ledger
from logkeel.runs.rows.run_rows import load_head, load_run


class Sweeper:
    """Sweeps partitions; each has a round of its own."""

    def __init__(self, settings: RunSettings) -> None:
        self._settings = settings
        self._cursors: dict[int, str] = {}

    def schedule(self, turn: Turn, *, soon: bool = False) -> None:
        """Wake up for the next bite."""
        delay_ms = self._settings.sweep_again_ms if soon else self._settings.sweep_every_ms
        turn.set_wakeup(turn.now_ms + delay_ms, SWEEP)

    def expire(self, turn: Turn) -> bool:
        """Delete what is due; whether more is left."""
        ledger, limit = Ledger(turn), self._settings.sweep_rows
        deleted = ledger.forget_seen(turn.now_ms, limit)
        deleted = max(deleted, ledger.delete_due_runs(turn.now_ms, limit, lambda run_id: _is_over(run_id, turn)))
        deleted = max(deleted, Conversations(turn).delete_due(turn.now_ms, limit))
        return deleted >= limit

    def aged_steps(self, turn: Turn) -> Iterator[tuple[RunState, str, bool]]:
        """Steps of the next open runs whose command waits since `redispatch_after_ms`; whether the log forgot it."""
        after = self._cursors.get(turn.partition, "")
        runs = Ledger(turn).open_runs(after, self._settings.sweep_rows)
        self._cursors[turn.partition] = runs[-1] if len(runs) == self._settings.sweep_rows else ""
        before_ms = turn.now_ms - self._settings.redispatch_after_ms
        for run_id in runs:
            state = load_run(turn, run_id)
            if state is None or state.info.started_at_ms > before_ms:
                continue
            for path, step in list(state.steps.items()):
                if step.phase == "dispatched" and step.dispatched_ms <= before_ms:
                    yield state, path, turn.now_ms - step.dispatched_ms >= self._settings.forgotten_after_ms


def _is_over(run_id: str, turn: Turn) -> bool:
    head = load_head(turn, run_id)
    return head is None or head.status != "running"
