"""`logkeel replay`: holds recorded histories against the engine code that is installed here."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from logkeel.cli.histories import history_of
from logkeel.cli.options import Bootstrap, Config, Output, Prefix
from logkeel.cli.output import Format, print_json, say
from logkeel.cli.recordings import Recording, recording_of
from logkeel.cli.replaying import as_json, is_well, lines, redecided
from logkeel.cli.settings import Settings, broker_settings
from logkeel.client.forking import cut
from logkeel.client.published import definition_of, published
from logkeel.errors import InvalidInput
from logkeel.projection import Projection
from logkeel.records import RunEvent

app = typer.Typer()


@app.command()
def replay(
    what: Annotated[list[str], typer.Argument(metavar="FILE|RUN...", help="Recordings, or ids of runs.")],
    bootstrap_servers: Bootstrap = None,
    prefix: Prefix = None,
    config: Config = None,
    output: Output = Format.TABLE,
) -> None:
    """Decide recorded histories anew; exit code 1 where this code would decide otherwise, or nothing was compared."""
    recordings = {name: recording_of(Path(name).read_bytes().splitlines(), name) for name in what if _is_file(name)}
    run_ids = [name for name in what if name not in recordings]
    if run_ids:
        recordings |= _recorded(broker_settings(bootstrap_servers, prefix, config), run_ids)
    outcomes = {name: found for name, found in redecided(recordings).items() if name in what}
    for name in dict.fromkeys(what):
        if output is Format.JSON:
            print_json(as_json(name, outcomes[name]))
        else:
            typer.echo("\n".join(lines(name, outcomes[name])))
    if any(found.divergence is not None for found in outcomes.values()):
        say("runs that are under way would go another way from there: changed decisions need a new logic number")
    elif not all(is_well(found) for found in outcomes.values()):
        say("where nothing was compared nothing is known: give the former turns of a conversation beside a turn")
    if not all(is_well(found) for found in outcomes.values()):
        raise typer.Exit(1)


def _is_file(name: str) -> bool:
    """Raises `InvalidInput` for a file that does not exist, as far as it can be told from the id of a run."""
    if not Path(name).is_file() and (name.endswith(".jsonl") or "/" in name):
        raise InvalidInput(f"there is no file {name}: make one with logkeel run export RUN > FILE", file=name)
    return Path(name).is_file()


def _recorded(settings: Settings, run_ids: Sequence[str]) -> dict[str, Recording]:
    """These runs, and the former turns of those that are turns. Raises as `recorded` of `run_history`."""
    from logkeel.cli.run_answers import known
    from logkeel.cli.wiring import connect

    projection = history_of(settings, None if len(run_ids) > 1 else run_ids[0])
    for run_id in run_ids:
        known(projection, run_id)
    if any(projection.history(run_id)[0].former_revisions for run_id in run_ids):
        projection = history_of(settings, None)
    definitions = published(connect(settings), settings.names)
    histories = {run_id: cut(projection.history(run_id)) for run_id in run_ids}
    for run_id in run_ids:
        histories |= dict(_former(projection, histories[run_id][0]))
    return {
        run_id: Recording(definition_of(definitions, events[0]).document, events)
        for run_id, events in histories.items()
    }


def _former(projection: Projection, turn: RunEvent) -> Iterator[tuple[str, tuple[RunEvent, ...]]]:
    """The turns before this one, as far as their histories are kept whole."""
    for view in projection.runs() if turn.former_revisions else ():
        events = tuple(projection.history(view.run_id))
        first = events[0]
        same = (first.workflow, first.conversation_id) == (turn.workflow, turn.conversation_id)
        if same and first.revision == 1 and (first.former_revisions or 0) < (turn.former_revisions or 0):
            yield view.run_id, events
