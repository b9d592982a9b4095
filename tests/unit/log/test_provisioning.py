"""The difference between topics as they should be and as they are."""

from hypothesis import given
from hypothesis import strategies as st

from logkeel.log import TopicDescription, TopicPlan
from logkeel.log.provisioning import plan_topics
from logkeel.simulation import SimulatedCluster

CONFIG = st.dictionaries(st.sampled_from(["retention.ms", "segment.ms", "cleanup.policy"]), st.sampled_from("ab"))
PLANS = st.lists(
    st.builds(TopicPlan, st.sampled_from("pqrs"), st.integers(1, 3), st.just(1), CONFIG),
    unique_by=lambda plan: plan.name,
)


def described(plan: TopicPlan, **changed: str) -> TopicDescription:
    return TopicDescription(plan.name, "id", plan.partitions, plan.replication_factor, {**plan.config, **changed})


def present(*plans: TopicPlan) -> dict[str, TopicDescription]:
    return {plan.name: described(plan) for plan in plans}


@given(PLANS)
def test_topics_as_wanted_need_nothing(plans: list[TopicPlan]) -> None:
    assert plan_topics(plans, present(*plans), co_partitioned=[plan.name for plan in plans]).is_empty


@given(PLANS, PLANS)
def test_a_plan_makes_what_is_missing_and_sets_what_differs(wanted: list[TopicPlan], there: list[TopicPlan]) -> None:
    plan = plan_topics(wanted, present(*there))
    assert {each.name for each in plan.create} == {each.name for each in wanted} - {each.name for each in there}
    after = {each.name: dict(each.config) for each in (*there, *plan.create)}
    for change in plan.alter:
        for name, (new, old) in change.settings.items():
            assert after[change.topic].get(name) == old
            after[change.topic][name] = new
    for each in wanted:
        assert after[each.name].items() >= each.config.items()
    assert not plan.problems


def test_settings_that_nobody_asked_for_stay() -> None:
    wanted = TopicPlan("t", 1, 1, {"retention.ms": "1"})
    assert plan_topics([wanted], {"t": described(wanted, **{"segment.bytes": "7"})}).is_empty


def test_only_topics_that_are_bound_to_each_other_must_have_the_wanted_count() -> None:
    there = present(TopicPlan("bound", 4), TopicPlan("free", 4))
    plan = plan_topics([TopicPlan("bound", 8), TopicPlan("free", 8)], there, co_partitioned=["bound"])
    assert len(plan.problems) == 1
    assert "bound has 4 partitions, 8 are wanted" in plan.problems[0]
    assert "--partitions 4" in plan.problems[0]
    assert not plan.create


def test_replicas_of_topics_that_exist_bound_the_replicas_that_must_be_in_sync() -> None:
    from logkeel.cli.provisioning import apply_application, plan_application
    from logkeel.cli.settings import Settings

    admin = SimulatedCluster().client().admin()
    single = Settings(prefix="app", replication_factor=1)
    apply_application(admin, single, ["default"])
    again = plan_application(admin, Settings(prefix="app", replication_factor=3), ["default"])
    assert again.is_empty, "two in-sync replicas of one could never be written"
