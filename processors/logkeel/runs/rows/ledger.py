"""Rows beside the runs: seen and parked requests, definitions in use, leases, open runs, expiry. Reads and writes rows.

Expiry rows are ordered by time, so that a sweep reads just what is due.
"""

from collections.abc import Callable, Iterator
from typing import Literal

import msgspec

from logkeel.log import Record
from logkeel.log import keys as order
from logkeel.log.keys import prefix_end
from logkeel.runs.rows import keys
from logkeel.runs.rows.row_map import Rows

RequestKind = Literal["start", "signal", "cancel", "resolve", "answer", "pause", "resume", "retry", "fork"]


class SeenRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A request that was decided (P26). `code` is set if it was rejected."""

    kind: RequestKind
    run_id: str
    expires_ms: int
    code: str | None = None
    reason: str | None = None


class ParkedRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A request that waits for a run or a definition to become known (P27, P38): the record as it came."""

    topic: str
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...]
    request_id: str
    expires_ms: int

    def record(self, partition: int) -> Record:
        """The record as it came."""
        return Record(self.topic, partition, self.offset, self.timestamp_ms, self.key, self.value, self.headers)


_ENCODER = msgspec.msgpack.Encoder()
_SEEN = msgspec.msgpack.Decoder(SeenRequest)
_PARKED = msgspec.msgpack.Decoder(ParkedRequest)


def awaited_run(run_id: str) -> str:
    """What a request parks under that waits for this run."""
    return f"run:{run_id}"


def awaited_workflow(name: str, version: str | None) -> str:
    """What a request parks under that waits for a definition of this workflow: any, or this version of it.

    Apart, so that who is offered what became known never waits again. No two pairs give the same.
    """
    return f"workflow:{name}" if version is None else f"version:{len(name)}:{name}@{version}"


class Ledger:
    """One turn's view of these rows."""

    __slots__ = ("_rows",)

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    # Seen requests

    def seen(self, request_id: str) -> SeenRequest | None:
        """What became of a request with this id."""
        row = self._rows.get(keys.SEEN + order.text(request_id))
        return None if row is None else _SEEN.decode(row)

    def see(self, request_id: str, seen: SeenRequest) -> None:
        """Remember it until it expires."""
        self._rows.put(keys.SEEN + order.text(request_id), _ENCODER.encode(seen))
        self._rows.put(keys.SEEN_EXPIRY + order.number(seen.expires_ms) + order.text(request_id), b"")

    def forget_seen(self, now_ms: int, limit: int) -> int:
        """Delete what is due, at most `limit`; returns how many."""
        due = self._due(keys.SEEN_EXPIRY, now_ms, limit)
        for key in due:
            self._rows.delete(keys.SEEN + key[9:])
            self._rows.delete(key)
        return len(due)

    # Parked requests

    def park(self, awaited: str, request: ParkedRequest, now_ms: int) -> None:
        """Keep it until `awaited` is known, or it expires."""
        tail = order.text(awaited) + order.number(now_ms) + order.text(request.request_id)
        if self._rows.get(keys.PARKED + tail) is None:
            self._count_parked(+1)
        self._rows.put(keys.PARKED + tail, _ENCODER.encode(request))
        self._rows.put(keys.PARKED_EXPIRY + order.number(request.expires_ms) + tail, b"")

    def unpark(self, awaited: str) -> list[ParkedRequest]:
        """Take what waits for it, in the order of parking."""
        if not self._parked():
            return []
        prefix = keys.PARKED + order.text(awaited)
        found = list(self._rows.scan(prefix, prefix_end(prefix)))
        return [self._taken(key, row) for key, row in found]

    def parked(self, awaited: str, limit: int, limit_bytes: int) -> tuple[list[bytes], bool]:
        """Tails of the keys of what waits for it, the first ones in the order of parking; whether there are more.

        At most `limit`, and no more once they have `limit_bytes` together.
        """
        if not self._parked():
            return [], False
        prefix, tails, size = keys.PARKED + order.text(awaited), list[bytes](), 0
        for key, row in self._rows.scan(prefix, prefix_end(prefix)):
            if len(tails) == limit or size >= limit_bytes:
                return tails, True
            tails.append(key[1:])
            size += len(row)
        return tails, False

    def take_parked(self, tail: bytes) -> ParkedRequest | None:
        """Take the request whose key ends so; None if somebody has."""
        row = self._rows.get(keys.PARKED + tail)
        return None if row is None else self._taken(keys.PARKED + tail, row)

    def overdue_parked(self, now_ms: int, limit: int) -> list[tuple[bytes, ParkedRequest]]:
        """What has waited too long, with the ends of its keys."""
        tails = [key[9:] for key in self._due(keys.PARKED_EXPIRY, now_ms, limit)]
        rows = [(tail, self._rows.get(keys.PARKED + tail)) for tail in tails]
        return [(tail, _PARKED.decode(row)) for tail, row in rows if row is not None]

    def next_parked_ms(self) -> int | None:
        """When the first parked request is overdue."""
        if not self._parked():
            return None
        for key, _ in self._rows.scan(keys.PARKED_EXPIRY, prefix_end(keys.PARKED_EXPIRY)):
            return order.read_number(key, 1)[0]
        return None

    def _taken(self, key: bytes, row: bytes) -> ParkedRequest:
        request = _PARKED.decode(row)
        self._rows.delete(key)
        self._rows.delete(keys.PARKED_EXPIRY + order.number(request.expires_ms) + key[1:])
        self._count_parked(-1)
        return request

    def _parked(self) -> int:
        """Kept as a row, since it is asked at every start: a scan costs more than all the rest."""
        row = self._rows.get(keys.PARKED_COUNT)
        return 0 if row is None else order.read_number(row, 0)[0]

    def _count_parked(self, change: int) -> None:
        count = self._parked() + change
        if count:
            self._rows.put(keys.PARKED_COUNT, order.number(count))
        else:
            self._rows.delete(keys.PARKED_COUNT)

    # Partition count

    def partition_count(self, count: int) -> int:
        """How many partitions there were when this one was first used: `count`, if that is now."""
        row = self._rows.get(keys.PARTITION_COUNT)
        if row is None:
            self._rows.put(keys.PARTITION_COUNT, order.number(count))
            return count
        return order.read_number(row, 0)[0]

    # Finished runs

    def expire_run(self, run_id: str, expires_ms: int) -> None:
        """Delete the rows of this run from then on."""
        self._rows.put(keys.RUN_EXPIRY + order.number(expires_ms) + order.text(run_id), b"")

    def keep_run(self, run_id: str, expires_ms: int) -> None:
        """The run, which was to expire then, does not."""
        self._rows.delete(keys.RUN_EXPIRY + order.number(expires_ms) + order.text(run_id))

    def is_kept(self, run_id: str, expires_ms: int, now_ms: int) -> bool:
        """Whether a finished run, which is to expire then, has all its rows still: they go in bites."""
        row = keys.RUN_EXPIRY + order.number(expires_ms) + order.text(run_id)
        return expires_ms > now_ms and self._rows.get(row) is not None

    def delete_due_runs(self, now_ms: int, limit: int, is_over: Callable[[str], bool]) -> int:
        """Delete rows of finished runs that are due, at most `limit` rows; the head goes last. Returns how many.

        `is_over`: whether a run has ended; one that was retried since it was to expire is left alone.
        """
        deleted = 0
        for key in self._due(keys.RUN_EXPIRY, now_ms, limit):
            run_id = order.read_text(key, 9)[0]
            if not is_over(run_id):
                self._rows.delete(key)
                continue
            run = keys.run_keys(run_id)
            rows = [row for row, _ in self._rows.scan(run.prefix, prefix_end(run.prefix))]
            # Descending: the head sorts first, so it stays until nothing else is left.
            for row in reversed(rows[-(limit - deleted) :]):
                self._rows.delete(row)
            if len(rows) <= limit - deleted:
                self._rows.delete(key)
            deleted += len(rows) + 1
            if deleted >= limit:
                break
        return deleted

    # Definitions, leases, open runs

    def definition(self, digest: str) -> bytes | None:
        """The document of a definition in use."""
        return self._rows.get(keys.DEFINITION + order.text(digest))

    def keep_definition(self, digest: str, document: bytes) -> None:
        """Copy a definition into the table on its first use (P38)."""
        if self.definition(digest) is None:
            self._rows.put(keys.DEFINITION + order.text(digest), document)

    def hold_lease(self, run_id: str, path: str) -> None:
        """The step has a holder."""
        key = keys.LEASE + order.text(run_id) + order.text(path)
        if self._rows.get(key) is None:
            self._rows.put(key, b"")

    def end_lease(self, run_id: str, path: str) -> None:
        """It has none any more."""
        key = keys.LEASE + order.text(run_id) + order.text(path)
        if self._rows.get(key) is not None:
            self._rows.delete(key)

    def leases(self) -> Iterator[tuple[str, str]]:
        """(run id, path) of every step with a holder."""
        for key, _ in self._rows.scan(keys.LEASE, prefix_end(keys.LEASE)):
            run_id, position = order.read_text(key, 1)
            yield run_id, order.read_text(key, position)[0]

    def open_run(self, run_id: str) -> None:
        """The run has begun."""
        self._rows.put(keys.OPEN_RUN + order.text(run_id), b"")

    def close_run(self, run_id: str) -> None:
        """The run has ended."""
        self._rows.delete(keys.OPEN_RUN + order.text(run_id))

    def open_runs(self, after: str, limit: int) -> list[str]:
        """At most `limit` runs that have not ended, behind the one named `after` ("": from the first)."""
        start = keys.OPEN_RUN + (order.text(after) + b"\x00" if after else b"")
        found = []
        for key, _ in self._rows.scan(start, prefix_end(keys.OPEN_RUN)):
            found.append(order.read_text(key, 1)[0])
            if len(found) == limit:
                break
        return found

    def _due(self, prefix: bytes, now_ms: int, limit: int) -> list[bytes]:
        found = []
        for key, _ in self._rows.scan(prefix, prefix + order.number(now_ms + 1)):
            found.append(key)
            if len(found) == limit:
                break
        return found
