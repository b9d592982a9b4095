"""`logkeel run start|show|list|watch|signal|resolve`: runs, from a terminal or a script; `run_control` has the rest."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, get_args

import typer

from logkeel.cli import run_control, run_counts, run_following, run_history, run_views
from logkeel.cli.histories import history_of, time_ms
from logkeel.cli.options import Bootstrap, Config, Output, Prefix, RoutingKey, RunId
from logkeel.cli.output import Format, data, print_json, print_rows, print_value, say
from logkeel.cli.payloads import payload_chain
from logkeel.cli.run_answers import known, print_taken, tell
from logkeel.cli.run_inputs import input_of, json_of, pairs_of, with_readable
from logkeel.cli.settings import broker_settings
from logkeel.cli.times import duration
from logkeel.client import Client
from logkeel.client.building import plain_result
from logkeel.client.client import result_of
from logkeel.client.opening import opened
from logkeel.errors import ConfigInvalid, InvalidInput
from logkeel.projection import RunView, documents
from logkeel.records import RunCompleted, RunStatus

app = typer.Typer(no_args_is_help=True, help="Start, show, watch, pause, resume, cancel, retry and resolve runs.")
app.registered_commands.extend(run_control.app.registered_commands)
app.registered_commands.extend(run_counts.app.registered_commands)
app.registered_commands.extend(run_following.app.registered_commands)
app.registered_commands.extend(run_history.app.registered_commands)

STATUSES: tuple[str, ...] = get_args(RunStatus)
DECISIONS = ("did", "did_not", "retry")


@app.command()
def start(
    workflow: Annotated[str, typer.Argument(help="The workflow's name.")],
    given: Annotated[str | None, typer.Option("--input", help="The input as JSON, or @file.json.")] = None,
    field: Annotated[list[str] | None, typer.Option("--field", "-f", "-i", help="name=value; may be repeated.")] = None,
    run_id: Annotated[str | None, typer.Option("--run-id", help="Sent again, it is the same run.")] = None,
    request_id: Annotated[str | None, typer.Option("--request-id", help="Sent again, it is the same request.")] = None,
    routing_key: RoutingKey = None,
    attribute: Annotated[list[str] | None, typer.Option("--attribute", help="name=value; may be repeated.")] = None,
    readable: Annotated[list[str] | None, typer.Option("--readable", help="A control field: not encrypted.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the end, and print the result.")] = False,
    timeout: Annotated[float | None, typer.Option("--timeout", help="Seconds to wait; the run goes on.")] = None,
    bootstrap_servers: Bootstrap = None,
    prefix: Prefix = None,
    config: Config = None,
    output: Output = Format.TABLE,
) -> None:
    """Start a run. With --wait the exit code is 13 unless the run succeeds."""
    values = with_readable(input_of(given, field or []), readable or [])
    attributes = pairs_of(attribute or [], "--attribute")
    with _client(bootstrap_servers, prefix, config) as client:
        ids = {"run_id": run_id, "request_id": request_id, "routing_key": routing_key}
        reserved = sorted({*ids, "attributes", "run_timeout"} & values.keys())
        if reserved:
            raise InvalidInput(f"the input field {reserved[0]!r} has the name of an option: rename the field")
        handle = client.start(workflow, **ids, attributes=attributes, **values)
        if not wait:
            say(f"watch it: logkeel run watch {handle.run_id}")
            print_value({"run_id": handle.run_id, "request_id": handle.request_id}, handle.run_id, output)
            return
        completed = client.opened(handle.wait(timeout))
        _print_completion(completed, output)
        result_of(workflow, completed)


@app.command()
def show(
    run_id: RunId,
    revision: Annotated[int | None, typer.Option("--revision", help="As it was behind this revision.")] = None,
    bootstrap_servers: Bootstrap = None,
    prefix: Prefix = None,
    config: Config = None,
    output: Output = Format.TABLE,
) -> None:
    """Show a run: which step it is on and for how long, its steps, state and errors."""
    settings = broker_settings(bootstrap_servers, prefix, config)
    projection = history_of(settings, run_id)
    view = known(projection, run_id) if revision is None else projection.state_at(run_id, revision)
    view = opened(view, payload_chain(settings))
    now_ms = time_ms() if revision is None else view.updated_at_ms
    if output is Format.JSON:
        print_json(documents.run_json(view, now_ms))
    else:
        _print_run(view, now_ms)


@app.command("list")
def list_runs(
    status: Annotated[str | None, typer.Option("--status", help=", ".join(STATUSES))] = None,
    workflow: Annotated[str | None, typer.Option("--workflow", help="Only runs of this workflow.")] = None,
    in_doubt: Annotated[bool, typer.Option("--in-doubt", help="Only runs that ask a human about a step.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many, the youngest first.")] = 50,
    bootstrap_servers: Bootstrap = None,
    prefix: Prefix = None,
    config: Config = None,
    output: Output = Format.TABLE,
) -> None:
    """List runs of the history that is kept, the youngest first."""
    if status is not None and status not in STATUSES:
        raise ConfigInvalid(f"--status is one of {', '.join(STATUSES)}, not {status!r}")
    projection = history_of(broker_settings(bootstrap_servers, prefix, config), None)
    found = projection.runs(status=status, workflow=workflow, in_doubt=in_doubt)  # type: ignore[arg-type]
    now_ms = time_ms()
    if output is Format.JSON:
        print_json([documents.summary(view, now_ms) for view in found[:limit]])
        return
    rows = [
        (
            view.run_id,
            f"{view.workflow}@{view.version}",
            view.status,
            duration((view.finished_at_ms or now_ms) - view.started_at_ms),
            run_views.current(view, now_ms),
        )
        for view in found[:limit]
    ]
    print_rows(("run", "workflow", "status", "age", "now"), list(rows), output)
    if len(found) > limit:
        say(f"{len(found) - limit} more: --limit {len(found)}")


@app.command()
def watch(
    run_id: RunId,
    bootstrap_servers: Bootstrap = None,
    prefix: Prefix = None,
    config: Config = None,
    output: Output = Format.TABLE,
) -> None:
    """Watch a run until it ends: a live tree in a terminal, a line per event elsewhere or with -o json."""
    from logkeel.cli.watching import watch_run
    from logkeel.cli.wiring import connect

    settings = broker_settings(bootstrap_servers, prefix, config)
    watch_run(connect(settings), settings.names, run_id, output)


@app.command()
def signal(
    run_id: RunId,
    name: Annotated[str, typer.Argument(help="The signal's name.")],
    payload: Annotated[str | None, typer.Option("--payload", help="JSON, or @file.json.")] = None,
    correlation: Annotated[str | None, typer.Option("--correlation", help="Which wait is meant.")] = None,
    request_id: Annotated[str | None, typer.Option("--request-id", help="Sent again, it is the same signal.")] = None,
    routing_key: RoutingKey = None,
    bootstrap_servers: Bootstrap = None,
    prefix: Prefix = None,
    config: Config = None,
    output: Output = Format.TABLE,
) -> None:
    """Send a signal to a run."""
    content = None if payload is None else json_of(payload, "--payload")

    def send(client: Client, view: RunView, key: str | None) -> str:
        return client.signal(run_id, name, content, correlation=correlation, request_id=request_id, routing_key=key)

    settings = broker_settings(bootstrap_servers, prefix, config)
    print_taken(tell(settings, run_id, send, routing_key=routing_key), run_id, output)


@app.command()
def resolve(
    run_id: RunId,
    path: Annotated[str, typer.Argument(metavar="STEP", help="The path of the step that is in doubt.")],
    decision: Annotated[str, typer.Argument(help="did (its effect has happened), did_not, or retry.")],
    result: Annotated[str | None, typer.Option("--result", help="With did: the fields it wrote, as JSON.")] = None,
    comment: Annotated[str | None, typer.Option("--comment", help="Kept in the history.")] = None,
    routing_key: RoutingKey = None,
    bootstrap_servers: Bootstrap = None,
    prefix: Prefix = None,
    config: Config = None,
    output: Output = Format.TABLE,
) -> None:
    """Decide about a step in doubt. Find out first whether its effect has happened outside."""
    if decision not in DECISIONS:
        raise ConfigInvalid(f"a decision is one of {', '.join(DECISIONS)}, not {decision!r}")
    written = input_of(result, [], option="--result")

    def send(client: Client, view: RunView, key: str | None) -> str:
        in_doubt = [step.path for step in view.current_steps if step.phase == "in_doubt"]
        if path not in in_doubt:
            others = ", ".join(in_doubt) or "none"
            raise InvalidInput(f"step {path!r} of run {run_id} is not in doubt (in doubt: {others})", run_id=run_id)
        return client.resolve(run_id, path, decision, result=written, comment=comment, routing_key=key)

    settings = broker_settings(bootstrap_servers, prefix, config)
    print_taken(tell(settings, run_id, send, routing_key=routing_key), run_id, output)


# Shared


@contextmanager
def _client(bootstrap_servers: str | None, prefix: str | None, config: Path | None) -> Iterator[Client]:
    from logkeel.cli.wiring import connect

    settings = broker_settings(bootstrap_servers, prefix, config)
    with Client(connect(settings), prefix=settings.prefix, payloads=payload_chain(settings)) as client:
        yield client


def _print_completion(completed: RunCompleted, output: Format) -> None:
    result = plain_result(completed.result)
    value = {"run_id": completed.run_id, "status": completed.status, "result": result}
    if output is Format.JSON:
        print_json(value)
        return
    say(f"run {completed.run_id} {completed.status}")
    for name, each in result.items():
        typer.echo(f"{name}: {each}")


def _print_run(view: RunView, now_ms: int) -> None:
    data().print(run_views.tree(view, now_ms))
    if view.fields:
        rows = [
            (name, each.revision, each.path or "input", run_views.short(documents.value_of(each)))
            for name, each in view.fields.items()
        ]
        print_rows(("field", "revision", "written by", "value"), list(rows), Format.TABLE)
    if view.errors:
        errors = [(e.path, e.attempt, e.error.code, e.error.message) for e in view.errors]
        print_rows(("failed step", "attempt", "error", "message"), list(errors), Format.TABLE)
    data().print(
        f"revision {view.revision}, schema version {view.schema_version},"
        f" completed steps: {', '.join(view.completed_steps) or 'none'}",
        markup=False,
        soft_wrap=True,
    )
    if not view.complete:
        say("the beginning of its history is not kept any more: fields and steps of then are missing")
