"""The demo's broker behind TLS, logins and rights: each process comes as a user that may do what its role needs."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from logkeel.broker import SecuredBroker
from logkeel.cli.access import Acl, Resource, Role, acls_of
from logkeel.kafka.options import client_options
from logkeel.records.topics import TopicNames

KINDS = {
    Resource.TOPIC: ResourceType.TOPIC,
    Resource.GROUP: ResourceType.GROUP,
    Resource.TRANSACTIONAL_ID: ResourceType.TRANSACTIONAL_ID,
}
SETTLE_S = 0.5
"""The authorizer follows its log; there is nothing to ask."""

ROLE_OF = {"topics": Role.OPERATOR, "engine": Role.ENGINE, "worker": Role.WORKER, "timeline": Role.GATEWAY}
"""The user of each process; the timeline starts a run and reads its history, as a gateway does."""


def admin_of(broker: SecuredBroker) -> AdminClient:
    """Who grants."""
    options = client_options(broker.client_properties("admin"))
    return AdminClient({"bootstrap.servers": broker.bootstrap_servers, **options})


def change(admin: AdminClient, role: Role, acls: Sequence[Acl], *, granted: bool = True) -> None:
    """Grant to the user of a role, or take away; the broker knows some moments later (`SETTLE_S`)."""
    for acl in acls:
        pattern = ResourcePatternType.PREFIXED if acl.prefixed else ResourcePatternType.LITERAL
        for operation in acl.operations:
            what = (KINDS[acl.resource], acl.name, pattern, f"User:{role}", "*", AclOperation[operation])
            if granted:
                changes = admin.create_acls([AclBinding(*what, AclPermissionType.ALLOW)]).values()
            else:
                changes = admin.delete_acls([AclBindingFilter(*what, AclPermissionType.ALLOW)]).values()
            for future in changes:
                future.result(30)


@contextmanager
def secured(directory: Path) -> Iterator[tuple[str, dict[str, Path]]]:
    """(address, `client.properties` of each process) of a broker on which the roles have their rights."""
    with SecuredBroker([*Role], directory / "kafka") as broker:
        admin = admin_of(broker)
        for role in set(ROLE_OF.values()):
            change(admin, role, acls_of(role, TopicNames(), ["default"]))
        time.sleep(SETTLE_S)
        yield (
            broker.bootstrap_servers,
            {
                process: broker.write_client_properties(role, directory / f"{process}.properties")
                for process, role in ROLE_OF.items()
            },
        )
