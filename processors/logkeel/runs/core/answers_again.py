"""What workers, child runs and limits have said, made again from the turns it led to. Pure. Part of `inputs_again`.

Each function gives the input of a turn that begins with the event it is registered for there; None: what was said
cannot be told from the events.
"""

from collections.abc import Sequence

from msgspec import UnsetType
from msgspec.structs import replace

from logkeel.records import (
    ChildCompleted,
    ElementValue,
    ErrorInfo,
    FieldValue,
    JournalEntry,
    LimitAnswered,
    RunEvent,
    StepAnswer,
    StepFailed,
    StepHeartbeat,
    StepJournaled,
    StepNeedsState,
    StepReclaimed,
    StepRefused,
    StepReleased,
    StepSucceeded,
    StepSuspended,
)
from logkeel.runs.core import child_ends, limiting
from logkeel.runs.core.activation import Activation
from logkeel.runs.core.answers import LATE_WORDS, answer
from logkeel.runs.core.budgets import WALL_MS, Told
from logkeel.runs.core.call_claims import amounts_of_calls
from logkeel.runs.core.child_budgets import NUMBER
from logkeel.runs.core.doubt import LAST_WORD, lost
from logkeel.runs.core.journals import awaited_as
from logkeel.runs.core.paths import is_in_code, split_place
from logkeel.runs.core.places import PlacedChild
from logkeel.runs.core.recorded_turn import Input, RecordedTurn
from logkeel.runs.core.waking import command_aged

# Workers


def heartbeat_again(past: RecordedTurn) -> Input | None:
    """A first heartbeat. Of one that showed progress the history has a digest, and not what it showed."""
    first = past.first
    if first.name is not None:
        return None
    return _say(
        StepHeartbeat(identity=past.identity(), holder=first.holder or "", started_at_ms=first.started_at_ms or 0)
    )


def success_again(past: RecordedTurn) -> Input:
    """A result."""
    first = past.first
    return _say(
        StepSucceeded(
            identity=past.identity(),
            holder=first.holder or "",
            started_at_ms=first.started_at_ms or 0,
            finished_at_ms=first.at_ms,
            writes=first.writes,
            reads=first.reads,
            from_check=first.reason == "check",
            used=_used(past),
        )
    )


def failure_again(past: RecordedTurn) -> Input | None:
    """A failure; of a `step_in_doubt`, one that leaves open what has happened."""
    return None if past.first.error is None else _say(failure_of(past, past.first.error))


def failure_of(past: RecordedTurn, error: ErrorInfo, *, in_doubt: bool | None = None) -> StepFailed:
    """A worker's word that the step, or the call of its code that the first event names, has failed so."""
    first = past.first
    return StepFailed(
        identity=past.identity(),
        holder=first.holder or "",
        started_at_ms=first.started_at_ms or 0,
        finished_at_ms=first.at_ms,
        error=error,
        in_doubt=first.kind == "step_in_doubt" if in_doubt is None else in_doubt,
        position=None if first.journal is None else first.journal.position,
        used=_used(past),
    )


def _used(past: RecordedTurn) -> dict[str, int]:
    """What the step has reported of budgets; if it was silent, as much as that counts with. Time it does not report."""
    step = past.state.steps.get(past.path)
    counted = {} if step is None else step.counted
    told = Told(
        kind=past.first.kind,
        path=past.path,
        reason=past.first.reason,
        due_ms=past.first.due_ms,
        started_at_ms=past.first.started_at_ms,
        used={},
        journal=past.first.journal,
    )
    of_calls = amounts_of_calls(past.state, told)
    return {
        unit: amount + counted.get(unit, 0) - of_calls.get(unit, 0)
        for unit, amount in past.first.amounts.items()
        if unit != WALL_MS and (unit not in of_calls or amount + counted.get(unit, 0) > of_calls[unit])
    }


def reclaim_again(past: RecordedTurn) -> Input:
    """A question about the holder, or word that it is lost, whoever has said so."""
    if past.first.reason == "asked":
        return _say(StepReclaimed(identity=past.identity(), holder=past.first.holder or ""))
    why = _why_lost(past.events, past.path)
    return lambda turn: lost(turn, past.path, why)


def _why_lost(events: Sequence[RunEvent], path: str) -> str:
    """Only what follows tells; "" if nothing that follows depends on it."""
    for event in events:
        if event.path == path and event.kind in ("step_in_doubt", "step_revoked") and event.reason is not None:
            return event.reason
        if event.kind == "step_failed" and event.error is not None:
            return event.error.message.partition(LAST_WORD)[2]
    return ""


def release_again(past: RecordedTurn) -> Input:
    """Given back by its worker, or not heard of for too long."""
    first = past.first
    if first.reason == "aged":
        return lambda turn: command_aged(turn, past.path, forgotten=True)
    if first.reason == "state needed":
        fields = tuple((first.name or "").split(", "))
        return _say(StepNeedsState(identity=past.identity(), holder=first.holder or "", fields=fields))
    return _say(
        StepReleased(identity=past.identity(), holder=first.holder or "", was_started=first.reason == "started")
    )


def refusal_again(past: RecordedTurn) -> Input:
    """No worker there has this version."""
    first = past.first
    return _say(StepRefused(identity=past.identity(), holder=first.holder or "", reason=first.reason or ""))


def late_word_again(past: RecordedTurn) -> Input | None:
    """An answer that came too late; its result is not in the history, and leads to nothing."""
    first, identity, holder = past.first, past.identity(), past.first.holder or ""
    if first.journal is not None:
        return _say(StepJournaled(identity=identity, holder=holder, entry=first.journal))
    if first.error is not None:
        return _say(failure_of(past, first.error, in_doubt=first.reason == LATE_WORDS["in doubt"]))
    if first.reason == LATE_WORDS["succeeded"]:
        return success_again(past)
    if first.reason in (LATE_WORDS["started"], LATE_WORDS["not started"]):
        was_started = first.reason == LATE_WORDS["started"]
        return _say(StepReleased(identity=identity, holder=holder, was_started=was_started))
    return None


def _say(message: StepAnswer) -> Input:
    return lambda turn: answer(turn, message)


# Code of steps


def entry_again(past: RecordedTurn) -> Input | None:
    """An entry of the journal; what it wrote to the state stands beside it."""
    first = past.first
    if first.journal is None:
        return None
    entry = replace(first.journal, writes=first.writes) if first.journal.updates else first.journal
    return _say(StepJournaled(identity=past.identity(), holder=first.holder or "", entry=entry))


def suspension_again(past: RecordedTurn) -> Input | None:
    """All code waits. The event names what was awaited still; where more follows, something was over already."""
    waits = _positions(past)
    if waits is None:
        return None
    over = ("over",) if waits and len(past.events) > 1 else ()
    return _say(StepSuspended(identity=past.identity(), holder=past.first.holder or "", waits=(*waits, *over)))


def _positions(past: RecordedTurn) -> tuple[str, ...] | None:
    """Positions of the waits that the event names, in its order; None if no waits are called so."""
    rest = past.first.reason or ""
    names: dict[str, list[str]] = {}
    for position, wait in sorted(past.state.journal_waits.of(past.path), reverse=True):
        names.setdefault(awaited_as(wait), []).append(position)
    found: list[str] = []
    while rest:
        fits = (name for name in names if names[name] and (rest == name or rest.startswith(f"{name}, ")))
        name = max(fits, key=len, default=None)
        if name is None:
            return None
        found.append(names[name].pop())
        rest = rest[len(name) + 2 :]
    return tuple(found)


def restart_again(past: RecordedTurn) -> Input:
    """Code begins anew."""
    first = past.first
    identity, holder = past.identity(), first.holder or ""
    return _say(
        StepSuspended(identity=identity, holder=holder, waits=(), restarts=True, writes=first.writes, used=_used(past))
    )


# Child runs


def child_end_again(past: RecordedTurn) -> Input:
    """A child has ended. What its parent does not keep of its result is not known, and not needed."""
    first, place = past.first, past.path
    if is_in_code(place):
        number = past.state.journal_waits[split_place(place)].revision
        error = None if first.journal is None else first.journal.error
        result = () if first.journal is None else _result_in_code(first.journal)
    else:
        placed = past.plan.children[place]
        number, error, result = past.state.waits[place].number, first.error, _result(past, placed)
    message = ChildCompleted(
        run_id=first.run_id,
        incarnation=first.incarnation,
        path=place,
        number=number,
        child_run_id=first.name or "",
        child_incarnation=None if "refused" in first.attributes else "known",
        status=first.status or "failed",
        result=result,
        error=None if error is None else _error_of_child(error, first.status or "failed"),
        descendants=int(first.attributes.get("descendants", "0")),
        used=dict(first.amounts),
    )
    return lambda turn: child_ends.ended(turn, message)


def late_end_again(past: RecordedTurn) -> Input:
    """What a child has used for which nobody waits any more."""
    first = past.first
    message = ChildCompleted(
        run_id=first.run_id,
        incarnation=first.incarnation,
        path=past.path,
        number=int(first.attributes[NUMBER]),
        child_run_id=first.name or "",
        status="failed",
        used=dict(first.amounts),
    )
    return lambda turn: child_ends.ended(turn, message)


def _result_in_code(outcome: JournalEntry) -> tuple[FieldValue, ...]:
    return () if outcome.child is None else outcome.child.result


def _result(past: RecordedTurn, placed: PlacedChild) -> tuple[FieldValue, ...]:
    """The value that these writes were copied from."""
    writes, block = past.first.writes, placed.block
    if not writes or block.returns is None or block.writes is None:
        return ()
    value = FieldValue(field=block.returns, revision=0)
    if not isinstance(past.plan.fields_at(placed.root)[block.writes].elements, UnsetType):
        rows = ((write.payload, write.element_key) for write in writes if write.operation != "replace")
        elements = tuple(ElementValue(payload=payload, key=key) for payload, key in rows if payload is not None)
        return (replace(value, elements=elements),)
    (write,) = writes
    return (replace(value, payload=write.payload, is_control=write.is_control, control=write.control),)


def _error_of_child(error: ErrorInfo, status: str) -> ErrorInfo | None:
    """The child's own failure, out of the text that `child_error` makes of it; None if it had none."""
    _, known, told = error.message.partition(f" has ended as {status}: ")
    if not known:
        return None
    code, _, message = told.partition(": ")
    return ErrorInfo(code=code, kind="fatal", message=message)


# Limits


def slot_again(past: RecordedTurn) -> Input:
    """A slot is granted."""
    facts, claim = past.first.attributes, past.state.claims[past.path]
    message = LimitAnswered(
        run_id=past.first.run_id,
        incarnation=past.first.incarnation,
        path=past.path,
        number=claim.number,
        kind=claim.limits[claim.held].kind,
        name=facts.get("limit", ""),
        key=facts.get("key", ""),
    )
    return _hear(message)


def refused_slots(past: RecordedTurn, error: ErrorInfo) -> list[Input]:
    """For each claim that waits: word that it will never have its slot."""
    found = []
    for path, claim in past.state.claims.items():
        if not claim.is_whole:
            use = claim.limits[claim.held]
            message = LimitAnswered(
                run_id=past.first.run_id,
                incarnation=past.first.incarnation,
                path=path,
                number=claim.number,
                kind=use.kind,
                name=use.name,
                key=use.key,
                error=error,
            )
            found.append(_hear(message))
    return found


def _hear(message: LimitAnswered) -> Input:
    def hear(turn: Activation) -> None:
        limiting.answered(turn, message)

    return hear
