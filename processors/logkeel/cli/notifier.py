"""`logkeel notifier`: tells people what runs ask them, and takes their answers."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from logkeel.cli.options import (
    BlobStoreUrl,
    Bootstrap,
    Config,
    KafkaConfig,
    MetricsHost,
    MetricsPort,
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
from logkeel.errors import ConfigInvalid

if TYPE_CHECKING:
    from logkeel.notify.config import NotifyConfig
    from logkeel.notify.service import Address

app = typer.Typer()


@app.command("notifier")
def notifier(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="TOML: channels, routes, incoming webhooks.")],
    listen: Annotated[
        str | None, typer.Option("--listen", help="host:port of the pages that people answer on; none unless given.")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Only read the file, and say what is wrong with it.")] = False,
    bootstrap_servers: Bootstrap = None,
    prefix: Prefix = None,
    state_dir: StateDir = None,
    config: Config = None,
    kafka_config: KafkaConfig = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.")] = None,
    slot: Annotated[int | None, typer.Option(help="Number of this process among all notifiers; as of engines.")] = None,
    stay: Stay = None,
    payload_keys: PayloadKeys = None,
    blob_store: BlobStoreUrl = None,
    probe_port: ProbePort = None,
    probe_host: ProbeHost = None,
    metrics_port: MetricsPort = None,
    metrics_host: MetricsHost = None,
) -> None:
    """Run a notifier until SIGTERM. Several share the work."""
    from logkeel.cli.garbage import settle
    from logkeel.cli.logged_loop import told
    from logkeel.cli.logs import configure_logs
    from logkeel.cli.observing import watching
    from logkeel.cli.probes import Health, offer_probes
    from logkeel.cli.slots import slot_of
    from logkeel.cli.watchdog import ENGINE_LIMIT_S, watch
    from logkeel.cli.wiring import connect, notifier_parts
    from logkeel.exactly_once import take_slot
    from logkeel.notify.service import Notifier

    flags = {
        "bootstrap_servers": bootstrap_servers,
        "prefix": prefix,
        "state_dir": state_dir,
        "kafka_config": kafka_config,
        "log_level": log_level,
        "slot": slot,
        "probe_port": probe_port,
        "probe_host": probe_host,
        "metrics_port": metrics_port,
        "metrics_host": metrics_host,
        "stay": stay,
        "payload_keys": payload_keys,
        "blob_store": blob_store,
    }
    settings = load_settings(flags, file=config)
    wanted, address = _read(file), _address(listen)
    if address is not None and wanted.public_url is None and not wanted.inbound:
        raise ConfigInvalid(f"{file}: say public_url, where people reach the pages, or leave out --listen")
    if check:
        say(f"{file}: {len(wanted.channels)} channels, {len(wanted.routes)} routes, {len(wanted.inbound)} webhooks in")
        return
    configure_logs(settings.log_level)
    stop = stop_on_signals()
    lock = take_slot(Path(settings.state_dir) / "notifiers", slot_of(settings))
    client = connect(settings)
    with watching(client, settings, "notifier") as seen, told("notifier", slot=lock.slot):
        parts = notifier_parts(client, settings, lock, observer=seen.of_loop("notifier"))
        made = Notifier(parts, wanted, environment=os.environ, address=address)
        seen.notifier_made(made)
        say(f"notifier {lock.slot} of {settings.prefix!r}; channels: {', '.join(sorted(wanted.channels)) or 'none'}")
        settle()
        watch(stop, ENGINE_LIMIT_S)
        offer_probes(Health(stop, ENGINE_LIMIT_S, lambda: made.is_ready), settings.probe_host, settings.probe_port)
        made.run(stop)
    say("notifier has stopped; what is not sent yet is on the log")


def _read(file: Path) -> "NotifyConfig":
    """The configuration. Raises `ConfigInvalid`."""
    from logkeel.notify.config import parse_config

    try:
        text = file.read_text()
    except OSError as error:
        raise ConfigInvalid(f"{file} cannot be read: {error.strerror}", file=str(file)) from error
    return parse_config(text, os.environ, source=str(file))


def _address(listen: str | None) -> "Address | None":
    """Host and port. Raises `ConfigInvalid`."""
    from logkeel.notify.config import server_of
    from logkeel.notify.service import Address

    if listen is None:
        return None
    try:
        host, port = server_of(listen)
    except ValueError as error:
        raise ConfigInvalid(f"--listen {listen} is not host:port, such as 127.0.0.1:8090") from error
    return Address(host=host, port=port)
