"""A workflow that looks back on itself: a branch that fails and is repeated, a join, and a step that tells of it."""

from typing import Any

from typing_extensions import TypedDict

from logkeel.errors import NotDone
from logkeel.workflow import Retry, RunView, State, StepContext, Workflow, parallel


class Failure(TypedDict):
    path: str
    attempt: int
    code: str
    message: str


class Survey(State):
    """The classic shape of such a state."""

    schema_version: int = 3
    topic: str
    left: str | None = None
    right: str | None = None
    told: list[str] | None = None
    completed_steps: list[str] = []  # noqa: RUF012  # pydantic copies defaults
    error_log: list[Failure] = []  # noqa: RUF012  # pydantic copies defaults


def surveys() -> "Workflow[Survey]":
    """`look_left` fails once."""
    workflow = Workflow("surveys", state=Survey, returns=("told", "completed_steps", "error_log"))

    @workflow.step(writes=lambda s: s.left, retry=Retry(max_attempts=3, initial="1ms", maximum="2ms"))
    async def look_left(topic: str, step: StepContext) -> str:
        if step.attempt == 1:
            raise NotDone("fog")
        return f"{topic} left"

    @workflow.step(writes=lambda s: s.right)
    def look_right(topic: str) -> str:
        return f"{topic} right"

    @workflow.step(writes=lambda s: s.told)
    async def tell(run: RunView, completed_steps: list[str], error_log: list[Failure]) -> list[str]:
        assert sorted(run.completed_steps) == sorted(completed_steps)
        lines = [f"{each['path']} {each['attempt']} {each['code']} {each['message']}" for each in error_log]
        return [*sorted(completed_steps), *lines, f"{run.attempts} attempts, schema {run.schema_version}"]

    workflow.flow(parallel(look_left, look_right), tell)
    return workflow


def expected(result: dict[str, Any]) -> dict[str, Any]:
    """What a run returns, with the two branches in the order in which they ended."""
    branches = ["parallel/look_left", "parallel/look_right"]
    first, second, *_ = result["completed_steps"]
    return {
        "told": [*branches, "parallel/look_left 1 not_done fog", "4 attempts, schema 3"],
        "completed_steps": [*([first, second] if {first, second} == {*branches} else branches), "tell"],
        "error_log": [{"path": "parallel/look_left", "attempt": 1, "code": "not_done", "message": "fog"}],
    }
