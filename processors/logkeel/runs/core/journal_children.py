"""Child runs that code inside a step starts and waits for: as those of a `child` block (P29). Pure.

A child's path is its step's, a "?", and the position of the call: `agent?3.0.1`. So its run id is the same however
often the code is executed. It is asked for when its intent is in the journal; the intent of a step whose run is paused
is kept until the run is resumed. Its end becomes the outcome.
"""

from msgspec.structs import replace

from logkeel.records import ChildCall, ChildCompleted, JournalEntry, StartRun
from logkeel.runs.core import child_budgets
from logkeel.runs.core.activation import Activation
from logkeel.runs.core.budget_asking import ask_for_more
from logkeel.runs.core.budgets import exhausted
from logkeel.runs.core.child_errors import child_error
from logkeel.runs.core.children import ask_for, child_of_code, limits_of, parent_of, start_problem
from logkeel.runs.core.journal_waits import end_wait, outcome_of
from logkeel.runs.core.limit_claims import share_place
from logkeel.runs.core.paths import place_in_code, split_place

SHARES = 4
"""A call whose author does not say how many runs there may be below its child gets this part of what is left, since
nobody knows how many calls will stand side by side: of 1 000, the first gets 249 and the tenth 18."""


def begin(turn: Activation, path: str, entry: JournalEntry) -> None:
    """Behind the recorded intent: start the child, or end the wait with the reason why that cannot be."""
    call = entry.child
    if call is None or turn.state.sends_nothing:
        return
    info, step, place = turn.state.info, turn.state.steps[path], place_in_code(path, entry.position)
    limits = limits_of(replace(info, parent=turn.state.parent), turn.plan.document)
    left = limits.max_descendants - turn.state.head.descendants
    problem = start_problem(place, limits, left, entry.writes)
    run_id = child_of_code(turn, path, entry.position, call.workflow)
    again = step.begun.get(entry.position) == run_id
    needs_share = problem is None and not again
    lack = child_budgets.lack_of(turn.state, turn.plan, call.uses, SHARES) if needs_share else None
    if lack is not None and lack.waits:
        ask_for_more(turn, place, lack)
        return
    problem = exhausted(place, lack) if lack is not None else problem
    if problem is not None:
        outcome = replace(outcome_of(turn, entry, error=problem), child=call)
        end_wait(turn, path, outcome, "step_resumed", path=path, attempt=step.attempt, dispatch=step.dispatch)
        return
    share = _share(call, left)
    facts = {"workflow": call.workflow, "version": call.version, "descendants": str(1 + share)}
    if again:
        facts["again"] = "true"
    # What it begins with stands in the history already, in the event of the intent.
    noted = replace(entry, writes=())
    # One that is told to go on has what it got when it was started.
    budget = {} if again else child_budgets.share_of(turn.state, turn.plan, call.uses, SHARES)
    turn.record(
        "child_started", path=place, step=step.step, name=run_id, attributes=facts, journal=noted, amounts=budget
    )
    request = StartRun(workflow=call.workflow, version=call.version, run_id=run_id, inputs=entry.writes)
    ask_for(turn, request, replace(parent_of(turn, place, limits, share, budget), again=again))


def _share(call: ChildCall, left: int) -> int:
    """How many runs there may be below it; `left` counts itself."""
    return (left - 1) // SHARES if call.max_descendants is None else min(call.max_descendants, left - 1)


def begin_held(turn: Activation) -> None:
    """The run goes on: the children that were asked for while it was paused, the oldest first."""
    if not turn.plan.has_journals:
        return
    held = sorted(
        (wait.revision, path, position)
        for (path, position), wait in turn.state.journal_waits.items()
        if wait.kind == "child" and not wait.reserved and turn.state.steps[path].is_open
    )
    for _, path, position in held:
        if turn.state.running:
            begin(turn, path, turn.state.journal[path, position])


def ended(turn: Activation, message: ChildCompleted) -> None:
    """A child has ended: the code gets its result, or a failure. Only the wait that started it is told."""
    path, position = split_place(message.path)
    step, wait = turn.state.steps.get(path), turn.state.journal_waits.get((path, position))
    intent = turn.state.journal.get((path, position))
    is_open = turn.state.running and step is not None and step.is_open
    if not is_open or wait is None or intent is None or wait.kind != "child" or wait.revision != message.number:
        settle_late(turn, message)
        return
    end_wait(
        turn,
        path,
        _outcome(turn, intent, message),
        "child_ended",
        path=message.path,
        name=message.child_run_id,
        status=message.status,
        attributes=end_facts(turn, message),
        amounts=message.used,
    )


def settle_late(turn: Activation, message: ChildCompleted) -> None:
    """Nobody waits for this child any more; what it has used counts all the same."""
    if not turn.state.running or share_place(message.number) not in turn.state.claims:
        turn.ignore("nobody waits for this child any more")
        return
    facts, path = {child_budgets.NUMBER: str(message.number)}, message.path
    turn.record("child_settled", path=path, name=message.child_run_id, attributes=facts, amounts=message.used)


def end_facts(turn: Activation, message: ChildCompleted) -> dict[str, str]:
    """What the event of its end says of a child."""
    facts = {"descendants": str(message.descendants)}
    if _never_began(message):
        facts["refused"] = "true"
    if turn.state.head.claims and share_place(message.number) in turn.state.claims:
        facts[child_budgets.NUMBER] = str(message.number)
    return facts


def _never_began(message: ChildCompleted) -> bool:
    """Whether its start was refused: who tries again starts it."""
    return not message.child_incarnation and message.status != "succeeded"


def _outcome(turn: Activation, intent: JournalEntry, message: ChildCompleted) -> JournalEntry:
    if intent.child is None:
        return outcome_of(turn, intent)
    call = replace(intent.child, run_id=None if _never_began(message) else message.child_run_id)
    if message.status == "succeeded":
        return replace(outcome_of(turn, intent), child=replace(call, result=message.result))
    return replace(outcome_of(turn, intent, error=child_error(message, call.workflow)), child=call)
