"""Topics as they should be against topics as they are: what is to be made, changed, and what nobody may change. Pure.

Settings are compared by name; settings that are not wanted are left alone. Partition counts are never changed: keys
would move, and with them the state of what they name.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from logkeel.log.admin import Admin, TopicDescription, TopicPlan


@dataclass(frozen=True, slots=True)
class ConfigChange:
    """Settings of one topic that differ: (wanted, present) by name."""

    topic: str
    settings: Mapping[str, tuple[str, str | None]]


@dataclass(frozen=True, slots=True)
class ProvisioningPlan:
    """What `apply` would do. `problems` are sentences with a remedy; with any of them nothing is done."""

    create: tuple[TopicPlan, ...]
    alter: tuple[ConfigChange, ...]
    problems: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        """Whether everything is as it should be."""
        return not (self.create or self.alter or self.problems)


def plan_topics(
    wanted: Sequence[TopicPlan], present: Mapping[str, TopicDescription], *, co_partitioned: Sequence[str] = ()
) -> ProvisioningPlan:
    """Compare. Topics in `co_partitioned` must have the wanted partition count, others may have any."""
    create = tuple(plan for plan in wanted if plan.name not in present)
    changes = (_changes(plan, present[plan.name]) for plan in wanted if plan.name in present)
    problems = [
        f"{plan.name} has {present[plan.name].partitions} partitions, {plan.partitions} are wanted: runs live on the"
        f" partition of their key, so a count is never changed; use --partitions {present[plan.name].partitions},"
        " or start a new application with another --prefix"
        for plan in wanted
        if plan.name in co_partitioned and plan.name in present and present[plan.name].partitions != plan.partitions
    ]
    return ProvisioningPlan(create, tuple(change for change in changes if change.settings), tuple(problems))


def apply_topics(admin: Admin, plan: ProvisioningPlan) -> None:
    """Do what the plan says; again, it does nothing. Raises as `Admin` does."""
    admin.create_topics(plan.create)
    for change in plan.alter:
        admin.alter_topic_config(change.topic, {name: wanted for name, (wanted, _) in change.settings.items()})


def _changes(plan: TopicPlan, present: TopicDescription) -> ConfigChange:
    different = {
        name: (value, present.config.get(name))
        for name, value in plan.config.items()
        if present.config.get(name) != value
    }
    return ConfigChange(plan.name, different)
