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
        amount=use.amount,
        or_fail=use.or_fail,
    )
    return _to_limit(LimitName.of(message), encode(message), names, partitions)


def release_output(action: ReleaseSlot, info: RunInfo, names: TopicNames, *, partitions: int) -> OutputRecord:
    """The claim has ended."""
    use, claim = action.use, AskerName(info.run_id, info.incarnation, action.path)
    limit = LimitName(use.kind, use.name, use.key)
    return _release(limit, claim, action.number, action.used, names=names, partitions=partitions)


def give_back_output(answer: LimitAnswered, names: TopicNames, *, partitions: int) -> OutputRecord | None:
    """A slot that nobody waits for; None if there is none. Of a budget nobody says what was used: it counts in full."""
    if answer.error is not None or answer.kind == "rate":
        return None
    claim = AskerName.of(answer)
    return _release(LimitName.of(answer), claim, answer.number, None, names=names, partitions=partitions)


def answer_output(
    limit: LimitName, name: AskerName, asker: Asker, names: TopicNames, *, error: ErrorInfo | None = None
) -> OutputRecord:
    """The slot is this claim's; with `error`: it never will be."""
    return _answer(limit, name, asker.number, error, names, asker.home_partition)


def refused_output(asked: AcquireLimit, error: ErrorInfo, names: TopicNames) -> OutputRecord:
    """The claim is never granted."""
    return _answer(LimitName.of(asked), AskerName.of(asked), asked.number, error, names, asked.home_partition)


def _to_limit(limit: LimitName, value: bytes, names: TopicNames, partitions: int) -> OutputRecord:
    return OutputRecord(names.run_requests, limit.pack(), value, home_of(limit, partitions))


def _release(
    limit: LimitName, claim: AskerName, number: int, used: int | None, *, names: TopicNames, partitions: int
) -> OutputRecord:
    message = ReleaseLimit(
        kind=limit.kind,
        name=limit.name,
        key=limit.key,
        run_id=claim.run_id,
        incarnation=claim.incarnation,
        path=claim.path,
        number=number,
        used=used,
    )
    return _to_limit(limit, encode(message), names, partitions)


def _answer(
    limit: LimitName, claim: AskerName, number: int, error: ErrorInfo | None, names: TopicNames, partition: int
) -> OutputRecord:
    message = LimitAnswered(
        kind=limit.kind,
        name=limit.name,
        key=limit.key,
        run_id=claim.run_id,
        incarnation=claim.incarnation,
        path=claim.path,
        number=number,
        error=error,
    )
    return OutputRecord(names.step_results, claim.run_id.encode(), encode(message), partition)
