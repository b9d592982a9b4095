"""Back-pressure: a worker that holds enough lets the log wait, and reads on when half of it is done.

Decides over the tables of the owned partitions and marks those that are paused; holds nothing of its own.
"""

from collections.abc import Collection, Sequence

from logkeel.steps.machine.messages import Action, Pause, Resume
from logkeel.steps.machine.tables import PartitionTable


def pause_all(tables: Collection[PartitionTable]) -> Sequence[Action]:
    """Read no more, of none of them. Nothing to do for one that is paused."""
    running = [table for table in tables if not table.paused]
    for table in running:
        table.paused = True
    return (Pause(tuple(table.source for table in running)),) if running else ()


def balance(tables: Collection[PartitionTable], *, waiting: int, buffered: int) -> Sequence[Action]:
    """Pause all when `buffered` commands wait, resume those that are paused when half as many do."""
    if waiting >= buffered:
        return pause_all(tables)
    paused = [table for table in tables if table.paused]
    if not paused or waiting > buffered // 2:
        return ()
    for table in paused:
        table.paused = False
    return (Resume(tuple((table.source, table.position) for table in paused)),)
