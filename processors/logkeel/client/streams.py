"""What runs emit, read from `run-streams`: from the start or behind a place, one run at a time. Not thread-safe."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from logkeel.errors import InvalidInput, LogkeelError
from logkeel.log import LogClient, TopicPartition, described
from logkeel.log.partitioner import partition_for
from logkeel.payloads import PLAIN, PayloadChain
from logkeel.records import StepEmitted
from logkeel.records.topics import TopicNames
from logkeel.wire import decode_as

BATCH = 1_000
FETCH_S = 0.1

LAST_WORDS_S = 0.25
"""The last values of a run are sent right before its end, and beside it: so long after it they are waited for."""


@dataclass(frozen=True, slots=True)
class Emitted:
    """A value that a step has emitted. `place`: give it as `after=` to read on behind it.

    `dispatch` numbers the executions of a step: a value of an older one than the newest seen at the same `path` belongs
    to an attempt that was superseded, and what it said may be said again. `sequence` counts from 0 in each execution;
    `dropped` values are missing right before this one.
    """

    place: str
    run_id: str
    incarnation: str
    path: str
    step: str
    attempt: int
    dispatch: int
    sequence: int
    at_ms: int
    value: Any
    dropped: int = 0


class StreamReader:
    """Reads what one run emits. Close it."""

    def __init__(
        self,
        log_client: LogClient,
        names: TopicNames,
        run_id: str,
        *,
        after: str | None = None,
        payloads: PayloadChain = PLAIN,
    ) -> None:
        """Connects. Without `after` from what is kept of the run. Raises `InvalidInput`, `TopicMissing`,
        `LogUnavailable`.
        """
        self._key = run_id.encode()
        self._after = (-1, -1) if after is None else place_of(after)
        self._payloads = payloads
        self._admin = log_client.admin()
        partitions = described(self._admin, names.run_streams).partitions
        self._source = TopicPartition(names.run_streams, partition_for(self._key, partitions))
        # What is not kept any more is lost without harm.
        self._position = max(self._admin.start_offsets([self._source])[self._source], self._after[0])
        self._reader = log_client.reader("read_committed")
        self._reader.assign({self._source: self._position})

    def poll(self, timeout_s: float) -> list[Emitted]:
        """What has come, waiting up to `timeout_s` for something.

        Raises as `LogReader.fetch` and `PayloadChain.unwrap`.
        """
        fetched = self._reader.fetch(BATCH, timeout_s)
        found: list[Emitted] = []
        for record in fetched.records:
            self._position = record.offset + 1
            if record.key == self._key and record.value is not None:
                values = emitted_in(record.value, record.offset, self._payloads)
                found += [each for each in values if place_of(each.place) > self._after]
        for end in fetched.ends.values():
            self._position = max(end, self._position)
        return found

    def end(self) -> int:
        """The present end of what can be read: see `reached`."""
        return self._admin.end_offsets([self._source], committed_only=True)[self._source]

    def reached(self, end: int) -> bool:
        """Whether everything before `end` was read."""
        return self._position >= end

    def close(self) -> None:
        """Release the clients; idempotent."""
        self._reader.close()
        self._admin.close()


def emitted_in(data: bytes, offset: int, payloads: PayloadChain) -> Iterator[Emitted]:
    """The values in a record of `run-streams`. Raises as `PayloadChain.unwrap`."""
    try:
        emitted = decode_as(data, StepEmitted)
    except LogkeelError:
        return  # A record of another kind is not for this version.
    values = msgspec.json.decode(payloads.unwrap(emitted.values).data or b"[]")
    it = emitted.identity
    for index, (at_ms, value) in enumerate(zip(emitted.times_ms, values, strict=False)):
        yield Emitted(
            place=f"{offset}.{index}",
            run_id=it.run_id,
            incarnation=it.incarnation,
            path=it.path,
            step=it.step,
            attempt=it.attempt,
            dispatch=it.dispatch,
            sequence=emitted.sequence + index,
            at_ms=at_ms,
            value=value,
            dropped=emitted.dropped if index == 0 else 0,
        )


def until_ended(reader: StreamReader, ended: Callable[[], bool]) -> Iterator[list[Emitted]]:
    """What comes until the run has ended, in rounds of at most `FETCH_S`; a round may bring nothing."""
    while not ended():
        yield reader.poll(FETCH_S)
    until_s = time.monotonic() + LAST_WORDS_S
    while time.monotonic() < until_s:
        yield reader.poll(FETCH_S)
    end = reader.end()
    while not reader.reached(end):
        yield reader.poll(FETCH_S)


def place_of(text: str) -> tuple[int, int]:
    """Offset and index of a place. Raises `InvalidInput` for a text that is none."""
    offset, dot, index = text.partition(".")
    if not (dot and offset.isdecimal() and index.isdecimal()):
        raise InvalidInput(f"{text!r} is no place in a stream: give the `place` of a value that was read before")
    return int(offset), int(index)
