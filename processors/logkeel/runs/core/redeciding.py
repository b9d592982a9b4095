"""Holds a recorded history against the present code: does it still decide what was decided then? Pure.

Of each turn the input is made again from its events, and decided on the state before it; what is decided is compared
with what was recorded, event by event. The first difference ends it: from there on the run would have gone another way.
A turn whose input the events do not tell is applied and counted, not compared.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, fields
from dataclasses import replace as with_values

from msgspec.structs import asdict, replace

from logkeel.errors import InvariantViolation
from logkeel.records import RunEvent
from logkeel.records.turns import turns
from logkeel.runs.core.activation import Activation
from logkeel.runs.core.apply import apply
from logkeel.runs.core.budgeting import go_on
from logkeel.runs.core.inputs_again import inputs_of
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.recorded_turn import Input, RecordedTurn
from logkeel.runs.core.replay import info_from
from logkeel.runs.core.state import RunState
from logkeel.runs.core.turns import begun

OF_ANOTHER_RUN = "of the run it was forked from"
WITHOUT_FORMER_TURNS = "of a conversation whose former turns are not given"
UNMARKED = "recorded before turns were marked"
"""Why turns are not compared, beside kinds of events that do not tell their input."""

SHOWN_CHARACTERS = 80
"""Of a value in the reason of a divergence."""

_CONTENTS = frozenset({"writes", "reads", "payload", "journal"})
"""Fields of events that hold payloads: named where they differ, and not shown."""

_BROKEN = (InvariantViolation, LookupError, ValueError, TypeError)
"""What a decision raises whose code or definition lacks what the history has."""


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first place where history and code part. None stands for "no event". `why`: what differs, for people."""

    revision: int
    recorded: RunEvent | None
    decided: RunEvent | None
    why: str


@dataclass(frozen=True, slots=True)
class Redecided:
    """How a history fared: turns that were decided alike, those not compared (by why), and the first divergence.

    `state`: as the history leaves it; None behind a divergence, and where nothing could be applied.
    """

    compared: int
    not_compared: Mapping[str, int] = field(default_factory=dict)
    divergence: Divergence | None = None
    state: RunState | None = field(default=None, compare=False, repr=False)


def redecide(history: Sequence[RunEvent], plan: Plan, *, before: RunState | None = None) -> Redecided:
    """Go through a history, from its first event on, until it ends or the code decides otherwise.

    `before`: of a turn of a conversation, how the former turn ended; a later turn is not compared without it, since
    what it began with is not in its history. Before a fork the decisions are those of another run: not compared.
    Raises `InvariantViolation` for a history that is empty or does not begin at its beginning.
    """
    if not history:
        raise InvariantViolation("the history is empty")
    info = info_from(history[0], plan)
    recorded = list(turns(history))
    if info.former_revisions and info.kept and before is None:
        return Redecided(0, {WITHOUT_FORMER_TURNS: len(recorded)})
    run = _Run(begun(info, before), plan)
    forked_at = max((event.revision for event in history if event.kind == "run_forked"), default=0)
    for events in recorded:
        why = UNMARKED if not events[0].opens_turn else OF_ANOTHER_RUN if events[0].revision < forked_at else None
        divergence = run.turn(events) if why is None else run.pass_over(events, why)
        if divergence is not None:
            return Redecided(run.compared, dict(run.not_compared), divergence)
    return Redecided(run.compared, dict(run.not_compared), state=run.state)


class _Run:
    """A run on its way through its history."""

    def __init__(self, state: RunState, plan: Plan) -> None:
        self.state, self.plan = state, plan
        self.compared = 0
        self.not_compared: Counter[str] = Counter()

    def turn(self, events: Sequence[RunEvent]) -> Divergence | None:
        """Decide a turn anew."""
        try:
            inputs = inputs_of(RecordedTurn(self.state, self.plan, events))
        except _BROKEN as error:
            return Divergence(events[0].revision, events[0], None, f"it does not fit the state any more: {error}")
        if not inputs:
            return self.pass_over(events, events[0].kind)
        parted: Divergence | None = None
        for number, one in enumerate(inputs, 1):
            # The last one may change the state itself: either it is what happened, or this is the end.
            state = self.state if number == len(inputs) else _copy(self.state)
            divergence = _decide(Activation(state, self.plan, events[0].at_ms), one, events)
            if divergence is None:
                self.state = state
                self.compared += 1
                return None
            if parted is None or divergence.revision > parted.revision:
                parted = divergence
        return parted

    def pass_over(self, events: Sequence[RunEvent], why: str) -> Divergence | None:
        """Apply a turn, and count it."""
        for event in events:
            try:
                apply(self.state, event, self.plan)
            except _BROKEN as error:
                return Divergence(event.revision, event, None, f"it does not fit the state any more: {error}")
        self.state.freed.clear()
        self.not_compared[why] += 1
        return None


def _decide(activation: Activation, one: Input, recorded: Sequence[RunEvent]) -> Divergence | None:
    broken: Exception | None = None
    try:
        one(activation)
        if activation.settled:
            go_on(activation)
    except _BROKEN as error:
        broken = error
    found = _compare(recorded, activation.events)
    if broken is None:
        return found
    revision = recorded[-1].revision if found is None else found.revision
    event = recorded[-1] if found is None else found.recorded
    return Divergence(revision, event, None, f"the code cannot decide this any more: {broken}")


def _compare(recorded: Sequence[RunEvent], decided: Sequence[RunEvent]) -> Divergence | None:
    for then, now in zip(recorded, decided, strict=False):
        if then != now:
            return Divergence(then.revision, then, now, _difference(then, now))
    shared = min(len(recorded), len(decided))
    if len(recorded) > shared:
        return Divergence(recorded[shared].revision, recorded[shared], None, "one event less")
    if len(decided) > shared:
        return Divergence(decided[shared].revision, None, decided[shared], "one event more")
    return None


def _difference(then: RunEvent, now: RunEvent) -> str:
    known, found = asdict(then), asdict(now)
    names = [name for name in known if known[name] != found[name]]
    return "; ".join(
        f"{name} differ" if name in _CONTENTS else f"{name} was {_shown(known[name])}, is {_shown(found[name])}"
        for name in names
    )


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"


def _copy(state: RunState) -> RunState:
    """A state that a decision may change. Items are immutable."""
    maps = {each.name: copy(getattr(state, each.name)) for each in fields(state) if each.name not in ("info", "head")}
    return with_values(state, head=replace(state.head), **maps)
