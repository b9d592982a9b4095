"""Which values a step or a completion gets to see, and whether they fit into one record. Pure.

A branch of a fork reads the state at the fork plus its own writes (AUTHORING, visibility): the innermost scope that has
the field gives it.
"""

from msgspec import UnsetType

from logkeel.definitions import FieldDefinition
from logkeel.records import ElementValue, ErrorInfo, FieldValue, FieldWrite, Operation
from logkeel.records.combining import combined
from logkeel.records.limits import MAX_FIELDS_BYTES, fields_bytes, largest_first
from logkeel.runs.core.elements import elements_of
from logkeel.runs.core.keeping import grown_list, may_build_on, only_grows
from logkeel.runs.core.places import ROOT_SCOPE, PlacedStep
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.state import FieldPointer, RunState
from logkeel.runs.core.summary import view_value
from logkeel.runs.core.undo_paths import kept_for

_REMEDY = (
    "Name fewer fields, or let large values go by reference: give clients and workers a --blob-store, and a lower"
    " --blob-above where many fields of middle size come together"
)


def inputs_of(state: RunState, plan: Plan, placed: PlacedStep) -> tuple[FieldValue, ...]:
    """The fields the step reads, as it sees them. Fields never written and without a control default are left out.

    The first command of a step may build on lists that its worker keeps.
    """
    if placed.undoes:
        return _kept(state, plan, placed)
    scopes = placed.reading
    values = (field_value(state, plan, name, scopes, reader=placed) for name in placed.definition.reads)
    return tuple(value for value in values if value is not None)


def _kept(state: RunState, plan: Plan, placed: PlacedStep) -> tuple[FieldValue, ...]:
    """What was kept for an undo step of what the step read and wrote; what is not known is left out."""
    scope, found = kept_for(placed.path), []
    for name in placed.definition.reads:
        pointer = state.fields.get((scope, name))
        known = plan.fields_at(placed.root)[name]
        if pointer is not None:
            found.append(
                FieldValue(
                    field=name,
                    revision=pointer.revision,
                    is_control=pointer.is_control,
                    control=pointer.control,
                    payload=pointer.payload,
                )
            )
        elif known.control_type is not None and known.nullable:
            found.append(FieldValue(field=name, revision=0, is_control=True))
    return tuple(found)


def result_of(state: RunState, plan: Plan) -> tuple[FieldValue, ...]:
    """The fields that the completion carries."""
    values = (
        field_value(state, plan, name) if name in plan.fields else view_value(state, name)
        for name in plan.document.returns
    )
    return tuple(value for value in values if value is not None)


def field_value(
    state: RunState,
    plan: Plan,
    name: str,
    scopes: tuple[str, ...] = (ROOT_SCOPE,),
    *,
    reader: PlacedStep | None = None,
) -> FieldValue | None:
    """One field, as the first of `scopes` has it; the last one says whose field it is. `reader`: who gets it."""
    layers = layers_of(state, name, scopes)
    if not layers or layers[0].is_control:
        return _control_value(plan.fields_at(scopes[-1])[name], layers)
    last = layers[-1]
    if last.generation is None:
        payload = last.payload or state.values.get((name, last.revision))
        return FieldValue(field=name, revision=last.revision, payload=payload)
    if reader is not None and may_build_on(reader) and only_grows(layers) and _is_list(plan, name, scopes):
        return grown_list(state, name, last, None if reader.path in state.steps else reader.definition.queue)
    elements = tuple(
        ElementValue(key=each.key, payload=each.payload) for each in elements_of(state, name, with_rows(layers))
    )
    return FieldValue(field=name, revision=max(layer.revision for layer in layers), elements=elements)


def _is_list(plan: Plan, name: str, scopes: tuple[str, ...]) -> bool:
    return plan.fields_at(scopes[-1])[name].elements == "list"


def layers_of(state: RunState, name: str, scopes: tuple[str, ...]) -> tuple[FieldPointer, ...]:
    """What a value is made of, outermost first: a whole one, and what the scopes nearer by add to it."""
    found: list[FieldPointer] = []
    for scope in scopes:
        pointer = state.fields.get((scope, name))
        if pointer is not None:
            found.append(pointer)
            if pointer.extends is None:
                break
    return tuple(reversed(found))


def with_rows(layers: tuple[FieldPointer, ...]) -> tuple[FieldPointer, ...]:
    """The layers that have elements: a whole value may be empty."""
    return tuple(layer for layer in layers if layer.generation is not None)


def _control_value(definition: FieldDefinition, layers: tuple[FieldPointer, ...]) -> FieldValue | None:
    """What the layers make of the default; None for a field that was never written and has none."""
    has_default = definition.control_type is not None and not definition.required
    if not layers and not has_default:
        return None
    control = definition.default if has_default else None
    for layer in layers:
        control = layer.control if layer.extends is None else combined(layer.extends, control, layer.control)
    revision = max((layer.revision for layer in layers), default=0)
    return FieldValue(field=definition.name, revision=revision, is_control=True, control=control)


def copied(value: FieldValue | None, target: FieldDefinition, *, whole: bool) -> tuple[FieldWrite, ...]:
    """Writes of another field with this value: instead of what it has (`whole`), or by its reducer."""
    if value is None:
        return ()
    name, replaces = target.name, whole or target.reducer == "replace"
    if isinstance(target.elements, UnsetType):
        operation: Operation = "replace" if replaces else target.reducer
        if value.is_control:
            return (FieldWrite(field=name, operation=operation, is_control=True, control=value.control),)
        return (FieldWrite(field=name, operation=operation, payload=value.payload),)
    begin = (FieldWrite(field=name),) if replaces else ()
    return (*begin, *(_element_write(name, each) for each in value.elements))


def _element_write(name: str, element: ElementValue) -> FieldWrite:
    operation: Operation = "append" if element.key is None else "put"
    return FieldWrite(field=name, operation=operation, element_key=element.key, payload=element.payload)


def command_problem(path: str, inputs: tuple[FieldValue, ...]) -> ErrorInfo | None:
    """Why no command can carry these inputs; None if one can."""
    size_bytes = fields_bytes(inputs)
    if size_bytes <= MAX_FIELDS_BYTES:
        return None
    message = (
        f"step {path} reads {size_bytes} bytes, one command carries at most {MAX_FIELDS_BYTES}:"
        f" {largest_first(inputs)}. {_REMEDY}"
    )
    return ErrorInfo(code="command_too_large", kind="fatal", message=message)


def result_problem(result: tuple[FieldValue, ...]) -> ErrorInfo | None:
    """Why no completion can carry this result; None if one can."""
    size_bytes = fields_bytes(result)
    if size_bytes <= MAX_FIELDS_BYTES:
        return None
    message = (
        f"the result has {size_bytes} bytes, a completion carries at most {MAX_FIELDS_BYTES}: {largest_first(result)}."
        f" {_REMEDY}"
    )
    return ErrorInfo(code="result_too_large", kind="fatal", message=message)
