"""The context of the journaled call that runs now, for functions that are not handed one."""

from contextvars import ContextVar
from typing import TYPE_CHECKING

from logkeel.errors import StepSignatureError

if TYPE_CHECKING:
    from logkeel.workflow.context import StepContext

CURRENT: "ContextVar[StepContext | None]" = ContextVar("logkeel_current_step", default=None)


def current_step() -> "StepContext":
    """The StepContext of the journaled call that this code runs in: its `idempotency_key` is the call's own.

    Raises `StepSignatureError` outside of one.
    """
    context = CURRENT.get()
    if context is None:
        raise StepSignatureError(
            "current_step() is for functions called by step.run(...): take a StepContext parameter"
        )
    return context
