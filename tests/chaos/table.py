"""The engines' changelog, followed with read_committed, and what a store on disk must be: a prefix of it."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

from tests.ledger.verify import fold_changelog, rows_of

from logkeel.exactly_once.rows import MARKS_KEY, LocalMarks
from logkeel.kafka import KafkaLogClient
from logkeel.log import Record, TopicPartition
from logkeel.records.topics import TopicNames
from logkeel.runs import RunProcessor
from logkeel.runs.core.state import RunState
from logkeel.tables import RocksStoreDirectory


class Changelog:
    """Every committed record of `run-state`, per partition, in log order."""

    def __init__(self, bootstrap: str, names: TopicNames, partitions: int) -> None:
        client = KafkaLogClient(bootstrap)
        self.table = RunProcessor(names, partitions=partitions).table
        self._places = [TopicPartition(names.run_state, partition) for partition in range(partitions)]
        self._admin = client.admin()
        self._reader = client.reader("read_committed")
        self._reader.assign(dict.fromkeys(self._places, 0))
        self._position = dict.fromkeys(self._places, 0)
        self.whole: set[int] = set()
        """Partitions of which some store, judged since this was cleared, was the whole table."""
        self._records: dict[int, list[Record]] = {partition: [] for partition in range(partitions)}

    def catch_up(self) -> None:
        """Read what is committed by now."""
        ends = self._admin.end_offsets(self._places, committed_only=True)
        for _ in range(3_000):
            if all(self._position[place] >= ends[place] for place in self._places):
                return
            fetched = self._reader.fetch(20_000, 0.1)
            for record in fetched.records:
                self._records[record.partition].append(record)
            self._position.update(fetched.ends)
        raise AssertionError(f"the changelog could not be read to {ends}")

    def rows(self, partition: int, below: int | None = None) -> dict[bytes, bytes]:
        """The table that the records make, or those below an offset."""
        records = self._records[partition]
        return fold_changelog(record for record in records if below is None or record.offset < below)

    def judge_stores(self, directory: Path) -> tuple[int, list[str]]:
        """(stores, faults) of a dead process: each store is the fold of the changelog below its own mark."""
        self.catch_up()
        stores, checked, found = RocksStoreDirectory(directory), 0, []
        for partition in self._records:
            if not stores.exists(self.table, partition):
                continue
            store = stores.open(self.table, partition)
            try:
                row, rows = store.get(MARKS_KEY), rows_of(store)
            finally:
                store.close()
            below = 0 if row is None else LocalMarks.decode(row).offset
            checked += 1
            if rows != self.rows(partition, below):
                found.append(f"{directory}: partition {partition} is not the changelog below {below}")
            if rows == self.rows(partition):
                self.whole.add(partition)
        return checked, found


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
    maps = (state.steps, state.forks, state.fields, state.values, state.signals)
    return (state.info, state.head, *(dict(each) for each in maps))
