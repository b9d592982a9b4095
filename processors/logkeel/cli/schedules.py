"""`logkeel schedule put|list|show|pause|resume|delete|trigger|backfill`: what starts runs by time."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import msgspec
import typer

from logkeel.cli.histories import time_ms
from logkeel.cli.options import Bootstrap, Config, Output, Prefix, Reason
from logkeel.cli.output import Format, print_json, print_rows, print_value, say
from logkeel.cli.payloads import payload_chain
from logkeel.cli.run_inputs import input_of, with_readable
from logkeel.cli.settings import broker_settings
from logkeel.cli.times import duration
from logkeel.client import Client
from logkeel.errors import ConfigInvalid
from logkeel.projection import ScheduleView
from logkeel.records import ScheduleStanding
from logkeel.workflow.scheduling import ScheduleOptions, schedule_of

app = typer.Typer(no_args_is_help=True, help="Put, list, show, pause, resume, delete, trigger and backfill schedules.")

Name: TypeAlias = Annotated[str, typer.Argument(help="The schedule's name.")]
Moment: TypeAlias = Annotated[
    datetime, typer.Argument(formats=["%Y-%m-%dT%H:%M:%SZ"], help="UTC, 2026-03-29T00:00:00Z.")
]

COLUMNS = ("schedule", "workflow", "due", "next in", "overlap", "runs", "waiting")


@app.command()
def put(
    name: Name,
    workflow: Annotated[str, typer.Argument(help="The workflow whose runs it starts.")],
    cron: Annotated[str | None, typer.Option("--cron", help="'0 3 * * *'; six fields begin with seconds.")] = None,
    every: Annotated[str | None, typer.Option("--every", help="15m; instead of --cron.")] = None,
    tz: Annotated[str | None, typer.Option("--tz", help="IANA time zone of --cron; UTC unless said.")] = None,
    overlap: Annotated[str, typer.Option("--overlap", help="skip, queue, cancel or allow.")] = "skip",
    backfill: Annotated[str, typer.Option("--backfill", help="none, last, all or a number.")] = "none",
    given: Annotated[str | None, typer.Option("--input", help="The input as JSON, or @file.json.")] = None,
    field: Annotated[list[str] | None, typer.Option("--field", "-f", help="name=value; may be repeated.")] = None,
    readable: Annotated[list[str] | None, typer.Option("--readable", help="A control field: not encrypted.")] = None,
    bootstrap_servers: Bootstrap = None,
    prefix: Prefix = None,
    config: Config = None,
    output: Output = Format.TABLE,
) -> None:
    """Make a schedule, or change it."""
    options: dict[str, Any] = {"overlap": overlap, "backfill": int(backfill) if backfill.isdecimal() else backfill}
    options |= {key: text for key, text in (("cron", cron), ("every", every), ("tz", tz)) if text is not None}
    values = with_readable(input_of(given, field or []), readable or [])
    typed: ScheduleOptions = {**options, "input": values}  # type: ignore[typeddict-item]  # checked right below
    schedule = schedule_of(workflow, name, typed)
    with _client(bootstrap_servers, prefix, config) as client:
        _taken(name, client.schedules.put(schedule), output)


@app.command("list")
def list_schedules(
    bootstrap_servers: Bootstrap = None,
    prefix: Prefix = None,
    config: Config = None,
    output: Output = Format.TABLE,
) -> None:
    """List schedules."""
    with _client(bootstrap_servers, prefix, config) as client:
        found = client.schedules.list()
    now_ms = time_ms()
    if output is Format.JSON:
        print_json([as_json(view) for view in found])
    else:
        print_rows(COLUMNS, [row(view, now_ms) for view in found], output)


@app.command()
def show(
    name: Name,
    bootstrap_servers: Bootstrap = None,
    prefix: Prefix = None,
    config: Config = None,
    output: Output = Format.TABLE,
) -> None:
    """Show a schedule, and what became of it lately."""
    with _client(bootstrap_servers, prefix, config) as client:
        view = client.schedules.show(name)
    if view is None:
        raise ConfigInvalid(f"there is no schedule {name!r}; see: logkeel schedule list")
    if output is Format.JSON:
        print_json(as_json(view) | {"events": [msgspec.to_builtins(event) for event in view.events]})
        return
    print_rows(COLUMNS, [row(view, time_ms())], output)
    events = [
        (_time(event.at_ms), event.kind, event.run_id or (event.count if event.due_ms else None), event.reason)
        for event in view.events
    ]
    print_rows(("at", "what", "run", "why"), list(events), output)


@app.command()
def pause(
    name: Name,
    reason: Reason = None,
    bootstrap_servers: Bootstrap = None,
    prefix: Prefix = None,
    config: Config = None,
    output: Output = Format.TABLE,
) -> None:
    """Let due times pass until it is resumed; they are not made up for."""
    with _client(bootstrap_servers, prefix, config) as client:
        _steer(client, name, lambda: client.schedules.pause(name, reason=reason), output)


@app.command()
def resume(
    name: Name,
    reason: Reason = None,
    bootstrap_servers: Bootstrap = None,
    prefix: Prefix = None,
    config: Config = None,
    output: Output = Format.TABLE,
) -> None:
    """Go on with the next due time."""
    with _client(bootstrap_servers, prefix, config) as client:
        _steer(client, name, lambda: client.schedules.resume(name, reason=reason), output)


@app.command()
def delete(
    name: Name,
    reason: Reason = None,
    bootstrap_servers: Bootstrap = None,
    prefix: Prefix = None,
    config: Config = None,
    output: Output = Format.TABLE,
) -> None:
    """Forget a schedule; runs that it has started go on."""
    with _client(bootstrap_servers, prefix, config) as client:
        _steer(client, name, lambda: client.schedules.delete(name, reason=reason), output)


@app.command()
def trigger(
    name: Name,
    request_id: Annotated[str | None, typer.Option("--request-id", help="Sent again, it is the same run.")] = None,
    bootstrap_servers: Bootstrap = None,
    prefix: Prefix = None,
    config: Config = None,
    output: Output = Format.TABLE,
) -> None:
    """Start a run now, by the schedule's overlap rule."""
    with _client(bootstrap_servers, prefix, config) as client:
        _steer(client, name, lambda: client.schedules.trigger(name, request_id=request_id), output)


@app.command()
def backfill(
    name: Name,
    begin: Moment,
    end: Moment,
    bootstrap_servers: Bootstrap = None,
    prefix: Prefix = None,
    config: Config = None,
    output: Output = Format.TABLE,
) -> None:
    """Start runs for the due times of a former time, but for those that had one."""
    with _client(bootstrap_servers, prefix, config) as client:
        times = begin.replace(tzinfo=UTC), end.replace(tzinfo=UTC)
        _steer(client, name, lambda: client.schedules.backfill(name, *times), output)


def row(view: ScheduleView, now_ms: int) -> tuple[Any, ...]:
    """A line of the list, by `COLUMNS`."""
    it = view.standing
    coming = "paused" if it.paused else None if it.next_ms is None else duration(max(0, it.next_ms - now_ms))
    return view.name, it.workflow, due(it), coming, it.overlap, ", ".join(it.running) or None, it.waiting or None


def due(standing: ScheduleStanding) -> str:
    """When, in words."""
    if standing.every_ms is not None:
        return f"every {duration(standing.every_ms)}"
    return f"{standing.cron} {standing.timezone}"


def as_json(view: ScheduleView) -> dict[str, Any]:
    """Everything that is known of a schedule but its events."""
    standing: dict[str, Any] = msgspec.to_builtins(view.standing)
    return {"name": view.name, **standing}


def _steer(client: Client, name: str, send: Callable[[], str], output: Format) -> None:
    if client.schedules.show(name) is None:
        raise ConfigInvalid(f"there is no schedule {name!r}; see: logkeel schedule list")
    _taken(name, send(), output)


def _taken(name: str, request_id: str, output: Format) -> None:
    say(f"what became of it: logkeel schedule show {name}")
    print_value({"name": name, "request_id": request_id}, name, output)


def _time(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1_000, tz=UTC):%Y-%m-%d %H:%M:%S}"


@contextmanager
def _client(bootstrap_servers: str | None, prefix: str | None, config: Path | None) -> Iterator[Client]:
    from logkeel.cli.wiring import connect

    settings = broker_settings(bootstrap_servers, prefix, config)
    with Client(connect(settings), prefix=settings.prefix, payloads=payload_chain(settings)) as client:
        yield client
