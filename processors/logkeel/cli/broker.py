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

NodeId: TypeAlias = Annotated[int | None, typer.Option("--node", help="One node of a cluster: 1, 2, 3 …")]

_NOT_RUNNING_EXIT_CODE = 3
"""As `status` of an init script (LSB): the program is not running."""


@app.command()
def start(
    *,
    data_dir: DataDir = None,
    port: Annotated[int, typer.Option("--port", help="Port on 127.0.0.1; 0: the last one, else any.")] = 0,
    advertised: Annotated[str | None, typer.Option("--advertised", help="host:port clients are told.")] = None,
    heap_mb: Annotated[int | None, typer.Option("--heap-mb", help="Limit of Java's heap, in MB, per node.")] = None,
    brokers: Annotated[int | None, typer.Option(min=1, max=9, help="Nodes; 3 keep each record three times.")] = None,
    node: NodeId = None,
    output: Output = Format.TABLE,
) -> None:
    """Start a broker or a cluster that stays; prints its addresses. What runs already is left as it is."""
    from logkeel.broker import detached, detached_cluster
    from logkeel.broker.launch import LaunchRequest
    from logkeel.broker.membership import HEAP_MB, plan_cluster, read_plan

    place = _resolve(data_dir)
    plan = read_plan(place)
    if brokers is not None and (plan is not None or brokers > 1):
        plan = plan_cluster(place, brokers, port=port)
    if plan is None:
        _print(detached.start(LaunchRequest(place, port, advertised, heap_mb or 512)), output)
        return
    wanted = LaunchRequest(place, advertised=advertised, heap_mb=heap_mb or HEAP_MB)
    _print(detached_cluster.start(plan, wanted, [node] if node else ()), output)


@app.command()
def stop(*, data_dir: DataDir = None, node: NodeId = None, output: Output = Format.TABLE) -> None:
    """Stop the broker, the cluster, or one node of it; their data stay."""
    from logkeel.broker import detached, detached_cluster
    from logkeel.broker.membership import read_plan

    place = _resolve(data_dir)
    plan = read_plan(place)
    stopped = detached_cluster.stop(plan, [node] if node else ()) if plan else detached.stop(place)
    say(f"{'the broker' if node is None else f'node {node}'} is stopped" if stopped else f"no broker runs in {place}")
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
    node: NodeId = None,
    lines: Annotated[int, typer.Option("--lines", "-n", help="How many of the last lines.")] = 50,
    output: Output = Format.TABLE,
) -> None:
    """Print the last lines of the broker's log; of a cluster, of its first node or the one that is asked for."""
    from logkeel.broker.membership import read_plan
    from logkeel.broker.state import log_tail

    place = _resolve(data_dir)
    plan = read_plan(place)
    tail = log_tail(plan.directory(node or 1) if plan else place, lines=lines)
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
    away = [number for number, each in enumerate(now.nodes, 1) if not each.running]
    if now.running and away:
        say(f"away: {', '.join(f'node {number}' for number in away)}; logkeel broker start --node {away[0]}")
