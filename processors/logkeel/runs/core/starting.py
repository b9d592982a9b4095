"""Beginning a run: its first event, and the first steps. Pure."""

from collections.abc import Sequence

from msgspec import UnsetType

from logkeel.definitions import Elements, FieldDefinition
from logkeel.records import CancelRun, ErrorInfo, FieldWrite, StartRun
from logkeel.runs.core.actions import SetTimer
from logkeel.runs.core.activation import Activation
from logkeel.runs.core.elements import ELEMENT_OPERATIONS
from logkeel.runs.core.flow import complete
from logkeel.runs.core.limiting import enter
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.requests import cancel
from logkeel.runs.core.state import LOGIC, RunInfo

_TYPES: dict[str, tuple[type, ...]] = {"bool": (bool,), "int": (int,), "float": (float, int), "string": (str,)}


def info_of(request: StartRun, plan: Plan, *, run_id: str, request_id: str, incarnation: str, now_ms: int) -> RunInfo:
    """What is fixed about the run that `request` asks for."""
    timeout_ms = request.run_timeout_ms if request.run_timeout_ms is not None else plan.document.run_timeout_ms
    return RunInfo(
        run_id=run_id,
        incarnation=incarnation,
        workflow=plan.document.name,
        version=plan.document.version,
        digest=plan.digest,
        schema_version=plan.document.schema_version,
        logic=LOGIC,
        routing_key=request.routing_key or request.conversation_id or run_id,
        started_at_ms=now_ms,
        request_id=request_id,
        input_digest=request.input_digest,
        conversation_id=request.conversation_id,
        deadline_ms=None if timeout_ms is None else now_ms + timeout_ms,
        attributes=request.attributes,
        origin=request.origin,
        trace=request.trace,
        parent=request.parent,
    )


def start(
    turn: Activation,
    request: StartRun,
    inputs: tuple[FieldWrite, ...],
    *,
    early_cancel: tuple[CancelRun, str] | None = None,
) -> None:
    """Accept the run: record it, then enter the flow, or end it at once if its input does not fit (P28).

    `early_cancel` is a cancel that arrived before (with its request id): nothing is dispatched then.
    """
    info = turn.state.info
    turn.record(
        "run_started",
        writes=inputs,
        request_id=info.request_id,
        input_digest=info.input_digest,
        attributes=dict(info.attributes),
        origin=info.origin,
        trace=info.trace,
        conversation_id=info.conversation_id,
        parent=info.parent,
        former_revisions=info.former_revisions,
        due_ms=info.deadline_ms,
    )
    if info.deadline_ms is not None:
        turn.do(SetTimer("run_deadline", info.deadline_ms))
    problems = input_problems(turn.plan, inputs)
    if early_cancel is not None:
        cancel(turn, *early_cancel)
    elif problems:
        error = ErrorInfo(code="invalid_input", kind="invalid_input", message="; ".join(problems))
        complete(turn, "invalid_input", error)
    else:
        enter(turn)


def input_problems(plan: Plan, inputs: tuple[FieldWrite, ...]) -> list[str]:
    """What the engine can see to be wrong: names, and control values. Payloads are checked by the worker that reads."""
    given = {write.field for write in inputs}
    missing = [f"{name}: is required" for name, field in plan.fields.items() if field.required and name not in given]
    return write_problems(plan, inputs) + missing


def write_problems(plan: Plan, inputs: Sequence[FieldWrite]) -> list[str]:
    """As `input_problems`, of fields that are written from outside; none is required."""
    problems = []
    given: set[str] = set()
    for write in inputs:
        field = plan.fields.get(write.field)
        if field is None:
            problems.append(f"{write.field}: is no field of {plan.document.name}")
        elif write.field in given and write.operation not in ELEMENT_OPERATIONS:
            problems.append(f"{write.field}: is given twice")
        elif (problem := _control_problem(field, write)) is not None:
            problems.append(f"{write.field}: {problem}")
        given.add(write.field)
    return problems


def _elements_problem(elements: Elements, write: FieldWrite) -> str | None:
    """The client splits such a value, and the engine one that came as plain JSON; of any other it sees nothing."""
    if write.operation == "replace":
        what = (
            f"is kept as a {elements}, element by element: send plain JSON, or start the run with the workflow itself"
        )
        return None if write.payload is None and not write.is_control else what
    fits = write.payload is not None and write.operation == ("append" if elements == "list" else "put")
    return None if fits else f"an input is a whole {elements}, not {write.operation!r}"


def _control_problem(field: FieldDefinition, write: FieldWrite) -> str | None:
    if not isinstance(field.elements, UnsetType):
        return _elements_problem(field.elements, write)
    if write.operation != "replace":
        return f"an input is a whole value, not {write.operation!r}"
    if field.control_type is None:
        return "is not a control field" if write.is_control else None
    if not write.is_control:
        return f"must be {field.control_type}, and readable by the engine"
    value = write.control
    if value is None:
        return None if field.nullable else "must not be null"
    is_number = not isinstance(value, bool) or field.control_type == "bool"
    if not isinstance(value, _TYPES[field.control_type]) or not is_number:
        return f"must be {field.control_type}, not {value!r}"
    if field.choices and value not in field.choices:
        return f"must be one of {', '.join(map(repr, field.choices))}"
    return None
