"""The engines' changelog, followed with read_committed, and what a store on disk must be: a prefix of it."""

import time
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

from tests.ledger.verify import fold_changelog, rows_of

from logkeel.errors import StoreCorrupt
from logkeel.exactly_once.rows import MARKS_KEY, LocalMarks
from logkeel.kafka import KafkaLogClient
from logkeel.log import Record, TopicPartition
from logkeel.log.keyspace import LOCAL
from logkeel.records.topics import TopicNames
from logkeel.runs import RunProcessor
from logkeel.runs.core.state import RunState
from logkeel.tables import RocksStoreDirectory

MARKERS_S = 30.0
"""Longer than a transaction that nobody ends stays open (10 s) and the broker's scan for such (10 s)."""


class Changelog:
    """Every committed record of `run-state`, per partition, in log order."""

    def __init__(self, bootstrap: str, names: TopicNames, partitions: int) -> None:
        self._client = client = KafkaLogClient(bootstrap)
        self.table = RunProcessor(names, partitions=partitions).table
        self._places = [TopicPartition(names.run_state, partition) for partition in range(partitions)]
        self._admin = client.admin()
        self._reader = client.reader("read_committed")
        self._reader.assign(dict.fromkeys(self._places, 0))
        self._position = dict.fromkeys(self._places, 0)
        self._topic_id: str | None = None
        self.corrupt = 0
        """Stores that could not be read."""
        self.whole: set[int] = set()
        """Partitions of which some store, judged since this was cleared, was the whole table."""
        self._records: dict[int, list[Record]] = {partition: [] for partition in range(partitions)}

    def close(self) -> None:
        """Read no more. What was read stays."""
        self._reader.close()
        self._admin.close()

    @property
    def partitions(self) -> list[int]:
        """All of them."""
        return list(self._records)

    def catch_up(self, below: Mapping[int, int] | None = None) -> None:
        """Read what is committed by now, and up to where stores are (offset per partition), which may be further.

        A commit is acknowledged once its coordinator has it on record. Its markers, which let others read, follow: for
        long when a broker dies. A store that claims what never comes is judged by what there is after `MARKERS_S`.
        """
        self._read_to(self._admin.end_offsets(self._places, committed_only=True))
        wanted = {self._places[partition]: offset for partition, offset in (below or {}).items()}
        deadline_s = time.monotonic() + MARKERS_S
        while any(self._position[place] < offset for place, offset in wanted.items()):
            if time.monotonic() > deadline_s:
                return
            self._take()

    def _read_to(self, ends: Mapping[TopicPartition, int]) -> None:
        for _ in range(3_000):
            if all(self._position[place] >= ends[place] for place in self._places):
                return
            self._take()
        raise AssertionError(f"the changelog could not be read to {ends}")

    def _take(self) -> None:
        fetched = self._reader.fetch(20_000, 0.1)
        for record in fetched.records:
            self._records[record.partition].append(record)
        self._position.update(fetched.ends)

    def rows(self, partition: int, below: int | None = None) -> dict[bytes, bytes]:
        """The table that the records make, or those below an offset."""
        records = self._records[partition]
        rows = fold_changelog(record for record in records if below is None or record.offset < below)
        return {key: value for key, value in rows.items() if not key.startswith(LOCAL)}

    def start_over(self) -> None:
        """The topic was made again: forget what the former one said. Its stores are judged no more."""
        for place in self._places:
            self._position[place] = 0
            self._records[place.partition].clear()
        self._topic_id = None
        self._reader.close()
        self._reader = self._client.reader("read_committed")
        self._reader.assign(dict.fromkeys(self._places, 0))

    def judge_stores(self, directory: Path, *, may_be_corrupt: bool = False) -> tuple[int, list[str]]:
        """(stores, faults) of a dead process: each store is the fold of the changelog below its own mark.

        `may_be_corrupt`: somebody spoilt its files, and it may not have noticed yet.
        """
        stores, checked, found = RocksStoreDirectory(directory), 0, []
        read: dict[int, tuple[int, dict[bytes, bytes]]] = {}
        for partition in self._records:
            if not stores.exists(self.table, partition) or _never_written(directory / self.table / f"{partition:05d}"):
                continue
            try:
                marks, rows = self._read(stores, partition)
            except StoreCorrupt as error:
                self.corrupt += 1
                found += [] if may_be_corrupt else [f"{directory}: {error}"]
                continue
            if marks is not None and marks.topic_id != self.topic_id():
                continue  # left over from a changelog that was deleted: nobody uses it any more
            read[partition] = (0 if marks is None else marks.offset, rows)
        self.catch_up({partition: below for partition, (below, _) in read.items()})
        for partition, (below, rows) in read.items():
            checked += 1
            if rows != (wanted := self.rows(partition, below)):
                place = f"{directory}: partition {partition} is not the changelog below {below}"
                found.append(
                    f"{place} (read to {self._position[self._places[partition]]}): {_difference(rows, wanted)}"
                )
            if rows == self.rows(partition):
                self.whole.add(partition)
        return checked, found

    def _read(self, stores: RocksStoreDirectory, partition: int) -> tuple[LocalMarks | None, dict[bytes, bytes]]:
        store = stores.open(self.table, partition)
        try:
            row, rows = store.get(MARKS_KEY), rows_of(store)
        finally:
            store.close()
        return None if row is None else LocalMarks.decode(row), rows

    def topic_id(self) -> str:
        """Of the changelog as it is now."""
        if self._topic_id is None:
            topic = self._places[0].topic
            self._topic_id = self._admin.describe_topics([topic])[topic].topic_id
        return self._topic_id


def _difference(rows: Mapping[bytes, bytes], wanted: Mapping[bytes, bytes]) -> str:
    """How a store differs from its changelog, with the first keys of each kind."""
    kinds = {
        "only in the store": sorted(rows.keys() - wanted.keys()),
        "only in the changelog": sorted(wanted.keys() - rows.keys()),
        "with another value": sorted(key for key in rows.keys() & wanted.keys() if rows[key] != wanted[key]),
    }
    return "; ".join(f"{len(keys)} {kind}: {[key.hex() for key in keys[:3]]}" for kind, keys in kinds.items() if keys)


def _never_written(store: Path) -> bool:
    """Whether its process died while RocksDB was making it: nothing in it can be missed."""
    return not any(each.suffix in (".log", ".sst") for each in store.iterdir())


class FrozenRows:
    """The rows of all partitions, read only; keys of runs are unique among partitions."""

    def __init__(self, tables: Iterable[Mapping[bytes, bytes]]) -> None:
        self._table: dict[bytes, bytes] = {}
        for table in tables:
            self._table.update(table)
        self._keys = sorted(self._table)

    def get(self, key: bytes, below: bytes | None = None) -> bytes | None:
        """A row."""
        return self._table.get(key)

    def scan(self, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Rows in order."""
        for key in self._keys[bisect_left(self._keys, start) : bisect_left(self._keys, end)]:
            yield key, self._table[key]

    def begin(self, scope: bytes) -> NoReturn:
        """Refused."""
        raise TypeError(f"read only: {scope!r}")

    def put(self, key: bytes, value: bytes) -> NoReturn:
        """Refused."""
        raise TypeError(f"read only: {key!r}")

    def delete(self, key: bytes) -> NoReturn:
        """Refused."""
        raise TypeError(f"read only: {key!r}")


def values_of(state: RunState) -> tuple[Any, ...]:
    """Everything a run is, out of its rows."""
    maps = (
        state.steps,
        state.forks,
        state.fields,
        state.values,
        state.signals,
        state.milestones,
        state.waits,
        state.held,
    )
    return (state.info, state.head, *(dict(each) for each in maps))
