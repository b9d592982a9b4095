"""`await workflow.try_out(...)`: one run in memory, by the production engine and worker, in milliseconds."""

import asyncio
from collections.abc import Mapping
from threading import Event
from typing import Any
from uuid import uuid4

from logkeel.client.building import input_digest, inputs_of
from logkeel.client.client import accepted, result_of
from logkeel.errors import WaitTimedOut
from logkeel.projection import QuestionView, Wait
from logkeel.projection.projection import fold
from logkeel.records import StartRun
from logkeel.testing.memory import MemoryApplication
from logkeel.workflow import Workflow


async def run_in_memory(
    workflow: "Workflow[Any]", inputs: Mapping[str, Any], *, resources: Mapping[Any, Any] | None = None
) -> Any:
    """What the workflow returns. Cancelling it stops the run.

    Raises `InvalidInput`, `RunFailed`, `RequestWasRejected`; `WaitTimedOut` if the run waits for somebody outside, such
    as a human who says what became of a `ONCE` step.
    """
    given_up = Event()
    running = asyncio.get_running_loop().run_in_executor(None, _run, workflow, inputs, resources, given_up)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        given_up.set()
        await asyncio.gather(running, return_exceptions=True)
        raise


def _run(
    workflow: "Workflow[Any]", inputs: Mapping[str, Any], resources: Mapping[Any, Any] | None, given_up: Event
) -> Any:
    run_id, request_id, writes = f"try-{uuid4().hex[:8]}", uuid4().hex, inputs_of(workflow, inputs)
    request = StartRun(
        workflow=workflow.name,
        version=workflow.version,
        run_id=run_id,
        request_id=request_id,
        inputs=writes,
        input_digest=input_digest(writes),
    )
    with MemoryApplication([workflow], resources=resources) as application:
        application.send(request, key=run_id)
        application.run_until(lambda: given_up.is_set() or application.outcome(run_id) is not None)
        outcome = application.outcome(run_id)
        if outcome is not None:
            return result_of(workflow, accepted(outcome))
        raise WaitTimedOut(f"the run waits: {_waits(application, run_id)}", run_id=run_id)


def _waits(application: MemoryApplication, run_id: str) -> str:
    history = application.history(run_id)
    if not history:
        return "it was not accepted yet"
    view = fold(history)
    steps = [f"step {step.path} is {step.phase}" for step in view.current_steps]
    return ", ".join([*steps, *(_said(wait) for wait in view.waits.values())])


def _said(wait: Wait) -> str:
    if isinstance(wait, QuestionView):
        return f"{wait.path} asks a human: {wait.text}"
    return f"{wait.path} waits for the signal {wait.signal!r}" if wait.kind == "signal" else f"{wait.path} is open"
