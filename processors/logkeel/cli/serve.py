"""`logkeel serve module:workflow`: engine and workers in one process, for small deployments."""

from typing import Annotated

import typer

from logkeel.cli.options import (
    BlobAbove,
    BlobStoreUrl,
    Bootstrap,
    Config,
    KafkaConfig,
    MetricsHost,
    MetricsPort,
    PayloadCompression,
    PayloadKeys,
    Prefix,
    ProbeHost,
    ProbePort,
    StateDir,
)
from logkeel.cli.output import say
from logkeel.cli.settings import load_settings
from logkeel.cli.signals import stop_on_signals

app = typer.Typer()

DRAIN_S = 25.0


@app.command("serve")
def serve(
    targets: Annotated[list[str], typer.Argument(help="module, module:workflow or path/to/file.py; several.")],
    bootstrap_servers: Bootstrap = None,
    prefix: Prefix = None,
    state_dir: StateDir = None,
    config: Config = None,
    kafka_config: KafkaConfig = None,
    concurrency: Annotated[int | None, typer.Option(help="Steps at once, in each queue.")] = None,
    gateway: Annotated[bool, typer.Option("--gateway", help="Serve HTTP, too: docs/gateway.md.")] = False,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.")] = None,
    probe_port: ProbePort = None,
    probe_host: ProbeHost = None,
    payload_keys: PayloadKeys = None,
    payload_compression: PayloadCompression = None,
    blob_store: BlobStoreUrl = None,
    blob_above: BlobAbove = None,
    metrics_port: MetricsPort = None,
    metrics_host: MetricsHost = None,
) -> None:
    """Run an engine and a worker for each queue of the workflows, in one process, until SIGTERM.

    What still runs then has 25 s to end; the engine closes last. Start as many of these processes as you like.
    """
    from logkeel.cli.applications import load_workflows
    from logkeel.cli.gateways import Presence
    from logkeel.cli.logs import configure_logs
    from logkeel.cli.serving import queues_of, serve_here
    from logkeel.cli.wiring import connect

    flags = {
        "bootstrap_servers": bootstrap_servers,
        "prefix": prefix,
        "state_dir": state_dir,
        "kafka_config": kafka_config,
        "concurrency": concurrency,
        "log_level": log_level,
        "probe_port": probe_port,
        "probe_host": probe_host,
        "payload_keys": payload_keys,
        "payload_compression": payload_compression,
        "blob_store": blob_store,
        "blob_above_bytes": blob_above,
        "metrics_port": metrics_port,
        "metrics_host": metrics_host,
    }
    settings = load_settings(flags, file=config)
    configure_logs(settings.log_level)
    workflows = [workflow for target in targets for workflow in load_workflows(target)]
    stop = stop_on_signals()

    def ready(slot: int) -> None:
        names = ", ".join(f"{each.name}@{each.version}" for each in workflows)
        queues = ", ".join(queues_of(workflows))
        say(f"engine {slot} and workers of {queues} run {names} on {settings.bootstrap_servers}")

    door: Presence = "must" if gateway else "none"
    client = connect(settings)
    serve_here(client, settings, workflows, stop=stop, drain_s=DRAIN_S, look=_nothing, ready=ready, gateway=door)
    say("stopped; nothing is unfinished here, and the state is on the log and on disk")


def _nothing() -> None:
    """Nobody else has to live: the broker is somebody else's, and the client reports when it is away."""
