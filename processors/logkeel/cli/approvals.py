"""`logkeel approvals list|show|answer|delegate`: questions that runs have asked humans, from a terminal or a script."""

import getpass
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

from logkeel.cli import run_views
from logkeel.cli.options import Bootstrap, Config, Output, Prefix
from logkeel.cli.output import Format, data, print_json, print_rows, say
from logkeel.cli.payloads import opened, payload_chain
from logkeel.cli.run_answers import known, tell
from logkeel.cli.run_inputs import json_of
from logkeel.cli.settings import Settings, load_settings
from logkeel.client import Client
from logkeel.client.answers import DELEGATE, NOTHING, Answer
from logkeel.errors import InvalidInput
from logkeel.projection import Projection, RunView, WaitView

app = typer.Typer(no_args_is_help=True, help="List, show and answer questions that runs have asked.")

RunId: TypeAlias = Annotated[str, typer.Argument(metavar="RUN", help="The run's id.")]
Path_: TypeAlias = Annotated[str | None, typer.Option("--path", help="Which question, if several are open: its path.")]
By: TypeAlias = Annotated[str | None, typer.Option("--by", help="Who answers; else your login. For the history.")]
Comment: TypeAlias = Annotated[str | None, typer.Option("--comment", help="Kept in the history.")]
Make: TypeAlias = Callable[[RunView, WaitView], Answer]
RoutingKey: TypeAlias = Annotated[str | None, typer.Option("--routing-key", help="If the run was started with one.")]


@app.command("list")
def list_open(
    assignee: Annotated[str | None, typer.Option("--assignee", help="Only questions for them.")] = None,
    workflow: Annotated[str | None, typer.Option("--workflow", help="Only runs of this workflow.")] = None,
    bootstrap_servers: Bootstrap = None,
    prefix: Prefix = None,
    config: Config = None,
    output: Output = Format.TABLE,
) -> None:
    """List open questions, the oldest first."""
    projection = _history(_settings(bootstrap_servers, prefix, config), None)
    now_ms = _now_ms()
    found = [
        (view, wait)
        for view in projection.runs(status="running", workflow=workflow)
        for wait in view.questions
        if assignee is None or wait.assignee == assignee
    ]
    found.sort(key=lambda each: each[1].since_ms)
    if output is Format.JSON:
        print_json([run_views.question_json(view, wait, now_ms) for view, wait in found])
        return
    rows = [
        (
            view.run_id,
            wait.path,
            wait.question,
            wait.assignee or "",
            run_views.duration(now_ms - wait.since_ms),
            "" if wait.due_ms is None else run_views.duration(wait.due_ms - now_ms),
        )
        for view, wait in found
    ]
    print_rows(("run", "path", "question", "for", "asked ago", "due in"), list(rows), output)


@app.command()
def show(
    run_id: RunId,
    path: Path_ = None,
    bootstrap_servers: Bootstrap = None,
    prefix: Prefix = None,
    config: Config = None,
    output: Output = Format.TABLE,
) -> None:
    """Show a question: what is asked, what one is to see, and which answers are taken."""
    settings = _settings(bootstrap_servers, prefix, config)
    view = opened(known(_history(settings, run_id), run_id), payload_chain(settings))
    wait, now_ms = question_of(view, path), _now_ms()
    if output is Format.JSON:
        print_json(run_views.question_json(view, wait, now_ms))
        return
    for line in run_views.question_lines(view, wait, now_ms):
        data.print(line, markup=False, soft_wrap=True)
    say(f"answer: logkeel approvals answer {run_id} {'|'.join(wait.allow)}")


@app.command()
def answer(
    run_id: RunId,
    verb: Annotated[str, typer.Argument(help="approve, reject, edit or respond: what the question allows.")],
    value: Annotated[str | None, typer.Option("--value", help="Of edit and respond: JSON, or @file.json.")] = None,
    path: Path_ = None,
    by: By = None,
    comment: Comment = None,
    routing_key: RoutingKey = None,
    bootstrap_servers: Bootstrap = None,
    prefix: Prefix = None,
    config: Config = None,
    output: Output = Format.TABLE,
) -> None:
    """Answer a question. The first valid answer counts."""
    content: Any = NOTHING if value is None else json_of(value, "--value")

    def make(view: RunView, wait: WaitView) -> Answer:
        if verb not in wait.allow:
            allowed = ", ".join(wait.allow)
            raise InvalidInput(f"{wait.path!r} of run {run_id} takes {allowed}, not {verb!r}", run_id=run_id)
        return Answer(
            run_id=run_id,
            path=wait.path,
            verb=verb,
            value=content,
            question=wait.number,
            answered_by=by or getpass.getuser(),
            comment=comment,
        )

    _tell(_settings(bootstrap_servers, prefix, config), run_id, make, path=path, key=routing_key, output=output)


@app.command()
def delegate(
    run_id: RunId,
    to: Annotated[str, typer.Argument(help="Who is to be asked instead.")],
    path: Path_ = None,
    by: By = None,
    comment: Comment = None,
    routing_key: RoutingKey = None,
    bootstrap_servers: Bootstrap = None,
    prefix: Prefix = None,
    config: Config = None,
    output: Output = Format.TABLE,
) -> None:
    """Hand a question on to somebody else; its deadline stays."""

    def make(view: RunView, wait: WaitView) -> Answer:
        return Answer(
            run_id=run_id,
            path=wait.path,
            verb=DELEGATE,
            question=wait.number,
            answered_by=by or getpass.getuser(),
            assignee=to,
            comment=comment,
        )

    _tell(_settings(bootstrap_servers, prefix, config), run_id, make, path=path, key=routing_key, output=output)


def question_of(view: RunView, path: str | None) -> WaitView:
    """The open question of a run at that path, or its only one. Raises `InvalidInput`."""
    found = {wait.path: wait for wait in view.questions}
    if path is None and len(found) == 1:
        return next(iter(found.values()))
    if path in found:
        return found[path]
    if not found:
        state = view.status if view.status != "running" else "waits for no human"
        raise InvalidInput(f"run {view.run_id} has no open question: it {state}", run_id=view.run_id)
    wanted = "several questions are open" if path is None else f"no question is open at {path!r}"
    raise InvalidInput(f"{wanted}; say --path, one of {', '.join(found)}", run_id=view.run_id)


def _tell(settings: Settings, run_id: str, make: Make, *, path: str | None, key: str | None, output: Format) -> None:
    def send(client: Client, view: RunView, routing_key: str | None) -> str:
        return client.answer(make(view, question_of(view, path)), routing_key=routing_key)

    request_id = tell(settings, run_id, send, routing_key=key)
    say(f"accepted; what became of it: logkeel run show {run_id}")
    if output is Format.JSON:
        print_json({"run_id": run_id, "request_id": request_id})
    else:
        typer.echo(request_id)


def _settings(bootstrap_servers: str | None, prefix: str | None, config: Path | None) -> Settings:
    return load_settings({"bootstrap_servers": bootstrap_servers, "prefix": prefix}, file=config)


def _history(settings: Settings, run_id: str | None) -> Projection:
    from logkeel.cli.run import history_of

    return history_of(settings, run_id)


def _now_ms() -> int:
    from logkeel.kafka import SystemClock

    return SystemClock().now_ms()
