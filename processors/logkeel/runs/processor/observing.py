"""What an outsider may watch of the runs of an engine, and the survey that tells it what stands open.

Observers never influence a run and must not raise. What they hear is part of a turn, hence of a transaction that may
yet be aborted: what it comes to is known when the loop says that the batch was committed (`logkeel.exactly_once`).
"""

from collections.abc import Sequence
from typing import Protocol

from logkeel.exactly_once import Turn
from logkeel.records import RunEvent
from logkeel.runs.core.state import RunState
from logkeel.runs.processor.timer_ids import SURVEY
from logkeel.runs.rows.ledger import Ledger
from logkeel.runs.rows.run_rows import load_run

BITE_RUNS = 200
"""Open runs that one turn of a survey looks at: some 10 ms, between which the partition goes on."""


class RunObserver(Protocol):
    """Callbacks on the loop's thread; they must be short."""

    def decided(self, partition: int, state: RunState, events: Sequence[RunEvent]) -> None:
        """These events were recorded; `state` is that behind them, to be read within this call only."""
        ...

    def opened(self, partition: int) -> None:
        """The partition begins to run here; what stands open in it is told by `stands`, in bites."""
        ...

    def stands(self, partition: int, state: RunState) -> None:
        """A run that has not ended, as it is now; what `decided` told of it before is in it."""
        ...


class Survey:
    """Goes once through the open runs of each partition that comes to this engine. The cursors are in memory only."""

    def __init__(self, observer: RunObserver | None) -> None:
        self._observer = observer
        self._cursors: dict[int, str] = {}

    def begin(self, turn: Turn) -> None:
        """The partition is ready."""
        if self._observer is not None:
            self._observer.opened(turn.partition)
            self._cursors[turn.partition] = ""
            turn.set_wakeup(turn.now_ms, SURVEY)

    def go_on(self, turn: Turn) -> None:
        """Look at the next open runs."""
        if self._observer is None:
            return
        runs = Ledger(turn).open_runs(self._cursors.get(turn.partition, ""), BITE_RUNS)
        for run_id in runs:
            state = load_run(turn, run_id)
            if state is not None:
                self._observer.stands(turn.partition, state)
        if len(runs) == BITE_RUNS:
            self._cursors[turn.partition] = runs[-1]
            turn.set_wakeup(turn.now_ms, SURVEY)
