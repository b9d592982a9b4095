"""A workflow: a typed state, steps and a flow; compiled to a definition, checked when it is built."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Generic, Literal, TypedDict, TypeVar, Unpack, overload

import msgspec
from msgspec import UNSET

from logkeel.definitions import (
    Conversation,
    OnBusy,
    SequenceBlock,
    StepDefinition,
    WorkflowDocument,
    digest_of,
    encode_document,
)
from logkeel.errors import InvalidInput
from logkeel.records import FieldValue, FieldWrite, WorkflowDefinition
from logkeel.workflow.binding import BoundStep, bound
from logkeel.workflow.blocks import FlowBlock
from logkeel.workflow.budgets import Budget, budget_definitions, budget_problems, flow_problems, least_of
from logkeel.workflow.context import RunView, StepErrorView
from logkeel.workflow.conversing import conversation_in, conversation_problems, joining_problems
from logkeel.workflow.declaring import StepOptions, declare_step
from logkeel.workflow.drawing import as_mermaid, as_text
from logkeel.workflow.durations import Duration, to_milliseconds
from logkeel.workflow.effects import EffectDeclaration
from logkeel.workflow.flow_checks import FlowCheck
from logkeel.workflow.inlining import SEPARATOR, inner_steps
from logkeel.workflow.limits import Limit, circle_problems, limit_definitions, limit_problems, run_limits_name
from logkeel.workflow.migrations import Migration, Migrations
from logkeel.workflow.naming import NAME
from logkeel.workflow.payloads import decode_field, encode_write, is_absent, reasons
from logkeel.workflow.problems import Problem, raise_for
from logkeel.workflow.retry import Retry
from logkeel.workflow.saga import undo_options, undo_problems
from logkeel.workflow.scheduling import Schedule, ScheduleOptions, schedule_of
from logkeel.workflow.starting import Starts
from logkeel.workflow.state import StateShape, shape_of
from logkeel.workflow.steps import Step, StepDecorator, UndoOptions
from logkeel.workflow.timeouts import DEFAULT_TIMEOUT, Timeout
from logkeel.workflow.translating import Translation
from logkeel.workflow.trials import AnswerLike, Fakes, Question, Trial, find_driver
from logkeel.workflow.views import view_from_result

S = TypeVar("S")
T = TypeVar("T")


class MoreOfAStep(TypedDict, total=False):
    """Options of a step that few steps need."""

    cpu: bool
    journal: bool
    limits: Sequence[Limit]
    children: Starts
    updates: Callable[[Any], Any]
    restarts: Callable[[Any], Any]
    uses: Mapping[str, int]


class MoreOfAWorkflow(TypedDict, total=False):
    """Options of a workflow that few need."""

    max_depth: int
    max_descendants: int
    conversation: str
    keep: Sequence[str]
    on_busy: OnBusy
    limits: Sequence[Limit]
    budgets: Sequence[Budget]


class Workflow(Generic[S]):
    """Declare steps with `@workflow.step(...)`, then put them together with `workflow.flow(...)`, once.

    `returns` names the fields that the completion carries: one name gives its value, several give a dictionary.
    `queue` is where steps go that name none. `max_depth`: how many generations of child runs there may be below a run,
    `max_descendants`: how many child runs in all; children inherit both. `conversation`: the field that says whose turn
    a run is; turns of one conversation come one after the other, and begin with the fields of `keep` as the former one
    left them. `on_busy`: what becomes of a turn that comes during another one. `limits`: how many runs there may be at
    once, or begin within a time. `budgets`: what its steps may use up. Raises `DefinitionError`.
    """

    def __init__(
        self,
        name: str,
        *,
        state: type[S],
        returns: str | tuple[str, ...] | None = None,
        version: str = "1",
        queue: str = "default",
        run_timeout: Duration | None = None,
        **more: Unpack[MoreOfAWorkflow],
    ) -> None:
        self.name = name
        self.version = version
        self.queue = queue
        self.returns = returns
        self.shape: StateShape = shape_of(state)
        self.migrations = Migrations(name, self.shape)
        self._run_timeout_ms = None if run_timeout is None else to_milliseconds(run_timeout)
        self._steps: dict[str, Step[..., Any]] = {}
        self._flow: SequenceBlock | None = None
        self._inner: dict[str, Workflow[Any]] = {}
        self._children: dict[str, Workflow[Any]] = {}
        self.schedules: dict[str, Schedule] = {}
        self._more = more
        self.conversation: Conversation | None = conversation_in(more, self.shape.fields)
        raise_for(self._own_problems())

    def __repr__(self) -> str:
        return f"<workflow {self.name}@{self.version}>"

    @overload
    def step(
        self,
        *,
        writes: Callable[[S], T],
        effect: EffectDeclaration | None = None,
        timeout: Timeout | Duration | None = DEFAULT_TIMEOUT,
        retry: Retry | None = None,
        queue: str | None = None,
        name: str | None = None,
        **more: Unpack[MoreOfAStep],
    ) -> StepDecorator[T]: ...

    @overload
    def step(
        self,
        *,
        effect: EffectDeclaration,
        timeout: Timeout | Duration | None = DEFAULT_TIMEOUT,
        retry: Retry | None = None,
        queue: str | None = None,
        name: str | None = None,
        **more: Unpack[MoreOfAStep],
    ) -> StepDecorator[None]: ...

    def step(
        self,
        *,
        writes: Callable[[S], Any] | None = None,
        effect: EffectDeclaration | None = None,
        timeout: Timeout | Duration | None = DEFAULT_TIMEOUT,
        retry: Retry | None = None,
        queue: str | None = None,
        name: str | None = None,
        **more: Unpack[MoreOfAStep],
    ) -> StepDecorator[Any]:
        """Declare a step. `timeout` bounds one attempt, None must be written out; a `Timeout` bounds more than that.

        `cpu`: it computes for long, so it is called in a process of its own, which a time-out or cancel ends.
        `limits`: how many executions there may be at once, or begin within a time. `journal`: the code inside is
        durable, by what its StepContext has of `DurableCode`; `children`: workflows that it starts as runs, or a
        function that names them once all are defined; `updates`: fields that it writes before it ends, as `writes=`
        names them; `restarts`: fields that it may begin anew with. `uses`: how much of each unit one attempt uses at
        most, for the budgets of the workflow; the step reports by `StepContext.used` what it was. Raises
        `DefinitionError`.
        """
        options = StepOptions(writes, effect, timeout, retry, queue or self.queue, name, workflow=self.name, **more)
        return StepDecorator(lambda function: self._declare(function, options))

    def migration(self, *, from_version: int) -> Callable[[Migration], Migration]:
        """Declare how the fields of state schema `from_version` become those of the next version: a dictionary of JSON
        values in, one out. For runs that are moved to this version. Raises `DefinitionError`.
        """

        def declare(function: Migration) -> Migration:
            self.migrations.add(from_version, function)
            return function

        return declare

    def flow(self, *blocks: FlowBlock) -> None:
        """Put the steps together: one block after the other. Raises `DefinitionError` with everything it finds."""
        if self._flow is not None:
            raise_for([Problem(f"workflow {self.name!r} has a flow already", "flow", "call flow(...) once")])
        translation = Translation(self.shape.fields)
        flow = translation.translate(blocks)
        foreign = [s for s in translation.used if self._steps.get(s.name) is not s]
        problems = [*translation.problems, *(self._foreign(step) for step in dict.fromkeys(foreign))]
        problems += self._step_problems(translation.used)
        has_journals = any(step.definition().journaled is True for step in translation.used)
        problems += joining_problems(self.conversation, flow, f"Workflow({self.name!r})", has_journals=has_journals)
        inner = {name: each.document().steps for name, each in translation.inner.items()}
        problems += flow_problems(self.budgets, translation.used, inner, flow, f"Workflow({self.name!r})")
        problems += circle_problems(self, flow, translation.children | self._inner_children(translation))
        if not foreign:
            problems += self._check(flow, translation)
        raise_for(problems)
        self._flow, self._inner, self._children = flow, translation.inner, translation.children

    def document(self) -> WorkflowDocument:
        """The definition as data. Raises `DefinitionError` while there is no flow."""
        if self._flow is None:
            problem = Problem(f"workflow {self.name!r} has no flow", self.name, f"call {self.name}.flow(...)")
            raise_for([problem])
        assert self._flow is not None  # noqa: S101  # raise_for has raised otherwise
        return WorkflowDocument(
            name=self.name,
            version=self.version,
            schema_version=self.shape.schema_version,
            fields=tuple(field.definition for field in self.shape.fields.values()),
            steps=self._step_definitions(),
            flow=self._flow,
            returns=self._returned(),
            run_timeout_ms=self._run_timeout_ms,
            max_depth=self._more.get("max_depth", UNSET),
            max_descendants=self._more.get("max_descendants", UNSET),
            conversation=UNSET if self.conversation is None else self.conversation,
            limits=limit_definitions(self.limits, run_limits_name(self.name)) if self.limits else UNSET,
            budgets=budget_definitions(self.budgets, self.name) or UNSET,
        )

    def definition(self, *, published_at_ms: int = 0) -> WorkflowDefinition:
        """The record that publishes this workflow. The digest covers the document, not the time.

        Raises `DefinitionError`, also for what is wrong with what its code starts.
        """
        flow = self._flow
        if flow is not None:
            raise_for(circle_problems(self, flow, self.children, code=True))
        document = encode_document(self.document())
        return WorkflowDefinition(
            name=self.name,
            version=self.version,
            digest=digest_of(document),
            schema_version=self.shape.schema_version,
            document=document,
            published_at_ms=published_at_ms,
        )

    def draw(self, picture: Literal["text", "mermaid"] = "text") -> str:
        """The flow as an outline, or as a Mermaid flowchart. Raises `DefinitionError` while there is no flow."""
        return (as_mermaid if picture == "mermaid" else as_text)(self.document())

    @property
    def steps(self) -> Mapping[str, Step[..., Any]]:
        """Declared steps by name."""
        return self._steps

    @property
    def limits(self) -> Sequence[Limit]:
        """What its runs keep to."""
        return self._more.get("limits", ())

    @property
    def budgets(self) -> Sequence[Budget]:
        """What its steps may use up."""
        return self._more.get("budgets", ())

    @property
    def blocks(self) -> SequenceBlock | None:
        """The flow as data; None while there is none."""
        return self._flow

    @property
    def children(self) -> Mapping[str, "Workflow[Any]"]:
        """Workflows that are started as runs of their own, by this one, by its inner ones, and by those, by name."""
        found: dict[str, Workflow[Any]] = {}
        left: list[Workflow[Any]] = [self]
        while left:
            each = left.pop()
            started = [dict(each._children), *(step.settings.children.by_name() for step in each._steps.values())]
            fresh = {name: child for some in started for name, child in some.items() if name not in found}
            found |= fresh
            left += [*fresh.values(), *each._inner.values()]
        return found

    @property
    def started_by_code(self) -> Mapping[str, "Workflow[Any]"]:
        """Workflows that the code of its steps, and of those of its inner ones, may start and wait for, by name."""
        own = {n: each for step in self._steps.values() for n, each in step.settings.children.by_name().items()}
        return own | {n: each for inner in self._inner.values() for n, each in inner.started_by_code.items()}

    @property
    def starts_runs(self) -> bool:
        """Whether its runs may start child runs."""
        of_code = any(step.settings.children for step in self._steps.values())
        return of_code or bool(self._children) or any(each.starts_runs for each in self._inner.values())

    def bind(self, step_name: str) -> BoundStep:
        """The step as a worker runs it; of an inner workflow by `<workflow>:<step>`. Raises KeyError if unknown."""
        units = least_of(self.budgets)
        inner, separator, name = step_name.partition(SEPARATOR)
        if separator:
            there = self._inner[inner].bind(name)
            return replace(there, frame=replace(there.frame, units=units))
        return bound(self._steps[step_name], self.shape.fields, units)

    def encode_input(self, values: Mapping[str, Any]) -> tuple[FieldWrite, ...]:
        """The input of a run as field writes, in the order of the state class.

        Raises `InvalidInput` with all `problems`.
        """
        fields = self.shape.fields
        problems = [f"{name}: is no field of the state" for name in values if name not in fields]
        problems += [
            f"{name}: is required" for name, f in fields.items() if f.definition.required and name not in values
        ]
        writes: list[FieldWrite] = []
        for name in (name for name in fields if name in values):
            try:
                writes += encode_write(fields[name], values[name], "replace")
            except ValueError as error:
                problems += [f"{name}: {reason}" for reason in reasons(error)]
        if problems:
            message = f"the input does not fit workflow {self.name!r}: {'; '.join(problems)}"
            raise InvalidInput(message, workflow=self.name, problems=problems)
        return tuple(writes)

    def conversation_id(self, values: Mapping[str, Any]) -> str | None:
        """Whose turn a run with this input is; None if the runs of this workflow are no turns."""
        return None if self.conversation is None else str(values[self.conversation.field])

    def decode_state(
        self, fields: Sequence[FieldValue], *, completed_steps: Sequence[str] = (), errors: Sequence[StepErrorView] = ()
    ) -> S:
        """The state as an instance of its class; view fields are filled where it declares them.

        Raises `InvalidInput` and `UndecodableRecord`.
        """
        view = RunView(completed_steps, errors, schema_version=self.shape.schema_version)
        values = self._decoded(fields) | {name: field.value(view) for name, field in self.shape.view_fields.items()}
        try:
            state: S = self.shape.build(values)
        except ValueError as error:
            raise InvalidInput("; ".join(reasons(error)), problems=reasons(error)) from error
        return state

    def result(self, fields: Sequence[FieldValue]) -> Any:
        """What a completion carries: the value of the one `returns` field, a dictionary of several, None of none."""
        values = self._decoded(fields) | self._viewed(fields)
        for name in self._returned():
            default = self.shape.fields[name].default if name in self.shape.fields else None
            values.setdefault(name, None if default is None else default())
        if isinstance(self.returns, str):
            return values[self.returns]
        return {name: values[name] for name in self.returns} if self.returns else None

    def schedule(self, name: str, **options: Unpack[ScheduleOptions]) -> Schedule:
        """Have runs started by time: `cron=` in a time zone `tz=`, or `every=`; with `overlap=`, `backfill=`, `input=`.

        It is put into effect by who publishes the workflow: `logkeel worker`, `serve`, `dev`, or a client. See
        `ScheduleOptions`. Raises `DefinitionError`.
        """
        if name in self.schedules:
            place = f"workflow {self.name!r}"
            raise_for([Problem(f"two schedules are called {name!r}", place, "give one of them another name")])
        self.schedules[name] = schedule_of(self, name, options)
        return self.schedules[name]

    async def try_out(
        self,
        given: Mapping[str, Any] | None = None,
        /,
        *,
        resources: Mapping[Any, Any] | None = None,
        results: Mapping[Any, Any] | None = None,
        humans: "Mapping[str, AnswerLike] | Callable[[Question], Any] | None" = None,
        signals: Sequence[Any] = (),
        report: bool = False,
        **inputs: Any,
    ) -> Any:
        """Run in memory: production engine and worker, time that jumps, fakes for the surroundings (see `Fakes`).

        `given` is more input, for fields that are named as a parameter is. Gives what the workflow returns, or the
        whole `Trial` if `report`. Raises `InvalidInput`, `DefinitionError` for a fake that fits nothing, and unless
        `report` as `Trial.value` does.
        """
        fakes = Fakes(resources or {}, results or {}, humans or {}, signals)
        trial: Trial = await find_driver()(self, {**(given or {}), **inputs}, fakes)
        return trial if report else trial.value()

    async def trial(
        self,
        given: Mapping[str, Any] | None = None,
        /,
        *,
        resources: Mapping[Any, Any] | None = None,
        results: Mapping[Any, Any] | None = None,
        humans: "Mapping[str, AnswerLike] | Callable[[Question], Any] | None" = None,
        signals: Sequence[Any] = (),
        **inputs: Any,
    ) -> Trial:
        """As `try_out`, but gives everything that became of the run, and raises for no end of it."""
        fakes = Fakes(resources or {}, results or {}, humans or {}, signals)
        trial: Trial = await find_driver()(self, {**(given or {}), **inputs}, fakes)
        return trial

    def _declare(self, function: Callable[..., Any], options: StepOptions) -> Step[..., Any]:
        step = declare_step(function, options, self.shape)
        place = step.signature.place
        if step.name in self._steps:
            what = f"workflow {self.name!r} has a step {step.name!r} already"
            raise_for([Problem(what, place, 'rename one of them, or give it another name with name="…"')])
        if self._flow is not None:
            what = f"step {step.name!r} is declared behind the flow of {self.name!r}"
            raise_for([Problem(what, place, "declare all steps first, then call flow(...)")])
        self._steps[step.name] = step
        step.declare_undo = self._declare_undo
        return step

    def _declare_undo(self, step: Step[..., Any], function: Callable[..., Any], given: UndoOptions) -> Step[..., Any]:
        undo = self._declare(function, undo_options(step, function, given))
        raise_for(list(undo_problems(step, undo, self.shape.fields)))
        return undo

    def _step_definitions(self) -> tuple[StepDefinition, ...]:
        own = [step.definition() for step in self._steps.values()]
        inner = [step for name, each in self._inner.items() for step in inner_steps(name, each.document())]
        return tuple(sorted([*own, *inner], key=lambda step: step.name))

    def _check(self, flow: SequenceBlock, translation: Translation) -> list[Problem]:
        inner = {name: each.document().steps for name, each in translation.inner.items()}
        return FlowCheck(self._steps, self.shape.fields, inner).run(flow)

    @staticmethod
    def _inner_children(translation: Translation) -> dict[str, "Workflow[Any]"]:
        return {name: child for each in translation.inner.values() for name, child in each.children.items()}

    def _own_problems(self) -> list[Problem]:
        place = f"Workflow({self.name!r})"
        problems = [
            Problem(f"returns= names {name!r}, which is no field of the state", place, "name a field of the state")
            for name in self._returned()
            if name not in self.shape.fields and name not in self.shape.view_fields
        ]
        problems += conversation_problems(self._more, self.shape.fields, self._returned(), place)
        problems += limit_problems(self.limits, self.shape.fields, f"workflow {self.name!r}", place, named=False)
        problems += budget_problems(self.budgets, self.shape.fields, self.name)
        for name, given in self._more.items():
            is_limit = isinstance(given, int) and not isinstance(given, bool) and given >= 0
            if name not in MoreOfAWorkflow.__annotations__:
                what = f"a workflow has no option {name!r}"
                problems.append(Problem(what, place, f"use {', '.join(MoreOfAWorkflow.__annotations__)}"))
            if name in ("max_depth", "max_descendants") and not is_limit:
                problems.append(Problem(f"{name}={given!r} is no limit", place, "give it a whole number from 0 on"))
        if not NAME.fullmatch(self.name):
            remedy = "use letters, digits, '_', '.' and '-', with a letter first"
            problems.append(Problem(f"{self.name!r} is no workflow name", place, remedy))
        return problems

    def _step_problems(self, used: list[Step[..., Any]]) -> list[Problem]:
        problems: list[Problem] = []
        for step in self._steps.values():
            place = step.signature.place
            if step not in used:
                undone = next((each.name for each in self._steps.values() if each.undo_step is step), None)
                what = f"step {step.name!r} is not in the flow"
                remedy = "put it into flow(...), or take it out"
                if undone is not None:
                    what, remedy = f"{what}: it undoes {undone!r}, which is in no saga", f"write saga({undone}, …)"
                problems.append(Problem(what, place, remedy))
            if step.settings.effect.kind == "CHECKED" and step.check_signature is None:
                remedy = f"add a function decorated with @{step.name}.check that says whether it has happened"
                problems.append(Problem(f"step {step.name!r} is CHECKED but has no check", place, remedy))
        return problems

    def _foreign(self, step: Step[..., Any]) -> Problem:
        what = f"step {step.name!r} belongs to another workflow"
        return Problem(what, step.signature.place, f"declare it with a step decorator of {self.name!r}")

    def _returned(self) -> tuple[str, ...]:
        return (self.returns,) if isinstance(self.returns, str) else tuple(self.returns or ())

    def _decoded(self, fields: Sequence[FieldValue]) -> dict[str, Any]:
        known = self.shape.fields
        values: dict[str, Any] = {}
        for value in fields:
            if value.field not in known or (is_absent(value) and known[value.field].elements is None):
                continue
            try:
                values[value.field] = decode_field(known[value.field], value)
            except ValueError as error:
                problems = [f"{value.field}: {reason}" for reason in reasons(error)]
                raise InvalidInput("; ".join(problems), problems=problems) from error
        return values

    def _viewed(self, fields: Sequence[FieldValue]) -> dict[str, Any]:
        """View fields of a completion, which are JSON that the engine made, in their declared types."""
        declared = self.shape.view_fields
        carried = {
            value.field: msgspec.json.decode(value.payload.data)
            for value in fields
            if value.field in declared and value.payload is not None and value.payload.data is not None
        }
        view = view_from_result(carried)
        return {name: declared[name].value(view) for name in carried}
