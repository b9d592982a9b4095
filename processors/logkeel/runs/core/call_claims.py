"""Claims of calls of a step's code: to slots of limits, and to budgets (decision 0034). Part of `apply`. Pure.

A try of a call that keeps to limits, or uses up a budget, has an entry of its own in the journal, beside that of the
call: a wait, whose outcome says that it may begin. **That entry is there exactly as long as the claim is.** Both go,
before the event is applied, with the outcome of the call, with the wait for its next try, and with whatever ends the
execution of the step; only a suspension, and an execution that was given back unbegun, end nothing. So no execution
finds a try that it may begin by its journal, and that another one may have begun; and there is no way out that could
forget to give something back.

What a claim may use counts as used when it ends, unless the try says how much it was; nothing of one that still waits.
"""

from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from logkeel.errors import InvariantViolation
from logkeel.records import EventKind, JournalEntry, RunEvent
from logkeel.records.executions import CODE_ENDS, UNBEGUN
from logkeel.runs.core.budgets import Told, most_of, units_of
from logkeel.runs.core.changing import free, path_of
from logkeel.runs.core.limit_claims import LimitClaim
from logkeel.runs.core.limit_uses import uses_of_call
from logkeel.runs.core.paths import is_slot, place_in_code, slot_of, split_place
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.state import Account, RunState


def begin(state: RunState, event: RunEvent, plan: Plan) -> None:
    """A try of a call waits for what it needs."""
    path, entry = path_of(event), _entry(event)
    place = place_in_code(path, entry.position)
    units = units_of(state.info, plan)
    own = most_of(plan, path, units)
    undoes = plan.steps[path].undoes
    uses = {
        unit: most
        for unit, most in sorted(entry.uses.items())
        # What its step has reserved as a whole is not reserved again; what undoes a step has no budgets.
        if unit in units and unit not in own and not undoes
    }
    limits = uses_of_call(state, plan, path, entry.limits, uses)
    state.head.claims += place not in state.claims
    state.claims[place] = LimitClaim(event.revision, event.at_ms, limits, uses=uses)


def reserve(state: RunState, event: RunEvent) -> None:
    """From now on what the try may use is reserved."""
    if _is_refusal(event.journal):
        return
    place = place_of(event.kind, path_of(event), event.journal)
    claim = state.claims[place]
    state.claims[place] = replace(claim, counts=True)
    for unit, amount in event.amounts.items():
        account = state.head.accounts.get(unit, Account())
        state.head.accounts[unit] = replace(account, reserved=account.reserved + amount)


def refuse(state: RunState, event: RunEvent) -> None:
    """The try may never begin: its entry stays until the call has its outcome, and holds nothing."""
    place = place_in_code(path_of(event), _entry(event).position)
    claim = state.claims[place]
    _give_back(state, place, claim, None)
    state.head.claims += 1
    state.claims[place] = LimitClaim(claim.number, claim.since_ms, ())


def end(state: RunState, event: RunEvent) -> None:
    """Before the event is applied: end the claims that end with it, and their entries in the journal."""
    if event.kind == "step_resumed":
        if _is_refusal(event.journal):
            refuse(state, event)
        return
    for place, claim in _ended(state, event.kind, path_of(event), event.reason, event.due_ms, event.journal):
        _give_back(state, place, claim, event.journal)
        forget(state, *split_place(place))
        if event.kind == "step_failed" and claim.counts:
            _leave_uncounted(state, path_of(event), _used(claim, event.journal))


def forget(state: RunState, path: str, position: str) -> None:
    """The entry of a claim that is no more goes."""
    del state.journal[path, position]
    if (path, position) in state.journal_waits:
        del state.journal_waits[path, position]


def amounts_of_calls(state: RunState, told: Told) -> dict[str, int]:
    """What the event that is about to be told reserves for calls, or settles of them, by unit."""
    kind, path, journal = told.kind, told.path, told.journal
    if kind in ("limit_asked", "step_resumed"):
        claim = state.claims.get(place_of(kind, path, journal))
        if _is_refusal(journal):
            return {} if claim is None or not claim.counts else dict.fromkeys(claim.uses, 0)
        begins = claim is not None and not claim.counts
        return dict(claim.uses) if claim is not None and begins else {}
    amounts: dict[str, int] = {}
    for _, claim in _ended(state, kind, path, told.reason, told.due_ms, journal):
        for unit, used in _used(claim, journal).items() if claim.counts else ():
            amounts[unit] = amounts.get(unit, 0) + used
    return amounts


def place_of(kind: EventKind, path: str, journal: JournalEntry | None) -> str:
    """Of an event that reserves for a call: the place of its claim."""
    return path if kind == "limit_asked" or journal is None else place_in_code(path, journal.position)


def _give_back(state: RunState, place: str, claim: LimitClaim, journal: JournalEntry | None) -> None:
    if claim.counts:
        for unit, most in claim.uses.items():
            account = state.head.accounts[unit]
            state.head.accounts[unit] = replace(account, reserved=account.reserved - most)
    free(state, place, _used(claim, journal))


def _leave_uncounted(state: RunState, path: str, used: Mapping[str, int]) -> None:
    """What a failed attempt counts with (`StepState.counted`) is what its step reports, and nothing of its calls."""
    step = state.steps[path]
    counted = {unit: step.counted.get(unit, 0) - amount for unit, amount in used.items()}
    state.steps[path] = replace(step, counted={**step.counted, **counted})


def _used(claim: LimitClaim, journal: JournalEntry | None) -> dict[str, int]:
    """By unit; of a try that has not begun it is nothing. `journal`: of the event that ends it."""
    if not claim.is_whole:
        return dict.fromkeys(claim.uses, 0)
    told = {} if journal is None else journal.used
    return {unit: told.get(unit, most) for unit, most in claim.uses.items()}


def _ended(
    state: RunState,
    kind: EventKind,
    path: str,
    reason: str | None,
    due_ms: int | None,
    journal: JournalEntry | None,
) -> Iterator[tuple[str, LimitClaim]]:
    """Places and claims of calls that end with this event, in the order of their positions."""
    if kind == "step_journaled":
        if journal is None or (journal.state == "intent" and not is_slot(journal.position)):
            return
        place = place_in_code(path, journal.position if is_slot(journal.position) else slot_of(journal.position))
        claim = state.claims.get(place)
        if claim is not None:
            yield place, claim
        return
    lost = kind == "step_reclaimed" and reason == "lost"
    back = kind == "step_released" and (reason not in UNBEGUN or due_ms is not None)
    if kind not in CODE_ENDS and not lost and not back:
        return
    for position, _ in sorted(state.journal.of(path)):
        if is_slot(position):
            place = place_in_code(path, position)
            yield place, state.claims[place]


def _is_refusal(journal: JournalEntry | None) -> bool:
    return journal is not None and journal.waits_for == "limit" and journal.state == "failed"


def _entry(event: RunEvent) -> JournalEntry:
    if event.journal is None:
        raise InvariantViolation(f"{event.kind} without its journal entry", run_id=event.run_id, path=event.path)
    return event.journal
