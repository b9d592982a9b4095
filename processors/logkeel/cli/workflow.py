"""`logkeel workflow show|check`: what a workflow looks like, and what it changes, before it runs."""

from enum import StrEnum
from typing import Annotated

import typer

from logkeel.cli import workflow_check

app = typer.Typer(no_args_is_help=True, help="Look at workflows.")
app.registered_commands.extend(workflow_check.app.registered_commands)


class Picture(StrEnum):
    """How a flow is shown."""

    TEXT = "text"
    MERMAID = "mermaid"
    JSON = "json"


@app.command()
def show(
    target: Annotated[str, typer.Argument(help="module, module:workflow or path/to/file.py.")],
    picture: Annotated[Picture, typer.Option("--format", help="An outline, a Mermaid chart, or the definition.")] = (
        Picture.TEXT
    ),
) -> None:
    """Draw the flow of each workflow; needs no broker."""
    from logkeel.cli.applications import named_workflows
    from logkeel.definitions import encode_document

    for workflow in named_workflows(target):
        if picture is Picture.JSON:
            typer.echo(encode_document(workflow.document()).decode())
        else:
            typer.echo(workflow.draw("mermaid" if picture is Picture.MERMAID else "text"), nl=False)


@app.callback()
def workflows() -> None:
    """Look at workflows."""
