"""TLS, SCRAM and ACLs on a real broker: everything runs under the exact rights, and whoever is refused hears why."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.security.site import SecuredSite, admin_as

from logkeel.broker import SecuredBroker
from logkeel.cli.access import Acl, Resource, Role
from logkeel.errors import AuthenticationFailed, AuthorizationFailed, CertificateRefused
from logkeel.records.topics import TopicNames

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def broker() -> Iterator[SecuredBroker]:
    with SecuredBroker([*Role]) as started:
        yield started


@pytest.fixture(scope="module")
def site(broker: SecuredBroker, tmp_path_factory: pytest.TempPathFactory) -> SecuredSite:
    return SecuredSite(broker, tmp_path_factory.mktemp("secured"))


def test_engine_worker_and_client_run_under_their_rights_alone(site: SecuredSite, tmp_path: Path) -> None:
    processes = []
    for role, command in (
        (Role.ENGINE, ["engine"]),
        (Role.WORKER, ["worker", "tests.integration.security.greetings:greetings"]),
    ):
        properties = site.broker.write_client_properties(role, tmp_path / f"{role}.properties")
        line = [sys.executable, "-m", "logkeel.cli.main", *command, "--kafka-config", str(properties)]
        line += ["--prefix", site.prefix, "--state-dir", str(tmp_path / role)]
        with (tmp_path / f"{role}.log").open("wb") as log:
            environment = {name: value for name, value in os.environ.items() if not name.startswith("LOGKEEL_")}
            processes.append(subprocess.Popen(line, cwd=ROOT, env=environment, stdout=log, stderr=log))
    try:
        site.run()
    finally:
        for process in processes:
            process.terminate()
        codes = [process.wait(60) for process in processes]
    said = "".join((tmp_path / f"{role}.log").read_text() for role in (Role.ENGINE, Role.WORKER))
    assert codes == [0, 0], said
    assert "uthorization failed" not in said, said
    assert all(password not in said for password in site.broker.security.users.values())


def one(resource: Resource, name: str, operation: str, *, prefixed: bool = False) -> Acl:
    return Acl(resource, name, (operation,), prefixed)  # type: ignore[arg-type]  # the parameter is one of them


ENGINE_NEEDS = {
    "requests": lambda n: one(Resource.TOPIC, n.run_requests, "READ"),
    "state": lambda n: one(Resource.TOPIC, n.run_state, "WRITE"),
    "definitions": lambda n: one(Resource.TOPIC, n.workflow_definitions, "READ"),
    "group": lambda n: one(Resource.GROUP, n.engine_group, "READ"),
    "transactions": lambda n: one(Resource.TRANSACTIONAL_ID, f"{n.prefix}.engine-", "WRITE", prefixed=True),
    "reader's group": lambda n: one(Resource.GROUP, "logkeel-reader", "DESCRIBE"),
}
WORKER_NEEDS = {
    "commands": lambda n: one(Resource.TOPIC, n.step_commands(), "READ"),
    "control": lambda n: one(Resource.TOPIC, n.step_control, "READ"),
    "results": lambda n: one(Resource.TOPIC, n.step_results, "WRITE"),
    "group": lambda n: one(Resource.GROUP, n.worker_group(), "READ"),
}


def lacks(acl: Acl, error: object, names: TopicNames) -> None:
    """The error names the right: what may be done, on what."""
    assert isinstance(error, AuthorizationFailed), repr(error)
    assert acl.name in error.message, error.message
    assert "kafka-acls --add" in error.message, error.message


@pytest.mark.parametrize("need", ENGINE_NEEDS)
def test_an_engine_without_a_right_ends_and_names_it(site: SecuredSite, need: str) -> None:
    acl = ENGINE_NEEDS[need](site.names)
    site.change(Role.ENGINE, [acl], granted=False)
    try:
        site.ask()  # so that there is something to write
        with site.running(Role.ENGINE) as engine:
            lacks(acl, engine.until_ended(), site.names)
    finally:
        site.change(Role.ENGINE, [acl])


@pytest.mark.parametrize("need", WORKER_NEEDS)
def test_a_worker_without_a_right_ends_and_names_it(site: SecuredSite, need: str) -> None:
    acl = WORKER_NEEDS[need](site.names)
    site.change(Role.WORKER, [acl], granted=False)
    try:
        with site.running(Role.ENGINE) as engine, site.running(Role.WORKER) as worker:
            if need == "results":
                site.ask()
            lacks(acl, worker.until_ended(), site.names)
            assert engine.thread.is_alive(), engine.error
    finally:
        site.change(Role.WORKER, [acl])


def test_a_wrong_password_is_named(broker: SecuredBroker) -> None:
    login = 'org.apache.kafka.common.security.scram.ScramLoginModule required username="client" password="guessed";'
    with pytest.raises(AuthenticationFailed, match="does not let user 'client' in") as caught:
        admin_as(broker, "client", **{"sasl.jaas.config": login}).describe_topics(["any"])
    assert "guessed" not in str(caught.value)


def test_a_certificate_of_somebody_else_is_named(broker: SecuredBroker) -> None:
    inner = broker.security.directory / "broker.pem"
    with pytest.raises(CertificateRefused, match="self-signed") as caught:
        admin_as(broker, "client", **{"ssl.truststore.location": str(inner)}).describe_topics(["any"])
    assert "ssl.ca.location" in caught.value.message


def test_an_expired_certificate_is_named() -> None:
    with (
        SecuredBroker(["client"], valid_days=-2) as expired,
        pytest.raises(CertificateRefused, match="certificate has expired"),
    ):
        admin_as(expired, "client").describe_topics(["any"])
