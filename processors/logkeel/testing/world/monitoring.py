"""Rules that are watched while a world runs, since others would cover for a breach of them at the end.

| rule | watched |
|---|---|
| P10 | a revoke in doubt: both transactional ids are initialised before committed offsets are read again |
| P11 | a member whose generation is over sends no second batch before the group called it |
| P12 | nobody commits while its inputs are assigned unequally |
| P13 | partitions are assigned in the order of slots |
| P14 | no partition becomes ready while its committed offset is unanswered |
| P22 | no worker commits past what is no command before its dead letter is on the log |
| P18 | no transaction of a process that is gone stays open while another engine could abort it |
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from logkeel.errors import DataError
from logkeel.exactly_once.dead_letters import Letter, letter_of
from logkeel.exactly_once.settings import slot_of_instance
from logkeel.log import Record, TopicPartition
from logkeel.records import StepCommand
from logkeel.simulation.groups import Member
from logkeel.testing.world.reading import read_as

if TYPE_CHECKING:
    from logkeel.testing.world.processes import EngineProcess
    from logkeel.testing.world.world import World

PINNED_MS = 40_000.0
"""Session time-out, the rebalance, a second attempt at both, and the wait for stable offsets; far below the
transaction time-out of a world."""


class EngineWatch:
    """What is remembered of one life of an engine."""

    def __init__(self, engine: "EngineProcess", monitor: "Monitor") -> None:
        self._engine = engine
        self._monitor = monitor
        self._is_stale = False
        self._doubt_at: int | None = None
        self._active_then: set[int] = set()
        self._in_doubt: set[int] | None = None
        self._must_initialise_from: int | None = None

    def transaction_failed(self, state: str) -> None:
        """The loop reported how its transaction ended."""
        if state == "fenced":
            if self._is_stale:
                self._blame("P11", "sent a second batch under a generation that was over")
            self._is_stale = True
        elif state == "in_doubt" and self._engine.client is not None:
            self._doubt_at = len(self._engine.client.initialised)
            self._active_then = set(self._engine.active_partitions())
            self._in_doubt = None

    def resync_started(self, partitions: Sequence[int]) -> None:
        """The first resync behind a doubt names the partitions concerned, beside those that did not run then."""
        if self._doubt_at is not None and self._in_doubt is None:
            self._in_doubt = self._active_then.intersection(partitions)

    def ready(self, partitions: Sequence[int]) -> None:
        """These partitions process from now on."""
        client = self._engine.client
        if client is None:
            return
        if any(place.partition in partitions for place in client.unanswered):
            self._blame("P14", f"made {list(partitions)} ready before their committed offsets were known")
        if self._in_doubt is not None:
            self._in_doubt.difference_update(partitions)
            if not self._in_doubt:
                self._doubt_at = self._in_doubt = None

    def regrouped(self, *, given_up: bool) -> None:
        """The group moved partitions."""
        self._is_stale = False
        if given_up and self._doubt_at is not None:
            self._must_initialise_from = self._doubt_at
            self._doubt_at = self._in_doubt = None

    def asks_committed(self) -> None:
        """Committed offsets are about to be read."""
        client, since = self._engine.client, self._must_initialise_from
        if client is None or since is None:
            return
        self._must_initialise_from = None
        if len(set(client.initialised[since:])) < 2:
            self._blame("P10", "read committed offsets after a revoke in doubt with a producer of before")

    def _blame(self, rule: str, what: str) -> None:
        self._monitor.blame(f"{rule}: {self._engine.name} {what}")


class Monitor:
    """Watches a whole world. `faults` are sentences."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.faults: list[str] = []
        self._inputs = (world.names.run_requests, world.names.step_results)
        self._blamed: set[str] = set()
        self._passed: dict[TopicPartition, int] = {}
        world.cluster.groups.group(world.names.engine_group).on_commit = self._on_commit
        world.cluster.groups.group(world.names.worker_group()).on_offsets = self._on_offsets

    def blame(self, fault: str) -> None:
        """Note a breach, once."""
        if fault not in self._blamed:
            self._blamed.add(fault)
            self.faults.append(fault)
            self._world.trace.note(self._world.elapsed_ms, "world", "BREACH", fault)

    def look(self) -> None:
        """Now and then, while nothing moves."""
        world = self._world
        now_ms = world.cluster.clock.now_ms()
        for transaction in world.cluster.transactions.open_transactions():
            if now_ms - transaction.started_ms > PINNED_MS and self._could_be_aborted(transaction.transactional_id):
                self.blame(f"P18: a transaction of {transaction.transactional_id} was left open")

    def _could_be_aborted(self, transactional_id: str) -> bool:
        """Whether its process is not at work, and another engine has been for long enough."""
        world = self._world
        at_work = {
            engine.slot
            for engine in world.engines
            if engine.is_alive
            and not engine.is_frozen
            and engine.client is not None
            and engine.client.cut_off_ms is None
            and world.elapsed_ms - max(engine.started_at_ms, engine.connected_at_ms) > PINNED_MS
        }
        owner = int(transactional_id.rsplit("-", 2)[-2])
        living = {engine.slot for engine in world.engines if engine.is_alive and not engine.is_frozen}
        return owner not in living and bool(at_work - {owner})

    def _on_offsets(self, offsets: Mapping[TopicPartition, tuple[int, str]]) -> None:
        """Workers commit."""
        archive = self._world.archive
        for place, (offset, _) in offsets.items():
            passed, self._passed[place] = self._passed.get(place, 0), offset
            for record in archive.between(place, passed, offset):
                if _is_command(record):
                    continue
                letters = [letter_of(each) for each in archive.of(TopicPartition(self._world.names.dead_letters, 0))]
                if not any(each is not None and _is_of(each, record) for each in letters):
                    name = f"{place.topic}-{place.partition}"
                    self.blame(f"P22: the workers are past {record.offset} of {name}, which is no command and not kept")

    def _on_commit(self, member: Member) -> None:
        numbers = [{place.partition for place in member.assignment if place.topic == topic} for topic in self._inputs]
        if member.instance_id is not None and numbers[0] != numbers[1]:
            self.blame(f"P12: {member.instance_id} commits although it owns {numbers} of its inputs")
        group = self._world.cluster.groups.group(self._world.names.engine_group)
        slots = [
            (slot, place.partition)
            for each in group.members.values()
            if (slot := slot_of_instance("world", each.instance_id)) is not None
            for place in each.assignment
            # Who hands its partitions over has some of an idle topic instead.
            if place.topic in self._inputs
        ]
        if not group.joining and [p for _, p in sorted(slots)] != sorted(p for _, p in slots):
            self.blame(f"P13: partitions are not assigned in the order of slots: {sorted(slots)}")


def _is_command(record: Record) -> bool:
    try:
        read_as(record.value or b"", StepCommand)
    except DataError:
        return False
    return True


def _is_of(letter: Letter, record: Record) -> bool:
    origin = (letter.topic, letter.origin_partition, letter.origin_offset)
    return origin == (record.topic, record.partition, record.offset)
