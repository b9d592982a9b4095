"""`logkeel topics plan|apply|acls|strimzi`: the topics of one application, and who may do what with them."""

from typing import Annotated, TypeAlias

import typer

from logkeel.cli.options import Bootstrap, Config, KafkaConfig, Output, Prefix
from logkeel.cli.output import Format, print_json, print_rows, say
from logkeel.cli.provisioning import apply_application, plan_application
from logkeel.cli.settings import load_settings
from logkeel.cli.topic_acls import acls, strimzi
from logkeel.errors import TopicMismatch
from logkeel.log.provisioning import ProvisioningPlan

app = typer.Typer(no_args_is_help=True, help="The topics of one application: what is missing, and making it so.")

Queues: TypeAlias = Annotated[list[str] | None, typer.Option("--queue", help="A queue of workers; may be repeated.")]
Partitions: TypeAlias = Annotated[int | None, typer.Option(min=1, help="Partition count, fixed for ever (default 4).")]
Replication: TypeAlias = Annotated[int | None, typer.Option("--replication-factor", min=1, help="Copies of a record.")]

app.command("acls")(acls)
app.command("strimzi")(strimzi)


@app.command("plan")
def show_plan(
    bootstrap_servers: Bootstrap = None,
    prefix: Prefix = None,
    queue: Queues = None,
    partitions: Partitions = None,
    replication_factor: Replication = None,
    config: Config = None,
    kafka_config: KafkaConfig = None,
    output: Output = Format.TABLE,
) -> None:
    """Say what `apply` would do; changes nothing. Exit code 15 if something stands in its way."""
    from logkeel.cli.wiring import connect

    flags = {"bootstrap_servers": bootstrap_servers, "prefix": prefix, "partitions": partitions}
    settings = load_settings(
        {**flags, "replication_factor": replication_factor, "kafka_config": kafka_config}, file=config
    )
    changes = plan_application(connect(settings).admin(), settings, queue or [settings.queue])
    _print(changes, output)
    if changes.problems:
        raise TopicMismatch("; ".join(changes.problems), problems=list(changes.problems))
    say("nothing is to be done" if changes.is_empty else "do it with: logkeel topics apply")


@app.command()
def apply(
    bootstrap_servers: Bootstrap = None,
    prefix: Prefix = None,
    queue: Queues = None,
    partitions: Partitions = None,
    replication_factor: Replication = None,
    config: Config = None,
    kafka_config: KafkaConfig = None,
    output: Output = Format.TABLE,
) -> None:
    """Create what is missing and set what differs; safe to repeat."""
    from logkeel.cli.wiring import connect

    flags = {"bootstrap_servers": bootstrap_servers, "prefix": prefix, "partitions": partitions}
    settings = load_settings(
        {**flags, "replication_factor": replication_factor, "kafka_config": kafka_config}, file=config
    )
    changes = apply_application(connect(settings).admin(), settings, queue or [settings.queue])
    _print(changes, output)
    say(f"the topics of {settings.prefix!r} are as they should be")


def _print(changes: ProvisioningPlan, output: Format) -> None:
    rows: list[tuple[str, str, str]] = [
        ("create", topic.name, f"{topic.partitions} partitions, {topic.replication_factor} copies")
        for topic in changes.create
    ]
    rows += [
        ("set", change.topic, f"{setting}: {before} → {after}")
        for change in changes.alter
        for setting, (after, before) in change.settings.items()
    ]
    if output is Format.JSON:
        done = [dict(zip(("action", "topic", "detail"), row, strict=True)) for row in rows]
        print_json({"changes": done, "problems": list(changes.problems)})
    elif rows:
        print_rows(("action", "topic", "detail"), list(rows), output)
