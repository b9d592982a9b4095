"""Aborting what a dead slot left open (P18), so that its successor need not wait for the transaction to time out.

Reads the changelog's unstable tail uncommitted to learn who wrote it; fences only slots that are no longer members.
An orphan may have sent its offsets and nothing else yet: it shows in no log, but it is whoever wrote there last.
Fencing a living slot by mistake is safe: it loses its producers, resyncs and goes on.
"""

from collections.abc import Iterable, Mapping

from logkeel.exactly_once.changelog import slot_in
from logkeel.exactly_once.parts import Parts
from logkeel.exactly_once.producers import fence
from logkeel.exactly_once.settings import slot_of_instance, transactional_ids
from logkeel.log import Record, TopicPartition

_FETCH_S = 0.1
_LAST_OFFSETS = 200
"""Some of the newest rows of a changelog partition: all of its last owner, and the markers between them."""

_FETCHES_EMPTY = 20
"""A new reader connects first: it is given two seconds of silence, and any time while records come."""


def orphan_slots(tail: Iterable[Record], *, live: Iterable[int], own: int) -> tuple[int, ...]:
    """Slots that wrote unstable records and are neither members nor ourselves, ascending."""
    wrote = {slot for record in tail if (slot := slot_in(record)) is not None}
    return tuple(sorted(wrote - set(live) - {own}))


def break_orphans(parts: Parts, partitions: list[int]) -> tuple[int, ...]:
    """Fence the slots whose open transactions block these partitions. Raises `LogUnavailable`."""
    changelogs = parts.changelogs_of(partitions)
    stable = parts.admin.end_offsets(changelogs, committed_only=True)
    ends = parts.admin.end_offsets(changelogs, committed_only=False)
    unstable = {tp: (stable[tp], ends[tp]) for tp in changelogs if stable[tp] < ends[tp]}
    ranges = unstable or _newest(parts, ends)
    if not ranges:
        return ()
    settings = parts.settings
    members = parts.admin.group_members(settings.group_id)
    live = [slot for m in members if (slot := slot_of_instance(settings.application, m.instance_id)) is not None]
    slots = orphan_slots(_tail(parts, ranges), live=live, own=settings.slot)
    for slot in slots:
        for transactional_id in transactional_ids(settings.application, slot):
            fence(parts.client, transactional_id, timeout_s=settings.init_timeout_ms / 1000)
    return slots


def _newest(parts: Parts, ends: Mapping[TopicPartition, int]) -> dict[TopicPartition, tuple[int, int]]:
    """The last offsets of changelogs that have any."""
    starts = parts.admin.start_offsets(list(ends))
    begins = {tp: max(starts[tp], end - _LAST_OFFSETS) for tp, end in ends.items()}
    return {tp: (begins[tp], end) for tp, end in ends.items() if begins[tp] < end}


def _tail(parts: Parts, ranges: Mapping[TopicPartition, tuple[int, int]]) -> list[Record]:
    reader = parts.client.reader("read_uncommitted")
    records: list[Record] = []
    open_ends = {tp: end for tp, (_, end) in ranges.items()}
    try:
        reader.assign({tp: start for tp, (start, _) in ranges.items()})
        empty = 0
        while open_ends and empty < _FETCHES_EMPTY:
            fetched = reader.fetch(1000, _FETCH_S)
            empty = 0 if fetched.records else empty + 1
            records.extend(fetched.records)
            for tp, end in fetched.ends.items():
                if end >= open_ends.get(tp, end + 1):
                    del open_ends[tp]
    finally:
        reader.close()
    return records
