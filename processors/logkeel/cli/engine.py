"""`logkeel engine`: one run processor. It never runs user code."""

from pathlib import Path
from typing import Annotated

import typer

from logkeel.cli.options import (
    Bootstrap,
    Config,
    KafkaConfig,
    MetricsHost,
    MetricsPort,
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


@app.command("engine")
def engine(
    bootstrap_servers: Bootstrap = None,
    prefix: Prefix = None,
    state_dir: StateDir = None,
    config: Config = None,
    kafka_config: KafkaConfig = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.")] = None,
    slot: Annotated[
        int | None,
        typer.Option(
            help="Number of this process among all engines of the application. Default: the lowest free one in this"
            " state directory; give it when engines run on several hosts or in several state directories, or name the"
            " pod of a StatefulSet in LOGKEEL_POD_NAME."
        ),
    ] = None,
    stay: Stay = None,
    probe_port: ProbePort = None,
    probe_host: ProbeHost = None,
    metrics_port: MetricsPort = None,
    metrics_host: MetricsHost = None,
) -> None:
    """Run a run processor until SIGTERM: it keeps each run's state and routes its steps."""
    from logkeel.cli.garbage import settle
    from logkeel.cli.logged_loop import logged
    from logkeel.cli.logs import configure_logs
    from logkeel.cli.observing import watching
    from logkeel.cli.probes import Health, offer_probes
    from logkeel.cli.slots import slot_of
    from logkeel.cli.watchdog import ENGINE_LIMIT_S, watch
    from logkeel.cli.wiring import connect, make_engine
    from logkeel.exactly_once import take_slot

    flags = {
        "bootstrap_servers": bootstrap_servers,
        "prefix": prefix,
        "state_dir": state_dir,
        "kafka_config": kafka_config,
        "log_level": log_level,
        "stay": stay,
        "slot": slot,
        "probe_port": probe_port,
        "probe_host": probe_host,
        "metrics_port": metrics_port,
        "metrics_host": metrics_host,
    }
    settings = load_settings(flags, file=config)
    configure_logs(settings.log_level)
    stop = stop_on_signals()
    lock = take_slot(Path(settings.state_dir) / "engines", slot_of(settings))
    client = connect(settings)
    with watching(client, settings, "engine") as seen:
        loop = make_engine(client, settings, lock, watch=seen)
        say(f"engine {lock.slot} of {settings.prefix!r} on {settings.bootstrap_servers}; state in {lock.directory}")
        settle()
        watch(stop, ENGINE_LIMIT_S)
        offer_probes(Health(stop, ENGINE_LIMIT_S, lambda: loop.is_ready), settings.probe_host, settings.probe_port)
        logged(loop, lock)(stop)
    say("engine has stopped; its state is on the log and on disk")
