"""Who is told through which channels: names of a flow (`notify=`, `assignee=`) to targets. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from logkeel.notify.cases import KINDS, Kind, Target
from logkeel.projection import WaitView

EVERYBODY_ELSE = "*"
"""The route of names that have none."""


@dataclass(frozen=True, slots=True)
class Routes:
    """`table`: targets by name. `kinds`: what a channel is told of; all, unless it is listed.

    `fingerprints`: of a channel's address, by which one that was switched off is known to be another one now.
    """

    channels: Collection[str]
    table: Mapping[str, Sequence[Target]]
    kinds: Mapping[str, Collection[Kind]] = field(default_factory=dict)
    fingerprints: Mapping[str, str] = field(default_factory=dict)

    def targets(self, question: WaitView, kind: Kind) -> tuple[Target, ...]:
        """Who is to hear of it now. Empty: nobody is configured for it.

        A question goes where `notify=` says, else to its assignee. One that was handed on, or escalated, goes to who is
        asked now, and to `notify=` if there is no route for them.
        """
        handed_on = question.escalated or question.reassigned_by is not None
        names = (question.assignee, question.notify) if handed_on else (question.notify, question.assignee)
        found = next((routed for name in names if name and (routed := self._of(name))), None)
        routed = self.table.get(EVERYBODY_ELSE, ()) if found is None else found
        return tuple(target for target in routed if self.wants(target, kind))

    def wants(self, target: Target, kind: Kind) -> bool:
        """Whether its channel is told of such a thing."""
        return kind in self.kinds.get(target.channel, KINDS)

    def _of(self, name: str) -> Sequence[Target]:
        return self.table.get(name) or self._direct(name)

    def _direct(self, name: str) -> Sequence[Target]:
        """`slack:#editors` names a channel of the configuration itself."""
        target = target_of(name)
        return (target,) if target.channel in self.channels else ()


def target_of(text: str) -> Target:
    """`mail:ada@example.com`, or only a channel's name."""
    channel, _, recipient = text.partition(":")
    return Target(channel, recipient)
