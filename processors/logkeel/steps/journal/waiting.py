"""Waits of durable code: an intent, and an outcome that only the engine writes. On the loop."""

from dataclasses import dataclass

from logkeel.errors import CallFailed, StepSignatureError
from logkeel.records import ChildCall, FieldWrite, JournalEntry, WaitKind
from logkeel.steps.journal.book import Place
from logkeel.steps.journal.session import Journal

MAX_NAME_CHARACTERS = 2_000
"""What is asked stands in the history; what is to be looked at goes to `show`."""


@dataclass(frozen=True, slots=True)
class Wait:
    """What the code waits for, as its intent says it."""

    kind: WaitKind
    name: str
    timeout_ms: int | None
    writes: tuple[FieldWrite, ...] = ()
    child: ChildCall | None = None


async def waited(journal: Journal, wait: Wait) -> JournalEntry:
    """Wait for what the engine tells; its entry, which has no writes if a sleep has ended here.

    Raises TimeoutError, and `CallFailed` for a child run that has not succeeded.
    """
    kind, name = wait.kind, wait.name
    if len(name) > MAX_NAME_CHARACTERS:
        raise StepSignatureError(f"a {kind} is named by at most {MAX_NAME_CHARACTERS} characters, not {len(name)}")
    lane = journal.lane()
    if kind != "sleep" and not lane.can_be_suspended:
        raise StepSignatureError(
            f"waiting for {kind} {name!r} in an asyncio task of the code's own, which nobody can suspend: start it by"
            " step.gather(...)"
        )
    place, entry = await journal.meet(lane, name, kind)
    if entry is None:
        journal.require_room()
        entry = _intent(wait, place, journal.clock.now_ms())
        await journal.keep(entry)
    if entry.state == "intent":
        # Only a sleep can end here; all else is told by the engine, in the journal of the next execution.
        await journal.wait_at(place.position, entry.due_ms if kind == "sleep" else None)
        lane.seen_ms = max(lane.seen_ms, entry.due_ms or 0)
        return entry
    lane.seen_ms = max(lane.seen_ms, entry.at_ms)
    if entry.state == "failed":
        raise _failure(entry)
    return entry


def _intent(wait: Wait, place: Place, now_ms: int) -> JournalEntry:
    return JournalEntry(
        name=wait.name,
        ordinal=place.ordinal,
        state="intent",
        writes=wait.writes,
        position=place.position,
        at_ms=now_ms,
        due_ms=None if wait.timeout_ms is None else now_ms + wait.timeout_ms,
        waits_for=wait.kind,
        child=wait.child,
    )


def _failure(entry: JournalEntry) -> Exception:
    error = entry.error
    if error is None:
        return TimeoutError(f"{entry.waits_for} {entry.name!r} did not come in time")
    if entry.waits_for != "child" or error.code == "wait_timed_out":
        return TimeoutError(error.message)
    return CallFailed(
        f"child {entry.name!r} failed: {error.message}",
        call=entry.name,
        failure_code=error.code,
        kind=error.kind,
        position=entry.position,
    )
