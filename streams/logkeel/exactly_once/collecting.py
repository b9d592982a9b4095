"""From records, timers and side events to a batch: calls the processor, one overlay per event (P21).

Touches no log; reads stores through the overlays. Within a batch records come before timers (P23). What the processor
raises is poison, unless it is an engine's or operator's error: those leave `collect` and nothing was begun yet.
"""

import math
from collections.abc import Callable, Iterable, Sequence

from logkeel.errors import CrashLoop, EngineError, InvariantViolation, OperatorError
from logkeel.exactly_once.batch import Batch, Overlay, PartitionBatch
from logkeel.exactly_once.observer import Observer
from logkeel.exactly_once.partition import PartitionState
from logkeel.exactly_once.poison import TIMERS, CrashMark, dead_letter, suspect_of
from logkeel.exactly_once.port import Processor, SideEvent, Timer
from logkeel.exactly_once.rows import CRASH_KEY, due_of, timer_id_of
from logkeel.exactly_once.settings import LoopSettings
from logkeel.log import Clock, Record

_CLOCK_EVERY = 32


class Collector:
    """Builds batches for one loop. `settings` bound a batch by records, bytes and time."""

    def __init__(self, processor: Processor, settings: LoopSettings, clock: Clock, observer: Observer) -> None:
        self._processor = processor
        self._settings = settings
        self._clock = clock
        self._observer = observer

    def ready(self, batch: Batch, state: PartitionState, now_ms: int, events: Iterable[SideEvent]) -> None:
        """First turn of a partition after a resync: wake-ups from rows, then all side events that hold."""
        self._guarded(batch, batch.of(state), now_ms, self._processor.on_partition_ready)
        self.side_events(batch, state, now_ms, events)

    def side_events(self, batch: Batch, state: PartitionState, now_ms: int, events: Iterable[SideEvent]) -> None:
        """Offer side events to one partition."""
        part = batch.of(state)
        for event in events:
            self._guarded(batch, part, now_ms, self._processor.on_side_event, event)

    def records(self, batch: Batch, queue: Sequence[Record], states: dict[int, PartitionState], now_ms: int) -> int:
        """Process from `queue` until a bound is met; how many were taken. Skips what the position map passed (P9)."""
        process, limit = self._processor.process, self._settings.max_record_bytes
        room = self._settings.max_bytes
        deadline_s = self._clock.monotonic_s() + self._settings.max_batch_ms / 1000
        for index, record in enumerate(queue):
            state = states.get(record.partition)
            if state is None or not state.active:
                continue
            alone = state.alone.get(record.topic, 0)
            if alone and batch.records:
                return index
            part = batch.of(state)
            if record.offset < part.positions[record.topic]:
                continue
            turn = Overlay(part, now_ms, limit)
            error = self._alone(state, record, process, turn) if alone else failure_of(process, record, turn)
            if error is None:
                turn.merge_into(batch)
            else:
                self._poisoned(batch, part, record, error, now_ms)
            part.positions[record.topic] = record.offset + 1
            batch.records += 1
            room -= len(record.value or b"")
            if alone:
                state.alone[record.topic] = alone - 1
            if room <= 0 or alone:
                return index + 1
            if index % _CLOCK_EVERY == 0 and self._clock.monotonic_s() > deadline_s:
                return index + 1
        return len(queue)

    def timers(self, batch: Batch, state: PartitionState, now_ms: int, *, until_s: float = math.inf) -> None:
        """Fire what was due when the log target was taken, if the log has been read up to it (P23).

        After `until_s` on the monotonic clock the rest waits for the next batch: thousands that are due at once must
        not keep records waiting, nor make a transaction too large for its time. Some fire in any case, the earliest
        first, so that no partition waits for the others.
        """
        target = state.target
        if target is None:
            return
        part = batch.of(state) if state.partition in batch.touched else None
        if not target.reached(state.positions if part is None else part.positions):
            return
        alone = state.alone.get(TIMERS, 0)
        keys = state.timers.due_timers(target.taken_ms, 1 if alone else self._settings.max_records)
        wakeups = state.timers.due_wakeups(target.taken_ms)
        if not keys and not wakeups:
            return
        part = batch.of(state)
        for count, key in enumerate(keys, start=1):
            self._timer(batch, part, key, now_ms)
            if count % _CLOCK_EVERY == 0 and self._clock.monotonic_s() > until_s:
                break
        for due_ms, timer_id in wakeups:
            self._wakeup(batch, part, due_ms, timer_id, now_ms)

    def _timer(self, batch: Batch, part: PartitionBatch, key: bytes, now_ms: int) -> None:
        """Fire one timer row, unless it was cleared meanwhile; its row goes in the same turn (P22, P23).

        It was due when the target was taken, though the clock may have gone back since: the turn is never before that,
        or whoever looks at the time would take the timer for one that came too early, and it does not come again.
        """
        turn = Overlay(part, max(now_ms, due_of(key)), self._settings.max_record_bytes)
        payload = turn.get(key)
        if payload is None:
            return
        timer = Timer(part.state.partition, due_of(key), timer_id_of(key), payload)
        turn.drop_row(key)
        self._fire(batch, part, timer, turn, key)

    def _wakeup(self, batch: Batch, part: PartitionBatch, due_ms: int, timer_id: bytes, now_ms: int) -> None:
        turn = Overlay(part, max(now_ms, due_ms), self._settings.max_record_bytes)
        if not turn.wakeup_due(timer_id, due_ms):
            return
        turn.clear_wakeup(timer_id)
        self._fire(batch, part, Timer(part.state.partition, due_ms, timer_id, b""), turn, None)

    def _fire(self, batch: Batch, part: PartitionBatch, timer: Timer, turn: Overlay, key: bytes | None) -> None:
        state, on_timer = part.state, self._processor.on_timer
        alone = state.alone.get(TIMERS, 0) if key is not None else 0
        error = self._alone(state, timer, on_timer, turn) if alone else failure_of(on_timer, timer, turn)
        if alone:
            state.alone[TIMERS] = alone - 1
        if error is None:
            turn.merge_into(batch)
        else:
            if key is None:
                part.wakeups[timer.timer_id] = None
            self._poisoned(batch, part, timer, error, turn.now_ms, timer_row=key)
        batch.timers += 1

    def _poisoned(
        self,
        batch: Batch,
        part: PartitionBatch,
        culprit: Record | Timer,
        error: Exception,
        now_ms: int,
        timer_row: bytes | None = None,
    ) -> None:
        """Dead letter and visible failure in the same transaction; the failed overlay is gone already (P21)."""
        letter = dead_letter(self._processor.dead_letters, culprit, error, table=self._processor.table)
        turn = Overlay(part, now_ms, self._settings.max_record_bytes)
        second = failure_of(self._processor.on_poison, culprit, error, turn)
        if second is not None:
            self._observer.error("on_poison", second)
            turn = Overlay(part, now_ms, self._settings.max_record_bytes)
        turn.emit_unchecked(letter)
        if timer_row is not None:
            turn.drop_row(timer_row)
        turn.merge_into(batch)
        batch.poison += 1
        topic, offset = (culprit.topic, culprit.offset) if isinstance(culprit, Record) else (self._processor.table, -1)
        self._observer.poisoned(topic, culprit.partition, offset, error)

    def _guarded(
        self, batch: Batch, part: PartitionBatch, now_ms: int, function: Callable[..., None], *leading: object
    ) -> None:
        """A turn without a record: if it fails, it is reported and leaves no trace."""
        turn = Overlay(part, now_ms, self._settings.max_record_bytes)
        error = failure_of(function, *leading, turn)
        if error is None:
            turn.merge_into(batch)
        else:
            self._observer.error("side event", error)

    def _alone(
        self, state: PartitionState, culprit: Record | Timer, function: Callable[..., None], turn: Overlay
    ) -> Exception | None:
        """Try what may have killed its process; skip what did so too often (P21).

        Only dying, or finding an impossible state, counts: a store or a broker that fails is nobody's fault here.
        """
        mark = state.crash_mark.trying(suspect_of(culprit))
        if mark.tries > self._settings.crashes_before_skip:
            message = f"{mark.suspect.decode(errors='replace')} killed its process {mark.tries - 1} times in a row"
            return CrashLoop(message, crashes=mark.tries - 1)
        _write_mark(state, mark)
        try:
            error = failure_of(function, culprit, turn)
        except InvariantViolation:
            raise
        except (EngineError, OperatorError):
            _write_mark(state, mark.survived())
            raise
        _write_mark(state, mark.survived())
        return error


def _write_mark(state: PartitionState, mark: CrashMark) -> None:
    state.store.write({CRASH_KEY: None if mark == CrashMark() else mark.encode()})
    state.crash_mark = mark


def failure_of(function: Callable[..., None], *arguments: object) -> Exception | None:
    """Call into the processor; what it raised is poison, except what engine or operator react to (P21)."""
    try:
        function(*arguments)
    except (EngineError, OperatorError):
        raise
    except Exception as error:  # noqa: BLE001 - the boundary to the processor
        return error
    return None
