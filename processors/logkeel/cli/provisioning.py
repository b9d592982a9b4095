"""The topics of an application, provisioned; and the start marks of new command topics (P31)."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from logkeel.cli.settings import Settings
from logkeel.errors import StaleGeneration, TopicMismatch
from logkeel.exactly_once import changelog_config
from logkeel.log import Admin, TopicPartition, TopicPlan
from logkeel.log.provisioning import ProvisioningPlan, apply_topics, plan_topics
from logkeel.records.topics import DAY_MS, TopicNames, TopicPolicy, topic_policies

FRESH_MARK = "started=-1"
DELETE_RETENTION_MS = 7 * DAY_MS
"""An engine that was away for longer than half of this restores from the log's start instead of its tail (P17)."""


def wanted_topics(
    settings: Settings, queues: Sequence[str], *, replicas: Mapping[str, int] = MappingProxyType({})
) -> tuple[TopicPlan, ...]:
    """Every topic of the application as it should be. `replicas` of topics that exist stay as they are."""
    policies = topic_policies(settings.names, queues)
    return tuple(_plan(each, settings, replicas.get(each.name, settings.replication_factor)) for each in policies)


def plan_application(admin: Admin, settings: Settings, queues: Sequence[str]) -> ProvisioningPlan:
    """What `apply_application` would do."""
    policies = topic_policies(settings.names, queues)
    present = admin.describe_topics([policy.name for policy in policies], with_config=True)
    wanted = wanted_topics(
        settings, queues, replicas={name: topic.replication_factor for name, topic in present.items()}
    )
    shared = [policy.name for policy in policies if policy.co_partitioned]
    return plan_topics(wanted, present, co_partitioned=shared)


def apply_application(admin: Admin, settings: Settings, queues: Sequence[str]) -> ProvisioningPlan:
    """Make and change topics, and mark command topics that were never used as unstarted.

    May be run again after it was interrupted anywhere. Raises `TopicMismatch` with all problems, or if workers already
    wait on a new command topic.
    """
    plan = plan_application(admin, settings, queues)
    if plan.problems:
        raise TopicMismatch("; ".join(plan.problems), problems=list(plan.problems))
    apply_topics(admin, plan)
    for queue in dict.fromkeys(queues):
        _mark_unstarted(admin, settings.names, queue)
    return plan


def _mark_unstarted(admin: Admin, names: TopicNames, queue: str) -> None:
    """A partition that never held a record has nothing in doubt; one that did and lost its mark has (P31)."""
    topic, group = names.step_commands(queue), names.worker_group(queue)
    count = admin.describe_topics([topic])[topic].partitions
    places = [TopicPartition(topic, number) for number in range(count)]
    marked = admin.group_offsets(group, places)
    unmarked = [each for each in places if each not in marked]
    if not unmarked:
        return
    ends = admin.end_offsets(unmarked, committed_only=False)
    marks = {place: (0, FRESH_MARK) for place in unmarked if ends[place] == 0}
    if not marks:
        return
    try:
        admin.set_group_offsets(group, marks)
    except StaleGeneration as error:
        raise TopicMismatch(
            f"workers already wait on the new topic {topic}: stop those of queue {queue}, run `logkeel topics apply`"
            " again, and start them",
            topic=topic,
            group=group,
        ) from error


def _plan(policy: TopicPolicy, settings: Settings, replicas: int) -> TopicPlan:
    # One replica may be away without stopping writes; with a single one there is nothing to spare.
    config = {**policy.config, "min.insync.replicas": str(max(1, replicas - 1))}
    if policy.changelog:
        config |= changelog_config(delete_retention_ms=DELETE_RETENTION_MS)
    return TopicPlan(policy.name, policy.partitions or settings.partitions, replicas, config)
