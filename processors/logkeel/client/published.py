"""Definitions as they stand on `workflow-definitions`: read to the present end, the oldest first."""

from collections.abc import Sequence

from logkeel.errors import InvalidInput, LogkeelError
from logkeel.log import LogClient, read_topic
from logkeel.records import RunEvent, WorkflowDefinition
from logkeel.records.topics import TopicNames
from logkeel.wire import decode_as


def published(client: LogClient, names: TopicNames) -> list[WorkflowDefinition]:
    """Every definition that is published; the first one of a name and version is the one that counts (P38).

    Records of a kind that is not for this version are passed over. Raises `TopicMissing`, `LogUnavailable`.
    """
    found: dict[tuple[str, str], WorkflowDefinition] = {}
    for record in read_topic(client, names.workflow_definitions):
        definition = _definition(record.value)
        if definition is not None:
            found.setdefault((definition.name, definition.version), definition)
    return sorted(found.values(), key=lambda each: each.published_at_ms)


def definition_of(definitions: Sequence[WorkflowDefinition], event: RunEvent) -> WorkflowDefinition:
    """The definition that a run is pinned to. Raises `InvalidInput` if it is not published any more."""
    for definition in definitions:
        if definition.digest == event.definition_digest:
            return definition
    label = f"{event.workflow}@{event.version}"
    raise InvalidInput(f"the definition of {label} is not on the log any more; without it no state can be rebuilt")


def _definition(value: bytes | None) -> WorkflowDefinition | None:
    try:
        return None if value is None else decode_as(value, WorkflowDefinition)
    except LogkeelError:
        return None
