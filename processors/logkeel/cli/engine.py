"""`logkeel engine`: one run processor. It never runs user code."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import structlog
import typer

from logkeel.cli.options import Bootstrap, Config, Prefix, StateDir
from logkeel.cli.output import say
from logkeel.cli.settings import load_settings
from logkeel.cli.signals import stop_on_signals
from logkeel.exactly_once import Unobserved

app = typer.Typer()
log = structlog.get_logger("logkeel.engine")


@app.command("engine")
def engine(
    bootstrap_servers: Bootstrap = None,
    prefix: Prefix = None,
    state_dir: StateDir = None,
    config: Config = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.")] = None,
    slot: Annotated[
        int | None,
        typer.Option(help="Number of this process among all engines (default: lowest free here)."),
    ] = None,
) -> None:
    """Run a run processor until SIGTERM: it keeps each run's state and routes its steps."""
    from logkeel.cli.garbage import collect_less_often
    from logkeel.cli.logs import configure_logs
    from logkeel.cli.wiring import connect, make_engine
    from logkeel.exactly_once import take_slot

    flags = {
        "bootstrap_servers": bootstrap_servers,
        "prefix": prefix,
        "state_dir": state_dir,
        "log_level": log_level,
    }
    settings = load_settings(flags, file=config)
    configure_logs(settings.log_level)
    stop = stop_on_signals()
    lock = take_slot(Path(settings.state_dir) / "engines", slot)
    loop = make_engine(connect(settings), settings, lock, observer=LoggedLoop())
    say(f"engine {lock.slot} of {settings.prefix!r} on {settings.bootstrap_servers}; state in {lock.directory}")
    collect_less_often()
    loop.run(stop)
    say("engine has stopped; its state is on the log and on disk")


class LoggedLoop(Unobserved):
    """Tells the log what an operator wants to know of a loop."""

    def resync_finished(self, partitions: Sequence[int], replayed: int, seconds: float) -> None:
        """Partitions run."""
        log.info("partitions_ready", partitions=list(partitions), replayed=replayed, ms=round(seconds * 1000))

    def rebalance(self, event: Literal["assigned", "revoked", "lost"], partitions: Sequence[int]) -> None:
        """The group moved partitions."""
        log.info(f"partitions_{event}", partitions=list(partitions))

    def poisoned(self, topic: str, partition: int, offset: int, error: Exception) -> None:
        """A dead letter."""
        log.error("dead_letter", topic=topic, partition=partition, offset=offset, error=repr(error))

    def error(self, where: str, error: Exception) -> None:
        """The loop reacts by itself; it matters when it lasts."""
        log.warning("loop_error", where=where, error=repr(error))
