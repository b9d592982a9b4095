"""`logkeel run pause|resume|cancel|retry`: one run by its id, or every run that a query finds."""

from collections.abc import Iterator
from typing import Annotated, Protocol, TypeAlias

import typer

from logkeel.cli.histories import history_of, time_ms
from logkeel.cli.options import Bootstrap, Config, Output, Prefix, Reason, RoutingKey
from logkeel.cli.output import Format, print_json, print_rows, say
from logkeel.cli.run_answers import print_taken, tell
from logkeel.cli.settings import Settings, broker_settings
from logkeel.cli.times import duration
from logkeel.client import Client
from logkeel.errors import ConfigInvalid
from logkeel.projection import RunView
from logkeel.records import RunStatus
from logkeel.workflow import to_milliseconds

app = typer.Typer()

OneRun: TypeAlias = Annotated[str | None, typer.Argument(metavar="[RUN]", help="The run's id; else --workflow.")]
OfWorkflow: TypeAlias = Annotated[str | None, typer.Option("--workflow", help="Every run of this workflow that fits.")]
Older: TypeAlias = Annotated[str | None, typer.Option("--older-than", help="Only runs that began so long ago: 2h.")]
Yes: TypeAlias = Annotated[bool, typer.Option("--yes", help="Do it; without it the runs are only listed.")]


class Act(Protocol):
    """A method of the client that sends a request to a run; returns the request's id."""

    def __call__(self, client: Client, run_id: str, /, *, reason: str | None, routing_key: str | None) -> str:
        """Raises as the method does."""


@app.command()
def pause(
    run_id: OneRun = None,
    workflow: OfWorkflow = None,
    older_than: Older = None,
    yes: Yes = False,
    reason: Reason = None,
    routing_key: RoutingKey = None,
    bootstrap_servers: Bootstrap = None,
    prefix: Prefix = None,
    config: Config = None,
    output: Output = Format.TABLE,
) -> None:
    """Let runs send no more commands to workers; what workers have is finished, and deadlines go on."""
    settings = broker_settings(bootstrap_servers, prefix, config)
    query = Query(workflow, older_than, paused=False)
    _act(settings, run_id, query, Client.pause, reason=reason, yes=yes, routing_key=routing_key, output=output)


@app.command()
def resume(
    run_id: OneRun = None,
    workflow: OfWorkflow = None,
    older_than: Older = None,
    yes: Yes = False,
    reason: Reason = None,
    routing_key: RoutingKey = None,
    bootstrap_servers: Bootstrap = None,
    prefix: Prefix = None,
    config: Config = None,
    output: Output = Format.TABLE,
) -> None:
    """Let paused runs go on: what was held back is sent now."""
    settings = broker_settings(bootstrap_servers, prefix, config)
    query = Query(workflow, older_than, paused=True)
    _act(settings, run_id, query, Client.resume, reason=reason, yes=yes, routing_key=routing_key, output=output)


@app.command()
def cancel(
    run_id: OneRun = None,
    workflow: OfWorkflow = None,
    older_than: Older = None,
    yes: Yes = False,
    reason: Reason = None,
    routing_key: RoutingKey = None,
    bootstrap_servers: Bootstrap = None,
    prefix: Prefix = None,
    config: Config = None,
    output: Output = Format.TABLE,
) -> None:
    """Cancel runs: nothing more is sent to workers, and what runs is told to stop."""
    settings = broker_settings(bootstrap_servers, prefix, config)
    query = Query(workflow, older_than)
    _act(settings, run_id, query, Client.cancel, reason=reason, yes=yes, routing_key=routing_key, output=output)


@app.command()
def retry(
    run_id: OneRun = None,
    workflow: OfWorkflow = None,
    older_than: Older = None,
    yes: Yes = False,
    reason: Reason = None,
    routing_key: RoutingKey = None,
    bootstrap_servers: Bootstrap = None,
    prefix: Prefix = None,
    config: Config = None,
    output: Output = Format.TABLE,
) -> None:
    """Let runs try again what failed in them; what is done stays done, and keys stay the same.

    They have failed or timed out; one that is named may also have succeeded without some elements of its last `each`.
    """
    settings = broker_settings(bootstrap_servers, prefix, config)
    query = Query(workflow, older_than, statuses=("failed", "timed_out"))
    _act(settings, run_id, query, _retried, reason=reason, yes=yes, routing_key=routing_key, output=output)


def _retried(client: Client, run_id: str, /, *, reason: str | None, routing_key: str | None) -> str:
    return client.retry(run_id, reason=reason, routing_key=routing_key).request_id


class Query:
    """Which runs are meant: of a workflow, of an age, with such a status (running ones), paused or not."""

    def __init__(
        self,
        workflow: str | None,
        older_than: str | None,
        *,
        paused: bool | None = None,
        statuses: tuple[RunStatus, ...] = ("running",),
    ) -> None:
        """Raises `ConfigInvalid` for an age that is none."""
        self.workflow = workflow
        self.statuses = statuses
        self._paused = paused
        try:
            self._age_ms = 0 if older_than is None else to_milliseconds(older_than)
        except ValueError as error:
            raise ConfigInvalid(f"--older-than: {error}") from error

    def finds(self, runs: list[RunView], now_ms: int) -> Iterator[RunView]:
        """Those of these runs that are meant, the oldest first."""
        for view in sorted(runs, key=lambda view: (view.started_at_ms, view.run_id)):
            is_paused = view.paused_at_ms is not None
            if now_ms - view.started_at_ms >= self._age_ms and self._paused in (None, is_paused):
                yield view


def _act(
    settings: Settings,
    run_id: str | None,
    query: Query,
    act: Act,
    *,
    reason: str | None,
    yes: bool,
    routing_key: str | None,
    output: Format,
) -> None:
    if (run_id is None) == (query.workflow is None):
        raise ConfigInvalid("say which run, or --workflow for all runs of one (and not both)")
    if run_id is not None:

        def send(client: Client, view: RunView, key: str | None) -> str:
            return act(client, run_id, reason=reason, routing_key=key)

        request_id = tell(settings, run_id, send, routing_key=routing_key)
        print_taken(request_id, run_id, output)
        return
    now_ms = time_ms()
    history = history_of(settings, None)
    runs = [view for status in query.statuses for view in history.runs(status=status, workflow=query.workflow)]
    found = list(query.finds(runs, now_ms))
    if yes:
        _send_all(settings, found, act, reason)
    if output is Format.JSON:
        print_json([{"run_id": view.run_id, "age_ms": now_ms - view.started_at_ms, "asked": yes} for view in found])
    else:
        rows = [(view.run_id, view.workflow, duration(now_ms - view.started_at_ms)) for view in found]
        print_rows(("run", "workflow", "age"), list(rows), output)
    say(f"{len(found)} runs were asked" if yes else f"{len(found)} runs are meant; to do it: --yes")


def _send_all(settings: Settings, found: list[RunView], act: Act, reason: str | None) -> None:
    from logkeel.cli.wiring import connect

    with Client(connect(settings), prefix=settings.prefix) as client:
        for number, view in enumerate(found, start=1):
            act(client, view.run_id, reason=reason, routing_key=view.routing_key)
            if number % 1_000 == 0:
                say(f"{number} of {len(found)} …")
