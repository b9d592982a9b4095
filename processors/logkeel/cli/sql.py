"""`logkeel sql`: questions in SQL over the runs of the history that is kept."""

from typing import Annotated

import typer

from logkeel.cli.options import Bootstrap, Config, Output, Prefix, StateDir
from logkeel.cli.output import Format, print_rows
from logkeel.cli.settings import load_settings

app = typer.Typer()


@app.command("sql")
def sql(
    statement: Annotated[str, typer.Argument(metavar="SELECT", help="One statement that reads.")],
    bootstrap_servers: Bootstrap = None,
    prefix: Prefix = None,
    state_dir: StateDir = None,
    config: Config = None,
    output: Output = Format.TABLE,
) -> None:
    """Ask the read model in SQL: views runs, steps, events and waits (docs/gateway.md).

    The first time it reads the whole history into a file below the state directory, later only what has come since. A
    gateway that runs with this state directory keeps that file, and then it is used.
    """
    from logkeel.cli.read_models import current_read_model
    from logkeel.readmodel.sql import query

    flags = {"bootstrap_servers": bootstrap_servers, "prefix": prefix, "state_dir": state_dir}
    with current_read_model(load_settings(flags, file=config)) as path:
        columns, rows = query(path, statement)
    print_rows(columns, rows, output)
