"""The transaction coordinator: one open transaction per transactional id, epochs that fence, time-outs that abort.

    open ── EndTxn answered ──► prepared: outcome known, markers under way ──► over, all markers on their logs

While markers are under way the id cannot begin anew nor be initialised; the client waits for that by itself
(`await_markers`). An EndTxn without an open transaction changes nothing, so a duplicate that arrives at once is
harmless; one that arrives when the same epoch has opened its next transaction ends that one (P5).
"""

from collections.abc import Callable
from dataclasses import dataclass

from logkeel.errors import ProducerFenced
from logkeel.log import Clock
from logkeel.simulation.partition_log import Outcome, Transaction


@dataclass(eq=False, slots=True)
class _Identity:
    epoch: int = -1
    timeout_ms: int = 10_000
    transaction: Transaction | None = None
    last: Transaction | None = None


class TransactionCoordinator:
    """Keeps identities and ends transactions.

    `on_end` writes markers and applies or drops pending offsets, `await_markers` returns when it has; `scan_ms` is how
    often time-outs are looked for.
    """

    def __init__(
        self,
        clock: Clock,
        on_end: Callable[[Transaction], None],
        await_markers: Callable[[Transaction], None],
        scan_ms: float = 0.0,
    ) -> None:
        self._clock = clock
        self._on_end = on_end
        self._await_markers = await_markers
        self._scan_ms = scan_ms
        self._scanned_ms = 0
        self._identities: dict[str, _Identity] = {}

    def initialise(self, transactional_id: str, timeout_ms: int) -> int:
        """A new epoch: older instances are fenced, what they left open is aborted."""
        identity = self._identities.setdefault(transactional_id, _Identity())
        self._end(identity, commit=False)
        identity.epoch += 1
        identity.timeout_ms = timeout_ms
        self._settle(identity)
        return identity.epoch

    def open(self, transactional_id: str, epoch: int) -> Transaction:
        """The open transaction of that epoch, begun now if there is none. Raises `ProducerFenced`."""
        identity = self._checked(transactional_id, epoch)
        if identity.transaction is None:
            self._settle(identity)
            # Time may have passed meanwhile.
            self._checked(transactional_id, epoch)
            identity.transaction = Transaction(transactional_id, self._clock.now_ms())
        return identity.transaction

    def current(self, transactional_id: str, epoch: int) -> Transaction | None:
        """The open transaction of that epoch, if there is one. Raises `ProducerFenced`."""
        identity = self._identities[transactional_id]
        return (identity if identity.epoch == epoch else self._checked(transactional_id, epoch)).transaction

    def ended_as(self, transactional_id: str, epoch: int) -> Outcome | None:
        """How the last transaction of that epoch ended, unless one is open. Raises `ProducerFenced`."""
        identity = self._checked(transactional_id, epoch)
        return None if identity.transaction is not None or identity.last is None else identity.last.outcome

    def end(self, transactional_id: str, epoch: int, *, commit: bool) -> None:
        """End the open transaction; one that wrote nothing leaves no trace. Raises `ProducerFenced`."""
        self._end(self._checked(transactional_id, epoch), commit=commit)

    def expire(self) -> None:
        """Abort transactions that are open for longer than their time-out, and fence their producers."""
        now_ms = self._clock.now_ms()
        if now_ms - self._scanned_ms < self._scan_ms:
            return
        self._scanned_ms = now_ms
        for identity in self._identities.values():
            transaction = identity.transaction
            if transaction is not None and now_ms - transaction.started_ms > identity.timeout_ms:
                self._end(identity, commit=False)
                identity.epoch += 1

    def scan_due_ms(self) -> float:
        """In how long time-outs are looked for again."""
        return max(0.0, self._scan_ms - (self._clock.now_ms() - self._scanned_ms))

    def open_transactions(self) -> list[Transaction]:
        """Every transaction that nobody has ended."""
        return [each.transaction for each in self._identities.values() if each.transaction is not None]

    def _settle(self, identity: _Identity) -> None:
        if identity.last is not None and identity.last.unmarked:
            self._await_markers(identity.last)

    def _checked(self, transactional_id: str, epoch: int) -> _Identity:
        identity = self._identities[transactional_id]
        if identity.epoch != epoch:
            raise ProducerFenced(f"{transactional_id} has epoch {identity.epoch}, this instance has {epoch}")
        return identity

    def _end(self, identity: _Identity, *, commit: bool) -> None:
        transaction, identity.transaction = identity.transaction, None
        if transaction is not None:
            identity.last = transaction
            transaction.outcome = "committed" if commit else "aborted"
            self._on_end(transaction)
