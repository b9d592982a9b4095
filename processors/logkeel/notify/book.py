"""All cases of the application, read from the changelog of the notifiers: what pages look things up in.

Any notifier serves any link, whoever owns the question's partition. A shell file: it holds a thread.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec
import structlog

from logkeel.errors import LogkeelError
from logkeel.log import Admin, LogClient, LogReader, Record, places_of
from logkeel.notify import rows
from logkeel.notify.cases import Case

BATCH: Final = 1_000
FETCH_S: Final = 0.2
RETRY_S: Final = 1.0

log = structlog.get_logger("logkeel.notifier", role="notifier")


@dataclass(frozen=True, slots=True)
class Kept:
    """A case and the partition that its run lives on."""

    case: Case
    partition: int


class CaseBook:
    """The cases as they stand on the log. Safe to use from several threads; close it."""

    def __init__(self, client: LogClient, topic: str) -> None:
        """Connects. Raises `TopicMissing`, `LogUnavailable`."""
        admin: Admin = client.admin()
        try:
            places = places_of(admin, topic)
            starts = dict(admin.start_offsets(places))
            self._ends = dict(admin.end_offsets(places, committed_only=True))
        finally:
            admin.close()
        self._positions = dict(starts)
        self._reader: LogReader = client.reader("read_committed")
        self._reader.assign(starts)
        self._changed = threading.Condition()
        self._cases: dict[str, Kept] = {}
        self._ids: dict[bytes, str] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Read on a thread of its own."""
        self._thread = threading.Thread(target=self._run, name="logkeel-cases", daemon=True)
        self._thread.start()

    def get(self, case_id: str) -> Kept | None:
        """The case, or None: it is not known yet, or was forgotten."""
        with self._changed:
            return self._cases.get(case_id)

    def wait_for(self, case_id: str, seen: Callable[[Kept], bool], timeout_s: float) -> Kept | None:
        """The case once it is like that; the one that stands, if that takes longer."""
        deadline_s = time.monotonic() + timeout_s
        with self._changed:
            while True:
                kept = self._cases.get(case_id)
                if (kept is not None and seen(kept)) or (left_s := deadline_s - time.monotonic()) <= 0:
                    return kept
                self._changed.wait(left_s)

    @property
    def caught_up(self) -> bool:
        """Whether everything was read that was there at the start."""
        return all(self._positions[place] >= end for place, end in self._ends.items())

    def poll(self, timeout_s: float) -> None:
        """Take in what has come. Raises as `LogReader.fetch`."""
        fetched = self._reader.fetch(BATCH, timeout_s)
        with self._changed:
            for record in fetched.records:
                self._take(record)
                self._positions[record.source] = record.offset + 1
            for place, end in fetched.ends.items():
                self._positions[place] = max(end, self._positions[place])
            if fetched.records:
                self._changed.notify_all()

    def close(self) -> None:
        """End the thread and release the client; idempotent."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(10.0)
        self._reader.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.poll(FETCH_S)
            except LogkeelError as error:
                log.warning("cases_not_read", error=error.message)
                self._stop.wait(RETRY_S)

    def _take(self, record: Record) -> None:
        """A row of another kind, or of another version, is passed over."""
        key = record.key
        if key is None or not key.startswith(rows.CASES):
            return
        former = self._ids.pop(key, None)
        if former is not None:
            del self._cases[former]
        if record.value is None:
            return
        try:
            case = rows.decode_case(record.value)
        except msgspec.DecodeError:
            return
        self._ids[key] = case.case_id
        self._cases[case.case_id] = Kept(case, record.partition)
