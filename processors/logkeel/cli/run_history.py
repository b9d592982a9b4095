"""`logkeel run history|state|fork|export`: what a run went through, how it stood, and a new run from there."""

import sys
from collections.abc import Iterator, Sequence
from typing import Annotated, Any
from uuid import uuid4

import typer

from logkeel.cli import run_views
from logkeel.cli.histories import history_of
from logkeel.cli.migrating import migrated
from logkeel.cli.options import Bootstrap, Config, Output, Prefix, Reason, RunId
from logkeel.cli.output import Format, print_json, print_value, say
from logkeel.cli.payloads import payload_chain
from logkeel.cli.recordings import Recording, lines_of
from logkeel.cli.run_answers import ask_for_new, known
from logkeel.cli.run_inputs import input_of
from logkeel.cli.settings import Settings, broker_settings
from logkeel.cli.state_views import state_json
from logkeel.cli.talks import new_talk
from logkeel.client import Client
from logkeel.client.forking import cut
from logkeel.client.published import definition_of, published
from logkeel.errors import ConfigInvalid, InvalidInput
from logkeel.projection import documents
from logkeel.records import RunEvent
from logkeel.records.turns import dispatch_of, turns
from logkeel.runs.core.replay import replay

app = typer.Typer()


@app.command()
def history(
    run_id: RunId,
    bootstrap_servers: Bootstrap = None,
    prefix: Prefix = None,
    config: Config = None,
    output: Output = Format.TABLE,
) -> None:
    """The events of a run, one a line; with -o json a JSON object a line, without payloads."""
    events = events_of(broker_settings(bootstrap_servers, prefix, config), run_id)
    for event in events:
        if output is Format.JSON:
            print_json(documents.event_json(event))
        else:
            typer.echo(f"{event.revision:>6}  {run_views.event_text(event, events[0].at_ms)}")


@app.command()
def state(
    run_id: RunId,
    revision: Annotated[int | None, typer.Option("--revision", help="Behind this one; else now.")] = None,
    bootstrap_servers: Bootstrap = None,
    prefix: Prefix = None,
    config: Config = None,
) -> None:
    """The state of a run as JSON, rebuilt from its history as the engine does it."""
    recording = recorded(broker_settings(bootstrap_servers, prefix, config), run_id)
    last = recording.events[-1].revision
    if revision is not None and not 1 <= revision <= last:
        raise InvalidInput(f"run {run_id} has revisions 1 to {last}, and no {revision}", run_id=run_id)
    plan = recording.plan()
    print_json(state_json(replay(recording.events, plan, revision=revision), plan))


@app.command()
def export(
    run_id: RunId,
    bootstrap_servers: Bootstrap = None,
    prefix: Prefix = None,
    config: Config = None,
) -> None:
    """Write definition and history as JSON lines, payloads included: logkeel run export RUN > FILE."""
    recording = recorded(broker_settings(bootstrap_servers, prefix, config), run_id)
    for line in lines_of(recording):
        sys.stdout.write(line.decode() + "\n")
    sys.stdout.flush()
    say(f"{len(recording.events)} events; it holds the run's data, so keep it where that may be kept")


@app.command()
def fork(
    run_id: RunId,
    at: Annotated[int | None, typer.Option("--at", help="Behind this revision, to the end of its turn.")] = None,
    step: Annotated[str | None, typer.Option("--step", help="Where the step of this path was about to run.")] = None,
    edit: Annotated[list[str] | None, typer.Option("--set", help="field=json; may be repeated.")] = None,
    new_id: Annotated[str | None, typer.Option("--run-id", help="Of the new run.")] = None,
    version: Annotated[str | None, typer.Option("--version", help="Another version of the workflow.")] = None,
    to: Annotated[
        str | None, typer.Option("--to", help="app:workflow: its version, with its migrations applied.")
    ] = None,
    conversation: Annotated[
        str | None, typer.Option("--conversation", help="Of a turn: the id of the conversation that begins so.")
    ] = None,
    reason: Reason = None,
    bootstrap_servers: Bootstrap = None,
    prefix: Prefix = None,
    config: Config = None,
    output: Output = Format.TABLE,
) -> None:
    """Start a new run with the state that this one had, edited, and go on from there. This one is left as it is."""
    if at is not None and step is not None:
        raise ConfigInvalid("--at and --step both say where: give one of them")
    if to is not None and version is not None:
        raise ConfigInvalid("--to says the version: leave --version out")
    if conversation is not None and (to is not None or version is not None):
        raise ConfigInvalid("a turn is forked in its own version: leave --version and --to out")
    settings = broker_settings(bootstrap_servers, prefix, config)
    events = events_of(settings, run_id)
    until = cut(events, _place(events, at, step))
    edits: dict[str, Any] = input_of(None, edit or [], option="--set")
    if to is not None:
        version, values = migrated(Recording(_document(settings, events[0]), until), to, payload_chain(settings))
        edits = {**values, **edits}
    new = new_id or uuid4().hex
    talk = new_talk(conversation, until, _histories(settings, until[0]), lambda first: _document(settings, first))

    def send(client: Client) -> str:
        if talk is not None:
            return client.fork_turn(until, talk, edits=edits, run_id=new, reason=reason).request_id
        return client.fork(until, edits=edits, version=version, run_id=new, reason=reason).request_id

    request_id = ask_for_new(settings, new, send, routing_key=conversation)
    say(f"run {new} goes on from revision {until[-1].revision} of {run_id}: logkeel run watch {new}")
    print_value({"run_id": new, "request_id": request_id, "revision": until[-1].revision}, new, output)


def events_of(settings: Settings, run_id: str) -> tuple[RunEvent, ...]:
    """The events of a run, in order. Raises `RunNotFound` with what to do next, and as `HistoryReader`."""
    projection = history_of(settings, run_id)
    known(projection, run_id)
    return tuple(projection.history(run_id))


def recorded(settings: Settings, run_id: str) -> Recording:
    """A run's whole history with its definition. Raises as `events_of`, and `InvalidInput` if either is not kept."""
    events = cut(events_of(settings, run_id))
    return Recording(_document(settings, events[0]), events)


def _document(settings: Settings, event: RunEvent) -> bytes:
    from logkeel.cli.wiring import connect

    return definition_of(published(connect(settings), settings.names), event).document


def _histories(settings: Settings, first: RunEvent) -> Iterator[tuple[RunEvent, ...]]:
    """Of all runs whose history is kept, if `first` is of a turn: the turns before it are among them."""
    if not first.former_revisions:
        return
    projection = history_of(settings, None)
    for view in projection.runs():
        yield tuple(projection.history(view.run_id))


def _place(events: Sequence[RunEvent], at: int | None, step: str | None) -> int | None:
    """The revision to fork at; of a run that has ended, without further word, before what ended it."""
    if at is not None:
        return at
    if step is None:
        whole = [turn for turn in turns(events) if not any(event.kind == "run_completed" for event in turn)]
        return whole[-1][-1].revision if whole else None
    revision = dispatch_of(events, step)
    if revision is None:
        told = dict.fromkeys(event.path for event in events if event.kind == "step_dispatched" and event.path)
        raise InvalidInput(f"run {events[0].run_id} has not run {step!r}; it has run {', '.join(told) or 'nothing'}")
    return revision
