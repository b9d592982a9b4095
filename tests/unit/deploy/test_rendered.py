"""What manifests say equals what the code says: topics, rights, probes, ports, grace periods, slots."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from deploy.checks import strimzi
from deploy.render import BASE, CHART, CODE, HERE, METRICS_PORT, PROBE_PORT, RULES, rendered_code

from logkeel.cli.access import Role
from logkeel.cli.client_properties import parse_properties
from logkeel.cli.grace import DRAIN_S, engine_grace_s, worker_grace_s
from logkeel.cli.provisioning import wanted_topics
from logkeel.cli.settings import ENVIRONMENT_PREFIX, Settings
from logkeel.cli.strimzi import topic_resource, user_resource
from logkeel.cli.wiring import engine_settings
from logkeel.kafka.options import client_options

VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
RENDERED = [each for each in yaml.safe_load_all((BASE / "logkeel.yaml").read_text()) if each]
SETTINGS = Settings(
    prefix=VALUES["prefix"], partitions=VALUES["partitions"], replication_factor=VALUES["replicationFactor"]
)
QUEUES = [worker["queue"] for worker in VALUES["workers"]]


def of_kind(kind: str) -> dict[str, dict[str, Any]]:
    return {each["metadata"]["name"]: each for each in RENDERED if each["kind"] == kind}


def pods() -> dict[str, dict[str, Any]]:
    """Pod templates by the command they run."""
    templates = [
        each["spec"]["template"]["spec"] for each in RENDERED if each["kind"] in ("StatefulSet", "Deployment", "Job")
    ]
    return {spec["containers"][0]["args"][0]: spec for spec in templates}


def test_what_the_chart_reads_is_what_the_code_says() -> None:
    assert CODE.read_text() == rendered_code(), "write it anew: python -m deploy.render"


def test_the_charts_alert_rules_are_those_of_the_dashboards() -> None:
    wanted = RULES.read_text() if RULES.exists() else None
    copy = CHART / "rules.yaml"
    assert (copy.read_text() if copy.exists() else None) == wanted, "write it anew: python -m deploy.render"


def test_the_default_values_meet_their_schema_and_a_typing_error_does_not() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    jsonschema.validate(VALUES, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**VALUES, "engines": {}}, schema)
    secret = {**VALUES["kafka"], "properties": {"security.protocol": "SASL_SSL", "sasl.password": "x"}}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**VALUES, "kafka": secret}, schema)


def test_topics_are_those_of_the_code() -> None:
    found = {name: topic["spec"] for name, topic in of_kind("KafkaTopic").items()}
    wanted = [topic_resource(plan, cluster="kafka") for plan in wanted_topics(SETTINGS, QUEUES)]
    assert found == {each["metadata"]["name"]: each["spec"] for each in wanted}


def test_users_have_the_rights_of_the_code() -> None:
    found = of_kind("KafkaUser")
    for role in set(Role) - {Role.GATEWAY, Role.NOTIFIER, Role.INSIGHT}:  # those are off by default
        wanted = user_resource(role, SETTINGS.names, QUEUES, cluster="kafka")
        assert found.pop(wanted["metadata"]["name"])["spec"] == wanted["spec"]
    assert found == {}


def test_topics_and_users_are_of_strimzis_types() -> None:
    topics, users = of_kind("KafkaTopic").values(), of_kind("KafkaUser").values()
    assert len(topics) > 5
    assert len(users) > 3
    made = [topic_resource(plan, cluster="kafka") for plan in wanted_topics(SETTINGS, QUEUES)]
    made += [user_resource(role, SETTINGS.names, QUEUES, cluster="kafka") for role in Role]
    for resource in (*topics, *users, *made):
        assert strimzi.problems(resource) == [], resource["metadata"]["name"]


@pytest.mark.parametrize(
    ("kind", "change", "said"),
    [
        ("KafkaTopic", {"spec": {"partition": 4}}, "$.spec: Additional properties"),
        ("KafkaTopic", {"spec": {"partitions": "4"}}, "$.spec.partitions: '4' is not of type 'integer'"),
        ("KafkaTopic", {"spec": {"replicas": 0}}, "$.spec.replicas: 0 is less than the minimum"),
        ("KafkaTopic", {"apiVersion": "kafka.strimzi.io/v1beta2"}, "apiVersion is kafka.strimzi.io/v1beta2"),
        ("KafkaUser", {"spec": {"authentication": {"type": "scram"}}}, "$.spec.authentication.type: 'scram'"),
        ("KafkaUser", {"spec": {"authorization": {"type": "simple"}}}, "'acls' is a required property"),
        (
            "KafkaUser",
            {"spec": {"authorization": {"type": "simple", "acls": [{"resource": {"type": "topic"}, "operation": 1}]}}},
            "$.spec.authorization.acls[0]: 'operations' is a required property",
        ),
    ],
    ids=str,
)
def test_what_is_not_of_strimzis_types_is_noticed(kind: str, change: dict[str, Any], said: str) -> None:
    resource = next(iter(of_kind(kind).values()))
    spec = {**resource["spec"], **change.get("spec", {})}
    assert any(said in problem for problem in strimzi.problems({**resource, **change, "spec": spec}))


def test_probes_and_endings_fit_the_processes() -> None:
    engine, worker = pods()["engine"], pods()["worker"]
    assert engine["terminationGracePeriodSeconds"] == engine_grace_s(engine_settings(Settings(), 0))
    assert worker["terminationGracePeriodSeconds"] == worker_grace_s(DRAIN_S)
    for spec in (engine, worker):
        container = spec["containers"][0]
        asked = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
        assert {probe["port"] for probe in asked.values()} == {"probes"}
        assert [asked[name]["path"] for name in ("startup", "liveness", "readiness")] == [
            "/startupz",
            "/livez",
            "/readyz",
        ]
        assert {port["name"]: port["containerPort"] for port in container["ports"]} == {
            "probes": PROBE_PORT,
            "metrics": METRICS_PORT,
        }


def test_pods_are_told_settings_that_exist() -> None:
    known = {ENVIRONMENT_PREFIX + field.upper() for field in Settings.__struct_fields__}
    for spec in pods().values():
        assert {each["name"] for each in spec["containers"][0]["env"]} <= known
    named = {each["name"]: each for each in pods()["engine"]["containers"][0]["env"]}
    assert named["LOGKEEL_POD_NAME"]["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}
    assert named["LOGKEEL_PROBE_PORT"]["value"] == str(PROBE_PORT)


def test_the_client_properties_are_understood() -> None:
    text = of_kind("ConfigMap")["logkeel-kafka"]["data"]["client.properties"]
    options = client_options(parse_properties(text, source="client.properties"))
    assert options["security.protocol"] == "SASL_SSL"
    mounts = {each["mountPath"] for each in pods()["engine"]["containers"][0]["volumeMounts"]}
    assert str(Path(options["ssl.ca.location"]).parent) in mounts


def test_workers_scale_on_the_lag_of_their_queue_from_zero() -> None:
    (scaled,) = of_kind("ScaledObject").values()
    (trigger,) = scaled["spec"]["triggers"]
    assert trigger["metadata"]["consumerGroup"] == SETTINGS.names.worker_group(QUEUES[0])
    assert trigger["metadata"]["topic"] == SETTINGS.names.step_commands(QUEUES[0])
    assert trigger["metadata"]["activationLagThreshold"] == "0"
    assert scaled["spec"]["minReplicaCount"] == 0
    assert scaled["spec"]["maxReplicaCount"] <= SETTINGS.partitions
    assert "replicas" not in of_kind("Deployment")[scaled["spec"]["scaleTargetRef"]["name"]]["spec"]


def test_engines_start_together_and_keep_their_volumes() -> None:
    (engine,) = of_kind("StatefulSet").values()
    assert engine["spec"]["podManagementPolicy"] == "Parallel"
    assert engine["spec"]["volumeClaimTemplates"][0]["metadata"]["name"] == "state"
    (budget,) = of_kind("PodDisruptionBudget").values()
    assert budget["spec"]["selector"]["matchLabels"] == engine["spec"]["selector"]["matchLabels"]


def test_compose_and_image_agree_with_the_code() -> None:
    services = yaml.safe_load((HERE / "compose.yaml").read_text())["services"]
    assert services["engine"]["stop_grace_period"] == f"{engine_grace_s(engine_settings(Settings(), 0))}s"
    assert services["worker"]["stop_grace_period"] == f"{worker_grace_s(DRAIN_S)}s"
    image = (HERE / "Dockerfile").read_text()
    assert f"LOGKEEL_PROBE_PORT={PROBE_PORT}" in image
    assert re.search(r"^USER 10001:10001$", image, re.MULTILINE)
    assert re.search(r'^ENTRYPOINT \["logkeel"\]$', image, re.MULTILINE)


def test_the_image_has_what_every_role_of_the_chart_needs() -> None:
    installed = re.search(r"'\.\[(.+)\]'", (HERE / "Dockerfile").read_text())
    assert installed is not None
    # Payloads and traces are asked for by settings, the others by roles.
    assert {"gateway", "insight", "notify", "otel", "payloads"} == set(installed[1].split(","))
