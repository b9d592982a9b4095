"""The rights of the roles, in the three forms in which they are written."""

import json

import pytest

from logkeel.cli.access import Resource, Role, acls_of, commands
from logkeel.cli.main import main
from logkeel.cli.strimzi import topic_resource, user_resource
from logkeel.cli.yaml_text import yaml_documents
from logkeel.log import TopicPlan
from logkeel.records.topics import TopicNames, topic_policies

NAMES = TopicNames("app")


@pytest.mark.parametrize("role", Role)
def test_rights_name_each_resource_once_and_stay_below_the_prefix(role: Role) -> None:
    acls = acls_of(role, NAMES, ["a", "b"])
    places = [(acl.resource, acl.name) for acl in acls]
    if role is not Role.OPERATOR:
        assert len(places) == len(set(places))
    assert all(name.startswith("app.") or name == "logkeel-reader" for _, name in places)
    assert all(acl.operations for acl in acls)


def test_only_the_operator_makes_topics_and_only_loops_have_transactions() -> None:
    def whoever(meets: object) -> set[Role]:
        return {role for role in Role for acl in acls_of(role, NAMES, ["a"]) if meets(acl)}  # type: ignore[operator]

    assert whoever(lambda acl: "CREATE" in acl.operations) == {Role.OPERATOR}
    assert whoever(lambda acl: acl.resource is Resource.TRANSACTIONAL_ID) == {Role.ENGINE, Role.NOTIFIER}
    assert whoever(lambda acl: acl.name == NAMES.run_state and "WRITE" in acl.operations) == {Role.ENGINE}


def test_topics_of_rights_are_topics_of_the_application() -> None:
    known = {policy.name for policy in topic_policies(NAMES, ["a"])}
    for role in Role:
        for acl in acls_of(role, NAMES, ["a"]):
            if acl.resource is Resource.TOPIC:
                assert acl.name in known or (acl.prefixed and any(name.startswith(acl.name) for name in known))


def test_commands_of_kafka_acls() -> None:
    said = commands(acls_of(Role.ENGINE, NAMES, []), principal="User:e")
    assert "kafka-acls --add --allow-principal User:e --operation READ --group app.engine" in said
    assert (
        "kafka-acls --add --allow-principal User:e --operation WRITE --transactional-id app.engine-"
        " --resource-pattern-type prefixed"
    ) in said


def test_a_user_of_strimzi_has_the_same_rights() -> None:
    user = user_resource(Role.WORKER, NAMES, ["a"], cluster="k")
    rights = {
        (rule["resource"]["type"], rule["resource"]["name"], tuple(rule["operations"]))
        for rule in user["spec"]["authorization"]["acls"]
    }
    assert ("group", "app.worker.a", ("Read",)) in rights
    assert ("topic", "app.workflow-definitions", ("Read", "Write")) in rights
    assert len(rights) == len(acls_of(Role.WORKER, NAMES, ["a"]))


def test_a_topic_of_strimzi_keeps_numbers_as_numbers() -> None:
    topic = topic_resource(
        TopicPlan("app.Run_events", 3, 2, {"retention.ms": "-1", "cleanup.policy": "delete"}), cluster="k"
    )
    assert topic["metadata"]["name"] == "app.run-events"
    assert topic["spec"] == {
        "topicName": "app.Run_events",
        "partitions": 3,
        "replicas": 2,
        "config": {"retention.ms": -1, "cleanup.policy": "delete"},
    }


def test_yaml_quotes_what_would_mean_something_else() -> None:
    text = yaml_documents(
        [{"a": "true", "b": "*", "c": ["x y", {"d": 1, "e": []}], "f": True, "g.h/i": "plain", "j": "1"}]
    )
    assert text == ('a: "true"\nb: "*"\nc:\n  - "x y"\n  - d: 1\n    e: []\nf: true\ng.h/i: plain\nj: "1"\n')


def test_the_command_connects_to_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["topics", "acls", "--prefix", "app", "--role", "client"])
    assert ended.value.code == 0
    assert {rule["name"] for rule in json.loads(capsys.readouterr().out)["client"]} >= {"app.run-requests"}
