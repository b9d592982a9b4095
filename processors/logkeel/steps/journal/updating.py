"""Writes of durable code to the state before its step ends: entries, made once, and a new beginning. On the loop."""

from collections.abc import Sequence
from typing import NoReturn

from logkeel.errors import JournalDiverged, StepSignatureError
from logkeel.records import FieldWrite, JournalEntry
from logkeel.steps.journal.session import BeginsAnew, Journal, WentAnotherWay


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


async def begun_anew(journal: Journal, writes: Sequence[FieldWrite]) -> NoReturn:
    """End this execution; the next one begins with these writes and an empty journal."""
    if journal.lane().prefix:
        raise StepSignatureError(
            "step.restart_with(...) stands inside of a gather or a task: what runs beside it would be lost. Let the"
            " step's own code call it, behind the gather"
        )
    try:
        journal.book.end()
    except JournalDiverged as error:
        await journal.halt(WentAnotherWay(error))
    sealed = await journal.values.seal(writes, f"what step {journal.command.identity.step!r} begins anew with")
    await journal.halt(BeginsAnew(sealed))
