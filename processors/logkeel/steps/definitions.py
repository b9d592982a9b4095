"""Publishes workflow definitions, keyed by name and version; a published version never changes its content (P38)."""

from collections.abc import Sequence

from logkeel.errors import DefinitionError
from logkeel.log import LogClient, OutputRecord, TopicPartition, read_topic
from logkeel.records import WorkflowDefinition
from logkeel.records.topics import TopicNames
from logkeel.steps.bound import RunnableWorkflow
from logkeel.wire import decode_as, encode

TIMEOUT_S = 10.0


def definition_key(name: str, version: str) -> bytes:
    """The record key of one version of a workflow."""
    return f"{name}@{version}".encode()


def publish_definitions(
    client: LogClient, names: TopicNames, workflows: Sequence[RunnableWorkflow], *, now_ms: int = 0
) -> int:
    """Publish what is not published yet; returns how many.

    Raises `DefinitionError` when a version is published with another content, `TopicMissing`, `LogUnavailable`.
    """
    published = published_digests(client, names.workflow_definitions)
    fresh: list[WorkflowDefinition] = []
    for definition in (workflow.definition(published_at_ms=now_ms) for workflow in workflows):
        digest = published.get((definition.name, definition.version))
        if digest is None:
            fresh.append(definition)
        elif digest != definition.digest:
            label = f"{definition.name}@{definition.version}"
            message = f"{label} is published with another content: give the changed workflow a new version"
            raise DefinitionError(message, place=label, remedy="choose a new version")
    _produce(client, names.workflow_definitions, fresh)
    return len(fresh)


def _produce(client: LogClient, topic: str, definitions: Sequence[WorkflowDefinition]) -> None:
    if not definitions:
        return
    errors: list[Exception] = []

    def delivered(place: TopicPartition, offset: int, error: Exception | None) -> None:
        if error is not None:
            errors.append(error)

    producer = client.producer()
    try:
        for definition in definitions:
            key = definition_key(definition.name, definition.version)
            producer.produce(OutputRecord(topic, key, encode(definition)), delivered)
        producer.flush(TIMEOUT_S)
    finally:
        producer.close()
    if errors:
        raise errors[0]


def published_digests(client: LogClient, topic: str) -> dict[tuple[str, str], str]:
    """Digests of what is published, by name and version, read to the present end. Raises `TopicMissing`."""
    digests: dict[tuple[str, str], str] = {}
    for record in read_topic(client, topic):
        if record.value is not None:
            definition = decode_as(record.value, WorkflowDefinition)
            digests.setdefault((definition.name, definition.version), definition.digest)
    return digests
