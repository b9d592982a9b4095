"""`logkeel state check|rebuild-changelog|accept-loss`: what to do when store and changelog do not fit (P17).

All three take the slot's lock first, so they never touch the stores of a running engine; the two that change something
are also alone in the engines' group while they do it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

from logkeel.cli.options import Bootstrap, Config, Output, Prefix, StateDir
from logkeel.cli.output import Format, print_rows, say
from logkeel.cli.settings import Settings, load_settings
from logkeel.errors import LogkeelError, OperatorError, StoreStale
from logkeel.exactly_once import Repair, Verdict

app = typer.Typer(no_args_is_help=True, help="Check an engine's state on disk and on the log, and repair it.")

Slot: TypeAlias = Annotated[int, typer.Option(help="The engine's slot whose stores are meant.")]
Partitions: TypeAlias = Annotated[
    list[int] | None, typer.Option("--partition", help="Only this partition; may be repeated (default: all).")
]


@app.command()
def check(
    bootstrap_servers: Bootstrap = None,
    prefix: Prefix = None,
    state_dir: StateDir = None,
    slot: Slot = 0,
    partition: Partitions = None,
    config: Config = None,
    output: Output = Format.TABLE,
) -> None:
    """Say of each partition whether store and changelog fit, and what helps; exit code 15 if something is wrong."""
    settings = load_settings(_flags(bootstrap_servers, prefix, state_dir), file=config)
    with _repair(settings, slot) as repair:
        verdicts = [repair.diagnose(number) for number in partition or repair.partitions()]
    print_rows(("partition", "state", "remedies", "detail"), [_row(verdict) for verdict in verdicts], output)
    wrong = [verdict.partition for verdict in verdicts if verdict.error is not None]
    if wrong:
        say(f"something is wrong with partitions {wrong}; the remedies are commands: logkeel state <remedy>")
        raise typer.Exit(OperatorError.exit_code)
    say("store and changelog fit")


@app.command("rebuild-changelog")
def rebuild_changelog(
    bootstrap_servers: Bootstrap = None,
    prefix: Prefix = None,
    state_dir: StateDir = None,
    slot: Slot = 0,
    partition: Partitions = None,
    config: Config = None,
    output: Output = Format.TABLE,
) -> None:
    """Write the changelog anew from this slot's stores, where they do not fit; loses nothing, safe to repeat."""
    settings = load_settings(_flags(bootstrap_servers, prefix, state_dir), file=config)
    rows: list[tuple[Any, ...]] = []
    stale: list[StoreStale] = []
    with _repair(settings, slot) as repair:
        repair.join()
        for number in partition or repair.partitions():
            try:
                done = repair.rebuild_changelog(number)
            except StoreStale as error:
                stale.append(error)
                rows.append((number, error.code, None, error.message))
            else:
                said = "as it should be" if done is None else "rebuilt"
                rows.append((number, said, done.rows if done else None, None))
    print_rows(("partition", "state", "rows", "detail"), rows, output)
    if stale:
        raise stale[0]
    say("the engines may be started")


@app.command("accept-loss")
def accept_loss(
    bootstrap_servers: Bootstrap = None,
    prefix: Prefix = None,
    state_dir: StateDir = None,
    slot: Slot = 0,
    partition: Partitions = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without it, only say what would be lost.")] = False,
    config: Config = None,
    output: Output = Format.TABLE,
) -> None:
    """Go on without what is lost: stores that do not fit move aside, positions come from the group. Needs --yes."""
    settings = load_settings(_flags(bootstrap_servers, prefix, state_dir), file=config)
    with _repair(settings, slot) as repair:
        numbers = partition or repair.partitions()
        if not yes:
            verdicts = [verdict for verdict in map(repair.diagnose, numbers) if verdict.error is not None]
            print_rows(("partition", "state", "remedies", "detail"), [_row(each) for each in verdicts], output)
            say("nothing was changed; to accept this loss add --yes" if verdicts else "nothing is to be accepted")
            raise typer.Exit(OperatorError.exit_code if verdicts else 0)
        repair.join()
        done = [(number, repair.accept_loss(number)) for number in numbers]
    rows = [
        (
            number,
            "as it should be" if each is None else "accepted",
            each.set_aside if each else None,
            None if each is None else ", ".join(f"{topic}@{at}" for topic, at in each.positions.items()),
        )
        for number, each in done
    ]
    print_rows(("partition", "state", "store_set_aside", "goes_on_at"), rows, output)
    say("the engines may be started")


def _flags(bootstrap_servers: str | None, prefix: str | None, state_dir: str | None) -> dict[str, Any]:
    return {"bootstrap_servers": bootstrap_servers, "prefix": prefix, "state_dir": state_dir}


def _row(verdict: Verdict) -> tuple[Any, ...]:
    error = verdict.error
    if error is None:
        return verdict.partition, "ok", None, None
    return verdict.partition, error.code, ", ".join(verdict.remedies), _detail(error, verdict.stale)


def _detail(error: LogkeelError, stale: str | None) -> str:
    return error.message if stale is None else f"{error.message} (this store: {stale})"


@contextmanager
def _repair(settings: Settings, slot: int) -> Iterator[Repair]:
    from logkeel.cli.wiring import connect, make_repair
    from logkeel.exactly_once import take_slot

    lock = take_slot(Path(settings.state_dir) / "engines", slot)
    try:
        with make_repair(connect(settings), settings, lock) as repair:
            yield repair
    finally:
        lock.release()
