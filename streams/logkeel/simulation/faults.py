"""Faults that a test plans ahead: each strikes the next matching call once, in the order of planning."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Fault = Literal[
    "commit_applied_in_doubt",
    "commit_lost_in_doubt",
    "commit_late_in_doubt",
    "commit_abortable",
    "commit_repeated",
    "abort_repeated",
    "abort_times_out",
    "send_offsets_stale",
    "send_offsets_abortable",
    "send_offsets_repeated",
    "produce_abortable",
    "produce_fatal",
    "init_times_out",
    "disturbed",
    "offset_commit_lost",
    "offset_commit_unanswered",
    "membership_reset",
]
"""`..._repeated`: the connection broke, the client repeated the request by itself and had success; the first copy
arrives late (P5). `commit_late_in_doubt`: the client gave up, the request arrives late. `membership_reset`: the member
was expelled before its callback was served, so the metadata that it sees there is empty (P4).
"""


@dataclass(slots=True)
class _Planned:
    kind: Fault
    who: str | None


class Faults:
    """The plan. `heard`, if set, is told of each fault that strikes."""

    def __init__(self) -> None:
        self.planned: list[_Planned] = []
        self.heard: Callable[[Fault, str], None] | None = None

    def plan(self, kind: Fault, who: str | None = None) -> None:
        """Let the next call that `kind` concerns fail so; of anybody, or of one transactional id or group member."""
        self.planned.append(_Planned(kind, who))

    def clear(self) -> None:
        """Forget what has not struck."""
        self.planned.clear()

    def strikes(self, kind: Fault, who: str) -> bool:
        """Whether this call is struck; a fault that struck is used up."""
        for index, each in enumerate(self.planned):
            if each.kind == kind and each.who in (None, who):
                del self.planned[index]
                if self.heard is not None:
                    self.heard(kind, who)
                return True
        return False

    @property
    def left(self) -> int:
        """Planned faults that have not struck."""
        return len(self.planned)
