"""Faults that a test plans ahead: each strikes the next matching call once, in the order of planning."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Fault = Literal[
    "commit_applied_in_doubt",
    "commit_lost_in_doubt",
    "commit_abortable",
    "send_offsets_stale",
    "send_offsets_abortable",
    "produce_abortable",
    "produce_fatal",
    "init_times_out",
    "disturbed",
]


@dataclass(slots=True)
class _Planned:
    kind: Fault
    transactional_id: str | None


class Faults:
    """The plan. `probe`, if set, is called with the name of every effect before it happens (crash points)."""

    def __init__(self) -> None:
        self._planned: list[_Planned] = []
        self.probe: Callable[[str], None] | None = None

    def plan(self, kind: Fault, transactional_id: str | None = None) -> None:
        """Let the next call that `kind` concerns fail so; of any producer, or of one."""
        self._planned.append(_Planned(kind, transactional_id))

    def strikes(self, kind: Fault, transactional_id: str) -> bool:
        """Whether this call is struck; a fault that struck is used up."""
        for index, each in enumerate(self._planned):
            if each.kind == kind and each.transactional_id in (None, transactional_id):
                del self._planned[index]
                return True
        return False

    def at(self, effect: str) -> None:
        """Tell the probe that `effect` is about to happen."""
        if self.probe is not None:
            self.probe(effect)

    @property
    def left(self) -> int:
        """Planned faults that have not struck."""
        return len(self._planned)
