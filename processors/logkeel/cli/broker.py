"""`logkeel broker start|stop|status|logs`: a real Kafka broker in the background, kept by its data directory."""

import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from logkeel.broker.places import default_data_directory
from logkeel.cli.options import Output
from logkeel.cli.output import Format, print_json, say

app = typer.Typer(no_args_is_help=True, help="A real Kafka broker in the background; no Java and no Docker needed.")

DataDir: TypeAlias = Annotated[Path | None, typer.Option("--data-dir", help="Where the broker keeps its data.")]

_NOT_RUNNING_EXIT_CODE = 3
"""As `status` of an init script (LSB): the program is not running."""


@app.command()
def start(
    *,
    data_dir: DataDir = None,
    port: Annotated[int, typer.Option("--port", help="Port on 127.0.0.1; 0: the last one, else any.")] = 0,
    advertised: Annotated[str | None, typer.Option("--advertised", help="host:port clients are told.")] = None,
    heap_mb: Annotated[int, typer.Option("--heap-mb", help="Limit of Java's heap, in MB.")] = 512,
    output: Output = Format.TABLE,
) -> None:
    """Start a broker that stays; prints its address. One that runs already is left as it is."""
    from logkeel.broker import detached
    from logkeel.broker.launch import LaunchRequest

    request = LaunchRequest(_resolve(data_dir), port, advertised, heap_mb)
    _print(detached.start(request), output)


@app.command()
def stop(*, data_dir: DataDir = None, output: Output = Format.TABLE) -> None:
    """Stop the broker; its data stay."""
    from logkeel.broker import detached

    place = _resolve(data_dir)
    stopped = detached.stop(place)
    say("the broker is stopped" if stopped else f"no broker runs in {place}")
    if output is Format.JSON:
        print_json({"stopped": stopped, **asdict(detached.status(place))})


@app.command()
def status(*, data_dir: DataDir = None, output: Output = Format.TABLE) -> None:
    """Say where the broker listens; exit code 3 if none runs."""
    from logkeel.broker import detached

    now = detached.status(_resolve(data_dir))
    _print(now, output)
    if not now.running:
        say(f"no broker runs in {now.data_dir}: logkeel broker start")
        raise typer.Exit(_NOT_RUNNING_EXIT_CODE)


@app.command()
def logs(
    *,
    data_dir: DataDir = None,
    lines: Annotated[int, typer.Option("--lines", "-n", help="How many of the last lines.")] = 50,
    output: Output = Format.TABLE,
) -> None:
    """Print the last lines of the broker's log."""
    from logkeel.broker.state import log_tail

    tail = log_tail(_resolve(data_dir), lines=lines)
    if output is Format.JSON:
        print_json(tail)
    else:
        typer.echo("\n".join(tail))


def _resolve(data_dir: Path | None) -> Path:
    return (data_dir or default_data_directory(os.environ, Path.home())).expanduser().resolve()


def _print(now: object, output: Format) -> None:
    from logkeel.broker.detached import BrokerStatus

    assert isinstance(now, BrokerStatus)  # noqa: S101 - the room is imported only when a command runs
    if output is Format.JSON:
        print_json(asdict(now))
    elif now.bootstrap_servers:
        typer.echo(now.bootstrap_servers)
