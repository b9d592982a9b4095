"""The timers of one partition in memory: a mirror of the timer rows, plus wake-ups that live only here.

Decides nothing about the log: `due` says what time has come for; whether the log was read far enough is asked elsewhere
(P23). Changes only after the store was written (P7), so that it always mirrors committed rows. Deletion is lazy: a heap
entry counts only while its key is in the live set.
"""

import heapq
from collections.abc import Iterable, Mapping

from logkeel.exactly_once.rows import due_of


class TimerHeap:
    """Timer row keys by due time, and wake-ups by id."""

    def __init__(self) -> None:
        self._heap: list[bytes] = []
        self._live: set[bytes] = set()
        self._wakeups: dict[bytes, int] = {}
        self._wakeup_heap: list[tuple[int, bytes]] = []

    @property
    def pending(self) -> int:
        """How many timers there are, wake-ups aside; from any thread."""
        return len(self._live)

    def load(self, keys: Iterable[bytes]) -> None:
        """Replace everything by these timer rows; wake-ups are forgotten (P6, P7)."""
        self._heap = list(keys)
        heapq.heapify(self._heap)
        self._live = set(self._heap)
        self._wakeups = {}
        self._wakeup_heap = []

    def apply(self, rows: Mapping[bytes, bytes | None]) -> None:
        """Take over committed timer rows."""
        for key, value in rows.items():
            if value is None:
                self._live.discard(key)
            elif key not in self._live:
                self._live.add(key)
                heapq.heappush(self._heap, key)
        if len(self._heap) > 1024 + 2 * len(self._live):
            self._heap = list(self._live)
            heapq.heapify(self._heap)

    def apply_wakeups(self, wakeups: Mapping[bytes, int | None]) -> None:
        """Take over wake-ups; None forgets one."""
        for timer_id, due_ms in wakeups.items():
            if due_ms is None:
                self._wakeups.pop(timer_id, None)
            else:
                self._wakeups[timer_id] = due_ms
                heapq.heappush(self._wakeup_heap, (due_ms, timer_id))

    def first_timer_ms(self) -> int | None:
        """When the first timer is due, wake-ups aside; or None."""
        self._prune()
        return due_of(self._heap[0]) if self._heap else None

    def next_due_ms(self) -> int | None:
        """When the next timer or wake-up is due, or None."""
        first = self.first_timer_ms()
        second = self._wakeup_heap[0][0] if self._wakeup_heap else None
        if first is None or second is None:
            return second if first is None else first
        return min(first, second)

    def due_timers(self, until_ms: int, limit: int) -> list[bytes]:
        """Keys of timer rows due at or before `until_ms`, earliest first. Nothing is removed."""
        self._prune()
        if not self._heap or due_of(self._heap[0]) > until_ms:
            return []
        taken: list[bytes] = []
        while self._heap and len(taken) < limit and due_of(self._heap[0]) <= until_ms:
            key = heapq.heappop(self._heap)
            if key in self._live and (not taken or taken[-1] != key):
                taken.append(key)
        for key in taken:
            heapq.heappush(self._heap, key)
        return taken

    def due_wakeups(self, until_ms: int) -> list[tuple[int, bytes]]:
        """Wake-ups due at or before `until_ms`, earliest first. Nothing is removed."""
        self._prune()
        if not self._wakeup_heap or self._wakeup_heap[0][0] > until_ms:
            return []
        return sorted((due_ms, timer_id) for timer_id, due_ms in self._wakeups.items() if due_ms <= until_ms)

    def _prune(self) -> None:
        heap, live = self._heap, self._live
        while heap and heap[0] not in live:
            heapq.heappop(heap)
        wakeups = self._wakeup_heap
        while wakeups and self._wakeups.get(wakeups[0][1]) != wakeups[0][0]:
            heapq.heappop(wakeups)
