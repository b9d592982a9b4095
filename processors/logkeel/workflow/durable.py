"""`@durable`: a workflow as one function, whose code is durable by a journal."""

import inspect
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Concatenate, Generic, ParamSpec, TypedDict, TypeVar, Unpack, overload

from pydantic import create_model

from logkeel.workflow.annotations import extras, function_hints, without_none
from logkeel.workflow.budgets import Budget
from logkeel.workflow.context import RunView, StepContext
from logkeel.workflow.durations import Duration
from logkeel.workflow.problems import Problem, place_of, raise_for
from logkeel.workflow.resources import Resource
from logkeel.workflow.retry import Retry
from logkeel.workflow.starting import Starts
from logkeel.workflow.state import State
from logkeel.workflow.timeouts import Timeout
from logkeel.workflow.workflow import MoreOfAStep, Workflow

P = ParamSpec("P")
R = TypeVar("R")

RESULT = "result"


class DurableOptions(TypedDict, total=False):
    """Options of a durable function. `name` (default: the function's) and `version` are the workflow's.

    `timeout` bounds one execution of the code, suspended time left out (default: none, since each call has its own);
    `retry` repeats an execution that raised, by its journal; `run_timeout` bounds the run. `children`: workflows that
    the code starts by `step.child`, or a function that names them once all are defined. `updates`: fields that the code
    writes by `step.update`, and their types; each is None until then. `restarts`: the code begins anew
    by `step.restart_with`, with any of its parameters. `budgets` and `uses`: what a run may use up, and what one
    execution of the code uses at most, its calls together.
    """

    name: str
    version: str
    queue: str
    timeout: Timeout | Duration | None
    retry: Retry
    run_timeout: Duration
    children: Starts
    updates: Mapping[str, Any]
    restarts: bool
    uses: Mapping[str, int]
    budgets: Sequence[Budget]


class Durable(Workflow[Any], Generic[P, R]):
    """A workflow of one step with a journal. Calling it calls the plain function, as in a test of its own."""

    function: Callable[Concatenate[StepContext, P], Coroutine[Any, Any, R]]

    def __call__(self, step: StepContext, /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:
        return self.function(step, *args, **kwargs)


@overload
def durable(function: Callable[Concatenate[StepContext, P], Coroutine[Any, Any, R]], /) -> Durable[P, R]: ...


@overload
def durable(
    **options: Unpack[DurableOptions],
) -> Callable[[Callable[Concatenate[StepContext, P], Coroutine[Any, Any, R]]], Durable[P, R]]: ...


def durable(function: Callable[..., Any] | None = None, /, **options: Unpack[DurableOptions]) -> Any:
    """Make a workflow of an `async def` that takes a StepContext first. Its other parameters are the input of a run.

    What it returns is the result. Raises `DefinitionError`.
    """

    updates = options.get("updates", {})
    more: MoreOfAStep = {"journal": True, "children": options.get("children", ())}
    if "uses" in options:
        more["uses"] = options["uses"]
    if updates:
        more["updates"] = lambda state: tuple(getattr(state, name) for name in updates)

    def declare(it: Callable[..., Any]) -> Durable[..., Any]:
        state = _state_of(it, updates)
        inputs = [name for name in state.model_fields if name not in updates and name != RESULT]
        if options.get("restarts") and inputs:
            more["restarts"] = lambda state: tuple(getattr(state, name) for name in inputs)
        workflow: Durable[..., Any] = Durable(
            options.get("name") or it.__name__,
            state=state,
            returns=RESULT,
            version=options.get("version", "1"),
            queue=options.get("queue", "default"),
            run_timeout=options.get("run_timeout"),
            budgets=options.get("budgets", ()),
        )
        workflow.function = it
        step = workflow.step(
            writes=lambda state: state.result,
            timeout=options.get("timeout"),
            retry=options.get("retry"),
            **more,
        )(it)
        workflow.flow(step)
        return workflow

    return declare if function is None else declare(function)


def _state_of(function: Callable[..., Any], updates: Mapping[str, Any]) -> type[State]:
    """A state class of the function's inputs, of what it updates, and its result."""
    place = place_of(function)
    try:
        hints = function_hints(function)
    except NameError as error:
        remedy = "import it where the module is executed, not under TYPE_CHECKING, and define it at module level"
        raise_for([Problem(f"an annotation of {function.__name__!r} cannot be resolved: {error}", place, remedy)])
        raise
    fields: dict[str, Any] = {}
    for parameter in inspect.signature(function).parameters.values():
        hint = hints.get(parameter.name, Any)
        if without_none(hint) in (StepContext, RunView) or any(isinstance(extra, Resource) for extra in extras(hint)):
            continue
        required = parameter.default is inspect.Parameter.empty
        fields[parameter.name] = (hint, ... if required else parameter.default)
    twice = sorted({*fields, RESULT} & {*updates})
    if twice:
        what = f"durable {function.__name__!r} updates {twice[0]!r}, which is a parameter or what it returns"
        raise_for([Problem(what, place, "give the field another name")])
    if RESULT in fields:
        what = f"durable {function.__name__!r} has the parameter {RESULT!r}, the name of what it returns"
        raise_for([Problem(what, place, "give the parameter another name")])
    fields |= {name: (hint | None, None) for name, hint in updates.items()}
    fields[RESULT] = (hints.get("return", Any) | None if "return" in hints else Any, None)
    model: type[State] = create_model(
        f"{function.__name__}_state", __base__=State, __module__=function.__module__, **fields
    )
    return model
