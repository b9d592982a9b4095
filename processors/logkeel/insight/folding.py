"""What one record changes: rows to write, in order. Pure.

The order matters. Rows of a record are written one after the other to one partition of one topic, and a crash leaves a
prefix of them; the record then comes again. Each row knows by itself what it has counted, but a run's row, which is
deleted at its end, is needed for the duration of the run: so it is deleted last. Windows that are over for long are
deleted, and would be begun anew by a record that comes again: so nothing older than the mark allows is counted.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from logkeel.insight import standing
from logkeel.insight.clusters import Cluster, cluster_of, refused, same_refusals
from logkeel.insight.clusters import joined as joined_failure
from logkeel.insight.rows import Mark, cluster_in, key_of, mark_in, packed, tally_in
from logkeel.insight.windows import Tally, counted, is_counted, window_start
from logkeel.records import RequestRejected, RunEvent

Row: TypeAlias = bytes | None
Rows: TypeAlias = Callable[[bytes], Row]
Change: TypeAlias = tuple[bytes, Row]
"""Key and value of a row; None deletes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """How long a window is, and for how long it is kept, by the time of events."""

    length_ms: int = 60_000
    kept_ms: int = 6 * 3_600_000

    def is_late(self, at_ms: int, mark: Mark) -> bool:
        """Whether the window of this time may have been deleted."""
        return window_start(at_ms, self.length_ms) + self.length_ms <= mark.newest_ms - self.kept_ms


def of_event(rows: Rows, event: RunEvent, partition: int, offset: int, windows: Windows) -> list[Change]:
    """What an event of a run changes."""
    changes, mark = _marked(rows, partition, event.at_ms, windows)
    run_key = key_of("run", partition, event.run_id)
    row = rows(run_key)
    view = None if row is None else standing.unpacked(row)
    if not windows.is_late(event.at_ms, mark):
        if is_counted(event):
            known = view is not None and view.incarnation == event.incarnation and view.complete
            started_ms = view.started_at_ms if known and view is not None else None
            changes += _tallied(rows, event, partition, offset, windows, started_ms)
        cluster = cluster_of(event)
        if cluster is not None:
            key = key_of("cluster", partition, cluster.workflow, cluster.step, cluster.code, cluster.shape)
            found = _kept(rows(key), mark, windows)
            changes += _if_new(key, found, joined_failure(found or cluster, event, offset))
    after = standing.advanced(view, event)
    if after is not None:
        changes.append((run_key, standing.packed(after)))
    elif row is not None:
        changes.append((run_key, None))
    return [(key, value) for key, value in changes if rows(key) != value]


def of_refusal(rows: Rows, record: RequestRejected, partition: int, offset: int, windows: Windows) -> list[Change]:
    """What the refusal of a request changes."""
    changes, mark = _marked(rows, partition, record.rejected_at_ms, windows)
    if windows.is_late(record.rejected_at_ms, mark):
        return changes
    key = key_of("refusals", partition, record.request_type, record.code)
    found = _kept(rows(key), mark, windows)
    return changes + _if_new(key, found, refused(found or same_refusals(record), record, offset))


def expired(key: bytes, value: bytes, mark: Mark, windows: Windows) -> bool:
    """Whether the row of a tally or cluster is so old that nothing counts into it any more."""
    kind = key[2:5]
    if kind == b"tal":
        return windows.is_late(tally_in(value).start_ms, mark)
    return kind in (b"clu", b"ref") and windows.is_late(cluster_in(value).last_ms, mark)


def _marked(rows: Rows, partition: int, at_ms: int, windows: Windows) -> tuple[list[Change], Mark]:
    key = key_of("mark", partition)
    mark = mark_in(rows(key))
    start_ms = window_start(at_ms, windows.length_ms)
    if start_ms <= mark.newest_ms:
        return [], mark
    mark = Mark(start_ms)
    return [(key, packed(mark))], mark


def _tallied(
    rows: Rows, event: RunEvent, partition: int, offset: int, windows: Windows, run_started_ms: int | None
) -> list[Change]:
    step, start_ms = event.step or "", window_start(event.at_ms, windows.length_ms)
    key = key_of("tally", partition, event.workflow, step, start_ms)
    row = rows(key)
    tally = Tally(workflow=event.workflow, step=step, start_ms=start_ms) if row is None else tally_in(row)
    after = counted(tally, event, offset, run_started_ms=run_started_ms)
    return [] if after is tally else [(key, packed(after))]


def _kept(row: Row, mark: Mark, windows: Windows) -> Cluster | None:
    """The cluster in a row, unless a sweep might have deleted it: then it begins anew, whether one did or not."""
    cluster = None if row is None else cluster_in(row)
    return None if cluster is None or windows.is_late(cluster.last_ms, mark) else cluster


def _if_new(key: bytes, before: Cluster | None, after: Cluster) -> list[Change]:
    return [] if after is before else [(key, packed(after))]
