"""Chart, base and overlay against the tools of the field, without a cluster. Run by `make deploy-check`."""

import json
from pathlib import Path

import pytest
from deploy.checks import strimzi, tools
from deploy.render import BASE, rendered_base
from typer.main import get_command

from logkeel.cli.access import Role
from logkeel.cli.grace import insight_grace_s, worker_grace_s
from logkeel.cli.insight import app
from logkeel.cli.settings import Settings
from logkeel.cli.strimzi import user_resource
from logkeel.records.topics import TopicNames

KUBERNETES = ("1.35.0", "1.36.0", "1.37.0")
OWN_KINDS = {"KafkaTopic", "KafkaUser", "ScaledObject", "TriggerAuthentication", "PodMonitor", "PrometheusRule"}
"""Custom resources: checked against the code and against their own types, below."""

VARIANTS = {
    "default": (),
    "everything": tools.EVERYTHING,
    "bare": (
        *("--set", "keda.enabled=false", "--set", "strimzi.enabled=false", "--set", "monitoring.enabled=false"),
        *("--set", "kafka.ca.secret=", "--set", "kafka.loginKey=", "--set", "topics.apply=false"),
        *("--set", "networkPolicy.enabled=false"),
    ),
}


@pytest.fixture(scope="session")
def binaries(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return tools.unpack_binaries(tmp_path_factory.mktemp("binaries"))


@pytest.fixture(params=VARIANTS)
def rendered(request: pytest.FixtureRequest, binaries: dict[str, Path]) -> str:
    return tools.template(binaries["helm"], *VARIANTS[request.param])


def test_the_chart_is_sound(binaries: dict[str, Path]) -> None:
    said = tools.run(binaries["helm"], "lint", "--strict", tools.CHART)
    assert "1 chart(s) linted, 0 chart(s) failed" in said


@pytest.mark.parametrize("wrong", ["engine.replica=2", "prefix=", "partitions=0", "kafka.bootstrapServers=nowhere"])
def test_a_wrong_value_is_refused(binaries: dict[str, Path], wrong: str) -> None:
    with pytest.raises(AssertionError, match=r"values don.t meet the specifications"):
        tools.template(binaries["helm"], "--set", wrong)


@pytest.mark.parametrize("version", KUBERNETES)
def test_every_resource_is_one_of_kubernetes(rendered: str, version: str, tmp_path: Path) -> None:
    path = tmp_path / "rendered.yaml"
    path.write_text(rendered)
    checker = tools.environment() / "bin" / "kubernetes-validate"
    said = tools.run(checker, "--strict", "-k", version, path)
    unknown = [line for line in said.splitlines() if "Couldn't find schema" in line]
    assert {line.split("for kind ")[1].split()[0] for line in unknown} <= OWN_KINDS
    assert "ERROR" not in said


def test_custom_resources_are_of_their_types(rendered: str) -> None:
    said = tools.run(tools.environment() / "bin" / "python", Path(__file__).with_name("crds.py"), given=rendered)
    wanted = len(
        [each for each in tools.documents(rendered) if each["kind"] in OWN_KINDS and "Kafka" not in each["kind"]]
    )
    assert said == f"{wanted} checked\n"


def test_topics_and_users_are_of_strimzis_types(rendered: str) -> None:
    resources = [each for each in tools.documents(rendered) if each["kind"] in strimzi.DEFINITIONS]
    assert bool(resources) == ("kafka.strimzi.io" in rendered)
    for resource in resources:
        assert strimzi.problems(resource) == [], resource["metadata"]["name"]


def test_each_queue_has_a_deployment_that_may_take_its_time_to_end(binaries: dict[str, Path]) -> None:
    text = tools.template(binaries["helm"], *tools.EVERYTHING, release="app")
    workers = [each for each in tools.documents(text, "Deployment") if "-worker-" in each["metadata"]["name"]]
    grace = {
        each["metadata"]["name"]: each["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] for each in workers
    }
    assert grace == {"app-worker-default": worker_grace_s(25), "app-worker-heavy": worker_grace_s(120)}
    users = {each["metadata"]["name"]: each["spec"] for each in tools.documents(text, "KafkaUser")}
    wanted = user_resource(Role.WORKER, TopicNames("logkeel"), ["default", "heavy"], cluster="kafka")["spec"]
    rules = users["logkeel-worker"]["authorization"]["acls"]
    assert sorted(map(str, rules)) == sorted(map(str, wanted["authorization"]["acls"]))


def test_insight_runs_one_process_and_takes_its_options(binaries: dict[str, Path]) -> None:
    text = tools.template(binaries["helm"], *tools.EVERYTHING, release="app")
    (found,) = [each["spec"] for each in tools.documents(text, "Deployment") if "insight" in each["metadata"]["name"]]
    assert (found["replicas"], found["strategy"]) == (1, {"type": "Recreate"})
    pod = found["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] == insight_grace_s(Settings().session_timeout_ms)
    (container,) = pod["containers"]
    alert = ["--alert-url", "https://alerts.example.com/logkeel"]
    assert container["args"] == ["insight", "--keep", "12h", "--pickup", "10m", *alert]
    known = {option for parameter in get_command(app).params for option in parameter.opts}
    assert {word for word in container["args"] if word.startswith("--")} <= known
    users = {each["metadata"]["name"] for each in tools.documents(text, "KafkaUser")}
    assert "logkeel-insight" in users


def test_the_base_is_the_chart_with_its_default_values(binaries: dict[str, Path]) -> None:
    assert (BASE / "logkeel.yaml").read_text() == rendered_base(str(binaries["helm"])), (
        "render it anew: python -m deploy.render --helm PATH"
    )


def test_the_overlay_builds_and_changes_what_it_says(binaries: dict[str, Path]) -> None:
    built = tools.run(binaries["kubectl"], "kustomize", tools.HERE / "kustomize" / "overlays" / "plain")
    (engine,) = tools.documents(built, "StatefulSet")
    (worker,) = tools.documents(built, "Deployment")
    assert engine["spec"]["replicas"] == 2
    assert worker["spec"]["template"]["spec"]["containers"][0]["args"][1] == "my_app.flows:research"
    (job,) = tools.documents(built, "Job")
    images = {each["spec"]["template"]["spec"]["containers"][0]["image"] for each in (engine, worker, job)}
    assert images == {"registry.example.com/my-app:1.0"}


def test_checkov_finds_nothing(binaries: dict[str, Path], tmp_path: Path) -> None:
    """No check is skipped. The image is named by digest here, as a release of one's own should name it."""
    path = tmp_path / "rendered.yaml"
    path.write_text(tools.template(binaries["helm"], *tools.EVERYTHING))
    said = tools.run(
        tools.environment() / "bin" / "checkov",
        *("--file", path, tools.HERE / "Dockerfile", "--framework", "kubernetes", "dockerfile"),
        *("--output", "json", "--quiet", "--skip-download", "--soft-fail"),
    )
    reports = json.loads(said)
    summaries = {each["check_type"]: each["summary"] for each in reports}
    assert summaries.keys() == {"kubernetes", "dockerfile"}
    for report in reports:
        failed = [(each["check_id"], each["resource"]) for each in report["results"]["failed_checks"]]
        assert failed == []
        assert report["summary"]["skipped"] == 0
    assert summaries["kubernetes"]["passed"] > 200
