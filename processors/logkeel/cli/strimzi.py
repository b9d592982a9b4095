"""Topics and users of one application as resources of the Strimzi operator (`kafka.strimzi.io/v1`). Pure.

See: Strimzi, "Using the Topic Operator" and "Using the User Operator". Names of resources are DNS labels, so a topic's
own name stands in `topicName`.
"""

import re
from collections.abc import Sequence
from typing import Any, Final

from logkeel.cli.access import Acl, Role, acls_of
from logkeel.log import TopicPlan
from logkeel.records.topics import TopicNames

API: Final = "kafka.strimzi.io/v1"
CLUSTER_LABEL: Final = "strimzi.io/cluster"

_OPERATIONS: Final = {
    "READ": "Read",
    "WRITE": "Write",
    "CREATE": "Create",
    "DESCRIBE": "Describe",
    "ALTER_CONFIGS": "AlterConfigs",
    "DESCRIBE_CONFIGS": "DescribeConfigs",
}
_RESOURCES: Final = {"topic": "topic", "group": "group", "transactional-id": "transactionalId"}


def resource_name(text: str) -> str:
    """A name that Kubernetes takes."""
    return re.sub(r"[^a-z0-9.-]+", "-", text.lower()).strip("-.")


def topic_resource(plan: TopicPlan, *, cluster: str) -> dict[str, Any]:
    """A `KafkaTopic`. Numbers stay numbers: the operator compares them with what the broker says."""
    return {
        "apiVersion": API,
        "kind": "KafkaTopic",
        "metadata": {"name": resource_name(plan.name), "labels": {CLUSTER_LABEL: cluster}},
        "spec": {
            "topicName": plan.name,
            "partitions": plan.partitions,
            "replicas": plan.replication_factor,
            "config": {
                key: int(value) if re.fullmatch(r"-?\d+", value) else value for key, value in plan.config.items()
            },
        },
    }


def user_resource(role: Role, names: TopicNames, queues: Sequence[str], *, cluster: str) -> dict[str, Any]:
    """A `KafkaUser` with the rights of the role; the operator keeps its password in a Secret of the same name."""
    return {
        "apiVersion": API,
        "kind": "KafkaUser",
        "metadata": {"name": user_name(role, names), "labels": {CLUSTER_LABEL: cluster}},
        "spec": {
            "authentication": {"type": "scram-sha-512"},
            "authorization": {"type": "simple", "acls": [_acl(acl) for acl in acls_of(role, names, queues)]},
        },
    }


def user_name(role: Role, names: TopicNames) -> str:
    """Of the user, its resource and its Secret."""
    return resource_name(f"{names.prefix}-{role}")


def _acl(acl: Acl) -> dict[str, Any]:
    return {
        "type": "allow",
        "resource": {
            "type": _RESOURCES[acl.resource],
            "name": acl.name,
            "patternType": "prefix" if acl.prefixed else "literal",
        },
        "operations": [_OPERATIONS[operation] for operation in acl.operations],
        "host": "*",
    }
