"""Definitions as they stand on `workflow-definitions`: read to the present end, the oldest first."""

from collections.abc import Sequence

from logkeel.errors import InvalidInput, LogkeelError, TopicMissing
from logkeel.log import LogClient, TopicPartition
from logkeel.records import RunEvent, WorkflowDefinition
from logkeel.records.topics import TopicNames
from logkeel.wire import decode_as

TIMEOUT_S = 10.0


def published(client: LogClient, names: TopicNames) -> list[WorkflowDefinition]:
    """Every definition that is published; the first one of a name and version is the one that counts (P38).

    Records of a kind that is not for this version are passed over. Raises `TopicMissing`, `LogUnavailable`.
    """
    topic = names.workflow_definitions
    admin, reader = client.admin(), client.reader("read_committed")
    try:
        topics = admin.describe_topics([topic])
        if topic not in topics:
            raise TopicMissing(f"topic {topic} does not exist: run `logkeel topics apply`", topic=topic)
        places = [TopicPartition(topic, number) for number in range(topics[topic].partitions)]
        ends = admin.end_offsets(places, committed_only=True)
        positions = dict(admin.start_offsets(places))
        reader.assign(dict(positions))
        found: dict[tuple[str, str], WorkflowDefinition] = {}
        while any(positions[place] < end for place, end in ends.items()):
            fetched = reader.fetch(1_000, TIMEOUT_S)
            for record in fetched.records:
                positions[record.source] = record.offset + 1
                definition = _definition(record.value)
                if definition is not None:
                    found.setdefault((definition.name, definition.version), definition)
            for place, end in fetched.ends.items():
                positions[place] = max(end, positions[place])
        return sorted(found.values(), key=lambda each: each.published_at_ms)
    finally:
        reader.close()
        admin.close()


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
