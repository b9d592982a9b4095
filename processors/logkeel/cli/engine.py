"""`logkeel engine`: one run processor. It never runs user code."""

from pathlib import Path
from typing import Annotated

import typer

from logkeel.cli.options import Bootstrap, Config, Prefix, StateDir
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
    slot: Annotated[int, typer.Option(help="Number of this process among the engines of the application.")] = -1,
) -> None:
    """Run a run processor until SIGTERM: it keeps each run's state and routes its steps."""
    from logkeel.cli.wiring import connect, make_engine

    from logkeel.cli.logs import configure_logs

    settings = load_settings(
        {"bootstrap_servers": bootstrap_servers, "prefix": prefix, "state_dir": state_dir}, file=config
    )
    configure_logs(settings.log_level)
    client = connect(settings)
    loop = make_engine(client, settings, slot=slot)
    stop = stop_on_signals()
    say(f"engine of {settings.prefix!r} on {settings.bootstrap_servers}, state in {Path(settings.state_dir).resolve()}")
    loop.run(stop)
