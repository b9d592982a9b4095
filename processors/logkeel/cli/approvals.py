"""`logkeel approvals list|show|answer`: what runs ask humans, from a terminal or a script."""

from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

from logkeel.cli import approval_views
from logkeel.cli.approval_choice import VERBS, Said, chosen, path_and_verb, refuse_unfit, with_remedy
from logkeel.cli.form_reading import form_for, refuse_unfit_value
from logkeel.cli.histories import history_of, time_ms
from logkeel.cli.options import Bootstrap, Config, Output, Prefix
from logkeel.cli.output import Format, print_json, print_rows, print_text, say
from logkeel.cli.run_answers import known, print_taken, tell
from logkeel.cli.run_inputs import json_of
from logkeel.cli.settings import Settings, load_settings
from logkeel.client import AnswerDetails, Client
from logkeel.client.answering import DELEGATE
from logkeel.errors import CallerError, RequestWasRejected
from logkeel.projection import RunView

app = typer.Typer(no_args_is_help=True, help="What runs ask humans: list, show and answer it.")

RunId: TypeAlias = Annotated[str, typer.Argument(metavar="RUN", help="The run's id.")]


@app.command("list")
def list_open(
    assignee: Annotated[str | None, typer.Option("--assignee", help="Only what this one is asked.")] = None,
    bootstrap_servers: Bootstrap = None,
    prefix: Prefix = None,
    config: Config = None,
    output: Output = Format.TABLE,
) -> None:
    """List the questions that nobody has answered yet, the oldest first."""
    questions = history_of(_settings(bootstrap_servers, prefix, config), None).questions(assignee=assignee)
    now_ms = time_ms()
    if output is Format.JSON:
        print_json([approval_views.summary(each, now_ms) for each in questions])
    else:
        print_rows(approval_views.COLUMNS, [approval_views.row(each, now_ms) for each in questions], output)
    of = "" if assignee is None else f" of {assignee}"
    say(f"{len(questions)} open questions{of}" + ("; one of them: logkeel approvals show RUN" if questions else ""))


@app.command()
def show(
    run_id: RunId,
    path: Annotated[
        str | None, typer.Argument(metavar="[PATH]", help="Where it is asked, if not the only one.")
    ] = None,
    bootstrap_servers: Bootstrap = None,
    prefix: Prefix = None,
    config: Config = None,
    output: Output = Format.TABLE,
) -> None:
    """Show a question: what is asked, the values to look at, and what may be answered."""
    settings = _settings(bootstrap_servers, prefix, config)
    projection = history_of(settings, run_id)
    question = chosen(known(projection, run_id), path, command=f"show {run_id} PATH")
    asked = next(each for each in projection.questions(run_id=run_id) if each.path == question.path)
    form = form_for(settings, asked.definition_digest, asked.path)
    if output is Format.JSON:
        print_json(approval_views.as_json(asked, form, time_ms()))
        return
    for line in approval_views.lines(asked, form, time_ms()):
        print_text(line)
    say(approval_views.how_to_answer(asked))


@app.command()
def answer(
    run_id: RunId,
    words: Annotated[list[str], typer.Argument(metavar="[PATH] VERB", help=f"{', '.join(VERBS)}; PATH if several.")],
    value: Annotated[
        str | None, typer.Option("--value", help="The answer of edit and respond: JSON, @file.json.")
    ] = None,
    value_file: Annotated[Path | None, typer.Option("--value-file", help="The same from a file of JSON.")] = None,
    to: Annotated[str | None, typer.Option("--to", help="With delegate: who is asked instead.")] = None,
    comment: Annotated[str | None, typer.Option("--comment", help="Kept in the history.")] = None,
    by: Annotated[str | None, typer.Option("--by", help="Who answers; kept in the history.")] = None,
    routing_key: Annotated[str | None, typer.Option("--routing-key", help="If the run was started with one.")] = None,
    bootstrap_servers: Bootstrap = None,
    prefix: Prefix = None,
    config: Config = None,
    output: Output = Format.TABLE,
) -> None:
    """Answer a question; the first valid answer counts. delegate --to NAME has somebody else asked."""
    path, verb = path_and_verb(words)
    given = _value(value, value_file)
    said = Said(verb, path, bool(given), to)
    settings = _settings(bootstrap_servers, prefix, config)

    def send(client: Client, view: RunView, key: str | None) -> str:
        question = chosen(view, path, command=f"answer {run_id} PATH {verb}")
        refuse_unfit(said, question, run_id)
        if given:
            refuse_unfit_value(settings, view, question, given["value"])
        details = AnswerDetails(
            by=by, comment=comment, question=question.number, incarnation=view.incarnation, routing_key=key
        )
        if verb == DELEGATE:
            return client.delegate(run_id, question.path, to=to or "", **details)
        return client.answer(run_id, question.path, verb, **given, **details)

    try:
        request_id = tell(settings, run_id, send, routing_key=routing_key)
    except RequestWasRejected as error:
        raise with_remedy(error, run_id) from error
    print_taken(request_id, run_id, output)


def _settings(bootstrap_servers: str | None, prefix: str | None, config: Path | None) -> Settings:
    return load_settings({"bootstrap_servers": bootstrap_servers, "prefix": prefix}, file=config)


def _value(value: str | None, value_file: Path | None) -> dict[str, Any]:
    """The answer, under `value`, if there is one: null is one, too."""
    if value is not None and value_file is not None:
        raise CallerError("the answer is given twice: leave out --value or --value-file")
    if value_file is not None:
        return {"value": json_of(f"@{value_file}", "--value-file")}
    return {} if value is None else {"value": json_of(value, "--value")}
