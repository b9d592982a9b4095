"""Judges of any world: what must hold whatever the workflows are. They read logs and disks, never a process's memory.

A judge returns sentences; an empty list is a good world. Judges of effects belong to whoever knows the outside.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

from logkeel.definitions import decode_document
from logkeel.errors import DataError
from logkeel.exactly_once.rows import MARKS_KEY, TIMERS_END, TIMERS_START, LocalMarks, position_key, timer_id_of
from logkeel.exactly_once.rows import decode_position as position_of
from logkeel.log import TopicPartition
from logkeel.log.keyspace import LOCAL
from logkeel.log.partitioner import partition_for
from logkeel.records import RequestRejected, RunCompleted, RunEvent, ScheduleEvent, StepCommand
from logkeel.runs.core.plan import Plan
from logkeel.runs.processor.run_processor import TABLE
from logkeel.runs.processor.timer_ids import LIMIT
from logkeel.runs.rows import keys
from logkeel.runs.rows.run_rows import load_run
from logkeel.testing.world.deciding_again import faults_of_decisions
from logkeel.testing.world.folding import folded, values_of
from logkeel.testing.world.reading import read, read_as

if TYPE_CHECKING:
    from logkeel.testing.world.processes import EngineProcess
    from logkeel.testing.world.world import World

Rows = Mapping[bytes, bytes]
_Event = RunEvent | ScheduleEvent
_EVENTS = _Event.__args__


def general_faults(world: "World") -> list[str]:
    """Everything that is wrong at the end, when all runs have ended and nothing is under way."""
    tables = {number: changelog_rows(world, number) for number in range(world.settings.partitions)}
    histories = histories_of(world)
    return [
        *world.disk_faults,
        *world.monitor.faults,
        *_faults_of_histories(world, histories),
        *_faults_of_completions(world, histories),
        *_faults_of_states(world, histories, tables),
        *_faults_of_tables(world, tables),
        *_faults_of_positions(world, tables),
        *_faults_of_logs(world),
        *_faults_of_commands(world, histories),
        *faults_of_decisions(histories, _plans(world)),
    ]


def changelog_rows(world: "World", partition: int, *, below: int | None = None) -> dict[bytes, bytes]:
    """The table that the changelog makes, or its records below an offset."""
    rows: dict[bytes, bytes] = {}
    for record in world.archive.of(TopicPartition(world.names.run_state, partition)):
        if below is not None and record.offset >= below:
            break
        if record.value is None:
            rows.pop(record.key or b"", None)
        else:
            rows[record.key or b""] = record.value
    return rows


def _is_prefix(world: "World", partition: int, rows: dict[bytes, bytes], *, below: int) -> bool:
    """Whether rows are those of the changelog below an offset.

    Who restores reads what compaction has left: of a key whose records below are all gone it learns behind that offset.
    """
    wanted = changelog_rows(world, partition, below=below)
    lacking = wanted.keys() - rows.keys()
    if not lacking:
        return rows == wanted
    log = world.cluster.log(TopicPartition(world.names.run_state, partition))
    left = {entry.record.key for entry in log.entries_between(0, below) if entry.record is not None}
    return rows.items() <= wanted.items() and lacking.isdisjoint(left)


def histories_of(world: "World") -> dict[tuple[str, str], list[RunEvent]]:
    """Events by (run id, incarnation), in log order."""
    found: dict[tuple[str, str], list[RunEvent]] = {}
    for record in world.records(world.names.run_events):
        event = read(record.value or b"")
        if isinstance(event, RunEvent):
            found.setdefault((event.run_id, event.incarnation), []).append(event)
    return found


def own_events(events: list[RunEvent]) -> list[RunEvent]:
    """What a run has done itself: of a fork, what is behind the history that it begins with."""
    forked_at = max((event.revision for event in events if event.kind == "run_forked"), default=0)
    return [event for event in events if event.revision >= forked_at]


def completions_of(world: "World") -> tuple[list[RunCompleted], list[RequestRejected]]:
    """Completions and rejections, in log order."""
    messages = [read(record.value or b"") for record in world.records(world.names.run_completions)]
    return (
        [message for message in messages if isinstance(message, RunCompleted)],
        [message for message in messages if isinstance(message, RequestRejected)],
    )


def faults_of_store(world: "World", engine: "EngineProcess", *, whole: Iterable[int] = ()) -> list[str]:
    """A disk is the fold of the changelog below its own mark (P20); for partitions in `whole`, of all of it."""
    found = []
    for partition in range(world.settings.partitions):
        rows = engine.stores.rows(TABLE, partition)
        if rows is None or engine.stores.is_damaged(TABLE, partition) or MARKS_KEY not in rows:
            continue
        marks = LocalMarks.decode(rows[MARKS_KEY])
        description = world.cluster.description(world.names.run_state)
        if description is None or description.topic_id != marks.topic_id:
            continue
        own = {key: value for key, value in rows.items() if not key.startswith(LOCAL)}
        if not _is_prefix(world, partition, own, below=marks.offset):
            found.append(f"P20: partition {partition} of {engine.name} is not the changelog below {marks.offset}")
        elif partition in whole and own != changelog_rows(world, partition):
            found.append(f"P20: partition {partition} of {engine.name} lacks what is behind {marks.offset}")
    return found


def _faults_of_histories(world: "World", histories: Mapping[tuple[str, str], list[RunEvent]]) -> Iterator[str]:
    """Numbered 1, 2, 3 …, on the home partition, time never going back, nothing dispatched that was done."""
    for (run_id, incarnation), events in histories.items():
        name = f"history of {run_id}/{incarnation}"
        if not _is_gap_free(events):
            yield f"{name} has gaps or doubles: {[event.revision for event in events]}"
        if any(later.at_ms < earlier.at_ms for earlier, later in pairwise(events)):
            yield f"P24: the time of {name} goes back"
        done: set[str | None] = set()
        for event in events:
            if event.kind == "step_dispatched" and event.path in done:
                yield f"{name}: {event.path} was sent again after it was done"
            if event.kind == "step_succeeded":
                done.add(event.path)
    for record in world.records(world.names.run_events):
        said: _Event = read_as(record.value or b"", *_EVENTS)
        name = said.name if isinstance(said, ScheduleEvent) else said.run_id
        routing_key = name if isinstance(said, ScheduleEvent) else said.routing_key or name
        home = partition_for(routing_key.encode(), world.settings.partitions)
        if record.partition != home:
            yield f"P27: an event of {name} is on partition {record.partition}, not {home}"


def _faults_of_completions(world: "World", histories: Mapping[tuple[str, str], list[RunEvent]]) -> Iterator[str]:
    """Every accepted run ends once, and once more behind each retry, in its history and on the completions topic alike;

    a run id is accepted once.
    """
    completions, _ = completions_of(world)
    first: dict[tuple[str, str], list[int]] = {}
    for each in completions:
        if not each.reannounced:
            first.setdefault((each.run_id, each.incarnation), []).append(each.retries)
    for run, events in histories.items():
        ends = [event.kind for event in events if event.kind in ("run_completed", "run_retried")]
        count = ends.count("run_completed")
        if ends != (["run_completed", "run_retried"] * count)[:-1] or first.get(run) != list(range(count)):
            yield f"{run[0]}/{run[1]}: {ends or 'never ended'}, was announced as retried {first.get(run, [])} times"
    for run in set(first) - set(histories):
        yield f"{run[0]}/{run[1]}: was announced, and has no history"
    accepted = [run_id for run_id, _ in histories]
    for run_id in sorted({run_id for run_id in accepted if accepted.count(run_id) > 1}):
        yield f"{run_id}: was accepted {accepted.count(run_id)} times"


def _faults_of_states(
    world: "World", histories: Mapping[tuple[str, str], list[RunEvent]], tables: Mapping[int, Rows]
) -> Iterator[str]:
    """fold(history) == rows. Runs whose rows have expired are left out."""
    plans = _plans(world)
    for (run_id, _), events in histories.items():
        if events[0].definition_digest not in plans:
            yield f"P38: {run_id} runs by a definition that was not published first"
    for (run_id, incarnation), state, is_last in folded(histories, plans):
        home = partition_for((state.info.routing_key or run_id).encode(), world.settings.partitions)
        rows = load_run(_Frozen(tables[home]), run_id)
        if rows is None:
            if not world.weeks:
                yield f"{run_id}: has a history and no rows"
        elif values_of(rows, kept=is_last) != values_of(state, kept=is_last):
            yield f"{run_id}/{incarnation}: the state is not the fold of its history"


def _plans(world: "World") -> dict[str, Plan]:
    definitions = [each.definition() for each in world.workflows]
    return {each.digest: _plan(each.document, each.digest) for each in definitions}


@lru_cache(maxsize=256)
def _plan(document: bytes, digest: str) -> Plan:
    """The judges' own: equal bytes give the same plan, which is immutable."""
    return Plan(decode_document(document), digest)


def _faults_of_tables(world: "World", tables: Mapping[int, Rows]) -> Iterator[str]:
    """No run has ended and left something behind; each partition is whole on the disk of the engine that has it."""
    for number, rows in tables.items():
        for prefix, what in (
            (keys.LEASE, "a lease"),
            (keys.OPEN_RUN, "an open run"),
            (keys.PARKED, "a parked request"),
            (keys.CONVERSATION_NEXT, "a turn to be started"),
            (keys.LIMIT_ASKER, "a claim to a limit"),
        ):
            if any(key.startswith(prefix) for key in rows):
                yield f"partition {number} still holds {what}"
        # Of a rate, the last start is remembered for a whole window.
        if any(TIMERS_START <= key < TIMERS_END and timer_id_of(key)[:1] != LIMIT for key in rows):
            yield f"partition {number} still holds a timer"
    owners: dict[int, list[EngineProcess]] = {}
    for engine in world.engines:
        for partition in engine.active_partitions():
            owners.setdefault(partition, []).append(engine)
    for number in tables:
        if len(owners.get(number, ())) != 1:
            yield f"partition {number} is processed by {[engine.name for engine in owners.get(number, ())]}"
    for number, engines in owners.items():
        for engine in engines:
            yield from faults_of_store(world, engine, whole=(number,))


def _faults_of_positions(world: "World", tables: Mapping[int, Rows]) -> Iterator[str]:
    """Rows, group offsets and ends of the inputs agree: nothing unread, nothing ahead, no lag (P2, P15)."""
    names = world.names
    engines = world.cluster.groups.group(names.engine_group)
    workers = world.cluster.groups.group(names.worker_group())
    for number, rows in tables.items():
        for topic in (names.run_requests, names.step_results):
            place = TopicPartition(topic, number)
            end, row = world.cluster.log(place).end, rows.get(position_key(topic))
            position = None if row is None else position_of(row)
            committed = engines.offsets.get(place, (None, ""))[0]
            if end and position != end:
                yield f"the position of {topic}-{number} is {position}, its end {end}"
            if end and committed != end:
                yield f"P15: the group is at {committed} of {topic}-{number}, its end is {end}"
        place = TopicPartition(names.step_commands(), number)
        end, committed = world.cluster.log(place).end, workers.offsets.get(place, (None, ""))[0]
        if end and committed != end:
            yield f"P15: the workers are at {committed} of {place.topic}-{number}, its end is {end}"


def _faults_of_logs(world: "World") -> Iterator[str]:
    """No partition is pinned, no offset pending, no transaction open (P18); no commit went unchecked (P4)."""
    for log in world.cluster.logs():
        if log.last_stable != log.end:
            yield f"P18: {log.place.topic}-{log.place.partition} is pinned at {log.last_stable} of {log.end}"
    for transaction in world.cluster.transactions.open_transactions():
        yield f"P18: a transaction of {transaction.transactional_id} is open"
    for group in world.cluster.groups.groups.values():
        if group.pending:
            yield f"offsets of {group.group_id} are pending"
        if group.unfenced:
            yield f"P4: {group.unfenced} commits of {group.group_id} named no member"


def _faults_of_commands(world: "World", histories: Mapping[tuple[str, str], list[RunEvent]]) -> Iterator[str]:
    """Commands and dispatches in the histories are the same, each once."""
    sent: dict[tuple[str, str, str, int], int] = {}
    for record in world.records(world.names.step_commands()):
        try:
            identity = read_as(record.value or b"", StepCommand).identity
        except DataError:
            # Planted; the workers set it aside.
            continue
        name = (identity.run_id, identity.incarnation, identity.path, identity.dispatch)
        sent[name] = sent.get(name, 0) + 1
    said = {
        (run_id, incarnation, event.path or "", event.dispatch or 0)
        for (run_id, incarnation), events in histories.items()
        for event in own_events(events)
        if event.kind == "step_dispatched"
    }
    yield from (f"command {name} was sent {count} times" for name, count in sent.items() if count > 1)
    yield from (f"command {name} is not in the history" for name in sorted(set(sent) - said))
    yield from (f"command {name} was never sent" for name in sorted(said - set(sent)))


def _is_gap_free(events: list[RunEvent]) -> bool:
    return [event.revision for event in events] == list(range(1, len(events) + 1))


class _Frozen:
    """Rows to read; keys in order."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._keys = sorted(rows)

    def get(self, key: bytes, below: bytes | None = None) -> bytes | None:
        return self._rows.get(key)

    def begin(self, scope: bytes) -> None:
        raise TypeError("read only")

    def scan(self, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        keys = self._keys[bisect_left(self._keys, start) : bisect_left(self._keys, end)]
        return iter([(key, self._rows[key]) for key in keys])

    def put(self, key: bytes, value: bytes) -> None:
        raise TypeError("read only")

    def delete(self, key: bytes) -> None:
        raise TypeError("read only")
