"""Replays changelog partitions into their stores, read committed, in bounded bites (P16).

Between two bites the loop polls, serves the group and processes the partitions that run. Each bite writes rows together
with the offset behind them (P16b), so a store is a committed prefix of its changelog at any time and a replay that is
dropped, or killed, goes on where it was. Knows no producers, no positions and no ownership.
"""

from collections.abc import Mapping
from typing import NamedTuple

from logkeel.errors import InvariantViolation, TransactionHangs
from logkeel.exactly_once.orphans import break_orphans
from logkeel.exactly_once.partition import PartitionState
from logkeel.exactly_once.parts import Parts
from logkeel.exactly_once.rows import MARKS_KEY, VOUCH_KEY, Vouch
from logkeel.exactly_once.validation import ChangelogView
from logkeel.log import Changes, TopicPartition
from logkeel.log.keyspace import LOCAL

FETCH_ROWS = 5_000
WAIT_S = 0.02
BROKERS_SCAN_S = 20.0
"""Twice `transaction.abort.timed.out.transaction.cleanup.interval.ms`: how late a broker may end what timed out."""
_LOCAL = LOCAL[0]


class Patience:
    """Notices that partitions wait for stability for too long: fences dead slots (P18), then says what is wrong."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._waiting = False
        self._since_s = self._said_s = 0.0

    def begins(self) -> None:
        """A call begins that may wait: if it does, the time counts from here."""
        if not self._waiting:
            self._waiting = True
            self._since_s = self._said_s = self._parts.clock.monotonic_s()

    def moved(self) -> None:
        """Something came: the wait is over."""
        self._waiting = False

    def waits(self, partitions: list[int]) -> None:
        """Nothing came for these. Raises `LogUnavailable`."""
        self.begins()
        settings = self._parts.settings
        now_s = self._parts.clock.monotonic_s()
        if now_s - self._since_s >= settings.orphan_wait_ms / 1000:
            self._since_s = now_s
            break_orphans(self._parts, partitions)
        if now_s - self._said_s >= 2 * settings.transaction_timeout_ms / 1000 + BROKERS_SCAN_S:
            waited_s, self._said_s = now_s - self._said_s, now_s
            self._parts.observer.error("stability", _hanging(settings.group_id, partitions, waited_s))


def _hanging(group_id: str, partitions: list[int], waited_s: float) -> TransactionHangs:
    """Longer than any open transaction can take to be ended by its coordinator."""
    return TransactionHangs(
        f"{group_id} waits for its partitions {partitions}: for {waited_s:.0f} s their changelog or their committed "
        "offsets have been held back by a transaction, longer than one can stay open. Some Kafka brokers forget the "
        "markers of a transaction that ends while a partition has no leader (KAFKA-20734). Nothing is lost and the "
        "engine goes on waiting. See `kafka-transactions.sh find-hanging`, and docs/operate.md for what to do",
        partitions=partitions,
    )


class Target(NamedTuple):
    """A validated store, and what it is to be replayed up to."""

    state: PartitionState
    view: ChangelogView


class Replay:
    """One reader over several partitions. `targets` are stores that lack something below their target."""

    def __init__(self, parts: Parts, targets: Mapping[int, Target]) -> None:
        self._parts = parts
        self._missing = dict(targets)
        self._patience = Patience(parts)
        self._bite_s = parts.settings.restore_bite_ms / 1000
        self.replayed = 0
        self._reader = parts.client.reader("read_committed")
        topic = parts.processor.changelog
        self._reader.assign({TopicPartition(topic, p): target.state.replay_from for p, target in targets.items()})

    def bite(self) -> tuple[list[int], bool]:
        """Read and write for a while: (partitions that have reached their target, whether anything came).

        Raises `LogUnavailable`, `StoreUnavailable`, `StoreCorrupt`.
        """
        clock = self._parts.clock
        until_s = clock.monotonic_s() + self._bite_s
        done: list[int] = []
        came = False
        while self._missing:
            changes = self._reader.fetch_changes(FETCH_ROWS, 0.0 if came else WAIT_S)
            # What runs by now goes on writing its changelog, which says nothing of those that wait.
            wanted = any(tp.partition in self._missing for tp in changes.rows)
            for tp, rows in changes.rows.items():
                self._write(tp.partition, rows, changes.positions[tp])
            came = came or wanted
            done += self._reached(changes)
            if not wanted or clock.monotonic_s() >= until_s:
                break
        if came or done:
            self._patience.moved()
        elif self._missing:
            self._patience.waits(sorted(self._missing))
        return done, came

    def remaining(self) -> dict[int, int]:
        """Changelog offsets that are left, by partition that has not reached its target."""
        return {p: max(0, target.view.end - target.state.replay_from) for p, target in self._missing.items()}

    def close(self) -> None:
        """Release the reader; idempotent."""
        self._reader.close()

    def _write(self, partition: int, rows: dict[bytes, bytes | None], position: int) -> None:
        target = self._missing.get(partition)
        if target is None:
            return
        self.replayed += len(rows)
        for key in [key for key in rows if not key or key[0] == _LOCAL]:
            del rows[key]
        _mark(target.state, position, rows)

    def _reached(self, changes: Changes) -> list[int]:
        done = []
        for tp, end in changes.ends.items():
            target = self._missing.get(tp.partition)
            if target is not None and end >= target.view.end:
                del self._missing[tp.partition]
                _mark(target.state, end, {})
                done.append(tp.partition)
        return done


def _mark(state: PartitionState, offset: int, rows: dict[bytes, bytes | None]) -> None:
    """Write rows with the offset behind them, in one batch."""
    marks = state.marks
    if marks is None:
        raise InvariantViolation("replay into a store that was not validated", partition=state.partition)
    state.marks = marks._replace(offset=offset)
    rows[MARKS_KEY] = state.marks.encode()
    state.store.write(rows)


def vouch_in(rows: Mapping[bytes, bytes | None], found: Vouch | None) -> Vouch | None:
    """The youngest vouch: of these changelog rows, or the one that was found before."""
    row = rows.get(VOUCH_KEY)
    return found if row is None else Vouch.decode(row)
