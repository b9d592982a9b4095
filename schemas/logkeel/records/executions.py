"""What events say of the execution of a step, for all who read histories. Pure."""

from typing import Final

from logkeel.records.outcomes import EventKind

CODE_ENDS: Final[frozenset[EventKind]] = frozenset(
    {
        "step_succeeded",
        "step_failed",
        "step_revoked",
        "step_restarted",
        "step_in_doubt",
        "step_refused",
        "step_held",
    }
)
"""Behind these the step's code does not go on from where it was."""

UNBEGUN: Final = ("not started", "state needed")
"""Reasons of `step_released` of an execution that had not begun."""
