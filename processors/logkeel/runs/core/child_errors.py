"""What a parent is told of a child that did not succeed. Pure."""

from typing import Literal

from logkeel.records import ChildCompleted, ErrorInfo

MESSAGE_CHARACTERS = 2_000
"""Of a child's error: it is told again in every generation, each time with the names of the one below."""


def child_error(message: ChildCompleted, workflow: str) -> ErrorInfo:
    """The failure of the block or the call that waited for this child."""
    known = message.error
    why = message.status if known is None else f"{message.status}: {known.code}: {known.message}"
    text = f"run {message.child_run_id} of workflow {workflow!r} has ended as {why}"
    kind: Literal["timeout", "fatal"] = "timeout" if message.status == "timed_out" else "fatal"
    return ErrorInfo(code="child_failed", kind=kind, message=text[:MESSAGE_CHARACTERS])
