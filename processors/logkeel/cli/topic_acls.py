"""`logkeel topics acls` and `logkeel topics strimzi`: rights and topics, for whoever grants and makes them."""

from enum import StrEnum
from typing import Annotated, TypeAlias

import typer

from logkeel.cli.access import Role, acls_of, commands
from logkeel.cli.options import Config, Prefix
from logkeel.cli.output import print_json, print_text
from logkeel.cli.provisioning import wanted_topics
from logkeel.cli.settings import load_settings
from logkeel.cli.strimzi import topic_resource, user_resource
from logkeel.cli.yaml_text import yaml_documents


class AclForm(StrEnum):
    """How rights are written."""

    JSON = "json"
    STRIMZI = "strimzi"
    KAFKA_ACLS = "kafka-acls"


Roles: TypeAlias = Annotated[list[Role] | None, typer.Option("--role", help="May be repeated; default: all of them.")]
Queues: TypeAlias = Annotated[list[str] | None, typer.Option("--queue", help="A queue of workers; may be repeated.")]
Cluster: TypeAlias = Annotated[str, typer.Option("--cluster", help="Name of the Strimzi cluster.")]


def acls(
    role: Roles = None,
    queue: Queues = None,
    prefix: Prefix = None,
    config: Config = None,
    principal: Annotated[
        str, typer.Option(help="Whom `kafka-acls` names, with {prefix} and {role}.")
    ] = "User:{prefix}-{role}",
    cluster: Cluster = "kafka",
    output: Annotated[AclForm, typer.Option("--output", "-o", help="How the rights are written.")] = AclForm.JSON,
) -> None:
    """Print the rights that each role needs, and no more. Connects to nothing."""
    settings = load_settings({"prefix": prefix}, file=config)
    names, queues = settings.names, queue or [settings.queue]
    roles = role or list(Role)
    match output:
        case AclForm.JSON:
            print_json({str(each): [acl.document() for acl in acls_of(each, names, queues)] for each in roles})
        case AclForm.KAFKA_ACLS:
            for each in roles:
                named = principal.format(role=each, prefix=names.prefix)
                for command in commands(acls_of(each, names, queues), principal=named):
                    print_text(command)
        case AclForm.STRIMZI:
            print_text(
                yaml_documents(user_resource(each, names, queues, cluster=cluster) for each in roles).removesuffix("\n")
            )


def strimzi(
    queue: Queues = None,
    prefix: Prefix = None,
    partitions: Annotated[int | None, typer.Option(min=1, help="Partition count, fixed for ever.")] = None,
    replication_factor: Annotated[int | None, typer.Option(min=1, help="Copies of a record.")] = None,
    config: Config = None,
    cluster: Cluster = "kafka",
) -> None:
    """Print the topics as `KafkaTopic` resources. Connects to nothing.

    Where the operator makes them, run `logkeel topics apply` once all the same: it marks command topics as unused.
    """
    flags = {"prefix": prefix, "partitions": partitions, "replication_factor": replication_factor}
    settings = load_settings(flags, file=config)
    plans = wanted_topics(settings, queue or [settings.queue])
    print_text(yaml_documents(topic_resource(plan, cluster=cluster) for plan in plans).removesuffix("\n"))
