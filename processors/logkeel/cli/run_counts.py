"""`logkeel run count`: how many runs there are, by workflow and status."""

from collections import Counter
from typing import Annotated

import typer

from logkeel.cli.histories import history_of
from logkeel.cli.options import Bootstrap, Config, Output, Prefix
from logkeel.cli.output import Format, print_json, print_rows, say
from logkeel.cli.settings import broker_settings

app = typer.Typer()


@app.command()
def count(
    workflow: Annotated[str | None, typer.Option("--workflow", help="Only runs of this workflow.")] = None,
    bootstrap_servers: Bootstrap = None,
    prefix: Prefix = None,
    config: Config = None,
    output: Output = Format.TABLE,
) -> None:
    """Count the runs of the history that is kept, by workflow and status; those that are running are in flight."""
    views = history_of(broker_settings(bootstrap_servers, prefix, config), None).runs(workflow=workflow)
    counted = Counter((view.workflow, view.status) for view in views)
    in_flight = sum(runs for (_, status), runs in counted.items() if status == "running")
    rows = [(name, status, runs) for (name, status), runs in sorted(counted.items())]
    if output is Format.JSON:
        by_workflow = [{"workflow": name, "status": status, "runs": runs} for name, status, runs in rows]
        print_json({"in_flight": in_flight, "runs": by_workflow})
        return
    print_rows(("workflow", "status", "runs"), list(rows), output)
    say(f"{in_flight} runs are in flight")
