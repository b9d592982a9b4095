"""Records between runs and limits (P29, decision 0030): asked at the limit's home, answered at the run's. Pure."""

from logkeel.log import OutputRecord
from logkeel.log.partitioner import partition_for
from logkeel.records import AcquireLimit, ErrorInfo, LimitAnswered, ReleaseLimit
from logkeel.records.topics import TopicNames
from logkeel.runs.core.actions import AcquireSlot, ReleaseSlot
from logkeel.runs.core.limit_line import Asker, AskerName
from logkeel.runs.core.state import RunInfo
from logkeel.runs.rows.limit_rows import LimitName
from logkeel.wire import encode


def home_of(limit: LimitName, partitions: int) -> int:
    """The partition that a limit is on."""
    return partition_for(limit.pack(), partitions)


def acquire_output(
    action: AcquireSlot, info: RunInfo, names: TopicNames, *, partition: int, partitions: int
) -> OutputRecord:
    """The question of a run whose home is `partition`."""
    use = action.use
    message = AcquireLimit(
        kind=use.kind,
        name=use.name,
        key=use.key,
        limit=use.limit,
        per_ms=use.per_ms,
        run_id=info.run_id,
        incarnation=info.incarnation,
        path=action.path,
        number=action.number,
        home_partition=partition,
    )
    return _to_limit(LimitName.of(message), encode(message), names, partitions)


def release_output(action: ReleaseSlot, info: RunInfo, names: TopicNames, *, partitions: int) -> OutputRecord:
    """The claim has ended."""
    use = action.use
    message = ReleaseLimit(
        kind=use.kind,
        name=use.name,
        key=use.key,
        run_id=info.run_id,
        incarnation=info.incarnation,
        path=action.path,
        number=action.number,
    )
    return _to_limit(LimitName.of(message), encode(message), names, partitions)


def give_back_output(answer: LimitAnswered, names: TopicNames, *, partitions: int) -> OutputRecord | None:
    """A slot that nobody waits for; None if there is none."""
    if answer.error is not None or answer.kind == "rate":
        return None
    message = ReleaseLimit(
        kind=answer.kind,
        name=answer.name,
        key=answer.key,
        run_id=answer.run_id,
        incarnation=answer.incarnation,
        path=answer.path,
        number=answer.number,
    )
    return _to_limit(LimitName.of(message), encode(message), names, partitions)


def answer_output(limit: LimitName, name: AskerName, asker: Asker, names: TopicNames) -> OutputRecord:
    """The slot is this claim's."""
    message = LimitAnswered(
        run_id=name.run_id,
        incarnation=name.incarnation,
        path=name.path,
        number=asker.number,
        kind=limit.kind,
        name=limit.name,
        key=limit.key,
    )
    return _to_run(message, asker.home_partition, names)


def refused_output(asked: AcquireLimit, error: ErrorInfo, names: TopicNames) -> OutputRecord:
    """The claim is never granted."""
    message = LimitAnswered(
        run_id=asked.run_id,
        incarnation=asked.incarnation,
        path=asked.path,
        number=asked.number,
        kind=asked.kind,
        name=asked.name,
        key=asked.key,
        error=error,
    )
    return _to_run(message, asked.home_partition, names)


def _to_limit(limit: LimitName, value: bytes, names: TopicNames, partitions: int) -> OutputRecord:
    return OutputRecord(names.run_requests, limit.pack(), value, home_of(limit, partitions))


def _to_run(message: LimitAnswered, partition: int, names: TopicNames) -> OutputRecord:
    return OutputRecord(names.step_results, message.run_id.encode(), encode(message), partition)
