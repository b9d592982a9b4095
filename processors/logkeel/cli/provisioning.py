"""The topics of an application, provisioned; and the start marks of new command topics (P31)."""

from collections.abc import Sequence

from logkeel.cli.settings import Settings
from logkeel.errors import TopicMismatch
from logkeel.exactly_once import changelog_config
from logkeel.log import Admin, TopicPartition, TopicPlan
from logkeel.log.provisioning import ProvisioningPlan, apply_topics, plan_topics
from logkeel.records.topics import DAY_MS, TopicPolicy, topic_policies

FRESH_MARK = "started=-1"
DELETE_RETENTION_MS = 7 * DAY_MS
"""An engine that was away for longer than half of this restores from the log's start instead of its tail (P17)."""


def wanted_topics(settings: Settings, queues: Sequence[str]) -> tuple[TopicPlan, ...]:
    """Every topic of the application as it should be."""
    return tuple(_plan(policy, settings) for policy in topic_policies(settings.names, queues))


def plan_application(admin: Admin, settings: Settings, queues: Sequence[str]) -> ProvisioningPlan:
    """What `apply_application` would do."""
    wanted = wanted_topics(settings, queues)
    present = admin.describe_topics([plan.name for plan in wanted], with_config=True)
    shared = [policy.name for policy in topic_policies(settings.names, queues) if policy.co_partitioned]
    return plan_topics(wanted, present, co_partitioned=shared)


def apply_application(admin: Admin, settings: Settings, queues: Sequence[str]) -> ProvisioningPlan:
    """Make and change topics, and mark new command topics as unstarted. Raises `TopicMismatch` with all problems."""
    plan = plan_application(admin, settings, queues)
    if plan.problems:
        raise TopicMismatch("; ".join(plan.problems), problems=list(plan.problems))
    apply_topics(admin, plan)
    made = {topic.name: topic for topic in plan.create}
    for queue in queues:
        topic = made.get(settings.names.step_commands(queue))
        if topic is not None:
            group = settings.names.worker_group(queue)
            marks = {TopicPartition(topic.name, number): (0, FRESH_MARK) for number in range(topic.partitions)}
            admin.set_group_offsets(group, marks)
    return plan


def _plan(policy: TopicPolicy, settings: Settings) -> TopicPlan:
    # One replica may be away without stopping writes; with a single one there is nothing to spare.
    in_sync = str(max(1, settings.replication_factor - 1))
    config = {**policy.config, "min.insync.replicas": in_sync}
    if policy.changelog:
        config |= changelog_config(delete_retention_ms=DELETE_RETENTION_MS)
    return TopicPlan(policy.name, policy.partitions or settings.partitions, settings.replication_factor, config)
