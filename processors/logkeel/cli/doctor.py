"""`logkeel doctor`: is everything there that engine and workers need? Exit code 1 if something is not."""

from dataclasses import asdict
from typing import Annotated

import typer
from rich.text import Text

from logkeel.cli.options import Bootstrap, Config, KafkaConfig, Output, Prefix, StateDir
from logkeel.cli.output import Format, data, print_json, say
from logkeel.cli.settings import load_settings

app = typer.Typer()

_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red", "skipped": "dim"}


@app.command("doctor")
def doctor(
    bootstrap_servers: Bootstrap = None,
    prefix: Prefix = None,
    state_dir: StateDir = None,
    queue: Annotated[list[str] | None, typer.Option("--queue", help="A queue of workers; may be repeated.")] = None,
    partitions: Annotated[int | None, typer.Option(min=1, help="As given to `topics apply`.")] = None,
    replication_factor: Annotated[int | None, typer.Option(min=1, help="As given to `topics apply`.")] = None,
    config: Config = None,
    kafka_config: KafkaConfig = None,
    output: Output = Format.TABLE,
) -> None:
    """Check broker, version, transactions, topics, disk and clock; say what to do about each."""
    from logkeel.cli.checks import run_checks
    from logkeel.cli.wiring import connect, located

    flags = {"bootstrap_servers": bootstrap_servers, "prefix": prefix, "state_dir": state_dir}
    flags["kafka_config"] = kafka_config
    counts = {"partitions": partitions, "replication_factor": replication_factor}
    settings = located(load_settings({**flags, **counts}, file=config))
    found = []
    for check in run_checks(connect(settings), settings, queue or [settings.queue]):
        found.append(check)
        if output is Format.TABLE:
            verdict = Text(f"{check.verdict:>8}", style=_STYLES[check.verdict])
            data().print(verdict, Text(f" {check.name:<13} {check.detail}"), soft_wrap=True)
            if check.remedy:
                data().print(f"{'':24} → {check.remedy}", markup=False, soft_wrap=True)
    if output is Format.JSON:
        print_json([asdict(check) for check in found])
    failed = [check.name for check in found if check.verdict == "fail"]
    if failed:
        say(f"not ready: {', '.join(failed)}")
        raise typer.Exit(1)
