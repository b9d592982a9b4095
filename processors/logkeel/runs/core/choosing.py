"""What control fields say: which case of a branch, and whether a loop is left. Pure."""

from logkeel.records import Control
from logkeel.runs.core.places import Placed, PlacedChoice, PlacedLeave
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.reading import field_value
from logkeel.runs.core.state import RunState
from logkeel.runs.core.targets import Target


def chosen(state: RunState, plan: Plan, choice: PlacedChoice) -> Target:
    """Where a branch block goes on."""
    value = control_at(state, plan, choice, choice.field)
    return next((first for case, first in choice.cases if same(case, value)), choice.otherwise)


def leaves(state: RunState, plan: Plan, leave: PlacedLeave) -> bool:
    """Whether its loop is left here."""
    return same(control_at(state, plan, leave, leave.field), leave.value)


def control_at(state: RunState, plan: Plan, place: Placed, name: str) -> Control:
    """A control field as it is seen at a place; None if it is not set."""
    value = field_value(state, plan, name, place.reading)
    return None if value is None else value.control


def same(left: Control, right: Control) -> bool:
    """Equality of control values: True is not 1."""
    return left == right and isinstance(left, bool) == isinstance(right, bool)
