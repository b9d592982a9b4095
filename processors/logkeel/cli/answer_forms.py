"""The form of an answer: the JSON Schema it has to fit, from the published definition. Pure but for reading the topic.

A definition that cannot be found, or a schema that cannot be used, leaves an answer unchecked here: the step that reads
the field validates it in any case.
"""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from logkeel.definitions import HumanBlock, WorkflowDocument
from logkeel.errors import InvalidInput, LogTimeout
from logkeel.log import LogClient
from logkeel.records import Control, WorkflowDefinition
from logkeel.records.topics import TopicNames
from logkeel.runs import DefinitionReader
from logkeel.runs.processor.definitions import compiled

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

READ_S = 30.0
POLL_S = 0.2

Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Form:
    """What the definition knows of a question. `schema` None: any answer, or none is taken.

    `defaults`: control fields that have a value before anybody writes them.
    """

    schema: Schema | None = None
    defaults: Mapping[str, Control] = field(default_factory=dict)


def read_form(client: LogClient, names: TopicNames, digest: str, path: str) -> Form:
    """The form of the question at `path` of runs of the definition `digest`. Raises `LogTimeout`, `TopicMissing`."""
    admin = client.admin()
    reader = DefinitionReader(client.reader("read_committed"), admin, names.workflow_definitions)
    try:
        deadline_s = time.monotonic() + READ_S
        while not reader.caught_up:
            reader.poll(POLL_S)
            if time.monotonic() > deadline_s:
                raise LogTimeout(f"the definitions could not be read in {READ_S:.0f} s")
        found = [each.value for each in reader.current() if isinstance(each.value, WorkflowDefinition)]
    finally:
        reader.close()
        admin.close()
    return next((form_of(each.document, path) for each in found if each.digest == digest), Form())


def form_of(document: bytes, path: str) -> Form:
    """The form of the question at a run's `path`; an empty one if nobody is asked there."""
    plan = compiled(document)
    try:
        block = plan.waits[path].block
    except KeyError:
        return Form()
    if not isinstance(block, HumanBlock):
        return Form()
    return Form(_schema(block), _defaults(plan.document))


def _schema(block: HumanBlock) -> Schema | None:
    try:
        schema = None if block.answer_schema is None else msgspec.json.decode(block.answer_schema)
    except msgspec.DecodeError:
        return None
    return schema if isinstance(schema, dict) else None


def _defaults(document: WorkflowDocument) -> dict[str, Control]:
    return {each.name: each.default for each in document.fields if each.control_type is not None and not each.required}


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
    placed = sorted(((each.json_path, _reason(each)) for each in found), key=lambda each: each[0])
    return [message if place == "$" else f"{place.removeprefix('$.')}: {message}" for place, message in placed]


def _reason(error: "ValidationError") -> str:
    """Of alternatives that all do not fit, why each does not."""
    return "; ".join(str(each.message) for each in error.context or (error,))
