"""`await workflow.try_out(...)`: one run in memory, by the production engine and worker, in milliseconds."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import Any
from uuid import uuid4

from logkeel.client.building import input_digest, inputs_of, payload_of
from logkeel.client.client import accepted, result_of
from logkeel.errors import WaitTimedOut
from logkeel.payloads import PLAIN
from logkeel.projection import RunView
from logkeel.projection.projection import fold
from logkeel.records import SignalRun, StartRun
from logkeel.testing.memory import MemoryApplication
from logkeel.testing.people import People, Person
from logkeel.workflow import Workflow


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What is outside of the run: `resources` replaces openers by function or name; `humans` answer questions by name

    (`{"approve": "approve"}`, `("edit", "better")`, a function, or None: nobody); `signals` are sent with the start,
    each a name or a name and a payload.
    """

    resources: Mapping[Any, Any] | None = None
    humans: Mapping[str, Person] = field(default_factory=dict)
    signals: Sequence[str | tuple[str, Any]] = ()


async def run_in_memory(workflow: "Workflow[Any]", inputs: Mapping[str, Any], **outside: Any) -> Any:
    """What the workflow returns; `outside` are `Surroundings`. Cancelling it stops the run.

    Sleeps and deadlines of days pass at once. Raises `InvalidInput`, `RunFailed`, `RequestWasRejected`; `WaitTimedOut`
    if the run waits for somebody outside: a human without an answer, a signal, a `ONCE` step in doubt.
    """
    given_up = Event()
    surroundings = Surroundings(**outside)
    running = asyncio.get_running_loop().run_in_executor(None, _run, workflow, inputs, surroundings, given_up)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        given_up.set()
        await asyncio.gather(running, return_exceptions=True)
        raise


def _run(workflow: "Workflow[Any]", inputs: Mapping[str, Any], outside: Surroundings, given_up: Event) -> Any:
    run_id, request_id, writes = f"try-{uuid4().hex[:8]}", uuid4().hex, inputs_of(workflow, inputs)
    request = StartRun(
        workflow=workflow.name,
        version=workflow.version,
        run_id=run_id,
        request_id=request_id,
        conversation_id=workflow.conversation_id(inputs),
        inputs=PLAIN.wrap_writes(writes, f"the input of workflow {workflow.name!r}"),
        input_digest=input_digest(writes),
    )
    people = People(outside.humans)
    workflows = [workflow, *(child for child in workflow.children.values() if child is not workflow)]
    with MemoryApplication(workflows, resources=outside.resources) as application:
        application.send(request, key=run_id)
        for number, each in enumerate(outside.signals):
            application.send(_signal(run_id, number, each), key=run_id)

        def answered() -> bool:
            view = _view(application, run_id) if outside.humans else None
            answers = [] if view is None else people.answers(view)
            for answer in answers:
                application.send(answer.request(uuid4().hex, None), key=run_id)
            return bool(answers)

        application.run_until(lambda: given_up.is_set() or application.outcome(run_id) is not None, outside=answered)
        outcome = application.outcome(run_id)
        if outcome is not None:
            return result_of(workflow, accepted(outcome))
        raise WaitTimedOut(f"the run waits: {_waits(application, run_id)}", run_id=run_id)


def _signal(run_id: str, number: int, signal: str | tuple[str, Any]) -> SignalRun:
    name, payload = (signal, None) if isinstance(signal, str) else signal
    content = None if payload is None else payload_of(name, payload)
    return SignalRun(run_id=run_id, name=name, request_id=f"{run_id}-{number}", payload=content)


def _view(application: MemoryApplication, run_id: str) -> RunView | None:
    history = application.history(run_id)
    return fold(history) if history else None


def _waits(application: MemoryApplication, run_id: str) -> str:
    view = _view(application, run_id)
    if view is None:
        return "it was not accepted yet"
    steps = [f"step {step.path} is {step.phase}" for step in view.current_steps]
    waits = [f"{wait.path} waits for a {wait.kind} {wait.name}".rstrip() for wait in view.waits.values()]
    return ", ".join([*steps, *waits])
