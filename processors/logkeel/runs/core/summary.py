"""What a run has behind it, for a step or a completion that asks: completed steps and failed attempts. Pure.

Made of the engine's own control state; no payload is read. What does not fit is left out, the oldest first: a look
back must not fail a run. It is the whole run as of the dispatch: a branch of a fork sees what siblings have completed.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from logkeel.records import FieldValue, Payload, RunSummary, StepErrorSummary
from logkeel.records.limits import MAX_PAYLOAD_BYTES, MAX_RUN_SUMMARY_BYTES
from logkeel.runs.core.state import Milestone, RunState

T = TypeVar("T")

FRAME_BYTES = 24
"""Lengths and the attempt of one entry in Avro are fewer; the numbers of the summary itself take as much once."""


def summary_of(state: RunState) -> RunSummary:
    """What a command carries, in at most `MAX_RUN_SUMMARY_BYTES`. Errors may take half of them, steps the rest."""
    completed, failed, forgotten = _milestones(state)
    budget_bytes = MAX_RUN_SUMMARY_BYTES - 2 * FRAME_BYTES
    errors = _newest(failed, _error_bytes, budget_bytes // 2)
    steps = _newest(completed, _path_bytes, budget_bytes - sum(map(_error_bytes, errors)))
    return RunSummary(
        schema_version=state.info.schema_version,
        attempts=state.head.attempts,
        completed_steps=tuple(steps),
        errors=tuple(errors),
        omitted_steps=len(completed) - len(steps),
        omitted_errors=forgotten + len(failed) - len(errors),
    )


def view_value(state: RunState, name: str) -> FieldValue | None:
    """A field of `VIEW_FIELDS` as a completion carries it: JSON that the engine makes, at most `MAX_PAYLOAD_BYTES`."""
    if name == "schema_version":
        return _json(name, msgspec.json.encode(state.info.schema_version))
    completed, failed, _ = _milestones(state)
    items: Sequence[object] = completed if name == "completed_steps" else failed
    texts = _newest([msgspec.json.encode(item) for item in items], _text_bytes, MAX_PAYLOAD_BYTES - 2)
    return _json(name, b"[" + b",".join(texts) + b"]")


def _milestones(state: RunState) -> tuple[list[str], list[StepErrorSummary], int]:
    """Completed steps and failures in the order of the history; how many failures are not kept any more."""
    found = sorted(state.milestones.items(), key=lambda item: item[1].revision)
    completed = [path for (path, _), milestone in found if milestone.number == 0]
    failures = [(path, milestone) for (path, _), milestone in found if milestone.number]
    last = {path: milestone.number for path, milestone in failures}
    return completed, [_error(*failure) for failure in failures], sum(last.values()) - len(failures)


def _error(path: str, milestone: Milestone) -> StepErrorSummary:
    return StepErrorSummary(path=path, attempt=milestone.attempt, code=milestone.code, message=milestone.message)


def _newest(items: Sequence[T], size_of: Callable[[T], int], budget_bytes: int) -> list[T]:
    """The last items that fit together, in their order."""
    kept: list[T] = []
    for item in reversed(items):
        budget_bytes -= size_of(item)
        if budget_bytes < 0:
            break
        kept.append(item)
    return kept[::-1]


def _path_bytes(path: str) -> int:
    return FRAME_BYTES + len(path.encode())


def _error_bytes(error: StepErrorSummary) -> int:
    return FRAME_BYTES + sum(len(text.encode()) for text in (error.path, error.code, error.message))


def _text_bytes(text: bytes) -> int:
    return len(text) + 1


def _json(name: str, data: bytes) -> FieldValue:
    return FieldValue(field=name, revision=0, payload=Payload(encoding="json", data=data))
