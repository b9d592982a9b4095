"""`logkeel workflow check`: a workflow beside its published version, the runs in flight, and whether it is ready."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from logkeel.cli.definition_changes import Change, changes
from logkeel.cli.options import Bootstrap, Config, Output, Prefix
from logkeel.cli.output import Format, data, print_json, say
from logkeel.cli.production import Point, points
from logkeel.cli.settings import Settings, broker_settings
from logkeel.definitions import decode_document
from logkeel.errors import LogkeelError
from logkeel.records import WorkflowDefinition

if TYPE_CHECKING:
    from logkeel.projection import RunView
    from logkeel.workflow import Workflow

app = typer.Typer()

_STYLES = {"breaks": "bold red", "note": "yellow", "fine": "green", "yes": "green", "no": "bold red"}


@app.command()
def check(
    target: Annotated[str, typer.Argument(help="module, module:workflow or path/to/file.py.")],
    production: Annotated[
        bool, typer.Option("--production", help="Ten questions about this workflow, answered with yes or no.")
    ] = False,
    bootstrap_servers: Bootstrap = None,
    prefix: Prefix = None,
    config: Config = None,
    output: Output = Format.TABLE,
) -> None:
    """Compare with the published version: what changes, for whom, and why that is fine or not. Exit code 1 if not."""
    from logkeel.cli.applications import named_workflows

    settings = broker_settings(bootstrap_servers, prefix, config)
    workflows = named_workflows(target)
    if (_assess if production else _compare)(workflows, settings, output):
        raise typer.Exit(1)


def _assess(workflows: "Sequence[Workflow[Any]]", settings: Settings, output: Format) -> bool:
    """Whether a question is answered with no."""
    replication_factor, failed = _replication_factor(settings), False
    for workflow in workflows:
        found = points(workflow, replication_factor=replication_factor, environment=os.environ)
        failed = failed or any(point.answer == "no" for point in found)
        _print_points(workflow, found, output)
    return failed


def _compare(workflows: "Sequence[Workflow[Any]]", settings: Settings, output: Format) -> bool:
    """Whether something breaks."""
    from logkeel.cli import wiring
    from logkeel.cli.histories import history_of
    from logkeel.client.published import published

    definitions, failed = published(wiring.connect(settings), settings.names), False
    running = history_of(settings, None).runs(status="running") if definitions else []
    for workflow in workflows:
        known = [each for each in definitions if each.name == workflow.name]
        live = next(reversed([each for each in known if each.version == workflow.version] or known), None)
        found: list[Change] = []
        if live is not None:
            found = changes(decode_document(live.document), workflow.document(), workflow.migrations.versions)
        in_flight = {} if live is None else _in_flight(running, workflow.name)
        _print_changes(workflow, live, found, in_flight, output)
        failed = failed or any(change.verdict == "breaks" for change in found)
    return failed


def _in_flight(running: "Sequence[RunView]", workflow: str) -> dict[str, int]:
    """How many runs of the workflow are under way, by version."""
    return dict(sorted(Counter(view.version for view in running if view.workflow == workflow).items()))


def _print_changes(
    workflow: "Workflow[Any]",
    live: WorkflowDefinition | None,
    found: Sequence[Change],
    in_flight: dict[str, int],
    output: Format,
) -> None:
    label = f"{workflow.name}@{workflow.version}"
    if output is Format.JSON:
        against = None if live is None else f"{live.name}@{live.version}"
        listed = [asdict(change) for change in found]
        print_json({"workflow": label, "published": against, "changes": listed, "in_flight": in_flight})
        return
    if live is None:
        say(f"{workflow.name} is not published yet: there is nothing to compare with")
        return
    say(f"{label} beside {live.name}@{live.version}, which is published")
    for change in found:
        _print_line(change.verdict, f"{change.place}: {change.what}", change.reason, change.remedy)
    if not found:
        typer.echo("no change")
    for version, count in in_flight.items():
        runs = "1 run is" if count == 1 else f"{count} runs are"
        typer.echo(f"{runs} under way in version {version}: keep a worker that has its code until they have ended")


def _replication_factor(settings: Settings) -> int | None:
    """Of the topics of this application; None if they cannot be seen from here."""
    from logkeel.cli import wiring

    topic = settings.names.run_state
    try:
        admin = wiring.connect(settings).admin()
        try:
            found = admin.describe_topics([topic])
        finally:
            admin.close()
    except LogkeelError:
        return None
    return found[topic].replication_factor if topic in found else None


def _print_points(workflow: "Workflow[Any]", found: Sequence[Point], output: Format) -> None:
    label = f"{workflow.name}@{workflow.version}"
    if output is Format.JSON:
        print_json({"workflow": label, "points": [asdict(point) for point in found]})
        return
    say(f"{label}: ready for production?")
    for point in found:
        _print_line(point.answer, point.question, point.why, point.remedy)


def _print_line(word: str, what: str, why: str, remedy: str) -> None:
    data().print(Text(f"{word:>7}", style=_STYLES[word]), Text(f" {what}"), soft_wrap=True)
    data().print(f"{'':8} {why}", markup=False, soft_wrap=True)
    if remedy:
        data().print(f"{'':8} → {remedy}", markup=False, soft_wrap=True)
