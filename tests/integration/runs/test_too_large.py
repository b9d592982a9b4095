"""What fits no record ends its run by name on a real broker; every step runs once and nothing is dead-lettered."""

from collections import Counter
from pathlib import Path

import pytest
from tests.integration.runs.application import running

from logkeel.workflow import IDEMPOTENT, State, Workflow, parallel

pytestmark = pytest.mark.kafka

RAN: Counter[str] = Counter()


class Wide(State):
    """Together above the record limit, each within its own."""

    name: str
    a: str | None = None
    b: str | None = None
    c: str | None = None
    d: str | None = None


def wide(name: str, *, greedy: bool) -> Workflow[Wide]:
    """Four steps that write 255 KB each, and a last one that writes nothing. `greedy`: it reads all of them."""
    workflow = Workflow(name, state=Wide, returns=() if greedy else ("a", "b", "c", "d"))

    @workflow.step(writes=lambda s: s.a)
    async def a(name: str) -> str:
        return name * 255_000

    @workflow.step(writes=lambda s: s.b)
    async def b(name: str) -> str:
        return name * 255_000

    @workflow.step(writes=lambda s: s.c)
    async def c(name: str) -> str:
        return name * 255_000

    @workflow.step(writes=lambda s: s.d)
    async def d(name: str) -> str:
        return name * 255_000

    if greedy:

        @workflow.step(effect=IDEMPOTENT)
        async def read(a: str, b: str, c: str, d: str) -> None:
            RAN[f"{len(a + b + c + d)}"] += 1

        workflow.flow(parallel(a, b, c, d), read)
    else:

        @workflow.step(effect=IDEMPOTENT)
        async def last(name: str) -> None:
            RAN[name] += 1

        workflow.flow(parallel(a, b, c, d), last)
    return workflow


def test_what_fits_no_record_ends_its_run(kafka_bootstrap: str, tmp_path: Path) -> None:
    workflows = [wide("results", greedy=False), wide("inputs", greedy=True)]
    with running(kafka_bootstrap, tmp_path, workflows) as app:
        app.send({"workflow": "results", "run_id": "r", "input": {"name": "x"}}, key="r")
        app.send({"workflow": "inputs", "run_id": "i", "input": {"name": "y"}}, key="i")
        errors = {done.run_id: done.error.code for done in (app.completion("r"), app.completion("i")) if done.error}
        assert errors == {"r": "result_too_large", "i": "command_too_large"}
        assert {done.status for done in app.completions()} == {"failed"}
        assert RAN == {"x": 1}
        assert app._of(app.names.dead_letters) == []
