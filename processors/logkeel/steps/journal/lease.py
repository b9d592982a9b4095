"""Whether an execution may still be its step's only one, by the worker's own clock (P39). Pure.

The engine takes a step away when nothing was accepted of it for its heartbeat time-out, 5 s at the least. So whoever
has had something acknowledged that was sent less than 5 s ago, in time, and so on back to the claim, still holds it.
Once the chain has broken it stays broken: an acknowledgement does not say what the engine made of the record. What
waited in this process for a connection is acknowledged all at once, each sent soon after the other, and proves nothing.
"""

LEASE_S = 5.0
"""The shortest heartbeat time-out an author may declare (`workflow.timeouts`), and half of the session time-out."""


class Lease:
    """Begins with the claim; monotonic seconds."""

    __slots__ = ("_lost", "_until_s")

    def __init__(self, claimed_at_s: float) -> None:
        self._until_s = claimed_at_s + LEASE_S
        self._lost = False

    def confirm(self, sent_at_s: float, acknowledged_at_s: float) -> None:
        """What was sent at the one moment was acknowledged at the other, now."""
        if acknowledged_at_s >= self._until_s:
            self._lost = True
        else:
            self._until_s = max(self._until_s, sent_at_s + LEASE_S)

    def holds(self, now_s: float) -> bool:
        """Whether a call that must not happen twice may begin now."""
        return not self._lost and now_s < self._until_s
