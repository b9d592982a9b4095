"""The judge of a ledger: reads what is on the log, and says what is wrong with it.

Sees the log through its ports only, so that it judges the simulated and the real broker alike. `faults` is pure.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
from tests.ledger.ledger import ACCOUNT, APPLIED, LedgerTopics, Posting, Receipt, account_of

from logkeel.log import LogClient, Record, Store, TopicPartition
from logkeel.log.keyspace import END, LOCAL


@dataclass(frozen=True)
class Books:
    """Everything that a ledger left on the log, per partition."""

    postings: Mapping[int, Sequence[Posting]]
    receipts: Mapping[int, Sequence[Receipt]]
    tables: Mapping[int, Mapping[bytes, bytes]]
    poison: int = 0
    dead_letters: int = 0
    groups: dict[str, int] = field(default_factory=dict)


def read_partition(client: LogClient, tp: TopicPartition, *, until: int | None = None) -> list[Record]:
    """All committed records of one partition, or those below offset `until`."""
    admin = client.admin()
    start = admin.start_offsets([tp])[tp]
    end = admin.end_offsets([tp], committed_only=True)[tp]
    admin.close()
    records: list[Record] = []
    if start >= end:
        return records
    reader = client.reader("read_committed")
    try:
        reader.assign({tp: start})
        for _ in range(2000):
            fetched = reader.fetch(10_000, 0.1)
            records.extend(fetched.records)
            if fetched.ends.get(tp, -1) >= end:
                break
        else:
            raise AssertionError(f"{tp} could not be read to its end {end}")
    finally:
        reader.close()
    return records if until is None else [record for record in records if record.offset < until]


def fold_changelog(records: Iterable[Record]) -> dict[bytes, bytes]:
    """The table that these changelog records make."""
    table: dict[bytes, bytes] = {}
    for record in records:
        if record.key is None:
            raise AssertionError("a changelog record without key")
        if record.value is None:
            table.pop(record.key, None)
        else:
            table[record.key] = record.value
    return table


def rows_of(store: Store) -> dict[bytes, bytes]:
    """A store's rows, local ones aside."""
    return {key: value for key, value in store.scan(b"", END) if not key.startswith(LOCAL)}


def read_books(client: LogClient, topics: LedgerTopics, partitions: int) -> Books:
    """Read all topics of a ledger, read committed."""
    postings: dict[int, list[Posting]] = {}
    receipts: dict[int, list[Receipt]] = {}
    tables: dict[int, dict[bytes, bytes]] = {}
    poison = 0
    for partition in range(partitions):
        postings[partition] = []
        for topic in (topics.deposits, topics.transfers):
            for record in read_partition(client, TopicPartition(topic, partition)):
                try:
                    postings[partition].append(msgspec.json.decode(record.value or b"", type=Posting))
                except msgspec.DecodeError:
                    poison += 1
        receipts[partition] = [
            msgspec.json.decode(record.value or b"", type=Receipt)
            for record in read_partition(client, TopicPartition(topics.receipts, partition))
        ]
        tables[partition] = fold_changelog(read_partition(client, TopicPartition(topics.changelog, partition)))
    dead = len(read_partition(client, TopicPartition(topics.dead_letters, 0)))
    return Books(postings, receipts, tables, poison, dead)


def faults(books: Books) -> list[str]:
    """Everything that is wrong; empty if each posting was applied exactly once and no money moved otherwise."""
    found = []
    if books.poison != books.dead_letters:
        found.append(f"{books.poison} poison records, {books.dead_letters} dead letters")
    for partition, postings in books.postings.items():
        table = books.tables[partition]
        receipts = books.receipts[partition]
        found += [f"{partition}: {text}" for text in _counts(postings, receipts, table)]
        found += [f"{partition}: {text}" for text in _balances(postings, receipts, table)]
    return found


def _counts(postings: Sequence[Posting], receipts: Sequence[Receipt], table: Mapping[bytes, bytes]) -> list[str]:
    """Each posting has one receipt, one settlement if it asked for one, one applied row; and nothing else has any."""
    expected = Counter((posting.id, False) for posting in postings)
    expected.update((posting.id, True) for posting in postings if posting.settle_after_ms is not None)
    seen = Counter((receipt.id, receipt.settled) for receipt in receipts)
    found = [
        f"{key}: {seen[key]} receipts, not {expected[key]}" for key in expected | seen if seen[key] != expected[key]
    ]
    applied = {key.removeprefix(APPLIED).decode() for key in table if key.startswith(APPLIED)}
    if applied != {posting.id for posting in postings}:
        found.append(f"applied rows differ by {sorted(applied ^ {posting.id for posting in postings})[:5]}")
    numbers = [receipt.number for receipt in receipts]
    if numbers != list(range(1, len(numbers) + 1)):
        found.append("receipts are not numbered 1, 2, 3 ... in log order")
    return found


def _balances(postings: Sequence[Posting], receipts: Sequence[Receipt], table: Mapping[bytes, bytes]) -> list[str]:
    """Balances in receipts, table and a fold of the receipts agree, and money is conserved."""
    found = []
    balances: Counter[str] = Counter()
    for receipt in receipts:
        if receipt.settled:
            continue
        if receipt.source is not None:
            balances[receipt.source] -= receipt.amount
            if balances[receipt.source] != receipt.source_balance and receipt.source != receipt.target:
                found.append(f"{receipt.id}: source balance {receipt.source_balance}, not {balances[receipt.source]}")
        balances[receipt.target] += receipt.amount
        if balances[receipt.target] != receipt.target_balance:
            found.append(f"{receipt.id}: target balance {receipt.target_balance}, not {balances[receipt.target]}")
    stored = {account_of(key): int(value) for key, value in table.items() if key.startswith(ACCOUNT)}
    if stored != dict(balances):
        found.append("balances of the table are not the fold of the receipts")
    deposited = sum(posting.amount for posting in postings if posting.source is None)
    if sum(stored.values()) != deposited:
        found.append(f"money: {sum(stored.values())} held, {deposited} deposited")
    return found
