"""What each role may do on the cluster, and no more: the one list that ACLs are made from. Pure.

Kafka's rules that this rests on: READ and WRITE include DESCRIBE; a producer without transactions needs no right but
WRITE (KIP-679); a transaction's offsets need READ on the group; a transactional id WRITE.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Literal

from logkeel.records.topics import TopicNames, topic_policies

READER_GROUP: Final = "logkeel-reader"
"""Readers without a group name one to the client all the same, which asks where it is coordinated."""

Operation = Literal["READ", "WRITE", "CREATE", "DESCRIBE", "ALTER_CONFIGS", "DESCRIBE_CONFIGS"]


class Resource(StrEnum):
    """What a right is on, as `kafka-acls` calls it."""

    TOPIC = "topic"
    GROUP = "group"
    TRANSACTIONAL_ID = "transactional-id"


class Role(StrEnum):
    """A kind of process. `OPERATOR` is who makes topics: `logkeel topics apply`, once per deployment.

    `AUTOSCALER` looks at the workers' lag.
    """

    ENGINE = "engine"
    WORKER = "worker"
    CLIENT = "client"
    GATEWAY = "gateway"
    NOTIFIER = "notifier"
    INSIGHT = "insight"
    READER = "reader"
    AUTOSCALER = "autoscaler"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Acl:
    """Operations allowed on one resource, or on all whose names begin so (`prefixed`)."""

    resource: Resource
    name: str
    operations: tuple[Operation, ...]
    prefixed: bool = False

    def document(self) -> dict[str, Any]:
        """As JSON."""
        pattern = "prefixed" if self.prefixed else "literal"
        return {
            "resource": str(self.resource),
            "name": self.name,
            "pattern": pattern,
            "operations": list(self.operations),
        }


def acls_of(role: Role, names: TopicNames, queues: Sequence[str]) -> tuple[Acl, ...]:
    """The exact rights of a role. `queues` matter to workers, of which one may serve several, and to the operator."""
    match role:
        case Role.ENGINE:
            return _engine(names)
        case Role.WORKER:
            return _worker(names, queues)
        case Role.CLIENT:
            return _client(names)
        case Role.GATEWAY:
            return (*_client(names), *_topics("READ", names.run_events, names.workflow_definitions))
        case Role.NOTIFIER:
            return _notifier(names)
        case Role.INSIGHT:
            return _insight(names)
        case Role.READER:
            own = Acl(Resource.GROUP, f"{names.prefix}.reader.", ("READ",), prefixed=True)
            read = (names.run_events, names.run_completions, names.run_streams, names.workflow_definitions)
            return (*_topics("READ", *read, names.insight), own, _ASKING)
        case Role.AUTOSCALER:
            served = list(dict.fromkeys(queues))
            looked_at = (Acl(Resource.GROUP, names.worker_group(queue), ("DESCRIBE",)) for queue in served)
            return (*_topics("DESCRIBE", *(names.step_commands(queue) for queue in served)), *looked_at)
        case Role.OPERATOR:
            return _operator(names, queues)


_ASKING: Final = Acl(Resource.GROUP, READER_GROUP, ("DESCRIBE",))


def _engine(names: TopicNames) -> tuple[Acl, ...]:
    return (
        # Requests and results are written too: those of children, schedules and limits at other homes (P29).
        *_topics("READ", names.run_requests, names.step_results, names.run_state, also="WRITE"),
        *_topics("READ", names.workflow_definitions),
        *_topics("WRITE", names.run_events, names.run_completions, names.step_control, names.dead_letters),
        # A queue may be named by a workflow that is published while the engine runs.
        Acl(Resource.TOPIC, names.step_commands(""), ("WRITE",), prefixed=True),
        Acl(Resource.GROUP, names.engine_group, ("READ",)),
        _ASKING,
        Acl(Resource.TRANSACTIONAL_ID, f"{names.prefix}.engine-", ("WRITE",), prefixed=True),
    )


def _worker(names: TopicNames, queues: Sequence[str]) -> tuple[Acl, ...]:
    served = list(dict.fromkeys(queues))
    return (
        *_topics("READ", *(names.step_commands(queue) for queue in served), names.step_control),
        *_topics("WRITE", names.step_results, names.run_streams, names.dead_letters),
        # It publishes its workflows and their schedules.
        *_topics("READ", names.workflow_definitions, also="WRITE"),
        *_topics("WRITE", names.run_requests),
        *(Acl(Resource.GROUP, names.worker_group(queue), ("READ",)) for queue in served),
        _ASKING,
    )


def _client(names: TopicNames) -> tuple[Acl, ...]:
    return (*_topics("WRITE", names.run_requests), *_topics("READ", names.run_completions, names.run_streams), _ASKING)


def _notifier(names: TopicNames) -> tuple[Acl, ...]:
    return (
        *_client(names),
        *_topics("READ", names.run_events, names.workflow_definitions),
        *_topics("READ", names.notifier_state, also="WRITE"),
        *_topics("WRITE", names.dead_letters),
        Acl(Resource.GROUP, names.notifier_group, ("READ",)),
        Acl(Resource.TRANSACTIONAL_ID, f"{names.notifier_group}-", ("WRITE",), prefixed=True),
    )


def _insight(names: TopicNames) -> tuple[Acl, ...]:
    looked_at = Acl(Resource.GROUP, names.engine_group, ("DESCRIBE",))
    return (
        *_topics("READ", names.run_events, names.run_completions),
        *_topics("READ", names.insight_state, also="WRITE"),
        *_topics("WRITE", names.insight, names.dead_letters),
        # How far engines have read says whether a run waits for one.
        *_topics("DESCRIBE", names.run_requests, names.step_results),
        Acl(Resource.GROUP, names.insight_group, ("READ",)),
        looked_at,
    )


def _operator(names: TopicNames, queues: Sequence[str]) -> tuple[Acl, ...]:
    operations: tuple[Operation, ...] = ("CREATE", "DESCRIBE", "DESCRIBE_CONFIGS", "ALTER_CONFIGS")
    return (
        *(Acl(Resource.TOPIC, policy.name, operations) for policy in topic_policies(names, queues)),
        # The start marks of new command topics (P31).
        *_topics("READ", *(names.step_commands(queue) for queue in dict.fromkeys(queues))),
        *(Acl(Resource.GROUP, names.worker_group(queue), ("READ",)) for queue in dict.fromkeys(queues)),
    )


def _topics(operation: Operation, *topics: str, also: Operation | None = None) -> tuple[Acl, ...]:
    operations = (operation,) if also is None else (operation, also)
    return tuple(Acl(Resource.TOPIC, topic, operations) for topic in topics)


def commands(acls: Iterable[Acl], *, principal: str) -> list[str]:
    """One `kafka-acls` command for each."""
    return [
        f"kafka-acls --add --allow-principal {principal}"
        + "".join(f" --operation {operation}" for operation in acl.operations)
        + f" --{acl.resource} {acl.name}"
        + (" --resource-pattern-type prefixed" if acl.prefixed else "")
        for acl in acls
    ]
