"""`logkeel approvals list|show|answer|delegate`: questions that runs have asked humans, from a terminal or a script."""

import getpass
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

from logkeel.approvals import documents as approval_documents
from logkeel.cli import approval_views
from logkeel.cli.approval_choice import chosen, refuse_unfit, with_remedy
from logkeel.cli.form_reading import form_for, refuse_unfit_value
from logkeel.cli.histories import history_of, time_ms
from logkeel.cli.options import Bootstrap, Config, Output, Prefix, RoutingKey, RunId
from logkeel.cli.output import Format, print_json, print_rows, print_text, say
from logkeel.cli.payloads import payload_chain
from logkeel.cli.run_answers import known, print_taken, tell
from logkeel.cli.run_inputs import json_of
from logkeel.cli.settings import Settings, broker_settings
from logkeel.client import Answer, Client
from logkeel.client.answers import DELEGATE, NOTHING
from logkeel.client.opening import readable_values
from logkeel.errors import CallerError, RequestWasRejected
from logkeel.projection import RunView, WaitView

app = typer.Typer(no_args_is_help=True, help="List, show and answer questions that runs have asked.")

Path_: TypeAlias = Annotated[str | None, typer.Option("--path", help="Which question, if several are open: its path.")]
By: TypeAlias = Annotated[str | None, typer.Option("--by", help="Who answers; else your login. For the history.")]
Comment: TypeAlias = Annotated[str | None, typer.Option("--comment", help="Kept in the history.")]
Make: TypeAlias = Callable[[RunView, WaitView], Answer]


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
    found = history_of(broker_settings(bootstrap_servers, prefix, config), None).questions(assignee=assignee)
    questions = [each for each in found if workflow in (None, each.workflow)]
    now_ms = time_ms()
    if output is Format.JSON:
        print_json([approval_documents.question_summary(each, now_ms) for each in questions])
    else:
        print_rows(approval_views.COLUMNS, [approval_views.row(each, now_ms) for each in questions], output)
    of = "" if assignee is None else f" of {assignee}"
    say(f"{len(questions)} open questions{of}" + ("; one of them: logkeel approvals show RUN" if questions else ""))


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
    settings = broker_settings(bootstrap_servers, prefix, config)
    projection = history_of(settings, run_id)
    question = chosen(known(projection, run_id), path)
    asked = next(each for each in projection.questions(run_id=run_id) if each.path == question.path)
    asked = readable_values(asked, payload_chain(settings))
    form = form_for(settings, asked.definition_digest, asked.path)
    if output is Format.JSON:
        print_json(approval_documents.question_json(asked, form, time_ms()))
        return
    for line in approval_views.lines(asked, form, time_ms()):
        print_text(line)
    say(approval_views.how_to_answer(asked))


@app.command()
def answer(
    run_id: RunId,
    verb: Annotated[str, typer.Argument(help="approve, reject, edit or respond: what the question allows.")],
    value: Annotated[str | None, typer.Option("--value", help="Of edit and respond: JSON, or @file.json.")] = None,
    value_file: Annotated[Path | None, typer.Option("--value-file", help="The same from a file of JSON.")] = None,
    grant: Annotated[
        int | None, typer.Option("--grant", help="How much more of a budget; as at first unless said.")
    ] = None,
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
    content = _value(value, value_file)
    settings = broker_settings(bootstrap_servers, prefix, config)

    def make(view: RunView, question: WaitView) -> Answer:
        refuse_unfit(verb, question, run_id, has_value=content is not NOTHING)
        if content is not NOTHING:
            refuse_unfit_value(settings, view, question, content)
        return _answer(view, question, verb, by=by, comment=comment, value=content, grant=grant)

    _tell(settings, run_id, make, path=path, key=routing_key, output=output)


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

    def make(view: RunView, question: WaitView) -> Answer:
        return _answer(view, question, DELEGATE, by=by, comment=comment, assignee=to)

    settings = broker_settings(bootstrap_servers, prefix, config)
    _tell(settings, run_id, make, path=path, key=routing_key, output=output)


@app.command()
def told(
    run_id: RunId,
    bootstrap_servers: Bootstrap = None,
    prefix: Prefix = None,
    config: Config = None,
    output: Output = Format.TABLE,
) -> None:
    """Show whom notifiers have told of a run's questions, and what did not get through."""
    from logkeel.cli import told as views
    from logkeel.cli.wiring import connect

    settings = broker_settings(bootstrap_servers, prefix, config)
    cases = views.cases_of_run(connect(settings), settings.names, run_id)
    if output is Format.JSON:
        print_json(views.as_json(cases))
    else:
        print_rows(views.COLUMNS, views.table(cases, time_ms()), output)
    failed = sum(each.state == "failed" for case in cases for each in case.deliveries)
    say(f"{len(cases)} questions are known to notifiers" + (f"; {failed} deliveries have failed" if failed else ""))


def _answer(view: RunView, question: WaitView, verb: str, *, by: str | None, **said: Any) -> Answer:
    """To this question of this incarnation, and to no later one."""
    return Answer(
        run_id=view.run_id,
        path=question.path,
        verb=verb,
        question=question.number,
        incarnation=view.incarnation,
        answered_by=by or getpass.getuser(),
        **said,
    )


def _tell(settings: Settings, run_id: str, make: Make, *, path: str | None, key: str | None, output: Format) -> None:
    def send(client: Client, view: RunView, routing_key: str | None) -> str:
        return client.answer(make(view, chosen(view, path)), routing_key=routing_key)

    try:
        request_id = tell(settings, run_id, send, routing_key=key)
    except RequestWasRejected as error:
        raise with_remedy(error, run_id) from error
    print_taken(request_id, run_id, output)


def _value(value: str | None, value_file: Path | None) -> Any:
    """The answer; null is one, too."""
    if value is not None and value_file is not None:
        raise CallerError("the answer is given twice: leave out --value or --value-file")
    if value_file is not None:
        return json_of(f"@{value_file}", "--value-file")
    return NOTHING if value is None else json_of(value, "--value")
