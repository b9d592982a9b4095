"""Which right a refused request needs, and the command that grants it. Pure.

A client does not know by which name the broker knows it, so the command leaves a place for it.
"""

from dataclasses import dataclass
from typing import Final, Literal

from logkeel.errors import AuthorizationFailed

Operation = Literal["READ", "WRITE", "CREATE", "DELETE", "DESCRIBE", "ALTER_CONFIGS", "DESCRIBE_CONFIGS"]
Resource = Literal["topic", "group", "transactional-id", "cluster"]

_RESOURCE_OF: Final[dict[str, Resource]] = {
    "TOPIC_AUTHORIZATION_FAILED": "topic",
    "GROUP_AUTHORIZATION_FAILED": "group",
    "TRANSACTIONAL_ID_AUTHORIZATION_FAILED": "transactional-id",
    "CLUSTER_AUTHORIZATION_FAILED": "cluster",
}


@dataclass(frozen=True, slots=True)
class Right:
    """One operation on one resource, in Kafka's words."""

    operation: Operation
    resource: Resource
    name: str

    @property
    def command(self) -> str:
        """What grants it."""
        where = "--cluster" if self.resource == "cluster" else f"--{self.resource} {self.name}"
        return f"kafka-acls --add --allow-principal User:… --operation {self.operation} {where}"


def denied(text: str, kafka_code: str, *wanted: Right) -> AuthorizationFailed:
    """The error of a request that was refused, with the one of the `wanted` rights that the code speaks of."""
    lacking = next((right for right in wanted if right.resource == _RESOURCE_OF.get(kafka_code)), None)
    if lacking is None:
        remedy = "grant the right and start again; `logkeel topics acls` lists what each role needs"
        return AuthorizationFailed(f"{text}; {remedy}", kafka_code=kafka_code)
    remedy = f"grant the right and start again: {lacking.command} (all of them: logkeel topics acls)"
    return AuthorizationFailed(
        f"{text}: {lacking.operation} on {lacking.resource} {lacking.name} is not allowed; {remedy}",
        kafka_code=kafka_code,
        operation=lacking.operation,
        resource=lacking.resource,
        name=lacking.name,
    )


def named(error: AuthorizationFailed, *wanted: Right) -> AuthorizationFailed:
    """The same error by one who knows what was asked; one that names its right already stays."""
    if "operation" in error.details:
        return error
    text = error.message.split("; grant the right", 1)[0]
    return denied(text, str(error.details.get("kafka_code", "")), *wanted)
