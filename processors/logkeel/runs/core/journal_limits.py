"""Calls of a step's code that keep to limits and budgets: asked for, granted, refused (decision 0034). Pure.

A try of a call waits as code waits for anything: its worker writes a wait, the engine its outcome, and the step is
executed by its journal when that has come. What it may use of the budgets of its run is reserved first, then slots are
asked for in the order of everybody; so who holds a slot waits for no budget of its run.
"""

from logkeel.records import ErrorInfo, JournalEntry
from logkeel.runs.core import budgets
from logkeel.runs.core.activation import Activation
from logkeel.runs.core.budget_asking import ask_for_more
from logkeel.runs.core.journal_waits import end_wait, outcome_of
from logkeel.runs.core.limit_asking import ask
from logkeel.runs.core.paths import is_in_code, is_slot, place_in_code, split_place
from logkeel.runs.core.state import RunState


def is_news(state: RunState, path: str, entry: JournalEntry, known: JournalEntry | None) -> bool:
    """Whether it is the wait of a try that is not known, of a call that has no outcome. `ordinal` counts tries."""
    call = state.journal.get((path, entry.position.removesuffix(".s")))
    if entry.state != "intent" or not is_slot(entry.position) or (call is not None and call.state != "intent"):
        return False
    return known is None or (known.state == "done" and known.ordinal < entry.ordinal)


def begin(turn: Activation, path: str, position: str) -> None:
    """Reserve what the try may use, then ask for its slots. If too little is left it waits, or may never begin."""
    place = place_in_code(path, position)
    claim = turn.state.claims[place]
    lack = budgets.lack(turn.state, turn.plan, claim.uses)
    if lack is not None and not lack.waits:
        refused(turn, place, budgets.exhausted(f"call {turn.state.journal[path, position].name!r} of {path}", lack))
    elif lack is not None:
        ask_for_more(turn, place, lack)
    elif claim.limits:
        ask(turn, place, claim)
    else:
        granted(turn, place)


def granted(turn: Activation, place: str) -> None:
    """Nothing is in the way of the try any more."""
    _end(turn, place, None)


def refused(turn: Activation, place: str, error: ErrorInfo) -> None:
    """The try may never begin: the call fails."""
    _end(turn, place, error)


def go_on(turn: Activation, place: str) -> None:
    """What a budget had reserved is settled: the try may go on, if it waits for that still."""
    if turn.state.running and place in turn.state.claims and _waits(turn.state, place):
        begin(turn, *split_place(place))


def waiting(state: RunState) -> list[tuple[int, str]]:
    """Tries that wait for a budget of their run, with the revisions since which they do."""
    claims = state.claims.items() if state.head.claims else ()
    return [(claim.number, place) for place, claim in claims if is_in_code(place) and _waits(state, place)]


def _waits(state: RunState, place: str) -> bool:
    claim = state.claims[place]
    return bool(claim.uses) and not claim.counts and split_place(place) in state.journal_waits


def _end(turn: Activation, place: str, error: ErrorInfo | None) -> None:
    path, position = split_place(place)
    step, intent = turn.state.steps[path], turn.state.journal[path, position]
    outcome = outcome_of(turn, intent, error=error)
    end_wait(turn, path, outcome, "step_resumed", path=path, attempt=step.attempt, dispatch=step.dispatch)
