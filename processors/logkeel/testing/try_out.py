"""`await workflow.try_out(...)`: one run in memory, by the production engine and worker, in milliseconds."""

import asyncio
from collections.abc import Mapping
from contextlib import closing
from datetime import timedelta
from threading import Event
from typing import Any
from uuid import uuid4

from logkeel.client import StreamReader
from logkeel.client.building import input_digest, inputs_of
from logkeel.errors import InvalidInput
from logkeel.payloads import PLAIN
from logkeel.records import Request, RequestRejected, RunCompleted, StartRun
from logkeel.steps.bound import RunnableWorkflow
from logkeel.testing.faking import FakedWorkflow
from logkeel.testing.history_text import history_text
from logkeel.testing.memory import MemoryApplication
from logkeel.testing.people import Due, People
from logkeel.testing.watching import RunWatch
from logkeel.workflow import Workflow
from logkeel.workflow.trials import EmittedValue, Fakes, Trial


async def run_in_memory(workflow: "Workflow[Any]", inputs: Mapping[str, Any], fakes: Fakes | None = None) -> Trial:
    """Play one run until it ends, or waits for somebody outside whom nobody fakes. Cancelling it stops the run.

    Raises `InvalidInput`, and `DefinitionError` for a fake that fits nothing.
    """
    given_up = Event()
    running = asyncio.get_running_loop().run_in_executor(None, _run, workflow, inputs, fakes or Fakes(), given_up)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        given_up.set()
        await asyncio.gather(running, return_exceptions=True)
        raise


def start_request(workflow: "Workflow[Any]", inputs: Mapping[str, Any], run_id: str) -> StartRun:
    """The request that starts a run with this input. Raises `InvalidInput`, `PayloadTooLarge`."""
    writes = inputs_of(workflow, inputs)
    return StartRun(
        workflow=workflow.name,
        version=workflow.version,
        run_id=run_id,
        request_id=f"start/{run_id}",
        conversation_id=workflow.conversation_id(inputs),
        inputs=PLAIN.wrap_writes(writes, f"the input of workflow {workflow.name!r}"),
        input_digest=input_digest(writes),
    )


def _run(workflow: "Workflow[Any]", inputs: Mapping[str, Any], fakes: Fakes, given_up: Event) -> Trial:
    run_id = f"try-{uuid4().hex[:8]}"
    request = start_request(workflow, inputs, run_id)
    faked = FakedWorkflow(workflow, fakes.results)
    children = [child for child in workflow.children.values() if child is not workflow]
    runnable: list[RunnableWorkflow] | None = [faked, *children] if fakes.results else None
    with MemoryApplication([workflow, *children], resources=fakes.resources, runnable=runnable) as application:
        stage = _Stage(application, People(workflow, fakes, run_id), given_up)
        application.send(request, key=run_id)
        application.run_until(stage.is_over, due_ms=stage.next_due_ms)
        return stage.trial(faked)


class _Stage:
    """One run on an application in memory, with the people around it."""

    def __init__(self, application: MemoryApplication, people: People, given_up: Event) -> None:
        self._application = application
        self._people = people
        self._given_up = given_up
        self._watch = RunWatch(application.client, application.names, 1, people.workflow, people.run_id)
        self._pending: list[Due] = people.senders(self._now_ms())

    def _now_ms(self) -> int:
        return self._application.cluster.clock.now_ms()

    def is_over(self) -> bool:
        """Let the people act; whether the run has ended, or nothing is left that they could do."""
        watch, people = self._watch, self._people
        if watch.catch_up():
            self._pending += people.answers(watch.open_questions())
        for due in [due for due in self._pending if due.at_ms <= self._now_ms()]:
            self._pending.remove(due)
            self._send(due.request)
        return watch.outcome is not None or self._given_up.is_set() or self._is_missing_somebody()

    def _is_missing_somebody(self) -> bool:
        """Whether only humans whom nobody fakes, or the time-outs of their questions, could bring the run on now."""
        state, missing = self._watch.state, {path for path, _, _ in self._people.missing}
        if not missing or state is None or self._pending:
            return False
        moving = [path for path, step in state.steps.items() if step.is_open and step.phase != "in_doubt"]
        moving = [path for path in moving if path not in {asked.rpartition("/")[0] for asked in missing}]
        moving += [path for path, wait in state.waits.items() if path not in missing and wait.kind not in _AROUND]
        return not moving

    def _send(self, request: Request) -> None:
        self._application.send(request, key=self._people.run_id)

    def next_due_ms(self) -> int | None:
        """When the run goes on by itself, or somebody acts."""
        if self._watch.is_at_work():
            return None
        dues = [due.at_ms for due in self._pending]
        own_ms = self._watch.next_due_ms()
        return min([*dues, *([] if own_ms is None else [own_ms])], default=None)

    def trial(self, faked: FakedWorkflow) -> Trial:
        """What became of it."""
        watch, outcome = self._watch, self._watch.outcome
        completed = outcome if isinstance(outcome, RunCompleted) else None
        events, workflow = watch.events, self._people.workflow
        waits = () if outcome is not None else (*watch.waits_for(), *self._people.missing.values())
        took_ms = events[-1].at_ms - events[0].at_ms if events else 0
        succeeded = completed is not None and completed.status == "succeeded"
        return Trial(
            run_id=watch.run_id,
            status="running" if completed is None else completed.status,
            result=workflow.result(completed.result) if succeeded and completed is not None else None,
            state=self._state(),
            error=None if completed is None else completed.error,
            events=tuple(events),
            history=history_text(events),
            attempts=watch.attempts(),
            simulated=timedelta(milliseconds=took_ms),
            questions=tuple(self._people.questions),
            waits_for=waits,
            unused=(*faked.unused(), *self._people.unused(), *self._unsent()),
            rejection=outcome if isinstance(outcome, RequestRejected) else None,
            emitted=self._emitted(),
        )

    def _emitted(self) -> tuple[EmittedValue, ...]:
        application = self._application
        with closing(StreamReader(application.client, application.names, self._watch.run_id)) as reader:
            end, found = reader.end(), []
            while not reader.reached(end):
                found += reader.poll(0.0)
        return tuple(EmittedValue(it.path, it.attempt, it.dispatch, it.sequence, it.value) for it in found)

    def _state(self) -> Any:
        """As an instance of its class; None if what there is makes none, as of an input that does not fit."""
        watch = self._watch
        try:
            return self._people.workflow.decode_state(
                watch.fields(), completed_steps=watch.completed(), errors=watch.errors()
            )
        except InvalidInput:
            return None

    def _unsent(self) -> list[str]:
        state = self._watch.state
        stored = (
            [] if state is None else [f"signal {each.name!r}: nobody waited for it" for each in state.signals.values()]
        )
        return [*stored, *(f"{type(due.request).__name__}: the run had ended before" for due in self._pending)]


_AROUND = ("within",)
"""What holds others, and waits for nothing by itself."""
