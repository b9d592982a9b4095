"""Events of runs, for tests."""

from typing import Any

from logkeel.records import RunEvent


def event(run_id: str, revision: int, kind: Any, at_ms: int, **more: Any) -> RunEvent:
    """One event of the first life of a run."""
    facts: dict[str, Any] = {"incarnation": "i", "workflow": "w", "version": "1", "definition_digest": "0" * 64, **more}
    return RunEvent(run_id=run_id, revision=revision, kind=kind, at_ms=at_ms, **facts)
