"""A human's decision about a step in doubt, as a caller writes it. A value."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from logkeel.client.building import plain_writes
from logkeel.records import ResolveStep


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """`decision`: `did` (with its `result` by field), `did_not` or `retry` (P35). `comment` stands in the history."""

    run_id: str
    path: str
    decision: str
    result: Mapping[str, Any] = field(default_factory=dict)
    comment: str | None = None

    def request(self, request_id: str, routing_key: str | None) -> ResolveStep:
        """The record of it. Raises `InvalidInput` for a result that JSON cannot hold."""
        return ResolveStep(
            run_id=self.run_id,
            path=self.path,
            decision=self.decision,
            request_id=request_id,
            routing_key=routing_key,
            writes=plain_writes(self.result),
            comment=self.comment,
        )
