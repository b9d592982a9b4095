"""The form of an answer: the JSON Schema it has to fit, from the published definition. Pure.

A definition that cannot be found, or a schema that cannot be used, leaves an answer unchecked here: the step that reads
the field validates it in any case.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from logkeel.definitions import FieldDefinition, HumanBlock
from logkeel.errors import InvalidInput
from logkeel.records import Control
from logkeel.runs.processor.definitions import compiled

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Form:
    """What the definition knows of a question. `schema` None: any answer, or none is taken.

    `defaults`: control fields that have a value before anybody writes them.
    """

    schema: Schema | None = None
    defaults: Mapping[str, Control] = field(default_factory=dict)


def form_of(document: bytes, path: str) -> Form:
    """The form of the question at a run's `path`; an empty one if nobody is asked there."""
    plan = compiled(document)
    try:
        placed = plan.waits[path]
    except KeyError:
        return Form()
    if not isinstance(placed.block, HumanBlock):
        return Form()
    return Form(_schema(placed.block), _defaults(plan.fields_at(placed.reading[-1]).values()))


def _schema(block: HumanBlock) -> Schema | None:
    try:
        schema = None if block.answer_schema is None else msgspec.json.decode(block.answer_schema)
    except msgspec.DecodeError:
        return None
    return schema if isinstance(schema, dict) else None


def _defaults(fields: Iterable[FieldDefinition]) -> dict[str, Control]:
    return {each.name: each.default for each in fields if each.control_type is not None and not each.required}


def refuse_misfit(value: Any, schema: Schema | None, *, where: str) -> None:
    """Raise `InvalidInput` with every reason why `value` does not fit; `where`: the command that shows the form."""
    problems = [] if schema is None else problems_of(value, schema)
    if problems:
        raise InvalidInput(f"the answer does not fit: {'; '.join(problems)}; its form: {where}", problems=problems)


def problems_of(value: Any, schema: Schema) -> list[str]:
    """What does not fit, one line each, in the order of the value. Nothing is fetched from elsewhere."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    try:
        Draft202012Validator.check_schema(schema)
        found = list(Draft202012Validator(schema, registry=Registry()).iter_errors(value))
    except (SchemaError, Unresolvable, re.error):
        return []
    leaves = (leaf for each in found for leaf in _leaves(each))
    placed = sorted(((each.json_path, each.message) for each in leaves), key=lambda each: each[0])
    return [message if place == "$" else f"{place.removeprefix('$.')}: {message}" for place, message in placed]


def _leaves(error: "ValidationError") -> "Iterator[ValidationError]":
    """Of alternatives that all do not fit, why each does not."""
    if not error.context:
        yield error
    for each in error.context or ():
        yield from _leaves(each)
