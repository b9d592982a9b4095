"""What a call needs before each of its tries: slots of limits, and room in budgets. On the loop.

A try asks by an entry beside that of its call, which waits as code waits for anything; the engine writes the outcome,
and takes the entry out of the journal with whatever ends this execution (decision 0034). So a try that is met here as
granted has not begun yet, in no execution. `ordinal` counts the tries before it that have failed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from logkeel.errors import StepSignatureError
from logkeel.records import CallLimit, ErrorInfo, JournalEntry
from logkeel.steps.journal.book import Lane, Place, slot_of
from logkeel.steps.journal.session import Journal


@dataclass(frozen=True, slots=True)
class Needs:
    """`limits` that each try keeps to; `uses`: what it uses at most of budgets, by unit."""

    limits: tuple[CallLimit, ...]
    uses: Mapping[str, int]

    def __bool__(self) -> bool:
        return bool(self.limits or self.uses)


NOTHING: Final = Needs((), {})


def require_suspendable(lane: Lane, name: str) -> None:
    """Raises `StepSignatureError` where nobody could suspend the code that waits."""
    if not lane.can_be_suspended:
        raise StepSignatureError(
            f"call {name!r} keeps to limits or budgets, and is made in an asyncio task of the code's own, which nobody"
            " can suspend while it waits: start it by step.gather(...)"
        )


async def slots_for(
    journal: Journal, place: Place, needs: Needs, failures: int, used: Mapping[str, int]
) -> ErrorInfo | None:
    """Return when the try behind so many failures may begin; why it never may. Else the execution ends meanwhile.

    `used`: what the try before has used. The call is not under way while it waits.
    """
    entry = journal.book.slot_at(place.position)
    if entry is None or entry.ordinal < failures:
        entry = JournalEntry(
            name=place.name,
            ordinal=failures,
            state="intent",
            position=slot_of(place.position),
            at_ms=journal.clock.now_ms(),
            waits_for="limit",
            limits=needs.limits,
            uses=dict(needs.uses),
            used=dict(used),
        )
        await journal.keep(entry)
    if entry.state == "intent":
        journal.call_ends()
        try:
            await journal.wait_at(entry.position, None)
        finally:
            journal.call_begins()
    return entry.error
