"""Steps that are faked: a workflow as a worker sees it, some of its steps returning what a test says.

An occurrence of a step (its path) keeps the item of the script that it got: a second execution of it, after a crash,
returns the same. An exception in a script is raised once; the next execution gets the next item.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from msgspec import structs

from logkeel.definitions import WorkflowDocument, digest_of, encode_document
from logkeel.records import WorkflowDefinition
from logkeel.workflow import Fail, Step, Workflow
from logkeel.workflow.binding import BoundStep
from logkeel.workflow.problems import Problem, raise_for

CONTEXT = "logkeel_step_context"
"""The parameter that a wrapped function takes its context by, where the step itself asks for none."""

Call = Callable[..., Any]
"""Called with the StepContext and the arguments of a step by keyword; gives its result, or an awaitable of it."""


class FakedWorkflow:
    """Implements `logkeel.steps.bound.RunnableWorkflow`. `around` gives what is called in place of each step.

    `queue`: all steps go there, whatever their own is.

    Raises `DefinitionError` for a fake that fits no step.
    """

    def __init__(
        self,
        workflow: "Workflow[Any]",
        results: Mapping[Any, Any],
        *,
        around: Callable[[str, Call], Call] | None = None,
        queue: str | None = None,
    ) -> None:
        self.workflow = workflow
        self.name = workflow.name
        self.shape = workflow.shape
        self._around = around
        document = workflow.document()
        if queue is not None:
            document = structs.replace(
                document, steps=tuple(structs.replace(each, queue=queue) for each in document.steps)
            )
        self._document = document
        self.scripts = {name: _script(workflow, name, fake) for name, fake in _by_name(workflow, results)}

    def definition(self, *, published_at_ms: int = 0) -> WorkflowDefinition:
        """The workflow's own, but for the queue."""
        own = self.workflow.definition(published_at_ms=published_at_ms)
        document = encode_document(self._document)
        return structs.replace(own, document=document, digest=digest_of(document))

    def document(self) -> WorkflowDocument:
        """The workflow's own, but for the queue."""
        return self._document

    def bind(self, step_name: str) -> BoundStep:
        """The step, or what stands in for it. Raises KeyError for an unknown name."""
        bound = self.workflow.bind(step_name)
        script = self.scripts.get(step_name)
        if script is None and self._around is None:
            return bound
        call = script.call if script is not None else _plain(bound)
        wanted = bound.resources if script is None else {n: r for n, r in bound.resources.items() if script.takes(n)}
        if self._around is not None:
            call = self._around(step_name, call)
        return _replaced(bound, call, wanted)

    def restart(self) -> None:
        """Begin all scripts anew."""
        for script in self.scripts.values():
            script.restart()

    def unused(self) -> Iterator[str]:
        """What was scripted and never happened."""
        for script in self.scripts.values():
            yield from script.unused()


class Script:
    """What one step returns in place of its function."""

    def __init__(self, name: str, fake: Any) -> None:
        self._name = name
        self._fake = fake
        self._parameters = _parameters(fake) if callable(fake) else frozenset[str]()
        self.restart()

    def restart(self) -> None:
        """From the first item."""
        self._next = 0
        self._kept: dict[str, Any] = {}

    def takes(self, parameter: str) -> bool:
        """Whether a fake function takes an argument of this name."""
        return parameter in self._parameters or "" in self._parameters

    def call(self, step: Any, /, **arguments: Any) -> Any:
        """One execution."""
        if callable(self._fake):
            self._next += 1
            return self._fake(**{name: value for name, value in arguments.items() if self.takes(name)})
        if not isinstance(self._fake, list):
            self._next += 1
            return _given(self._fake)
        if step.path in self._kept:
            return self._kept[step.path]
        if self._next >= len(self._fake):
            has = f"{len(self._fake)} result{'' if len(self._fake) == 1 else 's'}"
            raise Fail("script_over", f"results[{self._name!r}] has {has}, and {step.path} asks for one more")
        self._next += 1
        item = _given(self._fake[self._next - 1])
        self._kept[step.path] = item
        return item

    def unused(self) -> Iterator[str]:
        """What was never asked for."""
        if not self._next:
            yield f"results[{self._name!r}]: the step did not run"
        elif isinstance(self._fake, list) and self._next < len(self._fake):
            yield f"results[{self._name!r}]: {self._next} of {len(self._fake)} items were asked for"


def _given(item: Any) -> Any:
    """A scripted item: an exception is raised."""
    if isinstance(item, BaseException) or (inspect.isclass(item) and issubclass(item, BaseException)):
        raise item
    return item


def _by_name(workflow: "Workflow[Any]", results: Mapping[Any, Any]) -> Iterator[tuple[str, Any]]:
    problems = []
    for key, fake in results.items():
        name = key if isinstance(key, str) else _name_of(workflow, key)
        if name not in workflow.steps:
            what = f"results= names {name!r}, which is no step of workflow {workflow.name!r}"
            problems.append(Problem(what, f"results[{name!r}]", f"name one of {', '.join(sorted(workflow.steps))}"))
        else:
            yield name, fake
    raise_for(problems)


def _name_of(workflow: "Workflow[Any]", key: Any) -> str:
    """A step is named by itself or by its function."""
    if isinstance(key, Step):
        return key.name
    known = (name for name, step in workflow.steps.items() if step.function is key)
    return next(known, getattr(key, "__name__", repr(key)))


def _script(workflow: "Workflow[Any]", name: str, fake: Any) -> Script:
    script = Script(name, fake)
    if callable(fake):
        step = workflow.bind(name)
        known = {read.field for read in step.signature.reads} | {*step.resources, *step.signature.views}
        known |= {step.context_parameter} if step.context_parameter else set()
        strange = sorted(_parameters(fake) - {"", *known})
        raise_for(
            [
                Problem(
                    f"the fake of step {name!r} takes {parameter!r}, which the step does not",
                    f"results[{name!r}]",
                    f"let it take some of {', '.join(sorted(known)) or 'nothing'}",
                )
                for parameter in strange
            ]
        )
    return script


def _parameters(fake: Callable[..., Any]) -> frozenset[str]:
    """Names of its parameters; "" stands for any."""
    try:
        parameters = inspect.signature(fake).parameters.values()
    except (TypeError, ValueError):
        return frozenset({""})
    return frozenset("" if p.kind is p.VAR_KEYWORD else p.name for p in parameters if p.kind is not p.VAR_POSITIONAL)


def _plain(bound: BoundStep) -> Call:
    """The author's function, with its context where it asks for one."""

    def call(step: Any, /, **arguments: Any) -> Any:
        return bound.function(**arguments)

    return call


def _replaced(bound: BoundStep, call: Call, resources: Mapping[str, Any]) -> BoundStep:
    """The step with `call` for its function. It always gets the context, and passes it on if the step asks for it."""
    own = bound.context_parameter

    async def function(**arguments: Any) -> Any:
        step = arguments[own] if own is not None else arguments.pop(CONTEXT)
        result = call(step, **arguments)
        return await result if inspect.isawaitable(result) else result

    signature = replace(
        bound.signature,
        function=function,
        is_async=True,
        resources=dict(resources),
        context_parameter=own or CONTEXT,
    )
    return replace(bound, signature=signature)
