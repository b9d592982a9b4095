"""Executes the durable code of a workflow as a worker does, on simulated time, with a journal that outlives it."""

import asyncio
from collections.abc import Callable
from typing import Any

from tests.unit.steps.commands import SOURCE

from logkeel.payloads import PLAIN
from logkeel.records import FieldValue, FieldWrite, JournalEntry, StepCommand, StepIdentity
from logkeel.simulation import SimulatedClock, SimulatedEventLoop
from logkeel.steps.attempt import Attempt, new_attempt
from logkeel.steps.catalog import StepCatalog
from logkeel.steps.execution import Execution, Outcome
from logkeel.steps.machine.messages import StartStep
from logkeel.steps.resources import ResourcePool
from logkeel.workflow import Workflow

ACKNOWLEDGED_AFTER_S = 0.002


class Stage:
    """`entries` is the journal: by position the newest word. `lose_after`: entries beyond so many are never kept.

    `emitted`: each value with its dispatch.
    """

    def __init__(self, workflow: "Workflow[Any]", **inputs: Any) -> None:
        self.workflow = workflow
        self.definition = workflow.definition()
        self.inputs = tuple(_value(write) for write in workflow.encode_input(inputs))
        self.clock = SimulatedClock(1_700_000_000_000)
        self.entries: dict[str, JournalEntry] = {}
        self.sent: list[JournalEntry] = []
        self.dispatch = 0
        self.payloads = PLAIN
        self.lose_after: int | None = None
        self.emitted: list[tuple[int, bytes]] = []
        self.on_kept: Callable[[JournalEntry], None] = lambda _: None

    def command(self) -> StepCommand:
        """The next command of the step."""
        (step,) = self.workflow.steps
        self.dispatch += 1
        return StepCommand(
            identity=StepIdentity(run_id="r", incarnation="i", path=step, step=step, attempt=1, dispatch=self.dispatch),
            workflow=self.workflow.name,
            version="1",
            definition_digest=self.definition.digest,
            routing_key="r",
            home_partition=0,
            effect="IDEMPOTENT",
            idempotency_key="key",
            revision=1,
            dispatched_at_ms=self.clock.now_ms(),
            inputs=self.inputs,
            journal=tuple(self.entries.values()),
            journal_since_ms=1_700_000_000_000,
        )

    def execute(self, *, lose_after: int | None = None) -> Outcome | None:
        """Execute once. `lose_after`: the process dies when so many entries are kept; its outcome is None then."""
        self.lose_after = None if lose_after is None else len(self.sent) + lose_after
        self.loop = SimulatedEventLoop(self.clock)
        try:
            return self.loop.run_until_complete(self._execute())
        finally:
            self.loop.close()

    def result(self) -> Any:
        """Execute once more; what the workflow returns. Fails if the step does."""
        outcome = self.execute()
        writes = getattr(outcome, "writes", None)
        assert writes is not None, outcome
        return self.workflow.result([_value(write) for write in writes])

    async def _execute(self) -> Outcome | None:
        self.died = self.loop.create_future()
        execution = Execution(
            StepCatalog([self.workflow], payloads=self.payloads),
            self.clock,
            holder="me",
            resources=ResourcePool(),
            threads=None,
            send_entry=self._send,
        )
        execution.emit = lambda emissions, value: self.emitted.append((emissions.identity.dispatch, value))
        now_s = self.clock.monotonic_s()
        start = StartStep(SOURCE, 0, self.command(), claimed=True)
        attempt: Attempt = new_attempt(start, claimed_at_s=now_s, now_ms=self.clock.now_ms(), now_s=now_s)
        answering = self.loop.create_task(execution.answer(attempt))
        beating = self.loop.create_task(self._beat(attempt))
        await asyncio.wait({answering, self.died}, return_when=asyncio.FIRST_COMPLETED)
        beating.cancel()
        if answering.done():
            return answering.result()
        answering.cancel()
        await asyncio.wait({answering})
        return None

    async def _beat(self, attempt: Attempt) -> None:
        """Heartbeats, acknowledged at once."""
        while attempt.lease is not None:
            attempt.lease.confirm(self.clock.monotonic_s(), self.clock.monotonic_s())
            await asyncio.sleep(2)

    def _send(self, command: StepCommand, entry: JournalEntry, kept: Callable[[], None]) -> None:
        if self.lose_after is not None and len(self.sent) >= self.lose_after:
            if not self.died.done():
                self.died.set_result(None)
            return
        self.sent.append(entry)
        self.entries[entry.position] = entry
        self.on_kept(entry)
        self.loop.call_later(ACKNOWLEDGED_AFTER_S, kept)


def _value(write: FieldWrite) -> FieldValue:
    return FieldValue(
        field=write.field, revision=1, payload=write.payload, is_control=write.is_control, control=write.control
    )
