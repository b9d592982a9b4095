"""Declares one step: settings from the decorator's arguments, and the checks that need no flow."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from logkeel.definitions import RetryPolicy
from logkeel.records import Operation
from logkeel.workflow.budgets import uses_problems
from logkeel.workflow.durations import Duration
from logkeel.workflow.effects import IDEMPOTENT, EffectDeclaration
from logkeel.workflow.limits import Limit, limit_problems
from logkeel.workflow.naming import NAME
from logkeel.workflow.problems import Problem, place_of, raise_for
from logkeel.workflow.recording import recorded_fields
from logkeel.workflow.reducers import Named
from logkeel.workflow.retry import Retry
from logkeel.workflow.signature import Signature, signature_of, tuple_length
from logkeel.workflow.starting import Started, Starts
from logkeel.workflow.state import StateShape
from logkeel.workflow.steps import Step, StepSettings
from logkeel.workflow.timeouts import Timeout


@dataclass(frozen=True, slots=True)
class StepOptions:
    """The decorator's arguments, as given."""

    writes: Callable[[Any], Any] | None
    effect: EffectDeclaration | None
    timeout: Timeout | Duration | None
    retry: Retry | None
    queue: str
    name: str | None
    cpu: bool = False
    journal: bool = False
    limits: Sequence[Limit] = ()
    workflow: str = ""
    children: Starts = ()
    updates: Callable[[Any], Any] | None = None
    restarts: Callable[[Any], Any] | None = None
    uses: Mapping[str, int] = field(default_factory=dict)


def declare_step(function: Callable[..., Any], options: StepOptions, shape: StateShape) -> Step[..., Any]:
    """The step that `function` becomes. Raises `DefinitionError`."""
    signature = signature_of(function, shape)
    place = place_of(function)
    named = () if options.writes is None else recorded_fields(options.writes, shape.fields, place=place)
    updated = _named(options.updates, shape, place, "updates=")
    if signature.yields:
        raise_for(_yield_problems(options, named, signature, shape))
        # What it yields is written before it ends, by its journal; then there is nothing left to write.
        options, named, updated = replace(options, journal=True), (), (*updated, *named)
    writes = tuple(each.name for each in named)
    restarts = tuple(each.name for each in _named(options.restarts, shape, place, "restarts="))
    name = options.name or function.__name__
    raise_for([*_name_problems(name, place), *_effect_problems(name, options, writes, place)])
    raise_for(_cpu_problems(name, signature) if options.cpu else [])
    raise_for([*_result_problems(name, writes, signature.result, place), *_journal_problems(name, options, signature)])
    raise_for(_operation_problems(name, (*named, *updated), shape, place))
    raise_for([*limit_problems(options.limits, shape.fields, f"step {name!r}", place)])
    raise_for(list(uses_problems(options.uses, f"step {name!r}", place)))
    raise_for(
        _update_problems(name, options, updated, signature) + _restart_problems(name, options, restarts, signature)
    )
    settings = StepSettings(
        name=name,
        effect=options.effect or IDEMPOTENT,
        writes=writes,
        timeout=_timeout(name, options.timeout, place),
        retry=RetryPolicy() if options.retry is None else options.retry.policy(),
        queue=options.queue,
        cpu=options.cpu,
        journal=options.journal,
        limits=tuple(options.limits),
        limits_name=f"{options.workflow}/{name}",
        children=Started(options.children, place),
        operations=_operations(named, shape),
        updates=tuple(each.name for each in updated),
        update_operations=_operations(updated, shape),
        restarts=restarts,
        uses=options.uses,
    )
    return Step(function, settings, signature, lambda check: signature_of(check, shape))


def _named(given: Callable[[Any], Any] | None, shape: StateShape, place: str, option: str) -> tuple[Named, ...]:
    return () if given is None else recorded_fields(given, shape.fields, place=place, option=option)


def _operations(named: tuple[Named, ...], shape: StateShape) -> tuple[Operation, ...]:
    return tuple(each.operation or shape.fields[each.name].definition.reducer for each in named)


def _update_problems(
    name: str, options: StepOptions, updated: tuple[Named, ...], signature: Signature
) -> list[Problem]:
    if not updated:
        return []
    what, place = f"step {name!r} declares updates=", signature.place
    if not options.journal:
        remedy = "declare journal=True, or let it return what it writes"
        return [Problem(f"{what}, but has no journal by which it is written once", place, remedy)]
    read = {each.field for each in signature.reads} & {each.name for each in updated}
    remedy = "let the code keep the value itself, or write to another field"
    return [
        Problem(f"{what} {each!r}, and reads it: executed again, its code would see another value", place, remedy)
        for each in sorted(read)
    ]


def _restart_problems(
    name: str, options: StepOptions, restarts: tuple[str, ...], signature: Signature
) -> list[Problem]:
    what, place = f"step {name!r} declares restarts=", signature.place
    if restarts and not options.journal:
        return [Problem(f"{what}, but has no journal that could begin anew", place, "declare journal=True")]
    unread = sorted(set(restarts) - {each.field for each in signature.reads})
    remedy = "take a parameter of that name, or declare the field with updates="
    return [Problem(f"{what} {each!r}, and does not read it", place, remedy) for each in unread]


def _name_problems(name: str, place: str) -> list[Problem]:
    if NAME.fullmatch(name):
        return []
    return [Problem(f"{name!r} is no step name", place, "use letters, digits, '_', '.' and '-', with a letter first")]


def _effect_problems(name: str, options: StepOptions, writes: tuple[str, ...], place: str) -> list[Problem]:
    if options.effect is None:
        if writes or options.journal:
            return []
        what = f"step {name!r} writes nothing and declares no effect"
        remedy = "declare effect=NONE, IDEMPOTENT, KEYED, CHECKED or ONCE, or name what it writes with writes="
        return [Problem(what, place, remedy)]
    if options.effect.kind == "CHECKED" and options.timeout is None:
        what = f"step {name!r} is CHECKED and has no time-out: nobody knows when its check may tell"
        return [Problem(what, place, 'write timeout="60s" or what an attempt needs: a check runs after its deadline')]
    if options.effect.kind == "ONCE" and options.retry is not None and options.retry.on != "not_done":
        what = f"step {name!r} is ONCE, but its retry repeats more than NotDone"
        return [Problem(what, place, 'write Retry(..., on="not_done"), or leave retry= out')]
    return []


def _cpu_problems(name: str, signature: Signature) -> list[Problem]:
    """What cannot be done in another process."""
    what, place = f"step {name!r} is declared with cpu=True", signature.place
    problems: list[Problem] = []
    if signature.is_async:
        remedy = "write it as a plain `def`, or leave cpu=True out: async steps wait, and need no process"
        problems.append(Problem(f"{what}, but is async", place, remedy))
    if signature.resources:
        taken = ", ".join(signature.resources)
        remedy = "let another step fetch what is needed and write it to a field, which this one reads"
        problems.append(Problem(f"{what}, and takes resources, which live in the worker: {taken}", place, remedy))
    if signature.context_parameter is not None:
        remedy = "leave the parameter out; what it needs to know goes into fields, or into a RunView parameter"
        problems.append(Problem(f"{what}, and takes the StepContext, which lives in the worker", place, remedy))
    if "<" in signature.function.__qualname__:
        remedy = "define it at the top of a module, where another process finds it by its name"
        problems.append(Problem(f"{what}, but is defined inside of a function", place, remedy))
    return problems


def _result_problems(name: str, writes: tuple[str, ...], result: Any, place: str) -> list[Problem]:
    length = tuple_length(result)
    if len(writes) < 2 or length is None or length == len(writes):
        return []
    what = f"step {name!r} writes {len(writes)} fields, but returns a tuple of {length}"
    return [Problem(what, place, f"return one value for each of {', '.join(writes)}, in this order")]


def _journal_problems(name: str, options: StepOptions, signature: Signature) -> list[Problem]:
    if not options.journal:
        what = f"step {name!r} declares children=, but has no journal by which its code would wait for them"
        remedy = "declare journal=True, or put child(...) into the flow"
        return [Problem(what, signature.place, remedy)] if Started(options.children, "") else []
    place, what = signature.place, f"step {name!r} has a journal, but "
    if signature.context_parameter is None and not signature.yields:
        remedy = "add the parameter `step: StepContext`, or leave journal= out"
        return [Problem(f"{what}takes no StepContext, by which its code would use it", place, remedy)]
    if not signature.is_async:
        return [Problem(f"{what}is a plain function", place, "make it an `async def`: its code is awaited")]
    if options.effect is not None and options.effect.kind not in ("IDEMPOTENT", "KEYED"):
        remedy = f"declare {options.effect.kind} where the effect is: step.options(effect=...).run(...)"
        return [Problem(f"{what}is {options.effect.kind} as a whole: its code is executed again", place, remedy)]
    return []


def _yield_problems(
    options: StepOptions, named: tuple[Named, ...], signature: Signature, shape: StateShape
) -> list[Problem]:
    """An element that is yielded is appended, and to one list only."""
    fields = [shape.fields[each.name] for each in named]
    if len(fields) == 1 and fields[0].elements == "list" and _operations(named, shape) == ("append",):
        return []
    name = options.name or signature.function.__name__
    remedy = "write it to one field Annotated[list[...], Append], or return the whole value"
    return [Problem(f"step {name!r} yields elements, but does not append them to a list", signature.place, remedy)]


def _operation_problems(name: str, named: tuple[Named, ...], shape: StateShape, place: str) -> list[Problem]:
    strange = [each for each in named if each.operation == "remove" and shape.fields[each.name].elements != "map"]
    remedy = "mark the field as Annotated[dict[str, ...], Put], or let the step return the whole new value"
    return [
        Problem(f"step {name!r} removes elements of {each.name!r}, which is not kept by key", place, remedy)
        for each in strange
    ]


def _timeout(name: str, timeout: Timeout | Duration | None, place: str) -> Timeout:
    if isinstance(timeout, Timeout):
        return timeout
    try:
        return Timeout(timeout)
    except ValueError as error:
        raise_for([Problem(f"the time-out of step {name!r} is wrong: {error}", place, 'write e.g. timeout="30s"')])
        raise
