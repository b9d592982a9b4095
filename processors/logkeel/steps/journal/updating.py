"""Writes of durable code to the state before its step ends: each an entry, made once. On the loop."""

from collections.abc import Sequence

from logkeel.records import FieldWrite, JournalEntry
from logkeel.steps.journal.session import Journal


async def updated(journal: Journal, name: str, writes: Sequence[FieldWrite]) -> None:
    """Write these fields, unless a former execution has; returns when the log has it."""
    lane = journal.lane()
    place, entry = await journal.meet(lane, name, None)
    if entry is None:
        journal.require_room()
        sealed = await journal.values.seal(writes, f"what step {journal.command.identity.step!r} writes")
        entry = JournalEntry(
            name=name,
            ordinal=place.ordinal,
            state="done",
            writes=sealed,
            position=place.position,
            at_ms=journal.clock.now_ms(),
            updates=True,
        )
        await journal.keep(entry)
    lane.seen_ms = max(lane.seen_ms, entry.at_ms)
