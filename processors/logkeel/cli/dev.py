"""`logkeel dev`: broker, topics, engine, workers and gateway in one process, for a developer's machine.

Everything ends with the process, however that ends; data stay for the next time.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from logkeel.cli.options import (
    BlobAbove,
    BlobStoreUrl,
    Bootstrap,
    Config,
    PayloadCompression,
    PayloadKeys,
    Prefix,
    StateDir,
)
from logkeel.cli.output import say
from logkeel.cli.settings import Settings, load_settings
from logkeel.cli.signals import stop_on_signals

app = typer.Typer()

DRAIN_S = 5.0


@app.command("dev")
def dev(
    targets: Annotated[list[str], typer.Argument(help="module, module:workflow or path/to/file.py; several.")],
    bootstrap_servers: Bootstrap = None,
    prefix: Prefix = None,
    state_dir: StateDir = None,
    config: Config = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget everything the local broker and engine hold.")] = False,
    reload: Annotated[bool, typer.Option(help="Start again when a source file changes.")] = True,
    gateway: Annotated[bool, typer.Option(help="Serve HTTP on this machine, too: docs/gateway.md.")] = True,
    debug: Annotated[bool, typer.Option("--debug", help="No time-outs of steps: for breakpoints.")] = False,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.")] = None,
    payload_keys: PayloadKeys = None,
    payload_compression: PayloadCompression = None,
    blob_store: BlobStoreUrl = None,
    blob_above: BlobAbove = None,
) -> None:
    """Run workflows here until Ctrl-C: a Kafka broker unless one is given, topics, engine, workers and gateway."""
    from logkeel.cli.applications import load_workflows
    from logkeel.cli.logs import configure_logs

    flags = {
        "bootstrap_servers": bootstrap_servers,
        "prefix": prefix,
        "state_dir": state_dir,
        "log_level": log_level,
        "payload_keys": payload_keys,
        "payload_compression": payload_compression,
        "blob_store": blob_store,
        "blob_above_bytes": blob_above,
    }
    settings = load_settings(flags, file=config)
    configure_logs(settings.log_level)
    workflows = [workflow for target in targets for workflow in load_workflows(target)]
    stop = stop_on_signals()
    with _broker(settings, fresh=fresh) as (local, must_live):
        if reload:
            _reload(local, targets, stop, debug=debug, gateway=gateway, must_live=must_live)
        else:
            _serve(local, workflows, stop, debug=debug, gateway=gateway, must_live=must_live)


@contextmanager
def _broker(settings: Settings, *, fresh: bool) -> Iterator[tuple[Settings, Callable[[], None]]]:
    """Settings with the broker that is given, that runs here already, or that is started here; and its check.

    The check raises `BrokerDied` if the broker that was started here has ended.
    """
    from logkeel.broker import EmbeddedBroker, detached
    from logkeel.broker.launch import died
    from logkeel.cli.dev_data import forget, state_folder
    from logkeel.cli.wiring import local_broker_directory
    from logkeel.errors import ConfigInvalid

    place = local_broker_directory()
    running = detached.status(place)
    if fresh and (settings.bootstrap_servers or running.running):
        raise ConfigInvalid("--fresh wipes the broker that dev starts itself: stop the running one, give no address")
    if settings.bootstrap_servers:
        yield settings, _nothing
        return
    state = state_folder(settings, place)
    settings = msgspec.structs.replace(settings, state_dir=str(state))
    if running.running:
        yield msgspec.structs.replace(settings, bootstrap_servers=running.bootstrap_servers or ""), _nothing
        return
    if fresh:
        forget(place, state)
    say("starting Apache Kafka (the first time its jars are fetched) …")
    with EmbeddedBroker(place) as broker:

        def must_live() -> None:
            if not broker.is_running:
                died(place, "while it was needed", port=0)

        yield msgspec.structs.replace(settings, bootstrap_servers=broker.bootstrap_servers), must_live


def _nothing() -> None:
    """A broker of somebody else: the client reports when it is away."""


def _reload(
    settings: Settings,
    targets: list[str],
    stop: threading.Event,
    *,
    debug: bool,
    gateway: bool,
    must_live: Callable[[], None],
) -> None:
    """The same command as a child, without its own broker, again after each change."""
    from logkeel.cli.reloading import run_reloading

    command = ["dev", *targets, "--no-reload", "--bootstrap-servers", settings.bootstrap_servers]
    command += ["--prefix", settings.prefix, "--state-dir", str(settings.state_dir), "--log-level", settings.log_level]
    folders = [Path(target.partition(":")[0]).resolve().parent for target in targets if ".py" in target]
    command += [*(["--debug"] if debug else []), *([] if gateway else ["--no-gateway"])]
    run_reloading(command, folders or [Path.cwd()], stop, look=must_live)


def _serve(
    settings: Settings,
    workflows: list[Any],
    stop: threading.Event,
    *,
    debug: bool,
    gateway: bool,
    must_live: Callable[[], None],
) -> None:
    from logkeel.cli.provisioning import apply_application
    from logkeel.cli.reloading import parent_is_gone
    from logkeel.cli.serving import queues_of, serve_here
    from logkeel.cli.versions import give_versions
    from logkeel.cli.wiring import connect

    client = connect(settings)
    apply_application(client.admin(), settings, queues_of(workflows))
    for label in give_versions(client, settings, workflows):
        say(f"{label}: the definition was changed; runs that began with the former one wait for it")

    def look() -> None:
        must_live()
        if parent_is_gone():
            stop.set()

    names = ", ".join(f"{each.name}@{each.version}" for each in workflows)
    ready = f"{names} ready on {settings.bootstrap_servers}; in another terminal: logkeel run start {workflows[0].name}"
    serve_here(
        client,
        settings,
        workflows,
        stop=stop,
        drain_s=DRAIN_S,
        look=look,
        ready=lambda _: say(ready),
        debug=debug,
        gateway="may" if gateway else "none",
    )
    say("stopped; data stay for the next time (--fresh forgets them)")
