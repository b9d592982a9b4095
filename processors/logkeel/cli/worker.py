"""`logkeel worker module:workflow`: one process that runs step functions."""

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
    Stay,
)
from logkeel.cli.output import say
from logkeel.cli.settings import load_settings
from logkeel.cli.signals import stop_on_signals

app = typer.Typer()


@app.command("worker")
def worker(
    target: Annotated[str, typer.Argument(help="module, module:workflow or path/to/file.py")],
    bootstrap_servers: Bootstrap = None,
    prefix: Prefix = None,
    state_dir: StateDir = None,
    config: Config = None,
    kafka_config: KafkaConfig = None,
    queue: Annotated[str | None, typer.Option(help="The queue to serve.")] = None,
    concurrency: Annotated[int | None, typer.Option(help="Steps at once.")] = None,
    slot: Annotated[int | None, typer.Option(help="Number of this process on this host.")] = None,
    drain: Annotated[float, typer.Option(help="Seconds that running steps have to end after SIGTERM.")] = 25.0,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.")] = None,
    stay: Stay = None,
    probe_port: ProbePort = None,
    probe_host: ProbeHost = None,
    payload_keys: PayloadKeys = None,
    payload_compression: PayloadCompression = None,
    blob_store: BlobStoreUrl = None,
    blob_above: BlobAbove = None,
    metrics_port: MetricsPort = None,
    metrics_host: MetricsHost = None,
) -> None:
    """Run the steps of a workflow until SIGTERM; what still runs then has 25 s to end, or what `--drain` says."""
    from logkeel.cli.applications import load_workflows
    from logkeel.cli.garbage import settle
    from logkeel.cli.logs import configure_logs
    from logkeel.cli.observing import watching
    from logkeel.cli.probes import Health, offer_probes
    from logkeel.cli.publishing import publish
    from logkeel.cli.watchdog import WORKER_LIMIT_S, watch
    from logkeel.cli.wiring import connect, make_worker

    flags = {
        "bootstrap_servers": bootstrap_servers,
        "prefix": prefix,
        "state_dir": state_dir,
        "kafka_config": kafka_config,
        "queue": queue,
        "concurrency": concurrency,
        "log_level": log_level,
        "stay": stay,
        "slot": slot,
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
    stop = stop_on_signals()
    workflows = load_workflows(target)
    client = connect(settings)
    publish(client, settings, workflows)
    with watching(client, settings, "worker") as seen:
        member = make_worker(client, settings, workflows, slot=settings.slot, drain_s=drain, watch=seen)
        names = ", ".join(f"{each.name}@{each.version}" for each in workflows)
        say(f"worker {member.holder.slot} runs {names} from queue {settings.queue!r} on {settings.bootstrap_servers}")
        settle()
        watch(stop, WORKER_LIMIT_S)
        offer_probes(Health(stop, WORKER_LIMIT_S, lambda: member.is_ready), settings.probe_host, settings.probe_port)
        member.run(stop)
    say("worker has left; what it did not finish it has given back")
