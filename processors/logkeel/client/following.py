"""Follows `run-completions` for those who wait: one thread, one reader, any number of waits.

Reads committed records only, and only partitions that somebody waits on. Waits are futures, so that blocking callers
and coroutines share it. The lock guards the books and waits; nothing blocks while it is held.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future

from logkeel.client.book import Outcome, PartitionBook, Wait, key_of
from logkeel.errors import LogkeelError, LogUnavailable
from logkeel.log import LogReader, Record, TopicPartition
from logkeel.records import RequestRejected, RunCompleted
from logkeel.wire import decode_as

FETCH_S = 0.05
RETRY_S = 0.5

_OUTCOMES: tuple[type[Outcome], ...] = (RunCompleted, RequestRejected)


class CompletionFollower:
    """Answers waits. The thread begins with the first wait and ends with `close`."""

    def __init__(self, make_reader: Callable[[], LogReader], topic: str) -> None:
        self._make_reader = make_reader
        self._topic = topic
        self._lock = threading.Lock()
        self._books: dict[int, PartitionBook] = {}
        self._waits: dict[Wait, Future[Outcome]] = {}
        self._waits_by_key: dict[str, list[Wait]] = {}
        self._moved = False
        self._wake = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None

    def position(self, partition: int) -> int | None:
        """How far the partition was read; None if it is not followed."""
        with self._lock:
            book = self._books.get(partition)
            return None if book is None else book.position

    def watch(self, wait: Wait) -> Future[Outcome]:
        """A future of the outcome; cancel it to wait no longer. It fails if the partition cannot be read any more."""
        future: Future[Outcome] = Future()
        with self._lock:
            book = self._books.get(wait.partition)
            if book is None or not book.reaches(wait.since):
                book = self._books[wait.partition] = PartitionBook(wait.since)
                self._moved = True
            known = next(book.answers(wait), None)
            if known is not None:
                future.set_result(known)
                return future
            self._waits[wait] = future
            for key in wait.keys:
                self._waits_by_key.setdefault(key, []).append(wait)
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._run, name="logkeel-completions", daemon=True)
                self._thread.start()
        self._wake.set()
        return future

    def close(self) -> None:
        """End the thread; open waits are cancelled. Idempotent."""
        self._closed = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(10.0)
        with self._lock:
            open_waits = [self._forget(wait) for wait in list(self._waits)]
        for future in open_waits:
            future.cancel()

    def _run(self) -> None:
        reader: LogReader | None = None
        try:
            while not self._closed:
                if not self._anybody_waits():
                    self._wake.wait()
                    self._wake.clear()
                    continue
                reader = reader or self._make_reader()
                self._turn(reader)
        except LogkeelError as error:
            self._fail(error)
        finally:
            if reader is not None:
                reader.close()

    def _turn(self, reader: LogReader) -> None:
        with self._lock:
            moved, self._moved = self._moved, False
            positions = {TopicPartition(self._topic, number): book.position for number, book in self._books.items()}
        if moved:
            reader.assign(positions)
        try:
            fetched = reader.fetch(1_000, FETCH_S)
        except LogUnavailable:
            self._wake.wait(RETRY_S)
            return
        answered: list[tuple[Future[Outcome], Outcome]] = []
        with self._lock:
            if self._moved:
                return  # read for books that begin elsewhere now; the next turn reads it again
            for record in fetched.records:
                answered += self._read(record)
            for place, end in fetched.ends.items():
                self._books[place.partition].advance(end)
        for future, outcome in answered:
            if future.set_running_or_notify_cancel():
                future.set_result(outcome)

    def _read(self, record: Record) -> list[tuple[Future[Outcome], Outcome]]:
        outcome = _outcome(record)
        self._books[record.partition].add(record.offset, outcome)
        if outcome is None:
            return []
        waits = self._waits_by_key.get(key_of(outcome), ())
        met = [wait for wait in waits if wait.partition == record.partition and wait.is_met_by(record.offset, outcome)]
        return [(self._forget(wait), outcome) for wait in met]

    def _forget(self, wait: Wait) -> Future[Outcome]:
        for key in wait.keys:
            left = [each for each in self._waits_by_key[key] if each is not wait]
            if left:
                self._waits_by_key[key] = left
            else:
                del self._waits_by_key[key]
        return self._waits.pop(wait)

    def _anybody_waits(self) -> bool:
        with self._lock:
            for wait in [wait for wait, future in self._waits.items() if future.done()]:
                self._forget(wait)
            return bool(self._waits)

    def _fail(self, error: LogkeelError) -> None:
        with self._lock:
            failed = [self._forget(wait) for wait in list(self._waits)]
            self._books, self._thread, self._moved = {}, None, False
        for future in failed:
            if future.set_running_or_notify_cancel():
                future.set_exception(error)


def _outcome(record: Record) -> Outcome | None:
    """A record of another kind is not for this version: passed over."""
    if record.value is None:
        return None
    try:
        return decode_as(record.value, *_OUTCOMES)
    except LogkeelError:
        return None
