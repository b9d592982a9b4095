"""Runs that the writer has in memory, with what the file holds of them: what was written last is what changes are
counted from. Bounded by number and size; a run that was dropped is loaded from the file again.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from logkeel.projection import RunView, StepView, WaitView
from logkeel.readmodel.rows import Facet

MAX_ENTRIES: Final = 20_000
MAX_BYTES: Final = 128 * 1_024 * 1_024
"""Of the events that the views in memory were made from, about what their values take."""


@dataclass(slots=True)
class Entry:
    """A run. `steps`, `waits`, `facets`, `started_at_ms` and `counted` (workflow, status) are as they were written.

    `behind`: events since the last snapshot and their bytes; `size`: bytes of all events it was made from, or of the
    snapshot it was loaded from and the events behind.
    """

    number: int
    view: RunView
    steps: dict[str, StepView] = field(default_factory=dict)
    waits: dict[str, WaitView] = field(default_factory=dict)
    facets: frozenset[Facet] = frozenset()
    started_at_ms: int = 0
    counted: tuple[str, str] | None = None
    behind: int = 0
    behind_bytes: int = 0
    size: int = 0


class Entries:
    """By run id, the one that was used last kept longest."""

    def __init__(self, max_entries: int = MAX_ENTRIES, max_bytes: int = MAX_BYTES) -> None:
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._bytes = 0

    def get(self, run_id: str) -> Entry | None:
        """The run, if it is in memory."""
        entry = self._entries.get(run_id)
        if entry is not None:
            self._entries.move_to_end(run_id)
        return entry

    def put(self, entry: Entry) -> None:
        """Keep it, in the place of an older one of its id."""
        self.drop(entry.view.run_id)
        self._entries[entry.view.run_id] = entry
        self._bytes += entry.size

    def grow(self, entry: Entry, size: int) -> None:
        """An entry that is kept was made from so many bytes more."""
        entry.size += size
        self._bytes += size

    def drop(self, run_id: str) -> None:
        """Forget it."""
        entry = self._entries.pop(run_id, None)
        if entry is not None:
            self._bytes -= entry.size

    def clear(self) -> None:
        """Forget all: the file may not hold what they say."""
        self._entries.clear()
        self._bytes = 0

    def shrink(self) -> None:
        """Drop what is over the bounds. Not amid a batch."""
        while len(self._entries) > 1 and (len(self._entries) > self._max_entries or self._bytes > self._max_bytes):
            _, entry = self._entries.popitem(last=False)
            self._bytes -= entry.size
